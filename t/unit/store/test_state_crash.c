/*
 * Every change that takes several puts, broken off after each of them, and
 * met by another change between each two.  A driver in front of the driver
 * counts the puts: it can fail from one on, as a process that died does, run
 * something in the middle, or answer that it does not know.
 */

#include "state_test.h"

#include "../../../src/store/ctseg_store_int.h"


typedef struct wrap_s  wrap_t;

struct wrap_s {
    ctseg_store_t          store;
    ctseg_store_driver_t   driver;
    ctseg_store_t         *inner;
    unsigned               n;           /* puts so far */
    unsigned               die;         /* at this one, 0: never */
    unsigned               meet;        /* after this one */
    void                 (*hook)(wrap_t *w);
    unsigned               lost;        /* this one: AMBIGUOUS, applied */
    unsigned               unsent;      /* this one: AMBIGUOUS, not applied */

    ctseg_partner_t        partner;
    ctseg_rc_t             rc;          /* of the hook */
};


static ctseg_rc_t
wrap_put(ctseg_store_t *s, ctseg_str_t key, ctseg_str_t value,
    uint64_t expect, int64_t deadline, uint64_t *rev)
{
    wrap_t      *w;
    ctseg_rc_t   rc;

    w = (wrap_t *) s;
    w->n++;

    if (w->die != 0 && w->n >= w->die) {
        return CTSEG_FATAL;
    }

    if (w->n == w->unsent) {
        return CTSEG_AMBIGUOUS;
    }

    rc = ctseg_store_put(w->inner, key, value, expect, deadline, rev);

    if (w->n == w->meet) {
        w->hook(w);
    }

    return w->n == w->lost ? CTSEG_AMBIGUOUS : rc;
}


static ctseg_rc_t
wrap_get(ctseg_store_t *s, ctseg_str_t key, int64_t deadline,
    ctseg_buf_t *out, uint64_t *rev)
{
    return ctseg_store_get(((wrap_t *) s)->inner, key, deadline, out, rev);
}


static ctseg_rc_t
wrap_list(ctseg_store_t *s, ctseg_str_t prefix, ctseg_str_t after_key,
    unsigned limit, ctseg_list_pt cb, void *data, int64_t deadline,
    uint64_t *at_rev)
{
    return ctseg_store_list(((wrap_t *) s)->inner, prefix, after_key, limit,
                            cb, data, deadline, at_rev);
}


static wrap_t *
wrap(st_t *st)
{
    static wrap_t  w;

    memset(&w, 0, sizeof(wrap_t));
    w.store.driver = &w.driver;
    w.driver.put = wrap_put;
    w.driver.get = wrap_get;
    w.driver.list = wrap_list;
    w.inner = st->store;

    return &w;
}


static bool
name_cb(void *data, const ctseg_partner_t *p)
{
    char  *text;

    text = data;
    (void) snprintf(text + strlen(text), 200 - strlen(text), "%s ",
                    p->nickname);

    return true;
}


/* nicknames of all partners there are */

static const char *
names(ctseg_store_t *s)
{
    static char  text[200];

    text[0] = '\0';
    assert_int_equal(ctseg_partner_list(s, name_cb, text, NULL), CTSEG_OK);

    return text;
}


/* after the crash at put "die", a minute later, both names can be had */

static void
test_create(void **state)
{
    st_t             *st;
    wrap_t           *w;
    unsigned          die;
    ctseg_rc_t        rc;
    ctseg_partner_t   p;

    (void) state;

    for (die = 1; die <= 3; die++) {
        st = make();
        w = wrap(st);
        w->die = die;
        fill_partner(&p, "a");
        rc = ctseg_partner_create(&w->store, &p, 5000, NULL);
        assert_int_equal(rc, die == 3 ? CTSEG_OK : CTSEG_FATAL);
        assert_string_equal(names(st->store), die == 3 ? "a " : "");

        fill_partner(&p, "a");
        assert_int_equal(ctseg_partner_create(st->store, &p, 5000 + MINUTE,
                                              NULL),
                         die == 3 ? CTSEG_CONFLICT : CTSEG_OK);
        assert_string_equal(names(st->store), "a ");
        assert_int_equal(count(st->store, "nickname/"), 1);
        st_free(st);
    }
}


static void
test_update(void **state)
{
    st_t             *st;
    wrap_t           *w;
    unsigned          die;
    ctseg_rc_t        rc;
    ctseg_partner_t   p, old;

    (void) state;

    for (die = 1; die <= 4; die++) {
        st = make();
        old = create_partner(st->store, "a", 5000);
        p = old;
        (void) snprintf(p.nickname, sizeof(p.nickname), "b");

        w = wrap(st);
        w->die = die;
        rc = ctseg_partner_update(&w->store, &p, &old, 5000, NULL);
        assert_int_equal(rc, die >= 3 ? CTSEG_OK : CTSEG_FATAL);

        /* one name or the other; the other one is free in a minute */

        assert_string_equal(names(st->store), die >= 3 ? "b " : "a ");
        fill_partner(&p, die >= 3 ? "b" : "a");
        assert_int_equal(ctseg_partner_create(st->store, &p, 5000 + MINUTE,
                                              NULL), CTSEG_CONFLICT);
        fill_partner(&p, die >= 3 ? "a" : "b");
        assert_int_equal(ctseg_partner_create(st->store, &p, 5000 + MINUTE,
                                              NULL), CTSEG_OK);
        st_free(st);
    }
}


static void
test_delete(void **state)
{
    st_t             *st;
    wrap_t           *w;
    unsigned          die;
    ctseg_rc_t        rc;
    ctseg_partner_t   p, back;

    (void) state;

    for (die = 1; die <= 4; die++) {
        st = make();
        p = create_partner(st->store, "a", 5000);
        w = wrap(st);
        w->die = die;
        rc = ctseg_partner_delete(&w->store, ctseg_str(p.id), 6000, NULL);
        assert_int_equal(rc, die >= 3 ? CTSEG_OK : CTSEG_FATAL);
        assert_string_equal(names(st->store), die >= 3 ? "" : "a ");

        if (die < 3) {
            assert_int_equal(ctseg_partner_get(st->store, ctseg_str(p.id),
                                               &back, NULL), CTSEG_OK);
            assert_int_equal(back.deleting, die == 2);
            assert_int_equal(ctseg_partner_delete(st->store, ctseg_str(p.id),
                                                  6000, NULL), CTSEG_OK);
        }

        (void) create_partner(st->store, "a", 5000 + MINUTE);
        assert_int_equal(count(st->store, ""), 2);
        st_free(st);
    }
}


static bool
any_cb(void *data, const char *export_id)
{
    (void) export_id;
    (*(unsigned *) data)++;

    return true;
}


static ctseg_rc_t
try_export(ctseg_store_t *s, const char *partner_id)
{
    ctseg_export_t  e;

    memset(&e, 0, sizeof(e));
    memcpy(e.partner_id, partner_id, sizeof(e.partner_id));
    e.type = CTSEG_TYPE_EVENT;
    e.freq = CTSEG_FREQ_LIVE;
    e.status = CTSEG_RUNNING;

    /* made long ago, so that what is left of it is old */

    return ctseg_export_create(s, &e, 5000, NULL);
}


/* an export that is there is always found by who looks at the active */

static void
test_export(void **state)
{
    st_t             *st;
    wrap_t           *w;
    unsigned          die, n;
    ctseg_rc_t        rc;
    ctseg_partner_t   p;

    (void) state;

    for (die = 1; die <= 3; die++) {
        st = make();
        p = create_partner(st->store, "a", 5000);
        w = wrap(st);
        w->die = die;
        rc = try_export(&w->store, p.id);
        assert_int_equal(rc, die == 3 ? CTSEG_OK : CTSEG_FATAL);

        n = 0;
        assert_int_equal(ctseg_active_list(st->store, any_cb, &n, NULL,
                                           NULL), CTSEG_OK);
        assert_int_equal(n, die == 3);
        assert_int_equal(count(st->store, "active/"), die == 3);
        assert_int_equal(count(st->store, "export/"), die == 3);
        st_free(st);
    }
}


static void
delete_hook(wrap_t *w)
{
    w->rc = ctseg_partner_delete(w->inner, ctseg_str(w->partner.id), 5000,
                                 NULL);
}


/* a PATCH that read the partner as it stands now */

static void
update_hook(wrap_t *w)
{
    ctseg_partner_t  p, old;

    assert_int_equal(ctseg_partner_get(w->inner, ctseg_str(w->partner.id),
                                       &old, NULL), CTSEG_OK);
    p = old;
    p.region = CTSEG_REGION_EU;
    w->rc = ctseg_partner_update(w->inner, &p, &old, 6000, NULL);
}


/*
 * A delete that is refused takes its mark back, also from a record that an
 * update has written in between: or no export could be created any more.
 */

static void
test_refused(void **state)
{
    st_t             *st;
    wrap_t           *w;
    ctseg_partner_t   p;

    (void) state;

    st = make();
    w = wrap(st);
    w->partner = create_partner(st->store, "a", 5000);
    assert_int_equal(try_export(st->store, w->partner.id), CTSEG_OK);

    w->meet = 1;
    w->hook = update_hook;
    assert_int_equal(ctseg_partner_delete(&w->store,
                                          ctseg_str(w->partner.id), 7000,
                                          NULL), CTSEG_CONFLICT);
    assert_int_equal(w->rc, CTSEG_OK);

    assert_int_equal(ctseg_partner_get(st->store, ctseg_str(w->partner.id),
                                       &p, NULL), CTSEG_OK);
    assert_false(p.deleting);
    assert_int_equal(p.region, CTSEG_REGION_EU);
    assert_int_equal(try_export(st->store, p.id), CTSEG_OK);
    st_free(st);
}


/* two equal renames: the one that comes too late leaves the claim alone */

static void
test_same_rename(void **state)
{
    st_t             *st;
    ctseg_err_t       err;
    ctseg_partner_t   a, b, old, other;

    (void) state;

    st = make();
    old = create_partner(st->store, "a", 5000);
    assert_int_equal(ctseg_partner_get(st->store, ctseg_str(old.id), &old,
                                       NULL), CTSEG_OK);
    a = old;
    b = old;
    (void) snprintf(a.nickname, sizeof(a.nickname), "new");
    (void) snprintf(b.nickname, sizeof(b.nickname), "new");

    assert_int_equal(ctseg_partner_update(st->store, &a, &old, 6000, &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_partner_update(st->store, &b, &old, 6000, &err),
                     CTSEG_AGAIN);

    other = old;
    (void) snprintf(other.nickname, sizeof(other.nickname), "new");
    assert_int_equal(ctseg_partner_create(st->store, &other, 100000000,
                                          &err), CTSEG_CONFLICT);
    st_free(st);
}


static void
export_hook(wrap_t *w)
{
    w->rc = try_export(w->inner, w->partner.id);
}


/*
 * A delete between any two steps of a create, a create between any two of a
 * delete: at least one gives way, and nothing is left of it.
 */

static void
test_meet(void **state)
{
    st_t        *st;
    wrap_t      *w;
    unsigned     meet;
    ctseg_rc_t   rc;

    (void) state;

    for (meet = 1; meet <= 2; meet++) {
        st = make();
        w = wrap(st);
        w->partner = create_partner(st->store, "a", 5000);
        w->meet = meet;
        w->hook = delete_hook;
        rc = try_export(&w->store, w->partner.id);

        if (meet == 1) {

            /* before the export is there: the delete does not see it */

            assert_int_equal(w->rc, CTSEG_OK);
            assert_int_equal(rc, CTSEG_NOTFOUND);
            assert_int_equal(count(st->store, ""), 0);

        } else {
            assert_int_equal(w->rc, CTSEG_CONFLICT);
            assert_int_equal(rc, CTSEG_OK);
            assert_string_equal(names(st->store), "a ");
        }

        st_free(st);
    }

    for (meet = 1; meet <= 3; meet++) {
        st = make();
        w = wrap(st);
        w->partner = create_partner(st->store, "a", 5000);
        w->meet = meet;
        w->hook = export_hook;
        rc = ctseg_partner_delete(&w->store, ctseg_str(w->partner.id), 5000,
                                  NULL);
        assert_int_equal(w->rc, CTSEG_NOTFOUND);
        assert_int_equal(rc, CTSEG_OK);
        assert_int_equal(count(st->store, ""), 0);
        st_free(st);
    }
}


/* two deletes: the second takes over, the first notices */

static void
test_two_deletes(void **state)
{
    st_t        *st;
    wrap_t      *w;
    unsigned     meet;
    ctseg_rc_t   rc;

    (void) state;

    for (meet = 1; meet <= 2; meet++) {
        st = make();
        w = wrap(st);
        w->partner = create_partner(st->store, "a", 5000);
        w->meet = meet;
        w->hook = delete_hook;
        rc = ctseg_partner_delete(&w->store, ctseg_str(w->partner.id), 5000,
                                  NULL);
        assert_int_equal(w->rc, meet == 1 ? CTSEG_OK : CTSEG_NOTFOUND);
        assert_int_equal(rc, meet == 1 ? CTSEG_NOTFOUND : CTSEG_OK);
        assert_int_equal(count(st->store, ""), 0);
        st_free(st);
    }
}


/* an answer that was lost is looked up, not passed on */

static void
test_ambiguous(void **state)
{
    st_t             *st;
    wrap_t           *w;
    unsigned          n;
    ctseg_export_t    e;
    ctseg_partner_t   p, back;

    (void) state;

    for (n = 1; n <= 2; n++) {
        st = make();
        w = wrap(st);
        w->lost = n;
        fill_partner(&p, "a");
        assert_int_equal(ctseg_partner_create(&w->store, &p, 5000, NULL),
                         CTSEG_OK);
        assert_int_equal(ctseg_partner_get(st->store, ctseg_str(p.id), &back,
                                           NULL), CTSEG_OK);
        assert_true(back.rev == p.rev);

        w->lost = 4;
        assert_int_equal(ctseg_partner_delete(&w->store, ctseg_str(p.id),
                                              5000, NULL), CTSEG_OK);
        assert_int_equal(count(st->store, ""), 0);
        st_free(st);
    }

    /* not applied: certainly so */

    st = make();
    w = wrap(st);
    p = create_partner(&w->store, "a", 5000);
    e = create_export(&w->store, p.id, 5000);
    w->unsent = w->n + 1;
    assert_int_equal(ctseg_export_put(&w->store, &e, NULL), CTSEG_RETRY);
    assert_int_equal(ctseg_export_put(&w->store, &e, NULL), CTSEG_OK);
    w->unsent = w->n + 1;
    e.rev--;
    assert_int_equal(ctseg_export_put(&w->store, &e, NULL), CTSEG_OK);
    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_update),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_same_rename),
        cmocka_unit_test(test_meet),
        cmocka_unit_test(test_two_deletes),
        cmocka_unit_test(test_ambiguous)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
