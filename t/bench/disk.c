/*
 * What a commit of LMDB waits for on the file system of FILE, without LMDB.
 * It writes the few pages that a small transaction changes, calls fdatasync(),
 * and writes its meta page through a descriptor with O_DSYNC: two flushes, one
 * after the other.  Four latencies:
 *
 *     flush      one page that is there already, and fdatasync(): one flush
 *     overwrite  a commit into pages that are there already, which is what a
 *                store does once it uses pages again that became free
 *     append     a commit into pages behind the end of the file, which is
 *                what a store does that grows: the file system has to find
 *                room for them, and to write that down
 *     large      half a megabyte behind the end of the file, in one piece, and
 *                one flush, which is what each commit costs while commits
 *                follow each other: how fast the disk lets a log grow
 *
 * One line of JSON; FILE is created and removed.
 *
 *     disk FILE
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


#define DISK_PAGE     4096
#define DISK_PAGES    4                     /* of a commit, and a meta page */
#define DISK_META     120                   /* bytes written of that one */
#define DISK_COMMITS  200
#define DISK_NS       300000000             /* of each kind at most */

/* two meta pages, pages for as many commits, then what is appended */

#define DISK_FIRST    2
#define DISK_FILLED   (DISK_FIRST + DISK_COMMITS * DISK_PAGES)
#define DISK_APPENDED (DISK_FILLED + DISK_COMMITS * DISK_PAGES)
#define DISK_LARGE    128

typedef struct {
    const char  *name;
    int          pages;
    int          from;                      /* page of the file */
    int          meta;
    int          piece;                     /* pages a write */
} disk_kind_t;


static const disk_kind_t  disk_kinds[] = {
    { "flush", 1, DISK_FIRST, 0, 1 },
    { "overwrite", DISK_PAGES, DISK_FIRST, 1, 1 },
    { "append", DISK_PAGES, DISK_FILLED, 1, 1 },
    { "large", DISK_LARGE, DISK_APPENDED, 0, DISK_LARGE }
};

static char  disk_bytes[DISK_FILLED * DISK_PAGE];


static int64_t
disk_now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}


static int
disk_compare(const void *a, const void *b)
{
    const int64_t  *one = a, *two = b;

    return (*one > *two) - (*one < *two);
}


/* commit as long as there is time; how often, or -1 */

static int
disk_probe(int fd, int mfd, const disk_kind_t *kind, int64_t *took)
{
    int      n, i;
    off_t    page;
    int64_t  begin, start;

    begin = disk_now();

    for (n = 0; n < DISK_COMMITS; n++) {
        start = disk_now();

        if (n != 0 && start - begin > DISK_NS) {
            break;
        }

        /* pages one by one, as LMDB does with those that are no neighbours */

        for (i = 0; i < kind->pages; i += kind->piece) {
            page = kind->from + n * kind->pages + i;

            if (pwrite(fd, disk_bytes, kind->piece * DISK_PAGE,
                       page * DISK_PAGE)
                != kind->piece * DISK_PAGE)
            {
                return -1;
            }
        }

        if (fdatasync(fd) != 0
            || (kind->meta
                && pwrite(mfd, disk_bytes, DISK_META,
                          (off_t) (n & 1) * DISK_PAGE) != DISK_META))
        {
            return -1;
        }

        took[n] = disk_now() - start;
    }

    qsort(took, (size_t) n, sizeof(int64_t), disk_compare);

    return n;
}


static double
disk_us(const int64_t *took, int n, int percent)
{
    int  i;

    i = n * percent / 100;

    return (double) took[i < n ? i : n - 1] / 1000;
}


static int
disk_print(int fd, int mfd)
{
    int                 n;
    size_t              i;
    int64_t             took[DISK_COMMITS];
    const disk_kind_t  *kind;

    /* what is overwritten is there, and is on the disk */

    if (pwrite(fd, disk_bytes, sizeof(disk_bytes), 0)
        != (ssize_t) sizeof(disk_bytes)
        || fsync(fd) != 0)
    {
        return -1;
    }

    printf("{");

    for (i = 0; i < sizeof(disk_kinds) / sizeof(disk_kinds[0]); i++) {
        kind = &disk_kinds[i];
        n = disk_probe(fd, mfd, kind, took);

        if (n == -1) {
            return -1;
        }

        printf("%s\"%s_times\":%d,\"%s_p50_us\":%.1f,\"%s_p99_us\":%.1f",
               i ? "," : "", kind->name, n, kind->name, disk_us(took, n, 50),
               kind->name, disk_us(took, n, 99));
    }

    printf("}\n");

    return 0;
}


int
main(int argc, char **argv)
{
    int  fd, mfd, rc;

    if (argc != 2) {
        fprintf(stderr, "usage: disk FILE\n");
        return 2;
    }

    memset(disk_bytes, 'x', sizeof(disk_bytes));

    fd = open(argv[1], O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600);
    if (fd == -1) {
        fprintf(stderr, "disk: %s: %s\n", argv[1], strerror(errno));
        return 1;
    }

    mfd = open(argv[1], O_WRONLY|O_DSYNC|O_CLOEXEC);
    rc = mfd == -1 ? -1 : disk_print(fd, mfd);

    if (rc == -1) {
        fprintf(stderr, "disk: %s: %s\n", argv[1], strerror(errno));
    }

    if (mfd != -1) {
        close(mfd);
    }

    close(fd);
    unlink(argv[1]);

    return rc == -1 ? 1 : 0;
}
