/*
 * What properties say, as Segment's context; and their canonical names.  Each
 * rule is shown where it holds and just beside it, to the byte, and what is
 * mapped stays a function of event, arrival and settings.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "segment_test.h"
#include "segment/ctseg_context.h"
#include "segment/ctseg_names.h"


static void
test_context_of(const char *name, const char *props, const char *expect)
{
    ctseg_rc_t     rc;
    ctseg_buf_t    out;
    ctseg_event_t  ev;

    memset(&out, 0, sizeof(out));
    test_event(&ev, name, "I", props);

    rc = ctseg_context_write(&out, &ev);

    if (expect == NULL) {
        assert_int_equal(rc, CTSEG_NOTFOUND);
        assert_int_equal(out.len, 0);

    } else {
        assert_int_equal(rc, CTSEG_OK);
        ctseg_buf_char(&out, '\0');
        assert_string_equal(out.data, expect);
    }

    ctseg_buf_free(&out);
}


#define LOCATION(a, b)                                                       \
    "{\"location\":{\"latitude\":" a ",\"longitude\":" b "}}"


static void
test_context(void **state)
{
    size_t  i;

    static const struct {
        const char  *name;
        const char  *props;
        const char  *expect;
    } cases[] = {
        { "App Launched", "", NULL },
        { "App Launched", "{\"a\":1,\"x\":{\"CT App Version\":\"1\"}}",
          NULL },

        /* strings, and numbers as strings; each spelling */

        { "App Launched", "{\"CT App Version\":\"1.2\"}",
          "{\"app\":{\"version\":\"1.2\"}}" },
        { "App Launched", "{\"CTAppVersion\":2.30}",
          "{\"app\":{\"version\":\"2.30\"}}" },
        { "Charged", "{\"ct_app_version\":\"\\u0031\\\"\"}",
          "{\"app\":{\"version\":\"\\u0031\\\"\"}}" },
        { "App Launched", "{\"CT App Version\":\"  \"}", NULL },
        { "App Launched", "{\"CT App Version\":true}", NULL },
        { "App Launched", "{\"CT App Version\":null}", NULL },
        { "App Launched", "{\"CT App Version\":[\"1\"]}", NULL },

        /* the first spelling counts, else what comes first */

        { "App Launched", "{\"CTAppVersion\":\"1\",\"ct_app_version\":"
          "\"2\"}", "{\"app\":{\"version\":\"1\"}}" },
        { "App Launched", "{\"CTAppVersion\":\"1\",\"CT App Version\":"
          "\"2\",\"ct_app_version\":\"3\"}",
          "{\"app\":{\"version\":\"2\"}}" },

        /* the device, in events of the catalog that mean one */

        { "App Launched", "{\"Make\":\"m\",\"Model\":\"n\",\"Platform\":"
          "\"IOS\",\"CT OS Version\":17}",
          "{\"device\":{\"manufacturer\":\"m\",\"model\":\"n\","
          "\"type\":\"ios\"},\"os\":{\"name\":\"iOS\",\"version\":\"17\"}}" },
        { "App Launched", "{\"Platform\":\"Android\"}",
          "{\"device\":{\"type\":\"android\"},\"os\":{\"name\":"
          "\"Android\"}}" },
        { "App Launched", "{\"Platform\":\"Web\"}", NULL },
        { "State Transitioned", "{\"Model\":\"n\"}", NULL },
        { "Car Viewed", "{\"Make\":\"VW\",\"Model\":\"Golf\",\"latitude\":1,"
          "\"longitude\":2,\"utm_source\":\"s\"}", NULL },

        /* booleans */

        { "App Launched", "{\"CT Connected To WiFi\":true,"
          "\"CT Bluetooth Enabled\":\"False\"}",
          "{\"network\":{\"wifi\":true,\"bluetooth\":false}}" },
        { "App Launched", "{\"CT Connected To WiFi\":0,"
          "\"CT Bluetooth Enabled\":\"1\"}",
          "{\"network\":{\"wifi\":false,\"bluetooth\":true}}" },
        { "App Launched", "{\"CT Connected To WiFi\":2,"
          "\"CT Bluetooth Enabled\":\"yes\"}", NULL },
        { "App Launched", "{\"CT Network Carrier\":\"o2\","
          "\"CT Network Type\":\"5g\"}",
          "{\"network\":{\"carrier\":\"o2\",\"cellular\":true}}" },
        { "App Launched", "{\"CT Network Type\":\"WiFi\"}",
          "{\"network\":{\"cellular\":false}}" },
        { "App Launched", "{\"CT Network Type\":\"Unavailable\"}", NULL },

        /* places: both degrees, as numbers, of one pair */

        { "App Launched", "{\"CT Latitude\":90,\"CT Longitude\":\"-180.0\"}",
          LOCATION("90", "-180.0") },
        { "App Launched", "{\"CT Latitude\":-0.5,\"ct_longitude\":0}",
          LOCATION("-0.5", "0") },
        { "App Launched", "{\"CT Latitude\":90.1,\"CT Longitude\":1}", NULL },
        { "App Launched", "{\"CT Latitude\":91,\"CT Longitude\":1}", NULL },
        { "App Launched", "{\"CT Latitude\":1,\"CT Longitude\":181}", NULL },
        { "App Launched", "{\"CT Latitude\":1,\"CT Longitude\":\"01\"}",
          NULL },
        { "App Launched", "{\"CT Latitude\":1,\"CT Longitude\":\"1.\"}",
          NULL },
        { "App Launched", "{\"CT Latitude\":1,\"CT Longitude\":\".1\"}",
          NULL },
        { "App Launched", "{\"CT Latitude\":1,\"CT Longitude\":\"-\"}",
          NULL },
        { "App Launched", "{\"CT Latitude\":1,\"CT Longitude\":\"1e1\"}",
          NULL },
        { "App Launched", "{\"CT Latitude\":1,\"CT Longitude\":true}", NULL },
        { "App Launched", "{\"CT Latitude\":1}", NULL },
        { "Geocluster Entered", "{\"CT Latitude\":1,\"latitude\":2,"
          "\"longitude\":3}", LOCATION("2", "3") },
        { "Webhook Delivered", "{\"lat\":2,\"long\":3}",
          LOCATION("2", "3") },

        { "UTM Visited", "{\"utm_source\":\"s\",\"utm_medium\":\"m\","
          "\"utm_campaign\":\"c\",\"utm_term\":\"t\",\"utm_content\":1}",
          "{\"campaign\":{\"name\":\"c\",\"source\":\"s\",\"medium\":\"m\","
          "\"term\":\"t\",\"content\":\"1\"}}" },
        { "App Launched", "{\"utm_source\":\"s\"}", NULL },
        { "App Uninstalled", "{\"clevertapId\":\"d\"}",
          "{\"device\":{\"id\":\"d\"},\"clevertapId\":\"d\"}" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_context_of(cases[i].name, cases[i].props, cases[i].expect);
    }
}


static void
test_names(void **state)
{
    size_t       i;
    ctseg_rc_t   rc;
    ctseg_buf_t  out;

    static const char  *const cases[][2] = {
        { "{}", NULL },
        { "{\"Campaign Id\":1,\"Make\":2,\"x\":{\"ct_source\":3}}", NULL },
        { "{ \"Campaign id\" : 1, \"CampaignId\":2 }",
          "{ \"Campaign Id\" : 1, \"CampaignId\":2 }" },
        { "{\"Campaign id\":1,\"Campaign Id\":2,\"CAMPAIGN ID\":3}", NULL },
        { "{\"ct_source\":\"ct_source\",\"a\":1,\"CTLatitude\":\"\\\"\"}",
          "{\"CT Source\":\"ct_source\",\"a\":1,\"CT Latitude\":\"\\\"\"}" },
        { "{\"CT\\u0020source\":1}", "{\"CT Source\":1}" },
        { "{\"Campaign-id\":1,\"Campaign ids\":2,\"__\":3,\"\":4}", NULL },
        { "{\"journey ID\":1,\"Journey Name\":2,\"campaign_labels\":3}",
          "{\"Journey Id\":1,\"Journey name\":2,\"Campaign labels\":3}" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&out, 0, sizeof(out));
        rc = ctseg_names_write(&out, ctseg_str(cases[i][0]));

        if (cases[i][1] == NULL) {
            assert_int_equal(rc, CTSEG_NOTFOUND);
            assert_int_equal(out.len, 0);

        } else {
            assert_int_equal(rc, CTSEG_OK);
            ctseg_buf_char(&out, '\0');
            assert_string_equal(out.data, cases[i][1]);
        }

        ctseg_buf_free(&out);
    }
}


/* a message with both; a context that makes it too large stays away */

static void
test_message(void **state)
{
    char             props[CTSEG_PROPS_LEN_MAX + 1];
    char             version[2000];
    ctseg_buf_t      out;
    ctseg_event_t    ev;
    ctseg_reject_t   why;
    ctseg_pinned_t   pinned;
    ctseg_encoder_t  enc;

    (void) state;

    memset(&out, 0, sizeof(out));
    test_pinned(&pinned);
    pinned.mapping.context = true;
    pinned.mapping.names = CTSEG_NAMES_CANONICAL;
    ctseg_encoder_init(&enc, &pinned, TEST_INSTALLATION);

    test_event(&ev, "App Launched", "I", "{\"ct_app_version\":\"$D_0\"}");
    ev.id[CTSEG_ID_OBJECT] = ctseg_str("o");
    assert_int_equal(ctseg_message_encode(&out, &enc, 1, &ev, &why),
                     CTSEG_OK);
    ctseg_buf_char(&out, '\0');
    assert_non_null(strstr(out.data, "\"properties\":{\"CT App Version\":"
        "\"1970-01-01T00:00:00.000Z\"},\"context\":{\"app\":{\"version\":"
        "\"$D_0\"},\"device\":{\"id\":\"o\"},\"clevertapId\":\"o\"}}"));

    /* most of it twice: 40,000 bytes with the context */

    memset(version, 'v', sizeof(version) - 1);
    version[sizeof(version) - 1] = '\0';
    memset(props, 'x', sizeof(props));
    (void) snprintf(props, sizeof(props), "{\"CT Network Carrier\":\"%s\","
                    "\"CT App Version\":\"%s%s%s\",\"a\":\"", version,
                    version, version, version);
    memset(props + strlen(props), 'x', sizeof(props) - strlen(props));
    memcpy(props + sizeof(props) - 3, "\"}", 3);

    ctseg_buf_reset(&out);
    test_event(&ev, "App Launched", "I", props);
    assert_int_equal(ctseg_message_encode(&out, &enc, 1, &ev, &why),
                     CTSEG_OK);
    assert_in_range(out.len, CTSEG_PROPS_LEN_MAX, CTSEG_MESSAGE_MAX - 1);
    ctseg_buf_char(&out, '\0');
    assert_null(strstr(out.data, "\"context\""));

    ctseg_buf_free(&out);
}


/* ---- batches ---- */


static void
test_future(void **state)
{
    unsigned        i;
    ctseg_batch_t   b;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    (void) state;

    test_pinned(&pinned);

    for (i = 0; i < 3; i++) {
        pinned.mapping.future = (ctseg_future_t) i;
        memset(&b, 0, sizeof(b));
        ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);
        test_event(&ev, "App Launched", "I", "{}");

        /* 24 hours ahead are fine, a millisecond more is not */

        b.arrived_ms = TEST_TIME_MS - CTSEG_FUTURE_MS;
        assert_true(ctseg_batch_offer(&b, &ev));
        b.arrived_ms--;
        assert_true(ctseg_batch_offer(&b, &ev));
        ctseg_batch_end(&b);
        ctseg_buf_char(&b.body, '\0');

        assert_int_equal(b.upto, 2);
        assert_int_equal(b.events, i == CTSEG_FUTURE_REJECT ? 1 : 2);
        assert_int_equal(b.counts.rejects[CTSEG_REJECT_FUTURE],
                         i == CTSEG_FUTURE_REJECT);
        assert_int_equal(b.counts.rejected, i == CTSEG_FUTURE_REJECT);
        assert_non_null(strstr(b.body.data, "2026-01-02T03:04:05.678Z"));
        assert_true((strstr(b.body.data, "2026-01-01T03:04:05.677Z") != NULL)
                    == (i == CTSEG_FUTURE_CLAMP));

        if (i == CTSEG_FUTURE_REJECT) {
            assert_int_equal(b.nrejects, 1);
            assert_int_equal(b.rejects[0].reason, CTSEG_REJECT_FUTURE);
        }

        ctseg_batch_free(&b);
    }
}


static void
test_integrations(void **state)
{
    unsigned        i;
    size_t          len, messages[2];
    ctseg_batch_t   b;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    static char  props[1001];

    static const char  tail[] = "},\"integrations\":{\"All\":false}}";

    (void) state;

    memset(props, 'x', sizeof(props) - 1);
    memcpy(props, "{\"a\":\"", 6);
    memcpy(props + sizeof(props) - 3, "\"}", 2);
    test_event(&ev, "App Launched", "I", props);

    test_pinned(&pinned);
    memcpy(pinned.mapping.integrations, "{\"All\":false}", 14);
    memset(&b, 0, sizeof(b));
    ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);
    assert_true(ctseg_batch_offer(&b, &ev));
    ctseg_batch_end(&b);
    ctseg_buf_char(&b.body, '\0');
    len = strlen(b.body.data);
    assert_string_equal(b.body.data + len - (sizeof(tail) - 1), tail);
    ctseg_batch_free(&b);

    /* the longest counts in full, so a batch holds less of messages */

    for (i = 0; i < 2; i++) {
        memset(pinned.mapping.integrations, 0, CTSEG_INTEGRATIONS_MAX);

        if (i == 1) {
            memset(pinned.mapping.integrations, '1', CTSEG_INTEGRATIONS_MAX);
        }

        memset(&b, 0, sizeof(b));
        ctseg_batch_begin(&b, &pinned, TEST_INSTALLATION, "k", 0);

        while (ctseg_batch_offer(&b, &ev)) { /* void */ }

        messages[i] = b.body.len - b.head;
        ctseg_batch_end(&b);
        assert_int_equal(b.rc, CTSEG_OK);
        assert_in_range(b.body.len, CTSEG_BATCH_BYTES - 3000,
                        CTSEG_BATCH_BYTES);
        ctseg_batch_free(&b);
    }

    assert_in_range(messages[0] - messages[1], CTSEG_INTEGRATIONS_MAX - 1300,
                    CTSEG_INTEGRATIONS_MAX + 1300);
}


int
main(void)
{
    static const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_context),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_future),
        cmocka_unit_test(test_integrations)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
