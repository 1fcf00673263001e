/*
 * Runs and exports as the API shows them.  An export's page is mostly about
 * its newest run, so the two are rendered in one place.  Called by the API
 * and by nothing else; what is not in the interface is not shown, such as
 * who works on a run, and the pinned settings.
 */

#include "ctseg_run.h"
#include "../base/ctseg_str.h"


static void
ctseg_run_render_error(ctseg_json_writer_t *w, const ctseg_run_t *run)
{
    if (run->error[0] == '\0') {
        ctseg_jw_null(w, "last_error");
        return;
    }

    ctseg_jw_open(w, "last_error", '{');

    /* no status: there was no answer that could have had one */

    if (run->error_status == 0) {
        ctseg_jw_null(w, "status");

    } else {
        ctseg_jw_int(w, "status", run->error_status);
    }

    ctseg_jw_cstr(w, "message", run->error);
    ctseg_jw_time(w, "at", run->error_ms);
    ctseg_jw_close(w, '}');
}


void
ctseg_run_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_run_t *run)
{
    unsigned               i;
    const ctseg_counts_t  *c;

    c = &run->counts;

    ctseg_jw_open(w, name, '{');
    ctseg_jw_uint(w, "number", run->number);
    ctseg_jw_cstr(w, "status", ctseg_run_status_name(run->status));
    ctseg_jw_time(w, "scheduled_for", run->scheduled_ms);
    ctseg_jw_time(w, "started_at", run->started_ms);
    ctseg_jw_time(w, "finished_at", run->finished_ms);
    ctseg_jw_uint(w, "after_sequence", run->lo);
    ctseg_jw_uint(w, "to_sequence", run->hi);
    ctseg_jw_uint(w, "export_revision", run->export_revision);
    ctseg_jw_uint(w, "scanned", c->scanned);
    ctseg_jw_uint(w, "sent", c->sent);
    ctseg_jw_uint(w, "filtered", c->filtered);
    ctseg_jw_uint(w, "rejected", c->rejected);

    ctseg_jw_open(w, "rejected_by_reason", '{');

    for (i = 0; i < CTSEG_REJECT_N; i++) {
        ctseg_jw_uint(w, ctseg_reject_name((ctseg_reject_t) i),
                      c->rejects[i]);
    }

    ctseg_jw_close(w, '}');

    ctseg_jw_uint(w, "waiting", ctseg_run_waiting(run));
    ctseg_jw_uint(w, "batches", c->batches);
    ctseg_jw_uint(w, "retries", c->retries);
    ctseg_jw_uint(w, "coalesced_slots", run->coalesced_slots);
    ctseg_jw_time(w, "retry_at", run->retry_at_ms);
    ctseg_run_render_error(w, run);
    ctseg_jw_close(w, '}');
}


static void
ctseg_run_render_events(ctseg_json_writer_t *w, const ctseg_export_t *e)
{
    unsigned  kind;

    /* a profile has no events */

    if (e->type == CTSEG_TYPE_PROFILE) {
        return;
    }

    ctseg_jw_open(w, "events", '{');
    ctseg_jw_cstr(w, "set", ctseg_set_name(e->set));

    if (e->set == CTSEG_SET_SELECTED) {
        ctseg_jw_open(w, "names", '[');

        for (kind = 1; kind <= CTSEG_KIND_LAST; kind++) {
            if ((e->kinds & ctseg_kind_bit(kind)) != 0) {
                ctseg_jw_str(w, NULL, ctseg_catalog_name(kind));
            }
        }

        ctseg_jw_close(w, ']');
    }

    ctseg_jw_close(w, '}');
}


static void
ctseg_run_render_priority(ctseg_json_writer_t *w, const ctseg_export_t *e)
{
    unsigned  i;

    ctseg_jw_open(w, "identifier_priority", '[');

    for (i = 0; i < e->npriority && i < CTSEG_PRIORITY_MAX; i++) {
        ctseg_jw_cstr(w, NULL, ctseg_id_name(e->priority[i]));
    }

    ctseg_jw_close(w, ']');
}


static void
ctseg_run_render_mapping(ctseg_json_writer_t *w, const ctseg_export_t *e)
{
    const ctseg_mapping_t  *m;

    m = &e->mapping;

    ctseg_jw_open(w, "mapping", '{');

    /* a profile has no properties */

    if (e->type != CTSEG_TYPE_PROFILE) {
        ctseg_jw_bool(w, "context", m->context);
        ctseg_jw_cstr(w, "names", ctseg_names_name(m->names));
    }

    if (m->integrations[0] != '\0') {
        ctseg_jw_raw(w, "integrations", ctseg_str(m->integrations));

    } else {
        ctseg_jw_null(w, "integrations");
    }

    ctseg_jw_cstr(w, "future", ctseg_future_name(m->future));
    ctseg_jw_close(w, '}');
}


static void
ctseg_run_render_frequency(ctseg_json_writer_t *w, const ctseg_export_t *e)
{
    ctseg_jw_open(w, "frequency", '{');
    ctseg_jw_cstr(w, "kind", ctseg_freq_name(e->freq));

    switch (e->freq) {
    case CTSEG_FREQ_ONE_TIME:
        ctseg_jw_cstr(w, "from", e->from);
        ctseg_jw_cstr(w, "to", e->to);

        if (e->range[0] != '\0') {
            ctseg_jw_cstr(w, "range", e->range);
        }

        break;

    case CTSEG_FREQ_RECURRING:
        ctseg_jw_uint(w, "every_hours", e->every_hours);
        ctseg_jw_cstr(w, "start_date", e->start_date);
        break;

    default:
        break;
    }

    ctseg_jw_close(w, '}');
}


/* rounded down: 100 means that nothing is left */

static unsigned
ctseg_run_render_percent(const ctseg_export_t *e, const ctseg_run_t *last)
{
    uint64_t  total, scanned;

    if (e->status == CTSEG_DONE) {
        return 100;
    }

    if (last == NULL) {
        return 0;
    }

    scanned = last->counts.scanned;
    total = last->hi > last->lo ? last->hi - last->lo : 0;

    if (scanned >= total) {
        return 100;
    }

    if (total > UINT64_MAX / 100) {
        return (unsigned) (scanned / (total / 100 + 1));
    }

    return (unsigned) (scanned * 100 / total);
}


/* null whenever nothing is under way */

static void
ctseg_run_render_eta(ctseg_json_writer_t *w, const ctseg_export_t *e,
    const ctseg_run_t *last, const ctseg_limits_t *limits, int64_t now_ms)
{
    double  eta;

    eta = last != NULL && last->status == CTSEG_RUN_RUNNING
          && !ctseg_export_is_final(e->status)
          ? ctseg_run_eta(last, limits, now_ms) : -1;

    if (eta < 0) {
        ctseg_jw_null(w, "eta_seconds");
        return;
    }

    ctseg_jw_uint(w, "eta_seconds", (uint64_t) (eta + 0.999));
}


static void
ctseg_run_render_progress(ctseg_json_writer_t *w, const ctseg_export_t *e,
    const ctseg_run_t *last, const ctseg_limits_t *limits, int64_t now_ms)
{
    bool  ran;

    ran = last != NULL;

    ctseg_jw_open(w, "progress", '{');
    ctseg_jw_uint(w, "sent", ran ? last->counts.sent : 0);
    ctseg_jw_uint(w, "rejected", ran ? last->counts.rejected : 0);
    ctseg_jw_uint(w, "filtered", ran ? last->counts.filtered : 0);
    ctseg_jw_uint(w, "waiting", ran ? ctseg_run_waiting(last) : 0);
    ctseg_jw_uint(w, "percent", ctseg_run_render_percent(e, last));
    ctseg_run_render_eta(w, e, last, limits, now_ms);
    ctseg_jw_close(w, '}');
}


void
ctseg_export_render(ctseg_json_writer_t *w, const char *name,
    const ctseg_export_t *e, const ctseg_run_t *last,
    const ctseg_limits_t *limits, int64_t now_ms)
{
    ctseg_jw_open(w, name, '{');
    ctseg_jw_cstr(w, "id", e->id);
    ctseg_jw_cstr(w, "partner_id", e->partner_id);
    ctseg_jw_cstr(w, "type", ctseg_type_name(e->type));
    ctseg_jw_cstr(w, "format", "json");

    ctseg_run_render_events(w, e);
    ctseg_run_render_priority(w, e);
    ctseg_run_render_frequency(w, e);
    ctseg_run_render_mapping(w, e);

    ctseg_jw_cstr(w, "status", ctseg_status_name(e->status));
    ctseg_jw_cstr(w, "stop_reason", ctseg_stop_name(e->stop_reason));
    ctseg_jw_uint(w, "revision", e->revision);
    ctseg_jw_time(w, "created_at", e->created_ms);
    ctseg_jw_cstr(w, "exported_on", e->exported_on);
    ctseg_jw_time(w, "next_run_at", e->next_run_ms);

    if (last != NULL) {
        ctseg_run_render(w, "last_run", last);

    } else {
        ctseg_jw_null(w, "last_run");
    }

    ctseg_run_render_progress(w, e, last, limits, now_ms);
    ctseg_jw_close(w, '}');
}
