/*
 * The file ahead of its data: small commits write over zeros and do not make
 * the file longer, large ones are left alone, and whatever becomes of the
 * zeros, no event and no commit suffers from it.
 */

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "store_test.h"


#define AHEAD_MOST  (256 * 1024)        /* bytes of zeros behind the data */


/* calls that wrote zeros, and what they give instead: an errno, or 0 */

static unsigned  zeros;
static int       zeros_fail;


ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    zeros++;

    if (zeros_fail != 0) {
        errno = zeros_fail;
        return -1;
    }

    return syscall(SYS_pwritev, fd, iov, n, (long) at, 0L);
}


static off_t
length(const st_t *st)
{
    char         path[300];
    struct stat  sb;

    (void) snprintf(path, sizeof(path), "%s/events/data.mdb", st->dir);
    assert_int_equal(stat(path, &sb), 0);

    return sb.st_size;
}


static void
append(st_t *st, uint64_t seq, unsigned n, size_t props)
{
    bool                   dup;
    ctseg_pos_t            last;
    ctseg_block_t          b;
    ctseg_block_builder_t  bb;

    b = st_block(&bb, n, 1, 1000, props);
    assert_int_equal(ctseg_store_append(st->store, 0, "producer0123456", seq,
                                        &b, 1, st_soon(), &last, &dup),
                     CTSEG_OK);
    ctseg_block_builder_free(&bb);
}


/* events of the log in their order, each block as it was written */

static ctseg_next_t
count(void *data, const ctseg_block_t *b)
{
    uint64_t  *n = data;

    assert_false(b->damaged);
    assert_int_equal(ctseg_block_verify(b), CTSEG_OK);
    *n += b->count;

    return CTSEG_GO_ON;
}


static uint64_t
events(st_t *st)
{
    uint64_t     n;
    ctseg_rc_t   rc;
    ctseg_pos_t  after, next;

    n = 0;
    memset(&after, 0, sizeof(after));
    rc = ctseg_store_scan(st->store, 0, &after, count, &n, st_soon(), &next);
    assert_true(rc == CTSEG_OK || rc == CTSEG_AGAIN);

    return n;
}


static void
test_small(void **state)
{
    st_t      st;
    off_t     before, after;
    unsigned  i, grown, made;

    (void) state;
    st_make(&st, 64 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);

    zeros = 0;
    grown = 0;
    before = length(&st);

    /* some 8 KB each: a file without room grows with each of them */

    for (i = 1; i <= 200; i++) {
        append(&st, i, 5, 1600);

        made = zeros;
        after = length(&st);
        grown += after != before;
        before = after;
    }

    assert_in_range(grown, 4, 20);
    assert_int_equal(made, grown);
    assert_int_equal(events(&st), 1000);

    /* what lies behind the end of the data is nothing to the next process */

    ctseg_store_close(st.store);
    assert_int_equal(st_open(&st), CTSEG_OK);
    append(&st, 201, 5, 1600);
    assert_int_equal(events(&st), 1005);

    st_free(&st);
}


static void
test_large(void **state)
{
    st_t      st;
    unsigned  i;

    (void) state;
    st_make(&st, 64 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);

    zeros = 0;

    for (i = 1; i <= 20; i++) {
        append(&st, i, 100, 1600);
    }

    assert_int_equal(zeros, 0);
    assert_int_equal(events(&st), 2000);

    st_free(&st);
}


/* a disk that takes no more than the data */

static void
test_refused(void **state)
{
    st_t      st;
    unsigned  i;

    (void) state;
    st_make(&st, 64 * ST_MB, 90);

    zeros = 0;
    zeros_fail = ENOSPC;
    assert_int_equal(st_open(&st), CTSEG_OK);

    for (i = 1; i <= 20; i++) {
        append(&st, i, 5, 1600);
    }

    assert_in_range(zeros, 20, 30);
    zeros_fail = 0;

    append(&st, 21, 5, 1600);
    assert_int_equal(events(&st), 105);

    st_free(&st);
}


/* the map's end is the file's */

static void
test_end(void **state)
{
    bool                   dup;
    st_t                   st;
    uint64_t               i;
    ctseg_rc_t             rc;
    ctseg_pos_t            last;
    ctseg_block_t          b;
    ctseg_block_builder_t  bb;

    (void) state;
    st_make(&st, 2 * ST_MB, 100);
    assert_int_equal(st_open(&st), CTSEG_OK);

    rc = CTSEG_OK;

    for (i = 1; rc == CTSEG_OK && i < 2000; i++) {
        b = st_block(&bb, 5, 1, 1000, 1600);
        rc = ctseg_store_append(st.store, 0, "producer0123456", i, &b, 1,
                                st_soon(), &last, &dup);
        ctseg_block_builder_free(&bb);

        assert_true(length(&st) <= (off_t) (2 * ST_MB));
    }

    assert_int_equal(rc, CTSEG_FULL);
    assert_true(length(&st) > (off_t) (2 * ST_MB) - 2 * AHEAD_MOST);
    assert_int_equal(events(&st), 5 * (i - 2));

    st_free(&st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_end)
    };

    return cmocka_run_group_tests_name("store/ahead", tests, NULL, NULL);
}
