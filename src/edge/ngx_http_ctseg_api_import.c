/*
 * Imports in the API.  Thread functions.  What an import has done is read from
 * its record; the engine sees a new or stopped one by itself.
 */

#include "../store/ctseg_state_import.h"
#include "ngx_http_ctseg_api.h"


static void
ngx_http_ctseg_import_answer(ngx_http_ctseg_call_t *call, ngx_uint_t status,
    const ctseg_import_t *im)
{
    ctseg_json_writer_t  w;

    w.buf = &call->out;
    w.comma = false;

    ctseg_import_render(&w, NULL, im);
    ctseg_buf_char(&call->out, '\n');

    call->status = status;
    ngx_http_ctseg_call_etag(call, im->revision);
}


typedef struct {
    ctseg_query_t            query;
    ngx_http_ctseg_items_t   ids;       /* the page is chosen by ids alone */
} ngx_http_ctseg_import_list_t;


static bool
ngx_http_ctseg_import_collect(void *data, const ctseg_import_t *im)
{
    ngx_http_ctseg_import_list_t  *list;

    list = data;

    return !ctseg_query_matches_status(&list->query, im->status)
           || ngx_http_ctseg_items_add(&list->ids, im->id);
}


/* an import of a list; one that is damaged by now is left out and noted */

static ctseg_rc_t
ngx_http_ctseg_import_line(ngx_http_ctseg_call_t *call,
    ctseg_json_writer_t *w, const char *id, ctseg_err_t *err)
{
    ctseg_rc_t      rc;
    ctseg_err_t     one;
    ctseg_import_t  im;

    ngx_memzero(&one, sizeof(ctseg_err_t));
    ngx_memzero(&im, sizeof(ctseg_import_t));

    rc = ctseg_import_get(call->task.worker->store, ctseg_str(id), &im, &one);

    if (rc == CTSEG_OK) {
        ctseg_import_render(w, NULL, &im);
    }

    ctseg_import_free(&im);

    if (rc == CTSEG_CORRUPT && err->code == CTSEG_CORRUPT) {
        err->offset++;
        return CTSEG_OK;
    }

    if (rc != CTSEG_OK) {
        *err = one;
        err->offset = 1;
    }

    return rc == CTSEG_CORRUPT ? CTSEG_OK : rc;
}


void
ngx_http_ctseg_import_list_thread(ngx_http_ctseg_task_t *task)
{
    char                          *id;
    unsigned                       i, first;
    ctseg_rc_t                     rc;
    ctseg_err_t                    err;
    ctseg_query_t                 *q;
    ctseg_problems_t               problems;
    ctseg_json_writer_t            w;
    ngx_http_ctseg_call_t         *call;
    ngx_http_ctseg_import_list_t   list;

    call = (ngx_http_ctseg_call_t *) task;

    ngx_memzero(&list, sizeof(list));
    ngx_memzero(&err, sizeof(err));
    problems.n = 0;

    q = &list.query;
    list.ids.size = CTSEG_ID_TEXT_MAX;

    if (!ctseg_query_parse_status(q, call->args, &problems)) {
        ngx_http_ctseg_call_problem(call, 400, "the query has wrong values",
                                    &problems);
        return;
    }

    rc = ctseg_import_list(task->worker->store, ngx_http_ctseg_import_collect,
                           &list, &err);

    if (rc == CTSEG_OK && list.ids.failed) {
        rc = CTSEG_NOMEM;
    }

    w.buf = &call->out;
    w.comma = false;
    first = (q->page - 1) * q->per_page;

    ngx_http_ctseg_list_open(&w);

    for (i = 0; rc == CTSEG_OK && i < q->per_page; i++) {
        id = ngx_http_ctseg_items_newest(&list.ids, first + i);

        if (id == NULL) {
            break;
        }

        rc = ngx_http_ctseg_import_line(call, &w, id, &err);
    }

    ngx_http_ctseg_list_close(&w, q->page, q->per_page, list.ids.n);
    ngx_http_ctseg_items_free(&list.ids);

    if (rc == CTSEG_OK) {
        (void) ngx_http_ctseg_call_damage(call, &err);

    } else {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "import");
    }
}


/* what the configuration has; false: no memory */

static bool
ngx_http_ctseg_import_env(ngx_http_ctseg_call_t *call,
    ctseg_import_env_t *env)
{
    unsigned                     i, n;
    ctseg_str_t                 *ids;
    ngx_http_ctseg_worker_t     *worker;
    ngx_http_ctseg_clevertap_t  *account;

    worker = call->task.worker;
    account = worker->conf->clevertap->elts;
    n = (unsigned) worker->conf->clevertap->nelts;

    ids = ctseg_arena_alloc(call->arena, n * sizeof(ctseg_str_t));

    if (ids == NULL) {
        return false;
    }

    for (i = 0; i < n; i++) {
        ids[i].data = (char *) account[i].id.data;
        ids[i].len = account[i].id.len;
    }

    env->now_ms = ctseg_now_ms();
    env->zone = &worker->zone;
    env->accounts = ids;
    env->naccounts = n;

    return true;
}


static void
ngx_http_ctseg_import_create(ngx_http_ctseg_call_t *call,
    const ctseg_json_t *json, ctseg_import_t *im)
{
    ctseg_rc_t           rc;
    ctseg_err_t          err;
    ctseg_problems_t     problems;
    ctseg_import_env_t   env;

    if (!ngx_http_ctseg_import_env(call, &env)) {
        call->out.failed = true;
        return;
    }

    problems.n = 0;

    if (!ctseg_import_parse(im, json, &env, &problems)) {
        ngx_http_ctseg_call_problem(call, 422, "the import has wrong fields",
                                    &problems);
        return;
    }

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_import_create(call->task.worker->store, im, env.now_ms, &err);

    if (rc == CTSEG_TOOBIG) {
        ngx_http_ctseg_call_problem(call, 409, "too many imports are PENDING "
                                    "or RUNNING, stop one or wait", NULL);
        return;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "import");
        return;
    }

    ngx_http_ctseg_import_answer(call, 201, im);
    ngx_memcpy(call->location, im->id, sizeof(call->location));
}


void
ngx_http_ctseg_import_create_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_json_t           *json;
    ctseg_import_t          im;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    if (task->worker->conf->clevertap == NULL) {
        ngx_http_ctseg_call_problem(call, 409, "there is no account to import "
                                    "from: nginx.conf needs "
                                    "\"ctseg_clevertap\"", NULL);
        return;
    }

    if (!ngx_http_ctseg_call_json(call, &json)) {
        return;
    }

    ngx_memzero(&im, sizeof(ctseg_import_t));

    ngx_http_ctseg_import_create(call, json, &im);

    ctseg_import_free(&im);
}


void
ngx_http_ctseg_import_get_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_import_t          im;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    ngx_memzero(&err, sizeof(err));
    ngx_memzero(&im, sizeof(ctseg_import_t));

    rc = ctseg_import_get(task->worker->store, call->id, &im, &err);

    if (rc == CTSEG_OK) {
        ngx_http_ctseg_import_answer(call, 200, &im);

    } else {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "import");
    }

    ctseg_import_free(&im);
}


static void
ngx_http_ctseg_import_stop(ngx_http_ctseg_call_t *call, ctseg_import_t *im)
{
    char         detail[128];
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_import_get(call->task.worker->store, call->id, im, &err);

    if (rc == CTSEG_OK) {
        if (!ngx_http_ctseg_call_matches(call, im->revision)) {
            return;
        }

        rc = ctseg_import_stop(call->task.worker->store, call->id,
                               CTSEG_STOP_USER, ctseg_now_ms(), im, &err);
    }

    if (rc == CTSEG_CONFLICT) {
        (void) snprintf(detail, sizeof(detail), "only a PENDING or RUNNING "
                        "import can be stopped, this one is %s",
                        ctseg_status_name(im->status));
        ngx_http_ctseg_call_problem(call, 409, detail, NULL);
        return;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "import");
        return;
    }

    ngx_http_ctseg_import_answer(call, 200, im);
}


void
ngx_http_ctseg_import_stop_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_import_t  im;

    ngx_memzero(&im, sizeof(ctseg_import_t));

    ngx_http_ctseg_import_stop((ngx_http_ctseg_call_t *) task, &im);

    ctseg_import_free(&im);
}
