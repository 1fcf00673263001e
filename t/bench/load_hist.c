/*
 * Counts of latencies, for load.c.  A value keeps its six highest bits after
 * the first, so a percentile is off by 1.6 % at most; the largest is exact.
 */

#include "load_hist.h"


void
load_hist_add(load_hist_t *h, int64_t ns)
{
    int       shift;
    uint64_t  v;

    v = ns > 0 ? (uint64_t) ns : 0;
    shift = 0;

    if (v >= 128) {
        shift = 57 - __builtin_clzll(v);
    }

    /* at shift 0 there are 128 buckets, then 64 for each further bit */

    h->count[(uint64_t) shift * 64 + (v >> shift)]++;
    h->n++;

    if (ns > h->max) {
        h->max = ns;
    }
}


double
load_hist_us(const load_hist_t *h, double share)
{
    double    v;
    uint64_t  i, seen, want, shift;

    if (h->n == 0) {
        return 0;
    }

    want = (uint64_t) (share * (double) h->n);

    if (want >= h->n) {
        return (double) h->max / 1000;
    }

    seen = 0;

    for (i = 0; i < LOAD_HIST_BUCKETS; i++) {
        seen += h->count[i];

        if (seen > want) {
            break;
        }
    }

    /* the middle of the bucket */

    shift = i < 128 ? 0 : i / 64 - 1;
    v = (double) (i - shift * 64) * (double) (1ULL << shift)
        + (double) ((1ULL << shift) - 1) / 2;

    if (v > (double) h->max) {
        v = (double) h->max;
    }

    return v / 1000;
}
