/*
 * Exports, and the list of those that are not final.  Called by the API's
 * tasks and by schedulers and runs, from pool threads.  The entry active/<id>
 * is a hint so that a scheduler need not read every export there ever was:
 * it is made before the export and removed after its end, so a crash leaves
 * an entry too many, never one too few.  What a definition may say is
 * model/; nothing is decided here but what is final.
 */

#include <stdlib.h>
#include <string.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


#define CTSEG_EXPORT_HOURS_MAX  65535

enum {
    CTSEG_EXPORT_ID = 1,
    CTSEG_EXPORT_PARTNER,
    CTSEG_EXPORT_TYPE,
    CTSEG_EXPORT_SET,
    CTSEG_EXPORT_KINDS,
    CTSEG_EXPORT_PRIORITY,
    CTSEG_EXPORT_FREQ,
    CTSEG_EXPORT_RANGE,
    CTSEG_EXPORT_FROM,
    CTSEG_EXPORT_TO,
    CTSEG_EXPORT_FROM_MS,
    CTSEG_EXPORT_TO_MS,
    CTSEG_EXPORT_HOURS,
    CTSEG_EXPORT_START,
    CTSEG_EXPORT_STATUS,
    CTSEG_EXPORT_STOP,
    CTSEG_EXPORT_REVISION,
    CTSEG_EXPORT_RUNS,
    CTSEG_EXPORT_EXPORTED_ON,
    CTSEG_EXPORT_CREATED,
    CTSEG_EXPORT_NEXT_RUN,
    CTSEG_EXPORT_START_MS,
    CTSEG_EXPORT_COVERED,
    CTSEG_EXPORT_CUT,
    CTSEG_EXPORT_INCARNATION,
    CTSEG_EXPORT_ENDED,
    CTSEG_EXPORT_TOTALS_RUN,
    CTSEG_EXPORT_SENT,
    CTSEG_EXPORT_FILTERED,
    CTSEG_EXPORT_REJECTED,

    CTSEG_EXPORT_MAPPING = 60           /* up to 63 */
};

enum {
    CTSEG_ACTIVE_ID = 1
};


/* ---- the record ---- */

static ctseg_rc_t
ctseg_export_write(ctseg_store_t *s, ctseg_export_t *e, uint64_t expect,
    ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_EXPORT);
    ctseg_record_cstr(&out, CTSEG_EXPORT_ID, e->id);
    ctseg_record_cstr(&out, CTSEG_EXPORT_PARTNER, e->partner_id);
    ctseg_record_uint(&out, CTSEG_EXPORT_TYPE, e->type);
    ctseg_record_uint(&out, CTSEG_EXPORT_SET, e->set);
    ctseg_record_uint(&out, CTSEG_EXPORT_KINDS, e->kinds);
    ctseg_state_put_priority(&out, CTSEG_EXPORT_PRIORITY, e->priority,
                             e->npriority);
    ctseg_record_uint(&out, CTSEG_EXPORT_FREQ, e->freq);
    ctseg_record_cstr(&out, CTSEG_EXPORT_RANGE, e->range);
    ctseg_record_cstr(&out, CTSEG_EXPORT_FROM, e->from);
    ctseg_record_cstr(&out, CTSEG_EXPORT_TO, e->to);
    ctseg_record_int(&out, CTSEG_EXPORT_FROM_MS, e->from_ms);
    ctseg_record_int(&out, CTSEG_EXPORT_TO_MS, e->to_ms);
    ctseg_record_uint(&out, CTSEG_EXPORT_HOURS, e->every_hours);
    ctseg_record_cstr(&out, CTSEG_EXPORT_START, e->start_date);
    ctseg_record_uint(&out, CTSEG_EXPORT_STATUS, e->status);
    ctseg_record_uint(&out, CTSEG_EXPORT_STOP, e->stop_reason);
    ctseg_record_uint(&out, CTSEG_EXPORT_REVISION, e->revision);
    ctseg_record_uint(&out, CTSEG_EXPORT_RUNS, e->runs);
    ctseg_record_cstr(&out, CTSEG_EXPORT_EXPORTED_ON, e->exported_on);
    ctseg_record_int(&out, CTSEG_EXPORT_CREATED, e->created_ms);
    ctseg_record_int(&out, CTSEG_EXPORT_NEXT_RUN, e->next_run_ms);
    ctseg_record_int(&out, CTSEG_EXPORT_START_MS, e->start_ms);
    ctseg_record_int(&out, CTSEG_EXPORT_COVERED, e->covered_ms);
    ctseg_record_uint(&out, CTSEG_EXPORT_CUT, e->cut);
    ctseg_record_uint(&out, CTSEG_EXPORT_INCARNATION, e->incarnation);
    ctseg_record_int(&out, CTSEG_EXPORT_ENDED, e->ended_ms);
    ctseg_record_uint(&out, CTSEG_EXPORT_TOTALS_RUN, e->totals_run);
    ctseg_record_uint(&out, CTSEG_EXPORT_SENT, e->totals.sent);
    ctseg_record_uint(&out, CTSEG_EXPORT_FILTERED, e->totals.filtered);
    ctseg_record_uint(&out, CTSEG_EXPORT_REJECTED, e->totals.rejected);
    ctseg_state_put_mapping(&out, CTSEG_EXPORT_MAPPING, &e->mapping);
    ctseg_record_end(&out);

    ctseg_state_key(key, "export/%s", e->id);

    return ctseg_state_write(s, key, &out, expect, &e->rev, err);
}


static ctseg_rc_t
ctseg_export_decode(ctseg_record_t *r, const char *key, uint64_t rev,
    ctseg_export_t *e, ctseg_err_t *err)
{
    memset(e, 0, sizeof(ctseg_export_t));

    ctseg_record_get_cstr(r, CTSEG_EXPORT_ID, e->id, sizeof(e->id));
    ctseg_record_get_cstr(r, CTSEG_EXPORT_PARTNER, e->partner_id,
                          sizeof(e->partner_id));
    e->type = ctseg_state_get_range(r, CTSEG_EXPORT_TYPE, CTSEG_TYPE_EVENT,
                                    CTSEG_TYPE_PROFILE);

    /* profiles have no set of events */

    e->set = ctseg_state_get_range(r, CTSEG_EXPORT_SET, 0, CTSEG_SET_ALL);
    e->kinds = ctseg_record_get_uint(r, CTSEG_EXPORT_KINDS);
    ctseg_state_get_priority(r, CTSEG_EXPORT_PRIORITY, e->priority,
                             &e->npriority);
    e->freq = ctseg_state_get_range(r, CTSEG_EXPORT_FREQ,
                                    CTSEG_FREQ_ONE_TIME, CTSEG_FREQ_LIVE);
    ctseg_record_get_cstr(r, CTSEG_EXPORT_RANGE, e->range, sizeof(e->range));
    ctseg_record_get_cstr(r, CTSEG_EXPORT_FROM, e->from, sizeof(e->from));
    ctseg_record_get_cstr(r, CTSEG_EXPORT_TO, e->to, sizeof(e->to));
    e->from_ms = ctseg_record_get_int(r, CTSEG_EXPORT_FROM_MS);
    e->to_ms = ctseg_record_get_int(r, CTSEG_EXPORT_TO_MS);
    e->every_hours = ctseg_state_get_range(r, CTSEG_EXPORT_HOURS, 0,
                                           CTSEG_EXPORT_HOURS_MAX);
    ctseg_record_get_cstr(r, CTSEG_EXPORT_START, e->start_date,
                          sizeof(e->start_date));
    e->status = ctseg_state_get_range(r, CTSEG_EXPORT_STATUS, CTSEG_PENDING,
                                      CTSEG_STOPPED);
    e->stop_reason = ctseg_state_get_range(r, CTSEG_EXPORT_STOP,
                                           CTSEG_STOP_NONE,
                                           CTSEG_STOP_ERRORS);
    e->revision = ctseg_record_get_uint(r, CTSEG_EXPORT_REVISION);
    e->runs = ctseg_record_get_uint(r, CTSEG_EXPORT_RUNS);
    ctseg_record_get_cstr(r, CTSEG_EXPORT_EXPORTED_ON, e->exported_on,
                          sizeof(e->exported_on));
    e->created_ms = ctseg_record_get_int(r, CTSEG_EXPORT_CREATED);
    e->next_run_ms = ctseg_record_get_int(r, CTSEG_EXPORT_NEXT_RUN);
    e->start_ms = ctseg_record_get_int(r, CTSEG_EXPORT_START_MS);
    e->covered_ms = ctseg_record_get_int(r, CTSEG_EXPORT_COVERED);
    e->cut = ctseg_record_get_uint(r, CTSEG_EXPORT_CUT);
    e->incarnation = (uint32_t) ctseg_record_get_uint(r,
                                                   CTSEG_EXPORT_INCARNATION);
    e->ended_ms = ctseg_record_get_int(r, CTSEG_EXPORT_ENDED);
    e->totals_run = ctseg_record_get_uint(r, CTSEG_EXPORT_TOTALS_RUN);
    e->totals.sent = ctseg_record_get_uint(r, CTSEG_EXPORT_SENT);
    e->totals.filtered = ctseg_record_get_uint(r, CTSEG_EXPORT_FILTERED);
    e->totals.rejected = ctseg_record_get_uint(r, CTSEG_EXPORT_REJECTED);
    ctseg_state_get_mapping(r, CTSEG_EXPORT_MAPPING, &e->mapping);
    e->rev = rev;

    if (strcmp(key + sizeof("export/") - 1, e->id) != 0) {
        r->rc = CTSEG_CORRUPT;
    }

    return ctseg_state_err(err, r->rc, key);
}


ctseg_rc_t
ctseg_export_get(ctseg_store_t *s, ctseg_str_t id, ctseg_export_t *e,
    ctseg_err_t *err)
{
    char            key[CTSEG_STATE_KEY_MAX];
    uint64_t        rev;
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  r;

    if (!ctseg_id_is_valid(id)) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such export");
    }

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_state_key(key, "export/%.*s", (int) id.len, id.data);

    rc = ctseg_state_read(s, key, CTSEG_RECORD_EXPORT, &buf, &r, &rev, err);

    if (rc == CTSEG_OK) {
        rc = ctseg_export_decode(&r, key, rev, e, err);
    }

    ctseg_buf_free(&buf);

    return rc;
}


ctseg_rc_t
ctseg_export_put(ctseg_store_t *s, ctseg_export_t *e, ctseg_err_t *err)
{
    /* a put that expects nothing would create it behind create's back */

    if (e->rev == 0 || !ctseg_id_is_valid(ctseg_str(e->id))) {
        return ctseg_err(err, CTSEG_INVALID, "the export was never stored");
    }

    return ctseg_export_write(s, e, e->rev, err);
}


/* ---- active ---- */

static ctseg_rc_t
ctseg_active_put(ctseg_store_t *s, const char *export_id, ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_ACTIVE);
    ctseg_record_cstr(&out, CTSEG_ACTIVE_ID, export_id);
    ctseg_record_end(&out);

    ctseg_state_key(key, "active/%s", export_id);

    return ctseg_state_write(s, key, &out, 0, NULL, err);
}


/* the entry is a hint: its revision is asked for just before */

ctseg_rc_t
ctseg_active_remove(ctseg_store_t *s, const char *export_id,
    ctseg_err_t *err)
{
    char         key[CTSEG_STATE_KEY_MAX];
    uint64_t     rev;
    ctseg_rc_t   rc;
    ctseg_buf_t  buf;

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_state_key(key, "active/%s", export_id);

    rc = ctseg_store_get(s, ctseg_str(key),
                         ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS, &buf,
                         &rev);
    ctseg_buf_free(&buf);

    if (rc == CTSEG_NOTFOUND) {
        return CTSEG_OK;
    }

    if (rc != CTSEG_OK) {
        return ctseg_state_err(err, rc, key);
    }

    rc = ctseg_state_remove(s, key, rev, err);

    /* somebody else has removed it meanwhile: entries are never changed */

    return rc == CTSEG_CONFLICT ? CTSEG_OK : rc;
}


/* an id begins with the time of its creation */

static int64_t
ctseg_active_age(const char *export_id, int64_t now_ms)
{
    char  text[13];

    memcpy(text, export_id, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';

    return now_ms - (int64_t) strtoull(text, NULL, 16);
}


typedef struct {
    ctseg_store_t    *store;
    ctseg_active_pt   cb;
    void             *data;
    int64_t           now_ms;
} ctseg_active_walk_t;


static ctseg_rc_t
ctseg_active_each(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    char                  export_key[CTSEG_STATE_KEY_MAX];
    const char           *id;
    ctseg_rc_t            rc;
    ctseg_buf_t           buf;
    ctseg_active_walk_t  *walk;

    walk = data;
    id = key + sizeof("active/") - 1;

    /*
     * The key says all.  What is wrong with one entry must not hide the
     * others from the scheduler, so neither key nor value is an error here.
     */

    (void) value;

    if (!ctseg_id_is_valid(ctseg_str(id))) {
        return CTSEG_OK;
    }

    memset(&buf, 0, sizeof(ctseg_buf_t));
    ctseg_state_key(export_key, "export/%s", id);

    rc = ctseg_store_get(walk->store, ctseg_str(export_key),
                         ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS, &buf,
                         NULL);
    ctseg_buf_free(&buf);

    if (rc == CTSEG_OK) {
        return walk->cb(walk->data, id) ? CTSEG_OK : CTSEG_AGAIN;
    }

    if (rc != CTSEG_NOTFOUND) {
        return ctseg_state_err(err, rc, export_key);
    }

    /*
     * An entry without export: its creator is between two puts (the put to
     * come moves the revision, so the caller looks again), or broke off.
     */

    if (ctseg_active_age(id, walk->now_ms) > CTSEG_STATE_STALE_MS) {
        (void) ctseg_state_remove(walk->store, key, rev, NULL);
    }

    return CTSEG_OK;
}


ctseg_rc_t
ctseg_active_list(ctseg_store_t *s, ctseg_active_pt cb, void *data,
    uint64_t *at_rev, ctseg_err_t *err)
{
    ctseg_active_walk_t  walk;

    walk.store = s;
    walk.cb = cb;
    walk.data = data;
    walk.now_ms = ctseg_now_ms();

    return ctseg_state_each(s, "active/", ctseg_active_each, &walk, at_rev,
                            err);
}


/* ---- changes ---- */

/* OK: it is there and stays */

static ctseg_rc_t
ctseg_export_partner(ctseg_store_t *s, const char *partner_id,
    ctseg_err_t *err)
{
    ctseg_rc_t       rc;
    ctseg_partner_t  p;

    rc = ctseg_partner_get(s, ctseg_str(partner_id), &p, err);

    if (rc == CTSEG_NOTFOUND || (rc == CTSEG_OK && p.deleting)) {
        return ctseg_err(err, CTSEG_NOTFOUND, "no such partner");
    }

    return rc;
}


/*
 * Entry, then export, then a second look at the partner: a delete marks the
 * partner before it looks for exports, so one of the two sees the other.  A
 * crash after the entry leaves a hint to nothing (active_list removes it); a
 * crash before the second look leaves an export that the delete has seen or
 * that runs into a missing partner, which a run reports.
 */

ctseg_rc_t
ctseg_export_create(ctseg_store_t *s, ctseg_export_t *e, int64_t now_ms,
    ctseg_err_t *err)
{
    char        key[CTSEG_STATE_KEY_MAX];
    ctseg_rc_t  rc;

    rc = ctseg_export_partner(s, e->partner_id, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    ctseg_id_new(e->id, now_ms);
    e->rev = 0;

    rc = ctseg_active_put(s, e->id, err);

    if (rc != CTSEG_OK) {
        return rc == CTSEG_CONFLICT
               ? ctseg_err(err, CTSEG_AGAIN, "the id is taken") : rc;
    }

    rc = ctseg_export_write(s, e, 0, err);

    if (rc != CTSEG_OK) {

        if (rc != CTSEG_AMBIGUOUS) {
            (void) ctseg_active_remove(s, e->id, NULL);
        }

        return rc == CTSEG_CONFLICT
               ? ctseg_err(err, CTSEG_AGAIN, "the id is taken") : rc;
    }

    rc = ctseg_export_partner(s, e->partner_id, err);

    if (rc != CTSEG_NOTFOUND) {

        /* stored, and an unreadable partner now is not this call's matter */

        return CTSEG_OK;
    }

    ctseg_state_key(key, "export/%s", e->id);

    if (ctseg_state_remove(s, key, e->rev, NULL) == CTSEG_OK) {
        (void) ctseg_active_remove(s, e->id, NULL);
    }

    return rc;
}


ctseg_rc_t
ctseg_export_stop(ctseg_store_t *s, ctseg_str_t id, ctseg_stop_t reason,
    ctseg_export_t *e, ctseg_err_t *err)
{
    unsigned        n;
    ctseg_rc_t      rc;
    ctseg_status_t  status;

    for (n = 0; n < CTSEG_STATE_TRIES; n++) {
        rc = ctseg_export_get(s, id, e, err);

        if (rc != CTSEG_OK) {
            return rc;
        }

        status = ctseg_export_step(e->freq, e->status, CTSEG_ON_STOP);

        if (status == 0) {
            return ctseg_err(err, CTSEG_CONFLICT, "the export is %s",
                             ctseg_status_name(e->status));
        }

        e->status = status;
        e->stop_reason = reason;
        e->next_run_ms = 0;
        e->ended_ms = ctseg_now_ms();

        rc = ctseg_export_write(s, e, e->rev, err);

        if (rc != CTSEG_CONFLICT) {
            return rc;
        }
    }

    return ctseg_err(err, CTSEG_AGAIN, "the export changes all the time");
}


typedef struct {
    ctseg_export_pt  cb;
    void            *data;
} ctseg_export_walk_t;


static ctseg_rc_t
ctseg_export_each(void *data, const char *key, ctseg_str_t value,
    uint64_t rev, ctseg_err_t *err)
{
    ctseg_rc_t            rc;
    ctseg_export_t        e;
    ctseg_record_t        r;
    ctseg_export_walk_t  *walk;

    walk = data;

    (void) ctseg_record_open(&r, value, CTSEG_RECORD_EXPORT);
    rc = ctseg_export_decode(&r, key, rev, &e, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    return walk->cb(walk->data, &e) ? CTSEG_OK : CTSEG_AGAIN;
}


ctseg_rc_t
ctseg_export_list(ctseg_store_t *s, ctseg_export_pt cb, void *data,
    ctseg_err_t *err)
{
    ctseg_export_walk_t  walk;

    walk.cb = cb;
    walk.data = data;

    return ctseg_state_each(s, "export/", ctseg_export_each, &walk, NULL,
                            err);
}
