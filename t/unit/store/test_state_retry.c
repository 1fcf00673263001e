/*
 * Refused events that are sent once more, as records: which events are next,
 * what a request makes of what is under way, how much is left, and that the
 * two who write the record do not write over each other.
 */

#include "state_test.h"


#define NOW  1767225600000LL


static void
refuse(st_t *st, const char *id, uint64_t sequence, ctseg_reject_t reason)
{
    ctseg_rejected_t  r;

    memset(&r, 0, sizeof(r));
    memcpy(r.export_id, id, strlen(id));
    r.run = 1;
    r.sequence = sequence;
    r.reason = reason;
    r.status = 400;
    r.at_ms = NOW;
    r.answer = ctseg_str("no");
    r.message = ctseg_str("{\"n\":1}");

    assert_int_equal(ctseg_rejected_put(st->store, &r, NULL), CTSEG_OK);
}


static ctseg_retry_t
ask(st_t *st, const char *id, int64_t now_ms)
{
    ctseg_retry_t  retry;

    assert_int_equal(ctseg_retry_request(st->store, id, now_ms, &retry,
                                         NULL), CTSEG_OK);
    return retry;
}


static uint64_t
left(st_t *st, const ctseg_retry_t *retry)
{
    uint64_t  n;

    assert_int_equal(ctseg_retry_left(st->store, retry, &n, NULL), CTSEG_OK);

    return n;
}


/* the sequence that is next, 0: none */

static uint64_t
next(st_t *st, const char *id, uint64_t after, uint64_t upto)
{
    ctseg_rc_t        rc;
    ctseg_buf_t       buf = { NULL, 0, 0, false };
    ctseg_err_t       err;
    ctseg_rejected_t  r;

    memset(&err, 0, sizeof(err));
    rc = ctseg_rejected_next(st->store, id, after, upto, &buf, &r, &err);

    if (rc == CTSEG_OK) {
        assert_string_equal(r.export_id, id);
        assert_true(ctseg_str_is(r.message, "{\"n\":1}"));
        assert_true(ctseg_str_is(r.answer, "no"));

    } else {
        assert_int_equal(rc, CTSEG_NOTFOUND);
        r.sequence = 0;
    }

    ctseg_buf_free(&buf);

    return r.sequence;
}


static void
test_next(void **state)
{
    st_t            *st;
    uint64_t         i;
    ctseg_export_t   e, other;
    ctseg_partner_t  p;

    (void) state;
    st = make();
    p = create_partner(st->store, "p", NOW);
    e = create_export(st->store, p.id, NOW);
    other = create_export(st->store, p.id, NOW + 1);

    assert_int_equal(next(st, e.id, 0, UINT64_MAX), 0);

    refuse(st, other.id, 3, CTSEG_REJECT_REFUSED);
    refuse(st, e.id, 5, CTSEG_REJECT_REFUSED);
    refuse(st, e.id, 2, CTSEG_REJECT_NO_ID);
    refuse(st, e.id, 9, CTSEG_REJECT_REFUSED);
    refuse(st, e.id, 7, CTSEG_REJECT_TOO_LARGE);

    assert_int_equal(next(st, e.id, 0, UINT64_MAX), 5);
    assert_int_equal(next(st, e.id, 4, 5), 5);
    assert_int_equal(next(st, e.id, 0, 4), 0);
    assert_int_equal(next(st, e.id, 5, UINT64_MAX), 9);
    assert_int_equal(next(st, e.id, 5, 8), 0);
    assert_int_equal(next(st, e.id, 9, UINT64_MAX), 0);
    assert_int_equal(next(st, other.id, 0, UINT64_MAX), 3);

    /* far behind many that were never sent */

    for (i = 100; i < 700; i++) {
        refuse(st, e.id, i, CTSEG_REJECT_NO_ID);
    }

    refuse(st, e.id, 700, CTSEG_REJECT_REFUSED);
    assert_int_equal(next(st, e.id, 9, UINT64_MAX), 700);
    assert_int_equal(next(st, e.id, 9, 699), 0);

    st_free(st);
}


/* one that does not read hides no other, and is told */

static void
test_next_damaged(void **state)
{
    st_t              *st;
    char               name[64];
    ctseg_rc_t         rc;
    ctseg_buf_t        buf = { NULL, 0, 0, false };
    ctseg_err_t        err;
    ctseg_export_t     e;
    ctseg_partner_t    p;
    ctseg_rejected_t   r;

    (void) state;
    st = make();
    p = create_partner(st->store, "p", NOW);
    e = create_export(st->store, p.id, NOW);

    refuse(st, e.id, 5, CTSEG_REJECT_REFUSED);
    refuse(st, e.id, 6, CTSEG_REJECT_REFUSED);

    (void) snprintf(name, sizeof(name), "%s/0000000000000005", e.id);
    spoil(st->store, "rejected", name);

    memset(&err, 0, sizeof(err));
    rc = ctseg_rejected_next(st->store, e.id, 0, 9, &buf, &r, &err);
    assert_int_equal(rc, CTSEG_OK);
    assert_int_equal(r.sequence, 6);

    memset(&err, 0, sizeof(err));
    rc = ctseg_rejected_next(st->store, e.id, 0, 5, &buf, &r, &err);
    assert_int_equal(rc, CTSEG_NOTFOUND);
    assert_int_equal(err.code, CTSEG_CORRUPT);
    assert_non_null(strstr(err.text, name));

    assert_int_equal(ctseg_rejected_remove(st->store, e.id, 5, NULL),
                     CTSEG_OK);
    memset(&err, 0, sizeof(err));
    rc = ctseg_rejected_next(st->store, e.id, 0, 5, &buf, &r, &err);
    assert_int_equal(rc, CTSEG_NOTFOUND);
    assert_int_equal(err.code, CTSEG_OK);

    ctseg_buf_free(&buf);
    st_free(st);
}


static void
test_again(void **state)
{
    st_t              *st;
    ctseg_buf_t        buf = { NULL, 0, 0, false };
    ctseg_export_t     e;
    ctseg_partner_t    p;
    ctseg_rejected_t   r, stored;

    (void) state;
    st = make();
    p = create_partner(st->store, "p", NOW);
    e = create_export(st->store, p.id, NOW);
    refuse(st, e.id, 5, CTSEG_REJECT_REFUSED);

    memset(&r, 0, sizeof(r));
    memcpy(r.export_id, e.id, sizeof(r.export_id));
    r.sequence = 5;
    r.status = 413;
    r.at_ms = NOW + 7;
    r.answer = ctseg_str("still");

    assert_int_equal(ctseg_rejected_again(st->store, &r, NULL), CTSEG_OK);
    assert_int_equal(ctseg_rejected_get(st->store, e.id, 5, &buf, &stored,
                                        NULL), CTSEG_OK);
    assert_int_equal(stored.run, 1);
    assert_int_equal(stored.reason, CTSEG_REJECT_REFUSED);
    assert_int_equal(stored.status, 413);
    assert_true(stored.at_ms == NOW + 7);
    assert_true(ctseg_str_is(stored.answer, "still"));
    assert_true(ctseg_str_is(stored.message, "{\"n\":1}"));

    /* what was forgotten does not come back, and may be forgotten twice */

    assert_int_equal(ctseg_rejected_remove(st->store, e.id, 5, NULL),
                     CTSEG_OK);
    assert_int_equal(ctseg_rejected_remove(st->store, e.id, 5, NULL),
                     CTSEG_OK);
    assert_int_equal(ctseg_rejected_again(st->store, &r, NULL), CTSEG_OK);
    assert_int_equal(next(st, e.id, 0, 9), 0);

    ctseg_buf_free(&buf);
    st_free(st);
}


static void
test_request(void **state)
{
    st_t            *st;
    ctseg_retry_t    retry;
    ctseg_export_t   e;
    ctseg_partner_t  p;

    (void) state;
    st = make();
    p = create_partner(st->store, "p", NOW);
    e = create_export(st->store, p.id, NOW);

    assert_int_equal(ctseg_retry_get(st->store, e.id, &retry, NULL),
                     CTSEG_NOTFOUND);
    assert_int_equal(ctseg_retry_get(st->store, "x", &retry, NULL),
                     CTSEG_NOTFOUND);
    assert_int_equal(ctseg_retry_request(st->store, "x", NOW, &retry, NULL),
                     CTSEG_NOTFOUND);

    /* nothing to send; what was never sent is nothing, too */

    refuse(st, e.id, 2, CTSEG_REJECT_NO_ID);
    retry = ask(st, e.id, NOW);
    assert_int_equal(retry.state, CTSEG_RETRY_DONE);
    assert_true(retry.requested_ms == NOW && retry.finished_ms == NOW);
    assert_int_equal(left(st, &retry), 0);

    refuse(st, e.id, 5, CTSEG_REJECT_REFUSED);
    refuse(st, e.id, 9, CTSEG_REJECT_REFUSED);
    retry = ask(st, e.id, NOW + 1);
    assert_int_equal(retry.state, CTSEG_RETRY_RUNNING);
    assert_int_equal(retry.cursor, 0);
    assert_int_equal(retry.hi, 9);
    assert_int_equal(retry.again, 0);
    assert_true(retry.finished_ms == 0);
    assert_int_equal(left(st, &retry), 2);

    /* its worker has the first behind it; more is refused, and asked for */

    retry.cursor = 5;
    retry.refused = 1;
    retry.refusals = 1;
    retry.delivered = 4;
    (void) snprintf(retry.owner, sizeof(retry.owner), "me");
    assert_int_equal(ctseg_retry_put(st->store, &retry, NULL), CTSEG_OK);
    assert_int_equal(left(st, &retry), 1);

    refuse(st, e.id, 12, CTSEG_REJECT_REFUSED);
    retry = ask(st, e.id, NOW + 2);
    assert_int_equal(retry.state, CTSEG_RETRY_RUNNING);
    assert_int_equal(retry.cursor, 5);
    assert_int_equal(retry.hi, 12);
    assert_int_equal(retry.again, 5);
    assert_int_equal(retry.refused, 1);
    assert_int_equal(retry.refusals, 0);
    assert_string_equal(retry.owner, "me");
    assert_true(retry.requested_ms == NOW + 2);
    assert_int_equal(left(st, &retry), 3);

    /* one that ended early goes on behind, and then from the first */

    retry.state = CTSEG_RETRY_FAILED;
    retry.cursor = 9;
    retry.hi = 12;
    retry.again = 0;
    retry.sent = 3;
    retry.error_status = 400;
    (void) snprintf(retry.error, sizeof(retry.error), "no");
    retry.paused_ms = NOW;
    assert_int_equal(ctseg_retry_put(st->store, &retry, NULL), CTSEG_OK);
    assert_int_equal(left(st, &retry), 1);

    retry = ask(st, e.id, NOW + 3);
    assert_int_equal(retry.state, CTSEG_RETRY_RUNNING);
    assert_int_equal(retry.cursor, 9);
    assert_int_equal(retry.hi, 12);
    assert_int_equal(retry.again, 9);
    assert_int_equal(retry.sent, 0);
    assert_int_equal(retry.refused, 0);
    assert_int_equal(retry.error[0], 0);
    assert_int_equal(retry.owner[0], 0);
    assert_true(retry.paused_ms == 0);
    assert_int_equal(left(st, &retry), 3);

    /* what it has counted for the export stays */

    assert_int_equal(retry.delivered, 4);

    st_free(st);
}


static bool
count_cb(void *data, const ctseg_retry_t *retry)
{
    (void) retry;
    (*(unsigned *) data)++;

    return true;
}


/* who asks and who works on it: one put of two is made */

static void
test_puts(void **state)
{
    st_t            *st;
    unsigned         n;
    ctseg_err_t      err;
    ctseg_retry_t    mine, retry, none;
    ctseg_export_t   e, other;
    ctseg_partner_t  p;

    (void) state;
    st = make();
    p = create_partner(st->store, "p", NOW);
    e = create_export(st->store, p.id, NOW);
    other = create_export(st->store, p.id, NOW + 1);
    refuse(st, e.id, 5, CTSEG_REJECT_REFUSED);

    mine = ask(st, e.id, NOW);
    retry = ask(st, e.id, NOW + 1);
    assert_int_equal(retry.asked, mine.asked + 1);

    mine.cursor = 5;
    mine.moved = true;
    assert_int_equal(ctseg_retry_put(st->store, &mine, NULL),
                     CTSEG_CONFLICT);
    retry.cursor = 5;
    retry.moved = true;
    assert_int_equal(ctseg_retry_put(st->store, &retry, NULL), CTSEG_OK);
    assert_int_equal(ctseg_retry_get(st->store, e.id, &mine, NULL),
                     CTSEG_OK);
    assert_memory_equal(&mine, &retry, sizeof(ctseg_retry_t));

    /* a record is made by a request and by nothing else */

    memset(&none, 0, sizeof(none));
    memcpy(none.export_id, other.id, sizeof(none.export_id));
    none.state = CTSEG_RETRY_RUNNING;
    assert_int_equal(ctseg_retry_put(st->store, &none, NULL), CTSEG_INVALID);

    /* a damaged one hides no other, and is not written over */

    (void) ask(st, other.id, NOW);
    spoil(st->store, "retry", e.id);
    n = 0;
    memset(&err, 0, sizeof(err));
    assert_int_equal(ctseg_retry_list(st->store, count_cb, &n, &err),
                     CTSEG_OK);
    assert_int_equal(n, 1);
    assert_int_equal(err.code, CTSEG_CORRUPT);
    assert_non_null(strstr(err.text, e.id));
    assert_int_equal(ctseg_retry_request(st->store, e.id, NOW, &retry, &err),
                     CTSEG_CORRUPT);

    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_next_damaged),
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_puts)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
