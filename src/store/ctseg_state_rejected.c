/*
 * Events that Segment refused when they stood alone, one record each, written
 * before their run counts them.  Called by the tasks of the engine and by the
 * API, from pool threads.
 */

#include <inttypes.h>
#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


#define CTSEG_REJECTED_PAGE  256        /* looked at per transaction */


enum {
    CTSEG_REJECTED_RUN = 1,
    CTSEG_REJECTED_SEQUENCE,
    CTSEG_REJECTED_REASON,
    CTSEG_REJECTED_STATUS,
    CTSEG_REJECTED_AT,
    CTSEG_REJECTED_ANSWER,
    CTSEG_REJECTED_MESSAGE
};


static void
ctseg_rejected_key(char key[CTSEG_STATE_KEY_MAX], const char *export_id,
    uint64_t sequence)
{
    ctseg_state_key(key, "rejected/%s/%016" PRIx64, export_id, sequence);
}


static ctseg_rc_t
ctseg_rejected_write(ctseg_store_t *s, const ctseg_rejected_t *rejected,
    uint64_t expect, ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_REJECTED);
    ctseg_record_uint(&out, CTSEG_REJECTED_RUN, rejected->run);
    ctseg_record_uint(&out, CTSEG_REJECTED_SEQUENCE, rejected->sequence);
    ctseg_record_uint(&out, CTSEG_REJECTED_REASON, rejected->reason);
    ctseg_record_int(&out, CTSEG_REJECTED_STATUS, rejected->status);
    ctseg_record_int(&out, CTSEG_REJECTED_AT, rejected->at_ms);
    ctseg_record_bytes(&out, CTSEG_REJECTED_ANSWER, rejected->answer);
    ctseg_record_bytes(&out, CTSEG_REJECTED_MESSAGE, rejected->message);
    ctseg_record_end(&out);

    ctseg_rejected_key(key, rejected->export_id, rejected->sequence);

    return ctseg_state_write(s, key, &out, expect, NULL, err);
}


ctseg_rc_t
ctseg_rejected_put(ctseg_store_t *s, const ctseg_rejected_t *rejected,
    ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    rc = ctseg_rejected_write(s, rejected, 0, err);

    /* a run that crashed behind it has met the event again */

    return rc == CTSEG_CONFLICT ? CTSEG_OK : rc;
}


/* the texts point into the record */

static ctseg_rc_t
ctseg_rejected_decode(ctseg_record_t *r, const char *key,
    const char *export_id, ctseg_rejected_t *rejected, ctseg_err_t *err)
{
    char  own[CTSEG_STATE_KEY_MAX];

    memset(rejected, 0, sizeof(ctseg_rejected_t));
    memcpy(rejected->export_id, export_id, strlen(export_id));

    rejected->run = ctseg_record_get_uint(r, CTSEG_REJECTED_RUN);
    rejected->sequence = ctseg_record_get_uint(r, CTSEG_REJECTED_SEQUENCE);
    rejected->reason = ctseg_state_get_range(r, CTSEG_REJECTED_REASON, 0,
                                             CTSEG_REJECT_N - 1);
    rejected->status = (int) ctseg_record_get_int(r, CTSEG_REJECTED_STATUS);
    rejected->at_ms = ctseg_record_get_int(r, CTSEG_REJECTED_AT);
    rejected->answer = ctseg_record_get_bytes(r, CTSEG_REJECTED_ANSWER);
    rejected->message = ctseg_record_get_bytes(r, CTSEG_REJECTED_MESSAGE);

    ctseg_rejected_key(own, export_id, rejected->sequence);

    if (strcmp(key, own) != 0) {
        r->rc = CTSEG_CORRUPT;
    }

    return ctseg_state_err(err, r->rc, key);
}


static ctseg_rc_t
ctseg_rejected_read(ctseg_store_t *s, const char *export_id,
    uint64_t sequence, ctseg_buf_t *buf, ctseg_rejected_t *rejected,
    uint64_t *rev, ctseg_err_t *err)
{
    char            key[CTSEG_STATE_KEY_MAX];
    ctseg_rc_t      rc;
    ctseg_record_t  r;

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    ctseg_rejected_key(key, export_id, sequence);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_REJECTED, buf, &r, rev, err);

    return rc == CTSEG_OK ? ctseg_rejected_decode(&r, key, export_id,
                                                  rejected, err)
                          : rc;
}


ctseg_rc_t
ctseg_rejected_get(ctseg_store_t *s, const char *export_id,
    uint64_t sequence, ctseg_buf_t *buf, ctseg_rejected_t *rejected,
    ctseg_err_t *err)
{
    uint64_t  rev;

    return ctseg_rejected_read(s, export_id, sequence, buf, rejected, &rev,
                               err);
}


typedef struct {
    const char         *export_id;
    ctseg_rejected_pt   cb;
    void               *data;
} ctseg_rejected_walk_t;


static ctseg_rc_t
ctseg_rejected_each(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    ctseg_rc_t              rc;
    ctseg_record_t          r;
    ctseg_rejected_t        rejected;
    ctseg_rejected_walk_t  *walk;

    walk = data;

    (void) rev;
    (void) ctseg_record_open(&r, value, CTSEG_RECORD_REJECTED);

    rc = ctseg_rejected_decode(&r, key, walk->export_id, &rejected, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    return walk->cb(walk->data, &rejected) ? CTSEG_OK : CTSEG_AGAIN;
}


ctseg_rc_t
ctseg_rejected_list(ctseg_store_t *s, const char *export_id,
    ctseg_rejected_pt cb, void *data, ctseg_err_t *err)
{
    char                   prefix[CTSEG_STATE_KEY_MAX];
    ctseg_rejected_walk_t  walk;

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    walk.export_id = export_id;
    walk.cb = cb;
    walk.data = data;

    ctseg_state_key(prefix, "rejected/%s/", export_id);

    return ctseg_state_each(s, prefix, ctseg_rejected_each, &walk, NULL,
                            err);
}


/* ---- one after the other ---- */

typedef struct {
    uint64_t      upto;
    ctseg_buf_t  *buf;                  /* a copy of the record found, */
    uint64_t      sequence;             /* and whose it is; 0: none */
    unsigned      seen;
    char          last[CTSEG_KEY_MAX + 1];
    ctseg_err_t  *err;
    const char   *export_id;
} ctseg_rejected_find_t;


/* in the transaction: it copies what was found, and a message of no other */

static ctseg_next_t
ctseg_rejected_find(void *data, ctseg_str_t key, ctseg_str_t value,
    uint64_t rev)
{
    ctseg_record_t          r;
    ctseg_rejected_t        rejected;
    ctseg_rejected_find_t  *find;

    find = data;
    (void) rev;

    find->seen++;
    memcpy(find->last, key.data, key.len);
    find->last[key.len] = '\0';

    (void) ctseg_record_open(&r, value, CTSEG_RECORD_REJECTED);

    if (ctseg_rejected_decode(&r, find->last, find->export_id, &rejected,
                              find->err) != CTSEG_OK)
    {
        return CTSEG_GO_ON;
    }

    if (rejected.sequence > find->upto) {
        find->seen = 0;                 /* and none behind it */
        return CTSEG_ENOUGH;
    }

    if (rejected.reason != CTSEG_REJECT_REFUSED) {
        return CTSEG_GO_ON;
    }

    find->sequence = rejected.sequence;
    ctseg_buf_reset(find->buf);
    ctseg_buf_str(find->buf, value);

    return CTSEG_ENOUGH;
}


ctseg_rc_t
ctseg_rejected_next(ctseg_store_t *s, const char *export_id, uint64_t after,
    uint64_t upto, ctseg_buf_t *buf, ctseg_rejected_t *rejected,
    ctseg_err_t *err)
{
    char                   prefix[CTSEG_STATE_KEY_MAX];
    char                   last[CTSEG_KEY_MAX + 1];
    ctseg_rc_t             rc;
    ctseg_record_t         r;
    ctseg_rejected_find_t  find;

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    memset(&find, 0, sizeof(ctseg_rejected_find_t));
    find.upto = upto;
    find.buf = buf;
    find.err = err;
    find.export_id = export_id;

    ctseg_state_key(prefix, "rejected/%s/", export_id);
    ctseg_rejected_key(find.last, export_id, after);

    do {
        find.seen = 0;
        memcpy(last, find.last, sizeof(last));

        rc = ctseg_store_list(s, ctseg_str(prefix), ctseg_str(last),
                              CTSEG_REJECTED_PAGE, ctseg_rejected_find,
                              &find, ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS,
                              NULL);

    } while (rc == CTSEG_OK && find.sequence == 0
             && find.seen == CTSEG_REJECTED_PAGE);

    if (rc != CTSEG_OK) {
        return ctseg_state_err(err, rc, prefix);
    }

    if (find.sequence == 0) {
        return CTSEG_NOTFOUND;
    }

    if (buf->failed) {
        return ctseg_state_err(err, CTSEG_NOMEM, find.last);
    }

    (void) ctseg_record_open(&r, ctseg_buf_slice(buf), CTSEG_RECORD_REJECTED);

    return ctseg_rejected_decode(&r, find.last, export_id, rejected, err);
}


ctseg_rc_t
ctseg_rejected_again(ctseg_store_t *s, const ctseg_rejected_t *r,
    ctseg_err_t *err)
{
    uint64_t          rev;
    ctseg_rc_t        rc;
    ctseg_buf_t       buf;
    ctseg_rejected_t  rejected;

    memset(&buf, 0, sizeof(ctseg_buf_t));

    rc = ctseg_rejected_read(s, r->export_id, r->sequence, &buf, &rejected,
                             &rev, err);

    if (rc == CTSEG_OK) {
        rejected.status = r->status;
        rejected.at_ms = r->at_ms;
        rejected.answer = r->answer;

        rc = ctseg_rejected_write(s, &rejected, rev, err);
    }

    ctseg_buf_free(&buf);

    /* nobody else changes one that is there: it was forgotten */

    return rc == CTSEG_NOTFOUND || rc == CTSEG_CONFLICT ? CTSEG_OK : rc;
}


/* whatever it says, and though somebody may be changing it */

static ctseg_rc_t
ctseg_rejected_drop(ctseg_store_t *s, const char *key, ctseg_err_t *err)
{
    uint64_t     rev;
    unsigned     n;
    ctseg_rc_t   rc;
    ctseg_buf_t  buf;

    memset(&buf, 0, sizeof(ctseg_buf_t));
    rc = CTSEG_CONFLICT;

    for (n = 0; rc == CTSEG_CONFLICT && n < CTSEG_STATE_TRIES; n++) {
        ctseg_buf_reset(&buf);

        rc = ctseg_store_get(s, ctseg_str(key),
                             ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS, &buf,
                             &rev);

        rc = rc == CTSEG_OK ? ctseg_state_remove(s, key, rev, err)
                            : ctseg_state_err(err, rc, key);
    }

    ctseg_buf_free(&buf);

    return rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
}


ctseg_rc_t
ctseg_rejected_remove(ctseg_store_t *s, const char *export_id,
    uint64_t sequence, ctseg_err_t *err)
{
    char  key[CTSEG_STATE_KEY_MAX];

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    ctseg_rejected_key(key, export_id, sequence);

    return ctseg_rejected_drop(s, key, err);
}


static ctseg_rc_t
ctseg_rejected_forget(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    (void) value;

    rc = ctseg_state_remove(data, key, rev, err);

    /* it was refused again meanwhile, or somebody else has removed it */

    return rc == CTSEG_CONFLICT ? ctseg_rejected_drop(data, key, err) : rc;
}


ctseg_rc_t
ctseg_rejected_purge(ctseg_store_t *s, const char *export_id,
    ctseg_err_t *err)
{
    char  prefix[CTSEG_STATE_KEY_MAX];

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    ctseg_state_key(prefix, "rejected/%s/", export_id);

    return ctseg_state_each(s, prefix, ctseg_rejected_forget, s, NULL, err);
}


void
ctseg_rejected_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_rejected_t *r)
{
    ctseg_jw_open(w, name, '{');
    ctseg_jw_uint(w, "sequence", r->sequence);
    ctseg_jw_uint(w, "run", r->run);
    ctseg_jw_cstr(w, "reason", ctseg_reject_name(r->reason));
    ctseg_jw_int(w, "status", r->status);
    ctseg_jw_str(w, "answer", r->answer);
    ctseg_jw_time(w, "at", r->at_ms);
    ctseg_jw_raw(w, "message", r->message);
    ctseg_jw_close(w, '}');
}
