/*
 * A body of the upload API.  Each record gets one verdict; every answer is
 * JSON; each event that is taken lies in the body, comes back from a block
 * as it went in, and makes a message that is JSON and below Segment's limit
 * for every partner whose identifiers are fields.  Any bytes.
 */

#include "clevertap/ctseg_upload.h"
#include "segment/ctseg_message.h"
#include "store/ctseg_block.h"
#include "fuzz.h"


#define NOW  1767225600000LL


static bool
is_inside(ctseg_str_t s, ctseg_str_t body)
{
    return s.len == 0
           || (s.data >= body.data
               && s.data + s.len <= body.data + body.len);
}


static void
check_event(const ctseg_event_t *ev, ctseg_str_t body)
{
    unsigned  i;

    fuzz_check(ev->kind <= CTSEG_KIND_LAST || ev->kind == CTSEG_KIND_PROFILE);
    fuzz_check(is_inside(ev->own_id, body));
    fuzz_check(ev->own_id.len <= 12 * CTSEG_INTAKE_OWN_ID_MAX);
    fuzz_check((ev->kind == CTSEG_KIND_CUSTOM) == (ev->name.len != 0));
    fuzz_check(ev->name.len <= CTSEG_NAME_LEN_MAX);
    fuzz_check(ev->time_ms >= 0 && ev->time_ms < 100000000000000LL);
    fuzz_check(is_inside(ev->name, body) && is_inside(ev->props, body));

    for (i = 0; i < CTSEG_ID_N; i++) {
        fuzz_check(ev->id[i].len <= CTSEG_ID_LEN_MAX);
        fuzz_check(is_inside(ev->id[i], body));
    }

    if (ev->props.len != 0) {
        fuzz_check(ev->props.len <= CTSEG_PROPS_LEN_MAX);
        fuzz_check(ev->props.data[0] == '{');
        fuzz_check(fuzz_is_json(ev->props, CTSEG_INTAKE_DEPTH_MAX));
    }
}


/*
 * Values are scalars, arrays of them, or one operator with its operand; no
 * object stands anywhere else.
 */

static void
check_profile(const ctseg_event_t *ev)
{
    ctseg_str_t     rest;
    ctseg_json_t   *root, *v, *w;
    ctseg_arena_t  *a;

    a = ctseg_arena_create();
    fuzz_check(a != NULL);

    rest = ev->props;

    if (rest.len != 0
        && ctseg_json_parse(a, rest, CTSEG_INTAKE_DEPTH_MAX, 100000, &root,
                            NULL) == CTSEG_OK)
    {
        fuzz_check(root->n <= CTSEG_PROPS_N_MAX);

        for (v = root->child; v != NULL; v = v->next) {
            w = v;

            if (v->type == CTSEG_JSON_OBJECT) {
                fuzz_check(v->n == 1 && v->child->key.data[0] == '$');
                w = v->child;
            }

            fuzz_check(w->type != CTSEG_JSON_OBJECT);

            for (w = w->child; w != NULL; w = w->next) {
                fuzz_check(w->type < CTSEG_JSON_ARRAY);
            }
        }
    }

    ctseg_arena_destroy(a);
}


static void
check_same(const ctseg_event_t *a, const ctseg_event_t *b)
{
    unsigned  i;

    fuzz_check(a->kind == b->kind && a->time_ms == b->time_ms);
    fuzz_check(ctseg_str_eq(a->name, b->name));
    fuzz_check(ctseg_str_eq(a->props, b->props));

    for (i = 0; i < CTSEG_ID_N; i++) {
        fuzz_check(ctseg_str_eq(a->id[i], b->id[i]));
    }
}


/* a source must not lose whom CleverTap took for identified */

static void
check_message(const ctseg_event_t *ev, uint64_t sequence)
{
    unsigned         i;
    ctseg_buf_t      out = { NULL, 0, 0, false };
    ctseg_pinned_t   pinned;
    ctseg_reject_t   why;
    ctseg_encoder_t  enc;

    memset(&pinned, 0, sizeof(ctseg_pinned_t));
    pinned.kinds = UINT64_MAX;
    pinned.from_ms = INT64_MIN;
    pinned.to_ms = INT64_MAX;
    pinned.user_id.field = CTSEG_ID_IDENTITY;
    pinned.anonymous_id.field = CTSEG_ID_OBJECT;
    pinned.npriority = CTSEG_ID_N;
    memcpy(pinned.fingerprint, "0123456789abcdef", 17);

    for (i = 0; i < CTSEG_ID_N; i++) {
        pinned.priority[i] = (uint8_t) i;
    }

    ctseg_encoder_init(&enc, &pinned, "fedcba9876543210");

    fuzz_check(ctseg_message_wanted(&pinned, ev));
    fuzz_check(ctseg_message_encode(&out, &enc, sequence, ev, &why)
               == CTSEG_OK);
    fuzz_check(out.len < CTSEG_MESSAGE_MAX);
    fuzz_check_json(&out);

    ctseg_buf_free(&out);
}


static void
check_block(const ctseg_upload_t *u)
{
    unsigned               i;
    ctseg_str_t            rest;
    ctseg_block_t          b;
    ctseg_event_t          ev;
    ctseg_block_builder_t  bb;

    memset(&bb, 0, sizeof(ctseg_block_builder_t));

    for (i = 0; i < u->nevents; i++) {
        if (!ctseg_block_add(&bb, &u->events[i])) {
            fuzz_check(bb.buf.len + bb.directory.len
                       > CTSEG_BLOCK_PAYLOAD_MAX - 32768);
            break;
        }
    }

    fuzz_check(ctseg_block_finish(&bb, &b)
               == (i == 0 ? CTSEG_INVALID : CTSEG_OK));
    fuzz_check(b.count == i);

    if (i != 0) {
        fuzz_check(ctseg_block_verify(&b) == CTSEG_OK);

        rest = b.payload;

        for (i = 0; i < b.count; i++) {
            fuzz_check(ctseg_event_decode(&rest, &ev) == CTSEG_OK);
            check_same(&ev, &u->events[i]);
            fuzz_check(ctseg_block_may_match(&b, ctseg_kind_bit(ev.kind),
                                             ev.time_ms, ev.time_ms + 1));
        }

        fuzz_check(ctseg_event_decode(&rest, &ev) == CTSEG_NOTFOUND);
    }

    ctseg_block_builder_free(&bb);
}


/* the records of a body whose names are distinct, counted another way */

static void
check_count(ctseg_str_t body, const ctseg_upload_t *u)
{
    ctseg_json_t   *root;
    ctseg_arena_t  *a;

    a = ctseg_arena_create();
    fuzz_check(a != NULL);

    if (ctseg_json_parse(a, body, CTSEG_INTAKE_DEPTH_MAX, 100000, &root, NULL)
        == CTSEG_OK)
    {
        root = ctseg_json_get(root, "d");
        fuzz_check(root != NULL && root->type == CTSEG_JSON_ARRAY);
        fuzz_check(root->n == u->nevents + u->nfailed);
    }

    ctseg_arena_destroy(a);
}


static void
check_fail(const ctseg_err_t *err, ctseg_str_t body)
{
    ctseg_buf_t  out = { NULL, 0, 0, false };

    fuzz_check(err->offset <= body.len);
    fuzz_check(err->text[0] != '\0');

    ctseg_upload_render_fail(&out, 400, "Bad request", err->text);
    fuzz_check_json(&out);
    ctseg_buf_free(&out);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned        i, n;
    ctseg_rc_t      rc;
    ctseg_buf_t     one = { NULL, 0, 0, false };
    ctseg_buf_t     two = { NULL, 0, 0, false };
    ctseg_err_t     err;
    ctseg_str_t     body;
    ctseg_upload_t  u;

    body = fuzz_str(data, size);
    memset(&u, 0, sizeof(ctseg_upload_t));

    rc = ctseg_upload_parse(&u, body, NOW, &err);

    if (rc != CTSEG_OK) {
        fuzz_check(rc == CTSEG_INVALID || rc == CTSEG_TOOBIG);
        check_fail(&err, body);
        ctseg_upload_free(&u);
        return 0;
    }

    fuzz_check(fuzz_is_json(body, CTSEG_INTAKE_DEPTH_MAX));
    fuzz_check(u.nevents + u.nfailed <= CTSEG_UPLOAD_RECORDS_MAX);
    check_count(body, &u);

    ctseg_upload_render(&one, &u);
    fuzz_check_json(&one);

    for (i = 0; i < u.nevents; i++) {
        check_event(&u.events[i], body);

        if (u.events[i].kind == CTSEG_KIND_PROFILE) {
            check_profile(&u.events[i]);

        } else {
            check_message(&u.events[i], i + 1);
        }
    }

    check_block(&u);

    /* the same struct again: nothing is left of the first time */

    n = u.nevents;
    ctseg_upload_reset(&u);
    fuzz_check(ctseg_upload_parse(&u, body, NOW, &err) == CTSEG_OK);
    fuzz_check(u.nevents == n);
    ctseg_upload_render(&two, &u);
    fuzz_check(ctseg_str_eq(ctseg_buf_slice(&one), ctseg_buf_slice(&two)));

    ctseg_buf_free(&one);
    ctseg_buf_free(&two);
    ctseg_upload_free(&u);

    return 0;
}
