/*
 * The latest state of each profile in a cut of the log: which of its updates
 * is the last one, and what all of them say together.  It is made once for a
 * run that is not live, before its first batch, and again by whoever takes
 * the run over: it depends on the log, the cut and the pinned settings, and
 * on nothing else.  Pool threads.
 */

#ifndef CTSEG_LATEST_H
#define CTSEG_LATEST_H


#include "../base/ctseg_hash.h"
#include "../segment/ctseg_batch.h"
#include "../store/ctseg_store.h"
#include "ctseg_spool.h"


#define CTSEG_LATEST_TABLES  16


/* a table of profiles; one that is half full gets a larger one beside it */

typedef struct {
    uint64_t  at;
    uint64_t  size;                     /* entries, a power of two */
    uint64_t  n;                        /* of them in use */
} ctseg_latest_table_t;


typedef struct {
    uint32_t              incarnation;  /* of the log that is cut */
    uint64_t              lo;           /* (lo, hi] of it */
    uint64_t              hi;
    uint64_t              upto;         /* (lo, upto] is in it */
    bool                  complete;
    uint64_t              merged;       /* updates that a later one includes */
    ctseg_spool_t         spool;
    ctseg_latest_table_t  tables[CTSEG_LATEST_TABLES];
    unsigned              ntables;
    ctseg_hash_t          hash;
} ctseg_latest_t;


/* nothing is in it yet; dir, borrowed, is where a temporary file may be */

void ctseg_latest_begin(ctseg_latest_t *l, const char *dir,
    uint32_t incarnation, uint64_t lo, uint64_t hi);

/*
 * Read on: OK, it is complete.  AGAIN: not yet; "until" has passed or as much
 * was read as one job may.  Else an error of the store, the disk or memory:
 * it may be tried again, from the start where that has to be.  What is gone
 * from the log, or damaged, is passed over.
 */

ctseg_rc_t ctseg_latest_step(ctseg_latest_t *l, ctseg_store_t *s,
    const ctseg_pinned_t *pinned, int64_t until, int64_t deadline,
    ctseg_err_t *err);

/* as if the cut ended where it has been read up to */

void ctseg_latest_close(ctseg_latest_t *l);

void ctseg_latest_free(ctseg_latest_t *l);


/* what one batch has of an index that is complete; see ctseg_batch_look_pt */

typedef struct {
    const ctseg_latest_t  *latest;
    ctseg_hash_t           hash;        /* the caller frees it */
} ctseg_latest_look_t;

ctseg_rc_t ctseg_latest_look(void *data, const ctseg_encoder_t *enc,
    uint64_t sequence, ctseg_str_t message, ctseg_buf_t *out);


#endif /* CTSEG_LATEST_H */
