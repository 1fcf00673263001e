/*
 * The sums of a run: what may be added, what is refused as a whole, and that
 * they hold over a long random walk to the end of the cut.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_run.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))


static void
test_pin(void **state)
{
    ctseg_run_t      run;
    ctseg_export_t   e;
    ctseg_partner_t  p;

    (void) state;

    memset(&run, 0, sizeof(run));
    memset(&e, 0, sizeof(e));
    memset(&p, 0, sizeof(p));

    memcpy(e.id, "e1", 3);
    memcpy(p.id, "p1", 3);
    memcpy(p.write_key, "secretkey", 10);
    p.region = CTSEG_REGION_EU;
    p.user_id.field = CTSEG_ID_PHONE;
    p.anonymous_id.field = -1;
    memcpy(p.anonymous_id.property, "x", 2);
    e.type = CTSEG_TYPE_EVENT;
    e.kinds = 0x30;
    e.freq = CTSEG_FREQ_ONE_TIME;
    e.from_ms = 5;
    e.to_ms = 9;
    e.priority[0] = CTSEG_ID_GPID;
    e.npriority = 1;
    e.revision = 4;

    ctseg_run_pin(&run, &e, &p);

    assert_string_equal(run.export_id, "e1");
    assert_string_equal(run.partner_id, "p1");
    assert_int_equal(run.export_revision, 4);
    assert_int_equal(run.region, CTSEG_REGION_EU);
    assert_int_equal(run.pinned.type, CTSEG_TYPE_EVENT);
    assert_int_equal(run.pinned.kinds, 0x30);
    assert_int_equal(run.pinned.from_ms, 5);
    assert_int_equal(run.pinned.to_ms, 9);
    assert_int_equal(run.pinned.user_id.field, CTSEG_ID_PHONE);
    assert_string_equal(run.pinned.anonymous_id.property, "x");
    assert_int_equal(run.pinned.priority[0], CTSEG_ID_GPID);
    assert_int_equal(run.pinned.npriority, 1);
    assert_int_equal(strlen(run.pinned.fingerprint), 16);
    assert_null(strstr(run.pinned.fingerprint, "secretkey"));

    e.freq = CTSEG_FREQ_LIVE;
    ctseg_run_pin(&run, &e, &p);

    assert_true(run.pinned.from_ms == INT64_MIN);
    assert_true(run.pinned.to_ms == INT64_MAX);
}


static void
test_refused(void **state)
{
    size_t       i;
    ctseg_run_t  run, before;

    /* the cut is (100, 200], the cursor stands at 150 */

    static const struct {
        uint64_t        upto;
        ctseg_counts_t  delta;  /* scanned sent filtered rejected {..} b r */
    } cases[] = {
        { 149, { 0, 0, 0, 0, { 0, 0 }, 0, 0 } },
        { 149, { (uint64_t) -1, (uint64_t) -1, 0, 0, { 0, 0 }, 0, 0 } },
        { 201, { 51, 51, 0, 0, { 0, 0 }, 0, 0 } },
        { 160, { 9, 9, 0, 0, { 0, 0 }, 0, 0 } },
        { 160, { 11, 11, 0, 0, { 0, 0 }, 0, 0 } },
        { 160, { 10, 9, 0, 0, { 0, 0 }, 0, 0 } },
        { 160, { 10, 9, 2, 0, { 0, 0 }, 0, 0 } },
        { 160, { 10, 11, 0, 0, { 0, 0 }, 0, 0 } },
        { 160, { 10, 0, 11, 0, { 0, 0 }, 0, 0 } },
        { 160, { 10, 8, 0, 2, { 0, 0 }, 0, 0 } },
        { 160, { 10, 8, 0, 2, { 1, 0 }, 0, 0 } },
        { 160, { 10, 8, 0, 2, { 2, 1 }, 0, 0 } },
        { 160, { 10, 10, 0, 0, { 1, 0 }, 0, 0 } },
        { 160, { 10, 11, (uint64_t) -1, 0, { 0, 0 }, 0, 0 } },
        { 160, { 10, 0, 11, (uint64_t) -1, { 0, 0 }, 0, 0 } },
        { 160, { 10, 9, 0, 1, { 2, (uint64_t) -1 }, 0, 0 } }
    };

    (void) state;

    memset(&run, 0, sizeof(run));
    run.lo = 100;
    run.hi = 200;
    run.cursor = 150;
    run.counts.scanned = 50;
    run.counts.sent = 50;
    assert_true(ctseg_run_is_conserved(&run));

    before = run;

    for (i = 0; i < N(cases); i++) {
        assert_false(ctseg_run_advance(&run, cases[i].upto,
                                       &cases[i].delta));
        assert_memory_equal(&run, &before, sizeof(run));
    }
}


static void
test_walk(void **state)
{
    uint64_t        step, left, sent, batches;
    uint32_t        seed;
    ctseg_run_t     run;
    ctseg_counts_t  d;

    (void) state;

    memset(&run, 0, sizeof(run));
    run.lo = 1000;
    run.cursor = 1000;
    run.hi = 1000000;

    assert_true(ctseg_run_is_conserved(&run));
    assert_int_equal(ctseg_run_waiting(&run), 999000);

    sent = 0;
    batches = 0;

    for (seed = 7; run.cursor < run.hi; /* void */ ) {
        seed = seed * 1664525 + 1013904223;

        step = (seed >> 8) % 2500;
        left = run.hi - run.cursor;
        step = step < left ? step : left;

        memset(&d, 0, sizeof(d));
        d.scanned = step;
        d.filtered = step / 3;
        d.rejects[CTSEG_REJECT_NO_ID] = step / 7;
        d.rejects[CTSEG_REJECT_TOO_LARGE] = step / 11;
        d.rejected = step / 7 + step / 11;
        d.sent = step - d.filtered - d.rejected;
        d.batches = 1;
        d.retries = 2;

        assert_true(ctseg_run_advance(&run, run.cursor + step, &d));
        assert_true(ctseg_run_is_conserved(&run));
        assert_true(ctseg_run_waiting(&run) == run.hi - run.cursor);

        sent += d.sent;
        batches++;
    }

    assert_int_equal(run.counts.scanned, 999000);
    assert_true(run.counts.sent == sent);
    assert_true(run.counts.batches == batches);
    assert_true(run.counts.retries == 2 * batches);
    assert_int_equal(ctseg_run_waiting(&run), 0);

    /* a retry that decided nothing is counted too */

    memset(&d, 0, sizeof(d));
    d.retries = 1;
    assert_true(ctseg_run_advance(&run, run.cursor, &d));
    assert_true(run.counts.retries == 2 * batches + 1);
}


/* the first of a cut are gone: counted, but by a one time run at its start */

static void
test_expired(void **state)
{
    unsigned         i;
    ctseg_run_t      run;
    ctseg_counts_t   d;

    static const struct {
        ctseg_freq_t  freq;
        uint64_t      scanned;          /* before */
        uint64_t      lo;               /* then */
        uint64_t      expired;
    } cases[] = {
        { CTSEG_FREQ_ONE_TIME, 0, 140, 0 },
        { CTSEG_FREQ_ONE_TIME, 5, 100, 40 },
        { CTSEG_FREQ_RECURRING, 0, 100, 40 },
        { CTSEG_FREQ_RECURRING, 5, 100, 40 },
        { CTSEG_FREQ_LIVE, 0, 100, 40 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&run, 0, sizeof(run));
        run.freq = cases[i].freq;
        run.lo = 100;
        run.hi = 200;
        run.cursor = 100 + cases[i].scanned;
        run.counts.scanned = cases[i].scanned;
        run.counts.sent = cases[i].scanned;

        memset(&d, 0, sizeof(d));
        d.scanned = 50;
        d.sent = 7;
        d.filtered = 2;
        d.rejected = 41;
        d.rejects[CTSEG_REJECT_EXPIRED] = 40;
        d.rejects[CTSEG_REJECT_NO_ID] = 1;

        assert_true(ctseg_run_advance(&run, run.cursor + 50, &d));
        assert_true(ctseg_run_is_conserved(&run));
        assert_int_equal(run.lo, cases[i].lo);
        assert_int_equal(run.cursor, 150 + cases[i].scanned);
        assert_int_equal(run.counts.sent, 7 + cases[i].scanned);
        assert_int_equal(run.counts.rejected, 1 + cases[i].expired);
        assert_int_equal(run.counts.rejects[CTSEG_REJECT_EXPIRED],
                         cases[i].expired);
        assert_int_equal(ctseg_run_waiting(&run), 200 - run.cursor);
    }
}


static void
test_not_conserved(void **state)
{
    unsigned     i;
    ctseg_run_t  good, bad;

    (void) state;

    memset(&good, 0, sizeof(good));
    good.lo = 10;
    good.hi = 30;
    good.cursor = 20;
    good.counts.scanned = 10;
    good.counts.sent = 7;
    good.counts.filtered = 1;
    good.counts.rejected = 2;
    good.counts.rejects[CTSEG_REJECT_TOO_LARGE] = 2;

    assert_true(ctseg_run_is_conserved(&good));

    for (i = 0; i < 9; i++) {
        bad = good;

        switch (i) {
        case 0: bad.lo++; break;
        case 1: bad.cursor++; break;
        case 2: bad.counts.scanned--; break;
        case 3: bad.counts.sent++; break;
        case 4: bad.counts.filtered--; break;
        case 5: bad.counts.rejected++; break;
        case 6: bad.counts.rejects[CTSEG_REJECT_NO_ID]++; break;
        case 7: bad.hi = 19; break;
        default: bad.lo = 40; break;
        }

        assert_false(ctseg_run_is_conserved(&bad));
    }

    bad.hi = 0;
    assert_int_equal(ctseg_run_waiting(&bad), 0);
}


static void
test_names(void **state)
{
    (void) state;

    assert_string_equal(ctseg_run_status_name(CTSEG_RUN_RUNNING), "running");
    assert_string_equal(ctseg_run_status_name(CTSEG_RUN_SUCCEEDED),
                        "succeeded");
    assert_string_equal(ctseg_run_status_name(CTSEG_RUN_STOPPED), "stopped");
    assert_string_equal(ctseg_run_status_name(CTSEG_RUN_FAILED), "failed");
    assert_null(ctseg_run_status_name((ctseg_run_status_t) 0));
    assert_null(ctseg_run_status_name((ctseg_run_status_t) 5));

    assert_string_equal(ctseg_reject_name(CTSEG_REJECT_NO_ID), "no_id");
    assert_string_equal(ctseg_reject_name(CTSEG_REJECT_TOO_LARGE),
                        "too_large");
    assert_string_equal(ctseg_reject_name(CTSEG_REJECT_REFUSED), "refused");
    assert_string_equal(ctseg_reject_name(CTSEG_REJECT_EXPIRED), "expired");
    assert_string_equal(ctseg_reject_name(CTSEG_REJECT_NO_NAME), "no_name");
    assert_string_equal(ctseg_reject_name(CTSEG_REJECT_DAMAGED), "damaged");
    assert_string_equal(ctseg_reject_name(CTSEG_REJECT_FUTURE),
                        "future_time");
    assert_null(ctseg_reject_name(CTSEG_REJECT_N));
}


/* a run of a million events, half of which are sent */

static void
test_run_half(ctseg_run_t *run)
{
    memset(run, 0, sizeof(ctseg_run_t));
    run->freq = CTSEG_FREQ_ONE_TIME;
    run->hi = 1000000;
    run->started_ms = 1000;
}


static void
test_count(ctseg_run_t *run, uint64_t n, uint64_t batches)
{
    ctseg_counts_t  delta;

    memset(&delta, 0, sizeof(delta));
    delta.scanned = n;
    delta.sent = n / 2;
    delta.filtered = n - n / 2;
    delta.batches = batches;

    assert_true(ctseg_run_advance(run, run->cursor + n, &delta));
}


static void
test_measure(void **state)
{
    int64_t       now;
    ctseg_run_t   run;
    ctseg_mark_t  mark = { 0, 0 };

    (void) state;

    test_run_half(&run);
    now = 77000;

    ctseg_run_measure(&run, &mark, now);
    assert_int_equal(run.pace, 0);

    test_count(&run, 2000, 1);
    ctseg_run_measure(&run, &mark, now + 100);
    assert_int_equal(run.pace, 0);              /* too early to tell */

    ctseg_run_measure(&run, &mark, now + 1000);
    assert_int_equal(run.pace, 2000000);

    test_count(&run, 12000, 2);
    ctseg_run_measure(&run, &mark, now + 3000);
    assert_int_equal(run.pace, 3000000);        /* a quarter of the news */

    /* an outage: slower and slower, but a pace */

    for (now += 4000; run.pace > 1; now += 1000) {
        ctseg_run_measure(&run, &mark, now);
    }

    assert_int_equal(run.pace, 1);

    /* a rest does not count */

    run.hi = run.cursor;
    ctseg_run_measure(&run, &mark, now + 3600000);
    assert_int_equal(run.pace, 1);
    run.hi += 1000;
    test_count(&run, 500, 1);
    ctseg_run_measure(&run, &mark, now + 3601000);
    assert_int_equal(run.pace, 125000);
}


static void
test_eta(void **state)
{
    ctseg_run_t     run;
    ctseg_limits_t  none = { 0, 0 }, slow = { 50, 1000 }, few = { 1, 1000000 };

    (void) state;

    /* nothing is known but the limit: as if all of it were sent */

    test_run_half(&run);
    assert_true(ctseg_run_eta(&run, &none, 5000) < 0);
    assert_float_equal(ctseg_run_eta(&run, &slow, 5000), 1000, 0.01);
    assert_float_equal(ctseg_run_eta(&run, &few, 5000), 400, 0.01);

    /* half of it is sent, in batches of 1,000 messages, in an instant */

    test_count(&run, 200000, 100);
    assert_float_equal(ctseg_run_eta(&run, &slow, 1100), 400, 0.01);
    assert_float_equal(ctseg_run_eta(&run, &few, 1100), 400, 0.01);
    assert_float_equal(ctseg_run_eta(&run, &none, 1100), 0.4, 0.01);

    /* slower than allowed: as it goes */

    assert_float_equal(ctseg_run_eta(&run, &slow, 201000), 800, 0.01);
    run.pace = 500000;
    assert_float_equal(ctseg_run_eta(&run, &slow, 201000), 1600, 0.01);
    assert_float_equal(ctseg_run_eta(&run, &none, 1100), 1600, 0.01);

    /* the average of a live one would tell of its rest */

    run.freq = CTSEG_FREQ_LIVE;
    run.pace = 0;
    assert_true(ctseg_run_eta(&run, &none, 201000) < 0);

    /* begun before all times: no pace, and no number that overflows */

    run.freq = CTSEG_FREQ_ONE_TIME;
    run.started_ms = INT64_MIN;
    assert_true(ctseg_run_eta(&run, &slow, 201000) < 0);
    run.freq = CTSEG_FREQ_LIVE;

    run.pace = 1;
    run.hi = UINT64_MAX;
    assert_true(ctseg_run_eta(&run, &slow, 201000) < 0);

    run.hi = run.cursor;
    assert_float_equal(ctseg_run_eta(&run, &none, 201000), 0, 0.01);
}


/* once for each run, however often somebody completes its end */

static void
test_settle(void **state)
{
    ctseg_run_t     run;
    ctseg_export_t  e;
    ctseg_totals_t  t;

    (void) state;

    memset(&run, 0, sizeof(run));
    memset(&e, 0, sizeof(e));

    t = ctseg_run_totals(&e, NULL);
    assert_int_equal(t.sent + t.filtered + t.rejected, 0);

    run.number = 1;
    run.counts.sent = 5;
    run.counts.filtered = 30;
    run.counts.rejected = 200;

    /* under way: it is looked at, and not yet part of the export */

    t = ctseg_run_totals(&e, &run);
    assert_int_equal(t.sent, 5);
    assert_int_equal(t.filtered, 30);
    assert_int_equal(t.rejected, 200);
    assert_int_equal(e.totals.sent, 0);

    ctseg_run_settle(&run, &e);
    ctseg_run_settle(&run, &e);
    assert_int_equal(e.totals.sent, 5);
    assert_int_equal(e.totals.filtered, 30);
    assert_int_equal(e.totals.rejected, 200);
    assert_int_equal(e.totals_run, 1);

    t = ctseg_run_totals(&e, &run);
    assert_int_equal(t.sent, 5);

    run.number = 2;
    run.counts.sent = 1;
    t = ctseg_run_totals(&e, &run);
    assert_int_equal(t.sent, 6);
    assert_int_equal(t.filtered, 60);

    ctseg_run_settle(&run, &e);
    assert_int_equal(e.totals.sent, 6);
    assert_int_equal(e.totals.rejected, 400);
    assert_int_equal(e.totals_run, 2);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pin),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_not_conserved),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_settle),
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_eta)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
