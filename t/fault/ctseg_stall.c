/*
 * A thread that does not come back.  Preloaded: the first search for a block
 * of the log that is made in the process whose number is in the file named by
 * CTSEG_STALL waits for as long as it is there.  One thread at a time is
 * caught, and while it is there is a file of that name with ".caught"; all
 * others go on.  The name is taken before main(), since nginx may take it out
 * of the environment of its workers.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


static char        ctseg_stall_path[4096];
static char        ctseg_stall_sign[4200];
static atomic_int  ctseg_stall_caught;


__attribute__((constructor))
static void
ctseg_stall_init(void)
{
    const char  *path;

    path = getenv("CTSEG_STALL");

    if (path != NULL) {
        (void) snprintf(ctseg_stall_path, sizeof(ctseg_stall_path), "%s",
                        path);
        (void) snprintf(ctseg_stall_sign, sizeof(ctseg_stall_sign),
                        "%s.caught", ctseg_stall_path);
    }
}


static int
ctseg_stall_is_us(void)
{
    int      fd;
    char     text[32];
    ssize_t  n;

    fd = open(ctseg_stall_path, O_RDONLY | O_CLOEXEC);

    if (fd == -1) {
        return 0;
    }

    n = read(fd, text, sizeof(text) - 1);
    (void) close(fd);

    if (n <= 0) {
        return 0;
    }

    text[n] = '\0';

    return strtol(text, NULL, 10) == (long) getpid();
}


/* keys of the log are numbers of eight bytes */

static int
ctseg_stall_is_log(MDB_cursor *cursor, MDB_val *key)
{
    int          (*get_path)(MDB_env *env, const char **path);
    MDB_txn     *(*get_txn)(MDB_cursor *cursor);
    MDB_env     *(*get_env)(MDB_txn *txn);
    const char   *path;

    *(void **) &get_txn = dlsym(RTLD_DEFAULT, "mdb_cursor_txn");
    *(void **) &get_env = dlsym(RTLD_DEFAULT, "mdb_txn_env");
    *(void **) &get_path = dlsym(RTLD_DEFAULT, "mdb_env_get_path");

    return key->mv_size == 8
           && get_path(get_env(get_txn(cursor)), &path) == 0
           && strstr(path, "/events") != NULL;
}


int
mdb_cursor_get(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
    MDB_cursor_op op)
{
    int  (*next)(MDB_cursor *cursor, MDB_val *key, MDB_val *data,
                 MDB_cursor_op op);

    static const struct timespec  beat = { 0, 1000000 };

    if (op == MDB_SET_RANGE && ctseg_stall_path[0] != '\0'
        && ctseg_stall_is_us() && ctseg_stall_is_log(cursor, key)
        && atomic_exchange(&ctseg_stall_caught, 1) == 0)
    {
        (void) close(open(ctseg_stall_sign, O_WRONLY | O_CREAT | O_CLOEXEC,
                          0644));

        while (ctseg_stall_is_us()) {
            nanosleep(&beat, NULL);
        }

        (void) unlink(ctseg_stall_sign);
        atomic_store(&ctseg_stall_caught, 0);
    }

    *(void **) &next = dlsym(RTLD_NEXT, "mdb_cursor_get");

    return next(cursor, key, data, op);
}
