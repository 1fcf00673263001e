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

#include "../base/ctseg_str.h"
#include "../store/ctseg_lease.h"
#include "ngx_http_ctseg_runner.h"
#include "ngx_http_ctseg_scheduler.h"


#define NGX_HTTP_CTSEG_TICK_MS    200
#define NGX_HTTP_CTSEG_AGAIN_MS   5000  /* after an error */
#define NGX_HTTP_CTSEG_CLAIMS     8     /* in one look */
#define NGX_HTTP_CTSEG_NOTES      16


typedef struct {
    ngx_http_ctseg_task_t   task;

    /* what the loop tells the thread */

    char                    mine[NGX_HTTP_CTSEG_RUNS_MAX][CTSEG_ID_TEXT_MAX];
    ngx_uint_t              nmine;
    ngx_uint_t              room;       /* runs that may be claimed */

    /* the thread's memory between looks */

    ctseg_lease_watch_t    *watch;
    uint64_t                seen_rev;   /* nothing new up to here */
    int64_t                 due_ms;     /* earliest known, INT64_MAX: none */
    unsigned                foreign:1;  /* look again, whatever the revision:
                                           a lease of another is watched */

    int64_t                 quiet_ms;   /* no notes before (monotonic) */

    /* what the thread tells the loop */

    ctseg_run_t             claims[NGX_HTTP_CTSEG_CLAIMS];
    ngx_uint_t              nclaims;
    char                    notes[NGX_HTTP_CTSEG_NOTES][256];
    ngx_uint_t              nnotes;

    /* the thread's scratch */

    char                  (*ids)[CTSEG_ID_TEXT_MAX];
    ngx_uint_t              nids;
    ngx_uint_t              allocated;
    ctseg_export_t          export;
    ctseg_partner_t         partner;
    ctseg_run_t             run;
} ngx_http_ctseg_look_t;


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
static void ngx_http_ctseg_look_thread(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_look_done(ngx_http_ctseg_task_t *task);


static ngx_http_ctseg_scheduler_t  ngx_http_ctseg_scheduler;


ngx_int_t
ngx_http_ctseg_scheduler_init(ngx_http_ctseg_worker_t *worker)
{
    ngx_http_ctseg_look_t       *look;
    ngx_http_ctseg_scheduler_t  *s;

    s = &ngx_http_ctseg_scheduler;

    ngx_memzero(s, sizeof(ngx_http_ctseg_scheduler_t));

    ngx_http_ctseg_runner_init(worker);

    look = ngx_http_ctseg_task_create(worker, sizeof(ngx_http_ctseg_look_t),
                                      ngx_http_ctseg_look_thread,
                                      ngx_http_ctseg_look_done);
    if (look == NULL) {
        return NGX_ERROR;
    }

    look->watch = ctseg_lease_watch_create();
    if (look->watch == NULL) {
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
}


/* ---- on a pool thread ---- */


/* an error for the log; what it is about is tried again, not at each tick */

static void
ngx_http_ctseg_look_note(ngx_http_ctseg_look_t *look, const char *export_id,
    const char *what, ctseg_rc_t rc, const ctseg_err_t *err)
{
    int64_t  again;

    again = ctseg_now_ms() + NGX_HTTP_CTSEG_AGAIN_MS;

    if (again < look->due_ms) {
        look->due_ms = again;
    }

    if (look->nnotes == NGX_HTTP_CTSEG_NOTES
        || ctseg_mono_ms() < look->quiet_ms)
    {
        return;
    }

    (void) snprintf(look->notes[look->nnotes++], sizeof(look->notes[0]),
                    "export %s: %s: %s %.120s", export_id, what,
                    ctseg_rc_name(rc), err->text);
}


static bool
ngx_http_ctseg_look_id(void *data, const char *export_id)
{
    void                   *ids;
    ngx_uint_t              n;
    ngx_http_ctseg_look_t  *look;

    look = data;

    if (look->nids == look->allocated) {
        n = look->allocated == 0 ? 64 : look->allocated * 2;

        ids = realloc(look->ids, n * CTSEG_ID_TEXT_MAX);
        if (ids == NULL) {
            return false;               /* the rest is found next time */
        }

        look->ids = ids;
        look->allocated = n;
    }

    (void) snprintf(look->ids[look->nids++], CTSEG_ID_TEXT_MAX, "%s",
                    export_id);

    return true;
}


static ngx_uint_t
ngx_http_ctseg_look_is_mine(ngx_http_ctseg_look_t *look,
    const char *export_id)
{
    ngx_uint_t  i;

    for (i = 0; i < look->nmine; i++) {
        if (strcmp(look->mine[i], export_id) == 0) {
            return 1;
        }
    }

    return 0;
}


/* may the run of look->run be taken from its owner? */

static ngx_uint_t
ngx_http_ctseg_look_is_free(ngx_http_ctseg_look_t *look)
{
    ctseg_run_t  *run;

    run = &look->run;

    /* ours by name but not here: a start that failed, or an unclear save */

    if (strcmp(run->owner, look->task.worker->owner) == 0) {
        return 1;
    }

    if (ctseg_lease_may_take(look->watch, run->export_id, run->owner,
                             run->rev, ctseg_mono_ms(), CTSEG_LEASE_TTL_MS))
    {
        return 1;
    }

    look->foreign = 1;

    return 0;
}


static void
ngx_http_ctseg_look_claim(ngx_http_ctseg_look_t *look)
{
    ctseg_rc_t    rc;
    ctseg_err_t   err;
    ctseg_run_t  *run;

    run = &look->run;

    if (look->nclaims == NGX_HTTP_CTSEG_CLAIMS || look->nclaims == look->room)
    {
        look->foreign = 1;              /* look again soon */
        return;
    }

    ngx_memzero(&err, sizeof(err));

    (void) snprintf(run->owner, sizeof(run->owner), "%s",
                    look->task.worker->owner);
    run->fence++;

    rc = ctseg_run_put(look->task.worker->store, run, &err);

    if (rc == CTSEG_OK) {
        look->claims[look->nclaims++] = *run;
        return;
    }

    if (rc != CTSEG_CONFLICT) {
        ngx_http_ctseg_look_note(look, run->export_id,
                                 "taking over its run failed", rc, &err);
    }
}


/* end a run that nobody works on; false: not now */

static ngx_uint_t
ngx_http_ctseg_look_end(ngx_http_ctseg_look_t *look, uint64_t number)
{
    ctseg_rc_t       rc;
    ctseg_err_t      err;
    ctseg_run_t     *run;
    ctseg_store_t   *store;
    ctseg_export_t  *e;

    e = &look->export;
    run = &look->run;
    store = look->task.worker->store;

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_run_get(store, e->id, number, run, &err);

    if (rc == CTSEG_OK && run->status == CTSEG_RUN_RUNNING) {

        if (!ngx_http_ctseg_look_is_free(look)) {
            return 0;                   /* its owner ends it */
        }

        run->status = CTSEG_RUN_STOPPED;
        run->finished_ms = ctseg_now_ms();
        run->retry_at_ms = 0;
        run->owner[0] = '\0';

        rc = ctseg_run_put(store, run, &err);
    }

    if (rc == CTSEG_CONFLICT) {
        look->foreign = 1;
        return 0;
    }

    if (rc != CTSEG_OK && rc != CTSEG_NOTFOUND) {
        ngx_http_ctseg_look_note(look, e->id, "ending its run failed", rc,
                                 &err);
        return 0;
    }

    return 1;
}


/*
 * The export is STOPPED or DONE but still listed: end its run, and the next
 * one, which was made when the stop came before its export could name it;
 * then unlist it.
 */

static void
ngx_http_ctseg_look_final(ngx_http_ctseg_look_t *look)
{
    ctseg_rc_t       rc;
    ctseg_err_t      err;
    ctseg_store_t   *store;
    ctseg_export_t  *e;

    e = &look->export;
    store = look->task.worker->store;

    ngx_memzero(&err, sizeof(err));

    if (e->runs != 0 && !ngx_http_ctseg_look_end(look, e->runs)) {
        return;
    }

    if (!ngx_http_ctseg_look_end(look, e->runs + 1)) {
        return;
    }

    rc = ctseg_active_remove(store, e->id, &err);

    if (rc != CTSEG_OK && rc != CTSEG_NOTFOUND) {
        look->foreign = 1;
    }
}


/* RUNNING: is its run over, given up, or in good hands? */

static void
ngx_http_ctseg_look_running(ngx_http_ctseg_look_t *look)
{
    ctseg_rc_t       rc;
    ctseg_err_t      err;
    ctseg_store_t   *store;
    ctseg_export_t  *e;

    e = &look->export;
    store = look->task.worker->store;

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_run_get(store, e->id, e->runs, &look->run, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_look_note(look, e->id, "its run cannot be read", rc,
                                 &err);
        return;
    }

    if (look->run.status != CTSEG_RUN_RUNNING) {
        rc = ngx_http_ctseg_settle_thread(store, &look->run, &err);

        if (rc == CTSEG_CONFLICT) {
            look->foreign = 1;

        } else if (rc != CTSEG_OK) {
            ngx_http_ctseg_look_note(look, e->id, "completing it failed", rc,
                                     &err);
        }

        return;
    }

    if (ngx_http_ctseg_look_is_free(look)) {
        ngx_http_ctseg_look_claim(look);
    }
}


/* the cut and the settings of a new run, as they are at this moment */

static ctseg_rc_t
ngx_http_ctseg_look_cut(ngx_http_ctseg_look_t *look, ctseg_err_t *err)
{
    ctseg_rc_t       rc;
    ctseg_run_t     *run;
    ctseg_store_t   *store;
    ctseg_bounds_t   bounds;
    ctseg_export_t  *e;

    e = &look->export;
    run = &look->run;
    store = look->task.worker->store;

    rc = ctseg_partner_get(store, ctseg_str(e->partner_id), &look->partner,
                           err);
    if (rc != CTSEG_OK) {
        return rc;
    }

    rc = ctseg_store_bounds(store, 0, ctseg_mono_ms()
                                      + CTSEG_STATE_TIMEOUT_MS, &bounds);
    if (rc != CTSEG_OK) {
        return rc;
    }

    ngx_memzero(run, sizeof(ctseg_run_t));

    (void) snprintf(run->export_id, sizeof(run->export_id), "%s", e->id);
    (void) snprintf(run->partner_id, sizeof(run->partner_id), "%s",
                    e->partner_id);
    (void) snprintf(run->owner, sizeof(run->owner), "%s",
                    look->task.worker->owner);

    run->number = e->runs + 1;
    run->status = CTSEG_RUN_RUNNING;
    run->export_revision = e->revision;
    run->region = look->partner.region;
    run->fence = 1;
    run->scheduled_ms = e->next_run_ms;
    run->started_ms = ctseg_now_ms();
    run->coalesced_slots = 1;

    ctseg_run_pin(run, e, &look->partner);

    /* event time selects, so every event kept is looked at */

    run->incarnation = bounds.incarnation;
    run->lo = bounds.first != 0 ? bounds.first - 1 : bounds.last;
    run->hi = bounds.last;
    run->cursor = run->lo;

    return CTSEG_OK;
}


/* PENDING and due: make the run, then say RUNNING */

static void
ngx_http_ctseg_look_pending(ngx_http_ctseg_look_t *look)
{
    ctseg_rc_t       rc;
    ctseg_err_t      err;
    ctseg_store_t   *store;
    ctseg_export_t  *e;

    e = &look->export;
    store = look->task.worker->store;

    ngx_memzero(&err, sizeof(err));

    if (e->next_run_ms > ctseg_now_ms()) {
        if (e->next_run_ms < look->due_ms) {
            look->due_ms = e->next_run_ms;
        }

        return;
    }

    if (look->nclaims == NGX_HTTP_CTSEG_CLAIMS || look->nclaims == look->room)
    {
        look->foreign = 1;
        return;
    }

    rc = ngx_http_ctseg_look_cut(look, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_look_note(look, e->id, "starting its run failed", rc,
                                 &err);
        return;
    }

    rc = ctseg_run_create(store, &look->run, &err);

    if (rc == CTSEG_CONFLICT) {

        /* made by another worker, which may have died before the next step */

        rc = ctseg_run_get(store, e->id, e->runs + 1, &look->run, &err);

        if (rc != CTSEG_OK || !ngx_http_ctseg_look_is_free(look)) {
            look->foreign = 1;
            return;
        }

        look->run.fence++;
        (void) snprintf(look->run.owner, sizeof(look->run.owner), "%s",
                        look->task.worker->owner);

        rc = ctseg_run_put(store, &look->run, &err);
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_look_note(look, e->id, "starting its run failed", rc,
                                 &err);
        return;
    }

    e->status = ctseg_export_step(e->freq, e->status, CTSEG_ON_START);
    e->runs = look->run.number;
    e->next_run_ms = 0;

    rc = ctseg_export_put(store, e, &err);

    if (rc == CTSEG_OK) {
        look->claims[look->nclaims++] = look->run;
        return;
    }

    /* stopped in between, or the store failed: the next look sorts it out */

    if (rc == CTSEG_CONFLICT) {
        look->foreign = 1;

    } else {
        ngx_http_ctseg_look_note(look, e->id, "starting its run failed", rc,
                                 &err);
    }
}


static void
ngx_http_ctseg_look_export(ngx_http_ctseg_look_t *look, const char *id)
{
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_export_get(look->task.worker->store, ctseg_str(id),
                          &look->export, &err);

    if (rc == CTSEG_NOTFOUND) {
        return;                         /* being created, or tidied up */
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_look_note(look, id, "it cannot be read", rc, &err);
        return;
    }

    switch (look->export.status) {

    case CTSEG_PENDING:
        ngx_http_ctseg_look_pending(look);
        return;

    case CTSEG_RUNNING:
        ngx_http_ctseg_look_running(look);
        return;

    default:
        ngx_http_ctseg_look_final(look);
    }
}


static void
ngx_http_ctseg_look_thread(ngx_http_ctseg_task_t *task)
{
    uint64_t                rev;
    ctseg_rc_t              rc;
    ngx_uint_t              i;
    ctseg_err_t             err;
    ctseg_store_t          *store;
    ngx_http_ctseg_look_t  *look;

    look = (ngx_http_ctseg_look_t *) task;
    store = task->worker->store;

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_store_wait(store, look->seen_rev, 0, &rev);

    if (rc == CTSEG_AGAIN && !look->foreign
        && look->due_ms > ctseg_now_ms())
    {
        return;                         /* nothing happened */
    }

    look->nids = 0;
    look->due_ms = INT64_MAX;
    look->foreign = 0;

    rc = ctseg_active_list(store, ngx_http_ctseg_look_id, look, &rev, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_look_note(look, "-", "listing the exports failed", rc,
                                 &err);
        return;
    }

    for (i = 0; i < look->nids; i++) {
        if (!ngx_http_ctseg_look_is_mine(look, look->ids[i])) {
            ngx_http_ctseg_look_export(look, look->ids[i]);
        }
    }

    look->seen_rev = rev;
}


/* ---- back on the loop ---- */


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

    if (look->nnotes != 0) {
        look->quiet_ms = ctseg_mono_ms() + NGX_HTTP_CTSEG_AGAIN_MS;
    }

    for (i = 0; i < look->nclaims; i++) {

        if (ngx_http_ctseg_runner_has(look->claims[i].export_id)) {
            continue;
        }

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
