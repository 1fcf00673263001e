/*
 * The one place that knows statuses.  2xx is the only proof of delivery that
 * Segment gives; everything else keeps the batch.  Which answers pass by
 * themselves is what Segment's own SDKs of 2026 agree on.
 */

#include <stdio.h>
#include <string.h>

#include "../base/ctseg_str.h"
#include "../base/ctseg_time.h"
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


/* the same for a date; absurd ones must not overflow */

static unsigned
ctseg_answer_until(int64_t seconds, int64_t now_ms)
{
    int64_t  now;

    now = now_ms / 1000;

    if (seconds > now + CTSEG_WAIT_MAX) {
        return CTSEG_WAIT_MAX;
    }

    return seconds > now ? ctseg_answer_clamp(seconds - now) : 0;
}


static bool
ctseg_answer_is_named(ctseg_str_t name, const char *lower)
{
    char    c;
    size_t  i;

    for (i = 0; i < name.len && lower[i] != '\0'; i++) {
        c = name.data[i];

        if (c >= 'A' && c <= 'Z') {
            c = (char) (c - 'A' + 'a');
        }

        if (c != lower[i]) {
            return false;
        }
    }

    return i == name.len && lower[i] == '\0';
}


unsigned
ctseg_answer_wait(ctseg_str_t name, ctseg_str_t value, int64_t now_ms)
{
    int64_t  n;

    if (!ctseg_answer_is_named(name, "retry-after")
        && !ctseg_answer_is_named(name, "x-ratelimit-reset"))
    {
        return 0;
    }

    if (ctseg_str_int64(value, &n)) {
        return n >= CTSEG_ANSWER_EPOCH ? ctseg_answer_until(n, now_ms)
                                       : ctseg_answer_clamp(n);
    }

    return ctseg_answer_date(value, now_ms, &n)
           ? ctseg_answer_until(n, now_ms)
           : 0;
}


/*
 * The text at its front by a pattern: 'd' is a digit, '_' a digit or a space,
 * 'a' a letter, anything else itself.  What a field says stays where it is.
 */

static bool
ctseg_answer_fits(ctseg_str_t s, const char *pattern)
{
    char    c;
    bool    fits;
    size_t  i;

    for (i = 0; i < s.len && pattern[i] != '\0'; i++) {
        c = s.data[i];

        switch (pattern[i]) {

        case 'd':
            fits = c >= '0' && c <= '9';
            break;

        case '_':
            fits = (c >= '0' && c <= '9') || c == ' ';
            break;

        case 'a':
            fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            break;

        default:
            fits = c == pattern[i];
        }

        if (!fits) {
            return false;
        }
    }

    return i == s.len && pattern[i] == '\0';
}


/* so many digits; a space is none of them */

static int
ctseg_answer_number(const char *p, unsigned n)
{
    int  value;

    for (value = 0; n != 0; n--, p++) {
        value = value * 10 + (*p == ' ' ? 0 : *p - '0');
    }

    return value;
}


static int
ctseg_answer_month(const char *p)
{
    int  i;

    static const char  names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (i = 0; i < 12; i++) {
        if (memcmp(p, names + 3 * i, 3) == 0) {
            return i + 1;
        }
    }

    return 0;
}


static int
ctseg_answer_century(int year, int64_t now_ms)
{
    int  now, month, day;

    ctseg_civil_from_days(now_ms / CTSEG_DAY_MS, &now, &month, &day);

    year += now - now % 100;

    return year >= now + 50 ? year - 100 : year < now - 50 ? year + 100
                                                           : year;
}


/* "YYYY-MM-DD" knows which days there are */

static bool
ctseg_answer_instant(int year, int month, int day, const char *time,
    int64_t *seconds)
{
    int            hour, min, sec;
    char           text[CTSEG_DATE_LEN + 24];
    ctseg_civil_t  c;

    (void) snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);

    hour = ctseg_answer_number(time, 2);
    min = ctseg_answer_number(time + 3, 2);
    sec = ctseg_answer_number(time + 6, 2);

    if (!ctseg_date_parse(ctseg_str(text), &c) || hour > 23 || min > 59
        || sec > 60)
    {
        return false;
    }

    *seconds = ctseg_days_from_civil(year, month, day) * 86400
               + hour * 3600 + min * 60 + sec;

    return true;
}


bool
ctseg_answer_date(ctseg_str_t value, int64_t now_ms, int64_t *seconds)
{
    const char   *p;
    ctseg_str_t   rest;

    p = value.data;

    if (ctseg_answer_fits(value, "aaa, dd aaa dddd dd:dd:dd GMT")) {
        return ctseg_answer_instant(ctseg_answer_number(p + 12, 4),
                                    ctseg_answer_month(p + 8),
                                    ctseg_answer_number(p + 5, 2), p + 17,
                                    seconds);
    }

    if (ctseg_answer_fits(value, "aaa aaa _d dd:dd:dd dddd")) {
        return ctseg_answer_instant(ctseg_answer_number(p + 20, 4),
                                    ctseg_answer_month(p + 4),
                                    ctseg_answer_number(p + 8, 2), p + 11,
                                    seconds);
    }

    /* the day of the week is written out: from Monday to Wednesday */

    for (rest = value; rest.len != 0 && rest.data[0] != ','; /* void */) {
        rest.data++;
        rest.len--;
    }

    p = rest.data;

    if (ctseg_answer_fits(rest, ", dd-aaa-dd dd:dd:dd GMT")) {
        return ctseg_answer_instant(
                    ctseg_answer_century(ctseg_answer_number(p + 9, 2),
                                         now_ms),
                    ctseg_answer_month(p + 5), ctseg_answer_number(p + 2, 2),
                    p + 12, seconds);
    }

    return false;
}


size_t
ctseg_answer_excerpt(char *out, size_t size, ctseg_str_t answer)
{
    char    c;
    size_t  i;

    for (i = 0; i < answer.len && i < size; i++) {
        c = answer.data[i];
        out[i] = c >= 0x20 && c < 0x7f ? c : '?';
    }

    return i;
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
