/*
 * A run: one immutable cut (lo, hi] of the log for one export, with the
 * settings pinned at its start, and how far it came.  Any thread; no clock.
 */

#ifndef CTSEG_RUN_H
#define CTSEG_RUN_H


#include "ctseg_export.h"


typedef enum {
    CTSEG_RUN_RUNNING = 1,
    CTSEG_RUN_SUCCEEDED,
    CTSEG_RUN_STOPPED,
    CTSEG_RUN_FAILED
} ctseg_run_status_t;


/* why an event can never be sent; order is storage, append only */

typedef enum {
    CTSEG_REJECT_NO_ID = 0,
    CTSEG_REJECT_TOO_LARGE,
    CTSEG_REJECT_REFUSED,               /* by Segment, when it stood alone */
    CTSEG_REJECT_EXPIRED,               /* gone before it was looked at */
    CTSEG_REJECT_NO_NAME,               /* Segment drops it silently */
    CTSEG_REJECT_DAMAGED,               /* its bytes in the log are not what
                                           they were */
    CTSEG_REJECT_FUTURE,                /* too far ahead of its arrival */
    CTSEG_REJECT_N
} ctseg_reject_t;


/* pinned at the start: a batch is a function of these and the log */

typedef struct {
    ctseg_type_t    type;
    ctseg_kinds_t   kinds;
    int64_t         from_ms;            /* event time window; INT64_MIN and */
    int64_t         to_ms;              /* INT64_MAX when there is none */
    ctseg_source_t  user_id;
    ctseg_source_t  anonymous_id;
    uint8_t         priority[CTSEG_PRIORITY_MAX];
    unsigned        npriority;
    ctseg_mapping_t mapping;
    char            fingerprint[17];    /* of the write key, for messageIds */
} ctseg_pinned_t;


typedef struct {
    uint64_t  scanned;
    uint64_t  sent;
    uint64_t  filtered;
    uint64_t  rejected;                 /* sum of rejects[] */
    uint64_t  rejects[CTSEG_REJECT_N];
    uint64_t  batches;                  /* acknowledged by Segment */
    uint64_t  retries;
} ctseg_counts_t;


typedef struct {
    char                export_id[CTSEG_ID_TEXT_MAX];
    char                partner_id[CTSEG_ID_TEXT_MAX];
    uint64_t            number;         /* 1.. within the export */
    ctseg_freq_t        freq;           /* live: hi follows the head */
    ctseg_run_status_t  status;
    uint64_t            export_revision;
    ctseg_region_t      region;
    ctseg_pinned_t      pinned;

    uint32_t            incarnation;    /* of the log that is cut */
    uint64_t            lo;             /* after this sequence */
    uint64_t            hi;             /* up to this one, inclusive */
    uint64_t            cursor;         /* (lo, cursor] have verdicts */
    ctseg_counts_t      counts;
    uint64_t            coalesced_slots;

    int64_t             scheduled_ms;
    int64_t             started_ms;
    int64_t             finished_ms;    /* 0: not yet */

    int                 error_status;   /* of the last failure; 0: transport */
    char                error[160];     /* empty: none */
    int64_t             error_ms;
    int64_t             retry_at_ms;    /* 0: not waiting for a retry */
    int64_t             failing_ms;     /* since when something is tried
                                           again; 0: all is well */
    int64_t             paused_ms;      /* since when its partner pauses; 0:
                                           it does not */
    uint64_t            refusals;       /* single events in a row, without an
                                           acknowledgement in between */
    uint64_t            pace;           /* events with a verdict per 1000 s,
                                           lately; 0: not measured yet */

    char                owner[96];      /* who works on it; empty: nobody */
    uint64_t            fence;          /* grows with every owner */

    uint64_t            rev;            /* of the record in the store */
} ctseg_run_t;


const char *ctseg_run_status_name(ctseg_run_status_t s);
const char *ctseg_reject_name(ctseg_reject_t r);        /* "no_id" */

/* pin the settings of e and p */

void ctseg_run_pin(ctseg_run_t *run, const ctseg_export_t *e,
    const ctseg_partner_t *p);

/*
 * Does a run of such an export send each profile once, with all that its cut
 * says of it?  A live one does not know its end, and sends what comes.
 */

bool ctseg_run_by_profile(ctseg_type_t type, ctseg_freq_t freq);

/*
 * Take the verdicts on (run->cursor, upto] into the run.  False, and the run
 * is unchanged, when they do not add up: delta->scanned must be the length of
 * the range and the sum of sent, filtered and rejected.
 *
 * A one time run looks at what is kept when it begins.  What retention took
 * away before it had counted anything was never its own: its cut begins
 * behind that, instead of counting it as expired.
 */

bool ctseg_run_advance(ctseg_run_t *run, uint64_t upto,
    const ctseg_counts_t *delta);

/*
 * Add the verdicts of a run that is over to the totals of its export.  Only
 * the first time: an end that was not stored whole is completed by somebody
 * else, who does this again.
 */

void ctseg_run_settle(const ctseg_run_t *run, ctseg_export_t *e);

/* the totals of all runs; last is the newest one, NULL: there is none */

ctseg_totals_t ctseg_run_totals(const ctseg_export_t *e,
    const ctseg_run_t *last);

/* events in the cut without a verdict yet: hi - lo - scanned */

uint64_t ctseg_run_waiting(const ctseg_run_t *run);

/* scanned = sent + filtered + rejected, scanned + waiting = hi - lo */

bool ctseg_run_is_conserved(const ctseg_run_t *run);

/*
 * How fast it goes lately.  Called about once a second with a clock that does
 * not jump; time in which nothing waits is not counted.  mark is the caller's,
 * zeroed at the start.
 */

typedef struct {
    int64_t   at_ms;
    uint64_t  scanned;
} ctseg_mark_t;

void ctseg_run_measure(ctseg_run_t *run, ctseg_mark_t *mark,
    int64_t mono_ms);

/* what is allowed for its write key per second; 0: not known */

typedef struct {
    unsigned  requests;
    unsigned  events;
} ctseg_limits_t;

/*
 * Seconds until nothing waits any more: at the measured pace, and not before
 * the limits let it.  -1: nobody can tell.
 */

double ctseg_run_eta(const ctseg_run_t *run, const ctseg_limits_t *limits,
    int64_t now_ms);

/* the resource of the API */

void ctseg_run_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_run_t *run);

/* the export's resource; last may be NULL: never ran */

void ctseg_export_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_export_t *e, const ctseg_run_t *last,
    const ctseg_limits_t *limits, int64_t now_ms);


#endif /* CTSEG_RUN_H */
