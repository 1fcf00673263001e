/*
 * POST /exports/preview: what an export of this definition would send.  The
 * log is read in short jobs, so that others of the pool get their turn, and
 * for a limited time, after which the rest is extrapolated.
 */

#include "../outbox/ctseg_preview.h"
#include "ngx_http_ctseg_api.h"


#define NGX_HTTP_CTSEG_PREVIEW_STEP_MS  50
#define NGX_HTTP_CTSEG_PREVIEW_MS       10000


typedef struct {
    ctseg_preview_t           preview;
    ctseg_export_t            export;
    ctseg_export_env_t        env;
    ngx_http_ctseg_region_t  *region;
    int64_t                   deadline;
    unsigned                  gone:1;   /* the client is */
} ngx_http_ctseg_preview_t;


static bool ngx_http_ctseg_preview_begin(ngx_http_ctseg_call_t *call);
static void ngx_http_ctseg_preview_problem(ngx_http_ctseg_call_t *call,
    ctseg_rc_t rc, const ctseg_err_t *err);
static void ngx_http_ctseg_preview_next(ngx_http_ctseg_call_t *call);
static void ngx_http_ctseg_preview_free(void *data);


void
ngx_http_ctseg_export_preview_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t                 rc;
    ctseg_err_t                err;
    ctseg_json_writer_t        w;
    ngx_http_ctseg_call_t     *call;
    ngx_http_ctseg_preview_t  *p;

    call = (ngx_http_ctseg_call_t *) task;

    if (call->data == NULL && !ngx_http_ctseg_preview_begin(call)) {
        return;
    }

    p = call->data;

    if (p->gone) {
        ctseg_preview_free(&p->preview);
        return;
    }

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_preview_step(&p->preview, task->worker->store,
                            ctseg_mono_ms() + NGX_HTTP_CTSEG_PREVIEW_STEP_MS,
                            p->deadline, &err);

    if (rc == CTSEG_AGAIN) {
        call->next = ngx_http_ctseg_preview_next;
        return;
    }

    /* in ten seconds not one batch: there is nothing to extrapolate */

    if (rc == CTSEG_OK && p->preview.upto == p->preview.cut.lo
        && p->preview.upto != p->preview.cut.hi)
    {
        rc = ctseg_err(&err, CTSEG_RETRY, "not a block in time");
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_preview_problem(call, rc, &err);
        return;
    }

    w.buf = &call->out;
    w.comma = false;

    /* its file is closed by this thread */

    ctseg_latest_free(&p->preview.latest);

    ctseg_preview_render(&w, &p->preview, (unsigned) p->region->requests,
                         (unsigned) p->region->events);
    ctseg_buf_char(&call->out, '\n');
    ngx_http_ctseg_call_warn(call, &p->export, &p->env);
}


static bool
ngx_http_ctseg_preview_begin(ngx_http_ctseg_call_t *call)
{
    ctseg_rc_t                 rc;
    ctseg_err_t                err;
    ctseg_export_t             e;
    ctseg_partner_t            partner;
    ctseg_export_env_t         env;
    ngx_http_ctseg_worker_t   *worker;
    ngx_http_ctseg_preview_t  *p;

    worker = call->task.worker;

    if (!ngx_http_ctseg_call_export(call, &e, &partner, &env)) {
        return false;
    }

    p = calloc(1, sizeof(ngx_http_ctseg_preview_t));
    if (p == NULL) {
        call->out.failed = true;
        return false;
    }

    call->data = p;
    call->data_free = ngx_http_ctseg_preview_free;

    p->export = e;
    p->env = env;
    p->region = &worker->conf->regions[partner.region];
    p->deadline = ctseg_mono_ms() + NGX_HTTP_CTSEG_PREVIEW_MS;

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_preview_begin(&p->preview, worker->store,
                             (char *) worker->conf->events_path->name.data,
                             &e, &partner, env.now_ms, p->deadline, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_preview_problem(call, rc, &err);
        return false;
    }

    return true;
}


static void
ngx_http_ctseg_preview_problem(ngx_http_ctseg_call_t *call, ctseg_rc_t rc,
    const ctseg_err_t *err)
{
    if (rc == CTSEG_CORRUPT) {
        ngx_http_ctseg_call_store_problem(call, rc, err, "event");
        return;
    }

    if (rc == CTSEG_NOMEM) {
        call->out.failed = true;
        return;
    }

    (void) snprintf(call->log, sizeof(call->log), "a preview could not read "
                    "the log (%s): %.180s", ctseg_rc_name(rc), err->text);
    ngx_http_ctseg_call_problem(call, 503, "the log of events could not be "
                                "read, see the error log", NULL);
}


static void
ngx_http_ctseg_preview_next(ngx_http_ctseg_call_t *call)
{
    ngx_http_ctseg_preview_t  *p;

    /* what it has is freed by a thread, files included */

    p = call->data;
    p->gone = ngx_http_ctseg_is_gone(call->r);

    ngx_http_ctseg_call_again(call, call->work);
}


static void
ngx_http_ctseg_preview_free(void *data)
{
    ngx_http_ctseg_preview_t  *p = data;

    ctseg_preview_free(&p->preview);
    free(p);
}
