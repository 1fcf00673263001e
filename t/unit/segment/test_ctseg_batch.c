/*
 * Batches at their limits, to the event and to the byte: never above, and
 * never less full than the next event demands.  The same log and settings
 * give the same bytes, wherever the building began to be tried again; the
 * write key, which an operator may correct in between, moves no boundary.
 */

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "segment_test.h"


static char  test_pad[CTSEG_PROPS_LEN_MAX + 1];


/* an event that is the same whenever its sequence is, of mixed sizes */

static void
test_nth(ctseg_event_t *ev, uint64_t sequence, size_t size)
{
    test_event(ev, sequence % 3 == 0 ? "App Launched" : "Push Impressions",
               sequence % 50 == 49 ? NULL : "user", "");

    if (size != 0) {
        ev->props.data = test_pad;
        ev->props.len = 10 + (sequence * 7919) % size;
    }
}


static void
test_build(ctseg_batch_t *b, const ctseg_pinned_t *pinned, const char *key,
    uint64_t after, uint64_t hi, size_t size)
{
    ctseg_event_t  ev;

    memset(b, 0, sizeof(ctseg_batch_t));

    ctseg_batch_begin(b, pinned, TEST_INSTALLATION, key, after);

    while (b->upto < hi) {
        test_nth(&ev, b->upto + 1, size);

        if (!ctseg_batch_offer(b, &ev)) {
            break;
        }
    }

    ctseg_batch_end(b);

    assert_int_equal(b->rc, CTSEG_OK);
    assert_int_equal(b->counts.scanned, b->upto - after);
    assert_int_equal(b->counts.scanned, b->counts.sent + b->counts.filtered
                                        + b->counts.rejected);
    assert_int_equal(b->counts.sent, b->events);
    assert_in_range(b->body.len, 1, CTSEG_BATCH_BYTES);
    assert_in_range(b->events, 0, CTSEG_BATCH_EVENTS);
}


static void
test_envelope(void **state)
{
    ctseg_batch_t   b;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);
    memset(&b, 0, sizeof(b));

    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "a\"b\\c", 41);

    test_event(&ev, "App Launched", "I", "{}");
    assert_true(ctseg_batch_offer(&b, &ev));
    test_event(&ev, "Charged", "J", "{}");
    assert_true(ctseg_batch_offer(&b, &ev));

    ctseg_batch_end(&b);
    ctseg_buf_char(&b.body, '\0');

    assert_string_equal(b.body.data,
        "{\"writeKey\":\"a\\\"b\\\\c\",\"batch\":["
        "{\"type\":\"track\",\"messageId\":\"ctseg-0123456789abcdef-"
        "fedcba9876543210-000000000000002a\",\"userId\":\"I\","
        "\"event\":\"App Launched\",\"timestamp\":"
        "\"2026-01-02T03:04:05.678Z\",\"properties\":{}},"
        "{\"type\":\"track\",\"messageId\":\"ctseg-0123456789abcdef-"
        "fedcba9876543210-000000000000002b\",\"userId\":\"J\","
        "\"event\":\"Charged\",\"timestamp\":"
        "\"2026-01-02T03:04:05.678Z\",\"properties\":{}}"
        "],\"context\":{\"channel\":\"server\",\"library\":{\"name\":"
        "\"ctseg\",\"version\":\"" CTSEG_VERSION "\"},\"integration\":"
        "{\"name\":\"clevertap\",\"version\":\"1.0.0\"}}}");

    assert_int_equal(b.after, 41);
    assert_int_equal(b.upto, 43);

    ctseg_batch_free(&b);
}


static void
test_verdicts(void **state)
{
    ctseg_batch_t   b;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);
    pinned.kinds = ctseg_catalog_set(CTSEG_SET_SYSTEM);
    memset(&b, 0, sizeof(b));

    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);

    test_event(&ev, "Charged", "I", "{}");
    assert_true(ctseg_batch_offer(&b, &ev));

    test_event(&ev, "App Launched", NULL, "{}");
    assert_true(ctseg_batch_offer(&b, &ev));

    /* one of both kinds is filtered, not rejected: nobody asked for it */

    test_event(&ev, "Charged", NULL, "{}");
    assert_true(ctseg_batch_offer(&b, &ev));

    ctseg_batch_skip(&b, 10);

    test_event(&ev, "App Launched", "I", "{}");
    assert_true(ctseg_batch_offer(&b, &ev));

    ctseg_batch_skip(&b, 20);
    ctseg_batch_end(&b);

    assert_int_equal(b.upto, 20);
    assert_int_equal(b.events, 1);
    assert_int_equal(b.counts.scanned, 20);
    assert_int_equal(b.counts.sent, 1);
    assert_int_equal(b.counts.rejected, 1);
    assert_int_equal(b.counts.rejects[CTSEG_REJECT_NO_ID], 1);
    assert_int_equal(b.counts.filtered, 18);

    /* nothing of those that were refused is in the body */

    ctseg_buf_char(&b.body, '\0');
    assert_null(strstr(b.body.data, "Charged"));
    assert_null(strstr(b.body.data, "[,"));
    assert_null(strstr(b.body.data, ",]"));
    assert_non_null(strstr(b.body.data, "-000000000000000b\""));

    ctseg_batch_free(&b);
}


static void
test_events(void **state)
{
    ctseg_batch_t   b;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);
    memset(&b, 0, sizeof(b));

    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);
    test_event(&ev, "Push Impressions", "u", "");

    while (ctseg_batch_offer(&b, &ev)) {
        assert_in_range(b.events, 1, CTSEG_BATCH_EVENTS);
    }

    assert_int_equal(b.events, CTSEG_BATCH_EVENTS);
    assert_int_equal(b.upto, CTSEG_BATCH_EVENTS);
    assert_int_equal(b.rc, CTSEG_OK);

    /* full it takes what is not sent, and no more of what is */

    ev.time_ms = 0;
    pinned.from_ms = 1;
    assert_true(ctseg_batch_offer(&b, &ev));
    ev.time_ms = TEST_TIME_MS;
    assert_false(ctseg_batch_offer(&b, &ev));
    assert_int_equal(b.upto, CTSEG_BATCH_EVENTS + 1);

    ctseg_batch_end(&b);
    assert_in_range(b.body.len, 1, CTSEG_BATCH_BYTES);

    ctseg_batch_free(&b);
}


/* half a batch: so many messages, and what lies around them */

static void
test_limit(void **state)
{
    ctseg_batch_t   b;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);
    pinned.kinds = ctseg_catalog_set(CTSEG_SET_SYSTEM);
    memset(&b, 0, sizeof(b));

    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 10);
    b.limit = 2;

    test_event(&ev, "App Launched", "I", "{}");
    assert_true(ctseg_batch_offer(&b, &ev));
    assert_true(ctseg_batch_offer(&b, &ev));
    assert_int_equal(b.last, 12);

    /* what is not wanted has its verdict here, what is wanted has not */

    test_event(&ev, "Charged", "I", "{}");
    assert_true(ctseg_batch_offer(&b, &ev));
    test_event(&ev, "App Launched", "I", "{}");
    assert_false(ctseg_batch_offer(&b, &ev));

    assert_int_equal(b.events, 2);
    assert_int_equal(b.last, 12);
    assert_int_equal(b.upto, 13);
    assert_int_equal(b.rc, CTSEG_OK);

    ctseg_batch_end(&b);
    ctseg_batch_free(&b);
}


/* an event without an id, of so many bytes of properties */

static void
test_bad(ctseg_event_t *ev, size_t size)
{
    test_event(ev, "App Launched", NULL, "{}");

    if (size != 0) {
        ev->props.data = test_pad;
        ev->props.len = size;
    }
}


/* as many of them as a batch takes, between some that are sent */

static void
test_rejects(void **state)
{
    unsigned        i;
    ctseg_batch_t   a, b;
    ctseg_event_t   ev;
    ctseg_str_t     message;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);
    pinned.kinds = ctseg_catalog_set(CTSEG_SET_SYSTEM);
    memset(&a, 0, sizeof(a));
    ctseg_batch_begin(&a, &pinned, TEST_INSTALLATION, "k", 10);

    for (i = 0; i < CTSEG_BATCH_REJECTS; i++) {
        test_event(&ev, "App Launched", "I", "{}");
        assert_true(ctseg_batch_offer(&a, &ev));
        test_bad(&ev, 0);
        assert_true(ctseg_batch_offer(&a, &ev));
    }

    /* full: of both kinds, but not of what nobody asked for */

    test_event(&ev, "Charged", NULL, "{}");
    assert_true(ctseg_batch_offer(&a, &ev));
    test_bad(&ev, 0);
    assert_false(ctseg_batch_offer(&a, &ev));
    test_event(&ev, "App Launched", "I", "{}");
    assert_false(ctseg_batch_offer(&a, &ev));

    ctseg_batch_end(&a);
    assert_int_equal(a.rc, CTSEG_OK);
    assert_int_equal(a.nrejects, CTSEG_BATCH_REJECTS);
    assert_int_equal(a.events, CTSEG_BATCH_REJECTS);
    assert_int_equal(a.upto, 10 + 2 * CTSEG_BATCH_REJECTS + 1);
    assert_int_equal(a.counts.rejected, CTSEG_BATCH_REJECTS);
    assert_int_equal(a.counts.filtered, 1);

    for (i = 0; i < a.nrejects; i++) {
        assert_int_equal(a.rejects[i].sequence, 12 + 2 * i);
        assert_int_equal(a.rejects[i].reason, CTSEG_REJECT_NO_ID);
        message = ctseg_batch_kept(&a, i);
        assert_int_equal(message.data[0], '{');
        assert_int_equal(message.data[message.len - 1], '}');
        assert_non_null(memmem(message.data, message.len,
                               "\"App Launched\"", 14));
        assert_null(memmem(message.data + 1, message.len - 1, "{\"type\"",
                           7));
    }

    /* without them it is the same batch, with the same numbers */

    ctseg_batch_forget(&a);
    assert_int_equal(a.nrejects, 0);
    assert_int_equal(a.counts.rejected, CTSEG_BATCH_REJECTS);
    ctseg_batch_free(&a);

    /* by bytes: the one that reaches the limit is still in it */

    memset(&b, 0, sizeof(b));
    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);
    test_bad(&ev, CTSEG_PROPS_LEN_MAX);

    while (ctseg_batch_offer(&b, &ev)) {
        assert_in_range(b.nrejects, 1, CTSEG_BATCH_REJECTS - 1);
    }

    assert_int_equal(b.rc, CTSEG_OK);
    assert_in_range(b.kept.len, CTSEG_BATCH_REJECT_BYTES,
                    CTSEG_BATCH_REJECT_BYTES + CTSEG_MESSAGE_KEPT_MAX);
    assert_int_equal(b.upto, b.nrejects);
    assert_int_equal(b.upto, CTSEG_BATCH_REJECT_BYTES
                             / (CTSEG_PROPS_LEN_MAX + 180) + 1);
    ctseg_batch_free(&b);
}


static void
test_bytes(void **state)
{
    size_t          size;
    uint64_t        after;
    unsigned        n;
    ctseg_batch_t   b;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    assert_int_equal(CTSEG_BATCH_BYTES, 475000);

    test_pinned(&pinned);

    /* a batch that ended by its bytes could not have taken the next event */

    for (size = 200; size < CTSEG_PROPS_LEN_MAX - 10; size += 3571) {

        for (n = 0, after = 0; n < 20; n++, after = b.upto) {

            test_build(&b, &pinned, "k", after, UINT64_MAX, size);
            assert_true(b.upto > after);

            if (b.events < CTSEG_BATCH_EVENTS) {
                test_nth(&ev, b.upto + 1, size);
                assert_in_range(b.body.len + ev.props.len + 250,
                                CTSEG_BATCH_BYTES - CTSEG_BATCH_ENVELOPE,
                                CTSEG_BATCH_BYTES * 2);
            }

            ctseg_batch_free(&b);
        }
    }
}


static void
test_pure(void **state)
{
    int             i;
    char            key[CTSEG_WRITE_KEY_MAX + 1];
    uint64_t        after;
    ctseg_batch_t   a, b;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);

    /* the longest key, each character of it escaped */

    memset(key, '"', CTSEG_WRITE_KEY_MAX);
    key[CTSEG_WRITE_KEY_MAX] = '\0';

    for (i = 0, after = 0; i < 200; i++, after = a.upto) {

        test_build(&a, &pinned, "k", after, UINT64_MAX, 300);
        ctseg_batch_free(&a);
        test_build(&a, &pinned, "k", after, UINT64_MAX, 300);
        test_build(&b, &pinned, "k", after, UINT64_MAX, 300);

        assert_int_equal(a.body.len, b.body.len);
        assert_memory_equal(a.body.data, b.body.data, a.body.len);
        assert_int_equal(a.upto, b.upto);
        ctseg_batch_free(&b);

        test_build(&b, &pinned, key, after, UINT64_MAX, 300);
        assert_int_equal(a.upto, b.upto);
        ctseg_batch_free(&b);

        ctseg_batch_free(&a);
    }
}


/* the same events in two batches carry the same messages as in one */

static void
test_resumed(void **state)
{
    ctseg_batch_t   all, one, two;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);

    test_build(&all, &pinned, "k", 1000, 1200, 300);
    test_build(&one, &pinned, "k", 1000, 1100, 300);
    test_build(&two, &pinned, "k", 1100, 1200, 300);

    assert_int_equal(all.events, one.events + two.events);

    /* {"writeKey":"k","batch":[ is 25 bytes; the first half ends equal */

    assert_memory_equal(all.body.data, one.body.data, one.body.len - 140);
    assert_memory_equal(all.body.data + all.body.len - two.body.len + 25,
                        two.body.data + 25, two.body.len - 25);

    ctseg_batch_free(&all);
    ctseg_batch_free(&one);
    ctseg_batch_free(&two);
}


static int
test_setup(void **state)
{
    (void) state;
    memset(test_pad, 'x', sizeof(test_pad));
    return 0;
}


/* the first messages, exactly, and nothing of what lies around them */

static void
test_marks(void **state)
{
    unsigned        i, n;
    char            text[4096];
    ctseg_batch_t   b;
    ctseg_event_t   ev;
    ctseg_str_t     message;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);

    for (n = 0; n < 8; n++) {
        memset(&b, 0, sizeof(b));
        ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);

        for (i = 0; i < n; i++) {

            /* one that is refused before each, which leaves no trace */

            test_event(&ev, "App Launched", NULL, "{}");
            assert_true(ctseg_batch_offer(&b, &ev));
            test_event(&ev, "Charged", i % 2 ? "I" : "a longer one", "{}");
            assert_true(ctseg_batch_offer(&b, &ev));
        }

        ctseg_batch_end(&b);

        (void) snprintf(text, sizeof(text), "{\"writeKey\":\"k\","
                        "\"batch\":[");

        for (i = 0; i < n && i < CTSEG_BATCH_MARKS; i++) {
            message = ctseg_batch_message(&b, i);
            assert_int_equal(message.data[0], '{');
            assert_int_equal(message.data[message.len - 1], '}');

            (void) snprintf(text + strlen(text), sizeof(text) - strlen(text),
                            "%s%.*s", i == 0 ? "" : ",", (int) message.len,
                            message.data);
        }

        assert_memory_equal(b.body.data, text, strlen(text));
        assert_int_equal(b.body.data[strlen(text)],
                         n > CTSEG_BATCH_MARKS ? ',' : ']');
        assert_int_equal(ctseg_batch_message(&b, i).len, 0);
        assert_int_equal(ctseg_batch_message(&b, UINT_MAX).len, 0);

        ctseg_batch_free(&b);
    }
}


static void
test_put(void **state)
{
    ctseg_batch_t   b;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);
    memset(&b, 0, sizeof(b));

    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 7);
    ctseg_batch_put(&b, ctseg_str("{\"a\":1}"));
    ctseg_batch_put(&b, ctseg_str("{}"));
    ctseg_batch_end(&b);

    assert_int_equal(b.rc, CTSEG_OK);
    assert_int_equal(b.events, 2);
    assert_true(ctseg_str_is(ctseg_batch_message(&b, 0), "{\"a\":1}"));
    assert_true(ctseg_str_is(ctseg_batch_message(&b, 1), "{}"));

    /* they are of no stretch of the log */

    assert_int_equal(b.upto, 7);
    assert_int_equal(b.counts.scanned, 0);
    assert_int_equal(b.counts.sent, 0);

    ctseg_buf_char(&b.body, '\0');
    assert_non_null(strstr(b.body.data, "[{\"a\":1},{}],\"context\""));

    ctseg_batch_free(&b);
}


/* a batch is as large as its memory: that of the caller, or little, or all */

static void
test_memory(void **state)
{
    char            *p;
    ctseg_buf_t      body;
    ctseg_batch_t    b, given;
    ctseg_event_t    ev;
    ctseg_pinned_t   pinned;

    (void) state;

    test_pinned(&pinned);
    test_event(&ev, "Charged", "I", "");
    ev.props.data = test_pad;
    ev.props.len = 1000;

    memset(&b, 0, sizeof(b));
    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);

    assert_true(ctseg_batch_offer(&b, &ev));
    assert_true(b.body.cap <= CTSEG_BATCH_MEMORY / 8);

    while (b.body.len < CTSEG_BATCH_MEMORY / 8) {
        assert_true(ctseg_batch_offer(&b, &ev));
    }

    p = b.body.data;
    assert_int_equal(b.body.cap, CTSEG_BATCH_MEMORY);

    while (ctseg_batch_offer(&b, &ev)) { /* void */ }

    ctseg_batch_end(&b);
    assert_int_equal(b.rc, CTSEG_OK);
    assert_ptr_equal(b.body.data, p);
    assert_int_equal(b.body.cap, CTSEG_BATCH_MEMORY);

    memset(&given, 0, sizeof(given));
    body = b.body;
    given.body.data = malloc(CTSEG_BATCH_MEMORY);
    assert_non_null(given.body.data);
    memset(given.body.data, '#', CTSEG_BATCH_MEMORY);
    given.body.cap = CTSEG_BATCH_MEMORY;
    p = given.body.data;

    ctseg_batch_begin(&given, &pinned, TEST_INSTALLATION, "k", 0);
    while (ctseg_batch_offer(&given, &ev)) { /* void */ }
    ctseg_batch_end(&given);

    assert_ptr_equal(given.body.data, p);
    assert_int_equal(given.body.len, body.len);
    assert_memory_equal(given.body.data, body.data, body.len);

    ctseg_batch_free(&given);
    ctseg_batch_free(&b);
}


static void
test_authorization(void **state)
{
    ctseg_buf_t  out;

    (void) state;

    /* RFC 7617, with an empty password */

    memset(&out, 0, sizeof(out));
    ctseg_batch_authorization(&out, "Aladdin");
    assert_true(ctseg_str_is(ctseg_buf_slice(&out), "Basic QWxhZGRpbjo="));
    ctseg_buf_free(&out);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_authorization),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_rejects),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_pure),
        cmocka_unit_test(test_resumed)
    };

    return cmocka_run_group_tests(tests, test_setup, NULL);
}
