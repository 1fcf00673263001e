/*
 * The body of a new export: defaults, each wrong field by its path, the
 * ranges on awkward days, the limit of 60 days, and days of 23 and 25 hours.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_export.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))

#define HOUR  3600000LL

/* 2026-11-23T12:34:56.789Z */

#define NOW   1795437296789LL

#define PID   "\"partner_id\":\"p1\""
#define FREQ  "\"frequency\":{\"kind\":\"one_time\",\"range\":\"today\"}"
#define ONE   "\"frequency\":{\"kind\":\"one_time\","


static bool
test_parse(const char *text, const ctseg_export_env_t *env,
    ctseg_export_t *e, ctseg_problems_t *problems)
{
    bool            ok;
    ctseg_json_t   *root;
    ctseg_arena_t  *a;

    a = ctseg_arena_create();
    assert_non_null(a);
    assert_int_equal(ctseg_json_parse(a, ctseg_str(text), 8, 200, &root,
                                      NULL),
                     CTSEG_OK);

    memset(e, 0, sizeof(ctseg_export_t));
    memset(problems, 0, sizeof(ctseg_problems_t));
    ok = ctseg_export_parse(e, root, env, problems);
    assert_int_equal(ok, problems->n == 0);

    ctseg_arena_destroy(a);

    return ok;
}


static void
test_utc(ctseg_zone_t *zone, ctseg_export_env_t *env)
{
    ctseg_zone_fixed(zone, "UTC", 0);
    env->now_ms = NOW;
    env->zone = zone;
    env->custom_events = false;
    env->retention_ms = 0;
}


static void
test_defaults(void **state)
{
    ctseg_zone_t        zone;
    ctseg_export_t      e;
    ctseg_problems_t    problems;
    ctseg_export_env_t  env;

    (void) state;

    test_utc(&zone, &env);
    assert_true(test_parse("{" PID "," FREQ "}", &env, &e, &problems));

    assert_string_equal(e.partner_id, "p1");
    assert_int_equal(e.type, CTSEG_TYPE_EVENT);
    assert_int_equal(e.set, CTSEG_SET_SYSTEM);
    assert_true(e.kinds == ctseg_catalog_set(CTSEG_SET_SYSTEM));
    assert_int_equal(e.npriority, 3);
    assert_int_equal(e.priority[0], CTSEG_ID_IDENTITY);
    assert_int_equal(e.priority[1], CTSEG_ID_EMAIL);
    assert_int_equal(e.priority[2], CTSEG_ID_PHONE);
    assert_int_equal(e.freq, CTSEG_FREQ_ONE_TIME);
    assert_string_equal(e.range, "today");
    assert_string_equal(e.from, "2026-11-23");
    assert_string_equal(e.to, "2026-11-23");
    assert_int_equal(e.to_ms - e.from_ms, CTSEG_DAY_MS);
    assert_int_equal(e.status, CTSEG_PENDING);
    assert_int_equal(e.stop_reason, CTSEG_STOP_NONE);
    assert_int_equal(e.revision, 1);
    assert_int_equal(e.runs, 0);
    assert_string_equal(e.exported_on, "2026-11-23");
    assert_true(e.created_ms == NOW);
    assert_true(e.next_run_ms == NOW);
}


static void
test_full(void **state)
{
    ctseg_zone_t        zone;
    ctseg_export_t      e;
    ctseg_problems_t    problems;
    ctseg_export_env_t  env;

    (void) state;

    test_utc(&zone, &env);

    assert_true(test_parse("{" PID ",\"type\":\"event\",\"format\":\"json\","
                           "\"events\":{\"set\":\"selected\",\"names\":["
                           "\"App Launched\",\"Webhook Delivered\","
                           "\"App Launched\"]},\"identifier_priority\":["
                           "\"gpid\",\"fbid\",\"objectId\",\"phone\","
                           "\"email\",\"identity\"]," ONE
                           "\"from\":\"2026-09-24\",\"to\":\"2026-11-23\"}}",
                           &env, &e, &problems));

    assert_int_equal(e.set, CTSEG_SET_SELECTED);
    assert_true(e.kinds == (ctseg_kind_bit(18) | ctseg_kind_bit(23)));
    assert_int_equal(e.npriority, 6);
    assert_int_equal(e.priority[0], CTSEG_ID_GPID);
    assert_int_equal(e.priority[2], CTSEG_ID_OBJECT);
    assert_int_equal(e.priority[5], CTSEG_ID_IDENTITY);
    assert_string_equal(e.range, "");
    assert_string_equal(e.from, "2026-09-24");
    assert_string_equal(e.to, "2026-11-23");
    assert_int_equal(e.to_ms - e.from_ms, 61 * CTSEG_DAY_MS);

    assert_true(test_parse("{" PID "," FREQ ",\"events\":{\"set\":"
                           "\"engagement\"}}", &env, &e, &problems));
    assert_true(e.kinds == ctseg_catalog_set(CTSEG_SET_ENGAGEMENT));

    env.custom_events = true;
    assert_true(test_parse("{" PID "," FREQ ",\"events\":{\"set\":\"all\"}}",
                           &env, &e, &problems));
    assert_true((e.kinds & ctseg_kind_bit(CTSEG_KIND_CUSTOM)) != 0);
}


#define EV(s)  "{" PID "," FREQ ",\"events\":" s "}"
#define PR(s)  "{" PID "," FREQ ",\"identifier_priority\":" s "}"
#define FR(s)  "{" PID ",\"frequency\":" s "}"
#define OT(s)  "{" PID "," ONE s "}}"
#define RE(s)                                                                \
    "{" PID ",\"frequency\":{\"kind\":\"recurring\",\"every_hours\":" s "}}"


static const struct {
    const char  *text;
    const char  *field;
    const char  *message;       /* a part of it */
} test_wrong_cases[] = {
    { "1", "", "body must be an object" },
    { "{" FREQ "}", "partner_id", "required" },
    { "{\"partner_id\":7," FREQ "}", "partner_id", "a string" },
    { "{\"partner_id\":\"\"," FREQ "}", "partner_id", "id of a partner" },
    { "{\"partner_id\":\"a\\u0000\"," FREQ "}", "partner_id", "id of" },
    { "{\"partner_id\":\"0123456789012345678901234567890123456789\","
      FREQ "}", "partner_id", "id of" },
    { "{" PID "," FREQ ",\"type\":\"profile\","
      "\"events\":{\"set\":\"system\"}}", "events", "type profile" },
    { "{" PID ",\"type\":\"profile\",\"frequency\":"
      "{\"kind\":\"recurring\",\"every_hours\":12}}",
      "frequency.every_hours", "24 with the type profile" },
    { "{" PID "," FREQ ",\"type\":\"x\"}", "type", "event or profile" },
    { "{" PID "," FREQ ",\"type\":1}", "type", "a string" },
    { "{" PID "," FREQ ",\"format\":\"csv\"}", "format", "json" },
    { "{" PID "," FREQ ",\"format\":null}", "format", "a string" },
    { "{" PID "," FREQ ",\"id\":1}", "id", "read-only" },
    { "{" PID "," FREQ ",\"status\":1}", "status", "read-only" },
    { "{" PID "," FREQ ",\"revision\":1}", "revision", "read-only" },
    { "{" PID "," FREQ ",\"created_at\":1}", "created_at", "read-only" },
    { "{" PID "," FREQ ",\"exported_on\":1}", "exported_on",
      "read-only" },
    { "{" PID "," FREQ ",\"next_run_at\":1}", "next_run_at",
      "read-only" },
    { "{" PID "," FREQ ",\"last_run\":1}", "last_run", "read-only" },
    { "{" PID "," FREQ ",\"progress\":1}", "progress", "read-only" },
    { "{" PID "," FREQ ",\"stop_reason\":1}", "stop_reason",
      "read-only" },
    { "{" PID "," FREQ ",\"Type\":1}", "Type", "not a known field" },

    { EV("[]"), "events", "an object" },
    { EV("{}"), "events.set", "required" },
    { EV("{\"set\":1}"), "events.set", "a string" },
    { EV("{\"set\":\"some\"}"), "events.set", "system, selected" },
    { EV("{\"set\":\"all\"}"), "events.set", "ctseg_custom_events" },
    { EV("{\"set\":\"system\",\"x\":1}"), "events.x",
      "not a known field" },
    { EV("{\"set\":\"system\",\"names\":[]}"), "events.names",
      "selected only" },
    { EV("{\"set\":\"selected\"}"), "events.names", "required" },
    { EV("{\"set\":\"selected\",\"names\":[]}"), "events.names",
      "at least one" },
    { EV("{\"set\":\"selected\",\"names\":\"UTM Visited\"}"),
      "events.names", "array" },
    { EV("{\"set\":\"selected\",\"names\":[\"UTM Visited\",5]}"),
      "events.names[1]", "a string" },
    { EV("{\"set\":\"selected\",\"names\":[\"UTM Visited\","
         "\"App Launched\",\"App Installed\",\"Bought\"]}"),
      "events.names[3]", "catalog" },

    { PR("{}"), "identifier_priority", "1 to 6" },
    { PR("[]"), "identifier_priority", "1 to 6" },
    { PR("[\"identity\",\"email\",\"phone\",\"objectId\",\"fbid\","
         "\"gpid\",\"identity\"]"), "identifier_priority", "1 to 6" },
    { PR("[\"email\",\"name\"]"), "identifier_priority[1]",
      "must be identity" },
    { PR("[null]"), "identifier_priority[0]", "must be identity" },
    { PR("[\"email\",\"phone\",\"email\"]"), "identifier_priority[2]",
      "twice" },

    { "{" PID "}", "frequency", "required" },
    { FR("\"one_time\""), "frequency", "an object" },
    { FR("{}"), "frequency.kind", "required" },
    { FR("{\"kind\":1}"), "frequency.kind", "a string" },
    { FR("{\"kind\":\"daily\"}"), "frequency.kind", "one_time" },

    { FR("{\"kind\":\"recurring\"}"), "frequency.every_hours",
      "required" },
    { RE("3"), "frequency.every_hours", "whole number from 4 to 24" },
    { RE("25"), "frequency.every_hours", "whole number from 4 to 24" },
    { RE("-4"), "frequency.every_hours", "whole number from 4 to 24" },
    { RE("4.5"), "frequency.every_hours", "whole number from 4 to 24" },
    { RE("4.0"), "frequency.every_hours", "whole number from 4 to 24" },
    { RE("1e1"), "frequency.every_hours", "whole number from 4 to 24" },
    { RE("4294967300"), "frequency.every_hours", "from 4 to 24" },
    { RE("99999999999999999999"), "frequency.every_hours", "from 4 to 24" },
    { RE("\"4\""), "frequency.every_hours", "whole number from 4 to 24" },
    { RE("null"), "frequency.every_hours", "whole number from 4 to 24" },
    { RE("4,\"start_date\":null"), "frequency.start_date", "a string" },
    { RE("4,\"start_date\":\"\""), "frequency.start_date",
      "existing day" },
    { RE("4,\"start_date\":\"2026-11-31\""), "frequency.start_date",
      "existing day" },
    { RE("4,\"start_date\":\"2026-09-23\""), "frequency.start_date",
      "60 days back, on 2026-09-24 or later" },
    { RE("4,\"start_date\":\"2027-11-25\""), "frequency.start_date",
      "366 days ahead, on 2027-11-24 or earlier" },
    { RE("4,\"from\":\"2026-11-23\""), "frequency.from",
      "one_time only" },
    { RE("4,\"to\":\"2026-11-23\""), "frequency.to", "one_time only" },
    { RE("4,\"range\":\"today\""), "frequency.range", "one_time only" },
    { RE("4,\"every\":4"), "frequency.every", "not a known field" },

    { OT("\"range\":\"today\",\"a\\u0001\":1"), "frequency.a?",
      "not a known field" },
    { FR("{\"kind\":\"one_time\"}"), "frequency", "from and to" },
    { OT("\"range\":\"last_year\""), "frequency.range", "today" },
    { OT("\"range\":7"), "frequency.range", "a string" },
    { OT("\"range\":\"today\",\"from\":\"2026-11-23\""),
      "frequency.range", "together" },
    { OT("\"range\":\"today\",\"every_hours\":4"),
      "frequency.every_hours", "recurring only" },
    { OT("\"range\":\"today\",\"start_date\":\"2026-11-23\""),
      "frequency.start_date", "recurring only" },
    { OT("\"from\":\"2026-11-23\""), "frequency.to", "required" },
    { OT("\"to\":\"2026-11-23\""), "frequency.from", "required" },
    { OT("\"from\":20261123,\"to\":\"2026-11-23\""), "frequency.from",
      "a string" },
    { OT("\"from\":\"2026-11-31\",\"to\":\"2026-11-23\""),
      "frequency.from", "existing day" },
    { OT("\"from\":\"2026-11-22\",\"to\":\"23.11.2026\""),
      "frequency.to", "existing day" },
    { OT("\"from\":\"2026-11-23\",\"to\":\"2026-11-22\""),
      "frequency.to", "before" },
    { OT("\"from\":\"2026-11-23\",\"to\":\"2026-11-24\""),
      "frequency.to", "after today, 2026-11-23" },
    { OT("\"from\":\"2026-09-23\",\"to\":\"2026-11-23\""),
      "frequency.from", "60 days back, on 2026-09-24" }
};


/* what there is to choose of events does not hold for profiles */

static void
test_profile(void **state)
{
    ctseg_zone_t        zone;
    ctseg_export_t      e;
    ctseg_problems_t    problems;
    ctseg_export_env_t  env;

    (void) state;

    test_utc(&zone, &env);

    assert_true(test_parse("{" PID ",\"type\":\"profile\"," FREQ "}", &env,
                           &e, &problems));
    assert_int_equal(e.type, CTSEG_TYPE_PROFILE);
    assert_int_equal(e.set, 0);
    assert_int_equal(e.kinds, 0);
    assert_int_equal(e.npriority, 3);

    assert_true(test_parse("{" PID ",\"type\":\"profile\",\"frequency\":"
                           "{\"kind\":\"recurring\",\"every_hours\":24}}",
                           &env, &e, &problems));
    assert_int_equal(e.every_hours, 24);

    assert_true(test_parse("{" PID ",\"type\":\"profile\",\"frequency\":"
                           "{\"kind\":\"live\"}}", &env, &e, &problems));
    assert_int_equal(e.freq, CTSEG_FREQ_LIVE);
}


static void
test_wrong(void **state)
{
    size_t              i;
    ctseg_zone_t        zone;
    ctseg_export_t      e;
    ctseg_problems_t    problems;
    ctseg_export_env_t  env;

    (void) state;

    test_utc(&zone, &env);

    for (i = 0; i < N(test_wrong_cases); i++) {
        assert_false(test_parse(test_wrong_cases[i].text, &env, &e,
                                &problems));
        assert_int_equal(problems.n, 1);
        assert_string_equal(problems.item[0].field,
                            test_wrong_cases[i].field);
        assert_non_null(strstr(problems.item[0].message,
                               test_wrong_cases[i].message));
    }
}


static void
test_all_named(void **state)
{
    ctseg_zone_t        zone;
    ctseg_export_t      e;
    ctseg_problems_t    problems;
    ctseg_export_env_t  env;

    (void) state;

    test_utc(&zone, &env);

    assert_false(test_parse("{\"id\":1,\"type\":2,\"format\":3,"
                            "\"events\":{\"set\":\"selected\",\"x\":1,"
                            "\"names\":[1,\"?\"]},"
                            "\"identifier_priority\":[\"x\",\"y\"],"
                            "\"frequency\":{\"kind\":\"one_time\",\"y\":1,"
                            "\"from\":\"x\",\"to\":\"y\"}}",
                            &env, &e, &problems));
    assert_int_equal(problems.n, 12);
}


static void
test_ranges(void **state)
{
    size_t              i;
    char                text[256];
    ctseg_str_t         head, tail;
    ctseg_buf_t         b = { text, 0, sizeof(text), false };
    ctseg_civil_t       c;
    ctseg_zone_t        zone;
    ctseg_export_t      e;
    ctseg_problems_t    problems;
    ctseg_export_env_t  env;

    static const struct {
        const char  *today;
        const char  *range;
        const char  *from;
        const char  *to;
    } cases[] = {
        { "2026-11-23", "today", "2026-11-23", "2026-11-23" },
        { "2026-03-01", "yesterday", "2026-02-28", "2026-02-28" },
        { "2024-03-01", "yesterday", "2024-02-29", "2024-02-29" },
        { "2026-11-23", "last_7_days", "2026-11-17", "2026-11-23" },
        { "2026-01-03", "last_7_days", "2025-12-28", "2026-01-03" },
        { "2026-11-23", "last_30_days", "2026-10-25", "2026-11-23" },
        { "2026-11-23", "current_month", "2026-11-01", "2026-11-23" },
        { "2026-11-01", "current_month", "2026-11-01", "2026-11-01" },
        { "2026-11-23", "previous_month", "2026-10-01", "2026-10-31" },
        { "2026-01-15", "previous_month", "2025-12-01", "2025-12-31" },
        { "2024-03-31", "previous_month", "2024-02-01", "2024-02-29" },

        /* 61 days back: moved to the limit; 60 days back: just within */

        { "2026-08-31", "previous_month", "2026-07-02", "2026-07-31" },
        { "2026-08-30", "previous_month", "2026-07-01", "2026-07-31" },
        { "2026-07-31", "previous_month", "2026-06-01", "2026-06-30" }
    };

    (void) state;

    test_utc(&zone, &env);

    head = ctseg_str("{" PID "," ONE "\"range\":\"");
    tail = ctseg_str("\"}}");

    for (i = 0; i < N(cases); i++) {
        assert_true(ctseg_date_parse(ctseg_str(cases[i].today), &c));
        env.now_ms = ctseg_day_start(&zone, &c) + (i % 2 == 0 ? 0
                                                    : CTSEG_DAY_MS - 1);

        ctseg_buf_reset(&b);
        ctseg_buf_str(&b, head);
        ctseg_buf_cstr(&b, cases[i].range);
        ctseg_buf_str(&b, tail);
        ctseg_buf_char(&b, '\0');

        assert_true(test_parse(text, &env, &e, &problems));
        assert_string_equal(e.range, cases[i].range);
        assert_string_equal(e.from, cases[i].from);
        assert_string_equal(e.to, cases[i].to);

        assert_true(ctseg_date_parse(ctseg_str(e.to), &c));
        assert_true(e.to_ms == ctseg_day_start(&zone, &c) + CTSEG_DAY_MS);
    }
}


static void
test_zones(void **state)
{
    ctseg_zone_t        zone;
    ctseg_export_t      e;
    ctseg_problems_t    problems;
    ctseg_export_env_t  env;

    (void) state;

    /* half past midnight in Berlin, still yesterday in UTC */

    assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
    ctseg_zone_system(&zone);

    env.zone = &zone;
    env.custom_events = false;
    env.now_ms = 1793057400000LL;           /* 2026-10-26T23:30:00Z */

    assert_true(test_parse("{" PID "," FREQ "}", &env, &e, &problems));
    assert_string_equal(e.from, "2026-10-27");
    assert_string_equal(e.exported_on, "2026-10-27");

    /* 25 October has 25 hours there; 29 March has 23 */

    assert_true(test_parse(OT("\"from\":\"2026-10-25\","
                              "\"to\":\"2026-10-25\""), &env, &e, &problems));
    assert_int_equal(e.to_ms - e.from_ms, 25 * HOUR);
    assert_true(e.from_ms == 1792879200000LL);  /* 2026-10-24T22:00:00Z */

    env.now_ms = 1775000000000LL;               /* 31 March 2026 */

    assert_true(test_parse(OT("\"from\":\"2026-03-29\","
                              "\"to\":\"2026-03-29\""), &env, &e, &problems));
    assert_int_equal(e.to_ms - e.from_ms, 23 * HOUR);

    /* the same in New York, where the days are others */

    assert_int_equal(setenv("TZ", "EST5EDT,M3.2.0,M11.1.0", 1), 0);
    ctseg_zone_system(&zone);

    assert_true(test_parse(OT("\"from\":\"2026-03-08\","
                              "\"to\":\"2026-03-08\""), &env, &e, &problems));
    assert_int_equal(e.to_ms - e.from_ms, 23 * HOUR);
    assert_true(e.from_ms == 1772946000000LL);  /* 2026-03-08T05:00:00Z */

    env.now_ms = 1793599200000LL;               /* 2 November 2026 */

    assert_true(test_parse(OT("\"from\":\"2026-11-01\","
                              "\"to\":\"2026-11-01\""), &env, &e, &problems));
    assert_int_equal(e.to_ms - e.from_ms, 25 * HOUR);
}


static void
test_recurring(void **state)
{
    ctseg_zone_t        zone;
    ctseg_export_t      e;
    ctseg_problems_t    problems;
    ctseg_export_env_t  env;

    (void) state;

    test_utc(&zone, &env);

    /* from 00:00 of today, so the first run is due */

    assert_true(test_parse(RE("4"), &env, &e, &problems));
    assert_int_equal(e.freq, CTSEG_FREQ_RECURRING);
    assert_int_equal(e.every_hours, 4);
    assert_string_equal(e.start_date, "2026-11-23");
    assert_true(e.start_ms == NOW - NOW % CTSEG_DAY_MS);
    assert_true(e.covered_ms == e.start_ms - 1);
    assert_true(e.next_run_ms == NOW);
    assert_true(e.cut == 0);
    assert_int_equal(e.status, CTSEG_PENDING);
    assert_string_equal(e.from, "");
    assert_string_equal(e.range, "");

    /* the oldest and the newest day there may be */

    assert_true(test_parse(RE("24,\"start_date\":\"2026-09-24\""), &env,
                           &e, &problems));
    assert_int_equal(e.every_hours, 24);
    assert_string_equal(e.start_date, "2026-09-24");
    assert_true(e.start_ms == NOW - NOW % CTSEG_DAY_MS - 60 * CTSEG_DAY_MS);
    assert_true(e.covered_ms == e.start_ms - 1);
    assert_true(e.next_run_ms == NOW);

    assert_true(test_parse(RE("5,\"start_date\":\"2027-11-24\""), &env,
                           &e, &problems));
    assert_true(e.start_ms == NOW - NOW % CTSEG_DAY_MS + 366 * CTSEG_DAY_MS);
    assert_true(e.covered_ms == e.start_ms - 1);
    assert_true(e.next_run_ms == e.start_ms);

    /* both wrong, both noted */

    assert_false(test_parse(RE("3,\"start_date\":\"x\""), &env, &e,
                            &problems));
    assert_int_equal(problems.n, 2);

    /* a one time export has none of it */

    assert_true(test_parse("{" PID "," FREQ "}", &env, &e, &problems));
    assert_true(e.start_ms == 0);
    assert_true(e.covered_ms == 0);
    assert_true(e.cut == 0);
    assert_int_equal(e.every_hours, 0);

    /* today is the zone's, and begins where the zone says */

    assert_int_equal(setenv("TZ", "EST5EDT,M3.2.0,M11.1.0", 1), 0);
    ctseg_zone_system(&zone);
    env.now_ms = 1793599200000LL - 12 * HOUR;   /* 1 November, 13:00 */

    assert_true(test_parse(RE("4"), &env, &e, &problems));
    assert_string_equal(e.start_date, "2026-11-01");
    assert_true(e.start_ms == 1793505600000LL); /* 2026-11-01T04:00:00Z */
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_profile),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_all_named),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_recurring)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
