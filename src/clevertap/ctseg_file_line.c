/*
 * One line of an export file.  It is judged as the record of an upload is, by
 * ctseg_intake.c; what is particular to files is here: wall times, and facts
 * of the device and the session, which lie beside the properties and become
 * some of them.
 */

#include <stddef.h>
#include <string.h>

#include "ctseg_facts.h"
#include "ctseg_file_line.h"
#include "../base/ctseg_str.h"


/* depth of a field's value, as ctseg_json.h counts it */

#define CTSEG_FILE_FIELD  1
#define CTSEG_FILE_INNER  2             /* of the members of such a value */


typedef enum {
    CTSEG_FILE_OTHER = 0,
    CTSEG_FILE_PROFILE,
    CTSEG_FILE_TS,
    CTSEG_FILE_NAME,
    CTSEG_FILE_PROPS,
    CTSEG_FILE_DEVICE,
    CTSEG_FILE_SESSION,
    CTSEG_FILE_GROUP,
    CTSEG_FILE_TYPE,
    CTSEG_FILE_DATA,
    CTSEG_FILE_OWN                      /* what a profile may have as well */
} ctseg_file_field_t;


/* notes on the line at hand */

typedef struct {
    ctseg_intake_t         in;
    ctseg_intake_data_t    data;
    ctseg_file_field_t     field;
    bool                   is_object;

    ctseg_intake_data_t    profile;     /* profileData */
    ctseg_intake_t         own;         /* identities beside it */
    ctseg_str_t            person;      /* a name beside it, raw */
    int                    id;          /* which of them, or -1 */
    bool                   in_data;     /* of the field profile */
    bool                   in_person;
    bool                   has_person;  /* profileData has a name */
    bool                   is_profile;  /* by its type */
    bool                   is_event;    /* it has something of one */

    ctseg_facts_t          facts;
} ctseg_file_notes_t;


/* deviceInfo says shortly what properties of events say in these words */

static const struct {
    ctseg_str_t  name;
    ctseg_str_t  key;
} ctseg_file_device[] = {
    { ctseg_string("appVersion"), ctseg_string("\"CT App Version\"") },
    { ctseg_string("sdkVersion"), ctseg_string("\"CT SDK Version\"") },
    { ctseg_string("osVersion"), ctseg_string("\"CT OS Version\"") },
    { ctseg_string("make"), ctseg_string("\"Make\"") },
    { ctseg_string("model"), ctseg_string("\"Model\"") }
};

static const struct {
    ctseg_str_t         name;
    ctseg_file_field_t  field;
} ctseg_file_fields[] = {
    { ctseg_string("profile"), CTSEG_FILE_PROFILE },
    { ctseg_string("ts"), CTSEG_FILE_TS },
    { ctseg_string("eventProps"), CTSEG_FILE_PROPS },
    { ctseg_string("eventName"), CTSEG_FILE_NAME },
    { ctseg_string("deviceInfo"), CTSEG_FILE_DEVICE },
    { ctseg_string("sessionProps"), CTSEG_FILE_SESSION },
    { ctseg_string("controlGroupName"), CTSEG_FILE_GROUP },
    { ctseg_string("type"), CTSEG_FILE_TYPE },
    { ctseg_string("profileData"), CTSEG_FILE_DATA },
    { ctseg_string("identity"), CTSEG_FILE_OWN },
    { ctseg_string("objectId"), CTSEG_FILE_OWN },
    { ctseg_string("email"), CTSEG_FILE_OWN },
    { ctseg_string("phone"), CTSEG_FILE_OWN },
    { ctseg_string("FBID"), CTSEG_FILE_OWN },
    { ctseg_string("GPID"), CTSEG_FILE_OWN },
    { ctseg_string("name"), CTSEG_FILE_OWN }
};


static const struct {
    ctseg_str_t  name;
    ctseg_id_e   id;
} ctseg_file_ids[] = {
    { ctseg_string("identity"), CTSEG_ID_IDENTITY },
    { ctseg_string("objectId"), CTSEG_ID_OBJECT },
    { ctseg_string("email"), CTSEG_ID_EMAIL },
    { ctseg_string("phone"), CTSEG_ID_PHONE },
    { ctseg_string("FBID"), CTSEG_ID_FBID },
    { ctseg_string("GPID"), CTSEG_ID_GPID }
};


static ctseg_file_field_t
ctseg_file_field(ctseg_str_t name)
{
    size_t  i;

    for (i = 0; i < sizeof(ctseg_file_fields) / sizeof(ctseg_file_fields[0]);
         i++)
    {
        if (ctseg_str_eq(name, ctseg_file_fields[i].name)) {
            return ctseg_file_fields[i].field;
        }
    }

    return CTSEG_FILE_OTHER;
}


/* which part of a profile a key names */

static void
ctseg_file_key(ctseg_file_notes_t *line, ctseg_str_t name)
{
    size_t  i;

    line->id = -1;
    line->in_data = ctseg_str_is(name, "profileData");
    line->in_person = ctseg_str_is(name, "name");

    for (i = 0; i < sizeof(ctseg_file_ids) / sizeof(ctseg_file_ids[0]); i++) {
        if (ctseg_str_eq(name, ctseg_file_ids[i].name)) {
            line->id = (int) ctseg_file_ids[i].id;
        }
    }
}


/* every token of profileData, whose value is at this depth */

static void
ctseg_file_data(ctseg_file_notes_t *line, unsigned depth,
    const ctseg_json_token_t *t)
{
    if (t->depth == depth && t->type < CTSEG_JSON_KEY) {
        line->has_person = false;

    } else if (t->depth == depth && t->type == CTSEG_JSON_KEY
               && ctseg_intake_is(t->text, "Name"))
    {
        line->has_person = true;
    }

    ctseg_intake_data(&line->profile, depth, t);
}


static void
ctseg_file_person(ctseg_file_notes_t *line, const ctseg_json_token_t *t)
{
    if (t->type == CTSEG_JSON_STRING && !ctseg_intake_is_blank(t->text)) {
        line->person = t->raw;
    }
}


static void
ctseg_file_profile(ctseg_file_notes_t *line, const ctseg_json_token_t *t)
{
    if (line->in_data && t->depth > CTSEG_FILE_FIELD) {
        ctseg_file_data(line, CTSEG_FILE_INNER, t);
        return;
    }

    if (t->type == CTSEG_JSON_KEY && t->depth == CTSEG_FILE_FIELD) {
        ctseg_file_key(line, t->text);

    } else if (line->in_person && t->depth == CTSEG_FILE_INNER) {
        ctseg_file_person(line, t);
    }

    ctseg_facts_profile(&line->facts, &line->in, CTSEG_FILE_FIELD, t);
}


/* what stands beside profileData and not in profile */

static void
ctseg_file_own(ctseg_file_notes_t *line, const ctseg_json_token_t *t)
{
    if (t->depth != CTSEG_FILE_FIELD || t->type >= CTSEG_JSON_KEY) {
        return;
    }

    if (line->id >= 0) {
        ctseg_intake_id(&line->own, (ctseg_id_e) line->id, t);

    } else if (line->in_person) {
        ctseg_file_person(line, t);
    }
}


static ctseg_str_t
ctseg_file_device_key(ctseg_str_t raw)
{
    size_t       i;
    ctseg_str_t  name;

    name = ctseg_intake_inside(raw);

    for (i = 0; i < sizeof(ctseg_file_device) / sizeof(ctseg_file_device[0]);
         i++)
    {
        if (ctseg_str_eq(name, ctseg_file_device[i].name)) {
            return ctseg_file_device[i].key;
        }
    }

    return raw;
}


static bool
ctseg_file_token(void *data, const ctseg_json_token_t *t)
{
    ctseg_file_notes_t  *line;

    static const ctseg_str_t  group = ctseg_string("\"controlGroupName\"");

    line = data;

    if (t->depth == 0) {
        if (t->type == CTSEG_JSON_KEY) {
            line->field = ctseg_file_field(t->text);
            line->is_event |= line->field == CTSEG_FILE_NAME
                              || line->field == CTSEG_FILE_PROPS;

            if (line->field == CTSEG_FILE_OWN) {
                ctseg_file_key(line, t->text);
            }

        } else if (t->type == CTSEG_JSON_OBJECT) {
            line->is_object = true;
        }

        return true;
    }

    switch (line->field) {

    case CTSEG_FILE_PROFILE:
        ctseg_file_profile(line, t);
        break;

    case CTSEG_FILE_TYPE:
        if (t->depth == CTSEG_FILE_FIELD) {
            line->is_profile = t->type == CTSEG_JSON_STRING
                               && ctseg_str_is(t->text, "profile");
        }

        break;

    case CTSEG_FILE_DATA:
        ctseg_file_data(line, CTSEG_FILE_FIELD, t);
        break;

    case CTSEG_FILE_OWN:
        ctseg_file_own(line, t);
        break;

    case CTSEG_FILE_TS:
        if (t->depth == CTSEG_FILE_FIELD) {
            ctseg_intake_ts(&line->in, t);
        }

        break;

    case CTSEG_FILE_NAME:
        if (t->depth == CTSEG_FILE_FIELD) {
            ctseg_intake_name(&line->in, t);
        }

        break;

    case CTSEG_FILE_PROPS:
        ctseg_facts_props(&line->facts, &line->data, CTSEG_FILE_FIELD, t);
        break;

    case CTSEG_FILE_DEVICE:
        ctseg_facts_members(&line->facts, CTSEG_FILE_FIELD,
                            ctseg_file_device_key, t);
        break;

    case CTSEG_FILE_SESSION:
        ctseg_facts_members(&line->facts, CTSEG_FILE_FIELD, NULL, t);
        break;

    case CTSEG_FILE_GROUP:
        if (t->depth == CTSEG_FILE_FIELD && t->type == CTSEG_JSON_STRING
            && !ctseg_intake_is_blank(t->text))
        {
            ctseg_facts_add(&line->facts, group, t->raw.data,
                            t->raw.data + t->raw.len);
        }

        break;

    default:
        break;
    }

    return true;
}


/* ---- profiles ---- */


/* an event of a file may tell of its user as well, so that is asked first */

static bool
ctseg_file_is_profile(const ctseg_file_head_t *head,
    const ctseg_file_notes_t *line)
{
    return line->is_profile
           || (head->name.len == 0 && !line->is_event
               && (line->profile.raw.len != 0 || line->profile.bad));
}


static int
ctseg_file_judge_profile(const ctseg_file_head_t *head,
    ctseg_file_notes_t *line, ctseg_buf_t *props, ctseg_buf_t *text)
{
    int              code;
    unsigned         i;
    ctseg_str_t      raw;
    ctseg_intake_t  *in;

    in = &line->in;

    for (i = 0; i < CTSEG_ID_N; i++) {
        if (in->event.id[i].len == 0) {
            in->event.id[i] = line->own.event.id[i];
        }
    }

    if (in->bad_id < 0) {
        in->bad_id = line->own.bad_id;
    }

    in->any_id = true;
    code = 0;

    if (in->ts_type == CTSEG_JSON_NULL) {
        in->event.time_ms = head->now_ms;

    } else {
        code = ctseg_facts_judge_ts(head->zone, in, text);
    }

    if (code == 0) {
        code = ctseg_intake_judge_ids(in, text);
    }

    if (code == 0) {
        code = ctseg_intake_judge_data(in, &line->profile, text);
    }

    if (code != 0) {
        return code;
    }

    in->event.kind = CTSEG_KIND_PROFILE;
    in->event.name.len = 0;
    in->event.props = line->profile.raw;

    raw = line->profile.raw;

    if (line->person.len == 0 || line->has_person
        || line->profile.nprops >= CTSEG_PROPS_N_MAX
        || raw.len + line->person.len + 16 > CTSEG_PROPS_LEN_MAX)
    {
        return 0;
    }

    /* the name in front, and the rest without its opening brace */

    ctseg_buf_reset(props);
    ctseg_buf_cstr(props, "{\"Name\":");
    ctseg_buf_str(props, line->person);

    if (raw.len == 0) {
        ctseg_buf_char(props, '}');

    } else {
        if (line->profile.nprops != 0) {
            ctseg_buf_char(props, ',');
        }

        raw.data++;
        raw.len--;
        ctseg_buf_str(props, raw);
    }

    in->event.props = ctseg_buf_slice(props);

    return 0;
}


/* ---- lines ---- */


static int
ctseg_file_verdict(const ctseg_file_head_t *head, ctseg_file_notes_t *line,
    ctseg_buf_t *props, ctseg_buf_t *text)
{
    int              code;
    ctseg_intake_t  *in;

    in = &line->in;

    if (!line->is_object) {
        ctseg_buf_cstr(text, "Event structure invalid: a line must be an"
                       " object");
        return CTSEG_CODE_STRUCTURE;
    }

    ctseg_facts_identity(&line->facts, in);

    if (ctseg_file_is_profile(head, line)) {
        return ctseg_file_judge_profile(head, line, props, text);
    }

    if (in->event.name.len == 0 && !in->bad_name) {
        in->event.name = head->name;
        in->event.kind = head->kind;
        in->is_charged = head->is_charged;
    }

    code = ctseg_intake_judge_ids(in, text);

    if (code == 0) {
        code = ctseg_intake_judge_name(in, text);
    }

    if (code == 0) {
        code = ctseg_facts_judge_ts(head->zone, in, text);
    }

    if (code == 0) {
        ctseg_facts_merge(&line->facts, &line->data, false, props);
        code = ctseg_intake_judge_data(in, &line->data, text);
    }

    if (code != 0) {
        return code;
    }

    in->event.props = line->data.raw;

    if (in->event.kind != CTSEG_KIND_CUSTOM) {
        in->event.name.len = 0;
    }

    return 0;
}


int
ctseg_file_line(const ctseg_file_head_t *head, ctseg_str_t text,
    ctseg_event_t *ev, ctseg_buf_t *props, ctseg_buf_t *why)
{
    int                 code;
    ctseg_err_t         err;
    ctseg_file_notes_t  line;

    memset(&line, 0, offsetof(ctseg_file_notes_t, facts));

    ctseg_facts_begin(&line.facts);
    ctseg_intake_begin(&line.in);
    line.data.rule = CTSEG_INTAKE_ANY;
    line.data.name = "eventProps";

    ctseg_intake_begin(&line.own);
    line.profile.rule = CTSEG_INTAKE_PROFILE;
    line.profile.name = "profileData";

    memset(&err, 0, sizeof(ctseg_err_t));

    switch (ctseg_json_scan(text, CTSEG_INTAKE_DEPTH_MAX, ctseg_file_token,
                            &line, &err))
    {
    case CTSEG_OK:
        code = ctseg_file_verdict(head, &line, props, why);
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

    *ev = line.in.event;
    why->failed |= props->failed;

    return code;
}
