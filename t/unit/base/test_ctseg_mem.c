/*
 * Buffer and arena: growth, the sticky failure, alignment, and that what was
 * handed out stays where and what it was.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"


static void
test_buf(void **state)
{
    unsigned     i;
    ctseg_buf_t  b = { NULL, 0, 0, false };

    (void) state;

    assert_int_equal(ctseg_buf_slice(&b).len, 0);
    assert_non_null(ctseg_buf_slice(&b).data);

    ctseg_buf_add(&b, NULL, 0);
    assert_int_equal(b.cap, 0);

    ctseg_buf_cstr(&b, "abc");
    ctseg_buf_char(&b, '-');
    ctseg_buf_str(&b, ctseg_str("def"));
    ctseg_buf_fmt(&b, "%s%d", "/", 42);

    assert_true(ctseg_str_is(ctseg_buf_slice(&b), "abc-def/42"));

    for (i = 0; i < 10000; i++) {
        ctseg_buf_fmt(&b, "%05u", i);
    }

    assert_false(b.failed);
    assert_int_equal(b.len, 10 + 50000);
    assert_memory_equal(b.data + b.len - 10, "0999809999", 10);

    ctseg_buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_true(b.cap > 50000);

    ctseg_buf_free(&b);
    assert_null(b.data);
    assert_int_equal(b.cap, 0);
}


static void
test_buf_failed(void **state)
{
    ctseg_buf_t  b = { NULL, 0, 0, false };

    (void) state;

    ctseg_buf_cstr(&b, "kept");
    ctseg_buf_reserve(&b, SIZE_MAX - 2);
    assert_true(b.failed);

    /* there is room, and nothing is taken all the same */

    assert_true(b.cap - b.len > 16);
    ctseg_buf_cstr(&b, "dropped");
    ctseg_buf_str(&b, ctseg_str("d"));
    ctseg_buf_char(&b, 'd');
    ctseg_buf_fmt(&b, "%d", 1);
    assert_true(ctseg_str_is(ctseg_buf_slice(&b), "kept"));

    ctseg_buf_reset(&b);
    assert_false(b.failed);
    ctseg_buf_cstr(&b, "again");
    assert_true(ctseg_str_is(ctseg_buf_slice(&b), "again"));

    ctseg_buf_free(&b);
}


static void
test_arena(void **state)
{
    size_t          i, j, size;
    unsigned char  *p[600];
    ctseg_arena_t  *a;

    (void) state;

    a = ctseg_arena_create();
    assert_non_null(a);

    /* small ones, and now and then one that needs its own chunk */

    for (i = 0; i < 600; i++) {
        size = i % 50 == 0 ? i * 200 : i;

        p[i] = ctseg_arena_alloc(a, size);
        assert_non_null(p[i]);
        assert_int_equal((uintptr_t) p[i] % 16, 0);
        memset(p[i], (int) (i & 0xff), size);
    }

    for (i = 0; i < 600; i++) {
        size = i % 50 == 0 ? i * 200 : i;

        for (j = 0; j < size; j++) {
            assert_int_equal(p[i][j], i & 0xff);
        }
    }

    assert_null(ctseg_arena_alloc(a, SIZE_MAX - 5));
    assert_ptr_not_equal(ctseg_arena_alloc(a, 0), ctseg_arena_alloc(a, 0));

    ctseg_arena_destroy(a);
    ctseg_arena_destroy(NULL);
}


static void
test_arena_copies(void **state)
{
    size_t          i;
    ctseg_str_t     s, none = { 0, NULL };
    unsigned char  *z;
    ctseg_arena_t  *a;

    (void) state;

    a = ctseg_arena_create();
    assert_non_null(a);

    z = ctseg_arena_zalloc(a, 5000);
    assert_non_null(z);

    for (i = 0; i < 5000; i++) {
        assert_int_equal(z[i], 0);
    }

    s = ctseg_arena_dup(a, ctseg_str("text"));
    assert_string_equal(s.data, "text");
    assert_int_equal(s.len, 4);

    s = ctseg_arena_dup(a, none);
    assert_non_null(s.data);
    assert_int_equal(s.len, 0);
    assert_int_equal(s.data[0], '\0');

    ctseg_arena_destroy(a);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_buf),
        cmocka_unit_test(test_buf_failed),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_arena_copies)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
