/*
 * The token buckets of the write keys in use on this worker.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_RATE_H
#define NGX_HTTP_CTSEG_RATE_H


#include "../segment/ctseg_rate.h"
#include "../bridge/ngx_http_ctseg_task.h"


/* process hook */

void ngx_http_ctseg_rate_init(void);

/*
 * The bucket of a write key by its fingerprint, shared by all runs of this
 * worker that use the key; never NULL, valid until the process exits.
 */

ctseg_rate_t *ngx_http_ctseg_rate(const char *fingerprint);


#endif /* NGX_HTTP_CTSEG_RATE_H */
