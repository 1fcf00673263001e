/*
 * Writing JSON: escaping, and a writer that sets the commas.  The API, the
 * stored records and the metrics of a run are rendered with it.  It appends
 * to a buffer and looks at no failure, since the buffer remembers its own.
 * It does not check that brackets match nor that a name is given where one
 * is needed: the callers' tests parse what they render.
 */

#include "ctseg_json.h"
#include "ctseg_str.h"
#include "ctseg_time.h"

#include <inttypes.h>
#include <string.h>


void
ctseg_json_escape(ctseg_buf_t *b, ctseg_str_t text)
{
    char           esc[7];
    size_t         i, from;
    unsigned char  c;

    static const char  hex[] = "0123456789abcdef";

    /* runs of plain bytes are copied as one */

    for (i = 0, from = 0; i < text.len; i++) {
        c = (unsigned char) text.data[i];

        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }

        ctseg_buf_add(b, text.data + from, i - from);
        from = i + 1;

        switch (c) {
        case '"':
            ctseg_buf_add(b, "\\\"", 2);
            break;

        case '\\':
            ctseg_buf_add(b, "\\\\", 2);
            break;

        case '\n':
            ctseg_buf_add(b, "\\n", 2);
            break;

        case '\r':
            ctseg_buf_add(b, "\\r", 2);
            break;

        case '\t':
            ctseg_buf_add(b, "\\t", 2);
            break;

        default:
            memcpy(esc, "\\u00", 4);
            esc[4] = hex[c >> 4];
            esc[5] = hex[c & 0x0f];
            ctseg_buf_add(b, esc, 6);
            break;
        }
    }

    if (from < text.len) {
        ctseg_buf_add(b, text.data + from, text.len - from);
    }
}


void
ctseg_json_string(ctseg_buf_t *b, ctseg_str_t s)
{
    if (s.data == NULL) {
        ctseg_buf_add(b, "null", 4);
        return;
    }

    ctseg_buf_char(b, '"');
    ctseg_json_escape(b, s);
    ctseg_buf_char(b, '"');
}


void
ctseg_json_cstring(ctseg_buf_t *b, const char *s)
{
    ctseg_str_t  none = { 0, NULL };

    ctseg_json_string(b, s != NULL ? ctseg_str(s) : none);
}


static void
ctseg_json_write_name(ctseg_json_writer_t *w, const char *name)
{
    if (w->comma) {
        ctseg_buf_char(w->buf, ',');
    }

    w->comma = true;

    if (name != NULL) {
        ctseg_buf_char(w->buf, '"');
        ctseg_buf_cstr(w->buf, name);
        ctseg_buf_add(w->buf, "\":", 2);
    }
}


void
ctseg_jw_open(ctseg_json_writer_t *w, const char *name, char bracket)
{
    ctseg_json_write_name(w, name);
    ctseg_buf_char(w->buf, bracket);
    w->comma = false;
}


void
ctseg_jw_close(ctseg_json_writer_t *w, char bracket)
{
    ctseg_buf_char(w->buf, bracket);
    w->comma = true;
}


void
ctseg_jw_str(ctseg_json_writer_t *w, const char *name, ctseg_str_t s)
{
    ctseg_json_write_name(w, name);
    ctseg_json_string(w->buf, s);
}


void
ctseg_jw_cstr(ctseg_json_writer_t *w, const char *name, const char *s)
{
    ctseg_json_write_name(w, name);
    ctseg_json_cstring(w->buf, s);
}


void
ctseg_jw_int(ctseg_json_writer_t *w, const char *name, int64_t n)
{
    ctseg_json_write_name(w, name);
    ctseg_buf_fmt(w->buf, "%" PRId64, n);
}


void
ctseg_jw_uint(ctseg_json_writer_t *w, const char *name, uint64_t n)
{
    ctseg_json_write_name(w, name);
    ctseg_buf_fmt(w->buf, "%" PRIu64, n);
}


void
ctseg_jw_bool(ctseg_json_writer_t *w, const char *name, bool v)
{
    ctseg_json_write_name(w, name);
    ctseg_buf_cstr(w->buf, v ? "true" : "false");
}


void
ctseg_jw_null(ctseg_json_writer_t *w, const char *name)
{
    ctseg_json_write_name(w, name);
    ctseg_buf_add(w->buf, "null", 4);
}


void
ctseg_jw_time(ctseg_json_writer_t *w, const char *name, int64_t ms)
{
    char  text[CTSEG_RFC3339_LEN + 1];

    if (ms == 0) {
        ctseg_jw_null(w, name);
        return;
    }

    ctseg_rfc3339(text, ms);
    ctseg_jw_cstr(w, name, text);
}


void
ctseg_jw_seconds(ctseg_json_writer_t *w, const char *name, int64_t ms)
{
    unsigned  rest, digits;

    /* without floating point: its decimal point depends on the locale */

    ctseg_json_write_name(w, name);

    if (ms < 0) {
        ms = 0;
    }

    ctseg_buf_fmt(w->buf, "%" PRId64, ms / 1000);

    rest = (unsigned) (ms % 1000);

    if (rest == 0) {
        return;
    }

    for (digits = 3; rest % 10 == 0; digits--) {
        rest /= 10;
    }

    ctseg_buf_fmt(w->buf, ".%0*u", (int) digits, rest);
}


void
ctseg_jw_raw(ctseg_json_writer_t *w, const char *name, ctseg_str_t json)
{
    ctseg_json_write_name(w, name);
    ctseg_buf_str(w->buf, json);
}
