/*
 * The metrics location: how all is, as Prometheus reads it.
 */

#ifndef NGX_HTTP_CTSEG_METRICS_H
#define NGX_HTTP_CTSEG_METRICS_H


#include "../outbox/ctseg_figures.h"
#include "../bridge/ngx_http_ctseg_count.h"


/* setter of "ctseg_metrics" */

char *ngx_http_ctseg_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* postconfiguration: requests to collect that nginx answers count as well */

ngx_int_t ngx_http_ctseg_metrics_init(ngx_conf_t *cf);


/* the page, in two parts; any thread */

void ngx_http_ctseg_metrics_counters(ctseg_buf_t *out,
    const ngx_http_ctseg_snapshot_t *counters);

void ngx_http_ctseg_metrics_store(ctseg_buf_t *out, const ctseg_usage_t *u,
    const ctseg_figures_t *f);


#endif /* NGX_HTTP_CTSEG_METRICS_H */
