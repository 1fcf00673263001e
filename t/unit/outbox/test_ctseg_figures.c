/*
 * What is told about exports: sums over runs that are over and the one that
 * is not, what waits in each phase of each kind, and since when.  A figure
 * that is right by chance would be zero, so every one of them is made to be
 * something else, and different from its neighbors.
 */

#include "outbox_test.h"

#include "outbox/ctseg_figures.h"
#include "store/ctseg_state.h"


#define NOW   1800000000000LL
#define HOUR  3600000LL
#define MOST  20                        /* exports that are shown */


static ctseg_partner_t  partner;


static st_t *
test_make(void)
{
    st_t  *st;

    st = ot_make(16 * ST_MB);

    ot_partner(&partner);
    (void) snprintf(partner.nickname, sizeof(partner.nickname), "p");
    assert_int_equal(ctseg_partner_create(st->store, &partner, NOW, NULL),
                     CTSEG_OK);

    return st;
}


static void
test_create(st_t *st, ctseg_export_t *e, ctseg_freq_t freq,
    ctseg_status_t status)
{
    static int64_t  ms = NOW - HOUR;

    ot_export(e, freq);
    memcpy(e->partner_id, partner.id, sizeof(e->partner_id));
    e->created_ms = NOW - HOUR;

    /* ids of different milliseconds are in the order of the calls */

    assert_int_equal(ctseg_export_create(st->store, e, ms++, NULL),
                     CTSEG_OK);

    e->status = status;
    assert_int_equal(ctseg_export_put(st->store, e, NULL), CTSEG_OK);
}


static void
test_put(st_t *st, ctseg_export_t *e)
{
    assert_int_equal(ctseg_export_put(st->store, e, NULL), CTSEG_OK);
}


/* the newest run of e, over (lo, hi] and at its cursor */

static void
test_run(st_t *st, ctseg_export_t *e, ctseg_run_t *run, uint64_t lo,
    uint64_t cursor, uint64_t hi)
{
    ctseg_bounds_t  bounds;

    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);

    memset(run, 0, sizeof(ctseg_run_t));
    ctseg_run_pin(run, e, &partner);
    run->number = ++e->runs;
    run->status = CTSEG_RUN_RUNNING;
    run->incarnation = bounds.incarnation;
    run->lo = lo;
    run->hi = hi;
    run->cursor = cursor;
    run->counts.scanned = cursor - lo;
    run->counts.sent = cursor - lo;

    assert_int_equal(ctseg_run_create(st->store, run, NULL), CTSEG_OK);
    test_put(st, e);
}


static void
test_read_at(st_t *st, int64_t now_ms, ctseg_figures_t *f)
{
    ctseg_err_t  err;

    memset(f, 0, sizeof(ctseg_figures_t));

    assert_int_equal(ctseg_figures_read(st->store, MOST, now_ms, st_soon(),
                                        f, &err), CTSEG_OK);
}


static void
test_read(st_t *st, ctseg_figures_t *f)
{
    test_read_at(st, NOW, f);
    assert_string_equal(f->note.text, "");
    assert_int_equal(f->unlisted, 0);
}


static const ctseg_figure_t *
test_of(const ctseg_figures_t *f, const ctseg_export_t *e)
{
    unsigned  i;

    for (i = 0; i < f->nexports; i++) {
        if (strcmp(f->exports[i].id, e->id) == 0) {
            return &f->exports[i];
        }
    }

    return NULL;
}


static void
test_waiting(st_t *st, const ctseg_export_t *e, uint64_t waiting)
{
    ctseg_figures_t  f;

    test_read(st, &f);
    assert_non_null(test_of(&f, e));
    assert_int_equal(test_of(&f, e)->waiting, waiting);
    ctseg_figures_free(&f);
}


static void
test_empty(void **state)
{
    st_t             *st;
    ctseg_figures_t   f;

    (void) state;
    st = test_make();

    test_read(st, &f);
    assert_int_equal(f.nexports, 0);
    assert_int_equal(f.npartners, 1);
    assert_string_equal(f.partners[0].id, partner.id);
    assert_false(f.partners[0].paused);
    assert_int_equal(f.status[CTSEG_PENDING] + f.status[CTSEG_RUNNING]
                     + f.status[CTSEG_DONE] + f.status[CTSEG_STOPPED], 0);

    ctseg_figures_free(&f);
    st_free(st);
}


/* final ones are shown for a day, and nothing waits for them */

static void
test_status(void **state)
{
    st_t                  *st;
    unsigned               i;
    ctseg_run_t            run;
    ctseg_export_t         e[10];
    ctseg_figures_t        f;
    const ctseg_figure_t  *item;

    (void) state;
    st = test_make();
    ot_append_n(st, 9);

    for (i = 0; i < 10; i++) {
        test_create(st, &e[i], CTSEG_FREQ_RECURRING,
                    i < 1 ? CTSEG_PENDING : i < 3 ? CTSEG_RUNNING
                    : i < 6 ? CTSEG_DONE : CTSEG_STOPPED);
    }

    e[3].ended_ms = NOW - 1;
    e[4].ended_ms = NOW - 24 * HOUR + 1;
    e[5].ended_ms = NOW - 24 * HOUR;
    e[3].totals.sent = 5;
    e[3].totals.filtered = 6;
    e[3].totals.rejected = 7;
    e[3].totals_run = 1;
    e[3].runs = 1;
    test_put(st, &e[3]);
    test_put(st, &e[4]);
    test_put(st, &e[5]);

    /* stopped in the middle of a run, which its export does not count */

    e[6].ended_ms = NOW;
    test_run(st, &e[6], &run, 1, 3, 9);

    test_read(st, &f);

    assert_int_equal(f.status[CTSEG_PENDING], 1);
    assert_int_equal(f.status[CTSEG_RUNNING], 2);
    assert_int_equal(f.status[CTSEG_DONE], 3);
    assert_int_equal(f.status[CTSEG_STOPPED], 4);

    assert_int_equal(f.nexports, 6);
    assert_null(test_of(&f, &e[5]));
    assert_null(test_of(&f, &e[7]));

    item = test_of(&f, &e[3]);
    assert_int_equal(item->totals.sent, 5);
    assert_int_equal(item->totals.filtered, 6);
    assert_int_equal(item->totals.rejected, 7);
    assert_int_equal(item->waiting, 0);

    assert_non_null(test_of(&f, &e[4]));

    item = test_of(&f, &e[6]);
    assert_int_equal(item->totals.sent, 2);
    assert_int_equal(item->waiting, 0);
    assert_int_equal(item->oldest_ms, 0);

    ctseg_figures_free(&f);
    st_free(st);
}


/* a run under way, then over and not yet known to its export, then known */

static void
test_one_time(void **state)
{
    st_t             *st;
    ctseg_run_t       run;
    ctseg_export_t    e;
    ctseg_figures_t   f;

    (void) state;
    st = test_make();
    ot_append_n(st, 10);

    test_create(st, &e, CTSEG_FREQ_ONE_TIME, CTSEG_PENDING);
    test_waiting(st, &e, 10);

    e.status = CTSEG_RUNNING;
    test_run(st, &e, &run, 0, 3, 10);
    ot_append_n(st, 5);

    test_read(st, &f);
    assert_int_equal(test_of(&f, &e)->waiting, 7);
    assert_int_equal(test_of(&f, &e)->totals.sent, 3);
    ctseg_figures_free(&f);

    run.status = CTSEG_RUN_SUCCEEDED;
    run.cursor = 10;
    run.counts.scanned = 10;
    run.counts.sent = 4;
    run.counts.filtered = 5;
    run.counts.rejected = 1;
    assert_int_equal(ctseg_run_put(st->store, &run, NULL), CTSEG_OK);

    test_read(st, &f);
    assert_int_equal(test_of(&f, &e)->waiting, 0);
    assert_int_equal(test_of(&f, &e)->totals.sent, 4);
    assert_int_equal(test_of(&f, &e)->totals.filtered, 5);
    assert_int_equal(test_of(&f, &e)->totals.rejected, 1);
    ctseg_figures_free(&f);

    e.status = CTSEG_DONE;
    e.ended_ms = NOW;
    ctseg_run_settle(&run, &e);
    test_put(st, &e);

    test_read(st, &f);
    assert_int_equal(test_of(&f, &e)->totals.sent, 4);
    assert_int_equal(test_of(&f, &e)->totals.filtered, 5);
    ctseg_figures_free(&f);

    st_free(st);
}


static void
test_recurring(void **state)
{
    st_t             *st;
    ctseg_run_t       run;
    ctseg_export_t    e, later;
    ctseg_figures_t   f;

    (void) state;
    st = test_make();
    ot_append_n(st, 4);

    test_create(st, &e, CTSEG_FREQ_RECURRING, CTSEG_PENDING);
    test_waiting(st, &e, 4);

    /* what arrives before its start date is not for it */

    test_create(st, &later, CTSEG_FREQ_RECURRING, CTSEG_PENDING);
    later.start_ms = ctseg_now_ms() + HOUR;
    test_put(st, &later);
    test_waiting(st, &later, 0);

    test_run(st, &e, &run, 0, 4, 4);
    run.status = CTSEG_RUN_SUCCEEDED;
    assert_int_equal(ctseg_run_put(st->store, &run, NULL), CTSEG_OK);
    e.status = CTSEG_RUNNING;
    test_put(st, &e);
    test_waiting(st, &e, 0);
    ot_append_n(st, 2);
    test_waiting(st, &e, 2);            /* the next run's already */

    ctseg_run_settle(&run, &e);
    e.cut = 4;
    e.incarnation = run.incarnation;
    e.status = CTSEG_PENDING;
    test_put(st, &e);
    test_waiting(st, &e, 2);

    /* two runs add up */

    e.status = CTSEG_RUNNING;
    test_run(st, &e, &run, 4, 5, 6);

    test_read(st, &f);
    assert_int_equal(test_of(&f, &e)->totals.sent, 5);
    assert_int_equal(test_of(&f, &e)->waiting, 1);
    ctseg_figures_free(&f);

    st_free(st);
}


/* the end of its cut is moved by its owner, who may not be there */

static void
test_live(void **state)
{
    st_t                  *st;
    int64_t                late;
    ctseg_run_t            run;
    ctseg_export_t         e;
    ctseg_figures_t        f;
    const ctseg_figure_t  *item;

    (void) state;
    st = test_make();
    ot_append_n(st, 10);
    (void) ot_moment();
    ot_append_n(st, 6);

    test_create(st, &e, CTSEG_FREQ_LIVE, CTSEG_RUNNING);
    e.created_ms = 1;
    test_run(st, &e, &run, 2, 5, 7);
    test_waiting(st, &e, 11);

    /* since its block was appended, or since there is such an export */

    late = ctseg_now_ms() + HOUR;
    test_read_at(st, late, &f);
    item = test_of(&f, &e);
    assert_true(item->oldest_ms >= HOUR);
    assert_true(item->oldest_ms < HOUR + 60000);
    ctseg_figures_free(&f);

    e.created_ms = late - 7000;
    test_put(st, &e);
    test_read_at(st, late, &f);
    item = test_of(&f, &e);
    assert_int_equal(item->oldest_ms, 7000);
    ctseg_figures_free(&f);

    /* the clock may have been set back */

    test_read_at(st, 5, &f);
    item = test_of(&f, &e);
    assert_int_equal(item->oldest_ms, 0);
    ctseg_figures_free(&f);

    /* what it has not read is trimmed: the oldest that is left counts */

    ot_trim(st, 11);
    e.created_ms = 1;
    test_put(st, &e);
    test_read_at(st, late, &f);
    item = test_of(&f, &e);
    assert_int_equal(item->waiting, 11);
    assert_true(item->oldest_ms >= HOUR);
    ctseg_figures_free(&f);

    /* all is read */

    run.cursor = 16;
    run.hi = 16;
    assert_int_equal(ctseg_run_put(st->store, &run, NULL), CTSEG_OK);
    test_read_at(st, late, &f);
    item = test_of(&f, &e);
    assert_int_equal(item->waiting, 0);
    assert_int_equal(item->oldest_ms, 0);
    ctseg_figures_free(&f);

    st_free(st);
}


static void
test_paused(void **state)
{
    unsigned          i;
    st_t             *st;
    ctseg_run_t       run;
    ctseg_export_t    e;
    ctseg_partner_t   other;
    ctseg_figures_t   f;

    static const struct {
        ctseg_run_status_t  status;
        int64_t             since;
        bool                paused;
    } cases[] = {
        { CTSEG_RUN_RUNNING, NOW, true },
        { CTSEG_RUN_RUNNING, 0, false },
        { CTSEG_RUN_STOPPED, NOW, false }
    };

    (void) state;
    st = test_make();

    other = partner;
    (void) snprintf(other.nickname, sizeof(other.nickname), "o");
    assert_int_equal(ctseg_partner_create(st->store, &other, NOW + 1, NULL),
                     CTSEG_OK);

    ot_append_n(st, 3);
    test_create(st, &e, CTSEG_FREQ_LIVE, CTSEG_RUNNING);
    test_run(st, &e, &run, 0, 0, 3);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        run.status = cases[i].status;
        run.paused_ms = cases[i].since;
        assert_int_equal(ctseg_run_put(st->store, &run, NULL), CTSEG_OK);

        test_read(st, &f);
        assert_int_equal(f.npartners, 2);
        assert_string_equal(f.partners[0].id, partner.id);
        assert_int_equal(f.partners[0].paused, cases[i].paused);
        assert_false(f.partners[1].paused);
        ctseg_figures_free(&f);
    }

    st_free(st);
}


/* a run that cannot be read hides its own export and no other */

static void
test_damage(void **state)
{
    char              key[96];
    st_t             *st;
    uint64_t          rev;
    ctseg_buf_t       b;
    ctseg_run_t       run;
    ctseg_export_t    e[3];
    ctseg_figures_t   f;

    (void) state;
    st = test_make();
    ot_append_n(st, 3);

    test_create(st, &e[0], CTSEG_FREQ_LIVE, CTSEG_RUNNING);
    test_run(st, &e[0], &run, 0, 1, 3);
    test_create(st, &e[1], CTSEG_FREQ_LIVE, CTSEG_RUNNING);
    test_run(st, &e[1], &run, 0, 1, 3);
    test_create(st, &e[2], CTSEG_FREQ_LIVE, CTSEG_RUNNING);
    test_run(st, &e[2], &run, 0, 1, 3);

    memset(&b, 0, sizeof(b));
    (void) snprintf(key, sizeof(key), "run/%s/%016x", e[1].id, 1);
    assert_int_equal(ctseg_store_get(st->store, ctseg_str(key), st_soon(),
                                     &b, &rev), CTSEG_OK);
    b.data[b.len / 2] ^= 1;
    assert_int_equal(ctseg_store_put(st->store, ctseg_str(key),
                                     ctseg_buf_slice(&b), rev, st_soon(),
                                     NULL), CTSEG_OK);
    ctseg_buf_free(&b);

    test_read_at(st, NOW, &f);
    assert_int_equal(f.nexports, 2);
    assert_int_equal(f.unlisted, 1);
    assert_int_equal(f.status[CTSEG_RUNNING], 3);
    assert_non_null(test_of(&f, &e[0]));
    assert_non_null(test_of(&f, &e[2]));
    assert_non_null(strstr(f.note.text, key));
    ctseg_figures_free(&f);

    st_free(st);
}


/* more than are shown: those that are not final, then the last that ended */

static void
test_many(void **state)
{
    st_t             *st;
    unsigned          i, n;
    ctseg_export_t    e, first, open;
    ctseg_figures_t   f;

    (void) state;
    st = test_make();
    n = MOST + 2;

    for (i = 0; i < n; i++) {
        test_create(st, &e, CTSEG_FREQ_LIVE, CTSEG_DONE);
        e.ended_ms = NOW - 1;
        test_put(st, &e);

        if (i == 0) {
            first = e;
        }
    }

    test_create(st, &open, CTSEG_FREQ_LIVE, CTSEG_PENDING);

    test_read_at(st, NOW, &f);
    assert_int_equal(f.nexports, MOST);
    assert_int_equal(f.unlisted, 3);
    assert_int_equal(f.status[CTSEG_DONE], n);
    assert_non_null(test_of(&f, &open));
    assert_non_null(test_of(&f, &e));
    assert_null(test_of(&f, &first));
    assert_string_equal(f.note.text, "");
    ctseg_figures_free(&f);

    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_one_time),
        cmocka_unit_test(test_recurring),
        cmocka_unit_test(test_live),
        cmocka_unit_test(test_paused),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_many)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
