/*
 * Writing: each byte's escape, commas at every place, and that what is
 * written reads back as what went in.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_json.h"
#include "../../../src/base/ctseg_str.h"


static void
test_escape(void **state)
{
    ctseg_buf_t  b = { NULL, 0, 0, false };
    ctseg_str_t  odd = { 5, "a\0\x1f\x7f/" };

    (void) state;

    ctseg_json_escape(&b, ctseg_str(""));
    assert_int_equal(b.len, 0);

    ctseg_json_escape(&b, ctseg_str("plain \xc3\xa4"));
    assert_true(ctseg_str_is(ctseg_buf_slice(&b), "plain \xc3\xa4"));

    ctseg_buf_reset(&b);
    ctseg_json_escape(&b, ctseg_str("\"a\\b\n\r\t\b"));
    assert_true(ctseg_str_is(ctseg_buf_slice(&b),
                             "\\\"a\\\\b\\n\\r\\t\\u0008"));

    ctseg_buf_reset(&b);
    ctseg_json_escape(&b, odd);
    assert_true(ctseg_str_is(ctseg_buf_slice(&b), "a\\u0000\\u001f\x7f/"));

    ctseg_buf_free(&b);
}


static void
test_every_byte(void **state)
{
    char            all[128];
    unsigned        i;
    ctseg_str_t     s = { sizeof(all), all };
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_json_t   *root;
    ctseg_arena_t  *a;

    (void) state;

    for (i = 0; i < sizeof(all); i++) {
        all[i] = (char) i;
    }

    a = ctseg_arena_create();
    assert_non_null(a);

    ctseg_json_string(&b, s);
    assert_int_equal(ctseg_json_parse(a, ctseg_buf_slice(&b), 1, 1, &root,
                                      NULL),
                     CTSEG_OK);
    assert_true(ctseg_str_eq(root->text, s));

    ctseg_arena_destroy(a);
    ctseg_buf_free(&b);
}


static void
test_strings(void **state)
{
    ctseg_buf_t  b = { NULL, 0, 0, false };
    ctseg_str_t  none = { 0, NULL };

    (void) state;

    ctseg_json_string(&b, none);
    ctseg_json_cstring(&b, NULL);
    ctseg_json_string(&b, ctseg_str(""));
    ctseg_json_cstring(&b, "a\"");
    assert_true(ctseg_str_is(ctseg_buf_slice(&b), "nullnull\"\"\"a\\\"\""));

    ctseg_buf_free(&b);
}


static void
test_writer(void **state)
{
    ctseg_buf_t          b = { NULL, 0, 0, false };
    ctseg_json_writer_t  w = { &b, false };

    (void) state;

    ctseg_jw_open(&w, NULL, '{');
    ctseg_jw_open(&w, "empty", '[');
    ctseg_jw_close(&w, ']');
    ctseg_jw_open(&w, "list", '[');
    ctseg_jw_int(&w, NULL, INT64_MIN);
    ctseg_jw_uint(&w, NULL, UINT64_MAX);
    ctseg_jw_open(&w, NULL, '{');
    ctseg_jw_close(&w, '}');
    ctseg_jw_null(&w, NULL);
    ctseg_jw_close(&w, ']');
    ctseg_jw_bool(&w, "t", true);
    ctseg_jw_bool(&w, "f", false);
    ctseg_jw_null(&w, "n");
    ctseg_jw_str(&w, "s", ctseg_str("x\n"));
    ctseg_jw_cstr(&w, "c", NULL);
    ctseg_jw_time(&w, "never", 0);
    ctseg_jw_time(&w, "at", 1767323045678LL);
    ctseg_jw_raw(&w, "r", ctseg_str("[1, 2]"));
    ctseg_jw_close(&w, '}');

    assert_true(ctseg_str_is(ctseg_buf_slice(&b),
        "{\"empty\":[],\"list\":[-9223372036854775808,18446744073709551615,"
        "{},null],\"t\":true,\"f\":false,\"n\":null,\"s\":\"x\\n\","
        "\"c\":null,\"never\":null,\"at\":\"2026-01-02T03:04:05.678Z\","
        "\"r\":[1, 2]}"));

    ctseg_buf_free(&b);
}


static void
test_seconds(void **state)
{
    unsigned             i;
    ctseg_buf_t          b = { NULL, 0, 0, false };
    ctseg_json_writer_t  w = { &b, false };

    static const int64_t  ms[] = { 0, 1, 12, 120, 999, 1000, 1001, 2500,
                                   60000, 1000000000000000LL, -1 };

    (void) state;

    ctseg_jw_open(&w, NULL, '[');

    for (i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
        ctseg_jw_seconds(&w, NULL, ms[i]);
    }

    ctseg_jw_close(&w, ']');

    assert_true(ctseg_str_is(ctseg_buf_slice(&b),
                             "[0,0.001,0.012,0.12,0.999,1,1.001,2.5,60,"
                             "1000000000000,0]"));
    ctseg_buf_free(&b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_seconds)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
