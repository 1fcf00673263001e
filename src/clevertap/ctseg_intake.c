/*
 * The judge of records.  Decoded text lives during a token only, so whatever
 * needs it (a kind, a time, an own id) is found when the token comes; the
 * verdict is put together when the record has ended, since the fields of a
 * record may come in any order.  Laxer than CleverTap: names that it reserves
 * for its system events are welcome, since these are what is exported.
 */

#include "ctseg_intake.h"
#include "../base/ctseg_str.h"

#include <string.h>


static const char  *const ctseg_intake_ids[CTSEG_ID_N] = {
    "identity",
    "objectId",
    "email",
    "phone",
    "FBID",
    "GPID"
};


ctseg_str_t
ctseg_intake_inside(ctseg_str_t raw)
{
    ctseg_str_t  s;

    s.data = raw.data + 1;
    s.len = raw.len - 2;

    return s;
}


bool
ctseg_intake_is_blank(ctseg_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] != ' ') {
            return false;
        }
    }

    return true;
}


static char
ctseg_intake_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c - 'A' + 'a') : c;
}


bool
ctseg_intake_is(ctseg_str_t s, const char *word)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (word[i] == '\0'
            || ctseg_intake_lower(s.data[i]) != ctseg_intake_lower(word[i]))
        {
            return false;
        }
    }

    return word[i] == '\0';
}


void
ctseg_intake_begin(ctseg_intake_t *in)
{
    memset(in, 0, sizeof(ctseg_intake_t));

    in->ts_type = CTSEG_JSON_NULL;
    in->bad_id = -1;
}


void
ctseg_intake_name(ctseg_intake_t *in, const ctseg_json_token_t *t)
{
    in->bad_name = t->type != CTSEG_JSON_STRING
                   || ctseg_intake_is_blank(t->text);

    if (!in->bad_name) {
        in->event.kind = ctseg_catalog_find(t->text);
        in->event.name = ctseg_intake_inside(t->raw);
        in->is_charged = ctseg_intake_is(t->text, "Charged");
    }
}


/*
 * The raw text of a string or number, empty for null and for what is blank:
 * Segment takes a blank id for none and drops the event behind a 200.
 */

static bool
ctseg_intake_text(const ctseg_json_token_t *t, ctseg_str_t *s)
{
    s->len = 0;
    s->data = t->raw.data;

    switch (t->type) {

    case CTSEG_JSON_STRING:
        if (!ctseg_intake_is_blank(t->text)) {
            *s = ctseg_intake_inside(t->raw);
        }

        return true;

    case CTSEG_JSON_NUMBER:

        /* servers upload numeric customer ids; as text they are the same */

        *s = t->raw;
        return true;

    default:
        return t->type == CTSEG_JSON_NULL;
    }
}


void
ctseg_intake_id(ctseg_intake_t *in, ctseg_id_e id,
    const ctseg_json_token_t *t)
{
    ctseg_str_t  s;

    if (!ctseg_intake_text(t, &s) || t->raw.len > CTSEG_ID_LEN_MAX + 2
        || s.len > CTSEG_ID_LEN_MAX)
    {
        in->bad_id = (int) id;
        return;
    }

    in->event.id[id] = s;
}


/* a character may be written in up to twelve bytes, so they are counted */

void
ctseg_intake_own_id(ctseg_intake_t *in, const ctseg_json_token_t *t)
{
    ctseg_str_t  s;

    in->bad_own_id = !ctseg_intake_text(t, &s)
                     || (s.len != 0
                         && ctseg_utf8_len(t->text) > CTSEG_INTAKE_OWN_ID_MAX);

    if (!in->bad_own_id) {
        in->event.own_id = s;
    }
}


void
ctseg_intake_ts(ctseg_intake_t *in, const ctseg_json_token_t *t)
{
    in->bad_ts = (t->type != CTSEG_JSON_NUMBER
                  && t->type != CTSEG_JSON_STRING)
                 || !ctseg_str_int64(t->text, &in->ts);
    in->ts_type = t->type;
}


/*
 * Seconds or milliseconds since 1970.  Between the two lies a gap that no
 * real event falls into: seconds from the year 5138 on, milliseconds before
 * 1973.  14-digit local times lie above both and are refused.
 */

bool
ctseg_intake_epoch(int64_t ts, int64_t *ms)
{
    if (ts < 0 || ts >= 10000000000000LL) {
        return false;
    }

    *ms = ts < 100000000000LL ? ts * 1000 : ts;

    return true;
}


static bool
ctseg_intake_has_identity(const ctseg_intake_t *in)
{
    const ctseg_event_t  *ev;

    ev = &in->event;

    return ev->id[CTSEG_ID_IDENTITY].len != 0
           || ev->id[CTSEG_ID_OBJECT].len != 0
           || ev->id[CTSEG_ID_FBID].len != 0
           || ev->id[CTSEG_ID_GPID].len != 0
           || (in->any_id && (ev->id[CTSEG_ID_EMAIL].len != 0
                              || ev->id[CTSEG_ID_PHONE].len != 0));
}


int
ctseg_intake_judge_ids(const ctseg_intake_t *in, ctseg_buf_t *text)
{
    if (in->bad_id >= 0) {
        ctseg_buf_fmt(text, "%s must be a string or a number of at most %d"
                      " bytes", ctseg_intake_ids[in->bad_id],
                      CTSEG_ID_LEN_MAX);

        return in->bad_id == CTSEG_ID_OBJECT ? CTSEG_CODE_OBJECT_ID
                                             : CTSEG_CODE_STRUCTURE;
    }

    if (!ctseg_intake_has_identity(in)) {
        ctseg_buf_cstr(text, in->any_id
                       ? "One of identity, objectId, email, phone, FBID or"
                         " GPID is required"
                       : "One of identity, objectId, FBID or GPID is"
                         " required");
        return CTSEG_CODE_NO_IDENTITY;
    }

    if (in->bad_own_id) {
        ctseg_buf_fmt(text, "$id must be a string or a number of at most %d"
                      " characters", CTSEG_INTAKE_OWN_ID_MAX);
        return CTSEG_CODE_STRUCTURE;
    }

    return 0;
}


int
ctseg_intake_judge_name(const ctseg_intake_t *in, ctseg_buf_t *text)
{
    if (in->bad_name || in->event.name.len == 0) {
        ctseg_buf_cstr(text, "Event name is missing: evtName must be a"
                       " string that is not empty");
        return CTSEG_CODE_NO_NAME;
    }

    if (in->event.kind == CTSEG_KIND_CUSTOM
        && in->event.name.len > CTSEG_NAME_LEN_MAX)
    {
        ctseg_buf_fmt(text, "Event structure invalid: evtName has %zu bytes,"
                      " at most %d are taken", in->event.name.len,
                      CTSEG_NAME_LEN_MAX);
        return CTSEG_CODE_STRUCTURE;
    }

    return 0;
}


int
ctseg_intake_judge_ts(ctseg_intake_t *in, int64_t now_ms, ctseg_buf_t *text)
{
    if (in->ts_type == CTSEG_JSON_NULL) {
        in->event.time_ms = now_ms;
        return 0;
    }

    if (in->bad_ts || !ctseg_intake_epoch(in->ts, &in->event.time_ms)) {
        ctseg_buf_cstr(text, "ts must be seconds or milliseconds since"
                       " 1970-01-01 UTC");
        return CTSEG_CODE_TS;
    }

    return 0;
}


int
ctseg_intake_event(ctseg_intake_t *in, const ctseg_intake_data_t *d,
    int64_t now_ms, ctseg_buf_t *text)
{
    int  code;

    code = ctseg_intake_judge_ids(in, text);

    if (code == 0) {
        code = ctseg_intake_judge_name(in, text);
    }

    if (code == 0) {
        code = ctseg_intake_judge_ts(in, now_ms, text);
    }

    if (code == 0) {
        code = ctseg_intake_judge_data(in, d, text);
    }

    if (code == 0) {
        in->event.props = d->raw;

        if (in->event.kind != CTSEG_KIND_CUSTOM) {
            in->event.name.len = 0;
        }
    }

    return code;
}


int
ctseg_intake_profile(ctseg_intake_t *in, const ctseg_intake_data_t *d,
    int64_t now_ms, ctseg_buf_t *text)
{
    int  code;

    code = ctseg_intake_judge_ids(in, text);

    if (code == 0) {
        code = ctseg_intake_judge_ts(in, now_ms, text);
    }

    if (code == 0) {
        code = ctseg_intake_judge_data(in, d, text);
    }

    if (code == 0) {
        in->event.kind = CTSEG_KIND_PROFILE;
        in->event.name.len = 0;
        in->event.props = d->raw;
    }

    return code;
}
