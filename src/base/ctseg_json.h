/*
 * JSON, the only user of yajl.  yajl checks the syntax and finds the tokens;
 * depth, UTF-8 and size are limited here, since yajl has no limit of depth
 * and lets overlong UTF-8 and encoded surrogates pass.  Numbers stay text.
 * Any thread.
 */

#ifndef CTSEG_JSON_H
#define CTSEG_JSON_H


#include "ctseg_mem.h"


typedef enum {
    CTSEG_JSON_NULL = 0,
    CTSEG_JSON_BOOL,
    CTSEG_JSON_NUMBER,
    CTSEG_JSON_STRING,
    CTSEG_JSON_ARRAY,
    CTSEG_JSON_OBJECT,
    CTSEG_JSON_KEY,             /* tokens only */
    CTSEG_JSON_ARRAY_END,       /* tokens only */
    CTSEG_JSON_OBJECT_END       /* tokens only */
} ctseg_json_type_t;


/* ---- tokens: one pass, no memory of its own but yajl's ---- */

typedef struct {
    ctseg_json_type_t  type;
    bool               boolean;
    unsigned           depth;   /* of the value or, for a key or an end, of
                                   its container: the root value is 0, its
                                   members are 1 */
    ctseg_str_t        text;    /* STRING and KEY: decoded; NUMBER: as written.
                                   Valid during the callback only */
    ctseg_str_t        raw;     /* bytes in the input: a string or key with its
                                   quotes; of a container the bracket alone */
} ctseg_json_token_t;

/* false ends the scan with CTSEG_INVALID; err may be filled by the callback */

typedef bool (*ctseg_json_token_pt)(void *data, const ctseg_json_token_t *t);

/*
 * INVALID: not exactly one JSON text in well-formed UTF-8, or deeper than
 * max_depth containers, or the callback said no.  err->offset and err->text
 * say where and what ("invalid UTF-8", "nested deeper than 32 levels",
 * yajl's own short text without the input's bytes).  NOMEM.
 */

ctseg_rc_t ctseg_json_scan(ctseg_str_t text, unsigned max_depth,
    ctseg_json_token_pt cb, void *data, ctseg_err_t *err);


/* ---- tree: for small bodies ---- */

typedef struct ctseg_json_s  ctseg_json_t;

struct ctseg_json_s {
    ctseg_json_type_t  type;
    bool               boolean;
    unsigned           n;       /* members or elements */
    ctseg_str_t        text;    /* STRING: decoded, NUL behind it; NUMBER */
    ctseg_str_t        raw;     /* the whole value in the input (borrowed) */
    ctseg_str_t        key;     /* decoded name, when a member */
    ctseg_json_t      *child;   /* first member or element */
    ctseg_json_t      *next;    /* sibling */
};

/*
 * The tree lives in the arena; raw slices point into text, which must
 * outlive it.  A name that occurs twice in one object is INVALID, as are
 * more than max_nodes values.
 */

ctseg_rc_t ctseg_json_parse(ctseg_arena_t *a, ctseg_str_t text,
    unsigned max_depth, unsigned max_nodes, ctseg_json_t **root,
    ctseg_err_t *err);

/* member by name, NULL if absent or obj is no object */

ctseg_json_t *ctseg_json_get(const ctseg_json_t *obj, const char *name);

/* an integer written without fraction or exponent that fits */

bool ctseg_json_int64(const ctseg_json_t *v, int64_t *out);


/* ---- writing ---- */

/* text as the inside of a JSON string: ", \ and controls escaped */

void ctseg_json_escape(ctseg_buf_t *b, ctseg_str_t text);

/* the same with quotes around it; s.data == NULL writes null */

void ctseg_json_string(ctseg_buf_t *b, ctseg_str_t s);
void ctseg_json_cstring(ctseg_buf_t *b, const char *s);

/*
 * A writer that sets the commas.  Names are constants of ours and not
 * escaped; name is NULL inside an array and at the root.
 */

typedef struct {
    ctseg_buf_t  *buf;
    bool          comma;
} ctseg_json_writer_t;

void ctseg_jw_open(ctseg_json_writer_t *w, const char *name, char bracket);
void ctseg_jw_close(ctseg_json_writer_t *w, char bracket);
void ctseg_jw_str(ctseg_json_writer_t *w, const char *name, ctseg_str_t s);
void ctseg_jw_cstr(ctseg_json_writer_t *w, const char *name, const char *s);
void ctseg_jw_int(ctseg_json_writer_t *w, const char *name, int64_t n);
void ctseg_jw_uint(ctseg_json_writer_t *w, const char *name, uint64_t n);
void ctseg_jw_bool(ctseg_json_writer_t *w, const char *name, bool v);
void ctseg_jw_null(ctseg_json_writer_t *w, const char *name);

/* RFC 3339 instant; ms == 0 writes null */

void ctseg_jw_time(ctseg_json_writer_t *w, const char *name, int64_t ms);

/* milliseconds as seconds, with as many decimals as it takes: 0.012, 2.5 */

void ctseg_jw_seconds(ctseg_json_writer_t *w, const char *name, int64_t ms);

/* valid JSON, copied as it is */

void ctseg_jw_raw(ctseg_json_writer_t *w, const char *name, ctseg_str_t json);


#endif /* CTSEG_JSON_H */
