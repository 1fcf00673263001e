/*
 * The catalog, the state of the whole, and the health of partners, in the
 * API.  Thread functions.
 */

#include "../outbox/ctseg_retain.h"
#include "ngx_http_ctseg_api.h"


typedef struct {
    ctseg_store_t            *store;
    const char               *partner_id;
    ngx_http_ctseg_health_t  *health;
    bool                      paused;
    ctseg_export_t            export;
    ctseg_run_t               run;
} ngx_http_ctseg_health_ctx_t;


void
ngx_http_ctseg_catalog_thread(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    ctseg_catalog_render(&call->out);
    ctseg_buf_char(&call->out, '\n');
}


/* what tries something again colors its partner; a pause is the worst */

static void
ngx_http_ctseg_health_add(ngx_http_ctseg_health_ctx_t *ctx,
    int64_t failing_ms, int64_t paused_ms, int64_t retry_at_ms,
    const char *error)
{
    bool                      paused;
    int64_t                   since;
    ngx_http_ctseg_health_t  *out;

    out = ctx->health;

    paused = paused_ms != 0;
    since = paused ? paused_ms : failing_ms;

    /* of several that are as bad, the one that began first */

    if (out->health.since_ms != 0
        && (paused < ctx->paused
            || (paused == ctx->paused && since >= out->health.since_ms)))
    {
        return;
    }

    ctx->paused = paused;

    (void) snprintf(out->reason, sizeof(out->reason), "%s", error);

    out->health.state = paused ? "paused" : "retrying";
    out->health.reason = out->reason;
    out->health.since_ms = since;
    out->health.retry_at_ms = retry_at_ms;
}


static bool
ngx_http_ctseg_health_active(void *data, const char *export_id)
{
    ctseg_run_t                  *run;
    ctseg_export_t               *e;
    ngx_http_ctseg_health_ctx_t  *ctx;

    ctx = data;
    run = &ctx->run;
    e = &ctx->export;

    if (ctseg_export_get(ctx->store, ctseg_str(export_id), e, NULL)
        != CTSEG_OK
        || e->runs == 0
        || (ctx->partner_id != NULL
            && strcmp(e->partner_id, ctx->partner_id) != 0)
        || ctseg_run_get(ctx->store, export_id, e->runs, run, NULL)
           != CTSEG_OK
        || run->status != CTSEG_RUN_RUNNING
        || run->failing_ms == 0)
    {
        return true;
    }

    ngx_http_ctseg_health_add(ctx, run->failing_ms, run->paused_ms,
                              run->retry_at_ms, run->error);
    return true;
}


static bool
ngx_http_ctseg_health_retry(void *data, const ctseg_retry_t *retry)
{
    ngx_http_ctseg_health_ctx_t  *ctx;

    ctx = data;

    if (retry->state == CTSEG_RETRY_RUNNING && retry->failing_ms != 0
        && (ctx->partner_id == NULL
            || strcmp(retry->partner_id, ctx->partner_id) == 0))
    {
        ngx_http_ctseg_health_add(ctx, retry->failing_ms, retry->paused_ms,
                                  retry->retry_at_ms, retry->error);
    }

    return true;
}


void
ngx_http_ctseg_health(ctseg_store_t *store, const char *partner_id,
    ngx_http_ctseg_health_t *health)
{
    ngx_http_ctseg_health_ctx_t  ctx;

    ngx_memzero(health, sizeof(ngx_http_ctseg_health_t));
    health->health.state = "ok";

    ctx.store = store;
    ctx.partner_id = partner_id;
    ctx.health = health;
    ctx.paused = false;

    (void) ctseg_active_list(store, ngx_http_ctseg_health_active, &ctx, NULL,
                             NULL);
    (void) ctseg_retry_list(store, ngx_http_ctseg_health_retry, &ctx, NULL);
}


typedef struct {
    ctseg_store_t  *store;
    unsigned        status[CTSEG_STOPPED + 1];
    uint64_t        sent;
    ctseg_run_t     run;
} ngx_http_ctseg_status_exports_t;


static bool
ngx_http_ctseg_status_count(void *data, const ctseg_export_t *e)
{
    ctseg_run_t                      *run;
    ngx_http_ctseg_status_exports_t  *exports;

    exports = data;
    exports->status[e->status]++;

    run = NULL;

    if (e->runs > e->totals_run
        && ctseg_run_get(exports->store, e->id, e->runs, &exports->run, NULL)
           == CTSEG_OK)
    {
        run = &exports->run;
    }

    exports->sent += ctseg_run_totals(e, run).sent;

    return true;
}


/* what retention would remove, if an export did not need it */

static ctseg_rc_t
ngx_http_ctseg_status_held(ngx_http_ctseg_worker_t *worker,
    ctseg_retain_t *retain, ctseg_err_t *err)
{
    int64_t  now;

    now = ctseg_now_ms();

    return ctseg_retain_look(worker->store,
                             ctseg_retention_before(now,
                                            (int64_t) worker->conf->retention
                                            * 1000),
                             now, ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS,
                             retain, err);
}


static void
ngx_http_ctseg_status_store(ctseg_json_writer_t *w,
    ngx_http_ctseg_main_conf_t *conf, const ctseg_usage_t *usage,
    const ctseg_retain_t *retain)
{
    ctseg_jw_open(w, "store", '{');
    ctseg_jw_open(w, "events", '{');
    ctseg_jw_uint(w, "used_bytes", usage->events_used);
    ctseg_jw_uint(w, "capacity_bytes", usage->events_size);
    ctseg_jw_uint(w, "high_water_bytes",
                  usage->events_size / 100 * conf->high_water);
    ctseg_jw_uint(w, "commits", usage->commits);
    ctseg_jw_open(w, "held", '{');
    ctseg_jw_uint(w, "events", retain->held);

    if (retain->held == 0) {
        ctseg_jw_null(w, "since");
        ctseg_jw_null(w, "export_id");

    } else {
        ctseg_jw_time(w, "since", retain->held_since_ms);
        ctseg_jw_cstr(w, "export_id", retain->export_id);
    }

    ctseg_jw_close(w, '}');
    ctseg_jw_close(w, '}');
    ctseg_jw_open(w, "state", '{');
    ctseg_jw_uint(w, "used_bytes", usage->state_used);
    ctseg_jw_uint(w, "capacity_bytes", usage->state_size);
    ctseg_jw_close(w, '}');
    ctseg_jw_close(w, '}');
}


/* counters: what happened between two looks is their difference */

static void
ngx_http_ctseg_status_activity(ctseg_json_writer_t *w,
    ngx_http_ctseg_call_t *call, uint64_t sent)
{
    ngx_core_conf_t            *core;
    ngx_http_ctseg_activity_t  *activity;

    core = call->task.worker->conf->core;
    activity = &call->activity;

    ctseg_jw_open(w, "activity", '{');
    ctseg_jw_uint(w, "workers", core != NULL ? core->worker_processes : 1);
    ctseg_jw_uint(w, "tasks", activity->tasks);
    ctseg_jw_uint(w, "collected", activity->collected);
    ctseg_jw_uint(w, "sent", sent);
    ctseg_jw_uint(w, "commits", activity->commits);
    ctseg_jw_uint(w, "commit_microseconds", activity->commit_us);
    ctseg_jw_close(w, '}');
}


/* the list is walked for what does not read in it */

static bool
ngx_http_ctseg_status_partner(void *data, const ctseg_partner_t *p)
{
    (void) data;
    (void) p;

    return true;
}


void
ngx_http_ctseg_status_thread(ngx_http_ctseg_task_t *task)
{
    unsigned                  i;
    ctseg_rc_t                rc;
    ngx_uint_t                damaged;
    ctseg_err_t               err;
    ctseg_usage_t             usage;
    ctseg_retain_t            retain;
    ctseg_json_writer_t       w;
    ngx_http_ctseg_call_t    *call;
    ngx_http_ctseg_health_t   health;
    ngx_http_ctseg_worker_t  *worker;

    ngx_http_ctseg_status_exports_t  exports;

    call = (ngx_http_ctseg_call_t *) task;
    worker = task->worker;

    ngx_memzero(&err, sizeof(err));
    ngx_memzero(&exports, sizeof(exports));
    exports.store = worker->store;

    rc = ctseg_store_usage(worker->store, &usage);

    if (rc == CTSEG_OK) {
        rc = ctseg_export_list(worker->store, ngx_http_ctseg_status_count,
                               &exports, &err);
    }

    damaged = 0;

    if (rc == CTSEG_OK) {
        damaged = ngx_http_ctseg_call_damage(call, &err);
        rc = ctseg_partner_list(worker->store, ngx_http_ctseg_status_partner,
                                NULL, &err);
    }

    if (rc == CTSEG_OK) {
        damaged += ngx_http_ctseg_call_damage(call, &err);
        rc = ngx_http_ctseg_status_held(worker, &retain, &err);
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "export");
        return;
    }

    ngx_http_ctseg_health(worker->store, NULL, &health);

    w.buf = &call->out;
    w.comma = false;

    ctseg_jw_open(&w, NULL, '{');
    ctseg_jw_cstr(&w, "version", CTSEG_VERSION);
    ctseg_jw_cstr(&w, "installation_id",
                  ctseg_store_installation(worker->store));
    ctseg_jw_cstr(&w, "time_zone", worker->zone.name);
    ctseg_jw_time(&w, "now", ctseg_now_ms());
    ctseg_jw_cstr(&w, "health", health.health.state);

    ctseg_jw_open(&w, "sequence", '{');
    ctseg_jw_uint(&w, "first", usage.bounds.first);
    ctseg_jw_uint(&w, "last", usage.bounds.last);
    ctseg_jw_close(&w, '}');

    ngx_http_ctseg_status_store(&w, worker->conf, &usage, &retain);

    ctseg_jw_open(&w, "exports", '{');

    for (i = CTSEG_PENDING; i <= CTSEG_STOPPED; i++) {
        ctseg_jw_uint(&w, ctseg_status_name(i), exports.status[i]);
    }

    ctseg_jw_close(&w, '}');
    ngx_http_ctseg_status_activity(&w, call, exports.sent);
    ctseg_jw_uint(&w, "damaged", damaged);
    ctseg_jw_bool(&w, "write", call->may_write);
    ctseg_jw_bool(&w, "custom_events", worker->conf->custom_events);
    ctseg_jw_close(&w, '}');
    ctseg_buf_char(&call->out, '\n');
}
