/*
 * Something that may be gzip.  The first byte says how large the slices and
 * windows are: inflated in one piece and in many the outcome is the same, and
 * never more than the bound.  The rest as a text of its own, compressed,
 * comes back; without its last byte it does not.
 */

#include <zlib.h>

#include "base/ctseg_gzip.h"
#include "fuzz.h"


#define BOUND  100000


static ctseg_rc_t
streamed(ctseg_str_t in, size_t slice, size_t size, ctseg_buf_t *out)
{
    char           window[256];
    size_t         n;
    ctseg_rc_t     rc;
    ctseg_str_t    s;
    ctseg_gzip_t  *z;

    z = ctseg_gzip_create();
    fuzz_check(z != NULL);
    rc = CTSEG_OK;

    while (rc == CTSEG_OK && in.len != 0) {
        s.data = in.data;
        s.len = in.len < slice ? in.len : slice;
        in.data += s.len;
        in.len -= s.len;

        do {
            rc = ctseg_gzip_feed(z, &s, window, size, &n, NULL);
            fuzz_check(n <= size);

            if (rc == CTSEG_OK) {
                ctseg_buf_add(out, window, n);

                if (out->len > BOUND) {
                    rc = CTSEG_TOOBIG;
                }
            }

        } while (rc == CTSEG_OK && n == size);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_gzip_finish(z, NULL);
    }

    ctseg_gzip_destroy(z);

    return rc;
}


static void
check_back(ctseg_str_t text)
{
    z_stream     z;
    ctseg_buf_t  in = { NULL, 0, 0, false };
    ctseg_buf_t  out = { NULL, 0, 0, false };

    memset(&z, 0, sizeof(z));
    fuzz_check(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, 0) == Z_OK);
    ctseg_buf_reserve(&in, deflateBound(&z, text.len) + 32);

    z.next_in = (z_const Bytef *) text.data;
    z.avail_in = (uInt) text.len;
    z.next_out = (Bytef *) in.data;
    z.avail_out = (uInt) in.cap;
    fuzz_check(deflate(&z, Z_FINISH) == Z_STREAM_END);
    in.len = z.total_out;
    (void) deflateEnd(&z);

    fuzz_check(ctseg_gzip_inflate(ctseg_buf_slice(&in), text.len, &out, NULL)
               == CTSEG_OK);
    fuzz_check(ctseg_str_eq(ctseg_buf_slice(&out), text));

    if (text.len != 0) {
        fuzz_check(ctseg_gzip_inflate(ctseg_buf_slice(&in), text.len - 1,
                                      &out, NULL) == CTSEG_TOOBIG);
    }

    in.len--;
    fuzz_check(ctseg_gzip_inflate(ctseg_buf_slice(&in), text.len, &out, NULL)
               == CTSEG_INVALID);
    fuzz_check(out.len == text.len);

    ctseg_buf_free(&in);
    ctseg_buf_free(&out);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ctseg_rc_t   rc, slices;
    ctseg_buf_t  one = { NULL, 0, 0, false };
    ctseg_buf_t  two = { NULL, 0, 0, false };
    ctseg_err_t  err;
    ctseg_str_t  in;

    if (size == 0) {
        return 0;
    }

    in = fuzz_str(data + 1, size - 1);
    rc = ctseg_gzip_inflate(in, BOUND, &one, &err);

    fuzz_check(rc == CTSEG_OK || rc == CTSEG_INVALID || rc == CTSEG_TOOBIG);
    fuzz_check(one.len <= BOUND && (rc == CTSEG_OK || one.len == 0));
    fuzz_check(one.cap <= 2 * (BOUND + 32768));
    fuzz_check(rc != CTSEG_INVALID
               || (err.offset <= in.len && err.text[0] != '\0'));

    slices = streamed(in, 1 + (data[0] & 15), 1 + (size_t) data[0], &two);

    /* damage in the window in which the bound lies may be seen first or not */

    fuzz_check((slices == CTSEG_OK) == (rc == CTSEG_OK));
    fuzz_check(slices == rc || two.len > BOUND - 32768);

    if (rc == CTSEG_OK) {
        fuzz_check(ctseg_str_eq(ctseg_buf_slice(&one),
                                ctseg_buf_slice(&two)));
    }

    check_back(in);

    ctseg_buf_free(&one);
    ctseg_buf_free(&two);

    return 0;
}
