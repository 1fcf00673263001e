/*
 * The body of a campaign's webhook: a table of bodies with what becomes of
 * their first profile, written as one line, and of verdicts; then limits,
 * whose body it is, and memory that lacks.  Properties come from three
 * places, so the order and which of two counts are part of every line.
 */

#include "../../fault/ctseg_disk.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/ctseg_str.h"
#include "clevertap/ctseg_webhook.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))

#define NOW  1767323045678LL

#define X16   "xxxxxxxxxxxxxxxx"
#define X128  X16 X16 X16 X16 X16 X16 X16 X16
#define X512  X128 X128 X128 X128


static ctseg_disk_t  memory;


/* name|identity|objectId|email|phone|time|properties of an event */

static void
test_line(ctseg_buf_t *out, const ctseg_event_t *ev)
{
    unsigned  i;

    ctseg_buf_str(out, ev->kind != 0 ? ctseg_catalog_name(ev->kind)
                                     : ev->name);

    for (i = 0; i <= CTSEG_ID_PHONE; i++) {
        ctseg_buf_char(out, '|');
        ctseg_buf_str(out, ev->id[i]);
    }

    ctseg_buf_fmt(out, "|%lld|", (long long) ev->time_ms);
    ctseg_buf_str(out, ev->props);
}


static void
test_events(void **state)
{
    size_t          i;
    ctseg_err_t     err;
    ctseg_buf_t     out;
    ctseg_upload_t  u;

    static const struct {
        const char  *event;
        const char  *body;
        const char  *line;
    } cases[] = {
        { "", "{\"targetId\":17,\"key_values\":{\"k\":\"v\"},\"profiles\":"
          "[{\"identity\":\"I\",\"event_properties\":{\"a\":1}}]}",
          "Webhook Delivered|I||||1767323045678|"
          "{\"a\":1,\"k\":\"v\",\"Campaign id\":17}" },

        /* the other spelling, an object, behind which the rest stands */

        { "", "{\"profiles\":{\"Identity\":7,\"ObjectId\":\"o\",\"Email\":"
          "\"e@x\",\"Phone\":\"+1\",\"Event_properties\":{\"t\":\"$D_1\"},"
          "\"ProfileData\":{\"a\":9}},\"Key_values\":{\"ts\":\"1700000000\"},"
          "\"TargetId\":\"x\"}",
          "Webhook Delivered|7|o|e@x|+1|1700000000000|"
          "{\"t\":\"$D_1\",\"ts\":\"1700000000\",\"Campaign id\":\"x\"}" },

        /* the name: the location's, then key_values' */

        { "", "{\"key_values\":{\"Event\":\"Caf\\u00e9\",\"k\":1},"
          "\"profiles\":[{\"identity\":\"I\"}]}",
          "Caf\\u00e9|I||||1767323045678|{\"k\":1}" },
        { "My \"own\"", "{\"key_values\":{\"event\":\"x\",\"k\":1},"
          "\"profiles\":[{\"identity\":\"I\"}]}",
          "My \\\"own\\\"|I||||1767323045678|{\"k\":1}" },
        { "push impression", "{\"profiles\":[{\"identity\":\"I\"}]}",
          "Push Impressions|I||||1767323045678|" },
        { "", "{\"key_values\":{\"event\":\"app launched\"},\"profiles\":"
          "[{\"identity\":\"I\"}]}",
          "App Launched|I||||1767323045678|" },
        { "", "{\"key_values\":{\"event\":[\" \"]},\"profiles\":"
          "[{\"identity\":\"I\"}]}",
          "Webhook Delivered|I||||1767323045678|" },
        { "", "{\"key_values\":{\"event\":\" \"},\"profiles\":"
          "[{\"identity\":\"I\"}]}",
          "Webhook Delivered|I||||1767323045678|" },

        /* a time that is none is a property like others */

        { "", "{\"key_values\":{\"ts\":\"20260101000000\"},\"profiles\":"
          "[{\"identity\":\"I\"}]}",
          "Webhook Delivered|I||||1767323045678|"
          "{\"ts\":\"20260101000000\"}" },
        { "", "{\"key_values\":{\"ts\":1700000000123},\"profiles\":"
          "[{\"identity\":\"I\"}]}",
          "Webhook Delivered|I||||1700000000123|{\"ts\":1700000000123}" },

        /* of one name key_values count most, then the targetId */

        { "", "{\"targetId\":1,\"key_values\":{\"a\":\"k\"},\"profiles\":"
          "[{\"identity\":\"I\",\"event_properties\":{\"\\u0061\":[1,{}],"
          "\"b\":2,\"Campaign id\":3,\"A\":4}}]}",
          "Webhook Delivered|I||||1767323045678|"
          "{\"b\":2,\"A\":4,\"a\":\"k\",\"Campaign id\":1}" },
        { "", "{\"targetId\":1,\"key_values\":{\"Campaign id\":2},"
          "\"profiles\":[{\"identity\":\"I\"}]}",
          "Webhook Delivered|I||||1767323045678|{\"Campaign id\":2}" },

        /* values of any type, as they came */

        { "", "{\"key_values\":{\"k\":{ \"x\" : [ ]}},\"profiles\":[{"
          "\"identity\":\"I\",\"event_properties\":{\"Items\":[{\"n\": 1}],"
          "\"z\":null,\"y\":1e400}}]}",
          "Webhook Delivered|I||||1767323045678|{\"Items\":[{\"n\": 1}],"
          "\"z\":null,\"y\":1e400,\"k\":{ \"x\" : [ ]}}" },
        { "", "{\"targetId\":[1],\"key_values\":null,\"profiles\":[{"
          "\"identity\":\"I\",\"event_properties\":null}]}",
          "Webhook Delivered|I||||1767323045678|" },

        /* of two the last */

        { "", "{\"key_values\":{\"a\":1,\"event\":\"x\",\"ts\":5},"
          "\"key_values\":{\"b\":2},\"profiles\":[{\"identity\":\"I\","
          "\"event_properties\":{\"a\":1},\"event_properties\":{\"c\":3}}]}",
          "Webhook Delivered|I||||1767323045678|{\"c\":3,\"b\":2}" },

        /* identities */

        { "", "{\"profiles\":[{\"all_identities\":[\"\",[],\"A\",\"B\"]}]}",
          "Webhook Delivered|A||||1767323045678|" },
        { "", "{\"profiles\":[{\"identity\":\"\",\"all_identities\":\"A\"}]}",
          "Webhook Delivered|A||||1767323045678|" },
        { "", "{\"profiles\":[{\"All_identities\":[1],\"identity\":\"I\"}]}",
          "Webhook Delivered|I||||1767323045678|" },
        { "", "{\"profiles\":[{\"email\":\"e@x\"}]}",
          "Webhook Delivered|||e@x||1767323045678|" },
        { "", "{\"profiles\":[{\"phone\":1}]}",
          "Webhook Delivered||||1|1767323045678|" }
    };

    (void) state;

    memset(&u, 0, sizeof(u));
    memset(&out, 0, sizeof(out));

    for (i = 0; i < N(cases); i++) {
        ctseg_upload_reset(&u);
        ctseg_buf_reset(&out);

        assert_int_equal(ctseg_webhook_parse(&u, ctseg_str(cases[i].body),
                                             ctseg_str(cases[i].event), NOW,
                                             &err), CTSEG_OK);
        assert_int_equal(u.nfailed, 0);
        assert_int_equal(u.nevents, 1);
        test_line(&out, &u.events[0]);
        ctseg_buf_char(&out, '\0');
        assert_string_equal(out.data, cases[i].line);
        assert_true(ctseg_webhook_is(ctseg_str(cases[i].body)));
    }

    ctseg_buf_free(&out);
    ctseg_upload_free(&u);
}


static void
test_verdicts(void **state)
{
    size_t          i;
    ctseg_err_t     err;
    ctseg_buf_t     out;
    ctseg_upload_t  u;

    static const char  body[] =
        "{\"profiles\":[5,{\"identity\":\"1\"},[],{},{\"objectId\":true},"
        "{\"identity\":\"2\",\"event_properties\":[]},{\"identity\":\"" X512
        "x\"},{\"identity\":\"3\",\"event_properties\":{\"a\":1}}],"
        "\"key_values\":{\"k\":\"v\"}}";
    static const int   codes[] = { 512, 512, 523, 526, 512, 512 };

    (void) state;

    memset(&u, 0, sizeof(u));
    memset(&out, 0, sizeof(out));

    assert_int_equal(ctseg_webhook_parse(&u, ctseg_str(body), ctseg_str("n"),
                                         NOW, &err), CTSEG_OK);
    assert_int_equal(u.nevents, 3 - 1);
    assert_int_equal(u.nfailed, N(codes));

    /* the good ones are whole, whatever was between them */

    for (i = 0; i < u.nevents; i++) {
        test_line(&out, &u.events[i]);
        ctseg_buf_char(&out, ' ');
    }

    ctseg_buf_char(&out, '\0');
    assert_string_equal(out.data,
                        "n|1||||1767323045678|{\"k\":\"v\"} "
                        "n|3||||1767323045678|{\"a\":1,\"k\":\"v\"} ");

    ctseg_buf_reset(&out);
    ctseg_upload_render(&out, &u);
    ctseg_buf_char(&out, '\0');
    assert_non_null(strstr(out.data, "\"partial\",\"processed\":2,"));
    assert_non_null(strstr(out.data, "a profile must be an object\",\"code\":"
                           "512,\"record\":5},"));
    assert_non_null(strstr(out.data, "\"code\":512,\"record\":[]},"));
    assert_non_null(strstr(out.data, "\"code\":523,\"record\":{}},"));
    assert_non_null(strstr(out.data, "event_properties must be an object"));

    /* what all of them share is wrong for each of them */

    ctseg_upload_reset(&u);
    assert_int_equal(ctseg_webhook_parse(&u, ctseg_str("{\"profiles\":[{"
                         "\"identity\":1},{\"identity\":2}],\"key_values\":"
                         "[1]}"), ctseg_str(""), NOW, &err), CTSEG_OK);
    assert_int_equal(u.nfailed, 2);
    assert_int_equal(u.nevents, 0);

    ctseg_buf_free(&out);
    ctseg_upload_free(&u);
}


static void
test_bodies(void **state)
{
    size_t          i;
    ctseg_rc_t      rc;
    ctseg_err_t     err;
    ctseg_upload_t  u;

    static const struct {
        const char  *body;
        const char  *text;
        int          is;            /* a webhook, at a glance */
        int          offset;        /* -1: any */
    } cases[] = {
        { "{\"profiles\":[]}", NULL, 1, 0 },
        { "{\"d\":1,\"profiles\":[]}", NULL, 0, 0 },
        { "{\"a\":{\"d\":[]},\"x\":\"{\\\"d\\\":\", \"Profiles\" :[]}", NULL,
          1, 0 },
        { "{\"d\":[]}", "\"profiles\" is missing", 0, 8 },
        { "{\"x\":\"profiles\",\"y\":{\"profiles\":[]}}",
          "\"profiles\" is missing", 0, -1 },
        { "{}", "\"profiles\" is missing", 0, 2 },
        { "", "", 0, -1 },
        { "5", "object", 0, 0 },
        { "[{\"profiles\":[]}]", "object", 0, 0 },
        { "{\"profiles\":5}", "array or an object", 1, 12 },
        { "{\"profiles\":null}", "array or an object", 1, 12 },
        { "{\"profiles\":[],\"Profiles\":[]}", "twice", 1, 15 },
        { "{\"profiles\":[}", "", 1, -1 },
        { "{\"profiles\":[\"\xff\"]}", "UTF-8", 1, 14 },
        { "{\"a\\", "", 0, -1 },
        { "{\"", "", 0, -1 },
        { "}\"profiles\":", "", 0, -1 },
        { "{\"profiles\":[{\"x\":[[[[[[[[[[[[[]]]]]]]]]]]]]}]}", NULL, 1, 0 },
        { "{\"profiles\":[{\"x\":[[[[[[[[[[[[[[]]]]]]]]]]]]]]}]}",
          "nested deeper", 1, -1 }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        memset(&u, 0, sizeof(u));
        rc = ctseg_webhook_parse(&u, ctseg_str(cases[i].body), ctseg_str(""),
                                 NOW, &err);

        assert_int_equal(ctseg_webhook_is(ctseg_str(cases[i].body)),
                         cases[i].is);

        if (cases[i].text == NULL) {
            assert_int_equal(rc, CTSEG_OK);

        } else {
            assert_int_equal(rc, CTSEG_INVALID);
            assert_non_null(strstr(err.text, cases[i].text));
            assert_true(cases[i].offset == -1
                        || err.offset == (size_t) cases[i].offset);
        }

        ctseg_upload_free(&u);
    }
}


/* profiles, properties, bytes: the last that is taken, the first not */

static void
test_limits(void **state)
{
    int             extra, i;
    ctseg_err_t     err;
    ctseg_buf_t     b;
    ctseg_upload_t  u;

    (void) state;

    memset(&b, 0, sizeof(b));
    memset(&u, 0, sizeof(u));

    for (extra = 0; extra < 2; extra++) {

        /* what they share fits a thousand times, or does not */

        ctseg_buf_reset(&b);
        ctseg_buf_cstr(&b, "{\"profiles\":[");

        for (i = 0; i < CTSEG_WEBHOOK_PROFILES_MAX; i++) {
            ctseg_buf_fmt(&b, "%s{\"identity\":%d}", i != 0 ? "," : "", i);
        }

        ctseg_buf_cstr(&b, "],\"key_values\":{\"k\":\"");

        for (i = 0; i < (extra ? 8400 : 8300); i++) {
            ctseg_buf_char(&b, 'x');
        }

        ctseg_buf_cstr(&b, "\"}}");
        ctseg_upload_reset(&u);
        assert_int_equal(ctseg_webhook_parse(&u, ctseg_buf_slice(&b),
                                             ctseg_str("n"), NOW, &err),
                         CTSEG_OK);
        assert_int_equal(u.nevents + u.nfailed, 1000);
        assert_int_equal(u.nfailed != 0, extra);
        assert_int_equal(u.refused[ctseg_refusal_of(555)], u.nfailed);
        assert_true(u.own.len < CTSEG_WEBHOOK_OWN_MAX + 32768);
        assert_memory_equal(u.events[u.nevents - 1].props.data, "{\"k\":\"x",
                            7);

        ctseg_buf_reset(&b);
        ctseg_buf_cstr(&b, "{\"profiles\":[0");

        for (i = 0; i < CTSEG_WEBHOOK_PROFILES_MAX - 1 + extra; i++) {
            ctseg_buf_cstr(&b, ",[]");
        }

        ctseg_buf_cstr(&b, "]}");
        ctseg_upload_reset(&u);
        assert_int_equal(ctseg_webhook_parse(&u, ctseg_buf_slice(&b),
                                             ctseg_str(""), NOW, &err),
                         extra ? CTSEG_TOOBIG : CTSEG_OK);

        /* 255 of its own, one shared, and the campaign */

        ctseg_buf_reset(&b);
        ctseg_buf_fmt(&b, "{\"key_values\":{\"k\":1},%s\"profiles\":{"
                      "\"identity\":1,\"event_properties\":{\"p\":0",
                      extra ? "\"targetId\":1," : "");

        for (i = 0; i < 254; i++) {
            ctseg_buf_fmt(&b, ",\"p%d\":1", i);
        }

        ctseg_buf_cstr(&b, "}}}");
        ctseg_upload_reset(&u);
        assert_int_equal(ctseg_webhook_parse(&u, ctseg_buf_slice(&b),
                                             ctseg_str(""), NOW, &err),
                         CTSEG_OK);
        assert_int_equal(u.refused[ctseg_refusal_of(522)], extra);
        assert_int_equal(u.nevents, !extra);

        /* half of the bytes are shared */

        ctseg_buf_reset(&b);
        ctseg_buf_fmt(&b, "{\"key_values\":{\"k\":\"%*s\"},\"profiles\":{"
                      "\"identity\":1,\"event_properties\":{\"p\":\"%*s\"}}}",
                      14000, "", 14000 - 15 + extra, "");
        ctseg_upload_reset(&u);
        assert_int_equal(ctseg_webhook_parse(&u, ctseg_buf_slice(&b),
                                             ctseg_str(""), NOW, &err),
                         CTSEG_OK);
        assert_int_equal(u.nfailed, extra);
        assert_true(extra || u.events[0].props.len == CTSEG_PROPS_LEN_MAX);
    }

    ctseg_buf_free(&b);
    ctseg_upload_free(&u);
}


static void
test_memory(void **state)
{
    int64_t         n;
    unsigned        i;
    ctseg_rc_t      rc;
    ctseg_err_t     err;
    ctseg_buf_t     b;
    ctseg_upload_t  u;

    (void) state;

    memset(&b, 0, sizeof(b));
    ctseg_buf_cstr(&b, "{\"targetId\":1,\"profiles\":[5");

    for (i = 0; i < 100; i++) {
        ctseg_buf_fmt(&b, ",{\"identity\":\"\\u00e9%u\",\"event_properties\":"
                      "{\"a\":[%u]}}", i, i);
    }

    ctseg_buf_cstr(&b, "],\"key_values\":{\"a\":1,\"\\u00e9\":2}}");
    assert_false(b.failed);

    for (n = 1; /* void */ ; n++) {
#ifdef CTSEG_DISK_MEMORY
        int64_t  live = ctseg_disk_live;
#endif

        memset(&u, 0, sizeof(u));
        memset(&memory, 0, sizeof(memory));
        memory.rule[0].error = 1;
        memory.rule[0].left = n;
        memory.rule[0].kinds = CTSEG_DISK_ALLOC;

        ctseg_disk = &memory;
        rc = ctseg_webhook_parse(&u, ctseg_buf_slice(&b), ctseg_str("n\n"),
                                 NOW, &err);
        ctseg_disk = NULL;

        if (memory.rule[0].hits == 0) {
            break;
        }

        assert_int_equal(rc, CTSEG_NOMEM);
        ctseg_upload_free(&u);

#ifdef CTSEG_DISK_MEMORY
        assert_int_equal(ctseg_disk_live, live);
#endif
    }

    assert_int_equal(rc, CTSEG_OK);
    assert_int_equal(u.nevents, 100);
    assert_int_equal(u.nfailed, 1);
#ifdef CTSEG_DISK_MEMORY
    assert_true(n > 10);
#endif

    ctseg_upload_free(&u);
    ctseg_buf_free(&b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_memory)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
