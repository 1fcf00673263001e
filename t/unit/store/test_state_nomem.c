/*
 * Memory that lacks under the typed records, LMDB's own included: a story of
 * partners, exports, runs, refused events, replies, leases and imports is
 * told with its first allocation failing, then the second, and so on.  It
 * ends with an answer that says so; nothing is leaked; and on a store that is
 * opened again every record reads, and what was answered OK is there.
 */

#include "nomem_test.h"

#include "state_test.h"

#include "store/ctseg_lease.h"
#include "store/ctseg_state_import.h"


#define NOW  1767323045678LL


/* what was answered OK */

typedef struct {
    char      partner[CTSEG_ID_TEXT_MAX];
    char      export[CTSEG_ID_TEXT_MAX];
    bool      run;
    bool      rejected;
    char      import[CTSEG_ID_TEXT_MAX];
    bool      stopped;
} told_t;


static bool
partner_cb(void *data, const ctseg_partner_t *p)
{
    (*(unsigned *) data)++;

    return p->id[0] != '\0';
}


static bool
export_cb(void *data, const ctseg_export_t *e)
{
    (*(unsigned *) data)++;

    return e->id[0] != '\0';
}


static bool
rejected_cb(void *data, const ctseg_rejected_t *r)
{
    (*(unsigned *) data)++;

    return r->sequence != 0;
}


static ctseg_rc_t
begin(ctseg_store_t *s, told_t *told, ctseg_export_t *e)
{
    ctseg_rc_t       rc;
    ctseg_err_t      err;
    ctseg_partner_t  p, old;

    fill_partner(&p, "nick");
    rc = ctseg_partner_create(s, &p, NOW, &err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    memcpy(told->partner, p.id, sizeof(p.id));
    old = p;
    (void) snprintf(p.nickname, sizeof(p.nickname), "other");
    rc = ctseg_partner_update(s, &p, &old, NOW, &err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    memset(e, 0, sizeof(ctseg_export_t));
    memcpy(e->partner_id, p.id, sizeof(e->partner_id));
    e->type = CTSEG_TYPE_EVENT;
    e->set = CTSEG_SET_SYSTEM;
    e->priority[0] = CTSEG_ID_EMAIL;
    e->npriority = 1;
    e->freq = CTSEG_FREQ_LIVE;
    e->status = CTSEG_PENDING;
    e->revision = 1;
    rc = ctseg_export_create(s, e, NOW, &err);

    if (rc == CTSEG_OK) {
        memcpy(told->export, e->id, sizeof(e->id));
        rc = ctseg_export_put(s, e, &err);
    }

    return rc;
}


static ctseg_rc_t
work(ctseg_store_t *s, told_t *told)
{
    unsigned          n;
    ctseg_rc_t        rc;
    ctseg_err_t       err;
    ctseg_run_t       run;
    ctseg_rejected_t  r;

    memset(&run, 0, sizeof(run));
    memcpy(run.export_id, told->export, sizeof(run.export_id));
    memcpy(run.partner_id, told->partner, sizeof(run.partner_id));
    run.number = 1;
    run.freq = CTSEG_FREQ_LIVE;
    run.status = CTSEG_RUN_RUNNING;
    run.pinned.type = CTSEG_TYPE_EVENT;
    run.pinned.npriority = 1;
    run.hi = 10;
    rc = ctseg_run_create(s, &run, &err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    told->run = true;
    run.owner[0] = 'x';
    rc = ctseg_run_put(s, &run, &err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    memset(&r, 0, sizeof(r));
    memcpy(r.export_id, told->export, sizeof(r.export_id));
    r.run = 1;
    r.sequence = 7;
    r.reason = CTSEG_REJECT_REFUSED;
    r.answer = ctseg_str("no");
    r.message = ctseg_str("{}");
    rc = ctseg_rejected_put(s, &r, &err);

    if (rc == CTSEG_OK) {
        told->rejected = true;
        n = 0;
        rc = ctseg_rejected_list(s, told->export, rejected_cb, &n, &err);
        assert_true(rc != CTSEG_OK || n == 1);
    }

    return rc;
}


static ctseg_rc_t
rest(ctseg_store_t *s, const char *export_id)
{
    int64_t               wait;
    uint64_t              rev;
    unsigned              n;
    ctseg_rc_t            rc;
    ctseg_err_t           err;
    ctseg_export_t        e;
    ctseg_reply_t         reply;
    ctseg_lease_watch_t  *w;

    memset(&reply, 0, sizeof(reply));
    memset(&err, 0, sizeof(err));
    memcpy(reply.key, "abc", 4);
    rc = ctseg_reply_claim(s, &reply, NOW, &err);

    if (rc == CTSEG_OK) {
        reply.status = 201;
        ctseg_buf_cstr(&reply.body, "{}");
        rc = reply.body.failed ? CTSEG_NOMEM
                               : ctseg_reply_fill(s, &reply, &err);
    }

    ctseg_buf_free(&reply.body);

    if (rc == CTSEG_OK) {
        rc = ctseg_throttle_put(s, "0123456789abcdef", NOW, 100, &err);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_throttle_get(s, "0123456789abcdef", NOW, &wait, &err);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_alarm_claim(s, "x", NOW, 1000, &err);
    }

    if (rc != CTSEG_OK) {
        return rc;
    }

    w = ctseg_lease_watch_create();

    if (w == NULL) {
        return CTSEG_NOMEM;
    }

    rc = ctseg_lease_acquire(s, w, "lease/x", "me", 1000, 30000, &rev);
    ctseg_lease_watch_destroy(w);

    if (rc == CTSEG_OK) {
        rc = ctseg_rejected_purge(s, export_id, &err);
    }

    if (rc == CTSEG_OK) {
        n = 0;
        rc = ctseg_partner_list(s, partner_cb, &n, &err);
        assert_true(rc != CTSEG_OK || n == 1);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_export_stop(s, ctseg_str(export_id), CTSEG_STOP_USER, &e,
                               &err);
    }

    return rc;
}


static bool
import_cb(void *data, const ctseg_import_t *im)
{
    (*(unsigned *) data)++;

    return im->nnames == 1;
}


static void
known_cb(void *data, uint64_t sequence)
{
    *(uint64_t *) data += sequence;
}


/* a page of a walk, and the stop of an import */

static ctseg_rc_t
pages(ctseg_store_t *s, told_t *told, ctseg_import_t *im)
{
    uint64_t     sum, known[2] = { 3, 4 };
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    (void) snprintf(im->account, sizeof(im->account), "ONE");
    ctseg_buf_add(&im->names, "one", 4);
    im->nnames = 1;
    im->from.year = im->to.year = 2026;
    im->from.month = im->to.month = 1;
    im->from.day = im->to.day = 1;
    im->status = CTSEG_PENDING;
    rc = ctseg_import_create(s, im, NOW, &err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    memcpy(told->import, im->id, sizeof(im->id));
    rc = ctseg_imported_put(s, told->import, 0, known, 2, &err);

    if (rc == CTSEG_OK) {
        sum = 0;
        rc = ctseg_imported_list(s, told->import, 1, known_cb, &sum, &err);
        assert_true(rc != CTSEG_OK || sum == 7);
    }

    if (rc == CTSEG_OK) {
        im->status = CTSEG_RUNNING;
        ctseg_buf_cstr(&im->cursor, "next");
        ctseg_buf_cstr(&im->errors, "{}");
        rc = ctseg_import_put(s, im, &err);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_import_stop(s, ctseg_str(told->import), CTSEG_STOP_USER,
                               NOW, im, &err);
        told->stopped = rc == CTSEG_OK;
    }

    return rc == CTSEG_OK ? ctseg_imported_remove(s, told->import, &err)
                          : rc;
}


static ctseg_rc_t
history(ctseg_store_t *s, told_t *told)
{
    ctseg_rc_t      rc;
    ctseg_import_t  im;

    memset(&im, 0, sizeof(im));
    rc = pages(s, told, &im);
    ctseg_import_free(&im);

    return rc;
}


static void
check_import(ctseg_store_t *s, const told_t *told)
{
    unsigned        n;
    ctseg_err_t     err;
    ctseg_import_t  im;

    n = 0;
    memset(&err, 0, sizeof(err));
    assert_int_equal(ctseg_import_list(s, import_cb, &n, &err), CTSEG_OK);
    assert_true(n <= 1 && err.code == CTSEG_OK);

    if (told->import[0] != '\0') {
        memset(&im, 0, sizeof(im));
        assert_int_equal(ctseg_import_get(s, ctseg_str(told->import), &im,
                                          &err), CTSEG_OK);
        assert_true(!told->stopped || im.status == CTSEG_STOPPED);
        ctseg_import_free(&im);
    }
}


/* with all its memory the store shows what was told, and nothing damaged */

static void
check(st_t *st, const told_t *told)
{
    unsigned          n;
    ctseg_err_t       err;
    ctseg_run_t       run;
    ctseg_export_t    e;
    ctseg_partner_t   p;

    ctseg_store_close(st->store);
    st->store = NULL;
    assert_int_equal(st_open(st), CTSEG_OK);

    memset(&err, 0, sizeof(err));
    n = 0;
    assert_int_equal(ctseg_partner_list(st->store, partner_cb, &n, &err),
                     CTSEG_OK);
    assert_true(n <= 1 && err.code == CTSEG_OK);
    n = 0;
    assert_int_equal(ctseg_export_list(st->store, export_cb, &n, &err),
                     CTSEG_OK);
    assert_true(n <= 1 && err.code == CTSEG_OK);

    if (told->partner[0] != '\0') {
        assert_int_equal(ctseg_partner_get(st->store,
                                           ctseg_str(told->partner), &p,
                                           &err), CTSEG_OK);
    }

    if (told->export[0] != '\0') {
        assert_int_equal(ctseg_export_get(st->store, ctseg_str(told->export),
                                          &e, &err), CTSEG_OK);
    }

    if (told->run) {
        assert_int_equal(ctseg_run_get(st->store, told->export, 1, &run,
                                       &err), CTSEG_OK);
    }

    check_import(st->store, told);
}


static void
test_sweep(void **state)
{
    st_t             st;
    told_t           told;
    int64_t          n, hits;
    ctseg_rc_t       rc;
    ctseg_export_t   e;

    (void) state;

    for (n = 1; /* void */ ; n++) {
#ifdef CTSEG_DISK_MEMORY
        int64_t  live = ctseg_disk_live;
#endif

        st_make(&st, 16 * ST_MB, 90);
        assert_int_equal(st_open(&st), CTSEG_OK);
        memset(&told, 0, sizeof(told));

        nomem_arm(n);
        rc = begin(st.store, &told, &e);

        if (rc == CTSEG_OK) {
            rc = work(st.store, &told);
        }

        if (rc == CTSEG_OK) {
            rc = rest(st.store, told.export);
        }

        if (rc == CTSEG_OK) {
            rc = history(st.store, &told);
        }

        hits = nomem_disarm();

        /* LMDB tells of a lack by its own answers, too: not applied, or the
           environment must be opened again */

        if (rc != CTSEG_OK && rc != CTSEG_NOMEM && rc != CTSEG_RETRY
            && rc != CTSEG_FULL && rc != CTSEG_FATAL
            && rc != CTSEG_AMBIGUOUS)
        {
            fail_msg("allocation %d: answered %s", (int) n,
                     ctseg_rc_name(rc));
        }

        check(&st, &told);
        st_free(&st);

#ifdef CTSEG_DISK_MEMORY
        if (n > 1 && ctseg_disk_live != live) {
            fail_msg("allocation %d: %d pieces of memory leaked", (int) n,
                     (int) (ctseg_disk_live - live));
        }
#endif

        if (hits == 0) {
            break;
        }
    }

    assert_int_equal(rc, CTSEG_OK);
    print_message("# %d allocations\n", (int) n - 1);

#ifdef CTSEG_DISK_MEMORY
    assert_true(n > 20);
#endif
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_sweep)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
