/*
 * The bodies of POST and PATCH for exports.  What is refused changes nothing
 * and says why, by a field or by a rule and never by both; what is accepted
 * keeps the rules of its kind, comes back from a record as it was, and
 * written out by the API and read again is the same export.  A line whose
 * characters choose zone, time and state, then two bodies with a line "---"
 * between them.
 */

#include "model/ctseg_run.h"
#include "fuzz.h"
#include "fuzz_store.h"


#define ID  "0193b4c5d6e7f8091a2b"


static const int32_t  offsets[] = { 0, 3600, -18000, 20700, 50400, -43200 };

static const int64_t  times[] = {
    1767225600000LL,                    /* 2026-01-01T00:00:00Z */
    1772953199999LL,                    /* 2026-03-08, before a change */
    1709164800000LL,                    /* 2024-02-29 */
    1798761599999LL,                    /* 2026-12-31T23:59:59.999Z */
    2147483648000LL,                    /* 2038-01-19, behind 2^31 s */
    4107542400000LL                     /* 2100-03-01, no leap year */
};

#define count(a)  (sizeof(a) / sizeof(a[0]))


static bool
apply(ctseg_export_t *e, ctseg_str_t text, const ctseg_export_env_t *env,
    bool patch)
{
    bool              ok;
    const char       *rule;
    ctseg_json_t     *body;
    ctseg_arena_t    *a;
    ctseg_export_t    before;
    ctseg_problems_t  problems = { .n = 0 };

    a = ctseg_arena_create();
    fuzz_check(a != NULL);

    body = NULL;
    (void) ctseg_json_parse(a, text, 8, 500, &body, NULL);

    before = *e;
    rule = NULL;
    ok = patch ? ctseg_export_patch(e, body, env, &problems, &rule)
               : ctseg_export_parse(e, body, env, &problems);

    fuzz_check_problems(&problems);
    fuzz_check(ok == (problems.n == 0 && rule == NULL));
    fuzz_check(problems.n == 0 || rule == NULL);

    if (patch && !ok) {
        fuzz_check(memcmp(e, &before, sizeof(ctseg_export_t)) == 0);
        fuzz_check(rule != NULL
                   || ctseg_export_rule(e->freq, e->status, CTSEG_ON_EDIT)
                      == NULL);
    }

    ctseg_arena_destroy(a);

    return ok;
}


static int64_t
day_number(const char *day)
{
    ctseg_civil_t  c;

    fuzz_check(ctseg_date_parse(ctseg_str(day), &c));

    return ctseg_days_from_civil(c.year, c.month, c.day);
}


/* how many days a named range has, and where it ends */

static void
check_range(const ctseg_export_t *e, int64_t today)
{
    int64_t  from, to;

    from = day_number(e->from);
    to = day_number(e->to);

    if (strcmp(e->range, "today") == 0) {
        fuzz_check(from == today && to == today);

    } else if (strcmp(e->range, "yesterday") == 0) {
        fuzz_check(from == today - 1 && to == today - 1);

    } else if (strcmp(e->range, "last_7_days") == 0) {
        fuzz_check(from == today - 6 && to == today);

    } else if (strcmp(e->range, "last_30_days") == 0) {
        fuzz_check(from == today - 29 && to == today);

    } else if (strcmp(e->range, "current_month") == 0) {
        fuzz_check(strcmp(e->from + 8, "01") == 0 && to == today);
        fuzz_check(strncmp(e->from, e->to, 8) == 0);

    } else {
        fuzz_check(strcmp(e->range, "previous_month") == 0);
        fuzz_check(to >= today - 31 && to < today);
        fuzz_check(strncmp(e->from, e->to, 8) == 0);
    }
}


static void
check_days(const ctseg_export_t *e, const ctseg_export_env_t *env)
{
    int64_t        today;
    ctseg_civil_t  c;

    env->zone->to_civil(env->zone, env->now_ms, &c);
    today = ctseg_days_from_civil(c.year, c.month, c.day);

    switch (e->freq) {

    case CTSEG_FREQ_ONE_TIME:
        fuzz_check(e->from_ms < e->to_ms);
        fuzz_check((e->to_ms - e->from_ms) % CTSEG_DAY_MS == 0);
        fuzz_check(day_number(e->from) >= today - CTSEG_LOOKBACK_DAYS);
        fuzz_check(day_number(e->from) <= day_number(e->to));
        fuzz_check(day_number(e->to) <= today);

        if (e->range[0] != '\0') {
            check_range(e, today);
        }

        break;

    case CTSEG_FREQ_RECURRING:
        fuzz_check(e->every_hours >= 4 && e->every_hours <= 24);
        fuzz_check(e->type != CTSEG_TYPE_PROFILE || e->every_hours == 24);
        fuzz_check(day_number(e->start_date) >= today - CTSEG_LOOKBACK_DAYS);
        fuzz_check(day_number(e->start_date) <= today + 366);
        break;

    case CTSEG_FREQ_LIVE:
        break;
    }
}


static void
check_rules(const ctseg_export_t *e, const ctseg_export_env_t *env)
{
    unsigned  i, seen;

    fuzz_check(e->type == CTSEG_TYPE_EVENT || e->type == CTSEG_TYPE_PROFILE);
    fuzz_check((e->type == CTSEG_TYPE_EVENT) == (e->kinds != 0));
    fuzz_check((e->type == CTSEG_TYPE_EVENT) == (e->set != 0));
    fuzz_check(e->set != CTSEG_SET_ALL || env->custom_events);
    fuzz_check(e->set == CTSEG_SET_ALL
               || (e->kinds & ctseg_kind_bit(CTSEG_KIND_CUSTOM)) == 0);
    fuzz_check(e->partner_id[0] != '\0');
    fuzz_check(e->npriority >= 1 && e->npriority <= CTSEG_PRIORITY_MAX);

    for (i = 0, seen = 0; i < e->npriority; i++) {
        fuzz_check(e->priority[i] < CTSEG_ID_N);
        fuzz_check((seen >> e->priority[i] & 1) == 0);
        seen |= 1u << e->priority[i];
    }

    fuzz_check(e->mapping.names <= CTSEG_NAMES_CANONICAL);
    fuzz_check(e->mapping.future <= CTSEG_FUTURE_REJECT);
    fuzz_check(e->type != CTSEG_TYPE_PROFILE
               || (!e->mapping.context
                   && e->mapping.names == CTSEG_NAMES_ORIGINAL));
    fuzz_check(strlen(e->mapping.integrations) <= CTSEG_INTEGRATIONS_MAX);

    check_days(e, env);
}


static void
copy(ctseg_json_writer_t *w, const char *name, const ctseg_json_t *from)
{
    const ctseg_json_t  *v;

    v = ctseg_json_get(from, name);

    if (v != NULL) {
        ctseg_jw_raw(w, name, v->raw);
    }
}


/* the definition out of what the API shows; a range stands for its days */

static void
write_body(ctseg_buf_t *out, const ctseg_json_t *shown)
{
    const ctseg_json_t   *freq;
    ctseg_json_writer_t   w = { .buf = out, .comma = false };

    freq = ctseg_json_get(shown, "frequency");
    fuzz_check(freq != NULL);

    ctseg_jw_open(&w, NULL, '{');
    copy(&w, "partner_id", shown);
    copy(&w, "type", shown);
    copy(&w, "format", shown);
    copy(&w, "events", shown);
    copy(&w, "identifier_priority", shown);
    copy(&w, "mapping", shown);

    if (ctseg_json_get(freq, "range") == NULL) {
        copy(&w, "frequency", shown);

    } else {
        ctseg_jw_open(&w, "frequency", '{');
        copy(&w, "kind", freq);
        copy(&w, "range", freq);
        ctseg_jw_close(&w, '}');
    }

    ctseg_jw_close(&w, '}');
    fuzz_check_json(out);
}


static void
show(ctseg_buf_t *body, const ctseg_export_t *e, int64_t now_ms)
{
    ctseg_buf_t          out = { NULL, 0, 0, false };
    ctseg_json_t        *shown;
    ctseg_arena_t       *a;
    ctseg_limits_t       limits = { 0, 0 };
    ctseg_json_writer_t  w = { .buf = &out, .comma = false };

    ctseg_export_render(&w, NULL, e, NULL, &limits, now_ms);
    fuzz_check_json(&out);

    a = ctseg_arena_create();
    fuzz_check(a != NULL);
    fuzz_check(ctseg_json_parse(a, ctseg_buf_slice(&out), 8, 500, &shown,
                                NULL) == CTSEG_OK);
    write_body(body, shown);

    ctseg_arena_destroy(a);
    ctseg_buf_free(&out);
}


static void
check_again(const ctseg_export_t *e, const ctseg_export_env_t *env)
{
    ctseg_buf_t     body = { NULL, 0, 0, false };
    ctseg_export_t  again;

    show(&body, e, env->now_ms);

    memset(&again, 0, sizeof(ctseg_export_t));
    fuzz_check(apply(&again, ctseg_buf_slice(&body), env, false));
    memcpy(again.id, e->id, sizeof(again.id));
    fuzz_check(memcmp(&again, e, sizeof(ctseg_export_t)) == 0);

    ctseg_buf_free(&body);
}


static void
check_stored(const ctseg_export_t *e)
{
    fuzz_store_t     fs;
    ctseg_export_t   one, two;
    ctseg_store_t   *s;

    s = fuzz_store_make(&fs);

    /* a put needs something to replace */

    memcpy(fs.key[0], "export/" ID, sizeof("export/" ID));
    fs.rev[0] = 1;
    fs.revision = 1;

    one = *e;
    one.rev = 1;
    fuzz_check(ctseg_export_put(s, &one, NULL) == CTSEG_OK);
    fuzz_check(ctseg_export_get(s, ctseg_str(ID), &two, NULL) == CTSEG_OK);
    fuzz_check(two.rev == one.rev);
    fuzz_check(memcmp(&one, &two, sizeof(ctseg_export_t)) == 0);

    fuzz_store_free(&fs);
}


/* what an edit may not touch, and what its own text asks for */

static void
check_patch(ctseg_export_t *e, ctseg_str_t text,
    const ctseg_export_env_t *env)
{
    bool            ok;
    ctseg_buf_t     body = { NULL, 0, 0, false };
    ctseg_export_t  before;

    before = *e;
    ok = apply(e, text, env, true);

    fuzz_check(!ok || e->revision == before.revision + 1);
    fuzz_check(e->type == before.type && e->freq == before.freq);
    fuzz_check(e->status == before.status && e->cut == before.cut);
    fuzz_check(e->runs == before.runs && e->created_ms == before.created_ms);
    fuzz_check(strcmp(e->exported_on, before.exported_on) == 0);
    fuzz_check(e->stop_reason == before.stop_reason);

    if (ok) {
        check_rules(e, env);
        check_stored(e);

        /* the definition as it is shown is an edit that changes no rule */

        before = *e;
        show(&body, e, env->now_ms);
        fuzz_check(apply(e, ctseg_buf_slice(&body), env, true));
        fuzz_check(e->kinds == before.kinds && e->set == before.set);
        fuzz_check(memcmp(e->priority, before.priority, before.npriority)
                   == 0);
        fuzz_check(e->every_hours == before.every_hours);
        fuzz_check(e->start_ms == before.start_ms);
        ctseg_buf_free(&body);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ctseg_str_t         in, line, first;
    ctseg_zone_t        zone;
    ctseg_export_t      e;
    ctseg_export_env_t  env;

    in = fuzz_str(data, size);
    line = fuzz_line(&in);
    first = fuzz_part(&in);

    ctseg_zone_fixed(&zone, "Test/Zone",
                     offsets[fuzz_choice(line, 0, count(offsets))]);
    env.zone = &zone;
    env.now_ms = times[fuzz_choice(line, 1, count(times))];
    env.custom_events = fuzz_choice(line, 2, 2) == 1;

    memset(&e, 0, sizeof(ctseg_export_t));
    memcpy(e.id, ID, sizeof(ID));

    if (!apply(&e, first, &env, false)) {
        return 0;
    }

    fuzz_check(e.status == CTSEG_PENDING && e.revision == 1);
    fuzz_check(e.next_run_ms >= env.now_ms);
    check_rules(&e, &env);
    check_stored(&e);
    check_again(&e, &env);

    e.status = (ctseg_status_t) (1 + fuzz_choice(line, 3, 4));
    check_patch(&e, in, &env);

    return 0;
}
