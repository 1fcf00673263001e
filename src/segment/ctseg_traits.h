/*
 * The traits of an identify message ("Spec: Identify"), made of what a
 * profile update says, and of older traits.  Any thread; no clock.
 */

#ifndef CTSEG_TRAITS_H
#define CTSEG_TRAITS_H


#include "../model/ctseg_event.h"


/* of traits that are put together */

#define CTSEG_TRAITS_MAX  1024


/*
 * Append the traits of an event of the kind PROFILE as one JSON object.
 * NOMEM.
 *
 * Values are copied; $set becomes its array, $delete null.  What $add,
 * $remove, $incr and $decr make of a value is known to nobody but who has
 * the value, so these are left out.  A name that occurs twice has its last
 * value.
 */

ctseg_rc_t ctseg_traits_write(ctseg_buf_t *out, const ctseg_event_t *ev);

/*
 * Append one object of two that were written by this: what the newer one has
 * not is the older one's.  INVALID: these are too many, nothing is appended.
 * NOMEM.
 */

ctseg_rc_t ctseg_traits_merge(ctseg_buf_t *out, ctseg_str_t older,
    ctseg_str_t newer);


#endif /* CTSEG_TRAITS_H */
