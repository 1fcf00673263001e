/*
 * The text that yajl reads in the place of the one that came: see
 * ctseg_json_int.h.  yajl looks at each byte by itself, and most bytes of a
 * text lie in strings in which there is nothing to find.  Here 64 of them are
 * looked at at once.  Whether a byte is inside of a string is known from the
 * quotes in front of it, as yajl knows it, until yajl finds an error; what
 * comes behind that does not matter any more.
 */

#include "ctseg_json_int.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif


#define CTSEG_JSON_BLOCK  64

/* a byte in each of eight, and the top bits of all of them */

#define ctseg_json_each(c)  (0x0101010101010101ULL * (c))
#define CTSEG_JSON_TOPS     ctseg_json_each(0x80)


static inline uint64_t
ctseg_json_word(const char *p)
{
    uint64_t  w;

    memcpy(&w, p, 8);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif

    return w;
}


/* the top bit of each byte that is below n, for n up to 128; exact */

static inline uint64_t
ctseg_json_below(uint64_t w, unsigned n)
{
    return ~((w & ~CTSEG_JSON_TOPS) + ctseg_json_each(0x80 - n)) & ~w
           & CTSEG_JSON_TOPS;
}


uint64_t
ctseg_json_special_words(const char *p)
{
    unsigned  i;
    uint64_t  w, found, bits;

    for (bits = 0, i = 0; i < CTSEG_JSON_BLOCK; i += 8) {
        w = ctseg_json_word(p + i);

        found = ctseg_json_below(w, 0x20)
                | ctseg_json_below(w ^ ctseg_json_each('"'), 1)
                | ctseg_json_below(w ^ ctseg_json_each('\\'), 1);

        /* the eight top bits, next to each other */

        bits |= ((found >> 7) * 0x0102040810204080ULL) >> 56 << i;
    }

    return bits;
}


size_t
ctseg_json_ascii_words(ctseg_str_t text)
{
    size_t    i;
    uint64_t  w;

    for (i = 0; text.len - i >= 8; i += 8) {
        w = ctseg_json_word(text.data + i);

        if (((w | ctseg_json_below(w ^ ctseg_json_each('\v'), 1)
              | ctseg_json_below(w ^ ctseg_json_each('\f'), 1))
             & CTSEG_JSON_TOPS) != 0)
        {
            break;
        }
    }

    return i;
}


#ifdef __SSE2__

static inline uint64_t
ctseg_json_special16(const char *p)
{
    __m128i  x;

    x = _mm_loadu_si128((const __m128i *) (const void *) p);

    return (unsigned) _mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x),
                     _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
                                  _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')))));
}


static inline uint64_t
ctseg_json_special_block(const char *p)
{
    return ctseg_json_special16(p)
           | ctseg_json_special16(p + 16) << 16
           | ctseg_json_special16(p + 32) << 32
           | ctseg_json_special16(p + 48) << 48;
}


/* \v and \f are neighbours: less \v, they are at most 1 */

static inline __m128i
ctseg_json_ascii16(const char *p)
{
    __m128i  x, less;

    x = _mm_loadu_si128((const __m128i *) (const void *) p);
    less = _mm_sub_epi8(x, _mm_set1_epi8('\v'));

    return _mm_or_si128(x, _mm_cmpeq_epi8(_mm_min_epu8(less,
                                                       _mm_set1_epi8(1)),
                                          less));
}


size_t
ctseg_json_ascii(ctseg_str_t text)
{
    size_t       i;
    __m128i      x;
    const char  *p;

    for (i = 0; text.len - i >= 64; i += 64) {
        p = text.data + i;

        x = _mm_or_si128(_mm_or_si128(ctseg_json_ascii16(p),
                                      ctseg_json_ascii16(p + 16)),
                         _mm_or_si128(ctseg_json_ascii16(p + 32),
                                      ctseg_json_ascii16(p + 48)));

        if (_mm_movemask_epi8(x) != 0) {
            break;
        }
    }

    while (text.len - i >= 16
           && _mm_movemask_epi8(ctseg_json_ascii16(text.data + i)) == 0)
    {
        i += 16;
    }

    return i;
}

#else

static inline uint64_t
ctseg_json_special_block(const char *p)
{
    return ctseg_json_special_words(p);
}


size_t
ctseg_json_ascii(ctseg_str_t text)
{
    return ctseg_json_ascii_words(text);
}

#endif


uint64_t
ctseg_json_special(const char *p)
{
    return ctseg_json_special_block(p);
}


static uint64_t
ctseg_json_special_last(const char *p, size_t n)
{
    char  block[CTSEG_JSON_BLOCK];

    memset(block, ' ', sizeof(block));
    memcpy(block, p, n);

    return ctseg_json_special_block(block);
}


/* takes the next special byte; the length of the text when there is none */

static inline size_t
ctseg_json_eye_next(ctseg_json_eye_t *eye)
{
    size_t  at, left;

    while (eye->special == 0) {
        left = eye->in.len - eye->block;

        if (left <= CTSEG_JSON_BLOCK) {
            return eye->in.len;
        }

        left -= CTSEG_JSON_BLOCK;
        eye->block += CTSEG_JSON_BLOCK;
        eye->special = left >= CTSEG_JSON_BLOCK
            ? ctseg_json_special_block(eye->in.data + eye->block)
            : ctseg_json_special_last(eye->in.data + eye->block, left);
    }

    at = eye->block + (unsigned) __builtin_ctzll(eye->special);
    eye->special &= eye->special - 1;

    return at;
}


/* outside of strings: white space may be special, and does not matter */

static inline size_t
ctseg_json_eye_quote(ctseg_json_eye_t *eye)
{
    size_t  at;

    do {
        at = ctseg_json_eye_next(eye);
    } while (at != eye->in.len && eye->in.data[at] != '"');

    return at;
}


/*
 * Takes the rest of a string that is not plain; at is the first special byte
 * in it.  What an escape consists of is for yajl.
 */

static void
ctseg_json_eye_string(ctseg_json_eye_t *eye, size_t at)
{
    size_t  from;

    for (from = at; at != eye->in.len; at = ctseg_json_eye_next(eye)) {

        if (at < from) {
            continue;                   /* behind a backslash */
        }

        if (eye->in.data[at] == '"') {
            return;
        }

        if (eye->in.data[at] == '\\') {
            from = at + 2;
        }
    }
}


void
ctseg_json_cut(ctseg_json_cut_t *cut, ctseg_str_t text)
{
    cut->eye.in = text;
    cut->eye.block = 0;
    cut->eye.special = text.len >= CTSEG_JSON_BLOCK
                       ? ctseg_json_special_block(text.data)
                       : ctseg_json_special_last(text.data, text.len);
    cut->at = 0;
    cut->quote = ctseg_json_eye_quote(&cut->eye);
    cut->nplaces = 0;
}


/* what lies between two strings is a byte or a few, as a rule */

static inline void
ctseg_json_cut_copy(char *out, ctseg_str_t in, size_t at, size_t n)
{
    if (n <= 16 && in.len - at >= 16) {
        memcpy(out, in.data + at, 16);

    } else {
        memcpy(out, in.data + at, n);
    }
}


bool
ctseg_json_cut_next(ctseg_json_cut_t *cut)
{
    size_t               at, gap, quote, end, len;
    unsigned             n;
    ctseg_json_eye_t     eye;
    ctseg_json_place_t  *place;

    /* all that the loop needs is at hand, as a copy */

    eye = cut->eye;
    at = cut->at;
    quote = cut->quote;

    n = 0;
    len = 0;

    cut->shift = at;
    cut->piece.data = cut->buf;

    while (len <= CTSEG_JSON_PIECE - CTSEG_JSON_GAP - 2
           && n < CTSEG_JSON_PLACES)
    {
        gap = quote - at;

        if (gap > CTSEG_JSON_GAP) {

            if (len == 0) {
                cut->piece.data = eye.in.data + at;
                len = gap;
                at = quote;
            }

            break;
        }

        ctseg_json_cut_copy(cut->buf + len, eye.in, at, gap);
        len += gap;
        at = quote;

        if (at == eye.in.len) {
            break;
        }

        end = ctseg_json_eye_next(&eye);

        if (end == eye.in.len || eye.in.data[end] != '"') {

            /* it is a part of what lies in front of the next one */

            cut->eye = eye;
            ctseg_json_eye_string(&cut->eye, end);
            eye = cut->eye;

        } else {
            cut->buf[len++] = '"';
            cut->buf[len++] = '"';

            place = &cut->place[n++];
            place->start = at;
            place->len = end - at - 1;
            at = end + 1;
            place->shift = at - len;
        }

        quote = ctseg_json_eye_quote(&eye);
    }

    cut->eye = eye;
    cut->at = at;
    cut->quote = quote;
    cut->nplaces = n;
    cut->piece.len = len;

    return len != 0;
}
