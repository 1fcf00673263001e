/*
 * gzip, the only user of zlib: inflating what somebody else compressed, with
 * a bound on what comes out, and compressing what is our own.  Several members
 * one behind the other are one text, as gzip itself has it (RFC 1952);
 * checksums and lengths are compared.  Any thread; one owner at a time.
 */

#ifndef CTSEG_GZIP_H
#define CTSEG_GZIP_H


#include "ctseg_mem.h"


typedef struct ctseg_gzip_s  ctseg_gzip_t;

ctseg_gzip_t *ctseg_gzip_create(void);          /* NULL: no memory */
void ctseg_gzip_destroy(ctseg_gzip_t *z);       /* NULL is fine */

/*
 * Inflate from the front of *in, which is moved on, to at most size bytes at
 * out, of which *n are written.  OK: all of in is taken, or out is full; when
 * *n == size there may be more to come even though in is empty, so call again.
 * INVALID: no gzip; err->offset counts from the first byte ever fed.  NOMEM.
 * After anything but OK the stream is of no use any more.
 */

ctseg_rc_t ctseg_gzip_feed(ctseg_gzip_t *z, ctseg_str_t *in, char *out,
    size_t size, size_t *n, ctseg_err_t *err);

/* after the last byte: OK, or INVALID when it breaks off within a member */

ctseg_rc_t ctseg_gzip_finish(const ctseg_gzip_t *z, ctseg_err_t *err);

/*
 * A whole body, appended to out.  TOOBIG as soon as it has more than max
 * bytes, of which no more than one is inflated; INVALID, NOMEM.  out is as it
 * was then, but for its memory.
 */

ctseg_rc_t ctseg_gzip_inflate(ctseg_str_t in, size_t max, ctseg_buf_t *out,
    ctseg_err_t *err);

/* compress as well as zlib can, appended to out; TOOBIG, NOMEM */

ctseg_rc_t ctseg_gzip_deflate(ctseg_str_t in, ctseg_buf_t *out);


#endif /* CTSEG_GZIP_H */
