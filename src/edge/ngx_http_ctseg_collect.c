/*
 * Collect.
 *
 * Requests park in a queue of this worker.  One job at a time takes all of
 * it (up to a bound) to a thread (ngx_http_ctseg_group.c), which appends the
 * events of all in one transaction, and on the way back every request is
 * answered.  While it runs, the next group gathers: the commit clocks itself,
 * there is no timer and, at rest, no delay.  A 2xx leaves only after the
 * commit.  A copy by "mirror" leaves at once, since its client waits for
 * somebody else's answer (ngx_http_ctseg_copy.c).
 */

#include "../base/ctseg_str.h"
#include "../clevertap/ctseg_intake.h"
#include "../bridge/ngx_http_ctseg_count.h"
#include "../bridge/ngx_http_ctseg_ctx.h"
#include "../bridge/ngx_http_ctseg_wake.h"
#include "ngx_http_ctseg_collect.h"
#include "ngx_http_ctseg_copy.h"
#include "ngx_http_ctseg_credentials.h"
#include "ngx_http_ctseg_file.h"
#include "ngx_http_ctseg_group.h"
#include "ngx_http_ctseg_reply.h"

#include <sys/random.h>


#define NGX_HTTP_CTSEG_GROUP_BYTES   (4 * 1024 * 1024)
#define NGX_HTTP_CTSEG_GROUP_ITEMS   4096
#define NGX_HTTP_CTSEG_GROUPS        3
#define NGX_HTTP_CTSEG_AHEAD_BYTES   (384 * 1024)
#define NGX_HTTP_CTSEG_ROUNDS_MORE   3
#define NGX_HTTP_CTSEG_QUEUE_BYTES   (64 * 1024 * 1024)
#define NGX_HTTP_CTSEG_QUEUE_ITEMS   16384
#define NGX_HTTP_CTSEG_FORGOT_EVERY  3600       /* s */
#define NGX_HTTP_CTSEG_EVENT_LEN     512
#define NGX_HTTP_CTSEG_WEIGHT        64
#define NGX_HTTP_CTSEG_INFLATE       (64 * 1024 * 1024)


typedef struct {
    ngx_http_ctseg_item_t   *head;
    ngx_http_ctseg_item_t  **tail;
    ngx_uint_t               nitems;
    size_t                   bytes;
    ngx_http_ctseg_group_t  *group[NGX_HTTP_CTSEG_GROUPS];
    ngx_event_t              next;      /* starts what has been gathered */
    ngx_uint_t               rounds;    /* that it has waited for more */
    ngx_uint_t               seen;      /* items that waited in the last one */
    time_t                   forgot;    /* when it was told last */
} ngx_http_ctseg_queue_t;


static ngx_int_t ngx_http_ctseg_collect_handler(ngx_http_request_t *r);
static void ngx_http_ctseg_collect_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_ctseg_collect_fail(ngx_http_request_t *r,
    ngx_uint_t status, const char *error, const char *detail);
static void ngx_http_ctseg_collect_count(ngx_http_request_t *r,
    ngx_uint_t status);
static void ngx_http_ctseg_collect_start(ngx_http_ctseg_worker_t *worker);
static void ngx_http_ctseg_collect_done(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_collect_next(ngx_event_t *ev);
static void ngx_http_ctseg_collect_answer(ngx_http_ctseg_item_t *item);


static ngx_http_ctseg_queue_t  ngx_http_ctseg_queue;

static ngx_str_t  ngx_http_ctseg_json_type = ngx_string("application/json");


static ngx_int_t
ngx_http_ctseg_collect_format(ngx_str_t *value, ngx_uint_t *format)
{
    ngx_uint_t  i;

    static const char  *formats[] = { "auto", "upload", "webhook", "file" };

    for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (ngx_strcmp(value->data + 7, formats[i]) == 0) {
            *format = i;
            return NGX_OK;
        }
    }

    return NGX_ERROR;
}


char *
ngx_http_ctseg_collect(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ctseg_loc_conf_t  *lcf = conf;

    ngx_str_t                   *value;
    ngx_uint_t                   i;
    ctseg_str_t                  name;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_ctseg_main_conf_t  *mcf;

    if (lcf->collect != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (lcf->dashboard != NULL) {
        return "cannot share a location with \"ctseg_dashboard\"";
    }

    if (lcf->api != NGX_CONF_UNSET) {
        return "cannot share a location with \"ctseg_api\"";
    }

    if (lcf->metrics != NGX_CONF_UNSET) {
        return "cannot share a location with \"ctseg_metrics\"";
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "format=", 7) == 0) {

            if (ngx_http_ctseg_collect_format(&value[i], &lcf->format)
                != NGX_OK)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "format \"%s\" is not supported, "
                                   "\"upload\", \"webhook\", \"file\" or "
                                   "\"auto\" is expected",
                                   value[i].data + 7);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "event=", 6) == 0) {
            lcf->event.data = value[i].data + 6;
            lcf->event.len = value[i].len - 6;
            name = ngx_http_ctseg_slice(&lcf->event);

            if (ctseg_intake_is_blank(name)
                || name.len > NGX_HTTP_CTSEG_EVENT_LEN
                || ctseg_utf8_check(name) != name.len)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid event \"%V\", a name of 1 to %d "
                                   "bytes of UTF-8 is expected",
                                   &lcf->event, NGX_HTTP_CTSEG_EVENT_LEN);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\"", &value[i]);
        return NGX_CONF_ERROR;
    }

    if (lcf->event.len != 0
        && lcf->format != NGX_HTTP_CTSEG_FORMAT_AUTO
        && lcf->format != NGX_HTTP_CTSEG_FORMAT_WEBHOOK)
    {
        return "has an event for webhooks, and a format that takes none";
    }

    lcf->collect = 1;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ctseg_module);
    mcf->collects = 1;

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
    q->next.handler = ngx_http_ctseg_collect_next;
    q->next.data = &worker->dummy;
    q->next.log = worker->log;

    for (i = 0; i < NGX_HTTP_CTSEG_GROUPS; i++) {
        q->group[i] = ngx_http_ctseg_task_create(worker,
                                            sizeof(ngx_http_ctseg_group_t),
                                            ngx_http_ctseg_group_thread,
                                            ngx_http_ctseg_collect_done);
        if (q->group[i] == NULL) {
            return NGX_ERROR;
        }

        if (getrandom(q->group[i]->producer, CTSEG_PRODUCER_LEN, 0)
            != CTSEG_PRODUCER_LEN)
        {
            ngx_log_error(NGX_LOG_EMERG, worker->log, ngx_errno,
                          "ctseg: getrandom() failed");
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* refuse a request whose body nobody has read */

static ngx_int_t
ngx_http_ctseg_collect_deny(ngx_http_request_t *r, ngx_uint_t status,
    const char *error, const char *detail)
{
    ngx_int_t  rc;

    rc = ngx_http_discard_request_body(r);

    return rc != NGX_OK ? rc
                        : ngx_http_ctseg_collect_fail(r, status, error,
                                                      detail);
}


static ngx_int_t
ngx_http_ctseg_collect_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_str_t                   account;
    ngx_uint_t                  files;
    ngx_http_ctseg_ctx_t       *ctx;
    ngx_http_ctseg_worker_t    *worker;
    ngx_http_ctseg_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ctseg_module);

    files = lcf->format == NGX_HTTP_CTSEG_FORMAT_FILE;

    if (r->method != NGX_HTTP_POST && !(files && r->method == NGX_HTTP_PUT)) {
        return ngx_http_ctseg_collect_deny(r, NGX_HTTP_NOT_ALLOWED,
                                           "Method not allowed",
                                           files
                                           ? "files are sent by PUT or POST"
                                           : "events are sent by POST");
    }

    if (!ngx_http_ctseg_may_upload(r, &account)) {
        return ngx_http_ctseg_collect_deny(r, NGX_HTTP_UNAUTHORIZED,
                                           "Invalid credentials",
                                           "X-CleverTap-Account-Id and "
                                           "X-CleverTap-Passcode name no "
                                           "account");
    }

    if (!files && !ngx_http_ctseg_is_json(r)) {
        return ngx_http_ctseg_collect_deny(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                           "Unsupported media type",
                                           "Content-Type must be "
                                           "application/json");
    }

    if (ngx_http_ctseg_is_encoded(r) && !ngx_http_ctseg_is_gzip(r)) {
        return ngx_http_ctseg_collect_deny(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                           "Unsupported content encoding",
                                           "Content-Encoding must be gzip or "
                                           "absent");
    }

    worker = ngx_http_ctseg_worker();

    if (worker == NULL || worker->store == NULL) {
        return ngx_http_ctseg_collect_deny(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                           "Store is not available",
                                           "the store could not be opened, "
                                           "see the error log");
    }

    ctx = ngx_http_ctseg_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->is_collect = 1;
    ctx->account = account;

    if (files) {
        return ngx_http_ctseg_file_handler(r, worker);
    }

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
    ngx_int_t                   rc;
    ngx_uint_t                  n;
    ctseg_buf_t                 answer;
    ngx_http_ctseg_header_t     header;
    ngx_http_ctseg_loc_conf_t  *lcf;

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
        lcf = ngx_http_get_module_loc_conf(r, ngx_http_ctseg_module);

        ngx_str_set(&header.name, "Allow");
        ngx_str_set(&header.value, "POST");
        n = 1;

        if (lcf->format == NGX_HTTP_CTSEG_FORMAT_FILE) {
            ngx_str_set(&header.value, "POST, PUT");
        }
    }

    ngx_http_ctseg_collect_count(r, status);

    if (ngx_http_ctseg_is_copy(r) && status >= NGX_HTTP_INTERNAL_SERVER_ERROR)
    {
        ngx_http_ctseg_copy_lost(ctseg_buf_slice(&answer));
    }

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
    ngx_http_ctseg_copy_free(item);
    ctseg_buf_free(&item->answer);
    ngx_free(item);
}


/*
 * What a body may become counts in a group, so that little is in memory at a
 * time: gzip becomes up to a thousand times as large, a webhook a few hundred.
 */

static size_t
ngx_http_ctseg_collect_weight(ngx_http_ctseg_item_t *item)
{
    if (item->inflate != 0
        || item->format == NGX_HTTP_CTSEG_FORMAT_WEBHOOK)
    {
        return item->body.len * NGX_HTTP_CTSEG_WEIGHT;
    }

    return item->body.len;
}


static void
ngx_http_ctseg_collect_body_handler(ngx_http_request_t *r)
{
    size_t                      size;
    ngx_int_t                   rc;
    ngx_str_t                   value;
    ngx_uint_t                  copy;
    ngx_http_ctseg_item_t      *item;
    ngx_http_ctseg_queue_t     *q;
    ngx_http_ctseg_worker_t    *worker;
    ngx_http_ctseg_ctx_t       *ctx;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_ctseg_loc_conf_t  *lcf;

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

    size = ngx_http_ctseg_body_size(r);

    item = ngx_alloc(sizeof(ngx_http_ctseg_item_t) + size,
                     r->connection->log);
    if (item == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_memzero(item, sizeof(ngx_http_ctseg_item_t));
    ngx_http_ctseg_body_copy(r, &item->body, (char *) (item + 1), size);

    item->r = r;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ctseg_module);

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);

    item->account = ctx->account;
    item->format = lcf->format;
    item->event = lcf->event;

    if (ngx_http_ctseg_is_gzip(r)) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        item->inflate = clcf->client_max_body_size != 0
                        ? (size_t) clcf->client_max_body_size
                        : NGX_HTTP_CTSEG_INFLATE;
    }

    if (ngx_http_arg(r, (u_char *) "dryRun", 6, &value) == NGX_OK
        && value.len == 1 && value.data[0] == '1')
    {
        item->dry_run = 1;
    }

    if (!ngx_http_ctseg_is_copy(r)) {
        ngx_http_ctseg_suspend(r);

    } else if (ngx_http_ctseg_copy_detach(item) != NGX_OK) {
        ngx_http_ctseg_item_free(item);
        rc = ngx_http_ctseg_collect_fail(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "Too many requests are waiting",
                                         "too many bodies lie in files");
        ngx_http_finalize_request(r, rc);
        return;
    }

    copy = item->r == NULL;

    *q->tail = item;
    q->tail = &item->next;
    q->nitems++;
    q->bytes += item->body.len;
    item->weight = ngx_http_ctseg_collect_weight(item);

    if (!q->next.posted) {
        ngx_http_ctseg_collect_start(worker);
    }

    if (copy) {
        ngx_http_finalize_request(r, NGX_OK);
    }
}


/*
 * Who may be the next.  While one group is committed, what comes is gathered
 * to be committed at once; but where there is much, it need not wait for the
 * disk: one group is parsed while another one is written, and a third waits
 * for the flush of the one behind it.
 */

static ngx_http_ctseg_group_t *
ngx_http_ctseg_collect_idle(ngx_http_ctseg_queue_t *q)
{
    ngx_uint_t               i, busy;
    ngx_http_ctseg_group_t  *idle;

    busy = 0;
    idle = NULL;

    for (i = 0; i < NGX_HTTP_CTSEG_GROUPS; i++) {

        if (q->group[i]->busy) {
            busy++;

        } else {
            idle = q->group[i];
        }
    }

    return busy == 0 || q->bytes >= NGX_HTTP_CTSEG_AHEAD_BYTES ? idle : NULL;
}


/* hand the next group to a thread, if anything waits */

static void
ngx_http_ctseg_collect_start(ngx_http_ctseg_worker_t *worker)
{
    size_t                   bytes, weight;
    ngx_uint_t               n;
    ngx_http_ctseg_item_t   *item, *next, **last;
    ngx_http_ctseg_queue_t  *q;
    ngx_http_ctseg_group_t  *group;

    q = &ngx_http_ctseg_queue;

again:

    group = q->head == NULL ? NULL : ngx_http_ctseg_collect_idle(q);

    if (group == NULL) {
        return;
    }

    bytes = 0;
    weight = 0;
    n = 0;
    last = &q->head;

    do {
        item = *last;
        bytes += item->body.len;
        weight += item->weight;
        n++;
        last = &item->next;

    } while (*last != NULL && n < NGX_HTTP_CTSEG_GROUP_ITEMS
             && weight + (*last)->weight <= NGX_HTTP_CTSEG_GROUP_BYTES);

    group->items = q->head;
    group->seq++;

    q->head = *last;
    *last = NULL;

    if (q->head == NULL) {
        q->tail = &q->head;
    }

    q->nitems -= n;
    q->bytes -= bytes;
    group->busy = 1;

    if (ngx_http_ctseg_task_post(&group->task) == NGX_OK) {
        return;
    }

    /* the pool's queue is full: say so to these, the next may fare better */

    group->busy = 0;
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


/* ---- back on the loop ---- */


static void
ngx_http_ctseg_collect_figures(ngx_http_ctseg_group_t *g)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_CTSEG_REFUSED_N; i++) {
        ngx_http_ctseg_count_refused(i, g->refused[i]);
    }

    ngx_http_ctseg_count_repeated(g->repeated);

    if (g->nevents != 0 && g->rc == CTSEG_OK) {
        ngx_http_ctseg_count_commit(g->stored, g->us);
        ngx_http_ctseg_wake();
    }
}


/* there are more ids in a day than there is room for: told once an hour */

static void
ngx_http_ctseg_collect_forgotten(ngx_http_ctseg_group_t *g)
{
    time_t                   now;
    ngx_http_ctseg_queue_t  *q;

    q = &ngx_http_ctseg_queue;
    now = ngx_time();

    if (g->forgotten == 0
        || (q->forgot != 0
            && now >= q->forgot
            && now - q->forgot < NGX_HTTP_CTSEG_FORGOT_EVERY))
    {
        return;
    }

    q->forgot = now;

    ngx_log_error(NGX_LOG_WARN, g->task.worker->log, 0,
                  "ctseg: ids of events are forgotten before 24 hours have "
                  "passed, an eighth of \"events\" is full of them; events "
                  "that are sent again may be stored twice");
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
    ngx_http_ctseg_collect_forgotten(g);

    g->busy = 0;

    while (item != NULL) {
        next = item->next;
        ngx_http_ctseg_collect_answer(item);
        item = next;
    }

    /*
     * Who has an answer may have the next body ready.  These are read before
     * the next group begins: a flush of the disk costs more than the little
     * that it waits.
     */

    if (!ngx_http_ctseg_queue.next.posted) {
        ngx_http_ctseg_queue.rounds = 0;
        ngx_http_ctseg_queue.seen = ngx_http_ctseg_queue.nitems;
        ngx_http_ctseg_hold(task->worker);
        ngx_post_event(&ngx_http_ctseg_queue.next, &ngx_posted_next_events);
    }
}


static void
ngx_http_ctseg_collect_next(ngx_event_t *ev)
{
    ngx_http_ctseg_queue_t   *q;
    ngx_http_ctseg_worker_t  *worker;

    q = &ngx_http_ctseg_queue;
    worker = ngx_http_ctseg_worker();

    if (q->nitems > q->seen && q->rounds++ < NGX_HTTP_CTSEG_ROUNDS_MORE) {
        q->seen = q->nitems;
        ngx_post_event(ev, &ngx_posted_next_events);
        return;
    }

    ngx_http_ctseg_collect_start(worker);
    ngx_http_ctseg_release(worker);
}


/* answers and frees the item */

static void
ngx_http_ctseg_collect_answer(ngx_http_ctseg_item_t *item)
{
    ngx_int_t                 rc;
    ngx_uint_t                n;
    ctseg_str_t               body;
    ngx_http_request_t       *r;
    ngx_http_ctseg_ctx_t     *ctx;
    ngx_http_ctseg_header_t   retry;

    r = item->r;
    n = 0;

    if (r == NULL) {
        ngx_http_ctseg_copy_done(item);
        ngx_http_ctseg_item_free(item);
        return;
    }

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

        body = ctseg_buf_slice(&item->answer);

        if (item->plain_len != 0) {
            body.data = item->plain;
            body.len = item->plain_len;
        }

        rc = ngx_http_ctseg_reply(r, item->status, &ngx_http_ctseg_json_type,
                                  body, &retry, n);
    }

    ngx_http_ctseg_item_free(item);
    ngx_http_ctseg_finish(r, rc);
}
