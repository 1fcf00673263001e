/*
 * The conformance suite of the store, second part: the table of state.
 * Compare and set, revisions, lists as snapshots, waiting.
 */

#include <pthread.h>

#include "store_test.h"


static st_t *
make(void)
{
    static st_t  st;

    st_make(&st, 16 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);

    return &st;
}


static ctseg_rc_t
put(ctseg_store_t *s, const char *key, const char *value, uint64_t expect,
    uint64_t *rev)
{
    ctseg_str_t  v = { 0, NULL };

    if (value != NULL) {
        v = ctseg_str(value);
    }

    return ctseg_store_put(s, ctseg_str(key), v, expect, st_soon(), rev);
}


static ctseg_rc_t
get(ctseg_store_t *s, const char *key, char out[64], uint64_t *rev)
{
    ctseg_rc_t   rc;
    ctseg_buf_t  b = { NULL, 0, 0, false };

    /* the value is appended to what is there */

    ctseg_buf_cstr(&b, "<");
    rc = ctseg_store_get(s, ctseg_str(key), st_soon(), &b, rev);
    ctseg_buf_char(&b, '\0');
    (void) snprintf(out, 64, "%s", b.data);
    ctseg_buf_free(&b);

    return rc;
}


static void
test_cas(void **state)
{
    st_t      *st;
    char       v[64];
    uint64_t   r1, r2, r3, r;

    (void) state;
    st = make();

    assert_int_equal(get(st->store, "a/b", v, &r), CTSEG_NOTFOUND);
    assert_string_equal(v, "<");
    assert_int_equal(put(st->store, "a/b", "1", 7, &r), CTSEG_CONFLICT);
    assert_int_equal(put(st->store, "a/b", "1", 0, &r1), CTSEG_OK);
    assert_int_equal(put(st->store, "a/b", "2", 0, &r), CTSEG_CONFLICT);
    assert_int_equal(get(st->store, "a/b", v, &r), CTSEG_OK);
    assert_string_equal(v, "<1");
    assert_true(r == r1);

    assert_int_equal(put(st->store, "a/b", "2", r1, &r2), CTSEG_OK);
    assert_true(r2 > r1);
    assert_int_equal(put(st->store, "a/b", "3", r1, &r), CTSEG_CONFLICT);
    assert_int_equal(put(st->store, "a/b", NULL, r1, &r), CTSEG_CONFLICT);
    assert_int_equal(get(st->store, "a/b", v, &r), CTSEG_OK);
    assert_string_equal(v, "<2");

    /* a deletion is a change; a new record of the name is not the old one */

    assert_int_equal(put(st->store, "a/b", NULL, r2, &r3), CTSEG_OK);
    assert_true(r3 > r2);
    assert_int_equal(get(st->store, "a/b", v, &r), CTSEG_NOTFOUND);
    assert_int_equal(put(st->store, "a/b", "4", r2, &r), CTSEG_CONFLICT);
    assert_int_equal(put(st->store, "a/b", "4", 0, &r), CTSEG_OK);
    assert_true(r > r3);
    assert_int_equal(put(st->store, "a/b", "5", r2, &r1), CTSEG_CONFLICT);

    /* another key shares the counter; a closed store keeps it */

    assert_int_equal(put(st->store, "z", "", 0, &r1), CTSEG_OK);
    assert_true(r1 > r);
    assert_int_equal(get(st->store, "z", v, &r), CTSEG_OK);
    assert_string_equal(v, "<");
    assert_int_equal(put(st->store, "z", NULL, r1, &r2), CTSEG_OK);
    ctseg_store_close(st->store);
    assert_int_equal(st_open(st), CTSEG_OK);
    assert_int_equal(put(st->store, "z", "", 0, NULL), CTSEG_OK);
    assert_int_equal(get(st->store, "z", v, &r), CTSEG_OK);
    assert_true(r > r2);

    st_free(st);
}


static void
test_limits(void **state)
{
    st_t         *st;
    char          key[CTSEG_KEY_MAX + 2], v[64], *value;
    uint64_t      rev;
    unsigned      i;
    ctseg_str_t   s;
    ctseg_buf_t   out = { NULL, 0, 0, false };

    static const char  *const bad[] = {
        "", " ", "a b", "a:b", "\xc3\xbc", "a,b", "a\x7f", "k\n", "{", "@",
        "[", "`"
    };

    (void) state;
    st = make();

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(put(st->store, bad[i], "v", 0, NULL),
                         CTSEG_INVALID);
        assert_int_equal(get(st->store, bad[i], v, NULL), CTSEG_INVALID);

        if (bad[i][0] != '\0') {
            assert_int_equal(ctseg_store_list(st->store, ctseg_str(bad[i]),
                                              ctseg_str(""), 0, NULL, NULL,
                                              st_soon(), NULL),
                             CTSEG_INVALID);
        }
    }

    assert_int_equal(put(st->store, "azAZ09_.-/", "v", 0, NULL), CTSEG_OK);

    memset(key, 'k', sizeof(key));
    key[CTSEG_KEY_MAX] = '\0';
    assert_int_equal(put(st->store, key, "v", 0, NULL), CTSEG_OK);
    assert_int_equal(get(st->store, key, v, NULL), CTSEG_OK);
    key[CTSEG_KEY_MAX] = 'k';
    key[CTSEG_KEY_MAX + 1] = '\0';
    assert_int_equal(put(st->store, key, "v", 0, NULL), CTSEG_INVALID);

    /* delete nothing */

    assert_int_equal(put(st->store, "none", NULL, 0, NULL), CTSEG_INVALID);
    assert_int_equal(put(st->store, "none", NULL, 9, NULL), CTSEG_CONFLICT);

    value = malloc(CTSEG_VALUE_MAX + 1);
    assert_non_null(value);
    memset(value, '\0', CTSEG_VALUE_MAX + 1);
    value[CTSEG_VALUE_MAX - 1] = 'e';
    s.data = value;
    s.len = CTSEG_VALUE_MAX + 1;
    assert_int_equal(ctseg_store_put(st->store, ctseg_str("big"), s, 0,
                                     st_soon(), NULL), CTSEG_INVALID);
    s.len--;
    assert_int_equal(ctseg_store_put(st->store, ctseg_str("big"), s, 0,
                                     st_soon(), &rev), CTSEG_OK);
    assert_int_equal(ctseg_store_get(st->store, ctseg_str("big"), st_soon(),
                                     &out, NULL), CTSEG_OK);
    assert_int_equal(out.len, CTSEG_VALUE_MAX);
    assert_memory_equal(out.data, value, CTSEG_VALUE_MAX);

    ctseg_buf_free(&out);
    free(value);
    st_free(st);
}


/* keys seen, joined by blanks */

typedef struct {
    char          text[256];
    unsigned      n;
    unsigned      stop;
    ctseg_next_t  answer;
    uint64_t      greatest;
} keys_t;


static ctseg_next_t
note(void *data, ctseg_str_t key, ctseg_str_t value, uint64_t rev)
{
    keys_t  *k;
    size_t   len;

    k = data;
    len = strlen(k->text);
    (void) snprintf(k->text + len, sizeof(k->text) - len, "%.*s=%.*s ",
                    (int) key.len, key.data, (int) value.len, value.data);

    if (rev > k->greatest) {
        k->greatest = rev;
    }

    k->n++;

    return k->n == k->stop ? k->answer : CTSEG_GO_ON;
}


static const char *
list(ctseg_store_t *s, const char *prefix, const char *after, unsigned limit,
    unsigned stop)
{
    uint64_t       rev;
    static keys_t  k;

    memset(&k, 0, sizeof(k));
    k.stop = stop;
    k.answer = CTSEG_ENOUGH;

    assert_int_equal(ctseg_store_list(s, ctseg_str(prefix), ctseg_str(after),
                                      limit, note, &k, st_soon(), &rev),
                     CTSEG_OK);
    assert_true(rev >= k.greatest);

    return k.text;
}


static void
test_list(void **state)
{
    st_t           *st;
    unsigned        i;
    ctseg_store_t  *s;

    static const char  *const keys[] = {
        "a/1", "a/10", "a/2", "a", "a-", "b/1", "b/2", "B", "a0"
    };

    (void) state;
    st = make();
    s = st->store;

    assert_string_equal(list(s, "", "", 0, 0), "");

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        assert_int_equal(put(s, keys[i], "v", 0, NULL), CTSEG_OK);
    }

    assert_string_equal(list(s, "", "", 0, 0), "B=v a=v a-=v a/1=v a/10=v "
                        "a/2=v a0=v b/1=v b/2=v ");
    assert_string_equal(list(s, "a/", "", 0, 0), "a/1=v a/10=v a/2=v ");
    assert_string_equal(list(s, "a/1", "", 0, 0), "a/1=v a/10=v ");
    assert_string_equal(list(s, "c", "", 0, 0), "");
    assert_string_equal(list(s, "A", "", 0, 0), "");

    /* after a key, there or not, before the prefix or behind it */

    assert_string_equal(list(s, "a/", "a/1", 0, 0), "a/10=v a/2=v ");
    assert_string_equal(list(s, "a/", "a/11", 0, 0), "a/2=v ");
    assert_string_equal(list(s, "a/", "a/2", 0, 0), "");
    assert_string_equal(list(s, "a/", "B", 0, 0), "a/1=v a/10=v a/2=v ");
    assert_string_equal(list(s, "a/", "a", 0, 0), "a/1=v a/10=v a/2=v ");
    assert_string_equal(list(s, "a/", "b/1", 0, 0), "");
    assert_string_equal(list(s, "", "a0", 0, 0), "b/1=v b/2=v ");

    /* the key itself is the prefix */

    assert_string_equal(list(s, "a/1", "a/1", 0, 0), "a/10=v ");

    assert_string_equal(list(s, "a/", "", 2, 0), "a/1=v a/10=v ");
    assert_string_equal(list(s, "a/", "a/10", 2, 0), "a/2=v ");
    assert_string_equal(list(s, "", "", 0, 2), "B=v a=v ");

    st_free(st);
}


/*
 * Two records that always change together in value: a snapshot never shows
 * the second one ahead of the first.
 */

typedef struct {
    ctseg_store_t  *store;
    unsigned        n;
    bool            failed;
} writer_t;


static void *
writer_thread(void *data)
{
    char        text[16];
    uint64_t    ra, rb;
    unsigned    i;
    writer_t   *w;

    w = data;
    ra = 0;
    rb = 0;

    for (i = 1; i <= w->n; i++) {
        (void) snprintf(text, sizeof(text), "%08u", i);

        if (put(w->store, "pair/a", text, ra, &ra) != CTSEG_OK
            || put(w->store, "pair/b", text, rb, &rb) != CTSEG_OK)
        {
            w->failed = true;
            break;
        }
    }

    return NULL;
}


typedef struct {
    unsigned  v[2];
    unsigned  n;
    uint64_t  greatest;
} pair_t;


static ctseg_next_t
pair_cb(void *data, ctseg_str_t key, ctseg_str_t value, uint64_t rev)
{
    char     text[16];
    pair_t  *p;

    (void) key;
    p = data;

    (void) snprintf(text, sizeof(text), "%.*s", (int) value.len, value.data);
    p->v[p->n & 1] = (unsigned) strtoul(text, NULL, 10);
    p->n++;
    p->greatest = rev > p->greatest ? rev : p->greatest;
    usleep(200);

    return CTSEG_GO_ON;
}


static void
test_snapshot(void **state)
{
    st_t       *st;
    pair_t      p;
    uint64_t    rev, before;
    writer_t    w = { NULL, 300, false };
    pthread_t   thread;

    (void) state;
    st = make();
    w.store = st->store;
    before = 0;

    assert_int_equal(pthread_create(&thread, NULL, writer_thread, &w), 0);

    do {
        memset(&p, 0, sizeof(p));
        assert_int_equal(ctseg_store_list(st->store, ctseg_str("pair/"),
                                          ctseg_str(""), 0, pair_cb, &p,
                                          st_soon(), &rev), CTSEG_OK);
        assert_true(p.v[0] == p.v[1] || p.v[0] == p.v[1] + 1);
        assert_true(rev >= before);
        assert_true(rev == p.greatest);
        before = rev;

    } while (p.v[1] < w.n && !w.failed);

    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_false(w.failed);

    st_free(st);
}


static void *
later_thread(void *data)
{
    usleep(60000);
    (void) put(data, "later", "v", 0, NULL);

    return NULL;
}


static void
test_wait(void **state)
{
    st_t       *st;
    int64_t     t;
    uint64_t    rev, seen;
    pthread_t   thread;

    (void) state;
    st = make();

    assert_int_equal(put(st->store, "a", "v", 0, &rev), CTSEG_OK);

    /* look once: an answer at once in both cases */

    assert_int_equal(ctseg_store_wait(st->store, rev - 1, 0, &seen),
                     CTSEG_OK);
    assert_true(seen == rev);
    assert_int_equal(ctseg_store_wait(st->store, rev, 0, &seen),
                     CTSEG_AGAIN);
    assert_true(seen == rev);

    t = ctseg_mono_ms();
    assert_int_equal(ctseg_store_wait(st->store, rev, t + 50, &seen),
                     CTSEG_AGAIN);
    t = ctseg_mono_ms() - t;
    assert_in_range(t, 50, 2000);

    /* a passed deadline is one look too */

    assert_int_equal(ctseg_store_wait(st->store, rev - 1, 1, NULL),
                     CTSEG_OK);

    t = ctseg_mono_ms();
    assert_int_equal(pthread_create(&thread, NULL, later_thread, st->store),
                     0);
    assert_int_equal(ctseg_store_wait(st->store, rev, t + 10000, &seen),
                     CTSEG_OK);
    t = ctseg_mono_ms() - t;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(seen > rev);
    assert_in_range(t, 50, 5000);

    st_free(st);
}


/*
 * The installation id and a sequence make a messageId, so a log that was
 * lost and made anew, counting from 1 again, must not keep the id.
 */

static void
test_installation(void **state)
{
    st_t  *st;
    char   first[CTSEG_INSTALL_LEN + 1], path[300];

    (void) state;
    st = make();

    (void) snprintf(first, sizeof(first), "%s",
                    ctseg_store_installation(st->store));
    assert_int_equal(strlen(first), CTSEG_INSTALL_LEN);

    ctseg_store_close(st->store);
    assert_int_equal(st_open(st), CTSEG_OK);
    assert_string_equal(ctseg_store_installation(st->store), first);
    ctseg_store_close(st->store);

    (void) snprintf(path, sizeof(path), "%s/events/data.mdb", st->dir);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(st_open(st), CTSEG_OK);
    assert_string_not_equal(ctseg_store_installation(st->store), first);

    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_cas),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_wait),
        cmocka_unit_test(test_installation)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
