/*
 * A partner: parsed out of the API's bodies, rendered into its answers, and
 * the two things made of a write key that may be shown.  Called by the API
 * and by the start of a run.  No message here ever holds a value of the
 * body, so a key that was put into the wrong field does not come back
 * either.  That a nickname is unique is for the store to say.
 */

#include "ctseg_partner.h"
#include "ctseg_fields.h"
#include "../base/ctseg_str.h"

#include <string.h>


#define CTSEG_PARTNER_HINT      4       /* last characters of a write key */
#define CTSEG_PARTNER_PROPERTY  "property:"


static const char  *const ctseg_partner_known[] = {
    "nickname",
    "write_key",
    "region",
    "user_id",
    "anonymous_id",
    NULL
};

static const char  *const ctseg_partner_read_only[] = {
    "id",
    "revision",
    "created_at",
    "updated_at",
    "write_key_hint",
    "health",
    NULL
};

static const char  *const ctseg_partner_ids[CTSEG_ID_N] = {
    "identity",
    "objectId",
    "email",
    "phone",
    "fbid",
    "gpid"
};

static const char  *const ctseg_partner_regions[CTSEG_REGION_N] = {
    "us",
    "eu"
};


bool
ctseg_region_parse(ctseg_str_t s, ctseg_region_t *region)
{
    unsigned  i;

    for (i = 0; i < CTSEG_REGION_N; i++) {
        if (ctseg_str_is(s, ctseg_partner_regions[i])) {
            *region = (ctseg_region_t) i;
            return true;
        }
    }

    return false;
}


const char *
ctseg_region_name(ctseg_region_t region)
{
    if ((unsigned) region >= CTSEG_REGION_N) {
        return NULL;
    }

    return ctseg_partner_regions[region];
}


const char *
ctseg_id_name(int field)
{
    if (field < 0 || field >= CTSEG_ID_N) {
        return NULL;
    }

    return ctseg_partner_ids[field];
}


bool
ctseg_source_parse(ctseg_str_t s, ctseg_source_t *src)
{
    int          i;
    size_t       n;
    ctseg_str_t  name;

    for (i = 0; i < CTSEG_ID_N; i++) {
        if (ctseg_str_is(s, ctseg_partner_ids[i])) {
            memset(src, 0, sizeof(ctseg_source_t));
            src->field = i;
            return true;
        }
    }

    n = sizeof(CTSEG_PARTNER_PROPERTY) - 1;

    if (s.len <= n || memcmp(s.data, CTSEG_PARTNER_PROPERTY, n) != 0) {
        return false;
    }

    name.data = s.data + n;
    name.len = s.len - n;

    if (name.len > CTSEG_PROPERTY_MAX || !ctseg_field_is_plain(name)) {
        return false;
    }

    memset(src, 0, sizeof(ctseg_source_t));
    src->field = -1;
    memcpy(src->property, name.data, name.len);

    return true;
}


void
ctseg_source_render(ctseg_buf_t *out, const ctseg_source_t *src)
{
    const char  *name;

    name = ctseg_id_name(src->field);

    if (name != NULL) {
        ctseg_buf_cstr(out, name);
        return;
    }

    ctseg_buf_cstr(out, CTSEG_PARTNER_PROPERTY);
    ctseg_buf_cstr(out, src->property);
}


static void
ctseg_partner_nickname(ctseg_partner_t *p, ctseg_str_t s,
    ctseg_problems_t *problems)
{
    size_t  n;

    n = ctseg_utf8_len(s);

    if (n == 0 || n > CTSEG_NICKNAME_MAX) {
        ctseg_problem(problems, "nickname", "must have 1 to %d characters",
                      CTSEG_NICKNAME_MAX);
        return;
    }

    if (!ctseg_field_is_plain(s)) {
        ctseg_problem(problems, "nickname",
                      "must not contain control characters");
        return;
    }

    if (s.data[0] == ' ' || s.data[s.len - 1] == ' ') {
        ctseg_problem(problems, "nickname",
                      "must not begin or end with a space");
        return;
    }

    memcpy(p->nickname, s.data, s.len);
    p->nickname[s.len] = '\0';
}


static void
ctseg_partner_write_key(ctseg_partner_t *p, ctseg_str_t s,
    ctseg_problems_t *problems)
{
    size_t  i;

    if (s.len == 0 || s.len > CTSEG_WRITE_KEY_MAX) {
        ctseg_problem(problems, "write_key", "must have 1 to %d characters",
                      CTSEG_WRITE_KEY_MAX);
        return;
    }

    for (i = 0; i < s.len; i++) {

        /* a colon would end the user name in Basic authentication */

        if (s.data[i] <= ' ' || s.data[i] > '~' || s.data[i] == ':') {
            ctseg_problem(problems, "write_key",
                          "must be printable ASCII without spaces and colons");
            return;
        }
    }

    memcpy(p->write_key, s.data, s.len);
    memset(p->write_key + s.len, 0, sizeof(p->write_key) - s.len);
}


static void
ctseg_partner_source(ctseg_source_t *src, const ctseg_json_t *body,
    const char *name, ctseg_problems_t *problems)
{
    ctseg_str_t  s;

    if (!ctseg_field_string(body, name, name, &s, problems)) {
        return;
    }

    if (!ctseg_source_parse(s, src)) {
        ctseg_problem(problems, name,
                      "must be identity, objectId, email, phone, fbid, gpid "
                      "or property:NAME with a name of at most %d bytes",
                      CTSEG_PROPERTY_MAX);
    }
}


bool
ctseg_partner_parse(ctseg_partner_t *p, const ctseg_json_t *body,
    bool patch, ctseg_problems_t *problems)
{
    unsigned         before;
    ctseg_str_t      s;
    ctseg_partner_t  next;

    before = problems->n;

    if (body == NULL || body->type != CTSEG_JSON_OBJECT) {
        ctseg_problem(problems, "", "body must be an object");
        return false;
    }

    /* a body with one wrong field changes nothing at all */

    next = *p;

    if (!patch) {
        next.region = CTSEG_REGION_US;
        next.user_id.field = CTSEG_ID_IDENTITY;
        next.anonymous_id.field = CTSEG_ID_OBJECT;
    }

    ctseg_fields_known(body, "", ctseg_partner_known,
                       ctseg_partner_read_only, problems);

    if (ctseg_field_string(body, "nickname", "nickname", &s, problems)) {
        ctseg_partner_nickname(&next, s, problems);

    } else if (!patch && ctseg_json_get(body, "nickname") == NULL) {
        ctseg_problem(problems, "nickname", "is required");
    }

    if (ctseg_field_string(body, "write_key", "write_key", &s, problems)) {
        ctseg_partner_write_key(&next, s, problems);

    } else if (!patch && ctseg_json_get(body, "write_key") == NULL) {
        ctseg_problem(problems, "write_key", "is required");
    }

    if (ctseg_field_string(body, "region", "region", &s, problems)
        && !ctseg_region_parse(s, &next.region))
    {
        ctseg_problem(problems, "region", "must be us or eu");
    }

    ctseg_partner_source(&next.user_id, body, "user_id", problems);
    ctseg_partner_source(&next.anonymous_id, body, "anonymous_id", problems);

    if (problems->n != before) {
        return false;
    }

    *p = next;

    return true;
}


static void
ctseg_partner_render_source(ctseg_json_writer_t *w, const char *name,
    const ctseg_source_t *src)
{
    ctseg_buf_t  text = { NULL, 0, 0, false };

    ctseg_source_render(&text, src);

    if (text.failed) {
        w->buf->failed = true;
    }

    ctseg_jw_str(w, name, ctseg_buf_slice(&text));
    ctseg_buf_free(&text);
}


/* the end of the key, which is what people compare; little of a short one */

static ctseg_str_t
ctseg_partner_hint(const ctseg_partner_t *p)
{
    size_t       n;
    ctseg_str_t  hint;

    hint = ctseg_str(p->write_key);
    n = hint.len < 2 * CTSEG_PARTNER_HINT ? hint.len / 4 : CTSEG_PARTNER_HINT;

    hint.data += hint.len - n;
    hint.len = n;

    return hint;
}


void
ctseg_partner_render(ctseg_json_writer_t *w, const ctseg_partner_t *p,
    const ctseg_health_t *health)
{
    ctseg_jw_open(w, NULL, '{');
    ctseg_jw_cstr(w, "id", p->id);
    ctseg_jw_cstr(w, "nickname", p->nickname);
    ctseg_jw_cstr(w, "region", ctseg_region_name(p->region));
    ctseg_jw_str(w, "write_key_hint", ctseg_partner_hint(p));
    ctseg_partner_render_source(w, "user_id", &p->user_id);
    ctseg_partner_render_source(w, "anonymous_id", &p->anonymous_id);
    ctseg_jw_uint(w, "revision", p->revision);
    ctseg_jw_time(w, "created_at", p->created_ms);
    ctseg_jw_time(w, "updated_at", p->updated_ms);

    ctseg_jw_open(w, "health", '{');
    ctseg_jw_cstr(w, "state", health != NULL ? health->state : "ok");
    ctseg_jw_cstr(w, "reason", health != NULL ? health->reason : NULL);
    ctseg_jw_time(w, "since", health != NULL ? health->since_ms : 0);
    ctseg_jw_time(w, "retry_at", health != NULL ? health->retry_at_ms : 0);
    ctseg_jw_close(w, '}');

    ctseg_jw_close(w, '}');
}


void
ctseg_write_key_fingerprint(char out[17], const char *write_key)
{
    unsigned       i;
    uint64_t       h;
    ctseg_str_t    key;
    unsigned char  bytes[8];

    static const char  salt[] = "ctseg write key 1:";

    /* FNV-1a goes on from where the salt left it */

    h = ctseg_hash64(ctseg_str(salt));
    key = ctseg_str(write_key);

    for (i = 0; i < key.len; i++) {
        h ^= (unsigned char) key.data[i];
        h *= 0x100000001b3ULL;
    }

    /* the last bytes of the key reach all bits only by a mix */

    h ^= h >> 30;
    h *= 0xbf58476d1ce4e5b9ULL;
    h ^= h >> 27;
    h *= 0x94d049bb133111ebULL;
    h ^= h >> 31;

    for (i = 0; i < 8; i++) {
        bytes[i] = (unsigned char) (h >> (56 - 8 * i));
    }

    ctseg_hex(out, bytes, 8);
}
