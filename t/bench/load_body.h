/*
 * Requests of the load generator.  One is written out once, with all of its
 * events, and sent again and again: only the running numbers and the times in
 * it are overwritten.
 */

#ifndef LOAD_BODY_H
#define LOAD_BODY_H

#include <stddef.h>
#include <stdint.h>


/* the number of an event as it is written, 9 digits: this plus its index */

#define LOAD_SEQ_BASE  100000000
#define LOAD_SEQ_LAST  899999999


typedef struct {
    const char  *host;          /* as in the header */
    const char  *path;
    const char  *name;          /* of all events, or of some */
    double       percent;       /* of the events have this name */
    int          get;           /* a GET without a body */
} load_shape_t;

typedef struct {
    char        *text;          /* the request, header and body */
    size_t       len;
    size_t       body;          /* bytes of the body */
    uint32_t     n;             /* events */
    uint32_t    *at;            /* where the number of each is written */
} load_body_t;

typedef struct {
    int64_t      now;           /* s since 1970 */
    int64_t      spread;        /* s, 0: all happen now */
    int64_t      first;         /* index of the first event of all */
    int64_t      total;         /* events of all, 0: not known */
} load_times_t;


/*
 * A request of n events, of which the first is the "order"th of all that are
 * written out: that decides which names, users and sizes they have.  Returns
 * -1 without memory.
 */

int load_body_create(load_body_t *b, const load_shape_t *shape, uint32_t n,
    uint64_t order);
void load_body_free(load_body_t *b);

/* makes the events those of index "first" and following */

void load_body_stamp(load_body_t *b, int64_t first, const load_times_t *t);


#endif
