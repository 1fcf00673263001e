/*
 * CleverTap's upload body: {"d":[record, ...]} (developer docs, "Upload
 * Events", "Upload User Profiles"), with its per-record codes ("API Errors").
 * Any thread; no clock.
 */

#ifndef CTSEG_UPLOAD_H
#define CTSEG_UPLOAD_H


#include "ctseg_intake.h"


#define CTSEG_UPLOAD_RECORDS_MAX  1000  /* "Upload Events": per call */


/*
 * What became of one body.  A zeroed struct is ready; it can be used again
 * after ctseg_upload_reset, and keeps its memory.  Events are slices of the
 * body, which must outlive them; those of a webhook also of "own", and end
 * with the next reset.
 */

typedef struct {
    ctseg_event_t  *events;         /* the good ones, in order, profiles
                                       among them */
    unsigned        nevents;
    unsigned        allocated;
    unsigned        nfailed;
    unsigned        refused[CTSEG_REFUSAL_N];   /* nfailed by reason */
    ctseg_buf_t     unprocessed;    /* JSON items with commas between them */
    ctseg_buf_t     own;            /* what of the events is no slice of the
                                       body */
} ctseg_upload_t;


/*
 * Parse a body received at now_ms (the default ts).  OK: it was well formed,
 * each record has a verdict.  INVALID: not JSON, not {"d":[...]}, invalid
 * UTF-8 or too deep; err says what and where.  TOOBIG: more records than
 * allowed.  NOMEM.
 */

ctseg_rc_t ctseg_upload_parse(ctseg_upload_t *u, ctseg_str_t body,
    int64_t now_ms, ctseg_err_t *err);

void ctseg_upload_reset(ctseg_upload_t *u);
void ctseg_upload_free(ctseg_upload_t *u);

/* the answer to a well-formed body: success, partial or fail; status 200 */

void ctseg_upload_render(ctseg_buf_t *out, const ctseg_upload_t *u);

/* the same where all of so many records were good; its length */

#define CTSEG_UPLOAD_PLAIN_MAX  80

size_t ctseg_upload_plain(char out[CTSEG_UPLOAD_PLAIN_MAX], unsigned n);

/*
 * The answer to anything else, as CleverTap words it: {"status":"fail",
 * "error":...,"code":status}, with a "detail" when that is not NULL.
 */

void ctseg_upload_render_fail(ctseg_buf_t *out, int status,
    const char *error, const char *detail);

/*
 * For readers of other bodies whose result has this form: the verdict on one
 * record.  After "open" the reason goes into u->unprocessed; "close" keeps it
 * with the record's text, or takes it back and adds the event when code is 0.
 * false: no memory for the event.
 */

size_t ctseg_upload_open(ctseg_upload_t *u);
bool ctseg_upload_close(ctseg_upload_t *u, size_t mark, int code,
    const ctseg_event_t *ev, ctseg_str_t record);


#endif /* CTSEG_UPLOAD_H */
