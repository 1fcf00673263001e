/*
 * When an export runs, and over which days: the frequency in the bodies of
 * POST and PATCH.  Called by the parser of exports for that one member.  Days
 * are turned into instants here, once, in the account zone, so that nothing
 * later has to know what "last 7 days" meant on the day somebody asked.
 */

#include "ctseg_export_int.h"
#include "ctseg_fields.h"
#include "ctseg_schedule.h"
#include "../base/ctseg_str.h"

#include <string.h>


#define CTSEG_EXPORT_AHEAD_DAYS  366    /* a start date: at most so far */


static const char  *const ctseg_export_freq_known[] = {
    "kind",
    "from",
    "to",
    "range",
    "every_hours",
    "start_date",
    NULL
};


static int64_t
ctseg_export_freq_days(const ctseg_civil_t *c)
{
    return ctseg_days_from_civil(c->year, c->month, c->day);
}


static bool
ctseg_export_freq_date(ctseg_export_parse_t *x, const ctseg_json_t *freq,
    const char *name, const char *path, ctseg_civil_t *c)
{
    ctseg_str_t  s;

    if (!ctseg_field_string(freq, name, path, &s, x->problems)) {

        if (ctseg_json_get(freq, name) == NULL) {
            ctseg_problem(x->problems, path, "is required");
        }

        return false;
    }

    if (!ctseg_date_parse(s, c)) {
        ctseg_problem(x->problems, path,
                      "must be an existing day, written YYYY-MM-DD");
        return false;
    }

    return true;
}


/* both days count: up to the start of the day after the last */

static void
ctseg_export_freq_window(ctseg_export_parse_t *x, const ctseg_civil_t *from,
    const ctseg_civil_t *to)
{
    ctseg_civil_t  after;

    after = *to;
    ctseg_date_add(&after, 1);

    ctseg_date_render(x->e->from, from);
    ctseg_date_render(x->e->to, to);

    x->e->from_ms = ctseg_day_start(x->env->zone, from);
    x->e->to_ms = ctseg_day_start(x->env->zone, &after);
}


static void
ctseg_export_freq_from_to(ctseg_export_parse_t *x, const ctseg_json_t *freq)
{
    bool           has_from, has_to;
    char           day[CTSEG_DATE_LEN + 1];
    int64_t        today;
    unsigned       before;
    ctseg_civil_t  from, to, oldest;

    before = x->problems->n;
    today = ctseg_export_freq_days(&x->today);

    has_from = ctseg_export_freq_date(x, freq, "from", "frequency.from",
                                       &from);
    has_to = ctseg_export_freq_date(x, freq, "to", "frequency.to", &to);

    if (has_from
        && ctseg_export_freq_days(&from) < today - CTSEG_LOOKBACK_DAYS)
    {
        oldest = x->today;
        ctseg_date_add(&oldest, -CTSEG_LOOKBACK_DAYS);
        ctseg_date_render(day, &oldest);

        ctseg_problem(x->problems, "frequency.from",
                      "may lie at most %d days back, on %s or later",
                      CTSEG_LOOKBACK_DAYS, day);
    }

    if (has_to && ctseg_export_freq_days(&to) > today) {
        ctseg_date_render(day, &x->today);

        ctseg_problem(x->problems, "frequency.to",
                      "may not lie after today, %s: a day to come has no "
                      "events yet", day);
    }

    if (has_from
        && has_to
        && ctseg_export_freq_days(&from) > ctseg_export_freq_days(&to))
    {
        ctseg_problem(x->problems, "frequency.to",
                      "may not lie before frequency.from");
    }

    if (x->problems->n == before) {
        ctseg_export_freq_window(x, &from, &to);
        ctseg_export_kept(x, "frequency.from");
    }
}


/* first and last day of a named range; false if there is no such name */

static bool
ctseg_export_freq_named(const ctseg_civil_t *today, ctseg_str_t name,
    ctseg_civil_t *from, ctseg_civil_t *to)
{
    *from = *today;
    *to = *today;

    if (ctseg_str_is(name, "today")) {
        return true;
    }

    if (ctseg_str_is(name, "yesterday")) {
        ctseg_date_add(from, -1);
        *to = *from;
        return true;
    }

    if (ctseg_str_is(name, "last_7_days")) {
        ctseg_date_add(from, -6);
        return true;
    }

    if (ctseg_str_is(name, "last_30_days")) {
        ctseg_date_add(from, -29);
        return true;
    }

    if (ctseg_str_is(name, "current_month")) {
        from->day = 1;
        return true;
    }

    if (ctseg_str_is(name, "previous_month")) {
        to->day = 1;
        ctseg_date_add(to, -1);
        *from = *to;
        from->day = 1;
        return true;
    }

    return false;
}


static void
ctseg_export_freq_range(ctseg_export_parse_t *x, const ctseg_json_t *freq)
{
    ctseg_str_t    s;
    ctseg_civil_t  from, to, oldest;

    if (ctseg_json_get(freq, "from") != NULL
        || ctseg_json_get(freq, "to") != NULL)
    {
        ctseg_problem(x->problems, "frequency.range",
                      "may not be given together with from and to");
        return;
    }

    if (!ctseg_field_string(freq, "range", "frequency.range", &s,
                            x->problems))
    {
        return;
    }

    if (!ctseg_export_freq_named(&x->today, s, &from, &to)) {
        ctseg_problem(x->problems, "frequency.range",
                      "must be today, yesterday, last_7_days, last_30_days, "
                      "current_month or previous_month");
        return;
    }

    /* near the end of a month the previous one begins before the limit */

    oldest = x->today;
    ctseg_date_add(&oldest, -CTSEG_LOOKBACK_DAYS);

    if (ctseg_export_freq_days(&from) < ctseg_export_freq_days(&oldest)) {
        from = oldest;
    }

    memcpy(x->e->range, s.data, s.len);
    x->e->range[s.len] = '\0';

    ctseg_export_freq_window(x, &from, &to);
    ctseg_export_kept(x, "frequency.range");
}


/* note the members of a frequency that belong to another kind */

static void
ctseg_export_freq_foreign(ctseg_export_parse_t *x, const ctseg_json_t *freq)
{
    char          path[CTSEG_FIELD_MAX];
    size_t        i;
    ctseg_freq_t  owner;

    static const struct {
        const char    *name;
        ctseg_freq_t   owner;
    } members[] = {
        { "from", CTSEG_FREQ_ONE_TIME },
        { "to", CTSEG_FREQ_ONE_TIME },
        { "range", CTSEG_FREQ_ONE_TIME },
        { "every_hours", CTSEG_FREQ_RECURRING },
        { "start_date", CTSEG_FREQ_RECURRING }
    };

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        owner = members[i].owner;

        if (owner == x->e->freq
            || ctseg_json_get(freq, members[i].name) == NULL)
        {
            continue;
        }

        ctseg_field_path(path, "frequency", ctseg_str(members[i].name));

        ctseg_problem(x->problems, path,
                      "may be given with the kind %s only",
                      ctseg_freq_name(owner));
    }
}


static void
ctseg_export_freq_one_time(ctseg_export_parse_t *x, const ctseg_json_t *freq)
{
    if (ctseg_json_get(freq, "range") != NULL) {
        ctseg_export_freq_range(x, freq);
        return;
    }

    if (ctseg_json_get(freq, "from") == NULL
        && ctseg_json_get(freq, "to") == NULL)
    {
        ctseg_problem(x->problems, "frequency",
                      "needs from and to, or a range");
        return;
    }

    ctseg_export_freq_from_to(x, freq);
}


static void
ctseg_export_freq_hours(ctseg_export_parse_t *x, const ctseg_json_t *freq)
{
    int64_t              hours;
    const ctseg_json_t  *v;

    v = ctseg_json_get(freq, "every_hours");

    if (v == NULL) {
        ctseg_problem(x->problems, "frequency.every_hours", "is required");
        return;
    }

    if (!ctseg_json_int64(v, &hours)
        || hours < CTSEG_EVERY_HOURS_MIN
        || hours > CTSEG_EVERY_HOURS_MAX)
    {
        ctseg_problem(x->problems, "frequency.every_hours",
                      "must be a whole number from %d to %d",
                      CTSEG_EVERY_HOURS_MIN, CTSEG_EVERY_HOURS_MAX);
        return;
    }

    /* whole profiles, as often as the original exports them: once a day */

    if (x->e->type == CTSEG_TYPE_PROFILE && hours != CTSEG_EVERY_HOURS_MAX) {
        ctseg_problem(x->problems, "frequency.every_hours",
                      "must be %d with the type profile",
                      CTSEG_EVERY_HOURS_MAX);
        return;
    }

    x->e->every_hours = (unsigned) hours;
}


/* the start date, today if there is none */

static void
ctseg_export_freq_start(ctseg_export_parse_t *x, const ctseg_json_t *freq,
    ctseg_civil_t *start)
{
    char           day[CTSEG_DATE_LEN + 1];
    int64_t        ahead;
    ctseg_civil_t  limit;

    *start = x->today;

    if (ctseg_json_get(freq, "start_date") == NULL
        || !ctseg_export_freq_date(x, freq, "start_date",
                                   "frequency.start_date", start))
    {
        return;
    }

    ahead = ctseg_export_freq_days(start) - ctseg_export_freq_days(&x->today);
    limit = x->today;

    if (ahead < -CTSEG_LOOKBACK_DAYS) {
        ctseg_date_add(&limit, -CTSEG_LOOKBACK_DAYS);
        ctseg_date_render(day, &limit);

        ctseg_problem(x->problems, "frequency.start_date",
                      "may lie at most %d days back, on %s or later",
                      CTSEG_LOOKBACK_DAYS, day);

    } else if (ahead > CTSEG_EXPORT_AHEAD_DAYS) {
        ctseg_date_add(&limit, CTSEG_EXPORT_AHEAD_DAYS);
        ctseg_date_render(day, &limit);

        ctseg_problem(x->problems, "frequency.start_date",
                      "may lie at most %d days ahead, on %s or earlier",
                      CTSEG_EXPORT_AHEAD_DAYS, day);
    }
}


/*
 * A new export owes its slots from the start date on.  One that is edited
 * owes none up to now; when its next run begins is for the end of the run
 * that is under way to say, if there is one.
 */

static void
ctseg_export_freq_recurring(ctseg_export_parse_t *x, const ctseg_json_t *freq)
{
    int64_t           now;
    unsigned          before;
    ctseg_civil_t     start;
    ctseg_export_t   *e;
    ctseg_schedule_t  schedule;

    e = x->e;
    now = x->env->now_ms;
    before = x->problems->n;

    ctseg_export_freq_hours(x, freq);
    ctseg_export_freq_start(x, freq, &start);

    if (x->problems->n != before) {
        return;
    }

    ctseg_date_render(e->start_date, &start);
    e->start_ms = ctseg_day_start(x->env->zone, &start);

    if (!x->patch) {
        e->covered_ms = e->start_ms - 1;
        e->next_run_ms = e->start_ms > now ? e->start_ms : now;
        return;
    }

    e->covered_ms = now;

    if (e->status == CTSEG_PENDING) {
        schedule.zone = x->env->zone;
        schedule.start = start;
        schedule.every_hours = e->every_hours;

        e->next_run_ms = ctseg_schedule_next(&schedule, now);
    }
}


void
ctseg_export_frequency(ctseg_export_parse_t *x, const ctseg_json_t *freq)
{
    ctseg_str_t  s;

    if (freq->type != CTSEG_JSON_OBJECT) {
        ctseg_problem(x->problems, "frequency", "must be an object");
        return;
    }

    ctseg_fields_known(freq, "frequency", ctseg_export_freq_known, NULL,
                       x->problems);

    if (!ctseg_field_string(freq, "kind", "frequency.kind", &s,
                            x->problems))
    {
        if (ctseg_json_get(freq, "kind") == NULL) {
            ctseg_problem(x->problems, "frequency.kind", "is required");
        }

        return;
    }

    x->e->freq = ctseg_freq_parse(s);

    if (x->e->freq == 0) {
        ctseg_problem(x->problems, "frequency.kind",
                      "must be one_time, recurring or live");
        return;
    }

    ctseg_export_freq_foreign(x, freq);

    switch (x->e->freq) {
    case CTSEG_FREQ_ONE_TIME:
        ctseg_export_freq_one_time(x, freq);
        break;

    case CTSEG_FREQ_RECURRING:
        ctseg_export_freq_recurring(x, freq);
        break;

    case CTSEG_FREQ_LIVE:
        if (!x->patch) {
            x->e->start_ms = x->env->now_ms;
            x->e->next_run_ms = x->env->now_ms;
        }

        break;
    }
}
