/*
 * The LMDB driver's file, ahead of its data.  A commit that makes a file
 * longer, or fills a hole of it, also changes where the file system keeps it,
 * and a flush has to write that as well: one more write to wait for, a third
 * of the time of a small commit.  So zeros are written behind the end for the
 * next commits, which then only write over them.
 *
 * Called in a write transaction, whose lock keeps other writers away, so that
 * nothing can lie where the zeros go: all that LMDB has written lies before
 * the end of the file.  LMDB does not look there: its meta page says how far
 * the data reaches.  A failure does no harm, and the commit will meet it too.
 */

#include <sys/uio.h>
#include <unistd.h>

#include "ctseg_store_lmdb_int.h"


#define CTSEG_LMDB_AHEAD  (256 * 1024)  /* bytes of zeros at a time */
#define CTSEG_LMDB_SCARCE (64 * 1024)   /* with less than that left */
#define CTSEG_LMDB_SMALL  (32 * 1024)   /* for larger commits a bit more to
                                           write is little */
#define CTSEG_LMDB_ZEROS  (16 * 1024)


static const char  ctseg_lmdb_zeros[CTSEG_LMDB_ZEROS];


void
ctseg_lmdb_ahead(const ctseg_lmdb_txn_t *t)
{
    unsigned          i;
    off_t             end;
    uint64_t          used;
    MDB_envinfo       info;
    struct iovec      iov[CTSEG_LMDB_AHEAD / CTSEG_LMDB_ZEROS];
    mdb_filehandle_t  fd;

    if (t->bytes > CTSEG_LMDB_SMALL
        || mdb_env_get_fd(t->env->env, &fd) != 0
        || mdb_env_info(t->env->env, &info) != 0)
    {
        return;
    }

    /*
     * Not by fstat(): since Linux 6.13 each write behind that has to give the
     * file another time, and the flush more to write.  LMDB sets the position
     * itself wherever it uses it.
     */

    end = lseek(fd, 0, SEEK_END);
    used = ((uint64_t) info.me_last_pgno + 1) * t->env->psize;

    /* the last pages of the data may have been free, and never written */

    if (end == -1
        || (uint64_t) end >= used + CTSEG_LMDB_SCARCE
        || (uint64_t) end + CTSEG_LMDB_AHEAD > info.me_mapsize)
    {
        return;
    }

    for (i = 0; i < sizeof(iov) / sizeof(iov[0]); i++) {
        iov[i].iov_base = (void *) ctseg_lmdb_zeros;
        iov[i].iov_len = CTSEG_LMDB_ZEROS;
    }

    (void) !pwritev(fd, iov, (int) i, end);
}
