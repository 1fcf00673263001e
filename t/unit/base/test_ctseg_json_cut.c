/*
 * The cut: that a scan over it says what a scan over the text itself says, to
 * the byte, whatever the text is.  Bodies as they come, and texts that fill
 * pieces and places to their ends, are spoilt at each of their bytes in turn.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_json_int.h"
#include "../../../src/base/ctseg_str.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))


/* ---- two scans of one text ---- */

typedef struct {
    ctseg_str_t  in;
    unsigned     stop;          /* at this token, 0: never */
    unsigned     n;
    uint64_t     sum;           /* of all that the tokens were */
} test_scan_t;


static void
test_add(test_scan_t *s, const void *data, size_t n)
{
    ctseg_str_t  bytes;

    bytes.data = data;
    bytes.len = n;
    s->sum = s->sum * 31 + ctseg_hash64(bytes);
}


static bool
test_token(void *data, const ctseg_json_token_t *t)
{
    size_t        at;
    test_scan_t  *s = data;

    at = (size_t) (t->raw.data - s->in.data);
    assert_true(at + t->raw.len <= s->in.len);

    test_add(s, &t->type, sizeof(t->type));
    test_add(s, &t->depth, sizeof(t->depth));
    test_add(s, &t->boolean, sizeof(t->boolean));
    test_add(s, &at, sizeof(at));
    test_add(s, &t->raw.len, sizeof(t->raw.len));

    if (t->type == CTSEG_JSON_STRING || t->type == CTSEG_JSON_KEY
        || t->type == CTSEG_JSON_NUMBER)
    {
        test_add(s, t->text.data, t->text.len);
    }

    return ++s->n != s->stop;
}


static unsigned
test_same(ctseg_str_t text, unsigned max_depth, unsigned stop)
{
    ctseg_rc_t   rc[2];
    ctseg_err_t  err[2];
    test_scan_t  s[2];

    memset(s, 0, sizeof(s));
    s[0].in = s[1].in = text;
    s[0].stop = s[1].stop = stop;

    rc[0] = ctseg_json_scan_plain(text, max_depth, test_token, &s[0],
                                  &err[0]);
    rc[1] = ctseg_json_scan(text, max_depth, test_token, &s[1], &err[1]);

    if (rc[0] != rc[1] || s[0].n != s[1].n || s[0].sum != s[1].sum
        || err[0].code != err[1].code || err[0].offset != err[1].offset
        || strcmp(err[0].text, err[1].text) != 0)
    {
        fail_msg("plain: %d, %u tokens, %s at %zu; cut: %d, %u tokens, %s at"
                 " %zu; of %.*s", rc[0], s[0].n, err[0].text, err[0].offset,
                 rc[1], s[1].n, err[1].text, err[1].offset, (int) text.len,
                 text.data);
    }

    return s[0].n;
}


/* in a place of its own size, so that no byte behind it is there to read */

static void
test_exact(const char *data, size_t len)
{
    char         *copy;
    ctseg_str_t   text;

    copy = malloc(len + 1);
    assert_non_null(copy);
    copy = realloc(copy, len == 0 ? 1 : len);
    assert_non_null(copy);
    memcpy(copy, data, len);

    text.data = copy;
    text.len = len;
    (void) test_same(text, 8, 0);

    free(copy);
}


/* ---- texts ---- */

static const char  *const test_texts[] = {
    "{\"d\":[{\"type\":\"event\",\"identity\":\"user-1234\",\"evtName\":"
    "\"Notification Replied\",\"ts\":1767225600,\"evtData\":{\"seq\":1000,"
    "\"Campaign id\":\"1690000017_20261121\",\"Campaign type\":\"Push\","
    "\"Reply\":\"Gr\303\274\303\237e \\\"aus\\\" M\303\274nchen\",\"Text\":"
    "\"Your basket is waiting for you: two of the things that you looked at "
    "this week are back in stock, and until Sunday they come with free "
    "delivery. Have a look before they are gone again.\"}},{\"ts\":null}]}",

    " { \"a\" : [ true , false,null,-1.5e+3, [] , {} ] ,\r\n\t\"\\u00e9\\\\\""
    ":\"\\ud83d\\ude00 \\ud800x\\\"\", \"\":\"\", \"k\":{\"\":[\"\\/\",\"x\"]"
    "}, \"\\\"\":\"\\\\\\\\\", \"0123456789abcdef0123456789abcdef0123456789\":"
    "\"0123456789abcde\" }\n",

    "\"one\"",
    "[\"a\",\"b\\n\",12]",
    "-12.5e3",
    "[1,2,\"\\\"\",\"\\\\\"]"
};

static const char  test_bytes[] =
    "\"\\\0\n\v\f\x1f\x7f\xc3\xa9\xff/{}[],: 0-eu";


static void
test_spoil(const char *text, size_t len)
{
    char    *copy;
    size_t   i, b;

    copy = malloc(len + 2);
    assert_non_null(copy);

    test_exact(text, len);

    for (i = 0; i <= len; i++) {

        test_exact(text, i);
        test_exact(text + i, len - i);

        for (b = 0; b < sizeof(test_bytes) - 1; b++) {

            /* a byte more */

            memcpy(copy, text, i);
            copy[i] = test_bytes[b];
            memcpy(copy + i + 1, text + i, len - i);
            test_exact(copy, len + 1);

            /* another byte in its place */

            if (i < len) {
                memcpy(copy, text, len);
                copy[i] = test_bytes[b];
                test_exact(copy, len);
            }
        }

        for (b = 0; i < len && b < 8; b++) {
            memcpy(copy, text, len);
            copy[i] = (char) (copy[i] ^ (1 << b));
            test_exact(copy, len);
        }

        if (i < len) {
            memcpy(copy, text, i);
            memcpy(copy + i, text + i + 1, len - i - 1);
            test_exact(copy, len - 1);
        }
    }

    free(copy);
}


static void
test_spoilt(void **state)
{
    size_t  i;

    (void) state;

    for (i = 0; i < N(test_texts); i++) {
        test_spoil(test_texts[i], strlen(test_texts[i]));
    }
}


/* a caller who says no, and too few levels, at each token */

static void
test_refused(void **state)
{
    size_t       i;
    unsigned     n, stop, depth;
    ctseg_str_t  text;

    (void) state;

    for (i = 0; i < N(test_texts); i++) {
        text = ctseg_str(test_texts[i]);
        n = test_same(text, 8, 0);
        assert_true(n != 0);

        for (stop = 1; stop <= n + 1; stop++) {
            (void) test_same(text, 8, stop);
        }

        for (depth = 0; depth < 8; depth++) {
            (void) test_same(text, depth, 0);
        }
    }
}


/* ---- the ends of pieces and places ---- */

static void
test_fill(ctseg_buf_t *b, const char *s, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        ctseg_buf_cstr(b, s);
    }
}


static void
test_sizes(void **state)
{
    size_t       i, j, n;
    ctseg_buf_t  b = { NULL, 0, 0, false };

    static const char  *const fill[] = {
        " ", "\n", "x\",\"", "\\n", "\\\"", "\",\"\",\"", "\",\"\\t\",\"", "1",
        "\",12345,\"", "[", "\303\251", "\"", "\\"
    };

    static const size_t  sizes[] = {
        1, 14, 15, 16, 17, 30, 31, 32, 33, 61, 62, 63, 64, 65, 66, 85, 126,
        127, 128, 129, 254, 255, 256, 257, 258, 509, 510, 511, 512, 513, 514,
        1022, 1024, 1026, 3581, 3582, 3583, 3584, 4094, 4096, 4098, 5000
    };

    (void) state;

    for (i = 0; i < N(fill); i++) {
        for (j = 0; j < N(sizes); j++) {
            for (n = 0; n < 4; n++) {
                ctseg_buf_reset(&b);

                /* within a string, between two, behind all of them */

                ctseg_buf_cstr(&b, n == 1 ? "[\"a\"," : n == 2 ? "[" : "[\"");
                test_fill(&b, fill[i], sizes[j]);
                ctseg_buf_cstr(&b, n == 0 ? "\",7,\"b\"]"
                                   : n == 1 ? "\"c\"]"
                                   : n == 2 ? "1,\"d\\n\",\"e\",true]"
                                   : "x\",{\"f\":\"g\",\"h\":null}]");

                assert_false(b.failed);
                test_exact(b.data, b.len);
                test_exact(b.data, b.len - 1);
                test_exact(b.data, b.len - 3);
            }
        }
    }

    ctseg_buf_free(&b);
}


/* pieces of all kinds one after the other */

static void
test_long(void **state)
{
    size_t       i;
    uint32_t     seed;
    ctseg_buf_t  b = { NULL, 0, 0, false };

    static const char  *const value[] = {
        "\"\"", "\"plain\"", "12", "-0.5E-7", "true", "null", "[]",
        "\"\\u00fc\"", "\"a longer one, which is plain\"", "\"\\\\\"",
        "{\"k\":\"v\"}", "[\"x\" ,\n\"y\"]", "   false   "
    };

    (void) state;

    for (seed = 1, i = 0; i < 40; i++) {
        ctseg_buf_reset(&b);
        ctseg_buf_cstr(&b, "[0");

        while (b.len < 2000 * i) {
            seed = seed * 1664525 + 1013904223;
            ctseg_buf_char(&b, ',');

            if ((seed >> 24) == 0) {
                test_fill(&b, " ", seed >> 12 & 0x7ff);
            }

            ctseg_buf_cstr(&b, value[(seed >> 16) % N(value)]);
        }

        ctseg_buf_cstr(&b, "]");
        assert_false(b.failed);
        test_exact(b.data, b.len);

        /* the same with something wrong */

        seed = seed * 1664525 + 1013904223;
        b.data[(seed >> 8) % b.len] = "\"\\ ]"[seed >> 30];
        test_exact(b.data, b.len);
    }

    ctseg_buf_free(&b);
}


/* work must not grow faster than the text: a minute, if it did */

static void
test_linear(void **state)
{
    unsigned     n;
    ctseg_buf_t  b = { NULL, 0, 0, false };

    (void) state;

    for (n = 0; n < 3; n++) {
        ctseg_buf_reset(&b);
        ctseg_buf_cstr(&b, "[\"a\",\"");
        test_fill(&b, n == 0 ? "\\\"" : n == 1 ? "\",\"" : "\",1,\"\\\\",
                  4000000);
        ctseg_buf_cstr(&b, "\"]");
        test_exact(b.data, b.len);
    }

    ctseg_buf_free(&b);
}


/* ---- looking at many bytes at once ---- */

static uint64_t
test_special(const char *p)
{
    unsigned  i;
    uint64_t  bits;

    for (bits = 0, i = 0; i < 64; i++) {
        if (p[i] == '"' || p[i] == '\\' || (unsigned char) p[i] < 0x20) {
            bits |= (uint64_t) 1 << i;
        }
    }

    return bits;
}


static void
test_wide(void **state)
{
    char         p[64 + 100];
    size_t       i, n;
    unsigned     c, at;
    ctseg_str_t  s;

    (void) state;

    for (c = 0; c < 256; c++) {
        for (at = 0; at < 64; at++) {

            /* neighbours that could carry into it */

            for (i = 0; i < sizeof(p); i++) {
                p[i] = "a!\"#[\\]\x1f \x7f\x80\xff"[(i * 7 + c) % 12];
            }

            p[at] = (char) c;

            assert_true(ctseg_json_special(p) == test_special(p));
            assert_true(ctseg_json_special_words(p) == test_special(p));
        }

        for (at = 0; at < 150; at++) {
            memset(p, "\x0a\x0dx\x7f"[c % 4], sizeof(p));
            p[at] = (char) c;
            s.data = p;

            for (s.len = 0; s.len < sizeof(p); s.len++) {
                for (n = 0; n < s.len && (p[n] & 0x80) == 0 && p[n] != '\v'
                     && p[n] != '\f'; n++) { /* void */ }

                i = ctseg_json_ascii(s);
                assert_true(i <= n && n - i < 16);
                i = ctseg_json_ascii_words(s);
                assert_true(i <= n && n - i < 8);
            }
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_spoilt),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_wide)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
