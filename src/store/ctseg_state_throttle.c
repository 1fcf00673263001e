/*
 * How long Segment asked not to be asked, by write key.  Workers share that in
 * memory (engine/); the record is for those who come after a crash.  One for
 * each key, written over again; what has passed means nothing.
 */

#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


enum {
    CTSEG_THROTTLE_UNTIL = 1,
    CTSEG_THROTTLE_WAIT
};


typedef struct {
    int64_t   until_ms;
    int64_t   wait_ms;                  /* as it was asked for */
    uint64_t  rev;
} ctseg_throttle_t;


static ctseg_rc_t
ctseg_throttle_read(ctseg_store_t *s, const char *key,
    ctseg_throttle_t *throttle, ctseg_err_t *err)
{
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  r;

    memset(throttle, 0, sizeof(ctseg_throttle_t));
    memset(&buf, 0, sizeof(ctseg_buf_t));

    rc = ctseg_state_read(s, key, CTSEG_RECORD_THROTTLE, &buf, &r,
                          &throttle->rev, err);

    if (rc == CTSEG_OK) {
        throttle->until_ms = ctseg_record_get_int(&r, CTSEG_THROTTLE_UNTIL);
        throttle->wait_ms = ctseg_record_get_int(&r, CTSEG_THROTTLE_WAIT);

        if (throttle->wait_ms < 0 || throttle->wait_ms > throttle->until_ms) {
            r.rc = CTSEG_CORRUPT;
        }

        rc = ctseg_state_err(err, r.rc, key);
    }

    if (rc != CTSEG_OK) {
        throttle->until_ms = 0;
        throttle->wait_ms = 0;
    }

    ctseg_buf_free(&buf);

    return rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
}


ctseg_rc_t
ctseg_throttle_put(ctseg_store_t *s, const char *fingerprint,
    int64_t now_ms, int64_t wait_ms, ctseg_err_t *err)
{
    char              key[CTSEG_STATE_KEY_MAX];
    unsigned          n;
    ctseg_rc_t        rc;
    ctseg_buf_t       out;
    ctseg_throttle_t  stored;

    ctseg_state_key(key, "throttle/%s", fingerprint);
    rc = CTSEG_CONFLICT;

    for (n = 0; rc == CTSEG_CONFLICT && n < CTSEG_STATE_TRIES; n++) {

        rc = ctseg_throttle_read(s, key, &stored, err);

        /* a longer one that holds; but none of before a clock went back; one
           that is damaged is healed by the put */

        if ((rc != CTSEG_OK && rc != CTSEG_CORRUPT)
            || (rc == CTSEG_OK && stored.until_ms >= now_ms + wait_ms
                && stored.until_ms - stored.wait_ms <= now_ms))
        {
            return rc;
        }

        memset(&out, 0, sizeof(ctseg_buf_t));

        ctseg_record_begin(&out, CTSEG_RECORD_THROTTLE);
        ctseg_record_int(&out, CTSEG_THROTTLE_UNTIL, now_ms + wait_ms);
        ctseg_record_int(&out, CTSEG_THROTTLE_WAIT, wait_ms);
        ctseg_record_end(&out);

        rc = ctseg_state_write(s, key, &out, stored.rev, NULL, err);
    }

    return rc;
}


ctseg_rc_t
ctseg_throttle_get(ctseg_store_t *s, const char *fingerprint,
    int64_t now_ms, int64_t *wait_ms, ctseg_err_t *err)
{
    char              key[CTSEG_STATE_KEY_MAX];
    ctseg_rc_t        rc;
    ctseg_throttle_t  stored;

    ctseg_state_key(key, "throttle/%s", fingerprint);

    rc = ctseg_throttle_read(s, key, &stored, err);

    *wait_ms = stored.until_ms > now_ms ? stored.until_ms - now_ms : 0;

    /* a clock that was set back makes no longer wait of it */

    if (*wait_ms > stored.wait_ms) {
        *wait_ms = 0;
    }

    return rc;
}
