/*
 * Retention on this worker: removes from the log what is older than
 * retention= and needed by no export.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_RETENTION_H
#define NGX_HTTP_CTSEG_RETENTION_H


#include "../bridge/ngx_http_ctseg_task.h"


/* process hook; NGX_ERROR: no memory */

ngx_int_t ngx_http_ctseg_retention_init(ngx_http_ctseg_worker_t *worker);


#endif /* NGX_HTTP_CTSEG_RETENTION_H */
