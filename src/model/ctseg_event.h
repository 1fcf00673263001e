/*
 * One collected event, as it lies in the log.  Strings are kept as the raw
 * inside of the JSON string that brought them (validated, still escaped), so
 * that an export copies bytes and neither parses nor escapes again.
 * Any thread.
 */

#ifndef CTSEG_EVENT_H
#define CTSEG_EVENT_H


#include "ctseg_catalog.h"


/* CleverTap's identity fields, in the order of their storage */

typedef enum {
    CTSEG_ID_IDENTITY = 0,
    CTSEG_ID_OBJECT,
    CTSEG_ID_EMAIL,
    CTSEG_ID_PHONE,
    CTSEG_ID_FBID,
    CTSEG_ID_GPID,
    CTSEG_ID_N
} ctseg_id_e;

#define CTSEG_ID_LEN_MAX     512        /* bytes of one identity, raw */
#define CTSEG_NAME_LEN_MAX   1024       /* bytes of an event name, raw */
#define CTSEG_PROPS_LEN_MAX  28000      /* bytes of the properties, raw: with
                                           every other part of a message this
                                           stays below Segment's 32,000 */
#define CTSEG_PROPS_N_MAX    256        /* CleverTap: properties per event */


/* slices are borrowed from whoever filled the struct */

typedef struct {
    unsigned     kind;
    int64_t      time_ms;               /* event time, UTC */
    ctseg_str_t  name;                  /* raw; empty when kind != 0 */
    ctseg_str_t  id[CTSEG_ID_N];        /* raw; empty counts as absent */
    ctseg_str_t  props;                 /* raw JSON object with its braces, or
                                           empty: no properties */
    ctseg_str_t  own_id;                /* raw; the client's own id of it, or
                                           empty; not part of the log */
} ctseg_event_t;


/*
 * Bytes of one event in a block, little-endian:
 *
 *   u32 size of the whole record
 *   u8  kind
 *   u8  bit i set: id[i] is present
 *   u16 length of name
 *   i64 time_ms
 *   u16 length of each id present, in order
 *   name, ids, props (the rest)
 */

/* append one event; the caller has checked the limits above */

void ctseg_event_encode(ctseg_buf_t *out, const ctseg_event_t *ev);

/*
 * Take one event off the front of *in.  Slices point into it.  CORRUPT if
 * the lengths do not fit (then *in is unchanged), NOTFOUND when *in is empty.
 */

ctseg_rc_t ctseg_event_decode(ctseg_str_t *in, ctseg_event_t *ev);


#endif /* CTSEG_EVENT_H */
