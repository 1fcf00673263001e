/*
 * Memory that lacks, from the upload of an event to its message, and for the
 * one message that tests a partner.  See nomem_test.h.
 */

#include "nomem_test.h"

#include "segment_test.h"

#include "clevertap/ctseg_upload.h"
#include "segment/ctseg_probe.h"


#define EVENTS  200


/* an upload of many events with all that costs memory, two of them wrong */

static ctseg_str_t
body(void)
{
    static ctseg_buf_t  b;
    unsigned            i;

    if (b.len != 0) {
        return ctseg_buf_slice(&b);
    }

    ctseg_buf_cstr(&b, "{\"d\":[{\"evtName\":7},{\"type\":\"profile\","
                   "\"identity\":\"p\",\"$id\":\"\\u00e9\","
                   "\"profileData\":{\"Email\":\"bad\"}}");

    for (i = 0; i < EVENTS; i++) {
        ctseg_buf_fmt(&b, ",{\"type\":\"event\",\"evtName\":\"Caf\\u00e9 %u\","
                      "\"identity\":\"u\\\"%u\",\"ts\":1767323045,"
                      "\"evtData\":{\"a \\ud83d\\ude00\":-1.5e3,"
                      "\"ct_app_version\":\"1\","
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
    pinned.mapping.context = true;
    pinned.mapping.names = CTSEG_NAMES_CANONICAL;
    memcpy(pinned.mapping.integrations, "{\"All\":false}", 14);

    rc = ctseg_upload_parse(&u, body(), TEST_TIME_MS, &err);

    if (rc == CTSEG_OK) {
        assert_int_equal(u.nfailed, 2);
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


/* updates of profiles, put together, one of nobody */

static ctseg_rc_t
profiles(ctseg_buf_t *out)
{
    unsigned        i;
    ctseg_rc_t      rc;
    ctseg_batch_t   batch;
    ctseg_event_t   ev;
    ctseg_pinned_t  pinned;

    memset(&batch, 0, sizeof(batch));
    test_pinned(&pinned);
    pinned.kinds = ctseg_kind_bit(CTSEG_KIND_PROFILE);

    ctseg_batch_begin(&batch, &pinned, TEST_INSTALLATION, "key", 0);

    for (i = 0; i < 6; i++) {
        test_event(&ev, "", i == 4 ? NULL : i % 2 == 0 ? "I" : "J",
                   i % 3 == 0 ? "{\"a\":1,\"Name\":\"x\"}" : "{\"b\":2}");
        ev.kind = CTSEG_KIND_PROFILE;
        ev.id[CTSEG_ID_PHONE] = ctseg_str("P");

        if (!ctseg_batch_offer(&batch, &ev)) {
            break;
        }
    }

    if (batch.rc == CTSEG_OK) {
        ctseg_batch_end(&batch);
    }

    rc = batch.rc;

    if (rc == CTSEG_OK) {
        assert_int_equal(batch.events, 2);
        assert_int_equal(batch.counts.filtered, 3);
        assert_int_equal(batch.counts.rejected, 1);
        ctseg_buf_str(out, ctseg_buf_slice(&batch.body));
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_batch_free(&batch);

    return rc;
}


static ctseg_rc_t
probe(ctseg_buf_t *out)
{
    char             id[CTSEG_PROBE_ID_MAX];
    ctseg_rc_t       rc;
    ctseg_batch_t    batch;
    ctseg_partner_t  p;

    memset(&batch, 0, sizeof(batch));
    memset(&p, 0, sizeof(p));
    memcpy(p.write_key, "key", 4);
    p.user_id.field = CTSEG_ID_IDENTITY;
    p.anonymous_id.field = CTSEG_ID_OBJECT;

    ctseg_probe_compose(&batch, id, &p, TEST_INSTALLATION, TEST_TIME_MS);
    rc = batch.rc;

    if (rc == CTSEG_OK) {
        ctseg_buf_str(out, ctseg_buf_slice(&batch.body));
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_batch_free(&batch);

    return rc;
}


static void
test_events(void **state)
{
    (void) state;

    nomem_sweep(events);
}


static void
test_profiles(void **state)
{
    (void) state;

    nomem_sweep(profiles);
}


static void
test_probe(void **state)
{
    (void) state;

    nomem_sweep(probe);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_probe)
    };

    (void) body();

    return cmocka_run_group_tests(tests, NULL, NULL);
}
