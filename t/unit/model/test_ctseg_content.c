/*
 * What is the same event and what is not: order, escapes and spelling of
 * numbers make no difference, a value, a second or a name do.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/ctseg_str.h"
#include "model/ctseg_content.h"


static uint64_t
hash(const char *name, const char *identity, int64_t ms, const char *props)
{
    ctseg_hash_t     h = { NULL };
    ctseg_zone_t     zone;
    ctseg_event_t    ev;
    ctseg_content_t  c;

    ctseg_zone_fixed(&zone, "UTC", 0);
    memset(&ev, 0, sizeof(ev));
    ev.kind = ctseg_catalog_find(ctseg_str(name));
    ev.name = ctseg_str(ev.kind == 0 ? name : "");
    ev.time_ms = ms;
    ev.id[CTSEG_ID_IDENTITY] = ctseg_str(identity);
    ev.props = ctseg_str(props);

    assert_int_equal(ctseg_content(&ev, &zone, &h, &c), CTSEG_OK);
    assert_int_equal(c.nids, 1);
    assert_int_not_equal(c.identity, 0);
    ctseg_hash_free(&h);

    return c.ids[CTSEG_ID_IDENTITY];
}


static void
test_same(void **state)
{
    size_t    i;
    uint64_t  h;

    static const char  *const props[] = {
        "{\"a\":10,\"b\":[{\"x\":\"y\",\"z\":0}]}",
        "{\"b\":[{\"z\":-0.0e9,\"x\":\"\\u0079\"}],\"\\u0061\":1e1}",
        "{ \"a\" : 100e-1, \"CT Source\":1, \"ct_x\":2, \"n\":null,"
        "\"b\":[{\"x\":\"y\",\"z\":0}]}",
        "{\"a\":10.00,\"b\":[{\"x\":\"y\",\"z\":0}]}"
    };

    (void) state;
    h = hash("My Event", "u/1", 5000, props[0]);

    for (i = 0; i < sizeof(props) / sizeof(props[0]); i++) {
        assert_int_equal(hash("my\\u0065 VENT", "u\\/1", 5999, props[i]), h);
    }

    assert_int_equal(hash("Push Impressions", "u", 0, ""),
                     hash("push impression", "u", 0, "{\"ct_a\":1}"));
}


static void
test_other(void **state)
{
    size_t    i;
    uint64_t  h;

    static const char  *const props[] = {
        "", "{\"a\":11}", "{\"a\":\"10\"}", "{\"a\":-10}", "{\"a\":100}",
        "{\"a\":1}", "{\"A\":10}", "{\"a\":[10]}", "{\"a\":10,\"b\":{}}",
        "{\"a\":true}", "{\"a\":10,\"a\":10}", "{\"a\":0.1}"
    };

    (void) state;
    h = hash("E", "u", 5000, "{\"a\":10}");

    for (i = 0; i < sizeof(props) / sizeof(props[0]); i++) {
        assert_int_not_equal(hash("E", "u", 5000, props[i]), h);
    }

    assert_int_not_equal(hash("E", "u", 6000, "{\"a\":10}"), h);
    assert_int_not_equal(hash("F", "u", 5000, "{\"a\":10}"), h);
    assert_int_not_equal(hash("E", "v", 5000, "{\"a\":10}"), h);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_other)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
