/*
 * The text format of Prometheus: exact bytes, since a scraper drops a whole
 * page for one bad line.  Values are checked where a double would round.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/ctseg_prom.h"


static ctseg_buf_t   out;
static ctseg_prom_t  prom = { &out, NULL };


static void
test_is(const char *expect)
{
    ctseg_buf_char(&out, '\0');
    assert_false(out.failed);
    assert_string_equal(out.data, expect);
    ctseg_buf_free(&out);
}


static void
test_samples(void **state)
{
    ctseg_prom_label_t  labels[2];

    (void) state;

    ctseg_prom_family(&prom, CTSEG_PROM_COUNTER, "a_total", "What it is.");
    ctseg_prom_sample(&prom, NULL, 0, 7, 1);
    test_is("# HELP a_total What it is.\n# TYPE a_total counter\n"
            "a_total 7\n");

    labels[0].name = "x";
    labels[0].value = "back\\slash \"quote\"\nline";
    labels[1].name = "y";
    labels[1].value = "";

    ctseg_prom_family(&prom, CTSEG_PROM_GAUGE, "b", "h");
    ctseg_prom_sample(&prom, labels, 2, 0, 1);
    ctseg_prom_sample(&prom, labels + 1, 1, UINT64_MAX, 1);
    test_is("# HELP b h\n# TYPE b gauge\n"
            "b{x=\"back\\\\slash \\\"quote\\\"\\nline\",y=\"\"} 0\n"
            "b{y=\"\"} 18446744073709551615\n");
}


static void
test_value(uint64_t value, uint64_t scale, const char *expect)
{
    prom.name = "v";
    ctseg_prom_sample(&prom, NULL, 0, value, scale);
    test_is(expect);
}


static void
test_scales(void **state)
{
    (void) state;

    test_value(0, 1000, "v 0\n");
    test_value(5, 1000, "v 0.005\n");
    test_value(2500, 1000, "v 2.5\n");
    test_value(1000, 1000, "v 1\n");
    test_value(10010, 1000, "v 10.01\n");
    test_value(100, 1000000, "v 0.0001\n");
    test_value(UINT64_MAX, 1000000, "v 18446744073709.551615\n");
}


static const uint64_t  test_bounds[] = { 100, 1000, 2500000 };

static const ctseg_prom_buckets_t  test_buckets = {
    3, 1000000, test_bounds
};


static void
test_histogram(void **state)
{
    ctseg_prom_label_t  label;

    static const uint64_t  counts[] = { 1, 0, 4, 2 };

    (void) state;

    ctseg_prom_family(&prom, CTSEG_PROM_HISTOGRAM, "h_seconds", "h");
    ctseg_prom_histogram(&prom, NULL, &test_buckets, counts, 9000001);
    test_is("# HELP h_seconds h\n# TYPE h_seconds histogram\n"
            "h_seconds_bucket{le=\"0.0001\"} 1\n"
            "h_seconds_bucket{le=\"0.001\"} 1\n"
            "h_seconds_bucket{le=\"2.5\"} 5\n"
            "h_seconds_bucket{le=\"+Inf\"} 7\n"
            "h_seconds_sum 9.000001\n"
            "h_seconds_count 7\n");

    label.name = "partner";
    label.value = "p";

    ctseg_prom_histogram(&prom, &label, &test_buckets, counts, 0);
    test_is("h_seconds_bucket{partner=\"p\",le=\"0.0001\"} 1\n"
            "h_seconds_bucket{partner=\"p\",le=\"0.001\"} 1\n"
            "h_seconds_bucket{partner=\"p\",le=\"2.5\"} 5\n"
            "h_seconds_bucket{partner=\"p\",le=\"+Inf\"} 7\n"
            "h_seconds_sum{partner=\"p\"} 0\n"
            "h_seconds_count{partner=\"p\"} 7\n");
}


/* a bound belongs to its own bucket: le is "less or equal" */

static void
test_bucket(void **state)
{
    (void) state;

    assert_int_equal(ctseg_prom_bucket(&test_buckets, 0), 0);
    assert_int_equal(ctseg_prom_bucket(&test_buckets, 100), 0);
    assert_int_equal(ctseg_prom_bucket(&test_buckets, 101), 1);
    assert_int_equal(ctseg_prom_bucket(&test_buckets, 2500000), 2);
    assert_int_equal(ctseg_prom_bucket(&test_buckets, 2500001), 3);
    assert_int_equal(ctseg_prom_bucket(&test_buckets, UINT64_MAX), 3);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_scales),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_bucket)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
