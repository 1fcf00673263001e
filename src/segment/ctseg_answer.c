/*
 * The one place that knows statuses.  2xx is the only proof of delivery that
 * Segment gives; everything else keeps the batch.
 */

#include <stdio.h>

#include "../base/ctseg_str.h"
#include "ctseg_answer.h"


ctseg_answer_t
ctseg_answer_classify(int status)
{
    if (status >= 200 && status < 300) {
        return CTSEG_ANSWER_SENT;
    }

    switch (status) {

    case 0:
    case 408:
    case 410:
    case 429:
    case 460:
        return CTSEG_ANSWER_RETRY;

    case 501:
    case 505:
    case 511:
        return CTSEG_ANSWER_REFUSED;
    }

    return status >= 500 && status < 600 ? CTSEG_ANSWER_RETRY
                                         : CTSEG_ANSWER_REFUSED;
}


int64_t
ctseg_backoff_ms(ctseg_answer_t answer, unsigned attempt, uint32_t chance)
{
    int64_t  ceiling;

    if (answer == CTSEG_ANSWER_REFUSED || attempt >= 7) {
        ceiling = CTSEG_BACKOFF_CAP_MS;

    } else {
        ceiling = (int64_t) CTSEG_BACKOFF_BASE_MS << attempt;
    }

    if (answer == CTSEG_ANSWER_REFUSED) {
        return ceiling;
    }

    return 1 + (int64_t) (chance % (uint64_t) ceiling);
}


unsigned
ctseg_retry_after(ctseg_str_t value)
{
    int64_t  n;

    if (!ctseg_str_int64(value, &n) || n <= 0) {
        return 0;
    }

    return n > CTSEG_RETRY_AFTER_MAX ? CTSEG_RETRY_AFTER_MAX : (unsigned) n;
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
