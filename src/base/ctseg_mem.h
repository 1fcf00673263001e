/*
 * Memory below the line: a growable buffer with a sticky failure, and an
 * arena whose allocations end together.  Any thread; one owner at a time.
 */

#ifndef CTSEG_MEM_H
#define CTSEG_MEM_H


#include <string.h>

#include "ctseg.h"


/*
 * Growable buffer.  A zeroed struct is an empty buffer.  Appends never fail
 * one by one: on lack of memory "failed" is set, the contents stay as they
 * were and later appends do nothing, so the caller looks once at the end.
 */

typedef struct {
    char    *data;
    size_t   len;
    size_t   cap;
    bool     failed;
} ctseg_buf_t;

/* room for so many more bytes, where there is none: reserve asks for it */

void ctseg_buf_grow(ctseg_buf_t *b, size_t more);


/* these are here so that an append for which there is room is no call */

static inline void
ctseg_buf_reserve(ctseg_buf_t *b, size_t more)
{
    if (more > b->cap - b->len) {
        ctseg_buf_grow(b, more);
    }
}


static inline void
ctseg_buf_add(ctseg_buf_t *b, const void *data, size_t len)
{
    if (len == 0) {
        return;                         /* data may be NULL */
    }

    ctseg_buf_reserve(b, len);

    /* NULL without failed cannot be; compilers that analyze ask for it */

    if (b->failed || b->data == NULL) {
        return;
    }

    memcpy(b->data + b->len, data, len);
    b->len += len;
}


static inline void
ctseg_buf_str(ctseg_buf_t *b, ctseg_str_t s)
{
    ctseg_buf_add(b, s.data, s.len);
}


static inline void
ctseg_buf_cstr(ctseg_buf_t *b, const char *s)
{
    ctseg_buf_add(b, s, strlen(s));
}


static inline void
ctseg_buf_char(ctseg_buf_t *b, char c)
{
    ctseg_buf_reserve(b, 1);

    if (!b->failed) {
        b->data[b->len++] = c;
    }
}


void ctseg_buf_fmt(ctseg_buf_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* len = 0 and failed = false, memory kept */

void ctseg_buf_reset(ctseg_buf_t *b);

/* frees the memory and zeroes the struct */

void ctseg_buf_free(ctseg_buf_t *b);

/* the contents as a borrowed slice, valid until the next append */

ctseg_str_t ctseg_buf_slice(const ctseg_buf_t *b);


/* Arena: everything allocated in it is freed by destroy, nothing singly. */

typedef struct ctseg_arena_s  ctseg_arena_t;

ctseg_arena_t *ctseg_arena_create(void);        /* NULL: no memory */
void ctseg_arena_destroy(ctseg_arena_t *a);     /* NULL is fine */
void *ctseg_arena_alloc(ctseg_arena_t *a, size_t size);     /* aligned 16 */
void *ctseg_arena_zalloc(ctseg_arena_t *a, size_t size);

/* copy into the arena with a NUL behind it; data = NULL: no memory */

ctseg_str_t ctseg_arena_dup(ctseg_arena_t *a, ctseg_str_t s);


#endif /* CTSEG_MEM_H */
