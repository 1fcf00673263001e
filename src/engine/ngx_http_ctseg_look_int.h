/*
 * A look at the exports: what the scheduler and its thread function share.
 * Private to the engine.
 */

#ifndef NGX_HTTP_CTSEG_LOOK_INT_H
#define NGX_HTTP_CTSEG_LOOK_INT_H


#include "../store/ctseg_lease.h"
#include "ngx_http_ctseg_import.h"
#include "ngx_http_ctseg_retry.h"
#include "ngx_http_ctseg_runner.h"


#define NGX_HTTP_CTSEG_AGAIN_MS  5000   /* after an error */
#define NGX_HTTP_CTSEG_CLAIMS    8      /* in one look */
#define NGX_HTTP_CTSEG_NOTES     16
#define NGX_HTTP_CTSEG_START_TRIES  8


typedef struct {
    ngx_http_ctseg_task_t   task;

    /* what the loop tells the thread */

    char                    mine[NGX_HTTP_CTSEG_RUNS_MAX][CTSEG_ID_TEXT_MAX];
    ngx_uint_t              nmine;
    ngx_uint_t              room;       /* runs that may be claimed */

    /* the thread's memory between looks */

    ctseg_lease_watch_t    *watch;
    ctseg_lease_watch_t    *idle;       /* runs without anybody */
    uint64_t                seen_rev;   /* nothing new up to here */
    int64_t                 due_ms;     /* earliest known, INT64_MAX: none */
    unsigned                foreign:1;  /* look again, whatever the revision:
                                           a lease of another is watched */

    int64_t                 quiet_ms;   /* no notes before (monotonic) */

    /* what the thread tells the loop */

    ctseg_run_t             claims[NGX_HTTP_CTSEG_CLAIMS];
    int64_t                 held[NGX_HTTP_CTSEG_CLAIMS];    /* ms that the
                                           write key has to rest yet */
    ngx_uint_t              nclaims;
    char                    notes[NGX_HTTP_CTSEG_NOTES][256];
    ngx_uint_t              nnotes;
    char                    stalled[NGX_HTTP_CTSEG_NOTES][256];
    ngx_uint_t              nstalled;

    ngx_http_ctseg_retry_look_t   retries;
    ngx_http_ctseg_import_look_t  imports;

    /* the thread's scratch */

    char                  (*ids)[CTSEG_ID_TEXT_MAX];
    ngx_uint_t              nids;
    ngx_uint_t              allocated;
    ctseg_export_t          export;
    ctseg_partner_t         partner;
    ctseg_run_t             run;
} ngx_http_ctseg_look_t;


/*
 * Walk the exports that are not final, when there is a reason to; claim what
 * this worker may work on.  Pool thread.
 */

void ngx_http_ctseg_look_thread(ngx_http_ctseg_task_t *task);


#endif /* NGX_HTTP_CTSEG_LOOK_INT_H */
