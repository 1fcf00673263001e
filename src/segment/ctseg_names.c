/*
 * One table of the families; docs/mapping.md has the same.  What a name is
 * compared by, its letters and digits in small, is made of the name at hand
 * and of the table's own first spelling, which is right as it stands.
 */

#include "../base/ctseg_json.h"
#include "../base/ctseg_str.h"
#include "ctseg_names.h"

#include <string.h>


#define CTSEG_NAMES_PLAIN   24          /* more bytes has no plain name */
#define CTSEG_NAMES_DEPTH   64


typedef struct {
    ctseg_str_t  plain;
    ctseg_str_t  first;
} ctseg_names_entry_t;


static const ctseg_names_entry_t  ctseg_names[CTSEG_FAMILY_N] = {
    [CTSEG_FAMILY_CAMPAIGN_ID] = { ctseg_string("campaignid"),
                                   ctseg_string("Campaign Id") },
    [CTSEG_FAMILY_CAMPAIGN_NAME] = { ctseg_string("campaignname"),
                                     ctseg_string("Campaign name") },
    [CTSEG_FAMILY_CAMPAIGN_TYPE] = { ctseg_string("campaigntype"),
                                     ctseg_string("Campaign type") },
    [CTSEG_FAMILY_CAMPAIGN_LABELS] = { ctseg_string("campaignlabels"),
                                       ctseg_string("Campaign labels") },
    [CTSEG_FAMILY_JOURNEY_ID] = { ctseg_string("journeyid"),
                                  ctseg_string("Journey Id") },
    [CTSEG_FAMILY_JOURNEY_NAME] = { ctseg_string("journeyname"),
                                    ctseg_string("Journey name") },
    [CTSEG_FAMILY_APP_VERSION] = { ctseg_string("ctappversion"),
                                   ctseg_string("CT App Version") },
    [CTSEG_FAMILY_SDK_VERSION] = { ctseg_string("ctsdkversion"),
                                   ctseg_string("CT SDK Version") },
    [CTSEG_FAMILY_OS_VERSION] = { ctseg_string("ctosversion"),
                                  ctseg_string("CT OS Version") },
    [CTSEG_FAMILY_SOURCE] = { ctseg_string("ctsource"),
                              ctseg_string("CT Source") },
    [CTSEG_FAMILY_SESSION_ID] = { ctseg_string("ctsessionid"),
                                  ctseg_string("CT Session Id") },
    [CTSEG_FAMILY_CARRIER] = { ctseg_string("ctnetworkcarrier"),
                               ctseg_string("CT Network Carrier") },
    [CTSEG_FAMILY_NETWORK_TYPE] = { ctseg_string("ctnetworktype"),
                                    ctseg_string("CT Network Type") },
    [CTSEG_FAMILY_WIFI] = { ctseg_string("ctconnectedtowifi"),
                            ctseg_string("CT Connected To WiFi") },
    [CTSEG_FAMILY_BLUETOOTH] = { ctseg_string("ctbluetoothenabled"),
                                 ctseg_string("CT Bluetooth Enabled") },
    [CTSEG_FAMILY_BLUETOOTH_VERSION] = { ctseg_string("ctbluetoothversion"),
                                   ctseg_string("CT Bluetooth Version") },
    [CTSEG_FAMILY_CT_LATITUDE] = { ctseg_string("ctlatitude"),
                                   ctseg_string("CT Latitude") },
    [CTSEG_FAMILY_CT_LONGITUDE] = { ctseg_string("ctlongitude"),
                                    ctseg_string("CT Longitude") },

    [CTSEG_FAMILY_MAKE] = { ctseg_string("make"), ctseg_string("Make") },
    [CTSEG_FAMILY_MODEL] = { ctseg_string("model"), ctseg_string("Model") },
    [CTSEG_FAMILY_PLATFORM] = { ctseg_string("platform"),
                                ctseg_string("Platform") },
    [CTSEG_FAMILY_LATITUDE] = { ctseg_string("latitude"),
                                ctseg_string("latitude") },
    [CTSEG_FAMILY_LONGITUDE] = { ctseg_string("longitude"),
                                 ctseg_string("longitude") },
    [CTSEG_FAMILY_LAT] = { ctseg_string("lat"), ctseg_string("Lat") },
    [CTSEG_FAMILY_LONG] = { ctseg_string("long"), ctseg_string("Long") },
    [CTSEG_FAMILY_CLEVERTAP_ID] = { ctseg_string("clevertapid"),
                                    ctseg_string("clevertapId") },
    [CTSEG_FAMILY_UTM_SOURCE] = { ctseg_string("utmsource"),
                                  ctseg_string("utm_source") },
    [CTSEG_FAMILY_UTM_MEDIUM] = { ctseg_string("utmmedium"),
                                  ctseg_string("utm_medium") },
    [CTSEG_FAMILY_UTM_CAMPAIGN] = { ctseg_string("utmcampaign"),
                                    ctseg_string("utm_campaign") },
    [CTSEG_FAMILY_UTM_TERM] = { ctseg_string("utmterm"),
                                ctseg_string("utm_term") },
    [CTSEG_FAMILY_UTM_CONTENT] = { ctseg_string("utmcontent"),
                                   ctseg_string("utm_content") }
};


/* a name of a family that is to become canonical, raw */

typedef struct {
    ctseg_str_t  raw;                   /* empty: none, or it is so already */
    bool         seen;
} ctseg_names_found_t;


ctseg_family_t
ctseg_names_family(ctseg_str_t name)
{
    char         c, plain[CTSEG_NAMES_PLAIN];
    size_t       i, len;
    unsigned     family;
    ctseg_str_t  s;

    for (i = 0, len = 0; i < name.len; i++) {
        c = name.data[i];

        if (c == ' ' || c == '_') {
            continue;
        }

        if (len == sizeof(plain)) {
            return CTSEG_FAMILY_NONE;
        }

        plain[len++] = c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
    }

    s.data = plain;
    s.len = len;

    for (family = 1; family < CTSEG_FAMILY_N; family++) {
        if (ctseg_str_eq(s, ctseg_names[family].plain)) {
            return (ctseg_family_t) family;
        }
    }

    return CTSEG_FAMILY_NONE;
}


bool
ctseg_names_is_first(ctseg_family_t family, ctseg_str_t name)
{
    return ctseg_str_eq(name, ctseg_names[family].first);
}


static bool
ctseg_names_token(void *data, const ctseg_json_token_t *t)
{
    ctseg_family_t        family;
    ctseg_names_found_t  *found;

    if (t->type != CTSEG_JSON_KEY || t->depth != 0) {
        return true;
    }

    family = ctseg_names_family(t->text);

    if (family == CTSEG_FAMILY_NONE || family > CTSEG_FAMILY_CANONICAL) {
        return true;
    }

    found = data;
    found += family;

    if (ctseg_names_is_first(family, t->text)) {
        found->raw.len = 0;

    } else if (!found->seen) {
        found->raw = t->raw;
    }

    found->seen = true;

    return true;
}


/* the next name that changes, in the order of the text; or NONE */

static unsigned
ctseg_names_next(const ctseg_names_found_t *found, const char *from)
{
    unsigned  i, next;

    next = CTSEG_FAMILY_NONE;

    for (i = 1; i <= CTSEG_FAMILY_CANONICAL; i++) {
        if (found[i].raw.len != 0
            && found[i].raw.data >= from
            && (next == CTSEG_FAMILY_NONE
                || found[i].raw.data < found[next].raw.data))
        {
            next = i;
        }
    }

    return next;
}


ctseg_rc_t
ctseg_names_write(ctseg_buf_t *out, ctseg_str_t props)
{
    unsigned              next;
    ctseg_rc_t            rc;
    const char           *from;
    ctseg_names_found_t   found[CTSEG_FAMILY_CANONICAL + 1];

    memset(found, 0, sizeof(found));

    rc = ctseg_json_scan(props, CTSEG_NAMES_DEPTH, ctseg_names_token, found,
                         NULL);

    if (rc == CTSEG_NOMEM) {
        return rc;
    }

    from = props.data;
    next = rc == CTSEG_OK ? ctseg_names_next(found, from)
                          : CTSEG_FAMILY_NONE;

    if (next == CTSEG_FAMILY_NONE) {
        return CTSEG_NOTFOUND;
    }

    for ( /* void */ ; next != CTSEG_FAMILY_NONE;
         next = ctseg_names_next(found, from))
    {
        ctseg_buf_add(out, from, (size_t) (found[next].raw.data - from));
        ctseg_buf_char(out, '"');
        ctseg_buf_str(out, ctseg_names[next].first);
        ctseg_buf_char(out, '"');

        from = found[next].raw.data + found[next].raw.len;
    }

    ctseg_buf_add(out, from, (size_t) (props.data + props.len - from));

    return out->failed ? CTSEG_NOMEM : CTSEG_OK;
}
