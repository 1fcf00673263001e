/*
 * The tree: its shape, the raw slices of whole values, names that occur
 * twice, and the limit of nodes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_json.h"
#include "../../../src/base/ctseg_str.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))


static int
test_setup(void **state)
{
    *state = ctseg_arena_create();

    return *state == NULL ? -1 : 0;
}


static int
test_teardown(void **state)
{
    ctseg_arena_destroy(*state);

    return 0;
}


static void
test_shape(void **state)
{
    int64_t        n;
    ctseg_err_t    err;
    ctseg_json_t  *root, *v, *e;

    static const char  text[] =
        " {\"a\" : [1, \"tw\\u006f\" ,{\"x\":null} ], \"b\\n\":true, "
        "\"c\":{ } , \"d\":-7}  ";

    assert_int_equal(ctseg_json_parse(*state, ctseg_str(text), 8, 100, &root,
                                      &err),
                     CTSEG_OK);

    assert_int_equal(root->type, CTSEG_JSON_OBJECT);
    assert_int_equal(root->n, 4);
    assert_null(root->next);
    assert_int_equal(root->raw.data - text, 1);
    assert_int_equal(root->raw.len, strlen(text) - 3);

    v = ctseg_json_get(root, "a");
    assert_non_null(v);
    assert_int_equal(v->type, CTSEG_JSON_ARRAY);
    assert_int_equal(v->n, 3);
    assert_true(ctseg_str_is(v->raw, "[1, \"tw\\u006f\" ,{\"x\":null} ]"));

    e = v->child;
    assert_true(ctseg_json_int64(e, &n));
    assert_int_equal(n, 1);
    assert_int_equal(e->key.len, 0);

    e = e->next;
    assert_int_equal(e->type, CTSEG_JSON_STRING);
    assert_string_equal(e->text.data, "two");
    assert_true(ctseg_str_is(e->raw, "\"tw\\u006f\""));
    assert_false(ctseg_json_int64(e, &n));

    e = e->next;
    assert_true(ctseg_str_is(e->raw, "{\"x\":null}"));
    assert_int_equal(ctseg_json_get(e, "x")->type, CTSEG_JSON_NULL);
    assert_null(e->next);

    v = ctseg_json_get(root, "b\n");
    assert_non_null(v);
    assert_true(v->boolean);

    v = ctseg_json_get(root, "c");
    assert_true(ctseg_str_is(v->raw, "{ }"));
    assert_int_equal(v->n, 0);
    assert_null(v->child);

    assert_true(ctseg_json_int64(ctseg_json_get(root, "d"), &n));
    assert_int_equal(n, -7);

    assert_null(ctseg_json_get(root, "A"));
    assert_null(ctseg_json_get(v->next, "a"));
    assert_null(ctseg_json_get(NULL, "a"));
    assert_false(ctseg_json_int64(NULL, &n));
}


static void
test_scalars(void **state)
{
    size_t         i;
    int64_t        n;
    ctseg_json_t  *root;

    static const struct {
        const char         *text;
        ctseg_json_type_t   type;
        bool                integer;
    } cases[] = {
        { "5", CTSEG_JSON_NUMBER, true },
        { "5.0", CTSEG_JSON_NUMBER, false },
        { "5e0", CTSEG_JSON_NUMBER, false },
        { "99999999999999999999", CTSEG_JSON_NUMBER, false },
        { "\"5\"", CTSEG_JSON_STRING, false },
        { "null", CTSEG_JSON_NULL, false },
        { "false", CTSEG_JSON_BOOL, false },
        { "[]", CTSEG_JSON_ARRAY, false }
    };

    for (i = 0; i < N(cases); i++) {
        assert_int_equal(ctseg_json_parse(*state, ctseg_str(cases[i].text), 1,
                                          1, &root, NULL),
                         CTSEG_OK);
        assert_int_equal(root->type, cases[i].type);
        assert_int_equal(ctseg_json_int64(root, &n), cases[i].integer);
        assert_true(ctseg_str_is(root->raw, cases[i].text));
    }
}


static void
test_twice(void **state)
{
    size_t         i;
    ctseg_err_t    err;
    ctseg_json_t  *root;

    static const struct {
        const char  *text;
        const char  *message;       /* NULL: fine */
    } cases[] = {
        { "{\"a\":1,\"b\":2}", NULL },
        { "{\"a\":1,\"A\":2}", NULL },
        { "{\"a\":{\"a\":{\"a\":1}}}", NULL },
        { "[{\"a\":1},{\"a\":1}]", NULL },
        { "{\"a\":1,\"b\":2,\"a\":3}", "name \"a\" occurs twice" },
        { "{\"\":1,\"\":2}", "name \"\" occurs twice" },
        { "{\"a\":1,\"\\u0061\":2}", "name \"a\" occurs twice" },
        { "[{\"x\":[{\"b\\n\":1,\"b\\n\":1}]}]", "name \"b?\" occurs twice" },
        { "{\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,"
          "\"9\":0,\"10\":0}", NULL },
        { "{\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,"
          "\"9\":0,\"10\":0,\"4\":0}", "name \"4\" occurs twice" },
        { "{\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
          "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
          "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
          "x\xc3\xa4\":1,"
          "\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
          "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
          "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
          "x\xc3\xa4\":1}",
          "name \"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
          "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
          "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
          "x...\" occurs twice" }
    };

    for (i = 0; i < N(cases); i++) {
        if (cases[i].message == NULL) {
            assert_int_equal(ctseg_json_parse(*state,
                                              ctseg_str(cases[i].text), 8, 99,
                                              &root, &err),
                             CTSEG_OK);
            continue;
        }

        assert_int_equal(ctseg_json_parse(*state, ctseg_str(cases[i].text), 8,
                                          99, &root, &err),
                         CTSEG_INVALID);
        assert_null(root);
        assert_string_equal(err.text, cases[i].message);
        assert_true(err.offset > 0 && err.offset < strlen(cases[i].text));
    }
}


static void
test_many(void **state)
{
    unsigned       i;
    ctseg_buf_t    b = { NULL, 0, 0, false };
    ctseg_err_t    err;
    ctseg_json_t  *root;

    /* twenty thousand names: sorted, not compared each with each */

    ctseg_buf_char(&b, '{');

    for (i = 0; i < 20000; i++) {
        ctseg_buf_fmt(&b, "%s\"n%u\":%u", i == 0 ? "" : ",", i, i);
    }

    ctseg_buf_char(&b, '}');

    assert_int_equal(ctseg_json_parse(*state, ctseg_buf_slice(&b), 1, 20001,
                                      &root, &err),
                     CTSEG_OK);
    assert_int_equal(root->n, 20000);

    assert_int_equal(ctseg_json_parse(*state, ctseg_buf_slice(&b), 1, 20000,
                                      &root, &err),
                     CTSEG_INVALID);
    assert_string_equal(err.text, "more than 20000 values");

    b.len--;
    ctseg_buf_cstr(&b, ",\"n7777\":0}");

    assert_int_equal(ctseg_json_parse(*state, ctseg_buf_slice(&b), 1, 30000,
                                      &root, &err),
                     CTSEG_INVALID);
    assert_string_equal(err.text, "name \"n7777\" occurs twice");

    ctseg_buf_free(&b);
}


static void
test_limits(void **state)
{
    ctseg_err_t    err;
    ctseg_json_t  *root;

    assert_int_equal(ctseg_json_parse(*state, ctseg_str("[[[]]]"), 2, 9,
                                      &root, &err),
                     CTSEG_INVALID);
    assert_string_equal(err.text, "nested deeper than 2 levels");
    assert_null(root);

    assert_int_equal(ctseg_json_parse(*state, ctseg_str("[1"), 2, 9, &root,
                                      &err),
                     CTSEG_INVALID);
    assert_null(root);

    assert_int_equal(ctseg_json_parse(*state, ctseg_str(""), 2, 9, &root,
                                      NULL),
                     CTSEG_INVALID);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_shape, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_scalars, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_twice, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_many, test_setup,
                                        test_teardown),
        cmocka_unit_test_setup_teardown(test_limits, test_setup,
                                        test_teardown)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
