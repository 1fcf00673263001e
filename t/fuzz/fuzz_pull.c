/*
 * Choices in the first line (status, profiles, does it open a walk), the name
 * of the events in the second, the answer in the rest.  Events come of a page
 * only, which is JSON to the judge; each can be kept and sent, and so can its
 * profile; what it counts as is the same with its properties the other way
 * round, and another one a second later.  Read again it is the same.
 */

#include "clevertap/ctseg_pull.h"
#include "model/ctseg_content.h"
#include "segment/ctseg_message.h"
#include "fuzz.h"


typedef struct {
    ctseg_buf_t   out;
    bool          profiles;
    uint64_t      n;
    ctseg_hash_t  hash;
} seen_t;


static ctseg_zone_t  zone;


static void
check_event(ctseg_buf_t *kept, const ctseg_event_t *ev)
{
    size_t           at;
    unsigned         i, ids;
    ctseg_buf_t      out = { NULL, 0, 0, false };
    ctseg_str_t      rest;
    ctseg_event_t    again;
    ctseg_pinned_t   pinned;
    ctseg_reject_t   why;
    ctseg_encoder_t  enc;

    fuzz_check((ev->kind == CTSEG_KIND_CUSTOM) == (ev->name.len != 0));
    fuzz_check(ev->name.len <= CTSEG_NAME_LEN_MAX);
    fuzz_check(ev->time_ms >= 0);
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
    ids = 0;

    for (i = 0; i < CTSEG_ID_N; i++) {
        fuzz_check(ev->id[i].len <= CTSEG_ID_LEN_MAX);
        pinned.priority[i] = (uint8_t) i;
        ids += ev->id[i].len != 0;
    }

    fuzz_check(ids != 0);

    at = kept->len;
    ctseg_event_encode(kept, ev);
    fuzz_check(!kept->failed);
    rest = ctseg_buf_slice(kept);
    rest.data += at;
    rest.len -= at;
    fuzz_check(ctseg_event_decode(&rest, &again) == CTSEG_OK);
    fuzz_check(rest.len == 0 && ctseg_str_eq(again.props, ev->props));

    if (ev->kind <= CTSEG_KIND_LAST) {
        ctseg_encoder_init(&enc, &pinned, "fedcba9876543210");
        fuzz_check(ctseg_message_encode(&out, &enc, 1, ev, &why) == CTSEG_OK);
        fuzz_check(out.len < CTSEG_MESSAGE_MAX);
        fuzz_check_json(&out);
        ctseg_buf_free(&out);
    }
}


/* members of an object from the last to the first */

static void
reverse(ctseg_buf_t *out, ctseg_str_t object)
{
    int     level;
    bool    text;
    size_t  i, n, end, at[CTSEG_PROPS_N_MAX + 1];

    text = false;
    level = 0;
    n = 0;
    at[n++] = 1;

    for (i = 1; i + 1 < object.len; i++) {
        if (text && object.data[i] == '\\') {
            i++;
            continue;
        }

        if (text) {
            text = object.data[i] != '"';
            continue;
        }

        text = object.data[i] == '"';
        level += object.data[i] == '{' || object.data[i] == '[';
        level -= object.data[i] == '}' || object.data[i] == ']';

        if (level == 0 && object.data[i] == ',') {
            fuzz_check(n <= CTSEG_PROPS_N_MAX);
            at[n++] = i + 1;
        }
    }

    end = object.len - 1;
    ctseg_buf_char(out, '{');

    while (n-- != 0) {
        ctseg_buf_add(out, object.data + at[n], end - at[n]);
        ctseg_buf_char(out, n == 0 ? '}' : ',');
        end = at[n] - 1;
    }
}


/* of names that come twice the order counts */

static bool
has_any_order(ctseg_str_t props)
{
    bool            yes;
    ctseg_json_t   *root;
    ctseg_arena_t  *a;

    a = ctseg_arena_create();
    fuzz_check(a != NULL);
    yes = props.len != 0
          && ctseg_json_parse(a, props, 64, CTSEG_PROPS_LEN_MAX, &root, NULL)
             == CTSEG_OK;
    ctseg_arena_destroy(a);

    return yes;
}


static void
check_content(seen_t *seen, const ctseg_event_t *ev)
{
    unsigned         i, n;
    ctseg_buf_t      other = { NULL, 0, 0, false };
    ctseg_event_t    turned;
    ctseg_content_t  a, b, c;

    fuzz_check(ctseg_content(ev, &zone, &seen->hash, &a) == CTSEG_OK);

    turned = *ev;
    turned.time_ms += 1000;
    fuzz_check(ctseg_content(&turned, &zone, &seen->hash, &c) == CTSEG_OK);
    turned.time_ms = ev->time_ms / 1000 * 1000;

    if (has_any_order(ev->props)) {
        reverse(&other, ev->props);
        turned.props = ctseg_buf_slice(&other);
        fuzz_check(fuzz_is_json(turned.props, CTSEG_INTAKE_DEPTH_MAX));
    }

    fuzz_check(ctseg_content(&turned, &zone, &seen->hash, &b) == CTSEG_OK);
    fuzz_check(memcmp(&a, &b, sizeof(a)) == 0);
    n = 0;

    for (i = 0; i < CTSEG_ID_N; i++) {
        fuzz_check((a.ids[i] != 0) == (ev->id[i].len != 0));
        fuzz_check(a.ids[i] == 0 || a.ids[i] != c.ids[i]);
        n += a.ids[i] != 0;
    }

    fuzz_check(a.nids == n && a.identity == c.identity);
    fuzz_check((a.identity != 0) == (ev->id[CTSEG_ID_IDENTITY].len != 0));
    ctseg_buf_free(&other);
}


static bool
on_record(void *data, const ctseg_event_t *ev, const ctseg_event_t *profile)
{
    seen_t    *seen = data;
    unsigned   i;

    seen->n++;
    fuzz_check(ev->kind <= CTSEG_KIND_LAST);
    check_event(&seen->out, ev);
    check_content(seen, ev);

    if (profile != NULL) {
        fuzz_check(seen->profiles);
        fuzz_check(profile->kind == CTSEG_KIND_PROFILE);
        fuzz_check(profile->time_ms == 0 && profile->name.len == 0);
        fuzz_check(profile->props.len > 2);

        for (i = 0; i < CTSEG_ID_N; i++) {
            fuzz_check(ctseg_str_eq(profile->id[i], ev->id[i]));
        }

        fuzz_check(fuzz_is_json(profile->props, CTSEG_INTAKE_DEPTH_MAX));
        fuzz_check(profile->props.len <= CTSEG_PROPS_LEN_MAX);
        ctseg_event_encode(&seen->out, profile);
    }

    return true;
}


static void
check_answer(const ctseg_pull_t *p, const seen_t *seen, int status,
    ctseg_str_t body)
{
    ctseg_buf_t  list = { NULL, 0, 0, false };

    fuzz_check(p->rc <= CTSEG_PULL_WRONG);
    fuzz_check((p->text[0] == '\0') == (p->rc <= CTSEG_PULL_OPENED));
    fuzz_check(fuzz_utf8(ctseg_str(p->text)) == strlen(p->text));
    fuzz_check(p->cursor.len <= CTSEG_PULL_CURSOR_MAX);
    fuzz_check(seen->n == p->good);
    fuzz_check(p->good + p->failed <= CTSEG_PULL_BATCH);
    fuzz_check(p->told <= CTSEG_PULL_ERRORS_MAX);
    fuzz_check(p->told >= (p->failed < CTSEG_PULL_ERRORS_MAX
                           ? p->failed : CTSEG_PULL_ERRORS_MAX));

    if (p->rc <= CTSEG_PULL_OPENED) {
        fuzz_check(status >= 200 && status <= 299);
        fuzz_check(fuzz_is_json(body, 2000));

    } else {
        fuzz_check(p->cursor.len == 0);
    }

    fuzz_check(p->rc != CTSEG_PULL_OPENED || p->cursor.len != 0);
    fuzz_check(p->rc == CTSEG_PULL_PAGE || p->good + p->failed == 0);

    ctseg_buf_char(&list, '[');
    ctseg_buf_str(&list, ctseg_buf_slice(&p->unprocessed));
    ctseg_buf_char(&list, ']');
    fuzz_check_json(&list);
    ctseg_buf_free(&list);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int           status;
    seen_t        first, again;
    ctseg_buf_t   quoted = { NULL, 0, 0, false };
    ctseg_str_t   body, how, name;
    ctseg_pull_t  p;

    static const int  statuses[] = { 200, 200, 204, 301, 400, 403, 429, 503 };

    body = fuzz_str(data, size);
    how = fuzz_line(&body);
    name = fuzz_line(&body);

    ctseg_buf_char(&quoted, '"');
    ctseg_buf_str(&quoted, name);
    ctseg_buf_char(&quoted, '"');
    name.len *= fuzz_is_json(ctseg_buf_slice(&quoted), 1);
    ctseg_buf_free(&quoted);

    ctseg_zone_fixed(&zone, "UTC", 0);
    memset(&p, 0, sizeof(p));
    memset(&first, 0, sizeof(first));
    memset(&again, 0, sizeof(again));

    status = statuses[fuzz_choice(how, 0, 8)];
    first.profiles = again.profiles = fuzz_choice(how, 1, 2) == 1;
    p.zone = &zone;
    p.name = name;
    p.opens = fuzz_choice(how, 2, 2) == 1;

    fuzz_check(ctseg_pull_read(&p, status, body, first.profiles, on_record,
                               &first) == CTSEG_OK);
    check_answer(&p, &first, status, body);

    fuzz_check(ctseg_pull_read(&p, status, body, first.profiles, on_record,
                               &again) == CTSEG_OK);
    check_answer(&p, &again, status, body);
    fuzz_check(ctseg_str_eq(ctseg_buf_slice(&first.out),
                            ctseg_buf_slice(&again.out)));

    ctseg_buf_free(&first.out);
    ctseg_buf_free(&again.out);
    ctseg_hash_free(&first.hash);
    ctseg_hash_free(&again.hash);
    ctseg_pull_free(&p);

    return 0;
}
