/*
 * The context of one event.  Properties are found by the family of their
 * names; docs/mapping.md has which becomes what.  Names without "CT" are
 * CleverTap's own in events of the catalog only: a custom event may be about
 * the make and the model of a car.
 */

#include "../base/ctseg_json.h"
#include "../base/ctseg_str.h"
#include "ctseg_context.h"
#include "ctseg_names.h"

#include <stdlib.h>
#include <string.h>


#define CTSEG_CONTEXT_DEPTH       64
#define CTSEG_CONTEXT_NUMBER_MAX  40


typedef struct {
    ctseg_json_type_t  type;
    bool               boolean;
    ctseg_str_t        inside;          /* raw, of a string without quotes;
                                           empty: there is none */
} ctseg_context_value_t;


typedef struct {
    bool                   is_custom;
    bool                   has_device;
    bool                   has_campaign;
    ctseg_family_t         family;      /* of the property at hand */
    bool                   first;
    ctseg_context_value_t  value[CTSEG_FAMILY_N];
} ctseg_context_t;


/* one object of the context, opened by its first member */

typedef struct {
    ctseg_buf_t  *buf;
    bool          any;                  /* of the context */
    const char   *name;
    bool          open;
} ctseg_context_out_t;


/* ---- collecting ---- */


static bool
ctseg_context_is_known(const ctseg_context_t *c, ctseg_family_t family)
{
    if (family == CTSEG_FAMILY_NONE) {
        return false;
    }

    if (family <= CTSEG_FAMILY_CANONICAL) {
        return true;
    }

    if (family >= CTSEG_FAMILY_UTM_SOURCE) {
        return c->has_campaign;
    }

    if (family <= CTSEG_FAMILY_PLATFORM) {
        return c->has_device;
    }

    return !c->is_custom;
}


/* the inside of a string, empty when there are but spaces */

static ctseg_str_t
ctseg_context_inside(const ctseg_json_token_t *t)
{
    size_t       i;
    ctseg_str_t  inside;

    inside = t->raw;

    if (t->type == CTSEG_JSON_STRING) {
        inside.data++;
        inside.len -= 2;

        for (i = 0; i < t->text.len && t->text.data[i] == ' '; i++) {
            /* void */
        }

        if (i == t->text.len) {
            inside.len = 0;
        }
    }

    return inside;
}


static bool
ctseg_context_token(void *data, const ctseg_json_token_t *t)
{
    ctseg_context_t        *c;
    ctseg_context_value_t  *v;

    c = data;

    if (t->depth == 0) {
        if (t->type == CTSEG_JSON_KEY) {
            c->family = ctseg_names_family(t->text);
            c->first = ctseg_names_is_first(c->family, t->text);
        }

        return true;
    }

    if (t->depth != 1 || !ctseg_context_is_known(c, c->family)) {
        return true;
    }

    v = &c->value[c->family];

    /* of several names the first spelling, else what comes first */

    if (v->inside.len != 0 && !c->first) {
        return true;
    }

    switch (t->type) {

    case CTSEG_JSON_STRING:
    case CTSEG_JSON_NUMBER:
    case CTSEG_JSON_BOOL:
        v->type = t->type;
        v->boolean = t->boolean;
        v->inside = ctseg_context_inside(t);
        break;

    default:
        break;
    }

    return true;
}


/* ---- values ---- */


static bool
ctseg_context_is(ctseg_str_t s, const char *lower)
{
    char    c;
    size_t  i;

    if (s.len != strlen(lower)) {
        return false;
    }

    for (i = 0; i < s.len; i++) {
        c = s.data[i];
        c = c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;

        if (c != lower[i]) {
            return false;
        }
    }

    return true;
}


static bool
ctseg_context_bool(const ctseg_context_value_t *v, bool *yes)
{
    if (v->inside.len == 0) {
        return false;
    }

    if (v->type == CTSEG_JSON_BOOL) {
        *yes = v->boolean;
        return true;
    }

    *yes = ctseg_context_is(v->inside, "true") || ctseg_str_is(v->inside, "1");

    return *yes
           || ctseg_context_is(v->inside, "false")
           || ctseg_str_is(v->inside, "0");
}


/* the kinds of network of CleverTap's SDKs */

static bool
ctseg_context_cellular(const ctseg_context_value_t *v, bool *yes)
{
    size_t  i;

    static const char  *const generations[] = { "2g", "3g", "4g", "5g" };

    for (i = 0; i < sizeof(generations) / sizeof(generations[0]); i++) {
        if (ctseg_context_is(v->inside, generations[i])) {
            *yes = true;
            return true;
        }
    }

    *yes = false;

    return ctseg_context_is(v->inside, "wifi");
}


/* the text of a number of JSON, also when it came as a string */

static bool
ctseg_context_is_number(ctseg_str_t s)
{
    size_t  i, digits;

    i = s.len != 0 && s.data[0] == '-' ? 1 : 0;

    if (i + 1 < s.len && s.data[i] == '0' && s.data[i + 1] != '.') {
        return false;
    }

    for (digits = 0; i < s.len && s.data[i] >= '0' && s.data[i] <= '9';
         i++)
    {
        digits++;
    }

    if (digits == 0 || i == s.len) {
        return digits != 0;
    }

    if (s.data[i++] != '.') {
        return false;
    }

    for (digits = 0; i < s.len && s.data[i] >= '0' && s.data[i] <= '9';
         i++)
    {
        digits++;
    }

    return digits != 0 && i == s.len;
}


static bool
ctseg_context_degrees(const ctseg_context_value_t *v, int most)
{
    int     n;
    size_t  i;

    if (v->type == CTSEG_JSON_BOOL || v->inside.len > CTSEG_CONTEXT_NUMBER_MAX
        || !ctseg_context_is_number(v->inside))
    {
        return false;
    }

    i = v->inside.data[0] == '-' ? 1 : 0;

    for (n = 0; i < v->inside.len && v->inside.data[i] != '.'; i++) {
        n = n * 10 + (v->inside.data[i] - '0');

        if (n > most) {
            return false;
        }
    }

    /* at the very end there are but zeros */

    for ( /* void */ ; n == most && i < v->inside.len; i++) {
        if (v->inside.data[i] != '.' && v->inside.data[i] != '0') {
            return false;
        }
    }

    return true;
}


/* ---- writing ---- */


static void
ctseg_context_name(ctseg_context_out_t *out, const char *name)
{
    if (out->name != NULL && !out->open) {
        ctseg_buf_char(out->buf, out->any ? ',' : '{');
        ctseg_buf_char(out->buf, '"');
        ctseg_buf_cstr(out->buf, out->name);
        ctseg_buf_cstr(out->buf, "\":{\"");

    } else {
        ctseg_buf_cstr(out->buf, out->any ? ",\"" : "{\"");
    }

    ctseg_buf_cstr(out->buf, name);
    ctseg_buf_cstr(out->buf, "\":");

    out->open = out->name != NULL;
    out->any = true;
}


/* what follows belongs to this object; NULL: to the context itself */

static void
ctseg_context_open(ctseg_context_out_t *out, const char *name)
{
    if (out->open) {
        ctseg_buf_char(out->buf, '}');
    }

    out->name = name;
    out->open = false;
}


static void
ctseg_context_text(ctseg_context_out_t *out, const char *name,
    ctseg_str_t inside)
{
    if (inside.len == 0) {
        return;
    }

    ctseg_context_name(out, name);
    ctseg_buf_char(out->buf, '"');
    ctseg_buf_str(out->buf, inside);
    ctseg_buf_char(out->buf, '"');
}


static void
ctseg_context_string(ctseg_context_out_t *out, const char *name,
    const ctseg_context_value_t *v)
{
    if (v->type != CTSEG_JSON_BOOL) {
        ctseg_context_text(out, name, v->inside);
    }
}


static void
ctseg_context_yes(ctseg_context_out_t *out, const char *name, bool known,
    bool yes)
{
    if (known) {
        ctseg_context_name(out, name);
        ctseg_buf_cstr(out->buf, yes ? "true" : "false");
    }
}


/* the system that a platform stands for; the others have several */

static void
ctseg_context_device(ctseg_context_out_t *out, const ctseg_context_t *c,
    ctseg_str_t id)
{
    size_t                        i;
    ctseg_str_t                   type, os;
    const ctseg_context_value_t  *platform;

    static const struct {
        ctseg_str_t  type;
        ctseg_str_t  os;
    } platforms[] = {
        { ctseg_string("android"), ctseg_string("Android") },
        { ctseg_string("ios"), ctseg_string("iOS") }
    };

    type.len = 0;
    os.len = 0;

    platform = &c->value[CTSEG_FAMILY_PLATFORM];

    for (i = 0; i < sizeof(platforms) / sizeof(platforms[0]); i++) {
        if (ctseg_context_is(platform->inside, platforms[i].type.data)) {
            type = platforms[i].type;
            os = platforms[i].os;
        }
    }

    ctseg_context_open(out, "device");
    ctseg_context_text(out, "id", id);
    ctseg_context_string(out, "manufacturer", &c->value[CTSEG_FAMILY_MAKE]);
    ctseg_context_string(out, "model", &c->value[CTSEG_FAMILY_MODEL]);
    ctseg_context_text(out, "type", type);

    ctseg_context_open(out, "os");
    ctseg_context_text(out, "name", os);
    ctseg_context_string(out, "version", &c->value[CTSEG_FAMILY_OS_VERSION]);
}


static void
ctseg_context_network(ctseg_context_out_t *out, const ctseg_context_t *c)
{
    bool  known, yes;

    yes = false;

    ctseg_context_open(out, "network");
    ctseg_context_string(out, "carrier", &c->value[CTSEG_FAMILY_CARRIER]);

    known = ctseg_context_bool(&c->value[CTSEG_FAMILY_WIFI], &yes);
    ctseg_context_yes(out, "wifi", known, yes);

    known = ctseg_context_bool(&c->value[CTSEG_FAMILY_BLUETOOTH], &yes);
    ctseg_context_yes(out, "bluetooth", known, yes);

    known = ctseg_context_cellular(&c->value[CTSEG_FAMILY_NETWORK_TYPE],
                                   &yes);
    ctseg_context_yes(out, "cellular", known, yes);
}


/* both degrees of one place, or none */

static void
ctseg_context_location(ctseg_context_out_t *out, const ctseg_context_t *c)
{
    size_t                        i;
    const ctseg_context_value_t  *latitude, *longitude;

    static const ctseg_family_t  places[][2] = {
        { CTSEG_FAMILY_CT_LATITUDE, CTSEG_FAMILY_CT_LONGITUDE },
        { CTSEG_FAMILY_LATITUDE, CTSEG_FAMILY_LONGITUDE },
        { CTSEG_FAMILY_LAT, CTSEG_FAMILY_LONG }
    };

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        latitude = &c->value[places[i][0]];
        longitude = &c->value[places[i][1]];

        if (!ctseg_context_degrees(latitude, 90)
            || !ctseg_context_degrees(longitude, 180))
        {
            continue;
        }

        ctseg_context_open(out, "location");
        ctseg_context_name(out, "latitude");
        ctseg_buf_str(out->buf, latitude->inside);
        ctseg_context_name(out, "longitude");
        ctseg_buf_str(out->buf, longitude->inside);

        return;
    }
}


static void
ctseg_context_campaign(ctseg_context_out_t *out, const ctseg_context_t *c)
{
    ctseg_context_open(out, "campaign");
    ctseg_context_string(out, "name", &c->value[CTSEG_FAMILY_UTM_CAMPAIGN]);
    ctseg_context_string(out, "source", &c->value[CTSEG_FAMILY_UTM_SOURCE]);
    ctseg_context_string(out, "medium", &c->value[CTSEG_FAMILY_UTM_MEDIUM]);
    ctseg_context_string(out, "term", &c->value[CTSEG_FAMILY_UTM_TERM]);
    ctseg_context_string(out, "content", &c->value[CTSEG_FAMILY_UTM_CONTENT]);
}


static ctseg_rc_t
ctseg_context_collect(ctseg_context_t *c, const ctseg_event_t *ev)
{
    ctseg_str_t  name;

    memset(c, 0, sizeof(ctseg_context_t));

    name = ctseg_catalog_name(ev->kind);

    c->is_custom = ev->kind == CTSEG_KIND_CUSTOM;
    c->has_campaign = ctseg_str_is(name, "UTM Visited");

    /* its model is the one of a lifecycle */

    c->has_device = !c->is_custom && !ctseg_str_is(name, "State Transitioned");

    if (ev->props.len == 0) {
        return CTSEG_OK;
    }

    return ctseg_json_scan(ev->props, CTSEG_CONTEXT_DEPTH,
                           ctseg_context_token, c, NULL);
}


ctseg_rc_t
ctseg_context_write(ctseg_buf_t *out, const ctseg_event_t *ev)
{
    ctseg_str_t          id;
    ctseg_context_t      c;
    ctseg_context_out_t  x;

    if (ctseg_context_collect(&c, ev) == CTSEG_NOMEM) {
        return CTSEG_NOMEM;
    }

    id = ev->id[CTSEG_ID_OBJECT];

    if (id.len == 0 && c.value[CTSEG_FAMILY_CLEVERTAP_ID].type
                       == CTSEG_JSON_STRING)
    {
        id = c.value[CTSEG_FAMILY_CLEVERTAP_ID].inside;
    }

    memset(&x, 0, sizeof(ctseg_context_out_t));
    x.buf = out;

    ctseg_context_open(&x, "app");
    ctseg_context_string(&x, "version", &c.value[CTSEG_FAMILY_APP_VERSION]);
    ctseg_context_device(&x, &c, id);
    ctseg_context_network(&x, &c);
    ctseg_context_location(&x, &c);
    ctseg_context_campaign(&x, &c);

    ctseg_context_open(&x, NULL);
    ctseg_context_text(&x, "clevertapId", id);

    if (!x.any) {
        return out->failed ? CTSEG_NOMEM : CTSEG_NOTFOUND;
    }

    ctseg_buf_char(out, '}');

    return out->failed ? CTSEG_NOMEM : CTSEG_OK;
}
