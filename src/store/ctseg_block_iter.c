/*
 * The reader of a block.  Called by runs and all else that reads events, on
 * pool threads.  The directory is checked as a whole and tells where records
 * lie; of these only what is wanted is copied, many at a time, and each is
 * checked when it is taken.  So an event that nobody wants costs a look at
 * eight bytes, and damage costs the event that it hit.  Blocks of version 1
 * have one checksum over all records, which are read through then.
 */

#include <string.h>

#include "ctseg_block_iter.h"
#include "../base/ctseg_bytes.h"
#include "../base/ctseg_crc32c.h"


#define ctseg_block_entry(it, i)                                              \
    ((uint32_t) ctseg_le_get((it)->directory                                  \
                             + (size_t) (i) * CTSEG_BLOCK_ENTRY, 4))

#define ctseg_block_entry_size(e)  ((e) & 0xffffff)
#define ctseg_block_entry_kind(e)  ((e) >> 24)


/* bytes of all records as the directory has them */

static size_t
ctseg_block_sum(const char *p, uint32_t n)
{
    size_t    sum;
    uint32_t  i;

    for (i = 0, sum = 0; i < n; i++) {
        sum += ctseg_block_entry_size(ctseg_le_get(p, 4));
        p += CTSEG_BLOCK_ENTRY;
    }

    return sum;
}


/* where it can be looked at; false: no memory */

static bool
ctseg_block_directory(ctseg_block_iter_t *it)
{
    struct iovec          piece;
    ctseg_block_mem_t    *mem;
    const ctseg_block_t  *b;

    b = it->block;
    mem = it->mem;

    it->directory = b->copied != NULL ? b->copied : b->directory.data;

    if (mem == NULL) {
        return true;
    }

    if (!ctseg_block_mem_room(mem, b->copied != NULL ? 0 : b->directory.len)) {
        return false;
    }

    if (b->copied == NULL) {
        piece.iov_base = (void *) b->directory.data;
        piece.iov_len = b->directory.len;
        ctseg_peek(ctseg_block_mem_self(mem), mem->directory, &piece, 1);
        it->directory = mem->directory;
    }

    return true;
}


ctseg_rc_t
ctseg_block_iter(ctseg_block_iter_t *it, const ctseg_block_t *b,
    ctseg_block_mem_t *mem, ctseg_kinds_t kinds, uint64_t after,
    uint64_t upto)
{
    it->block = b;
    it->mem = ctseg_block_size(b) > CTSEG_BLOCK_NEAR ? mem : NULL;
    it->kinds = kinds;
    it->after = after;
    it->rest = b->payload;
    it->at = 0;
    it->i = 0;
    it->n = b->count;
    it->got = 0;
    it->taken = 0;

    if (upto < ctseg_block_last(b)) {
        it->n = upto < b->first ? 0 : (uint32_t) (upto - b->first + 1);
    }

    if (b->version == 1) {
        it->bytes = b->payload.len;
        return ctseg_block_verify(b);
    }

    it->bytes = b->directory.len;

    if (!ctseg_block_directory(it)) {
        return CTSEG_NOMEM;
    }

    if (ctseg_crc32c(0, it->directory, b->directory.len) != b->crc
        || ctseg_block_sum(it->directory, b->count) != b->payload.len)
    {
        return CTSEG_CORRUPT;
    }

    if (after >= b->first) {
        it->i = after - b->first < it->n ? (uint32_t) (after - b->first + 1)
                                         : it->n;
        it->at = ctseg_block_sum(it->directory, it->i);
    }

    return CTSEG_OK;
}


/* what was found is copied, and lies in the copy then */

static void
ctseg_block_copy(ctseg_block_iter_t *it)
{
    char          *p;
    size_t         size;
    unsigned       i, n;
    struct iovec   piece[CTSEG_PEEK_MAX];

    p = it->mem->records;

    for (i = 0, n = 0; i < it->got; i++) {
        size = ctseg_block_entry_size(ctseg_block_entry(it, it->entry[i]));

        if (size > CTSEG_BLOCK_CHUNK) {
            return;                     /* it is alone then */
        }

        if (n != 0 && (const char *) piece[n - 1].iov_base
                      + piece[n - 1].iov_len == it->record[i])
        {
            piece[n - 1].iov_len += size;

        } else {
            piece[n].iov_base = (void *) it->record[i];
            piece[n++].iov_len = size;
        }

        it->record[i] = p;
        p += size;
    }

    ctseg_peek(ctseg_block_mem_self(it->mem), it->mem->records, piece, n);
}


/* the next ones that are wanted, as many as are copied at once */

static void
ctseg_block_gather(ctseg_block_iter_t *it)
{
    size_t    at, room, size;
    uint32_t  i, entry;
    unsigned  got;

    got = 0;
    at = it->at;
    room = CTSEG_BLOCK_CHUNK;

    for (i = it->i; i < it->n; i++) {
        entry = ctseg_block_entry(it, i);
        size = ctseg_block_entry_size(entry);

        if ((it->kinds >> (ctseg_block_entry_kind(entry) & 63) & 1) != 0) {

            if (got == CTSEG_PEEK_MAX || (size > room && got != 0)) {
                break;
            }

            it->entry[got] = i;
            it->record[got++] = it->block->payload.data + at;
            room = size < room ? room - size : 0;
        }

        at += size;
    }

    it->i = i;
    it->at = at;
    it->got = got;
    it->taken = 0;

    if (got != 0 && it->mem != NULL) {
        ctseg_block_copy(it);
    }
}


/* version 1: all events up to the next that is wanted are read */

static ctseg_rc_t
ctseg_block_next_old(ctseg_block_iter_t *it, ctseg_event_t *ev)
{
    while (it->i < it->n) {
        it->sequence = it->block->first + it->i++;
        it->last = it->sequence;

        if (ctseg_event_decode(&it->rest, ev) != CTSEG_OK) {

            /* where the next one begins is not known */

            it->last = ctseg_block_last(it->block);
            it->i = it->n;
            return CTSEG_CORRUPT;
        }

        if (it->sequence > it->after
            && (it->kinds & ctseg_kind_bit(ev->kind)) != 0)
        {
            return CTSEG_OK;
        }
    }

    return CTSEG_NOTFOUND;
}


ctseg_rc_t
ctseg_block_next(ctseg_block_iter_t *it, ctseg_event_t *ev)
{
    uint32_t      i, entry;
    ctseg_str_t   record;
    const char   *p;

    if (it->block->version == 1) {
        return ctseg_block_next_old(it, ev);
    }

    if (it->taken == it->got) {
        ctseg_block_gather(it);

        if (it->got == 0) {
            return CTSEG_NOTFOUND;
        }
    }

    i = it->entry[it->taken];
    p = it->directory + (size_t) i * CTSEG_BLOCK_ENTRY;
    entry = (uint32_t) ctseg_le_get(p, 4);

    record.len = ctseg_block_entry_size(entry);
    record.data = it->record[it->taken++];

    it->sequence = it->block->first + i;
    it->last = it->sequence;
    it->bytes += record.len;

    if (ctseg_crc32c(0, record.data, record.len) != ctseg_le_get(p + 4, 4)
        || ctseg_event_decode(&record, ev) != CTSEG_OK
        || record.len != 0
        || ev->kind != ctseg_block_entry_kind(entry))
    {
        return CTSEG_CORRUPT;
    }

    return CTSEG_OK;
}


size_t
ctseg_block_touched(const ctseg_block_iter_t *it)
{
    return it->bytes;
}


ctseg_rc_t
ctseg_block_verify(const ctseg_block_t *b)
{
    ctseg_rc_t          rc;
    ctseg_event_t       ev;
    ctseg_block_iter_t  it;

    if (b->version == 1) {
        return ctseg_crc32c(0, b->payload.data, b->payload.len) == b->crc
               ? CTSEG_OK : CTSEG_CORRUPT;
    }

    rc = ctseg_block_iter(&it, b, NULL, ~(ctseg_kinds_t) 0, 0, UINT64_MAX);

    while (rc == CTSEG_OK) {
        rc = ctseg_block_next(&it, &ev);
    }

    return rc == CTSEG_NOTFOUND ? CTSEG_OK : CTSEG_CORRUPT;
}
