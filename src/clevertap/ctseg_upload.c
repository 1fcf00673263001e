/*
 * The upload body, read in one pass of tokens.  A record's fields are noted
 * as they come, in any order, and judged when the record closes, by what
 * ctseg_intake.h says of records.  Nothing is copied: an event is a set of
 * slices of the body, strings still escaped, so that what goes to Segment is
 * what came, byte by byte.
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


typedef enum {
    CTSEG_FIELD_OTHER = 0,
    CTSEG_FIELD_TYPE,
    CTSEG_FIELD_NAME,
    CTSEG_FIELD_DATA,
    CTSEG_FIELD_PROFILE,
    CTSEG_FIELD_TS,
    CTSEG_FIELD_OWN_ID,
    CTSEG_FIELD_ID              /* + ctseg_id_e */
} ctseg_upload_field_t;


/* notes on the record at hand */

typedef struct {
    const char           *start;
    bool                  is_object;
    bool                  is_event;
    bool                  is_profile;
    bool                  has_data;     /* data is ready for use */
    bool                  has_profile;
    ctseg_intake_t        in;
    ctseg_intake_data_t   data;         /* evtData */
    ctseg_intake_data_t   profile;      /* profileData */
} ctseg_upload_record_t;


typedef struct {
    ctseg_upload_t         *u;
    ctseg_str_t             body;
    int64_t                 now_ms;
    ctseg_rc_t              rc;
    ctseg_err_t            *err;
    bool                    in_d;       /* the next value is that of "d" */
    bool                    seen_d;
    unsigned                nrecords;
    unsigned                field;      /* ctseg_upload_field_t */
    ctseg_upload_record_t   rec;
} ctseg_upload_ctx_t;


static bool ctseg_upload_token(void *data, const ctseg_json_token_t *t);
static bool ctseg_upload_record_end(ctseg_upload_ctx_t *ctx,
    const char *end);


ctseg_rc_t
ctseg_upload_parse(ctseg_upload_t *u, ctseg_str_t body, int64_t now_ms,
    ctseg_err_t *err)
{
    ctseg_rc_t          rc;
    ctseg_upload_ctx_t  ctx;

    ctx.u = u;
    ctx.body = body;
    ctx.now_ms = now_ms;
    ctx.rc = CTSEG_OK;
    ctx.err = err;
    ctx.in_d = false;
    ctx.seen_d = false;
    ctx.nrecords = 0;

    rc = ctseg_json_scan(body, CTSEG_INTAKE_DEPTH_MAX, ctseg_upload_token,
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
    ctseg_buf_reset(&u->own);
}


void
ctseg_upload_free(ctseg_upload_t *u)
{
    free(u->events);
    ctseg_buf_free(&u->unprocessed);
    ctseg_buf_free(&u->own);
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


/* each name of a member is asked about: by its length, then all at once */

static unsigned
ctseg_upload_field(ctseg_str_t name)
{
    switch (name.len) {

    case 2:
        return ctseg_str_same(name, "ts") ? CTSEG_FIELD_TS
                                          : CTSEG_FIELD_OTHER;

    case 3:
        return ctseg_str_same(name, "$id") ? CTSEG_FIELD_OWN_ID
                                           : CTSEG_FIELD_OTHER;

    case 4:
        return ctseg_str_same(name, "type") ? CTSEG_FIELD_TYPE
               : ctseg_str_same(name, "FBID")
                 ? CTSEG_FIELD_ID + CTSEG_ID_FBID
               : ctseg_str_same(name, "GPID")
                 ? CTSEG_FIELD_ID + CTSEG_ID_GPID
               : CTSEG_FIELD_OTHER;

    case 5:
        return ctseg_str_same(name, "email") ? CTSEG_FIELD_ID + CTSEG_ID_EMAIL
               : ctseg_str_same(name, "phone")
                 ? CTSEG_FIELD_ID + CTSEG_ID_PHONE
               : CTSEG_FIELD_OTHER;

    case 7:
        return ctseg_str_same(name, "evtName") ? CTSEG_FIELD_NAME
               : ctseg_str_same(name, "evtData") ? CTSEG_FIELD_DATA
               : CTSEG_FIELD_OTHER;

    case 8:
        return ctseg_str_same(name, "identity")
                 ? CTSEG_FIELD_ID + CTSEG_ID_IDENTITY
               : ctseg_str_same(name, "objectId")
                 ? CTSEG_FIELD_ID + CTSEG_ID_OBJECT
               : CTSEG_FIELD_OTHER;

    case 11:
        return ctseg_str_same(name, "profileData") ? CTSEG_FIELD_PROFILE
                                                   : CTSEG_FIELD_OTHER;

    default:
        return CTSEG_FIELD_OTHER;
    }
}


/* a record has one of them as a rule, so neither is made ready in advance */

static void
ctseg_upload_need(ctseg_upload_record_t *rec, unsigned field)
{
    if (field == CTSEG_FIELD_DATA && !rec->has_data) {
        rec->has_data = true;
        ctseg_intake_data_begin(&rec->data, CTSEG_INTAKE_EVENT, "evtData");
    }

    if (field == CTSEG_FIELD_PROFILE && !rec->has_profile) {
        rec->has_profile = true;
        ctseg_intake_data_begin(&rec->profile, CTSEG_INTAKE_PROFILE,
                                "profileData");
    }
}


/* a token of a record's own field, of containers also what is inside */

static void
ctseg_upload_value(ctseg_upload_ctx_t *ctx, const ctseg_json_token_t *t)
{
    ctseg_upload_record_t  *rec;

    rec = &ctx->rec;

    if (ctx->field == CTSEG_FIELD_DATA) {
        ctseg_intake_data(&rec->data, CTSEG_UPLOAD_FIELD, t);
        return;
    }

    if (ctx->field == CTSEG_FIELD_PROFILE) {
        ctseg_intake_data(&rec->profile, CTSEG_UPLOAD_FIELD, t);
        return;
    }

    if (t->depth != CTSEG_UPLOAD_FIELD || t->type >= CTSEG_JSON_KEY) {
        return;
    }

    switch (ctx->field) {

    case CTSEG_FIELD_OTHER:
        break;

    case CTSEG_FIELD_TYPE:
        rec->is_event = t->type == CTSEG_JSON_STRING
                        && ctseg_str_same(t->text, "event");
        rec->is_profile = t->type == CTSEG_JSON_STRING
                          && ctseg_str_same(t->text, "profile");
        break;

    case CTSEG_FIELD_NAME:
        ctseg_intake_name(&rec->in, t);
        break;

    case CTSEG_FIELD_TS:
        ctseg_intake_ts(&rec->in, t);
        break;

    case CTSEG_FIELD_OWN_ID:
        ctseg_intake_own_id(&rec->in, t);
        break;

    default:
        ctseg_intake_id(&rec->in, ctx->field - CTSEG_FIELD_ID, t);
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

    ctx->rec.start = t->raw.data;
    ctx->rec.is_object = t->type == CTSEG_JSON_OBJECT;
    ctx->rec.is_event = false;
    ctx->rec.is_profile = false;
    ctx->rec.has_data = false;
    ctx->rec.has_profile = false;
    ctx->field = CTSEG_FIELD_OTHER;

    ctseg_intake_begin(&ctx->rec.in);

    if (t->type == CTSEG_JSON_OBJECT || t->type == CTSEG_JSON_ARRAY) {
        return true;
    }

    return ctseg_upload_record_end(ctx, t->raw.data + t->raw.len);
}


static bool
ctseg_upload_end(ctseg_upload_ctx_t *ctx, const ctseg_json_token_t *t)
{
    if (t->depth == CTSEG_UPLOAD_RECORD && ctx->in_d) {
        return ctseg_upload_record_end(ctx, t->raw.data + 1);
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

    if (ctx->in_d && t->depth >= CTSEG_UPLOAD_FIELD) {
        if (ctx->rec.is_object) {
            ctseg_upload_value(ctx, t);
        }

        return true;
    }

    if (t->type == CTSEG_JSON_KEY) {

        if (t->depth == CTSEG_UPLOAD_RECORD && ctx->in_d) {
            ctx->field = ctseg_upload_field(t->text);
            ctseg_upload_need(&ctx->rec, ctx->field);

        } else if (t->depth == CTSEG_UPLOAD_ROOT) {
            ctx->in_d = ctseg_str_same(t->text, "d");

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

    return ctseg_upload_record_start(ctx, t);
}


static int
ctseg_upload_verdict(ctseg_upload_record_t *rec, int64_t now_ms,
    ctseg_buf_t *text)
{
    if (!rec->is_object) {
        ctseg_buf_cstr(text, "Event structure invalid: a record must be an"
                       " object");
        return CTSEG_CODE_STRUCTURE;
    }

    if (rec->is_profile) {
        ctseg_upload_need(rec, CTSEG_FIELD_PROFILE);
        return ctseg_intake_profile(&rec->in, &rec->profile, now_ms, text);
    }

    if (!rec->is_event) {
        ctseg_buf_cstr(text, "Type must be event or profile");
        return CTSEG_CODE_TYPE;
    }

    ctseg_upload_need(rec, CTSEG_FIELD_DATA);

    return ctseg_intake_event(&rec->in, &rec->data, now_ms, text);
}


static bool
ctseg_upload_record_end(ctseg_upload_ctx_t *ctx, const char *end)
{
    int              code;
    size_t           mark;
    ctseg_str_t      record;
    ctseg_upload_t  *u;

    u = ctx->u;

    record.data = ctx->rec.start;
    record.len = (size_t) (end - ctx->rec.start);

    mark = ctseg_upload_open(u);
    code = ctseg_upload_verdict(&ctx->rec, ctx->now_ms, &u->unprocessed);

    if (ctseg_upload_close(u, mark, code, &ctx->rec.in.event, record)) {
        return true;
    }

    ctx->rc = ctseg_err(ctx->err, CTSEG_NOMEM, "out of memory");

    return false;
}


/* the text is written where it belongs, and taken back if all is well */

size_t
ctseg_upload_open(ctseg_upload_t *u)
{
    size_t       mark;
    ctseg_str_t  text = ctseg_string("{\"status\":\"fail\",\"error\":\"");

    mark = u->unprocessed.len;

    if (mark != 0) {
        ctseg_buf_char(&u->unprocessed, ',');
    }

    ctseg_buf_str(&u->unprocessed, text);

    return mark;
}


bool
ctseg_upload_close(ctseg_upload_t *u, size_t mark, int code,
    const ctseg_event_t *ev, ctseg_str_t record)
{
    unsigned        n;
    ctseg_event_t  *events;

    if (code != 0) {
        ctseg_buf_fmt(&u->unprocessed, "\",\"code\":%d,\"record\":", code);
        ctseg_buf_str(&u->unprocessed, record);
        ctseg_buf_char(&u->unprocessed, '}');

        u->nfailed++;
        u->refused[ctseg_refusal_of(code)]++;

        return true;
    }

    u->unprocessed.len = mark;

    if (u->nevents == u->allocated) {
        n = u->allocated == 0 ? 64 : u->allocated * 2;

        events = realloc(u->events, n * sizeof(ctseg_event_t));
        if (events == NULL) {
            return false;
        }

        u->events = events;
        u->allocated = n;
    }

    u->events[u->nevents++] = *ev;

    return true;
}


/* the parts of an answer, around what is different in each */

static const char  ctseg_upload_success[] = "{\"status\":\"success\"";
static const char  ctseg_upload_processed[] = ",\"processed\":";
static const char  ctseg_upload_unprocessed[] = ",\"unprocessed\":[";
static const char  ctseg_upload_tail[] = "]}\n";

_Static_assert(sizeof(ctseg_upload_success) + sizeof(ctseg_upload_processed)
               + CTSEG_DECIMAL_MAX + sizeof(ctseg_upload_unprocessed)
               + sizeof(ctseg_upload_tail) <= CTSEG_UPLOAD_PLAIN_MAX,
               "a plain answer has more room than it is given");


void
ctseg_upload_render(ctseg_buf_t *out, const ctseg_upload_t *u)
{
    char    digits[CTSEG_DECIMAL_MAX];
    size_t  n;

    n = ctseg_decimal(digits, u->nevents);

    /* once, and not with each of the parts */

    ctseg_buf_reserve(out, u->unprocessed.len + CTSEG_UPLOAD_PLAIN_MAX);

    ctseg_buf_cstr(out, u->nfailed == 0 ? ctseg_upload_success
                        : u->nevents == 0 ? "{\"status\":\"fail\""
                        : "{\"status\":\"partial\"");
    ctseg_buf_cstr(out, ctseg_upload_processed);
    ctseg_buf_add(out, digits, n);
    ctseg_buf_cstr(out, ctseg_upload_unprocessed);
    ctseg_buf_str(out, ctseg_buf_slice(&u->unprocessed));
    ctseg_buf_cstr(out, ctseg_upload_tail);
}


size_t
ctseg_upload_plain(char out[CTSEG_UPLOAD_PLAIN_MAX], unsigned n)
{
    char  *p;

    p = stpcpy(out, ctseg_upload_success);
    p = stpcpy(p, ctseg_upload_processed);
    p += ctseg_decimal(p, n);
    p = stpcpy(p, ctseg_upload_unprocessed);
    p = stpcpy(p, ctseg_upload_tail);

    return (size_t) (p - out);
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
