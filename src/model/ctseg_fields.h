/*
 * Reading the fields of a request body: what partners and exports share.
 * Internal to model; other rooms see the parsed structs only.  Any thread.
 */

#ifndef CTSEG_FIELDS_H
#define CTSEG_FIELDS_H


#include "../base/ctseg_json.h"


#define CTSEG_FIELD_MAX  128            /* a dotted path with its NUL */


/*
 * The path of a member: prefix, a dot unless prefix is empty, the name with
 * what does not print replaced and cut to fit.
 */

void ctseg_field_path(char out[CTSEG_FIELD_MAX], const char *prefix,
    ctseg_str_t name);

/*
 * Note every member of obj that is in neither list; one of read_only (may be
 * NULL) is noted as that.  Both lists end with NULL.
 */

void ctseg_fields_known(const ctseg_json_t *obj, const char *prefix,
    const char *const *known, const char *const *read_only,
    ctseg_problems_t *problems);

/*
 * The string under a name: true with *s filled; false when absent, or when
 * it is no string, which is noted under path.
 */

bool ctseg_field_string(const ctseg_json_t *obj, const char *name,
    const char *path, ctseg_str_t *s, ctseg_problems_t *problems);

/* no control character (C0, DEL, C1); s is well-formed UTF-8 */

bool ctseg_field_is_plain(ctseg_str_t s);


#endif /* CTSEG_FIELDS_H */
