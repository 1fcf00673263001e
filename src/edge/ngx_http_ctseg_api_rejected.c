/*
 * Events that were rejected, in the API.  Thread functions.
 */

#include "ngx_http_ctseg_api.h"


/* where one is stored: messages are large, and a page shows few of them */

typedef struct {
    uint64_t  sequence;
    uint64_t  first;
    uint64_t  last;
} ngx_http_ctseg_rejected_item_t;


static bool
ngx_http_ctseg_rejected_collect(void *data, const ctseg_rejected_t *r)
{
    ngx_http_ctseg_rejected_item_t  item;

    item.sequence = r->sequence;
    item.first = r->first;
    item.last = r->last;

    return ngx_http_ctseg_items_add(data, &item);
}


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
    ctseg_rc_t                             rc;
    ctseg_buf_t                            buf;
    ctseg_rejected_t                       rejected;
    const ngx_http_ctseg_rejected_item_t  *at;

    at = item;
    ngx_memzero(&buf, sizeof(ctseg_buf_t));
    ngx_memzero(&rejected, sizeof(ctseg_rejected_t));

    ngx_memcpy(rejected.export_id, export_id, ngx_strlen(export_id));
    rejected.sequence = at->sequence;
    rejected.first = at->first;
    rejected.last = at->last;

    rc = ctseg_rejected_find(s, &buf, &rejected, err);

    if (rc == CTSEG_OK) {
        ctseg_rejected_render(w, NULL, &rejected);
    }

    ctseg_buf_free(&buf);

    return rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
}


static ctseg_rc_t
ngx_http_ctseg_rejected_export(ngx_http_ctseg_call_t *call,
    ctseg_retry_t *retry, ctseg_err_t *err)
{
    ctseg_rc_t      rc;
    ctseg_export_t  e;

    rc = ctseg_export_get(call->task.worker->store, call->id, &e, err);

    return rc == CTSEG_OK ? ctseg_retry_get(call->task.worker->store, e.id,
                                            retry, err)
                          : rc;
}


/* how far it came; retry may be NULL: nobody ever asked for it */

static ctseg_rc_t
ngx_http_ctseg_rejected_retry(ngx_http_ctseg_call_t *call, const char *name,
    const ctseg_retry_t *retry, ctseg_err_t *err)
{
    uint64_t             left;
    ctseg_rc_t           rc;
    ctseg_json_writer_t  w;

    w.buf = &call->out;
    w.comma = name != NULL;

    if (retry == NULL) {
        ctseg_jw_null(&w, name);
        return CTSEG_OK;
    }

    rc = ctseg_retry_left(call->task.worker->store, retry, &left, err);

    if (rc == CTSEG_OK) {
        ctseg_retry_render(&w, name, retry, left);
    }

    return rc;
}


void
ngx_http_ctseg_rejected_list_thread(ngx_http_ctseg_task_t *task)
{
    static const ngx_http_ctseg_list_of_t  rejected = {
        sizeof(ngx_http_ctseg_rejected_item_t),
        ngx_http_ctseg_rejected_walk,
        ngx_http_ctseg_rejected_item
    };

    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_retry_t           retry;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    ngx_http_ctseg_call_list(call, &rejected);

    if (call->is_problem || call->out.failed) {
        return;
    }

    ngx_memzero(&err, sizeof(err));

    rc = ngx_http_ctseg_rejected_export(call, &retry, &err);

    if (rc == CTSEG_OK || rc == CTSEG_NOTFOUND) {

        /* one member more: open the last brace of the list again */

        call->out.len -= sizeof("}\n") - 1;

        rc = ngx_http_ctseg_rejected_retry(call, "retry",
                                           rc == CTSEG_OK ? &retry : NULL,
                                           &err);
        ctseg_buf_cstr(&call->out, "}\n");
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "redelivery");
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


void
ngx_http_ctseg_rejected_retry_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_retry_t           retry;
    ctseg_export_t          e;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;
    ngx_memzero(&err, sizeof(err));

    rc = ctseg_export_get(task->worker->store, call->id, &e, &err);

    if (rc == CTSEG_OK) {
        rc = ctseg_retry_request(task->worker->store, e.id, ctseg_now_ms(),
                                 &retry, &err);
    }

    if (rc == CTSEG_OK) {
        rc = ngx_http_ctseg_rejected_retry(call, NULL, &retry, &err);
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
        return;
    }

    ctseg_buf_char(&call->out, '\n');
    call->status = 202;
}
