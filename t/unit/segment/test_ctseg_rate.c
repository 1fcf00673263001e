/*
 * The rates: over any long time no more than allowed, and not much less; a
 * wait that is kept is enough; a burst of one second; a debt is paid back.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "segment/ctseg_rate.h"


/* send as fast as it lets us for so many seconds: events sent */

static int64_t
test_send(unsigned requests, unsigned events, unsigned n, int64_t seconds,
    int64_t *batches)
{
    int64_t       now, end, wait, sent;
    ctseg_rate_t  rate;

    memset(&rate, 0, sizeof(rate));

    now = 5000;
    end = now + seconds * 1000;
    sent = 0;
    *batches = 0;

    while (now < end) {
        wait = ctseg_rate_take(&rate, requests, events, n, now);

        if (wait == 0) {
            sent += n;
            (*batches)++;
            continue;
        }

        assert_in_range(wait, 1, 100000);

        /* when the wait is over the next one is taken: no waiting twice */

        now += wait;

        if (now < end) {
            assert_int_equal(ctseg_rate_take(&rate, requests, events, n,
                                             now), 0);
            sent += n;
            (*batches)++;
        }
    }

    return sent;
}


static void
test_average(void **state)
{
    int64_t  sent, batches;

    (void) state;

    /* full batches pass a rate of 1,000 a second, 2.5 s apart */

    sent = test_send(50, 1000, 2500, 1000, &batches);
    assert_in_range(sent, 990 * 1000, 1001 * 1000 + 2500);

    sent = test_send(50, 1000, 1, 100, &batches);
    assert_in_range(batches, 49 * 100, 50 * 101 + 1);
    assert_int_equal(sent, batches);

    sent = test_send(1, 1000000, 2500, 100, &batches);
    assert_in_range(batches, 99, 102);

    sent = test_send(50, 1, 2, 100, &batches);
    assert_in_range(sent, 98, 103);
}


static void
test_burst(void **state)
{
    int           i;
    ctseg_rate_t  rate;

    (void) state;

    memset(&rate, 0, sizeof(rate));

    for (i = 0; i < 50; i++) {
        assert_int_equal(ctseg_rate_take(&rate, 50, 1000000, 1, 1000), 0);
    }

    assert_in_range(ctseg_rate_take(&rate, 50, 1000000, 1, 1000), 1, 21);

    /* an hour of rest saves no more than a second */

    for (i = 0; i < 50; i++) {
        assert_int_equal(ctseg_rate_take(&rate, 50, 1000000, 1, 3601000), 0);
    }

    assert_true(ctseg_rate_take(&rate, 50, 1000000, 1, 3601000) > 0);
}


static void
test_refused_costs_nothing(void **state)
{
    int           i;
    int64_t       wait;
    ctseg_rate_t  rate;

    (void) state;

    memset(&rate, 0, sizeof(rate));

    assert_int_equal(ctseg_rate_take(&rate, 50, 1000, 3000, 1000), 0);
    wait = ctseg_rate_take(&rate, 50, 1000, 1, 1000);
    assert_in_range(wait, 2000, 2001);

    for (i = 0; i < 1000; i++) {
        assert_int_equal(ctseg_rate_take(&rate, 50, 1000, 1, 1000), wait);
    }

    assert_int_equal(ctseg_rate_take(&rate, 50, 1000, 1, 1000 + wait), 0);
}


static void
test_clock(void **state)
{
    ctseg_rate_t  rate;

    (void) state;

    /* a clock that stands or goes back gives nothing, and takes nothing */

    memset(&rate, 0, sizeof(rate));

    assert_int_equal(ctseg_rate_take(&rate, 50, 1000, 1001, 100000), 0);
    assert_true(ctseg_rate_take(&rate, 50, 1000, 1, 50000) > 0);
    assert_in_range(ctseg_rate_take(&rate, 50, 1000, 1, 50000), 1, 2);
    assert_int_equal(ctseg_rate_take(&rate, 50, 1000, 1, 50002), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_refused_costs_nothing),
        cmocka_unit_test(test_clock)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
