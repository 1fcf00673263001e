/*
 * A group of collect requests on a pool thread: their bodies are parsed, the
 * events packed into blocks and appended in one transaction, and each request
 * gets the answer that the loop will send.  It touches no request of nginx.
 *
 * An event with an id of its own has a mark in the store, which is stored in
 * the same transaction.  That nothing of a group is known is the rule, so it
 * is not asked: the append says so, since it has to look in any case.  Only
 * then those that are known are taken out of the blocks, and the rest is
 * appended.  Without ids nothing of this happens.
 */

#include "../base/ctseg_str.h"
#include "../base/ctseg_gzip.h"
#include "../clevertap/ctseg_webhook.h"
#include "ngx_http_ctseg_group.h"


#define NGX_HTTP_CTSEG_APPEND_MS  10000
#define NGX_HTTP_CTSEG_ROUNDS     64    /* others were faster so often */
#define NGX_HTTP_CTSEG_OWN_KEPT   4096  /* ids that a group at rest has room
                                           for */


/* the id of the event that is added next */

static bool
ngx_http_ctseg_group_own(ngx_http_ctseg_group_t *g,
    ngx_http_ctseg_item_t *item, ctseg_str_t own_id)
{
    ngx_uint_t             n;
    ngx_http_ctseg_own_t  *own;

    if (g->nown == g->own_allocated) {
        n = g->own_allocated == 0 ? 64 : g->own_allocated * 2;

        own = realloc(g->own, n * sizeof(ngx_http_ctseg_own_t));
        if (own == NULL) {
            return false;
        }

        g->own = own;
        g->own_allocated = n;
    }

    own = &g->own[g->nown];

    own->item = item;
    own->at = g->nevents;
    own->dropped = 0;

    if (!ctseg_mark_raw(&g->hash, CTSEG_MARK_EVENT,
                        ngx_http_ctseg_slice(&item->account), own_id,
                        own->key))
    {
        return false;
    }

    g->nown++;

    return true;
}


static bool
ngx_http_ctseg_group_event(ngx_http_ctseg_group_t *g,
    ngx_http_ctseg_item_t *item, const ctseg_event_t *ev)
{
    ngx_uint_t  nown;

    nown = g->nown;

    if (ev->own_id.len != 0
        && !ngx_http_ctseg_group_own(g, item, ev->own_id))
    {
        return false;
    }

    if (!ctseg_blocks_add(&g->blocks, ev)) {
        g->nown = nown;
        return false;
    }

    g->nevents++;

    return true;
}


static void
ngx_http_ctseg_item_fail(ngx_http_ctseg_item_t *item, ngx_uint_t status,
    const char *error, const char *detail)
{
    item->status = status;
    item->collected = 0;
    item->stores = 0;
    item->plain_len = 0;

    ctseg_buf_reset(&item->answer);
    ctseg_upload_render_fail(&item->answer, status, error, detail);
}


/* the body as text: as it came, or in text, which is the caller's */

static ctseg_rc_t
ngx_http_ctseg_item_body(ngx_http_ctseg_item_t *item, ctseg_buf_t *text,
    ctseg_str_t *body, ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    body->data = item->body.data;
    body->len = item->body.len;

    if (item->inflate == 0) {
        return CTSEG_OK;
    }

    rc = ctseg_gzip_inflate(*body, item->inflate, text, err);
    *body = ctseg_buf_slice(text);

    return rc;
}


/* what is in it, by the format of its location */

static ctseg_rc_t
ngx_http_ctseg_item_read(ngx_http_ctseg_item_t *item, ctseg_upload_t *u,
    ctseg_str_t body, int64_t now_ms, ctseg_err_t *err)
{
    if (item->format == NGX_HTTP_CTSEG_FORMAT_WEBHOOK
        || (item->format == NGX_HTTP_CTSEG_FORMAT_AUTO
            && ctseg_webhook_is(body)))
    {
        return ctseg_webhook_parse(u, body,
                                   ngx_http_ctseg_slice(&item->event),
                                   now_ms, err);
    }

    return ctseg_upload_parse(u, body, now_ms, err);
}


static void
ngx_http_ctseg_item_refuse(ngx_http_ctseg_item_t *item, ctseg_rc_t rc,
    const char *many, ctseg_err_t *err)
{
    char  detail[320];

    if (rc == CTSEG_NOMEM) {
        ngx_http_ctseg_item_fail(item, NGX_HTTP_SERVICE_UNAVAILABLE,
                                 "Out of memory", NULL);
        return;
    }

    (void) snprintf(detail, sizeof(detail), "%s at byte %zu", err->text,
                    err->offset);

    if (rc == CTSEG_TOOBIG) {
        ngx_http_ctseg_item_fail(item, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                 many, detail);
        return;
    }

    ngx_http_ctseg_item_fail(item, NGX_HTTP_BAD_REQUEST, "Malformed request",
                             detail);
}


/* the events of u are in the blocks, or the item has failed */

static void
ngx_http_ctseg_item_take(ngx_http_ctseg_group_t *g,
    ngx_http_ctseg_item_t *item, ctseg_upload_t *u)
{
    ngx_uint_t  i;

    item->status = NGX_HTTP_OK;

    if (u->nfailed == 0) {
        item->plain_len = ctseg_upload_plain(item->plain, u->nevents);

    } else {
        ctseg_upload_render(&item->answer, u);
    }

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
        if (!ngx_http_ctseg_group_event(g, item, &u->events[i])) {

            /* what was added of it stays unacknowledged, which is allowed */

            ngx_http_ctseg_item_fail(item, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "Out of memory", NULL);
            return;
        }
    }

    item->collected = u->nevents;
    item->stores = 1;
}


static void
ngx_http_ctseg_item_parse(ngx_http_ctseg_group_t *g,
    ngx_http_ctseg_item_t *item, int64_t now_ms)
{
    bool             whole;
    ctseg_rc_t       rc;
    ctseg_buf_t      text;
    ctseg_err_t      err;
    ctseg_str_t      body;
    ctseg_upload_t  *u;

    u = &g->upload;
    ctseg_upload_reset(u);

    whole = ngx_http_ctseg_body_complete(&item->body);

    if (item->owns_file) {
        (void) close(item->body.fd);
        item->body.fd = NGX_INVALID_FILE;
    }

    if (!whole) {
        ngx_http_ctseg_item_fail(item, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                 "Internal error", "the body could not be "
                                 "read back from its temporary file");
        return;
    }

    ngx_memzero(&text, sizeof(ctseg_buf_t));
    ngx_memzero(&err, sizeof(ctseg_err_t));

    rc = ngx_http_ctseg_item_body(item, &text, &body, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_item_refuse(item, rc, "Content Too Large", &err);

    } else {
        rc = ngx_http_ctseg_item_read(item, u, body, now_ms, &err);

        if (rc == CTSEG_OK) {
            ngx_http_ctseg_item_take(g, item, u);

        } else {
            ngx_http_ctseg_item_refuse(item, rc, "Too many records", &err);
        }
    }

    ctseg_buf_free(&text);
}


/* ---- ids ---- */

typedef struct {
    ngx_http_ctseg_group_t  *g;
    uint32_t                 first;     /* number of a block's first event */
    ngx_uint_t               next;      /* in g->own */
} ngx_http_ctseg_walk_t;


static bool
ngx_http_ctseg_group_keep(void *data, unsigned i)
{
    uint32_t                 at;
    ngx_http_ctseg_walk_t   *walk;
    ngx_http_ctseg_group_t  *g;

    walk = data;
    g = walk->g;
    at = walk->first + i;

    if (walk->next == g->nown || g->own[walk->next].at != at) {
        return true;
    }

    return !g->own[walk->next++].dropped;
}


/* take what is dropped out of the blocks and forget its ids */

static void
ngx_http_ctseg_group_drop(ngx_http_ctseg_group_t *g)
{
    uint32_t                n;
    ngx_uint_t              i, kept;
    ngx_http_ctseg_walk_t   walk;

    ngx_memzero(&walk, sizeof(ngx_http_ctseg_walk_t));
    walk.g = g;

    for (i = 0; i < g->blocks.n; i++) {
        n = g->blocks.builders[i].count;

        if (n != 0) {
            ctseg_block_keep(&g->blocks.builders[i], ngx_http_ctseg_group_keep,
                             &walk);
        }

        walk.first += n;
    }

    kept = 0;

    for (i = 0; i < g->nown; i++) {
        if (!g->own[i].dropped) {
            g->own[kept] = g->own[i];
            g->own[kept].at -= (uint32_t) (i - kept);
            kept++;
        }
    }

    g->nevents -= (uint32_t) (g->nown - kept);
    g->nown = kept;
}


static int ngx_libc_cdecl
ngx_http_ctseg_own_cmp(const void *one, const void *two)
{
    int                          rc;
    const ngx_http_ctseg_own_t  *a, *b;

    a = *(ngx_http_ctseg_own_t *const *) one;
    b = *(ngx_http_ctseg_own_t *const *) two;

    rc = memcmp(a->key, b->key, CTSEG_MARK_LEN);

    return rc != 0 ? rc : a->at < b->at ? -1 : 1;
}


/* of several events of the group with the same id the first one is stored */

static ctseg_rc_t
ngx_http_ctseg_group_twins(ngx_http_ctseg_group_t *g)
{
    ngx_uint_t              i, twins;
    ngx_http_ctseg_own_t  **sorted;

    sorted = malloc(g->nown * sizeof(ngx_http_ctseg_own_t *));
    if (sorted == NULL) {
        return CTSEG_NOMEM;
    }

    for (i = 0; i < g->nown; i++) {
        sorted[i] = &g->own[i];
    }

    qsort(sorted, g->nown, sizeof(ngx_http_ctseg_own_t *),
          ngx_http_ctseg_own_cmp);

    twins = 0;

    for (i = 1; i < g->nown; i++) {

        if (memcmp(sorted[i]->key, sorted[i - 1]->key, CTSEG_MARK_LEN) != 0) {
            continue;
        }

        sorted[i]->dropped = 1;
        twins++;

        if (sorted[i]->item->stores) {
            sorted[i]->item->collected--;
            sorted[i]->item->twins++;
        }
    }

    free(sorted);

    if (twins != 0) {
        ngx_http_ctseg_group_drop(g);
    }

    return CTSEG_OK;
}


/* drop what the store knows; the answer does not wait for the append then */

static ctseg_rc_t
ngx_http_ctseg_group_known(ngx_http_ctseg_group_t *g, const char *keys)
{
    bool                     *known;
    ctseg_rc_t                rc;
    ngx_uint_t                i;
    ngx_http_ctseg_item_t    *item;

    known = malloc(g->nown * sizeof(bool));
    if (known == NULL) {
        return CTSEG_NOMEM;
    }

    rc = ctseg_store_marked(g->task.worker->store, keys, (unsigned) g->nown,
                            ctseg_mono_ms() + NGX_HTTP_CTSEG_APPEND_MS,
                            known);

    for (i = 0; i < g->nown && rc == CTSEG_OK; i++) {

        if (!known[i]) {
            continue;
        }

        item = g->own[i].item;
        g->own[i].dropped = 1;

        if (item->stores) {
            item->collected--;
            item->repeated++;
            item->stores = item->collected + item->twins != 0;
        }
    }

    free(known);

    if (rc == CTSEG_OK) {
        ngx_http_ctseg_group_drop(g);
    }

    return rc;
}


/* ---- the append ---- */


static ctseg_rc_t
ngx_http_ctseg_group_try(ngx_http_ctseg_group_t *g, ctseg_marks_t *marks)
{
    bool                      dup;
    ctseg_rc_t                rc;
    ngx_uint_t                tries;
    ctseg_pos_t               last;
    ngx_http_ctseg_worker_t  *worker;

    worker = g->task.worker;

    rc = ctseg_blocks_finish(&g->blocks);
    if (rc != CTSEG_OK) {
        return rc;
    }

    /* with the same sequence an append is idempotent: repeat unclear ones */

    for (tries = 0; /* void */ ; tries++) {
        rc = ctseg_store_append_marked(worker->store, 0, g->producer,
                                       g->seq, g->blocks.blocks,
                                       g->blocks.nblocks, marks,
                                       ctseg_mono_ms()
                                       + NGX_HTTP_CTSEG_APPEND_MS,
                                       &last, &dup);

        if ((rc != CTSEG_RETRY && rc != CTSEG_AMBIGUOUS) || tries == 2) {
            return rc;
        }
    }
}


static ctseg_rc_t
ngx_http_ctseg_group_append(ngx_http_ctseg_group_t *g)
{
    char           *keys;
    ctseg_rc_t      rc;
    ngx_uint_t      i, rounds;
    ctseg_marks_t   marks;

    ngx_memzero(&marks, sizeof(ctseg_marks_t));

    if (g->nown == 0) {
        return ngx_http_ctseg_group_try(g, &marks);
    }

    rc = ngx_http_ctseg_group_twins(g);
    if (rc != CTSEG_OK) {
        return rc;
    }

    keys = malloc(g->nown * CTSEG_MARK_LEN);
    if (keys == NULL) {
        return CTSEG_NOMEM;
    }

    marks.keys = keys;
    rc = CTSEG_RETRY;

    for (rounds = 0; rounds < NGX_HTTP_CTSEG_ROUNDS; rounds++) {

        for (i = 0; i < g->nown; i++) {
            ngx_memcpy(keys + i * CTSEG_MARK_LEN, g->own[i].key,
                       CTSEG_MARK_LEN);
        }

        marks.n = (unsigned) g->nown;
        rc = ngx_http_ctseg_group_try(g, &marks);

        if (rc != CTSEG_CONFLICT) {
            break;
        }

        /* certainly nothing was stored if this was the last try */

        rc = ngx_http_ctseg_group_known(g, keys);

        if (rc != CTSEG_OK || g->nevents == 0) {
            break;
        }

        rc = CTSEG_RETRY;
    }

    free(keys);
    g->forgotten = rc == CTSEG_OK ? marks.forgotten : 0;

    return rc;
}


static void
ngx_http_ctseg_group_rest(ngx_http_ctseg_group_t *g)
{
    ctseg_blocks_reset(&g->blocks);

    if (g->own_allocated > NGX_HTTP_CTSEG_OWN_KEPT) {
        free(g->own);
        g->own = NULL;
        g->own_allocated = 0;
    }
}


void
ngx_http_ctseg_group_thread(ngx_http_ctseg_task_t *task)
{
    int64_t                  now_ms;
    ngx_http_ctseg_item_t   *item;
    ngx_http_ctseg_group_t  *g;

    g = (ngx_http_ctseg_group_t *) task;

    now_ms = ctseg_now_ms();
    g->rc = CTSEG_OK;
    g->nevents = 0;
    g->nown = 0;
    g->stored = 0;
    g->repeated = 0;
    g->forgotten = 0;
    ngx_memzero(g->refused, sizeof(g->refused));

    for (item = g->items; item != NULL; item = item->next) {
        ngx_http_ctseg_item_parse(g, item, now_ms);
    }

    if (g->blocks.n != 0) {
        g->us = ctseg_mono_us();
        g->rc = ngx_http_ctseg_group_append(g);
        g->us = ctseg_mono_us() - g->us;
    }

    for (item = g->items; item != NULL; item = item->next) {

        if (!item->stores || g->rc == CTSEG_OK) {
            g->stored += item->collected;
            g->repeated += item->repeated + item->twins;
        }

        if (item->stores && g->rc != CTSEG_OK) {
            g->refused[g->rc == CTSEG_FULL ? NGX_HTTP_CTSEG_REFUSED_FULL
                                           : NGX_HTTP_CTSEG_REFUSED_STORE]
                += item->collected + item->twins;

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

    ngx_http_ctseg_group_rest(g);
}
