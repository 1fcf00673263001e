/*
 * What the log has, taken by content: each event once, the oldest first,
 * under whatever identity it shares; damage, other names and what is not of
 * this log up to this sequence are passed over.  A load that finds nothing
 * would pass for one that must not, so each also finds something.
 */

#include "outbox_test.h"

#include "outbox/ctseg_known.h"


static ctseg_zone_t  zone;


static void
event(ctseg_event_t *ev, const char *identity, const char *object)
{
    test_event(ev, "My Event", identity, "");

    if (object != NULL) {
        ev->id[CTSEG_ID_OBJECT] = ctseg_str(object);
    }
}


static uint64_t
take(ctseg_known_t *known, const char *identity, const char *object)
{
    ctseg_hash_t     h = { NULL };
    ctseg_event_t    ev;
    ctseg_content_t  c;

    event(&ev, identity, object);
    ev.time_ms = TEST_TIME_MS / 1000 * 1000;

    assert_int_equal(ctseg_content(&ev, &zone, &h, &c), CTSEG_OK);
    ctseg_hash_free(&h);

    return ctseg_known_take(known, &c);
}


/* all there is of the event now; it may be changed before it is loaded */

static void
query(st_t *st, ctseg_known_query_t *q)
{
    ctseg_bounds_t  bounds;

    ctseg_zone_fixed(&zone, "UTC", 0);
    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);

    memset(q, 0, sizeof(ctseg_known_query_t));
    q->name = ctseg_str("MYEVENT");
    q->from_ms = TEST_TIME_MS;
    q->to_ms = TEST_TIME_MS + 1;
    q->upto = bounds.last;
    q->incarnation = bounds.incarnation;
    q->zone = &zone;
}


static ctseg_known_t *
load(st_t *st, const ctseg_known_query_t *q)
{
    ctseg_err_t     err;
    ctseg_known_t  *known;

    assert_int_equal(ctseg_known_load(st->store, q, st_soon(), &known, &err),
                     CTSEG_OK);
    assert_non_null(known);

    return known;
}


static void
fails(st_t *st, const ctseg_known_query_t *q, ctseg_rc_t rc)
{
    ctseg_err_t     err;
    ctseg_known_t  *known;

    err.text[0] = '\0';
    assert_int_equal(ctseg_known_load(st->store, q, st_soon(), &known, &err),
                     rc);
    assert_null(known);
    assert_int_not_equal(err.text[0], '\0');
}


/* that many are there under this identity */

static void
expect(st_t *st, const ctseg_known_query_t *q, const char *identity,
    uint64_t first, unsigned n)
{
    unsigned        i;
    ctseg_known_t  *known;

    known = load(st, q);

    for (i = 0; i < n; i++) {
        assert_int_equal(take(known, identity, NULL), first + i);
    }

    assert_int_equal(take(known, identity, NULL), 0);
    ctseg_known_free(known);
}


static void
test_take(void **state)
{
    st_t                 *st;
    unsigned              i;
    uint64_t              sequence;
    ctseg_known_t        *known;
    ot_part_t             many = { 3000, "My Event", "u", TEST_TIME_MS, 0 };
    ot_part_t             other = { 5, "Yours", "u", TEST_TIME_MS, 0 };
    ot_part_t             late = { 1, "My Event", "late", TEST_TIME_MS, 0 };
    ctseg_known_query_t   q;

    (void) state;
    st = ot_make(16 * ST_MB);
    ot_append(st, &other, 1, false);
    ot_append(st, &many, 1, true);
    ot_append(st, &many, 1, false);
    query(st, &q);
    ot_append(st, &late, 1, false);

    q.limit = 2999;
    fails(st, &q, CTSEG_FULL);
    q.limit = 3000;
    known = load(st, &q);
    ctseg_known_taken(known, 3007);

    for (i = 0, sequence = 3006; i < 2999; i++, sequence++) {
        sequence += sequence == 3007;
        assert_int_equal(take(known, "u", NULL), sequence);
    }

    assert_int_equal(take(known, "u", NULL), 0);
    assert_int_equal(take(known, "late", NULL), 0);
    ctseg_known_free(known);

    st_free(st);
}


static void
test_times(void **state)
{
    st_t                 *st;
    ot_part_t             block[] = {
        { 1, "My Event", "u", TEST_TIME_MS - 2000, 0 },
        { 1, "My Event", "u", TEST_TIME_MS, 0 },
        { 1, "My Event", "u", TEST_TIME_MS + 2000, 0 }
    };
    ctseg_known_query_t   q;

    (void) state;
    st = ot_make(16 * ST_MB);
    ot_append(st, block, 3, false);

    query(st, &q);
    expect(st, &q, "u", 2, 1);
    q.from_ms = TEST_TIME_MS - 2000;
    q.to_ms = TEST_TIME_MS;
    expect(st, &q, "u", 0, 0);
    q.from_ms = TEST_TIME_MS + 1;
    q.to_ms = TEST_TIME_MS + 2001;
    expect(st, &q, "u", 0, 0);
    q.from_ms = INT64_MIN;
    q.to_ms = INT64_MAX;
    expect(st, &q, "u", 2, 1);
    st_free(st);
}


static void
test_upto(void **state)
{
    st_t                 *st;
    ot_part_t             part = { 2, "My Event", "u", TEST_TIME_MS, 0 };
    ot_part_t             block[] = {
        { 2, "My Event", "u", TEST_TIME_MS, 0 },
        { 2, "My Event", "v", TEST_TIME_MS, 0 }
    };
    ctseg_known_query_t   q;

    (void) state;
    st = ot_make(16 * ST_MB);
    ot_append(st, block, 2, false);
    ot_append(st, &part, 1, false);

    query(st, &q);
    q.upto = 3;
    expect(st, &q, "u", 1, 2);
    expect(st, &q, "v", 3, 1);
    q.upto = 4;
    expect(st, &q, "u", 1, 2);
    expect(st, &q, "v", 3, 2);
    q.upto = 0;
    expect(st, &q, "u", 0, 0);

    /* the log does not go so far */

    q.upto = 1000;
    expect(st, &q, "v", 3, 2);
    st_free(st);
}


static void
test_gone(void **state)
{
    st_t                 *st;
    ot_part_t             part = { 2, "My Event", "u", TEST_TIME_MS, 0 };
    ctseg_known_query_t   q;

    (void) state;
    st = ot_make(16 * ST_MB);
    ot_append(st, &part, 1, false);
    ot_append(st, &part, 1, false);
    ot_append(st, &part, 1, false);

    query(st, &q);
    ot_trim(st, 3);
    expect(st, &q, "u", 3, 4);

    q.upto = 2;
    expect(st, &q, "u", 0, 0);

    /* what was known of another log is nothing of this one */

    query(st, &q);
    q.incarnation++;
    expect(st, &q, "u", 0, 0);

    query(st, &q);
    ot_trim(st, 7);
    expect(st, &q, "u", 0, 0);
    st_free(st);
}


static bool
go_on(void *data)
{
    return (*(unsigned *) data)-- != 1;
}


static void
test_stop(void **state)
{
    st_t                 *st;
    unsigned              i, n, asked;
    ctseg_known_t        *known;
    ot_part_t             part = { 20, "My Event", "u", TEST_TIME_MS, 20000 };
    ot_part_t             last = { 1, "My Event", "u", TEST_TIME_MS, 0 };
    ctseg_known_query_t   q;

    (void) state;
    st = ot_make(16 * ST_MB);

    for (i = 0; i < 4; i++) {
        ot_append(st, &part, 1, false);
    }

    ot_append(st, &last, 1, false);

    query(st, &q);
    q.go_on = go_on;
    q.data = &n;
    n = 1000;
    known = load(st, &q);
    assert_int_equal(take(known, "u", NULL), 81);
    ctseg_known_free(known);

    /* a scan holds the log for some blocks only */

    asked = 1000 - n;
    assert_in_range(asked, 2, 5);

    for (i = 1; i <= asked; i++) {
        n = i;
        fails(st, &q, CTSEG_CONFLICT);
        assert_int_equal(n, 0);
    }

    st_free(st);
}


/* of each pair an identity and an object id, in this order */

static void
append(st_t *st, const char *const ids[][2], unsigned n)
{
    bool                    dup;
    unsigned                i;
    ctseg_pos_t             last;
    ctseg_block_t           b;
    ctseg_event_t           ev;
    ctseg_block_builder_t   bb;

    memset(&bb, 0, sizeof(bb));

    for (i = 0; i < n; i++) {
        event(&ev, ids[i][0], ids[i][1]);
        assert_true(ctseg_block_add(&bb, &ev));
    }

    assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_OK);
    assert_int_equal(ctseg_store_append(st->store, 0, "of-identities---", 1,
                                        &b, 1, st_soon(), &last, &dup),
                     CTSEG_OK);
    ctseg_block_builder_free(&bb);
}


static void
test_identities(void **state)
{
    st_t                 *st;
    ctseg_known_t        *known;
    ctseg_known_query_t   q;

    static const char *const  ids[][2] = {
        { "u", "o" }, { "v", "o" }, { NULL, "o" }, { "w", NULL },
        { "u", "p" }, { "x", "r" }
    };

    (void) state;
    st = ot_make(16 * ST_MB);
    append(st, ids, 6);
    query(st, &q);
    known = load(st, &q);

    /* of another person on the same device, and of one who is not known */

    assert_int_equal(take(known, "v", "o"), 2);
    assert_int_equal(take(known, "y", "o"), 3);
    assert_int_equal(take(known, "y", "o"), 0);

    /* by the second identity, and not once more by the first */

    assert_int_equal(take(known, "w", "q"), 4);
    assert_int_equal(take(known, NULL, "o"), 1);
    assert_int_equal(take(known, NULL, "o"), 0);
    assert_int_equal(take(known, "u", "o"), 5);
    assert_int_equal(take(known, "u", NULL), 0);

    assert_int_equal(take(known, "y", "r"), 0);
    assert_int_equal(take(known, NULL, "r"), 6);
    assert_int_equal(take(known, "x", NULL), 0);
    ctseg_known_free(known);

    /* the older of two that fit */

    known = load(st, &q);
    assert_int_equal(take(known, "u", "p"), 1);
    assert_int_equal(take(known, "u", "p"), 5);
    ctseg_known_free(known);

    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        ot_unit_tests(test_take),
        ot_unit_tests(test_times),
        ot_unit_tests(test_upto),
        ot_unit_tests(test_gone),
        ot_unit_tests(test_stop),
        ot_unit_tests(test_identities)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
