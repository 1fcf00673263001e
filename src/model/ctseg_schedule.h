/*
 * Slots of a recurring export: 00:00 of the start date + k x period, in the
 * wall clock of the account zone.  Across a change of the clock a period is
 * an hour shorter or longer; a slot that a change skips lies at the first
 * instant after the gap, one that comes twice is the first of the two.
 * Any thread; no clock.
 */

#ifndef CTSEG_SCHEDULE_H
#define CTSEG_SCHEDULE_H


#include "../base/ctseg_time.h"


#define CTSEG_EVERY_HOURS_MIN  4
#define CTSEG_EVERY_HOURS_MAX  24


typedef struct {
    const ctseg_zone_t  *zone;
    ctseg_civil_t        start;         /* date; its time of day is ignored */
    unsigned             every_hours;
} ctseg_schedule_t;


/* the first slot after ms, never before the start date */

int64_t ctseg_schedule_next(const ctseg_schedule_t *s, int64_t after_ms);

/* how many slots lie in (after_ms, upto_ms] */

uint64_t ctseg_schedule_count(const ctseg_schedule_t *s, int64_t after_ms,
    int64_t upto_ms);


#endif /* CTSEG_SCHEDULE_H */
