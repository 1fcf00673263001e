/*
 * JSON, the door that every foreign byte comes through.  What the scan takes
 * is what the judge of fuzz.h takes; yajl says of the cut what it says of the
 * text; tokens lie in the text in their order;
 * decoded text is valid and comes back from its escaped form; a tree that is
 * written and read again is the same tree.  Any bytes.
 */

#include "base/ctseg_json_int.h"
#include "fuzz.h"


#define LEVELS  16
#define NODES   200


typedef struct {
    ctseg_str_t  in;
    const char  *at;                    /* behind the token before */
    unsigned     depth;                 /* containers open */
    unsigned     values;
    unsigned     stop;                  /* say no at this token */
    unsigned     tokens;
} scan_t;


/* decoded text, escaped again, decodes to itself */

static bool
again_token(void *data, const ctseg_json_token_t *t)
{
    fuzz_check(t->type == CTSEG_JSON_STRING);
    fuzz_check(ctseg_str_eq(t->text, *(ctseg_str_t *) data));

    return true;
}


static void
check_escape(ctseg_str_t text)
{
    ctseg_buf_t  out = { NULL, 0, 0, false };

    ctseg_json_string(&out, text);
    fuzz_check_json(&out);
    fuzz_check(ctseg_json_scan(ctseg_buf_slice(&out), 1, again_token, &text,
                               NULL) == CTSEG_OK);
    ctseg_buf_free(&out);
}


static void
check_text(const ctseg_json_token_t *t)
{
    fuzz_check(t->raw.len >= 2);
    fuzz_check(t->raw.data[0] == '"' && t->raw.data[t->raw.len - 1] == '"');
    fuzz_check(fuzz_utf8(t->text) == t->text.len);

    if (memchr(t->raw.data, '\\', t->raw.len) == NULL) {
        fuzz_check(t->text.len == t->raw.len - 2);
        fuzz_check(memcmp(t->text.data, t->raw.data + 1, t->text.len) == 0);
    }

    if (t->text.len < 64) {
        check_escape(t->text);
    }
}


static bool
on_token(void *data, const ctseg_json_token_t *t)
{
    scan_t  *s;

    s = data;

    fuzz_check(t->raw.data >= s->at);
    fuzz_check(t->raw.len != 0);
    fuzz_check(t->raw.data + t->raw.len <= s->in.data + s->in.len);
    s->at = t->raw.data + t->raw.len;

    switch (t->type) {

    case CTSEG_JSON_ARRAY_END:
    case CTSEG_JSON_OBJECT_END:
        fuzz_check(t->depth == --s->depth);
        break;

    case CTSEG_JSON_KEY:
        fuzz_check(t->depth == s->depth - 1);
        check_text(t);
        break;

    default:
        fuzz_check(t->depth == s->depth);
        s->values++;
    }

    if (t->type == CTSEG_JSON_ARRAY || t->type == CTSEG_JSON_OBJECT) {
        fuzz_check(t->raw.len == 1);
        s->depth++;
        fuzz_check(s->depth <= LEVELS);
    }

    if (t->type == CTSEG_JSON_STRING) {
        check_text(t);
    }

    if (t->type == CTSEG_JSON_NUMBER) {
        fuzz_check(ctseg_str_eq(t->text, t->raw));
        fuzz_check(fuzz_is_json(t->raw, 0));
    }

    return ++s->tokens != s->stop;
}


static void
write_tree(ctseg_json_writer_t *w, const ctseg_json_t *v)
{
    unsigned             n;
    const ctseg_json_t  *c;

    switch (v->type) {

    case CTSEG_JSON_ARRAY:
    case CTSEG_JSON_OBJECT:
        ctseg_jw_open(w, NULL, v->type == CTSEG_JSON_ARRAY ? '[' : '{');

        for (n = 0, c = v->child; c != NULL; c = c->next, n++) {

            /* names of the writer are its own: this one is any text */

            if (v->type == CTSEG_JSON_OBJECT) {
                if (n != 0) {
                    ctseg_buf_char(w->buf, ',');
                }

                ctseg_json_string(w->buf, c->key);
                ctseg_buf_char(w->buf, ':');
                w->comma = false;
            }

            write_tree(w, c);
        }

        fuzz_check(n == v->n);
        ctseg_jw_close(w, v->type == CTSEG_JSON_ARRAY ? ']' : '}');
        break;

    case CTSEG_JSON_STRING:
        ctseg_jw_str(w, NULL, v->text);
        break;

    case CTSEG_JSON_BOOL:
        ctseg_jw_bool(w, NULL, v->boolean);
        break;

    case CTSEG_JSON_NUMBER:
        ctseg_jw_raw(w, NULL, v->text);
        break;

    default:
        ctseg_jw_null(w, NULL);
    }
}


static ctseg_json_t *
parse(ctseg_arena_t *a, ctseg_str_t in, const scan_t *s)
{
    ctseg_rc_t     rc;
    ctseg_err_t    err;
    ctseg_json_t  *root;

    root = NULL;
    rc = ctseg_json_parse(a, in, LEVELS, NODES, &root, &err);

    if (rc == CTSEG_OK) {
        fuzz_check(root != NULL && s->values <= NODES);
        fuzz_check(fuzz_is_json(root->raw, LEVELS));
        return root;
    }

    fuzz_check(rc == CTSEG_INVALID);
    fuzz_check(s->values > NODES || fuzz_has(err.text, "twice"));
    fuzz_check(fuzz_utf8(ctseg_str(err.text)) == strlen(err.text));

    return NULL;
}


static void
check_tree(ctseg_str_t in, const scan_t *s)
{
    ctseg_buf_t           one = { NULL, 0, 0, false };
    ctseg_buf_t           two = { NULL, 0, 0, false };
    ctseg_json_t         *root;
    ctseg_arena_t        *a;
    ctseg_json_writer_t   w;

    a = ctseg_arena_create();
    fuzz_check(a != NULL);

    root = parse(a, in, s);

    if (root != NULL) {
        w.buf = &one;
        w.comma = false;
        write_tree(&w, root);
        fuzz_check_json(&one);

        root = parse(a, ctseg_buf_slice(&one), s);
        fuzz_check(root != NULL);

        w.buf = &two;
        w.comma = false;
        write_tree(&w, root);
        fuzz_check(ctseg_str_eq(ctseg_buf_slice(&one),
                                ctseg_buf_slice(&two)));
    }

    ctseg_buf_free(&one);
    ctseg_buf_free(&two);
    ctseg_arena_destroy(a);
}


/* ---- the text itself and its cut, token by token ---- */

typedef struct {
    ctseg_str_t  in;
    unsigned     n;
    unsigned     stop;
    uint64_t     sum;
} sum_t;


static void
sum_add(sum_t *s, uint64_t v)
{
    s->sum = (s->sum ^ v) * 0x9e3779b97f4a7c15;
    s->sum ^= s->sum >> 29;
}


static bool
sum_token(void *data, const ctseg_json_token_t *t)
{
    sum_t  *s;

    s = data;

    sum_add(s, t->type);
    sum_add(s, t->depth);
    sum_add(s, t->boolean);
    sum_add(s, (uint64_t) (t->raw.data - s->in.data));
    sum_add(s, t->raw.len);

    if (t->type == CTSEG_JSON_KEY || t->type == CTSEG_JSON_STRING
        || t->type == CTSEG_JSON_NUMBER)
    {
        sum_add(s, ctseg_hash64(t->text));
    }

    return ++s->n != s->stop;
}


static unsigned
check_cut(ctseg_str_t in, unsigned stop)
{
    sum_t        plain, cut;
    ctseg_rc_t   rc;
    ctseg_err_t  err, plain_err;

    memset(&plain, 0, sizeof(sum_t));
    plain.in = in;
    plain.stop = stop;
    cut = plain;

    rc = ctseg_json_scan_plain(in, LEVELS, sum_token, &plain, &plain_err);

    fuzz_check(ctseg_json_scan(in, LEVELS, sum_token, &cut, &err) == rc);
    fuzz_check(cut.n == plain.n && cut.sum == plain.sum);
    fuzz_check(err.code == plain_err.code && err.offset == plain_err.offset);
    fuzz_check(strcmp(err.text, plain_err.text) == 0);

    return plain.n;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    scan_t       s;
    unsigned     n;
    ctseg_rc_t   rc;
    ctseg_err_t  err;
    ctseg_str_t  in;

    in = fuzz_str(data, size);

    fuzz_check(ctseg_utf8_check(in) == fuzz_utf8(in));

    if (fuzz_utf8(in) == in.len) {
        check_escape(in);
    }

    n = check_cut(in, 0);
    (void) check_cut(in, n / 2 + 1);

    memset(&s, 0, sizeof(scan_t));
    s.in = in;
    s.at = in.data;

    rc = ctseg_json_scan(in, LEVELS, on_token, &s, &err);

    fuzz_check((rc == CTSEG_OK) == fuzz_is_json(in, LEVELS));

    if (rc == CTSEG_OK) {
        fuzz_check(s.depth == 0);
        check_tree(in, &s);

        /* a caller who has seen enough is obeyed at once */

        s.stop = s.tokens / 2 + 1;
        s.tokens = 0;
        s.depth = 0;
        s.at = in.data;
        rc = ctseg_json_scan(in, LEVELS, on_token, &s, &err);
        fuzz_check(rc == CTSEG_INVALID && s.tokens == s.stop);
        fuzz_check(err.offset < in.len);

        return 0;
    }

    fuzz_check(rc == CTSEG_INVALID);
    fuzz_check(err.offset <= in.len);
    fuzz_check(err.text[0] != '\0');
    fuzz_check(fuzz_utf8(ctseg_str(err.text)) == strlen(err.text));

    return 0;
}
