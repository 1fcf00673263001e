/*
 * The LMDB driver's flushes of the log.  A commit writes pages, flushes the
 * disk, and then writes the meta page that makes them count; to be durable
 * that wants a flush, too.  The flush of whatever commit comes next, by whom
 * ever, is one of the same file, so while commits follow each other the meta
 * page waits for that, and each of them costs one flush instead of two.
 * LMDB calls it MDB_NOMETASYNC: a crash of the machine takes back the last
 * transaction at most, and damages nothing.
 *
 * So a commit here is not done when LMDB says so, but when "safe" says so: the
 * number of the newest transaction that is surely on the disk.  The commit of
 * number N proves N - 1, since its own flush came after the meta page of that.
 * Whoever has committed and sees another thread of this process behind it
 * waits for that one, or else flushes by itself.
 *
 * Readers see a transaction before it is safe.  What they make of it must not
 * get to the disk before it, or a cursor could point behind the end of the
 * log, where other events come to lie later: see ctseg_lmdb_put().
 */

#include <errno.h>
#include <time.h>

#include "ctseg_store_lmdb_int.h"


#define CTSEG_LMDB_FOLLOW_MS  50        /* for a commit that is behind ours and
                                           does not come: another process may
                                           hold the lock */


int
ctseg_lmdb_flush_init(ctseg_lmdb_flush_t *f)
{
    int                 rc;
    pthread_condattr_t  attr;

    rc = pthread_mutex_init(&f->lock, NULL);

    if (rc == 0) {
        rc = pthread_condattr_init(&attr);
    }

    if (rc == 0) {
        (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        rc = pthread_cond_init(&f->changed, &attr);
        (void) pthread_condattr_destroy(&attr);
    }

    return rc;
}


void
ctseg_lmdb_flush_free(ctseg_lmdb_flush_t *f)
{
    (void) pthread_cond_destroy(&f->changed);
    (void) pthread_mutex_destroy(&f->lock);
}


void
ctseg_lmdb_flush_enter(ctseg_lmdb_env_t *e)
{
    pthread_mutex_lock(&e->flush.lock);
    e->flush.writers++;
    pthread_mutex_unlock(&e->flush.lock);
}


void
ctseg_lmdb_flush_leave(ctseg_lmdb_env_t *e, uint64_t safe)
{
    ctseg_lmdb_flush_t  *f;

    f = &e->flush;

    pthread_mutex_lock(&f->lock);

    f->writers--;

    if (safe > f->safe) {
        f->safe = safe;
    }

    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}


/* the newest transaction of all processes */

static uint64_t
ctseg_lmdb_newest(ctseg_lmdb_env_t *e)
{
    MDB_envinfo  info;

    pthread_rwlock_rdlock(&e->lock);
    (void) mdb_env_info(e->env, &info);
    pthread_rwlock_unlock(&e->lock);

    return info.me_last_txnid;
}


/* with the lock of f, which is given up meanwhile */

static int
ctseg_lmdb_flush_now(ctseg_lmdb_env_t *e)
{
    int                  rc;
    uint64_t             newest;
    ctseg_lmdb_flush_t  *f;

    f = &e->flush;

    f->flushing = true;
    pthread_mutex_unlock(&f->lock);

    newest = ctseg_lmdb_newest(e);
    rc = mdb_env_sync(e->env, 1);

    pthread_mutex_lock(&f->lock);
    f->flushing = false;

    if (rc == 0 && newest > f->safe) {
        f->safe = newest;
    }

    pthread_cond_broadcast(&f->changed);

    return rc;
}


/* when to follow nobody any longer */

static struct timespec
ctseg_lmdb_patience(void)
{
    struct timespec  t;

    (void) clock_gettime(CLOCK_MONOTONIC, &t);

    t.tv_nsec += CTSEG_LMDB_FOLLOW_MS * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;

    return t;
}


int
ctseg_lmdb_flush(ctseg_lmdb_t *db, ctseg_lmdb_env_t *e, uint64_t txn)
{
    int                  rc;
    bool                 follow;
    struct timespec      until;
    ctseg_lmdb_flush_t  *f;

    f = &e->flush;
    rc = 0;
    follow = true;
    until = ctseg_lmdb_patience();

    if (txn == 0) {
        txn = ctseg_lmdb_newest(e);
    }

    pthread_mutex_lock(&f->lock);

    while (f->safe < txn) {

        /*
         * An error of the disk is told once.  Who has met it has stopped all
         * writing, and nobody may take the next flush for a good one.
         */

        if (atomic_load(db->stopped) != 0) {
            rc = MDB_PANIC;
            break;
        }

        if (f->flushing) {
            pthread_cond_wait(&f->changed, &f->lock);

        } else if (f->writers != 0 && follow) {
            follow = pthread_cond_timedwait(&f->changed, &f->lock, &until)
                     != ETIMEDOUT;

        } else {
            rc = ctseg_lmdb_flush_now(e);
            break;
        }
    }

    pthread_mutex_unlock(&f->lock);

    return rc;
}
