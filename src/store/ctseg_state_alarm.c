/*
 * Alarms: what an operator is told of again and again, but not by every
 * worker and not every minute.  Called from pool threads.  The record keeps
 * the time of the last one, so a reload does not begin anew; who wins the put
 * is the one that tells.
 */

#include <string.h>

#include "ctseg_state_int.h"


enum {
    CTSEG_ALARM_AT = 1
};


ctseg_rc_t
ctseg_alarm_claim(ctseg_store_t *s, const char *name, int64_t now_ms,
    int64_t every_ms, ctseg_err_t *err)
{
    char            key[CTSEG_STATE_KEY_MAX];
    int64_t         at;
    uint64_t        rev;
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  r;

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_state_key(key, "alarm/%s", name);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_ALARM, &buf, &r, &rev, err);

    if (rc == CTSEG_OK) {
        at = ctseg_record_get_int(&r, CTSEG_ALARM_AT);

        /* a clock that was set back makes the last one lie ahead */

        if (at <= now_ms && at > now_ms - every_ms) {
            rc = CTSEG_CONFLICT;
        }

    } else if (rc == CTSEG_NOTFOUND) {
        rev = 0;
        rc = CTSEG_OK;

    } else if (rc == CTSEG_CORRUPT) {
        rc = CTSEG_OK;                  /* the put heals it */
    }

    ctseg_buf_free(&buf);

    if (rc != CTSEG_OK) {
        return rc;
    }

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_record_begin(&buf, CTSEG_RECORD_ALARM);
    ctseg_record_int(&buf, CTSEG_ALARM_AT, now_ms);
    ctseg_record_end(&buf);

    return ctseg_state_write(s, key, &buf, rev, NULL, err);
}
