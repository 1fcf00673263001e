/*
 * Memory below the line: the growable buffer and the arena.  Used by every
 * room that runs without an nginx pool, on any thread.  The buffer's failure
 * is sticky, so that a renderer of fifty appends looks once at its end.  No
 * lock, no cache, no accounting: one owner at a time, and the owner frees.
 */

#include "ctseg_mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define CTSEG_MEM_FIRST  4096           /* first chunk of an arena */
#define CTSEG_MEM_CHUNK  65536          /* chunks double up to this */
#define CTSEG_MEM_ALIGN  16


typedef struct ctseg_mem_chunk_s  ctseg_mem_chunk_t;

struct ctseg_mem_chunk_s {
    ctseg_mem_chunk_t  *next;
    size_t              size;           /* usable bytes behind the head */
    size_t              used;
    size_t              unused;         /* keeps the data aligned to 16 */
};

_Static_assert(sizeof(ctseg_mem_chunk_t) % CTSEG_MEM_ALIGN == 0,
               "the data behind the head of a chunk must be aligned");


struct ctseg_arena_s {
    ctseg_mem_chunk_t  *chunk;          /* the one that is being filled */
    size_t              grow;           /* size of the next one */
};


void
ctseg_buf_grow(ctseg_buf_t *b, size_t more)
{
    char    *data;
    size_t   cap;

    if (b->failed) {
        return;
    }

    if (more > SIZE_MAX / 2 - b->len) {
        b->failed = true;
        return;
    }

    cap = b->cap < 64 ? 64 : b->cap;

    while (cap < b->len + more) {
        cap *= 2;
    }

    data = realloc(b->data, cap);

    if (data == NULL) {
        b->failed = true;
        return;
    }

    b->data = data;
    b->cap = cap;
}


void
ctseg_buf_fmt(ctseg_buf_t *b, const char *fmt, ...)
{
    int      n;
    va_list  args;

    if (b->failed) {
        return;
    }

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);

    if (n < 0) {
        b->failed = true;
        return;
    }

    /* vsnprintf() ends with a NUL, which the buffer does not count */

    ctseg_buf_reserve(b, (size_t) n + 1);

    if (b->failed) {
        return;
    }

    va_start(args, fmt);
    (void) vsnprintf(b->data + b->len, (size_t) n + 1, fmt, args);
    va_end(args);

    b->len += (size_t) n;
}


void
ctseg_buf_reset(ctseg_buf_t *b)
{
    b->len = 0;
    b->failed = false;
}


void
ctseg_buf_free(ctseg_buf_t *b)
{
    free(b->data);
    memset(b, 0, sizeof(ctseg_buf_t));
}


ctseg_str_t
ctseg_buf_slice(const ctseg_buf_t *b)
{
    ctseg_str_t  s;

    s.len = b->len;
    s.data = b->data != NULL ? b->data : "";

    return s;
}


ctseg_arena_t *
ctseg_arena_create(void)
{
    ctseg_arena_t  *a;

    a = malloc(sizeof(ctseg_arena_t));

    if (a == NULL) {
        return NULL;
    }

    a->chunk = NULL;
    a->grow = CTSEG_MEM_FIRST;

    return a;
}


void
ctseg_arena_destroy(ctseg_arena_t *a)
{
    ctseg_mem_chunk_t  *chunk, *next;

    if (a == NULL) {
        return;
    }

    for (chunk = a->chunk; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }

    free(a);
}


static ctseg_mem_chunk_t *
ctseg_mem_chunk(size_t size)
{
    ctseg_mem_chunk_t  *chunk;

    chunk = malloc(sizeof(ctseg_mem_chunk_t) + size);

    if (chunk == NULL) {
        return NULL;
    }

    chunk->next = NULL;
    chunk->size = size;
    chunk->used = 0;

    return chunk;
}


void *
ctseg_arena_alloc(ctseg_arena_t *a, size_t size)
{
    void               *p;
    ctseg_mem_chunk_t  *chunk;

    if (size > SIZE_MAX / 2) {
        return NULL;
    }

    /* also makes two allocations of no bytes two addresses */

    size = size == 0 ? 1 : size;
    size = (size + CTSEG_MEM_ALIGN - 1) & ~(size_t) (CTSEG_MEM_ALIGN - 1);

    chunk = a->chunk;

    if (chunk == NULL || size > chunk->size - chunk->used) {

        if (size > a->grow / 4) {

            /* a big one gets its own chunk, the current one stays in use */

            chunk = ctseg_mem_chunk(size);

            if (chunk == NULL) {
                return NULL;
            }

            if (a->chunk != NULL) {
                chunk->next = a->chunk->next;
                a->chunk->next = chunk;

            } else {
                a->chunk = chunk;
            }

        } else {
            chunk = ctseg_mem_chunk(a->grow);

            if (chunk == NULL) {
                return NULL;
            }

            chunk->next = a->chunk;
            a->chunk = chunk;

            if (a->grow < CTSEG_MEM_CHUNK) {
                a->grow *= 2;
            }
        }
    }

    p = (char *) (chunk + 1) + chunk->used;
    chunk->used += size;

    return p;
}


void *
ctseg_arena_zalloc(ctseg_arena_t *a, size_t size)
{
    void  *p;

    p = ctseg_arena_alloc(a, size);

    if (p != NULL) {
        memset(p, 0, size);
    }

    return p;
}


ctseg_str_t
ctseg_arena_dup(ctseg_arena_t *a, ctseg_str_t s)
{
    char         *p;
    ctseg_str_t   copy = { 0, NULL };

    if (s.len == SIZE_MAX) {
        return copy;
    }

    p = ctseg_arena_alloc(a, s.len + 1);

    if (p == NULL) {
        return copy;
    }

    if (s.len != 0) {
        memcpy(p, s.data, s.len);
    }

    p[s.len] = '\0';

    copy.len = s.len;
    copy.data = p;

    return copy;
}
