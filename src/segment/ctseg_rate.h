/*
 * Token buckets of one write key: requests and events per second.  A bucket
 * holds at most one second's worth; a batch may overdraw it, and the next
 * one waits until it is paid back.  Who has a higher rank goes first.  Any
 * thread, one at a time; no clock.
 */

#ifndef CTSEG_RATE_H
#define CTSEG_RATE_H


#include "../model/ctseg_export.h"


typedef enum {
    CTSEG_RANK_ONE_TIME = 0,
    CTSEG_RANK_RECURRING,
    CTSEG_RANK_LIVE,
    CTSEG_RANK_N
} ctseg_rank_t;


/* what live may overdraw further: a full batch that went before it */

#define CTSEG_RATE_LIVE_DEBT    2500

/* while the partner pauses: one batch in so long, to see if it still does */

#define CTSEG_RATE_PROBE_MS     60000

/* how much later than told somebody may come back and still be first */

#define CTSEG_RATE_GRACE_MS     100


typedef struct {
    double   requests;                  /* tokens; negative: overdrawn */
    double   events;
    int64_t  at_ms;                     /* when they were counted, 0: new */
    int64_t  wanted_ms[CTSEG_RANK_N];   /* until then the next tokens are for
                                           this rank or a higher one */
    int64_t  held_ms;                   /* nothing before; 0: no such wish */
    bool     paused;                    /* one at a time, as a probe */
} ctseg_rate_t;


ctseg_rank_t ctseg_rate_rank(ctseg_freq_t freq);

/*
 * Ask to send a batch of n events at now_ms (a clock that does not jump) at
 * the given rates per second.  0: taken.  Else how many ms to wait before
 * asking again; whoever asks again in time goes before all of a lower rank.
 */

int64_t ctseg_rate_take(ctseg_rate_t *rate, ctseg_rank_t rank,
    unsigned requests_per_s, unsigned events_per_s, unsigned n,
    int64_t now_ms);

/* send nothing for so long: as Segment asked, or since the partner pauses */

void ctseg_rate_hold(ctseg_rate_t *rate, int64_t ms, bool paused,
    int64_t now_ms);

/* a batch was acknowledged: the partner does not pause (any more) */

void ctseg_rate_sent(ctseg_rate_t *rate);

/*
 * How long these rates alone hold up so many batches with so many events:
 * from the first to the last, with buckets that were full and that nobody
 * else draws from.
 */

double ctseg_rate_seconds(unsigned requests_per_s, unsigned events_per_s,
    uint64_t batches, uint64_t events);


#endif /* CTSEG_RATE_H */
