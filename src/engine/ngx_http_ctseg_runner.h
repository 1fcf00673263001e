/*
 * Runs on this worker: load, deliver, checkpoint, until the cut is done, the
 * export is stopped or the worker leaves.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_RUNNER_H
#define NGX_HTTP_CTSEG_RUNNER_H


#include "ngx_http_ctseg_load.h"


#define NGX_HTTP_CTSEG_RUNS_MAX  1024   /* on one worker at a time */


/* process hook */

ngx_int_t ngx_http_ctseg_runner_init(ngx_http_ctseg_worker_t *worker);

/*
 * Take over a run that this process owns in the store (run->owner, just
 * put).  The run is copied.  NGX_ERROR: no memory; it will be found again by
 * the scheduler.
 */

ngx_int_t ngx_http_ctseg_runner_start(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run);

/* is this export's run here? */

ngx_uint_t ngx_http_ctseg_runner_has(const char *export_id);

/* names of the exports whose runs are here, at most n of them; how many */

ngx_uint_t ngx_http_ctseg_runner_exports(char (*ids)[CTSEG_ID_TEXT_MAX],
    ngx_uint_t n);

/*
 * Has a run been dropped since the last call because its record could not be
 * saved?  Then the store may not show a change that would make it be found.
 */

ngx_uint_t ngx_http_ctseg_runner_has_lost(void);

/*
 * From the scheduler's timer while the worker is exiting: let go of what
 * waits; with force, also of what is under way.
 */

void ngx_http_ctseg_runner_drain(ngx_uint_t force);

/* every now and then: memory that batches do not need any more */

void ngx_http_ctseg_runner_tidy(void);


#endif /* NGX_HTTP_CTSEG_RUNNER_H */
