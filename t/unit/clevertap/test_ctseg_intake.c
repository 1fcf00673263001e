/*
 * Records of type profile, and the client's own id of a record: a verdict for
 * each value that a profile may have and may not, the limits on both sides,
 * and what is kept.  By way of the upload, so that what is shown is also that
 * the tokens reach the judge; a body holds events and profiles mixed.
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

#define P    "\"type\":\"profile\",\"identity\":\"I\""
#define E    "\"type\":\"event\",\"identity\":\"I\",\"evtName\":\"x\""
#define D    P ",\"profileData\":"

#define X16  "xxxxxxxxxxxxxxxx"
#define X63  X16 X16 X16 "xxxxxxxxxxxxxxx"


static void
test_slice(ctseg_str_t s, const char *expect)
{
    assert_int_equal(s.len, strlen(expect));

    if (s.len != 0) {
        assert_memory_equal(s.data, expect, s.len);
    }
}


/* one record in a body that outlives u: 0, or its code; its text into out */

static int
test_record(ctseg_upload_t *u, const char *record, ctseg_buf_t *body,
    char *text, size_t size)
{
    ctseg_err_t  err;

    ctseg_buf_reset(body);
    ctseg_buf_fmt(body, "{\"d\":[{%s}]}", record);
    assert_false(body->failed);

    ctseg_upload_reset(u);
    assert_int_equal(ctseg_upload_parse(u, ctseg_buf_slice(body), NOW, &err),
                     CTSEG_OK);
    assert_int_equal(u->nevents + u->nfailed, 1);

    if (u->nevents == 1) {
        assert_int_equal(u->unprocessed.len, 0);
        text[0] = '\0';
        return 0;
    }

    ctseg_buf_char(&u->unprocessed, '\0');
    (void) snprintf(text, size, "%s", u->unprocessed.data);

    return (int) strtol(strstr(text, "\"code\":") + 7, NULL, 10);
}


static void
test_profiles(void **state)
{
    int              code;
    char             text[1024];
    size_t           i;
    ctseg_buf_t      body;
    ctseg_upload_t   u;

    static const struct {
        int          code;
        const char  *record;
        const char  *error;
    } cases[] = {
        { 0, P, "" },
        { 0, D "null", "" },
        { 0, D "{}", "" },
        { 0, D "{\"Name\":\"A\",\"n\":-1.5e3,\"b\":true,\"z\":null,"
          "\"DOB\":\"$D_631152000\"}", "" },
        { 0, D "{\"MSG-email\":false,\"MSG-push\":true}", "" },
        { 0, D "{\"a\":[]}", "" },
        { 0, D "{\"a\":[1,\"b\",true,null]}", "" },
        { 512, D "{\"a\":[[1]]}", "property a " },
        { 512, D "{\"a\":[1,{}]}", "property a " },
        { 512, D "{\"a\":[{\"b\":1}],\"c\":{}}", "property a " },
        { 512, D "[]", "profileData must be an object" },
        { 512, D "5", "profileData must be an object" },
        { 512, D "\"{}\"", "profileData must be an object" },
        { 512, D "[{\"Name\":1}]", "profileData must be an object" },

        { 0, D "{\"a\":{\"$add\":[\"x\"]}}", "" },
        { 0, D "{\"a\":{\"$remove\":[\"x\",1]}}", "" },
        { 0, D "{\"a\":{\"$set\":[]}}", "" },
        { 0, D "{\"a\":{\"$delete\":1}}", "" },
        { 0, D "{\"a\":{\"$delete\":true}}", "" },
        { 0, D "{\"a\":{\"$incr\":5}}", "" },
        { 0, D "{\"a\":{\"$decr\":-0.5}}", "" },
        { 0, D "{\"a\":{\"\\u0024incr\":5}}", "" },
        { 0, D "{\"a\":{\"$add\":[1]},\"b\":{\"$add\":[2]},\"c\":3}", "" },
        { 512, D "{\"a\":{}}", "$add" },
        { 512, D "{\"a\":{\"b\":1}}", "property a " },
        { 512, D "{\"a\":{\"$other\":[1]}}", "property a " },
        { 512, D "{\"a\":{\"$ADD\":[1]}}", "property a " },
        { 512, D "{\"a\":{\"$add\":\"x\"}}", "property a " },
        { 512, D "{\"a\":{\"$add\":{}}}", "property a " },
        { 512, D "{\"a\":{\"$add\":[[1]]}}", "property a " },
        { 512, D "{\"a\":{\"$add\":[{\"$add\":[1]}]}}", "property a " },
        { 512, D "{\"a\":{\"$incr\":\"5\"}}", "property a " },
        { 512, D "{\"a\":{\"$incr\":[5]}}", "property a " },
        { 512, D "{\"a\":{\"$decr\":null}}", "property a " },
        { 512, D "{\"a\":{\"$delete\":[1]}}", "property a " },
        { 512, D "{\"a\":{\"$delete\":{}}}", "property a " },
        { 512, D "{\"a\":{\"$add\":[1],\"$remove\":[2]}}", "property a " },
        { 512, D "{\"a\":{\"$add\":[1],\"b\":2}}", "property a " },

        /* an operator is none at the root, nor in an event */

        { 0, D "{\"$add\":[1]}", "" },
        { 512, E ",\"evtData\":{\"a\":{\"$add\":[1]}}", "property a " },
        { 512, E ",\"evtData\":{\"a\":[1]}", "property a " },

        { 0, D "{\"Gender\":\"M\",\"gender\":\"f\",\"GENDER\":\"O\"}", "" },
        { 0, D "{\"Gender\":\"Female\"}", "" },
        { 0, D "{\"Gender\":\"\",\"Email\":\" \",\"Phone\":null}", "" },
        { 0, D "{\"Gender\":{\"$delete\":1},\"Email\":{\"$delete\":1}}", "" },
        { 514, D "{\"Gender\":\"X\"}", "Gender" },
        { 514, D "{\"Gender\":\"Mx\"}", "Gender" },
        { 514, D "{\"Gender\":1}", "Gender" },
        { 514, D "{\"Gender\":[\"M\"]}", "Gender" },
        { 0, D "{\"Email\":\"a@b\"}", "" },
        { 0, D "{\"Email\":\"\\u00e9.a+b@sub.example\"}", "" },
        { 515, D "{\"Email\":\"a\"}", "Email" },
        { 515, D "{\"Email\":\"@b\"}", "Email" },
        { 515, D "{\"Email\":\"a@\"}", "Email" },
        { 515, D "{\"Email\":\"a b@c\"}", "Email" },
        { 515, D "{\"email\":5}", "Email" },
        { 515, D "{\"Email\":[\"a@b\"]}", "Email" },
        { 0, D "{\"Phone\":\"+14155550100\"}", "" },
        { 0, D "{\"Phone\":14155550100}", "" },
        { 0, D "{\"Phone\":\"(0049) 30-123.45/6\"}", "" },
        { 0, D "{\"Phone\":\"+123456789012345\"}", "" },
        { 516, D "{\"Phone\":\"+1234567890123456\"}", "Phone" },
        { 516, D "{\"Phone\":\"call me\"}", "Phone" },
        { 516, D "{\"Phone\":\"1+1\"}", "Phone" },
        { 516, D "{\"Phone\":\"+\"}", "Phone" },
        { 516, D "{\"Phone\":\"1\\u0000\"}", "Phone" },
        { 516, D "{\"Phone\":true}", "Phone" },
        { 516, D "{\"Phone\":1.5e3}", "Phone" },

        /* of an event these are properties like others */

        { 0, E ",\"evtData\":{\"Gender\":\"X\",\"Email\":5,\"Phone\":true}",
          "" },

        /* of the fields without a known form none is refused */

        { 0, D "{\"Employed\":\"maybe\",\"Education\":7,\"Married\":\"?\","
          "\"Age\":\"old\"}", "" },

        /* ids as of events; what is in the data is none */

        { 523, "\"type\":\"profile\",\"profileData\":{\"identity\":\"I\","
          "\"Email\":\"a@b\",\"Phone\":\"+1\"}", "identity" },
        { 523, "\"type\":\"profile\",\"email\":\"a@b\",\"phone\":\"1\"",
          "identity" },
        { 0, "\"type\":\"profile\",\"FBID\":\"f\"", "" },
        { 0, "\"type\":\"profile\",\"GPID\":1", "" },
        { 0, "\"type\":\"profile\",\"objectId\":\"o\"", "" },
        { 526, P ",\"objectId\":{}", "objectId" },
        { 525, P ",\"ts\":\"now\"", "ts" },

        /* a name and the other kind's data do not matter */

        { 0, P ",\"evtName\":7,\"evtData\":[{\"a\":{}}]", "" },
        { 0, E ",\"profileData\":{\"a\":{}}", "" },
        { 0, D "{\"Gender\":\"X\"},\"type\":\"event\",\"evtName\":\"x\"", "" },

        /* of two the last counts, whatever the first was */

        { 0, D "{\"a\":{}},\"profileData\":{\"b\":1}", "" },
        { 0, D "[],\"profileData\":{\"b\":1}", "" },
        { 512, D "{\"b\":1},\"profileData\":[]", "profileData" },

        { 0, E ",\"$id\":\"a\"", "" },
        { 0, P ",\"$id\":12345", "" },
        { 0, P ",\"$id\":\"" X63 "x\"", "" },
        { 0, P ",\"$id\":\"" X63 "\xc3\xa9\"", "" },
        { 0, P ",\"$id\":\"" X63 "\\ud83d\\ude00\"", "" },
        { 512, P ",\"$id\":\"" X63 "xx\"", "$id" },
        { 512, E ",\"$id\":\"" X63 "\xc3\xa9x\"", "$id" },
        { 512, E ",\"$id\":[]", "$id" },
        { 512, E ",\"$id\":{\"a\":1}", "$id" },
        { 512, E ",\"$id\":true", "$id" },
        { 0, E ",\"$id\":true,\"$id\":\"a\"", "" },
        { 0, E ",\"evtData\":{\"$id\":true}", "" },
        { 0, "\"type\":\"event\",\"identity\":\"I\",\"evtName\":\"CHARGED\","
          "\"evtData\":{\"Items\":[{}]}", "" }
    };

    (void) state;

    memset(&u, 0, sizeof(u));
    memset(&body, 0, sizeof(body));

    for (i = 0; i < N(cases); i++) {
        code = test_record(&u, cases[i].record, &body, text, sizeof(text));

        if (code != cases[i].code || strstr(text, cases[i].error) == NULL) {
            fail_msg("%s: %d: %s", cases[i].record, code, text);
        }
    }

    ctseg_buf_free(&body);
    ctseg_upload_free(&u);
}


static void
test_kept(void **state)
{
    size_t           i;
    const char      *body;
    ctseg_err_t      err;
    ctseg_event_t   *ev;
    ctseg_upload_t   u;

    (void) state;

    body = "{\"d\":[{" E ",\"$id\":\"e\\u00e91\",\"evtData\":{ \"a\" : 1 }},"
           "{\"profileData\":{ \"Name\" : \"\\u00e9\", \"l\":[ 1 ],"
           "\"x\":{\"$incr\":1e400}, \"d\":\"$D_1\" } ,"
           "\"$id\":00,\"type\":\"profile\"},"
           "{\"type\":\"other\"}]}";

    /* no JSON: a number has no two zeros */

    memset(&u, 0, sizeof(u));
    assert_int_equal(ctseg_upload_parse(&u, ctseg_str(body), NOW, &err),
                     CTSEG_INVALID);
    ctseg_upload_reset(&u);

    body = "{\"d\":[{" E ",\"$id\":\"e\\u00e91\",\"evtData\":{ \"a\" : 1 }},"
           "{\"profileData\":{ \"Name\" : \"\\u00e9\", \"l\":[ 1 ],"
           "\"x\":{\"$incr\":1e400}, \"d\":\"$D_1\" } ,\"FBID\":\"f\","
           "\"$id\":-0.50,\"type\":\"profile\",\"ts\":7,"
           "\"email\":\"e@x\",\"evtName\":\"App Launched\"},"
           "{\"type\":\"other\"},{" P ",\"$id\":\"  \"},"
           "{" E ",\"$id\":null}]}";

    assert_int_equal(ctseg_upload_parse(&u, ctseg_str(body), NOW, &err),
                     CTSEG_OK);
    assert_int_equal(u.nevents, 4);
    assert_int_equal(u.nfailed, 1);

    ev = &u.events[0];
    assert_int_equal(ev->kind, CTSEG_KIND_CUSTOM);
    test_slice(ev->name, "x");
    test_slice(ev->own_id, "e\\u00e91");
    test_slice(ev->props, "{ \"a\" : 1 }");

    ev = &u.events[1];
    assert_int_equal(ev->kind, CTSEG_KIND_PROFILE);
    test_slice(ev->name, "");
    test_slice(ev->own_id, "-0.50");
    test_slice(ev->props, "{ \"Name\" : \"\\u00e9\", \"l\":[ 1 ],"
               "\"x\":{\"$incr\":1e400}, \"d\":\"$D_1\" }");
    test_slice(ev->id[CTSEG_ID_IDENTITY], "");
    test_slice(ev->id[CTSEG_ID_FBID], "f");
    test_slice(ev->id[CTSEG_ID_EMAIL], "e@x");
    assert_int_equal(ev->time_ms, 7000);

    /* slices of the body, all of them */

    for (i = 0; i < u.nevents; i++) {
        if (u.events[i].props.len != 0) {
            assert_true(u.events[i].props.data > body
                        && u.events[i].props.data < body + strlen(body));
        }
    }

    /* no data, no own id */

    ev = &u.events[2];
    assert_int_equal(ev->kind, CTSEG_KIND_PROFILE);
    test_slice(ev->props, "");
    test_slice(ev->own_id, "");
    assert_int_equal(ev->time_ms, NOW);
    test_slice(u.events[3].own_id, "");

    ctseg_upload_free(&u);
}


/* properties and bytes: the last that is taken, the first that is not */

static void
test_limits(void **state)
{
    int              extra;
    char             text[512];
    unsigned         i;
    ctseg_buf_t      record, body;
    ctseg_upload_t   u;

    (void) state;

    memset(&u, 0, sizeof(u));
    memset(&body, 0, sizeof(body));
    memset(&record, 0, sizeof(record));

    for (extra = 0; extra < 2; extra++) {
        ctseg_buf_reset(&record);
        ctseg_buf_cstr(&record, D "{");

        for (i = 0; i < CTSEG_PROPS_N_MAX + (unsigned) extra; i++) {
            ctseg_buf_fmt(&record, "%s\"p%u\":[%u,2]", i != 0 ? "," : "", i,
                          i);
        }

        ctseg_buf_cstr(&record, "}");
        ctseg_buf_char(&record, '\0');
        assert_int_equal(test_record(&u, record.data, &body, text,
                                     sizeof(text)),
                         extra ? 522 : 0);
        assert_true(!extra || strstr(text, "Profile has 257") != NULL);

        ctseg_buf_reset(&record);
        ctseg_buf_cstr(&record, D "{\"p\":[\"");

        for (i = 0; i < CTSEG_PROPS_LEN_MAX - 10 + (unsigned) extra; i++) {
            ctseg_buf_char(&record, 'x');
        }

        ctseg_buf_cstr(&record, "\"]}");
        ctseg_buf_char(&record, '\0');
        assert_int_equal(test_record(&u, record.data, &body, text,
                                     sizeof(text)),
                         extra ? 512 : 0);
        assert_true(extra || u.events[0].props.len == CTSEG_PROPS_LEN_MAX);
    }

    ctseg_buf_free(&record);
    ctseg_buf_free(&body);
    ctseg_upload_free(&u);
}


static void
test_epoch(void **state)
{
    int64_t  ms;

    (void) state;

    assert_true(ctseg_intake_epoch(0, &ms) && ms == 0);
    assert_true(ctseg_intake_epoch(99999999999, &ms) && ms == 99999999999000);
    assert_true(ctseg_intake_epoch(100000000000, &ms) && ms == 100000000000);
    assert_true(ctseg_intake_epoch(9999999999999, &ms));
    assert_false(ctseg_intake_epoch(10000000000000, &ms));
    assert_false(ctseg_intake_epoch(-1, &ms));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_epoch)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
