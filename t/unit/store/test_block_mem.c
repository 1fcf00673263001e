/*
 * The memory that readers of blocks keep: who takes it has it alone, it is
 * the same the next time, and it goes when nobody has taken it for a while.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../../src/store/ctseg_block_mem.h"


static void
clear(ctseg_block_mems_t *mems)
{
    unsigned  i;

    for (i = 0; i < CTSEG_BLOCK_MEMS; i++) {
        ctseg_block_mem_free(&mems->mem[i]);
    }
}


static void
test_room(void **state)
{
    char               *heads;
    ctseg_block_mem_t   mem;

    (void) state;

    memset(&mem, 0, sizeof(mem));

    assert_int_equal(ctseg_block_mem_self(&mem), getpid());
    assert_int_equal(ctseg_block_mem_self(&mem), getpid());

    assert_true(ctseg_block_mem_room(&mem, 0));
    assert_non_null(mem.records);
    assert_null(mem.directory);

    /* a directory that is larger than usual gets what it needs */

    assert_true(ctseg_block_mem_room(&mem, 10));
    assert_int_equal(mem.size, CTSEG_BLOCK_CHUNK / 2);
    assert_true(ctseg_block_mem_room(&mem, CTSEG_BLOCK_CHUNK));
    assert_int_equal(mem.size, CTSEG_BLOCK_CHUNK);
    memset(mem.directory, 1, CTSEG_BLOCK_CHUNK);
    memset(mem.records, 1, CTSEG_BLOCK_CHUNK);

    heads = ctseg_block_mem_heads(&mem);
    assert_non_null(heads);
    assert_ptr_equal(ctseg_block_mem_heads(&mem), heads);
    memset(heads, 1, CTSEG_BLOCK_HEADS);

    ctseg_block_mem_free(&mem);
    assert_null(mem.records);
    assert_null(mem.directory);
    assert_int_equal(mem.size, 0);
    assert_null(mem.heads);
}


static void
test_take(void **state)
{
    unsigned             i, k;
    ctseg_block_mem_t   *mem[CTSEG_BLOCK_MEMS];
    ctseg_block_mems_t   mems;

    (void) state;

    memset(&mems, 0, sizeof(mems));

    for (i = 0; i < CTSEG_BLOCK_MEMS; i++) {
        mem[i] = ctseg_block_mems_take(&mems);
        assert_non_null(mem[i]);

        for (k = 0; k < i; k++) {
            assert_ptr_not_equal(mem[i], mem[k]);
        }
    }

    /* the next one has to bring its own */

    assert_null(ctseg_block_mems_take(&mems));
    ctseg_block_mems_give(&mems, NULL);
    assert_null(ctseg_block_mems_take(&mems));

    assert_true(ctseg_block_mem_room(mem[1], 1));
    ctseg_block_mems_give(&mems, mem[1]);
    assert_ptr_equal(ctseg_block_mems_take(&mems), mem[1]);
    assert_non_null(mem[1]->records);

    clear(&mems);
}


static void
test_tidy(void **state)
{
    ctseg_block_mem_t   *one, *two;
    ctseg_block_mems_t   mems;

    (void) state;

    memset(&mems, 0, sizeof(mems));

    one = ctseg_block_mems_take(&mems);
    two = ctseg_block_mems_take(&mems);
    assert_true(ctseg_block_mem_room(one, 1));
    assert_true(ctseg_block_mem_room(two, 1));
    ctseg_block_mems_give(&mems, two);

    /* both were used since the last look, and one still is */

    ctseg_block_mems_tidy(&mems, CTSEG_BLOCK_MEMS_IDLE_MS);
    assert_non_null(one->records);
    assert_non_null(two->records);

    ctseg_block_mems_tidy(&mems, 2 * CTSEG_BLOCK_MEMS_IDLE_MS - 1);
    assert_non_null(two->records);

    ctseg_block_mems_tidy(&mems, 2 * CTSEG_BLOCK_MEMS_IDLE_MS);
    assert_non_null(one->records);
    assert_null(two->records);

    /* from its return on it is as long again */

    ctseg_block_mems_give(&mems, one);
    ctseg_block_mems_tidy(&mems, 3 * CTSEG_BLOCK_MEMS_IDLE_MS);
    assert_non_null(one->records);
    ctseg_block_mems_tidy(&mems, 4 * CTSEG_BLOCK_MEMS_IDLE_MS);
    assert_null(one->records);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_tidy)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
