/*
 * Cuts are made on sequence, never on a clock: an event that is being
 * committed while a run starts lies behind its cut or within it, not both.
 */

#include "ctseg_cut.h"


/* the whole log as it is now */

static ctseg_rc_t
ctseg_cut_all(ctseg_store_t *s, int64_t deadline, ctseg_cut_t *cut,
    ctseg_err_t *err)
{
    ctseg_rc_t      rc;
    ctseg_bounds_t  bounds;

    rc = ctseg_store_bounds(s, 0, deadline, &bounds);

    if (rc != CTSEG_OK) {
        return ctseg_err(err, rc, "the end of the log cannot be read: %s",
                         ctseg_rc_name(rc));
    }

    cut->incarnation = bounds.incarnation;
    cut->lo = bounds.first != 0 ? bounds.first - 1 : bounds.last;
    cut->hi = bounds.last;

    return CTSEG_OK;
}


/* not before what is kept, and not behind the end of a log made anew */

static void
ctseg_cut_after(ctseg_cut_t *cut, uint64_t lo)
{
    if (lo > cut->lo) {
        cut->lo = lo < cut->hi ? lo : cut->hi;
    }
}


ctseg_rc_t
ctseg_cut_head(ctseg_store_t *s, int64_t deadline, ctseg_cut_t *cut,
    ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    rc = ctseg_cut_all(s, deadline, cut, err);

    if (rc == CTSEG_OK) {
        cut->lo = cut->hi;
    }

    return rc;
}


ctseg_rc_t
ctseg_cut_since(ctseg_store_t *s, int64_t ms, int64_t deadline,
    ctseg_cut_t *cut, ctseg_err_t *err)
{
    ctseg_rc_t   rc;
    ctseg_pos_t  pos;

    rc = ctseg_cut_all(s, deadline, cut, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    rc = ctseg_store_seek(s, 0, ms, deadline, &pos);

    if (rc != CTSEG_OK) {
        return ctseg_err(err, rc, "the log cannot be searched: %s",
                         ctseg_rc_name(rc));
    }

    ctseg_cut_after(cut, pos.sequence);

    return CTSEG_OK;
}


ctseg_rc_t
ctseg_cut_next(ctseg_store_t *s, const ctseg_export_t *e, int64_t deadline,
    ctseg_cut_t *cut, ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    if (e->freq == CTSEG_FREQ_RECURRING && e->runs == 0) {
        return ctseg_cut_since(s, e->start_ms, deadline, cut, err);
    }

    rc = ctseg_cut_all(s, deadline, cut, err);

    /*
     * A log that was made anew is new from its first event on.  In the same
     * one nothing is passed over: what is gone meanwhile counts as expired.
     */

    if (rc == CTSEG_OK && e->freq != CTSEG_FREQ_ONE_TIME
        && e->incarnation == cut->incarnation)
    {
        cut->lo = e->cut < cut->hi ? e->cut : cut->hi;
    }

    return rc;
}
