/*
 * The body of POST /imports into an import.  Called by the API.  Every wrong
 * field is noted instead of ending at the first, so each part below notes its
 * own and goes on.  Whether CleverTap knows those events and lets them be
 * exported is not asked.
 */

#include "ctseg_import.h"
#include "ctseg_fields.h"
#include "../base/ctseg_str.h"

#include <stdio.h>
#include <string.h>


typedef struct {
    ctseg_import_t            *im;
    const ctseg_import_env_t  *env;
    ctseg_problems_t          *problems;
    ctseg_civil_t              today;   /* in the account zone */
    ctseg_str_t                name[CTSEG_IMPORT_NAMES_MAX];
} ctseg_import_parse_t;


static const char  *const ctseg_import_parse_known[] = {
    "events",
    "from",
    "to",
    "account_id",
    "profiles",
    NULL
};

static const char  *const ctseg_import_parse_read_only[] = {
    "id",
    "status",
    "stop_reason",
    "revision",
    "created_at",
    "started_at",
    "finished_at",
    "progress",
    "forbidden_events",
    "errors",
    "last_error",
    NULL
};


/* the next character of a name that counts, or -1 */

static int
ctseg_import_parse_next(ctseg_str_t *s)
{
    unsigned char  c;

    while (s->len != 0) {
        c = (unsigned char) *s->data++;
        s->len--;

        if (c == ' ') {
            continue;
        }

        return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
    }

    return -1;
}


/* as CleverTap compares them: without regard to case and spaces */

static bool
ctseg_import_parse_same(ctseg_str_t a, ctseg_str_t b)
{
    int  c;

    do {
        c = ctseg_import_parse_next(&a);

        if (c != ctseg_import_parse_next(&b)) {
            return false;
        }

    } while (c != -1);

    return true;
}


static void
ctseg_import_parse_name(ctseg_import_parse_t *x, const ctseg_json_t *v,
    const char *path)
{
    unsigned     i, kind;
    ctseg_str_t  name, none = ctseg_string("");

    if (v->type != CTSEG_JSON_STRING) {
        ctseg_problem(x->problems, path, "must be a string");
        return;
    }

    name = v->text;

    if (ctseg_import_parse_same(name, none)) {
        ctseg_problem(x->problems, path, "may not be empty");
        return;
    }

    if (ctseg_utf8_len(name) > CTSEG_IMPORT_NAME_MAX) {
        ctseg_problem(x->problems, path, "may have at most %d characters",
                      CTSEG_IMPORT_NAME_MAX);
        return;
    }

    if (!ctseg_field_is_plain(name)) {
        ctseg_problem(x->problems, path, "may not have control characters");
        return;
    }

    kind = ctseg_catalog_find(name);

    if (kind != CTSEG_KIND_CUSTOM) {
        name = ctseg_catalog_name(kind);
    }

    for (i = 0; i < x->im->nnames; i++) {
        if (ctseg_import_parse_same(name, x->name[i])) {
            ctseg_problem(x->problems, path, "occurs twice");
            return;
        }
    }

    x->name[x->im->nnames++] = name;

    ctseg_json_escape(&x->im->names, name);
    ctseg_buf_char(&x->im->names, '\0');
}


static void
ctseg_import_parse_events(ctseg_import_parse_t *x, const ctseg_json_t *body)
{
    char                 path[CTSEG_FIELD_MAX];
    unsigned             i;
    const ctseg_json_t  *events, *v;

    events = ctseg_json_get(body, "events");

    if (events == NULL) {
        ctseg_problem(x->problems, "events", "is required");
        return;
    }

    if (events->type != CTSEG_JSON_ARRAY
        || events->n == 0
        || events->n > CTSEG_IMPORT_NAMES_MAX)
    {
        ctseg_problem(x->problems, "events",
                      "must be an array of 1 to %d names of events",
                      CTSEG_IMPORT_NAMES_MAX);
        return;
    }

    for (i = 0, v = events->child; v != NULL; v = v->next, i++) {
        (void) snprintf(path, sizeof(path), "events[%u]", i);
        ctseg_import_parse_name(x, v, path);
    }

    if (x->im->names.len > CTSEG_IMPORT_NAMES_BYTES) {
        ctseg_problem(x->problems, "events",
                      "the names may have at most %d bytes together",
                      CTSEG_IMPORT_NAMES_BYTES);
    }
}


static bool
ctseg_import_parse_day(ctseg_import_parse_t *x, const ctseg_json_t *body,
    const char *name, ctseg_civil_t *day)
{
    ctseg_str_t  s;

    if (!ctseg_field_string(body, name, name, &s, x->problems)) {
        if (ctseg_json_get(body, name) == NULL) {
            ctseg_problem(x->problems, name, "is required");
        }

        return false;
    }

    if (!ctseg_date_parse(s, day)) {
        ctseg_problem(x->problems, name,
                      "must be an existing day, written YYYY-MM-DD");
        return false;
    }

    return true;
}


static int64_t
ctseg_import_parse_days(const ctseg_civil_t *c)
{
    return ctseg_days_from_civil(c->year, c->month, c->day);
}


static void
ctseg_import_parse_range(ctseg_import_parse_t *x, const ctseg_json_t *body)
{
    bool     from, to;
    int64_t  first, last;

    from = ctseg_import_parse_day(x, body, "from", &x->im->from);
    to = ctseg_import_parse_day(x, body, "to", &x->im->to);

    last = ctseg_import_parse_days(&x->im->to);

    if (to && last > ctseg_import_parse_days(&x->today)) {
        ctseg_problem(x->problems, "to", "may not lie after today");
    }

    if (!from || !to) {
        return;
    }

    first = ctseg_import_parse_days(&x->im->from);

    if (first > last) {
        ctseg_problem(x->problems, "from", "may not lie after to");

    } else if (last - first >= CTSEG_IMPORT_DAYS_MAX) {
        ctseg_problem(x->problems, "from",
                      "may lie so far back that there are at most %d days",
                      CTSEG_IMPORT_DAYS_MAX);
    }
}


static void
ctseg_import_parse_account(ctseg_import_parse_t *x, const ctseg_json_t *body)
{
    unsigned     i;
    ctseg_str_t  s;

    if (ctseg_field_string(body, "account_id", "account_id", &s,
                           x->problems))
    {
        for (i = 0; i < x->env->naccounts; i++) {
            if (ctseg_str_eq(s, x->env->accounts[i])) {
                break;
            }
        }

        if (i == x->env->naccounts) {
            ctseg_problem(x->problems, "account_id", "names no account of a "
                          "ctseg_clevertap in nginx.conf");
            return;
        }

    } else if (ctseg_json_get(body, "account_id") != NULL) {
        return;

    } else if (x->env->naccounts == 1) {
        s = x->env->accounts[0];

    } else {
        ctseg_problem(x->problems, "account_id",
                      "is required, since nginx.conf names %u accounts",
                      x->env->naccounts);
        return;
    }

    /* nginx.conf has none that is longer */

    if (s.len > CTSEG_IMPORT_ACCOUNT_MAX) {
        s.len = CTSEG_IMPORT_ACCOUNT_MAX;
    }

    memcpy(x->im->account, s.data, s.len);
    x->im->account[s.len] = '\0';
}


static void
ctseg_import_parse_profiles(ctseg_import_parse_t *x, const ctseg_json_t *body)
{
    const ctseg_json_t  *v;

    v = ctseg_json_get(body, "profiles");

    if (v == NULL) {
        return;
    }

    if (v->type != CTSEG_JSON_BOOL) {
        ctseg_problem(x->problems, "profiles", "must be true or false");
        return;
    }

    x->im->profiles = v->boolean;
}


bool
ctseg_import_parse(ctseg_import_t *im, const ctseg_json_t *body,
    const ctseg_import_env_t *env, ctseg_problems_t *problems)
{
    unsigned              before;
    ctseg_import_parse_t  x;

    before = problems->n;

    if (body == NULL || body->type != CTSEG_JSON_OBJECT) {
        ctseg_problem(problems, "", "body must be an object");
        return false;
    }

    x.im = im;
    x.env = env;
    x.problems = problems;
    env->zone->to_civil(env->zone, env->now_ms, &x.today);

    im->status = CTSEG_PENDING;
    im->stop_reason = CTSEG_STOP_NONE;
    im->revision = 1;
    im->created_ms = env->now_ms;
    im->seq = 1;

    ctseg_fields_known(body, "", ctseg_import_parse_known,
                       ctseg_import_parse_read_only, problems);

    ctseg_import_parse_events(&x, body);
    ctseg_import_parse_range(&x, body);
    ctseg_import_parse_account(&x, body);
    ctseg_import_parse_profiles(&x, body);

    return problems->n == before;
}
