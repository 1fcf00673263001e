/*
 * The flags of the cycles in a ring: the zone outlives reloads, and the
 * workers of the cycle that gave a place back are long gone when it comes
 * round again.
 */

#include "ngx_http_ctseg_stop.h"


#define NGX_HTTP_CTSEG_STOPS  64
#define NGX_HTTP_CTSEG_TOLD   2         /* the store writes 1 */


typedef struct {
    ngx_uint_t   cycle;
    atomic_int   flags[NGX_HTTP_CTSEG_STOPS];
} ngx_http_ctseg_stops_t;


static ngx_int_t ngx_http_ctseg_stop_zone_init(ngx_shm_zone_t *zone,
    void *old);


ngx_int_t
ngx_http_ctseg_stop_zone(ngx_conf_t *cf)
{
    ngx_http_ctseg_main_conf_t  *mcf;

    static ngx_str_t  name = ngx_string("ctseg_stop");

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ctseg_module);

    if (mcf->path == NULL) {
        return NGX_OK;
    }

    mcf->stop = ngx_shared_memory_add(cf, &name, 8 * ngx_pagesize,
                                      &ngx_http_ctseg_module);
    if (mcf->stop == NULL) {
        return NGX_ERROR;
    }

    mcf->stop->init = ngx_http_ctseg_stop_zone_init;

    return NGX_OK;
}


/* zone->data is the flag of this cycle; the old cycle keeps its own */

static ngx_int_t
ngx_http_ctseg_stop_zone_init(ngx_shm_zone_t *zone, void *old)
{
    atomic_int              *flag;
    ngx_slab_pool_t         *pool;
    ngx_http_ctseg_stops_t  *stops;

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (old == NULL && !zone->shm.exists) {
        pool->data = ngx_slab_calloc(pool, sizeof(ngx_http_ctseg_stops_t));
        if (pool->data == NULL) {
            return NGX_ERROR;
        }
    }

    stops = pool->data;
    flag = &stops->flags[stops->cycle++ % NGX_HTTP_CTSEG_STOPS];
    atomic_store(flag, 0);
    zone->data = flag;

    return NGX_OK;
}


atomic_int *
ngx_http_ctseg_stop_flag(ngx_http_ctseg_main_conf_t *mcf)
{
    return mcf->stop->data;
}


void
ngx_http_ctseg_stop_tell(ngx_http_ctseg_main_conf_t *mcf, ngx_log_t *log)
{
    int          stopped;
    atomic_int  *flag;

    flag = mcf->stop->data;
    stopped = 1;

    if (atomic_load(flag) != stopped
        || !atomic_compare_exchange_strong(flag, &stopped,
                                           NGX_HTTP_CTSEG_TOLD))
    {
        return;
    }

    ngx_log_error(NGX_LOG_CRIT, log, 0,
                  "ctseg: writing to the store \"%V\" has failed; nothing is "
                  "written any more, look at the disk and start or reload "
                  "nginx", &mcf->path->name);
}
