/*
 * The one message that tests a partner: a track event that says of itself
 * that it is a test, in an envelope like any other.  Any thread; no clock.
 */

#ifndef CTSEG_PROBE_H
#define CTSEG_PROBE_H


#include "ctseg_batch.h"


#define CTSEG_PROBE_ID_MAX  96          /* with its NUL */


/*
 * The body into b (zeroed by the caller, freed by it in any case), and the
 * message's id: ctseg-<installation>-<fingerprint of the key>-test-<now, in
 * hexadecimal>.  b->rc tells whether the body is whole.
 */

void ctseg_probe_compose(ctseg_batch_t *b, char id[CTSEG_PROBE_ID_MAX],
    const ctseg_partner_t *p, const char *installation, int64_t now_ms);


#endif /* CTSEG_PROBE_H */
