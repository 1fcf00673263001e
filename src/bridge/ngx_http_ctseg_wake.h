/*
 * A word from those who append events to those who wait for them, in any
 * worker of this cycle: live runs look at the log at once then, and not when
 * their timer fires.  It may be lost (across a reload) or come for nothing;
 * whoever waits keeps a slow timer beside it.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_WAKE_H
#define NGX_HTTP_CTSEG_WAKE_H


#include "../conf/ngx_http_ctseg_conf.h"


typedef void (*ngx_http_ctseg_wake_pt)(void);

/* init_module: what the workers that are started next share */

ngx_int_t ngx_http_ctseg_wake_create(ngx_cycle_t *cycle);

/* in a worker: handler is called when events came while it waited */

ngx_int_t ngx_http_ctseg_wake_init(ngx_cycle_t *cycle,
    ngx_http_ctseg_wake_pt handler);

/* before the log is looked at: the next append behind this calls, once */

void ngx_http_ctseg_wake_wait(void);

/* events were appended; costs a look into shared memory for each worker, and
   a system call for each of those that wait */

void ngx_http_ctseg_wake(void);


#endif /* NGX_HTTP_CTSEG_WAKE_H */
