/*
 * The list of exports looks at each export once, and at nothing else: what
 * their runs have left behind costs it nothing.  Shown by counting the steps
 * of LMDB's cursors, which the linker leads through here.
 *
 * link: -Wl,--wrap=mdb_cursor_get
 */

#include <lmdb.h>

#include "state_test.h"


#define EXPORTS  300
#define RUNS     10


static unsigned  steps;


int __real_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
    MDB_cursor_op op);
int __wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
    MDB_cursor_op op);


int
__wrap_mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
    MDB_cursor_op op)
{
    steps++;

    return __real_mdb_cursor_get(cursor, key, data, op);
}


static bool
count_cb(void *data, const ctseg_export_t *e)
{
    (void) e;
    (*(unsigned *) data)++;

    return true;
}


/* the steps of one list of all exports */

static unsigned
list_all(ctseg_store_t *s)
{
    unsigned  n;

    n = 0;
    steps = 0;
    assert_int_equal(ctseg_export_list(s, count_cb, &n, NULL), CTSEG_OK);
    assert_int_equal(n, EXPORTS);

    return steps;
}


static void
test_runs_cost_nothing(void **state)
{
    st_t             *st;
    int64_t           now;
    unsigned          i, before;
    uint64_t          number;
    ctseg_run_t       run;
    ctseg_export_t    e;
    ctseg_partner_t   p;

    (void) state;
    st = make();
    now = ctseg_now_ms();
    p = create_partner(st->store, "p", now);
    memset(&run, 0, sizeof(run));

    for (i = 0; i < EXPORTS; i++) {
        e = create_export(st->store, p.id, now + i);
    }

    before = list_all(st->store);
    assert_in_range(before, EXPORTS, EXPORTS + EXPORTS / 10);

    /* what years of runs leave, in the export that is listed last */

    (void) snprintf(run.export_id, sizeof(run.export_id), "%s", e.id);
    (void) snprintf(run.partner_id, sizeof(run.partner_id), "%s", p.id);
    run.status = CTSEG_RUN_SUCCEEDED;
    run.freq = CTSEG_FREQ_RECURRING;
    run.pinned.type = CTSEG_TYPE_EVENT;
    run.pinned.npriority = 1;

    for (number = 1; number <= RUNS * EXPORTS; number++) {
        run.number = number;
        run.rev = 0;
        assert_int_equal(ctseg_run_create(st->store, &run, NULL), CTSEG_OK);
    }

    assert_int_equal(list_all(st->store), before);
    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_runs_cost_nothing)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
