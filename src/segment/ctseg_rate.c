/*
 * Buckets that may go into debt: a batch of 2,500 events passes a rate of
 * 1,000 a second, and 2.5 seconds follow without one.  So batches stay full
 * at any rate, and the rate holds on average.
 */

#include "ctseg_rate.h"


static int64_t
ctseg_rate_wait(double tokens, unsigned per_s)
{
    if (tokens > 0) {
        return 0;
    }

    return 1 + (int64_t) (-tokens * 1000.0 / per_s);
}


int64_t
ctseg_rate_take(ctseg_rate_t *rate, unsigned requests_per_s,
    unsigned events_per_s, unsigned n, int64_t now_ms)
{
    double   seconds;
    int64_t  wait, wait_events;

    if (rate->at_ms == 0) {
        rate->requests = requests_per_s;
        rate->events = events_per_s;

    } else if (now_ms > rate->at_ms) {
        seconds = (double) (now_ms - rate->at_ms) / 1000.0;

        rate->requests += seconds * requests_per_s;
        rate->events += seconds * events_per_s;

        if (rate->requests > requests_per_s) {
            rate->requests = requests_per_s;
        }

        if (rate->events > events_per_s) {
            rate->events = events_per_s;
        }
    }

    rate->at_ms = now_ms;

    wait = ctseg_rate_wait(rate->requests, requests_per_s);
    wait_events = ctseg_rate_wait(rate->events, events_per_s);

    if (wait_events > wait) {
        wait = wait_events;
    }

    if (wait != 0) {
        return wait;
    }

    rate->requests -= 1;
    rate->events -= n;

    return 0;
}
