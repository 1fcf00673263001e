/*
 * Exports, the list of the active ones, runs, and what damaged records do.
 * A crash between two puts is made by taking the later ones back by hand.
 */

#include <pthread.h>

#include "state_test.h"


static bool
export_cb(void *data, const ctseg_export_t *e)
{
    char  *last;

    last = data;
    assert_true(strcmp(e->id, last) > 0);
    memcpy(last, e->id, sizeof(e->id));

    return e->every_hours != 5;
}


static bool
active_cb(void *data, const char *export_id)
{
    char  *text;

    text = data;
    assert_true(ctseg_id_is_valid(ctseg_str(export_id)));
    (void) snprintf(text + strlen(text), 900 - strlen(text), "%s ",
                    export_id);

    return true;
}


static void
test_export(void **state)
{
    st_t             *st;
    char              last[CTSEG_ID_TEXT_MAX], ids[900], want[900];
    int64_t           now;
    uint64_t          rev;
    ctseg_err_t       err;
    ctseg_export_t    a, b, back;
    ctseg_partner_t   p;

    (void) state;
    st = make();
    now = ctseg_now_ms();
    p = create_partner(st->store, "p", now);

    a = create_export(st->store, p.id, now);
    b = create_export(st->store, p.id, now + 1);
    assert_int_equal(ctseg_export_get(st->store, ctseg_str(a.id), &back,
                                      &err), CTSEG_OK);
    assert_memory_equal(&back, &a, sizeof(a));

    assert_int_equal(back.ended_ms, 0);

    back.runs = 3;
    back.totals_run = 2;
    back.totals.sent = 1;
    back.totals.filtered = UINT64_MAX;
    back.totals.rejected = 3;
    back.status = CTSEG_RUNNING;
    back.every_hours = 5;
    assert_int_equal(ctseg_export_put(st->store, &back, &err), CTSEG_OK);
    assert_true(back.rev > a.rev);
    assert_int_equal(ctseg_export_put(st->store, &a, &err), CTSEG_CONFLICT);
    assert_int_equal(ctseg_export_get(st->store, ctseg_str(a.id), &a, &err),
                     CTSEG_OK);
    assert_memory_equal(&back, &a, sizeof(a));
    back.rev = 0;
    assert_int_equal(ctseg_export_put(st->store, &back, &err),
                     CTSEG_INVALID);

    last[0] = '\0';
    assert_int_equal(ctseg_export_list(st->store, export_cb, last, &err),
                     CTSEG_OK);
    assert_string_equal(last, a.id);

    /* both are active, and the label is not older than the last change */

    ids[0] = '\0';
    rev = 0;
    assert_int_equal(ctseg_active_list(st->store, active_cb, ids, &rev,
                                       &err), CTSEG_OK);
    (void) snprintf(want, sizeof(want), "%s %s ", a.id, b.id);
    assert_string_equal(ids, want);
    assert_true(rev >= b.rev);

    assert_int_equal(ctseg_active_remove(st->store, a.id, &err), CTSEG_OK);
    assert_int_equal(ctseg_active_remove(st->store, a.id, &err), CTSEG_OK);
    ids[0] = '\0';
    assert_int_equal(ctseg_active_list(st->store, active_cb, ids, NULL,
                                       &err), CTSEG_OK);
    (void) snprintf(want, sizeof(want), "%s ", b.id);
    assert_string_equal(ids, want);

    /* a partner that does not exist */

    memset(p.id, '0', 20);
    memcpy(b.partner_id, p.id, sizeof(p.id));
    assert_int_equal(ctseg_export_create(st->store, &b, now, &err),
                     CTSEG_NOTFOUND);
    assert_int_equal(count(st->store, "export/"), 2);
    assert_int_equal(count(st->store, "active/"), 1);

    st_free(st);
}


/* an entry without export: kept while it may come, then removed */

static void
test_export_crash(void **state)
{
    st_t             *st;
    char              ids[900];
    int64_t           now;
    ctseg_err_t       err;
    ctseg_export_t    young, old;
    ctseg_partner_t   p;

    (void) state;
    st = make();
    now = ctseg_now_ms();
    p = create_partner(st->store, "p", now);

    young = create_export(st->store, p.id, now - MINUTE / 2);
    old = create_export(st->store, p.id, now - 2 * MINUTE);
    drop(st->store, "export", young.id);
    drop(st->store, "export", old.id);
    assert_int_equal(count(st->store, "active/"), 2);

    ids[0] = '\0';
    assert_int_equal(ctseg_active_list(st->store, active_cb, ids, NULL,
                                       &err), CTSEG_OK);
    assert_string_equal(ids, "");
    assert_int_equal(count(st->store, "active/"), 1);
    drop(st->store, "active", young.id);

    st_free(st);
}


/*
 * One deletes the partner while another makes exports of it: whoever wins,
 * there is never an export that is not final without its partner.
 */

typedef struct {
    ctseg_store_t   *store;
    ctseg_partner_t  partner;
    unsigned         created;
    ctseg_rc_t       rc;
} race_t;


static void *
race_thread(void *data)
{
    race_t          *race;
    ctseg_export_t   e;

    race = data;

    do {
        memset(&e, 0, sizeof(e));
        memcpy(e.partner_id, race->partner.id, sizeof(e.partner_id));
        e.type = CTSEG_TYPE_EVENT;
        e.freq = CTSEG_FREQ_LIVE;
        e.status = CTSEG_RUNNING;
        race->rc = ctseg_export_create(race->store, &e, ctseg_now_ms(),
                                       NULL);

        race->created++;

    } while (race->rc == CTSEG_OK);

    return NULL;
}


static bool
orphan_cb(void *data, const ctseg_export_t *e)
{
    if (!ctseg_export_is_final(e->status)) {
        (*(unsigned *) data)++;
    }

    return true;
}


static void
test_race(void **state)
{
    st_t            *st;
    race_t           race;
    unsigned         i, orphans;
    ctseg_rc_t       rc;
    pthread_t        thread;
    ctseg_err_t      err;
    ctseg_export_t   e;

    (void) state;
    st = make();

    for (i = 0; i < 10; i++) {
        memset(&race, 0, sizeof(race));
        race.store = st->store;
        race.partner = create_partner(st->store, "p", ctseg_now_ms());

        assert_int_equal(pthread_create(&thread, NULL, race_thread, &race),
                         0);
        usleep(i * 500);

        do {
            rc = ctseg_partner_delete(st->store, ctseg_str(race.partner.id),
                                      ctseg_now_ms(), &err);

            if (rc == CTSEG_CONFLICT) {
                (void) ctseg_export_stop(st->store, ctseg_str(err.text),
                                         CTSEG_STOP_USER, &e, NULL);
            }

        } while (rc == CTSEG_CONFLICT || rc == CTSEG_AGAIN);

        /* the mark of a delete refuses exports before the partner is gone */

        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(rc, CTSEG_OK);
        assert_int_equal(race.rc, CTSEG_NOTFOUND);

        orphans = 0;
        assert_int_equal(ctseg_export_list(st->store, orphan_cb, &orphans,
                                           NULL), CTSEG_OK);
        assert_int_equal(orphans, 0);
    }

    st_free(st);
}


static void
test_stop(void **state)
{
    st_t             *st;
    ctseg_err_t       err;
    ctseg_export_t    e, back;
    ctseg_partner_t   p;

    (void) state;
    st = make();
    p = create_partner(st->store, "p", 5000);
    e = create_export(st->store, p.id, 5000);

    assert_int_equal(ctseg_export_stop(st->store, ctseg_str(e.id),
                                       CTSEG_STOP_ERRORS, &back, &err),
                     CTSEG_OK);
    assert_int_equal(back.status, CTSEG_STOPPED);
    assert_int_equal(back.stop_reason, CTSEG_STOP_ERRORS);
    assert_true(back.next_run_ms == 0);
    assert_true(back.ended_ms > 5000 && back.ended_ms <= ctseg_now_ms());
    assert_true(back.rev > e.rev);

    /* who held the record before cannot write over it */

    assert_int_equal(ctseg_export_put(st->store, &e, &err), CTSEG_CONFLICT);

    memset(&back, 0, sizeof(back));
    assert_int_equal(ctseg_export_stop(st->store, ctseg_str(e.id),
                                       CTSEG_STOP_USER, &back, &err),
                     CTSEG_CONFLICT);
    assert_string_equal(back.id, e.id);
    assert_int_equal(back.stop_reason, CTSEG_STOP_ERRORS);
    assert_int_equal(ctseg_export_stop(st->store, ctseg_str("x"),
                                       CTSEG_STOP_USER, &back, &err),
                     CTSEG_NOTFOUND);

    st_free(st);
}


static bool
run_cb(void *data, const ctseg_run_t *r)
{
    uint64_t  *sum;

    sum = data;
    *sum = *sum * 10 + r->number % 10;

    return r->number != 20;
}


static void
test_run(void **state)
{
    st_t          *st;
    uint64_t       sum;
    unsigned       i;
    ctseg_err_t    err;
    ctseg_run_t    r, back;

    static const unsigned  number[] = { 3, 17, 1, 256, 20 };

    (void) state;
    st = make();
    memset(&r, 0, sizeof(r));

    ctseg_id_new(r.export_id, 5000);
    ctseg_id_new(r.partner_id, 5000);
    r.status = CTSEG_RUN_RUNNING;
    r.export_revision = 4;
    r.region = CTSEG_REGION_EU;
    r.pinned.type = CTSEG_TYPE_EVENT;
    r.pinned.kinds = ~0ULL;
    r.pinned.from_ms = INT64_MIN;
    r.pinned.to_ms = INT64_MAX;
    r.pinned.user_id.field = CTSEG_ID_IDENTITY;
    r.pinned.anonymous_id.field = -1;
    memset(r.pinned.anonymous_id.property, 'x', CTSEG_PROPERTY_MAX);
    r.pinned.npriority = CTSEG_PRIORITY_MAX;
    r.pinned.mapping.context = true;
    r.pinned.mapping.names = CTSEG_NAMES_CANONICAL;
    r.pinned.mapping.future = CTSEG_FUTURE_REJECT;
    memset(r.pinned.mapping.integrations, 'i', CTSEG_INTEGRATIONS_MAX);
    ctseg_write_key_fingerprint(r.pinned.fingerprint, "key");
    r.lo = 10;
    r.hi = 100;
    r.cursor = 40;
    r.counts.scanned = 30;
    r.counts.sent = 20;
    r.counts.filtered = 5;
    r.counts.rejected = 5;
    r.counts.rejects[CTSEG_REJECT_NO_ID] = 3;
    r.counts.rejects[CTSEG_REJECT_TOO_LARGE] = 2;
    r.counts.batches = 2;
    r.counts.retries = 1;
    r.coalesced_slots = 6;
    r.scheduled_ms = 7;
    r.started_ms = 8;
    r.finished_ms = 9;
    r.error_status = -3;
    memset(r.error, 'e', sizeof(r.error) - 1);
    r.error_ms = 10;
    r.retry_at_ms = 11;
    r.failing_ms = 13;
    r.pace = 14;
    r.paused_ms = 15;
    r.refusals = 16;
    memset(r.owner, 'o', sizeof(r.owner) - 1);
    r.fence = 12;

    assert_int_equal(ctseg_run_create(st->store, &r, &err), CTSEG_INVALID);

    for (i = 0; i < 5; i++) {
        r.number = number[i];
        assert_int_equal(ctseg_run_create(st->store, &r, &err), CTSEG_OK);
    }

    back = r;
    assert_int_equal(ctseg_run_create(st->store, &back, &err),
                     CTSEG_CONFLICT);
    assert_int_equal(ctseg_run_get(st->store, r.export_id, 20, &back, &err),
                     CTSEG_OK);
    assert_memory_equal(&back, &r, sizeof(r));
    assert_int_equal(ctseg_run_get(st->store, r.export_id, 21, &back, &err),
                     CTSEG_NOTFOUND);
    assert_int_equal(ctseg_run_get(st->store, "x", 20, &back, &err),
                     CTSEG_NOTFOUND);

    /* a checkpoint, and one of an owner that lost the lease */

    back = r;
    r.cursor = 50;
    assert_int_equal(ctseg_run_put(st->store, &r, &err), CTSEG_OK);
    assert_int_equal(ctseg_run_put(st->store, &r, &err), CTSEG_OK);
    assert_int_equal(ctseg_run_put(st->store, &back, &err), CTSEG_CONFLICT);
    assert_int_equal(ctseg_run_get(st->store, r.export_id, 20, &back, &err),
                     CTSEG_OK);
    assert_true(back.cursor == 50);

    sum = 0;
    assert_int_equal(ctseg_run_list(st->store, r.export_id, run_cb, &sum,
                                    &err), CTSEG_OK);
    assert_true(sum == 1370);

    st_free(st);
}


static bool
count_cb(void *data, const ctseg_partner_t *p)
{
    (void) p;
    (*(unsigned *) data)++;

    return true;
}


/* every typed reader names the damaged record, and none loops over it */

static void
test_damage(void **state)
{
    st_t             *st;
    char              text[160], number[64];
    uint64_t          sum;
    unsigned          n;
    ctseg_run_t       r;
    ctseg_err_t       err;
    ctseg_export_t    e;
    ctseg_partner_t   p;

    (void) state;
    st = make();
    p = create_partner(st->store, "p", 5000);
    e = create_export(st->store, p.id, 5000);

    memset(&r, 0, sizeof(r));
    memcpy(r.export_id, e.id, sizeof(e.id));
    r.number = 1;
    r.status = CTSEG_RUN_RUNNING;
    r.pinned.type = CTSEG_TYPE_EVENT;
    assert_int_equal(ctseg_run_create(st->store, &r, &err), CTSEG_OK);

    (void) snprintf(number, sizeof(number), "%s/0000000000000001", e.id);
    spoil(st->store, "run", number);
    (void) snprintf(text, sizeof(text), "record run/%s is damaged", number);
    sum = 0;
    assert_int_equal(ctseg_run_list(st->store, e.id, run_cb, &sum, &err),
                     CTSEG_OK);
    assert_int_equal(err.code, CTSEG_CORRUPT);
    assert_string_equal(err.text, text);
    assert_int_equal(ctseg_run_get(st->store, e.id, 1, &r, &err),
                     CTSEG_CORRUPT);

    /* the key of an active entry says all: the others stay in sight, also
       behind one whose key is no id */

    assert_int_equal(ctseg_store_put(st->store, ctseg_str("active/0"),
                                     ctseg_str("x"), 0, st_soon(), NULL),
                     CTSEG_OK);
    spoil(st->store, "active", e.id);
    text[0] = '\0';
    assert_int_equal(ctseg_active_list(st->store, active_cb, text, NULL,
                                       &err), CTSEG_OK);
    assert_non_null(strstr(text, e.id));
    assert_int_not_equal(err.code, CTSEG_CORRUPT);

    assert_int_equal(ctseg_active_remove(st->store, e.id, &err), CTSEG_OK);

    spoil(st->store, "export", e.id);
    (void) snprintf(text, sizeof(text), "record export/%s is damaged", e.id);
    assert_int_equal(ctseg_export_get(st->store, ctseg_str(e.id), &e, &err),
                     CTSEG_CORRUPT);
    assert_string_equal(err.text, text);

    /* who uses the partner is not known, so it stays */

    assert_int_equal(ctseg_partner_delete(st->store, ctseg_str(p.id), 6000,
                                          &err), CTSEG_CORRUPT);
    assert_string_equal(err.text, text);
    assert_int_equal(ctseg_partner_get(st->store, ctseg_str(p.id), &p, &err),
                     CTSEG_OK);
    assert_false(p.deleting);

    spoil(st->store, "partner", p.id);
    (void) snprintf(text, sizeof(text), "record partner/%s is damaged",
                    p.id);
    (void) create_partner(st->store, "q", 7000);
    n = 0;
    assert_int_equal(ctseg_partner_list(st->store, count_cb, &n, &err),
                     CTSEG_OK);
    assert_int_equal(n, 1);             /* the other one */
    assert_int_equal(err.code, CTSEG_CORRUPT);
    assert_int_equal(err.offset, 1);
    assert_string_equal(err.text, text);

    st_free(st);
}


/* enums out of range under a right checksum */

static void
test_range(void **state)
{
    st_t             *st;
    ctseg_err_t       err;
    ctseg_export_t    e, good;
    ctseg_partner_t   p, old;

    (void) state;
    st = make();
    p = create_partner(st->store, "p", 5000);
    good = create_export(st->store, p.id, 5000);

    e = good;
    e.status = 9;
    assert_int_equal(ctseg_export_put(st->store, &e, &err), CTSEG_OK);
    assert_int_equal(ctseg_export_get(st->store, ctseg_str(e.id), &good,
                                      &err), CTSEG_CORRUPT);
    e.status = CTSEG_DONE;
    e.priority[1] = CTSEG_ID_N;
    assert_int_equal(ctseg_export_put(st->store, &e, &err), CTSEG_OK);
    assert_int_equal(ctseg_export_get(st->store, ctseg_str(e.id), &good,
                                      &err), CTSEG_CORRUPT);
    e.priority[1] = 0;
    e.mapping.future = CTSEG_FUTURE_REJECT + 1;
    assert_int_equal(ctseg_export_put(st->store, &e, &err), CTSEG_OK);
    assert_int_equal(ctseg_export_get(st->store, ctseg_str(e.id), &good,
                                      &err), CTSEG_CORRUPT);
    e.mapping.future = CTSEG_FUTURE_KEEP;
    assert_int_equal(ctseg_export_put(st->store, &e, &err), CTSEG_OK);
    assert_int_equal(ctseg_export_get(st->store, ctseg_str(e.id), &good,
                                      &err), CTSEG_OK);

    old = p;
    p.anonymous_id.field = -1;
    assert_int_equal(ctseg_partner_update(st->store, &p, &old, 1, &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_partner_get(st->store, ctseg_str(p.id), &old,
                                       &err), CTSEG_CORRUPT);

    st_free(st);
}


/* a whole record with another's name, or a cursor that cannot be */

static void
test_run_misfit(void **state)
{
    st_t         *st;
    char          key[2][CTSEG_KEY_MAX];
    unsigned      i;
    ctseg_buf_t   buf;
    ctseg_err_t   err;
    ctseg_run_t   r, back;

    static const struct {
        uint64_t  lo, cursor, hi;
    } wrong[] = {
        { 10, 9, 20 },
        { 10, 21, 20 },
        { 21, 21, 20 }
    };

    (void) state;
    st = make();
    memset(&r, 0, sizeof(r));
    memset(&buf, 0, sizeof(buf));

    ctseg_id_new(r.export_id, 5000);
    r.number = 1;
    r.status = CTSEG_RUN_RUNNING;
    r.pinned.type = CTSEG_TYPE_EVENT;
    r.freq = CTSEG_FREQ_LIVE;
    assert_int_equal(ctseg_run_put(st->store, &r, &err), CTSEG_INVALID);
    assert_int_equal(ctseg_run_create(st->store, &r, &err), CTSEG_OK);

    for (i = 0; i < 2; i++) {
        (void) snprintf(key[i], sizeof(key[i]), "run/%s/000000000000000%u",
                        r.export_id, i + 1);
    }

    assert_int_equal(ctseg_store_get(st->store, ctseg_str(key[0]), st_soon(),
                                     &buf, NULL), CTSEG_OK);
    assert_int_equal(ctseg_store_put(st->store, ctseg_str(key[1]),
                                     ctseg_buf_slice(&buf), 0, st_soon(),
                                     NULL), CTSEG_OK);
    assert_int_equal(ctseg_run_get(st->store, r.export_id, 2, &back, &err),
                     CTSEG_CORRUPT);
    assert_int_equal(ctseg_run_get(st->store, r.export_id, 1, &back, &err),
                     CTSEG_OK);
    ctseg_buf_free(&buf);

    for (i = 0; i < 3; i++) {
        r.lo = wrong[i].lo;
        r.cursor = wrong[i].cursor;
        r.hi = wrong[i].hi;
        assert_int_equal(ctseg_run_put(st->store, &r, &err), CTSEG_OK);
        assert_int_equal(ctseg_run_get(st->store, r.export_id, 1, &back,
                                       &err), CTSEG_CORRUPT);
    }

    st_free(st);
}


static bool
rejected_cb(void *data, const ctseg_rejected_t *r)
{
    (*(unsigned *) data)++;
    assert_int_equal(r->status, 400);

    return true;
}


/* met again by a run that crashed behind it: one record, the first one */

static void
test_rejected_again(void **state)
{
    st_t              *st;
    unsigned           n;
    ctseg_err_t        err;
    ctseg_rejected_t   r;

    (void) state;
    st = make();
    memset(&r, 0, sizeof(r));

    ctseg_id_new(r.export_id, 5000);
    r.run = 1;
    r.sequence = 7;
    r.reason = CTSEG_REJECT_REFUSED;
    r.status = 400;
    r.answer = ctseg_str("no");
    r.message = ctseg_str("{}");

    assert_int_equal(ctseg_rejected_put(st->store, &r, &err), CTSEG_OK);
    r.status = 413;
    assert_int_equal(ctseg_rejected_put(st->store, &r, &err), CTSEG_OK);

    n = 0;
    assert_int_equal(ctseg_rejected_list(st->store, r.export_id, rejected_cb,
                                         &n, &err), CTSEG_OK);
    assert_int_equal(n, 1);

    st_free(st);
}


static void
test_throttle(void **state)
{
    st_t         *st;
    int64_t       wait;
    ctseg_err_t   err;

    static const char  key[] = "0123456789abcdef";

    (void) state;
    st = make();

    assert_int_equal(ctseg_throttle_get(st->store, key, 1000, &wait, &err),
                     CTSEG_OK);
    assert_int_equal(wait, 0);

    assert_int_equal(ctseg_throttle_put(st->store, key, 1000, 200, &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_throttle_put(st->store, key, 1050, 50, &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_throttle_get(st->store, key, 1000, &wait, &err),
                     CTSEG_OK);
    assert_int_equal(wait, 200);
    assert_int_equal(ctseg_throttle_get(st->store, key, 1200, &wait, &err),
                     CTSEG_OK);
    assert_int_equal(wait, 0);
    assert_int_equal(ctseg_throttle_get(st->store, "fedcba9876543210", 1000,
                                        &wait, &err), CTSEG_OK);
    assert_int_equal(wait, 0);

    /* a clock that went back tells nothing, and what is asked then counts */

    assert_int_equal(ctseg_throttle_get(st->store, key, 5, &wait, &err),
                     CTSEG_OK);
    assert_int_equal(wait, 0);
    assert_int_equal(ctseg_throttle_put(st->store, key, 5, 100, &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_throttle_get(st->store, key, 10, &wait, &err),
                     CTSEG_OK);
    assert_int_equal(wait, 95);

    spoil(st->store, "throttle", key);
    assert_int_equal(ctseg_throttle_get(st->store, key, 1000, &wait, &err),
                     CTSEG_CORRUPT);
    assert_int_equal(wait, 0);

    /* nothing else would ever heal it, and its run could not end */

    assert_int_equal(ctseg_throttle_put(st->store, key, 1000, 200, &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_throttle_get(st->store, key, 1000, &wait, &err),
                     CTSEG_OK);
    assert_int_equal(wait, 200);
    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_export_crash),
        cmocka_unit_test(test_race),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_run_misfit),
        cmocka_unit_test(test_rejected_again),
        cmocka_unit_test(test_throttle)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
