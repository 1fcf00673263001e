/*
 * The rates: over any long time no more than allowed, and not much less; a
 * wait that is kept is enough; a burst of one second; a debt is paid back; who
 * has a higher rank goes first, and whoever does not come back is forgotten.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "segment/ctseg_rate.h"


#define ONE        CTSEG_RANK_ONE_TIME
#define RECURRING  CTSEG_RANK_RECURRING
#define LIVE       CTSEG_RANK_LIVE


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
        wait = ctseg_rate_take(&rate, ONE, requests, events, n, now);

        if (wait == 0) {
            sent += n;
            (*batches)++;
            continue;
        }

        assert_in_range(wait, 1, 100000);

        /* when the wait is over the next one is taken: no waiting twice */

        now += wait;

        if (now < end) {
            assert_int_equal(ctseg_rate_take(&rate, ONE, requests, events, n,
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
        assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000000, 1, 1000), 0);
    }

    assert_in_range(ctseg_rate_take(&rate, ONE, 50, 1000000, 1, 1000), 1, 21);

    /* an hour of rest saves no more than a second */

    for (i = 0; i < 50; i++) {
        assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000000, 1,
                                         3601000), 0);
    }

    assert_true(ctseg_rate_take(&rate, ONE, 50, 1000000, 1, 3601000) > 0);
}


static void
test_refused_costs_nothing(void **state)
{
    int           i;
    int64_t       wait;
    ctseg_rate_t  rate;

    (void) state;

    memset(&rate, 0, sizeof(rate));

    assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 3000, 1000), 0);
    wait = ctseg_rate_take(&rate, ONE, 50, 1000, 1, 1000);
    assert_in_range(wait, 2000, 2001);

    for (i = 0; i < 1000; i++) {
        assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 1, 1000), wait);
    }

    assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 1, 1000 + wait), 0);
}


static void
test_clock(void **state)
{
    ctseg_rate_t  rate;

    (void) state;

    /* a clock that stands or goes back gives nothing, and takes nothing */

    memset(&rate, 0, sizeof(rate));

    assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 1001, 100000), 0);
    assert_true(ctseg_rate_take(&rate, ONE, 50, 1000, 1, 50000) > 0);
    assert_in_range(ctseg_rate_take(&rate, ONE, 50, 1000, 1, 50000), 1, 2);
    assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 1, 50002), 0);
}


static void
test_rank_of(void **state)
{
    (void) state;

    assert_int_equal(ctseg_rate_rank(CTSEG_FREQ_LIVE), LIVE);
    assert_int_equal(ctseg_rate_rank(CTSEG_FREQ_RECURRING), RECURRING);
    assert_int_equal(ctseg_rate_rank(CTSEG_FREQ_ONE_TIME), ONE);
    assert_true(LIVE > RECURRING && RECURRING > ONE);
}


/* the tokens that come next are for the highest that asked */

static void
test_rank(void **state)
{
    int64_t       wait, now;
    ctseg_rate_t  rate;

    (void) state;

    memset(&rate, 0, sizeof(rate));
    now = 1000;

    assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 2500, now), 0);
    wait = ctseg_rate_take(&rate, ONE, 50, 1000, 2500, now);
    assert_in_range(wait, 1500, 1501);

    /* a recurring one asks later, at the same rate, and is first */

    now += wait - 1;
    assert_int_equal(ctseg_rate_take(&rate, RECURRING, 50, 1000, 2500, now),
                     1);
    now += 1;
    wait = ctseg_rate_take(&rate, ONE, 50, 1000, 2500, now);
    assert_in_range(wait, 1, CTSEG_RATE_GRACE_MS);
    assert_int_equal(ctseg_rate_take(&rate, RECURRING, 50, 1000, 2500, now),
                     0);

    /* when it wants no more, the other has its turn */

    now += wait;
    wait = ctseg_rate_take(&rate, ONE, 50, 1000, 2500, now);
    assert_in_range(wait, 1, 2501);
    now += wait;
    assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 2500, now), 0);
}


/* one that asked and is gone keeps nobody for long */

static void
test_rank_gone(void **state)
{
    int64_t       wait, now;
    ctseg_rate_t  rate;

    (void) state;

    memset(&rate, 0, sizeof(rate));
    now = 1000;

    assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 1500, now), 0);
    wait = ctseg_rate_take(&rate, RECURRING, 50, 1000, 1, now);
    assert_in_range(wait, 500, 501);

    assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 1,
                                     now + wait + CTSEG_RATE_GRACE_MS), 0);
}


/* behind a full batch of others, live goes at once, and the rate holds */

static void
test_live(void **state)
{
    int           i;
    int64_t       now, wait, sent;
    ctseg_rate_t  rate;

    (void) state;

    memset(&rate, 0, sizeof(rate));
    now = 1000;

    assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 2500, now), 0);
    assert_int_equal(ctseg_rate_take(&rate, LIVE, 50, 1000, 10, now), 0);
    wait = ctseg_rate_take(&rate, RECURRING, 50, 1000, 2500, now);
    assert_in_range(wait, 1510, 1511);

    /* it cannot run away either */

    sent = 2510;

    for (i = 0; i < 1000; i++) {
        wait = ctseg_rate_take(&rate, LIVE, 50, 1000, 500, now);

        if (wait == 0) {
            sent += 500;
        }

        now += wait;
    }

    assert_in_range(sent, (now - 1000) - 500,
                    (now - 1000) + 1000 + CTSEG_RATE_LIVE_DEBT + 500);
}


/* batches of n events: how long the buckets themselves hold up the last */

static double
test_held(unsigned requests, unsigned events, unsigned n, unsigned batches)
{
    int64_t       now, wait;
    unsigned      i;
    ctseg_rate_t  rate;

    memset(&rate, 0, sizeof(rate));
    now = 5000;

    for (i = 0; i < batches; i++) {
        do {
            wait = ctseg_rate_take(&rate, ONE, requests, events, n, now);
            now += wait;
        } while (wait != 0);
    }

    return (double) (now - 5000) / 1000;
}


static void
test_seconds(void **state)
{
    double    held, told;
    unsigned  i;

    static const struct {
        unsigned  requests, events, n, batches;
    } rows[] = {
        { 50, 1000, 2500, 1 },
        { 50, 1000, 2500, 2 },
        { 50, 1000, 2500, 100 },
        { 50, 1000, 10, 50 },
        { 50, 1000, 10, 51 },
        { 50, 1000, 10, 500 },
        { 50, 1000, 100, 11 },
        { 1, 1000000, 1, 30 },
        { 1, 1, 1, 1 },
        { 1, 1, 1, 2 },
        { 7, 13, 3, 200 }
    };

    (void) state;

    /* the buckets wait whole milliseconds, and one more each time */

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        held = test_held(rows[i].requests, rows[i].events, rows[i].n,
                         rows[i].batches);
        told = ctseg_rate_seconds(rows[i].requests, rows[i].events,
                                  rows[i].batches,
                                  (uint64_t) rows[i].batches * rows[i].n);

        assert_true(told >= 0);
        assert_true(held - told > -0.01);
        assert_true(held - told < 0.001 * rows[i].batches + 0.01);
    }

    assert_true(ctseg_rate_seconds(1, 1, 0, 0) < 0.001);
    assert_true(ctseg_rate_seconds(1, 1, UINT64_MAX, UINT64_MAX) > 1e18);
}


/* held: nothing at all for so long, whoever asks; then as ever */

static void
test_hold(void **state)
{
    int64_t       now;
    ctseg_rate_t  rate;

    (void) state;

    memset(&rate, 0, sizeof(rate));
    now = 7000;

    ctseg_rate_hold(&rate, 5000, false, now);
    assert_int_equal(ctseg_rate_take(&rate, ONE, 50, 1000, 1, now), 5000);
    assert_in_range(ctseg_rate_take(&rate, LIVE, 50, 1000, 1, now + 1), 4999,
                    5000 + CTSEG_RATE_GRACE_MS);

    /* the longest wish counts; an acknowledgement does not end one */

    ctseg_rate_hold(&rate, 1000, false, now);
    ctseg_rate_sent(&rate);
    assert_int_equal(ctseg_rate_take(&rate, LIVE, 50, 1000, 1, now), 5000);

    now += 5000;
    assert_int_equal(ctseg_rate_take(&rate, LIVE, 50, 1000, 1, now), 0);
    assert_int_equal(ctseg_rate_take(&rate, LIVE, 50, 1000, 1, now), 0);
}


/* paused: one at a time, until one is taken */

static void
test_pause(void **state)
{
    int64_t       now, wait;
    ctseg_rate_t  rate;

    (void) state;

    memset(&rate, 0, sizeof(rate));
    now = 7000;

    ctseg_rate_hold(&rate, 60000, true, now);
    now += 60000;
    assert_int_equal(ctseg_rate_take(&rate, LIVE, 50, 1000, 1, now), 0);
    wait = ctseg_rate_take(&rate, LIVE, 50, 1000, 1, now + 1);
    assert_int_equal(wait, CTSEG_RATE_PROBE_MS - 1);

    now += CTSEG_RATE_PROBE_MS;
    assert_int_equal(ctseg_rate_take(&rate, LIVE, 50, 1000, 1, now), 0);
    ctseg_rate_sent(&rate);
    assert_int_equal(ctseg_rate_take(&rate, LIVE, 50, 1000, 1, now), 0);
    assert_int_equal(ctseg_rate_take(&rate, LIVE, 50, 1000, 1, now), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_average),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_refused_costs_nothing),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_rank_of),
        cmocka_unit_test(test_rank),
        cmocka_unit_test(test_rank_gone),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_seconds)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
