/*
 * Slots of recurring exports: every period across both changes of the clock,
 * zones with odd offsets, and, over random schedules, that no slot is missed
 * or comes twice and that the two functions agree.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_schedule.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))

#define HOUR  3600000LL

#define NEW_YORK   "EST5EDT,M3.2.0,M11.1.0"
#define KOLKATA    "IST-5:30"
#define LORD_HOWE  "LHST-10:30LHDT-11,M10.1.0,M4.1.0"
#define CHILE      "CLT4CLST,M9.1.6/24,M4.1.6/24"


static void
test_zone(const char *tz, ctseg_zone_t *zone)
{
    assert_int_equal(setenv("TZ", tz, 1), 0);
    ctseg_zone_system(zone);
}


static void
test_schedule(ctseg_schedule_t *s, const ctseg_zone_t *zone,
    const char *start, unsigned hours)
{
    memset(s, 0, sizeof(ctseg_schedule_t));
    assert_true(ctseg_date_parse(ctseg_str(start), &s->start));
    s->zone = zone;
    s->every_hours = hours;
}


/* "2026-03-08T07:00" in UTC */

static int64_t
test_utc(const char *text)
{
    ctseg_civil_t  c;
    ctseg_zone_t   utc;

    ctseg_zone_fixed(&utc, "UTC", 0);
    assert_true(ctseg_date_parse((ctseg_str_t) { 10, text }, &c));
    c.hour = (text[11] - '0') * 10 + text[12] - '0';
    c.min = (text[14] - '0') * 10 + text[15] - '0';

    return utc.to_instant(&utc, &c);
}


static const struct {
    const char  *tz;
    const char  *start;
    unsigned     hours;
    const char  *slots[9];              /* in UTC, one after the other */
} test_changes[] = {

    /* spring: 8 March 2026 has no 02:00 to 03:00 */

    { NEW_YORK, "2026-03-07", 4,
      { "2026-03-08T01:00", "2026-03-08T05:00", "2026-03-08T08:00",
        "2026-03-08T12:00", "2026-03-08T16:00" } },
    { NEW_YORK, "2026-03-06", 5,
      { "2026-03-07T21:00", "2026-03-08T02:00", "2026-03-08T07:00",
        "2026-03-08T11:00", "2026-03-08T16:00" } },
    { NEW_YORK, "2026-03-08", 6,
      { "2026-03-08T05:00", "2026-03-08T10:00", "2026-03-08T16:00" } },
    { NEW_YORK, "2026-03-08", 8,
      { "2026-03-08T05:00", "2026-03-08T12:00", "2026-03-08T20:00" } },
    { NEW_YORK, "2026-03-07", 12,
      { "2026-03-08T05:00", "2026-03-08T16:00", "2026-03-09T04:00" } },
    { NEW_YORK, "2026-03-01", 24,
      { "2026-03-08T05:00", "2026-03-09T04:00", "2026-03-10T04:00" } },

    /* autumn: on 1 November 01:00 to 02:00 comes twice */

    { NEW_YORK, "2026-11-01", 4,
      { "2026-11-01T04:00", "2026-11-01T09:00", "2026-11-01T13:00" } },
    { NEW_YORK, "2026-10-31", 5,
      { "2026-11-01T00:00", "2026-11-01T05:00", "2026-11-01T11:00",
        "2026-11-01T16:00" } },
    { NEW_YORK, "2026-10-01", 6,
      { "2026-11-01T04:00", "2026-11-01T11:00", "2026-11-01T17:00" } },
    { NEW_YORK, "2026-10-01", 8,
      { "2026-11-01T04:00", "2026-11-01T13:00", "2026-11-01T21:00" } },
    { NEW_YORK, "2026-10-01", 12,
      { "2026-11-01T04:00", "2026-11-01T17:00", "2026-11-02T05:00" } },
    { NEW_YORK, "2026-10-01", 24,
      { "2026-10-31T04:00", "2026-11-01T04:00", "2026-11-02T05:00" } },

    /* no changes, but half an hour */

    { KOLKATA, "2026-03-08", 7,
      { "2026-03-07T18:30", "2026-03-08T01:30", "2026-03-08T08:30",
        "2026-03-08T15:30", "2026-03-08T22:30" } },
    { "UTC", "2026-03-08", 5,
      { "2026-03-08T00:00", "2026-03-08T05:00", "2026-03-08T10:00" } },
    { "UTC", "2028-02-29", 24,
      { "2028-02-29T00:00", "2028-03-01T00:00" } },

    /* half an hour forward at 02:00 on 4 October, back on 5 April */

    { LORD_HOWE, "2026-10-02", 5,
      { "2026-10-03T05:30", "2026-10-03T10:30", "2026-10-03T15:30",
        "2026-10-03T20:00", "2026-10-04T01:00" } },
    { LORD_HOWE, "2026-04-04", 4,
      { "2026-04-04T13:00", "2026-04-04T17:30", "2026-04-04T21:30" } },

    /* 6 September begins at 01:00, and 4 April ends twice */

    { CHILE, "2026-09-04", 6,
      { "2026-09-05T22:00", "2026-09-06T04:00", "2026-09-06T09:00" } },
    { CHILE, "2026-09-06", 6,
      { "2026-09-06T04:00", "2026-09-06T09:00", "2026-09-06T15:00" } },
    { CHILE, "2026-04-04", 23,
      { "2026-04-04T03:00", "2026-04-05T02:00", "2026-04-06T02:00" } }
};


static void
test_clock_changes(void **state)
{
    size_t            i, k;
    int64_t           at, due;
    ctseg_zone_t      zone;
    ctseg_schedule_t  s;

    (void) state;

    for (i = 0; i < N(test_changes); i++) {
        test_zone(test_changes[i].tz, &zone);
        test_schedule(&s, &zone, test_changes[i].start,
                      test_changes[i].hours);

        at = test_utc(test_changes[i].slots[0]) - 1;

        for (k = 0; test_changes[i].slots[k] != NULL; k++) {
            due = test_utc(test_changes[i].slots[k]);

            if (ctseg_schedule_next(&s, at) != due) {
                print_error("case %zu, slot %zu: %lld, not %lld\n", i, k,
                            (long long) ctseg_schedule_next(&s, at),
                            (long long) due);
            }

            assert_true(ctseg_schedule_next(&s, at) == due);
            assert_true(ctseg_schedule_next(&s, due - 1) == due);
            assert_int_equal(ctseg_schedule_count(&s, at, due), 1);
            assert_int_equal(ctseg_schedule_count(&s, at, due - 1), 0);

            at = due;
        }

        assert_int_equal(ctseg_schedule_count(
                             &s, test_utc(test_changes[i].slots[0]), at),
                         k - 1);
    }
}


static void
test_start(void **state)
{
    int64_t           start;
    ctseg_zone_t      zone;
    ctseg_schedule_t  s;

    (void) state;

    test_zone(NEW_YORK, &zone);
    test_schedule(&s, &zone, "2026-06-10", 4);
    start = test_utc("2026-06-10T04:00");

    /* never before the start date, whose 00:00 is the first */

    assert_true(ctseg_schedule_next(&s, INT64_MIN) == start);
    assert_true(ctseg_schedule_next(&s, 0) == start);
    assert_true(ctseg_schedule_next(&s, start - 1) == start);
    assert_true(ctseg_schedule_next(&s, start) == start + 4 * HOUR);
    assert_int_equal(ctseg_schedule_count(&s, INT64_MIN, start - 1), 0);
    assert_int_equal(ctseg_schedule_count(&s, INT64_MIN, start), 1);
    assert_int_equal(ctseg_schedule_count(&s, start, start), 0);
    assert_int_equal(ctseg_schedule_count(&s, start + 1, start), 0);

    /* a week down */

    assert_int_equal(ctseg_schedule_count(&s, start - 1,
                                          start + 7 * CTSEG_DAY_MS), 43);
    assert_int_equal(ctseg_schedule_count(&s, start,
                                          start + 7 * CTSEG_DAY_MS), 42);

    /* the time of day of a start date says nothing */

    s.start.hour = 13;
    s.start.msec = 7;
    assert_true(ctseg_schedule_next(&s, 0) == start);
}


static void
test_ends(void **state)
{
    int64_t           ms;
    ctseg_zone_t      zone;
    ctseg_schedule_t  s;

    (void) state;

    test_zone(NEW_YORK, &zone);
    test_schedule(&s, &zone, "2026-06-10", 24);

    /* where the calendar ends, and with a period that no export has */

    ms = ctseg_schedule_next(&s, test_utc("9999-12-30T12:00"));
    assert_true(ms == test_utc("9999-12-31T05:00"));
    assert_true(ctseg_schedule_next(&s, INT64_MAX) == INT64_MAX);
    assert_true(ctseg_schedule_next(&s, INT64_MAX - 1) == INT64_MAX);
    assert_true(ctseg_schedule_count(&s, INT64_MIN, INT64_MAX) > 2900000);
    assert_true(ctseg_schedule_count(&s, INT64_MAX - 1, INT64_MAX) == 0);

    s.every_hours = 0;
    assert_true(ctseg_schedule_next(&s, 0) == test_utc("2026-06-10T04:00"));
    assert_true(ctseg_schedule_next(&s, test_utc("2026-06-10T04:00"))
                == test_utc("2026-06-11T04:00"));
}


static uint64_t  test_seed;


static uint64_t
test_random(uint64_t n)
{
    test_seed ^= test_seed << 13;
    test_seed ^= test_seed >> 7;
    test_seed ^= test_seed << 17;

    return (test_seed >> 11) % n;
}


/* slot k by the definition: the zone says where a skipped wall time lies */

static int64_t
test_slot(const ctseg_schedule_t *s, int64_t k, bool *skipped)
{
    int64_t        ms;
    ctseg_civil_t  c, back;

    c = s->start;
    ctseg_date_add(&c, k * s->every_hours / 24);
    c.hour = (int) (k * s->every_hours % 24);

    ms = s->zone->to_instant(s->zone, &c);
    s->zone->to_civil(s->zone, ms, &back);

    *skipped = back.hour != c.hour || back.min != 0;

    if (*skipped) {

        /* at once after a gap: a moment before was before the wall time */

        s->zone->to_civil(s->zone, ms - 1, &back);
        assert_true(back.day != c.day || back.hour < c.hour);

    } else {
        assert_int_equal(back.day, c.day);
        assert_int_equal(back.month, c.month);
        assert_int_equal(back.year, c.year);
        assert_int_equal(back.sec, 0);
        assert_int_equal(back.msec, 0);
    }

    return ms;
}


/* 2000 slots in a row from a random one on, found by next() and by hand */

static unsigned
test_walk(const ctseg_schedule_t *s)
{
    bool      skipped;
    int64_t   first, k, at, next;
    unsigned  gaps;

    gaps = 0;
    first = test_random(2) == 0 ? 0 : (int64_t) test_random(20000);
    at = test_slot(s, first, &skipped) - 1;

    for (k = first; k < first + 2000; k++) {
        next = ctseg_schedule_next(s, at);

        assert_true(next > at);
        assert_true(next == test_slot(s, k, &skipped));

        /* from anywhere between the two as well */

        assert_true(ctseg_schedule_next(s, at + (int64_t)
                                        test_random((uint64_t) (next - at)))
                    == next);

        gaps += skipped;
        at = next;
    }

    return gaps;
}


static void
test_counts(const ctseg_schedule_t *s)
{
    bool      skipped;
    int64_t   start, a, b, c, at;
    uint64_t  n;
    unsigned  i;

    start = test_slot(s, 0, &skipped);

    for (i = 0; i < 50; i++) {
        a = start - CTSEG_DAY_MS
            + (int64_t) test_random(3000 * (uint64_t) CTSEG_DAY_MS);
        b = a + (int64_t) test_random(20 * (uint64_t) CTSEG_DAY_MS);
        c = b + (int64_t) test_random(3000 * (uint64_t) CTSEG_DAY_MS);

        /* now and then exactly on a slot */

        if (test_random(2) == 0) {
            a = ctseg_schedule_next(s, a);
            b = b < a ? a : b;
            c = c < b ? b : c;
        }

        n = 0;

        for (at = ctseg_schedule_next(s, a);
             at <= b;
             at = ctseg_schedule_next(s, at))
        {
            n++;
        }

        assert_true(ctseg_schedule_count(s, a, b) == n);
        assert_true(ctseg_schedule_count(s, a, c)
                    == n + ctseg_schedule_count(s, b, c));
    }
}


static void
test_properties(void **state)
{
    size_t            i;
    char              day[CTSEG_DATE_LEN + 1];
    unsigned          hours, gaps;
    const char       *seed;
    ctseg_zone_t      zone;
    ctseg_civil_t     c;
    ctseg_schedule_t  s;

    static const struct {
        const char  *tz;
        bool         gaps;
    } zones[] = {
        { NEW_YORK, true },
        { KOLKATA, false },
        { "UTC", false },
        { LORD_HOWE, true },
        { CHILE, true },
        { "CET-1CEST,M3.5.0,M10.5.0/3", true },
        { "HST10", false }
    };

    (void) state;

    seed = getenv("CTSEG_SEED");
    test_seed = seed != NULL ? strtoull(seed, NULL, 10) : 20261123;
    test_seed += test_seed == 0;
    print_message("CTSEG_SEED=%llu\n", (unsigned long long) test_seed);

    for (i = 0; i < N(zones); i++) {
        test_zone(zones[i].tz, &zone);
        gaps = 0;

        for (hours = CTSEG_EVERY_HOURS_MIN;
             hours <= CTSEG_EVERY_HOURS_MAX;
             hours++)
        {
            memset(&c, 0, sizeof(c));
            c.year = 2024 + (int) test_random(8);
            c.month = 1 + (int) test_random(12);
            c.day = 1 + (int) test_random(28);
            ctseg_date_render(day, &c);

            test_schedule(&s, &zone, day, hours);
            gaps += test_walk(&s);
            test_counts(&s);
        }

        assert_int_equal(gaps != 0, zones[i].gaps);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_clock_changes),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_properties)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
