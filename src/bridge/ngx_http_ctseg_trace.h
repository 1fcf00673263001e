/*
 * How far a delivery came, step by step, in words for people.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_TRACE_H
#define NGX_HTTP_CTSEG_TRACE_H


#include "../conf/ngx_http_ctseg_conf.h"


#define NGX_HTTP_CTSEG_DETAIL_MAX  256


typedef enum {
    NGX_HTTP_CTSEG_STEP_NONE = 0,       /* not reached, or not there */
    NGX_HTTP_CTSEG_STEP_OK,
    NGX_HTTP_CTSEG_STEP_FAILED
} ngx_http_ctseg_step_e;


typedef struct {
    ngx_http_ctseg_step_e   state;
    ngx_msec_t              ms;
    char                    detail[NGX_HTTP_CTSEG_DETAIL_MAX];
} ngx_http_ctseg_step_t;


typedef struct {
    ngx_http_ctseg_step_t   resolve;    /* detail: the addresses tried */
    ngx_http_ctseg_step_t   connect;    /* with TLS, where there is some */
    ngx_http_ctseg_step_t   post;       /* detail: what came of it */
} ngx_http_ctseg_trace_t;


/*
 * Fill in what is known when the subrequest sr has ended: whether it asked an
 * upstream, rc as its post handler got it, the delivery's verdict (status, or
 * 0 and how), and the ngx_current_msec of its start.  None of nginx's own
 * strings is kept.
 */

void ngx_http_ctseg_trace(ngx_http_ctseg_trace_t *trace,
    ngx_http_request_t *sr, ngx_uint_t asked, ngx_int_t rc,
    ngx_uint_t status, const char *how, ngx_msec_t started);

/* nothing is known but that it ended, and why */

void ngx_http_ctseg_trace_lost(ngx_http_ctseg_trace_t *trace,
    const char *how, ngx_msec_t started);


#endif /* NGX_HTTP_CTSEG_TRACE_H */
