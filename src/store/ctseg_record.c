/*
 * State records as bytes: the writer and the reader of tagged fields.  Called
 * by the typed records (ctseg_state*.c), by leases and by drivers for their
 * own meta record.  Pure, any thread.  It knows no record's fields and keeps
 * no memory: what a reader answers points into the stored bytes.
 */

#include <string.h>

#include "ctseg_record.h"
#include "../base/ctseg_bytes.h"
#include "../base/ctseg_crc32c.h"
#include "../base/ctseg_str.h"


#define CTSEG_RECORD_VERSION  1
#define CTSEG_RECORD_HEAD     2
#define CTSEG_RECORD_CRC      4

#define CTSEG_FIELD_UINT   0
#define CTSEG_FIELD_INT    1
#define CTSEG_FIELD_BYTES  2


typedef struct {
    uint8_t      tag;
    uint8_t      kind;
    uint64_t     value;                 /* of UINT and INT */
    ctseg_str_t  bytes;                 /* of BYTES */
} ctseg_record_field_t;


/* a buffer holds one record: whatever was in it before is dropped */

void
ctseg_record_begin(ctseg_buf_t *out, ctseg_record_type_t type)
{
    ctseg_buf_reset(out);
    ctseg_buf_char(out, CTSEG_RECORD_VERSION);
    ctseg_buf_char(out, (char) type);
}


static void
ctseg_record_number(ctseg_buf_t *out, uint8_t tag, char kind, uint64_t v)
{
    char  field[10];

    field[0] = (char) tag;
    field[1] = kind;
    ctseg_le_put(field + 2, v, 8);
    ctseg_buf_add(out, field, sizeof(field));
}


void
ctseg_record_uint(ctseg_buf_t *out, uint8_t tag, uint64_t v)
{
    ctseg_record_number(out, tag, CTSEG_FIELD_UINT, v);
}


void
ctseg_record_int(ctseg_buf_t *out, uint8_t tag, int64_t v)
{
    ctseg_record_number(out, tag, CTSEG_FIELD_INT, (uint64_t) v);
}


void
ctseg_record_bytes(ctseg_buf_t *out, uint8_t tag, ctseg_str_t v)
{
    char  head[6];

    head[0] = (char) tag;
    head[1] = CTSEG_FIELD_BYTES;
    ctseg_le_put(head + 2, v.len, 4);
    ctseg_buf_add(out, head, sizeof(head));

    if (v.len != 0) {
        ctseg_buf_add(out, v.data, v.len);
    }
}


void
ctseg_record_cstr(ctseg_buf_t *out, uint8_t tag, const char *v)
{
    ctseg_record_bytes(out, tag, ctseg_str(v));
}


void
ctseg_record_end(ctseg_buf_t *out)
{
    char  crc[CTSEG_RECORD_CRC];

    if (out->failed) {
        return;
    }

    ctseg_le_put(crc, ctseg_crc32c(0, out->data, out->len), sizeof(crc));
    ctseg_buf_add(out, crc, sizeof(crc));
}


/* take one field off the front; false: it does not fit */

static bool
ctseg_record_next(ctseg_str_t *in, ctseg_record_field_t *f)
{
    size_t  size;

    if (in->len < 2) {
        return false;
    }

    memset(f, 0, sizeof(ctseg_record_field_t));
    f->tag = (uint8_t) in->data[0];
    f->kind = (uint8_t) in->data[1];

    switch (f->kind) {

    case CTSEG_FIELD_UINT:
    case CTSEG_FIELD_INT:
        size = 10;

        if (in->len < size) {
            return false;
        }

        f->value = ctseg_le_get(in->data + 2, 8);
        break;

    case CTSEG_FIELD_BYTES:
        if (in->len < 6) {
            return false;
        }

        f->bytes.len = (size_t) ctseg_le_get(in->data + 2, 4);
        f->bytes.data = in->data + 6;
        size = 6 + f->bytes.len;

        if (in->len < size) {
            return false;
        }

        break;

    default:
        return false;
    }

    in->data += size;
    in->len -= size;

    return true;
}


/* the fields are walked once here, so that the getters cannot run astray */

ctseg_rc_t
ctseg_record_open(ctseg_record_t *r, ctseg_str_t stored,
    ctseg_record_type_t type)
{
    size_t                len;
    unsigned              tag;
    ctseg_str_t           in;
    ctseg_record_field_t  f;

    memset(r, 0, sizeof(ctseg_record_t));
    r->rc = CTSEG_CORRUPT;

    if (stored.len < CTSEG_RECORD_HEAD + CTSEG_RECORD_CRC) {
        return r->rc;
    }

    len = stored.len - CTSEG_RECORD_CRC;

    if (stored.data[0] != CTSEG_RECORD_VERSION
        || (uint8_t) stored.data[1] != (uint8_t) type
        || ctseg_le_get(stored.data + len, CTSEG_RECORD_CRC)
           != ctseg_crc32c(0, stored.data, len))
    {
        return r->rc;
    }

    in.data = stored.data + CTSEG_RECORD_HEAD;
    in.len = len - CTSEG_RECORD_HEAD;
    r->fields = in;
    r->rest = in;
    tag = 0;

    while (in.len != 0) {
        if (!ctseg_record_next(&in, &f) || f.tag <= tag) {
            return r->rc;
        }

        tag = f.tag;
    }

    r->rc = CTSEG_OK;

    return r->rc;
}


static bool
ctseg_record_find(ctseg_record_t *r, uint8_t tag, uint8_t kind,
    ctseg_record_field_t *f)
{
    ctseg_str_t  in;

    if (r->rc != CTSEG_OK) {
        return false;
    }

    /* fields are mostly asked for in their order: go on behind the last */

    in = tag > r->tag ? r->rest : r->fields;

    while (ctseg_record_next(&in, f) && f->tag <= tag) {

        if (f->tag != tag) {
            continue;
        }

        if (f->kind != kind) {
            r->rc = CTSEG_CORRUPT;
            return false;
        }

        r->tag = tag;
        r->rest = in;

        return true;
    }

    return false;
}


uint64_t
ctseg_record_get_uint(ctseg_record_t *r, uint8_t tag)
{
    ctseg_record_field_t  f;

    if (!ctseg_record_find(r, tag, CTSEG_FIELD_UINT, &f)) {
        return 0;
    }

    return f.value;
}


int64_t
ctseg_record_get_int(ctseg_record_t *r, uint8_t tag)
{
    ctseg_record_field_t  f;

    if (!ctseg_record_find(r, tag, CTSEG_FIELD_INT, &f)) {
        return 0;
    }

    return (int64_t) f.value;
}


ctseg_str_t
ctseg_record_get_bytes(ctseg_record_t *r, uint8_t tag)
{
    ctseg_str_t           none = ctseg_string("");
    ctseg_record_field_t  f;

    if (!ctseg_record_find(r, tag, CTSEG_FIELD_BYTES, &f)) {
        return none;
    }

    return f.bytes;
}


void
ctseg_record_get_cstr(ctseg_record_t *r, uint8_t tag, char *out,
    size_t size)
{
    ctseg_str_t  s;

    s = ctseg_record_get_bytes(r, tag);

    if (s.len >= size || memchr(s.data, '\0', s.len) != NULL) {
        r->rc = CTSEG_CORRUPT;
        s.len = 0;
    }

    memcpy(out, s.data, s.len);
    out[s.len] = '\0';
}
