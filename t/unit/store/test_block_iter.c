/*
 * The reader of a block: any kinds from anywhere to anywhere, of blocks that
 * are read where they are and of those that are copied, of both versions; and
 * that each byte that changes costs the events it must cost and no others.
 */

#include "store_test.h"

#include "../../../src/store/ctseg_block_iter.h"


#define N  9                            /* events of a block */

static const unsigned  kinds[N] = { 3, 3, 0, 5, 3, 63, 5, 5, 3 };


/* a stored block of N events from 100 on; pad: bytes of properties of each */

static ctseg_block_t
make(char **stored, unsigned version, size_t pad)
{
    char                   *text, *p;
    unsigned                i;
    ctseg_str_t             s;
    ctseg_block_t           b;
    ctseg_event_t           ev;
    ctseg_block_builder_t   bb;

    text = malloc(pad + N);
    assert_non_null(text);
    memset(text, 'x', pad + N);
    memset(&bb, 0, sizeof(bb));
    memset(&ev, 0, sizeof(ev));

    for (i = 0; i < N; i++) {
        ev.kind = kinds[i];
        ev.time_ms = 1000 + i;
        ev.props.data = text;
        ev.props.len = pad + i;
        assert_true(ctseg_block_add(&bb, &ev));
    }

    assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_OK);
    b.first = 100;

    if (version == 1) {
        st_old(&b);
    }

    *stored = malloc(ctseg_block_size(&b));
    assert_non_null(*stored);
    p = *stored;
    ctseg_block_encode_header(p, &b);
    p += CTSEG_BLOCK_HEADER;

    if (version != 1) {
        memcpy(p, b.directory.data, b.directory.len);
    }

    memcpy(p + b.directory.len, b.payload.data, b.payload.len);

    s.data = *stored;
    s.len = ctseg_block_size(&b);
    assert_int_equal(ctseg_block_decode(s, &b), CTSEG_OK);

    ctseg_block_builder_free(&bb);
    free(text);

    return b;
}


static void
check(const ctseg_block_t *b, ctseg_block_mem_t *mem, ctseg_kinds_t want,
    uint64_t after, uint64_t upto, size_t pad)
{
    size_t               n;
    unsigned             i;
    ctseg_event_t        ev;
    ctseg_block_iter_t   it;

    assert_int_equal(ctseg_block_iter(&it, b, mem, want, after, upto),
                     CTSEG_OK);

    for (i = 0; i < N; i++) {

        if (100 + i <= after || 100 + i > upto
            || (want & ctseg_kind_bit(kinds[i])) == 0)
        {
            continue;
        }

        assert_int_equal(ctseg_block_next(&it, &ev), CTSEG_OK);
        assert_int_equal(it.sequence, 100 + i);
        assert_int_equal(it.last, 100 + i);
        assert_int_equal(ev.kind, kinds[i]);
        assert_int_equal(ev.time_ms, 1000 + i);
        assert_int_equal(ev.props.len, pad + i);

        for (n = 0; n < ev.props.len; n++) {
            assert_int_equal(ev.props.data[n], 'x');
        }
    }

    assert_int_equal(ctseg_block_next(&it, &ev), CTSEG_NOTFOUND);
    assert_int_equal(ctseg_block_next(&it, &ev), CTSEG_NOTFOUND);
}


/* the last two are more than is copied at once, all together and each */

static const size_t  pads[] = { 0, 40, 500, 20000, 100000 };

#define PADS  (sizeof(pads) / sizeof(pads[0]))


static void
test_any(void **state)
{
    char                *stored;
    size_t               i;
    unsigned             version, k;
    uint64_t             after, upto;
    ctseg_block_t        b;
    ctseg_block_mem_t    mem;

    static const ctseg_kinds_t  want[] = {
        UINT64_MAX, 0, 1 << 3, 1 << 5, 1 << 0, 1 << 3 | 1 << 0,
        (ctseg_kinds_t) 1 << 63, 1 << 7
    };

    (void) state;
    memset(&mem, 0, sizeof(mem));

    for (version = 1; version <= 2; version++) {
        for (i = 0; i < PADS; i++) {
            b = make(&stored, version, pads[i]);
            assert_int_equal(ctseg_block_verify(&b), CTSEG_OK);

            for (k = 0; k < sizeof(want) / sizeof(want[0]); k++) {
                for (after = 98; after <= 110; after++) {
                    for (upto = after; upto <= 110; upto += 2) {
                        check(&b, &mem, want[k], after, upto, pads[i]);
                        check(&b, NULL, want[k], after, upto, pads[i]);
                    }
                }

                check(&b, &mem, want[k], 0, UINT64_MAX, pads[i]);
            }

            free(stored);
        }
    }

    ctseg_block_mem_free(&mem);
    assert_null(mem.records);
}


/* more pieces than one call of the kernel takes, next to each other and not */

static void
test_many(void **state)
{
    unsigned               i, n;
    ctseg_block_t          b;
    ctseg_event_t          ev;
    ctseg_block_mem_t      mem;
    ctseg_block_iter_t     it;
    ctseg_block_builder_t  bb;

    (void) state;
    memset(&bb, 0, sizeof(bb));
    memset(&ev, 0, sizeof(ev));
    memset(&mem, 0, sizeof(mem));

    for (i = 0; i < 2000; i++) {
        ev.kind = i % 5 == 4 ? 2 : 1;
        ev.time_ms = i;
        assert_true(ctseg_block_add(&bb, &ev));
    }

    assert_int_equal(ctseg_block_finish(&bb, &b), CTSEG_OK);
    b.first = 1;

    for (n = 1; n <= 3; n++) {
        assert_int_equal(ctseg_block_iter(&it, &b, &mem, (ctseg_kinds_t) n
                                          << 1, 0, UINT64_MAX), CTSEG_OK);

        for (i = 0; i < 2000; i++) {
            if (n == 3 || (i % 5 == 4) == (n == 2)) {
                assert_int_equal(ctseg_block_next(&it, &ev), CTSEG_OK);
                assert_int_equal(it.sequence, i + 1);
                assert_int_equal(ev.time_ms, i);
            }
        }

        assert_int_equal(ctseg_block_next(&it, &ev), CTSEG_NOTFOUND);

        /* what is not wanted was not read */

        assert_int_equal(ctseg_block_touched(&it), 2000 * 8
                         + (n == 3 ? 2000 : n == 2 ? 400 : 1600) * 16);
    }

    ctseg_block_mem_free(&mem);
    ctseg_block_builder_free(&bb);
}


/* which events read; bit i */

static unsigned
read_all(const ctseg_block_t *b, ctseg_block_mem_t *mem)
{
    unsigned             good;
    ctseg_rc_t           rc;
    ctseg_event_t        ev;
    ctseg_block_iter_t   it;

    if (ctseg_block_iter(&it, b, mem, UINT64_MAX, 0, UINT64_MAX) != CTSEG_OK)
    {
        return 0;
    }

    for (good = 0; ; ) {
        rc = ctseg_block_next(&it, &ev);

        if (rc == CTSEG_NOTFOUND) {
            return good;
        }

        if (rc == CTSEG_OK) {
            good |= 1u << (it.sequence - 100);

        } else {
            assert_int_equal(rc, CTSEG_CORRUPT);
            assert_true(it.last >= it.sequence);
        }
    }
}


static void
test_damage(void **state)
{
    char                *stored;
    size_t               i, at, pad, end;
    unsigned             n, left;
    ctseg_block_t        b;
    ctseg_block_mem_t    mem;

    (void) state;
    memset(&mem, 0, sizeof(mem));

    for (pad = 0; pad <= 600; pad += 600) {
        b = make(&stored, 2, pad);
        at = CTSEG_BLOCK_HEADER;

        for (i = 0; i < b.directory.len; i++) {
            stored[at + i] ^= 0x20;
            assert_int_equal(read_all(&b, &mem), 0);
            stored[at + i] ^= 0x20;
        }

        at += b.directory.len;
        n = 0;
        end = 16 + pad;                 /* of the first record */

        for (i = 0; i < b.payload.len; i++) {
            if (i == end) {
                end += 16 + pad + ++n;
            }

            stored[at + i] ^= 0x20;
            left = read_all(&b, &mem);
            assert_int_equal(left, ((1u << N) - 1) & ~(1u << n));
            assert_int_equal(ctseg_block_verify(&b), CTSEG_CORRUPT);
            stored[at + i] ^= 0x20;
        }

        assert_int_equal(read_all(&b, &mem), (1u << N) - 1);
        free(stored);
    }

    ctseg_block_mem_free(&mem);
}


/* the directory with entry i changed and all sums right */

static unsigned
forge(ctseg_block_t *b, char *stored, unsigned i, unsigned byte, int by)
{
    char      *p, kept;
    unsigned   good;

    p = stored + CTSEG_BLOCK_HEADER + 8 * i + byte;
    kept = *p;
    *p = (char) (*p + by);
    b->crc = ctseg_crc32c(0, b->directory.data, b->directory.len);
    good = read_all(b, NULL);
    *p = kept;
    b->crc = ctseg_crc32c(0, b->directory.data, b->directory.len);

    return good;
}


/* a directory that lies, under a right checksum */

static void
test_lies(void **state)
{
    char           *stored;
    unsigned        i;
    ctseg_block_t   b;

    (void) state;
    b = make(&stored, 2, 100);

    for (i = 0; i < N; i++) {
        assert_int_equal(forge(&b, stored, i, 0, 1), 0);
        assert_int_equal(forge(&b, stored, i, 0, -1), 0);
        assert_int_equal(forge(&b, stored, i, 2, 1), 0);

        /* another kind costs the event that has it */

        assert_int_equal(forge(&b, stored, i, 3, 1),
                         ((1u << N) - 1) & ~(1u << i));
        assert_int_equal(forge(&b, stored, i, 3, 64),
                         ((1u << N) - 1) & ~(1u << i));
    }

    /* the sum is right, the edge between two is not */

    stored[CTSEG_BLOCK_HEADER] += 1;
    assert_int_equal(forge(&b, stored, 1, 0, -1), ((1u << N) - 1) & ~3u);

    free(stored);
}


/* events of version 1 that do not decode: nothing behind them can be found */

static void
test_old(void **state)
{
    char                 *stored;
    ctseg_block_t         b;
    ctseg_event_t         ev;
    ctseg_block_iter_t    it;

    (void) state;
    b = make(&stored, 1, 10);

    stored[CTSEG_BLOCK_HEADER + 30] ^= 1;
    assert_int_equal(ctseg_block_iter(&it, &b, NULL, UINT64_MAX, 0,
                                      UINT64_MAX), CTSEG_CORRUPT);
    stored[CTSEG_BLOCK_HEADER + 30] ^= 1;

    stored[CTSEG_BLOCK_HEADER + 26 + 4] = 40;       /* kind of the second */
    b.crc = ctseg_crc32c(0, b.payload.data, b.payload.len);
    assert_int_equal(ctseg_block_iter(&it, &b, NULL, UINT64_MAX, 0,
                                      UINT64_MAX), CTSEG_OK);
    assert_int_equal(ctseg_block_next(&it, &ev), CTSEG_OK);
    assert_int_equal(ctseg_block_next(&it, &ev), CTSEG_CORRUPT);
    assert_int_equal(it.sequence, 101);
    assert_int_equal(it.last, 108);
    assert_int_equal(ctseg_block_next(&it, &ev), CTSEG_NOTFOUND);

    free(stored);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_old)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
