/*
 * The memory of bodies that were sent, for the next batches.  Loop only: a
 * buffer travels to a thread and back in its job.
 */

#ifndef NGX_HTTP_CTSEG_BODIES_H
#define NGX_HTTP_CTSEG_BODIES_H


#include "../segment/ctseg_batch.h"


/* memory of one that is not needed any more, if there is one; b is zeroed */

void ngx_http_ctseg_bodies_take(ctseg_buf_t *b);

/* the body of b is not needed any more: frees the batch, and zeroes it */

void ngx_http_ctseg_bodies_give(ctseg_batch_t *b);

/* called every now and then: what was not needed for a while goes */

void ngx_http_ctseg_bodies_tidy(void);


#endif /* NGX_HTTP_CTSEG_BODIES_H */
