/*
 * The flag that stops all workers from writing once the disk has failed one
 * of them.  It lies in shared memory, since a broken disk cannot hold it.
 * Each cycle of nginx has its own, so that the workers of a reload try anew
 * while those before them stay stopped.  Loop only; the flag itself is
 * written by the store on any thread.
 */

#ifndef NGX_HTTP_CTSEG_STOP_H
#define NGX_HTTP_CTSEG_STOP_H


#include <stdatomic.h>

#include "../conf/ngx_http_ctseg_conf.h"


/* postconfiguration: the shared memory, where there is a store */

ngx_int_t ngx_http_ctseg_stop_zone(ngx_conf_t *cf);

/* for ctseg_store_options_t */

atomic_int *ngx_http_ctseg_stop_flag(ngx_http_ctseg_main_conf_t *mcf);

/* say it in the log: once, whichever worker comes first */

void ngx_http_ctseg_stop_tell(ngx_http_ctseg_main_conf_t *mcf,
    ngx_log_t *log);


#endif /* NGX_HTTP_CTSEG_STOP_H */
