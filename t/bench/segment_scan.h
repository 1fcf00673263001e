/*
 * What the Segment of the benchmark reads out of a batch, for segment.c: how
 * many messages there are, and the unique numbers among their properties.
 * The body comes in pieces of any size and is looked at once, sixteen bytes
 * at a time.
 */

#ifndef SEGMENT_SCAN_H
#define SEGMENT_SCAN_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* a match and the number behind it are no longer than this */

#define SCAN_REACH  32

typedef unsigned char  scan_vector_t __attribute__((vector_size(16)));
typedef uint64_t       scan_halves_t __attribute__((vector_size(16)));

typedef struct {
    uint64_t      messages;
    uint32_t     *seqs;
    size_t        nseqs;
    size_t        room;
    size_t        ntail;
    char          tail[3 * SCAN_REACH];     /* not decided yet */
} scan_t;


static inline void
scan_start(scan_t *s)
{
    s->messages = 0;
    s->nseqs = 0;
    s->ntail = 0;
}


static inline void
scan_free(scan_t *s)
{
    free(s->seqs);
}


static inline void
scan_number(scan_t *s, const char *p)
{
    uint32_t  n;

    n = 0;

    while (*p >= '0' && *p <= '9') {
        n = n * 10 + (uint32_t) (*p++ - '0');
    }

    if (s->nseqs == s->room) {
        s->room = s->room != 0 ? s->room * 2 : 4096;
        s->seqs = realloc(s->seqs, s->room * sizeof(uint32_t));

        if (s->seqs == NULL) {
            perror("segment: realloc");
            exit(1);
        }
    }

    s->seqs[s->nseqs++] = n;
}


/* a quote, with a q or an I in the right place behind it */

static inline void
scan_at(scan_t *s, const char *p)
{
    if (memcmp(p, "\"seq\":", 6) == 0) {
        scan_number(s, p + 6);

    } else if (memcmp(p, "\"messageId\":", 12) == 0) {
        s->messages++;
    }
}


static inline scan_vector_t
scan_load(const char *p)
{
    scan_vector_t  v;

    memcpy(&v, p, sizeof(v));

    return v;
}


/* all matches that begin in the first n bytes; SCAN_REACH more can be read */

static inline void
scan_block(scan_t *s, const char *p, size_t n)
{
    int            half;
    size_t         i, at;
    uint64_t       bits;
    scan_halves_t  hits;

    for (i = 0; i + 16 <= n; i += 16) {
        hits = (scan_halves_t) ((scan_load(p + i) == '"')
                                & ((scan_load(p + i + 3) == 'q')
                                   | (scan_load(p + i + 8) == 'I')));

        if ((hits[0] | hits[1]) == 0) {
            continue;
        }

        for (half = 0; half < 2; half++) {
            bits = hits[half];

            for (at = 0; bits != 0; at++, bits >>= 8) {
                if (bits & 1) {
                    scan_at(s, p + i + (size_t) half * 8 + at);
                }
            }
        }
    }

    for ( /* void */ ; i < n; i++) {
        if (p[i] == '"') {
            scan_at(s, p + i);
        }
    }
}


static inline void
scan_bytes(scan_t *s, const char *p, size_t len)
{
    size_t  n, decided;

    /* what lies across the border of two pieces */

    if (s->ntail != 0) {
        n = len < SCAN_REACH ? len : SCAN_REACH;

        memcpy(s->tail + s->ntail, p, n);

        if (s->ntail + n <= SCAN_REACH) {
            s->ntail += n;
            return;
        }

        if (n < SCAN_REACH) {
            decided = s->ntail + n - SCAN_REACH;
            scan_block(s, s->tail, decided);
            memmove(s->tail, s->tail + decided, SCAN_REACH);
            s->ntail = SCAN_REACH;
            return;
        }

        scan_block(s, s->tail, s->ntail);
        s->ntail = 0;
    }

    if (len > SCAN_REACH) {
        scan_block(s, p, len - SCAN_REACH);
        p += len - SCAN_REACH;
        len = SCAN_REACH;
    }

    memcpy(s->tail, p, len);
    s->ntail = len;
}


static inline void
scan_end(scan_t *s)
{
    memset(s->tail + s->ntail, 0, SCAN_REACH);
    scan_block(s, s->tail, s->ntail);
    s->ntail = 0;
}

#endif
