/*
 * A preview against what it promises: the batches that a run would read, in
 * numbers and in bytes.  It may be interrupted between any two of them and
 * ends with its time; the write key is in the bodies it counts and in nothing
 * it gives away.
 */

#include "outbox/ctseg_preview.h"
#include "outbox_test.h"


typedef struct {
    ctseg_counts_t  counts;
    uint64_t        bytes;
    ctseg_buf_t     messages;           /* the first ones, joined */
} test_sum_t;


/* what a run reads of the cut of a preview */

static void
test_sum(test_sum_t *sum, st_t *st, const ctseg_preview_t *pv)
{
    unsigned       i, n;
    ctseg_err_t    err;
    ctseg_read_t   read;
    ctseg_batch_t  b;

    memset(sum, 0, sizeof(test_sum_t));
    memset(&read, 0, sizeof(ctseg_read_t));
    n = 0;

    read.pinned = &pv->pinned;
    read.write_key = OT_KEY;
    read.incarnation = pv->cut.incarnation;
    read.hi = pv->cut.hi;

    for (read.after = pv->cut.lo; read.after < read.hi; read.after = b.upto) {
        memset(&b, 0, sizeof(b));
        assert_int_equal(ctseg_read_batch(st->store, &read, st_soon(), &b,
                                          &err), CTSEG_OK);

        sum->counts.scanned += b.counts.scanned;
        sum->counts.sent += b.counts.sent;
        sum->counts.filtered += b.counts.filtered;
        sum->counts.rejected += b.counts.rejected;
        sum->counts.batches += b.events != 0;
        sum->bytes += b.events != 0 ? b.body.len : 0;

        for (i = 0; i < b.events && n < 5; i++, n++) {
            ctseg_buf_cstr(&sum->messages, n == 0 ? "" : ",");
            ctseg_buf_str(&sum->messages, ctseg_batch_message(&b, i));
        }

        ctseg_batch_free(&b);
    }
}


static void
test_begin(ctseg_preview_t *pv, st_t *st, const ctseg_export_t *e,
    int64_t now_ms)
{
    ctseg_err_t      err;
    ctseg_partner_t  p;

    ot_partner(&p);

    assert_int_equal(ctseg_preview_begin(pv, st->store, st->dir, e, &p,
                                         now_ms, st_soon(), &err), CTSEG_OK);
}


/* all of it, a batch at a time or at once: how many steps */

static unsigned
test_all(ctseg_preview_t *pv, st_t *st, bool slowly)
{
    uint64_t     upto;
    unsigned     n;
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    n = 0;

    do {
        upto = pv->upto;
        rc = ctseg_preview_step(pv, st->store, slowly ? 0 : st_soon(),
                                st_soon(), &err);
        n++;

        assert_true(pv->upto > upto || pv->upto == pv->cut.hi);
        assert_true(rc == CTSEG_OK || rc == CTSEG_AGAIN);

    } while (rc == CTSEG_AGAIN);

    assert_int_equal(pv->upto, pv->cut.hi);

    return n;
}


/* the answer, read back; the caller destroys the arena */

static ctseg_json_t *
test_answer(const ctseg_preview_t *pv, ctseg_arena_t *a, unsigned events_per_s)
{
    ctseg_buf_t          out;
    ctseg_str_t          text;
    ctseg_json_t        *json;
    ctseg_json_writer_t  w;

    memset(&out, 0, sizeof(out));
    w.buf = &out;
    w.comma = false;

    ctseg_preview_render(&w, pv, 1000, events_per_s);
    assert_false(out.failed);

    text = ctseg_arena_dup(a, ctseg_buf_slice(&out));
    ctseg_buf_free(&out);

    assert_null(memmem(text.data, text.len, OT_KEY, sizeof(OT_KEY) - 1));
    assert_int_equal(ctseg_json_parse(a, text, 64, 4096, &json, NULL),
                     CTSEG_OK);
    return json;
}


static int64_t
test_int(const ctseg_json_t *json, const char *name)
{
    int64_t  n;

    assert_true(ctseg_json_int64(ctseg_json_get(json, name), &n));

    return n;
}


static void
test_promise(void **state)
{
    st_t             *st;
    unsigned          i;
    test_sum_t        sum;
    ctseg_json_t     *json, *messages;
    ctseg_arena_t    *a;
    ctseg_export_t    e;
    ctseg_preview_t   pv;

    static const ot_part_t  mixed[] = {
        { 5, "Charged", "u", TEST_TIME_MS, 0 },
        { 900, "App Launched", "u", TEST_TIME_MS, 300 },
        { 20, "App Launched", NULL, TEST_TIME_MS, 0 },
        { 10, "App Launched", "u", TEST_TIME_MS - 1, 28000 }
    };

    (void) state;

    st = ot_make(64 * ST_MB);

    for (i = 0; i < 6; i++) {
        ot_append(st, mixed, 4, false);
    }

    ot_export(&e, CTSEG_FREQ_ONE_TIME);
    e.kinds = ctseg_catalog_set(CTSEG_SET_SYSTEM);
    e.from_ms = TEST_TIME_MS;

    for (i = 0; i < 2; i++) {
        test_begin(&pv, st, &e, TEST_TIME_MS);
        assert_int_equal(pv.basis, CTSEG_BASIS_FIRST_RUN);

        /* one batch each, or all at once */

        assert_true(test_all(&pv, st, i == 0) > 3 || i == 1);

        test_sum(&sum, st, &pv);
        assert_int_equal(sum.counts.batches, 6);
        assert_memory_equal(&pv.counts.scanned, &sum.counts.scanned,
                            sizeof(uint64_t) * 4);
        assert_int_equal(pv.counts.batches, sum.counts.batches);
        assert_int_equal(pv.bytes, sum.bytes);
        assert_int_equal(pv.counts.rejects[CTSEG_REJECT_NO_ID], 120);

        a = ctseg_arena_create();
        json = test_answer(&pv, a, 1000);
        messages = ctseg_json_get(json, "messages");
        assert_int_equal(messages->n, 5);
        assert_int_equal(messages->child->raw.len * 5 + 4, sum.messages.len);
        assert_memory_equal(messages->child->raw.data, sum.messages.data,
                            sum.messages.len);

        assert_true(ctseg_json_get(json, "complete")->boolean);
        assert_int_equal(test_int(json, "after_sequence"), 0);
        assert_int_equal(test_int(json, "to_sequence"), 6 * 935);
        assert_int_equal(test_int(json, "scanned"), 6 * 935);
        assert_int_equal(test_int(json, "sent"), 5400);
        assert_int_equal(test_int(json, "filtered"), 6 * 15);
        assert_int_equal(test_int(json, "rejected"), 120);
        assert_int_equal(test_int(json, "waiting"), 0);
        assert_int_equal(test_int(json, "batches"), 6);
        assert_int_equal(test_int(json, "bytes"), (int64_t) sum.bytes);

        /* 4,500 events before the last batch, of which 1,000 are free */

        assert_true(ctseg_str_is(ctseg_json_get(json, "estimated_seconds")
                                 ->text, "3.5"));
        ctseg_arena_destroy(a);
        ctseg_buf_free(&sum.messages);
        ctseg_preview_free(&pv);
    }

    st_free(st);
}


/* messages that are far apart are still the first ones, from many batches:
   of version 1, whose blocks are read as a whole */

static void
test_sparse(void **state)
{
    st_t             *st;
    unsigned          i;
    test_sum_t        sum;
    ctseg_export_t    e;
    ctseg_preview_t   pv;

    static const ot_part_t  none[] = {
        { 1, "App Launched", "u", TEST_TIME_MS - 1, 0 },
        { 35, "Charged", "u", TEST_TIME_MS + 1, 28000 }
    };
    static const ot_part_t  some = { 3, "App Launched", "v", TEST_TIME_MS, 9 };

    (void) state;

    st = ot_make(160 * ST_MB);
    ot_append(st, &some, 1, false);

    for (i = 0; i < 100; i++) {
        ot_append(st, none, 2, false);
    }

    ot_append(st, &some, 1, false);

    ot_export(&e, CTSEG_FREQ_ONE_TIME);
    e.kinds = ctseg_catalog_set(CTSEG_SET_SYSTEM);
    e.from_ms = TEST_TIME_MS;

    test_begin(&pv, st, &e, TEST_TIME_MS);
    assert_int_equal(test_all(&pv, st, true), 2);
    test_sum(&sum, st, &pv);

    assert_int_equal(pv.counts.batches, 2);
    assert_int_equal(pv.counts.sent, 6);
    assert_int_equal(pv.nmessages, 5);
    assert_int_equal(pv.bytes, sum.bytes);
    assert_int_equal(pv.messages.len, sum.messages.len + 1);
    assert_memory_equal(pv.messages.data + 1, sum.messages.data,
                        sum.messages.len);

    ctseg_buf_free(&sum.messages);
    ctseg_preview_free(&pv);
    st_free(st);
}


static void
test_basis(void **state)
{
    int64_t           second, now;
    st_t             *st;
    ctseg_arena_t    *a;
    ctseg_export_t    e;
    ctseg_preview_t   pv;

    (void) state;

    st = ot_make(16 * ST_MB);
    ot_append_n(st, 10);
    second = ot_moment();
    ot_append_n(st, 5);
    now = second + CTSEG_DAY_MS;

    /* live, and what starts later: a day back from now, by arrival */

    ot_export(&e, CTSEG_FREQ_LIVE);
    e.start_ms = now;
    test_begin(&pv, st, &e, now);
    assert_int_equal(pv.basis, CTSEG_BASIS_LAST_DAY);
    assert_int_equal(pv.cut.lo, 10);
    ctseg_preview_free(&pv);

    e.freq = CTSEG_FREQ_RECURRING;
    e.start_ms = now + 1;
    test_begin(&pv, st, &e, now);
    assert_int_equal(pv.basis, CTSEG_BASIS_LAST_DAY);
    assert_int_equal(pv.cut.lo, 10);
    a = ctseg_arena_create();
    assert_true(ctseg_str_is(ctseg_json_get(test_answer(&pv, a, 1000),
                                            "basis")->text,
                             "last_24_hours"));
    ctseg_arena_destroy(a);
    ctseg_preview_free(&pv);

    /* what starts now has its first run */

    e.start_ms = now;
    test_begin(&pv, st, &e, now);
    assert_int_equal(pv.basis, CTSEG_BASIS_FIRST_RUN);
    assert_int_equal(pv.cut.lo, 15);
    ctseg_preview_free(&pv);

    e.start_ms = second;
    test_begin(&pv, st, &e, now);
    assert_int_equal(pv.basis, CTSEG_BASIS_FIRST_RUN);
    assert_int_equal(pv.cut.lo, 10);
    ctseg_preview_free(&pv);

    e.freq = CTSEG_FREQ_ONE_TIME;
    e.start_ms = now + 1;
    test_begin(&pv, st, &e, now);
    assert_int_equal(pv.basis, CTSEG_BASIS_FIRST_RUN);
    assert_int_equal(pv.cut.lo, 0);
    assert_int_equal(pv.cut.hi, 15);
    ctseg_preview_free(&pv);

    st_free(st);
}


/* what there was no time for waits, and is taken to be like the rest */

static void
test_deadline(void **state)
{
    st_t             *st;
    unsigned          i;
    ctseg_err_t       err;
    ctseg_json_t     *json;
    ctseg_arena_t    *a;
    ctseg_export_t    e;
    ctseg_preview_t   pv;

    (void) state;

    st = ot_make(64 * ST_MB);

    for (i = 0; i < 10; i++) {
        ot_append_n(st, 2500);
    }

    ot_export(&e, CTSEG_FREQ_ONE_TIME);
    test_begin(&pv, st, &e, TEST_TIME_MS);

    assert_int_equal(ctseg_preview_step(&pv, st->store, st_soon(),
                                        ctseg_mono_ms() - 1, &err), CTSEG_OK);
    assert_int_equal(pv.upto, 0);

    for (i = 0; i < 2; i++) {
        assert_int_equal(ctseg_preview_step(&pv, st->store, 0, st_soon(),
                                            &err), CTSEG_AGAIN);
    }

    assert_int_equal(ctseg_preview_step(&pv, st->store, st_soon(),
                                        ctseg_mono_ms() - 1, &err), CTSEG_OK);

    a = ctseg_arena_create();
    json = test_answer(&pv, a, 1000);
    assert_false(ctseg_json_get(json, "complete")->boolean);
    assert_int_equal(test_int(json, "scanned"), 5000);
    assert_int_equal(test_int(json, "waiting"), 20000);
    assert_int_equal(test_int(json, "batches"), 2);

    /* ten batches: nine to wait for, less a second */

    assert_true(ctseg_str_is(ctseg_json_get(json, "estimated_seconds")->text,
                             "21.5"));
    ctseg_arena_destroy(a);
    ctseg_preview_free(&pv);
    st_free(st);
}


static void
test_errors(void **state)
{
    st_t             *st;
    ctseg_err_t       err;
    ctseg_export_t    e;
    ctseg_preview_t   pv;

    static const ot_part_t  bad = { 5, "App Launched", "u", TEST_TIME_MS, 0 };

    (void) state;

    /* an empty log has an answer */

    st = ot_make(16 * ST_MB);
    ot_export(&e, CTSEG_FREQ_ONE_TIME);
    test_begin(&pv, st, &e, TEST_TIME_MS);
    assert_int_equal(test_all(&pv, st, false), 1);
    assert_int_equal(pv.counts.scanned, 0);
    assert_true(ctseg_preview_seconds(&pv, 1, 1) < 0.001);
    ctseg_preview_free(&pv);

    /* so has a damaged one */

    ot_append_n(st, 10);
    ot_append(st, &bad, 1, true);
    test_begin(&pv, st, &e, TEST_TIME_MS);
    assert_int_equal(ctseg_preview_step(&pv, st->store, st_soon(), st_soon(),
                                        &err), CTSEG_OK);
    assert_int_equal(pv.counts.scanned, 10 + bad.n);
    assert_int_equal(pv.counts.sent, 10);
    assert_int_equal(pv.counts.rejects[CTSEG_REJECT_DAMAGED], bad.n);
    ctseg_preview_free(&pv);

    /* one that is trimmed meanwhile has none */

    test_begin(&pv, st, &e, TEST_TIME_MS);
    ot_trim(st, 11);
    assert_int_equal(ctseg_preview_step(&pv, st->store, st_soon(), st_soon(),
                                        &err), CTSEG_TRIMMED);
    ctseg_preview_free(&pv);
    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_promise),
        cmocka_unit_test_setup_teardown(test_sparse, ot_set_old, ot_set_new),
        cmocka_unit_test(test_basis),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_errors)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
