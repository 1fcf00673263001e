/*
 * State records: what goes in comes out, an absent field is zero, and what
 * is damaged in any way is CORRUPT and never read past its end.
 */

#include "store_test.h"

#include "../../../src/base/ctseg_crc32c.h"
#include "../../../src/store/ctseg_record.h"


static void
sample(ctseg_buf_t *out)
{
    ctseg_str_t  bytes = ctseg_string("a\0b");

    ctseg_record_begin(out, CTSEG_RECORD_RUN);
    ctseg_record_uint(out, 1, UINT64_MAX);
    ctseg_record_int(out, 2, INT64_MIN);
    ctseg_record_bytes(out, 7, bytes);
    ctseg_record_cstr(out, 9, "text");
    ctseg_record_cstr(out, 255, "");
    ctseg_record_end(out);
}


/* the checksum of a record that was changed by hand */

static void
reseal(ctseg_buf_t *b)
{
    size_t    i;
    uint32_t  crc;

    crc = ctseg_crc32c(0, b->data, b->len - 4);

    for (i = 0; i < 4; i++) {
        b->data[b->len - 4 + i] = (char) (unsigned char) (crc >> (8 * i));
    }
}


static void
test_round(void **state)
{
    char            text[8];
    ctseg_str_t     s;
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_record_t  r;

    (void) state;

    /* a buffer that was used before holds the record alone */

    ctseg_buf_cstr(&b, "left over");
    sample(&b);
    assert_false(b.failed);
    assert_int_equal(b.data[0], 1);
    assert_int_equal(b.data[1], CTSEG_RECORD_RUN);

    assert_int_equal(ctseg_record_open(&r, ctseg_buf_slice(&b),
                                       CTSEG_RECORD_RUN), CTSEG_OK);
    assert_true(ctseg_record_get_uint(&r, 1) == UINT64_MAX);
    assert_true(ctseg_record_get_int(&r, 2) == INT64_MIN);
    s = ctseg_record_get_bytes(&r, 7);
    assert_int_equal(s.len, 3);
    assert_memory_equal(s.data, "a\0b", 3);
    ctseg_record_get_cstr(&r, 9, text, sizeof(text));
    assert_string_equal(text, "text");
    ctseg_record_get_cstr(&r, 255, text, sizeof(text));
    assert_string_equal(text, "");

    /* absent */

    assert_true(ctseg_record_get_uint(&r, 3) == 0);
    assert_true(ctseg_record_get_int(&r, 254) == 0);
    assert_int_equal(ctseg_record_get_bytes(&r, 8).len, 0);
    ctseg_record_get_cstr(&r, 10, text, sizeof(text));
    assert_string_equal(text, "");
    assert_int_equal(r.rc, CTSEG_OK);

    ctseg_buf_free(&b);
}


static void
test_misfit(void **state)
{
    char            text[8];
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_record_t  r;

    (void) state;
    sample(&b);

    /* exactly full, one too long, a NUL inside, another kind */

    (void) ctseg_record_open(&r, ctseg_buf_slice(&b), CTSEG_RECORD_RUN);
    ctseg_record_get_cstr(&r, 9, text, 5);
    assert_string_equal(text, "text");
    assert_int_equal(r.rc, CTSEG_OK);
    ctseg_record_get_cstr(&r, 9, text, 4);
    assert_string_equal(text, "");
    assert_int_equal(r.rc, CTSEG_CORRUPT);

    /* and it stays so */

    assert_true(ctseg_record_get_uint(&r, 1) == 0);
    assert_int_equal(r.rc, CTSEG_CORRUPT);

    (void) ctseg_record_open(&r, ctseg_buf_slice(&b), CTSEG_RECORD_RUN);
    ctseg_record_get_cstr(&r, 7, text, sizeof(text));
    assert_int_equal(r.rc, CTSEG_CORRUPT);

    (void) ctseg_record_open(&r, ctseg_buf_slice(&b), CTSEG_RECORD_RUN);
    assert_true(ctseg_record_get_int(&r, 1) == 0);
    assert_int_equal(r.rc, CTSEG_CORRUPT);

    (void) ctseg_record_open(&r, ctseg_buf_slice(&b), CTSEG_RECORD_RUN);
    assert_true(ctseg_record_get_uint(&r, 9) == 0);
    assert_int_equal(r.rc, CTSEG_CORRUPT);

    assert_int_equal(ctseg_record_open(&r, ctseg_buf_slice(&b),
                                       CTSEG_RECORD_PARTNER), CTSEG_CORRUPT);

    ctseg_buf_free(&b);
}


static void
test_damage(void **state)
{
    char            *copy;
    size_t           i, len;
    ctseg_str_t      s;
    ctseg_buf_t      b = { NULL, 0, 0, false };
    ctseg_record_t   r;

    (void) state;
    sample(&b);

    for (i = 0; i < b.len; i++) {
        b.data[i] = (char) (b.data[i] ^ 1);
        assert_int_equal(ctseg_record_open(&r, ctseg_buf_slice(&b),
                                           CTSEG_RECORD_RUN), CTSEG_CORRUPT);
        b.data[i] = (char) (b.data[i] ^ 1);
    }

    /* cut anywhere, in memory of just that size */

    for (len = 0; len < b.len; len++) {
        copy = malloc(len + (len == 0));
        assert_non_null(copy);
        memcpy(copy, b.data, len);
        s.data = copy;
        s.len = len;
        assert_int_equal(ctseg_record_open(&r, s, CTSEG_RECORD_RUN),
                         CTSEG_CORRUPT);
        free(copy);
    }

    ctseg_buf_free(&b);
}


/* fields that a right checksum covers all the same */

static void
test_structure(void **state)
{
    size_t          i;
    ctseg_buf_t     b = { NULL, 0, 0, false };
    ctseg_record_t  r;

    (void) state;

    /* tags that do not ascend */

    ctseg_record_begin(&b, CTSEG_RECORD_RUN);
    ctseg_record_uint(&b, 2, 1);
    ctseg_record_uint(&b, 2, 1);
    ctseg_record_end(&b);
    assert_int_equal(ctseg_record_open(&r, ctseg_buf_slice(&b),
                                       CTSEG_RECORD_RUN), CTSEG_CORRUPT);

    /* every single byte changed and sealed again: an answer, no overrun */

    for (i = 0; i < 60; i++) {
        sample(&b);

        if (i < b.len - 4) {
            b.data[i] = (char) (b.data[i] ^ 0xff);
            reseal(&b);

            if (ctseg_record_open(&r, ctseg_buf_slice(&b), CTSEG_RECORD_RUN)
                == CTSEG_OK)
            {
                (void) ctseg_record_get_bytes(&r, 7);
                (void) ctseg_record_get_bytes(&r, 9);
            }
        }
    }

    /* a record without fields is one */

    ctseg_record_begin(&b, CTSEG_RECORD_RUN);
    ctseg_record_end(&b);
    assert_int_equal(b.len, 6);
    assert_int_equal(ctseg_record_open(&r, ctseg_buf_slice(&b),
                                       CTSEG_RECORD_RUN), CTSEG_OK);

    ctseg_buf_free(&b);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_round),
        cmocka_unit_test(test_misfit),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_structure)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
