/*
 * A text that arrives in pieces, line by line.  A line of bounded length is
 * held at most; of a longer one only its end is looked for.  Any thread.
 */

#ifndef CTSEG_LINES_H
#define CTSEG_LINES_H


#include "../base/ctseg_mem.h"


typedef enum {
    CTSEG_LINES_MORE = 0,               /* the piece is used up */
    CTSEG_LINES_LINE,
    CTSEG_LINES_LONG,                   /* a line that was too long */
    CTSEG_LINES_END,                    /* of the text */
    CTSEG_LINES_NOMEM
} ctseg_lines_rc_t;


/* zeroed, and max set, it is ready */

typedef struct {
    size_t       max;                   /* bytes of a line, without its end */
    uint64_t     number;                /* of the line at hand, from 1 */

    ctseg_str_t  in;                    /* what is left of the piece */
    ctseg_buf_t  carry;                 /* the beginning of a line whose end
                                           has not come */
    bool         used;                  /* carry is the line handed out */
    bool         skipping;              /* it is too long already */
    bool         last;                  /* no other piece comes */
} ctseg_lines_t;


/* the next piece, when the one before is used up; borrowed until then */

void ctseg_lines_feed(ctseg_lines_t *l, ctseg_str_t piece, bool last);

/*
 * The next line, without its "\n" or "\r\n"; the slice is valid until the
 * next call.  A last line does not need an end; an empty rest is no line.
 */

ctseg_lines_rc_t ctseg_lines_next(ctseg_lines_t *l, ctseg_str_t *line);

void ctseg_lines_free(ctseg_lines_t *l);


#endif /* CTSEG_LINES_H */
