/*
 * A hash that nobody can aim: SHA-256, cut to 128 bits.  Two texts with the
 * same hash do not occur, and nobody can find a text with the hash of another
 * one.  For checksums there is ctseg_crc32c.h.
 */

#ifndef CTSEG_HASH_H
#define CTSEG_HASH_H


#include "ctseg.h"


#define CTSEG_HASH_LEN  16


/* a zeroed struct is ready; one thread at a time */

typedef struct {
    void  *md;
} ctseg_hash_t;


/*
 * The hash of n parts, each with its length in front: other parts that make
 * the same text have another hash.  false: no memory.
 */

bool ctseg_hash(ctseg_hash_t *h, const ctseg_str_t *parts, unsigned n,
    char out[CTSEG_HASH_LEN]);

void ctseg_hash_free(ctseg_hash_t *h);


#endif /* CTSEG_HASH_H */
