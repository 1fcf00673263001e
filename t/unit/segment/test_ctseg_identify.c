/*
 * Updates of profiles in a batch: one message a profile with the latest of
 * its traits, every update with one verdict, and the same bytes each time.
 * A messageId that stands for other updates must be another one, or Segment
 * would take the message for one that it has.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "segment_test.h"

#include "segment/ctseg_identify.h"


#define ID(n)                                                                \
    "{\"type\":\"identify\",\"messageId\":\"ctseg-0123456789abcdef-"         \
    "fedcba9876543210-" n "\","
#define TIME  "\"timestamp\":\"2026-01-02T03:04:05.678Z\",\"traits\":"


static void
test_profiles(ctseg_pinned_t *pinned)
{
    test_pinned(pinned);

    pinned->type = CTSEG_TYPE_PROFILE;
    pinned->kinds = ctseg_kind_bit(CTSEG_KIND_PROFILE);
}


static void
test_update(ctseg_event_t *ev, const char *identity, const char *props)
{
    test_event(ev, "App Launched", identity, props);
    ev->kind = CTSEG_KIND_PROFILE;
}


static bool
test_offer(ctseg_batch_t *b, const char *identity, const char *props)
{
    ctseg_event_t  ev;

    test_update(&ev, identity, props);

    return ctseg_batch_offer(b, &ev);
}


/* what stands in the array, and that every mark is where a message is */

static void
test_messages(ctseg_batch_t *b, const char *expect)
{
    size_t       at;
    unsigned     i;
    ctseg_str_t  message;

    assert_int_equal(b->rc, CTSEG_OK);
    assert_int_equal(b->counts.scanned, b->upto - b->after);
    assert_int_equal(b->counts.scanned, b->counts.sent + b->counts.filtered
                                        + b->counts.rejected);
    assert_int_equal(b->counts.sent, b->events);

    ctseg_buf_char(&b->body, '\0');
    assert_string_equal(b->body.data + b->head, expect);
    b->body.len--;

    for (i = 0, at = b->head; i < b->events && i < CTSEG_BATCH_MARKS; i++) {
        message = ctseg_batch_message(b, i);
        assert_ptr_equal(message.data, b->body.data + at);
        assert_memory_equal(message.data, "{\"type\"", 7);
        assert_int_equal(message.data[message.len - 1], '}');
        at += message.len + 1;
    }

    assert_int_equal(ctseg_batch_message(b, i).len, 0);
}


static void
test_message(void **state)
{
    ctseg_batch_t   b;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_profiles(&pinned);
    memset(&b, 0, sizeof(b));
    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);

    /* an event is not its business */

    test_event(&ev, "App Launched", "I", "{}");
    assert_true(ctseg_batch_offer(&b, &ev));

    test_update(&ev, "I", "{\"Name\":\"N\",\"n\":{\"$incr\":1},"
                "\"DOB\":\"$D_631152000\"}");
    ev.id[CTSEG_ID_OBJECT] = ctseg_str("O");
    assert_true(ctseg_batch_offer(&b, &ev));

    /* without traits it still says who there is */

    assert_true(test_offer(&b, "J", "{\"n\":{\"$incr\":1}}"));

    /* without anybody it is none */

    assert_true(test_offer(&b, NULL, "{\"a\":1}"));

    test_messages(&b, ID("0000000000000002") "\"userId\":\"I\","
                  "\"anonymousId\":\"O\"," TIME "{\"name\":\"N\","
                  "\"birthday\":\"1990-01-01T00:00:00.000Z\"}},"
                  ID("0000000000000003") "\"userId\":\"J\"," TIME "{}}");

    assert_int_equal(b.counts.filtered, 1);
    assert_int_equal(b.counts.rejects[CTSEG_REJECT_NO_ID], 1);
    assert_true(ctseg_str_is(ctseg_batch_kept(&b, 0),
                             ID("0000000000000004") TIME "{\"a\":1}}"));

    ctseg_batch_free(&b);
}


static void
test_merged(void **state)
{
    ctseg_batch_t   b;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_profiles(&pinned);
    memset(&b, 0, sizeof(b));
    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);

    assert_true(test_offer(&b, "I", "{\"a\":1,\"b\":1}"));
    assert_true(test_offer(&b, "J", "{\"a\":2}"));
    assert_true(test_offer(&b, "I", "{\"b\":3,\"c\":3}"));

    /* the same user on a device is somebody else: ids are not mixed */

    test_update(&ev, "I", "{\"b\":4}");
    ev.id[CTSEG_ID_OBJECT] = ctseg_str("O");
    assert_true(ctseg_batch_offer(&b, &ev));

    /* the only one, the first, the last, and one in between */

    assert_true(test_offer(&b, "J", "{\"a\":{\"$delete\":1}}"));
    assert_true(test_offer(&b, "J", "{\"d\":6}"));
    assert_true(test_offer(&b, "I", "{\"a\":{\"$add\":[7]},\"e\":7}"));

    test_messages(&b, ID("0000000000000004") "\"userId\":\"I\","
                  "\"anonymousId\":\"O\"," TIME "{\"b\":4}},"
                  ID("0000000000000006-0000000000000002")
                  "\"userId\":\"J\"," TIME "{\"a\":null,\"d\":6}},"
                  ID("0000000000000007-0000000000000001")
                  "\"userId\":\"I\"," TIME
                  "{\"a\":1,\"b\":3,\"c\":3,\"e\":7}}");

    assert_int_equal(b.events, 3);
    assert_int_equal(b.counts.filtered, 4);
    assert_int_equal(b.last, 7);

    ctseg_batch_free(&b);

    /* begun further on it is another message, by its id as well */

    memset(&b, 0, sizeof(b));
    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 2);
    assert_true(test_offer(&b, "I", "{\"b\":3,\"c\":3}"));
    ctseg_batch_skip(&b, 6);
    assert_true(test_offer(&b, "I", "{\"a\":{\"$add\":[7]},\"e\":7}"));
    test_messages(&b, ID("0000000000000007-0000000000000003")
                  "\"userId\":\"I\"," TIME "{\"b\":3,\"c\":3,\"e\":7}}");
    ctseg_batch_free(&b);
}


/* half of a batch is full with so many messages, merged or not */

static void
test_limit(void **state)
{
    ctseg_batch_t   b;
    ctseg_pinned_t  pinned;

    (void) state;

    test_profiles(&pinned);
    memset(&b, 0, sizeof(b));
    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);
    b.limit = 2;

    assert_true(test_offer(&b, "I", "{\"a\":1}"));
    assert_true(test_offer(&b, "I", "{\"a\":2}"));
    assert_true(test_offer(&b, "J", "{\"a\":3}"));
    assert_false(test_offer(&b, "I", "{\"a\":4}"));
    assert_int_equal(b.upto, 3);
    test_messages(&b, ID("0000000000000002-0000000000000001")
                  "\"userId\":\"I\"," TIME "{\"a\":2}},"
                  ID("0000000000000003") "\"userId\":\"J\"," TIME
                  "{\"a\":3}}");

    ctseg_batch_free(&b);
}


/* two that would be too large as one stay two, and the third joins the
   second; many of them keep the limits */

static void
test_large(void **state)
{
    char            *props, who[16];
    unsigned         i;
    ctseg_batch_t    b, again;
    ctseg_pinned_t   pinned;

    (void) state;

    test_profiles(&pinned);
    props = malloc(20001);
    assert_non_null(props);

    memset(&b, 0, sizeof(b));
    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);

    for (i = 0; i < 2; i++) {
        memset(props, 'x', 20000);
        memcpy(props, i == 0 ? "{\"a\":\"" : "{\"b\":\"", 6);
        memcpy(props + 19998, "\"}", 3);
        assert_true(test_offer(&b, "I", props));
    }

    assert_true(test_offer(&b, "I", "{\"a\":3}"));
    assert_int_equal(b.events, 2);
    assert_int_equal(b.counts.filtered, 1);
    assert_memory_equal(ctseg_batch_message(&b, 1).data,
                        ID("0000000000000003-0000000000000002"),
                        sizeof(ID("0000000000000003-0000000000000002")) - 1);
    ctseg_batch_free(&b);

    memset(&b, 0, sizeof(b));
    memset(&again, 0, sizeof(again));
    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);
    ctseg_batch_begin(&again, &pinned, TEST_INSTALLATION, "longer", 0);

    for (i = 0; ; i++) {
        (void) snprintf(props, 20001, "{\"t%u\":\"%0*u\"}", i * 7919 % 101,
                        (int) (i * 31 % 997), i);
        (void) snprintf(who, sizeof(who), "u%u", i % 3 == 0 ? 0 : i);

        if (!test_offer(&b, who, props)) {
            assert_false(test_offer(&again, who, props));
            break;
        }

        assert_true(test_offer(&again, who, props));
    }

    ctseg_batch_end(&b);
    ctseg_batch_end(&again);

    assert_int_equal(b.rc, CTSEG_OK);
    assert_in_range(b.body.len, 1, CTSEG_BATCH_BYTES);
    assert_int_equal(b.counts.scanned, i);
    assert_int_equal(b.counts.sent, b.events);
    assert_int_equal(b.counts.scanned, b.counts.sent + b.counts.filtered);
    assert_in_range(b.counts.filtered, 1, i);
    assert_int_equal(b.body.len - b.head, again.body.len - again.head);
    assert_memory_equal(b.body.data + b.head, again.body.data + again.head,
                        b.body.len - b.head);

    ctseg_batch_free(&b);
    ctseg_batch_free(&again);
    free(props);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_merged),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_large)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
