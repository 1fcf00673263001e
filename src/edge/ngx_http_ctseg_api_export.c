/*
 * Exports and their runs in the API.  Thread functions.
 */

#include "ngx_http_ctseg_api.h"


/* the export with its newest run, as they stand */

static ctseg_rc_t
ngx_http_ctseg_export_item(ngx_http_ctseg_call_t *call,
    ctseg_json_writer_t *w, const ctseg_export_t *e, ctseg_err_t *err)
{
    ctseg_rc_t   rc;
    ctseg_run_t  run;

    if (e->runs == 0) {
        ctseg_export_render(w, NULL, e, NULL, ctseg_now_ms());
        return CTSEG_OK;
    }

    rc = ctseg_run_get(call->task.worker->store, e->id, e->runs, &run, err);

    if (rc != CTSEG_OK && rc != CTSEG_NOTFOUND) {
        return rc;
    }

    ctseg_export_render(w, NULL, e, rc == CTSEG_OK ? &run : NULL,
                        ctseg_now_ms());
    return CTSEG_OK;
}


static void
ngx_http_ctseg_export_answer(ngx_http_ctseg_call_t *call, ngx_uint_t status,
    const ctseg_export_t *e)
{
    ctseg_rc_t           rc;
    ctseg_err_t          err;
    ctseg_json_writer_t  w;

    ngx_memzero(&err, sizeof(err));

    w.buf = &call->out;
    w.comma = false;

    rc = ngx_http_ctseg_export_item(call, &w, e, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "run");
        return;
    }

    ctseg_buf_char(&call->out, '\n');

    call->status = status;
    ngx_http_ctseg_call_etag(call, e->revision);
}


/* the page is chosen by ids alone */

static bool
ngx_http_ctseg_export_collect(void *data, const ctseg_export_t *e)
{
    return ngx_http_ctseg_items_add(data, e->id);
}


void
ngx_http_ctseg_export_list_thread(ngx_http_ctseg_task_t *task)
{
    char                    *id;
    unsigned                 i, page, per_page;
    ctseg_rc_t               rc;
    ctseg_err_t              err;
    ctseg_export_t           e;
    ctseg_json_writer_t      w;
    ngx_http_ctseg_call_t   *call;
    ngx_http_ctseg_items_t   ids;

    call = (ngx_http_ctseg_call_t *) task;

    if (!ngx_http_ctseg_call_page(call, &page, &per_page)) {
        return;
    }

    ngx_memzero(&ids, sizeof(ids));
    ngx_memzero(&err, sizeof(err));
    ids.size = CTSEG_ID_TEXT_MAX;

    rc = ctseg_export_list(task->worker->store, ngx_http_ctseg_export_collect,
                           &ids, &err);

    if (rc == CTSEG_OK && ids.failed) {
        rc = CTSEG_NOMEM;
    }

    w.buf = &call->out;
    w.comma = false;

    ngx_http_ctseg_list_open(&w);

    for (i = 0; rc == CTSEG_OK && i < per_page; i++) {
        id = ngx_http_ctseg_items_newest(&ids, (page - 1) * per_page + i);

        if (id == NULL) {
            break;
        }

        rc = ctseg_export_get(task->worker->store, ctseg_str(id), &e, &err);

        if (rc == CTSEG_OK) {
            rc = ngx_http_ctseg_export_item(call, &w, &e, &err);
        }
    }

    ngx_http_ctseg_list_close(&w, page, per_page, ids.n);
    ngx_http_ctseg_items_free(&ids);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
    }
}


void
ngx_http_ctseg_export_create_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t                rc;
    ctseg_err_t               err;
    ctseg_json_t             *json;
    ctseg_export_t            e;
    ctseg_partner_t           p;
    ctseg_problems_t          problems;
    ctseg_export_env_t        env;
    ngx_http_ctseg_call_t    *call;
    ngx_http_ctseg_worker_t  *worker;

    call = (ngx_http_ctseg_call_t *) task;
    worker = task->worker;

    if (!ngx_http_ctseg_call_json(call, &json)) {
        return;
    }

    ngx_memzero(&e, sizeof(e));
    ngx_memzero(&err, sizeof(err));
    problems.n = 0;

    env.now_ms = ctseg_now_ms();
    env.zone = &worker->zone;
    env.custom_events = worker->conf->custom_events;

    (void) ctseg_export_parse(&e, json, &env, &problems);

    /* so that an unknown partner is named together with the other errors */

    if (e.partner_id[0] != '\0') {
        rc = ctseg_partner_get(worker->store, ctseg_str(e.partner_id), &p,
                               &err);

        if (rc == CTSEG_NOTFOUND) {
            ctseg_problem(&problems, "partner_id", "names no partner");

        } else if (rc != CTSEG_OK) {
            ngx_http_ctseg_call_store_problem(call, rc, &err, "partner");
            return;

        } else if (worker->conf->regions[p.region].uri.len == 0) {
            ctseg_problem(&problems, "partner_id", "the partner's region is "
                          "\"%s\", for which nginx.conf has no ctseg_segment",
                          ctseg_region_name(p.region));
        }
    }

    if (problems.n != 0) {
        ngx_http_ctseg_call_problem(call, 422, "the export has wrong fields",
                                    &problems);
        return;
    }

    rc = ctseg_export_create(worker->store, &e, env.now_ms, &err);

    if (rc == CTSEG_NOTFOUND) {
        ctseg_problem(&problems, "partner_id", "names no partner");
        ngx_http_ctseg_call_problem(call, 422, "the export has wrong fields",
                                    &problems);
        return;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
        return;
    }

    ngx_http_ctseg_export_answer(call, 201, &e);
    ngx_memcpy(call->location, e.id, sizeof(call->location));
}


void
ngx_http_ctseg_export_get_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_export_t          e;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;
    ngx_memzero(&err, sizeof(err));

    rc = ctseg_export_get(task->worker->store, call->id, &e, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
        return;
    }

    ngx_http_ctseg_export_answer(call, 200, &e);
}


void
ngx_http_ctseg_export_stop_thread(ngx_http_ctseg_task_t *task)
{
    char                    detail[160];
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_export_t          e;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;
    ngx_memzero(&err, sizeof(err));

    rc = ctseg_export_get(task->worker->store, call->id, &e, &err);

    if (rc == CTSEG_OK) {
        if (!ngx_http_ctseg_call_matches(call, e.revision)) {
            return;
        }

        rc = ctseg_export_stop(task->worker->store, call->id,
                               CTSEG_STOP_USER, &e, &err);
    }

    if (rc == CTSEG_CONFLICT) {
        (void) snprintf(detail, sizeof(detail), "only a PENDING or RUNNING "
                        "export can be stopped, this one is %s",
                        ctseg_status_name(e.status));
        ngx_http_ctseg_call_problem(call, 409, detail, NULL);
        return;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
        return;
    }

    ngx_http_ctseg_export_answer(call, 200, &e);
}


static bool
ngx_http_ctseg_run_collect(void *data, const ctseg_run_t *run)
{
    return ngx_http_ctseg_items_add(data, run);
}


void
ngx_http_ctseg_run_list_thread(ngx_http_ctseg_task_t *task)
{
    unsigned                 i, page, per_page;
    ctseg_rc_t               rc;
    ctseg_err_t              err;
    ctseg_run_t             *run;
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
    items.size = sizeof(ctseg_run_t);

    rc = ctseg_export_get(task->worker->store, call->id, &e, &err);

    if (rc == CTSEG_OK) {
        rc = ctseg_run_list(task->worker->store, e.id,
                            ngx_http_ctseg_run_collect, &items, &err);
    }

    if (rc == CTSEG_OK && items.failed) {
        rc = CTSEG_NOMEM;
    }

    w.buf = &call->out;
    w.comma = false;

    ngx_http_ctseg_list_open(&w);

    for (i = 0; rc == CTSEG_OK && i < per_page; i++) {
        run = ngx_http_ctseg_items_newest(&items, (page - 1) * per_page + i);

        if (run == NULL) {
            break;
        }

        ctseg_run_render(&w, NULL, run);
    }

    ngx_http_ctseg_list_close(&w, page, per_page, items.n);
    ngx_http_ctseg_items_free(&items);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
    }
}


void
ngx_http_ctseg_run_get_thread(ngx_http_ctseg_task_t *task)
{
    int64_t                 number;
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_run_t             run;
    ctseg_export_t          e;
    ctseg_json_writer_t     w;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;
    ngx_memzero(&err, sizeof(err));

    if (!ctseg_str_int64(call->number, &number) || number < 1) {
        ngx_http_ctseg_call_store_problem(call, CTSEG_NOTFOUND, &err, "run");
        return;
    }

    rc = ctseg_export_get(task->worker->store, call->id, &e, &err);

    if (rc == CTSEG_OK) {
        rc = ctseg_run_get(task->worker->store, e.id, (uint64_t) number, &run,
                           &err);
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "run");
        return;
    }

    w.buf = &call->out;
    w.comma = false;

    ctseg_run_render(&w, NULL, &run);
    ctseg_buf_char(&call->out, '\n');
}
