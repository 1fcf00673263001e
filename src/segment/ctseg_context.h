/*
 * What the properties of an event say of its device and so on, as the context
 * of Segment ("Spec: Common Fields", context).  Any thread; no clock.
 */

#ifndef CTSEG_CONTEXT_H
#define CTSEG_CONTEXT_H


#include "../model/ctseg_event.h"


/*
 * Append an object: OK.  NOTFOUND: the event says nothing of it, out is as
 * before.  NOMEM.  What is no value of the type that Segment names is left
 * out; strings are as they came.
 */

ctseg_rc_t ctseg_context_write(ctseg_buf_t *out, const ctseg_event_t *ev);


#endif /* CTSEG_CONTEXT_H */
