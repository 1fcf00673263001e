/*
 * The content of an event as a hash: its name, its second and its properties
 * in one spelling, then each identity behind it.  Properties are written in
 * the order of their names, strings decoded, numbers as digits and a power of
 * ten.  What has no such form (a name that occurs twice) is taken as it is,
 * and is the same as itself.
 */

#include <stdlib.h>
#include <string.h>

#include "ctseg_content.h"
#include "../base/ctseg_json.h"
#include "../base/ctseg_str.h"


#define CTSEG_CONTENT_DEPTH_MAX  64
#define CTSEG_CONTENT_NODES_MAX  CTSEG_PROPS_LEN_MAX
#define CTSEG_CONTENT_POWER_MAX  1000000000000LL


/* the decoded text of a raw one, in b if need be */

static ctseg_rc_t
ctseg_content_decode(ctseg_buf_t *b, ctseg_str_t raw, ctseg_str_t *text)
{
    ctseg_rc_t      rc;
    ctseg_json_t   *root;
    ctseg_arena_t  *arena;

    *text = raw;

    if (raw.len == 0 || memchr(raw.data, '\\', raw.len) == NULL) {
        return CTSEG_OK;
    }

    arena = ctseg_arena_create();
    if (arena == NULL) {
        return CTSEG_NOMEM;
    }

    ctseg_buf_reset(b);
    ctseg_buf_char(b, '"');
    ctseg_buf_str(b, raw);
    ctseg_buf_char(b, '"');

    rc = b->failed ? CTSEG_NOMEM
         : ctseg_json_parse(arena, ctseg_buf_slice(b), 1, 1, &root, NULL);

    if (rc == CTSEG_OK) {
        ctseg_buf_reset(b);
        ctseg_buf_str(b, root->text);
        *text = ctseg_buf_slice(b);
        rc = b->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_arena_destroy(arena);

    return rc == CTSEG_NOMEM ? CTSEG_NOMEM : CTSEG_OK;
}


static char
ctseg_content_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}


ctseg_rc_t
ctseg_content_name(ctseg_buf_t *out, ctseg_str_t raw)
{
    size_t       i;
    ctseg_rc_t   rc;
    ctseg_buf_t  b;
    ctseg_str_t  text;

    memset(&b, 0, sizeof(ctseg_buf_t));
    rc = ctseg_content_decode(&b, raw, &text);

    for (i = 0; rc == CTSEG_OK && i < text.len; i++) {
        if (text.data[i] != ' ') {
            ctseg_buf_char(out, ctseg_content_lower(text.data[i]));
        }
    }

    ctseg_buf_free(&b);

    return out->failed ? CTSEG_NOMEM : rc;
}


/* ---- properties ---- */


/* the power of ten behind the e; what is too large is all the same */

static int64_t
ctseg_content_power(ctseg_str_t s, size_t at)
{
    bool     minus;
    int64_t  power;

    minus = at < s.len && s.data[at] == '-';
    power = 0;

    for ( /* void */ ; at < s.len; at++) {
        if (s.data[at] >= '0' && s.data[at] <= '9'
            && power < CTSEG_CONTENT_POWER_MAX)
        {
            power = power * 10 + (s.data[at] - '0');
        }
    }

    return minus ? -power : power;
}


/* 1, 1.0 and 10e-1 are "1e0"; 1200 is "12e2" */

static void
ctseg_content_number(ctseg_buf_t *out, ctseg_str_t s)
{
    bool     point;
    size_t   i, start, len, end;
    int64_t  power;

    start = out->len;
    power = 0;
    point = false;
    i = 0;

    if (s.len != 0 && s.data[0] == '-') {
        ctseg_buf_char(out, '-');
        i++;
    }

    end = len = out->len;

    for ( /* void */ ; i < s.len; i++) {

        if (s.data[i] == '.') {
            point = true;
            continue;
        }

        if (s.data[i] < '0' || s.data[i] > '9') {
            power += ctseg_content_power(s, i + 1);
            break;
        }

        power -= point;

        /* no zeros in front */

        if (s.data[i] == '0' && out->len == len) {
            continue;
        }

        ctseg_buf_char(out, s.data[i]);

        if (s.data[i] != '0') {
            end = out->len;
        }
    }

    if (out->failed) {
        return;
    }

    /* nor behind */

    power += (int64_t) (out->len - end);
    out->len = end;

    if (end == len) {
        out->len = start;
        ctseg_buf_char(out, '0');
        return;
    }

    ctseg_buf_fmt(out, "e%lld", (long long) power);
}


static int
ctseg_content_order(const void *a, const void *b)
{
    int          order;
    ctseg_str_t  x, y;

    x = (*(ctseg_json_t *const *) a)->key;
    y = (*(ctseg_json_t *const *) b)->key;

    order = memcmp(x.data, y.data, x.len < y.len ? x.len : y.len);

    return order != 0 ? order : x.len < y.len ? -1 : x.len > y.len;
}


/* CleverTap's own addition, or nothing at all */

static bool
ctseg_content_is_added(const ctseg_json_t *member)
{
    ctseg_str_t  key;

    key = member->key;

    return member->type == CTSEG_JSON_NULL
           || (key.len >= 3 && (memcmp(key.data, "CT ", 3) == 0
                                || memcmp(key.data, "ct_", 3) == 0));
}


static ctseg_rc_t ctseg_content_value(ctseg_buf_t *out, ctseg_arena_t *arena,
    const ctseg_json_t *v);


/* with its length in front, so that nothing in it looks like something else */

static void
ctseg_content_text(ctseg_buf_t *out, char type, ctseg_str_t s)
{
    ctseg_buf_fmt(out, "%c%zu:", type, s.len);
    ctseg_buf_str(out, s);
}


static ctseg_rc_t
ctseg_content_object(ctseg_buf_t *out, ctseg_arena_t *arena,
    const ctseg_json_t *object, bool top)
{
    unsigned             i, n;
    ctseg_rc_t           rc;
    ctseg_json_t        *child;
    const ctseg_json_t **sorted;

    sorted = ctseg_arena_alloc(arena, (object->n + 1)
                                      * sizeof(ctseg_json_t *));
    if (sorted == NULL) {
        return CTSEG_NOMEM;
    }

    n = 0;

    for (child = object->child; child != NULL; child = child->next) {
        if (!top || !ctseg_content_is_added(child)) {
            sorted[n++] = child;
        }
    }

    qsort(sorted, n, sizeof(ctseg_json_t *), ctseg_content_order);

    rc = CTSEG_OK;
    ctseg_buf_char(out, '{');

    for (i = 0; i < n && rc == CTSEG_OK; i++) {
        ctseg_content_text(out, 'k', sorted[i]->key);
        rc = ctseg_content_value(out, arena, sorted[i]);
    }

    ctseg_buf_char(out, '}');

    return rc;
}


static ctseg_rc_t
ctseg_content_value(ctseg_buf_t *out, ctseg_arena_t *arena,
    const ctseg_json_t *v)
{
    ctseg_rc_t     rc;
    ctseg_json_t  *child;

    switch (v->type) {

    case CTSEG_JSON_OBJECT:
        return ctseg_content_object(out, arena, v, false);

    case CTSEG_JSON_ARRAY:
        rc = CTSEG_OK;
        ctseg_buf_char(out, '[');

        for (child = v->child; child != NULL && rc == CTSEG_OK;
             child = child->next)
        {
            rc = ctseg_content_value(out, arena, child);
        }

        ctseg_buf_char(out, ']');
        return rc;

    case CTSEG_JSON_STRING:
        ctseg_content_text(out, 's', v->text);
        break;

    case CTSEG_JSON_NUMBER:
        ctseg_buf_char(out, 'n');
        ctseg_content_number(out, v->text);
        break;

    case CTSEG_JSON_BOOL:
        ctseg_buf_char(out, v->boolean ? 't' : 'f');
        break;

    default:
        ctseg_buf_char(out, '0');
    }

    return CTSEG_OK;
}


/* none, and an object of which nothing counts, are the same */

static ctseg_rc_t
ctseg_content_props(ctseg_buf_t *out, ctseg_str_t props)
{
    ctseg_rc_t      rc;
    ctseg_json_t   *root;
    ctseg_arena_t  *arena;

    if (props.len == 0) {
        ctseg_buf_cstr(out, "{}");
        return CTSEG_OK;
    }

    arena = ctseg_arena_create();
    if (arena == NULL) {
        return CTSEG_NOMEM;
    }

    rc = ctseg_json_parse(arena, props, CTSEG_CONTENT_DEPTH_MAX,
                          CTSEG_CONTENT_NODES_MAX, &root, NULL);

    if (rc == CTSEG_OK && root->type == CTSEG_JSON_OBJECT) {
        rc = ctseg_content_object(out, arena, root, true);

    } else if (rc != CTSEG_NOMEM) {
        ctseg_content_text(out, 'r', props);
        rc = CTSEG_OK;
    }

    ctseg_arena_destroy(arena);

    return rc;
}


/* ---- the whole ---- */


/* a hash that is never 0; false: no memory */

static bool
ctseg_content_hash(ctseg_hash_t *h, const ctseg_str_t *parts, unsigned n,
    uint64_t *out)
{
    char  hash[CTSEG_HASH_LEN];

    if (!ctseg_hash(h, parts, n, hash)) {
        return false;
    }

    memcpy(out, hash, sizeof(uint64_t));
    *out += *out == 0;

    return true;
}


/* its identities, given what all of them share */

static ctseg_rc_t
ctseg_content_ids(const ctseg_event_t *ev, ctseg_hash_t *h, ctseg_str_t shared,
    ctseg_content_t *out)
{
    char         kind;
    unsigned     i;
    ctseg_rc_t   rc;
    ctseg_buf_t  b;
    ctseg_str_t  parts[3];

    memset(&b, 0, sizeof(ctseg_buf_t));
    rc = CTSEG_OK;

    for (i = 0; i < CTSEG_ID_N && rc == CTSEG_OK; i++) {

        if (ev->id[i].len == 0) {
            continue;
        }

        kind = (char) i;
        parts[0] = shared;
        parts[1].data = &kind;
        parts[1].len = 1;
        rc = ctseg_content_decode(&b, ev->id[i], &parts[2]);

        if (rc == CTSEG_OK
            && (!ctseg_content_hash(h, parts, 3, &out->ids[i])
                || (i == CTSEG_ID_IDENTITY
                    && !ctseg_content_hash(h, &parts[2], 1, &out->identity))))
        {
            rc = CTSEG_NOMEM;
        }

        out->nids++;
    }

    ctseg_buf_free(&b);

    return rc;
}


ctseg_rc_t
ctseg_content(const ctseg_event_t *ev, const ctseg_zone_t *zone,
    ctseg_hash_t *h, ctseg_content_t *out)
{
    char           hash[CTSEG_HASH_LEN];
    ctseg_rc_t     rc;
    ctseg_buf_t    text;
    ctseg_str_t    parts[2];
    ctseg_civil_t  c;

    memset(out, 0, sizeof(ctseg_content_t));
    memset(&text, 0, sizeof(ctseg_buf_t));

    zone->to_civil(zone, ev->time_ms, &c);
    ctseg_buf_fmt(&text, "%04d%02d%02d%02d%02d%02d ", c.year, c.month, c.day,
                  c.hour, c.min, c.sec);

    rc = ctseg_content_name(&text, ev->kind == CTSEG_KIND_CUSTOM
                                   ? ev->name
                                   : ctseg_catalog_name(ev->kind));
    parts[0].len = text.len;

    if (rc == CTSEG_OK) {
        rc = ctseg_content_props(&text, ev->props);
    }

    if (rc == CTSEG_OK && text.failed) {
        rc = CTSEG_NOMEM;
    }

    if (rc == CTSEG_OK) {
        parts[0].data = text.data;
        parts[1].data = text.data + parts[0].len;
        parts[1].len = text.len - parts[0].len;

        if (!ctseg_hash(h, parts, 2, hash)) {
            rc = CTSEG_NOMEM;
        }
    }

    if (rc == CTSEG_OK) {
        parts[0].data = hash;
        parts[0].len = CTSEG_HASH_LEN;
        rc = ctseg_content_ids(ev, h, parts[0], out);
    }

    ctseg_buf_free(&text);

    return rc;
}
