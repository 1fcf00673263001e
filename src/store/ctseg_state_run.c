/*
 * Runs.  Called by the runner's tasks and the API, from pool threads.  Cut,
 * settings, counts, owner and fence of a run lie in one record, so that a
 * checkpoint is one put: it holds all of it or nothing, and the put of an
 * owner that lost the run fails.  Nothing is decided here.
 */

#include <inttypes.h>
#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


enum {
    CTSEG_RUN_EXPORT = 1,
    CTSEG_RUN_PARTNER,
    CTSEG_RUN_NUMBER,
    CTSEG_RUN_STATUS,
    CTSEG_RUN_EXPORT_REVISION,
    CTSEG_RUN_REGION,

    CTSEG_RUN_TYPE = 10,
    CTSEG_RUN_KINDS,
    CTSEG_RUN_FROM_MS,
    CTSEG_RUN_TO_MS,
    CTSEG_RUN_USER_ID,                  /* and 15 */
    CTSEG_RUN_ANONYMOUS_ID = 16,        /* and 17 */
    CTSEG_RUN_PRIORITY = 18,
    CTSEG_RUN_FINGERPRINT,

    CTSEG_RUN_LO = 30,
    CTSEG_RUN_HI,
    CTSEG_RUN_CURSOR,
    CTSEG_RUN_SCANNED,
    CTSEG_RUN_SENT,
    CTSEG_RUN_FILTERED,
    CTSEG_RUN_REJECTED,
    CTSEG_RUN_BATCHES,
    CTSEG_RUN_RETRIES,
    CTSEG_RUN_COALESCED,

    CTSEG_RUN_SCHEDULED = 50,
    CTSEG_RUN_STARTED,
    CTSEG_RUN_FINISHED,
    CTSEG_RUN_ERROR_STATUS,
    CTSEG_RUN_ERROR,
    CTSEG_RUN_ERROR_MS,
    CTSEG_RUN_RETRY_AT,
    CTSEG_RUN_OWNER,
    CTSEG_RUN_FENCE,

    CTSEG_RUN_INCARNATION = 70,
    CTSEG_RUN_FREQ,
    CTSEG_RUN_FAILING,
    CTSEG_RUN_PACE,
    CTSEG_RUN_PAUSED,
    CTSEG_RUN_REFUSALS,

    CTSEG_RUN_MAPPING = 90,             /* up to 93 */

    CTSEG_RUN_REJECTS = 100             /* + ctseg_reject_t */
};


static void
ctseg_run_encode(ctseg_buf_t *out, const ctseg_run_t *run)
{
    unsigned               i;
    const ctseg_counts_t  *c;
    const ctseg_pinned_t  *p;

    c = &run->counts;
    p = &run->pinned;

    ctseg_record_begin(out, CTSEG_RECORD_RUN);

    ctseg_record_cstr(out, CTSEG_RUN_EXPORT, run->export_id);
    ctseg_record_cstr(out, CTSEG_RUN_PARTNER, run->partner_id);
    ctseg_record_uint(out, CTSEG_RUN_NUMBER, run->number);
    ctseg_record_uint(out, CTSEG_RUN_STATUS, run->status);
    ctseg_record_uint(out, CTSEG_RUN_EXPORT_REVISION, run->export_revision);
    ctseg_record_uint(out, CTSEG_RUN_REGION, run->region);

    ctseg_record_uint(out, CTSEG_RUN_TYPE, p->type);
    ctseg_record_uint(out, CTSEG_RUN_KINDS, p->kinds);
    ctseg_record_int(out, CTSEG_RUN_FROM_MS, p->from_ms);
    ctseg_record_int(out, CTSEG_RUN_TO_MS, p->to_ms);
    ctseg_state_put_source(out, CTSEG_RUN_USER_ID, &p->user_id);
    ctseg_state_put_source(out, CTSEG_RUN_ANONYMOUS_ID, &p->anonymous_id);
    ctseg_state_put_priority(out, CTSEG_RUN_PRIORITY, p->priority,
                             p->npriority);
    ctseg_record_cstr(out, CTSEG_RUN_FINGERPRINT, p->fingerprint);

    ctseg_record_uint(out, CTSEG_RUN_LO, run->lo);
    ctseg_record_uint(out, CTSEG_RUN_HI, run->hi);
    ctseg_record_uint(out, CTSEG_RUN_CURSOR, run->cursor);
    ctseg_record_uint(out, CTSEG_RUN_SCANNED, c->scanned);
    ctseg_record_uint(out, CTSEG_RUN_SENT, c->sent);
    ctseg_record_uint(out, CTSEG_RUN_FILTERED, c->filtered);
    ctseg_record_uint(out, CTSEG_RUN_REJECTED, c->rejected);
    ctseg_record_uint(out, CTSEG_RUN_BATCHES, c->batches);
    ctseg_record_uint(out, CTSEG_RUN_RETRIES, c->retries);
    ctseg_record_uint(out, CTSEG_RUN_COALESCED, run->coalesced_slots);

    ctseg_record_int(out, CTSEG_RUN_SCHEDULED, run->scheduled_ms);
    ctseg_record_int(out, CTSEG_RUN_STARTED, run->started_ms);
    ctseg_record_int(out, CTSEG_RUN_FINISHED, run->finished_ms);
    ctseg_record_int(out, CTSEG_RUN_ERROR_STATUS, run->error_status);
    ctseg_record_cstr(out, CTSEG_RUN_ERROR, run->error);
    ctseg_record_int(out, CTSEG_RUN_ERROR_MS, run->error_ms);
    ctseg_record_int(out, CTSEG_RUN_RETRY_AT, run->retry_at_ms);
    ctseg_record_cstr(out, CTSEG_RUN_OWNER, run->owner);
    ctseg_record_uint(out, CTSEG_RUN_FENCE, run->fence);
    ctseg_record_uint(out, CTSEG_RUN_INCARNATION, run->incarnation);
    ctseg_record_uint(out, CTSEG_RUN_FREQ, run->freq);
    ctseg_record_int(out, CTSEG_RUN_FAILING, run->failing_ms);
    ctseg_record_uint(out, CTSEG_RUN_PACE, run->pace);
    ctseg_record_int(out, CTSEG_RUN_PAUSED, run->paused_ms);
    ctseg_record_uint(out, CTSEG_RUN_REFUSALS, run->refusals);
    ctseg_state_put_mapping(out, CTSEG_RUN_MAPPING, &p->mapping);

    for (i = 0; i < CTSEG_REJECT_N; i++) {
        ctseg_record_uint(out, (uint8_t) (CTSEG_RUN_REJECTS + i),
                          c->rejects[i]);
    }

    ctseg_record_end(out);
}


static void
ctseg_run_decode_pinned(ctseg_record_t *r, ctseg_pinned_t *p)
{
    p->type = ctseg_state_get_range(r, CTSEG_RUN_TYPE, CTSEG_TYPE_EVENT,
                                    CTSEG_TYPE_PROFILE);
    p->kinds = ctseg_record_get_uint(r, CTSEG_RUN_KINDS);
    p->from_ms = ctseg_record_get_int(r, CTSEG_RUN_FROM_MS);
    p->to_ms = ctseg_record_get_int(r, CTSEG_RUN_TO_MS);
    ctseg_state_get_source(r, CTSEG_RUN_USER_ID, &p->user_id);
    ctseg_state_get_source(r, CTSEG_RUN_ANONYMOUS_ID, &p->anonymous_id);
    ctseg_state_get_priority(r, CTSEG_RUN_PRIORITY, p->priority,
                             &p->npriority);
    ctseg_record_get_cstr(r, CTSEG_RUN_FINGERPRINT, p->fingerprint,
                          sizeof(p->fingerprint));
    ctseg_state_get_mapping(r, CTSEG_RUN_MAPPING, &p->mapping);
}


static void
ctseg_run_decode_counts(ctseg_record_t *r, ctseg_counts_t *c)
{
    unsigned  i;

    c->scanned = ctseg_record_get_uint(r, CTSEG_RUN_SCANNED);
    c->sent = ctseg_record_get_uint(r, CTSEG_RUN_SENT);
    c->filtered = ctseg_record_get_uint(r, CTSEG_RUN_FILTERED);
    c->rejected = ctseg_record_get_uint(r, CTSEG_RUN_REJECTED);
    c->batches = ctseg_record_get_uint(r, CTSEG_RUN_BATCHES);
    c->retries = ctseg_record_get_uint(r, CTSEG_RUN_RETRIES);

    for (i = 0; i < CTSEG_REJECT_N; i++) {
        c->rejects[i] = ctseg_record_get_uint(r,
                                           (uint8_t) (CTSEG_RUN_REJECTS + i));
    }
}


static void
ctseg_run_key(char key[CTSEG_STATE_KEY_MAX], const char *export_id,
    uint64_t number)
{
    ctseg_state_key(key, "run/%s/%016" PRIx64, export_id, number);
}


static ctseg_rc_t
ctseg_run_decode(ctseg_record_t *r, const char *key, uint64_t rev,
    ctseg_run_t *run, ctseg_err_t *err)
{
    char     own[CTSEG_STATE_KEY_MAX];
    int64_t  status;

    memset(run, 0, sizeof(ctseg_run_t));

    ctseg_record_get_cstr(r, CTSEG_RUN_EXPORT, run->export_id,
                          sizeof(run->export_id));
    ctseg_record_get_cstr(r, CTSEG_RUN_PARTNER, run->partner_id,
                          sizeof(run->partner_id));
    run->number = ctseg_record_get_uint(r, CTSEG_RUN_NUMBER);
    run->status = ctseg_state_get_range(r, CTSEG_RUN_STATUS,
                                        CTSEG_RUN_RUNNING, CTSEG_RUN_FAILED);
    run->export_revision = ctseg_record_get_uint(r,
                                                 CTSEG_RUN_EXPORT_REVISION);
    run->region = ctseg_state_get_range(r, CTSEG_RUN_REGION, 0,
                                        CTSEG_REGION_N - 1);

    ctseg_run_decode_pinned(r, &run->pinned);

    run->lo = ctseg_record_get_uint(r, CTSEG_RUN_LO);
    run->hi = ctseg_record_get_uint(r, CTSEG_RUN_HI);
    run->cursor = ctseg_record_get_uint(r, CTSEG_RUN_CURSOR);

    ctseg_run_decode_counts(r, &run->counts);

    run->coalesced_slots = ctseg_record_get_uint(r, CTSEG_RUN_COALESCED);
    run->scheduled_ms = ctseg_record_get_int(r, CTSEG_RUN_SCHEDULED);
    run->started_ms = ctseg_record_get_int(r, CTSEG_RUN_STARTED);
    run->finished_ms = ctseg_record_get_int(r, CTSEG_RUN_FINISHED);
    status = ctseg_record_get_int(r, CTSEG_RUN_ERROR_STATUS);
    ctseg_record_get_cstr(r, CTSEG_RUN_ERROR, run->error,
                          sizeof(run->error));
    run->error_ms = ctseg_record_get_int(r, CTSEG_RUN_ERROR_MS);
    run->retry_at_ms = ctseg_record_get_int(r, CTSEG_RUN_RETRY_AT);
    ctseg_record_get_cstr(r, CTSEG_RUN_OWNER, run->owner,
                          sizeof(run->owner));
    run->fence = ctseg_record_get_uint(r, CTSEG_RUN_FENCE);
    run->incarnation = (uint32_t) ctseg_record_get_uint(r,
                                                     CTSEG_RUN_INCARNATION);
    run->freq = ctseg_state_get_range(r, CTSEG_RUN_FREQ, 0,
                                      CTSEG_FREQ_LIVE);
    run->failing_ms = ctseg_record_get_int(r, CTSEG_RUN_FAILING);
    run->pace = ctseg_record_get_uint(r, CTSEG_RUN_PACE);
    run->paused_ms = ctseg_record_get_int(r, CTSEG_RUN_PAUSED);
    run->refusals = ctseg_record_get_uint(r, CTSEG_RUN_REFUSALS);
    run->rev = rev;

    ctseg_run_key(own, run->export_id, run->number);

    if (strcmp(key, own) != 0
        || status < INT32_MIN || status > INT32_MAX
        || run->lo > run->hi
        || run->cursor < run->lo || run->cursor > run->hi)
    {
        r->rc = CTSEG_CORRUPT;
        status = 0;
    }

    run->error_status = (int) status;

    return ctseg_state_err(err, r->rc, key);
}


static ctseg_rc_t
ctseg_run_write(ctseg_store_t *s, ctseg_run_t *run, uint64_t expect,
    ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_run_encode(&out, run);
    ctseg_run_key(key, run->export_id, run->number);

    return ctseg_state_write(s, key, &out, expect, &run->rev, err);
}


ctseg_rc_t
ctseg_run_create(ctseg_store_t *s, ctseg_run_t *r, ctseg_err_t *err)
{
    if (r->number == 0 || !ctseg_id_is_valid(ctseg_str(r->export_id))) {
        return ctseg_err(err, CTSEG_INVALID, "the run has no name");
    }

    r->rev = 0;

    return ctseg_run_write(s, r, 0, err);
}


ctseg_rc_t
ctseg_run_get(ctseg_store_t *s, const char *export_id, uint64_t number,
    ctseg_run_t *r, ctseg_err_t *err)
{
    char            key[CTSEG_STATE_KEY_MAX];
    uint64_t        rev;
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  record;

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such run");
    }

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_run_key(key, export_id, number);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_RUN, &buf, &record, &rev,
                          err);

    if (rc == CTSEG_OK) {
        rc = ctseg_run_decode(&record, key, rev, r, err);
    }

    ctseg_buf_free(&buf);

    return rc;
}


ctseg_rc_t
ctseg_run_put(ctseg_store_t *s, ctseg_run_t *r, ctseg_err_t *err)
{
    /* a put that expects nothing would be another create */

    if (r->rev == 0 || !ctseg_id_is_valid(ctseg_str(r->export_id))) {
        return ctseg_err(err, CTSEG_INVALID, "the run was never stored");
    }

    return ctseg_run_write(s, r, r->rev, err);
}


typedef struct {
    ctseg_run_pt  cb;
    void         *data;
} ctseg_run_walk_t;


static ctseg_rc_t
ctseg_run_each(void *data, const char *key, ctseg_str_t value, uint64_t rev,
    ctseg_err_t *err)
{
    ctseg_rc_t         rc;
    ctseg_run_t        run;
    ctseg_record_t     r;
    ctseg_run_walk_t  *walk;

    walk = data;

    (void) ctseg_record_open(&r, value, CTSEG_RECORD_RUN);
    rc = ctseg_run_decode(&r, key, rev, &run, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    return walk->cb(walk->data, &run) ? CTSEG_OK : CTSEG_AGAIN;
}


ctseg_rc_t
ctseg_run_list(ctseg_store_t *s, const char *export_id, ctseg_run_pt cb,
    void *data, ctseg_err_t *err)
{
    char              prefix[CTSEG_STATE_KEY_MAX];
    ctseg_run_walk_t  walk;

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    walk.cb = cb;
    walk.data = data;
    ctseg_state_key(prefix, "run/%s/", export_id);

    return ctseg_state_each(s, prefix, ctseg_run_each, &walk, NULL, err);
}
