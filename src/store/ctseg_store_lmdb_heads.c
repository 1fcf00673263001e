/*
 * The LMDB driver's heads: headers of blocks with their directories, copied
 * from the map for several blocks of a scan by one call of the kernel.  A
 * call costs what some hundred events of a directory cost to look at, so a
 * scan that looks at little of each block spends most of its time in calls.
 * Called by scan of this driver.  How large a directory is stands in the
 * header: it is taken to be as large a part of its block as that of the block
 * before, and what is not copied for that is copied by who needs it.
 */

#include <errno.h>

#include "ctseg_store_lmdb_int.h"
#include "ctseg_block_mem.h"


/* parts of a block are counted in 65536ths: the first directory of a scan */

#define CTSEG_LMDB_HEAD_FIRST  (65536 / 16)


void
ctseg_lmdb_heads_init(ctseg_lmdb_heads_t *h, const ctseg_want_t *want)
{
    h->want = want;
    h->out = NULL;
    h->part = CTSEG_LMDB_HEAD_FIRST;
    h->ahead = 1;
    h->i = 0;
    h->n = 0;
}


void
ctseg_lmdb_heads_place(ctseg_lmdb_txn_t *t, ctseg_lmdb_heads_t *h)
{
    h->n = 0;

    if (t->rc == 0 && h->want != NULL && h->want->mem != NULL) {
        h->out = ctseg_block_mem_heads(h->want->mem);

        if (h->out == NULL) {
            t->rc = ENOMEM;
        }
    }
}


bool
ctseg_lmdb_heads_next(ctseg_lmdb_txn_t *t, ctseg_lmdb_heads_t *h, MDB_val *k,
    MDB_val *v)
{
    if (h->n != 0 && ++h->i < h->n) {
        *k = h->k[h->i];
        *v = h->v[h->i];
        return true;
    }

    /* the cursor is at the last of them */

    h->n = 0;

    return ctseg_lmdb_move(t, k, v, MDB_NEXT);
}


/* bytes of a head, as well as one can tell; 0: its block is read where it is,
   or there is no room */

static size_t
ctseg_lmdb_head_size(const ctseg_lmdb_heads_t *h, size_t size, size_t room)
{
    size_t  head;

    if (size <= CTSEG_BLOCK_NEAR) {
        return 0;
    }

    head = CTSEG_BLOCK_HEADER + (size_t) ((uint64_t) size * h->part >> 16);
    head = head < size ? head : size;

    if (head <= room) {
        return head;
    }

    return room < CTSEG_BLOCK_HEADER ? 0 : CTSEG_BLOCK_HEADER;
}


/* of the block under the cursor and of those that follow it */

static void
ctseg_lmdb_heads_fill(ctseg_lmdb_txn_t *t, ctseg_lmdb_heads_t *h, MDB_val k,
    MDB_val v)
{
    size_t        size, used;
    unsigned      n;
    struct iovec  piece[CTSEG_LMDB_HEADS];

    h->n = 0;
    n = 0;
    used = 0;

    do {
        size = ctseg_lmdb_head_size(h, v.mv_size, CTSEG_BLOCK_HEADS - used);

        h->k[h->n] = k;
        h->v[h->n] = v;
        h->head[h->n].data = h->out + used;
        h->head[h->n++].len = size;

        if (size != 0) {
            piece[n].iov_base = v.mv_data;
            piece[n++].iov_len = size;
            used += size;
        }

    } while (h->n < h->ahead && ctseg_lmdb_move(t, &k, &v, MDB_NEXT));

    h->i = 0;

    if (n != 0) {
        ctseg_peek(ctseg_block_mem_self(h->want->mem), h->out, piece, n);
    }
}


ctseg_str_t
ctseg_lmdb_heads_get(ctseg_lmdb_txn_t *t, ctseg_lmdb_heads_t *h,
    const MDB_val *k, const MDB_val *v)
{
    ctseg_str_t  none;

    if (h->out == NULL) {
        none.len = 0;
        none.data = NULL;
        return none;
    }

    if (h->n == 0) {
        ctseg_lmdb_heads_fill(t, h, *k, *v);

        /* a scan that ends soon has not looked far ahead */

        h->ahead = h->ahead < CTSEG_LMDB_HEADS / 2 ? h->ahead * 2
                                                   : CTSEG_LMDB_HEADS;
    }

    return h->head[h->i];
}


void
ctseg_lmdb_heads_learn(ctseg_lmdb_heads_t *h, const ctseg_block_t *b)
{
    const ctseg_want_t  *want;

    want = h->want;
    h->part = 0;

    /* of who is not wanted the header will do, the next ones are alike */

    if (want != NULL && b->directory.len != 0
        && ctseg_block_may_match(b, want->kinds, want->from_ms, want->to_ms))
    {
        h->part = (uint32_t) (((uint64_t) b->directory.len << 16)
                              / ctseg_block_size(b));

        /* the events of the next one may be smaller on the average */

        h->part += h->part / 16 + 1;
    }
}
