/*
 * The first byte is the size of the pieces, the rest an export file.  In
 * pieces and as a whole it has the same events, parts and answer; each event
 * has a name, an id and properties that are a JSON object within the limits;
 * each line that is not empty is one of good, failed and the name.
 */

#include "clevertap/ctseg_file.h"
#include "fuzz.h"


static void
check_event(const ctseg_event_t *ev)
{
    unsigned  i, ids;

    ids = 0;

    fuzz_check(ev->kind <= CTSEG_KIND_LAST);
    fuzz_check((ev->kind == CTSEG_KIND_CUSTOM) == (ev->name.len != 0));
    fuzz_check(ev->name.len <= CTSEG_NAME_LEN_MAX);
    fuzz_check(ev->props.len <= CTSEG_PROPS_LEN_MAX);
    fuzz_check(ev->props.len == 0
               || fuzz_is_json(ev->props, CTSEG_INTAKE_DEPTH_MAX));

    for (i = 0; i < CTSEG_ID_N; i++) {
        fuzz_check(ev->id[i].len <= CTSEG_ID_LEN_MAX);
        ids += ev->id[i].len != 0;
    }

    fuzz_check(ids != 0);
}


static void
read_file(ctseg_buf_t *out, ctseg_str_t text, size_t step)
{
    size_t           at, n;
    ctseg_buf_t      answer = { NULL, 0, 0, false };
    ctseg_zone_t     zone;
    ctseg_file_t     f;
    ctseg_event_t    ev;
    ctseg_file_rc_t  rc;

    ctseg_zone_fixed(&zone, "UTC", 0);

    memset(&f, 0, sizeof(ctseg_file_t));
    f.zone = &zone;
    at = 0;

    do {
        n = text.len - at < step ? text.len - at : step;
        ctseg_file_feed(&f, (ctseg_str_t) { n, text.data + at },
                        at + n == text.len);
        at += n;

        for ( ;; ) {
            rc = ctseg_file_next(&f, &ev);

            if (rc != CTSEG_FILE_EVENT && rc != CTSEG_FILE_PART) {
                break;
            }

            ctseg_buf_char(out, rc == CTSEG_FILE_PART ? 'p' : 'e');

            if (rc == CTSEG_FILE_PART) {
                ctseg_buf_add(out, f.hash, CTSEG_HASH_LEN);
                continue;
            }

            check_event(&ev);
            ctseg_event_encode(out, &ev);
        }

    } while (rc == CTSEG_FILE_MORE);

    fuzz_check(rc == CTSEG_FILE_END);
    fuzz_check(f.good + f.failed <= f.lines.number);

    ctseg_file_render(&answer, &f);
    fuzz_check_json(&answer);
    ctseg_buf_str(out, ctseg_buf_slice(&answer));

    ctseg_buf_free(&answer);
    ctseg_file_free(&f);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ctseg_buf_t  whole = { NULL, 0, 0, false };
    ctseg_buf_t  pieces = { NULL, 0, 0, false };
    ctseg_str_t  text;

    if (size == 0) {
        return 0;
    }

    text = fuzz_str(data + 1, size - 1);

    read_file(&whole, text, text.len + 1);
    read_file(&pieces, text, (size_t) data[0] % 64 + 1);

    fuzz_check(ctseg_str_eq(ctseg_buf_slice(&whole),
                            ctseg_buf_slice(&pieces)));

    ctseg_buf_free(&whole);
    ctseg_buf_free(&pieces);

    return 0;
}
