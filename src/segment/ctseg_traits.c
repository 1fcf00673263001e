/*
 * Members of JSON objects, each name once: those of a profile update, whose
 * operators are resolved on the way, and those of traits that were made
 * before.  Names are compared decoded, through a table.
 */

#include "../base/ctseg_json.h"
#include "../base/ctseg_str.h"
#include "ctseg_traits.h"

#include <stdlib.h>
#include <string.h>


#define CTSEG_TRAITS_SLOTS  (2 * CTSEG_TRAITS_MAX)


typedef struct {
    uint64_t     hash;                  /* of the name, decoded */
    ctseg_str_t  name;                  /* raw, with its quotes */
    ctseg_str_t  value;                 /* raw */
} ctseg_trait_t;


typedef struct {
    ctseg_trait_t  item[CTSEG_TRAITS_MAX];
    uint16_t       slot[CTSEG_TRAITS_SLOTS];    /* index + 1, or 0 */
    unsigned       n;
    bool           too_many;

    /* the member at hand */

    bool           is_profile;          /* operators may occur */
    uint64_t       hash;
    ctseg_str_t    name;
    const char    *start;               /* of its value, or NULL */
    unsigned       depth;               /* of the container begun there */
    bool           set;                 /* its operator is $set */
    bool           deleted;             /* ... $delete */
} ctseg_traits_t;


/* CleverTap's own fields for which Segment has a name, in small letters */

static const struct {
    ctseg_str_t  field;
    ctseg_str_t  trait;                 /* with its quotes */
} ctseg_traits_reserved[] = {
    { ctseg_string("name"), ctseg_string("\"name\"") },
    { ctseg_string("email"), ctseg_string("\"email\"") },
    { ctseg_string("phone"), ctseg_string("\"phone\"") },
    { ctseg_string("gender"), ctseg_string("\"gender\"") },
    { ctseg_string("dob"), ctseg_string("\"birthday\"") },
    { ctseg_string("photo"), ctseg_string("\"avatar\"") },
    { ctseg_string("age"), ctseg_string("\"age\"") }
};


static const ctseg_str_t  ctseg_traits_null = ctseg_string("null");


static bool
ctseg_traits_is(ctseg_str_t name, ctseg_str_t lower)
{
    char    c;
    size_t  i;

    if (name.len != lower.len) {
        return false;
    }

    for (i = 0; i < name.len; i++) {
        c = name.data[i];
        c = c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;

        if (c != lower.data[i]) {
            return false;
        }
    }

    return true;
}


/* the name of a member: Segment's for it, or its own */

static void
ctseg_traits_name(ctseg_traits_t *ts, const ctseg_json_token_t *t)
{
    size_t       i, n;
    ctseg_str_t  plain;

    plain = t->text;
    ts->name = t->raw;

    n = sizeof(ctseg_traits_reserved) / sizeof(ctseg_traits_reserved[0]);

    for (i = 0; ts->is_profile && i < n; i++) {
        if (ctseg_traits_is(t->text, ctseg_traits_reserved[i].field)) {
            ts->name = ctseg_traits_reserved[i].trait;
            plain.data = ts->name.data + 1;
            plain.len = ts->name.len - 2;
            break;
        }
    }

    ts->hash = ctseg_hash64(plain);
    ts->set = false;
    ts->deleted = false;
}


/* a name that was there has a new value */

static void
ctseg_traits_add(ctseg_traits_t *ts, ctseg_str_t value)
{
    unsigned        i;
    ctseg_trait_t  *trait;

    i = (unsigned) (ts->hash % CTSEG_TRAITS_SLOTS);

    for ( ;; ) {
        if (ts->slot[i] == 0) {
            break;
        }

        trait = &ts->item[ts->slot[i] - 1];

        if (trait->hash == ts->hash) {
            trait->value = value;
            return;
        }

        i = (i + 1) % CTSEG_TRAITS_SLOTS;
    }

    if (ts->n == CTSEG_TRAITS_MAX) {
        ts->too_many = true;
        return;
    }

    trait = &ts->item[ts->n++];
    trait->hash = ts->hash;
    trait->name = ts->name;
    trait->value = value;

    ts->slot[i] = (uint16_t) ts->n;
}


/* is a value at this depth one of a trait: a member's, or what $set has */

static bool
ctseg_traits_wants(const ctseg_traits_t *ts, const ctseg_json_token_t *t)
{
    return ts->start == NULL
           && ((t->depth == 1
                && (t->type != CTSEG_JSON_OBJECT || !ts->is_profile))
               || (t->depth == 2 && ts->set));
}


static bool
ctseg_traits_token(void *data, const ctseg_json_token_t *t)
{
    ctseg_str_t      value;
    ctseg_traits_t  *ts;

    ts = data;

    switch (t->type) {

    case CTSEG_JSON_KEY:
        if (t->depth == 0) {
            ctseg_traits_name(ts, t);

        } else if (t->depth == 1 && ts->start == NULL) {
            ts->set = ctseg_str_is(t->text, "$set");
            ts->deleted = ctseg_str_is(t->text, "$delete");
        }

        break;

    case CTSEG_JSON_ARRAY:
    case CTSEG_JSON_OBJECT:
        if (ctseg_traits_wants(ts, t)) {
            ts->start = t->raw.data;
            ts->depth = t->depth;
        }

        break;

    case CTSEG_JSON_ARRAY_END:
    case CTSEG_JSON_OBJECT_END:
        if (ts->start != NULL && t->depth == ts->depth) {
            value.data = ts->start;
            value.len = (size_t) (t->raw.data + 1 - ts->start);
            ts->start = NULL;
            ctseg_traits_add(ts, value);
        }

        break;

    default:
        if (ctseg_traits_wants(ts, t)) {
            ctseg_traits_add(ts, t->raw);

        } else if (t->depth == 2 && ts->deleted) {
            ctseg_traits_add(ts, ctseg_traits_null);
        }
    }

    return true;
}


static ctseg_rc_t
ctseg_traits_read(ctseg_traits_t *ts, ctseg_str_t json, bool is_profile)
{
    ts->is_profile = is_profile;
    ts->start = NULL;

    return json.len == 0
           ? CTSEG_OK
           : ctseg_json_scan(json, 64, ctseg_traits_token, ts, NULL);
}


/* an identity of the record, unless the profile itself says something */

static void
ctseg_traits_identity(ctseg_traits_t *ts, const char *name, ctseg_str_t id,
    ctseg_buf_t *text)
{
    unsigned     i;
    ctseg_str_t  value;

    if (id.len == 0) {
        return;
    }

    ts->name = ctseg_str(name);

    value.data = ts->name.data + 1;
    value.len = ts->name.len - 2;
    ts->hash = ctseg_hash64(value);

    for (i = 0; i < ts->n; i++) {
        if (ts->item[i].hash == ts->hash) {
            return;
        }
    }

    ctseg_buf_char(text, '"');
    ctseg_buf_str(text, id);
    ctseg_buf_char(text, '"');

    ctseg_traits_add(ts, ctseg_buf_slice(text));
}


static ctseg_rc_t
ctseg_traits_render(ctseg_buf_t *out, const ctseg_traits_t *ts)
{
    unsigned  i;

    ctseg_buf_char(out, '{');

    for (i = 0; i < ts->n; i++) {
        if (i != 0) {
            ctseg_buf_char(out, ',');
        }

        ctseg_buf_str(out, ts->item[i].name);
        ctseg_buf_char(out, ':');
        ctseg_buf_str(out, ts->item[i].value);
    }

    ctseg_buf_char(out, '}');

    return out->failed ? CTSEG_NOMEM : CTSEG_OK;
}


ctseg_rc_t
ctseg_traits_write(ctseg_buf_t *out, const ctseg_event_t *ev)
{
    ctseg_rc_t       rc;
    ctseg_buf_t      email = { NULL, 0, 0, false };
    ctseg_buf_t      phone = { NULL, 0, 0, false };
    ctseg_traits_t  *ts;

    ts = calloc(1, sizeof(ctseg_traits_t));
    if (ts == NULL) {
        return CTSEG_NOMEM;
    }

    rc = ctseg_traits_read(ts, ev->props, true);

    ctseg_traits_identity(ts, "\"email\"", ev->id[CTSEG_ID_EMAIL], &email);
    ctseg_traits_identity(ts, "\"phone\"", ev->id[CTSEG_ID_PHONE], &phone);

    if (rc == CTSEG_NOMEM || email.failed || phone.failed) {
        rc = CTSEG_NOMEM;

    } else {
        rc = ctseg_traits_render(out, ts);
    }

    ctseg_buf_free(&email);
    ctseg_buf_free(&phone);
    free(ts);

    return rc;
}


ctseg_rc_t
ctseg_traits_merge(ctseg_buf_t *out, ctseg_str_t older, ctseg_str_t newer)
{
    ctseg_rc_t       rc;
    ctseg_traits_t  *ts;

    ts = calloc(1, sizeof(ctseg_traits_t));
    if (ts == NULL) {
        return CTSEG_NOMEM;
    }

    rc = ctseg_traits_read(ts, older, false);

    if (rc == CTSEG_OK) {
        rc = ctseg_traits_read(ts, newer, false);
    }

    if (rc == CTSEG_OK) {
        rc = ts->too_many ? CTSEG_INVALID : ctseg_traits_render(out, ts);
    }

    free(ts);

    return rc;
}
