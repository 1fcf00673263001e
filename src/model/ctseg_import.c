/*
 * An import as the API shows it, and how far it came in days.  Called by the
 * API and by the engine.  What is not in the interface is not shown: who works
 * on it, cursors, places in the log.
 */

#include "ctseg_import.h"
#include "../base/ctseg_str.h"

#include <string.h>


ctseg_str_t
ctseg_import_name(const ctseg_import_t *im, unsigned i)
{
    const char   *p, *end, *nul;
    ctseg_str_t   name = ctseg_string("");

    p = im->names.data;
    end = p + im->names.len;

    while (p != NULL && p < end) {
        nul = memchr(p, '\0', (size_t) (end - p));

        if (nul == NULL) {
            break;
        }

        if (i-- == 0) {
            name.data = p;
            name.len = (size_t) (nul - p);
            break;
        }

        p = nul + 1;
    }

    return name;
}


static int64_t
ctseg_import_day(const ctseg_civil_t *c)
{
    return ctseg_days_from_civil(c->year, c->month, c->day);
}


unsigned
ctseg_import_percent(const ctseg_import_t *im)
{
    int64_t  days, done, walk;

    if (im->status == CTSEG_DONE) {
        return 100;
    }

    if (im->nnames == 0) {
        return 0;
    }

    days = ctseg_import_day(&im->to) - ctseg_import_day(&im->from) + 1;

    if (days < 1) {
        return 0;
    }

    if (im->name >= im->nnames) {
        return 100;
    }

    done = days * im->name;

    /* the days of this name that lie before its walk */

    if (im->walk_from.year != 0) {
        walk = ctseg_import_day(&im->walk_from) - ctseg_import_day(&im->from);
        done += walk < 0 ? 0 : walk > days ? days : walk;
    }

    return (unsigned) (done * 100 / (days * im->nnames));
}


static void
ctseg_import_render_name(ctseg_json_writer_t *w, const char *name,
    ctseg_str_t raw)
{
    ctseg_str_t  quote = ctseg_string("\"");

    ctseg_jw_raw(w, name, quote);
    ctseg_buf_str(w->buf, raw);
    ctseg_buf_str(w->buf, quote);
}


static void
ctseg_import_render_names(ctseg_json_writer_t *w, const char *name,
    const ctseg_import_t *im, bool forbidden)
{
    unsigned  i;

    ctseg_jw_open(w, name, '[');

    for (i = 0; i < im->nnames && i < CTSEG_IMPORT_NAMES_MAX; i++) {
        if (!forbidden || (im->forbidden[i / 64] >> (i % 64) & 1) != 0) {
            ctseg_import_render_name(w, NULL, ctseg_import_name(im, i));
        }
    }

    ctseg_jw_close(w, ']');
}


/* null where there is none */

static void
ctseg_import_render_day(ctseg_json_writer_t *w, const char *name,
    const ctseg_civil_t *c)
{
    char  text[CTSEG_DATE_LEN + 1];

    if (c->year == 0) {
        ctseg_jw_null(w, name);
        return;
    }

    ctseg_date_render(text, c);
    ctseg_jw_cstr(w, name, text);
}


static void
ctseg_import_render_progress(ctseg_json_writer_t *w, const ctseg_import_t *im)
{
    bool                          open;
    ctseg_civil_t                 none;
    const ctseg_import_counts_t  *c;

    memset(&none, 0, sizeof(ctseg_civil_t));

    c = &im->counts;
    open = im->walk_to.year != 0 && im->name < im->nnames;

    ctseg_jw_open(w, "progress", '{');

    /* where it is, or where it was when it was stopped */

    if (im->started_ms != 0 && im->name < im->nnames) {
        ctseg_import_render_name(w, "event", ctseg_import_name(im, im->name));

    } else {
        ctseg_jw_null(w, "event");
    }

    ctseg_import_render_day(w, "from", open ? &im->walk_from : &none);
    ctseg_import_render_day(w, "to", open ? &im->walk_to : &none);
    ctseg_jw_uint(w, "page", open ? im->page : 0);
    ctseg_jw_uint(w, "pages", c->pages);
    ctseg_jw_uint(w, "received", c->received);
    ctseg_jw_uint(w, "stored", c->stored);
    ctseg_jw_uint(w, "known", c->known);
    ctseg_jw_uint(w, "refused", c->refused);
    ctseg_jw_uint(w, "profiles", c->profiles);
    ctseg_jw_uint(w, "retries", c->retries);
    ctseg_jw_uint(w, "percent", ctseg_import_percent(im));
    ctseg_jw_time(w, "retry_at", im->retry_at_ms);
    ctseg_jw_close(w, '}');
}


static void
ctseg_import_render_error(ctseg_json_writer_t *w, const ctseg_import_t *im)
{
    if (im->error[0] == '\0') {
        ctseg_jw_null(w, "last_error");
        return;
    }

    ctseg_jw_open(w, "last_error", '{');

    /* no status: there was no answer that could have had one */

    if (im->error_status == 0) {
        ctseg_jw_null(w, "status");

    } else {
        ctseg_jw_int(w, "status", im->error_status);
    }

    ctseg_jw_cstr(w, "message", im->error);
    ctseg_jw_time(w, "at", im->error_ms);
    ctseg_jw_close(w, '}');
}


void
ctseg_import_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_import_t *im)
{
    ctseg_jw_open(w, name, '{');
    ctseg_jw_cstr(w, "id", im->id);
    ctseg_jw_cstr(w, "account_id", im->account);
    ctseg_import_render_names(w, "events", im, false);
    ctseg_import_render_day(w, "from", &im->from);
    ctseg_import_render_day(w, "to", &im->to);
    ctseg_jw_bool(w, "profiles", im->profiles);

    ctseg_jw_cstr(w, "status", ctseg_status_name(im->status));
    ctseg_jw_cstr(w, "stop_reason", ctseg_stop_name(im->stop_reason));
    ctseg_jw_uint(w, "revision", im->revision);
    ctseg_jw_time(w, "created_at", im->created_ms);
    ctseg_jw_time(w, "started_at", im->started_ms);
    ctseg_jw_time(w, "finished_at", im->finished_ms);

    ctseg_import_render_progress(w, im);
    ctseg_import_render_names(w, "forbidden_events", im, true);

    ctseg_jw_open(w, "errors", '[');

    if (im->errors.len != 0) {
        ctseg_jw_raw(w, NULL, ctseg_buf_slice(&im->errors));
    }

    ctseg_jw_close(w, ']');

    ctseg_import_render_error(w, im);
    ctseg_jw_close(w, '}');
}


void
ctseg_import_free(ctseg_import_t *im)
{
    ctseg_buf_free(&im->names);
    ctseg_buf_free(&im->cursor);
    ctseg_buf_free(&im->errors);
}
