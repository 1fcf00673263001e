/*
 * Token buckets of one write key: requests and events per second.  A bucket
 * holds at most one second's worth; a batch may overdraw it, and the next
 * one waits until it is paid back.  Any thread, one at a time; no clock.
 */

#ifndef CTSEG_RATE_H
#define CTSEG_RATE_H


#include "../base/ctseg.h"


typedef struct {
    double   requests;                  /* tokens; negative: overdrawn */
    double   events;
    int64_t  at_ms;                     /* when they were counted, 0: new */
} ctseg_rate_t;


/*
 * Ask to send a batch of n events at now_ms (a clock that does not jump) at
 * the given rates per second.  0: taken.  Else how many ms to wait first.
 */

int64_t ctseg_rate_take(ctseg_rate_t *rate, unsigned requests_per_s,
    unsigned events_per_s, unsigned n, int64_t now_ms);


#endif /* CTSEG_RATE_H */
