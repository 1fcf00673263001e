/*
 * State records as bytes: a version, a record type, tagged fields and a
 * checksum, so that a later version can add fields and a damaged record is
 * an error with its key in it.  Any thread.
 */

#ifndef CTSEG_RECORD_H
#define CTSEG_RECORD_H


#include "../base/ctseg_mem.h"


/*
 *   u8 version = 1, u8 record type,
 *   fields: u8 tag (1..255, ascending), u8 kind (0 unsigned, 1 signed,
 *           2 bytes), then u64 or i64 or u32 length + bytes, little-endian
 *   u32 CRC32C of all before it
 */

typedef enum {
    CTSEG_RECORD_META = 1,
    CTSEG_RECORD_PARTNER,
    CTSEG_RECORD_NICKNAME,
    CTSEG_RECORD_EXPORT,
    CTSEG_RECORD_ACTIVE,
    CTSEG_RECORD_RUN,
    CTSEG_RECORD_LEASE,
    CTSEG_RECORD_REPLY,
    CTSEG_RECORD_THROTTLE,
    CTSEG_RECORD_REJECTED,
    CTSEG_RECORD_ALARM,
    CTSEG_RECORD_RETRY,
    CTSEG_RECORD_IMPORT,
    CTSEG_RECORD_IMPORTED
} ctseg_record_type_t;


/* writer; begin drops what was in the buffer: it holds one record */

void ctseg_record_begin(ctseg_buf_t *out, ctseg_record_type_t type);
void ctseg_record_uint(ctseg_buf_t *out, uint8_t tag, uint64_t v);
void ctseg_record_int(ctseg_buf_t *out, uint8_t tag, int64_t v);
void ctseg_record_bytes(ctseg_buf_t *out, uint8_t tag, ctseg_str_t v);
void ctseg_record_cstr(ctseg_buf_t *out, uint8_t tag, const char *v);
void ctseg_record_end(ctseg_buf_t *out);


/*
 * Reader with a sticky result: a field that is absent reads as zero or empty,
 * one of another kind or that does not fit its target makes the record
 * CORRUPT; look at rc once, at the end.
 */

typedef struct {
    ctseg_str_t  fields;
    ctseg_str_t  rest;                  /* behind the field found last, */
    uint8_t      tag;                   /* which had this tag */
    ctseg_rc_t   rc;
} ctseg_record_t;

/* checks version, type and checksum */

ctseg_rc_t ctseg_record_open(ctseg_record_t *r, ctseg_str_t stored,
    ctseg_record_type_t type);

uint64_t ctseg_record_get_uint(ctseg_record_t *r, uint8_t tag);
int64_t ctseg_record_get_int(ctseg_record_t *r, uint8_t tag);
ctseg_str_t ctseg_record_get_bytes(ctseg_record_t *r, uint8_t tag);

/* copy with a NUL into out[size]; CORRUPT when longer or with a NUL inside */

void ctseg_record_get_cstr(ctseg_record_t *r, uint8_t tag, char *out,
    size_t size);


#endif /* CTSEG_RECORD_H */
