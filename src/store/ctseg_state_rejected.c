/*
 * Events that were rejected, written before their run counts them.  Those
 * that Segment refused when they stood alone have one record each; those that
 * could not be sent at all come many at a time and share records.  A stretch
 * of the log that is read again in other pieces makes other records of the
 * same events: their keys tell from where to where, each holds all such
 * events in between, and a list shows an event once.  Called by the tasks of
 * the engine and by the API, from pool threads.
 */

#include <inttypes.h>
#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_bytes.h"
#include "../base/ctseg_str.h"


enum {
    CTSEG_REJECTED_RUN = 1,
    CTSEG_REJECTED_SEQUENCE,            /* of the first */
    CTSEG_REJECTED_REASON,
    CTSEG_REJECTED_STATUS,
    CTSEG_REJECTED_AT,
    CTSEG_REJECTED_ANSWER,
    CTSEG_REJECTED_MESSAGE,
    CTSEG_REJECTED_LAST,
    CTSEG_REJECTED_PACK
};


#define CTSEG_REJECTED_PAGE      256    /* looked at per transaction */

/* a pack: u64 sequence, u8 reason, u32 length and message of each event */

#define CTSEG_REJECTED_HEAD      13
#define CTSEG_REJECTED_PACK_MAX  (CTSEG_VALUE_MAX - 128)

/* percent of the table of state: what is above is for others */

#define CTSEG_REJECTED_MARK      50


/* last is 0 for a record of one event, else that of a pack */

static void
ctseg_rejected_key(char key[CTSEG_STATE_KEY_MAX], const char *export_id,
    uint64_t first, uint64_t last)
{
    if (last == 0) {
        ctseg_state_key(key, "rejected/%s/%016" PRIx64, export_id, first);

    } else {
        ctseg_state_key(key, "rejected/%s/%016" PRIx64 "-%016" PRIx64,
                        export_id, first, last);
    }
}


static ctseg_rc_t
ctseg_rejected_write(ctseg_store_t *s, const char *export_id, uint64_t first,
    uint64_t last, uint64_t expect, ctseg_buf_t *out, ctseg_err_t *err)
{
    char        key[CTSEG_STATE_KEY_MAX];
    ctseg_rc_t  rc;

    ctseg_rejected_key(key, export_id, first, last);

    rc = ctseg_state_write(s, key, out, expect, NULL, err);

    /*
     * A new one: a run that crashed behind it has met the event again.  A
     * changed one: nobody else changes it, so it was forgotten.
     */

    return rc == CTSEG_CONFLICT ? CTSEG_OK : rc;
}


static ctseg_rc_t
ctseg_rejected_put_one(ctseg_store_t *s, const ctseg_rejected_t *rejected,
    uint64_t expect, ctseg_err_t *err)
{
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

    return ctseg_rejected_write(s, rejected->export_id, rejected->sequence, 0,
                                expect, &out, err);
}


ctseg_rc_t
ctseg_rejected_put(ctseg_store_t *s, const ctseg_rejected_t *rejected,
    ctseg_err_t *err)
{
    return ctseg_rejected_put_one(s, rejected, 0, err);
}


/* ---- packs ---- */

static void
ctseg_rejected_pack(ctseg_buf_t *pack, const ctseg_rejected_t *r)
{
    char  head[CTSEG_REJECTED_HEAD];

    ctseg_le_put(head, r->sequence, 8);
    head[8] = (char) r->reason;
    ctseg_le_put(head + 9, r->message.len, 4);

    ctseg_buf_add(pack, head, sizeof(head));
    ctseg_buf_str(pack, r->message);
}


/* the next event of a pack; false: it ends here, or not where it should */

static bool
ctseg_rejected_unpack(ctseg_str_t *pack, ctseg_rejected_t *r)
{
    uint64_t     len, sequence;
    unsigned     reason;
    const char  *p;

    p = pack->data;

    if (pack->len < CTSEG_REJECTED_HEAD) {
        return false;
    }

    sequence = ctseg_le_get(p, 8);
    reason = (unsigned char) p[8];
    len = ctseg_le_get(p + 9, 4);

    if (len > pack->len - CTSEG_REJECTED_HEAD || reason >= CTSEG_REJECT_N) {
        return false;
    }

    r->sequence = sequence;
    r->reason = reason;
    r->message.data = p + CTSEG_REJECTED_HEAD;
    r->message.len = (size_t) len;

    pack->data += CTSEG_REJECTED_HEAD + len;
    pack->len -= CTSEG_REJECTED_HEAD + (size_t) len;

    return true;
}


static ctseg_rc_t
ctseg_rejected_put_pack(ctseg_store_t *s, const ctseg_rejected_t *r,
    const ctseg_buf_t *pack, ctseg_err_t *err)
{
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_REJECTED);
    ctseg_record_uint(&out, CTSEG_REJECTED_RUN, r->run);
    ctseg_record_uint(&out, CTSEG_REJECTED_SEQUENCE, r->first);
    ctseg_record_int(&out, CTSEG_REJECTED_AT, r->at_ms);
    ctseg_record_uint(&out, CTSEG_REJECTED_LAST, r->last);
    ctseg_record_bytes(&out, CTSEG_REJECTED_PACK, ctseg_buf_slice(pack));
    ctseg_record_end(&out);

    out.failed |= pack->failed;

    return ctseg_rejected_write(s, r->export_id, r->first, r->last, 0, &out,
                                err);
}


ctseg_rc_t
ctseg_rejected_put_all(ctseg_store_t *s, const ctseg_rejected_t *of,
    ctseg_rejected_next_pt next, void *data, ctseg_err_t *err)
{
    unsigned          i;
    ctseg_rc_t        rc;
    ctseg_buf_t       pack;
    ctseg_rejected_t  r;

    rc = ctseg_store_room(s, CTSEG_REJECTED_MARK,
                          ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS);
    if (rc != CTSEG_OK) {
        return ctseg_err(err, rc, "%s", rc == CTSEG_FULL
                         ? "the table of state is half full"
                         : ctseg_rc_name(rc));
    }

    memset(&pack, 0, sizeof(ctseg_buf_t));
    r = *of;

    for (i = 0; next(data, i, &r); i++) {

        if (pack.len != 0
            && pack.len + CTSEG_REJECTED_HEAD + r.message.len
               > CTSEG_REJECTED_PACK_MAX)
        {
            rc = ctseg_rejected_put_pack(s, &r, &pack, err);

            if (rc != CTSEG_OK) {
                break;
            }

            ctseg_buf_reset(&pack);
        }

        if (pack.len == 0) {
            r.first = r.sequence;
        }

        r.last = r.sequence;
        ctseg_rejected_pack(&pack, &r);
    }

    if (rc == CTSEG_OK && i != 0) {
        rc = ctseg_rejected_put_pack(s, &r, &pack, err);
    }

    ctseg_buf_free(&pack);

    return rc;
}


/* every event of a pack is in its place */

static bool
ctseg_rejected_is_pack(ctseg_str_t pack, uint64_t first, uint64_t last)
{
    uint64_t          sequence;
    ctseg_rejected_t  r;

    sequence = 0;

    while (ctseg_rejected_unpack(&pack, &r)) {

        if (sequence == 0 ? r.sequence != first : r.sequence <= sequence) {
            return false;
        }

        sequence = r.sequence;
    }

    return pack.len == 0 && sequence != 0 && sequence == last;
}


/*
 * The texts point into the record.  Of a pack everything but the sequence,
 * the reason and the message of an event, which are to be taken out of it.
 */

static ctseg_rc_t
ctseg_rejected_decode(ctseg_record_t *r, const char *key,
    const char *export_id, ctseg_rejected_t *rejected, ctseg_str_t *pack,
    ctseg_err_t *err)
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
    rejected->last = ctseg_record_get_uint(r, CTSEG_REJECTED_LAST);
    *pack = ctseg_record_get_bytes(r, CTSEG_REJECTED_PACK);

    if (rejected->last != 0) {
        rejected->first = rejected->sequence;

        if (!ctseg_rejected_is_pack(*pack, rejected->first, rejected->last)) {
            r->rc = CTSEG_CORRUPT;
        }
    }

    ctseg_rejected_key(own, export_id, rejected->sequence, rejected->last);

    if (strcmp(key, own) != 0) {
        r->rc = CTSEG_CORRUPT;
    }

    return ctseg_state_err(err, r->rc, key);
}


ctseg_rc_t
ctseg_rejected_find(ctseg_store_t *s, ctseg_buf_t *buf,
    ctseg_rejected_t *rejected, ctseg_err_t *err)
{
    char            key[CTSEG_STATE_KEY_MAX], id[CTSEG_ID_TEXT_MAX];
    uint64_t        rev, sequence;
    ctseg_rc_t      rc;
    ctseg_str_t     pack;
    ctseg_record_t  r;

    if (!ctseg_id_is_valid(ctseg_str(rejected->export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    memcpy(id, rejected->export_id, sizeof(id));
    sequence = rejected->sequence;

    ctseg_rejected_key(key, id, rejected->last != 0 ? rejected->first
                                                    : sequence,
                       rejected->last);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_REJECTED, buf, &r, &rev, err);

    if (rc == CTSEG_OK) {
        rc = ctseg_rejected_decode(&r, key, id, rejected, &pack, err);
    }

    if (rc != CTSEG_OK || rejected->last == 0) {
        return rc;
    }

    while (ctseg_rejected_unpack(&pack, rejected)) {
        if (rejected->sequence == sequence) {
            return CTSEG_OK;
        }
    }

    return ctseg_state_err(err, CTSEG_NOTFOUND, key);
}


ctseg_rc_t
ctseg_rejected_get(ctseg_store_t *s, const char *export_id,
    uint64_t sequence, ctseg_buf_t *buf, ctseg_rejected_t *rejected,
    ctseg_err_t *err)
{
    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    memset(rejected, 0, sizeof(ctseg_rejected_t));
    memcpy(rejected->export_id, export_id, strlen(export_id));
    rejected->sequence = sequence;

    return ctseg_rejected_find(s, buf, rejected, err);
}


/* ---- lists ---- */

typedef struct {
    const char         *export_id;
    ctseg_rejected_pt   cb;
    void               *data;
    ctseg_rejected_t    of;             /* the pack that is being shown */
    ctseg_buf_t         pack;
    ctseg_str_t         rest;           /* what of it is not shown yet */
    bool                ended;          /* by the callback */
} ctseg_rejected_walk_t;


/* what is left of the pack and lies before a sequence */

static ctseg_rc_t
ctseg_rejected_upto(ctseg_rejected_walk_t *walk, uint64_t sequence)
{
    ctseg_str_t       rest;
    ctseg_rejected_t  r;

    r = walk->of;
    rest = walk->rest;

    while (ctseg_rejected_unpack(&rest, &r) && r.sequence < sequence) {
        walk->rest = rest;

        if (!walk->cb(walk->data, &r)) {
            walk->ended = true;
            return CTSEG_AGAIN;
        }
    }

    return CTSEG_OK;
}


/*
 * Records come by their first sequence, and a pack may reach over others: it
 * waits, and is shown as far as they do not come before.  Of two packs that
 * overlap the one that reaches further holds all that is left of the other.
 */

static ctseg_rc_t
ctseg_rejected_each(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    ctseg_rc_t              rc;
    ctseg_str_t             pack;
    ctseg_record_t          r;
    ctseg_rejected_t        rejected;
    ctseg_rejected_walk_t  *walk;

    walk = data;

    (void) rev;
    (void) ctseg_record_open(&r, value, CTSEG_RECORD_REJECTED);

    rc = ctseg_rejected_decode(&r, key, walk->export_id, &rejected, &pack,
                               err);
    if (rc != CTSEG_OK) {
        return rc;
    }

    rc = ctseg_rejected_upto(walk, rejected.sequence);

    if (rc != CTSEG_OK) {
        return rc;
    }

    if (rejected.last == 0) {
        walk->ended = !walk->cb(walk->data, &rejected);
        return walk->ended ? CTSEG_AGAIN : CTSEG_OK;
    }

    if (walk->rest.len != 0 && rejected.last <= walk->of.last) {
        return CTSEG_OK;
    }

    ctseg_buf_reset(&walk->pack);
    ctseg_buf_str(&walk->pack, pack);

    walk->of = rejected;
    walk->rest = ctseg_buf_slice(&walk->pack);

    return walk->pack.failed ? ctseg_state_err(err, CTSEG_NOMEM, key)
                             : CTSEG_OK;
}


ctseg_rc_t
ctseg_rejected_list(ctseg_store_t *s, const char *export_id,
    ctseg_rejected_pt cb, void *data, ctseg_err_t *err)
{
    char                   prefix[CTSEG_STATE_KEY_MAX];
    ctseg_rc_t             rc;
    ctseg_rejected_walk_t  walk;

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    memset(&walk, 0, sizeof(ctseg_rejected_walk_t));
    walk.export_id = export_id;
    walk.cb = cb;
    walk.data = data;

    ctseg_state_key(prefix, "rejected/%s/", export_id);

    rc = ctseg_state_each(s, prefix, ctseg_rejected_each, &walk, NULL, err);

    if (rc == CTSEG_OK && !walk.ended) {
        (void) ctseg_rejected_upto(&walk, UINT64_MAX);
    }

    ctseg_buf_free(&walk.pack);

    return rc;
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
} ctseg_rejected_seek_t;


/* in the transaction: it copies what was found, and a message of no other */

static ctseg_next_t
ctseg_rejected_seek(void *data, ctseg_str_t key, ctseg_str_t value,
    uint64_t rev)
{
    ctseg_str_t             pack;
    ctseg_record_t          r;
    ctseg_rejected_t        rejected;
    ctseg_rejected_seek_t  *find;

    find = data;
    (void) rev;

    find->seen++;
    memcpy(find->last, key.data, key.len);
    find->last[key.len] = '\0';

    (void) ctseg_record_open(&r, value, CTSEG_RECORD_REJECTED);

    if (ctseg_rejected_decode(&r, find->last, find->export_id, &rejected,
                              &pack, find->err) != CTSEG_OK)
    {
        return CTSEG_GO_ON;
    }

    if (rejected.sequence > find->upto) {
        find->seen = 0;                 /* and none behind it */
        return CTSEG_ENOUGH;
    }

    if (rejected.last != 0 || rejected.reason != CTSEG_REJECT_REFUSED) {
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
    ctseg_str_t            pack;
    ctseg_record_t         r;
    ctseg_rejected_seek_t  find;

    if (!ctseg_id_is_valid(ctseg_str(export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    memset(&find, 0, sizeof(ctseg_rejected_seek_t));
    find.upto = upto;
    find.buf = buf;
    find.err = err;
    find.export_id = export_id;

    ctseg_state_key(prefix, "rejected/%s/", export_id);
    ctseg_rejected_key(find.last, export_id, after, 0);

    do {
        find.seen = 0;
        memcpy(last, find.last, sizeof(last));

        rc = ctseg_store_list(s, ctseg_str(prefix), ctseg_str(last),
                              CTSEG_REJECTED_PAGE, ctseg_rejected_seek,
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

    return ctseg_rejected_decode(&r, find.last, export_id, rejected, &pack,
                                 err);
}


ctseg_rc_t
ctseg_rejected_again(ctseg_store_t *s, const ctseg_rejected_t *r,
    ctseg_err_t *err)
{
    char              key[CTSEG_STATE_KEY_MAX];
    uint64_t          rev;
    ctseg_rc_t        rc;
    ctseg_buf_t       buf;
    ctseg_str_t       pack;
    ctseg_record_t    record;
    ctseg_rejected_t  rejected;

    if (!ctseg_id_is_valid(ctseg_str(r->export_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_rejected_key(key, r->export_id, r->sequence, 0);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_REJECTED, &buf, &record, &rev,
                          err);

    if (rc == CTSEG_OK) {
        rc = ctseg_rejected_decode(&record, key, r->export_id, &rejected,
                                   &pack, err);
    }

    if (rc == CTSEG_OK) {
        rejected.status = r->status;
        rejected.at_ms = r->at_ms;
        rejected.answer = r->answer;

        rc = ctseg_rejected_put_one(s, &rejected, rev, err);
    }

    ctseg_buf_free(&buf);

    /* it was forgotten */

    return rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
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

    ctseg_rejected_key(key, export_id, sequence, 0);

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
