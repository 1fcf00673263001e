/*
 * Edits of an export: what may change and what it becomes, the rules that
 * refuse and their order, and that a refused edit leaves it as it was.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_export.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))

#define HOUR  3600000LL

/* 2026-11-23T12:34:56.789Z, and 00:00 of that day */

#define NOW    1795437296789LL
#define TODAY  (NOW - NOW % CTSEG_DAY_MS)

#define DONE_RULE     "an export that is DONE cannot be edited"
#define STOPPED_RULE  "an export that is STOPPED cannot be edited"
#define ONE_RULE      "a one time export cannot be edited"
#define TYPE_RULE     "the type of an export cannot change"
#define KIND_RULE     "the kind of frequency of an export cannot change"


/* a recurring export that ran for some days, every 4 hours */

static void
test_export(ctseg_export_t *e)
{
    memset(e, 0, sizeof(ctseg_export_t));

    memcpy(e->id, "e1", 3);
    memcpy(e->partner_id, "partner-one", 12);
    e->type = CTSEG_TYPE_EVENT;
    e->set = CTSEG_SET_SELECTED;
    e->kinds = ctseg_kind_bit(18) | ctseg_kind_bit(3);
    e->priority[0] = CTSEG_ID_PHONE;
    e->priority[1] = CTSEG_ID_OBJECT;
    e->npriority = 2;
    e->freq = CTSEG_FREQ_RECURRING;
    e->every_hours = 4;
    memcpy(e->start_date, "2026-11-20", 11);
    e->start_ms = TODAY - 3 * CTSEG_DAY_MS;
    e->covered_ms = TODAY + 12 * HOUR;
    e->cut = 1000;
    e->status = CTSEG_PENDING;
    e->revision = 3;
    e->runs = 22;
    memcpy(e->exported_on, "2026-11-19", 11);
    e->created_ms = TODAY - 4 * CTSEG_DAY_MS;
    e->next_run_ms = TODAY + 16 * HOUR;
    e->rev = 77;
}


/* text == NULL: no body; false: e is checked to be as it was */

static bool
test_patch(ctseg_export_t *e, const char *text, int64_t now,
    ctseg_problems_t *problems, const char **rule)
{
    bool                ok;
    ctseg_zone_t        zone;
    ctseg_json_t       *root;
    ctseg_arena_t      *a;
    ctseg_export_t      before;
    ctseg_export_env_t  env;

    a = ctseg_arena_create();
    assert_non_null(a);

    root = NULL;

    if (text != NULL) {
        assert_int_equal(ctseg_json_parse(a, ctseg_str(text), 8, 200, &root,
                                          NULL),
                         CTSEG_OK);
    }

    ctseg_zone_fixed(&zone, "UTC", 0);
    env.now_ms = now;
    env.zone = &zone;
    env.custom_events = false;
    env.retention_ms = 0;

    memcpy(&before, e, sizeof(before));
    memset(problems, 0, sizeof(ctseg_problems_t));
    *rule = "unset";

    ok = ctseg_export_patch(e, root, &env, problems, rule);

    ctseg_arena_destroy(a);

    assert_int_equal(ok, problems->n == 0 && *rule == NULL);
    assert_true(problems->n == 0 || *rule == NULL);

    if (!ok) {
        assert_memory_equal(e, &before, sizeof(before));

    } else {
        assert_int_equal(e->revision, before.revision + 1);
    }

    return ok;
}


/* everything but what an edit may change */

static void
test_rest(const ctseg_export_t *e)
{
    ctseg_export_t  was;

    test_export(&was);

    assert_string_equal(e->id, was.id);
    assert_int_equal(e->type, was.type);
    assert_int_equal(e->freq, was.freq);
    assert_true(e->cut == was.cut);
    assert_int_equal(e->stop_reason, was.stop_reason);
    assert_true(e->runs == was.runs);
    assert_string_equal(e->exported_on, was.exported_on);
    assert_true(e->created_ms == was.created_ms);
    assert_true(e->rev == was.rev);
    assert_true(e->from_ms == 0);
    assert_true(e->to_ms == 0);
}


static void
test_fields(void **state)
{
    const char        *rule;
    ctseg_export_t     e, was;
    ctseg_problems_t   problems;

    (void) state;

    test_export(&was);

    /* nothing given, or what it is anyway */

    test_export(&e);
    assert_true(test_patch(&e, "{}", NOW, &problems, &rule));
    e.revision = was.revision;
    assert_memory_equal(&e, &was, sizeof(e));

    assert_true(test_patch(&e, "{\"type\":\"event\",\"format\":\"json\"}",
                           NOW, &problems, &rule));
    e.revision = was.revision;
    assert_memory_equal(&e, &was, sizeof(e));

    /* one by one; the schedule stays */

    assert_true(test_patch(&e, "{\"partner_id\":\"p2\"}", NOW, &problems,
                           &rule));
    assert_string_equal(e.partner_id, "p2");

    assert_true(test_patch(&e, "{\"events\":{\"set\":\"selected\","
                           "\"names\":[\"App Launched\"]}}", NOW, &problems,
                           &rule));
    assert_true(e.kinds == ctseg_kind_bit(18)
                || e.kinds == ctseg_kind_bit(3));

    assert_true(test_patch(&e, "{\"events\":{\"set\":\"engagement\"}}", NOW,
                           &problems, &rule));
    assert_int_equal(e.set, CTSEG_SET_ENGAGEMENT);
    assert_true(e.kinds == ctseg_catalog_set(CTSEG_SET_ENGAGEMENT));
    assert_int_equal(e.npriority, 2);

    assert_true(test_patch(&e, "{\"identifier_priority\":[\"email\"]}", NOW,
                           &problems, &rule));
    assert_int_equal(e.npriority, 1);
    assert_int_equal(e.priority[0], CTSEG_ID_EMAIL);

    assert_int_equal(e.every_hours, was.every_hours);
    assert_string_equal(e.start_date, was.start_date);
    assert_true(e.start_ms == was.start_ms);
    assert_true(e.covered_ms == was.covered_ms);
    assert_true(e.next_run_ms == was.next_run_ms);
    test_rest(&e);
}


#define RE(s)                                                                \
    "{\"frequency\":{\"kind\":\"recurring\",\"every_hours\":" s "}}"


static void
test_frequency(void **state)
{
    size_t             i;
    const char        *rule;
    ctseg_export_t     e;
    ctseg_problems_t   problems;

    static const struct {
        const char      *text;
        ctseg_status_t   status;
        unsigned         hours;
        const char      *start;
        int64_t          start_ms;
        int64_t          next_ms;
    } cases[] = {
        { RE("4"), CTSEG_PENDING, 4, "2026-11-23", TODAY,
          TODAY + 16 * HOUR },
        { RE("5"), CTSEG_PENDING, 5, "2026-11-23", TODAY,
          TODAY + 15 * HOUR },
        { RE("24"), CTSEG_PENDING, 24, "2026-11-23", TODAY,
          TODAY + 24 * HOUR },
        { RE("7,\"start_date\":\"2026-11-22\""), CTSEG_PENDING, 7,
          "2026-11-22", TODAY - CTSEG_DAY_MS, TODAY + 18 * HOUR },
        { RE("6,\"start_date\":\"2026-12-01\""), CTSEG_PENDING, 6,
          "2026-12-01", TODAY + 8 * CTSEG_DAY_MS, TODAY + 8 * CTSEG_DAY_MS },

        /* when it runs, the end of the run says when the next is due */

        { RE("5"), CTSEG_RUNNING, 5, "2026-11-23", TODAY, 0 }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        test_export(&e);
        e.status = cases[i].status;

        if (e.status == CTSEG_RUNNING) {
            e.next_run_ms = 0;
        }

        assert_true(test_patch(&e, cases[i].text, NOW, &problems, &rule));
        assert_int_equal(e.every_hours, cases[i].hours);
        assert_string_equal(e.start_date, cases[i].start);
        assert_true(e.start_ms == cases[i].start_ms);
        assert_true(e.next_run_ms == cases[i].next_ms);
        assert_true(e.covered_ms == NOW);
        assert_int_equal(e.status, cases[i].status);
        test_rest(&e);
    }

    /* exactly on a slot: that one is over */

    test_export(&e);
    assert_true(test_patch(&e, RE("6"), TODAY + 12 * HOUR, &problems,
                           &rule));
    assert_true(e.next_run_ms == TODAY + 18 * HOUR);
}


static void
test_other_kinds(void **state)
{
    const char        *rule;
    ctseg_export_t     e;
    ctseg_problems_t   problems;

    (void) state;

    /* live: the kind may be repeated, and has nothing else */

    test_export(&e);
    e.freq = CTSEG_FREQ_LIVE;
    e.status = CTSEG_RUNNING;
    e.covered_ms = 5;

    assert_true(test_patch(&e, "{\"frequency\":{\"kind\":\"live\"},"
                           "\"partner_id\":\"p2\"}", NOW, &problems, &rule));
    assert_true(e.covered_ms == 5);

    assert_false(test_patch(&e, "{\"frequency\":{\"kind\":\"live\","
                            "\"every_hours\":4,\"range\":\"today\"}}", NOW,
                            &problems, &rule));
    assert_int_equal(problems.n, 2);

    assert_false(test_patch(&e, RE("4"), NOW, &problems, &rule));
    assert_string_equal(rule, KIND_RULE);

    /* a profile has no events to choose */

    test_export(&e);
    e.type = CTSEG_TYPE_PROFILE;
    e.set = (ctseg_set_t) 0;
    e.kinds = 0;

    assert_true(test_patch(&e, "{\"type\":\"profile\"}", NOW, &problems,
                           &rule));
    assert_int_equal(e.type, CTSEG_TYPE_PROFILE);

    assert_false(test_patch(&e, "{\"events\":{\"set\":\"system\"}}", NOW,
                            &problems, &rule));
    assert_string_equal(problems.item[0].field, "events");

    assert_false(test_patch(&e, "{\"type\":\"event\"}", NOW, &problems,
                            &rule));
    assert_string_equal(rule, TYPE_RULE);
}


static void
test_rules(void **state)
{
    size_t             i;
    const char        *rule;
    ctseg_export_t     e;
    ctseg_problems_t   problems;

    static const struct {
        ctseg_freq_t     freq;
        ctseg_status_t   status;
        const char      *text;
        const char      *rule;
    } cases[] = {
        { CTSEG_FREQ_RECURRING, CTSEG_DONE, "{}", DONE_RULE },
        { CTSEG_FREQ_RECURRING, CTSEG_STOPPED, "{}", STOPPED_RULE },
        { CTSEG_FREQ_LIVE, CTSEG_STOPPED, "{}", STOPPED_RULE },
        { CTSEG_FREQ_ONE_TIME, CTSEG_PENDING, "{}", ONE_RULE },
        { CTSEG_FREQ_ONE_TIME, CTSEG_RUNNING, "{}", ONE_RULE },

        /* the state goes before the frequency, both before the body */

        { CTSEG_FREQ_ONE_TIME, CTSEG_DONE, "{}", DONE_RULE },
        { CTSEG_FREQ_ONE_TIME, CTSEG_STOPPED, "{}", STOPPED_RULE },
        { CTSEG_FREQ_ONE_TIME, CTSEG_DONE, "7", DONE_RULE },
        { CTSEG_FREQ_ONE_TIME, CTSEG_PENDING, NULL, ONE_RULE },
        { CTSEG_FREQ_ONE_TIME, CTSEG_PENDING,
          "{\"type\":\"profile\",\"x\":1}", ONE_RULE },

        /* what never changes, before any wrong field */

        { CTSEG_FREQ_RECURRING, CTSEG_PENDING, "{\"type\":\"profile\"}",
          TYPE_RULE },
        { CTSEG_FREQ_RECURRING, CTSEG_RUNNING,
          "{\"id\":1,\"frequency\":{\"kind\":\"live\"},"
          "\"type\":\"profile\"}", TYPE_RULE },
        { CTSEG_FREQ_RECURRING, CTSEG_PENDING,
          "{\"frequency\":{\"kind\":\"live\"}}", KIND_RULE },
        { CTSEG_FREQ_RECURRING, CTSEG_RUNNING,
          "{\"x\":1,\"frequency\":{\"kind\":\"one_time\",\"from\":1}}",
          KIND_RULE },
        { CTSEG_FREQ_LIVE, CTSEG_RUNNING, RE("3"), KIND_RULE }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        test_export(&e);
        e.freq = cases[i].freq;
        e.status = cases[i].status;

        assert_false(test_patch(&e, cases[i].text, NOW, &problems, &rule));
        assert_non_null(rule);
        assert_string_equal(rule, cases[i].rule);
        assert_int_equal(problems.n, 0);
    }
}


static void
test_wrong(void **state)
{
    size_t             i;
    const char        *rule;
    ctseg_export_t     e;
    ctseg_problems_t   problems;

    static const struct {
        const char  *text;
        const char  *field;
        const char  *message;   /* a part of it */
    } cases[] = {
        { NULL, "", "body must be an object" },
        { "[]", "", "body must be an object" },
        { "{\"id\":\"e1\"}", "id", "read-only" },
        { "{\"status\":\"DONE\"}", "status", "read-only" },
        { "{\"revision\":4}", "revision", "read-only" },
        { "{\"next_run_at\":null}", "next_run_at", "read-only" },
        { "{\"colour\":1}", "colour", "not a known field" },
        { "{\"type\":\"x\"}", "type", "event or profile" },
        { "{\"type\":null}", "type", "a string" },
        { "{\"format\":\"csv\"}", "format", "json" },
        { "{\"partner_id\":\"\"}", "partner_id", "id of a partner" },
        { "{\"partner_id\":null}", "partner_id", "a string" },
        { "{\"events\":null}", "events", "an object" },
        { "{\"events\":{}}", "events.set", "required" },
        { "{\"events\":{\"set\":\"all\"}}", "events.set",
          "ctseg_custom_events" },
        { "{\"events\":{\"set\":\"selected\",\"names\":[\"App Launched\","
          "\"x\"]}}", "events.names[1]", "catalog" },
        { "{\"identifier_priority\":[]}", "identifier_priority", "1 to 6" },
        { "{\"identifier_priority\":[\"email\",\"x\"]}",
          "identifier_priority[1]", "must be identity" },
        { "{\"frequency\":null}", "frequency", "an object" },
        { "{\"frequency\":{}}", "frequency.kind", "required" },
        { "{\"frequency\":{\"every_hours\":4}}", "frequency.kind",
          "required" },
        { "{\"frequency\":{\"kind\":7}}", "frequency.kind", "a string" },
        { "{\"frequency\":{\"kind\":\"daily\"}}", "frequency.kind",
          "one_time, recurring" },
        { "{\"frequency\":{\"kind\":\"recurring\"}}",
          "frequency.every_hours", "required" },
        { RE("25"), "frequency.every_hours", "from 4 to 24" },
        { RE("4,\"start_date\":\"2026-09-23\""), "frequency.start_date",
          "60 days back" },
        { RE("4,\"start_date\":\"2027-11-25\""), "frequency.start_date",
          "366 days ahead" },
        { RE("4,\"range\":\"today\""), "frequency.range", "one_time only" },

        /* what was right beside it is not taken either */

        { "{\"partner_id\":\"p2\",\"identifier_priority\":[\"email\"],"
          "\"events\":{\"set\":\"system\"},\"frequency\":{\"kind\":"
          "\"recurring\",\"every_hours\":5},\"x\":1}", "x",
          "not a known field" }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        test_export(&e);

        assert_false(test_patch(&e, cases[i].text, NOW, &problems, &rule));
        assert_null(rule);

        if (problems.n != 1) {
            fail_msg("case %zu: %u problems", i, problems.n);
        }

        assert_string_equal(problems.item[0].field, cases[i].field);
        assert_non_null(strstr(problems.item[0].message, cases[i].message));
    }

    /* all at once */

    test_export(&e);
    assert_false(test_patch(&e, "{\"x\":1,\"type\":1,\"format\":1,"
                            "\"partner_id\":1,\"events\":1,"
                            "\"identifier_priority\":1,\"frequency\":{"
                            "\"kind\":\"recurring\",\"every_hours\":3,"
                            "\"start_date\":1}}", NOW, &problems, &rule));
    assert_int_equal(problems.n, 8);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_frequency),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_wrong)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
