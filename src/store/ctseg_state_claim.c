/*
 * Claims of nicknames.  Called by ctseg_state_partner.c, from pool threads.
 * A claim is a record of its own, since two creators must meet on one key.
 * It counts while its partner exists and bears the nickname, and for a minute
 * after it was made; an older one was left by a crash and may be taken over
 * by compare-and-set.  So nothing has to be cleaned up at a start.
 */

#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


#define CTSEG_CLAIM_PROBES  4

enum {
    CTSEG_CLAIM_PARTNER = 1,
    CTSEG_CLAIM_NICKNAME,
    CTSEG_CLAIM_TIME
};


typedef struct {
    char      partner_id[CTSEG_ID_TEXT_MAX];
    char      nickname[CTSEG_NICKNAME_MAX * 4 + 1];
    int64_t   time_ms;
    uint64_t  rev;
} ctseg_claim_t;


/*
 * A key is made of a hash, so two nicknames may share one; the text lies in
 * the record, and the next probes are for the other of them.
 */

static void
ctseg_claim_key(char key[CTSEG_STATE_KEY_MAX], const char *nickname,
    unsigned probe)
{
    unsigned long long  hash;

    hash = ctseg_hash64(ctseg_str(nickname));

    if (probe == 0) {
        ctseg_state_key(key, "nickname/%016llx", hash);

    } else {
        ctseg_state_key(key, "nickname/%016llx-%u", hash, probe);
    }
}


static ctseg_rc_t
ctseg_claim_read(ctseg_store_t *s, const char *key, ctseg_claim_t *c,
    ctseg_err_t *err)
{
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  r;

    memset(c, 0, sizeof(ctseg_claim_t));
    memset(&buf, 0, sizeof(ctseg_buf_t));

    rc = ctseg_state_read(s, key, CTSEG_RECORD_NICKNAME, &buf, &r, &c->rev,
                          err);

    if (rc == CTSEG_OK) {
        ctseg_record_get_cstr(&r, CTSEG_CLAIM_PARTNER, c->partner_id,
                              sizeof(c->partner_id));
        ctseg_record_get_cstr(&r, CTSEG_CLAIM_NICKNAME, c->nickname,
                              sizeof(c->nickname));
        c->time_ms = ctseg_record_get_int(&r, CTSEG_CLAIM_TIME);
        rc = ctseg_state_err(err, r.rc, key);
    }

    ctseg_buf_free(&buf);

    return rc;
}


static ctseg_rc_t
ctseg_claim_write(ctseg_store_t *s, const char *key, const char *nickname,
    const char *partner_id, int64_t now_ms, uint64_t expect,
    ctseg_err_t *err)
{
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_NICKNAME);
    ctseg_record_cstr(&out, CTSEG_CLAIM_PARTNER, partner_id);
    ctseg_record_cstr(&out, CTSEG_CLAIM_NICKNAME, nickname);
    ctseg_record_int(&out, CTSEG_CLAIM_TIME, now_ms);
    ctseg_record_end(&out);

    return ctseg_state_write(s, key, &out, expect, NULL, err);
}


/*
 * May a claim be taken over?  OK: its partner does not bear the nickname and
 * has had time to.  CONFLICT: it does, or may be about to.
 */

static ctseg_rc_t
ctseg_claim_is_stale(ctseg_store_t *s, const ctseg_claim_t *c,
    int64_t now_ms, ctseg_err_t *err)
{
    ctseg_rc_t       rc;
    ctseg_partner_t  p;

    rc = ctseg_partner_get(s, ctseg_str(c->partner_id), &p, err);

    if (rc != CTSEG_OK && rc != CTSEG_NOTFOUND) {
        return rc;
    }

    if ((rc == CTSEG_OK && strcmp(p.nickname, c->nickname) == 0)
        || c->time_ms > now_ms - CTSEG_STATE_STALE_MS)
    {
        return ctseg_err(err, CTSEG_CONFLICT, "nickname");
    }

    return CTSEG_OK;
}


/* every probe is looked at before the first free one is taken: the nickname
   may lie behind a gap */

static ctseg_rc_t
ctseg_claim_once(ctseg_store_t *s, const char *nickname,
    const char *partner_id, int64_t now_ms, ctseg_err_t *err)
{
    char           key[CTSEG_STATE_KEY_MAX], free_key[CTSEG_STATE_KEY_MAX];
    unsigned       i;
    ctseg_rc_t     rc;
    ctseg_claim_t  c;

    free_key[0] = '\0';

    for (i = 0; i < CTSEG_CLAIM_PROBES; i++) {
        ctseg_claim_key(key, nickname, i);
        rc = ctseg_claim_read(s, key, &c, err);

        if (rc == CTSEG_NOTFOUND) {

            if (free_key[0] == '\0') {
                memcpy(free_key, key, sizeof(key));
            }

            continue;
        }

        if (rc != CTSEG_OK) {
            return rc;
        }

        if (strcmp(c.nickname, nickname) != 0) {
            continue;
        }

        if (strcmp(c.partner_id, partner_id) != 0) {
            rc = ctseg_claim_is_stale(s, &c, now_ms, err);

            if (rc != CTSEG_OK) {
                return rc;
            }
        }

        /* ours from an earlier try is renewed as well: its time counts */

        rc = ctseg_claim_write(s, key, nickname, partner_id, now_ms, c.rev,
                               err);

        return rc == CTSEG_CONFLICT ? CTSEG_AGAIN : rc;
    }

    if (free_key[0] == '\0') {
        return ctseg_err(err, CTSEG_CONFLICT, "nickname");
    }

    rc = ctseg_claim_write(s, free_key, nickname, partner_id, now_ms, 0,
                           err);

    return rc == CTSEG_CONFLICT ? CTSEG_AGAIN : rc;
}


ctseg_rc_t
ctseg_claim_take(ctseg_store_t *s, const char *nickname,
    const char *partner_id, int64_t now_ms, ctseg_err_t *err)
{
    unsigned    n;
    ctseg_rc_t  rc;

    for (n = 0; n < CTSEG_STATE_TRIES; n++) {
        rc = ctseg_claim_once(s, nickname, partner_id, now_ms, err);

        if (rc != CTSEG_AGAIN) {
            return rc;
        }
    }

    return ctseg_err(err, CTSEG_CONFLICT, "nickname");
}


/* best effort: a claim left behind counts for nothing and may be taken over */

void
ctseg_claim_release(ctseg_store_t *s, const char *nickname,
    const char *partner_id)
{
    char             key[CTSEG_STATE_KEY_MAX];
    unsigned         i;
    ctseg_rc_t       rc;
    ctseg_claim_t    c;
    ctseg_partner_t  p;

    for (i = 0; i < CTSEG_CLAIM_PROBES; i++) {
        ctseg_claim_key(key, nickname, i);

        if (ctseg_claim_read(s, key, &c, NULL) == CTSEG_OK
            && strcmp(c.nickname, nickname) == 0
            && strcmp(c.partner_id, partner_id) == 0)
        {
            /* another update of the partner may have given it this name */

            rc = ctseg_partner_get(s, ctseg_str(partner_id), &p, NULL);

            if (rc == CTSEG_NOTFOUND
                || (rc == CTSEG_OK && strcmp(p.nickname, nickname) != 0))
            {
                (void) ctseg_state_remove(s, key, c.rev, NULL);
            }
        }
    }
}
