/*
 * Collect.
 *
 * Requests park in a queue of this worker.  One job at a time takes all of
 * it (up to a bound), parses the bodies in a thread, appends their events in
 * one transaction, and on the way back every request is answered.  While it
 * runs, the next group gathers: the commit clocks itself, there is no timer
 * and, at rest, no delay.  A 2xx leaves only after the commit.
 */

#include "../clevertap/ctseg_upload.h"
#include "../store/ctseg_store.h"
#include "../bridge/ngx_http_ctseg_count.h"
#include "../bridge/ngx_http_ctseg_ctx.h"
#include "ngx_http_ctseg_collect.h"
#include "ngx_http_ctseg_reply.h"


#define NGX_HTTP_CTSEG_GROUP_BYTES   (4 * 1024 * 1024)
#define NGX_HTTP_CTSEG_GROUP_ITEMS   4096
#define NGX_HTTP_CTSEG_QUEUE_BYTES   (64 * 1024 * 1024)
#define NGX_HTTP_CTSEG_QUEUE_ITEMS   16384
#define NGX_HTTP_CTSEG_APPEND_MS     10000


typedef struct ngx_http_ctseg_item_s  ngx_http_ctseg_item_t;

/* one request; the thread reads body and dry_run and writes the rest */

struct ngx_http_ctseg_item_s {
    ngx_http_ctseg_item_t  *next;
    ngx_http_request_t     *r;          /* not for the thread */
    ngx_http_ctseg_body_t   body;
    unsigned                dry_run:1;
    unsigned                stores:1;   /* depends on the append */

    ngx_uint_t              status;
    ngx_uint_t              collected;
    ctseg_buf_t             answer;
};


/* two of them take turns, each keeps its memory */

typedef struct {
    ngx_http_ctseg_task_t   task;
    ngx_http_ctseg_item_t  *items;
    uint64_t                seq;
    ctseg_upload_t          upload;
    ctseg_block_builder_t  *builders;
    ctseg_block_t          *blocks;
    ngx_uint_t              nbuilders;  /* in use */
    ngx_uint_t              allocated;
    ctseg_rc_t              rc;         /* of the append */
    int64_t                 us;         /* it took so long */
    ngx_uint_t              stored;     /* events */
    ngx_uint_t              refused[NGX_HTTP_CTSEG_REFUSED_N];
} ngx_http_ctseg_group_t;


typedef struct {
    ngx_http_ctseg_item_t   *head;
    ngx_http_ctseg_item_t  **tail;
    ngx_uint_t               nitems;
    size_t                   bytes;
    ngx_http_ctseg_group_t  *group[2];
    ngx_uint_t               turn;
    ngx_uint_t               busy;      /* a group is in a thread */
} ngx_http_ctseg_queue_t;


static ngx_int_t ngx_http_ctseg_collect_handler(ngx_http_request_t *r);
static void ngx_http_ctseg_collect_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_ctseg_collect_fail(ngx_http_request_t *r,
    ngx_uint_t status, const char *error, const char *detail);
static void ngx_http_ctseg_collect_count(ngx_http_request_t *r,
    ngx_uint_t status);
static void ngx_http_ctseg_collect_start(ngx_http_ctseg_worker_t *worker);
static void ngx_http_ctseg_collect_thread(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_collect_done(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_collect_answer(ngx_http_ctseg_item_t *item);


static ngx_http_ctseg_queue_t  ngx_http_ctseg_queue;

static ngx_str_t  ngx_http_ctseg_json_type = ngx_string("application/json");


char *
ngx_http_ctseg_collect(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ctseg_loc_conf_t  *lcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_http_core_loc_conf_t  *clcf;

    if (lcf->collect != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (lcf->api != NGX_CONF_UNSET) {
        return "cannot share a location with \"ctseg_api\"";
    }

    if (lcf->metrics != NGX_CONF_UNSET) {
        return "cannot share a location with \"ctseg_metrics\"";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strcmp(value[i].data, "format=upload") == 0
            || ngx_strcmp(value[i].data, "format=auto") == 0)
        {
            continue;
        }

        if (ngx_strncmp(value[i].data, "format=", 7) == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "format \"%s\" is not supported, \"upload\" "
                               "or \"auto\" is expected", value[i].data + 7);
            return NGX_CONF_ERROR;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    lcf->collect = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ctseg_collect_handler;
    lcf->handler = ngx_http_ctseg_collect_handler;

    ngx_http_ctseg_needs_store(cf, &cmd->name);

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_ctseg_collect_init(ngx_http_ctseg_worker_t *worker)
{
    ngx_uint_t               i;
    ngx_http_ctseg_queue_t  *q;

    q = &ngx_http_ctseg_queue;

    ngx_memzero(q, sizeof(ngx_http_ctseg_queue_t));
    q->tail = &q->head;

    for (i = 0; i < 2; i++) {
        q->group[i] = ngx_http_ctseg_task_create(worker,
                                            sizeof(ngx_http_ctseg_group_t),
                                            ngx_http_ctseg_collect_thread,
                                            ngx_http_ctseg_collect_done);
        if (q->group[i] == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ctseg_collect_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_ctseg_ctx_t     *ctx;
    ngx_http_ctseg_worker_t  *worker;

    if (r->method != NGX_HTTP_POST) {
        rc = ngx_http_discard_request_body(r);

        return rc != NGX_OK ? rc
               : ngx_http_ctseg_collect_fail(r, NGX_HTTP_NOT_ALLOWED,
                                   "Method not allowed",
                                   "events are sent by POST");
    }

    if (!ngx_http_ctseg_is_json(r)) {
        rc = ngx_http_discard_request_body(r);

        return rc != NGX_OK ? rc
               : ngx_http_ctseg_collect_fail(r,
                                   NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                   "Unsupported media type",
                                   "Content-Type must be application/json");
    }

    if (ngx_http_ctseg_is_encoded(r)) {
        rc = ngx_http_discard_request_body(r);

        return rc != NGX_OK ? rc
               : ngx_http_ctseg_collect_fail(r,
                                   NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                   "Unsupported content encoding",
                                   "Content-Encoding must be absent");
    }

    worker = ngx_http_ctseg_worker();

    if (worker == NULL || worker->store == NULL) {
        rc = ngx_http_discard_request_body(r);

        return rc != NGX_OK ? rc
               : ngx_http_ctseg_collect_fail(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "Store is not available",
                                   "the store could not be opened, see the "
                                   "error log");
    }

    ctx = ngx_http_ctseg_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->is_collect = 1;

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r,
                                       ngx_http_ctseg_collect_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_http_ctseg_collect_fail(ngx_http_request_t *r, ngx_uint_t status,
    const char *error, const char *detail)
{
    ngx_int_t                rc;
    ngx_uint_t               n;
    ctseg_buf_t              answer;
    ngx_http_ctseg_header_t  header;

    ngx_memzero(&answer, sizeof(ctseg_buf_t));
    n = 0;

    ctseg_upload_render_fail(&answer, status, error, detail);

    if (answer.failed) {
        ctseg_buf_free(&answer);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        ngx_str_set(&header.name, "Retry-After");
        ngx_str_set(&header.value, "1");
        n = 1;

    } else if (status == NGX_HTTP_NOT_ALLOWED) {
        ngx_str_set(&header.name, "Allow");
        ngx_str_set(&header.value, "POST");
        n = 1;
    }

    ngx_http_ctseg_collect_count(r, status);

    rc = ngx_http_ctseg_reply(r, status, &ngx_http_ctseg_json_type,
                              ctseg_buf_slice(&answer), &header, n);

    ctseg_buf_free(&answer);

    return rc;
}


/* a request that is not counted here is counted when nginx logs it */

static void
ngx_http_ctseg_collect_count(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_http_ctseg_ctx_t  *ctx;

    ctx = ngx_http_ctseg_ctx(r);

    if (ctx != NULL && !ctx->is_counted) {
        ctx->is_counted = 1;
        ngx_http_ctseg_count_request(status);
    }
}


static void
ngx_http_ctseg_item_free(ngx_http_ctseg_item_t *item)
{
    ngx_free(item->body.data);
    ctseg_buf_free(&item->answer);
    ngx_free(item);
}


static void
ngx_http_ctseg_collect_body_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_str_t                 value;
    ngx_http_ctseg_item_t    *item;
    ngx_http_ctseg_queue_t   *q;
    ngx_http_ctseg_worker_t  *worker;

    q = &ngx_http_ctseg_queue;
    worker = ngx_http_ctseg_worker();

    if (q->nitems >= NGX_HTTP_CTSEG_QUEUE_ITEMS
        || q->bytes >= NGX_HTTP_CTSEG_QUEUE_BYTES)
    {
        rc = ngx_http_ctseg_collect_fail(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "Too many requests are waiting",
                                         "the queue of this worker is full");
        ngx_http_finalize_request(r, rc);
        return;
    }

    item = ngx_calloc(sizeof(ngx_http_ctseg_item_t), r->connection->log);
    if (item == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    item->r = r;

    if (ngx_http_arg(r, (u_char *) "dryRun", 6, &value) == NGX_OK
        && value.len == 1 && value.data[0] == '1')
    {
        item->dry_run = 1;
    }

    if (ngx_http_ctseg_body_take(r, &item->body) != NGX_OK) {
        ngx_http_ctseg_item_free(item);
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_http_ctseg_suspend(r);

    *q->tail = item;
    q->tail = &item->next;
    q->nitems++;
    q->bytes += item->body.len;

    if (!q->busy) {
        ngx_http_ctseg_collect_start(worker);
    }
}


/* hand the next group to a thread, if anything waits */

static void
ngx_http_ctseg_collect_start(ngx_http_ctseg_worker_t *worker)
{
    size_t                   bytes;
    ngx_uint_t               n;
    ngx_http_ctseg_item_t   *item, *next, **last;
    ngx_http_ctseg_queue_t  *q;
    ngx_http_ctseg_group_t  *group;

    q = &ngx_http_ctseg_queue;

again:

    if (q->head == NULL || q->busy) {
        return;
    }

    group = q->group[q->turn];
    q->turn = !q->turn;

    bytes = 0;
    n = 0;
    last = &q->head;

    do {
        item = *last;
        bytes += item->body.len;
        n++;
        last = &item->next;

    } while (*last != NULL && n < NGX_HTTP_CTSEG_GROUP_ITEMS
             && bytes + (*last)->body.len <= NGX_HTTP_CTSEG_GROUP_BYTES);

    group->items = q->head;
    group->seq = ++worker->producer_seq;

    q->head = *last;
    *last = NULL;

    if (q->head == NULL) {
        q->tail = &q->head;
    }

    q->nitems -= n;
    q->bytes -= bytes;
    q->busy = 1;

    if (ngx_http_ctseg_task_post(&group->task) == NGX_OK) {
        return;
    }

    /* the pool's queue is full: say so to these, the next may fare better */

    q->busy = 0;
    item = group->items;
    group->items = NULL;

    while (item != NULL) {
        next = item->next;
        item->status = NGX_HTTP_SERVICE_UNAVAILABLE;
        ctseg_upload_render_fail(&item->answer, item->status,
                                 "Too many requests are waiting",
                                 "the thread pool's queue is full");
        ngx_http_ctseg_collect_answer(item);
        item = next;
    }

    /* nobody else would come back to those behind them */

    goto again;
}


/* ---- on a pool thread ---- */


static bool
ngx_http_ctseg_group_grow(ngx_http_ctseg_group_t *g)
{
    ngx_uint_t              n;
    ctseg_block_t          *blocks;
    ctseg_block_builder_t  *builders;

    n = g->allocated + 8;

    builders = realloc(g->builders, n * sizeof(ctseg_block_builder_t));
    if (builders == NULL) {
        return false;
    }

    g->builders = builders;

    blocks = realloc(g->blocks, n * sizeof(ctseg_block_t));
    if (blocks == NULL) {
        return false;
    }

    g->blocks = blocks;

    ngx_memzero(&builders[g->allocated], 8 * sizeof(ctseg_block_builder_t));
    g->allocated = n;

    return true;
}


/* the group's events go to blocks one after the other, in order */

static bool
ngx_http_ctseg_group_add(ngx_http_ctseg_group_t *g, const ctseg_event_t *ev)
{
    if (g->nbuilders != 0
        && ctseg_block_add(&g->builders[g->nbuilders - 1], ev))
    {
        return true;
    }

    if (g->nbuilders == g->allocated && !ngx_http_ctseg_group_grow(g)) {
        return false;
    }

    return ctseg_block_add(&g->builders[g->nbuilders++], ev);
}


static void
ngx_http_ctseg_item_fail(ngx_http_ctseg_item_t *item, ngx_uint_t status,
    const char *error, const char *detail)
{
    item->status = status;
    item->collected = 0;
    item->stores = 0;

    ctseg_buf_reset(&item->answer);
    ctseg_upload_render_fail(&item->answer, status, error, detail);
}


static void
ngx_http_ctseg_item_parse(ngx_http_ctseg_group_t *g,
    ngx_http_ctseg_item_t *item, int64_t now_ms)
{
    char             detail[320];
    ctseg_rc_t       rc;
    ngx_uint_t       i;
    ctseg_err_t      err;
    ctseg_str_t      body;
    ctseg_upload_t  *u;

    u = &g->upload;
    ctseg_upload_reset(u);

    if (!ngx_http_ctseg_body_complete(&item->body)) {
        ngx_http_ctseg_item_fail(item, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                 "Internal error", "the body could not be "
                                 "read back from its temporary file");
        return;
    }

    body.data = item->body.data;
    body.len = item->body.len;

    ngx_memzero(&err, sizeof(ctseg_err_t));

    rc = ctseg_upload_parse(u, body, now_ms, &err);

    if (rc == CTSEG_NOMEM) {
        ngx_http_ctseg_item_fail(item, NGX_HTTP_SERVICE_UNAVAILABLE,
                                 "Out of memory", NULL);
        return;
    }

    if (rc != CTSEG_OK) {
        (void) snprintf(detail, sizeof(detail), "%s at byte %zu",
                        err.text, err.offset);

        ngx_http_ctseg_item_fail(item,
                                 rc == CTSEG_TOOBIG
                                 ? NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
                                 : NGX_HTTP_BAD_REQUEST,
                                 rc == CTSEG_TOOBIG ? "Too many records"
                                                    : "Malformed request",
                                 detail);
        return;
    }

    item->status = NGX_HTTP_OK;
    ctseg_upload_render(&item->answer, u);

    if (item->dry_run) {
        return;
    }

    for (i = 0; i < CTSEG_REFUSAL_N; i++) {
        g->refused[i] += u->refused[i];
    }

    if (u->nevents == 0) {
        return;
    }

    for (i = 0; i < u->nevents; i++) {
        if (!ngx_http_ctseg_group_add(g, &u->events[i])) {

            /* what was added of it stays unacknowledged, which is allowed */

            ngx_http_ctseg_item_fail(item, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "Out of memory", NULL);
            return;
        }
    }

    item->collected = u->nevents;
    item->stores = 1;
}


static ctseg_rc_t
ngx_http_ctseg_group_append(ngx_http_ctseg_group_t *g)
{
    bool                      dup;
    ctseg_rc_t                rc;
    ngx_uint_t                i, tries;
    ctseg_pos_t               last;
    ngx_http_ctseg_worker_t  *worker;

    worker = g->task.worker;

    for (i = 0; i < g->nbuilders; i++) {
        rc = ctseg_block_finish(&g->builders[i], &g->blocks[i]);
        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    /* with the same sequence an append is idempotent: repeat unclear ones */

    for (tries = 0; /* void */ ; tries++) {
        rc = ctseg_store_append(worker->store, 0, worker->producer, g->seq,
                                g->blocks, g->nbuilders,
                                ctseg_mono_ms() + NGX_HTTP_CTSEG_APPEND_MS,
                                &last, &dup);

        if ((rc != CTSEG_RETRY && rc != CTSEG_AMBIGUOUS) || tries == 2) {
            return rc;
        }
    }
}


static void
ngx_http_ctseg_collect_thread(ngx_http_ctseg_task_t *task)
{
    int64_t                  now_ms;
    ngx_uint_t               i;
    ngx_http_ctseg_item_t   *item;
    ngx_http_ctseg_group_t  *g;

    g = (ngx_http_ctseg_group_t *) task;

    now_ms = ctseg_now_ms();
    g->rc = CTSEG_OK;
    g->nbuilders = 0;
    g->stored = 0;
    ngx_memzero(g->refused, sizeof(g->refused));

    for (item = g->items; item != NULL; item = item->next) {
        ngx_http_ctseg_item_parse(g, item, now_ms);
    }

    if (g->nbuilders != 0) {
        g->us = ctseg_mono_us();
        g->rc = ngx_http_ctseg_group_append(g);
        g->us = ctseg_mono_us() - g->us;
    }

    for (item = g->items; item != NULL; item = item->next) {

        if (item->stores && g->rc == CTSEG_OK) {
            g->stored += item->collected;
        }

        if (item->stores && g->rc != CTSEG_OK) {
            g->refused[g->rc == CTSEG_FULL ? NGX_HTTP_CTSEG_REFUSED_FULL
                                           : NGX_HTTP_CTSEG_REFUSED_STORE]
                += item->collected;

            ngx_http_ctseg_item_fail(item, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     g->rc == CTSEG_FULL
                                     ? "Store is full"
                                     : "Store is not available",
                                     g->rc == CTSEG_AMBIGUOUS
                                     || g->rc == CTSEG_FATAL
                                     ? "it may have been stored, send it "
                                       "again"
                                     : "nothing was stored, send it again");
        }

        if (item->answer.failed) {
            item->status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    for (i = 0; i < g->nbuilders; i++) {
        ctseg_buf_reset(&g->builders[i].buf);
        g->builders[i].count = 0;
        g->builders[i].kinds = 0;
    }
}


/* ---- back on the loop ---- */


static void
ngx_http_ctseg_collect_figures(ngx_http_ctseg_group_t *g)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_CTSEG_REFUSED_N; i++) {
        ngx_http_ctseg_count_refused(i, g->refused[i]);
    }

    if (g->nbuilders != 0 && g->rc == CTSEG_OK) {
        ngx_http_ctseg_count_commit(g->stored, g->us);
    }
}


static void
ngx_http_ctseg_collect_done(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_item_t   *item, *next;
    ngx_http_ctseg_group_t  *g;

    g = (ngx_http_ctseg_group_t *) task;

    item = g->items;
    g->items = NULL;

    /* that all writing has stopped was told once, when it did */

    if (g->rc != CTSEG_OK) {
        ngx_log_error((g->rc == CTSEG_FATAL ? NGX_LOG_INFO : NGX_LOG_ERR),
                      task->worker->log, 0,
                      "ctseg: events were refused, appending to the store "
                      "failed: %s", ctseg_rc_name(g->rc));
    }

    ngx_http_ctseg_collect_figures(g);

    /* the next commit first: it overlaps with answering this one */

    ngx_http_ctseg_queue.busy = 0;
    ngx_http_ctseg_collect_start(task->worker);

    while (item != NULL) {
        next = item->next;
        ngx_http_ctseg_collect_answer(item);
        item = next;
    }
}


/* answers and frees the item */

static void
ngx_http_ctseg_collect_answer(ngx_http_ctseg_item_t *item)
{
    ngx_int_t                 rc;
    ngx_uint_t                n;
    ngx_http_request_t       *r;
    ngx_http_ctseg_ctx_t     *ctx;
    ngx_http_ctseg_header_t   retry;

    r = item->r;
    n = 0;

    ngx_http_ctseg_resume(r);

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);
    ctx->collected = item->collected;

    if (item->status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        ngx_str_set(&retry.name, "Retry-After");
        ngx_str_set(&retry.value, "1");
        n = 1;
    }

    if (r->connection->error) {
        rc = NGX_ERROR;

    } else if (item->answer.failed) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        ngx_http_ctseg_collect_count(r, item->status);

        rc = ngx_http_ctseg_reply(r, item->status, &ngx_http_ctseg_json_type,
                                  ctseg_buf_slice(&item->answer), &retry, n);
    }

    ngx_http_ctseg_item_free(item);
    ngx_http_ctseg_finish(r, rc);
}
