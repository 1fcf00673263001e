/*
 * Stands guard over the event loop.  Preloaded into nginx: a call of LMDB or
 * curl, a parse of yajl, or a sync of a file, that the main thread of a
 * worker makes between its first wait for events and the module's
 * exit_process is an alert in the error log, with the place in the module.
 * So is a call to files or to sleep made by the module's own code; what nginx
 * does with files itself is its own affair.  Pool threads, the master and the
 * two hooks of a process may do all of it.  Used by Ctseg::Nginx, see "make
 * guard".
 *
 * The module is found by its name, or as the object that has the symbol
 * ctseg_guard_ours, by which a test of the guard stands in for it.
 */

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <lmdb.h>


#define GUARD_MODULE  "ngx_http_ctseg_module.so"
#define GUARD_WORKER  3                 /* NGX_PROCESS_WORKER */
#define GUARD_LINES   50                /* more do not help anybody */


/* the part of nginx's ABI for modules that is needed here: ngx_module_t */

typedef struct {
    uintptr_t    ctx_index;
    uintptr_t    index;
    char        *name;
    uintptr_t    spare[2];
    uintptr_t    version;
    const char  *signature;
    void        *ctx;
    void        *commands;
    uintptr_t    type;
    void        *init_master;
    void        *init_module;
    void        *init_process;
    void        *init_thread;
    void        *exit_thread;
    void       (*exit_process)(void *cycle);
    void        *exit_master;
} guard_module_t;


typedef struct {
    uintptr_t  low;
    uintptr_t  high;
} guard_range_t;


/* of this process; a fork begins with what the master has: nothing */

static pid_t           guard_pid;       /* whose loop is watched, or 0 */
static unsigned        guard_lines;
static guard_range_t   guard_ours[2];   /* code of the module, of a test */
static void          (*guard_exit)(void *cycle);


static void
guard_write(const char *level, const char *text)
{
    int      n;
    char     line[512];
    ssize_t  ignored;

    n = snprintf(line, sizeof(line), "%s %d#%d: loop guard: %s\n", level,
                 (int) getpid(), (int) syscall(SYS_gettid), text);

    /* nginx has made its error log of this descriptor */

    ignored = syscall(SYS_write, STDERR_FILENO, line, (size_t) n);
    (void) ignored;
}


static void
guard_exit_process(void *cycle)
{
    guard_pid = 0;
    guard_write("[notice]", "leaving");
    guard_exit(cycle);
}


/* ---- the module ---- */

static int
guard_object(struct dl_phdr_info *info, size_t size, void *data)
{
    char    *path = data;
    size_t   n;

    (void) size;

    n = strlen(info->dlpi_name);

    if (n < sizeof(GUARD_MODULE)
        || strcmp(info->dlpi_name + n - sizeof(GUARD_MODULE) + 1,
                  GUARD_MODULE) != 0)
    {
        return 0;
    }

    (void) snprintf(path, PATH_MAX, "%s", info->dlpi_name);

    return 1;
}


/* where the code lies that an address belongs to */

typedef struct {
    uintptr_t      at;
    guard_range_t  range;
} guard_code_t;


static int
guard_code(struct dl_phdr_info *info, size_t size, void *data)
{
    int            i;
    uintptr_t      low, high;
    guard_code_t  *code = data;
    bool           mine;

    (void) size;

    mine = false;
    code->range.low = UINTPTR_MAX;
    code->range.high = 0;

    for (i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type != PT_LOAD) {
            continue;
        }

        low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        high = low + info->dlpi_phdr[i].p_memsz;
        mine = mine || (code->at >= low && code->at < high);

        if (low < code->range.low) {
            code->range.low = low;
        }

        if (high > code->range.high) {
            code->range.high = high;
        }
    }

    return mine;
}


static guard_range_t
guard_range(const void *symbol)
{
    guard_code_t  code;

    code.at = (uintptr_t) symbol;

    if (symbol == NULL || dl_iterate_phdr(guard_code, &code) == 0) {
        code.range.low = code.range.high = 0;
    }

    return code.range;
}


/* the first wait for events: from here on the loop is a loop */

static void
guard_enter(void)
{
    char              path[PATH_MAX];
    void             *handle;
    uintptr_t        *process;
    guard_module_t  **modules;

    process = dlsym(RTLD_DEFAULT, "ngx_process");

    if (process == NULL || *process != GUARD_WORKER
        || syscall(SYS_gettid) != getpid()
        || dl_iterate_phdr(guard_object, path) == 0)
    {
        return;
    }

    handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    modules = handle != NULL ? dlsym(handle, "ngx_modules") : NULL;

    if (modules == NULL || modules[0]->exit_process == NULL) {
        guard_write("[alert]", "the module is not what it was");
        return;
    }

    guard_ours[0] = guard_range(modules[0]);
    guard_ours[1] = guard_range(dlsym(RTLD_DEFAULT, "ctseg_guard_ours"));

    guard_exit = modules[0]->exit_process;
    modules[0]->exit_process = guard_exit_process;

    guard_pid = getpid();
    guard_write("[notice]", "watching");
}


/* ---- the judgement ---- */

static bool
guard_is_loop(void)
{
    return guard_pid != 0 && guard_pid == getpid()
           && syscall(SYS_gettid) == guard_pid;
}


static bool
guard_is_ours(const void *caller)
{
    unsigned  i;

    for (i = 0; i < 2; i++) {
        if ((uintptr_t) caller >= guard_ours[i].low
            && (uintptr_t) caller < guard_ours[i].high)
        {
            return true;
        }
    }

    return false;
}


static void
guard_check(const char *name, const void *caller, bool any)
{
    int      saved;
    char     text[400];
    Dl_info  info;

    if (!guard_is_loop() || (!any && !guard_is_ours(caller))
        || guard_lines++ >= GUARD_LINES)
    {
        return;
    }

    saved = errno;

    if (dladdr(caller, &info) == 0) {
        info.dli_fname = "?";
        info.dli_fbase = NULL;
    }

    (void) snprintf(text, sizeof(text), "%s() on the event loop, from %s "
                    "+0x%lx", name, info.dli_fname,
                    (unsigned long) ((uintptr_t) caller
                                     - (uintptr_t) info.dli_fbase));
    guard_write("[alert]", text);
    errno = saved;
}


static void *
guard_real(const char *name)
{
    void  *real;

    real = dlsym(RTLD_NEXT, name);

    if (real == NULL) {
        guard_write("[alert]", name);
        abort();
    }

    return real;
}


/* a function of the same name that looks first; any: whoever calls it */

#define GUARD(any, type, name, params, args)                                  \
    type name params                                                          \
    {                                                                         \
        static type (*real) params;                                           \
                                                                              \
        guard_check(#name, __builtin_return_address(0), any);                 \
                                                                              \
        if (real == NULL) {                                                   \
            *(void **) &real = guard_real(#name);                             \
        }                                                                     \
                                                                              \
        return real args;                                                     \
    }


int
epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
    static bool   entered;
    static int  (*real)(int fd, struct epoll_event *events, int n,
                        int timeout);

    /* nginx tries out epoll for one event before it calls init_process */

    if (!entered && n > 1) {
        entered = true;
        guard_enter();
    }

    if (real == NULL) {
        *(void **) &real = guard_real("epoll_wait");
    }

    return real(fd, events, n, timeout);
}


/* ---- LMDB ---- */

GUARD(true, int, mdb_env_create, (MDB_env **env), (env))
GUARD(true, int, mdb_env_open,
      (MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode),
      (env, path, flags, mode))
GUARD(true, int, mdb_env_copy, (MDB_env *env, const char *path), (env, path))
GUARD(true, int, mdb_env_stat, (MDB_env *env, MDB_stat *st), (env, st))
GUARD(true, int, mdb_env_get_fd, (MDB_env *env, int *fd), (env, fd))
GUARD(true, int, mdb_env_info, (MDB_env *env, MDB_envinfo *info),
      (env, info))
GUARD(true, int, mdb_env_sync, (MDB_env *env, int force), (env, force))
GUARD(true, void, mdb_env_close, (MDB_env *env), (env))
GUARD(true, int, mdb_env_set_flags, (MDB_env *env, unsigned flags, int on),
      (env, flags, on))
GUARD(true, int, mdb_env_set_mapsize, (MDB_env *env, size_t size),
      (env, size))
GUARD(true, int, mdb_env_set_maxreaders, (MDB_env *env, unsigned n),
      (env, n))
GUARD(true, int, mdb_env_set_maxdbs, (MDB_env *env, MDB_dbi n), (env, n))
GUARD(true, int, mdb_txn_begin,
      (MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn),
      (env, parent, flags, txn))
GUARD(true, size_t, mdb_txn_id, (MDB_txn *txn), (txn))
GUARD(true, int, mdb_txn_commit, (MDB_txn *txn), (txn))
GUARD(true, void, mdb_txn_abort, (MDB_txn *txn), (txn))
GUARD(true, void, mdb_txn_reset, (MDB_txn *txn), (txn))
GUARD(true, int, mdb_txn_renew, (MDB_txn *txn), (txn))
GUARD(true, int, mdb_dbi_open,
      (MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *dbi),
      (txn, name, flags, dbi))
GUARD(true, void, mdb_dbi_close, (MDB_env *env, MDB_dbi dbi), (env, dbi))
GUARD(true, int, mdb_stat, (MDB_txn *txn, MDB_dbi dbi, MDB_stat *st),
      (txn, dbi, st))
GUARD(true, int, mdb_drop, (MDB_txn *txn, MDB_dbi dbi, int del),
      (txn, dbi, del))
GUARD(true, int, mdb_get,
      (MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data),
      (txn, dbi, key, data))
GUARD(true, int, mdb_put,
      (MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data,
       unsigned flags),
      (txn, dbi, key, data, flags))
GUARD(true, int, mdb_del,
      (MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *data),
      (txn, dbi, key, data))
GUARD(true, int, mdb_cursor_open,
      (MDB_txn *txn, MDB_dbi dbi, MDB_cursor **cursor), (txn, dbi, cursor))
GUARD(true, void, mdb_cursor_close, (MDB_cursor *cursor), (cursor))
GUARD(true, int, mdb_cursor_renew, (MDB_txn *txn, MDB_cursor *cursor),
      (txn, cursor))
GUARD(true, int, mdb_cursor_get,
      (MDB_cursor *cursor, MDB_val *key, MDB_val *data, MDB_cursor_op op),
      (cursor, key, data, op))
GUARD(true, int, mdb_cursor_put,
      (MDB_cursor *cursor, MDB_val *key, MDB_val *data, unsigned flags),
      (cursor, key, data, flags))
GUARD(true, int, mdb_cursor_del, (MDB_cursor *cursor, unsigned flags),
      (cursor, flags))
GUARD(true, int, mdb_cursor_count, (MDB_cursor *cursor, size_t *n),
      (cursor, n))
GUARD(true, int, mdb_reader_check, (MDB_env *env, int *dead), (env, dead))


/* ---- curl; its handles are pointers here ---- */

GUARD(true, void *, curl_easy_init, (void), ())
GUARD(true, int, curl_easy_perform, (void *easy), (easy))
GUARD(true, void, curl_easy_cleanup, (void *easy), (easy))
GUARD(true, int, curl_multi_perform, (void *multi, int *running),
      (multi, running))


/* ---- yajl: a parse takes as long as its text, which anybody may send ---- */

GUARD(true, int, yajl_parse,
      (void *handle, const unsigned char *text, size_t size),
      (handle, text, size))


/* ---- what reaches for the disk, whoever calls it ---- */

GUARD(true, int, fsync, (int fd), (fd))
GUARD(true, int, fdatasync, (int fd), (fd))
GUARD(true, int, msync, (void *p, size_t size, int flags), (p, size, flags))
GUARD(true, void, sync, (void), ())
GUARD(true, int, syncfs, (int fd), (fd))


/* ---- files and sleep, in the module's own code ---- */

GUARD(false, int, stat, (const char *restrict path, struct stat *restrict sb),
      (path, sb))
GUARD(false, int, stat64,
      (const char *restrict path, struct stat64 *restrict sb), (path, sb))
GUARD(false, int, lstat,
      (const char *restrict path, struct stat *restrict sb), (path, sb))
GUARD(false, int, lstat64,
      (const char *restrict path, struct stat64 *restrict sb), (path, sb))
GUARD(false, int, statfs, (const char *path, struct statfs *sb), (path, sb))
GUARD(false, int, statfs64, (const char *path, struct statfs64 *sb),
      (path, sb))
GUARD(false, int, statvfs64,
      (const char *restrict path, struct statvfs64 *restrict sb), (path, sb))
GUARD(false, int, access, (const char *path, int mode), (path, mode))
GUARD(false, ssize_t, readlink,
      (const char *restrict path, char *restrict buf, size_t size),
      (path, buf, size))
GUARD(false, ssize_t, read, (int fd, void *buf, size_t size),
      (fd, buf, size))
GUARD(false, ssize_t, pread, (int fd, void *buf, size_t size, off_t at),
      (fd, buf, size, at))
GUARD(false, ssize_t, pread64, (int fd, void *buf, size_t size, off64_t at),
      (fd, buf, size, at))
GUARD(false, ssize_t, write, (int fd, const void *buf, size_t size),
      (fd, buf, size))
GUARD(false, ssize_t, pwrite,
      (int fd, const void *buf, size_t size, off_t at),
      (fd, buf, size, at))
GUARD(false, ssize_t, pwrite64,
      (int fd, const void *buf, size_t size, off64_t at),
      (fd, buf, size, at))
GUARD(false, ssize_t, process_vm_readv,
      (pid_t pid, const struct iovec *to, unsigned long nto,
       const struct iovec *from, unsigned long nfrom, unsigned long flags),
      (pid, to, nto, from, nfrom, flags))
GUARD(false, ssize_t, pwritev,
      (int fd, const struct iovec *iov, int n, off_t at), (fd, iov, n, at))
GUARD(false, ssize_t, pwritev64,
      (int fd, const struct iovec *iov, int n, off64_t at),
      (fd, iov, n, at))
GUARD(false, int, unlink, (const char *path), (path))
GUARD(false, int, rename, (const char *from, const char *to), (from, to))
GUARD(false, int, mkdir, (const char *path, mode_t mode), (path, mode))
GUARD(false, int, rmdir, (const char *path), (path))
GUARD(false, int, ftruncate64, (int fd, off64_t size), (fd, size))
GUARD(false, DIR *, opendir, (const char *path), (path))
GUARD(false, FILE *, fopen,
      (const char *restrict path, const char *restrict mode), (path, mode))
GUARD(false, FILE *, fopen64,
      (const char *restrict path, const char *restrict mode), (path, mode))
GUARD(false, unsigned, sleep, (unsigned s), (s))
GUARD(false, int, usleep, (useconds_t us), (us))
GUARD(false, int, nanosleep,
      (const struct timespec *ts, struct timespec *left), (ts, left))
GUARD(false, int, clock_nanosleep,
      (clockid_t id, int flags, const struct timespec *ts,
       struct timespec *left),
      (id, flags, ts, left))
GUARD(false, int, pthread_join, (pthread_t thread, void **result),
      (thread, result))
GUARD(false, int, pthread_cond_wait,
      (pthread_cond_t *cond, pthread_mutex_t *mutex), (cond, mutex))
GUARD(false, int, pthread_cond_timedwait,
      (pthread_cond_t *cond, pthread_mutex_t *mutex,
       const struct timespec *until), (cond, mutex, until))


/* the two with a third argument now and then: the kernel is told all three */

#define GUARD_OPEN(name)                                                      \
    int name(const char *path, int flags, ...)                                \
    {                                                                         \
        mode_t   mode;                                                        \
        va_list  args;                                                        \
                                                                              \
        guard_check(#name, __builtin_return_address(0), false);               \
                                                                              \
        va_start(args, flags);                                                \
        mode = (flags & (O_CREAT|O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0; \
        va_end(args);                                                         \
                                                                              \
        return (int) syscall(SYS_openat, AT_FDCWD, path, flags, mode);        \
    }

GUARD_OPEN(open)
GUARD_OPEN(open64)
