/*
 * What an answer of Segment means for a batch, and how long to wait before
 * the next attempt.  Any thread; no clock.
 */

#ifndef CTSEG_ANSWER_H
#define CTSEG_ANSWER_H


#include "../base/ctseg_mem.h"


#define CTSEG_BACKOFF_BASE_MS   500
#define CTSEG_BACKOFF_CAP_MS    60000
#define CTSEG_WAIT_MAX          300     /* seconds that Segment may ask for */

/* so long without a success, and an export to a paused partner stops */

#define CTSEG_PAUSE_STOP_MS     (3 * 24 * 3600 * 1000LL)


typedef enum {
    CTSEG_ANSWER_SENT = 0,              /* acknowledged */
    CTSEG_ANSWER_RETRY,                 /* may pass by itself */
    CTSEG_ANSWER_CONTENT,               /* something in the batch is wrong */
    CTSEG_ANSWER_PAUSE                  /* somebody has to mend something: the
                                           partner pauses, tried slowly */
} ctseg_answer_t;


/* status of the whole answer; 0: none, or it was cut short */

ctseg_answer_t ctseg_answer_classify(int status);

/* is it about the rate, and so about all batches of the write key? */

bool ctseg_answer_is_limit(int status);

/*
 * Full jitter ("Exponential Backoff And Jitter"): a wait in [1, min(cap,
 * 0.5 s x 2^attempt)] chosen by chance, attempt counting from 0.  What does
 * not pass by itself waits the cap at once.
 */

int64_t ctseg_backoff_ms(ctseg_answer_t answer, unsigned attempt,
    uint32_t chance);

/*
 * How long a header asks to wait, by its name and value: Retry-After, in
 * seconds or as a date of HTTP, or X-RateLimit-Reset ("HTTP API Source", rate
 * limits), in seconds; that is met as a time since 1970, too, which is told
 * by its size.  Clamped to 1..300; 0: it asks for nothing, or is none of
 * these.
 */

unsigned ctseg_answer_wait(ctseg_str_t name, ctseg_str_t value,
    int64_t now_ms);

/*
 * A date of HTTP in one of its three forms, as seconds since 1970; false: it
 * is none, or before that.  A year of two digits lies less than 50 years
 * ahead of now.
 */

bool ctseg_answer_date(ctseg_str_t value, int64_t now_ms, int64_t *seconds);

/* the first bytes of an answer as text that is safe to show; its length */

size_t ctseg_answer_excerpt(char *out, size_t size, ctseg_str_t answer);

/* a short text for people: how, when there is no status, else the status */

void ctseg_answer_text(char *out, size_t size, int status, const char *how);


#endif /* CTSEG_ANSWER_H */
