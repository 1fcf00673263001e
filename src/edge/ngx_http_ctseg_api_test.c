/*
 * POST /partners/{id}/test: one marked event on the way that batches take,
 * and how far it came.  A thread composes the body, the loop delivers it, and
 * a thread again writes the answer, which may have to be kept under an
 * Idempotency-Key.  The rates of the write key are left alone: one event does
 * not matter to them, and a test is made when something is wrong.
 */

#include "../bridge/ngx_http_ctseg_deliver.h"
#include "../segment/ctseg_probe.h"
#include "ngx_http_ctseg_api.h"


#define NGX_HTTP_CTSEG_TEST_BEAT_MS  200


typedef struct {
    ngx_http_ctseg_call_t      *call;
    ctseg_batch_t               batch;
    ctseg_buf_t                 authorization;  /* secret */
    char                        id[CTSEG_PROBE_ID_MAX];
    int64_t                     at_ms;

    ngx_http_ctseg_region_t    *region;
    ngx_http_ctseg_delivery_t   delivery;
    ngx_http_ctseg_trace_t      trace;
    ngx_event_t                 beat;
    unsigned                    sent:1;
} ngx_http_ctseg_test_t;


static void ngx_http_ctseg_test_send(ngx_http_ctseg_call_t *call);
static void ngx_http_ctseg_test_beat_handler(ngx_event_t *ev);
static void ngx_http_ctseg_test_delivered(ngx_http_ctseg_delivery_t *d);
static void ngx_http_ctseg_test_answer_thread(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_test_free(void *data);


void
ngx_http_ctseg_partner_test_thread(ngx_http_ctseg_task_t *task)
{
    char                      detail[160];
    ctseg_rc_t                rc;
    ctseg_err_t               err;
    ctseg_partner_t           p;
    ngx_http_ctseg_call_t    *call;
    ngx_http_ctseg_test_t    *test;
    ngx_http_ctseg_region_t  *region;

    call = (ngx_http_ctseg_call_t *) task;
    ngx_memzero(&err, sizeof(err));

    rc = ctseg_partner_get(task->worker->store, call->id, &p, &err);

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "partner");
        return;
    }

    region = &task->worker->conf->regions[p.region];

    if (region->uri.len == 0) {
        (void) snprintf(detail, sizeof(detail), "the partner's region is "
                        "\"%s\", for which nginx.conf has no ctseg_segment",
                        ctseg_region_name(p.region));
        ngx_http_ctseg_call_problem(call, 409, detail, NULL);
        return;
    }

    test = calloc(1, sizeof(ngx_http_ctseg_test_t));
    if (test == NULL) {
        call->out.failed = true;
        return;
    }

    call->data = test;
    call->data_free = ngx_http_ctseg_test_free;

    test->call = call;
    test->region = region;
    test->at_ms = ctseg_now_ms();

    ctseg_probe_compose(&test->batch, test->id, &p,
                        ctseg_store_installation(task->worker->store),
                        test->at_ms);
    ctseg_batch_authorization(&test->authorization, p.write_key);

    if (test->batch.rc != CTSEG_OK || test->authorization.failed) {
        call->out.failed = true;
        return;
    }

    call->next = ngx_http_ctseg_test_send;
}


static void
ngx_http_ctseg_test_send(ngx_http_ctseg_call_t *call)
{
    ngx_http_ctseg_test_t      *test;
    ngx_http_ctseg_worker_t    *worker;
    ngx_http_ctseg_delivery_t  *d;

    test = call->data;
    worker = call->task.worker;
    d = &test->delivery;

    d->region = test->region;
    d->events = test->batch.events;
    d->attempt = 1;
    d->authorization.data = (u_char *) test->authorization.data;
    d->authorization.len = test->authorization.len;
    d->body.data = (u_char *) test->batch.body.data;
    d->body.len = test->batch.body.len;
    d->handler = ngx_http_ctseg_test_delivered;
    d->data = test;
    d->trace = &test->trace;

    if (ngx_http_ctseg_deliver(d, worker->log) != NGX_OK) {
        ngx_http_ctseg_call_again(call, ngx_http_ctseg_test_answer_thread);
        return;
    }

    test->sent = 1;

    test->beat.handler = ngx_http_ctseg_test_beat_handler;
    test->beat.data = &worker->dummy;
    test->beat.log = worker->log;
    test->beat.cancelable = 1;

    ngx_add_timer(&test->beat, NGX_HTTP_CTSEG_TEST_BEAT_MS);

    ngx_http_ctseg_hold(worker);
}


/* worker_shutdown_timeout ends the client's connection and not ours */

static void
ngx_http_ctseg_test_beat_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_test_t  *test;

    test = ngx_queue_data(ev, ngx_http_ctseg_test_t, beat);

    if ((ngx_exiting || ngx_terminate) && test->call->r->connection->error) {
        ngx_http_ctseg_deliver_abort(&test->delivery);
        ngx_http_ctseg_test_delivered(&test->delivery);
        return;
    }

    ngx_add_timer(ev, NGX_HTTP_CTSEG_TEST_BEAT_MS);
}


static void
ngx_http_ctseg_test_delivered(ngx_http_ctseg_delivery_t *d)
{
    ngx_http_ctseg_call_t    *call;
    ngx_http_ctseg_test_t    *test;
    ngx_http_ctseg_worker_t  *worker;

    test = d->data;
    call = test->call;
    worker = call->task.worker;

    if (test->beat.timer_set) {
        ngx_del_timer(&test->beat);
    }

    ngx_http_ctseg_call_again(call, ngx_http_ctseg_test_answer_thread);

    ngx_http_ctseg_release(worker);
}


static void
ngx_http_ctseg_test_step(ctseg_json_writer_t *w, const char *name,
    const ngx_http_ctseg_step_t *step)
{
    ctseg_jw_open(w, NULL, '{');
    ctseg_jw_cstr(w, "name", name);

    if (step->state == NGX_HTTP_CTSEG_STEP_NONE) {
        ctseg_jw_null(w, "ok");
        ctseg_jw_null(w, "seconds");

    } else {
        ctseg_jw_bool(w, "ok", step->state == NGX_HTTP_CTSEG_STEP_OK);
        ctseg_jw_seconds(w, "seconds", (int64_t) step->ms);
    }

    ctseg_jw_cstr(w, "detail", step->detail[0] != '\0' ? step->detail : NULL);
    ctseg_jw_close(w, '}');
}


static void
ngx_http_ctseg_test_answer_thread(ngx_http_ctseg_task_t *task)
{
    bool                     ok;
    ctseg_json_writer_t      w;
    ngx_http_ctseg_call_t   *call;
    ngx_http_ctseg_test_t   *test;
    ngx_http_ctseg_trace_t  *trace;

    call = (ngx_http_ctseg_call_t *) task;
    test = call->data;
    trace = &test->trace;

    if (!test->sent) {
        ngx_http_ctseg_call_problem(call, 503, "the test could not be begun: "
                                    "out of memory", NULL);
        return;
    }

    ok = trace->resolve.state == NGX_HTTP_CTSEG_STEP_OK
         && trace->connect.state == NGX_HTTP_CTSEG_STEP_OK
         && trace->post.state == NGX_HTTP_CTSEG_STEP_OK;

    w.buf = &call->out;
    w.comma = false;

    ctseg_jw_open(&w, NULL, '{');
    ctseg_jw_bool(&w, "ok", ok);
    ctseg_jw_cstr(&w, "message_id", test->id);
    ctseg_jw_time(&w, "tested_at", test->at_ms);

    ctseg_jw_open(&w, "steps", '[');
    ngx_http_ctseg_test_step(&w, "resolve", &trace->resolve);
    ngx_http_ctseg_test_step(&w, "connect", &trace->connect);
    ngx_http_ctseg_test_step(&w, "post", &trace->post);
    ctseg_jw_close(&w, ']');

    ctseg_jw_close(&w, '}');
    ctseg_buf_char(&call->out, '\n');
}


/* by then nothing is under way: a call is freed by the loop when it is over */

static void
ngx_http_ctseg_test_free(void *data)
{
    ngx_http_ctseg_test_t  *test = data;

    ctseg_batch_free(&test->batch);
    ctseg_buf_free(&test->authorization);
    free(test);
}
