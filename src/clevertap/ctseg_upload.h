/*
 * CleverTap's upload body: {"d":[record, ...]} (developer docs, "Upload
 * Events"), records of type event, with its per-record codes ("API Errors").
 * Any thread; no clock.
 */

#ifndef CTSEG_UPLOAD_H
#define CTSEG_UPLOAD_H


#include "../base/ctseg_json.h"
#include "../model/ctseg_event.h"
#include "ctseg_refusal.h"


#define CTSEG_UPLOAD_RECORDS_MAX  1000  /* "Upload Events": per call */
#define CTSEG_UPLOAD_DEPTH_MAX    16    /* containers, the root included */
#define CTSEG_UPLOAD_ITEMS_MAX    256   /* Charged: Items ("Platform
                                           Considerations") */


/* record codes of CleverTap's page "API Errors" */

#define CTSEG_CODE_NO_NAME      509
#define CTSEG_CODE_STRUCTURE    512
#define CTSEG_CODE_PROPERTIES   522
#define CTSEG_CODE_NO_IDENTITY  523
#define CTSEG_CODE_TYPE         524
#define CTSEG_CODE_TS           525
#define CTSEG_CODE_OBJECT_ID    526
#define CTSEG_CODE_OTHER        555


/*
 * What became of one body.  A zeroed struct is ready; it can be used again
 * after ctseg_upload_reset, and keeps its memory.  Events are slices of the
 * body, which must outlive them.
 */

typedef struct {
    ctseg_event_t  *events;         /* the good ones, in order */
    unsigned        nevents;
    unsigned        allocated;
    unsigned        nfailed;
    unsigned        refused[CTSEG_REFUSAL_N];   /* nfailed by reason */
    ctseg_buf_t     unprocessed;    /* JSON items with commas between them */
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

/*
 * The answer to anything else, as CleverTap words it: {"status":"fail",
 * "error":...,"code":status}, with a "detail" when that is not NULL.
 */

void ctseg_upload_render_fail(ctseg_buf_t *out, int status,
    const char *error, const char *detail);


#endif /* CTSEG_UPLOAD_H */
