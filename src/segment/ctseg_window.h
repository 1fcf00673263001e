/*
 * How many batches of a run may be in flight: one more for each round that
 * goes well, half as many when Segment's side is overloaded, a little less
 * while it becomes slow (additive increase, multiplicative decrease).  Any
 * thread, one at a time; no clock.
 */

#ifndef CTSEG_WINDOW_H
#define CTSEG_WINDOW_H


#include "../base/ctseg.h"


typedef struct {
    double  size;                       /* at least 1; 0: not begun */
    double  best_ms;                    /* latency at its best, lately */
} ctseg_window_t;


/* how many may be in flight, of at most max */

unsigned ctseg_window_size(const ctseg_window_t *w, unsigned max);

/* a batch was acknowledged after so many milliseconds */

void ctseg_window_sent(ctseg_window_t *w, double ms, unsigned max);

/* too much, an error of the server, or no answer */

void ctseg_window_failed(ctseg_window_t *w, unsigned max);


#endif /* CTSEG_WINDOW_H */
