/*
 * The variables $ctseg_*.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_VARIABLES_H
#define NGX_HTTP_CTSEG_VARIABLES_H


#include "../conf/ngx_http_ctseg_conf.h"


/* preconfiguration */

ngx_int_t ngx_http_ctseg_add_variables(ngx_conf_t *cf);


#endif /* NGX_HTTP_CTSEG_VARIABLES_H */
