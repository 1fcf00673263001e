/*
 * The body of POST /imports.  What is refused says why; what is accepted
 * keeps its bounds, comes back from a record as it was, and what the API
 * shows of it is the body of the same import.  A line whose characters choose
 * zone, time and how many accounts there are, then the body.
 */

#include "model/ctseg_import.h"
#include "store/ctseg_state_import.h"
#include "fuzz.h"
#include "fuzz_store.h"


#define ID  "0193b4c5d6e7f8091a2b"

#define count(a)  (sizeof(a) / sizeof(a[0]))


static const int32_t  offsets[] = { 0, 3600, -18000, 20700, 50400, -43200 };

static const int64_t  times[] = {
    1767225600000LL,                    /* 2026-01-01T00:00:00Z */
    1709164800000LL,                    /* 2024-02-29 */
    1798761599999LL,                    /* 2026-12-31T23:59:59.999Z */
    4107542400000LL                     /* 2100-03-01, no leap year */
};

static const ctseg_str_t  accounts[] = {
    ctseg_string("ONE"), ctseg_string("TWO\"2")
};


static bool
apply(ctseg_import_t *im, ctseg_str_t text, const ctseg_import_env_t *env)
{
    bool              ok;
    ctseg_json_t     *body;
    ctseg_arena_t    *a;
    ctseg_problems_t  problems = { .n = 0 };

    a = ctseg_arena_create();
    fuzz_check(a != NULL);

    body = NULL;
    (void) ctseg_json_parse(a, text, 8, 500, &body, NULL);

    memset(im, 0, sizeof(ctseg_import_t));
    ok = ctseg_import_parse(im, body, env, &problems);

    fuzz_check_problems(&problems);
    fuzz_check(ok == (problems.n == 0));

    ctseg_arena_destroy(a);

    return ok;
}


static int64_t
day(const ctseg_civil_t *c)
{
    return ctseg_days_from_civil(c->year, c->month, c->day);
}


static void
check_bounds(const ctseg_import_t *im, const ctseg_import_env_t *env)
{
    size_t         sum;
    unsigned       i, j;
    ctseg_str_t    name;
    ctseg_civil_t  today;

    fuzz_check(im->status == CTSEG_PENDING && im->revision == 1);
    fuzz_check(im->nnames >= 1 && im->nnames <= CTSEG_IMPORT_NAMES_MAX);
    fuzz_check(im->names.len <= CTSEG_IMPORT_NAMES_BYTES);

    sum = 0;

    for (i = 0; i < im->nnames; i++) {
        name = ctseg_import_name(im, i);
        fuzz_check(name.len != 0);
        sum += name.len + 1;

        for (j = 0; j < i; j++) {
            fuzz_check(!ctseg_str_eq(name, ctseg_import_name(im, j)));
        }
    }

    fuzz_check(sum == im->names.len);
    fuzz_check(ctseg_import_name(im, i).len == 0);

    env->zone->to_civil(env->zone, env->now_ms, &today);
    fuzz_check(day(&im->from) <= day(&im->to));
    fuzz_check(day(&im->to) <= day(&today));
    fuzz_check(day(&im->to) - day(&im->from) < CTSEG_IMPORT_DAYS_MAX);
    fuzz_check(ctseg_import_percent(im) == 0);

    for (i = 0; i < env->naccounts; i++) {
        if (ctseg_str_is(env->accounts[i], im->account)) {
            return;
        }
    }

    fuzz_check(false);
}


static bool
same_buf(const ctseg_buf_t *a, const ctseg_buf_t *b)
{
    return ctseg_str_eq(ctseg_buf_slice(a), ctseg_buf_slice(b));
}


static bool
same(const ctseg_import_t *a, const ctseg_import_t *b)
{
    return same_buf(&a->names, &b->names) && a->nnames == b->nnames
           && same_buf(&a->cursor, &b->cursor)
           && same_buf(&a->errors, &b->errors)
           && strcmp(a->account, b->account) == 0
           && day(&a->from) == day(&b->from) && day(&a->to) == day(&b->to)
           && a->profiles == b->profiles && a->status == b->status
           && a->revision == b->revision && a->seq == b->seq
           && a->created_ms == b->created_ms;
}


static void
check_stored(const ctseg_import_t *im)
{
    ctseg_rc_t       rc;
    fuzz_store_t     fs;
    ctseg_import_t   one, two;
    ctseg_store_t   *s;

    s = fuzz_store_make(&fs);

    /* a put needs something to replace */

    memcpy(fs.key[0], "import/" ID, sizeof("import/" ID));
    fs.rev[0] = 1;
    fs.revision = 1;

    one = *im;
    one.rev = 1;
    memcpy(one.id, ID, sizeof(ID));
    fuzz_check(ctseg_import_put(s, &one, NULL) == CTSEG_OK);

    memset(&two, 0, sizeof(ctseg_import_t));
    rc = ctseg_import_get(s, ctseg_str(ID), &two, NULL);
    fuzz_check(rc == CTSEG_OK && same(&one, &two));
    ctseg_import_free(&two);

    fuzz_store_free(&fs);
}


/* the members that a body has, out of what the API shows */

static void
check_again(const ctseg_import_t *im, const ctseg_import_env_t *env)
{
    size_t               i;
    ctseg_buf_t          out = { NULL, 0, 0, false };
    ctseg_buf_t          body = { NULL, 0, 0, false };
    ctseg_json_t        *shown;
    ctseg_arena_t       *a;
    ctseg_import_t       again;
    ctseg_json_writer_t  w = { .buf = &out, .comma = false };
    const ctseg_json_t  *v;

    static const char *const  names[] = {
        "events", "from", "to", "account_id", "profiles"
    };

    ctseg_import_render(&w, NULL, im);
    fuzz_check_json(&out);

    a = ctseg_arena_create();
    fuzz_check(a != NULL);
    fuzz_check(ctseg_json_parse(a, ctseg_buf_slice(&out), 8, 500, &shown,
                                NULL) == CTSEG_OK);

    w.buf = &body;
    w.comma = false;
    ctseg_jw_open(&w, NULL, '{');

    for (i = 0; i < count(names); i++) {
        v = ctseg_json_get(shown, names[i]);
        fuzz_check(v != NULL);
        ctseg_jw_raw(&w, names[i], v->raw);
    }

    ctseg_jw_close(&w, '}');
    fuzz_check_json(&body);

    fuzz_check(apply(&again, ctseg_buf_slice(&body), env));
    fuzz_check(same(im, &again));

    ctseg_import_free(&again);
    ctseg_arena_destroy(a);
    ctseg_buf_free(&body);
    ctseg_buf_free(&out);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ctseg_str_t         in, line;
    ctseg_zone_t        zone;
    ctseg_import_t      im;
    ctseg_import_env_t  env;

    in = fuzz_str(data, size);
    line = fuzz_line(&in);

    ctseg_zone_fixed(&zone, "Test/Zone",
                     offsets[fuzz_choice(line, 0, count(offsets))]);
    env.zone = &zone;
    env.now_ms = times[fuzz_choice(line, 1, count(times))];
    env.accounts = accounts;
    env.naccounts = 1 + fuzz_choice(line, 2, 2);

    if (apply(&im, in, &env)) {
        check_bounds(&im, &env);
        check_stored(&im);
        check_again(&im, &env);
    }

    ctseg_import_free(&im);

    return 0;
}
