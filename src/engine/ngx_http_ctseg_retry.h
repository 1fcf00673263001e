/*
 * Redeliveries on this worker: the events of an export that Segment refused,
 * sent once more, one at a time.  Loop only, but for the look.
 */

#ifndef NGX_HTTP_CTSEG_RETRY_H
#define NGX_HTTP_CTSEG_RETRY_H


#include "../store/ctseg_lease.h"
#include "../store/ctseg_state.h"
#include "../bridge/ngx_http_ctseg_task.h"


#define NGX_HTTP_CTSEG_RETRIES_MAX  8   /* on one worker at a time */


/* which of them are here, and which were claimed: between loop and thread */

typedef struct {
    char            mine[NGX_HTTP_CTSEG_RETRIES_MAX][CTSEG_ID_TEXT_MAX];
    ngx_uint_t      nmine;

    ctseg_retry_t   claims[NGX_HTTP_CTSEG_RETRIES_MAX];
    ngx_uint_t      nclaims;
    unsigned        again:1;            /* look again, whatever the revision:
                                           there is one that others have, or
                                           that has no room here */
} ngx_http_ctseg_retry_look_t;


/* process hook */

void ngx_http_ctseg_retry_init(void);

/* before and after a look; start takes over what was claimed */

void ngx_http_ctseg_retry_prepare(ngx_http_ctseg_retry_look_t *look);
void ngx_http_ctseg_retry_start(ngx_http_ctseg_worker_t *worker,
    ngx_http_ctseg_retry_look_t *look);

/* claim those that nobody works on.  Pool thread. */

ctseg_rc_t ngx_http_ctseg_retry_look_thread(ngx_http_ctseg_worker_t *worker,
    ngx_http_ctseg_retry_look_t *look, ctseg_lease_watch_t *watch,
    ctseg_err_t *err);

/*
 * From the scheduler's timer while the worker is exiting: let go of those
 * that wait; with force, also of what is under way.
 */

void ngx_http_ctseg_retry_drain(ngx_uint_t force);


#endif /* NGX_HTTP_CTSEG_RETRY_H */
