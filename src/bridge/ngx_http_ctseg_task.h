/*
 * The one door between the event loop and the pool threads.
 *
 * A job is one piece of malloc'ed memory that begins with a task.  It is
 * handed to a thread, which owns it until it comes back: nothing else is
 * shared.  A job survives its request, is counted, and keeps an exiting
 * worker alive until it is back.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_TASK_H
#define NGX_HTTP_CTSEG_TASK_H


#include "../conf/ngx_http_ctseg_conf.h"


struct ctseg_store_s;

typedef struct ngx_http_ctseg_worker_s  ngx_http_ctseg_worker_t;
typedef struct ngx_http_ctseg_task_s  ngx_http_ctseg_task_t;

/* thread: on the pool, may call only what lies below the line */

typedef void (*ngx_http_ctseg_thread_pt)(ngx_http_ctseg_task_t *task);

/* done: back on the loop; the job is the caller's again, to free or post */

typedef void (*ngx_http_ctseg_done_pt)(ngx_http_ctseg_task_t *task);


struct ngx_http_ctseg_task_s {
    ngx_http_ctseg_worker_t   *worker;
    ngx_http_ctseg_thread_pt   thread;
    ngx_http_ctseg_done_pt     done;
    ngx_thread_pool_t         *pool;    /* NULL: that of ctseg_thread_pool */

    ngx_thread_task_t          task;    /* the bridge's own */
};


/*
 * What a worker process has one of.  Threads may read store, owner and zone,
 * which do not change between init and exit of the process.
 */

struct ngx_http_ctseg_worker_s {
    struct ctseg_store_s        *store;     /* NULL: it could not be opened */
    ngx_http_ctseg_main_conf_t  *conf;
    ngx_cycle_t                 *cycle;
    ngx_log_t                   *log;
    char                         owner[96]; /* this process, for leases */
    ctseg_zone_t                 zone;      /* the account zone */

    ngx_uint_t                   held;      /* tasks and runs under way */
    ngx_uint_t                   tasks;     /* posted and not done */
    ngx_event_t                  guard;
    ngx_connection_t             dummy;     /* for the guard's debug output */
};


/* this process's worker; NULL in other processes and without a store */

ngx_http_ctseg_worker_t *ngx_http_ctseg_worker(void);

/* process hooks; create answers NULL only for lack of memory */

ngx_http_ctseg_worker_t *ngx_http_ctseg_worker_create(ngx_cycle_t *cycle,
    ngx_http_ctseg_main_conf_t *conf);
void ngx_http_ctseg_worker_forget(void);

/*
 * zeroed memory of a job of this size, whose first member is a task; freed
 * with ngx_free by whoever has it last
 */

void *ngx_http_ctseg_task_create(ngx_http_ctseg_worker_t *worker,
    size_t size, ngx_http_ctseg_thread_pt thread,
    ngx_http_ctseg_done_pt done);

/* NGX_ERROR: the pool's queue is full, the job is still the caller's */

ngx_int_t ngx_http_ctseg_task_post(ngx_http_ctseg_task_t *task);

/* keep an exiting worker alive until released; calls count */

void ngx_http_ctseg_hold(ngx_http_ctseg_worker_t *worker);
void ngx_http_ctseg_release(ngx_http_ctseg_worker_t *worker);


/* slices: the layouts are the same, asserted in the .c */

static ngx_inline ctseg_str_t
ngx_http_ctseg_slice(ngx_str_t *s)
{
    ctseg_str_t  out;

    out.len = s->len;
    out.data = (const char *) s->data;

    return out;
}


#endif /* NGX_HTTP_CTSEG_TASK_H */
