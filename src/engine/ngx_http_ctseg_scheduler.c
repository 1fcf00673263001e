/*
 * The scheduler.
 *
 * A timer looks at the store's revision; when it moved, or something may be
 * due or given up by its owner, a thread walks the exports that are not
 * final and claims what this worker can take.  A claim is a compare-and-set
 * on the run record, so of all the workers that try one wins.
 *
 * It also completes what a crash left half done: a run that is over while
 * its export does not know, a stop whose run nobody ended.
 */

#include "../bridge/ngx_http_ctseg_count.h"
#include "ngx_http_ctseg_look_int.h"
#include "ngx_http_ctseg_rate.h"
#include "ngx_http_ctseg_scheduler.h"


#define NGX_HTTP_CTSEG_TICK_MS    200


typedef struct {
    ngx_http_ctseg_worker_t  *worker;
    ngx_http_ctseg_look_t    *look;
    ngx_event_t               timer;
    ngx_msec_t                exiting_since;
    unsigned                  looking:1;
    unsigned                  exiting:1;
} ngx_http_ctseg_scheduler_t;


static void ngx_http_ctseg_scheduler_handler(ngx_event_t *ev);
static void ngx_http_ctseg_scheduler_exit(ngx_http_ctseg_scheduler_t *s);
static void ngx_http_ctseg_look_done(ngx_http_ctseg_task_t *task);


static ngx_http_ctseg_scheduler_t  ngx_http_ctseg_scheduler;


ngx_int_t
ngx_http_ctseg_scheduler_init(ngx_http_ctseg_worker_t *worker)
{
    ngx_http_ctseg_look_t       *look;
    ngx_http_ctseg_scheduler_t  *s;

    s = &ngx_http_ctseg_scheduler;

    ngx_memzero(s, sizeof(ngx_http_ctseg_scheduler_t));

    ngx_http_ctseg_retry_init();

    if (ngx_http_ctseg_runner_init(worker) != NGX_OK
        || ngx_http_ctseg_import_init(worker) != NGX_OK)
    {
        return NGX_ERROR;
    }

    look = ngx_http_ctseg_task_create(worker, sizeof(ngx_http_ctseg_look_t),
                                      ngx_http_ctseg_look_thread,
                                      ngx_http_ctseg_look_done);
    if (look == NULL) {
        return NGX_ERROR;
    }

    look->watch = ctseg_lease_watch_create();
    look->idle = ctseg_lease_watch_create();
    if (look->watch == NULL || look->idle == NULL) {
        return NGX_ERROR;
    }

    look->due_ms = INT64_MAX;

    s->worker = worker;
    s->look = look;

    s->timer.handler = ngx_http_ctseg_scheduler_handler;
    s->timer.data = &worker->dummy;
    s->timer.log = worker->log;
    s->timer.cancelable = 1;

    ngx_add_timer(&s->timer, 1 + ngx_random() % NGX_HTTP_CTSEG_TICK_MS);

    return NGX_OK;
}


static void
ngx_http_ctseg_scheduler_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_look_t       *look;
    ngx_http_ctseg_scheduler_t  *s;

    s = &ngx_http_ctseg_scheduler;

    ngx_add_timer(ev, NGX_HTTP_CTSEG_TICK_MS);
    ngx_http_ctseg_runner_tidy();

    if (ngx_exiting || ngx_quit || ngx_terminate) {
        ngx_http_ctseg_scheduler_exit(s);
        return;
    }

    if (s->looking) {
        return;
    }

    look = s->look;

    look->nmine = ngx_http_ctseg_runner_exports(look->mine,
                                                NGX_HTTP_CTSEG_RUNS_MAX);
    look->room = NGX_HTTP_CTSEG_RUNS_MAX - look->nmine;
    look->nclaims = 0;
    look->nnotes = 0;
    look->nstalled = 0;

    ngx_http_ctseg_retry_prepare(&look->retries);
    ngx_http_ctseg_import_prepare(&look->imports);

    if (ngx_http_ctseg_runner_has_lost()) {
        look->foreign = 1;
    }

    if (ngx_http_ctseg_task_post(&look->task) == NGX_OK) {
        s->looking = 1;
    }
}


/* hand over what waits; past worker_shutdown_timeout also what is under way */

static void
ngx_http_ctseg_scheduler_exit(ngx_http_ctseg_scheduler_t *s)
{
    ngx_uint_t        force;
    ngx_core_conf_t  *ccf;

    if (!s->exiting) {
        s->exiting = 1;
        s->exiting_since = ngx_current_msec;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(s->worker->cycle->conf_ctx,
                                           ngx_core_module);

    force = ccf->shutdown_timeout != 0
            && ccf->shutdown_timeout != NGX_CONF_UNSET_MSEC
            && ngx_current_msec - s->exiting_since >= ccf->shutdown_timeout;

    ngx_http_ctseg_runner_drain(force);
    ngx_http_ctseg_retry_drain(force);
    ngx_http_ctseg_import_drain();
}


static void
ngx_http_ctseg_look_done(ngx_http_ctseg_task_t *task)
{
    ngx_uint_t              i;
    ngx_http_ctseg_look_t  *look;

    look = (ngx_http_ctseg_look_t *) task;

    ngx_http_ctseg_scheduler.looking = 0;

    for (i = 0; i < look->nnotes; i++) {
        ngx_log_error(NGX_LOG_ERR, task->worker->log, 0, "ctseg: %s",
                      look->notes[i]);
    }

    for (i = 0; i < look->nstalled; i++) {
        ngx_http_ctseg_count_violation();
        ngx_log_error(NGX_LOG_ERR, task->worker->log, 0, "ctseg: %s",
                      look->stalled[i]);
    }

    if (look->nnotes != 0) {
        look->quiet_ms = ctseg_mono_ms() + NGX_HTTP_CTSEG_AGAIN_MS;
    }

    ngx_http_ctseg_retry_start(task->worker, &look->retries);
    ngx_http_ctseg_import_start(task->worker, &look->imports);

    for (i = 0; i < look->nclaims; i++) {

        if (ngx_http_ctseg_runner_has(look->claims[i].export_id)) {
            continue;
        }

        /* where the partner pauses, one batch tells if it still does */

        ngx_http_ctseg_rate_hold(task->worker, &look->claims[i],
                                 look->held[i],
                                 look->claims[i].paused_ms != 0);

        if (ngx_http_ctseg_runner_start(task->worker, &look->claims[i])
            != NGX_OK)
        {
            ngx_log_error(NGX_LOG_ERR, task->worker->log, 0,
                          "ctseg: export %s: no memory for its run",
                          look->claims[i].export_id);
            look->foreign = 1;
        }
    }
}
