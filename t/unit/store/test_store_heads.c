/*
 * Heads that are copied ahead: a scan shows the same blocks, and each block
 * the same events, as one that reads header by header, wherever it begins and
 * stops, whatever is large, small, old or damaged.
 */

#include "raw_test.h"

#include "../../../src/store/ctseg_block_iter.h"
#include "../../../src/base/ctseg_crc32c.h"


#define MAX  4000                       /* events that a scan meets */


typedef struct {
    uint64_t  block;                    /* first, and how it came */
    uint32_t  count;
    int       what;
    uint64_t  sequence;                 /* of the event; 0: the block */
    uint32_t  crc;                      /* of its text */
} met_t;

typedef struct {
    const ctseg_want_t  *want;
    ctseg_block_mem_t   *mem;
    unsigned             stop;          /* so many blocks */
    unsigned             blocks;
    unsigned             copied;
    unsigned             n;
    met_t                met[MAX];
} look_t;


static uint64_t  chance = 88172645463325252;
static uint64_t  appends;


static unsigned
some(unsigned n)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;

    return (unsigned) (chance >> 33) % n;
}


static void
meet(look_t *l, const ctseg_block_t *b, int what, uint64_t sequence,
    uint32_t crc)
{
    met_t  *m;

    assert_true(l->n < MAX);
    m = &l->met[l->n++];
    memset(m, 0, sizeof(met_t));
    m->block = b->first;
    m->count = b->count;
    m->what = what;
    m->sequence = sequence;
    m->crc = crc;
}


static void
look_events(look_t *l, const ctseg_block_t *b)
{
    ctseg_rc_t           rc;
    ctseg_event_t        ev;
    ctseg_block_iter_t   it;

    if (b->copied != NULL) {
        l->copied++;
        assert_ptr_not_equal(b->copied, b->directory.data);
        assert_memory_equal(b->copied, b->directory.data, b->directory.len);
    }

    rc = ctseg_block_iter(&it, b, l->mem, l->want->kinds, 0, UINT64_MAX);

    if (rc != CTSEG_OK) {
        meet(l, b, 100 + rc, 0, 0);
        return;
    }

    for ( ;; ) {
        rc = ctseg_block_next(&it, &ev);

        if (rc == CTSEG_NOTFOUND) {
            break;
        }

        meet(l, b, rc, it.sequence, rc != CTSEG_OK ? 0
             : ctseg_crc32c(0, ev.props.data, ev.props.len));
    }
}


static ctseg_next_t
look(void *data, const ctseg_block_t *b)
{
    look_t  *l = data;

    if (l->blocks++ == l->stop) {
        return CTSEG_UNTAKEN;
    }

    meet(l, b, b->damaged ? 50 : b->passed ? 51 : 52, 0, b->crc);

    if (!b->damaged && ctseg_block_may_match(b, l->want->kinds,
                                             l->want->from_ms,
                                             l->want->to_ms))
    {
        look_events(l, b);
    }

    return CTSEG_GO_ON;
}


static unsigned
compare(st_t *st, uint64_t after, const ctseg_kinds_t kinds, unsigned stop)
{
    unsigned            i;
    ctseg_rc_t          rc[2];
    ctseg_pos_t         pos, next[2];
    ctseg_want_t        want;
    ctseg_block_mem_t   mem;

    static look_t  l[2];

    memset(&mem, 0, sizeof(mem));
    want.kinds = kinds;
    want.from_ms = INT64_MIN;
    want.to_ms = INT64_MAX;

    for (i = 0; i < 2; i++) {
        l[i].want = &want;
        l[i].mem = i == 0 ? NULL : &mem;
        l[i].stop = stop;
        l[i].blocks = 0;
        l[i].copied = 0;
        l[i].n = 0;
        want.mem = l[i].mem;
        assert_int_equal(ctseg_store_seek(st->store, 0, INT64_MIN, st_soon(),
                                          &pos), CTSEG_OK);
        pos.sequence = after;
        rc[i] = ctseg_store_scan_for(st->store, 0, &pos, &want, look, &l[i],
                                     st_soon(), &next[i]);
    }

    ctseg_block_mem_free(&mem);

    assert_int_equal(rc[0], rc[1]);
    assert_true(next[0].sequence == next[1].sequence);
    assert_int_equal(l[0].n, l[1].n);
    assert_memory_equal(l[0].met, l[1].met, l[0].n * sizeof(met_t));
    assert_int_equal(l[0].copied, 0);

    return l[1].copied;
}


/* n blocks, most of them larger than what is read where it is */

static uint64_t
grow(st_t *st, unsigned n)
{
    ctseg_pos_t            last;
    ctseg_block_t          b;
    ctseg_block_builder_t  bb;

    last.sequence = 0;

    while (n-- != 0) {
        b = st_block(&bb, 1 + some(30), 1 + some(some(8) == 0 ? 4 : 1), 1000,
                     some(4) == 0 ? some(300) : some(3000));

        if (some(5) == 0) {
            st_old(&b);
        }

        assert_int_equal(ctseg_store_append(st->store, 0, "0123456789abcdef",
                                            ++appends, &b, 1, st_soon(),
                                            &last, NULL), CTSEG_OK);
        ctseg_block_builder_free(&bb);
    }

    return last.sequence;
}


/* byte "at" of the block behind seq is another one */

static void
spoil(st_t *st, uint64_t seq, size_t at)
{
    char     key[8], *copy;
    raw_t    r;
    MDB_val  k, v;
    unsigned i;

    ctseg_store_close(st->store);
    raw_open(&r, st, "events", "log");

    for (i = 0; i < 8; i++) {
        key[i] = (char) (seq >> (56 - 8 * i));
    }

    k.mv_size = 8;
    k.mv_data = key;

    for (i = 0; mdb_get(r.txn, r.dbi, &k, &v) == MDB_NOTFOUND; i++) {
        assert_true(i < 100);
        seq--;
        key[7] = (char) seq;
        key[6] = (char) (seq >> 8);
    }

    copy = malloc(v.mv_size);
    assert_non_null(copy);
    memcpy(copy, v.mv_data, v.mv_size);
    copy[at % v.mv_size] ^= 0x10;
    raw_put(&r, key, 8, copy, v.mv_size);
    raw_close(&r);
    free(copy);
    assert_int_equal(st_open(st), CTSEG_OK);
}


static void
test_same(void **state)
{
    st_t      st;
    uint64_t  last;
    unsigned  i, copied;

    (void) state;
    st_make(&st, 64 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);
    last = grow(&st, 60);

    copied = compare(&st, 0, UINT64_MAX, UINT32_MAX);
    assert_in_range(copied, 20, 60);

    for (i = 0; i < 60; i++) {
        (void) compare(&st, some((unsigned) last), UINT64_MAX, some(20));
        (void) compare(&st, some((unsigned) last), 2u << some(4),
                       UINT32_MAX);
    }

    /* headers, directories, records, one after the other */

    for (i = 0; i < 40; i++) {
        spoil(&st, 1 + some((unsigned) last),
              i % 2 == 0 ? some(64) : 64 + some(i % 4 == 1 ? 200 : 5000));
        (void) compare(&st, 0, UINT64_MAX, UINT32_MAX);
        (void) compare(&st, some((unsigned) last), UINT64_MAX, some(20));
        (void) compare(&st, some((unsigned) last), 4, UINT32_MAX);
    }

    st_free(&st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_same)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
