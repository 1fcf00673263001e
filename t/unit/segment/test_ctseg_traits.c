/*
 * What an update of a profile says, as traits: values to the byte, Segment's
 * names for what it has names for, operators resolved or left out, and dates.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "segment_test.h"

#include "segment/ctseg_dates.h"
#include "segment/ctseg_traits.h"


static void
test_is(ctseg_buf_t *out, const char *expect)
{
    ctseg_buf_char(out, '\0');
    assert_false(out->failed);
    assert_string_equal(out->data, expect);
    ctseg_buf_free(out);
}


static void
test_write(void **state)
{
    size_t         i;
    ctseg_buf_t    out;
    ctseg_event_t  ev;

    static const struct {
        const char  *props;
        const char  *traits;
    } cases[] = {
        { "", "{}" },
        { "{}", "{}" },
        { "{ \"a\" : 12345678901234567890 , \"b\":1e400,\"c\":\"\\u0041\"}",
          "{\"a\":12345678901234567890,\"b\":1e400,\"c\":\"\\u0041\"}" },
        { "{\"a\":true,\"b\":false,\"c\":null,\"d\":[ 1, \"x\",null]}",
          "{\"a\":true,\"b\":false,\"c\":null,\"d\":[ 1, \"x\",null]}" },
        { "{\"a\":[]}", "{\"a\":[]}" },

        /* Segment's own names, whatever the case */

        { "{\"Name\":\"N\",\"EMAIL\":\"e@x\",\"phone\":1,\"GenDer\":\"M\","
          "\"dob\":\"1990-01-02\",\"Photo\":\"u\",\"Age\":7}",
          "{\"name\":\"N\",\"email\":\"e@x\",\"phone\":1,\"gender\":\"M\","
          "\"birthday\":\"1990-01-02\",\"avatar\":\"u\",\"age\":7}" },
        { "{\"Name \":1,\"First Name\":2,\"Nam\":3,\"Employed\":\"Y\"}",
          "{\"Name \":1,\"First Name\":2,\"Nam\":3,\"Employed\":\"Y\"}" },
        { "{\"N\\u0061me\":1}", "{\"name\":1}" },

        /* the last one counts, in the place of the first */

        { "{\"a\":1,\"b\":2,\"\\u0061\":3}", "{\"a\":3,\"b\":2}" },
        { "{\"Name\":1,\"name\":2}", "{\"name\":2}" },

        /* operators */

        { "{\"a\":{\"$set\":[1,\"x\"]},\"b\":{ \"$set\" : [ ] }}",
          "{\"a\":[1,\"x\"],\"b\":[ ]}" },
        { "{\"a\":{\"$delete\":1},\"dob\":{\"$delete\":\"x\"}}",
          "{\"a\":null,\"birthday\":null}" },
        { "{\"a\":{\"$add\":[1]},\"b\":{\"$remove\":[1]},\"c\":{\"$incr\":1},"
          "\"d\":{\"$decr\":1}}", "{}" },
        { "{\"a\":1,\"b\":{\"$add\":[\"x\"]},\"c\":2}",
          "{\"a\":1,\"c\":2}" },
        { "{\"a\":{\"$set\":[1]},\"b\":{\"$add\":[2]},\"c\":[3]}",
          "{\"a\":[1],\"c\":[3]}" },
        { "{\"$set\":[1],\"$add\":2}", "{\"$set\":[1],\"$add\":2}" },
        { "{\"\":1}", "{\"\":1}" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&out, 0, sizeof(out));
        test_event(&ev, "App Launched", "I", cases[i].props);
        ev.kind = CTSEG_KIND_PROFILE;

        assert_int_equal(ctseg_traits_write(&out, &ev), CTSEG_OK);
        test_is(&out, cases[i].traits);
    }
}


/* email and phone of the record, when the profile does not say */

static void
test_identities(void **state)
{
    size_t         i;
    ctseg_buf_t    out;
    ctseg_event_t  ev;

    static const struct {
        const char  *props;
        const char  *traits;
    } cases[] = {
        { "", "{\"email\":\"E\\u0041\",\"phone\":\"P\"}" },
        { "{\"a\":1}", "{\"a\":1,\"email\":\"E\\u0041\",\"phone\":\"P\"}" },
        { "{\"Email\":\"x@y\"}", "{\"email\":\"x@y\",\"phone\":\"P\"}" },
        { "{\"PHONE\":{\"$delete\":1}}",
          "{\"phone\":null,\"email\":\"E\\u0041\"}" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&out, 0, sizeof(out));
        test_event(&ev, "App Launched", "I", cases[i].props);
        ev.kind = CTSEG_KIND_PROFILE;
        ev.id[CTSEG_ID_EMAIL] = ctseg_str("E\\u0041");
        ev.id[CTSEG_ID_PHONE] = ctseg_str("P");

        assert_int_equal(ctseg_traits_write(&out, &ev), CTSEG_OK);
        test_is(&out, cases[i].traits);
    }
}


static void
test_merge(void **state)
{
    size_t       i;
    unsigned     n;
    ctseg_rc_t   rc;
    ctseg_buf_t  out, one, two;

    static const struct {
        const char  *older;
        const char  *newer;
        const char  *both;
    } cases[] = {
        { "{}", "{}", "{}" },
        { "{\"a\":1}", "{}", "{\"a\":1}" },
        { "{}", "{\"a\":1}", "{\"a\":1}" },
        { "{\"a\":1,\"b\":[1,{\"a\":2}]}", "{\"c\":3,\"a\":null}",
          "{\"a\":null,\"b\":[1,{\"a\":2}],\"c\":3}" },
        { "{\"Name\":1}", "{\"name\":2}", "{\"Name\":1,\"name\":2}" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&out, 0, sizeof(out));
        assert_int_equal(ctseg_traits_merge(&out, ctseg_str(cases[i].older),
                                            ctseg_str(cases[i].newer)),
                         CTSEG_OK);
        test_is(&out, cases[i].both);
    }

    /* as many as may be, and one more */

    for (n = CTSEG_TRAITS_MAX; n <= CTSEG_TRAITS_MAX + 1; n++) {
        memset(&out, 0, sizeof(out));
        memset(&one, 0, sizeof(one));
        memset(&two, 0, sizeof(two));

        for (i = 0; i < n; i++) {
            ctseg_buf_fmt(i % 2 == 0 ? &one : &two, "%s\"t%zu\":1",
                          i < 2 ? "{" : ",", i);
        }

        ctseg_buf_char(&one, '}');
        ctseg_buf_char(&two, '}');
        ctseg_buf_cstr(&out, "x");

        rc = ctseg_traits_merge(&out, ctseg_buf_slice(&one),
                                ctseg_buf_slice(&two));

        if (n == CTSEG_TRAITS_MAX) {
            assert_int_equal(rc, CTSEG_OK);
            assert_int_equal(out.len, 1 + one.len + two.len - 1);

        } else {
            assert_int_equal(rc, CTSEG_INVALID);
            assert_int_equal(out.len, 1);
        }

        ctseg_buf_free(&out);
        ctseg_buf_free(&one);
        ctseg_buf_free(&two);
    }
}


static void
test_dates(void **state)
{
    size_t       i;
    ctseg_buf_t  out;

    static const struct {
        const char  *json;
        const char  *with;      /* NULL: the same */
    } cases[] = {
        { "{\"a\":\"$D_0\"}", "{\"a\":\"1970-01-01T00:00:00.000Z\"}" },
        { "{\"a\":\"$D_1767323045\",\"b\":[\"$D_631152000\"]}",
          "{\"a\":\"2026-01-02T03:04:05.000Z\","
          "\"b\":[\"1990-01-01T00:00:00.000Z\"]}" },
        { "{\"a\":\"$D_-1\"}", "{\"a\":\"1969-12-31T23:59:59.000Z\"}" },
        { "{\"a\":\"$D_-62135596800\"}",
          "{\"a\":\"0001-01-01T00:00:00.000Z\"}" },
        { "{\"a\":\"$D_253402300799\"}",
          "{\"a\":\"9999-12-31T23:59:59.000Z\"}" },
        { "{\"a\":\"\\\\\",\"b\":\"$D_0\"}",
          "{\"a\":\"\\\\\",\"b\":\"1970-01-01T00:00:00.000Z\"}" },
        { "[\"$D_0\" , \"$D_0\"]",
          "[\"1970-01-01T00:00:00.000Z\" , \"1970-01-01T00:00:00.000Z\"]" },
        { "{\"a\":\"$D_-62135596801\"}", NULL },
        { "{\"a\":\"$D_253402300800\"}", NULL },
        { "{\"a\":\"$D_9999999999999\"}", NULL },
        { "{\"a\":\"$D_\"}", NULL },
        { "{\"a\":\"$D_-\"}", NULL },
        { "{\"a\":\"$D_1.5\"}", NULL },
        { "{\"a\":\"$D_1x\"}", NULL },
        { "{\"a\":\"x$D_1\"}", NULL },
        { "{\"a\":\"$d_1\"}", NULL },
        { "{\"a\":\"\\\"$D_1\\\"\"}", NULL },
        { "{\"a\":\"\\\"$D_1\"}", NULL },
        { "{\"$D_1\":1,\"$D_2\" : 2}", NULL },
        { "{\"a\":\"$\"}", NULL },
        { "\"$D_1", NULL },
        { "\"$D_", NULL },
        { "$", NULL },
        { "{}", NULL },
        { "", NULL }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&out, 0, sizeof(out));
        assert_int_equal(ctseg_dates_write(&out, ctseg_str(cases[i].json)),
                         cases[i].with != NULL);
        test_is(&out, cases[i].with != NULL ? cases[i].with : cases[i].json);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_dates)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
