/*
 * What the loop and the thread of a redelivery share.  Private to the engine.
 */

#ifndef NGX_HTTP_CTSEG_RETRY_INT_H
#define NGX_HTTP_CTSEG_RETRY_INT_H


#include "../segment/ctseg_answer.h"
#include "../segment/ctseg_batch.h"
#include "../bridge/ngx_http_ctseg_deliver.h"
#include "ngx_http_ctseg_rate.h"
#include "ngx_http_ctseg_retry.h"


/* so many of them refused in a row: then there is no sense in more of it */

#define NGX_HTTP_CTSEG_RETRY_REFUSALS  8


/* what came of the last attempt, for the record */

typedef struct {
    ngx_uint_t       made;              /* is there anything to tell? */
    ctseg_answer_t   answer;
    uint64_t         sequence;
    uint64_t         asked;             /* as it was when it was sent */
    int              status;
    char             text[160];
    int64_t          at_ms;
    int64_t          retry_at_ms;
    int64_t          held_ms;           /* so long its write key is held */
    char             excerpt[CTSEG_EXCERPT_MAX];
    size_t           excerpt_len;
} ngx_http_ctseg_verdict_t;


/*
 * A step: save the verdict on one event, find the next, and read what it
 * takes to send it.
 */

typedef struct {
    ngx_http_ctseg_task_t      task;
    void                      *data;    /* not for the thread */

    ctseg_retry_t              record;  /* in, and out as it is stored now */
    ngx_http_ctseg_verdict_t   verdict; /* made: 0 as soon as it is stored */
    unsigned                   renew:1; /* the lease */
    unsigned                   release:1;       /* another may go on */

    ctseg_rc_t                 rc;      /* CONFLICT: the lease was lost */
    ctseg_err_t                err;
    char                       note[160];       /* for the log; empty: none */
    uint64_t                   asked;   /* as it was before the search */
    unsigned                   put:1;   /* the record was stored */
    unsigned                   over:1;  /* nothing more to do here */

    uint64_t                   sequence;        /* to be sent; 0: not yet, its
                                           run is about to count it */
    ctseg_run_t                run;     /* that met the event, for the rates:
                                           under the partner's key of now, at
                                           the lowest rank */
    uint64_t                   partner_revision;
    int64_t                    held_ms; /* the write key has to rest yet */
    ctseg_batch_t              batch;   /* the message alone */
    char                       authorization[CTSEG_WRITE_KEY_MAX * 2];
} ngx_http_ctseg_retry_step_t;


void ngx_http_ctseg_retry_step_thread(ngx_http_ctseg_task_t *task);


#endif /* NGX_HTTP_CTSEG_RETRY_INT_H */
