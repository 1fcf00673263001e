/*
 * Families of names: CleverTap writes the name of one property in several
 * ways, "CT App Version", "CTAppVersion" and "ct_app_version".  They differ
 * in the case of letters, in spaces and underscores, and in nothing else.
 * Any thread.
 */

#ifndef CTSEG_NAMES_H
#define CTSEG_NAMES_H


#include "../base/ctseg_mem.h"


typedef enum {
    CTSEG_FAMILY_NONE = 0,

    /* with one spelling as the catalog of Segment has it */

    CTSEG_FAMILY_CAMPAIGN_ID,
    CTSEG_FAMILY_CAMPAIGN_NAME,
    CTSEG_FAMILY_CAMPAIGN_TYPE,
    CTSEG_FAMILY_CAMPAIGN_LABELS,
    CTSEG_FAMILY_JOURNEY_ID,
    CTSEG_FAMILY_JOURNEY_NAME,
    CTSEG_FAMILY_APP_VERSION,
    CTSEG_FAMILY_SDK_VERSION,
    CTSEG_FAMILY_OS_VERSION,
    CTSEG_FAMILY_SOURCE,
    CTSEG_FAMILY_SESSION_ID,
    CTSEG_FAMILY_CARRIER,
    CTSEG_FAMILY_NETWORK_TYPE,
    CTSEG_FAMILY_WIFI,
    CTSEG_FAMILY_BLUETOOTH,
    CTSEG_FAMILY_BLUETOOTH_VERSION,
    CTSEG_FAMILY_CT_LATITUDE,
    CTSEG_FAMILY_CT_LONGITUDE,

    /* of these each is right in its event; they are known for context */

    CTSEG_FAMILY_MAKE,
    CTSEG_FAMILY_MODEL,
    CTSEG_FAMILY_PLATFORM,
    CTSEG_FAMILY_LATITUDE,
    CTSEG_FAMILY_LONGITUDE,
    CTSEG_FAMILY_LAT,
    CTSEG_FAMILY_LONG,
    CTSEG_FAMILY_CLEVERTAP_ID,
    CTSEG_FAMILY_UTM_SOURCE,
    CTSEG_FAMILY_UTM_MEDIUM,
    CTSEG_FAMILY_UTM_CAMPAIGN,
    CTSEG_FAMILY_UTM_TERM,
    CTSEG_FAMILY_UTM_CONTENT,

    CTSEG_FAMILY_N
} ctseg_family_t;


#define CTSEG_FAMILY_CANONICAL  CTSEG_FAMILY_CT_LONGITUDE   /* the last with
                                                   a canonical spelling */


/* the family of a name, decoded; NONE: it is in none */

ctseg_family_t ctseg_names_family(ctseg_str_t name);

/* is it the first spelling of its family, the canonical one if it has one? */

bool ctseg_names_is_first(ctseg_family_t family, ctseg_str_t name);

/*
 * Append properties, a JSON object that is valid, with the canonical names of
 * the families that have one: OK.  Of several names of one family in them the
 * canonical one stays what it is, else the first becomes it; the others keep
 * their own, so that nothing is lost and no name stands there twice.
 * NOTFOUND: they are canonical, out is as before.  NOMEM.
 */

ctseg_rc_t ctseg_names_write(ctseg_buf_t *out, ctseg_str_t props);


#endif /* CTSEG_NAMES_H */
