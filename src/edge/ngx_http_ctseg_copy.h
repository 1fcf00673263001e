/*
 * Copies of requests by "mirror".  nginx holds the client's connection until
 * the copy's request is over, so it is over at once: what is collected owns
 * all it needs, and nobody waits for its answer.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_COPY_H
#define NGX_HTTP_CTSEG_COPY_H


#include "ngx_http_ctseg_group.h"


static ngx_inline ngx_uint_t
ngx_http_ctseg_is_copy(ngx_http_request_t *r)
{
    return r->background;
}


/*
 * Let go of the request: from now on the item has none.  NGX_DECLINED: too
 * much lies in files, the request and its answer are still the caller's.
 */

ngx_int_t ngx_http_ctseg_copy_detach(ngx_http_ctseg_item_t *item);

/* in the place of an answer, and when the item is freed */

void ngx_http_ctseg_copy_done(ngx_http_ctseg_item_t *item);
void ngx_http_ctseg_copy_free(ngx_http_ctseg_item_t *item);

/* a copy was not taken, and nobody will send it again: why is told to the log
   once a minute */

void ngx_http_ctseg_copy_lost(ctseg_str_t why);


#endif /* NGX_HTTP_CTSEG_COPY_H */
