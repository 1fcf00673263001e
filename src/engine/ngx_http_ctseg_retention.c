/*
 * Retention.
 *
 * Each worker looks twice a minute; what is to be removed is removed by one
 * of them, which holds a lease meanwhile.  The lease saves work and nothing
 * else: two that remove at once remove the same blocks.  A step is one short
 * transaction, and then as long a pause, so that uploads get their turn at
 * the log.  What may go is asked anew before each step: an export that was
 * stopped frees its events at once, and one that was made keeps them.
 *
 * "Twice a minute" is read off the wall clock, which is what events age by;
 * so a machine whose clock was set does not wait.
 */

#include "../base/ctseg_str.h"
#include "../outbox/ctseg_retain.h"
#include "../store/ctseg_lease.h"
#include "../store/ctseg_state.h"
#include "ngx_http_ctseg_retention.h"


#define NGX_HTTP_CTSEG_RETENTION_TICK_MS   500
#define NGX_HTTP_CTSEG_RETENTION_EVERY_MS  30000
#define NGX_HTTP_CTSEG_RETENTION_PAUSE_MS  20   /* at least */
#define NGX_HTTP_CTSEG_RETENTION_STEP_MS   10000
#define NGX_HTTP_CTSEG_RETENTION_BLOCKS    64   /* of a step, 64 MB at most */
#define NGX_HTTP_CTSEG_RETENTION_ALARM_MS  3600000

#define NGX_HTTP_CTSEG_RETENTION_LEASE  "lease/retention"


/* one step: a thread's, while it is posted */

typedef struct {
    ngx_http_ctseg_task_t   task;

    /* kept from step to step */

    ctseg_lease_watch_t    *watch;
    uint64_t                lease;      /* revision of ours, 0: none */
    int64_t                 leased_ms;  /* monotonic: taken or renewed */
    unsigned                blocks;     /* at most, in one step */

    /* what the loop tells the thread */

    unsigned                first:1;    /* of a look */
    unsigned                leave:1;    /* give the lease back, no more */

    /* what the thread tells the loop */

    unsigned                more:1;     /* there may be more to remove */
    uint64_t                removed;
    int64_t                 took_ms;
    char                    error[200];
    char                    alarm[256];
} ngx_http_ctseg_retention_step_t;


typedef struct {
    ngx_http_ctseg_worker_t          *worker;
    ngx_http_ctseg_retention_step_t  *step;
    ngx_event_t                       timer;
    int64_t                           looked_ms;    /* wall clock */
    uint64_t                          removed;      /* since it began */
    ngx_uint_t                        steps;
    unsigned                          busy:1;       /* the step is posted */
    unsigned                          again:1;      /* more is known of */
} ngx_http_ctseg_retention_t;


static void ngx_http_ctseg_retention_handler(ngx_event_t *ev);
static void ngx_http_ctseg_retention_thread(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_retention_done(ngx_http_ctseg_task_t *task);


static ngx_http_ctseg_retention_t  ngx_http_ctseg_retention;


ngx_int_t
ngx_http_ctseg_retention_init(ngx_http_ctseg_worker_t *worker)
{
    ngx_http_ctseg_retention_t       *rt;
    ngx_http_ctseg_retention_step_t  *step;

    rt = &ngx_http_ctseg_retention;

    ngx_memzero(rt, sizeof(ngx_http_ctseg_retention_t));

    step = ngx_http_ctseg_task_create(worker,
                                    sizeof(ngx_http_ctseg_retention_step_t),
                                    ngx_http_ctseg_retention_thread,
                                    ngx_http_ctseg_retention_done);
    if (step == NULL) {
        return NGX_ERROR;
    }

    step->blocks = NGX_HTTP_CTSEG_RETENTION_BLOCKS;
    step->watch = ctseg_lease_watch_create();
    if (step->watch == NULL) {
        return NGX_ERROR;
    }

    rt->worker = worker;
    rt->step = step;

    /* cancelable: an exiting worker does not wait for it */

    rt->timer.handler = ngx_http_ctseg_retention_handler;
    rt->timer.data = &worker->dummy;
    rt->timer.log = worker->log;
    rt->timer.cancelable = 1;

    ngx_add_timer(&rt->timer,
                  1 + ngx_random() % NGX_HTTP_CTSEG_RETENTION_TICK_MS);

    return NGX_OK;
}


static void
ngx_http_ctseg_retention_handler(ngx_event_t *ev)
{
    int64_t                      now;
    ngx_http_ctseg_retention_t  *rt;

    rt = &ngx_http_ctseg_retention;

    ngx_add_timer(ev, NGX_HTTP_CTSEG_RETENTION_TICK_MS);

    if (rt->busy || ngx_exiting || ngx_quit || ngx_terminate) {
        return;
    }

    now = ctseg_now_ms();

    if (!rt->again && now >= rt->looked_ms
        && now - rt->looked_ms < NGX_HTTP_CTSEG_RETENTION_EVERY_MS)
    {
        return;
    }

    rt->step->first = !rt->again;

    /* one that is refused is due at the next tick still */

    if (ngx_http_ctseg_task_post(&rt->step->task) == NGX_OK) {
        rt->busy = 1;
        rt->again = 0;
        rt->looked_ms = now;
    }
}


static void
ngx_http_ctseg_retention_done(ngx_http_ctseg_task_t *task)
{
    ngx_log_t                        *log;
    ngx_uint_t                        leaving;
    ngx_http_ctseg_retention_t       *rt;
    ngx_http_ctseg_retention_step_t  *step;

    rt = &ngx_http_ctseg_retention;
    step = (ngx_http_ctseg_retention_step_t *) task;
    log = task->worker->log;

    rt->busy = 0;

    if (step->removed != 0) {
        rt->removed += step->removed;
        rt->steps++;
    }

    if (step->error[0] != '\0') {
        ngx_log_error(NGX_LOG_ERR, log, 0, "ctseg: retention: %s",
                      step->error);
    }

    if (step->alarm[0] != '\0') {
        ngx_log_error(NGX_LOG_ERR, log, 0, "ctseg: retention: %s",
                      step->alarm);
    }

    leaving = ngx_exiting || ngx_quit || ngx_terminate;

    if (step->more && !leaving) {
        rt->again = 1;

        /* one that is set is not moved by a little */

        if (rt->timer.timer_set) {
            ngx_del_timer(&rt->timer);
        }

        ngx_add_timer(&rt->timer,
                      (ngx_msec_t) ngx_max(step->took_ms,
                                         NGX_HTTP_CTSEG_RETENTION_PAUSE_MS));
        return;
    }

    if (rt->removed != 0) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "ctseg: retention removed %uL events in %ui steps",
                      rt->removed, rt->steps);
        rt->removed = 0;
        rt->steps = 0;
    }

    if (step->lease != 0 && !step->leave) {
        step->leave = 1;

        if (ngx_http_ctseg_task_post(&step->task) == NGX_OK) {
            rt->busy = 1;
            return;
        }
    }

    step->leave = 0;
}


/* ---- the thread ---- */


static void
ngx_http_ctseg_retention_error(ngx_http_ctseg_retention_step_t *step,
    const char *what, ctseg_rc_t rc, const ctseg_err_t *err)
{
    (void) snprintf(step->error, sizeof(step->error), "%s: %s %.120s", what,
                    ctseg_rc_name(rc), err->text);
}


/* an operator is told what is held, by one worker, once an hour */

static void
ngx_http_ctseg_retention_alarm(ngx_http_ctseg_retention_step_t *step,
    const ctseg_retain_t *look)
{
    char         since[CTSEG_RFC3339_LEN + 1];
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_alarm_claim(step->task.worker->store, "retention",
                           ctseg_now_ms(), NGX_HTTP_CTSEG_RETENTION_ALARM_MS,
                           &err);

    if (rc == CTSEG_CONFLICT) {
        return;
    }

    /* a store that cannot take the note must not keep it quiet */

    ctseg_rfc3339(since, look->held_since_ms);

    (void) snprintf(step->alarm, sizeof(step->alarm), "%llu events, which "
                    "arrived since %s and are older than retention=, stay "
                    "because export %s has not sent them; stop it, or mend "
                    "what keeps it",
                    (unsigned long long) look->held, since, look->export_id);
}


/* OK: the lease is ours; CONFLICT: another worker is at it */

static ctseg_rc_t
ngx_http_ctseg_retention_lease(ngx_http_ctseg_retention_step_t *step)
{
    int64_t                   now;
    ctseg_rc_t                rc;
    ngx_http_ctseg_worker_t  *worker;

    worker = step->task.worker;
    now = ctseg_mono_ms();

    if (step->lease == 0) {
        rc = ctseg_lease_acquire(worker->store, step->watch,
                                 NGX_HTTP_CTSEG_RETENTION_LEASE,
                                 worker->owner, now, CTSEG_LEASE_TTL_MS,
                                 &step->lease);

    } else if (now - step->leased_ms < CTSEG_LEASE_RENEW_MS) {
        return CTSEG_OK;

    } else {
        rc = ctseg_lease_renew(worker->store, NGX_HTTP_CTSEG_RETENTION_LEASE,
                               worker->owner, &step->lease);
    }

    if (rc == CTSEG_OK) {
        step->leased_ms = now;

    } else {
        step->lease = 0;
    }

    return rc;
}


/* one transaction; where there is no room for it, smaller ones */

static void
ngx_http_ctseg_retention_trim(ngx_http_ctseg_retention_step_t *step,
    const ctseg_retain_t *look, int64_t deadline)
{
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    rc = ctseg_store_trim(step->task.worker->store, 0, look->before_ms,
                          look->keep_from, step->blocks, deadline,
                          &step->removed);

    switch (rc) {

    case CTSEG_OK:
        step->more = 1;
        step->blocks = ngx_min(step->blocks * 2,
                               NGX_HTTP_CTSEG_RETENTION_BLOCKS);
        return;

    case CTSEG_AGAIN:
        return;

    case CTSEG_FULL:
        if (step->blocks > 1) {
            step->blocks /= 2;
            step->more = 1;
            return;
        }

        /* fall through */

    default:
        ngx_memzero(&err, sizeof(err));
        ngx_http_ctseg_retention_error(step, "removing events failed", rc,
                                       &err);
    }
}


static void
ngx_http_ctseg_retention_step(ngx_http_ctseg_retention_step_t *step)
{
    int64_t                   now, before, deadline;
    ctseg_rc_t                rc;
    ctseg_err_t               err;
    ctseg_retain_t            look;
    ngx_http_ctseg_worker_t  *worker;

    worker = step->task.worker;
    ngx_memzero(&err, sizeof(err));

    if (step->first) {
        (void) ctseg_store_sweep(worker->store);
    }

    now = ctseg_now_ms();
    before = ctseg_retention_before(now, (int64_t) worker->conf->retention
                                         * 1000);
    deadline = ctseg_mono_ms() + NGX_HTTP_CTSEG_RETENTION_STEP_MS;

    rc = ctseg_retain_look(worker->store, before, now, deadline, &look, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_retention_error(step, "looking at the log failed", rc,
                                       &err);
        return;
    }

    if (look.held != 0 && step->first) {
        ngx_http_ctseg_retention_alarm(step, &look);
    }

    if (!look.due) {
        return;
    }

    rc = ngx_http_ctseg_retention_lease(step);

    if (rc == CTSEG_OK) {
        ngx_http_ctseg_retention_trim(step, &look, deadline);

    } else if (rc != CTSEG_CONFLICT) {
        ngx_http_ctseg_retention_error(step, "taking its lease failed", rc,
                                       &err);
    }
}


static void
ngx_http_ctseg_retention_thread(ngx_http_ctseg_task_t *task)
{
    int64_t                           began;
    ngx_http_ctseg_retention_step_t  *step;

    step = (ngx_http_ctseg_retention_step_t *) task;
    began = ctseg_mono_ms();

    step->more = 0;
    step->removed = 0;
    step->error[0] = '\0';
    step->alarm[0] = '\0';

    if (!step->leave) {
        ngx_http_ctseg_retention_step(step);

    } else {

        /* if that fails, others find its owner idle for its time to live */

        (void) ctseg_lease_release(task->worker->store,
                                   NGX_HTTP_CTSEG_RETENTION_LEASE,
                                   step->lease);
        step->lease = 0;
    }

    step->took_ms = ctseg_mono_ms() - began;
}
