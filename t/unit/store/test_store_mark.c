/*
 * Marks of the store: known for a day with what they were stored with, and
 * not at all without it; bounded.  The clock is this file's.  What disks that
 * fail and lost power do to them is in test_store_fault.c and
 * test_store_power.c, many at once are in test_store_many.c.
 */

#include <sys/syscall.h>
#include <time.h>

#include <lmdb.h>

#include "store_test.h"

#include "../../../src/store/ctseg_mark.h"


#define DAY  86400


static int64_t  ahead;          /* seconds, of the wall clock */


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int  rc;

    rc = (int) syscall(SYS_clock_gettime, id, ts);

    if (id == CLOCK_REALTIME) {
        ts->tv_sec += ahead;
    }

    return rc;
}


static st_t *
make(uint64_t size, unsigned high_water)
{
    static st_t  st;

    ahead = 0;
    st_make(&st, size, high_water);
    assert_int_equal(st_open(&st), CTSEG_OK);

    return &st;
}


/* keys first .. first + n - 1, spread like hashes */

static const char *
keys(unsigned first, unsigned n)
{
    char          text[16];
    unsigned      i;
    ctseg_hash_t  h = { NULL };

    static char  out[1000][CTSEG_MARK_LEN];

    assert_true(n <= 1000);

    for (i = 0; i < n; i++) {
        (void) snprintf(text, sizeof(text), "%u", first + i);
        assert_true(ctseg_mark_key(&h, "test", ctseg_str(""),
                                   ctseg_str(text), out[i]));
    }

    ctseg_hash_free(&h);

    return out[0];
}


/* n events with a mark each */

static ctseg_rc_t
append(ctseg_store_t *s, uint64_t seq, unsigned first, unsigned n,
    unsigned *forgotten)
{
    ctseg_rc_t              rc;
    ctseg_block_t           b;
    ctseg_marks_t           marks;
    ctseg_block_builder_t   bb;

    marks.keys = keys(first, n);
    marks.n = n;
    b = st_block(&bb, n, 1, 1000, 0);
    rc = ctseg_store_append_marked(s, 0, "0123456789abcdef", seq, &b, 1,
                                   &marks, st_soon(), NULL, NULL);
    ctseg_block_builder_free(&bb);

    if (forgotten != NULL) {
        *forgotten += marks.forgotten;
    }

    return rc;
}


/* how many of these are known */

static unsigned
known(ctseg_store_t *s, unsigned first, unsigned n)
{
    bool      is[1000];
    unsigned  i, found;

    assert_int_equal(ctseg_store_marked(s, keys(first, n), n, st_soon(), is),
                     CTSEG_OK);

    for (i = 0, found = 0; i < n; i++) {
        found += is[i];
    }

    return found;
}


static uint64_t
head(ctseg_store_t *s)
{
    ctseg_bounds_t  b;

    assert_int_equal(ctseg_store_bounds(s, 0, st_soon(), &b), CTSEG_OK);

    return b.last;
}


static uint64_t
kept(ctseg_store_t *s)
{
    ctseg_usage_t  usage;

    assert_int_equal(ctseg_store_usage(s, &usage), CTSEG_OK);

    return usage.marks;
}


static void
reopen(st_t *st)
{
    ctseg_store_close(st->store);
    assert_int_equal(st_open(st), CTSEG_OK);
}


static void
test_known(void **state)
{
    bool   is[3];
    st_t  *st;

    (void) state;
    st = make(16 * ST_MB, 90);

    assert_int_equal(ctseg_store_marked(st->store, NULL, 0, st_soon(), NULL),
                     CTSEG_OK);
    assert_int_equal(known(st->store, 1, 100), 0);
    assert_int_equal(append(st->store, 1, 1, 3, NULL), CTSEG_OK);
    assert_int_equal(known(st->store, 1, 100), 3);

    memset(is, 7, sizeof(is));
    assert_int_equal(ctseg_store_marked(st->store, keys(3, 3), 3, st_soon(),
                                        is), CTSEG_OK);
    assert_true(is[0] && !is[1] && !is[2]);

    reopen(st);
    assert_int_equal(known(st->store, 1, 100), 3);

    /* what has none is always new */

    assert_int_equal(st_append(st->store, "p", 1, 3, NULL), CTSEG_OK);
    assert_int_equal(st_append(st->store, "p", 2, 3, NULL), CTSEG_OK);
    assert_true(head(st->store) == 9);
    assert_true(kept(st->store) == 3);

    /* no time to look */

    assert_int_equal(ctseg_store_marked(st->store, keys(1, 1), 1,
                                        ctseg_mono_ms() - 1, is),
                     CTSEG_RETRY);
    st_free(st);
}


static void
test_conflict(void **state)
{
    char                    twice[2][CTSEG_MARK_LEN];
    st_t                   *st;
    ctseg_block_t           b;
    ctseg_marks_t           marks;
    ctseg_block_builder_t   bb;

    (void) state;
    st = make(16 * ST_MB, 90);

    assert_int_equal(append(st->store, 1, 1, 5, NULL), CTSEG_OK);

    /* one of ten: nothing of it is stored, and no mark of the other nine */

    assert_int_equal(append(st->store, 2, 5, 10, NULL), CTSEG_CONFLICT);
    assert_true(head(st->store) == 5);
    assert_int_equal(known(st->store, 6, 9), 0);

    /* the number was not used up */

    assert_int_equal(append(st->store, 2, 6, 9, NULL), CTSEG_OK);
    assert_true(head(st->store) == 14);
    assert_int_equal(known(st->store, 1, 20), 14);

    /* an answer was lost: no conflict with oneself, also much later */

    assert_int_equal(append(st->store, 2, 6, 9, NULL), CTSEG_OK);
    reopen(st);
    assert_int_equal(append(st->store, 2, 6, 9, NULL), CTSEG_OK);
    assert_true(head(st->store) == 14);
    assert_int_equal(append(st->store, 1, 1, 5, NULL), CTSEG_INVALID);

    /* a key that comes twice is one */

    memcpy(twice[0], keys(50, 1), CTSEG_MARK_LEN);
    memcpy(twice[1], twice[0], CTSEG_MARK_LEN);
    marks.keys = twice[0];
    marks.n = 2;
    b = st_block(&bb, 1, 1, 1, 0);
    assert_int_equal(ctseg_store_append_marked(st->store, 0,
                                               "0123456789abcdef", 3, &b, 1,
                                               &marks, st_soon(), NULL,
                                               NULL), CTSEG_OK);
    ctseg_block_builder_free(&bb);
    assert_true(kept(st->store) == 15);
    st_free(st);
}


/* a full store knows what it has, and marks nothing that it refuses */

static void
test_full(void **state)
{
    st_t                   *st;
    uint64_t                seq;
    unsigned                i;
    ctseg_rc_t              rc;
    ctseg_block_t           b;
    ctseg_marks_t           marks;
    ctseg_block_builder_t   bb;

    static const size_t  sizes[] = { 20000, 0 };

    (void) state;
    st = make(2 * ST_MB, 50);
    assert_int_equal(append(st->store, 1, 1, 5, NULL), CTSEG_OK);

    for (i = 0, seq = 0; i < 2; i++) {
        b = st_block(&bb, 1, 1, 1, sizes[i]);

        do {
            rc = ctseg_store_append(st->store, 0, "fedcba9876543210", ++seq,
                                    &b, 1, st_soon(), NULL, NULL);
        } while (rc == CTSEG_OK);

        ctseg_block_builder_free(&bb);
        assert_int_equal(rc, CTSEG_FULL);

        /* a small event has room yet, the first time, but not its marks */

        b = st_block(&bb, 1, 1, 1, 0);
        marks.keys = keys(100, 1000);
        marks.n = 1000;
        assert_int_equal(ctseg_store_append_marked(st->store, 0,
                                                   "0123456789abcdef", 2, &b,
                                                   1, &marks, st_soon(),
                                                   NULL, NULL), CTSEG_FULL);
        ctseg_block_builder_free(&bb);
    }

    assert_int_equal(append(st->store, 2, 100, 1, NULL), CTSEG_FULL);
    assert_int_equal(append(st->store, 2, 1, 5, NULL), CTSEG_CONFLICT);
    assert_int_equal(known(st->store, 1, 1000), 5);
    st_free(st);
}


static void
test_day(void **state)
{
    st_t  *st;

    (void) state;
    st = make(16 * ST_MB, 90);

    assert_int_equal(append(st->store, 1, 1, 5, NULL), CTSEG_OK);
    ahead = 7200;
    assert_int_equal(append(st->store, 2, 6, 5, NULL), CTSEG_OK);

    ahead = DAY - 60;
    assert_int_equal(known(st->store, 1, 20), 10);
    assert_int_equal(append(st->store, 3, 5, 1, NULL), CTSEG_CONFLICT);

    /* five are over, and may come once more, for another day */

    ahead = DAY + 60;
    assert_int_equal(known(st->store, 1, 20), 5);
    assert_int_equal(append(st->store, 3, 1, 2, NULL), CTSEG_OK);
    assert_int_equal(append(st->store, 4, 5, 6, NULL), CTSEG_CONFLICT);
    assert_true(head(st->store) == 12);
    ahead = 2 * DAY - 60;
    assert_int_equal(known(st->store, 1, 20), 2);

    /* a clock that is set back forgets nothing and learns nothing again */

    ahead = -DAY;
    assert_int_equal(known(st->store, 1, 2), 2);
    assert_int_equal(append(st->store, 4, 1, 1, NULL), CTSEG_CONFLICT);

    ahead = 3 * DAY;
    assert_int_equal(known(st->store, 1, 20), 0);
    st_free(st);
}


/* what is over goes as new ones come */

static void
test_prune(void **state)
{
    st_t      *st;
    uint64_t   most;
    unsigned   i, forgotten;

    (void) state;
    st = make(64 * ST_MB, 90);
    most = 0;
    forgotten = 0;

    /* 2,000 a day, for ten days */

    for (i = 0; i < 200; i++) {
        ahead = (int64_t) i * DAY / 20;
        assert_int_equal(append(st->store, i + 1, 1 + i * 100, 100,
                                &forgotten), CTSEG_OK);
        most = kept(st->store) > most ? kept(st->store) : most;
    }

    assert_int_equal(forgotten, 0);
    assert_true(most > 2000 && most < 3000);
    assert_int_equal(known(st->store, 1 + 180 * 100, 1000)
                     + known(st->store, 1 + 190 * 100, 1000), 2000);
    assert_int_equal(known(st->store, 1 + 170 * 100, 900), 0);
    st_free(st);
}


/* more than there is room for: some go early, the youngest not */

static void
test_share(void **state)
{
    st_t           *st;
    uint64_t        most, used;
    unsigned        i, forgotten, early;
    ctseg_usage_t   usage;

    (void) state;
    st = make(16 * ST_MB, 90);
    most = 0;
    early = 0;
    forgotten = 0;

    for (i = 0; i < 200; i++) {
        ahead = (int64_t) i * 60;
        assert_int_equal(append(st->store, i + 1, 1 + i * 1000, 1000,
                                &forgotten), CTSEG_OK);
        assert_int_equal(ctseg_store_trim(st->store, 0, INT64_MAX,
                                          UINT64_MAX, 9, st_soon(), NULL),
                         CTSEG_AGAIN);
        most = kept(st->store) > most ? kept(st->store) : most;
        early = i < 20 ? forgotten : early;
    }

    /* an eighth of it, of 34 bytes at least each; the log itself is empty */

    assert_int_equal(ctseg_store_usage(st->store, &usage), CTSEG_OK);
    used = usage.events_used;
    assert_int_equal(early, 0);
    assert_true(most > 30000 && most < 16 * ST_MB / 8 / 34);
    assert_true(forgotten > 100000);
    assert_true(forgotten + usage.marks == 200000);
    assert_true(used < 4 * ST_MB);

    assert_int_equal(known(st->store, 1 + 199 * 1000, 1000), 1000);
    assert_in_range(known(st->store, 1 + 190 * 1000, 1000), 990, 1000);
    assert_in_range(known(st->store, 1, 1000), 0, 20);
    st_free(st);
}


/* ---- what only LMDB does ---- */

static void
raw(st_t *st, void (*change)(MDB_txn *txn, MDB_dbi dbi))
{
    char      path[300];
    MDB_env  *env;
    MDB_txn  *txn;
    MDB_dbi   dbi;

    (void) snprintf(path, sizeof(path), "%s/events", st->dir);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOTLS, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "mark", 0, &dbi), 0);
    change(txn, dbi);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}


static void
spoil(MDB_txn *txn, MDB_dbi dbi)
{
    char      value[40];
    MDB_val   k, v;
    unsigned  i;

    static const size_t  sizes[] = { 0, 7, 9, 40, 8, 8 };

    /* of any length, and a time that will never come, or never was */

    for (i = 0; i < 6; i++) {
        k.mv_size = CTSEG_MARK_LEN;
        k.mv_data = (void *) keys(1 + i, 1);
        v.mv_size = sizes[i];
        v.mv_data = memset(value, i == 4 ? 0x7f : 0xff, sizeof(value));
        assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    }

    /* and keys that are none */

    for (i = 1; i < 40; i += 3) {
        k.mv_size = i;
        k.mv_data = value;
        v.mv_size = i;
        v.mv_data = value;
        assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
    }
}


static void
drop(MDB_txn *txn, MDB_dbi dbi)
{
    assert_int_equal(mdb_drop(txn, dbi, 1), 0);
}


static void
test_damage(void **state)
{
    st_t  *st;

    (void) state;
    st = make(16 * ST_MB, 90);
    assert_int_equal(append(st->store, 1, 1, 20, NULL), CTSEG_OK);
    ctseg_store_close(st->store);
    raw(st, spoil);

    assert_int_equal(st_open(st), CTSEG_OK);
    assert_int_equal(known(st->store, 1, 20), 14);
    assert_int_equal(append(st->store, 2, 1, 6, NULL), CTSEG_OK);
    assert_int_equal(known(st->store, 1, 20), 20);
    assert_int_equal(append(st->store, 3, 21, 500, NULL), CTSEG_OK);
    assert_int_equal(known(st->store, 1, 600), 520);
    st_free(st);
}


/* a store that was made before there were marks */

static void
test_older(void **state)
{
    st_t  *st;

    (void) state;
    st = make(16 * ST_MB, 90);
    assert_int_equal(append(st->store, 1, 1, 20, NULL), CTSEG_OK);
    ctseg_store_close(st->store);
    raw(st, drop);

    assert_int_equal(st_open(st), CTSEG_OK);
    assert_true(head(st->store) == 20);
    assert_int_equal(known(st->store, 1, 20), 0);
    assert_int_equal(append(st->store, 2, 1, 6, NULL), CTSEG_OK);
    assert_int_equal(known(st->store, 1, 20), 6);
    st_free(st);
}


/* ---- keys ---- */

static void
test_keys(void **state)
{
    char          a[CTSEG_MARK_LEN], b[CTSEG_MARK_LEN];
    unsigned      i, j;
    ctseg_hash_t  h = { NULL };

    /* those of a row are one text */

    static const char  *const same[][3] = {
        { "A", "\\u0041", "\\u0041" },
        { "a/b", "a\\/b", "\\u0061\\u002fb" },
        { "\xc3\xa9", "\\u00e9", "\\u00E9" },
        { "\xf0\x9f\x98\x80", "\\ud83d\\ude00", "\\uD83D\\uDE00" },
        { "\\n", "\\u000a", "\\u000A" },
        { "", "", "" }
    };

    (void) state;

    for (i = 0; i < 6; i++) {
        assert_true(ctseg_mark_raw(&h, CTSEG_MARK_EVENT, ctseg_str("x"),
                                   ctseg_str(same[i][0]), a));

        for (j = 1; j < 3; j++) {
            assert_true(ctseg_mark_raw(&h, CTSEG_MARK_EVENT, ctseg_str("x"),
                                       ctseg_str(same[i][j]), b));
            assert_memory_equal(a, b, sizeof(a));
        }

        for (j = 0; j < i; j++) {
            assert_true(ctseg_mark_raw(&h, CTSEG_MARK_EVENT, ctseg_str("x"),
                                       ctseg_str(same[j][0]), b));
            assert_memory_not_equal(a, b, sizeof(a));
        }
    }

    /* another account, another kind, and borders that are moved */

    assert_true(ctseg_mark_key(&h, "event", ctseg_str("ab"), ctseg_str("c"),
                               a));
    assert_true(ctseg_mark_key(&h, "event", ctseg_str("a"), ctseg_str("bc"),
                               b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_true(ctseg_mark_key(&h, "chunk", ctseg_str("ab"), ctseg_str("c"),
                               b));
    assert_memory_not_equal(a, b, sizeof(a));
    assert_true(ctseg_mark_key(&h, "event", ctseg_str(""), ctseg_str("c"),
                               b));
    assert_memory_not_equal(a, b, sizeof(a));

    ctseg_hash_free(&h);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_conflict),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_day),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_older),
        cmocka_unit_test(test_keys)
    };

    /* many commits, of which nothing is to outlive the test */

    if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0) {
        (void) setenv("TMPDIR", "/dev/shm", 1);
    }

    return cmocka_run_group_tests(tests, NULL, NULL);
}
