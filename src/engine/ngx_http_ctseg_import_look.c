/*
 * Which import nobody works on, on a pool thread.  A claim is a
 * compare-and-set on its record, so of all the workers that try one wins.  Of
 * an account it is the oldest one that is not over: CleverTap allows a few
 * calls at a time, and somebody else may need them, too.
 */

#include "../base/ctseg_str.h"
#include "ngx_http_ctseg_import_int.h"


#define NGX_HTTP_CTSEG_IMPORT_ACCOUNTS  64      /* with imports at a time */


typedef struct {
    ngx_http_ctseg_worker_t       *worker;
    ngx_http_ctseg_import_look_t  *look;
    ctseg_lease_watch_t           *watch;

    uint64_t                       accounts[NGX_HTTP_CTSEG_IMPORT_ACCOUNTS];
    ngx_uint_t                     naccounts;

    char                           id[CTSEG_ID_TEXT_MAX];   /* to be claimed,
                                           or empty */
    uint64_t                       rev;
    char                           left[CTSEG_ID_TEXT_MAX]; /* to be tidied
                                           up behind */
} ngx_http_ctseg_import_walk_t;


static ngx_uint_t
ngx_http_ctseg_import_is_free(ngx_http_ctseg_import_walk_t *walk,
    const ctseg_import_t *im)
{
    char  key[CTSEG_ID_TEXT_MAX + sizeof("import/")];

    /* ours by name but not here: a start that failed, or an unclear put */

    if (strcmp(im->owner, walk->worker->owner) == 0) {
        return 1;
    }

    (void) snprintf(key, sizeof(key), "import/%s", im->id);

    if (ctseg_lease_may_take(walk->watch, key, im->owner, im->rev,
                             ctseg_mono_ms(), CTSEG_LEASE_TTL_MS))
    {
        return 1;
    }

    walk->look->again = 1;

    return 0;
}


/* is it the first of its account? */

static ngx_uint_t
ngx_http_ctseg_import_is_first(ngx_http_ctseg_import_walk_t *walk,
    const ctseg_import_t *im)
{
    uint64_t    account;
    ngx_uint_t  i;

    account = ctseg_hash64(ctseg_str(im->account));

    for (i = 0; i < walk->naccounts; i++) {
        if (walk->accounts[i] == account) {
            return 0;
        }
    }

    if (walk->naccounts == NGX_HTTP_CTSEG_IMPORT_ACCOUNTS) {
        return 0;                       /* the end of one makes a new look */
    }

    walk->accounts[walk->naccounts++] = account;

    return 1;
}


static bool
ngx_http_ctseg_import_seen(void *data, const ctseg_import_t *im)
{
    ngx_http_ctseg_import_walk_t  *walk;

    walk = data;

    if (ctseg_export_is_final(im->status)) {

        /* stopped, and its owner has died before it could tidy up */

        if ((im->owner[0] != '\0' || im->walk_to.year != 0)
            && walk->left[0] == '\0'
            && ngx_http_ctseg_import_is_free(walk, im))
        {
            ngx_memcpy(walk->left, im->id, CTSEG_ID_TEXT_MAX);
        }

        return true;
    }

    if (!ngx_http_ctseg_import_is_first(walk, im)
        || !ngx_http_ctseg_import_is_free(walk, im))
    {
        return true;
    }

    if (walk->id[0] == '\0') {
        ngx_memcpy(walk->id, im->id, CTSEG_ID_TEXT_MAX);
        walk->rev = im->rev;

    } else {
        walk->look->again = 1;
    }

    return true;
}


static ctseg_rc_t
ngx_http_ctseg_import_claim(ngx_http_ctseg_import_walk_t *walk,
    ctseg_err_t *err)
{
    ctseg_rc_t       rc;
    ctseg_import_t  *im;

    im = &walk->look->claim;
    ngx_memzero(im, sizeof(ctseg_import_t));

    rc = ctseg_import_get(walk->worker->store, ctseg_str(walk->id), im, err);

    if (rc == CTSEG_OK && im->rev != walk->rev) {
        rc = CTSEG_CONFLICT;
    }

    if (rc == CTSEG_OK) {
        im->fence++;
        (void) snprintf(im->owner, sizeof(im->owner), "%s",
                        walk->worker->owner);

        im->status = CTSEG_RUNNING;

        if (im->started_ms == 0) {
            im->started_ms = ctseg_now_ms();
        }

        rc = ctseg_import_put(walk->worker->store, im, err);
    }

    if (rc == CTSEG_OK) {
        walk->look->claimed = 1;
        return rc;
    }

    ctseg_import_free(im);

    if (rc == CTSEG_CONFLICT || rc == CTSEG_NOTFOUND) {
        walk->look->again = 1;
        return CTSEG_OK;
    }

    return rc;
}


static ctseg_rc_t
ngx_http_ctseg_import_tidy(ngx_http_ctseg_import_walk_t *walk,
    ctseg_err_t *err)
{
    ctseg_rc_t      rc;
    ctseg_import_t  im;

    ngx_memzero(&im, sizeof(ctseg_import_t));

    rc = ctseg_import_get(walk->worker->store, ctseg_str(walk->left), &im,
                          err);

    if (rc == CTSEG_OK) {
        rc = ngx_http_ctseg_import_close(walk->worker->store, &im, err);
    }

    ctseg_import_free(&im);

    return rc == CTSEG_CONFLICT || rc == CTSEG_NOTFOUND ? CTSEG_OK : rc;
}


ctseg_rc_t
ngx_http_ctseg_import_look_thread(ngx_http_ctseg_worker_t *worker,
    ngx_http_ctseg_import_look_t *look, ctseg_lease_watch_t *watch,
    ctseg_err_t *err)
{
    ctseg_rc_t                    rc;
    ngx_http_ctseg_import_walk_t  walk;

    look->again = 0;

    if (look->busy) {
        return CTSEG_OK;
    }

    ngx_memzero(&walk, sizeof(ngx_http_ctseg_import_walk_t));

    walk.worker = worker;
    walk.look = look;
    walk.watch = watch;

    rc = ctseg_import_list(worker->store, ngx_http_ctseg_import_seen, &walk,
                           err);
    if (rc != CTSEG_OK) {
        return rc;
    }

    rc = err->code == CTSEG_CORRUPT ? CTSEG_CORRUPT : CTSEG_OK;

    if (walk.left[0] != '\0') {
        (void) ngx_http_ctseg_import_tidy(&walk, err);
    }

    if (walk.id[0] != '\0') {
        return ngx_http_ctseg_import_claim(&walk, err);
    }

    return rc;
}
