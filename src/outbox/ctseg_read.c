/*
 * A read copies what it needs into the batch and ends its read transaction
 * before the batch goes anywhere: one that stayed open over a network wait
 * would make the log's file grow.  Blocks that cannot match are passed over
 * by their headers.
 */

#include <string.h>

#include "ctseg_read.h"


typedef struct {
    const ctseg_read_t   *read;
    ctseg_batch_t        *batch;
    size_t                bytes;
    unsigned              blocks;
    ctseg_latest_look_t   look;
} ctseg_read_walk_t;


/*
 * Nothing of a block that does not read is sent, and the events of the cut
 * that it held count.  What is good in front of an event that does not decode
 * has its verdict already.
 */

static ctseg_next_t
ctseg_read_damaged(ctseg_read_walk_t *walk, const ctseg_block_t *block)
{
    uint64_t  last;

    last = ctseg_block_last(block);
    last = last < walk->read->hi ? last : walk->read->hi;

    if (last > walk->batch->upto) {
        ctseg_batch_damage(walk->batch, block->first, last);
    }

    return CTSEG_GO_ON;
}


/* the events of a block that are in the cut, one by one */

static ctseg_next_t
ctseg_read_events(ctseg_read_walk_t *walk, const ctseg_block_t *block)
{
    uint64_t       sequence;
    ctseg_str_t    rest;
    ctseg_event_t  ev;

    if (block->damaged || ctseg_block_verify(block) != CTSEG_OK) {
        return ctseg_read_damaged(walk, block);
    }

    rest = block->payload;
    walk->batch->arrived_ms = block->append_ms;

    for (sequence = block->first; sequence <= ctseg_block_last(block);
         sequence++)
    {
        if (sequence > walk->read->hi) {
            return CTSEG_ENOUGH;
        }

        if (ctseg_event_decode(&rest, &ev) != CTSEG_OK) {
            return ctseg_read_damaged(walk, block);
        }

        if (sequence <= walk->batch->upto) {
            continue;
        }

        if (!ctseg_batch_offer(walk->batch, &ev)) {
            return CTSEG_UNTAKEN;       /* the batch takes no more */
        }
    }

    return CTSEG_GO_ON;
}


static ctseg_next_t
ctseg_read_block(void *data, const ctseg_block_t *block)
{
    uint64_t               last;
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
        last = ctseg_block_last(block);
        ctseg_batch_skip(walk->batch, last < read->hi ? last : read->hi);
        next = CTSEG_GO_ON;

    } else {
        walk->bytes += block->payload.len;
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
    ctseg_rc_t   rc;
    ctseg_pos_t  after;

    memset(&after, 0, sizeof(ctseg_pos_t));
    after.incarnation = walk->read->incarnation;
    after.sequence = walk->batch->upto;

    rc = ctseg_store_scan(s, 0, &after, ctseg_read_block, walk, deadline,
                          next);

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
    walk.look.latest = r->latest;

    ctseg_read_begin(s, &walk);

    rc = ctseg_read_scan(s, &walk, deadline, &next);

    if (rc == CTSEG_TRIMMED && r->expire) {
        rc = ctseg_read_gap(s, &walk, deadline, &next);
    }

    ctseg_hash_free(&walk.look.hash);
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
