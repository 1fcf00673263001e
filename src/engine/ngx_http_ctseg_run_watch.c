/*
 * The watchdog of a run.  A run with something to do is never quiet for long:
 * it loads, sends, or waits for a moment that it knows.  One that does nothing
 * of the kind for a minute has been forgotten, by a thread that does not come
 * back or by a fault of ours, and is given to somebody else.
 *
 * Time counts in beats: while the process is stopped, the machine asleep or
 * the loop busy, nobody could have done anything.
 */

#include "../bridge/ngx_http_ctseg_count.h"
#include "ngx_http_ctseg_run_int.h"


/* has it nothing to do, or will it go on by itself? */

static ngx_uint_t
ngx_http_ctseg_run_may_rest(ngx_http_ctseg_run_t *run)
{
    ngx_queue_t             *q;
    ngx_http_ctseg_batch_t  *batch;

    if (run->lost || run->pace.timer_set) {
        return 1;
    }

    if (!run->saving) {

        /* the store said no, which is in the log; the beat asks again */

        if (run->unsaved || run->unread) {
            return 1;
        }

        if (run->nbatches == 0 && run->run.cursor == run->run.hi) {
            return 1;
        }
    }

    for (q = ngx_queue_head(&run->batches);
         q != ngx_queue_sentinel(&run->batches);
         q = ngx_queue_next(q))
    {
        batch = ngx_queue_data(q, ngx_http_ctseg_batch_t, queue);

        if (batch->state == NGX_HTTP_CTSEG_BATCH_SENDING
            || batch->retry.timer_set)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_ctseg_run_stirs(ngx_http_ctseg_run_t *run)
{
    run->quiet = 0;
}


ngx_uint_t
ngx_http_ctseg_run_is_stalled(ngx_http_ctseg_run_t *run)
{
    ngx_msec_t  passed;

    passed = ngx_current_msec - run->beat_at;
    run->beat_at = ngx_current_msec;

    if (ngx_http_ctseg_run_may_rest(run)) {
        run->quiet = 0;
        return 0;
    }

    run->quiet += ngx_min(passed, 2 * NGX_HTTP_CTSEG_BEAT_MS);

    if (run->quiet < CTSEG_STALL_MS) {
        return 0;
    }

    ngx_http_ctseg_count_violation();

    ngx_log_error(NGX_LOG_ERR, run->worker->log, 0,
                  "ctseg: export %V, run %uL: no attempt for %M s, at %uL of "
                  "%uL%s%s: given up to be taken over", &run->export_id,
                  run->run.number, run->quiet / 1000, run->run.cursor,
                  run->run.hi, run->loading ? ", a load is out" : "",
                  run->saving ? ", a save is out" : "");

    return 1;
}
