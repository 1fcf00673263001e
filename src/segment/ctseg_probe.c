/*
 * A probe's id begins as those of the partner's events do, so that what is
 * seen at Segment's side can be told to belong to this installation, and
 * cannot be the id of an event: those end with a number.
 */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../base/ctseg_time.h"
#include "ctseg_probe.h"


static void
ctseg_probe_message(ctseg_buf_t *out, const char *id,
    const ctseg_partner_t *p, int64_t now_ms)
{
    ctseg_json_writer_t  w;

    w.buf = out;
    w.comma = false;

    ctseg_jw_open(&w, NULL, '{');
    ctseg_jw_cstr(&w, "type", "track");
    ctseg_jw_cstr(&w, "messageId", id);
    ctseg_jw_cstr(&w, "anonymousId", "ctseg-test");
    ctseg_jw_cstr(&w, "event", "ctseg Connection Test");
    ctseg_jw_time(&w, "timestamp", now_ms);

    ctseg_jw_open(&w, "properties", '{');
    ctseg_jw_bool(&w, "test", true);
    ctseg_jw_cstr(&w, "partner", p->nickname);
    ctseg_jw_close(&w, '}');

    ctseg_jw_close(&w, '}');
}


void
ctseg_probe_compose(ctseg_batch_t *b, char id[CTSEG_PROBE_ID_MAX],
    const ctseg_partner_t *p, const char *installation, int64_t now_ms)
{
    ctseg_buf_t     message;
    ctseg_pinned_t  pinned;

    memset(&message, 0, sizeof(ctseg_buf_t));
    memset(&pinned, 0, sizeof(ctseg_pinned_t));

    ctseg_write_key_fingerprint(pinned.fingerprint, p->write_key);

    ctseg_batch_begin(b, &pinned, installation, p->write_key, 0);

    (void) snprintf(id, CTSEG_PROBE_ID_MAX, "%.*stest-%" PRIx64,
                    (int) b->enc.id_prefix_len, b->enc.id_prefix,
                    (uint64_t) now_ms);

    ctseg_probe_message(&message, id, p, now_ms);
    ctseg_batch_put(b, ctseg_buf_slice(&message));

    if (message.failed) {
        b->rc = CTSEG_NOMEM;
    }

    ctseg_batch_end(b);

    b->enc.pinned = NULL;               /* it was ours */

    ctseg_buf_free(&message);
}
