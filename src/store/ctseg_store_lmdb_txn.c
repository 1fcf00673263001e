/*
 * The LMDB driver's transactions: a handle that carries its result, so that
 * log and state read as a list of steps and look for an error once, and the
 * only place where a code of LMDB or the system gets its meaning.  Called by
 * ctseg_store_lmdb*.c, on pool threads; a transaction begins and ends within
 * one call of the store.  A failed sync is never tried again: after one the
 * kernel may call lost pages clean, so writing stops for good, in this process
 * and in those that share its flag.
 */

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "ctseg_store_lmdb_int.h"
#include "../base/ctseg_time.h"


#define CTSEG_LMDB_TRIES  3

#define CTSEG_LMDB_META_KEY  "meta"


static void
ctseg_lmdb_stop(ctseg_lmdb_t *db)
{
    int  running;

    running = 0;

    /* who has seen it may have written another number */

    (void) atomic_compare_exchange_strong(db->stopped, &running, 1);
}


/*
 * The one place where a code gets its meaning.  "applied" tells whether the
 * code came from a commit, after which only a few can be called certain.
 */

static ctseg_rc_t
ctseg_lmdb_rc(ctseg_lmdb_t *db, int rc, bool write, bool applied)
{
    switch (rc) {

    case 0:
        return CTSEG_OK;

    case MDB_NOTFOUND:
        return CTSEG_NOTFOUND;

    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
        return CTSEG_FULL;

    case MDB_TXN_FULL:
        return CTSEG_TOOBIG;

    case MDB_BAD_VALSIZE:
        return CTSEG_INVALID;

    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
        if (!write) {
            return CTSEG_CORRUPT;
        }

        break;

    case EIO:
    case EROFS:
    case MDB_PANIC:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
        break;

    case ENOMEM:
        return applied ? CTSEG_AMBIGUOUS : CTSEG_NOMEM;

    default:
        return applied ? CTSEG_AMBIGUOUS : CTSEG_RETRY;
    }

    if (write) {
        ctseg_lmdb_stop(db);
    }

    return CTSEG_FATAL;
}


/* another process has made the map larger: take its size */

static void
ctseg_lmdb_remap(ctseg_lmdb_env_t *e)
{
    pthread_rwlock_wrlock(&e->lock);

    /* a failure shows again in the begin that follows */

    (void) mdb_env_set_mapsize(e->env, 0);

    pthread_rwlock_unlock(&e->lock);
}


void
ctseg_lmdb_begin(ctseg_lmdb_txn_t *t, ctseg_lmdb_t *db, ctseg_lmdb_env_t *e,
    bool write, int64_t deadline)
{
    int       dead;
    unsigned  n;

    memset(t, 0, sizeof(ctseg_lmdb_txn_t));

    t->db = db;
    t->env = e;
    t->write = write;

    if (write && atomic_load(db->stopped) != 0) {
        t->rc = MDB_PANIC;
        return;
    }

    if (ctseg_mono_ms() >= deadline) {
        t->rc = ETIMEDOUT;
        return;
    }

    if (write && e->late) {
        t->entered = true;
        ctseg_lmdb_flush_enter(e);
    }

    for (n = 0; n < CTSEG_LMDB_TRIES; n++) {
        pthread_rwlock_rdlock(&e->lock);

        t->txn = NULL;
        t->rc = mdb_txn_begin(e->env, NULL, write ? 0 : MDB_RDONLY, &t->txn);

        if (t->rc == 0) {
            break;
        }

        t->txn = NULL;
        pthread_rwlock_unlock(&e->lock);

        if (t->rc == MDB_MAP_RESIZED) {
            ctseg_lmdb_remap(e);

        } else if (t->rc == MDB_READERS_FULL) {
            (void) mdb_reader_check(e->env, &dead);

        } else {
            break;
        }
    }

    /* waiting for the writer's lock cannot be interrupted */

    if (t->rc == 0 && write && ctseg_mono_ms() >= deadline) {
        t->rc = ETIMEDOUT;
    }
}


static void
ctseg_lmdb_close_cursor(ctseg_lmdb_txn_t *t)
{
    if (t->cursor != NULL) {
        mdb_cursor_close(t->cursor);
        t->cursor = NULL;
    }
}


static void
ctseg_lmdb_close_cursors(ctseg_lmdb_txn_t *t)
{
    ctseg_lmdb_close_cursor(t);

    if (t->spans != NULL) {
        mdb_cursor_close(t->spans);
        t->spans = NULL;
    }
}


/* behind a transaction, whether it was begun or not */

static void
ctseg_lmdb_leave_flush(ctseg_lmdb_txn_t *t, uint64_t safe)
{
    if (t->entered) {
        t->entered = false;
        ctseg_lmdb_flush_leave(t->env, safe);
    }
}


ctseg_rc_t
ctseg_lmdb_end(ctseg_lmdb_txn_t *t, ctseg_rc_t rc)
{
    ctseg_lmdb_close_cursors(t);

    if (t->txn != NULL) {
        mdb_txn_abort(t->txn);
        t->txn = NULL;
        pthread_rwlock_unlock(&t->env->lock);
    }

    ctseg_lmdb_leave_flush(t, 0);

    if (t->rc != 0) {
        return ctseg_lmdb_rc(t->db, t->rc, t->write, false);
    }

    return rc;
}


/*
 * LMDB gives an environment up, for reading as well, when it could not write
 * a meta page.  It tries to take that back but does not say whether it could.
 */

static bool
ctseg_lmdb_is_given_up(ctseg_lmdb_txn_t *t)
{
    int       rc;
    MDB_txn  *txn;

    rc = mdb_txn_begin(t->env->env, NULL, MDB_RDONLY, &txn);

    if (rc == 0) {
        mdb_txn_abort(txn);
    }

    return rc == MDB_PANIC;
}


/* all that can be seen of the log is durable from here on, or nobody knows */

ctseg_rc_t
ctseg_lmdb_durable(ctseg_lmdb_t *db, uint64_t txn)
{
    int  rc;

    rc = ctseg_lmdb_flush(db, &db->events, txn);

    return ctseg_lmdb_rc(db, rc == 0 ? 0 : MDB_PANIC, true, true);
}


ctseg_rc_t
ctseg_lmdb_commit(ctseg_lmdb_txn_t *t)
{
    int         rc;
    uint64_t    txn;
    ctseg_rc_t  answer;

    if (t->rc != 0 || t->txn == NULL) {
        return ctseg_lmdb_end(t, CTSEG_FATAL);
    }

    ctseg_lmdb_close_cursors(t);

    ctseg_lmdb_ahead(t);

    /* a commit that failed has freed the transaction: no abort after it */

    txn = mdb_txn_id(t->txn);

    errno = 0;
    rc = mdb_txn_commit(t->txn);

    /*
     * LMDB says EIO as well when a write came back short, which is what a
     * disk that gets full in the middle of it does; errno tells them apart.
     */

    if (rc == EIO && errno != EIO) {
        rc = ENOSPC;
    }

    if (rc != 0 && ctseg_lmdb_is_given_up(t)) {
        rc = MDB_PANIC;
    }

    t->txn = NULL;
    pthread_rwlock_unlock(&t->env->lock);

    answer = ctseg_lmdb_rc(t->db, rc, true, true);

    /* LMDB neither numbers nor flushes a transaction that changed nothing */

    ctseg_lmdb_leave_flush(t, answer == CTSEG_OK && t->wrote ? txn - 1 : 0);

    if (answer != CTSEG_OK || !t->env->late) {
        return answer;
    }

    return ctseg_lmdb_durable(t->db, t->wrote ? txn : 0);
}


bool
ctseg_lmdb_fetch(ctseg_lmdb_txn_t *t, MDB_dbi dbi, MDB_val *k, MDB_val *v)
{
    int  rc;

    if (t->rc != 0) {
        return false;
    }

    rc = mdb_get(t->txn, dbi, k, v);

    if (rc != 0 && rc != MDB_NOTFOUND) {
        t->rc = rc;
    }

    return rc == 0;
}


void
ctseg_lmdb_store(ctseg_lmdb_txn_t *t, MDB_dbi dbi, MDB_val *k, MDB_val *v,
    unsigned flags)
{
    if (t->rc == 0) {
        t->rc = mdb_put(t->txn, dbi, k, v, flags);
        t->wrote = true;
    }
}


void
ctseg_lmdb_remove(ctseg_lmdb_txn_t *t, MDB_dbi dbi, MDB_val *k)
{
    if (t->rc == 0) {
        t->rc = mdb_del(t->txn, dbi, k, NULL);
        t->wrote = true;
    }
}


void
ctseg_lmdb_cursor(ctseg_lmdb_txn_t *t, MDB_dbi dbi)
{
    ctseg_lmdb_close_cursor(t);

    if (t->rc == 0) {
        t->rc = mdb_cursor_open(t->txn, dbi, &t->cursor);
    }
}


bool
ctseg_lmdb_move(ctseg_lmdb_txn_t *t, MDB_val *k, MDB_val *v,
    MDB_cursor_op op)
{
    int  rc;

    if (t->rc != 0) {
        return false;
    }

    rc = mdb_cursor_get(t->cursor, k, v, op);

    if (rc != 0 && rc != MDB_NOTFOUND) {
        t->rc = rc;
    }

    return rc == 0;
}


void
ctseg_lmdb_store_at(ctseg_lmdb_txn_t *t, MDB_val *k, MDB_val *v)
{
    if (t->rc == 0) {
        t->rc = mdb_cursor_put(t->cursor, k, v, 0);
        t->wrote = true;
    }
}


void
ctseg_lmdb_remove_at(ctseg_lmdb_txn_t *t)
{
    if (t->rc == 0) {
        t->rc = mdb_cursor_del(t->cursor, 0);
        t->wrote = true;
    }
}


/*
 * LMDB shows its list of free pages to read transactions only, so one is
 * opened beside a write transaction (MDB_NOTLS allows that) and ended before
 * the first page is asked for.
 */

static uint64_t
ctseg_lmdb_free_pages(ctseg_lmdb_txn_t *t)
{
    int          rc;
    size_t       n;
    MDB_val      k, v;
    MDB_txn     *txn;
    uint64_t     pages;
    MDB_cursor  *cursor;

    pages = 0;
    rc = mdb_txn_begin(t->env->env, NULL, MDB_RDONLY, &txn);

    if (rc != 0) {
        t->rc = rc;
        return 0;
    }

    rc = mdb_cursor_open(txn, 0, &cursor);

    if (rc == 0) {

        for ( ;; ) {
            rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);

            if (rc != 0) {
                break;
            }

            /* a list of page numbers with its length in front */

            memcpy(&n, v.mv_data, sizeof(size_t));
            pages += n;
        }

        mdb_cursor_close(cursor);
    }

    mdb_txn_abort(txn);

    if (rc != 0 && rc != MDB_NOTFOUND) {
        t->rc = rc;
    }

    return pages;
}


void
ctseg_lmdb_used(ctseg_lmdb_txn_t *t, uint64_t floor, uint64_t *used,
    uint64_t *size)
{
    MDB_envinfo  info;

    *used = 0;
    *size = 0;

    if (t->rc != 0) {
        return;
    }

    t->rc = mdb_env_info(t->env->env, &info);

    if (t->rc != 0) {
        return;
    }

    *size = info.me_mapsize;
    *used = ((uint64_t) info.me_last_pgno + 1) * t->env->psize;

    if (*used > floor) {
        *used -= ctseg_lmdb_free_pages(t) * t->env->psize;
    }
}


bool
ctseg_lmdb_is_above(ctseg_lmdb_txn_t *t, uint64_t bytes, unsigned percent)
{
    uint64_t     mark, used, size;
    MDB_envinfo  info;

    if (t->rc != 0 || percent == 0) {
        return false;
    }

    t->rc = mdb_env_info(t->env->env, &info);

    if (t->rc != 0) {
        return false;
    }

    mark = info.me_mapsize / 100 * percent;

    if (bytes > mark) {
        return true;
    }

    /* what is free inside the file is counted only when the end is above */

    ctseg_lmdb_used(t, mark - bytes, &used, &size);

    return used > mark - bytes;
}


bool
ctseg_lmdb_meta_open(ctseg_lmdb_txn_t *t, MDB_dbi dbi, ctseg_record_t *r)
{
    MDB_val      k, v;
    ctseg_str_t  stored;

    k.mv_size = sizeof(CTSEG_LMDB_META_KEY) - 1;
    k.mv_data = (void *) CTSEG_LMDB_META_KEY;

    if (!ctseg_lmdb_fetch(t, dbi, &k, &v)) {
        return false;
    }

    stored.len = v.mv_size;
    stored.data = v.mv_data;

    if (ctseg_record_open(r, stored, CTSEG_RECORD_META) != CTSEG_OK) {
        t->rc = MDB_CORRUPTED;
        return false;
    }

    return true;
}


void
ctseg_lmdb_meta_store(ctseg_lmdb_txn_t *t, MDB_dbi dbi, ctseg_buf_t *out)
{
    MDB_val  k, v;

    if (t->rc == 0 && out->failed) {
        t->rc = ENOMEM;
    }

    k.mv_size = sizeof(CTSEG_LMDB_META_KEY) - 1;
    k.mv_data = (void *) CTSEG_LMDB_META_KEY;
    v.mv_size = out->len;
    v.mv_data = out->data;

    ctseg_lmdb_store(t, dbi, &k, &v, 0);
    ctseg_buf_free(out);
}


void
ctseg_lmdb_random(ctseg_lmdb_txn_t *t, void *out, size_t len)
{
    if (t->rc != 0) {
        return;
    }

    /* up to 256 bytes come whole or not at all */

    if (getrandom(out, len, 0) != (ssize_t) len) {
        t->rc = errno != 0 ? errno : EAGAIN;
    }
}
