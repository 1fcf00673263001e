/*
 * What the parsers of an export's body share: one request on its way through
 * them.  Private to model.
 */

#ifndef CTSEG_EXPORT_INT_H
#define CTSEG_EXPORT_INT_H


#include "ctseg_export.h"


typedef struct {
    ctseg_export_t            *e;
    const ctseg_export_env_t  *env;
    ctseg_problems_t          *problems;
    ctseg_civil_t              today;   /* in the account zone */
    bool                       patch;   /* of an export that exists */
} ctseg_export_parse_t;


/*
 * The value of "frequency" into the fields of x->e that hold it, next_run_ms
 * of a recurring one included.  Every wrong field is noted.
 */

void ctseg_export_frequency(ctseg_export_parse_t *x,
    const ctseg_json_t *freq);

/*
 * The value of "mapping" into x->e->mapping; what it does not name stays.
 * Every wrong field is noted.
 */

void ctseg_export_mapping(ctseg_export_parse_t *x,
    const ctseg_json_t *mapping);

/* note at a field of a one time range that nothing of it is kept */

void ctseg_export_kept(ctseg_export_parse_t *x, const char *path);


#endif /* CTSEG_EXPORT_INT_H */
