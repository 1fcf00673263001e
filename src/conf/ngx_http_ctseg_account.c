/*
 * ctseg_account: who may upload.  The passcodes are read from files, so that
 * nginx.conf, which is shown to people and dumped by nginx -T, holds none.
 */

#include "ngx_http_ctseg_conf.h"


#define NGX_HTTP_CTSEG_PASSCODE_MAX  256


/* ctseg_account ID PASSWORD_FILE */

char *
ngx_http_ctseg_account(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ctseg_main_conf_t  *mcf = conf;

    char                      *rc;
    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_ctseg_account_t  *account;

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "needs the id of an account";
    }

    if (mcf->accounts == NULL) {
        mcf->accounts = ngx_array_create(cf->pool, 2,
                                         sizeof(ngx_http_ctseg_account_t));
        if (mcf->accounts == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    account = mcf->accounts->elts;

    for (i = 0; i < mcf->accounts->nelts; i++) {
        if (account[i].id.len == value[1].len
            && ngx_memcmp(account[i].id.data, value[1].data, value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "account \"%V\" is duplicate", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    account = ngx_array_push(mcf->accounts);
    if (account == NULL) {
        return NGX_CONF_ERROR;
    }

    account->id = value[1];

    rc = ngx_http_ctseg_passcode_read(cf, &value[2], &account->passcode);
    if (rc != NGX_CONF_OK) {
        return rc;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_ctseg_passcode_read(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *passcode)
{
    u_char    buf[NGX_HTTP_CTSEG_PASSCODE_MAX + 2];
    ssize_t   n;
    ngx_fd_t  fd;

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NGX_CONF_ERROR;
    }

    n = ngx_read_fd(fd, buf, sizeof(buf));

    if (n == -1) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_fd_n " \"%V\" failed", path);
    }

    (void) ngx_close_file(fd);

    if (n == -1) {
        return NGX_CONF_ERROR;
    }

    if (n != 0 && buf[n - 1] == '\n') {
        n--;
    }

    if (n == 0 || n > NGX_HTTP_CTSEG_PASSCODE_MAX
        || ngx_strlchr(buf, buf + n, '\n') != NULL
        || ngx_strlchr(buf, buf + n, '\0') != NULL)
    {
        ngx_explicit_memzero(buf, sizeof(buf));
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" must hold a passcode: one line of 1 to %d "
                           "bytes", path, NGX_HTTP_CTSEG_PASSCODE_MAX);
        return NGX_CONF_ERROR;
    }

    passcode->len = n;
    passcode->data = ngx_pnalloc(cf->pool, n + 1);
    if (passcode->data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(passcode->data, buf, n);
    passcode->data[n] = '\0';

    ngx_explicit_memzero(buf, sizeof(buf));

    return NGX_CONF_OK;
}
