/*
 * Who does the work of a request with an Idempotency-Key, and for how long
 * the others get its answer: a day, and a minute while there is none yet.
 */

#include "state_test.h"


#define DAY  (24LL * 60 * MINUTE)


static ctseg_rc_t
claim(st_t *st, ctseg_reply_t *reply, int64_t now_ms)
{
    ctseg_buf_free(&reply->body);
    memset(reply, 0, sizeof(ctseg_reply_t));
    (void) snprintf(reply->key, sizeof(reply->key), "0123456789abcdef");
    reply->request = 7;

    return ctseg_reply_claim(st->store, reply, now_ms, NULL);
}


static void
test_claims(void **state)
{
    st_t           *st;
    int64_t         now;
    ctseg_reply_t   r;

    (void) state;
    st = make();
    now = 10 * DAY;
    memset(&r, 0, sizeof(r));

    /* somebody is at it, for as long as one may think so */

    assert_int_equal(claim(st, &r, now), CTSEG_OK);
    assert_int_equal(claim(st, &r, now + MINUTE), CTSEG_CONFLICT);
    assert_int_equal(r.status, 0);
    assert_int_equal(claim(st, &r, now + MINUTE + 1), CTSEG_OK);
    now += MINUTE + 1;

    /* the answer, for a day */

    r.status = 201;
    ctseg_buf_cstr(&r.body, "done");
    assert_int_equal(ctseg_reply_fill(st->store, &r, NULL), CTSEG_OK);

    assert_int_equal(claim(st, &r, now + DAY), CTSEG_CONFLICT);
    assert_int_equal(r.status, 201);
    assert_memory_equal(r.body.data, "done", 4);
    assert_int_equal(claim(st, &r, now + DAY + 1), CTSEG_OK);

    /* what was wrong is forgotten at once */

    assert_int_equal(ctseg_reply_fill(st->store, &r, NULL), CTSEG_OK);
    assert_int_equal(claim(st, &r, now + DAY + 2), CTSEG_OK);

    ctseg_buf_free(&r.body);
    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_claims)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
