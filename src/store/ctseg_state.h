/*
 * Typed records over the table of state: partners, exports, runs.  One
 * record is one key, and what must change together lies in one record, so
 * every sequence of puts below is ordered such that a crash between two of
 * them leaves something that the next reader completes.  Pool threads.
 *
 *   partner/<id>             the partner
 *   nickname/<hex>           claims a nickname: partner id, time of the claim
 *   export/<id>              the export
 *   active/<id>              an export that is not final: hint for schedulers
 *   run/<export>/<number>    one run, number in 16 hex digits
 *   reply/<hex>              the answer to a POST with an Idempotency-Key
 *   throttle/<fingerprint>   when Segment wants to see a write key again
 *   rejected/<export>/<seq>  an event that Segment refused, sequence in 16 hex
 *                            digits
 *   rejected/<export>/<seq>-<seq>
 *                            all events from the first to the last of these
 *                            that could not be sent to it at all
 *   retry/<export>           refused events that are sent once more: how far
 *   alarm/<name>             when an operator was told of something
 *
 * A record that does not read hides no other: lists pass over it, answer OK,
 * and leave CORRUPT in err->code, the first such record in err->text and
 * their number in err->offset.
 *
 * "p->rev", "e->rev", "r->rev" carry the revision of the record read and are
 * what a put expects; a put that succeeds updates it.
 */

#ifndef CTSEG_STATE_H
#define CTSEG_STATE_H


#include "ctseg_store.h"
#include "../model/ctseg_run.h"


#define CTSEG_STATE_TIMEOUT_MS  5000


/* new id: 12 hex digits of the time, 8 of chance; sorts by time; with NUL */

void ctseg_id_new(char out[CTSEG_ID_TEXT_MAX], int64_t now_ms);

/* can it be an id of ours? else it names nothing: NOTFOUND */

bool ctseg_id_is_valid(ctseg_str_t id);


/* ---- partners ---- */

/* id, times and revision are set here; CONFLICT: the nickname is taken */

ctseg_rc_t ctseg_partner_create(ctseg_store_t *s, ctseg_partner_t *p,
    int64_t now_ms, ctseg_err_t *err);

ctseg_rc_t ctseg_partner_get(ctseg_store_t *s, ctseg_str_t id,
    ctseg_partner_t *p, ctseg_err_t *err);

/*
 * Store p, read before as *old: bumps revision, sets updated_ms, moves the
 * claim of the nickname when it changed.  CONFLICT with err->text "nickname"
 * when that is taken, AGAIN when the record changed since it was read (read
 * it again and reapply).
 */

ctseg_rc_t ctseg_partner_update(ctseg_store_t *s, ctseg_partner_t *p,
    const ctseg_partner_t *old, int64_t now_ms, ctseg_err_t *err);

/* CONFLICT while an export that is not final uses it (id in err->text) */

ctseg_rc_t ctseg_partner_delete(ctseg_store_t *s, ctseg_str_t id,
    int64_t now_ms, ctseg_err_t *err);

typedef bool (*ctseg_partner_pt)(void *data, const ctseg_partner_t *p);

/* ascending by id, that is by time of creation; false from cb ends it */

ctseg_rc_t ctseg_partner_list(ctseg_store_t *s, ctseg_partner_pt cb,
    void *data, ctseg_err_t *err);


/* ---- exports ---- */

/* id is set here.  NOTFOUND: the partner does not exist (or is being
   deleted) */

ctseg_rc_t ctseg_export_create(ctseg_store_t *s, ctseg_export_t *e,
    int64_t now_ms, ctseg_err_t *err);

ctseg_rc_t ctseg_export_get(ctseg_store_t *s, ctseg_str_t id,
    ctseg_export_t *e, ctseg_err_t *err);

/* compare and set on e->rev: CONFLICT */

ctseg_rc_t ctseg_export_put(ctseg_store_t *s, ctseg_export_t *e,
    ctseg_err_t *err);

/*
 * PENDING or RUNNING to STOPPED, *e filled with the result; CONFLICT when it
 * is final already (*e filled as it stands).  A run in progress is ended by
 * its owner, which sees the state at its next checkpoint.
 */

ctseg_rc_t ctseg_export_stop(ctseg_store_t *s, ctseg_str_t id,
    ctseg_stop_t reason, ctseg_export_t *e, ctseg_err_t *err);

typedef bool (*ctseg_export_pt)(void *data, const ctseg_export_t *e);

ctseg_rc_t ctseg_export_list(ctseg_store_t *s, ctseg_export_pt cb,
    void *data, ctseg_err_t *err);

/* ids of exports that are not final, or whose end is not tidied up yet */

typedef bool (*ctseg_active_pt)(void *data, const char *export_id);

ctseg_rc_t ctseg_active_list(ctseg_store_t *s, ctseg_active_pt cb,
    void *data, uint64_t *at_rev, ctseg_err_t *err);

/* the export is final and its runs are ended: nothing to schedule */

ctseg_rc_t ctseg_active_remove(ctseg_store_t *s, const char *export_id,
    ctseg_err_t *err);


/* ---- runs ---- */

/* expect no such run; CONFLICT: another worker made it first */

ctseg_rc_t ctseg_run_create(ctseg_store_t *s, ctseg_run_t *r,
    ctseg_err_t *err);

ctseg_rc_t ctseg_run_get(ctseg_store_t *s, const char *export_id,
    uint64_t number, ctseg_run_t *r, ctseg_err_t *err);

/* compare and set on r->rev; CONFLICT: the lease was lost */

ctseg_rc_t ctseg_run_put(ctseg_store_t *s, ctseg_run_t *r, ctseg_err_t *err);

typedef bool (*ctseg_run_pt)(void *data, const ctseg_run_t *r);

/* ascending by number */

ctseg_rc_t ctseg_run_list(ctseg_store_t *s, const char *export_id,
    ctseg_run_pt cb, void *data, ctseg_err_t *err);


/* ---- events that were rejected ---- */

#define CTSEG_EXCERPT_MAX  512          /* of an answer that is kept */

typedef struct {
    char            export_id[CTSEG_ID_TEXT_MAX];
    uint64_t        run;
    uint64_t        sequence;
    ctseg_reject_t  reason;
    int             status;             /* of the answer; 0: never sent */
    int64_t         at_ms;
    ctseg_str_t     answer;             /* its first bytes, as text */
    ctseg_str_t     message;            /* as it was sent: JSON */

    uint64_t        first;              /* of the record that it shares with */
    uint64_t        last;               /* others; 0: it has its own */
} ctseg_rejected_t;

/* one that is there already stays as it is: OK */

ctseg_rc_t ctseg_rejected_put(ctseg_store_t *s, const ctseg_rejected_t *r,
    ctseg_err_t *err);

/*
 * Events that were rejected without being sent, of one stretch of the log:
 * next fills in sequence, reason and message of the i-th, ascending; false:
 * there are no more.  Export, run and time are those of *r.  As few records
 * as they fit into; what is there already is harmless, also when a stretch is
 * read again in other pieces.  FULL: the store is half full, and the other
 * half is for what runs cannot do without.
 */

typedef bool (*ctseg_rejected_next_pt)(void *data, unsigned i,
    ctseg_rejected_t *r);

ctseg_rc_t ctseg_rejected_put_all(ctseg_store_t *s, const ctseg_rejected_t *r,
    ctseg_rejected_next_pt next, void *data, ctseg_err_t *err);

/* all, by sequence; answer and message are valid during the call only */

typedef bool (*ctseg_rejected_pt)(void *data, const ctseg_rejected_t *r);

ctseg_rc_t ctseg_rejected_list(ctseg_store_t *s, const char *export_id,
    ctseg_rejected_pt cb, void *data, ctseg_err_t *err);

/* one that was refused; answer and message point into buf, which the caller
   frees */

ctseg_rc_t ctseg_rejected_get(ctseg_store_t *s, const char *export_id,
    uint64_t sequence, ctseg_buf_t *buf, ctseg_rejected_t *rejected,
    ctseg_err_t *err);

/* any of them: *rejected as the list had it, but for answer and message */

ctseg_rc_t ctseg_rejected_find(ctseg_store_t *s, ctseg_buf_t *buf,
    ctseg_rejected_t *rejected, ctseg_err_t *err);

/*
 * The first that Segment refused in (after, upto]: one that was never sent is
 * passed over.  NOTFOUND: there is none.  What does not read is passed over,
 * too, and noted in err as by a list.  buf as above.
 */

ctseg_rc_t ctseg_rejected_next(ctseg_store_t *s, const char *export_id,
    uint64_t after, uint64_t upto, ctseg_buf_t *buf,
    ctseg_rejected_t *rejected, ctseg_err_t *err);

/* it was refused again: status, at_ms and answer of r are the new ones.  One
   that was forgotten meanwhile stays so: OK */

ctseg_rc_t ctseg_rejected_again(ctseg_store_t *s, const ctseg_rejected_t *r,
    ctseg_err_t *err);

/* forget one of them, or all of an export; none there: OK */

ctseg_rc_t ctseg_rejected_remove(ctseg_store_t *s, const char *export_id,
    uint64_t sequence, ctseg_err_t *err);
ctseg_rc_t ctseg_rejected_purge(ctseg_store_t *s, const char *export_id,
    ctseg_err_t *err);

/* the resource of the API */

void ctseg_rejected_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_rejected_t *r);


/* ---- refused events that are sent once more ---- */

typedef enum {
    CTSEG_RETRY_RUNNING = 1,
    CTSEG_RETRY_DONE,                   /* each of them was tried */
    CTSEG_RETRY_FAILED                  /* ended before that, see error */
} ctseg_retry_state_t;


/*
 * One for each export that was ever asked for it; it stays, for what it has
 * counted.  First come the events in (cursor, hi], then those in (0, again].
 * The put that moves the cursor is the verdict on the event there, and counts
 * it.  An event that was acknowledged is taken out of the rejected ones by
 * the next step; "moved" tells whoever goes on that this may be left to do.
 */

typedef struct {
    char                 export_id[CTSEG_ID_TEXT_MAX];
    char                 partner_id[CTSEG_ID_TEXT_MAX]; /* of the event it is
                                           at; empty: not known yet */
    ctseg_retry_state_t  state;

    uint64_t             cursor;
    uint64_t             hi;
    uint64_t             again;         /* 0: nothing comes after hi */
    bool                 moved;         /* the event at cursor was sent */
    uint64_t             asked;         /* how often somebody did */

    uint64_t             sent;          /* since it began */
    uint64_t             refused;
    uint64_t             delivered;     /* ever: what the export has sent
                                           beyond its runs */
    uint64_t             refusals;      /* in a row */

    int64_t              requested_ms;  /* the last time */
    int64_t              finished_ms;   /* 0: not yet */

    int                  error_status;  /* of the last failure */
    char                 error[160];    /* empty: none */
    int64_t              error_ms;
    int64_t              retry_at_ms;   /* 0: not waiting for an attempt */
    int64_t              failing_ms;    /* since when an event is tried again
                                           and again; 0: none is */
    int64_t              paused_ms;     /* since when its partner pauses */

    char                 owner[96];     /* who works on it; empty: nobody */
    uint64_t             fence;
    uint64_t             rev;
} ctseg_retry_t;


/*
 * Send what of the export is refused now once more: begin, or widen what is
 * under way.  *retry is the record as it is then; with nothing to send it is
 * DONE.  CONFLICT: too much changes at the moment.
 */

ctseg_rc_t ctseg_retry_request(ctseg_store_t *s, const char *export_id,
    int64_t now_ms, ctseg_retry_t *retry, ctseg_err_t *err);

/* NOTFOUND: never asked for */

ctseg_rc_t ctseg_retry_get(ctseg_store_t *s, const char *export_id,
    ctseg_retry_t *retry, ctseg_err_t *err);

/* compare and set on retry->rev: CONFLICT */

ctseg_rc_t ctseg_retry_put(ctseg_store_t *s, ctseg_retry_t *retry,
    ctseg_err_t *err);

typedef bool (*ctseg_retry_pt)(void *data, const ctseg_retry_t *retry);

ctseg_rc_t ctseg_retry_list(ctseg_store_t *s, ctseg_retry_pt cb, void *data,
    ctseg_err_t *err);

/* how many events it has yet to try; of one that failed: has not tried */

ctseg_rc_t ctseg_retry_left(ctseg_store_t *s, const ctseg_retry_t *retry,
    uint64_t *left, ctseg_err_t *err);

/* the resource of the API */

void ctseg_retry_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_retry_t *retry, uint64_t left);


/* ---- what Segment asked for ---- */

/*
 * Send nothing with a write key for so many ms, kept so that it holds over a
 * crash as well; a shorter one than is stored changes nothing.
 */

ctseg_rc_t ctseg_throttle_put(ctseg_store_t *s, const char *fingerprint,
    int64_t now_ms, int64_t wait_ms, ctseg_err_t *err);

/*
 * How many ms of it are left; 0: none, it has passed, or the clock has been
 * set back since and does not tell.
 */

ctseg_rc_t ctseg_throttle_get(ctseg_store_t *s, const char *fingerprint,
    int64_t now_ms, int64_t *wait_ms, ctseg_err_t *err);


/* ---- replies to requests with an Idempotency-Key ---- */

#define CTSEG_REPLY_KEY_MAX  40

typedef struct {
    char         key[CTSEG_REPLY_KEY_MAX];  /* hex digits; the caller's */
    uint64_t     request;               /* hash of what was asked */
    unsigned     status;                /* of the answer; 0: none yet */
    int64_t      at_ms;
    char         etag[32];
    char         location[CTSEG_ID_TEXT_MAX];
    ctseg_buf_t  body;                  /* the caller frees it */
    uint64_t     rev;
} ctseg_reply_t;

/*
 * With key and request filled in.  OK: the caller does the work and fills the
 * reply in.  CONFLICT: there is one of the last 24 hours already, *reply is
 * it; status 0: somebody is at it.
 */

ctseg_rc_t ctseg_reply_claim(ctseg_store_t *s, ctseg_reply_t *reply,
    int64_t now_ms, ctseg_err_t *err);

/* store the answer; status 0 forgets the claim */

ctseg_rc_t ctseg_reply_fill(ctseg_store_t *s, ctseg_reply_t *reply,
    ctseg_err_t *err);


/* ---- alarms ---- */

/*
 * May the operator be told of this now?  OK: once, by the caller.  CONFLICT:
 * some process did, less than every_ms ago.
 */

ctseg_rc_t ctseg_alarm_claim(ctseg_store_t *s, const char *name,
    int64_t now_ms, int64_t every_ms, ctseg_err_t *err);


#endif /* CTSEG_STATE_H */
