/*
 * Fresh memory costs more than what is written to it: the kernel clears each
 * page and hands it over with a fault, and half a megabyte that is freed goes
 * back to the kernel soon.  So a few bodies are kept, those of full size, and
 * the one that came last is taken first: its pages are still in the caches of
 * the CPU.  A live run with batches of one event after the other gets along
 * with one.
 */

#include "../bridge/ngx_http_ctseg_task.h"
#include "ngx_http_ctseg_bodies.h"


#define NGX_HTTP_CTSEG_BODIES    4
#define NGX_HTTP_CTSEG_BODY_MS   2000


typedef struct {
    ctseg_buf_t  free[NGX_HTTP_CTSEG_BODIES];
    ngx_uint_t   n;
    ngx_uint_t   least;                 /* so many were free all the while */
    ngx_msec_t   since;
} ngx_http_ctseg_bodies_t;


static ngx_http_ctseg_bodies_t  ngx_http_ctseg_bodies;


void
ngx_http_ctseg_bodies_take(ctseg_buf_t *b)
{
    ngx_http_ctseg_bodies_t  *bodies;

    bodies = &ngx_http_ctseg_bodies;

    if (bodies->n == 0) {
        return;
    }

    *b = bodies->free[--bodies->n];
    bodies->least = ngx_min(bodies->least, bodies->n);
}


void
ngx_http_ctseg_bodies_give(ctseg_batch_t *b)
{
    ngx_http_ctseg_bodies_t  *bodies;

    bodies = &ngx_http_ctseg_bodies;

    if (bodies->n < NGX_HTTP_CTSEG_BODIES
        && b->body.cap == CTSEG_BATCH_MEMORY)
    {
        ctseg_buf_reset(&b->body);
        bodies->free[bodies->n++] = b->body;
        ngx_memzero(&b->body, sizeof(ctseg_buf_t));
    }

    ctseg_batch_free(b);
    ngx_memzero(b, sizeof(ctseg_batch_t));
}


/* the first of them are those that were not taken */

void
ngx_http_ctseg_bodies_tidy(void)
{
    ngx_uint_t                i;
    ngx_http_ctseg_bodies_t  *bodies;

    bodies = &ngx_http_ctseg_bodies;

    if (ngx_current_msec - bodies->since < NGX_HTTP_CTSEG_BODY_MS) {
        return;
    }

    for (i = 0; i < bodies->least; i++) {
        ctseg_buf_free(&bodies->free[i]);
    }

    bodies->n -= bodies->least;
    ngx_memmove(bodies->free, bodies->free + bodies->least,
                bodies->n * sizeof(ctseg_buf_t));

    bodies->least = bodies->n;
    bodies->since = ngx_current_msec;
}
