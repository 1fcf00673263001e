/*
 * The work of a run that blocks: reading a batch out of the log, and saving
 * how far the run came.  Thread functions, and the jobs they work on.
 */

#ifndef NGX_HTTP_CTSEG_LOAD_H
#define NGX_HTTP_CTSEG_LOAD_H


#include "../model/ctseg_schedule.h"
#include "../store/ctseg_state.h"
#include "../outbox/ctseg_read.h"
#include "../bridge/ngx_http_ctseg_task.h"


/*
 * Read the next batch of (after, hi]; first member of a larger struct.  With
 * an index that is not complete it goes on with that first, and answers AGAIN
 * when there is more to do: post it once more.
 */

typedef struct {
    ngx_http_ctseg_task_t   task;

    char                    partner_id[CTSEG_ID_TEXT_MAX];
    ctseg_pinned_t          pinned;
    uint32_t                incarnation;
    uint64_t                after;
    uint64_t                hi;
    unsigned                limit;      /* messages at most, 0: Segment's */
    char                    export_id[CTSEG_ID_TEXT_MAX];
    uint64_t                run;        /* its number */
    ctseg_latest_t         *latest;     /* of the run; complete, or nobody else
                                           has it meanwhile; NULL: none */
    ctseg_block_mem_t      *mem;        /* to read with, or NULL */
    unsigned                fresh:1;    /* what can never be sent of it is not
                                           stored yet */
    unsigned                many:1;     /* of the run enough is stored */

    ctseg_rc_t              rc;         /* OK: the batch is whole */
    ctseg_err_t             err;
    int64_t                 us;         /* it took so long */
    ctseg_batch_t           batch;      /* may hold no event */
    const char             *unkept;     /* why not all that can never be sent
                                           was stored, NULL: it was */
    uint64_t                partner_revision;   /* whose key it is */
    char                    authorization[CTSEG_WRITE_KEY_MAX * 2];
} ngx_http_ctseg_load_t;

void ngx_http_ctseg_load_thread(ngx_http_ctseg_task_t *task);


/* free an index; the thread does it when it has a file */

void ngx_http_ctseg_unload(ngx_http_ctseg_worker_t *worker,
    ctseg_latest_t *latest);


/* what a save is to leave behind */

typedef enum {
    NGX_HTTP_CTSEG_SAVE_LOOK = 0,       /* only see whether it was stopped */
    NGX_HTTP_CTSEG_SAVE_PROGRESS,       /* checkpoint, and renew the lease */
    NGX_HTTP_CTSEG_SAVE_RELEASE,        /* another worker may go on */
    NGX_HTTP_CTSEG_SAVE_FINISH,         /* the cut is complete */
    NGX_HTTP_CTSEG_SAVE_STOP            /* the export was stopped */
} ngx_http_ctseg_save_e;


typedef struct {
    ngx_http_ctseg_task_t   task;
    void                   *data;       /* not for the thread */

    ngx_http_ctseg_save_e   what;
    ctseg_run_t             run;        /* in, and out as it is stored now */
    int64_t                 held_ms;    /* so long its write key is held;
                                           0: nothing new */
    unsigned                give_up:1;  /* stop the export, for its errors */

    ctseg_rc_t              rc;         /* CONFLICT: the lease was lost */
    ctseg_err_t             err;
    uint64_t                partner_revision;   /* while it pauses, else 0 */
    unsigned                stopped:1;  /* the export is STOPPED */
    unsigned                edited:1;   /* it has another revision */
    uint64_t                head;       /* of the log; live only, else 0 */
} ngx_http_ctseg_save_t;

void ngx_http_ctseg_save_thread(ngx_http_ctseg_task_t *task);

/*
 * The export of a run that is over: its next state, and either its next slot
 * or out of the list of the active ones.  Repeated after a crash without
 * harm.  Pool thread.
 */

ctseg_rc_t ngx_http_ctseg_settle_thread(ngx_http_ctseg_worker_t *worker,
    const ctseg_run_t *run, ctseg_err_t *err);

/* the slots of a recurring export in the account zone */

void ngx_http_ctseg_schedule(ngx_http_ctseg_worker_t *worker,
    const ctseg_export_t *e, ctseg_schedule_t *schedule);


#endif /* NGX_HTTP_CTSEG_LOAD_H */
