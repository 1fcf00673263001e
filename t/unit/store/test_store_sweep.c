/*
 * A process that is killed while it reads pins every page that is freed after
 * that: the files grow until they are full, although nothing is kept.  The
 * sweep ends that.  That the dead reader does harm is shown first.
 */

#include <signal.h>
#include <sys/wait.h>

#include "store_test.h"


static ctseg_next_t
die_scanning(void *data, const ctseg_block_t *b)
{
    (void) data;
    (void) b;
    (void) raise(SIGKILL);

    return CTSEG_ENOUGH;
}


static ctseg_next_t
die_listing(void *data, ctseg_str_t key, ctseg_str_t value, uint64_t rev)
{
    (void) data;
    (void) key;
    (void) value;
    (void) rev;
    (void) raise(SIGKILL);

    return CTSEG_ENOUGH;
}


/* a reader of the log, or of the state, that never ends its transaction */

static void
leave_reader(st_t *st, bool of_state)
{
    int          up[2];
    char         c;
    pid_t        pid;
    ctseg_pos_t  pos = { 0, 0, 0 };

    assert_int_equal(pipe(up), 0);
    pid = fork();

    if (pid == 0) {

        if (read(up[0], &c, 1) != 1 || st_open(st) != CTSEG_OK) {
            _exit(2);
        }

        if (of_state) {
            (void) ctseg_store_list(st->store, ctseg_str(""), ctseg_str(""),
                                    0, die_listing, NULL, st_soon(), NULL);

        } else {
            (void) ctseg_store_scan(st->store, 0, &pos, die_scanning, NULL,
                                    st_soon(), &pos);
        }

        _exit(3);
    }

    assert_int_equal(st_open(st), CTSEG_OK);
    assert_int_equal(st_append(st->store, "p", 1, 1, NULL), CTSEG_OK);
    assert_int_equal(ctseg_store_put(st->store, ctseg_str("a"),
                                     ctseg_str("1"), 0, st_soon(), NULL),
                     CTSEG_OK);
    assert_int_equal(write(up[1], "", 1), 1);
    assert_int_equal(st_reap(pid), -1);

    (void) close(up[0]);
    (void) close(up[1]);
}


/* the log through its space several times over; how often that went well */

static unsigned
churn_log(st_t *st, uint64_t *seq, unsigned n)
{
    unsigned       i;
    ctseg_rc_t     rc;
    ctseg_block_t  b;

    ctseg_block_builder_t  bb;

    for (i = 0; i < n; i++) {
        b = st_block(&bb, 10, 1, 1, 20000);
        rc = ctseg_store_append(st->store, 0, "0123456789abcdef", ++*seq, &b,
                                1, st_soon(), NULL, NULL);
        ctseg_block_builder_free(&bb);

        if (rc == CTSEG_OK) {
            rc = ctseg_store_trim(st->store, 0, INT64_MAX, UINT64_MAX, 5,
                                  st_soon(), NULL);
        }

        if (rc != CTSEG_OK && rc != CTSEG_AGAIN) {
            assert_int_equal(rc, CTSEG_FULL);
            break;
        }
    }

    return i;
}


static void
test_log(void **state)
{
    st_t      st;
    uint64_t  seq;

    (void) state;
    st_make(&st, 4 * ST_MB, 90);
    leave_reader(&st, false);

    seq = 0;
    assert_true(churn_log(&st, &seq, 100) < 30);

    assert_int_equal(ctseg_store_sweep(st.store), CTSEG_OK);
    assert_int_equal(churn_log(&st, &seq, 100), 100);

    st_free(&st);
}


/* changes of one record, 60 KB each */

static unsigned
churn_state(st_t *st, uint64_t *rev, unsigned n)
{
    unsigned     i;
    ctseg_rc_t   rc;
    ctseg_str_t  value;

    static const char  text[60000];

    value.data = text;
    value.len = sizeof(text);

    for (i = 0; i < n; i++) {
        rc = ctseg_store_put(st->store, ctseg_str("big"), value, *rev,
                             st_soon(), rev);

        if (rc != CTSEG_OK) {
            assert_int_equal(rc, CTSEG_FULL);
            break;
        }
    }

    return i;
}


static void
test_state(void **state)
{
    st_t      st;
    uint64_t  rev, size;

    (void) state;
    st_make(&st, 4 * ST_MB, 90);
    size = st.options.state_size;
    leave_reader(&st, true);

    rev = 0;
    assert_true(churn_state(&st, &rev, 1000) <= size / 60000);

    assert_int_equal(ctseg_store_sweep(st.store), CTSEG_OK);
    assert_int_equal(churn_state(&st, &rev, 1000), 1000);

    st_free(&st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_state)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
