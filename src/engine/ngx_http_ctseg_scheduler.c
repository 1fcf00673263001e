/*
 * The scheduler.
 *
 * A timer looks at the store's revision; when it moved, or something may be
 * due or given up by its owner, a thread walks the exports that are not
 * final and claims what this worker can take.  A claim is a compare-and-set
 * on the run record, so of all the workers that try one wins.
 *
 * Who changes what is due says so to all workers, and they look at once.  The
 * word may be lost, and nobody says it when time alone makes something due, so
 * the timer is what counts, and the word makes it fast.
 *
 * It also completes what a crash left half done: a run that is over while
 * its export does not know, a stop whose run nobody ended.
 */

#include "../bridge/ngx_http_ctseg_count.h"
#include "../bridge/ngx_http_ctseg_wake.h"
#include "ngx_http_ctseg_look_int.h"
#include "ngx_http_ctseg_rate.h"
#include "ngx_http_ctseg_scheduler.h"


#define NGX_HTTP_CTSEG_TICK_MS    200
#define NGX_HTTP_CTSEG_LOOK_MS    20    /* from one look to the next: many
                                           words become one */
#define NGX_HTTP_CTSEG_LOOK_OVER  64    /* exports, and as long again */


typedef struct {
    ngx_http_ctseg_worker_t  *worker;
    ngx_http_ctseg_look_t    *look;
    ngx_event_t               timer;
    ngx_msec_t                looked_at;
    ngx_msec_t                exiting_since;
    unsigned                  looking:1;
    unsigned                  woken:1;  /* since it began to look */
    unsigned                  exiting:1;
} ngx_http_ctseg_scheduler_t;


static void ngx_http_ctseg_scheduler_handler(ngx_event_t *ev);
static void ngx_http_ctseg_scheduler_woken(void);
static void ngx_http_ctseg_scheduler_hurry(ngx_http_ctseg_scheduler_t *s);
static void ngx_http_ctseg_scheduler_look(ngx_http_ctseg_scheduler_t *s);
static ngx_uint_t ngx_http_ctseg_scheduler_exits(void);
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

    s->looked_at = ngx_current_msec - NGX_HTTP_CTSEG_LOOK_MS;

    if (ngx_http_ctseg_wake_init(worker->cycle, NGX_HTTP_CTSEG_WAKE_DUE,
                                 ngx_http_ctseg_scheduler_woken)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_ctseg_wake_wait(NGX_HTTP_CTSEG_WAKE_DUE);

    return NGX_OK;
}


static void
ngx_http_ctseg_scheduler_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_scheduler_t  *s;

    s = &ngx_http_ctseg_scheduler;

    ngx_add_timer(ev, NGX_HTTP_CTSEG_TICK_MS);
    ngx_http_ctseg_runner_tidy();

    if (ngx_http_ctseg_scheduler_exits()) {
        ngx_http_ctseg_scheduler_exit(s);
        return;
    }

    if (s->looking) {
        ngx_log_debug0(NGX_LOG_DEBUG_HTTP, s->worker->log, 0,
                       "ctseg: still looking");
        return;
    }

    ngx_http_ctseg_scheduler_look(s);
}


static ngx_uint_t
ngx_http_ctseg_scheduler_exits(void)
{
    return ngx_exiting || ngx_quit || ngx_terminate;
}


static void
ngx_http_ctseg_scheduler_woken(void)
{
    ngx_http_ctseg_scheduler_t  *s;

    s = &ngx_http_ctseg_scheduler;

    s->woken = 1;

    if (!s->looking) {
        ngx_http_ctseg_scheduler_hurry(s);
    }
}


/* at once, or when the last look is long enough ago */

static void
ngx_http_ctseg_scheduler_hurry(ngx_http_ctseg_scheduler_t *s)
{
    ngx_msec_t      pause;
    ngx_msec_int_t  wait;

    if (ngx_http_ctseg_scheduler_exits()) {
        return;                         /* the timer takes care of that */
    }

    pause = NGX_HTTP_CTSEG_LOOK_MS
            * (1 + s->look->nids / NGX_HTTP_CTSEG_LOOK_OVER);

    wait = (ngx_msec_int_t) (s->looked_at + pause - ngx_current_msec);

    if (wait <= 0) {
        ngx_http_ctseg_scheduler_look(s);
        return;
    }

    if ((ngx_msec_int_t) (s->timer.timer.key - ngx_current_msec) <= wait) {
        return;
    }

    /* add would keep the old time, which is close to the new one */

    ngx_del_timer(&s->timer);
    ngx_add_timer(&s->timer, (ngx_msec_t) wait);
}


/* what is said from here on is heard, whether or not this look sees it */

static void
ngx_http_ctseg_scheduler_look(ngx_http_ctseg_scheduler_t *s)
{
    ngx_http_ctseg_look_t  *look;

    look = s->look;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, s->worker->log, 0,
                   "ctseg: look, woken:%d", s->woken);

    s->woken = 0;
    s->looked_at = ngx_current_msec;

    ngx_http_ctseg_wake_wait(NGX_HTTP_CTSEG_WAKE_DUE);

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

    if (ngx_http_ctseg_scheduler.woken) {
        ngx_http_ctseg_scheduler_hurry(&ngx_http_ctseg_scheduler);
    }
}
