/*
 * The door of the store: checks what no driver should have to check (keys,
 * sizes, blocks, pointers that may be NULL) and hands the call to the driver
 * that open picked.  Called from pool threads, open and close from process
 * hooks.  It stores nothing itself and knows no driver but by its table.
 */

#include <string.h>

#include "ctseg_store_int.h"
#include "../base/ctseg_bytes.h"


void
ctseg_pos_encode(char out[CTSEG_POS_LEN], const ctseg_pos_t *pos)
{
    ctseg_be_put(out, pos->incarnation, 4);
    ctseg_be_put(out + 4, pos->shard, 4);
    ctseg_be_put(out + 8, pos->sequence, 8);
}


void
ctseg_pos_decode(ctseg_pos_t *pos, const char in[CTSEG_POS_LEN])
{
    pos->incarnation = (uint32_t) ctseg_be_get(in, 4);
    pos->shard = (uint32_t) ctseg_be_get(in + 4, 4);
    pos->sequence = ctseg_be_get(in + 8, 8);
}


/* the alphabet that every engine in view can take as it is */

static bool
ctseg_store_is_key(ctseg_str_t key)
{
    char    c;
    size_t  i;

    if (key.len > CTSEG_KEY_MAX) {
        return false;
    }

    for (i = 0; i < key.len; i++) {
        c = key.data[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
              || (c >= '-' && c <= '9') || c == '_'))
        {
            return false;
        }
    }

    return true;
}


ctseg_rc_t
ctseg_store_open(ctseg_store_t **s, const ctseg_store_options_t *options,
    ctseg_err_t *err)
{
    *s = NULL;

    if (options->path == NULL || options->path[0] == '\0') {
        return ctseg_err(err, CTSEG_INVALID, "the store has no path");
    }

    if (options->events_size == 0 || options->state_size == 0) {
        return ctseg_err(err, CTSEG_INVALID, "the store \"%s\" has no size",
                         options->path);
    }

    if (options->high_water > 100) {
        return ctseg_err(err, CTSEG_INVALID,
                         "the high-water mark of the store \"%s\" is above "
                         "100 percent", options->path);
    }

    return ctseg_lmdb_open(s, options, err);
}


void
ctseg_store_close(ctseg_store_t *s)
{
    if (s != NULL) {
        s->driver->close(s);
    }
}


ctseg_rc_t
ctseg_store_append(ctseg_store_t *s, uint32_t shard,
    const char producer[CTSEG_PRODUCER_LEN], uint64_t seq, ctseg_block_t *b,
    unsigned nblocks, int64_t deadline, ctseg_pos_t *last, bool *dup)
{
    ctseg_marks_t  none;

    memset(&none, 0, sizeof(ctseg_marks_t));

    return ctseg_store_append_marked(s, shard, producer, seq, b, nblocks,
                                     &none, deadline, last, dup);
}


ctseg_rc_t
ctseg_store_append_marked(ctseg_store_t *s, uint32_t shard,
    const char producer[CTSEG_PRODUCER_LEN], uint64_t seq, ctseg_block_t *b,
    unsigned nblocks, ctseg_marks_t *marks, int64_t deadline,
    ctseg_pos_t *last, bool *dup)
{
    bool         ignored;
    unsigned     i;
    ctseg_pos_t  pos;

    marks->forgotten = 0;

    if (nblocks == 0) {
        return CTSEG_INVALID;
    }

    for (i = 0; i < nblocks; i++) {
        if (b[i].count == 0
            || b[i].payload.len == 0
            || ctseg_block_size(&b[i]) > CTSEG_BLOCK_HEADER
                                         + CTSEG_BLOCK_PAYLOAD_MAX)
        {
            return CTSEG_INVALID;
        }
    }

    if (last == NULL) {
        last = &pos;
    }

    if (dup == NULL) {
        dup = &ignored;
    }

    memset(last, 0, sizeof(ctseg_pos_t));
    *dup = false;

    return s->driver->append(s, shard, producer, seq, b, nblocks, marks,
                             deadline, last, dup);
}


ctseg_rc_t
ctseg_store_marked(ctseg_store_t *s, const char *keys, unsigned n,
    int64_t deadline, bool *known)
{
    if (n == 0) {
        return CTSEG_OK;
    }

    memset(known, 0, n * sizeof(bool));

    return s->driver->marked(s, keys, n, deadline, known);
}


ctseg_rc_t
ctseg_store_scan(ctseg_store_t *s, uint32_t shard, const ctseg_pos_t *after,
    ctseg_scan_pt cb, void *data, int64_t deadline, ctseg_pos_t *next)
{
    return ctseg_store_scan_for(s, shard, after, NULL, cb, data, deadline,
                                next);
}


ctseg_rc_t
ctseg_store_scan_for(ctseg_store_t *s, uint32_t shard,
    const ctseg_pos_t *after, const ctseg_want_t *want, ctseg_scan_pt cb,
    void *data, int64_t deadline, ctseg_pos_t *next)
{
    ctseg_pos_t  from;

    /* a caller may give one struct as both */

    from = *after;
    *next = from;

    if (from.sequence != 0 && from.shard != shard) {
        return CTSEG_INVALID;
    }

    return s->driver->scan(s, shard, &from, want, cb, data, deadline, next);
}


ctseg_rc_t
ctseg_store_seek(ctseg_store_t *s, uint32_t shard, int64_t ms,
    int64_t deadline, ctseg_pos_t *pos)
{
    memset(pos, 0, sizeof(ctseg_pos_t));

    return s->driver->seek(s, shard, ms, deadline, pos);
}


ctseg_rc_t
ctseg_store_bounds(ctseg_store_t *s, uint32_t shard, int64_t deadline,
    ctseg_bounds_t *bounds)
{
    memset(bounds, 0, sizeof(ctseg_bounds_t));

    return s->driver->bounds(s, shard, deadline, bounds);
}


ctseg_rc_t
ctseg_store_trim(ctseg_store_t *s, uint32_t shard, int64_t ms,
    uint64_t keep_from, unsigned max_blocks, int64_t deadline,
    uint64_t *removed)
{
    uint64_t  ignored;

    if (removed == NULL) {
        removed = &ignored;
    }

    *removed = 0;

    if (max_blocks == 0) {
        return CTSEG_INVALID;
    }

    return s->driver->trim(s, shard, ms, keep_from, max_blocks, deadline,
                           removed);
}


ctseg_rc_t
ctseg_store_sweep(ctseg_store_t *s)
{
    return s->driver->sweep(s);
}


ctseg_rc_t
ctseg_store_get(ctseg_store_t *s, ctseg_str_t key, int64_t deadline,
    ctseg_buf_t *out, uint64_t *rev)
{
    uint64_t  ignored;

    if (rev == NULL) {
        rev = &ignored;
    }

    *rev = 0;

    if (key.len == 0 || !ctseg_store_is_key(key)) {
        return CTSEG_INVALID;
    }

    return s->driver->get(s, key, deadline, out, rev);
}


ctseg_rc_t
ctseg_store_put(ctseg_store_t *s, ctseg_str_t key, ctseg_str_t value,
    uint64_t expect, int64_t deadline, uint64_t *rev)
{
    uint64_t  ignored;

    if (rev == NULL) {
        rev = &ignored;
    }

    if (key.len == 0
        || !ctseg_store_is_key(key)
        || value.len > CTSEG_VALUE_MAX)
    {
        return CTSEG_INVALID;
    }

    /* to delete what must not exist changes nothing: a caller's mistake */

    if (value.data == NULL && expect == 0) {
        return CTSEG_INVALID;
    }

    return s->driver->put(s, key, value, expect, deadline, rev);
}


ctseg_rc_t
ctseg_store_room(ctseg_store_t *s, unsigned percent, int64_t deadline)
{
    return s->driver->room(s, percent, deadline);
}


ctseg_rc_t
ctseg_store_list(ctseg_store_t *s, ctseg_str_t prefix, ctseg_str_t after_key,
    unsigned limit, ctseg_list_pt cb, void *data, int64_t deadline,
    uint64_t *at_rev)
{
    uint64_t  ignored;

    if (at_rev == NULL) {
        at_rev = &ignored;
    }

    *at_rev = 0;

    if (!ctseg_store_is_key(prefix) || !ctseg_store_is_key(after_key)) {
        return CTSEG_INVALID;
    }

    return s->driver->list(s, prefix, after_key, limit, cb, data, deadline,
                           at_rev);
}


ctseg_rc_t
ctseg_store_wait(ctseg_store_t *s, uint64_t since, int64_t deadline,
    uint64_t *rev)
{
    uint64_t  ignored;

    if (rev == NULL) {
        rev = &ignored;
    }

    *rev = 0;

    return s->driver->wait(s, since, deadline, rev);
}


ctseg_rc_t
ctseg_store_usage(ctseg_store_t *s, ctseg_usage_t *usage)
{
    memset(usage, 0, sizeof(ctseg_usage_t));

    return s->driver->usage(s, usage);
}


const char *
ctseg_store_installation(const ctseg_store_t *s)
{
    return s->driver->installation(s);
}
