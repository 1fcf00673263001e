/*
 * What the bodies of partners and exports have in common: paths of fields,
 * fields that nobody asked for, strings that are none.  Called by the two
 * parsers only.  Names out of a body are made printable before they come
 * back in an answer; values never come back at all, since one is a secret.
 */

#include "ctseg_fields.h"
#include "../base/ctseg_str.h"

#include <stdio.h>
#include <string.h>


void
ctseg_field_path(char out[CTSEG_FIELD_MAX], const char *prefix,
    ctseg_str_t name)
{
    size_t         i, n;
    unsigned char  c;

    (void) snprintf(out, CTSEG_FIELD_MAX, "%s%s", prefix,
                    *prefix != '\0' ? "." : "");

    n = strlen(out);

    for (i = 0; i < name.len && n < CTSEG_FIELD_MAX - 1; i++) {
        c = (unsigned char) name.data[i];
        out[n++] = (c < 0x20 || c == 0x7f) ? '?' : (char) c;
    }

    out[n] = '\0';

    /* the cut may have split a character */

    out[ctseg_utf8_check(ctseg_str(out))] = '\0';
}


static bool
ctseg_fields_listed(ctseg_str_t name, const char *const *list)
{
    if (list == NULL) {
        return false;
    }

    for ( /* void */ ; *list != NULL; list++) {
        if (ctseg_str_is(name, *list)) {
            return true;
        }
    }

    return false;
}


void
ctseg_fields_known(const ctseg_json_t *obj, const char *prefix,
    const char *const *known, const char *const *read_only,
    ctseg_problems_t *problems)
{
    char                 path[CTSEG_FIELD_MAX];
    const ctseg_json_t  *m;

    for (m = obj->child; m != NULL; m = m->next) {

        if (ctseg_fields_listed(m->key, known)) {
            continue;
        }

        ctseg_field_path(path, prefix, m->key);

        ctseg_problem(problems, path, "%s",
                      ctseg_fields_listed(m->key, read_only)
                      ? "is read-only" : "is not a known field");
    }
}


bool
ctseg_field_string(const ctseg_json_t *obj, const char *name,
    const char *path, ctseg_str_t *s, ctseg_problems_t *problems)
{
    const ctseg_json_t  *v;

    v = ctseg_json_get(obj, name);

    if (v == NULL) {
        return false;
    }

    if (v->type != CTSEG_JSON_STRING) {
        ctseg_problem(problems, path, "must be a string");
        return false;
    }

    *s = v->text;

    return true;
}


bool
ctseg_field_is_plain(ctseg_str_t s)
{
    size_t                i;
    const unsigned char  *p;

    p = (const unsigned char *) s.data;

    for (i = 0; i < s.len; i++) {

        if (p[i] < 0x20 || p[i] == 0x7f) {
            return false;
        }

        /* U+0080 to U+009F */

        if (p[i] == 0xc2 && i + 1 < s.len && p[i + 1] < 0xa0) {
            return false;
        }
    }

    return true;
}
