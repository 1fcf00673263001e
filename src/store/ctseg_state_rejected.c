/*
 * Events that Segment refused when they stood alone, one record each, written
 * before their run counts them.  Called by the runner's tasks and the API,
 * from pool threads.
 */

#include <inttypes.h>
#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


enum {
    CTSEG_REJECTED_RUN = 1,
    CTSEG_REJECTED_SEQUENCE,
    CTSEG_REJECTED_REASON,
    CTSEG_REJECTED_STATUS,
    CTSEG_REJECTED_AT,
    CTSEG_REJECTED_ANSWER,
    CTSEG_REJECTED_MESSAGE
};


ctseg_rc_t
ctseg_rejected_put(ctseg_store_t *s, const ctseg_rejected_t *rejected,
    ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    ctseg_rc_t   rc;
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

    ctseg_state_key(key, "rejected/%s/%016" PRIx64, rejected->export_id,
                    rejected->sequence);

    rc = ctseg_state_write(s, key, &out, 0, NULL, err);

    /* a run that crashed behind it has met the event again */

    return rc == CTSEG_CONFLICT ? CTSEG_OK : rc;
}


/* the texts point into the record */

static ctseg_rc_t
ctseg_rejected_decode(ctseg_record_t *r, const char *key,
    const char *export_id, ctseg_rejected_t *rejected, ctseg_err_t *err)
{
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

    return ctseg_state_err(err, r->rc, key);
}


ctseg_rc_t
ctseg_rejected_get(ctseg_store_t *s, const char *export_id,
    uint64_t sequence, ctseg_buf_t *buf, ctseg_rejected_t *rejected,
    ctseg_err_t *err)
{
    char            key[CTSEG_STATE_KEY_MAX];
    uint64_t        rev;
    ctseg_rc_t      rc;
    ctseg_record_t  r;

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    ctseg_state_key(key, "rejected/%s/%016" PRIx64, export_id, sequence);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_REJECTED, buf, &r, &rev, err);

    return rc == CTSEG_OK ? ctseg_rejected_decode(&r, key, export_id,
                                                  rejected, err)
                          : rc;
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


static ctseg_rc_t
ctseg_rejected_forget(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    (void) value;

    rc = ctseg_state_remove(data, key, rev, err);

    /* records are never changed: somebody else has removed it */

    return rc == CTSEG_CONFLICT ? CTSEG_OK : rc;
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
