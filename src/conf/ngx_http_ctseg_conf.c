/*
 * Settings: creation, merging and the setters with more than one argument.
 * No decision of the running product is made here.
 */

#include "ngx_http_ctseg_conf.h"


#define NGX_HTTP_CTSEG_EVENTS_SIZE  ((off_t) 16 * 1024 * 1024 * 1024)
#define NGX_HTTP_CTSEG_STATE_SIZE   ((off_t) 1024 * 1024 * 1024)
#define NGX_HTTP_CTSEG_SIZE_MIN     ((off_t) 1024 * 1024)
#define NGX_HTTP_CTSEG_RETENTION    (61 * 24 * 60 * 60)
#define NGX_HTTP_CTSEG_RETENTION_MAX  ((time_t) 100 * 365 * 24 * 60 * 60)
#define NGX_HTTP_CTSEG_HIGH_WATER   90
#define NGX_HTTP_CTSEG_BODY_BUFFER  (1024 * 1024)

/* Segment: product limits and the guide for partner sources */

#define NGX_HTTP_CTSEG_REQUESTS     50
#define NGX_HTTP_CTSEG_EVENTS       1000
#define NGX_HTTP_CTSEG_CONCURRENCY  4
#define NGX_HTTP_CTSEG_CONCURRENCY_MAX  64


static ngx_path_t *ngx_http_ctseg_add_path(ngx_conf_t *cf, ngx_str_t *base,
    const char *below);
static char *ngx_http_ctseg_store_param(ngx_conf_t *cf,
    ngx_http_ctseg_main_conf_t *mcf, ngx_str_t *value);
static char *ngx_http_ctseg_segment_param(ngx_conf_t *cf,
    ngx_http_ctseg_region_t *region, ngx_str_t *value);


void *
ngx_http_ctseg_create_main_conf(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_ctseg_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ctseg_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     mcf->path = NULL;
     *     mcf->pool_name = { 0, NULL };
     *     mcf->imports_name = { 0, NULL };
     *     mcf->accounts = NULL;
     *     mcf->clevertap = NULL;
     *     mcf->collects = 0;
     *     mcf->regions[] = { { 0, NULL }, ... };
     *     mcf->needed_by = { 0, NULL };
     */

    mcf->events_size = NGX_HTTP_CTSEG_EVENTS_SIZE;
    mcf->state_size = NGX_HTTP_CTSEG_STATE_SIZE;
    mcf->retention = NGX_HTTP_CTSEG_RETENTION;
    mcf->high_water = NGX_HTTP_CTSEG_HIGH_WATER;
    mcf->custom_events = NGX_CONF_UNSET;

    for (i = 0; i < CTSEG_REGION_N; i++) {
        mcf->regions[i].requests = NGX_HTTP_CTSEG_REQUESTS;
        mcf->regions[i].events = NGX_HTTP_CTSEG_EVENTS;
        mcf->regions[i].concurrency = NGX_HTTP_CTSEG_CONCURRENCY;
    }

    return mcf;
}


char *
ngx_http_ctseg_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_ctseg_main_conf_t  *mcf = conf;

    ngx_conf_init_value(mcf->custom_events, 0);

    if (mcf->path == NULL) {
        return NGX_CONF_OK;
    }

    /*
     * a reference only: nginx itself refuses a name that no thread_pool
     * directive defines, "default" apart
     */

    mcf->pool = ngx_thread_pool_add(cf, mcf->pool_name.len != 0
                                        ? &mcf->pool_name : NULL);
    if (mcf->pool == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->imports_pool = mcf->pool;

    if (mcf->imports_name.len != 0) {
        mcf->imports_pool = ngx_thread_pool_add(cf, &mcf->imports_name);
        if (mcf->imports_pool == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


void *
ngx_http_ctseg_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_ctseg_loc_conf_t  *lcf;

    lcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_ctseg_loc_conf_t));
    if (lcf == NULL) {
        return NULL;
    }

    lcf->collect = NGX_CONF_UNSET;
    lcf->api = NGX_CONF_UNSET;
    lcf->api_write = NGX_CONF_UNSET;
    lcf->metrics = NGX_CONF_UNSET;

    return lcf;
}


char *
ngx_http_ctseg_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_ctseg_loc_conf_t  *prev = parent;
    ngx_http_ctseg_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /*
     * Handlers are not inherited, and these belong to one; but the blocks of
     * "if" and "limit_except" are the location itself under a condition.
     */

    if (clcf->noname && clcf->handler == NULL && prev->handler != NULL) {
        conf->collect = prev->collect;
        conf->format = prev->format;
        conf->event = prev->event;
        conf->api = prev->api;
        conf->api_write = prev->api_write;
        conf->metrics = prev->metrics;
        conf->dashboard = prev->dashboard;
        conf->handler = prev->handler;
        clcf->handler = prev->handler;
    }

    ngx_conf_init_value(conf->collect, 0);
    ngx_conf_init_value(conf->api, 0);
    ngx_conf_init_value(conf->api_write, 0);
    ngx_conf_init_value(conf->metrics, 0);

    if (!conf->collect) {
        return NGX_CONF_OK;
    }

    /*
     * With the default of two pages nginx writes nearly every upload to a
     * temporary file, on the event loop.  A buffer is as large as the body
     * it is for, up to this size.
     */

    if (clcf->client_body_buffer_size == 2 * ngx_pagesize) {
        clcf->client_body_buffer_size = NGX_HTTP_CTSEG_BODY_BUFFER;
    }

    return NGX_CONF_OK;
}


void
ngx_http_ctseg_needs_store(ngx_conf_t *cf, ngx_str_t *directive)
{
    ngx_http_ctseg_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ctseg_module);

    mcf->needed_by = *directive;
}


/* ctseg_thread_pool NAME [imports=NAME] */

char *
ngx_http_ctseg_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ctseg_main_conf_t  *mcf = conf;

    ngx_str_t  *value;

    if (mcf->pool_name.data != NULL) {
        return "is duplicate";
    }

    value = cf->args->elts;

    mcf->pool_name = value[1];

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (value[2].len <= 8
        || ngx_strncmp(value[2].data, "imports=", 8) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    mcf->imports_name.data = value[2].data + 8;
    mcf->imports_name.len = value[2].len - 8;

    return NGX_CONF_OK;
}


/* ctseg_store PATH [events=] [state=] [retention=] [high_water=] */

char *
ngx_http_ctseg_store(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ctseg_main_conf_t  *mcf = conf;

    char        *rc;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (mcf->path != NULL) {
        return "is duplicate: one nginx has one store";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "needs a directory";
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rc = ngx_http_ctseg_store_param(cf, mcf, &value[i]);
        if (rc != NGX_CONF_OK) {
            return rc;
        }
    }

    while (value[1].len > 1 && value[1].data[value[1].len - 1] == '/') {
        value[1].data[--value[1].len] = '\0';
    }

    mcf->path = ngx_http_ctseg_add_path(cf, &value[1], "");
    if (mcf->path == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->events_path = ngx_http_ctseg_add_path(cf, &value[1], "/events");
    if (mcf->events_path == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->state_path = ngx_http_ctseg_add_path(cf, &value[1], "/state");
    if (mcf->state_path == NULL) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


/* nginx creates and owns the directory, as it does with cache paths */

static ngx_path_t *
ngx_http_ctseg_add_path(ngx_conf_t *cf, ngx_str_t *base, const char *below)
{
    ngx_path_t  *path;

    path = ngx_pcalloc(cf->pool, sizeof(ngx_path_t));
    if (path == NULL) {
        return NULL;
    }

    path->name.len = base->len + ngx_strlen(below);
    path->name.data = ngx_pnalloc(cf->pool, path->name.len + 1);
    if (path->name.data == NULL) {
        return NULL;
    }

    ngx_sprintf(path->name.data, "%V%s%Z", base, below);

    if (ngx_conf_full_name(cf->cycle, &path->name, 0) != NGX_OK) {
        return NULL;
    }

    path->data = path;
    path->conf_file = cf->conf_file->file.name.data;
    path->line = cf->conf_file->line;

    if (ngx_add_path(cf, &path) != NGX_OK) {
        return NULL;
    }

    return path;
}


static char *
ngx_http_ctseg_store_size(ngx_conf_t *cf, ngx_str_t *param, size_t prefix,
    off_t *out)
{
    off_t      size;
    ngx_str_t  value;

    value.data = param->data + prefix;
    value.len = param->len - prefix;

    size = ngx_parse_offset(&value);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid size \"%V\"", param);
        return NGX_CONF_ERROR;
    }

    if (size < NGX_HTTP_CTSEG_SIZE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "size \"%V\" is too small, at least 1m is needed",
                           param);
        return NGX_CONF_ERROR;
    }

    *out = size;

    return NGX_CONF_OK;
}


static char *
ngx_http_ctseg_store_param(ngx_conf_t *cf, ngx_http_ctseg_main_conf_t *mcf,
    ngx_str_t *param)
{
    ngx_int_t  n;
    ngx_str_t  value;

    if (ngx_strncmp(param->data, "events=", 7) == 0) {
        return ngx_http_ctseg_store_size(cf, param, 7, &mcf->events_size);
    }

    if (ngx_strncmp(param->data, "state=", 6) == 0) {
        return ngx_http_ctseg_store_size(cf, param, 6, &mcf->state_size);
    }

    if (ngx_strncmp(param->data, "retention=", 10) == 0) {
        value.data = param->data + 10;
        value.len = param->len - 10;

        mcf->retention = ngx_parse_time(&value, 1);

        if (mcf->retention == (time_t) NGX_ERROR || mcf->retention == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid time \"%V\"", param);
            return NGX_CONF_ERROR;
        }

        /* so that it can be counted in milliseconds */

        mcf->retention = ngx_min(mcf->retention,
                                 NGX_HTTP_CTSEG_RETENTION_MAX);

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(param->data, "high_water=", 11) == 0) {
        n = ngx_atoi(param->data + 11, param->len - 11);

        if (n == NGX_ERROR || n < 10 || n > 95) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\": a percentage from 10 to 95 "
                               "is expected", param);
            return NGX_CONF_ERROR;
        }

        mcf->high_water = n;

        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       param);
    return NGX_CONF_ERROR;
}


/* ctseg_segment REGION URI [requests=N] [events=N] [concurrency=N] */

char *
ngx_http_ctseg_segment(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ctseg_main_conf_t  *mcf = conf;

    char                     *rc;
    ngx_str_t                *value;
    ngx_uint_t                i;
    ctseg_str_t               name;
    ctseg_region_t            id;
    ngx_http_ctseg_region_t  *region;

    value = cf->args->elts;

    name.len = value[1].len;
    name.data = (const char *) value[1].data;

    if (!ctseg_region_parse(name, &id)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown region \"%V\", \"us\" or \"eu\" is "
                           "expected", &value[1]);
        return NGX_CONF_ERROR;
    }

    region = &mcf->regions[id];

    if (region->uri.len != 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "region \"%V\" is duplicate, it is set in %s:%ui",
                           &value[1], region->file, region->line);
        return NGX_CONF_ERROR;
    }

    if (value[2].len == 0 || value[2].data[0] != '/') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid location \"%V\", it must begin with \"/\"",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    for (i = 3; i < cf->args->nelts; i++) {
        rc = ngx_http_ctseg_segment_param(cf, region, &value[i]);
        if (rc != NGX_CONF_OK) {
            return rc;
        }
    }

    region->uri = value[2];
    region->ctx = cf->ctx;
    region->file = cf->conf_file->file.name.data;
    region->line = cf->conf_file->line;

    ngx_http_ctseg_needs_store(cf, &cmd->name);

    return NGX_CONF_OK;
}


static char *
ngx_http_ctseg_segment_param(ngx_conf_t *cf, ngx_http_ctseg_region_t *region,
    ngx_str_t *param)
{
    size_t       skip;
    ngx_int_t    n, max;
    ngx_uint_t  *out;

    max = NGX_MAX_INT32_VALUE;

    if (ngx_strncmp(param->data, "requests=", 9) == 0) {
        out = &region->requests;
        skip = 9;

    } else if (ngx_strncmp(param->data, "events=", 7) == 0) {
        out = &region->events;
        skip = 7;

    } else if (ngx_strncmp(param->data, "concurrency=", 12) == 0) {
        out = &region->concurrency;
        skip = 12;
        max = NGX_HTTP_CTSEG_CONCURRENCY_MAX;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           param);
        return NGX_CONF_ERROR;
    }

    n = ngx_atoi(param->data + skip, param->len - skip);

    if (n == NGX_ERROR || n < 1 || n > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\", a number from 1 to %i is "
                           "expected", param, max);
        return NGX_CONF_ERROR;
    }

    *out = n;

    return NGX_CONF_OK;
}
