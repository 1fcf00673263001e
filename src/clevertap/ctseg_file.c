/*
 * The file as a whole: the name in front, the lines, and the parts in which
 * they are committed.
 */

#include <string.h>

#include "ctseg_file.h"
#include "ctseg_file_line.h"
#include "../base/ctseg_str.h"


/* what was wrong with a line; of many, the first are told */

static void
ctseg_file_note(ctseg_file_t *f, int code, ctseg_str_t text)
{
    ctseg_buf_t  *out;

    f->failed++;
    f->refused[ctseg_refusal_of(code)]++;

    if (f->told == CTSEG_FILE_ERRORS_MAX) {
        return;
    }

    out = &f->unprocessed;

    if (f->told++ != 0) {
        ctseg_buf_char(out, ',');
    }

    ctseg_buf_cstr(out, "{\"status\":\"fail\",\"error\":\"");
    ctseg_buf_str(out, text);
    ctseg_buf_fmt(out, "\",\"code\":%d,\"line\":%llu}", code,
                  (unsigned long long) f->lines.number);
}


/* the name alone, as it is or as a JSON string */

static void
ctseg_file_head(ctseg_file_t *f, ctseg_str_t text)
{
    ctseg_rc_t      rc;
    ctseg_str_t     decoded;
    ctseg_json_t   *root;
    ctseg_arena_t  *arena;

    arena = NULL;
    decoded = text;

    if (text.data[0] == '"') {
        arena = ctseg_arena_create();
        rc = arena == NULL ? CTSEG_NOMEM
                           : ctseg_json_parse(arena, text, 1, 1, &root, NULL);

        if (rc == CTSEG_OK) {
            decoded = root->text;

        } else if (rc == CTSEG_NOMEM) {
            f->name.failed = true;
        }
    }

    if (ctseg_utf8_check(decoded) == decoded.len
        && !ctseg_intake_is_blank(decoded))
    {
        ctseg_json_escape(&f->name, decoded);
        f->kind = ctseg_catalog_find(decoded);
        f->is_charged = ctseg_intake_is(decoded, "Charged");
    }

    ctseg_arena_destroy(arena);

    if (!f->name.failed
        && (f->name.len == 0 || f->name.len > CTSEG_NAME_LEN_MAX))
    {
        ctseg_buf_reset(&f->name);
        ctseg_file_note(f, CTSEG_CODE_NO_NAME, ctseg_str("The first line must"
                        " be the name of an event"));
    }
}


/* true: it is an event */

static bool
ctseg_file_read(ctseg_file_t *f, ctseg_str_t text, ctseg_event_t *ev)
{
    int                code;
    ctseg_file_head_t  head;

    head.zone = f->zone;
    head.now_ms = f->now_ms;
    head.name = ctseg_buf_slice(&f->name);
    head.kind = f->kind;
    head.is_charged = f->is_charged;

    ctseg_buf_reset(&f->props);
    ctseg_buf_reset(&f->why);

    code = ctseg_file_line(&head, text, ev, &f->props, &f->why);

    if (code == 0) {
        f->good++;
        return true;
    }

    ctseg_file_note(f, code, ctseg_buf_slice(&f->why));

    return false;
}


/* a line that is there, whatever it holds: it belongs to the part at hand */

static bool
ctseg_file_count(ctseg_file_t *f, ctseg_str_t text)
{
    ctseg_str_t  parts[2];

    parts[0].data = f->hash;
    parts[0].len = CTSEG_HASH_LEN;
    parts[1] = text;

    f->part_lines++;
    f->part_bytes += text.len + 1;

    return ctseg_hash(&f->hasher, parts, 2, f->hash);
}


void
ctseg_file_feed(ctseg_file_t *f, ctseg_str_t piece, bool last)
{
    f->lines.max = CTSEG_FILE_LINE_MAX;

    ctseg_lines_feed(&f->lines, piece, last);
}


static bool
ctseg_file_is_empty(ctseg_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] != ' ' && text.data[i] != '\t') {
            return false;
        }
    }

    return true;
}


/* the mark of UTF-8 that some editors put in front */

static ctseg_str_t
ctseg_file_first(ctseg_str_t text)
{
    if (text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0) {
        text.data += 3;
        text.len -= 3;
    }

    return text;
}


ctseg_file_rc_t
ctseg_file_next(ctseg_file_t *f, ctseg_event_t *ev)
{
    ctseg_str_t       text;
    ctseg_lines_rc_t  rc;

    for ( ;; ) {

        if (f->why.failed || f->unprocessed.failed || f->name.failed) {
            return CTSEG_FILE_NOMEM;
        }

        if (f->part_bytes >= CTSEG_FILE_PART_BYTES
            || f->part_lines >= CTSEG_FILE_PART_LINES
            || (f->ended && f->part_lines != 0))
        {
            f->part_bytes = 0;
            f->part_lines = 0;
            return CTSEG_FILE_PART;
        }

        if (f->ended) {
            return CTSEG_FILE_END;
        }

        text.data = "";
        text.len = 0;

        rc = ctseg_lines_next(&f->lines, &text);

        switch (rc) {

        case CTSEG_LINES_MORE:
            return CTSEG_FILE_MORE;

        case CTSEG_LINES_END:
            f->ended = true;
            continue;

        case CTSEG_LINES_NOMEM:
            return CTSEG_FILE_NOMEM;

        default:
            break;
        }

        if (!ctseg_file_count(f, text)) {
            return CTSEG_FILE_NOMEM;
        }

        if (rc == CTSEG_LINES_LONG) {
            ctseg_file_note(f, CTSEG_CODE_STRUCTURE, ctseg_str("Event"
                            " structure invalid: the line is longer than"
                            " 131072 bytes"));
            f->begun = true;
            continue;
        }

        if (!f->begun) {
            text = ctseg_file_first(text);
        }

        if (ctseg_file_is_empty(text)) {
            continue;
        }

        if (!f->begun) {
            f->begun = true;

            if (text.data[0] != '{') {
                ctseg_file_head(f, text);
                continue;
            }
        }

        if (ctseg_file_read(f, text, ev) && !f->why.failed) {
            return CTSEG_FILE_EVENT;
        }
    }
}


void
ctseg_file_free(ctseg_file_t *f)
{
    ctseg_lines_free(&f->lines);
    ctseg_buf_free(&f->name);
    ctseg_buf_free(&f->props);
    ctseg_buf_free(&f->why);
    ctseg_buf_free(&f->unprocessed);
    ctseg_hash_free(&f->hasher);
    memset(f, 0, sizeof(ctseg_file_t));
}


void
ctseg_file_render(ctseg_buf_t *out, const ctseg_file_t *f)
{
    const char  *status;

    status = f->failed == 0 ? "success" : f->good == 0 ? "fail" : "partial";

    ctseg_buf_fmt(out, "{\"status\":\"%s\",\"processed\":%llu,"
                  "\"failed\":%llu,\"lines\":%llu,\"unprocessed\":[", status,
                  (unsigned long long) f->good,
                  (unsigned long long) f->failed,
                  (unsigned long long) f->lines.number);
    ctseg_buf_str(out, ctseg_buf_slice(&f->unprocessed));
    ctseg_buf_cstr(out, "]}\n");
}
