/*
 * When a commit of the log is durable: what is answered has been flushed, by
 * itself or by the commit behind it, and nothing that follows from an event
 * gets to the disk before the event does.
 */

#include "../../fault/ctseg_disk.c"

#include <pthread.h>
#include <sched.h>

#include "../../../src/store/ctseg_store_lmdb_int.h"
#include "store_test.h"


#define ONE  "producer-1-....."
#define TWO  "producer-2-....."


/* what was done to the disk: one letter a call, those of the log large */

static char           calls[4096];
static atomic_uint    ncalls;
static ctseg_disk_t   faults;

/* called before the n-th flush of the log is made */

static void         (*at_flush)(st_t *st);
static unsigned       at_which;
static st_t          *at_store;


static void
watch(int kind, int part, int fd, off_t at, const void *data, size_t n)
{
    unsigned     i, flushes;
    const char  *letters;

    (void) fd;
    (void) at;
    (void) data;
    (void) n;

    letters = part == CTSEG_DISK_EVENTS ? "WMF" : "wmf";
    i = atomic_fetch_add(&ncalls, 1);
    assert_true(i < sizeof(calls) - 1);
    calls[i] = letters[kind == CTSEG_DISK_SYNC ? 2 : kind == CTSEG_DISK_META];

    if (part != CTSEG_DISK_EVENTS || kind != CTSEG_DISK_SYNC
        || at_flush == NULL)
    {
        return;
    }

    for (flushes = 0; i + 1 > 0; i--) {
        flushes += calls[i] == 'F';
    }

    if (flushes == at_which) {
        at_flush(at_store);
    }
}


/* forget what was, and watch what comes */

static void
look(st_t *st, unsigned which, void (*flush)(st_t *st))
{
    memset(calls, 0, sizeof(calls));
    atomic_store(&ncalls, 0);
    memset(&faults, 0, sizeof(faults));
    at_store = st;
    at_which = which;
    at_flush = flush;
    ctseg_disk = &faults;
    ctseg_disk_watch = watch;
}


/* flushes of the log and others that did not fail, in their order */

static const char *
flushes(void)
{
    char        *p;
    const char  *c;

    static char  text[sizeof(calls)];

    ctseg_disk = NULL;
    ctseg_disk_watch = NULL;
    p = text;

    for (c = calls; *c != '\0'; c++) {
        if (*c == 'F' || *c == 'f') {
            *p++ = *c;
        }
    }

    *p = '\0';

    return text;
}


static void
make(st_t *st)
{
    st_make(st, 8 * ST_MB, 90);
    assert_int_equal(st_open(st), CTSEG_OK);
}


static ctseg_rc_t
append(st_t *st, const char *producer, uint64_t seq, bool *dup)
{
    ctseg_rc_t             rc;
    ctseg_pos_t            last;
    ctseg_block_t          b;
    ctseg_block_builder_t  bb;

    b = st_block(&bb, 1, 1, 1000, 10);
    rc = ctseg_store_append(st->store, 0, producer, seq, &b, 1, st_soon(),
                            &last, dup);
    ctseg_block_builder_free(&bb);

    return rc;
}


static ctseg_rc_t
put(st_t *st, const char *key)
{
    uint64_t  rev;

    return ctseg_store_put(st->store, ctseg_str(key), ctseg_str("x"), 0,
                           st_soon(), &rev);
}


static uint64_t
last(st_t *st)
{
    ctseg_bounds_t  b;

    assert_int_equal(ctseg_store_bounds(st->store, 0, st_soon(), &b),
                     CTSEG_OK);

    return b.last;
}


/* ---- one alone ---- */

static void
test_alone(void **state)
{
    bool  dup;
    st_t  st;

    (void) state;

    make(&st);
    assert_int_equal(append(&st, ONE, 1, &dup), CTSEG_OK);

    look(&st, 0, NULL);
    assert_int_equal(append(&st, ONE, 2, &dup), CTSEG_OK);
    assert_string_equal(flushes(), "FF");

    /* the flush comes behind the meta page, which is the last write */

    assert_string_equal(strrchr(calls, 'W'), "WF");

    /* then it is known, and nobody asks the disk again */

    look(&st, 0, NULL);
    assert_int_equal(put(&st, "a"), CTSEG_OK);
    assert_null(strchr(flushes(), 'F'));

    look(&st, 0, NULL);
    assert_int_equal(append(&st, ONE, 2, &dup), CTSEG_OK);
    assert_true(dup);
    assert_string_equal(flushes(), "");

    st_free(&st);
}


/* ---- one behind the other ---- */

static struct {
    pthread_t    thread;
    uint64_t     seq;
    atomic_bool  first_answered;
    bool         early;                 /* ... before the second one flushed */
    ctseg_rc_t   rc;
} second;


static void *
second_append(void *data)
{
    bool  dup;

    second.rc = append(data, TWO, second.seq, &dup);

    return NULL;
}


static void
second_flush(st_t *st)
{
    (void) st;

    second.early = atomic_load(&second.first_answered);
}


/* the first one is about to flush its pages: the second waits for its lock */

static void
first_flush(st_t *st)
{
    unsigned             writers;
    ctseg_lmdb_flush_t  *f;

    f = &((ctseg_lmdb_t *) st->store)->events.flush;
    at_which = 2;
    at_flush = second_flush;

    assert_int_equal(pthread_create(&second.thread, NULL, second_append, st),
                     0);

    do {
        (void) sched_yield();
        (void) pthread_mutex_lock(&f->lock);
        writers = f->writers;
        (void) pthread_mutex_unlock(&f->lock);
    } while (writers != 2);
}


static ctseg_rc_t
first(st_t *st)
{
    bool        dup;
    ctseg_rc_t  rc;

    rc = append(st, ONE, 2, &dup);
    atomic_store(&second.first_answered, true);
    assert_int_equal(pthread_join(second.thread, NULL), 0);

    return rc;
}


static void
begin(st_t *st, uint64_t seq)
{
    bool  dup;

    make(st);
    assert_int_equal(append(st, ONE, 1, &dup), CTSEG_OK);
    assert_int_equal(append(st, TWO, 5, &dup), CTSEG_OK);

    memset(&second, 0, sizeof(second));
    second.seq = seq;
    look(st, 1, first_flush);
}


static void
test_behind(void **state)
{
    st_t  st;

    (void) state;

    /* three flushes for both, instead of four */

    begin(&st, 6);
    assert_int_equal(first(&st), CTSEG_OK);
    assert_int_equal(second.rc, CTSEG_OK);
    assert_string_equal(flushes(), "FFF");
    assert_false(second.early);
    assert_int_equal(last(&st), 4);
    st_free(&st);
}


static void
test_behind_nothing(void **state)
{
    st_t  st;

    (void) state;

    /* an older sequence is refused, so the first one has to flush */

    begin(&st, 4);
    assert_int_equal(first(&st), CTSEG_OK);
    assert_int_equal(second.rc, CTSEG_INVALID);
    assert_string_equal(flushes(), "FF");
    assert_int_equal(last(&st), 3);
    st_free(&st);
}


static void
test_behind_fails(void **state)
{
    st_t  st;

    (void) state;

    /*
     * The disk tells an error once, and the second one hears it.  A flush of
     * the first one would find nothing wrong, though its meta page is lost.
     */

    begin(&st, 6);
    faults.rule[0].kinds = CTSEG_DISK_SYNC;
    faults.rule[0].part = CTSEG_DISK_EVENTS;
    faults.rule[0].error = EIO;
    faults.rule[0].left = 2;
    assert_int_equal(first(&st), CTSEG_FATAL);
    assert_int_equal(second.rc, CTSEG_FATAL);
    assert_string_equal(flushes(), "F");
    assert_int_equal(faults.rule[0].hits, 1);
    st_free(&st);
}


static void
test_flush_fails(void **state)
{
    bool  dup;
    st_t  st;

    (void) state;

    make(&st);
    look(&st, 0, NULL);
    faults.rule[0].kinds = CTSEG_DISK_SYNC;
    faults.rule[0].part = CTSEG_DISK_EVENTS;
    faults.rule[0].error = ENOSPC;
    faults.rule[0].left = 2;

    /* not "full", which would say that nothing was stored */

    assert_int_equal(append(&st, ONE, 1, &dup), CTSEG_FATAL);
    assert_string_equal(flushes(), "F");
    assert_int_equal(append(&st, ONE, 1, &dup), CTSEG_FATAL);
    assert_int_equal(put(&st, "a"), CTSEG_FATAL);
    st_free(&st);
}


static void
test_never_comes(void **state)
{
    bool               dup;
    st_t               st;
    ctseg_lmdb_env_t  *e;

    (void) state;

    /* somebody behind us waits for a lock that another process keeps */

    make(&st);
    e = &((ctseg_lmdb_t *) st.store)->events;
    ctseg_lmdb_flush_enter(e);

    look(&st, 0, NULL);
    assert_int_equal(append(&st, ONE, 1, &dup), CTSEG_OK);
    assert_string_equal(flushes(), "FF");

    ctseg_lmdb_flush_leave(e, 0);
    st_free(&st);
}


/* ---- another process ---- */

static void
die(st_t *st)
{
    (void) st;

    _exit(7);
}


/* a worker appends, and is killed when all but the last flush is done */

static void
other(st_t *st, uint64_t seq)
{
    int    status;
    bool   dup;
    pid_t  pid;

    ctseg_store_close(st->store);
    st->store = NULL;
    assert_int_equal(st_open(st), CTSEG_OK);

    pid = fork();
    assert_true(pid != -1);

    if (pid == 0) {
        st->store = NULL;
        (void) st_open(st);
        look(st, 2, die);
        (void) append(st, TWO, seq, &dup);
        _exit(1);
    }

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}


static void
test_other(void **state)
{
    bool  dup, known;
    st_t  st;

    (void) state;

    make(&st);
    assert_int_equal(append(&st, ONE, 1, &dup), CTSEG_OK);

    /* a record may tell of it: it waits for the log, once */

    other(&st, 1);
    assert_int_equal(last(&st), 2);
    look(&st, 0, NULL);
    assert_int_equal(put(&st, "a"), CTSEG_OK);
    assert_int_equal(flushes()[0], 'F');
    assert_int_equal(calls[0], 'F');
    assert_null(strchr(flushes() + 1, 'F'));

    look(&st, 0, NULL);
    assert_int_equal(put(&st, "b"), CTSEG_OK);
    assert_null(strchr(flushes(), 'F'));

    /* "that is stored already" is an answer, too */

    other(&st, 2);
    look(&st, 0, NULL);
    assert_int_equal(append(&st, TWO, 2, &dup), CTSEG_OK);
    assert_true(dup);
    assert_string_equal(flushes(), "F");

    other(&st, 3);
    look(&st, 0, NULL);
    assert_int_equal(ctseg_store_marked(st.store, ONE, 1, st_soon(), &known),
                     CTSEG_OK);
    assert_string_equal(flushes(), "F");

    /* what another one commits proves what was before */

    other(&st, 4);
    look(&st, 0, NULL);
    assert_int_equal(append(&st, ONE, 2, &dup), CTSEG_OK);
    assert_string_equal(flushes(), "FF");

    st_free(&st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_behind),
        cmocka_unit_test(test_behind_nothing),
        cmocka_unit_test(test_behind_fails),
        cmocka_unit_test(test_flush_fails),
        cmocka_unit_test(test_never_comes),
        cmocka_unit_test(test_other)
    };

    (void) alarm(60);

    return cmocka_run_group_tests(tests, NULL, NULL);
}
