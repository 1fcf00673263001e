/*
 * What thread functions of the API share: the body, problems, revisions,
 * pages.  Runs on pool threads and uses nothing of nginx's.
 */

#include "ngx_http_ctseg_api.h"


void
ngx_http_ctseg_call_thread(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    call->work(task);
}


bool
ngx_http_ctseg_call_body(ngx_http_ctseg_call_t *call)
{
    if (ngx_http_ctseg_body_complete(&call->body)) {
        return true;
    }

    ngx_http_ctseg_call_problem(call, 500, "the body could not be read back "
                                "from its temporary file", NULL);
    return false;
}


bool
ngx_http_ctseg_call_json(ngx_http_ctseg_call_t *call, ctseg_json_t **json)
{
    char         detail[320];
    ctseg_rc_t   rc;
    ctseg_str_t  text;
    ctseg_err_t  err;

    if (!ngx_http_ctseg_call_body(call)) {
        return false;
    }

    call->arena = ctseg_arena_create();
    if (call->arena == NULL) {
        call->out.failed = true;
        return false;
    }

    text.data = call->body.data;
    text.len = call->body.len;

    ngx_memzero(&err, sizeof(ctseg_err_t));

    rc = ctseg_json_parse(call->arena, text, NGX_HTTP_CTSEG_JSON_DEPTH,
                          NGX_HTTP_CTSEG_JSON_NODES, json, &err);

    if (rc == CTSEG_OK) {
        return true;
    }

    if (rc == CTSEG_NOMEM) {
        call->out.failed = true;
        return false;
    }

    (void) snprintf(detail, sizeof(detail), "malformed JSON: %s at byte %zu",
                    err.text, err.offset);

    ngx_http_ctseg_call_problem(call, 400, detail, NULL);

    return false;
}


void
ngx_http_ctseg_call_problem(ngx_http_ctseg_call_t *call, ngx_uint_t status,
    const char *detail, const ctseg_problems_t *problems)
{
    call->status = status;
    call->is_problem = 1;
    call->etag[0] = '\0';
    call->location[0] = '\0';
    call->retry_after = status == 503;

    ctseg_buf_reset(&call->out);
    ctseg_problem_render(&call->out, (int) status, detail, problems);
}


void
ngx_http_ctseg_call_store_problem(ngx_http_ctseg_call_t *call, ctseg_rc_t rc,
    const ctseg_err_t *err, const char *noun)
{
    char  detail[320];

    switch (rc) {

    case CTSEG_NOTFOUND:
        (void) snprintf(detail, sizeof(detail), "there is no such %s", noun);
        ngx_http_ctseg_call_problem(call, 404, detail, NULL);
        return;

    case CTSEG_AGAIN:
    case CTSEG_CONFLICT:
        (void) snprintf(detail, sizeof(detail), "the %s is being changed by "
                        "somebody else, try again", noun);
        ngx_http_ctseg_call_problem(call, 409, detail, NULL);
        return;

    case CTSEG_CORRUPT:
        (void) snprintf(call->log, sizeof(call->log), "%s", err->text);
        (void) snprintf(detail, sizeof(detail), "a stored %s is damaged, see "
                        "the error log", noun);
        ngx_http_ctseg_call_problem(call, 500, detail, NULL);
        return;

    case CTSEG_FULL:
        (void) snprintf(call->log, sizeof(call->log), "the state store is "
                        "full: %.200s", err->text);
        ngx_http_ctseg_call_problem(call, 503, "the state store is full",
                                    NULL);
        return;

    default:
        (void) snprintf(call->log, sizeof(call->log), "the state store "
                        "answered \"%s\": %.180s", ctseg_rc_name(rc),
                        err->text);
        ngx_http_ctseg_call_problem(call, 503, "the state store is not "
                                    "available, see the error log", NULL);
    }
}


ngx_uint_t
ngx_http_ctseg_call_damage(ngx_http_ctseg_call_t *call,
    const ctseg_err_t *err)
{
    if (err->code != CTSEG_CORRUPT) {
        return 0;
    }

    if (err->offset > 1) {
        (void) snprintf(call->log, sizeof(call->log), "%.200s, and %zu more",
                        err->text, err->offset - 1);

    } else {
        (void) snprintf(call->log, sizeof(call->log), "%s", err->text);
    }

    return err->offset > 0 ? err->offset : 1;
}


bool
ngx_http_ctseg_call_matches(ngx_http_ctseg_call_t *call, uint64_t revision)
{
    char         etag[32];
    int          n;
    const char  *p, *end;

    if (call->if_match.len == 0
        || (call->if_match.len == 1 && call->if_match.data[0] == '*'))
    {
        return true;
    }

    n = snprintf(etag, sizeof(etag), "\"%llu\"",
                 (unsigned long long) revision);

    end = call->if_match.data + call->if_match.len;

    for (p = call->if_match.data; p + n <= end; p++) {
        if (memcmp(p, etag, (size_t) n) == 0) {
            return true;
        }
    }

    ngx_http_ctseg_call_problem(call, 412, "If-Match names another revision",
                                NULL);
    return false;
}


void
ngx_http_ctseg_call_etag(ngx_http_ctseg_call_t *call, uint64_t revision)
{
    (void) snprintf(call->etag, sizeof(call->etag), "\"%llu\"",
                    (unsigned long long) revision);
}


bool
ngx_http_ctseg_call_page(ngx_http_ctseg_call_t *call, unsigned *page,
    unsigned *per_page)
{
    ctseg_query_t     q;
    ctseg_problems_t  problems;

    problems.n = 0;

    if (!ctseg_query_parse_page(&q, call->args, &problems)) {
        ngx_http_ctseg_call_problem(call, 400, "the query has wrong values",
                                    &problems);
        return false;
    }

    *page = q.page;
    *per_page = q.per_page;

    return true;
}


bool
ngx_http_ctseg_items_add(ngx_http_ctseg_items_t *items, const void *item)
{
    char      *data;
    unsigned   n;

    if (items->n == items->allocated) {
        n = items->allocated == 0 ? 32 : items->allocated * 2;

        data = realloc(items->data, n * items->size);
        if (data == NULL) {
            items->failed = true;
            return false;
        }

        items->data = data;
        items->allocated = n;
    }

    ngx_memcpy(items->data + items->n++ * items->size, item, items->size);

    return true;
}


void *
ngx_http_ctseg_items_newest(const ngx_http_ctseg_items_t *items, unsigned i)
{
    return i < items->n ? items->data + (items->n - 1 - i) * items->size
                        : NULL;
}


void
ngx_http_ctseg_items_free(ngx_http_ctseg_items_t *items)
{
    free(items->data);
}


void
ngx_http_ctseg_list_open(ctseg_json_writer_t *w)
{
    ctseg_jw_open(w, NULL, '{');
    ctseg_jw_open(w, "items", '[');
}


void
ngx_http_ctseg_list_close(ctseg_json_writer_t *w, unsigned page,
    unsigned per_page, unsigned total)
{
    ctseg_jw_close(w, ']');
    ctseg_jw_uint(w, "page", page);
    ctseg_jw_uint(w, "per_page", per_page);
    ctseg_jw_uint(w, "total", total);
    ctseg_jw_uint(w, "pages", (total + per_page - 1) / per_page);
    ctseg_jw_close(w, '}');
    ctseg_buf_char(w->buf, '\n');
}


void
ngx_http_ctseg_call_list(ngx_http_ctseg_call_t *call,
    const ngx_http_ctseg_list_of_t *of)
{
    void                    *item;
    unsigned                 i, page, per_page;
    ctseg_rc_t               rc;
    ctseg_err_t              err;
    ctseg_store_t           *store;
    ctseg_export_t           e;
    ctseg_json_writer_t      w;
    ngx_http_ctseg_items_t   items;

    if (!ngx_http_ctseg_call_page(call, &page, &per_page)) {
        return;
    }

    store = call->task.worker->store;

    ngx_memzero(&items, sizeof(items));
    ngx_memzero(&err, sizeof(err));
    items.size = of->size;

    rc = ctseg_export_get(store, call->id, &e, &err);

    if (rc == CTSEG_OK) {
        rc = of->walk(store, e.id, &items, &err);
    }

    if (rc == CTSEG_OK && items.failed) {
        rc = CTSEG_NOMEM;
    }

    if (rc == CTSEG_OK) {
        (void) ngx_http_ctseg_call_damage(call, &err);
    }

    w.buf = &call->out;
    w.comma = false;

    ngx_http_ctseg_list_open(&w);

    for (i = 0; rc == CTSEG_OK && i < per_page; i++) {
        item = ngx_http_ctseg_items_newest(&items, (page - 1) * per_page + i);

        if (item == NULL) {
            break;
        }

        rc = of->render(store, e.id, item, &w, &err);
    }

    ngx_http_ctseg_list_close(&w, page, per_page, items.n);
    ngx_http_ctseg_items_free(&items);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
    }
}
