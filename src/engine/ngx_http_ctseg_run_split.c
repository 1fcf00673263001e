/*
 * A batch that Segment refuses for something in it is read again in halves,
 * until what is wrong stands alone; its neighbors are delivered, each once.
 * k such events among n cost some 2k log2 n requests.  The half is the first
 * messages of the same stretch of the log, so they keep their ids.
 */

#include "../segment/ctseg_answer.h"
#include "ngx_http_ctseg_run_int.h"


/* noting an event that was refused; owns copies of what it stores */

typedef struct {
    ngx_http_ctseg_task_t    task;
    ngx_http_ctseg_batch_t  *batch;     /* not for the thread */

    ctseg_rejected_t         rejected;
    ctseg_buf_t              message;
    char                     excerpt[CTSEG_EXCERPT_MAX];

    ctseg_rc_t               rc;
    ctseg_err_t              err;
} ngx_http_ctseg_refusal_t;


static void ngx_http_ctseg_run_refuse_thread(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_run_refused(ngx_http_ctseg_task_t *task);


/* what was answered, for people */

static void
ngx_http_ctseg_run_split_note(ngx_http_ctseg_batch_t *batch)
{
    char                        text[160];
    ngx_http_ctseg_run_t       *run;
    ngx_http_ctseg_delivery_t  *d;

    run = batch->run;
    d = &batch->delivery;

    ctseg_answer_text(text, sizeof(text), (int) d->status, d->how);

    ngx_log_error(NGX_LOG_WARN, run->worker->log, 0,
                  "ctseg: export %V, run %uL: %s, batch of %ui events after "
                  "%uL: %*s", &run->export_id, run->run.number, text,
                  d->events, batch->load.after, d->excerpt_len, d->excerpt);

    ngx_http_ctseg_run_note_error(run, d->status, text);
    run->run.counts.retries++;
}


void
ngx_http_ctseg_run_split(ngx_http_ctseg_batch_t *batch)
{
    unsigned  events;

    ngx_http_ctseg_run_split_note(batch);

    events = batch->load.batch.events;

    ngx_http_ctseg_batch_clear(batch);

    batch->split_hi = batch->load.hi;
    batch->load.limit = (events + 1) / 2;
    batch->attempt = 0;
    batch->state = NGX_HTTP_CTSEG_BATCH_LOADING;

    if (ngx_http_ctseg_batch_load(batch) != NGX_OK) {
        ngx_http_ctseg_run_wait(batch, CTSEG_BACKOFF_BASE_MS);
    }
}


ngx_int_t
ngx_http_ctseg_run_halved(ngx_http_ctseg_batch_t *batch)
{
    ngx_http_ctseg_run_t    *run;
    ngx_http_ctseg_batch_t  *other;

    run = batch->run;

    other = ngx_http_ctseg_batch_create(run, batch->load.batch.upto,
                                        batch->split_hi);
    if (other == NULL) {
        return NGX_ERROR;
    }

    batch->load.hi = batch->load.batch.upto;
    batch->load.limit = 0;
    batch->split_hi = 0;

    ngx_queue_insert_after(&batch->queue, &other->queue);
    run->nbatches++;

    other->part = 1;
    run->nparts++;

    if (ngx_http_ctseg_batch_load(other) != NGX_OK) {
        ngx_http_ctseg_run_wait(other, CTSEG_BACKOFF_BASE_MS);
    }

    return NGX_OK;
}


void
ngx_http_ctseg_run_refuse(ngx_http_ctseg_batch_t *batch)
{
    ngx_http_ctseg_run_t       *run;
    ngx_http_ctseg_refusal_t   *refusal;
    ngx_http_ctseg_delivery_t  *d;

    ngx_http_ctseg_run_split_note(batch);

    run = batch->run;
    d = &batch->delivery;

    run->run.refusals++;                /* those under way see it */

    refusal = ngx_http_ctseg_task_create(run->worker,
                                         sizeof(ngx_http_ctseg_refusal_t),
                                         ngx_http_ctseg_run_refuse_thread,
                                         ngx_http_ctseg_run_refused);
    if (refusal == NULL) {
        ngx_http_ctseg_run_wait(batch, NGX_HTTP_CTSEG_RELOAD_MS);
        return;
    }

    refusal->batch = batch;

    ctseg_buf_str(&refusal->message,
                  ctseg_batch_message(&batch->load.batch, 0));
    ngx_memcpy(refusal->excerpt, d->excerpt, d->excerpt_len);

    ngx_memcpy(refusal->rejected.export_id, run->run.export_id,
               sizeof(refusal->rejected.export_id));
    refusal->rejected.run = run->run.number;
    refusal->rejected.sequence = batch->load.batch.last;
    refusal->rejected.reason = CTSEG_REJECT_REFUSED;
    refusal->rejected.status = (int) d->status;
    refusal->rejected.at_ms = run->run.error_ms;
    refusal->rejected.answer.data = refusal->excerpt;
    refusal->rejected.answer.len = d->excerpt_len;
    refusal->rejected.message = ctseg_buf_slice(&refusal->message);

    if (refusal->message.failed
        || ngx_http_ctseg_task_post(&refusal->task) != NGX_OK)
    {
        ctseg_buf_free(&refusal->message);
        ngx_free(refusal);
        ngx_http_ctseg_run_wait(batch, NGX_HTTP_CTSEG_RELOAD_MS);
        return;
    }

    batch->state = NGX_HTTP_CTSEG_BATCH_REFUSING;
}


static void
ngx_http_ctseg_run_refuse_thread(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_refusal_t  *refusal;

    refusal = (ngx_http_ctseg_refusal_t *) task;

    refusal->rc = ctseg_rejected_put(task->worker->store, &refusal->rejected,
                                     &refusal->err);
}


/* it counts only when it is stored; until then it is sent again and again */

static void
ngx_http_ctseg_run_refused(ngx_http_ctseg_task_t *task)
{
    ctseg_counts_t            *c;
    ngx_http_ctseg_run_t      *run;
    ngx_http_ctseg_batch_t    *batch;
    ngx_http_ctseg_refusal_t  *refusal;

    refusal = (ngx_http_ctseg_refusal_t *) task;
    batch = refusal->batch;
    run = batch->run;

    ngx_http_ctseg_run_stirs(run);

    if (refusal->rc == CTSEG_OK) {
        c = &batch->load.batch.counts;
        c->sent--;
        c->rejected++;
        c->rejects[CTSEG_REJECT_REFUSED]++;

        batch->load.batch.events = 0;
        batch->state = NGX_HTTP_CTSEG_BATCH_DONE;

    } else {
        ngx_log_error(NGX_LOG_ERR, run->worker->log, 0,
                      "ctseg: export %V, run %uL: an event that was refused "
                      "could not be noted, trying again: %s",
                      &run->export_id, run->run.number, refusal->err.text);

        ngx_http_ctseg_run_wait(batch, NGX_HTTP_CTSEG_RELOAD_MS);
    }

    ctseg_buf_free(&refusal->message);
    ngx_free(refusal);

    ngx_http_ctseg_run_go(run);
}
