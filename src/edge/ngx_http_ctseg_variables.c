/*
 * $ctseg_collected belongs to a collect location; the others to the location
 * that reaches Segment and to its log_format.
 */

#include "../bridge/ngx_http_ctseg_ctx.h"
#include "ngx_http_ctseg_variables.h"


typedef enum {
    NGX_HTTP_CTSEG_VAR_COLLECTED = 0,
    NGX_HTTP_CTSEG_VAR_EXPORT,
    NGX_HTTP_CTSEG_VAR_RUN,
    NGX_HTTP_CTSEG_VAR_EVENTS,
    NGX_HTTP_CTSEG_VAR_ATTEMPT,
    NGX_HTTP_CTSEG_VAR_AUTHORIZATION
} ngx_http_ctseg_var_e;


static ngx_int_t ngx_http_ctseg_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_ctseg_vars[] = {

    { ngx_string("ctseg_collected"), NULL, ngx_http_ctseg_variable,
      NGX_HTTP_CTSEG_VAR_COLLECTED, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("ctseg_export"), NULL, ngx_http_ctseg_variable,
      NGX_HTTP_CTSEG_VAR_EXPORT, 0, 0 },

    { ngx_string("ctseg_run"), NULL, ngx_http_ctseg_variable,
      NGX_HTTP_CTSEG_VAR_RUN, 0, 0 },

    { ngx_string("ctseg_batch_events"), NULL, ngx_http_ctseg_variable,
      NGX_HTTP_CTSEG_VAR_EVENTS, 0, 0 },

    { ngx_string("ctseg_attempt"), NULL, ngx_http_ctseg_variable,
      NGX_HTTP_CTSEG_VAR_ATTEMPT, 0, 0 },

    { ngx_string("ctseg_authorization"), NULL, ngx_http_ctseg_variable,
      NGX_HTTP_CTSEG_VAR_AUTHORIZATION, 0, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_ctseg_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_ctseg_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ctseg_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    u_char                 *p;
    uint64_t                n;
    ngx_str_t              *s;
    ngx_http_ctseg_ctx_t   *ctx;

    v->not_found = 1;

    ctx = ngx_http_get_module_ctx(r->main, ngx_http_ctseg_module);

    if (ctx == NULL) {
        return NGX_OK;
    }

    s = NULL;
    n = 0;

    switch (data) {

    case NGX_HTTP_CTSEG_VAR_COLLECTED:
        if (!ctx->is_collect) {
            return NGX_OK;
        }

        n = ctx->collected;
        break;

    case NGX_HTTP_CTSEG_VAR_EXPORT:
        s = &ctx->export_id;
        break;

    case NGX_HTTP_CTSEG_VAR_RUN:
        n = ctx->run;
        break;

    case NGX_HTTP_CTSEG_VAR_EVENTS:
        n = ctx->batch_events;
        break;

    case NGX_HTTP_CTSEG_VAR_ATTEMPT:
        n = ctx->attempt;
        break;

    default: /* NGX_HTTP_CTSEG_VAR_AUTHORIZATION */
        s = &ctx->authorization;
    }

    if (data != NGX_HTTP_CTSEG_VAR_COLLECTED && !ctx->is_batch) {
        return NGX_OK;
    }

    /* the test of a partner belongs to no export */

    if ((data == NGX_HTTP_CTSEG_VAR_EXPORT || data == NGX_HTTP_CTSEG_VAR_RUN)
        && ctx->export_id.len == 0)
    {
        return NGX_OK;
    }

    if (s == NULL) {
        p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        v->len = ngx_sprintf(p, "%uL", n) - p;
        v->data = p;

    } else {
        v->len = s->len;
        v->data = s->data;
    }

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
