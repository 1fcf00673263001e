/*
 * The environments of a store without its driver, to see or to change what
 * the driver would not.
 */

#ifndef RAW_TEST_H
#define RAW_TEST_H


#include <lmdb.h>

#include "store_test.h"


/* the environment without the driver, while the store is closed */

typedef struct {
    MDB_env  *env;
    MDB_txn  *txn;
    MDB_dbi   dbi;
} raw_t;


static inline void
raw_open(raw_t *r, st_t *st, const char *part, const char *dbi)
{
    char  path[300];

    (void) snprintf(path, sizeof(path), "%s/%s", st->dir, part);
    assert_int_equal(mdb_env_create(&r->env), 0);
    assert_int_equal(mdb_env_set_maxdbs(r->env, 8), 0);
    assert_int_equal(mdb_env_open(r->env, path, MDB_NOTLS, 0600), 0);
    assert_int_equal(mdb_txn_begin(r->env, NULL, 0, &r->txn), 0);
    assert_int_equal(mdb_dbi_open(r->txn, dbi, 0, &r->dbi), 0);
}


static inline void
raw_close(raw_t *r)
{
    assert_int_equal(mdb_txn_commit(r->txn), 0);
    mdb_env_close(r->env);
}


static inline void
raw_put(raw_t *r, const void *key, size_t klen, const void *data, size_t len)
{
    MDB_val  k, v;

    k.mv_size = klen;
    k.mv_data = (void *) key;
    v.mv_size = len;
    v.mv_data = (void *) data;
    assert_int_equal(mdb_put(r->txn, r->dbi, &k, &v, 0), 0);
}


#endif /* RAW_TEST_H */
