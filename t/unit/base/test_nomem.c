/*
 * Memory that lacks where JSON is read into a tree and written, where problems
 * and figures are.  See nomem_test.h.
 */

#include "nomem_test.h"

#include <string.h>

#include "base/ctseg_problem.h"
#include "base/ctseg_prom.h"
#include "base/ctseg_str.h"


#define MEMBERS  100                    /* qsort() of more asks for memory,
                                           which it can do without */


/* deep and wide, and a string that takes pieces */

static ctseg_str_t
text(void)
{
    unsigned  i;

    static ctseg_buf_t  b;

    if (b.len != 0) {
        return ctseg_buf_slice(&b);
    }

    ctseg_buf_cstr(&b, "{\"deep\":[[[[[[1,-2.5,true,null]]]]]],\"long\":\"");

    for (i = 0; i < 20000; i++) {
        ctseg_buf_cstr(&b, "\\u00e9");
    }

    ctseg_buf_cstr(&b, "\"");

    for (i = 0; i < MEMBERS; i++) {
        ctseg_buf_fmt(&b, ",\"n%u\":{\"a\\n\":[%u]}", i, i);
    }

    ctseg_buf_cstr(&b, "}");
    assert_false(b.failed);

    return ctseg_buf_slice(&b);
}


static void
write_tree(ctseg_json_writer_t *w, const ctseg_json_t *root)
{
    unsigned             i;
    char                 name[16];
    int64_t              n;
    const ctseg_json_t  *v;

    ctseg_jw_open(w, NULL, '{');
    ctseg_jw_str(w, "long", ctseg_json_get(root, "long")->text);

    for (i = 0; i < MEMBERS; i++) {
        (void) snprintf(name, sizeof(name), "n%u", i);
        v = ctseg_json_get(ctseg_json_get(root, name), "a\n");
        assert_true(v != NULL && v->n == 1);
        n = i;
        ctseg_jw_int(w, name, n);
    }

    ctseg_jw_time(w, "time", 1767323045678LL);
    ctseg_jw_seconds(w, "seconds", 1500);
    ctseg_jw_close(w, '}');
}


static ctseg_rc_t
json(ctseg_buf_t *out)
{
    ctseg_rc_t           rc;
    ctseg_err_t          err;
    ctseg_json_t        *root;
    ctseg_arena_t       *a;
    ctseg_json_writer_t  w;

    a = ctseg_arena_create();

    if (a == NULL) {
        return CTSEG_NOMEM;
    }

    rc = ctseg_json_parse(a, text(), 16, 100000, &root, &err);

    if (rc == CTSEG_OK) {
        w.buf = out;
        w.comma = false;
        write_tree(&w, root);
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_arena_destroy(a);

    return rc;
}


static ctseg_rc_t
figures(ctseg_buf_t *out)
{
    unsigned              i;
    char                  value[32];
    ctseg_prom_t          p;
    ctseg_problems_t      problems;
    ctseg_prom_label_t    label = { "export", value };
    ctseg_prom_buckets_t  b;

    static const uint64_t  bounds[] = { 10, 100, 1000 };
    static const uint64_t  counts[] = { 1, 2, 3, 4 };

    p.out = out;
    p.name = NULL;
    b.nbounds = 3;
    b.scale = 1000;
    b.bounds = bounds;

    ctseg_prom_family(&p, CTSEG_PROM_COUNTER, "ctseg_events_total", "Events.");

    for (i = 0; i < 500; i++) {
        (void) snprintf(value, sizeof(value), "a \"quoted\"\n%u", i);
        ctseg_prom_sample(&p, &label, 1, i, 1);
    }

    ctseg_prom_family(&p, CTSEG_PROM_HISTOGRAM, "ctseg_seconds", "Time.");
    ctseg_prom_histogram(&p, &label, &b, counts, 1234);

    memset(&problems, 0, sizeof(problems));

    for (i = 0; i < 20; i++) {
        ctseg_problem(&problems, "a.field", "is wrong");
    }

    for (i = 0; i < 50; i++) {
        ctseg_problem_render(out, 422, "some fields are wrong", &problems);
    }

    return out->failed ? CTSEG_NOMEM : CTSEG_OK;
}


static void
test_json(void **state)
{
    (void) state;

    nomem_sweep(json);
}


static void
test_figures(void **state)
{
    (void) state;

    nomem_sweep(figures);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_figures)
    };

    (void) text();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
