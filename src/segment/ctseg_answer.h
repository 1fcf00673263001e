/*
 * What an answer of Segment means for a batch, and how long to wait before
 * the next attempt.  Any thread; no clock.
 */

#ifndef CTSEG_ANSWER_H
#define CTSEG_ANSWER_H


#include "../base/ctseg_mem.h"


#define CTSEG_BACKOFF_BASE_MS   500
#define CTSEG_BACKOFF_CAP_MS    60000
#define CTSEG_RETRY_AFTER_MAX   300     /* seconds */


typedef enum {
    CTSEG_ANSWER_SENT = 0,              /* acknowledged */
    CTSEG_ANSWER_RETRY,                 /* may pass by itself */
    CTSEG_ANSWER_REFUSED                /* will be refused again: the batch
                                           waits, and is tried slowly */
} ctseg_answer_t;


/* status of the whole answer; 0: none, or it was cut short */

ctseg_answer_t ctseg_answer_classify(int status);

/*
 * Full jitter ("Exponential Backoff And Jitter"): a wait in [1, min(cap,
 * 0.5 s x 2^attempt)] chosen by chance, attempt counting from 0.  A refused
 * batch waits the cap at once.
 */

int64_t ctseg_backoff_ms(ctseg_answer_t answer, unsigned attempt,
    uint32_t chance);

/* Retry-After in whole seconds, clamped to 1..300; 0: absent or no number */

unsigned ctseg_retry_after(ctseg_str_t value);

/* a short text for people: how, when there is no status, else the status */

void ctseg_answer_text(char *out, size_t size, int status, const char *how);


#endif /* CTSEG_ANSWER_H */
