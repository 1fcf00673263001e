/*
 * A file that is not read in time.  Preloaded: pread() of a request's body,
 * which nginx has written to a temporary file, waits while there is a file of
 * the name in CTSEG_HOLD.  So a thread of a worker is busy for as long as a
 * test wants it to be, without a lock that others would wait for.  The name is
 * taken before main(), since nginx takes it out of the environment of its
 * workers.
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>


static char  ctseg_hold_path[4096];


__attribute__((constructor))
static void
ctseg_hold_init(void)
{
    const char  *path;

    path = getenv("CTSEG_HOLD");

    if (path != NULL) {
        (void) snprintf(ctseg_hold_path, sizeof(ctseg_hold_path), "%s", path);
    }
}


static int
ctseg_hold_is_body(int fd)
{
    char     link[64], name[4096];
    ssize_t  n;

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);

    n = readlink(link, name, sizeof(name) - 1);

    if (n <= 0) {
        return 0;
    }

    name[n] = '\0';

    return strstr(name, "client_body") != NULL;
}


static ssize_t
ctseg_hold(const char *function, int fd, void *buf, size_t size, off_t offset)
{
    ssize_t  (*next)(int fd, void *buf, size_t size, off_t offset);

    static const struct timespec  beat = { 0, 1000000 };

    while (ctseg_hold_path[0] != '\0' && access(ctseg_hold_path, F_OK) == 0
           && ctseg_hold_is_body(fd))
    {
        nanosleep(&beat, NULL);
    }

    *(void **) &next = dlsym(RTLD_NEXT, function);

    return next(fd, buf, size, offset);
}


ssize_t
pread(int fd, void *buf, size_t size, off_t offset)
{
    return ctseg_hold("pread", fd, buf, size, offset);
}


ssize_t
pread64(int fd, void *buf, size_t size, off_t offset)
{
    return ctseg_hold("pread64", fd, buf, size, offset);
}
