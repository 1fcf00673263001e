/*
 * Records of CleverTap's own, of a file or of the API, where these are alike.
 * Keys and values stay slices of the input; only properties that get facts
 * behind them are copied.
 */

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "ctseg_facts.h"
#include "../base/ctseg_str.h"


static const struct {
    ctseg_str_t  name;
    ctseg_id_e   id;
} ctseg_facts_ids[] = {
    { ctseg_string("identity"), CTSEG_ID_IDENTITY },
    { ctseg_string("objectId"), CTSEG_ID_OBJECT },
    { ctseg_string("email"), CTSEG_ID_EMAIL },
    { ctseg_string("phone"), CTSEG_ID_PHONE }
};


void
ctseg_facts_begin(ctseg_facts_t *f)
{
    memset(f, 0, offsetof(ctseg_facts_t, keys));

    f->id = -1;
}


/* ---- who did it ---- */


static void
ctseg_facts_profile_key(ctseg_facts_t *f, ctseg_str_t name)
{
    size_t  i;

    f->id = -1;
    f->all = ctseg_str_is(name, "all_identities");

    for (i = 0; i < sizeof(ctseg_facts_ids) / sizeof(ctseg_facts_ids[0]);
         i++)
    {
        if (ctseg_str_eq(name, ctseg_facts_ids[i].name)) {
            f->id = (int) ctseg_facts_ids[i].id;
        }
    }
}


void
ctseg_facts_profile(ctseg_facts_t *f, ctseg_intake_t *in, unsigned depth,
    const ctseg_json_token_t *t)
{
    if (t->type == CTSEG_JSON_KEY) {
        if (t->depth == depth) {
            ctseg_facts_profile_key(f, t->text);
        }

        return;
    }

    if (t->depth == depth) {
        f->id = -1;
        f->all = false;
        return;
    }

    if (t->depth == depth + 1 && f->id >= 0 && t->type < CTSEG_JSON_KEY) {
        ctseg_intake_id(in, (ctseg_id_e) f->id, t);
    }

    /* the list, or the one there is */

    if (f->all && f->first.len == 0 && t->type == CTSEG_JSON_STRING
        && t->depth <= depth + 2 && !ctseg_intake_is_blank(t->text))
    {
        f->first = ctseg_intake_inside(t->raw);
    }
}


void
ctseg_facts_identity(const ctseg_facts_t *f, ctseg_intake_t *in)
{
    unsigned  i;

    in->any_id = true;

    for (i = 0; i < CTSEG_ID_N; i++) {
        if (in->event.id[i].len != 0) {
            return;
        }
    }

    if (f->first.len <= CTSEG_ID_LEN_MAX) {
        in->event.id[CTSEG_ID_IDENTITY] = f->first;
    }
}


/* ---- what lies beside the properties ---- */


void
ctseg_facts_add(ctseg_facts_t *f, ctseg_str_t key, const char *start,
    const char *end)
{
    ctseg_fact_t  *fact;

    if (f->n == CTSEG_FACTS_MAX) {
        return;
    }

    fact = &f->item[f->n++];
    fact->key = key;
    fact->value.data = start;
    fact->value.len = (size_t) (end - start);
}


void
ctseg_facts_members(ctseg_facts_t *f, unsigned depth,
    ctseg_str_t (*rename)(ctseg_str_t raw), const ctseg_json_token_t *t)
{
    if (t->type == CTSEG_JSON_KEY) {
        if (t->depth == depth) {
            f->key = rename != NULL ? rename(t->raw) : t->raw;
        }

        return;
    }

    /* what lies in an array instead has no name */

    if (t->depth == depth) {
        f->key.len = 0;
    }

    if (t->depth != depth + 1 || f->key.len == 0) {
        return;
    }

    switch (t->type) {

    case CTSEG_JSON_ARRAY:
    case CTSEG_JSON_OBJECT:
        f->start = t->raw.data;
        return;

    case CTSEG_JSON_ARRAY_END:
    case CTSEG_JSON_OBJECT_END:
        ctseg_facts_add(f, f->key, f->start, t->raw.data + 1);
        return;

    case CTSEG_JSON_NULL:
        return;

    default:
        ctseg_facts_add(f, f->key, t->raw.data, t->raw.data + t->raw.len);
    }
}


void
ctseg_facts_props(ctseg_facts_t *f, ctseg_intake_data_t *d, unsigned depth,
    const ctseg_json_token_t *t)
{
    /* of several the last one counts */

    if (t->depth == depth && t->type < CTSEG_JSON_KEY) {
        f->nkeys = 0;
    }

    if (t->type == CTSEG_JSON_KEY && t->depth == depth
        && f->nkeys < CTSEG_FACTS_KEYS_MAX)
    {
        f->keys[f->nkeys++] = t->raw;
    }

    ctseg_intake_data(d, depth, t);
}


static bool
ctseg_facts_same(ctseg_str_t a, ctseg_str_t b, bool any_case)
{
    size_t  i;
    char    x, y;

    if (!any_case || a.len != b.len) {
        return ctseg_str_eq(a, b);
    }

    for (i = 0; i < a.len; i++) {
        x = a.data[i];
        y = b.data[i];
        x = x >= 'A' && x <= 'Z' ? (char) (x - 'A' + 'a') : x;
        y = y >= 'A' && y <= 'Z' ? (char) (y - 'A' + 'a') : y;

        if (x != y) {
            return false;
        }
    }

    return true;
}


static bool
ctseg_facts_has_key(const ctseg_facts_t *f, ctseg_str_t key, bool any_case)
{
    unsigned  i;

    for (i = 0; i < f->nkeys; i++) {
        if (ctseg_facts_same(f->keys[i], key, any_case)) {
            return true;
        }
    }

    return false;
}


void
ctseg_facts_merge(ctseg_facts_t *f, ctseg_intake_data_t *d, bool any_case,
    ctseg_buf_t *out)
{
    size_t       empty;
    unsigned     i;
    ctseg_str_t  raw;

    raw = d->raw;

    ctseg_buf_reset(out);

    /* what is too much already is refused as it is */

    if (f->n == 0 || f->nkeys > CTSEG_PROPS_N_MAX
        || raw.len > CTSEG_PROPS_LEN_MAX)
    {
        return;
    }

    /* all but the closing brace */

    if (raw.len != 0) {
        raw.len--;
        ctseg_buf_str(out, raw);

    } else {
        ctseg_buf_char(out, '{');
    }

    empty = f->nkeys == 0 ? out->len : 0;

    for (i = 0; i < f->n; i++) {
        if (ctseg_facts_has_key(f, f->item[i].key, any_case)) {
            continue;
        }

        if (out->len != empty) {
            ctseg_buf_char(out, ',');
        }

        ctseg_buf_str(out, f->item[i].key);
        ctseg_buf_char(out, ':');
        ctseg_buf_str(out, f->item[i].value);

        if (f->nkeys < CTSEG_FACTS_KEYS_MAX) {
            f->keys[f->nkeys++] = f->item[i].key;
        }
    }

    ctseg_buf_char(out, '}');

    d->raw = ctseg_buf_slice(out);
    d->nprops = f->nkeys;
}


/* ---- times ---- */


/* 20260102030405, wall time of the account; false: no such time */

static bool
ctseg_facts_wall(const ctseg_zone_t *zone, int64_t ts, int64_t *ms)
{
    char           date[CTSEG_DATE_LEN + 1];
    ctseg_civil_t  c;

    if (ts < 10000000000000LL || ts > 99991231235959LL) {
        return false;
    }

    (void) snprintf(date, sizeof(date), "%04d-%02d-%02d",
                    (int) (ts / 10000000000LL),
                    (int) (ts / 100000000LL % 100),
                    (int) (ts / 1000000LL % 100));

    memset(&c, 0, sizeof(ctseg_civil_t));

    if (!ctseg_date_parse(ctseg_str(date), &c)) {
        return false;
    }

    c.hour = (int) (ts / 10000 % 100);
    c.min = (int) (ts / 100 % 100);
    c.sec = (int) (ts % 100);

    if (c.hour > 23 || c.min > 59 || c.sec > 59) {
        return false;
    }

    *ms = zone->to_instant(zone, &c);

    return true;
}


int
ctseg_facts_judge_ts(const ctseg_zone_t *zone, ctseg_intake_t *in,
    ctseg_buf_t *text)
{
    int64_t  ms;

    if (in->ts_type == CTSEG_JSON_NULL) {
        ctseg_buf_cstr(text, "ts is missing");
        return CTSEG_CODE_TS;
    }

    if (!in->bad_ts && (ctseg_intake_epoch(in->ts, &ms)
                        || ctseg_facts_wall(zone, in->ts, &ms)))
    {
        in->event.time_ms = ms;
        return 0;
    }

    ctseg_buf_cstr(text, "ts must be a time of 14 digits (yyyymmddHHMMSS), or"
                   " seconds or milliseconds since 1970-01-01 UTC");

    return CTSEG_CODE_TS;
}
