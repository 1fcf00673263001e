/*
 * Copies through the kernel, and without it where that is forbidden: the
 * bytes are the same.
 *
 * link: -Wl,--wrap=process_vm_readv
 */

#include <errno.h>

#include "store_test.h"

#include "../../../src/store/ctseg_peek.h"


static int       answer;                /* -1: not allowed; 1: cut short */
static unsigned  calls;


ssize_t __real_process_vm_readv(pid_t pid, const struct iovec *to,
    unsigned long nto, const struct iovec *from, unsigned long nfrom,
    unsigned long flags);
ssize_t __wrap_process_vm_readv(pid_t pid, const struct iovec *to,
    unsigned long nto, const struct iovec *from, unsigned long nfrom,
    unsigned long flags);


ssize_t
__wrap_process_vm_readv(pid_t pid, const struct iovec *to, unsigned long nto,
    const struct iovec *from, unsigned long nfrom, unsigned long flags)
{
    calls++;

    if (answer == -1) {
        errno = EPERM;
        return -1;
    }

    return __real_process_vm_readv(pid, to, nto, from,
                                   nfrom - (answer == 1), flags);
}


static void
test_pieces(void **state)
{
    char          from[5000], out[5001];
    size_t        at;
    unsigned      i, n;
    struct iovec  piece[CTSEG_PEEK_MAX];

    (void) state;

    for (i = 0; i < sizeof(from); i++) {
        from[i] = (char) (i * 31 >> 3);
    }

    for (answer = -1; answer <= 1; answer++) {
        for (n = 1; n <= CTSEG_PEEK_MAX; n += 51) {

            for (i = 0; i < n; i++) {
                piece[i].iov_base = from + (i * 977) % 4900;
                piece[i].iov_len = i % 20;
            }

            calls = 0;
            memset(out, '#', sizeof(out));
            ctseg_peek(getpid(), out, piece, n);
            assert_int_equal(calls, 1);

            for (i = 0, at = 0; i < n; i++) {
                assert_memory_equal(out + at, piece[i].iov_base,
                                    piece[i].iov_len);
                at += piece[i].iov_len;
            }

            assert_int_equal(out[at], '#');
        }
    }
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pieces)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
