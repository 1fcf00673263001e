/*
 * gzip, inflated and made: the one door to zlib.  Small input may become a
 * thousand times as much, so that everything here goes by the space for the
 * output: zlib gets no more than that, and stops.  zlib knows one member; what
 * comes behind its end is the next one.  A member is ended only with its
 * checksum, and an input that breaks off before it is noticed by finish.
 */

#include "ctseg_gzip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>


#define CTSEG_GZIP_WRAP    (15 + 16)    /* largest window, gzip alone */
#define CTSEG_GZIP_WINDOW  32768        /* inflated at a time */
#define CTSEG_GZIP_SLICE   (1u << 30)   /* zlib counts in 32 bits */


struct ctseg_gzip_s {
    z_stream  zlib;
    size_t    offset;                   /* bytes taken so far */
    bool      between;                  /* members, at least one of them */
};


ctseg_gzip_t *
ctseg_gzip_create(void)
{
    ctseg_gzip_t  *z;

    z = calloc(1, sizeof(ctseg_gzip_t));

    if (z == NULL) {
        return NULL;
    }

    if (inflateInit2(&z->zlib, CTSEG_GZIP_WRAP) != Z_OK) {
        free(z);
        return NULL;
    }

    return z;
}


void
ctseg_gzip_destroy(ctseg_gzip_t *z)
{
    if (z != NULL) {
        (void) inflateEnd(&z->zlib);
        free(z);
    }
}


static ctseg_rc_t
ctseg_gzip_fail(const ctseg_gzip_t *z, const char *text, ctseg_err_t *err)
{
    (void) ctseg_err(err, CTSEG_INVALID, "%s", text);

    if (err != NULL) {
        err->offset = z->offset;
    }

    return CTSEG_INVALID;
}


/* one call of zlib, which takes of in and adds to *n */

static ctseg_rc_t
ctseg_gzip_step(ctseg_gzip_t *z, ctseg_str_t *in, char *out, size_t size,
    size_t *n, ctseg_err_t *err)
{
    int     rc;
    size_t  most, taken;

    most = in->len < CTSEG_GZIP_SLICE ? in->len : CTSEG_GZIP_SLICE;
    z->zlib.next_in = (z_const Bytef *) in->data;
    z->zlib.avail_in = (uInt) most;

    size = size < CTSEG_GZIP_SLICE ? size : CTSEG_GZIP_SLICE;
    z->zlib.next_out = (Bytef *) out;
    z->zlib.avail_out = (uInt) size;

    rc = inflate(&z->zlib, Z_NO_FLUSH);

    taken = most - z->zlib.avail_in;
    *n += size - z->zlib.avail_out;
    z->offset += taken;

    if (taken != 0) {
        in->data += taken;
        in->len -= taken;
    }

    switch (rc) {

    case Z_OK:
    case Z_BUF_ERROR:                   /* nothing to do is no error */
        return CTSEG_OK;

    case Z_STREAM_END:
        z->between = true;
        (void) inflateReset(&z->zlib);
        return CTSEG_OK;

    case Z_MEM_ERROR:
        return ctseg_err(err, CTSEG_NOMEM, "out of memory");

    case Z_NEED_DICT:
        return ctseg_gzip_fail(z, "gzip: needs a dictionary", err);

    default:
        (void) ctseg_gzip_fail(z, "", err);
        return z->zlib.msg == NULL ? ctseg_gzip_fail(z, "gzip: damaged", err)
                                   : ctseg_gzip_fail(z, z->zlib.msg, err);
    }
}


ctseg_rc_t
ctseg_gzip_feed(ctseg_gzip_t *z, ctseg_str_t *in, char *out, size_t size,
    size_t *n, ctseg_err_t *err)
{
    size_t      before, left;
    ctseg_rc_t  rc;

    *n = 0;

    do {

        if (z->between && in->len != 0) {
            z->between = false;
        }

        before = *n;
        left = in->len;

        /* the state between two members has nothing to give */

        if (z->between || *n == size) {
            return CTSEG_OK;
        }

        rc = ctseg_gzip_step(z, in, out + *n, size - *n, n, err);

        if (rc != CTSEG_OK) {
            return rc;
        }

    } while (*n != before || in->len != left);

    return CTSEG_OK;
}


ctseg_rc_t
ctseg_gzip_finish(const ctseg_gzip_t *z, ctseg_err_t *err)
{
    return z->between ? CTSEG_OK
                      : ctseg_gzip_fail(z, "gzip: breaks off", err);
}


ctseg_rc_t
ctseg_gzip_inflate(ctseg_str_t in, size_t max, ctseg_buf_t *out,
    ctseg_err_t *err)
{
    size_t         n, mark, room;
    ctseg_rc_t     rc;
    ctseg_gzip_t  *z;

    z = ctseg_gzip_create();

    if (z == NULL) {
        return ctseg_err(err, CTSEG_NOMEM, "out of memory");
    }

    mark = out->len;

    do {

        /* one byte more than may come shows that there is more */

        room = max - (out->len - mark);
        room = room < CTSEG_GZIP_WINDOW ? room + 1 : CTSEG_GZIP_WINDOW;

        ctseg_buf_reserve(out, room);

        if (out->failed) {
            rc = ctseg_err(err, CTSEG_NOMEM, "out of memory");
            break;
        }

        rc = ctseg_gzip_feed(z, &in, out->data + out->len, room, &n, err);

        if (rc != CTSEG_OK) {
            break;
        }

        out->len += n;

        if (out->len - mark > max) {
            rc = ctseg_err(err, CTSEG_TOOBIG,
                           "inflates to more than %zu bytes", max);
            break;
        }

    } while (n == room);

    if (rc == CTSEG_OK) {
        rc = ctseg_gzip_finish(z, err);
    }

    if (rc != CTSEG_OK) {
        out->len = mark;
    }

    ctseg_gzip_destroy(z);

    return rc;
}


ctseg_rc_t
ctseg_gzip_deflate(ctseg_str_t in, ctseg_buf_t *out)
{
    int       rc;
    size_t    len;
    z_stream  zlib;

    memset(&zlib, 0, sizeof(zlib));

    if (in.len > CTSEG_GZIP_SLICE) {
        return CTSEG_TOOBIG;
    }

    if (deflateInit2(&zlib, Z_BEST_COMPRESSION, Z_DEFLATED, CTSEG_GZIP_WRAP,
                     9, Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        return CTSEG_NOMEM;
    }

    len = deflateBound(&zlib, in.len);
    ctseg_buf_reserve(out, len);

    if (out->failed) {
        (void) deflateEnd(&zlib);
        return CTSEG_NOMEM;
    }

    zlib.next_in = (Bytef *) in.data;
    zlib.avail_in = (uInt) in.len;
    zlib.next_out = (Bytef *) out->data + out->len;
    zlib.avail_out = (uInt) len;

    rc = deflate(&zlib, Z_FINISH);
    out->len += len - zlib.avail_out;

    (void) deflateEnd(&zlib);

    return rc == Z_STREAM_END ? CTSEG_OK : CTSEG_NOMEM;
}
