/*
 * What keeps events: each kind of export in each of its states, alone as a
 * rule and together over a store.  What is said of the log is held against
 * what a trim with it removes and leaves.
 */

#include "outbox_test.h"

#include "outbox/ctseg_retain.h"
#include "store/ctseg_state.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))

#define LOG   7                         /* incarnation */
#define NOW   5000


/* ---- the rule ---- */

static const struct {
    ctseg_freq_t    freq;
    ctseg_status_t  status;
    uint64_t        runs;
    int64_t         start_ms;
    uint32_t        incarnation;        /* of the cut of the export */
    uint32_t        run;                /* of its run; 0: none is given */
    ctseg_hold_e    what;
    uint64_t        number;             /* after, or since */
} hold_cases[] = {

    /* the cut is at 30, the cursor at 40, the range begins at 100 */

    { CTSEG_FREQ_ONE_TIME, CTSEG_PENDING, 0, 0, 0, 0,
      CTSEG_HOLD_SINCE, 100 },
    { CTSEG_FREQ_ONE_TIME, CTSEG_PENDING, 0, 0, 0, LOG,
      CTSEG_HOLD_AFTER, 40 },
    { CTSEG_FREQ_ONE_TIME, CTSEG_RUNNING, 1, 0, 0, LOG,
      CTSEG_HOLD_AFTER, 40 },
    { CTSEG_FREQ_ONE_TIME, CTSEG_RUNNING, 1, 0, 0, 0,
      CTSEG_HOLD_SINCE, 100 },
    { CTSEG_FREQ_ONE_TIME, CTSEG_RUNNING, 1, 0, 0, LOG + 1,
      CTSEG_HOLD_NOTHING, 0 },
    { CTSEG_FREQ_ONE_TIME, CTSEG_DONE, 1, 0, 0, LOG,
      CTSEG_HOLD_NOTHING, 0 },
    { CTSEG_FREQ_ONE_TIME, CTSEG_STOPPED, 1, 0, 0, LOG,
      CTSEG_HOLD_NOTHING, 0 },

    { CTSEG_FREQ_RECURRING, CTSEG_PENDING, 0, NOW + 1, 0, 0,
      CTSEG_HOLD_NOTHING, 0 },
    { CTSEG_FREQ_RECURRING, CTSEG_PENDING, 0, NOW, 0, 0,
      CTSEG_HOLD_SINCE, NOW },
    { CTSEG_FREQ_RECURRING, CTSEG_PENDING, 0, 200, 0, 0,
      CTSEG_HOLD_SINCE, 200 },
    { CTSEG_FREQ_RECURRING, CTSEG_RUNNING, 1, 200, 0, LOG,
      CTSEG_HOLD_AFTER, 40 },
    { CTSEG_FREQ_RECURRING, CTSEG_PENDING, 1, 200, LOG, 0,
      CTSEG_HOLD_AFTER, 30 },
    { CTSEG_FREQ_RECURRING, CTSEG_PENDING, 1, NOW + 1, LOG, 0,
      CTSEG_HOLD_AFTER, 30 },
    { CTSEG_FREQ_RECURRING, CTSEG_PENDING, 1, 200, LOG + 1, 0,
      CTSEG_HOLD_AFTER, 0 },
    { CTSEG_FREQ_RECURRING, CTSEG_RUNNING, 2, 200, LOG, LOG + 1,
      CTSEG_HOLD_AFTER, 0 },
    { CTSEG_FREQ_RECURRING, CTSEG_RUNNING, 2, 200, LOG, 0,
      CTSEG_HOLD_AFTER, 30 },
    { CTSEG_FREQ_RECURRING, CTSEG_STOPPED, 1, 200, LOG, LOG,
      CTSEG_HOLD_NOTHING, 0 },

    { CTSEG_FREQ_LIVE, CTSEG_PENDING, 0, 200, LOG, 0,
      CTSEG_HOLD_AFTER, 30 },
    { CTSEG_FREQ_LIVE, CTSEG_RUNNING, 1, 200, LOG, LOG,
      CTSEG_HOLD_AFTER, 40 },
    { CTSEG_FREQ_LIVE, CTSEG_RUNNING, 1, 200, LOG, LOG + 1,
      CTSEG_HOLD_AFTER, 0 },
    { CTSEG_FREQ_LIVE, CTSEG_STOPPED, 1, 200, LOG, LOG,
      CTSEG_HOLD_NOTHING, 0 }
};


static void
test_hold(void **state)
{
    size_t           i;
    ctseg_run_t      run;
    ctseg_hold_t     hold;
    ctseg_export_t   e;

    (void) state;

    for (i = 0; i < N(hold_cases); i++) {
        ot_export(&e, hold_cases[i].freq);
        e.status = hold_cases[i].status;
        e.runs = hold_cases[i].runs;
        e.start_ms = hold_cases[i].start_ms;
        e.from_ms = 100;
        e.cut = 30;
        e.incarnation = hold_cases[i].incarnation;

        memset(&run, 0, sizeof(ctseg_run_t));
        run.incarnation = hold_cases[i].run;
        run.lo = 10;
        run.hi = 60;
        run.cursor = 40;

        ctseg_hold_of(&hold, &e, hold_cases[i].run == 0 ? NULL : &run, LOG,
                      NOW);

        assert_int_equal(hold.what, hold_cases[i].what);
        assert_int_equal(hold.after + (uint64_t) hold.since_ms,
                         hold_cases[i].number);
    }
}


/* of profiles the begin of the cut stays, as far as the run knows its end */

static void
test_hold_profiles(void **state)
{
    ctseg_run_t     run;
    ctseg_hold_t    hold;
    ctseg_export_t  e;

    (void) state;

    memset(&run, 0, sizeof(ctseg_run_t));
    run.incarnation = LOG;
    run.lo = 10;
    run.hi = 60;
    run.cursor = 40;
    run.pinned.type = CTSEG_TYPE_PROFILE;

    for (run.freq = CTSEG_FREQ_ONE_TIME; run.freq <= CTSEG_FREQ_LIVE;
         run.freq++)
    {
        ot_export(&e, run.freq);
        e.status = CTSEG_RUNNING;
        e.runs = 1;
        e.incarnation = LOG;

        ctseg_hold_of(&hold, &e, &run, LOG, NOW);

        assert_int_equal(hold.what, CTSEG_HOLD_AFTER);
        assert_int_equal(hold.after, run.freq == CTSEG_FREQ_LIVE ? 40 : 10);
    }
}


/* ---- over a store ---- */

typedef struct {
    st_t             *st;
    uint32_t          incarnation;
    int64_t           moment[5];        /* before the n-th ten events */
    ctseg_partner_t   partner;
} scene_t;


static void
scene_open(scene_t *sc)
{
    unsigned        i;
    ctseg_bounds_t  bounds;

    sc->st = ot_make(16 * ST_MB);

    for (i = 0; i < 5; i++) {
        sc->moment[i] = ot_moment();
        ot_append_n(sc->st, 10);
    }

    (void) ot_moment();

    assert_int_equal(ctseg_store_bounds(sc->st->store, 0, st_soon(),
                                        &bounds), CTSEG_OK);
    sc->incarnation = bounds.incarnation;

    ot_partner(&sc->partner);
    (void) snprintf(sc->partner.nickname, sizeof(sc->partner.nickname), "p");
    assert_int_equal(ctseg_partner_create(sc->st->store, &sc->partner, 1,
                                          NULL), CTSEG_OK);
}


static ctseg_export_t
scene_export(scene_t *sc, ctseg_freq_t freq, uint64_t cut)
{
    ctseg_export_t  e;

    ot_export(&e, freq);
    memcpy(e.partner_id, sc->partner.id, sizeof(e.partner_id));
    e.cut = cut;
    e.incarnation = sc->incarnation;
    e.runs = freq == CTSEG_FREQ_RECURRING;

    assert_int_equal(ctseg_export_create(sc->st->store, &e, ctseg_now_ms(),
                                         NULL), CTSEG_OK);
    return e;
}


static ctseg_run_t
scene_run(scene_t *sc, ctseg_export_t *e, uint64_t lo, uint64_t cursor)
{
    ctseg_run_t  run;

    memset(&run, 0, sizeof(run));
    ctseg_run_pin(&run, e, &sc->partner);
    run.number = 1;
    run.status = CTSEG_RUN_RUNNING;
    run.incarnation = sc->incarnation;
    run.lo = lo;
    run.hi = 50;
    run.cursor = cursor;

    assert_int_equal(ctseg_run_create(sc->st->store, &run, NULL), CTSEG_OK);

    return run;
}


static void
scene_final(scene_t *sc, ctseg_export_t *e)
{
    e->status = CTSEG_STOPPED;
    assert_int_equal(ctseg_export_put(sc->st->store, e, NULL), CTSEG_OK);
}


/* what is due, held, and by whom, when what came before the n-th may go */

static ctseg_retain_t
scene_look(scene_t *sc, int64_t before_ms)
{
    ctseg_err_t     err;
    ctseg_retain_t  out;

    assert_int_equal(ctseg_retain_look(sc->st->store, before_ms,
                                       ctseg_now_ms(), st_soon(), &out,
                                       &err), CTSEG_OK);
    return out;
}


static void
scene_holds(scene_t *sc, int64_t before_ms, const ctseg_export_t *e,
    uint64_t held, bool due)
{
    ctseg_retain_t  out;

    out = scene_look(sc, before_ms);

    assert_int_equal(out.held, held);
    assert_int_equal(out.due, due);
    assert_string_equal(out.export_id, e != NULL ? e->id : "");
}


/* trim as it says; the first event that is left */

static uint64_t
scene_trim(scene_t *sc, int64_t before_ms)
{
    ctseg_bounds_t  bounds;
    ctseg_retain_t  out;

    out = scene_look(sc, before_ms);

    if (out.due) {
        assert_int_equal(ctseg_store_trim(sc->st->store, 0, out.before_ms,
                                          out.keep_from, 100, st_soon(),
                                          NULL), CTSEG_AGAIN);
        assert_false(scene_look(sc, before_ms).due);
    }

    assert_int_equal(ctseg_store_bounds(sc->st->store, 0, st_soon(),
                                        &bounds), CTSEG_OK);
    return bounds.first;
}


static void
test_look(void **state)
{
    scene_t          sc;
    ctseg_run_t      run;
    ctseg_export_t   live, slow, once;
    ctseg_retain_t   out;

    (void) state;

    scene_open(&sc);

    /* nobody needs anything: what is old may go, the young stays */

    scene_holds(&sc, sc.moment[0], NULL, 0, false);
    scene_holds(&sc, sc.moment[3], NULL, 0, true);
    assert_int_equal(scene_trim(&sc, sc.moment[1]), 11);
    scene_holds(&sc, sc.moment[1], NULL, 0, false);

    /* a live one in the middle of the third block, a slower one before it */

    live = scene_export(&sc, CTSEG_FREQ_LIVE, 23);
    scene_holds(&sc, sc.moment[2], NULL, 0, true);
    scene_holds(&sc, sc.moment[4], &live, 17, true);

    slow = scene_export(&sc, CTSEG_FREQ_RECURRING, 20);
    out = scene_look(&sc, sc.moment[4]);
    assert_int_equal(out.held, 20);
    assert_string_equal(out.export_id, slow.id);
    assert_in_range(out.held_since_ms, sc.moment[2], sc.moment[3] - 1);

    assert_int_equal(scene_trim(&sc, sc.moment[4]), 21);
    scene_holds(&sc, sc.moment[4], &slow, 20, false);

    /* stopped: at once only the next one counts, then none */

    scene_final(&sc, &slow);
    scene_holds(&sc, sc.moment[4], &live, 17, false);

    live.status = CTSEG_RUNNING;
    live.runs = 1;
    assert_int_equal(ctseg_export_put(sc.st->store, &live, NULL), CTSEG_OK);
    run = scene_run(&sc, &live, 23, 30);
    scene_holds(&sc, sc.moment[4], &live, 10, true);

    run.cursor = 45;
    assert_int_equal(ctseg_run_put(sc.st->store, &run, NULL), CTSEG_OK);
    scene_holds(&sc, sc.moment[4], NULL, 0, true);
    assert_int_equal(scene_trim(&sc, sc.moment[4]), 41);

    /* a one time run that is made, while its export does not say so yet */

    once = scene_export(&sc, CTSEG_FREQ_ONE_TIME, 0);
    scene_holds(&sc, INT64_MAX, &once, 10, false);
    run = scene_run(&sc, &once, 40, 50);
    scene_holds(&sc, INT64_MAX, &live, 5, false);

    scene_final(&sc, &once);
    scene_final(&sc, &live);
    scene_holds(&sc, INT64_MAX, NULL, 0, true);
    assert_int_equal(scene_trim(&sc, INT64_MAX), 0);
    scene_holds(&sc, INT64_MAX, NULL, 0, false);

    st_free(sc.st);
}


/* since when: what came before a range or a start date is not needed */

static void
test_since(void **state)
{
    scene_t          sc;
    ctseg_export_t   e;

    (void) state;

    scene_open(&sc);

    e = scene_export(&sc, CTSEG_FREQ_ONE_TIME, 0);
    e.from_ms = sc.moment[2];
    assert_int_equal(ctseg_export_put(sc.st->store, &e, NULL), CTSEG_OK);
    scene_holds(&sc, sc.moment[2], NULL, 0, true);
    scene_holds(&sc, INT64_MAX, &e, 30, true);
    scene_final(&sc, &e);

    e = scene_export(&sc, CTSEG_FREQ_RECURRING, 0);
    e.runs = 0;
    e.start_ms = sc.moment[3];
    assert_int_equal(ctseg_export_put(sc.st->store, &e, NULL), CTSEG_OK);
    scene_holds(&sc, INT64_MAX, &e, 20, true);

    e.start_ms = ctseg_now_ms() + CTSEG_DAY_MS;
    assert_int_equal(ctseg_export_put(sc.st->store, &e, NULL), CTSEG_OK);
    scene_holds(&sc, INT64_MAX, NULL, 0, true);

    st_free(sc.st);
}


/* what cannot be read is held; a block that cannot does not stop the rest */

static void
test_damage(void **state)
{
    scene_t          sc;
    char             key[64];
    uint64_t         rev;
    ctseg_err_t      err;
    ctseg_export_t   e;
    ctseg_retain_t   out;

    static const ot_part_t  bad = { 5, "App Launched", "u", TEST_TIME_MS, 0 };

    (void) state;

    scene_open(&sc);

    e = scene_export(&sc, CTSEG_FREQ_RECURRING, 50);
    scene_holds(&sc, INT64_MAX, NULL, 0, true);

    (void) snprintf(key, sizeof(key), "export/%s", e.id);
    assert_int_equal(ctseg_store_put(sc.st->store, ctseg_str(key),
                                     ctseg_str("junk"), e.rev, st_soon(),
                                     &rev), CTSEG_OK);
    scene_holds(&sc, INT64_MAX, &e, 50, false);

    assert_int_equal(ctseg_retain_look(sc.st->store, INT64_MAX, 0,
                                       ctseg_mono_ms() - 1, &out, &err),
                     CTSEG_RETRY);

    assert_int_equal(ctseg_active_remove(sc.st->store, e.id, NULL),
                     CTSEG_OK);
    ot_append(sc.st, &bad, 1, true);
    scene_holds(&sc, INT64_MAX, NULL, 0, true);
    assert_int_equal(scene_trim(&sc, INT64_MAX), 0);

    st_free(sc.st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_hold_profiles),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_since),
        cmocka_unit_test(test_damage)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
