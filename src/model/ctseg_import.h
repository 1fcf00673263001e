/*
 * An import: a pull of history from CleverTap, by names of events and days
 * of the account, and how far it came.  One name after the other; of each
 * name one walk after the other, a walk being a stretch of days with one
 * chain of cursors.  Any thread; no clock.
 */

#ifndef CTSEG_IMPORT_H
#define CTSEG_IMPORT_H


#include "ctseg_export.h"


#define CTSEG_IMPORT_NAMES_MAX    100
#define CTSEG_IMPORT_NAME_MAX     512   /* characters of a name */
#define CTSEG_IMPORT_DAYS_MAX     3660
#define CTSEG_IMPORT_ERRORS_MAX   20    /* bad records that are told */
#define CTSEG_IMPORT_ACCOUNT_MAX  64

/* so that the record of an import fits the store; the sum is below its 64 KB
   for a value */

#define CTSEG_IMPORT_NAMES_BYTES   32768
#define CTSEG_IMPORT_CURSOR_MAX    16384
#define CTSEG_IMPORT_ERRORS_BYTES  14336


typedef struct {
    uint64_t  pages;
    uint64_t  received;                 /* records of pages that are stored:
                                           sum of the next three */
    uint64_t  stored;                   /* new events */
    uint64_t  known;                    /* that the log had already */
    uint64_t  refused;                  /* records that are no events */
    uint64_t  profiles;                 /* updates of profiles stored */
    uint64_t  retries;                  /* requests made once more */
} ctseg_import_counts_t;


typedef struct {
    char                   id[CTSEG_ID_TEXT_MAX];
    char                   account[CTSEG_IMPORT_ACCOUNT_MAX + 1];
    ctseg_buf_t            names;       /* the names, raw insides, each with a
                                           NUL behind it */
    unsigned               nnames;
    ctseg_civil_t          from;        /* days, inclusive */
    ctseg_civil_t          to;
    bool                   profiles;    /* also what records say of who did
                                           it */

    ctseg_status_t         status;      /* DONE: also with names that were
                                           refused */
    ctseg_stop_t           stop_reason;
    uint64_t               revision;    /* grows when a user changes it */
    int64_t                created_ms;
    int64_t                started_ms;  /* 0: not yet */
    int64_t                finished_ms;

    /* the walk at hand */

    unsigned               name;        /* index; nnames: all are done */
    ctseg_civil_t          walk_from;
    ctseg_civil_t          walk_to;     /* year 0: no walk is open */
    uint64_t               base;        /* what the log held before it: events
                                           up to this sequence, */
    uint32_t               incarnation; /* of this log */
    unsigned               page;        /* pages of the walk that are stored */
    uint64_t               seq;         /* of the producer, for appends: pages
                                           ever, plus 1 */
    ctseg_buf_t            cursor;      /* of the next page; empty: the walk
                                           is yet to be opened */
    uint64_t               cursor_hash; /* of the last page's: one that comes
                                           twice is a circle */
    unsigned               reopened;    /* times this walk was opened again */

    ctseg_import_counts_t  counts;
    uint64_t               forbidden[2];        /* bit i: name i is not for
                                           export */
    ctseg_buf_t            errors;      /* JSON items, commas between; at most
                                           CTSEG_IMPORT_ERRORS_BYTES */
    unsigned               nerrors;     /* of them; the rest is counted */

    int                    error_status;        /* of the last failure; 0:
                                           transport */
    char                   error[160];  /* empty: none */
    int64_t                error_ms;
    int64_t                retry_at_ms; /* 0: not waiting */
    unsigned               failures;    /* in a row */
    int64_t                failing_ms;  /* since when; 0: it is not */

    char                   owner[96];   /* who works on it; empty: nobody */
    uint64_t               fence;
    uint64_t               rev;         /* of the record in the store */
} ctseg_import_t;


/* what the configuration knows: accounts of ctseg_clevertap */

typedef struct {
    int64_t               now_ms;
    const ctseg_zone_t   *zone;
    const ctseg_str_t    *accounts;
    unsigned              naccounts;
} ctseg_import_env_t;


/*
 * Body of POST /imports into im (zeroed by the caller): {events:[names],
 * from, to, account_id (needed when there are several), profiles (default
 * false)}.  Status PENDING, revision 1.  Every wrong, missing, unknown or
 * read-only field is noted; true when there was none.  to: not after today.
 * Lack of memory shows in im->names.failed, which a put minds, too.
 */

bool ctseg_import_parse(ctseg_import_t *im, const ctseg_json_t *body,
    const ctseg_import_env_t *env, ctseg_problems_t *problems);

/* name i, raw inside */

ctseg_str_t ctseg_import_name(const ctseg_import_t *im, unsigned i);

/* of all days of all names, so many in a hundred are behind it */

unsigned ctseg_import_percent(const ctseg_import_t *im);

/* the resource of the API */

void ctseg_import_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_import_t *im);

void ctseg_import_free(ctseg_import_t *im);


#endif /* CTSEG_IMPORT_H */
