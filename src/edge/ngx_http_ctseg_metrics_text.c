/*
 * The page: the name, the type and the help of each family, and what its
 * samples are taken from.  Names are for ever; docs/metrics.md has them all.
 * Runs on any thread and reads nothing but its arguments.
 */

#include "ngx_http_ctseg_collect.h"
#include "ngx_http_ctseg_metrics.h"


_Static_assert(NGX_HTTP_CTSEG_REFUSED_N <= NGX_HTTP_CTSEG_REASONS,
               "there must be a counter for each reason");


static void ngx_http_ctseg_metrics_answers(ctseg_prom_t *p,
    const char *partner, const ngx_http_ctseg_codes_t *codes);
static void ngx_http_ctseg_metrics_histogram(ctseg_prom_t *p,
    const ctseg_prom_label_t *label, const ctseg_prom_buckets_t *buckets,
    const ngx_http_ctseg_histogram_t *h);


static void
ngx_http_ctseg_metrics_collect(ctseg_prom_t *p,
    const ngx_http_ctseg_counters_t *c)
{
    ngx_uint_t          i;
    ctseg_prom_label_t  label;

    ctseg_prom_family(p, CTSEG_PROM_COUNTER, "ctseg_collect_requests_total",
                      "Requests to collect locations, by status.");
    ngx_http_ctseg_metrics_answers(p, NULL, &c->requests);

    ctseg_prom_family(p, CTSEG_PROM_COUNTER, "ctseg_events_collected_total",
                      "Events that were acknowledged and are on the disk.");
    ctseg_prom_sample(p, NULL, 0, c->collected, 1);

    ctseg_prom_family(p, CTSEG_PROM_COUNTER, "ctseg_events_repeated_total",
                      "Events that had been stored before, by their ids.");
    ctseg_prom_sample(p, NULL, 0, c->repeated, 1);

    ctseg_prom_family(p, CTSEG_PROM_COUNTER, "ctseg_events_refused_total",
                      "Events that were not taken, by reason.");
    label.name = "reason";

    for (i = 0; i < NGX_HTTP_CTSEG_REFUSED_N; i++) {
        label.value = i < CTSEG_REFUSAL_N ? ctseg_refusal_name((unsigned) i)
                      : i == NGX_HTTP_CTSEG_REFUSED_FULL ? "store_full"
                      : "store_unavailable";
        ctseg_prom_sample(p, &label, 1, c->refused[i], 1);
    }

    ctseg_prom_family(p, CTSEG_PROM_COUNTER, "ctseg_copies_lost_total",
                      "Copies by mirror that were not taken.");
    ctseg_prom_sample(p, NULL, 0, c->lost, 1);

    ctseg_prom_family(p, CTSEG_PROM_HISTOGRAM,
                      "ctseg_commit_duration_seconds",
                      "How long commits of events took.");
    ngx_http_ctseg_metrics_histogram(p, NULL,
                                     &ngx_http_ctseg_commit_duration,
                                     &c->commit_duration);

    ctseg_prom_family(p, CTSEG_PROM_HISTOGRAM, "ctseg_commit_events",
                      "Events of a commit.");
    ngx_http_ctseg_metrics_histogram(p, NULL, &ngx_http_ctseg_commit_events,
                                     &c->commit_events);
}


/* partners that were sent something, and one for all that had no room */

static void
ngx_http_ctseg_metrics_deliveries(ctseg_prom_t *p,
    const ngx_http_ctseg_snapshot_t *s)
{
    ngx_uint_t                         i;
    ctseg_prom_label_t                 label;
    const ngx_http_ctseg_counters_t   *c;

    c = &s->c;

    ctseg_prom_family(p, CTSEG_PROM_COUNTER, "ctseg_delivery_requests_total",
                      "Attempts to deliver a batch, by the answer's status.");

    for (i = 0; i < c->npartners; i++) {
        ngx_http_ctseg_metrics_answers(p, s->ids[i], &c->partners[i].answers);
    }

    if (c->other.answers.code[0] != 0) {
        ngx_http_ctseg_metrics_answers(p, "other", &c->other.answers);
    }

    ctseg_prom_family(p, CTSEG_PROM_HISTOGRAM,
                      "ctseg_delivery_duration_seconds",
                      "How long attempts to deliver a batch took.");
    label.name = "partner";

    for (i = 0; i < c->npartners; i++) {
        label.value = s->ids[i];
        ngx_http_ctseg_metrics_histogram(p, &label,
                                         &ngx_http_ctseg_delivery_duration,
                                         &c->partners[i].duration);
    }

    if (c->other.answers.code[0] != 0) {
        label.value = "other";
        ngx_http_ctseg_metrics_histogram(p, &label,
                                         &ngx_http_ctseg_delivery_duration,
                                         &c->other.duration);
    }
}


void
ngx_http_ctseg_metrics_counters(ctseg_buf_t *out,
    const ngx_http_ctseg_snapshot_t *s)
{
    ctseg_prom_t  p;

    p.out = out;

    ngx_http_ctseg_metrics_collect(&p, &s->c);
    ngx_http_ctseg_metrics_deliveries(&p, s);

    ctseg_prom_family(&p, CTSEG_PROM_GAUGE, "ctseg_tasks_in_flight",
                      "Jobs of the thread pools, waiting or at work.");
    ctseg_prom_sample(&p, NULL, 0, s->tasks, 1);

    ctseg_prom_family(&p, CTSEG_PROM_COUNTER,
                      "ctseg_invariant_violations_total",
                      "Numbers that did not add up; see the error log.");
    ctseg_prom_sample(&p, NULL, 0, s->c.violations, 1);
}


/* "none": there was no answer; "other": more codes than are told apart */

static void
ngx_http_ctseg_metrics_answers(ctseg_prom_t *p, const char *partner,
    const ngx_http_ctseg_codes_t *codes)
{
    char                 code[NGX_INT_T_LEN + 1];
    ngx_uint_t           i;
    ctseg_prom_label_t   labels[2], *label;

    label = labels;

    if (partner != NULL) {
        label->name = "partner";
        label->value = partner;
        label++;
    }

    label->name = "code";

    for (i = 0; i < NGX_HTTP_CTSEG_CODES && codes->code[i] != 0; i++) {
        label->value = code;

        if (codes->code[i] == 1) {
            label->value = "none";

        } else {
            (void) snprintf(code, sizeof(code), "%lu",
                            (unsigned long) codes->code[i] - 1);
        }

        ctseg_prom_sample(p, labels, (unsigned) (label - labels) + 1,
                          codes->n[i], 1);
    }

    if (codes->other != 0) {
        label->value = "other";
        ctseg_prom_sample(p, labels, (unsigned) (label - labels) + 1,
                          codes->other, 1);
    }
}


static void
ngx_http_ctseg_metrics_histogram(ctseg_prom_t *p,
    const ctseg_prom_label_t *label, const ctseg_prom_buckets_t *buckets,
    const ngx_http_ctseg_histogram_t *h)
{
    unsigned  i;
    uint64_t  counts[CTSEG_PROM_BUCKETS];

    for (i = 0; i < CTSEG_PROM_BUCKETS; i++) {
        counts[i] = h->counts[i];
    }

    ctseg_prom_histogram(p, label, buckets, counts, h->sum);
}


/* ---- what the store knows ---- */


static void
ngx_http_ctseg_metrics_exports(ctseg_prom_t *p, const ctseg_figures_t *f)
{
    unsigned               i;
    ctseg_prom_label_t     labels[2];
    const ctseg_figure_t  *e;

    labels[0].name = "export";
    labels[1].name = "verdict";

    ctseg_prom_family(p, CTSEG_PROM_COUNTER, "ctseg_export_events_total",
                      "Events of an export that have their verdict.");

    for (i = 0; i < f->nexports; i++) {
        e = &f->exports[i];
        labels[0].value = e->id;

        labels[1].value = "sent";
        ctseg_prom_sample(p, labels, 2, e->totals.sent, 1);

        labels[1].value = "filtered";
        ctseg_prom_sample(p, labels, 2, e->totals.filtered, 1);

        labels[1].value = "rejected";
        ctseg_prom_sample(p, labels, 2, e->totals.rejected, 1);
    }

    ctseg_prom_family(p, CTSEG_PROM_GAUGE, "ctseg_export_waiting_events",
                      "Events that an export has yet to look at.");

    for (i = 0; i < f->nexports; i++) {
        labels[0].value = f->exports[i].id;
        ctseg_prom_sample(p, labels, 1, f->exports[i].waiting, 1);
    }

    ctseg_prom_family(p, CTSEG_PROM_GAUGE,
                      "ctseg_export_oldest_waiting_seconds",
                      "How long the oldest of them has waited, 0 for none.");

    for (i = 0; i < f->nexports; i++) {
        labels[0].value = f->exports[i].id;
        ctseg_prom_sample(p, labels, 1, (uint64_t) f->exports[i].oldest_ms,
                          1000);
    }
}


void
ngx_http_ctseg_metrics_store(ctseg_buf_t *out, const ctseg_usage_t *u,
    const ctseg_figures_t *f)
{
    unsigned            i;
    ctseg_prom_t        p;
    ctseg_prom_label_t  label;

    p.out = out;

    ngx_http_ctseg_metrics_exports(&p, f);

    ctseg_prom_family(&p, CTSEG_PROM_GAUGE, "ctseg_exports",
                      "Exports by status.");
    label.name = "status";

    for (i = CTSEG_PENDING; i <= CTSEG_STOPPED; i++) {
        label.value = ctseg_status_name((ctseg_status_t) i);
        ctseg_prom_sample(&p, &label, 1, f->status[i], 1);
    }

    ctseg_prom_family(&p, CTSEG_PROM_GAUGE, "ctseg_exports_unlisted",
                      "Exports that have no series here, but should.");
    ctseg_prom_sample(&p, NULL, 0, f->unlisted, 1);

    ctseg_prom_family(&p, CTSEG_PROM_GAUGE, "ctseg_partner_paused",
                      "1 while Segment refuses what only people can mend.");
    label.name = "partner";

    for (i = 0; i < f->npartners; i++) {
        label.value = f->partners[i].id;
        ctseg_prom_sample(&p, &label, 1, f->partners[i].paused, 1);
    }

    label.name = "env";

    ctseg_prom_family(&p, CTSEG_PROM_GAUGE, "ctseg_store_bytes",
                      "Bytes in use of the store's files.");
    label.value = "events";
    ctseg_prom_sample(&p, &label, 1, u->events_used, 1);
    label.value = "state";
    ctseg_prom_sample(&p, &label, 1, u->state_used, 1);

    ctseg_prom_family(&p, CTSEG_PROM_GAUGE, "ctseg_store_capacity_bytes",
                      "Bytes that the store's files may have.");
    label.value = "events";
    ctseg_prom_sample(&p, &label, 1, u->events_size, 1);
    label.value = "state";
    ctseg_prom_sample(&p, &label, 1, u->state_size, 1);
}
