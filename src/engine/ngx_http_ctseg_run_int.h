/*
 * What the files of a run share.  Private to the engine.
 */

#ifndef NGX_HTTP_CTSEG_RUN_INT_H
#define NGX_HTTP_CTSEG_RUN_INT_H


#include "../segment/ctseg_window.h"
#include "../store/ctseg_lease.h"
#include "../bridge/ngx_http_ctseg_deliver.h"
#include "../bridge/ngx_http_ctseg_wake.h"
#include "ngx_http_ctseg_rate.h"
#include "ngx_http_ctseg_runner.h"


#define NGX_HTTP_CTSEG_RELOAD_MS  5000  /* after a load that failed */
#define NGX_HTTP_CTSEG_BEAT_MS    1000
#define NGX_HTTP_CTSEG_LIVE_MS    100   /* the beat of a live run */
#define NGX_HTTP_CTSEG_WAKE_MS    20    /* it grows no more often than that */
#define NGX_HTTP_CTSEG_SAVE_MS    20    /* and progress is saved as often */

/* so many single events refused in a row: then it is not the events, unless
   Segment takes others meanwhile */

#define NGX_HTTP_CTSEG_REFUSALS   8

/* answers in a row with which nothing was taken: it is about Segment, and not
   about one batch */

#define NGX_HTTP_CTSEG_OUTAGE     2

/* batches of a run, those included that were made by halving */

#define NGX_HTTP_CTSEG_PARTS      64

/* batches on one worker, behind which each run has one at a time */

#define NGX_HTTP_CTSEG_BATCHES    320

/* about so many events that can never be sent are stored for a run */

#define NGX_HTTP_CTSEG_KEPT       100000


typedef enum {
    NGX_HTTP_CTSEG_BATCH_LOADING = 0,
    NGX_HTTP_CTSEG_BATCH_READY,         /* to be sent */
    NGX_HTTP_CTSEG_BATCH_SENDING,
    NGX_HTTP_CTSEG_BATCH_WAITING,       /* for its retry */
    NGX_HTTP_CTSEG_BATCH_REFUSING,      /* its one event is being noted */
    NGX_HTTP_CTSEG_BATCH_DONE           /* every event has its verdict */
} ngx_http_ctseg_batch_e;


typedef struct ngx_http_ctseg_run_s  ngx_http_ctseg_run_t;


typedef struct {
    ngx_http_ctseg_load_t       load;   /* first: it is the job */
    ngx_queue_t                 queue;
    ngx_http_ctseg_run_t       *run;
    ngx_http_ctseg_batch_e      state;
    ngx_uint_t                  attempt;
    ngx_event_t                 retry;
    int64_t                     retry_at_ms;
    uint64_t                    split_hi;   /* being halved: what its second
                                               half goes up to, else 0 */
    unsigned                    fresh:1;    /* not loaded yet, and the next
                                               load begins behind it */
    unsigned                    part:1;     /* of a batch that was refused */
    ngx_http_ctseg_delivery_t   delivery;
} ngx_http_ctseg_batch_t;


struct ngx_http_ctseg_run_s {
    ngx_queue_t                 queue;
    ngx_http_ctseg_worker_t    *worker;
    ngx_http_ctseg_region_t    *region;
    ngx_str_t                   export_id;  /* into run */

    ctseg_run_t                 run;        /* as it stands here */
    ngx_http_ctseg_save_t      *save;       /* the one job of saves */
    ngx_queue_t                 batches;    /* in the order of the log */
    ngx_uint_t                  nbatches;
    ngx_uint_t                  nparts;     /* of them */
    ngx_uint_t                  failures;   /* that pass by themselves, since
                                               a batch was taken */
    ngx_uint_t                  proof;      /* events taken since the first of
                                               these was refused */
    ngx_msec_t                  proof_at;   /* when that was */
    uint64_t                    loaded;     /* next load begins after this */
    uint64_t                    saved_hi;   /* as it is stored: the end of
                                               what may be loaded */
    int64_t                     reload_at_ms;   /* after a load that failed,
                                                   or 0 */

    ngx_event_t                 beat;       /* look for a stop, renew */
    ngx_event_t                 pace;       /* the rate allows more then */
    ngx_msec_t                  beat_at;    /* of the last beat */
    ngx_msec_t                  grown_at;   /* the cut, for the last time */
    ngx_msec_t                  quiet;      /* so long nothing has stirred,
                                               though something should */
    ngx_msec_t                  saved_at;   /* of the last put */
    ngx_msec_t                  unread_at;  /* of the load that failed */
    ctseg_mark_t                mark;       /* since when the pace counts */
    ctseg_window_t              window;     /* how many may be in flight */
    ctseg_latest_t             *latest;     /* the index, or NULL: none */
    uint64_t                    paused_revision;    /* of the partner, as it
                                               was refused */
    int64_t                     held_ms;    /* to be saved: how long the
                                               write key is held, or 0 */

    unsigned                    loading:1;
    unsigned                    saving:1;
    unsigned                    dirty:1;    /* the record is behind */
    unsigned                    unsaved:1;  /* a put failed: load no more */
    unsigned                    unread:1;   /* a load failed: nor now */
    unsigned                    live:1;
    unsigned                    woken:1;    /* events came meanwhile */
    unsigned                    edited:1;   /* live: ends here, and the next
                                               run has the new settings */
    unsigned                    stopped:1;  /* by the operator */
    unsigned                    leaving:1;  /* the worker exits */
    unsigned                    lost:1;     /* somebody else owns it */
    unsigned                    stalled:1;  /* given up by the watchdog */
    unsigned                    over:1;     /* the last put is under way */
};


/* ---- ngx_http_ctseg_runner.c ---- */

/* everything that can be done now; called after each change.  The run may be
   gone afterwards, as after settle */

void ngx_http_ctseg_run_go(ngx_http_ctseg_run_t *run);
void ngx_http_ctseg_run_settle(ngx_http_ctseg_run_t *run);

/* may the run start new work? */

ngx_uint_t ngx_http_ctseg_run_is_open(ngx_http_ctseg_run_t *run);

/* a cancelable timer of the run */

void ngx_http_ctseg_run_timer(ngx_http_ctseg_run_t *run, ngx_event_t *ev,
    ngx_event_handler_pt handler);


/* ---- ngx_http_ctseg_run_watch.c ---- */

/* something came of what the run does */

void ngx_http_ctseg_run_stirs(ngx_http_ctseg_run_t *run);

/* at each beat: has it been quiet for too long?  Says and counts it */

ngx_uint_t ngx_http_ctseg_run_is_stalled(ngx_http_ctseg_run_t *run);


/* ---- ngx_http_ctseg_run_rest.c ---- */

/* a load of the run took so long */

void ngx_http_ctseg_run_worked(ngx_http_ctseg_run_t *run, int64_t us);

/* is it to wait before the next load, for the sake of others?  Its pace brings
   it back then */

ngx_uint_t ngx_http_ctseg_run_rests(ngx_http_ctseg_run_t *run);


/* ---- ngx_http_ctseg_run_split.c ---- */

/* something in the batch is wrong: read it again in two halves */

void ngx_http_ctseg_run_split(ngx_http_ctseg_batch_t *batch);

/* its first half is read: begin with the other.  NGX_ERROR: no memory */

ngx_int_t ngx_http_ctseg_run_halved(ngx_http_ctseg_batch_t *batch);

/* the one event of the batch is what is wrong: note it, and pass over it */

void ngx_http_ctseg_run_refuse(ngx_http_ctseg_batch_t *batch);


/* ---- ngx_http_ctseg_run_send.c ---- */

/* start what is ready, in order, as far as concurrency and rate allow */

void ngx_http_ctseg_run_send(ngx_http_ctseg_run_t *run);

/* give up its text, and try it again after so many milliseconds */

void ngx_http_ctseg_run_wait(ngx_http_ctseg_batch_t *batch, int64_t wait);

/* a batch that waited is read again, to be sent */

void ngx_http_ctseg_run_retry_handler(ngx_event_t *ev);

/* do not wait any longer for what is to be tried again */

void ngx_http_ctseg_run_retry(ngx_http_ctseg_run_t *run);


/* ---- ngx_http_ctseg_run_batch.c ---- */

/* a batch of the run that is not loaded yet; NULL: no memory */

ngx_http_ctseg_batch_t *ngx_http_ctseg_batch_create(
    ngx_http_ctseg_run_t *run, uint64_t after, uint64_t hi);

/* have a thread load it.  NGX_ERROR: as of ngx_http_ctseg_task_post */

ngx_int_t ngx_http_ctseg_batch_load(ngx_http_ctseg_batch_t *batch);

/* what was loaded is not needed any more */

void ngx_http_ctseg_batch_clear(ngx_http_ctseg_batch_t *batch);

/* remember the last thing that went wrong */

void ngx_http_ctseg_run_note_error(ngx_http_ctseg_run_t *run,
    ngx_uint_t status, const char *text);

/* load the next batch, if there is room for one */

void ngx_http_ctseg_run_load(ngx_http_ctseg_run_t *run);

/* count the batches at the front that are done */

void ngx_http_ctseg_run_advance(ngx_http_ctseg_run_t *run);

/* when the run tries again what failed, 0: nothing waits for that */

int64_t ngx_http_ctseg_run_retry_at(ngx_http_ctseg_run_t *run);

/* is anything being tried again, or about to be? */

ngx_uint_t ngx_http_ctseg_run_is_failing(ngx_http_ctseg_run_t *run);

/* drop what is not under way; true when nothing is under way any more */

ngx_uint_t ngx_http_ctseg_run_drop(ngx_http_ctseg_run_t *run);

/* abort what is under way, as if it had never been answered */

void ngx_http_ctseg_run_abort(ngx_http_ctseg_run_t *run);

void ngx_http_ctseg_batch_free(ngx_http_ctseg_batch_t *batch);


#endif /* NGX_HTTP_CTSEG_RUN_INT_H */
