/*
 * The query of a list: defaults, every parameter, encodings, each wrong value
 * by its name, and what matches.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_query.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))

#define BIT(v)  (1u << (v))


static bool
test_parse(const char *args, ctseg_query_t *q, ctseg_problems_t *problems)
{
    bool  ok;

    memset(q, 0x55, sizeof(ctseg_query_t));
    memset(problems, 0, sizeof(ctseg_problems_t));

    ok = ctseg_query_parse(q, ctseg_str(args), problems);
    assert_int_equal(ok, problems->n == 0);

    return ok;
}


static void
test_defaults(void **state)
{
    size_t            i;
    ctseg_str_t       none = { 0, NULL };
    ctseg_query_t     q;
    ctseg_problems_t  problems;

    static const char  *const cases[] = {
        "",
        "&",
        "&&page=1&",
        "format=json"
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        assert_true(test_parse(cases[i], &q, &problems));
        assert_int_equal(q.npartners, 0);
        assert_int_equal(q.types, 0);
        assert_int_equal(q.statuses, 0);
        assert_int_equal(q.frequencies, 0);
        assert_string_equal(q.from, "");
        assert_string_equal(q.to, "");
        assert_int_equal(q.page, 1);
        assert_int_equal(q.per_page, 20);
    }

    assert_true(ctseg_query_parse(&q, none, &problems));
    assert_true(ctseg_query_parse_page(&q, none, &problems));
    assert_int_equal(q.per_page, 20);
}


static void
test_full(void **state)
{
    ctseg_query_t     q;
    ctseg_problems_t  problems;

    (void) state;

    assert_true(test_parse("partner=p1,p2&partner=p%33&partner=p1"
                           "&type=event%2Cprofile&format=json,json"
                           "&%73tatus=PENDING&status=DONE%2cSTOPPED,DONE"
                           "&frequency=one_time,recurring&frequency=live"
                           "&exported_from=2026-11-23"
                           "&exported_to=2026%2D11-23"
                           "&page=1000000&per_page=40", &q, &problems));

    assert_int_equal(q.npartners, 3);
    assert_string_equal(q.partners[0], "p1");
    assert_string_equal(q.partners[1], "p2");
    assert_string_equal(q.partners[2], "p3");
    assert_int_equal(q.types, BIT(CTSEG_TYPE_EVENT)
                              | BIT(CTSEG_TYPE_PROFILE));
    assert_int_equal(q.statuses, BIT(CTSEG_PENDING) | BIT(CTSEG_DONE)
                                 | BIT(CTSEG_STOPPED));
    assert_int_equal(q.frequencies, BIT(CTSEG_FREQ_ONE_TIME)
                                    | BIT(CTSEG_FREQ_RECURRING)
                                    | BIT(CTSEG_FREQ_LIVE));
    assert_string_equal(q.from, "2026-11-23");
    assert_string_equal(q.to, "2026-11-23");
    assert_int_equal(q.page, 1000000);
    assert_int_equal(q.per_page, 40);

    assert_true(test_parse("per_page=10&page=0007", &q, &problems));
    assert_int_equal(q.per_page, 10);
    assert_int_equal(q.page, 7);

    assert_true(test_parse("per_page=30", &q, &problems));
    assert_int_equal(q.per_page, 30);
}


#define ZEROES  "00000000000000000000000000000000"


static const struct {
    const char  *args;
    const char  *field;
    const char  *message;       /* a part of it */
} test_wrong_cases[] = {
    { "colour=red", "colour", "not a parameter" },
    { "Page=1", "Page", "not a parameter" },
    { "=1", "", "not a parameter" },
    { "x%00%0a=1", "x??", "not a parameter" },
    { "page%00=1", "page?", "not a parameter" },
    { "p%ff", "p", "not a parameter" },
    { "p%zz=1", "p%zz", "broken" },
    { "%4", "%4", "broken" },
    { ZEROES ZEROES ZEROES "=1", ZEROES ZEROES, "not a parameter" },

    { "page", "page", "from 1" },
    { "page=", "page", "from 1" },
    { "page=0", "page", "from 1" },
    { "page=-1", "page", "from 1" },
    { "page=1.0", "page", "from 1" },
    { "page=1,2", "page", "from 1" },
    { "page=+1", "page", "from 1" },
    { "page=1%00", "page", "from 1" },
    { "page=1000001", "page", "from 1" },
    { "page=99999999999999999999", "page", "from 1" },
    { "page=" ZEROES ZEROES "1", "page", "from 1" },
    { "page=1%", "page", "broken" },
    { "page=1&page=1", "page", "once" },
    { "per_page=15", "per_page", "10, 20, 30 or 40" },
    { "per_page=010", "per_page", "10, 20, 30 or 40" },
    { "per_page=", "per_page", "10, 20, 30 or 40" },
    { "per_page=10&per_page=20", "per_page", "once" },

    { "partner=", "partner", "id of a partner" },
    { "partner=p1,", "partner", "id of a partner" },
    { "partner=%f", "partner", "broken" },
    { "type=events", "type", "event or profile" },
    { "type=event,x", "type", "event or profile" },
    { "type=Event", "type", "event or profile" },
    { "format=csv", "format", "json" },
    { "format", "format", "json" },
    { "status=pending", "status", "PENDING, RUNNING" },
    { "status=PENDING+", "status", "PENDING, RUNNING" },
    { "status=PENDING%00", "status", "PENDING, RUNNING" },
    { "status=,DONE", "status", "PENDING, RUNNING" },
    { "status=DONE=1", "status", "PENDING, RUNNING" },
    { "status=DONE,%g0", "status", "broken" },
    { "frequency=one+time", "frequency", "one_time, recurring" },
    { "exported_from=2026-11-31", "exported_from", "existing day" },
    { "exported_from=", "exported_from", "existing day" },
    { "exported_from=2026-11-01&exported_from=2026-11-01",
      "exported_from", "once" },
    { "exported_to=2026-11-1", "exported_to", "existing day" },
    { "exported_to=2026-11-01,2026-11-02", "exported_to", "existing day" },
    { "exported_from=2026-11-02&exported_to=2026-11-01", "exported_to",
      "before exported_from" }
};


static void
test_wrong(void **state)
{
    size_t            i;
    ctseg_query_t     q;
    ctseg_problems_t  problems;

    (void) state;

    for (i = 0; i < N(test_wrong_cases); i++) {
        if (test_parse(test_wrong_cases[i].args, &q, &problems)
            || problems.n != 1)
        {
            fail_msg("%s: %u problems", test_wrong_cases[i].args, problems.n);
        }

        assert_string_equal(problems.item[0].field,
                            test_wrong_cases[i].field);
        assert_non_null(strstr(problems.item[0].message,
                               test_wrong_cases[i].message));
    }

    /* all of them at once, each for itself */

    assert_false(test_parse("a=1&page=0&status=x,DONE,y&type=%&format=csv"
                            "&exported_to=x", &q, &problems));
    assert_int_equal(problems.n, 7);
    assert_int_equal(q.statuses, BIT(CTSEG_DONE));
}


static void
test_pages_only(void **state)
{
    ctseg_query_t     q;
    ctseg_problems_t  problems;

    (void) state;

    memset(&problems, 0, sizeof(problems));
    assert_true(ctseg_query_parse_page(&q, ctseg_str("page=3&per_page=10"),
                                       &problems));
    assert_int_equal(q.page, 3);
    assert_int_equal(q.per_page, 10);

    assert_false(ctseg_query_parse_page(&q, ctseg_str("page=0&status=DONE"),
                                        &problems));
    assert_int_equal(problems.n, 2);
    assert_string_equal(problems.item[1].field, "status");
    assert_non_null(strstr(problems.item[1].message, "not a parameter"));

    /* and with a status */

    problems.n = 0;
    assert_true(ctseg_query_parse_status(&q, ctseg_str("status=DONE,RUNNING"
                                                       "&per_page=40"),
                                         &problems));
    assert_int_equal(q.per_page, 40);
    assert_true(ctseg_query_matches_status(&q, CTSEG_DONE));
    assert_true(ctseg_query_matches_status(&q, CTSEG_RUNNING));
    assert_false(ctseg_query_matches_status(&q, CTSEG_STOPPED));
    assert_true(ctseg_query_parse_status(&q, ctseg_str(""), &problems));
    assert_true(ctseg_query_matches_status(&q, CTSEG_STOPPED));

    assert_false(ctseg_query_parse_status(&q, ctseg_str("type=event"),
                                          &problems));
    assert_int_equal(problems.n, 1);
    assert_string_equal(problems.item[0].field, "type");
}


static void
test_export(ctseg_export_t *e)
{
    memset(e, 0, sizeof(ctseg_export_t));
    memcpy(e->partner_id, "p1", 3);
    memcpy(e->exported_on, "2026-11-23", 11);
    e->type = CTSEG_TYPE_EVENT;
    e->freq = CTSEG_FREQ_RECURRING;
    e->status = CTSEG_PENDING;
}


static void
test_matches(void **state)
{
    size_t            i;
    ctseg_query_t     q;
    ctseg_export_t    e;
    ctseg_problems_t  problems;

    static const struct {
        const char  *args;
        bool         matches;
    } cases[] = {
        { "", true },
        { "partner=p1", true },
        { "partner=p2,p1", true },
        { "partner=p2", false },
        { "partner=p1%00", false },
        { "partner=p1+", false },
        { "partner=P1", false },
        { "partner=p%0a%c3%bc%ff", false },
        { "partner=%00", false },
        { "partner=p1" ZEROES ZEROES ZEROES, false },
        { "partner=" ZEROES "00000000", false },
        { "partner=" ZEROES ZEROES ",p1", true },
        { "type=event", true },
        { "type=profile", false },
        { "type=profile&type=event", true },
        { "format=json", true },
        { "status=PENDING", true },
        { "status=RUNNING,DONE,STOPPED", false },
        { "frequency=recurring,live", true },
        { "frequency=one_time,live", false },
        { "exported_from=2026-11-23", true },
        { "exported_from=2026-11-24", false },
        { "exported_to=2026-11-23", true },
        { "exported_to=2026-11-22", false },
        { "exported_from=2026-01-01&exported_to=2026-12-31", true },
        { "partner=p1&status=PENDING&type=event&frequency=recurring", true },
        { "partner=p1&status=DONE", false },
        { "page=7&per_page=40", true }
    };

    (void) state;

    test_export(&e);

    for (i = 0; i < N(cases); i++) {
        assert_true(test_parse(cases[i].args, &q, &problems));

        if (ctseg_query_matches(&q, &e) != cases[i].matches) {
            fail_msg("%s", cases[i].args);
        }
    }

    /* no id at all is matched by nothing either */

    e.partner_id[0] = '\0';
    assert_true(test_parse("partner=%00", &q, &problems));
    assert_false(ctseg_query_matches(&q, &e));
}


static void
test_many_partners(void **state)
{
    char              args[1024];
    size_t            n;
    unsigned          i;
    ctseg_query_t     q;
    ctseg_problems_t  problems;

    (void) state;

    n = (size_t) snprintf(args, sizeof(args), "partner=id0");

    for (i = 1; i < CTSEG_QUERY_PARTNERS_MAX; i++) {
        n += (size_t) snprintf(args + n, sizeof(args) - n, ",id%u", i);
    }

    assert_true(test_parse(args, &q, &problems));
    assert_int_equal(q.npartners, CTSEG_QUERY_PARTNERS_MAX);
    assert_string_equal(q.partners[63], "id63");

    /* one that was named counts once, two more are one complaint */

    n += (size_t) snprintf(args + n, sizeof(args) - n, ",id7");
    assert_true(test_parse(args, &q, &problems));

    (void) snprintf(args + n, sizeof(args) - n, ",id64&partner=id65");
    assert_false(test_parse(args, &q, &problems));
    assert_int_equal(problems.n, 1);
    assert_string_equal(problems.item[0].field, "partner");
    assert_non_null(strstr(problems.item[0].message, "at most 64"));
    assert_int_equal(q.npartners, CTSEG_QUERY_PARTNERS_MAX);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_pages_only),
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_many_partners)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
