/*
 * What the tests of the store share: a directory of their own, a store in
 * it, blocks of events, and a time limit.
 */

#ifndef STORE_TEST_H
#define STORE_TEST_H


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <ftw.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_crc32c.h"
#include "../../../src/base/ctseg_str.h"
#include "../../../src/base/ctseg_time.h"
#include "../../../src/store/ctseg_store.h"


#define ST_MB  (1024ULL * 1024)


/* what a test works on */

typedef struct {
    char                   dir[256];
    ctseg_store_options_t  options;
    ctseg_store_t         *store;       /* NULL: closed */
} st_t;


/*
 * The one place that knows what is under test: another driver is another
 * set of options here, and the same suite runs against it.
 */

static inline ctseg_rc_t
st_open(st_t *st)
{
    ctseg_err_t  err;
    ctseg_rc_t   rc;

    rc = ctseg_store_open(&st->store, &st->options, &err);

    if (rc != CTSEG_OK) {
        (void) fprintf(stderr, "open: %s\n", err.text);
    }

    return rc;
}


static inline int64_t
st_soon(void)
{
    return ctseg_mono_ms() + 20000;
}


static inline void
st_make(st_t *st, uint64_t events_size, unsigned high_water)
{
    char        path[300];
    const char *tmp;

    memset(st, 0, sizeof(st_t));

    tmp = getenv("TMPDIR");
    (void) snprintf(st->dir, sizeof(st->dir), "%.200s/ctseg-store-XXXXXX",
                    tmp == NULL || tmp[0] == '\0' ? "/tmp" : tmp);
    assert_non_null(mkdtemp(st->dir));

    (void) snprintf(path, sizeof(path), "%s/events", st->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    (void) snprintf(path, sizeof(path), "%s/state", st->dir);
    assert_int_equal(mkdir(path, 0700), 0);

    st->options.path = st->dir;
    st->options.events_size = events_size;
    st->options.state_size = 16 * ST_MB;
    st->options.high_water = high_water;
}


static inline int
st_unlink(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
    (void) sb;
    (void) type;
    (void) ftw;

    return remove(path);
}


static inline void
st_free(st_t *st)
{
    ctseg_store_close(st->store);
    st->store = NULL;
    (void) nftw(st->dir, st_unlink, 8, FTW_DEPTH|FTW_PHYS);
}


/* a block of n events; free the builder after use */

static inline ctseg_block_t
st_block(ctseg_block_builder_t *bb, unsigned n, unsigned kind,
    int64_t time_ms, size_t props)
{
    char          *text;
    unsigned       i;
    ctseg_block_t  b;
    ctseg_event_t  ev;

    memset(bb, 0, sizeof(ctseg_block_builder_t));
    memset(&ev, 0, sizeof(ctseg_event_t));

    text = calloc(1, props + 1);

    if (text == NULL) {
        abort();
    }

    memset(text, 'x', props);

    ev.kind = kind;
    ev.id[CTSEG_ID_IDENTITY] = ctseg_str("bob");
    ev.props.data = text;
    ev.props.len = props;

    for (i = 0; i < n; i++) {
        ev.time_ms = time_ms + i;

        if (!ctseg_block_add(bb, &ev)) {
            abort();
        }
    }

    free(text);

    if (ctseg_block_finish(bb, &b) != CTSEG_OK) {
        abort();
    }

    return b;
}


/* the block as versions before the directory wrote it */

static inline void
st_old(ctseg_block_t *b)
{
    b->version = 1;
    b->crc = ctseg_crc32c(0, b->payload.data, b->payload.len);
    memset(&b->directory, 0, sizeof(ctseg_str_t));
}


/* append one block of n events for a producer */

static inline ctseg_rc_t
st_append(ctseg_store_t *s, const char *producer, uint64_t seq, unsigned n,
    ctseg_pos_t *last)
{
    bool                    dup;
    char                    name[CTSEG_PRODUCER_LEN];
    size_t                  len;
    ctseg_rc_t              rc;
    ctseg_block_t           b;
    ctseg_block_builder_t   bb;

    memset(name, 0, sizeof(name));
    len = strlen(producer);
    memcpy(name, producer, len < sizeof(name) ? len : sizeof(name));

    b = st_block(&bb, n, 1, 1000, 10);
    rc = ctseg_store_append(s, 0, name, seq, &b, 1, st_soon(), last, &dup);
    ctseg_block_builder_free(&bb);

    return rc;
}


/* wait for a child: its exit code, or -1 when a signal ended it */

static inline int
st_reap(pid_t pid)
{
    int  status;

    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) {
        return -1;
    }

    return WEXITSTATUS(status);
}


#endif /* STORE_TEST_H */
