/*
 * The one place that knows statuses.  2xx is the only proof of delivery that
 * Segment gives; everything else keeps the batch.  Which answers pass by
 * themselves is what Segment's own SDKs of 2026 agree on.
 */

#include <stdio.h>

#include "../base/ctseg_str.h"
#include "ctseg_answer.h"


#define CTSEG_ANSWER_EPOCH  1000000000  /* more seconds than anybody waits */


typedef struct {
    int              from;
    int              to;
    ctseg_answer_t   answer;
    const char      *reason;
} ctseg_answer_row_t;


/* the first row that fits; the documentation has the same rows */

static const ctseg_answer_row_t  ctseg_answers[] = {
    { 200, 299, CTSEG_ANSWER_SENT, "acknowledged" },
    { 0, 0, CTSEG_ANSWER_RETRY, "no answer, or not all of it" },
    { 400, 400, CTSEG_ANSWER_CONTENT, "something in the batch is wrong" },
    { 413, 413, CTSEG_ANSWER_CONTENT, "something in the batch is too large" },
    { 408, 408, CTSEG_ANSWER_RETRY, "it took too long" },
    { 410, 410, CTSEG_ANSWER_RETRY, "gone for now" },
    { 429, 429, CTSEG_ANSWER_RETRY, "too much at a time" },
    { 460, 460, CTSEG_ANSWER_RETRY, "Segment's own: passes" },
    { 501, 501, CTSEG_ANSWER_PAUSE, "it cannot do that" },
    { 505, 505, CTSEG_ANSWER_PAUSE, "another version of HTTP" },
    { 511, 511, CTSEG_ANSWER_PAUSE, "a network wants a login" },
    { 500, 599, CTSEG_ANSWER_RETRY, "an error of the server" },
    { 100, 199, CTSEG_ANSWER_PAUSE, "no final answer" },
    { 300, 399, CTSEG_ANSWER_PAUSE, "it is somewhere else" },
    { 400, 499, CTSEG_ANSWER_PAUSE, "the request is wrong" }
};


ctseg_answer_t
ctseg_answer_classify(int status)
{
    size_t                     i;
    const ctseg_answer_row_t  *row;

    for (i = 0; i < sizeof(ctseg_answers) / sizeof(ctseg_answers[0]); i++) {
        row = &ctseg_answers[i];

        if (status >= row->from && status <= row->to) {
            return row->answer;
        }
    }

    return CTSEG_ANSWER_PAUSE;
}


bool
ctseg_answer_is_limit(int status)
{
    return status == 429;
}


int64_t
ctseg_backoff_ms(ctseg_answer_t answer, unsigned attempt, uint32_t chance)
{
    int64_t  ceiling;

    if (answer != CTSEG_ANSWER_RETRY) {
        return CTSEG_BACKOFF_CAP_MS;
    }

    ceiling = attempt >= 7 ? CTSEG_BACKOFF_CAP_MS
                           : (int64_t) CTSEG_BACKOFF_BASE_MS << attempt;

    return 1 + (int64_t) (chance % (uint64_t) ceiling);
}


static unsigned
ctseg_answer_clamp(int64_t seconds)
{
    if (seconds <= 0) {
        return 0;
    }

    return seconds > CTSEG_WAIT_MAX ? CTSEG_WAIT_MAX : (unsigned) seconds;
}


unsigned
ctseg_answer_wait(ctseg_str_t value, int64_t now_ms)
{
    int64_t  n;

    if (!ctseg_str_int64(value, &n)) {
        return 0;
    }

    return n >= CTSEG_ANSWER_EPOCH ? ctseg_answer_wait_until(n, now_ms)
                                   : ctseg_answer_clamp(n);
}


unsigned
ctseg_answer_wait_until(int64_t seconds, int64_t now_ms)
{
    int64_t  now;

    now = now_ms / 1000;

    /* absurd dates must not overflow */

    if (seconds > now + CTSEG_WAIT_MAX) {
        return CTSEG_WAIT_MAX;
    }

    return seconds > now ? ctseg_answer_clamp(seconds - now) : 0;
}


void
ctseg_answer_text(char *out, size_t size, int status, const char *how)
{
    if (status == 0) {
        (void) snprintf(out, size, "%s", how);
        return;
    }

    (void) snprintf(out, size, "Segment's side answered %d", status);
}
