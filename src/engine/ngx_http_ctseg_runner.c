/*
 * The runs of this worker, from their start to their last record.
 *
 * Batches come and go in ngx_http_ctseg_run_batch.c; here it is decided what
 * their verdicts mean for the run.  A checkpoint saves the prefix that is
 * done; while one is being committed the next gathers.
 *
 * The run record is the lease.  A checkpoint that meets another revision
 * means that another worker owns the run: everything here is dropped.
 */

#include "../segment/ctseg_answer.h"
#include "ngx_http_ctseg_run_int.h"


/* with more runs than that the beat of a live one becomes slower */

#define NGX_HTTP_CTSEG_LIVE_RUNS  64


static void ngx_http_ctseg_runner_wake(void);
static void ngx_http_ctseg_run_wake(ngx_http_ctseg_run_t *run);
static void ngx_http_ctseg_run_pace_handler(ngx_event_t *ev);
static void ngx_http_ctseg_run_next_beat(ngx_http_ctseg_run_t *run);
static void ngx_http_ctseg_run_beat_in(ngx_http_ctseg_run_t *run,
    ngx_msec_int_t wait);
static void ngx_http_ctseg_run_beat_handler(ngx_event_t *ev);
static void ngx_http_ctseg_run_give_up(ngx_http_ctseg_run_t *run);
static void ngx_http_ctseg_run_save(ngx_http_ctseg_run_t *run,
    ngx_http_ctseg_save_e what);
static void ngx_http_ctseg_run_saved(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_run_free(ngx_http_ctseg_run_t *run);


static ngx_queue_t  ngx_http_ctseg_runs;
static ngx_uint_t   ngx_http_ctseg_nruns;
static ngx_uint_t   ngx_http_ctseg_lost;


ngx_int_t
ngx_http_ctseg_runner_init(ngx_http_ctseg_worker_t *worker)
{
    ngx_queue_init(&ngx_http_ctseg_runs);

    return ngx_http_ctseg_wake_init(worker->cycle,
                                    NGX_HTTP_CTSEG_WAKE_EVENTS,
                                    ngx_http_ctseg_runner_wake);
}


/* all live runs of a worker together look at the log so often and no more */

static ngx_msec_t
ngx_http_ctseg_run_beat(ngx_http_ctseg_run_t *run)
{
    if (!run->live) {
        return NGX_HTTP_CTSEG_BEAT_MS;
    }

    return NGX_HTTP_CTSEG_LIVE_MS
           * (1 + ngx_http_ctseg_nruns / NGX_HTTP_CTSEG_LIVE_RUNS);
}


void
ngx_http_ctseg_run_timer(ngx_http_ctseg_run_t *run, ngx_event_t *ev,
    ngx_event_handler_pt handler)
{
    /* cancelable: an exiting worker does not wait for it */

    ev->handler = handler;
    ev->data = &run->worker->dummy;
    ev->log = run->worker->log;
    ev->cancelable = 1;
}


ngx_int_t
ngx_http_ctseg_runner_start(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *record)
{
    ngx_http_ctseg_run_t  *run;

    run = ngx_calloc(sizeof(ngx_http_ctseg_run_t), worker->log);
    if (run == NULL) {
        return NGX_ERROR;
    }

    run->save = ngx_http_ctseg_task_create(worker,
                                           sizeof(ngx_http_ctseg_save_t),
                                           ngx_http_ctseg_save_thread,
                                           ngx_http_ctseg_run_saved);
    if (run->save == NULL) {
        ngx_free(run);
        return NGX_ERROR;
    }

    if (ctseg_run_by_profile(record->pinned.type, record->freq)) {
        run->latest = ngx_alloc(sizeof(ctseg_latest_t), worker->log);
        if (run->latest == NULL) {
            ngx_free(run->save);
            ngx_free(run);
            return NGX_ERROR;
        }

        ctseg_latest_begin(run->latest,
                           (char *) worker->conf->events_path->name.data,
                           record->incarnation, record->lo, record->hi);
    }

    run->save->data = run;
    run->worker = worker;
    run->run = *record;
    run->region = &worker->conf->regions[record->region];
    run->export_id.data = (u_char *) run->run.export_id;
    run->export_id.len = ngx_strlen(run->run.export_id);
    run->live = record->freq == CTSEG_FREQ_LIVE;
    run->loaded = record->cursor;
    run->saved_hi = record->hi;
    run->saved_at = ngx_current_msec - NGX_HTTP_CTSEG_SAVE_MS;
    run->beat_at = ngx_current_msec;

    ngx_queue_init(&run->batches);

    ngx_http_ctseg_run_timer(run, &run->beat,
                             ngx_http_ctseg_run_beat_handler);
    ngx_http_ctseg_run_timer(run, &run->pace,
                             ngx_http_ctseg_run_pace_handler);

    ngx_queue_insert_tail(&ngx_http_ctseg_runs, &run->queue);
    ngx_http_ctseg_nruns++;
    ngx_http_ctseg_hold(worker);

    ngx_http_ctseg_run_next_beat(run);

    if (run->live) {
        ngx_http_ctseg_run_wake(run);   /* it has not looked yet */
    }

    ngx_log_error(NGX_LOG_NOTICE, worker->log, 0,
                  "ctseg: export %V, run %uL: working on (%uL, %uL]",
                  &run->export_id, run->run.number, run->run.cursor,
                  run->run.hi);

    ngx_http_ctseg_run_go(run);

    return NGX_OK;
}


ngx_uint_t
ngx_http_ctseg_runner_has(const char *export_id)
{
    ngx_queue_t           *q;
    ngx_http_ctseg_run_t  *run;

    for (q = ngx_queue_head(&ngx_http_ctseg_runs);
         q != ngx_queue_sentinel(&ngx_http_ctseg_runs);
         q = ngx_queue_next(q))
    {
        run = ngx_queue_data(q, ngx_http_ctseg_run_t, queue);

        if (ngx_strcmp(run->run.export_id, export_id) == 0) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_ctseg_runner_exports(char (*ids)[CTSEG_ID_TEXT_MAX], ngx_uint_t n)
{
    ngx_uint_t             i;
    ngx_queue_t           *q;
    ngx_http_ctseg_run_t  *run;

    i = 0;

    for (q = ngx_queue_head(&ngx_http_ctseg_runs);
         q != ngx_queue_sentinel(&ngx_http_ctseg_runs) && i < n;
         q = ngx_queue_next(q))
    {
        run = ngx_queue_data(q, ngx_http_ctseg_run_t, queue);
        ngx_memcpy(ids[i++], run->run.export_id, CTSEG_ID_TEXT_MAX);
    }

    return i;
}


ngx_uint_t
ngx_http_ctseg_run_is_open(ngx_http_ctseg_run_t *run)
{
    return !run->stopped && !run->leaving && !run->lost && !run->over
           && !run->edited;
}


void
ngx_http_ctseg_run_go(ngx_http_ctseg_run_t *run)
{
    if (ngx_exiting || ngx_quit || ngx_terminate) {
        run->leaving = 1;
    }

    if (ngx_http_ctseg_run_is_open(run)) {
        ngx_http_ctseg_run_send(run);
        ngx_http_ctseg_run_load(run);
    }

    ngx_http_ctseg_run_settle(run);
}


static void
ngx_http_ctseg_run_pace_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_run_t  *run;

    run = ngx_queue_data(ev, ngx_http_ctseg_run_t, pace);

    ngx_http_ctseg_run_go(run);
}


/* ---- settling and saving ---- */


/*
 * Each save is a flush of the disk, so those that come close together are one.
 * What was sent since the last is sent again after a crash, with the same ids.
 */

static ngx_uint_t
ngx_http_ctseg_run_may_save(ngx_http_ctseg_run_t *run)
{
    ngx_msec_int_t  wait;

    wait = (ngx_msec_int_t) (run->saved_at + NGX_HTTP_CTSEG_SAVE_MS
                             - ngx_current_msec);
    if (wait <= 0) {
        return 1;
    }

    ngx_http_ctseg_run_beat_in(run, wait);

    return 0;
}


void
ngx_http_ctseg_run_settle(ngx_http_ctseg_run_t *run)
{
    if (!run->lost) {
        ngx_http_ctseg_run_advance(run);
    }

    if (run->over || run->saving) {
        return;                         /* the save comes back here */
    }

    if (ngx_http_ctseg_run_is_open(run)) {

        if (run->run.cursor == run->run.hi && !run->live) {
            ngx_http_ctseg_run_save(run, NGX_HTTP_CTSEG_SAVE_FINISH);

        } else if (run->dirty && !run->unsaved
                   && ngx_http_ctseg_run_may_save(run))
        {
            ngx_http_ctseg_run_save(run, NGX_HTTP_CTSEG_SAVE_PROGRESS);

        } else {
            ngx_http_ctseg_run_load(run);
        }

        return;
    }

    if (!ngx_http_ctseg_run_drop(run)) {

        /* an answer comes back here; until then the run is still ours */

        if (!run->lost && !run->unsaved
            && (run->dirty
                || ngx_current_msec - run->saved_at > CTSEG_LEASE_RENEW_MS))
        {
            ngx_http_ctseg_run_save(run, NGX_HTTP_CTSEG_SAVE_PROGRESS);
        }

        return;
    }

    if (run->lost) {
        ngx_http_ctseg_lost = 1;
        ngx_http_ctseg_run_free(run);
        return;
    }

    if (run->live && run->edited && !run->stopped && !run->leaving) {

        /* what it had not sent belongs to the next run, of the new revision */

        run->run.hi = run->run.cursor;
        ngx_http_ctseg_run_save(run, NGX_HTTP_CTSEG_SAVE_FINISH);
        return;
    }

    if (run->run.cursor == run->run.hi && !run->live) {
        ngx_http_ctseg_run_save(run, NGX_HTTP_CTSEG_SAVE_FINISH);
        return;
    }

    ngx_http_ctseg_run_save(run, run->stopped ? NGX_HTTP_CTSEG_SAVE_STOP
                                              : NGX_HTTP_CTSEG_SAVE_RELEASE);
}


/* the original stops an export after three days of errors; so do we, but only
   where nothing passes by itself */

static ngx_uint_t
ngx_http_ctseg_run_gives_up(ngx_http_ctseg_run_t *run)
{
    if (run->run.paused_ms == 0 || !ngx_http_ctseg_run_is_failing(run)
        || ctseg_now_ms() - run->run.paused_ms < CTSEG_PAUSE_STOP_MS)
    {
        return 0;
    }

    ngx_log_error(NGX_LOG_ERR, run->worker->log, 0,
                  "ctseg: export %V, run %uL: stopped, for three days its "
                  "partner refuses: %s", &run->export_id, run->run.number,
                  run->run.error);

    return 1;
}


static void
ngx_http_ctseg_run_save(ngx_http_ctseg_run_t *run,
    ngx_http_ctseg_save_e what)
{
    ngx_http_ctseg_save_t  *save;

    /* who takes over goes on failing until it succeeds */

    if (what == NGX_HTTP_CTSEG_SAVE_RELEASE) {
        /* void */

    } else if (!ngx_http_ctseg_run_is_failing(run)) {
        run->run.failing_ms = 0;

    } else if (run->run.failing_ms == 0) {
        run->run.failing_ms = run->run.error_ms;
    }

    if (run->live) {
        run->woken = 0;
        ngx_http_ctseg_wake_wait(NGX_HTTP_CTSEG_WAKE_EVENTS);
    }

    save = run->save;
    save->what = what;
    save->run = run->run;
    save->run.retry_at_ms = ngx_http_ctseg_run_retry_at(run);
    save->held_ms = run->held_ms;
    save->give_up = ngx_http_ctseg_run_gives_up(run);

    if (ngx_http_ctseg_task_post(&save->task) != NGX_OK) {
        run->unsaved = 1;               /* the beat tries again */
        return;
    }

    run->saving = 1;
    run->held_ms = 0;
    run->over = what > NGX_HTTP_CTSEG_SAVE_PROGRESS;

    if (what != NGX_HTTP_CTSEG_SAVE_LOOK) {
        run->dirty = 0;
        run->saved_at = ngx_current_msec;
    }
}


/* what the save saw of the export, its partner and the log */

static void
ngx_http_ctseg_run_looked(ngx_http_ctseg_run_t *run)
{
    ngx_http_ctseg_save_t  *save;

    save = run->save;

    run->saved_hi = save->run.hi;

    if (save->stopped) {
        run->stopped = 1;
    }

    /* one that was taken over does not know what was refused */

    if (run->paused_revision == 0) {
        run->paused_revision = save->partner_revision;
    }

    if (save->partner_revision != 0
        && save->partner_revision != run->paused_revision)
    {
        run->paused_revision = save->partner_revision;

        ngx_http_ctseg_rate_sent(run->worker, &run->run);
        ngx_http_ctseg_run_retry(run);
    }

    if (run->live) {
        run->edited = save->edited;

        /* what comes after a stop is not waiting for anything */

        if (save->head > run->run.hi && !save->stopped) {
            run->run.hi = save->head;
            run->grown_at = ngx_current_msec;
            run->dirty = 1;         /* stored before it is read */
        }
    }
}


static void
ngx_http_ctseg_run_saved(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_run_t   *run;
    ngx_http_ctseg_save_t  *save;

    save = (ngx_http_ctseg_save_t *) task;
    run = save->data;

    run->saving = 0;

    /* moved by the put, whatever failed after it */

    run->run.rev = save->run.rev;

    if (save->rc == CTSEG_OK) {
        run->unsaved = 0;

        if (run->over) {
            ngx_log_error(NGX_LOG_NOTICE, run->worker->log, 0,
                          "ctseg: export %V, run %uL: %s at %uL of %uL, "
                          "%uL sent, %uL filtered, %uL rejected",
                          &run->export_id, run->run.number,
                          save->what == NGX_HTTP_CTSEG_SAVE_RELEASE
                          ? "released"
                          : ctseg_run_status_name(save->run.status),
                          run->run.cursor, run->run.hi,
                          run->run.counts.sent, run->run.counts.filtered,
                          run->run.counts.rejected);

            if (run->stalled) {

                /* what a thread has comes back before the run can go */

                run->over = 0;
                run->lost = 1;
                ngx_http_ctseg_run_settle(run);
                return;
            }

            if (run->live && save->what == NGX_HTTP_CTSEG_SAVE_FINISH) {
                ngx_http_ctseg_wake_due();      /* its export goes on */
            }

            ngx_http_ctseg_run_free(run);
            return;
        }

        ngx_http_ctseg_run_looked(run);

        if (run->woken) {
            ngx_http_ctseg_run_wake(run);
        }

        ngx_http_ctseg_run_go(run);
        return;
    }

    ngx_log_error((save->rc == CTSEG_FATAL ? NGX_LOG_INFO : NGX_LOG_ERR),
                  run->worker->log, 0,
                  "ctseg: export %V, run %uL: %s: %s", &run->export_id,
                  run->run.number,
                  save->rc == CTSEG_CONFLICT ? "another worker took it over"
                  : "saving the progress failed, trying again",
                  save->err.text);

    /* unclear: the record may have moved on, so let it be found again */

    if (save->rc == CTSEG_CONFLICT || save->rc == CTSEG_NOTFOUND
        || save->rc == CTSEG_AMBIGUOUS || run->over)
    {
        run->over = 0;
        run->lost = 1;

    } else {
        run->dirty = 1;
        run->unsaved = 1;
    }

    ngx_http_ctseg_run_settle(run);
}


/*
 * Runs that began together must not keep step: of a queue with little room
 * the last of them would never get any.
 */

static void
ngx_http_ctseg_run_next_beat(ngx_http_ctseg_run_t *run)
{
    ngx_msec_t  ms;

    ms = ngx_http_ctseg_run_beat(run);

    ngx_add_timer(&run->beat, ms - ngx_random() % (ms / 4));
}


/* the next beat comes then, unless it comes before */

static void
ngx_http_ctseg_run_beat_in(ngx_http_ctseg_run_t *run, ngx_msec_int_t wait)
{
    if (run->beat.timer_set) {

        if ((ngx_msec_int_t) (run->beat.timer.key - ngx_current_msec) <= wait)
        {
            return;
        }

        /* add would keep the old time, which is close to the new one */

        ngx_del_timer(&run->beat);
    }

    ngx_add_timer(&run->beat, (ngx_msec_t) wait);
}


/*
 * Once a second, and ten times for a live run: has it been stopped or edited,
 * is there more to send, is the lease to be renewed?
 */

static void
ngx_http_ctseg_run_beat_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_run_t  *run;

    run = ngx_queue_data(ev, ngx_http_ctseg_run_t, beat);

    ngx_http_ctseg_run_next_beat(run);

    ctseg_run_measure(&run->run, &run->mark, ctseg_mono_ms());

    if (run->unread
        && ngx_current_msec - run->unread_at >= NGX_HTTP_CTSEG_RELOAD_MS)
    {
        run->unread = 0;
    }

    if (ngx_http_ctseg_run_is_stalled(run)) {
        ngx_http_ctseg_run_give_up(run);
        return;
    }

    if (run->saving || run->over) {
        return;
    }

    if (run->unsaved) {

        /* until a put succeeds, nothing more is loaded */

        if (ngx_http_ctseg_run_is_open(run)
            && run->run.cursor != run->run.hi)
        {
            ngx_http_ctseg_run_save(run, NGX_HTTP_CTSEG_SAVE_PROGRESS);
            return;
        }

        run->unsaved = 0;
        run->dirty = 1;
    }

    if (ngx_http_ctseg_run_is_open(run) && !run->dirty) {
        ngx_http_ctseg_run_save(run,
                                ngx_current_msec - run->saved_at
                                > CTSEG_LEASE_RENEW_MS
                                ? NGX_HTTP_CTSEG_SAVE_PROGRESS
                                : NGX_HTTP_CTSEG_SAVE_LOOK);
        return;
    }

    ngx_http_ctseg_run_go(run);
}


/*
 * Events came: the beat of each live run comes early, at once when it has not
 * grown for a while.  Half of what the rate allows in requests is left to
 * others that send with the same write key.
 */

static void
ngx_http_ctseg_runner_wake(void)
{
    ngx_queue_t           *q;
    ngx_http_ctseg_run_t  *run;

    for (q = ngx_queue_head(&ngx_http_ctseg_runs);
         q != ngx_queue_sentinel(&ngx_http_ctseg_runs);
         q = ngx_queue_next(q))
    {
        run = ngx_queue_data(q, ngx_http_ctseg_run_t, queue);

        if (run->live) {
            ngx_http_ctseg_run_wake(run);
        }
    }
}


static void
ngx_http_ctseg_run_wake(ngx_http_ctseg_run_t *run)
{
    ngx_msec_t      pause;
    ngx_msec_int_t  wait;

    run->woken = 1;

    if (run->saving || run->over) {
        return;                         /* it looks again behind that */
    }

    pause = ngx_max(NGX_HTTP_CTSEG_WAKE_MS, 2000 / run->region->requests)
            * (1 + ngx_http_ctseg_nruns / NGX_HTTP_CTSEG_LIVE_RUNS);

    wait = (ngx_msec_int_t) (run->grown_at + pause - ngx_current_msec);

    ngx_http_ctseg_run_beat_in(run, ngx_max(wait, 0));
}


/*
 * Nothing moves here any more, so somebody else is to go on.  The record is
 * released for that; where the save is what does not come back, the lease
 * ends by itself.
 */

static void
ngx_http_ctseg_run_give_up(ngx_http_ctseg_run_t *run)
{
    if (!run->saving) {
        run->stalled = 1;
        ngx_http_ctseg_run_save(run, NGX_HTTP_CTSEG_SAVE_RELEASE);

        if (run->saving) {
            return;
        }
    }

    run->lost = 1;
    ngx_http_ctseg_run_settle(run);
}


ngx_uint_t
ngx_http_ctseg_runner_has_lost(void)
{
    ngx_uint_t  lost;

    lost = ngx_http_ctseg_lost;
    ngx_http_ctseg_lost = 0;

    return lost;
}


void
ngx_http_ctseg_runner_drain(ngx_uint_t force)
{
    ngx_queue_t           *q, *next;
    ngx_http_ctseg_run_t  *run;

    for (q = ngx_queue_head(&ngx_http_ctseg_runs);
         q != ngx_queue_sentinel(&ngx_http_ctseg_runs);
         q = next)
    {
        next = ngx_queue_next(q);
        run = ngx_queue_data(q, ngx_http_ctseg_run_t, queue);

        run->leaving = 1;

        if (force) {
            ngx_http_ctseg_run_abort(run);
        }

        ngx_http_ctseg_run_settle(run);
    }
}


static void
ngx_http_ctseg_run_free(ngx_http_ctseg_run_t *run)
{
    ngx_queue_t             *q;
    ngx_http_ctseg_batch_t  *batch;

    while (!ngx_queue_empty(&run->batches)) {
        q = ngx_queue_head(&run->batches);
        batch = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

        ngx_queue_remove(q);
        ngx_http_ctseg_batch_free(batch);
    }

    if (run->beat.timer_set) {
        ngx_del_timer(&run->beat);
    }

    if (run->pace.timer_set) {
        ngx_del_timer(&run->pace);
    }

    ngx_queue_remove(&run->queue);
    ngx_http_ctseg_nruns--;
    ngx_http_ctseg_release(run->worker);

    if (run->latest != NULL) {
        ngx_http_ctseg_unload(run->worker, run->latest);
        ngx_free(run->latest);
    }

    ngx_free(run->save);
    ngx_free(run);
}
