/*
 * The message of one event.  Strings were validated and kept escaped when
 * the event came in, so this is copying; only an identifier taken from a
 * property has to look into the properties, and what a profile's update says
 * becomes traits.
 */

#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "../base/ctseg_str.h"
#include "ctseg_context.h"
#include "ctseg_dates.h"
#include "ctseg_message.h"
#include "ctseg_names.h"
#include "ctseg_traits.h"


#define CTSEG_MESSAGE_TRACK  "{\"type\":\"track\",\"messageId\":\""

/* bytes that a message has at most beside its parts: the longest of each
   pair, and what is left of the prefix and the NUL of the time, which are
   written over */

#define CTSEG_MESSAGE_AROUND                                                  \
    (sizeof(CTSEG_MESSAGE_IDENTIFY) + CTSEG_MESSAGE_PREFIX + 16               \
     + sizeof("\",\"userId\":\"\",\"anonymousId\":\"\",\"event\":\"\"")       \
     + sizeof(",\"timestamp\":\"") + CTSEG_RFC3339_LEN                        \
     + sizeof("\",\"properties\":{},\"context\":}"))


typedef struct {
    const char   *name;
    size_t        len;
    bool          matched;
    ctseg_str_t   value;
} ctseg_message_find_t;


void
ctseg_encoder_init(ctseg_encoder_t *enc, const ctseg_pinned_t *pinned,
    const char *installation)
{
    int  n;

    enc->pinned = pinned;

    /* all of it is copied into each message, whatever its length */

    memset(enc->id_prefix, 0, sizeof(enc->id_prefix));
    memset(&enc->day, 0, sizeof(ctseg_day_t));

    n = snprintf(enc->id_prefix, sizeof(enc->id_prefix), "ctseg-%.16s-%.16s-",
                 installation, pinned->fingerprint);

    enc->id_prefix_len = n < 0 ? 0 : (size_t) n;
}


bool
ctseg_message_wanted(const ctseg_pinned_t *pinned, const ctseg_event_t *ev)
{
    return (pinned->kinds & ctseg_kind_bit(ev->kind)) != 0
           && ev->time_ms >= pinned->from_ms
           && ev->time_ms < pinned->to_ms;
}


const ctseg_event_t *
ctseg_message_clamp(const ctseg_pinned_t *pinned, const ctseg_event_t *ev,
    int64_t arrived_ms, ctseg_event_t *clamped)
{
    ctseg_future_t  future;

    future = pinned->mapping.future;

    if (future == CTSEG_FUTURE_KEEP
        || ev->time_ms <= arrived_ms + CTSEG_FUTURE_MS)
    {
        return ev;
    }

    if (future == CTSEG_FUTURE_REJECT) {
        return NULL;
    }

    *clamped = *ev;
    clamped->time_ms = arrived_ms;

    return clamped;
}


static bool
ctseg_message_find_token(void *data, const ctseg_json_token_t *t)
{
    size_t                 i;
    ctseg_message_find_t  *find;

    find = data;

    if (t->type == CTSEG_JSON_KEY) {
        if (t->depth == 0) {
            find->matched = t->text.len == find->len
                            && memcmp(t->text.data, find->name, find->len)
                               == 0;
        }

        return true;
    }

    if (t->depth != 1 || !find->matched) {
        return true;
    }

    find->value.len = 0;

    if (t->type == CTSEG_JSON_STRING) {

        /* blank as text: an escaped space is one as well */

        for (i = 0; i < t->text.len && t->text.data[i] == ' '; i++) {
            /* void */
        }

        if (i < t->text.len) {
            find->value.data = t->raw.data + 1;
            find->value.len = t->raw.len - 2;
        }

    } else if (t->type == CTSEG_JSON_NUMBER) {
        find->value = t->raw;
    }

    return true;
}


/* raw inside of a string, empty when absent or blank */

static ctseg_str_t
ctseg_message_source(const ctseg_source_t *src, const ctseg_event_t *ev)
{
    ctseg_str_t           none;
    ctseg_message_find_t  find;

    if (src->field >= 0 && src->field < CTSEG_ID_N) {
        return ev->id[src->field];
    }

    none.len = 0;
    none.data = NULL;

    if (ev->props.len == 0) {
        return none;
    }

    memset(&find, 0, sizeof(find));
    find.name = src->property;
    find.len = strlen(src->property);

    if (ctseg_json_scan(ev->props, 64, ctseg_message_find_token, &find, NULL)
        != CTSEG_OK)
    {
        return none;
    }

    return find.value.len != 0 ? find.value : none;
}


/* the partner's field first, then the export's order of fallbacks */

static ctseg_str_t
ctseg_message_user_id(const ctseg_pinned_t *pinned, const ctseg_event_t *ev)
{
    unsigned     i;
    ctseg_str_t  id;

    id = ctseg_message_source(&pinned->user_id, ev);

    for (i = 0; id.len == 0 && i < pinned->npriority; i++) {
        if (pinned->priority[i] < CTSEG_ID_N) {
            id = ev->id[pinned->priority[i]];
        }
    }

    return id;
}


/* 16 hex digits, so that ids of one run sort as text */

static char *
ctseg_message_hex(char *p, uint64_t n)
{
    unsigned  i;
    uint64_t  x, over;

    for (i = 0; i < 2; i++) {

        /* the upper half, then the lower: a byte for each of 8 digits */

        x = i == 0 ? n >> 32 : n & 0xffffffff;
        x = (x | x << 16) & 0x0000ffff0000ffffULL;
        x = (x | x << 8) & 0x00ff00ff00ff00ffULL;
        x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fULL;

        /* 1 where it is a letter, which lies 39 behind the digits */

        over = (x + 0x0606060606060606ULL) >> 4 & 0x0101010101010101ULL;
        x = htobe64(x + 0x3030303030303030ULL + over * ('a' - '0' - 10));

        memcpy(p, &x, 8);
        p += 8;
    }

    return p;
}


/* white space of ASCII and nothing else, escaped or not */

static bool
ctseg_message_is_blank(ctseg_str_t raw)
{
    size_t       i;
    const char  *p;

    for (i = 0; i < raw.len; i++) {
        p = raw.data + i;

        if (*p == ' ') {
            continue;
        }

        if (*p != '\\' || raw.len - i < 2) {
            return false;
        }

        if (memchr("tnrf", p[1], 4) != NULL) {
            i++;
            continue;
        }

        /* a tab to a return, and the space */

        if (raw.len - i < 6
            || memcmp(p, "\\u00", 4) != 0
            || !((p[4] == '0' && memchr("9aAbBcCdD", p[5], 9) != NULL)
                 || (p[4] == '2' && p[5] == '0')))
        {
            return false;
        }

        i += 5;
    }

    return true;
}


/* all that may stand in a message, raw; what is empty is left out */

typedef struct {
    bool         is_profile;
    ctseg_str_t  user_id;
    ctseg_str_t  anonymous_id;
    ctseg_str_t  name;
    ctseg_str_t  props;                 /* or traits */
    ctseg_str_t  context;               /* JSON */
} ctseg_message_parts_t;


static void
ctseg_message_parts(ctseg_message_parts_t *parts,
    const ctseg_pinned_t *pinned, const ctseg_event_t *ev)
{
    parts->is_profile = ev->kind == CTSEG_KIND_PROFILE;
    parts->user_id = ctseg_message_user_id(pinned, ev);
    parts->anonymous_id = ctseg_message_source(&pinned->anonymous_id, ev);
    parts->name = ev->kind == CTSEG_KIND_CUSTOM ? ev->name
                                               : ctseg_catalog_name(ev->kind);
    parts->props = ev->props;
    parts->context.len = 0;
}


/* what stands around the parts; there is room for it */

#define ctseg_message_text(p, text)                                           \
    ((char *) memcpy(p, text, sizeof(text) - 1) + sizeof(text) - 1)


static inline char *
ctseg_message_copy(char *p, ctseg_str_t s)
{
    if (s.len != 0) {
        memcpy(p, s.data, s.len);
    }

    return p + s.len;
}


/* up to and including the messageId */

static char *
ctseg_message_begin(char *p, const ctseg_encoder_t *enc, uint64_t sequence,
    bool is_profile)
{
    p = is_profile ? ctseg_message_text(p, CTSEG_MESSAGE_IDENTIFY)
                   : ctseg_message_text(p, CTSEG_MESSAGE_TRACK);

    /* of a fixed length, which is no call */

    memcpy(p, enc->id_prefix, sizeof(enc->id_prefix));
    p = ctseg_message_hex(p + enc->id_prefix_len, sequence);
    *p++ = '"';

    return p;
}


/*
 * With dates of ISO 8601, or as they came; true: that makes a difference.
 * There is room for all of it before the first byte, but for what dates are
 * longer.
 */

static bool
ctseg_message_write(ctseg_buf_t *out, ctseg_encoder_t *enc,
    uint64_t sequence, int64_t time_ms, const ctseg_message_parts_t *parts,
    bool dates)
{
    char  *p;

    ctseg_buf_reserve(out, CTSEG_MESSAGE_AROUND + parts->user_id.len
                           + parts->anonymous_id.len + parts->name.len
                           + parts->props.len + parts->context.len);
    if (out->failed) {
        return false;
    }

    p = ctseg_message_begin(out->data + out->len, enc, sequence,
                            parts->is_profile);

    if (parts->user_id.len != 0) {
        p = ctseg_message_text(p, ",\"userId\":\"");
        p = ctseg_message_copy(p, parts->user_id);
        *p++ = '"';
    }

    if (parts->anonymous_id.len != 0) {
        p = ctseg_message_text(p, ",\"anonymousId\":\"");
        p = ctseg_message_copy(p, parts->anonymous_id);
        *p++ = '"';
    }

    if (!parts->is_profile) {
        p = ctseg_message_text(p, ",\"event\":\"");
        p = ctseg_message_copy(p, parts->name);
        *p++ = '"';
    }

    p = ctseg_message_text(p, ",\"timestamp\":\"");
    ctseg_rfc3339_near(p, time_ms, &enc->day);
    p += CTSEG_RFC3339_LEN;
    p = parts->is_profile ? ctseg_message_text(p, "\",\"traits\":")
                          : ctseg_message_text(p, "\",\"properties\":");

    out->len = (size_t) (p - out->data);

    if (parts->props.len == 0) {
        ctseg_buf_cstr(out, "{}");
        dates = false;

    } else if (dates) {
        dates = ctseg_dates_write(out, parts->props);

    } else {
        ctseg_buf_str(out, parts->props);
    }

    if (parts->context.len != 0) {
        ctseg_buf_cstr(out, ",\"context\":");
        ctseg_buf_str(out, parts->context);
    }

    ctseg_buf_char(out, '}');

    return dates;
}


static ctseg_rc_t
ctseg_message_limit(ctseg_buf_t *out, ctseg_encoder_t *enc,
    uint64_t sequence, const ctseg_event_t *ev, ctseg_reject_t *why,
    ctseg_message_parts_t *parts)
{
    bool    dates;
    size_t  mark;

    mark = out->len;

    dates = ctseg_message_write(out, enc, sequence, ev->time_ms, parts, true);

    if (parts->context.len != 0 && out->len - mark >= CTSEG_MESSAGE_MAX) {
        out->len = mark;
        parts->context.len = 0;
        dates = ctseg_message_write(out, enc, sequence, ev->time_ms, parts,
                                    true);
    }

    if (dates && out->len - mark >= CTSEG_MESSAGE_MAX) {
        out->len = mark;
        (void) ctseg_message_write(out, enc, sequence, ev->time_ms, parts,
                                   false);
    }

    if (out->failed) {
        return CTSEG_NOMEM;
    }

    if (out->len - mark >= CTSEG_MESSAGE_MAX) {
        out->len = mark;
        *why = CTSEG_REJECT_TOO_LARGE;
        return CTSEG_INVALID;
    }

    return CTSEG_OK;
}


/*
 * As the export wants it mapped: "own" is the caller's, empty, and what parts
 * has of it lies there.
 */

static ctseg_rc_t
ctseg_message_map(ctseg_message_parts_t *parts, ctseg_buf_t *own,
    const ctseg_mapping_t *mapping, const ctseg_event_t *ev)
{
    size_t      len;
    ctseg_rc_t  rc;

    if (mapping->names == CTSEG_NAMES_CANONICAL && ev->props.len != 0) {
        rc = ctseg_names_write(own, ev->props);

        if (rc == CTSEG_NOMEM) {
            return rc;
        }
    }

    len = own->len;

    if (mapping->context) {
        rc = ctseg_context_write(own, ev);

        if (rc == CTSEG_NOMEM) {
            return rc;
        }
    }

    if (len != 0) {
        parts->props.data = own->data;
        parts->props.len = len;
    }

    if (own->len != len) {
        parts->context.data = own->data + len;
        parts->context.len = own->len - len;
    }

    return CTSEG_OK;
}


ctseg_rc_t
ctseg_message_encode(ctseg_buf_t *out, ctseg_encoder_t *enc,
    uint64_t sequence, const ctseg_event_t *ev, ctseg_reject_t *why)
{
    ctseg_rc_t              rc;
    ctseg_buf_t             own;
    ctseg_message_parts_t   parts;
    const ctseg_mapping_t  *mapping;

    mapping = &enc->pinned->mapping;

    ctseg_message_parts(&parts, enc->pinned, ev);

    if (parts.user_id.len == 0 && parts.anonymous_id.len == 0) {
        *why = CTSEG_REJECT_NO_ID;
        return CTSEG_INVALID;
    }

    if (!parts.is_profile && ctseg_message_is_blank(parts.name)) {
        *why = CTSEG_REJECT_NO_NAME;
        return CTSEG_INVALID;
    }

    if (!parts.is_profile && !mapping->context
        && mapping->names == CTSEG_NAMES_ORIGINAL)
    {
        return ctseg_message_limit(out, enc, sequence, ev, why, &parts);
    }

    memset(&own, 0, sizeof(ctseg_buf_t));

    if (parts.is_profile) {
        rc = ctseg_traits_write(&own, ev);
        parts.props = ctseg_buf_slice(&own);

    } else {
        rc = ctseg_message_map(&parts, &own, mapping, ev);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_message_limit(out, enc, sequence, ev, why, &parts);
    }

    ctseg_buf_free(&own);

    return rc;
}


void
ctseg_message_keep(ctseg_buf_t *out, ctseg_encoder_t *enc,
    uint64_t sequence, const ctseg_event_t *ev)
{
    size_t                 mark, len;
    ctseg_buf_t            traits;
    ctseg_message_parts_t  parts;

    ctseg_message_parts(&parts, enc->pinned, ev);

    memset(&traits, 0, sizeof(ctseg_buf_t));

    if (parts.is_profile) {
        if (ctseg_traits_write(&traits, ev) != CTSEG_OK) {
            out->failed = true;
        }

        parts.props = ctseg_buf_slice(&traits);
    }

    /* it has room for what stands around the parts */

    len = CTSEG_MESSAGE_KEPT_MAX - 256;

    if (parts.user_id.len + parts.anonymous_id.len + parts.name.len
        + parts.props.len > len)
    {
        parts.user_id.len = 0;
        parts.anonymous_id.len = 0;
    }

    if (parts.name.len + parts.props.len > len) {
        parts.props.len = 0;
    }

    if (parts.name.len > len) {
        parts.name.len = 0;
    }

    mark = out->len;

    (void) ctseg_message_write(out, enc, sequence, ev->time_ms, &parts, false);

    ctseg_buf_free(&traits);

    if (out->failed) {
        out->len = mark;
    }
}
