/*
 * What the loop and the threads of an import share.  Private to the engine.
 */

#ifndef NGX_HTTP_CTSEG_IMPORT_INT_H
#define NGX_HTTP_CTSEG_IMPORT_INT_H


#include "../clevertap/ctseg_curl.h"
#include "../clevertap/ctseg_pull.h"
#include "../outbox/ctseg_known.h"
#include "ngx_http_ctseg_import.h"


#define NGX_HTTP_CTSEG_IMPORT_NOTES  8
#define NGX_HTTP_CTSEG_IMPORT_LEAP   1000000    /* of the producer */


/* a line for the error log */

typedef struct {
    ngx_uint_t                     level;
    char                           text[400];
} ngx_http_ctseg_import_note_t;


/*
 * A step: at most one request to CleverTap, and what follows of it.  What is
 * not told to or by the loop is the thread's, and kept from step to step.
 */

typedef struct {
    ngx_http_ctseg_task_t          task;
    char                           id[CTSEG_ID_TEXT_MAX];
    unsigned                       release:1;   /* another may go on */

    ctseg_import_t                 im;          /* as it is stored, but for
                                                   what is unsaved */
    unsigned                       unsaved:1;   /* before anything else */
    unsigned                       lost:1;      /* it is not ours any more */
    int64_t                        due_ms;      /* no request before */
    int64_t                        put_ms;      /* of the last put */
    int64_t                        looked_ms;   /* all three monotonic */

    ctseg_curl_t                  *curl;
    ctseg_hash_t                   hash;
    ctseg_known_t                 *known;       /* of the walk at hand; NULL:
                                                   to be loaded */
    int64_t                        days;        /* of the last walk */
    uint64_t                      *seen;        /* cursors of the walk, as far
                                                   as this worker met them */
    size_t                         nseen;
    size_t                         seen_max;

    ctseg_rc_t                     rc;          /* not OK: it failed, and is
                                                   to be tried again */
    ctseg_err_t                    err;
    ngx_http_ctseg_import_note_t   notes[NGX_HTTP_CTSEG_IMPORT_NOTES];
    ngx_uint_t                     nnotes;
    int64_t                        wait_ms;     /* until the next step */
    unsigned                       over:1;      /* nothing more to do here */
} ngx_http_ctseg_import_step_t;


/* ---- import_step.c ---- */

void ngx_http_ctseg_import_step_thread(ngx_http_ctseg_task_t *task);

/* all but the job itself */

void ngx_http_ctseg_import_step_free(ngx_http_ctseg_import_step_t *step);

void ngx_http_ctseg_import_note(ngx_http_ctseg_import_step_t *step,
    ngx_uint_t level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Store it as it is now.  CONFLICT, and step->lost: it is not ours any more.
 * What cannot be stored stays unsaved, and nothing else is done before.
 */

ctseg_rc_t ngx_http_ctseg_import_save(ngx_http_ctseg_import_step_t *step);

/* asked by whatever takes long: false when the worker exits or lost it; looks
   once a second, and renews the lease */

bool ngx_http_ctseg_import_go_on(void *data);

/* it is over: forget what belongs to its walk.  Errors of the store. */

ctseg_rc_t ngx_http_ctseg_import_close(ctseg_store_t *store,
    ctseg_import_t *im, ctseg_err_t *err);

void ngx_http_ctseg_import_error(ctseg_import_t *im, int status,
    const char *text);

/* STOPPED, for a reason that does not pass by itself */

ctseg_rc_t ngx_http_ctseg_import_stop_errors(
    ngx_http_ctseg_import_step_t *step, int status, const char *text);

/* ---- import_walk.c ---- */

/* what the log has of the walk is to be loaded again */

void ngx_http_ctseg_import_forget(ngx_http_ctseg_import_step_t *step);

/* the next name, or else the next stretch of days of this one; not saved */

void ngx_http_ctseg_import_next(ngx_http_ctseg_import_step_t *step,
    ngx_uint_t name);

/* choose the days of the next walk, and store it before it begins */

ctseg_rc_t ngx_http_ctseg_import_plan(ngx_http_ctseg_import_step_t *step);

/* what this walk has to know, by somebody who comes to it */

ctseg_rc_t ngx_http_ctseg_import_resume(ngx_http_ctseg_import_step_t *step);

/* the same walk from its first page: some times, then the import stops */

ctseg_rc_t ngx_http_ctseg_import_reopen(ngx_http_ctseg_import_step_t *step,
    int status, const char *text);

/* ---- import_page.c ---- */

/* what came of a page; the events are stored when it answers OK */

typedef struct {
    ctseg_pull_t                   pull;        /* with what the answer says */
    uint64_t                       stored;
    uint64_t                       known;
    uint64_t                       profiles;
} ngx_http_ctseg_import_page_t;


/*
 * Read an answer, and store what is new in it; the record of the import is
 * left alone.  Its body is freed as soon as it was read.  Where it answers
 * anything but OK, step->known has to be loaded again.
 */

ctseg_rc_t ngx_http_ctseg_import_page(ngx_http_ctseg_import_step_t *step,
    ctseg_curl_request_t *r, ngx_http_ctseg_import_page_t *page);

/* ---- import_answer.c ---- */

/* what it says, once its events are stored; saved */

ctseg_rc_t ngx_http_ctseg_import_judge(ngx_http_ctseg_import_step_t *step,
    const ctseg_curl_request_t *r, ngx_http_ctseg_import_page_t *page);

/* the same request later: there was no answer, or no room for it */

ctseg_rc_t ngx_http_ctseg_import_failed(ngx_http_ctseg_import_step_t *step,
    int status, const char *text, int64_t retry_after_ms);
ctseg_rc_t ngx_http_ctseg_import_full(ngx_http_ctseg_import_step_t *step);


#endif /* NGX_HTTP_CTSEG_IMPORT_INT_H */
