/*
 * Bodies that go round: what is kept and what is not, in which order it is
 * taken, and that what nobody takes goes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "segment_test.h"
#include "segment/ctseg_bodies.h"


static char *
test_give(ctseg_bodies_t *bodies, size_t cap)
{
    char           *data;
    ctseg_batch_t   b;

    data = malloc(cap);
    assert_non_null(data);

    memset(&b, 0, sizeof(b));
    b.body.data = data;
    b.body.cap = cap;
    b.body.len = cap / 2;
    b.body.failed = true;
    b.events = 7;
    b.profiles = malloc(100);
    assert_non_null(b.profiles);

    ctseg_bodies_give(bodies, &b);

    assert_null(b.body.data);
    assert_null(b.profiles);
    assert_int_equal(b.events, 0);

    return data;
}


/* what is taken is empty, and may be written from end to end */

static void
test_take(ctseg_bodies_t *bodies, const char *data)
{
    ctseg_batch_t  b;

    memset(&b, 0, sizeof(b));

    ctseg_bodies_take(bodies, &b);

    assert_ptr_equal(b.body.data, data);
    assert_int_equal(b.body.len, 0);
    assert_false(b.body.failed);

    if (data != NULL) {
        assert_int_equal(b.body.cap, CTSEG_BATCH_MEMORY);
        memset(b.body.data, 'x', b.body.cap);
    }

    ctseg_batch_free(&b);
}


static void
test_round(void **state)
{
    char            *p[CTSEG_BODIES_MAX];
    unsigned         i;
    ctseg_bodies_t   bodies;

    (void) state;

    memset(&bodies, 0, sizeof(bodies));
    test_take(&bodies, NULL);

    /* only full ones, or a large batch would get what it has to grow */

    (void) test_give(&bodies, CTSEG_BATCH_MEMORY / 8);
    assert_int_equal(bodies.n, 0);

    for (i = 0; i < CTSEG_BODIES_MAX; i++) {
        p[i] = test_give(&bodies, CTSEG_BATCH_MEMORY);
    }

    (void) test_give(&bodies, CTSEG_BATCH_MEMORY);
    assert_int_equal(bodies.n, CTSEG_BODIES_MAX);

    /* the last one is the one whose pages are warm */

    while (i-- > 0) {
        test_take(&bodies, p[i]);
    }

    test_take(&bodies, NULL);
}


static void
test_tidy(void **state)
{
    char            *p[3];
    int64_t          now;
    unsigned         i;
    ctseg_batch_t    b;
    ctseg_bodies_t   bodies;

    (void) state;

    memset(&bodies, 0, sizeof(bodies));
    memset(&b, 0, sizeof(b));
    now = 1000000;
    ctseg_bodies_tidy(&bodies, now);

    for (i = 0; i < 3; i++) {
        p[i] = test_give(&bodies, CTSEG_BATCH_MEMORY);
    }

    /* they have not been here for all of that time */

    now += CTSEG_BODIES_IDLE_MS;
    ctseg_bodies_tidy(&bodies, now);
    assert_int_equal(bodies.n, 3);

    /* one is needed again and again: the others go, and not before */

    for (i = 0; i < 3; i++) {
        ctseg_bodies_take(&bodies, &b);
        assert_ptr_equal(b.body.data, p[2]);
        ctseg_bodies_tidy(&bodies, now + CTSEG_BODIES_IDLE_MS - 1);
        assert_int_equal(bodies.n, 2);
        ctseg_bodies_give(&bodies, &b);
    }

    now += CTSEG_BODIES_IDLE_MS;
    ctseg_bodies_tidy(&bodies, now);
    assert_int_equal(bodies.n, 1);
    assert_ptr_equal(bodies.body[0].data, p[2]);

    /* at last that one, too */

    now += CTSEG_BODIES_IDLE_MS;
    ctseg_bodies_tidy(&bodies, now);
    assert_int_equal(bodies.n, 0);
    test_take(&bodies, NULL);

    now += CTSEG_BODIES_IDLE_MS;
    ctseg_bodies_tidy(&bodies, now);
    assert_int_equal(bodies.n, 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_tidy)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
