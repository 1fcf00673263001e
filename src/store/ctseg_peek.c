/*
 * Copying mapped bytes through the kernel.  Called by the block's reader, on
 * pool threads.  A process may always read its own memory by
 * process_vm_readv; where a filter of system calls forbids it, or a page
 * cannot be had, the bytes are touched after all, and what happens then is
 * what would have happened without this file.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <string.h>

#include "ctseg_peek.h"


void
ctseg_peek(pid_t self, char *out, const struct iovec *piece, unsigned n)
{
    size_t        size;
    ssize_t       copied;
    unsigned      i;
    struct iovec  to;

    for (i = 0, size = 0; i < n; i++) {
        size += piece[i].iov_len;
    }

    to.iov_base = out;
    to.iov_len = size;

    copied = process_vm_readv(self, &to, 1, piece, n, 0);

    if (copied >= 0 && (size_t) copied == size) {
        return;
    }

    for (i = 0; i < n; i++) {
        memcpy(out, piece[i].iov_base, piece[i].iov_len);
        out += piece[i].iov_len;
    }
}
