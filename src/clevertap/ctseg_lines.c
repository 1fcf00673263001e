/*
 * Lines that lie whole in a piece are handed out as they lie there; only one
 * that a piece cuts in two is copied.
 */

#include <string.h>

#include "ctseg_lines.h"


void
ctseg_lines_feed(ctseg_lines_t *l, ctseg_str_t piece, bool last)
{
    l->in = piece;
    l->last = last;
}


/* a line of the text as people count them, with "\r" taken off */

static ctseg_lines_rc_t
ctseg_lines_out(ctseg_lines_t *l, ctseg_str_t text, ctseg_str_t *line)
{
    l->number++;

    if (l->skipping || text.len > l->max + 1) {
        l->skipping = false;
        return CTSEG_LINES_LONG;
    }

    if (text.len != 0 && text.data[text.len - 1] == '\r') {
        text.len--;
    }

    if (text.len > l->max) {
        return CTSEG_LINES_LONG;
    }

    *line = text;

    return CTSEG_LINES_LINE;
}


/* keep the beginning of a line, as much of it as a line may have */

static void
ctseg_lines_keep(ctseg_lines_t *l, ctseg_str_t text)
{
    if (l->skipping) {
        return;
    }

    /* with one byte more for a "\r" */

    if (l->carry.len + text.len > l->max + 1) {
        l->skipping = true;
        ctseg_buf_reset(&l->carry);
        return;
    }

    ctseg_buf_str(&l->carry, text);
}


ctseg_lines_rc_t
ctseg_lines_next(ctseg_lines_t *l, ctseg_str_t *line)
{
    bool         open;
    const char  *end;
    ctseg_str_t  text;

    if (l->used) {
        l->used = false;
        ctseg_buf_reset(&l->carry);
    }

    end = l->in.len == 0 ? NULL : memchr(l->in.data, '\n', l->in.len);
    open = l->carry.len != 0 || l->skipping;
    text = l->in;

    if (end == NULL) {
        ctseg_lines_keep(l, text);
        l->in.len = 0;

        if (l->carry.failed) {
            return CTSEG_LINES_NOMEM;
        }

        if (!l->last) {
            return CTSEG_LINES_MORE;
        }

        if (!open && text.len == 0) {
            return CTSEG_LINES_END;
        }

        l->used = true;

        return ctseg_lines_out(l, ctseg_buf_slice(&l->carry), line);
    }

    text.len = (size_t) (end - text.data);
    l->in.data = end + 1;
    l->in.len -= text.len + 1;

    if (!open) {
        return ctseg_lines_out(l, text, line);
    }

    ctseg_lines_keep(l, text);

    if (l->carry.failed) {
        return CTSEG_LINES_NOMEM;
    }

    l->used = true;

    return ctseg_lines_out(l, ctseg_buf_slice(&l->carry), line);
}


void
ctseg_lines_free(ctseg_lines_t *l)
{
    ctseg_buf_free(&l->carry);
    memset(l, 0, sizeof(ctseg_lines_t));
}
