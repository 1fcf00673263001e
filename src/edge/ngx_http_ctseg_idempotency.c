/*
 * Idempotency-Key: a POST that is sent again with the same key within a day
 * gets the answer of the first one and is not done again.  An answer that
 * says the request was wrong is not kept, so that it can be mended and sent
 * again under its key.  Thread function around those of the resources.
 */

#include "ngx_http_ctseg_api.h"


static void ngx_http_ctseg_idempotent_replay(ngx_http_ctseg_call_t *call,
    const ctseg_reply_t *reply, uint64_t request);


/* the key with the path it was used on, as the name of a record */

static void
ngx_http_ctseg_idempotent_key(ngx_http_ctseg_call_t *call, char *out)
{
    uint64_t     a, b;
    ctseg_buf_t  text;

    ngx_memzero(&text, sizeof(text));

    ctseg_buf_str(&text, call->path);
    ctseg_buf_char(&text, '\n');
    ctseg_buf_str(&text, call->idempotency_key);
    a = ctseg_hash64(ctseg_buf_slice(&text));

    ctseg_buf_char(&text, '\n');
    ctseg_buf_str(&text, call->path);
    b = ctseg_hash64(ctseg_buf_slice(&text));

    if (text.failed) {
        call->out.failed = true;
    }

    ctseg_buf_free(&text);

    (void) snprintf(out, CTSEG_REPLY_KEY_MAX, "%016llx%016llx",
                    (unsigned long long) a, (unsigned long long) b);
}


/* true: the work is this call's; false: something else is answered */

static bool
ngx_http_ctseg_idempotent_claim(ngx_http_ctseg_call_t *call)
{
    uint64_t        request;
    ctseg_rc_t      rc;
    ctseg_err_t     err;
    ctseg_str_t     body;
    ctseg_reply_t  *reply;

    if (!ngx_http_ctseg_call_body(call)) {
        return false;
    }

    ngx_memzero(&err, sizeof(err));

    body.data = call->body.data;
    body.len = call->body.len;

    reply = &call->reply;

    ngx_http_ctseg_idempotent_key(call, reply->key);
    request = ctseg_hash64(body);
    reply->request = request;

    rc = ctseg_reply_claim(call->task.worker->store, reply, ctseg_now_ms(),
                           &err);

    if (rc == CTSEG_CONFLICT) {
        ngx_http_ctseg_idempotent_replay(call, reply, request);
        return false;
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_call_store_problem(call, rc, &err, "reply");
        return false;
    }

    call->claimed = 1;

    return true;
}


/* what is not kept is forgotten: status 0 removes the claim */

static void
ngx_http_ctseg_idempotent_keep(ngx_http_ctseg_call_t *call)
{
    ctseg_rc_t      rc;
    ctseg_err_t     err;
    ctseg_reply_t  *reply;

    ngx_memzero(&err, sizeof(err));

    reply = &call->reply;

    if (call->status >= 200 && call->status < 300 && !call->out.failed) {
        reply->status = (unsigned) call->status;
        ngx_memcpy(reply->etag, call->etag, sizeof(reply->etag));
        ngx_memcpy(reply->location, call->location, sizeof(reply->location));
        ctseg_buf_str(&reply->body, ctseg_buf_slice(&call->out));
    }

    rc = ctseg_reply_fill(call->task.worker->store, reply, &err);

    if (rc != CTSEG_OK) {
        (void) snprintf(call->log, sizeof(call->log), "the reply to an "
                        "Idempotency-Key was not kept: %s %.160s",
                        ctseg_rc_name(rc), err.text);
    }
}


/* the claim before the first piece of the work, the answer after the last */

void
ngx_http_ctseg_idempotent_thread(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_call_t  *call;

    call = (ngx_http_ctseg_call_t *) task;

    if (!call->claimed && !ngx_http_ctseg_idempotent_claim(call)) {
        return;
    }

    call->work(task);

    if (call->next == NULL) {
        ngx_http_ctseg_idempotent_keep(call);
    }
}


static void
ngx_http_ctseg_idempotent_replay(ngx_http_ctseg_call_t *call,
    const ctseg_reply_t *reply, uint64_t request)
{
    if (reply->request != request) {
        ngx_http_ctseg_call_problem(call, 422, "this Idempotency-Key was "
                                    "used for another body", NULL);
        return;
    }

    if (reply->status == 0) {
        ngx_http_ctseg_call_problem(call, 409, "a request with this "
                                    "Idempotency-Key is being worked on",
                                    NULL);
        return;
    }

    call->status = reply->status;
    ngx_memcpy(call->etag, reply->etag, sizeof(call->etag));
    ngx_memcpy(call->location, reply->location, sizeof(call->location));
    ctseg_buf_str(&call->out, ctseg_buf_slice(&reply->body));
}
