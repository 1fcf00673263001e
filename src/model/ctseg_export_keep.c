/*
 * What a definition asks for and retention does not keep.  Called by the
 * parser of exports and, for what is no mistake, by the API.  Retention goes
 * by arrival and a range by the time of the event; an event does not arrive
 * before it happens, so what is kept of a range may be more than is said
 * here, but not less.
 */

#include "ctseg_export_int.h"

#include <stdio.h>


#define CTSEG_HOUR_MS  3600000LL


int64_t
ctseg_retention_before(int64_t now_ms, int64_t retention_ms)
{
    if (retention_ms >= CTSEG_DAY_MS) {
        retention_ms += CTSEG_HOUR_MS;
    }

    return now_ms - retention_ms;
}


/* as nginx.conf writes it: "61d" */

static void
ctseg_export_keep_text(char out[32], int64_t ms)
{
    size_t  i;

    static const struct {
        int64_t      ms;
        const char  *unit;
    } units[] = {
        { CTSEG_DAY_MS, "d" },
        { CTSEG_HOUR_MS, "h" },
        { 60000, "m" },
        { 1000, "s" },
        { 1, "ms" }
    };

    for (i = 0; ms % units[i].ms != 0; i++) { /* void */ }

    (void) snprintf(out, 32, "%lld%s", (long long) (ms / units[i].ms),
                    units[i].unit);
}


void
ctseg_export_kept(ctseg_export_parse_t *x, const char *path)
{
    char     kept[32];
    int64_t  before;

    before = ctseg_retention_before(x->env->now_ms, x->env->retention_ms);

    if (x->env->retention_ms == 0 || x->e->to_ms > before) {
        return;
    }

    ctseg_export_keep_text(kept, x->env->retention_ms);

    ctseg_problem(x->problems, path,
                  "these days are not kept any more, by retention=%s", kept);
}


void
ctseg_export_warn(const ctseg_export_t *e, const ctseg_export_env_t *env,
    ctseg_problems_t *warnings)
{
    char         kept[32], day[CTSEG_RFC3339_LEN + 1];
    int64_t      before, begins;
    const char  *path;

    before = ctseg_retention_before(env->now_ms, env->retention_ms);

    switch (e->freq) {

    case CTSEG_FREQ_ONE_TIME:
        begins = e->from_ms;
        path = e->range[0] != '\0' ? "frequency.range" : "frequency.from";
        break;

    case CTSEG_FREQ_RECURRING:
        begins = e->start_ms;
        path = "frequency.start_date";

        /* from today on, which is what is meant when nothing is said */

        if (begins > env->now_ms - CTSEG_DAY_MS) {
            return;
        }

        break;

    default:
        return;                         /* live looks ahead */
    }

    if (env->retention_ms == 0 || begins >= before) {
        return;
    }

    ctseg_export_keep_text(kept, env->retention_ms);
    ctseg_rfc3339(day, before);

    ctseg_problem(warnings, path,
                  "what arrived before %s may be missing, by retention=%s",
                  day, kept);
}
