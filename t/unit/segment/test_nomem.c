/*
 * Memory that lacks, from the upload of an event to its message: the whole
 * way is gone with the first allocation failing, then the second, and so on
 * until it is gone through without meeting the fault.  Each time somebody has
 * to say so, nothing may be done by halves, nothing leaked.  What is written
 * with all the memory is the measure.
 */

#include "../../fault/ctseg_disk.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "segment_test.h"

#include "clevertap/ctseg_upload.h"
#include "model/ctseg_run.h"
#include "store/ctseg_record.h"


#define EVENTS  200


static ctseg_disk_t  memory;


/* an upload of many events with all that costs memory, one of them wrong */

static ctseg_str_t
body(void)
{
    static ctseg_buf_t  b;
    unsigned            i;

    if (b.len != 0) {
        return ctseg_buf_slice(&b);
    }

    ctseg_buf_cstr(&b, "{\"d\":[{\"evtName\":7}");

    for (i = 0; i < EVENTS; i++) {
        ctseg_buf_fmt(&b, ",{\"type\":\"event\",\"evtName\":\"Caf\\u00e9 %u\","
                      "\"identity\":\"u\\\"%u\",\"ts\":1767323045,"
                      "\"evtData\":{\"a \\ud83d\\ude00\":-1.5e3,"
                      "\"text\":\"line\\nand \\\\ %0200u\"}}", i, i, i);
    }

    ctseg_buf_cstr(&b, "]}");
    assert_false(b.failed);

    return ctseg_buf_slice(&b);
}


/* upload, log, batch: the messages into out */

static ctseg_rc_t
events(ctseg_buf_t *out)
{
    unsigned               i;
    ctseg_rc_t             rc;
    ctseg_err_t            err;
    ctseg_buf_t            log;
    ctseg_str_t            rest;
    ctseg_event_t          ev;
    ctseg_batch_t          batch;
    ctseg_upload_t         u;
    ctseg_pinned_t         pinned;

    memset(&u, 0, sizeof(u));
    memset(&log, 0, sizeof(log));
    memset(&batch, 0, sizeof(batch));
    test_pinned(&pinned);
    pinned.kinds = ~(ctseg_kinds_t) 0;

    rc = ctseg_upload_parse(&u, body(), TEST_TIME_MS, &err);

    if (rc == CTSEG_OK) {
        assert_int_equal(u.nfailed, 1);
        assert_int_equal(u.nevents, EVENTS);
        ctseg_upload_render(out, &u);

        for (i = 0; i < u.nevents; i++) {
            ctseg_event_encode(&log, &u.events[i]);
        }

        rc = log.failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    if (rc == CTSEG_OK) {
        rest = ctseg_buf_slice(&log);
        ctseg_batch_begin(&batch, &pinned, TEST_INSTALLATION, "key", 0);

        while (ctseg_event_decode(&rest, &ev) == CTSEG_OK
               && ctseg_batch_offer(&batch, &ev)) { /* void */ }

        if (batch.rc == CTSEG_OK) {
            ctseg_batch_end(&batch);
        }

        rc = batch.rc;
    }

    if (rc == CTSEG_OK) {
        assert_int_equal(batch.events, EVENTS);
        ctseg_buf_str(out, ctseg_buf_slice(&batch.body));
        ctseg_batch_authorization(out, "key");
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_batch_free(&batch);
    ctseg_buf_free(&log);
    ctseg_upload_free(&u);

    return rc;
}


/* a call of the API: parsed, stored as a record, read, rendered */

static ctseg_rc_t
partner(ctseg_buf_t *out)
{
    ctseg_rc_t            rc;
    ctseg_err_t           err;
    ctseg_buf_t           stored;
    ctseg_json_t         *root;
    ctseg_arena_t        *a;
    ctseg_health_t        health = { "ok", NULL, 0, 0 };
    ctseg_record_t        r;
    ctseg_partner_t       p;
    ctseg_problems_t      problems;
    ctseg_json_writer_t   w;

    static const char  text[] =
        "{\"nickname\":\"Caf\\u00e9 \\\"one\\\"\",\"write_key\":\"abc\","
        "\"region\":\"eu\",\"identifiers\":{\"user_id\":\"identity\"}}";

    memset(&p, 0, sizeof(p));
    memset(&problems, 0, sizeof(problems));
    memset(&stored, 0, sizeof(stored));

    a = ctseg_arena_create();

    if (a == NULL) {
        return CTSEG_NOMEM;
    }

    rc = ctseg_json_parse(a, ctseg_str(text), 8, 100, &root, &err);

    if (rc != CTSEG_OK) {
        ctseg_arena_destroy(a);
        return rc;
    }

    (void) ctseg_partner_parse(&p, root, false, &problems);
    ctseg_arena_destroy(a);

    ctseg_record_begin(&stored, CTSEG_RECORD_META);
    ctseg_record_cstr(&stored, 1, p.nickname);
    ctseg_record_end(&stored);
    rc = stored.failed ? CTSEG_NOMEM : CTSEG_OK;

    if (rc == CTSEG_OK) {
        rc = ctseg_record_open(&r, ctseg_buf_slice(&stored),
                               CTSEG_RECORD_META);
    }

    ctseg_buf_free(&stored);

    if (rc == CTSEG_OK) {
        w.buf = out;
        w.comma = false;
        ctseg_partner_render(&w, &p, &health);
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    return rc;
}


static void
sweep(ctseg_rc_t (*way)(ctseg_buf_t *out))
{
    int64_t             n;
    ctseg_rc_t          rc;
    ctseg_buf_t         whole, out;
    ctseg_disk_rule_t  *r;

    memset(&whole, 0, sizeof(whole));
    assert_int_equal(way(&whole), CTSEG_OK);
    assert_true(whole.len > 100);

    r = &memory.rule[0];

    for (n = 1; /* void */ ; n++) {
#ifdef CTSEG_DISK_MEMORY
        int64_t  live = ctseg_disk_live;
#endif

        memset(&memory, 0, sizeof(memory));
        r->error = 1;
        r->left = n;
        r->kinds = CTSEG_DISK_ALLOC;

        memset(&out, 0, sizeof(out));
        ctseg_disk = &memory;
        rc = way(&out);
        ctseg_disk = NULL;

        if (rc == CTSEG_OK) {
            assert_int_equal(out.len, whole.len);
            assert_memory_equal(out.data, whole.data, out.len);

        } else {
            assert_int_equal(rc, CTSEG_NOMEM);
        }

        ctseg_buf_free(&out);

#ifdef CTSEG_DISK_MEMORY
        assert_int_equal(ctseg_disk_live, live);
#endif

        if (r->hits == 0) {
            break;
        }

        assert_int_not_equal(rc, CTSEG_OK);
    }

    assert_int_equal(rc, CTSEG_OK);
    print_message("# %d allocations\n", (int) n - 1);

#ifdef CTSEG_DISK_MEMORY
    assert_true(n > 5);
#endif

    ctseg_buf_free(&whole);
}


static void
test_events(void **state)
{
    (void) state;

    sweep(events);
}


static void
test_partner(void **state)
{
    (void) state;

    sweep(partner);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_partner)
    };

    (void) body();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
