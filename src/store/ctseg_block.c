/*
 * Blocks of events as bytes: the builder that collects them and the header
 * that lets a reader pass over a block unread.  Called by collectors when
 * they gather a commit, by drivers when they store and find it, by runs when
 * they read it.  Pure, any thread.  It does not look into the events: what a
 * payload means is model/ctseg_event.h.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctseg_block.h"
#include "ctseg_peek.h"
#include "../base/ctseg_bytes.h"
#include "../base/ctseg_crc32c.h"


#define CTSEG_BLOCK_EVENT_MIN  16       /* bytes of an event without text */


static size_t
ctseg_block_event_size(const ctseg_event_t *ev)
{
    size_t    size;
    unsigned  i;

    size = CTSEG_BLOCK_EVENT_MIN + ev->name.len + ev->props.len;

    for (i = 0; i < CTSEG_ID_N; i++) {
        if (ev->id[i].len != 0) {
            size += sizeof(uint16_t) + ev->id[i].len;
        }
    }

    return size;
}


/* one more event lies in the buffer, or will */

static void
ctseg_block_note(ctseg_block_builder_t *bb, const ctseg_event_t *ev)
{
    if (bb->count == 0 || ev->time_ms < bb->min_ms) {
        bb->min_ms = ev->time_ms;
    }

    if (bb->count == 0 || ev->time_ms > bb->max_ms) {
        bb->max_ms = ev->time_ms;
    }

    bb->kinds |= ctseg_kind_bit(ev->kind & 63);
    bb->count++;
}


/* the record from "at" to the end gets its entry, for which there is room */

static void
ctseg_block_enter(ctseg_block_builder_t *bb, unsigned kind, size_t at)
{
    char         *p;
    size_t        size;
    ctseg_buf_t  *b;

    b = &bb->buf;
    size = b->len - at;
    p = bb->directory.data + bb->directory.len;

    ctseg_le_put(p, size | (uint64_t) kind << 24, 4);
    ctseg_le_put(p + 4, ctseg_crc32c(0, b->data + at, size), 4);

    bb->directory.len += CTSEG_BLOCK_ENTRY;
}


bool
ctseg_block_add(ctseg_block_builder_t *bb, const ctseg_event_t *ev)
{
    size_t  size;

    size = ctseg_block_event_size(ev) + CTSEG_BLOCK_ENTRY;

    if (size > CTSEG_BLOCK_PAYLOAD_MAX
        || bb->buf.len + bb->directory.len > CTSEG_BLOCK_PAYLOAD_MAX - size)
    {
        return false;
    }

    /*
     * Without memory the answer is the same "not added": the caller then
     * finishes the block and learns the reason there.
     */

    ctseg_buf_reserve(&bb->buf, size);
    ctseg_buf_reserve(&bb->directory, CTSEG_BLOCK_ENTRY);

    if (bb->buf.failed || bb->directory.failed) {
        return false;
    }

    size = bb->buf.len;
    ctseg_event_encode(&bb->buf, ev);

    if (bb->buf.failed) {
        return false;
    }

    ctseg_block_enter(bb, ev->kind, size);
    ctseg_block_note(bb, ev);

    return true;
}


void
ctseg_block_keep(ctseg_block_builder_t *bb, ctseg_block_keep_pt keep,
    void *data)
{
    size_t         size;
    unsigned       i, n;
    const char    *from;
    ctseg_str_t    rest;
    ctseg_event_t  ev;

    rest = ctseg_buf_slice(&bb->buf);
    n = bb->count;

    bb->buf.len = 0;
    bb->directory.len = 0;
    bb->count = 0;
    bb->kinds = 0;

    for (i = 0; i < n; i++) {
        from = rest.data;

        if (ctseg_event_decode(&rest, &ev) != CTSEG_OK) {

            /* it was encoded a moment ago: cannot be, but must not pass */

            bb->buf.failed = true;
            return;
        }

        if (!keep(data, i)) {
            continue;
        }

        size = (size_t) (rest.data - from);
        ctseg_block_note(bb, &ev);
        memmove(bb->buf.data + bb->buf.len, from, size);
        bb->buf.len += size;
        memmove(bb->directory.data + bb->directory.len,
                bb->directory.data + (size_t) i * CTSEG_BLOCK_ENTRY,
                CTSEG_BLOCK_ENTRY);
        bb->directory.len += CTSEG_BLOCK_ENTRY;
    }
}


ctseg_rc_t
ctseg_block_finish(ctseg_block_builder_t *bb, ctseg_block_t *b)
{
    memset(b, 0, sizeof(ctseg_block_t));

    if (bb->buf.failed || bb->directory.failed) {
        return CTSEG_NOMEM;
    }

    if (bb->count == 0) {
        return CTSEG_INVALID;
    }

    b->version = CTSEG_BLOCK_VERSION;
    b->count = bb->count;
    b->min_ms = bb->min_ms;
    b->max_ms = bb->max_ms;
    b->kinds = bb->kinds;
    b->directory = ctseg_buf_slice(&bb->directory);
    b->payload = ctseg_buf_slice(&bb->buf);
    b->crc = ctseg_crc32c(0, b->directory.data, b->directory.len);

    return CTSEG_OK;
}


void
ctseg_block_builder_free(ctseg_block_builder_t *bb)
{
    ctseg_buf_free(&bb->buf);
    ctseg_buf_free(&bb->directory);
    memset(bb, 0, sizeof(ctseg_block_builder_t));
}


static bool
ctseg_blocks_grow(ctseg_blocks_t *list)
{
    unsigned                n;
    ctseg_block_t          *blocks;
    ctseg_block_builder_t  *builders;

    n = list->allocated + 8;

    builders = realloc(list->builders, n * sizeof(ctseg_block_builder_t));
    if (builders == NULL) {
        return false;
    }

    list->builders = builders;

    blocks = realloc(list->blocks, n * sizeof(ctseg_block_t));
    if (blocks == NULL) {
        return false;
    }

    list->blocks = blocks;

    memset(&builders[list->allocated], 0, 8 * sizeof(ctseg_block_builder_t));
    list->allocated = n;

    return true;
}


bool
ctseg_blocks_add(ctseg_blocks_t *list, const ctseg_event_t *ev)
{
    if (list->n != 0 && ctseg_block_add(&list->builders[list->n - 1], ev)) {
        return true;
    }

    if (list->n == list->allocated && !ctseg_blocks_grow(list)) {
        return false;
    }

    return ctseg_block_add(&list->builders[list->n++], ev);
}


ctseg_rc_t
ctseg_blocks_finish(ctseg_blocks_t *list)
{
    unsigned                i;
    ctseg_rc_t              rc;
    ctseg_block_builder_t  *bb;

    list->nblocks = 0;

    for (i = 0; i < list->n; i++) {
        bb = &list->builders[i];

        if (bb->count == 0 && !bb->buf.failed && !bb->directory.failed) {
            continue;
        }

        rc = ctseg_block_finish(bb, &list->blocks[list->nblocks++]);
        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    return CTSEG_OK;
}


void
ctseg_blocks_reset(ctseg_blocks_t *list)
{
    unsigned  i;

    for (i = 0; i < list->n; i++) {
        ctseg_buf_reset(&list->builders[i].buf);
        ctseg_buf_reset(&list->builders[i].directory);
        list->builders[i].count = 0;
        list->builders[i].kinds = 0;
    }

    list->n = 0;
    list->nblocks = 0;
}


void
ctseg_blocks_free(ctseg_blocks_t *list)
{
    unsigned  i;

    for (i = 0; i < list->allocated; i++) {
        ctseg_block_builder_free(&list->builders[i]);
    }

    free(list->builders);
    free(list->blocks);
    memset(list, 0, sizeof(ctseg_blocks_t));
}


void
ctseg_block_encode_header(char out[CTSEG_BLOCK_HEADER],
    const ctseg_block_t *b)
{
    memset(out, 0, CTSEG_BLOCK_HEADER);

    out[0] = (char) b->version;
    ctseg_le_put(out + 4, b->count, 4);
    ctseg_le_put(out + 8, b->first, 8);
    ctseg_le_put(out + 16, (uint64_t) b->append_ms, 8);
    ctseg_le_put(out + 24, (uint64_t) b->min_ms, 8);
    ctseg_le_put(out + 32, (uint64_t) b->max_ms, 8);
    ctseg_le_put(out + 40, b->kinds, 8);
    ctseg_le_put(out + 48, b->payload.len, 4);
    ctseg_le_put(out + 52, b->crc, 4);
    ctseg_le_put(out + 60, ctseg_crc32c(0, out, 60), 4);
}


/* a right checksum over nonsense is a writer's bug: stop it here too */

static bool
ctseg_block_is_sane(const ctseg_block_t *b, size_t len)
{
    return b->directory.len <= CTSEG_BLOCK_PAYLOAD_MAX
           && b->directory.len + b->payload.len == len
           && len <= CTSEG_BLOCK_PAYLOAD_MAX
           && b->count != 0
           && b->payload.len / CTSEG_BLOCK_EVENT_MIN >= b->count
           && b->first != 0
           && b->first <= UINT64_MAX - b->count
           && b->min_ms <= b->max_ms;
}


ctseg_rc_t
ctseg_block_decode(ctseg_str_t stored, ctseg_block_t *b)
{
    char          header[CTSEG_BLOCK_HEADER];
    ctseg_str_t   head;
    struct iovec  piece;

    head.len = stored.len < CTSEG_BLOCK_HEADER ? stored.len
                                               : CTSEG_BLOCK_HEADER;
    head.data = stored.data;

    if (stored.len > CTSEG_BLOCK_NEAR) {
        piece.iov_base = (void *) stored.data;
        piece.iov_len = CTSEG_BLOCK_HEADER;
        ctseg_peek(getpid(), header, &piece, 1);
        head.data = header;
    }

    return ctseg_block_decode_copied(stored, head, b);
}


ctseg_rc_t
ctseg_block_decode_copied(ctseg_str_t stored, ctseg_str_t head,
    ctseg_block_t *b)
{
    const char  *p;

    memset(b, 0, sizeof(ctseg_block_t));

    if (head.len < CTSEG_BLOCK_HEADER) {
        return CTSEG_CORRUPT;
    }

    p = head.data;

    b->version = (unsigned char) p[0];

    if ((b->version != 1 && b->version != CTSEG_BLOCK_VERSION)
        || ctseg_le_get(p + 60, 4) != ctseg_crc32c(0, p, 60))
    {
        return CTSEG_CORRUPT;
    }

    b->count = (uint32_t) ctseg_le_get(p + 4, 4);
    b->first = ctseg_le_get(p + 8, 8);
    b->append_ms = (int64_t) ctseg_le_get(p + 16, 8);
    b->min_ms = (int64_t) ctseg_le_get(p + 24, 8);
    b->max_ms = (int64_t) ctseg_le_get(p + 32, 8);
    b->kinds = ctseg_le_get(p + 40, 8);
    b->payload.len = (size_t) ctseg_le_get(p + 48, 4);
    b->crc = (uint32_t) ctseg_le_get(p + 52, 4);

    if (b->version != 1) {
        b->directory.len = (size_t) b->count * CTSEG_BLOCK_ENTRY;
        b->directory.data = stored.data + CTSEG_BLOCK_HEADER;
    }

    if (b->version != 1
        && head.len - CTSEG_BLOCK_HEADER >= b->directory.len)
    {
        b->copied = head.data + CTSEG_BLOCK_HEADER;
    }

    b->payload.data = stored.data + CTSEG_BLOCK_HEADER + b->directory.len;

    return ctseg_block_is_sane(b, stored.len - CTSEG_BLOCK_HEADER)
           ? CTSEG_OK : CTSEG_CORRUPT;
}


bool
ctseg_block_may_match(const ctseg_block_t *b, ctseg_kinds_t kinds,
    int64_t from_ms, int64_t to_ms)
{
    return (b->kinds & kinds) != 0
           && b->max_ms >= from_ms
           && b->min_ms < to_ms;
}
