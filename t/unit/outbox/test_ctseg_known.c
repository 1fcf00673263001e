/*
 * What the log has, taken by content: each event once, the oldest first,
 * under whatever identity it shares; damage and other names are passed over.
 */

#include "outbox_test.h"

#include "outbox/ctseg_known.h"


static ctseg_zone_t  zone;


static uint64_t
take(ctseg_known_t *known, const char *identity, const char *object)
{
    ctseg_hash_t     h = { NULL };
    ctseg_event_t    ev;
    ctseg_content_t  c;

    test_event(&ev, "My Event", identity, "");
    ev.time_ms = TEST_TIME_MS / 1000 * 1000;

    if (object != NULL) {
        ev.id[CTSEG_ID_OBJECT] = ctseg_str(object);
    }

    assert_int_equal(ctseg_content(&ev, &zone, &h, &c), CTSEG_OK);
    ctseg_hash_free(&h);

    return ctseg_known_take(known, &c);
}


static void
test_take(void **state)
{
    st_t                 *st;
    unsigned              i;
    uint64_t              sequence;
    ctseg_err_t           err;
    ctseg_known_t        *known;
    ctseg_bounds_t        bounds;
    ctseg_known_query_t   q;
    ot_part_t             many = { 3000, "My Event", "u", TEST_TIME_MS, 0 };
    ot_part_t             other = { 5, "Yours", "u", TEST_TIME_MS, 0 };
    ot_part_t             late = { 1, "My Event", "late", TEST_TIME_MS, 0 };

    (void) state;
    ctseg_zone_fixed(&zone, "UTC", 0);
    st = ot_make(16 * ST_MB);
    ot_append(st, &other, 1, false);
    ot_append(st, &many, 1, true);
    ot_append(st, &many, 1, false);
    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);
    ot_append(st, &late, 1, false);

    memset(&q, 0, sizeof(q));
    q.name = ctseg_str("MYEVENT");
    q.from_ms = TEST_TIME_MS;
    q.to_ms = TEST_TIME_MS + 1;
    q.upto = bounds.last;
    q.incarnation = bounds.incarnation;
    q.zone = &zone;
    q.limit = 2999;
    assert_int_equal(ctseg_known_load(st->store, &q, st_soon(), &known, &err),
                     CTSEG_FULL);
    q.limit = 3000;
    assert_int_equal(ctseg_known_load(st->store, &q, st_soon(), &known, &err),
                     CTSEG_OK);

    ctseg_known_taken(known, 3007);

    for (i = 0, sequence = 3006; i < 2999; i++, sequence++) {
        sequence += sequence == 3007;
        assert_int_equal(take(known, "u", NULL), sequence);
    }

    assert_int_equal(take(known, "u", NULL), 0);
    assert_int_equal(take(known, "late", NULL), 0);
    ctseg_known_free(known);

    q.to_ms = TEST_TIME_MS;
    assert_int_equal(ctseg_known_load(st->store, &q, st_soon(), &known, &err),
                     CTSEG_OK);
    assert_int_equal(take(known, "u", NULL), 0);
    ctseg_known_free(known);
    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_take)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
