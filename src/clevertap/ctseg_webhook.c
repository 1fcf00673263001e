/*
 * The webhook's body, in two passes, since what the profiles share may stand
 * behind them: the first one reads key_values and finds the profiles, the
 * second one judges these.  Properties that come from two places are no
 * slice of the body: they are put together in the "own" of the result, whose
 * bytes move while it grows, so that pointers into it are set at the end.
 */

#include <string.h>
#include <stdlib.h>

#include "../base/ctseg_str.h"
#include "ctseg_webhook.h"


typedef enum {
    CTSEG_HOOK_OTHER = 0,
    CTSEG_HOOK_TARGET,
    CTSEG_HOOK_SHARED,
    CTSEG_HOOK_PROFILES,
    CTSEG_HOOK_DATA,
    CTSEG_HOOK_ALL,             /* all_identities */
    CTSEG_HOOK_EVENT,
    CTSEG_HOOK_TS,
    CTSEG_HOOK_ID               /* + ctseg_id_e */
} ctseg_webhook_field_t;


typedef struct {
    const char             *name;
    ctseg_webhook_field_t   field;
} ctseg_webhook_name_t;


/* members of an object of properties, as they come */

typedef struct {
    ctseg_buf_t            *out;
    size_t                  begin;      /* in out */
    size_t                  size;       /* may be more than was written */
    unsigned                n;
    bool                    open;
    bool                    bad;        /* it is there but no object */
    bool                    skip;       /* the member at hand */
    ctseg_str_t             key;        /* raw */
    const char             *value;      /* start of a container */
} ctseg_webhook_props_t;


typedef struct {
    ctseg_upload_t         *u;
    ctseg_str_t             body;
    int64_t                 now_ms;
    ctseg_rc_t              rc;
    ctseg_err_t            *err;
    ctseg_webhook_field_t   field;

    /* what the profiles share */

    ctseg_intake_t          common;     /* name and time */
    ctseg_webhook_field_t   member;     /* of key_values */
    ctseg_webhook_props_t   shared;
    ctseg_buf_t             text;       /* its members with their commas */
    ctseg_buf_t             names;      /* decoded, one behind the other */
    ctseg_str_t             name[CTSEG_PROPS_N_MAX + 1];
    unsigned                nnames;
    ctseg_str_t             target;

    ctseg_str_t             profiles;
    bool                    is_array;
    unsigned                nprofiles;

    /* the profile at hand, whose members' keys have this depth */

    unsigned                depth;
    const char             *start;
    bool                    is_object;
    ctseg_intake_t          in;
    ctseg_str_t             alias;      /* the first of all_identities */
    ctseg_webhook_props_t   props;
} ctseg_webhook_ctx_t;


static const ctseg_webhook_name_t  ctseg_webhook_root[] = {
    { "targetId", CTSEG_HOOK_TARGET },
    { "key_values", CTSEG_HOOK_SHARED },
    { "profiles", CTSEG_HOOK_PROFILES },
    { NULL, CTSEG_HOOK_OTHER }
};

static const ctseg_webhook_name_t  ctseg_webhook_shared[] = {
    { "event", CTSEG_HOOK_EVENT },
    { "ts", CTSEG_HOOK_TS },
    { NULL, CTSEG_HOOK_OTHER }
};

static const ctseg_webhook_name_t  ctseg_webhook_profile[] = {
    { "identity", CTSEG_HOOK_ID + CTSEG_ID_IDENTITY },
    { "objectId", CTSEG_HOOK_ID + CTSEG_ID_OBJECT },
    { "email", CTSEG_HOOK_ID + CTSEG_ID_EMAIL },
    { "phone", CTSEG_HOOK_ID + CTSEG_ID_PHONE },
    { "FBID", CTSEG_HOOK_ID + CTSEG_ID_FBID },
    { "GPID", CTSEG_HOOK_ID + CTSEG_ID_GPID },
    { "all_identities", CTSEG_HOOK_ALL },
    { "event_properties", CTSEG_HOOK_DATA },
    { NULL, CTSEG_HOOK_OTHER }
};


static ctseg_webhook_field_t
ctseg_webhook_field(const ctseg_webhook_name_t *names, ctseg_str_t key)
{
    while (names->name != NULL && !ctseg_intake_is(key, names->name)) {
        names++;
    }

    return names->field;
}


static bool
ctseg_webhook_is_container(const ctseg_json_token_t *t)
{
    return t->type == CTSEG_JSON_ARRAY || t->type == CTSEG_JSON_OBJECT;
}


static bool
ctseg_webhook_refuse(ctseg_webhook_ctx_t *ctx, ctseg_rc_t rc, size_t at,
    const char *text)
{
    ctx->rc = ctseg_err(ctx->err, rc, "%s", text);

    if (ctx->err != NULL) {
        ctx->err->offset = at;
    }

    return false;
}


/* ---- properties ---- */

static void
ctseg_webhook_props_begin(ctseg_webhook_props_t *p, ctseg_buf_t *out,
    size_t begin)
{
    memset(p, 0, sizeof(ctseg_webhook_props_t));

    p->out = out;
    p->begin = begin;
    out->len = begin;
}


/* beyond the limit it is only counted: its verdict is clear */

static void
ctseg_webhook_props_add(ctseg_webhook_props_t *p, ctseg_str_t key,
    ctseg_str_t value)
{
    p->n++;
    p->size += key.len + value.len + 2;

    if (p->size > CTSEG_PROPS_LEN_MAX) {
        return;
    }

    ctseg_buf_str(p->out, key);
    ctseg_buf_char(p->out, ':');
    ctseg_buf_str(p->out, value);
    ctseg_buf_char(p->out, ',');
}


/*
 * A token of the object whose value has this depth; of what is in it, keys
 * are for the caller.
 */

static void
ctseg_webhook_props_token(ctseg_webhook_props_t *p, unsigned depth,
    const ctseg_json_token_t *t)
{
    ctseg_str_t  value;

    if (t->depth == depth) {

        if (t->type < CTSEG_JSON_KEY) {
            ctseg_webhook_props_begin(p, p->out, p->begin);
            p->open = t->type == CTSEG_JSON_OBJECT;
            p->bad = !p->open && t->type != CTSEG_JSON_NULL;

        } else if (t->type != CTSEG_JSON_KEY) {
            p->open = false;
        }

        return;
    }

    if (!p->open || p->skip || t->depth != depth + 1
        || t->type == CTSEG_JSON_KEY)
    {
        return;
    }

    if (ctseg_webhook_is_container(t)) {
        p->value = t->raw.data;
        return;
    }

    value = t->raw;

    if (t->type > CTSEG_JSON_KEY) {
        value.data = p->value;
        value.len = (size_t) (t->raw.data + t->raw.len - p->value);
    }

    ctseg_webhook_props_add(p, p->key, value);
}


/* ---- the first pass ---- */

static void
ctseg_webhook_shared_token(ctseg_webhook_ctx_t *ctx,
    const ctseg_json_token_t *t)
{
    if (t->depth == 1 && t->type < CTSEG_JSON_KEY) {

        /* another key_values: nothing of the first one is left */

        ctseg_buf_reset(&ctx->names);
        ctx->nnames = 0;
        ctseg_intake_begin(&ctx->common);
    }

    if (t->depth == 1 && t->type == CTSEG_JSON_KEY) {
        ctx->member = ctseg_webhook_field(ctseg_webhook_shared, t->text);
        ctx->shared.key = t->raw;
        ctx->shared.skip = ctx->member == CTSEG_HOOK_EVENT;

        if (!ctx->shared.skip && ctx->nnames < CTSEG_PROPS_N_MAX) {
            ctx->name[ctx->nnames].len = t->text.len;
            ctx->nnames++;
            ctseg_buf_str(&ctx->names, t->text);
        }
    }

    if (t->depth == 2 && t->type < CTSEG_JSON_KEY && ctx->shared.open) {
        if (ctx->member == CTSEG_HOOK_EVENT) {
            ctseg_intake_name(&ctx->common, t);

        } else if (ctx->member == CTSEG_HOOK_TS) {
            ctseg_intake_ts(&ctx->common, t);
        }
    }

    ctseg_webhook_props_token(&ctx->shared, 1, t);
}


static bool
ctseg_webhook_profiles_token(ctseg_webhook_ctx_t *ctx,
    const ctseg_json_token_t *t)
{
    size_t  at;

    at = (size_t) (t->raw.data - ctx->body.data);

    if (t->depth == 1 && t->type > CTSEG_JSON_KEY) {
        ctx->profiles.len = (size_t) (t->raw.data + 1 - ctx->profiles.data);
        return true;
    }

    if (t->depth == 1 && t->type < CTSEG_JSON_KEY) {

        if (!ctseg_webhook_is_container(t)) {
            return ctseg_webhook_refuse(ctx, CTSEG_INVALID, at,
                         "member \"profiles\" must be an array or an object");
        }

        ctx->profiles.data = t->raw.data;
        ctx->is_array = t->type == CTSEG_JSON_ARRAY;
    }

    if (ctx->is_array && t->depth == 2 && t->type < CTSEG_JSON_KEY
        && ++ctx->nprofiles > CTSEG_WEBHOOK_PROFILES_MAX)
    {
        return ctseg_webhook_refuse(ctx, CTSEG_TOOBIG, at,
                              "\"profiles\" holds more than 1000 profiles");
    }

    return true;
}


static bool
ctseg_webhook_root_token(void *data, const ctseg_json_token_t *t)
{
    size_t                at;
    ctseg_webhook_ctx_t  *ctx;

    ctx = data;
    at = (size_t) (t->raw.data - ctx->body.data);

    if (t->depth == 0) {

        if (t->type == CTSEG_JSON_KEY) {
            ctx->field = ctseg_webhook_field(ctseg_webhook_root, t->text);

            if (ctx->field == CTSEG_HOOK_PROFILES
                && ctx->profiles.data != NULL)
            {
                return ctseg_webhook_refuse(ctx, CTSEG_INVALID, at,
                                       "member \"profiles\" occurs twice");
            }

        } else if (t->type < CTSEG_JSON_KEY && t->type != CTSEG_JSON_OBJECT) {
            return ctseg_webhook_refuse(ctx, CTSEG_INVALID, at,
                                        "the body must be an object");
        }

        return true;
    }

    switch (ctx->field) {

    case CTSEG_HOOK_TARGET:
        if (t->depth == 1 && t->type < CTSEG_JSON_KEY) {
            ctx->target = t->raw;

            if (t->type == CTSEG_JSON_NULL || ctseg_webhook_is_container(t)) {
                ctx->target.len = 0;
            }
        }

        return true;

    case CTSEG_HOOK_SHARED:
        ctseg_webhook_shared_token(ctx, t);
        return true;

    case CTSEG_HOOK_PROFILES:
        return ctseg_webhook_profiles_token(ctx, t);

    default:
        return true;
    }
}


static int
ctseg_webhook_compare(const void *one, const void *two)
{
    const ctseg_str_t  *a, *b;

    a = one;
    b = two;

    if (a->len != b->len) {
        return a->len < b->len ? -1 : 1;
    }

    return a->len == 0 ? 0 : memcmp(a->data, b->data, a->len);
}


static bool
ctseg_webhook_is_shared(const ctseg_webhook_ctx_t *ctx, ctseg_str_t name)
{
    return bsearch(&name, ctx->name, ctx->nnames, sizeof(ctseg_str_t),
                   ctseg_webhook_compare) != NULL;
}


/* between the passes: the names in order, the campaign, the event's name */

static void
ctseg_webhook_prepare(ctseg_webhook_ctx_t *ctx, ctseg_str_t event)
{
    size_t       at;
    unsigned     i;
    ctseg_str_t  key = ctseg_string("\"Campaign id\"");

    for (i = 0, at = 0; i < ctx->nnames && !ctx->names.failed; i++) {
        ctx->name[i].data = ctx->names.len != 0 ? ctx->names.data + at : "";
        at += ctx->name[i].len;
    }

    if (ctx->names.failed) {
        ctx->nnames = 0;
    }

    qsort(ctx->name, ctx->nnames, sizeof(ctseg_str_t), ctseg_webhook_compare);

    if (ctx->target.len != 0
        && !ctseg_webhook_is_shared(ctx, ctseg_intake_inside(key)))
    {
        ctseg_webhook_props_add(&ctx->shared, key, ctx->target);
        ctx->name[ctx->nnames++] = ctseg_intake_inside(key);
        qsort(ctx->name, ctx->nnames, sizeof(ctseg_str_t),
              ctseg_webhook_compare);
    }

    if (event.len != 0) {
        ctseg_json_escape(&ctx->u->own, event);
        ctx->common.bad_name = ctseg_intake_is_blank(event);
        ctx->common.event.kind = ctseg_catalog_find(event);
        ctx->common.event.name = ctseg_buf_slice(&ctx->u->own);

    } else if (ctx->common.bad_name || ctx->common.event.name.len == 0) {
        event = ctseg_str("Webhook Delivered");
        ctx->common.bad_name = false;
        ctx->common.event.kind = ctseg_catalog_find(event);
        ctx->common.event.name = event;
    }

    if (ctx->common.ts_type != CTSEG_JSON_NULL && !ctx->common.bad_ts) {
        (void) ctseg_intake_epoch(ctx->common.ts, &ctx->now_ms);
    }
}


/* ---- the second pass ---- */

static int
ctseg_webhook_verdict(ctseg_webhook_ctx_t *ctx, ctseg_buf_t *text)
{
    int                   code;
    ctseg_intake_t       *in;
    ctseg_intake_data_t   data;

    if (!ctx->is_object) {
        ctseg_buf_cstr(text, "Event structure invalid: a profile must be an"
                       " object");
        return CTSEG_CODE_STRUCTURE;
    }

    in = &ctx->in;
    in->any_id = true;
    in->event.kind = ctx->common.event.kind;
    in->event.name = ctx->common.event.name;
    in->bad_name = ctx->common.bad_name;

    if (in->event.id[CTSEG_ID_IDENTITY].len == 0) {
        in->event.id[CTSEG_ID_IDENTITY] = ctx->alias;
    }

    memset(&data, 0, sizeof(ctseg_intake_data_t));
    data.rule = CTSEG_INTAKE_ANY;
    data.bad = ctx->shared.bad || ctx->props.bad;
    data.name = ctx->shared.bad ? "key_values" : "event_properties";
    data.nprops = ctx->props.n + ctx->shared.n;

    /* both braces, and one comma less than there are properties */

    if (data.nprops != 0) {
        data.raw.len = ctx->props.size + ctx->shared.size + 1;
        data.raw.data = "";
    }

    code = ctseg_intake_event(in, &data, ctx->now_ms, text);

    if (code == 0 && ctx->u->own.len > CTSEG_WEBHOOK_OWN_MAX) {
        ctseg_buf_fmt(text, "The properties of all profiles have more than"
                      " %d bytes", CTSEG_WEBHOOK_OWN_MAX);
        code = CTSEG_CODE_OTHER;
    }

    return code;
}


static bool
ctseg_webhook_profile_end(ctseg_webhook_ctx_t *ctx, const char *end)
{
    int           code;
    size_t        mark;
    ctseg_str_t   record;
    ctseg_buf_t  *own;

    own = &ctx->u->own;
    record.data = ctx->start;
    record.len = (size_t) (end - ctx->start);

    mark = ctseg_upload_open(ctx->u);
    code = ctseg_webhook_verdict(ctx, &ctx->u->unprocessed);

    if (code != 0 || ctx->in.event.props.len == 0) {
        own->len = ctx->props.begin - 1;

    } else {
        ctseg_buf_str(own, ctseg_buf_slice(&ctx->text));

        if (!own->failed) {
            own->data[own->len - 1] = '}';      /* the last comma */
        }
    }

    if (ctseg_upload_close(ctx->u, mark, code, &ctx->in.event, record)
        && !own->failed)
    {
        return true;
    }

    return ctseg_webhook_refuse(ctx, CTSEG_NOMEM, 0, "out of memory");
}


static bool
ctseg_webhook_profile_start(ctseg_webhook_ctx_t *ctx,
    const ctseg_json_token_t *t)
{
    ctseg_buf_t  *own;

    own = &ctx->u->own;
    ctseg_buf_char(own, '{');

    if (own->failed) {
        return ctseg_webhook_refuse(ctx, CTSEG_NOMEM, 0, "out of memory");
    }

    ctx->start = t->raw.data;
    ctx->is_object = t->type == CTSEG_JSON_OBJECT;
    ctx->field = CTSEG_HOOK_OTHER;
    ctx->alias.len = 0;

    ctseg_intake_begin(&ctx->in);
    ctseg_webhook_props_begin(&ctx->props, own, own->len);

    return ctseg_webhook_is_container(t)
           || ctseg_webhook_profile_end(ctx, t->raw.data + t->raw.len);
}


static void
ctseg_webhook_alias(ctseg_webhook_ctx_t *ctx, const ctseg_json_token_t *t)
{
    ctseg_intake_t  in;

    if (ctx->alias.len != 0 || t->type >= CTSEG_JSON_KEY
        || t->depth > ctx->depth + 2)
    {
        return;
    }

    ctseg_intake_begin(&in);
    ctseg_intake_id(&in, CTSEG_ID_IDENTITY, t);
    ctx->alias = in.event.id[CTSEG_ID_IDENTITY];
}


static bool
ctseg_webhook_profile_token(void *data, const ctseg_json_token_t *t)
{
    ctseg_webhook_ctx_t  *ctx;

    ctx = data;

    if (t->depth < ctx->depth) {
        return true;                    /* the array's own brackets */
    }

    if (t->depth == ctx->depth) {

        if (t->type == CTSEG_JSON_KEY) {
            ctx->field = ctseg_webhook_field(ctseg_webhook_profile, t->text);
            return true;
        }

        return t->type > CTSEG_JSON_KEY
               ? ctseg_webhook_profile_end(ctx, t->raw.data + 1)
               : ctseg_webhook_profile_start(ctx, t);
    }

    if (!ctx->is_object) {
        return true;
    }

    switch (ctx->field) {

    case CTSEG_HOOK_OTHER:
        break;

    case CTSEG_HOOK_DATA:
        if (t->type == CTSEG_JSON_KEY && t->depth == ctx->depth + 1) {
            ctx->props.key = t->raw;
            ctx->props.skip = ctseg_webhook_is_shared(ctx, t->text);
        }

        ctseg_webhook_props_token(&ctx->props, ctx->depth + 1, t);
        break;

    case CTSEG_HOOK_ALL:
        ctseg_webhook_alias(ctx, t);
        break;

    default:
        if (t->depth == ctx->depth + 1 && t->type < CTSEG_JSON_KEY) {
            ctseg_intake_id(&ctx->in, ctx->field - CTSEG_HOOK_ID, t);
        }
    }

    return true;
}


/* now that nothing moves any more */

static void
ctseg_webhook_point(ctseg_upload_t *u, size_t at, bool own_name)
{
    unsigned        i;
    ctseg_event_t  *ev;

    for (i = 0; i < u->nevents; i++) {
        ev = &u->events[i];

        if (own_name) {
            ev->name.data = u->own.data;
        }

        if (ev->props.len != 0) {
            ev->props.data = u->own.data + at;
            at += ev->props.len;
        }
    }
}


static ctseg_rc_t
ctseg_webhook_run(ctseg_webhook_ctx_t *ctx, ctseg_str_t event)
{
    size_t      at;
    ctseg_rc_t  rc;

    rc = ctseg_json_scan(ctx->body, CTSEG_INTAKE_DEPTH_MAX,
                         ctseg_webhook_root_token, ctx, ctx->err);

    if (ctx->rc != CTSEG_OK || rc != CTSEG_OK) {
        return ctx->rc != CTSEG_OK ? ctx->rc : rc;
    }

    if (ctx->profiles.data == NULL) {
        (void) ctseg_webhook_refuse(ctx, CTSEG_INVALID, ctx->body.len,
                                    "member \"profiles\" is missing");
        return ctx->rc;
    }

    ctseg_webhook_prepare(ctx, event);
    at = ctx->u->own.len;
    ctx->depth = ctx->is_array ? 1 : 0;

    if (ctx->text.failed || ctx->names.failed || ctx->u->own.failed) {
        return ctseg_err(ctx->err, CTSEG_NOMEM, "out of memory");
    }

    rc = ctseg_json_scan(ctx->profiles, CTSEG_INTAKE_DEPTH_MAX,
                         ctseg_webhook_profile_token, ctx, ctx->err);

    if (ctx->rc != CTSEG_OK || rc != CTSEG_OK) {
        return ctx->rc != CTSEG_OK ? ctx->rc : rc;
    }

    if (ctx->u->unprocessed.failed) {
        return ctseg_err(ctx->err, CTSEG_NOMEM, "out of memory");
    }

    ctseg_webhook_point(ctx->u, at, event.len != 0);

    return CTSEG_OK;
}


ctseg_rc_t
ctseg_webhook_parse(ctseg_upload_t *u, ctseg_str_t body, ctseg_str_t event,
    int64_t now_ms, ctseg_err_t *err)
{
    ctseg_rc_t           rc;
    ctseg_webhook_ctx_t  ctx;

    memset(&ctx, 0, sizeof(ctseg_webhook_ctx_t));

    ctx.u = u;
    ctx.body = body;
    ctx.now_ms = now_ms;
    ctx.err = err;
    ctx.shared.out = &ctx.text;
    ctseg_intake_begin(&ctx.common);

    rc = ctseg_webhook_run(&ctx, event);

    ctseg_buf_free(&ctx.text);
    ctseg_buf_free(&ctx.names);

    return rc;
}


/* ---- whose body it is ---- */

/* behind the string that begins at p, or end */

static const char *
ctseg_webhook_skip(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++) {
        if (*p == '\\' && p + 1 < end) {
            p++;
        }
    }

    return p < end ? p + 1 : end;
}


bool
ctseg_webhook_is(ctseg_str_t body)
{
    unsigned      depth;
    const char   *p, *end;
    ctseg_str_t   key;

    depth = 0;
    key.len = 0;
    key.data = body.data;
    end = body.data + body.len;

    for (p = body.data; p < end; /* void */ ) {

        switch (*p) {

        case '"':
            key.data = p + 1;
            p = ctseg_webhook_skip(p, end);
            key.len = (size_t) (p - key.data);
            key.len -= key.len != 0;
            continue;

        case '{':
        case '[':
            depth++;
            break;

        case '}':
        case ']':
            if (depth <= 1) {
                return false;
            }

            depth--;
            break;

        case ':':
            if (depth == 1) {
                if (ctseg_str_is(key, "d")) {
                    return false;
                }

                if (ctseg_intake_is(key, "profiles")) {
                    return true;
                }
            }

            break;

        default:
            break;
        }

        p++;
    }

    return false;
}
