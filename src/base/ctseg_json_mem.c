/*
 * The memory of yajl.  It asks for a handful of pieces of known sizes for
 * each text, and for more of them only when a string with escapes is long or
 * the nesting deep: so a place of its own is nearly always enough, and is
 * given up as a whole.  yajl writes to what malloc answers without a look at
 * it, so where there is no memory it is left by longjmp.
 */

#include "ctseg_json_int.h"

#include <stdlib.h>
#include <string.h>


#define CTSEG_JSON_ALIGN  16


/* what lies ahead of each piece; both ends of the list only of malloc's */

struct ctseg_json_piece_s {
    ctseg_json_piece_t   *next;
    ctseg_json_piece_t  **prev;         /* NULL: not from malloc */
    size_t                size;
    size_t                unused;       /* keeps the data aligned */
};

_Static_assert(sizeof(ctseg_json_piece_t) % CTSEG_JSON_ALIGN == 0,
               "the data behind the head of a piece must be aligned");


void
ctseg_json_mem_begin(ctseg_json_mem_t *mem)
{
    mem->pieces = NULL;
    mem->used = 0;
}


void
ctseg_json_mem_end(ctseg_json_mem_t *mem)
{
    ctseg_json_piece_t  *p;

    while (mem->pieces != NULL) {
        p = mem->pieces;
        mem->pieces = p->next;
        free(p);
    }
}


static void *
ctseg_json_own(ctseg_json_mem_t *mem, ctseg_json_piece_t *p, size_t size)
{
    p->next = mem->pieces;
    p->prev = &mem->pieces;
    p->size = size;

    if (p->next != NULL) {
        p->next->prev = &p->next;
    }

    mem->pieces = p;

    return p + 1;
}


static void
ctseg_json_disown(ctseg_json_piece_t *p)
{
    *p->prev = p->next;

    if (p->next != NULL) {
        p->next->prev = p->prev;
    }
}


void *
ctseg_json_malloc(void *ctx, size_t n)
{
    size_t               size;
    ctseg_json_mem_t    *mem;
    ctseg_json_piece_t  *p;

    mem = ctx;
    size = sizeof(ctseg_json_piece_t) + n;

    if (size <= CTSEG_JSON_OWN - mem->used) {
        p = (ctseg_json_piece_t *) (void *) (mem->own + mem->used);

        mem->used += (size + CTSEG_JSON_ALIGN - 1)
                     & ~(size_t) (CTSEG_JSON_ALIGN - 1);
        p->prev = NULL;
        p->size = n;

        return p + 1;
    }

    p = malloc(size);

    if (p == NULL) {
        longjmp(mem->lack, 1);
    }

    return ctseg_json_own(mem, p, n);
}


/* of its own place yajl gets nothing back: it ends soon enough */

void
ctseg_json_free(void *ctx, void *data)
{
    ctseg_json_piece_t  *p;

    (void) ctx;

    if (data == NULL) {
        return;
    }

    p = (ctseg_json_piece_t *) data - 1;

    if (p->prev != NULL) {
        ctseg_json_disown(p);
        free(p);
    }
}


void *
ctseg_json_realloc(void *ctx, void *data, size_t n)
{
    void                *moved;
    ctseg_json_mem_t    *mem;
    ctseg_json_piece_t  *p, *grown;

    mem = ctx;

    if (data == NULL) {
        return ctseg_json_malloc(ctx, n);
    }

    p = (ctseg_json_piece_t *) data - 1;

    if (p->prev == NULL) {
        moved = ctseg_json_malloc(ctx, n);
        memcpy(moved, data, p->size < n ? p->size : n);
        return moved;
    }

    ctseg_json_disown(p);
    grown = realloc(p, sizeof(ctseg_json_piece_t) + n);

    if (grown == NULL) {

        /* what there was is still there, and is freed with the rest */

        (void) ctseg_json_own(mem, p, p->size);
        longjmp(mem->lack, 1);
    }

    return ctseg_json_own(mem, grown, n);
}
