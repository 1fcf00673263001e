/*
 * The walks of an import, on a thread.  One is a stretch of days of one name,
 * so short that what the log has of it already fits into memory.  Its first
 * put says from when to when, and up to where the log went: so whoever comes
 * to it later finds the same ones known.
 */

#include "../store/ctseg_state.h"
#include "ngx_http_ctseg_import_int.h"


#define NGX_HTTP_CTSEG_IMPORT_EVENTS   262144   /* known ones of a walk */
#define NGX_HTTP_CTSEG_IMPORT_DAY      4194304  /* of one of a day */
#define NGX_HTTP_CTSEG_IMPORT_LOAD_MS  3600000  /* to look at the log */
#define NGX_HTTP_CTSEG_IMPORT_REOPENS  3


void
ngx_http_ctseg_import_forget(ngx_http_ctseg_import_step_t *step)
{
    ctseg_known_free(step->known);
    step->known = NULL;
}


/* the walk ends here, or begins anew */

static void
ngx_http_ctseg_import_rewind(ngx_http_ctseg_import_step_t *step)
{
    ctseg_import_t  *im;

    im = &step->im;

    ngx_http_ctseg_import_forget(step);
    step->nseen = 0;

    ctseg_buf_reset(&im->cursor);
    im->cursor_hash = 0;
    im->page = 0;
}


/* the next name, or the next stretch of days of this one */

void
ngx_http_ctseg_import_next(ngx_http_ctseg_import_step_t *step,
    ngx_uint_t name)
{
    ctseg_import_t  *im;

    im = &step->im;

    if (!name) {
        im->walk_from = im->walk_to;
        ctseg_date_add(&im->walk_from, 1);

        name = ctseg_days_from_civil(im->walk_from.year, im->walk_from.month,
                                     im->walk_from.day)
               > ctseg_days_from_civil(im->to.year, im->to.month,
                                       im->to.day);
    }

    if (name) {
        im->name++;
        ngx_memzero(&im->walk_from, sizeof(ctseg_civil_t));
        step->days = 0;
    }

    ngx_memzero(&im->walk_to, sizeof(ctseg_civil_t));
    im->reopened = 0;

    ngx_http_ctseg_import_rewind(step);
}


static ctseg_rc_t
ngx_http_ctseg_import_bounds(ngx_http_ctseg_import_step_t *step,
    ctseg_bounds_t *bounds)
{
    ctseg_rc_t  rc;

    rc = ctseg_store_bounds(step->task.worker->store, 0,
                            ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS, bounds);

    return rc == CTSEG_OK ? rc : ctseg_err(&step->err, rc, "looking at the "
                                           "log failed");
}


/* what the log has of the walk; AGAIN: interrupted, the worker exits */

static ctseg_rc_t
ngx_http_ctseg_import_load(ngx_http_ctseg_import_step_t *step,
    const ctseg_civil_t *from, const ctseg_civil_t *to, uint64_t base,
    uint32_t incarnation, unsigned limit)
{
    ctseg_rc_t            rc;
    ctseg_civil_t         end;
    ctseg_known_query_t   q;
    const ctseg_zone_t   *zone;

    zone = &step->task.worker->zone;
    end = *to;
    ctseg_date_add(&end, 1);

    ngx_memzero(&q, sizeof(ctseg_known_query_t));

    q.name = ctseg_import_name(&step->im, step->im.name);
    q.from_ms = ctseg_day_start(zone, from);
    q.to_ms = ctseg_day_start(zone, &end);
    q.upto = base;
    q.incarnation = incarnation;
    q.limit = limit;
    q.zone = zone;
    q.go_on = ngx_http_ctseg_import_go_on;
    q.data = step;

    rc = ctseg_known_load(step->task.worker->store, &q,
                          ctseg_mono_ms() + NGX_HTTP_CTSEG_IMPORT_LOAD_MS,
                          &step->known, &step->err);

    if (rc != CTSEG_OK) {
        step->known = NULL;
    }

    return rc == CTSEG_CONFLICT && !step->lost ? CTSEG_AGAIN : rc;
}


/* choose the days of the next walk, and store it before it begins */

ctseg_rc_t
ngx_http_ctseg_import_plan(ngx_http_ctseg_import_step_t *step)
{
    int64_t          first, days;
    ctseg_rc_t       rc;
    ctseg_civil_t    from, to;
    ctseg_import_t  *im;
    ctseg_bounds_t   bounds;

    im = &step->im;

    rc = ngx_http_ctseg_import_bounds(step, &bounds);
    if (rc != CTSEG_OK) {
        return rc;
    }

    from = im->walk_from.year != 0 ? im->walk_from : im->from;
    first = ctseg_days_from_civil(from.year, from.month, from.day);
    days = ctseg_days_from_civil(im->to.year, im->to.month, im->to.day)
           - first + 1;

    if (step->days != 0) {
        days = ngx_min(days, step->days * 2);
    }

    for ( ;; ) {
        to = from;
        ctseg_date_add(&to, days - 1);

        rc = ngx_http_ctseg_import_load(step, &from, &to, bounds.last,
                                        bounds.incarnation,
                                        days > 1
                                        ? NGX_HTTP_CTSEG_IMPORT_EVENTS
                                        : NGX_HTTP_CTSEG_IMPORT_DAY);

        if (rc != CTSEG_FULL || days == 1) {
            break;
        }

        days = (days + 1) / 2;
    }

    if (rc == CTSEG_FULL) {
        return ngx_http_ctseg_import_stop_errors(step, 0, "the log has too "
                                                 "many events of one day and "
                                                 "name to tell which are "
                                                 "known");
    }

    if (rc != CTSEG_OK) {
        return rc;
    }

    step->days = days;

    im->walk_from = from;
    im->walk_to = to;
    im->base = bounds.last;
    im->incarnation = bounds.incarnation;

    return ngx_http_ctseg_import_save(step);
}


/*
 * Once more from its first page.  All that was stored of it is known then: it
 * lies below the new base.
 */

static ctseg_rc_t
ngx_http_ctseg_import_again(ngx_http_ctseg_import_step_t *step)
{
    ctseg_rc_t       rc;
    ctseg_import_t  *im;
    ctseg_bounds_t   bounds;

    im = &step->im;

    rc = ngx_http_ctseg_import_bounds(step, &bounds);
    if (rc != CTSEG_OK) {
        return rc;
    }

    ngx_http_ctseg_import_rewind(step);
    im->base = bounds.last;
    im->incarnation = bounds.incarnation;

    return ngx_http_ctseg_import_save(step);
}


ctseg_rc_t
ngx_http_ctseg_import_reopen(ngx_http_ctseg_import_step_t *step, int status,
    const char *text)
{
    ctseg_import_t  *im;

    im = &step->im;

    if (im->reopened == NGX_HTTP_CTSEG_IMPORT_REOPENS) {
        return ngx_http_ctseg_import_stop_errors(step, status, text);
    }

    im->reopened++;
    im->counts.retries++;

    ngx_http_ctseg_import_error(im, status, text);
    ngx_http_ctseg_import_note(step, NGX_LOG_WARN, ": %s, reading \"%.80s\" "
                               "again from %04d-%02d-%02d", text,
                               ctseg_import_name(im, im->name).data,
                               im->walk_from.year, im->walk_from.month,
                               im->walk_from.day);

    return ngx_http_ctseg_import_again(step);
}


static void
ngx_http_ctseg_import_taken(void *data, uint64_t sequence)
{
    ctseg_known_taken(data, sequence);
}


/* what this walk has to know, by somebody who comes to it */

ctseg_rc_t
ngx_http_ctseg_import_resume(ngx_http_ctseg_import_step_t *step)
{
    ctseg_rc_t       rc;
    ctseg_import_t  *im;
    ctseg_bounds_t   bounds;

    im = &step->im;

    rc = ngx_http_ctseg_import_bounds(step, &bounds);

    if (rc != CTSEG_OK) {
        return rc;
    }

    if (bounds.incarnation != im->incarnation) {
        return ngx_http_ctseg_import_again(step);       /* a new log */
    }

    rc = ngx_http_ctseg_import_load(step, &im->walk_from, &im->walk_to,
                                    im->base, im->incarnation, 0);

    if (rc == CTSEG_OK && im->page != 0) {
        rc = ctseg_imported_list(step->task.worker->store, im->id, im->page,
                                 ngx_http_ctseg_import_taken, step->known,
                                 &step->err);
    }

    if (rc != CTSEG_OK) {
        ngx_http_ctseg_import_forget(step);
    }

    return rc;
}
