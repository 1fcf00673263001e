/*
 * Answers of Get Events as they come: each kind of answer has its meaning,
 * and records become events.  What would fool it is a page that is read by
 * its status alone, so failures come with 200 and pages are cut anywhere.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/ctseg_str.h"
#include "clevertap/ctseg_pull.h"


typedef struct {
    ctseg_buf_t  out;
    unsigned     n;
} seen_t;


static bool
on_record(void *data, const ctseg_event_t *ev, const ctseg_event_t *profile)
{
    seen_t  *seen = data;

    seen->n++;
    ctseg_buf_fmt(&seen->out, "%u %lld ", ev->kind, (long long) ev->time_ms);
    ctseg_buf_str(&seen->out, ev->name);
    ctseg_buf_char(&seen->out, ' ');
    ctseg_buf_str(&seen->out, ev->id[CTSEG_ID_IDENTITY]);
    ctseg_buf_char(&seen->out, ' ');
    ctseg_buf_str(&seen->out, ev->props);

    if (profile != NULL) {
        assert_int_equal(profile->kind, CTSEG_KIND_PROFILE);
        ctseg_buf_cstr(&seen->out, " profile ");
        ctseg_buf_str(&seen->out, profile->props);
    }

    ctseg_buf_char(&seen->out, '\n');

    return true;
}


/* name and body to what is seen of it; p and seen are freed by finish */

static void
take(ctseg_pull_t *p, seen_t *seen, const char *name, int status,
    ctseg_str_t body, bool profiles)
{
    static ctseg_zone_t  zone;

    ctseg_zone_fixed(&zone, "+01:00", 3600);
    memset(p, 0, sizeof(ctseg_pull_t));
    memset(seen, 0, sizeof(seen_t));
    p->zone = &zone;
    p->name = ctseg_str(name);

    assert_int_equal(ctseg_pull_read(p, status, body, profiles, on_record,
                                     seen), CTSEG_OK);
    ctseg_buf_char(&seen->out, '\0');
}


static void
finish(ctseg_pull_t *p, seen_t *seen)
{
    ctseg_pull_free(p);
    ctseg_buf_free(&seen->out);
}


static void
test_meaning(void **state)
{
    size_t        i;
    seen_t        seen;
    ctseg_pull_t  p;

    static const struct {
        int               status;
        const char       *body;
        ctseg_pull_rc_t   rc;
        const char       *cursor;
    } cases[] = {
        { 200, "{\"status\":\"success\",\"cursor\":\"a%2Fb%3D\"}",
          CTSEG_PULL_OPENED, "a/b=" },
        { 200, "{\"status\":\"success\",\"next_cursor\":\"x%zz\","
          "\"records\":[]}", CTSEG_PULL_PAGE, "x%zz" },
        { 200, "{\"status\":\"success\",\"records\":[]}", CTSEG_PULL_PAGE,
          "" },
        { 200, "{\"status\":\"success\",\"next_cursor\":null,"
          "\"cursor\":\"a\"}", CTSEG_PULL_PAGE, "" },
        { 200, "{\"status\":\"success\",\"next_cursor\":\"\"}",
          CTSEG_PULL_PAGE, "" },
        { 200, "{\"status\":\"partial\",\"cursor\":\"b\",\"records\":[]}",
          CTSEG_PULL_PAGE, "b" },
        { 200, "{\"status\":\"fail\",\"code\":2,\"error\":\"Request still in"
          " progress, please retry later\"}", CTSEG_PULL_BUSY, "" },
        { 200, "{\"status\":\"fail\",\"code\":429}", CTSEG_PULL_THROTTLED,
          "" },
        { 429, "slow down", CTSEG_PULL_THROTTLED, "" },
        { 400, "{\"status\":\"fail\",\"error\":\"Export not allowed for this"
          " event\"}", CTSEG_PULL_FORBIDDEN, "" },
        { 405, "{\"error\":\"Method Not Allowed\"}", CTSEG_PULL_WRONG, "" },
        { 401, "", CTSEG_PULL_DENIED, "" },
        { 403, "{}", CTSEG_PULL_DENIED, "" },
        { 400, "{\"status\":\"fail\",\"error\":\"Invalid cursor\"}",
          CTSEG_PULL_LOST, "" },
        { 404, "<html>", CTSEG_PULL_WRONG, "" },
        { 502, "<html>", CTSEG_PULL_FAILED, "" },
        { 301, "", CTSEG_PULL_WRONG, "" },
        { 200, "<html>", CTSEG_PULL_WRONG, "" },
        { 200, "{}", CTSEG_PULL_WRONG, "" },
        { 200, "", CTSEG_PULL_FAILED, "" },
        { 200, "{\"status\":\"success\",\"records\":[{\"ts\":1,\"profile\":"
          "{\"identity\":\"u\"}},{", CTSEG_PULL_FAILED, "" }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        take(&p, &seen, "A", cases[i].status, ctseg_str(cases[i].body),
             false);

        if (p.rc != cases[i].rc) {
            fail_msg("%s: %d", cases[i].body, (int) p.rc);
        }

        assert_true(ctseg_str_is(ctseg_buf_slice(&p.cursor),
                                 cases[i].cursor));
        assert_int_equal(seen.n, 0);
        assert_int_equal(p.text[0] == '\0', p.rc <= CTSEG_PULL_OPENED);
        finish(&p, &seen);
    }
}


/* the answer that opens a walk is not taken for its last page */

static void
test_opens(void **state)
{
    size_t        i;
    ctseg_pull_t  p;

    static const struct {
        const char       *body;
        ctseg_pull_rc_t   opens;
        ctseg_pull_rc_t   page;
    } cases[] = {
        { "{\"status\":\"success\"}", CTSEG_PULL_WRONG, CTSEG_PULL_PAGE },
        { "{\"status\":\"success\",\"next_cursor\":null}", CTSEG_PULL_WRONG,
          CTSEG_PULL_PAGE },
        { "{\"status\":\"partial\",\"cursor\":\"\"}", CTSEG_PULL_WRONG,
          CTSEG_PULL_PAGE },
        { "{\"status\":\"success\",\"cursor\":7}", CTSEG_PULL_WRONG,
          CTSEG_PULL_PAGE },
        { "{\"status\":\"success\",\"cursor\":\"a\"}", CTSEG_PULL_OPENED,
          CTSEG_PULL_OPENED },
        { "{\"status\":\"success\",\"records\":[]}", CTSEG_PULL_PAGE,
          CTSEG_PULL_PAGE },
        { "{\"status\":\"fail\",\"code\":2}", CTSEG_PULL_BUSY,
          CTSEG_PULL_BUSY }
    };

    (void) state;
    memset(&p, 0, sizeof(p));

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        p.opens = true;
        assert_int_equal(ctseg_pull_read(&p, 200, ctseg_str(cases[i].body),
                                         false, on_record, NULL), CTSEG_OK);
        assert_int_equal(p.rc, cases[i].opens);
        assert_int_equal(p.text[0] == '\0', p.rc <= CTSEG_PULL_OPENED);

        p.opens = false;
        assert_int_equal(ctseg_pull_read(&p, 200, ctseg_str(cases[i].body),
                                         false, on_record, NULL), CTSEG_OK);
        assert_int_equal(p.rc, cases[i].page);
    }

    ctseg_pull_free(&p);
}


static void
test_records(void **state)
{
    seen_t        seen;
    ctseg_pull_t  p;

    (void) state;

    take(&p, &seen, "charged", 200, ctseg_str("{\"status\":\"success\","
         "\"records\":[{\"profile\":{\"identity\":\"u\",\"name\":\"Bob\","
         "\"platform\":\"iOS\",\"profileData\":{\"NAME\":\"B\"}},"
         "\"ts\":20260102030405,\"event_props\":{\"a\":1},"
         "\"session_props\":{\"s\":2,\"a\":3},"
         "\"items\":[{\"Items|name\":\"x\",\"n\":{\"Items|y\":1}}]},"
         "7,{\"ts\":1},"
         "{\"profile\":{\"all_identities\":[\"v\"]},\"ts\":20260102030406,"
         "\"items\":[]}]}"), true);

    assert_int_equal(p.rc, CTSEG_PULL_PAGE);
    assert_int_equal(p.good, 2);
    assert_int_equal(p.failed, 2);
    assert_string_equal(seen.out.data,
        "0 1767319445000 charged u {\"a\":1,\"s\":2,\"Items\":[{\"name\":"
        "\"x\",\"n\":{\"Items|y\":1}}]} profile {\"NAME\":\"B\","
        "\"platform\":\"iOS\"}\n"
        "0 1767319446000 charged v \n");

    ctseg_buf_char(&p.unprocessed, '\0');
    assert_non_null(strstr(p.unprocessed.data, "\"record\":2}"));
    assert_non_null(strstr(p.unprocessed.data, "\"code\":523,\"record\":3}"));
    finish(&p, &seen);

    take(&p, &seen, "Push \\u0069mpression", 200, ctseg_str("{\"records\":["
         "{\"profile\":{\"email\":\"e\"},\"ts\":1,\"session_props\":[1]}]}"),
         true);
    assert_string_equal(seen.out.data, "4 1000   \n");
    finish(&p, &seen);
}


static void
test_bounds(void **state)
{
    unsigned      i, n;
    seen_t        seen;
    ctseg_buf_t   b;
    ctseg_pull_t  p;

    (void) state;

    for (n = CTSEG_PULL_BATCH; n <= CTSEG_PULL_BATCH + 1; n++) {
        memset(&b, 0, sizeof(b));
        ctseg_buf_cstr(&b, "{\"records\":[");

        for (i = 0; i < n; i++) {
            ctseg_buf_cstr(&b, i == 0 ? "1" : ",1");
        }

        ctseg_buf_cstr(&b, "]}");
        take(&p, &seen, "A", 200, ctseg_buf_slice(&b), false);
        assert_int_equal(p.rc, n == CTSEG_PULL_BATCH ? CTSEG_PULL_PAGE
                                                     : CTSEG_PULL_WRONG);
        assert_int_equal(p.failed, n == CTSEG_PULL_BATCH ? n : 0);
        assert_int_equal(p.told, n == CTSEG_PULL_BATCH
                                 ? CTSEG_PULL_ERRORS_MAX : 0);
        finish(&p, &seen);
        ctseg_buf_free(&b);
    }

    /* one that is deep costs itself and no other */

    take(&p, &seen, "A", 200, ctseg_str("{\"records\":[{\"x\":[[[[[[[[[[[[[[[["
         "[[[]]]]]]]]]]]]]]]]]]]},{\"profile\":{\"identity\":1},\"ts\":1}]}"),
         false);
    assert_int_equal(p.rc, CTSEG_PULL_PAGE);
    assert_int_equal(p.good, 1);
    assert_int_equal(p.failed, 1);
    finish(&p, &seen);
}


/* n times the same, with something in front and behind */

static ctseg_str_t
many(ctseg_buf_t *b, const char *front, const char *one, unsigned n,
    const char *behind)
{
    unsigned  i;

    ctseg_buf_free(b);
    ctseg_buf_cstr(b, front);

    for (i = 0; i < n; i++) {
        ctseg_buf_cstr(b, one + (i == 0 && one[0] == ','));
    }

    ctseg_buf_cstr(b, behind);
    assert_false(b->failed);

    return ctseg_buf_slice(b);
}


static void
test_cursor(void **state)
{
    size_t        i;
    seen_t        seen;
    ctseg_buf_t   b;
    ctseg_pull_t  p;

    static const struct {
        const char  *one;
        unsigned     n;
        bool         fits;
    } cases[] = {
        { "x", CTSEG_PULL_CURSOR_MAX, true },
        { "x", CTSEG_PULL_CURSOR_MAX + 1, false },
        { "%2f", CTSEG_PULL_CURSOR_MAX, true },
        { "%2f", CTSEG_PULL_CURSOR_MAX + 1, false }
    };

    (void) state;
    memset(&b, 0, sizeof(b));

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        take(&p, &seen, "A", 200,
             many(&b, "{\"records\":[{\"profile\":{\"identity\":1},\"ts\":1}"
                  "],\"next_cursor\":\"", cases[i].one, cases[i].n, "\"}"),
             false);
        assert_int_equal(p.rc, cases[i].fits ? CTSEG_PULL_PAGE
                                             : CTSEG_PULL_WRONG);
        assert_int_equal(p.cursor.len, cases[i].fits ? CTSEG_PULL_CURSOR_MAX
                                                     : 0);
        assert_int_equal(seen.n, cases[i].fits);
        finish(&p, &seen);
    }

    ctseg_buf_free(&b);
}


/* a profile that is too much costs itself and not the event */

static void
test_too_much(void **state)
{
    unsigned      n;
    seen_t        seen;
    ctseg_buf_t   b;
    ctseg_pull_t  p;

    (void) state;
    memset(&b, 0, sizeof(b));

    for (n = CTSEG_INTAKE_ITEMS_MAX; n <= CTSEG_INTAKE_ITEMS_MAX + 1; n++) {
        take(&p, &seen, "Charged", 200,
             many(&b, "{\"records\":[{\"profile\":{\"identity\":1},"
                  "\"ts\":1,\"items\":[", ",{}", n, "]}]}"), false);
        assert_int_equal(p.rc, CTSEG_PULL_PAGE);
        assert_int_equal(p.good, n == CTSEG_INTAKE_ITEMS_MAX);
        assert_int_equal(p.failed, n != CTSEG_INTAKE_ITEMS_MAX);
        assert_int_equal(seen.n, p.good);
        finish(&p, &seen);
    }

    take(&p, &seen, "A", 200,
         many(&b, "{\"records\":[{\"profile\":{\"identity\":1,"
              "\"profileData\":{\"x\":\"", "x", CTSEG_PROPS_LEN_MAX,
              "\"}},\"ts\":1,\"event_props\":{\"n\":1}}]}"), true);
    assert_int_equal(p.good, 1);
    assert_int_equal(p.failed, 0);
    assert_int_equal(p.told, 1);
    assert_string_equal(seen.out.data, "0 1000 A 1 {\"n\":1}\n");
    ctseg_buf_char(&p.unprocessed, '\0');
    assert_non_null(strstr(p.unprocessed.data, "profileData has "));
    assert_non_null(strstr(p.unprocessed.data, "\"record\":1}"));
    finish(&p, &seen);

    take(&p, &seen, "A", 200,
         many(&b, "{\"records\":[{\"profile\":{\"identity\":1},\"ts\":1,"
              "\"event_props\":{\"x\":\"", "x", CTSEG_PROPS_LEN_MAX,
              "\"}}]}"), true);
    assert_int_equal(p.good, 0);
    assert_int_equal(p.failed, 1);
    finish(&p, &seen);

    ctseg_buf_free(&b);
}


static void
test_requests(void **state)
{
    ctseg_buf_t    b;
    ctseg_civil_t  from = { 2026, 1, 2, 0, 0, 0, 0 };
    ctseg_civil_t  to = { 2026, 11, 30, 0, 0, 0, 0 };

    (void) state;
    memset(&b, 0, sizeof(b));

    ctseg_pull_body(&b, ctseg_str("A \\\"b"), &from, &to);
    ctseg_pull_open_path(&b, true);
    ctseg_pull_page_path(&b, ctseg_str("a/b+c=%~"));
    ctseg_buf_char(&b, '\0');
    assert_string_equal(b.data, "{\"event_name\":\"A \\\"b\","
        "\"from\":20260102,\"to\":20261130}"
        "/1/events.json?batch_size=5000&app=true&events=false&profile=true"
        "/1/events.json?cursor=a%2Fb%2Bc%3D%25~");
    ctseg_buf_free(&b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_meaning),
        cmocka_unit_test(test_opens),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_requests)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
