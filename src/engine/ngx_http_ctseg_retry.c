/*
 * The redeliveries of this worker.  One is a loop of steps: a thread finds
 * the next event that Segment refused and reads its message, here it is
 * sent, and what was answered goes into the next step.  While one waits, for
 * an attempt or for its turn, it takes a step each second: so it sees what
 * is asked for, forgotten and mended, and renews its lease.
 *
 * The record is the lease, as that of a run: who lost it finds another
 * revision at its next put, and drops everything.
 */

#include "../bridge/ngx_http_ctseg_count.h"
#include "ngx_http_ctseg_retry_int.h"


#define NGX_HTTP_CTSEG_RETRY_BEAT_MS   1000
#define NGX_HTTP_CTSEG_RETRY_AGAIN_MS  5000     /* after an error */


typedef struct {
    ngx_queue_t                   queue;
    ngx_http_ctseg_worker_t      *worker;
    ngx_http_ctseg_retry_step_t  *step;     /* its one job */
    ngx_str_t                     export_id;    /* into step */
    ngx_event_t                   timer;    /* until the next step */
    ngx_http_ctseg_delivery_t     delivery;

    uint64_t                      at;       /* the event it is at */
    ngx_uint_t                    attempt;
    int64_t                       due_ms;   /* no attempt before
                                               (monotonic) */
    ngx_msec_t                    put_at;   /* of the last put */
    uint64_t                      asked;    /* as it was refused, */
    uint64_t                      partner_revision; /* and its partner */

    unsigned                      stepping:1;
    unsigned                      sending:1;
    unsigned                      known:1;  /* the bucket knows what was asked
                                               for before */
    unsigned                      leaving:1;    /* the worker exits */
} ngx_http_ctseg_retry_t;


static ngx_int_t ngx_http_ctseg_retry_begin(ngx_http_ctseg_worker_t *worker,
    const ctseg_retry_t *record);
static void ngx_http_ctseg_retry_go(ngx_http_ctseg_retry_t *retry);
static void ngx_http_ctseg_retry_wait(ngx_http_ctseg_retry_t *retry,
    int64_t ms);
static void ngx_http_ctseg_retry_timer_handler(ngx_event_t *ev);
static void ngx_http_ctseg_retry_stepped(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_retry_send(ngx_http_ctseg_retry_t *retry);
static void ngx_http_ctseg_retry_answered(ngx_http_ctseg_delivery_t *d);
static void ngx_http_ctseg_retry_verdict(ngx_http_ctseg_retry_t *retry);
static void ngx_http_ctseg_retry_free(ngx_http_ctseg_retry_t *retry);


static ngx_queue_t  ngx_http_ctseg_retries;
static ngx_uint_t   ngx_http_ctseg_retry_lost;


void
ngx_http_ctseg_retry_init(void)
{
    ngx_queue_init(&ngx_http_ctseg_retries);
}


void
ngx_http_ctseg_retry_prepare(ngx_http_ctseg_retry_look_t *look)
{
    ngx_queue_t             *q;
    ngx_http_ctseg_retry_t  *retry;

    look->nmine = 0;
    look->nclaims = 0;

    if (ngx_http_ctseg_retry_lost) {
        ngx_http_ctseg_retry_lost = 0;
        look->again = 1;
    }

    for (q = ngx_queue_head(&ngx_http_ctseg_retries);
         q != ngx_queue_sentinel(&ngx_http_ctseg_retries);
         q = ngx_queue_next(q))
    {
        retry = ngx_queue_data(q, ngx_http_ctseg_retry_t, queue);

        ngx_memcpy(look->mine[look->nmine++], retry->step->record.export_id,
                   CTSEG_ID_TEXT_MAX);
    }
}


void
ngx_http_ctseg_retry_start(ngx_http_ctseg_worker_t *worker,
    ngx_http_ctseg_retry_look_t *look)
{
    ngx_uint_t  i;

    for (i = 0; i < look->nclaims; i++) {

        if (ngx_http_ctseg_retry_begin(worker, &look->claims[i]) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, worker->log, 0,
                          "ctseg: export %s: no memory for sending its "
                          "refused events", look->claims[i].export_id);
            look->again = 1;
        }
    }
}


static ngx_int_t
ngx_http_ctseg_retry_begin(ngx_http_ctseg_worker_t *worker,
    const ctseg_retry_t *record)
{
    ngx_http_ctseg_retry_t  *retry;

    retry = ngx_calloc(sizeof(ngx_http_ctseg_retry_t), worker->log);
    if (retry == NULL) {
        return NGX_ERROR;
    }

    retry->step = ngx_http_ctseg_task_create(worker,
                                         sizeof(ngx_http_ctseg_retry_step_t),
                                         ngx_http_ctseg_retry_step_thread,
                                         ngx_http_ctseg_retry_stepped);
    if (retry->step == NULL) {
        ngx_free(retry);
        return NGX_ERROR;
    }

    retry->worker = worker;
    retry->step->data = retry;
    retry->step->record = *record;
    retry->export_id.data = (u_char *) retry->step->record.export_id;
    retry->export_id.len = ngx_strlen(record->export_id);
    retry->put_at = ngx_current_msec;
    retry->asked = record->asked;

    /* cancelable: an exiting worker does not wait for it */

    retry->timer.handler = ngx_http_ctseg_retry_timer_handler;
    retry->timer.data = &worker->dummy;
    retry->timer.log = worker->log;
    retry->timer.cancelable = 1;

    ngx_queue_insert_tail(&ngx_http_ctseg_retries, &retry->queue);
    ngx_http_ctseg_hold(worker);

    ngx_log_error(NGX_LOG_NOTICE, worker->log, 0,
                  "ctseg: export %V: sending refused events once more, after "
                  "%uL", &retry->export_id, record->cursor);

    ngx_http_ctseg_retry_go(retry);

    return NGX_OK;
}


/* ---- steps ---- */


static void
ngx_http_ctseg_retry_go(ngx_http_ctseg_retry_t *retry)
{
    ngx_http_ctseg_retry_step_t  *step;

    step = retry->step;

    if (ngx_exiting || ngx_quit || ngx_terminate) {
        retry->leaving = 1;
    }

    if (retry->timer.timer_set) {
        ngx_del_timer(&retry->timer);
    }

    step->release = retry->leaving;
    step->renew = ngx_current_msec - retry->put_at > CTSEG_LEASE_RENEW_MS;

    if (ngx_http_ctseg_task_post(&step->task) != NGX_OK) {
        ngx_http_ctseg_retry_wait(retry, NGX_HTTP_CTSEG_RETRY_BEAT_MS);
        return;
    }

    retry->stepping = 1;
}


static void
ngx_http_ctseg_retry_wait(ngx_http_ctseg_retry_t *retry, int64_t ms)
{
    if (retry->leaving) {
        return;                         /* the drain comes by */
    }

    ngx_add_timer(&retry->timer, (ngx_msec_t) ms);
}


static void
ngx_http_ctseg_retry_timer_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_retry_t  *retry;

    retry = ngx_queue_data(ev, ngx_http_ctseg_retry_t, timer);

    ngx_http_ctseg_retry_go(retry);
}


/* a step that failed; where the lease is lost, there is nothing to do here */

static void
ngx_http_ctseg_retry_unstepped(ngx_http_ctseg_retry_t *retry)
{
    ngx_uint_t                    lost;
    ngx_http_ctseg_retry_step_t  *step;

    step = retry->step;

    /* unclear: the record may have moved on, so let it be found again */

    lost = step->rc == CTSEG_CONFLICT || step->rc == CTSEG_NOTFOUND
           || step->rc == CTSEG_AMBIGUOUS || retry->leaving;

    ngx_log_error((step->rc == CTSEG_FATAL ? NGX_LOG_INFO : NGX_LOG_ERR),
                  retry->worker->log, 0,
                  "ctseg: export %V: sending refused events once more: %s: "
                  "%s (%s)", &retry->export_id,
                  step->rc == CTSEG_CONFLICT ? "another worker took it over"
                  : lost ? "let go" : "a step failed, trying again",
                  step->err.text, ctseg_rc_name(step->rc));

    if (lost) {
        ngx_http_ctseg_retry_lost = 1;
        ngx_http_ctseg_retry_free(retry);
        return;
    }

    ngx_http_ctseg_retry_wait(retry, NGX_HTTP_CTSEG_RETRY_AGAIN_MS);
}


static void
ngx_http_ctseg_retry_over(ngx_http_ctseg_retry_t *retry)
{
    ngx_uint_t      failed;
    ctseg_retry_t  *record;

    record = &retry->step->record;
    failed = record->state == CTSEG_RETRY_FAILED;

    ngx_log_error((failed ? NGX_LOG_ERR : NGX_LOG_NOTICE),
                  retry->worker->log, 0,
                  "ctseg: export %V: sending refused events once more: %s, "
                  "%uL sent, %uL refused%s%s", &retry->export_id,
                  failed ? "failed"
                  : record->state == CTSEG_RETRY_DONE ? "done" : "released",
                  record->sent, record->refused, failed ? ": " : "",
                  failed ? record->error : "");

    ngx_http_ctseg_retry_free(retry);
}


static void
ngx_http_ctseg_retry_stepped(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_retry_t       *retry;
    ngx_http_ctseg_retry_step_t  *step;

    step = (ngx_http_ctseg_retry_step_t *) task;
    retry = step->data;

    retry->stepping = 0;

    if (step->put) {
        retry->put_at = ngx_current_msec;
    }

    if (step->note[0] != '\0') {
        ngx_log_error(NGX_LOG_ERR, retry->worker->log, 0,
                      "ctseg: export %V: %s", &retry->export_id, step->note);
    }

    if (step->rc != CTSEG_OK) {
        ngx_http_ctseg_retry_unstepped(retry);
        return;
    }

    if (step->over) {
        ngx_http_ctseg_retry_over(retry);
        return;
    }

    if (ngx_exiting || ngx_quit || ngx_terminate) {
        retry->leaving = 1;
    }

    if (retry->leaving) {
        ngx_http_ctseg_retry_go(retry);
        return;
    }

    if (step->sequence == 0) {
        ngx_http_ctseg_retry_wait(retry, NGX_HTTP_CTSEG_RETRY_BEAT_MS);
        return;
    }

    ngx_http_ctseg_retry_send(retry);
}


/* ---- sending ---- */


/* what was asked for before it came here, and what may have mended a pause */

static void
ngx_http_ctseg_retry_learn(ngx_http_ctseg_retry_t *retry)
{
    ngx_http_ctseg_retry_step_t  *step;

    step = retry->step;

    if (retry->at != step->sequence) {
        retry->at = step->sequence;
        retry->attempt = 0;
    }

    if (!retry->known) {
        retry->known = 1;
        ngx_http_ctseg_rate_hold(retry->worker, &step->run, step->held_ms,
                                 step->record.paused_ms != 0);

    } else if (step->record.paused_ms != 0
               && (step->partner_revision != retry->partner_revision
                   || step->record.asked != retry->asked))
    {
        ngx_http_ctseg_rate_sent(retry->worker, &step->run);
        retry->due_ms = 0;
    }

    retry->partner_revision = step->partner_revision;
    retry->asked = step->record.asked;
}


static void
ngx_http_ctseg_retry_send(ngx_http_ctseg_retry_t *retry)
{
    int64_t                       wait;
    ngx_http_ctseg_region_t      *region;
    ngx_http_ctseg_delivery_t    *d;
    ngx_http_ctseg_retry_step_t  *step;

    step = retry->step;
    d = &retry->delivery;

    ngx_http_ctseg_retry_learn(retry);

    region = &retry->worker->conf->regions[step->run.region];
    wait = retry->due_ms - ctseg_mono_ms();

    if (wait <= 0 && region->uri.len != 0) {
        wait = (int64_t) ngx_http_ctseg_rate_take(retry->worker, &step->run,
                                                  region, 1);
    }

    if (wait > 0) {
        ngx_http_ctseg_retry_wait(retry,
                                  ngx_min(wait,
                                          NGX_HTTP_CTSEG_RETRY_BEAT_MS));
        return;
    }

    retry->attempt++;

    d->region = region;
    d->export_id = retry->export_id;
    d->run = step->run.number;
    d->events = 1;
    d->attempt = retry->attempt;
    d->authorization.data = (u_char *) step->authorization;
    d->authorization.len = ngx_strlen(step->authorization);
    d->body.data = (u_char *) step->batch.body.data;
    d->body.len = step->batch.body.len;
    d->handler = ngx_http_ctseg_retry_answered;
    d->data = retry;

    if (region->uri.len == 0) {
        d->status = 0;
        d->retry_after = 0;
        d->excerpt_len = 0;
        d->how = "nginx.conf has no ctseg_segment for the partner's region";
        ngx_http_ctseg_retry_verdict(retry);
        return;
    }

    if (ngx_http_ctseg_deliver(d, retry->worker->log) == NGX_OK) {
        retry->sending = 1;
        return;
    }

    ngx_http_ctseg_retry_wait(retry, CTSEG_BACKOFF_BASE_MS);
}


static void
ngx_http_ctseg_retry_answered(ngx_http_ctseg_delivery_t *d)
{
    ngx_http_ctseg_retry_t  *retry;

    retry = d->data;
    retry->sending = 0;

    ngx_http_ctseg_count_delivery(retry->step->run.partner_id, d->status,
                                  ngx_current_msec - d->started);

    ngx_http_ctseg_retry_verdict(retry);
}


/* another attempt has to be made: when, and what does it mean for others? */

static void
ngx_http_ctseg_retry_again(ngx_http_ctseg_retry_t *retry,
    ngx_http_ctseg_verdict_t *v)
{
    int64_t                     wait;
    ngx_http_ctseg_delivery_t  *d;

    d = &retry->delivery;

    wait = ctseg_backoff_ms(v->answer, (unsigned) retry->attempt - 1,
                            (uint32_t) ngx_random());

    if (v->answer == CTSEG_ANSWER_PAUSE) {
        ngx_http_ctseg_rate_hold(retry->worker, &retry->step->run, wait, 1);

    } else {

        if (wait < (int64_t) d->retry_after * 1000) {
            wait = (int64_t) d->retry_after * 1000;
        }

        if (d->retry_after != 0
            || ctseg_answer_is_limit((int) d->status))
        {
            ngx_http_ctseg_rate_hold(retry->worker, &retry->step->run, wait,
                                     0);
            v->held_ms = wait;
        }
    }

    retry->due_ms = ctseg_mono_ms() + wait;
    v->retry_at_ms = v->at_ms + wait;

    ngx_log_error(NGX_LOG_WARN, retry->worker->log, 0,
                  "ctseg: export %V: %s, refused event %uL, attempt %ui, "
                  "next in %L ms", &retry->export_id, v->text, v->sequence,
                  retry->attempt, wait);
}


static void
ngx_http_ctseg_retry_verdict(ngx_http_ctseg_retry_t *retry)
{
    ngx_http_ctseg_verdict_t     *v;
    ngx_http_ctseg_delivery_t    *d;
    ngx_http_ctseg_retry_step_t  *step;

    d = &retry->delivery;
    step = retry->step;
    v = &step->verdict;

    ngx_memzero(v, sizeof(ngx_http_ctseg_verdict_t));

    v->made = 1;
    v->sequence = retry->at;
    v->asked = step->record.asked;
    v->status = (int) d->status;
    v->at_ms = ctseg_now_ms();

    /* where nginx.conf has no way to Segment, somebody has to mend it */

    v->answer = d->region->uri.len == 0 ? CTSEG_ANSWER_PAUSE
                : ctseg_answer_classify((int) d->status);

    ctseg_answer_text(v->text, sizeof(v->text), (int) d->status, d->how);

    switch (v->answer) {

    case CTSEG_ANSWER_SENT:
        ngx_http_ctseg_rate_sent(retry->worker, &step->run);
        retry->at = 0;
        retry->due_ms = 0;
        break;

    case CTSEG_ANSWER_CONTENT:
        v->excerpt_len = ngx_min(d->excerpt_len, sizeof(v->excerpt));
        ngx_memcpy(v->excerpt, d->excerpt, v->excerpt_len);
        retry->at = 0;
        retry->due_ms = 0;

        ngx_log_error(NGX_LOG_WARN, retry->worker->log, 0,
                      "ctseg: export %V: %s, refused event %uL: %*s",
                      &retry->export_id, v->text, v->sequence,
                      v->excerpt_len, v->excerpt);
        break;

    default:
        ngx_http_ctseg_retry_again(retry, v);
    }

    ngx_http_ctseg_retry_go(retry);
}


/* ---- the end ---- */


void
ngx_http_ctseg_retry_drain(ngx_uint_t force)
{
    ngx_queue_t             *q, *next;
    ngx_http_ctseg_retry_t  *retry;

    for (q = ngx_queue_head(&ngx_http_ctseg_retries);
         q != ngx_queue_sentinel(&ngx_http_ctseg_retries);
         q = next)
    {
        next = ngx_queue_next(q);
        retry = ngx_queue_data(q, ngx_http_ctseg_retry_t, queue);

        retry->leaving = 1;

        if (force && retry->sending) {
            ngx_http_ctseg_deliver_abort(&retry->delivery);
            retry->sending = 0;
        }

        if (!retry->stepping && !retry->sending) {
            ngx_http_ctseg_retry_go(retry);
        }
    }
}


static void
ngx_http_ctseg_retry_free(ngx_http_ctseg_retry_t *retry)
{
    if (retry->timer.timer_set) {
        ngx_del_timer(&retry->timer);
    }

    ngx_queue_remove(&retry->queue);
    ngx_http_ctseg_release(retry->worker);

    ctseg_batch_free(&retry->step->batch);
    ngx_free(retry->step);
    ngx_free(retry);
}
