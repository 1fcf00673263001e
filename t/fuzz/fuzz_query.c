/*
 * The query of a list.  What is accepted is in range; written out again, in
 * another order or with every character escaped, it asks the same; an export
 * that matches is one that was asked for.  First a line whose characters
 * choose an export, then any bytes.
 */

#include "model/ctseg_query.h"
#include "fuzz.h"


static void
check_date(const char *day)
{
    ctseg_civil_t  c;

    fuzz_check(day[0] == '\0' || ctseg_date_parse(ctseg_str(day), &c));
}


static void
check_range(const ctseg_query_t *q)
{
    unsigned  i;

    fuzz_check(q->page >= 1 && q->page <= 1000000);
    fuzz_check(q->per_page >= 10 && q->per_page <= 40);
    fuzz_check(q->per_page % 10 == 0);
    fuzz_check(q->npartners <= CTSEG_QUERY_PARTNERS_MAX);
    check_date(q->from);
    check_date(q->to);
    fuzz_check(q->from[0] == '\0' || q->to[0] == '\0'
               || strcmp(q->from, q->to) <= 0);

    for (i = 0; i < q->npartners; i++) {
        fuzz_check(strlen(q->partners[i]) < CTSEG_ID_TEXT_MAX);
    }
}


static bool
same(const ctseg_query_t *a, const ctseg_query_t *b)
{
    return memcmp(a, b, sizeof(ctseg_query_t)) == 0;
}


/* every character of names and values as an escape */

static void
escape(ctseg_buf_t *out, ctseg_str_t args)
{
    bool    value;
    size_t  i;

    value = false;

    for (i = 0; i < args.len; i++) {

        if (args.data[i] == '&' || (args.data[i] == '=' && !value)) {
            value = args.data[i] == '=';
            ctseg_buf_char(out, args.data[i]);

        } else if (args.data[i] == '%') {
            ctseg_buf_add(out, args.data + i, 3);
            i += 2;

        } else {
            ctseg_buf_fmt(out, "%%%02x", (unsigned char) args.data[i]);
        }
    }
}


static void
hex(ctseg_buf_t *out, const char *s)
{
    while (*s != '\0') {
        ctseg_buf_fmt(out, "%%%02X", (unsigned char) *s++);
    }
}


/* the query as it was understood, one value at a time */

static void
write_query(ctseg_buf_t *out, const ctseg_query_t *q)
{
    unsigned  i;

    ctseg_buf_fmt(out, "per_page=%u&page=%u", q->per_page, q->page);

    if (q->to[0] != '\0') {
        ctseg_buf_fmt(out, "&exported_to=%s", q->to);
    }

    if (q->from[0] != '\0') {
        ctseg_buf_fmt(out, "&&exported_from=%s", q->from);
    }

    for (i = 1; i <= CTSEG_STOPPED; i++) {
        if ((q->statuses & (1u << i)) != 0) {
            ctseg_buf_fmt(out, "&status=%s",
                          ctseg_status_name((ctseg_status_t) i));
        }
    }

    for (i = 1; i <= CTSEG_FREQ_LIVE; i++) {
        if ((q->frequencies & (1u << i)) != 0) {
            ctseg_buf_fmt(out, "&frequency=%s",
                          ctseg_freq_name((ctseg_freq_t) i));
        }
    }

    for (i = 1; i <= CTSEG_TYPE_PROFILE; i++) {
        if ((q->types & (1u << i)) != 0) {
            ctseg_buf_fmt(out, "&type=%s",
                          ctseg_type_name((ctseg_type_t) i));
        }
    }

    for (i = 0; i < q->npartners; i++) {
        ctseg_buf_cstr(out, "&partner=");

        if (q->partners[i][0] == '\0') {
            ctseg_buf_cstr(out, "no-id-of-ours-has-more-than-39-characters");
        }

        hex(out, q->partners[i]);
    }

    ctseg_buf_char(out, '&');
}


static void
check_again(const ctseg_query_t *q, const ctseg_buf_t *args)
{
    ctseg_query_t      again;
    ctseg_problems_t   problems = { .n = 0 };

    fuzz_check(!args->failed);
    fuzz_check(ctseg_query_parse(&again, ctseg_buf_slice(args), &problems));
    fuzz_check(problems.n == 0);
    fuzz_check(same(q, &again));
}


static void
check_matches(const ctseg_query_t *q, ctseg_str_t line)
{
    bool            listed;
    unsigned        i;
    ctseg_export_t  e;

    memset(&e, 0, sizeof(ctseg_export_t));
    e.type = (ctseg_type_t) (1 + fuzz_choice(line, 0, 2));
    e.freq = (ctseg_freq_t) (1 + fuzz_choice(line, 1, 3));
    e.status = (ctseg_status_t) (1 + fuzz_choice(line, 2, 4));
    (void) snprintf(e.exported_on, sizeof(e.exported_on), "2026-0%u-0%u",
                    1 + fuzz_choice(line, 3, 9), 1 + fuzz_choice(line, 4, 9));
    (void) snprintf(e.partner_id, sizeof(e.partner_id), "p%u",
                    fuzz_choice(line, 5, 10));

    listed = q->npartners == 0;

    for (i = 0; i < q->npartners; i++) {
        listed = listed || strcmp(q->partners[i], e.partner_id) == 0;
    }

    fuzz_check(ctseg_query_matches(q, &e)
               == (listed
                   && (q->types == 0 || (q->types >> e.type & 1) != 0)
                   && (q->frequencies == 0
                       || (q->frequencies >> e.freq & 1) != 0)
                   && (q->statuses == 0
                       || (q->statuses >> e.status & 1) != 0)
                   && (q->from[0] == '\0'
                       || strcmp(q->from, e.exported_on) <= 0)
                   && (q->to[0] == '\0'
                       || strcmp(q->to, e.exported_on) >= 0)));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool              ok;
    ctseg_str_t       line, args;
    ctseg_buf_t       out = { NULL, 0, 0, false };
    ctseg_query_t     q, page;
    ctseg_problems_t  problems = { .n = 0 };

    args = fuzz_str(data, size);
    line = fuzz_line(&args);

    ok = ctseg_query_parse(&q, args, &problems);
    fuzz_check(ok == (problems.n == 0));
    fuzz_check_problems(&problems);

    if (ok) {
        check_range(&q);
        check_matches(&q, line);

        escape(&out, args);
        check_again(&q, &out);

        ctseg_buf_reset(&out);
        write_query(&out, &q);
        check_again(&q, &out);
        ctseg_buf_free(&out);
    }

    /* what a list of imports takes, the list of exports takes as well */

    problems.n = 0;

    if (ctseg_query_parse_status(&page, args, &problems)) {
        fuzz_check(ok && same(&page, &q));
        fuzz_check(page.npartners == 0 && page.types == 0
                   && page.frequencies == 0 && page.from[0] == '\0');
    }

    fuzz_check_problems(&problems);

    /* ... and what a list of pages takes */

    problems.n = 0;

    if (ctseg_query_parse_page(&page, args, &problems)) {
        fuzz_check(ok && same(&page, &q));
    }

    fuzz_check_problems(&problems);

    return 0;
}
