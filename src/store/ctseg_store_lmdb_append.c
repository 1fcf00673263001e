/*
 * The LMDB driver's log, writing: append.  Called through ctseg_store.c from
 * pool threads.  "log" maps the first sequence of a block (u64, big-endian)
 * to the block; "producer" maps shard and producer to its last append, so
 * that one repeated after a lost answer is not stored twice; the meta record
 * carries what must hold even when every block is trimmed.  One machine needs
 * one shard: any but 0 is refused.  It never looks into a payload.
 */

#include <string.h>

#include "ctseg_store_lmdb_int.h"
#include "../base/ctseg_time.h"


#define CTSEG_LMDB_PRODUCER_KEY  (4 + CTSEG_PRODUCER_LEN)
#define CTSEG_LMDB_PRODUCER_VAL  24     /* seq, last position, time */
#define CTSEG_LMDB_PRUNE_N       8      /* looked at per new producer */
#define CTSEG_LMDB_PRUNE_MS      CTSEG_DAY_MS

enum {
    CTSEG_LMDB_LOG_SCHEMA = 1,
    CTSEG_LMDB_LOG_INCARNATION,
    CTSEG_LMDB_LOG_LAST,
    CTSEG_LMDB_LOG_APPEND,
    CTSEG_LMDB_LOG_COMMITS,
    CTSEG_LMDB_LOG_OPEN_BLOCKS,         /* the open span; no blocks: the */
    CTSEG_LMDB_LOG_OPEN_FIRST,          /* others are not there either */
    CTSEG_LMDB_LOG_OPEN_MIN,
    CTSEG_LMDB_LOG_OPEN_MAX,
    CTSEG_LMDB_LOG_OPEN_KINDS
};


typedef struct {
    uint64_t  seq;
    uint64_t  last;
    int64_t   time_ms;
} ctseg_lmdb_producer_t;


/* false: there is none, or t failed */

static bool
ctseg_lmdb_log_meta(ctseg_lmdb_txn_t *t, ctseg_lmdb_log_meta_t *m)
{
    uint64_t        incarnation;
    ctseg_record_t  r;

    memset(m, 0, sizeof(ctseg_lmdb_log_meta_t));

    if (!ctseg_lmdb_meta_open(t, t->db->events_meta, &r)) {
        return false;
    }

    m->schema = ctseg_record_get_uint(&r, CTSEG_LMDB_LOG_SCHEMA);
    incarnation = ctseg_record_get_uint(&r, CTSEG_LMDB_LOG_INCARNATION);
    m->last = ctseg_record_get_uint(&r, CTSEG_LMDB_LOG_LAST);
    m->append_ms = ctseg_record_get_int(&r, CTSEG_LMDB_LOG_APPEND);
    m->commits = ctseg_record_get_uint(&r, CTSEG_LMDB_LOG_COMMITS);
    m->incarnation = (uint32_t) incarnation;

    m->open.blocks = (uint32_t) ctseg_record_get_uint(&r,
                                                 CTSEG_LMDB_LOG_OPEN_BLOCKS);
    m->open.first = ctseg_record_get_uint(&r, CTSEG_LMDB_LOG_OPEN_FIRST);
    m->open.last = m->last;
    m->open.min_ms = ctseg_record_get_int(&r, CTSEG_LMDB_LOG_OPEN_MIN);
    m->open.max_ms = ctseg_record_get_int(&r, CTSEG_LMDB_LOG_OPEN_MAX);
    m->open.kinds = ctseg_record_get_uint(&r, CTSEG_LMDB_LOG_OPEN_KINDS);

    if (r.rc != CTSEG_OK || incarnation > UINT32_MAX) {
        t->rc = MDB_CORRUPTED;
        return false;
    }

    return true;
}


/* the record that open has made must be there */

void
ctseg_lmdb_log_load(ctseg_lmdb_txn_t *t, ctseg_lmdb_log_meta_t *m)
{
    if (!ctseg_lmdb_log_meta(t, m) && t->rc == 0) {
        t->rc = MDB_CORRUPTED;
    }
}


static void
ctseg_lmdb_log_save(ctseg_lmdb_txn_t *t, const ctseg_lmdb_log_meta_t *m)
{
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_META);
    ctseg_record_uint(&out, CTSEG_LMDB_LOG_SCHEMA, m->schema);
    ctseg_record_uint(&out, CTSEG_LMDB_LOG_INCARNATION, m->incarnation);
    ctseg_record_uint(&out, CTSEG_LMDB_LOG_LAST, m->last);
    ctseg_record_int(&out, CTSEG_LMDB_LOG_APPEND, m->append_ms);
    ctseg_record_uint(&out, CTSEG_LMDB_LOG_COMMITS, m->commits);

    if (m->open.blocks != 0) {
        ctseg_record_uint(&out, CTSEG_LMDB_LOG_OPEN_BLOCKS, m->open.blocks);
        ctseg_record_uint(&out, CTSEG_LMDB_LOG_OPEN_FIRST, m->open.first);
        ctseg_record_int(&out, CTSEG_LMDB_LOG_OPEN_MIN, m->open.min_ms);
        ctseg_record_int(&out, CTSEG_LMDB_LOG_OPEN_MAX, m->open.max_ms);
        ctseg_record_uint(&out, CTSEG_LMDB_LOG_OPEN_KINDS, m->open.kinds);
    }

    ctseg_record_end(&out);

    ctseg_lmdb_meta_store(t, t->db->events_meta, &out);
}


void
ctseg_lmdb_log_init(ctseg_lmdb_txn_t *t, uint64_t *schema)
{
    ctseg_lmdb_log_meta_t  m;

    if (!ctseg_lmdb_log_meta(t, &m)) {

        while (t->rc == 0 && m.incarnation == 0) {
            ctseg_lmdb_random(t, &m.incarnation, sizeof(m.incarnation));
        }

        if (t->rc != 0) {
            return;
        }

        m.schema = CTSEG_LMDB_SCHEMA;
        ctseg_lmdb_log_save(t, &m);
    }

    *schema = m.schema;
    t->db->incarnation = m.incarnation;
}


void
ctseg_lmdb_pos(ctseg_pos_t *pos, const ctseg_lmdb_log_meta_t *m,
    uint64_t sequence)
{
    pos->incarnation = m->incarnation;
    pos->shard = 0;
    pos->sequence = sequence;
}


static bool
ctseg_lmdb_producer_get(ctseg_lmdb_txn_t *t, MDB_val *k,
    ctseg_lmdb_producer_t *p)
{
    MDB_val  v;

    if (!ctseg_lmdb_fetch(t, t->db->producer, k, &v)) {
        return false;
    }

    if (v.mv_size != CTSEG_LMDB_PRODUCER_VAL) {
        t->rc = MDB_CORRUPTED;
        return false;
    }

    p->seq = ctseg_le_get(v.mv_data, 8);
    p->last = ctseg_le_get((char *) v.mv_data + 8, 8);
    p->time_ms = (int64_t) ctseg_le_get((char *) v.mv_data + 16, 8);

    return true;
}


static void
ctseg_lmdb_producer_put(ctseg_lmdb_txn_t *t, MDB_val *k,
    const ctseg_lmdb_producer_t *p)
{
    char     value[CTSEG_LMDB_PRODUCER_VAL];
    MDB_val  v;

    ctseg_le_put(value, p->seq, 8);
    ctseg_le_put(value + 8, p->last, 8);
    ctseg_le_put(value + 16, (uint64_t) p->time_ms, 8);

    v.mv_size = sizeof(value);
    v.mv_data = value;

    ctseg_lmdb_store(t, t->db->producer, k, &v, 0);
}


/*
 * Producers come and go with processes.  Their names are random, so looking
 * at a few neighbours of each new one visits the whole table in time without
 * a transaction that ever does much.
 */

static void
ctseg_lmdb_producer_prune(ctseg_lmdb_txn_t *t, MDB_val *near, int64_t now_ms)
{
    bool      more;
    int64_t   time_ms;
    MDB_val   k, v;
    unsigned  n;

    ctseg_lmdb_cursor(t, t->db->producer);

    k = *near;
    more = ctseg_lmdb_move(t, &k, &v, MDB_SET_RANGE);

    for (n = 0; n < CTSEG_LMDB_PRUNE_N; n++) {

        if (!more) {
            more = ctseg_lmdb_move(t, &k, &v, MDB_FIRST);

            if (!more) {
                return;
            }
        }

        time_ms = now_ms;

        if (v.mv_size == CTSEG_LMDB_PRODUCER_VAL) {
            time_ms = (int64_t) ctseg_le_get((char *) v.mv_data + 16, 8);
        }

        if (time_ms < now_ms - CTSEG_LMDB_PRUNE_MS) {
            ctseg_lmdb_remove_at(t);
        }

        more = ctseg_lmdb_move(t, &k, &v, MDB_NEXT);
    }
}


static void
ctseg_lmdb_block_store(ctseg_lmdb_txn_t *t, const ctseg_block_t *b)
{
    char     key[CTSEG_LMDB_SEQ], *p;
    MDB_val  k, v;

    ctseg_be_put(key, b->first, CTSEG_LMDB_SEQ);

    k.mv_size = sizeof(key);
    k.mv_data = key;
    v.mv_size = ctseg_block_size(b);
    v.mv_data = NULL;

    ctseg_lmdb_store(t, t->db->log, &k, &v, MDB_APPEND|MDB_RESERVE);

    if (t->rc == MDB_KEYEXIST) {

        /* the log goes beyond what the meta record says is its end */

        t->rc = MDB_CORRUPTED;
    }

    if (t->rc == 0) {
        p = v.mv_data;
        ctseg_block_encode_header(p, b);
        p += CTSEG_BLOCK_HEADER;

        if (b->directory.len != 0) {
            memcpy(p, b->directory.data, b->directory.len);
            p += b->directory.len;
        }

        memcpy(p, b->payload.data, b->payload.len);
    }
}


/* give the blocks their numbers, the last one being the one that ends at
   "last" */

static void
ctseg_lmdb_number(ctseg_block_t *b, unsigned nblocks, uint64_t last,
    int64_t append_ms)
{
    unsigned  i;

    for (i = nblocks; i > 0; i--) {
        b[i - 1].first = last - b[i - 1].count + 1;
        b[i - 1].append_ms = append_ms;
        last = b[i - 1].first - 1;
    }
}


/* it is stored already; whether the disk has it, who was first may not know */

static ctseg_rc_t
ctseg_lmdb_append_again(ctseg_lmdb_txn_t *t)
{
    ctseg_rc_t  rc;

    rc = ctseg_lmdb_end(t, CTSEG_OK);

    return rc == CTSEG_OK ? ctseg_lmdb_durable(t->db, 0) : rc;
}


ctseg_rc_t
ctseg_lmdb_append(ctseg_store_t *s, uint32_t shard,
    const char producer[CTSEG_PRODUCER_LEN], uint64_t seq, ctseg_block_t *b,
    unsigned nblocks, ctseg_marks_t *marks, int64_t deadline,
    ctseg_pos_t *last, bool *dup)
{
    bool                    known;
    char                    key[CTSEG_LMDB_PRODUCER_KEY];
    int64_t                 now;
    MDB_val                 k;
    uint64_t                bytes, count;
    unsigned                i;
    ctseg_rc_t              rc;
    ctseg_lmdb_t           *db;
    ctseg_lmdb_txn_t        t;
    ctseg_lmdb_log_meta_t   m;
    ctseg_lmdb_producer_t   p;

    db = (ctseg_lmdb_t *) s;

    if (shard != 0) {
        return CTSEG_INVALID;
    }

    bytes = ctseg_lmdb_mark_bytes(marks);
    count = 0;

    for (i = 0; i < nblocks; i++) {
        bytes += ctseg_block_size(&b[i]);
        count += b[i].count;
    }

    ctseg_be_put(key, shard, 4);
    memcpy(key + 4, producer, CTSEG_PRODUCER_LEN);
    k.mv_size = sizeof(key);
    k.mv_data = key;

    ctseg_lmdb_begin(&t, db, &db->events, true, deadline);
    ctseg_lmdb_log_load(&t, &m);
    known = ctseg_lmdb_producer_get(&t, &k, &p);

    if (known && seq < p.seq) {
        return ctseg_lmdb_end(&t, CTSEG_INVALID);
    }

    if (known && seq == p.seq) {
        ctseg_lmdb_number(b, nblocks, p.last, p.time_ms);
        ctseg_lmdb_pos(last, &m, p.last);
        *dup = true;
        return ctseg_lmdb_append_again(&t);
    }

    /* a clock that was set back does not make append time fall */

    now = ctseg_now_ms();
    m.append_ms = now > m.append_ms ? now : m.append_ms;

    /* what is there already needs no room */

    if (ctseg_lmdb_mark_any(&t, marks, m.append_ms)) {
        return ctseg_lmdb_end(&t, CTSEG_CONFLICT);
    }

    if (ctseg_lmdb_is_above(&t, bytes, db->high_water)) {
        return ctseg_lmdb_end(&t, CTSEG_FULL);
    }

    t.bytes = bytes;
    m.last += count;
    m.commits++;
    m.schema = CTSEG_LMDB_SCHEMA_LOG;

    ctseg_lmdb_number(b, nblocks, m.last, m.append_ms);

    for (i = 0; i < nblocks; i++) {
        ctseg_lmdb_block_store(&t, &b[i]);
        ctseg_lmdb_span_add(&t, &m, &b[i]);
    }

    ctseg_lmdb_mark_insert(&t, marks, m.append_ms);

    if (!known) {
        ctseg_lmdb_producer_prune(&t, &k, m.append_ms);
    }

    p.seq = seq;
    p.last = m.last;
    p.time_ms = m.append_ms;

    ctseg_lmdb_producer_put(&t, &k, &p);
    ctseg_lmdb_log_save(&t, &m);

    rc = ctseg_lmdb_commit(&t);

    if (rc == CTSEG_OK) {
        ctseg_lmdb_pos(last, &m, m.last);
    }

    return rc;
}
