/*
 * The collect location: takes events in.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_COLLECT_H
#define NGX_HTTP_CTSEG_COLLECT_H


#include "../clevertap/ctseg_refusal.h"
#include "../bridge/ngx_http_ctseg_task.h"


/* why events are not taken: CleverTap's reasons, and those of the store */

typedef enum {
    NGX_HTTP_CTSEG_REFUSED_FULL = CTSEG_REFUSAL_N,
    NGX_HTTP_CTSEG_REFUSED_STORE,
    NGX_HTTP_CTSEG_REFUSED_N
} ngx_http_ctseg_refused_e;


/* setter of "ctseg_collect" */

char *ngx_http_ctseg_collect(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* process hook; NGX_ERROR: no memory */

ngx_int_t ngx_http_ctseg_collect_init(ngx_http_ctseg_worker_t *worker);


#endif /* NGX_HTTP_CTSEG_COLLECT_H */
