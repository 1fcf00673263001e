/*
 * Exports and their runs in the API.  Thread functions.
 */

#include "../outbox/ctseg_cut.h"
#include "ngx_http_ctseg_api.h"


/* the export with its newest run, as they stand */

static ctseg_rc_t
ngx_http_ctseg_export_item(ngx_http_ctseg_call_t *call,
    ctseg_json_writer_t *w, const ctseg_export_t *e, ctseg_err_t *err)
{
    ctseg_rc_t                rc;
    ctseg_run_t               run;
    ctseg_limits_t            limits;
    ngx_http_ctseg_region_t  *region;

    ngx_memzero(&limits, sizeof(ctseg_limits_t));

    if (e->runs == 0) {
        ctseg_export_render(w, NULL, e, NULL, &limits, ctseg_now_ms());
        return CTSEG_OK;
    }

    rc = ctseg_run_get(call->task.worker->store, e->id, e->runs, &run, err);

    if (rc != CTSEG_OK && rc != CTSEG_NOTFOUND) {
        return rc;
    }

    if (rc == CTSEG_OK) {
        region = &call->task.worker->conf->regions[run.region];
        limits.requests = (unsigned) region->requests;
        limits.events = (unsigned) region->events;
    }

    ctseg_export_render(w, NULL, e, rc == CTSEG_OK ? &run : NULL, &limits,
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


typedef struct {
    ctseg_query_t            query;
    ngx_http_ctseg_items_t   ids;       /* the page is chosen by ids alone */
} ngx_http_ctseg_export_list_t;


static bool
ngx_http_ctseg_export_collect(void *data, const ctseg_export_t *e)
{
    ngx_http_ctseg_export_list_t  *list;

    list = data;

    return !ctseg_query_matches(&list->query, e)
           || ngx_http_ctseg_items_add(&list->ids, e->id);
}


/* an export of a list: what of it does not read is left out and noted */

static ctseg_rc_t
ngx_http_ctseg_export_line(ngx_http_ctseg_call_t *call,
    ctseg_json_writer_t *w, const char *id, ctseg_err_t *err)
{
    ctseg_rc_t       rc;
    ctseg_err_t      one;
    ctseg_export_t   e;
    ctseg_limits_t   limits;

    ngx_memzero(&one, sizeof(ctseg_err_t));
    ngx_memzero(&limits, sizeof(ctseg_limits_t));

    rc = ctseg_export_get(call->task.worker->store, ctseg_str(id), &e, &one);

    if (rc == CTSEG_OK) {
        rc = ngx_http_ctseg_export_item(call, w, &e, &one);

        if (rc == CTSEG_CORRUPT) {
            ctseg_export_render(w, NULL, &e, NULL, &limits, ctseg_now_ms());
        }
    }

    if (rc == CTSEG_OK) {
        return CTSEG_OK;
    }

    if (rc == CTSEG_CORRUPT && err->code == CTSEG_CORRUPT) {
        err->offset++;
        return CTSEG_OK;
    }

    *err = one;
    err->offset = 1;

    return rc == CTSEG_CORRUPT ? CTSEG_OK : rc;
}


void
ngx_http_ctseg_export_list_thread(ngx_http_ctseg_task_t *task)
{
    char                          *id;
    unsigned                       i, first;
    ctseg_rc_t                     rc;
    ctseg_err_t                    err;
    ctseg_query_t                 *q;
    ctseg_problems_t               problems;
    ctseg_json_writer_t            w;
    ngx_http_ctseg_call_t         *call;
    ngx_http_ctseg_export_list_t   list;

    call = (ngx_http_ctseg_call_t *) task;

    ngx_memzero(&list, sizeof(list));
    ngx_memzero(&err, sizeof(err));
    problems.n = 0;

    q = &list.query;
    list.ids.size = CTSEG_ID_TEXT_MAX;

    if (!ctseg_query_parse(q, call->args, &problems)) {
        ngx_http_ctseg_call_problem(call, 400, "the query has wrong values",
                                    &problems);
        return;
    }

    rc = ctseg_export_list(task->worker->store, ngx_http_ctseg_export_collect,
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

        rc = ngx_http_ctseg_export_line(call, &w, id, &err);
    }

    ngx_http_ctseg_list_close(&w, q->page, q->per_page, list.ids.n);
    ngx_http_ctseg_items_free(&list.ids);

    if (rc == CTSEG_OK) {
        (void) ngx_http_ctseg_call_damage(call, &err);

    } else {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
    }
}


static void
ngx_http_ctseg_export_env(ngx_http_ctseg_worker_t *worker,
    ctseg_export_env_t *env)
{
    env->now_ms = ctseg_now_ms();
    env->zone = &worker->zone;
    env->custom_events = worker->conf->custom_events;
    env->retention_ms = (int64_t) worker->conf->retention * 1000;
}


/*
 * Does the partner exist, and does nginx reach its region?  Noted if not;
 * false when the store failed, which is answered then.
 */

static bool
ngx_http_ctseg_export_partner(ngx_http_ctseg_call_t *call,
    const char *partner_id, ctseg_partner_t *p, ctseg_problems_t *problems)
{
    ctseg_rc_t                rc;
    ctseg_err_t               err;
    ngx_http_ctseg_worker_t  *worker;

    worker = call->task.worker;

    if (partner_id[0] == '\0') {
        return true;
    }

    ngx_memzero(&err, sizeof(err));

    rc = ctseg_partner_get(worker->store, ctseg_str(partner_id), p, &err);

    if (rc == CTSEG_NOTFOUND || (rc == CTSEG_OK && p->deleting)) {
        ctseg_problem(problems, "partner_id", "names no partner");
        return true;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "partner");
        return false;
    }

    if (worker->conf->regions[p->region].uri.len == 0) {
        ctseg_problem(problems, "partner_id", "the partner's region is "
                      "\"%s\", for which nginx.conf has no ctseg_segment",
                      ctseg_region_name(p->region));
    }

    return true;
}


/*
 * One try of a PATCH: OK, or AGAIN when the export was changed meanwhile, or
 * CTSEG_INVALID when something else is answered already.
 */

static ctseg_rc_t
ngx_http_ctseg_export_patch(ngx_http_ctseg_call_t *call,
    const ctseg_json_t *json, ctseg_export_t *e, ctseg_err_t *err)
{
    bool                 valid;
    char                 partner_id[CTSEG_ID_TEXT_MAX];
    ctseg_rc_t           rc;
    const char          *rule;
    ctseg_partner_t      p;
    ctseg_problems_t     problems;
    ctseg_export_env_t   env;

    rc = ctseg_export_get(call->task.worker->store, call->id, e, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    if (!ngx_http_ctseg_call_matches(call, e->revision)) {
        return CTSEG_INVALID;
    }

    rule = NULL;
    problems.n = 0;
    ngx_memcpy(partner_id, e->partner_id, sizeof(partner_id));

    ngx_http_ctseg_export_env(call->task.worker, &env);

    valid = ctseg_export_patch(e, json, &env, &problems, &rule);

    if (rule != NULL) {
        ngx_http_ctseg_call_problem(call, 409, rule, NULL);
        return CTSEG_INVALID;
    }

    if (valid && !ngx_http_ctseg_export_partner(call, e->partner_id, &p,
                                                &problems))
    {
        return CTSEG_INVALID;
    }

    if (problems.n != 0) {
        ngx_http_ctseg_call_problem(call, 422, "the export has wrong fields",
                                    &problems);
        return CTSEG_INVALID;
    }

    rc = ctseg_export_put(call->task.worker->store, e, err);

    if (rc == CTSEG_CONFLICT) {
        return CTSEG_AGAIN;
    }

    if (rc != CTSEG_OK || ngx_strcmp(e->partner_id, partner_id) == 0) {
        return rc;
    }

    /*
     * A partner that is deleted meanwhile has looked for exports before this
     * one was stored, or it will find it: looking again settles which.
     */

    if (!ngx_http_ctseg_export_partner(call, e->partner_id, &p, &problems)) {
        return CTSEG_INVALID;
    }

    if (problems.n == 0) {
        return CTSEG_OK;
    }

    ngx_memcpy(e->partner_id, partner_id, sizeof(partner_id));
    e->revision++;

    rc = ctseg_export_put(call->task.worker->store, e, err);

    if (rc != CTSEG_OK) {
        return rc == CTSEG_CONFLICT ? CTSEG_AGAIN : rc;
    }

    ngx_http_ctseg_call_problem(call, 422, "the export has wrong fields",
                                &problems);
    return CTSEG_INVALID;
}


void
ngx_http_ctseg_export_patch_thread(ngx_http_ctseg_task_t *task)
{
    unsigned                tries;
    ctseg_rc_t              rc;
    ctseg_err_t             err;
    ctseg_json_t           *json;
    ctseg_export_t          e;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    if (!ngx_http_ctseg_call_json(call, &json)) {
        return;
    }

    ngx_memzero(&err, sizeof(err));
    rc = CTSEG_AGAIN;

    for (tries = 0; rc == CTSEG_AGAIN && tries < 8; tries++) {
        rc = ngx_http_ctseg_export_patch(call, json, &e, &err);
    }

    if (rc == CTSEG_INVALID) {
        return;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
        return;
    }

    ngx_http_ctseg_export_answer(call, 200, &e);

    if (call->is_problem) {
        return;
    }

    /* one member more than the resource has: open its last brace again */

    call->out.len -= sizeof("}\n") - 1;
    ctseg_buf_cstr(&call->out, e.freq == CTSEG_FREQ_LIVE
                               ? ",\"applies_from\":\"next_batch\"}\n"
                               : ",\"applies_from\":\"next_run\"}\n");
}


bool
ngx_http_ctseg_call_export(ngx_http_ctseg_call_t *call, ctseg_export_t *e,
    ctseg_partner_t *p, ctseg_export_env_t *env)
{
    ctseg_json_t      *json;
    ctseg_problems_t   problems;

    if (!ngx_http_ctseg_call_json(call, &json)) {
        return false;
    }

    ngx_memzero(e, sizeof(ctseg_export_t));
    problems.n = 0;

    ngx_http_ctseg_export_env(call->task.worker, env);

    (void) ctseg_export_parse(e, json, env, &problems);

    /* so that an unknown partner is named together with the other errors */

    if (!ngx_http_ctseg_export_partner(call, e->partner_id, p, &problems)) {
        return false;
    }

    if (problems.n != 0) {
        ngx_http_ctseg_call_problem(call, 422, "the export has wrong fields",
                                    &problems);
        return false;
    }

    return true;
}


void
ngx_http_ctseg_call_warn(ngx_http_ctseg_call_t *call,
    const ctseg_export_t *e, const ctseg_export_env_t *env)
{
    unsigned             i;
    ctseg_problems_t     warnings;
    ctseg_json_writer_t  w;

    warnings.n = 0;
    ctseg_export_warn(e, env, &warnings);

    if (warnings.n == 0 || call->is_problem || call->out.failed) {
        return;
    }

    /* one member more than the resource has: open its last brace again */

    call->out.len -= sizeof("}\n") - 1;

    w.buf = &call->out;
    w.comma = true;

    ctseg_jw_open(&w, "warnings", '[');

    for (i = 0; i < warnings.n; i++) {
        ctseg_jw_open(&w, NULL, '{');
        ctseg_jw_cstr(&w, "field", warnings.item[i].field);
        ctseg_jw_cstr(&w, "message", warnings.item[i].message);
        ctseg_jw_close(&w, '}');
    }

    ctseg_jw_close(&w, ']');
    ctseg_buf_cstr(&call->out, "}\n");
}


void
ngx_http_ctseg_export_create_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t              rc;
    ctseg_cut_t             cut;
    ctseg_err_t             err;
    ctseg_export_t          e;
    ctseg_partner_t         p;
    ctseg_problems_t        problems;
    ctseg_export_env_t      env;
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    ngx_memzero(&err, sizeof(err));
    problems.n = 0;

    if (!ngx_http_ctseg_call_export(call, &e, &p, &env)) {
        return;
    }

    /* a live one begins behind what is there: no clock says where that is */

    if (e.freq == CTSEG_FREQ_LIVE) {
        rc = ctseg_cut_head(task->worker->store, ctseg_mono_ms()
                                                 + CTSEG_STATE_TIMEOUT_MS,
                            &cut, &err);

        if (rc != CTSEG_OK) {
            ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
            return;
        }

        e.cut = cut.hi;
        e.incarnation = cut.incarnation;
    }

    rc = ctseg_export_create(task->worker->store, &e, env.now_ms, &err);

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
    ngx_http_ctseg_call_warn(call, &e, &env);
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
        ngx_http_ctseg_call_problem(call, 409,
                                    ctseg_export_rule(e.freq, e.status,
                                                      CTSEG_ON_STOP), NULL);
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


static ctseg_rc_t
ngx_http_ctseg_run_walk(ctseg_store_t *s, const char *export_id,
    ngx_http_ctseg_items_t *items, ctseg_err_t *err)
{
    return ctseg_run_list(s, export_id, ngx_http_ctseg_run_collect, items,
                          err);
}


static ctseg_rc_t
ngx_http_ctseg_run_item(ctseg_store_t *s, const char *export_id,
    const void *item, ctseg_json_writer_t *w, ctseg_err_t *err)
{
    ctseg_run_render(w, NULL, item);

    return CTSEG_OK;
}


void
ngx_http_ctseg_run_list_thread(ngx_http_ctseg_task_t *task)
{
    static const ngx_http_ctseg_list_of_t  runs = {
        sizeof(ctseg_run_t),
        ngx_http_ctseg_run_walk,
        ngx_http_ctseg_run_item
    };

    ngx_http_ctseg_call_list((ngx_http_ctseg_call_t *) task, &runs);
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

    ngx_http_ctseg_call_etag(call, run.rev);
}
