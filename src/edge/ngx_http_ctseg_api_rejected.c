/*
 * Events that were refused, in the API.  Thread functions.
 */

#include "ngx_http_ctseg_api.h"


static bool
ngx_http_ctseg_rejected_collect(void *data, const ctseg_rejected_t *r)
{
    return ngx_http_ctseg_items_add(data, &r->sequence);
}


/* the page, newest first; one that was purged meanwhile is left out */

static ctseg_rc_t
ngx_http_ctseg_rejected_page(ngx_http_ctseg_call_t *call,
    ctseg_json_writer_t *w, const char *export_id,
    const ngx_http_ctseg_items_t *items, unsigned first, unsigned n,
    ctseg_err_t *err)
{
    unsigned           i;
    uint64_t          *sequence;
    ctseg_rc_t         rc;
    ctseg_buf_t        buf;
    ctseg_rejected_t   rejected;

    rc = CTSEG_OK;
    ngx_memzero(&buf, sizeof(ctseg_buf_t));

    for (i = 0; rc == CTSEG_OK && i < n; i++) {
        sequence = ngx_http_ctseg_items_newest(items, first + i);

        if (sequence == NULL) {
            break;
        }

        rc = ctseg_rejected_get(call->task.worker->store, export_id,
                                *sequence, &buf, &rejected, err);

        if (rc == CTSEG_OK) {
            ctseg_rejected_render(w, NULL, &rejected);

        } else if (rc == CTSEG_NOTFOUND) {
            rc = CTSEG_OK;
        }
    }

    ctseg_buf_free(&buf);

    return rc;
}


void
ngx_http_ctseg_rejected_list_thread(ngx_http_ctseg_task_t *task)
{
    unsigned                 page, per_page;
    ctseg_rc_t               rc;
    ctseg_err_t              err;
    ctseg_export_t           e;
    ctseg_json_writer_t      w;
    ngx_http_ctseg_call_t   *call;
    ngx_http_ctseg_items_t   items;

    call = (ngx_http_ctseg_call_t *) task;

    if (!ngx_http_ctseg_call_page(call, &page, &per_page)) {
        return;
    }

    ngx_memzero(&items, sizeof(items));
    ngx_memzero(&err, sizeof(err));
    items.size = sizeof(uint64_t);

    rc = ctseg_export_get(task->worker->store, call->id, &e, &err);

    if (rc == CTSEG_OK) {
        rc = ctseg_rejected_list(task->worker->store, e.id,
                                 ngx_http_ctseg_rejected_collect, &items,
                                 &err);
    }

    if (rc == CTSEG_OK && items.failed) {
        rc = CTSEG_NOMEM;
    }

    w.buf = &call->out;
    w.comma = false;

    ngx_http_ctseg_list_open(&w);

    if (rc == CTSEG_OK) {
        rc = ngx_http_ctseg_rejected_page(call, &w, e.id, &items,
                                          (page - 1) * per_page, per_page,
                                          &err);
    }

    ngx_http_ctseg_list_close(&w, page, per_page, items.n);
    ngx_http_ctseg_items_free(&items);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
    }
}


void
ngx_http_ctseg_rejected_purge_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_export_t          e;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;
    ngx_memzero(&err, sizeof(err));

    rc = ctseg_export_get(task->worker->store, call->id, &e, &err);

    if (rc == CTSEG_OK) {
        rc = ctseg_rejected_purge(task->worker->store, e.id, &err);
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
        return;
    }

    call->status = 204;
}
