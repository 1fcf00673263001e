/*
 * Reading the log in batches: the events of a cut, each with its verdict,
 * those that are wanted as messages.  Pool threads.
 */

#ifndef CTSEG_READ_H
#define CTSEG_READ_H


#include "../segment/ctseg_batch.h"
#include "../store/ctseg_block_mem.h"
#include "../store/ctseg_store.h"
#include "ctseg_latest.h"


/* bytes of the log that one read may touch, and headers it may look at */

#define CTSEG_READ_BYTES   (64 * 1024 * 1024)
#define CTSEG_READ_BLOCKS  65536


typedef struct {
    const ctseg_pinned_t  *pinned;
    const char            *write_key;
    uint32_t               incarnation; /* of the log that is cut */
    uint64_t               after;       /* read (after, hi], as much of it */
    uint64_t               hi;          /* as one batch takes */
    unsigned               limit;       /* messages at most; 0: no other
                                           limit than Segment's */
    bool                   expire;      /* count what is gone */
    const ctseg_latest_t  *latest;      /* of profiles, complete, of the cut
                                           of the run; NULL: their updates are
                                           put together in each batch */
    ctseg_block_mem_t     *mem;         /* nobody else has it meanwhile; NULL:
                                           it is allocated and freed */
} ctseg_read_t;


/*
 * The next batch into b (zeroed by the caller, freed by it in any case).  OK:
 * it is whole, covers (after, b->upto], and may hold no event.  TRIMMED: the
 * events are gone; with r->expire they are counted instead, in front of what
 * follows them, which is as it would be without.  What is damaged, a block or
 * an event of it, is passed over: the events in the cut count as such, and b
 * names the place.  CORRUPT: the log ends before hi.  Where a batch ends
 * depends on the log, the cut and the pinned settings, and on nothing else.
 * r and what it points to are borrowed until b is freed.
 */

ctseg_rc_t ctseg_read_batch(ctseg_store_t *s, const ctseg_read_t *r,
    int64_t deadline, ctseg_batch_t *b, ctseg_err_t *err);


#endif /* CTSEG_READ_H */
