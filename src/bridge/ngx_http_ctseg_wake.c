/*
 * An eventfd for each worker, made by the master before it forks, so that all
 * of them have all, and flags for each in shared memory that say which word
 * would be heard and which was said.  Both belong to one cycle: its workers
 * talk among themselves.
 */

#include "ngx_http_ctseg_wake.h"

#include <stdatomic.h>
#include <sys/eventfd.h>
#include <ngx_channel.h>


typedef struct {
    atomic_int     waits[NGX_HTTP_CTSEG_WAKES];
    atomic_int     said[NGX_HTTP_CTSEG_WAKES];
    char           unused[64 - 2 * NGX_HTTP_CTSEG_WAKES * sizeof(atomic_int)];
                                        /* a cache line each */
} ngx_http_ctseg_wake_flags_t;


typedef struct {
    ngx_uint_t     n;
    ngx_shm_t      shm;                 /* n of flags */
    int           *fds;
} ngx_http_ctseg_wakes_t;


static void ngx_http_ctseg_wake_cleanup(void *data);
static void ngx_http_ctseg_wake_handler(ngx_event_t *ev);


/* of the cycle that was created last, which is that of each new worker */

static ngx_http_ctseg_wakes_t  *ngx_http_ctseg_wakes;
static ngx_http_ctseg_wake_pt   ngx_http_ctseg_woken[NGX_HTTP_CTSEG_WAKES];
static ngx_uint_t               ngx_http_ctseg_wake_listens;


ngx_int_t
ngx_http_ctseg_wake_create(ngx_cycle_t *cycle)
{
    ngx_uint_t               i;
    ngx_core_conf_t         *ccf;
    ngx_pool_cleanup_t      *cln;
    ngx_http_ctseg_wakes_t  *w;

    ngx_http_ctseg_wakes = NULL;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);

    cln = ngx_pool_cleanup_add(cycle->pool, sizeof(ngx_http_ctseg_wakes_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    w = cln->data;
    ngx_memzero(w, sizeof(ngx_http_ctseg_wakes_t));

    w->n = ccf->worker_processes > 0 ? (ngx_uint_t) ccf->worker_processes : 1;

    w->fds = ngx_palloc(cycle->pool, w->n * sizeof(int));
    if (w->fds == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < w->n; i++) {
        w->fds[i] = -1;
    }

    w->shm.size = w->n * sizeof(ngx_http_ctseg_wake_flags_t);
    ngx_str_set(&w->shm.name, "ctseg_wake");
    w->shm.log = cycle->log;

    if (ngx_shm_alloc(&w->shm) != NGX_OK) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_ctseg_wake_cleanup;

    for (i = 0; i < w->n; i++) {
        w->fds[i] = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (w->fds[i] == -1) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "ctseg: eventfd() failed");
            return NGX_ERROR;
        }
    }

    ngx_http_ctseg_wakes = w;

    return NGX_OK;
}


static void
ngx_http_ctseg_wake_cleanup(void *data)
{
    ngx_uint_t               i;
    ngx_http_ctseg_wakes_t  *w;

    w = data;

    for (i = 0; i < w->n; i++) {
        if (w->fds[i] != -1) {
            (void) close(w->fds[i]);
        }
    }

    ngx_shm_free(&w->shm);

    if (ngx_http_ctseg_wakes == w) {
        ngx_http_ctseg_wakes = NULL;
    }
}


static ngx_http_ctseg_wake_flags_t *
ngx_http_ctseg_wake_flags(void)
{
    return (ngx_http_ctseg_wake_flags_t *) ngx_http_ctseg_wakes->shm.addr;
}


ngx_int_t
ngx_http_ctseg_wake_init(ngx_cycle_t *cycle, ngx_http_ctseg_wake_e what,
    ngx_http_ctseg_wake_pt handler)
{
    ngx_http_ctseg_woken[what] = handler;

    if (ngx_http_ctseg_wakes == NULL || ngx_worker >= ngx_http_ctseg_wakes->n)
    {
        return NGX_ERROR;
    }

    if (ngx_http_ctseg_wake_listens) {
        return NGX_OK;
    }

    ngx_http_ctseg_wake_listens = 1;

    /* taken for a channel of nginx's, it holds up no exit */

    return ngx_add_channel_event(cycle, ngx_http_ctseg_wakes->fds[ngx_worker],
                                 NGX_READ_EVENT, ngx_http_ctseg_wake_handler);
}


static void
ngx_http_ctseg_wake_handler(ngx_event_t *ev)
{
    eventfd_t                     n;
    ngx_uint_t                    i;
    ngx_connection_t             *c;
    ngx_http_ctseg_wake_flags_t  *flags;

    c = ev->data;

    if (eventfd_read(c->fd, &n) != 0) {
        return;
    }

    flags = &ngx_http_ctseg_wake_flags()[ngx_worker];

    for (i = 0; i < NGX_HTTP_CTSEG_WAKES; i++) {
        if (atomic_exchange(&flags->said[i], 0) != 0) {
            ngx_http_ctseg_woken[i]();
        }
    }
}


void
ngx_http_ctseg_wake_wait(ngx_http_ctseg_wake_e what)
{
    if (ngx_http_ctseg_wake_listens) {
        atomic_store(&ngx_http_ctseg_wake_flags()[ngx_worker].waits[what], 1);
    }
}


static void
ngx_http_ctseg_wake_say(ngx_http_ctseg_wake_e what)
{
    ngx_uint_t                    i;
    ngx_http_ctseg_wake_flags_t  *flags;

    if (!ngx_http_ctseg_wake_listens) {
        return;
    }

    flags = ngx_http_ctseg_wake_flags();

    for (i = 0; i < ngx_http_ctseg_wakes->n; i++, flags++) {

        if (atomic_load(&flags->waits[what]) == 0
            || atomic_exchange(&flags->waits[what], 0) == 0)
        {
            continue;
        }

        atomic_store(&flags->said[what], 1);

        if (eventfd_write(ngx_http_ctseg_wakes->fds[i], 1) == -1) {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, ngx_errno,
                          "ctseg: eventfd_write() failed");
        }
    }
}


void
ngx_http_ctseg_wake(void)
{
    ngx_http_ctseg_wake_say(NGX_HTTP_CTSEG_WAKE_EVENTS);
}


void
ngx_http_ctseg_wake_due(void)
{
    ngx_http_ctseg_wake_say(NGX_HTTP_CTSEG_WAKE_DUE);
}
