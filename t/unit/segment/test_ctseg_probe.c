/*
 * The message that tests a partner, to the byte, in the envelope that events
 * have; with a nickname that needs escapes and the longest of all.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "segment_test.h"
#include "segment/ctseg_probe.h"


static void
test_partner(ctseg_partner_t *p, const char *key)
{
    memset(p, 0, sizeof(ctseg_partner_t));

    memcpy(p->write_key, key, strlen(key));
    memcpy(p->nickname, "A \"b\" \\ \xc3\xa9", 11);
}


static void
test_message(void **state)
{
    char             id[CTSEG_PROBE_ID_MAX], fingerprint[17], want[1024];
    ctseg_batch_t    b;
    ctseg_partner_t  p;

    (void) state;

    test_partner(&p, "secret");
    ctseg_write_key_fingerprint(fingerprint, "secret");
    memset(&b, 0, sizeof(b));

    ctseg_probe_compose(&b, id, &p, TEST_INSTALLATION, TEST_TIME_MS);
    assert_int_equal(b.rc, CTSEG_OK);
    assert_int_equal(b.events, 1);

    (void) snprintf(want, sizeof(want), "ctseg-" TEST_INSTALLATION "-%s-test-"
                    "%llx", fingerprint, TEST_TIME_MS);
    assert_string_equal(id, want);

    (void) snprintf(want, sizeof(want),
        "{\"writeKey\":\"secret\",\"batch\":[{\"type\":\"track\","
        "\"messageId\":\"%s\",\"anonymousId\":\"ctseg-test\","
        "\"event\":\"ctseg Connection Test\","
        "\"timestamp\":\"2026-01-02T03:04:05.678Z\","
        "\"properties\":{\"test\":true,"
        "\"partner\":\"A \\\"b\\\" \\\\ \xc3\xa9\"}}],\"context\":{", id);
    assert_memory_equal(b.body.data, want, strlen(want));
    assert_int_equal(b.body.data[b.body.len - 1], '}');

    ctseg_batch_free(&b);
}


static void
test_ids(void **state)
{
    char             one[CTSEG_PROBE_ID_MAX], two[CTSEG_PROBE_ID_MAX];
    ctseg_batch_t    b;
    ctseg_partner_t  p;

    (void) state;

    /* another moment and another key have another id each */

    test_partner(&p, "secret");
    memset(&b, 0, sizeof(b));
    ctseg_probe_compose(&b, one, &p, TEST_INSTALLATION, TEST_TIME_MS);
    ctseg_batch_free(&b);

    ctseg_probe_compose(&b, two, &p, TEST_INSTALLATION, TEST_TIME_MS + 1);
    ctseg_batch_free(&b);
    assert_string_not_equal(one, two);

    test_partner(&p, "another");
    ctseg_probe_compose(&b, two, &p, TEST_INSTALLATION, TEST_TIME_MS);
    ctseg_batch_free(&b);
    assert_string_not_equal(one, two);

    /* nothing is cut off at the end of the times that can be written */

    ctseg_probe_compose(&b, two, &p, TEST_INSTALLATION, INT64_MAX / 1000);
    assert_int_equal(strlen(two), 6 + 16 + 1 + 16 + 6 + 14);
    ctseg_batch_free(&b);
}


static void
test_largest(void **state)
{
    char             id[CTSEG_PROBE_ID_MAX];
    ctseg_batch_t    b;
    ctseg_partner_t  p;

    (void) state;

    memset(&p, 0, sizeof(p));
    memset(p.nickname, '"', sizeof(p.nickname) - 1);
    memset(p.write_key, '"', sizeof(p.write_key) - 1);

    memset(&b, 0, sizeof(b));
    ctseg_probe_compose(&b, id, &p, TEST_INSTALLATION, TEST_TIME_MS);
    assert_int_equal(b.rc, CTSEG_OK);
    assert_in_range(b.body.len, 1, 4096);
    ctseg_batch_free(&b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_largest)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
