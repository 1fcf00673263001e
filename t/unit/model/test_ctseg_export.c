/*
 * The life of an export: the transition table in full, written down a
 * second time, and the names there and back.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_export.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))

#define O  CTSEG_FREQ_ONE_TIME
#define R  CTSEG_FREQ_RECURRING
#define L  CTSEG_FREQ_LIVE


static void
test_steps(void **state)
{
    size_t       i;
    const char  *rule;

    static const struct {
        ctseg_freq_t          freq;
        ctseg_status_t        from;
        ctseg_export_event_t  event;
        int                   to;
    } cases[] = {
        { O, CTSEG_PENDING, CTSEG_ON_START, CTSEG_RUNNING },
        { O, CTSEG_PENDING, CTSEG_ON_FINISH, 0 },
        { O, CTSEG_PENDING, CTSEG_ON_STOP, CTSEG_STOPPED },
        { O, CTSEG_PENDING, CTSEG_ON_EDIT, 0 },
        { O, CTSEG_RUNNING, CTSEG_ON_START, CTSEG_RUNNING },
        { O, CTSEG_RUNNING, CTSEG_ON_FINISH, CTSEG_DONE },
        { O, CTSEG_RUNNING, CTSEG_ON_STOP, CTSEG_STOPPED },
        { O, CTSEG_RUNNING, CTSEG_ON_EDIT, 0 },
        { O, CTSEG_DONE, CTSEG_ON_START, 0 },
        { O, CTSEG_DONE, CTSEG_ON_FINISH, 0 },
        { O, CTSEG_DONE, CTSEG_ON_STOP, 0 },
        { O, CTSEG_DONE, CTSEG_ON_EDIT, 0 },
        { O, CTSEG_STOPPED, CTSEG_ON_START, 0 },
        { O, CTSEG_STOPPED, CTSEG_ON_FINISH, 0 },
        { O, CTSEG_STOPPED, CTSEG_ON_STOP, 0 },
        { O, CTSEG_STOPPED, CTSEG_ON_EDIT, 0 },
        { R, CTSEG_PENDING, CTSEG_ON_START, CTSEG_RUNNING },
        { R, CTSEG_PENDING, CTSEG_ON_FINISH, 0 },
        { R, CTSEG_PENDING, CTSEG_ON_STOP, CTSEG_STOPPED },
        { R, CTSEG_PENDING, CTSEG_ON_EDIT, CTSEG_PENDING },
        { R, CTSEG_RUNNING, CTSEG_ON_START, CTSEG_RUNNING },
        { R, CTSEG_RUNNING, CTSEG_ON_FINISH, CTSEG_PENDING },
        { R, CTSEG_RUNNING, CTSEG_ON_STOP, CTSEG_STOPPED },
        { R, CTSEG_RUNNING, CTSEG_ON_EDIT, CTSEG_RUNNING },
        { R, CTSEG_DONE, CTSEG_ON_START, 0 },
        { R, CTSEG_DONE, CTSEG_ON_FINISH, 0 },
        { R, CTSEG_DONE, CTSEG_ON_STOP, 0 },
        { R, CTSEG_DONE, CTSEG_ON_EDIT, 0 },
        { R, CTSEG_STOPPED, CTSEG_ON_START, 0 },
        { R, CTSEG_STOPPED, CTSEG_ON_FINISH, 0 },
        { R, CTSEG_STOPPED, CTSEG_ON_STOP, 0 },
        { R, CTSEG_STOPPED, CTSEG_ON_EDIT, 0 },
        { L, CTSEG_PENDING, CTSEG_ON_START, CTSEG_RUNNING },
        { L, CTSEG_PENDING, CTSEG_ON_FINISH, 0 },
        { L, CTSEG_PENDING, CTSEG_ON_STOP, CTSEG_STOPPED },
        { L, CTSEG_PENDING, CTSEG_ON_EDIT, CTSEG_PENDING },
        { L, CTSEG_RUNNING, CTSEG_ON_START, CTSEG_RUNNING },
        { L, CTSEG_RUNNING, CTSEG_ON_FINISH, CTSEG_RUNNING },
        { L, CTSEG_RUNNING, CTSEG_ON_STOP, CTSEG_STOPPED },
        { L, CTSEG_RUNNING, CTSEG_ON_EDIT, CTSEG_RUNNING },
        { L, CTSEG_DONE, CTSEG_ON_START, 0 },
        { L, CTSEG_DONE, CTSEG_ON_FINISH, 0 },
        { L, CTSEG_DONE, CTSEG_ON_STOP, 0 },
        { L, CTSEG_DONE, CTSEG_ON_EDIT, 0 },
        { L, CTSEG_STOPPED, CTSEG_ON_START, 0 },
        { L, CTSEG_STOPPED, CTSEG_ON_FINISH, 0 },
        { L, CTSEG_STOPPED, CTSEG_ON_STOP, 0 },
        { L, CTSEG_STOPPED, CTSEG_ON_EDIT, 0 }
    };

    (void) state;

    assert_int_equal(N(cases), 3 * 4 * 4);

    for (i = 0; i < N(cases); i++) {
        assert_int_equal(ctseg_export_step(cases[i].freq, cases[i].from,
                                           cases[i].event),
                         cases[i].to);

        /* what is refused is refused by a rule, and by no rule else */

        rule = ctseg_export_rule(cases[i].freq, cases[i].from,
                                 cases[i].event);
        assert_int_equal(rule == NULL, cases[i].to != 0);

        if (rule != NULL && cases[i].event == CTSEG_ON_EDIT) {
            assert_non_null(strstr(rule, "cannot be edited"));
        }

        if (rule != NULL && cases[i].event == CTSEG_ON_STOP) {
            assert_non_null(strstr(rule, "can be stopped"));
            assert_non_null(strstr(rule,
                                   ctseg_status_name(cases[i].from)));
        }
    }
}


static void
test_outside(void **state)
{
    int  i, j, k;

    (void) state;

    /* whatever a damaged record holds: no step, no wild read */

    for (i = -2; i < 9; i++) {
        for (j = -2; j < 9; j++) {
            for (k = -2; k < 9; k++) {

                if (i >= 1 && i <= 3 && j >= 1 && j <= 4 && k >= 0 && k <= 3)
                {
                    continue;
                }

                assert_int_equal(ctseg_export_step((ctseg_freq_t) i,
                                                   (ctseg_status_t) j,
                                                   (ctseg_export_event_t) k),
                                 0);
            }
        }
    }
}


static void
test_final(void **state)
{
    int  freq, event, from;

    (void) state;

    assert_false(ctseg_export_is_final(CTSEG_PENDING));
    assert_false(ctseg_export_is_final(CTSEG_RUNNING));
    assert_true(ctseg_export_is_final(CTSEG_DONE));
    assert_true(ctseg_export_is_final(CTSEG_STOPPED));

    /* final is what no event leads out of */

    for (from = CTSEG_PENDING; from <= CTSEG_STOPPED; from++) {
        bool  leaves = false;

        for (freq = O; freq <= (int) L; freq++) {
            for (event = CTSEG_ON_START; event <= CTSEG_ON_EDIT; event++) {
                leaves |= ctseg_export_step((ctseg_freq_t) freq,
                                            (ctseg_status_t) from,
                                            (ctseg_export_event_t) event)
                          != 0;
            }
        }

        assert_int_equal(leaves,
                         !ctseg_export_is_final((ctseg_status_t) from));
    }
}


static void
test_names(void **state)
{
    int  i;

    static const char  *const statuses[] = {
        "PENDING", "RUNNING", "DONE", "STOPPED"
    };

    static const char  *const freqs[] = { "one_time", "recurring", "live" };
    static const char  *const types[] = { "event", "profile" };

    (void) state;

    for (i = 0; i < 4; i++) {
        assert_string_equal(ctseg_status_name((ctseg_status_t) (i + 1)),
                            statuses[i]);
        assert_int_equal(ctseg_status_parse(ctseg_str(statuses[i])), i + 1);
    }

    for (i = 0; i < 3; i++) {
        assert_string_equal(ctseg_freq_name((ctseg_freq_t) (i + 1)),
                            freqs[i]);
        assert_int_equal(ctseg_freq_parse(ctseg_str(freqs[i])), i + 1);
    }

    for (i = 0; i < 2; i++) {
        assert_string_equal(ctseg_type_name((ctseg_type_t) (i + 1)),
                            types[i]);
        assert_int_equal(ctseg_type_parse(ctseg_str(types[i])), i + 1);
    }

    assert_null(ctseg_stop_name(CTSEG_STOP_NONE));
    assert_string_equal(ctseg_stop_name(CTSEG_STOP_USER), "user");
    assert_string_equal(ctseg_stop_name(CTSEG_STOP_ERRORS), "errors");

    assert_int_equal(ctseg_status_parse(ctseg_str("pending")), 0);
    assert_int_equal(ctseg_freq_parse(ctseg_str("")), 0);
    assert_int_equal(ctseg_type_parse(ctseg_str("events")), 0);

    assert_null(ctseg_status_name((ctseg_status_t) 0));
    assert_null(ctseg_status_name((ctseg_status_t) 5));
    assert_null(ctseg_freq_name((ctseg_freq_t) 4));
    assert_null(ctseg_type_name((ctseg_type_t) -1));
    assert_null(ctseg_stop_name((ctseg_stop_t) 3));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_final),
        cmocka_unit_test(test_names)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
