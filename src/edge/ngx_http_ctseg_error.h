/*
 * Errors that nginx itself answers in our locations (413, 403, 429, 400 of a
 * broken body), in the form that our clients read.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_ERROR_H
#define NGX_HTTP_CTSEG_ERROR_H


#include "../conf/ngx_http_ctseg_conf.h"


/* postconfiguration: the filters */

ngx_int_t ngx_http_ctseg_error_init(ngx_conf_t *cf);


#endif /* NGX_HTTP_CTSEG_ERROR_H */
