/*
 * The store on a disk and a memory that fail: the scenario of disk_test.h is
 * run with the first call of a kind failing, then the second, and so on until
 * it runs through without meeting the fault.  Each answer must be one that
 * its caller knows how to take, and mean what it says: what was answered OK
 * is there, what was certainly not applied is not, and what was left open is
 * there as a whole or not at all.  A store that can be opened on a good disk
 * shows it; nothing may be leaked on the way.
 */

#include <dirent.h>

#include "disk_test.h"


/* descriptors of this process */

static unsigned
fds(void)
{
    DIR       *dir;
    unsigned   n;

    dir = opendir("/proc/self/fd");
    assert_non_null(dir);

    for (n = 0; readdir(dir) != NULL; n++) { /* void */ }

    assert_int_equal(closedir(dir), 0);

    return n;
}


static void
arm(int kinds, int part, int error, bool forever, int64_t n)
{
    ctseg_disk_rule_t  *r;

    memset(&dk_disk, 0, sizeof(dk_disk));
    r = &dk_disk.rule[0];
    r->part = part;
    r->error = error;
    r->forever = forever;
    r->left = n;
    r->kinds = kinds;
}


static void
disarm(void)
{
    dk_disk.rule[0].kinds = 0;
}


/*
 * A failed call told the truth: the store is the one or the other.  True:
 * it was applied.
 */

static bool
settle(st_t *st, ctseg_rc_t rc, dk_model_t *m, const dk_model_t *next)
{
    const char  *old, *new;

    disarm();

    switch (rc) {

    case CTSEG_RETRY:
    case CTSEG_FULL:
    case CTSEG_NOMEM:
        old = st->store == NULL ? NULL : dk_differs(st->store, m);

        if (old != NULL) {
            fail_msg("after %s: %s", ctseg_rc_name(rc), old);
        }

        break;

    case CTSEG_FATAL:
    case CTSEG_AMBIGUOUS:
        break;

    default:
        fail_msg("answered %s", ctseg_rc_name(rc));
    }

    ctseg_store_close(st->store);
    st->store = NULL;
    assert_int_equal(dk_open(st), CTSEG_OK);

    old = dk_differs(st->store, m);

    if (old == NULL) {
        return false;
    }

    new = rc == CTSEG_FATAL || rc == CTSEG_AMBIGUOUS
          ? dk_differs(st->store, next) : "it was not to be applied";

    if (new != NULL) {
        fail_msg("after %s: not as before: %s; nor as after: %s",
                 ctseg_rc_name(rc), old, new);
    }

    *m = *next;

    return true;
}


/* the revision of a record that an unclear put may have written */

static void
learn(st_t *st, dk_model_t *m)
{
    char         key[8];
    unsigned     i;
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(out));

    for (i = 0; i < DK_KEYS; i++) {
        (void) snprintf(key, sizeof(key), "k/%u", i);

        if (m->record[i].tag != 0 && m->record[i].rev == 0) {
            assert_int_equal(ctseg_store_get(st->store, ctseg_str(key),
                                             st_soon(), &out,
                                             &m->record[i].rev), CTSEG_OK);
        }
    }

    ctseg_buf_free(&out);
}


/* FATAL once is FATAL for all that writes, whatever the disk does then */

static void
stays_stopped(st_t *st, const dk_model_t *m)
{
    dk_model_t  ignored;

    assert_int_equal(dk_append(st->store, &dk_steps[0],
                               (ignored = *m, &ignored)), CTSEG_FATAL);
    assert_int_equal(dk_put(st->store, &dk_steps[1],
                            (ignored = *m, &ignored)), CTSEG_FATAL);
}


/* how often the fault was met */

static int64_t
scenario(int kinds, int part, int error, bool forever, int64_t n)
{
    st_t          st;
    unsigned      i;
    int64_t       hits;
    ctseg_rc_t    rc;
    dk_model_t    m, next;

    st_make(&st, DK_EVENTS, 90);
    memset(&m, 0, sizeof(dk_model_t));
    arm(kinds, part, error, forever, n);

    rc = dk_open(&st);

    if (rc != CTSEG_OK) {
        (void) settle(&st, rc, &m, &m);
    }

    for (i = 0; i < DK_STEPS; i++) {
        rc = dk_do(&st, &dk_steps[i], &m, &next);

        if (rc == CTSEG_OK) {
            m = next;
            continue;
        }

        if (rc == CTSEG_FATAL && st.store != NULL
            && dk_steps[i].what != DK_READ)
        {
            disarm();
            stays_stopped(&st, &m);
        }

        if (settle(&st, rc, &m, &next)) {
            learn(&st, &m);

        } else {
            assert_int_equal(dk_do(&st, &dk_steps[i], &m, &next), CTSEG_OK);
            m = next;
        }
    }

    disarm();
    assert_null(dk_differs(st.store, &m));
    ctseg_store_close(st.store);
    assert_int_equal(st_open(&st), CTSEG_OK);
    assert_null(dk_differs(st.store, &m));

    hits = dk_disk.rule[0].hits;
    st_free(&st);

    return hits;
}


static void
sweep(const char *what, int kinds, int error)
{
    int64_t   n, hits;
    unsigned  part, forever, files;

    for (part = CTSEG_DISK_ANY; part < CTSEG_DISK_PARTS; part++) {

        /* meta pages of the log are written like others, and flushed */

        if (kinds == CTSEG_DISK_META && part == CTSEG_DISK_EVENTS) {
            continue;
        }

        for (forever = 0; forever < 2; forever++) {
            files = fds();

            for (n = 1; /* void */ ; n++) {
#ifdef CTSEG_DISK_MEMORY
                int64_t  live = ctseg_disk_live;
#endif

                hits = scenario(kinds, (int) part, error, forever != 0, n);

#ifdef CTSEG_DISK_MEMORY
                if (n > 1 && ctseg_disk_live != live) {
                    fail_msg("%s, call %d: %d pieces of memory leaked", what,
                             (int) n, (int) (ctseg_disk_live - live));
                }
#endif

                if (hits == 0) {
                    break;
                }
            }

            assert_int_equal(fds(), files);
            print_message("# %s, part %u, %s: %d calls\n", what, part,
                          forever ? "from then on" : "once", (int) n - 1);

            /* a sweep that meets nothing shows nothing */

            assert_true(n > 1);

            if (kinds == CTSEG_DISK_ALLOC) {
                break;
            }
        }

        if (kinds == CTSEG_DISK_ALLOC) {
            break;
        }
    }
}


static void
test_write(void **state)
{
    (void) state;

    sweep("write EIO", CTSEG_DISK_WRITE, EIO);
    sweep("write ENOSPC", CTSEG_DISK_WRITE, ENOSPC);
    sweep("write short", CTSEG_DISK_WRITE, CTSEG_DISK_SHORT);
}


static void
test_meta(void **state)
{
    (void) state;

    sweep("meta EIO", CTSEG_DISK_META, EIO);
    sweep("meta ENOSPC", CTSEG_DISK_META, ENOSPC);
    sweep("meta short", CTSEG_DISK_META, CTSEG_DISK_SHORT);
}


static void
test_sync(void **state)
{
    (void) state;

    sweep("sync EIO", CTSEG_DISK_SYNC, EIO);
    sweep("sync ENOSPC", CTSEG_DISK_SYNC, ENOSPC);
}


static void
test_resize(void **state)
{
    (void) state;

#ifdef CTSEG_DISK_MEMORY
    sweep("resize ENOSPC", CTSEG_DISK_RESIZE, ENOSPC);
    sweep("resize ENOMEM", CTSEG_DISK_RESIZE, ENOMEM);
#endif
}


static void
test_alloc(void **state)
{
    (void) state;

#ifdef CTSEG_DISK_MEMORY
    sweep("malloc", CTSEG_DISK_ALLOC, ENOMEM);
#endif
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_meta),
        cmocka_unit_test(test_sync),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_alloc)
    };

    dk_init();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
