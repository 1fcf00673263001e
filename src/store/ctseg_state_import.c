/*
 * Imports, and what of the pages of a walk the log had already.  Called by the
 * tasks of the engine and by the API, from pool threads.  A definition with
 * its place and counts is one record, so that a page counts with one put; the
 * engine and a stop by a user write it by compare-and-set.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctseg_state_int.h"
#include "ctseg_state_import.h"
#include "../base/ctseg_bytes.h"
#include "../base/ctseg_str.h"


enum {
    CTSEG_IMPORT_ID = 1,
    CTSEG_IMPORT_ACCOUNT,
    CTSEG_IMPORT_NAMES,
    CTSEG_IMPORT_FROM,
    CTSEG_IMPORT_TO,
    CTSEG_IMPORT_PROFILES,
    CTSEG_IMPORT_STATUS,
    CTSEG_IMPORT_STOP,
    CTSEG_IMPORT_REVISION,
    CTSEG_IMPORT_CREATED,
    CTSEG_IMPORT_STARTED,
    CTSEG_IMPORT_FINISHED,

    CTSEG_IMPORT_NAME = 20,
    CTSEG_IMPORT_WALK_FROM,
    CTSEG_IMPORT_WALK_TO,
    CTSEG_IMPORT_BASE,
    CTSEG_IMPORT_INCARNATION,
    CTSEG_IMPORT_PAGE,
    CTSEG_IMPORT_SEQ,
    CTSEG_IMPORT_CURSOR,
    CTSEG_IMPORT_CURSOR_HASH,
    CTSEG_IMPORT_REOPENED,

    CTSEG_IMPORT_PAGES = 40,
    CTSEG_IMPORT_RECEIVED,
    CTSEG_IMPORT_STORED,
    CTSEG_IMPORT_KNOWN,
    CTSEG_IMPORT_REFUSED,
    CTSEG_IMPORT_UPDATES,
    CTSEG_IMPORT_RETRIES,
    CTSEG_IMPORT_FORBIDDEN,
    CTSEG_IMPORT_FORBIDDEN_HIGH,
    CTSEG_IMPORT_ERRORS,
    CTSEG_IMPORT_NERRORS,

    CTSEG_IMPORT_ERROR_STATUS = 60,
    CTSEG_IMPORT_ERROR,
    CTSEG_IMPORT_ERROR_MS,
    CTSEG_IMPORT_RETRY_AT,
    CTSEG_IMPORT_FAILURES,
    CTSEG_IMPORT_OWNER,
    CTSEG_IMPORT_FENCE,
    CTSEG_IMPORT_FAILING
};

enum {
    CTSEG_IMPORTED_SEQUENCES = 1
};


/* ---- the record ---- */

static void
ctseg_import_put_day(ctseg_buf_t *out, uint8_t tag, const ctseg_civil_t *c)
{
    char  text[CTSEG_DATE_LEN + 1];

    text[0] = '\0';

    if (c->year != 0) {
        ctseg_date_render(text, c);
    }

    ctseg_record_cstr(out, tag, text);
}


/* empty: year 0, where that may be */

static void
ctseg_import_get_day(ctseg_record_t *r, uint8_t tag, bool needed,
    ctseg_civil_t *c)
{
    char  text[CTSEG_DATE_LEN + 1];

    ctseg_record_get_cstr(r, tag, text, sizeof(text));

    if (text[0] == '\0' && !needed) {
        return;
    }

    if (!ctseg_date_parse(ctseg_str(text), c)) {
        r->rc = CTSEG_CORRUPT;
    }
}


static void
ctseg_import_get_buf(ctseg_record_t *r, uint8_t tag, size_t max,
    ctseg_buf_t *out)
{
    ctseg_str_t  s;

    s = ctseg_record_get_bytes(r, tag);

    if (s.len > max) {
        r->rc = CTSEG_CORRUPT;
        return;
    }

    if (s.len != 0) {
        ctseg_buf_str(out, s);
    }
}


/* each name has a NUL behind it, so many are there */

static unsigned
ctseg_import_count(const ctseg_buf_t *names)
{
    size_t    i;
    unsigned  n;

    if (names->len == 0 || names->data[names->len - 1] != '\0') {
        return 0;
    }

    n = 0;

    for (i = 0; i < names->len; i++) {
        n += names->data[i] == '\0';
    }

    return n;
}


static void
ctseg_import_encode(ctseg_buf_t *out, const ctseg_import_t *im)
{
    const ctseg_import_counts_t  *c;

    c = &im->counts;

    ctseg_record_begin(out, CTSEG_RECORD_IMPORT);

    ctseg_record_cstr(out, CTSEG_IMPORT_ID, im->id);
    ctseg_record_cstr(out, CTSEG_IMPORT_ACCOUNT, im->account);
    ctseg_record_bytes(out, CTSEG_IMPORT_NAMES, ctseg_buf_slice(&im->names));
    ctseg_import_put_day(out, CTSEG_IMPORT_FROM, &im->from);
    ctseg_import_put_day(out, CTSEG_IMPORT_TO, &im->to);
    ctseg_record_uint(out, CTSEG_IMPORT_PROFILES, im->profiles);
    ctseg_record_uint(out, CTSEG_IMPORT_STATUS, im->status);
    ctseg_record_uint(out, CTSEG_IMPORT_STOP, im->stop_reason);
    ctseg_record_uint(out, CTSEG_IMPORT_REVISION, im->revision);
    ctseg_record_int(out, CTSEG_IMPORT_CREATED, im->created_ms);
    ctseg_record_int(out, CTSEG_IMPORT_STARTED, im->started_ms);
    ctseg_record_int(out, CTSEG_IMPORT_FINISHED, im->finished_ms);

    ctseg_record_uint(out, CTSEG_IMPORT_NAME, im->name);
    ctseg_import_put_day(out, CTSEG_IMPORT_WALK_FROM, &im->walk_from);
    ctseg_import_put_day(out, CTSEG_IMPORT_WALK_TO, &im->walk_to);
    ctseg_record_uint(out, CTSEG_IMPORT_BASE, im->base);
    ctseg_record_uint(out, CTSEG_IMPORT_INCARNATION, im->incarnation);
    ctseg_record_uint(out, CTSEG_IMPORT_PAGE, im->page);
    ctseg_record_uint(out, CTSEG_IMPORT_SEQ, im->seq);
    ctseg_record_bytes(out, CTSEG_IMPORT_CURSOR,
                       ctseg_buf_slice(&im->cursor));
    ctseg_record_uint(out, CTSEG_IMPORT_CURSOR_HASH, im->cursor_hash);
    ctseg_record_uint(out, CTSEG_IMPORT_REOPENED, im->reopened);

    ctseg_record_uint(out, CTSEG_IMPORT_PAGES, c->pages);
    ctseg_record_uint(out, CTSEG_IMPORT_RECEIVED, c->received);
    ctseg_record_uint(out, CTSEG_IMPORT_STORED, c->stored);
    ctseg_record_uint(out, CTSEG_IMPORT_KNOWN, c->known);
    ctseg_record_uint(out, CTSEG_IMPORT_REFUSED, c->refused);
    ctseg_record_uint(out, CTSEG_IMPORT_UPDATES, c->profiles);
    ctseg_record_uint(out, CTSEG_IMPORT_RETRIES, c->retries);
    ctseg_record_uint(out, CTSEG_IMPORT_FORBIDDEN, im->forbidden[0]);
    ctseg_record_uint(out, CTSEG_IMPORT_FORBIDDEN_HIGH, im->forbidden[1]);
    ctseg_record_bytes(out, CTSEG_IMPORT_ERRORS,
                       ctseg_buf_slice(&im->errors));
    ctseg_record_uint(out, CTSEG_IMPORT_NERRORS, im->nerrors);

    ctseg_record_int(out, CTSEG_IMPORT_ERROR_STATUS, im->error_status);
    ctseg_record_cstr(out, CTSEG_IMPORT_ERROR, im->error);
    ctseg_record_int(out, CTSEG_IMPORT_ERROR_MS, im->error_ms);
    ctseg_record_int(out, CTSEG_IMPORT_RETRY_AT, im->retry_at_ms);
    ctseg_record_uint(out, CTSEG_IMPORT_FAILURES, im->failures);
    ctseg_record_cstr(out, CTSEG_IMPORT_OWNER, im->owner);
    ctseg_record_uint(out, CTSEG_IMPORT_FENCE, im->fence);
    ctseg_record_int(out, CTSEG_IMPORT_FAILING, im->failing_ms);

    ctseg_record_end(out);

    out->failed |= im->names.failed | im->cursor.failed | im->errors.failed;
}


static ctseg_rc_t
ctseg_import_write(ctseg_store_t *s, ctseg_import_t *im, uint64_t expect,
    ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    ctseg_buf_t  out;

    ctseg_state_key(key, "import/%s", im->id);

    if (im->names.len > CTSEG_IMPORT_NAMES_BYTES
        || im->cursor.len > CTSEG_IMPORT_CURSOR_MAX
        || im->errors.len > CTSEG_IMPORT_ERRORS_BYTES)
    {
        return ctseg_state_err(err, CTSEG_INVALID, key);
    }

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_import_encode(&out, im);

    return ctseg_state_write(s, key, &out, expect, &im->rev, err);
}


/* where it is */

static void
ctseg_import_get_walk(ctseg_record_t *r, ctseg_import_t *im)
{
    im->name = ctseg_state_get_range(r, CTSEG_IMPORT_NAME, 0, im->nnames);
    ctseg_import_get_day(r, CTSEG_IMPORT_WALK_FROM, false, &im->walk_from);
    ctseg_import_get_day(r, CTSEG_IMPORT_WALK_TO, false, &im->walk_to);
    im->base = ctseg_record_get_uint(r, CTSEG_IMPORT_BASE);
    im->incarnation = ctseg_state_get_range(r, CTSEG_IMPORT_INCARNATION, 0,
                                            UINT32_MAX);
    im->page = ctseg_state_get_range(r, CTSEG_IMPORT_PAGE, 0, UINT32_MAX);
    im->seq = ctseg_record_get_uint(r, CTSEG_IMPORT_SEQ);
    ctseg_import_get_buf(r, CTSEG_IMPORT_CURSOR, CTSEG_IMPORT_CURSOR_MAX,
                         &im->cursor);
    im->cursor_hash = ctseg_record_get_uint(r, CTSEG_IMPORT_CURSOR_HASH);
    im->reopened = ctseg_state_get_range(r, CTSEG_IMPORT_REOPENED, 0,
                                         UINT32_MAX);
}


/* what it has come to */

static void
ctseg_import_get_counts(ctseg_record_t *r, ctseg_import_t *im)
{
    int64_t                 status;
    ctseg_import_counts_t  *c;

    c = &im->counts;

    c->pages = ctseg_record_get_uint(r, CTSEG_IMPORT_PAGES);
    c->received = ctseg_record_get_uint(r, CTSEG_IMPORT_RECEIVED);
    c->stored = ctseg_record_get_uint(r, CTSEG_IMPORT_STORED);
    c->known = ctseg_record_get_uint(r, CTSEG_IMPORT_KNOWN);
    c->refused = ctseg_record_get_uint(r, CTSEG_IMPORT_REFUSED);
    c->profiles = ctseg_record_get_uint(r, CTSEG_IMPORT_UPDATES);
    c->retries = ctseg_record_get_uint(r, CTSEG_IMPORT_RETRIES);
    im->forbidden[0] = ctseg_record_get_uint(r, CTSEG_IMPORT_FORBIDDEN);
    im->forbidden[1] = ctseg_record_get_uint(r, CTSEG_IMPORT_FORBIDDEN_HIGH);
    ctseg_import_get_buf(r, CTSEG_IMPORT_ERRORS, CTSEG_IMPORT_ERRORS_BYTES,
                         &im->errors);
    im->nerrors = ctseg_state_get_range(r, CTSEG_IMPORT_NERRORS, 0,
                                        CTSEG_IMPORT_ERRORS_MAX);

    status = ctseg_record_get_int(r, CTSEG_IMPORT_ERROR_STATUS);

    if (status < INT32_MIN || status > INT32_MAX) {
        r->rc = CTSEG_CORRUPT;
        status = 0;
    }

    im->error_status = (int) status;

    ctseg_record_get_cstr(r, CTSEG_IMPORT_ERROR, im->error,
                          sizeof(im->error));
    im->error_ms = ctseg_record_get_int(r, CTSEG_IMPORT_ERROR_MS);
    im->retry_at_ms = ctseg_record_get_int(r, CTSEG_IMPORT_RETRY_AT);
    im->failures = ctseg_state_get_range(r, CTSEG_IMPORT_FAILURES, 0,
                                         UINT32_MAX);
}


/* im is empty; it owns what it gets, also when the answer is not OK */

static ctseg_rc_t
ctseg_import_decode(ctseg_record_t *r, const char *key, uint64_t rev,
    ctseg_import_t *im, ctseg_err_t *err)
{
    ctseg_record_get_cstr(r, CTSEG_IMPORT_ID, im->id, sizeof(im->id));
    ctseg_record_get_cstr(r, CTSEG_IMPORT_ACCOUNT, im->account,
                          sizeof(im->account));
    ctseg_import_get_buf(r, CTSEG_IMPORT_NAMES, CTSEG_IMPORT_NAMES_BYTES,
                         &im->names);
    ctseg_import_get_day(r, CTSEG_IMPORT_FROM, true, &im->from);
    ctseg_import_get_day(r, CTSEG_IMPORT_TO, true, &im->to);
    im->profiles = ctseg_state_get_range(r, CTSEG_IMPORT_PROFILES, 0, 1) == 1;
    im->status = ctseg_state_get_range(r, CTSEG_IMPORT_STATUS, CTSEG_PENDING,
                                       CTSEG_STOPPED);
    im->stop_reason = ctseg_state_get_range(r, CTSEG_IMPORT_STOP,
                                            CTSEG_STOP_NONE,
                                            CTSEG_STOP_ERRORS);
    im->revision = ctseg_record_get_uint(r, CTSEG_IMPORT_REVISION);
    im->created_ms = ctseg_record_get_int(r, CTSEG_IMPORT_CREATED);
    im->started_ms = ctseg_record_get_int(r, CTSEG_IMPORT_STARTED);
    im->finished_ms = ctseg_record_get_int(r, CTSEG_IMPORT_FINISHED);

    if (!im->names.failed) {
        im->nnames = ctseg_import_count(&im->names);

        if (im->nnames == 0 || im->nnames > CTSEG_IMPORT_NAMES_MAX) {
            r->rc = CTSEG_CORRUPT;
        }
    }

    ctseg_import_get_walk(r, im);
    ctseg_import_get_counts(r, im);

    ctseg_record_get_cstr(r, CTSEG_IMPORT_OWNER, im->owner,
                          sizeof(im->owner));
    im->fence = ctseg_record_get_uint(r, CTSEG_IMPORT_FENCE);
    im->failing_ms = ctseg_record_get_int(r, CTSEG_IMPORT_FAILING);
    im->rev = rev;

    if (im->names.failed || im->cursor.failed || im->errors.failed) {
        return ctseg_state_err(err, CTSEG_NOMEM, key);
    }

    if (strcmp(key + sizeof("import/") - 1, im->id) != 0) {
        r->rc = CTSEG_CORRUPT;
    }

    return ctseg_state_err(err, r->rc, key);
}


ctseg_rc_t
ctseg_import_get(ctseg_store_t *s, ctseg_str_t id, ctseg_import_t *im,
    ctseg_err_t *err)
{
    char            key[CTSEG_STATE_KEY_MAX];
    uint64_t        rev;
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  r;

    if (!ctseg_id_is_valid(id)) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such import");
    }

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_state_key(key, "import/%.*s", (int) id.len, id.data);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_IMPORT, &buf, &r, &rev, err);

    if (rc == CTSEG_OK) {
        rc = ctseg_import_decode(&r, key, rev, im, err);
    }

    ctseg_buf_free(&buf);

    return rc;
}


ctseg_rc_t
ctseg_import_put(ctseg_store_t *s, ctseg_import_t *im, ctseg_err_t *err)
{
    /* a put that expects nothing would create it behind create's back */

    if (im->rev == 0 || !ctseg_id_is_valid(ctseg_str(im->id))) {
        return ctseg_err(err, CTSEG_INVALID, "the import was never stored");
    }

    return ctseg_import_write(s, im, im->rev, err);
}


/* ---- lists ---- */

typedef struct {
    ctseg_import_pt  cb;
    void            *data;
} ctseg_import_walk_t;


static ctseg_rc_t
ctseg_import_each(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    ctseg_rc_t            rc;
    ctseg_import_t        im;
    ctseg_record_t        r;
    ctseg_import_walk_t  *walk;

    walk = data;

    memset(&im, 0, sizeof(ctseg_import_t));

    (void) ctseg_record_open(&r, value, CTSEG_RECORD_IMPORT);
    rc = ctseg_import_decode(&r, key, rev, &im, err);

    if (rc == CTSEG_OK && !walk->cb(walk->data, &im)) {
        rc = CTSEG_AGAIN;
    }

    ctseg_import_free(&im);

    return rc;
}


ctseg_rc_t
ctseg_import_list(ctseg_store_t *s, ctseg_import_pt cb, void *data,
    ctseg_err_t *err)
{
    ctseg_import_walk_t  walk;

    walk.cb = cb;
    walk.data = data;

    return ctseg_state_each(s, "import/", ctseg_import_each, &walk, NULL,
                            err);
}


/* ---- changes ---- */

static bool
ctseg_import_unfinished(void *data, const ctseg_import_t *im)
{
    unsigned  *n;

    n = data;
    *n += !ctseg_export_is_final(im->status);

    return *n < CTSEG_IMPORTS_MAX;
}


/*
 * Two at a time may make one too many, which does no harm: what is limited is
 * how much somebody can queue.
 */

ctseg_rc_t
ctseg_import_create(ctseg_store_t *s, ctseg_import_t *im, int64_t now_ms,
    ctseg_err_t *err)
{
    unsigned    n;
    ctseg_rc_t  rc;

    n = 0;
    rc = ctseg_import_list(s, ctseg_import_unfinished, &n, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    if (n >= CTSEG_IMPORTS_MAX) {
        return ctseg_err(err, CTSEG_TOOBIG, "%d imports are not over yet",
                         CTSEG_IMPORTS_MAX);
    }

    ctseg_id_new(im->id, now_ms);
    im->created_ms = now_ms;
    im->rev = 0;

    rc = ctseg_import_write(s, im, 0, err);

    return rc == CTSEG_CONFLICT
           ? ctseg_err(err, CTSEG_AGAIN, "the id is taken") : rc;
}


ctseg_rc_t
ctseg_import_stop(ctseg_store_t *s, ctseg_str_t id, ctseg_stop_t reason,
    int64_t now_ms, ctseg_import_t *im, ctseg_err_t *err)
{
    unsigned    n;
    ctseg_rc_t  rc;

    for (n = 0; n < CTSEG_STATE_TRIES; n++) {
        ctseg_import_free(im);
        memset(im, 0, sizeof(ctseg_import_t));

        rc = ctseg_import_get(s, id, im, err);

        if (rc != CTSEG_OK) {
            return rc;
        }

        if (ctseg_export_is_final(im->status)) {
            return ctseg_err(err, CTSEG_CONFLICT, "the import is %s",
                             ctseg_status_name(im->status));
        }

        im->status = CTSEG_STOPPED;
        im->stop_reason = reason;
        im->finished_ms = now_ms;
        im->retry_at_ms = 0;
        im->revision++;

        rc = ctseg_import_write(s, im, im->rev, err);

        if (rc != CTSEG_CONFLICT) {
            return rc;
        }
    }

    return ctseg_err(err, CTSEG_AGAIN, "the import changes all the time");
}


/* ---- known ones ---- */

static ctseg_rc_t
ctseg_imported_write(ctseg_store_t *s, const char *key, ctseg_str_t known,
    ctseg_err_t *err)
{
    bool            same;
    uint64_t        rev;
    ctseg_rc_t      rc;
    ctseg_buf_t     buf, out;
    ctseg_record_t  r;

    memset(&buf, 0, sizeof(ctseg_buf_t));

    rc = ctseg_store_get(s, ctseg_str(key),
                         ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS, &buf,
                         &rev);
    same = false;

    if (rc == CTSEG_NOTFOUND) {

        /* none is what a page without a record says */

        rc = CTSEG_OK;
        rev = 0;
        same = known.len == 0;

    } else if (rc == CTSEG_OK) {

        /* one that does not read is written anew */

        (void) ctseg_record_open(&r, ctseg_buf_slice(&buf),
                                 CTSEG_RECORD_IMPORTED);
        same = ctseg_str_eq(ctseg_record_get_bytes(&r,
                                                  CTSEG_IMPORTED_SEQUENCES),
                            known)
               && r.rc == CTSEG_OK;
    }

    ctseg_buf_free(&buf);

    if (rc != CTSEG_OK || same) {
        return ctseg_state_err(err, rc, key);
    }

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_IMPORTED);
    ctseg_record_bytes(&out, CTSEG_IMPORTED_SEQUENCES, known);
    ctseg_record_end(&out);

    return ctseg_state_write(s, key, &out, rev, NULL, err);
}


ctseg_rc_t
ctseg_imported_put(ctseg_store_t *s, const char *import_id, unsigned page,
    const uint64_t *sequences, unsigned n, ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    char        *known;
    unsigned     i;
    ctseg_rc_t   rc;
    ctseg_str_t  bytes;

    if (!ctseg_id_is_valid(ctseg_str(import_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such import");
    }

    ctseg_state_key(key, "imported/%s/%08x", import_id, page);

    if (n > CTSEG_IMPORT_KNOWN_MAX) {
        return ctseg_state_err(err, CTSEG_INVALID, key);
    }

    known = malloc(n != 0 ? (size_t) n * 8 : 1);

    if (known == NULL) {
        return ctseg_state_err(err, CTSEG_NOMEM, key);
    }

    for (i = 0; i < n; i++) {
        ctseg_le_put(known + (size_t) i * 8, sequences[i], 8);
    }

    bytes.data = known;
    bytes.len = (size_t) n * 8;

    rc = ctseg_imported_write(s, key, bytes, err);

    free(known);

    return rc;
}


typedef struct {
    size_t              prefix;         /* bytes of a key before the page */
    unsigned            page;
    ctseg_imported_pt   cb;
    void               *data;
} ctseg_imported_walk_t;


static ctseg_rc_t
ctseg_imported_each(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    char                    own[CTSEG_STATE_KEY_MAX];
    size_t                  i;
    unsigned long           page;
    ctseg_str_t             known;
    ctseg_record_t          r;
    ctseg_imported_walk_t  *walk;

    walk = data;

    (void) rev;

    page = strtoul(key + walk->prefix, NULL, 16);
    ctseg_state_key(own, "%08lx", page);

    if (strcmp(key + walk->prefix, own) != 0) {
        return ctseg_state_err(err, CTSEG_CORRUPT, key);
    }

    if (page >= walk->page) {
        return CTSEG_AGAIN;
    }

    (void) ctseg_record_open(&r, value, CTSEG_RECORD_IMPORTED);
    known = ctseg_record_get_bytes(&r, CTSEG_IMPORTED_SEQUENCES);

    if (known.len % 8 != 0) {
        r.rc = CTSEG_CORRUPT;
    }

    if (r.rc == CTSEG_OK) {
        for (i = 0; i < known.len; i += 8) {
            walk->cb(walk->data, ctseg_le_get(known.data + i, 8));
        }
    }

    return ctseg_state_err(err, r.rc, key);
}


ctseg_rc_t
ctseg_imported_list(ctseg_store_t *s, const char *import_id, unsigned page,
    ctseg_imported_pt cb, void *data, ctseg_err_t *err)
{
    char                   prefix[CTSEG_STATE_KEY_MAX];
    ctseg_imported_walk_t  walk;

    if (!ctseg_id_is_valid(ctseg_str(import_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such import");
    }

    ctseg_state_key(prefix, "imported/%s/", import_id);

    walk.prefix = strlen(prefix);
    walk.page = page;
    walk.cb = cb;
    walk.data = data;

    return ctseg_state_each(s, prefix, ctseg_imported_each, &walk, NULL, err);
}


static ctseg_rc_t
ctseg_imported_forget(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    (void) value;

    rc = ctseg_state_remove(data, key, rev, err);

    /* somebody else removes them, too: who had it before, and was slow */

    return rc == CTSEG_CONFLICT ? CTSEG_OK : rc;
}


ctseg_rc_t
ctseg_imported_remove(ctseg_store_t *s, const char *import_id,
    ctseg_err_t *err)
{
    char  prefix[CTSEG_STATE_KEY_MAX];

    if (!ctseg_id_is_valid(ctseg_str(import_id))) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such import");
    }

    ctseg_state_key(prefix, "imported/%s/", import_id);

    return ctseg_state_each(s, prefix, ctseg_imported_forget, s, NULL, err);
}
