/*
 * What the files of the LMDB driver share.  Private to ctseg_store_lmdb*.c.
 */

#ifndef CTSEG_STORE_LMDB_INT_H
#define CTSEG_STORE_LMDB_INT_H


#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <lmdb.h>

#include "ctseg_store_int.h"
#include "ctseg_record.h"
#include "../base/ctseg_bytes.h"


#define CTSEG_LMDB_SCHEMA  1
#define CTSEG_LMDB_SEQ     8            /* bytes of a key of the log */

/*
 * Of the log: 2 says that it may have blocks of version 2, which a program
 * that knows schema 1 only would take for damaged.  It is 1 until then.
 */

#define CTSEG_LMDB_SCHEMA_LOG  2


/* how far the log is on the disk, see ctseg_store_lmdb_flush.c */

typedef struct {
    pthread_mutex_t    lock;
    pthread_cond_t     changed;
    uint64_t           safe;            /* transactions up to this one are */
    unsigned           writers;         /* threads that are about to commit */
    bool               flushing;
} ctseg_lmdb_flush_t;


typedef struct {
    MDB_env           *env;
    unsigned           psize;
    bool               late;            /* meta pages wait for a flush */
    ctseg_lmdb_flush_t  flush;          /* ... of which this knows */

    /*
     * Held shared around every transaction of this process: a map that
     * another process made larger can be mapped anew only when there is none.
     */

    pthread_rwlock_t   lock;
} ctseg_lmdb_env_t;


typedef struct ctseg_lmdb_s  ctseg_lmdb_t;

struct ctseg_lmdb_s {
    ctseg_store_t      store;           /* first: what callers hold */

    ctseg_lmdb_env_t   events;
    ctseg_lmdb_env_t   state;
    MDB_dbi            log;
    MDB_dbi            producer;
    MDB_dbi            mark;
    MDB_dbi            span;
    MDB_dbi            events_meta;
    MDB_dbi            kv;
    MDB_dbi            state_meta;

    unsigned           high_water;
    uint32_t           incarnation;     /* of the log */
    char               installation[CTSEG_INSTALL_LEN + 1];

    /* a write failed in a way that leaves the disk in doubt; the flag that
       others have too, or our own */

    atomic_int        *stopped;
    atomic_int         own;

    /* registry of what this process has open */

    dev_t              dev;
    ino_t              ino;
    pid_t              pid;
    ctseg_lmdb_t      *next;
};


/*
 * A transaction that carries its result: after the first error every later
 * call does nothing, and end or commit answers it.  One cursor at a time, and
 * one in the spans, closed with it.
 */

typedef struct {
    ctseg_lmdb_t      *db;
    ctseg_lmdb_env_t  *env;
    MDB_txn           *txn;             /* NULL: begin failed */
    MDB_cursor        *cursor;
    uint64_t           bytes;           /* that it adds, when they are many */
    MDB_cursor        *spans;           /* of a scan, beside the other one */
    int                rc;              /* of LMDB, or errno */
    bool               write;
    bool               wrote;           /* there is something to commit */
    bool               entered;         /* counts among those that flush */
} ctseg_lmdb_txn_t;


/*
 * What is known of a row of blocks, so that a reader may pass over all of
 * them.  first is the key; no blocks: empty.
 */

typedef struct {
    uint64_t       first;
    uint64_t       last;
    int64_t        min_ms;
    int64_t        max_ms;
    ctseg_kinds_t  kinds;
    uint32_t       blocks;
} ctseg_lmdb_span_t;


/* blocks that a scan comes to next, of which the first bytes were copied
   together; none: n is 0 */

#define CTSEG_LMDB_HEADS  8

typedef struct {
    const ctseg_want_t  *want;
    char                *out;           /* NULL: nothing is copied */
    uint32_t             part;          /* of a block is its directory */
    unsigned             ahead;         /* so many the next time */
    unsigned             i;             /* the one that the scan is at */
    unsigned             n;             /* the cursor is at the last */
    MDB_val              k[CTSEG_LMDB_HEADS];
    MDB_val              v[CTSEG_LMDB_HEADS];
    ctseg_str_t          head[CTSEG_LMDB_HEADS];
} ctseg_lmdb_heads_t;


/* what the meta record of the events says; the log is dense and its time
   does not fall even when every block was trimmed */

typedef struct {
    uint64_t  schema;
    uint32_t  incarnation;
    uint64_t  last;                     /* sequence of the newest ever */
    int64_t   append_ms;                /* of the newest ever */
    uint64_t  commits;
    ctseg_lmdb_span_t  open;            /* of the newest blocks, not yet in
                                           the table */
} ctseg_lmdb_log_meta_t;


typedef struct {
    uint64_t  schema;
    uint64_t  revision;
    uint64_t  log;                      /* incarnation that the id is for */
    char      installation[CTSEG_INSTALL_LEN + 1];
} ctseg_lmdb_state_meta_t;


/* ctseg_store_lmdb_txn.c */

void ctseg_lmdb_begin(ctseg_lmdb_txn_t *t, ctseg_lmdb_t *db,
    ctseg_lmdb_env_t *e, bool write, int64_t deadline);

/* the transaction is given up; rc is the answer when nothing failed */

ctseg_rc_t ctseg_lmdb_end(ctseg_lmdb_txn_t *t, ctseg_rc_t rc);
ctseg_rc_t ctseg_lmdb_commit(ctseg_lmdb_txn_t *t);

/* outside of transactions: wait until that one of the log is on the disk, or,
   0, all of them that can be seen */

ctseg_rc_t ctseg_lmdb_durable(ctseg_lmdb_t *db, uint64_t txn);

/* false: not there, or failed */

bool ctseg_lmdb_fetch(ctseg_lmdb_txn_t *t, MDB_dbi dbi, MDB_val *k,
    MDB_val *v);
void ctseg_lmdb_store(ctseg_lmdb_txn_t *t, MDB_dbi dbi, MDB_val *k,
    MDB_val *v, unsigned flags);
void ctseg_lmdb_remove(ctseg_lmdb_txn_t *t, MDB_dbi dbi, MDB_val *k);

/* the cursor, moved to another dbi */

void ctseg_lmdb_cursor(ctseg_lmdb_txn_t *t, MDB_dbi dbi);
bool ctseg_lmdb_move(ctseg_lmdb_txn_t *t, MDB_val *k, MDB_val *v,
    MDB_cursor_op op);
void ctseg_lmdb_store_at(ctseg_lmdb_txn_t *t, MDB_val *k, MDB_val *v);
void ctseg_lmdb_remove_at(ctseg_lmdb_txn_t *t);

/* bytes that hold data, and bytes of the map; counts the free pages only
   when the file's end is above floor.  Inside a transaction of env. */

void ctseg_lmdb_used(ctseg_lmdb_txn_t *t, uint64_t floor, uint64_t *used,
    uint64_t *size);

/* would this many bytes more lie above that part of the map?  0 percent: no
   limit; false also when t has failed */

bool ctseg_lmdb_is_above(ctseg_lmdb_txn_t *t, uint64_t bytes,
    unsigned percent);

/* the one record of a meta dbi; out is freed by store */

bool ctseg_lmdb_meta_open(ctseg_lmdb_txn_t *t, MDB_dbi dbi,
    ctseg_record_t *r);
void ctseg_lmdb_meta_store(ctseg_lmdb_txn_t *t, MDB_dbi dbi,
    ctseg_buf_t *out);

/* random bytes of the kernel; a failure goes into the transaction */

void ctseg_lmdb_random(ctseg_lmdb_txn_t *t, void *out, size_t len);


/* ctseg_store_lmdb_ahead.c */

/* before a commit: room in the file for it and for those that follow */

void ctseg_lmdb_ahead(const ctseg_lmdb_txn_t *t);


/* ctseg_store_lmdb_flush.c */

/* 0 or errno */

int ctseg_lmdb_flush_init(ctseg_lmdb_flush_t *f);
void ctseg_lmdb_flush_free(ctseg_lmdb_flush_t *f);

/* around each transaction that may commit: before it waits for the lock of
   writers, and behind it with the newest transaction that it shows to be
   safe, or 0.  Who has failed has stopped all writing before that. */

void ctseg_lmdb_flush_enter(ctseg_lmdb_env_t *e);
void ctseg_lmdb_flush_leave(ctseg_lmdb_env_t *e, uint64_t safe);

/* wait until that transaction is on the disk, 0: all that can be seen.  0 or
   a code, after which nobody knows.  Not inside a transaction. */

int ctseg_lmdb_flush(ctseg_lmdb_t *db, ctseg_lmdb_env_t *e, uint64_t txn);


/* ctseg_store_lmdb_append.c */

void ctseg_lmdb_log_init(ctseg_lmdb_txn_t *t, uint64_t *schema);
void ctseg_lmdb_log_load(ctseg_lmdb_txn_t *t, ctseg_lmdb_log_meta_t *m);
void ctseg_lmdb_pos(ctseg_pos_t *pos, const ctseg_lmdb_log_meta_t *m,
    uint64_t sequence);
ctseg_rc_t ctseg_lmdb_append(ctseg_store_t *s, uint32_t shard,
    const char producer[CTSEG_PRODUCER_LEN], uint64_t seq, ctseg_block_t *b,
    unsigned nblocks, ctseg_marks_t *marks, int64_t deadline,
    ctseg_pos_t *last, bool *dup);


/* ctseg_store_lmdb_mark.c */

/* now_ms is append time; is any of them known? */

bool ctseg_lmdb_mark_any(ctseg_lmdb_txn_t *t, const ctseg_marks_t *marks,
    int64_t now_ms);

/* bytes that they take, for the high-water mark */

uint64_t ctseg_lmdb_mark_bytes(const ctseg_marks_t *marks);

/* takes the cursor */

void ctseg_lmdb_mark_insert(ctseg_lmdb_txn_t *t, ctseg_marks_t *marks,
    int64_t now_ms);

ctseg_rc_t ctseg_lmdb_marked(ctseg_store_t *s, const char *keys, unsigned n,
    int64_t deadline, bool *known);
uint64_t ctseg_lmdb_mark_count(ctseg_lmdb_txn_t *t);


/* ctseg_store_lmdb_span.c */

/* the next block of the log: the open span has it, and is put into the table
   when it is complete */

void ctseg_lmdb_span_add(ctseg_lmdb_txn_t *t, ctseg_lmdb_log_meta_t *m,
    const ctseg_block_t *b);

/*
 * The first span that begins at seq or behind it, which may be the open one.
 * False: there is none, or t failed; *span is one that begins nowhere then.
 */

bool ctseg_lmdb_span_find(ctseg_lmdb_txn_t *t,
    const ctseg_lmdb_log_meta_t *m, uint64_t seq, ctseg_lmdb_span_t *span);

/* remove at most n of those that begin before seq, where no scan can begin
   any more; takes the cursor */

void ctseg_lmdb_span_trim(ctseg_lmdb_txn_t *t, uint64_t seq, unsigned n);


/* ctseg_store_lmdb_heads.c */

void ctseg_lmdb_heads_init(ctseg_lmdb_heads_t *h, const ctseg_want_t *want);

/* the cursor was moved to where the scan goes on */

void ctseg_lmdb_heads_place(ctseg_lmdb_txn_t *t, ctseg_lmdb_heads_t *h);

/* in the place of MDB_NEXT: the cursor may be ahead of what is answered */

bool ctseg_lmdb_heads_next(ctseg_lmdb_txn_t *t, ctseg_lmdb_heads_t *h,
    MDB_val *k, MDB_val *v);

/* a copy of the first bytes of the block that next or the cursor answered;
   none: it has to be read where it is.  Good until the next call. */

ctseg_str_t ctseg_lmdb_heads_get(ctseg_lmdb_txn_t *t, ctseg_lmdb_heads_t *h,
    const MDB_val *k, const MDB_val *v);

/* that is what a block is like here */

void ctseg_lmdb_heads_learn(ctseg_lmdb_heads_t *h, const ctseg_block_t *b);


/* ctseg_store_lmdb_log.c */

ctseg_rc_t ctseg_lmdb_scan(ctseg_store_t *s, uint32_t shard,
    const ctseg_pos_t *after, const ctseg_want_t *want, ctseg_scan_pt cb,
    void *data, int64_t deadline, ctseg_pos_t *next);
ctseg_rc_t ctseg_lmdb_seek(ctseg_store_t *s, uint32_t shard, int64_t ms,
    int64_t deadline, ctseg_pos_t *pos);
ctseg_rc_t ctseg_lmdb_bounds(ctseg_store_t *s, uint32_t shard,
    int64_t deadline, ctseg_bounds_t *bounds);
ctseg_rc_t ctseg_lmdb_trim(ctseg_store_t *s, uint32_t shard, int64_t ms,
    uint64_t keep_from, unsigned max_blocks, int64_t deadline,
    uint64_t *removed);
ctseg_rc_t ctseg_lmdb_usage(ctseg_store_t *s, ctseg_usage_t *usage);


/* ctseg_store_lmdb_state.c */

void ctseg_lmdb_state_init(ctseg_lmdb_txn_t *t, uint64_t *schema);
ctseg_rc_t ctseg_lmdb_get(ctseg_store_t *s, ctseg_str_t key,
    int64_t deadline, ctseg_buf_t *out, uint64_t *rev);
ctseg_rc_t ctseg_lmdb_put(ctseg_store_t *s, ctseg_str_t key,
    ctseg_str_t value, uint64_t expect, int64_t deadline, uint64_t *rev);
ctseg_rc_t ctseg_lmdb_room(ctseg_store_t *s, unsigned percent,
    int64_t deadline);
ctseg_rc_t ctseg_lmdb_list(ctseg_store_t *s, ctseg_str_t prefix,
    ctseg_str_t after_key, unsigned limit, ctseg_list_pt cb, void *data,
    int64_t deadline, uint64_t *at_rev);
ctseg_rc_t ctseg_lmdb_wait(ctseg_store_t *s, uint64_t since,
    int64_t deadline, uint64_t *rev);


#endif /* CTSEG_STORE_LMDB_INT_H */
