/*
 * ctseg_clevertap: accounts whose history can be pulled, and how CleverTap is
 * reached for that.
 */

#include "ngx_http_ctseg_conf.h"
#include "../model/ctseg_import.h"


static char *ngx_http_ctseg_clevertap_url(ngx_conf_t *cf, ngx_str_t *param,
    ngx_str_t *url);
static char *ngx_http_ctseg_clevertap_ca(ngx_conf_t *cf, ngx_str_t *path);


/* the id is the value of a header */

static ngx_uint_t
ngx_http_ctseg_clevertap_is_id(ngx_str_t *id)
{
    size_t  i;

    for (i = 0; i < id->len; i++) {
        if (id->data[i] <= 0x20 || id->data[i] >= 0x7f) {
            return 0;
        }
    }

    return id->len != 0 && id->len <= CTSEG_IMPORT_ACCOUNT_MAX;
}


/* ctseg_clevertap ACCOUNT_ID PASSWORD_FILE [url=URL] [ca=FILE] */

char *
ngx_http_ctseg_clevertap(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ctseg_main_conf_t  *mcf = conf;

    char                        *rc;
    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ngx_http_ctseg_clevertap_t  *account;

    value = cf->args->elts;

    if (!ngx_http_ctseg_clevertap_is_id(&value[1])) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid account \"%V\": 1 to %d visible ASCII "
                           "characters are expected", &value[1],
                           CTSEG_IMPORT_ACCOUNT_MAX);
        return NGX_CONF_ERROR;
    }

    if (mcf->clevertap == NULL) {
        mcf->clevertap = ngx_array_create(cf->pool, 1,
                                          sizeof(ngx_http_ctseg_clevertap_t));
        if (mcf->clevertap == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    account = mcf->clevertap->elts;

    for (i = 0; i < mcf->clevertap->nelts; i++) {
        if (account[i].id.len == value[1].len
            && ngx_memcmp(account[i].id.data, value[1].data, value[1].len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "account \"%V\" is duplicate", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    account = ngx_array_push(mcf->clevertap);
    if (account == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(account, sizeof(ngx_http_ctseg_clevertap_t));

    account->id = value[1];
    ngx_str_set(&account->url, "https://api.clevertap.com");

    rc = ngx_http_ctseg_passcode_read(cf, &value[2], &account->passcode);

    for (i = 3; rc == NGX_CONF_OK && i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "url=", 4) == 0) {
            rc = ngx_http_ctseg_clevertap_url(cf, &value[i], &account->url);
            continue;
        }

        if (ngx_strncmp(value[i].data, "ca=", 3) == 0) {
            account->ca.data = value[i].data + 3;
            account->ca.len = value[i].len - 3;
            rc = ngx_http_ctseg_clevertap_ca(cf, &account->ca);
            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           &value[i]);
        return NGX_CONF_ERROR;
    }

    if (rc == NGX_CONF_OK) {
        ngx_http_ctseg_needs_store(cf, &cmd->name);
    }

    return rc;
}


static ngx_uint_t
ngx_http_ctseg_clevertap_is_local(ngx_str_t *host)
{
    in_addr_t  addr;

    if (host->len == 9
        && ngx_strncasecmp(host->data, (u_char *) "localhost", 9) == 0)
    {
        return 1;
    }

    if (host->len == 5 && ngx_memcmp(host->data, "[::1]", 5) == 0) {
        return 1;
    }

    addr = ngx_inet_addr(host->data, host->len);

    return addr != INADDR_NONE && (ntohl(addr) >> 24) == 127;
}


/* what stands behind the scheme: HOST[:PORT][/PATH]; false: it does not */

static ngx_uint_t
ngx_http_ctseg_clevertap_host(u_char *p, u_char *end, ngx_str_t *host)
{
    u_char     *s;
    ngx_int_t   port;

    if (p == end || end[-1] == '/') {
        return 0;
    }

    for (s = p; s < end; s++) {
        if (*s <= 0x20 || *s >= 0x7f || *s == '?' || *s == '#' || *s == '@'
            || *s == '"' || *s == '\\')
        {
            return 0;
        }
    }

    s = ngx_strlchr(p, end, '/');
    end = s != NULL ? s : end;

    host->data = p;

    if (p < end && *p == '[') {
        s = ngx_strlchr(p, end, ']');

        if (s == NULL) {
            return 0;
        }

        p = s + 1;

    } else {
        s = ngx_strlchr(p, end, ':');
        p = s != NULL ? s : end;
    }

    host->len = p - host->data;

    if (p < end) {
        port = *p == ':' ? ngx_atoi(p + 1, end - p - 1) : NGX_ERROR;

        if (port < 1 || port > 65535) {
            return 0;
        }
    }

    return host->len != 0;
}


static char *
ngx_http_ctseg_clevertap_url(ngx_conf_t *cf, ngx_str_t *param, ngx_str_t *url)
{
    u_char      *p, *end;
    ngx_str_t    host;
    ngx_uint_t   ssl;

    url->data = param->data + 4;
    url->len = param->len - 4;

    p = url->data;
    end = p + url->len;
    ssl = 0;

    if (url->len > 8 && ngx_strncasecmp(p, (u_char *) "https://", 8) == 0) {
        p += 8;
        ssl = 1;

    } else if (url->len > 7
               && ngx_strncasecmp(p, (u_char *) "http://", 7) == 0)
    {
        p += 7;

    } else {
        p = end;
    }

    if (!ngx_http_ctseg_clevertap_host(p, end, &host)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%V\": http:// or https:// with a host, "
                           "and no slash at the end, is expected", param);
        return NGX_CONF_ERROR;
    }

    if (!ssl && !ngx_http_ctseg_clevertap_is_local(&host)) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"ctseg_clevertap\" sends the passcode in clear "
                           "to \"%V\"", url);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_ctseg_clevertap_ca(ngx_conf_t *cf, ngx_str_t *path)
{
    ngx_fd_t  fd;

    if (path->len == 0) {
        return "needs a file with \"ca=\"";
    }

    if (ngx_conf_full_name(cf->cycle, path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    fd = ngx_open_file(path->data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", path);
        return NGX_CONF_ERROR;
    }

    (void) ngx_close_file(fd);

    return NGX_CONF_OK;
}
