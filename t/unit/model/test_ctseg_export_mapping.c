/*
 * The mapping of an export out of bodies: what is absent stays, what is wrong
 * is named, and what is asked for is pinned.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/ctseg_str.h"
#include "model/ctseg_run.h"


#define BODY(more)  "{\"partner_id\":\"p\",\"frequency\":"                   \
                    "{\"kind\":\"live\"}" more "}"
#define MAPPING(s)  "\"mapping\":" s


static bool
test_apply(ctseg_export_t *e, const char *text, bool patch,
    ctseg_problems_t *problems)
{
    bool                ok;
    const char         *rule;
    ctseg_json_t       *body;
    ctseg_zone_t        zone;
    ctseg_arena_t      *a;
    ctseg_export_env_t  env;

    ctseg_zone_fixed(&zone, "UTC", 0);
    memset(&env, 0, sizeof(env));
    env.zone = &zone;
    env.now_ms = 1767323045678LL;
    problems->n = 0;

    a = ctseg_arena_create();
    assert_non_null(a);
    assert_int_equal(ctseg_json_parse(a, ctseg_str(text), 16, 4096, &body,
                                      NULL), CTSEG_OK);

    if (patch) {
        ok = ctseg_export_patch(e, body, &env, problems, &rule);

    } else {
        memset(e, 0, sizeof(ctseg_export_t));
        ok = ctseg_export_parse(e, body, &env, problems);
    }

    ctseg_arena_destroy(a);

    return ok;
}


static void
test_parse(void **state)
{
    ctseg_run_t       run;
    ctseg_export_t    e;
    ctseg_partner_t   p;
    ctseg_mapping_t   none;
    ctseg_problems_t  problems;

    (void) state;

    memset(&none, 0, sizeof(none));
    assert_true(test_apply(&e, BODY(""), false, &problems));
    assert_memory_equal(&e.mapping, &none, sizeof(none));
    assert_true(test_apply(&e, BODY("," MAPPING("{}")), false, &problems));
    assert_memory_equal(&e.mapping, &none, sizeof(none));

    assert_true(test_apply(&e, BODY("," MAPPING("{\"context\":true,"
        "\"names\":\"canonical\",\"future\":\"reject\",\"integrations\":"
        "{ \"All\" : false,\n\"A \\\" B\\\\\":{\"x\":[1, 2]}}}")), false,
        &problems));
    assert_true(e.mapping.context);
    assert_int_equal(e.mapping.names, CTSEG_NAMES_CANONICAL);
    assert_int_equal(e.mapping.future, CTSEG_FUTURE_REJECT);
    assert_string_equal(e.mapping.integrations, "{\"All\":false,"
                        "\"A \\\" B\\\\\":{\"x\":[1,2]}}");

    memset(&run, 0, sizeof(run));
    memset(&p, 0, sizeof(p));
    ctseg_run_pin(&run, &e, &p);
    assert_memory_equal(&run.pinned.mapping, &e.mapping,
                        sizeof(ctseg_mapping_t));

    /* an edit changes what it names */

    assert_true(test_apply(&e, "{" MAPPING("{\"context\":false}") "}", true,
                           &problems));
    assert_false(e.mapping.context);
    assert_int_equal(e.mapping.names, CTSEG_NAMES_CANONICAL);
    assert_non_null(strstr(e.mapping.integrations, "All"));

    assert_true(test_apply(&e, "{" MAPPING("{\"integrations\":{\"B\":true},"
                           "\"future\":\"clamp\"}") "}", true, &problems));
    assert_string_equal(e.mapping.integrations, "{\"B\":true}");
    assert_int_equal(e.mapping.future, CTSEG_FUTURE_CLAMP);

    assert_true(test_apply(&e, "{" MAPPING("{\"integrations\":null,"
                           "\"future\":\"keep\",\"names\":\"original\"}")
                           "}", true, &problems));
    assert_memory_equal(&e.mapping, &none, sizeof(none));

    /* of a profile */

    assert_true(test_apply(&e, BODY(",\"type\":\"profile\"," MAPPING(
                           "{\"future\":\"clamp\",\"integrations\":{}}")),
                           false, &problems));
    assert_string_equal(e.mapping.integrations, "{}");
}


static void
test_wrong(void **state)
{
    size_t            i;
    ctseg_export_t    e;
    ctseg_problems_t  problems;

    static const struct {
        const char  *body;
        const char  *field;
        const char  *message;
    } cases[] = {
        { BODY("," MAPPING("null")), "mapping", "an object" },
        { BODY("," MAPPING("{\"x\":1}")), "mapping.x", "not a known" },
        { BODY("," MAPPING("{\"context\":1}")), "mapping.context",
          "true or false" },
        { BODY("," MAPPING("{\"names\":\"short\"}")), "mapping.names",
          "original or canonical" },
        { BODY("," MAPPING("{\"names\":null}")), "mapping.names",
          "a string" },
        { BODY("," MAPPING("{\"future\":\"drop\"}")), "mapping.future",
          "keep, clamp or reject" },
        { BODY("," MAPPING("{\"integrations\":[]}")),
          "mapping.integrations", "an object" },
        { BODY("," MAPPING("{\"integrations\":{\"A\":1}}")),
          "mapping.integrations.A", "true, false or an object" },
        { BODY("," MAPPING("{\"integrations\":{\"\":true}}")),
          "mapping.integrations.", "a name" },
        { BODY(",\"type\":\"profile\"," MAPPING("{\"context\":false}")),
          "mapping.context", "the type profile" },
        { BODY(",\"type\":\"profile\"," MAPPING("{\"names\":1}")),
          "mapping.names", "the type profile" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_false(test_apply(&e, cases[i].body, false, &problems));
        assert_int_equal(problems.n, 1);
        assert_string_equal(problems.item[0].field, cases[i].field);
        assert_non_null(strstr(problems.item[0].message, cases[i].message));
    }
}


/* 50 names, and 2,048 bytes without white space */

static void
test_limits(void **state)
{
    unsigned          n, i;
    ctseg_buf_t       b;
    ctseg_export_t    e;
    ctseg_problems_t  problems;

    (void) state;

    for (n = 50; n <= 51; n++) {
        memset(&b, 0, sizeof(b));
        ctseg_buf_cstr(&b, "{\"partner_id\":\"p\",\"frequency\":{\"kind\":"
                       "\"live\"},\"mapping\":{\"integrations\":{");

        for (i = 0; i < n; i++) {
            ctseg_buf_fmt(&b, "%s\"n%u\":true", i == 0 ? "" : ", ", i);
        }

        ctseg_buf_cstr(&b, "}}}");
        ctseg_buf_char(&b, '\0');
        assert_true(test_apply(&e, b.data, false, &problems) == (n == 50));
        ctseg_buf_free(&b);
    }

    for (n = CTSEG_INTEGRATIONS_MAX - 1; n <= CTSEG_INTEGRATIONS_MAX + 1;
         n++)
    {
        memset(&b, 0, sizeof(b));
        ctseg_buf_fmt(&b, "{\"partner_id\":\"p\",\"frequency\":{\"kind\":"
                      "\"live\"},\"mapping\":{\"integrations\": {\"%0*d\""
                      ": true }}}", (int) n - 9, 0);
        ctseg_buf_char(&b, '\0');
        assert_true(test_apply(&e, b.data, false, &problems)
                    == (n <= CTSEG_INTEGRATIONS_MAX));
        assert_int_equal(strlen(e.mapping.integrations),
                         n <= CTSEG_INTEGRATIONS_MAX ? n : 0);
        ctseg_buf_free(&b);
    }
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_limits)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
