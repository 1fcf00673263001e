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


/* ---- events that were refused ---- */

#define CTSEG_EXCERPT_MAX  512          /* of an answer that is kept */

typedef struct {
    char            export_id[CTSEG_ID_TEXT_MAX];
    uint64_t        run;
    uint64_t        sequence;
    ctseg_reject_t  reason;
    int             status;             /* of the answer */
    int64_t         at_ms;
    ctseg_str_t     answer;             /* its first bytes, as text */
    ctseg_str_t     message;            /* as it was sent: JSON */
} ctseg_rejected_t;

/* one that is there already stays as it is: OK */

ctseg_rc_t ctseg_rejected_put(ctseg_store_t *s, const ctseg_rejected_t *r,
    ctseg_err_t *err);

/* by sequence; answer and message are valid during the call only */

typedef bool (*ctseg_rejected_pt)(void *data, const ctseg_rejected_t *r);

ctseg_rc_t ctseg_rejected_list(ctseg_store_t *s, const char *export_id,
    ctseg_rejected_pt cb, void *data, ctseg_err_t *err);

/* one of them; answer and message point into buf, which the caller frees */

ctseg_rc_t ctseg_rejected_get(ctseg_store_t *s, const char *export_id,
    uint64_t sequence, ctseg_buf_t *buf, ctseg_rejected_t *rejected,
    ctseg_err_t *err);

/* forget all of an export */

ctseg_rc_t ctseg_rejected_purge(ctseg_store_t *s, const char *export_id,
    ctseg_err_t *err);

/* the resource of the API */

void ctseg_rejected_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_rejected_t *r);


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
