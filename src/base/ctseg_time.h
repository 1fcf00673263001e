/*
 * Civil dates and instants.  An instant is milliseconds since 1970 UTC.
 * A zone is an argument, so that rules can be tested in any of them.
 * Any thread.
 */

#ifndef CTSEG_TIME_H
#define CTSEG_TIME_H


#include "ctseg_mem.h"


#define CTSEG_DAY_MS      86400000LL
#define CTSEG_RFC3339_LEN 24            /* 2026-01-02T03:04:05.678Z */
#define CTSEG_DATE_LEN    10            /* 2026-01-02 */


typedef struct {
    int  year;          /* 1..9999 */
    int  month;         /* 1..12 */
    int  day;           /* 1..31 */
    int  hour, min, sec, msec;
} ctseg_civil_t;


typedef struct ctseg_zone_s  ctseg_zone_t;

struct ctseg_zone_s {
    char      name[64];

    /*
     * Wall time to instant.  A wall time that a clock change skips gives
     * the first instant after the gap; one that happens twice the earlier.
     */
    int64_t  (*to_instant)(const ctseg_zone_t *z, const ctseg_civil_t *c);
    void     (*to_civil)(const ctseg_zone_t *z, int64_t ms, ctseg_civil_t *c);
    int32_t    offset_s;        /* of a fixed zone */
};

/* the zone of the process (TZ, /etc/localtime), with its IANA name if known */

void ctseg_zone_system(ctseg_zone_t *z);

/* a zone without clock changes; name is copied and cut */

void ctseg_zone_fixed(ctseg_zone_t *z, const char *name, int32_t offset_s);


/* proleptic Gregorian, no zone; day numbers count from 1970-01-01 = 0 */

int64_t ctseg_days_from_civil(int year, int month, int day);
void ctseg_civil_from_days(int64_t days, int *year, int *month, int *day);

/* "YYYY-MM-DD", an existing day, year 1970..9999 */

bool ctseg_date_parse(ctseg_str_t s, ctseg_civil_t *c);

/* out takes CTSEG_DATE_LEN + 1 bytes */

void ctseg_date_render(char *out, const ctseg_civil_t *c);

/* c moved by n days (n may be negative), time of day kept */

void ctseg_date_add(ctseg_civil_t *c, int64_t n);

/* 00:00 of the day of c in zone z, as an instant */

int64_t ctseg_day_start(const ctseg_zone_t *z, const ctseg_civil_t *c);

/*
 * RFC 3339 in UTC with three decimals; out takes CTSEG_RFC3339_LEN + 1 bytes.
 * Instants outside the years 1970..9999 are clamped.
 */

void ctseg_rfc3339(char *out, int64_t ms);


/* the day of the last one; zeroed: none */

typedef struct {
    int64_t  start_ms;
    char     text[CTSEG_DATE_LEN + 1];
} ctseg_day_t;

/* the same for many, of which neighbours share a day: no calendar for these */

void ctseg_rfc3339_near(char *out, int64_t ms, ctseg_day_t *day);


/* clocks: for callers above model, which itself never asks for the time */

int64_t ctseg_now_ms(void);             /* CLOCK_REALTIME */
int64_t ctseg_mono_ms(void);            /* CLOCK_MONOTONIC */
int64_t ctseg_mono_us(void);


#endif /* CTSEG_TIME_H */
