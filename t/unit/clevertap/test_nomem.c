/*
 * Memory that lacks where an answer of CleverTap's history is read: a page of
 * good records and wrong ones, and one that is none.  See nomem_test.h.
 */

#include "nomem_test.h"

#include <string.h>

#include "base/ctseg_str.h"
#include "clevertap/ctseg_pull.h"


static bool
on_record(void *data, const ctseg_event_t *ev, const ctseg_event_t *profile)
{
    ctseg_buf_t  *out = data;

    ctseg_event_encode(out, ev);

    if (profile != NULL) {
        ctseg_event_encode(out, profile);
    }

    return !out->failed;
}


static ctseg_rc_t
read_answer(ctseg_buf_t *out, const char *body)
{
    ctseg_rc_t    rc;
    ctseg_zone_t  zone;
    ctseg_pull_t  p;

    ctseg_zone_fixed(&zone, "UTC", 0);
    memset(&p, 0, sizeof(p));
    p.zone = &zone;
    p.name = ctseg_str("Char\\u0067ed");

    rc = ctseg_pull_read(&p, 200, ctseg_str(body), true, on_record, out);

    if (rc == CTSEG_OK) {
        ctseg_buf_fmt(out, "%d %s ", (int) p.rc, p.text);
        ctseg_buf_str(out, ctseg_buf_slice(&p.cursor));
        ctseg_buf_str(out, ctseg_buf_slice(&p.unprocessed));
        rc = out->failed ? CTSEG_NOMEM : CTSEG_OK;
    }

    ctseg_pull_free(&p);

    return rc;
}


static ctseg_rc_t
page(ctseg_buf_t *out)
{
    return read_answer(out, "{\"status\":\"success\",\"next_cursor\":\"a%2F"
                       "\\u0062\",\"records\":[{\"profile\":{\"identity\":"
                       "\"u\",\"platform\":\"iOS\",\"profileData\":{\"a\":1}},"
                       "\"ts\":1,\"event_props\":{\"\\u0062\":[2]},"
                       "\"session_props\":{\"c\":3},\"items\":[{\"Items|d\":"
                       "4}]},7,{\"ts\":1},{\"x\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]"
                       "]]]]]},{\"profile\":{\"email\":\"e\"},\"ts\":2}]}");
}


/* with a string that takes pieces: what is short costs no allocation */

static ctseg_rc_t
refusal(ctseg_buf_t *out)
{
    unsigned     i;
    char        *p;

    static char  body[8192];

    p = stpcpy(body, "{\"status\":\"fail\",\"code\":2,\"error\":"
               "\"Request still in progress, please come back in a"
               " while; this is \\u0061 text of more than a hundred"
               " bytes\",\"more\":\"");

    for (i = 0; i < 1000; i++) {
        p = stpcpy(p, "\\ud800");
    }

    (void) stpcpy(p, "\"}");

    return read_answer(out, body);
}


static void
test_page(void **state)
{
    (void) state;

    nomem_sweep(page);
}


static void
test_refusal(void **state)
{
    (void) state;

    nomem_sweep(refusal);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_refusal)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
