/*
 * What only the LMDB driver does: disks that fail or fill, maps that grow,
 * readers that died, files of another version.  Faults of the system are made
 * by taking the place of its calls.
 */

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "raw_test.h"

#include "../../../src/store/ctseg_record.h"


#define FAULT_SHORT  (-2)       /* no errno: a write cut short */

/* errno that a call gives, 0: the real call */

static int  fault_sync;
static int  fault_write;


int
fdatasync(int fd)
{
    if (fault_sync != 0) {
        errno = fault_sync;
        return -1;
    }

    return (int) syscall(SYS_fdatasync, fd);
}


ssize_t
pwrite(int fd, const void *data, size_t n, off_t at)
{
    if (fault_write == FAULT_SHORT) {
        return 1;
    }

    if (fault_write != 0) {
        errno = fault_write;
        return -1;
    }

    return syscall(SYS_pwrite64, fd, data, n, at);
}


ssize_t
writev(int fd, const struct iovec *iov, int n)
{
    if (fault_write == FAULT_SHORT) {
        return 1;
    }

    if (fault_write != 0) {
        errno = fault_write;
        return -1;
    }

    return syscall(SYS_writev, fd, iov, n);
}


static st_t *
make(uint64_t size, unsigned high_water)
{
    static st_t  st;

    st_make(&st, size, high_water);
    assert_int_equal(st_open(&st), CTSEG_OK);

    return &st;
}


static void
reopen(st_t *st)
{
    ctseg_store_close(st->store);
    assert_int_equal(st_open(st), CTSEG_OK);
}


static ctseg_rc_t
put(ctseg_store_t *s, const char *key, uint64_t expect, uint64_t *rev)
{
    return ctseg_store_put(s, ctseg_str(key), ctseg_str("v"), expect,
                           st_soon(), rev);
}


static uint64_t
head(ctseg_store_t *s)
{
    ctseg_bounds_t  b;

    assert_int_equal(ctseg_store_bounds(s, 0, st_soon(), &b), CTSEG_OK);

    return b.last;
}


static void
test_files(void **state)
{
    st_t         *st;
    char          path[300];
    struct stat   sb;

    (void) state;
    st = make(16 * ST_MB, 90);

    (void) snprintf(path, sizeof(path), "%s/events/data.mdb", st->dir);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    assert_true(sb.st_size < (off_t) ST_MB);
    (void) snprintf(path, sizeof(path), "%s/state/lock.mdb", st->dir);
    assert_int_equal(stat(path, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);

    /* a single machine has one shard */

    assert_int_equal(ctseg_store_seek(st->store, 1, 0, st_soon(),
                                      &(ctseg_pos_t) { 0, 0, 0 }),
                     CTSEG_INVALID);

    st_free(st);
}


/* after a sync that failed nothing is written any more, reading goes on */

static void
test_eio(void **state)
{
    st_t         *st;
    uint64_t      rev;
    ctseg_buf_t   out = { NULL, 0, 0, false };

    (void) state;
    st = make(16 * ST_MB, 90);

    assert_int_equal(st_append(st->store, "p", 1, 2, NULL), CTSEG_OK);
    assert_int_equal(put(st->store, "k", 0, &rev), CTSEG_OK);

    fault_sync = EIO;
    assert_int_equal(st_append(st->store, "p", 2, 2, NULL), CTSEG_FATAL);
    fault_sync = 0;

    assert_int_equal(st_append(st->store, "p", 2, 2, NULL), CTSEG_FATAL);
    assert_int_equal(put(st->store, "k", rev, NULL), CTSEG_FATAL);
    assert_int_equal(ctseg_store_trim(st->store, 0, INT64_MAX, 9, 1,
                                      st_soon(), NULL), CTSEG_FATAL);
    assert_true(head(st->store) == 2);
    assert_int_equal(ctseg_store_get(st->store, ctseg_str("k"), st_soon(),
                                     &out, NULL), CTSEG_OK);
    ctseg_buf_free(&out);

    /* the next process tries anew */

    reopen(st);
    assert_true(head(st->store) == 2);
    assert_int_equal(st_append(st->store, "p", 2, 2, NULL), CTSEG_OK);

    fault_write = EROFS;
    assert_int_equal(st_append(st->store, "p", 3, 2, NULL), CTSEG_FATAL);
    fault_write = 0;
    assert_int_equal(put(st->store, "k", rev, NULL), CTSEG_FATAL);

    st_free(st);
}


static void
test_enospc(void **state)
{
    st_t       *st;
    uint64_t    rev;
    unsigned    i;

    /* a write cut short is a disk that gets full in the middle of it */

    static const int  codes[] = { ENOSPC, EDQUOT, FAULT_SHORT };

    (void) state;
    st = make(16 * ST_MB, 90);
    assert_int_equal(put(st->store, "k", 0, &rev), CTSEG_OK);

    for (i = 0; i < 3; i++) {
        fault_write = codes[i];
        assert_int_equal(st_append(st->store, "p", i + 1, 2, NULL),
                         CTSEG_FULL);
        assert_int_equal(put(st->store, "k", rev, NULL), CTSEG_FULL);
        fault_write = 0;
        assert_true(head(st->store) == 2 * i);

        /* and it passes when there is room again */

        assert_int_equal(st_append(st->store, "p", i + 1, 2, NULL),
                         CTSEG_OK);
        assert_int_equal(put(st->store, "k", rev, &rev), CTSEG_OK);
    }

    st_free(st);
}


/* any other answer of a commit leaves it open whether it was applied */

static void
test_ambiguous(void **state)
{
    st_t         *st;
    uint64_t      rev;
    ctseg_pos_t   last;

    (void) state;
    st = make(16 * ST_MB, 90);
    assert_int_equal(put(st->store, "k", 0, &rev), CTSEG_OK);

    fault_sync = EINTR;
    assert_int_equal(st_append(st->store, "p", 1, 2, NULL), CTSEG_AMBIGUOUS);
    assert_int_equal(put(st->store, "k", rev, NULL), CTSEG_AMBIGUOUS);
    fault_sync = 0;

    assert_int_equal(st_append(st->store, "p", 1, 2, &last), CTSEG_OK);
    assert_true(last.sequence == 2);
    assert_true(head(st->store) == 2);

    st_free(st);
}


/* no high-water mark: the map itself is the end, and not of the store */

static void
test_map_full(void **state)
{
    st_t                   *st;
    uint64_t                seq, end;
    unsigned                tries;
    ctseg_rc_t              rc;
    ctseg_block_t           b;
    ctseg_block_builder_t   bb;

    (void) state;
    st = make(4 * ST_MB, 0);
    b = st_block(&bb, 5, 1, 1, 20000);
    rc = CTSEG_OK;

    for (seq = 0; rc == CTSEG_OK && seq < 100; seq++) {
        rc = ctseg_store_append(st->store, 0, "0123456789abcdef", seq + 1,
                                &b, 1, st_soon(), NULL, NULL);
    }

    seq--;
    assert_int_equal(rc, CTSEG_FULL);
    end = head(st->store);
    assert_true(end == seq * 5);
    assert_in_range(seq, 30, 41);
    assert_int_equal(put(st->store, "k", 0, NULL), CTSEG_OK);

    /* pages freed by one commit serve the one after the next */

    for (tries = 0; tries < 4; tries++) {
        rc = ctseg_store_trim(st->store, 0, INT64_MAX, UINT64_MAX, 2,
                              st_soon(), NULL);

        if (rc == CTSEG_OK) {
            rc = ctseg_store_append(st->store, 0, "0123456789abcdef",
                                    seq + 1, &b, 1, st_soon(), NULL, NULL);

            if (rc == CTSEG_OK) {
                break;
            }
        }

        assert_int_equal(rc, CTSEG_FULL);
    }

    assert_true(tries < 4);
    assert_true(head(st->store) == end + 5);

    ctseg_block_builder_free(&bb);
    st_free(st);
}


/* another process, started with a larger map, fills more than ours shows */

static void
test_map_resized(void **state)
{
    st_t                    st;
    int                     ready[2], go[2], i;
    char                    c;
    pid_t                   pid;
    ctseg_rc_t              rc;
    ctseg_pos_t             last;
    ctseg_block_t           b;
    ctseg_usage_t           usage;
    ctseg_block_builder_t   bb;

    (void) state;
    st_make(&st, 2 * ST_MB, 90);
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(go), 0);

    pid = fork();

    if (pid == 0) {
        st.options.events_size = 32 * ST_MB;

        if (read(go[0], &c, 1) != 1 || st_open(&st) != CTSEG_OK) {
            _exit(2);
        }

        b = st_block(&bb, 20, 1, 1, 20000);
        rc = CTSEG_OK;

        for (i = 1; rc == CTSEG_OK && i < 20; i++) {
            rc = ctseg_store_append(st.store, 0, "fedcba9876543210",
                                    (uint64_t) i, &b, 1, st_soon(), NULL,
                                    NULL);
        }

        ctseg_block_builder_free(&bb);
        ctseg_store_close(st.store);
        _exit(rc == CTSEG_OK && write(ready[1], "", 1) == 1 ? 0 : 3);
    }

    assert_int_equal(st_open(&st), CTSEG_OK);
    assert_int_equal(st_append(st.store, "p", 1, 1, NULL), CTSEG_OK);
    assert_int_equal(write(go[1], "", 1), 1);
    assert_int_equal(read(ready[0], &c, 1), 1);

    /* first a reader finds out, and the writer has the new size too */

    assert_true(head(st.store) == 1 + 19 * 20);
    assert_int_equal(st_append(st.store, "p", 2, 1, &last), CTSEG_OK);
    assert_true(last.sequence == 2 + 19 * 20);
    assert_int_equal(ctseg_store_usage(st.store, &usage), CTSEG_OK);
    assert_true(usage.events_size == 32 * ST_MB);

    assert_int_equal(st_reap(pid), 0);

    for (i = 0; i < 2; i++) {
        (void) close(ready[i]);
        (void) close(go[i]);
    }

    st_free(&st);
}


/* a process was killed with every reader's slot taken */

static void
test_dead_readers(void **state)
{
    st_t       st;
    int        n, up[2];
    char       c;
    pid_t      pid;
    raw_t      r;
    MDB_txn   *txn;

    (void) state;
    st_make(&st, 16 * ST_MB, 90);
    assert_int_equal(pipe(up), 0);

    pid = fork();

    if (pid == 0) {

        if (read(up[0], &c, 1) != 1) {
            _exit(2);
        }

        raw_open(&r, &st, "events", "log");
        mdb_txn_abort(r.txn);

        for (n = 0; mdb_txn_begin(r.env, NULL, MDB_RDONLY, &txn) == 0; n++) {
            /* void */
        }

        (void) kill(getpid(), n >= 1024 ? SIGKILL : SIGTERM);
        _exit(3);
    }

    assert_int_equal(st_open(&st), CTSEG_OK);
    assert_int_equal(st_append(st.store, "p", 1, 1, NULL), CTSEG_OK);
    assert_int_equal(write(up[1], "", 1), 1);
    assert_int_equal(st_reap(pid), -1);

    assert_true(head(st.store) == 1);

    (void) close(up[0]);
    (void) close(up[1]);
    st_free(&st);
}


static void
test_schema(void **state)
{
    st_t          *st;
    raw_t          r;
    unsigned       i;
    ctseg_err_t    err;
    ctseg_buf_t    meta = { NULL, 0, 0, false };

    static const char  *const part[] = { "events", "state" };

    (void) state;

    for (i = 0; i < 2; i++) {
        st = make(16 * ST_MB, 90);
        ctseg_store_close(st->store);

        ctseg_record_begin(&meta, CTSEG_RECORD_META);
        ctseg_record_uint(&meta, 1, 7);
        ctseg_record_end(&meta);

        raw_open(&r, st, part[i], "meta");
        raw_put(&r, "meta", 4, meta.data, meta.len);
        raw_close(&r);

        assert_int_equal(ctseg_store_open(&st->store, &st->options, &err),
                         CTSEG_FATAL);
        assert_non_null(strstr(err.text, "schema version 7"));
        assert_non_null(strstr(err.text, part[i]));

        meta.data[3] = 9;
        raw_open(&r, st, part[i], "meta");
        raw_put(&r, "meta", 4, meta.data, meta.len);
        raw_close(&r);

        assert_int_equal(ctseg_store_open(&st->store, &st->options, &err),
                         CTSEG_FATAL);
        assert_non_null(strstr(err.text, "damaged"));

        st_free(st);
    }

    ctseg_buf_free(&meta);
}


static uint64_t
entries(st_t *st)
{
    raw_t     r;
    MDB_stat  s;

    raw_open(&r, st, "events", "producer");
    assert_int_equal(mdb_stat(r.txn, r.dbi, &s), 0);
    raw_close(&r);

    return s.ms_entries;
}


/* what producers of long ago left behind goes, a few at a time */

static void
test_prune(void **state)
{
    st_t      *st;
    char       key[20], value[24], name[8];
    raw_t      r;
    unsigned   i;
    uint64_t   before, n;

    (void) state;
    st = make(16 * ST_MB, 90);
    assert_int_equal(st_append(st->store, "mine", 3, 1, NULL), CTSEG_OK);
    ctseg_store_close(st->store);

    memset(key, 0, sizeof(key));
    memset(value, 0, sizeof(value));
    raw_open(&r, st, "events", "producer");

    for (i = 0; i < 40; i++) {
        key[4] = (char) (i * 6);
        raw_put(&r, key, sizeof(key), value, sizeof(value));
    }

    raw_close(&r);
    before = entries(st);
    assert_true(before == 41);

    for (i = 0; i < 10; i++) {
        assert_int_equal(st_open(st), CTSEG_OK);
        (void) snprintf(name, sizeof(name), "%c-new", 'A' + (int) i * 3);
        assert_int_equal(st_append(st->store, name, 1, 1, NULL), CTSEG_OK);
        ctseg_store_close(st->store);

        n = entries(st);
        assert_true(n <= before + 1);
        assert_true(n + 8 >= before + 1);
        before = n;
    }

    assert_true(before == 11);

    /* the young are still known */

    assert_int_equal(st_open(st), CTSEG_OK);
    assert_int_equal(st_append(st->store, "mine", 2, 1, NULL),
                     CTSEG_INVALID);
    st_free(st);
}


static ctseg_next_t
time_cb(void *data, const ctseg_block_t *b)
{
    *(int64_t *) data = b->append_ms;

    return CTSEG_GO_ON;
}


/* the clock was set back: append time stands still, it does not fall */

static void
test_clock(void **state)
{
    st_t         *st;
    raw_t         r;
    int64_t       future, seen;
    ctseg_buf_t   meta = { NULL, 0, 0, false };
    ctseg_pos_t   pos = { 0, 0, 0 };

    (void) state;
    st = make(16 * ST_MB, 90);
    ctseg_store_close(st->store);

    future = ctseg_now_ms() + 3600000;
    ctseg_record_begin(&meta, CTSEG_RECORD_META);
    ctseg_record_uint(&meta, 1, 1);
    ctseg_record_uint(&meta, 2, 99);
    ctseg_record_uint(&meta, 3, 0);
    ctseg_record_int(&meta, 4, future);
    ctseg_record_end(&meta);

    raw_open(&r, st, "events", "meta");
    raw_put(&r, "meta", 4, meta.data, meta.len);
    raw_close(&r);
    ctseg_buf_free(&meta);

    assert_int_equal(st_open(st), CTSEG_OK);
    assert_int_equal(st_append(st->store, "p", 1, 1, NULL), CTSEG_OK);
    seen = 0;
    assert_int_equal(ctseg_store_scan(st->store, 0, &pos, time_cb, &seen,
                                      st_soon(), &pos), CTSEG_AGAIN);
    assert_true(seen == future);
    assert_int_equal(pos.incarnation, 99);

    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_eio),
        cmocka_unit_test(test_enospc),
        cmocka_unit_test(test_ambiguous),
        cmocka_unit_test(test_map_full),
        cmocka_unit_test(test_map_resized),
        cmocka_unit_test(test_dead_readers),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_clock)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
