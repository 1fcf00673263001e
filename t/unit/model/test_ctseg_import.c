/*
 * Imports: the body of a new one, with each wrong field by its path; names,
 * days and how much of them is done; and what the API shows, byte by byte.
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
#include "../../../src/model/ctseg_import.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))

/* 2026-11-23T22:34:56.789Z */

#define NOW   1795473296789LL

#define DAYS  "\"from\":\"2026-11-01\",\"to\":\"2026-11-23\""
#define EV    "\"events\":[\"App Launched\"]"


static bool
parse(const char *text, const ctseg_import_env_t *env, ctseg_import_t *im,
    ctseg_problems_t *problems)
{
    bool            ok;
    ctseg_json_t   *root;
    ctseg_arena_t  *a;

    a = ctseg_arena_create();
    assert_non_null(a);
    assert_int_equal(ctseg_json_parse(a, ctseg_str(text), 8, 500, &root,
                                      NULL),
                     CTSEG_OK);

    memset(im, 0, sizeof(ctseg_import_t));
    memset(problems, 0, sizeof(ctseg_problems_t));
    ok = ctseg_import_parse(im, root, env, problems);
    assert_int_equal(ok, problems->n == 0);

    /* nothing of the body is kept */

    ctseg_arena_destroy(a);

    return ok;
}


static void
setting(ctseg_zone_t *zone, ctseg_import_env_t *env)
{
    static const ctseg_str_t  accounts[] = {
        ctseg_string("ONE"), ctseg_string("TWO")
    };

    ctseg_zone_fixed(zone, "UTC", 0);
    env->now_ms = NOW;
    env->zone = zone;
    env->accounts = accounts;
    env->naccounts = 1;
}


static void
check_name(const ctseg_import_t *im, unsigned i, const char *name)
{
    ctseg_str_t  s;

    s = ctseg_import_name(im, i);
    assert_int_equal(s.len, strlen(name));
    assert_memory_equal(s.data, name, s.len);
}


static void
test_good(void **state)
{
    ctseg_zone_t        zone;
    ctseg_import_t      im;
    ctseg_problems_t    problems;
    ctseg_import_env_t  env;

    (void) state;

    setting(&zone, &env);
    assert_true(parse("{" EV "," DAYS "}", &env, &im, &problems));

    assert_string_equal(im.account, "ONE");
    assert_int_equal(im.nnames, 1);
    check_name(&im, 0, "App Launched");
    check_name(&im, 1, "");
    assert_int_equal(im.from.year, 2026);
    assert_int_equal(im.from.month, 11);
    assert_int_equal(im.from.day, 1);
    assert_int_equal(im.to.day, 23);
    assert_false(im.profiles);
    assert_int_equal(im.status, CTSEG_PENDING);
    assert_int_equal(im.stop_reason, CTSEG_STOP_NONE);
    assert_int_equal(im.revision, 1);
    assert_int_equal(im.seq, 1);
    assert_true(im.created_ms == NOW);
    ctseg_import_free(&im);

    env.naccounts = 2;
    assert_true(parse("{\"events\":[\" app  launched\",\"caf\\u00e9\","
                      "\"a\\\"b\\\\c\",\"UTM visited\"]," DAYS ","
                      "\"account_id\":\"TWO\",\"profiles\":true}",
                      &env, &im, &problems));
    assert_string_equal(im.account, "TWO");
    assert_true(im.profiles);
    assert_int_equal(im.nnames, 4);
    check_name(&im, 0, "App Launched");
    check_name(&im, 1, "caf\xc3\xa9");
    check_name(&im, 2, "a\\\"b\\\\c");
    check_name(&im, 3, "UTM Visited");
    ctseg_import_free(&im);
}


static void
test_wrong(void **state)
{
    size_t              i;
    ctseg_zone_t        zone;
    ctseg_import_t      im;
    ctseg_problems_t    problems;
    ctseg_import_env_t  env;

    static const struct {
        const char  *body;
        unsigned     accounts;
        const char  *field;
        const char  *message;
    } cases[] = {
        { "[]", 1, "", "body must be an object" },
        { "{" DAYS "}", 1, "events", "is required" },
        { "{\"events\":[]," DAYS "}", 1, "events",
          "must be an array of 1 to 100 names of events" },
        { "{\"events\":{}," DAYS "}", 1, "events",
          "must be an array of 1 to 100 names of events" },
        { "{\"events\":[null]," DAYS "}", 1, "events[0]",
          "must be a string" },
        { "{\"events\":[\"a\",\" \"]," DAYS "}", 1, "events[1]",
          "may not be empty" },
        { "{\"events\":[\"a\\u0085\"]," DAYS "}", 1, "events[0]",
          "may not have control characters" },
        { "{\"events\":[\"App Launched\",\"b\",\"APPLAUNCHED\"]," DAYS "}",
          1, "events[2]", "occurs twice" },
        { "{" EV ",\"to\":\"2026-11-23\"}", 1, "from", "is required" },
        { "{" EV ",\"from\":\"2026-11-23\"}", 1, "to", "is required" },
        { "{" EV ",\"from\":null,\"to\":\"2026-11-23\"}", 1, "from",
          "must be a string" },
        { "{" EV ",\"from\":\"2025-02-29\",\"to\":\"2026-11-23\"}", 1,
          "from", "must be an existing day, written YYYY-MM-DD" },
        { "{" EV ",\"from\":\"2026-11-23\",\"to\":\"2026-11-24\"}", 1, "to",
          "may not lie after today" },
        { "{" EV ",\"from\":\"2026-11-23\",\"to\":\"2026-11-22\"}", 1,
          "from", "may not lie after to" },
        { "{" EV ",\"from\":\"2016-11-15\",\"to\":\"2026-11-23\"}", 1,
          "from", "may lie so far back that there are at most 3660 days" },
        { "{" EV "," DAYS "}", 2, "account_id",
          "is required, since nginx.conf names 2 accounts" },
        { "{" EV "," DAYS ",\"account_id\":\"one\"}", 1, "account_id",
          "names no account of a ctseg_clevertap in nginx.conf" },
        { "{" EV "," DAYS ",\"account_id\":\"TWO\"}", 1, "account_id",
          "names no account of a ctseg_clevertap in nginx.conf" },
        { "{" EV "," DAYS ",\"account_id\":1}", 1, "account_id",
          "must be a string" },
        { "{" EV "," DAYS ",\"profiles\":1}", 1, "profiles",
          "must be true or false" },
        { "{" EV "," DAYS ",\"x\":1}", 1, "x", "is not a known field" },
        { "{" EV "," DAYS ",\"errors\":[]}", 1, "errors", "is read-only" }
    };

    (void) state;

    setting(&zone, &env);

    for (i = 0; i < N(cases); i++) {
        env.naccounts = cases[i].accounts;
        assert_false(parse(cases[i].body, &env, &im, &problems));
        assert_int_equal(problems.n, 1);
        assert_string_equal(problems.item[0].field, cases[i].field);
        assert_string_equal(problems.item[0].message, cases[i].message);
        ctseg_import_free(&im);
    }
}


/* n names of so many bytes each */

static bool
parse_names(unsigned n, unsigned bytes, const ctseg_import_env_t *env,
    ctseg_import_t *im, ctseg_problems_t *problems)
{
    bool         ok;
    unsigned     i;
    ctseg_buf_t  text = { NULL, 0, 0, false };

    ctseg_buf_cstr(&text, "{\"events\":[");

    for (i = 0; i < n; i++) {
        ctseg_buf_fmt(&text, "%s\"%0*u\"", i == 0 ? "" : ",", (int) bytes,
                      i);
    }

    ctseg_buf_cstr(&text, "]," DAYS "}");
    ctseg_buf_char(&text, '\0');
    ok = parse(text.data, env, im, problems);
    ctseg_buf_free(&text);

    return ok;
}


static void
test_bounds(void **state)
{
    ctseg_zone_t        zone;
    ctseg_import_t      im;
    ctseg_problems_t    problems;
    ctseg_import_env_t  env;

    (void) state;

    setting(&zone, &env);

    assert_true(parse_names(100, 3, &env, &im, &problems));
    assert_int_equal(im.nnames, 100);
    check_name(&im, 99, "099");
    ctseg_import_free(&im);

    assert_false(parse_names(101, 3, &env, &im, &problems));
    assert_string_equal(problems.item[0].field, "events");
    ctseg_import_free(&im);

    assert_true(parse_names(1, 512, &env, &im, &problems));
    ctseg_import_free(&im);

    assert_false(parse_names(1, 513, &env, &im, &problems));
    assert_string_equal(problems.item[0].message,
                        "may have at most 512 characters");
    ctseg_import_free(&im);

    /* 64 times 511 and a NUL each fit exactly */

    assert_true(parse_names(64, 511, &env, &im, &problems));
    assert_int_equal(im.names.len, CTSEG_IMPORT_NAMES_BYTES);
    ctseg_import_free(&im);

    assert_false(parse_names(64, 512, &env, &im, &problems));
    assert_string_equal(problems.item[0].message,
                        "the names may have at most 32768 bytes together");
    ctseg_import_free(&im);

    /* 3,660 days; and today is that of the zone */

    assert_true(parse("{" EV ",\"from\":\"2016-11-16\",\"to\":"
                      "\"2026-11-23\"}", &env, &im, &problems));
    ctseg_import_free(&im);

    ctseg_zone_fixed(&zone, "East", 2 * 3600);
    assert_true(parse("{" EV ",\"from\":\"2026-11-24\",\"to\":"
                      "\"2026-11-24\"}", &env, &im, &problems));
    ctseg_import_free(&im);
}


static void
civil(ctseg_civil_t *c, int month, int day)
{
    memset(c, 0, sizeof(ctseg_civil_t));
    c->year = month != 0 ? 2026 : 0;
    c->month = month;
    c->day = day;
}


static void
test_percent(void **state)
{
    size_t          i;
    ctseg_import_t  im;

    static const struct {
        ctseg_status_t  status;
        unsigned        nnames;
        unsigned        name;
        int             month;          /* of the walk's first day; 0: none */
        int             day;
        unsigned        percent;
    } cases[] = {
        { CTSEG_PENDING, 4, 0, 0, 0, 0 },
        { CTSEG_PENDING, 0, 0, 0, 0, 0 },
        { CTSEG_RUNNING, 4, 0, 1, 1, 0 },
        { CTSEG_RUNNING, 4, 0, 1, 6, 12 },
        { CTSEG_RUNNING, 4, 1, 0, 0, 25 },
        { CTSEG_RUNNING, 4, 3, 1, 10, 97 },
        { CTSEG_RUNNING, 4, 4, 0, 0, 100 },
        { CTSEG_STOPPED, 4, 2, 1, 6, 62 },
        { CTSEG_DONE, 4, 0, 0, 0, 100 },

        /* a record that makes no sense stays in bounds */

        { CTSEG_RUNNING, 4, 0, 12, 31, 25 },
        { CTSEG_RUNNING, 4, 9, 1, 1, 100 }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        memset(&im, 0, sizeof(im));
        civil(&im.from, 1, 1);
        civil(&im.to, 1, 10);
        im.status = cases[i].status;
        im.nnames = cases[i].nnames;
        im.name = cases[i].name;
        civil(&im.walk_from, cases[i].month, cases[i].day);
        assert_int_equal(ctseg_import_percent(&im), cases[i].percent);
    }

    memset(&im, 0, sizeof(im));
    im.nnames = 1;
    civil(&im.from, 2, 1);
    civil(&im.to, 1, 1);
    assert_int_equal(ctseg_import_percent(&im), 0);
}


static void
check_render(const ctseg_import_t *im, const char *text)
{
    ctseg_buf_t          out = { NULL, 0, 0, false };
    ctseg_json_writer_t  w = { .buf = &out, .comma = false };

    ctseg_import_render(&w, NULL, im);
    ctseg_buf_char(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.data, text);
    ctseg_buf_free(&out);
}


static void
fill(ctseg_import_t *im)
{
    memset(im, 0, sizeof(ctseg_import_t));
    (void) snprintf(im->id, sizeof(im->id), "0193b4c5d6e7f8091a2b");
    (void) snprintf(im->account, sizeof(im->account), "ONE");
    ctseg_buf_add(&im->names, "a\\\"b\0two\0three", 15);
    im->nnames = 3;
    civil(&im->from, 1, 1);
    civil(&im->to, 1, 10);
    im->status = CTSEG_RUNNING;
    im->revision = 3;
    im->created_ms = 1000;
    im->started_ms = 2000;
    im->name = 1;
    civil(&im->walk_from, 1, 6);
    civil(&im->walk_to, 1, 8);
    im->page = 4;
    im->counts.pages = 11;
    im->counts.received = 21;
    im->counts.stored = 18;
    im->counts.known = 2;
    im->counts.refused = 1;
    im->counts.profiles = 5;
    im->counts.retries = 6;
    im->forbidden[0] = 5;
    ctseg_buf_cstr(&im->errors, "{\"code\":1},{\"code\":2}");
    im->nerrors = 2;
    im->error_status = 429;
    (void) snprintf(im->error, sizeof(im->error), "too \"many\"");
    im->error_ms = 3000;
    im->retry_at_ms = 4000;

    /* not shown */

    ctseg_buf_cstr(&im->cursor, "CURSOR");
    (void) snprintf(im->owner, sizeof(im->owner), "OWNER");
}


#define HEAD                                                                 \
    "{\"id\":\"0193b4c5d6e7f8091a2b\",\"account_id\":\"ONE\","               \
    "\"events\":[\"a\\\"b\",\"two\",\"three\"],"                             \
    "\"from\":\"2026-01-01\",\"to\":\"2026-01-10\",\"profiles\":"
#define COUNTS                                                               \
    "\"pages\":11,\"received\":21,\"stored\":18,\"known\":2,\"refused\":1,"  \
    "\"profiles\":5,\"retries\":6,"


static void
test_render(void **state)
{
    ctseg_import_t  im;

    (void) state;

    fill(&im);
    check_render(&im, HEAD "false,\"status\":\"RUNNING\",\"stop_reason\":null,"
        "\"revision\":3,\"created_at\":\"1970-01-01T00:00:01.000Z\","
        "\"started_at\":\"1970-01-01T00:00:02.000Z\",\"finished_at\":null,"
        "\"progress\":{\"event\":\"two\",\"from\":\"2026-01-06\","
        "\"to\":\"2026-01-08\",\"page\":4," COUNTS "\"percent\":50,"
        "\"retry_at\":\"1970-01-01T00:00:04.000Z\"},"
        "\"forbidden_events\":[\"a\\\"b\",\"three\"],"
        "\"errors\":[{\"code\":1},{\"code\":2}],"
        "\"last_error\":{\"status\":429,\"message\":\"too \\\"many\\\"\","
        "\"at\":\"1970-01-01T00:00:03.000Z\"}}");

    /* all is done; the last failure was one of the network */

    im.profiles = true;
    im.status = CTSEG_DONE;
    im.stop_reason = CTSEG_STOP_ERRORS;
    im.finished_ms = 5000;
    im.name = 3;
    im.retry_at_ms = 0;
    im.error_status = 0;
    im.forbidden[0] = 0;
    ctseg_buf_reset(&im.errors);

    check_render(&im, HEAD "true,\"status\":\"DONE\",\"stop_reason\":"
        "\"errors\",\"revision\":3,"
        "\"created_at\":\"1970-01-01T00:00:01.000Z\","
        "\"started_at\":\"1970-01-01T00:00:02.000Z\","
        "\"finished_at\":\"1970-01-01T00:00:05.000Z\","
        "\"progress\":{\"event\":null,\"from\":null,\"to\":null,\"page\":0,"
        COUNTS "\"percent\":100,\"retry_at\":null},\"forbidden_events\":[],"
        "\"errors\":[],\"last_error\":{\"status\":null,"
        "\"message\":\"too \\\"many\\\"\","
        "\"at\":\"1970-01-01T00:00:03.000Z\"}}");

    ctseg_import_free(&im);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_render)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
