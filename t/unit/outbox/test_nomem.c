/*
 * Memory that lacks where the log is read: a run is cut, a batch read, a
 * preview made, figures and retention looked at, events taken by content,
 * over a store that is open and has all it needs for itself.  See
 * nomem_test.h.
 * link: -Wl,--wrap=EVP_MD_CTX_new
 */

#include "nomem_test.h"
#include "nomem_hash.h"

#include "outbox_test.h"

#include "outbox/ctseg_figures.h"
#include "outbox/ctseg_known.h"
#include "outbox/ctseg_preview.h"
#include "outbox/ctseg_retain.h"
#include "store/ctseg_state.h"


static st_t  *st;


static ctseg_rc_t
batch(ctseg_buf_t *out)
{
    ctseg_rc_t       rc;
    ctseg_cut_t      cut;
    ctseg_err_t      err;
    ctseg_read_t     r;
    ctseg_batch_t    b;
    ctseg_export_t   e;
    ctseg_pinned_t   pinned;

    ot_export(&e, CTSEG_FREQ_ONE_TIME);
    test_pinned(&pinned);
    memset(&r, 0, sizeof(r));
    memset(&b, 0, sizeof(b));

    rc = ctseg_cut_next(st->store, &e, st_soon(), &cut, &err);

    if (rc == CTSEG_OK) {
        r.pinned = &pinned;
        r.write_key = OT_KEY;
        r.incarnation = cut.incarnation;
        r.after = cut.lo;
        r.hi = cut.hi;
        rc = ctseg_read_batch(st->store, &r, st_soon(), &b, &err);
    }

    if (rc == CTSEG_OK) {
        assert_int_equal(b.events, 60);
        assert_int_equal(b.upto, 60);
        ctseg_buf_str(out, ctseg_buf_slice(&b.body));
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_batch_free(&b);

    return rc;
}


static ctseg_rc_t
preview(ctseg_buf_t *out)
{
    ctseg_rc_t           rc;
    ctseg_err_t          err;
    ctseg_export_t       e;
    ctseg_partner_t      p;
    ctseg_preview_t      pv;
    ctseg_json_writer_t  w;

    ot_export(&e, CTSEG_FREQ_ONE_TIME);
    ot_partner(&p);
    memset(&pv, 0, sizeof(pv));

    rc = ctseg_preview_begin(&pv, st->store, st->dir, &e, &p, TEST_TIME_MS,
                             st_soon(), &err);

    if (rc == CTSEG_OK) {
        rc = ctseg_preview_step(&pv, st->store, st_soon(), st_soon(), &err);
    }

    if (rc == CTSEG_OK) {
        w.buf = out;
        w.comma = false;
        ctseg_preview_render(&w, &pv, 50, 1000);
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_preview_free(&pv);

    return rc;
}


static ctseg_rc_t
figures(ctseg_buf_t *out)
{
    unsigned         i;
    ctseg_rc_t       rc;
    ctseg_err_t      err;
    ctseg_retain_t   retain;
    ctseg_figures_t  f;

    memset(&f, 0, sizeof(f));

    rc = ctseg_figures_read(st->store, 100, ctseg_now_ms(), st_soon(), &f,
                            &err);

    /* an export that could not be read is left out, and noted */

    if (rc == CTSEG_OK && f.note.text[0] != '\0') {
        rc = f.note.code;
    }

    if (rc == CTSEG_OK) {
        assert_int_equal(f.nexports, 10);
        rc = ctseg_retain_look(st->store, ctseg_now_ms() + 1000,
                               ctseg_now_ms(), st_soon(), &retain, &err);
    }

    if (rc == CTSEG_OK) {
        for (i = 0; i < f.nexports; i++) {
            ctseg_buf_fmt(out, "%s %llu %llu\n", f.exports[i].id,
                          (unsigned long long) f.exports[i].waiting,
                          (unsigned long long) retain.keep_from);
        }

        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_figures_free(&f);

    return rc;
}


/* so many that the table and the lists of it grow */

static ctseg_rc_t
known(ctseg_buf_t *out)
{
    unsigned              i;
    ctseg_rc_t            rc;
    ctseg_err_t           err;
    ctseg_hash_t          h = { NULL };
    ctseg_zone_t          zone;
    ctseg_event_t         ev;
    ctseg_known_t        *k;
    ctseg_bounds_t        bounds;
    ctseg_content_t       c;
    ctseg_known_query_t   q;

    ctseg_zone_fixed(&zone, "UTC", 0);
    memset(&q, 0, sizeof(q));
    q.name = ctseg_str("My Eve\\u006et");
    q.to_ms = INT64_MAX;
    q.zone = &zone;

    rc = ctseg_store_bounds(st->store, 0, st_soon(), &bounds);

    if (rc != CTSEG_OK) {
        return rc;
    }

    q.upto = bounds.last;
    q.incarnation = bounds.incarnation;
    rc = ctseg_known_load(st->store, &q, st_soon(), &k, &err);

    if (rc != CTSEG_OK) {
        assert_null(k);
        return rc;
    }

    test_event(&ev, "My Event", "u", "");
    rc = ctseg_content(&ev, &zone, &h, &c);

    for (i = 0; rc == CTSEG_OK && i < 1200; i++) {
        ctseg_buf_fmt(out, "%llu ",
                      (unsigned long long) ctseg_known_take(k, &c));
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    assert_true(rc != CTSEG_OK || ctseg_known_take(k, &c) == 0);
    ctseg_hash_free(&h);
    ctseg_known_free(k);

    return rc;
}


static void
fill(void)
{
    unsigned         i;
    ot_part_t        part = { 30, "App Launched", "u", TEST_TIME_MS, 300 };
    ctseg_export_t   e;
    ctseg_partner_t  p;

    st = ot_make(16 * ST_MB);
    ot_append(st, &part, 1, false);
    ot_append(st, &part, 1, false);

    ot_partner(&p);
    memcpy(p.nickname, "nick", 5);
    assert_int_equal(ctseg_partner_create(st->store, &p, TEST_TIME_MS, NULL),
                     CTSEG_OK);

    for (i = 0; i < 10; i++) {
        ot_export(&e, CTSEG_FREQ_LIVE);
        memcpy(e.partner_id, p.id, sizeof(e.partner_id));
        assert_int_equal(ctseg_export_create(st->store, &e, TEST_TIME_MS,
                                             NULL), CTSEG_OK);
    }
}


static void
test_batch(void **state)
{
    (void) state;

    nomem_sweep(batch);
}


static void
test_preview(void **state)
{
    (void) state;

    nomem_sweep(preview);
}


static void
test_figures(void **state)
{
    (void) state;

    nomem_sweep(figures);
}


/* last, since its events would be those of the others as well */

static void
test_known(void **state)
{
    ot_part_t  mine = { 1200, "My Event", "u", TEST_TIME_MS, 0 };

    (void) state;

    ot_append(st, &mine, 1, false);
    nomem_sweep(known);
}


int
main(void)
{
    int  failed;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_preview),
        cmocka_unit_test(test_figures),
        cmocka_unit_test(test_known)
    };

    nomem_hash_init();
    fill();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    st_free(st);

    return failed;
}
