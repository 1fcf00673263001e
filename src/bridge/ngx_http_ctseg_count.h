/*
 * What happened, in numbers, over all workers: counters in shared memory,
 * raised by atomic additions and kept by a reload.  Nothing is locked where
 * requests and batches pass, save for a partner that was never seen before.
 * Without a store there is no memory, and counting does nothing.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_COUNT_H
#define NGX_HTTP_CTSEG_COUNT_H


#include "../base/ctseg_prom.h"
#include "ngx_http_ctseg_task.h"


#define NGX_HTTP_CTSEG_CODES     32     /* different ones of a table */
#define NGX_HTTP_CTSEG_REASONS   16
#define NGX_HTTP_CTSEG_PARTNERS  256    /* with figures of their own */


/* answers by code; slots are taken in the order of the codes' first time */

typedef struct {
    ngx_atomic_t   code[NGX_HTTP_CTSEG_CODES];  /* + 1; 0: free */
    ngx_atomic_t   n[NGX_HTTP_CTSEG_CODES];
    ngx_atomic_t   other;
} ngx_http_ctseg_codes_t;


typedef struct {
    ngx_atomic_t   counts[CTSEG_PROM_BUCKETS];
    ngx_atomic_t   sum;
} ngx_http_ctseg_histogram_t;


typedef struct {
    ngx_http_ctseg_codes_t      answers;
    ngx_http_ctseg_histogram_t  duration;       /* ms */
} ngx_http_ctseg_delivered_t;


/* nothing but atomics: a snapshot is copied word by word */

typedef struct {
    ngx_http_ctseg_codes_t      requests;       /* of collect */
    ngx_atomic_t                collected;      /* events */
    ngx_atomic_t                repeated;       /* events */
    ngx_atomic_t                refused[NGX_HTTP_CTSEG_REASONS];
    ngx_atomic_t                lost;           /* copies by "mirror" */
    ngx_http_ctseg_histogram_t  commit_duration;        /* microseconds */
    ngx_http_ctseg_histogram_t  commit_events;
    ngx_atomic_t                violations;
    ngx_atomic_t                npartners;
    ngx_http_ctseg_delivered_t  partners[NGX_HTTP_CTSEG_PARTNERS];
    ngx_http_ctseg_delivered_t  other;          /* all that had no room */
} ngx_http_ctseg_counters_t;


typedef struct {
    ngx_http_ctseg_counters_t   c;
    char                        ids[NGX_HTTP_CTSEG_PARTNERS]
                                   [CTSEG_ID_TEXT_MAX];
    ngx_uint_t                  tasks;          /* under way now */
} ngx_http_ctseg_snapshot_t;


/* the part of it that the status shows */

typedef struct {
    uint64_t  collected;                /* events */
    uint64_t  commits;
    uint64_t  commit_us;                /* of all of them */
    uint64_t  tasks;                    /* under way now */
} ngx_http_ctseg_activity_t;


extern const ctseg_prom_buckets_t  ngx_http_ctseg_commit_duration;
extern const ctseg_prom_buckets_t  ngx_http_ctseg_commit_events;
extern const ctseg_prom_buckets_t  ngx_http_ctseg_delivery_duration;


/* postconfiguration: the shared memory, where there is a store */

ngx_int_t ngx_http_ctseg_count_zone(ngx_conf_t *cf);

/* init of the process, before its first task */

void ngx_http_ctseg_count_init(ngx_http_ctseg_worker_t *worker);


/* a request of a collect location; status 0: it was not answered */

void ngx_http_ctseg_count_request(ngx_uint_t status);

/* so many events on the disk by one commit of so many microseconds */

void ngx_http_ctseg_count_commit(ngx_uint_t events, int64_t us);

/* events that were acknowledged since they had been stored before */

void ngx_http_ctseg_count_repeated(ngx_uint_t events);

/* events that were not taken; what a reason means is the caller's */

void ngx_http_ctseg_count_refused(ngx_uint_t reason, ngx_uint_t events);

/* a copy by "mirror" that was not taken, and is not sent again */

void ngx_http_ctseg_count_lost(void);

/* an attempt to deliver to a partner has ended, after so many ms; status 0:
   without a whole answer */

void ngx_http_ctseg_count_delivery(const char *partner_id,
    ngx_uint_t status, ngx_msec_t ms);

/* numbers do not add up, or what is stored is not what it was */

void ngx_http_ctseg_count_violation(void);

/* a request was served that is not about ctseg's own affairs */

void ngx_http_ctseg_count_traffic(void);

/* was there one, of any worker, within so many milliseconds? */

ngx_uint_t ngx_http_ctseg_has_traffic(ngx_msec_t within);

/* tasks of this worker that were posted and are not done */

void ngx_http_ctseg_count_tasks(ngx_uint_t n);


/* all of it as it stands now */

void ngx_http_ctseg_count_snapshot(ngx_http_ctseg_snapshot_t *snapshot);

void ngx_http_ctseg_count_activity(ngx_http_ctseg_activity_t *activity);


#endif /* NGX_HTTP_CTSEG_COUNT_H */
