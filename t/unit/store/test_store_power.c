/*
 * The store when the power goes.  What the disk surely holds is what was
 * synced; of the writes since then it holds any part.  The scenario of
 * disk_test.h is run, and before each sync and each write of a meta page a
 * disk is made for each of: none of those writes, a part of them from the
 * front, any of them by chance, and the last one torn.  A store opened on
 * such a disk must hold all that was acknowledged, and of the call that was
 * under way all or nothing, and must take more.
 *
 * The second time commits of the log wait for no flush of their meta page, as
 * while they follow each other closely.  Then the last one that was answered
 * may be missing, as a whole, and nothing else.
 *
 * It knows contents of files, not directories: that the name of a new file
 * survives is not shown here.  CTSEG_SEEDS=1..100 makes a hundred runs, each
 * with other chances; what fails once can be had again by its seed.
 */

#include "disk_test.h"
#include "../../../src/store/ctseg_store_lmdb_int.h"


#define MAX_SIZE    (4 * ST_MB)         /* of a file of the scenario */
#define MAX_WRITES  256
#define SECTOR      512


typedef struct {
    size_t  at;
    size_t  n;
    char   *data;
} change_t;

/* a file, as the disk surely holds it, and what was written since */

typedef struct {
    bool      known;
    size_t    len;
    char     *data;
    unsigned  n;
    change_t  change[MAX_WRITES];
} file_t;


static file_t             files[CTSEG_DISK_PARTS];
static const dk_model_t  *before, *after;       /* the call under way */
static const dk_model_t  *missing;              /* without the call that was
                                                   answered last; NULL: that
                                                   is durable */
static uint64_t           chance;
static unsigned           seed;
static unsigned           disks;                /* that were made */
static unsigned           done;                 /* of them show "after" */
static unsigned           lost;                 /* ... "missing" */


/* xorshift: the same seed makes the same disks */

static unsigned
some(unsigned n)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;

    return (unsigned) (chance >> 33) % n;
}


static bool
is_data(int fd, char *path, size_t size)
{
    char     link[64];
    ssize_t  n;

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, size - 1);
    path[n > 0 ? n : 0] = '\0';

    return n > 9 && strcmp(path + n - 9, "/data.mdb") == 0;
}


static void
apply(char *data, size_t *len, const change_t *c, size_t n)
{
    assert_true(c->at + n <= MAX_SIZE);

    if (c->at > *len) {
        memset(data + *len, 0, c->at - *len);
    }

    memcpy(data + c->at, c->data, n);
    *len = c->at + n > *len ? c->at + n : *len;
}


static void
forget(file_t *f)
{
    unsigned  i;

    for (i = 0; i < f->n; i++) {
        free(f->change[i].data);
    }

    f->n = 0;
}


/* ---- one disk ---- */

static void
save(const char *dir, const char *name, const char *data, size_t len)
{
    char   path[300];
    FILE  *f;

    (void) snprintf(path, sizeof(path), "%s/%s/data.mdb", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}


static void
examine(st_t *st)
{
    uint64_t     rev;
    ctseg_rc_t   rc;
    ctseg_pos_t  last;
    const char  *old, *new, *less;

    rc = dk_open(st);

    if (rc != CTSEG_OK) {
        fail_msg("seed %u, disk %u: it does not open: %s", seed, disks,
                 ctseg_rc_name(rc));
    }

    old = dk_differs(st->store, before);
    new = dk_differs(st->store, after);

    if (old != NULL && new != NULL && missing != NULL) {
        less = dk_differs(st->store, missing);

        if (less == NULL) {
            lost++;
            return;
        }
    }

    if (old != NULL && new != NULL) {
        fail_msg("seed %u, disk %u: not as before: %s; nor as after: %s",
                 seed, disks, old, new);
    }

    done += new == NULL && old != NULL;

    assert_int_equal(st_append(st->store, "other", 1, 2, &last), CTSEG_OK);
    assert_int_equal(last.sequence, 2 + (old == NULL ? before : after)->last);
    assert_int_equal(ctseg_store_put(st->store, ctseg_str("z"),
                                     ctseg_str("z"), 0, st_soon(), &rev),
                     CTSEG_OK);
}


/*
 * The writes since the last sync that are on this disk: bit i of "which"
 * stands for the i-th, "torn" is how much of the last of them.
 */

typedef bool (*pick_pt)(const file_t *f, unsigned i, size_t *n);


static void
disk(pick_pt pick)
{
    st_t          st;
    size_t        n, len;
    unsigned      part, i;
    ctseg_disk_watch_pt  watch;

    static char  data[MAX_SIZE];
    static const char  *name[] = { "", "events", "state" };

    watch = ctseg_disk_watch;
    ctseg_disk_watch = NULL;
    dk_off();

    disks++;
    st_make(&st, DK_EVENTS, 90);

    for (part = CTSEG_DISK_EVENTS; part < CTSEG_DISK_PARTS; part++) {
        len = files[part].len;

        if (len != 0) {
            memcpy(data, files[part].data, len);
        }

        for (i = 0; i < files[part].n; i++) {
            n = files[part].change[i].n;

            if (pick(&files[part], i, &n)) {
                apply(data, &len, &files[part].change[i], n);
            }
        }

        if (len != 0) {
            save(st.dir, name[part], data, len);
        }
    }

    examine(&st);
    st_free(&st);

    ctseg_disk_watch = watch;
    dk_on();
}


static unsigned  prefix;


static bool
pick_none(const file_t *f, unsigned i, size_t *n)
{
    (void) f;
    (void) i;
    (void) n;

    return false;
}


static bool
pick_prefix(const file_t *f, unsigned i, size_t *n)
{
    (void) f;
    (void) n;

    return i < prefix;
}


/* the last of a prefix ends at a border of sectors or of pages */

static bool
pick_torn(const file_t *f, unsigned i, size_t *n)
{
    size_t  unit;

    if (i + 1 == prefix || i + 1 == f->n) {
        unit = some(2) ? SECTOR : 4096;
        *n = *n <= unit ? 0 : *n - (1 + some((unsigned) (*n / unit))) * unit;
    }

    return i < prefix && *n != 0;
}


static bool
pick_some(const file_t *f, unsigned i, size_t *n)
{
    (void) f;
    (void) i;

    if (some(4) == 0 && *n > SECTOR) {
        *n -= some((unsigned) (*n / SECTOR)) * SECTOR;
    }

    return some(2) != 0;
}


static void
lose_power(const file_t *f)
{
    disk(pick_none);

    if (f->n == 0) {
        return;
    }

    prefix = f->n;                      /* all of them: only not synced */
    disk(pick_prefix);
    prefix = some(f->n) + 1;
    disk(pick_prefix);
    disk(pick_torn);
    prefix = f->n;
    disk(pick_torn);
    disk(pick_some);
    disk(pick_some);
}


/* ---- the true one ---- */

/* a file is seen first when it has been put in place as a whole */

static void
first_seen(file_t *f, const char *path)
{
    FILE  *in;

    f->known = true;
    in = fopen(path, "r");
    assert_non_null(in);
    f->len = fread(f->data, 1, MAX_SIZE, in);
    assert_int_equal(fclose(in), 0);
}


static void
watch(int kind, int part, int fd, off_t at, const void *data, size_t n)
{
    char       path[4096];
    file_t    *f;
    unsigned   i;
    change_t  *c;

    f = &files[part];

    if (!is_data(fd, path, sizeof(path))) {
        return;
    }

    if (!f->known) {
        first_seen(f, path);
    }

    if (kind == CTSEG_DISK_SYNC) {
        lose_power(f);

        for (i = 0; i < f->n; i++) {
            apply(f->data, &f->len, &f->change[i], f->change[i].n);
        }

        forget(f);
        return;
    }

    assert_true(f->n < MAX_WRITES);
    c = &f->change[f->n++];
    c->at = (size_t) at;
    c->n = n;
    c->data = malloc(n);
    assert_non_null(c->data);
    memcpy(c->data, data, n);

    if (kind == CTSEG_DISK_META) {

        /* on the disk before the call returns, but for all we know alone */

        lose_power(f);
        f->n--;
        apply(f->data, &f->len, c, n);
        free(c->data);
    }
}


static bool
is_of_log(const dk_step_t *step)
{
    return step->what == DK_APPEND || step->what == DK_TRIM;
}


static void
run(bool follow)
{
    st_t         st;
    unsigned     i;
    dk_model_t   m, next, without;

    chance = (uint64_t) seed * 0x9e3779b97f4a7c15 + 1;

    for (i = CTSEG_DISK_EVENTS; i < CTSEG_DISK_PARTS; i++) {
        files[i].known = false;
        files[i].len = 0;
        files[i].data = malloc(MAX_SIZE);
        assert_non_null(files[i].data);
    }

    st_make(&st, DK_EVENTS, 90);
    memset(&m, 0, sizeof(dk_model_t));
    before = &m;
    after = &next;
    next = m;
    missing = NULL;

    ctseg_disk_watch = watch;
    assert_int_equal(dk_open(&st), CTSEG_OK);

    for (i = 0; i < DK_STEPS; i++) {
        if (follow) {
            ((ctseg_lmdb_t *) st.store)->events.late = false;
        }

        assert_int_equal(dk_do(&st, &dk_steps[i], &m, &next), CTSEG_OK);

        without = m;
        missing = follow && is_of_log(&dk_steps[i]) ? &without : NULL;
        m = next;

        /* after the answer nothing less will do */

        dk_on();
        disk(pick_none);
        dk_off();
    }

    ctseg_disk_watch = NULL;
    st_free(&st);

    for (i = CTSEG_DISK_EVENTS; i < CTSEG_DISK_PARTS; i++) {
        forget(&files[i]);
        free(files[i].data);
        files[i].data = NULL;
    }
}


static void
test_power(void **state)
{
    unsigned     first, last;
    const char  *text;

    (void) state;

    text = getenv("CTSEG_SEEDS");
    first = 1;
    last = 2;

    if (text != NULL && sscanf(text, "%u..%u", &first, &last) == 1) {
        last = first;
    }

    for (seed = first; seed <= last; seed++) {
        run(false);
    }

    print_message("# %u disks, %u of them with what was under way\n", disks,
                  done);

    /* had none of them anything new, nothing would have been cut short */

    assert_true(disks > 100 && done > 10 && done < disks / 2);

    for (seed = first; seed <= last; seed++) {
        run(true);
    }

    print_message("# %u disks, %u of them without what was answered last\n",
                  disks, lost);

    assert_true(lost > 10);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_power)
    };

    dk_init();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
