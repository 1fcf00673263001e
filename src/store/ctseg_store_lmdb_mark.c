/*
 * The LMDB driver's marks: "mark" maps a key to the time of its append.
 * Called by append, and through ctseg_store.c from pool threads.
 *
 * Keys are hashes, so an insertion changes a page that nothing else was about
 * to change; that page is what marks cost.  What is old is therefore looked
 * for among the neighbors of a new mark, whose page is being written anyway,
 * as is done with producers, and there is no second table in the order of
 * time: the neighbors of many marks are the whole table in time.  With
 * sixteen of them looked at, about a sixteenth of a table in use is marks that
 * are past their day, which are there but not known any more.
 *
 * A mark that does not read is one that is not there.
 */

#include <string.h>

#include "ctseg_store_lmdb_int.h"
#include "../base/ctseg_time.h"


#define CTSEG_LMDB_MARK_VAL    8        /* time */
#define CTSEG_LMDB_MARK_LOOK   16       /* neighbors of each new mark */
#define CTSEG_LMDB_MARK_EVICT  2        /* of them, when there is no room */
#define CTSEG_LMDB_MARK_SHARE  8        /* of the map: what marks may take */
#define CTSEG_LMDB_MARK_SPACE  64       /* bytes with what the tree adds */


/* a neighbor; gone: it is to be removed */

typedef struct {
    char     key[CTSEG_MARK_LEN];
    int64_t  time_ms;
    bool     gone;
} ctseg_lmdb_mark_t;


static void
ctseg_lmdb_mark_key(MDB_val *k, const char *keys, unsigned i)
{
    k->mv_size = CTSEG_MARK_LEN;
    k->mv_data = (void *) (keys + (size_t) i * CTSEG_MARK_LEN);
}


/* when it was stored; INT64_MIN: it does not say, or lies */

static int64_t
ctseg_lmdb_mark_time(const MDB_val *v, int64_t now_ms)
{
    int64_t  time_ms;

    if (v->mv_size != CTSEG_LMDB_MARK_VAL) {
        return INT64_MIN;
    }

    time_ms = (int64_t) ctseg_le_get(v->mv_data, CTSEG_LMDB_MARK_VAL);

    return time_ms > now_ms ? INT64_MIN : time_ms;
}


static bool
ctseg_lmdb_mark_is_known(ctseg_lmdb_txn_t *t, const char *keys, unsigned i,
    int64_t now_ms)
{
    MDB_val  k, v;

    ctseg_lmdb_mark_key(&k, keys, i);

    return ctseg_lmdb_fetch(t, t->db->mark, &k, &v)
           && ctseg_lmdb_mark_time(&v, now_ms) > now_ms - CTSEG_MARK_MS;
}


bool
ctseg_lmdb_mark_any(ctseg_lmdb_txn_t *t, const ctseg_marks_t *marks,
    int64_t now_ms)
{
    unsigned  i;

    for (i = 0; i < marks->n; i++) {
        if (ctseg_lmdb_mark_is_known(t, marks->keys, i, now_ms)) {
            return true;
        }
    }

    return false;
}


uint64_t
ctseg_lmdb_mark_bytes(const ctseg_marks_t *marks)
{
    return (uint64_t) marks->n * CTSEG_LMDB_MARK_SPACE;
}


/* pages that marks may have */

static uint64_t
ctseg_lmdb_mark_room(ctseg_lmdb_txn_t *t)
{
    MDB_envinfo  info;

    memset(&info, 0, sizeof(MDB_envinfo));

    if (t->rc == 0) {
        t->rc = mdb_env_info(t->env->env, &info);
    }

    return info.me_mapsize / CTSEG_LMDB_MARK_SHARE / t->env->psize;
}


static bool
ctseg_lmdb_mark_is_above(ctseg_lmdb_txn_t *t, uint64_t room)
{
    MDB_stat  st;

    if (t->rc == 0) {
        t->rc = mdb_stat(t->txn, t->db->mark, &st);
    }

    return t->rc == 0 && st.ms_branch_pages + st.ms_leaf_pages > room;
}


/* those behind the cursor, once around; a mark may be seen twice */

static unsigned
ctseg_lmdb_mark_look(ctseg_lmdb_txn_t *t, ctseg_lmdb_mark_t *near,
    int64_t now_ms)
{
    MDB_val   k, v;
    unsigned  i, n;

    n = 0;

    for (i = 0; i < CTSEG_LMDB_MARK_LOOK; i++) {

        if (!ctseg_lmdb_move(t, &k, &v, MDB_NEXT)
            && !ctseg_lmdb_move(t, &k, &v, MDB_FIRST))
        {
            break;
        }

        if (k.mv_size != CTSEG_MARK_LEN) {
            continue;
        }

        memcpy(near[n].key, k.mv_data, CTSEG_MARK_LEN);
        near[n].time_ms = ctseg_lmdb_mark_time(&v, now_ms);
        near[n].gone = near[n].time_ms <= now_ms - CTSEG_MARK_MS;
        n++;
    }

    return n;
}


/* the oldest goes, but none of this transaction */

static bool
ctseg_lmdb_mark_evict(ctseg_lmdb_mark_t *near, unsigned n, int64_t now_ms)
{
    unsigned            i;
    ctseg_lmdb_mark_t  *oldest;

    oldest = NULL;

    for (i = 0; i < n; i++) {
        if (!near[i].gone
            && near[i].time_ms < now_ms
            && (oldest == NULL || near[i].time_ms < oldest->time_ms))
        {
            oldest = &near[i];
        }
    }

    if (oldest == NULL) {
        return false;
    }

    oldest->gone = true;

    return true;
}


void
ctseg_lmdb_mark_insert(ctseg_lmdb_txn_t *t, ctseg_marks_t *marks,
    int64_t now_ms)
{
    char               value[CTSEG_LMDB_MARK_VAL];
    MDB_val            k, v;
    uint64_t           room;
    unsigned           i, j, n;
    ctseg_lmdb_mark_t  near[CTSEG_LMDB_MARK_LOOK];

    if (marks->n == 0) {
        return;
    }

    room = ctseg_lmdb_mark_room(t);
    ctseg_le_put(value, (uint64_t) now_ms, sizeof(value));
    ctseg_lmdb_cursor(t, t->db->mark);

    for (i = 0; i < marks->n && t->rc == 0; i++) {
        ctseg_lmdb_mark_key(&k, marks->keys, i);
        v.mv_size = sizeof(value);
        v.mv_data = value;

        ctseg_lmdb_store_at(t, &k, &v);
        n = ctseg_lmdb_mark_look(t, near, now_ms);

        if (ctseg_lmdb_mark_is_above(t, room)) {
            for (j = 0; j < CTSEG_LMDB_MARK_EVICT; j++) {
                marks->forgotten += ctseg_lmdb_mark_evict(near, n, now_ms);
            }
        }

        for (j = 0; j < n && t->rc == 0; j++) {
            if (near[j].gone) {
                k.mv_size = CTSEG_MARK_LEN;
                k.mv_data = near[j].key;
                ctseg_lmdb_remove(t, t->db->mark, &k);

                /* in a small table one is met twice */

                t->rc = t->rc == MDB_NOTFOUND ? 0 : t->rc;
            }
        }
    }
}


ctseg_rc_t
ctseg_lmdb_marked(ctseg_store_t *s, const char *keys, unsigned n,
    int64_t deadline, bool *known)
{
    int64_t                 now_ms;
    unsigned                i;
    ctseg_rc_t              rc;
    ctseg_lmdb_t           *db;
    ctseg_lmdb_txn_t        t;
    ctseg_lmdb_log_meta_t   m;

    db = (ctseg_lmdb_t *) s;

    ctseg_lmdb_begin(&t, db, &db->events, false, deadline);
    ctseg_lmdb_log_load(&t, &m);

    now_ms = ctseg_now_ms();
    now_ms = now_ms > m.append_ms ? now_ms : m.append_ms;

    for (i = 0; i < n; i++) {
        known[i] = ctseg_lmdb_mark_is_known(&t, keys, i, now_ms);
    }

    rc = ctseg_lmdb_end(&t, CTSEG_OK);

    return rc == CTSEG_OK ? ctseg_lmdb_durable(db, 0) : rc;
}


uint64_t
ctseg_lmdb_mark_count(ctseg_lmdb_txn_t *t)
{
    MDB_stat  st;

    if (t->rc == 0) {
        t->rc = mdb_stat(t->txn, t->db->mark, &st);
    }

    return t->rc == 0 ? st.ms_entries : 0;
}
