/*
 * Blocks of the log that do not read or are not there.  A scan shows where
 * and how far, from wherever it begins; a search and retention get over them;
 * nothing else is lost, and nothing comes twice.
 */

#include "raw_test.h"


/* what a scan met: blocks that read, and gaps */

typedef struct {
    unsigned  n;
    unsigned  gaps;
    uint64_t  first;                    /* of the last gap */
    uint64_t  last;
    uint64_t  after;                    /* the end of the last of all */
} met_t;


static ctseg_next_t
meet(void *data, const ctseg_block_t *b)
{
    met_t  *met = data;

    /* none is met twice and nothing is passed over without a word */

    assert_true(b->first <= met->after + 1);
    assert_true(ctseg_block_last(b) > met->after);
    met->after = ctseg_block_last(b);

    if (!b->damaged) {
        met->n++;
        return CTSEG_GO_ON;
    }

    assert_int_equal(b->payload.len, 0);
    met->gaps++;
    met->first = b->first;
    met->last = ctseg_block_last(b);

    return CTSEG_GO_ON;
}


static void
check_met(st_t *st, uint64_t after, unsigned n, unsigned gaps, uint64_t first,
    uint64_t last)
{
    met_t        met;
    ctseg_pos_t  pos;

    memset(&met, 0, sizeof(met));
    met.after = after;

    assert_int_equal(ctseg_store_seek(st->store, 0, INT64_MIN, st_soon(),
                                      &pos), CTSEG_OK);
    pos.sequence = after;

    assert_int_equal(ctseg_store_scan(st->store, 0, &pos, meet, &met,
                                      st_soon(), &pos), CTSEG_AGAIN);
    assert_int_equal(pos.sequence, 30);
    assert_int_equal(met.after, 30);
    assert_int_equal(met.n, n);
    assert_int_equal(met.gaps, gaps);
    assert_int_equal(met.first, first);
    assert_int_equal(met.last, last);
}


/* change byte "at" of the block at seq, or remove it when at is negative */

static void
spoil(st_t *st, uint64_t seq, int at)
{
    char     key[8], *copy;
    raw_t    r;
    MDB_val  k, v;

    memset(key, 0, sizeof(key));
    key[7] = (char) seq;
    k.mv_size = sizeof(key);
    k.mv_data = key;

    raw_open(&r, st, "events", "log");
    assert_int_equal(mdb_get(r.txn, r.dbi, &k, &v), 0);

    if (at < 0) {
        assert_int_equal(mdb_del(r.txn, r.dbi, &k, NULL), 0);

    } else {
        copy = malloc(v.mv_size);
        assert_non_null(copy);
        memcpy(copy, v.mv_data, v.mv_size);
        copy[at] = (char) (copy[at] ^ 4);
        raw_put(&r, key, sizeof(key), copy, v.mv_size);
        free(copy);
    }

    raw_close(&r);
}


/* ten blocks of three; the store is closed */

static st_t *
make_ten(void)
{
    unsigned  i;

    static st_t  store, *st = &store;

    st_make(st, 16 * ST_MB, 90);
    assert_int_equal(st_open(st), CTSEG_OK);

    for (i = 1; i <= 10; i++) {
        assert_int_equal(st_append(st->store, "p", i, 3, NULL), CTSEG_OK);
    }

    ctseg_store_close(st->store);

    return st;
}


static void
test_damage(void **state)
{
    st_t            *st;
    uint64_t         removed;
    ctseg_pos_t      pos = { 0, 0, 0 };
    ctseg_bounds_t   bounds;

    (void) state;

    /* a header: a gap, from wherever one begins */

    st = make_ten();
    spoil(st, 16, 30);
    assert_int_equal(st_open(st), CTSEG_OK);

    check_met(st, 0, 9, 1, 16, 18);
    check_met(st, 15, 4, 1, 16, 18);
    check_met(st, 17, 4, 1, 16, 18);
    check_met(st, 18, 4, 0, 0, 0);

    /* a search gets over it by the next one, and retention does */

    assert_int_equal(ctseg_store_seek(st->store, 0, INT64_MAX, st_soon(),
                                      &pos), CTSEG_OK);
    assert_true(pos.sequence == 30);
    assert_int_equal(ctseg_store_trim(st->store, 0, INT64_MAX, UINT64_MAX, 7,
                                      st_soon(), &removed), CTSEG_OK);
    assert_true(removed == 21);
    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);
    assert_true(bounds.first == 22 && bounds.last == 30);
    assert_int_equal(ctseg_store_seek(st->store, 0, INT64_MIN, st_soon(),
                                      &pos), CTSEG_OK);
    assert_true(pos.sequence == 21);
    st_free(st);

    /* the bad block is kept as long as its neighbour tells it must be */

    st = make_ten();
    spoil(st, 1, 0);
    assert_int_equal(st_open(st), CTSEG_OK);
    assert_int_equal(ctseg_store_trim(st->store, 0, INT64_MAX, 3, 7,
                                      st_soon(), &removed), CTSEG_AGAIN);
    assert_true(removed == 0);
    assert_int_equal(ctseg_store_trim(st->store, 0, INT64_MAX, 4, 7,
                                      st_soon(), &removed), CTSEG_AGAIN);
    assert_true(removed == 3);
    st_free(st);
}


/* several, the first, the last, and one whose key is another's */

static void
test_damages(void **state)
{
    st_t         *st;
    uint64_t      removed;
    ctseg_pos_t   pos;

    (void) state;

    st = make_ten();
    spoil(st, 1, 3);
    spoil(st, 4, 8);
    spoil(st, 16, 63);
    spoil(st, 28, 0);
    assert_int_equal(st_open(st), CTSEG_OK);

    /* adjoining ones are one gap, and the last ends with the log */

    check_met(st, 0, 6, 3, 28, 30);
    check_met(st, 2, 6, 3, 28, 30);
    check_met(st, 28, 0, 1, 28, 30);

    assert_int_equal(ctseg_store_seek(st->store, 0, INT64_MAX, st_soon(),
                                      &pos), CTSEG_OK);
    assert_true(pos.sequence == 27);

    /* retention takes one by one, and leaves the last until there is a next */

    assert_int_equal(ctseg_store_trim(st->store, 0, INT64_MAX, 4, 9,
                                      st_soon(), &removed), CTSEG_AGAIN);
    assert_int_equal(removed, 3);
    assert_int_equal(ctseg_store_trim(st->store, 0, INT64_MAX, UINT64_MAX,
                                      20, st_soon(), &removed), CTSEG_AGAIN);
    assert_int_equal(removed, 24);
    assert_int_equal(st_append(st->store, "p", 11, 3, NULL), CTSEG_OK);
    assert_int_equal(ctseg_store_trim(st->store, 0, INT64_MAX, 31,
                                      20, st_soon(), &removed), CTSEG_AGAIN);
    assert_int_equal(removed, 3);
    st_free(st);
}


static void
test_gap(void **state)
{
    st_t  *st;

    (void) state;
    st = make_ten();
    spoil(st, 16, -1);
    assert_int_equal(st_open(st), CTSEG_OK);
    check_met(st, 0, 9, 1, 16, 18);
    check_met(st, 16, 4, 1, 17, 18);
    ctseg_store_close(st->store);

    /* the end is missing */

    spoil(st, 28, -1);
    assert_int_equal(st_open(st), CTSEG_OK);
    check_met(st, 24, 1, 1, 28, 30);
    check_met(st, 29, 0, 1, 30, 30);
    st_free(st);
}


/* five blocks, a moment, five blocks: which of them is damaged matters little
   to a search for the moment, and not at all if its neighbors are as old */

static void
test_seek(void **state)
{
    int          at;
    st_t         st;
    int64_t      ms;
    uint64_t     i, bad;
    ctseg_pos_t  pos;

    (void) state;

    for (bad = 1; bad <= 30; bad += 3) {
        for (at = -1; at < 2; at++) {

            st_make(&st, 16 * ST_MB, 90);
            assert_int_equal(st_open(&st), CTSEG_OK);

            for (ms = 0, i = 1; i <= 10; i++) {

                if (i == 6) {
                    ms = ctseg_now_ms() + 1;
                    while (ctseg_now_ms() <= ms) { /* void */ }
                }

                assert_int_equal(st_append(st.store, "p", i, 3, NULL),
                                 CTSEG_OK);
            }

            ctseg_store_close(st.store);
            spoil(&st, bad, at == 1 ? 60 : at);
            assert_int_equal(st_open(&st), CTSEG_OK);

            assert_int_equal(ctseg_store_seek(st.store, 0, ms, st_soon(),
                                              &pos), CTSEG_OK);
            assert_int_equal(pos.sequence, bad == 13 ? 12 : 15);
            st_free(&st);
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_damages),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_seek)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
