/*
 * Events that were rejected: those with a record of their own, and those
 * that share records.  The list is by sequence and shows each once, in
 * whatever pieces a stretch of the log was read; nothing of it depends on
 * where a record happens to end.  When the store is half full none is taken,
 * and everything else is.
 */

#include "state_test.h"

#include "base/ctseg_str.h"


#define EXPORT  "01a208beb93c2c3ace8a"
#define OTHER   "01a208beb93c2c3ace8b"
#define MANY    4000


/* the events of a stretch, every step-th, with so much text */

typedef struct {
    uint64_t  from;
    uint64_t  to;
    unsigned  step;
    size_t    len;
} stretch_t;


static char  text[50000];


static bool
next(void *data, unsigned i, ctseg_rejected_t *r)
{
    stretch_t  *st;

    st = data;

    if (st->from + (uint64_t) i * st->step > st->to) {
        return false;
    }

    r->sequence = st->from + (uint64_t) i * st->step;
    r->reason = r->sequence % 2 ? CTSEG_REJECT_NO_ID : CTSEG_REJECT_NO_NAME;
    r->message.data = text;
    r->message.len = (size_t) (st->len + r->sequence % 7);

    return true;
}


static ctseg_rc_t
put_all(ctseg_store_t *s, uint64_t from, uint64_t to, unsigned step,
    size_t len)
{
    stretch_t         st = { from, to, step, len };
    ctseg_err_t       err;
    ctseg_rejected_t  of;

    memset(&of, 0, sizeof(of));
    memcpy(of.export_id, EXPORT, sizeof(EXPORT));
    of.run = 3;
    of.at_ms = 77;

    return ctseg_rejected_put_all(s, &of, next, &st, &err);
}


static void
put_one(ctseg_store_t *s, uint64_t sequence)
{
    ctseg_rejected_t  r;

    memset(&r, 0, sizeof(r));
    memcpy(r.export_id, EXPORT, sizeof(EXPORT));
    r.run = 3;
    r.sequence = sequence;
    r.reason = CTSEG_REJECT_REFUSED;
    r.status = 400;
    r.answer = ctseg_str("no");
    r.message = ctseg_str("{\"sent\":1}");

    assert_int_equal(ctseg_rejected_put(s, &r, NULL), CTSEG_OK);
}


typedef struct {
    unsigned          n;
    unsigned          stop;
    ctseg_rejected_t  at[MANY];
} seen_t;


static seen_t  seen;


static bool
see(void *data, const ctseg_rejected_t *r)
{
    seen_t  *all = data;

    assert_in_range(all->n, 0, MANY - 1);

    if (r->reason == CTSEG_REJECT_REFUSED) {
        assert_int_equal(r->status, 400);
        assert_int_equal(r->last, 0);
        assert_true(ctseg_str_is(r->message, "{\"sent\":1}"));

    } else {
        assert_int_equal(r->status, 0);
        assert_int_equal(r->answer.len, 0);
        assert_int_equal(r->at_ms, 77);
        assert_in_range(r->sequence, r->first, r->last);
        assert_int_equal(r->reason, r->sequence % 2 ? CTSEG_REJECT_NO_ID
                                                    : CTSEG_REJECT_NO_NAME);
        assert_int_equal(r->message.len % 10, r->sequence % 7);
        assert_memory_equal(r->message.data, text, r->message.len);
    }

    assert_int_equal(r->run, 3);
    assert_string_equal(r->export_id, EXPORT);

    all->at[all->n++] = *r;

    return all->n != all->stop;
}


static unsigned
list(ctseg_store_t *s, unsigned stop)
{
    unsigned     i;
    ctseg_err_t  err;

    memset(&seen, 0, sizeof(seen));
    seen.stop = stop;

    assert_int_equal(ctseg_rejected_list(s, EXPORT, see, &seen, &err),
                     CTSEG_OK);
    assert_int_equal(err.code, CTSEG_OK);

    for (i = 1; i < seen.n; i++) {
        assert_true(seen.at[i].sequence > seen.at[i - 1].sequence);
    }

    return seen.n;
}


/* each of those that were listed is found again */

static void
find_all(ctseg_store_t *s)
{
    unsigned          i;
    ctseg_buf_t       buf;
    ctseg_rejected_t  r;

    memset(&buf, 0, sizeof(buf));

    for (i = 0; i < seen.n; i++) {
        r = seen.at[i];
        memset(&r.message, 0, sizeof(r.message));

        assert_int_equal(ctseg_rejected_find(s, &buf, &r, NULL), CTSEG_OK);
        assert_int_equal(r.sequence, seen.at[i].sequence);
        assert_int_equal(r.reason, seen.at[i].reason);
        assert_int_equal(r.message.len, seen.at[i].message.len);
        assert_int_equal(r.run, 3);

        /* by its sequence alone only one that was refused */

        assert_int_equal(ctseg_rejected_get(s, EXPORT, seen.at[i].sequence,
                                            &buf, &r, NULL),
                         seen.at[i].reason == CTSEG_REJECT_REFUSED
                         ? CTSEG_OK : CTSEG_NOTFOUND);
    }

    ctseg_buf_free(&buf);
}


static bool
count_cb(void *data, const ctseg_rejected_t *r)
{
    (void) r;
    (*(unsigned *) data)++;

    return true;
}


static unsigned
count_of(ctseg_store_t *s, const char *export_id)
{
    unsigned  n;

    n = 0;
    assert_int_equal(ctseg_rejected_list(s, export_id, count_cb, &n, NULL),
                     CTSEG_OK);

    return n;
}


static void
test_shared(void **state)
{
    st_t              *st;
    uint64_t           rev;
    ctseg_buf_t        buf;
    ctseg_rejected_t   r;

    (void) state;
    st = make();

    /* nothing is nothing */

    assert_int_equal(put_all(st->store, 5, 4, 1, 10), CTSEG_OK);
    assert_int_equal(list(st->store, 0), 0);

    /* many in one record, which is one commit */

    (void) ctseg_store_wait(st->store, 0, 0, &rev);
    assert_int_equal(put_all(st->store, 10, 265, 1, 200), CTSEG_OK);
    assert_int_equal(list(st->store, 0), 256);
    assert_int_equal(seen.at[0].first, 10);
    assert_int_equal(seen.at[0].last, 265);
    assert_int_equal(ctseg_store_wait(st->store, rev + 1, 0, &rev),
                     CTSEG_AGAIN);
    find_all(st->store);

    /* the same again changes nothing */

    assert_int_equal(put_all(st->store, 10, 265, 1, 200), CTSEG_OK);
    assert_int_equal(list(st->store, 0), 256);

    /* the largest, some to a record */

    assert_int_equal(put_all(st->store, 1001, 1013, 1, 40000), CTSEG_OK);
    assert_int_equal(list(st->store, 0), 256 + 13);
    find_all(st->store);

    /* one that is not there */

    memset(&buf, 0, sizeof(buf));
    r = seen.at[0];
    r.sequence = 1000;
    assert_int_equal(ctseg_rejected_find(st->store, &buf, &r, NULL),
                     CTSEG_NOTFOUND);
    r = seen.at[0];
    r.last--;
    assert_int_equal(ctseg_rejected_find(st->store, &buf, &r, NULL),
                     CTSEG_NOTFOUND);
    ctseg_buf_free(&buf);

    /* the walk ends where it is told to */

    assert_int_equal(list(st->store, 1), 1);
    assert_int_equal(list(st->store, 100), 100);
    assert_int_equal(list(st->store, 256), 256);
    assert_int_equal(list(st->store, 257), 257);

    /* forgotten, and only of that export */

    assert_int_equal(ctseg_rejected_purge(st->store, OTHER, NULL), CTSEG_OK);
    assert_int_equal(count_of(st->store, EXPORT), 256 + 13);
    assert_int_equal(ctseg_rejected_purge(st->store, EXPORT, NULL), CTSEG_OK);
    assert_int_equal(count_of(st->store, EXPORT), 0);

    st_free(st);
}


/* those that were refused lie among them */

static void
test_mixed(void **state)
{
    st_t      *st;
    unsigned   i;

    (void) state;
    st = make();

    assert_int_equal(put_all(st->store, 10, 30, 10, 20), CTSEG_OK);
    assert_int_equal(put_all(st->store, 40, 60, 10, 20), CTSEG_OK);

    for (i = 5; i <= 65; i += 10) {
        put_one(st->store, i);
    }

    assert_int_equal(list(st->store, 0), 6 + 7);
    find_all(st->store);

    for (i = 0; i < seen.n; i++) {
        assert_int_equal(seen.at[i].sequence, 5 + 5 * i);
    }

    for (i = 1; i < 13; i++) {
        assert_int_equal(list(st->store, i), i);
    }

    st_free(st);
}


/* one stretch, read from anywhere to anywhere: each event is shown once */

static void
test_pieces(void **state)
{
    st_t      *st;
    unsigned   i, a, b;
    uint32_t   rand;

    (void) state;

    for (rand = 1, i = 0; i < 20; i++) {
        bool      there[100] = { false };
        unsigned  j, n;

        st = make();

        for (j = 0; j < 12; j++) {
            rand = rand * 1103515245 + 12345;
            a = (rand >> 8) % 60;
            b = a + (rand >> 20) % 30;

            assert_int_equal(put_all(st->store, a + 1, b + 1, 1, 30),
                             CTSEG_OK);

            for (; a <= b; a++) {
                there[a] = true;
            }
        }

        for (n = 0, j = 0; j < 100; j++) {
            n += there[j];
        }

        assert_int_equal(list(st->store, 0), n);
        find_all(st->store);
        st_free(st);
    }
}


static void
test_full(void **state)
{
    st_t             *st;
    unsigned          n;
    ctseg_rc_t        rc;
    ctseg_partner_t   p;

    (void) state;
    st = make();

    for (n = 0, rc = CTSEG_OK; rc == CTSEG_OK && n < 10000; n++) {
        rc = put_all(st->store, n * 200 + 1, n * 200 + 190, 1, 300);
    }

    assert_int_equal(rc, CTSEG_FULL);
    assert_in_range(n, 16 * ST_MB / 3 / 60000, 16 * ST_MB / 2 / 50000);

    /* there is room for a partner, an export and one that was refused */

    p = create_partner(st->store, "after", 1);
    (void) create_export(st->store, p.id, 2);
    put_one(st->store, UINT64_MAX - 1);

    assert_int_equal(count_of(st->store, EXPORT), (n - 1) * 190 + 1);
    assert_int_equal(ctseg_rejected_purge(st->store, EXPORT, NULL), CTSEG_OK);
    assert_int_equal(put_all(st->store, 1, 190, 1, 300), CTSEG_OK);

    st_free(st);
}


/* no pack that is wrong is shown in part */

static void
test_damage(void **state)
{
    st_t            *st;
    size_t           i;
    ctseg_buf_t      out;
    ctseg_err_t      err;
    ctseg_str_t      pack;

    static const struct {
        const char  *key;
        uint64_t     first, last;
        size_t       len;
        const char  *pack;
    } cases[] = {
        { "0000000000000004-0000000000000005", 4, 5, 0, "" },
        { "0000000000000004-0000000000000005", 4, 5, 5, "\4\0\0\0\0" },
        { "0000000000000004-0000000000000005", 4, 5, 13,
          "\4\0\0\0\0\0\0\0\0\0\0\0\0" },
        { "0000000000000004-0000000000000005", 4, 5, 26,
          "\5\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0" },
        { "0000000000000004-0000000000000005", 4, 5, 26,
          "\4\0\0\0\0\0\0\0\0\0\0\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0" },
        { "0000000000000004-0000000000000005", 4, 5, 26,
          "\4\0\0\0\0\0\0\0\x7f\0\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0" },
        { "0000000000000004-0000000000000005", 4, 5, 26,
          "\4\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\1\0\0\0" },
        { "0000000000000004-0000000000000005", 4, 5, 27,
          "\4\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0x" },
        { "0000000000000004-0000000000000006", 4, 5, 26,
          "\4\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0" },
        { "0000000000000004", 4, 5, 26,
          "\4\0\0\0\0\0\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0\0" },
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char      key[100];
        unsigned  n;

        st = make();
        memset(&out, 0, sizeof(out));
        pack.data = cases[i].pack;
        pack.len = cases[i].len;

        ctseg_record_begin(&out, CTSEG_RECORD_REJECTED);
        ctseg_record_uint(&out, 2, cases[i].first);
        ctseg_record_uint(&out, 8, cases[i].last);
        ctseg_record_bytes(&out, 9, pack);
        ctseg_record_end(&out);

        (void) snprintf(key, sizeof(key), "rejected/" EXPORT "/%s",
                        cases[i].key);
        assert_int_equal(ctseg_store_put(st->store, ctseg_str(key),
                                         ctseg_buf_slice(&out), 0, st_soon(),
                                         NULL), CTSEG_OK);
        ctseg_buf_free(&out);

        assert_int_equal(put_all(st->store, 7, 9, 1, 10), CTSEG_OK);

        n = 0;
        memset(&err, 0, sizeof(err));
        assert_int_equal(ctseg_rejected_list(st->store, EXPORT, count_cb, &n,
                                             &err), CTSEG_OK);
        assert_int_equal(n, 3);
        assert_int_equal(err.code, CTSEG_CORRUPT);
        assert_non_null(strstr(err.text, cases[i].key));
        st_free(st);
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_damage)
    };

    memset(text, 'x', sizeof(text));

    return cmocka_run_group_tests(tests, NULL, NULL);
}
