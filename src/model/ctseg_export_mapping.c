/*
 * How an export wants its messages made.  Called by the parser of bodies.
 * What is said about integrations is for Segment and passed on as it is, so
 * only its outer shape is looked at; it is kept without white space, as each
 * batch has it in its body.
 */

#include "ctseg_export_int.h"
#include "ctseg_fields.h"
#include "../base/ctseg_str.h"

#include <stdio.h>
#include <string.h>


#define ctseg_export_mapping_count(list)  (sizeof(list) / sizeof((list)[0]))


static const char  *const ctseg_export_mapping_known[] = {
    "context",
    "names",
    "integrations",
    "future",
    NULL
};

static const char  *const ctseg_export_names[] = {
    "original",
    "canonical"
};

static const char  *const ctseg_export_futures[] = {
    "keep",
    "clamp",
    "reject"
};


const char *
ctseg_names_name(ctseg_names_t n)
{
    return (size_t) n < ctseg_export_mapping_count(ctseg_export_names)
           ? ctseg_export_names[n] : NULL;
}


const char *
ctseg_future_name(ctseg_future_t f)
{
    return (size_t) f < ctseg_export_mapping_count(ctseg_export_futures)
           ? ctseg_export_futures[f] : NULL;
}


/* the place of a word in its list; false: absent, or noted */

static bool
ctseg_export_mapping_word(ctseg_export_parse_t *x,
    const ctseg_json_t *mapping, const char *name, const char *path,
    const char *const *list, unsigned n, const char *rule, unsigned *found)
{
    unsigned     i;
    ctseg_str_t  s;

    if (!ctseg_field_string(mapping, name, path, &s, x->problems)) {
        return false;
    }

    for (i = 0; i < n; i++) {
        if (ctseg_str_is(s, list[i])) {
            *found = i;
            return true;
        }
    }

    ctseg_problem(x->problems, path, "%s", rule);

    return false;
}


/* what makes no sense without properties; as "events" it may not be given */

static bool
ctseg_export_mapping_has(ctseg_export_parse_t *x,
    const ctseg_json_t *mapping, const char *name, const char *path)
{
    if (ctseg_json_get(mapping, name) == NULL) {
        return false;
    }

    if (x->e->type == CTSEG_TYPE_PROFILE) {
        ctseg_problem(x->problems, path,
                      "may not be given with the type profile");
        return false;
    }

    return true;
}


static void
ctseg_export_mapping_messages(ctseg_export_parse_t *x,
    const ctseg_json_t *mapping)
{
    unsigned             i;
    const ctseg_json_t  *v;

    if (ctseg_export_mapping_has(x, mapping, "context", "mapping.context")) {
        v = ctseg_json_get(mapping, "context");

        if (v->type == CTSEG_JSON_BOOL) {
            x->e->mapping.context = v->boolean;

        } else {
            ctseg_problem(x->problems, "mapping.context",
                          "must be true or false");
        }
    }

    if (ctseg_export_mapping_has(x, mapping, "names", "mapping.names")
        && ctseg_export_mapping_word(x, mapping, "names", "mapping.names",
                             ctseg_export_names,
                             ctseg_export_mapping_count(ctseg_export_names),
                             "must be original or canonical", &i))
    {
        x->e->mapping.names = (ctseg_names_t) i;
    }
}


/* copied without white space; false: too long */

static bool
ctseg_export_mapping_compact(char *out, size_t size, ctseg_str_t raw)
{
    bool    quoted;
    char    c;
    size_t  i, len;

    quoted = false;

    for (i = 0, len = 0; i < raw.len; i++) {
        c = raw.data[i];

        if (!quoted && memchr(" \t\r\n", c, 4) != NULL) {
            continue;
        }

        if (len + 2 >= size) {
            return false;
        }

        out[len++] = c;

        if (c == '"') {
            quoted = !quoted;

        } else if (c == '\\') {
            out[len++] = raw.data[++i];
        }
    }

    out[len] = '\0';

    return true;
}


static void
ctseg_export_mapping_integrations(ctseg_export_parse_t *x,
    const ctseg_json_t *v)
{
    char                 path[CTSEG_FIELD_MAX];
    char                 text[CTSEG_INTEGRATIONS_MAX + 2];
    unsigned             before;
    const ctseg_json_t  *member;

    if (v->type == CTSEG_JSON_NULL) {
        memset(x->e->mapping.integrations, 0, CTSEG_INTEGRATIONS_MAX);
        return;
    }

    if (v->type != CTSEG_JSON_OBJECT || v->n > CTSEG_INTEGRATIONS_N) {
        ctseg_problem(x->problems, "mapping.integrations",
                      "must be null or an object of at most %d names",
                      CTSEG_INTEGRATIONS_N);
        return;
    }

    before = x->problems->n;

    for (member = v->child; member != NULL; member = member->next) {
        ctseg_field_path(path, "mapping.integrations", member->key);

        if (member->key.len == 0) {
            ctseg_problem(x->problems, path, "must have a name");
        }

        if (member->type != CTSEG_JSON_BOOL
            && member->type != CTSEG_JSON_OBJECT)
        {
            ctseg_problem(x->problems, path,
                          "must be true, false or an object");
        }
    }

    if (!ctseg_export_mapping_compact(text, sizeof(text), v->raw)) {
        ctseg_problem(x->problems, "mapping.integrations",
                      "must have at most %d bytes", CTSEG_INTEGRATIONS_MAX);
    }

    if (x->problems->n == before) {
        memset(x->e->mapping.integrations, 0, CTSEG_INTEGRATIONS_MAX);
        memcpy(x->e->mapping.integrations, text, strlen(text));
    }
}


void
ctseg_export_mapping(ctseg_export_parse_t *x, const ctseg_json_t *mapping)
{
    unsigned             i;
    const ctseg_json_t  *v;

    if (mapping->type != CTSEG_JSON_OBJECT) {
        ctseg_problem(x->problems, "mapping", "must be an object");
        return;
    }

    ctseg_fields_known(mapping, "mapping", ctseg_export_mapping_known, NULL,
                       x->problems);

    ctseg_export_mapping_messages(x, mapping);

    v = ctseg_json_get(mapping, "integrations");

    if (v != NULL) {
        ctseg_export_mapping_integrations(x, v);
    }

    if (ctseg_export_mapping_word(x, mapping, "future", "mapping.future",
                           ctseg_export_futures,
                           ctseg_export_mapping_count(ctseg_export_futures),
                           "must be keep, clamp or reject", &i))
    {
        x->e->mapping.future = (ctseg_future_t) i;
    }
}
