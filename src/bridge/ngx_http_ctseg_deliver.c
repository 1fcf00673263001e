/*
 * A delivery.  The post handler of the subrequest only notes the verdict and
 * posts an event: nginx still works with the request when it calls it.  A
 * cleanup on the main request is the catch-all for the ways in which nginx
 * ends a request without calling a post handler.
 *
 * The verdict is the upstream's status line if there was one.  An answer
 * that was cut short is none, whatever its status line said.
 */

#include "../base/ctseg_str.h"
#include "../segment/ctseg_answer.h"
#include "ngx_http_ctseg_ctx.h"
#include "ngx_http_ctseg_background.h"
#include "ngx_http_ctseg_deliver.h"


static ngx_int_t ngx_http_ctseg_deliver_main(ngx_http_ctseg_delivery_t *d,
    ngx_log_t *log);
static ngx_int_t ngx_http_ctseg_deliver_subrequest(
    ngx_http_ctseg_delivery_t *d);
static ngx_int_t ngx_http_ctseg_deliver_post_handler(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);
static void ngx_http_ctseg_deliver_cleanup(void *data);
static void ngx_http_ctseg_deliver_event_handler(ngx_event_t *ev);


static ngx_str_t  ngx_http_ctseg_deliver_type =
    ngx_string("application/json");
static ngx_str_t  ngx_http_ctseg_deliver_agent =
    ngx_string("ctseg/" CTSEG_VERSION);
static ngx_str_t  ngx_http_ctseg_deliver_method = ngx_string("POST");


ngx_int_t
ngx_http_ctseg_deliver(ngx_http_ctseg_delivery_t *d, ngx_log_t *log)
{
    d->status = 0;
    d->how = "the request to Segment's side was terminated";
    d->retry_after = 0;
    d->excerpt_len = 0;
    d->answered = 0;
    d->started = ngx_current_msec;

    ngx_memzero(&d->event, sizeof(ngx_event_t));
    d->event.handler = ngx_http_ctseg_deliver_event_handler;
    d->event.data = d;
    d->event.log = log;

    if (ngx_http_ctseg_deliver_main(d, log) != NGX_OK) {
        d->main = NULL;
        return NGX_ERROR;
    }

    if (ngx_http_ctseg_deliver_subrequest(d) != NGX_OK) {
        d->answered = 1;
        ngx_http_ctseg_deliver_abort(d);
        return NGX_ERROR;
    }

    ngx_http_run_posted_requests(d->main->connection);

    return NGX_OK;
}


static ngx_int_t
ngx_http_ctseg_deliver_main(ngx_http_ctseg_delivery_t *d, ngx_log_t *log)
{
    u_char                *p;
    ngx_str_t              retries;
    ngx_http_request_t    *r;
    ngx_http_cleanup_t    *cln;
    ngx_http_ctseg_ctx_t  *ctx;

    r = ngx_http_ctseg_background_create(d->region->ctx, &d->region->uri,
                                         log);
    if (r == NULL) {
        return NGX_ERROR;
    }

    d->main = r;

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_ctseg_ctx_t));
    if (ctx == NULL) {
        goto failed;
    }

    ctx->is_batch = 1;
    ctx->export_id = d->export_id;
    ctx->run = d->run;
    ctx->batch_events = d->events;
    ctx->attempt = d->attempt;
    ctx->authorization = d->authorization;

    ngx_http_set_ctx(r, ctx, ngx_http_ctseg_module);

    if (ngx_http_ctseg_background_header(r, "Content-Type",
                                         &ngx_http_ctseg_deliver_type)
        != NGX_OK
        || ngx_http_ctseg_background_header(r, "User-Agent",
                                            &ngx_http_ctseg_deliver_agent)
           != NGX_OK
        || ngx_http_ctseg_background_header(r, "Authorization",
                                            &d->authorization)
           != NGX_OK)
    {
        goto failed;
    }

    /* as Segment's SDKs of 2026: attempts made before, on retries only */

    if (d->attempt > 1) {
        p = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
        if (p == NULL) {
            goto failed;
        }

        retries.data = p;
        retries.len = ngx_sprintf(p, "%ui", d->attempt - 1) - p;

        if (ngx_http_ctseg_background_header(r, "X-Retry-Count", &retries)
            != NGX_OK)
        {
            goto failed;
        }
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        goto failed;
    }

    cln->handler = ngx_http_ctseg_deliver_cleanup;
    cln->data = d;

    return NGX_OK;

failed:

    d->answered = 1;
    ngx_http_ctseg_background_destroy(r);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_ctseg_deliver_subrequest(ngx_http_ctseg_delivery_t *d)
{
    ngx_buf_t                   *b;
    ngx_http_request_t          *r, *sr;
    ngx_http_request_body_t     *rb;
    ngx_http_post_subrequest_t  *ps;

    r = d->main;

    ps = ngx_palloc(r->pool, sizeof(ngx_http_post_subrequest_t));
    if (ps == NULL) {
        return NGX_ERROR;
    }

    ps->handler = ngx_http_ctseg_deliver_post_handler;
    ps->data = d;

    rb = ngx_pcalloc(r->pool, sizeof(ngx_http_request_body_t));
    if (rb == NULL) {
        return NGX_ERROR;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    /* start == pos, or a try of the next upstream would send rubbish */

    b->start = d->body.data;
    b->pos = d->body.data;
    b->last = d->body.data + d->body.len;
    b->end = b->last;
    b->memory = 1;
    b->last_buf = 1;

    rb->bufs = ngx_alloc_chain_link(r->pool);
    if (rb->bufs == NULL) {
        return NGX_ERROR;
    }

    rb->bufs->buf = b;
    rb->bufs->next = NULL;
    rb->buf = b;

    if (ngx_http_subrequest(r, &d->region->uri, NULL, &sr, ps,
                            NGX_HTTP_SUBREQUEST_IN_MEMORY
                            |NGX_HTTP_SUBREQUEST_WAITED)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    sr->method = NGX_HTTP_POST;
    sr->method_name = ngx_http_ctseg_deliver_method;
    sr->request_body = rb;
    sr->headers_in.content_length_n = d->body.len;

    return NGX_OK;
}


/*
 * Did the answer end before its header or its length said so?  An error of
 * our own side, such as an answer longer than is kept, cuts nothing: the
 * header is whole then, and its status is what counts.
 */

static ngx_uint_t
ngx_http_ctseg_deliver_is_cut(ngx_http_request_t *sr, ngx_int_t rc)
{
    ngx_http_upstream_t  *u;

    u = sr->upstream;

    if (!u->header_sent) {

        /* intercepted errors come with the upstream's own status */

        return rc != (ngx_int_t) u->headers_in.status_n;
    }

    if (rc == NGX_ERROR) {
        return 0;
    }

    if (u->pipe != NULL && u->buffering) {
        return u->pipe->upstream_error
               || (u->pipe->upstream_eof && u->pipe->length > 0);
    }

    return u->length > 0;
}


/* an operator may cache by mistake: nothing was sent then */

static ngx_uint_t
ngx_http_ctseg_deliver_is_cached(ngx_http_upstream_t *u)
{
#if (NGX_HTTP_CACHE)

    return u->cache_status == NGX_HTTP_CACHE_HIT
           || u->cache_status == NGX_HTTP_CACHE_STALE
           || u->cache_status == NGX_HTTP_CACHE_UPDATING;

#else

    return 0;

#endif
}


/* the longest that is asked for, in whichever way */

static void
ngx_http_ctseg_deliver_headers(ngx_http_ctseg_delivery_t *d,
    ngx_http_upstream_t *u)
{
    int64_t           now_ms;
    ngx_uint_t        i, seconds;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    now_ms = ctseg_now_ms();
    part = &u->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        seconds = ctseg_answer_wait(ngx_http_ctseg_slice(&header[i].key),
                                    ngx_http_ctseg_slice(&header[i].value),
                                    now_ms);
        d->retry_after = ngx_max(d->retry_after, seconds);
    }
}


static void
ngx_http_ctseg_deliver_excerpt(ngx_http_ctseg_delivery_t *d,
    ngx_http_request_t *sr)
{
    ngx_buf_t    *b;
    ctseg_str_t   answer;

    if (sr->out == NULL || sr->out->buf == NULL) {
        return;
    }

    b = sr->out->buf;

    answer.data = (const char *) b->pos;
    answer.len = b->last - b->pos;

    d->excerpt_len = ctseg_answer_excerpt(d->excerpt, sizeof(d->excerpt),
                                          answer);
}


/* rc is no matter to nginx: the verdict is noted, and it is told OK */

static ngx_int_t
ngx_http_ctseg_deliver_post_handler(ngx_http_request_t *sr, void *data,
    ngx_int_t rc)
{
    ngx_http_ctseg_delivery_t *d = data;

    ngx_uint_t            asked;
    ngx_http_upstream_t  *u;

    if (d->answered) {
        return NGX_OK;
    }

    d->answered = 1;
    u = sr->upstream;
    asked = u != NULL && !ngx_http_ctseg_deliver_is_cached(u);

    if (!asked) {
        d->how = "the location has answered without asking Segment's side";

    } else if (u->headers_in.status_n == 0) {
        d->how = rc == NGX_HTTP_GATEWAY_TIME_OUT
                 ? "Segment's side did not answer in time"
                 : "no answer from Segment's side";

    } else if (ngx_http_ctseg_deliver_is_cut(sr, rc)) {
        d->how = "the answer of Segment's side was cut short";

    } else {
        d->status = u->headers_in.status_n;

        if (ctseg_answer_classify((int) d->status) != CTSEG_ANSWER_SENT) {
            ngx_http_ctseg_deliver_excerpt(d, sr);
        }
    }

    if (u != NULL && u->headers_in.headers.part.elts != NULL) {
        ngx_http_ctseg_deliver_headers(d, u);
    }

    if (d->trace != NULL) {
        ngx_http_ctseg_trace(d->trace, sr, asked, rc, d->status, d->how,
                             d->started);
    }

    ngx_post_event(&d->event, &ngx_posted_events);

    return NGX_OK;
}


static void
ngx_http_ctseg_deliver_cleanup(void *data)
{
    ngx_http_ctseg_delivery_t *d = data;

    if (d->answered) {
        return;
    }

    /* ended by nginx without a post handler: status stays 0 */

    d->answered = 1;

    if (d->trace != NULL) {
        ngx_http_ctseg_trace_lost(d->trace, d->how, d->started);
    }

    ngx_post_event(&d->event, &ngx_posted_events);
}


static void
ngx_http_ctseg_deliver_event_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_delivery_t  *d;

    d = ev->data;

    ngx_http_ctseg_background_destroy(d->main);
    d->main = NULL;

    d->handler(d);
}


void
ngx_http_ctseg_deliver_abort(ngx_http_ctseg_delivery_t *d)
{
    if (d->main == NULL) {
        return;
    }

    if (d->trace != NULL && !d->answered) {
        ngx_http_ctseg_trace_lost(d->trace, "the worker was shut down",
                                  d->started);
    }

    d->answered = 1;

    if (d->event.posted) {
        ngx_delete_posted_event(&d->event);
    }

    ngx_http_ctseg_background_destroy(d->main);
    d->main = NULL;
}
