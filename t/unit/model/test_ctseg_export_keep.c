/*
 * What retention does not keep of a range: nothing of it is refused, a part
 * of it is accepted with a warning, and the default of 61 days never has
 * anything to say, in no zone and at no hour.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_json.h"
#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_export.h"


#define HOUR  3600000LL

/* 2026-11-23T12:34:56.789Z */

#define NOW   1795437296789LL


static bool
test_parse(const char *frequency, const ctseg_export_env_t *env,
    ctseg_export_t *e, ctseg_problems_t *problems)
{
    bool            ok;
    char            text[256];
    ctseg_json_t   *root;
    ctseg_arena_t  *a;

    (void) snprintf(text, sizeof(text), "{\"partner_id\":\"p1\","
                    "\"frequency\":{%s}}", frequency);

    a = ctseg_arena_create();
    assert_non_null(a);
    assert_int_equal(ctseg_json_parse(a, ctseg_str(text), 8, 200, &root,
                                      NULL), CTSEG_OK);

    memset(e, 0, sizeof(ctseg_export_t));
    memset(problems, 0, sizeof(ctseg_problems_t));
    ok = ctseg_export_parse(e, root, env, problems);

    ctseg_arena_destroy(a);

    return ok;
}


static void
test_before(void **state)
{
    (void) state;

    assert_true(ctseg_retention_before(NOW, HOUR) == NOW - HOUR);
    assert_true(ctseg_retention_before(NOW, CTSEG_DAY_MS - 1)
                == NOW - CTSEG_DAY_MS + 1);
    assert_true(ctseg_retention_before(NOW, CTSEG_DAY_MS)
                == NOW - CTSEG_DAY_MS - HOUR);
}


#define DAYS(from, to)                                                       \
    "\"kind\":\"one_time\",\"from\":\"" from "\",\"to\":\"" to "\""
#define RANGE(name)  "\"kind\":\"one_time\",\"range\":\"" name "\""
#define START(date)                                                          \
    "\"kind\":\"recurring\",\"every_hours\":4,\"start_date\":\"" date "\""


static const struct {
    const char  *frequency;
    int64_t      retention_ms;
    const char  *refused;               /* at this field, */
    const char  *warned;                /* or warned of this one */
    const char  *says;
} test_cases[] = {

    /* two days and an hour back is the 21st, 11:34:56 */

    { DAYS("2026-11-20", "2026-11-20"), 2 * CTSEG_DAY_MS,
      "frequency.from", NULL, "by retention=2d" },
    { DAYS("2026-10-01", "2026-11-20"), 2 * CTSEG_DAY_MS,
      "frequency.from", NULL, "not kept any more" },
    { DAYS("2026-10-01", "2026-11-21"), 2 * CTSEG_DAY_MS,
      NULL, "frequency.from", "before 2026-11-21T11:34:56.789Z" },
    { DAYS("2026-11-21", "2026-11-21"), 2 * CTSEG_DAY_MS,
      NULL, "frequency.from", "by retention=2d" },
    { DAYS("2026-11-22", "2026-11-23"), 2 * CTSEG_DAY_MS, NULL, NULL, NULL },

    { RANGE("previous_month"), 2 * CTSEG_DAY_MS,
      "frequency.range", NULL, "by retention=2d" },
    { RANGE("last_7_days"), 36 * HOUR,
      NULL, "frequency.range", "by retention=36h" },
    { RANGE("today"), 90 * 60000,
      NULL, "frequency.range", "before 2026-11-23T11:04:56.789Z may be "
      "missing, by retention=90m" },
    { RANGE("today"), 13 * HOUR, NULL, NULL, NULL },
    { RANGE("yesterday"), 61000, "frequency.range", NULL, "retention=61s" },
    { RANGE("yesterday"), 1001, "frequency.range", NULL, "=1001ms" },
    { RANGE("last_30_days"), 0, NULL, NULL, NULL },

    /* the start of a recurring export: what arrived since */

    { START("2026-11-20"), 2 * CTSEG_DAY_MS,
      NULL, "frequency.start_date", "before 2026-11-21T11:34:56.789Z" },
    { START("2026-11-22"), 2 * CTSEG_DAY_MS, NULL, NULL, NULL },
    { START("2026-12-22"), HOUR, NULL, NULL, NULL },
    { START("2026-11-23"), HOUR, NULL, NULL, NULL },
    { START("2026-10-23"), 0, NULL, NULL, NULL },
    { "\"kind\":\"live\"", HOUR, NULL, NULL, NULL }
};


static void
test_ranges(void **state)
{
    size_t               i;
    ctseg_zone_t         zone;
    ctseg_export_t       e;
    ctseg_problems_t     problems, warnings;
    ctseg_export_env_t   env;

    (void) state;

    ctseg_zone_fixed(&zone, "UTC", 0);
    env.now_ms = NOW;
    env.zone = &zone;
    env.custom_events = false;

    for (i = 0; i < sizeof(test_cases) / sizeof(test_cases[0]); i++) {
        env.retention_ms = test_cases[i].retention_ms;

        if (test_cases[i].refused != NULL) {
            assert_false(test_parse(test_cases[i].frequency, &env, &e,
                                    &problems));
            assert_int_equal(problems.n, 1);
            assert_string_equal(problems.item[0].field,
                                test_cases[i].refused);
            assert_non_null(strstr(problems.item[0].message,
                                   test_cases[i].says));
            continue;
        }

        assert_true(test_parse(test_cases[i].frequency, &env, &e, &problems));

        warnings.n = 0;
        ctseg_export_warn(&e, &env, &warnings);

        assert_int_equal(warnings.n, test_cases[i].warned != NULL);

        if (test_cases[i].warned != NULL) {
            assert_string_equal(warnings.item[0].field,
                                test_cases[i].warned);
            assert_non_null(strstr(warnings.item[0].message,
                                   test_cases[i].says));
        }
    }
}


/* 60 days back at any time of a year, with days of 23 and of 25 hours */

static void
test_default(void **state)
{
    char                 text[80], day[CTSEG_DATE_LEN + 1];
    int64_t              now;
    ctseg_zone_t         zone;
    ctseg_civil_t        c;
    ctseg_export_t       e;
    ctseg_problems_t     problems, warnings;
    ctseg_export_env_t   env;

    (void) state;

    assert_int_equal(setenv("TZ", "EST5EDT,M3.2.0,M11.1.0", 1), 0);
    ctseg_zone_system(&zone);

    env.zone = &zone;
    env.custom_events = false;
    env.retention_ms = 61 * CTSEG_DAY_MS;

    for (now = NOW; now < NOW + 366 * CTSEG_DAY_MS; now += 59 * 60000) {
        env.now_ms = now;

        zone.to_civil(&zone, now, &c);
        ctseg_date_add(&c, -CTSEG_LOOKBACK_DAYS);
        ctseg_date_render(day, &c);
        (void) snprintf(text, sizeof(text), "\"kind\":\"one_time\","
                        "\"from\":\"%s\",\"to\":\"%s\"", day, day);

        assert_true(test_parse(text, &env, &e, &problems));
        warnings.n = 0;
        ctseg_export_warn(&e, &env, &warnings);
        assert_int_equal(warnings.n, 0);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_before),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_default)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
