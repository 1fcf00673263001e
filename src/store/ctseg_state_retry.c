/*
 * Refused events that are sent once more: one record for each export that was
 * asked for it.  Place, counts, owner and fence lie in it, so that a verdict
 * is one put.  Called by the tasks of the engine and by the API, from pool
 * threads.  Who asks and who works on it write the same record by
 * compare-and-set; what the worker decides is decided in the engine.
 */

#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


enum {
    CTSEG_RETRY_PARTNER = 1,
    CTSEG_RETRY_STATE,
    CTSEG_RETRY_CURSOR,
    CTSEG_RETRY_HI,
    CTSEG_RETRY_AGAIN,
    CTSEG_RETRY_MOVED,
    CTSEG_RETRY_ASKED,

    CTSEG_RETRY_SENT = 20,
    CTSEG_RETRY_REFUSED,
    CTSEG_RETRY_DELIVERED,
    CTSEG_RETRY_REFUSALS,

    CTSEG_RETRY_REQUESTED_MS = 40,
    CTSEG_RETRY_FINISHED_MS,
    CTSEG_RETRY_ERROR_STATUS,
    CTSEG_RETRY_ERROR,
    CTSEG_RETRY_ERROR_MS,
    CTSEG_RETRY_RETRY_AT,
    CTSEG_RETRY_FAILING,
    CTSEG_RETRY_PAUSED,
    CTSEG_RETRY_OWNER,
    CTSEG_RETRY_FENCE
};


static void
ctseg_retry_encode(ctseg_buf_t *out, const ctseg_retry_t *retry)
{
    ctseg_record_begin(out, CTSEG_RECORD_RETRY);

    ctseg_record_cstr(out, CTSEG_RETRY_PARTNER, retry->partner_id);
    ctseg_record_uint(out, CTSEG_RETRY_STATE, retry->state);
    ctseg_record_uint(out, CTSEG_RETRY_CURSOR, retry->cursor);
    ctseg_record_uint(out, CTSEG_RETRY_HI, retry->hi);
    ctseg_record_uint(out, CTSEG_RETRY_AGAIN, retry->again);
    ctseg_record_uint(out, CTSEG_RETRY_MOVED, retry->moved);
    ctseg_record_uint(out, CTSEG_RETRY_ASKED, retry->asked);

    ctseg_record_uint(out, CTSEG_RETRY_SENT, retry->sent);
    ctseg_record_uint(out, CTSEG_RETRY_REFUSED, retry->refused);
    ctseg_record_uint(out, CTSEG_RETRY_DELIVERED, retry->delivered);
    ctseg_record_uint(out, CTSEG_RETRY_REFUSALS, retry->refusals);

    ctseg_record_int(out, CTSEG_RETRY_REQUESTED_MS, retry->requested_ms);
    ctseg_record_int(out, CTSEG_RETRY_FINISHED_MS, retry->finished_ms);
    ctseg_record_int(out, CTSEG_RETRY_ERROR_STATUS, retry->error_status);
    ctseg_record_cstr(out, CTSEG_RETRY_ERROR, retry->error);
    ctseg_record_int(out, CTSEG_RETRY_ERROR_MS, retry->error_ms);
    ctseg_record_int(out, CTSEG_RETRY_RETRY_AT, retry->retry_at_ms);
    ctseg_record_int(out, CTSEG_RETRY_FAILING, retry->failing_ms);
    ctseg_record_int(out, CTSEG_RETRY_PAUSED, retry->paused_ms);
    ctseg_record_cstr(out, CTSEG_RETRY_OWNER, retry->owner);
    ctseg_record_uint(out, CTSEG_RETRY_FENCE, retry->fence);

    ctseg_record_end(out);
}


static ctseg_rc_t
ctseg_retry_decode(ctseg_record_t *r, const char *key, uint64_t rev,
    ctseg_retry_t *retry, ctseg_err_t *err)
{
    int64_t      status;
    ctseg_str_t  id;

    memset(retry, 0, sizeof(ctseg_retry_t));

    id = ctseg_str(key + sizeof("retry/") - 1);

    if (ctseg_id_is_valid(id)) {
        memcpy(retry->export_id, id.data, id.len);

    } else {
        r->rc = CTSEG_CORRUPT;
    }

    ctseg_record_get_cstr(r, CTSEG_RETRY_PARTNER, retry->partner_id,
                          sizeof(retry->partner_id));
    retry->state = ctseg_state_get_range(r, CTSEG_RETRY_STATE,
                                         CTSEG_RETRY_RUNNING,
                                         CTSEG_RETRY_FAILED);
    retry->cursor = ctseg_record_get_uint(r, CTSEG_RETRY_CURSOR);
    retry->hi = ctseg_record_get_uint(r, CTSEG_RETRY_HI);
    retry->again = ctseg_record_get_uint(r, CTSEG_RETRY_AGAIN);
    retry->moved = ctseg_state_get_range(r, CTSEG_RETRY_MOVED, 0, 1) == 1;
    retry->asked = ctseg_record_get_uint(r, CTSEG_RETRY_ASKED);

    retry->sent = ctseg_record_get_uint(r, CTSEG_RETRY_SENT);
    retry->refused = ctseg_record_get_uint(r, CTSEG_RETRY_REFUSED);
    retry->delivered = ctseg_record_get_uint(r, CTSEG_RETRY_DELIVERED);
    retry->refusals = ctseg_record_get_uint(r, CTSEG_RETRY_REFUSALS);

    retry->requested_ms = ctseg_record_get_int(r, CTSEG_RETRY_REQUESTED_MS);
    retry->finished_ms = ctseg_record_get_int(r, CTSEG_RETRY_FINISHED_MS);
    status = ctseg_record_get_int(r, CTSEG_RETRY_ERROR_STATUS);
    ctseg_record_get_cstr(r, CTSEG_RETRY_ERROR, retry->error,
                          sizeof(retry->error));
    retry->error_ms = ctseg_record_get_int(r, CTSEG_RETRY_ERROR_MS);
    retry->retry_at_ms = ctseg_record_get_int(r, CTSEG_RETRY_RETRY_AT);
    retry->failing_ms = ctseg_record_get_int(r, CTSEG_RETRY_FAILING);
    retry->paused_ms = ctseg_record_get_int(r, CTSEG_RETRY_PAUSED);
    ctseg_record_get_cstr(r, CTSEG_RETRY_OWNER, retry->owner,
                          sizeof(retry->owner));
    retry->fence = ctseg_record_get_uint(r, CTSEG_RETRY_FENCE);
    retry->rev = rev;

    if (status < INT32_MIN || status > INT32_MAX) {
        r->rc = CTSEG_CORRUPT;
        status = 0;
    }

    retry->error_status = (int) status;

    return ctseg_state_err(err, r->rc, key);
}


ctseg_rc_t
ctseg_retry_get(ctseg_store_t *s, const char *export_id,
    ctseg_retry_t *retry, ctseg_err_t *err)
{
    char            key[CTSEG_STATE_KEY_MAX];
    uint64_t        rev;
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  r;

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_state_key(key, "retry/%s", export_id);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_RETRY, &buf, &r, &rev, err);

    if (rc == CTSEG_OK) {
        rc = ctseg_retry_decode(&r, key, rev, retry, err);
    }

    ctseg_buf_free(&buf);

    return rc;
}


static ctseg_rc_t
ctseg_retry_write(ctseg_store_t *s, ctseg_retry_t *retry, ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_retry_encode(&out, retry);
    ctseg_state_key(key, "retry/%s", retry->export_id);

    return ctseg_state_write(s, key, &out, retry->rev, &retry->rev, err);
}


ctseg_rc_t
ctseg_retry_put(ctseg_store_t *s, ctseg_retry_t *retry, ctseg_err_t *err)
{
    /* a put that expects nothing would be a request */

    if (retry->rev == 0 || !ctseg_id_is_valid(ctseg_str(retry->export_id))) {
        return ctseg_err(err, CTSEG_INVALID, "it was never asked for");
    }

    return ctseg_retry_write(s, retry, err);
}


/* ---- who asks ---- */

typedef struct {
    const ctseg_retry_t  *retry;
    uint64_t              newest;
    uint64_t              left;
} ctseg_retry_count_t;


static bool
ctseg_retry_count(void *data, const ctseg_rejected_t *r)
{
    ctseg_retry_count_t  *count;

    count = data;

    if (r->reason != CTSEG_REJECT_REFUSED) {
        return true;
    }

    count->newest = r->sequence;

    if (count->retry != NULL
        && ((r->sequence > count->retry->cursor
             && r->sequence <= count->retry->hi)
            || r->sequence <= count->retry->again))
    {
        count->left++;
    }

    return true;
}


ctseg_rc_t
ctseg_retry_left(ctseg_store_t *s, const ctseg_retry_t *retry,
    uint64_t *left, ctseg_err_t *err)
{
    ctseg_rc_t           rc;
    ctseg_retry_count_t  count;

    *left = 0;

    if (retry->state == CTSEG_RETRY_DONE) {
        return CTSEG_OK;
    }

    memset(&count, 0, sizeof(ctseg_retry_count_t));
    count.retry = retry;

    rc = ctseg_rejected_list(s, retry->export_id, ctseg_retry_count, &count,
                             err);
    *left = count.left;

    return rc;
}


/*
 * All that is refused now, up to the newest.  What comes behind the cursor is
 * next; what lies before it has had its turn, so it comes after that: when
 * one pass gave up at the first events, the next one begins with the others.
 */

static void
ctseg_retry_widen(ctseg_retry_t *retry, uint64_t newest, int64_t now_ms)
{
    if (retry->state != CTSEG_RETRY_RUNNING) {
        retry->sent = 0;
        retry->refused = 0;
        retry->finished_ms = 0;
        retry->error_status = 0;
        retry->error[0] = '\0';
        retry->error_ms = 0;
        retry->retry_at_ms = 0;
        retry->failing_ms = 0;
        retry->paused_ms = 0;
        retry->owner[0] = '\0';
        retry->partner_id[0] = '\0';

        if (newest == 0) {
            retry->state = CTSEG_RETRY_DONE;
            retry->cursor = 0;
            retry->finished_ms = now_ms;

        } else {
            retry->state = CTSEG_RETRY_RUNNING;
        }
    }

    retry->hi = newest > retry->cursor ? newest : retry->cursor;
    retry->again = retry->cursor;
    retry->refusals = 0;
    retry->requested_ms = now_ms;
    retry->asked++;
}


ctseg_rc_t
ctseg_retry_request(ctseg_store_t *s, const char *export_id, int64_t now_ms,
    ctseg_retry_t *retry, ctseg_err_t *err)
{
    unsigned             n;
    ctseg_rc_t           rc;
    ctseg_retry_count_t  count;

    memset(&count, 0, sizeof(ctseg_retry_count_t));

    rc = ctseg_rejected_list(s, export_id, ctseg_retry_count, &count, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    rc = CTSEG_CONFLICT;

    for (n = 0; rc == CTSEG_CONFLICT && n < CTSEG_STATE_TRIES; n++) {
        rc = ctseg_retry_get(s, export_id, retry, err);

        if (rc == CTSEG_NOTFOUND) {
            memset(retry, 0, sizeof(ctseg_retry_t));
            memcpy(retry->export_id, export_id, strlen(export_id));

        } else if (rc != CTSEG_OK) {
            return rc;
        }

        ctseg_retry_widen(retry, count.newest, now_ms);

        rc = ctseg_retry_write(s, retry, err);
    }

    return rc;
}


/* ---- lists ---- */

typedef struct {
    ctseg_retry_pt   cb;
    void            *data;
} ctseg_retry_walk_t;


static ctseg_rc_t
ctseg_retry_each(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    ctseg_rc_t           rc;
    ctseg_retry_t        retry;
    ctseg_record_t       r;
    ctseg_retry_walk_t  *walk;

    walk = data;

    (void) ctseg_record_open(&r, value, CTSEG_RECORD_RETRY);

    rc = ctseg_retry_decode(&r, key, rev, &retry, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    return walk->cb(walk->data, &retry) ? CTSEG_OK : CTSEG_AGAIN;
}


ctseg_rc_t
ctseg_retry_list(ctseg_store_t *s, ctseg_retry_pt cb, void *data,
    ctseg_err_t *err)
{
    ctseg_retry_walk_t  walk;

    walk.cb = cb;
    walk.data = data;

    return ctseg_state_each(s, "retry/", ctseg_retry_each, &walk, NULL, err);
}


/* ---- the resource ---- */

void
ctseg_retry_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_retry_t *retry, uint64_t left)
{
    ctseg_jw_open(w, name, '{');
    ctseg_jw_cstr(w, "state", retry->state == CTSEG_RETRY_RUNNING ? "running"
                              : retry->state == CTSEG_RETRY_DONE ? "done"
                              : "failed");
    ctseg_jw_uint(w, "events", left);
    ctseg_jw_uint(w, "sent", retry->sent);
    ctseg_jw_uint(w, "refused", retry->refused);
    ctseg_jw_time(w, "requested_at", retry->requested_ms);
    ctseg_jw_time(w, "finished_at", retry->finished_ms);
    ctseg_jw_time(w, "retry_at", retry->retry_at_ms);

    if (retry->error[0] == '\0') {
        ctseg_jw_null(w, "last_error");

    } else {
        ctseg_jw_open(w, "last_error", '{');

        /* no status: there was no answer that could have had one */

        if (retry->error_status == 0) {
            ctseg_jw_null(w, "status");

        } else {
            ctseg_jw_int(w, "status", retry->error_status);
        }

        ctseg_jw_cstr(w, "message", retry->error);
        ctseg_jw_time(w, "at", retry->error_ms);
        ctseg_jw_close(w, '}');
    }

    ctseg_jw_close(w, '}');
}
