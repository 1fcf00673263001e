/*
 * The answers of CleverTap's Get Events API (developer docs, "Get Events"):
 * a POST opens a walk and is answered with a cursor, a GET with a cursor is
 * answered with a page of records and the next cursor; the last page has
 * none.  Record:
 *
 *   {"profile":{"objectId":..., "identity":..., "email":..., "phone":...,
 *               "name":..., "profileData":{...}, ...},
 *    "ts":20260102030405, "event_props":{...}, "session_props":{...},
 *    "items":[{...}]}
 *
 * Any thread; no clock.
 */

#ifndef CTSEG_PULL_H
#define CTSEG_PULL_H


#include "../base/ctseg_time.h"
#include "ctseg_intake.h"


#define CTSEG_PULL_BATCH       5000     /* records of a page at most */
#define CTSEG_PULL_CURSOR_MAX  16384    /* bytes of a cursor */
#define CTSEG_PULL_ERRORS_MAX  5        /* bad records told of one page */


/* what an answer means for the walk */

typedef enum {
    CTSEG_PULL_PAGE = 0,                /* records, perhaps none; cursor says
                                           whether there is more */
    CTSEG_PULL_OPENED,                  /* a cursor, no records yet */
    CTSEG_PULL_BUSY,                    /* the same request in some seconds */
    CTSEG_PULL_THROTTLED,               /* the same after a minute */
    CTSEG_PULL_FORBIDDEN,               /* this event is not for export */
    CTSEG_PULL_DENIED,                  /* account, passcode, region */
    CTSEG_PULL_LOST,                    /* the cursor is not known (any more):
                                           open the walk again */
    CTSEG_PULL_FAILED,                  /* of the network or a server: again,
                                           with growing pauses */
    CTSEG_PULL_WRONG                    /* nothing we understand: a 4xx, or no
                                           JSON */
} ctseg_pull_rc_t;


/*
 * Zero it and set what is above the line; what is below holds for the answer
 * that was read last.
 */

typedef struct {
    const ctseg_zone_t  *zone;          /* ts is its wall time */
    ctseg_str_t          name;          /* raw inside; of the events asked for,
                                           which a page does not repeat */
    bool                 opens;         /* the answer is that of the POST: it
                                           has a cursor or records, or is
                                           WRONG */

    /* ---- */

    ctseg_pull_rc_t      rc;
    ctseg_buf_t          cursor;        /* of the next page, decoded (no
                                           percent signs); empty: it was the
                                           last one */
    char                 text[160];     /* of an answer that is none of the
                                           first two: what it said */

    uint64_t             good;          /* records that are events */
    uint64_t             failed;        /* records that are not */
    ctseg_buf_t          unprocessed;   /* JSON items as those of an upload,
                                           with "record" being its number in
                                           the page from 1; commas between.
                                           Also of profiles that are too
                                           large, whose events are good */
    unsigned             told;          /* how many items */
} ctseg_pull_t;


/* the body of the POST; dates are days of the account, inclusive */

void ctseg_pull_body(ctseg_buf_t *out, ctseg_str_t name,
    const ctseg_civil_t *from, const ctseg_civil_t *to);

/*
 * Path and query, to be put behind the URL of the API (no slash at its end).
 * profiles: the profiles of records come with their profileData.
 */

void ctseg_pull_open_path(ctseg_buf_t *out, bool profiles);
void ctseg_pull_page_path(ctseg_buf_t *out, ctseg_str_t cursor);

/*
 * Take an answer in: p->rc says what it is.  "profiles": also take what a
 * record says of its profile.  Of a page each good record is handed to
 * "record" in order, with slices that are valid during the call only: its
 * event, and with profiles what is known of who did it as an event of kind
 * CTSEG_KIND_PROFILE (its time is 0; the caller sets it), or NULL when that
 * is nothing but identities.  "record" answers false when it lacks memory.
 * NOMEM (p->rc does not count then) or OK.
 *
 * Nothing is handed over of an answer that is not understood as a whole: one
 * that is cut is FAILED, one of more than CTSEG_PULL_BATCH records WRONG.
 */

typedef bool (*ctseg_pull_record_pt)(void *data, const ctseg_event_t *ev,
    const ctseg_event_t *profile);

ctseg_rc_t ctseg_pull_read(ctseg_pull_t *p, int status, ctseg_str_t body,
    bool profiles, ctseg_pull_record_pt record, void *data);

void ctseg_pull_free(ctseg_pull_t *p);


#endif /* CTSEG_PULL_H */
