/*
 * What an answer means, for every status there can be: only 2xx lets a batch
 * go.  Waits are within their bounds whatever chance says, and a header that
 * is no number asks for nothing.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/ctseg_str.h"
#include "segment/ctseg_answer.h"


static void
test_classify(void **state)
{
    int             status;
    size_t          i;
    ctseg_answer_t  expect;

    static const int  retry[] = { 0, 408, 410, 429, 460 };
    static const int  pause[] = { 501, 505, 511 };
    static const int  content[] = { 400, 413 };

    (void) state;

    for (status = 0; status < 1000; status++) {

        expect = CTSEG_ANSWER_PAUSE;

        if (status >= 200 && status <= 299) {
            expect = CTSEG_ANSWER_SENT;

        } else if (status >= 500 && status <= 599) {
            expect = CTSEG_ANSWER_RETRY;
        }

        for (i = 0; i < sizeof(retry) / sizeof(int); i++) {
            if (status == retry[i]) {
                expect = CTSEG_ANSWER_RETRY;
            }
        }

        for (i = 0; i < sizeof(pause) / sizeof(int); i++) {
            if (status == pause[i]) {
                expect = CTSEG_ANSWER_PAUSE;
            }
        }

        for (i = 0; i < sizeof(content) / sizeof(int); i++) {
            if (status == content[i]) {
                expect = CTSEG_ANSWER_CONTENT;
            }
        }

        assert_int_equal(ctseg_answer_classify(status), expect);
        assert_int_equal(ctseg_answer_is_limit(status), status == 429);
    }

    assert_int_not_equal(ctseg_answer_classify(-1), CTSEG_ANSWER_SENT);
}


static void
test_backoff(void **state)
{
    int64_t   low, high, wait, ceiling;
    unsigned  attempt, below;
    uint32_t  chance, i;

    (void) state;

    for (attempt = 0; attempt < 100; attempt++) {

        ceiling = attempt < 7 ? CTSEG_BACKOFF_BASE_MS << attempt
                              : CTSEG_BACKOFF_CAP_MS;
        low = INT64_MAX;
        high = 0;

        /* steps of a prime reach the bounds of every ceiling */

        below = 0;

        for (i = 0, chance = 0; i < 200000; i++, chance += 21701) {
            wait = ctseg_backoff_ms(CTSEG_ANSWER_RETRY, attempt, chance);
            low = wait < low ? wait : low;
            high = wait > high ? wait : high;
            below += wait <= ceiling / 2;
        }

        assert_int_equal(low, 1);
        assert_int_equal(high, ceiling);
        assert_in_range(below, 90000, 110000);

        assert_in_range(ctseg_backoff_ms(CTSEG_ANSWER_RETRY, attempt,
                                         UINT32_MAX), 1, ceiling);
        assert_int_equal(ctseg_backoff_ms(CTSEG_ANSWER_PAUSE, attempt, 7),
                         CTSEG_BACKOFF_CAP_MS);
    }

    assert_in_range(ctseg_backoff_ms(CTSEG_ANSWER_RETRY, UINT32_MAX, 12345),
                    1, CTSEG_BACKOFF_CAP_MS);
}


#define NOW  1700000000250LL            /* 2023-11-14 22:13:20.25, a Tuesday */


static unsigned
wait_of(const char *name, const char *value)
{
    return ctseg_answer_wait(ctseg_str(name), ctseg_str(value), NOW);
}


static void
test_wait(void **state)
{
    size_t  i;

    static const struct {
        const char  *value;
        unsigned     seconds;
    } cases[] = {
        { "1", 1 },
        { "7", 7 },
        { "300", 300 },
        { "301", 300 },
        { "999999999", 300 },
        { "1700000007", 7 },
        { "1700000300", 300 },
        { "1700000301", 300 },
        { "1700000000", 0 },
        { "1600000000", 0 },
        { "9223372036854775807", 300 },
        { "9223372036854775808", 0 },
        { "0", 0 },
        { "-5", 0 },
        { "-9223372036854775808", 0 },
        { "", 0 },
        { " 5", 0 },
        { "5 ", 0 },
        { "1.5", 0 },
        { "1e3", 0 },
        { "soon", 0 },
        { "5;q=1", 0 },
        { "Tue, 14 Nov 2023 22:13:21 GMT", 1 },
        { "Tue, 14 Nov 2023 22:18:19 GMT", 299 },
        { "Tue, 14 Nov 2023 22:18:21 GMT", 300 },
        { "Tue, 14 Nov 2023 22:13:20 GMT", 0 },
        { "Fri, 31 Dec 9999 23:59:59 GMT", 300 },
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(wait_of("Retry-After", cases[i].value),
                         cases[i].seconds);
        assert_int_equal(wait_of("X-RateLimit-Reset", cases[i].value),
                         cases[i].seconds);
    }
}


static void
test_header(void **state)
{
    (void) state;

    assert_int_equal(wait_of("retry-after", "7"), 7);
    assert_int_equal(wait_of("RETRY-AFTER", "7"), 7);
    assert_int_equal(wait_of("x-ratelimit-reset", "7"), 7);

    assert_int_equal(wait_of("", "7"), 0);
    assert_int_equal(wait_of("Retry-Afte", "7"), 0);
    assert_int_equal(wait_of("Retry-After1", "7"), 0);
    assert_int_equal(wait_of("Retry_After", "7"), 0);
    assert_int_equal(wait_of("X-RateLimit-Remaining", "7"), 0);
    assert_int_equal(wait_of("Content-Length", "7"), 0);
    assert_int_equal(wait_of("Date", "Tue, 14 Nov 2023 22:18:19 GMT"), 0);
}


/* the three forms of RFC 9110, 5.6.7, and what looks like them */

static void
test_date(void **state)
{
    size_t   i;
    int64_t  seconds;

    static const struct {
        const char  *text;
        int64_t      seconds;           /* -1: none */
    } cases[] = {
        { "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
        { "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
        { "Sun Nov  6 08:49:37 1994", 784111777 },
        { "Sun Nov 06 08:49:37 1994", 784111777 },
        { "Sun Nov 16 08:49:37 1994", 784975777 },
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
        { "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799 },
        { "Thu, 29 Feb 2024 12:00:00 GMT", 1709208000 },
        { "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800 },
        { "Saturday, 01-Jan-72 00:00:00 GMT", 3218832000 },
        { "Monday, 01-Jan-73 00:00:00 GMT", 94694400 },
        { "Thu, 29 Feb 2023 12:00:00 GMT", -1 },
        { "Thu, 32 Jan 2023 12:00:00 GMT", -1 },
        { "Thu, 00 Jan 2023 12:00:00 GMT", -1 },
        { "Thu, 01 Foo 2023 12:00:00 GMT", -1 },
        { "Thu, 01 anF 2023 12:00:00 GMT", -1 },
        { "Thu, 01 Jan 1969 12:00:00 GMT", -1 },
        { "Thu, 01 Jan 2023 24:00:00 GMT", -1 },
        { "Thu, 01 Jan 2023 12:60:00 GMT", -1 },
        { "Thu, 01 Jan 2023 12:00:61 GMT", -1 },
        { "Thu, 01 Jan 2023 12:00:00 CET", -1 },
        { "Thu, 01 Jan 2023 12:00:00", -1 },
        { "Thu, 01 Jan 2023 12:00:00 GMT ", -1 },
        { "Thu, 1 Jan 2023 12:00:00 GMT", -1 },
        { "Thu, 01 Jan 2023", -1 },
        { "Sunday, 06-Nov-1994 08:49:37 GMT", -1 },
        { "2023-01-01T12:00:00Z", -1 },
        { ",", -1 },
        { "", -1 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        seconds = -1;
        assert_int_equal(ctseg_answer_date(ctseg_str(cases[i].text), NOW,
                                           &seconds),
                         cases[i].seconds >= 0);
        assert_int_equal(seconds, cases[i].seconds);
    }
}


static void
test_excerpt(void **state)
{
    char         out[8];
    ctseg_str_t  answer;

    (void) state;

    assert_int_equal(ctseg_answer_excerpt(out, 8, ctseg_str("")), 0);
    assert_int_equal(ctseg_answer_excerpt(out, 8, ctseg_str("a b~")), 4);
    assert_memory_equal(out, "a b~", 4);

    answer.data = "a\n\0\x7f\xc3\xa9\x1b[31mred";
    answer.len = 14;
    assert_int_equal(ctseg_answer_excerpt(out, 8, answer), 8);
    assert_memory_equal(out, "a??????[", 8);
}


static void
test_text(void **state)
{
    char  out[32], small[8];

    (void) state;

    ctseg_answer_text(out, sizeof(out), 429, "how");
    assert_string_equal(out, "Segment's side answered 429");

    ctseg_answer_text(out, sizeof(out), 0, "no answer");
    assert_string_equal(out, "no answer");

    ctseg_answer_text(small, sizeof(small), 0, "no answer");
    assert_string_equal(small, "no answ");
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_excerpt),
        cmocka_unit_test(test_text)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
