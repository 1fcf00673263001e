/*
 * A wall clock that a test moves, for every process of an nginx at once.
 * Preloaded: clock_gettime() of the real-time clocks, gettimeofday() and
 * time() answer the kernel's time plus the milliseconds that lie in the file
 * named by CTSEG_CLOCK, a native int64.  The file is mapped before main(), so
 * that workers inherit it although nginx takes the name out of their
 * environment.  Clocks that only run forward are left alone, as they are when
 * an operator sets the date, but for a second int64: where it is not 0, they
 * stand still at so many nanoseconds, and no timer fires.  Written by
 * Ctseg::Clock.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>


static const _Atomic int64_t  *ctseg_clock_offset;     /* two of them */


__attribute__((constructor))
static void
ctseg_clock_map(void)
{
    int          fd;
    void        *p;
    const char  *path;

    path = getenv("CTSEG_CLOCK");

    if (path == NULL) {
        return;
    }

    p = MAP_FAILED;
    fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd != -1) {
        p = mmap(NULL, 2 * sizeof(int64_t), PROT_READ, MAP_SHARED, fd, 0);
        (void) close(fd);
    }

    /* the true time instead would make a test that means nothing */

    if (p == MAP_FAILED) {
        (void) fprintf(stderr, "ctseg_clock: %s cannot be mapped\n", path);
        _exit(126);
    }

    ctseg_clock_offset = p;
}


/*
 * The kernel is asked itself: it is always there, also before the libraries
 * that are loaded after this one.
 */

static int
ctseg_clock_read(clockid_t id, struct timespec *ts)
{
    int64_t  ms, ns;

    if (syscall(SYS_clock_gettime, id, ts) != 0) {
        return -1;
    }

    if (ctseg_clock_offset == NULL) {
        return 0;
    }

    if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE
        || id == CLOCK_MONOTONIC_RAW)
    {
        ns = atomic_load_explicit(ctseg_clock_offset + 1,
                                  memory_order_relaxed);
        if (ns != 0) {
            ts->tv_sec = ns / 1000000000;
            ts->tv_nsec = ns % 1000000000;
        }

        return 0;
    }

    if (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE) {
        return 0;
    }

    ms = atomic_load_explicit(ctseg_clock_offset, memory_order_relaxed);

    ns = ts->tv_nsec + ms % 1000 * 1000000;
    ts->tv_sec += ms / 1000;

    if (ns < 0) {
        ns += 1000000000;
        ts->tv_sec--;
    }

    if (ns >= 1000000000) {
        ns -= 1000000000;
        ts->tv_sec++;
    }

    ts->tv_nsec = ns;

    return 0;
}


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    return ctseg_clock_read(id, ts);
}


int
gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec  ts;

    if (tz != NULL) {
        memset(tz, 0, sizeof(struct timezone));
    }

    if (ctseg_clock_read(CLOCK_REALTIME, &ts) != 0) {
        return -1;
    }

    tv->tv_sec = ts.tv_sec;
    tv->tv_usec = ts.tv_nsec / 1000;

    return 0;
}


time_t
time(time_t *t)
{
    struct timespec  ts;

    if (ctseg_clock_read(CLOCK_REALTIME, &ts) != 0) {
        return (time_t) -1;
    }

    if (t != NULL) {
        *t = ts.tv_sec;
    }

    return ts.tv_sec;
}
