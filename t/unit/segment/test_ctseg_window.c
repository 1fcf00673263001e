/*
 * The window: full at first, halved by failures but never shut, one wider for
 * a round that goes well, narrower while answers become slow, and wide again
 * when slow turns out to be how it is.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "segment/ctseg_window.h"


static void
test_halves(void **state)
{
    int             i;
    ctseg_window_t  w;

    (void) state;

    memset(&w, 0, sizeof(w));
    assert_int_equal(ctseg_window_size(&w, 8), 8);

    ctseg_window_failed(&w, 8);
    assert_int_equal(ctseg_window_size(&w, 8), 4);
    ctseg_window_failed(&w, 8);
    ctseg_window_failed(&w, 8);
    assert_int_equal(ctseg_window_size(&w, 8), 1);

    for (i = 0; i < 100; i++) {
        ctseg_window_failed(&w, 8);
        assert_int_equal(ctseg_window_size(&w, 8), 1);
    }

    /* a reload may have made it smaller */

    memset(&w, 0, sizeof(w));
    ctseg_window_sent(&w, 10, 8);
    assert_int_equal(ctseg_window_size(&w, 3), 3);
}


static void
test_grows(void **state)
{
    int             n;
    ctseg_window_t  w;

    (void) state;

    memset(&w, 0, sizeof(w));
    ctseg_window_failed(&w, 2);
    assert_int_equal(ctseg_window_size(&w, 8), 1);

    /* one round each: 1 + 2 + ... + 7 answers, and a little */

    for (n = 0; ctseg_window_size(&w, 8) < 8; n++) {
        assert_true(n < 40);
        ctseg_window_sent(&w, 10, 8);
    }

    assert_in_range(n, 20, 40);

    for (n = 0; n < 100; n++) {
        ctseg_window_sent(&w, 10, 8);
        assert_int_equal(ctseg_window_size(&w, 8), 8);
    }
}


static void
test_slow(void **state)
{
    int             n;
    ctseg_window_t  w;

    (void) state;

    memset(&w, 0, sizeof(w));

    for (n = 0; n < 10; n++) {
        ctseg_window_sent(&w, 50, 8);
    }

    ctseg_window_sent(&w, 190, 8);
    assert_int_equal(ctseg_window_size(&w, 8), 8);

    for (n = 0; n < 30; n++) {
        ctseg_window_sent(&w, 2000, 8);
    }

    assert_int_equal(ctseg_window_size(&w, 8), 1);

    /* if that is how long it takes from now on, it is no sign of anything */

    for (n = 0; n < 2000; n++) {
        ctseg_window_sent(&w, 2000, 8);
    }

    assert_int_equal(ctseg_window_size(&w, 8), 8);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_slow)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
