/*
 * The events of one name and window of time that the log has already, each
 * to be recognized once by its content: a record that occurs twice is twice
 * there.  Pool threads.
 */

#ifndef CTSEG_KNOWN_H
#define CTSEG_KNOWN_H


#include "../model/ctseg_content.h"
#include "../store/ctseg_store.h"


typedef struct ctseg_known_s  ctseg_known_t;


typedef struct {
    ctseg_str_t          name;          /* raw inside; in any spelling */
    int64_t              from_ms;       /* event time, from <= t < to */
    int64_t              to_ms;
    uint64_t             upto;          /* the log up to this sequence, */
    uint32_t             incarnation;   /* of this incarnation */
    unsigned             limit;         /* at most so many; 0: no limit */
    const ctseg_zone_t  *zone;
    bool               (*go_on)(void *data);    /* asked now and then: false
                                                   ends it with CONFLICT */
    void                *data;
} ctseg_known_query_t;


/*
 * OK with *known, which the caller frees; FULL: there are more than
 * "limit"; CONFLICT; NOMEM; what a scan answers.  What is trimmed or damaged
 * is passed over.  No read transaction is held for longer than some
 * milliseconds' worth of blocks.
 */

ctseg_rc_t ctseg_known_load(ctseg_store_t *s, const ctseg_known_query_t *q,
    int64_t deadline, ctseg_known_t **known, ctseg_err_t *err);

/* one that was not taken yet and has this content: its sequence; 0: none.
   It is taken now. */

uint64_t ctseg_known_take(ctseg_known_t *known, const ctseg_content_t *c);

/* this one was taken before, by a page of the same walk */

void ctseg_known_taken(ctseg_known_t *known, uint64_t sequence);

void ctseg_known_free(ctseg_known_t *known);    /* NULL is fine */


#endif /* CTSEG_KNOWN_H */
