/*
 * Ids, partners and the claims of their nicknames.  A crash between two puts
 * is made by taking the later ones back by hand.
 */

#include "state_test.h"


static void
test_ids(void **state)
{
    char  a[CTSEG_ID_TEXT_MAX], b[CTSEG_ID_TEXT_MAX];

    (void) state;

    ctseg_id_new(a, 0x18f00aa);
    assert_int_equal(strlen(a), 20);
    assert_memory_equal(a, "0000018f00aa", 12);
    assert_true(ctseg_id_is_valid(ctseg_str(a)));
    ctseg_id_new(b, 0x18f00aa);
    assert_string_not_equal(a, b);
    ctseg_id_new(b, 0x18f00ab);
    assert_true(strcmp(a, b) < 0);

    assert_true(ctseg_id_is_valid(ctseg_str("0123456789abcdef0123")));
    assert_false(ctseg_id_is_valid(ctseg_str("0123456789abcdef012")));
    assert_false(ctseg_id_is_valid(ctseg_str("0123456789abcdef01234")));
    assert_false(ctseg_id_is_valid(ctseg_str("0123456789ABCDEF0123")));
    assert_false(ctseg_id_is_valid(ctseg_str("../456789abcdef01234")));
    assert_false(ctseg_id_is_valid(ctseg_str("")));
}


static void
test_partner(void **state)
{
    st_t             *st;
    ctseg_err_t       err;
    ctseg_partner_t   p, back, old;

    (void) state;
    st = make();

    p = create_partner(st->store, "M\xc3\xbcnchen (prod)", 5000);
    assert_true(p.revision == 1 && p.created_ms == 5000
                && p.updated_ms == 5000 && p.rev != 0);

    assert_int_equal(ctseg_partner_get(st->store, ctseg_str(p.id), &back,
                                       &err), CTSEG_OK);
    assert_memory_equal(&back, &p, sizeof(p));

    assert_int_equal(ctseg_partner_get(st->store,
                                       ctseg_str("00000000000000000000"),
                                       &back, &err), CTSEG_NOTFOUND);
    assert_int_equal(ctseg_partner_get(st->store, ctseg_str("no id/../x"),
                                       &back, &err), CTSEG_NOTFOUND);

    /* an update, and one that comes too late */

    old = p;
    p.region = CTSEG_REGION_US;
    p.user_id.field = CTSEG_ID_EMAIL;
    p.user_id.property[0] = '\0';
    assert_int_equal(ctseg_partner_update(st->store, &p, &old, 6000, &err),
                     CTSEG_OK);
    assert_true(p.revision == 2 && p.updated_ms == 6000
                && p.created_ms == 5000 && p.rev > old.rev);
    assert_int_equal(ctseg_partner_get(st->store, ctseg_str(p.id), &back,
                                       &err), CTSEG_OK);
    assert_int_equal(back.region, CTSEG_REGION_US);
    assert_int_equal(back.user_id.field, CTSEG_ID_EMAIL);
    assert_true(back.rev == p.rev);

    back = old;
    assert_int_equal(ctseg_partner_update(st->store, &back, &old, 7000,
                                          &err), CTSEG_AGAIN);

    assert_int_equal(ctseg_partner_delete(st->store, ctseg_str(p.id), 8000,
                                          &err), CTSEG_OK);
    assert_int_equal(ctseg_partner_get(st->store, ctseg_str(p.id), &back,
                                       &err), CTSEG_NOTFOUND);
    assert_int_equal(ctseg_partner_delete(st->store, ctseg_str(p.id), 8000,
                                          &err), CTSEG_NOTFOUND);
    assert_int_equal(count(st->store, ""), 0);

    st_free(st);
}


static void
test_nickname(void **state)
{
    st_t             *st;
    ctseg_err_t       err;
    ctseg_partner_t   a, b, old;

    (void) state;
    st = make();

    a = create_partner(st->store, "one", 5000);
    b = create_partner(st->store, "two", 5001);

    fill_partner(&old, "one");
    assert_int_equal(ctseg_partner_create(st->store, &old, 5000 + 9 * MINUTE,
                                          &err), CTSEG_CONFLICT);
    assert_string_equal(err.text, "nickname");

    old = b;
    (void) snprintf(b.nickname, sizeof(b.nickname), "one");
    assert_int_equal(ctseg_partner_update(st->store, &b, &old, 9 * MINUTE,
                                          &err), CTSEG_CONFLICT);
    assert_string_equal(err.text, "nickname");
    b = old;

    /* the old name is free at once, the new one is not */

    (void) snprintf(b.nickname, sizeof(b.nickname), "three");
    assert_int_equal(ctseg_partner_update(st->store, &b, &old, 6000, &err),
                     CTSEG_OK);
    assert_int_equal(count(st->store, "nickname/"), 2);
    (void) create_partner(st->store, "two", 6001);
    fill_partner(&old, "three");
    assert_int_equal(ctseg_partner_create(st->store, &old, 6001, &err),
                     CTSEG_CONFLICT);

    /* a change that lost releases what it claimed */

    old = a;
    old.rev--;
    (void) snprintf(a.nickname, sizeof(a.nickname), "four");
    assert_int_equal(ctseg_partner_update(st->store, &a, &old, 6002, &err),
                     CTSEG_AGAIN);
    (void) create_partner(st->store, "four", 6003);

    /* a delete frees the name */

    assert_int_equal(ctseg_partner_delete(st->store, ctseg_str(b.id), 6004,
                                          &err), CTSEG_OK);
    (void) create_partner(st->store, "three", 6005);

    st_free(st);
}


/* a claim that belongs to another text but has the same key */

static void
test_collision(void **state)
{
    st_t             *st;
    char              key[64];
    unsigned          i;
    ctseg_err_t       err;
    ctseg_buf_t       b = { NULL, 0, 0, false };
    ctseg_partner_t   p, q;

    (void) state;
    st = make();
    q = create_partner(st->store, "someone else", 5000);

    for (i = 0; i < 3; i++) {
        ctseg_record_begin(&b, CTSEG_RECORD_NICKNAME);
        ctseg_record_cstr(&b, 1, q.id);
        ctseg_record_cstr(&b, 2, "someone else");
        ctseg_record_int(&b, 3, 5000);
        ctseg_record_end(&b);
        (void) snprintf(key, sizeof(key), i == 0 ? "nickname/%016llx"
                        : "nickname/%016llx-%u",
                        (unsigned long long) ctseg_hash64(ctseg_str("name")),
                        i);
        assert_int_equal(ctseg_store_put(st->store, ctseg_str(key),
                                         ctseg_buf_slice(&b), 0, st_soon(),
                                         NULL), CTSEG_OK);

        /* the next probe is taken, and found again */

        p = create_partner(st->store, "name", 5000);
        fill_partner(&q, "name");
        assert_int_equal(ctseg_partner_create(st->store, &q, 5000, &err),
                         CTSEG_CONFLICT);
        assert_int_equal(ctseg_partner_delete(st->store, ctseg_str(p.id),
                                              5000, &err), CTSEG_OK);
        fill_partner(&q, "someone else");
    }

    ctseg_buf_free(&b);
    st_free(st);
}


/* a claim may say any time: how old it is does not overflow */

static void
test_claim_time(void **state)
{
    st_t             *st;
    char              key[64];
    size_t            i;
    ctseg_rc_t        rc;
    ctseg_buf_t       b = { NULL, 0, 0, false };
    ctseg_partner_t   p;

    static const int64_t  times[] = { INT64_MIN, INT64_MAX };

    (void) state;

    for (i = 0; i < 2; i++) {
        st = make();
        ctseg_record_begin(&b, CTSEG_RECORD_NICKNAME);
        ctseg_record_cstr(&b, 1, "0123456789abcdef0123");
        ctseg_record_cstr(&b, 2, "name");
        ctseg_record_int(&b, 3, times[i]);
        ctseg_record_end(&b);
        (void) snprintf(key, sizeof(key), "nickname/%016llx",
                        (unsigned long long) ctseg_hash64(ctseg_str("name")));
        assert_int_equal(ctseg_store_put(st->store, ctseg_str(key),
                                         ctseg_buf_slice(&b), 0, st_soon(),
                                         NULL), CTSEG_OK);

        fill_partner(&p, "name");
        rc = ctseg_partner_create(st->store, &p, 5000, NULL);
        assert_int_equal(rc, i == 0 ? CTSEG_OK : CTSEG_CONFLICT);
        st_free(st);
    }

    ctseg_buf_free(&b);
}


static void
test_partner_crash(void **state)
{
    st_t             *st;
    ctseg_err_t       err;
    ctseg_partner_t   p, q, old;

    (void) state;
    st = make();

    /* create broke off after the claim: taken for a minute, then free */

    p = create_partner(st->store, "a", 5000);
    drop(st->store, "partner", p.id);
    fill_partner(&q, "a");
    assert_int_equal(ctseg_partner_create(st->store, &q, 5000 + MINUTE - 1,
                                          &err), CTSEG_CONFLICT);
    q = create_partner(st->store, "a", 5000 + MINUTE);
    assert_int_equal(count(st->store, "nickname/"), 1);

    /* the one who lost it does not get it back */

    fill_partner(&p, "a");
    assert_int_equal(ctseg_partner_create(st->store, &p, 5000 + 5 * MINUTE,
                                          &err), CTSEG_CONFLICT);

    /* update broke off after the new claim: the partner bears another name */

    p = create_partner(st->store, "b", 5000);
    old = p;
    (void) snprintf(p.nickname, sizeof(p.nickname), "c");
    assert_int_equal(ctseg_partner_update(st->store, &p, &old, 5000, &err),
                     CTSEG_OK);
    old = p;
    (void) snprintf(p.nickname, sizeof(p.nickname), "b");
    assert_int_equal(ctseg_partner_update(st->store, &p, &old, 5000, &err),
                     CTSEG_OK);
    assert_int_equal(count(st->store, "nickname/"), 2);

    /* put back the claim of "c" that was released */

    q = create_partner(st->store, "c", 5000);
    drop(st->store, "partner", q.id);
    fill_partner(&q, "c");
    assert_int_equal(ctseg_partner_create(st->store, &q, 6000, &err),
                     CTSEG_CONFLICT);
    old = p;
    (void) snprintf(p.nickname, sizeof(p.nickname), "c");
    assert_int_equal(ctseg_partner_update(st->store, &p, &old, 5000 + MINUTE,
                                          &err), CTSEG_OK);
    assert_int_equal(count(st->store, "nickname/"), 2);

    st_free(st);
}


static void
test_delete(void **state)
{
    st_t             *st;
    uint64_t          revision;
    ctseg_err_t       err;
    ctseg_export_t    e, other;
    ctseg_partner_t   p, q, old;

    (void) state;
    st = make();

    p = create_partner(st->store, "a", 5000);
    q = create_partner(st->store, "q", 5000);
    other = create_export(st->store, q.id, 5000);
    e = create_export(st->store, p.id, 5000);

    assert_int_equal(ctseg_partner_delete(st->store, ctseg_str(p.id), 6000,
                                          &err), CTSEG_CONFLICT);
    assert_string_equal(err.text, e.id);

    /* as if nothing had been asked */

    revision = p.revision;
    assert_int_equal(ctseg_partner_get(st->store, ctseg_str(p.id), &p, &err),
                     CTSEG_OK);
    assert_false(p.deleting);
    assert_true(p.revision == revision);

    /* left in the middle of a delete: seen, not usable, deletable */

    old = p;
    old.deleting = true;
    assert_int_equal(ctseg_partner_update(st->store, &p, &old, 6000, &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_partner_get(st->store, ctseg_str(p.id), &p, &err),
                     CTSEG_OK);
    assert_true(p.deleting);
    other = e;
    assert_int_equal(ctseg_export_create(st->store, &other, 6000, &err),
                     CTSEG_NOTFOUND);
    assert_int_equal(ctseg_partner_delete(st->store, ctseg_str(p.id), 6000,
                                          &err), CTSEG_CONFLICT);

    assert_int_equal(ctseg_export_stop(st->store, ctseg_str(e.id),
                                       CTSEG_STOP_USER, &e, &err), CTSEG_OK);

    old = p;
    assert_int_equal(ctseg_partner_get(st->store, ctseg_str(p.id), &old,
                                       &err), CTSEG_OK);
    old.deleting = true;
    p = old;
    assert_int_equal(ctseg_partner_update(st->store, &p, &old, 6000, &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_partner_delete(st->store, ctseg_str(p.id), 6000,
                                          &err), CTSEG_OK);
    assert_int_equal(count(st->store, "nickname/"), 1);

    /* the export stays for the record, a new one is refused */

    assert_int_equal(ctseg_export_get(st->store, ctseg_str(e.id), &e, &err),
                     CTSEG_OK);
    assert_int_equal(ctseg_export_create(st->store, &e, 6000, &err),
                     CTSEG_NOTFOUND);

    st_free(st);
}


static bool
count_cb(void *data, const ctseg_partner_t *p)
{
    (void) p;
    (*(unsigned *) data)++;

    return true;
}


/* more than one page, and each partner once */

static void
test_pages(void **state)
{
    st_t      *st;
    char       name[32];
    unsigned   i, n;

    (void) state;
    st = make();

    for (i = 0; i < 256; i++) {
        (void) snprintf(name, sizeof(name), "partner %u", i);
        (void) create_partner(st->store, name, 5000 + i);
    }

    n = 0;
    assert_int_equal(ctseg_partner_list(st->store, count_cb, &n, NULL),
                     CTSEG_OK);
    assert_int_equal(n, 256);

    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_partner),
        cmocka_unit_test(test_nickname),
        cmocka_unit_test(test_collision),
        cmocka_unit_test(test_claim_time),
        cmocka_unit_test(test_partner_crash),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_pages)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
