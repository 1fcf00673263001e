/*
 * Partners.  Called by the API's tasks and by runs, from pool threads.  A
 * change may need several puts (the partner, the claim of its nickname); each
 * order below may break off anywhere and leaves at worst a claim that counts
 * for nothing or a mark that a later call completes.  It does not check the
 * fields of a partner: that is model/.
 */

#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


enum {
    CTSEG_PARTNER_ID = 1,
    CTSEG_PARTNER_NICKNAME,
    CTSEG_PARTNER_WRITE_KEY,
    CTSEG_PARTNER_REGION,
    CTSEG_PARTNER_USER_ID,              /* and 6 */
    CTSEG_PARTNER_ANONYMOUS_ID = 7,     /* and 8 */
    CTSEG_PARTNER_DELETING = 9,
    CTSEG_PARTNER_REVISION,
    CTSEG_PARTNER_CREATED,
    CTSEG_PARTNER_UPDATED
};


/* ---- the record ---- */

static ctseg_rc_t
ctseg_partner_write(ctseg_store_t *s, ctseg_partner_t *p, uint64_t expect,
    ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_PARTNER);
    ctseg_record_cstr(&out, CTSEG_PARTNER_ID, p->id);
    ctseg_record_cstr(&out, CTSEG_PARTNER_NICKNAME, p->nickname);
    ctseg_record_cstr(&out, CTSEG_PARTNER_WRITE_KEY, p->write_key);
    ctseg_record_uint(&out, CTSEG_PARTNER_REGION, p->region);
    ctseg_state_put_source(&out, CTSEG_PARTNER_USER_ID, &p->user_id);
    ctseg_state_put_source(&out, CTSEG_PARTNER_ANONYMOUS_ID,
                           &p->anonymous_id);
    ctseg_record_uint(&out, CTSEG_PARTNER_DELETING, p->deleting);
    ctseg_record_uint(&out, CTSEG_PARTNER_REVISION, p->revision);
    ctseg_record_int(&out, CTSEG_PARTNER_CREATED, p->created_ms);
    ctseg_record_int(&out, CTSEG_PARTNER_UPDATED, p->updated_ms);
    ctseg_record_end(&out);

    ctseg_state_key(key, "partner/%s", p->id);

    return ctseg_state_write(s, key, &out, expect, &p->rev, err);
}


static ctseg_rc_t
ctseg_partner_decode(ctseg_record_t *r, const char *key, uint64_t rev,
    ctseg_partner_t *p, ctseg_err_t *err)
{
    memset(p, 0, sizeof(ctseg_partner_t));

    ctseg_record_get_cstr(r, CTSEG_PARTNER_ID, p->id, sizeof(p->id));
    ctseg_record_get_cstr(r, CTSEG_PARTNER_NICKNAME, p->nickname,
                          sizeof(p->nickname));
    ctseg_record_get_cstr(r, CTSEG_PARTNER_WRITE_KEY, p->write_key,
                          sizeof(p->write_key));
    p->region = ctseg_state_get_range(r, CTSEG_PARTNER_REGION, 0,
                                      CTSEG_REGION_N - 1);
    ctseg_state_get_source(r, CTSEG_PARTNER_USER_ID, &p->user_id);
    ctseg_state_get_source(r, CTSEG_PARTNER_ANONYMOUS_ID, &p->anonymous_id);
    p->deleting = ctseg_state_get_range(r, CTSEG_PARTNER_DELETING, 0, 1);
    p->revision = ctseg_record_get_uint(r, CTSEG_PARTNER_REVISION);
    p->created_ms = ctseg_record_get_int(r, CTSEG_PARTNER_CREATED);
    p->updated_ms = ctseg_record_get_int(r, CTSEG_PARTNER_UPDATED);
    p->rev = rev;

    /* a record under another's key is as damaged as one that does not read */

    if (strcmp(key + sizeof("partner/") - 1, p->id) != 0) {
        r->rc = CTSEG_CORRUPT;
    }

    return ctseg_state_err(err, r->rc, key);
}


ctseg_rc_t
ctseg_partner_get(ctseg_store_t *s, ctseg_str_t id, ctseg_partner_t *p,
    ctseg_err_t *err)
{
    char            key[CTSEG_STATE_KEY_MAX];
    uint64_t        rev;
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  r;

    if (!ctseg_id_is_valid(id)) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such partner");
    }

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_state_key(key, "partner/%.*s", (int) id.len, id.data);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_PARTNER, &buf, &r, &rev, err);

    if (rc == CTSEG_OK) {
        rc = ctseg_partner_decode(&r, key, rev, p, err);
    }

    ctseg_buf_free(&buf);

    return rc;
}


/* ---- changes ---- */

/*
 * Claim, then partner.  A crash between them leaves a claim without partner,
 * which the next one to want the nickname takes over after a minute.
 */

ctseg_rc_t
ctseg_partner_create(ctseg_store_t *s, ctseg_partner_t *p, int64_t now_ms,
    ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    ctseg_id_new(p->id, now_ms);
    p->revision = 1;
    p->created_ms = now_ms;
    p->updated_ms = now_ms;
    p->deleting = false;
    p->rev = 0;

    rc = ctseg_claim_take(s, p->nickname, p->id, now_ms, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    rc = ctseg_partner_write(s, p, 0, err);

    if (rc == CTSEG_CONFLICT) {

        /* an id that exists: chance, and another one will not */

        rc = ctseg_err(err, CTSEG_AGAIN, "the id is taken");
    }

    if (rc != CTSEG_OK && rc != CTSEG_AMBIGUOUS) {
        ctseg_claim_release(s, p->nickname, p->id);
    }

    return rc;
}


/*
 * New claim, then partner, then release of the old claim.  A crash after the
 * first leaves a claim that its partner does not bear, one after the second
 * the same of the old nickname: both may be taken over after a minute, and
 * the partner is whole all the time.
 */

ctseg_rc_t
ctseg_partner_update(ctseg_store_t *s, ctseg_partner_t *p,
    const ctseg_partner_t *old, int64_t now_ms, ctseg_err_t *err)
{
    bool        moved;
    ctseg_rc_t  rc;

    memcpy(p->id, old->id, sizeof(p->id));
    p->revision = old->revision + 1;
    p->created_ms = old->created_ms;
    p->updated_ms = now_ms;
    p->deleting = old->deleting;
    p->rev = old->rev;

    moved = strcmp(p->nickname, old->nickname) != 0;

    if (moved) {
        rc = ctseg_claim_take(s, p->nickname, p->id, now_ms, err);

        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    rc = ctseg_partner_write(s, p, old->rev, err);

    if (rc == CTSEG_OK) {

        if (moved) {
            ctseg_claim_release(s, old->nickname, p->id);
        }

        return rc;
    }

    if (moved && rc != CTSEG_AMBIGUOUS) {
        ctseg_claim_release(s, p->nickname, p->id);
    }

    if (rc == CTSEG_CONFLICT) {
        rc = ctseg_err(err, CTSEG_AGAIN, "the partner was changed meanwhile");
    }

    return rc;
}


typedef struct {
    ctseg_store_t  *store;
    const char     *partner_id;
    char            export_id[CTSEG_ID_TEXT_MAX];
    ctseg_rc_t      rc;
    ctseg_err_t    *err;
} ctseg_partner_use_t;


/* an edit may have given the export another partner than its run has */

static bool
ctseg_partner_use_run(ctseg_partner_use_t *use, const ctseg_export_t *e)
{
    ctseg_rc_t   rc;
    ctseg_run_t  run;

    if (e->status != CTSEG_RUNNING) {
        return false;
    }

    rc = ctseg_run_get(use->store, e->id, e->runs, &run, use->err);

    if (rc != CTSEG_OK) {
        use->rc = rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
        return false;
    }

    return run.status == CTSEG_RUN_RUNNING
           && strcmp(run.partner_id, use->partner_id) == 0;
}


static bool
ctseg_partner_use_cb(void *data, const ctseg_export_t *e)
{
    ctseg_partner_use_t  *use;

    use = data;

    if (ctseg_export_is_final(e->status)) {
        return true;
    }

    if (strcmp(e->partner_id, use->partner_id) == 0
        || ctseg_partner_use_run(use, e))
    {
        memcpy(use->export_id, e->id, sizeof(use->export_id));
        return false;
    }

    return use->rc == CTSEG_OK;
}


/* best effort: a mark that stays is what a later delete goes on from */

static void
ctseg_partner_unmark(ctseg_store_t *s, ctseg_str_t id, ctseg_partner_t *p)
{
    unsigned  n;

    for (n = 0; n < CTSEG_STATE_TRIES; n++) {
        p->deleting = false;

        if (ctseg_partner_write(s, p, p->rev, NULL) != CTSEG_CONFLICT) {
            return;
        }

        /* an update came in between and has kept the mark */

        if (ctseg_partner_get(s, id, p, NULL) != CTSEG_OK || !p->deleting) {
            return;
        }
    }
}


/* one try; AGAIN: the record changed under us */

static ctseg_rc_t
ctseg_partner_delete_once(ctseg_store_t *s, ctseg_str_t id, ctseg_err_t *err)
{
    char                 key[CTSEG_STATE_KEY_MAX];
    ctseg_rc_t           rc;
    ctseg_err_t          local;
    ctseg_partner_t      p;
    ctseg_partner_use_t  use;

    err = err != NULL ? err : &local;

    rc = ctseg_partner_get(s, id, &p, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    /*
     * The mark is set even if it is set already: the new revision makes
     * another delete that is about to take it back start over.
     */

    p.deleting = true;
    rc = ctseg_partner_write(s, &p, p.rev, err);

    if (rc != CTSEG_OK) {
        return rc == CTSEG_CONFLICT ? CTSEG_AGAIN : rc;
    }

    memset(&use, 0, sizeof(ctseg_partner_use_t));
    use.store = s;
    use.partner_id = p.id;
    use.err = err;

    rc = ctseg_export_list(s, ctseg_partner_use_cb, &use, err);

    if (rc == CTSEG_OK && err->code == CTSEG_CORRUPT) {
        rc = CTSEG_CORRUPT;             /* it may be one that uses it */
    }

    if (rc == CTSEG_OK) {
        rc = use.rc;
    }

    if (rc != CTSEG_OK) {
        ctseg_partner_unmark(s, id, &p);
        return rc;
    }

    if (use.export_id[0] != '\0') {
        ctseg_partner_unmark(s, id, &p);
        return ctseg_err(err, CTSEG_CONFLICT, "%s", use.export_id);
    }

    ctseg_state_key(key, "partner/%s", p.id);
    rc = ctseg_state_remove(s, key, p.rev, err);

    if (rc != CTSEG_OK) {
        return rc == CTSEG_CONFLICT ? CTSEG_AGAIN : rc;
    }

    ctseg_claim_release(s, p.nickname, p.id);

    return CTSEG_OK;
}


/*
 * Mark, look for exports, delete the partner, release the claim.  Whoever
 * creates an export looks at the mark after its export is stored, so one of
 * the two sees the other.  A crash leaves the mark (the next delete goes on
 * from there) or a claim without partner (see create).
 */

ctseg_rc_t
ctseg_partner_delete(ctseg_store_t *s, ctseg_str_t id, int64_t now_ms,
    ctseg_err_t *err)
{
    unsigned    n;
    ctseg_rc_t  rc;

    (void) now_ms;

    for (n = 0; n < CTSEG_STATE_TRIES; n++) {
        rc = ctseg_partner_delete_once(s, id, err);

        if (rc != CTSEG_AGAIN) {
            return rc;
        }
    }

    return ctseg_err(err, CTSEG_AGAIN, "the partner changes all the time");
}


typedef struct {
    ctseg_partner_pt  cb;
    void             *data;
} ctseg_partner_walk_t;


static ctseg_rc_t
ctseg_partner_each(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    ctseg_rc_t             rc;
    ctseg_record_t         r;
    ctseg_partner_t        p;
    ctseg_partner_walk_t  *walk;

    walk = data;

    (void) ctseg_record_open(&r, value, CTSEG_RECORD_PARTNER);
    rc = ctseg_partner_decode(&r, key, rev, &p, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    return walk->cb(walk->data, &p) ? CTSEG_OK : CTSEG_AGAIN;
}


ctseg_rc_t
ctseg_partner_list(ctseg_store_t *s, ctseg_partner_pt cb, void *data,
    ctseg_err_t *err)
{
    ctseg_partner_walk_t  walk;

    walk.cb = cb;
    walk.data = data;

    return ctseg_state_each(s, "partner/", ctseg_partner_each, &walk, NULL,
                            err);
}
