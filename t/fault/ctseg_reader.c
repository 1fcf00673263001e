/*
 * A process that reads and never ends: preloaded into any program, it begins
 * a read transaction in the LMDB environment named by CTSEG_READER, says so,
 * and leaves it open.  Killed, it is what a crash leaves in the table of
 * readers.
 */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>


#define CTSEG_READER_RDONLY  0x20000    /* MDB_RDONLY */


typedef int (*ctseg_reader_create_pt)(void **env);
typedef int (*ctseg_reader_open_pt)(void *env, const char *path,
    unsigned flags, unsigned mode);
typedef int (*ctseg_reader_begin_pt)(void *env, void *parent, unsigned flags,
    void **txn);


__attribute__((constructor))
static void
ctseg_reader(void)
{
    void                    *lib, *env, *txn;
    const char              *path;
    ctseg_reader_open_pt     open_env;
    ctseg_reader_begin_pt    begin;
    ctseg_reader_create_pt   create;

    path = getenv("CTSEG_READER");

    if (path == NULL) {
        return;
    }

    lib = dlopen("liblmdb.so.0", RTLD_NOW);

    if (lib == NULL) {
        (void) fprintf(stderr, "ctseg_reader: %s\n", dlerror());
        _exit(126);
    }

    *(void **) &create = dlsym(lib, "mdb_env_create");
    *(void **) &open_env = dlsym(lib, "mdb_env_open");
    *(void **) &begin = dlsym(lib, "mdb_txn_begin");

    if (create == NULL || open_env == NULL || begin == NULL
        || create(&env) != 0
        || open_env(env, path, 0, 0600) != 0
        || begin(env, NULL, CTSEG_READER_RDONLY, &txn) != 0)
    {
        (void) fprintf(stderr, "ctseg_reader: %s cannot be read\n", path);
        _exit(126);
    }

    (void) printf("reading\n");
    (void) fflush(stdout);
}
