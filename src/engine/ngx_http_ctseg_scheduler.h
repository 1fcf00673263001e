/*
 * The scheduler of this worker: finds exports that are due and runs that
 * nobody works on.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_SCHEDULER_H
#define NGX_HTTP_CTSEG_SCHEDULER_H


#include "../bridge/ngx_http_ctseg_task.h"


/* process hook; NGX_ERROR: no memory */

ngx_int_t ngx_http_ctseg_scheduler_init(ngx_http_ctseg_worker_t *worker);


#endif /* NGX_HTTP_CTSEG_SCHEDULER_H */
