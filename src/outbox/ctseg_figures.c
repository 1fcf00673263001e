/*
 * One walk over the records of exports finds out which are shown; then each
 * of those is looked at by itself, so a damaged run hides no other export.
 * Nothing is remembered from one reading to the next.
 */

#include <stdlib.h>
#include <string.h>

#include "../base/ctseg_str.h"
#include "ctseg_cut.h"
#include "ctseg_figures.h"


/* candidates: those not final from the front, and the last that have ended,
   one written over the other when there are too many */

typedef struct {
    unsigned         most;
    ctseg_export_t  *open;
    ctseg_export_t  *ended;
    unsigned         nopen;
    unsigned         nended;
    int64_t          since_ms;
    ctseg_figures_t *f;

    /* scratch of one export */

    ctseg_run_t      run;
    ctseg_store_t   *store;
    int64_t          now_ms;
    int64_t          deadline;
} ctseg_figures_walk_t;


static bool
ctseg_figures_export(void *data, const ctseg_export_t *e)
{
    ctseg_figures_walk_t  *walk;

    walk = data;
    walk->f->status[e->status]++;

    if (!ctseg_export_is_final(e->status)) {

        if (walk->nopen < walk->most) {
            walk->open[walk->nopen] = *e;
        }

        walk->nopen++;

    } else if (e->ended_ms > walk->since_ms) {
        walk->ended[walk->nended++ % walk->most] = *e;
    }

    return true;
}


static bool
ctseg_figures_partner(void *data, const ctseg_partner_t *p)
{
    ctseg_figures_t         *f;
    ctseg_figure_partner_t  *item;

    f = data;

    if (f->npartners == CTSEG_FIGURES_PARTNERS) {
        return false;
    }

    item = &f->partners[f->npartners++];

    memcpy(item->id, p->id, sizeof(item->id));
    item->paused = false;

    return true;
}


static int
ctseg_figures_cmp(const void *id, const void *item)
{
    return strcmp(id, ((const ctseg_figure_partner_t *) item)->id);
}


/* what its partner refuses shows that the partner pauses */

static void
ctseg_figures_pause(ctseg_figures_t *f, const char *partner_id)
{
    ctseg_figure_partner_t  *p;

    p = bsearch(partner_id, f->partners, f->npartners,
                sizeof(ctseg_figure_partner_t), ctseg_figures_cmp);

    if (p != NULL) {
        p->paused = true;
    }
}


static ctseg_next_t
ctseg_figures_block(void *data, const ctseg_block_t *b)
{
    if (b->damaged) {
        return CTSEG_GO_ON;             /* about as old as the next one */
    }

    *(int64_t *) data = b->append_ms;

    return CTSEG_ENOUGH;
}


/* when the first event behind a sequence was appended, 0: there is none */

static ctseg_rc_t
ctseg_figures_appended(ctseg_figures_walk_t *walk, const ctseg_cut_t *cut,
    int64_t *ms)
{
    ctseg_rc_t   rc;
    ctseg_pos_t  pos, next;

    *ms = 0;

    memset(&pos, 0, sizeof(ctseg_pos_t));
    pos.incarnation = cut->incarnation;
    pos.sequence = cut->lo;

    rc = ctseg_store_scan(walk->store, 0, &pos, ctseg_figures_block, ms,
                          walk->deadline, &next);

    if (rc == CTSEG_TRIMMED && next.incarnation == cut->incarnation) {
        pos = next;
        rc = ctseg_store_scan(walk->store, 0, &pos, ctseg_figures_block, ms,
                              walk->deadline, &next);
    }

    return rc == CTSEG_AGAIN || rc == CTSEG_TRIMMED ? CTSEG_OK : rc;
}


/* what of the log an export that is not final has yet to look at */

static ctseg_rc_t
ctseg_figures_rest(ctseg_figures_walk_t *walk, ctseg_export_t *e,
    const ctseg_run_t *run, ctseg_cut_t *cut, ctseg_err_t *err)
{
    ctseg_rc_t   rc;
    ctseg_cut_t  head;

    if (run == NULL || run->number <= e->totals_run) {
        return ctseg_cut_next(walk->store, e, walk->deadline, cut, err);
    }

    if (run->status != CTSEG_RUN_RUNNING) {

        /* over, and the export is about to know */

        e->cut = run->hi;
        e->incarnation = run->incarnation;

        rc = ctseg_cut_next(walk->store, e, walk->deadline, cut, err);

        if (e->freq == CTSEG_FREQ_ONE_TIME) {
            cut->lo = cut->hi;
        }

        return rc;
    }

    cut->incarnation = run->incarnation;
    cut->lo = run->cursor;
    cut->hi = run->hi;

    if (e->freq != CTSEG_FREQ_LIVE) {
        return CTSEG_OK;
    }

    /* its owner looks at the head ten times a second, if there is one */

    rc = ctseg_cut_head(walk->store, walk->deadline, &head, err);

    if (rc == CTSEG_OK && head.incarnation == cut->incarnation
        && head.hi > cut->hi)
    {
        cut->hi = head.hi;
    }

    return rc;
}


/* what was sent beyond the runs: refused events, sent once more */

static ctseg_rc_t
ctseg_figures_retry(ctseg_figures_walk_t *walk, ctseg_figure_t *item,
    ctseg_err_t *err)
{
    ctseg_rc_t     rc;
    ctseg_retry_t  retry;

    rc = ctseg_retry_get(walk->store, item->id, &retry, err);

    if (rc != CTSEG_OK) {
        return rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
    }

    item->totals.sent += retry.delivered;

    if (retry.state == CTSEG_RETRY_RUNNING && retry.paused_ms != 0) {
        ctseg_figures_pause(walk->f, retry.partner_id);
    }

    return CTSEG_OK;
}


static ctseg_rc_t
ctseg_figures_add(ctseg_figures_walk_t *walk, ctseg_export_t *e,
    ctseg_err_t *err)
{
    int64_t          since;
    ctseg_rc_t       rc;
    ctseg_cut_t      cut;
    ctseg_run_t     *run;
    ctseg_figure_t  *item;

    item = &walk->f->exports[walk->f->nexports];
    memset(item, 0, sizeof(ctseg_figure_t));
    memcpy(item->id, e->id, sizeof(item->id));

    run = NULL;

    if (e->runs > e->totals_run) {
        run = &walk->run;
        rc = ctseg_run_get(walk->store, e->id, e->runs, run, err);

        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    item->totals = ctseg_run_totals(e, run);

    rc = ctseg_figures_retry(walk, item, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    if (ctseg_export_is_final(e->status)) {
        walk->f->nexports++;
        return CTSEG_OK;
    }

    if (run != NULL && run->status == CTSEG_RUN_RUNNING
        && run->paused_ms != 0)
    {
        ctseg_figures_pause(walk->f, run->partner_id);
    }

    rc = ctseg_figures_rest(walk, e, run, &cut, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    if (cut.hi > cut.lo) {
        item->waiting = cut.hi - cut.lo;

        rc = ctseg_figures_appended(walk, &cut, &since);

        if (rc != CTSEG_OK) {
            return ctseg_err(err, rc, "the log cannot be read after %llu: %s",
                             (unsigned long long) cut.lo, ctseg_rc_name(rc));
        }

        /* no event has waited for an export that was not there */

        if (since < e->created_ms) {
            since = e->created_ms;
        }

        if (since < walk->now_ms) {
            item->oldest_ms = walk->now_ms - since;
        }
    }

    walk->f->nexports++;

    return CTSEG_OK;
}


static void
ctseg_figures_try(ctseg_figures_walk_t *walk, ctseg_export_t *e)
{
    ctseg_err_t  err;

    memset(&err, 0, sizeof(ctseg_err_t));

    if (walk->f->nexports == walk->most) {
        walk->f->unlisted++;
        return;
    }

    if (ctseg_figures_add(walk, e, &err) != CTSEG_OK) {
        walk->f->unlisted++;
        (void) ctseg_err(&walk->f->note, err.code, "export %s: %.200s",
                         e->id, err.text);
    }
}


static void
ctseg_figures_all(ctseg_figures_walk_t *walk)
{
    unsigned  i, n;

    n = walk->nopen;

    if (n > walk->most) {
        walk->f->unlisted += n - walk->most;
        n = walk->most;
    }

    for (i = 0; i < n; i++) {
        ctseg_figures_try(walk, &walk->open[i]);
    }

    n = walk->nended;

    if (n > walk->most) {
        walk->f->unlisted += n - walk->most;
        n = walk->most;
    }

    for (i = 1; i <= n; i++) {
        ctseg_figures_try(walk, &walk->ended[(walk->nended - i)
                                             % walk->most]);
    }
}


ctseg_rc_t
ctseg_figures_read(ctseg_store_t *s, unsigned most, int64_t now_ms,
    int64_t deadline, ctseg_figures_t *f, ctseg_err_t *err)
{
    ctseg_rc_t            rc;
    ctseg_figures_walk_t  walk;

    memset(&walk, 0, sizeof(ctseg_figures_walk_t));

    f->exports = calloc(most, sizeof(ctseg_figure_t));
    if (f->exports == NULL) {
        return ctseg_err(err, CTSEG_NOMEM, "out of memory");
    }

    f->partners = calloc(CTSEG_FIGURES_PARTNERS,
                         sizeof(ctseg_figure_partner_t));
    if (f->partners == NULL) {
        return ctseg_err(err, CTSEG_NOMEM, "out of memory");
    }

    walk.open = calloc(2 * (size_t) most, sizeof(ctseg_export_t));
    if (walk.open == NULL) {
        return ctseg_err(err, CTSEG_NOMEM, "out of memory");
    }

    walk.ended = walk.open + most;
    walk.f = f;
    walk.store = s;
    walk.most = most;
    walk.now_ms = now_ms;
    walk.since_ms = now_ms - CTSEG_FIGURES_ENDED_MS;
    walk.deadline = deadline;

    rc = ctseg_partner_list(s, ctseg_figures_partner, f, err);

    if (rc == CTSEG_OK) {
        rc = ctseg_export_list(s, ctseg_figures_export, &walk, err);
    }

    if (rc == CTSEG_OK) {
        ctseg_figures_all(&walk);
    }

    free(walk.open);

    return rc;
}


void
ctseg_figures_free(ctseg_figures_t *f)
{
    free(f->exports);
    free(f->partners);
    memset(f, 0, sizeof(ctseg_figures_t));
}
