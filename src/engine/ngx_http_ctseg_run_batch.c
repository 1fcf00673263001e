/*
 * The batches of a run: loaded in the order of the log, one load at a time,
 * and counted once their verdicts form a prefix: a batch that is acknowledged
 * before its predecessor waits for it.
 */

#include "../segment/ctseg_bodies.h"
#include "../bridge/ngx_http_ctseg_count.h"
#include "ngx_http_ctseg_run_int.h"


static void ngx_http_ctseg_run_forget(ngx_http_ctseg_batch_t *batch);
static void ngx_http_ctseg_run_loaded(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_run_unloaded(ngx_http_ctseg_batch_t *batch);
static void ngx_http_ctseg_run_reload(ngx_http_ctseg_batch_t *batch);


static ngx_uint_t          ngx_http_ctseg_nbatches;
static ctseg_bodies_t      ngx_http_ctseg_bodies;
static ctseg_block_mems_t  ngx_http_ctseg_mems;


/* ---- loading ---- */


/* events of a run that could never be sent, and are kept for people */

static uint64_t
ngx_http_ctseg_run_unsent(const ctseg_counts_t *c)
{
    return c->rejects[CTSEG_REJECT_NO_ID] + c->rejects[CTSEG_REJECT_NO_NAME]
           + c->rejects[CTSEG_REJECT_TOO_LARGE]
           + c->rejects[CTSEG_REJECT_FUTURE];
}


ngx_http_ctseg_batch_t *
ngx_http_ctseg_batch_create(ngx_http_ctseg_run_t *run, uint64_t after,
    uint64_t hi)
{
    ngx_http_ctseg_batch_t  *batch;

    batch = ngx_http_ctseg_task_create(run->worker,
                                       sizeof(ngx_http_ctseg_batch_t),
                                       ngx_http_ctseg_load_thread,
                                       ngx_http_ctseg_run_loaded);
    if (batch == NULL) {
        return NULL;
    }

    ngx_http_ctseg_nbatches++;

    batch->run = run;
    batch->load.incarnation = run->run.incarnation;
    batch->load.after = after;
    batch->load.hi = hi;
    batch->load.pinned = run->run.pinned;
    batch->load.run = run->run.number;
    batch->load.latest = run->latest;
    ngx_memcpy(batch->load.partner_id, run->run.partner_id,
               sizeof(batch->load.partner_id));
    ngx_memcpy(batch->load.export_id, run->run.export_id,
               sizeof(batch->load.export_id));

    ngx_http_ctseg_run_timer(run, &batch->retry,
                             ngx_http_ctseg_run_retry_handler);

    return batch;
}


ngx_int_t
ngx_http_ctseg_batch_load(ngx_http_ctseg_batch_t *batch)
{
    if (batch->load.batch.body.data == NULL) {
        ctseg_bodies_take(&ngx_http_ctseg_bodies, &batch->load.batch);
    }

    batch->load.mem = ctseg_block_mems_take(&ngx_http_ctseg_mems);

    if (ngx_http_ctseg_task_post(&batch->load.task) == NGX_OK) {
        return NGX_OK;
    }

    ctseg_block_mems_give(&ngx_http_ctseg_mems, batch->load.mem);
    batch->load.mem = NULL;

    return NGX_ERROR;
}


void
ngx_http_ctseg_batch_clear(ngx_http_ctseg_batch_t *batch)
{
    ctseg_bodies_give(&ngx_http_ctseg_bodies, &batch->load.batch);
}


void
ngx_http_ctseg_runner_tidy(void)
{
    ctseg_bodies_tidy(&ngx_http_ctseg_bodies, (int64_t) ngx_current_msec);
    ctseg_block_mems_tidy(&ngx_http_ctseg_mems, (int64_t) ngx_current_msec);
}


/* parts count as one, or culprits side by side would leave no room for what
   shows that it is them */

static ngx_uint_t
ngx_http_ctseg_run_is_full(ngx_http_ctseg_run_t *run)
{
    ngx_uint_t  n;

    n = run->nbatches - run->nparts + (run->nparts != 0);

    return n > run->region->concurrency
           || run->nbatches >= NGX_HTTP_CTSEG_PARTS + run->region->concurrency;
}


void
ngx_http_ctseg_run_load(ngx_http_ctseg_run_t *run)
{
    ngx_http_ctseg_batch_t  *batch;

    if (run->loading || run->unsaved || run->unread
        || run->loaded >= run->saved_hi
        || ngx_http_ctseg_run_is_full(run))
    {
        return;
    }

    /* memory of many runs: each goes on, but not with several */

    if (run->nbatches != 0
        && ngx_http_ctseg_nbatches >= NGX_HTTP_CTSEG_BATCHES)
    {
        return;                         /* the beat tries again */
    }

    if (ngx_http_ctseg_run_rests(run)) {
        return;
    }

    batch = ngx_http_ctseg_batch_create(run, run->loaded, run->saved_hi);
    if (batch == NULL) {
        return;                         /* the beat tries again */
    }

    batch->fresh = 1;
    batch->load.fresh = 1;
    batch->load.many = ngx_http_ctseg_run_unsent(&run->run.counts)
                       >= NGX_HTTP_CTSEG_KEPT;

    if (ngx_http_ctseg_batch_load(batch) != NGX_OK) {
        ngx_http_ctseg_batch_free(batch);
        return;
    }

    ngx_queue_insert_tail(&run->batches, &batch->queue);
    run->nbatches++;
    run->loading = 1;
}


void
ngx_http_ctseg_run_note_error(ngx_http_ctseg_run_t *run, ngx_uint_t status,
    const char *text)
{
    run->run.error_status = (int) status;
    run->run.error_ms = ctseg_now_ms();
    (void) snprintf(run->run.error, sizeof(run->run.error), "%.150s", text);

    run->dirty = 1;
}


/* a batch that cannot be read: all of them wait a little, nothing is passed */

static void
ngx_http_ctseg_run_unloaded(ngx_http_ctseg_batch_t *batch)
{
    ngx_http_ctseg_run_t  *run;

    run = batch->run;

    ngx_log_error(NGX_LOG_ERR, run->worker->log, 0,
                  "ctseg: export %V, run %uL: %s (%s)", &run->export_id,
                  run->run.number, batch->load.err.text,
                  ctseg_rc_name(batch->load.rc));

    ngx_http_ctseg_run_note_error(run, 0, batch->load.err.text);

    if (!batch->fresh) {
        ngx_http_ctseg_run_wait(batch, NGX_HTTP_CTSEG_RELOAD_MS);
        ngx_http_ctseg_run_go(run);
        return;
    }

    run->reload_at_ms = run->run.error_ms + NGX_HTTP_CTSEG_RELOAD_MS;

    ngx_http_ctseg_run_forget(batch);

    run->unread = 1;
    run->unread_at = ngx_current_msec;
    ngx_http_ctseg_run_settle(run);
}


/* the index of the run is not complete: the next piece of it */

static void
ngx_http_ctseg_run_reload(ngx_http_ctseg_batch_t *batch)
{
    ngx_http_ctseg_run_t  *run;

    run = batch->run;

    if (!ngx_exiting && !ngx_quit && !ngx_terminate
        && ngx_http_ctseg_run_is_open(run)
        && !ngx_http_ctseg_run_rests(run)
        && ngx_http_ctseg_batch_load(batch) == NGX_OK)
    {
        return;
    }

    /* what there is of it stays; the pace or the beat goes on with it */

    run->loading = 0;
    ngx_http_ctseg_run_forget(batch);
    ngx_http_ctseg_run_settle(run);
}


static void
ngx_http_ctseg_run_loaded(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_run_t    *run;
    ngx_http_ctseg_batch_t  *batch;

    batch = (ngx_http_ctseg_batch_t *) task;
    run = batch->run;

    ctseg_block_mems_give(&ngx_http_ctseg_mems, batch->load.mem);
    batch->load.mem = NULL;

    ngx_http_ctseg_run_stirs(run);
    ngx_http_ctseg_run_worked(run, batch->load.us);

    if (batch->load.rc == CTSEG_AGAIN) {
        ngx_http_ctseg_run_reload(batch);
        return;
    }

    if (batch->fresh) {
        run->loading = 0;
    }

    if (batch->load.rc == CTSEG_OK && !batch->fresh && batch->split_hi == 0
        && batch->load.batch.upto != batch->load.hi)
    {
        batch->load.rc = ctseg_err(&batch->load.err, CTSEG_CORRUPT,
                                   "the batch after %llu is not what it was",
                                   (unsigned long long) batch->load.after);
        ngx_http_ctseg_count_violation();
    }

    if (batch->load.rc == CTSEG_OK && batch->split_hi != 0
        && ngx_http_ctseg_run_halved(batch) != NGX_OK)
    {
        batch->load.rc = ctseg_err(&batch->load.err, CTSEG_NOMEM,
                                   "no memory for half a batch");
    }

    if (batch->load.rc != CTSEG_OK) {
        ngx_http_ctseg_run_unloaded(batch);
        return;
    }

    if (batch->fresh) {
        batch->fresh = 0;
        batch->load.fresh = 0;
        run->reload_at_ms = 0;
        run->loaded = batch->load.batch.upto;

        /* when it is read again, this is what it must be */

        batch->load.hi = batch->load.batch.upto;
    }

    batch->state = batch->load.batch.events != 0
                   ? NGX_HTTP_CTSEG_BATCH_READY
                   : NGX_HTTP_CTSEG_BATCH_DONE;

    ngx_http_ctseg_run_go(run);
}


/* ---- counting ---- */


/* blocks that did not read; it counts with its batch, so it is told once */

static void
ngx_http_ctseg_run_note_damage(ngx_http_ctseg_batch_t *batch)
{
    unsigned               i;
    ctseg_batch_t         *b;
    ngx_http_ctseg_run_t  *run;

    run = batch->run;
    b = &batch->load.batch;

    for (i = 0; i < b->ndamaged; i++) {
        ngx_http_ctseg_count_violation();

        if (i < CTSEG_BATCH_MARKS) {
            ngx_log_error(NGX_LOG_ERR, run->worker->log, 0,
                          "ctseg: export %V, run %uL: the log is damaged at "
                          "%uL, its events there are passed over",
                          &run->export_id, run->run.number, b->damaged[i]);
        }
    }

    if (b->ndamaged > CTSEG_BATCH_MARKS) {
        ngx_log_error(NGX_LOG_ERR, run->worker->log, 0,
                      "ctseg: export %V, run %uL: the log is damaged at %ud "
                      "more places up to %uL", &run->export_id,
                      run->run.number, b->ndamaged - CTSEG_BATCH_MARKS,
                      b->upto);
    }
}


static void
ngx_http_ctseg_run_note_rejected(ngx_http_ctseg_batch_t *batch,
    const ctseg_counts_t *delta)
{
    ngx_http_ctseg_run_t  *run;

    run = batch->run;

    ngx_log_error(NGX_LOG_ERR, run->worker->log, 0,
                  "ctseg: export %V, run %uL: %uL events in (%uL, %uL] can "
                  "never be sent: %uL without an id, %uL without a name, %uL "
                  "too large, %uL refused, %uL not there any more, %uL "
                  "damaged, %uL too far ahead%s%s",
                  &run->export_id, run->run.number, delta->rejected,
                  batch->load.batch.after, batch->load.batch.upto,
                  delta->rejects[CTSEG_REJECT_NO_ID],
                  delta->rejects[CTSEG_REJECT_NO_NAME],
                  delta->rejects[CTSEG_REJECT_TOO_LARGE],
                  delta->rejects[CTSEG_REJECT_REFUSED],
                  delta->rejects[CTSEG_REJECT_EXPIRED],
                  delta->rejects[CTSEG_REJECT_DAMAGED],
                  delta->rejects[CTSEG_REJECT_FUTURE],
                  batch->load.unkept == NULL ? "" : "; not all are listed: ",
                  batch->load.unkept == NULL ? "" : batch->load.unkept);
}


void
ngx_http_ctseg_run_advance(ngx_http_ctseg_run_t *run)
{
    ngx_queue_t             *q;
    ctseg_counts_t           delta;
    ngx_http_ctseg_batch_t  *batch;

    while (!ngx_queue_empty(&run->batches)) {
        q = ngx_queue_head(&run->batches);
        batch = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

        /* behind one that was dropped nothing can be counted */

        if (batch->state != NGX_HTTP_CTSEG_BATCH_DONE
            || batch->load.batch.after != run->run.cursor)
        {
            return;
        }

        delta = batch->load.batch.counts;
        delta.batches = batch->load.batch.events != 0;
        delta.retries = 0;

        if (!ctseg_run_advance(&run->run, batch->load.batch.upto, &delta)) {
            ngx_log_error(NGX_LOG_ALERT, run->worker->log, 0,
                          "ctseg: export %V, run %uL: the counts of a batch "
                          "after %uL do not add up", &run->export_id,
                          run->run.number, batch->load.batch.after);
            ngx_http_ctseg_count_violation();
            run->lost = 1;
            return;
        }

        if (delta.rejected != 0) {
            ngx_http_ctseg_run_note_damage(batch);
            ngx_http_ctseg_run_note_rejected(batch, &delta);
        }

        run->dirty = 1;
        ngx_http_ctseg_run_stirs(run);

        ngx_http_ctseg_run_forget(batch);
    }
}


int64_t
ngx_http_ctseg_run_retry_at(ngx_http_ctseg_run_t *run)
{
    ngx_queue_t             *q;
    ngx_http_ctseg_batch_t  *batch;

    for (q = ngx_queue_head(&run->batches);
         q != ngx_queue_sentinel(&run->batches);
         q = ngx_queue_next(q))
    {
        batch = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

        if (batch->state == NGX_HTTP_CTSEG_BATCH_WAITING) {
            return batch->retry_at_ms;
        }
    }

    return run->reload_at_ms;
}


ngx_uint_t
ngx_http_ctseg_run_is_failing(ngx_http_ctseg_run_t *run)
{
    ngx_uint_t               failed;
    ngx_queue_t             *q;
    ngx_http_ctseg_batch_t  *batch;

    for (q = ngx_queue_head(&run->batches);
         q != ngx_queue_sentinel(&run->batches);
         q = ngx_queue_next(q))
    {
        batch = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

        failed = batch->attempt;

        if (batch->state == NGX_HTTP_CTSEG_BATCH_SENDING) {
            failed--;                   /* the one under way has not yet */
        }

        if (failed != 0 && batch->state != NGX_HTTP_CTSEG_BATCH_DONE) {
            return 1;
        }
    }

    return run->reload_at_ms != 0;
}


ngx_uint_t
ngx_http_ctseg_run_drop(ngx_http_ctseg_run_t *run)
{
    ngx_uint_t               idle;
    ngx_queue_t             *q, *next;
    ngx_http_ctseg_batch_t  *batch;

    idle = 1;

    for (q = ngx_queue_head(&run->batches);
         q != ngx_queue_sentinel(&run->batches);
         q = next)
    {
        next = ngx_queue_next(q);
        batch = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

        if (batch->state == NGX_HTTP_CTSEG_BATCH_LOADING
            || batch->state == NGX_HTTP_CTSEG_BATCH_SENDING
            || batch->state == NGX_HTTP_CTSEG_BATCH_REFUSING)
        {
            idle = 0;
            continue;
        }

        /* one that is acknowledged may be counted yet */

        if (batch->state == NGX_HTTP_CTSEG_BATCH_DONE && !idle) {
            continue;
        }

        ngx_http_ctseg_run_forget(batch);
    }

    return idle;
}


/* it does not belong to the run any more */

static void
ngx_http_ctseg_run_forget(ngx_http_ctseg_batch_t *batch)
{
    ngx_http_ctseg_run_t  *run;

    run = batch->run;

    ngx_queue_remove(&batch->queue);
    run->nbatches--;
    run->nparts -= batch->part;

    ngx_http_ctseg_batch_free(batch);
}


void
ngx_http_ctseg_batch_free(ngx_http_ctseg_batch_t *batch)
{
    if (batch->retry.timer_set) {
        ngx_del_timer(&batch->retry);
    }

    ngx_http_ctseg_deliver_abort(&batch->delivery);
    ngx_http_ctseg_batch_clear(batch);
    ngx_free(batch);

    ngx_http_ctseg_nbatches--;
}


void
ngx_http_ctseg_run_abort(ngx_http_ctseg_run_t *run)
{
    ngx_queue_t             *q;
    ngx_http_ctseg_batch_t  *batch;

    for (q = ngx_queue_head(&run->batches);
         q != ngx_queue_sentinel(&run->batches);
         q = ngx_queue_next(q))
    {
        batch = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

        if (batch->state == NGX_HTTP_CTSEG_BATCH_SENDING) {
            ngx_http_ctseg_deliver_abort(&batch->delivery);
            batch->state = NGX_HTTP_CTSEG_BATCH_READY;
        }
    }
}
