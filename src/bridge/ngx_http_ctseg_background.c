/*
 * Every quirk of a request without a socket lives here.
 *
 * What nginx expects of a connection was found by leaving out one field
 * after the other: without "active" on both events the upstream adds fd -1
 * to epoll; without write->ready it arms a timer on the event and writes
 * into freed memory later; without a sockaddr, a log context, the header
 * lists or the variables it crashes when a log_format or a header names
 * them; without "blocked" it frees the request on an answer that is too
 * long.
 */

#include "ngx_http_ctseg_ctx.h"
#include "ngx_http_ctseg_background.h"


#define NGX_HTTP_CTSEG_POOL_SIZE  4096


typedef struct {
    ngx_connection_t        connection;
    ngx_event_t             read;
    ngx_event_t             write;
    ngx_log_t               log;
    ngx_http_log_ctx_t      log_ctx;
    struct sockaddr_in      sockaddr;
    ngx_http_connection_t   http;
    ngx_buf_t               header_in;
    u_char                  byte;
} ngx_http_ctseg_background_t;


static ngx_int_t ngx_http_ctseg_background_init(ngx_http_request_t *r,
    ngx_http_ctseg_background_t *bg, ngx_http_conf_ctx_t *ctx);
static u_char *ngx_http_ctseg_background_log(ngx_log_t *log, u_char *buf,
    size_t len);
static void ngx_http_ctseg_background_event_handler(ngx_event_t *ev);
static void ngx_http_ctseg_background_write_handler(ngx_http_request_t *r);


static ngx_str_t  ngx_http_ctseg_addr_text = ngx_string("127.0.0.1");
static ngx_str_t  ngx_http_ctseg_post = ngx_string("POST");
static ngx_str_t  ngx_http_ctseg_protocol = ngx_string("HTTP/1.1");


ngx_http_request_t *
ngx_http_ctseg_background_create(ngx_http_conf_ctx_t *ctx, ngx_str_t *uri,
    ngx_log_t *log)
{
    ngx_pool_t                   *pool;
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_ctseg_background_t  *bg;

    pool = ngx_create_pool(NGX_HTTP_CTSEG_POOL_SIZE, log);
    if (pool == NULL) {
        return NULL;
    }

    bg = ngx_pcalloc(pool, sizeof(ngx_http_ctseg_background_t));
    if (bg == NULL) {
        goto failed;
    }

    r = ngx_pcalloc(pool, sizeof(ngx_http_request_t));
    if (r == NULL) {
        goto failed;
    }

    clcf = ctx->loc_conf[ngx_http_core_module.ctx_index];

    bg->log = *clcf->error_log;
    bg->log.handler = ngx_http_ctseg_background_log;
    bg->log.data = &bg->log_ctx;
    bg->log.action = "sending a batch";

    bg->sockaddr.sin_family = AF_INET;
    bg->sockaddr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    c = &bg->connection;

    c->fd = (ngx_socket_t) -1;
    c->pool = pool;
    c->data = r;
    c->read = &bg->read;
    c->write = &bg->write;
    c->log = &bg->log;
    c->log_error = NGX_ERROR_ERR;
    c->sockaddr = (struct sockaddr *) &bg->sockaddr;
    c->socklen = sizeof(struct sockaddr_in);
    c->local_sockaddr = c->sockaddr;
    c->local_socklen = c->socklen;
    c->addr_text = ngx_http_ctseg_addr_text;
    c->tcp_nodelay = NGX_TCP_NODELAY_DISABLED;
    c->tcp_nopush = NGX_TCP_NOPUSH_DISABLED;
    c->number = ngx_atomic_fetch_add(ngx_connection_counter, 1);

    bg->log.connection = c->number;

    c->read->data = c;
    c->read->log = c->log;
    c->read->handler = ngx_http_ctseg_background_event_handler;
    c->read->active = 1;

    c->write->data = c;
    c->write->log = c->log;
    c->write->handler = ngx_http_ctseg_background_event_handler;
    c->write->write = 1;
    c->write->active = 1;
    c->write->ready = 1;

    pool->log = c->log;

    r->connection = c;
    r->pool = pool;
    r->uri = *uri;
    r->unparsed_uri = *uri;

    if (ngx_http_ctseg_background_init(r, bg, ctx) != NGX_OK) {
        goto failed;
    }

    return r;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


static ngx_int_t
ngx_http_ctseg_background_init(ngx_http_request_t *r,
    ngx_http_ctseg_background_t *bg, ngx_http_conf_ctx_t *ctx)
{
    ngx_time_t                 *tp;
    ngx_http_core_main_conf_t  *cmcf;

    r->signature = NGX_HTTP_MODULE;
    r->main = r;
    r->main_conf = ctx->main_conf;
    r->srv_conf = ctx->srv_conf;
    r->loc_conf = ctx->loc_conf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    r->ctx = ngx_pcalloc(r->pool, sizeof(void *) * ngx_http_max_module);
    if (r->ctx == NULL) {
        return NGX_ERROR;
    }

    r->variables = ngx_pcalloc(r->pool, cmcf->variables.nelts
                                        * sizeof(ngx_http_variable_value_t));
    if (r->variables == NULL) {
        return NGX_ERROR;
    }

    if (ngx_list_init(&r->headers_in.headers, r->pool, 8,
                      sizeof(ngx_table_elt_t))
        != NGX_OK
        || ngx_list_init(&r->headers_out.headers, r->pool, 8,
                         sizeof(ngx_table_elt_t))
           != NGX_OK
        || ngx_list_init(&r->headers_out.trailers, r->pool, 4,
                         sizeof(ngx_table_elt_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    bg->header_in.start = &bg->byte;
    bg->header_in.pos = &bg->byte;
    bg->header_in.last = &bg->byte;
    bg->header_in.end = &bg->byte + 1;
    bg->header_in.temporary = 1;

    bg->http.conf_ctx = ctx;

    bg->log_ctx.connection = r->connection;
    bg->log_ctx.request = r;
    bg->log_ctx.current_request = r;

    r->header_in = &bg->header_in;
    r->http_connection = &bg->http;

    r->headers_in.content_length_n = -1;
    r->headers_in.keep_alive_n = -1;
    r->headers_out.content_length_n = -1;
    r->headers_out.last_modified_time = -1;

    r->method = NGX_HTTP_POST;
    r->method_name = ngx_http_ctseg_post;
    r->http_version = NGX_HTTP_VERSION_11;
    r->http_protocol = ngx_http_ctseg_protocol;
    r->request_line = ngx_http_ctseg_post;

    r->uri_changes = NGX_HTTP_MAX_URI_CHANGES + 1;
    r->subrequests = NGX_HTTP_MAX_SUBREQUESTS + 1;
    r->count = 1;
    r->blocked = 1;                     /* nginx never frees it, we do */
    r->logged = 1;                      /* only the subrequest is a request */
    r->internal = 1;
    r->valid_location = 1;

    tp = ngx_timeofday();
    r->start_sec = tp->sec;
    r->start_msec = tp->msec;

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_ctseg_background_write_handler;

    return NGX_OK;
}


ngx_int_t
ngx_http_ctseg_background_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    size_t            len;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->key.len = len;
    h->key.data = (u_char *) name;
    h->value = *value;

    h->lowcase_key = ngx_pnalloc(r->pool, len);
    if (h->lowcase_key == NULL) {
        return NGX_ERROR;
    }

    h->hash = ngx_hash_strlow(h->lowcase_key, h->key.data, len);

    return NGX_OK;
}


void
ngx_http_ctseg_background_destroy(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    if (c->write->posted) {
        ngx_delete_posted_event(c->write);
    }

    /* runs the cleanups, that is: ends an upstream, and frees all above */

    ngx_http_free_request(r, 0);
}


/* the tail of an error_log line: which export, which run, which peer */

static u_char *
ngx_http_ctseg_background_log(ngx_log_t *log, u_char *buf, size_t len)
{
    u_char                *p;
    ngx_http_request_t    *r;
    ngx_http_log_ctx_t    *log_ctx;
    ngx_http_ctseg_ctx_t  *ctx;

    p = buf;

    if (log->action != NULL) {
        p = ngx_snprintf(buf, len, " while %s", log->action);
        len -= p - buf;
        buf = p;
    }

    log_ctx = log->data;
    r = log_ctx->request;

    if (r == NULL) {
        return p;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);

    if (ctx != NULL && ctx->export_id.len == 0) {
        p = ngx_snprintf(buf, len, ", test of a partner");
        len -= p - buf;
        buf = p;

    } else if (ctx != NULL) {
        p = ngx_snprintf(buf, len, ", export: %V, run: %uL, attempt: %ui",
                         &ctx->export_id, ctx->run, ctx->attempt);
        len -= p - buf;
        buf = p;
    }

    r = log_ctx->current_request;

    if (r != NULL && r->upstream != NULL && r->upstream->peer.name != NULL) {
        p = ngx_snprintf(buf, len, ", upstream: \"%V\"",
                         r->upstream->peer.name);
    }

    return p;
}


/* there is no socket that could cause an event: if one comes, say so */

static void
ngx_http_ctseg_background_event_handler(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    /* limit_req delays a request by a timer on its connection */

    if (ev->write && ev->delayed && ev->timedout) {
        ev->delayed = 0;
        ev->timedout = 0;

        c = ev->data;
        r = c->data;

        ngx_http_set_log_request(c->log, r);

        r->write_event_handler(r);
        ngx_http_run_posted_requests(c);
        return;
    }

    ngx_log_error(NGX_LOG_ALERT, ev->log, 0,
                  "ctseg: event on a connection without a socket");
}


static void
ngx_http_ctseg_background_write_handler(ngx_http_request_t *r)
{
    /* nothing to write, and nobody to write it to */
}
