/*
 * The catalog: one table of the names that CleverTap gives to events, in the
 * order of their numbers, and the two sets made of them.  Collectors look up
 * every event's name here, exports get their masks here, the API its page.
 * Exact names are found first.  CleverTap itself takes names without regard
 * to case and spaces, and its pages write some of them in both numbers, so
 * those spellings are found as well; nothing else is guessed.
 */

#include "ctseg_catalog.h"
#include "../base/ctseg_json.h"
#include "../base/ctseg_str.h"

#include <string.h>


#define CTSEG_CATALOG_SYSTEM      21    /* kinds 1..21 are the system events */
#define CTSEG_CATALOG_ENGAGEMENT  18
#define CTSEG_CATALOG_LONGEST     26    /* bytes of the longest name */
#define CTSEG_CATALOG_SAME        4    /* names of one length, at most */
#define CTSEG_CATALOG_PLAIN       45
#define CTSEG_CATALOG_PLAIN_LEN   25   /* bytes of the longest plain name */


typedef struct {
    ctseg_str_t   name;
    const char   *description;
} ctseg_catalog_entry_t;


/* entry i is kind i + 1; kinds are stored, so append only */

static const ctseg_catalog_entry_t  ctseg_catalog[CTSEG_KIND_LAST] = {
    { ctseg_string("Notification Sent"),
      "A campaign message was handed over to its channel." },
    { ctseg_string("Notification Viewed"),
      "A person saw a message: email, in-app or web." },
    { ctseg_string("Notification Clicked"),
      "A person clicked or tapped a message." },
    { ctseg_string("Push Impressions"),
      "A push message arrived on a device." },
    { ctseg_string("Notification Replied"),
      "A person answered a message, as on WhatsApp." },
    { ctseg_string("Control Group"),
      "A campaign left a person out to measure its effect." },
    { ctseg_string("Channel Unsubscribed"),
      "A person opted out of a channel." },
    { ctseg_string("Session Concluded"),
      "A session came to its end." },
    { ctseg_string("State Transitioned"),
      "A person moved between stages of a lifecycle." },
    { ctseg_string("AB Experiment Rendered"),
      "A variant of an experiment reached a device." },
    { ctseg_string("AB Experiment Stopped"),
      "An experiment was ended." },
    { ctseg_string("AB Experiment Rolled Out"),
      "An experiment went out to its audience." },
    { ctseg_string("AB Experiment Disqualified"),
      "A device no longer fits an experiment." },
    { ctseg_string("Geocluster Entered"),
      "A device came into a geofence." },
    { ctseg_string("Geocluster Exited"),
      "A device left a geofence." },
    { ctseg_string("Reply Sent"),
      "An agent wrote back to a person." },
    { ctseg_string("App Version Changed"),
      "The app runs in another version than before." },
    { ctseg_string("App Launched"),
      "The app was opened." },
    { ctseg_string("App Installed"),
      "The app was opened for the first time." },
    { ctseg_string("App Uninstalled"),
      "The app was removed from a device." },
    { ctseg_string("UTM Visited"),
      "A visit came by a link with UTM parameters." },
    { ctseg_string("Notification Delivered"),
      "A provider confirmed that a message arrived." },
    { ctseg_string("Webhook Delivered"),
      "A campaign's webhook was answered well." }
};


/* in the order of CleverTap's own list */

static const uint8_t  ctseg_catalog_engagement[CTSEG_CATALOG_ENGAGEMENT] = {
    1, 2, 3, 4, 5, 6, 7, 22, 10,
    11, 12, 14, 15, 16, 20, 23, 9, 21
};


/* kinds by the length of their name, so that a lookup compares a few */

static const uint8_t
    ctseg_catalog_by_len[CTSEG_CATALOG_LONGEST + 1][CTSEG_CATALOG_SAME] =
{
    [10] = { 16 },
    [11] = { 21 },
    [12] = { 18 },
    [13] = { 6, 19 },
    [15] = { 20 },
    [16] = { 4 },
    [17] = { 1, 8, 15, 23 },
    [18] = { 9, 14 },
    [19] = { 2, 17 },
    [20] = { 3, 5, 7 },
    [21] = { 11 },
    [22] = { 10, 22 },
    [24] = { 12 },
    [26] = { 13 }
};


/*
 * The names in the plain form that a lookup brings other spellings to: small
 * letters without spaces, each noun in both its numbers.  Ordered by length.
 */

static const struct {
    ctseg_str_t  name;
    uint8_t      kind;
} ctseg_catalog_plain[CTSEG_CATALOG_PLAIN] =
{
    { ctseg_string("replysent"), 16 },
    { ctseg_string("utmvisited"), 21 },
    { ctseg_string("applaunched"), 18 },
    { ctseg_string("repliessent"), 16 },
    { ctseg_string("appinstalled"), 19 },
    { ctseg_string("appslaunched"), 18 },
    { ctseg_string("controlgroup"), 6 },
    { ctseg_string("appsinstalled"), 19 },
    { ctseg_string("controlgroups"), 6 },
    { ctseg_string("appuninstalled"), 20 },
    { ctseg_string("pushimpression"), 4 },
    { ctseg_string("appsuninstalled"), 20 },
    { ctseg_string("pushimpressions"), 4 },
    { ctseg_string("geoclusterexited"), 15 },
    { ctseg_string("notificationsent"), 1 },
    { ctseg_string("sessionconcluded"), 8 },
    { ctseg_string("webhookdelivered"), 23 },
    { ctseg_string("appversionchanged"), 17 },
    { ctseg_string("geoclusterentered"), 14 },
    { ctseg_string("geoclustersexited"), 15 },
    { ctseg_string("notificationssent"), 1 },
    { ctseg_string("sessionsconcluded"), 8 },
    { ctseg_string("statetransitioned"), 9 },
    { ctseg_string("webhooksdelivered"), 23 },
    { ctseg_string("appversionschanged"), 17 },
    { ctseg_string("geoclustersentered"), 14 },
    { ctseg_string("notificationviewed"), 2 },
    { ctseg_string("statestransitioned"), 9 },
    { ctseg_string("abexperimentstopped"), 11 },
    { ctseg_string("channelunsubscribed"), 7 },
    { ctseg_string("notificationclicked"), 3 },
    { ctseg_string("notificationreplied"), 5 },
    { ctseg_string("notificationsviewed"), 2 },
    { ctseg_string("abexperimentrendered"), 10 },
    { ctseg_string("abexperimentsstopped"), 11 },
    { ctseg_string("channelsunsubscribed"), 7 },
    { ctseg_string("notificationsclicked"), 3 },
    { ctseg_string("notificationsreplied"), 5 },
    { ctseg_string("abexperimentrolledout"), 12 },
    { ctseg_string("abexperimentsrendered"), 10 },
    { ctseg_string("notificationdelivered"), 22 },
    { ctseg_string("abexperimentsrolledout"), 12 },
    { ctseg_string("notificationsdelivered"), 22 },
    { ctseg_string("abexperimentdisqualified"), 13 },
    { ctseg_string("abexperimentsdisqualified"), 13 }
};


/* where the plain names of each length begin */

static const uint8_t
    ctseg_catalog_plain_of[CTSEG_CATALOG_PLAIN_LEN + 2] =
{
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2,
    4, 7, 9, 11, 13, 17, 24, 28, 33, 38, 41, 43,
    43, 44, 45
};


static const char  *const ctseg_catalog_sets[] = {
    NULL,
    "system",
    "selected",
    "engagement",
    "all"
};

#define CTSEG_CATALOG_SETS                                                   \
    (sizeof(ctseg_catalog_sets) / sizeof(ctseg_catalog_sets[0]))


ctseg_str_t
ctseg_catalog_name(unsigned kind)
{
    ctseg_str_t  none = ctseg_string("");

    if (kind == CTSEG_KIND_CUSTOM || kind > CTSEG_KIND_LAST) {
        return none;
    }

    return ctseg_catalog[kind - 1].name;
}


unsigned
ctseg_catalog_exact(ctseg_str_t name)
{
    unsigned        i, kind;
    const uint8_t  *same;

    if (name.len == 0 || name.len > CTSEG_CATALOG_LONGEST) {
        return CTSEG_KIND_CUSTOM;
    }

    same = ctseg_catalog_by_len[name.len];

    for (i = 0; i < CTSEG_CATALOG_SAME && same[i] != 0; i++) {
        kind = same[i];

        if (memcmp(ctseg_catalog[kind - 1].name.data, name.data, name.len)
            == 0)
        {
            return kind;
        }
    }

    return CTSEG_KIND_CUSTOM;
}


/* the first byte that no plain name has is the end of it */

unsigned
ctseg_catalog_find(ctseg_str_t name)
{
    char      c, plain[CTSEG_CATALOG_PLAIN_LEN];
    size_t    i, len;
    unsigned  kind, n;

    kind = ctseg_catalog_exact(name);

    if (kind != CTSEG_KIND_CUSTOM) {
        return kind;
    }

    for (i = 0, len = 0; i < name.len; i++) {
        c = name.data[i];

        if (c == ' ') {
            continue;
        }

        if (c >= 'A' && c <= 'Z') {
            c = (char) (c - 'A' + 'a');
        }

        if (c < 'a' || c > 'z' || len == sizeof(plain)) {
            return CTSEG_KIND_CUSTOM;
        }

        plain[len++] = c;
    }

    for (n = ctseg_catalog_plain_of[len]; n < ctseg_catalog_plain_of[len + 1];
         n++)
    {
        if (memcmp(ctseg_catalog_plain[n].name.data, plain, len) == 0) {
            return ctseg_catalog_plain[n].kind;
        }
    }

    return CTSEG_KIND_CUSTOM;
}


ctseg_kinds_t
ctseg_catalog_set(ctseg_set_t set)
{
    unsigned       i;
    ctseg_kinds_t  kinds;

    kinds = 0;

    switch (set) {
    case CTSEG_SET_SYSTEM:
        for (i = 1; i <= CTSEG_CATALOG_SYSTEM; i++) {
            kinds |= ctseg_kind_bit(i);
        }

        break;

    case CTSEG_SET_ENGAGEMENT:
        for (i = 0; i < CTSEG_CATALOG_ENGAGEMENT; i++) {
            kinds |= ctseg_kind_bit(ctseg_catalog_engagement[i]);
        }

        break;

    case CTSEG_SET_ALL:
        kinds = ~ctseg_kind_bit(CTSEG_KIND_PROFILE);
        break;

    default:        /* selected: the export's own choice */
        break;
    }

    return kinds;
}


ctseg_set_t
ctseg_set_parse(ctseg_str_t s)
{
    unsigned  i;

    for (i = 1; i < CTSEG_CATALOG_SETS; i++) {
        if (ctseg_str_is(s, ctseg_catalog_sets[i])) {
            return (ctseg_set_t) i;
        }
    }

    return (ctseg_set_t) 0;
}


const char *
ctseg_set_name(ctseg_set_t set)
{
    if ((size_t) set >= CTSEG_CATALOG_SETS) {
        return NULL;
    }

    return ctseg_catalog_sets[set];
}


static void
ctseg_catalog_render_one(ctseg_json_writer_t *w, unsigned kind)
{
    const ctseg_catalog_entry_t  *entry;

    entry = &ctseg_catalog[kind - 1];

    ctseg_jw_open(w, NULL, '{');
    ctseg_jw_str(w, "name", entry->name);
    ctseg_jw_cstr(w, "description", entry->description);
    ctseg_jw_close(w, '}');
}


void
ctseg_catalog_render(ctseg_buf_t *out)
{
    unsigned             i;
    ctseg_json_writer_t  w = { out, false };

    ctseg_jw_open(&w, NULL, '{');

    ctseg_jw_open(&w, "system", '[');

    for (i = 1; i <= CTSEG_CATALOG_SYSTEM; i++) {
        ctseg_catalog_render_one(&w, i);
    }

    ctseg_jw_close(&w, ']');

    ctseg_jw_open(&w, "engagement", '[');

    for (i = 0; i < CTSEG_CATALOG_ENGAGEMENT; i++) {
        ctseg_catalog_render_one(&w, ctseg_catalog_engagement[i]);
    }

    ctseg_jw_close(&w, ']');

    ctseg_jw_close(&w, '}');
}
