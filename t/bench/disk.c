/*
 * What a flush costs on the file system of FILE: the latency of fdatasync()
 * after an append of 4 KB, and after 1 MB was written anew in its place.  One
 * line of JSON; FILE is created and removed.
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


#define DISK_APPENDS     200
#define DISK_OVERWRITES  20
#define DISK_APPEND      4096
#define DISK_OVERWRITE   (1024 * 1024)
#define DISK_NS          400000000          /* of each of the two at most */


static char  disk_bytes[DISK_OVERWRITE];


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


/* write and flush "max" times, as long as there is time; how often, or -1 */

static int
disk_probe(int fd, size_t len, int append, int64_t *took, int max)
{
    int      n;
    off_t    at;
    int64_t  begin, start;

    begin = disk_now();

    for (n = 0; n < max; n++) {
        start = disk_now();

        if (n != 0 && start - begin > DISK_NS) {
            break;
        }

        at = append ? (off_t) n * (off_t) len : 0;

        if (pwrite(fd, disk_bytes, len, at) != (ssize_t) len
            || fdatasync(fd) != 0)
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


int
main(int argc, char **argv)
{
    int      fd, n, m;
    int64_t  appends[DISK_APPENDS], overwrites[DISK_OVERWRITES];

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

    n = disk_probe(fd, DISK_APPEND, 1, appends, DISK_APPENDS);
    m = -1;

    /* the second one overwrites what is there already */

    if (n != -1
        && pwrite(fd, disk_bytes, DISK_OVERWRITE, 0) == DISK_OVERWRITE
        && fsync(fd) == 0)
    {
        m = disk_probe(fd, DISK_OVERWRITE, 0, overwrites, DISK_OVERWRITES);
    }

    if (m == -1) {
        fprintf(stderr, "disk: %s: %s\n", argv[1], strerror(errno));
    }

    close(fd);
    unlink(argv[1]);

    if (m == -1) {
        return 1;
    }

    printf("{\"append_bytes\":%d,\"appends\":%d,\"append_p50_us\":%.1f,"
           "\"append_p99_us\":%.1f,\"overwrite_bytes\":%d,"
           "\"overwrites\":%d,\"overwrite_p50_us\":%.1f,"
           "\"overwrite_p99_us\":%.1f}\n",
           DISK_APPEND, n, disk_us(appends, n, 50), disk_us(appends, n, 99),
           DISK_OVERWRITE, m, disk_us(overwrites, m, 50),
           disk_us(overwrites, m, 99));

    return 0;
}
