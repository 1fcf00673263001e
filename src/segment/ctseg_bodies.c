/*
 * Fresh memory costs more than what is written to it: the kernel clears each
 * page and hands it over with a fault, and half a megabyte that is freed goes
 * back to the kernel soon.  So a few bodies are kept, those of full size.  The
 * one that came last is taken first, since its pages are still in the caches
 * of the CPU, and a live run with one small batch after the other gets along
 * with one.
 */

#include "ctseg_bodies.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>


/* who still reads a body that was given back is found by the sanitizer */

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)
#define ASAN_UNPOISON_MEMORY_REGION(p, n)
#endif


void
ctseg_bodies_take(ctseg_bodies_t *bodies, ctseg_batch_t *b)
{
    if (bodies->n == 0) {
        return;
    }

    b->body = bodies->body[--bodies->n];

    ASAN_UNPOISON_MEMORY_REGION(b->body.data, b->body.cap);

    if (bodies->n < bodies->least) {
        bodies->least = bodies->n;
    }
}


void
ctseg_bodies_give(ctseg_bodies_t *bodies, ctseg_batch_t *b)
{
    if (bodies->n < CTSEG_BODIES_MAX && b->body.cap == CTSEG_BATCH_MEMORY) {
        ctseg_buf_reset(&b->body);

        ASAN_POISON_MEMORY_REGION(b->body.data, b->body.cap);

        bodies->body[bodies->n++] = b->body;
        memset(&b->body, 0, sizeof(ctseg_buf_t));
    }

    ctseg_batch_free(b);
    memset(b, 0, sizeof(ctseg_batch_t));
}


/* freed memory may stay with the C library, which has others behind it that
   are in use; its pages need not */

static void
ctseg_bodies_free(ctseg_buf_t *b)
{
    size_t     page;
    uintptr_t  from, to;

    page = (size_t) sysconf(_SC_PAGESIZE);
    from = ((uintptr_t) b->data + page - 1) & ~(uintptr_t) (page - 1);
    to = ((uintptr_t) b->data + b->cap) & ~(uintptr_t) (page - 1);

    (void) madvise((void *) from, to - from, MADV_DONTNEED);

    ASAN_UNPOISON_MEMORY_REGION(b->data, b->cap);
    ctseg_buf_free(b);
}


void
ctseg_bodies_tidy(ctseg_bodies_t *bodies, int64_t now_ms)
{
    unsigned  i;

    if (now_ms - bodies->since_ms < CTSEG_BODIES_IDLE_MS) {
        return;
    }

    /* the first of them are those that were not taken */

    for (i = 0; i < bodies->least; i++) {
        ctseg_bodies_free(&bodies->body[i]);
    }

    bodies->n -= bodies->least;
    memmove(bodies->body, bodies->body + bodies->least,
            bodies->n * sizeof(ctseg_buf_t));

    bodies->least = bodies->n;
    bodies->since_ms = now_ms;
}
