/*
 * Where the next run of an export begins and ends in the log.  Pool threads.
 */

#ifndef CTSEG_CUT_H
#define CTSEG_CUT_H


#include "../model/ctseg_run.h"
#include "../store/ctseg_store.h"


typedef struct {
    uint32_t  incarnation;
    uint64_t  lo;                       /* after this sequence */
    uint64_t  hi;                       /* up to the head of the log */
} ctseg_cut_t;


/*
 * The cut of a run that starts now.  A one-time export selects by event time,
 * so every event kept is looked at.  The others go on where their last run
 * ended (e->cut), also when that lies before what is kept; the first of a
 * recurring one takes what arrived since e->start_ms, and a live one is cut
 * at its creation.  Errors of the store.
 */

ctseg_rc_t ctseg_cut_next(ctseg_store_t *s, const ctseg_export_t *e,
    int64_t deadline, ctseg_cut_t *cut, ctseg_err_t *err);

/* nothing yet: behind the newest event */

ctseg_rc_t ctseg_cut_head(ctseg_store_t *s, int64_t deadline,
    ctseg_cut_t *cut, ctseg_err_t *err);

/* all events that arrived since ms, up to the head */

ctseg_rc_t ctseg_cut_since(ctseg_store_t *s, int64_t ms, int64_t deadline,
    ctseg_cut_t *cut, ctseg_err_t *err);


#endif /* CTSEG_CUT_H */
