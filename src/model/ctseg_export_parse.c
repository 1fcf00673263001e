/*
 * The bodies of POST and PATCH /exports into an export.  Called by the API
 * for a creation, an edit and a preview.  Every wrong field is collected
 * instead of ending at the first, so each part below notes its own and goes
 * on.  An edit works on a copy, which replaces the export when all of it was
 * right.  Whether the partner exists and whether the store still has those
 * days is not asked.
 */

#include "ctseg_export_int.h"
#include "ctseg_fields.h"
#include "../base/ctseg_str.h"

#include <stdio.h>
#include <string.h>


static const char  *const ctseg_export_parse_known[] = {
    "type",
    "format",
    "partner_id",
    "events",
    "identifier_priority",
    "frequency",
    "mapping",
    NULL
};

static const char  *const ctseg_export_parse_read_only[] = {
    "id",
    "status",
    "revision",
    "created_at",
    "exported_on",
    "next_run_at",
    "last_run",
    "progress",
    "stop_reason",
    NULL
};

static const char  *const ctseg_export_parse_events_known[] = {
    "set",
    "names",
    NULL
};


static void
ctseg_export_parse_partner(ctseg_export_parse_t *x, const ctseg_json_t *body)
{
    ctseg_str_t  s;

    if (!ctseg_field_string(body, "partner_id", "partner_id", &s,
                            x->problems))
    {
        if (ctseg_json_get(body, "partner_id") == NULL) {
            ctseg_problem(x->problems, "partner_id", "is required");
        }

        return;
    }

    if (s.len == 0 || s.len >= CTSEG_ID_TEXT_MAX || !ctseg_field_is_plain(s)) {
        ctseg_problem(x->problems, "partner_id",
                      "must be the id of a partner");
        return;
    }

    memcpy(x->e->partner_id, s.data, s.len);
    x->e->partner_id[s.len] = '\0';
}


/* of an export that exists, a type that differs was refused before */

static void
ctseg_export_parse_type(ctseg_export_parse_t *x, const ctseg_json_t *body)
{
    ctseg_str_t   s;
    ctseg_type_t  type;

    type = CTSEG_TYPE_EVENT;

    if (ctseg_field_string(body, "type", "type", &s, x->problems)) {
        type = ctseg_type_parse(s);

        if (type == 0) {
            ctseg_problem(x->problems, "type", "must be event or profile");
        }
    }

    if (!x->patch) {
        x->e->type = type;
    }

    if (ctseg_field_string(body, "format", "format", &s, x->problems)
        && !ctseg_str_is(s, "json"))
    {
        ctseg_problem(x->problems, "format", "must be json");
    }
}


static void
ctseg_export_parse_names(ctseg_export_parse_t *x, const ctseg_json_t *events)
{
    char                 path[CTSEG_FIELD_MAX];
    unsigned             i, kind;
    const ctseg_json_t  *names, *v;

    names = ctseg_json_get(events, "names");

    if (names == NULL) {
        ctseg_problem(x->problems, "events.names",
                      "is required with the set selected");
        return;
    }

    if (names->type != CTSEG_JSON_ARRAY || names->n == 0) {
        ctseg_problem(x->problems, "events.names",
                      "must be an array of at least one event name");
        return;
    }

    /* a name that occurs twice, as in lists out there, is taken once */

    x->e->kinds = 0;

    for (i = 0, v = names->child; v != NULL; v = v->next, i++) {

        (void) snprintf(path, sizeof(path), "events.names[%u]", i);

        if (v->type != CTSEG_JSON_STRING) {
            ctseg_problem(x->problems, path, "must be a string");
            continue;
        }

        kind = ctseg_catalog_exact(v->text);

        if (kind == CTSEG_KIND_CUSTOM) {
            ctseg_problem(x->problems, path,
                          "is not the name of an event in the catalog");
            continue;
        }

        x->e->kinds |= ctseg_kind_bit(kind);
    }
}


static void
ctseg_export_parse_set(ctseg_export_parse_t *x, const ctseg_json_t *events)
{
    ctseg_str_t  s;

    if (!ctseg_field_string(events, "set", "events.set", &s, x->problems)) {

        if (ctseg_json_get(events, "set") == NULL) {
            ctseg_problem(x->problems, "events.set", "is required");
        }

        return;
    }

    x->e->set = ctseg_set_parse(s);

    if (x->e->set == 0) {
        ctseg_problem(x->problems, "events.set",
                      "must be system, selected, engagement or all");
        return;
    }

    if (x->e->set == CTSEG_SET_SELECTED) {
        ctseg_export_parse_names(x, events);
        return;
    }

    if (ctseg_json_get(events, "names") != NULL) {
        ctseg_problem(x->problems, "events.names",
                      "may be given with the set selected only");
    }

    if (x->e->set == CTSEG_SET_ALL && !x->env->custom_events) {
        ctseg_problem(x->problems, "events.set",
                      "the set all needs the directive "
                      "\"ctseg_custom_events on\"");
    }

    x->e->kinds = ctseg_catalog_set(x->e->set);
}


static void
ctseg_export_parse_events(ctseg_export_parse_t *x, const ctseg_json_t *body)
{
    const ctseg_json_t  *events;

    events = ctseg_json_get(body, "events");

    if (x->e->type == CTSEG_TYPE_PROFILE) {

        if (events != NULL) {
            ctseg_problem(x->problems, "events",
                          "may not be given with the type profile");
        }

        return;
    }

    if (events == NULL) {
        x->e->set = CTSEG_SET_SYSTEM;
        x->e->kinds = ctseg_catalog_set(CTSEG_SET_SYSTEM);
        return;
    }

    if (events->type != CTSEG_JSON_OBJECT) {
        ctseg_problem(x->problems, "events", "must be an object");
        return;
    }

    ctseg_fields_known(events, "events", ctseg_export_parse_events_known,
                       NULL, x->problems);

    ctseg_export_parse_set(x, events);
}


/* the identity field a string names, or -1 */

static int
ctseg_export_parse_id(const ctseg_json_t *v)
{
    int  i;

    if (v->type != CTSEG_JSON_STRING) {
        return -1;
    }

    for (i = 0; i < CTSEG_ID_N; i++) {
        if (ctseg_str_is(v->text, ctseg_id_name(i))) {
            return i;
        }
    }

    return -1;
}


static void
ctseg_export_parse_priority(ctseg_export_parse_t *x, const ctseg_json_t *body)
{
    int                  id;
    char                 path[CTSEG_FIELD_MAX];
    unsigned             i, seen;
    const ctseg_json_t  *list, *v;

    list = ctseg_json_get(body, "identifier_priority");

    if (list == NULL) {
        x->e->priority[0] = CTSEG_ID_IDENTITY;
        x->e->priority[1] = CTSEG_ID_EMAIL;
        x->e->priority[2] = CTSEG_ID_PHONE;
        x->e->npriority = 3;
        return;
    }

    if (list->type != CTSEG_JSON_ARRAY
        || list->n == 0
        || list->n > CTSEG_PRIORITY_MAX)
    {
        ctseg_problem(x->problems, "identifier_priority",
                      "must be an array of 1 to %d identifiers",
                      CTSEG_PRIORITY_MAX);
        return;
    }

    seen = 0;
    x->e->npriority = 0;

    for (i = 0, v = list->child; v != NULL; v = v->next, i++) {

        (void) snprintf(path, sizeof(path), "identifier_priority[%u]", i);

        id = ctseg_export_parse_id(v);

        if (id == -1) {
            ctseg_problem(x->problems, path,
                          "must be identity, email, phone, objectId, fbid or "
                          "gpid");
            continue;
        }

        if ((seen & (1u << id)) != 0) {
            ctseg_problem(x->problems, path, "occurs twice");
            continue;
        }

        seen |= 1u << id;
        x->e->priority[x->e->npriority++] = (uint8_t) id;
    }
}


bool
ctseg_export_parse(ctseg_export_t *e, const ctseg_json_t *body,
    const ctseg_export_env_t *env, ctseg_problems_t *problems)
{
    unsigned              before;
    const ctseg_json_t   *freq, *mapping;
    ctseg_export_parse_t  x;

    before = problems->n;

    if (body == NULL || body->type != CTSEG_JSON_OBJECT) {
        ctseg_problem(problems, "", "body must be an object");
        return false;
    }

    x.e = e;
    x.env = env;
    x.problems = problems;
    x.patch = false;
    env->zone->to_civil(env->zone, env->now_ms, &x.today);

    e->status = CTSEG_PENDING;
    e->stop_reason = CTSEG_STOP_NONE;
    e->revision = 1;
    e->runs = 0;
    e->cut = 0;
    e->created_ms = env->now_ms;
    e->next_run_ms = env->now_ms;
    ctseg_date_render(e->exported_on, &x.today);

    ctseg_fields_known(body, "", ctseg_export_parse_known,
                       ctseg_export_parse_read_only, problems);

    ctseg_export_parse_partner(&x, body);
    ctseg_export_parse_type(&x, body);
    ctseg_export_parse_events(&x, body);
    ctseg_export_parse_priority(&x, body);

    freq = ctseg_json_get(body, "frequency");

    if (freq != NULL) {
        ctseg_export_frequency(&x, freq);

    } else {
        ctseg_problem(problems, "frequency", "is required");
    }

    mapping = ctseg_json_get(body, "mapping");

    if (mapping != NULL) {
        ctseg_export_mapping(&x, mapping);
    }

    return problems->n == before;
}


/*
 * The rule that forbids what a body asks for.  A type or kind that there is
 * not, or that is no string, is a wrong field and none of the lifecycle.
 */

static const char *
ctseg_export_patch_fixed(const ctseg_export_t *e, const ctseg_json_t *body)
{
    ctseg_freq_t         freq;
    ctseg_type_t         type;
    const ctseg_json_t  *v;

    v = ctseg_json_get(body, "type");

    if (v != NULL && v->type == CTSEG_JSON_STRING) {
        type = ctseg_type_parse(v->text);

        if (type != 0 && type != e->type) {
            return "the type of an export cannot change";
        }
    }

    v = ctseg_json_get(body, "frequency");
    v = v != NULL ? ctseg_json_get(v, "kind") : NULL;

    if (v != NULL && v->type == CTSEG_JSON_STRING) {
        freq = ctseg_freq_parse(v->text);

        if (freq != 0 && freq != e->freq) {
            return "the kind of frequency of an export cannot change";
        }
    }

    return NULL;
}


bool
ctseg_export_patch(ctseg_export_t *e, const ctseg_json_t *body,
    const ctseg_export_env_t *env, ctseg_problems_t *problems,
    const char **rule)
{
    unsigned              before;
    ctseg_export_t        copy;
    const ctseg_json_t   *freq, *mapping;
    ctseg_export_parse_t  x;

    before = problems->n;
    *rule = ctseg_export_rule(e->freq, e->status, CTSEG_ON_EDIT);

    if (*rule != NULL) {
        return false;
    }

    if (body == NULL || body->type != CTSEG_JSON_OBJECT) {
        ctseg_problem(problems, "", "body must be an object");
        return false;
    }

    *rule = ctseg_export_patch_fixed(e, body);

    if (*rule != NULL) {
        return false;
    }

    copy = *e;

    x.e = &copy;
    x.env = env;
    x.problems = problems;
    x.patch = true;
    env->zone->to_civil(env->zone, env->now_ms, &x.today);

    ctseg_fields_known(body, "", ctseg_export_parse_known,
                       ctseg_export_parse_read_only, problems);

    ctseg_export_parse_type(&x, body);

    if (ctseg_json_get(body, "partner_id") != NULL) {
        ctseg_export_parse_partner(&x, body);
    }

    if (ctseg_json_get(body, "events") != NULL) {
        ctseg_export_parse_events(&x, body);
    }

    if (ctseg_json_get(body, "identifier_priority") != NULL) {
        ctseg_export_parse_priority(&x, body);
    }

    freq = ctseg_json_get(body, "frequency");

    if (freq != NULL) {
        ctseg_export_frequency(&x, freq);
    }

    mapping = ctseg_json_get(body, "mapping");

    if (mapping != NULL) {
        ctseg_export_mapping(&x, mapping);
    }

    if (problems->n != before) {
        return false;
    }

    copy.revision++;
    *e = copy;

    return true;
}
