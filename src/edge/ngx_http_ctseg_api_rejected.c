/*
 * Events that were refused, in the API.  Thread functions.
 */

#include "ngx_http_ctseg_api.h"


static bool
ngx_http_ctseg_rejected_collect(void *data, const ctseg_rejected_t *r)
{
    return ngx_http_ctseg_items_add(data, &r->sequence);
}


/* the sequences alone: messages are large, and a page shows few of them */

static ctseg_rc_t
ngx_http_ctseg_rejected_walk(ctseg_store_t *s, const char *export_id,
    ngx_http_ctseg_items_t *items, ctseg_err_t *err)
{
    return ctseg_rejected_list(s, export_id, ngx_http_ctseg_rejected_collect,
                               items, err);
}


/* one that was purged meanwhile is left out */

static ctseg_rc_t
ngx_http_ctseg_rejected_item(ctseg_store_t *s, const char *export_id,
    const void *item, ctseg_json_writer_t *w, ctseg_err_t *err)
{
    ctseg_rc_t         rc;
    ctseg_buf_t        buf;
    ctseg_rejected_t   rejected;
    const uint64_t    *sequence;

    sequence = item;
    ngx_memzero(&buf, sizeof(ctseg_buf_t));

    rc = ctseg_rejected_get(s, export_id, *sequence, &buf, &rejected, err);

    if (rc == CTSEG_OK) {
        ctseg_rejected_render(w, NULL, &rejected);
    }

    ctseg_buf_free(&buf);

    return rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
}


void
ngx_http_ctseg_rejected_list_thread(ngx_http_ctseg_task_t *task)
{
    static const ngx_http_ctseg_list_of_t  rejected = {
        sizeof(uint64_t),
        ngx_http_ctseg_rejected_walk,
        ngx_http_ctseg_rejected_item
    };

    ngx_http_ctseg_call_list((ngx_http_ctseg_call_t *) task, &rejected);
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
