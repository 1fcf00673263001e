/*
 * What the files of the scan share, and its tests: the cut of a text, the
 * memory of yajl, escapes.  Private to ctseg_json*.c.
 */

#ifndef CTSEG_JSON_INT_H
#define CTSEG_JSON_INT_H


#include "ctseg_json.h"

#include <setjmp.h>


/*
 * ---- the cut ----
 *
 * A plain string has neither escapes nor control characters, so there is
 * nothing in it that yajl could object to.  The cut is the same text with all
 * plain strings empty, in pieces: what yajl says of it, it would say of the
 * text, and whatever is wrong with the text is still in it.  A piece never
 * ends inside of a token, but for a text that is wrong there.
 */

#define CTSEG_JSON_PIECE   4096
#define CTSEG_JSON_PLACES  256
#define CTSEG_JSON_GAP     512          /* between two plain strings; more is
                                           a piece by itself, and no copy */


/* a string that was made empty */

typedef struct {
    size_t       start;                 /* of its first quote in the text */
    size_t       len;                   /* of what is inside */
    size_t       shift;                 /* from there on what is added to an
                                           offset in the piece, for that in
                                           the text; modulo 2^n */
} ctseg_json_place_t;


/* what has been looked at */

typedef struct {
    ctseg_str_t          in;
    size_t               block;         /* of 64 bytes: where it begins */
    uint64_t             special;       /* bit i: its byte i is special, and
                                           has not been taken */
} ctseg_json_eye_t;


typedef struct {
    ctseg_str_t          piece;         /* the one at hand */
    size_t               shift;         /* at its beginning */
    unsigned             nplaces;       /* in it, in their order */
    ctseg_json_place_t   place[CTSEG_JSON_PLACES];

    /* behind the piece at hand */

    ctseg_json_eye_t     eye;
    size_t               at;            /* first byte that follows */
    size_t               quote;         /* and the quote of the first string */
    char                 buf[CTSEG_JSON_PIECE + 16];
} ctseg_json_cut_t;


/* text is not empty and outlives the cut */

void ctseg_json_cut(ctseg_json_cut_t *cut, ctseg_str_t text);

/* false: there is no more */

bool ctseg_json_cut_next(ctseg_json_cut_t *cut);

/*
 * Bit i is set when byte i of these 64 is a quote, a backslash or a control
 * character.  The second one does it without the instructions of a machine.
 */

uint64_t ctseg_json_special(const char *p);
uint64_t ctseg_json_special_words(const char *p);

/* bytes at the front that are ASCII and neither \v nor \f; or a bit less */

size_t ctseg_json_ascii(ctseg_str_t text);
size_t ctseg_json_ascii_words(ctseg_str_t text);


/*
 * ---- the memory of yajl ----
 *
 * From a place of its own as long as that lasts, from malloc behind it; all
 * of it ends with _end.  Where there is none, longjmp to "lack".
 */

#define CTSEG_JSON_OWN  5120

typedef struct ctseg_json_piece_s  ctseg_json_piece_t;

typedef struct {
    jmp_buf              lack;
    ctseg_json_piece_t  *pieces;        /* from malloc */
    size_t               used;          /* of own */

    _Alignas(16) char    own[CTSEG_JSON_OWN];
} ctseg_json_mem_t;

void ctseg_json_mem_begin(ctseg_json_mem_t *mem);       /* but for "lack" */
void ctseg_json_mem_end(ctseg_json_mem_t *mem);

/* as yajl wants them; ctx is the ctseg_json_mem_t */

void *ctseg_json_malloc(void *ctx, size_t n);
void *ctseg_json_realloc(void *ctx, void *data, size_t n);
void ctseg_json_free(void *ctx, void *data);


/* ---- escapes ---- */

/* does the inside of a string hold an escape \uD8.. to \uDF.. ? */

bool ctseg_json_has_surrogate(ctseg_str_t inside);

/* the inside of a string that yajl has found to be one, decoded */

void ctseg_json_unescape(ctseg_buf_t *b, ctseg_str_t inside);


/* ---- for tests: ctseg_json_scan without the cut ---- */

ctseg_rc_t ctseg_json_scan_plain(ctseg_str_t text, unsigned max_depth,
    ctseg_json_token_pt cb, void *data, ctseg_err_t *err);


#endif /* CTSEG_JSON_INT_H */
