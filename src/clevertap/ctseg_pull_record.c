/*
 * One record of Get Events.  It is judged as a line of an export file is;
 * what is particular to the API is here: its names of fields, items beside
 * the properties, and a profile with all that is known of who did it.  That
 * is of now and not of the time of the event, so the event gets none of it.
 */

#include <stddef.h>
#include <string.h>

#include "ctseg_facts.h"
#include "ctseg_pull_record.h"
#include "../base/ctseg_str.h"


#define CTSEG_PULL_RECORD_MAX  (1024 * 1024)    /* bytes */


/* depths of values, as ctseg_json.h counts them */

#define CTSEG_PULL_FIELD   1
#define CTSEG_PULL_INNER   2


typedef enum {
    CTSEG_PULL_OTHER = 0,
    CTSEG_PULL_PROFILE,
    CTSEG_PULL_TS,
    CTSEG_PULL_PROPS,
    CTSEG_PULL_SESSION,
    CTSEG_PULL_ITEMS
} ctseg_pull_field_t;


/* notes on the record at hand */

typedef struct {
    ctseg_pull_head_t    *head;
    ctseg_intake_t        in;
    ctseg_intake_data_t   data;         /* event_props */
    ctseg_intake_data_t   known;        /* profileData */
    ctseg_pull_field_t    field;
    bool                  is_object;

    const char           *items;        /* what of them is not written yet; */
    bool                  has_items;    /* NULL: they are no array */
    unsigned              nitems;

    bool                  in_data;      /* of the profile, profileData */
    ctseg_str_t           fact;         /* or one of the facts; its key */

    ctseg_facts_t         facts;        /* beside the properties */
    ctseg_facts_t         profile;      /* beside profileData */
} ctseg_pull_notes_t;


static const struct {
    ctseg_str_t         name;
    ctseg_pull_field_t  field;
} ctseg_pull_fields[] = {
    { ctseg_string("profile"), CTSEG_PULL_PROFILE },
    { ctseg_string("ts"), CTSEG_PULL_TS },
    { ctseg_string("event_props"), CTSEG_PULL_PROPS },
    { ctseg_string("session_props"), CTSEG_PULL_SESSION },
    { ctseg_string("items"), CTSEG_PULL_ITEMS }
};


/*
 * Of a profile, beside its identities and profileData, and the words in which
 * uploads say the same
 */

static const struct {
    ctseg_str_t  name;
    ctseg_str_t  key;
} ctseg_pull_facts[] = {
    { ctseg_string("name"), ctseg_string("\"Name\"") },
    { ctseg_string("platform"), ctseg_string("\"platform\"") },
    { ctseg_string("app_version"), ctseg_string("\"app_version\"") },
    { ctseg_string("make"), ctseg_string("\"make\"") },
    { ctseg_string("model"), ctseg_string("\"model\"") },
    { ctseg_string("os_version"), ctseg_string("\"os_version\"") }
};


static ctseg_pull_field_t
ctseg_pull_field(ctseg_str_t name)
{
    size_t  i;

    for (i = 0; i < sizeof(ctseg_pull_fields) / sizeof(ctseg_pull_fields[0]);
         i++)
    {
        if (ctseg_str_eq(name, ctseg_pull_fields[i].name)) {
            return ctseg_pull_fields[i].field;
        }
    }

    return CTSEG_PULL_OTHER;
}


/* ---- items ---- */


/* what was copied before it, and a key without "Items|" in front */

static void
ctseg_pull_item_key(ctseg_pull_notes_t *rec, const ctseg_json_token_t *t)
{
    ctseg_str_t   name;
    ctseg_buf_t  *out;

    name = t->text;

    if (name.len <= 6 || memcmp(name.data, "Items|", 6) != 0) {
        return;
    }

    name.data += 6;
    name.len -= 6;

    out = &rec->head->items;

    ctseg_buf_add(out, rec->items, (size_t) (t->raw.data - rec->items));
    ctseg_json_string(out, name);
    rec->items = t->raw.data + t->raw.len;
}


static void
ctseg_pull_items(ctseg_pull_notes_t *rec, const ctseg_json_token_t *t)
{
    const char  *end;

    if (t->depth == CTSEG_PULL_FIELD && t->type != CTSEG_JSON_ARRAY_END) {

        /* of several the last one counts */

        ctseg_buf_reset(&rec->head->items);
        rec->items = t->type == CTSEG_JSON_ARRAY ? t->raw.data : NULL;
        rec->has_items = false;
        rec->nitems = 0;
        return;
    }

    if (rec->items == NULL) {
        return;
    }

    if (t->depth == CTSEG_PULL_FIELD) {
        end = t->raw.data + 1;
        ctseg_buf_add(&rec->head->items, rec->items,
                      (size_t) (end - rec->items));
        rec->items = NULL;
        rec->has_items = rec->nitems != 0;
        return;
    }

    if (t->depth == CTSEG_PULL_INNER && t->type < CTSEG_JSON_KEY) {
        rec->nitems++;
    }

    if (t->depth == CTSEG_PULL_INNER && t->type == CTSEG_JSON_KEY) {
        ctseg_pull_item_key(rec, t);
    }
}


/* ---- the profile ---- */


static void
ctseg_pull_profile_key(ctseg_pull_notes_t *rec, ctseg_str_t name)
{
    size_t  i;

    rec->in_data = ctseg_str_is(name, "profileData");
    rec->fact.len = 0;

    for (i = 0; i < sizeof(ctseg_pull_facts) / sizeof(ctseg_pull_facts[0]);
         i++)
    {
        if (ctseg_str_eq(name, ctseg_pull_facts[i].name)) {
            rec->fact = ctseg_pull_facts[i].key;
        }
    }
}


static void
ctseg_pull_profile(ctseg_pull_notes_t *rec, const ctseg_json_token_t *t)
{
    ctseg_facts_profile(&rec->facts, &rec->in, CTSEG_PULL_FIELD, t);

    if (!rec->head->profiles) {
        return;
    }

    if (t->depth == CTSEG_PULL_FIELD) {

        if (t->type == CTSEG_JSON_KEY) {
            ctseg_pull_profile_key(rec, t->text);

        } else {
            rec->in_data = false;
            rec->fact.len = 0;
        }

        return;
    }

    if (rec->in_data) {
        ctseg_facts_props(&rec->profile, &rec->known, CTSEG_PULL_INNER, t);
        return;
    }

    if (rec->fact.len != 0 && t->depth == CTSEG_PULL_INNER
        && t->type < CTSEG_JSON_ARRAY && t->type != CTSEG_JSON_NULL
        && (t->type != CTSEG_JSON_STRING || !ctseg_intake_is_blank(t->text)))
    {
        ctseg_facts_add(&rec->profile, rec->fact, t->raw.data,
                        t->raw.data + t->raw.len);
    }
}


static bool
ctseg_pull_token(void *data, const ctseg_json_token_t *t)
{
    ctseg_pull_notes_t  *rec;

    rec = data;

    if (t->depth == 0) {
        if (t->type == CTSEG_JSON_KEY) {
            rec->field = ctseg_pull_field(t->text);

        } else if (t->type == CTSEG_JSON_OBJECT) {
            rec->is_object = true;
        }

        return true;
    }

    switch (rec->field) {

    case CTSEG_PULL_PROFILE:
        ctseg_pull_profile(rec, t);
        break;

    case CTSEG_PULL_TS:
        if (t->depth == CTSEG_PULL_FIELD) {
            ctseg_intake_ts(&rec->in, t);
        }

        break;

    case CTSEG_PULL_PROPS:
        ctseg_facts_props(&rec->facts, &rec->data, CTSEG_PULL_FIELD, t);
        break;

    case CTSEG_PULL_SESSION:
        ctseg_facts_members(&rec->facts, CTSEG_PULL_FIELD, NULL, t);
        break;

    case CTSEG_PULL_ITEMS:
        ctseg_pull_items(rec, t);
        break;

    default:
        break;
    }

    return true;
}


/* ---- verdicts ---- */


/* the properties: those of the event, of its session, and items */

static int
ctseg_pull_judge_props(ctseg_pull_notes_t *rec, ctseg_buf_t *why)
{
    int                 code;
    ctseg_str_t         items;
    ctseg_pull_head_t  *head;

    static const ctseg_str_t  key = ctseg_string("\"Items\"");

    head = rec->head;
    items = ctseg_buf_slice(&head->items);

    if (rec->has_items) {

        if (rec->nitems > CTSEG_INTAKE_ITEMS_MAX) {
            ctseg_buf_fmt(why, "Event has %u Items, at most %d are taken",
                          rec->nitems, CTSEG_INTAKE_ITEMS_MAX);
            return CTSEG_CODE_PROPERTIES;
        }

        /* whatever the session has, these are in front of it */

        if (rec->facts.n == CTSEG_FACTS_MAX) {
            rec->facts.n--;
        }

        ctseg_facts_add(&rec->facts, key, items.data, items.data + items.len);
    }

    ctseg_facts_merge(&rec->facts, &rec->data, false, &head->props);
    code = ctseg_intake_judge_data(&rec->in, &rec->data, why);

    rec->in.event.props = rec->data.raw;

    return code;
}


/* what is known of who did it: not 0: too much, and the event goes alone */

static int
ctseg_pull_judge_profile(ctseg_pull_notes_t *rec, ctseg_event_t *profile,
    bool *has_profile, ctseg_buf_t *why)
{
    int  code;

    ctseg_facts_merge(&rec->profile, &rec->known, true, &rec->head->facts);

    if (rec->known.nprops == 0 && !rec->known.bad) {
        return 0;
    }

    code = ctseg_intake_judge_data(&rec->in, &rec->known, why);

    if (code != 0) {
        return code;
    }

    *profile = rec->in.event;
    profile->kind = CTSEG_KIND_PROFILE;
    profile->name.len = 0;
    profile->time_ms = 0;
    profile->props = rec->known.raw;
    *has_profile = true;

    return 0;
}


static int
ctseg_pull_judge(ctseg_pull_notes_t *rec, ctseg_buf_t *why)
{
    int              code;
    ctseg_intake_t  *in;

    in = &rec->in;

    if (!rec->is_object) {
        ctseg_buf_cstr(why, "Event structure invalid: a record must be an"
                       " object");
        return CTSEG_CODE_STRUCTURE;
    }

    in->event.name = rec->head->name;
    in->event.kind = rec->head->kind;
    in->is_charged = rec->head->is_charged;

    ctseg_facts_identity(&rec->facts, in);

    code = ctseg_intake_judge_ids(in, why);

    if (code == 0) {
        code = ctseg_intake_judge_name(in, why);
    }

    if (code == 0) {
        code = ctseg_facts_judge_ts(rec->head->zone, in, why);
    }

    if (code == 0) {
        code = ctseg_pull_judge_props(rec, why);
    }

    if (code == 0 && in->event.kind != CTSEG_KIND_CUSTOM) {
        in->event.name.len = 0;
    }

    return code;
}


static void
ctseg_pull_notes_begin(ctseg_pull_notes_t *rec, ctseg_pull_head_t *head)
{
    memset(rec, 0, offsetof(ctseg_pull_notes_t, facts));

    ctseg_facts_begin(&rec->facts);
    ctseg_facts_begin(&rec->profile);
    ctseg_intake_begin(&rec->in);

    rec->head = head;
    rec->data.rule = CTSEG_INTAKE_ANY;
    rec->data.name = "event_props";
    rec->known.rule = CTSEG_INTAKE_ANY;
    rec->known.name = "profileData";

    ctseg_buf_reset(&head->items);
    ctseg_buf_reset(&head->props);
    ctseg_buf_reset(&head->facts);
}


int
ctseg_pull_record(ctseg_pull_head_t *head, ctseg_str_t text,
    ctseg_event_t *ev, ctseg_event_t *profile, bool *has_profile,
    int *profile_code, ctseg_buf_t *why)
{
    int                 code;
    ctseg_err_t         err;
    ctseg_pull_notes_t  rec;

    *has_profile = false;
    *profile_code = 0;

    if (text.len > CTSEG_PULL_RECORD_MAX) {
        ctseg_buf_fmt(why, "Event structure invalid: the record is longer"
                      " than %d bytes", CTSEG_PULL_RECORD_MAX);
        return CTSEG_CODE_STRUCTURE;
    }

    ctseg_pull_notes_begin(&rec, head);
    memset(&err, 0, sizeof(ctseg_err_t));

    switch (ctseg_json_scan(text, CTSEG_INTAKE_DEPTH_MAX, ctseg_pull_token,
                            &rec, &err))
    {
    case CTSEG_OK:
        code = ctseg_pull_judge(&rec, why);

        if (code == 0 && head->profiles) {
            *profile_code = ctseg_pull_judge_profile(&rec, profile,
                                                     has_profile, why);
        }

        break;

    case CTSEG_NOMEM:
        why->failed = true;
        return CTSEG_CODE_OTHER;

    default:
        code = CTSEG_CODE_STRUCTURE;
        ctseg_buf_cstr(why, "Event structure invalid: ");
        ctseg_json_escape(why, ctseg_str(err.text));
        ctseg_buf_fmt(why, " at byte %zu", err.offset);
    }

    *ev = rec.in.event;
    why->failed |= head->items.failed || head->props.failed
                   || head->facts.failed;

    return code;
}


void
ctseg_pull_record_free(ctseg_pull_head_t *head)
{
    ctseg_buf_free(&head->items);
    ctseg_buf_free(&head->props);
    ctseg_buf_free(&head->facts);
}
