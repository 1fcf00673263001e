/*
 * Memory that lacks: a way through some rooms is gone with its first
 * allocation failing, then the second, and so on until it is gone through
 * without meeting the fault.  Each time somebody has to say so, nothing may
 * be done by halves, nothing leaked.  What is written with all the memory is
 * the measure.
 */

#ifndef NOMEM_TEST_H
#define NOMEM_TEST_H


#include "../fault/ctseg_disk.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/ctseg_mem.h"


static ctseg_disk_t  nomem_rules;


/* writes what it has found into out, which the caller frees */

typedef ctseg_rc_t (*nomem_way_pt)(ctseg_buf_t *out);


/* memory fails from here on at the n-th allocation, and at no other */

static inline void
nomem_arm(int64_t n)
{
    memset(&nomem_rules, 0, sizeof(nomem_rules));

    nomem_rules.rule[0].error = 1;
    nomem_rules.rule[0].left = n;
    nomem_rules.rule[0].kinds = CTSEG_DISK_ALLOC;

    ctseg_disk = &nomem_rules;
}


/* how often it has */

static inline int64_t
nomem_disarm(void)
{
    ctseg_disk = NULL;

    return nomem_rules.rule[0].hits;
}


static inline void
nomem_sweep(nomem_way_pt way)
{
    int64_t      n, hits;
    ctseg_rc_t   rc;
    ctseg_buf_t  whole, out;

    memset(&whole, 0, sizeof(whole));
    assert_int_equal(way(&whole), CTSEG_OK);
    assert_true(whole.len > 100);

    for (n = 1; /* void */ ; n++) {
#ifdef CTSEG_DISK_MEMORY
        int64_t  live = ctseg_disk_live;
#endif

        memset(&out, 0, sizeof(out));
        nomem_arm(n);
        rc = way(&out);
        hits = nomem_disarm();

        if (rc == CTSEG_OK) {
            assert_int_equal(out.len, whole.len);
            assert_memory_equal(out.data, whole.data, out.len);

        } else if (rc != CTSEG_RETRY) {         /* so says LMDB */
            assert_int_equal(rc, CTSEG_NOMEM);
        }

        ctseg_buf_free(&out);

#ifdef CTSEG_DISK_MEMORY
        if (ctseg_disk_live != live) {
            fail_msg("allocation %d: %d pieces of memory leaked", (int) n,
                     (int) (ctseg_disk_live - live));
        }
#endif

        if (hits == 0) {
            break;
        }

        assert_int_not_equal(rc, CTSEG_OK);
    }

    assert_int_equal(rc, CTSEG_OK);
    print_message("# %d allocations\n", (int) n - 1);

#ifdef CTSEG_DISK_MEMORY
    assert_true(n > 5);
#endif

    ctseg_buf_free(&whole);
}


#endif /* NOMEM_TEST_H */
