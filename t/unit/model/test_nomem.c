/*
 * Memory that lacks in a call of the API: a body is parsed, becomes a partner,
 * an export or an import, is edited and shown.  Then where events are compared
 * by their content.  See nomem_test.h.
 * link: -Wl,--wrap=EVP_MD_CTX_new
 */

#include "nomem_test.h"
#include "nomem_hash.h"

#include <string.h>

#include "base/ctseg_str.h"
#include "model/ctseg_content.h"
#include "model/ctseg_import.h"
#include "model/ctseg_run.h"


#define NOW  1767323045678LL            /* 2026-01-02T03:04:05.678Z */


/* parsed in an arena of its own, of which nothing is kept */

static ctseg_rc_t
parse(const char *text, ctseg_rc_t (*use)(void *data,
    const ctseg_json_t *root), void *data)
{
    ctseg_rc_t      rc;
    ctseg_err_t     err;
    ctseg_json_t   *root;
    ctseg_arena_t  *a;

    a = ctseg_arena_create();

    if (a == NULL) {
        return CTSEG_NOMEM;
    }

    rc = ctseg_json_parse(a, ctseg_str(text), 8, 100, &root, &err);

    if (rc == CTSEG_OK) {
        rc = use(data, root);
    }

    ctseg_arena_destroy(a);

    return rc;
}


static ctseg_rc_t
use_partner(void *data, const ctseg_json_t *root)
{
    ctseg_partner_t   *p = data;
    ctseg_problems_t   problems;

    memset(&problems, 0, sizeof(problems));
    (void) ctseg_partner_parse(p, root, p->revision != 0, &problems);
    assert_int_equal(problems.n, 0);
    p->revision++;

    return CTSEG_OK;
}


static ctseg_rc_t
partner(ctseg_buf_t *out)
{
    ctseg_rc_t           rc;
    ctseg_health_t       health = { "ok", NULL, 0, 0 };
    ctseg_partner_t      p;
    ctseg_json_writer_t  w;

    static const char  create[] =
        "{\"nickname\":\"Caf\\u00e9 \\\"one\\\"\",\"write_key\":\"abc\","
        "\"region\":\"eu\"}";
    static const char  edit[] = "{\"nickname\":\"other\"}";

    memset(&p, 0, sizeof(p));
    rc = parse(create, use_partner, &p);

    if (rc == CTSEG_OK) {
        rc = parse(edit, use_partner, &p);
    }

    if (rc == CTSEG_OK) {
        w.buf = out;
        w.comma = false;
        ctseg_partner_render(&w, &p, &health);
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    return rc;
}


static ctseg_rc_t
use_export(void *data, const ctseg_json_t *root)
{
    const char          *rule;
    ctseg_zone_t         zone;
    ctseg_export_t      *e = data;
    ctseg_problems_t     problems;
    ctseg_export_env_t   env;

    memset(&problems, 0, sizeof(problems));
    memset(&env, 0, sizeof(env));
    ctseg_zone_fixed(&zone, "UTC", 0);
    env.now_ms = NOW;
    env.zone = &zone;
    env.custom_events = true;

    if (e->revision == 0) {
        (void) ctseg_export_parse(e, root, &env, &problems);

    } else {
        assert_true(ctseg_export_patch(e, root, &env, &problems, &rule));
    }

    assert_int_equal(problems.n, 0);

    return CTSEG_OK;
}


static ctseg_rc_t
export(ctseg_buf_t *out)
{
    unsigned             i;
    ctseg_rc_t           rc;
    ctseg_run_t          run;
    ctseg_export_t       e;
    ctseg_limits_t       limits = { 100, 1000 };
    ctseg_partner_t      p;
    ctseg_json_writer_t  w;

    static const char  create[] =
        "{\"partner_id\":\"01a208be53713cd88867\",\"type\":\"event\","
        "\"events\":{\"set\":\"selected\",\"names\":[\"App Launched\","
        "\"UTM Visited\"]},\"frequency\":{\"kind\":\"recurring\","
        "\"every_hours\":4}}";
    static const char  edit[] =
        "{\"identifier_priority\":[\"email\",\"phone\"],"
        "\"mapping\":{\"context\":true,\"integrations\":{\"All\":true}},"
        "\"frequency\":{\"kind\":\"recurring\",\"every_hours\":6}}";

    memset(&e, 0, sizeof(e));
    memset(&p, 0, sizeof(p));
    memset(&run, 0, sizeof(run));
    rc = parse(create, use_export, &e);

    if (rc == CTSEG_OK) {
        rc = parse(edit, use_export, &e);
    }

    if (rc == CTSEG_OK) {
        ctseg_run_pin(&run, &e, &p);
        run.status = CTSEG_RUN_RUNNING;
        run.freq = e.freq;
        run.hi = 100;

        w.buf = out;
        w.comma = false;
        ctseg_catalog_render(out);

        for (i = 0; i < 20; i++) {
            ctseg_export_render(&w, NULL, &e, &run, &limits, NOW);
            ctseg_run_render(&w, NULL, &run);
        }

        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    return rc;
}


static ctseg_rc_t
content(ctseg_buf_t *out)
{
    char             props[6000];
    unsigned         i;
    ctseg_rc_t       rc;
    ctseg_hash_t     h = { NULL };
    ctseg_zone_t     zone;
    ctseg_event_t    ev;
    ctseg_content_t  c;

    ctseg_zone_fixed(&zone, "UTC", 0);
    memset(&ev, 0, sizeof(ev));
    ev.name = ctseg_str("My \\u0045vent");
    ev.id[CTSEG_ID_IDENTITY] = ctseg_str("u\\/1");
    ev.id[CTSEG_ID_OBJECT] = ctseg_str("_o");

    /* longer than what is asked for at first */

    (void) snprintf(props, sizeof(props), "{\"b\":[1.50,{\"y\":1,"
                    "\"x\":\"\\u00e9%05000d\"}],\"a\":10,\"ct_n\":null}", 0);
    ev.props = ctseg_str(props);

    rc = ctseg_content_name(out, ev.name);

    if (rc == CTSEG_OK) {
        rc = ctseg_content(&ev, &zone, &h, &c);
    }

    for (i = 0; rc == CTSEG_OK && i < CTSEG_ID_N; i++) {
        ctseg_buf_fmt(out, " %032llx", (unsigned long long) c.ids[i]);
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_hash_free(&h);

    return rc;
}


static ctseg_rc_t
use_import(void *data, const ctseg_json_t *root)
{
    ctseg_str_t          account = ctseg_string("ONE");
    ctseg_zone_t         zone;
    ctseg_import_t      *im = data;
    ctseg_problems_t     problems;
    ctseg_import_env_t   env;

    memset(&problems, 0, sizeof(problems));
    ctseg_zone_fixed(&zone, "UTC", 0);
    env.now_ms = NOW;
    env.zone = &zone;
    env.accounts = &account;
    env.naccounts = 1;

    assert_true(ctseg_import_parse(im, root, &env, &problems));

    return im->names.failed ? CTSEG_NOMEM : CTSEG_OK;
}


static ctseg_rc_t
import(ctseg_buf_t *out)
{
    unsigned             i;
    ctseg_rc_t           rc;
    ctseg_import_t       im;
    ctseg_json_writer_t  w;

    static const char  create[] =
        "{\"events\":[\"App Launched\",\"caf\\u00e9 \\\"one\\\"\"],"
        "\"from\":\"2025-12-01\",\"to\":\"2026-01-02\"}";

    memset(&im, 0, sizeof(im));
    rc = parse(create, use_import, &im);

    if (rc == CTSEG_OK) {
        im.forbidden[0] = 3;
        w.buf = out;
        w.comma = false;

        for (i = 0; i < 20; i++) {
            ctseg_import_render(&w, NULL, &im);
        }

        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_import_free(&im);

    return rc;
}


static void
test_partner(void **state)
{
    (void) state;

    nomem_sweep(partner);
}


static void
test_export(void **state)
{
    (void) state;

    nomem_sweep(export);
}


static void
test_content(void **state)
{
    (void) state;

    nomem_sweep(content);
}


static void
test_import(void **state)
{
    (void) state;

    nomem_sweep(import);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_partner),
        cmocka_unit_test(test_export),
        cmocka_unit_test(test_content),
        cmocka_unit_test(test_import)
    };

    nomem_hash_init();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
