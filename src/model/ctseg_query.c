/*
 * The query of a list into a filter and a page.  Called by the API for every
 * list; matching is called once for each export that a list looks at, so it
 * compares numbers before texts and allocates nothing.
 *
 * A value is decoded first and split at its commas then, because many clients
 * encode the comma.  A '+' stays what it is: a query is no form.
 */

#include "ctseg_query.h"
#include "ctseg_fields.h"
#include "../base/ctseg_str.h"

#include <string.h>


#define CTSEG_QUERY_TEXT_MAX  64        /* longer than any value that is right
                                           and any name that is known */
#define CTSEG_QUERY_PAGE_MAX  1000000
#define CTSEG_QUERY_PER_PAGE  20

#define ctseg_query_bit(v)  (1u << (v))


/* lists, as bits: which of them know a parameter */

enum {
    CTSEG_QUERY_EXPORTS = 1,
    CTSEG_QUERY_STATUS = 2,
    CTSEG_QUERY_PAGES = 4,

    CTSEG_QUERY_SOME = CTSEG_QUERY_EXPORTS | CTSEG_QUERY_STATUS,
    CTSEG_QUERY_ALL = CTSEG_QUERY_SOME | CTSEG_QUERY_PAGES
};


typedef struct ctseg_query_param_s  ctseg_query_param_t;

typedef struct {
    ctseg_query_t     *q;
    ctseg_problems_t  *problems;
    unsigned           seen;            /* bit: position in the table */
    unsigned           of;              /* the list */
    bool               full;            /* too many partners, noted */
} ctseg_query_parse_t;

struct ctseg_query_param_s {
    const char  *name;
    const char  *wrong;                 /* noted when set() says no */
    bool         list;                  /* many values: commas, repeats */
    unsigned     of;                    /* lists that know it */
    bool       (*set)(ctseg_query_parse_t *x, ctseg_str_t value);
};


static bool
ctseg_query_page(ctseg_query_parse_t *x, ctseg_str_t value)
{
    int64_t  n;

    if (value.len == CTSEG_QUERY_TEXT_MAX
        || !ctseg_str_int64(value, &n)
        || n < 1
        || n > CTSEG_QUERY_PAGE_MAX)
    {
        return false;
    }

    x->q->page = (unsigned) n;

    return true;
}


static bool
ctseg_query_per_page(ctseg_query_parse_t *x, ctseg_str_t value)
{
    static const char  *const sizes[] = { "10", "20", "30", "40" };

    unsigned  i;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (ctseg_str_is(value, sizes[i])) {
            x->q->per_page = 10 * (i + 1);
            return true;
        }
    }

    return false;
}


/*
 * An id that cannot be one is kept as the empty text, which no export has:
 * it matches nothing, and still is a filter.
 */

static bool
ctseg_query_partner(ctseg_query_parse_t *x, ctseg_str_t value)
{
    char           id[CTSEG_ID_TEXT_MAX];
    unsigned       i;
    ctseg_query_t  *q;

    if (value.len == 0) {
        return false;
    }

    memset(id, 0, sizeof(id));

    if (value.len < sizeof(id)
        && memchr(value.data, '\0', value.len) == NULL)
    {
        memcpy(id, value.data, value.len);
    }

    q = x->q;

    for (i = 0; i < q->npartners; i++) {
        if (strcmp(q->partners[i], id) == 0) {
            return true;
        }
    }

    if (q->npartners < CTSEG_QUERY_PARTNERS_MAX) {
        memcpy(q->partners[q->npartners++], id, sizeof(id));
        return true;
    }

    if (!x->full) {
        x->full = true;
        ctseg_problem(x->problems, "partner", "may hold at most %d values",
                      CTSEG_QUERY_PARTNERS_MAX);
    }

    return true;
}


static bool
ctseg_query_type(ctseg_query_parse_t *x, ctseg_str_t value)
{
    ctseg_type_t  type;

    type = ctseg_type_parse(value);

    if (type == 0) {
        return false;
    }

    x->q->types |= ctseg_query_bit(type);

    return true;
}


/* there is one, so it selects everything */

static bool
ctseg_query_format(ctseg_query_parse_t *x, ctseg_str_t value)
{
    (void) x;

    return ctseg_str_is(value, "json");
}


static bool
ctseg_query_status(ctseg_query_parse_t *x, ctseg_str_t value)
{
    ctseg_status_t  status;

    status = ctseg_status_parse(value);

    if (status == 0) {
        return false;
    }

    x->q->statuses |= ctseg_query_bit(status);

    return true;
}


static bool
ctseg_query_frequency(ctseg_query_parse_t *x, ctseg_str_t value)
{
    ctseg_freq_t  freq;

    freq = ctseg_freq_parse(value);

    if (freq == 0) {
        return false;
    }

    x->q->frequencies |= ctseg_query_bit(freq);

    return true;
}


static bool
ctseg_query_date(char *out, ctseg_str_t value)
{
    ctseg_civil_t  c;

    if (!ctseg_date_parse(value, &c)) {
        return false;
    }

    ctseg_date_render(out, &c);

    return true;
}


static bool
ctseg_query_from(ctseg_query_parse_t *x, ctseg_str_t value)
{
    return ctseg_query_date(x->q->from, value);
}


static bool
ctseg_query_to(ctseg_query_parse_t *x, ctseg_str_t value)
{
    return ctseg_query_date(x->q->to, value);
}


static const ctseg_query_param_t  ctseg_query_params[] = {
    { "page", "must be a number from 1 to 1000000", false, CTSEG_QUERY_ALL,
      ctseg_query_page },
    { "per_page", "must be 10, 20, 30 or 40", false, CTSEG_QUERY_ALL,
      ctseg_query_per_page },
    { "partner", "must be the id of a partner", true, CTSEG_QUERY_EXPORTS,
      ctseg_query_partner },
    { "type", "must be event or profile", true, CTSEG_QUERY_EXPORTS,
      ctseg_query_type },
    { "format", "must be json", true, CTSEG_QUERY_EXPORTS,
      ctseg_query_format },
    { "status", "must be PENDING, RUNNING, DONE or STOPPED", true,
      CTSEG_QUERY_SOME, ctseg_query_status },
    { "frequency", "must be one_time, recurring or live", true,
      CTSEG_QUERY_EXPORTS, ctseg_query_frequency },
    { "exported_from", "must be an existing day, written YYYY-MM-DD", false,
      CTSEG_QUERY_EXPORTS, ctseg_query_from },
    { "exported_to", "must be an existing day, written YYYY-MM-DD", false,
      CTSEG_QUERY_EXPORTS, ctseg_query_to }
};


static int
ctseg_query_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c = (char) (c | 0x20);

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


/*
 * The next value out of rest, decoded; of a list, up to the next comma, and
 * *more says that there was one.  What is too long is cut, to a length that
 * nothing right has.  False: an escape is broken.
 */

static bool
ctseg_query_take(ctseg_str_t *rest, bool list, char *out, ctseg_str_t *value,
    bool *more)
{
    int     high, low;
    char    c;
    size_t  i;

    *more = false;

    value->data = out;
    value->len = 0;

    for (i = 0; i < rest->len; i++) {
        c = rest->data[i];

        if (c == '%') {

            if (rest->len - i < 3) {
                return false;
            }

            high = ctseg_query_digit(rest->data[i + 1]);
            low = ctseg_query_digit(rest->data[i + 2]);

            if (high == -1 || low == -1) {
                return false;
            }

            c = (char) (unsigned char) (high << 4 | low);
            i += 2;
        }

        if (list && c == ',') {
            *more = true;
            i++;
            break;
        }

        if (value->len < CTSEG_QUERY_TEXT_MAX) {
            out[value->len++] = c;
        }
    }

    rest->data += i;
    rest->len -= i;

    return true;
}


/* position in the table of the parameter that a list knows by a name, or -1 */

static int
ctseg_query_find(const ctseg_query_parse_t *x, ctseg_str_t name)
{
    int                         i;
    const ctseg_query_param_t  *param;

    for (i = 0;
         i < (int) (sizeof(ctseg_query_params)
                    / sizeof(ctseg_query_params[0]));
         i++)
    {
        param = &ctseg_query_params[i];

        if (ctseg_str_is(name, param->name)
            && (param->of & x->of) != 0)
        {
            return i;
        }
    }

    return -1;
}


static void
ctseg_query_values(ctseg_query_parse_t *x, const ctseg_query_param_t *param,
    ctseg_str_t rest)
{
    bool         more;
    char         text[CTSEG_QUERY_TEXT_MAX];
    ctseg_str_t  value;

    do {

        if (!ctseg_query_take(&rest, param->list, text, &value, &more)) {
            ctseg_problem(x->problems, param->name,
                          "has a broken percent-encoding");
            return;
        }

        if (!param->set(x, value)) {
            ctseg_problem(x->problems, param->name, "%s", param->wrong);
        }

    } while (more);
}


/* one name=value */

static void
ctseg_query_arg(ctseg_query_parse_t *x, ctseg_str_t arg)
{
    int                         i;
    bool                        more, decoded;
    char                        text[CTSEG_QUERY_TEXT_MAX];
    char                        path[CTSEG_FIELD_MAX];
    const char                 *eq;
    ctseg_str_t                 raw, name, value;
    const ctseg_query_param_t  *param;

    eq = memchr(arg.data, '=', arg.len);

    raw.data = arg.data;
    raw.len = eq != NULL ? (size_t) (eq - arg.data) : arg.len;

    value.data = raw.data + raw.len + (eq != NULL);
    value.len = arg.len - raw.len - (eq != NULL);

    arg = raw;
    decoded = ctseg_query_take(&arg, false, text, &name, &more);

    i = decoded ? ctseg_query_find(x, name) : -1;

    if (i == -1) {
        ctseg_field_path(path, "", decoded ? name : raw);
        ctseg_problem(x->problems, path, "%s",
                      decoded ? "is not a parameter of this list"
                              : "has a broken percent-encoding");
        return;
    }

    param = &ctseg_query_params[i];

    if (!param->list && (x->seen & ctseg_query_bit(i)) != 0) {
        ctseg_problem(x->problems, param->name, "may be given once");
        return;
    }

    x->seen |= ctseg_query_bit(i);

    ctseg_query_values(x, param, value);
}


static bool
ctseg_query_parse_args(ctseg_query_t *q, ctseg_str_t args,
    ctseg_problems_t *problems, unsigned of)
{
    size_t                i;
    unsigned              before;
    ctseg_str_t           arg;
    ctseg_query_parse_t   x;

    before = problems->n;

    memset(q, 0, sizeof(ctseg_query_t));
    q->page = 1;
    q->per_page = CTSEG_QUERY_PER_PAGE;

    x.q = q;
    x.problems = problems;
    x.seen = 0;
    x.of = of;
    x.full = false;

    while (args.len != 0) {

        for (i = 0; i < args.len && args.data[i] != '&'; i++) { /* void */ }

        arg.data = args.data;
        arg.len = i;

        if (arg.len != 0) {
            ctseg_query_arg(&x, arg);
        }

        i += i < args.len;
        args.data += i;
        args.len -= i;
    }

    /* days compare as texts do */

    if (q->from[0] != '\0' && q->to[0] != '\0' && strcmp(q->from, q->to) > 0) {
        ctseg_problem(problems, "exported_to",
                      "may not lie before exported_from");
    }

    return problems->n == before;
}


bool
ctseg_query_parse(ctseg_query_t *q, ctseg_str_t args,
    ctseg_problems_t *problems)
{
    return ctseg_query_parse_args(q, args, problems, CTSEG_QUERY_EXPORTS);
}


bool
ctseg_query_parse_page(ctseg_query_t *q, ctseg_str_t args,
    ctseg_problems_t *problems)
{
    return ctseg_query_parse_args(q, args, problems, CTSEG_QUERY_PAGES);
}


bool
ctseg_query_parse_status(ctseg_query_t *q, ctseg_str_t args,
    ctseg_problems_t *problems)
{
    return ctseg_query_parse_args(q, args, problems, CTSEG_QUERY_STATUS);
}


bool
ctseg_query_matches_status(const ctseg_query_t *q, ctseg_status_t status)
{
    return q->statuses == 0 || (q->statuses & ctseg_query_bit(status)) != 0;
}


bool
ctseg_query_matches(const ctseg_query_t *q, const ctseg_export_t *e)
{
    unsigned  i;

    if ((q->types != 0 && (q->types & ctseg_query_bit(e->type)) == 0)
        || !ctseg_query_matches_status(q, e->status)
        || (q->frequencies != 0
            && (q->frequencies & ctseg_query_bit(e->freq)) == 0))
    {
        return false;
    }

    if ((q->from[0] != '\0' && strcmp(e->exported_on, q->from) < 0)
        || (q->to[0] != '\0' && strcmp(e->exported_on, q->to) > 0))
    {
        return false;
    }

    if (q->npartners == 0) {
        return true;
    }

    for (i = 0; i < q->npartners; i++) {
        if (q->partners[i][0] != '\0'
            && strcmp(q->partners[i], e->partner_id) == 0)
        {
            return true;
        }
    }

    return false;
}
