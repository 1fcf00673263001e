/*
 * When are two records the same event, if neither has an id of its own?
 * Name without regard to case and spaces, second of the wall clock in the
 * account zone, and properties are equal, and they share an identity.
 * Properties are compared whatever their order, escapes and spelling of
 * numbers; those that CleverTap adds on the way ("CT ..." and "ct_...") do
 * not count, nor do those that are null.  Any thread; no clock.
 */

#ifndef CTSEG_CONTENT_H
#define CTSEG_CONTENT_H


#include "../base/ctseg_hash.h"
#include "../base/ctseg_time.h"
#include "ctseg_event.h"


typedef struct {
    uint64_t  ids[CTSEG_ID_N];          /* a hash of all of it and this
                                           identity; 0: it has none */
    unsigned  nids;                     /* how many are not 0 */
    uint64_t  identity;                 /* hash of ids[CTSEG_ID_IDENTITY]'s
                                           text alone; 0: none.  Two that both
                                           have one have the same, or are not
                                           the same event */
} ctseg_content_t;


/* NOMEM */

ctseg_rc_t ctseg_content(const ctseg_event_t *ev, const ctseg_zone_t *zone,
    ctseg_hash_t *h, ctseg_content_t *out);

/* append a raw name in the one spelling in which names are compared; NOMEM */

ctseg_rc_t ctseg_content_name(ctseg_buf_t *out, ctseg_str_t raw);


#endif /* CTSEG_CONTENT_H */
