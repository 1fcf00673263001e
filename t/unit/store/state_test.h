/*
 * What the tests of typed records share: a store, a partner, an export, and
 * ways to undo or to spoil a record by hand.
 */

#ifndef STATE_TEST_H
#define STATE_TEST_H


#include "store_test.h"

#include "../../../src/store/ctseg_record.h"
#include "../../../src/store/ctseg_state.h"


#define MINUTE  60000


static inline st_t *
make(void)
{
    static st_t  st;

    st_make(&st, 16 * ST_MB, 90);
    assert_int_equal(st_open(&st), CTSEG_OK);

    return &st;
}


static inline void
fill_partner(ctseg_partner_t *p, const char *nickname)
{
    memset(p, 0, sizeof(ctseg_partner_t));
    (void) snprintf(p->nickname, sizeof(p->nickname), "%s", nickname);
    (void) snprintf(p->write_key, sizeof(p->write_key), "secret-%s",
                    nickname);
    p->region = CTSEG_REGION_EU;
    p->user_id.field = -1;
    (void) snprintf(p->user_id.property, sizeof(p->user_id.property), "uid");
    p->anonymous_id.field = CTSEG_ID_OBJECT;
}


static inline ctseg_partner_t
create_partner(ctseg_store_t *s, const char *nickname, int64_t now_ms)
{
    ctseg_partner_t  p;

    fill_partner(&p, nickname);
    assert_int_equal(ctseg_partner_create(s, &p, now_ms, NULL), CTSEG_OK);

    return p;
}


static inline ctseg_export_t
create_export(ctseg_store_t *s, const char *partner_id, int64_t now_ms)
{
    ctseg_export_t  e;

    memset(&e, 0, sizeof(e));
    memcpy(e.partner_id, partner_id, sizeof(e.partner_id));
    e.type = CTSEG_TYPE_EVENT;
    e.set = CTSEG_SET_SELECTED;
    e.kinds = 6;
    e.priority[0] = CTSEG_ID_EMAIL;
    e.priority[1] = CTSEG_ID_PHONE;
    e.npriority = 2;
    e.mapping.context = true;
    e.mapping.names = CTSEG_NAMES_CANONICAL;
    e.mapping.future = CTSEG_FUTURE_CLAMP;
    memset(e.mapping.integrations, 'i', CTSEG_INTEGRATIONS_MAX);
    e.freq = CTSEG_FREQ_RECURRING;
    (void) snprintf(e.range, sizeof(e.range), "last_7_days");
    (void) snprintf(e.from, sizeof(e.from), "2026-01-02");
    e.from_ms = -1;
    e.to_ms = INT64_MAX;
    e.every_hours = 24;
    e.status = CTSEG_PENDING;
    e.revision = 1;
    e.created_ms = now_ms;
    e.next_run_ms = now_ms + 5;

    assert_int_equal(ctseg_export_create(s, &e, now_ms, NULL), CTSEG_OK);

    return e;
}


/* take a record away, as if it had never been put */

static inline void
drop(ctseg_store_t *s, const char *dir, const char *id)
{
    char         key[96];
    uint64_t     rev;
    ctseg_str_t  none = { 0, NULL };
    ctseg_buf_t  b = { NULL, 0, 0, false };

    (void) snprintf(key, sizeof(key), "%s/%s", dir, id);
    assert_int_equal(ctseg_store_get(s, ctseg_str(key), st_soon(), &b, &rev),
                     CTSEG_OK);
    assert_int_equal(ctseg_store_put(s, ctseg_str(key), none, rev, st_soon(),
                                     NULL), CTSEG_OK);
    ctseg_buf_free(&b);
}


/* change one byte of a record, with or without a right checksum */

static inline void
spoil(ctseg_store_t *s, const char *dir, const char *id)
{
    char         key[96];
    uint64_t     rev;
    ctseg_buf_t  b = { NULL, 0, 0, false };

    (void) snprintf(key, sizeof(key), "%s/%s", dir, id);
    assert_int_equal(ctseg_store_get(s, ctseg_str(key), st_soon(), &b, &rev),
                     CTSEG_OK);
    b.data[b.len / 2] = (char) (b.data[b.len / 2] ^ 1);
    assert_int_equal(ctseg_store_put(s, ctseg_str(key), ctseg_buf_slice(&b),
                                     rev, st_soon(), NULL), CTSEG_OK);
    ctseg_buf_free(&b);
}


static inline ctseg_next_t
key_cb(void *data, ctseg_str_t key, ctseg_str_t value, uint64_t rev)
{
    (void) key;
    (void) value;
    (void) rev;
    (*(unsigned *) data)++;

    return CTSEG_GO_ON;
}


static inline unsigned
count(ctseg_store_t *s, const char *prefix)
{
    unsigned  n;

    n = 0;
    assert_int_equal(ctseg_store_list(s, ctseg_str(prefix), ctseg_str(""), 0,
                                      key_cb, &n, st_soon(), NULL),
                     CTSEG_OK);

    return n;
}


#endif /* STATE_TEST_H */
