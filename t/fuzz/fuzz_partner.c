/*
 * The bodies of POST and PATCH for partners.  What is refused changes
 * nothing and says why; what is accepted is written into the same partner
 * again from its own fields; the answer of the API shows of a write key its
 * end alone.  Two bodies, with a line "---" between them.
 */

#include "model/ctseg_partner.h"
#include "fuzz.h"


static bool
apply(ctseg_partner_t *p, ctseg_str_t text, bool patch)
{
    bool              ok;
    ctseg_json_t     *body;
    ctseg_arena_t    *a;
    ctseg_partner_t   before;
    ctseg_problems_t  problems = { .n = 0 };

    a = ctseg_arena_create();
    fuzz_check(a != NULL);

    body = NULL;
    (void) ctseg_json_parse(a, text, 8, 500, &body, NULL);

    before = *p;
    ok = ctseg_partner_parse(p, body, patch, &problems);

    fuzz_check(ok == (problems.n == 0));
    fuzz_check_problems(&problems);

    if (!ok) {
        fuzz_check(memcmp(p, &before, sizeof(ctseg_partner_t)) == 0);
    }

    ctseg_arena_destroy(a);

    return ok;
}


static void
check_fields(const ctseg_partner_t *p)
{
    size_t  i, n;

    n = strlen(p->write_key);
    fuzz_check(n >= 1 && n <= CTSEG_WRITE_KEY_MAX);

    for (i = 0; i < n; i++) {
        fuzz_check(p->write_key[i] > ' ' && p->write_key[i] < 0x7f);
        fuzz_check(p->write_key[i] != ':');
    }

    n = ctseg_utf8_len(ctseg_str(p->nickname));
    fuzz_check(n >= 1 && n <= CTSEG_NICKNAME_MAX);
    fuzz_check(fuzz_utf8(ctseg_str(p->nickname)) == strlen(p->nickname));
    fuzz_check((unsigned) p->region < CTSEG_REGION_N);
    fuzz_check(p->user_id.field >= -1 && p->user_id.field < CTSEG_ID_N);
    fuzz_check(p->anonymous_id.field >= -1);
    fuzz_check(p->anonymous_id.field < CTSEG_ID_N);
    fuzz_check((p->user_id.field == -1) == (p->user_id.property[0] != '\0'));
}


static void
render(ctseg_buf_t *out, const ctseg_partner_t *p)
{
    ctseg_json_writer_t  w = { .buf = out, .comma = false };

    ctseg_partner_render(&w, p, NULL);
    fuzz_check_json(out);
}


/* another key with the same end looks the same */

static void
check_secret(const ctseg_partner_t *p)
{
    size_t           n;
    ctseg_buf_t      one = { NULL, 0, 0, false };
    ctseg_buf_t      two = { NULL, 0, 0, false };
    ctseg_partner_t  other;

    other = *p;
    n = strlen(p->write_key);
    n -= n < 8 ? n / 4 : 4;
    memset(other.write_key, '~', n);

    render(&one, p);
    render(&two, &other);
    fuzz_check(ctseg_str_eq(ctseg_buf_slice(&one), ctseg_buf_slice(&two)));

    ctseg_buf_free(&one);
    ctseg_buf_free(&two);
}


static void
write_source(ctseg_json_writer_t *w, const char *name,
    const ctseg_source_t *src)
{
    ctseg_buf_t     text = { NULL, 0, 0, false };
    ctseg_source_t  again;

    ctseg_source_render(&text, src);
    fuzz_check(ctseg_source_parse(ctseg_buf_slice(&text), &again));
    fuzz_check(again.field == src->field);
    fuzz_check(strcmp(again.property, src->property) == 0);

    ctseg_jw_str(w, name, ctseg_buf_slice(&text));
    ctseg_buf_free(&text);
}


static void
check_again(const ctseg_partner_t *p, bool patch)
{
    ctseg_buf_t          body = { NULL, 0, 0, false };
    ctseg_partner_t      again;
    ctseg_json_writer_t  w = { .buf = &body, .comma = false };

    ctseg_jw_open(&w, NULL, '{');
    ctseg_jw_cstr(&w, "nickname", p->nickname);
    ctseg_jw_cstr(&w, "write_key", p->write_key);
    ctseg_jw_cstr(&w, "region", ctseg_region_name(p->region));
    write_source(&w, "user_id", &p->user_id);
    write_source(&w, "anonymous_id", &p->anonymous_id);
    ctseg_jw_close(&w, '}');

    memset(&again, patch ? '?' : 0, sizeof(ctseg_partner_t));
    fuzz_check(apply(&again, ctseg_buf_slice(&body), patch));
    fuzz_check(strcmp(again.nickname, p->nickname) == 0);
    fuzz_check(strcmp(again.write_key, p->write_key) == 0);
    fuzz_check(again.region == p->region);
    fuzz_check(memcmp(&again.user_id, &p->user_id, sizeof(ctseg_source_t))
               == 0);
    fuzz_check(memcmp(&again.anonymous_id, &p->anonymous_id,
                      sizeof(ctseg_source_t)) == 0);

    ctseg_buf_free(&body);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char             one[17], two[17];
    ctseg_str_t      in, first;
    ctseg_partner_t  p, before;

    in = fuzz_str(data, size);
    first = fuzz_part(&in);

    memset(&p, 0, sizeof(ctseg_partner_t));
    memcpy(p.id, "0123456789abcdef0123", 21);

    if (!apply(&p, first, false)) {
        return 0;
    }

    check_fields(&p);
    check_secret(&p);
    check_again(&p, false);

    before = p;

    if (apply(&p, in, true)) {
        check_fields(&p);
        check_secret(&p);
        check_again(&p, true);

        ctseg_write_key_fingerprint(one, p.write_key);
        ctseg_write_key_fingerprint(two, before.write_key);
        fuzz_check(strlen(one) == 16);
        fuzz_check((strcmp(one, two) == 0)
                   == (strcmp(p.write_key, before.write_key) == 0));
    }

    /* the empty patch is no change */

    before = p;
    fuzz_check(apply(&p, ctseg_str("{}"), true));
    fuzz_check(memcmp(&p, &before, sizeof(ctseg_partner_t)) == 0);

    return 0;
}
