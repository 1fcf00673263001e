/*
 * The LMDB driver's table of state: get, compare-and-set, list, wait.  Called
 * through ctseg_store.c from pool threads.  A value lies in "kv" with its
 * revision (u64) in front; the store-wide revision lies in the meta record
 * and moves in the same transaction, so a list is labelled truly and a wait
 * misses nothing.  It knows no record's meaning.
 */

#include <errno.h>
#include <string.h>
#include <time.h>

#include "ctseg_store_lmdb_int.h"
#include "../base/ctseg_str.h"
#include "../base/ctseg_time.h"


#define CTSEG_LMDB_REV      8           /* bytes of a revision */
#define CTSEG_LMDB_STEP_MS  20          /* between two looks of a wait */

/* new records stop here: what is above is for changing and deleting */

#define CTSEG_LMDB_STATE_MARK  90

enum {
    CTSEG_LMDB_STATE_SCHEMA = 1,
    CTSEG_LMDB_STATE_REVISION,
    CTSEG_LMDB_STATE_INSTALLATION,
    CTSEG_LMDB_STATE_LOG                /* incarnation it belongs to */
};


/* false: there is none, or t failed */

static bool
ctseg_lmdb_state_meta(ctseg_lmdb_txn_t *t, ctseg_lmdb_state_meta_t *m)
{
    ctseg_record_t  r;

    memset(m, 0, sizeof(ctseg_lmdb_state_meta_t));

    if (!ctseg_lmdb_meta_open(t, t->db->state_meta, &r)) {
        return false;
    }

    m->schema = ctseg_record_get_uint(&r, CTSEG_LMDB_STATE_SCHEMA);
    m->revision = ctseg_record_get_uint(&r, CTSEG_LMDB_STATE_REVISION);
    ctseg_record_get_cstr(&r, CTSEG_LMDB_STATE_INSTALLATION,
                          m->installation, sizeof(m->installation));
    m->log = ctseg_record_get_uint(&r, CTSEG_LMDB_STATE_LOG);

    if (r.rc != CTSEG_OK) {
        t->rc = MDB_CORRUPTED;
        return false;
    }

    return true;
}


/* the record that open has made must be there */

static void
ctseg_lmdb_state_load(ctseg_lmdb_txn_t *t, ctseg_lmdb_state_meta_t *m)
{
    if (!ctseg_lmdb_state_meta(t, m) && t->rc == 0) {
        t->rc = MDB_CORRUPTED;
    }
}


static void
ctseg_lmdb_state_save(ctseg_lmdb_txn_t *t, const ctseg_lmdb_state_meta_t *m)
{
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_META);
    ctseg_record_uint(&out, CTSEG_LMDB_STATE_SCHEMA, m->schema);
    ctseg_record_uint(&out, CTSEG_LMDB_STATE_REVISION, m->revision);
    ctseg_record_cstr(&out, CTSEG_LMDB_STATE_INSTALLATION, m->installation);
    ctseg_record_uint(&out, CTSEG_LMDB_STATE_LOG, m->log);
    ctseg_record_end(&out);

    ctseg_lmdb_meta_store(t, t->db->state_meta, &out);
}


/*
 * The installation id goes into messageIds together with a sequence.  A log
 * that was made anew counts from 1 again, so it gets another id: otherwise
 * its events would carry the ids of others, and Segment would drop them.
 */

void
ctseg_lmdb_state_init(ctseg_lmdb_txn_t *t, uint64_t *schema)
{
    unsigned char            id[CTSEG_INSTALL_LEN / 2];
    ctseg_lmdb_state_meta_t  m;

    if (!ctseg_lmdb_state_meta(t, &m)) {
        m.schema = CTSEG_LMDB_SCHEMA;
    }

    if (t->rc != 0) {
        return;
    }

    if (m.log != t->db->incarnation && m.schema == CTSEG_LMDB_SCHEMA) {
        ctseg_lmdb_random(t, id, sizeof(id));

        if (t->rc != 0) {
            return;
        }

        m.log = t->db->incarnation;
        ctseg_hex(m.installation, id, sizeof(id));
        ctseg_lmdb_state_save(t, &m);
    }

    *schema = m.schema;
    memcpy(t->db->installation, m.installation, sizeof(m.installation));
}


/* split a stored value; a value without a revision is damage */

static bool
ctseg_lmdb_value(ctseg_lmdb_txn_t *t, const MDB_val *v, ctseg_str_t *value,
    uint64_t *rev)
{
    if (v->mv_size < CTSEG_LMDB_REV) {
        t->rc = MDB_CORRUPTED;
        return false;
    }

    *rev = ctseg_le_get(v->mv_data, CTSEG_LMDB_REV);
    value->len = v->mv_size - CTSEG_LMDB_REV;
    value->data = (const char *) v->mv_data + CTSEG_LMDB_REV;

    return true;
}


static void
ctseg_lmdb_key(MDB_val *k, ctseg_str_t key)
{
    k->mv_size = key.len;
    k->mv_data = (void *) key.data;
}


ctseg_rc_t
ctseg_lmdb_get(ctseg_store_t *s, ctseg_str_t key, int64_t deadline,
    ctseg_buf_t *out, uint64_t *rev)
{
    MDB_val            k, v;
    ctseg_str_t        value;
    ctseg_lmdb_t      *db;
    ctseg_lmdb_txn_t   t;

    db = (ctseg_lmdb_t *) s;

    ctseg_lmdb_begin(&t, db, &db->state, false, deadline);
    ctseg_lmdb_key(&k, key);

    if (!ctseg_lmdb_fetch(&t, db->kv, &k, &v)) {
        return ctseg_lmdb_end(&t, CTSEG_NOTFOUND);
    }

    if (ctseg_lmdb_value(&t, &v, &value, rev)) {
        ctseg_buf_str(out, value);
    }

    return ctseg_lmdb_end(&t, out->failed ? CTSEG_NOMEM : CTSEG_OK);
}


ctseg_rc_t
ctseg_lmdb_put(ctseg_store_t *s, ctseg_str_t key, ctseg_str_t value,
    uint64_t expect, int64_t deadline, uint64_t *rev)
{
    MDB_val                   k, v;
    uint64_t                  now;
    ctseg_rc_t                rc;
    ctseg_str_t               old;
    ctseg_lmdb_t             *db;
    ctseg_lmdb_txn_t          t;
    ctseg_lmdb_state_meta_t   m;

    db = (ctseg_lmdb_t *) s;

    /*
     * What is stored here may tell of events that were read while the disk
     * did not have them yet, a cursor above all.  It must not be there first:
     * after a crash of the machine other events would lie before the cursor,
     * and nobody would send them.
     */

    rc = ctseg_lmdb_durable(db, 0);

    if (rc != CTSEG_OK) {
        return rc;
    }

    ctseg_lmdb_begin(&t, db, &db->state, true, deadline);
    ctseg_lmdb_state_load(&t, &m);
    ctseg_lmdb_key(&k, key);

    now = 0;

    if (ctseg_lmdb_fetch(&t, db->kv, &k, &v)) {
        (void) ctseg_lmdb_value(&t, &v, &old, &now);
    }

    if (t.rc == 0 && now != expect) {
        return ctseg_lmdb_end(&t, CTSEG_CONFLICT);
    }

    if (expect == 0
        && ctseg_lmdb_is_above(&t, value.len, CTSEG_LMDB_STATE_MARK))
    {
        return ctseg_lmdb_end(&t, CTSEG_FULL);
    }

    m.revision++;

    if (value.data == NULL) {
        ctseg_lmdb_remove(&t, db->kv, &k);

    } else {
        v.mv_size = CTSEG_LMDB_REV + value.len;
        v.mv_data = NULL;
        ctseg_lmdb_store(&t, db->kv, &k, &v, MDB_RESERVE);

        if (t.rc == 0) {
            ctseg_le_put(v.mv_data, m.revision, CTSEG_LMDB_REV);
            memcpy((char *) v.mv_data + CTSEG_LMDB_REV, value.data,
                   value.len);
        }
    }

    ctseg_lmdb_state_save(&t, &m);

    rc = ctseg_lmdb_commit(&t);

    if (rc == CTSEG_OK) {
        *rev = m.revision;
    }

    return rc;
}


ctseg_rc_t
ctseg_lmdb_room(ctseg_store_t *s, unsigned percent, int64_t deadline)
{
    bool               above;
    ctseg_lmdb_t      *db;
    ctseg_lmdb_txn_t   t;

    db = (ctseg_lmdb_t *) s;

    ctseg_lmdb_begin(&t, db, &db->state, false, deadline);
    above = ctseg_lmdb_is_above(&t, 0, percent);

    return ctseg_lmdb_end(&t, above ? CTSEG_FULL : CTSEG_OK);
}


/* place the cursor on the first key of the list */

static bool
ctseg_lmdb_list_start(ctseg_lmdb_txn_t *t, ctseg_str_t prefix,
    ctseg_str_t after_key, MDB_val *k, MDB_val *v)
{
    int          cmp;
    size_t       len;
    ctseg_str_t  from;

    len = prefix.len < after_key.len ? prefix.len : after_key.len;
    cmp = len == 0 ? 0 : memcmp(prefix.data, after_key.data, len);

    if (cmp == 0) {
        cmp = prefix.len < after_key.len ? -1 : 1;
    }

    from = cmp < 0 ? after_key : prefix;

    if (from.len == 0) {
        return ctseg_lmdb_move(t, k, v, MDB_FIRST);
    }

    ctseg_lmdb_key(k, from);

    if (!ctseg_lmdb_move(t, k, v, MDB_SET_RANGE)) {
        return false;
    }

    if (k->mv_size == after_key.len
        && memcmp(k->mv_data, after_key.data, after_key.len) == 0)
    {
        return ctseg_lmdb_move(t, k, v, MDB_NEXT);
    }

    return true;
}


ctseg_rc_t
ctseg_lmdb_list(ctseg_store_t *s, ctseg_str_t prefix, ctseg_str_t after_key,
    unsigned limit, ctseg_list_pt cb, void *data, int64_t deadline,
    uint64_t *at_rev)
{
    bool                      more;
    MDB_val                   k, v;
    uint64_t                  rev;
    unsigned                  n;
    ctseg_str_t               key, value;
    ctseg_lmdb_t             *db;
    ctseg_lmdb_txn_t          t;
    ctseg_lmdb_state_meta_t   m;

    db = (ctseg_lmdb_t *) s;

    ctseg_lmdb_begin(&t, db, &db->state, false, deadline);
    ctseg_lmdb_state_load(&t, &m);
    ctseg_lmdb_cursor(&t, db->kv);

    *at_rev = m.revision;
    n = 0;

    for (more = ctseg_lmdb_list_start(&t, prefix, after_key, &k, &v);
         more;
         more = ctseg_lmdb_move(&t, &k, &v, MDB_NEXT))
    {
        key.len = k.mv_size;
        key.data = k.mv_data;

        if (key.len < prefix.len
            || (prefix.len != 0
                && memcmp(key.data, prefix.data, prefix.len) != 0))
        {
            break;
        }

        if (!ctseg_lmdb_value(&t, &v, &value, &rev)) {
            break;
        }

        if (ctseg_mono_ms() >= deadline) {
            return ctseg_lmdb_end(&t, CTSEG_RETRY);
        }

        n++;

        if (cb(data, key, value, rev) != CTSEG_GO_ON || n == limit) {
            break;
        }
    }

    return ctseg_lmdb_end(&t, CTSEG_OK);
}


ctseg_rc_t
ctseg_lmdb_wait(ctseg_store_t *s, uint64_t since, int64_t deadline,
    uint64_t *rev)
{
    int64_t                   left;
    ctseg_rc_t                rc;
    ctseg_lmdb_t             *db;
    struct timespec           step;
    ctseg_lmdb_txn_t          t;
    ctseg_lmdb_state_meta_t   m;

    db = (ctseg_lmdb_t *) s;

    for ( ;; ) {

        /* one look is taken in any case, so no deadline here */

        ctseg_lmdb_begin(&t, db, &db->state, false, INT64_MAX);
        ctseg_lmdb_state_load(&t, &m);
        rc = ctseg_lmdb_end(&t, CTSEG_OK);

        if (rc != CTSEG_OK) {
            return rc;
        }

        *rev = m.revision;

        if (m.revision > since) {
            return CTSEG_OK;
        }

        left = deadline - ctseg_mono_ms();

        if (deadline == 0 || left <= 0) {
            return CTSEG_AGAIN;
        }

        if (left > CTSEG_LMDB_STEP_MS) {
            left = CTSEG_LMDB_STEP_MS;
        }

        step.tv_sec = 0;
        step.tv_nsec = (long) left * 1000000;

        (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &step, NULL);
    }
}
