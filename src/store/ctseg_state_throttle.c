/*
 * How long Segment asked not to be asked, by write key.  Workers share that in
 * memory (engine/); the record is for those who come after a crash.  One for
 * each key, written over again; what has passed means nothing.
 */

#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


enum {
    CTSEG_THROTTLE_UNTIL = 1
};


static ctseg_rc_t
ctseg_throttle_read(ctseg_store_t *s, const char *key, int64_t *until_ms,
    uint64_t *rev, ctseg_err_t *err)
{
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  r;

    *until_ms = 0;
    *rev = 0;
    memset(&buf, 0, sizeof(ctseg_buf_t));

    rc = ctseg_state_read(s, key, CTSEG_RECORD_THROTTLE, &buf, &r, rev, err);

    if (rc == CTSEG_OK) {
        *until_ms = ctseg_record_get_int(&r, CTSEG_THROTTLE_UNTIL);
        rc = ctseg_state_err(err, r.rc, key);
    }

    ctseg_buf_free(&buf);

    return rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
}


ctseg_rc_t
ctseg_throttle_put(ctseg_store_t *s, const char *fingerprint,
    int64_t until_ms, ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    int64_t      stored;
    uint64_t     rev;
    unsigned     n;
    ctseg_rc_t   rc;
    ctseg_buf_t  out;

    ctseg_state_key(key, "throttle/%s", fingerprint);
    rc = CTSEG_CONFLICT;

    for (n = 0; rc == CTSEG_CONFLICT && n < CTSEG_STATE_TRIES; n++) {

        rc = ctseg_throttle_read(s, key, &stored, &rev, err);

        if (rc != CTSEG_OK || stored >= until_ms) {
            return rc;
        }

        memset(&out, 0, sizeof(ctseg_buf_t));

        ctseg_record_begin(&out, CTSEG_RECORD_THROTTLE);
        ctseg_record_int(&out, CTSEG_THROTTLE_UNTIL, until_ms);
        ctseg_record_end(&out);

        rc = ctseg_state_write(s, key, &out, rev, NULL, err);
    }

    return rc;
}


ctseg_rc_t
ctseg_throttle_get(ctseg_store_t *s, const char *fingerprint,
    int64_t now_ms, int64_t max_ms, int64_t *wait_ms, ctseg_err_t *err)
{
    char        key[CTSEG_STATE_KEY_MAX];
    int64_t     until;
    uint64_t    rev;
    ctseg_rc_t  rc;

    ctseg_state_key(key, "throttle/%s", fingerprint);

    rc = ctseg_throttle_read(s, key, &until, &rev, err);

    /* a clock that was set back makes no longer wait of it */

    *wait_ms = until > now_ms ? until - now_ms : 0;

    if (*wait_ms > max_ms) {
        *wait_ms = max_ms;
    }

    return rc;
}
