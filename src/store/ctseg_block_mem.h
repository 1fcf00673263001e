/*
 * Memory for what readers of blocks copy.  Any thread; one owner.
 */

#ifndef CTSEG_BLOCK_MEM_H
#define CTSEG_BLOCK_MEM_H


#include "ctseg_block.h"
#include "ctseg_peek.h"


/* copied from the log at once, unless a single record is larger */

#define CTSEG_BLOCK_CHUNK  (64 * 1024)

/* headers with their directories, of several blocks, that are copied at
   once */

#define CTSEG_BLOCK_HEADS  (64 * 1024)


/* kept from block to block by one process; zeroed struct = none yet */

struct ctseg_block_mem_s {
    pid_t    self;                      /* 0: not asked yet */
    char    *directory;
    size_t   size;
    char    *records;                   /* CTSEG_BLOCK_CHUNK */
    char    *heads;                     /* CTSEG_BLOCK_HEADS */
};

/* getpid(), which is a call of the kernel */

pid_t ctseg_block_mem_self(ctseg_block_mem_t *mem);

/* room for copies of records, and of a directory of len bytes; false: no
   memory */

bool ctseg_block_mem_room(ctseg_block_mem_t *mem, size_t len);

/* for a store that looks ahead; NULL: no memory */

char *ctseg_block_mem_heads(ctseg_block_mem_t *mem);

void ctseg_block_mem_free(ctseg_block_mem_t *mem);


/* what is kept from reader to reader: each has it for as long as it reads,
   and so many at once; zeroed struct = nothing */

#define CTSEG_BLOCK_MEMS          4
#define CTSEG_BLOCK_MEMS_IDLE_MS  2000

typedef struct {
    ctseg_block_mem_t  mem[CTSEG_BLOCK_MEMS];
    bool               taken[CTSEG_BLOCK_MEMS];
    bool               used[CTSEG_BLOCK_MEMS];  /* since since_ms */
    int64_t            since_ms;
} ctseg_block_mems_t;

/* NULL: all are taken, the reader has to bring its own */

ctseg_block_mem_t *ctseg_block_mems_take(ctseg_block_mems_t *mems);

/* mem may be NULL */

void ctseg_block_mems_give(ctseg_block_mems_t *mems, ctseg_block_mem_t *mem);

/* to be called every now and then: what nobody took for
   CTSEG_BLOCK_MEMS_IDLE_MS is freed.  now_ms is monotonic. */

void ctseg_block_mems_tidy(ctseg_block_mems_t *mems, int64_t now_ms);


#endif /* CTSEG_BLOCK_MEM_H */
