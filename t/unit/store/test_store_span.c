/*
 * What is noted of rows of blocks.  Whoever wants some events only must meet
 * each block that may have one, as without a note, and nothing may be passed
 * over without a word; where nothing is wanted little may be looked at.  The
 * log is compared with a list of its blocks, whatever was there before, is
 * damaged, or was removed.
 */

#include "raw_test.h"

#include "../../../src/store/ctseg_record.h"


#define MAX    1000                     /* blocks */
#define SPAN   128                      /* of a span */


typedef struct {
    uint64_t       first;
    unsigned       count;
    ctseg_kinds_t  kinds;
    int64_t        min_ms;
    int64_t        max_ms;
} model_t;


static model_t   model[MAX];
static unsigned  nmodel;
static unsigned  front;                 /* the first that is kept */
static uint64_t  appends;
static uint64_t  chance;


static unsigned
some(unsigned n)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;

    return (unsigned) (chance >> 33) % n;
}


static uint64_t
head(void)
{
    return nmodel == 0 ? 0 : model[nmodel - 1].first
                             + model[nmodel - 1].count - 1;
}


/* n blocks, in appends of one to three; kind 0: any of 1 to 4 */

static void
grow(st_t *st, unsigned n, unsigned kind)
{
    unsigned                i, m;
    uint64_t                first;
    ctseg_block_t           b[3];
    ctseg_block_builder_t   bb[3];

    for ( /* void */ ; n != 0; n -= m) {
        m = 1 + some(n < 3 ? n : 3);
        first = head() + 1;

        for (i = 0; i < m; i++) {
            assert_true(nmodel < MAX);
            b[i] = st_block(&bb[i], 1 + some(3), kind != 0 ? kind
                            : 1 + some(4), 1000 * (int64_t) some(50), 5);

            model[nmodel].first = first;
            model[nmodel].count = b[i].count;
            model[nmodel].kinds = b[i].kinds;
            model[nmodel].min_ms = b[i].min_ms;
            model[nmodel++].max_ms = b[i].max_ms;
            first += b[i].count;
        }

        assert_int_equal(ctseg_store_append(st->store, 0, "0123456789abcdef",
                                            ++appends, b, m, st_soon(), NULL,
                                            NULL), CTSEG_OK);

        for (i = 0; i < m; i++) {
            ctseg_block_builder_free(&bb[i]);
        }
    }
}


static void
begin(st_t *st, uint64_t seed)
{
    st_make(st, 64 * ST_MB, 90);
    assert_int_equal(st_open(st), CTSEG_OK);
    nmodel = 0;
    front = 0;
    appends = 0;
    chance = seed * 0x9e3779b97f4a7c15 + 1;
}


typedef struct {
    const ctseg_want_t  *want;
    uint64_t             at;
    unsigned             i;             /* of the model */
    unsigned             calls;
} look_t;


static bool
wanted(const model_t *m, const ctseg_want_t *want)
{
    return (m->kinds & want->kinds) != 0 && m->max_ms >= want->from_ms
           && m->min_ms < want->to_ms;
}


static ctseg_next_t
look(void *data, const ctseg_block_t *b)
{
    look_t  *l = data;

    l->calls++;
    assert_false(b->damaged);
    assert_true(l->i < nmodel);
    assert_int_equal(b->first, model[l->i].first);

    if (!b->passed) {
        assert_int_equal(b->count, model[l->i].count);
        assert_true(b->kinds == model[l->i].kinds);
        l->at = ctseg_block_last(b);
        l->i++;
        return CTSEG_GO_ON;
    }

    /* none of these may be wanted, and they end where a block does */

    assert_false(ctseg_block_may_match(b, l->want->kinds, l->want->from_ms,
                                       l->want->to_ms));
    assert_int_equal(b->payload.len, 0);

    while (l->i < nmodel && model[l->i].first <= ctseg_block_last(b)) {
        assert_false(wanted(&model[l->i], l->want));
        l->at = model[l->i].first + model[l->i].count - 1;
        l->i++;
    }

    assert_int_equal(l->at, ctseg_block_last(b));

    return CTSEG_GO_ON;
}


/* a scan from a sequence on; the number of blocks that were shown */

static unsigned
scan(st_t *st, uint64_t after, const ctseg_want_t *want)
{
    look_t       l;
    ctseg_pos_t  pos;

    assert_int_equal(ctseg_store_seek(st->store, 0, INT64_MIN, st_soon(),
                                      &pos), CTSEG_OK);
    memset(&l, 0, sizeof(l));
    l.want = want;
    l.at = after;
    pos.sequence = after;

    for (l.i = front; l.i < nmodel
                      && model[l.i].first + model[l.i].count - 1 <= after; )
    {
        l.i++;
    }

    assert_int_equal(ctseg_store_scan_for(st->store, 0, &pos, want, look, &l,
                                          st_soon(), &pos), CTSEG_AGAIN);
    assert_int_equal(l.i, nmodel);
    assert_int_equal(l.at, head());
    assert_int_equal(pos.sequence, head());

    return l.calls;
}


static void
scan_any(st_t *st)
{
    unsigned      n;
    uint64_t      from;
    ctseg_want_t  want;

    from = front == nmodel ? head() : model[front].first - 1;

    want.mem = NULL;

    for (n = 0; n < 40; n++) {
        want.kinds = n % 4 == 0 ? UINT64_MAX : 1ULL << some(7);
        want.from_ms = n % 3 == 0 ? INT64_MIN : 1000 * (int64_t) some(50);
        want.to_ms = n % 3 == 1 ? INT64_MAX
                                : want.from_ms / 2 + 1000 * some(50);

        (void) scan(st, n == 0 ? from
                               : from + some((unsigned) (head() - from) + 1),
                    &want);
    }
}


/* nobody's kind: how many blocks a scan from the front looks at */

static unsigned
scan_none(st_t *st)
{
    ctseg_want_t  want = { 1ULL << 20, INT64_MIN, INT64_MAX, NULL };

    return scan(st, front == nmodel ? head() : model[front].first - 1,
                &want);
}


static size_t
spans(st_t *st)
{
    raw_t     r;
    MDB_stat  stat;

    ctseg_store_close(st->store);
    raw_open(&r, st, "events", "span");
    assert_int_equal(mdb_stat(r.txn, r.dbi, &stat), 0);
    raw_close(&r);
    assert_int_equal(st_open(st), CTSEG_OK);

    return stat.ms_entries;
}


static void
test_scan(void **state)
{
    st_t          st;
    unsigned      i, n;
    ctseg_want_t  rare = { 1 << 5, INT64_MIN, INT64_MAX, NULL };

    (void) state;
    begin(&st, 1);

    for (i = 0; i < 20; i++) {
        grow(&st, 1 + some(40), 0);

        if (i % 4 == 3) {
            ctseg_store_close(st.store);
            assert_int_equal(st_open(&st), CTSEG_OK);
        }

        scan_any(&st);

        /* all complete ones, and the open one */

        n = nmodel / SPAN + (nmodel % SPAN != 0);
        assert_int_equal(scan_none(&st), n);
    }

    assert_int_equal(spans(&st), nmodel / SPAN);

    /* one block of another kind opens its span, and no other one */

    grow(&st, SPAN - nmodel % SPAN, 1);
    grow(&st, 50, 1);
    grow(&st, 1, 5);
    grow(&st, SPAN - 51 + 60, 1);
    n = nmodel / SPAN + 1;
    assert_int_equal(scan_none(&st), n);
    assert_int_equal(scan(&st, 0, &rare), n - 1 + SPAN);

    st_free(&st);
}


/* what an older version would refuse */

static uint64_t
schema(st_t *st)
{
    raw_t            r;
    MDB_val          k, v;
    uint64_t         n;
    ctseg_str_t      stored;
    ctseg_record_t   meta;

    ctseg_store_close(st->store);
    raw_open(&r, st, "events", "meta");
    k.mv_size = 4;
    k.mv_data = (void *) "meta";
    assert_int_equal(mdb_get(r.txn, r.dbi, &k, &v), 0);
    stored.len = v.mv_size;
    stored.data = v.mv_data;
    assert_int_equal(ctseg_record_open(&meta, stored, CTSEG_RECORD_META),
                     CTSEG_OK);
    n = ctseg_record_get_uint(&meta, 1);
    raw_close(&r);
    assert_int_equal(st_open(st), CTSEG_OK);

    return n;
}


/* a log that an older version has made, and goes on with in between */

static void
make_old(st_t *st)
{
    raw_t            r;
    MDB_val          k, v;
    ctseg_buf_t      meta = { NULL, 0, 0, false };
    ctseg_str_t      stored;
    ctseg_record_t   old;

    ctseg_store_close(st->store);

    raw_open(&r, st, "events", "span");
    assert_int_equal(mdb_drop(r.txn, r.dbi, 1), 0);
    raw_close(&r);

    raw_open(&r, st, "events", "meta");
    k.mv_size = 4;
    k.mv_data = (void *) "meta";
    assert_int_equal(mdb_get(r.txn, r.dbi, &k, &v), 0);
    stored.len = v.mv_size;
    stored.data = v.mv_data;
    assert_int_equal(ctseg_record_open(&old, stored, CTSEG_RECORD_META),
                     CTSEG_OK);

    ctseg_record_begin(&meta, CTSEG_RECORD_META);
    ctseg_record_uint(&meta, 1, 1);
    ctseg_record_uint(&meta, 2, ctseg_record_get_uint(&old, 2));
    ctseg_record_uint(&meta, 3, ctseg_record_get_uint(&old, 3));
    ctseg_record_int(&meta, 4, ctseg_record_get_int(&old, 4));
    ctseg_record_uint(&meta, 5, ctseg_record_get_uint(&old, 5));
    ctseg_record_end(&meta);
    raw_put(&r, "meta", 4, meta.data, meta.len);
    raw_close(&r);

    ctseg_buf_free(&meta);
    assert_int_equal(st_open(st), CTSEG_OK);
}


static void
test_old(void **state)
{
    st_t      st;
    unsigned  n, all;

    (void) state;
    begin(&st, 2);

    assert_int_equal(schema(&st), 1);
    grow(&st, 200, 0);
    assert_int_equal(schema(&st), 2);
    make_old(&st);
    assert_int_equal(schema(&st), 1);
    assert_int_equal(scan_none(&st), 200);
    scan_any(&st);

    /* spans begin with what comes now, and end with what an old one appends */

    grow(&st, SPAN + 10, 0);
    assert_int_equal(scan_none(&st), 200 + 2);
    scan_any(&st);
    grow(&st, 30, 0);
    make_old(&st);
    all = nmodel;
    assert_int_equal(scan_none(&st), all);

    for (n = 0; n < 5; n++) {
        grow(&st, 50, 0);
        scan_any(&st);
    }

    assert_int_equal(scan_none(&st), all + 2);
    assert_int_equal(spans(&st), 1);

    st_free(&st);
}


/* whatever byte of a span is another one, no event is passed over */

static void
test_damage(void **state)
{
    char       copy[40], key[8];
    st_t       st;
    raw_t      r;
    MDB_val    k, v;
    unsigned   i;

    (void) state;
    begin(&st, 3);
    grow(&st, 3 * SPAN, 0);
    assert_int_equal(scan_none(&st), 3);

    for (i = 0; i <= 40; i++) {
        ctseg_store_close(st.store);
        raw_open(&r, &st, "events", "span");

        memset(key, 0, sizeof(key));
        key[6] = (char) (model[SPAN].first >> 8);
        key[7] = (char) model[SPAN].first;
        k.mv_size = 8;
        k.mv_data = key;
        assert_int_equal(mdb_get(r.txn, r.dbi, &k, &v), 0);
        assert_int_equal(v.mv_size, 40);
        memcpy(copy, v.mv_data, 40);

        if (i < 40) {
            copy[i] = (char) (copy[i] ^ 0x04);
            raw_put(&r, key, 8, copy, 40);

        } else {
            raw_put(&r, key, 8, copy, 39);
        }

        raw_close(&r);
        assert_int_equal(st_open(&st), CTSEG_OK);
        assert_int_equal(scan_none(&st), 2 + SPAN);

        if (i % 8 == 0) {
            scan_any(&st);
        }

        ctseg_store_close(st.store);
        raw_open(&r, &st, "events", "span");

        if (i < 40) {
            copy[i] = (char) (copy[i] ^ 0x04);
        }

        raw_put(&r, key, 8, copy, 40);
        raw_close(&r);
        assert_int_equal(st_open(&st), CTSEG_OK);
    }

    assert_int_equal(scan_none(&st), 3);
    st_free(&st);
}


/* what is removed takes its spans with it, a few at a time */

static void
test_trim(void **state)
{
    st_t         st;
    unsigned     n;
    uint64_t     removed;

    (void) state;
    begin(&st, 4);
    grow(&st, 5 * SPAN + 20, 0);
    assert_int_equal(spans(&st), 5);

    while (front < nmodel) {
        n = nmodel - front < 50 ? nmodel - front : 50;
        assert_in_range(ctseg_store_trim(st.store, 0, INT64_MAX, UINT64_MAX,
                                         n, st_soon(), &removed), CTSEG_OK,
                        CTSEG_AGAIN);
        front += n;
        scan_any(&st);
        n = (front + SPAN - 1) / SPAN;
        assert_int_equal(spans(&st), n < 5 ? 5 - n : 0);
    }

    /* the open one goes on, but no scan begins where it did */

    grow(&st, SPAN, 0);
    assert_int_equal(spans(&st), 1);
    scan_any(&st);
    grow(&st, 10, 0);
    assert_int_equal(scan_none(&st), SPAN - 20 + 1);
    st_free(&st);

    /* many spans of a few blocks, as others may have left them: some go */

    begin(&st, 5);
    grow(&st, 6 * SPAN, 0);
    assert_int_equal(spans(&st), 6);
    (void) ctseg_store_trim(st.store, 0, INT64_MAX, model[6 * SPAN - 1].first,
                            6 * SPAN - 1, st_soon(), &removed);
    assert_int_equal(spans(&st), 0);
    st_free(&st);
}


/* no more of them in one step than blocks */

static void
test_trim_bound(void **state)
{
    char      key[8] = { 0 };
    st_t      st;
    raw_t     r;
    unsigned  i;
    uint64_t  removed;

    (void) state;
    begin(&st, 6);
    grow(&st, 40, 0);

    ctseg_store_close(st.store);
    raw_open(&r, &st, "events", "span");

    for (i = 1; i <= 20; i++) {
        key[7] = (char) i;
        raw_put(&r, key, 8, "?", 1);
    }

    raw_close(&r);
    assert_int_equal(st_open(&st), CTSEG_OK);

    assert_int_equal(ctseg_store_trim(st.store, 0, INT64_MAX,
                                      model[36].first, 35, st_soon(),
                                      &removed), CTSEG_OK);
    assert_int_equal(spans(&st), 0);

    ctseg_store_close(st.store);
    raw_open(&r, &st, "events", "span");

    for (i = 1; i <= 20; i++) {
        key[7] = (char) i;
        raw_put(&r, key, 8, "?", 1);
    }

    raw_close(&r);
    assert_int_equal(st_open(&st), CTSEG_OK);

    assert_int_equal(ctseg_store_trim(st.store, 0, INT64_MAX, UINT64_MAX, 2,
                                      st_soon(), &removed), CTSEG_OK);
    assert_int_equal(spans(&st), 18);
    st_free(&st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_old),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_trim_bound)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
