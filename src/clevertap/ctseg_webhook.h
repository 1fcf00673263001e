/*
 * The body of a campaign's webhook (developer docs, "Webhooks"):
 * {"targetId":..., "key_values":{...}, "profiles":[...] or {...}}.  Each
 * profile becomes one event.  Names of members are taken in any case, since
 * CleverTap's page has them in two.
 *
 * name        the caller's, else key_values.event, else "Webhook Delivered"
 * time        key_values.ts when it is an instant, else now_ms
 * identities  as of an upload, but an email or a phone is enough; without an
 *             identity the first of all_identities
 * properties  event_properties, "Campaign id" with the targetId, and
 *             key_values without its "event"; of one name that occurs in
 *             several the last in this order counts.  Values of any type:
 *             what CleverTap itself sends is not held against the rules of
 *             its upload, but for their number and size
 *
 * What else is known of a profile (profileData, systemProfileData, name,
 * session_props, push_token) is not taken.  Any thread; no clock.
 */

#ifndef CTSEG_WEBHOOK_H
#define CTSEG_WEBHOOK_H


#include "ctseg_upload.h"


#define CTSEG_WEBHOOK_PROFILES_MAX  1000
#define CTSEG_WEBHOOK_OWN_MAX       (8 * 1024 * 1024)   /* bytes of all
                                           properties of one body: what its
                                           profiles share is there once for
                                           each of them */


/*
 * For a location that takes both: has the root object a member "profiles"
 * before any "d".  Cheap: no memory, stops there.  Any bytes; whether they
 * are well formed is for the parser to say.
 */

bool ctseg_webhook_is(ctseg_str_t body);

/*
 * Parse a body received at now_ms into u, which is zeroed or reset.  event is
 * the name as text, or empty.  OK: it was well formed, each profile has a
 * verdict, and the answer is that of an upload.  INVALID: not JSON, invalid
 * UTF-8 or too deep, no object, without profiles, or with two of them; err
 * says what and where.  TOOBIG: more profiles than allowed.  NOMEM.
 */

ctseg_rc_t ctseg_webhook_parse(ctseg_upload_t *u, ctseg_str_t body,
    ctseg_str_t event, int64_t now_ms, ctseg_err_t *err);


#endif /* CTSEG_WEBHOOK_H */
