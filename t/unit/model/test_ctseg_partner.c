/*
 * A partner: bodies good and bad with the field that is named, what a PATCH
 * leaves alone, and that a write key comes out nowhere.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_partner.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))

#define SIXTY_FOUR                                                           \
    "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"       \
    "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"       \
    "0123456789abcdef0123456789abcdef0123456789abcdef"


static bool
test_parse(const char *text, bool patch, ctseg_partner_t *p,
    ctseg_problems_t *problems)
{
    bool            ok;
    ctseg_json_t   *root;
    ctseg_arena_t  *a;

    a = ctseg_arena_create();
    assert_non_null(a);
    assert_int_equal(ctseg_json_parse(a, ctseg_str(text), 8, 100, &root,
                                      NULL),
                     CTSEG_OK);

    memset(problems, 0, sizeof(ctseg_problems_t));
    ok = ctseg_partner_parse(p, root, patch, problems);
    assert_int_equal(ok, problems->n == 0);

    ctseg_arena_destroy(a);

    return ok;
}


static void
test_create(void **state)
{
    ctseg_partner_t   p;
    ctseg_problems_t  problems;

    (void) state;

    memset(&p, 0, sizeof(p));
    assert_true(test_parse("{\"nickname\":\"Prod\","
                           "\"write_key\":\"abcDEF12\"}",
                           false, &p, &problems));

    assert_string_equal(p.nickname, "Prod");
    assert_string_equal(p.write_key, "abcDEF12");
    assert_int_equal(p.region, CTSEG_REGION_US);
    assert_int_equal(p.user_id.field, CTSEG_ID_IDENTITY);
    assert_int_equal(p.anonymous_id.field, CTSEG_ID_OBJECT);

    memset(&p, 0, sizeof(p));
    assert_true(test_parse("{\"nickname\":\"" SIXTY_FOUR "\","
                           "\"region\":\"eu\","
                           "\"write_key\":\"~!\",\"user_id\":\"email\","
                           "\"anonymous_id\":\"property:CT Source\"}",
                           false, &p, &problems));

    assert_string_equal(p.nickname, SIXTY_FOUR);
    assert_int_equal(p.region, CTSEG_REGION_EU);
    assert_int_equal(p.user_id.field, CTSEG_ID_EMAIL);
    assert_int_equal(p.anonymous_id.field, -1);
    assert_string_equal(p.anonymous_id.property, "CT Source");
}


#define KEY   "\"write_key\":\"k123\""
#define NICK  "\"nickname\":\"n\""


static void
test_wrong(void **state)
{
    size_t            i;
    ctseg_partner_t   p, before;
    ctseg_problems_t  problems;

    static const struct {
        const char  *text;
        const char  *field;
        const char  *message;       /* a part of it */
    } cases[] = {
        { "[]", "", "body must be an object" },
        { "\"x\"", "", "body must be an object" },
        { "{" KEY "}", "nickname", "required" },
        { "{" NICK "}", "write_key", "required" },
        { "{" KEY ",\"nickname\":5}", "nickname", "a string" },
        { "{" KEY ",\"nickname\":null}", "nickname", "a string" },
        { "{" KEY ",\"nickname\":\"\"}", "nickname", "1 to 64" },
        { "{" KEY ",\"nickname\":\"" SIXTY_FOUR "x\"}", "nickname",
          "1 to 64" },
        { "{" KEY ",\"nickname\":\" \"}", "nickname", "space" },
        { "{" KEY ",\"nickname\":\" a\"}", "nickname", "space" },
        { "{" KEY ",\"nickname\":\"a \"}", "nickname", "space" },
        { "{" KEY ",\"nickname\":\"a\\tb\"}", "nickname", "control" },
        { "{" KEY ",\"nickname\":\"a\\u0000b\"}", "nickname", "control" },
        { "{" KEY ",\"nickname\":\"a\\u007f\"}", "nickname", "control" },
        { "{" KEY ",\"nickname\":\"a\\u0085\"}", "nickname", "control" },
        { "{" NICK ",\"write_key\":[]}", "write_key", "a string" },
        { "{" NICK ",\"write_key\":\"\"}", "write_key", "1 to 128" },
        { "{" NICK ",\"write_key\":\"SECRET with\"}", "write_key",
          "printable" },
        { "{" NICK ",\"write_key\":\"SECRET:\"}", "write_key", "printable" },
        { "{" NICK ",\"write_key\":\"SECRET\\u00e4\"}", "write_key",
          "printable" },
        { "{" NICK ",\"write_key\":\"SECRET\\u0000\"}", "write_key",
          "printable" },
        { "{" NICK ",\"write_key\":\"SECRET\\n\"}", "write_key",
          "printable" },
        { "{" NICK "," KEY ",\"region\":\"US\"}", "region", "us or eu" },
        { "{" NICK "," KEY ",\"region\":0}", "region", "a string" },
        { "{" NICK "," KEY ",\"user_id\":\"objectid\"}", "user_id",
          "identity, objectId" },
        { "{" NICK "," KEY ",\"user_id\":{}}", "user_id", "a string" },
        { "{" NICK "," KEY ",\"anonymous_id\":\"property:\"}",
          "anonymous_id", "property:NAME" },
        { "{" NICK "," KEY ",\"anonymous_id\":\"property:a\\u0000\"}",
          "anonymous_id", "property:NAME" },
        { "{" NICK "," KEY ",\"id\":\"x\"}", "id", "read-only" },
        { "{" NICK "," KEY ",\"revision\":1}", "revision", "read-only" },
        { "{" NICK "," KEY ",\"created_at\":1}", "created_at", "read-only" },
        { "{" NICK "," KEY ",\"updated_at\":1}", "updated_at", "read-only" },
        { "{" NICK "," KEY ",\"write_key_hint\":1}", "write_key_hint",
          "read-only" },
        { "{" NICK "," KEY ",\"health\":{}}", "health", "read-only" },
        { "{" NICK "," KEY ",\"writekey\":\"SECRET\"}", "writekey",
          "not a known field" },
        { "{" NICK "," KEY ",\"a\\nb\\u0000\":1}", "a?b?",
          "not a known field" }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        memset(&p, 0, sizeof(p));
        before = p;

        assert_false(test_parse(cases[i].text, false, &p, &problems));
        assert_int_equal(problems.n, 1);
        assert_string_equal(problems.item[0].field, cases[i].field);
        assert_non_null(strstr(problems.item[0].message, cases[i].message));
        assert_null(strstr(problems.item[0].message, "SECRET"));
        assert_memory_equal(&p, &before, sizeof(p));
    }

    memset(&problems, 0, sizeof(problems));
    assert_false(ctseg_partner_parse(&p, NULL, true, &problems));
    assert_string_equal(problems.item[0].field, "");
}


static void
test_all_named(void **state)
{
    ctseg_partner_t   p;
    ctseg_problems_t  problems;

    (void) state;

    memset(&p, 0, sizeof(p));
    assert_false(test_parse("{\"nickname\":\"\",\"write_key\":\"\","
                            "\"region\":\"x\",\"user_id\":\"x\","
                            "\"anonymous_id\":\"x\",\"id\":1,\"what\":1}",
                            false, &p, &problems));
    assert_int_equal(problems.n, 7);
}


static void
test_patch(void **state)
{
    ctseg_partner_t   p;
    ctseg_problems_t  problems;

    (void) state;

    memset(&p, 0, sizeof(p));
    assert_true(test_parse("{\"nickname\":\"Prod\",\"write_key\":"
                           "\"a-long-key\",\"region\":\"eu\",\"user_id\":"
                           "\"phone\"}",
                           false, &p, &problems));

    assert_true(test_parse("{}", true, &p, &problems));
    assert_string_equal(p.nickname, "Prod");
    assert_int_equal(p.region, CTSEG_REGION_EU);
    assert_int_equal(p.user_id.field, CTSEG_ID_PHONE);

    assert_true(test_parse("{\"write_key\":\"short\",\"region\":\"us\"}",
                           true, &p, &problems));
    assert_string_equal(p.write_key, "short");
    assert_null(memchr(p.write_key + 5, 'k', sizeof(p.write_key) - 5));
    assert_int_equal(p.region, CTSEG_REGION_US);
    assert_string_equal(p.nickname, "Prod");

    /* one wrong field, and the good one is not taken either */

    assert_false(test_parse("{\"nickname\":\"Other\",\"region\":\"x\"}",
                            true, &p, &problems));
    assert_string_equal(p.nickname, "Prod");
}


static void
test_sources(void **state)
{
    char            name[CTSEG_PROPERTY_MAX + 12];
    size_t          i;
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_source_t  src;

    static const char  *const good[] = {
        "identity", "objectId", "email", "phone", "fbid", "gpid",
        "property:x", "property:property:x", "property:identity"
    };

    static const char  *const bad[] = {
        "", "Identity", "property", "property:", "Property:x", "identity "
    };

    (void) state;

    for (i = 0; i < N(good); i++) {
        assert_true(ctseg_source_parse(ctseg_str(good[i]), &src));
        assert_int_equal(src.field, i < 6 ? (int) i : -1);

        ctseg_buf_reset(&b);
        ctseg_source_render(&b, &src);
        assert_true(ctseg_str_is(ctseg_buf_slice(&b), good[i]));
    }

    for (i = 0; i < N(bad); i++) {
        assert_false(ctseg_source_parse(ctseg_str(bad[i]), &src));
    }

    memset(name, 'n', sizeof(name));
    memcpy(name, "property:", 9);
    name[9 + CTSEG_PROPERTY_MAX] = '\0';
    assert_true(ctseg_source_parse(ctseg_str(name), &src));
    assert_int_equal(strlen(src.property), CTSEG_PROPERTY_MAX);

    name[9 + CTSEG_PROPERTY_MAX] = 'n';
    name[10 + CTSEG_PROPERTY_MAX] = '\0';
    assert_false(ctseg_source_parse(ctseg_str(name), &src));

    assert_null(ctseg_id_name(-1));
    assert_null(ctseg_id_name(CTSEG_ID_N));
    assert_string_equal(ctseg_region_name(CTSEG_REGION_EU), "eu");
    assert_null(ctseg_region_name(CTSEG_REGION_N));

    ctseg_buf_free(&b);
}


static void
test_render(void **state)
{
    size_t               i;
    ctseg_buf_t          b = { NULL, 0, 0, false };
    ctseg_health_t       health = { "retrying", "503", 1000, 61000 };
    ctseg_partner_t      p;
    ctseg_json_writer_t  w = { &b, false };

    static const char  *const hints[][2] = {
        { "abc", "\"write_key_hint\":\"\"" },
        { "abcd", "\"write_key_hint\":\"d\"" },
        { "abcdefg", "\"write_key_hint\":\"g\"" },
        { "abcdefgh", "\"write_key_hint\":\"efgh\"" },
        { "0123456789WXYZ", "\"write_key_hint\":\"WXYZ\"" }
    };

    (void) state;

    memset(&p, 0, sizeof(p));
    memcpy(p.id, "p1", 3);
    memcpy(p.nickname, "N\"1", 4);
    p.revision = 2;
    p.created_ms = 1767323045678LL;
    p.updated_ms = 1767323045679LL;
    p.anonymous_id.field = -1;
    memcpy(p.anonymous_id.property, "dev", 4);
    memcpy(p.write_key, "topSecretKey", 13);

    ctseg_partner_render(&w, &p, &health);

    assert_true(ctseg_str_is(ctseg_buf_slice(&b),
        "{\"id\":\"p1\",\"nickname\":\"N\\\"1\",\"region\":\"us\","
        "\"write_key_hint\":\"tKey\",\"user_id\":\"identity\","
        "\"anonymous_id\":\"property:dev\",\"revision\":2,"
        "\"created_at\":\"2026-01-02T03:04:05.678Z\","
        "\"updated_at\":\"2026-01-02T03:04:05.679Z\","
        "\"health\":{\"state\":\"retrying\",\"reason\":\"503\","
        "\"since\":\"1970-01-01T00:00:01.000Z\","
        "\"retry_at\":\"1970-01-01T00:01:01.000Z\"}}"));

    for (i = 0; i < N(hints); i++) {
        memcpy(p.write_key, hints[i][0], strlen(hints[i][0]) + 1);
        ctseg_buf_reset(&b);
        w.comma = false;
        ctseg_partner_render(&w, &p, NULL);
        ctseg_buf_char(&b, '\0');

        assert_non_null(strstr(b.data, hints[i][1]));
        assert_non_null(strstr(b.data, "\"health\":{\"state\":\"ok\","
                                       "\"reason\":null,\"since\":null,"
                                       "\"retry_at\":null}"));
        assert_null(strstr(b.data, hints[i][0]));
    }

    ctseg_buf_free(&b);
}


static void
test_fingerprint(void **state)
{
    char      a[17], b[17];
    size_t    i;
    unsigned  differ;

    (void) state;

    ctseg_write_key_fingerprint(a, "abcdefgh");
    ctseg_write_key_fingerprint(b, "abcdefgh");
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), 16);
    assert_int_equal(strspn(a, "0123456789abcdef"), 16);

    /* messageIds hang on it: it may never change */

    assert_string_equal(a, "f010e6fca6bae77c");

    ctseg_write_key_fingerprint(b, "abcdefgi");

    for (differ = 0, i = 0; i < 16; i++) {
        differ += a[i] != b[i];
    }

    assert_true(differ >= 8);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_all_named),
        cmocka_unit_test(test_patch),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_fingerprint)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
