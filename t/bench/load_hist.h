/*
 * Latencies of the load generator: counts in buckets that are 1/64 wide of
 * what they measure, from a nanosecond to hours.
 */

#ifndef LOAD_HIST_H
#define LOAD_HIST_H

#include <stdint.h>


#define LOAD_HIST_BUCKETS  (59 * 64)


typedef struct {
    uint64_t  n;
    int64_t   max;
    uint64_t  count[LOAD_HIST_BUCKETS];
} load_hist_t;


void load_hist_add(load_hist_t *h, int64_t ns);

/* microseconds below which this share (0..1) of all lie */

double load_hist_us(const load_hist_t *h, double share);


#endif
