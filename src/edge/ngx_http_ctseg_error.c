/*
 * nginx's own error pages are HTML.  A client of the upload API or of the
 * management API expects JSON and shows what it reads, so in those locations
 * the page is replaced, header and body, by the same words as JSON.  An
 * error_page of the operator leads to another location and is left alone.
 */

#include "../base/ctseg_problem.h"
#include "../clevertap/ctseg_upload.h"
#include "../bridge/ngx_http_ctseg_ctx.h"
#include "ngx_http_ctseg_error.h"


static ngx_int_t ngx_http_ctseg_error_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_ctseg_error_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_ctseg_error_keep(ngx_http_request_t *r,
    ctseg_str_t text);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


ngx_int_t
ngx_http_ctseg_error_init(ngx_conf_t *cf)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_ctseg_error_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_ctseg_error_body_filter;

    return NGX_OK;
}


/* what the limit was, where the status alone does not say what to do */

static const char *
ngx_http_ctseg_error_detail(ngx_http_request_t *r, char *out, size_t size)
{
    ngx_http_core_loc_conf_t  *clcf;

    switch (r->headers_out.status) {

    case NGX_HTTP_REQUEST_ENTITY_TOO_LARGE:
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        (void) snprintf(out, size, "the body is larger than the %lld bytes "
                        "of client_max_body_size",
                        (long long) clcf->client_max_body_size);
        return out;

    case NGX_HTTP_FORBIDDEN:
        return "access is denied by the configuration of nginx";

    case NGX_HTTP_TOO_MANY_REQUESTS:
        return "there are too many requests";

    case NGX_HTTP_INTERNAL_SERVER_ERROR:
        return "see the error log";

    default:
        return NULL;
    }
}


static ngx_int_t
ngx_http_ctseg_error_header_filter(ngx_http_request_t *r)
{
    char                        text[128];
    int                         status;
    ngx_str_t                  *type;
    const char                 *detail;
    ctseg_buf_t                 out;
    ngx_http_ctseg_loc_conf_t  *lcf;

    static ngx_str_t  json = ngx_string("application/json");
    static ngx_str_t  problem = ngx_string("application/problem+json");

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ctseg_module);
    type = &r->headers_out.content_type;

    if ((!lcf->collect && !lcf->api) || r != r->main
        || r->headers_out.status < NGX_HTTP_BAD_REQUEST
        || r->header_only
        || type->len < sizeof("text/html") - 1
        || ngx_strncmp(type->data, "text/html", sizeof("text/html") - 1) != 0)
    {
        return ngx_http_next_header_filter(r);
    }

    ngx_memzero(&out, sizeof(ctseg_buf_t));

    status = (int) r->headers_out.status;
    detail = ngx_http_ctseg_error_detail(r, text, sizeof(text));

    if (lcf->collect) {
        ctseg_upload_render_fail(&out, status, ctseg_status_title(status),
                                 detail);

    } else {
        ctseg_problem_render(&out, status, detail, NULL);
    }

    if (!out.failed
        && ngx_http_ctseg_error_keep(r, ctseg_buf_slice(&out)) == NGX_OK)
    {
        ngx_http_clear_content_length(r);
        ngx_http_clear_accept_ranges(r);
        ngx_http_clear_last_modified(r);
        ngx_http_clear_etag(r);

        r->headers_out.content_length_n = out.len;
        r->headers_out.content_type = lcf->collect ? json : problem;
        r->headers_out.content_type_len = r->headers_out.content_type.len;
        r->headers_out.content_type_lowcase = NULL;
        r->headers_out.charset.len = 0;
    }

    ctseg_buf_free(&out);

    return ngx_http_next_header_filter(r);
}


/* the text that the body filter will send, in the request's pool */

static ngx_int_t
ngx_http_ctseg_error_keep(ngx_http_request_t *r, ctseg_str_t text)
{
    ngx_buf_t             *b;
    ngx_http_ctseg_ctx_t  *ctx;

    ctx = ngx_http_ctseg_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    b = ngx_create_temp_buf(r->pool, text.len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, text.data, text.len);
    b->last_buf = 1;
    b->last_in_chain = 1;

    ctx->error = b;
    ctx->is_error = 1;

    return NGX_OK;
}


/* nginx's page is swallowed, ours goes out once in its place */

static ngx_int_t
ngx_http_ctseg_error_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_chain_t            out, *cl;
    ngx_http_ctseg_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);

    if (ctx == NULL || !ctx->is_error || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl != NULL; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (ctx->error == NULL) {
        return NGX_OK;
    }

    out.buf = ctx->error;
    out.next = NULL;
    ctx->error = NULL;

    return ngx_http_next_body_filter(r, &out);
}
