/*
 * The log read in batches: every event of the cut in one of them, with its
 * verdict, none of what lies around the cut.  Where a batch ends is no matter
 * of chance, since a retry must find the same one again; and what is gone or
 * damaged counts, event by event, and holds up nothing.
 */

#include "outbox_test.h"


static void
test_read_of(ctseg_read_t *read, const ctseg_pinned_t *pinned, st_t *st,
    uint64_t after, uint64_t hi)
{
    ctseg_bounds_t  bounds;

    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);

    memset(read, 0, sizeof(ctseg_read_t));
    read->pinned = pinned;
    read->write_key = OT_KEY;
    read->incarnation = bounds.incarnation;
    read->after = after;
    read->hi = hi;
}


/* the next batch, which must be there and add up; the caller frees it */

static void
test_next(st_t *st, ctseg_read_t *read, ctseg_batch_t *b)
{
    ctseg_err_t  err;

    memset(b, 0, sizeof(ctseg_batch_t));

    assert_int_equal(ctseg_read_batch(st->store, read, st_soon(), b, &err),
                     CTSEG_OK);

    assert_int_equal(b->after, read->after);
    assert_true(b->upto > read->after);
    assert_true(b->upto <= read->hi);
    assert_int_equal(b->counts.scanned, b->upto - read->after);
    assert_int_equal(b->counts.scanned, b->counts.sent + b->counts.filtered
                                        + b->counts.rejected);
    assert_int_equal(b->counts.sent, b->events);

    read->after = b->upto;
}


static ctseg_rc_t
test_fails(st_t *st, const ctseg_read_t *read, int64_t deadline)
{
    ctseg_rc_t     rc;
    ctseg_err_t    err;
    ctseg_batch_t  b;

    memset(&b, 0, sizeof(ctseg_batch_t));
    memset(&err, 0, sizeof(ctseg_err_t));

    rc = ctseg_read_batch(st->store, read, deadline, &b, &err);

    assert_int_not_equal(rc, CTSEG_OK);
    assert_int_not_equal(err.text[0], '\0');
    ctseg_batch_free(&b);

    return rc;
}


/* the sequence in the id of a message, which is 16 digits before a quote */

static uint64_t
test_sequence(ctseg_str_t message)
{
    char         text[17];
    const char  *p;

    p = memmem(message.data, message.len, "\",\"userId\"", 10);
    assert_non_null(p);
    memcpy(text, p - 16, 16);
    text[16] = '\0';

    return strtoull(text, NULL, 16);
}


static void
test_verdicts(void **state)
{
    st_t            *st;
    ctseg_read_t     read;
    ctseg_batch_t    b;
    ctseg_pinned_t   pinned;

    /* in one block, and in two that need not be opened */

    static const ot_part_t  mixed[] = {
        { 3, "App Launched", "u", TEST_TIME_MS, 0 },
        { 2, "Charged", "u", TEST_TIME_MS, 0 },
        { 4, "App Launched", NULL, TEST_TIME_MS, 0 },
        { 1, "App Launched", "u", TEST_TIME_MS - 1, 0 },
        { 5, "App Launched", "u", TEST_TIME_MS, 0 }
    };
    static const ot_part_t  other = { 7, "Charged", "u", TEST_TIME_MS, 0 };
    static const ot_part_t  old = { 8, "App Launched", "u", 1, 0 };

    (void) state;

    st = ot_make(16 * ST_MB);
    ot_append(st, &other, 1, false);
    ot_append(st, mixed, 5, false);
    ot_append(st, &old, 1, false);
    ot_append_n(st, 1);

    test_pinned(&pinned);
    pinned.kinds = ctseg_kind_bit(ctseg_catalog_find(
                                                ctseg_str("App Launched")));
    pinned.from_ms = TEST_TIME_MS;

    test_read_of(&read, &pinned, st, 0, 31);
    test_next(st, &read, &b);

    assert_int_equal(b.upto, 31);
    assert_int_equal(b.counts.sent, 3 + 5 + 1);
    assert_int_equal(b.counts.rejects[CTSEG_REJECT_NO_ID], 4);
    assert_int_equal(b.counts.filtered, 7 + 2 + 1 + 8);
    assert_int_equal(test_sequence(ctseg_batch_message(&b, 0)), 8);
    assert_int_equal(test_sequence(ctseg_batch_message(&b, 3)), 18);
    ctseg_batch_free(&b);

    /* nothing of any kind: one batch without an event */

    pinned.kinds = 0;
    test_read_of(&read, &pinned, st, 0, 31);
    test_next(st, &read, &b);
    assert_int_equal(b.upto, 31);
    assert_int_equal(b.counts.filtered, 31);
    ctseg_batch_free(&b);

    st_free(st);
}


/* a cut begins and ends anywhere, in a block that matches and in one not */

static void
test_edges(void **state)
{
    st_t            *st;
    uint64_t         after, hi;
    ctseg_read_t     read;
    ctseg_batch_t    b;
    ctseg_pinned_t   pinned;

    static const ot_part_t  other = { 4, "Charged", "u", TEST_TIME_MS, 0 };

    (void) state;

    st = ot_make(16 * ST_MB);
    ot_append_n(st, 4);
    ot_append(st, &other, 1, false);
    ot_append_n(st, 4);

    test_pinned(&pinned);
    pinned.kinds = ctseg_catalog_set(CTSEG_SET_SYSTEM);

    for (after = 0; after < 12; after++) {
        for (hi = after + 1; hi <= 12; hi++) {

            test_read_of(&read, &pinned, st, after, hi);
            test_next(st, &read, &b);

            assert_int_equal(b.upto, hi);

            if (after < 4 || after >= 8) {
                assert_int_equal(test_sequence(ctseg_batch_message(&b, 0)),
                                 after + 1);
            }

            ctseg_batch_free(&b);
        }
    }

    st_free(st);
}


static void
test_many(void **state)
{
    st_t            *st;
    unsigned         i;
    uint64_t         sent, after;
    ctseg_read_t     read;
    ctseg_batch_t    a, b;
    ctseg_pinned_t   pinned;

    static const ot_part_t  large = { 30, "App Launched", "u", TEST_TIME_MS,
                                      28000 };

    (void) state;

    st = ot_make(64 * ST_MB);

    for (i = 0; i < 7; i++) {
        ot_append_n(st, 1000);
    }

    for (i = 0; i < 3; i++) {
        ot_append(st, &large, 1, false);
    }

    test_pinned(&pinned);
    test_read_of(&read, &pinned, st, 0, 7090);

    sent = 0;
    i = 0;

    while (read.after != read.hi) {
        after = read.after;
        test_next(st, &read, &a);
        sent += a.events;
        i++;

        /* read again up to there, as a retry does, it is the same */

        test_read_of(&read, &pinned, st, after, a.upto);
        test_next(st, &read, &b);
        assert_int_equal(a.body.len, b.body.len);
        assert_memory_equal(a.body.data, b.body.data, a.body.len);

        read.hi = 7090;
        ctseg_batch_free(&a);
        ctseg_batch_free(&b);
    }

    assert_int_equal(sent, 7090);

    /* 2,500, 2,500, the rest with a few large ones, 16 large ones each */

    assert_int_equal(i, 2 + 1 + 6);

    st_free(st);
}


/* 64 MB of the log at most, however little of what was looked at is sent */

static void
test_bytes(void **state)
{
    st_t            *st;
    unsigned         i;
    uint64_t         first;
    ctseg_read_t     read;
    ctseg_batch_t    b;
    ctseg_pinned_t   pinned;

    static const ot_part_t  parts[] = {
        { 1, "App Launched", "u", TEST_TIME_MS, 0 },
        { 35, "Charged", "u", TEST_TIME_MS - 1, 28000 }
    };

    (void) state;

    st = ot_make(128 * ST_MB);

    for (i = 0; i < 80; i++) {
        ot_append(st, parts, 2, false);
    }

    test_pinned(&pinned);
    pinned.from_ms = TEST_TIME_MS;

    test_read_of(&read, &pinned, st, 0, 80 * 36);
    test_next(st, &read, &b);

    first = b.upto;
    assert_int_equal(first % 36, 0);
    assert_in_range(first / 36 * 35 * 28000, CTSEG_READ_BYTES - 2 * ST_MB,
                    CTSEG_READ_BYTES + 2 * ST_MB);
    assert_int_equal(b.events, first / 36);
    ctseg_batch_free(&b);

    test_next(st, &read, &b);
    assert_int_equal(b.upto, 80 * 36);
    assert_int_equal(b.events, 80 - first / 36);
    ctseg_batch_free(&b);

    /* what the directory tells costs nothing, which version 1 has not */

    pinned.from_ms = INT64_MIN;
    pinned.kinds = ctseg_catalog_set(CTSEG_SET_SYSTEM);
    test_read_of(&read, &pinned, st, 0, 80 * 36);
    test_next(st, &read, &b);
    assert_int_equal(b.upto, ot_old ? first : 80 * 36);
    assert_int_equal(b.events, b.upto / 36);
    ctseg_batch_free(&b);

    /* headers alone cost nothing */

    pinned.kinds = ctseg_kind_bit(CTSEG_KIND_LAST);
    test_read_of(&read, &pinned, st, 0, 80 * 36);
    test_next(st, &read, &b);
    assert_int_equal(b.upto, 80 * 36);
    ctseg_batch_free(&b);

    st_free(st);
}


static void
test_damaged(const ctseg_batch_t *b, uint64_t upto, unsigned sent,
    unsigned damaged, uint64_t at)
{
    assert_int_equal(b->upto, upto);
    assert_int_equal(b->counts.sent, sent);
    assert_int_equal(b->counts.rejects[CTSEG_REJECT_DAMAGED], damaged);
    assert_int_equal(b->ndamaged, damaged != 0);

    if (damaged != 0) {
        assert_int_equal(b->damaged[0], at);
    }
}


/* a cut that begins or ends anywhere around a damage or in it */

static void
test_damage(void **state)
{
    st_t            *st;
    uint64_t         after, hi, i, sent, damaged;
    ctseg_read_t     read;
    ctseg_batch_t    b;
    ctseg_pinned_t   pinned;

    static const ot_part_t  bad = { 5, "App Launched", "u", TEST_TIME_MS, 0 };

    (void) state;

    st = ot_make(16 * ST_MB);
    ot_append_n(st, 3);
    ot_append(st, &bad, 1, true);
    ot_append_n(st, 4);

    test_pinned(&pinned);

    for (after = 0; after < 12; after++) {
        for (hi = after + 1; hi <= 12; hi++) {

            for (sent = damaged = 0, i = after + 1; i <= hi; i++) {
                damaged += i >= 4 && i <= 8;
                sent += i < 4 || i > 8;
            }

            test_read_of(&read, &pinned, st, after, hi);
            test_next(st, &read, &b);
            test_damaged(&b, hi, (unsigned) sent, (unsigned) damaged, 4);

            if (sent != 0) {
                assert_int_equal(test_sequence(ctseg_batch_message(&b, 0)),
                                 after + 1 < 4 || after + 1 > 8
                                 ? after + 1 : 9);
            }

            ctseg_batch_free(&b);
        }
    }

    /* halves of it meet it once */

    test_read_of(&read, &pinned, st, 0, 12);
    read.limit = 3;
    test_next(st, &read, &b);
    test_damaged(&b, 8, 3, 5, 4);
    ctseg_batch_free(&b);
    read.limit = 0;
    test_next(st, &read, &b);
    test_damaged(&b, 12, 4, 0, 0);
    ctseg_batch_free(&b);

    st_free(st);
}


/*
 * A block of eight whose records 2, 3, 6 and 8 are not what they were.  Each
 * costs itself, and those next to each other are one place; of another kind
 * they cost nothing, since nobody looks.
 */

static void
test_records(void **state)
{
    st_t                   *st;
    bool                    bad, before;
    unsigned                i, places, sent, damaged;
    uint64_t                after, hi, first;
    ctseg_read_t            read;
    ctseg_batch_t           b;
    ctseg_block_t           block;
    ctseg_event_t           ev;
    ctseg_pinned_t          pinned;
    ctseg_block_builder_t   bb;

    (void) state;

    st = ot_make(16 * ST_MB);
    memset(&bb, 0, sizeof(bb));
    test_event(&ev, "App Launched", "u", "");
    ev.time_ms = TEST_TIME_MS;

    for (i = 0; i < 8; i++) {
        assert_true(ctseg_block_add(&bb, &ev));
    }

    assert_int_equal(ctseg_block_finish(&bb, &block), CTSEG_OK);

    for (i = 1; i <= 8; i++) {
        if (i == 2 || i == 3 || i == 6 || i == 8) {
            bb.buf.data[i * block.payload.len / 8 - 1] ^= 1;
        }
    }

    assert_int_equal(ctseg_store_append(st->store, 0, "another-producer", 1,
                                        &block, 1, st_soon(), NULL, NULL),
                     CTSEG_OK);
    ctseg_block_builder_free(&bb);
    ot_append_n(st, 2);

    test_pinned(&pinned);

    for (after = 0; after < 10; after++) {
        for (hi = after + 1; hi <= 10; hi++) {

            before = false;
            first = 0;
            places = sent = damaged = 0;

            for (i = (unsigned) after + 1; i <= hi; i++) {
                bad = i == 2 || i == 3 || i == 6 || i == 8;
                places += bad && !before;
                first = bad && first == 0 ? i : first;
                damaged += bad;
                sent += !bad;
                before = bad;
            }

            test_read_of(&read, &pinned, st, after, hi);
            test_next(st, &read, &b);
            assert_int_equal(b.upto, hi);
            assert_int_equal(b.counts.sent, sent);
            assert_int_equal(b.counts.rejects[CTSEG_REJECT_DAMAGED], damaged);
            assert_int_equal(b.ndamaged, places);

            if (places != 0) {
                assert_int_equal(b.damaged[0], first);
            }

            ctseg_batch_free(&b);
        }
    }

    pinned.kinds = ctseg_kind_bit(CTSEG_KIND_LAST);
    test_read_of(&read, &pinned, st, 0, 10);
    test_next(st, &read, &b);
    assert_int_equal(b.counts.filtered, 10);
    ctseg_batch_free(&b);

    st_free(st);
}


static void
test_errors(void **state)
{
    st_t            *st;
    ctseg_read_t     read;
    ctseg_batch_t    b;
    ctseg_pinned_t   pinned;

    static const ot_part_t  bad = { 5, "App Launched", "u", TEST_TIME_MS, 0 };

    (void) state;

    st = ot_make(16 * ST_MB);
    ot_append_n(st, 10);
    ot_append(st, &bad, 1, true);
    ot_append_n(st, 10);

    test_pinned(&pinned);
    test_read_of(&read, &pinned, st, 0, 25);

    /* no time at all */

    assert_int_equal(test_fails(st, &read, ctseg_mono_ms() - 1),
                     CTSEG_RETRY);

    /* what is damaged counts, and its neighbors are sent */

    test_next(st, &read, &b);
    test_damaged(&b, 25, 20, 5, 11);
    ctseg_batch_free(&b);

    /* whoever does not want what is in it need not know */

    read.after = 0;
    pinned.from_ms = TEST_TIME_MS + 1;
    test_next(st, &read, &b);
    test_damaged(&b, 25, 0, 0, 0);
    ctseg_batch_free(&b);
    pinned.from_ms = INT64_MIN;

    /* a log that ends before the cut does */

    test_read_of(&read, &pinned, st, 15, 26);
    test_next(st, &read, &b);
    assert_int_equal(b.upto, 25);
    ctseg_batch_free(&b);
    assert_int_equal(test_fails(st, &read, st_soon()), CTSEG_CORRUPT);

    /* another log, asked for its beginning and its middle */

    test_read_of(&read, &pinned, st, 0, 25);
    read.incarnation++;
    assert_int_equal(test_fails(st, &read, st_soon()), CTSEG_TRIMMED);
    read.after = 15;
    assert_int_equal(test_fails(st, &read, st_soon()), CTSEG_TRIMMED);

    /* what is not kept any more */

    ot_trim(st, 11);
    test_read_of(&read, &pinned, st, 3, 25);
    assert_int_equal(test_fails(st, &read, st_soon()), CTSEG_TRIMMED);

    st_free(st);
}


/* the same, by one who counts what is gone and goes on behind it */

static void
test_expired(void **state)
{
    st_t            *st;
    unsigned         i;
    ctseg_read_t     read;
    ctseg_batch_t    b, whole;
    ctseg_pinned_t   pinned;

    (void) state;

    st = ot_make(16 * ST_MB);
    ot_append_n(st, 10);
    ot_append_n(st, 10);
    ot_append_n(st, 10);

    test_pinned(&pinned);
    test_read_of(&read, &pinned, st, 3, 25);
    read.expire = true;

    test_next(st, &read, &b);
    assert_int_equal(b.upto, 25);
    assert_int_equal(b.counts.rejected, 0);
    ctseg_batch_free(&b);

    ot_trim(st, 11);

    /* the rest of the batch is what it was, so that it may be sent again */

    read.after = 3;
    test_next(st, &read, &b);
    assert_int_equal(b.upto, 25);
    assert_int_equal(b.events, 15);
    assert_int_equal(b.counts.rejected, 7);
    assert_int_equal(b.counts.rejects[CTSEG_REJECT_EXPIRED], 7);

    read.after = 10;
    test_next(st, &read, &whole);
    assert_int_equal(whole.counts.rejected, 0);
    assert_int_equal(whole.body.len, b.body.len);
    assert_memory_equal(whole.body.data, b.body.data, b.body.len);
    ctseg_batch_free(&whole);
    ctseg_batch_free(&b);

    /* all of the cut, up to its end and beyond it */

    read.after = 3;
    read.hi = 10;
    test_next(st, &read, &b);
    assert_int_equal(b.upto, 10);
    assert_int_equal(b.events, 0);
    assert_int_equal(b.counts.rejects[CTSEG_REJECT_EXPIRED], 7);
    ctseg_batch_free(&b);

    ot_trim(st, UINT64_MAX);
    read.after = 0;
    read.hi = 25;
    test_next(st, &read, &b);
    assert_int_equal(b.upto, 25);
    assert_int_equal(b.counts.rejects[CTSEG_REJECT_EXPIRED], 25);
    ctseg_batch_free(&b);

    /* a log made anew has nothing of it, whatever it has itself */

    ot_append_n(st, 10);

    read.incarnation++;
    read.hi = 35;

    for (i = 0; i < 2; i++) {
        read.after = i == 0 ? 0 : 27;
        test_next(st, &read, &b);
        assert_int_equal(b.upto, 35);
        assert_int_equal(b.events, 0);
        assert_int_equal(b.counts.rejects[CTSEG_REJECT_EXPIRED],
                         b.upto - b.after);
        ctseg_batch_free(&b);
    }

    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        ot_unit_tests(test_verdicts),
        ot_unit_tests(test_edges),
        ot_unit_tests(test_many),
        ot_unit_tests(test_bytes),
        ot_unit_tests(test_errors),
        ot_unit_tests(test_damage),
        cmocka_unit_test(test_records),
        ot_unit_tests(test_expired)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
