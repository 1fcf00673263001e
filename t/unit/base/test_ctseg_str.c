/*
 * Counted strings: integers at their limits, the whole of Unicode's table
 * 3-7, base64 by the vectors of RFC 4648.
 */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"


#define BYTES(s)  { sizeof(s) - 1, s }
#define N(a)      (sizeof(a) / sizeof((a)[0]))


static void
test_eq(void **state)
{
    ctseg_str_t  none = { 0, NULL };

    (void) state;

    assert_true(ctseg_str_eq(none, none));
    assert_true(ctseg_str_eq(none, ctseg_str("")));
    assert_true(ctseg_str_is(ctseg_str("abc"), "abc"));
    assert_false(ctseg_str_is(ctseg_str("abc"), "ab"));
    assert_false(ctseg_str_is(ctseg_str("abc"), "abC"));
    assert_false(ctseg_str_is(none, "a"));
}


static void
test_int64(void **state)
{
    size_t   i;
    int64_t  n;

    static const struct {
        const char  *text;
        bool         ok;
        int64_t      n;
    } cases[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "1", true, 1 },
        { "007", true, 7 },
        { "-1", true, -1 },
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775809", false, 0 },
        { "18446744073709551616", false, 0 },
        { "99999999999999999999999", false, 0 },
        { "00000000000000000000000042", true, 42 },
        { "-000000000000000000000000042", true, -42 },
        { "00000000000000009223372036854775808", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { "--1", false, 0 },
        { "+1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1.0", false, 0 },
        { "1e3", false, 0 },
        { "a", false, 0 }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        n = 99;
        assert_int_equal(ctseg_str_int64(ctseg_str(cases[i].text), &n),
                         cases[i].ok);
        assert_true(n == (cases[i].ok ? cases[i].n : 99));
    }
}


static void
test_decimal(void **state)
{
    char      out[CTSEG_DECIMAL_MAX], expect[32];
    size_t    n;
    uint64_t  v;

    (void) state;

    for (v = 0; v < UINT64_MAX / 11; v = v * 3 + 1) {
        n = ctseg_decimal(out, v);
        assert_int_equal(n, snprintf(expect, sizeof(expect), "%" PRIu64, v));
        assert_memory_equal(out, expect, n);
    }

    assert_int_equal(ctseg_decimal(out, 10), 2);
    assert_memory_equal(out, "10", 2);
    assert_int_equal(ctseg_decimal(out, UINT64_MAX), CTSEG_DECIMAL_MAX);
    assert_memory_equal(out, "18446744073709551615", CTSEG_DECIMAL_MAX);
}


static void
test_same(void **state)
{
    ctseg_str_t  s = { 3, "abcd" };

    (void) state;

    assert_true(ctseg_str_same(s, "abc"));
    assert_false(ctseg_str_same(s, "abcd"));
    assert_false(ctseg_str_same(s, "ab"));
    assert_false(ctseg_str_same(s, "abd"));
}


static void
test_utf8(void **state)
{
    char         pad[64];
    size_t       i, shift;
    ctseg_str_t  s;

    static const struct {
        ctseg_str_t  text;
        size_t       good;      /* bytes before the first bad one */
    } cases[] = {
        { BYTES(""), 0 },
        { BYTES("a"), 1 },
        { BYTES("a\0b"), 3 },
        { BYTES("\x7f"), 1 },
        { BYTES("\xc2\x80"), 2 },
        { BYTES("\xdf\xbf"), 2 },
        { BYTES("\xe0\xa0\x80"), 3 },
        { BYTES("\xed\x9f\xbf"), 3 },
        { BYTES("\xee\x80\x80"), 3 },
        { BYTES("\xef\xbf\xbf"), 3 },
        { BYTES("\xf0\x90\x80\x80"), 4 },
        { BYTES("\xf4\x8f\xbf\xbf"), 4 },
        { BYTES("\xe2\x82\xac" "x"), 4 },

        /* continuation without a lead, lead without continuation */

        { BYTES("\x80"), 0 },
        { BYTES("ab\xbf"), 2 },
        { BYTES("\xc2"), 0 },
        { BYTES("\xc2" "a"), 0 },
        { BYTES("\xe2\x82"), 0 },
        { BYTES("\xe2\x82" "a"), 0 },
        { BYTES("\xf0\x9f\x98"), 0 },
        { BYTES("\xf0\x9f\x98\x41"), 0 },
        { BYTES("\xf0\x9f\x41\x80"), 0 },

        /* overlong */

        { BYTES("\xc0\x80"), 0 },
        { BYTES("\xc1\xbf"), 0 },
        { BYTES("\xe0\x9f\xbf"), 0 },
        { BYTES("\xf0\x8f\xbf\xbf"), 0 },

        /* surrogates, above U+10FFFF, bytes that never occur */

        { BYTES("x\xed\xa0\x80"), 1 },
        { BYTES("\xed\xbf\xbf"), 0 },
        { BYTES("\xf4\x90\x80\x80"), 0 },
        { BYTES("\xf5\x80\x80\x80"), 0 },
        { BYTES("\xfe"), 0 },
        { BYTES("\xff"), 0 }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        assert_int_equal(ctseg_utf8_check(cases[i].text), cases[i].good);

        /* the same behind and before runs of ASCII of every alignment */

        for (shift = 0; shift < 20; shift++) {
            memset(pad, 'z', sizeof(pad));
            memcpy(pad + shift, cases[i].text.data, cases[i].text.len);

            s.data = pad;
            s.len = shift + cases[i].text.len;

            assert_int_equal(ctseg_utf8_check(s), shift + cases[i].good);

            /* with bytes behind it only a good one stays good */

            s.len += 9;

            assert_int_equal(ctseg_utf8_check(s),
                             cases[i].good == cases[i].text.len
                             ? s.len : shift + cases[i].good);
        }
    }
}


static void
test_utf8_every(void **state)
{
    uint32_t     c, n;
    char         p[3];
    ctseg_str_t  s = { 3, p };

    (void) state;

    /* all pairs of lead and second byte of three-byte characters */

    for (n = 0, c = 0; c < 0x10000; c++) {
        p[0] = (char) (0xe0 | (c >> 12));
        p[1] = (char) (0x80 | ((c >> 6) & 0x3f));
        p[2] = (char) (0x80 | (c & 0x3f));

        if (ctseg_utf8_check(s) == 3) {
            n++;
            assert_true(c >= 0x800 && (c < 0xd800 || c > 0xdfff));
        }
    }

    assert_int_equal(n, 0x10000 - 0x800 - 0x800);
}


static void
test_utf8_len(void **state)
{
    (void) state;

    assert_int_equal(ctseg_utf8_len(ctseg_str("")), 0);
    assert_int_equal(ctseg_utf8_len(ctseg_str("abc")), 3);
    assert_int_equal(ctseg_utf8_len(ctseg_str("\xc3\xa4\xe2\x82\xac")), 2);
    assert_int_equal(ctseg_utf8_len(ctseg_str("\xf0\x9f\x98\x80!")), 2);
}


static void
test_base64(void **state)
{
    size_t       i;
    ctseg_buf_t  b = { NULL, 0, 0, false };

    static const char  *cases[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
        { "\xff\xfe\xfb\xef", "//777w==" },
        { "key:", "a2V5Og==" }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        ctseg_buf_reset(&b);
        ctseg_base64(&b, ctseg_str(cases[i][0]));
        assert_true(ctseg_str_is(ctseg_buf_slice(&b), cases[i][1]));
    }

    ctseg_buf_free(&b);
}


static void
test_hex_and_hash(void **state)
{
    char  out[9];

    (void) state;

    ctseg_hex(out, "\x00\x1f\xa0\xff", 4);
    assert_string_equal(out, "001fa0ff");

    ctseg_hex(out, "", 0);
    assert_string_equal(out, "");

    /* published vectors of FNV-1a */

    assert_true(ctseg_hash64(ctseg_str("")) == 0xcbf29ce484222325ULL);
    assert_true(ctseg_hash64(ctseg_str("a")) == 0xaf63dc4c8601ec8cULL);
    assert_true(ctseg_hash64(ctseg_str("foobar")) == 0x85944171f73967e8ULL);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_eq),
        cmocka_unit_test(test_int64),
        cmocka_unit_test(test_decimal),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_utf8_every),
        cmocka_unit_test(test_utf8_len),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_hex_and_hash)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
