/*
 * The dashboard location: a page inside the module, on top of the API.
 */

#ifndef NGX_HTTP_CTSEG_DASHBOARD_H
#define NGX_HTTP_CTSEG_DASHBOARD_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* setter of "ctseg_dashboard" */

char *ngx_http_ctseg_dashboard(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* NGX_HTTP_CTSEG_DASHBOARD_H */
