/*
 * The upload body, read in one pass of tokens.  A record's fields are noted
 * as they come, in any order, and judged when the record closes.  Nothing is
 * copied: an event is a set of slices of the body, strings still escaped, so
 * that what goes to Segment is what came, byte by byte.
 *
 * Stricter than JSON and laxer than CleverTap in one place each: properties
 * are scalars (and Items of Charged), but names that CleverTap reserves for
 * its system events are welcome, since these are what is exported.
 */

#include <string.h>
#include <stdlib.h>

#include "../base/ctseg_str.h"
#include "ctseg_upload.h"


/* depths as ctseg_json.h counts them: the root value is 0 */

#define CTSEG_UPLOAD_ROOT     0
#define CTSEG_UPLOAD_D        1
#define CTSEG_UPLOAD_RECORD   2
#define CTSEG_UPLOAD_FIELD    3
#define CTSEG_UPLOAD_PROP     4


typedef enum {
    CTSEG_FIELD_OTHER = 0,
    CTSEG_FIELD_TYPE,
    CTSEG_FIELD_NAME,
    CTSEG_FIELD_DATA,
    CTSEG_FIELD_TS,
    CTSEG_FIELD_ID              /* + ctseg_id_e */
} ctseg_upload_field_t;


/* notes on the record at hand */

typedef struct {
    const char         *start;
    ctseg_event_t       event;
    int64_t             ts;
    bool                bad_ts;
    ctseg_json_type_t   ts_type;
    bool                is_object;
    bool                is_event;
    bool                is_profile;
    bool                bad_name;
    bool                bad_data;       /* evtData is there but no object */
    bool                has_items;      /* evtData.Items is an array */
    int                 bad_id;         /* ctseg_id_e, or -1 */
    unsigned            nprops;
    unsigned            nitems;
    ctseg_str_t         nested;         /* key of a property that is none */
} ctseg_upload_record_t;


typedef struct {
    ctseg_upload_t         *u;
    ctseg_str_t             body;
    int64_t                 now_ms;
    ctseg_rc_t              rc;
    ctseg_err_t            *err;
    bool                    in_d;       /* the next value is that of "d" */
    bool                    seen_d;
    bool                    in_data;
    bool                    in_items;
    unsigned                nrecords;
    ctseg_upload_field_t    field;
    ctseg_str_t             prop;       /* key at hand in evtData, raw */
    const char             *data_start;
    ctseg_upload_record_t   rec;
} ctseg_upload_ctx_t;


static bool ctseg_upload_token(void *data, const ctseg_json_token_t *t);
static bool ctseg_upload_record_end(ctseg_upload_ctx_t *ctx,
    const char *end);


/* the inside of a raw string */

static ctseg_str_t
ctseg_upload_inside(ctseg_str_t raw)
{
    ctseg_str_t  s;

    s.data = raw.data + 1;
    s.len = raw.len - 2;

    return s;
}


static bool
ctseg_upload_is_blank(ctseg_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] != ' ') {
            return false;
        }
    }

    return true;
}


ctseg_rc_t
ctseg_upload_parse(ctseg_upload_t *u, ctseg_str_t body, int64_t now_ms,
    ctseg_err_t *err)
{
    ctseg_rc_t          rc;
    ctseg_upload_ctx_t  ctx;

    memset(&ctx, 0, sizeof(ctx));

    ctx.u = u;
    ctx.body = body;
    ctx.now_ms = now_ms;
    ctx.err = err;

    rc = ctseg_json_scan(body, CTSEG_UPLOAD_DEPTH_MAX, ctseg_upload_token,
                         &ctx, err);

    if (ctx.rc != CTSEG_OK) {
        return ctx.rc;
    }

    if (rc != CTSEG_OK) {
        return rc;
    }

    if (!ctx.seen_d) {
        rc = ctseg_err(err, CTSEG_INVALID, "member \"d\" is missing");

        if (err != NULL) {
            err->offset = body.len;
        }

        return rc;
    }

    if (u->unprocessed.failed) {
        return ctseg_err(err, CTSEG_NOMEM, "out of memory");
    }

    return CTSEG_OK;
}


void
ctseg_upload_reset(ctseg_upload_t *u)
{
    u->nevents = 0;
    u->nfailed = 0;
    memset(u->refused, 0, sizeof(u->refused));
    ctseg_buf_reset(&u->unprocessed);
}


void
ctseg_upload_free(ctseg_upload_t *u)
{
    free(u->events);
    ctseg_buf_free(&u->unprocessed);
    memset(u, 0, sizeof(ctseg_upload_t));
}


static bool
ctseg_upload_refuse(ctseg_upload_ctx_t *ctx, ctseg_rc_t rc, const char *at,
    const char *text)
{
    ctx->rc = ctseg_err(ctx->err, rc, "%s", text);

    if (ctx->err != NULL) {
        ctx->err->offset = (size_t) (at - ctx->body.data);
    }

    return false;
}


static ctseg_upload_field_t
ctseg_upload_field(ctseg_str_t name)
{
    size_t  i;

    static const struct {
        ctseg_str_t           name;
        ctseg_upload_field_t  field;
    } fields[] = {
        { ctseg_string("identity"), CTSEG_FIELD_ID + CTSEG_ID_IDENTITY },
        { ctseg_string("type"), CTSEG_FIELD_TYPE },
        { ctseg_string("evtName"), CTSEG_FIELD_NAME },
        { ctseg_string("evtData"), CTSEG_FIELD_DATA },
        { ctseg_string("ts"), CTSEG_FIELD_TS },
        { ctseg_string("objectId"), CTSEG_FIELD_ID + CTSEG_ID_OBJECT },
        { ctseg_string("email"), CTSEG_FIELD_ID + CTSEG_ID_EMAIL },
        { ctseg_string("phone"), CTSEG_FIELD_ID + CTSEG_ID_PHONE },
        { ctseg_string("FBID"), CTSEG_FIELD_ID + CTSEG_ID_FBID },
        { ctseg_string("GPID"), CTSEG_FIELD_ID + CTSEG_ID_GPID }
    };

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (ctseg_str_eq(name, fields[i].name)) {
            return fields[i].field;
        }
    }

    return CTSEG_FIELD_OTHER;
}


static void
ctseg_upload_name(ctseg_upload_ctx_t *ctx, const ctseg_json_token_t *t)
{
    ctseg_event_t  *ev;

    ev = &ctx->rec.event;

    if (t->type != CTSEG_JSON_STRING || ctseg_upload_is_blank(t->text)) {
        ctx->rec.bad_name = true;
        return;
    }

    ctx->rec.bad_name = false;
    ev->kind = ctseg_catalog_find(t->text);
    ev->name = ctseg_upload_inside(t->raw);
}


static void
ctseg_upload_id(ctseg_upload_ctx_t *ctx, const ctseg_json_token_t *t)
{
    int          id;
    ctseg_str_t  s;

    id = (int) ctx->field - (int) CTSEG_FIELD_ID;

    switch (t->type) {

    case CTSEG_JSON_STRING:
        s = ctseg_upload_inside(t->raw);
        break;

    case CTSEG_JSON_NUMBER:

        /* servers upload numeric customer ids; as text they are the same */

        s = t->raw;
        break;

    case CTSEG_JSON_NULL:
        s.len = 0;
        s.data = t->raw.data;
        break;

    default:
        ctx->rec.bad_id = id;
        return;
    }

    if (s.len > CTSEG_ID_LEN_MAX) {
        ctx->rec.bad_id = id;
        return;
    }

    /* Segment takes a blank id for none and drops the event behind a 200 */

    if (t->type == CTSEG_JSON_STRING && ctseg_upload_is_blank(t->text)) {
        s.len = 0;
    }

    ctx->rec.event.id[id] = s;
}


/* a value of a record's own field; containers by their opening bracket */

static void
ctseg_upload_value(ctseg_upload_ctx_t *ctx, const ctseg_json_token_t *t)
{
    ctseg_upload_record_t  *rec;

    rec = &ctx->rec;

    switch (ctx->field) {

    case CTSEG_FIELD_OTHER:
        break;

    case CTSEG_FIELD_TYPE:
        rec->is_event = t->type == CTSEG_JSON_STRING
                        && ctseg_str_is(t->text, "event");
        rec->is_profile = t->type == CTSEG_JSON_STRING
                          && ctseg_str_is(t->text, "profile");
        break;

    case CTSEG_FIELD_NAME:
        ctseg_upload_name(ctx, t);
        break;

    case CTSEG_FIELD_TS:
        /* read at once: decoded text lives during the callback only */

        rec->bad_ts = (t->type != CTSEG_JSON_NUMBER
                       && t->type != CTSEG_JSON_STRING)
                      || !ctseg_str_int64(t->text, &rec->ts);
        rec->ts_type = t->type;
        break;

    case CTSEG_FIELD_DATA:
        if (t->type == CTSEG_JSON_OBJECT) {
            ctx->in_data = true;
            ctx->data_start = t->raw.data;
            rec->bad_data = false;
            rec->nprops = 0;

        } else if (t->type != CTSEG_JSON_NULL) {
            rec->bad_data = true;
        }

        break;

    default:
        ctseg_upload_id(ctx, t);
    }
}


/* a value inside evtData, at any depth */

static void
ctseg_upload_prop(ctseg_upload_ctx_t *ctx, const ctseg_json_token_t *t)
{
    ctseg_upload_record_t  *rec;

    rec = &ctx->rec;

    if (t->depth > CTSEG_UPLOAD_PROP) {
        if (ctx->in_items && t->depth == CTSEG_UPLOAD_PROP + 1) {
            rec->nitems++;
        }

        if (t->depth > CTSEG_UPLOAD_PROP + 1
            && (t->type == CTSEG_JSON_ARRAY || t->type == CTSEG_JSON_OBJECT))
        {
            rec->nested = ctx->prop;
        }

        return;
    }

    rec->nprops++;
    ctx->in_items = false;

    if (t->type == CTSEG_JSON_ARRAY
        && ctseg_str_is(ctseg_upload_inside(ctx->prop), "Items"))
    {
        rec->has_items = true;
        ctx->in_items = true;
        return;
    }

    if (t->type == CTSEG_JSON_ARRAY || t->type == CTSEG_JSON_OBJECT) {
        rec->nested = ctx->prop;
    }
}


static bool
ctseg_upload_record_start(ctseg_upload_ctx_t *ctx,
    const ctseg_json_token_t *t)
{
    if (++ctx->nrecords > CTSEG_UPLOAD_RECORDS_MAX) {
        return ctseg_upload_refuse(ctx, CTSEG_TOOBIG, t->raw.data,
                                   "\"d\" holds more than 1000 records");
    }

    memset(&ctx->rec, 0, sizeof(ctseg_upload_record_t));

    ctx->rec.start = t->raw.data;
    ctx->rec.is_object = t->type == CTSEG_JSON_OBJECT;
    ctx->rec.ts_type = CTSEG_JSON_NULL;
    ctx->rec.bad_id = -1;
    ctx->field = CTSEG_FIELD_OTHER;

    if (t->type == CTSEG_JSON_OBJECT || t->type == CTSEG_JSON_ARRAY) {
        return true;
    }

    return ctseg_upload_record_end(ctx, t->raw.data + t->raw.len);
}


static bool
ctseg_upload_end(ctseg_upload_ctx_t *ctx, const ctseg_json_token_t *t)
{
    const char  *end;

    end = t->raw.data + 1;

    if (t->depth == CTSEG_UPLOAD_FIELD && ctx->in_data) {
        ctx->in_data = false;
        ctx->in_items = false;
        ctx->rec.event.props.data = ctx->data_start;
        ctx->rec.event.props.len = (size_t) (end - ctx->data_start);
        return true;
    }

    if (t->depth == CTSEG_UPLOAD_RECORD && ctx->in_d) {
        return ctseg_upload_record_end(ctx, end);
    }

    if (t->depth == CTSEG_UPLOAD_D) {
        ctx->in_d = false;
    }

    return true;
}


static bool
ctseg_upload_token(void *data, const ctseg_json_token_t *t)
{
    ctseg_upload_ctx_t  *ctx;

    ctx = data;

    if (t->type == CTSEG_JSON_KEY) {

        if (t->depth == CTSEG_UPLOAD_RECORD && ctx->in_d) {
            ctx->field = ctseg_upload_field(t->text);

        } else if (t->depth == CTSEG_UPLOAD_FIELD && ctx->in_data) {
            ctx->prop = t->raw;

        } else if (t->depth == CTSEG_UPLOAD_ROOT) {
            ctx->in_d = ctseg_str_is(t->text, "d");

            if (ctx->in_d && ctx->seen_d) {
                return ctseg_upload_refuse(ctx, CTSEG_INVALID, t->raw.data,
                                           "member \"d\" occurs twice");
            }
        }

        return true;
    }

    if (t->type == CTSEG_JSON_ARRAY_END || t->type == CTSEG_JSON_OBJECT_END) {
        return ctseg_upload_end(ctx, t);
    }

    if (t->depth == CTSEG_UPLOAD_ROOT) {
        if (t->type != CTSEG_JSON_OBJECT) {
            return ctseg_upload_refuse(ctx, CTSEG_INVALID, t->raw.data,
                                       "the body must be an object");
        }

        return true;
    }

    if (!ctx->in_d) {
        return true;
    }

    if (t->depth == CTSEG_UPLOAD_D) {
        if (t->type != CTSEG_JSON_ARRAY) {
            return ctseg_upload_refuse(ctx, CTSEG_INVALID, t->raw.data,
                                       "member \"d\" must be an array");
        }

        ctx->seen_d = true;
        return true;
    }

    if (t->depth == CTSEG_UPLOAD_RECORD) {
        return ctseg_upload_record_start(ctx, t);
    }

    if (ctx->in_data) {
        ctseg_upload_prop(ctx, t);

    } else if (t->depth == CTSEG_UPLOAD_FIELD && ctx->rec.is_object) {
        ctseg_upload_value(ctx, t);
    }

    return true;
}


/*
 * ts in seconds or milliseconds since 1970.  Between the two lies a gap that
 * no real event falls into: seconds from the year 5138 on, milliseconds
 * before 1973.  14-digit local times lie above both and are refused.
 */

static bool
ctseg_upload_ts(ctseg_upload_record_t *rec, int64_t now_ms)
{
    int64_t  ts;

    if (rec->ts_type == CTSEG_JSON_NULL) {
        rec->event.time_ms = now_ms;
        return true;
    }

    ts = rec->ts;

    if (rec->bad_ts || ts < 0 || ts >= 10000000000000LL) {
        return false;
    }

    rec->event.time_ms = ts < 100000000000LL ? ts * 1000 : ts;

    return true;
}


static bool
ctseg_upload_has_identity(const ctseg_event_t *ev)
{
    return ev->id[CTSEG_ID_IDENTITY].len != 0
           || ev->id[CTSEG_ID_OBJECT].len != 0
           || ev->id[CTSEG_ID_FBID].len != 0
           || ev->id[CTSEG_ID_GPID].len != 0;
}


/* 0: the record is good, else its code; text says why */

static int
ctseg_upload_data_verdict(ctseg_upload_record_t *rec, ctseg_buf_t *text)
{
    ctseg_str_t    name;
    ctseg_event_t  *ev;

    ev = &rec->event;

    if (rec->bad_data) {
        ctseg_buf_cstr(text, "Event structure invalid: evtData must be an"
                       " object");
        return CTSEG_CODE_STRUCTURE;
    }

    if (rec->nprops > CTSEG_PROPS_N_MAX) {
        ctseg_buf_fmt(text, "Event has %u properties, at most %d are taken",
                      rec->nprops, CTSEG_PROPS_N_MAX);
        return CTSEG_CODE_PROPERTIES;
    }

    if (rec->has_items && rec->nested.len == 0
        && !ctseg_str_is(ev->name, "Charged"))
    {
        ctseg_buf_cstr(text, "Event structure invalid: Items belongs to the"
                       " event Charged");
        return CTSEG_CODE_STRUCTURE;
    }

    if (rec->nitems > CTSEG_UPLOAD_ITEMS_MAX) {
        ctseg_buf_fmt(text, "Event has %u Items, at most %d are taken",
                      rec->nitems, CTSEG_UPLOAD_ITEMS_MAX);
        return CTSEG_CODE_PROPERTIES;
    }

    if (rec->nested.len != 0) {
        name = ctseg_upload_inside(rec->nested);

        ctseg_buf_cstr(text, "Event structure invalid: property ");

        if (name.len <= 120) {
            ctseg_buf_str(text, name);
        }

        ctseg_buf_cstr(text, " must be a string, a number, true, false or"
                       " null");
        return CTSEG_CODE_STRUCTURE;
    }

    if (ev->props.len > CTSEG_PROPS_LEN_MAX) {
        ctseg_buf_fmt(text, "Event structure invalid: evtData has %zu bytes,"
                      " at most %d are taken", ev->props.len,
                      CTSEG_PROPS_LEN_MAX);
        return CTSEG_CODE_STRUCTURE;
    }

    return 0;
}


static int
ctseg_upload_verdict(ctseg_upload_record_t *rec, int64_t now_ms,
    ctseg_buf_t *text)
{
    ctseg_event_t  *ev;

    ev = &rec->event;

    if (!rec->is_object) {
        ctseg_buf_cstr(text, "Event structure invalid: a record must be an"
                       " object");
        return CTSEG_CODE_STRUCTURE;
    }

    if (rec->is_profile) {
        ctseg_buf_cstr(text, "Records of type profile are not taken yet");
        return CTSEG_CODE_OTHER;
    }

    if (!rec->is_event) {
        ctseg_buf_cstr(text, "Type must be event or profile");
        return CTSEG_CODE_TYPE;
    }

    if (rec->bad_id >= 0) {
        ctseg_buf_fmt(text, "%s must be a string or a number of at most %d"
                      " bytes",
                      rec->bad_id == CTSEG_ID_OBJECT ? "objectId"
                      : rec->bad_id == CTSEG_ID_IDENTITY ? "identity"
                      : rec->bad_id == CTSEG_ID_EMAIL ? "email"
                      : rec->bad_id == CTSEG_ID_PHONE ? "phone"
                      : rec->bad_id == CTSEG_ID_FBID ? "FBID" : "GPID",
                      CTSEG_ID_LEN_MAX);

        return rec->bad_id == CTSEG_ID_OBJECT ? CTSEG_CODE_OBJECT_ID
                                              : CTSEG_CODE_STRUCTURE;
    }

    if (!ctseg_upload_has_identity(ev)) {
        ctseg_buf_cstr(text, "One of identity, objectId, FBID or GPID is"
                       " required");
        return CTSEG_CODE_NO_IDENTITY;
    }

    if (rec->bad_name || ev->name.len == 0) {
        ctseg_buf_cstr(text, "Event name is missing: evtName must be a"
                       " string that is not empty");
        return CTSEG_CODE_NO_NAME;
    }

    if (ev->name.len > CTSEG_NAME_LEN_MAX) {
        ctseg_buf_fmt(text, "Event structure invalid: evtName has %zu bytes,"
                      " at most %d are taken", ev->name.len,
                      CTSEG_NAME_LEN_MAX);
        return CTSEG_CODE_STRUCTURE;
    }

    if (!ctseg_upload_ts(rec, now_ms)) {
        ctseg_buf_cstr(text, "ts must be seconds or milliseconds since"
                       " 1970-01-01 UTC");
        return CTSEG_CODE_TS;
    }

    return ctseg_upload_data_verdict(rec, text);
}


static bool
ctseg_upload_keep(ctseg_upload_ctx_t *ctx)
{
    unsigned         n;
    ctseg_event_t   *events;
    ctseg_upload_t  *u;

    u = ctx->u;

    if (u->nevents == u->allocated) {
        n = u->allocated == 0 ? 64 : u->allocated * 2;

        events = realloc(u->events, n * sizeof(ctseg_event_t));
        if (events == NULL) {
            ctx->rc = ctseg_err(ctx->err, CTSEG_NOMEM, "out of memory");
            return false;
        }

        u->events = events;
        u->allocated = n;
    }

    u->events[u->nevents] = ctx->rec.event;

    if (ctx->rec.event.kind != CTSEG_KIND_CUSTOM) {
        u->events[u->nevents].name.len = 0;
    }

    u->nevents++;

    return true;
}


static bool
ctseg_upload_record_end(ctseg_upload_ctx_t *ctx, const char *end)
{
    int           code;
    size_t        mark;
    ctseg_str_t   record;
    ctseg_buf_t  *out;

    out = &ctx->u->unprocessed;
    mark = out->len;

    /* the text is written where it belongs, and taken back if all is well */

    ctseg_buf_cstr(out, mark == 0 ? "{\"status\":\"fail\",\"error\":\""
                                  : ",{\"status\":\"fail\",\"error\":\"");

    code = ctseg_upload_verdict(&ctx->rec, ctx->now_ms, out);

    if (code == 0) {
        out->len = mark;
        return ctseg_upload_keep(ctx);
    }

    record.data = ctx->rec.start;
    record.len = (size_t) (end - ctx->rec.start);

    ctseg_buf_fmt(out, "\",\"code\":%d,\"record\":", code);
    ctseg_buf_str(out, record);
    ctseg_buf_char(out, '}');

    ctx->u->nfailed++;
    ctx->u->refused[ctseg_refusal_of(code)]++;

    return true;
}


void
ctseg_upload_render(ctseg_buf_t *out, const ctseg_upload_t *u)
{
    const char  *status;

    status = u->nfailed == 0 ? "success"
                             : u->nevents == 0 ? "fail" : "partial";

    ctseg_buf_fmt(out, "{\"status\":\"%s\",\"processed\":%u,"
                  "\"unprocessed\":[", status, u->nevents);
    ctseg_buf_str(out, ctseg_buf_slice(&u->unprocessed));
    ctseg_buf_cstr(out, "]}\n");
}


void
ctseg_upload_render_fail(ctseg_buf_t *out, int status, const char *error,
    const char *detail)
{
    ctseg_json_writer_t  w;

    w.buf = out;
    w.comma = false;

    ctseg_jw_open(&w, NULL, '{');
    ctseg_jw_cstr(&w, "status", "fail");
    ctseg_jw_cstr(&w, "error", error);
    ctseg_jw_int(&w, "code", status);

    if (detail != NULL) {
        ctseg_jw_cstr(&w, "detail", detail);
    }

    ctseg_jw_close(&w, '}');
    ctseg_buf_char(out, '\n');
}
