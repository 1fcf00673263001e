/*
 * Time that runs faster, CTSEG_HURRY times as fast, for leases, watchdogs and
 * timers of nginx.  Preloaded: the monotonic clocks are multiplied, and a wait
 * for events ends that much sooner.  All processes multiply the same clock, so
 * what they share stays in step.  The wall clock is left alone.
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>


static int  ctseg_hurry = 1;


__attribute__((constructor))
static void
ctseg_hurry_init(void)
{
    const char  *factor;

    factor = getenv("CTSEG_HURRY");

    if (factor != NULL) {
        ctseg_hurry = (int) strtol(factor, NULL, 10);
    }

    if (ctseg_hurry < 1) {
        (void) fprintf(stderr, "ctseg_hurry: how fast?\n");
        _exit(126);
    }
}


int
clock_gettime(clockid_t id, struct timespec *ts)
{
    long long  ns;

    if (syscall(SYS_clock_gettime, id, ts) != 0) {
        return -1;
    }

    if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE
        || id == CLOCK_MONOTONIC_RAW)
    {
        ns = (long long) ts->tv_nsec * ctseg_hurry;

        ts->tv_sec = ts->tv_sec * ctseg_hurry + ns / 1000000000;
        ts->tv_nsec = (long) (ns % 1000000000);
    }

    return 0;
}


int
epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    int  (*next)(int fd, struct epoll_event *events, int n, int timeout);

    if (timeout > 0) {
        timeout = (timeout + ctseg_hurry - 1) / ctseg_hurry;
    }

    *(void **) &next = dlsym(RTLD_NEXT, "epoll_wait");

    return next(fd, events, n, timeout);
}
