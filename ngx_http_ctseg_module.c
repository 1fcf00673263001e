
/*
 * Copyright (C) ctseg contributors
 */

/*
 * The front door: the directive table and nginx's hooks.  What a directive
 * means is decided in the room that owns it.
 */

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "src/conf/ngx_http_ctseg_conf.h"
#include "src/bridge/ngx_http_ctseg_stop.h"
#include "src/bridge/ngx_http_ctseg_task.h"
#include "src/bridge/ngx_http_ctseg_wake.h"
#include "src/store/ctseg_lease.h"
#include "src/store/ctseg_store.h"
#include "src/edge/ngx_http_ctseg_api.h"
#include "src/edge/ngx_http_ctseg_collect.h"
#include "src/edge/ngx_http_ctseg_dashboard.h"
#include "src/edge/ngx_http_ctseg_error.h"
#include "src/edge/ngx_http_ctseg_metrics.h"
#include "src/edge/ngx_http_ctseg_variables.h"
#include "src/engine/ngx_http_ctseg_import.h"
#include "src/engine/ngx_http_ctseg_rate.h"
#include "src/engine/ngx_http_ctseg_retention.h"
#include "src/engine/ngx_http_ctseg_scheduler.h"


static ngx_int_t ngx_http_ctseg_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_ctseg_init_module(ngx_cycle_t *cycle);
static ngx_int_t ngx_http_ctseg_init_process(ngx_cycle_t *cycle);
static void ngx_http_ctseg_exit_process(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_ctseg_commands[] = {

    { ngx_string("ctseg_store"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_ctseg_store,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ctseg_thread_pool"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_ctseg_thread_pool,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ctseg_custom_events"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_ctseg_main_conf_t, custom_events),
      NULL },

    { ngx_string("ctseg_segment"),
      NGX_HTTP_SRV_CONF|NGX_CONF_2MORE,
      ngx_http_ctseg_segment,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ctseg_account"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2,
      ngx_http_ctseg_account,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ctseg_clevertap"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_2MORE,
      ngx_http_ctseg_clevertap,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ctseg_collect"),
      NGX_HTTP_LOC_CONF|NGX_CONF_ANY,
      ngx_http_ctseg_collect,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ctseg_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_ctseg_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ctseg_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_ctseg_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("ctseg_dashboard"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_ctseg_dashboard,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_ctseg_module_ctx = {
    ngx_http_ctseg_add_variables,          /* preconfiguration */
    ngx_http_ctseg_postconfiguration,      /* postconfiguration */

    ngx_http_ctseg_create_main_conf,       /* create main configuration */
    ngx_http_ctseg_init_main_conf,         /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_ctseg_create_loc_conf,        /* create location configuration */
    ngx_http_ctseg_merge_loc_conf          /* merge location configuration */
};


ngx_module_t  ngx_http_ctseg_module = {
    NGX_MODULE_V1,
    &ngx_http_ctseg_module_ctx,            /* module context */
    ngx_http_ctseg_commands,               /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_ctseg_init_module,            /* init module */
    ngx_http_ctseg_init_process,           /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_ctseg_exit_process,           /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_ctseg_main_conf_t *
ngx_http_ctseg_main_conf(ngx_cycle_t *cycle)
{
    ngx_http_ctseg_main_conf_t  *mcf;

    /* NULL also where nginx.conf has no http block */

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_ctseg_module);

    return mcf != NULL && mcf->path != NULL ? mcf : NULL;
}


static ngx_int_t
ngx_http_ctseg_postconfiguration(ngx_conf_t *cf)
{
    if (ngx_http_ctseg_check_conf(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_ctseg_rate_zone(cf) != NGX_OK
        || ngx_http_ctseg_count_zone(cf) != NGX_OK
        || ngx_http_ctseg_stop_zone(cf) != NGX_OK
        || ngx_http_ctseg_metrics_init(cf) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_ctseg_error_init(cf);
}


static ngx_int_t
ngx_http_ctseg_init_module(ngx_cycle_t *cycle)
{
    ngx_http_ctseg_main_conf_t  *mcf;

    mcf = ngx_http_ctseg_main_conf(cycle);

    if (mcf == NULL) {
        return NGX_OK;
    }

    if (ngx_http_ctseg_check_store(cycle, mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_ctseg_wake_create(cycle);
}


static ngx_int_t
ngx_http_ctseg_init_process(ngx_cycle_t *cycle)
{
    ctseg_rc_t                   rc;
    ctseg_err_t                  err;
    ctseg_store_options_t        options;
    ngx_http_ctseg_worker_t     *worker;
    ngx_http_ctseg_main_conf_t  *mcf;

    mcf = ngx_http_ctseg_main_conf(cycle);

    if (mcf == NULL
        || (ngx_process != NGX_PROCESS_WORKER
            && ngx_process != NGX_PROCESS_SINGLE))
    {
        return NGX_OK;
    }

    worker = ngx_http_ctseg_worker_create(cycle, mcf);
    if (worker == NULL) {
        return NGX_ERROR;
    }

    ngx_http_ctseg_count_init(worker);

    ctseg_owner_self(worker->owner);
    ctseg_zone_system(&worker->zone);

    ngx_memzero(&options, sizeof(options));
    ngx_memzero(&err, sizeof(err));

    options.path = (const char *) mcf->path->name.data;
    options.events_size = mcf->events_size;
    options.state_size = mcf->state_size;
    options.high_water = mcf->high_water;
    options.stopped = ngx_http_ctseg_stop_flag(mcf);

    rc = ctseg_store_open(&worker->store, &options, &err);

    if (rc != CTSEG_OK) {

        /* the traffic beside us goes on; our locations answer 503 */

        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "ctseg: the store \"%V\" cannot be opened: %s (%s)",
                      &mcf->path->name, err.text, ctseg_rc_name(rc));
        worker->store = NULL;
        return NGX_OK;
    }

    if (ngx_http_ctseg_collect_init(worker) != NGX_OK
        || ngx_http_ctseg_scheduler_init(worker) != NGX_OK
        || ngx_http_ctseg_retention_init(worker) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the pool's threads are gone by now: its module comes before ours */

static void
ngx_http_ctseg_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_ctseg_worker_t  *worker;

    worker = ngx_http_ctseg_worker();

    if (worker == NULL) {
        return;
    }

    ngx_http_ctseg_import_exit();

    ctseg_store_close(worker->store);
    worker->store = NULL;

    ngx_http_ctseg_worker_forget();
}
