/*
 * Retention: which events of the log may go, and what keeps the others.  What
 * an export that is not final still has to look at stays, however old it is.
 */

#ifndef CTSEG_RETAIN_H
#define CTSEG_RETAIN_H


#include "../model/ctseg_run.h"
#include "../store/ctseg_store.h"


/* what one export needs of a log */

typedef enum {
    CTSEG_HOLD_NOTHING = 0,
    CTSEG_HOLD_AFTER,                   /* every event behind a sequence */
    CTSEG_HOLD_SINCE                    /* what arrived since an instant */
} ctseg_hold_e;

typedef struct {
    ctseg_hold_e  what;
    uint64_t      after;
    int64_t       since_ms;
} ctseg_hold_t;

/*
 * run is the one under way, or NULL when the next is still to be cut;
 * incarnation that of the log as it is.  Any thread.
 */

void ctseg_hold_of(ctseg_hold_t *hold, const ctseg_export_t *e,
    const ctseg_run_t *run, uint32_t incarnation, int64_t now_ms);


typedef struct {
    int64_t   before_ms;                /* appended before this: may go, */
    uint64_t  keep_from;                /* but not this one and later ones */
    bool      due;                      /* there is a block that may */

    uint64_t  held;                     /* events so old that have to stay */
    int64_t   held_since_ms;            /* when the oldest of them arrived */
    char      export_id[CTSEG_ID_TEXT_MAX];     /* that needs it; empty */
} ctseg_retain_t;

/*
 * How things stand at now_ms, with what was appended before before_ms to be
 * removed.  An export that is damaged needs everything.  Costs two reads when
 * the oldest block is not that old yet, else one or two for each export that
 * is not final.  Pool threads; errors of the store.
 */

ctseg_rc_t ctseg_retain_look(ctseg_store_t *s, int64_t before_ms,
    int64_t now_ms, int64_t deadline, ctseg_retain_t *out, ctseg_err_t *err);


#endif /* CTSEG_RETAIN_H */
