/*
 * The bytes of one event in a block of the log, written by the collectors
 * and read by every export.  Reading checks each length against what is
 * left, so any bytes at all are safe to decode; that they are the bytes once
 * written is for the block's checksum to say.  Strings are neither parsed
 * nor copied here.
 */

#include "ctseg_event.h"
#include "../base/ctseg_bytes.h"

#include <string.h>


#define CTSEG_EVENT_HEAD  16            /* up to and including the time */
#define CTSEG_EVENT_IDS   ((1u << CTSEG_ID_N) - 1)


void
ctseg_event_encode(ctseg_buf_t *out, const ctseg_event_t *ev)
{
    char      bytes[CTSEG_EVENT_HEAD + 2 * CTSEG_ID_N];
    size_t    i, head, size;
    unsigned  ids;

    ids = 0;
    head = CTSEG_EVENT_HEAD;
    size = ev->name.len + ev->props.len;

    for (i = 0; i < CTSEG_ID_N; i++) {

        if (ev->id[i].len == 0) {
            continue;
        }

        ids |= 1u << i;
        ctseg_le_put(bytes + head, ev->id[i].len, 2);
        head += 2;
        size += ev->id[i].len;
    }

    size += head;

    ctseg_le_put(bytes, size, 4);
    bytes[4] = (char) (unsigned char) ev->kind;
    bytes[5] = (char) (unsigned char) ids;
    ctseg_le_put(bytes + 6, ev->name.len, 2);
    ctseg_le_put(bytes + 8, (uint64_t) ev->time_ms, 8);

    /* whole or not at all: a buffer that fails half-way keeps no half */

    ctseg_buf_reserve(out, size);

    ctseg_buf_add(out, bytes, head);
    ctseg_buf_str(out, ev->name);

    for (i = 0; i < CTSEG_ID_N; i++) {
        ctseg_buf_str(out, ev->id[i]);
    }

    ctseg_buf_str(out, ev->props);
}


ctseg_rc_t
ctseg_event_decode(ctseg_str_t *in, ctseg_event_t *ev)
{
    size_t       i, size, head, body;
    unsigned     ids;
    const char  *p;

    if (in->len == 0) {
        return CTSEG_NOTFOUND;
    }

    if (in->len < CTSEG_EVENT_HEAD) {
        return CTSEG_CORRUPT;
    }

    p = in->data;
    size = (size_t) ctseg_le_get(p, 4);
    ids = (unsigned char) p[5];

    if (size < CTSEG_EVENT_HEAD || size > in->len) {
        return CTSEG_CORRUPT;
    }

    ev->kind = (unsigned char) p[4];
    ev->name.len = (size_t) ctseg_le_get(p + 6, 2);
    ev->time_ms = (int64_t) ctseg_le_get(p + 8, 8);

    /* an unknown kind would be shifted out of a set by the callers */

    if ((ev->kind > CTSEG_KIND_LAST && ev->kind != CTSEG_KIND_PROFILE)
        || (ids & ~CTSEG_EVENT_IDS) != 0)
    {
        return CTSEG_CORRUPT;
    }

    head = CTSEG_EVENT_HEAD;
    body = ev->name.len;

    for (i = 0; i < CTSEG_ID_N; i++) {
        ev->id[i].len = 0;

        if ((ids & (1u << i)) == 0) {
            continue;
        }

        if (head + 2 > size) {
            return CTSEG_CORRUPT;
        }

        ev->id[i].len = (size_t) ctseg_le_get(p + head, 2);
        head += 2;
        body += ev->id[i].len;
    }

    if (body > size - head) {
        return CTSEG_CORRUPT;
    }

    ev->props.len = size - head - body;

    p += head;
    ev->name.data = p;
    p += ev->name.len;

    for (i = 0; i < CTSEG_ID_N; i++) {
        ev->id[i].data = p;
        p += ev->id[i].len;
    }

    ev->props.data = p;

    ev->own_id.len = 0;
    ev->own_id.data = NULL;

    in->data += size;
    in->len -= size;

    return CTSEG_OK;
}
