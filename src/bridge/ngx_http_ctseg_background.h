/*
 * A request without a client: the main request whose subrequest carries a
 * batch to Segment.  No socket, no slot of worker_connections, nothing that
 * nginx would finalize by itself.  One for each batch: several subrequests
 * on one main lose their post handlers when one of them fails.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_BACKGROUND_H
#define NGX_HTTP_CTSEG_BACKGROUND_H


#include "../conf/ngx_http_ctseg_conf.h"


/*
 * A main request in the server that conf_ctx belongs to, with a pool of its
 * own that holds everything.  Its error_log lines end with what the module's
 * context (bridge/ngx_http_ctseg_ctx.h) says of the batch, once it is set.
 * NULL: no memory.
 */

ngx_http_request_t *ngx_http_ctseg_background_create(
    ngx_http_conf_ctx_t *conf_ctx, ngx_str_t *uri, ngx_log_t *log);

/* add a header that the subrequest passes on; value is borrowed */

ngx_int_t ngx_http_ctseg_background_header(ngx_http_request_t *r,
    const char *name, ngx_str_t *value);

/*
 * Frees the request and aborts what it has under way.  Never from a handler
 * of the request or its subrequest: nginx still uses them there.
 */

void ngx_http_ctseg_background_destroy(ngx_http_request_t *r);


#endif /* NGX_HTTP_CTSEG_BACKGROUND_H */
