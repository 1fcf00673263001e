/*
 * A group of collect requests on a pool thread: their bodies are parsed, the
 * events packed into blocks and appended in one transaction, and each request
 * gets the answer that the loop will send.  It touches no request of nginx.
 */

#include "ngx_http_ctseg_group.h"


#define NGX_HTTP_CTSEG_APPEND_MS  10000


static bool
ngx_http_ctseg_group_grow(ngx_http_ctseg_group_t *g)
{
    ngx_uint_t              n;
    ctseg_block_t          *blocks;
    ctseg_block_builder_t  *builders;

    n = g->allocated + 8;

    builders = realloc(g->builders, n * sizeof(ctseg_block_builder_t));
    if (builders == NULL) {
        return false;
    }

    g->builders = builders;

    blocks = realloc(g->blocks, n * sizeof(ctseg_block_t));
    if (blocks == NULL) {
        return false;
    }

    g->blocks = blocks;

    ngx_memzero(&builders[g->allocated], 8 * sizeof(ctseg_block_builder_t));
    g->allocated = n;

    return true;
}


/* the group's events go to blocks one after the other, in order */

static bool
ngx_http_ctseg_group_add(ngx_http_ctseg_group_t *g, const ctseg_event_t *ev)
{
    if (g->nbuilders != 0
        && ctseg_block_add(&g->builders[g->nbuilders - 1], ev))
    {
        return true;
    }

    if (g->nbuilders == g->allocated && !ngx_http_ctseg_group_grow(g)) {
        return false;
    }

    return ctseg_block_add(&g->builders[g->nbuilders++], ev);
}


static void
ngx_http_ctseg_item_fail(ngx_http_ctseg_item_t *item, ngx_uint_t status,
    const char *error, const char *detail)
{
    item->status = status;
    item->collected = 0;
    item->stores = 0;

    ctseg_buf_reset(&item->answer);
    ctseg_upload_render_fail(&item->answer, status, error, detail);
}


static void
ngx_http_ctseg_item_parse(ngx_http_ctseg_group_t *g,
    ngx_http_ctseg_item_t *item, int64_t now_ms)
{
    char             detail[320];
    ctseg_rc_t       rc;
    ngx_uint_t       i;
    ctseg_err_t      err;
    ctseg_str_t      body;
    ctseg_upload_t  *u;

    u = &g->upload;
    ctseg_upload_reset(u);

    if (!ngx_http_ctseg_body_complete(&item->body)) {
        ngx_http_ctseg_item_fail(item, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                 "Internal error", "the body could not be "
                                 "read back from its temporary file");
        return;
    }

    body.data = item->body.data;
    body.len = item->body.len;

    ngx_memzero(&err, sizeof(ctseg_err_t));

    rc = ctseg_upload_parse(u, body, now_ms, &err);

    if (rc == CTSEG_NOMEM) {
        ngx_http_ctseg_item_fail(item, NGX_HTTP_SERVICE_UNAVAILABLE,
                                 "Out of memory", NULL);
        return;
    }

    if (rc != CTSEG_OK) {
        (void) snprintf(detail, sizeof(detail), "%s at byte %zu",
                        err.text, err.offset);

        ngx_http_ctseg_item_fail(item,
                                 rc == CTSEG_TOOBIG
                                 ? NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
                                 : NGX_HTTP_BAD_REQUEST,
                                 rc == CTSEG_TOOBIG ? "Too many records"
                                                    : "Malformed request",
                                 detail);
        return;
    }

    item->status = NGX_HTTP_OK;
    ctseg_upload_render(&item->answer, u);

    if (item->dry_run) {
        return;
    }

    for (i = 0; i < CTSEG_REFUSAL_N; i++) {
        g->refused[i] += u->refused[i];
    }

    if (u->nevents == 0) {
        return;
    }

    for (i = 0; i < u->nevents; i++) {
        if (!ngx_http_ctseg_group_add(g, &u->events[i])) {

            /* what was added of it stays unacknowledged, which is allowed */

            ngx_http_ctseg_item_fail(item, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "Out of memory", NULL);
            return;
        }
    }

    item->collected = u->nevents;
    item->stores = 1;
}


static ctseg_rc_t
ngx_http_ctseg_group_append(ngx_http_ctseg_group_t *g)
{
    bool                      dup;
    ctseg_rc_t                rc;
    ngx_uint_t                i, tries;
    ctseg_pos_t               last;
    ngx_http_ctseg_worker_t  *worker;

    worker = g->task.worker;

    for (i = 0; i < g->nbuilders; i++) {
        rc = ctseg_block_finish(&g->builders[i], &g->blocks[i]);
        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    /* with the same sequence an append is idempotent: repeat unclear ones */

    for (tries = 0; /* void */ ; tries++) {
        rc = ctseg_store_append(worker->store, 0, worker->producer, g->seq,
                                g->blocks, g->nbuilders,
                                ctseg_mono_ms() + NGX_HTTP_CTSEG_APPEND_MS,
                                &last, &dup);

        if ((rc != CTSEG_RETRY && rc != CTSEG_AMBIGUOUS) || tries == 2) {
            return rc;
        }
    }
}


void
ngx_http_ctseg_group_thread(ngx_http_ctseg_task_t *task)
{
    int64_t                  now_ms;
    ngx_uint_t               i;
    ngx_http_ctseg_item_t   *item;
    ngx_http_ctseg_group_t  *g;

    g = (ngx_http_ctseg_group_t *) task;

    now_ms = ctseg_now_ms();
    g->rc = CTSEG_OK;
    g->nbuilders = 0;
    g->stored = 0;
    ngx_memzero(g->refused, sizeof(g->refused));

    for (item = g->items; item != NULL; item = item->next) {
        ngx_http_ctseg_item_parse(g, item, now_ms);
    }

    if (g->nbuilders != 0) {
        g->us = ctseg_mono_us();
        g->rc = ngx_http_ctseg_group_append(g);
        g->us = ctseg_mono_us() - g->us;
    }

    for (item = g->items; item != NULL; item = item->next) {

        if (item->stores && g->rc == CTSEG_OK) {
            g->stored += item->collected;
        }

        if (item->stores && g->rc != CTSEG_OK) {
            g->refused[g->rc == CTSEG_FULL ? NGX_HTTP_CTSEG_REFUSED_FULL
                                           : NGX_HTTP_CTSEG_REFUSED_STORE]
                += item->collected;

            ngx_http_ctseg_item_fail(item, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     g->rc == CTSEG_FULL
                                     ? "Store is full"
                                     : "Store is not available",
                                     g->rc == CTSEG_AMBIGUOUS
                                     || g->rc == CTSEG_FATAL
                                     ? "it may have been stored, send it "
                                       "again"
                                     : "nothing was stored, send it again");
        }

        if (item->answer.failed) {
            item->status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    for (i = 0; i < g->nbuilders; i++) {
        ctseg_buf_reset(&g->builders[i].buf);
        g->builders[i].count = 0;
        g->builders[i].kinds = 0;
    }
}
