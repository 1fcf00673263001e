/*
 * The body of POST /exports into an export.  Called by the API for a
 * creation and for a preview.  It collects every wrong field instead of
 * ending at the first, so each part below notes its own and goes on.  Days
 * are turned into instants here, once, in the account zone; whether the
 * partner exists and whether the store still has those days is not asked.
 */

#include "ctseg_export.h"
#include "ctseg_fields.h"
#include "../base/ctseg_str.h"

#include <stdio.h>
#include <string.h>


typedef struct {
    ctseg_export_t            *e;
    const ctseg_export_env_t  *env;
    ctseg_problems_t          *problems;
    ctseg_civil_t              today;
} ctseg_export_parse_t;


static const char  *const ctseg_export_parse_known[] = {
    "type",
    "format",
    "partner_id",
    "events",
    "identifier_priority",
    "frequency",
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

static const char  *const ctseg_export_parse_freq_known[] = {
    "kind",
    "from",
    "to",
    "range",
    "every_hours",
    "start_date",
    NULL
};


static int64_t
ctseg_export_parse_days(const ctseg_civil_t *c)
{
    return ctseg_days_from_civil(c->year, c->month, c->day);
}


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


static void
ctseg_export_parse_type(ctseg_export_parse_t *x, const ctseg_json_t *body)
{
    ctseg_str_t  s;

    x->e->type = CTSEG_TYPE_EVENT;

    if (ctseg_field_string(body, "type", "type", &s, x->problems)) {
        x->e->type = ctseg_type_parse(s);

        if (x->e->type == 0) {
            ctseg_problem(x->problems, "type", "must be event or profile");

        } else if (x->e->type == CTSEG_TYPE_PROFILE) {
            ctseg_problem(x->problems, "type",
                          "profile exports are not available yet");
        }
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

    for (i = 0, v = names->child; v != NULL; v = v->next, i++) {

        (void) snprintf(path, sizeof(path), "events.names[%u]", i);

        if (v->type != CTSEG_JSON_STRING) {
            ctseg_problem(x->problems, path, "must be a string");
            continue;
        }

        kind = ctseg_catalog_find(v->text);

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


static bool
ctseg_export_parse_date(ctseg_export_parse_t *x, const ctseg_json_t *freq,
    const char *name, const char *path, ctseg_civil_t *c)
{
    ctseg_str_t  s;

    if (!ctseg_field_string(freq, name, path, &s, x->problems)) {

        if (ctseg_json_get(freq, name) == NULL) {
            ctseg_problem(x->problems, path, "is required");
        }

        return false;
    }

    if (!ctseg_date_parse(s, c)) {
        ctseg_problem(x->problems, path,
                      "must be an existing day, written YYYY-MM-DD");
        return false;
    }

    return true;
}


/* both days count: up to the start of the day after the last */

static void
ctseg_export_parse_window(ctseg_export_parse_t *x, const ctseg_civil_t *from,
    const ctseg_civil_t *to)
{
    ctseg_civil_t  after;

    after = *to;
    ctseg_date_add(&after, 1);

    ctseg_date_render(x->e->from, from);
    ctseg_date_render(x->e->to, to);

    x->e->from_ms = ctseg_day_start(x->env->zone, from);
    x->e->to_ms = ctseg_day_start(x->env->zone, &after);
}


static void
ctseg_export_parse_from_to(ctseg_export_parse_t *x, const ctseg_json_t *freq)
{
    bool           has_from, has_to;
    char           day[CTSEG_DATE_LEN + 1];
    int64_t        today;
    unsigned       before;
    ctseg_civil_t  from, to, oldest;

    before = x->problems->n;
    today = ctseg_export_parse_days(&x->today);

    has_from = ctseg_export_parse_date(x, freq, "from", "frequency.from",
                                       &from);
    has_to = ctseg_export_parse_date(x, freq, "to", "frequency.to", &to);

    if (has_from
        && ctseg_export_parse_days(&from) < today - CTSEG_LOOKBACK_DAYS)
    {
        oldest = x->today;
        ctseg_date_add(&oldest, -CTSEG_LOOKBACK_DAYS);
        ctseg_date_render(day, &oldest);

        ctseg_problem(x->problems, "frequency.from",
                      "may lie at most %d days back, on %s or later",
                      CTSEG_LOOKBACK_DAYS, day);
    }

    if (has_to && ctseg_export_parse_days(&to) > today) {
        ctseg_date_render(day, &x->today);

        ctseg_problem(x->problems, "frequency.to",
                      "may not lie after today, %s: a day to come has no "
                      "events yet", day);
    }

    if (has_from
        && has_to
        && ctseg_export_parse_days(&from) > ctseg_export_parse_days(&to))
    {
        ctseg_problem(x->problems, "frequency.to",
                      "may not lie before frequency.from");
    }

    if (x->problems->n == before) {
        ctseg_export_parse_window(x, &from, &to);
    }
}


/* first and last day of a named range; false if there is no such name */

static bool
ctseg_export_parse_named(const ctseg_civil_t *today, ctseg_str_t name,
    ctseg_civil_t *from, ctseg_civil_t *to)
{
    *from = *today;
    *to = *today;

    if (ctseg_str_is(name, "today")) {
        return true;
    }

    if (ctseg_str_is(name, "yesterday")) {
        ctseg_date_add(from, -1);
        *to = *from;
        return true;
    }

    if (ctseg_str_is(name, "last_7_days")) {
        ctseg_date_add(from, -6);
        return true;
    }

    if (ctseg_str_is(name, "last_30_days")) {
        ctseg_date_add(from, -29);
        return true;
    }

    if (ctseg_str_is(name, "current_month")) {
        from->day = 1;
        return true;
    }

    if (ctseg_str_is(name, "previous_month")) {
        to->day = 1;
        ctseg_date_add(to, -1);
        *from = *to;
        from->day = 1;
        return true;
    }

    return false;
}


static void
ctseg_export_parse_range(ctseg_export_parse_t *x, const ctseg_json_t *freq)
{
    ctseg_str_t    s;
    ctseg_civil_t  from, to, oldest;

    if (ctseg_json_get(freq, "from") != NULL
        || ctseg_json_get(freq, "to") != NULL)
    {
        ctseg_problem(x->problems, "frequency.range",
                      "may not be given together with from and to");
        return;
    }

    if (!ctseg_field_string(freq, "range", "frequency.range", &s,
                            x->problems))
    {
        return;
    }

    if (!ctseg_export_parse_named(&x->today, s, &from, &to)) {
        ctseg_problem(x->problems, "frequency.range",
                      "must be today, yesterday, last_7_days, last_30_days, "
                      "current_month or previous_month");
        return;
    }

    /* near the end of a month the previous one begins before the limit */

    oldest = x->today;
    ctseg_date_add(&oldest, -CTSEG_LOOKBACK_DAYS);

    if (ctseg_export_parse_days(&from) < ctseg_export_parse_days(&oldest)) {
        from = oldest;
    }

    memcpy(x->e->range, s.data, s.len);
    x->e->range[s.len] = '\0';

    ctseg_export_parse_window(x, &from, &to);
}


static void
ctseg_export_parse_one_time(ctseg_export_parse_t *x, const ctseg_json_t *freq)
{
    if (ctseg_json_get(freq, "every_hours") != NULL) {
        ctseg_problem(x->problems, "frequency.every_hours",
                      "may be given with the kind recurring only");
    }

    if (ctseg_json_get(freq, "start_date") != NULL) {
        ctseg_problem(x->problems, "frequency.start_date",
                      "may be given with the kind recurring only");
    }

    if (ctseg_json_get(freq, "range") != NULL) {
        ctseg_export_parse_range(x, freq);
        return;
    }

    if (ctseg_json_get(freq, "from") == NULL
        && ctseg_json_get(freq, "to") == NULL)
    {
        ctseg_problem(x->problems, "frequency",
                      "needs from and to, or a range");
        return;
    }

    ctseg_export_parse_from_to(x, freq);
}


static void
ctseg_export_parse_frequency(ctseg_export_parse_t *x,
    const ctseg_json_t *body)
{
    ctseg_str_t          s;
    const ctseg_json_t  *freq;

    freq = ctseg_json_get(body, "frequency");

    if (freq == NULL) {
        ctseg_problem(x->problems, "frequency", "is required");
        return;
    }

    if (freq->type != CTSEG_JSON_OBJECT) {
        ctseg_problem(x->problems, "frequency", "must be an object");
        return;
    }

    ctseg_fields_known(freq, "frequency", ctseg_export_parse_freq_known,
                       NULL, x->problems);

    if (!ctseg_field_string(freq, "kind", "frequency.kind", &s,
                            x->problems))
    {
        if (ctseg_json_get(freq, "kind") == NULL) {
            ctseg_problem(x->problems, "frequency.kind", "is required");
        }

        return;
    }

    x->e->freq = ctseg_freq_parse(s);

    switch (x->e->freq) {
    case CTSEG_FREQ_ONE_TIME:
        ctseg_export_parse_one_time(x, freq);
        break;

    case CTSEG_FREQ_RECURRING:
    case CTSEG_FREQ_LIVE:
        ctseg_problem(x->problems, "frequency.kind",
                      "%s exports are not available yet",
                      ctseg_freq_name(x->e->freq));
        break;

    default:
        ctseg_problem(x->problems, "frequency.kind",
                      "must be one_time, recurring or live");
        break;
    }
}


bool
ctseg_export_parse(ctseg_export_t *e, const ctseg_json_t *body,
    const ctseg_export_env_t *env, ctseg_problems_t *problems)
{
    unsigned              before;
    ctseg_export_parse_t  x;

    before = problems->n;

    if (body == NULL || body->type != CTSEG_JSON_OBJECT) {
        ctseg_problem(problems, "", "body must be an object");
        return false;
    }

    x.e = e;
    x.env = env;
    x.problems = problems;
    env->zone->to_civil(env->zone, env->now_ms, &x.today);

    ctseg_fields_known(body, "", ctseg_export_parse_known,
                       ctseg_export_parse_read_only, problems);

    ctseg_export_parse_partner(&x, body);
    ctseg_export_parse_type(&x, body);
    ctseg_export_parse_events(&x, body);
    ctseg_export_parse_priority(&x, body);
    ctseg_export_parse_frequency(&x, body);

    e->status = CTSEG_PENDING;
    e->stop_reason = CTSEG_STOP_NONE;
    e->revision = 1;
    e->runs = 0;
    e->created_ms = env->now_ms;
    e->next_run_ms = env->now_ms;
    ctseg_date_render(e->exported_on, &x.today);

    return problems->n == before;
}
