/*
 * Memory for what readers of blocks copy.  Called by the reader of a block,
 * by drivers that look ahead, and by who reads again and again: fresh memory
 * costs a fault for each page, and what is freed in large pieces goes back to
 * the kernel soon.
 */

#include <stdlib.h>
#include <unistd.h>

#include "ctseg_block_mem.h"


pid_t
ctseg_block_mem_self(ctseg_block_mem_t *mem)
{
    if (mem->self == 0) {
        mem->self = getpid();
    }

    return mem->self;
}


bool
ctseg_block_mem_room(ctseg_block_mem_t *mem, size_t len)
{
    if (mem->records == NULL) {
        mem->records = malloc(CTSEG_BLOCK_CHUNK);
        if (mem->records == NULL) {
            return false;
        }
    }

    if (len > mem->size) {
        free(mem->directory);
        mem->size = len < CTSEG_BLOCK_CHUNK / 2 ? CTSEG_BLOCK_CHUNK / 2 : len;
        mem->directory = malloc(mem->size);

        if (mem->directory == NULL) {
            mem->size = 0;
            return false;
        }
    }

    return true;
}


char *
ctseg_block_mem_heads(ctseg_block_mem_t *mem)
{
    if (mem->heads != NULL) {
        return mem->heads;
    }

    mem->heads = malloc(CTSEG_BLOCK_HEADS);
    if (mem->heads == NULL) {
        return NULL;
    }

    return mem->heads;
}


void
ctseg_block_mem_free(ctseg_block_mem_t *mem)
{
    free(mem->directory);
    free(mem->records);
    free(mem->heads);

    mem->directory = NULL;
    mem->records = NULL;
    mem->heads = NULL;
    mem->size = 0;
}


ctseg_block_mem_t *
ctseg_block_mems_take(ctseg_block_mems_t *mems)
{
    unsigned  i;

    /* the first ones are taken most often: the others may be freed */

    for (i = 0; i < CTSEG_BLOCK_MEMS; i++) {
        if (!mems->taken[i]) {
            mems->taken[i] = true;
            mems->used[i] = true;
            return &mems->mem[i];
        }
    }

    return NULL;
}


void
ctseg_block_mems_give(ctseg_block_mems_t *mems, ctseg_block_mem_t *mem)
{
    if (mem != NULL) {
        mems->taken[mem - mems->mem] = false;
    }
}


void
ctseg_block_mems_tidy(ctseg_block_mems_t *mems, int64_t now_ms)
{
    unsigned  i;

    if (now_ms - mems->since_ms < CTSEG_BLOCK_MEMS_IDLE_MS) {
        return;
    }

    for (i = 0; i < CTSEG_BLOCK_MEMS; i++) {
        if (!mems->taken[i] && !mems->used[i]) {
            ctseg_block_mem_free(&mems->mem[i]);
        }

        mems->used[i] = mems->taken[i];
    }

    mems->since_ms = now_ms;
}
