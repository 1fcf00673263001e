/*
 * The store: an append-only log of events and a table of state records,
 * behind one table of calls that each driver implements and one conformance
 * suite tests.  LMDB is the driver of a single machine.
 *
 * Threads: every call but open and close may block, and is made from a pool
 * thread only, never from the event loop.  open and close belong to process
 * hooks: a store is opened after fork, and once per process and directory.
 *
 * Deadlines are absolute CLOCK_MONOTONIC milliseconds (ctseg_mono_ms); a
 * driver that cannot interrupt a system call checks them between steps.
 * RETRY: certainly not applied, try again.  AMBIGUOUS: perhaps applied;
 * repeat an append with the same (producer, seq), re-read after a put.
 * FATAL: perhaps applied, and writing has stopped for good in this process
 * and in all that share options.stopped with it.
 */

#ifndef CTSEG_STORE_H
#define CTSEG_STORE_H


#include <stdatomic.h>

#include "ctseg_block.h"
#include "../base/ctseg_time.h"


#define CTSEG_KEY_MAX        200        /* bytes of [A-Za-z0-9_.-/] */
#define CTSEG_VALUE_MAX      65536
#define CTSEG_PRODUCER_LEN   16
#define CTSEG_INSTALL_LEN    16         /* hex digits of an installation id */
#define CTSEG_MARK_LEN       16
#define CTSEG_MARK_MS        CTSEG_DAY_MS       /* marks are known so long */


typedef struct ctseg_store_s  ctseg_store_t;


typedef struct {
    const char  *path;                  /* directory; events/ and state/ lie
                                           below it and exist already */
    uint64_t     events_size;           /* map sizes in bytes */
    uint64_t     state_size;
    unsigned     high_water;            /* percent of events_size; 0: none */

    /*
     * Not 0: writing has stopped, see FATAL.  In memory that all processes
     * share which write this store; it is set by whoever meets the error and
     * outlives the store.  NULL: each process stops by itself.
     */

    atomic_int  *stopped;
} ctseg_store_options_t;


/*
 * A place in the log.  Opaque to all but drivers, save that within one
 * incarnation and shard the sequence of an event is its number: dense, from
 * 1, in the order of commits.  All zero: before the first.  A position of
 * another incarnation (the log was recreated) is TRIMMED.
 */

typedef struct {
    uint32_t  incarnation;
    uint32_t  shard;
    uint64_t  sequence;
} ctseg_pos_t;

/* 16 bytes, big-endian, so that memcmp orders positions of a shard */

#define CTSEG_POS_LEN  16

void ctseg_pos_encode(char out[CTSEG_POS_LEN], const ctseg_pos_t *pos);
void ctseg_pos_decode(ctseg_pos_t *pos, const char in[CTSEG_POS_LEN]);


typedef struct {
    uint64_t  first;                    /* oldest sequence kept, 0: empty */
    uint64_t  last;                     /* newest sequence ever, 0: none */
    uint32_t  incarnation;
} ctseg_bounds_t;


typedef struct {
    uint64_t  events_used;              /* bytes in use */
    uint64_t  events_size;
    uint64_t  state_used;
    uint64_t  state_size;
    uint64_t  commits;                  /* of the log, since it was created */
    uint64_t  marks;                    /* kept, old ones included */
    ctseg_bounds_t  bounds;
} ctseg_usage_t;


/* what a callback answers: go on, or this was the last one wanted */

typedef enum {
    CTSEG_GO_ON = 0,
    CTSEG_ENOUGH,                       /* the item was taken */
    CTSEG_UNTAKEN                       /* the item was not taken: stop
                                           before it */
} ctseg_next_t;

/* bytes are valid during the call only */

typedef ctseg_next_t (*ctseg_scan_pt)(void *data, const ctseg_block_t *b);
typedef ctseg_next_t (*ctseg_list_pt)(void *data, ctseg_str_t key,
    ctseg_str_t value, uint64_t rev);


/*
 * OK; INVALID (options), FULL (disk), FATAL with err->text naming the path
 * and the system's reason.  Creates the two environments when they are new.
 */

ctseg_rc_t ctseg_store_open(ctseg_store_t **s,
    const ctseg_store_options_t *options, ctseg_err_t *err);

void ctseg_store_close(ctseg_store_t *s);           /* NULL is fine */


/*
 * Append blocks in one transaction, durable when it answers OK.  *last is
 * the position of the last event.  Idempotent per producer: the same (shard,
 * producer, seq) as the producer's last append stores nothing, answers the
 * same position and sets *dup; an older seq is INVALID.  One append in flight
 * per producer.  b[i].first and b[i].append_ms are filled in.
 * FULL: above the high-water mark or out of space, nothing stored.
 */

ctseg_rc_t ctseg_store_append(ctseg_store_t *s, uint32_t shard,
    const char producer[CTSEG_PRODUCER_LEN], uint64_t seq, ctseg_block_t *b,
    unsigned nblocks, int64_t deadline, ctseg_pos_t *last, bool *dup);

/*
 * Marks: keys that say "this was stored", for a day (CTSEG_MARK_MS).  They
 * are inserted by the very transaction that stores the events, so that after
 * whatever happens both are there or neither.  What a key stands for is the
 * caller's; see ctseg_mark.h.  Time is that of appends, which never falls.
 *
 * They take at most an eighth of events_size, about: above it older ones are
 * forgotten before their time, of a few that are looked at the oldest.
 */

typedef struct {
    const char  *keys;                  /* n of CTSEG_MARK_LEN bytes; one that
                                           occurs twice counts once */
    unsigned     n;
    unsigned     forgotten;             /* answer: this many other marks had
                                           to go before their time */
} ctseg_marks_t;

/*
 * An append with marks.  CONFLICT: at least one of them is known, nothing was
 * stored; it is told before FULL is.  Ask which, drop what they stand for,
 * and repeat.  A repeated append (same producer and seq) answers as ever.
 */

ctseg_rc_t ctseg_store_append_marked(ctseg_store_t *s, uint32_t shard,
    const char producer[CTSEG_PRODUCER_LEN], uint64_t seq, ctseg_block_t *b,
    unsigned nblocks, ctseg_marks_t *marks, int64_t deadline,
    ctseg_pos_t *last, bool *dup);

/* known[i] says whether the i-th of n keys is; durable when it says so */

ctseg_rc_t ctseg_store_marked(ctseg_store_t *s, const char *keys, unsigned n,
    int64_t deadline, bool *known);

/*
 * Blocks that hold events after "after", oldest first, without gaps; the
 * first may begin at or before it.  Where a header does not read, or a block
 * is not there, comes a block that is "damaged" instead, up to the next one
 * that reads or the end of the log.  Payloads are not looked at.  *next is
 * the position to go on from: the last event of the last block taken.  OK:
 * there may be more.  AGAIN: the head was reached.  TRIMMED: events after
 * "after" are gone, *next is where the log begins now.
 */

ctseg_rc_t ctseg_store_scan(ctseg_store_t *s, uint32_t shard,
    const ctseg_pos_t *after, ctseg_scan_pt cb, void *data, int64_t deadline,
    ctseg_pos_t *next);

/*
 * The same for who wants events of some kinds and times only.  Blocks that
 * have none may come many at once, as one that is "passed": first, count,
 * kinds and times are those of all of them.  What does not read among them is
 * not shown.  All others come as they would without.  Who reads their events
 * gives the memory for it: the directories of several are copied together
 * with their headers then, and are valid as long as the block is.
 */

typedef struct {
    ctseg_kinds_t  kinds;
    int64_t        from_ms;             /* included */
    int64_t        to_ms;               /* not included */
    ctseg_block_mem_t  *mem;            /* borrowed; NULL: headers only */
} ctseg_want_t;

ctseg_rc_t ctseg_store_scan_for(ctseg_store_t *s, uint32_t shard,
    const ctseg_pos_t *after, const ctseg_want_t *want, ctseg_scan_pt cb,
    void *data, int64_t deadline, ctseg_pos_t *next);

/*
 * A position such that no block appended at or after ms lies at or before
 * it.  Binary search; append time never falls, so that of a block that does
 * not read lies between those of its neighbors.
 */

ctseg_rc_t ctseg_store_seek(ctseg_store_t *s, uint32_t shard, int64_t ms,
    int64_t deadline, ctseg_pos_t *pos);

ctseg_rc_t ctseg_store_bounds(ctseg_store_t *s, uint32_t shard,
    int64_t deadline, ctseg_bounds_t *bounds);

/*
 * Remove whole blocks from the front that were appended before ms and end at
 * or before keep_from - 1, at most max_blocks of them.  OK: perhaps more to
 * do; AGAIN: done.  *removed counts events.
 */

ctseg_rc_t ctseg_store_trim(ctseg_store_t *s, uint32_t shard, int64_t ms,
    uint64_t keep_from, unsigned max_blocks, int64_t deadline,
    uint64_t *removed);


/*
 * Forget what dead processes were reading: until then every page that is
 * freed stays as it is, and the files grow.  Once a minute is enough.
 */

ctseg_rc_t ctseg_store_sweep(ctseg_store_t *s);


/*
 * State records.  Revisions are store-wide and only grow, also across
 * deletion and creation of a key.
 *
 * get: OK with the value in *out (appended) and *rev; NOTFOUND.
 */

ctseg_rc_t ctseg_store_get(ctseg_store_t *s, ctseg_str_t key,
    int64_t deadline, ctseg_buf_t *out, uint64_t *rev);

/*
 * put: compare and set.  expect is the revision the record must have now, 0:
 * it must not exist.  value.data == NULL deletes.  CONFLICT: it has another
 * revision (or is there / is not).  *rev (may be NULL) is the new revision.
 * Durable when it answers OK.  INVALID: key or value outside the limits.
 * FULL: a new record is refused earlier than a change or a deletion, which
 * are how space is won.
 */

ctseg_rc_t ctseg_store_put(ctseg_store_t *s, ctseg_str_t key,
    ctseg_str_t value, uint64_t expect, int64_t deadline, uint64_t *rev);

/* OK: the table of state fills less than so many percent of its room; FULL */

ctseg_rc_t ctseg_store_room(ctseg_store_t *s, unsigned percent,
    int64_t deadline);

/*
 * Records whose key begins with prefix and is greater than after_key (empty:
 * from the start), ascending, at most limit (0: all), as one consistent
 * snapshot at *at_rev (may be NULL).
 */

ctseg_rc_t ctseg_store_list(ctseg_store_t *s, ctseg_str_t prefix,
    ctseg_str_t after_key, unsigned limit, ctseg_list_pt cb, void *data,
    int64_t deadline, uint64_t *at_rev);

/*
 * Wait until the store's revision exceeds since or the deadline has passed
 * (a deadline of 0: look once).  OK: it does; AGAIN: not yet.  *rev is the
 * revision seen.
 */

ctseg_rc_t ctseg_store_wait(ctseg_store_t *s, uint64_t since,
    int64_t deadline, uint64_t *rev);

/* figures for people; best effort */

ctseg_rc_t ctseg_store_usage(ctseg_store_t *s, ctseg_usage_t *usage);

/*
 * CTSEG_INSTALL_LEN hex digits + NUL, made at creation and kept as long as
 * the log is: one that is made anew counts from 1 again and gets another id
 */

const char *ctseg_store_installation(const ctseg_store_t *s);


#endif /* CTSEG_STORE_H */
