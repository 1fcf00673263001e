/*
 * The batches of a run on their way: when one may go, and what its answer
 * makes of it.  Several are in flight, and each waits for its own retry.  What
 * cannot be sent waits, for ever if need be: nothing is dropped here.
 */

#include "../segment/ctseg_answer.h"
#include "../bridge/ngx_http_ctseg_count.h"
#include "ngx_http_ctseg_run_int.h"


static ngx_int_t ngx_http_ctseg_run_post(ngx_http_ctseg_batch_t *batch);
static void ngx_http_ctseg_run_failed(ngx_http_ctseg_batch_t *batch,
    ctseg_answer_t answer);
static void ngx_http_ctseg_run_hold(ngx_http_ctseg_batch_t *batch,
    ctseg_answer_t answer, int64_t wait);
static void ngx_http_ctseg_run_answered(ngx_http_ctseg_delivery_t *d);


/*
 * Where each event is refused, it is not about the events.  What Segment took
 * that was sent since the first of those that are looked for now was refused
 * shows that it is about them.
 */

static ngx_uint_t
ngx_http_ctseg_run_is_refused(ngx_http_ctseg_run_t *run)
{
    return run->run.refusals >= NGX_HTTP_CTSEG_REFUSALS + run->proof;
}


static void
ngx_http_ctseg_run_suspect(ngx_http_ctseg_batch_t *batch)
{
    ngx_http_ctseg_run_t  *run;

    run = batch->run;

    if (batch->part) {
        return;
    }

    if (run->nparts == 0) {

        /* those before were culprits, and do not count any more */

        if (run->proof != 0) {
            run->run.refusals = 0;
        }

        run->proof = 0;
        run->proof_at = ngx_current_msec;
    }

    batch->part = 1;
    run->nparts++;
}


/*
 * What is said of a profile later must come later, or an older state of it
 * would overwrite a newer one: its batches go one after the other.
 */

static ngx_uint_t
ngx_http_ctseg_run_is_behind(ngx_http_ctseg_run_t *run,
    ngx_http_ctseg_batch_t *batch)
{
    ngx_queue_t             *q;
    ngx_http_ctseg_batch_t  *before;

    if (run->run.pinned.type != CTSEG_TYPE_PROFILE
        || &batch->queue == ngx_queue_head(&run->batches))
    {
        return 0;
    }

    q = ngx_queue_prev(&batch->queue);
    before = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

    return before->state != NGX_HTTP_CTSEG_BATCH_DONE;
}


void
ngx_http_ctseg_run_send(ngx_http_ctseg_run_t *run)
{
    ngx_msec_t               wait;
    ngx_uint_t               sending, width, other;
    ngx_queue_t             *q;
    ngx_http_ctseg_batch_t  *batch;

    sending = 0;
    other = 0;
    width = ctseg_window_size(&run->window,
                              (unsigned) run->region->concurrency);

    for (q = ngx_queue_head(&run->batches);
         q != ngx_queue_sentinel(&run->batches);
         q = ngx_queue_next(q))
    {
        batch = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

        if (batch->state == NGX_HTTP_CTSEG_BATCH_SENDING) {
            sending++;
        }

        /* what has not been refused tells more than what has */

        if (batch->state == NGX_HTTP_CTSEG_BATCH_READY && !batch->part
            && ngx_http_ctseg_run_is_refused(run))
        {
            other = 1;
        }
    }

    for (q = ngx_queue_head(&run->batches);
         q != ngx_queue_sentinel(&run->batches)
         && sending < width;
         q = ngx_queue_next(q))
    {
        batch = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

        if (ngx_http_ctseg_run_is_behind(run, batch)) {
            return;
        }

        if (batch->state != NGX_HTTP_CTSEG_BATCH_READY
            || (other && batch->part))
        {
            continue;
        }

        wait = ngx_http_ctseg_rate_take(run->worker, &run->run, run->region,
                                        batch->load.batch.events);
        if (wait != 0) {
            if (!run->pace.timer_set) {
                ngx_add_timer(&run->pace, wait);
            }

            return;
        }

        if (ngx_http_ctseg_run_post(batch) == NGX_OK) {
            sending++;
        }
    }
}


static ngx_int_t
ngx_http_ctseg_run_post(ngx_http_ctseg_batch_t *batch)
{
    ngx_http_ctseg_run_t       *run;
    ngx_http_ctseg_delivery_t  *d;

    run = batch->run;
    d = &batch->delivery;

    batch->attempt++;
    batch->state = NGX_HTTP_CTSEG_BATCH_SENDING;

    d->region = run->region;
    d->export_id = run->export_id;
    d->run = run->run.number;
    d->events = batch->load.batch.events;
    d->attempt = batch->attempt;
    d->authorization.data = (u_char *) batch->load.authorization;
    d->authorization.len = ngx_strlen(batch->load.authorization);
    d->body.data = (u_char *) batch->load.batch.body.data;
    d->body.len = batch->load.batch.body.len;
    d->handler = ngx_http_ctseg_run_answered;
    d->data = batch;

    if (run->region->uri.len == 0) {

        /* nginx.conf has lost the region since the export was created */

        d->status = 0;
        d->how = "nginx.conf has no ctseg_segment for the partner's region";
        ngx_http_ctseg_run_failed(batch, CTSEG_ANSWER_PAUSE);
        return NGX_ERROR;
    }

    if (ngx_http_ctseg_deliver(d, run->worker->log) == NGX_OK) {
        return NGX_OK;
    }

    ngx_http_ctseg_run_wait(batch, CTSEG_BACKOFF_BASE_MS);

    return NGX_ERROR;
}


/*
 * A batch that waits holds no text: an outage costs no memory, and when it
 * is read again it goes out under the write key of that time.
 */

void
ngx_http_ctseg_run_wait(ngx_http_ctseg_batch_t *batch, int64_t wait)
{
    ngx_http_ctseg_batch_clear(batch);

    batch->state = NGX_HTTP_CTSEG_BATCH_WAITING;
    batch->retry_at_ms = ctseg_now_ms() + wait;
    ngx_add_timer(&batch->retry, (ngx_msec_t) wait);
}


static void
ngx_http_ctseg_run_failed(ngx_http_ctseg_batch_t *batch,
    ctseg_answer_t answer)
{
    char                        text[160];
    int64_t                     wait;
    ngx_http_ctseg_run_t       *run;
    ngx_http_ctseg_delivery_t  *d;

    run = batch->run;
    d = &batch->delivery;

    wait = ctseg_backoff_ms(answer, (unsigned) batch->attempt - 1,
                            (uint32_t) ngx_random());

    if (answer == CTSEG_ANSWER_RETRY
        && wait < (int64_t) d->retry_after * 1000)
    {
        wait = (int64_t) d->retry_after * 1000;
    }

    ctseg_answer_text(text, sizeof(text), (int) d->status, d->how);

    ngx_log_error(NGX_LOG_WARN, run->worker->log, 0,
                  "ctseg: export %V, run %uL: %s, batch of %ui events after "
                  "%uL, attempt %ui, next in %L ms", &run->export_id,
                  run->run.number, text, d->events, batch->load.batch.after,
                  batch->attempt, wait);

    ngx_http_ctseg_run_note_error(run, d->status, text);
    run->run.counts.retries++;

    ngx_http_ctseg_run_hold(batch, answer, wait);
    ngx_http_ctseg_run_wait(batch, wait);
}


/*
 * What an answer means for all that is sent with the same write key: a wish to
 * be left alone holds it, a refusal of everything makes its partner pause.
 */

static void
ngx_http_ctseg_run_hold(ngx_http_ctseg_batch_t *batch, ctseg_answer_t answer,
    int64_t wait)
{
    ngx_http_ctseg_run_t       *run;
    ngx_http_ctseg_delivery_t  *d;

    run = batch->run;
    d = &batch->delivery;

    if (answer == CTSEG_ANSWER_PAUSE) {
        ngx_http_ctseg_rate_hold(run->worker, &run->run, wait, 1);

        run->paused_revision = batch->load.partner_revision;

        if (run->run.paused_ms == 0) {
            run->run.paused_ms = run->run.error_ms;

            ngx_log_error(NGX_LOG_ERR, run->worker->log, 0,
                          "ctseg: export %V, run %uL: partner %s pauses: %s",
                          &run->export_id, run->run.number,
                          run->run.partner_id, run->run.error);
        }

        return;
    }

    if (answer != CTSEG_ANSWER_RETRY
        || (d->retry_after == 0 && !ctseg_answer_is_limit((int) d->status)))
    {
        return;
    }

    ngx_http_ctseg_rate_hold(run->worker, &run->run, wait, 0);
    run->held_ms = ngx_max(run->held_ms, wait);
}


static void
ngx_http_ctseg_run_answered(ngx_http_ctseg_delivery_t *d)
{
    ctseg_answer_t           answer;
    ngx_http_ctseg_run_t    *run;
    ngx_http_ctseg_batch_t  *batch;

    batch = d->data;
    run = batch->run;

    ngx_http_ctseg_run_stirs(run);

    answer = ctseg_answer_classify((int) d->status);
    ngx_http_ctseg_count_delivery(run->run.partner_id, d->status,
                                  ngx_current_msec - d->started);

    if (answer == CTSEG_ANSWER_CONTENT) {
        ngx_http_ctseg_run_suspect(batch);

        if (ngx_http_ctseg_run_is_refused(run)) {
            answer = CTSEG_ANSWER_PAUSE;
        }
    }

    switch (answer) {

    case CTSEG_ANSWER_SENT:
        batch->state = NGX_HTTP_CTSEG_BATCH_DONE;
        run->run.refusals = 0;

        /*
         * It was all that failed, and that is over: who waits for a retry
         * need not wait any more.  A batch that fails between others that do
         * not has its own reason, and goes on waiting longer each time.
         */

        if (run->run.paused_ms != 0
            || run->failures >= NGX_HTTP_CTSEG_OUTAGE)
        {
            run->run.paused_ms = 0;
            ngx_http_ctseg_run_retry(run);
        }

        run->failures = 0;

        if (run->nparts != 0
            && (ngx_msec_int_t) (d->started - run->proof_at) >= 0)
        {
            run->proof += d->events;
        }

        ngx_http_ctseg_rate_sent(run->worker, &run->run);
        ctseg_window_sent(&run->window,
                          (double) (ngx_current_msec - d->started),
                          (unsigned) run->region->concurrency);
        break;

    case CTSEG_ANSWER_CONTENT:

        /* who judges the events does not refuse the write key any more */

        ngx_http_ctseg_rate_sent(run->worker, &run->run);

        if (batch->load.batch.events > 1) {
            ngx_http_ctseg_run_split(batch);

        } else {
            ngx_http_ctseg_run_refuse(batch);
        }

        break;

    case CTSEG_ANSWER_RETRY:
        run->failures++;
        ctseg_window_failed(&run->window,
                            (unsigned) run->region->concurrency);

        /* fall through */

    default:
        ngx_http_ctseg_run_failed(batch, answer);
    }

    ngx_http_ctseg_run_go(run);
}


void
ngx_http_ctseg_run_retry_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_batch_t  *batch;

    batch = ngx_queue_data(ev, ngx_http_ctseg_batch_t, retry);

    batch->state = NGX_HTTP_CTSEG_BATCH_LOADING;
    batch->load.rc = CTSEG_OK;

    if (ngx_http_ctseg_batch_load(batch) != NGX_OK) {
        ngx_http_ctseg_run_wait(batch, CTSEG_BACKOFF_BASE_MS);
    }
}


void
ngx_http_ctseg_run_retry(ngx_http_ctseg_run_t *run)
{
    ngx_queue_t             *q;
    ngx_http_ctseg_batch_t  *batch;

    for (q = ngx_queue_head(&run->batches);
         q != ngx_queue_sentinel(&run->batches);
         q = ngx_queue_next(q))
    {
        batch = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

        if (batch->state == NGX_HTTP_CTSEG_BATCH_WAITING) {
            ngx_add_timer(&batch->retry, 1);
        }
    }

    if (run->pace.timer_set) {
        ngx_add_timer(&run->pace, 1);
    }
}
