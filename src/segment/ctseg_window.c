/*
 * The window opens at its full width, since most of the time nothing is wrong.
 * A batch takes as long as the network and Segment take for it; twice the best
 * of late, and a tenth of a second for jitter, is what counts as slow.
 */

#include "ctseg_window.h"


#define CTSEG_WINDOW_SLOW      2.0
#define CTSEG_WINDOW_JITTER    100.0    /* ms */
#define CTSEG_WINDOW_SHRINK    0.9      /* for each slow answer */
#define CTSEG_WINDOW_FORGET    1.01     /* the best of late, not of ever */


static double
ctseg_window_width(const ctseg_window_t *w, unsigned max)
{
    return w->size == 0 || w->size > max ? max : w->size;
}


unsigned
ctseg_window_size(const ctseg_window_t *w, unsigned max)
{
    return (unsigned) ctseg_window_width(w, max);
}


void
ctseg_window_sent(ctseg_window_t *w, double ms, unsigned max)
{
    double  size;

    size = ctseg_window_width(w, max);

    if (w->best_ms == 0 || ms < w->best_ms) {
        w->best_ms = ms > 1 ? ms : 1;
    }

    if (ms > w->best_ms * CTSEG_WINDOW_SLOW + CTSEG_WINDOW_JITTER) {
        size *= CTSEG_WINDOW_SHRINK;
        w->best_ms *= CTSEG_WINDOW_FORGET;

    } else {
        size += 1 / size;
    }

    w->size = size < 1 ? 1 : size > max ? max : size;
}


void
ctseg_window_failed(ctseg_window_t *w, unsigned max)
{
    double  size;

    size = ctseg_window_width(w, max) / 2;

    w->size = size < 1 ? 1 : size;
}
