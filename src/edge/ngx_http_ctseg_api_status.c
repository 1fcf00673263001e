/*
 * The catalog and the state of the whole, in the API.  Thread functions.
 */

#include "ngx_http_ctseg_api.h"


void
ngx_http_ctseg_catalog_thread(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    ctseg_catalog_render(&call->out);
    ctseg_buf_char(&call->out, '\n');
}


static bool
ngx_http_ctseg_status_count(void *data, const ctseg_export_t *e)
{
    unsigned  *counts;

    counts = data;
    counts[e->status]++;

    return true;
}


void
ngx_http_ctseg_status_thread(ngx_http_ctseg_task_t *task)
{
    unsigned                  i, counts[CTSEG_STOPPED + 1];
    ctseg_rc_t                rc;
    ctseg_err_t               err;
    ctseg_usage_t             usage;
    ctseg_json_writer_t       w;
    ngx_http_ctseg_call_t    *call;
    ngx_http_ctseg_worker_t  *worker;

    call = (ngx_http_ctseg_call_t *) task;
    worker = task->worker;

    ngx_memzero(&err, sizeof(err));
    ngx_memzero(counts, sizeof(counts));

    rc = ctseg_store_usage(worker->store, &usage);

    if (rc == CTSEG_OK) {
        rc = ctseg_export_list(worker->store, ngx_http_ctseg_status_count,
                               counts, &err);
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
        return;
    }

    w.buf = &call->out;
    w.comma = false;

    ctseg_jw_open(&w, NULL, '{');
    ctseg_jw_cstr(&w, "version", CTSEG_VERSION);
    ctseg_jw_cstr(&w, "installation_id",
                  ctseg_store_installation(worker->store));
    ctseg_jw_cstr(&w, "time_zone", worker->zone.name);
    ctseg_jw_time(&w, "now", ctseg_now_ms());
    ctseg_jw_cstr(&w, "health", "ok");

    ctseg_jw_open(&w, "sequence", '{');
    ctseg_jw_uint(&w, "first", usage.bounds.first);
    ctseg_jw_uint(&w, "last", usage.bounds.last);
    ctseg_jw_close(&w, '}');

    ctseg_jw_open(&w, "store", '{');
    ctseg_jw_open(&w, "events", '{');
    ctseg_jw_uint(&w, "used_bytes", usage.events_used);
    ctseg_jw_uint(&w, "capacity_bytes", usage.events_size);
    ctseg_jw_uint(&w, "commits", usage.commits);
    ctseg_jw_close(&w, '}');
    ctseg_jw_open(&w, "state", '{');
    ctseg_jw_uint(&w, "used_bytes", usage.state_used);
    ctseg_jw_uint(&w, "capacity_bytes", usage.state_size);
    ctseg_jw_close(&w, '}');
    ctseg_jw_close(&w, '}');

    ctseg_jw_open(&w, "exports", '{');

    for (i = CTSEG_PENDING; i <= CTSEG_STOPPED; i++) {
        ctseg_jw_uint(&w, ctseg_status_name(i), counts[i]);
    }

    ctseg_jw_close(&w, '}');
    ctseg_jw_close(&w, '}');
    ctseg_buf_char(&call->out, '\n');
}
