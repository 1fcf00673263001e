/*
 * The LMDB driver's log, reading and retention: scan, seek, bounds, trim and
 * the figures.  Called through ctseg_store.c from pool threads.  A read
 * transaction lasts for one call and no longer, since the pages it pins make
 * the file grow.  It reads headers only, never an event, and where a row of
 * blocks is not wanted not even these.  A header that does
 * not read tells nothing but that it is there: how far its block reaches, and
 * how old it is, is known from the next one that reads.
 */

#include <string.h>

#include "ctseg_store_lmdb_int.h"
#include "../base/ctseg_time.h"


/* sequence of a key of the log, 0: not such a key */

static uint64_t
ctseg_lmdb_key_seq(const MDB_val *k)
{
    if (k->mv_size != CTSEG_LMDB_SEQ) {
        return 0;
    }

    return ctseg_be_get(k->mv_data, CTSEG_LMDB_SEQ);
}


/* header of the block under the cursor; it must lie where it says it does */

static ctseg_rc_t
ctseg_lmdb_block(const MDB_val *k, const MDB_val *v, ctseg_block_t *b)
{
    ctseg_rc_t   rc;
    ctseg_str_t  stored;

    stored.len = v->mv_size;
    stored.data = v->mv_data;

    rc = ctseg_block_decode(stored, b);

    if (rc == CTSEG_OK && b->first != ctseg_lmdb_key_seq(k)) {
        rc = CTSEG_CORRUPT;
    }

    return rc;
}


/* the same in a scan, which may have a copy of it */

static ctseg_rc_t
ctseg_lmdb_scan_block(ctseg_lmdb_txn_t *t, ctseg_lmdb_heads_t *heads,
    const MDB_val *k, const MDB_val *v, ctseg_block_t *b)
{
    ctseg_rc_t   rc;
    ctseg_str_t  head, stored;

    head = ctseg_lmdb_heads_get(t, heads, k, v);

    if (head.len == 0) {
        return ctseg_lmdb_block(k, v, b);
    }

    stored.len = v->mv_size;
    stored.data = v->mv_data;

    rc = ctseg_block_decode_copied(stored, head, b);

    if (rc != CTSEG_OK || b->first != ctseg_lmdb_key_seq(k)) {
        return CTSEG_CORRUPT;
    }

    ctseg_lmdb_heads_learn(heads, b);

    return CTSEG_OK;
}


/* first sequence that is kept, 0: none; uses the cursor */

static uint64_t
ctseg_lmdb_first(ctseg_lmdb_txn_t *t)
{
    MDB_val   k, v;
    uint64_t  seq;

    if (!ctseg_lmdb_move(t, &k, &v, MDB_FIRST)) {
        return 0;
    }

    seq = ctseg_lmdb_key_seq(&k);

    if (seq == 0) {
        t->rc = MDB_CORRUPTED;
    }

    return seq;
}


/* the last block that begins at or before seq; false: none, or t failed */

static bool
ctseg_lmdb_find(ctseg_lmdb_txn_t *t, uint64_t seq, MDB_val *k, MDB_val *v)
{
    char  key[CTSEG_LMDB_SEQ];

    ctseg_be_put(key, seq, CTSEG_LMDB_SEQ);
    k->mv_size = sizeof(key);
    k->mv_data = key;

    if (!ctseg_lmdb_move(t, k, v, MDB_SET_RANGE)) {
        return ctseg_lmdb_move(t, k, v, MDB_LAST);
    }

    if (ctseg_lmdb_key_seq(k) == seq) {
        return true;
    }

    return ctseg_lmdb_move(t, k, v, MDB_PREV);
}


/*
 * The next block that begins behind seq and reads, or the one under the
 * cursor when that is so; false: there is none, or t failed.
 */

static bool
ctseg_lmdb_scan_good(ctseg_lmdb_txn_t *t, ctseg_lmdb_heads_t *heads,
    MDB_val *k, MDB_val *v, uint64_t seq, ctseg_block_t *b)
{
    do {
        if (ctseg_lmdb_scan_block(t, heads, k, v, b) == CTSEG_OK
            && b->first > seq)
        {
            return true;
        }

    } while (ctseg_lmdb_heads_next(t, heads, k, v));

    return false;
}


/* the same where nothing is copied ahead */

static bool
ctseg_lmdb_next_good(ctseg_lmdb_txn_t *t, MDB_val *k, MDB_val *v,
    uint64_t seq, ctseg_block_t *b)
{
    ctseg_lmdb_heads_t  none;

    ctseg_lmdb_heads_init(&none, NULL);

    return ctseg_lmdb_scan_good(t, &none, k, v, seq, b);
}


/* the events behind seq up to last, of a block that does not read */

static void
ctseg_lmdb_gap(ctseg_block_t *b, uint64_t first, uint64_t last)
{
    uint64_t  n;

    n = last - first + 1;

    memset(b, 0, sizeof(ctseg_block_t));
    b->first = first;
    b->count = n < UINT32_MAX ? (uint32_t) n : UINT32_MAX;
    b->damaged = true;
}


/*
 * What holds the event behind seq: the block under the cursor, or a gap up to
 * the next one that reads, on which the cursor is then.  False: t failed.
 */

static bool
ctseg_lmdb_scan_next(ctseg_lmdb_txn_t *t, ctseg_lmdb_heads_t *heads,
    MDB_val *k, MDB_val *v, bool *more, uint64_t seq, uint64_t head,
    ctseg_block_t *b)
{
    uint64_t  first;

    first = seq + 1;

    if (*more) {
        if (ctseg_lmdb_scan_block(t, heads, k, v, b) == CTSEG_OK
            && b->first <= first && ctseg_block_last(b) >= first)
        {
            *more = false;              /* to be moved on */
            return true;
        }

        /* one that begins before has its own key as the place of damage */

        if (ctseg_lmdb_key_seq(k) != 0 && ctseg_lmdb_key_seq(k) < first
            && ctseg_lmdb_scan_block(t, heads, k, v, b) != CTSEG_OK)
        {
            first = ctseg_lmdb_key_seq(k);
        }

        *more = ctseg_lmdb_scan_good(t, heads, k, v, seq + 1, b);
    }

    if (t->rc != 0) {
        return false;
    }

    ctseg_lmdb_gap(b, first, *more ? b->first - 1 : head);

    return true;
}


/*
 * All blocks of a span at once, if it begins at seq and none of them is
 * wanted; *span is the next one, which is looked for when seq is behind it.
 */

static bool
ctseg_lmdb_scan_span(ctseg_lmdb_txn_t *t, const ctseg_lmdb_log_meta_t *m,
    const ctseg_want_t *want, uint64_t seq, ctseg_lmdb_span_t *span,
    ctseg_block_t *b)
{
    uint64_t  n;

    if (want == NULL) {
        return false;
    }

    if (span->first < seq) {
        (void) ctseg_lmdb_span_find(t, m, seq, span);
    }

    if (span->first != seq || span->last > m->last) {
        return false;
    }

    n = span->last - span->first + 1;

    memset(b, 0, sizeof(ctseg_block_t));
    b->passed = true;
    b->first = span->first;
    b->count = (uint32_t) n;
    b->min_ms = span->min_ms;
    b->max_ms = span->max_ms;
    b->kinds = span->kinds;

    return n <= UINT32_MAX
           && !ctseg_block_may_match(b, want->kinds, want->from_ms,
                                     want->to_ms);
}


/* what lies behind *next, which is moved as blocks are taken */

static ctseg_rc_t
ctseg_lmdb_scan_blocks(ctseg_lmdb_txn_t *t, const ctseg_lmdb_log_meta_t *m,
    const ctseg_want_t *want, ctseg_scan_pt cb, void *data, int64_t deadline,
    uint64_t *next)
{
    bool                more, placed;
    MDB_val             k, v;
    unsigned            taken;
    ctseg_next_t        answer;
    ctseg_block_t       b;
    ctseg_lmdb_span_t   span;
    ctseg_lmdb_heads_t  heads;

    taken = 0;
    more = false;
    placed = false;
    memset(&span, 0, sizeof(ctseg_lmdb_span_t));
    ctseg_lmdb_heads_init(&heads, want);

    while (*next < m->last) {

        if (ctseg_lmdb_scan_span(t, m, want, *next + 1, &span, &b)) {
            placed = false;

        } else {
            if (!placed) {
                more = ctseg_lmdb_find(t, *next + 1, &k, &v);
                ctseg_lmdb_heads_place(t, &heads);
                placed = true;

                if (t->rc != 0) {
                    break;
                }
            }

            if (!ctseg_lmdb_scan_next(t, &heads, &k, &v, &more, *next,
                                      m->last, &b))
            {
                break;
            }
        }

        if (ctseg_mono_ms() >= deadline) {
            return taken == 0 ? CTSEG_RETRY : CTSEG_OK;
        }

        answer = cb(data, &b);

        if (answer == CTSEG_UNTAKEN) {
            return CTSEG_OK;
        }

        *next = ctseg_block_last(&b);
        taken++;

        if (answer == CTSEG_ENOUGH) {
            return CTSEG_OK;
        }

        if (placed && !b.damaged) {
            more = ctseg_lmdb_heads_next(t, &heads, &k, &v);
        }
    }

    return CTSEG_AGAIN;
}


ctseg_rc_t
ctseg_lmdb_scan(ctseg_store_t *s, uint32_t shard, const ctseg_pos_t *after,
    const ctseg_want_t *want, ctseg_scan_pt cb, void *data, int64_t deadline,
    ctseg_pos_t *next)
{
    uint64_t                first, seq;
    ctseg_rc_t              rc;
    ctseg_lmdb_t           *db;
    ctseg_lmdb_txn_t        t;
    ctseg_lmdb_log_meta_t   m;

    db = (ctseg_lmdb_t *) s;

    if (shard != 0) {
        return CTSEG_INVALID;
    }

    seq = after->sequence;

    ctseg_lmdb_begin(&t, db, &db->events, false, deadline);
    ctseg_lmdb_log_load(&t, &m);
    ctseg_lmdb_cursor(&t, db->log);

    first = ctseg_lmdb_first(&t);

    if (t.rc != 0) {
        return ctseg_lmdb_end(&t, CTSEG_FATAL);
    }

    if (first == 0) {
        first = m.last + 1;
    }

    if ((seq != 0 && after->incarnation != m.incarnation)
        || (seq < m.last && seq + 1 < first))
    {
        ctseg_lmdb_pos(next, &m, first - 1);
        return ctseg_lmdb_end(&t, CTSEG_TRIMMED);
    }

    if (seq > m.last) {

        /* nothing was ever there: a position that is not ours */

        return ctseg_lmdb_end(&t, CTSEG_INVALID);
    }

    ctseg_lmdb_pos(next, &m, seq);

    if (seq == m.last) {
        return ctseg_lmdb_end(&t, CTSEG_AGAIN);
    }

    rc = ctseg_lmdb_scan_blocks(&t, &m, want, cb, data, deadline,
                                &next->sequence);

    return ctseg_lmdb_end(&t, rc);
}


/*
 * The block under the cursor should hold mid.  What does not read is older
 * than the next block that does; if that is late, it may be late as well: the
 * answer is too early by no more than what is damaged.
 */

static void
ctseg_lmdb_seek_step(ctseg_lmdb_txn_t *t, MDB_val *k, MDB_val *v, int64_t ms,
    uint64_t mid, uint64_t *lo, uint64_t *hi)
{
    bool           late;
    uint64_t       edge;
    ctseg_block_t  b;

    late = false;
    edge = ctseg_lmdb_key_seq(k);

    if (ctseg_lmdb_block(k, v, &b) == CTSEG_OK) {
        late = b.append_ms >= ms;

        if (!late) {
            edge = ctseg_block_last(&b) + 1;
        }

        if (edge > mid) {
            *lo = edge;
            return;
        }
    }

    if (!late && ctseg_lmdb_next_good(t, k, v, mid, &b) && b.append_ms < ms) {
        *lo = ctseg_block_last(&b) + 1;
        return;
    }

    /* whatever the keys say, it comes to an end */

    edge = edge < mid ? edge : mid;
    *hi = edge > *lo ? edge : *lo;
}


ctseg_rc_t
ctseg_lmdb_seek(ctseg_store_t *s, uint32_t shard, int64_t ms,
    int64_t deadline, ctseg_pos_t *pos)
{
    MDB_val                 k, v;
    uint64_t                lo, hi, mid;
    ctseg_lmdb_t           *db;
    ctseg_lmdb_txn_t        t;
    ctseg_lmdb_log_meta_t   m;

    db = (ctseg_lmdb_t *) s;

    if (shard != 0) {
        return CTSEG_INVALID;
    }

    ctseg_lmdb_begin(&t, db, &db->events, false, deadline);
    ctseg_lmdb_log_load(&t, &m);
    ctseg_lmdb_cursor(&t, db->log);

    lo = ctseg_lmdb_first(&t);
    hi = m.last + 1;

    if (lo == 0) {
        lo = hi;
    }

    /*
     * All before lo was appended before ms, all from hi on was not; both are
     * always edges of blocks.
     */

    while (t.rc == 0 && lo < hi) {

        if (ctseg_mono_ms() >= deadline) {
            return ctseg_lmdb_end(&t, CTSEG_RETRY);
        }

        mid = lo + (hi - lo) / 2;

        if (!ctseg_lmdb_find(&t, mid, &k, &v)) {
            return ctseg_lmdb_end(&t, CTSEG_CORRUPT);
        }

        ctseg_lmdb_seek_step(&t, &k, &v, ms, mid, &lo, &hi);
    }

    ctseg_lmdb_pos(pos, &m, lo - 1);

    return ctseg_lmdb_end(&t, CTSEG_OK);
}


ctseg_rc_t
ctseg_lmdb_bounds(ctseg_store_t *s, uint32_t shard, int64_t deadline,
    ctseg_bounds_t *bounds)
{
    ctseg_lmdb_t           *db;
    ctseg_lmdb_txn_t        t;
    ctseg_lmdb_log_meta_t   m;

    db = (ctseg_lmdb_t *) s;

    if (shard != 0) {
        return CTSEG_INVALID;
    }

    ctseg_lmdb_begin(&t, db, &db->events, false, deadline);
    ctseg_lmdb_log_load(&t, &m);
    ctseg_lmdb_cursor(&t, db->log);

    bounds->first = ctseg_lmdb_first(&t);
    bounds->last = m.last;
    bounds->incarnation = m.incarnation;

    return ctseg_lmdb_end(&t, CTSEG_OK);
}


/* ---- trim ---- */

/*
 * Last sequence and append time of the block at the front.  When its header
 * is damaged those behind it tell both well enough: retention must not stand
 * still for ever before a bad block.
 */

static bool
ctseg_lmdb_front(ctseg_lmdb_txn_t *t, uint64_t *first, uint64_t *last,
    int64_t *append_ms)
{
    MDB_val        k, v;
    uint64_t       next;
    ctseg_block_t  b;

    if (!ctseg_lmdb_move(t, &k, &v, MDB_FIRST)) {
        return false;
    }

    *first = ctseg_lmdb_key_seq(&k);

    if (ctseg_lmdb_block(&k, &v, &b) == CTSEG_OK) {
        *last = ctseg_block_last(&b);
        *append_ms = b.append_ms;
        return true;
    }

    if (!ctseg_lmdb_move(t, &k, &v, MDB_NEXT)) {
        return false;
    }

    next = ctseg_lmdb_key_seq(&k);

    if (!ctseg_lmdb_next_good(t, &k, &v, *first, &b)) {
        return false;
    }

    *last = (next > *first && next < b.first ? next : b.first) - 1;
    *append_ms = b.append_ms;

    return ctseg_lmdb_move(t, &k, &v, MDB_FIRST);
}


ctseg_rc_t
ctseg_lmdb_trim(ctseg_store_t *s, uint32_t shard, int64_t ms,
    uint64_t keep_from, unsigned max_blocks, int64_t deadline,
    uint64_t *removed)
{
    int64_t                 append_ms;
    uint64_t                first, last, upto, events;
    unsigned                n;
    ctseg_rc_t              rc, done;
    ctseg_lmdb_t           *db;
    ctseg_lmdb_txn_t        t;

    db = (ctseg_lmdb_t *) s;

    if (shard != 0) {
        return CTSEG_INVALID;
    }

    ctseg_lmdb_begin(&t, db, &db->events, true, deadline);
    ctseg_lmdb_cursor(&t, db->log);

    events = 0;
    upto = 0;
    done = CTSEG_OK;

    for (n = 0; n < max_blocks; n++) {

        if (!ctseg_lmdb_front(&t, &first, &last, &append_ms)
            || append_ms >= ms
            || last >= keep_from)
        {
            done = CTSEG_AGAIN;
            break;
        }

        if (n != 0 && ctseg_mono_ms() >= deadline) {
            break;
        }

        ctseg_lmdb_remove_at(&t);
        events += last - first + 1;
        upto = last;
    }

    if (events == 0) {
        return ctseg_lmdb_end(&t, done);
    }

    ctseg_lmdb_span_trim(&t, upto + 1, max_blocks);

    rc = ctseg_lmdb_commit(&t);

    if (rc != CTSEG_OK) {
        return rc;
    }

    *removed = events;

    return done;
}


/* ---- figures ---- */

ctseg_rc_t
ctseg_lmdb_usage(ctseg_store_t *s, ctseg_usage_t *usage)
{
    ctseg_rc_t              rc;
    ctseg_lmdb_t           *db;
    ctseg_lmdb_txn_t        t;
    ctseg_lmdb_log_meta_t   m;

    db = (ctseg_lmdb_t *) s;

    ctseg_lmdb_begin(&t, db, &db->events, false, INT64_MAX);
    ctseg_lmdb_log_load(&t, &m);
    ctseg_lmdb_used(&t, 0, &usage->events_used, &usage->events_size);
    ctseg_lmdb_cursor(&t, db->log);

    usage->bounds.first = ctseg_lmdb_first(&t);
    usage->bounds.last = m.last;
    usage->bounds.incarnation = m.incarnation;
    usage->commits = m.commits;
    usage->marks = ctseg_lmdb_mark_count(&t);

    rc = ctseg_lmdb_end(&t, CTSEG_OK);

    if (rc != CTSEG_OK) {
        return rc;
    }

    ctseg_lmdb_begin(&t, db, &db->state, false, INT64_MAX);
    ctseg_lmdb_used(&t, 0, &usage->state_used, &usage->state_size);

    return ctseg_lmdb_end(&t, CTSEG_OK);
}
