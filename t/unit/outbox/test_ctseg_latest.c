/*
 * The latest state of each profile in a cut: random updates against a naive
 * map, read in batches of any size, from an index made in pieces of any size;
 * what is too large for one message; logs that have lost something; and a
 * temporary file that cannot be made.
 *
 * What could fool it: batches that put updates together themselves would
 * pass with few profiles, so there are more batches than profiles in one.
 */

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "outbox_test.h"


#define LT_USERS    400
#define LT_KEYS     6
#define LT_UPDATES  4000


typedef struct {
    unsigned  updates;
    unsigned  n;
    unsigned  key[LT_KEYS];             /* in the order of their first time */
    unsigned  value[LT_KEYS];
} lt_user_t;


static uint32_t  lt_state;


static unsigned
lt_random(unsigned n)
{
    lt_state = lt_state * 1664525 + 1013904223;

    return (lt_state >> 8) % n;
}


static void
lt_pinned(ctseg_pinned_t *pinned)
{
    test_pinned(pinned);

    pinned->type = CTSEG_TYPE_PROFILE;
    pinned->kinds = ctseg_kind_bit(CTSEG_KIND_PROFILE);
}


/* one block: updates, "who props" each; an empty who is an event */

static void
lt_append(st_t *st, const char *const *who, const char *const *props,
    unsigned n)
{
    bool                   dup;
    unsigned               i;
    ctseg_pos_t            last;
    ctseg_block_t          b;
    ctseg_event_t          ev;
    ctseg_block_builder_t  bb;

    static uint64_t  seq;

    memset(&bb, 0, sizeof(bb));

    for (i = 0; i < n; i++) {
        test_event(&ev, "App Launched", who[i], props[i]);

        if (who[i][0] != '\0') {
            ev.kind = CTSEG_KIND_PROFILE;
        }

        assert_true(ctseg_block_add(&bb, &ev));
    }

    assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_OK);
    assert_int_equal(ctseg_store_append(st->store, 0, "the-profile-ones",
                                        ++seq, &b, 1, st_soon(), &last,
                                        &dup), CTSEG_OK);
    ctseg_block_builder_free(&bb);
}


static ctseg_bounds_t
lt_bounds(st_t *st)
{
    ctseg_bounds_t  bounds;

    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &bounds),
                     CTSEG_OK);

    return bounds;
}


/* the index of all there is; slowly: a block at a time */

static void
lt_index(ctseg_latest_t *l, st_t *st, const ctseg_pinned_t *pinned,
    bool slowly)
{
    ctseg_rc_t      rc;
    ctseg_err_t     err;
    ctseg_bounds_t  bounds;

    bounds = lt_bounds(st);
    ctseg_latest_begin(l, st->dir, bounds.incarnation, 0, bounds.last);

    do {
        rc = ctseg_latest_step(l, st->store, pinned,
                               slowly ? 0 : st_soon(), st_soon(), &err);
    } while (rc == CTSEG_AGAIN);

    assert_int_equal(rc, CTSEG_OK);
    assert_true(l->complete);
    assert_int_equal(l->upto, bounds.last);
}


/* all batches of a cut, one body behind the other */

static void
lt_read(st_t *st, const ctseg_pinned_t *pinned, const ctseg_latest_t *l,
    uint64_t after, unsigned limit, ctseg_buf_t *out, ctseg_counts_t *counts)
{
    ctseg_err_t    err;
    ctseg_read_t   read;
    ctseg_batch_t  b;

    memset(counts, 0, sizeof(*counts));
    memset(&read, 0, sizeof(read));
    read.pinned = pinned;
    read.write_key = OT_KEY;
    read.incarnation = l->incarnation;
    read.after = after;
    read.hi = l->hi;
    read.limit = limit;
    read.expire = true;
    read.latest = l;

    while (read.after < read.hi) {
        memset(&b, 0, sizeof(b));

        assert_int_equal(ctseg_read_batch(st->store, &read, st_soon(), &b,
                                          &err), CTSEG_OK);
        assert_true(b.upto > read.after);
        assert_int_equal(b.counts.scanned, b.upto - read.after);
        assert_int_equal(b.counts.sent, b.events);
        assert_true(limit == 0 || b.events <= limit);

        ctseg_buf_str(out, ctseg_buf_slice(&b.body));
        ctseg_buf_char(out, '\n');
        counts->scanned += b.counts.scanned;
        counts->sent += b.counts.sent;
        counts->filtered += b.counts.filtered;
        counts->rejected += b.counts.rejected;
        read.after = b.upto;

        ctseg_batch_free(&b);
    }

    ctseg_buf_char(out, '\0');
    assert_false(out->failed);
    assert_int_equal(counts->scanned,
                     counts->sent + counts->filtered + counts->rejected);
}


static unsigned
lt_count(const char *text, const char *part)
{
    unsigned  n;

    for (n = 0; (text = strstr(text, part)) != NULL; text++) {
        n++;
    }

    return n;
}


/* what a message of this user must end with */

static void
lt_expect(char *out, size_t size, unsigned user, const lt_user_t *u)
{
    size_t    len;
    unsigned  i;

    len = (size_t) snprintf(out, size, "\"userId\":\"u%u\",\"timestamp\":"
                            "\"2026-01-02T03:04:05.678Z\",\"traits\":{",
                            user);

    for (i = 0; i < u->n; i++) {
        len += (size_t) snprintf(out + len, size - len, "%s\"k%u\":%u",
                                 i == 0 ? "" : ",", u->key[i], u->value[i]);
    }

    (void) snprintf(out + len, size - len, "}}");
}


/* random blocks of updates, and what they come to */

static void
lt_fill(st_t *st, lt_user_t *users)
{
    char         names[40][16], texts[40][32];
    unsigned     i, k, n, left, user, key, value;
    lt_user_t   *u;
    const char  *who[40], *props[40];

    for (left = LT_UPDATES; left != 0; left -= n) {
        n = 1 + lt_random(40);
        n = n < left ? n : left;

        for (i = 0; i < n; i++) {

            /* some are there often, most of them rarely */

            user = lt_random(2) == 0 ? lt_random(10) : lt_random(LT_USERS);
            key = lt_random(LT_KEYS);
            value = lt_random(1000);

            who[i] = names[i];
            props[i] = texts[i];
            (void) snprintf(names[i], sizeof(names[i]), "u%u", user);
            (void) snprintf(texts[i], sizeof(texts[i]), "{\"k%u\":%u}", key,
                            value);

            if (lt_random(8) == 0) {
                names[i][0] = '\0';
                continue;
            }

            u = &users[user];
            u->updates++;

            for (k = 0; k < u->n && u->key[k] != key; k++) { /* void */ }

            u->n += k == u->n;
            u->key[k] = key;
            u->value[k] = value;
        }

        lt_append(st, who, props, n);
    }
}


static void
test_model(void **state)
{
    st_t            *st;
    char             text[512], name[32];
    unsigned         seed, i, present, updates;
    ctseg_buf_t      out, again;
    ctseg_counts_t   counts, same;
    ctseg_latest_t   l, slow;
    ctseg_pinned_t   pinned;

    static lt_user_t  users[LT_USERS];

    (void) state;

    lt_pinned(&pinned);

    for (seed = 1; seed <= 3; seed++) {
        lt_state = seed;
        memset(users, 0, sizeof(users));
        st = ot_make(64 * 1024 * 1024);
        lt_fill(st, users);

        lt_index(&l, st, &pinned, false);
        lt_index(&slow, st, &pinned, true);

        memset(&out, 0, sizeof(out));
        memset(&again, 0, sizeof(again));
        lt_read(st, &pinned, &l, 0, 1 + lt_random(60), &out, &counts);

        present = 0;
        updates = 0;

        for (i = 0; i < LT_USERS; i++) {
            (void) snprintf(name, sizeof(name), "\"userId\":\"u%u\",", i);
            assert_int_equal(lt_count(out.data, name),
                             users[i].updates != 0);

            if (users[i].updates != 0) {
                present++;
                updates += users[i].updates;
                lt_expect(text, sizeof(text), i, &users[i]);
                assert_int_equal(lt_count(out.data, text), 1);
            }
        }

        assert_int_equal(counts.sent, present);
        assert_int_equal(counts.scanned, LT_UPDATES);
        assert_int_equal(counts.rejected, 0);
        assert_int_equal(l.merged, updates - present);

        /* the same whatever the pieces were, of the index and of the run */

        ctseg_buf_reset(&out);
        lt_read(st, &pinned, &l, 0, 0, &out, &same);
        lt_read(st, &pinned, &slow, 0, 0, &again, &counts);
        assert_int_equal(out.len, again.len);
        assert_memory_equal(out.data, again.data, out.len);
        assert_memory_equal(&same, &counts, sizeof(same));

        ctseg_latest_free(&l);
        ctseg_latest_free(&slow);
        ctseg_buf_free(&out);
        ctseg_buf_free(&again);
        st_free(st);
    }
}


/* an object with one member of so many bytes */

static const char *
lt_large(unsigned key, size_t len)
{
    static char  text[4][CTSEG_PROPS_LEN_MAX];

    memset(text[key], 'x', len);
    (void) snprintf(text[key], 16, "{\"k%u\":\"", key);
    text[key][strlen(text[key])] = 'x';
    memcpy(text[key] + len, "\"}", 3);

    return text[key];
}


/*
 * Four updates of which three are too much for a message: the first two and
 * the others are one each, in their places; a table of entries that were
 * closed is found again from a file.
 */

static void
test_large(void **state)
{
    DIR             *dir;
    st_t            *st;
    unsigned         i, files;
    const char      *who[4], *props[4];
    ctseg_buf_t      out;
    ctseg_counts_t   counts;
    ctseg_latest_t   l;
    ctseg_pinned_t   pinned;
    struct dirent   *entry;

    (void) state;

    lt_pinned(&pinned);
    st = ot_make(64 * 1024 * 1024);

    for (i = 0; i < 4; i++) {
        who[i] = "big";
        props[i] = lt_large(i, 14000);
    }

    lt_append(st, who, props, 4);
    lt_append(st, who, props, 4);

    lt_index(&l, st, &pinned, false);
    assert_true(l.spool.in_file);
    assert_int_equal(l.merged, 4);

    dir = opendir(st->dir);
    assert_non_null(dir);

    for (files = 0; (entry = readdir(dir)) != NULL; /* void */ ) {
        files += strncmp(entry->d_name, "latest", 6) == 0;
    }

    (void) closedir(dir);
    assert_int_equal(files, 0);

    memset(&out, 0, sizeof(out));
    lt_read(st, &pinned, &l, 0, 0, &out, &counts);

    assert_int_equal(counts.sent, 4);
    assert_int_equal(counts.filtered, 4);
    assert_int_equal(lt_count(out.data, "0002-0000000000000001\","), 1);
    assert_int_equal(lt_count(out.data, "0004-0000000000000003\","), 1);
    assert_int_equal(lt_count(out.data, "0006-0000000000000005\","), 1);
    assert_int_equal(lt_count(out.data, "0008-0000000000000007\","), 1);
    assert_int_equal(lt_count(out.data, "\"k0\":"), 2);
    assert_int_equal(lt_count(out.data, "\"k3\":"), 2);

    ctseg_buf_free(&out);
    ctseg_latest_free(&l);
    st_free(st);
}


/* nothing else is said of a profile than what the index has seen of it */

static void
test_lost(void **state)
{
    st_t              *st;
    ctseg_buf_t        out;
    ctseg_err_t        err;
    ctseg_counts_t     counts;
    ctseg_latest_t     l;
    ctseg_pinned_t     pinned;
    static const char *who[] = { "a", "b", "a" };
    static const char *props[] = { "{\"x\":1}", "{\"x\":2}", "{\"y\":3}" };

    (void) state;

    lt_pinned(&pinned);
    st = ot_make(16 * 1024 * 1024);
    lt_append(st, who, props, 3);
    (void) ot_moment();
    lt_append(st, who, props, 3);

    /* behind its end comes more: as if that were alone */

    memset(&out, 0, sizeof(out));
    lt_index(&l, st, &pinned, false);
    lt_append(st, who, props, 2);
    l.hi = 8;
    lt_read(st, &pinned, &l, 0, 0, &out, &counts);
    assert_int_equal(counts.sent, 4);
    assert_int_equal(lt_count(out.data, "0006-0000000000000001\","), 1);
    assert_int_equal(lt_count(out.data, "0000000000000007\","), 1);
    ctseg_buf_free(&out);
    ctseg_latest_free(&l);

    /* its begin is gone: what is left */

    ot_trim(st, 4);
    lt_index(&l, st, &pinned, false);
    lt_read(st, &pinned, &l, 0, 0, &out, &counts);
    assert_int_equal(counts.rejected, 3);
    assert_int_equal(counts.sent, 2);
    assert_int_equal(lt_count(out.data, "0008-0000000000000005\","), 1);
    assert_int_equal(lt_count(out.data, "0007-0000000000000004\","), 1);
    ctseg_buf_free(&out);
    ctseg_latest_free(&l);

    /* another log: nothing of it belongs to the cut */

    ctseg_latest_begin(&l, st->dir, lt_bounds(st).incarnation + 1, 0, 8);
    assert_int_equal(ctseg_latest_step(&l, st->store, &pinned, st_soon(),
                                       st_soon(), &err), CTSEG_OK);
    assert_true(l.complete);
    assert_int_equal(l.ntables, 0);
    ctseg_latest_free(&l);

    /* an end before the end */

    ctseg_latest_begin(&l, st->dir, lt_bounds(st).incarnation, 0, 8);
    assert_int_equal(ctseg_latest_step(&l, st->store, &pinned, 0, st_soon(),
                                       &err), CTSEG_AGAIN);
    ctseg_latest_close(&l);
    assert_true(l.complete);
    assert_int_equal(l.hi, 3);
    ctseg_latest_free(&l);

    st_free(st);
}


/* the file cannot be made: said, and tried again from the start */

static void
test_file(void **state)
{
    st_t            *st;
    unsigned         i;
    const char      *who[4], *props[4];
    ctseg_err_t      err;
    ctseg_latest_t   l;
    ctseg_pinned_t   pinned;

    (void) state;

    lt_pinned(&pinned);
    st = ot_make(64 * 1024 * 1024);

    for (i = 0; i < 4; i++) {
        who[i] = "big";
        props[i] = lt_large(i, 20000);
    }

    lt_append(st, who, props, 4);

    ctseg_latest_begin(&l, "/nonexistent", lt_bounds(st).incarnation, 0, 4);
    assert_int_equal(ctseg_latest_step(&l, st->store, &pinned, st_soon(),
                                       st_soon(), &err), CTSEG_RETRY);
    assert_non_null(strstr(err.text, "temporary file"));
    assert_int_equal(l.upto, 0);

    l.spool.dir = st->dir;
    assert_int_equal(ctseg_latest_step(&l, st->store, &pinned, st_soon(),
                                       st_soon(), &err), CTSEG_OK);
    assert_int_equal(l.merged, 0);
    assert_true(l.spool.in_file);
    ctseg_latest_free(&l);

    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
