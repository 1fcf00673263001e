/*
 * The file is read and written by calls and not mapped: what the disk says is
 * an error then and not a signal, and the memory of the worker stays as it
 * is.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctseg_spool.h"


#define CTSEG_SPOOL_ALIGN  16
#define CTSEG_SPOOL_PATH   4096


static ctseg_rc_t
ctseg_spool_error(ctseg_err_t *err, const char *what)
{
    int  code;

    code = errno;

    return ctseg_err(err, code == ENOSPC || code == EDQUOT ? CTSEG_FULL
                                                           : CTSEG_RETRY,
                     "a temporary file cannot be %s: %s", what,
                     strerror(code));
}


/* what lies in memory goes to a file, where there is room for more */

static ctseg_rc_t
ctseg_spool_open(ctseg_spool_t *sp, uint64_t used, ctseg_err_t *err)
{
    int         n;
    char        path[CTSEG_SPOOL_PATH];
    ctseg_rc_t  rc;

    n = snprintf(path, sizeof(path), "%s/latest.XXXXXX", sp->dir);

    if (n < 0 || (size_t) n >= sizeof(path)) {
        return ctseg_err(err, CTSEG_RETRY, "the path of a temporary file is "
                         "too long");
    }

    sp->fd = mkstemp(path);

    if (sp->fd == -1) {
        return ctseg_spool_error(err, "made");
    }

    sp->in_file = true;

    if (unlink(path) == -1 || fcntl(sp->fd, F_SETFD, FD_CLOEXEC) == -1) {
        return ctseg_spool_error(err, "made");
    }

    if (used == 0) {
        return CTSEG_OK;
    }

    rc = ctseg_spool_write(sp, 0, sp->memory, (size_t) used, err);

    free(sp->memory);
    sp->memory = NULL;
    sp->size = 0;

    return rc;
}


static ctseg_rc_t
ctseg_spool_grow(ctseg_spool_t *sp, uint64_t end, ctseg_err_t *err)
{
    char    *memory;
    size_t   size;

    size = sp->size == 0 ? 4096 : sp->size;

    while (size < end) {
        size *= 2;
    }

    if (size == sp->size) {
        return CTSEG_OK;
    }

    memory = realloc(sp->memory, size);

    if (memory == NULL) {
        return ctseg_err(err, CTSEG_NOMEM, "out of memory");
    }

    memset(memory + sp->size, 0, size - sp->size);

    sp->memory = memory;
    sp->size = size;

    return CTSEG_OK;
}


ctseg_rc_t
ctseg_spool_alloc(ctseg_spool_t *sp, uint64_t len, uint64_t *at,
    ctseg_err_t *err)
{
    uint64_t    used;
    ctseg_rc_t  rc;

    used = sp->end;
    rc = CTSEG_OK;

    *at = used;
    sp->end += (len + CTSEG_SPOOL_ALIGN - 1) / CTSEG_SPOOL_ALIGN
               * CTSEG_SPOOL_ALIGN;

    if (sp->in_file) {
        return CTSEG_OK;
    }

    rc = sp->end <= CTSEG_SPOOL_MEMORY ? ctseg_spool_grow(sp, sp->end, err)
                                       : ctseg_spool_open(sp, used, err);
    if (rc != CTSEG_OK) {
        sp->end = used;
    }

    return rc;
}


ctseg_rc_t
ctseg_spool_write(ctseg_spool_t *sp, uint64_t at, const void *data,
    size_t len, ctseg_err_t *err)
{
    ssize_t      n;
    const char  *p;

    if (!sp->in_file) {
        memcpy(sp->memory + at, data, len);
        return CTSEG_OK;
    }

    for (p = data; len != 0; p += n, at += (uint64_t) n, len -= (size_t) n) {

        n = pwrite(sp->fd, p, len, (off_t) at);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n <= 0) {
            errno = n == 0 ? ENOSPC : errno;
            return ctseg_spool_error(err, "written");
        }
    }

    return CTSEG_OK;
}


ctseg_rc_t
ctseg_spool_read(const ctseg_spool_t *sp, uint64_t at, void *data, size_t len,
    ctseg_err_t *err)
{
    char     *p;
    ssize_t   n;

    if (!sp->in_file) {
        memcpy(data, sp->memory + at, len);
        return CTSEG_OK;
    }

    for (p = data; len != 0; p += n, at += (uint64_t) n, len -= (size_t) n) {

        n = pread(sp->fd, p, len, (off_t) at);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n == -1) {
            return ctseg_spool_error(err, "read");
        }

        /* behind its end nothing was written yet */

        if (n == 0) {
            memset(p, 0, len);
            return CTSEG_OK;
        }
    }

    return CTSEG_OK;
}


void
ctseg_spool_free(ctseg_spool_t *sp)
{
    const char  *dir;

    if (sp->in_file) {
        (void) close(sp->fd);
    }

    free(sp->memory);

    dir = sp->dir;
    memset(sp, 0, sizeof(ctseg_spool_t));
    sp->dir = dir;
}
