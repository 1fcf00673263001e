/*
 * Words for codes: every code of the page "API Errors" that is given has one
 * of its own, and whatever is not known is "other".
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "clevertap/ctseg_upload.h"


static void
test_words(void **state)
{
    unsigned  i, seen;

    static const struct {
        int          code;
        const char  *name;
    } cases[] = {
        { 509, "no_name" },
        { 512, "structure" },
        { 514, "profile" },
        { 515, "profile" },
        { 516, "profile" },
        { 522, "properties" },
        { 523, "no_identity" },
        { 524, "type" },
        { 525, "ts" },
        { 526, "object_id" },
        { 555, "other" }
    };

    (void) state;
    seen = 0;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_string_equal(ctseg_refusal_name(
                                           ctseg_refusal_of(cases[i].code)),
                            cases[i].name);
        seen |= 1u << ctseg_refusal_of(cases[i].code);
    }

    assert_int_equal(seen, (1u << CTSEG_REFUSAL_N) - 1);
    assert_string_equal(ctseg_refusal_name(ctseg_refusal_of(0)), "other");
    assert_string_equal(ctseg_refusal_name(ctseg_refusal_of(999)), "other");
    assert_string_equal(ctseg_refusal_name(ctseg_refusal_of(513)), "other");
    assert_string_equal(ctseg_refusal_name(ctseg_refusal_of(517)), "other");
    assert_null(ctseg_refusal_name(CTSEG_REFUSAL_N));
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
