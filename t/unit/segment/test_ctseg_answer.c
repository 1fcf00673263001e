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
    unsigned  attempt;
    uint32_t  chance, i;

    (void) state;

    for (attempt = 0; attempt < 100; attempt++) {

        ceiling = attempt < 7 ? CTSEG_BACKOFF_BASE_MS << attempt
                              : CTSEG_BACKOFF_CAP_MS;
        low = INT64_MAX;
        high = 0;

        /* steps of a prime reach the bounds of every ceiling */

        for (i = 0, chance = 0; i < 200000; i++, chance += 21701) {
            wait = ctseg_backoff_ms(CTSEG_ANSWER_RETRY, attempt, chance);
            low = wait < low ? wait : low;
            high = wait > high ? wait : high;
        }

        assert_int_equal(low, 1);
        assert_int_equal(high, ceiling);

        assert_in_range(ctseg_backoff_ms(CTSEG_ANSWER_RETRY, attempt,
                                         UINT32_MAX), 1, ceiling);
        assert_int_equal(ctseg_backoff_ms(CTSEG_ANSWER_PAUSE, attempt, 7),
                         CTSEG_BACKOFF_CAP_MS);
    }

    assert_in_range(ctseg_backoff_ms(CTSEG_ANSWER_RETRY, UINT32_MAX, 12345),
                    1, CTSEG_BACKOFF_CAP_MS);
}


#define NOW  1700000000250LL


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
        { "", 0 },
        { " 5", 0 },
        { "5 ", 0 },
        { "1.5", 0 },
        { "1e3", 0 },
        { "soon", 0 },
        { "5;q=1", 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(ctseg_answer_wait(ctseg_str(cases[i].value), NOW),
                         cases[i].seconds);
    }

    assert_int_equal(ctseg_answer_wait_until(1700000001, NOW), 1);
    assert_int_equal(ctseg_answer_wait_until(1700000299, NOW), 299);
    assert_int_equal(ctseg_answer_wait_until(1700000000, NOW), 0);
    assert_int_equal(ctseg_answer_wait_until(-1, NOW), 0);
    assert_int_equal(ctseg_answer_wait_until(INT64_MIN, NOW), 0);
    assert_int_equal(ctseg_answer_wait_until(INT64_MAX, NOW), 300);
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
        cmocka_unit_test(test_text)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
