/*
 * The shared words: every result code has a name, an error and a list of
 * wrong fields keep their bounds and never end inside a character.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"


static void
test_names(void **state)
{
    int  i, j;

    (void) state;

    for (i = CTSEG_OK; i <= CTSEG_TOOBIG; i++) {
        assert_non_null(ctseg_rc_name((ctseg_rc_t) i));
        assert_string_not_equal(ctseg_rc_name((ctseg_rc_t) i), "unknown");

        for (j = CTSEG_OK; j < i; j++) {
            assert_string_not_equal(ctseg_rc_name((ctseg_rc_t) i),
                                    ctseg_rc_name((ctseg_rc_t) j));
        }
    }

    assert_string_equal(ctseg_rc_name(CTSEG_NOTFOUND), "not found");
    assert_string_equal(ctseg_rc_name(CTSEG_TOOBIG), "too big");
    assert_string_equal(ctseg_rc_name((ctseg_rc_t) 1000), "unknown");
    assert_string_equal(ctseg_rc_name((ctseg_rc_t) -1), "unknown");
}


static void
test_err(void **state)
{
    ctseg_err_t  err;

    (void) state;

    err.offset = 7;

    assert_int_equal(ctseg_err(&err, CTSEG_FULL, "%d of %s", 3, "four"),
                     CTSEG_FULL);
    assert_int_equal(err.code, CTSEG_FULL);
    assert_int_equal(err.offset, 0);
    assert_string_equal(err.text, "3 of four");

    assert_int_equal(ctseg_err(NULL, CTSEG_RETRY, "%s", "x"), CTSEG_RETRY);
}


static void
test_err_cut(void **state)
{
    char         text[400];
    size_t       i;
    ctseg_err_t  err;

    (void) state;

    /* two-byte characters behind one byte: the limit falls inside of one */

    text[0] = 'a';

    for (i = 1; i + 2 < sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa4", 2);
    }

    text[i] = '\0';

    (void) ctseg_err(&err, CTSEG_INVALID, "%s", text);
    assert_in_range(strlen(err.text), sizeof(err.text) - 4,
                    sizeof(err.text) - 1);
    assert_int_equal(ctseg_utf8_check(ctseg_str(err.text)),
                     strlen(err.text));

    (void) ctseg_err(&err, CTSEG_INVALID, "b%s", text);
    assert_int_equal(ctseg_utf8_check(ctseg_str(err.text)),
                     strlen(err.text));
}


static void
test_problems(void **state)
{
    char              field[400];
    unsigned          i;
    ctseg_problems_t  p;

    (void) state;

    memset(&p, 0, sizeof(p));
    memset(field, 'f', sizeof(field) - 1);
    field[sizeof(field) - 1] = '\0';

    ctseg_problem(&p, "a.b", "must be %d", 5);
    assert_int_equal(p.n, 1);
    assert_string_equal(p.item[0].field, "a.b");
    assert_string_equal(p.item[0].message, "must be 5");

    for (i = 1; i < 100; i++) {
        ctseg_problem(&p, field, "%s", field);
        assert_int_equal(p.n, i + 1);
    }

    assert_int_equal(strlen(p.item[CTSEG_PROBLEMS_MAX - 1].field), 127);
    assert_int_equal(strlen(p.item[CTSEG_PROBLEMS_MAX - 1].message), 191);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_err),
        cmocka_unit_test(test_err_cut),
        cmocka_unit_test(test_problems)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
