/*
 * The shared words themselves: names of result codes, the filling of an
 * error and of a list of wrong fields.  Every room calls this.  Nothing here
 * allocates, and nothing here knows what the texts are about; texts that are
 * too long are cut between two characters, never inside one.
 */

#include "ctseg.h"
#include "ctseg_str.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>


static const char  *const ctseg_rc_names[] = {
    "ok",
    "again",
    "not found",
    "conflict",
    "trimmed",
    "invalid",
    "retry",
    "ambiguous",
    "full",
    "fatal",
    "out of memory",
    "corrupt",
    "too big"
};


/* a cut in the middle of a character would spoil the JSON it ends up in */

static void
ctseg_cut(char *text)
{
    ctseg_str_t  s;

    s = ctseg_str(text);
    text[ctseg_utf8_check(s)] = '\0';
}


const char *
ctseg_rc_name(ctseg_rc_t rc)
{
    if ((size_t) rc >= sizeof(ctseg_rc_names) / sizeof(ctseg_rc_names[0])) {
        return "unknown";
    }

    return ctseg_rc_names[rc];
}


ctseg_rc_t
ctseg_err(ctseg_err_t *err, ctseg_rc_t rc, const char *fmt, ...)
{
    va_list  args;

    if (err == NULL) {
        return rc;
    }

    err->code = rc;
    err->offset = 0;
    err->text[0] = '\0';

    va_start(args, fmt);
    (void) vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);

    ctseg_cut(err->text);

    return rc;
}


void
ctseg_problem(ctseg_problems_t *p, const char *field, const char *fmt, ...)
{
    va_list           args;
    ctseg_problem_t  *item;

    if (p->n < CTSEG_PROBLEMS_MAX) {
        item = &p->item[p->n];
        item->message[0] = '\0';

        (void) snprintf(item->field, sizeof(item->field), "%s", field);

        va_start(args, fmt);
        (void) vsnprintf(item->message, sizeof(item->message), fmt, args);
        va_end(args);

        ctseg_cut(item->field);
        ctseg_cut(item->message);
    }

    p->n++;
}
