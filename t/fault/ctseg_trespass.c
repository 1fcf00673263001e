/*
 * What the loop guard must report, done on purpose: preloaded before it, the
 * fourth wait for events of a worker does once each kind of thing that has
 * no place on the loop, and a thread does those that a thread may do.  It
 * stands in for the module by the symbol ctseg_guard_ours.
 *
 * link: -llmdb -lyajl
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <lmdb.h>
#include <yajl/yajl_parse.h>


#define TRESPASS_WORKER  3              /* NGX_PROCESS_WORKER */


int  ctseg_guard_ours;


static void *
trespass_thread(void *data)
{
    MDB_env  *env;

    if (mdb_env_create(&env) == 0) {
        (void) mdb_env_set_maxdbs(env, 2);
        mdb_env_close(env);
    }

    (void) fdatasync(-1);
    (void) unlink("no such file");

    return data;
}


static void
trespass_loop(void)
{
    int              fd;
    FILE            *f;
    MDB_env         *env;
    struct stat      sb;
    yajl_handle      yajl;
    struct timespec  ts = { 0, 1 };

    yajl = yajl_alloc(NULL, NULL, NULL);

    if (yajl != NULL) {
        (void) yajl_parse(yajl, (const unsigned char *) "[]", 2);
        yajl_free(yajl);
    }

    if (mdb_env_create(&env) == 0) {
        (void) mdb_env_set_mapsize(env, 1048576);
        mdb_env_close(env);
    }

    (void) fsync(-1);
    (void) stat("no such file", &sb);
    (void) clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);

    fd = open("/dev/null", O_RDONLY);

    if (fd != -1) {
        (void) close(fd);
    }

    f = fopen("no such file", "r");

    if (f != NULL) {
        (void) fclose(f);
    }
}


int
epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    pthread_t           thread;
    unsigned long      *process;
    static unsigned     waits;
    static int        (*real)(int fd, struct epoll_event *events, int n,
                              int timeout);

    if (real == NULL) {
        *(void **) &real = dlsym(RTLD_NEXT, "epoll_wait");

        if (real == NULL) {
            abort();
        }
    }

    process = dlsym(RTLD_DEFAULT, "ngx_process");

    if (process != NULL && *process == TRESPASS_WORKER && ++waits == 4) {

        if (pthread_create(&thread, NULL, trespass_thread, NULL) == 0) {
            (void) pthread_detach(thread);
        }

        trespass_loop();
    }

    return real(fd, events, n, timeout);
}
