/*
 * What a request carries for the module's variables.  A client's request has
 * "collected", the synthetic request of a batch has the rest.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_CTX_H
#define NGX_HTTP_CTSEG_CTX_H


#include "../conf/ngx_http_ctseg_conf.h"


typedef struct {
    ngx_uint_t   collected;         /* events taken from this request */
    unsigned     is_collect:1;

    unsigned     is_batch:1;
    ngx_str_t    export_id;
    uint64_t     run;
    ngx_uint_t   batch_events;
    ngx_uint_t   attempt;           /* 1 for the first */
    ngx_str_t    authorization;     /* secret: Basic and the write key */
} ngx_http_ctseg_ctx_t;


#endif /* NGX_HTTP_CTSEG_CTX_H */
