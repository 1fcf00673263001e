/*
 * Records of the state store, whatever they say.  One that reads keeps the
 * bounds its readers rely on, is shown as JSON, and is written and read
 * again as it was; anything else is CORRUPT and names its key.  A word for
 * the type, then a field in each line, "tag kind value" with the kinds u, i
 * and s, written with a right checksum; after the word "raw" the bytes of a
 * record themselves, its checksum set right.
 */

#include <inttypes.h>

#include "base/ctseg_crc32c.h"
#include "model/ctseg_run.h"
#include "store/ctseg_lease.h"
#include "store/ctseg_record.h"
#include "store/ctseg_state_import.h"
#include "fuzz.h"
#include "fuzz_store.h"


#define ID    "0193b4c5d6e7f8091a2b"
#define NICK  "090d17bab4cd7ece"      /* the hash of "nick" */
#define NOW   1767225600000LL


typedef struct {
    const char           *word;
    const char           *key;
    ctseg_record_type_t   type;
    void                (*check)(fuzz_store_t *fs, ctseg_store_t *s,
                                 const char *key);
} kind_t;


static void
check_corrupt(ctseg_rc_t rc, const ctseg_err_t *err, const char *key)
{
    fuzz_check(rc == CTSEG_CORRUPT);
    fuzz_check(fuzz_has(err->text, key));
}


/* the record that is written now is the last of its kind: it stays */

static void
keep(const fuzz_store_t *fs, const char *key, ctseg_buf_t *bytes)
{
    ctseg_buf_reset(bytes);
    ctseg_buf_str(bytes, fuzz_store_bytes(fs, key));
    fuzz_check(!bytes->failed);
}


static void
check_export(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    ctseg_rc_t           rc;
    ctseg_buf_t          out = { NULL, 0, 0, false };
    ctseg_err_t          err;
    ctseg_export_t       e, again;
    ctseg_limits_t       limits = { 100, 1000 };
    ctseg_json_writer_t  w = { .buf = &out, .comma = false };

    rc = ctseg_export_get(s, ctseg_str(ID), &e, &err);

    if (rc != CTSEG_OK) {
        check_corrupt(rc, &err, key);
        return;
    }

    fuzz_check(e.npriority <= CTSEG_PRIORITY_MAX);
    fuzz_check(ctseg_status_name(e.status) != NULL);
    fuzz_check(ctseg_freq_name(e.freq) != NULL);
    fuzz_check(ctseg_type_name(e.type) != NULL);

    ctseg_export_render(&w, NULL, &e, NULL, &limits, NOW);
    fuzz_check(!out.failed);

    /* texts are as they were stored, so that one of them may be no UTF-8 */

    if (fuzz_utf8(ctseg_buf_slice(&out)) == out.len) {
        fuzz_check_json(&out);
    }

    fuzz_check(ctseg_export_put(s, &e, NULL) == CTSEG_OK);
    fuzz_check(ctseg_export_get(s, ctseg_str(ID), &again, NULL) == CTSEG_OK);
    fuzz_check(memcmp(&e, &again, sizeof(ctseg_export_t)) == 0);

    keep(fs, key, &out);
    fuzz_check(ctseg_export_put(s, &again, NULL) == CTSEG_OK);
    fuzz_check(ctseg_str_eq(ctseg_buf_slice(&out),
                            fuzz_store_bytes(fs, key)));
    ctseg_buf_free(&out);
}


static void
check_run_shown(const ctseg_run_t *run)
{
    double               eta;
    ctseg_buf_t          out = { NULL, 0, 0, false };
    ctseg_limits_t       limits = { 100, 1000 };
    ctseg_export_t       e;
    ctseg_json_writer_t  w = { .buf = &out, .comma = false };

    memset(&e, 0, sizeof(ctseg_export_t));
    e.type = CTSEG_TYPE_EVENT;
    e.set = CTSEG_SET_SYSTEM;
    e.freq = CTSEG_FREQ_LIVE;
    e.status = CTSEG_RUNNING;

    eta = ctseg_run_eta(run, &limits, NOW);
    fuzz_check(eta >= 0 || (eta > -1.5 && eta < -0.5));

    ctseg_export_render(&w, NULL, &e, run, &limits, NOW);
    fuzz_check(!out.failed);

    if (fuzz_utf8(ctseg_buf_slice(&out)) == out.len) {
        fuzz_check_json(&out);
    }

    ctseg_buf_free(&out);
}


static bool
count_cb(void *data, const ctseg_run_t *run)
{
    fuzz_check(run->number == 7);
    (*(unsigned *) data)++;

    return true;
}


static void
check_run(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    unsigned     n;
    ctseg_rc_t   rc;
    ctseg_buf_t  out = { NULL, 0, 0, false };
    ctseg_err_t  err;
    ctseg_run_t  run, again;

    /* a list passes over what does not read, and says so */

    n = 0;
    memset(&err, 0, sizeof(ctseg_err_t));
    fuzz_check(ctseg_run_list(s, ID, count_cb, &n, &err) == CTSEG_OK);
    fuzz_check((err.code == CTSEG_CORRUPT) == (n == 0));

    rc = n == 1 ? CTSEG_OK : CTSEG_CORRUPT;
    fuzz_check(ctseg_run_get(s, ID, 7, &run, &err) == rc);

    if (rc != CTSEG_OK) {
        check_corrupt(rc, &err, key);
        return;
    }

    fuzz_check(run.lo <= run.cursor && run.cursor <= run.hi);
    fuzz_check(ctseg_run_status_name(run.status) != NULL);
    fuzz_check(run.pinned.npriority <= CTSEG_PRIORITY_MAX);
    check_run_shown(&run);

    fuzz_check(ctseg_run_put(s, &run, NULL) == CTSEG_OK);
    fuzz_check(ctseg_run_get(s, ID, 7, &again, NULL) == CTSEG_OK);
    fuzz_check(memcmp(&run, &again, sizeof(ctseg_run_t)) == 0);

    keep(fs, key, &out);
    fuzz_check(ctseg_run_put(s, &again, NULL) == CTSEG_OK);
    fuzz_check(ctseg_str_eq(ctseg_buf_slice(&out),
                            fuzz_store_bytes(fs, key)));
    ctseg_buf_free(&out);
}


static void
check_partner(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    ctseg_rc_t           rc;
    ctseg_buf_t          out = { NULL, 0, 0, false };
    ctseg_err_t          err;
    ctseg_partner_t      p, old, again;
    ctseg_json_writer_t  w = { .buf = &out, .comma = false };

    (void) fs;

    rc = ctseg_partner_get(s, ctseg_str(ID), &p, &err);

    if (rc != CTSEG_OK) {
        check_corrupt(rc, &err, key);
        return;
    }

    fuzz_check((unsigned) p.region < CTSEG_REGION_N);
    ctseg_partner_render(&w, &p, NULL);
    fuzz_check(!out.failed);

    if (fuzz_utf8(ctseg_buf_slice(&out)) == out.len) {
        fuzz_check_json(&out);
    }

    old = p;
    fuzz_check(ctseg_partner_update(s, &p, &old, NOW, NULL) == CTSEG_OK);
    fuzz_check(p.revision == old.revision + 1 && p.updated_ms == NOW);
    fuzz_check(ctseg_partner_get(s, ctseg_str(ID), &again, NULL)
               == CTSEG_OK);
    fuzz_check(memcmp(&p, &again, sizeof(ctseg_partner_t)) == 0);

    ctseg_buf_free(&out);
}


static void
check_reply(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    uint64_t       rev;
    ctseg_rc_t     rc;
    ctseg_err_t    err;
    ctseg_reply_t  reply;

    memset(&reply, 0, sizeof(ctseg_reply_t));
    (void) snprintf(reply.key, sizeof(reply.key), "%s", ID);
    reply.request = 42;
    rev = fs->revision;

    rc = ctseg_reply_claim(s, &reply, NOW, &err);

    switch (rc) {

    case CTSEG_OK:
        fuzz_check(fs->revision > rev);
        fuzz_check(reply.request == 42 && reply.status == 0);
        reply.status = 201;
        ctseg_buf_cstr(&reply.body, "{}");
        fuzz_check(ctseg_reply_fill(s, &reply, NULL) == CTSEG_OK);
        fuzz_check(ctseg_reply_claim(s, &reply, NOW, NULL)
                   == CTSEG_CONFLICT);
        fuzz_check(reply.status == 201 && reply.request == 42);
        break;

    case CTSEG_CONFLICT:
        fuzz_check(fs->revision == rev);
        fuzz_check(reply.status <= 599);
        fuzz_check(reply.at_ms >= NOW - CTSEG_DAY_MS);
        break;

    default:
        check_corrupt(rc, &err, key);
    }

    ctseg_buf_free(&reply.body);
}


/* a nickname is taken, or free because its claim is old and counts for
   nothing; who gets it is the only one */

static void
check_nickname(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    ctseg_rc_t       rc;
    ctseg_err_t      err;
    ctseg_partner_t  p, again;

    (void) fs;

    memset(&p, 0, sizeof(ctseg_partner_t));
    memcpy(p.nickname, "nick", 5);
    memcpy(p.write_key, "key", 4);

    rc = ctseg_partner_create(s, &p, NOW, &err);

    switch (rc) {

    case CTSEG_OK:
        fuzz_check(ctseg_partner_get(s, ctseg_str(p.id), &again, NULL)
                   == CTSEG_OK);
        fuzz_check(strcmp(again.nickname, "nick") == 0);

        again = p;
        fuzz_check(ctseg_partner_create(s, &again, NOW + 99999999, NULL)
                   == CTSEG_CONFLICT);
        fuzz_check(ctseg_partner_delete(s, ctseg_str(p.id), NOW, NULL)
                   == CTSEG_OK);
        fuzz_check(ctseg_partner_get(s, ctseg_str(p.id), &again, NULL)
                   == CTSEG_NOTFOUND);
        break;

    case CTSEG_CONFLICT:
        fuzz_check(strcmp(err.text, "nickname") == 0);
        break;

    default:
        check_corrupt(rc, &err, key);
    }
}


/* whatever a lease says, it is free at the latest when its time is over */

static void
check_lease(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    uint64_t              rev;
    ctseg_rc_t            rc;
    ctseg_record_t        r;
    ctseg_lease_watch_t  *w;

    (void) ctseg_record_open(&r, fuzz_store_bytes(fs, key),
                             CTSEG_RECORD_LEASE);

    w = ctseg_lease_watch_create();
    fuzz_check(w != NULL);

    rc = ctseg_lease_acquire(s, w, key, "me", 1000, 30000, &rev);

    /* one that does not read may be anybody's */

    fuzz_check(r.rc == CTSEG_OK || rc == CTSEG_CONFLICT);

    if (rc == CTSEG_CONFLICT) {
        fuzz_check(ctseg_lease_acquire(s, w, key, "me", 30999, 30000, &rev)
                   == CTSEG_CONFLICT);
        rc = ctseg_lease_acquire(s, w, key, "me", 31000, 30000, &rev);
    }

    fuzz_check(rc == CTSEG_OK);
    fuzz_check(ctseg_lease_acquire(s, w, key, "you", 32000, 30000, &rev)
               == CTSEG_CONFLICT);
    fuzz_check(ctseg_lease_renew(s, key, "me", &rev) == CTSEG_OK);
    fuzz_check(ctseg_lease_release(s, key, rev) == CTSEG_OK);
    fuzz_check(ctseg_lease_acquire(s, w, key, "you", 33000, 30000, &rev)
               == CTSEG_OK);

    ctseg_lease_watch_destroy(w);
}


/* whatever it says, a request makes something of it that goes on */

static void
check_retry(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    ctseg_rc_t           rc;
    ctseg_buf_t          out = { NULL, 0, 0, false };
    ctseg_err_t          err;
    ctseg_retry_t        retry, again;
    ctseg_json_writer_t  w = { .buf = &out, .comma = false };

    rc = ctseg_retry_get(s, ID, &retry, &err);

    if (rc != CTSEG_OK) {
        check_corrupt(rc, &err, key);
        return;
    }

    fuzz_check(strcmp(retry.export_id, ID) == 0);
    fuzz_check(retry.state >= CTSEG_RETRY_RUNNING
               && retry.state <= CTSEG_RETRY_FAILED);

    ctseg_retry_render(&w, NULL, &retry, 3);
    fuzz_check(!out.failed);

    if (fuzz_utf8(ctseg_buf_slice(&out)) == out.len) {
        fuzz_check_json(&out);
    }

    fuzz_check(ctseg_retry_put(s, &retry, NULL) == CTSEG_OK);
    fuzz_check(ctseg_retry_get(s, ID, &again, NULL) == CTSEG_OK);
    fuzz_check(memcmp(&retry, &again, sizeof(ctseg_retry_t)) == 0);

    keep(fs, key, &out);
    fuzz_check(ctseg_retry_put(s, &again, NULL) == CTSEG_OK);
    fuzz_check(ctseg_str_eq(ctseg_buf_slice(&out),
                            fuzz_store_bytes(fs, key)));

    fuzz_check(ctseg_retry_request(s, ID, NOW, &again, NULL) == CTSEG_OK);
    fuzz_check(again.hi >= again.cursor && again.again == again.cursor);
    fuzz_check(again.delivered == retry.delivered);
    fuzz_check(again.state != CTSEG_RETRY_FAILED);

    ctseg_buf_free(&out);
}


/* what Segment asked for: never a wait that nobody asked for, and a damaged
   one is healed by the next */

static void
check_throttle(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    int64_t      wait, later;
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    (void) fs;

    rc = ctseg_throttle_get(s, "0123456789abcdef", NOW, &wait, &err);

    if (rc != CTSEG_OK) {
        check_corrupt(rc, &err, key);
        fuzz_check(wait == 0);
    }

    fuzz_check(wait >= 0);

    fuzz_check(ctseg_throttle_put(s, "0123456789abcdef", NOW, 5000, NULL)
               == CTSEG_OK);
    fuzz_check(ctseg_throttle_get(s, "0123456789abcdef", NOW, &later, NULL)
               == CTSEG_OK);
    fuzz_check(later == (wait > 5000 ? wait : 5000));
    fuzz_check(ctseg_throttle_get(s, "0123456789abcdef", NOW + 1000, &wait,
                                  NULL) == CTSEG_OK);
    fuzz_check(wait == later - 1000);
}


/* told of once in an hour, whatever was stored, also by a clock ahead */

static void
check_alarm(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    uint64_t     rev;
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    (void) key;

    rev = fs->revision;
    rc = ctseg_alarm_claim(s, "x", NOW, 3600000, &err);
    fuzz_check(rc == CTSEG_OK || rc == CTSEG_CONFLICT);
    fuzz_check((fs->revision > rev) == (rc == CTSEG_OK));

    if (rc == CTSEG_OK) {
        fuzz_check(ctseg_alarm_claim(s, "x", NOW + 3599999, 3600000, NULL)
                   == CTSEG_CONFLICT);
    }

    fuzz_check(ctseg_alarm_claim(s, "x", NOW + 3600000, 3600000, NULL)
               == CTSEG_OK);
}


static bool
reject_cb(void *data, const ctseg_rejected_t *r)
{
    ctseg_buf_t          out = { NULL, 0, 0, false };
    ctseg_json_writer_t  w = { .buf = &out, .comma = false };

    (*(unsigned *) data)++;

    fuzz_check(ctseg_reject_name(r->reason) != NULL);
    fuzz_check(strcmp(r->export_id, ID) == 0);

    /* its texts are as they were stored */

    ctseg_rejected_render(&w, NULL, r);
    fuzz_check(!out.failed);

    if (fuzz_utf8(ctseg_buf_slice(&out)) == out.len
        && fuzz_is_json(r->message, 32))
    {
        fuzz_check_json(&out);
    }

    ctseg_buf_free(&out);

    return true;
}


static void
check_rejected(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    unsigned          n;
    ctseg_rc_t        rc;
    ctseg_buf_t       buf = { NULL, 0, 0, false };
    ctseg_buf_t       other = { NULL, 0, 0, false };
    ctseg_err_t       err;
    ctseg_rejected_t  rejected, again;

    n = 0;
    memset(&err, 0, sizeof(ctseg_err_t));
    fuzz_check(ctseg_rejected_list(s, ID, reject_cb, &n, &err) == CTSEG_OK);
    fuzz_check((err.code == CTSEG_CORRUPT) == (n == 0));

    rc = ctseg_rejected_get(s, ID, 7, &buf, &rejected, &err);
    fuzz_check(rc == (n == 1 ? CTSEG_OK : CTSEG_CORRUPT));

    if (rc != CTSEG_OK) {
        check_corrupt(rc, &err, key);

    } else {
        /* written elsewhere and read again */

        again = rejected;
        again.sequence = 9;
        fuzz_check(ctseg_rejected_put(s, &again, NULL) == CTSEG_OK);
        fuzz_check(ctseg_rejected_put(s, &again, NULL) == CTSEG_OK);

        fuzz_check(ctseg_rejected_get(s, ID, 9, &other, &again, NULL)
                   == CTSEG_OK);
        fuzz_check(again.sequence == 9 && again.run == rejected.run);
        fuzz_check(again.reason == rejected.reason);
        fuzz_check(again.status == rejected.status);
        fuzz_check(again.at_ms == rejected.at_ms);
        fuzz_check(ctseg_str_eq(again.answer, rejected.answer));
        fuzz_check(ctseg_str_eq(again.message, rejected.message));
        ctseg_buf_free(&other);
    }

    ctseg_buf_free(&buf);

    /* all of it is forgotten, damaged or not */

    fuzz_check(ctseg_rejected_purge(s, ID, NULL) == CTSEG_OK);
    fuzz_check(fuzz_store_find(fs, ctseg_str(key)) == -1);
}


static void
check_import(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    size_t               sum;
    unsigned             i;
    ctseg_rc_t           rc;
    ctseg_buf_t          out = { NULL, 0, 0, false };
    ctseg_err_t          err;
    ctseg_import_t       im, again;
    ctseg_json_writer_t  w = { .buf = &out, .comma = false };

    memset(&im, 0, sizeof(ctseg_import_t));
    rc = ctseg_import_get(s, ctseg_str(ID), &im, &err);

    if (rc != CTSEG_OK) {
        ctseg_import_free(&im);
        check_corrupt(rc, &err, key);
        return;
    }

    fuzz_check(im.nnames >= 1 && im.nnames <= CTSEG_IMPORT_NAMES_MAX);
    fuzz_check(im.name <= im.nnames);
    fuzz_check(im.cursor.len <= CTSEG_IMPORT_CURSOR_MAX);
    fuzz_check(ctseg_status_name(im.status) != NULL);
    fuzz_check(ctseg_import_percent(&im) <= 100);

    for (i = 0, sum = 0; i < im.nnames; i++) {
        sum += ctseg_import_name(&im, i).len + 1;
    }

    fuzz_check(sum == im.names.len);

    /* names and errors are JSON already when they are stored */

    ctseg_import_render(&w, NULL, &im);
    fuzz_check(!out.failed);

    fuzz_check(ctseg_import_put(s, &im, NULL) == CTSEG_OK);
    keep(fs, key, &out);

    memset(&again, 0, sizeof(ctseg_import_t));
    fuzz_check(ctseg_import_get(s, ctseg_str(ID), &again, NULL) == CTSEG_OK);
    fuzz_check(ctseg_import_put(s, &again, NULL) == CTSEG_OK);
    fuzz_check(ctseg_str_eq(ctseg_buf_slice(&out),
                            fuzz_store_bytes(fs, key)));

    ctseg_import_free(&im);
    ctseg_import_free(&again);
    ctseg_buf_free(&out);
}


static void
known_cb(void *data, uint64_t sequence)
{
    (void) sequence;
    (*(unsigned *) data)++;
}


static void
check_imported(fuzz_store_t *fs, ctseg_store_t *s, const char *key)
{
    unsigned     n;
    uint64_t     known = 7;
    ctseg_err_t  err;

    (void) fs;

    n = 0;
    memset(&err, 0, sizeof(ctseg_err_t));
    fuzz_check(ctseg_imported_list(s, ID, 8, known_cb, &n, &err) == CTSEG_OK);
    fuzz_check(err.code == CTSEG_OK || (err.code == CTSEG_CORRUPT && n == 0
                                        && fuzz_has(err.text, key)));

    /* whatever it was, it can be put again */

    fuzz_check(ctseg_imported_put(s, ID, 7, &known, 1, NULL) == CTSEG_OK);
    n = 0;
    fuzz_check(ctseg_imported_list(s, ID, 8, known_cb, &n, &err) == CTSEG_OK);
    fuzz_check(n == 1 && err.code == CTSEG_OK);
}


static const kind_t  kinds[] = {
    { "export", "export/" ID, CTSEG_RECORD_EXPORT, check_export },
    { "run", "run/" ID "/0000000000000007", CTSEG_RECORD_RUN, check_run },
    { "partner", "partner/" ID, CTSEG_RECORD_PARTNER, check_partner },
    { "reply", "reply/" ID, CTSEG_RECORD_REPLY, check_reply },
    { "nickname", "nickname/" NICK, CTSEG_RECORD_NICKNAME, check_nickname },
    { "lease", "lease/x", CTSEG_RECORD_LEASE, check_lease },
    { "retry", "retry/" ID, CTSEG_RECORD_RETRY, check_retry },
    { "throttle", "throttle/0123456789abcdef", CTSEG_RECORD_THROTTLE,
      check_throttle },
    { "alarm", "alarm/x", CTSEG_RECORD_ALARM, check_alarm },
    { "rejected", "rejected/" ID "/0000000000000007", CTSEG_RECORD_REJECTED,
      check_rejected },
    { "import", "import/" ID, CTSEG_RECORD_IMPORT, check_import },
    { "imported", "imported/" ID "/00000007", CTSEG_RECORD_IMPORTED,
      check_imported }
};


/* ---- the input as a record ---- */

static void
write_field(ctseg_buf_t *out, ctseg_str_t line)
{
    bool         ok;
    int64_t      tag, number;
    ctseg_str_t  text, kind;

    text = fuzz_until(&line, " ");
    kind = fuzz_until(&line, " ");

    if (!ctseg_str_int64(text, &tag) || kind.len != 1) {
        return;
    }

    ok = ctseg_str_int64(line, &number);

    switch (kind.data[0]) {

    case 's':
        ctseg_record_bytes(out, (uint8_t) tag, line);
        break;

    case 'i':
        ctseg_record_int(out, (uint8_t) tag, ok ? number : INT64_MAX);
        break;

    default:
        ctseg_record_uint(out, (uint8_t) tag,
                          ok ? (uint64_t) number : UINT64_MAX);
    }
}


/* any bytes, read as each type by every getter */

static void
check_raw(ctseg_str_t in)
{
    int             type, tag;
    char            text[40];
    ctseg_str_t     s;
    ctseg_record_t  r;

    for (type = 0; type < 16; type++) {

        for (tag = 0; tag < 512; tag++) {
            if (tag % 16 == 0) {
                (void) ctseg_record_open(&r, in, (ctseg_record_type_t) type);

                if (r.rc != CTSEG_OK) {
                    break;
                }
            }

            s = ctseg_record_get_bytes(&r, (uint8_t) tag);
            fuzz_check(s.len <= in.len);
            (void) ctseg_record_get_uint(&r, (uint8_t) tag);
            (void) ctseg_record_get_int(&r, (uint8_t) (tag + 1));
            ctseg_record_get_cstr(&r, (uint8_t) (tag - 1), text,
                                  sizeof(text));
            fuzz_check(memchr(text, '\0', sizeof(text)) != NULL);
        }
    }
}


static void
store_raw(ctseg_buf_t *out, ctseg_str_t in)
{
    unsigned  i;
    uint32_t  crc;

    ctseg_buf_str(out, in);

    if (in.len >= 6) {
        crc = ctseg_crc32c(0, out->data, out->len - 4);

        for (i = 0; i < 4; i++) {
            out->data[out->len - 4 + i] = (char) (crc >> (8 * i));
        }
    }

    check_raw(ctseg_buf_slice(out));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t        rev;
    unsigned        i;
    ctseg_str_t     in, word;
    ctseg_buf_t     out = { NULL, 0, 0, false };
    fuzz_store_t    fs;
    ctseg_store_t  *s;

    in = fuzz_str(data, size);
    word = fuzz_line(&in);
    check_raw(in);

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {

        if (ctseg_str_is(word, "raw")) {
            ctseg_buf_reset(&out);
            store_raw(&out, in);

        } else if (ctseg_str_is(word, kinds[i].word)) {
            ctseg_record_begin(&out, kinds[i].type);

            while (in.len != 0) {
                write_field(&out, fuzz_line(&in));
            }

            ctseg_record_end(&out);

        } else {
            continue;
        }

        s = fuzz_store_make(&fs);
        (void) fuzz_store_put(s, ctseg_str(kinds[i].key),
                              ctseg_buf_slice(&out), 0, 0, &rev);
        kinds[i].check(&fs, s, kinds[i].key);
        fuzz_store_free(&fs);
    }

    ctseg_buf_free(&out);

    return 0;
}
