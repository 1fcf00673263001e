/*
 * The vocabulary that every room shares: result codes, a counted string,
 * an error with a text, a list of wrong fields.  No nginx header, no statics.
 */

#ifndef CTSEG_H
#define CTSEG_H


#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>


#define CTSEG_VERSION  "0.1.0"


/*
 * What a call may answer.  The first ten are the store interface's words;
 * RETRY means "certainly not applied", AMBIGUOUS "perhaps applied".
 */

typedef enum {
    CTSEG_OK = 0,
    CTSEG_AGAIN,            /* nothing (more) there now */
    CTSEG_NOTFOUND,
    CTSEG_CONFLICT,         /* somebody else changed it first */
    CTSEG_TRIMMED,          /* older than what is kept */
    CTSEG_INVALID,          /* the caller's input is wrong */
    CTSEG_RETRY,
    CTSEG_AMBIGUOUS,
    CTSEG_FULL,
    CTSEG_FATAL,
    CTSEG_NOMEM,
    CTSEG_CORRUPT,          /* stored bytes fail their own check */
    CTSEG_TOOBIG
} ctseg_rc_t;


/* layout of ngx_str_t, asserted in bridge; not NUL-terminated */

typedef struct {
    size_t       len;
    const char  *data;
} ctseg_str_t;

#define ctseg_string(s)  { sizeof(s) - 1, s }


/* filled by the callee when it answers anything but OK; never secret text */

typedef struct {
    ctseg_rc_t  code;
    size_t      offset;     /* byte position in the input, where it applies */
    char        text[256];  /* NUL-terminated, no trailing full stop */
} ctseg_err_t;


/* wrong fields of one request, all of them; "n" may exceed what is kept */

#define CTSEG_PROBLEMS_MAX  32

typedef struct {
    char  field[128];       /* dotted path: frequency.every_hours */
    char  message[192];
} ctseg_problem_t;

typedef struct {
    unsigned         n;
    ctseg_problem_t  item[CTSEG_PROBLEMS_MAX];
} ctseg_problems_t;


/* short lower-case name of a result code, static storage: "not found" */

const char *ctseg_rc_name(ctseg_rc_t rc);

/* fill err (may be NULL) printf-like and return rc, for one-line returns */

ctseg_rc_t ctseg_err(ctseg_err_t *err, ctseg_rc_t rc, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* note one wrong field; past CTSEG_PROBLEMS_MAX only the count grows */

void ctseg_problem(ctseg_problems_t *p, const char *field, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));


#endif /* CTSEG_H */
