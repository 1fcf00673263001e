/*
 * Buckets that may go into debt: a batch of 2,500 events passes a rate of
 * 1,000 a second, and 2.5 seconds follow without one.  So batches stay full
 * at any rate, and the rate holds on average.  A live export does not wait
 * for the debt of one such batch: it adds to it, and the others wait longer.
 */

#include "ctseg_rate.h"


ctseg_rank_t
ctseg_rate_rank(ctseg_freq_t freq)
{
    switch (freq) {

    case CTSEG_FREQ_LIVE:
        return CTSEG_RANK_LIVE;

    case CTSEG_FREQ_RECURRING:
        return CTSEG_RANK_RECURRING;

    default:
        return CTSEG_RANK_ONE_TIME;
    }
}


static double
ctseg_rate_fill(double tokens, unsigned per_s, double seconds)
{
    tokens += seconds * per_s;

    return tokens < per_s ? tokens : per_s;
}


static int64_t
ctseg_rate_wait(double tokens, unsigned per_s)
{
    if (tokens > 0) {
        return 0;
    }

    return 1 + (int64_t) (-tokens * 1000.0 / per_s);
}


int64_t
ctseg_rate_take(ctseg_rate_t *rate, ctseg_rank_t rank,
    unsigned requests_per_s, unsigned events_per_s, unsigned n,
    int64_t now_ms)
{
    double    seconds, debt;
    int64_t   wait, wait_events;
    unsigned  higher;

    if (rate->at_ms == 0) {
        rate->requests = requests_per_s;
        rate->events = events_per_s;

    } else if (now_ms > rate->at_ms) {
        seconds = (double) (now_ms - rate->at_ms) / 1000.0;

        rate->requests = ctseg_rate_fill(rate->requests, requests_per_s,
                                         seconds);
        rate->events = ctseg_rate_fill(rate->events, events_per_s, seconds);
    }

    rate->at_ms = now_ms;

    debt = rank == CTSEG_RANK_LIVE ? CTSEG_RATE_LIVE_DEBT : 0;

    wait = ctseg_rate_wait(rate->requests, requests_per_s);
    wait_events = ctseg_rate_wait(rate->events + debt, events_per_s);

    if (wait_events > wait) {
        wait = wait_events;
    }

    if (rate->held_ms - now_ms > wait) {
        wait = rate->held_ms - now_ms;
    }

    for (higher = rank + 1; higher < CTSEG_RANK_N; higher++) {
        if (rate->wanted_ms[higher] - now_ms > wait) {
            wait = rate->wanted_ms[higher] - now_ms;
        }
    }

    if (wait != 0) {
        rate->wanted_ms[rank] = now_ms + wait + CTSEG_RATE_GRACE_MS;
        return wait;
    }

    rate->requests -= 1;
    rate->events -= n;

    if (rate->paused) {
        rate->held_ms = now_ms + CTSEG_RATE_PROBE_MS;
    }

    return 0;
}


void
ctseg_rate_hold(ctseg_rate_t *rate, int64_t ms, bool paused, int64_t now_ms)
{
    if (now_ms + ms > rate->held_ms) {
        rate->held_ms = now_ms + ms;
    }

    if (paused) {
        rate->paused = true;
    }
}


void
ctseg_rate_sent(ctseg_rate_t *rate)
{
    if (rate->paused) {
        rate->paused = false;
        rate->held_ms = 0;
    }
}


double
ctseg_rate_seconds(unsigned requests_per_s, unsigned events_per_s,
    uint64_t batches, uint64_t events)
{
    double  before, by_requests, by_events, seconds;

    if (batches < 2) {
        return 0;
    }

    /* the last one goes when those before it are paid for */

    before = (double) (batches - 1);

    by_requests = before / requests_per_s;
    by_events = before / (double) batches * (double) events / events_per_s;

    seconds = by_requests > by_events ? by_requests : by_events;

    /* a full bucket pays for the first second's worth */

    return seconds > 1 ? seconds - 1 : 0;
}
