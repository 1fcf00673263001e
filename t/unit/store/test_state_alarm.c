/*
 * Who may tell the operator, and how often: one in an hour, of all that ask,
 * whatever the clock does and whatever the record looks like.
 */

#include "state_test.h"


#define HOUR  (60 * MINUTE)


static ctseg_rc_t
claim(st_t *st, int64_t now_ms)
{
    return ctseg_alarm_claim(st->store, "test", now_ms, HOUR, NULL);
}


static void
test_claims(void **state)
{
    st_t  *st;

    (void) state;
    st = make();

    assert_int_equal(claim(st, 10 * HOUR), CTSEG_OK);
    assert_int_equal(claim(st, 10 * HOUR), CTSEG_CONFLICT);
    assert_int_equal(claim(st, 11 * HOUR - 1), CTSEG_CONFLICT);

    assert_int_equal(ctseg_alarm_claim(st->store, "other", 10 * HOUR, HOUR,
                                       NULL), CTSEG_OK);

    /* also behind a restart */

    ctseg_store_close(st->store);
    assert_int_equal(st_open(st), CTSEG_OK);
    assert_int_equal(claim(st, 11 * HOUR - 1), CTSEG_CONFLICT);
    assert_int_equal(claim(st, 11 * HOUR), CTSEG_OK);
    assert_int_equal(claim(st, 12 * HOUR - 1), CTSEG_CONFLICT);

    /* a clock that was set back does not keep it quiet */

    assert_int_equal(claim(st, 2 * HOUR), CTSEG_OK);
    assert_int_equal(claim(st, 2 * HOUR + 1), CTSEG_CONFLICT);

    /* nor does a damaged record, for longer than once */

    spoil(st->store, "alarm", "test");
    assert_int_equal(claim(st, 2 * HOUR + 2), CTSEG_OK);
    assert_int_equal(claim(st, 2 * HOUR + 3), CTSEG_CONFLICT);

    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_claims)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
