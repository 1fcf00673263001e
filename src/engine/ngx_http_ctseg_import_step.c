/*
 * The steps of an import, on a thread of the pool for imports: what is to be
 * done next, the requests, and the end.
 *
 * What a page changes is one put of the record, which moves the cursor and
 * counts, after its events were stored.  So whoever goes on, after whatever
 * happened, reads the page at the cursor again, finds the same ones known, and
 * repeats an append that changes nothing.
 */

#include <stdlib.h>

#include "../base/ctseg_str.h"
#include "ngx_http_ctseg_import_int.h"


#define NGX_HTTP_CTSEG_IMPORT_LOOK_MS  1000


/* ---- notes ---- */


void
ngx_http_ctseg_import_note(ngx_http_ctseg_import_step_t *step,
    ngx_uint_t level, const char *fmt, ...)
{
    va_list                        args;
    ngx_http_ctseg_import_note_t  *note;

    if (step->nnotes == NGX_HTTP_CTSEG_IMPORT_NOTES) {
        return;
    }

    note = &step->notes[step->nnotes++];
    note->level = level;

    va_start(args, fmt);
    (void) vsnprintf(note->text, sizeof(note->text), fmt, args);
    va_end(args);
}


void
ngx_http_ctseg_import_error(ctseg_import_t *im, int status, const char *text)
{
    im->error_status = status;
    im->error_ms = ctseg_now_ms();
    (void) snprintf(im->error, sizeof(im->error), "%s", text);
}


/* ---- the record ---- */


/* nginx's own flags: when it is told to stop, our exit hooks come too late */

static ngx_uint_t
ngx_http_ctseg_import_is_leaving(ngx_http_ctseg_import_step_t *step)
{
    return step->release || ngx_exiting || ngx_quit || ngx_terminate;
}


ctseg_rc_t
ngx_http_ctseg_import_save(ngx_http_ctseg_import_step_t *step)
{
    ctseg_rc_t  rc;

    rc = ctseg_import_put(step->task.worker->store, &step->im, &step->err);

    switch (rc) {

    case CTSEG_OK:
        step->unsaved = 0;
        step->put_ms = ctseg_mono_ms();
        return rc;

    case CTSEG_CONFLICT:
    case CTSEG_NOTFOUND:
    case CTSEG_AMBIGUOUS:               /* let it be found again */
        step->lost = 1;
        return CTSEG_CONFLICT;

    default:
        step->unsaved = 1;
        return rc;
    }
}


bool
ngx_http_ctseg_import_go_on(void *data)
{
    int64_t                        now;
    ctseg_rc_t                     rc;
    ctseg_err_t                    err;
    ctseg_import_t                 im;
    ngx_http_ctseg_import_step_t  *step;

    step = data;

    if (step->lost || ngx_http_ctseg_import_is_leaving(step)) {
        return false;
    }

    now = ctseg_mono_ms();

    if (now - step->looked_ms < NGX_HTTP_CTSEG_IMPORT_LOOK_MS) {
        return true;
    }

    step->looked_ms = now;

    ngx_memzero(&err, sizeof(ctseg_err_t));
    ngx_memzero(&im, sizeof(ctseg_import_t));

    if (now - step->put_ms >= CTSEG_LEASE_RENEW_MS) {

        /* where the store fails, the end of the lease decides */

        rc = ctseg_import_put(step->task.worker->store, &step->im, &err);

        if (rc == CTSEG_OK) {
            step->put_ms = now;
        }

        step->lost = rc == CTSEG_CONFLICT || rc == CTSEG_AMBIGUOUS
                     || rc == CTSEG_NOTFOUND;

    } else {
        rc = ctseg_import_get(step->task.worker->store, ctseg_str(step->id),
                              &im, &err);

        step->lost = rc == CTSEG_NOTFOUND
                     || (rc == CTSEG_OK && im.rev != step->im.rev);

        ctseg_import_free(&im);
    }

    return !step->lost;
}


/* ---- the end ---- */


ctseg_rc_t
ngx_http_ctseg_import_close(ctseg_store_t *store, ctseg_import_t *im,
    ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    rc = ctseg_imported_remove(store, im->id, err);

    if (rc != CTSEG_OK || (im->owner[0] == '\0' && im->walk_to.year == 0)) {
        return rc;
    }

    ngx_memzero(&im->walk_to, sizeof(ctseg_civil_t));
    ctseg_buf_reset(&im->cursor);
    im->page = 0;
    im->retry_at_ms = 0;
    im->owner[0] = '\0';

    return ctseg_import_put(store, im, err);
}


ctseg_rc_t
ngx_http_ctseg_import_stop_errors(ngx_http_ctseg_import_step_t *step,
    int status, const char *text)
{
    ctseg_import_t  *im;

    im = &step->im;

    im->status = CTSEG_STOPPED;
    im->stop_reason = CTSEG_STOP_ERRORS;
    im->finished_ms = ctseg_now_ms();
    im->retry_at_ms = 0;

    ngx_http_ctseg_import_error(im, status, text);
    ngx_http_ctseg_import_note(step, NGX_LOG_ERR, ": stopped: %s", text);

    return ngx_http_ctseg_import_save(step);
}


static ctseg_rc_t
ngx_http_ctseg_import_done(ngx_http_ctseg_import_step_t *step)
{
    ctseg_import_t  *im;

    im = &step->im;

    im->status = CTSEG_DONE;
    im->finished_ms = ctseg_now_ms();
    im->retry_at_ms = 0;

    return ngx_http_ctseg_import_save(step);
}


/* it is final: by what was saved here */

static ctseg_rc_t
ngx_http_ctseg_import_final(ngx_http_ctseg_import_step_t *step)
{
    ctseg_rc_t       rc;
    unsigned         i, forbidden;
    ctseg_import_t  *im;

    im = &step->im;

    rc = ngx_http_ctseg_import_close(step->task.worker->store, im,
                                     &step->err);

    if (rc == CTSEG_CONFLICT || rc == CTSEG_AMBIGUOUS) {
        step->lost = 1;
        return CTSEG_CONFLICT;
    }

    if (rc != CTSEG_OK) {
        return rc;
    }

    step->over = 1;

    if (im->status != CTSEG_DONE) {
        return rc;
    }

    forbidden = 0;

    for (i = 0; i < im->nnames; i++) {
        forbidden += (im->forbidden[i / 64] >> (i % 64)) & 1;
    }

    ngx_http_ctseg_import_note(step, NGX_LOG_NOTICE, " done: %llu pages, "
                               "%llu records: %llu stored, %llu known, %llu "
                               "refused; %llu profiles; %u of %u names are "
                               "not for export",
                               (unsigned long long) im->counts.pages,
                               (unsigned long long) im->counts.received,
                               (unsigned long long) im->counts.stored,
                               (unsigned long long) im->counts.known,
                               (unsigned long long) im->counts.refused,
                               (unsigned long long) im->counts.profiles,
                               forbidden, im->nnames);

    return rc;
}


/* somebody else has changed it: a user who stopped it, or its new owner */

static void
ngx_http_ctseg_import_gone(ngx_http_ctseg_import_step_t *step)
{
    ctseg_rc_t      rc;
    ctseg_err_t     err;
    ctseg_import_t  im;
    ctseg_store_t  *store;

    store = step->task.worker->store;

    ngx_memzero(&err, sizeof(ctseg_err_t));
    ngx_memzero(&im, sizeof(ctseg_import_t));

    rc = ctseg_import_get(store, ctseg_str(step->id), &im, &err);

    if (rc == CTSEG_OK && ctseg_export_is_final(im.status)) {

        /* if that fails, a look of somebody does it */

        (void) ngx_http_ctseg_import_close(store, &im, &err);

        ngx_http_ctseg_import_note(step, NGX_LOG_NOTICE, " %s: %llu pages, "
                                   "%llu records stored",
                                   im.status == CTSEG_DONE ? "done"
                                                           : "stopped",
                                   (unsigned long long) im.counts.pages,
                                   (unsigned long long) im.counts.stored);

    } else {
        ngx_http_ctseg_import_note(step, NGX_LOG_ERR, ": let go, another "
                                   "worker may have taken it over");
    }

    ctseg_import_free(&im);
}


static void
ngx_http_ctseg_import_released(ngx_http_ctseg_import_step_t *step)
{
    step->im.owner[0] = '\0';

    if (ngx_http_ctseg_import_save(step) == CTSEG_OK) {
        ngx_http_ctseg_import_note(step, NGX_LOG_NOTICE, ": released");
    }
}


/* ---- steps ---- */


/* one request, and what its answer says */

static ctseg_rc_t
ngx_http_ctseg_import_perform(ngx_http_ctseg_import_step_t *step,
    ctseg_curl_request_t *r, ngx_http_ctseg_import_page_t *page)
{
    ctseg_rc_t  rc;

    rc = ctseg_curl_perform(step->curl, r);

    switch (rc) {

    case CTSEG_OK:
        break;

    case CTSEG_AGAIN:
        return ngx_http_ctseg_import_failed(step, 0, r->text, -1);

    case CTSEG_INVALID:
        return ngx_http_ctseg_import_stop_errors(step, 0, r->text);

    case CTSEG_CONFLICT:
        return step->lost ? CTSEG_CONFLICT : CTSEG_AGAIN;

    default:
        return ctseg_err(&step->err, rc, "asking CleverTap failed");
    }

    rc = ngx_http_ctseg_import_page(step, r, page);

    if (rc == CTSEG_OK && page->pull.rc != CTSEG_PULL_PAGE
        && page->known != 0)
    {
        ngx_http_ctseg_import_forget(step);     /* it began as a page */
    }

    switch (rc) {

    case CTSEG_OK:
        return ngx_http_ctseg_import_judge(step, r, page);

    case CTSEG_FULL:
        ngx_http_ctseg_import_forget(step);
        return ngx_http_ctseg_import_full(step);

    case CTSEG_TOOBIG:
        return ngx_http_ctseg_import_stop_errors(step, r->status,
                                                 step->err.text);

    case CTSEG_INVALID:

        /* its producer is further than the record: that comes of a backup */

        step->im.seq += NGX_HTTP_CTSEG_IMPORT_LEAP;
        return ngx_http_ctseg_import_reopen(step, 0, "the log knows more of "
                                            "this import than its record");

    default:
        ngx_http_ctseg_import_forget(step);
        return rc;
    }
}


/* open the walk, or ask for its next page */

static ctseg_rc_t
ngx_http_ctseg_import_ask(ngx_http_ctseg_import_step_t *step,
    const ngx_http_ctseg_clevertap_t *ct, ctseg_buf_t *url,
    ctseg_buf_t *body)
{
    ctseg_rc_t                     rc;
    ctseg_import_t                *im;
    ctseg_curl_request_t           r;
    ngx_http_ctseg_import_page_t   page;

    im = &step->im;

    if (step->curl == NULL) {
        step->curl = ctseg_curl_new();
    }

    ctseg_buf_add(url, ct->url.data, ct->url.len);

    if (im->cursor.len == 0) {

        /* what an earlier walk has left, before this one notes anything */

        rc = ctseg_imported_remove(step->task.worker->store, im->id,
                                   &step->err);
        if (rc != CTSEG_OK) {
            return rc;
        }

        ctseg_pull_open_path(url, im->profiles);
        ctseg_pull_body(body, ctseg_import_name(im, im->name),
                        &im->walk_from, &im->walk_to);

    } else {
        ctseg_pull_page_path(url, ctseg_buf_slice(&im->cursor));
    }

    ctseg_buf_char(url, '\0');

    if (step->curl == NULL || url->failed || body->failed) {
        return ctseg_err(&step->err, CTSEG_NOMEM, "out of memory");
    }

    ngx_memzero(&r, sizeof(ctseg_curl_request_t));
    ngx_memzero(&page, sizeof(ngx_http_ctseg_import_page_t));

    r.url = url->data;
    r.account = (const char *) ct->id.data;
    r.passcode = (const char *) ct->passcode.data;
    r.ca_file = ct->ca.len != 0 ? (const char *) ct->ca.data : NULL;

    if (body->len != 0) {
        r.body = ctseg_buf_slice(body);         /* else it is a GET */
    }

    r.go_on = ngx_http_ctseg_import_go_on;
    r.data = step;

    rc = ngx_http_ctseg_import_perform(step, &r, &page);

    ctseg_buf_free(&r.answer);
    ctseg_pull_free(&page.pull);

    return rc;
}


/* of nginx.conf, as this worker read it */

static ngx_http_ctseg_clevertap_t *
ngx_http_ctseg_import_account(ngx_http_ctseg_import_step_t *step)
{
    ngx_uint_t                   i;
    ngx_array_t                 *all;
    ngx_http_ctseg_clevertap_t  *ct;

    all = step->task.worker->conf->clevertap;

    for (i = 0; all != NULL && i < all->nelts; i++) {
        ct = &((ngx_http_ctseg_clevertap_t *) all->elts)[i];

        if (ctseg_str_is(ngx_http_ctseg_slice(&ct->id), step->im.account)) {
            return ct;
        }
    }

    return NULL;
}


static ctseg_rc_t
ngx_http_ctseg_import_page_step(ngx_http_ctseg_import_step_t *step)
{
    ctseg_rc_t                   rc;
    ctseg_buf_t                  url, body;
    ngx_http_ctseg_clevertap_t  *ct;

    ct = ngx_http_ctseg_import_account(step);

    if (ct == NULL) {
        return ngx_http_ctseg_import_stop_errors(step, 0, "nginx.conf has no "
                                                 "ctseg_clevertap for its "
                                                 "account");
    }

    ngx_memzero(&url, sizeof(ctseg_buf_t));
    ngx_memzero(&body, sizeof(ctseg_buf_t));

    rc = ngx_http_ctseg_import_ask(step, ct, &url, &body);

    ctseg_buf_free(&url);
    ctseg_buf_free(&body);

    return rc;
}


/* AGAIN: interrupted, since the worker exits */

static ctseg_rc_t
ngx_http_ctseg_import_step(ngx_http_ctseg_import_step_t *step)
{
    ctseg_rc_t       rc;
    ctseg_import_t  *im;

    im = &step->im;

    if (step->unsaved) {
        rc = ngx_http_ctseg_import_save(step);
        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    if (ctseg_export_is_final(im->status)) {
        return ngx_http_ctseg_import_final(step);
    }

    if (!ngx_http_ctseg_import_go_on(step)) {
        return step->lost ? CTSEG_CONFLICT : CTSEG_AGAIN;
    }

    if (step->due_ms > ctseg_mono_ms()) {
        return CTSEG_OK;
    }

    if (im->name >= im->nnames) {
        return ngx_http_ctseg_import_done(step);
    }

    if (im->walk_to.year == 0) {
        return ngx_http_ctseg_import_plan(step);
    }

    if (step->known == NULL) {
        return ngx_http_ctseg_import_resume(step);
    }

    return ngx_http_ctseg_import_page_step(step);
}


void
ngx_http_ctseg_import_step_thread(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_import_step_t  *step;

    step = (ngx_http_ctseg_import_step_t *) task;

    ngx_memzero(&step->err, sizeof(ctseg_err_t));
    step->nnotes = 0;
    step->wait_ms = 0;

    step->rc = ngx_http_ctseg_import_step(step);

    if (step->lost) {
        ngx_http_ctseg_import_gone(step);
        step->over = 1;

    } else if (!step->over && ngx_http_ctseg_import_is_leaving(step)) {
        ngx_http_ctseg_import_released(step);
        step->over = 1;

    } else if (step->rc == CTSEG_OK) {
        step->wait_ms = step->due_ms - ctseg_mono_ms();
    }

    if (step->over) {
        ngx_http_ctseg_import_step_free(step);
    }
}


void
ngx_http_ctseg_import_step_free(ngx_http_ctseg_import_step_t *step)
{
    ngx_http_ctseg_import_forget(step);

    ctseg_import_free(&step->im);
    ctseg_curl_free(step->curl);
    step->curl = NULL;

    ctseg_hash_free(&step->hash);

    free(step->seen);
    step->seen = NULL;
}
