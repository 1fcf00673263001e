/*
 * Reading and saving, on pool threads.  A load copies what it needs into the
 * batch and ends its read transaction before the batch goes anywhere: one
 * that stayed open over a network wait would make the log's file grow.
 */

#include "../base/ctseg_str.h"
#include "ngx_http_ctseg_load.h"


#define NGX_HTTP_CTSEG_LOAD_MS     10000
#define NGX_HTTP_CTSEG_SAVE_TRIES  8


typedef struct {
    ngx_http_ctseg_load_t  *load;
    size_t                  bytes;
    ngx_uint_t              blocks;
} ngx_http_ctseg_load_ctx_t;


/* what was read before it is good and goes out; then it is met again */

static ctseg_next_t
ngx_http_ctseg_load_damage(ngx_http_ctseg_load_t *load, uint64_t sequence)
{
    if (load->batch.upto == load->after) {
        load->rc = ctseg_err(&load->err, CTSEG_CORRUPT,
                             "the log is damaged at %llu",
                             (unsigned long long) sequence);
    }

    return CTSEG_UNTAKEN;
}


/* the events of a block that are in the cut, one by one */

static ctseg_next_t
ngx_http_ctseg_load_events(ngx_http_ctseg_load_t *load,
    const ctseg_block_t *b)
{
    uint64_t       sequence;
    ctseg_str_t    rest;
    ctseg_event_t  ev;

    if (ctseg_block_verify(b) != CTSEG_OK) {
        return ngx_http_ctseg_load_damage(load, b->first);
    }

    rest = b->payload;

    for (sequence = b->first; sequence <= ctseg_block_last(b); sequence++) {

        if (sequence > load->hi) {
            return CTSEG_ENOUGH;
        }

        if (ctseg_event_decode(&rest, &ev) != CTSEG_OK) {
            return ngx_http_ctseg_load_damage(load, sequence);
        }

        if (sequence <= load->batch.upto) {
            continue;
        }

        if (!ctseg_batch_offer(&load->batch, &ev)) {
            return CTSEG_UNTAKEN;       /* the batch takes no more */
        }
    }

    return CTSEG_GO_ON;
}


static ctseg_next_t
ngx_http_ctseg_load_block(void *data, const ctseg_block_t *b)
{
    uint64_t                    last;
    ctseg_next_t                next;
    ngx_http_ctseg_load_t      *load;
    ngx_http_ctseg_load_ctx_t  *ctx;

    ctx = data;
    load = ctx->load;

    if (b->first > load->hi) {
        return CTSEG_UNTAKEN;
    }

    if (!ctseg_block_may_match(b, load->pinned.kinds, load->pinned.from_ms,
                               load->pinned.to_ms))
    {
        last = ctseg_block_last(b);
        ctseg_batch_skip(&load->batch, last < load->hi ? last : load->hi);
        next = CTSEG_GO_ON;

    } else {
        ctx->bytes += b->payload.len;
        next = ngx_http_ctseg_load_events(load, b);
    }

    if (next == CTSEG_GO_ON
        && (load->batch.upto >= load->hi
            || ctx->bytes >= NGX_HTTP_CTSEG_LOAD_BYTES
            || ++ctx->blocks >= NGX_HTTP_CTSEG_LOAD_BLOCKS))
    {
        return CTSEG_ENOUGH;
    }

    return next;
}


/* the key as it is now: a corrected one takes effect on the next batch */

static ctseg_rc_t
ngx_http_ctseg_load_key(ngx_http_ctseg_load_t *load, ctseg_partner_t *p)
{
    ctseg_rc_t   rc;
    ctseg_buf_t  buf, pair;

    rc = ctseg_partner_get(load->task.worker->store,
                           ctseg_str(load->partner_id), p, &load->err);
    if (rc != CTSEG_OK) {
        return rc;
    }

    ngx_memzero(&buf, sizeof(buf));
    ngx_memzero(&pair, sizeof(pair));

    ctseg_buf_fmt(&pair, "%s:", p->write_key);
    ctseg_buf_cstr(&buf, "Basic ");
    ctseg_base64(&buf, ctseg_buf_slice(&pair));
    ctseg_buf_char(&buf, '\0');

    if (buf.failed || pair.failed || buf.len > sizeof(load->authorization)) {
        rc = ctseg_err(&load->err, CTSEG_NOMEM, "out of memory");

    } else {
        ngx_memcpy(load->authorization, buf.data, buf.len);
    }

    ctseg_buf_free(&buf);
    ctseg_buf_free(&pair);

    return rc;
}


void
ngx_http_ctseg_load_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t                  rc;
    ctseg_pos_t                 after, next;
    ctseg_store_t              *store;
    ctseg_partner_t             p;
    ngx_http_ctseg_load_t      *load;
    ngx_http_ctseg_load_ctx_t   ctx;

    load = (ngx_http_ctseg_load_t *) task;
    store = task->worker->store;

    load->rc = ngx_http_ctseg_load_key(load, &p);
    if (load->rc != CTSEG_OK) {
        return;
    }

    ctseg_batch_begin(&load->batch, &load->pinned,
                      ctseg_store_installation(store), p.write_key,
                      load->after);

    ngx_memzero(&ctx, sizeof(ctx));
    ctx.load = load;

    ngx_memzero(&after, sizeof(after));
    after.incarnation = load->incarnation;
    after.sequence = load->after;

    rc = ctseg_store_scan(store, 0, &after, ngx_http_ctseg_load_block, &ctx,
                          ctseg_mono_ms() + NGX_HTTP_CTSEG_LOAD_MS, &next);

    if (load->rc != CTSEG_OK) {
        return;
    }

    if (rc == CTSEG_OK || rc == CTSEG_AGAIN) {

        /* position 0 is before the first event of any log */

        if (next.incarnation != load->incarnation) {
            rc = CTSEG_TRIMMED;
            load->batch.upto = load->after;

        } else if (load->batch.upto == load->after) {
            rc = CTSEG_CORRUPT;         /* the log ends inside the cut */
        }
    }

    if (load->batch.upto == load->after) {
        load->rc = ctseg_err(&load->err, rc, "reading the log after %llu "
                             "failed: %s", (unsigned long long) load->after,
                             rc == CTSEG_TRIMMED
                             ? "these events are not there any more"
                             : ctseg_rc_name(rc));
        return;
    }

    /* what was read before an error is good, the error comes again */

    ctseg_batch_end(&load->batch);

    load->rc = load->batch.rc;
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


void
ngx_http_ctseg_save_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_run_t            *run;
    ctseg_store_t          *store;
    ctseg_bounds_t          bounds;
    ctseg_export_t          e;
    ngx_http_ctseg_save_t  *save;

    save = (ngx_http_ctseg_save_t *) task;
    store = task->worker->store;
    run = &save->run;

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

    if (save->what == NGX_HTTP_CTSEG_SAVE_FINISH
        || save->what == NGX_HTTP_CTSEG_SAVE_STOP)
    {
        save->rc = ngx_http_ctseg_settle_thread(task->worker, run,
                                                &save->err);
        return;
    }

    save->rc = ctseg_export_get(store, ctseg_str(run->export_id), &e,
                                &save->err);

    if (save->rc != CTSEG_OK) {
        return;
    }

    save->stopped = e.status == CTSEG_STOPPED;
    save->edited = e.revision != run->export_revision;

    if (run->freq == CTSEG_FREQ_LIVE) {
        save->rc = ctseg_store_bounds(store, 0, ctseg_mono_ms()
                                                + NGX_HTTP_CTSEG_LOAD_MS,
                                      &bounds);
        save->head = save->rc == CTSEG_OK
                     && bounds.incarnation == run->incarnation
                     ? bounds.last : 0;
    }
}
