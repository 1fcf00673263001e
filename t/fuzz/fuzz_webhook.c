/*
 * The name of an event in the first line, the body of a webhook in the rest.
 * Each profile gets one verdict; every answer is JSON; each event has a name,
 * an id and properties that are a JSON object within the limits, in which no
 * shared name stands twice; its message is below Segment's limit.
 */

#include "clevertap/ctseg_webhook.h"
#include "segment/ctseg_message.h"
#include "fuzz.h"


#define NOW  1767225600000LL


static void
check_event(const ctseg_event_t *ev)
{
    unsigned         i;
    ctseg_buf_t      out = { NULL, 0, 0, false };
    ctseg_pinned_t   pinned;
    ctseg_reject_t   why;
    ctseg_encoder_t  enc;

    fuzz_check(ev->kind <= CTSEG_KIND_LAST);
    fuzz_check((ev->kind == CTSEG_KIND_CUSTOM) == (ev->name.len != 0));
    fuzz_check(ev->name.len <= CTSEG_NAME_LEN_MAX);
    fuzz_check(ev->time_ms >= 0 && ev->time_ms < 100000000000000LL);
    fuzz_check(ev->props.len <= CTSEG_PROPS_LEN_MAX);

    if (ev->props.len != 0) {
        fuzz_check(ev->props.data[0] == '{');
        fuzz_check(fuzz_is_json(ev->props, CTSEG_INTAKE_DEPTH_MAX));
    }

    memset(&pinned, 0, sizeof(ctseg_pinned_t));
    pinned.user_id.field = CTSEG_ID_IDENTITY;
    pinned.anonymous_id.field = CTSEG_ID_OBJECT;
    pinned.npriority = CTSEG_ID_N;
    memcpy(pinned.fingerprint, "0123456789abcdef", 17);

    for (i = 0; i < CTSEG_ID_N; i++) {
        fuzz_check(ev->id[i].len <= CTSEG_ID_LEN_MAX);
        pinned.priority[i] = (uint8_t) i;
    }

    ctseg_encoder_init(&enc, &pinned, "fedcba9876543210");
    if (ctseg_message_encode(&out, &enc, 1, ev, &why) != CTSEG_OK) {
        fuzz_check(why == CTSEG_REJECT_NO_NAME);        /* of tabs */
        ctseg_buf_free(&out);
        return;
    }

    fuzz_check(out.len < CTSEG_MESSAGE_MAX);
    fuzz_check_json(&out);
    ctseg_buf_free(&out);
}


/* bodies whose names are distinct, looked at in another way */

static void
check_tree(ctseg_str_t body, const ctseg_upload_t *u)
{
    unsigned        n;
    ctseg_json_t   *root, *list, *shared, *props, *v;
    ctseg_arena_t  *a;

    a = ctseg_arena_create();
    fuzz_check(a != NULL);

    if (ctseg_json_parse(a, body, CTSEG_INTAKE_DEPTH_MAX, 100000, &root, NULL)
        == CTSEG_OK)
    {
        list = ctseg_json_get(root, "profiles");
        shared = ctseg_json_get(root, "key_values");

        if (list != NULL) {
            fuzz_check((list->type == CTSEG_JSON_ARRAY ? list->n : 1)
                       == u->nevents + u->nfailed);
        }

        /* names that were distinct are so in what was put together */

        for (v = root->child, n = 0; v != NULL; v = v->next) {
            n += ctseg_intake_is(v->key, "key_values");
        }

        if (n == 1 && u->nevents == 1 && u->nfailed == 0 && list != NULL
            && shared != NULL && u->events[0].props.len != 0)
        {
            fuzz_check(ctseg_json_parse(a, u->events[0].props,
                                        CTSEG_INTAKE_DEPTH_MAX, 100000,
                                        &props, NULL) == CTSEG_OK);

            for (v = shared->child; v != NULL; v = v->next) {
                if (shared->type == CTSEG_JSON_OBJECT
                    && strlen(v->key.data) == v->key.len
                    && !ctseg_intake_is(v->key, "event"))
                {
                    fuzz_check(ctseg_json_get(props, v->key.data) != NULL);
                }
            }
        }
    }

    ctseg_arena_destroy(a);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned        i;
    ctseg_rc_t      rc;
    ctseg_buf_t     out = { NULL, 0, 0, false };
    ctseg_err_t     err;
    ctseg_str_t     body, name;
    ctseg_upload_t  u;

    body = fuzz_str(data, size);
    name = fuzz_line(&body);
    name.len = fuzz_utf8(name);         /* a configuration is UTF-8 */

    (void) ctseg_webhook_is(body);

    memset(&u, 0, sizeof(ctseg_upload_t));
    rc = ctseg_webhook_parse(&u, body, name, NOW, &err);

    if (rc != CTSEG_OK) {
        fuzz_check(rc == CTSEG_INVALID || rc == CTSEG_TOOBIG);
        fuzz_check(err.offset <= body.len && err.text[0] != '\0');
        ctseg_upload_free(&u);
        return 0;
    }

    fuzz_check(fuzz_is_json(body, CTSEG_INTAKE_DEPTH_MAX));
    fuzz_check(u.nevents + u.nfailed <= CTSEG_WEBHOOK_PROFILES_MAX);
    fuzz_check(u.own.len <= CTSEG_WEBHOOK_OWN_MAX + 65536);
    check_tree(body, &u);

    for (i = 0; i < u.nevents; i++) {
        check_event(&u.events[i]);
    }

    ctseg_upload_render(&out, &u);
    fuzz_check_json(&out);
    ctseg_buf_free(&out);
    ctseg_upload_free(&u);

    return 0;
}
