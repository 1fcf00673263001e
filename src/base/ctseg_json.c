/*
 * Reading JSON: the one door to yajl.  Collectors scan uploads token by
 * token here, and the tree for small bodies is built over the same scan.
 * yajl knows the grammar; done around it is what it leaves out: UTF-8, the
 * limit of depth, white space that is not JSON's, an unfinished string
 * behind the text, and surrogates without a partner, which become U+FFFD in
 * the decoded text.  No token costs memory, and nothing recurses.  yajl also
 * writes to what malloc answers without a look at it: its memory comes from
 * here, and where there is none it is left by longjmp.
 */

#include "ctseg_json.h"
#include "ctseg_str.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>


#define CTSEG_JSON_REPLACEMENT  0xfffd


/* a piece of memory of yajl, in the list of all it has */

typedef struct ctseg_json_piece_s  ctseg_json_piece_t;

struct ctseg_json_piece_s {
    ctseg_json_piece_t   *next;
    ctseg_json_piece_t  **prev;
};


typedef struct {
    yajl_handle           yajl;
    ctseg_json_piece_t   *pieces;
    jmp_buf               lack;         /* of memory */
    ctseg_str_t           in;
    size_t                end;          /* offset behind the last token */
    unsigned              depth;        /* containers open */
    unsigned              max_depth;
    bool                  finishing;    /* yajl has had all of the input */
    ctseg_json_token_pt   cb;
    void                 *data;
    ctseg_buf_t           scratch;      /* a string decoded by ourselves */
    ctseg_err_t          *err;
} ctseg_json_scan_t;


/*
 * yajl's offset lies behind the token that is being reported.  A number at
 * the very end is reported only when yajl is told that there is no more, and
 * the offset then counts another chunk.
 */

static size_t
ctseg_json_consumed(const ctseg_json_scan_t *s)
{
    return s->finishing ? s->in.len : yajl_get_bytes_consumed(s->yajl);
}


static int
ctseg_json_emit(ctseg_json_scan_t *s, ctseg_json_token_t *t, size_t start,
    size_t end)
{
    t->raw.data = s->in.data + start;
    t->raw.len = end - start;
    s->end = end;

    if (s->cb(s->data, t)) {
        return 1;
    }

    if (s->err->code == CTSEG_OK) {
        (void) ctseg_err(s->err, CTSEG_INVALID, "refused value");
    }

    if (s->err->offset == 0) {
        s->err->offset = start;
    }

    return 0;
}


/* yajl reports the input's own bytes wherever it can: then these tell where
   they are, and faster than it does */

static inline bool
ctseg_json_place(const ctseg_json_scan_t *s, const char *text, size_t *start)
{
    *start = (size_t) ((uintptr_t) text - (uintptr_t) s->in.data);

    return *start < s->in.len;
}


/* a token whose length is known: it ends where yajl stands */

static int
ctseg_json_fixed(ctseg_json_scan_t *s, ctseg_json_token_t *t, size_t len)
{
    size_t  end;

    end = ctseg_json_consumed(s);

    return ctseg_json_emit(s, t, end - len, end);
}


static int
ctseg_json_on_null(void *ctx)
{
    ctseg_json_scan_t   *s = ctx;
    ctseg_json_token_t   t = { .type = CTSEG_JSON_NULL };

    t.depth = s->depth;

    return ctseg_json_fixed(s, &t, 4);
}


static int
ctseg_json_on_boolean(void *ctx, int value)
{
    ctseg_json_scan_t   *s = ctx;
    ctseg_json_token_t   t = { .type = CTSEG_JSON_BOOL };

    t.boolean = value != 0;
    t.depth = s->depth;

    return ctseg_json_fixed(s, &t, value != 0 ? 4 : 5);
}


static int
ctseg_json_on_number(void *ctx, const char *text, size_t len)
{
    ctseg_json_scan_t   *s = ctx;
    ctseg_json_token_t   t = { .type = CTSEG_JSON_NUMBER };

    size_t               start;

    t.depth = s->depth;
    t.text.data = text;
    t.text.len = len;

    if (ctseg_json_place(s, text, &start)) {
        return ctseg_json_emit(s, &t, start, start + len);
    }

    return ctseg_json_fixed(s, &t, len);
}


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

static void
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

static bool
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


static int
ctseg_json_text(ctseg_json_scan_t *s, ctseg_json_token_t *t, const char *text,
    size_t len)
{
    size_t       start, end;
    ctseg_str_t  inside;

    t->text.data = text;
    t->text.len = len;

    if (ctseg_json_place(s, text, &start)) {

        /* without escapes, and never the first byte, which is a quote */

        return ctseg_json_emit(s, t, start - 1, start + len + 1);
    }

    end = ctseg_json_consumed(s);
    start = s->end;

    /* between two tokens there is nothing but this and white space */

    while (s->in.data[start] != '"') {
        start++;
    }

    inside.data = s->in.data + start + 1;
    inside.len = end - start - 2;

    if (ctseg_json_has_surrogate(inside)) {
        ctseg_buf_reset(&s->scratch);
        ctseg_json_unescape(&s->scratch, inside);

        if (s->scratch.failed) {
            (void) ctseg_err(s->err, CTSEG_NOMEM, "out of memory");
            return 0;
        }

        t->text = ctseg_buf_slice(&s->scratch);
    }

    return ctseg_json_emit(s, t, start, end);
}


static int
ctseg_json_on_string(void *ctx, const unsigned char *text, size_t len)
{
    ctseg_json_scan_t   *s = ctx;
    ctseg_json_token_t   t = { .type = CTSEG_JSON_STRING };

    t.depth = s->depth;

    return ctseg_json_text(s, &t, (const char *) text, len);
}


static int
ctseg_json_on_key(void *ctx, const unsigned char *text, size_t len)
{
    ctseg_json_scan_t   *s = ctx;
    ctseg_json_token_t   t = { .type = CTSEG_JSON_KEY };

    t.depth = s->depth - 1;

    return ctseg_json_text(s, &t, (const char *) text, len);
}


static int
ctseg_json_open(ctseg_json_scan_t *s, ctseg_json_type_t type)
{
    ctseg_json_token_t  t = { .type = type };

    t.depth = s->depth;

    if (s->depth == s->max_depth) {
        (void) ctseg_err(s->err, CTSEG_INVALID,
                         "nested deeper than %u levels", s->max_depth);
        s->err->offset = ctseg_json_consumed(s) - 1;
        return 0;
    }

    s->depth++;

    return ctseg_json_fixed(s, &t, 1);
}


static int
ctseg_json_close(ctseg_json_scan_t *s, ctseg_json_type_t type)
{
    ctseg_json_token_t  t = { .type = type };

    s->depth--;
    t.depth = s->depth;

    return ctseg_json_fixed(s, &t, 1);
}


static int
ctseg_json_on_object(void *ctx)
{
    return ctseg_json_open(ctx, CTSEG_JSON_OBJECT);
}


static int
ctseg_json_on_object_end(void *ctx)
{
    return ctseg_json_close(ctx, CTSEG_JSON_OBJECT_END);
}


static int
ctseg_json_on_array(void *ctx)
{
    return ctseg_json_open(ctx, CTSEG_JSON_ARRAY);
}


static int
ctseg_json_on_array_end(void *ctx)
{
    return ctseg_json_close(ctx, CTSEG_JSON_ARRAY_END);
}


static const yajl_callbacks  ctseg_json_callbacks = {
    ctseg_json_on_null,
    ctseg_json_on_boolean,
    NULL,
    NULL,
    ctseg_json_on_number,
    ctseg_json_on_string,
    ctseg_json_on_object,
    ctseg_json_on_key,
    ctseg_json_on_object_end,
    ctseg_json_on_array,
    ctseg_json_on_array_end
};


static ctseg_rc_t
ctseg_json_fail(ctseg_err_t *err, size_t offset, const char *text)
{
    (void) ctseg_err(err, CTSEG_INVALID, "%s", text);
    err->offset = offset;

    return CTSEG_INVALID;
}


/* what yajl would let pass, looked for over the whole text at once */

static ctseg_rc_t
ctseg_json_check(ctseg_str_t text, ctseg_err_t *err)
{
    size_t       offset;
    const char  *p;

    offset = ctseg_utf8_check(text);

    if (offset != text.len) {
        return ctseg_json_fail(err, offset, "invalid UTF-8");
    }

    /* yajl takes vertical tab and form feed for white space */

    p = memchr(text.data, '\v', text.len);

    if (p == NULL) {
        p = memchr(text.data, '\f', text.len);
    }

    if (p != NULL) {
        return ctseg_json_fail(err, (size_t) (p - text.data),
                               "control character that JSON does not allow");
    }

    return CTSEG_OK;
}


/* yajl's short text, with neither the input's bytes nor a line end */

static ctseg_rc_t
ctseg_json_yajl_error(ctseg_json_scan_t *s)
{
    size_t          len, offset;
    unsigned char  *text;

    offset = ctseg_json_consumed(s);
    text = yajl_get_error(s->yajl, 0, (const unsigned char *) s->in.data,
                          s->in.len);

    if (text == NULL) {
        return ctseg_err(s->err, CTSEG_NOMEM, "out of memory");
    }

    len = strlen((char *) text);

    while (len != 0 && (text[len - 1] <= ' ' || text[len - 1] == '.')) {
        len--;
    }

    text[len] = '\0';

    (void) ctseg_json_fail(s->err, offset < s->in.len ? offset : s->in.len,
                           (char *) text);
    yajl_free_error(s->yajl, text);

    return CTSEG_INVALID;
}


/*
 * A string that begins behind the text and never ends is no error to yajl:
 * it waits for the rest.
 */

static ctseg_rc_t
ctseg_json_tail(ctseg_json_scan_t *s)
{
    size_t  i;

    for (i = s->end; i < s->in.len; i++) {
        if (strchr(" \t\r\n", s->in.data[i]) == NULL) {
            return ctseg_json_fail(s->err, i, "parse error: trailing garbage");
        }
    }

    return CTSEG_OK;
}


/* ---- the memory of yajl ---- */

static void *
ctseg_json_own(ctseg_json_scan_t *s, ctseg_json_piece_t *p)
{
    if (p == NULL) {
        longjmp(s->lack, 1);
    }

    p->next = s->pieces;
    p->prev = &s->pieces;

    if (p->next != NULL) {
        p->next->prev = &p->next;
    }

    s->pieces = p;

    return p + 1;
}


static void
ctseg_json_disown(ctseg_json_piece_t *p)
{
    *p->prev = p->next;

    if (p->next != NULL) {
        p->next->prev = p->prev;
    }
}


static void *
ctseg_json_malloc(void *ctx, size_t n)
{
    ctseg_json_piece_t  *p;

    /* style: ALLOC - own looks at it, for all of them */
    p = malloc(sizeof(ctseg_json_piece_t) + n);

    return ctseg_json_own(ctx, p);
}


static void
ctseg_json_free(void *ctx, void *data)
{
    ctseg_json_piece_t  *p;

    (void) ctx;

    if (data == NULL) {
        return;
    }

    p = (ctseg_json_piece_t *) data - 1;
    ctseg_json_disown(p);
    free(p);
}


static void *
ctseg_json_realloc(void *ctx, void *data, size_t n)
{
    ctseg_json_piece_t  *p, *grown;

    if (data == NULL) {
        return ctseg_json_malloc(ctx, n);
    }

    p = (ctseg_json_piece_t *) data - 1;
    ctseg_json_disown(p);
    grown = realloc(p, sizeof(ctseg_json_piece_t) + n);

    if (grown == NULL) {

        /* what there was is still there, and is freed with the rest */

        (void) ctseg_json_own(ctx, p);
    }

    return ctseg_json_own(ctx, grown);
}


static ctseg_rc_t
ctseg_json_run(ctseg_json_scan_t *s)
{
    yajl_status        status;
    yajl_alloc_funcs   memory;

    if (setjmp(s->lack) != 0) {
        return ctseg_err(s->err, CTSEG_NOMEM, "out of memory");
    }

    memory.malloc = ctseg_json_malloc;
    memory.realloc = ctseg_json_realloc;
    memory.free = ctseg_json_free;
    memory.ctx = s;

    s->yajl = yajl_alloc(&ctseg_json_callbacks, &memory, s);

    if (s->yajl == NULL) {
        return ctseg_err(s->err, CTSEG_NOMEM, "out of memory");
    }

    (void) yajl_config(s->yajl, yajl_dont_validate_strings, 1);

    status = yajl_parse(s->yajl, (const unsigned char *) s->in.data,
                        s->in.len);

    if (status == yajl_status_ok) {
        s->finishing = true;
        status = yajl_complete_parse(s->yajl);
    }

    switch (status) {
    case yajl_status_ok:
        return ctseg_json_tail(s);

    case yajl_status_client_canceled:
        return s->err->code == CTSEG_NOMEM ? CTSEG_NOMEM : CTSEG_INVALID;

    default:
        return ctseg_json_yajl_error(s);
    }
}


ctseg_rc_t
ctseg_json_scan(ctseg_str_t text, unsigned max_depth, ctseg_json_token_pt cb,
    void *data, ctseg_err_t *err)
{
    ctseg_rc_t         rc;
    ctseg_err_t        local;
    ctseg_json_scan_t  s;

    if (err == NULL) {
        err = &local;
    }

    (void) ctseg_err(err, CTSEG_OK, "%s", "");

    if (text.len == 0) {
        return ctseg_json_fail(err, 0, "empty");
    }

    rc = ctseg_json_check(text, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    memset(&s, 0, sizeof(ctseg_json_scan_t));
    s.in = text;
    s.max_depth = max_depth;
    s.cb = cb;
    s.data = data;
    s.err = err;

    rc = ctseg_json_run(&s);

    while (s.pieces != NULL) {
        ctseg_json_free(&s, s.pieces + 1);
    }

    ctseg_buf_free(&s.scratch);

    return rc;
}
