/*
 * An entry of a table is a profile, found by the hash of its ids, and has the
 * message that all its updates up to here make, in the order of the log.  One
 * that would become too large begins anew with the next update: what it was
 * then is sent as well, in its own place, and stands under another hash, with
 * the sequence of its last update in it.
 *
 * A table does not grow, which would hold up a thread for long where there
 * are millions of profiles: a larger one is put beside it, and both are
 * looked through.
 */

#include <string.h>

#include "ctseg_latest.h"
#include "ctseg_read.h"
#include "../base/ctseg_str.h"
#include "../segment/ctseg_identify.h"
#include "../store/ctseg_block_iter.h"


#define CTSEG_LATEST_FIRST  64          /* entries of the first table */
#define CTSEG_LATEST_GROW   4           /* times as many in the next one */
#define CTSEG_LATEST_CHUNK  8           /* entries that are read at once */
#define CTSEG_LATEST_SLACK  48          /* bytes that a message may grow */


typedef struct {
    char      hash[CTSEG_HASH_LEN];
    uint64_t  first;                    /* sequence of its oldest update */
    uint64_t  last;                     /* of its newest; 0: no entry */
    uint64_t  at;                       /* the message */
    uint32_t  len;
    uint32_t  size;                     /* room it has */
} ctseg_latest_entry_t;


/* one job that goes on with an index */

typedef struct {
    ctseg_latest_t     *latest;
    ctseg_encoder_t     enc;
    int64_t             until;
    ctseg_block_mem_t   mem;
    size_t              bytes;
    unsigned            blocks;
    ctseg_buf_t         newer;
    ctseg_buf_t         older;
    ctseg_buf_t         merged;
    ctseg_rc_t          rc;
    ctseg_err_t        *err;
} ctseg_latest_walk_t;


void
ctseg_latest_begin(ctseg_latest_t *l, const char *dir, uint32_t incarnation,
    uint64_t lo, uint64_t hi)
{
    memset(l, 0, sizeof(ctseg_latest_t));

    l->spool.dir = dir;
    l->incarnation = incarnation;
    l->lo = lo;
    l->hi = hi;
    l->upto = lo;
}


static void
ctseg_latest_empty(ctseg_latest_t *l)
{
    ctseg_spool_free(&l->spool);

    l->ntables = 0;
    l->merged = 0;
    l->upto = l->lo;
}


void
ctseg_latest_close(ctseg_latest_t *l)
{
    l->hi = l->upto;
    l->complete = true;
}


void
ctseg_latest_free(ctseg_latest_t *l)
{
    ctseg_spool_free(&l->spool);
    ctseg_hash_free(&l->hash);
}


/* ---- tables ---- */


/* of a profile, or of one up to an update that was sent by itself */

static ctseg_rc_t
ctseg_latest_hash(ctseg_hash_t *h, ctseg_str_t who, uint64_t sequence,
    char out[CTSEG_HASH_LEN])
{
    unsigned     n;
    ctseg_str_t  parts[2];

    n = 1;
    parts[0] = who;

    if (sequence != 0) {
        parts[n].data = (const char *) &sequence;
        parts[n++].len = sizeof(sequence);
    }

    return ctseg_hash(h, parts, n, out) ? CTSEG_OK : CTSEG_NOMEM;
}


/* the entry of this hash, or the empty one in its place: *place */

static ctseg_rc_t
ctseg_latest_probe(const ctseg_latest_t *l, const ctseg_latest_table_t *table,
    const char *hash, ctseg_latest_entry_t *e, uint64_t *place,
    ctseg_err_t *err)
{
    uint64_t              i, n, left;
    ctseg_rc_t            rc;
    ctseg_latest_entry_t  chunk[CTSEG_LATEST_CHUNK];

    memcpy(&i, hash, sizeof(i));
    i &= table->size - 1;

    /* a table is half empty, so this ends */

    for ( ;; i = (i + n) & (table->size - 1)) {

        left = table->size - i;
        n = left < CTSEG_LATEST_CHUNK ? left : CTSEG_LATEST_CHUNK;

        rc = ctseg_spool_read(&l->spool, table->at + i * sizeof(*e), chunk,
                              (size_t) n * sizeof(*e), err);
        if (rc != CTSEG_OK) {
            return rc;
        }

        for (left = 0; left < n; left++) {
            *e = chunk[left];

            if (e->last == 0 || memcmp(e->hash, hash, CTSEG_HASH_LEN) == 0) {
                *place = table->at + (i + left) * sizeof(*e);
                return CTSEG_OK;
            }
        }
    }
}


/* NOTFOUND */

static ctseg_rc_t
ctseg_latest_find(const ctseg_latest_t *l, const char *hash,
    ctseg_latest_entry_t *e, uint64_t *place, ctseg_err_t *err)
{
    unsigned    i;
    ctseg_rc_t  rc;

    for (i = l->ntables; i != 0; i--) {

        rc = ctseg_latest_probe(l, &l->tables[i - 1], hash, e, place, err);

        if (rc != CTSEG_OK || e->last != 0) {
            return rc;
        }
    }

    return CTSEG_NOTFOUND;
}


/* one whose hash is not there yet */

static ctseg_rc_t
ctseg_latest_insert(ctseg_latest_t *l, const ctseg_latest_entry_t *e,
    ctseg_err_t *err)
{
    uint64_t               place;
    ctseg_rc_t             rc;
    ctseg_latest_entry_t   old;
    ctseg_latest_table_t  *table;

    table = l->ntables == 0 ? NULL : &l->tables[l->ntables - 1];

    if (table == NULL || table->n * 2 >= table->size) {

        if (l->ntables == CTSEG_LATEST_TABLES) {
            return ctseg_err(err, CTSEG_FULL, "too many profiles");
        }

        table = &l->tables[l->ntables];
        table->n = 0;
        table->size = l->ntables == 0
                      ? CTSEG_LATEST_FIRST
                      : l->tables[l->ntables - 1].size * CTSEG_LATEST_GROW;

        rc = ctseg_spool_alloc(&l->spool, table->size * sizeof(*e),
                               &table->at, err);
        if (rc != CTSEG_OK) {
            return rc;
        }

        l->ntables++;
    }

    rc = ctseg_latest_probe(l, table, e->hash, &old, &place, err);

    if (rc == CTSEG_OK) {
        table->n++;
        rc = ctseg_spool_write(&l->spool, place, e, sizeof(*e), err);
    }

    return rc;
}


/* ---- making it ---- */


/* the message of an entry, where it lies when there is room */

static ctseg_rc_t
ctseg_latest_store(ctseg_latest_walk_t *walk, ctseg_latest_entry_t *e,
    ctseg_str_t message)
{
    ctseg_rc_t       rc;
    ctseg_latest_t  *l;

    l = walk->latest;

    if (message.len > e->size) {

        /* one that has grown will grow again */

        e->size = (uint32_t) (e->size == 0
                              ? message.len + CTSEG_LATEST_SLACK
                              : message.len + message.len / 2);

        rc = ctseg_spool_alloc(&l->spool, e->size, &e->at, walk->err);
        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    e->len = (uint32_t) message.len;

    return ctseg_spool_write(&l->spool, e->at, message.data, message.len,
                             walk->err);
}


/* the message of an entry, appended */

static ctseg_rc_t
ctseg_latest_message(const ctseg_latest_t *l, const ctseg_latest_entry_t *e,
    ctseg_buf_t *out, ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    ctseg_buf_reserve(out, e->len);

    if (out->failed) {
        return ctseg_err(err, CTSEG_NOMEM, "out of memory");
    }

    rc = ctseg_spool_read(&l->spool, e->at, out->data + out->len, e->len,
                          err);
    if (rc == CTSEG_OK) {
        out->len += e->len;
    }

    return rc;
}


/* the profile is known: what it was, and the update */

static ctseg_rc_t
ctseg_latest_merge(ctseg_latest_walk_t *walk, ctseg_latest_entry_t *e,
    uint64_t sequence, ctseg_str_t who)
{
    ctseg_rc_t            rc;
    ctseg_latest_t       *l;
    ctseg_latest_entry_t  closed;

    l = walk->latest;

    ctseg_buf_reset(&walk->older);
    ctseg_buf_reset(&walk->merged);

    rc = ctseg_latest_message(l, e, &walk->older, walk->err);

    if (rc == CTSEG_OK) {
        rc = ctseg_identify_merge(&walk->merged, &walk->enc,
                                  ctseg_buf_slice(&walk->older),
                                  ctseg_buf_slice(&walk->newer), e->first);
    }

    if (rc == CTSEG_OK) {
        l->merged++;
        e->last = sequence;
        return ctseg_latest_store(walk, e, ctseg_buf_slice(&walk->merged));
    }

    if (rc != CTSEG_INVALID) {
        return rc;
    }

    /* both together are too large for a message: so they are two */

    closed = *e;
    rc = ctseg_latest_hash(&l->hash, who, e->last, closed.hash);

    if (rc == CTSEG_OK) {
        rc = ctseg_latest_insert(l, &closed, walk->err);
    }

    if (rc == CTSEG_OK) {
        e->first = sequence;
        e->last = sequence;
        e->size = 0;
        rc = ctseg_latest_store(walk, e, ctseg_buf_slice(&walk->newer));
    }

    return rc;
}


static ctseg_rc_t
ctseg_latest_add(ctseg_latest_walk_t *walk, uint64_t sequence,
    const ctseg_event_t *ev)
{
    uint64_t              place;
    ctseg_rc_t            rc;
    ctseg_str_t           who;
    ctseg_latest_t       *l;
    ctseg_reject_t        why;
    ctseg_latest_entry_t  e;
    char                  hash[CTSEG_HASH_LEN];

    l = walk->latest;

    ctseg_buf_reset(&walk->newer);

    rc = ctseg_message_encode(&walk->newer, &walk->enc, sequence, ev, &why);

    if (rc != CTSEG_OK) {
        return rc == CTSEG_INVALID ? CTSEG_OK : rc;     /* of no message */
    }

    who = ctseg_identify_who(&walk->enc, ctseg_buf_slice(&walk->newer));
    rc = ctseg_latest_hash(&l->hash, who, 0, hash);

    if (rc == CTSEG_OK) {
        rc = ctseg_latest_find(l, hash, &e, &place, walk->err);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_latest_merge(walk, &e, sequence, who);

        return rc == CTSEG_OK ? ctseg_spool_write(&l->spool, place, &e,
                                                  sizeof(e), walk->err)
                              : rc;
    }

    if (rc != CTSEG_NOTFOUND) {
        return rc;
    }

    memset(&e, 0, sizeof(e));
    memcpy(e.hash, hash, sizeof(e.hash));
    e.first = sequence;
    e.last = sequence;

    rc = ctseg_latest_store(walk, &e, ctseg_buf_slice(&walk->newer));

    return rc == CTSEG_OK ? ctseg_latest_insert(l, &e, walk->err) : rc;
}


/* the updates of a block; what does not read is passed over as by a run */

static void
ctseg_latest_events(ctseg_latest_walk_t *walk, const ctseg_block_t *block)
{
    ctseg_rc_t             rc;
    ctseg_event_t          ev, clamped;
    ctseg_latest_t        *l;
    const ctseg_event_t   *sent;
    const ctseg_pinned_t  *pinned;
    ctseg_block_iter_t     it;

    l = walk->latest;
    pinned = walk->enc.pinned;

    if (block->damaged) {
        return;
    }

    rc = ctseg_block_iter(&it, block, &walk->mem, pinned->kinds, l->upto,
                          l->hi);

    if (rc != CTSEG_OK) {
        walk->rc = rc == CTSEG_NOMEM ? rc : CTSEG_OK;
        return;
    }

    for ( ;; ) {
        rc = ctseg_block_next(&it, &ev);

        if (rc == CTSEG_NOTFOUND) {
            break;
        }

        if (rc != CTSEG_OK || !ctseg_message_wanted(pinned, &ev)) {
            continue;
        }

        sent = ctseg_message_clamp(pinned, &ev, block->append_ms, &clamped);

        if (sent == NULL) {
            continue;                   /* rejected by the run */
        }

        walk->rc = ctseg_latest_add(walk, it.sequence, sent);

        if (walk->rc != CTSEG_OK) {
            return;
        }
    }

    walk->bytes += ctseg_block_touched(&it);
}


static ctseg_next_t
ctseg_latest_block(void *data, const ctseg_block_t *block)
{
    uint64_t                last;
    ctseg_latest_t         *l;
    ctseg_latest_walk_t    *walk;
    const ctseg_pinned_t   *pinned;

    walk = data;
    l = walk->latest;
    pinned = walk->enc.pinned;

    if (block->first > l->hi) {
        return CTSEG_UNTAKEN;
    }

    if (block->damaged
        || ctseg_block_may_match(block, pinned->kinds, pinned->from_ms,
                                 pinned->to_ms))
    {
        ctseg_latest_events(walk, block);

        if (walk->rc != CTSEG_OK) {
            return CTSEG_UNTAKEN;
        }
    }

    last = ctseg_block_last(block);
    l->upto = last < l->hi ? last : l->hi;

    return l->upto >= l->hi
           || walk->bytes >= CTSEG_READ_BYTES
           || ++walk->blocks >= CTSEG_READ_BLOCKS
           || ctseg_mono_ms() >= walk->until
           ? CTSEG_ENOUGH : CTSEG_GO_ON;
}


/* one scan behind what is in it already */

static ctseg_rc_t
ctseg_latest_scan(ctseg_latest_walk_t *walk, ctseg_store_t *s,
    int64_t deadline)
{
    ctseg_rc_t       rc;
    ctseg_pos_t      after, next;
    ctseg_want_t     want;
    ctseg_latest_t  *l;

    l = walk->latest;

    memset(&after, 0, sizeof(ctseg_pos_t));
    after.incarnation = l->incarnation;
    after.sequence = l->upto;

    want.kinds = walk->enc.pinned->kinds;
    want.from_ms = walk->enc.pinned->from_ms;
    want.to_ms = walk->enc.pinned->to_ms;
    want.mem = &walk->mem;

    rc = ctseg_store_scan_for(s, 0, &after, &want, ctseg_latest_block, walk,
                              deadline, &next);

    if (walk->rc != CTSEG_OK) {
        return walk->rc;
    }

    if (rc != CTSEG_OK && rc != CTSEG_AGAIN && rc != CTSEG_TRIMMED) {
        return ctseg_err(walk->err, rc, "reading the log after %llu failed: "
                         "%s", (unsigned long long) l->upto,
                         ctseg_rc_name(rc));
    }

    if (next.incarnation != l->incarnation) {

        /* the log was made anew, and what was cut is gone */

        ctseg_latest_empty(l);
        l->upto = l->hi;

    } else if (rc == CTSEG_AGAIN) {
        l->upto = l->hi;

    } else if (rc == CTSEG_TRIMMED && next.sequence > l->upto) {
        l->upto = next.sequence < l->hi ? next.sequence : l->hi;
    }

    l->complete = l->upto >= l->hi;

    return l->complete ? CTSEG_OK : CTSEG_AGAIN;
}


ctseg_rc_t
ctseg_latest_step(ctseg_latest_t *l, ctseg_store_t *s,
    const ctseg_pinned_t *pinned, int64_t until, int64_t deadline,
    ctseg_err_t *err)
{
    ctseg_rc_t           rc;
    ctseg_latest_walk_t  walk;

    if (l->complete || l->upto >= l->hi) {
        l->complete = true;
        return CTSEG_OK;
    }

    memset(&walk, 0, sizeof(ctseg_latest_walk_t));
    walk.latest = l;
    walk.until = until;
    walk.err = err;

    ctseg_encoder_init(&walk.enc, pinned, ctseg_store_installation(s));

    rc = ctseg_latest_scan(&walk, s, deadline);

    /* a block was taken by half */

    if (walk.rc != CTSEG_OK) {
        ctseg_latest_empty(l);

        if (rc == CTSEG_NOMEM) {
            (void) ctseg_err(err, rc, "out of memory");
        }
    }

    ctseg_buf_free(&walk.newer);
    ctseg_buf_free(&walk.older);
    ctseg_buf_free(&walk.merged);
    ctseg_block_mem_free(&walk.mem);

    return rc;
}


/* ---- using it ---- */


/* the last update of a profile is the message of all; NOTFOUND: an older */

static ctseg_rc_t
ctseg_latest_is(const ctseg_latest_t *l, const ctseg_latest_entry_t *e,
    uint64_t sequence, ctseg_buf_t *out)
{
    if (sequence != e->last) {
        return CTSEG_NOTFOUND;
    }

    return e->first == e->last ? CTSEG_OK
                               : ctseg_latest_message(l, e, out, NULL);
}


ctseg_rc_t
ctseg_latest_look(void *data, const ctseg_encoder_t *enc, uint64_t sequence,
    ctseg_str_t message, ctseg_buf_t *out)
{
    uint64_t              place;
    ctseg_rc_t            rc;
    ctseg_str_t           who;
    ctseg_latest_look_t  *look;
    ctseg_latest_entry_t  e;
    char                  hash[CTSEG_HASH_LEN];

    look = data;

    who = ctseg_identify_who(enc, message);
    rc = ctseg_latest_hash(&look->hash, who, 0, hash);

    if (rc == CTSEG_OK) {
        rc = ctseg_latest_find(look->latest, hash, &e, &place, NULL);
    }

    /* what the index has never seen is in no other message */

    if (rc == CTSEG_NOTFOUND || (rc == CTSEG_OK && sequence > e.last)) {
        return CTSEG_OK;
    }

    if (rc != CTSEG_OK) {
        return rc;
    }

    if (sequence < e.first) {
        rc = ctseg_latest_hash(&look->hash, who, sequence, hash);

        if (rc == CTSEG_OK) {
            rc = ctseg_latest_find(look->latest, hash, &e, &place, NULL);
        }

        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    return ctseg_latest_is(look->latest, &e, sequence, out);
}
