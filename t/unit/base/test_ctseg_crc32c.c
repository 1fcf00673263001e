/*
 * CRC32C by the vectors of RFC 3720 B.4.  The table is built in a second
 * time under another name, since a processor with the instruction would
 * never come to it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#define ctseg_crc32c  test_crc32c_other
#include "../../../src/base/ctseg_crc32c.c"
#undef ctseg_crc32c

uint32_t ctseg_crc32c(uint32_t crc, const void *data, size_t len);


static void
test_vectors(void **state)
{
    size_t         i, n;
    unsigned char  data[4][32];

    static const uint32_t  want[] = {
        0x8a9136aa, 0x62a8ab43, 0x46dd794e, 0x113fdb5c
    };

    (void) state;

    memset(data[0], 0x00, 32);
    memset(data[1], 0xff, 32);

    for (i = 0; i < 32; i++) {
        data[2][i] = (unsigned char) i;
        data[3][i] = (unsigned char) (31 - i);
    }

    for (n = 0; n < 4; n++) {
        assert_true(ctseg_crc32c(0, data[n], 32) == want[n]);
        assert_true((uint32_t) ~ctseg_crc32c_soft(~(uint32_t) 0, data[n], 32)
                    == want[n]);
    }

    assert_true(ctseg_crc32c(0, "123456789", 9) == 0xe3069283);
    assert_true(ctseg_crc32c(0, "", 0) == 0);
}


static void
test_pieces(void **state)
{
    size_t         from, cut, len;
    uint32_t       whole;
    unsigned char  data[100];

    (void) state;

    for (from = 0; from < sizeof(data); from++) {
        data[from] = (unsigned char) (from * 37 + 11);
    }

    /* every alignment, every length, cut anywhere, both ways */

    for (from = 0; from < 9; from++) {
        for (len = 0; len < 40; len++) {

            whole = ctseg_crc32c(0, data + from, len);

            assert_true(whole
                        == (uint32_t) ~ctseg_crc32c_soft(~(uint32_t) 0,
                                                         data + from, len));

            for (cut = 0; cut <= len; cut++) {
                assert_true(ctseg_crc32c(ctseg_crc32c(0, data + from, cut),
                                         data + from + cut, len - cut)
                            == whole);
            }
        }
    }
}


/* long enough for stretches side by side, and the rest behind them */

static void
test_stretches(void **state)
{
    size_t                from, len;
    uint32_t              seed;
    static unsigned char  data[8192];

    (void) state;

    for (from = 0, seed = 1; from < sizeof(data); from++) {
        seed = seed * 1103515245 + 12345;
        data[from] = (unsigned char) (seed >> 16);
    }

    /* every length around and between the two kinds of stretches */

    for (from = 0; from < 8; from++) {
        for (len = 0; len <= 2000; len++) {
            assert_true(ctseg_crc32c((uint32_t) len, data + from, len)
                        == (uint32_t) ~ctseg_crc32c_soft(~(uint32_t) len,
                                                         data + from, len));
        }
    }

    for (from = 0; from < 9; from++) {
        for (len = 1500; len < sizeof(data) - from; len += 1 + len / 200) {
            assert_true(ctseg_crc32c((uint32_t) len, data + from, len)
                        == (uint32_t) ~ctseg_crc32c_soft(~(uint32_t) len,
                                                         data + from, len));
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_stretches)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
