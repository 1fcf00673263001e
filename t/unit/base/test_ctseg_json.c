/*
 * The scan: that the raw slices join up to the input's own bytes, what is
 * refused and where, surrogates, depth, and a callback that says no.
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


#define BYTES(s)  { sizeof(s) - 1, s }
#define N(a)      (sizeof(a) / sizeof((a)[0]))


/* one line a token: letter, depth, raw, decoded text in <> */

static bool
test_trace(void *data, const ctseg_json_token_t *t)
{
    ctseg_buf_t  *b = data;

    static const char  letters[] = "ntdsaokAO";

    ctseg_buf_char(b, letters[t->type]);
    ctseg_buf_fmt(b, "%u", t->depth);
    ctseg_buf_char(b, ' ');
    ctseg_buf_str(b, t->raw);

    if (t->type == CTSEG_JSON_STRING || t->type == CTSEG_JSON_KEY) {
        ctseg_buf_char(b, '<');
        ctseg_buf_str(b, t->text);
        ctseg_buf_char(b, '>');

    } else if (t->type == CTSEG_JSON_NUMBER) {
        assert_true(ctseg_str_eq(t->text, t->raw));

    } else if (t->type == CTSEG_JSON_BOOL) {
        assert_int_equal(t->boolean, t->raw.data[0] == 't');
    }

    ctseg_buf_char(b, '\n');

    return true;
}


static bool
test_accept(void *data, const ctseg_json_token_t *t)
{
    size_t  *n = data;

    (void) t;
    (*n)++;

    return true;
}


static void
test_tokens(void **state)
{
    size_t       i;
    ctseg_buf_t  b = { NULL, 0, 0, false };
    ctseg_err_t  err;

    static const char  *cases[][2] = {
        { "42", "d0 42\n" },
        { " -0.5e+3 ", "d0 -0.5e+3\n" },
        { "123456789012345678901234567890",
          "d0 123456789012345678901234567890\n" },
        { "\"\"", "s0 \"\"<>\n" },
        { " null\n", "n0 null\n" },
        { "true", "t0 true\n" },
        { "[]", "a0 [\nA0 ]\n" },
        { "{}", "o0 {\nO0 }\n" },
        { " [ 1 , \"a\" ,\ttrue,false , null,[ ] , { }\r\n] ",
          "a0 [\nd1 1\ns1 \"a\"<a>\nt1 true\nt1 false\nn1 null\n"
          "a1 [\nA1 ]\no1 {\nO1 }\nA0 ]\n" },
        { "{\"a\":1,\"b\" : {\"c\":[\"d\"]},\"e\":-2}",
          "o0 {\nk0 \"a\"<a>\nd1 1\nk0 \"b\"<b>\no1 {\nk1 \"c\"<c>\na2 [\n"
          "s3 \"d\"<d>\nA2 ]\nO1 }\nk0 \"e\"<e>\nd1 -2\nO0 }\n" },

        /* escapes: the raw bytes stay, the text is decoded */

        { "[\"\\u0041\" , \"x\\\\\", \"\\\"\",\"\\/\\b\\f\\n\\r\\t\"]",
          "a0 [\ns1 \"\\u0041\"<A>\ns1 \"x\\\\\"<x\\>\ns1 \"\\\"\"<\">\n"
          "s1 \"\\/\\b\\f\\n\\r\\t\"</\b\f\n\r\t>\nA0 ]\n" },
        { "{\"a\\n\\\"\" :\n \"\\u00e4\\u20ac\" , \"\\t\":[\"\\\\\\\\\" ]}",
          "o0 {\nk0 \"a\\n\\\"\"<a\n\">\ns1 \"\\u00e4\\u20ac\"<\xc3\xa4"
          "\xe2\x82\xac>\nk0 \"\\t\"<\t>\na1 [\ns2 \"\\\\\\\\\"<\\\\>\n"
          "A1 ]\nO0 }\n" },
        { "\"\xc3\xa4\xf0\x9f\x98\x80\"",
          "s0 \"\xc3\xa4\xf0\x9f\x98\x80\"<\xc3\xa4\xf0\x9f\x98\x80>\n" },
        { "\"a:,\\\":,\"", "s0 \"a:,\\\":,\"<a:,\":,>\n" },

        /* surrogates: pairs join, others become U+FFFD and eat nothing */

        { "\"\\ud83d\\ude00\"",
          "s0 \"\\ud83d\\ude00\"<\xf0\x9f\x98\x80>\n" },
        { "\"\\uDBFF\\uDFFF\\t\"",
          "s0 \"\\uDBFF\\uDFFF\\t\"<\xf4\x8f\xbf\xbf\t>\n" },
        { "\"\\ud800x\"", "s0 \"\\ud800x\"<\xef\xbf\xbdx>\n" },
        { "\"\\ud800\"", "s0 \"\\ud800\"<\xef\xbf\xbd>\n" },
        { "\"\\udc00y\\\\\"", "s0 \"\\udc00y\\\\\"<\xef\xbf\xbdy\\>\n" },
        { "\"\\ud800\\n\\u0041\"",
          "s0 \"\\ud800\\n\\u0041\"<\xef\xbf\xbd\nA>\n" },
        { "\"\\ud800\\ud800\\udc00\"",
          "s0 \"\\ud800\\ud800\\udc00\"<\xef\xbf\xbd\xf0\x90\x80\x80>\n" },
        { "\"\\ud83d\\u0041\\b\\f\\r\\/\\\"\"",
          "s0 \"\\ud83d\\u0041\\b\\f\\r\\/\\\"\"<\xef\xbf\xbd"
          "A\b\f\r/\">\n" },
        { "\"\\\\ud800\"", "s0 \"\\\\ud800\"<\\ud800>\n" }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        ctseg_buf_reset(&b);
        assert_int_equal(ctseg_json_scan(ctseg_str(cases[i][0]), 8,
                                         test_trace, &b, &err),
                         CTSEG_OK);
        ctseg_buf_char(&b, '\0');
        assert_string_equal(b.data, cases[i][1]);
    }

    ctseg_buf_free(&b);
}


static void
test_nul(void **state)
{
    ctseg_buf_t  b = { NULL, 0, 0, false };
    ctseg_str_t  text = BYTES("\"a\\u0000b\"");

    (void) state;

    assert_int_equal(ctseg_json_scan(text, 1, test_trace, &b, NULL),
                     CTSEG_OK);
    assert_int_equal(b.len, 3 + 10 + 1 + 3 + 2);
    assert_memory_equal(b.data + 13, "<a\0b>\n", 6);

    ctseg_buf_free(&b);
}


static void
test_invalid(void **state)
{
    size_t       i, n;
    ctseg_err_t  err;

    static const struct {
        ctseg_str_t  text;
        int          offset;    /* -1: any within the text */
    } cases[] = {
        { BYTES(""), 0 },
        { BYTES(" "), 1 },
        { BYTES("\n\t "), 3 },
        { BYTES("1 2"), -1 },
        { BYTES("{} {}"), -1 },
        { BYTES("{}x"), -1 },
        { BYTES("{}tru"), -1 },
        { BYTES("{}]"), -1 },
        { BYTES("{} \"abc"), 3 },
        { BYTES("1 \"abc"), 2 },
        { BYTES("null\0"), -1 },
        { BYTES("[1,]"), -1 },
        { BYTES("[,1]"), -1 },
        { BYTES("[1 2]"), -1 },
        { BYTES("[1"), 2 },
        { BYTES("["), 1 },
        { BYTES("[\"a"), 3 },
        { BYTES("]"), -1 },
        { BYTES("[}"), -1 },
        { BYTES("{\"a\"}"), -1 },
        { BYTES("{\"a\":}"), -1 },
        { BYTES("{\"a\" \"b\"}"), -1 },
        { BYTES("{\"a\":1,}"), -1 },
        { BYTES("{a:1}"), -1 },
        { BYTES("{1:1}"), -1 },
        { BYTES("'a'"), -1 },
        { BYTES("nul"), -1 },
        { BYTES("True"), -1 },
        { BYTES("NaN"), -1 },
        { BYTES("Infinity"), -1 },
        { BYTES("01"), -1 },
        { BYTES("+1"), -1 },
        { BYTES("-"), -1 },
        { BYTES(".5"), -1 },
        { BYTES("1."), -1 },
        { BYTES("1e"), -1 },
        { BYTES("1e+"), -1 },
        { BYTES("0x10"), -1 },
        { BYTES("\"\t\""), -1 },
        { BYTES("\"a\nb\""), -1 },
        { BYTES("\"\\x\""), -1 },
        { BYTES("\"\\u12\""), -1 },
        { BYTES("\"\\u12G4\""), -1 },
        { BYTES("\"\\"), -1 },
        { BYTES("\"a\0b\""), -1 },
        { BYTES("[1,\v2]"), 3 },
        { BYTES("\f1"), 0 },
        { BYTES("/* */ 1"), -1 },
        { BYTES("1 // x"), -1 },
        { BYTES("\xef\xbb\xbf{}"), -1 },
        { BYTES("[\"\xff\"]"), 2 },
        { BYTES("\"\xed\xa0\x80\""), 1 },
        { BYTES("\"\xc0\xaf\""), 1 },
        { BYTES("\"12345678901234567890\xe2\x82\""), 21 }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        n = 0;
        memset(&err, 0xff, sizeof(err));

        assert_int_equal(ctseg_json_scan(cases[i].text, 8, test_accept, &n,
                                         &err),
                         CTSEG_INVALID);
        assert_int_equal(err.code, CTSEG_INVALID);
        assert_in_range(strlen(err.text), 4, 100);
        assert_null(strchr(err.text, '\n'));
        assert_true(err.offset <= cases[i].text.len);

        if (cases[i].offset != -1) {
            assert_int_equal(err.offset, cases[i].offset);
        }

        assert_int_equal(ctseg_json_scan(cases[i].text, 8, test_accept, &n,
                                         NULL),
                         CTSEG_INVALID);
    }

    (void) ctseg_json_scan(cases[N(cases) - 1].text, 8, test_accept, &n,
                           &err);
    assert_string_equal(err.text, "invalid UTF-8");
}


static void
test_depth(void **state)
{
    char         *deep;
    size_t        i, n;
    ctseg_str_t   s;
    ctseg_err_t   err;

    (void) state;

    n = 0;
    assert_int_equal(ctseg_json_scan(ctseg_str("[[{}]]"), 3, test_accept, &n,
                                     &err),
                     CTSEG_OK);
    assert_int_equal(n, 6);

    n = 0;
    assert_int_equal(ctseg_json_scan(ctseg_str("[[{}]]"), 2, test_accept, &n,
                                     &err),
                     CTSEG_INVALID);
    assert_int_equal(n, 2);
    assert_int_equal(err.offset, 2);
    assert_string_equal(err.text, "nested deeper than 2 levels");

    /* a scalar needs no level */

    assert_int_equal(ctseg_json_scan(ctseg_str("1"), 0, test_accept, &n,
                                     &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_json_scan(ctseg_str("[]"), 0, test_accept, &n,
                                     &err),
                     CTSEG_INVALID);

    s.len = 100000;
    deep = malloc(s.len);
    assert_non_null(deep);
    s.data = deep;

    for (i = 0; i < 2; i++) {
        memset(deep, i == 0 ? '[' : '{', s.len);

        n = 0;
        assert_int_equal(ctseg_json_scan(s, 32, test_accept, &n, &err),
                         CTSEG_INVALID);
        assert_true(n <= 32);
    }

    /* deep, open to the end, and allowed to be: an error all the same */

    memset(deep, '[', s.len);
    n = 0;
    assert_int_equal(ctseg_json_scan(s, 200000, test_accept, &n, &err),
                     CTSEG_INVALID);
    assert_int_equal(n, 100000);

    free(deep);
}


typedef struct {
    unsigned      left;
    ctseg_err_t  *err;
} test_stop_t;


static bool
test_stop(void *data, const ctseg_json_token_t *t)
{
    test_stop_t  *stop = data;

    (void) t;

    if (stop->left == 0) {
        if (stop->err != NULL) {
            (void) ctseg_err(stop->err, CTSEG_INVALID, "enough");
        }

        return false;
    }

    stop->left--;

    return true;
}


static void
test_callback_stops(void **state)
{
    ctseg_err_t  err;
    test_stop_t  stop = { 2, NULL };

    (void) state;

    assert_int_equal(ctseg_json_scan(ctseg_str("[1, 23,4]"), 2, test_stop,
                                     &stop, &err),
                     CTSEG_INVALID);
    assert_int_equal(err.offset, 4);
    assert_true(err.text[0] != '\0');

    stop.left = 3;
    stop.err = &err;

    assert_int_equal(ctseg_json_scan(ctseg_str("[1, 23,4]"), 2, test_stop,
                                     &stop, &err),
                     CTSEG_INVALID);
    assert_int_equal(err.offset, 7);
    assert_string_equal(err.text, "enough");
}


/* random cuts and changes: no answer is wrong but a crash or a wild slice */

typedef struct {
    ctseg_str_t  in;
    const char  *last;
} test_bounds_t;


static bool
test_bounds(void *data, const ctseg_json_token_t *t)
{
    test_bounds_t  *b = data;

    assert_true(t->raw.data >= b->last);
    assert_true(t->raw.data + t->raw.len <= b->in.data + b->in.len);
    assert_true(t->raw.len != 0);

    if (t->type == CTSEG_JSON_STRING || t->type == CTSEG_JSON_KEY) {
        assert_true(t->raw.len >= 2);
        assert_int_equal(t->raw.data[0], '"');
        assert_int_equal(t->raw.data[t->raw.len - 1], '"');
        assert_int_equal(ctseg_utf8_check(t->text), t->text.len);
    }

    b->last = t->raw.data + t->raw.len;

    return true;
}


static void
test_fuzz(void **state)
{
    char           *copy;
    size_t          i, j, len;
    uint32_t        seed;
    test_bounds_t   b;

    static const char  text[] =
        "{\"d\":[{\"type\":\"event\",\"ts\":1767323045,\"identity\":"
        "\"\\ud83d\\ude00 \\u00e4\\\\\",\"evtName\":\"App Launched\","
        "\"evtData\":{\"a\\n\":-1.5e3 , \"b\" : [true,false,null,\"\"]}}]}";

    (void) state;

    seed = 20261123;

    for (i = 0; i < 20000; i++) {
        seed = seed * 1664525 + 1013904223;
        len = sizeof(text) - 1;

        if ((seed >> 28) == 0) {
            len = (seed >> 8) % len + 1;
        }

        /* on the heap and of the exact size: valgrind sees a byte more */

        copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, text, len);

        for (j = 0; j < (seed >> 4) % 3; j++) {
            seed = seed * 1664525 + 1013904223;
            copy[(seed >> 8) % len] = text[(seed >> 16) % (sizeof(text) - 1)];
        }

        b.in.data = copy;
        b.in.len = len;
        b.last = copy;

        (void) ctseg_json_scan(b.in, 6, test_bounds, &b, NULL);

        free(copy);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_invalid),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_callback_stops),
        cmocka_unit_test(test_fuzz)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
