/*
 * The upload body.  One table holds a verdict for each way a record can be
 * wrong; the rest is about what is kept: slices of the body, byte by byte,
 * whatever the order of the keys.  The last test changes bytes by chance and
 * asks only that every slice lies within the body and the answer is JSON: a
 * wrong pointer is for the sanitizer to see.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/ctseg_str.h"
#include "clevertap/ctseg_upload.h"


#define N(a)  (sizeof(a) / sizeof((a)[0]))

#define NOW  1767323045678LL

#define OK_RECORD                                                            \
    "\"type\":\"event\",\"evtName\":\"Charged\",\"identity\":\"I\""

#define X16    "xxxxxxxxxxxxxxxx"
#define X128   X16 X16 X16 X16 X16 X16 X16 X16
#define X512   X128 X128 X128 X128
#define X1024  X512 X512


static ctseg_rc_t
test_parse(ctseg_upload_t *u, const char *body, ctseg_err_t *err)
{
    memset(u, 0, sizeof(ctseg_upload_t));
    memset(err, 0, sizeof(ctseg_err_t));

    return ctseg_upload_parse(u, ctseg_str(body), NOW, err);
}


/* the one event of a body that holds one record */

static ctseg_event_t *
test_one(ctseg_upload_t *u, const char *body)
{
    ctseg_err_t  err;

    assert_int_equal(test_parse(u, body, &err), CTSEG_OK);
    assert_int_equal(u->nfailed, 0);
    assert_int_equal(u->nevents, 1);

    return &u->events[0];
}


static void
test_slice(ctseg_str_t s, const char *expect)
{
    assert_int_equal(s.len, strlen(expect));

    if (s.len != 0) {
        assert_memory_equal(s.data, expect, s.len);
    }
}


static void
test_verdicts(void **state)
{
    char             plain[CTSEG_UPLOAD_PLAIN_MAX];
    int              code;
    char             body[8192], answer[8192];
    size_t           i;
    ctseg_err_t      err;
    ctseg_buf_t      out;
    ctseg_upload_t   u;

    static const struct {
        int          code;          /* 0: good */
        const char  *record;
        const char  *error;         /* a part of it */
    } cases[] = {
        { 0, "{" OK_RECORD "}", "" },
        { 0, "{" OK_RECORD ",\"evtData\":{}}", "" },
        { 0, "{" OK_RECORD ",\"evtData\":null}", "" },
        { 0, "{" OK_RECORD ",\"other\":{\"type\":[{\"evtData\":5}]}}", "" },

        { 512, "5", "object" },
        { 512, "null", "object" },
        { 512, "\"{}\"", "object" },
        { 512, "[]", "object" },
        { 512, "[{" OK_RECORD "}]", "object" },

        { 524, "{}", "event or profile" },
        { 524, "{\"evtName\":\"x\",\"identity\":\"I\"}", "Type" },
        { 524, "{" OK_RECORD ",\"type\":\"Event\"}", "Type" },
        { 524, "{" OK_RECORD ",\"type\":1}", "Type" },
        { 524, "{" OK_RECORD ",\"type\":{\"type\":\"event\"}}", "Type" },
        { 524, "{" OK_RECORD ",\"type\":\"Profile\"}", "Type" },

        { 523, "{\"type\":\"event\",\"evtName\":\"x\"}", "identity" },
        { 523, "{" OK_RECORD ",\"identity\":\"\"}", "identity" },
        { 523, "{" OK_RECORD ",\"identity\":\"   \"}", "identity" },
        { 523, "{" OK_RECORD ",\"identity\":null}", "identity" },
        { 523, "{" OK_RECORD ",\"identity\":\"\",\"email\":\"e\","
          "\"phone\":\"p\"}", "identity" },
        { 0, "{" OK_RECORD ",\"identity\":\"\",\"FBID\":\"f\"}", "" },
        { 0, "{" OK_RECORD ",\"identity\":\"\",\"GPID\":\"g\"}", "" },
        { 0, "{" OK_RECORD ",\"identity\":\"\",\"objectId\":\"o\"}", "" },
        { 0, "{" OK_RECORD ",\"identity\":5}", "" },
        { 0, "{" OK_RECORD ",\"identity\":\"" X512 "\"}", "" },
        { 512, "{" OK_RECORD ",\"identity\":\"" X512 "x\"}", "identity" },
        { 512, "{" OK_RECORD ",\"identity\":true}", "identity" },
        { 512, "{" OK_RECORD ",\"email\":[]}", "email" },
        { 512, "{" OK_RECORD ",\"phone\":{}}", "phone" },
        { 512, "{" OK_RECORD ",\"FBID\":false}", "FBID" },
        { 512, "{" OK_RECORD ",\"GPID\":[1]}", "GPID" },
        { 526, "{" OK_RECORD ",\"objectId\":[]}", "objectId" },
        { 526, "{" OK_RECORD ",\"objectId\":\"" X512 "x\"}", "objectId" },

        { 509, "{\"type\":\"event\",\"identity\":\"I\"}", "name" },
        { 509, "{" OK_RECORD ",\"evtName\":\"\"}", "name" },
        { 509, "{" OK_RECORD ",\"evtName\":\"  \"}", "name" },
        { 509, "{" OK_RECORD ",\"evtName\":7}", "name" },
        { 509, "{" OK_RECORD ",\"evtName\":null}", "name" },
        { 0, "{" OK_RECORD ",\"evtName\":\"" X1024 "\"}", "" },
        { 512, "{" OK_RECORD ",\"evtName\":\"" X1024 "x\"}", "evtName" },

        { 0, "{" OK_RECORD ",\"ts\":0}", "" },
        { 0, "{" OK_RECORD ",\"ts\":\"1700000000\"}", "" },
        { 0, "{" OK_RECORD ",\"ts\":null}", "" },
        { 0, "{" OK_RECORD ",\"ts\":9999999999999}", "" },
        { 525, "{" OK_RECORD ",\"ts\":10000000000000}", "ts" },
        { 525, "{" OK_RECORD ",\"ts\":20260102030405}", "ts" },
        { 525, "{" OK_RECORD ",\"ts\":-1}", "ts" },
        { 525, "{" OK_RECORD ",\"ts\":1.5}", "ts" },
        { 525, "{" OK_RECORD ",\"ts\":1e9}", "ts" },
        { 525, "{" OK_RECORD ",\"ts\":\"\"}", "ts" },
        { 525, "{" OK_RECORD ",\"ts\":\"2026-01-02\"}", "ts" },
        { 525, "{" OK_RECORD ",\"ts\":true}", "ts" },
        { 525, "{" OK_RECORD ",\"ts\":[1]}", "ts" },
        { 525, "{" OK_RECORD ",\"ts\":99999999999999999999}", "ts" },

        { 512, "{" OK_RECORD ",\"evtData\":[]}", "evtData" },
        { 512, "{" OK_RECORD ",\"evtData\":\"{}\"}", "evtData" },
        { 512, "{" OK_RECORD ",\"evtData\":5}", "evtData" },
        { 512, "{" OK_RECORD ",\"evtData\":{\"a\":{}}}", "property a " },
        { 512, "{" OK_RECORD ",\"evtData\":{\"x\":1,\"b\":[1]}}",
          "property b " },
        { 512, "{" OK_RECORD ",\"evtData\":{\"\\\"\":[]}}",
          "property \\\" " },
        { 0, "{" OK_RECORD ",\"evtData\":{\"Items\":[{\"a\":1},{}]}}", "" },
        { 0, "{" OK_RECORD ",\"evtData\":{\"Items\":[]}}", "" },
        { 512, "{" OK_RECORD ",\"evtData\":{\"Items\":[{\"a\":[]}]}}",
          "property Items " },
        { 512, "{" OK_RECORD ",\"evtData\":{\"Items\":{}}}",
          "property Items " },
        { 512, "{" OK_RECORD ",\"evtName\":\"x\",\"evtData\":{\"Items\":"
          "[{\"a\":1}]}}", "Charged" }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {

        (void) snprintf(body, sizeof(body), "{\"d\":[%s]}",
                        cases[i].record);

        assert_int_equal(test_parse(&u, body, &err), CTSEG_OK);

        memset(&out, 0, sizeof(out));
        ctseg_upload_render(&out, &u);
        ctseg_buf_char(&out, '\0');

        if (cases[i].code == 0) {
            assert_int_equal(u.nevents, 1);
            assert_string_equal(out.data, "{\"status\":\"success\","
                                "\"processed\":1,\"unprocessed\":[]}\n");
            assert_int_equal(ctseg_upload_plain(plain, 1), out.len - 1);
            assert_memory_equal(plain, out.data, out.len - 1);

        } else {
            assert_int_equal(u.nevents, 0);
            assert_int_equal(u.nfailed, 1);

            code = 0;
            assert_non_null(strstr(out.data, "\"code\":"));
            code = (int) strtol(strstr(out.data, "\"code\":") + 7, NULL, 10);

            if (code != cases[i].code
                || strstr(out.data, cases[i].error) == NULL)
            {
                fail_msg("%s: %s", cases[i].record, out.data);
            }

            assert_int_equal(u.refused[ctseg_refusal_of(code)], 1);
            ctseg_upload_reset(&u);
            assert_int_equal(u.refused[ctseg_refusal_of(code)], 0);

            /* the record comes back as it came */

            (void) snprintf(answer, sizeof(answer), "\"record\":%s}]}\n",
                            cases[i].record);
            assert_string_equal(out.data + strlen(out.data)
                                - strlen(answer), answer);
        }

        ctseg_buf_free(&out);
        ctseg_upload_free(&u);
    }
}


static void
test_slices(void **state)
{
    const char      *body;
    ctseg_event_t   *ev;
    ctseg_upload_t   u;

    (void) state;

    /* escapes, spaces and the spelling of numbers stay */

    body = " { \"d\" : [ {\"type\":\"event\", \"evtName\" :"
           "\"Caf\\u00e9 \xc3\xa9\" ,\"identity\":12345678901234567890,"
           "\"email\":\"a\\\"@b\",\"phone\":-0,"
           "\"evtData\" : { \"n\" : 1e400, \"t\":\"\\/\" } , \"ts\":7 } ] }";

    ev = test_one(&u, body);
    assert_int_equal(ev->kind, CTSEG_KIND_CUSTOM);
    test_slice(ev->name, "Caf\\u00e9 \xc3\xa9");
    test_slice(ev->id[CTSEG_ID_IDENTITY], "12345678901234567890");
    test_slice(ev->id[CTSEG_ID_EMAIL], "a\\\"@b");
    test_slice(ev->id[CTSEG_ID_PHONE], "-0");
    test_slice(ev->id[CTSEG_ID_OBJECT], "");
    test_slice(ev->props, "{ \"n\" : 1e400, \"t\":\"\\/\" }");
    assert_int_equal(ev->time_ms, 7000);

    /* nothing is copied */

    assert_true(ev->props.data > body
                && ev->props.data < body + strlen(body));
    ctseg_upload_free(&u);

    /* a catalogued name is a number, however it is escaped */

    ev = test_one(&u, "{\"d\":[{" OK_RECORD ",\"evtName\":"
                  "\"App\\u0020Launched\"}]}");
    assert_int_equal(ev->kind, ctseg_catalog_find(ctseg_str("App Launched")));
    test_slice(ev->name, "");
    test_slice(ev->props, "");
    assert_int_equal(ev->time_ms, NOW);
    ctseg_upload_free(&u);
}


static void
test_time(void **state)
{
    char             body[512];
    size_t           i;
    ctseg_upload_t   u;

    static const struct {
        const char  *ts;
        int64_t      ms;
    } cases[] = {
        { "0", 0 },
        { "1767323045", 1767323045000 },
        { "1767323045678", 1767323045678 },
        { "\"1767323045678\"", 1767323045678 },
        { "99999999999", 99999999999000 },
        { "\"\\u0031767323045\"", 1767323045000 },

        /* text with an escape is decoded where the next one is, too */

        { "\"\\u0031767323045\",\"evtData\":{\"p\":\"\\u0039999999999"
          X128 "\"}", 1767323045000 },
        { "100000000000", 100000000000 },
        { "null", NOW }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        (void) snprintf(body, sizeof(body), "{\"d\":[{" OK_RECORD
                        ",\"ts\":%s}]}", cases[i].ts);
        assert_int_equal(test_one(&u, body)->time_ms, cases[i].ms);
        ctseg_upload_free(&u);
    }
}


/* six members in each of their 720 orders, with d in front and behind */

static void
test_order(void **state)
{
    char             body[1024];
    size_t           i, j, n, len;
    ctseg_event_t   *ev;
    ctseg_upload_t   u;
    const char      *pick[6], *left[6];

    static const char *const  members[6] = {
        "\"type\":\"event\"",
        "\"evtName\":\"x y\"",
        "\"identity\":\"I\"",
        "\"evtData\":{\"type\":\"t\",\"identity\":\"no\",\"ts\":5}",
        "\"ts\":5",
        "\"more\":{\"evtName\":\"no\",\"d\":[{}]}"
    };

    (void) state;

    for (i = 0; i < 720; i++) {

        memcpy(left, members, sizeof(left));

        for (j = 0, n = i; j < 6; j++) {
            pick[j] = left[n % (6 - j)];
            left[n % (6 - j)] = left[5 - j];
            n /= 6 - j;
        }

        len = (size_t) snprintf(body, sizeof(body), "{%s\"d\":[{",
                                i % 2 ? "\"a\":{\"d\":[1]}," : "");

        for (j = 0; j < 6; j++) {
            len += (size_t) snprintf(body + len, sizeof(body) - len, "%s%s",
                                     j != 0 ? "," : "", pick[j]);
        }

        (void) snprintf(body + len, sizeof(body) - len, "}]%s}",
                        i % 3 ? "" : ",\"z\":[{\"d\":5}],\"type\":\"x\"");

        ev = test_one(&u, body);
        test_slice(ev->name, "x y");
        test_slice(ev->id[CTSEG_ID_IDENTITY], "I");
        test_slice(ev->props, "{\"type\":\"t\",\"identity\":\"no\","
                   "\"ts\":5}");
        assert_int_equal(ev->time_ms, 5000);
        ctseg_upload_free(&u);
    }
}


static void
test_twice(void **state)
{
    ctseg_event_t   *ev;
    ctseg_upload_t   u;

    (void) state;

    /* of a member that occurs twice the last one counts */

    ev = test_one(&u, "{\"d\":[{" OK_RECORD ",\"identity\":\"J\","
                  "\"evtName\":\"App Launched\",\"evtName\":\"y\","
                  "\"evtData\":{\"a\":1},\"evtData\":{\"b\":2},"
                  "\"ts\":1,\"ts\":2}]}");
    test_slice(ev->id[CTSEG_ID_IDENTITY], "J");
    test_slice(ev->name, "y");
    assert_int_equal(ev->kind, CTSEG_KIND_CUSTOM);
    test_slice(ev->props, "{\"b\":2}");
    assert_int_equal(ev->time_ms, 2000);
    ctseg_upload_free(&u);
}


/* a name is a field's to the last byte, and a record knows of no other one */

static void
test_fields(void **state)
{
    char             body[512], name[32];
    size_t           i, j, len;
    ctseg_err_t      err;
    ctseg_upload_t   u;

    static const char  *const fields[] = {
        "ts", "$id", "type", "FBID", "GPID", "email", "phone", "evtName",
        "evtData", "identity", "objectId", "profileData"
    };

    (void) state;

    for (i = 0; i < N(fields); i++) {
        len = strlen(fields[i]);

        /* true is wrong for each of them, but for what a record is not */

        for (j = 0; j <= len + 1; j++) {
            memcpy(name, fields[i], len + 1);

            if (j < len) {
                name[j] = name[j] == 'x' ? 'y' : 'x';

            } else if (j == len) {
                memcpy(name + len, "x", 2);
            }

            (void) snprintf(body, sizeof(body),
                            "{\"d\":[{" OK_RECORD ",\"%s\":true}]}", name);

            assert_int_equal(test_parse(&u, body, &err), CTSEG_OK);
            assert_int_equal(u.nfailed, j == len + 1
                                        && strcmp(name, "profileData") != 0);
            ctseg_upload_free(&u);
        }
    }

    assert_int_equal(test_parse(&u, "{\"d\":["
                         "{" OK_RECORD ",\"evtData\":{\"a\":[1],\"b\":2}},"
                         "{" OK_RECORD "},"
                         "{\"type\":\"profile\",\"identity\":\"I\","
                         "\"evtData\":5,\"profileData\":{\"Phone\":\"x\"}},"
                         "{\"type\":\"profile\",\"identity\":\"I\"},"
                         "{" OK_RECORD ",\"evtData\":7,\"evtData\":{}},"
                         "{" OK_RECORD ",\"evtData\":{\"a\":[1]},"
                         "\"evtData\":{\"c\":3}}]}", &err), CTSEG_OK);
    assert_int_equal(u.nfailed, 2);
    assert_int_equal(u.nevents, 4);
    test_slice(u.events[0].props, "");
    test_slice(u.events[1].props, "");
    test_slice(u.events[2].props, "{}");
    test_slice(u.events[3].props, "{\"c\":3}");
    ctseg_upload_free(&u);
}


static void
test_bodies(void **state)
{
    size_t           i;
    ctseg_rc_t       rc;
    ctseg_err_t      err;
    ctseg_upload_t   u;

    static const struct {
        const char  *body;
        const char  *text;      /* a part of it; NULL: the body is fine */
        int          offset;    /* -1: any */
    } cases[] = {
        { "{\"d\":[]}", NULL, 0 },
        { "{\"x\":1,\"d\":[],\"y\":{\"d\":[]}}", NULL, 0 },
        { "", "", -1 },
        { "[]", "object", 0 },
        { "5", "object", 0 },
        { "{}", "\"d\" is missing", -1 },
        { "{\"D\":[]}", "\"d\" is missing", -1 },
        { "{\"x\":{\"d\":[]}}", "\"d\" is missing", -1 },
        { "{\"d\":{}}", "must be an array", 5 },
        { "{\"d\":5}", "must be an array", 5 },
        { "{\"d\":null}", "must be an array", 5 },
        { "{\"d\":[],\"d\":[]}", "twice", 8 },
        { "{\"d\":[],\"x\":1,\"\\u0064\":[]}", "twice", -1 },
        { "{\"d\":[{" OK_RECORD "}", "", -1 },
        { "{\"d\":[{" OK_RECORD "}]}x", "", -1 },
        { "{\"d\":[{" OK_RECORD "},]}", "", -1 },
        { "{\"d\":[\"\xff\"]}", "UTF-8", 7 },
        { "{\"d\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}", NULL, 0 },
        { "{\"d\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}", "nested deeper", 20 }
    };

    (void) state;

    for (i = 0; i < N(cases); i++) {
        rc = test_parse(&u, cases[i].body, &err);

        if (cases[i].text == NULL) {
            assert_int_equal(rc, CTSEG_OK);

        } else {
            assert_int_equal(rc, CTSEG_INVALID);
            assert_non_null(strstr(err.text, cases[i].text));
            assert_true(err.offset <= strlen(cases[i].body));

            if (cases[i].offset != -1) {
                assert_int_equal(err.offset, cases[i].offset);
            }
        }

        ctseg_upload_free(&u);
    }
}


/* records, properties, Items, bytes: the last that is taken, the first not */

static void
test_limits(void **state)
{
    int              extra;
    unsigned         i;
    ctseg_err_t      err;
    ctseg_buf_t      b;
    ctseg_upload_t   u;

    (void) state;

    memset(&b, 0, sizeof(b));

    for (extra = 0; extra < 2; extra++) {

        ctseg_buf_reset(&b);
        ctseg_buf_cstr(&b, "{\"d\":[");

        for (i = 0; i < CTSEG_UPLOAD_RECORDS_MAX + (unsigned) extra; i++) {
            ctseg_buf_fmt(&b, "%s{%s}", i != 0 ? "," : "",
                          i % 2 ? OK_RECORD : "");
        }

        ctseg_buf_cstr(&b, "]}");
        memset(&u, 0, sizeof(u));
        assert_int_equal(ctseg_upload_parse(&u, ctseg_buf_slice(&b), NOW,
                                            &err),
                         extra ? CTSEG_TOOBIG : CTSEG_OK);

        if (!extra) {
            assert_int_equal(u.nevents, CTSEG_UPLOAD_RECORDS_MAX / 2);
            assert_int_equal(u.nfailed, CTSEG_UPLOAD_RECORDS_MAX / 2);
        }

        ctseg_upload_free(&u);

        ctseg_buf_reset(&b);
        ctseg_buf_cstr(&b, "{\"d\":[{" OK_RECORD ",\"evtData\":{");

        for (i = 0; i < CTSEG_PROPS_N_MAX + (unsigned) extra; i++) {
            ctseg_buf_fmt(&b, "%s\"p%u\":%u", i != 0 ? "," : "", i, i);
        }

        ctseg_buf_cstr(&b, "}}]}");
        memset(&u, 0, sizeof(u));
        assert_int_equal(ctseg_upload_parse(&u, ctseg_buf_slice(&b), NOW,
                                            &err), CTSEG_OK);
        assert_int_equal(u.nfailed, extra);
        ctseg_upload_free(&u);

        ctseg_buf_reset(&b);
        ctseg_buf_cstr(&b, "{\"d\":[{" OK_RECORD
                       ",\"evtData\":{\"Items\":[");

        for (i = 0; i < CTSEG_INTAKE_ITEMS_MAX + (unsigned) extra; i++) {
            ctseg_buf_cstr(&b, i != 0 ? ",{}" : "{}");
        }

        ctseg_buf_cstr(&b, "]}}]}");
        memset(&u, 0, sizeof(u));
        assert_int_equal(ctseg_upload_parse(&u, ctseg_buf_slice(&b), NOW,
                                            &err), CTSEG_OK);
        assert_int_equal(u.nfailed, extra);
        ctseg_upload_free(&u);

        ctseg_buf_reset(&b);
        ctseg_buf_cstr(&b, "{\"d\":[{" OK_RECORD
                       ",\"evtData\":{\"p\":\"");

        for (i = 0; i < CTSEG_PROPS_LEN_MAX - 8 + (unsigned) extra; i++) {
            ctseg_buf_char(&b, 'x');
        }

        ctseg_buf_cstr(&b, "\"}}]}");
        memset(&u, 0, sizeof(u));
        assert_int_equal(ctseg_upload_parse(&u, ctseg_buf_slice(&b), NOW,
                                            &err), CTSEG_OK);
        assert_int_equal(u.nfailed, extra);

        if (!extra) {
            assert_int_equal(u.events[0].props.len, CTSEG_PROPS_LEN_MAX);
        }

        ctseg_upload_free(&u);
    }

    ctseg_buf_free(&b);
}


static void
test_partial(void **state)
{
    ctseg_err_t     err;
    ctseg_buf_t     out;
    ctseg_upload_t  u;

    (void) state;

    memset(&out, 0, sizeof(out));

    assert_int_equal(test_parse(&u, "{\"d\":[5,{" OK_RECORD "},{} ]}", &err),
                     CTSEG_OK);
    ctseg_upload_render(&out, &u);
    ctseg_buf_char(&out, '\0');
    assert_string_equal(out.data,
        "{\"status\":\"partial\",\"processed\":1,\"unprocessed\":["
        "{\"status\":\"fail\",\"error\":\"Event structure invalid: a record"
        " must be an object\",\"code\":512,\"record\":5},"
        "{\"status\":\"fail\",\"error\":\"Type must be event or profile\","
        "\"code\":524,\"record\":{}}]}\n");

    /* the struct can be used again */

    ctseg_upload_reset(&u);
    assert_int_equal(ctseg_upload_parse(&u, ctseg_str("{\"d\":[{" OK_RECORD
                                                      "}]}"), NOW, &err),
                     CTSEG_OK);
    assert_int_equal(u.nevents, 1);
    assert_int_equal(u.nfailed, 0);
    assert_int_equal(u.unprocessed.len, 0);
    ctseg_upload_free(&u);

    ctseg_buf_reset(&out);
    ctseg_upload_render_fail(&out, 400, "Malformed", "a \"b\"");
    ctseg_buf_char(&out, '\0');
    assert_string_equal(out.data, "{\"status\":\"fail\",\"error\":"
                        "\"Malformed\",\"code\":400,"
                        "\"detail\":\"a \\\"b\\\"\"}\n");
    ctseg_buf_free(&out);
}


static uint32_t
test_chance(uint32_t *seed)
{
    *seed = *seed * 1103515245u + 12345u;

    return *seed >> 8;
}


static void
test_within(ctseg_str_t s, const char *body, size_t len)
{
    if (s.len != 0) {
        assert_true(s.data >= body && s.data + s.len <= body + len);
    }
}


static bool
test_any(void *data, const ctseg_json_token_t *t)
{
    (void) data;
    (void) t;

    return true;
}


static void
test_mutations(void **state)
{
    char             *body;
    size_t            len, at;
    uint32_t          seed;
    unsigned          i, j, k, n, good;
    ctseg_err_t       err;
    ctseg_buf_t       out;
    ctseg_str_t       text;
    ctseg_json_t     *json;
    ctseg_arena_t    *a;
    ctseg_upload_t    u;

    static const char  bytes[] = "{}[],:\"\\ 05-.eEtfnu\xc3\xa9\xff\x01";
    static const char  sample[] =
        "{\"d\":[{\"type\":\"event\",\"evtName\":\"App Launched\",\"ts\":"
        "1767323045,\"identity\":\"I\",\"objectId\":\"\\u00e9\",\"evtData\":"
        "{\"a\":1,\"b\":\"x\",\"c\":[1,{\"d\":null}],\"Items\":[{\"n\":1}]}}"
        ",{\"type\":\"event\",\"evtName\":\"Charged\",\"FBID\":5,\"evtData\""
        ":{\"Items\":[{\"n\":1},{\"n\":true}],\"x\":-1.5e3}},[],7]}";

    (void) state;

    seed = 1;
    good = 0;
    len = sizeof(sample) - 1;
    memset(&u, 0, sizeof(u));
    memset(&out, 0, sizeof(out));

    for (i = 0; i < 60000; i++) {

        /* exactly as long as the text: a byte too far is seen */

        body = malloc(len);
        assert_non_null(body);
        memcpy(body, sample, len);
        n = 1 + test_chance(&seed) % 3;

        for (j = 0; j < n; j++) {
            at = test_chance(&seed) % len;

            switch (test_chance(&seed) % 3) {
            case 0:
                body[at] = bytes[test_chance(&seed) % (sizeof(bytes) - 1)];
                break;

            case 1:
                body[at] = sample[test_chance(&seed) % len];
                break;

            default:
                k = test_chance(&seed) % (unsigned) (len - at);
                memmove(body + at, sample + test_chance(&seed)
                                            % (len - k), k);
            }
        }

        text.data = body;
        text.len = test_chance(&seed) % 8 != 0 ? len
                                               : test_chance(&seed) % len;

        ctseg_upload_reset(&u);

        if (ctseg_upload_parse(&u, text, NOW, &err) == CTSEG_OK) {
            good++;

            for (j = 0; j < u.nevents; j++) {
                test_within(u.events[j].name, body, text.len);
                test_within(u.events[j].props, body, text.len);

                for (k = 0; k < CTSEG_ID_N; k++) {
                    test_within(u.events[j].id[k], body, text.len);
                }

                assert_true(u.events[j].kind <= CTSEG_KIND_LAST);
            }

            ctseg_buf_reset(&out);
            ctseg_upload_render(&out, &u);

            assert_int_equal(ctseg_json_scan(ctseg_buf_slice(&out), 32,
                                             test_any, NULL, &err),
                             CTSEG_OK);
        }

        free(body);
    }

    /* enough of them got behind the syntax to mean something */

    assert_in_range(good, 1000, 60000);

    a = ctseg_arena_create();
    assert_non_null(a);
    assert_int_equal(ctseg_json_parse(a, ctseg_str(sample), 16, 1000, &json,
                                      &err), CTSEG_OK);
    ctseg_arena_destroy(a);

    ctseg_upload_free(&u);
    ctseg_buf_free(&out);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_mutations)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
