/*
 * Reading the events of a block: those of some kinds, one by one, without a
 * look at the others.  Blocks of all versions.  Pure, any thread; one owner.
 */

#ifndef CTSEG_BLOCK_ITER_H
#define CTSEG_BLOCK_ITER_H


#include "ctseg_block_mem.h"


typedef struct {

    /* what next has found */

    uint64_t              sequence;
    uint64_t              last;

    /* private */

    const ctseg_block_t  *block;
    ctseg_block_mem_t    *mem;
    ctseg_kinds_t         kinds;
    uint64_t              after;
    const char           *directory;
    ctseg_str_t           rest;         /* of version 1 */
    size_t                at;           /* record i in the payload */
    size_t                bytes;
    uint32_t              i;
    uint32_t              n;
    unsigned              got;
    unsigned              taken;
    uint32_t              entry[CTSEG_PEEK_MAX];
    const char           *record[CTSEG_PEEK_MAX];
} ctseg_block_iter_t;


/*
 * Begin: events (after, upto] of b, of these kinds.  CORRUPT: nothing in the
 * block can be told from anything else.  NOMEM.  b and mem are borrowed; mem
 * NULL: the block is read where it is.
 */

ctseg_rc_t ctseg_block_iter(ctseg_block_iter_t *it, const ctseg_block_t *b,
    ctseg_block_mem_t *mem, ctseg_kinds_t kinds, uint64_t after,
    uint64_t upto);

/*
 * The next event.  OK: it is *ev, valid until the next call, and its number
 * it->sequence; those between the last one and it are of other kinds.
 * CORRUPT: the events from it->sequence to it->last do not read; there may be
 * good ones behind them.  NOTFOUND: there are no more.
 */

ctseg_rc_t ctseg_block_next(ctseg_block_iter_t *it, ctseg_event_t *ev);

/* bytes that were read so far, but for the header */

size_t ctseg_block_touched(const ctseg_block_iter_t *it);


#endif /* CTSEG_BLOCK_ITER_H */
