/*
 * What the tests of bad disks and lost power share: a scenario that uses all
 * of the store, a model of what it has been told and of what the call that is
 * under way may add, and the comparison of a store with such a model.  Faults
 * and the sight of writes come from t/fault/ctseg_disk.c.
 */

#ifndef DISK_TEST_H
#define DISK_TEST_H


#include "../../fault/ctseg_disk.c"

#include "store_test.h"

/* so that the scenario has whole spans, and removes some */

#define CTSEG_LMDB_SPAN_BLOCKS  3
#include "../../../src/store/ctseg_store_lmdb_span.c"


#define DK_BLOCKS   32
#define DK_KEYS     6
#define DK_TAGS     64
#define DK_EVENTS   (8 * ST_MB)


typedef enum {
    DK_APPEND = 0,                      /* n blocks of m events */
    DK_PUT,                             /* record n, m bytes */
    DK_DELETE,                          /* record n */
    DK_TRIM,                            /* up to n blocks */
    DK_READ,
    DK_REOPEN
} dk_what_t;

typedef struct {
    dk_what_t  what;
    unsigned   n;
    unsigned   m;
    size_t     props;
} dk_step_t;


/*
 * Small and large, a change of each kind behind each other kind, and twice
 * over, so that pages are freed and used again.
 */

static const dk_step_t  dk_steps[] = {
    { DK_APPEND, 1, 3, 10 },
    { DK_PUT, 0, 40, 0 },
    { DK_APPEND, 2, 20, 900 },
    { DK_PUT, 1, 9000, 0 },
    { DK_PUT, 0, 60, 0 },
    { DK_READ, 0, 0, 0 },
    { DK_APPEND, 1, 1, 30000 },
    { DK_PUT, 2, 100, 0 },
    { DK_TRIM, 1, 0, 0 },
    { DK_PUT, 1, 200, 0 },
    { DK_APPEND, 3, 5, 2000 },
    { DK_REOPEN, 0, 0, 0 },
    { DK_READ, 0, 0, 0 },
    { DK_DELETE, 0, 0, 0 },
    { DK_APPEND, 1, 40, 100 },
    { DK_PUT, 0, 5000, 0 },
    { DK_TRIM, 3, 0, 0 },
    { DK_APPEND, 2, 2, 9000 },
    { DK_PUT, 3, 20, 0 },
    { DK_DELETE, 2, 0, 0 },
    { DK_PUT, 2, 12000, 0 },
    { DK_APPEND, 1, 7, 10 },
    { DK_READ, 0, 0, 0 }
};

#define DK_STEPS  (sizeof(dk_steps) / sizeof(dk_steps[0]))


typedef struct {
    unsigned  tag;                      /* tells one block from any other */
    unsigned  count;
    size_t    props;
} dk_block_t;

typedef struct {
    unsigned  tag;                      /* 0: there is none */
    size_t    len;
    uint64_t  rev;                      /* 0: not known */
} dk_record_t;

typedef struct {
    uint64_t     last;
    unsigned     nblocks;               /* kept */
    dk_block_t   block[DK_BLOCKS];
    dk_record_t  record[DK_KEYS];
    unsigned     tags;
    bool         marked[DK_TAGS];       /* blocks that were stored */
    uint64_t     seq;                   /* of the producer */
} dk_model_t;


static ctseg_disk_t  dk_disk;


/* only what the store does is seen, counted and failed */

static inline void
dk_on(void)
{
    ctseg_disk = &dk_disk;
}


static inline void
dk_off(void)
{
    ctseg_disk = NULL;
}


/* nothing is to outlive the test, so a disk in memory does, where it is */

static inline void
dk_init(void)
{
    ctseg_disk_unsynced = true;

    if (getenv("TMPDIR") == NULL && access("/dev/shm", W_OK) == 0) {
        (void) setenv("TMPDIR", "/dev/shm", 1);
    }
}


static inline ctseg_rc_t
dk_open(st_t *st)
{
    ctseg_err_t  err;
    ctseg_rc_t   rc;

    dk_on();
    rc = ctseg_store_open(&st->store, &st->options, &err);
    dk_off();

    return rc;
}


/* ---- what a store holds, compared with a model ---- */

typedef struct {
    const dk_model_t  *m;
    unsigned           i;
    uint64_t           next;
    unsigned           seen;            /* records */
    const char        *wrong;
} dk_look_t;


static inline ctseg_next_t
dk_look_block(void *data, const ctseg_block_t *b)
{
    size_t             n;
    unsigned           i;
    dk_look_t         *look;
    ctseg_str_t        rest;
    ctseg_event_t      ev;
    const dk_block_t  *want;

    look = data;

    if (look->i == look->m->nblocks) {
        look->wrong = "a block too many";
        return CTSEG_ENOUGH;
    }

    want = &look->m->block[look->i++];

    if (b->first != look->next || b->count != want->count) {
        look->wrong = "another block";
        return CTSEG_ENOUGH;
    }

    if (ctseg_block_verify(b) != CTSEG_OK) {
        look->wrong = "a checksum";
        return CTSEG_ENOUGH;
    }

    look->next += b->count;
    rest = b->payload;

    for (i = 0; i < b->count; i++) {
        if (ctseg_event_decode(&rest, &ev) != CTSEG_OK
            || ev.time_ms != want->tag * 1000LL + i
            || ev.props.len != want->props)
        {
            look->wrong = "another event";
            return CTSEG_ENOUGH;
        }

        for (n = 0; n < ev.props.len; n++) {
            if (ev.props.data[n] != 'x') {
                look->wrong = "other properties";
                return CTSEG_ENOUGH;
            }
        }
    }

    return CTSEG_GO_ON;
}


static inline ctseg_next_t
dk_look_record(void *data, ctseg_str_t key, ctseg_str_t value, uint64_t rev)
{
    size_t              n;
    dk_look_t          *look;
    const dk_record_t  *want;

    look = data;
    look->seen++;
    want = &look->m->record[(unsigned) (key.data[2] - '0') % DK_KEYS];

    if (want->tag == 0 || value.len != want->len
        || (want->rev != 0 && want->rev != rev))
    {
        look->wrong = "another record";
        return CTSEG_ENOUGH;
    }

    for (n = 0; n < value.len; n++) {
        if (value.data[n] != (char) want->tag) {
            look->wrong = "half a record";
            return CTSEG_ENOUGH;
        }
    }

    return CTSEG_GO_ON;
}


/* each block has a mark, by its tag */

static inline void
dk_mark(char key[CTSEG_MARK_LEN], unsigned tag)
{
    memset(key, (int) (tag * 37 & 0xff), CTSEG_MARK_LEN);
}


static inline ctseg_rc_t
dk_marked(ctseg_store_t *s, bool known[DK_TAGS])
{
    char      keys[DK_TAGS][CTSEG_MARK_LEN];
    unsigned  i;

    for (i = 0; i < DK_TAGS; i++) {
        dk_mark(keys[i], i);
    }

    return ctseg_store_marked(s, keys[0], DK_TAGS, st_soon(), known);
}


/*
 * A scan for what nobody has is told all the same where it is, be it by spans
 * or by blocks; *data is the last sequence it was told of.
 */

static inline ctseg_next_t
dk_look_passed(void *data, const ctseg_block_t *b)
{
    uint64_t  *last = data;

    if (b->first != *last + 1 || b->damaged) {
        return CTSEG_UNTAKEN;
    }

    *last = ctseg_block_last(b);

    return CTSEG_GO_ON;
}


/* and one for a single event must be told of its block */

static inline const char *
dk_spans_differ(ctseg_store_t *s, const dk_model_t *m, ctseg_pos_t from)
{
    uint64_t      last;
    unsigned      i;
    dk_look_t     look;
    dk_model_t    one;
    ctseg_rc_t    rc;
    ctseg_want_t  want;
    ctseg_pos_t   next;

    last = from.sequence;
    want.kinds = 2;
    want.from_ms = -1;
    want.to_ms = 0;
    want.mem = NULL;

    rc = ctseg_store_scan_for(s, 0, &from, &want, dk_look_passed, &last,
                              st_soon(), &next);

    if (rc != CTSEG_AGAIN || last != m->last || next.sequence != m->last) {
        return "a gap in the spans";
    }

    want.to_ms = INT64_MAX;

    for (i = 0; i < m->nblocks; i++) {
        memset(&look, 0, sizeof(dk_look_t));
        look.m = &one;
        one = *m;
        one.nblocks = m->nblocks - i;
        memmove(one.block, one.block + i, one.nblocks * sizeof(dk_block_t));
        look.next = from.sequence + 1;
        want.from_ms = one.block[0].tag * 1000LL;

        rc = ctseg_store_scan_for(s, 0, &from, &want, dk_look_block, &look,
                                  st_soon(), &next);

        if (rc != CTSEG_AGAIN || look.wrong != NULL) {
            return "a span hides a block";
        }

        from.sequence += one.block[0].count;
    }

    return NULL;
}


/* NULL: the store holds what the model says; else what is wrong */

static inline const char *
dk_differs(ctseg_store_t *s, const dk_model_t *m)
{
    bool            known[DK_TAGS];
    unsigned        i, records;
    uint64_t        kept;
    dk_look_t       look;
    ctseg_rc_t      rc;
    ctseg_pos_t     from, next;
    ctseg_bounds_t  b;

    memset(&look, 0, sizeof(dk_look_t));
    look.m = m;

    if (ctseg_store_bounds(s, 0, st_soon(), &b) != CTSEG_OK) {
        return "no bounds";
    }

    for (i = 0, kept = 0; i < m->nblocks; i++) {
        kept += m->block[i].count;
    }

    if (b.last != m->last) {
        return "another head";
    }

    if (b.first != (kept == 0 ? 0 : m->last - kept + 1)) {
        return "another front";
    }

    memset(&from, 0, sizeof(from));
    from.incarnation = b.incarnation;
    from.sequence = m->last - kept;
    look.next = from.sequence + 1;

    rc = ctseg_store_scan(s, 0, &from, dk_look_block, &look, st_soon(),
                          &next);

    if (look.wrong != NULL) {
        return look.wrong;
    }

    if (rc != CTSEG_AGAIN || next.sequence != m->last
        || look.i != m->nblocks)
    {
        return "a gap in the log";
    }

    look.wrong = dk_spans_differ(s, m, from);

    if (look.wrong != NULL) {
        return look.wrong;
    }

    if (dk_marked(s, known) != CTSEG_OK) {
        return "no marks";
    }

    for (i = 0; i < DK_TAGS; i++) {
        if (known[i] != m->marked[i]) {
            return known[i] ? "a mark without its block"
                            : "a block without its mark";
        }
    }

    for (i = 0, records = 0; i < DK_KEYS; i++) {
        records += m->record[i].tag != 0;
    }

    rc = ctseg_store_list(s, ctseg_str("k/"), ctseg_str(""), 0,
                          dk_look_record, &look, st_soon(), NULL);

    if (look.wrong != NULL) {
        return look.wrong;
    }

    return rc != CTSEG_OK || look.seen != records ? "a record less" : NULL;
}


/* ---- the scenario ---- */

static inline ctseg_next_t
dk_pass_block(void *data, const ctseg_block_t *b)
{
    (void) data;
    (void) b;

    return CTSEG_GO_ON;
}


static inline ctseg_next_t
dk_pass_record(void *data, ctseg_str_t key, ctseg_str_t value, uint64_t rev)
{
    (void) data;
    (void) key;
    (void) value;
    (void) rev;

    return CTSEG_GO_ON;
}


/* every call that reads, up to the first that fails */

static inline ctseg_rc_t
dk_read(ctseg_store_t *s)
{
    bool             known[DK_TAGS];
    uint64_t         rev;
    ctseg_rc_t       rc;
    ctseg_pos_t      from, next;
    ctseg_buf_t      out;
    ctseg_usage_t    usage;
    ctseg_bounds_t   b;

    memset(&out, 0, sizeof(out));
    memset(&from, 0, sizeof(from));

    dk_on();

    rc = ctseg_store_bounds(s, 0, st_soon(), &b);

    if (rc == CTSEG_OK) {
        from.incarnation = b.incarnation;
        from.sequence = b.first - 1;
        rc = ctseg_store_scan(s, 0, &from, dk_pass_block, NULL, st_soon(),
                              &next);
        rc = rc == CTSEG_AGAIN ? CTSEG_OK : rc;
    }

    if (rc == CTSEG_OK) {
        rc = dk_marked(s, known);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_store_seek(s, 0, 1000, st_soon(), &next);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_store_list(s, ctseg_str("k/"), ctseg_str(""), 0,
                              dk_pass_record, NULL, st_soon(), NULL);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_store_get(s, ctseg_str("k/1"), st_soon(), &out, &rev);
        rc = rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_store_wait(s, 0, 0, &rev);
        rc = rc == CTSEG_AGAIN ? CTSEG_OK : rc;
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_store_usage(s, &usage);
    }

    dk_off();
    ctseg_buf_free(&out);

    return rc;
}


static inline ctseg_rc_t
dk_append(ctseg_store_t *s, const dk_step_t *step, dk_model_t *next)
{
    bool                    dup;
    char                    keys[4][CTSEG_MARK_LEN];
    unsigned                i;
    ctseg_rc_t              rc;
    dk_block_t             *want;
    ctseg_marks_t           marks;
    ctseg_pos_t             last;
    ctseg_block_t           b[4];
    ctseg_block_builder_t   bb[4];

    static const char  producer[CTSEG_PRODUCER_LEN] = "one";

    next->seq++;

    for (i = 0; i < step->n; i++) {
        want = &next->block[next->nblocks++];
        want->tag = ++next->tags;
        assert_true(want->tag < DK_TAGS);
        next->marked[want->tag] = true;
        dk_mark(keys[i], want->tag);
        want->count = step->m;
        want->props = step->props;
        next->last += step->m;

        b[i] = st_block(&bb[i], step->m, 1, want->tag * 1000LL, step->props);
    }

    marks.keys = keys[0];
    marks.n = step->n;

    dk_on();
    rc = ctseg_store_append_marked(s, 0, producer, next->seq, b, step->n,
                                   &marks, st_soon(), &last, &dup);
    dk_off();

    for (i = 0; i < step->n; i++) {
        ctseg_block_builder_free(&bb[i]);
    }

    if (rc == CTSEG_OK) {
        assert_int_equal(last.sequence, next->last);
    }

    return rc;
}


static inline ctseg_rc_t
dk_put(ctseg_store_t *s, const dk_step_t *step, dk_model_t *next)
{
    char          key[8], value[16384];
    uint64_t      expect, rev;
    ctseg_rc_t    rc;
    dk_record_t  *want;
    ctseg_str_t   v = { 0, NULL };

    want = &next->record[step->n];
    expect = want->rev;
    want->rev = 0;
    (void) snprintf(key, sizeof(key), "k/%u", step->n);

    if (step->what == DK_PUT) {
        want->tag = ++next->tags;
        want->len = step->m;
        memset(value, (int) want->tag, step->m);
        v.data = value;
        v.len = step->m;

    } else {
        want->tag = 0;
    }

    dk_on();
    rc = ctseg_store_put(s, ctseg_str(key), v, expect, st_soon(), &rev);
    dk_off();

    if (rc == CTSEG_OK && step->what == DK_PUT) {
        want->rev = rev;
    }

    return rc;
}


/*
 * One step of the scenario.  m is what holds before it, next what holds when
 * it answers OK.
 */

static inline ctseg_rc_t
dk_do(st_t *st, const dk_step_t *step, const dk_model_t *m, dk_model_t *next)
{
    unsigned     i;
    uint64_t     removed;
    ctseg_rc_t   rc;

    *next = *m;

    switch (step->what) {

    case DK_APPEND:
        return dk_append(st->store, step, next);

    case DK_PUT:
    case DK_DELETE:
        return dk_put(st->store, step, next);

    case DK_TRIM:
        for (i = step->n; i < m->nblocks; i++) {
            next->block[i - step->n] = m->block[i];
        }

        next->nblocks -= step->n;

        dk_on();
        rc = ctseg_store_trim(st->store, 0, INT64_MAX, UINT64_MAX, step->n,
                              st_soon(), &removed);
        dk_off();

        return rc == CTSEG_AGAIN ? CTSEG_OK : rc;

    case DK_READ:
        return dk_read(st->store);

    default:
        ctseg_store_close(st->store);
        st->store = NULL;

        return dk_open(st);
    }
}


#endif /* DISK_TEST_H */
