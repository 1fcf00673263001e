/*
 * Blocks: what the builder notes, the 64 bytes of the header one by one, and
 * that a changed byte anywhere is found.
 */

#include "store_test.h"

#include "../../../src/base/ctseg_crc32c.h"
#include "../../../src/model/ctseg_event.h"


static ctseg_event_t
event(unsigned kind, int64_t time_ms, const char *name, const char *id,
    const char *props)
{
    ctseg_event_t  ev;

    memset(&ev, 0, sizeof(ctseg_event_t));
    ev.kind = kind;
    ev.time_ms = time_ms;
    ev.name = ctseg_str(name);
    ev.id[CTSEG_ID_IDENTITY] = ctseg_str(id);
    ev.props = ctseg_str(props);

    return ev;
}


static void
test_builder(void **state)
{
    size_t                 at, size;
    uint32_t               crc;
    unsigned               i;
    ctseg_str_t            in;
    ctseg_block_t          b;
    ctseg_event_t          ev, back;
    const unsigned char   *p;
    ctseg_block_builder_t  bb;

    static const size_t    sizes[] = { 16 + 2 + 3 + 2, 16 + 2 + 8 + 3 + 7,
                                       16 };
    static const unsigned  kinds[] = { 3, 0, 23 };

    (void) state;
    memset(&bb, 0, sizeof(bb));

    assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_INVALID);

    ev = event(3, -5, "", "bob", "{}");
    assert_true(ctseg_block_add(&bb, &ev));
    ev = event(0, 900, "Own name", "eve", "{\"a\":1}");
    assert_true(ctseg_block_add(&bb, &ev));
    ev = event(23, 20, "", "", "");
    assert_true(ctseg_block_add(&bb, &ev));

    assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_OK);
    assert_int_equal(b.count, 3);
    assert_true(b.min_ms == -5);
    assert_true(b.max_ms == 900);
    assert_true(b.kinds == (1ULL << 3 | 1ULL << 0 | 1ULL << 23));
    assert_true(b.first == 0);
    assert_int_equal(b.version, 2);
    assert_int_equal(b.crc, ctseg_crc32c(0, b.directory.data,
                                         b.directory.len));
    assert_int_equal(ctseg_block_verify(&b), CTSEG_OK);

    /* size, kind and checksum of each record, one behind the other */

    assert_int_equal(b.directory.len, 3 * 8);

    for (i = 0, at = 0; i < 3; i++) {
        p = (const unsigned char *) b.directory.data + 8 * i;
        size = p[0] | (size_t) p[1] << 8 | (size_t) p[2] << 16;
        assert_int_equal(size, sizes[i]);
        assert_int_equal(p[3], kinds[i]);
        crc = ctseg_crc32c(0, b.payload.data + at, size);
        assert_int_equal(p[4] | p[5] << 8 | p[6] << 16
                         | (uint32_t) p[7] << 24, crc);
        at += size;
    }

    assert_int_equal(at, b.payload.len);

    in = b.payload;
    assert_int_equal(ctseg_event_decode(&in, &back), CTSEG_OK);
    assert_int_equal(back.kind, 3);
    assert_int_equal(ctseg_event_decode(&in, &back), CTSEG_OK);
    assert_true(ctseg_str_is(back.name, "Own name"));
    assert_true(ctseg_str_is(back.props, "{\"a\":1}"));
    assert_int_equal(ctseg_event_decode(&in, &back), CTSEG_OK);
    assert_int_equal(ctseg_event_decode(&in, &back), CTSEG_NOTFOUND);

    ctseg_block_builder_free(&bb);
    assert_null(bb.buf.data);
    assert_int_equal(bb.count, 0);
}


/* bit i: keep the i-th, which must be asked for in order */

typedef struct {
    unsigned  bits;
    unsigned  next;
} keep_t;


static bool
keep(void *data, unsigned i)
{
    keep_t  *k;

    k = data;
    assert_int_equal(i, k->next++);

    return (k->bits >> i & 1) != 0;
}


/* what is left is what a builder that was given no more would have */

static void
test_keep(void **state)
{
    unsigned               i, bits;
    keep_t                 k;
    ctseg_block_t          b, want;
    ctseg_event_t          ev[4];
    ctseg_block_builder_t  bb, only;

    (void) state;

    ev[0] = event(3, -5, "", "bob", "{}");
    ev[1] = event(0, 900, "Own name", "eve", "{\"a\":1}");
    ev[2] = event(23, 20, "", "", "");
    ev[3] = event(3, 50, "", "a longer identity", "{\"text\":\"long\"}");

    for (bits = 0; bits < 16; bits++) {
        memset(&bb, 0, sizeof(bb));
        memset(&only, 0, sizeof(only));

        for (i = 0; i < 4; i++) {
            assert_true(ctseg_block_add(&bb, &ev[i]));

            if (bits >> i & 1) {
                assert_true(ctseg_block_add(&only, &ev[i]));
            }
        }

        k.bits = bits;
        k.next = 0;
        ctseg_block_keep(&bb, keep, &k);
        assert_int_equal(k.next, 4);
        assert_int_equal(bb.count, only.count);

        if (bits == 0) {
            assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_INVALID);

        } else {
            assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_OK);
            assert_int_equal(ctseg_block_finish(&only, &want), CTSEG_OK);
            assert_true(b.min_ms == want.min_ms && b.max_ms == want.max_ms);
            assert_true(b.kinds == want.kinds && b.crc == want.crc);
            assert_int_equal(b.payload.len, want.payload.len);
            assert_memory_equal(b.payload.data, want.payload.data,
                                b.payload.len);
            assert_int_equal(b.directory.len, want.directory.len);
            assert_memory_equal(b.directory.data, want.directory.data,
                                b.directory.len);
        }

        /* it goes on being filled */

        assert_true(ctseg_block_add(&bb, &ev[0]));
        assert_int_equal(bb.count, only.count + 1);
        ctseg_block_builder_free(&bb);
        ctseg_block_builder_free(&only);
    }
}


/* the limit is on the payload and its directory, and what did not fit leaves
   no trace */

static void
test_limit(void **state)
{
    char                  *text;
    size_t                 len;
    unsigned               n;
    ctseg_block_t          b;
    ctseg_event_t          ev;
    ctseg_block_builder_t  bb;

    (void) state;
    memset(&bb, 0, sizeof(bb));
    memset(&ev, 0, sizeof(ev));

    text = calloc(1, CTSEG_BLOCK_PAYLOAD_MAX);
    assert_non_null(text);

    ev.kind = 1;
    ev.props.data = text;
    ev.props.len = CTSEG_PROPS_LEN_MAX;
    n = 0;

    while (ctseg_block_add(&bb, &ev)) {
        n++;
    }

    assert_int_equal(n, CTSEG_BLOCK_PAYLOAD_MAX
                        / (CTSEG_PROPS_LEN_MAX + 16 + 8));
    assert_int_equal(bb.count, n);
    assert_int_equal(bb.directory.len, n * 8);
    len = bb.buf.len;
    assert_int_equal(len, n * (CTSEG_PROPS_LEN_MAX + 16));

    /* to the last byte */

    ev.time_ms = 77;
    ev.props.len = CTSEG_BLOCK_PAYLOAD_MAX - len - 16 - (n + 1) * 8 + 1;
    assert_false(ctseg_block_add(&bb, &ev));
    assert_int_equal(bb.buf.len, len);
    assert_int_equal(bb.directory.len, n * 8);
    assert_true(bb.max_ms == 0);
    ev.props.len--;
    assert_true(ctseg_block_add(&bb, &ev));

    assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_OK);
    assert_int_equal(b.directory.len + b.payload.len,
                     CTSEG_BLOCK_PAYLOAD_MAX);

    ctseg_block_builder_free(&bb);
    free(text);
}


static void
test_no_memory(void **state)
{
    ctseg_block_t          b;
    ctseg_event_t          ev;
    ctseg_block_builder_t  bb;

    (void) state;
    memset(&bb, 0, sizeof(bb));

    ev = event(1, 1, "", "a", "");
    assert_true(ctseg_block_add(&bb, &ev));
    bb.buf.failed = true;
    assert_false(ctseg_block_add(&bb, &ev));
    assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_NOMEM);

    bb.buf.failed = false;
    bb.directory.failed = true;
    assert_false(ctseg_block_add(&bb, &ev));
    assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_NOMEM);

    ctseg_block_builder_free(&bb);
}


static void
test_header(void **state)
{
    char           out[CTSEG_BLOCK_HEADER];
    ctseg_block_t  b;

    static const unsigned char  want[60] = {
        1, 0, 0, 0,
        2, 0, 0, 0,
        8, 7, 6, 5, 4, 3, 2, 1,
        0xff, 0, 0, 0, 0, 0, 0, 0,
        0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        9, 0, 0, 0, 0, 0, 0, 0,
        5, 0, 0, 0, 0, 0, 0, 0x80,
        40, 0, 0, 0,
        0x44, 0x33, 0x22, 0x11,
        0, 0, 0, 0
    };

    (void) state;
    memset(&b, 0, sizeof(b));

    b.version = 1;
    b.count = 2;
    b.first = 0x0102030405060708ULL;
    b.append_ms = 255;
    b.min_ms = -2;
    b.max_ms = 9;
    b.kinds = 0x8000000000000005ULL;
    b.payload.len = 40;
    b.crc = 0x11223344;

    ctseg_block_encode_header(out, &b);
    assert_memory_equal(out, want, sizeof(want));
    assert_int_equal((unsigned char) out[60],
                     ctseg_crc32c(0, out, 60) & 0xff);

    /* of the newer version only the number differs */

    b.version = 2;
    ctseg_block_encode_header(out, &b);
    assert_int_equal(out[0], 2);
    assert_memory_equal(out + 1, want + 1, sizeof(want) - 1);
}


/* a stored block in out, which takes enough */

static ctseg_str_t
stored(char *out, const ctseg_block_t *b)
{
    ctseg_str_t  s;

    ctseg_block_encode_header(out, b);
    s.data = out;
    s.len = ctseg_block_size(b);
    out += CTSEG_BLOCK_HEADER;

    if (b->directory.len != 0) {
        memcpy(out, b->directory.data, b->directory.len);
    }

    memcpy(out + b->directory.len, b->payload.data, b->payload.len);

    return s;
}


/* near: small enough to be read where it is; all of a large one is not */

static void
check_decode(unsigned version, size_t props)
{
    char                   *out;
    size_t                  i, head;
    ctseg_str_t             s;
    ctseg_block_t           b, back, bad;
    ctseg_block_builder_t   bb;

    b = st_block(&bb, 3, 2, 50, props);

    if (version == 1) {
        st_old(&b);
    }

    b.first = 100;
    b.append_ms = 4242;
    head = CTSEG_BLOCK_HEADER + b.directory.len;

    out = malloc(ctseg_block_size(&b) + 1);
    assert_non_null(out);
    s = stored(out, &b);

    assert_int_equal(ctseg_block_decode(s, &back), CTSEG_OK);
    assert_int_equal(back.version, version);
    assert_int_equal(back.count, 3);
    assert_true(back.first == 100);
    assert_true(ctseg_block_last(&back) == 102);
    assert_true(back.append_ms == 4242);
    assert_true(back.min_ms == 50 && back.max_ms == 52);
    assert_true(back.kinds == b.kinds);
    assert_ptr_equal(back.payload.data, out + head);
    assert_int_equal(ctseg_block_verify(&back), CTSEG_OK);

    /* every byte counts, of the header and of the rest */

    for (i = 0; i < s.len; i++) {
        out[i] = (char) (out[i] ^ 0x10);

        if (ctseg_block_decode(s, &back) == CTSEG_OK) {
            assert_true(i >= CTSEG_BLOCK_HEADER);
            assert_int_equal(ctseg_block_verify(&back), CTSEG_CORRUPT);
        }

        out[i] = (char) (out[i] ^ 0x10);
    }

    /* so does every length */

    for (i = 0; i < s.len; i++) {
        s.len = i;
        assert_int_equal(ctseg_block_decode(s, &back), CTSEG_CORRUPT);
        s.len = ctseg_block_size(&b);
    }

    s.len++;
    assert_int_equal(ctseg_block_decode(s, &back), CTSEG_CORRUPT);

    /* a right checksum over nonsense */

    bad = b;
    bad.count = 0;
    assert_int_equal(ctseg_block_decode(stored(out, &bad), &back),
                     CTSEG_CORRUPT);
    bad = b;
    bad.count = 1000;
    assert_int_equal(ctseg_block_decode(stored(out, &bad), &back),
                     CTSEG_CORRUPT);
    bad = b;
    bad.first = 0;
    assert_int_equal(ctseg_block_decode(stored(out, &bad), &back),
                     CTSEG_CORRUPT);
    bad = b;
    bad.first = UINT64_MAX - 1;
    assert_int_equal(ctseg_block_decode(stored(out, &bad), &back),
                     CTSEG_CORRUPT);
    bad = b;
    bad.min_ms = bad.max_ms + 1;
    assert_int_equal(ctseg_block_decode(stored(out, &bad), &back),
                     CTSEG_CORRUPT);
    bad = b;
    bad.version = 3;
    assert_int_equal(ctseg_block_decode(stored(out, &bad), &back),
                     CTSEG_CORRUPT);
    bad.version = 3 - version;
    assert_int_equal(ctseg_block_decode(stored(out, &bad), &back),
                     CTSEG_CORRUPT);

    free(out);
    ctseg_block_builder_free(&bb);
}


static void
test_decode(void **state)
{
    (void) state;

    check_decode(1, 5);
    check_decode(2, 5);
    check_decode(1, 2000);
    check_decode(2, 2000);
}


static void
test_may_match(void **state)
{
    ctseg_block_t  b;

    (void) state;
    memset(&b, 0, sizeof(b));

    b.kinds = ctseg_kind_bit(2) | ctseg_kind_bit(5);
    b.min_ms = 100;
    b.max_ms = 200;

    assert_true(ctseg_block_may_match(&b, ctseg_kind_bit(5), 0, 1000));
    assert_false(ctseg_block_may_match(&b, ctseg_kind_bit(3), 0, 1000));
    assert_true(ctseg_block_may_match(&b, ~0ULL, INT64_MIN, INT64_MAX));

    /* from is inside the window, to is not */

    assert_true(ctseg_block_may_match(&b, ~0ULL, 200, 300));
    assert_false(ctseg_block_may_match(&b, ~0ULL, 201, 300));
    assert_true(ctseg_block_may_match(&b, ~0ULL, 0, 101));
    assert_false(ctseg_block_may_match(&b, ~0ULL, 0, 100));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_builder),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_may_match)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
