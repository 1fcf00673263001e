/*
 * The look, on a pool thread: which exports are due, which runs have nobody,
 * and what a crash left half done.  A claim is a compare-and-set on the run
 * record, so of all the workers that try one wins.
 */

#include "../base/ctseg_str.h"
#include "../outbox/ctseg_cut.h"
#include "ngx_http_ctseg_look_int.h"


static void ngx_http_ctseg_look_start(ngx_http_ctseg_look_t *look);


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


static int
ngx_http_ctseg_look_compare(const void *a, const void *b)
{
    return strcmp(a, b);
}


static ngx_uint_t
ngx_http_ctseg_look_is_mine(ngx_http_ctseg_look_t *look,
    const char *export_id)
{
    return bsearch(export_id, look->mine, look->nmine, CTSEG_ID_TEXT_MAX,
                   ngx_http_ctseg_look_compare) != NULL;
}


/*
 * A run that nobody works on, and this worker cannot: after a minute it is
 * said and counted, and again after each further one.  The put tells the other
 * workers that it has been.
 */

static void
ngx_http_ctseg_look_idle(ngx_http_ctseg_look_t *look)
{
    ctseg_run_t  *run;

    run = &look->run;

    if (!ctseg_lease_may_take(look->idle, run->export_id, "nobody", run->rev,
                              ctseg_mono_ms(), CTSEG_STALL_MS))
    {
        return;
    }

    if (look->nstalled == NGX_HTTP_CTSEG_NOTES
        || ctseg_run_put(look->task.worker->store, run, NULL) != CTSEG_OK)
    {
        return;
    }

    (void) snprintf(look->stalled[look->nstalled++],
                    sizeof(look->stalled[0]),
                    "export %s, run %llu: no attempt for %d s, at %llu of "
                    "%llu: no worker has room for it", run->export_id,
                    (unsigned long long) run->number, CTSEG_STALL_MS / 1000,
                    (unsigned long long) run->cursor,
                    (unsigned long long) run->hi);
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


/* the run is ours; what Segment asked for before a crash still holds */

static void
ngx_http_ctseg_look_claimed(ngx_http_ctseg_look_t *look)
{
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_throttle_get(look->task.worker->store,
                            look->run.pinned.fingerprint, ctseg_now_ms(),
                            &look->held[look->nclaims], &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_look_note(look, look->run.export_id,
                                 "what Segment asked for cannot be read", rc,
                                 &err);
    }

    look->claims[look->nclaims++] = look->run;
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
        ngx_http_ctseg_look_idle(look);
        return;
    }

    ngx_memzero(&err, sizeof(err));

    (void) snprintf(run->owner, sizeof(run->owner), "%s",
                    look->task.worker->owner);
    run->fence++;

    rc = ctseg_run_put(look->task.worker->store, run, &err);

    if (rc == CTSEG_OK) {
        ngx_http_ctseg_look_claimed(look);
        return;
    }

    if (rc != CTSEG_CONFLICT) {
        ngx_http_ctseg_look_note(look, run->export_id,
                                 "taking over its run failed", rc, &err);
    }
}


/* end a run that nobody works on; false: not now; number 0: there is none */

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

    if (rc == CTSEG_NOTFOUND) {
        run->number = 0;
        return 1;
    }

    if (rc == CTSEG_CONFLICT) {
        look->foreign = 1;
        return 0;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_look_note(look, e->id, "ending its run failed", rc,
                                 &err);
        return 0;
    }

    return 1;
}


/*
 * The export is STOPPED or DONE but still listed: end its run, and the next
 * one, which was made when the stop came before its export could name it, and
 * is named now; then unlist it.
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

    rc = CTSEG_OK;

    if (look->run.number != 0) {
        e->runs = look->run.number;
        rc = ctseg_export_put(store, e, &err);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_active_remove(store, e->id, &err);
    }

    if (rc != CTSEG_OK && rc != CTSEG_NOTFOUND) {
        look->foreign = 1;
    }
}


/* a live export never rests: its next run begins where the last one ended */

static void
ngx_http_ctseg_look_next(ngx_http_ctseg_look_t *look)
{
    char         id[CTSEG_ID_TEXT_MAX];
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    ngx_memzero(&err, sizeof(err));
    ngx_memcpy(id, look->export.id, sizeof(id));

    rc = ctseg_export_get(look->task.worker->store, ctseg_str(id),
                          &look->export, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_look_note(look, id, "it cannot be read", rc, &err);
        return;
    }

    /* if it has a newer run, another worker was here first */

    if (look->export.status == CTSEG_RUNNING
        && look->export.runs == look->run.number)
    {
        ngx_http_ctseg_look_start(look);
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
        rc = ngx_http_ctseg_settle_thread(look->task.worker, &look->run,
                                          &err);

        if (rc == CTSEG_CONFLICT) {
            look->foreign = 1;

        } else if (rc != CTSEG_OK) {
            ngx_http_ctseg_look_note(look, e->id, "completing it failed", rc,
                                     &err);

        } else if (e->freq == CTSEG_FREQ_LIVE) {
            ngx_http_ctseg_look_next(look);
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
    uint64_t           slots;
    ctseg_rc_t         rc;
    ctseg_cut_t        cut;
    ctseg_run_t       *run;
    ctseg_store_t     *store;
    ctseg_export_t    *e;
    ctseg_schedule_t   schedule;

    e = &look->export;
    run = &look->run;
    store = look->task.worker->store;

    rc = ctseg_partner_get(store, ctseg_str(e->partner_id), &look->partner,
                           err);
    if (rc != CTSEG_OK) {
        return rc;
    }

    rc = ctseg_cut_next(store, e, ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS,
                        &cut, err);
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
    run->started_ms = ctseg_now_ms();
    run->scheduled_ms = e->next_run_ms != 0 ? e->next_run_ms
                                            : run->started_ms;
    run->coalesced_slots = 1;

    if (e->freq == CTSEG_FREQ_RECURRING) {
        ngx_http_ctseg_schedule(look->task.worker, e, &schedule);
        slots = ctseg_schedule_count(&schedule, e->covered_ms,
                                     run->started_ms);
        run->coalesced_slots = ngx_max(slots, 1);
    }

    ctseg_run_pin(run, e, &look->partner);

    run->incarnation = cut.incarnation;
    run->lo = cut.lo;
    run->hi = cut.hi;
    run->cursor = cut.lo;

    return CTSEG_OK;
}


/*
 * The run is there; let its export say so.  An edit may come in between: the
 * run keeps the revision it began with, and the export has the new one.
 * CONFLICT: it was stopped, or another worker was first.
 */

static ctseg_rc_t
ngx_http_ctseg_look_started(ngx_http_ctseg_look_t *look, ctseg_err_t *err)
{
    char             id[CTSEG_ID_TEXT_MAX];
    ctseg_rc_t       rc;
    ngx_uint_t       tries;
    ctseg_store_t   *store;
    ctseg_export_t  *e;

    e = &look->export;
    store = look->task.worker->store;
    rc = CTSEG_CONFLICT;

    ngx_memcpy(id, e->id, sizeof(id));

    for (tries = 0; tries < NGX_HTTP_CTSEG_START_TRIES; tries++) {

        if (tries != 0) {
            rc = ctseg_export_get(store, ctseg_str(id), e, err);
            if (rc != CTSEG_OK) {
                return rc;
            }
        }

        if (ctseg_export_is_final(e->status)
            || e->runs != look->run.number - 1)
        {
            return CTSEG_CONFLICT;
        }

        e->status = ctseg_export_step(e->freq, e->status, CTSEG_ON_START);
        e->runs = look->run.number;
        e->next_run_ms = 0;
        e->covered_ms = ngx_max(e->covered_ms, look->run.started_ms);
        e->covered_ms = ngx_max(e->covered_ms, look->run.scheduled_ms);

        rc = ctseg_export_put(store, e, err);

        if (rc != CTSEG_CONFLICT) {
            return rc;
        }
    }

    return rc;
}


/* make the next run, then let the export say RUNNING */

static void
ngx_http_ctseg_look_start(ngx_http_ctseg_look_t *look)
{
    ctseg_rc_t       rc;
    ctseg_err_t      err;
    ctseg_store_t   *store;
    ctseg_export_t  *e;

    e = &look->export;
    store = look->task.worker->store;

    ngx_memzero(&err, sizeof(err));

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

        if (rc != CTSEG_OK || look->run.status != CTSEG_RUN_RUNNING
            || !ngx_http_ctseg_look_is_free(look))
        {
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

    rc = ngx_http_ctseg_look_started(look, &err);

    if (rc == CTSEG_OK) {
        ngx_http_ctseg_look_claimed(look);
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


/* PENDING: is it due? */

static void
ngx_http_ctseg_look_pending(ngx_http_ctseg_look_t *look)
{
    ctseg_export_t  *e;

    e = &look->export;

    if (e->next_run_ms <= ctseg_now_ms()) {
        ngx_http_ctseg_look_start(look);
        return;
    }

    if (e->next_run_ms < look->due_ms) {
        look->due_ms = e->next_run_ms;
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


void
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

    if (rc == CTSEG_AGAIN && !look->foreign && !look->retries.again
        && !look->imports.again && look->due_ms > ctseg_now_ms())
    {
        return;                         /* nothing happened */
    }

    qsort(look->mine, look->nmine, CTSEG_ID_TEXT_MAX,
          ngx_http_ctseg_look_compare);

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

    rc = ngx_http_ctseg_retry_look_thread(task->worker, &look->retries,
                                          look->watch, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_look_note(look, "-", "a redelivery cannot be taken "
                                 "over", rc, &err);
    }

    ngx_memzero(&err, sizeof(err));

    rc = ngx_http_ctseg_import_look_thread(task->worker, &look->imports,
                                           look->watch, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_look_note(look, "-", "an import cannot be taken over",
                                 rc, &err);
    }

    look->seen_rev = rev;
}
