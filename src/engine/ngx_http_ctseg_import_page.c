/*
 * A page of an import, on a pool thread: its records are told from those that
 * the log has already, and the rest is appended in one transaction.
 *
 * Which ones are known is a function of the page and of the log as it was
 * when the walk began.  They are noted before the append, and the append can
 * be repeated: so the page may be read again after whatever happens, up to the
 * put of the import, which is the caller's.
 *
 * Of profiles the last one of each in a page counts.  What a profile is has a
 * mark, so that one that did not change between two pages is stored once.
 */

#include <stdlib.h>

#include "../base/ctseg_str.h"
#include "../store/ctseg_mark.h"
#include "ngx_http_ctseg_import_int.h"


#define NGX_HTTP_CTSEG_IMPORT_APPEND_MS  10000
#define NGX_HTTP_CTSEG_IMPORT_TRIES      3
#define NGX_HTTP_CTSEG_IMPORT_ROUNDS     64     /* as a group of uploads */


/* one that a record told of */

typedef struct {
    char                            who[CTSEG_HASH_LEN];
    char                            mark[CTSEG_MARK_LEN];
    size_t                          at;         /* in the text of all, */
    size_t                          len;
    unsigned                        dropped:1;
} ngx_http_ctseg_import_profile_t;


typedef struct {
    ngx_http_ctseg_import_step_t   *step;
    ngx_http_ctseg_import_page_t   *page;
    ctseg_rc_t                      rc;

    uint64_t                        known[CTSEG_IMPORT_KNOWN_MAX];
    ctseg_blocks_t                  events;
    ctseg_blocks_t                  updates;    /* of profiles */

    ctseg_buf_t                     text;       /* profiles as events */
    ngx_http_ctseg_import_profile_t  *profiles;
    ngx_uint_t                      nprofiles;
    ngx_uint_t                      max;
} ngx_http_ctseg_import_work_t;


/* ---- records ---- */


static bool
ngx_http_ctseg_import_profile(ngx_http_ctseg_import_work_t *w,
    const ctseg_event_t *profile)
{
    char                              what;
    unsigned                          i;
    ngx_uint_t                        max;
    ctseg_str_t                       parts[2];
    ctseg_event_t                     ev;
    ngx_http_ctseg_import_profile_t  *p;

    if (w->nprofiles == w->max) {
        max = w->max == 0 ? 256 : w->max * 2;

        p = realloc(w->profiles,
                    max * sizeof(ngx_http_ctseg_import_profile_t));
        if (p == NULL) {
            return false;
        }

        w->profiles = p;
        w->max = max;
    }

    p = &w->profiles[w->nprofiles];
    ngx_memzero(p, sizeof(ngx_http_ctseg_import_profile_t));

    /* whose it is: the first identity that it has */

    for (i = 0; i < CTSEG_ID_N - 1 && profile->id[i].len == 0; i++) {
        /* void */
    }

    what = (char) i;
    parts[0].data = &what;
    parts[0].len = 1;
    parts[1] = profile->id[i];

    ev = *profile;
    ev.time_ms = 0;

    p->at = w->text.len;
    ctseg_event_encode(&w->text, &ev);
    p->len = w->text.len - p->at;

    w->nprofiles++;

    return !w->text.failed
           && ctseg_hash(&w->step->hash, parts, 2, p->who);
}


static bool
ngx_http_ctseg_import_record(void *data, const ctseg_event_t *ev,
    const ctseg_event_t *profile)
{
    uint64_t                       sequence;
    ctseg_content_t                content;
    ngx_http_ctseg_import_work_t  *w;

    w = data;

    w->rc = ctseg_content(ev, &w->step->task.worker->zone, &w->step->hash,
                          &content);
    if (w->rc != CTSEG_OK) {
        return false;
    }

    sequence = ctseg_known_take(w->step->known, &content);

    if (sequence == 0) {
        w->page->stored++;

        if (!ctseg_blocks_add(&w->events, ev)) {
            w->rc = CTSEG_NOMEM;
            return false;
        }

    } else if (w->page->known == CTSEG_IMPORT_KNOWN_MAX) {
        w->rc = CTSEG_TOOBIG;
        return false;

    } else {
        w->known[w->page->known++] = sequence;
    }

    if (profile != NULL && !ngx_http_ctseg_import_profile(w, profile)) {
        w->rc = CTSEG_NOMEM;
        return false;
    }

    return true;
}


/* ---- profiles ---- */


static int ngx_libc_cdecl
ngx_http_ctseg_import_who_cmp(const void *one, const void *two)
{
    int                                     rc;
    const ngx_http_ctseg_import_profile_t  *a, *b;

    a = *(ngx_http_ctseg_import_profile_t *const *) one;
    b = *(ngx_http_ctseg_import_profile_t *const *) two;

    rc = memcmp(a->who, b->who, CTSEG_HASH_LEN);

    return rc != 0 ? rc : a->at < b->at ? -1 : 1;
}


/* of each profile the last one, and its mark */

static ctseg_rc_t
ngx_http_ctseg_import_newest(ngx_http_ctseg_import_work_t *w)
{
    ngx_uint_t                         i;
    ctseg_str_t                        name;
    ngx_http_ctseg_import_profile_t   *p, **sorted;

    if (w->nprofiles == 0) {
        return CTSEG_OK;
    }

    sorted = malloc(w->nprofiles * sizeof(void *));
    if (sorted == NULL) {
        return CTSEG_NOMEM;
    }

    for (i = 0; i < w->nprofiles; i++) {
        sorted[i] = &w->profiles[i];
    }

    qsort(sorted, w->nprofiles, sizeof(void *),
          ngx_http_ctseg_import_who_cmp);

    for (i = 1; i < w->nprofiles; i++) {
        sorted[i - 1]->dropped = memcmp(sorted[i]->who, sorted[i - 1]->who,
                                        CTSEG_HASH_LEN)
                                 == 0;
    }

    free(sorted);

    for (i = 0; i < w->nprofiles; i++) {
        p = &w->profiles[i];

        name.data = w->text.data + p->at;
        name.len = p->len;

        if (!p->dropped
            && !ctseg_mark_key(&w->step->hash, CTSEG_MARK_PROFILE,
                               ctseg_str(w->step->id), name, p->mark))
        {
            return CTSEG_NOMEM;
        }
    }

    return CTSEG_OK;
}


/* those that are not dropped, as events of now, with their marks */

static ctseg_rc_t
ngx_http_ctseg_import_updates(ngx_http_ctseg_import_work_t *w,
    ctseg_buf_t *keys)
{
    int64_t        now;
    ngx_uint_t     i;
    ctseg_str_t    text;
    ctseg_event_t  ev;

    ctseg_blocks_reset(&w->updates);
    ctseg_buf_reset(keys);
    w->page->profiles = 0;

    now = ctseg_now_ms();

    for (i = 0; i < w->nprofiles; i++) {

        if (w->profiles[i].dropped) {
            continue;
        }

        text.data = w->text.data + w->profiles[i].at;
        text.len = w->profiles[i].len;

        if (ctseg_event_decode(&text, &ev) != CTSEG_OK) {
            return CTSEG_CORRUPT;
        }

        ev.time_ms = now;

        if (!ctseg_blocks_add(&w->updates, &ev)) {
            return CTSEG_NOMEM;
        }

        ctseg_buf_add(keys, w->profiles[i].mark, CTSEG_MARK_LEN);
        w->page->profiles++;
    }

    return keys->failed ? CTSEG_NOMEM : CTSEG_OK;
}


/* drop those that the store knows */

static ctseg_rc_t
ngx_http_ctseg_import_same(ngx_http_ctseg_import_work_t *w,
    const ctseg_buf_t *keys)
{
    bool        *known;
    ctseg_rc_t   rc;
    ngx_uint_t   i, n;

    known = malloc(w->page->profiles * sizeof(bool));
    if (known == NULL) {
        return CTSEG_NOMEM;
    }

    rc = ctseg_store_marked(w->step->task.worker->store, keys->data,
                            (unsigned) w->page->profiles,
                            ctseg_mono_ms() + NGX_HTTP_CTSEG_IMPORT_APPEND_MS,
                            known);

    n = 0;

    for (i = 0; i < w->nprofiles && rc == CTSEG_OK; i++) {
        if (!w->profiles[i].dropped) {
            w->profiles[i].dropped = known[n++];
        }
    }

    free(known);

    return rc;
}


/* ---- the append ---- */


static ctseg_rc_t
ngx_http_ctseg_import_try(ngx_http_ctseg_import_work_t *w,
    ctseg_block_t *blocks, unsigned n, ctseg_marks_t *marks)
{
    bool                           dup;
    char                           producer[CTSEG_PRODUCER_LEN];
    ctseg_rc_t                     rc;
    ngx_uint_t                     tries;
    ctseg_pos_t                    last;
    ctseg_str_t                    parts[2];
    ngx_http_ctseg_import_step_t  *step;

    step = w->step;

    parts[0] = ctseg_str("import");
    parts[1] = ctseg_str(step->id);

    if (!ctseg_hash(&step->hash, parts, 2, producer)) {
        return CTSEG_NOMEM;
    }

    for (tries = 0; /* void */ ; tries++) {
        rc = ctseg_store_append_marked(step->task.worker->store, 0, producer,
                                       step->im.seq, blocks, n, marks,
                                       ctseg_mono_ms()
                                       + NGX_HTTP_CTSEG_IMPORT_APPEND_MS,
                                       &last, &dup);

        if ((rc != CTSEG_RETRY && rc != CTSEG_AMBIGUOUS)
            || tries == NGX_HTTP_CTSEG_IMPORT_TRIES - 1)
        {
            return rc;
        }
    }
}


/* one round: what is left of the page now */

static ctseg_rc_t
ngx_http_ctseg_import_round(ngx_http_ctseg_import_work_t *w,
    ctseg_buf_t *keys)
{
    unsigned        i, n;
    ctseg_rc_t      rc;
    ctseg_marks_t   marks;
    ctseg_block_t  *blocks;

    rc = ngx_http_ctseg_import_updates(w, keys);

    if (rc == CTSEG_OK) {
        rc = ctseg_blocks_finish(&w->events);
    }

    if (rc == CTSEG_OK) {
        rc = ctseg_blocks_finish(&w->updates);
    }

    n = w->events.nblocks + w->updates.nblocks;

    if (rc != CTSEG_OK || n == 0) {
        return rc;
    }

    blocks = malloc(n * sizeof(ctseg_block_t));
    if (blocks == NULL) {
        return CTSEG_NOMEM;
    }

    for (i = 0; i < n; i++) {
        blocks[i] = i < w->events.nblocks
                    ? w->events.blocks[i]
                    : w->updates.blocks[i - w->events.nblocks];
    }

    ngx_memzero(&marks, sizeof(ctseg_marks_t));
    marks.keys = keys->data;
    marks.n = (unsigned) w->page->profiles;

    rc = ngx_http_ctseg_import_try(w, blocks, n, &marks);

    free(blocks);

    return rc;
}


static ctseg_rc_t
ngx_http_ctseg_import_append(ngx_http_ctseg_import_work_t *w)
{
    ctseg_rc_t   rc;
    ngx_uint_t   rounds;
    ctseg_buf_t  keys;

    ngx_memzero(&keys, sizeof(ctseg_buf_t));

    rc = ngx_http_ctseg_import_newest(w);

    for (rounds = 0; rc == CTSEG_OK; rounds++) {
        rc = ngx_http_ctseg_import_round(w, &keys);

        if (rc != CTSEG_CONFLICT) {
            break;
        }

        /* certainly nothing was stored */

        rc = rounds < NGX_HTTP_CTSEG_IMPORT_ROUNDS
             ? ngx_http_ctseg_import_same(w, &keys) : CTSEG_RETRY;
    }

    ctseg_buf_free(&keys);

    return rc;
}


/* ---- a page ---- */


static ctseg_rc_t
ngx_http_ctseg_import_work(ngx_http_ctseg_import_work_t *w,
    ctseg_curl_request_t *r)
{
    ctseg_rc_t                     rc;
    ctseg_pull_t                  *pull;
    ngx_http_ctseg_import_step_t  *step;

    step = w->step;
    pull = &w->page->pull;

    pull->zone = &step->task.worker->zone;
    pull->opens = step->im.cursor.len == 0;
    pull->name = ctseg_import_name(&step->im, step->im.name);

    rc = ctseg_pull_read(pull, r->status, ctseg_buf_slice(&r->answer),
                         step->im.profiles, ngx_http_ctseg_import_record, w);

    ctseg_buf_free(&r->answer);

    if (w->rc == CTSEG_TOOBIG) {
        return ctseg_err(&step->err, w->rc, "a page has more than %d records "
                         "that are known", CTSEG_IMPORT_KNOWN_MAX);
    }

    if (w->rc != CTSEG_OK || rc != CTSEG_OK) {
        return ctseg_err(&step->err, w->rc != CTSEG_OK ? w->rc : rc,
                         "reading a page failed");
    }

    if (pull->rc != CTSEG_PULL_PAGE) {
        return CTSEG_OK;
    }

    if (w->page->known != 0) {
        rc = ctseg_imported_put(step->task.worker->store, step->id,
                                step->im.page, w->known,
                                (unsigned) w->page->known, &step->err);
        if (rc != CTSEG_OK) {
            return rc;
        }
    }

    rc = ngx_http_ctseg_import_append(w);

    return rc == CTSEG_OK ? rc : ctseg_err(&step->err, rc, "storing a page "
                                           "failed");
}


ctseg_rc_t
ngx_http_ctseg_import_page(ngx_http_ctseg_import_step_t *step,
    ctseg_curl_request_t *r, ngx_http_ctseg_import_page_t *page)
{
    ctseg_rc_t                     rc;
    ngx_http_ctseg_import_work_t  *w;

    w = calloc(1, sizeof(ngx_http_ctseg_import_work_t));
    if (w == NULL) {
        return CTSEG_NOMEM;
    }

    w->step = step;
    w->page = page;

    rc = ngx_http_ctseg_import_work(w, r);

    ctseg_blocks_free(&w->events);
    ctseg_blocks_free(&w->updates);
    ctseg_buf_free(&w->text);
    free(w->profiles);
    free(w);

    return rc;
}
