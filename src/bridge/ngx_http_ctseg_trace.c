/*
 * What nginx leaves behind of a request to an upstream.
 *
 * Found by reading and running 1.22.1: each try of a peer has one entry in
 * upstream_states, whose connect_time stays -1 when the connection or its TLS
 * failed.  If the event for writing comes before that for reading, it is set
 * before nginx looks for an error; then request_sent tells.  A name that is
 * resolved at run time and was not has no entry at all, and an internal
 * redirect leaves one that is all zero.
 */

#include "../base/ctseg.h"
#include "../segment/ctseg_answer.h"
#include "ngx_http_ctseg_trace.h"


static void ngx_http_ctseg_trace_peers(ngx_http_ctseg_step_t *step,
    ngx_array_t *states);
static void ngx_http_ctseg_trace_connect(ngx_http_ctseg_step_t *step,
    ngx_http_upstream_t *u, ngx_http_upstream_state_t *last);


static void
ngx_http_ctseg_trace_step(ngx_http_ctseg_step_t *step, ngx_uint_t ok,
    ngx_msec_t ms)
{
    step->state = ok ? NGX_HTTP_CTSEG_STEP_OK : NGX_HTTP_CTSEG_STEP_FAILED;
    step->ms = ms;
}


#define ngx_http_ctseg_trace_text(step, ...)                                  \
    *ngx_snprintf((u_char *) (step)->detail, NGX_HTTP_CTSEG_DETAIL_MAX - 1,   \
                  __VA_ARGS__) = '\0'


/* the entry of the last try of a peer, NULL: none was tried */

static ngx_http_upstream_state_t *
ngx_http_ctseg_trace_last(ngx_http_request_t *sr)
{
    ngx_http_upstream_state_t  *last;

    if (sr->upstream_states == NULL || sr->upstream_states->nelts == 0) {
        return NULL;
    }

    last = sr->upstream_states->elts;
    last += sr->upstream_states->nelts - 1;

    return last->peer != NULL || last->connect_time == (ngx_msec_t) -1
           ? last : NULL;
}


void
ngx_http_ctseg_trace(ngx_http_ctseg_trace_t *trace, ngx_http_request_t *sr,
    ngx_uint_t asked, ngx_int_t rc, ngx_uint_t status, const char *how,
    ngx_msec_t started)
{
    ngx_msec_t                  spent;
    ngx_uint_t                  at_run_time;
    ngx_http_upstream_t        *u;
    ngx_http_upstream_state_t  *last;

    ngx_memzero(trace, sizeof(ngx_http_ctseg_trace_t));

    u = sr->upstream;
    spent = ngx_current_msec - started;
    last = ngx_http_ctseg_trace_last(sr);

    /* a name out of a variable, which is none of the configured ones */

    at_run_time = u != NULL && u->resolved != NULL
                  && u->resolved->sockaddr == NULL && u->upstream == NULL;

    if (!asked || (last == NULL && !at_run_time)) {

        /* "return 200", a cache, or a fault of our own side */

        ngx_http_ctseg_trace_step(&trace->post, 0, spent);
        ngx_http_ctseg_trace_text(&trace->post, "%s: status %ui", how,
                                  rc >= NGX_HTTP_SPECIAL_RESPONSE
                                  ? (ngx_uint_t) rc : sr->headers_out.status);
        return;
    }

    if (last == NULL) {
        ngx_http_ctseg_trace_step(&trace->resolve, 0, spent);
        ngx_http_ctseg_trace_text(&trace->resolve, "%V could not be resolved, "
                                  "see the error log", &u->resolved->host);
        return;
    }

    ngx_http_ctseg_trace_step(&trace->resolve, 1,
                              at_run_time ? u->peer.start_time - started : 0);
    ngx_http_ctseg_trace_peers(&trace->resolve, sr->upstream_states);

    ngx_http_ctseg_trace_connect(&trace->connect, u, last);

    if (trace->connect.state != NGX_HTTP_CTSEG_STEP_OK) {
        return;
    }

    ngx_http_ctseg_trace_step(&trace->post,
                              ctseg_answer_classify((int) status)
                              == CTSEG_ANSWER_SENT,
                              last->response_time - last->connect_time);

    if (status != 0) {
        ngx_http_ctseg_trace_text(&trace->post, "Segment answered %ui",
                                  status);

    } else {
        ngx_http_ctseg_trace_text(&trace->post, "%s", how);
    }
}


void
ngx_http_ctseg_trace_lost(ngx_http_ctseg_trace_t *trace, const char *how,
    ngx_msec_t started)
{
    ngx_memzero(trace, sizeof(ngx_http_ctseg_trace_t));

    ngx_http_ctseg_trace_step(&trace->post, 0, ngx_current_msec - started);
    ngx_http_ctseg_trace_text(&trace->post, "%s", how);
}


/* all that were tried, a repeated one once */

static void
ngx_http_ctseg_trace_peers(ngx_http_ctseg_step_t *step, ngx_array_t *states)
{
    u_char                     *p, *end;
    ngx_str_t                  *before;
    ngx_uint_t                  i;
    ngx_http_upstream_state_t  *state;

    p = (u_char *) step->detail;
    end = p + NGX_HTTP_CTSEG_DETAIL_MAX - 1;

    state = states->elts;
    before = NULL;

    for (i = 0; i < states->nelts; i++) {

        if (state[i].peer == NULL || state[i].peer == before) {
            continue;
        }

        p = ngx_slprintf(p, end, "%s%V", before == NULL ? "" : ", ",
                         state[i].peer);
        before = state[i].peer;
    }

    *p = '\0';
}


static void
ngx_http_ctseg_trace_connect(ngx_http_ctseg_step_t *step,
    ngx_http_upstream_t *u, ngx_http_upstream_state_t *last)
{
    const char  *tls;

    static ngx_str_t  nobody = ngx_string("a server");

    tls = "";

#if (NGX_HTTP_SSL)

    if (u->ssl) {
        tls = " with TLS";
    }

#endif

    if (last->connect_time != (ngx_msec_t) -1 && u->request_sent) {
        ngx_http_ctseg_trace_step(step, 1, last->connect_time);
        return;
    }

    ngx_http_ctseg_trace_step(step, 0, last->response_time);
    ngx_http_ctseg_trace_text(step, "no connection%s to %V%s, see the error "
                              "log", tls,
                              last->peer != NULL ? last->peer : &nobody,
                              last->status == NGX_HTTP_GATEWAY_TIME_OUT
                              ? " in time" : "");
}
