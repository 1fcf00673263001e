/*
 * Pure functions over counted strings.  Any thread.
 */

#ifndef CTSEG_STR_H
#define CTSEG_STR_H


#include "ctseg_mem.h"

#include <string.h>


/* ctseg_str_eq with a literal: a comparison or two, and no call */

#define ctseg_str_same(s, literal)                                           \
    ((s).len == sizeof(literal) - 1                                          \
     && memcmp((s).data, literal, sizeof(literal) - 1) == 0)


ctseg_str_t ctseg_str(const char *cstr);
bool ctseg_str_eq(ctseg_str_t a, ctseg_str_t b);
bool ctseg_str_is(ctseg_str_t a, const char *cstr);

/* decimal digits with an optional minus, whole string, no overflow */

bool ctseg_str_int64(ctseg_str_t s, int64_t *out);

/* n in decimal digits, which are counted; out holds CTSEG_DECIMAL_MAX */

#define CTSEG_DECIMAL_MAX  20

size_t ctseg_decimal(char *out, uint64_t n);

/*
 * Offset of the first byte that is not part of well-formed UTF-8 (Unicode
 * 15, table 3-7: no overlong form, no surrogate, nothing above U+10FFFF),
 * or s.len when all of it is.
 */

size_t ctseg_utf8_check(ctseg_str_t s);

/* length of the well-formed character of two to four bytes at p, or 0 */

size_t ctseg_utf8_char(const char *p, size_t left);

/* number of code points of well-formed UTF-8 */

size_t ctseg_utf8_len(ctseg_str_t s);

/* RFC 4648 section 4, with padding */

void ctseg_base64(ctseg_buf_t *out, ctseg_str_t s);

/* lower-case hexadecimal; out holds 2 * n + 1 bytes */

void ctseg_hex(char *out, const void *data, size_t n);

/* FNV-1a, 64 bits: for names of keys, not against an adversary */

uint64_t ctseg_hash64(ctseg_str_t s);


#endif /* CTSEG_STR_H */
