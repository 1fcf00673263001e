/*
 * Answers of Get Events, in two passes.  The first one reads the answer as a
 * whole: what it says, its cursor, and where each record lies; nothing of a
 * page that is cut or strange may be taken.  The second one reads the records
 * one by one.  What an answer means was found by people who pulled, and is in
 * no page of the documentation: a failure may come with status 200, and with
 * the number that counts inside.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctseg_pull.h"
#include "ctseg_pull_record.h"
#include "../base/ctseg_str.h"


#define CTSEG_PULL_DEPTH_MAX  1024      /* deeper ones are no page; deep
                                           records are judged one by one */
#define CTSEG_PULL_CODE_BUSY  2


/* depths as ctseg_json.h counts them */

#define CTSEG_PULL_MEMBER     1
#define CTSEG_PULL_RECORD     2


typedef enum {
    CTSEG_PULL_ANY = 0,
    CTSEG_PULL_STATUS,
    CTSEG_PULL_CODE,
    CTSEG_PULL_ERROR,
    CTSEG_PULL_CURSOR,
    CTSEG_PULL_NEXT,
    CTSEG_PULL_RECORDS
} ctseg_pull_member_t;


/* the first pass */

typedef struct {
    ctseg_str_t           records[CTSEG_PULL_BATCH];
    unsigned              nrecords;
    const char           *start;        /* of the record at hand */
    ctseg_pull_member_t   member;
    bool                  is_object;
    bool                  has_records;
    bool                  has_cursor;
    bool                  has_next;
    bool                  success;
    bool                  partial;
    bool                  fail;
    bool                  too_many;
    bool                  too_long;     /* the cursor */
    int64_t               code;
    char                  error[128];
    ctseg_buf_t           cursor;       /* as it came */
} ctseg_pull_answer_t;


static const struct {
    ctseg_str_t          name;
    ctseg_pull_member_t  member;
} ctseg_pull_members[] = {
    { ctseg_string("status"), CTSEG_PULL_STATUS },
    { ctseg_string("code"), CTSEG_PULL_CODE },
    { ctseg_string("error"), CTSEG_PULL_ERROR },
    { ctseg_string("message"), CTSEG_PULL_ERROR },
    { ctseg_string("cursor"), CTSEG_PULL_CURSOR },
    { ctseg_string("next_cursor"), CTSEG_PULL_NEXT },
    { ctseg_string("records"), CTSEG_PULL_RECORDS }
};


/* ---- requests ---- */


void
ctseg_pull_body(ctseg_buf_t *out, ctseg_str_t name, const ctseg_civil_t *from,
    const ctseg_civil_t *to)
{
    ctseg_buf_cstr(out, "{\"event_name\":\"");
    ctseg_buf_str(out, name);
    ctseg_buf_fmt(out, "\",\"from\":%04d%02d%02d,\"to\":%04d%02d%02d}",
                  from->year, from->month, from->day, to->year, to->month,
                  to->day);
}


void
ctseg_pull_open_path(ctseg_buf_t *out, bool profiles)
{
    ctseg_buf_fmt(out, "/1/events.json?batch_size=%d&app=true&events=false"
                  "&profile=%s", CTSEG_PULL_BATCH,
                  profiles ? "true" : "false");
}


void
ctseg_pull_page_path(ctseg_buf_t *out, ctseg_str_t cursor)
{
    size_t         i;
    unsigned char  c;

    ctseg_buf_cstr(out, "/1/events.json?cursor=");

    for (i = 0; i < cursor.len; i++) {
        c = (unsigned char) cursor.data[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
            || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_'
            || c == '~')
        {
            ctseg_buf_char(out, (char) c);

        } else {
            ctseg_buf_fmt(out, "%%%02X", c);
        }
    }
}


static int
ctseg_pull_hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : -1;
}


/* once; a percent sign that begins no escape is one */

static void
ctseg_pull_decode(ctseg_buf_t *out, ctseg_str_t s)
{
    size_t  i;

    for (i = 0; i < s.len; i++) {

        if (s.data[i] == '%' && s.len - i > 2
            && ctseg_pull_hex(s.data[i + 1]) >= 0
            && ctseg_pull_hex(s.data[i + 2]) >= 0)
        {
            ctseg_buf_char(out, (char) (ctseg_pull_hex(s.data[i + 1]) * 16
                                        + ctseg_pull_hex(s.data[i + 2])));
            i += 2;
            continue;
        }

        ctseg_buf_char(out, s.data[i]);
    }
}


/* ---- the first pass ---- */


/* a text for people: no controls, whole characters */

static void
ctseg_pull_copy(char *out, size_t size, ctseg_str_t s)
{
    size_t       i;
    ctseg_str_t  cut;

    for (i = 0; i < s.len && i + 1 < size; i++) {
        out[i] = (unsigned char) s.data[i] < ' ' || s.data[i] == 0x7f
                 ? '?' : s.data[i];
    }

    out[i] = '\0';

    cut.data = out;
    cut.len = i;
    out[ctseg_utf8_check(cut)] = '\0';
}


static void
ctseg_pull_member(ctseg_pull_answer_t *a, ctseg_str_t name)
{
    size_t  i;

    a->member = CTSEG_PULL_ANY;

    for (i = 0; i < sizeof(ctseg_pull_members)
                    / sizeof(ctseg_pull_members[0]); i++)
    {
        if (ctseg_str_eq(name, ctseg_pull_members[i].name)) {
            a->member = ctseg_pull_members[i].member;
        }
    }
}


/* next_cursor counts, and where there is none, the cursor */

static void
ctseg_pull_cursor(ctseg_pull_answer_t *a, const ctseg_json_token_t *t)
{
    bool  next;

    next = a->member == CTSEG_PULL_NEXT;

    if (!next && a->has_next) {
        return;
    }

    ctseg_buf_reset(&a->cursor);

    a->has_next |= next;
    a->has_cursor = t->type == CTSEG_JSON_STRING && t->text.len != 0;
    a->too_long = t->text.len > 3 * CTSEG_PULL_CURSOR_MAX;

    if (a->has_cursor && !a->too_long) {
        ctseg_buf_str(&a->cursor, t->text);
    }
}


static void
ctseg_pull_value(ctseg_pull_answer_t *a, const ctseg_json_token_t *t)
{
    switch (a->member) {

    case CTSEG_PULL_STATUS:
        a->success = t->type == CTSEG_JSON_STRING
                     && ctseg_intake_is(t->text, "success");
        a->partial = t->type == CTSEG_JSON_STRING
                     && ctseg_intake_is(t->text, "partial");
        a->fail = t->type == CTSEG_JSON_STRING
                  && ctseg_intake_is(t->text, "fail");
        break;

    case CTSEG_PULL_CODE:
        if ((t->type != CTSEG_JSON_NUMBER && t->type != CTSEG_JSON_STRING)
            || !ctseg_str_int64(t->text, &a->code))
        {
            a->code = 0;
        }

        break;

    case CTSEG_PULL_ERROR:
        if (t->type == CTSEG_JSON_STRING) {
            ctseg_pull_copy(a->error, sizeof(a->error), t->text);
        }

        break;

    case CTSEG_PULL_CURSOR:
    case CTSEG_PULL_NEXT:
        ctseg_pull_cursor(a, t);
        break;

    case CTSEG_PULL_RECORDS:
        a->has_records = t->type == CTSEG_JSON_ARRAY;
        a->nrecords = 0;
        break;

    default:
        break;
    }
}


/* false: there are too many */

static bool
ctseg_pull_item(ctseg_pull_answer_t *a, const ctseg_json_token_t *t)
{
    const char   *end;
    ctseg_str_t  *record;

    if (t->type == CTSEG_JSON_OBJECT || t->type == CTSEG_JSON_ARRAY) {
        a->start = t->raw.data;
        return true;
    }

    if (a->nrecords == CTSEG_PULL_BATCH) {
        a->too_many = true;
        return false;
    }

    end = t->raw.data + t->raw.len;

    record = &a->records[a->nrecords++];
    record->data = t->type < CTSEG_JSON_KEY ? t->raw.data : a->start;
    record->len = (size_t) (end - record->data);

    return true;
}


static bool
ctseg_pull_scan(void *data, const ctseg_json_token_t *t)
{
    ctseg_pull_answer_t  *a;

    a = data;

    switch (t->depth) {

    case 0:
        if (t->type == CTSEG_JSON_OBJECT) {
            a->is_object = true;

        } else if (t->type == CTSEG_JSON_KEY) {
            ctseg_pull_member(a, t->text);
        }

        return true;

    case CTSEG_PULL_MEMBER:
        if (t->type < CTSEG_JSON_KEY) {
            ctseg_pull_value(a, t);
        }

        return true;

    case CTSEG_PULL_RECORD:
        return a->member != CTSEG_PULL_RECORDS || !a->has_records
               || t->type == CTSEG_JSON_KEY || ctseg_pull_item(a, t);

    default:
        return true;
    }
}


/* ---- what it means ---- */


static void
ctseg_pull_say(ctseg_pull_t *p, ctseg_pull_rc_t rc, int status,
    const char *what)
{
    char  text[2 * sizeof(p->text)];

    /* with its status in front of it, cut at a whole character */

    (void) snprintf(text, sizeof(text), "HTTP %d: %s", status, what);

    ctseg_pull_copy(p->text, sizeof(p->text), ctseg_str(text));
    p->rc = rc;
}


/* without regard to case; words is in small letters */

static bool
ctseg_pull_says(const char *text, const char *words)
{
    size_t       n;
    ctseg_str_t  part;

    n = strlen(words);

    for ( /* void */ ; strlen(text) >= n; text++) {
        part.data = text;
        part.len = n;

        if (ctseg_intake_is(part, words)) {
            return true;
        }
    }

    return false;
}


/* a status, or the code inside of the body that has the same meaning */

static bool
ctseg_pull_status(int64_t status, ctseg_pull_rc_t *rc)
{
    if (status == 429) {
        *rc = CTSEG_PULL_THROTTLED;

    } else if (status == 401 || status == 403) {
        *rc = CTSEG_PULL_DENIED;

    } else if (status == 408 || (status >= 500 && status <= 599)) {
        *rc = CTSEG_PULL_FAILED;

    } else {
        return false;
    }

    return true;
}


/* it is no page; the answer may have been no JSON */

static void
ctseg_pull_refusal(ctseg_pull_t *p, int status, const ctseg_pull_answer_t *a)
{
    const char       *what;
    ctseg_pull_rc_t   rc;

    what = a->error[0] != '\0' ? a->error
           : a->is_object ? "no reason is given" : "the answer is not JSON";

    if (status <= 499 && ctseg_pull_says(a->error, "export not allowed")) {
        rc = CTSEG_PULL_FORBIDDEN;

    } else if (status <= 499
               && ((a->code == CTSEG_PULL_CODE_BUSY && status <= 299)
                   || ctseg_pull_says(a->error, "still in progress")))
    {
        rc = CTSEG_PULL_BUSY;

    } else if (!ctseg_pull_status(status, &rc)
               && !ctseg_pull_status(a->code, &rc))
    {
        rc = ctseg_pull_says(a->error, "cursor") || status == 410
             ? CTSEG_PULL_LOST : CTSEG_PULL_WRONG;
    }

    ctseg_pull_say(p, rc, status, what);
}


/* a 2xx that is one JSON object */

static void
ctseg_pull_judge(ctseg_pull_t *p, int status, const ctseg_pull_answer_t *a)
{
    if (a->fail
        || (!a->success && !a->partial && !a->has_records && !a->has_cursor))
    {
        ctseg_pull_refusal(p, status, a);
        return;
    }

    /* it would pass for the last page, and a walk for one without events */

    if (p->opens && !a->has_records && !a->has_cursor) {
        ctseg_pull_say(p, CTSEG_PULL_WRONG, status, "there is no cursor");
        return;
    }

    ctseg_pull_decode(&p->cursor, ctseg_buf_slice(&a->cursor));

    if (a->too_long || p->cursor.len > CTSEG_PULL_CURSOR_MAX) {
        ctseg_buf_reset(&p->cursor);
        ctseg_pull_say(p, CTSEG_PULL_WRONG, status, "the cursor is too long");
        return;
    }

    p->rc = a->has_cursor && !a->has_records && !a->has_next && !a->partial
            ? CTSEG_PULL_OPENED : CTSEG_PULL_PAGE;
}


/* a 2xx that is not: the rest is missing, or it is something else */

static void
ctseg_pull_broken(ctseg_pull_t *p, int status, ctseg_str_t body,
    const ctseg_err_t *err)
{
    size_t  i;

    for (i = 0; i < body.len && strchr(" \t\r\n", body.data[i]) != NULL
                && body.data[i] != '\0'; i++)
    {
        /* void */
    }

    if (i < body.len && body.data[i] != '{') {
        ctseg_pull_say(p, CTSEG_PULL_WRONG, status, "the answer is not JSON");

    } else if (strncmp(err->text, "nested deeper", 13) == 0) {
        ctseg_pull_say(p, CTSEG_PULL_WRONG, status, err->text);

    } else {
        ctseg_pull_say(p, CTSEG_PULL_FAILED, status,
                       "the answer is cut or damaged");
    }
}


/* ---- the second pass ---- */


/* a record is wrong, or its profile is; of many, the first are told */

static void
ctseg_pull_note(ctseg_pull_t *p, int code, ctseg_str_t text, unsigned number)
{
    ctseg_buf_t  *out;

    if (p->told == CTSEG_PULL_ERRORS_MAX) {
        return;
    }

    out = &p->unprocessed;

    if (p->told++ != 0) {
        ctseg_buf_char(out, ',');
    }

    ctseg_buf_cstr(out, "{\"status\":\"fail\",\"error\":\"");
    ctseg_buf_str(out, text);
    ctseg_buf_fmt(out, "\",\"code\":%d,\"record\":%u}", code, number);
}


/* the name that is asked for, looked up once for all records */

static ctseg_rc_t
ctseg_pull_name(ctseg_pull_head_t *head, ctseg_str_t name)
{
    ctseg_rc_t      rc;
    ctseg_buf_t     quoted;
    ctseg_json_t   *root;
    ctseg_arena_t  *arena;

    arena = ctseg_arena_create();
    if (arena == NULL) {
        return CTSEG_NOMEM;
    }

    memset(&quoted, 0, sizeof(ctseg_buf_t));
    ctseg_buf_char(&quoted, '"');
    ctseg_buf_str(&quoted, name);
    ctseg_buf_char(&quoted, '"');

    rc = quoted.failed ? CTSEG_NOMEM
         : ctseg_json_parse(arena, ctseg_buf_slice(&quoted), 1, 1, &root,
                            NULL);

    if (rc == CTSEG_OK && !ctseg_intake_is_blank(root->text)) {
        head->name = name;
        head->kind = ctseg_catalog_find(root->text);
        head->is_charged = ctseg_intake_is(root->text, "Charged");
    }

    ctseg_buf_free(&quoted);
    ctseg_arena_destroy(arena);

    return rc == CTSEG_NOMEM ? CTSEG_NOMEM : CTSEG_OK;
}


/* false: no memory */

static bool
ctseg_pull_one(ctseg_pull_t *p, ctseg_pull_head_t *head, ctseg_buf_t *why,
    ctseg_str_t text, unsigned number, ctseg_pull_record_pt record,
    void *data)
{
    int            code, profile_code;
    bool           has_profile;
    ctseg_event_t  ev, profile;

    ctseg_buf_reset(why);
    code = ctseg_pull_record(head, text, &ev, &profile, &has_profile,
                             &profile_code, why);

    if (why->failed) {
        return false;
    }

    if (code != 0) {
        p->failed++;
        ctseg_pull_note(p, code, ctseg_buf_slice(why), number);
        return !p->unprocessed.failed;
    }

    p->good++;

    if (profile_code != 0) {
        ctseg_pull_note(p, profile_code, ctseg_buf_slice(why), number);
    }

    return !p->unprocessed.failed
           && record(data, &ev, has_profile ? &profile : NULL);
}


static ctseg_rc_t
ctseg_pull_records(ctseg_pull_t *p, const ctseg_pull_answer_t *a,
    bool profiles, ctseg_pull_record_pt record, void *data)
{
    unsigned           i;
    ctseg_rc_t         rc;
    ctseg_buf_t        why;
    ctseg_pull_head_t  head;

    memset(&head, 0, sizeof(ctseg_pull_head_t));
    memset(&why, 0, sizeof(ctseg_buf_t));

    head.zone = p->zone;
    head.profiles = profiles;

    rc = ctseg_pull_name(&head, p->name);

    for (i = 0; rc == CTSEG_OK && i < a->nrecords; i++) {
        if (!ctseg_pull_one(p, &head, &why, a->records[i], i + 1, record,
                            data))
        {
            rc = CTSEG_NOMEM;
        }
    }

    ctseg_buf_free(&why);
    ctseg_pull_record_free(&head);

    return rc;
}


/* ---- the whole ---- */


static void
ctseg_pull_reset(ctseg_pull_t *p)
{
    ctseg_buf_reset(&p->cursor);
    ctseg_buf_reset(&p->unprocessed);

    p->text[0] = '\0';
    p->good = 0;
    p->failed = 0;
    p->told = 0;
}


static ctseg_rc_t
ctseg_pull_answer(ctseg_pull_t *p, ctseg_pull_answer_t *a, int status,
    ctseg_str_t body, bool profiles, ctseg_pull_record_pt record, void *data)
{
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    memset(&err, 0, sizeof(ctseg_err_t));

    rc = ctseg_json_scan(body, CTSEG_PULL_DEPTH_MAX, ctseg_pull_scan, a,
                         &err);

    if (rc == CTSEG_NOMEM || a->cursor.failed) {
        return CTSEG_NOMEM;
    }

    if (rc != CTSEG_OK) {
        a->is_object = false;
    }

    if (status < 200 || status > 299) {
        ctseg_pull_refusal(p, status, a);

    } else if (a->too_many) {
        ctseg_pull_say(p, CTSEG_PULL_WRONG, status,
                       "a page of more records than were asked for");

    } else if (rc != CTSEG_OK) {
        ctseg_pull_broken(p, status, body, &err);

    } else if (!a->is_object) {
        ctseg_pull_say(p, CTSEG_PULL_WRONG, status,
                       "the answer is no JSON object");

    } else {
        ctseg_pull_judge(p, status, a);

        if (p->rc == CTSEG_PULL_PAGE) {
            return ctseg_pull_records(p, a, profiles, record, data);
        }
    }

    return CTSEG_OK;
}


ctseg_rc_t
ctseg_pull_read(ctseg_pull_t *p, int status, ctseg_str_t body, bool profiles,
    ctseg_pull_record_pt record, void *data)
{
    ctseg_rc_t            rc;
    ctseg_pull_answer_t  *a;

    ctseg_pull_reset(p);

    a = calloc(1, sizeof(ctseg_pull_answer_t));
    if (a == NULL) {
        return CTSEG_NOMEM;
    }

    rc = ctseg_pull_answer(p, a, status, body, profiles, record, data);

    ctseg_buf_free(&a->cursor);
    free(a);

    if (p->cursor.failed || p->unprocessed.failed) {
        rc = CTSEG_NOMEM;
    }

    return rc;
}


void
ctseg_pull_free(ctseg_pull_t *p)
{
    ctseg_buf_free(&p->cursor);
    ctseg_buf_free(&p->unprocessed);
}
