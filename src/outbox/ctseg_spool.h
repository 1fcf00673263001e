/*
 * Bytes that are too many for the memory of a worker: a few lie in memory,
 * more in a temporary file without a name, which ends with the process.
 * Pool threads; several may read at once while nobody writes.
 */

#ifndef CTSEG_SPOOL_H
#define CTSEG_SPOOL_H


#include "../base/ctseg.h"


#define CTSEG_SPOOL_MEMORY  (64 * 1024)


/* zeroed, and dir set, it is ready */

typedef struct {
    const char  *dir;                   /* of the file; borrowed */
    char        *memory;                /* NULL: there is none, or a file */
    size_t       size;                  /* of the memory */
    uint64_t     end;                   /* so much is given out */
    int          fd;
    bool         in_file;
} ctseg_spool_t;


/*
 * Room for so many bytes at *at, all zero.  NOMEM; RETRY: the file cannot be
 * made.  FULL: the disk is.
 */

ctseg_rc_t ctseg_spool_alloc(ctseg_spool_t *sp, uint64_t len, uint64_t *at,
    ctseg_err_t *err);

/* within what was given out; FULL, RETRY: the file */

ctseg_rc_t ctseg_spool_write(ctseg_spool_t *sp, uint64_t at,
    const void *data, size_t len, ctseg_err_t *err);

ctseg_rc_t ctseg_spool_read(const ctseg_spool_t *sp, uint64_t at, void *data,
    size_t len, ctseg_err_t *err);

/* all of it is gone; the struct is ready again */

void ctseg_spool_free(ctseg_spool_t *sp);


#endif /* CTSEG_SPOOL_H */
