/*
 * The events that CleverTap names itself: 21 system events, 18 engagement
 * events, 23 names in all (engagement is no subset of system).  One table.
 * Any thread.
 */

#ifndef CTSEG_CATALOG_H
#define CTSEG_CATALOG_H


#include "../base/ctseg_mem.h"


/*
 * A kind is the number of a catalogued name.  It is stored in the log, so a
 * number never changes its meaning; 0 is a name outside the catalog.  Kinds
 * fit a 64-bit set: bit (1 << kind).
 */

#define CTSEG_KIND_CUSTOM  0
#define CTSEG_KIND_LAST    23
#define CTSEG_KIND_PROFILE 63           /* no event: what changed of a
                                           profile */

typedef uint64_t  ctseg_kinds_t;

#define ctseg_kind_bit(kind)  ((ctseg_kinds_t) 1 << (kind))


typedef enum {
    CTSEG_SET_SYSTEM = 1,
    CTSEG_SET_SELECTED,
    CTSEG_SET_ENGAGEMENT,
    CTSEG_SET_ALL
} ctseg_set_t;


/* name of a kind, empty for 0 and unknown ones; static storage */

ctseg_str_t ctseg_catalog_name(unsigned kind);

/*
 * Kind of a decoded name, 0 if it is not catalogued: without regard to the
 * case of letters, to spaces and to the number of a noun, so that "push
 * impression" is one; and compared byte by byte.
 */

unsigned ctseg_catalog_find(ctseg_str_t name);
unsigned ctseg_catalog_exact(ctseg_str_t name);

/* members of SYSTEM, ENGAGEMENT, or ALL (custom ones included) */

ctseg_kinds_t ctseg_catalog_set(ctseg_set_t set);

/* "system", "selected", "engagement", "all"; 0 / NULL if unknown */

ctseg_set_t ctseg_set_parse(ctseg_str_t s);
const char *ctseg_set_name(ctseg_set_t set);

/* {"system":[{"name":...,"description":...}],"engagement":[...]} */

void ctseg_catalog_render(ctseg_buf_t *out);


#endif /* CTSEG_CATALOG_H */
