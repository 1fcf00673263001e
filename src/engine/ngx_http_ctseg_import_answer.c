/*
 * What an answer of CleverTap means for an import, on a thread: a page counts
 * and moves the cursor; anything else is waited for, passed over, or the end.
 */

#include <stdlib.h>

#include "../base/ctseg_str.h"
#include "../segment/ctseg_answer.h"
#include "ngx_http_ctseg_import_int.h"


#define NGX_HTTP_CTSEG_IMPORT_STOP_MS  (12 * 3600000LL)


/* ---- waiting ---- */


/* the same request later; a limit: where nothing comes for so long, it ends */

static ctseg_rc_t
ngx_http_ctseg_import_later(ngx_http_ctseg_import_step_t *step, int64_t wait,
    ngx_uint_t limit, ngx_uint_t level)
{
    char             text[sizeof(step->im.error)];
    int64_t          now;
    ctseg_import_t  *im;

    im = &step->im;
    now = ctseg_now_ms();

    if (limit && im->failing_ms == 0) {
        im->failing_ms = now;
    }

    if (limit && now - im->failing_ms >= NGX_HTTP_CTSEG_IMPORT_STOP_MS) {
        (void) snprintf(text, sizeof(text), "no page for 12 hours: %.120s",
                        im->error);
        return ngx_http_ctseg_import_stop_errors(step, im->error_status,
                                                 text);
    }

    im->counts.retries++;
    im->failures++;
    im->retry_at_ms = now + wait;
    step->due_ms = ctseg_mono_ms() + wait;

    ngx_http_ctseg_import_note(step, level, ": %s, page %u of \"%.80s\", "
                               "next in %lld ms",
                               level == NGX_LOG_INFO ? "still in progress"
                                                     : im->error,
                               im->page + 1,
                               ctseg_import_name(im, im->name).data,
                               (long long) wait);

    return ngx_http_ctseg_import_save(step);
}


ctseg_rc_t
ngx_http_ctseg_import_failed(ngx_http_ctseg_import_step_t *step, int status,
    const char *text, int64_t retry_after_ms)
{
    int64_t  wait;

    ngx_http_ctseg_import_error(&step->im, status, text);

    wait = ctseg_backoff_ms(CTSEG_ANSWER_RETRY, step->im.failures,
                            (uint32_t) ngx_random());

    return ngx_http_ctseg_import_later(step, ngx_max(wait, retry_after_ms),
                                       1, NGX_LOG_WARN);
}


static ctseg_rc_t
ngx_http_ctseg_import_busy(ngx_http_ctseg_import_step_t *step)
{
    int64_t  wait;

    wait = step->im.failures >= 3 ? 15000 : 2000 << step->im.failures;

    return ngx_http_ctseg_import_later(step, wait, 1, NGX_LOG_INFO);
}


static ctseg_rc_t
ngx_http_ctseg_import_throttled(ngx_http_ctseg_import_step_t *step,
    int status, const char *text, int64_t retry_after_ms)
{
    int64_t  wait;

    ngx_http_ctseg_import_error(&step->im, status, text);

    wait = retry_after_ms >= 0 ? ngx_max(retry_after_ms, 1000)
           : step->im.failures == 0 ? 30000 : 60000;

    return ngx_http_ctseg_import_later(step, wait, 1, NGX_LOG_WARN);
}


/* nothing of the page was stored, and nothing is lost: it is read again */

ctseg_rc_t
ngx_http_ctseg_import_full(ngx_http_ctseg_import_step_t *step)
{
    int64_t  wait;

    ngx_http_ctseg_import_error(&step->im, 0, "the store is full");

    wait = ctseg_backoff_ms(CTSEG_ANSWER_RETRY, step->im.failures,
                            (uint32_t) ngx_random());

    return ngx_http_ctseg_import_later(step, ngx_max(wait, 1000), 0,
                                       NGX_LOG_ERR);
}


/* ---- pages ---- */


/* CleverTap has answered as it should */

static void
ngx_http_ctseg_import_well(ctseg_import_t *im)
{
    im->failures = 0;
    im->failing_ms = 0;
    im->retry_at_ms = 0;
}


/* did it come before, in this walk? */

static ngx_uint_t
ngx_http_ctseg_import_is_circle(ngx_http_ctseg_import_step_t *step,
    ctseg_str_t cursor)
{
    size_t     i, max;
    uint64_t   hash, last, *seen;

    hash = ctseg_hash64(cursor);
    last = ctseg_hash64(ctseg_buf_slice(&step->im.cursor));

    if (step->im.cursor.len != 0
        && (hash == last || hash == step->im.cursor_hash))
    {
        return 1;
    }

    for (i = 0; i < step->nseen; i++) {
        if (step->seen[i] == hash) {
            return 1;
        }
    }

    if (step->nseen == step->seen_max) {
        max = step->seen_max == 0 ? 64 : step->seen_max * 2;

        seen = realloc(step->seen, max * sizeof(uint64_t));
        if (seen == NULL) {
            return 0;                   /* the last two are known anyway */
        }

        step->seen = seen;
        step->seen_max = max;
    }

    step->seen[step->nseen++] = hash;

    return 0;
}


static void
ngx_http_ctseg_import_tell(ctseg_import_t *im, ctseg_str_t items, unsigned n)
{
    if (n == 0 || im->nerrors + n > CTSEG_IMPORT_ERRORS_MAX
        || im->errors.len + 1 + items.len > CTSEG_IMPORT_ERRORS_BYTES)
    {
        return;
    }

    if (im->errors.len != 0) {
        ctseg_buf_char(&im->errors, ',');
    }

    ctseg_buf_str(&im->errors, items);
    im->nerrors += n;
}


static void
ngx_http_ctseg_import_circle(ngx_http_ctseg_import_step_t *step)
{
    char             item[sizeof(step->im.error) + 80];
    ctseg_import_t  *im;

    im = &step->im;

    ngx_http_ctseg_import_error(im, 0, "cursor repeats: the rest of these "
                                "days was not told");
    ngx_http_ctseg_import_note(step, NGX_LOG_ERR, ": %s, page %u of "
                               "\"%.80s\", %04d-%02d-%02d to %04d-%02d-%02d",
                               im->error, im->page,
                               ctseg_import_name(im, im->name).data,
                               im->walk_from.year, im->walk_from.month,
                               im->walk_from.day, im->walk_to.year,
                               im->walk_to.month, im->walk_to.day);

    (void) snprintf(item, sizeof(item), "{\"status\":\"fail\",\"code\":555,"
                    "\"error\":\"%s\"}", im->error);

    ngx_http_ctseg_import_tell(im, ctseg_str(item), 1);
}


/* records that are no events: counted, some of them told */

static void
ngx_http_ctseg_import_refused(ngx_http_ctseg_import_step_t *step,
    const ctseg_pull_t *pull)
{
    ctseg_import_t  *im;

    im = &step->im;

    if (pull->told == 0 && pull->failed == 0) {
        return;
    }

    ngx_http_ctseg_import_note(step, NGX_LOG_WARN, ": %llu records of page "
                               "%u of \"%.80s\" are no events: %.*s",
                               (unsigned long long) pull->failed,
                               im->page + 1,
                               ctseg_import_name(im, im->name).data,
                               (int) ngx_min(pull->unprocessed.len, 200),
                               pull->unprocessed.len != 0
                               ? pull->unprocessed.data : "");

    ngx_http_ctseg_import_tell(im, ctseg_buf_slice(&pull->unprocessed),
                               pull->told);
}


/* its events are stored: count them, and move on */

static ctseg_rc_t
ngx_http_ctseg_import_advance(ngx_http_ctseg_import_step_t *step,
    ngx_http_ctseg_import_page_t *page)
{
    ctseg_buf_t      cursor;
    ctseg_pull_t    *pull;
    ctseg_import_t  *im;

    im = &step->im;
    pull = &page->pull;

    ngx_http_ctseg_import_well(im);

    if (pull->rc == CTSEG_PULL_PAGE) {
        ngx_http_ctseg_import_refused(step, pull);

        im->counts.pages++;
        im->counts.stored += page->stored;
        im->counts.known += page->known;
        im->counts.refused += pull->failed;
        im->counts.received += page->stored + page->known + pull->failed;
        im->counts.profiles += page->profiles;
        im->page++;
        im->seq++;
    }

    if (pull->cursor.len == 0) {
        ngx_http_ctseg_import_next(step, 0);
        return ngx_http_ctseg_import_save(step);
    }

    if (ngx_http_ctseg_import_is_circle(step, ctseg_buf_slice(&pull->cursor)))
    {
        ngx_http_ctseg_import_circle(step);
        ngx_http_ctseg_import_next(step, 0);
        return ngx_http_ctseg_import_save(step);
    }

    im->cursor_hash = ctseg_hash64(ctseg_buf_slice(&im->cursor));

    cursor = im->cursor;
    im->cursor = pull->cursor;
    pull->cursor = cursor;

    return ngx_http_ctseg_import_save(step);
}


static ctseg_rc_t
ngx_http_ctseg_import_forbidden(ngx_http_ctseg_import_step_t *step,
    int status, const char *text)
{
    ctseg_import_t  *im;

    im = &step->im;

    ngx_http_ctseg_import_note(step, NGX_LOG_WARN, ": \"%.80s\" is not for "
                               "export: %s",
                               ctseg_import_name(im, im->name).data, text);

    im->forbidden[im->name / 64] |= (uint64_t) 1 << (im->name % 64);

    ngx_http_ctseg_import_error(im, status, text);
    ngx_http_ctseg_import_well(im);
    ngx_http_ctseg_import_next(step, 1);

    return ngx_http_ctseg_import_save(step);
}


ctseg_rc_t
ngx_http_ctseg_import_judge(ngx_http_ctseg_import_step_t *step,
    const ctseg_curl_request_t *r, ngx_http_ctseg_import_page_t *page)
{
    const char  *text;

    text = page->pull.text;

    switch (page->pull.rc) {

    case CTSEG_PULL_PAGE:
    case CTSEG_PULL_OPENED:
        return ngx_http_ctseg_import_advance(step, page);

    case CTSEG_PULL_BUSY:
        return ngx_http_ctseg_import_busy(step);

    case CTSEG_PULL_THROTTLED:
        return ngx_http_ctseg_import_throttled(step, r->status, text,
                                               r->retry_after_ms);

    case CTSEG_PULL_FORBIDDEN:
        return ngx_http_ctseg_import_forbidden(step, r->status, text);

    case CTSEG_PULL_LOST:
        return ngx_http_ctseg_import_reopen(step, r->status, text);

    case CTSEG_PULL_FAILED:
        return ngx_http_ctseg_import_failed(step, r->status, text,
                                            r->retry_after_ms);

    default:
        return ngx_http_ctseg_import_stop_errors(step, r->status, text);
    }
}
