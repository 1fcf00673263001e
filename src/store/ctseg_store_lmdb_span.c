/*
 * The LMDB driver's spans: what is known of each row of some hundred blocks
 * of the log, in a table of its own, so that a scan that wants none of their
 * events need not look at their headers.  Called by append, scan and trim of
 * this driver.  A span says what no block of it has; where there is none, in
 * what an older version wrote, or where one does not read, the blocks speak
 * for themselves.  The newest blocks have theirs in the meta record, which
 * each append writes anyway: one append in a hundred writes a page more.
 */

#include "ctseg_store_lmdb_int.h"
#include "../base/ctseg_crc32c.h"


#ifndef CTSEG_LMDB_SPAN_BLOCKS
#define CTSEG_LMDB_SPAN_BLOCKS  128
#endif

/* last, min_ms, max_ms, kinds, blocks, CRC32C of all that and of the key */

#define CTSEG_LMDB_SPAN_VAL     40


static uint32_t
ctseg_lmdb_span_crc(const char *key, const char *value)
{
    return ctseg_crc32c(ctseg_crc32c(0, key, CTSEG_LMDB_SEQ), value,
                        CTSEG_LMDB_SPAN_VAL - 4);
}


static void
ctseg_lmdb_span_put(ctseg_lmdb_txn_t *t, const ctseg_lmdb_span_t *span)
{
    char     key[CTSEG_LMDB_SEQ], value[CTSEG_LMDB_SPAN_VAL];
    MDB_val  k, v;

    ctseg_be_put(key, span->first, CTSEG_LMDB_SEQ);

    ctseg_le_put(value, span->last, 8);
    ctseg_le_put(value + 8, (uint64_t) span->min_ms, 8);
    ctseg_le_put(value + 16, (uint64_t) span->max_ms, 8);
    ctseg_le_put(value + 24, span->kinds, 8);
    ctseg_le_put(value + 32, span->blocks, 4);
    ctseg_le_put(value + 36, ctseg_lmdb_span_crc(key, value), 4);

    k.mv_size = sizeof(key);
    k.mv_data = key;
    v.mv_size = sizeof(value);
    v.mv_data = value;

    ctseg_lmdb_store(t, t->db->span, &k, &v, 0);
}


void
ctseg_lmdb_span_add(ctseg_lmdb_txn_t *t, ctseg_lmdb_log_meta_t *m,
    const ctseg_block_t *b)
{
    ctseg_lmdb_span_t  *open;

    open = &m->open;

    if (open->blocks == 0) {
        open->first = b->first;
        open->min_ms = b->min_ms;
        open->max_ms = b->max_ms;
        open->kinds = 0;
    }

    open->last = ctseg_block_last(b);
    open->min_ms = b->min_ms < open->min_ms ? b->min_ms : open->min_ms;
    open->max_ms = b->max_ms > open->max_ms ? b->max_ms : open->max_ms;
    open->kinds |= b->kinds;
    open->blocks++;

    if (open->blocks >= CTSEG_LMDB_SPAN_BLOCKS) {
        ctseg_lmdb_span_put(t, open);
        memset(open, 0, sizeof(ctseg_lmdb_span_t));
    }
}


/* false: it does not read; *span begins where its key says in any case */

static bool
ctseg_lmdb_span_get(const MDB_val *k, const MDB_val *v,
    ctseg_lmdb_span_t *span)
{
    const char  *p;

    memset(span, 0, sizeof(ctseg_lmdb_span_t));

    if (k->mv_size != CTSEG_LMDB_SEQ) {
        return false;
    }

    span->first = ctseg_be_get(k->mv_data, CTSEG_LMDB_SEQ);
    p = v->mv_data;

    if (v->mv_size != CTSEG_LMDB_SPAN_VAL
        || ctseg_le_get(p + 36, 4) != ctseg_lmdb_span_crc(k->mv_data, p))
    {
        return false;
    }

    span->last = ctseg_le_get(p, 8);
    span->min_ms = (int64_t) ctseg_le_get(p + 8, 8);
    span->max_ms = (int64_t) ctseg_le_get(p + 16, 8);
    span->kinds = ctseg_le_get(p + 24, 8);
    span->blocks = (uint32_t) ctseg_le_get(p + 32, 4);

    return span->last >= span->first;
}


bool
ctseg_lmdb_span_find(ctseg_lmdb_txn_t *t, const ctseg_lmdb_log_meta_t *m,
    uint64_t seq, ctseg_lmdb_span_t *span)
{
    int      rc;
    bool     found;
    char     key[CTSEG_LMDB_SEQ];
    MDB_val  k, v;

    memset(span, 0, sizeof(ctseg_lmdb_span_t));
    span->first = UINT64_MAX;

    /* the other cursor is at work in the log */

    if (t->rc == 0 && t->spans == NULL) {
        t->rc = mdb_cursor_open(t->txn, t->db->span, &t->spans);
    }

    if (t->rc != 0) {
        return false;
    }

    ctseg_be_put(key, seq, CTSEG_LMDB_SEQ);
    k.mv_size = sizeof(key);
    k.mv_data = key;

    rc = mdb_cursor_get(t->spans, &k, &v, MDB_SET_RANGE);
    found = rc == 0;

    if (found && !ctseg_lmdb_span_get(&k, &v, span)) {

        /* who could want its blocks? anyone */

        span->kinds = ~(ctseg_kinds_t) 0;
        span->min_ms = INT64_MIN;
        span->max_ms = INT64_MAX;
    }

    if (rc != 0 && rc != MDB_NOTFOUND) {
        t->rc = rc;
        return false;
    }

    if (!found && m->open.blocks != 0 && m->open.first >= seq) {
        *span = m->open;
        found = true;
    }

    return found;
}


void
ctseg_lmdb_span_trim(ctseg_lmdb_txn_t *t, uint64_t seq, unsigned n)
{
    MDB_val            k, v;
    ctseg_lmdb_span_t  span;

    ctseg_lmdb_cursor(t, t->db->span);

    while (n != 0 && ctseg_lmdb_move(t, &k, &v, MDB_FIRST)) {

        /* whether it reads does not matter: it begins where its key says */

        (void) ctseg_lmdb_span_get(&k, &v, &span);

        if (span.first >= seq) {
            return;
        }

        ctseg_lmdb_remove_at(t);
        n--;
    }
}
