/*
 * Reading JSON: the one door to yajl.  Collectors scan uploads token by
 * token here, and the tree for small bodies is built over the same scan.
 * yajl knows the grammar; done around it is what it leaves out: UTF-8, the
 * limit of depth, white space that is not JSON's, an unfinished string
 * behind the text, and surrogates without a partner.  It does not read the
 * text itself but a shorter one that means the same, see ctseg_json_int.h;
 * where that is wrong, it reads the text as well, to say where.  No token
 * costs memory, and nothing recurses.
 */

#include "ctseg_json_int.h"
#include "ctseg_str.h"

#include <string.h>
#include <yajl/yajl_parse.h>


typedef struct {
    yajl_handle           yajl;
    ctseg_str_t           in;
    size_t                shift;        /* from yajl's offset to that in in */
    unsigned              place;        /* the next one of cut */
    size_t                end;          /* offset behind the last token */
    unsigned              depth;        /* containers open */
    unsigned              max_depth;
    bool                  plain;        /* yajl reads the text itself */
    bool                  finishing;    /* yajl has had all of the input */
    ctseg_json_token_pt   cb;
    void                 *data;
    ctseg_buf_t           scratch;      /* a string decoded by ourselves */
    ctseg_err_t          *err;
    ctseg_json_mem_t      mem;
    ctseg_json_cut_t      cut;
} ctseg_json_scan_t;


/*
 * yajl's offset lies behind the token that is being reported.  A number at
 * the very end is reported only when yajl is told that there is no more, and
 * the offset then counts another chunk.
 */

static size_t
ctseg_json_consumed(const ctseg_json_scan_t *s)
{
    return s->finishing ? s->in.len
                        : s->shift + yajl_get_bytes_consumed(s->yajl);
}


static int
ctseg_json_refused(ctseg_json_scan_t *s, size_t start)
{
    if (s->err->code == CTSEG_OK) {
        (void) ctseg_err(s->err, CTSEG_INVALID, "refused value");
    }

    if (s->err->offset == 0) {
        s->err->offset = start;
    }

    return 0;
}


static inline int
ctseg_json_emit(ctseg_json_scan_t *s, ctseg_json_token_t *t, size_t start,
    size_t end)
{
    t->raw.data = s->in.data + start;
    t->raw.len = end - start;
    s->end = end;

    return s->cb(s->data, t) ? 1 : ctseg_json_refused(s, start);
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
    size_t               end;
    ctseg_json_scan_t   *s = ctx;
    ctseg_json_token_t   t = { .type = CTSEG_JSON_NUMBER };

    (void) text;                        /* it is the same in the input */

    end = ctseg_json_consumed(s);

    t.depth = s->depth;
    t.text.data = s->in.data + end - len;
    t.text.len = len;

    return ctseg_json_emit(s, &t, end - len, end);
}


/*
 * A string that stands in the input as yajl reports it, or one that it has
 * decoded.
 */

static int
ctseg_json_verbatim(ctseg_json_scan_t *s, ctseg_json_token_t *t)
{
    size_t       start, end;
    ctseg_str_t  inside;

    end = ctseg_json_consumed(s);
    start = (size_t) ((uintptr_t) t->text.data - (uintptr_t) s->in.data);

    if (start < s->in.len) {

        /* never the first byte, which is a quote */

        return ctseg_json_emit(s, t, start - 1, end);
    }

    /* between two tokens there is nothing but this and white space */

    start = s->end;

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


static inline int
ctseg_json_text(ctseg_json_scan_t *s, ctseg_json_token_t *t,
    const unsigned char *text, size_t len)
{
    const ctseg_json_place_t  *place;

    if (len == 0 && s->place != s->cut.nplaces) {

        /* only what was made empty is: yajl has got through to the next */

        place = &s->cut.place[s->place++];
        s->shift = place->shift;

        t->text.data = s->in.data + place->start + 1;
        t->text.len = place->len;

        return ctseg_json_emit(s, t, place->start,
                               place->start + place->len + 2);
    }

    t->text.data = (const char *) text;
    t->text.len = len;

    return ctseg_json_verbatim(s, t);
}


static int
ctseg_json_on_string(void *ctx, const unsigned char *text, size_t len)
{
    ctseg_json_scan_t   *s = ctx;
    ctseg_json_token_t   t = { .type = CTSEG_JSON_STRING };

    t.depth = s->depth;

    return ctseg_json_text(s, &t, text, len);
}


static int
ctseg_json_on_key(void *ctx, const unsigned char *text, size_t len)
{
    ctseg_json_scan_t   *s = ctx;
    ctseg_json_token_t   t = { .type = CTSEG_JSON_KEY };

    t.depth = s->depth - 1;

    return ctseg_json_text(s, &t, text, len);
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


/* for the second reading, which has nothing to report but an error */

static const yajl_callbacks  ctseg_json_deaf;


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
    bool          blank;
    size_t        i, n, stop;
    const char   *p;
    ctseg_str_t   rest;

    blank = false;

    for (i = ctseg_json_ascii(text); i < text.len;
         i += ctseg_json_ascii(rest))
    {
        stop = text.len - i < 16 ? text.len : i + 16;

        while (i < stop) {
            p = text.data + i;
            n = 1;

            if ((*p & 0x80) == 0) {
                blank = blank || *p == '\v' || *p == '\f';

            } else {
                n = ctseg_utf8_char(p, text.len - i);
            }

            if (n == 0) {
                return ctseg_json_fail(err, i, "invalid UTF-8");
            }

            i += n;
        }

        rest.data = text.data + i;
        rest.len = text.len - i;
    }

    if (!blank) {
        return CTSEG_OK;
    }

    /* yajl takes vertical tab and form feed for white space */

    p = memchr(text.data, '\v', text.len);

    if (p == NULL) {
        p = memchr(text.data, '\f', text.len);
    }

    return ctseg_json_fail(err, (size_t) (p - text.data),
                           "control character that JSON does not allow");
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


static yajl_status
ctseg_json_feed(ctseg_json_scan_t *s, const yajl_callbacks *callbacks)
{
    yajl_status        status;
    yajl_alloc_funcs   memory;

    memory.malloc = ctseg_json_malloc;
    memory.realloc = ctseg_json_realloc;
    memory.free = ctseg_json_free;
    memory.ctx = &s->mem;

    s->finishing = false;
    s->shift = 0;
    s->yajl = yajl_alloc(callbacks, &memory, s);

    (void) yajl_config(s->yajl, yajl_dont_validate_strings, 1);

    if (s->plain) {
        status = yajl_parse(s->yajl, (const unsigned char *) s->in.data,
                            s->in.len);

    } else {
        status = yajl_status_ok;

        while (status == yajl_status_ok && ctseg_json_cut_next(&s->cut)) {
            s->shift = s->cut.shift;
            s->place = 0;
            status = yajl_parse(s->yajl,
                                (const unsigned char *) s->cut.piece.data,
                                s->cut.piece.len);
        }
    }

    if (status != yajl_status_ok) {
        return status;
    }

    s->finishing = true;

    return yajl_complete_parse(s->yajl);
}


static ctseg_rc_t
ctseg_json_run(ctseg_json_scan_t *s)
{
    yajl_status  status;

    if (setjmp(s->mem.lack) != 0) {
        return ctseg_err(s->err, CTSEG_NOMEM, "out of memory");
    }

    status = ctseg_json_feed(s, &ctseg_json_callbacks);

    switch (status) {
    case yajl_status_ok:
        return ctseg_json_tail(s);

    case yajl_status_client_canceled:
        return s->err->code == CTSEG_NOMEM ? CTSEG_NOMEM : CTSEG_INVALID;

    default:
        if (!s->plain) {
            s->plain = true;
            (void) ctseg_json_feed(s, &ctseg_json_deaf);
        }

        return ctseg_json_yajl_error(s);
    }
}


static ctseg_rc_t
ctseg_json_start(ctseg_json_scan_t *s, ctseg_str_t text, ctseg_err_t *err)
{
    ctseg_rc_t   rc;
    ctseg_err_t  local;

    if (err == NULL) {
        err = &local;
    }

    err->code = CTSEG_OK;
    err->offset = 0;
    err->text[0] = '\0';

    if (text.len == 0) {
        return ctseg_json_fail(err, 0, "empty");
    }

    rc = ctseg_json_check(text, err);

    if (rc != CTSEG_OK) {
        return rc;
    }

    s->in = text;
    s->err = err;
    s->end = 0;
    s->depth = 0;
    s->place = 0;
    memset(&s->scratch, 0, sizeof(ctseg_buf_t));
    ctseg_json_mem_begin(&s->mem);

    if (s->plain) {
        s->cut.nplaces = 0;

    } else {
        ctseg_json_cut(&s->cut, text);
    }

    rc = ctseg_json_run(s);

    ctseg_json_mem_end(&s->mem);
    ctseg_buf_free(&s->scratch);

    return rc;
}


ctseg_rc_t
ctseg_json_scan(ctseg_str_t text, unsigned max_depth, ctseg_json_token_pt cb,
    void *data, ctseg_err_t *err)
{
    ctseg_json_scan_t  s;

    s.plain = false;
    s.max_depth = max_depth;
    s.cb = cb;
    s.data = data;

    return ctseg_json_start(&s, text, err);
}


ctseg_rc_t
ctseg_json_scan_plain(ctseg_str_t text, unsigned max_depth,
    ctseg_json_token_pt cb, void *data, ctseg_err_t *err)
{
    ctseg_json_scan_t  s;

    s.plain = true;
    s.max_depth = max_depth;
    s.cb = cb;
    s.data = data;

    return ctseg_json_start(&s, text, err);
}
