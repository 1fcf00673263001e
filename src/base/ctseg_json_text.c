/*
 * Strings with escapes.  yajl decodes them well but for surrogates: one
 * without a partner eats the character behind it or comes out as ill-formed
 * UTF-8.  A string that holds any is decoded here, where such ones become
 * U+FFFD.  yajl has found the string to be one, so every backslash has its
 * letter, and each \u its digits.
 */

#include "ctseg_json_int.h"

#include <string.h>


#define CTSEG_JSON_REPLACEMENT  0xfffd


static void
ctseg_json_put_utf8(ctseg_buf_t *b, uint32_t c)
{
    char    p[4];
    size_t  n;

    if (c < 0x80) {
        p[0] = (char) c;
        n = 1;

    } else if (c < 0x800) {
        p[0] = (char) (0xc0 | (c >> 6));
        p[1] = (char) (0x80 | (c & 0x3f));
        n = 2;

    } else if (c < 0x10000) {
        p[0] = (char) (0xe0 | (c >> 12));
        p[1] = (char) (0x80 | ((c >> 6) & 0x3f));
        p[2] = (char) (0x80 | (c & 0x3f));
        n = 3;

    } else {
        p[0] = (char) (0xf0 | (c >> 18));
        p[1] = (char) (0x80 | ((c >> 12) & 0x3f));
        p[2] = (char) (0x80 | ((c >> 6) & 0x3f));
        p[3] = (char) (0x80 | (c & 0x3f));
        n = 4;
    }

    ctseg_buf_add(b, p, n);
}


/* four hexadecimal digits that yajl has already found to be such */

static uint32_t
ctseg_json_hex4(const char *p)
{
    unsigned  i;
    uint32_t  v;

    for (v = 0, i = 0; i < 4; i++) {
        v <<= 4;
        v |= (uint32_t) (p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    }

    return v;
}


/* the escape \uXXXX at p, with its second half; answers the bytes taken */

static size_t
ctseg_json_unescape_u(ctseg_buf_t *b, const char *p, size_t left)
{
    uint32_t  c, low;

    c = ctseg_json_hex4(p + 2);

    if (c < 0xd800 || c > 0xdfff) {
        ctseg_json_put_utf8(b, c);
        return 6;
    }

    if (c <= 0xdbff && left >= 12 && p[6] == '\\' && p[7] == 'u') {
        low = ctseg_json_hex4(p + 8);

        if (low >= 0xdc00 && low <= 0xdfff) {
            ctseg_json_put_utf8(b, 0x10000 + ((c - 0xd800) << 10)
                                   + (low - 0xdc00));
            return 12;
        }
    }

    ctseg_json_put_utf8(b, CTSEG_JSON_REPLACEMENT);

    return 6;
}


/*
 * yajl decodes escapes well but for surrogates: one without a partner eats
 * the character behind it or comes out as ill-formed UTF-8.  The inside of
 * a string is valid here, so every backslash has its letter.
 */

void
ctseg_json_unescape(ctseg_buf_t *b, ctseg_str_t inside)
{
    size_t       i;
    const char  *p, *slash;

    static const char  from[] = "bfnrt";
    static const char  to[] = "\b\f\n\r\t";

    i = 0;

    while (i < inside.len) {
        p = inside.data + i;
        slash = memchr(p, '\\', inside.len - i);

        if (slash == NULL) {
            ctseg_buf_add(b, p, inside.len - i);
            return;
        }

        ctseg_buf_add(b, p, (size_t) (slash - p));
        i += (size_t) (slash - p);

        if (slash[1] == 'u') {
            i += ctseg_json_unescape_u(b, slash, inside.len - i);
            continue;
        }

        p = strchr(from, slash[1]);
        ctseg_buf_char(b, p != NULL ? to[p - from] : slash[1]);
        i += 2;
    }
}


/* does the raw text hold an escape \uD8.. to \uDF.. ? */

bool
ctseg_json_has_surrogate(ctseg_str_t raw)
{
    const char  *p, *last;

    last = raw.data + raw.len;

    for (p = raw.data; last - p >= 6; p += 2) {
        p = memchr(p, '\\', (size_t) (last - p));

        if (p == NULL || last - p < 6) {
            return false;
        }

        if (p[1] == 'u' && (p[2] | 0x20) == 'd' && p[3] >= '8') {
            return true;
        }
    }

    return false;
}
