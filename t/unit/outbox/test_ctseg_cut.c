/*
 * Where runs begin and end: by time of arrival for the first run of what
 * repeats, where the last one ended for those behind it, everywhere for one
 * time.  Never before what is kept, never behind what is there.
 */

#include "outbox_test.h"


static void
test_cut(st_t *st, const ctseg_export_t *e, uint64_t lo, uint64_t hi)
{
    ctseg_cut_t     cut;
    ctseg_err_t     err;
    ctseg_bounds_t  bounds;

    memset(&cut, 0xff, sizeof(cut));

    assert_int_equal(ctseg_cut_next(st->store, e, st_soon(), &cut, &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);

    assert_int_equal(cut.lo, lo);
    assert_int_equal(cut.hi, hi);
    assert_int_equal(cut.incarnation, bounds.incarnation);
}


static void
test_since(st_t *st, int64_t ms, uint64_t lo, uint64_t hi)
{
    ctseg_cut_t  cut;
    ctseg_err_t  err;

    memset(&cut, 0xff, sizeof(cut));

    assert_int_equal(ctseg_cut_since(st->store, ms, st_soon(), &cut, &err),
                     CTSEG_OK);
    assert_int_equal(cut.lo, lo);
    assert_int_equal(cut.hi, hi);
}


static void
test_empty(void **state)
{
    st_t            *st;
    ctseg_freq_t     freq;
    ctseg_export_t   e;

    (void) state;

    st = ot_make(16 * ST_MB);

    for (freq = CTSEG_FREQ_ONE_TIME; freq <= CTSEG_FREQ_LIVE; freq++) {
        ot_export(&e, freq);
        test_cut(st, &e, 0, 0);
    }

    st_free(st);
}


static void
test_first(void **state)
{
    st_t            *st;
    int64_t          second, later;
    ctseg_cut_t      cut;
    ctseg_err_t      err;
    ctseg_export_t   e;

    (void) state;

    st = ot_make(16 * ST_MB);

    ot_append_n(st, 10);
    second = ot_moment();
    ot_append_n(st, 5);
    later = ot_moment();

    /* one time looks at all of it, whatever else it says */

    ot_export(&e, CTSEG_FREQ_ONE_TIME);
    e.start_ms = later;
    e.cut = 12;
    test_cut(st, &e, 0, 15);

    /* recurring: what arrived since its start */

    ot_export(&e, CTSEG_FREQ_RECURRING);
    e.cut = 12;
    test_cut(st, &e, 0, 15);
    e.start_ms = second;
    test_cut(st, &e, 10, 15);

    e.start_ms = later;
    test_cut(st, &e, 15, 15);
    e.start_ms = INT64_MAX;
    test_cut(st, &e, 15, 15);

    /* live: what came behind the event it was made at, by any clock */

    ot_export(&e, CTSEG_FREQ_LIVE);
    assert_int_equal(ctseg_cut_head(st->store, st_soon(), &cut, &err),
                     CTSEG_OK);
    assert_int_equal(cut.lo, 15);
    assert_int_equal(cut.hi, 15);
    e.cut = cut.hi;
    e.incarnation = cut.incarnation;
    e.start_ms = second;
    test_cut(st, &e, 15, 15);
    ot_append_n(st, 1);
    test_cut(st, &e, 15, 16);

    ot_export(&e, CTSEG_FREQ_RECURRING);
    e.start_ms = later;
    test_cut(st, &e, 15, 16);
    later = ot_moment();

    test_since(st, INT64_MIN, 0, 16);
    test_since(st, second, 10, 16);
    test_since(st, later, 16, 16);

    st_free(st);
}


static void
test_next(void **state)
{
    st_t            *st;
    ctseg_export_t   e;
    ctseg_bounds_t   bounds;

    (void) state;

    st = ot_make(16 * ST_MB);

    ot_append_n(st, 10);
    ot_append_n(st, 5);

    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);

    /* where the last run ended, also in the middle of a block */

    ot_export(&e, CTSEG_FREQ_RECURRING);
    e.runs = 1;
    e.incarnation = bounds.incarnation;
    e.start_ms = INT64_MAX;
    e.cut = 12;
    test_cut(st, &e, 12, 15);

    e.freq = CTSEG_FREQ_LIVE;
    test_cut(st, &e, 12, 15);

    /* nothing new; and an end that this log never had */

    e.cut = 15;
    test_cut(st, &e, 15, 15);
    e.cut = 99;
    test_cut(st, &e, 15, 15);

    /* of a log that was made anew, all is new */

    e.incarnation++;
    e.cut = 12;
    test_cut(st, &e, 0, 15);

    st_free(st);
}


static void
test_trimmed(void **state)
{
    st_t            *st;
    ctseg_export_t   e;
    ctseg_bounds_t   bounds;

    (void) state;

    st = ot_make(16 * ST_MB);

    ot_append_n(st, 10);
    ot_append_n(st, 5);
    ot_trim(st, 11);

    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);
    assert_int_equal(bounds.first, 11);

    ot_export(&e, CTSEG_FREQ_ONE_TIME);
    test_cut(st, &e, 10, 15);

    ot_export(&e, CTSEG_FREQ_LIVE);
    test_cut(st, &e, 10, 15);

    e.runs = 1;
    e.incarnation = bounds.incarnation;
    e.cut = 13;
    test_cut(st, &e, 13, 15);

    /* what it had not sent is gone: in the cut, so that it is counted */

    e.cut = 3;
    test_cut(st, &e, 3, 15);

    /* all of it is gone: the numbers go on behind it */

    ot_trim(st, 16);
    test_cut(st, &e, 3, 15);
    e.cut = 15;
    test_cut(st, &e, 15, 15);
    test_since(st, INT64_MIN, 15, 15);

    ot_append_n(st, 1);
    test_cut(st, &e, 15, 16);
    ot_export(&e, CTSEG_FREQ_ONE_TIME);
    test_cut(st, &e, 15, 16);

    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_first),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_trimmed)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
