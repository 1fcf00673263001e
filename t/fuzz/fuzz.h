/*
 * What the fuzz targets share: how an oracle fails, how an input is taken
 * apart, and a judge of JSON of its own, written from RFC 8259 and sharing
 * nothing with what it judges.
 */

#ifndef FUZZ_H
#define FUZZ_H


#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctseg_problem.h"
#include "base/ctseg_str.h"


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


/* what must hold, whatever the input is */

#define fuzz_check(ok)                                                        \
    do {                                                                      \
        if (!(ok)) {                                                          \
            fuzz_fail(__FILE__, __LINE__, #ok);                               \
        }                                                                     \
    } while (0)


__attribute__((noreturn))
static inline void
fuzz_fail(const char *file, int line, const char *what)
{
    (void) fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}


/* ---- the input ---- */

static inline ctseg_str_t
fuzz_str(const uint8_t *data, size_t size)
{
    ctseg_str_t  s;

    s.len = size;
    s.data = (const char *) data;

    return s;
}


/* what stands before the first end, which is taken off as well */

static inline ctseg_str_t
fuzz_until(ctseg_str_t *in, const char *end)
{
    size_t       i, n;
    ctseg_str_t  s;

    n = strlen(end);
    s = *in;

    for (i = 0; i + n <= in->len; i++) {
        if (memcmp(in->data + i, end, n) == 0) {
            s.len = i;
            in->data += i + n;
            in->len -= i + n;
            return s;
        }
    }

    in->data += in->len;
    in->len = 0;

    return s;
}


#define fuzz_line(in)  fuzz_until(in, "\n")
#define fuzz_part(in)  fuzz_until(in, "\n---\n")


/* choice number i of a line of settings: its character, from '0' on */

static inline unsigned
fuzz_choice(ctseg_str_t line, size_t i, unsigned n)
{
    return i < line.len ? (unsigned char) (line.data[i] - '0') % n : 0;
}


static inline bool
fuzz_has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}


/* ---- the judge: offset of the first byte that is no UTF-8 ---- */

static inline size_t
fuzz_utf8(ctseg_str_t s)
{
    size_t    i, j, n;
    uint32_t  c, least;

    for (i = 0; i < s.len; i += n) {
        c = (unsigned char) s.data[i];

        if (c < 0x80) {
            n = 1;
            least = 0;

        } else if (c >> 5 == 6) {
            n = 2;
            c &= 0x1f;
            least = 0x80;

        } else if (c >> 4 == 14) {
            n = 3;
            c &= 0xf;
            least = 0x800;

        } else if (c >> 3 == 30) {
            n = 4;
            c &= 7;
            least = 0x10000;

        } else {
            return i;
        }

        if (s.len - i < n) {
            return i;
        }

        for (j = 1; j < n; j++) {
            if (((unsigned char) s.data[i + j] & 0xc0) != 0x80) {
                return i;
            }

            c = c << 6 | ((unsigned char) s.data[i + j] & 0x3f);
        }

        if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
            return i;
        }
    }

    return s.len;
}


/* ---- the judge: is it one JSON text ---- */

typedef struct {
    const char  *p;
    const char  *end;
} fuzz_json_t;


static inline bool
fuzz_json_char(fuzz_json_t *j, const char *any)
{
    if (j->p < j->end && *j->p != '\0' && strchr(any, *j->p) != NULL) {
        j->p++;
        return true;
    }

    return false;
}


static inline void
fuzz_json_space(fuzz_json_t *j)
{
    while (fuzz_json_char(j, " \t\r\n")) { /* void */ }
}


static inline bool
fuzz_json_word(fuzz_json_t *j, const char *word)
{
    size_t  n;

    n = strlen(word);

    if ((size_t) (j->end - j->p) < n || memcmp(j->p, word, n) != 0) {
        return false;
    }

    j->p += n;

    return true;
}


static inline bool
fuzz_json_digits(fuzz_json_t *j)
{
    if (!fuzz_json_char(j, "0123456789")) {
        return false;
    }

    while (fuzz_json_char(j, "0123456789")) { /* void */ }

    return true;
}


static inline bool
fuzz_json_number(fuzz_json_t *j)
{
    (void) fuzz_json_char(j, "-");

    if (!fuzz_json_char(j, "0") && !fuzz_json_digits(j)) {
        return false;
    }

    if (fuzz_json_char(j, ".") && !fuzz_json_digits(j)) {
        return false;
    }

    if (fuzz_json_char(j, "eE")) {
        (void) fuzz_json_char(j, "+-");
        return fuzz_json_digits(j);
    }

    return true;
}


static inline bool
fuzz_json_string(fuzz_json_t *j)
{
    unsigned  i;

    if (!fuzz_json_char(j, "\"")) {
        return false;
    }

    while (j->p < j->end) {

        if (fuzz_json_char(j, "\"")) {
            return true;
        }

        if ((unsigned char) *j->p < 0x20) {
            return false;
        }

        if (!fuzz_json_char(j, "\\")) {
            j->p++;
            continue;
        }

        if (fuzz_json_char(j, "u")) {
            for (i = 0; i < 4; i++) {
                if (!fuzz_json_char(j, "0123456789abcdefABCDEF")) {
                    return false;
                }
            }

        } else if (!fuzz_json_char(j, "\"\\/bfnrt")) {
            return false;
        }
    }

    return false;
}


static inline bool fuzz_json_value(fuzz_json_t *j, unsigned levels);


static inline bool
fuzz_json_members(fuzz_json_t *j, const char *close, bool names,
    unsigned levels)
{
    fuzz_json_space(j);

    if (fuzz_json_char(j, close)) {
        return true;
    }

    do {

        if (names) {
            fuzz_json_space(j);

            if (!fuzz_json_string(j)) {
                return false;
            }

            fuzz_json_space(j);

            if (!fuzz_json_char(j, ":")) {
                return false;
            }
        }

        if (!fuzz_json_value(j, levels)) {
            return false;
        }

    } while (fuzz_json_char(j, ","));

    return fuzz_json_char(j, close);
}


static inline bool
fuzz_json_value(fuzz_json_t *j, unsigned levels)
{
    bool  ok;

    fuzz_json_space(j);

    if (j->p < j->end && (*j->p == '{' || *j->p == '[')) {

        if (levels == 0) {
            return false;
        }

        ok = *j->p++ == '{' ? fuzz_json_members(j, "}", true, levels - 1)
                            : fuzz_json_members(j, "]", false, levels - 1);

    } else if (j->p < j->end && *j->p == '"') {
        ok = fuzz_json_string(j);

    } else {
        ok = fuzz_json_word(j, "true") || fuzz_json_word(j, "false")
             || fuzz_json_word(j, "null") || fuzz_json_number(j);
    }

    fuzz_json_space(j);

    return ok;
}


static inline bool
fuzz_is_json(ctseg_str_t s, unsigned levels)
{
    fuzz_json_t  j;

    j.p = s.data;
    j.end = s.data + s.len;

    return fuzz_utf8(s) == s.len && fuzz_json_value(&j, levels)
           && j.p == j.end;
}


/* ---- what is checked of every answer ---- */

static inline void
fuzz_check_json(const ctseg_buf_t *b)
{
    fuzz_check(!b->failed);
    fuzz_check(fuzz_is_json(ctseg_buf_slice(b), 64));
}


static inline void
fuzz_check_problems(const ctseg_problems_t *problems)
{
    unsigned     i, n;
    ctseg_buf_t  out = { NULL, 0, 0, false };

    n = problems->n < CTSEG_PROBLEMS_MAX ? problems->n : CTSEG_PROBLEMS_MAX;

    for (i = 0; i < n; i++) {
        fuzz_check(memchr(problems->item[i].field, '\0',
                          sizeof(problems->item[i].field)) != NULL);
        fuzz_check(memchr(problems->item[i].message, '\0',
                          sizeof(problems->item[i].message)) != NULL);
        fuzz_check(problems->item[i].message[0] != '\0');
    }

    ctseg_problem_render(&out, 422, "wrong", problems);
    fuzz_check_json(&out);
    ctseg_buf_free(&out);
}


#endif /* FUZZ_H */
