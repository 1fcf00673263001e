/*
 * A read copies what it needs into the batch and ends its read transaction
 * before the batch goes anywhere: one that stayed open over a network wait
 * would make the log's file grow.  Blocks that cannot match are passed over
 * by what the store notes of many of them, or by their headers; events that
 * cannot match by the directory of their block.
 */

#include <string.h>

#include "../store/ctseg_block_iter.h"
#include "ctseg_read.h"


typedef struct {
    const ctseg_read_t   *read;
    ctseg_batch_t        *batch;
    ctseg_block_mem_t    *mem;
    ctseg_block_mem_t     own;
    size_t                bytes;
    unsigned              blocks;
    ctseg_latest_look_t   look;
} ctseg_read_walk_t;


/* everything up to a sequence, or to the end of the cut, is of no interest */

static void
ctseg_read_skip(ctseg_read_walk_t *walk, uint64_t last)
{
    if (last > walk->read->hi) {
        last = walk->read->hi;
    }

    if (last > walk->batch->upto) {
        ctseg_batch_skip(walk->batch, last);
    }
}


/*
 * Nothing of what does not read is sent, and the events of the cut that it
 * held count.  One stretch is one place, however many events it has.
 */

static void
ctseg_read_damaged(ctseg_read_walk_t *walk, uint64_t first, uint64_t last)
{
    last = last < walk->read->hi ? last : walk->read->hi;

    if (last > walk->batch->upto) {
        ctseg_batch_damage(walk->batch, first, last);
    }
}


/* the events of a block that are in the cut: the wanted ones one by one */

static ctseg_next_t
ctseg_read_events(ctseg_read_walk_t *walk, const ctseg_block_t *block)
{
    uint64_t             bad, last;
    ctseg_rc_t           rc;
    ctseg_event_t        ev;
    ctseg_batch_t       *batch;
    ctseg_block_iter_t   it;

    batch = walk->batch;

    rc = CTSEG_CORRUPT;

    if (!block->damaged) {
        rc = ctseg_block_iter(&it, block, walk->mem,
                              walk->read->pinned->kinds, batch->upto,
                              walk->read->hi);
    }

    if (rc == CTSEG_NOMEM) {
        batch->rc = rc;
        return CTSEG_UNTAKEN;
    }

    if (rc != CTSEG_OK) {
        ctseg_read_damaged(walk, block->first, ctseg_block_last(block));
        return CTSEG_GO_ON;
    }

    batch->arrived_ms = block->append_ms;
    bad = 0;
    last = 0;

    for ( ;; ) {
        rc = ctseg_block_next(&it, &ev);

        if (bad != 0 && (rc != CTSEG_CORRUPT || it.sequence != last + 1)) {
            ctseg_read_damaged(walk, bad, last);
            bad = 0;
        }

        if (rc == CTSEG_NOTFOUND) {
            break;
        }

        if (rc == CTSEG_CORRUPT) {
            if (bad == 0) {
                ctseg_read_skip(walk, it.sequence - 1);
                bad = it.sequence;
            }

            last = it.last;
            continue;
        }

        ctseg_read_skip(walk, it.sequence - 1);

        if (!ctseg_batch_offer(batch, &ev)) {
            return CTSEG_UNTAKEN;       /* the batch takes no more */
        }
    }

    ctseg_read_skip(walk, ctseg_block_last(block));
    walk->bytes += ctseg_block_touched(&it);

    return CTSEG_GO_ON;
}


static ctseg_next_t
ctseg_read_block(void *data, const ctseg_block_t *block)
{
    ctseg_next_t           next;
    ctseg_read_walk_t     *walk;
    const ctseg_read_t    *read;
    const ctseg_pinned_t  *pinned;

    walk = data;
    read = walk->read;
    pinned = read->pinned;

    if (block->first > read->hi) {
        return CTSEG_UNTAKEN;
    }

    if (!block->damaged
        && !ctseg_block_may_match(block, pinned->kinds, pinned->from_ms,
                                  pinned->to_ms))
    {
        ctseg_read_skip(walk, ctseg_block_last(block));
        next = CTSEG_GO_ON;

    } else {
        next = ctseg_read_events(walk, block);
    }

    if (next == CTSEG_GO_ON
        && (walk->batch->upto >= read->hi
            || walk->bytes >= CTSEG_READ_BYTES
            || ++walk->blocks >= CTSEG_READ_BLOCKS))
    {
        return CTSEG_ENOUGH;
    }

    return next;
}


/* one scan behind what the batch covers already */

static ctseg_rc_t
ctseg_read_scan(ctseg_store_t *s, ctseg_read_walk_t *walk, int64_t deadline,
    ctseg_pos_t *next)
{
    ctseg_rc_t    rc;
    ctseg_pos_t   after;
    ctseg_want_t  want;

    memset(&after, 0, sizeof(ctseg_pos_t));
    after.incarnation = walk->read->incarnation;
    after.sequence = walk->batch->upto;

    want.kinds = walk->read->pinned->kinds;
    want.from_ms = walk->read->pinned->from_ms;
    want.to_ms = walk->read->pinned->to_ms;
    want.mem = walk->mem;

    rc = ctseg_store_scan_for(s, 0, &after, &want, ctseg_read_block, walk,
                              deadline, next);

    /* position 0 is before the first event of any log */

    if ((rc == CTSEG_OK || rc == CTSEG_AGAIN)
        && next->incarnation != walk->read->incarnation)
    {
        rc = CTSEG_TRIMMED;
    }

    return rc;
}


static void
ctseg_read_begin(ctseg_store_t *s, ctseg_read_walk_t *walk)
{
    const ctseg_read_t  *r;

    r = walk->read;

    ctseg_batch_begin(walk->batch, r->pinned, ctseg_store_installation(s),
                      r->write_key, r->after);
    walk->batch->limit = r->limit;

    if (r->latest != NULL) {
        walk->batch->look = ctseg_latest_look;
        walk->batch->look_data = &walk->look;
    }
}


/*
 * The log begins behind "after" now, or is another one: then nothing of this
 * cut is left, and what was read of the new one does not belong to it.
 */

static ctseg_rc_t
ctseg_read_gap(ctseg_store_t *s, ctseg_read_walk_t *walk, int64_t deadline,
    ctseg_pos_t *next)
{
    ctseg_rc_t           rc;
    const ctseg_read_t  *r;

    r = walk->read;

    ctseg_batch_free(walk->batch);
    memset(walk->batch, 0, sizeof(ctseg_batch_t));
    ctseg_read_begin(s, walk);

    if (next->incarnation != r->incarnation || next->sequence >= r->hi) {
        ctseg_batch_expire(walk->batch, r->hi);
        return CTSEG_OK;
    }

    ctseg_batch_expire(walk->batch, next->sequence);

    rc = ctseg_read_scan(s, walk, deadline, next);

    /* still more has gone: the next batch begins with that */

    return rc == CTSEG_TRIMMED ? CTSEG_OK : rc;
}


ctseg_rc_t
ctseg_read_batch(ctseg_store_t *s, const ctseg_read_t *r, int64_t deadline,
    ctseg_batch_t *b, ctseg_err_t *err)
{
    ctseg_rc_t         rc;
    ctseg_pos_t        next;
    ctseg_read_walk_t  walk;

    memset(&walk, 0, sizeof(ctseg_read_walk_t));
    walk.read = r;
    walk.batch = b;
    walk.mem = r->mem != NULL ? r->mem : &walk.own;
    walk.look.latest = r->latest;

    ctseg_read_begin(s, &walk);

    rc = ctseg_read_scan(s, &walk, deadline, &next);

    if (rc == CTSEG_TRIMMED && r->expire) {
        rc = ctseg_read_gap(s, &walk, deadline, &next);
    }

    ctseg_hash_free(&walk.look.hash);
    ctseg_block_mem_free(&walk.own);
    b->look_data = NULL;

    if (rc == CTSEG_TRIMMED) {
        b->upto = r->after;

    } else if (b->rc != CTSEG_OK) {
        rc = b->rc;

    } else if ((rc == CTSEG_OK || rc == CTSEG_AGAIN) && b->upto == r->after) {

        rc = CTSEG_CORRUPT;             /* the log ends inside the cut */
    }

    if (b->upto == r->after) {
        return ctseg_err(err, rc, "reading the log after %llu failed: %s",
                         (unsigned long long) r->after,
                         rc == CTSEG_TRIMMED
                         ? "these events are not there any more"
                         : ctseg_rc_name(rc));
    }

    /* what was read before an error is good, the error comes again */

    ctseg_batch_end(b);

    return b->rc == CTSEG_OK
           ? CTSEG_OK
           : ctseg_err(err, b->rc, "making the batch after %llu failed: %s",
                       (unsigned long long) r->after,
                       ctseg_rc_name(b->rc));
}
