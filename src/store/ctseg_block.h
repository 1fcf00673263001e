/*
 * A block: the events of one commit (or a part of them) as they lie in the
 * log.  A 64-byte header that tells whether a reader needs the rest, then a
 * directory that tells it which records, then the records of the events
 * (model/ctseg_event.h).  Any thread.
 */

#ifndef CTSEG_BLOCK_H
#define CTSEG_BLOCK_H


#include "../model/ctseg_event.h"


/*
 * Little-endian:
 *
 *    0  u8   version = 2
 *    1  u8   0
 *    2  u16  0
 *    4  u32  count             events in the block, at least 1
 *    8  u64  first             sequence of the first event
 *   16  i64  append_ms         when it was appended, never falling
 *   24  i64  min_ms            least event time
 *   32  i64  max_ms            greatest event time
 *   40  u64  kinds             bit (1 << kind) for each kind that occurs
 *   48  u32  payload length    of all records
 *   52  u32  CRC32C of the directory
 *   56  u32  0
 *   60  u32  CRC32C of bytes 0..59
 *   64       directory         8 bytes for each event, in order
 *               0  u24  size of its record
 *               3  u8   its kind
 *               4  u32  CRC32C of its record
 *   64 + 8 * count   payload   the records, without gaps
 *
 * Who wants some of the events finds them by the directory, and touches no
 * others.  Version 1 has no directory: the payload lies behind the header,
 * and the checksum at 52 is that of the payload.  Blocks of both are read.
 *
 * The builder knows all but "first" and "append_ms", which belong to the
 * write transaction.
 */

#define CTSEG_BLOCK_VERSION      2
#define CTSEG_BLOCK_HEADER       64
#define CTSEG_BLOCK_ENTRY        8      /* of the directory */
#define CTSEG_BLOCK_NEAR         4096   /* bytes of a stored one that is read
                                           where it is, larger ones are not */
#define CTSEG_BLOCK_PAYLOAD_MAX  (1024 * 1024 - CTSEG_BLOCK_HEADER)
                                        /* with the directory */


typedef struct {
    unsigned       version;             /* 1 or 2 */
    uint32_t       count;
    uint64_t       first;
    int64_t        append_ms;
    int64_t        min_ms;
    int64_t        max_ms;
    ctseg_kinds_t  kinds;
    uint32_t       crc;                 /* of the directory; in version 1 of
                                           the payload */
    ctseg_str_t    directory;           /* borrowed; empty in version 1 */
    const char    *copied;              /* the directory as well, borrowed;
                                           NULL: it was not copied */
    ctseg_str_t    payload;             /* borrowed, right behind it when the
                                           block is a stored one */
    bool           damaged;             /* nothing but first and count holds:
                                           see ctseg_store_scan */
    bool           passed;              /* several blocks, of which none can
                                           match: no append_ms and no payload,
                                           see ctseg_store_scan_for */
} ctseg_block_t;


/* memory for copies of stored ones: ctseg_block_mem.h */

typedef struct ctseg_block_mem_s  ctseg_block_mem_t;


/* sequence of the last event */

#define ctseg_block_last(b)  ((b)->first + (b)->count - 1)


/* builder: collects events into a payload; zeroed struct = empty */

typedef struct {
    ctseg_buf_t    buf;                 /* the records */
    ctseg_buf_t    directory;
    uint32_t       count;
    int64_t        min_ms;
    int64_t        max_ms;
    ctseg_kinds_t  kinds;
} ctseg_block_builder_t;

/* false: it would exceed CTSEG_BLOCK_PAYLOAD_MAX, nothing was added */

bool ctseg_block_add(ctseg_block_builder_t *bb, const ctseg_event_t *ev);

/* describe what was built; payload borrowed from the builder; NOMEM, INVALID
   when empty */

ctseg_rc_t ctseg_block_finish(ctseg_block_builder_t *bb, ctseg_block_t *b);

/*
 * Take those events out again that keep says no to; it is asked once for
 * each, in order, i from 0.  Nothing is allocated; an empty builder is left
 * when none is kept.
 */

typedef bool (*ctseg_block_keep_pt)(void *data, unsigned i);

void ctseg_block_keep(ctseg_block_builder_t *bb, ctseg_block_keep_pt keep,
    void *data);

void ctseg_block_builder_free(ctseg_block_builder_t *bb);


/* events in as many blocks as they take, in order; zeroed struct = empty */

typedef struct {
    ctseg_block_builder_t  *builders;
    unsigned                n;          /* in use */
    unsigned                allocated;
    ctseg_block_t          *blocks;     /* nblocks of them, see finish */
    unsigned                nblocks;
} ctseg_blocks_t;

/* false: no memory */

bool ctseg_blocks_add(ctseg_blocks_t *list, const ctseg_event_t *ev);

/* describe what was built, but for builders that are empty (again); NOMEM */

ctseg_rc_t ctseg_blocks_finish(ctseg_blocks_t *list);

/* empty again, with the memory it has */

void ctseg_blocks_reset(ctseg_blocks_t *list);

void ctseg_blocks_free(ctseg_blocks_t *list);


/* header bytes of b, with first and append_ms as they stand in b */

void ctseg_block_encode_header(char out[CTSEG_BLOCK_HEADER],
    const ctseg_block_t *b);

/* bytes that it takes in the log */

#define ctseg_block_size(b)  (CTSEG_BLOCK_HEADER + (b)->directory.len         \
                              + (b)->payload.len)

/*
 * Read a stored block: only the header is touched.  CORRUPT: unknown version,
 * wrong header checksum, or lengths that do not fit.
 */

ctseg_rc_t ctseg_block_decode(ctseg_str_t stored, ctseg_block_t *b);

/* the same, of a copy of its first bytes, of the header at least: "stored" is
   not touched, and the directory is a copied one if all of it is there */

ctseg_rc_t ctseg_block_decode_copied(ctseg_str_t stored, ctseg_str_t head,
    ctseg_block_t *b);

/* all of it against its checksums: CORRUPT or OK; touches all of it */

ctseg_rc_t ctseg_block_verify(const ctseg_block_t *b);

/* can any event of the block match? else the payload need not be read */

bool ctseg_block_may_match(const ctseg_block_t *b, ctseg_kinds_t kinds,
    int64_t from_ms, int64_t to_ms);


#endif /* CTSEG_BLOCK_H */
