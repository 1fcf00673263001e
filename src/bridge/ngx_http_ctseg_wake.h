/*
 * A word from one worker to all of this cycle, itself included: to those who
 * wait for events when some were appended, so that live runs look at the log
 * at once, and to the schedulers when the API has changed what is due.  It may
 * be lost (across a reload) or come for nothing; whoever waits keeps a slow
 * timer beside it.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_WAKE_H
#define NGX_HTTP_CTSEG_WAKE_H


#include "../conf/ngx_http_ctseg_conf.h"


typedef enum {
    NGX_HTTP_CTSEG_WAKE_EVENTS = 0,
    NGX_HTTP_CTSEG_WAKE_DUE,
    NGX_HTTP_CTSEG_WAKES
} ngx_http_ctseg_wake_e;


typedef void (*ngx_http_ctseg_wake_pt)(void);

/* init_module: what the workers that are started next share */

ngx_int_t ngx_http_ctseg_wake_create(ngx_cycle_t *cycle);

/* in a worker: handler is called when that was said while it waited */

ngx_int_t ngx_http_ctseg_wake_init(ngx_cycle_t *cycle,
    ngx_http_ctseg_wake_e what, ngx_http_ctseg_wake_pt handler);

/* before log or state is looked at: the next word behind this calls, once */

void ngx_http_ctseg_wake_wait(ngx_http_ctseg_wake_e what);

/* events were appended; costs a look into shared memory for each worker, and
   a system call for each of those that wait */

void ngx_http_ctseg_wake(void);

/* something else may be due than was before; costs the same */

void ngx_http_ctseg_wake_due(void);


#endif /* NGX_HTTP_CTSEG_WAKE_H */
