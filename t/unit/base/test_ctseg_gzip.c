/*
 * Inflating gzip: what zlib itself compressed comes back, in slices and
 * windows of every size; every byte that is cut off or changed is noticed,
 * with its place; a bomb costs no more than the bound.  The last test lets
 * each allocation fail in turn.
 */

#include "../../fault/ctseg_disk.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <zlib.h>

#include "base/ctseg_gzip.h"
#include "base/ctseg_str.h"


static ctseg_disk_t  memory;


/* one member, appended */

static void
test_gzip(ctseg_buf_t *out, const char *text, size_t len)
{
    z_stream  z;

    memset(&z, 0, sizeof(z));
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8,
                                  Z_DEFAULT_STRATEGY), Z_OK);

    ctseg_buf_reserve(out, deflateBound(&z, len) + 32);
    assert_false(out->failed);

    z.next_in = (z_const Bytef *) text;
    z.avail_in = (uInt) len;
    z.next_out = (Bytef *) out->data + out->len;
    z.avail_out = (uInt) (out->cap - out->len);

    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len += z.total_out;
    (void) deflateEnd(&z);
}


static void
test_whole(void **state)
{
    size_t       i, len;
    ctseg_err_t  err;
    ctseg_buf_t  text, in, out;

    static const size_t  lens[] = { 0, 1, 32767, 32768, 32769, 200000 };

    (void) state;

    memset(&text, 0, sizeof(text));
    memset(&in, 0, sizeof(in));
    memset(&out, 0, sizeof(out));

    for (i = 0; i < 200000; i++) {
        ctseg_buf_char(&text, (char) ('a' + i * i % 23));
    }

    for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        len = lens[i];
        ctseg_buf_reset(&in);
        test_gzip(&in, text.data, len);

        ctseg_buf_reset(&out);
        ctseg_buf_cstr(&out, "before");
        assert_int_equal(ctseg_gzip_inflate(ctseg_buf_slice(&in), len, &out,
                                            &err), CTSEG_OK);
        assert_int_equal(out.len, 6 + len);
        assert_memory_equal(out.data, "before", 6);
        assert_true(len == 0 || memcmp(out.data + 6, text.data, len) == 0);

        /* one byte too many */

        if (len != 0) {
            assert_int_equal(ctseg_gzip_inflate(ctseg_buf_slice(&in), len - 1,
                                                &out, &err), CTSEG_TOOBIG);
            assert_int_equal(out.len, 6 + len);
        }

        /* two members and an empty one are one text */

        test_gzip(&in, "", 0);
        test_gzip(&in, "behind", 6);
        ctseg_buf_reset(&out);
        assert_int_equal(ctseg_gzip_inflate(ctseg_buf_slice(&in), SIZE_MAX,
                                            &out, &err), CTSEG_OK);
        assert_int_equal(out.len, len + 6);
        assert_memory_equal(out.data + len, "behind", 6);
    }

    ctseg_buf_free(&text);
    ctseg_buf_free(&in);
    ctseg_buf_free(&out);
}


static void
test_streamed(void **state)
{
    char           window[64];
    size_t         n, slice, size, at;
    ctseg_err_t    err;
    ctseg_buf_t    in, out;
    ctseg_str_t    s;
    ctseg_gzip_t  *z;

    static const char  text[] = "once upon a time upon a time upon a time"
                                " 0123456789 0123456789 0123456789";

    (void) state;

    memset(&in, 0, sizeof(in));
    memset(&out, 0, sizeof(out));
    test_gzip(&in, text, 40);
    test_gzip(&in, text + 40, sizeof(text) - 41);

    for (slice = 1; slice <= in.len; slice++) {
        for (size = 1; size <= sizeof(window); size += 7) {
            z = ctseg_gzip_create();
            assert_non_null(z);
            assert_int_equal(ctseg_gzip_finish(z, &err), CTSEG_INVALID);
            ctseg_buf_reset(&out);

            for (at = 0; at < in.len; at += slice) {
                s.data = in.data + at;
                s.len = in.len - at < slice ? in.len - at : slice;

                do {
                    assert_int_equal(ctseg_gzip_feed(z, &s, window, size, &n,
                                                     &err), CTSEG_OK);
                    assert_true(n <= size);
                    ctseg_buf_add(&out, window, n);
                } while (n == size);

                assert_int_equal(s.len, 0);
            }

            assert_int_equal(ctseg_gzip_finish(z, &err), CTSEG_OK);
            assert_int_equal(out.len, sizeof(text) - 1);
            assert_memory_equal(out.data, text, out.len);
            ctseg_gzip_destroy(z);
        }
    }

    ctseg_buf_free(&in);
    ctseg_buf_free(&out);
}


static void
test_damage(void **state)
{
    int          bit;
    size_t       i, len;
    ctseg_rc_t   rc;
    ctseg_err_t  err;
    ctseg_buf_t  in, out;
    ctseg_str_t  s;

    static const char  text[] = "{\"d\":[{\"type\":\"event\"}]}";

    (void) state;

    memset(&in, 0, sizeof(in));
    memset(&out, 0, sizeof(out));
    test_gzip(&in, text, sizeof(text) - 1);
    len = in.len;

    /* cut off anywhere: it breaks off where it ends */

    for (i = 0; i < len; i++) {
        s.data = in.data;
        s.len = i;
        assert_int_equal(ctseg_gzip_inflate(s, 1000, &out, &err),
                         CTSEG_INVALID);
        assert_int_equal(err.offset, i);
        assert_string_equal(err.text, "gzip: breaks off");
        assert_int_equal(out.len, 0);
    }

    /* a bit that is not as it was: magic, method, checksum and length notice
       each of them, elsewhere there are some that mean nothing */

    for (i = 0; i < len; i++) {
        for (bit = 0; bit < 8; bit++) {
            in.data[i] ^= (char) (1 << bit);
            rc = ctseg_gzip_inflate(ctseg_buf_slice(&in), 1000, &out, &err);
            in.data[i] ^= (char) (1 << bit);

            if (i < 3 || i >= len - 8) {
                assert_int_equal(rc, CTSEG_INVALID);
            }

            if (rc == CTSEG_OK) {
                assert_int_equal(out.len, sizeof(text) - 1);
                assert_memory_equal(out.data, text, out.len);

            } else {
                assert_true(err.offset <= len);
                assert_true(err.text[0] != '\0');
                assert_int_equal(out.len, 0);
            }

            out.len = 0;
        }
    }

    /* what is no gzip: nothing, text, zlib's own form, a tail */

    assert_int_equal(ctseg_gzip_inflate(ctseg_str(text), 1000, &out, &err),
                     CTSEG_INVALID);
    assert_in_range(err.offset, 1, 10);
    assert_int_equal(ctseg_gzip_inflate(ctseg_str("\x78\x9c\x03\x00"), 1000,
                                        &out, NULL), CTSEG_INVALID);

    ctseg_buf_cstr(&in, "tail");
    assert_int_equal(ctseg_gzip_inflate(ctseg_buf_slice(&in), 1000, &out,
                                        &err), CTSEG_INVALID);
    assert_in_range(err.offset, len, len + 4);
    assert_int_equal(out.len, 0);

    ctseg_buf_free(&in);
    ctseg_buf_free(&out);
}


static void
test_bomb(void **state)
{
    char         *zeros;
    ctseg_err_t   err;
    ctseg_buf_t   in, out;

    (void) state;

    memset(&in, 0, sizeof(in));
    memset(&out, 0, sizeof(out));
    zeros = calloc(1, 16 << 20);
    assert_non_null(zeros);
    test_gzip(&in, zeros, 16 << 20);
    free(zeros);
    assert_true(in.len < 20000);

    assert_int_equal(ctseg_gzip_inflate(ctseg_buf_slice(&in), 100000, &out,
                                        &err), CTSEG_TOOBIG);
    assert_int_equal(out.len, 0);
    assert_true(out.cap <= 2 * (100000 + 32768));

    ctseg_buf_free(&out);
    assert_int_equal(ctseg_gzip_inflate(ctseg_buf_slice(&in), 0, &out, &err),
                     CTSEG_TOOBIG);
    assert_true(out.cap <= 64);

    ctseg_buf_free(&in);
    ctseg_buf_free(&out);
}


static void
test_memory(void **state)
{
    size_t       i;
    int64_t      n;
    ctseg_rc_t   rc;
    ctseg_err_t  err;
    ctseg_buf_t  text, in, out;

    (void) state;

    memset(&text, 0, sizeof(text));
    memset(&in, 0, sizeof(in));

    for (i = 0; i < 100000; i++) {
        ctseg_buf_char(&text, (char) ('a' + i * i % 23));
    }

    test_gzip(&in, text.data, text.len);

    for (n = 1; /* void */ ; n++) {
        memset(&memory, 0, sizeof(memory));
        memset(&out, 0, sizeof(out));
        memory.rule[0].error = 1;
        memory.rule[0].left = n;
        memory.rule[0].kinds = CTSEG_DISK_ALLOC;

        ctseg_disk = &memory;
        rc = ctseg_gzip_inflate(ctseg_buf_slice(&in), 1 << 20, &out, &err);
        ctseg_disk = NULL;

        if (memory.rule[0].hits == 0) {
            break;
        }

        assert_int_equal(rc, CTSEG_NOMEM);
        assert_int_equal(out.len, 0);
        ctseg_buf_free(&out);
    }

    assert_int_equal(rc, CTSEG_OK);
    assert_int_equal(out.len, text.len);
#ifdef CTSEG_DISK_MEMORY
    assert_true(n > 4);
#endif

    ctseg_buf_free(&text);
    ctseg_buf_free(&in);
    ctseg_buf_free(&out);
}


static void
test_deflate(void **state)
{
    size_t       i, n;
    ctseg_err_t  err;
    ctseg_str_t  member;
    ctseg_buf_t  text, packed, out;

    (void) state;

    memset(&text, 0, sizeof(text));

    for (n = 0; n <= 300000; n = n * 7 + 1) {
        memset(&packed, 0, sizeof(packed));
        memset(&out, 0, sizeof(out));

        for (i = text.len; i < n; i++) {
            ctseg_buf_char(&text, (char) ('a' + i * i % 23));
        }

        ctseg_buf_cstr(&packed, "before");
        assert_int_equal(ctseg_gzip_deflate(ctseg_buf_slice(&text), &packed),
                         CTSEG_OK);
        assert_memory_equal(packed.data, "before\x1f\x8b", 8);
        assert_true(text.len < 1000 || packed.len < text.len / 10);

        member.data = packed.data + 6;
        member.len = packed.len - 6;
        assert_int_equal(ctseg_gzip_inflate(member, 1 << 20, &out, &err),
                         CTSEG_OK);
        assert_int_equal(out.len, text.len);
        assert_true(text.len == 0
                    || memcmp(out.data, text.data, text.len) == 0);

        ctseg_buf_free(&packed);
        ctseg_buf_free(&out);
    }

    ctseg_buf_free(&text);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_streamed),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_bomb),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_deflate)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
