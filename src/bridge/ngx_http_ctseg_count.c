/*
 * Counters.  A worker that is killed leaves nothing half done: every number
 * is one atomic addition, and the tasks under way are kept by worker, with
 * its pid, so that those of a dead one do not count.
 */

#include "ngx_http_ctseg_count.h"


typedef struct {
    ngx_atomic_t   pid;
    ngx_atomic_t   tasks;
} ngx_http_ctseg_slot_t;


typedef struct {
    ngx_http_ctseg_counters_t  c;
    char                       ids[NGX_HTTP_CTSEG_PARTNERS]
                                  [CTSEG_ID_TEXT_MAX];
    ngx_http_ctseg_slot_t      slots[NGX_MAX_PROCESSES];
    ngx_atomic_t               traffic; /* time of the newest request, of
                                           ngx_current_msec; 0: none yet */
} ngx_http_ctseg_counts_t;


_Static_assert(sizeof(ngx_http_ctseg_counters_t) % sizeof(ngx_atomic_t) == 0,
               "counters must be copied word by word");


static const uint64_t  ngx_http_ctseg_commit_us[] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
    500000, 1000000, 2500000, 5000000
};

static const uint64_t  ngx_http_ctseg_commit_n[] = {
    1, 5, 10, 50, 100, 500, 1000, 5000, 10000, 50000, 100000
};

static const uint64_t  ngx_http_ctseg_delivery_ms[] = {
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000
};


#define ngx_http_ctseg_buckets(bounds, scale)                                 \
    { sizeof(bounds) / sizeof(bounds[0]), scale, bounds }

const ctseg_prom_buckets_t  ngx_http_ctseg_commit_duration =
    ngx_http_ctseg_buckets(ngx_http_ctseg_commit_us, 1000000);

const ctseg_prom_buckets_t  ngx_http_ctseg_commit_events =
    ngx_http_ctseg_buckets(ngx_http_ctseg_commit_n, 1);

const ctseg_prom_buckets_t  ngx_http_ctseg_delivery_duration =
    ngx_http_ctseg_buckets(ngx_http_ctseg_delivery_ms, 1000);


static ngx_shm_zone_t           *ngx_http_ctseg_count_shm;
static ngx_http_ctseg_counts_t  *ngx_http_ctseg_counts;


static ngx_int_t ngx_http_ctseg_count_zone_init(ngx_shm_zone_t *zone,
    void *old);


ngx_int_t
ngx_http_ctseg_count_zone(ngx_conf_t *cf)
{
    ngx_http_ctseg_main_conf_t  *mcf;

    static ngx_str_t  name = ngx_string("ctseg_metrics");

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ctseg_module);

    if (mcf->path == NULL) {
        return NGX_OK;
    }

    mcf->counts = ngx_shared_memory_add(cf, &name,
                                        sizeof(ngx_http_ctseg_counts_t)
                                        + 16 * ngx_pagesize,
                                        &ngx_http_ctseg_module);
    if (mcf->counts == NULL) {
        return NGX_ERROR;
    }

    mcf->counts->init = ngx_http_ctseg_count_zone_init;

    return NGX_OK;
}


static ngx_int_t
ngx_http_ctseg_count_zone_init(ngx_shm_zone_t *zone, void *old)
{
    ngx_slab_pool_t  *pool;

    pool = (ngx_slab_pool_t *) zone->shm.addr;

    if (old != NULL || zone->shm.exists) {
        zone->data = old != NULL ? old : pool->data;
        return NGX_OK;
    }

    pool->data = ngx_slab_calloc(pool, sizeof(ngx_http_ctseg_counts_t));
    if (pool->data == NULL) {
        return NGX_ERROR;
    }

    zone->data = pool->data;

    return NGX_OK;
}


void
ngx_http_ctseg_count_init(ngx_http_ctseg_worker_t *worker)
{
    ngx_http_ctseg_slot_t  *slot;

    ngx_http_ctseg_count_shm = worker->conf->counts;
    ngx_http_ctseg_counts = worker->conf->counts->data;

    /* whoever had it is gone */

    slot = &ngx_http_ctseg_counts->slots[ngx_process_slot];

    slot->tasks = 0;
    slot->pid = (ngx_atomic_uint_t) ngx_pid;
}


#define ngx_http_ctseg_add(to, n)  (void) ngx_atomic_fetch_add(to, n)


static void
ngx_http_ctseg_count_code(ngx_http_ctseg_codes_t *codes, ngx_uint_t status)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_CTSEG_CODES; i++) {

        if (codes->code[i] == 0) {
            (void) ngx_atomic_cmp_set(&codes->code[i], 0, status + 1);
        }

        if (codes->code[i] == status + 1) {
            ngx_http_ctseg_add(&codes->n[i], 1);
            return;
        }
    }

    ngx_http_ctseg_add(&codes->other, 1);
}


static void
ngx_http_ctseg_count_value(ngx_http_ctseg_histogram_t *h,
    const ctseg_prom_buckets_t *buckets, uint64_t value)
{
    ngx_http_ctseg_add(&h->counts[ctseg_prom_bucket(buckets, value)], 1);
    ngx_http_ctseg_add(&h->sum, value);
}


void
ngx_http_ctseg_count_request(ngx_uint_t status)
{
    if (ngx_http_ctseg_counts != NULL) {
        ngx_http_ctseg_count_code(&ngx_http_ctseg_counts->c.requests, status);
    }
}


void
ngx_http_ctseg_count_commit(ngx_uint_t events, int64_t us)
{
    ngx_http_ctseg_counters_t  *c;

    if (ngx_http_ctseg_counts == NULL) {
        return;
    }

    c = &ngx_http_ctseg_counts->c;

    ngx_http_ctseg_add(&c->collected, events);
    ngx_http_ctseg_count_value(&c->commit_events,
                               &ngx_http_ctseg_commit_events, events);
    ngx_http_ctseg_count_value(&c->commit_duration,
                               &ngx_http_ctseg_commit_duration,
                               us > 0 ? (uint64_t) us : 0);
}


void
ngx_http_ctseg_count_repeated(ngx_uint_t events)
{
    if (ngx_http_ctseg_counts != NULL && events != 0) {
        ngx_http_ctseg_add(&ngx_http_ctseg_counts->c.repeated, events);
    }
}


void
ngx_http_ctseg_count_refused(ngx_uint_t reason, ngx_uint_t events)
{
    if (ngx_http_ctseg_counts != NULL && events != 0) {
        ngx_http_ctseg_add(&ngx_http_ctseg_counts->c.refused[reason], events);
    }
}


void
ngx_http_ctseg_count_lost(void)
{
    if (ngx_http_ctseg_counts != NULL) {
        ngx_http_ctseg_add(&ngx_http_ctseg_counts->c.lost, 1);
    }
}


void
ngx_http_ctseg_count_violation(void)
{
    if (ngx_http_ctseg_counts != NULL) {
        ngx_http_ctseg_add(&ngx_http_ctseg_counts->c.violations, 1);
    }
}


/* slots are only ever added, and filled before they are counted */

static ngx_http_ctseg_delivered_t *
ngx_http_ctseg_count_find(ngx_http_ctseg_counts_t *counts, const char *id,
    ngx_uint_t from, ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = from; i < n; i++) {
        if (ngx_strcmp(counts->ids[i], id) == 0) {
            return &counts->c.partners[i];
        }
    }

    return NULL;
}


static ngx_http_ctseg_delivered_t *
ngx_http_ctseg_count_partner(ngx_http_ctseg_counts_t *counts, const char *id)
{
    ngx_uint_t                   n, seen;
    ngx_slab_pool_t             *pool;
    ngx_http_ctseg_delivered_t  *found;

    seen = counts->c.npartners;
    ngx_memory_barrier();

    found = ngx_http_ctseg_count_find(counts, id, 0, seen);

    if (found != NULL) {
        return found;
    }

    if (seen == NGX_HTTP_CTSEG_PARTNERS) {
        return &counts->c.other;
    }

    pool = (ngx_slab_pool_t *) ngx_http_ctseg_count_shm->shm.addr;

    ngx_shmtx_lock(&pool->mutex);

    n = counts->c.npartners;
    found = ngx_http_ctseg_count_find(counts, id, seen, n);

    if (found == NULL && n < NGX_HTTP_CTSEG_PARTNERS) {
        (void) ngx_cpystrn((u_char *) counts->ids[n], (u_char *) id,
                           CTSEG_ID_TEXT_MAX);
        ngx_memory_barrier();

        counts->c.npartners = n + 1;
        found = &counts->c.partners[n];
    }

    ngx_shmtx_unlock(&pool->mutex);

    return found != NULL ? found : &counts->c.other;
}


void
ngx_http_ctseg_count_delivery(const char *partner_id, ngx_uint_t status,
    ngx_msec_t ms)
{
    ngx_http_ctseg_delivered_t  *p;

    if (ngx_http_ctseg_counts == NULL) {
        return;
    }

    p = ngx_http_ctseg_count_partner(ngx_http_ctseg_counts, partner_id);

    ngx_http_ctseg_count_code(&p->answers, status);
    ngx_http_ctseg_count_value(&p->duration,
                               &ngx_http_ctseg_delivery_duration, ms);
}


/* written once a millisecond at most: all workers share its cache line */

void
ngx_http_ctseg_count_traffic(void)
{
    if (ngx_http_ctseg_counts != NULL
        && ngx_http_ctseg_counts->traffic != ngx_current_msec)
    {
        ngx_http_ctseg_counts->traffic = ngx_current_msec;
    }
}


ngx_uint_t
ngx_http_ctseg_has_traffic(ngx_msec_t within)
{
    ngx_msec_t  last;

    if (ngx_http_ctseg_counts == NULL) {
        return 0;
    }

    last = ngx_http_ctseg_counts->traffic;

    /* the clock of another worker may be ahead of ours by a moment */

    return last != 0
           && (ngx_msec_int_t) (ngx_current_msec - last)
              <= (ngx_msec_int_t) within;
}


void
ngx_http_ctseg_count_tasks(ngx_uint_t n)
{
    if (ngx_http_ctseg_counts != NULL) {
        ngx_http_ctseg_counts->slots[ngx_process_slot].tasks = n;
    }
}


/* workers share a user, so one that may not be asked is none of them */

static ngx_uint_t
ngx_http_ctseg_count_alive(ngx_http_ctseg_slot_t *slot)
{
    return (ngx_pid_t) slot->pid == ngx_pid
           || kill((ngx_pid_t) slot->pid, 0) == 0;
}


static ngx_uint_t
ngx_http_ctseg_count_under_way(ngx_http_ctseg_counts_t *counts)
{
    ngx_uint_t              i, tasks;
    ngx_http_ctseg_slot_t  *slot;

    for (i = 0, tasks = 0; i < NGX_MAX_PROCESSES; i++) {
        slot = &counts->slots[i];

        if (slot->tasks != 0 && ngx_http_ctseg_count_alive(slot)) {
            tasks += slot->tasks;
        }
    }

    return tasks;
}


void
ngx_http_ctseg_count_activity(ngx_http_ctseg_activity_t *activity)
{
    ngx_uint_t                  i;
    ngx_http_ctseg_counts_t    *counts;
    ngx_http_ctseg_histogram_t *duration;

    ngx_memzero(activity, sizeof(ngx_http_ctseg_activity_t));

    counts = ngx_http_ctseg_counts;

    if (counts == NULL) {
        return;
    }

    duration = &counts->c.commit_duration;

    for (i = 0; i < CTSEG_PROM_BUCKETS; i++) {
        activity->commits += duration->counts[i];
    }

    activity->commit_us = duration->sum;
    activity->collected = counts->c.collected;
    activity->tasks = ngx_http_ctseg_count_under_way(counts);
}


void
ngx_http_ctseg_count_snapshot(ngx_http_ctseg_snapshot_t *snapshot)
{
    ngx_uint_t                i, n;
    ngx_atomic_t             *from, *to;
    ngx_http_ctseg_counts_t  *counts;

    ngx_memzero(snapshot, sizeof(ngx_http_ctseg_snapshot_t));

    counts = ngx_http_ctseg_counts;

    if (counts == NULL) {
        return;
    }

    from = (ngx_atomic_t *) &counts->c;
    to = (ngx_atomic_t *) &snapshot->c;
    n = sizeof(ngx_http_ctseg_counters_t) / sizeof(ngx_atomic_t);

    for (i = 0; i < n; i++) {
        to[i] = from[i];
    }

    ngx_memory_barrier();

    ngx_memcpy(snapshot->ids, counts->ids, sizeof(snapshot->ids));

    snapshot->tasks = ngx_http_ctseg_count_under_way(counts);
}
