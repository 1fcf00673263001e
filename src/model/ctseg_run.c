/*
 * A run's bookkeeping: what is pinned at its start, and the sum that must
 * hold at every step.  The engine calls this around each batch.  A delta
 * that does not add up is refused as a whole, because an event that is
 * counted twice or not at all is the very thing a run's numbers are for.
 */

#include "ctseg_run.h"


#define CTSEG_RUN_MEASURE_MS    900     /* of a timer of a second */
#define CTSEG_RUN_BATCH_EVENTS  2500.0  /* until the first batch tells */
#define CTSEG_RUN_ETA_MAX       1e9     /* seconds */

#include <string.h>


static const char  *const ctseg_run_statuses[] = {
    NULL,
    "running",
    "succeeded",
    "stopped",
    "failed"
};

static const char  *const ctseg_run_rejects[CTSEG_REJECT_N] = {
    "no_id",
    "too_large",
    "refused",
    "expired",
    "no_name",
    "damaged",
    "future_time"
};


const char *
ctseg_run_status_name(ctseg_run_status_t s)
{
    if ((unsigned) s > CTSEG_RUN_FAILED) {
        return NULL;
    }

    return ctseg_run_statuses[s];
}


const char *
ctseg_reject_name(ctseg_reject_t r)
{
    if ((unsigned) r >= CTSEG_REJECT_N) {
        return NULL;
    }

    return ctseg_run_rejects[r];
}


void
ctseg_run_pin(ctseg_run_t *run, const ctseg_export_t *e,
    const ctseg_partner_t *p)
{
    ctseg_pinned_t  *pinned;

    memcpy(run->export_id, e->id, sizeof(run->export_id));
    memcpy(run->partner_id, p->id, sizeof(run->partner_id));
    run->freq = e->freq;
    run->export_revision = e->revision;
    run->region = p->region;

    pinned = &run->pinned;
    memset(pinned, 0, sizeof(ctseg_pinned_t));

    pinned->type = e->type;
    pinned->kinds = e->type == CTSEG_TYPE_PROFILE
                    ? ctseg_kind_bit(CTSEG_KIND_PROFILE)
                    : e->kinds & ~ctseg_kind_bit(CTSEG_KIND_PROFILE);

    /* only a one time export looks at the time of an event */

    if (e->freq == CTSEG_FREQ_ONE_TIME) {
        pinned->from_ms = e->from_ms;
        pinned->to_ms = e->to_ms;

    } else {
        pinned->from_ms = INT64_MIN;
        pinned->to_ms = INT64_MAX;
    }

    pinned->user_id = p->user_id;
    pinned->anonymous_id = p->anonymous_id;
    memcpy(pinned->priority, e->priority, sizeof(pinned->priority));
    pinned->npriority = e->npriority;
    pinned->mapping = e->mapping;

    ctseg_write_key_fingerprint(pinned->fingerprint, p->write_key);
}


/* the verdicts of counts add up to what was scanned, without overflow */

static bool
ctseg_run_adds_up(const ctseg_counts_t *c)
{
    unsigned  i;
    uint64_t  sum, left;

    left = c->scanned;

    if (c->sent > left) {
        return false;
    }

    left -= c->sent;

    if (c->filtered > left || left - c->filtered != c->rejected) {
        return false;
    }

    left = c->rejected;

    for (sum = 0, i = 0; i < CTSEG_REJECT_N; i++) {

        if (c->rejects[i] > left - sum) {
            return false;
        }

        sum += c->rejects[i];
    }

    return sum == c->rejected;
}


/* the events that are gone are the first of the range */

static void
ctseg_run_forward(ctseg_run_t *run)
{
    uint64_t         gone;
    ctseg_counts_t  *c;

    c = &run->counts;
    gone = c->rejects[CTSEG_REJECT_EXPIRED];

    run->lo += gone;
    c->scanned -= gone;
    c->rejected -= gone;
    c->rejects[CTSEG_REJECT_EXPIRED] = 0;
}


bool
ctseg_run_by_profile(ctseg_type_t type, ctseg_freq_t freq)
{
    return type == CTSEG_TYPE_PROFILE && freq != CTSEG_FREQ_LIVE;
}


bool
ctseg_run_advance(ctseg_run_t *run, uint64_t upto,
    const ctseg_counts_t *delta)
{
    bool             first;
    unsigned         i;
    ctseg_counts_t  *c;

    if (upto < run->cursor
        || upto > run->hi
        || delta->scanned != upto - run->cursor
        || !ctseg_run_adds_up(delta))
    {
        return false;
    }

    c = &run->counts;
    first = c->scanned == 0;

    c->scanned += delta->scanned;
    c->sent += delta->sent;
    c->filtered += delta->filtered;
    c->rejected += delta->rejected;

    for (i = 0; i < CTSEG_REJECT_N; i++) {
        c->rejects[i] += delta->rejects[i];
    }

    c->batches += delta->batches;
    c->retries += delta->retries;

    run->cursor = upto;

    if (first && run->freq == CTSEG_FREQ_ONE_TIME) {
        ctseg_run_forward(run);
    }

    return true;
}


static void
ctseg_run_add(const ctseg_run_t *run, ctseg_totals_t *totals)
{
    totals->sent += run->counts.sent;
    totals->filtered += run->counts.filtered;
    totals->rejected += run->counts.rejected;
}


void
ctseg_run_settle(const ctseg_run_t *run, ctseg_export_t *e)
{
    if (run->number <= e->totals_run) {
        return;
    }

    ctseg_run_add(run, &e->totals);
    e->totals_run = run->number;
}


ctseg_totals_t
ctseg_run_totals(const ctseg_export_t *e, const ctseg_run_t *last)
{
    ctseg_totals_t  totals;

    totals = e->totals;

    if (last != NULL && last->number > e->totals_run) {
        ctseg_run_add(last, &totals);
    }

    return totals;
}


uint64_t
ctseg_run_waiting(const ctseg_run_t *run)
{
    uint64_t  total;

    total = run->hi > run->lo ? run->hi - run->lo : 0;

    return total > run->counts.scanned ? total - run->counts.scanned : 0;
}


bool
ctseg_run_is_conserved(const ctseg_run_t *run)
{
    return run->lo <= run->cursor
           && run->cursor <= run->hi
           && run->counts.scanned == run->cursor - run->lo
           && ctseg_run_adds_up(&run->counts);
}


void
ctseg_run_measure(ctseg_run_t *run, ctseg_mark_t *mark, int64_t mono_ms)
{
    int64_t   elapsed;
    uint64_t  pace;

    elapsed = mono_ms - mark->at_ms;

    if (mark->at_ms == 0 || ctseg_run_waiting(run) == 0) {
        mark->at_ms = mono_ms;
        mark->scanned = run->counts.scanned;
        return;
    }

    if (elapsed < CTSEG_RUN_MEASURE_MS) {
        return;
    }

    pace = (run->counts.scanned - mark->scanned) * 1000000
           / (uint64_t) elapsed;

    /* a quarter of what is new: one slow answer is not yet another pace */

    if (run->pace != 0) {
        pace = (run->pace * 3 + pace) / 4;
    }

    run->pace = pace != 0 ? pace : 1;

    mark->at_ms = mono_ms;
    mark->scanned = run->counts.scanned;
}


/* as the events so far, so those that wait: how many are sent, in how many
   requests */

static double
ctseg_run_limit(const ctseg_run_t *run, const ctseg_limits_t *limits)
{
    double  waiting, events, requests, eta;

    waiting = (double) ctseg_run_waiting(run);
    events = waiting;
    requests = waiting / CTSEG_RUN_BATCH_EVENTS;

    if (run->counts.scanned != 0) {
        events *= (double) run->counts.sent / (double) run->counts.scanned;
        requests = waiting * (double) run->counts.batches
                   / (double) run->counts.scanned;
    }

    eta = limits->events != 0 ? events / limits->events : -1;

    if (limits->requests != 0 && requests / limits->requests > eta) {
        eta = requests / limits->requests;
    }

    return eta;
}


double
ctseg_run_eta(const ctseg_run_t *run, const ctseg_limits_t *limits,
    int64_t now_ms)
{
    double  eta, measured, waiting;

    waiting = (double) ctseg_run_waiting(run);

    if (waiting == 0) {
        return 0;
    }

    eta = ctseg_run_limit(run, limits);

    if (run->pace != 0) {
        measured = waiting * 1000 / (double) run->pace;

    } else if (run->counts.scanned != 0 && run->freq != CTSEG_FREQ_LIVE
               && now_ms > run->started_ms)
    {
        /* too young to be measured; a live one may have rested */

        measured = waiting * ((double) now_ms - (double) run->started_ms)
                   / 1000 / (double) run->counts.scanned;

    } else {
        measured = -1;
    }

    if (measured > eta) {
        eta = measured;
    }

    /* a pace near zero says nothing about the end */

    return eta <= CTSEG_RUN_ETA_MAX ? eta : -1;
}
