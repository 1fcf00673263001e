/*
 * One attempt to send one batch: a background request and a subrequest to
 * the internal location of the region.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_DELIVER_H
#define NGX_HTTP_CTSEG_DELIVER_H


#include "ngx_http_ctseg_task.h"
#include "ngx_http_ctseg_trace.h"


#define NGX_HTTP_CTSEG_EXCERPT  512


typedef struct ngx_http_ctseg_delivery_s  ngx_http_ctseg_delivery_t;

/* on the loop, outside any handler of the request; may start another */

typedef void (*ngx_http_ctseg_delivery_pt)(ngx_http_ctseg_delivery_t *d);


struct ngx_http_ctseg_delivery_s {

    /* the caller's; borrowed until the handler is called */

    ngx_http_ctseg_region_t     *region;
    ngx_str_t                    export_id;     /* empty: a test */
    uint64_t                     run;
    ngx_uint_t                   events;
    ngx_uint_t                   attempt;       /* 1 for the first */
    ngx_str_t                    authorization; /* "Basic ..." */
    ngx_str_t                    body;
    ngx_http_ctseg_delivery_pt   handler;
    void                        *data;
    ngx_http_ctseg_trace_t      *trace;         /* filled too; may be NULL */

    /* the verdict */

    ngx_uint_t                   status;        /* 0: no whole answer */
    const char                  *how;           /* why there is none */
    ngx_uint_t                   retry_after;   /* seconds, 0: not said */
    char                         excerpt[NGX_HTTP_CTSEG_EXCERPT];
    size_t                       excerpt_len;   /* of an answer not 2xx */

    /* ours */

    ngx_http_request_t          *main;          /* NULL: not under way */
    ngx_event_t                  event;
    ngx_msec_t                   started;
    unsigned                     answered:1;
};


/* NGX_ERROR: it could not be started, the handler will not be called */

ngx_int_t ngx_http_ctseg_deliver(ngx_http_ctseg_delivery_t *d,
    ngx_log_t *log);

/* end an attempt that may be under way; the handler will not be called */

void ngx_http_ctseg_deliver_abort(ngx_http_ctseg_delivery_t *d);


#endif /* NGX_HTTP_CTSEG_DELIVER_H */
