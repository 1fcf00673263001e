/*
 * An export: what of the log goes to which partner, and when; and the four
 * states it moves through.  Any thread; no clock: now and zone are arguments.
 */

#ifndef CTSEG_EXPORT_H
#define CTSEG_EXPORT_H


#include "ctseg_partner.h"
#include "../base/ctseg_time.h"


#define CTSEG_LOOKBACK_DAYS  60         /* one time: at most so far back */
#define CTSEG_PRIORITY_MAX   6

#define CTSEG_INTEGRATIONS_MAX  2048    /* bytes, without white space */
#define CTSEG_INTEGRATIONS_N    50      /* names in it */
#define CTSEG_FUTURE_MS         86400000LL  /* an event may be so far ahead of
                                               its arrival */


typedef enum {
    CTSEG_TYPE_EVENT = 1,
    CTSEG_TYPE_PROFILE
} ctseg_type_t;


typedef enum {
    CTSEG_FREQ_ONE_TIME = 1,
    CTSEG_FREQ_RECURRING,
    CTSEG_FREQ_LIVE
} ctseg_freq_t;


typedef enum {
    CTSEG_PENDING = 1,
    CTSEG_RUNNING,
    CTSEG_DONE,
    CTSEG_STOPPED
} ctseg_status_t;


typedef enum {
    CTSEG_STOP_NONE = 0,
    CTSEG_STOP_USER,
    CTSEG_STOP_ERRORS
} ctseg_stop_t;


/* how properties are named in a message */

typedef enum {
    CTSEG_NAMES_ORIGINAL = 0,
    CTSEG_NAMES_CANONICAL
} ctseg_names_t;


/* what becomes of an event that is too far ahead of its arrival */

typedef enum {
    CTSEG_FUTURE_KEEP = 0,
    CTSEG_FUTURE_CLAMP,
    CTSEG_FUTURE_REJECT
} ctseg_future_t;


/* how messages are made, beyond what they always are; zeroed: as always */

typedef struct {
    bool            context;            /* facts of the device and so on as
                                           Segment's context, too */
    ctseg_names_t   names;
    ctseg_future_t  future;
    char            integrations[CTSEG_INTEGRATIONS_MAX + 1];   /* an object
                                           of JSON; empty: none */
} ctseg_mapping_t;


/* what may happen to an export */

typedef enum {
    CTSEG_ON_START = 0,                 /* a run begins */
    CTSEG_ON_FINISH,                    /* a run is complete */
    CTSEG_ON_STOP,                      /* by an operator or the engine */
    CTSEG_ON_EDIT                       /* PATCH */
} ctseg_export_event_t;


/* verdicts on events, over several runs */

typedef struct {
    uint64_t        sent;
    uint64_t        filtered;
    uint64_t        rejected;
} ctseg_totals_t;


typedef struct {
    char            id[CTSEG_ID_TEXT_MAX];
    char            partner_id[CTSEG_ID_TEXT_MAX];
    ctseg_type_t    type;
    ctseg_set_t     set;
    ctseg_kinds_t   kinds;              /* what the set means, as a mask */
    uint8_t         priority[CTSEG_PRIORITY_MAX];   /* ctseg_id_e */
    unsigned        npriority;
    ctseg_mapping_t mapping;

    ctseg_freq_t    freq;
    char            range[16];          /* as asked: "today"...; or empty */
    char            from[CTSEG_DATE_LEN + 1];       /* one time, inclusive */
    char            to[CTSEG_DATE_LEN + 1];
    int64_t         from_ms;            /* event time >= from_ms */
    int64_t         to_ms;              /* event time <  to_ms */
    unsigned        every_hours;        /* recurring */
    char            start_date[CTSEG_DATE_LEN + 1];
    int64_t         start_ms;           /* 00:00 of it; live: of creation */
    int64_t         covered_ms;         /* slots up to here had their run */
    uint64_t        cut;                /* the next run begins after this
                                           sequence, */
    uint32_t        incarnation;        /* of this log; 0: not cut yet */

    ctseg_status_t  status;
    ctseg_stop_t    stop_reason;
    uint64_t        revision;           /* of the definition, 1 at creation */
    uint64_t        runs;               /* number of the newest run, 0: none */
    char            exported_on[CTSEG_DATE_LEN + 1];    /* day of creation */
    int64_t         created_ms;
    int64_t         next_run_ms;        /* 0: none to come */
    int64_t         ended_ms;           /* DONE or STOPPED since; 0: not */

    ctseg_totals_t  totals;             /* of the runs up to this one, */
    uint64_t        totals_run;         /* which are over */

    uint64_t        rev;                /* of the record in the store; not
                                           part of the export */
} ctseg_export_t;


/*
 * The one transition table.  Answers the next state, or 0 when the event is
 * not allowed there:
 *
 *              START     FINISH                     STOP      EDIT
 *   PENDING    RUNNING   -                          STOPPED   stays; one time:
 *   RUNNING    RUNNING   one time DONE, live        STOPPED   never
 *                        RUNNING, else PENDING
 *   DONE       -         -                          -         -
 *   STOPPED    -         -                          -         -
 */

ctseg_status_t ctseg_export_step(ctseg_freq_t freq, ctseg_status_t from,
    ctseg_export_event_t event);

/* static text of the rule that refuses; NULL: the event is allowed */

const char *ctseg_export_rule(ctseg_freq_t freq, ctseg_status_t from,
    ctseg_export_event_t event);

/* DONE and STOPPED are final */

bool ctseg_export_is_final(ctseg_status_t status);

const char *ctseg_status_name(ctseg_status_t s);        /* "PENDING" */
const char *ctseg_freq_name(ctseg_freq_t f);            /* "one_time" */
const char *ctseg_type_name(ctseg_type_t t);            /* "event" */
const char *ctseg_stop_name(ctseg_stop_t s);            /* "user"; NULL */
const char *ctseg_names_name(ctseg_names_t n);          /* "original" */
const char *ctseg_future_name(ctseg_future_t f);        /* "keep" */
ctseg_status_t ctseg_status_parse(ctseg_str_t s);       /* 0: unknown */
ctseg_freq_t ctseg_freq_parse(ctseg_str_t s);
ctseg_type_t ctseg_type_parse(ctseg_str_t s);


/* what decides on a definition besides its own text */

typedef struct {
    int64_t              now_ms;
    const ctseg_zone_t  *zone;          /* the account zone */
    bool                 custom_events; /* ctseg_custom_events on */
    int64_t              retention_ms;  /* how long events are kept; 0: for
                                           ever */
} ctseg_export_env_t;

/*
 * Body of POST /exports into e (zeroed by the caller; id is the caller's).
 * Fills every field above but id, rev: status PENDING, revision 1, dates of a
 * range resolved, next_run_ms = now for one time.  Every wrong, missing,
 * unknown or read-only field is noted; true when there was none.  That the
 * partner exists is for the caller to check.  A profile has no events (set
 * and kinds are 0) and recurs every 24 hours.  Live: start_ms and next_run_ms
 * are now; behind which event it begins (cut, incarnation) is for the caller
 * to say.  Recurring: start_ms is 00:00 of the start date (default today),
 * covered_ms lies just before it, next_run_ms is start_ms or now, whichever is
 * later; a start date more than 60 days back is refused.  So is a one time
 * range of which retention keeps nothing.
 */

bool ctseg_export_parse(ctseg_export_t *e, const ctseg_json_t *body,
    const ctseg_export_env_t *env, ctseg_problems_t *problems);

/*
 * Body of PATCH onto an existing export.  Three ends: true, e is changed, its
 * revision raised; false with problems (422), e is as it was; false with
 * *rule set (409): static text that names the rule of the lifecycle that
 * refuses ("a one time export cannot be edited").  partner_id, events,
 * identifier_priority, frequency (of the same kind) and members of mapping,
 * those that are given, may change.  A
 * frequency that is given restarts at 00:00 of its start date (default
 * today): covered_ms is now, and next_run_ms of a PENDING export is the first
 * slot after now; what was cut stays cut.
 */

bool ctseg_export_patch(ctseg_export_t *e, const ctseg_json_t *body,
    const ctseg_export_env_t *env, ctseg_problems_t *problems,
    const char **rule);

/*
 * What is right about a definition that was just parsed and yet not what was
 * meant: a range, or a start date, whose beginning is not kept any more.
 */

void ctseg_export_warn(const ctseg_export_t *e,
    const ctseg_export_env_t *env, ctseg_problems_t *warnings);

/*
 * What arrived before this may be removed.  A day may have 25 hours, so days
 * are kept for an hour longer: 61 of them are enough for a range that begins
 * 60 days back.
 */

int64_t ctseg_retention_before(int64_t now_ms, int64_t retention_ms);


#endif /* CTSEG_EXPORT_H */
