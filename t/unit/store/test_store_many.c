/*
 * The conformance suite of the store, third part: many at once.  Threads of
 * one process, several processes, and one that is killed in the middle.
 * Nothing but st_open() knows the driver; a store is opened after the fork.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "store_test.h"


#define WRITERS  4
#define APPENDS  60


/* a tailing reader: it must see every number once, in order */

typedef struct {
    uint64_t  expected;
    uint64_t  writer_next[WRITERS];     /* least time that may come next */
    bool      broken;
} tail_t;


static ctseg_next_t
tail_cb(void *data, const ctseg_block_t *b)
{
    tail_t   *t;
    uint64_t  w, n;

    t = data;

    if (b->first != t->expected || ctseg_block_verify(b) != CTSEG_OK) {
        t->broken = true;
        return CTSEG_UNTAKEN;
    }

    t->expected += b->count;

    /* the block's time says whose it is and which of his; 0: anybody's */

    w = (uint64_t) b->min_ms / 1000000;
    n = (uint64_t) b->min_ms % 1000000;

    if (w >= 1 && w <= WRITERS) {
        if (n != t->writer_next[w - 1]) {
            t->broken = true;
        }

        t->writer_next[w - 1] = n + 1000;
    }

    return CTSEG_GO_ON;
}


typedef struct {
    ctseg_store_t  *store;
    unsigned        id;
    ctseg_rc_t      rc;
    uint64_t        events;
} writer_t;


/* appends 1 to 7 events at a time; the last positions must grow */

static ctseg_rc_t
write_some(ctseg_store_t *s, unsigned id, unsigned appends, uint64_t *events)
{
    char                    producer[CTSEG_PRODUCER_LEN];
    unsigned                i, n;
    uint64_t                before;
    ctseg_rc_t              rc;
    ctseg_pos_t             last;
    ctseg_block_t           b;
    ctseg_block_builder_t   bb;

    memset(producer, 'a' + (int) id, sizeof(producer));
    before = 0;

    for (i = 0; i < appends; i++) {
        n = i % 7 + 1;
        b = st_block(&bb, n, 1, (id + 1) * 1000000 + i * 1000, 50);
        rc = ctseg_store_append(s, 0, producer, i + 1, &b, 1, st_soon(),
                                &last, NULL);
        ctseg_block_builder_free(&bb);

        if (rc != CTSEG_OK) {
            return rc;
        }

        if (last.sequence < before + n) {
            return CTSEG_CORRUPT;
        }

        before = last.sequence;
        *events += n;
    }

    return CTSEG_OK;
}


static void *
writer_thread(void *data)
{
    writer_t  *w;

    w = data;
    w->rc = write_some(w->store, w->id, APPENDS, &w->events);

    return NULL;
}


static void
test_threads(void **state)
{
    st_t          st;
    tail_t        tail;
    uint64_t      events;
    unsigned      i;
    writer_t      w[WRITERS];
    ctseg_rc_t    rc;
    pthread_t     thread[WRITERS];
    ctseg_pos_t   pos = { 0, 0, 0 };

    (void) state;
    st_make(&st, 64 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);

    memset(w, 0, sizeof(w));
    memset(&tail, 0, sizeof(tail));
    tail.expected = 1;
    events = (APPENDS / 7 * 28 + (APPENDS % 7) * (APPENDS % 7 + 1) / 2)
             * WRITERS;

    for (i = 0; i < WRITERS; i++) {
        w[i].store = st.store;
        w[i].id = i;
        assert_int_equal(pthread_create(&thread[i], NULL, writer_thread,
                                        &w[i]), 0);
    }

    while (tail.expected <= events) {
        rc = ctseg_store_scan(st.store, 0, &pos, tail_cb, &tail, st_soon(),
                              &pos);
        assert_true(rc == CTSEG_OK || rc == CTSEG_AGAIN);
        assert_false(tail.broken);
        assert_true(pos.sequence == tail.expected - 1);
    }

    for (i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(w[i].rc, CTSEG_OK);
    }

    assert_true(tail.expected == events + 1);

    st_free(&st);
}


/* all threads want the same record: each change is made once */

static void *
counter_thread(void *data)
{
    char         text[32];
    uint64_t     rev;
    unsigned     i;
    writer_t    *w;
    ctseg_rc_t   rc;
    ctseg_buf_t  b = { NULL, 0, 0, false };

    w = data;
    w->rc = CTSEG_OK;

    for (i = 0; i < 25 && w->rc == CTSEG_OK; /* void */ ) {
        ctseg_buf_reset(&b);
        rc = ctseg_store_get(w->store, ctseg_str("n"), st_soon(), &b, &rev);

        if (rc != CTSEG_OK && rc != CTSEG_NOTFOUND) {
            w->rc = rc;
            break;
        }

        ctseg_buf_char(&b, '\0');
        (void) snprintf(text, sizeof(text), "%lu",
                        strtoul(b.data, NULL, 10) + 1);
        rc = ctseg_store_put(w->store, ctseg_str("n"), ctseg_str(text),
                             rc == CTSEG_OK ? rev : 0, st_soon(), NULL);

        if (rc == CTSEG_OK) {
            i++;

        } else if (rc != CTSEG_CONFLICT) {
            w->rc = rc;
        }
    }

    ctseg_buf_free(&b);

    return NULL;
}


static void
test_counter(void **state)
{
    st_t          st;
    unsigned      i;
    writer_t      w[WRITERS];
    pthread_t     thread[WRITERS];
    ctseg_buf_t   b = { NULL, 0, 0, false };

    (void) state;
    st_make(&st, 16 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);

    for (i = 0; i < WRITERS; i++) {
        w[i].store = st.store;
        assert_int_equal(pthread_create(&thread[i], NULL, counter_thread,
                                        &w[i]), 0);
    }

    for (i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(w[i].rc, CTSEG_OK);
    }

    assert_int_equal(ctseg_store_get(st.store, ctseg_str("n"), st_soon(), &b,
                                     NULL), CTSEG_OK);
    assert_true(ctseg_str_is(ctseg_buf_slice(&b), "100"));

    ctseg_buf_free(&b);
    st_free(&st);
}


/* the whole log must be one dense row; answers its end */

static uint64_t
check_log(st_t *st)
{
    tail_t        tail;
    ctseg_pos_t   pos = { 0, 0, 0 };

    memset(&tail, 0, sizeof(tail));
    tail.expected = 1;

    assert_int_equal(ctseg_store_scan(st->store, 0, &pos, tail_cb, &tail,
                                      st_soon(), &pos), CTSEG_AGAIN);
    assert_false(tail.broken);

    return pos.sequence;
}


/*
 * All threads have the same events to store, in orders of their own and in
 * groups that overlap.  Who meets a mark asks, drops what is known and tries
 * again, as collectors do; in the end each event is there once.
 */

#define SHARED  240
#define GROUP   12


typedef struct {
    ctseg_store_t  *store;
    unsigned        id;
    unsigned        conflicts;
    ctseg_rc_t      rc;
} sharer_t;


static ctseg_rc_t
share_group(sharer_t *sh, uint64_t seq, unsigned *ids, unsigned n)
{
    bool                    known[GROUP];
    char                    producer[CTSEG_PRODUCER_LEN];
    char                    keys[GROUP][CTSEG_MARK_LEN];
    unsigned                i, left;
    ctseg_rc_t              rc;
    ctseg_block_t           b;
    ctseg_marks_t           marks;
    ctseg_block_builder_t   bb;

    memset(producer, 'A' + (int) sh->id, sizeof(producer));

    for ( ;; ) {
        memset(keys, 0, sizeof(keys));

        for (i = 0; i < n; i++) {
            memcpy(keys[i], &ids[i], sizeof(ids[i]));
        }

        marks.keys = keys[0];
        marks.n = n;
        b = st_block(&bb, n, 1, 0, 10);
        rc = ctseg_store_append_marked(sh->store, 0, producer, seq, &b, 1,
                                       &marks, st_soon(), NULL, NULL);
        ctseg_block_builder_free(&bb);

        if (rc != CTSEG_CONFLICT) {
            return rc;
        }

        sh->conflicts++;
        rc = ctseg_store_marked(sh->store, keys[0], n, st_soon(), known);

        if (rc != CTSEG_OK) {
            return rc;
        }

        for (i = 0, left = 0; i < n; i++) {
            if (!known[i]) {
                ids[left++] = ids[i];
            }
        }

        if (left == n) {
            return CTSEG_CORRUPT;       /* a conflict about nothing */
        }

        n = left;

        if (n == 0) {
            return CTSEG_OK;
        }
    }
}


static void *
sharer_thread(void *data)
{
    unsigned   i, at, n, ids[GROUP];
    uint64_t   seq;
    sharer_t  *sh;

    sh = data;
    n = 0;
    seq = 0;

    for (i = 0; i < SHARED && sh->rc == CTSEG_OK; i++) {
        at = sh->id % 2 ? SHARED - 1 - i : i;
        ids[n++] = at * 7 % SHARED + 1;

        if (n == 3 * sh->id % GROUP + 1 || i == SHARED - 1) {
            sh->rc = share_group(sh, ++seq, ids, n);
            n = 0;
        }
    }

    return NULL;
}


static void
test_marks(void **state)
{
    st_t       st;
    unsigned   i, conflicts;
    sharer_t   sh[WRITERS];
    pthread_t  thread[WRITERS];

    (void) state;
    st_make(&st, 64 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);
    memset(sh, 0, sizeof(sh));

    for (i = 0; i < WRITERS; i++) {
        sh[i].store = st.store;
        sh[i].id = i;
        assert_int_equal(pthread_create(&thread[i], NULL, sharer_thread,
                                        &sh[i]), 0);
    }

    for (i = 0, conflicts = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
        assert_int_equal(sh[i].rc, CTSEG_OK);
        conflicts += sh[i].conflicts;
    }

    assert_true(check_log(&st) == SHARED);
    assert_true(conflicts >= WRITERS - 1);

    st_free(&st);
}


/* a child: opens for itself, appends, leaves without a word */

static pid_t
start_writer(st_t *st, unsigned id, unsigned appends, atomic_ulong *acked)
{
    pid_t     pid;
    uint64_t  events;
    unsigned  i;

    pid = fork();

    if (pid != 0) {
        return pid;
    }

    if (st_open(st) != CTSEG_OK) {
        _exit(2);
    }

    if (acked == NULL) {
        events = 0;

        if (write_some(st->store, id, appends, &events) != CTSEG_OK) {
            _exit(3);
        }

        ctseg_store_close(st->store);
        _exit(0);
    }

    for (i = 1; i <= appends; i++) {

        if (st_append(st->store, "to be killed", i, 5, NULL) != CTSEG_OK) {
            _exit(4);
        }

        atomic_fetch_add(acked, 5);
    }

    _exit(0);
}


static void
test_processes(void **state)
{
    st_t      st;
    pid_t     pid[3];
    unsigned  i;

    (void) state;
    st_make(&st, 64 * ST_MB, 90);

    /* all of them create it at once */

    for (i = 0; i < 3; i++) {
        pid[i] = start_writer(&st, i, 70, NULL);
        assert_true(pid[i] > 0);
    }

    for (i = 0; i < 3; i++) {
        assert_int_equal(st_reap(pid[i]), 0);
    }

    assert_int_equal(st_open(&st), CTSEG_OK);
    assert_true(check_log(&st) == 3 * 10 * 28);

    st_free(&st);
}


/*
 * One process is killed in the midst of appending while another goes on:
 * nothing that was answered is lost, and nobody has to wait or to repair.
 */

static void
kill_once(atomic_ulong *acked, unsigned delay)
{
    st_t         st;
    pid_t        victim, other;
    uint64_t     end;
    ctseg_pos_t  last;

    st_make(&st, 64 * ST_MB, 90);
    atomic_store(acked, 0);

    victim = start_writer(&st, 9, 1000000, acked);
    other = start_writer(&st, 0, 35, NULL);
    assert_true(victim > 0 && other > 0);

    while (atomic_load(acked) < 20) {
        usleep(500);
    }

    usleep(delay);
    assert_int_equal(kill(victim, SIGKILL), 0);
    assert_int_equal(st_reap(victim), -1);
    assert_int_equal(st_reap(other), 0);

    assert_int_equal(st_open(&st), CTSEG_OK);
    end = check_log(&st);
    assert_true(end >= atomic_load(acked) + 5 * 28);
    assert_true(end <= atomic_load(acked) + 5 * 28 + 5);

    /* the producer goes on from what the disk knows */

    assert_int_equal(st_append(st.store, "to be killed", 1, 5, &last),
                     CTSEG_INVALID);
    assert_int_equal(st_append(st.store, "to be killed", 1u << 30, 5, &last),
                     CTSEG_OK);
    assert_true(last.sequence == end + 5);

    st_free(&st);
}


static void
test_kill(void **state)
{
    unsigned       i;
    atomic_ulong  *acked;

    (void) state;

    acked = mmap(NULL, sizeof(atomic_ulong), PROT_READ|PROT_WRITE,
                 MAP_SHARED|MAP_ANONYMOUS, -1, 0);
    assert_true(acked != MAP_FAILED);

    for (i = 0; i < 8; i++) {
        kill_once(acked, i * 137);
    }

    assert_int_equal(munmap(acked, sizeof(atomic_ulong)), 0);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_counter),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_processes),
        cmocka_unit_test(test_kill)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
