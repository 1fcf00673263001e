/*
 * Dates of CleverTap in properties and traits.  Nearly no text has one, so
 * the dollar sign is what is looked for.  A quote in front of it that has no
 * backslash opens a string: one that closes has a comma, a colon or a bracket
 * behind it.
 */

#include "../base/ctseg_time.h"
#include "ctseg_dates.h"

#include <stdio.h>
#include <string.h>


#define CTSEG_DATES_DIGITS  12
#define CTSEG_DATES_FIRST   (-719162LL * 86400)     /* 0001-01-01 */
#define CTSEG_DATES_END     253402300800LL          /* 10000-01-01 */


/* the string at p, which has its opening quote: its length, or 0 */

static size_t
ctseg_dates_parse(const char *p, const char *end, int64_t *seconds)
{
    bool         minus;
    int64_t      n;
    const char  *s, *digits;

    if (end - p < 6 || memcmp(p, "\"$D_", 4) != 0) {
        return 0;
    }

    s = p + 4;
    minus = *s == '-';

    if (minus) {
        s++;
    }

    digits = s;

    for (n = 0; s < end && *s >= '0' && *s <= '9'; s++) {
        if (s - digits == CTSEG_DATES_DIGITS) {
            return 0;
        }

        n = n * 10 + (*s - '0');
    }

    if (s == digits || s == end || *s++ != '"') {
        return 0;
    }

    *seconds = minus ? -n : n;

    if (*seconds < CTSEG_DATES_FIRST || *seconds >= CTSEG_DATES_END) {
        return 0;
    }

    return (size_t) (s - p);
}


static bool
ctseg_dates_is_name(const char *p, const char *end)
{
    while (p < end && memchr(" \t\r\n", *p, 4) != NULL) {
        p++;
    }

    return p < end && *p == ':';
}


static void
ctseg_dates_put(ctseg_buf_t *out, int64_t seconds)
{
    int      year, month, day;
    char     text[64];
    int64_t  days, rest;

    days = seconds / 86400;
    rest = seconds % 86400;

    if (rest < 0) {
        days--;
        rest += 86400;
    }

    ctseg_civil_from_days(days, &year, &month, &day);

    (void) snprintf(text, sizeof(text),
                    "\"%04d-%02d-%02dT%02d:%02d:%02d.000Z\"", year, month,
                    day, (int) (rest / 3600), (int) (rest / 60 % 60),
                    (int) (rest % 60));

    ctseg_buf_cstr(out, text);
}


bool
ctseg_dates_write(ctseg_buf_t *out, ctseg_str_t json)
{
    bool         found;
    size_t       len;
    int64_t      seconds;
    const char  *p, *from, *end;

    if (json.len == 0) {
        return false;
    }

    found = false;
    from = json.data;
    end = json.data + json.len;

    for (p = from; p < end; p++) {
        p = memchr(p, '$', (size_t) (end - p));

        if (p == NULL) {
            break;
        }

        if (p - json.data < 2 || p[-2] == '\\') {
            continue;
        }

        len = ctseg_dates_parse(p - 1, end, &seconds);

        if (len == 0 || ctseg_dates_is_name(p - 1 + len, end)) {
            continue;
        }

        ctseg_buf_add(out, from, (size_t) (p - 1 - from));
        ctseg_dates_put(out, seconds);

        from = p - 1 + len;
        found = true;
    }

    ctseg_buf_add(out, from, (size_t) (end - from));

    return found;
}
