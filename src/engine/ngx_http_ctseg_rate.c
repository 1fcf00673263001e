/*
 * A small table of buckets in shared memory.  Segment counts by workspace,
 * not by worker of ours, so runs of one write key on several workers draw
 * from one bucket.
 */

#include "../segment/ctseg_rate.h"
#include "ngx_http_ctseg_rate.h"


#define NGX_HTTP_CTSEG_RATES  4096     /* of all runs there may be */


typedef struct {
    char           fingerprint[17];     /* empty: free */
    int64_t        used_ms;
    ctseg_rate_t   rate;
} ngx_http_ctseg_rate_slot_t;


typedef struct {
    ngx_http_ctseg_rate_slot_t  slots[NGX_HTTP_CTSEG_RATES];
} ngx_http_ctseg_rates_t;


static ngx_int_t ngx_http_ctseg_rate_zone_init(ngx_shm_zone_t *zone,
    void *old);
static ctseg_rate_t *ngx_http_ctseg_rate_lock(
    ngx_http_ctseg_worker_t *worker, const ctseg_run_t *run);
static void ngx_http_ctseg_rate_unlock(ngx_http_ctseg_worker_t *worker);
static ctseg_rate_t *ngx_http_ctseg_rate_find(ngx_http_ctseg_rates_t *rates,
    const char *fingerprint);


ngx_int_t
ngx_http_ctseg_rate_zone(ngx_conf_t *cf)
{
    ngx_http_ctseg_main_conf_t  *mcf;

    static ngx_str_t  name = ngx_string("ctseg_rates");

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ctseg_module);

    if (mcf->path == NULL) {
        return NGX_OK;
    }

    mcf->rates = ngx_shared_memory_add(cf, &name,
                                       sizeof(ngx_http_ctseg_rates_t)
                                       + 8 * ngx_pagesize,
                                       &ngx_http_ctseg_module);
    if (mcf->rates == NULL) {
        return NGX_ERROR;
    }

    mcf->rates->init = ngx_http_ctseg_rate_zone_init;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ctseg_rate_zone_init(ngx_shm_zone_t *zone, void *old)
{
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (old != NULL || zone->shm.exists) {
        zone->data = old != NULL ? old : pool->data;
        return NGX_OK;
    }

    pool->data = ngx_slab_calloc(pool, sizeof(ngx_http_ctseg_rates_t));
    if (pool->data == NULL) {
        return NGX_ERROR;
    }

    zone->data = pool->data;

    return NGX_OK;
}


ngx_msec_t
ngx_http_ctseg_rate_take(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run, ngx_http_ctseg_region_t *region, ngx_uint_t n)
{
    int64_t        wait;
    ctseg_rate_t  *rate;

    rate = ngx_http_ctseg_rate_lock(worker, run);

    wait = ctseg_rate_take(rate, ctseg_rate_rank(run->freq),
                           (unsigned) region->requests,
                           (unsigned) region->events, (unsigned) n,
                           ctseg_mono_ms());

    ngx_http_ctseg_rate_unlock(worker);

    return (ngx_msec_t) wait;
}


void
ngx_http_ctseg_rate_hold(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run, int64_t ms, ngx_uint_t paused)
{
    ctseg_rate_hold(ngx_http_ctseg_rate_lock(worker, run), ms, paused,
                    ctseg_mono_ms());

    ngx_http_ctseg_rate_unlock(worker);
}


void
ngx_http_ctseg_rate_sent(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run)
{
    ctseg_rate_sent(ngx_http_ctseg_rate_lock(worker, run));

    ngx_http_ctseg_rate_unlock(worker);
}


/* the bucket of the run's write key, with the table locked */

static ctseg_rate_t *
ngx_http_ctseg_rate_lock(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run)
{
    ngx_shm_zone_t   *zone;
    ngx_slab_pool_t  *pool;

    zone = worker->conf->rates;
    pool = (ngx_slab_pool_t *) zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    return ngx_http_ctseg_rate_find(zone->data, run->pinned.fingerprint);
}


static void
ngx_http_ctseg_rate_unlock(ngx_http_ctseg_worker_t *worker)
{
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) worker->conf->rates->shm.addr;

    ngx_shmtx_unlock(&pool->mutex);
}


/* the key's own slot, or the one that was idle longest, made new */

static ctseg_rate_t *
ngx_http_ctseg_rate_find(ngx_http_ctseg_rates_t *rates,
    const char *fingerprint)
{
    int64_t                      now;
    ngx_uint_t                   i;
    ngx_http_ctseg_rate_slot_t  *slot, *idle;

    now = ctseg_mono_ms();
    idle = &rates->slots[0];

    for (i = 0; i < NGX_HTTP_CTSEG_RATES; i++) {
        slot = &rates->slots[i];

        if (ngx_strcmp(slot->fingerprint, fingerprint) == 0) {
            slot->used_ms = now;
            return &slot->rate;
        }

        if (slot->used_ms < idle->used_ms) {
            idle = slot;
        }
    }

    ngx_memzero(idle, sizeof(ngx_http_ctseg_rate_slot_t));
    ngx_memcpy(idle->fingerprint, fingerprint, sizeof(idle->fingerprint));
    idle->used_ms = now;

    return &idle->rate;
}
