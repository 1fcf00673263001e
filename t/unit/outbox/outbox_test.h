/*
 * What the tests of this room share: a log made of parts, each some events
 * that are alike, and a definition with its partner.
 */

#ifndef OUTBOX_TEST_H
#define OUTBOX_TEST_H


#include "store/store_test.h"
#include "segment/segment_test.h"

#include "outbox/ctseg_cut.h"
#include "outbox/ctseg_read.h"


#define OT_KEY  "theWriteKey"


/* n events of this name; without an identity they are rejected */

typedef struct {
    unsigned     n;
    const char  *name;
    const char  *identity;
    int64_t      time_ms;
    size_t       pad;                   /* bytes of properties, 0: none */
} ot_part_t;


static inline st_t *
ot_make(uint64_t events_size)
{
    static st_t  st;

    st_make(&st, events_size, 0);
    assert_int_equal(st_open(&st), CTSEG_OK);

    return &st;
}


/* properties of so many bytes */

static inline ctseg_str_t
ot_props(size_t pad)
{
    ctseg_str_t  props;

    static char  text[CTSEG_PROPS_LEN_MAX];

    memset(text, 'x', pad);
    memcpy(text, "{\"p\":\"", 6);
    memcpy(text + pad - 2, "\"}", 2);

    props.data = text;
    props.len = pad;

    return props;
}


/* whether blocks are to be of version 1 */

static bool  ot_old;


static inline int
ot_set_old(void **state)
{
    (void) state;
    ot_old = true;

    return 0;
}


static inline int
ot_set_new(void **state)
{
    (void) state;
    ot_old = false;

    return 0;
}


/* a test, and the same over blocks of version 1 */

#define ot_unit_tests(f)                                                      \
    cmocka_unit_test(f),                                                      \
    cmocka_unit_test_setup_teardown(f, ot_set_old, ot_set_new)


/* one block of these parts, appended at once; damaged: its sum is wrong */

static inline void
ot_append(st_t *st, const ot_part_t *parts, unsigned nparts, bool damaged)
{
    bool                   dup;
    unsigned               i, n;
    ctseg_pos_t            last;
    ctseg_block_t          b;
    ctseg_event_t          ev;
    ctseg_block_builder_t  bb;

    static uint64_t  seq;

    memset(&bb, 0, sizeof(bb));

    for (i = 0; i < nparts; i++) {
        test_event(&ev, parts[i].name, parts[i].identity, "");
        ev.time_ms = parts[i].time_ms;

        if (parts[i].pad != 0) {
            ev.props = ot_props(parts[i].pad);
        }

        for (n = 0; n < parts[i].n; n++) {
            assert_true(ctseg_block_add(&bb, &ev));
        }
    }

    assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_OK);

    if (ot_old) {
        st_old(&b);
    }

    b.crc ^= damaged;

    assert_int_equal(ctseg_store_append(st->store, 0, "the-only-producer",
                                        ++seq, &b, 1, st_soon(), &last,
                                        &dup), CTSEG_OK);
    ctseg_block_builder_free(&bb);
}


/* n events that are wanted */

static inline void
ot_append_n(st_t *st, unsigned n)
{
    ot_part_t  part = { n, "App Launched", "u", TEST_TIME_MS, 0 };

    ot_append(st, &part, 1, false);
}


/* a moment between what was appended and what will be */

static inline int64_t
ot_moment(void)
{
    int64_t  ms;

    ms = ctseg_now_ms() + 1;

    while (ctseg_now_ms() < ms) { /* void */ }

    return ms;
}


/* everything in blocks that are there now is trimmed, up to a sequence */

static inline void
ot_trim(st_t *st, uint64_t keep_from)
{
    uint64_t  removed;

    (void) ctseg_store_trim(st->store, 0, ctseg_now_ms() + 1000, keep_from,
                            100, st_soon(), &removed);
}


static inline void
ot_export(ctseg_export_t *e, ctseg_freq_t freq)
{
    memset(e, 0, sizeof(ctseg_export_t));

    e->type = CTSEG_TYPE_EVENT;
    e->set = CTSEG_SET_ALL;
    e->kinds = ctseg_catalog_set(CTSEG_SET_ALL);
    e->priority[0] = CTSEG_ID_IDENTITY;
    e->npriority = 1;
    e->freq = freq;
    e->from_ms = INT64_MIN;
    e->to_ms = INT64_MAX;
    e->status = CTSEG_PENDING;
    e->revision = 1;
}


static inline void
ot_partner(ctseg_partner_t *p)
{
    memset(p, 0, sizeof(ctseg_partner_t));

    (void) snprintf(p->write_key, sizeof(p->write_key), OT_KEY);
    p->user_id.field = CTSEG_ID_IDENTITY;
    p->anonymous_id.field = CTSEG_ID_OBJECT;
}


#endif /* OUTBOX_TEST_H */
