/*
 * What an export would send: its first run, read as a run reads it, and sent
 * nowhere.  Pool threads.
 */

#ifndef CTSEG_PREVIEW_H
#define CTSEG_PREVIEW_H


#include "ctseg_cut.h"
#include "ctseg_read.h"


#define CTSEG_PREVIEW_MESSAGES  CTSEG_BATCH_MARKS


/* what is looked at */

typedef enum {
    CTSEG_BASIS_FIRST_RUN = 0,          /* the first run, if it began now */
    CTSEG_BASIS_LAST_DAY                /* that would send nothing yet: what
                                           arrived in the last 24 hours */
} ctseg_basis_t;


typedef struct {
    ctseg_basis_t   basis;
    ctseg_cut_t     cut;
    uint64_t        upto;               /* (cut.lo, upto] was looked at */
    bool            indexed;            /* profiles: with the latest state of
                                           each, */
    ctseg_latest_t  latest;
    int64_t         index_until;        /* or of those read by then */
    ctseg_counts_t  counts;             /* of it, as a run would count */
    uint64_t        bytes;              /* of all bodies */
    unsigned        nmessages;
    ctseg_buf_t     messages;           /* the first ones, as a JSON array
                                           without its end */

    ctseg_pinned_t  pinned;
    char            write_key[CTSEG_WRITE_KEY_MAX + 1];
} ctseg_preview_t;


/*
 * Take the settings and cut the log at its head; freed in any case.  dir is
 * where a temporary file may be.
 */

ctseg_rc_t ctseg_preview_begin(ctseg_preview_t *pv, ctseg_store_t *s,
    const char *dir, const ctseg_export_t *e, const ctseg_partner_t *p,
    int64_t now_ms, int64_t deadline, ctseg_err_t *err);

/*
 * Read on until the whole cut is looked at or the deadline has passed: OK.
 * AGAIN: "until" has passed before that, which is looked at between two
 * batches.  Else an error of the store, what came before it is kept.
 *
 * Which update of a profile is its last takes a look at all of them first.
 * When half of the time is over, what was seen until then is what is shown,
 * and the preview is not complete.
 */

ctseg_rc_t ctseg_preview_step(ctseg_preview_t *pv, ctseg_store_t *s,
    int64_t until, int64_t deadline, ctseg_err_t *err);

/* how long it would take at these rates; extrapolated while not complete */

double ctseg_preview_seconds(const ctseg_preview_t *pv,
    unsigned requests_per_s, unsigned events_per_s);

/* the answer of the API */

void ctseg_preview_render(ctseg_json_writer_t *w, const ctseg_preview_t *pv,
    unsigned requests_per_s, unsigned events_per_s);

void ctseg_preview_free(ctseg_preview_t *pv);


#endif /* CTSEG_PREVIEW_H */
