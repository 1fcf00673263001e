/*
 * Copies of mapped bytes that are made by the kernel.  To touch a page of a
 * mapped file for the first time is a fault, of a microsecond or ten on a
 * virtual machine, and what a run reads of the log it reads once.  The kernel
 * finds these bytes in its own memory: many pieces cost one call.  Any thread.
 */

#ifndef CTSEG_PEEK_H
#define CTSEG_PEEK_H


#include <sys/types.h>
#include <sys/uio.h>

#include "../base/ctseg.h"


/* pieces of one call at most */

#define CTSEG_PEEK_MAX  256

/* n pieces, one behind the other, to out, which has room for all of them; self
   is getpid(), which is a call of the kernel as well */

void ctseg_peek(pid_t self, char *out, const struct iovec *piece,
    unsigned n);


#endif /* CTSEG_PEEK_H */
