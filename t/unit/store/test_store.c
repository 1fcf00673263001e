/*
 * The conformance suite of the store, first part: what one caller sees.
 * Written against ctseg_store.h alone; st_open() names the driver.  Several
 * threads and processes are in test_store_many.c, what only LMDB does is in
 * test_store_lmdb.c.
 */

#include "store_test.h"


static st_t *
make(uint64_t size, unsigned high_water)
{
    static st_t  st;

    st_make(&st, size, high_water);
    assert_int_equal(st_open(&st), CTSEG_OK);
    assert_non_null(st.store);

    return &st;
}


/* what a scan saw */

typedef struct {
    unsigned      n;                    /* calls */
    unsigned      stop;                 /* at this call, 0: never */
    ctseg_next_t  answer;               /* with this */
    uint64_t      first;
    uint64_t      expected;             /* next sequence, 0: any */
    bool          dense;
    int64_t       append_ms;
    bool          falls;
    bool          damaged;
} seen_t;


static ctseg_next_t
see(void *data, const ctseg_block_t *b)
{
    seen_t  *seen;

    seen = data;
    seen->n++;

    if (seen->n == 1) {
        seen->first = b->first;
        seen->dense = true;

    } else if (b->first != seen->expected) {
        seen->dense = false;
    }

    if (b->append_ms < seen->append_ms) {
        seen->falls = true;
    }

    if (ctseg_block_verify(b) != CTSEG_OK) {
        seen->damaged = true;
    }

    seen->expected = ctseg_block_last(b) + 1;
    seen->append_ms = b->append_ms;

    return seen->n == seen->stop ? seen->answer : CTSEG_GO_ON;
}


static ctseg_rc_t
scan(ctseg_store_t *s, const ctseg_pos_t *after, unsigned stop,
    ctseg_next_t answer, seen_t *seen, ctseg_pos_t *next)
{
    memset(seen, 0, sizeof(seen_t));
    seen->stop = stop;
    seen->answer = answer;

    return ctseg_store_scan(s, 0, after, see, seen, st_soon(), next);
}


static void
test_pos(void **state)
{
    char         a[CTSEG_POS_LEN], b[CTSEG_POS_LEN];
    ctseg_pos_t  pos = { 0x01020304, 5, 0x1112131415161718ULL }, back;

    static const unsigned char  want[CTSEG_POS_LEN] = {
        1, 2, 3, 4, 0, 0, 0, 5, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18
    };

    (void) state;

    ctseg_pos_encode(a, &pos);
    assert_memory_equal(a, want, sizeof(want));
    ctseg_pos_decode(&back, a);
    assert_int_equal(back.incarnation, pos.incarnation);
    assert_int_equal(back.shard, pos.shard);
    assert_true(back.sequence == pos.sequence);

    pos.sequence = 255;
    ctseg_pos_encode(a, &pos);
    pos.sequence = 256;
    ctseg_pos_encode(b, &pos);
    assert_true(memcmp(a, b, sizeof(a)) < 0);
}


static void
test_open(void **state)
{
    st_t            st;
    ctseg_err_t     err;
    ctseg_store_t  *second;

    (void) state;
    st_make(&st, 16 * ST_MB, 101);

    assert_int_equal(ctseg_store_open(&st.store, &st.options, &err),
                     CTSEG_INVALID);
    assert_null(st.store);
    st.options.high_water = 0;
    st.options.state_size = 0;
    assert_int_equal(ctseg_store_open(&st.store, &st.options, &err),
                     CTSEG_INVALID);
    st.options.state_size = ST_MB;
    st.options.path = "/nonexistent/ctseg";
    assert_int_equal(ctseg_store_open(&st.store, &st.options, &err),
                     CTSEG_FATAL);
    assert_non_null(strstr(err.text, "/nonexistent/ctseg"));
    st.options.path = "";
    assert_int_equal(ctseg_store_open(&st.store, &st.options, NULL),
                     CTSEG_INVALID);

    st.options.path = st.dir;
    assert_int_equal(st_open(&st), CTSEG_OK);

    /* once per process and directory, and the first is none the worse */

    assert_int_equal(ctseg_store_open(&second, &st.options, &err),
                     CTSEG_FATAL);
    assert_null(second);
    assert_non_null(strstr(err.text, "already"));
    assert_int_equal(st_append(st.store, "p", 1, 1, NULL), CTSEG_OK);

    ctseg_store_close(NULL);
    st_free(&st);
}


static void
test_append(void **state)
{
    int64_t                 before;
    st_t                   *st;
    bool                    dup;
    ctseg_pos_t             last;
    ctseg_block_t           b[3];
    ctseg_block_builder_t   bb[3];

    (void) state;
    st = make(32 * ST_MB, 90);
    before = ctseg_now_ms();

    b[0] = st_block(&bb[0], 3, 1, 10, 0);
    b[1] = st_block(&bb[1], 1, 2, 20, 100);
    b[2] = st_block(&bb[2], 4, 3, 30, 20000);

    assert_int_equal(ctseg_store_append(st->store, 0, "0123456789abcdef", 7,
                                        b, 3, st_soon(), &last, &dup),
                     CTSEG_OK);
    assert_false(dup);
    assert_true(last.sequence == 8);
    assert_int_not_equal(last.incarnation, 0);
    assert_int_equal(last.shard, 0);
    assert_true(b[0].first == 1 && b[1].first == 4 && b[2].first == 5);
    assert_true(b[0].append_ms >= before
                && b[0].append_ms == b[2].append_ms);

    /* results that nobody wants */

    assert_int_equal(ctseg_store_append(st->store, 0, "0123456789abcdef", 8,
                                        b, 1, st_soon(), NULL, NULL),
                     CTSEG_OK);
    assert_true(b[0].first == 9);

    /* nonsense */

    assert_int_equal(ctseg_store_append(st->store, 0, "0123456789abcdef", 9,
                                        b, 0, st_soon(), &last, &dup),
                     CTSEG_INVALID);
    b[1].count = 0;
    assert_int_equal(ctseg_store_append(st->store, 0, "0123456789abcdef", 9,
                                        b, 3, st_soon(), &last, &dup),
                     CTSEG_INVALID);

    ctseg_block_builder_free(&bb[0]);
    ctseg_block_builder_free(&bb[1]);
    ctseg_block_builder_free(&bb[2]);
    st_free(st);
}


static void
test_idempotent(void **state)
{
    st_t                   *st;
    bool                    dup;
    unsigned                i;
    ctseg_pos_t             first, last;
    ctseg_block_t           b[2];
    ctseg_bounds_t          bounds;
    ctseg_block_builder_t   bb[2];

    (void) state;
    st = make(32 * ST_MB, 90);

    b[0] = st_block(&bb[0], 3, 1, 10, 0);
    b[1] = st_block(&bb[1], 2, 1, 10, 0);

    assert_int_equal(ctseg_store_append(st->store, 0, "producer-one----", 5,
                                        b, 2, st_soon(), &first, &dup),
                     CTSEG_OK);
    assert_int_equal(st_append(st->store, "other", 5, 7, NULL), CTSEG_OK);

    for (i = 0; i < 3; i++) {
        b[0].first = 0;
        b[1].first = 0;
        assert_int_equal(ctseg_store_append(st->store, 0, "producer-one----",
                                            5, b, 2, st_soon(), &last, &dup),
                         CTSEG_OK);
        assert_true(dup);
        assert_true(last.sequence == first.sequence);
        assert_int_equal(last.incarnation, first.incarnation);
        assert_true(b[0].first == 1 && b[1].first == 4);
    }

    assert_int_equal(ctseg_store_append(st->store, 0, "producer-one----", 4,
                                        b, 2, st_soon(), &last, &dup),
                     CTSEG_INVALID);

    /* a process that starts again goes on from what the disk knows */

    ctseg_store_close(st->store);
    assert_int_equal(st_open(st), CTSEG_OK);
    assert_int_equal(ctseg_store_append(st->store, 0, "producer-one----", 5,
                                        b, 2, st_soon(), &last, &dup),
                     CTSEG_OK);
    assert_true(dup);

    assert_int_equal(ctseg_store_append(st->store, 0, "producer-one----", 6,
                                        b, 2, st_soon(), &last, &dup),
                     CTSEG_OK);
    assert_false(dup);
    assert_true(last.sequence == 17);
    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);
    assert_true(bounds.first == 1 && bounds.last == 17);

    ctseg_block_builder_free(&bb[0]);
    ctseg_block_builder_free(&bb[1]);
    st_free(st);
}


static void
test_scan(void **state)
{
    st_t         *st;
    seen_t        seen;
    unsigned      i;
    ctseg_pos_t   zero = { 0, 0, 0 }, next, pos, last;

    (void) state;
    st = make(32 * ST_MB, 90);

    assert_int_equal(scan(st->store, &zero, 0, CTSEG_GO_ON, &seen, &next),
                     CTSEG_AGAIN);
    assert_int_equal(seen.n, 0);
    assert_true(next.sequence == 0);

    for (i = 1; i <= 10; i++) {
        assert_int_equal(st_append(st->store, "p", i, 3, &last), CTSEG_OK);
    }

    assert_int_equal(scan(st->store, &zero, 0, CTSEG_GO_ON, &seen, &next),
                     CTSEG_AGAIN);
    assert_int_equal(seen.n, 10);
    assert_true(seen.first == 1 && seen.dense && !seen.falls
                && !seen.damaged);
    assert_memory_equal(&next, &last, sizeof(last));

    /* the head, again and again, also with one struct for both */

    assert_int_equal(ctseg_store_scan(st->store, 0, &next, see, &seen,
                                      st_soon(), &next), CTSEG_AGAIN);
    assert_memory_equal(&next, &last, sizeof(last));

    /* the item was taken */

    assert_int_equal(scan(st->store, &zero, 4, CTSEG_ENOUGH, &seen, &next),
                     CTSEG_OK);
    assert_int_equal(seen.n, 4);
    assert_true(next.sequence == 12);

    /* it was not */

    assert_int_equal(scan(st->store, &next, 2, CTSEG_UNTAKEN, &seen, &pos),
                     CTSEG_OK);
    assert_true(seen.first == 13);
    assert_true(pos.sequence == 15);
    assert_int_equal(scan(st->store, &pos, 1, CTSEG_UNTAKEN, &seen, &next),
                     CTSEG_OK);
    assert_memory_equal(&next, &pos, sizeof(pos));

    /* in the middle of a block: that block comes, from its begin */

    pos.sequence = 14;
    assert_int_equal(scan(st->store, &pos, 1, CTSEG_ENOUGH, &seen, &next),
                     CTSEG_OK);
    assert_true(seen.first == 13);
    assert_true(next.sequence == 15);
    pos.sequence = 1;
    assert_int_equal(scan(st->store, &pos, 1, CTSEG_UNTAKEN, &seen, &next),
                     CTSEG_OK);
    assert_true(seen.first == 1);
    assert_true(next.sequence == 1);
    pos.sequence = 29;
    assert_int_equal(scan(st->store, &pos, 0, CTSEG_GO_ON, &seen, &next),
                     CTSEG_AGAIN);
    assert_int_equal(seen.n, 1);
    assert_true(seen.first == 28);

    /* beyond the head there never was anything */

    pos.sequence = 31;
    assert_int_equal(scan(st->store, &pos, 0, CTSEG_GO_ON, &seen, &next),
                     CTSEG_INVALID);

    /* another incarnation: everything is new */

    pos.sequence = 5;
    pos.incarnation++;
    assert_int_equal(scan(st->store, &pos, 0, CTSEG_GO_ON, &seen, &next),
                     CTSEG_TRIMMED);
    assert_int_equal(seen.n, 0);
    assert_true(next.sequence == 0);
    assert_int_equal(next.incarnation, last.incarnation);

    st_free(st);
}


static void
test_trim(void **state)
{
    st_t            *st;
    seen_t           seen;
    int64_t          later;
    uint64_t         removed;
    unsigned         i;
    ctseg_pos_t      zero = { 0, 0, 0 }, next, pos, last;
    ctseg_bounds_t   bounds;

    (void) state;
    st = make(32 * ST_MB, 90);
    later = ctseg_now_ms() + 60000;

    assert_int_equal(ctseg_store_trim(st->store, 0, later, UINT64_MAX, 5,
                                      st_soon(), &removed), CTSEG_AGAIN);
    assert_true(removed == 0);

    for (i = 1; i <= 10; i++) {
        assert_int_equal(st_append(st->store, "p", i, 3, &last), CTSEG_OK);
    }

    /* none is old enough; none may go */

    assert_int_equal(ctseg_store_trim(st->store, 0, 1, UINT64_MAX, 5,
                                      st_soon(), &removed), CTSEG_AGAIN);
    assert_int_equal(ctseg_store_trim(st->store, 0, later, 0, 5, st_soon(),
                                      &removed), CTSEG_AGAIN);
    assert_int_equal(ctseg_store_trim(st->store, 0, later, 3, 5, st_soon(),
                                      &removed), CTSEG_AGAIN);
    assert_true(removed == 0);
    assert_int_equal(ctseg_store_trim(st->store, 0, later, 3, 0, st_soon(),
                                      &removed), CTSEG_INVALID);

    /* whole blocks, as many as allowed, none that is to be kept */

    assert_int_equal(ctseg_store_trim(st->store, 0, later, UINT64_MAX, 2,
                                      st_soon(), &removed), CTSEG_OK);
    assert_true(removed == 6);
    assert_int_equal(ctseg_store_trim(st->store, 0, later, 12, 5, st_soon(),
                                      &removed), CTSEG_AGAIN);
    assert_true(removed == 3);
    assert_int_equal(ctseg_store_trim(st->store, 0, later, 13, 5, st_soon(),
                                      NULL), CTSEG_AGAIN);
    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);
    assert_true(bounds.first == 13 && bounds.last == 30);

    /* who was behind is told, and where to go on */

    assert_int_equal(scan(st->store, &zero, 0, CTSEG_GO_ON, &seen, &next),
                     CTSEG_TRIMMED);
    assert_int_equal(seen.n, 0);
    assert_true(next.sequence == 12);
    pos = last;
    pos.sequence = 11;
    assert_int_equal(scan(st->store, &pos, 0, CTSEG_GO_ON, &seen, &next),
                     CTSEG_TRIMMED);
    assert_int_equal(scan(st->store, &next, 0, CTSEG_GO_ON, &seen, &pos),
                     CTSEG_AGAIN);
    assert_int_equal(seen.n, 6);

    /* all of it: numbers and time go on from where they were */

    assert_int_equal(ctseg_store_trim(st->store, 0, later, UINT64_MAX, 100,
                                      st_soon(), &removed), CTSEG_AGAIN);
    assert_true(removed == 18);
    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);
    assert_true(bounds.first == 0 && bounds.last == 30);

    assert_int_equal(scan(st->store, &zero, 0, CTSEG_GO_ON, &seen, &next),
                     CTSEG_TRIMMED);
    assert_true(next.sequence == 30);
    assert_int_equal(scan(st->store, &next, 0, CTSEG_GO_ON, &seen, &pos),
                     CTSEG_AGAIN);

    ctseg_store_close(st->store);
    assert_int_equal(st_open(st), CTSEG_OK);
    assert_int_equal(st_append(st->store, "p", 11, 1, &last), CTSEG_OK);
    assert_true(last.sequence == 31);
    assert_int_equal(scan(st->store, &next, 0, CTSEG_GO_ON, &seen, &pos),
                     CTSEG_AGAIN);
    assert_true(seen.first == 31);

    st_free(st);
}


static void
test_seek(void **state)
{
    st_t         *st;
    seen_t        seen;
    int64_t       at[8];
    uint64_t      removed;
    unsigned      i, n;
    ctseg_pos_t   pos, next;

    (void) state;
    st = make(32 * ST_MB, 90);

    assert_int_equal(ctseg_store_seek(st->store, 0, 1, st_soon(), &pos),
                     CTSEG_OK);
    assert_true(pos.sequence == 0);

    for (i = 0; i < 8; i++) {
        for (n = 0; n < 5; n++) {
            assert_int_equal(st_append(st->store, "p", i * 5 + n + 1, 2,
                                       &next), CTSEG_OK);

            if (n == 0) {
                assert_int_equal(ctseg_store_seek(st->store, 0, 0, st_soon(),
                                                  &pos), CTSEG_OK);
            }
        }

        at[i] = ctseg_now_ms() + 1;
        usleep(3000);
    }

    /* before all, after all */

    assert_int_equal(ctseg_store_seek(st->store, 0, INT64_MIN, st_soon(),
                                      &pos), CTSEG_OK);
    assert_true(pos.sequence == 0);
    assert_int_equal(ctseg_store_seek(st->store, 0, INT64_MAX, st_soon(),
                                      &pos), CTSEG_OK);
    assert_true(pos.sequence == 80);
    assert_int_equal(pos.incarnation, next.incarnation);

    /* between two groups: the exact edge */

    for (i = 0; i < 8; i++) {
        assert_int_equal(ctseg_store_seek(st->store, 0, at[i], st_soon(),
                                          &pos), CTSEG_OK);
        assert_true(pos.sequence == (i + 1) * 10);
    }

    /* the very time of an append: it lies behind the edge, and it stays */

    pos.sequence = 20;
    assert_int_equal(scan(st->store, &pos, 1, CTSEG_ENOUGH, &seen, &next),
                     CTSEG_OK);
    assert_true(seen.first == 21);
    assert_int_equal(ctseg_store_seek(st->store, 0, seen.append_ms,
                                      st_soon(), &pos), CTSEG_OK);
    assert_true(pos.sequence == 20);
    assert_int_equal(ctseg_store_trim(st->store, 0, seen.append_ms,
                                      UINT64_MAX, 100, st_soon(), &removed),
                     CTSEG_AGAIN);
    assert_true(removed == 20);

    /* the same after the front is gone */

    assert_int_equal(ctseg_store_trim(st->store, 0, at[3], UINT64_MAX, 100,
                                      st_soon(), NULL), CTSEG_AGAIN);
    assert_int_equal(ctseg_store_seek(st->store, 0, at[1], st_soon(), &pos),
                     CTSEG_OK);
    assert_true(pos.sequence == 40);
    assert_int_equal(scan(st->store, &pos, 0, CTSEG_GO_ON, &seen, &next),
                     CTSEG_AGAIN);
    assert_int_equal(seen.n, 20);

    st_free(st);
}


/* the events full, the state still working */

static void
test_high_water(void **state)
{
    st_t                   *st;
    bool                    dup;
    uint64_t                seq;
    ctseg_rc_t              rc;
    ctseg_pos_t             last;
    ctseg_block_t           b;
    ctseg_usage_t           usage;
    ctseg_block_builder_t   bb;

    (void) state;
    st = make(8 * ST_MB, 50);
    b = st_block(&bb, 10, 1, 1, 20000);
    rc = CTSEG_OK;

    for (seq = 1; rc == CTSEG_OK && seq < 100; seq++) {
        rc = ctseg_store_append(st->store, 0, "0123456789abcdef", seq, &b, 1,
                                st_soon(), &last, &dup);
    }

    assert_int_equal(rc, CTSEG_FULL);
    seq -= 2;
    assert_in_range(seq, 15, 21);

    assert_int_equal(ctseg_store_usage(st->store, &usage), CTSEG_OK);
    assert_true(usage.events_size == 8 * ST_MB);
    assert_true(usage.events_used <= 4 * ST_MB);
    assert_true(usage.events_used > 3 * ST_MB);
    assert_true(usage.commits == seq);
    assert_true(usage.bounds.last == seq * 10);
    assert_true(usage.state_used > 0 && usage.state_used < ST_MB);

    /* what was stored before is still known to be */

    assert_int_equal(ctseg_store_append(st->store, 0, "0123456789abcdef",
                                        seq, &b, 1, st_soon(), &last, &dup),
                     CTSEG_OK);
    assert_true(dup);

    assert_int_equal(ctseg_store_put(st->store, ctseg_str("k"),
                                     ctseg_str("v"), 0, st_soon(), NULL),
                     CTSEG_OK);

    /* room is made at once, not only at the end of the file */

    assert_int_equal(ctseg_store_trim(st->store, 0, INT64_MAX, UINT64_MAX,
                                      5, st_soon(), NULL), CTSEG_OK);
    assert_int_equal(ctseg_store_append(st->store, 0, "0123456789abcdef",
                                        seq + 1, &b, 1, st_soon(), &last,
                                        &dup), CTSEG_OK);
    assert_true(last.sequence == (seq + 1) * 10);

    ctseg_block_builder_free(&bb);
    st_free(st);
}


/* the state full for new records, and not for what is there already */

static void
test_reserve(void **state)
{
    st_t         *st;
    char         *text, key[16];
    uint64_t      rev[2000];
    unsigned      i, n;
    ctseg_rc_t    rc;
    ctseg_str_t   value, none = { 0, NULL };

    (void) state;
    st = make(8 * ST_MB, 50);

    text = calloc(1, 30000);
    assert_non_null(text);
    value.data = text;
    value.len = 30000;
    rc = CTSEG_OK;

    for (n = 0; rc == CTSEG_OK && n < 2000; n++) {
        (void) snprintf(key, sizeof(key), "k/%u", n);
        rc = ctseg_store_put(st->store, ctseg_str(key), value, 0, st_soon(),
                             &rev[n]);
    }

    assert_int_equal(rc, CTSEG_FULL);
    n--;
    assert_in_range(n, 100, 600);

    for (i = 0; i < n; i++) {
        (void) snprintf(key, sizeof(key), "k/%u", i);
        assert_int_equal(ctseg_store_put(st->store, ctseg_str(key), value,
                                         rev[i], st_soon(), &rev[i]),
                         CTSEG_OK);
    }

    for (i = 0; i < n; i++) {
        (void) snprintf(key, sizeof(key), "k/%u", i);
        assert_int_equal(ctseg_store_put(st->store, ctseg_str(key), none,
                                         rev[i], st_soon(), NULL), CTSEG_OK);
    }

    free(text);
    st_free(st);
}


static ctseg_next_t
count_cb(void *data, const ctseg_block_t *b)
{
    (void) b;
    (*(unsigned *) data)++;

    return CTSEG_GO_ON;
}


/* a deadline that has passed: certainly nothing was done */

static void
test_deadline(void **state)
{
    st_t            *st;
    int64_t          past;
    unsigned         n;
    uint64_t         rev, removed;
    ctseg_buf_t      out = { NULL, 0, 0, false };
    ctseg_pos_t      zero = { 0, 0, 0 }, next;
    ctseg_block_t    b;
    ctseg_bounds_t   bounds;

    ctseg_block_builder_t  bb;

    (void) state;
    st = make(32 * ST_MB, 90);
    past = ctseg_mono_ms() - 1;
    n = 0;

    assert_int_equal(st_append(st->store, "p", 1, 1, NULL), CTSEG_OK);
    assert_int_equal(ctseg_store_put(st->store, ctseg_str("a"),
                                     ctseg_str("1"), 0, st_soon(), &rev),
                     CTSEG_OK);

    b = st_block(&bb, 1, 1, 1, 0);
    assert_int_equal(ctseg_store_append(st->store, 0, "0123456789abcdef", 1,
                                        &b, 1, past, NULL, NULL),
                     CTSEG_RETRY);
    ctseg_block_builder_free(&bb);

    assert_int_equal(ctseg_store_scan(st->store, 0, &zero, count_cb, &n,
                                      past, &next), CTSEG_RETRY);
    assert_int_equal(n, 0);
    assert_true(next.sequence == 0);
    assert_int_equal(ctseg_store_seek(st->store, 0, 1, past, &next),
                     CTSEG_RETRY);
    assert_int_equal(ctseg_store_bounds(st->store, 0, past, &bounds),
                     CTSEG_RETRY);
    assert_int_equal(ctseg_store_trim(st->store, 0, INT64_MAX, UINT64_MAX, 1,
                                      past, &removed), CTSEG_RETRY);
    assert_int_equal(ctseg_store_get(st->store, ctseg_str("a"), past, &out,
                                     NULL), CTSEG_RETRY);
    assert_int_equal(ctseg_store_put(st->store, ctseg_str("a"),
                                     ctseg_str("2"), rev, past, NULL),
                     CTSEG_RETRY);
    assert_int_equal(ctseg_store_list(st->store, ctseg_str(""),
                                      ctseg_str(""), 0, NULL, NULL, past,
                                      NULL), CTSEG_RETRY);

    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);
    assert_true(bounds.first == 1 && bounds.last == 1);
    assert_int_equal(ctseg_store_get(st->store, ctseg_str("a"), st_soon(),
                                     &out, NULL), CTSEG_OK);
    assert_true(ctseg_str_is(ctseg_buf_slice(&out), "1"));

    ctseg_buf_free(&out);
    st_free(st);
}


/* what is left after everybody has gone */

static void
test_reopen(void **state)
{
    char             id[CTSEG_INSTALL_LEN + 1];
    st_t            *st;
    seen_t           seen;
    uint64_t         rev, rev2;
    ctseg_buf_t      out = { NULL, 0, 0, false };
    ctseg_pos_t      zero = { 0, 0, 0 }, next, last;

    (void) state;
    st = make(32 * ST_MB, 90);

    assert_int_equal(strlen(ctseg_store_installation(st->store)),
                     CTSEG_INSTALL_LEN);
    memcpy(id, ctseg_store_installation(st->store), sizeof(id));

    assert_int_equal(st_append(st->store, "p", 1, 5, &last), CTSEG_OK);
    assert_int_equal(ctseg_store_put(st->store, ctseg_str("k"),
                                     ctseg_str("v"), 0, st_soon(), &rev),
                     CTSEG_OK);

    ctseg_store_close(st->store);
    assert_int_equal(st_open(st), CTSEG_OK);

    assert_string_equal(ctseg_store_installation(st->store), id);
    assert_int_equal(scan(st->store, &zero, 0, CTSEG_GO_ON, &seen, &next),
                     CTSEG_AGAIN);
    assert_int_equal(seen.n, 1);
    assert_memory_equal(&next, &last, sizeof(last));
    assert_int_equal(ctseg_store_get(st->store, ctseg_str("k"), st_soon(),
                                     &out, &rev2), CTSEG_OK);
    assert_true(rev2 == rev);
    ctseg_buf_free(&out);
    st_free(st);

    /* another store is another one */

    st = make(32 * ST_MB, 90);
    assert_string_not_equal(ctseg_store_installation(st->store), id);
    assert_int_equal(st_append(st->store, "p", 1, 5, &next), CTSEG_OK);
    assert_int_not_equal(next.incarnation, last.incarnation);
    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pos),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_idempotent),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_seek),
        cmocka_unit_test(test_high_water),
        cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_reopen)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
