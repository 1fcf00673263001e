/*
 * The yardstick of the benchmark: a location that reads the body of a request
 * and answers 200 without one.  No nginx module that takes bodies can do with
 * less, so figures of ctseg are given as a share of what this one reaches on
 * the same machine in the same minute.
 *
 *   location = /yard { ctseg_yard; }
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


static char *ngx_http_ctseg_yard(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_ctseg_yard_handler(ngx_http_request_t *r);
static void ngx_http_ctseg_yard_answer(ngx_http_request_t *r);


static ngx_command_t  ngx_http_ctseg_yard_commands[] =
{
    { ngx_string("ctseg_yard"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_ctseg_yard,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_ctseg_yard_module_ctx =
{
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
};


ngx_module_t  ngx_http_ctseg_yard_module =
{
    NGX_MODULE_V1,
    &ngx_http_ctseg_yard_module_ctx,
    ngx_http_ctseg_yard_commands,
    NGX_HTTP_MODULE,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NGX_MODULE_V1_PADDING
};


static char *
ngx_http_ctseg_yard(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ctseg_yard_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ctseg_yard_handler(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_http_read_client_request_body(r, ngx_http_ctseg_yard_answer);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static void
ngx_http_ctseg_yard_answer(ngx_http_request_t *r)
{
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = 0;
    r->header_only = 1;

    ngx_http_finalize_request(r, ngx_http_send_header(r));
}
