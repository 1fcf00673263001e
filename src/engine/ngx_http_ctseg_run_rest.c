/*
 * Exports of what is past give way.  While nginx serves requests, reading and
 * encoding takes a thirtieth of a processor from them on each worker (sending
 * takes as much again), and not all that there is; where nobody else is served
 * they go on as fast as they can.  Live runs are kept from none of it, since
 * what they send is what comes in.
 */

#include "../bridge/ngx_http_ctseg_count.h"
#include "ngx_http_ctseg_run_int.h"


#define NGX_HTTP_CTSEG_REST_WITHIN  100     /* ms since the last request */
#define NGX_HTTP_CTSEG_REST_TIMES   29      /* as long as the work took */
#define NGX_HTTP_CTSEG_REST_MOST    100000  /* us */


/* of all runs of this worker together */

static int64_t  ngx_http_ctseg_rest_until;  /* us of ctseg_mono_us() */


void
ngx_http_ctseg_run_worked(ngx_http_ctseg_run_t *run, int64_t us)
{
    int64_t  now, rest;

    if (run->live || us <= 0) {
        return;
    }

    now = ctseg_mono_us();
    rest = ngx_min(us * NGX_HTTP_CTSEG_REST_TIMES, NGX_HTTP_CTSEG_REST_MOST);

    ngx_http_ctseg_rest_until = ngx_max(now, ngx_http_ctseg_rest_until) + rest;
}


ngx_uint_t
ngx_http_ctseg_run_rests(ngx_http_ctseg_run_t *run)
{
    int64_t  us;

    if (run->live) {
        return 0;
    }

    us = ngx_http_ctseg_rest_until - ctseg_mono_us();

    if (us <= 0 || !ngx_http_ctseg_has_traffic(NGX_HTTP_CTSEG_REST_WITHIN)) {
        return 0;
    }

    /* an end between two milliseconds is met in the one before */

    us = ngx_min(us, NGX_HTTP_CTSEG_REST_MOST);

    if (us < 1000) {
        return 0;
    }

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, run->worker->log, 0,
                   "ctseg: export %V rests for %L us", &run->export_id, us);

    if (!run->pace.timer_set) {
        ngx_add_timer(&run->pace, (ngx_msec_t) us / 1000);
    }

    return 1;
}
