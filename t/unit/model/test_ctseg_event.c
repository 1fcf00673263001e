/*
 * The record of an event: the layout byte by byte, all combinations of
 * identities, every cut, and bytes that were never a record.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_event.h"


static void
test_layout(void **state)
{
    ctseg_buf_t    b = { NULL, 0, 0, false };
    ctseg_event_t  ev;

    static const char  want[] =
        "\x21\x00\x00\x00" "\x00" "\x05" "\x02\x00"
        "\x08\x07\x06\x05\x04\x03\x02\x01"
        "\x03\x00" "\x01\x00"
        "Buabce{\"p\":1}";

    (void) state;

    memset(&ev, 0, sizeof(ev));
    ev.time_ms = 0x0102030405060708LL;
    ev.name = ctseg_str("Bu");
    ev.id[CTSEG_ID_IDENTITY] = ctseg_str("abc");
    ev.id[CTSEG_ID_EMAIL] = ctseg_str("e");
    ev.props = ctseg_str("{\"p\":1}");

    ctseg_event_encode(&b, &ev);

    assert_int_equal(b.len, sizeof(want) - 1);
    assert_int_equal(b.len, 0x21);
    assert_memory_equal(b.data, want, b.len);

    ctseg_buf_free(&b);
}


static void
test_round_trip(void **state)
{
    unsigned       ids, i;
    ctseg_buf_t    b = { NULL, 0, 0, false };
    ctseg_str_t    in;
    ctseg_event_t  ev, back;

    static const char  *const values[CTSEG_ID_N] = {
        "a\\\"b", "__g1234", "x@example.com", "+491234", "9", "g"
    };

    (void) state;

    /* all 64 sets of identities one after another in one block */

    memset(&ev, 0, sizeof(ev));

    for (ids = 0; ids < 64; ids++) {
        ev.kind = ids % (CTSEG_KIND_LAST + 1);
        ev.name = ctseg_str(ev.kind == 0 ? "Bought" : "");
        ev.props = ctseg_str(ids % 3 == 0 ? "" : "{\"a\":[1,2]}");
        ev.time_ms = ids % 2 == 0 ? -(int64_t) ids : INT64_MAX - ids;

        for (i = 0; i < CTSEG_ID_N; i++) {
            ev.id[i] = ctseg_str((ids & (1u << i)) != 0 ? values[i] : "");
        }

        ctseg_event_encode(&b, &ev);
    }

    assert_false(b.failed);
    in = ctseg_buf_slice(&b);

    for (ids = 0; ids < 64; ids++) {
        assert_int_equal(ctseg_event_decode(&in, &back), CTSEG_OK);
        assert_int_equal(back.kind, ids % (CTSEG_KIND_LAST + 1));
        assert_true(ctseg_str_is(back.name, back.kind == 0 ? "Bought" : ""));
        assert_true(ctseg_str_is(back.props,
                                 ids % 3 == 0 ? "" : "{\"a\":[1,2]}"));
        assert_true(back.time_ms == (ids % 2 == 0 ? -(int64_t) ids
                                                  : INT64_MAX - ids));

        for (i = 0; i < CTSEG_ID_N; i++) {
            assert_true(ctseg_str_is(back.id[i],
                                     (ids & (1u << i)) != 0 ? values[i]
                                                            : ""));
        }
    }

    assert_int_equal(in.len, 0);
    assert_int_equal(ctseg_event_decode(&in, &back), CTSEG_NOTFOUND);

    ctseg_buf_free(&b);
}


static void
test_largest(void **state)
{
    char           *data;
    unsigned        i;
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_str_t     in;
    ctseg_event_t   ev, back;

    (void) state;

    data = malloc(CTSEG_PROPS_LEN_MAX);
    assert_non_null(data);
    memset(data, 'x', CTSEG_PROPS_LEN_MAX);

    memset(&ev, 0, sizeof(ev));
    ev.name.data = data;
    ev.name.len = CTSEG_NAME_LEN_MAX;
    ev.props.data = data;
    ev.props.len = CTSEG_PROPS_LEN_MAX;

    for (i = 0; i < CTSEG_ID_N; i++) {
        ev.id[i].data = data;
        ev.id[i].len = CTSEG_ID_LEN_MAX;
    }

    ctseg_event_encode(&b, &ev);
    in = ctseg_buf_slice(&b);

    assert_int_equal(ctseg_event_decode(&in, &back), CTSEG_OK);
    assert_int_equal(in.len, 0);
    assert_int_equal(back.name.len, CTSEG_NAME_LEN_MAX);
    assert_int_equal(back.props.len, CTSEG_PROPS_LEN_MAX);
    assert_int_equal(back.id[CTSEG_ID_GPID].len, CTSEG_ID_LEN_MAX);

    ctseg_buf_free(&b);
    free(data);
}


static void
test_sample(ctseg_buf_t *b)
{
    ctseg_event_t  ev;

    memset(&ev, 0, sizeof(ev));
    ev.time_ms = 1767323045678LL;
    ev.name = ctseg_str("Bought");
    ev.id[CTSEG_ID_IDENTITY] = ctseg_str("user-1");
    ev.id[CTSEG_ID_GPID] = ctseg_str("gp");
    ev.props = ctseg_str("{\"n\":1}");

    ctseg_event_encode(b, &ev);
    assert_false(b->failed);
}


static void
test_cuts(void **state)
{
    size_t         i;
    ctseg_buf_t    b = { NULL, 0, 0, false };
    ctseg_str_t    in;
    ctseg_event_t  ev;

    (void) state;

    test_sample(&b);

    for (i = 1; i < b.len; i++) {
        in.data = b.data;
        in.len = i;

        assert_int_equal(ctseg_event_decode(&in, &ev), CTSEG_CORRUPT);
        assert_ptr_equal(in.data, b.data);
        assert_int_equal(in.len, i);
    }

    ctseg_buf_free(&b);
}


static void
test_corrupt(void **state)
{
    size_t         i;
    ctseg_buf_t    b = { NULL, 0, 0, false };
    ctseg_str_t    in;
    ctseg_event_t  ev;

    static const struct {
        size_t         at;
        unsigned char  value;
    } cases[] = {
        { 0, 0 },               /* smaller than its own head */
        { 0, 15 },
        { 0, 16 },              /* no room for the lengths */
        { 0, 20 },              /* nor for what they promise */
        { 0, 255 },
        { 3, 1 },               /* larger than the block */
        { 4, 24 },              /* a kind that does not exist */
        { 4, 255 },
        { 5, 0x40 },            /* a seventh identity */
        { 5, 0xff },
        { 6, 200 },
        { 7, 1 },
        { 16, 100 },
        { 19, 255 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ctseg_buf_reset(&b);
        test_sample(&b);

        b.data[cases[i].at] = (char) cases[i].value;
        in = ctseg_buf_slice(&b);

        assert_int_equal(ctseg_event_decode(&in, &ev), CTSEG_CORRUPT);
        assert_int_equal(in.len, b.len);
    }

    ctseg_buf_free(&b);
}


static bool
test_within(ctseg_str_t s, const char *data, size_t len)
{
    return s.len == 0
           || (s.data >= data && s.len <= len
               && (size_t) (s.data - data) <= len - s.len);
}


static void
test_fuzz(void **state)
{
    char           *copy;
    size_t          i, len;
    uint32_t        seed;
    unsigned        n, j;
    ctseg_rc_t      rc;
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_str_t     in;
    ctseg_event_t   ev;

    (void) state;

    test_sample(&b);
    test_sample(&b);

    for (seed = 1, n = 0; n < 50000; n++) {

        /* of the exact size, so that a byte too far is seen by valgrind */

        seed = seed * 1664525 + 1013904223;
        len = n % 4 == 0 ? 1 + (seed >> 8) % b.len : b.len;

        copy = malloc(len);
        assert_non_null(copy);
        memcpy(copy, b.data, len);

        for (i = 0; i < 1 + n % 4; i++) {
            seed = seed * 1664525 + 1013904223;
            copy[(seed >> 8) % (n % 2 == 0 && len > 24 ? 24 : len)] =
                (char) (seed >> 24);
        }

        in.data = copy;
        in.len = len;

        do {
            rc = ctseg_event_decode(&in, &ev);

            if (rc == CTSEG_OK) {
                assert_true(ev.kind <= CTSEG_KIND_LAST
                            || ev.kind == CTSEG_KIND_PROFILE);
                assert_true(test_within(ev.name, copy, len));
                assert_true(test_within(ev.props, copy, len));

                for (j = 0; j < CTSEG_ID_N; j++) {
                    assert_true(test_within(ev.id[j], copy, len));
                }
            }

        } while (rc == CTSEG_OK);

        assert_true(rc == CTSEG_CORRUPT || rc == CTSEG_NOTFOUND);
        assert_int_equal(rc == CTSEG_NOTFOUND, in.len == 0);

        free(copy);
    }

    ctseg_buf_free(&b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_corrupt),
        cmocka_unit_test(test_fuzz)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
