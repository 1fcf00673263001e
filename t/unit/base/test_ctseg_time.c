/*
 * Dates and zones.  The rules of the two zones are given as POSIX strings,
 * so that the test needs no zone database.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"
#include "../../../src/base/ctseg_time.h"


#define N(a)      (sizeof(a) / sizeof((a)[0]))

#define BERLIN    "CET-1CEST,M3.5.0,M10.5.0/3"
#define NEW_YORK  "EST5EDT,M3.2.0,M11.1.0"
#define CHILE     "<-04>4<-03>,M9.1.6/24,M4.1.6/24"


static void
test_days(void **state)
{
    int      year, month, day, y, m, d;
    int64_t  n;

    (void) state;

    assert_int_equal(ctseg_days_from_civil(1970, 1, 1), 0);
    assert_int_equal(ctseg_days_from_civil(2000, 3, 1), 11017);
    assert_int_equal(ctseg_days_from_civil(1969, 12, 31), -1);
    assert_int_equal(ctseg_days_from_civil(1, 1, 1), -719162);
    assert_int_equal(ctseg_days_from_civil(9999, 12, 31), 2932896);

    /* day after day over all years, both ways */

    year = 1;
    month = 1;
    day = 1;

    for (n = ctseg_days_from_civil(1, 1, 1);
         n <= ctseg_days_from_civil(9999, 12, 31);
         n++)
    {
        ctseg_civil_from_days(n, &y, &m, &d);
        assert_int_equal(ctseg_days_from_civil(y, m, d), n);

        assert_true((y == year && m == month && d == day)
                    || d == 1);

        year = y;
        month = m;
        day = d + 1;
    }
}


static void
test_date_parse(void **state)
{
    char           out[CTSEG_DATE_LEN + 1];
    size_t         i;
    ctseg_civil_t  c;

    static const char  *good[] = {
        "1970-01-01", "2026-11-23", "2024-02-29", "2000-02-29", "9999-12-31"
    };

    static const char  *bad[] = {
        "", "2026-11-2", "2026-11-233", "2026/11/23", "1969-12-31",
        "2026-00-10", "2026-13-10", "2026-01-00", "2026-01-32", "2026-04-31",
        "2023-02-29", "1900-02-29", "2026-02-30", "20a6-02-20", "2026-1 -20",
        "-026-02-20", "+026-02-20", " 026-02-20"
    };

    (void) state;

    for (i = 0; i < N(good); i++) {
        assert_true(ctseg_date_parse(ctseg_str(good[i]), &c));
        ctseg_date_render(out, &c);
        assert_string_equal(out, good[i]);
        assert_int_equal(c.hour + c.min + c.sec + c.msec, 0);
    }

    for (i = 0; i < N(bad); i++) {
        assert_false(ctseg_date_parse(ctseg_str(bad[i]), &c));
    }
}


static void
test_date_add(void **state)
{
    char           out[CTSEG_DATE_LEN + 1];
    size_t         i;
    ctseg_civil_t  c;

    static const struct {
        const char  *from;
        int64_t      n;
        const char  *to;
    } cases[] = {
        { "2026-11-23", 0, "2026-11-23" },
        { "2026-11-30", 1, "2026-12-01" },
        { "2026-12-31", 1, "2027-01-01" },
        { "2024-03-01", -1, "2024-02-29" },
        { "2026-01-15", -60, "2025-11-16" },
        { "2026-01-01", 365, "2027-01-01" }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        assert_true(ctseg_date_parse(ctseg_str(cases[i].from), &c));
        c.hour = 13;
        ctseg_date_add(&c, cases[i].n);
        ctseg_date_render(out, &c);
        assert_string_equal(out, cases[i].to);
        assert_int_equal(c.hour, 13);
    }
}


static void
test_rfc3339(void **state)
{
    char    out[CTSEG_RFC3339_LEN + 1];
    size_t  i;

    static const struct {
        int64_t      ms;
        const char  *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { 1, "1970-01-01T00:00:00.001Z" },
        { -1, "1970-01-01T00:00:00.000Z" },
        { INT64_MIN, "1970-01-01T00:00:00.000Z" },
        { 1767323045678LL, "2026-01-02T03:04:05.678Z" },
        { 951868799999LL, "2000-02-29T23:59:59.999Z" },
        { 253402300799999LL, "9999-12-31T23:59:59.999Z" },
        { 253402300800000LL, "9999-12-31T23:59:59.999Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999Z" }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        ctseg_rfc3339(out, cases[i].ms);
        assert_string_equal(out, cases[i].text);
    }
}


static void
test_rfc3339_near(void **state)
{
    char         out[CTSEG_RFC3339_LEN + 1], alone[CTSEG_RFC3339_LEN + 1];
    size_t       i;
    ctseg_day_t  day;

    /* back and forth over both ends of a day, and beyond what is rendered */

    static const int64_t  ms[] = {
        0, CTSEG_DAY_MS - 1, CTSEG_DAY_MS, CTSEG_DAY_MS - 1, 0, -1, INT64_MIN,
        1767323045678LL, 1767323045679LL, 1767312000000LL, 1767311999999LL,
        1767312000000LL + CTSEG_DAY_MS, 1767312000000LL, INT64_MAX,
        INT64_MAX - 1, 253402300799999LL, 253402214400000LL, INT64_MIN
    };

    (void) state;

    memset(&day, 0, sizeof(day));

    for (i = 0; i < N(ms); i++) {
        ctseg_rfc3339_near(out, ms[i], &day);
        ctseg_rfc3339(alone, ms[i]);
        assert_string_equal(out, alone);
    }

    /* the day is the one that was written */

    assert_int_equal(day.start_ms, 0);
    assert_string_equal(day.text, "1970-01-01");
}


static void
test_fixed(void **state)
{
    ctseg_zone_t   z;
    ctseg_civil_t  c = { 2026, 11, 23, 0, 30, 0, 5 }, back;

    (void) state;

    ctseg_zone_fixed(&z, "Plus", 19800);
    assert_string_equal(z.name, "Plus");

    assert_true(z.to_instant(&z, &c) == 1795374000005LL);
    z.to_civil(&z, 1795374000005LL, &back);
    assert_memory_equal(&c, &back, sizeof(c));

    assert_true(ctseg_day_start(&z, &c) == 1795374000000LL - 1800000);

    z.to_civil(&z, INT64_MIN, &back);
    assert_int_equal(back.year, 1);
    z.to_civil(&z, INT64_MAX, &back);
    assert_int_equal(back.year, 9999);
    z.to_civil(&z, -1, &back);
    assert_int_equal(back.year, 1970);
    assert_int_equal(back.hour, 5);
    assert_int_equal(back.msec, 999);
}


static void
test_system_zone(const char *tz, ctseg_zone_t *z)
{
    assert_int_equal(setenv("TZ", tz, 1), 0);
    ctseg_zone_system(z);
}


static void
test_clock_changes(void **state)
{
    size_t        i;
    ctseg_zone_t  z;

    /* wall times around a change, and the instant in seconds of UTC */

    static const struct {
        const char     *tz;
        ctseg_civil_t   wall;
        ctseg_civil_t   utc;
    } cases[] = {

        /* Berlin, 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC */

        { BERLIN, { 2026, 3, 29, 1, 59, 59, 999 },
                  { 2026, 3, 29, 0, 59, 59, 999 } },
        { BERLIN, { 2026, 3, 29, 2, 0, 0, 0 }, { 2026, 3, 29, 1, 0, 0, 0 } },
        { BERLIN, { 2026, 3, 29, 2, 30, 0, 7 }, { 2026, 3, 29, 1, 0, 0, 0 } },
        { BERLIN, { 2026, 3, 29, 2, 59, 59, 0 }, { 2026, 3, 29, 1, 0, 0, 0 } },
        { BERLIN, { 2026, 3, 29, 3, 0, 0, 0 }, { 2026, 3, 29, 1, 0, 0, 0 } },
        { BERLIN, { 2026, 3, 29, 3, 30, 0, 0 }, { 2026, 3, 29, 1, 30, 0, 0 } },
        { BERLIN, { 2026, 3, 29, 0, 0, 0, 0 }, { 2026, 3, 28, 23, 0, 0, 0 } },
        { BERLIN, { 2026, 3, 30, 0, 0, 0, 0 }, { 2026, 3, 29, 22, 0, 0, 0 } },

        /* Berlin, 25 October 2026: 03:00 becomes 02:00 at 01:00 UTC */

        { BERLIN, { 2026, 10, 25, 1, 59, 59, 0 },
                  { 2026, 10, 24, 23, 59, 59, 0 } },
        { BERLIN, { 2026, 10, 25, 2, 0, 0, 0 }, { 2026, 10, 25, 0, 0, 0, 0 } },
        { BERLIN, { 2026, 10, 25, 2, 30, 0, 0 },
                  { 2026, 10, 25, 0, 30, 0, 0 } },
        { BERLIN, { 2026, 10, 25, 2, 59, 59, 0 },
                  { 2026, 10, 25, 0, 59, 59, 0 } },
        { BERLIN, { 2026, 10, 25, 3, 0, 0, 0 }, { 2026, 10, 25, 2, 0, 0, 0 } },
        { BERLIN, { 2026, 10, 26, 0, 0, 0, 0 },
                  { 2026, 10, 25, 23, 0, 0, 0 } },

        /* New York, 8 March and 1 November 2026 */

        { NEW_YORK, { 2026, 3, 8, 1, 59, 59, 0 },
                    { 2026, 3, 8, 6, 59, 59, 0 } },
        { NEW_YORK, { 2026, 3, 8, 2, 15, 0, 0 }, { 2026, 3, 8, 7, 0, 0, 0 } },
        { NEW_YORK, { 2026, 3, 8, 3, 0, 0, 0 }, { 2026, 3, 8, 7, 0, 0, 0 } },
        { NEW_YORK, { 2026, 11, 1, 1, 30, 0, 0 },
                    { 2026, 11, 1, 5, 30, 0, 0 } },
        { NEW_YORK, { 2026, 11, 1, 2, 0, 0, 0 }, { 2026, 11, 1, 7, 0, 0, 0 } },

        /* Chile changes at midnight: 6 September 2026 begins at 01:00 */

        { CHILE, { 2026, 9, 6, 0, 0, 0, 0 }, { 2026, 9, 6, 4, 0, 0, 0 } },
        { CHILE, { 2026, 9, 6, 1, 0, 0, 0 }, { 2026, 9, 6, 4, 0, 0, 0 } },
        { CHILE, { 2026, 4, 4, 23, 30, 0, 0 }, { 2026, 4, 5, 2, 30, 0, 0 } },
        { CHILE, { 2026, 4, 5, 0, 0, 0, 0 }, { 2026, 4, 5, 4, 0, 0, 0 } }
    };

    ctseg_zone_t  utc;

    (void) state;

    ctseg_zone_fixed(&utc, "UTC", 0);

    for (i = 0; i < N(cases); i++) {
        test_system_zone(cases[i].tz, &z);
        assert_int_equal(z.to_instant(&z, &cases[i].wall),
                         utc.to_instant(&utc, &cases[i].utc));
    }
}


static void
test_round_trip(void **state)
{
    size_t         i;
    int64_t        ms, back, days;
    ctseg_zone_t   z;
    ctseg_civil_t  c;

    static const char  *zones[] = { BERLIN, NEW_YORK, CHILE, "UTC0" };

    (void) state;

    /* each half hour of a year comes back, or as its earlier twin */

    for (i = 0; i < N(zones); i++) {
        test_system_zone(zones[i], &z);

        for (ms = 1767225600123LL; ms < 1798761600000LL; ms += 1800000) {
            z.to_civil(&z, ms, &c);
            back = z.to_instant(&z, &c);
            assert_true(back == ms || back == ms - 3600000);
        }

        /* the days of a year join without a gap */

        assert_true(ctseg_date_parse(ctseg_str("2026-01-01"), &c));

        ms = ctseg_day_start(&z, &c);

        for (days = 0; days < 365; days++) {
            ctseg_date_add(&c, 1);
            back = ctseg_day_start(&z, &c);
            assert_in_range((uint64_t) (back - ms), 23 * 3600000,
                            25 * 3600000);
            ms = back;
        }
    }
}


static void
test_zone_name(void **state)
{
    size_t        i;
    ctseg_zone_t  z;

    static const char  *cases[][2] = {
        { "Europe/Berlin", "Europe/Berlin" },
        { ":Europe/Berlin", "Europe/Berlin" },
        { "/usr/share/zoneinfo/Asia/Kolkata", "Asia/Kolkata" },
        { ":/usr/share/zoneinfo/Asia/Kolkata", "Asia/Kolkata" },
        { BERLIN, BERLIN },
        { "", "UTC" }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        test_system_zone(cases[i][0], &z);
        assert_string_equal(z.name, cases[i][1]);
    }

    /* without TZ the machine says it, whatever it is */

    assert_int_equal(unsetenv("TZ"), 0);
    ctseg_zone_system(&z);
    assert_true(strlen(z.name) > 0);
    assert_true(z.name[0] != '/');
}


static void
test_clocks(void **state)
{
    int64_t  a, b;

    (void) state;

    a = ctseg_mono_ms();
    b = ctseg_mono_ms();
    assert_true(b >= a && a > 0);

    assert_true(ctseg_now_ms() / 1000 - (int64_t) time(NULL) <= 1);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_days),
        cmocka_unit_test(test_date_parse),
        cmocka_unit_test(test_date_add),
        cmocka_unit_test(test_rfc3339),
        cmocka_unit_test(test_rfc3339_near),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_clock_changes),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_zone_name),
        cmocka_unit_test(test_clocks)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
