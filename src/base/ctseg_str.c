/*
 * Pure functions over counted strings: comparison, integers, UTF-8, base64,
 * hexadecimal and a hash.  Called from every room, on any thread.  Nothing
 * here knows a locale, and nothing here expects a NUL behind the bytes.
 */

#include "ctseg_str.h"

#include <string.h>


/* the top bit of each of eight bytes: clear in all of them means ASCII */

#define CTSEG_STR_HIGH  0x8080808080808080ULL

/* so many digits fit in any case */

#define CTSEG_STR_SAFE  18


ctseg_str_t
ctseg_str(const char *cstr)
{
    ctseg_str_t  s;

    s.len = strlen(cstr);
    s.data = cstr;

    return s;
}


bool
ctseg_str_eq(ctseg_str_t a, ctseg_str_t b)
{
    if (a.len != b.len) {
        return false;
    }

    return a.len == 0 || memcmp(a.data, b.data, a.len) == 0;
}


bool
ctseg_str_is(ctseg_str_t a, const char *cstr)
{
    return ctseg_str_eq(a, ctseg_str(cstr));
}


bool
ctseg_str_int64(ctseg_str_t s, int64_t *out)
{
    bool      minus;
    size_t    i;
    uint64_t  n, limit;
    unsigned  digit;

    minus = s.len != 0 && s.data[0] == '-';
    limit = minus ? (uint64_t) INT64_MAX + 1 : (uint64_t) INT64_MAX;
    i = minus ? 1 : 0;

    if (i == s.len) {
        return false;
    }

    for (n = 0; i < s.len; i++) {

        if (s.data[i] < '0' || s.data[i] > '9') {
            return false;
        }

        digit = (unsigned) (s.data[i] - '0');

        if (i >= CTSEG_STR_SAFE && n > (limit - digit) / 10) {
            return false;
        }

        n = n * 10 + digit;
    }

    if (!minus) {
        *out = (int64_t) n;

    } else {

        /* -n, without the overflow that the smallest number would cause */

        *out = n == 0 ? 0 : -(int64_t) (n - 1) - 1;
    }

    return true;
}


size_t
ctseg_decimal(char *out, uint64_t n)
{
    char    digits[CTSEG_DECIMAL_MAX];
    size_t  i;

    i = sizeof(digits);

    do {
        digits[--i] = (char) ('0' + n % 10);
        n /= 10;
    } while (n != 0);

    memcpy(out, digits + i, sizeof(digits) - i);

    return sizeof(digits) - i;
}


/*
 * Only the second byte has a range of its own, which rules out overlong
 * forms, surrogates and everything above U+10FFFF.
 */

size_t
ctseg_utf8_char(const char *text, size_t left)
{
    size_t                n, i;
    unsigned char         lo, hi;
    const unsigned char  *p;

    p = (const unsigned char *) text;
    lo = 0x80;
    hi = 0xbf;

    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        n = 2;

    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        n = 3;

        if (p[0] == 0xe0) {
            lo = 0xa0;

        } else if (p[0] == 0xed) {
            hi = 0x9f;
        }

    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        n = 4;

        if (p[0] == 0xf0) {
            lo = 0x90;

        } else if (p[0] == 0xf4) {
            hi = 0x8f;
        }

    } else {
        return 0;
    }

    if (n > left || p[1] < lo || p[1] > hi) {
        return 0;
    }

    for (i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    return n;
}


size_t
ctseg_utf8_check(ctseg_str_t s)
{
    size_t                i, n;
    uint64_t              word;
    const unsigned char  *p;

    p = (const unsigned char *) s.data;
    i = 0;

    while (i < s.len) {

        if (p[i] < 0x80) {

            /* almost all text is ASCII: eight bytes at a time */

            while (s.len - i >= 8) {
                memcpy(&word, p + i, 8);

                if ((word & CTSEG_STR_HIGH) != 0) {
                    break;
                }

                i += 8;
            }

            while (i < s.len && p[i] < 0x80) {
                i++;
            }

            continue;
        }

        n = ctseg_utf8_char(s.data + i, s.len - i);

        if (n == 0) {
            return i;
        }

        i += n;
    }

    return i;
}


size_t
ctseg_utf8_len(ctseg_str_t s)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < s.len; i++) {
        if (((unsigned char) s.data[i] & 0xc0) != 0x80) {
            n++;
        }
    }

    return n;
}


void
ctseg_base64(ctseg_buf_t *out, ctseg_str_t s)
{
    char                  quad[4];
    size_t                i, left;
    uint32_t              bits;
    const unsigned char  *p;

    static const char  digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    p = (const unsigned char *) s.data;

    for (i = 0; i < s.len; i += 3) {
        left = s.len - i;

        bits = (uint32_t) p[i] << 16;
        bits |= left > 1 ? (uint32_t) p[i + 1] << 8 : 0;
        bits |= left > 2 ? (uint32_t) p[i + 2] : 0;

        quad[0] = digits[bits >> 18];
        quad[1] = digits[(bits >> 12) & 0x3f];
        quad[2] = left > 1 ? digits[(bits >> 6) & 0x3f] : '=';
        quad[3] = left > 2 ? digits[bits & 0x3f] : '=';

        ctseg_buf_add(out, quad, 4);
    }
}


void
ctseg_hex(char *out, const void *data, size_t n)
{
    size_t                i;
    const unsigned char  *p;

    static const char  digits[] = "0123456789abcdef";

    p = data;

    for (i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 0x0f];
    }

    out[2 * n] = '\0';
}


uint64_t
ctseg_hash64(ctseg_str_t s)
{
    size_t    i;
    uint64_t  h;

    h = 0xcbf29ce484222325ULL;

    for (i = 0; i < s.len; i++) {
        h ^= (unsigned char) s.data[i];
        h *= 0x100000001b3ULL;
    }

    return h;
}
