/*
 * Runs and exports as the API shows them, byte by byte, and the arithmetic
 * of percent and remaining time at its edges.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_str.h"
#include "../../../src/model/ctseg_run.h"


#define T0  1767323045678LL             /* 2026-01-02T03:04:05.678Z */
#define AT  "\"2026-01-02T03:04:05.678Z\""

#define RUN                                                                  \
    "{\"number\":3,\"status\":\"running\",\"scheduled_for\":" AT ","         \
    "\"started_at\":" AT ",\"finished_at\":null,\"after_sequence\":100,"     \
    "\"to_sequence\":300,\"export_revision\":2,\"scanned\":50,\"sent\":40,"  \
    "\"filtered\":7,\"rejected\":3,\"rejected_by_reason\":{\"no_id\":1,"     \
    "\"too_large\":2,\"refused\":0,\"expired\":0,\"no_name\":0,"             \
    "\"damaged\":0,\"future_time\":0},"                                      \
    "\"waiting\":150,\"batches\":4,\"retries\":1,"                           \
    "\"coalesced_slots\":0,\"retry_at\":null,\"last_error\":null}"


static void
test_run(ctseg_run_t *run)
{
    memset(run, 0, sizeof(ctseg_run_t));

    run->number = 3;
    run->status = CTSEG_RUN_RUNNING;
    run->export_revision = 2;
    run->lo = 100;
    run->hi = 300;
    run->cursor = 150;
    run->counts.scanned = 50;
    run->counts.sent = 40;
    run->counts.filtered = 7;
    run->counts.rejected = 3;
    run->counts.rejects[CTSEG_REJECT_NO_ID] = 1;
    run->counts.rejects[CTSEG_REJECT_TOO_LARGE] = 2;
    run->counts.batches = 4;
    run->counts.retries = 1;
    run->scheduled_ms = T0;
    run->started_ms = T0;
    memcpy(run->owner, "host/1", 7);
    memcpy(run->pinned.fingerprint, "0123456789abcdef", 17);
}


static void
test_export(ctseg_export_t *e)
{
    memset(e, 0, sizeof(ctseg_export_t));

    memcpy(e->id, "e1", 3);
    memcpy(e->partner_id, "p1", 3);
    e->type = CTSEG_TYPE_EVENT;
    e->set = CTSEG_SET_SELECTED;
    e->kinds = ctseg_kind_bit(18) | ctseg_kind_bit(3);
    e->priority[0] = CTSEG_ID_IDENTITY;
    e->priority[1] = CTSEG_ID_OBJECT;
    e->npriority = 2;
    e->freq = CTSEG_FREQ_ONE_TIME;
    memcpy(e->from, "2026-01-01", 11);
    memcpy(e->to, "2026-01-02", 11);
    e->status = CTSEG_PENDING;
    e->revision = 1;
    e->created_ms = T0;
    e->next_run_ms = T0;
    memcpy(e->exported_on, "2026-01-02", 11);
}


/* the export's page with a NUL behind it */

static const char *
test_page(ctseg_buf_t *b, const ctseg_export_t *e, const ctseg_run_t *last,
    int64_t now)
{
    ctseg_limits_t       limits = { 0, 0 };
    ctseg_json_writer_t  w = { b, false };

    ctseg_buf_reset(b);
    ctseg_export_render(&w, NULL, e, last, &limits, now);
    ctseg_buf_char(b, '\0');
    assert_false(b->failed);

    return b->data;
}


static void
test_run_page(void **state)
{
    ctseg_buf_t          b = { NULL, 0, 0, false };
    ctseg_run_t          run;
    ctseg_json_writer_t  w = { &b, false };

    (void) state;

    test_run(&run);
    ctseg_run_render(&w, NULL, &run);
    assert_true(ctseg_str_is(ctseg_buf_slice(&b), RUN));

    /* an error with an answer, one without, and a retry to come */

    memcpy(run.error, "rate \"limit\"", 13);
    run.error_status = 429;
    run.error_ms = T0;
    run.retry_at_ms = T0 + 1000;
    run.finished_ms = T0;
    run.status = CTSEG_RUN_FAILED;

    ctseg_buf_reset(&b);
    w.comma = false;
    ctseg_run_render(&w, NULL, &run);
    ctseg_buf_char(&b, '\0');

    assert_non_null(strstr(b.data, "\"status\":\"failed\""));
    assert_non_null(strstr(b.data, "\"finished_at\":" AT));
    assert_non_null(strstr(b.data,
        "\"retry_at\":\"2026-01-02T03:04:06.678Z\",\"last_error\":{"
        "\"status\":429,\"message\":\"rate \\\"limit\\\"\",\"at\":" AT "}}"));

    run.error_status = 0;
    ctseg_buf_reset(&b);
    w.comma = false;
    ctseg_run_render(&w, NULL, &run);
    ctseg_buf_char(&b, '\0');

    assert_non_null(strstr(b.data, "\"last_error\":{\"status\":null,"));

    ctseg_buf_free(&b);
}


static void
test_export_page(void **state)
{
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_run_t     run;
    ctseg_export_t  e;

    (void) state;

    test_export(&e);

    assert_string_equal(test_page(&b, &e, NULL, T0),
        "{\"id\":\"e1\",\"partner_id\":\"p1\",\"type\":\"event\","
        "\"format\":\"json\",\"events\":{\"set\":\"selected\",\"names\":["
        "\"Notification Clicked\",\"App Launched\"]},"
        "\"identifier_priority\":[\"identity\",\"objectId\"],"
        "\"frequency\":{\"kind\":\"one_time\",\"from\":\"2026-01-01\","
        "\"to\":\"2026-01-02\"},"
        "\"mapping\":{\"context\":false,\"names\":\"original\","
        "\"integrations\":null,\"future\":\"keep\"},"
        "\"status\":\"PENDING\",\"stop_reason\":null,"
        "\"revision\":1,\"created_at\":" AT ",\"exported_on\":\"2026-01-02\","
        "\"next_run_at\":" AT ",\"last_run\":null,\"progress\":{\"sent\":0,"
        "\"rejected\":0,\"filtered\":0,\"waiting\":0,\"percent\":0,"
        "\"eta_seconds\":null}}");

    test_run(&run);
    e.set = CTSEG_SET_SYSTEM;
    memcpy(e.range, "yesterday", 10);
    e.status = CTSEG_RUNNING;
    e.next_run_ms = 0;

    /* 50 in 10 seconds, 150 to go */

    assert_string_equal(test_page(&b, &e, &run, T0 + 10000),
        "{\"id\":\"e1\",\"partner_id\":\"p1\",\"type\":\"event\","
        "\"format\":\"json\",\"events\":{\"set\":\"system\"},"
        "\"identifier_priority\":[\"identity\",\"objectId\"],"
        "\"frequency\":{\"kind\":\"one_time\",\"from\":\"2026-01-01\","
        "\"to\":\"2026-01-02\",\"range\":\"yesterday\"},"
        "\"mapping\":{\"context\":false,\"names\":\"original\","
        "\"integrations\":null,\"future\":\"keep\"},"
        "\"status\":\"RUNNING\",\"stop_reason\":null,"
        "\"revision\":1,\"created_at\":" AT ",\"exported_on\":\"2026-01-02\","
        "\"next_run_at\":null,\"last_run\":" RUN ",\"progress\":{\"sent\":40,"
        "\"rejected\":3,\"filtered\":7,\"waiting\":150,\"percent\":25,"
        "\"eta_seconds\":30}}");

    /* once it is stopped, there is no end to wait for */

    e.status = CTSEG_STOPPED;
    e.stop_reason = CTSEG_STOP_ERRORS;
    assert_non_null(strstr(test_page(&b, &e, &run, T0 + 10000),
                           "\"eta_seconds\":null}}"));
    assert_non_null(strstr(b.data, "\"stop_reason\":\"errors\""));

    ctseg_buf_free(&b);
}


static void
test_other_kinds(void **state)
{
    const char     *text;
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_export_t  e;

    (void) state;

    test_export(&e);
    e.freq = CTSEG_FREQ_RECURRING;
    e.every_hours = 4;
    memcpy(e.start_date, "2026-01-05", 11);
    text = test_page(&b, &e, NULL, T0);
    assert_non_null(strstr(text, "\"frequency\":{\"kind\":\"recurring\","
                                 "\"every_hours\":4,\"start_date\":"
                                 "\"2026-01-05\"},"));

    e.freq = CTSEG_FREQ_LIVE;
    text = test_page(&b, &e, NULL, T0);
    assert_non_null(strstr(text, "\"frequency\":{\"kind\":\"live\"},"));

    e.type = CTSEG_TYPE_PROFILE;
    text = test_page(&b, &e, NULL, T0);
    assert_non_null(strstr(text, "\"type\":\"profile\""));
    assert_null(strstr(text, "\"events\""));

    ctseg_buf_free(&b);
}


static void
test_progress(void **state)
{
    size_t          i;
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_run_t     run;
    ctseg_export_t  e;

    static const struct {
        uint64_t             hi;
        uint64_t             scanned;
        ctseg_run_status_t   run;
        ctseg_status_t       status;
        int64_t              after;
        const char          *tail;
    } cases[] = {
        { 1000, 0, CTSEG_RUN_RUNNING, CTSEG_RUNNING, 5000,
          "\"waiting\":1000,\"percent\":0,\"eta_seconds\":null}}" },
        { 1000, 999, CTSEG_RUN_RUNNING, CTSEG_RUNNING, 999000,
          "\"waiting\":1,\"percent\":99,\"eta_seconds\":1}}" },
        { 1000, 1000, CTSEG_RUN_SUCCEEDED, CTSEG_DONE, 5000,
          "\"waiting\":0,\"percent\":100,\"eta_seconds\":null}}" },
        { 1000, 500, CTSEG_RUN_STOPPED, CTSEG_STOPPED, 5000,
          "\"waiting\":500,\"percent\":50,\"eta_seconds\":null}}" },
        { 1000, 500, CTSEG_RUN_RUNNING, CTSEG_RUNNING, 0,
          "\"waiting\":500,\"percent\":50,\"eta_seconds\":null}}" },
        { 1000, 500, CTSEG_RUN_RUNNING, CTSEG_RUNNING, -5000,
          "\"waiting\":500,\"percent\":50,\"eta_seconds\":null}}" },
        { 0, 0, CTSEG_RUN_SUCCEEDED, CTSEG_DONE, 1,
          "\"waiting\":0,\"percent\":100,\"eta_seconds\":null}}" },
        { UINT64_MAX, 1, CTSEG_RUN_RUNNING, CTSEG_RUNNING, 5000,
          "\"waiting\":18446744073709551614,\"percent\":0,"
          "\"eta_seconds\":null}}" },
        { UINT64_MAX, UINT64_MAX - 1, CTSEG_RUN_RUNNING, CTSEG_RUNNING, 5000,
          "\"waiting\":1,\"percent\":99,\"eta_seconds\":0}}" }
    };

    (void) state;

    test_export(&e);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char  *text;

        memset(&run, 0, sizeof(run));
        run.hi = cases[i].hi;
        run.counts.scanned = cases[i].scanned;
        run.counts.sent = cases[i].scanned;
        run.cursor = cases[i].scanned;
        run.status = cases[i].run;
        run.started_ms = T0;
        e.status = cases[i].status;

        text = test_page(&b, &e, &run, T0 + cases[i].after);

        text = strstr(text, "\"progress\"");
        assert_non_null(text);
        text = strstr(text, "\"waiting\"");
        assert_non_null(text);
        assert_string_equal(text, cases[i].tail);
    }

    ctseg_buf_free(&b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_run_page),
        cmocka_unit_test(test_export_page),
        cmocka_unit_test(test_other_kinds),
        cmocka_unit_test(test_progress)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
