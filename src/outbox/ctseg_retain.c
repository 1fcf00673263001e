/*
 * What keeps events from being removed.  Called by the retention job before
 * each of its steps, and by the API for its status.  An export is read before
 * its run, so that what is seen is at worst older than what is: a cursor only
 * moves forward, and whatever is held by mistake goes with the next look.
 */

#include <stdio.h>
#include <string.h>

#include "../base/ctseg_str.h"
#include "../store/ctseg_state.h"
#include "ctseg_retain.h"


typedef struct {
    ctseg_store_t   *store;
    ctseg_bounds_t   bounds;
    int64_t          now_ms;
    int64_t          deadline;
    uint64_t         after;             /* the least that is needed so far */
    char             export_id[CTSEG_ID_TEXT_MAX];
    ctseg_rc_t       rc;
    ctseg_err_t     *err;

    ctseg_export_t   export;
    ctseg_run_t      run;
} ctseg_retain_walk_t;


/* the run of an export that goes on in a log made anew ends, and the next
   one begins with the first event there */

static void
ctseg_hold_after(ctseg_hold_t *hold, bool same, uint64_t after)
{
    hold->what = CTSEG_HOLD_AFTER;
    hold->after = same ? after : 0;
}


void
ctseg_hold_of(ctseg_hold_t *hold, const ctseg_export_t *e,
    const ctseg_run_t *run, uint32_t incarnation, int64_t now_ms)
{
    memset(hold, 0, sizeof(ctseg_hold_t));

    if (ctseg_export_is_final(e->status)) {
        return;
    }

    if (run != NULL) {

        if (run->incarnation == incarnation || e->freq != CTSEG_FREQ_ONE_TIME)
        {
            /* a profile that is sent last says what was said first as well,
               and who takes the run over reads all of it again */

            ctseg_hold_after(hold, run->incarnation == incarnation,
                             ctseg_run_by_profile(run->pinned.type, run->freq)
                             ? run->lo : run->cursor);
        }

        return;
    }

    if (e->freq == CTSEG_FREQ_ONE_TIME) {

        /* no event arrives before it happens, save for a clock gone wrong */

        hold->what = CTSEG_HOLD_SINCE;
        hold->since_ms = e->from_ms;
        return;
    }

    if (e->freq == CTSEG_FREQ_RECURRING && e->runs == 0) {

        if (e->start_ms <= now_ms) {
            hold->what = CTSEG_HOLD_SINCE;
            hold->since_ms = e->start_ms;
        }

        return;
    }

    ctseg_hold_after(hold, e->incarnation == incarnation, e->cut);
}


/*
 * The run of walk->export that is under way.  A one-time export that is
 * PENDING may have its run already, whose maker has not said so yet; what the
 * others have got by then lies behind their cut.
 */

static const ctseg_run_t *
ctseg_retain_run(ctseg_retain_walk_t *walk)
{
    uint64_t         number;
    ctseg_rc_t       rc;
    ctseg_export_t  *e;

    e = &walk->export;
    number = e->runs;

    if (e->status == CTSEG_PENDING) {

        if (e->freq != CTSEG_FREQ_ONE_TIME) {
            return NULL;
        }

        number++;
    }

    rc = ctseg_run_get(walk->store, e->id, number, &walk->run, walk->err);

    if (rc != CTSEG_OK && rc != CTSEG_NOTFOUND) {
        walk->rc = rc;
    }

    return rc == CTSEG_OK ? &walk->run : NULL;
}


static bool
ctseg_retain_export(void *data, const char *export_id)
{
    uint64_t              after;
    ctseg_pos_t           pos;
    ctseg_hold_t          hold;
    const ctseg_run_t    *run;
    ctseg_retain_walk_t  *walk;

    walk = data;

    walk->rc = ctseg_export_get(walk->store, ctseg_str(export_id),
                                &walk->export, walk->err);

    if (walk->rc == CTSEG_NOTFOUND) {
        walk->rc = CTSEG_OK;
        return true;
    }

    memset(&hold, 0, sizeof(ctseg_hold_t));

    if (walk->rc == CTSEG_OK && !ctseg_export_is_final(walk->export.status)) {
        run = ctseg_retain_run(walk);
        ctseg_hold_of(&hold, &walk->export, run, walk->bounds.incarnation,
                      walk->now_ms);
    }

    after = UINT64_MAX;

    if (walk->rc == CTSEG_CORRUPT) {
        walk->rc = CTSEG_OK;            /* nobody knows what it needs */
        after = 0;

    } else if (hold.what == CTSEG_HOLD_AFTER) {
        after = hold.after;

    } else if (hold.what == CTSEG_HOLD_SINCE && walk->rc == CTSEG_OK) {
        walk->rc = ctseg_store_seek(walk->store, 0, hold.since_ms,
                                    walk->deadline, &pos);
        after = pos.sequence;
    }

    if (walk->rc != CTSEG_OK) {
        return false;
    }

    if (after < walk->after) {
        walk->after = after;
        (void) snprintf(walk->export_id, sizeof(walk->export_id), "%s",
                        export_id);
    }

    return true;
}


static ctseg_next_t
ctseg_retain_block(void *data, const ctseg_block_t *block)
{
    *(ctseg_block_t *) data = *block;

    return CTSEG_ENOUGH;
}


/*
 * The header of the block that holds the first event kept behind "after".
 * A damaged one counts as old: whoever removes it looks himself.
 */

static ctseg_rc_t
ctseg_retain_header(ctseg_retain_walk_t *walk, uint64_t after,
    ctseg_block_t *b)
{
    ctseg_rc_t   rc;
    ctseg_pos_t  pos, next;

    memset(b, 0, sizeof(ctseg_block_t));
    memset(&pos, 0, sizeof(ctseg_pos_t));

    pos.incarnation = walk->bounds.incarnation;
    pos.sequence = after;

    rc = ctseg_store_scan(walk->store, 0, &pos, ctseg_retain_block, b,
                          walk->deadline, &next);

    if (b->count != 0) {
        return CTSEG_OK;
    }

    /* trimmed by somebody else just now, or there is nothing */

    return rc == CTSEG_TRIMMED || rc == CTSEG_AGAIN ? CTSEG_AGAIN : rc;
}


/* the events that would go if nobody needed them */

static ctseg_rc_t
ctseg_retain_held(ctseg_retain_walk_t *walk, ctseg_retain_t *out)
{
    uint64_t       after;
    ctseg_rc_t     rc;
    ctseg_pos_t    pos;
    ctseg_block_t  b;

    rc = ctseg_store_seek(walk->store, 0, out->before_ms, walk->deadline,
                          &pos);
    if (rc != CTSEG_OK) {
        return rc;
    }

    after = walk->after;

    if (after < walk->bounds.first - 1) {
        after = walk->bounds.first - 1;
    }

    if (pos.sequence <= after) {
        return CTSEG_OK;
    }

    rc = ctseg_retain_header(walk, after, &b);

    if (rc == CTSEG_OK) {
        out->held = pos.sequence - after;
        out->held_since_ms = b.append_ms;
        memcpy(out->export_id, walk->export_id, sizeof(out->export_id));
    }

    return rc == CTSEG_AGAIN ? CTSEG_OK : rc;
}


ctseg_rc_t
ctseg_retain_look(ctseg_store_t *s, int64_t before_ms, int64_t now_ms,
    int64_t deadline, ctseg_retain_t *out, ctseg_err_t *err)
{
    ctseg_rc_t           rc;
    ctseg_block_t        front;
    ctseg_retain_walk_t  walk;

    memset(out, 0, sizeof(ctseg_retain_t));
    out->before_ms = before_ms;

    memset(&walk, 0, sizeof(ctseg_retain_walk_t));
    walk.store = s;
    walk.now_ms = now_ms;
    walk.deadline = deadline;
    walk.err = err;
    walk.after = UINT64_MAX;

    rc = ctseg_store_bounds(s, 0, deadline, &walk.bounds);

    if (rc != CTSEG_OK || walk.bounds.first == 0) {
        return rc;
    }

    rc = ctseg_retain_header(&walk, walk.bounds.first - 1, &front);

    if (rc != CTSEG_OK) {
        return rc == CTSEG_AGAIN ? CTSEG_OK : rc;
    }

    if (!front.damaged && front.append_ms >= before_ms) {
        return CTSEG_OK;
    }

    rc = ctseg_active_list(s, ctseg_retain_export, &walk, NULL, err);

    if (rc == CTSEG_OK) {
        rc = walk.rc;
    }

    if (rc != CTSEG_OK) {
        return rc;
    }

    out->keep_from = walk.after == UINT64_MAX ? UINT64_MAX : walk.after + 1;

    /* several that are damaged are one here, and go one by one */

    out->due = (front.damaged ? front.first : ctseg_block_last(&front))
               < out->keep_from;

    return walk.after == UINT64_MAX ? CTSEG_OK
                                    : ctseg_retain_held(&walk, out);
}
