/*
 * Partners in the API.  Thread functions.
 */

#include "ngx_http_ctseg_api.h"


static void
ngx_http_ctseg_partner_item(ngx_http_ctseg_call_t *call,
    ctseg_json_writer_t *w, const ctseg_partner_t *p)
{
    ngx_http_ctseg_health_t  health;

    ngx_http_ctseg_health(call->task.worker->store, p->id, &health);
    ctseg_partner_render(w, p, &health.health);
}


static void
ngx_http_ctseg_partner_answer(ngx_http_ctseg_call_t *call, ngx_uint_t status,
    const ctseg_partner_t *p)
{
    ctseg_json_writer_t  w;

    w.buf = &call->out;
    w.comma = false;

    ngx_http_ctseg_partner_item(call, &w, p);
    ctseg_buf_char(&call->out, '\n');

    call->status = status;
    ngx_http_ctseg_call_etag(call, p->revision);
}


/* a nickname can be lost to another at creation and at a rename */

static void
ngx_http_ctseg_partner_taken(ngx_http_ctseg_call_t *call)
{
    ctseg_problems_t  problems;

    problems.n = 0;
    ctseg_problem(&problems, "nickname", "is taken by another partner");

    ngx_http_ctseg_call_problem(call, 409, "a nickname names one partner",
                                &problems);
}


static bool
ngx_http_ctseg_partner_collect(void *data, const ctseg_partner_t *p)
{
    return ngx_http_ctseg_items_add(data, p);
}


void
ngx_http_ctseg_partner_list_thread(ngx_http_ctseg_task_t *task)
{
    unsigned                 i, page, per_page;
    ctseg_rc_t               rc;
    ctseg_err_t              err;
    ctseg_partner_t         *p;
    ctseg_json_writer_t      w;
    ngx_http_ctseg_call_t   *call;
    ngx_http_ctseg_items_t   items;

    call = (ngx_http_ctseg_call_t *) task;

    if (!ngx_http_ctseg_call_page(call, &page, &per_page)) {
        return;
    }

    ngx_memzero(&items, sizeof(items));
    ngx_memzero(&err, sizeof(err));
    items.size = sizeof(ctseg_partner_t);

    rc = ctseg_partner_list(task->worker->store,
                            ngx_http_ctseg_partner_collect, &items, &err);

    if (rc == CTSEG_OK && items.failed) {
        rc = CTSEG_NOMEM;
    }

    w.buf = &call->out;
    w.comma = false;

    ngx_http_ctseg_list_open(&w);

    for (i = 0; rc == CTSEG_OK && i < per_page; i++) {
        p = ngx_http_ctseg_items_newest(&items, (page - 1) * per_page + i);

        if (p == NULL) {
            break;
        }

        ngx_http_ctseg_partner_item(call, &w, p);
    }

    ngx_http_ctseg_list_close(&w, page, per_page, items.n);
    ngx_http_ctseg_items_free(&items);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "partner");
        return;
    }

    (void) ngx_http_ctseg_call_damage(call, &err);
}


void
ngx_http_ctseg_partner_create_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_json_t           *json;
    ctseg_partner_t         p;
    ctseg_problems_t        problems;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    if (!ngx_http_ctseg_call_json(call, &json)) {
        return;
    }

    ngx_memzero(&p, sizeof(p));
    ngx_memzero(&err, sizeof(err));
    problems.n = 0;

    if (!ctseg_partner_parse(&p, json, false, &problems)) {
        ngx_http_ctseg_call_problem(call, 422, "the partner has wrong fields",
                                    &problems);
        return;
    }

    rc = ctseg_partner_create(task->worker->store, &p, ctseg_now_ms(), &err);

    if (rc == CTSEG_CONFLICT) {
        ngx_http_ctseg_partner_taken(call);
        return;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "partner");
        return;
    }

    ngx_http_ctseg_partner_answer(call, 201, &p);
    ngx_memcpy(call->location, p.id, sizeof(call->location));
}


void
ngx_http_ctseg_partner_get_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_partner_t         p;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;
    ngx_memzero(&err, sizeof(err));

    rc = ctseg_partner_get(task->worker->store, call->id, &p, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "partner");
        return;
    }

    ngx_http_ctseg_partner_answer(call, 200, &p);
}


void
ngx_http_ctseg_partner_patch_thread(ngx_http_ctseg_task_t *task)
{
    unsigned                tries;
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_json_t           *json;
    ctseg_partner_t         p, old;
    ctseg_problems_t        problems;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    if (!ngx_http_ctseg_call_json(call, &json)) {
        return;
    }

    ngx_memzero(&err, sizeof(err));

    for (tries = 0; tries < 8; tries++) {

        rc = ctseg_partner_get(task->worker->store, call->id, &old, &err);
        if (rc != CTSEG_OK) {
            break;
        }

        if (!ngx_http_ctseg_call_matches(call, old.revision)) {
            return;
        }

        p = old;
        problems.n = 0;

        if (!ctseg_partner_parse(&p, json, true, &problems)) {
            ngx_http_ctseg_call_problem(call, 422,
                                        "the partner has wrong fields",
                                        &problems);
            return;
        }

        rc = ctseg_partner_update(task->worker->store, &p, &old,
                                  ctseg_now_ms(), &err);

        if (rc != CTSEG_AGAIN) {
            break;
        }
    }

    if (rc == CTSEG_CONFLICT) {
        ngx_http_ctseg_partner_taken(call);
        return;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "partner");
        return;
    }

    ngx_http_ctseg_partner_answer(call, 200, &p);
}


void
ngx_http_ctseg_partner_delete_thread(ngx_http_ctseg_task_t *task)
{
    char                    detail[320];
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_partner_t         p;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;
    ngx_memzero(&err, sizeof(err));

    rc = ctseg_partner_get(task->worker->store, call->id, &p, &err);

    if (rc == CTSEG_OK) {
        if (!ngx_http_ctseg_call_matches(call, p.revision)) {
            return;
        }

        rc = ctseg_partner_delete(task->worker->store, call->id,
                                  ctseg_now_ms(), &err);
    }

    if (rc == CTSEG_CONFLICT) {
        (void) snprintf(detail, sizeof(detail), "a partner can be deleted "
                        "when every export that uses it is DONE or STOPPED; "
                        "export %.60s is not", err.text);
        ngx_http_ctseg_call_problem(call, 409, detail, NULL);
        return;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "partner");
        return;
    }

    call->status = 204;
}
