/*
 * Days, instants and slots.  A day that parses is one of the calendar and
 * prints as it was; walking n days and back is no move; a day begins at its
 * first instant; an instant becomes a wall time and comes back no later; the
 * slots of a schedule are counted the same however the time is cut.  Lines:
 * the zone by a character, a day, a number of days, two instants, hours.
 */

#include <stdlib.h>
#include <time.h>

#include "base/ctseg_time.h"
#include "model/ctseg_schedule.h"
#include "fuzz.h"


/* clocks that go forward and back, by an hour, half of one, two */

static const char *const  zones[] = {
    "UTC0",
    "EST5EDT,M3.2.0,M11.1.0",
    "CET-1CEST,M3.5.0,M10.5.0/3",
    "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3",
    "IST-1GMT0,M10.5.0,M3.5.0/1",
    "AZOT1AZOST,M3.5.0/0,M10.5.0/1",
    "<-03>3<-02>,M10.3.0/0,M2.3.0/0",
    "<+0545>-5:45"
};

#define count(a)  (sizeof(a) / sizeof(a[0]))

#define SINCE  631152000000LL           /* 1990 */
#define SPAN   3786912000000LL          /* 120 years */


static bool
is_day(const ctseg_civil_t *c)
{
    int  days;

    static const int  length[] = {
        31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
    };

    if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12) {
        return false;
    }

    days = length[c->month - 1];

    if (c->month == 2
        && (c->year % 400 == 0 || (c->year % 4 == 0 && c->year % 100 != 0)))
    {
        days++;
    }

    return c->day >= 1 && c->day <= days;
}


static int
compare(const ctseg_civil_t *a, const ctseg_civil_t *b)
{
    int64_t  x, y;

    x = ctseg_days_from_civil(a->year, a->month, a->day);
    y = ctseg_days_from_civil(b->year, b->month, b->day);

    return x < y ? -1 : x > y;
}


static void
check_add(const ctseg_civil_t *day, int64_t n)
{
    char           text[CTSEG_DATE_LEN + 1];
    int64_t        number;
    ctseg_civil_t  c;

    n %= 100000;
    c = *day;
    number = ctseg_days_from_civil(c.year, c.month, c.day);

    if (number + n < 0 || number + n > 2932896) {
        return;
    }

    ctseg_date_add(&c, n);
    fuzz_check(is_day(&c));
    fuzz_check(ctseg_days_from_civil(c.year, c.month, c.day) == number + n);
    ctseg_date_render(text, &c);
    fuzz_check(ctseg_date_parse(ctseg_str(text), &c));
    ctseg_date_add(&c, -n);
    fuzz_check(compare(&c, day) == 0);
}


static void
check_start(const ctseg_zone_t *z, const ctseg_civil_t *day)
{
    int64_t        ms;
    ctseg_civil_t  c;

    if (day->year < 1990 || day->year > 2109) {
        return;
    }

    ms = ctseg_day_start(z, day);
    z->to_civil(z, ms, &c);
    fuzz_check(is_day(&c) && compare(&c, day) == 0);
    z->to_civil(z, ms - 1, &c);
    fuzz_check(compare(&c, day) < 0);
}


static bool
parse_day(const ctseg_zone_t *z, ctseg_str_t text, ctseg_civil_t *day,
    int64_t n)
{
    char           out[CTSEG_DATE_LEN + 1];
    ctseg_civil_t  c;

    if (!ctseg_date_parse(text, day)) {

        /* refused: then it is no day of the calendar */

        if (text.len == 10 && text.data[4] == '-' && text.data[7] == '-') {
            memset(&c, 0, sizeof(ctseg_civil_t));
            memcpy(out, text.data, 10);
            out[4] = out[7] = '0';
            out[10] = '\0';
            fuzz_check(strspn(out, "0123456789") != 10
                       || sscanf(out, "%4d0%2d0%2d", &c.year, &c.month,
                                 &c.day) != 3
                       || !is_day(&c) || c.year < 1970);
        }

        return false;
    }

    fuzz_check(is_day(day) && day->year >= 1970);
    ctseg_date_render(out, day);
    fuzz_check(ctseg_str_is(text, out));
    check_add(day, n);
    check_start(z, day);

    return true;
}


static void
check_instant(const ctseg_zone_t *z, int64_t ms)
{
    char           text[CTSEG_RFC3339_LEN + 1];
    int64_t        back;
    ctseg_civil_t  c, again;

    ctseg_rfc3339(text, ms);
    fuzz_check(strlen(text) == CTSEG_RFC3339_LEN);
    fuzz_check(ctseg_date_parse(fuzz_str((uint8_t *) text, 10), &c));

    z->to_civil(z, ms, &c);
    fuzz_check(is_day(&c));
    fuzz_check(c.hour >= 0 && c.hour < 24 && c.min >= 0 && c.min < 60);
    fuzz_check(c.sec >= 0 && c.sec < 60 && c.msec >= 0 && c.msec < 1000);

    ms = SINCE + (int64_t) ((uint64_t) ms % (uint64_t) SPAN);
    z->to_civil(z, ms, &c);
    back = z->to_instant(z, &c);

    /* the first of two equal wall times */

    fuzz_check(back <= ms && ms - back <= 2 * 3600000);
    z->to_civil(z, back, &again);
    fuzz_check(memcmp(&c, &again, sizeof(ctseg_civil_t)) == 0);
}


static void
check_slots(const ctseg_zone_t *z, const ctseg_civil_t *day, int64_t hours,
    int64_t a, int64_t b)
{
    int64_t           c, next;
    ctseg_schedule_t  s;

    s.zone = z;
    s.start = *day;
    s.every_hours = (unsigned) hours;

    a = SINCE + (int64_t) ((uint64_t) a % (uint64_t) SPAN);
    b = SINCE + (int64_t) ((uint64_t) b % (uint64_t) SPAN);

    if (a > b) {
        c = a;
        a = b;
        b = c;
    }

    next = ctseg_schedule_next(&s, a);
    fuzz_check(next > a);
    fuzz_check(next >= ctseg_day_start(z, day));
    fuzz_check(ctseg_schedule_count(&s, a, next - 1) == 0);
    fuzz_check(ctseg_schedule_count(&s, a, next) >= 1);
    fuzz_check(ctseg_schedule_next(&s, next - 1) == next);

    if (a >= ctseg_day_start(z, day)) {
        fuzz_check(next - a <= 26 * 3600000LL);
    }

    c = a + (b - a) / 2;
    fuzz_check(ctseg_schedule_count(&s, a, b)
               == ctseg_schedule_count(&s, a, c)
                  + ctseg_schedule_count(&s, c, b));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int64_t        n, a, b, hours;
    ctseg_str_t    in, text;
    ctseg_zone_t   zone;
    ctseg_civil_t  day;

    in = fuzz_str(data, size);

    if (setenv("TZ", zones[fuzz_choice(fuzz_line(&in), 0, count(zones))], 1)
        != 0)
    {
        return 0;
    }

    ctseg_zone_system(&zone);

    text = fuzz_line(&in);
    n = a = b = hours = 0;
    (void) ctseg_str_int64(fuzz_line(&in), &n);
    (void) ctseg_str_int64(fuzz_line(&in), &a);
    (void) ctseg_str_int64(fuzz_line(&in), &b);
    (void) ctseg_str_int64(fuzz_line(&in), &hours);

    check_instant(&zone, a);
    check_instant(&zone, b);

    if (parse_day(&zone, text, &day, n)
        && day.year >= 1990 && day.year <= 2109)
    {
        check_slots(&zone, &day, hours, a, b);
    }

    return 0;
}
