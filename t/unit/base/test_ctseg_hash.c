/*
 * The hash is the front of SHA-256 of each part behind its length, as
 * sha256sum says too; lengths keep other parts of the same text apart.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "../../../src/base/ctseg_hash.h"
#include "../../../src/base/ctseg_str.h"


static void
test_vectors(void **state)
{
    char          out[CTSEG_HASH_LEN], other[CTSEG_HASH_LEN];
    unsigned      i;
    ctseg_str_t   parts[2];
    ctseg_hash_t  h = { NULL };

    /* of nothing; of "\3\0\0\0\0\0\0\0abc" */

    static const unsigned char  none[] = {
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14,
        0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24
    };
    static const unsigned char  abc[] = {
        0xce, 0x91, 0xdc, 0x5e, 0xec, 0x01, 0x39, 0xad,
        0xf0, 0x91, 0x90, 0x0d, 0x22, 0x59, 0x71, 0xd6
    };

    (void) state;

    /* again and again with one struct */

    for (i = 0; i < 3; i++) {
        parts[0] = ctseg_str("abc");
        assert_true(ctseg_hash(&h, parts, 1, out));
        assert_memory_equal(out, abc, sizeof(abc));
        assert_true(ctseg_hash(&h, parts, 0, out));
        assert_memory_equal(out, none, sizeof(none));
    }

    parts[1] = ctseg_str("d");
    assert_true(ctseg_hash(&h, parts, 2, out));
    parts[0] = ctseg_str("ab");
    parts[1] = ctseg_str("cd");
    assert_true(ctseg_hash(&h, parts, 2, other));
    assert_memory_not_equal(out, other, sizeof(out));

    parts[0] = ctseg_str("");
    parts[1].len = 0;
    parts[1].data = NULL;
    assert_true(ctseg_hash(&h, parts, 2, out));
    assert_memory_not_equal(out, none, sizeof(out));

    ctseg_hash_free(&h);
    ctseg_hash_free(&h);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_vectors)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
