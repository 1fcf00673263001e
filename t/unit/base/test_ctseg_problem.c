/*
 * Errors of the API: exact bytes for the shapes that exist, nothing lost in
 * escaping, and an end to a list that a client makes long.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/ctseg_problem.h"
#include "base/ctseg_str.h"


static void
test_render(const char *expect, int status, const char *detail,
    const ctseg_problems_t *problems)
{
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(out));

    ctseg_problem_render(&out, status, detail, problems);
    ctseg_buf_char(&out, '\0');

    assert_false(out.failed);
    assert_string_equal(out.data, expect);

    ctseg_buf_free(&out);
}


static void
test_shapes(void **state)
{
    ctseg_problems_t  problems;

    (void) state;

    test_render("{\"type\":\"about:blank\",\"title\":\"Not Found\","
                "\"status\":404}\n", 404, NULL, NULL);

    memset(&problems, 0, sizeof(problems));

    test_render("{\"type\":\"about:blank\",\"title\":\"Conflict\","
                "\"status\":409,\"detail\":\"a \\\"b\\\"\"}\n",
                409, "a \"b\"", &problems);

    ctseg_problem(&problems, "a.b[0]", "must be %d", 1);
    ctseg_problem(&problems, "\"\n", "%s", "\\");

    test_render("{\"type\":\"about:blank\","
                "\"title\":\"Unprocessable Content\",\"status\":422,"
                "\"detail\":\"d\",\"errors\":["
                "{\"field\":\"a.b[0]\",\"message\":\"must be 1\"},"
                "{\"field\":\"\\\"\\n\",\"message\":\"\\\\\"}]}\n",
                422, "d", &problems);
}


static void
test_many(void **state)
{
    size_t            c;
    unsigned          i, kept;
    ctseg_buf_t       out;
    ctseg_json_t     *json, *last;
    ctseg_arena_t    *a;
    ctseg_problems_t  problems;

    static const unsigned  counts[] = { 1, 20, CTSEG_PROBLEMS_MAX,
                                        CTSEG_PROBLEMS_MAX + 1, 1000 };

    (void) state;

    for (c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {

        memset(&out, 0, sizeof(out));
        memset(&problems, 0, sizeof(problems));

        for (i = 0; i < counts[c]; i++) {
            ctseg_problem(&problems, "f", "wrong %u", i);
        }

        assert_int_equal(problems.n, counts[c]);

        ctseg_problem_render(&out, 422, NULL, &problems);

        a = ctseg_arena_create();
        assert_non_null(a);
        assert_int_equal(ctseg_json_parse(a, ctseg_buf_slice(&out), 8, 1000,
                                          &json, NULL),
                         CTSEG_OK);

        kept = counts[c] < CTSEG_PROBLEMS_MAX ? counts[c]
                                              : CTSEG_PROBLEMS_MAX;
        json = ctseg_json_get(json, "errors");
        assert_non_null(json);
        assert_int_equal(json->n, kept);

        for (last = json->child; last->next != NULL; last = last->next) {
            assert_true(ctseg_str_is(ctseg_json_get(last, "field")->text,
                                     "f"));
        }

        assert_int_equal(strtol(ctseg_json_get(last, "message")->text.data
                                + 6, NULL, 10), kept - 1);

        ctseg_arena_destroy(a);
        ctseg_buf_free(&out);
    }
}


static void
test_title(void **state)
{
    size_t  i;

    static const struct {
        int          status;
        const char  *title;
    } cases[] = {
        { 400, "Bad Request" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 409, "Conflict" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 422, "Unprocessable Content" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(ctseg_status_title(cases[i].status),
                            cases[i].title);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_title)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
