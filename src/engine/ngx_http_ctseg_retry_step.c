/*
 * Redeliveries, on pool threads: who works on one, and its steps.
 *
 * The verdict on an event is one put of the record, which moves the cursor
 * and counts.  Only then an event that was acknowledged is taken out of the
 * rejected ones; a crash in between leaves "moved" and the cursor, so that
 * whoever goes on takes it out, and counts nothing.
 */

#include "../base/ctseg_str.h"
#include "../base/ctseg_time.h"
#include "ngx_http_ctseg_retry_int.h"


#define NGX_HTTP_CTSEG_RETRY_TRIES  8


typedef void (*ngx_http_ctseg_retry_pt)(ngx_http_ctseg_retry_step_t *step,
    ctseg_retry_t *record);


typedef struct {
    ngx_http_ctseg_worker_t      *worker;
    ngx_http_ctseg_retry_look_t  *look;
    ctseg_lease_watch_t          *watch;
    ctseg_rc_t                    rc;
    ctseg_err_t                  *err;
} ngx_http_ctseg_retry_walk_t;


/* ---- whose is it? ---- */


static ngx_uint_t
ngx_http_ctseg_retry_is_free(ngx_http_ctseg_retry_walk_t *walk,
    const ctseg_retry_t *retry)
{
    char        key[CTSEG_ID_TEXT_MAX + sizeof("retry/")];
    ngx_uint_t  i;

    for (i = 0; i < walk->look->nmine; i++) {
        if (strcmp(walk->look->mine[i], retry->export_id) == 0) {
            return 0;
        }
    }

    /* ours by name but not here: a start that failed, or an unclear put */

    if (strcmp(retry->owner, walk->worker->owner) == 0) {
        return 1;
    }

    (void) snprintf(key, sizeof(key), "retry/%s", retry->export_id);

    if (ctseg_lease_may_take(walk->watch, key, retry->owner, retry->rev,
                             ctseg_mono_ms(), CTSEG_LEASE_TTL_MS))
    {
        return 1;
    }

    walk->look->again = 1;

    return 0;
}


static bool
ngx_http_ctseg_retry_claim(void *data, const ctseg_retry_t *retry)
{
    ctseg_rc_t                    rc;
    ctseg_err_t                   err;
    ctseg_retry_t                *claim;
    ngx_http_ctseg_retry_look_t  *look;
    ngx_http_ctseg_retry_walk_t  *walk;

    walk = data;
    look = walk->look;

    if (retry->state != CTSEG_RETRY_RUNNING
        || !ngx_http_ctseg_retry_is_free(walk, retry))
    {
        return true;
    }

    if (look->nmine + look->nclaims >= NGX_HTTP_CTSEG_RETRIES_MAX) {
        look->again = 1;
        return false;
    }

    ngx_memzero(&err, sizeof(err));

    claim = &look->claims[look->nclaims];
    *claim = *retry;
    claim->fence++;
    (void) snprintf(claim->owner, sizeof(claim->owner), "%s",
                    walk->worker->owner);

    rc = ctseg_retry_put(walk->worker->store, claim, &err);

    if (rc == CTSEG_OK) {
        look->nclaims++;
        return true;
    }

    look->again = 1;

    if (rc != CTSEG_CONFLICT) {
        walk->rc = rc;
        *walk->err = err;
    }

    return true;
}


ctseg_rc_t
ngx_http_ctseg_retry_look_thread(ngx_http_ctseg_worker_t *worker,
    ngx_http_ctseg_retry_look_t *look, ctseg_lease_watch_t *watch,
    ctseg_err_t *err)
{
    ctseg_rc_t                   rc;
    ngx_http_ctseg_retry_walk_t  walk;

    walk.worker = worker;
    walk.look = look;
    walk.watch = watch;
    walk.rc = CTSEG_OK;
    walk.err = err;

    look->again = 0;

    rc = ctseg_retry_list(worker->store, ngx_http_ctseg_retry_claim, &walk,
                          err);

    if (rc == CTSEG_OK && walk.rc == CTSEG_OK) {
        return err->code == CTSEG_CORRUPT ? CTSEG_CORRUPT : CTSEG_OK;
    }

    return rc != CTSEG_OK ? rc : walk.rc;
}


/* ---- changing the record ---- */


/*
 * Change the record and store it.  Who asks for more changes it as well, so
 * a conflict is one only when another worker owns it: the change is made
 * anew on what is there now.
 */

static ctseg_rc_t
ngx_http_ctseg_retry_change(ngx_http_ctseg_retry_step_t *step,
    ngx_http_ctseg_retry_pt change)
{
    ctseg_rc_t      rc;
    ngx_uint_t      tries;
    ctseg_retry_t   record;
    ctseg_store_t  *store;

    store = step->task.worker->store;
    rc = CTSEG_CONFLICT;

    for (tries = 0; tries < NGX_HTTP_CTSEG_RETRY_TRIES; tries++) {

        record = step->record;
        change(step, &record);

        rc = ctseg_retry_put(store, &record, &step->err);

        if (rc == CTSEG_OK) {
            step->record = record;
            step->put = 1;
            return rc;
        }

        if (rc != CTSEG_CONFLICT) {
            return rc;
        }

        rc = ctseg_retry_get(store, record.export_id, &record, &step->err);

        if (rc != CTSEG_OK) {
            return rc;
        }

        if (strcmp(record.owner, step->record.owner) != 0
            || record.fence != step->record.fence
            || record.state != CTSEG_RETRY_RUNNING)
        {
            return ctseg_err(&step->err, CTSEG_CONFLICT, "it has another "
                             "owner");
        }

        step->record = record;
        rc = CTSEG_RETRY;
    }

    return ctseg_err(&step->err, rc, "it changes too often");
}


static void
ngx_http_ctseg_retry_end(ctseg_retry_t *record, ctseg_retry_state_t state)
{
    record->state = state;
    record->finished_ms = ctseg_now_ms();
    record->retry_at_ms = 0;
    record->failing_ms = 0;
    record->paused_ms = 0;
    record->moved = false;
    record->owner[0] = '\0';
}


static void
ngx_http_ctseg_retry_error(ctseg_retry_t *record, int status, int64_t at_ms,
    const char *text)
{
    record->error_status = status;
    record->error_ms = at_ms;
    (void) snprintf(record->error, sizeof(record->error), "%s", text);
}


/* it is tried again; where nothing passes by itself, not for ever */

static void
ngx_http_ctseg_retry_failed(ctseg_retry_t *record,
    const ngx_http_ctseg_verdict_t *v)
{
    record->retry_at_ms = v->retry_at_ms;

    if (record->failing_ms == 0) {
        record->failing_ms = v->at_ms;
    }

    if (v->answer != CTSEG_ANSWER_PAUSE) {
        return;
    }

    if (record->paused_ms == 0) {
        record->paused_ms = v->at_ms;
    }

    if (v->at_ms - record->paused_ms >= CTSEG_PAUSE_STOP_MS) {
        ngx_http_ctseg_retry_end(record, CTSEG_RETRY_FAILED);
    }
}


static void
ngx_http_ctseg_retry_judge(ngx_http_ctseg_retry_step_t *step,
    ctseg_retry_t *record)
{
    ngx_http_ctseg_verdict_t  *v;

    v = &step->verdict;

    ngx_memcpy(record->partner_id, step->run.partner_id,
               sizeof(record->partner_id));

    if (v->answer != CTSEG_ANSWER_SENT) {
        ngx_http_ctseg_retry_error(record, v->status, v->at_ms, v->text);
    }

    switch (v->answer) {

    case CTSEG_ANSWER_SENT:
        record->cursor = v->sequence;
        record->moved = true;
        record->sent++;
        record->delivered++;
        record->refusals = 0;
        record->retry_at_ms = 0;
        record->failing_ms = 0;
        record->paused_ms = 0;
        break;

    case CTSEG_ANSWER_CONTENT:
        record->cursor = v->sequence;
        record->moved = false;
        record->refused++;
        record->refusals++;
        record->retry_at_ms = 0;
        record->failing_ms = 0;

        /* asked for again while it was under way: it is to have a turn */

        if (record->asked != v->asked) {
            record->again = ngx_max(record->again, v->sequence);
        }

        break;

    default:
        ngx_http_ctseg_retry_failed(record, v);
    }

    if (step->release) {
        record->owner[0] = '\0';
    }
}


static void
ngx_http_ctseg_retry_renew(ngx_http_ctseg_retry_step_t *step,
    ctseg_retry_t *record)
{
    if (step->release) {
        record->owner[0] = '\0';
    }
}


/* the first pass is over: once more from the first, or the end */

static void
ngx_http_ctseg_retry_turn(ngx_http_ctseg_retry_step_t *step,
    ctseg_retry_t *record)
{
    if (record->asked != step->asked) {
        return;                         /* meanwhile: there may be more */
    }

    record->cursor = 0;
    record->hi = record->again;
    record->again = 0;
    record->moved = false;

    if (record->hi == 0) {
        ngx_http_ctseg_retry_end(record, CTSEG_RETRY_DONE);
    }
}


static void
ngx_http_ctseg_retry_gone(ngx_http_ctseg_retry_step_t *step,
    ctseg_retry_t *record)
{
    ngx_http_ctseg_retry_error(record, 0, ctseg_now_ms(),
                               "the partner was deleted");
    ngx_http_ctseg_retry_end(record, CTSEG_RETRY_FAILED);
}


static void
ngx_http_ctseg_retry_give_up(ngx_http_ctseg_retry_step_t *step,
    ctseg_retry_t *record)
{
    if (record->asked != step->asked) {
        return;                         /* meanwhile: it goes on */
    }

    ngx_http_ctseg_retry_error(record, record->error_status,
                               ctseg_now_ms(), "8 events in a row were "
                               "refused again, the others were not tried");
    ngx_http_ctseg_retry_end(record, CTSEG_RETRY_FAILED);
}


/* ---- steps ---- */


/* everything that an attempt has taught, in the store */

static ctseg_rc_t
ngx_http_ctseg_retry_save(ngx_http_ctseg_retry_step_t *step)
{
    ctseg_rc_t                 rc;
    ctseg_store_t             *store;
    ctseg_rejected_t           rejected;
    ngx_http_ctseg_verdict_t  *v;

    v = &step->verdict;
    store = step->task.worker->store;

    if (!v->made) {
        return step->renew || step->release
               ? ngx_http_ctseg_retry_change(step,
                                             ngx_http_ctseg_retry_renew)
               : CTSEG_OK;
    }

    if (v->held_ms != 0) {
        rc = ctseg_throttle_put(store, step->run.pinned.fingerprint,
                                ctseg_now_ms(), v->held_ms, &step->err);
        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    /* before it counts; done twice it says the same */

    if (v->answer == CTSEG_ANSWER_CONTENT) {
        ngx_memzero(&rejected, sizeof(ctseg_rejected_t));

        (void) snprintf(rejected.export_id, sizeof(rejected.export_id), "%s",
                        step->record.export_id);
        rejected.sequence = v->sequence;
        rejected.status = v->status;
        rejected.at_ms = v->at_ms;
        rejected.answer.data = v->excerpt;
        rejected.answer.len = v->excerpt_len;

        rc = ctseg_rejected_again(store, &rejected, &step->err);
        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    rc = ngx_http_ctseg_retry_change(step, ngx_http_ctseg_retry_judge);

    if (rc == CTSEG_OK) {
        v->made = 0;
    }

    return rc;
}


/* the next event that is to be sent; over: there is none */

static ctseg_rc_t
ngx_http_ctseg_retry_find(ngx_http_ctseg_retry_step_t *step,
    ctseg_buf_t *buf, ctseg_rejected_t *rejected)
{
    ctseg_rc_t      rc;
    ctseg_err_t     err;
    ctseg_retry_t  *record;

    record = &step->record;

    for ( ;; ) {
        ngx_memzero(&err, sizeof(err));
        step->asked = record->asked;

        rc = ctseg_rejected_next(step->task.worker->store, record->export_id,
                                 record->cursor, record->hi, buf, rejected,
                                 &err);

        if (rc != CTSEG_OK && rc != CTSEG_NOTFOUND) {
            step->err = err;
            return rc;
        }

        if (rc == CTSEG_OK) {
            return record->refusals < NGX_HTTP_CTSEG_RETRY_REFUSALS
                   ? CTSEG_OK
                   : ngx_http_ctseg_retry_change(step,
                                               ngx_http_ctseg_retry_give_up);
        }

        if (err.code == CTSEG_CORRUPT) {
            (void) snprintf(step->note, sizeof(step->note), "%.150s",
                            err.text);
        }

        rc = ngx_http_ctseg_retry_change(step, ngx_http_ctseg_retry_turn);

        if (rc != CTSEG_OK || record->state != CTSEG_RETRY_RUNNING) {
            return rc;
        }
    }
}


/*
 * The run that met the event, as if it sent it.  NOTFOUND: it has yet to count
 * the event, and to pass over it; else the event might count twice.
 */

static ctseg_rc_t
ngx_http_ctseg_retry_run(ngx_http_ctseg_retry_step_t *step,
    const ctseg_rejected_t *rejected)
{
    ctseg_rc_t       rc;
    ctseg_store_t   *store;
    ctseg_export_t   e;

    store = step->task.worker->store;

    rc = ctseg_run_get(store, rejected->export_id, rejected->run, &step->run,
                       &step->err);

    if (rc == CTSEG_OK) {
        return step->run.status == CTSEG_RUN_RUNNING
               && rejected->sequence > step->run.cursor
               ? CTSEG_NOTFOUND : CTSEG_OK;
    }

    if (rc != CTSEG_NOTFOUND && rc != CTSEG_CORRUPT) {
        return rc;
    }

    /* the record is gone or damaged: it went to the export's partner */

    rc = ctseg_export_get(store, ctseg_str(rejected->export_id), &e,
                          &step->err);

    ngx_memzero(&step->run, sizeof(ctseg_run_t));

    if (rc == CTSEG_OK) {
        (void) snprintf(step->run.partner_id, sizeof(step->run.partner_id),
                        "%s", e.partner_id);
        step->run.number = rejected->run;
        step->run.pinned.mapping = e.mapping;
    }

    return rc == CTSEG_NOTFOUND ? CTSEG_CORRUPT : rc;
}


/* what it takes to send the message: the partner as it is now */

static ctseg_rc_t
ngx_http_ctseg_retry_load(ngx_http_ctseg_retry_step_t *step,
    const ctseg_rejected_t *rejected)
{
    ctseg_rc_t        rc;
    ctseg_buf_t       buf;
    ctseg_run_t      *run;
    ctseg_store_t    *store;
    ctseg_partner_t   p;

    run = &step->run;
    store = step->task.worker->store;

    rc = ctseg_partner_get(store, ctseg_str(run->partner_id), &p,
                           &step->err);

    if (rc == CTSEG_NOTFOUND || (rc == CTSEG_OK && p.deleting)) {
        return ngx_http_ctseg_retry_change(step, ngx_http_ctseg_retry_gone);
    }

    if (rc != CTSEG_OK) {
        return rc;
    }

    run->freq = CTSEG_FREQ_ONE_TIME;
    run->region = p.region;
    ctseg_write_key_fingerprint(run->pinned.fingerprint, p.write_key);

    rc = ctseg_throttle_get(store, run->pinned.fingerprint, ctseg_now_ms(),
                            &step->held_ms, &step->err);
    if (rc != CTSEG_OK) {
        return rc;
    }

    ngx_memzero(&buf, sizeof(ctseg_buf_t));
    ctseg_batch_authorization(&buf, p.write_key);
    ctseg_buf_char(&buf, '\0');

    ctseg_batch_begin(&step->batch, &run->pinned,
                      ctseg_store_installation(store), p.write_key,
                      rejected->sequence - 1);
    ctseg_batch_put(&step->batch, rejected->message);
    ctseg_batch_end(&step->batch);

    if (buf.failed || buf.len > sizeof(step->authorization)
        || step->batch.rc != CTSEG_OK)
    {
        rc = ctseg_err(&step->err, CTSEG_NOMEM, "out of memory");

    } else {
        ngx_memcpy(step->authorization, buf.data, buf.len);
        step->sequence = rejected->sequence;
        step->partner_revision = p.revision;
    }

    ctseg_buf_free(&buf);

    return rc;
}


static ctseg_rc_t
ngx_http_ctseg_retry_step(ngx_http_ctseg_retry_step_t *step,
    ctseg_buf_t *buf)
{
    ctseg_rc_t        rc;
    ctseg_rejected_t  rejected;

    rc = ngx_http_ctseg_retry_save(step);

    if (rc != CTSEG_OK) {
        return rc;
    }

    if (step->record.moved) {
        rc = ctseg_rejected_remove(step->task.worker->store,
                                   step->record.export_id,
                                   step->record.cursor, &step->err);
    }

    if (rc != CTSEG_OK || step->release
        || step->record.state != CTSEG_RETRY_RUNNING)
    {
        return rc;
    }

    rc = ngx_http_ctseg_retry_find(step, buf, &rejected);

    if (rc != CTSEG_OK || step->record.state != CTSEG_RETRY_RUNNING) {
        return rc;
    }

    rc = ngx_http_ctseg_retry_run(step, &rejected);

    if (rc == CTSEG_OK) {
        return ngx_http_ctseg_retry_load(step, &rejected);
    }

    return rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
}


void
ngx_http_ctseg_retry_step_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_buf_t                   buf;
    ngx_http_ctseg_retry_step_t  *step;

    step = (ngx_http_ctseg_retry_step_t *) task;

    ctseg_batch_free(&step->batch);
    ngx_memzero(&step->batch, sizeof(ctseg_batch_t));
    ngx_memzero(&step->err, sizeof(ctseg_err_t));
    ngx_memzero(&buf, sizeof(ctseg_buf_t));

    step->note[0] = '\0';
    step->put = 0;
    step->sequence = 0;
    step->held_ms = 0;

    step->rc = ngx_http_ctseg_retry_step(step, &buf);

    step->over = step->rc == CTSEG_OK
                 && (step->release
                     || step->record.state != CTSEG_RETRY_RUNNING);

    ctseg_buf_free(&buf);
}
