/*
 * Imports on this worker: pulls of history from CleverTap, one at a time on
 * a worker, and one at a time of an account.  Loop only, but for the look.
 */

#ifndef NGX_HTTP_CTSEG_IMPORT_H
#define NGX_HTTP_CTSEG_IMPORT_H


#include "../store/ctseg_lease.h"
#include "../store/ctseg_state_import.h"
#include "../bridge/ngx_http_ctseg_task.h"


/* is there room here, and what was claimed: between loop and thread */

typedef struct {
    unsigned        busy:1;             /* this worker has one */
    unsigned        claimed:1;
    unsigned        again:1;            /* look again, whatever the revision:
                                           there is one that others have, or
                                           that has no room here */
    ctseg_import_t  claim;
} ngx_http_ctseg_import_look_t;


/* process hooks; NGX_ERROR: no memory */

ngx_int_t ngx_http_ctseg_import_init(ngx_http_ctseg_worker_t *worker);
void ngx_http_ctseg_import_exit(void);

/* before and after a look; start takes over what was claimed */

void ngx_http_ctseg_import_prepare(ngx_http_ctseg_import_look_t *look);
void ngx_http_ctseg_import_start(ngx_http_ctseg_worker_t *worker,
    ngx_http_ctseg_import_look_t *look);

/*
 * Claim the first that nobody works on, and tidy up behind those that were
 * stopped.  Pool thread.
 */

ctseg_rc_t ngx_http_ctseg_import_look_thread(ngx_http_ctseg_worker_t *worker,
    ngx_http_ctseg_import_look_t *look, ctseg_lease_watch_t *watch,
    ctseg_err_t *err);

/*
 * From the scheduler's timer while the worker is exiting: let go of the one
 * that waits.  A request that is under way sees by itself that the worker
 * exits.
 */

void ngx_http_ctseg_import_drain(void);


#endif /* NGX_HTTP_CTSEG_IMPORT_H */
