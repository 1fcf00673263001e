/*
 * Replies that were given to requests with an Idempotency-Key, so that the
 * same request sent again is answered and not done again.  A record is
 * claimed before the work and filled in after it: of two that come at once
 * one does the work.  Called by the API's thread functions.  What is older
 * than a day is forgotten a little at a time, whenever a new one comes.
 */

#include <stdio.h>
#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


#define CTSEG_REPLY_PRUNE_N  8          /* looked at for each new one */

enum {
    CTSEG_REPLY_REQUEST = 1,
    CTSEG_REPLY_STATUS,
    CTSEG_REPLY_AT,
    CTSEG_REPLY_ETAG,
    CTSEG_REPLY_LOCATION,
    CTSEG_REPLY_BODY
};


typedef struct {
    ctseg_store_t  *store;
    int64_t         before_ms;
    unsigned        n;
    char            key[CTSEG_REPLY_PRUNE_N][CTSEG_STATE_KEY_MAX];
    uint64_t        rev[CTSEG_REPLY_PRUNE_N];
} ctseg_reply_prune_t;


static ctseg_rc_t
ctseg_reply_write(ctseg_store_t *s, ctseg_reply_t *reply, ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_REPLY);
    ctseg_record_uint(&out, CTSEG_REPLY_REQUEST, reply->request);
    ctseg_record_uint(&out, CTSEG_REPLY_STATUS, reply->status);
    ctseg_record_int(&out, CTSEG_REPLY_AT, reply->at_ms);
    ctseg_record_cstr(&out, CTSEG_REPLY_ETAG, reply->etag);
    ctseg_record_cstr(&out, CTSEG_REPLY_LOCATION, reply->location);
    ctseg_record_bytes(&out, CTSEG_REPLY_BODY,
                       ctseg_buf_slice(&reply->body));
    ctseg_record_end(&out);

    ctseg_state_key(key, "reply/%s", reply->key);

    return ctseg_state_write(s, key, &out, reply->rev, &reply->rev, err);
}


static ctseg_rc_t
ctseg_reply_read(ctseg_store_t *s, ctseg_reply_t *reply, ctseg_err_t *err)
{
    char            key[CTSEG_STATE_KEY_MAX];
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  r;

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_state_key(key, "reply/%s", reply->key);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_REPLY, &buf, &r, &reply->rev,
                          err);

    if (rc == CTSEG_OK) {
        reply->request = ctseg_record_get_uint(&r, CTSEG_REPLY_REQUEST);
        reply->status = ctseg_state_get_range(&r, CTSEG_REPLY_STATUS, 0, 599);
        reply->at_ms = ctseg_record_get_int(&r, CTSEG_REPLY_AT);
        ctseg_record_get_cstr(&r, CTSEG_REPLY_ETAG, reply->etag,
                              sizeof(reply->etag));
        ctseg_record_get_cstr(&r, CTSEG_REPLY_LOCATION, reply->location,
                              sizeof(reply->location));
        ctseg_buf_reset(&reply->body);
        ctseg_buf_str(&reply->body,
                      ctseg_record_get_bytes(&r, CTSEG_REPLY_BODY));

        rc = ctseg_state_err(err, r.rc, key);
    }

    ctseg_buf_free(&buf);

    return rc;
}


static ctseg_next_t
ctseg_reply_prune_item(void *data, ctseg_str_t key, ctseg_str_t value,
    uint64_t rev)
{
    ctseg_record_t        r;
    ctseg_reply_prune_t  *prune;

    prune = data;

    if (ctseg_record_open(&r, value, CTSEG_RECORD_REPLY) == CTSEG_OK
        && ctseg_record_get_int(&r, CTSEG_REPLY_AT) >= prune->before_ms)
    {
        return CTSEG_GO_ON;
    }

    (void) snprintf(prune->key[prune->n], CTSEG_STATE_KEY_MAX, "%.*s",
                    (int) key.len, key.data);
    prune->rev[prune->n] = rev;
    prune->n++;

    return prune->n == CTSEG_REPLY_PRUNE_N ? CTSEG_ENOUGH : CTSEG_GO_ON;
}


/* keys are hashes, so the neighbours of new ones visit all of them in time */

static void
ctseg_reply_prune(ctseg_store_t *s, const ctseg_reply_t *reply)
{
    char                 key[CTSEG_STATE_KEY_MAX];
    unsigned             i;
    ctseg_reply_prune_t  prune;

    memset(&prune, 0, sizeof(ctseg_reply_prune_t));

    prune.before_ms = reply->at_ms - CTSEG_DAY_MS;
    ctseg_state_key(key, "reply/%s", reply->key);

    (void) ctseg_store_list(s, ctseg_str("reply/"), ctseg_str(key),
                            CTSEG_REPLY_PRUNE_N, ctseg_reply_prune_item,
                            &prune, ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS,
                            NULL);

    for (i = 0; i < prune.n; i++) {
        (void) ctseg_state_remove(s, prune.key[i], prune.rev[i], NULL);
    }
}


ctseg_rc_t
ctseg_reply_claim(ctseg_store_t *s, ctseg_reply_t *reply, int64_t now_ms,
    ctseg_err_t *err)
{
    uint64_t    request;
    unsigned    tries;
    ctseg_rc_t  rc;

    request = reply->request;
    rc = CTSEG_AGAIN;

    for (tries = 0; tries < CTSEG_STATE_TRIES; tries++) {
        reply->rev = 0;

        rc = ctseg_reply_read(s, reply, err);

        if (rc != CTSEG_OK && rc != CTSEG_NOTFOUND) {
            return rc;
        }

        /* one that was never filled in was left by a crash */

        if (rc == CTSEG_OK && reply->at_ms >= now_ms - CTSEG_DAY_MS
            && (reply->status != 0
                || reply->at_ms >= now_ms - CTSEG_STATE_STALE_MS))
        {
            return CTSEG_CONFLICT;
        }

        reply->request = request;
        reply->status = 0;
        reply->at_ms = now_ms;
        reply->etag[0] = '\0';
        reply->location[0] = '\0';
        ctseg_buf_reset(&reply->body);

        rc = ctseg_reply_write(s, reply, err);

        if (rc == CTSEG_OK) {
            ctseg_reply_prune(s, reply);
            return CTSEG_OK;
        }

        if (rc != CTSEG_CONFLICT) {
            return rc;
        }
    }

    return CTSEG_AGAIN;
}


ctseg_rc_t
ctseg_reply_fill(ctseg_store_t *s, ctseg_reply_t *reply, ctseg_err_t *err)
{
    char  key[CTSEG_STATE_KEY_MAX];

    if (reply->status != 0) {
        return ctseg_reply_write(s, reply, err);
    }

    ctseg_state_key(key, "reply/%s", reply->key);

    return ctseg_state_remove(s, key, reply->rev, err);
}
