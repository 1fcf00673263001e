/*
 * Leases: who is certainly gone, what an observer may conclude from its own
 * clock, and a lease as a record.
 */

#include <pthread.h>
#include <signal.h>

#include "store_test.h"

#include "../../../src/store/ctseg_lease.h"


/* a child that tells its name and then sleeps until it is killed */

static pid_t
start_owner(char owner[CTSEG_OWNER_MAX])
{
    int    fd[2];
    pid_t  pid;

    memset(owner, 0, CTSEG_OWNER_MAX);
    assert_int_equal(pipe(fd), 0);
    pid = fork();

    if (pid == 0) {
        ctseg_owner_self(owner);

        if (write(fd[1], owner, CTSEG_OWNER_MAX) != CTSEG_OWNER_MAX) {
            _exit(2);
        }

        for ( ;; ) {
            pause();
        }
    }

    assert_true(pid > 0);
    assert_int_equal(read(fd[0], owner, CTSEG_OWNER_MAX), CTSEG_OWNER_MAX);
    (void) close(fd[0]);
    (void) close(fd[1]);

    return pid;
}


/* replace one part of the name: machine, boot, namespace, pid, start */

static void
change(char out[CTSEG_OWNER_MAX], const char *owner, unsigned part,
    const char *text)
{
    char       *p, copy[CTSEG_OWNER_MAX];
    size_t      len;
    unsigned    i;
    const char *word;

    (void) snprintf(copy, sizeof(copy), "%s", owner);
    out[0] = '\0';
    p = copy;

    for (i = 0; i < 5; i++) {
        word = strsep(&p, ":");
        len = strlen(out);
        (void) snprintf(out + len, CTSEG_OWNER_MAX - len, "%s%s",
                        i == 0 ? "" : ":", i == part ? text : word);
    }
}


static void
test_owner(void **state)
{
    char   self[CTSEG_OWNER_MAX], again[CTSEG_OWNER_MAX];
    char   other[CTSEG_OWNER_MAX];
    pid_t  pid;

    (void) state;

    memset(self, 'x', sizeof(self));
    ctseg_owner_self(self);
    ctseg_owner_self(again);
    assert_string_equal(self, again);
    assert_true(strlen(self) < CTSEG_OWNER_MAX);
    assert_false(ctseg_owner_is_gone(self));

    pid = start_owner(other);
    assert_string_not_equal(self, other);
    assert_false(ctseg_owner_is_gone(other));

    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(st_reap(pid), -1);
    assert_true(ctseg_owner_is_gone(other));

    /* killed and not yet reaped is gone as well */

    pid = start_owner(other);
    assert_int_equal(kill(pid, SIGKILL), 0);

    while (!ctseg_owner_is_gone(other)) {
        usleep(1000);
    }

    assert_int_equal(st_reap(pid), -1);
}


static void
test_owner_elsewhere(void **state)
{
    char      self[CTSEG_OWNER_MAX], o[CTSEG_OWNER_MAX];
    unsigned  i;

    static const char  *const nonsense[] = {
        "", "x", "?", "::::", "0:0:1:2", "0:0:1:2:3:4", "0:0:1:2:3x",
        "0:0:1:-2:3", "zz:0:1:2:3", "0:0:1:0:3",
        "00000000000000000:0:1:2:3"
    };

    (void) state;
    ctseg_owner_self(self);

    for (i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        assert_false(ctseg_owner_is_gone(nonsense[i]));
    }

    /* our pid with another start time was somebody else */

    change(o, self, 4, "1");
    assert_true(ctseg_owner_is_gone(o));
    change(o, self, 4, "0");
    assert_false(ctseg_owner_is_gone(o));

    /* a pid means nothing in another namespace or on another machine */

    change(o, self, 2, "4026531000");
    change(o, o, 4, "1");
    assert_false(ctseg_owner_is_gone(o));
    change(o, self, 0, "0123456789abcdef");
    change(o, o, 1, "0123456789abcdef");
    assert_false(ctseg_owner_is_gone(o));
    change(o, self, 1, "-");
    assert_false(ctseg_owner_is_gone(o));

    /* another boot is certain only where the machine has a name */

    change(o, self, 1, "0123456789abcdef");
    assert_int_equal(ctseg_owner_is_gone(o), self[0] != '-');
    change(o, o, 0, "-");
    assert_false(ctseg_owner_is_gone(o));
}


static void
test_watch(void **state)
{
    char                  self[CTSEG_OWNER_MAX], gone[CTSEG_OWNER_MAX];
    ctseg_lease_watch_t  *w;

    (void) state;
    ctseg_owner_self(self);
    change(gone, self, 4, "1");

    w = ctseg_lease_watch_create();
    assert_non_null(w);

    /* nobody, and one who is gone: at once */

    assert_true(ctseg_lease_may_take(w, "k", "", 1, 0, 1000));
    assert_true(ctseg_lease_may_take(w, "k", gone, 1, 0, 1000));

    /* the same revision for the whole time, by our clock */

    assert_false(ctseg_lease_may_take(w, "a", self, 5, 100, 1000));
    assert_false(ctseg_lease_may_take(w, "a", self, 5, 1099, 1000));
    assert_true(ctseg_lease_may_take(w, "a", self, 5, 1100, 1000));

    /* a renewal starts it again, also one that was seen late */

    assert_false(ctseg_lease_may_take(w, "a", self, 6, 1101, 1000));
    assert_false(ctseg_lease_may_take(w, "a", self, 6, 2100, 1000));
    assert_true(ctseg_lease_may_take(w, "a", self, 6, 2101, 1000));

    /* keys do not mix */

    assert_false(ctseg_lease_may_take(w, "b", self, 6, 2101, 1000));

    /* not asked for during ten times the time to live: forgotten */

    assert_false(ctseg_lease_may_take(w, "old", self, 1, 3000, 1000));
    assert_false(ctseg_lease_may_take(w, "new", self, 1, 13001, 1000));
    assert_false(ctseg_lease_may_take(w, "old", self, 1, 13002, 1000));

    ctseg_lease_watch_destroy(w);
    ctseg_lease_watch_destroy(NULL);
}


static void
test_watch_many(void **state)
{
    char                  self[CTSEG_OWNER_MAX], key[32];
    unsigned              i;
    ctseg_lease_watch_t  *w;

    (void) state;
    ctseg_owner_self(self);
    w = ctseg_lease_watch_create();
    assert_non_null(w);

    for (i = 0; i < 500; i++) {
        (void) snprintf(key, sizeof(key), "run/%u", i);
        assert_false(ctseg_lease_may_take(w, key, self, i, i, 1000));
    }

    for (i = 0; i < 500; i++) {
        (void) snprintf(key, sizeof(key), "run/%u", i);
        assert_false(ctseg_lease_may_take(w, key, self, i, i + 999, 1000));
    }

    for (i = 0; i < 500; i++) {
        (void) snprintf(key, sizeof(key), "run/%u", i);
        assert_true(ctseg_lease_may_take(w, key, self, i, i + 1500, 1000));
    }

    ctseg_lease_watch_destroy(w);
}


static void
test_record(void **state)
{
    st_t                  st;
    char                  self[CTSEG_OWNER_MAX], other[CTSEG_OWNER_MAX];
    pid_t                 pid;
    uint64_t              mine, theirs, late;
    ctseg_str_t           rubbish = ctseg_string("rubbish");
    ctseg_lease_watch_t  *w;

    (void) state;
    pid = start_owner(other);
    ctseg_owner_self(self);
    st_make(&st, 16 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);
    w = ctseg_lease_watch_create();
    assert_non_null(w);

    /* one has it, the other does not */

    assert_int_equal(ctseg_lease_acquire(st.store, w, "lease/x", other, 0,
                                         1000, &theirs), CTSEG_OK);
    assert_int_equal(ctseg_lease_acquire(st.store, w, "lease/x", self, 0,
                                         1000, &mine), CTSEG_CONFLICT);
    assert_int_equal(ctseg_lease_renew(st.store, "lease/x", other, &theirs),
                     CTSEG_OK);
    assert_int_equal(ctseg_lease_acquire(st.store, w, "lease/x", self, 1000,
                                         1000, &mine), CTSEG_CONFLICT);

    /* not renewed for the time to live; the late one finds out */

    late = theirs;
    assert_int_equal(ctseg_lease_acquire(st.store, w, "lease/x", self, 2000,
                                         1000, &mine), CTSEG_OK);
    assert_true(mine > theirs);
    assert_int_equal(ctseg_lease_renew(st.store, "lease/x", other, &late),
                     CTSEG_CONFLICT);
    assert_true(late == theirs);
    assert_int_equal(ctseg_lease_release(st.store, "lease/x", theirs),
                     CTSEG_CONFLICT);

    /* released: free for all, and the fence grows */

    assert_int_equal(ctseg_lease_release(st.store, "lease/x", mine),
                     CTSEG_OK);
    assert_int_equal(ctseg_lease_acquire(st.store, w, "lease/x", other, 2000,
                                         1000, &theirs), CTSEG_OK);
    assert_true(theirs > mine);

    /* its process ends: free at once */

    assert_int_equal(ctseg_lease_acquire(st.store, w, "lease/x", self, 2001,
                                         1000, &mine), CTSEG_CONFLICT);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(st_reap(pid), -1);
    assert_int_equal(ctseg_lease_acquire(st.store, w, "lease/x", self, 2002,
                                         1000, &mine), CTSEG_OK);

    /* a damaged one is free after the time to live, and healed */

    assert_int_equal(ctseg_store_put(st.store, ctseg_str("lease/x"), rubbish,
                                     mine, st_soon(), NULL), CTSEG_OK);
    assert_int_equal(ctseg_lease_acquire(st.store, w, "lease/x", self, 3000,
                                         1000, &mine), CTSEG_CONFLICT);
    assert_int_equal(ctseg_lease_acquire(st.store, w, "lease/x", self, 4000,
                                         1000, &mine), CTSEG_OK);
    assert_int_equal(ctseg_lease_renew(st.store, "lease/x", self, &mine),
                     CTSEG_OK);

    ctseg_lease_watch_destroy(w);
    st_free(&st);
}


/* many want a lease that is free: one gets it */

typedef struct {
    ctseg_store_t  *store;
    ctseg_rc_t      rc;
} taker_t;


static void *
taker_thread(void *data)
{
    char                  self[CTSEG_OWNER_MAX];
    taker_t              *t;
    uint64_t              rev;
    ctseg_lease_watch_t  *w;

    t = data;
    t->rc = CTSEG_NOMEM;
    ctseg_owner_self(self);
    w = ctseg_lease_watch_create();

    if (w != NULL) {
        t->rc = ctseg_lease_acquire(t->store, w, "lease/y", self, 0, 1000,
                                    &rev);
        ctseg_lease_watch_destroy(w);
    }

    return NULL;
}


static void
test_race(void **state)
{
    st_t        st;
    taker_t     t[6];
    unsigned    i, got;
    pthread_t   thread[6];

    (void) state;
    st_make(&st, 16 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);
    got = 0;

    for (i = 0; i < 6; i++) {
        t[i].store = st.store;
        assert_int_equal(pthread_create(&thread[i], NULL, taker_thread,
                                        &t[i]), 0);
    }

    for (i = 0; i < 6; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_true(t[i].rc == CTSEG_OK || t[i].rc == CTSEG_CONFLICT);
        got += t[i].rc == CTSEG_OK;
    }

    assert_int_equal(got, 1);
    st_free(&st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_owner_elsewhere),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_watch_many),
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_race)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
