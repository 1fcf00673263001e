/*
 * The memory of bodies that were sent, for the next batches.  Any thread, one
 * owner at a time; no clock.
 */

#ifndef CTSEG_BODIES_H
#define CTSEG_BODIES_H


#include "ctseg_batch.h"


#define CTSEG_BODIES_MAX      4         /* that are kept */
#define CTSEG_BODIES_IDLE_MS  2000


/* zeroed: empty */

typedef struct {
    ctseg_buf_t  body[CTSEG_BODIES_MAX];
    unsigned     n;
    unsigned     least;                 /* so many were here all the while */
    int64_t      since_ms;
} ctseg_bodies_t;


/* memory for the body of a batch, if there is some; b is zeroed */

void ctseg_bodies_take(ctseg_bodies_t *bodies, ctseg_batch_t *b);

/* the batch is not needed any more: it is freed, and zeroed */

void ctseg_bodies_give(ctseg_bodies_t *bodies, ctseg_batch_t *b);

/*
 * To be called every now and then: what was not taken for CTSEG_BODIES_IDLE_MS
 * is given back to the kernel.  now_ms is monotonic.
 */

void ctseg_bodies_tidy(ctseg_bodies_t *bodies, int64_t now_ms);


#endif /* CTSEG_BODIES_H */
