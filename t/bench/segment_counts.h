/*
 * What the Segment of the benchmark counts, and how it says so: for segment.c
 * alone.  The unique numbers of the load generator have one bit each, and in
 * a file of their own the time at which they arrived.
 */

#ifndef SEGMENT_COUNTS_H
#define SEGMENT_COUNTS_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>


#define SEGMENT_SIZES   4096                /* batches that are remembered */
#define SEGMENT_STATS   (SEGMENT_SIZES * 24 + 4096)

#define SEGMENT_MAX_BYTES   500000          /* of Segment, of a batch */
#define SEGMENT_MAX_EVENTS  2500

typedef struct {
    uint64_t      batches, bytes, events, refused, broken;
    uint64_t      distinct, doubled, unknown;
    uint64_t      largest_bytes, largest_events, over_limit;
    uint64_t      in_flight_max;
    int64_t       first_ns, last_ns;
} counts_t;


static uint64_t   in_flight;
static counts_t   counts;
static uint32_t   sizes[SEGMENT_SIZES][2];

static uint64_t   first, number;            /* of the unique numbers */
static uint64_t  *bitmap;
static int64_t   *arrivals;


static void
fail(const char *what)
{
    fprintf(stderr, "segment: %s: %s\n", what, strerror(errno));
    exit(1);
}


static int64_t
now_ns(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


/* what was answered with 200 is delivered */

static void
count_seqs(const uint32_t *seqs, size_t nseqs, int64_t now)
{
    size_t    i;
    uint64_t  n, bit;

    for (i = 0; i < nseqs; i++) {
        n = seqs[i] - first;

        if (seqs[i] < first || n >= number) {
            counts.unknown++;
            continue;
        }

        bit = (uint64_t) 1 << (n & 63);

        if (bitmap[n >> 6] & bit) {
            counts.doubled++;
            continue;
        }

        bitmap[n >> 6] |= bit;
        counts.distinct++;

        if (arrivals != NULL) {
            arrivals[n] = now;
        }
    }
}


static void
count_batch(uint64_t bytes, uint64_t events, const uint32_t *seqs,
    size_t nseqs)
{
    int64_t    now;
    uint32_t  *size;

    now = now_ns();

    if (counts.batches == 0) {
        counts.first_ns = now;
    }

    counts.last_ns = now;

    size = sizes[counts.batches % SEGMENT_SIZES];
    size[0] = (uint32_t) bytes;
    size[1] = (uint32_t) events;

    counts.batches++;
    counts.bytes += bytes;
    counts.events += events;

    if (bytes > counts.largest_bytes) {
        counts.largest_bytes = bytes;
    }

    if (events > counts.largest_events) {
        counts.largest_events = events;
    }

    if (bytes > SEGMENT_MAX_BYTES || events > SEGMENT_MAX_EVENTS) {
        counts.over_limit++;
    }

    count_seqs(seqs, nseqs, now);
}


static void
add(char *out, size_t *len, const char *fmt, ...)
{
    int      n;
    va_list  args;

    va_start(args, fmt);
    n = vsnprintf(out + *len, SEGMENT_STATS - *len, fmt, args);
    va_end(args);

    *len += (size_t) n;
}


/* the counts as JSON */

static const char *
stats(size_t *size)
{
    size_t         len;
    uint64_t       i;
    struct rusage  ru;

    static char  out[SEGMENT_STATS];

    getrusage(RUSAGE_SELF, &ru);

    len = 0;
    add(out, &len, "{\"batches\":%lu,\"bytes\":%lu,\"events\":%lu,"
        "\"distinct\":%lu,\"doubled\":%lu,\"unknown\":%lu,",
        counts.batches, counts.bytes, counts.events, counts.distinct,
        counts.doubled, counts.unknown);
    add(out, &len, "\"refused\":%lu,\"broken\":%lu,\"over_limit\":%lu,"
        "\"largest_bytes\":%lu,\"largest_events\":%lu,"
        "\"in_flight_max\":%lu,",
        counts.refused, counts.broken, counts.over_limit,
        counts.largest_bytes, counts.largest_events, counts.in_flight_max);
    add(out, &len, "\"first_ns\":%ld,\"last_ns\":%ld,\"cpu\":%.6f,",
        counts.first_ns, counts.last_ns,
        (double) (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec)
        + (double) (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
    add(out, &len, "\"sizes\":[");

    i = counts.batches > SEGMENT_SIZES ? counts.batches - SEGMENT_SIZES : 0;

    for ( /* void */ ; i < counts.batches; i++) {
        add(out, &len, "[%u,%u]%s", sizes[i % SEGMENT_SIZES][0],
            sizes[i % SEGMENT_SIZES][1], i + 1 < counts.batches ? "," : "");
    }

    add(out, &len, "]}\n");

    *size = len;

    return out;
}


static void
reset_counts(void)
{
    memset(&counts, 0, sizeof(counts));
    memset(bitmap, 0, (number + 63) / 64 * 8);

    if (arrivals != NULL) {
        memset(arrivals, 0, number * sizeof(int64_t));
    }

    counts.in_flight_max = in_flight;
}


static void
map_arrivals(const char *path)
{
    int    fd;
    off_t  size;

    size = (off_t) (number * sizeof(int64_t));

    fd = open(path, O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC, 0600);
    if (fd == -1 || ftruncate(fd, size) == -1) {
        fail(path);
    }

    arrivals = mmap(NULL, (size_t) size, PROT_READ|PROT_WRITE, MAP_SHARED,
                    fd, 0);
    if (arrivals == MAP_FAILED) {
        fail(path);
    }

    close(fd);
}

#endif
