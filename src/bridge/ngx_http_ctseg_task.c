/*
 * Tasks and the guard.
 *
 * nginx 1.22 lets an exiting worker go as soon as no timer but cancelable
 * ones is left, and a task in a thread has no timer.  So a timer that is not
 * cancelable runs while anything is held; without it clients whose events
 * are being committed would be cut off without an answer.
 */

#include "ngx_http_ctseg_count.h"
#include "ngx_http_ctseg_stop.h"


#define NGX_HTTP_CTSEG_GUARD_MS  100


_Static_assert(sizeof(ctseg_str_t) == sizeof(ngx_str_t)
               && offsetof(ctseg_str_t, data) == offsetof(ngx_str_t, data),
               "ctseg_str_t must be laid out as ngx_str_t");


static ngx_http_ctseg_worker_t  *ngx_http_ctseg_this_worker;


static void ngx_http_ctseg_guard_handler(ngx_event_t *ev);
static void ngx_http_ctseg_thread_handler(void *data, ngx_log_t *log);
static void ngx_http_ctseg_event_handler(ngx_event_t *ev);


ngx_http_ctseg_worker_t *
ngx_http_ctseg_worker(void)
{
    return ngx_http_ctseg_this_worker;
}


ngx_http_ctseg_worker_t *
ngx_http_ctseg_worker_create(ngx_cycle_t *cycle,
    ngx_http_ctseg_main_conf_t *conf)
{
    ngx_http_ctseg_worker_t  *worker;

    worker = ngx_pcalloc(cycle->pool, sizeof(ngx_http_ctseg_worker_t));
    if (worker == NULL) {
        return NULL;
    }

    worker->conf = conf;
    worker->cycle = cycle;
    worker->log = cycle->log;

    /* debug builds print the fd of the connection behind a timer */

    worker->dummy.fd = (ngx_socket_t) -1;

    worker->guard.handler = ngx_http_ctseg_guard_handler;
    worker->guard.data = &worker->dummy;
    worker->guard.log = cycle->log;

    ngx_http_ctseg_this_worker = worker;

    return worker;
}


void
ngx_http_ctseg_worker_forget(void)
{
    ngx_http_ctseg_this_worker = NULL;
}


void *
ngx_http_ctseg_task_create(ngx_http_ctseg_worker_t *worker, size_t size,
    ngx_http_ctseg_thread_pt thread, ngx_http_ctseg_done_pt done)
{
    ngx_http_ctseg_task_t  *task;

    task = ngx_calloc(size, worker->log);
    if (task == NULL) {
        return NULL;
    }

    task->worker = worker;
    task->thread = thread;
    task->done = done;

    return task;
}


ngx_int_t
ngx_http_ctseg_task_post(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_worker_t  *worker;

    worker = task->worker;

    ngx_memzero(&task->task, sizeof(ngx_thread_task_t));

    task->task.ctx = task;
    task->task.handler = ngx_http_ctseg_thread_handler;
    task->task.event.data = task;
    task->task.event.handler = ngx_http_ctseg_event_handler;
    task->task.event.log = worker->log;

    if (ngx_thread_task_post(task->pool != NULL ? task->pool
                                                : worker->conf->pool,
                             &task->task)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_ctseg_hold(worker);
    ngx_http_ctseg_count_tasks(++worker->tasks);

    return NGX_OK;
}


static void
ngx_http_ctseg_thread_handler(void *data, ngx_log_t *log)
{
    ngx_http_ctseg_task_t  *task = data;

    task->thread(task);
}


static void
ngx_http_ctseg_event_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_task_t    *task;
    ngx_http_ctseg_worker_t  *worker;

    task = ev->data;
    worker = task->worker;

    ngx_http_ctseg_count_tasks(--worker->tasks);
    ngx_http_ctseg_stop_tell(worker->conf, worker->log);

    /* done may free the task, or post it again: release only afterwards */

    task->done(task);

    ngx_http_ctseg_release(worker);
}


void
ngx_http_ctseg_hold(ngx_http_ctseg_worker_t *worker)
{
    worker->held++;

    if (!worker->guard.timer_set) {
        ngx_add_timer(&worker->guard, NGX_HTTP_CTSEG_GUARD_MS);
    }
}


void
ngx_http_ctseg_release(ngx_http_ctseg_worker_t *worker)
{
    worker->held--;
}


/* the timer outlives the last release by one beat: cheaper than a del */

static void
ngx_http_ctseg_guard_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_worker_t  *worker;

    worker = ngx_http_ctseg_this_worker;

    if (worker != NULL && worker->held != 0) {
        ngx_add_timer(ev, NGX_HTTP_CTSEG_GUARD_MS);
    }
}
