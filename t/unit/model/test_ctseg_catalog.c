/*
 * The catalog: the numbers as they are stored for ever, the two sets, and
 * the lookup with near misses.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_json.h"
#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_catalog.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))


/* kind i + 1; this list is never reordered */

static const char  *const test_names[] = {
    "Notification Sent",
    "Notification Viewed",
    "Notification Clicked",
    "Push Impressions",
    "Notification Replied",
    "Control Group",
    "Channel Unsubscribed",
    "Session Concluded",
    "State Transitioned",
    "AB Experiment Rendered",
    "AB Experiment Stopped",
    "AB Experiment Rolled Out",
    "AB Experiment Disqualified",
    "Geocluster Entered",
    "Geocluster Exited",
    "Reply Sent",
    "App Version Changed",
    "App Launched",
    "App Installed",
    "App Uninstalled",
    "UTM Visited",
    "Notification Delivered",
    "Webhook Delivered"
};


static void
test_kinds(void **state)
{
    unsigned  i;

    (void) state;

    assert_int_equal(N(test_names), CTSEG_KIND_LAST);

    for (i = 0; i < N(test_names); i++) {
        assert_true(ctseg_str_is(ctseg_catalog_name(i + 1), test_names[i]));
        assert_int_equal(ctseg_catalog_find(ctseg_str(test_names[i])), i + 1);
    }

    assert_int_equal(ctseg_catalog_name(0).len, 0);
    assert_int_equal(ctseg_catalog_name(24).len, 0);
    assert_int_equal(ctseg_catalog_name(1u << 31).len, 0);
}


static void
test_misses(void **state)
{
    char         text[64];
    size_t       i, j, len;
    ctseg_str_t  s, none = { 0, NULL };

    static const char  *const others[] = {
        "Charged", "Product Viewed", "notification_sent", "Notification-Sent",
        "Push Impressionss", "App Upgraded", "Notification Sents",
        "Notification\tSent", "Stayed", "AB Experiment Disqualified!", " ",
        "App Launched Today", "My App Launched", "AppLaunche", "A/B Experiment"
        " Stopped", "\xc3\x84pp Launched", "App Launched\xc2\xa0",
        "Apps Versions Changed", "Pushes Impressions", "App",
        "ABExperimentsDisqualifieds", "ABExperimentsDisqualifiedabcdefghij"
    };

    (void) state;

    assert_int_equal(ctseg_catalog_find(none), 0);

    for (i = 0; i < N(others); i++) {
        assert_int_equal(ctseg_catalog_find(ctseg_str(others[i])), 0);
    }

    /* every name with one byte changed, and one byte shorter or longer */

    for (i = 0; i < N(test_names); i++) {
        len = strlen(test_names[i]);
        memcpy(text, test_names[i], len + 1);
        s.data = text;

        for (j = 0; j < len; j++) {
            s.len = len;
            text[j] ^= 1;
            assert_int_equal(ctseg_catalog_find(s), 0);
            text[j] ^= 1;
            text[j] ^= 0x20;
            assert_int_equal(ctseg_catalog_exact(s), 0);
            text[j] ^= 0x20;

            s.len = j;
            assert_int_equal(ctseg_catalog_exact(s), 0);
            assert_int_equal(ctseg_catalog_find(s),
                             i == 3 && j == len - 1 ? 4 : 0);
        }

        s.len = len + 1;
        assert_int_equal(ctseg_catalog_find(s), 0);
    }
}


static void
test_spellings(void **state)
{
    char         text[2048];
    size_t       i, j, n;
    ctseg_str_t  s;

    static const struct {
        const char  *name;
        unsigned     kind;
    } cases[] = {
        { "Push Impression", 4 },
        { "PUSHIMPRESSION", 4 },
        { "GeoCluster Entered", 14 },
        { "Geo Cluster Exited", 15 },
        { "Geoclusters Exited", 15 },
        { "notificationclicked", 3 },
        { "Notifications Sent", 1 },
        { "notificationssent", 1 },
        { " Notification Sent ", 1 },
        { "Utm Visited", 21 },
        { "replies sent", 16 },
        { "App Versions Changed", 17 },
        { "Webhooks Delivered", 23 },
        { "Ab experiments rolledout", 12 },
        { "AB Experiments Disqualified", 13 },
        { "Control Groups", 6 }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        s = ctseg_str(cases[i].name);
        assert_int_equal(ctseg_catalog_find(s), cases[i].kind);
        assert_int_equal(ctseg_catalog_exact(s), 0);
    }

    /* each name small, great, and with three spaces behind every letter */

    for (i = 0; i < N(test_names); i++) {
        s.data = text;
        s.len = strlen(test_names[i]);

        for (j = 0; j < s.len; j++) {
            text[j] = test_names[i][j];
            text[j] |= text[j] == ' ' ? 0 : 0x20;
        }

        assert_int_equal(ctseg_catalog_find(s), i + 1);

        for (j = 0; j < s.len; j++) {
            text[j] &= text[j] == ' ' ? 0x20 : 0x5f;
        }

        assert_int_equal(ctseg_catalog_find(s), i + 1);

        for (j = 0, n = s.len, s.len = 0; j < n; j++) {
            text[s.len++] = test_names[i][j];
            memcpy(text + s.len, "   ", 3);
            s.len += 3;
        }

        assert_int_equal(ctseg_catalog_find(s), i + 1);
    }
}


static void
test_sets(void **state)
{
    unsigned       i;
    ctseg_kinds_t  system, engagement, all;

    (void) state;

    system = ctseg_catalog_set(CTSEG_SET_SYSTEM);
    engagement = ctseg_catalog_set(CTSEG_SET_ENGAGEMENT);
    all = ctseg_catalog_set(CTSEG_SET_ALL);

    assert_int_equal(__builtin_popcountll(system), 21);
    assert_int_equal(__builtin_popcountll(engagement), 18);
    assert_int_equal(__builtin_popcountll(system | engagement), 23);
    assert_int_equal(__builtin_popcountll(system & engagement), 16);

    assert_false((system | engagement) & ctseg_kind_bit(0));
    assert_int_equal(ctseg_catalog_set(CTSEG_SET_SELECTED), 0);
    assert_int_equal(ctseg_catalog_set((ctseg_set_t) 0), 0);

    for (i = 0; i <= CTSEG_KIND_LAST; i++) {
        assert_true((all & ctseg_kind_bit(i)) != 0);
    }

    /* a profile is no event */

    assert_false(all & ctseg_kind_bit(CTSEG_KIND_PROFILE));

    /* what one set has and the other has not */

    i = ctseg_catalog_find(ctseg_str("Webhook Delivered"));
    assert_true(engagement & ~system & ctseg_kind_bit(i));
    i = ctseg_catalog_find(ctseg_str("Notification Delivered"));
    assert_true(engagement & ~system & ctseg_kind_bit(i));
    i = ctseg_catalog_find(ctseg_str("App Launched"));
    assert_true(system & ~engagement & ctseg_kind_bit(i));
    i = ctseg_catalog_find(ctseg_str("AB Experiment Disqualified"));
    assert_true(system & ~engagement & ctseg_kind_bit(i));
    i = ctseg_catalog_find(ctseg_str("Session Concluded"));
    assert_true(system & ~engagement & ctseg_kind_bit(i));
}


static void
test_set_names(void **state)
{
    int  i;

    static const char  *const names[] = {
        "system", "selected", "engagement", "all"
    };

    (void) state;

    for (i = 0; i < 4; i++) {
        assert_int_equal(ctseg_set_parse(ctseg_str(names[i])), i + 1);
        assert_string_equal(ctseg_set_name((ctseg_set_t) (i + 1)), names[i]);
    }

    assert_int_equal(ctseg_set_parse(ctseg_str("System")), 0);
    assert_int_equal(ctseg_set_parse(ctseg_str("")), 0);
    assert_null(ctseg_set_name((ctseg_set_t) 0));
    assert_null(ctseg_set_name((ctseg_set_t) 5));
}


static void
test_render(void **state)
{
    int             i;
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_json_t   *root, *list, *v;
    ctseg_kinds_t   kinds;
    ctseg_arena_t  *a;

    static const char  *const lists[] = { "system", "engagement" };

    (void) state;

    a = ctseg_arena_create();
    assert_non_null(a);

    ctseg_catalog_render(&b);
    assert_false(b.failed);
    assert_int_equal(ctseg_json_parse(a, ctseg_buf_slice(&b), 4, 1000, &root,
                                      NULL),
                     CTSEG_OK);
    assert_int_equal(root->n, 2);

    for (i = 0; i < 2; i++) {
        list = ctseg_json_get(root, lists[i]);
        kinds = 0;

        for (v = list->child; v != NULL; v = v->next) {
            assert_int_equal(v->n, 2);
            assert_true(ctseg_json_get(v, "description")->text.len > 10);
            kinds |= ctseg_kind_bit(ctseg_catalog_find(
                                        ctseg_json_get(v, "name")->text));
        }

        assert_int_equal(list->n, __builtin_popcountll(kinds));
        assert_true(kinds == ctseg_catalog_set(ctseg_set_parse(
                                                   ctseg_str(lists[i]))));
    }

    /* its order is its own */

    list = ctseg_json_get(root, "engagement");

    for (v = list->child; v->next != NULL; v = v->next) { /* void */ }

    assert_string_equal(ctseg_json_get(v, "name")->text.data, "UTM Visited");

    ctseg_arena_destroy(a);
    ctseg_buf_free(&b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_misses),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_set_names),
        cmocka_unit_test(test_render)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
