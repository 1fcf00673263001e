/*
 * The token buckets of the write keys in use, shared by all workers, and by
 * the old and the new ones during a reload.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_RATE_H
#define NGX_HTTP_CTSEG_RATE_H


#include "../model/ctseg_run.h"
#include "../bridge/ngx_http_ctseg_task.h"


/* postconfiguration: the shared memory, where there is a store */

ngx_int_t ngx_http_ctseg_rate_zone(ngx_conf_t *cf);

/*
 * Ask to send a batch of n events of a run with its write key, named by the
 * fingerprint, to a region with these rates.  0: do; else how many
 * milliseconds to wait.
 */

ngx_msec_t ngx_http_ctseg_rate_take(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run, ngx_http_ctseg_region_t *region, ngx_uint_t n);


/*
 * Nothing goes out under the write key of the run for so many milliseconds,
 * from any worker; paused: and then one batch at a time, until one is
 * acknowledged.
 */

void ngx_http_ctseg_rate_hold(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run, int64_t ms, ngx_uint_t paused);

/* a batch of the run was acknowledged */

void ngx_http_ctseg_rate_sent(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run);


#endif /* NGX_HTTP_CTSEG_RATE_H */
