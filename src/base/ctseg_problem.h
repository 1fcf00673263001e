/*
 * Errors of the management API as application/problem+json (RFC 9457, with
 * an "errors" member that lists wrong fields).  Any thread.
 */

#ifndef CTSEG_PROBLEM_H
#define CTSEG_PROBLEM_H


#include "ctseg_json.h"


/*
 * {type, title, status, detail, errors:[{field, message}]}.  detail and
 * problems may be NULL; the title is the status's reason phrase.
 */

void ctseg_problem_render(ctseg_buf_t *out, int status, const char *detail,
    const ctseg_problems_t *problems);

/* reason phrase of the statuses we answer: "Not Found" */

const char *ctseg_status_title(int status);


#endif /* CTSEG_PROBLEM_H */
