/*
 * Prometheus' text format, version 0.0.4: one family after the other, each
 * with its HELP and TYPE before its samples.  Values are whole numbers of a
 * unit and are written in the unit that the name says, so that no sum loses
 * anything in a double.  Any thread.
 */

#ifndef CTSEG_PROM_H
#define CTSEG_PROM_H


#include "ctseg_mem.h"


#define CTSEG_PROM_BUCKETS  16          /* at most, the last one included */


typedef enum {
    CTSEG_PROM_COUNTER = 0,
    CTSEG_PROM_GAUGE,
    CTSEG_PROM_HISTOGRAM
} ctseg_prom_type_t;


typedef struct {
    const char  *name;
    const char  *value;                 /* any bytes; escaped here */
} ctseg_prom_label_t;


typedef struct {
    ctseg_buf_t        *out;
    const char         *name;           /* of the family under way */
} ctseg_prom_t;


/* begin a family; help is one line */

void ctseg_prom_family(ctseg_prom_t *p, ctseg_prom_type_t type,
    const char *name, const char *help);

/*
 * One sample of the family: value / scale, where scale is a power of ten and
 * 1 for a whole number.
 */

void ctseg_prom_sample(ctseg_prom_t *p, const ctseg_prom_label_t *labels,
    unsigned nlabels, uint64_t value, uint64_t scale);


/*
 * A histogram: bounds ascend, inclusive, and behind the last of them is one
 * bucket more without a bound.  The sum and the bounds are in the same unit.
 */

typedef struct {
    unsigned         nbounds;           /* less than CTSEG_PROM_BUCKETS */
    uint64_t         scale;
    const uint64_t  *bounds;
} ctseg_prom_buckets_t;

/* which bucket of counts takes this value */

unsigned ctseg_prom_bucket(const ctseg_prom_buckets_t *b, uint64_t value);

/* counts has nbounds + 1 buckets, each with its own values only; one label
   or none */

void ctseg_prom_histogram(ctseg_prom_t *p, const ctseg_prom_label_t *label,
    const ctseg_prom_buckets_t *b, const uint64_t *counts, uint64_t sum);


#endif /* CTSEG_PROM_H */
