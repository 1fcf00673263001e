/*
 * What a request carries for the module's handlers, filters and variables.
 * "collected" and "call" are of a client's request; the synthetic request of
 * a batch has the rest.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_CTX_H
#define NGX_HTTP_CTSEG_CTX_H


#include "../conf/ngx_http_ctseg_conf.h"


typedef struct {
    ngx_uint_t   collected;         /* events taken from this request */
    ngx_str_t    account;           /* whose they are, or empty */
    unsigned     is_collect:1;
    unsigned     is_counted:1;      /* by its answer, as a request */

    void        *call;              /* of the API, while its body is read */

    ngx_buf_t   *error;             /* goes out instead of nginx's page */
    unsigned     is_error:1;

    unsigned     is_batch:1;
    ngx_str_t    export_id;         /* empty: the test of a partner */
    uint64_t     run;
    ngx_uint_t   batch_events;
    ngx_uint_t   attempt;           /* 1 for the first */
    ngx_str_t    authorization;     /* secret: Basic and the write key */
} ngx_http_ctseg_ctx_t;


/* of this request, made when there is none; NULL: no memory */

static ngx_inline ngx_http_ctseg_ctx_t *
ngx_http_ctseg_ctx(ngx_http_request_t *r)
{
    ngx_http_ctseg_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);

    if (ctx != NULL) {
        return ctx;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_ctseg_ctx_t));
    if (ctx == NULL) {
        return NULL;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_ctseg_module);

    return ctx;
}


#endif /* NGX_HTTP_CTSEG_CTX_H */
