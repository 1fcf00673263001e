/*
 * Exports and their runs in the API.  Thread functions.
 */

#include "ngx_http_ctseg_api.h"


/* what the list needs of each export to choose its page */

typedef struct {
    char      (*ids)[CTSEG_ID_TEXT_MAX];
    unsigned    n;
    unsigned    allocated;
    bool        failed;
} ngx_http_ctseg_exports_t;


typedef struct {
    ctseg_run_t  *items;
    unsigned      n;
    unsigned      allocated;
    bool          failed;
} ngx_http_ctseg_runs_t;


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


static bool
ngx_http_ctseg_export_collect(void *data, const ctseg_export_t *e)
{
    unsigned                   n;
    void                      *ids;
    ngx_http_ctseg_exports_t  *list;

    list = data;

    if (list->n == list->allocated) {
        n = list->allocated == 0 ? 64 : list->allocated * 2;

        ids = realloc(list->ids, (size_t) n * CTSEG_ID_TEXT_MAX);
        if (ids == NULL) {
            list->failed = true;
            return false;
        }

        list->ids = ids;
        list->allocated = n;
    }

    ngx_memcpy(list->ids[list->n++], e->id, CTSEG_ID_TEXT_MAX);

    return true;
}


void
ngx_http_ctseg_export_list_thread(ngx_http_ctseg_task_t *task)
{
    unsigned                   i, page, per_page, skip;
    ctseg_rc_t                 rc;
    ctseg_err_t                err;
    ctseg_export_t             e;
    ctseg_json_writer_t        w;
    ngx_http_ctseg_call_t     *call;
    ngx_http_ctseg_exports_t   list;

    call = (ngx_http_ctseg_call_t *) task;

    if (!ngx_http_ctseg_call_page(call, &page, &per_page)) {
        return;
    }

    ngx_memzero(&list, sizeof(list));
    ngx_memzero(&err, sizeof(err));

    rc = ctseg_export_list(task->worker->store, ngx_http_ctseg_export_collect,
                           &list, &err);

    if (list.failed) {
        rc = CTSEG_NOMEM;
    }

    w.buf = &call->out;
    w.comma = false;

    ngx_http_ctseg_list_open(&w);

    /* ids sort by time of creation, newest last */

    skip = (page - 1) * per_page;

    for (i = skip;
         rc == CTSEG_OK && i < list.n && i < skip + per_page;
         i++)
    {
        rc = ctseg_export_get(task->worker->store,
                              ctseg_str(list.ids[list.n - 1 - i]), &e, &err);

        if (rc == CTSEG_OK) {
            rc = ngx_http_ctseg_export_item(call, &w, &e, &err);
        }
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
        free(list.ids);
        return;
    }

    ngx_http_ctseg_list_close(&w, page, per_page, list.n);

    free(list.ids);
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
    unsigned                n;
    ctseg_run_t            *items;
    ngx_http_ctseg_runs_t  *list;

    list = data;

    if (list->n == list->allocated) {
        n = list->allocated == 0 ? 16 : list->allocated * 2;

        items = realloc(list->items, n * sizeof(ctseg_run_t));
        if (items == NULL) {
            list->failed = true;
            return false;
        }

        list->items = items;
        list->allocated = n;
    }

    list->items[list->n++] = *run;

    return true;
}


void
ngx_http_ctseg_run_list_thread(ngx_http_ctseg_task_t *task)
{
    unsigned                i, page, per_page, skip;
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_export_t          e;
    ctseg_json_writer_t     w;
    ngx_http_ctseg_runs_t   list;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    if (!ngx_http_ctseg_call_page(call, &page, &per_page)) {
        return;
    }

    ngx_memzero(&list, sizeof(list));
    ngx_memzero(&err, sizeof(err));

    rc = ctseg_export_get(task->worker->store, call->id, &e, &err);

    if (rc == CTSEG_OK) {
        rc = ctseg_run_list(task->worker->store, e.id,
                            ngx_http_ctseg_run_collect, &list, &err);
    }

    if (rc != CTSEG_OK || list.failed) {
        ngx_http_ctseg_call_store_problem(call,
                                          list.failed ? CTSEG_NOMEM : rc,
                                          &err, "export");
        free(list.items);
        return;
    }

    w.buf = &call->out;
    w.comma = false;

    ngx_http_ctseg_list_open(&w);

    skip = (page - 1) * per_page;

    for (i = skip; i < list.n && i < skip + per_page; i++) {
        ctseg_run_render(&w, NULL, &list.items[list.n - 1 - i]);
    }

    ngx_http_ctseg_list_close(&w, page, per_page, list.n);

    free(list.items);
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
