/*
 * Slots of a recurring export.  The engine asks when the next run is due and
 * how many slots a run makes up for; the parser of exports asks for the first
 * slot of an edited one.
 *
 * A slot is a wall time, and a wall time is a number on a line without clock
 * changes: so the number of slots at or before an instant is one division,
 * whatever the distance.  Only the change itself can make it wrong, when the
 * wall clock was set back past a slot that had come already, so the answer
 * is then moved until the instants agree.
 */

#include "ctseg_schedule.h"


#define CTSEG_SCHEDULE_HOUR_MS  3600000LL
#define CTSEG_SCHEDULE_MAX_MS   253402300799999LL   /* end of the year 9999 */


/* never 0, whatever a record says: it divides */

static int64_t
ctseg_schedule_hours(const ctseg_schedule_t *s)
{
    if (s->every_hours == 0 || s->every_hours > CTSEG_EVERY_HOURS_MAX) {
        return CTSEG_EVERY_HOURS_MAX;
    }

    return s->every_hours;
}


/* the instant of slot k, k >= 0; never before that of slot k - 1 */

static int64_t
ctseg_schedule_slot(const ctseg_schedule_t *s, int64_t k)
{
    int64_t        hours;
    ctseg_civil_t  c;

    hours = k * ctseg_schedule_hours(s);

    c = s->start;
    ctseg_date_add(&c, hours / 24);

    c.hour = (int) (hours % 24);
    c.min = 0;
    c.sec = 0;
    c.msec = 0;

    return s->zone->to_instant(s->zone, &c);
}


/* wall time that passed between 00:00 of the start date and an instant */

static int64_t
ctseg_schedule_wall(const ctseg_schedule_t *s, int64_t ms)
{
    int64_t        days;
    ctseg_civil_t  c;

    s->zone->to_civil(s->zone, ms, &c);

    days = ctseg_days_from_civil(c.year, c.month, c.day)
           - ctseg_days_from_civil(s->start.year, s->start.month,
                                   s->start.day);

    return days * CTSEG_DAY_MS
           + (((int64_t) c.hour * 60 + c.min) * 60 + c.sec) * 1000 + c.msec;
}


/*
 * How many slots lie at or before an instant; also the number of the first
 * one after it, since they count from 0.
 */

static int64_t
ctseg_schedule_passed(const ctseg_schedule_t *s, int64_t ms)
{
    int64_t  k, wall;

    if (ms < ctseg_schedule_slot(s, 0)) {
        return 0;
    }

    if (ms > CTSEG_SCHEDULE_MAX_MS) {
        ms = CTSEG_SCHEDULE_MAX_MS;
    }

    wall = ctseg_schedule_wall(s, ms);

    if (wall < 0) {
        wall = 0;
    }

    k = wall / (ctseg_schedule_hours(s) * CTSEG_SCHEDULE_HOUR_MS) + 1;

    /* a change of the clock is worth a slot or two, not more */

    while (k > 0 && ctseg_schedule_slot(s, k - 1) > ms) {
        k--;
    }

    while (ctseg_schedule_slot(s, k) <= ms) {
        k++;
    }

    return k;
}


int64_t
ctseg_schedule_next(const ctseg_schedule_t *s, int64_t after_ms)
{
    int64_t  ms;

    ms = ctseg_schedule_slot(s, ctseg_schedule_passed(s, after_ms));

    /* the calendar ends: there is none to come */

    return ms > after_ms ? ms : INT64_MAX;
}


uint64_t
ctseg_schedule_count(const ctseg_schedule_t *s, int64_t after_ms,
    int64_t upto_ms)
{
    if (upto_ms <= after_ms) {
        return 0;
    }

    return (uint64_t) (ctseg_schedule_passed(s, upto_ms)
                       - ctseg_schedule_passed(s, after_ms));
}
