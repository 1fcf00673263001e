/*
 * Loading a batch and saving how far a run came, on pool threads.
 */

#include "../base/ctseg_str.h"
#include "ngx_http_ctseg_load.h"


#define NGX_HTTP_CTSEG_LOAD_MS     10000
#define NGX_HTTP_CTSEG_INDEX_MS    50
#define NGX_HTTP_CTSEG_SAVE_TRIES  8


typedef struct {
    ngx_http_ctseg_task_t  task;
    ctseg_latest_t         latest;
} ngx_http_ctseg_unload_t;


static void ngx_http_ctseg_unload_thread(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_unload_done(ngx_http_ctseg_task_t *task);


/* the key as it is now: a corrected one takes effect on the next batch */

static ctseg_rc_t
ngx_http_ctseg_load_key(ngx_http_ctseg_load_t *load, ctseg_partner_t *p)
{
    ctseg_rc_t   rc;
    ctseg_buf_t  buf;

    rc = ctseg_partner_get(load->task.worker->store,
                           ctseg_str(load->partner_id), p, &load->err);
    if (rc != CTSEG_OK) {
        return rc;
    }

    ngx_memzero(&buf, sizeof(buf));

    ctseg_batch_authorization(&buf, p->write_key);
    ctseg_buf_char(&buf, '\0');

    if (buf.failed || buf.len > sizeof(load->authorization)) {
        rc = ctseg_err(&load->err, CTSEG_NOMEM, "out of memory");

    } else {
        ngx_memcpy(load->authorization, buf.data, buf.len);
    }

    ctseg_buf_free(&buf);

    return rc;
}


/* ---- what can never be sent ---- */

static bool
ngx_http_ctseg_load_reject(void *data, unsigned i, ctseg_rejected_t *r)
{
    const ctseg_batch_t  *b;

    b = data;

    if (i == b->nrejects) {
        return false;
    }

    r->sequence = b->rejects[i].sequence;
    r->reason = b->rejects[i].reason;
    r->message = ctseg_batch_kept(b, i);

    return true;
}


/*
 * It is stored before it counts, when it is read for the first time: what is
 * read again is the same, or a part of it.  Where there is no room for it the
 * run goes on: the numbers are in its record, and the events in the log.
 */

static ctseg_rc_t
ngx_http_ctseg_load_keep(ngx_http_ctseg_load_t *load)
{
    ctseg_rc_t        rc;
    ctseg_batch_t    *b;
    ctseg_rejected_t  of;

    b = &load->batch;
    rc = CTSEG_OK;

    if (!load->fresh || b->nrejects == 0) {
        /* void */

    } else if (load->many) {
        load->unkept = "there are too many of them";

    } else {
        ngx_memzero(&of, sizeof(ctseg_rejected_t));
        ngx_memcpy(of.export_id, load->export_id, sizeof(of.export_id));
        of.run = load->run;
        of.at_ms = ctseg_now_ms();

        rc = ctseg_rejected_put_all(load->task.worker->store, &of,
                                    ngx_http_ctseg_load_reject, b,
                                    &load->err);
    }

    if (rc == CTSEG_FULL) {
        load->unkept = "the store has no room for them";
        rc = CTSEG_OK;
    }

    if (rc == CTSEG_OK) {
        ctseg_batch_forget(b);
    }

    return rc;
}


/* others of the pool get their turn in between */

static ctseg_rc_t
ngx_http_ctseg_load_index(ngx_http_ctseg_load_t *load)
{
    int64_t  now;

    now = ctseg_mono_ms();

    return ctseg_latest_step(load->latest, load->task.worker->store,
                             &load->pinned, now + NGX_HTTP_CTSEG_INDEX_MS,
                             now + NGX_HTTP_CTSEG_LOAD_MS, &load->err);
}


static void
ngx_http_ctseg_load_batch(ngx_http_ctseg_load_t *load)
{
    ctseg_read_t     read;
    ctseg_partner_t  p;

    if (load->latest != NULL && !load->latest->complete) {
        load->rc = ngx_http_ctseg_load_index(load);

        if (load->rc != CTSEG_OK) {
            return;
        }
    }

    load->rc = ngx_http_ctseg_load_key(load, &p);
    if (load->rc != CTSEG_OK) {
        return;
    }

    load->partner_revision = p.revision;

    read.pinned = &load->pinned;
    read.write_key = p.write_key;
    read.incarnation = load->incarnation;
    read.after = load->after;
    read.hi = load->hi;
    read.limit = load->limit;
    read.expire = true;
    read.latest = load->latest;
    read.mem = load->mem;

    load->rc = ctseg_read_batch(load->task.worker->store, &read,
                                ctseg_mono_ms() + NGX_HTTP_CTSEG_LOAD_MS,
                                &load->batch, &load->err);

    if (load->rc == CTSEG_OK) {
        load->rc = ngx_http_ctseg_load_keep(load);
    }
}


void
ngx_http_ctseg_load_thread(ngx_http_ctseg_task_t *task)
{
    int64_t                 began;
    ngx_http_ctseg_load_t  *load;

    load = (ngx_http_ctseg_load_t *) task;
    began = ctseg_mono_us();

    ngx_http_ctseg_load_batch(load);

    load->us = ctseg_mono_us() - began;
}


/* ---- the index of a run ---- */


/* to close a large file takes a while, since that is its end */

void
ngx_http_ctseg_unload(ngx_http_ctseg_worker_t *worker,
    ctseg_latest_t *latest)
{
    ngx_http_ctseg_unload_t  *unload;

    if (latest->spool.in_file) {
        unload = ngx_http_ctseg_task_create(worker,
                                            sizeof(ngx_http_ctseg_unload_t),
                                            ngx_http_ctseg_unload_thread,
                                            ngx_http_ctseg_unload_done);

        if (unload != NULL) {
            unload->latest = *latest;

            if (ngx_http_ctseg_task_post(&unload->task) == NGX_OK) {
                return;
            }

            ngx_free(unload);
        }
    }

    ctseg_latest_free(latest);
}


static void
ngx_http_ctseg_unload_thread(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_unload_t  *unload;

    unload = (ngx_http_ctseg_unload_t *) task;

    ctseg_latest_free(&unload->latest);
}


static void
ngx_http_ctseg_unload_done(ngx_http_ctseg_task_t *task)
{
    ngx_free(task);
}


void
ngx_http_ctseg_schedule(ngx_http_ctseg_worker_t *worker,
    const ctseg_export_t *e, ctseg_schedule_t *schedule)
{
    ngx_memzero(schedule, sizeof(ctseg_schedule_t));

    schedule->zone = &worker->zone;
    schedule->every_hours = e->every_hours;

    /* checked when it was stored */

    (void) ctseg_date_parse(ctseg_str(e->start_date), &schedule->start);
}


/* what a run that is over leaves in its export */

static void
ngx_http_ctseg_settle_export(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run, ctseg_export_t *e)
{
    ctseg_schedule_t  schedule;

    e->cut = run->hi;
    e->incarnation = run->incarnation;
    e->next_run_ms = 0;

    ctseg_run_settle(run, e);

    if (ctseg_export_is_final(e->status)) {
        e->ended_ms = run->finished_ms;
    }

    if (e->freq == CTSEG_FREQ_RECURRING) {
        ngx_http_ctseg_schedule(worker, e, &schedule);
        e->next_run_ms = ctseg_schedule_next(&schedule, e->covered_ms);
    }
}


ctseg_rc_t
ngx_http_ctseg_settle_thread(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run, ctseg_err_t *err)
{
    ngx_uint_t      tries;
    ctseg_rc_t      rc;
    ctseg_store_t  *store;
    ctseg_export_t  e;
    ctseg_status_t  next;

    store = worker->store;
    rc = CTSEG_AGAIN;

    for (tries = 0; tries < NGX_HTTP_CTSEG_SAVE_TRIES; tries++) {

        rc = ctseg_export_get(store, ctseg_str(run->export_id), &e, err);

        if (rc == CTSEG_NOTFOUND) {
            return ctseg_active_remove(store, run->export_id, err);
        }

        if (rc != CTSEG_OK) {
            return rc;
        }

        if (ctseg_export_is_final(e.status)) {
            return ctseg_active_remove(store, e.id, err);
        }

        if (e.runs != run->number || e.status != CTSEG_RUNNING) {
            return CTSEG_OK;            /* it went on without us */
        }

        next = ctseg_export_step(e.freq, e.status, CTSEG_ON_FINISH);
        if (next == 0) {
            return ctseg_err(err, CTSEG_INVALID, "export %s is %s, its run "
                             "cannot finish", e.id,
                             ctseg_status_name(e.status));
        }

        e.status = next;
        ngx_http_ctseg_settle_export(worker, run, &e);

        rc = ctseg_export_put(store, &e, err);

        if (rc == CTSEG_OK && ctseg_export_is_final(next)) {
            return ctseg_active_remove(store, e.id, err);
        }

        if (rc != CTSEG_CONFLICT) {
            return rc;
        }
    }

    return rc;
}


/* what the run has to know of its export, its partner and the log */

static void
ngx_http_ctseg_save_look(ngx_http_ctseg_save_t *save)
{
    ctseg_run_t      *run;
    ctseg_store_t    *store;
    ctseg_bounds_t    bounds;
    ctseg_export_t    e;
    ctseg_partner_t   p;

    store = save->task.worker->store;
    run = &save->run;

    if (save->give_up) {
        save->rc = ctseg_export_stop(store, ctseg_str(run->export_id),
                                     CTSEG_STOP_ERRORS, &e, &save->err);

        /* somebody else has stopped it */

        if (save->rc == CTSEG_CONFLICT) {
            save->rc = CTSEG_OK;
        }

    } else {
        save->rc = ctseg_export_get(store, ctseg_str(run->export_id), &e,
                                    &save->err);
    }

    if (save->rc != CTSEG_OK) {
        return;
    }

    /* an edit of a partner that pauses may be the cure */

    if (run->paused_ms != 0
        && ctseg_partner_get(store, ctseg_str(run->partner_id), &p, NULL)
           == CTSEG_OK)
    {
        save->partner_revision = p.revision;
    }

    save->stopped = e.status == CTSEG_STOPPED;
    save->edited = e.revision != run->export_revision;

    if (run->freq == CTSEG_FREQ_LIVE) {
        save->rc = ctseg_store_bounds(store, 0, ctseg_mono_ms()
                                                + NGX_HTTP_CTSEG_LOAD_MS,
                                      &bounds);
        if (save->rc != CTSEG_OK) {
            return;
        }

        if (bounds.incarnation == run->incarnation) {
            save->head = bounds.last;

        } else if (run->cursor == run->hi) {

            /* the log was made anew: the next run begins with that one */

            save->edited = 1;
        }
    }
}


void
ngx_http_ctseg_save_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_run_t            *run;
    ctseg_store_t          *store;
    ngx_http_ctseg_save_t  *save;

    save = (ngx_http_ctseg_save_t *) task;
    store = task->worker->store;
    run = &save->run;

    save->partner_revision = 0;
    save->stopped = 0;
    save->edited = 0;
    save->head = 0;
    save->rc = CTSEG_OK;

    switch (save->what) {

    case NGX_HTTP_CTSEG_SAVE_LOOK:
    case NGX_HTTP_CTSEG_SAVE_PROGRESS:
        break;

    case NGX_HTTP_CTSEG_SAVE_RELEASE:
        run->owner[0] = '\0';
        break;

    case NGX_HTTP_CTSEG_SAVE_FINISH:
    case NGX_HTTP_CTSEG_SAVE_STOP:
        run->status = save->what == NGX_HTTP_CTSEG_SAVE_FINISH
                      ? CTSEG_RUN_SUCCEEDED : CTSEG_RUN_STOPPED;
        run->finished_ms = ctseg_now_ms();
        run->retry_at_ms = 0;
        run->owner[0] = '\0';
        break;
    }

    if (save->what != NGX_HTTP_CTSEG_SAVE_LOOK) {
        save->rc = ctseg_run_put(store, run, &save->err);
        if (save->rc != CTSEG_OK) {
            return;
        }
    }

    if (save->held_ms != 0) {
        save->rc = ctseg_throttle_put(store, run->pinned.fingerprint,
                                      ctseg_now_ms(), save->held_ms,
                                      &save->err);
        if (save->rc != CTSEG_OK) {
            return;
        }
    }

    if (save->what == NGX_HTTP_CTSEG_SAVE_FINISH
        || save->what == NGX_HTTP_CTSEG_SAVE_STOP)
    {
        save->rc = ngx_http_ctseg_settle_thread(task->worker, run,
                                                &save->err);
        return;
    }

    ngx_http_ctseg_save_look(save);
}
