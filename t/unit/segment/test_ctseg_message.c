/*
 * One event as one message, to the byte.  Raw text must come out as it went
 * in; who it is about follows the order of the settings; an event without
 * anybody, or of 32,000 bytes, leaves no trace in the output.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "segment_test.h"


#define HEAD(n)                                                              \
    "{\"type\":\"track\",\"messageId\":\"ctseg-0123456789abcdef-"            \
    "fedcba9876543210-" n "\","
#define TAIL(name, props)                                                    \
    "\"event\":\"" name "\",\"timestamp\":\"2026-01-02T03:04:05.678Z\","     \
    "\"properties\":" props "}"


static void
test_encode(const ctseg_pinned_t *pinned, uint64_t sequence,
    const ctseg_event_t *ev, const char *expect)
{
    ctseg_rc_t       rc;
    ctseg_buf_t      out;
    ctseg_reject_t   why;
    ctseg_encoder_t  enc;

    memset(&out, 0, sizeof(out));
    ctseg_buf_cstr(&out, "before");

    ctseg_encoder_init(&enc, pinned, TEST_INSTALLATION);

    why = CTSEG_REJECT_N;
    rc = ctseg_message_encode(&out, &enc, sequence, ev, &why);

    ctseg_buf_char(&out, '\0');
    assert_memory_equal(out.data, "before", 6);

    if (expect == NULL) {
        assert_int_equal(rc, CTSEG_INVALID);
        assert_int_equal(why, CTSEG_REJECT_NO_ID);
        assert_string_equal(out.data, "before");

    } else {
        assert_int_equal(rc, CTSEG_OK);
        assert_string_equal(out.data + 6, expect);
    }

    ctseg_buf_free(&out);
}


static void
test_bytes(void **state)
{
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);

    test_event(&ev, "App Launched", "I", "{\"a\":1}");
    test_encode(&pinned, 1, &ev, HEAD("0000000000000001")
                "\"userId\":\"I\"," TAIL("App Launched", "{\"a\":1}"));

    /* no properties are an empty object; the longest sequence */

    test_event(&ev, "Charged", "I", "");
    test_encode(&pinned, UINT64_MAX, &ev, HEAD("ffffffffffffffff")
                "\"userId\":\"I\"," TAIL("Charged", "{}"));

    /* raw text is neither escaped again nor unescaped */

    test_event(&ev, "Caf\\u00e9 \\\"x\\\"", "\\u0041\\n",
               "{ \"n\" : 12345678901234567890, \"x\":1e400,\"\\/\":\"\" }");
    ev.id[CTSEG_ID_OBJECT] = ctseg_str("o\\\\");
    test_encode(&pinned, 0xabcdef, &ev, HEAD("0000000000abcdef")
                "\"userId\":\"\\u0041\\n\",\"anonymousId\":\"o\\\\\","
                TAIL("Caf\\u00e9 \\\"x\\\"", "{ \"n\" : 12345678901234567890,"
                     " \"x\":1e400,\"\\/\":\"\" }"));
}


static void
test_sequences(void **state)
{
    char            expect[512];
    unsigned        i;
    uint64_t        n;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);
    test_event(&ev, "Charged", "I", "");

    /* each digit in each of its places, and some of chance */

    for (n = 1, i = 0; i < 256 + 100; i++) {
        n = i < 256 ? (uint64_t) (i % 16) << i / 16 * 4
                    : n * 6364136223846793005ULL + 1442695040888963407ULL;

        (void) snprintf(expect, sizeof(expect),
                        HEAD("%016llx") "\"userId\":\"I\","
                        TAIL("Charged", "{}"), (unsigned long long) n);
        test_encode(&pinned, n, &ev, expect);
    }
}


/* nothing behind the memory of the buffer is written, however much it has */

static void
test_room(void **state)
{
    char             *p;
    size_t            cap, i;
    unsigned          kind;
    ctseg_buf_t       out;
    ctseg_event_t     ev;
    ctseg_reject_t    why;
    ctseg_pinned_t    pinned;
    ctseg_encoder_t   enc;

    (void) state;

    test_pinned(&pinned);
    pinned.mapping.context = true;

    /* with all that a message may have, dates among it */

    test_event(&ev, "Bought", "I", "{\"CT App Version\":\"1\",\"at\":"
               "\"$D_1767323045\",\"end\":\"$D_1767323045\"}");
    ev.id[CTSEG_ID_OBJECT] = ctseg_str("O");

    for (kind = 0; kind < 3; kind++) {
        ev.kind = kind == 1 ? CTSEG_KIND_PROFILE : CTSEG_KIND_CUSTOM;
        ev.props.len = kind == 2 ? 0 : ev.props.len;

        for (cap = 1; cap < 1024; cap++) {
            p = malloc(4096);
            assert_non_null(p);
            memset(p, '#', 4096);

            memset(&out, 0, sizeof(out));
            out.data = p;
            out.cap = cap;

            ctseg_encoder_init(&enc, &pinned, TEST_INSTALLATION);
            assert_int_equal(ctseg_message_encode(&out, &enc, 1, &ev, &why),
                             CTSEG_OK);

            /* memory that was too little is another piece now */

            for (i = cap; out.cap == cap && i < 4096; i++) {
                assert_int_equal(out.data[i], '#');
            }

            assert_true(out.len <= out.cap);
            ctseg_buf_free(&out);
        }
    }
}


static void
test_identity(void **state)
{
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);

    /* the fallbacks in their order; objectId is the anonymous one */

    test_event(&ev, "App Launched", NULL, "{}");
    test_encode(&pinned, 1, &ev, NULL);

    ev.id[CTSEG_ID_PHONE] = ctseg_str("P");
    test_encode(&pinned, 1, &ev, NULL);

    ev.id[CTSEG_ID_EMAIL] = ctseg_str("E");
    test_encode(&pinned, 1, &ev, HEAD("0000000000000001")
                "\"userId\":\"E\"," TAIL("App Launched", "{}"));

    ev.id[CTSEG_ID_OBJECT] = ctseg_str("O");
    pinned.user_id.field = CTSEG_ID_PHONE;
    test_encode(&pinned, 1, &ev, HEAD("0000000000000001")
                "\"userId\":\"P\",\"anonymousId\":\"O\","
                TAIL("App Launched", "{}"));

    pinned.user_id.field = CTSEG_ID_GPID;
    pinned.npriority = 0;
    test_encode(&pinned, 1, &ev, HEAD("0000000000000001")
                "\"anonymousId\":\"O\"," TAIL("App Launched", "{}"));
}


static void
test_property(void **state)
{
    size_t          i;
    char            expect[512];
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    static const struct {
        const char  *name;
        const char  *props;
        const char  *id;        /* NULL: none */
    } cases[] = {
        { "a", "{\"a\":\"x\"}", "x" },
        { "a", "{\"b\":1,\"a\":\"x\\\"y\",\"c\":2}", "x\\\"y" },
        { "a", "{\"a\":12345678901234567890}", "12345678901234567890" },
        { "a", "{\"a\":-1.50e3}", "-1.50e3" },
        { "a b", "{\"\\u0061\\u0020b\":\"x\"}", "x" },
        { "\xc3\xa9", "{\"\\u00e9\":\"x\"}", "x" },
        { "a", "{\"a\":\"x\",\"a\":\"y\"}", "y" },
        { "a", "{}", NULL },
        { "a", "", NULL },
        { "a", "{\"A\":\"x\"}", NULL },
        { "a", "{\"b\":{\"a\":\"x\"}}", NULL },
        { "a", "{\"a\":[\"x\"]}", NULL },
        { "a", "{\"a\":{\"a\":\"x\"}}", NULL },
        { "a", "{\"b\":\"a\"}", NULL },
        { "a", "{\"a\":\"\"}", NULL },
        { "a", "{\"a\":\"  \"}", NULL },
        { "a", "{\"a\":\"\\u0020 \"}", NULL },
        { "a", "{\"a\":null}", NULL },
        { "a", "{\"a\":true}", NULL }
    };

    (void) state;

    test_pinned(&pinned);
    pinned.npriority = 0;
    pinned.user_id.field = -1;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {

        (void) snprintf(pinned.user_id.property,
                        sizeof(pinned.user_id.property), "%s",
                        cases[i].name);

        test_event(&ev, "App Launched", "I", cases[i].props);

        (void) snprintf(expect, sizeof(expect), HEAD("0000000000000001")
                        "\"userId\":\"%s\"," TAIL("App Launched", "%s"),
                        cases[i].id != NULL ? cases[i].id : "",
                        cases[i].props);

        test_encode(&pinned, 1, &ev, cases[i].id != NULL ? expect : NULL);
    }
}


static void
test_limit(void **state)
{
    char            *props;
    size_t           n, overhead;
    ctseg_rc_t       rc;
    ctseg_buf_t      out;
    ctseg_event_t    ev;
    ctseg_reject_t   why;
    ctseg_pinned_t   pinned;
    ctseg_encoder_t  enc;

    (void) state;

    test_pinned(&pinned);
    ctseg_encoder_init(&enc, &pinned, TEST_INSTALLATION);

    props = malloc(CTSEG_MESSAGE_MAX + 1);
    assert_non_null(props);

    memset(&out, 0, sizeof(out));
    test_event(&ev, "App Launched", "I", "");

    assert_int_equal(ctseg_message_encode(&out, &enc, 1, &ev, &why),
                     CTSEG_OK);
    overhead = out.len - 2;

    /* 31,999 bytes are the most, whatever stands before them */

    for (n = CTSEG_MESSAGE_MAX - 2; n <= CTSEG_MESSAGE_MAX + 1; n++) {

        memset(props, 'x', n);
        memcpy(props, "{\"p\":\"", 6);
        memcpy(props + n - overhead - 2, "\"}", 2);
        ev.props.data = props;
        ev.props.len = n - overhead;

        out.len = 100;
        why = CTSEG_REJECT_N;
        rc = ctseg_message_encode(&out, &enc, 1, &ev, &why);

        if (n < CTSEG_MESSAGE_MAX) {
            assert_int_equal(rc, CTSEG_OK);
            assert_int_equal(out.len, 100 + n);

        } else {
            assert_int_equal(rc, CTSEG_INVALID);
            assert_int_equal(why, CTSEG_REJECT_TOO_LARGE);
            assert_int_equal(out.len, 100);
        }
    }

    /* everything that collect takes fits, with the longest of all */

    memset(props, 'x', CTSEG_MESSAGE_MAX);
    memcpy(props, "{\"p\":\"", 6);
    memcpy(props + CTSEG_PROPS_LEN_MAX - 2, "\"}", 2);
    ev.props.len = CTSEG_PROPS_LEN_MAX;
    ev.kind = CTSEG_KIND_CUSTOM;
    ev.name.data = props + 6;
    ev.name.len = CTSEG_NAME_LEN_MAX;
    ev.id[CTSEG_ID_IDENTITY].data = props + 6;
    ev.id[CTSEG_ID_IDENTITY].len = CTSEG_ID_LEN_MAX;
    ev.id[CTSEG_ID_OBJECT] = ev.id[CTSEG_ID_IDENTITY];

    out.len = 0;
    assert_int_equal(ctseg_message_encode(&out, &enc, UINT64_MAX, &ev, &why),
                     CTSEG_OK);

    free(props);
    ctseg_buf_free(&out);
}


/* dates as ISO 8601 has them, unless they make the message too large */

static void
test_dates(void **state)
{
    unsigned         n;
    ctseg_buf_t      out, props;
    ctseg_event_t    ev;
    ctseg_reject_t   why;
    ctseg_pinned_t   pinned;
    ctseg_encoder_t  enc;

    (void) state;

    test_pinned(&pinned);

    test_event(&ev, "App Launched", "$D_0", "{\"a\":\"$D_0\",\"b\":1}");
    test_encode(&pinned, 1, &ev, HEAD("0000000000000001")
                "\"userId\":\"$D_0\"," TAIL("App Launched",
                "{\"a\":\"1970-01-01T00:00:00.000Z\",\"b\":1}"));

    ctseg_encoder_init(&enc, &pinned, TEST_INSTALLATION);
    memset(&out, 0, sizeof(out));
    memset(&props, 0, sizeof(props));

    ctseg_buf_cstr(&props, "{\"a\":1");

    for (n = 0; n < 2000; n++) {
        ctseg_buf_cstr(&props, ",\"\":\"$D_1\"");
    }

    ctseg_buf_char(&props, '}');
    ev.props = ctseg_buf_slice(&props);

    assert_int_equal(ctseg_message_encode(&out, &enc, 1, &ev, &why),
                     CTSEG_OK);
    assert_in_range(out.len, props.len, props.len + 300);
    assert_memory_equal(out.data + out.len - 1 - props.len, props.data,
                        props.len);

    ctseg_buf_free(&out);
    ctseg_buf_free(&props);
}


/* white space is no name, however it is written */

static void
test_name(void **state)
{
    size_t           i;
    ctseg_rc_t       rc;
    ctseg_buf_t      out;
    ctseg_event_t    ev;
    ctseg_reject_t   why;
    ctseg_pinned_t   pinned;
    ctseg_encoder_t  enc;

    static const struct {
        const char  *name;
        bool         blank;
    } cases[] = {
        { "", true },
        { " ", true },
        { "   ", true },
        { "\\t", true },
        { "\\t\\n\\r\\f", true },
        { " \\u0020 ", true },
        { "\\u0009\\u000a\\u000B\\u000c\\u000D", true },
        { "a", false },
        { " a", false },
        { "\\ta", false },
        { "\\\\", false },
        { "\\\\t", false },
        { "\\u0061", false },
        { "\\u0008", false },
        { "\\u0029", false },
        { "\\u0120", false },
        { "\\u00a0", false },
        { "\\b", false },
        { ".", false }
    };

    (void) state;

    test_pinned(&pinned);
    ctseg_encoder_init(&enc, &pinned, TEST_INSTALLATION);
    memset(&out, 0, sizeof(out));

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_event(&ev, "Charged", "I", "{}");
        ev.kind = CTSEG_KIND_CUSTOM;
        ev.name = ctseg_str(cases[i].name);

        ctseg_buf_reset(&out);
        why = CTSEG_REJECT_N;
        rc = ctseg_message_encode(&out, &enc, 1, &ev, &why);

        if (cases[i].blank) {
            assert_int_equal(rc, CTSEG_INVALID);
            assert_int_equal(why, CTSEG_REJECT_NO_NAME);
            assert_int_equal(out.len, 0);

        } else {
            assert_int_equal(rc, CTSEG_OK);
        }
    }

    /* what the catalog names has a name */

    ev.kind = ctseg_catalog_find(ctseg_str("App Launched"));
    ev.name.len = 0;
    assert_int_equal(ctseg_message_encode(&out, &enc, 1, &ev, &why),
                     CTSEG_OK);

    ctseg_buf_free(&out);
}


static void
test_kept(ctseg_encoder_t *enc, const ctseg_event_t *ev,
    const char *with, const char *without)
{
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(out));
    ctseg_buf_cstr(&out, "before");
    ctseg_message_keep(&out, enc, 7, ev);

    assert_false(out.failed);
    assert_memory_equal(out.data, "before", 6);
    assert_in_range(out.len - 6, 1, CTSEG_MESSAGE_KEPT_MAX);

    ctseg_buf_char(&out, '\0');
    assert_memory_equal(out.data + 6, "{\"type\":\"track\",\"messageId\"",
                        27);
    assert_int_equal(out.data[out.len - 2], '}');
    assert_non_null(strstr(out.data, "-0000000000000007\""));
    assert_non_null(strstr(out.data, with));

    if (without != NULL) {
        assert_null(strstr(out.data, without));
    }

    ctseg_buf_free(&out);
}


/* what cannot be sent is kept, shorter and shorter, but always a message */

static void
test_keep(void **state)
{
    char            *text;
    ctseg_event_t    ev;
    ctseg_pinned_t   pinned;
    ctseg_encoder_t  enc;

    (void) state;

    test_pinned(&pinned);
    ctseg_encoder_init(&enc, &pinned, TEST_INSTALLATION);
    text = malloc(60000);
    assert_non_null(text);

    test_event(&ev, "App Launched", NULL, "{\"a\":1}");
    test_kept(&enc, &ev, "\",\"event\":\"App Launched\"", "serId");

    ev.kind = CTSEG_KIND_CUSTOM;
    ev.name = ctseg_str("\\t");
    test_kept(&enc, &ev, "\"event\":\"\\t\",", "serId");

    /* too large for Segment, not for us */

    memset(text, 'x', 60000);
    memcpy(text, "{\"who\":\"", 8);
    memcpy(text + 32998, "\"}", 2);
    test_event(&ev, "App Launched", "I", "");
    ev.props.data = text;
    ev.props.len = 33000;
    test_kept(&enc, &ev, "\"userId\":\"I\"", NULL);
    test_kept(&enc, &ev, "xxx\"}}", NULL);

    /* the same text twice: once is enough */

    pinned.user_id.field = -1;
    (void) snprintf(pinned.user_id.property, sizeof(pinned.user_id.property),
                    "who");
    test_kept(&enc, &ev, "\"properties\":{\"who\":\"xxx", "serId");

    /* what collect does not take */

    memset(text + 8, 'x', 50000);
    memcpy(text + 49998, "\"}", 2);
    ev.props.len = 50000;
    test_kept(&enc, &ev, "\"event\":\"App Launched\",", "xxx");

    ev.kind = CTSEG_KIND_CUSTOM;
    ev.name.data = text + 8;
    ev.name.len = 40000;
    test_kept(&enc, &ev, "\"event\":\"\",", "xxx");

    free(text);
}


static void
test_wanted(void **state)
{
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);
    test_event(&ev, "App Launched", "I", "{}");

    pinned.from_ms = TEST_TIME_MS;
    pinned.to_ms = TEST_TIME_MS + 1;
    assert_true(ctseg_message_wanted(&pinned, &ev));

    pinned.from_ms = TEST_TIME_MS + 1;
    pinned.to_ms = TEST_TIME_MS + 2;
    assert_false(ctseg_message_wanted(&pinned, &ev));

    pinned.from_ms = TEST_TIME_MS - 1;
    pinned.to_ms = TEST_TIME_MS;
    assert_false(ctseg_message_wanted(&pinned, &ev));

    pinned.to_ms = INT64_MAX;
    pinned.kinds = ctseg_catalog_set(CTSEG_SET_ENGAGEMENT);
    assert_false(ctseg_message_wanted(&pinned, &ev));

    pinned.kinds = ctseg_catalog_set(CTSEG_SET_SYSTEM);
    assert_true(ctseg_message_wanted(&pinned, &ev));

    test_event(&ev, "Charged", "I", "{}");
    assert_false(ctseg_message_wanted(&pinned, &ev));

    pinned.kinds = ctseg_catalog_set(CTSEG_SET_ALL);
    assert_true(ctseg_message_wanted(&pinned, &ev));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_sequences),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_identity),
        cmocka_unit_test(test_property),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_name),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_wanted)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
