/*
 * Two identify messages of the same profile as one with the latest of its
 * traits.  Any thread; no clock.
 */

#ifndef CTSEG_IDENTIFY_H
#define CTSEG_IDENTIFY_H


#include "ctseg_message.h"


/*
 * Whom a message of the encoder is about, both its ids as they stand in it:
 * equal for two messages of one profile.
 */

ctseg_str_t ctseg_identify_who(const ctseg_encoder_t *enc,
    ctseg_str_t message);

/*
 * Append the newer message with the traits of both.  Its messageId ends with
 * the sequence of its newest and that of its oldest update ("first"): another
 * batch that puts others together sends another id, since Segment takes an id
 * once.  INVALID: it would be too large, nothing is appended.  NOMEM.
 */

ctseg_rc_t ctseg_identify_merge(ctseg_buf_t *out, const ctseg_encoder_t *enc,
    ctseg_str_t older, ctseg_str_t newer, uint64_t first);


#endif /* CTSEG_IDENTIFY_H */
