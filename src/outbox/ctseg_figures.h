/*
 * How exports and partners stand, in numbers, for who watches them.  It reads
 * each export's record, and for those that are shown the newest run and one
 * header of the log, so its time grows with the exports and not with the log.
 * Pool threads.
 */

#ifndef CTSEG_FIGURES_H
#define CTSEG_FIGURES_H


#include "../model/ctseg_run.h"
#include "../store/ctseg_state.h"


#define CTSEG_FIGURES_PARTNERS  1000    /* shown at most */
#define CTSEG_FIGURES_ENDED_MS  (24 * 60 * 60 * 1000)


/* an export that is not final, or has been for less than a day */

typedef struct {
    char             id[CTSEG_ID_TEXT_MAX];
    ctseg_totals_t   totals;            /* of all its runs, and what was
                                           sent once more */
    uint64_t         waiting;           /* events it has yet to look at */
    int64_t          oldest_ms;         /* how long the oldest of them has
                                           waited for it */
} ctseg_figure_t;


typedef struct {
    char             id[CTSEG_ID_TEXT_MAX];
    bool             paused;            /* only an operator can help */
} ctseg_figure_partner_t;


typedef struct {
    unsigned                 status[CTSEG_STOPPED + 1]; /* how many exports */

    ctseg_figure_t          *exports;
    unsigned                 nexports;
    unsigned                 unlisted;  /* others that should be shown */

    ctseg_figure_partner_t  *partners;  /* ascending by id */
    unsigned                 npartners;

    ctseg_err_t              note;      /* what of one export cannot be read;
                                           text empty: nothing */
} ctseg_figures_t;


/*
 * Into f, zeroed by the caller, who frees it in any case; at most so many
 * exports are shown.  When there are more, the older ones of those that are
 * not final go first, and then the younger ones of those that have ended.
 * Errors of the store, NOMEM.
 */

ctseg_rc_t ctseg_figures_read(ctseg_store_t *s, unsigned most,
    int64_t now_ms, int64_t deadline, ctseg_figures_t *f, ctseg_err_t *err);

void ctseg_figures_free(ctseg_figures_t *f);


#endif /* CTSEG_FIGURES_H */
