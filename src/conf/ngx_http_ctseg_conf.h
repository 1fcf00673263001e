/*
 * Settings: what the directives fill in.  Configuration time writes them,
 * everything else only reads.
 */

#ifndef NGX_HTTP_CTSEG_CONF_H
#define NGX_HTTP_CTSEG_CONF_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../base/ctseg_time.h"
#include "../model/ctseg_partner.h"


/* ctseg_segment: an internal location that reaches Segment's region */

typedef struct {
    ngx_str_t             uri;          /* empty: not configured */
    ngx_http_conf_ctx_t  *ctx;          /* of the server that holds it */
    ngx_uint_t            requests;     /* per write key and second */
    ngx_uint_t            events;       /* per write key and second */
    ngx_uint_t            concurrency;  /* batches in flight per run */
    u_char               *file;         /* where it was written */
    ngx_uint_t            line;
} ngx_http_ctseg_region_t;


/* ctseg_account */

typedef struct {
    ngx_str_t                 id;
    ngx_str_t                 passcode;         /* secret */
} ngx_http_ctseg_account_t;


/* ctseg_clevertap; each text has a NUL behind it */

typedef struct {
    ngx_str_t                 id;
    ngx_str_t                 passcode;         /* secret */
    ngx_str_t                 url;      /* no slash at its end */
    ngx_str_t                 ca;       /* a file; empty: the system's */
} ngx_http_ctseg_clevertap_t;


/* the edge's own: the page, and what it is made of */

typedef struct ngx_http_ctseg_dashboard_s  ngx_http_ctseg_dashboard_t;


typedef struct {
    ngx_path_t               *path;     /* ctseg_store; NULL: none */
    ngx_path_t               *events_path;
    ngx_path_t               *state_path;
    off_t                     events_size;
    off_t                     state_size;
    time_t                    retention;
    ngx_uint_t                high_water;       /* percent */

    ngx_str_t                 pool_name;
    ngx_thread_pool_t        *pool;
    ngx_str_t                 imports_name;
    ngx_thread_pool_t        *imports_pool;     /* the same, or its own */
    ngx_flag_t                custom_events;
    ngx_array_t              *accounts; /* who may upload; NULL: anybody */
    ngx_array_t              *clevertap;        /* whose history can be
                                                   pulled; NULL: nobody's */
    ngx_uint_t                collects;         /* there is a location that
                                                   takes uploads */

    ngx_http_ctseg_region_t   regions[CTSEG_REGION_N];
    void                     *assets;   /* of dashboards, the edge's; NULL:
                                           there is none */
    ngx_shm_zone_t           *rates;    /* the engine's */
    ngx_shm_zone_t           *counts;   /* the bridge's */
    ngx_shm_zone_t           *stop;     /* the bridge's */

    ngx_str_t                 needed_by;        /* directive that needs a
                                                   store; empty: none does */

    ngx_core_conf_t          *core;             /* whose user the workers get;
                                                   known in init_module */
} ngx_http_ctseg_main_conf_t;


/* what a collect location takes */

typedef enum {
    NGX_HTTP_CTSEG_FORMAT_AUTO = 0,     /* upload or webhook, as it looks */
    NGX_HTTP_CTSEG_FORMAT_UPLOAD,
    NGX_HTTP_CTSEG_FORMAT_WEBHOOK,
    NGX_HTTP_CTSEG_FORMAT_FILE
} ngx_http_ctseg_format_e;


typedef struct {
    ngx_flag_t                collect;
    ngx_uint_t                format;   /* ngx_http_ctseg_format_e */
    ngx_str_t                 event;    /* of webhooks; empty: none */
    ngx_flag_t                api;
    ngx_flag_t                api_write;
    ngx_flag_t                metrics;
    ngx_http_ctseg_dashboard_t  *dashboard;     /* NULL: none */
    ngx_http_handler_pt       handler;  /* of the directive in force */
} ngx_http_ctseg_loc_conf_t;


extern ngx_module_t  ngx_http_ctseg_module;


void *ngx_http_ctseg_create_main_conf(ngx_conf_t *cf);
char *ngx_http_ctseg_init_main_conf(ngx_conf_t *cf, void *conf);
void *ngx_http_ctseg_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_ctseg_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

/* setters of the directive table */

char *ngx_http_ctseg_store(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ctseg_segment(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ctseg_account(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_ctseg_clevertap(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_ctseg_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* the one line of a file, whose path is made a full one; with a NUL behind */

char *ngx_http_ctseg_passcode_read(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *passcode);

/* remember that a directive needs a store */

void ngx_http_ctseg_needs_store(ngx_conf_t *cf, ngx_str_t *directive);

/*
 * What can be checked only when all is read: a store where one is needed,
 * and that each ctseg_segment names an internal location with a handler.
 * Part of postconfiguration.
 */

ngx_int_t ngx_http_ctseg_check_conf(ngx_conf_t *cf);

/*
 * The store's directories as the workers will find them: there, theirs,
 * writable, local, and the maps fit the file system.  Runs as init_module,
 * also under nginx -t.
 */

ngx_int_t ngx_http_ctseg_check_store(ngx_cycle_t *cycle,
    ngx_http_ctseg_main_conf_t *mcf);


#endif /* NGX_HTTP_CTSEG_CONF_H */
