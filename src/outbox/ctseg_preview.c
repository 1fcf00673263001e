/*
 * A preview shares cut, settings and reader with a run, so the messages it
 * shows are the bytes a run would send, and its batches are those of a run.
 * Of a body nothing but messages is kept: the rest has the write key in it.
 */

#include <string.h>

#include "../base/ctseg_str.h"
#include "../base/ctseg_time.h"
#include "../segment/ctseg_rate.h"
#include "ctseg_preview.h"


ctseg_rc_t
ctseg_preview_begin(ctseg_preview_t *pv, ctseg_store_t *s, const char *dir,
    const ctseg_export_t *e, const ctseg_partner_t *p, int64_t now_ms,
    int64_t deadline, ctseg_err_t *err)
{
    int64_t      now;
    ctseg_rc_t   rc;
    ctseg_run_t  run;

    memset(pv, 0, sizeof(ctseg_preview_t));
    memset(&run, 0, sizeof(ctseg_run_t));

    ctseg_run_pin(&run, e, p);

    pv->pinned = run.pinned;
    memcpy(pv->write_key, p->write_key, sizeof(pv->write_key));

    if (e->freq == CTSEG_FREQ_LIVE
        || (e->freq == CTSEG_FREQ_RECURRING && e->start_ms > now_ms))
    {
        pv->basis = CTSEG_BASIS_LAST_DAY;
        rc = ctseg_cut_since(s, now_ms - CTSEG_DAY_MS, deadline, &pv->cut,
                             err);

    } else {
        pv->basis = CTSEG_BASIS_FIRST_RUN;
        rc = ctseg_cut_next(s, e, deadline, &pv->cut, err);
    }

    pv->upto = pv->cut.lo;

    if (rc == CTSEG_OK && ctseg_run_by_profile(e->type, e->freq)) {
        pv->indexed = true;
        ctseg_latest_begin(&pv->latest, dir, pv->cut.incarnation, pv->cut.lo,
                           pv->cut.hi);

        now = ctseg_mono_ms();
        pv->index_until = now + (deadline - now) / 2;
    }

    ctseg_buf_char(&pv->messages, '[');

    return rc;
}


/* the verdicts of a batch, and its messages while there is room */

static void
ctseg_preview_take(ctseg_preview_t *pv, const ctseg_batch_t *b)
{
    unsigned     i;
    ctseg_str_t  message;

    pv->upto = b->upto;

    pv->counts.scanned += b->counts.scanned;
    pv->counts.sent += b->counts.sent;
    pv->counts.filtered += b->counts.filtered;
    pv->counts.rejected += b->counts.rejected;

    for (i = 0; i < CTSEG_REJECT_N; i++) {
        pv->counts.rejects[i] += b->counts.rejects[i];
    }

    if (b->events == 0) {
        return;                         /* nothing that would be posted */
    }

    pv->counts.batches++;
    pv->bytes += b->body.len;

    for (i = 0; pv->nmessages < CTSEG_PREVIEW_MESSAGES; i++) {
        message = ctseg_batch_message(b, i);

        if (message.len == 0) {
            return;
        }

        if (pv->nmessages != 0) {
            ctseg_buf_char(&pv->messages, ',');
        }

        ctseg_buf_str(&pv->messages, message);
        pv->nmessages++;
    }
}


static ctseg_rc_t
ctseg_preview_index(ctseg_preview_t *pv, ctseg_store_t *s, int64_t until,
    int64_t deadline, ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    rc = ctseg_latest_step(&pv->latest, s, &pv->pinned, until, deadline, err);

    if (rc == CTSEG_AGAIN && ctseg_mono_ms() >= pv->index_until) {
        ctseg_latest_close(&pv->latest);
        return CTSEG_OK;
    }

    return rc;
}


ctseg_rc_t
ctseg_preview_step(ctseg_preview_t *pv, ctseg_store_t *s, int64_t until,
    int64_t deadline, ctseg_err_t *err)
{
    int64_t        now;
    uint64_t       hi;
    ctseg_rc_t     rc;
    ctseg_read_t   read;
    ctseg_batch_t  b;

    if (pv->indexed && !pv->latest.complete) {
        rc = ctseg_preview_index(pv, s, until, deadline, err);

        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    hi = pv->indexed ? pv->latest.hi : pv->cut.hi;

    memset(&read, 0, sizeof(ctseg_read_t));
    read.pinned = &pv->pinned;
    read.write_key = pv->write_key;
    read.incarnation = pv->cut.incarnation;
    read.hi = hi;
    read.limit = 0;
    read.latest = pv->indexed ? &pv->latest : NULL;

    while (pv->upto < hi) {

        memset(&b, 0, sizeof(ctseg_batch_t));
        read.after = pv->upto;

        rc = ctseg_read_batch(s, &read, deadline, &b, err);

        if (rc == CTSEG_OK) {
            ctseg_preview_take(pv, &b);
        }

        ctseg_batch_free(&b);

        now = ctseg_mono_ms();

        if (now >= deadline && (rc == CTSEG_OK || rc == CTSEG_RETRY)) {
            return CTSEG_OK;
        }

        if (rc != CTSEG_OK) {
            return rc;
        }

        if (now >= until && pv->upto < hi) {
            return CTSEG_AGAIN;
        }
    }

    return CTSEG_OK;
}


double
ctseg_preview_seconds(const ctseg_preview_t *pv, unsigned requests_per_s,
    unsigned events_per_s)
{
    double  all;

    if (pv->counts.scanned == 0) {
        return 0;
    }

    /* what was not looked at is taken to be like what was */

    all = (double) (pv->cut.hi - pv->cut.lo) / (double) pv->counts.scanned;

    return ctseg_rate_seconds(requests_per_s, events_per_s,
                              (uint64_t) ((double) pv->counts.batches * all),
                              (uint64_t) ((double) pv->counts.sent * all));
}


void
ctseg_preview_render(ctseg_json_writer_t *w, const ctseg_preview_t *pv,
    unsigned requests_per_s, unsigned events_per_s)
{
    double       seconds;
    unsigned     i;
    ctseg_str_t  messages;

    ctseg_jw_open(w, NULL, '{');

    ctseg_jw_cstr(w, "basis", pv->basis == CTSEG_BASIS_FIRST_RUN
                              ? "first_run" : "last_24_hours");
    ctseg_jw_uint(w, "after_sequence", pv->cut.lo);
    ctseg_jw_uint(w, "to_sequence", pv->cut.hi);
    ctseg_jw_bool(w, "complete", pv->upto == pv->cut.hi);

    ctseg_jw_uint(w, "scanned", pv->counts.scanned);
    ctseg_jw_uint(w, "sent", pv->counts.sent);
    ctseg_jw_uint(w, "filtered", pv->counts.filtered);
    ctseg_jw_uint(w, "rejected", pv->counts.rejected);

    ctseg_jw_open(w, "rejected_by_reason", '{');

    for (i = 0; i < CTSEG_REJECT_N; i++) {
        ctseg_jw_uint(w, ctseg_reject_name(i), pv->counts.rejects[i]);
    }

    ctseg_jw_close(w, '}');

    ctseg_jw_uint(w, "waiting", pv->cut.hi - pv->upto);
    ctseg_jw_uint(w, "batches", pv->counts.batches);
    ctseg_jw_uint(w, "bytes", pv->bytes);

    /* to a tenth; a rate near zero says nothing about the end */

    seconds = ctseg_preview_seconds(pv, requests_per_s, events_per_s);
    seconds = seconds < 1e12 ? seconds : 1e12;

    ctseg_jw_seconds(w, "estimated_seconds",
                     (int64_t) (seconds * 10 + 0.5) * 100);

    messages = ctseg_buf_slice(&pv->messages);

    ctseg_jw_raw(w, "messages", messages);
    ctseg_buf_char(w->buf, ']');

    ctseg_jw_close(w, '}');

    if (pv->messages.failed) {
        w->buf->failed = true;
    }
}


void
ctseg_preview_free(ctseg_preview_t *pv)
{
    ctseg_buf_free(&pv->messages);
    ctseg_latest_free(&pv->latest);
}
