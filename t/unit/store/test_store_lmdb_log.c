/*
 * A whole block in the place of another: its checksums are right, so only the
 * key that it lies under tells.  It is a gap in the log then, and what lies
 * behind it is there.  The damage is made by hand, with LMDB itself.
 */

#include <lmdb.h>

#include "store_test.h"


/* the first block is a gap of three events, the others are whole */

static ctseg_next_t
count_cb(void *data, const ctseg_block_t *b)
{
    unsigned  *n = data;

    assert_int_equal(b->damaged, *n == 0);
    assert_int_equal(b->first, 3 * *n + 1);
    assert_int_equal(b->count, 3);
    (*n)++;

    return CTSEG_GO_ON;
}


/* the block of one sequence, once more where another begins */

static void
misplace(st_t *st, uint64_t from, uint64_t to)
{
    char      path[300], key[8], copy[4096];
    MDB_dbi   dbi;
    MDB_env  *env;
    MDB_txn  *txn;
    MDB_val   k, v;

    (void) snprintf(path, sizeof(path), "%s/events", st->dir);

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
    assert_int_equal(mdb_env_open(env, path, MDB_NOTLS, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "log", 0, &dbi), 0);

    memset(key, 0, sizeof(key));
    key[7] = (char) from;
    k.mv_size = sizeof(key);
    k.mv_data = key;
    assert_int_equal(mdb_get(txn, dbi, &k, &v), 0);

    assert_true(v.mv_size <= sizeof(copy));
    memcpy(copy, v.mv_data, v.mv_size);
    v.mv_data = copy;
    key[7] = (char) to;
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);

    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}


static void
test_misplaced(void **state)
{
    unsigned      i, n;
    ctseg_pos_t   pos = { 0, 0, 0 };

    static st_t  st;

    (void) state;
    st_make(&st, 16 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);

    for (i = 0; i < 10; i++) {
        assert_int_equal(st_append(st.store, "p", i + 1, 3, NULL), CTSEG_OK);
    }

    ctseg_store_close(st.store);
    misplace(&st, 19, 1);
    assert_int_equal(st_open(&st), CTSEG_OK);

    n = 0;
    assert_int_equal(ctseg_store_scan(st.store, 0, &pos, count_cb, &n,
                                      st_soon(), &pos), CTSEG_AGAIN);
    assert_int_equal(n, 10);
    assert_true(pos.sequence == 30);

    st_free(&st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_misplaced)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
