/*
 * What Segment's side answers: a status, headers, the bytes of a body.  Only
 * 2xx lets a batch go; a wait is one that a header of the right name asks
 * for and 300 seconds at most, whatever it says; a date means what the C
 * library makes of it; an excerpt is text.  A line with the status, one with
 * the time, one with an attempt, lines "name: value", an empty one, the body.
 */

#include <strings.h>
#include <time.h>

#include "base/ctseg_time.h"
#include "segment/ctseg_answer.h"
#include "segment/ctseg_rate.h"
#include "fuzz.h"


#define MOST  253402300799LL            /* the last second of 9999 */


static bool
is_name(ctseg_str_t name, const char *text)
{
    return name.len == strlen(text)
           && strncasecmp(name.data, text, name.len) == 0;
}


/* by the C library, which knows the names of days as well */

static bool
other_date(ctseg_str_t value, const char *format, size_t len, int64_t *out)
{
    char        text[40];
    struct tm   tm;
    const char  *end;

    if (value.len != len || memchr(value.data, '\0', value.len) != NULL) {
        return false;
    }

    memcpy(text, value.data, len);
    text[len] = '\0';
    memset(&tm, 0, sizeof(tm));
    end = strptime(text, format, &tm);

    if (end == NULL || *end != '\0') {
        return false;
    }

    *out = (int64_t) timegm(&tm);

    return true;
}


static void
check_date(ctseg_str_t value, int64_t now_ms)
{
    bool       ok;
    char       text[40];
    time_t     t;
    int64_t    seconds, other, again;
    struct tm  tm;

    ok = ctseg_answer_date(value, now_ms, &seconds);

    if (other_date(value, "%a, %d %b %Y %H:%M:%S GMT", 29, &other) && ok) {
        fuzz_check(seconds == other);
    }

    if (other_date(value, "%a %b %e %H:%M:%S %Y", 24, &other) && ok) {
        fuzz_check(seconds == other);
    }

    if (!ok) {
        return;
    }

    fuzz_check(seconds >= 0 && seconds <= MOST + 1);

    /* written in each form it is the same date */

    t = (time_t) seconds;
    fuzz_check(gmtime_r(&t, &tm) != NULL);

    if (seconds > MOST) {
        return;
    }

    fuzz_check(strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT",
                        &tm) == 29);
    fuzz_check(ctseg_answer_date(ctseg_str(text), now_ms, &again));
    fuzz_check(again == seconds);

    fuzz_check(strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &tm)
               == 24);
    fuzz_check(ctseg_answer_date(ctseg_str(text), now_ms, &again));
    fuzz_check(again == seconds);

    /* in two digits one of the same year of a century, near to now */

    fuzz_check(strftime(text, sizeof(text), "%A, %d-%b-%y %H:%M:%S GMT",
                        &tm) != 0);

    if (ctseg_answer_date(ctseg_str(text), now_ms, &again)) {
        fuzz_check(llabs(again - now_ms / 1000) <= 51 * 31622400LL);
        fuzz_check(llabs(again - seconds) % 86400 == 0);
    }
}


/* the wait that a header asks for, told another way */

static unsigned
check_header(ctseg_str_t name, ctseg_str_t value, int64_t now_ms)
{
    size_t    i;
    int64_t   until;
    unsigned  wait;

    wait = ctseg_answer_wait(name, value, now_ms);
    fuzz_check(wait <= CTSEG_WAIT_MAX);

    if (!is_name(name, "Retry-After") && !is_name(name, "X-RateLimit-Reset"))
    {
        fuzz_check(wait == 0);
        return 0;
    }

    for (i = 0; i < value.len && value.data[i] >= '0'
                && value.data[i] <= '9'; i++) { /* void */ }

    if (i == value.len && i != 0 && i < 9) {
        for (i = 0, until = 0; i < value.len; i++) {
            until = until * 10 + value.data[i] - '0';
        }

        fuzz_check(wait == (until < CTSEG_WAIT_MAX ? until
                                                   : CTSEG_WAIT_MAX));

    } else if (wait != 0 && i != value.len) {
        fuzz_check(ctseg_answer_date(value, now_ms, &until));
        fuzz_check(until > now_ms / 1000);
        fuzz_check(wait == CTSEG_WAIT_MAX || until - now_ms / 1000 == wait);
    }

    /* the later it is, the shorter the wait; a year of two digits may mean
       another one then */

    if (memchr(value.data, '-', value.len) == NULL) {
        fuzz_check(ctseg_answer_wait(name, value, now_ms + 5000) <= wait);
    }

    return wait;
}


static void
check_status(int64_t number, int64_t attempt)
{
    int             status;
    char            text[64];
    int64_t         wait;
    ctseg_answer_t  answer;

    status = (int) (number % 2000);
    answer = ctseg_answer_classify(status);
    fuzz_check((answer == CTSEG_ANSWER_SENT)
               == (status >= 200 && status <= 299));
    fuzz_check(!ctseg_answer_is_limit(status)
               || answer == CTSEG_ANSWER_RETRY);

    wait = ctseg_backoff_ms(answer, (unsigned) attempt, (uint32_t) number);
    fuzz_check(wait >= 1 && wait <= CTSEG_BACKOFF_CAP_MS);

    ctseg_answer_text(text, sizeof(text), status, "no answer");
    fuzz_check(memchr(text, '\0', sizeof(text)) != NULL);
}


static void
check_excerpt(ctseg_str_t body)
{
    char    out[512];
    size_t  i, n;

    n = ctseg_answer_excerpt(out, sizeof(out), body);
    fuzz_check(n == (body.len < sizeof(out) ? body.len : sizeof(out)));

    for (i = 0; i < n; i++) {
        fuzz_check(out[i] >= ' ' && out[i] <= '~');
        fuzz_check(out[i] == body.data[i] || out[i] == '?');
    }
}


/* what was asked for holds, to the millisecond, and no longer */

static void
check_hold(unsigned wait, int64_t now_ms)
{
    ctseg_rate_t  rate;

    memset(&rate, 0, sizeof(ctseg_rate_t));
    ctseg_rate_hold(&rate, wait * 1000, false, now_ms);

    if (wait != 0) {
        fuzz_check(ctseg_rate_take(&rate, CTSEG_RANK_LIVE, 10, 100, 1,
                                   now_ms) == wait * 1000);
        fuzz_check(ctseg_rate_take(&rate, CTSEG_RANK_LIVE, 10, 100, 1,
                                   now_ms + wait * 1000 - 1) == 1);
    }

    fuzz_check(ctseg_rate_take(&rate, CTSEG_RANK_LIVE, 10, 100, 1,
                               now_ms + wait * 1000) == 0);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t      status, now_ms, attempt;
    unsigned     wait, most;
    ctseg_str_t  in, line, name;

    in = fuzz_str(data, size);
    status = now_ms = attempt = 0;
    (void) ctseg_str_int64(fuzz_line(&in), &status);
    (void) ctseg_str_int64(fuzz_line(&in), &now_ms);
    (void) ctseg_str_int64(fuzz_line(&in), &attempt);
    now_ms = (int64_t) ((uint64_t) now_ms % ((uint64_t) MOST * 1000));

    check_status(status, attempt);

    for (most = 0; in.len != 0; most = wait > most ? wait : most) {
        line = fuzz_line(&in);

        if (line.len == 0) {
            break;
        }

        name = fuzz_until(&line, ": ");
        wait = check_header(name, line, now_ms);
        check_date(line, now_ms);
    }

    check_hold(most, now_ms);
    check_excerpt(in);

    return 0;
}
