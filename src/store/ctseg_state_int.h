/*
 * What the typed records share: keys, one read and one write of a record,
 * pages of a prefix.  Private to ctseg_state*.c.
 */

#ifndef CTSEG_STATE_INT_H
#define CTSEG_STATE_INT_H


#include "ctseg_record.h"
#include "ctseg_state.h"


#define CTSEG_STATE_KEY_MAX    96
#define CTSEG_STATE_TRIES      16
#define CTSEG_STATE_STALE_MS   60000    /* a half-done step older than this
                                           was left by a crash */


/* "partner/" + id; out is always a valid, cut string */

void ctseg_state_key(char out[CTSEG_STATE_KEY_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Read a record into buf and open it.  CORRUPT: err->text names the key.
 * The fields point into buf.
 */

ctseg_rc_t ctseg_state_read(ctseg_store_t *s, const char *key,
    ctseg_record_type_t type, ctseg_buf_t *buf, ctseg_record_t *r,
    uint64_t *rev, ctseg_err_t *err);

/*
 * Store the record in buf (frees it), or delete the key when buf is NULL.
 * An answer AMBIGUOUS is settled by reading again, so the caller sees it only
 * when that fails too.
 */

ctseg_rc_t ctseg_state_write(ctseg_store_t *s, const char *key,
    ctseg_buf_t *buf, uint64_t expect, uint64_t *rev, ctseg_err_t *err);
ctseg_rc_t ctseg_state_remove(ctseg_store_t *s, const char *key,
    uint64_t expect, ctseg_err_t *err);

/* note what a call to the store answered, with the key */

ctseg_rc_t ctseg_state_err(ctseg_err_t *err, ctseg_rc_t rc,
    const char *key);

/*
 * Every record of a prefix, ascending.  The callback runs outside of any
 * transaction, so it may call the store; key has a NUL.  CORRUPT from it is
 * noted in err, as the lists of ctseg_state.h say, and the walk goes on.  What
 * else is not OK ends it and is the answer, AGAIN ends it with OK.
 */

typedef ctseg_rc_t (*ctseg_state_each_pt)(void *data, const char *key,
    ctseg_str_t value, uint64_t rev, ctseg_err_t *err);

ctseg_rc_t ctseg_state_each(ctseg_store_t *s, const char *prefix,
    ctseg_state_each_pt cb, void *data, uint64_t *at_rev, ctseg_err_t *err);


/* a source of an identifier as two fields, tag and tag + 1 */

void ctseg_state_put_source(ctseg_buf_t *out, uint8_t tag,
    const ctseg_source_t *src);
void ctseg_state_get_source(ctseg_record_t *r, uint8_t tag,
    ctseg_source_t *src);

/* a number that must lie in [min, max], else the record is CORRUPT */

unsigned ctseg_state_get_range(ctseg_record_t *r, uint8_t tag, unsigned min,
    unsigned max);

/* the mapping as up to four fields, from tag on: what is as always has none */

void ctseg_state_put_mapping(ctseg_buf_t *out, uint8_t tag,
    const ctseg_mapping_t *mapping);
void ctseg_state_get_mapping(ctseg_record_t *r, uint8_t tag,
    ctseg_mapping_t *mapping);

/* the identifier priority as bytes */

void ctseg_state_put_priority(ctseg_buf_t *out, uint8_t tag,
    const uint8_t *priority, unsigned n);
void ctseg_state_get_priority(ctseg_record_t *r, uint8_t tag,
    uint8_t *priority, unsigned *n);


/*
 * Claim a nickname for a partner.  OK, also when the partner has it already;
 * CONFLICT, with err->text "nickname": another has it.
 */

ctseg_rc_t ctseg_claim_take(ctseg_store_t *s, const char *nickname,
    const char *partner_id, int64_t now_ms, ctseg_err_t *err);
void ctseg_claim_release(ctseg_store_t *s, const char *nickname,
    const char *partner_id);


#endif /* CTSEG_STATE_INT_H */
