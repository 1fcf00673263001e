/*
 * A disk and a memory that fail when a test says so.  Preloaded into nginx,
 * or included by a unit test, it takes the place of the calls that LMDB makes
 * on the files of a store, and of malloc: a rule says "the n-th call of these
 * kinds on the files of that environment fails with this errno", once or from
 * then on.  The rules lie in the file named by CTSEG_DISK, which is mapped
 * before main(), so that workers have it too although nginx takes the name
 * out of their environment.  What is no file of a store is left alone.
 * Written by Ctseg::Disk, which knows the layout; see t/README.md.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>


#define CTSEG_DISK_RULES  8
#define CTSEG_DISK_SHORT  (-1)          /* no errno: a write cut short */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CTSEG_DISK_MEMORY  1            /* malloc is taken over, too */
#endif

/* kinds of calls: bits of a rule, and places of the counters */

enum {
    CTSEG_DISK_WRITE = 1,               /* of data pages */
    CTSEG_DISK_META = 2,                /* through a descriptor that syncs */
    CTSEG_DISK_SYNC = 4,
    CTSEG_DISK_RESIZE = 8,              /* ftruncate, mmap */
    CTSEG_DISK_ALLOC = 16,              /* malloc and its kin, of anyone */
    CTSEG_DISK_KINDS = 5
};

enum {
    CTSEG_DISK_ANY = 0,
    CTSEG_DISK_EVENTS,
    CTSEG_DISK_STATE,
    CTSEG_DISK_PARTS
};


typedef struct {
    _Atomic int32_t  kinds;             /* 0: no rule */
    int32_t          part;
    int32_t          error;             /* errno */
    int32_t          forever;           /* also all calls after the n-th */
    _Atomic int64_t  left;              /* calls up to the failing one */
    _Atomic int64_t  hits;
} ctseg_disk_rule_t;

typedef struct {
    ctseg_disk_rule_t  rule[CTSEG_DISK_RULES];
    _Atomic int64_t    calls[CTSEG_DISK_KINDS][CTSEG_DISK_PARTS];
} ctseg_disk_t;


/* NULL: nothing fails and nothing is counted */

static ctseg_disk_t  *ctseg_disk;

/* for a unit test: told of a call before it is made; data NULL: a sync */

typedef void (*ctseg_disk_watch_pt)(int kind, int part, int fd, off_t at,
    const void *data, size_t n);

static ctseg_disk_watch_pt  ctseg_disk_watch;

/* syncs are believed, not made: the power is on for the whole test */

static bool  ctseg_disk_unsynced;


__attribute__((constructor))
static void
ctseg_disk_map(void)
{
    int          fd;
    void        *p;
    const char  *path;

    path = getenv("CTSEG_DISK");

    if (path == NULL) {
        return;
    }

    p = MAP_FAILED;
    fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd != -1) {
        p = (void *) syscall(SYS_mmap, NULL, sizeof(ctseg_disk_t),
                             PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        (void) close(fd);
    }

    /* a disk that never fails instead would make a test that means nothing */

    if (p == MAP_FAILED) {
        (void) fprintf(stderr, "ctseg_disk: %s cannot be mapped\n", path);
        _exit(126);
    }

    ctseg_disk = p;
}


/* which environment the file belongs to; ANY: to none */

static int
ctseg_disk_part(int fd)
{
    char     link[64], path[4096];
    ssize_t  n;

    if (fd < 0) {
        return CTSEG_DISK_ANY;
    }

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);

    if (n <= 0) {
        return CTSEG_DISK_ANY;
    }

    path[n] = '\0';

    if (strstr(path, "/events/data.mdb") != NULL
        || strstr(path, "/events/lock.mdb") != NULL)
    {
        return CTSEG_DISK_EVENTS;
    }

    if (strstr(path, "/state/data.mdb") != NULL
        || strstr(path, "/state/lock.mdb") != NULL)
    {
        return CTSEG_DISK_STATE;
    }

    return CTSEG_DISK_ANY;
}


/* count a call; the error it is to fail with, 0: none */

static int
ctseg_disk_meet(int kind, int part)
{
    int                 i, error;
    int64_t             left;
    ctseg_disk_rule_t  *r;

    for (i = 0; kind >> i != 1; i++) { /* void */ }

    atomic_fetch_add(&ctseg_disk->calls[i][part], 1);

    error = 0;

    for (i = 0; i < CTSEG_DISK_RULES; i++) {
        r = &ctseg_disk->rule[i];

        if ((atomic_load(&r->kinds) & kind) == 0
            || (r->part != CTSEG_DISK_ANY && r->part != part))
        {
            continue;
        }

        left = atomic_fetch_sub(&r->left, 1);

        if (left == 1 || (left < 1 && r->forever)) {
            atomic_fetch_add(&r->hits, 1);
            error = r->error;
        }
    }

    return error;
}


/*
 * Before a write of n bytes.  How many of them are to be written: 0 with
 * errno set is a failure.
 */

static size_t
ctseg_disk_before(int fd, off_t at, const struct iovec *iov, int niov,
    size_t n)
{
    int  i, kind, part, error, flags;

    if (ctseg_disk == NULL) {
        return n;
    }

    part = ctseg_disk_part(fd);

    if (part == CTSEG_DISK_ANY) {
        return n;
    }

    flags = fcntl(fd, F_GETFL);
    kind = (flags & O_DSYNC) ? CTSEG_DISK_META : CTSEG_DISK_WRITE;
    error = ctseg_disk_meet(kind, part);

    if (error == CTSEG_DISK_SHORT) {
        return n > 1 ? n / 2 : 1;
    }

    if (error != 0) {
        errno = error;
        return 0;
    }

    for (i = 0; ctseg_disk_watch != NULL && i < niov; i++) {
        ctseg_disk_watch(kind, part, fd, at, iov[i].iov_base,
                         iov[i].iov_len);
        at += (off_t) iov[i].iov_len;
    }

    return n;
}


/* a write that need not wait for the disk, though the descriptor would */

static ssize_t
ctseg_disk_unsynced_write(int fd, const void *data, size_t n, off_t at)
{
    int      other;
    char     link[64];
    ssize_t  done;

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    other = open(link, O_WRONLY | O_CLOEXEC);

    if (other == -1) {
        return -1;
    }

    done = syscall(SYS_pwrite64, other, data, n, at);
    (void) close(other);

    return done;
}


ssize_t
pwrite(int fd, const void *data, size_t n, off_t at)
{
    size_t        part;
    struct iovec  iov;

    iov.iov_base = (void *) data;
    iov.iov_len = n;
    part = ctseg_disk_before(fd, at, &iov, 1, n);

    if (part == 0 && n != 0) {
        return -1;
    }

    if (ctseg_disk_unsynced && (fcntl(fd, F_GETFL) & O_DSYNC)) {
        return ctseg_disk_unsynced_write(fd, data, part, at);
    }

    return syscall(SYS_pwrite64, fd, data, part, at);
}


ssize_t
write(int fd, const void *data, size_t n)
{
    size_t        part;
    struct iovec  iov;

    iov.iov_base = (void *) data;
    iov.iov_len = n;
    part = ctseg_disk_before(fd, ctseg_disk == NULL ? 0
                                 : lseek(fd, 0, SEEK_CUR), &iov, 1, n);

    if (part == 0 && n != 0) {
        return -1;
    }

    return syscall(SYS_write, fd, data, part);
}


ssize_t
writev(int fd, const struct iovec *iov, int niov)
{
    int     i;
    size_t  n, part;

    n = 0;

    for (i = 0; i < niov; i++) {
        n += iov[i].iov_len;
    }

    part = ctseg_disk_before(fd, ctseg_disk == NULL ? 0
                                 : lseek(fd, 0, SEEK_CUR), iov, niov, n);

    if (part == 0 && n != 0) {
        return -1;
    }

    if (part != n) {

        /* no more of it than the first piece */

        return syscall(SYS_write, fd, iov[0].iov_base,
                       part < iov[0].iov_len ? part : iov[0].iov_len);
    }

    return syscall(SYS_writev, fd, iov, niov);
}


/* 0: go on with the call, else an errno */

static int
ctseg_disk_refuse(int kind, int fd)
{
    int  part, error;

    if (ctseg_disk == NULL) {
        return 0;
    }

    part = ctseg_disk_part(fd);

    if (part == CTSEG_DISK_ANY) {
        return 0;
    }

    error = ctseg_disk_meet(kind, part);

    if (error == 0 && kind == CTSEG_DISK_SYNC && ctseg_disk_watch != NULL) {
        ctseg_disk_watch(kind, part, fd, 0, NULL, 0);
    }

    return error == CTSEG_DISK_SHORT ? EIO : error;
}


static int
ctseg_disk_sync(int fd, long call)
{
    int  error;

    error = ctseg_disk_refuse(CTSEG_DISK_SYNC, fd);

    if (error != 0) {
        errno = error;
        return -1;
    }

    return ctseg_disk_unsynced ? 0 : (int) syscall(call, fd);
}


int
fdatasync(int fd)
{
    return ctseg_disk_sync(fd, SYS_fdatasync);
}


int
fsync(int fd)
{
    return ctseg_disk_sync(fd, SYS_fsync);
}


int
ftruncate(int fd, off_t size)
{
    int  error;

    error = ctseg_disk_refuse(CTSEG_DISK_RESIZE, fd);

    if (error != 0) {
        errno = error;
        return -1;
    }

    return (int) syscall(SYS_ftruncate, fd, size);
}


/* a sanitizer needs both before anything of ours is there */

#ifdef CTSEG_DISK_MEMORY

void *
mmap(void *addr, size_t n, int prot, int flags, int fd, off_t at)
{
    int  error;

    error = ctseg_disk_refuse(CTSEG_DISK_RESIZE, fd);

    if (error != 0) {
        errno = error;
        return MAP_FAILED;
    }

    return (void *) syscall(SYS_mmap, addr, n, prot, flags, fd, at);
}


/* ---- memory ---- */

/* the names by which the C library offers its own to others */

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);
extern void __libc_free(void *p);


static _Atomic int64_t  ctseg_disk_live;    /* pieces not freed */


static bool
ctseg_disk_no_memory(void)
{
    int  error;

    if (ctseg_disk == NULL) {
        return false;
    }

    error = ctseg_disk_meet(CTSEG_DISK_ALLOC, CTSEG_DISK_ANY);

    if (error != 0) {
        errno = ENOMEM;
        return true;
    }

    return false;
}


static void *
ctseg_disk_piece(void *p)
{
    if (p != NULL) {
        atomic_fetch_add(&ctseg_disk_live, 1);
    }

    return p;
}


void *
malloc(size_t n)
{
    return ctseg_disk_no_memory() ? NULL : ctseg_disk_piece(__libc_malloc(n));
}


void *
calloc(size_t n, size_t size)
{
    return ctseg_disk_no_memory() ? NULL
                                  : ctseg_disk_piece(__libc_calloc(n, size));
}


void *
realloc(void *p, size_t n)
{
    void  *grown;

    if (ctseg_disk_no_memory()) {
        return NULL;
    }

    grown = __libc_realloc(p, n);

    return p == NULL ? ctseg_disk_piece(grown) : grown;
}


int
posix_memalign(void **p, size_t align, size_t n)
{
    if (ctseg_disk_no_memory()) {
        return ENOMEM;
    }

    *p = ctseg_disk_piece(__libc_memalign(align, n));

    return *p == NULL ? ENOMEM : 0;
}


void
free(void *p)
{
    if (p != NULL) {
        atomic_fetch_sub(&ctseg_disk_live, 1);
    }

    __libc_free(p);
}

#endif
