/*
 * The LMDB driver: opening and closing.  Called from process hooks, once per
 * process and directory and never across a fork.  Commits are fully synced
 * (no NOSYNC, no NOMETASYNC) and the map is never written through: an
 * acknowledged event must survive the power.  It creates what is missing but
 * the directories, and refuses a schema it does not know.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctseg_store_lmdb_int.h"


#define CTSEG_LMDB_READERS  1024
#define CTSEG_LMDB_DBS      8          /* at most, in one environment */
#define CTSEG_LMDB_FLAGS    (MDB_NOTLS|MDB_NORDAHEAD)


static void ctseg_lmdb_close(ctseg_store_t *s);
static ctseg_rc_t ctseg_lmdb_sweep(ctseg_store_t *s);
static const char *ctseg_lmdb_installation(const ctseg_store_t *s);


static const ctseg_store_driver_t  ctseg_lmdb_driver = {
    ctseg_lmdb_close,
    ctseg_lmdb_append,
    ctseg_lmdb_marked,
    ctseg_lmdb_scan,
    ctseg_lmdb_seek,
    ctseg_lmdb_bounds,
    ctseg_lmdb_trim,
    ctseg_lmdb_sweep,
    ctseg_lmdb_get,
    ctseg_lmdb_put,
    ctseg_lmdb_room,
    ctseg_lmdb_list,
    ctseg_lmdb_wait,
    ctseg_lmdb_usage,
    ctseg_lmdb_installation
};


/*
 * The one mutable state of the room: what this process has open.  To open a
 * file twice would make the second close drop the locks of the first.
 */

static pthread_mutex_t  ctseg_lmdb_mutex = PTHREAD_MUTEX_INITIALIZER;
static ctseg_lmdb_t    *ctseg_lmdb_list_head;


/* the entry of a new environment is made durable with its directory */

static void
ctseg_lmdb_sync_dir(const char *path)
{
    int  fd;

    fd = open(path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd == -1) {
        return;
    }

    (void) fsync(fd);
    (void) close(fd);
}


/*
 * The data file of a new environment, with its two first pages, appears in
 * one step: LMDB, left to itself, can be broken off half-way, and refuses
 * what it finds then for ever.  Several processes may do this at once; the
 * first link wins.  Where there are no links LMDB is left to itself.
 */

static int
ctseg_lmdb_env_make(const char *path, uint64_t size)
{
    int           rc, n;
    char          file[4096], fresh[4096];
    MDB_env      *env;
    struct stat   st;

    n = snprintf(file, sizeof(file), "%s/data.mdb", path);

    if (n < 0 || (size_t) n >= sizeof(file)) {
        return ENAMETOOLONG;
    }

    n = snprintf(fresh, sizeof(fresh), "%s/data.mdb.%ld", path,
                 (long) getpid());

    if (n < 0 || (size_t) n >= sizeof(fresh)) {
        return ENAMETOOLONG;
    }

    if (stat(file, &st) == 0 || errno != ENOENT) {
        return 0;                       /* what else is wrong, open says */
    }

    rc = mdb_env_create(&env);

    if (rc != 0) {
        return rc;
    }

    (void) unlink(fresh);

    rc = mdb_env_set_mapsize(env, (size_t) size);

    if (rc == 0) {
        rc = mdb_env_open(env, fresh, MDB_NOSUBDIR|MDB_NOLOCK, 0600);
    }

    if (rc == 0) {
        rc = mdb_env_sync(env, 1);
    }

    mdb_env_close(env);

    if (rc == 0 && link(fresh, file) == -1
        && (errno == ENOSPC || errno == EDQUOT || errno == EIO))
    {
        rc = errno;
    }

    (void) unlink(fresh);

    return rc;
}


static int
ctseg_lmdb_env_open(ctseg_lmdb_env_t *e, const char *path, uint64_t size)
{
    int       rc, dead;
    MDB_stat  st;

    rc = ctseg_lmdb_env_make(path, size);

    if (rc == 0) {
        rc = mdb_env_create(&e->env);
    }

    if (rc != 0) {
        e->env = NULL;
        return rc;
    }

    rc = mdb_env_set_maxreaders(e->env, CTSEG_LMDB_READERS);

    if (rc == 0) {
        rc = mdb_env_set_maxdbs(e->env, CTSEG_LMDB_DBS);
    }

    if (rc == 0) {
        rc = mdb_env_set_mapsize(e->env, (size_t) size);
    }

    if (rc == 0) {
        rc = mdb_env_open(e->env, path, CTSEG_LMDB_FLAGS
                                        |(e->late ? MDB_NOMETASYNC : 0), 0600);
    }

    /*
     * What a process left that met an error of the disk: a meta page that was
     * taken back must be gone from the disk before one more is written.
     */

    if (rc == 0) {
        rc = mdb_env_sync(e->env, 1);
    }

    if (rc != 0) {
        mdb_env_close(e->env);
        e->env = NULL;
        return rc;
    }

    (void) mdb_reader_check(e->env, &dead);

    rc = mdb_env_stat(e->env, &st);
    e->psize = st.ms_psize;

    return rc;
}


/*
 * 0.9.26 to 0.9.31 may destroy the mutex that other processes wait for when
 * an environment is closed; there the end of the process closes it.
 */

static bool
ctseg_lmdb_may_close(void)
{
    int  version, major, minor, patch;

    (void) mdb_version(&major, &minor, &patch);
    version = major * 10000 + minor * 100 + patch;

    return version < 926 || version > 931;
}


static void
ctseg_lmdb_dbi(ctseg_lmdb_txn_t *t, const char *name, MDB_dbi *dbi)
{
    if (t->rc == 0) {
        t->rc = mdb_dbi_open(t->txn, name, MDB_CREATE, dbi);
    }
}


/* open one environment with its tables, all in one transaction */

static ctseg_rc_t
ctseg_lmdb_part_open(ctseg_lmdb_t *db, ctseg_lmdb_env_t *e, const char *root,
    const char *name, uint64_t size, ctseg_err_t *err)
{
    int               rc, n;
    char              path[4096];
    uint64_t          schema, known;
    ctseg_rc_t        answer;
    ctseg_lmdb_txn_t  t;

    n = snprintf(path, sizeof(path), "%s/%s", root, name);

    if (n < 0 || (size_t) n >= sizeof(path)) {
        return ctseg_err(err, CTSEG_INVALID, "the path of the store is too "
                         "long");
    }

    rc = ctseg_lmdb_env_open(e, path, size);

    if (rc != 0) {
        answer = (rc == ENOSPC || rc == EDQUOT) ? CTSEG_FULL : CTSEG_FATAL;
        return ctseg_err(err, answer, "cannot open the store \"%.180s\": %s",
                         path, mdb_strerror(rc));
    }

    ctseg_lmdb_begin(&t, db, e, true, INT64_MAX);

    schema = CTSEG_LMDB_SCHEMA;
    known = CTSEG_LMDB_SCHEMA;

    if (e == &db->events) {
        known = CTSEG_LMDB_SCHEMA_LOG;
        ctseg_lmdb_dbi(&t, "log", &db->log);
        ctseg_lmdb_dbi(&t, "producer", &db->producer);
        ctseg_lmdb_dbi(&t, "mark", &db->mark);
        ctseg_lmdb_dbi(&t, "span", &db->span);
        ctseg_lmdb_dbi(&t, "meta", &db->events_meta);
        ctseg_lmdb_log_init(&t, &schema);

    } else {
        ctseg_lmdb_dbi(&t, "kv", &db->kv);
        ctseg_lmdb_dbi(&t, "meta", &db->state_meta);
        ctseg_lmdb_state_init(&t, &schema);
    }

    if (t.rc == 0 && (schema < CTSEG_LMDB_SCHEMA || schema > known)) {
        (void) ctseg_lmdb_end(&t, CTSEG_FATAL);
        return ctseg_err(err, CTSEG_FATAL, "the store \"%.150s\" has schema "
                         "version %llu, this version of ctseg knows %llu",
                         path, (unsigned long long) schema,
                         (unsigned long long) known);
    }

    rc = t.rc;
    answer = ctseg_lmdb_commit(&t);

    if (answer != CTSEG_OK) {
        answer = (answer == CTSEG_FULL) ? CTSEG_FULL : CTSEG_FATAL;
        return ctseg_err(err, answer, "cannot prepare the store \"%.150s\": "
                         "%s", path, rc == MDB_CORRUPTED
                         ? "its meta record is damaged"
                         : rc == 0 ? "the commit failed" : mdb_strerror(rc));
    }

    ctseg_lmdb_sync_dir(path);

    return CTSEG_OK;
}


/* note db as open; false: this process has the directory open already */

static bool
ctseg_lmdb_enter(ctseg_lmdb_t *db)
{
    bool           free;
    ctseg_lmdb_t  *p;

    free = true;
    pthread_mutex_lock(&ctseg_lmdb_mutex);

    for (p = ctseg_lmdb_list_head; p != NULL; p = p->next) {
        if (p->dev == db->dev && p->ino == db->ino && p->pid == db->pid) {
            free = false;
        }
    }

    if (free) {
        db->next = ctseg_lmdb_list_head;
        ctseg_lmdb_list_head = db;
    }

    pthread_mutex_unlock(&ctseg_lmdb_mutex);

    return free;
}


static void
ctseg_lmdb_leave(ctseg_lmdb_t *db)
{
    ctseg_lmdb_t  **p;

    pthread_mutex_lock(&ctseg_lmdb_mutex);

    for (p = &ctseg_lmdb_list_head; *p != NULL; p = &(*p)->next) {
        if (*p == db) {
            *p = db->next;
            break;
        }
    }

    pthread_mutex_unlock(&ctseg_lmdb_mutex);
}


ctseg_rc_t
ctseg_lmdb_open(ctseg_store_t **s, const ctseg_store_options_t *options,
    ctseg_err_t *err)
{
    ctseg_rc_t     rc;
    struct stat    st;
    ctseg_lmdb_t  *db;

    if (stat(options->path, &st) == -1) {
        return ctseg_err(err, CTSEG_FATAL, "cannot open the store "
                         "\"%.180s\": %s", options->path,
                         mdb_strerror(errno));
    }

    db = calloc(1, sizeof(ctseg_lmdb_t));

    if (db == NULL) {
        return ctseg_err(err, CTSEG_FATAL, "no memory to open the store");
    }

    db->store.driver = &ctseg_lmdb_driver;
    db->high_water = options->high_water;
    db->dev = st.st_dev;
    db->ino = st.st_ino;
    db->pid = getpid();
    atomic_init(&db->own, 0);
    db->stopped = options->stopped != NULL ? options->stopped : &db->own;

    db->events.late = true;

    if (pthread_rwlock_init(&db->events.lock, NULL) != 0
        || pthread_rwlock_init(&db->state.lock, NULL) != 0
        || ctseg_lmdb_flush_init(&db->events.flush) != 0)
    {
        free(db);
        return ctseg_err(err, CTSEG_FATAL, "no lock to open the store");
    }

    if (!ctseg_lmdb_enter(db)) {
        free(db);
        return ctseg_err(err, CTSEG_FATAL, "the store \"%.180s\" is open in "
                         "this process already", options->path);
    }

    rc = ctseg_lmdb_part_open(db, &db->events, options->path, "events",
                              options->events_size, err);

    if (rc == CTSEG_OK) {
        rc = ctseg_lmdb_part_open(db, &db->state, options->path, "state",
                                  options->state_size, err);
    }

    if (rc != CTSEG_OK) {
        ctseg_lmdb_close(&db->store);
        return rc;
    }

    *s = &db->store;

    return CTSEG_OK;
}


static void
ctseg_lmdb_close(ctseg_store_t *s)
{
    ctseg_lmdb_t  *db;

    db = (ctseg_lmdb_t *) s;

    if (!ctseg_lmdb_may_close()
        && (db->events.env != NULL || db->state.env != NULL))
    {
        /* it stays in the registry: to open it once more would be wrong */

        return;
    }

    if (db->events.env != NULL) {
        mdb_env_close(db->events.env);
    }

    if (db->state.env != NULL) {
        mdb_env_close(db->state.env);
    }

    ctseg_lmdb_leave(db);
    (void) pthread_rwlock_destroy(&db->events.lock);
    (void) pthread_rwlock_destroy(&db->state.lock);
    ctseg_lmdb_flush_free(&db->events.flush);
    free(db);
}


static ctseg_rc_t
ctseg_lmdb_sweep(ctseg_store_t *s)
{
    int            dead;
    ctseg_lmdb_t  *db;

    db = (ctseg_lmdb_t *) s;

    if (mdb_reader_check(db->events.env, &dead) != 0
        || mdb_reader_check(db->state.env, &dead) != 0)
    {
        return CTSEG_RETRY;
    }

    return CTSEG_OK;
}


static const char *
ctseg_lmdb_installation(const ctseg_store_t *s)
{
    return ((const ctseg_lmdb_t *) s)->installation;
}
