/*
 * Lines are "name{label="value",...} value".  Called by whoever renders the
 * page, on any thread; what the families are called is not known here.
 */

#include <inttypes.h>

#include "ctseg_prom.h"


static const char  *const ctseg_prom_types[] = {
    "counter",
    "gauge",
    "histogram"
};


void
ctseg_prom_family(ctseg_prom_t *p, ctseg_prom_type_t type, const char *name,
    const char *help)
{
    p->name = name;

    ctseg_buf_fmt(p->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                  ctseg_prom_types[type]);
}


static void
ctseg_prom_value(ctseg_buf_t *out, uint64_t value, uint64_t scale)
{
    uint64_t  rest, digit;

    ctseg_buf_fmt(out, "%" PRIu64, value / scale);

    rest = value % scale;

    if (rest == 0) {
        return;
    }

    ctseg_buf_char(out, '.');

    /* ends, since the scale is a power of ten */

    while (rest != 0) {
        digit = rest * 10 / scale;
        rest = rest * 10 - digit * scale;
        ctseg_buf_char(out, (char) ('0' + digit));
    }
}


/* a backslash, a quote and the end of a line are all that must be escaped */

static void
ctseg_prom_label(ctseg_buf_t *out, const ctseg_prom_label_t *label)
{
    const char  *p;

    ctseg_buf_cstr(out, label->name);
    ctseg_buf_cstr(out, "=\"");

    for (p = label->value; *p != '\0'; p++) {

        switch (*p) {

        case '\\':
            ctseg_buf_cstr(out, "\\\\");
            break;

        case '"':
            ctseg_buf_cstr(out, "\\\"");
            break;

        case '\n':
            ctseg_buf_cstr(out, "\\n");
            break;

        default:
            ctseg_buf_char(out, *p);
        }
    }

    ctseg_buf_char(out, '"');
}


static void
ctseg_prom_line(ctseg_prom_t *p, const char *suffix,
    const ctseg_prom_label_t *labels, unsigned nlabels, uint64_t value,
    uint64_t scale)
{
    unsigned  i;

    ctseg_buf_cstr(p->out, p->name);
    ctseg_buf_cstr(p->out, suffix);

    for (i = 0; i < nlabels; i++) {
        ctseg_buf_char(p->out, i == 0 ? '{' : ',');
        ctseg_prom_label(p->out, &labels[i]);
    }

    ctseg_buf_cstr(p->out, nlabels != 0 ? "} " : " ");
    ctseg_prom_value(p->out, value, scale);
    ctseg_buf_char(p->out, '\n');
}


void
ctseg_prom_sample(ctseg_prom_t *p, const ctseg_prom_label_t *labels,
    unsigned nlabels, uint64_t value, uint64_t scale)
{
    ctseg_prom_line(p, "", labels, nlabels, value, scale);
}


unsigned
ctseg_prom_bucket(const ctseg_prom_buckets_t *b, uint64_t value)
{
    unsigned  i;

    for (i = 0; i < b->nbounds; i++) {
        if (value <= b->bounds[i]) {
            break;
        }
    }

    return i;
}


void
ctseg_prom_histogram(ctseg_prom_t *p, const ctseg_prom_label_t *label,
    const ctseg_prom_buckets_t *b, const uint64_t *counts, uint64_t sum)
{
    unsigned             i, n;
    uint64_t             total;
    ctseg_buf_t          bound;
    ctseg_prom_label_t   labels[2];

    n = 0;

    if (label != NULL) {
        labels[n++] = *label;
    }

    labels[n].name = "le";

    total = 0;
    bound = (ctseg_buf_t) { 0 };

    for (i = 0; i < b->nbounds; i++) {
        ctseg_buf_reset(&bound);
        ctseg_prom_value(&bound, b->bounds[i], b->scale);
        ctseg_buf_char(&bound, '\0');

        if (bound.failed) {
            p->out->failed = true;
            break;
        }

        total += counts[i];
        labels[n].value = bound.data;

        ctseg_prom_line(p, "_bucket", labels, n + 1, total, 1);
    }

    ctseg_buf_free(&bound);

    total += counts[b->nbounds];
    labels[n].value = "+Inf";

    ctseg_prom_line(p, "_bucket", labels, n + 1, total, 1);
    ctseg_prom_line(p, "_sum", labels, n, sum, b->scale);
    ctseg_prom_line(p, "_count", labels, n, total, 1);
}
