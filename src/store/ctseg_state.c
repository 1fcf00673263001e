/*
 * Ids, and the steps that every typed record is made of: read one, write
 * one, walk a prefix.  Called by ctseg_state_*.c, from pool threads.  It
 * keeps no state of its own and knows no record's fields but the two kinds
 * that several share; it never loops over a damaged record, it names it.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "ctseg_state_int.h"
#include "../base/ctseg_str.h"


#define CTSEG_ID_LEN      20
#define CTSEG_ID_TIME     12
#define CTSEG_STATE_PAGE  128           /* records copied per transaction */


void
ctseg_id_new(char out[CTSEG_ID_TEXT_MAX], int64_t now_ms)
{
    uint32_t  chance;

    if (getrandom(&chance, sizeof(chance), 0) != (ssize_t) sizeof(chance)) {

        /* as good as unique: a put that expects nothing finds a clash */

        chance = (uint32_t) (ctseg_mono_ms() * 2654435761LL)
                 ^ (uint32_t) (uintptr_t) &chance;
    }

    (void) snprintf(out, CTSEG_ID_TEXT_MAX, "%012llx%08x",
                    (unsigned long long) now_ms & 0xffffffffffffULL, chance);
}


bool
ctseg_id_is_valid(ctseg_str_t id)
{
    char    c;
    size_t  i;

    if (id.len != CTSEG_ID_LEN) {
        return false;
    }

    for (i = 0; i < id.len; i++) {
        c = id.data[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }

    return true;
}


void
ctseg_state_key(char out[CTSEG_STATE_KEY_MAX], const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(out, CTSEG_STATE_KEY_MAX, fmt, args);
    va_end(args);
}


ctseg_rc_t
ctseg_state_err(ctseg_err_t *err, ctseg_rc_t rc, const char *key)
{
    switch (rc) {

    case CTSEG_OK:
        return rc;

    case CTSEG_CORRUPT:
        return ctseg_err(err, rc, "record %s is damaged", key);

    case CTSEG_FATAL:
        return ctseg_err(err, rc, "record %s: writing to the store has "
                         "stopped", key);

    case CTSEG_FULL:
        return ctseg_err(err, rc, "record %s: the store is full", key);

    default:
        return ctseg_err(err, rc, "record %s: %s", key, ctseg_rc_name(rc));
    }
}


ctseg_rc_t
ctseg_state_read(ctseg_store_t *s, const char *key, ctseg_record_type_t type,
    ctseg_buf_t *buf, ctseg_record_t *r, uint64_t *rev, ctseg_err_t *err)
{
    ctseg_rc_t  rc;

    ctseg_buf_reset(buf);

    rc = ctseg_store_get(s, ctseg_str(key),
                         ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS, buf, rev);

    if (rc == CTSEG_OK) {
        rc = ctseg_record_open(r, ctseg_buf_slice(buf), type);
    }

    return ctseg_state_err(err, rc, key);
}


/* a put may have been applied: what does the record say now? */

static ctseg_rc_t
ctseg_state_settle(ctseg_store_t *s, const char *key, ctseg_str_t value,
    uint64_t expect, uint64_t *rev)
{
    bool         same;
    uint64_t     now;
    ctseg_rc_t   rc;
    ctseg_buf_t  buf;

    memset(&buf, 0, sizeof(ctseg_buf_t));

    rc = ctseg_store_get(s, ctseg_str(key),
                         ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS, &buf,
                         &now);

    if (rc == CTSEG_NOTFOUND) {
        now = 0;

    } else if (rc != CTSEG_OK) {
        ctseg_buf_free(&buf);
        return CTSEG_AMBIGUOUS;
    }

    same = (value.data == NULL)
           ? now == 0
           : now != 0 && ctseg_str_eq(ctseg_buf_slice(&buf), value);

    ctseg_buf_free(&buf);

    if (now == expect) {
        return CTSEG_RETRY;
    }

    if (same) {
        *rev = now;
        return CTSEG_OK;
    }

    return CTSEG_CONFLICT;
}


ctseg_rc_t
ctseg_state_write(ctseg_store_t *s, const char *key, ctseg_buf_t *buf,
    uint64_t expect, uint64_t *rev, ctseg_err_t *err)
{
    uint64_t     now;
    ctseg_rc_t   rc;
    ctseg_str_t  value;

    value.len = 0;
    value.data = NULL;

    if (buf != NULL) {

        if (buf->failed) {
            ctseg_buf_free(buf);
            return ctseg_state_err(err, CTSEG_NOMEM, key);
        }

        value = ctseg_buf_slice(buf);
    }

    now = 0;
    rc = ctseg_store_put(s, ctseg_str(key), value, expect,
                         ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS, &now);

    if (rc == CTSEG_AMBIGUOUS) {
        rc = ctseg_state_settle(s, key, value, expect, &now);
    }

    if (buf != NULL) {
        ctseg_buf_free(buf);
    }

    if (rc == CTSEG_OK && rev != NULL) {
        *rev = now;
    }

    return ctseg_state_err(err, rc, key);
}


ctseg_rc_t
ctseg_state_remove(ctseg_store_t *s, const char *key, uint64_t expect,
    ctseg_err_t *err)
{
    return ctseg_state_write(s, key, NULL, expect, NULL, err);
}


/* ---- pages ---- */

typedef struct {
    uint64_t  rev;
    size_t    key;                      /* offsets: the buffer may move */
    size_t    value;
    size_t    len;
} ctseg_state_item_t;

typedef struct {
    ctseg_buf_t         bytes;
    unsigned            n;
    ctseg_state_item_t  item[CTSEG_STATE_PAGE];
} ctseg_state_page_t;


static ctseg_next_t
ctseg_state_page_cb(void *data, ctseg_str_t key, ctseg_str_t value,
    uint64_t rev)
{
    ctseg_state_item_t  *it;
    ctseg_state_page_t  *page;

    page = data;
    it = &page->item[page->n];

    it->rev = rev;
    it->key = page->bytes.len;
    ctseg_buf_str(&page->bytes, key);
    ctseg_buf_char(&page->bytes, '\0');
    it->value = page->bytes.len;
    it->len = value.len;
    ctseg_buf_str(&page->bytes, value);

    if (page->bytes.failed) {
        return CTSEG_UNTAKEN;
    }

    page->n++;

    return page->n == CTSEG_STATE_PAGE ? CTSEG_ENOUGH : CTSEG_GO_ON;
}


/* the first one is told, the others are counted */

static void
ctseg_state_damage(ctseg_err_t *err, const ctseg_err_t *one)
{
    size_t  n;

    n = err->code == CTSEG_CORRUPT ? err->offset : 0;

    if (n == 0) {
        *err = *one;
        err->code = CTSEG_CORRUPT;
    }

    err->offset = n + 1;
}


static ctseg_rc_t
ctseg_state_page_walk(ctseg_state_page_t *page, ctseg_state_each_pt cb,
    void *data, ctseg_err_t *err)
{
    unsigned             i;
    ctseg_rc_t           rc;
    ctseg_err_t          one;
    ctseg_str_t          value;
    ctseg_state_item_t  *it;

    memset(&one, 0, sizeof(ctseg_err_t));

    for (i = 0; i < page->n; i++) {
        it = &page->item[i];
        value.len = it->len;
        value.data = page->bytes.data + it->value;

        rc = cb(data, page->bytes.data + it->key, value, it->rev, &one);

        if (rc == CTSEG_CORRUPT) {
            ctseg_state_damage(err, &one);

        } else if (rc != CTSEG_OK) {

            if (rc != CTSEG_AGAIN) {
                *err = one;
            }

            return rc;
        }
    }

    return CTSEG_OK;
}


ctseg_rc_t
ctseg_state_each(ctseg_store_t *s, const char *prefix,
    ctseg_state_each_pt cb, void *data, uint64_t *at_rev, ctseg_err_t *err)
{
    char                 after[CTSEG_KEY_MAX + 1];
    bool                 begun;
    uint64_t             rev;
    ctseg_rc_t           rc;
    ctseg_err_t          local;
    ctseg_state_page_t  *page;

    if (err == NULL) {
        err = &local;
    }

    (void) ctseg_err(err, CTSEG_OK, "%s", "");

    page = calloc(1, sizeof(ctseg_state_page_t));

    if (page == NULL) {
        return ctseg_state_err(err, CTSEG_NOMEM, prefix);
    }

    after[0] = '\0';
    begun = false;

    do {
        page->n = 0;
        ctseg_buf_reset(&page->bytes);

        rc = ctseg_store_list(s, ctseg_str(prefix), ctseg_str(after),
                              CTSEG_STATE_PAGE, ctseg_state_page_cb, page,
                              ctseg_mono_ms() + CTSEG_STATE_TIMEOUT_MS,
                              &rev);

        if (rc == CTSEG_OK && page->bytes.failed) {
            rc = CTSEG_NOMEM;
        }

        if (rc != CTSEG_OK) {
            (void) ctseg_state_err(err, rc, prefix);
            break;
        }

        /* the oldest label: what changed since is seen once more, not never */

        if (!begun && at_rev != NULL) {
            *at_rev = rev;
        }

        begun = true;

        if (page->n != 0) {
            (void) snprintf(after, sizeof(after), "%s",
                            page->bytes.data + page->item[page->n - 1].key);
        }

        rc = ctseg_state_page_walk(page, cb, data, err);

    } while (rc == CTSEG_OK && page->n == CTSEG_STATE_PAGE);

    ctseg_buf_free(&page->bytes);
    free(page);

    return rc == CTSEG_AGAIN ? CTSEG_OK : rc;
}


/* ---- fields that several records have ---- */

void
ctseg_state_put_source(ctseg_buf_t *out, uint8_t tag,
    const ctseg_source_t *src)
{
    ctseg_record_int(out, tag, src->field);
    ctseg_record_cstr(out, (uint8_t) (tag + 1), src->property);
}


void
ctseg_state_get_source(ctseg_record_t *r, uint8_t tag, ctseg_source_t *src)
{
    int64_t  field;

    field = ctseg_record_get_int(r, tag);
    ctseg_record_get_cstr(r, (uint8_t) (tag + 1), src->property,
                          sizeof(src->property));

    if (field < -1 || field >= CTSEG_ID_N
        || (field == -1 && src->property[0] == '\0'))
    {
        r->rc = CTSEG_CORRUPT;
        field = 0;
    }

    src->field = (int) field;
}


unsigned
ctseg_state_get_range(ctseg_record_t *r, uint8_t tag, unsigned min,
    unsigned max)
{
    uint64_t  v;

    v = ctseg_record_get_uint(r, tag);

    if (v < min || v > max) {
        r->rc = CTSEG_CORRUPT;
        return min;
    }

    return (unsigned) v;
}


void
ctseg_state_put_priority(ctseg_buf_t *out, uint8_t tag,
    const uint8_t *priority, unsigned n)
{
    ctseg_str_t  s;

    s.len = n;
    s.data = (const char *) priority;
    ctseg_record_bytes(out, tag, s);
}


void
ctseg_state_get_priority(ctseg_record_t *r, uint8_t tag, uint8_t *priority,
    unsigned *n)
{
    size_t       i;
    ctseg_str_t  s;

    *n = 0;
    s = ctseg_record_get_bytes(r, tag);

    if (s.len > CTSEG_PRIORITY_MAX) {
        r->rc = CTSEG_CORRUPT;
        return;
    }

    for (i = 0; i < s.len; i++) {
        priority[i] = (uint8_t) s.data[i];

        if (priority[i] >= CTSEG_ID_N) {
            r->rc = CTSEG_CORRUPT;
            return;
        }
    }

    *n = (unsigned) s.len;
}


void
ctseg_state_put_mapping(ctseg_buf_t *out, uint8_t tag,
    const ctseg_mapping_t *mapping)
{
    if (mapping->context) {
        ctseg_record_uint(out, tag, 1);
    }

    if (mapping->names != CTSEG_NAMES_ORIGINAL) {
        ctseg_record_uint(out, (uint8_t) (tag + 1), mapping->names);
    }

    if (mapping->future != CTSEG_FUTURE_KEEP) {
        ctseg_record_uint(out, (uint8_t) (tag + 2), mapping->future);
    }

    if (mapping->integrations[0] != '\0') {
        ctseg_record_cstr(out, (uint8_t) (tag + 3), mapping->integrations);
    }
}


void
ctseg_state_get_mapping(ctseg_record_t *r, uint8_t tag,
    ctseg_mapping_t *mapping)
{
    mapping->context = ctseg_state_get_range(r, tag, 0, 1) != 0;
    mapping->names = ctseg_state_get_range(r, (uint8_t) (tag + 1), 0,
                                           CTSEG_NAMES_CANONICAL);
    mapping->future = ctseg_state_get_range(r, (uint8_t) (tag + 2), 0,
                                            CTSEG_FUTURE_REJECT);
    ctseg_record_get_cstr(r, (uint8_t) (tag + 3), mapping->integrations,
                          sizeof(mapping->integrations));
}
