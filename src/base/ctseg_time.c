/*
 * Civil dates, zones and instants.  The model asks here what day it is in
 * the account zone and where a day begins; renderers ask for RFC 3339.
 * Calendar arithmetic is done on day numbers, so no date passes through a
 * library's idea of a month.  The zone's offset is the one thing taken from
 * the C library, and only by localtime_r(): mktime() leaves open what it
 * makes of a wall time that a clock change skips or repeats.
 */

#include "ctseg_time.h"
#include "ctseg_str.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


#define CTSEG_TIME_DAY_S   86400
#define CTSEG_TIME_MIN_MS  -62135596800000LL    /* 0001-01-01T00:00:00 */
#define CTSEG_TIME_MAX_MS  253402300799999LL    /* 9999-12-31T23:59:59.999 */


/* quotient and remainder with a remainder that is never negative */

static int64_t
ctseg_time_div(int64_t n, int64_t d, int64_t *rest)
{
    int64_t  q;

    q = n / d;
    *rest = n % d;

    if (*rest < 0) {
        *rest += d;
        q--;
    }

    return q;
}


/*
 * Both conversions count years from March, so that the leap day is the last
 * day of a year, and in eras of 400 years, which all have 146097 days.
 */

int64_t
ctseg_days_from_civil(int year, int month, int day)
{
    int64_t  y, era, yoe, doy, doe;

    y = (int64_t) year - (month <= 2 ? 1 : 0);
    era = ctseg_time_div(y, 400, &yoe);
    doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + doe - 719468;
}


void
ctseg_civil_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t   era, rest;
    uint32_t  doe, yoe, doy, mp;

    era = ctseg_time_div(days + 719468, 146097, &rest);

    /* each event that is sent comes here: what is left fits in 32 bits */

    doe = (uint32_t) rest;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;

    *day = (int) (doy - (153 * mp + 2) / 5 + 1);
    *month = (int) (mp < 10 ? mp + 3 : mp - 9);
    *year = (int) (yoe + era * 400 + (*month <= 2 ? 1 : 0));
}


/* the civil time as if the zone were UTC, in seconds */

static int64_t
ctseg_time_naive(const ctseg_civil_t *c)
{
    return ctseg_days_from_civil(c->year, c->month, c->day)
           * CTSEG_TIME_DAY_S
           + (int64_t) c->hour * 3600 + (int64_t) c->min * 60 + c->sec;
}


/* civil time of an instant that was already moved by the zone's offset */

static void
ctseg_time_split(int64_t ms, ctseg_civil_t *c)
{
    int64_t   days, rest;
    uint32_t  n;

    if (ms < CTSEG_TIME_MIN_MS) {
        ms = CTSEG_TIME_MIN_MS;
    }

    if (ms > CTSEG_TIME_MAX_MS) {
        ms = CTSEG_TIME_MAX_MS;
    }

    days = ctseg_time_div(ms, CTSEG_DAY_MS, &rest);
    ctseg_civil_from_days(days, &c->year, &c->month, &c->day);

    n = (uint32_t) rest;

    c->msec = (int) (n % 1000);
    n /= 1000;
    c->sec = (int) (n % 60);
    n /= 60;
    c->min = (int) (n % 60);
    c->hour = (int) (n / 60);
}


static int64_t
ctseg_time_clamp(int64_t ms)
{
    /* a day of room for the offset on either side */

    if (ms < CTSEG_TIME_MIN_MS - CTSEG_DAY_MS) {
        return CTSEG_TIME_MIN_MS - CTSEG_DAY_MS;
    }

    if (ms > CTSEG_TIME_MAX_MS + CTSEG_DAY_MS) {
        return CTSEG_TIME_MAX_MS + CTSEG_DAY_MS;
    }

    return ms;
}


static int64_t
ctseg_time_fixed_to_instant(const ctseg_zone_t *z, const ctseg_civil_t *c)
{
    return (ctseg_time_naive(c) - z->offset_s) * 1000 + c->msec;
}


static void
ctseg_time_fixed_to_civil(const ctseg_zone_t *z, int64_t ms,
    ctseg_civil_t *c)
{
    ctseg_time_split(ctseg_time_clamp(ms) + (int64_t) z->offset_s * 1000, c);
}


/* seconds that the process's zone is ahead of UTC at an instant */

static int64_t
ctseg_time_offset(int64_t s)
{
    time_t     t;
    struct tm  tm;

    t = (time_t) s;

    if (localtime_r(&t, &tm) == NULL) {
        return 0;
    }

    return tm.tm_gmtoff;
}


/*
 * The wall time is tried with the offset a day before and the one a day
 * after.  Where both fit, the time happens twice and the earlier is taken;
 * where none fits, it was skipped, and the change itself is searched.
 */

static int64_t
ctseg_time_system_to_instant(const ctseg_zone_t *z, const ctseg_civil_t *c)
{
    bool     fits_a, fits_b;
    int64_t  naive, before, after, a, b, lo, hi, mid;

    (void) z;

    naive = ctseg_time_naive(c);
    before = ctseg_time_offset(naive - CTSEG_TIME_DAY_S);
    after = ctseg_time_offset(naive + CTSEG_TIME_DAY_S);

    a = naive - before;
    b = naive - after;

    fits_a = ctseg_time_offset(a) == before;
    fits_b = ctseg_time_offset(b) == after;

    if (fits_a && fits_b) {
        return (a < b ? a : b) * 1000 + c->msec;
    }

    if (fits_a) {
        return a * 1000 + c->msec;
    }

    if (fits_b) {
        return b * 1000 + c->msec;
    }

    /* a gap: b still has the old offset, a has the new one */

    lo = b;
    hi = a;

    while (hi - lo > 1) {
        mid = lo + (hi - lo) / 2;

        if (ctseg_time_offset(mid) == before) {
            lo = mid;

        } else {
            hi = mid;
        }
    }

    return hi * 1000;
}


static void
ctseg_time_system_to_civil(const ctseg_zone_t *z, int64_t ms,
    ctseg_civil_t *c)
{
    int64_t  s, rest;

    (void) z;

    ms = ctseg_time_clamp(ms);
    s = ctseg_time_div(ms, 1000, &rest);

    ctseg_time_split(ms + ctseg_time_offset(s) * 1000, c);
}


/* what follows "zoneinfo/" in a path, else the whole; into the name */

static bool
ctseg_time_name(ctseg_zone_t *z, const char *s)
{
    const char  *p;

    p = strstr(s, "zoneinfo/");

    if (p != NULL) {
        s = p + sizeof("zoneinfo/") - 1;
    }

    if (*s == '\0' || *s == '/') {
        return false;
    }

    (void) snprintf(z->name, sizeof(z->name), "%s", s);
    z->name[ctseg_utf8_check(ctseg_str(z->name))] = '\0';

    return true;
}


static bool
ctseg_time_name_etc(ctseg_zone_t *z)
{
    int      fd;
    char     buf[256];
    ssize_t  n;

    fd = open("/etc/timezone", O_RDONLY | O_CLOEXEC);

    if (fd != -1) {
        n = read(fd, buf, sizeof(buf) - 1);
        (void) close(fd);

        if (n > 0) {
            buf[n] = '\0';
            buf[strcspn(buf, " \t\r\n")] = '\0';

            if (ctseg_time_name(z, buf)) {
                return true;
            }
        }
    }

    n = readlink("/etc/localtime", buf, sizeof(buf) - 1);

    if (n <= 0) {
        return false;
    }

    buf[n] = '\0';

    /* a target outside the zone database has no IANA name */

    return strstr(buf, "zoneinfo/") != NULL && ctseg_time_name(z, buf);
}


void
ctseg_zone_system(ctseg_zone_t *z)
{
    const char  *tz;

    tzset();

    memset(z, 0, sizeof(ctseg_zone_t));
    z->to_instant = ctseg_time_system_to_instant;
    z->to_civil = ctseg_time_system_to_civil;

    tz = getenv("TZ");

    /* an empty TZ is UTC to the C library as well */

    if (tz == NULL || *tz != '\0') {

        if (tz != NULL && ctseg_time_name(z, *tz == ':' ? tz + 1 : tz)) {
            return;
        }

        if (ctseg_time_name_etc(z)) {
            return;
        }
    }

    (void) ctseg_time_name(z, "UTC");
}


void
ctseg_zone_fixed(ctseg_zone_t *z, const char *name, int32_t offset_s)
{
    memset(z, 0, sizeof(ctseg_zone_t));

    (void) snprintf(z->name, sizeof(z->name), "%s", name);
    z->name[ctseg_utf8_check(ctseg_str(z->name))] = '\0';

    z->to_instant = ctseg_time_fixed_to_instant;
    z->to_civil = ctseg_time_fixed_to_civil;
    z->offset_s = offset_s;
}


/* n decimal digits, or -1 */

static int
ctseg_time_digits(const char *p, unsigned n)
{
    int       v;
    unsigned  i;

    v = 0;

    for (i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }

        v = v * 10 + (p[i] - '0');
    }

    return v;
}


bool
ctseg_date_parse(ctseg_str_t s, ctseg_civil_t *c)
{
    int  year, month, day, y, m, d;

    if (s.len != CTSEG_DATE_LEN || s.data[4] != '-' || s.data[7] != '-') {
        return false;
    }

    year = ctseg_time_digits(s.data, 4);
    month = ctseg_time_digits(s.data + 5, 2);
    day = ctseg_time_digits(s.data + 8, 2);

    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }

    /* February 30 would come back as a day in March */

    ctseg_civil_from_days(ctseg_days_from_civil(year, month, day),
                          &y, &m, &d);

    if (m != month) {
        return false;
    }

    memset(c, 0, sizeof(ctseg_civil_t));
    c->year = year;
    c->month = month;
    c->day = day;

    return true;
}


static inline char *
ctseg_time_put(char *out, unsigned v)
{
    out[0] = (char) ('0' + v / 10 % 10);
    out[1] = (char) ('0' + v % 10);

    return out + 2;
}


void
ctseg_date_render(char *out, const ctseg_civil_t *c)
{
    out = ctseg_time_put(out, (unsigned) c->year / 100);
    out = ctseg_time_put(out, (unsigned) c->year % 100);
    *out++ = '-';
    out = ctseg_time_put(out, (unsigned) c->month);
    *out++ = '-';
    out = ctseg_time_put(out, (unsigned) c->day);
    *out = '\0';
}


void
ctseg_date_add(ctseg_civil_t *c, int64_t n)
{
    int64_t  days;

    days = ctseg_days_from_civil(c->year, c->month, c->day) + n;
    ctseg_civil_from_days(days, &c->year, &c->month, &c->day);
}


int64_t
ctseg_day_start(const ctseg_zone_t *z, const ctseg_civil_t *c)
{
    ctseg_civil_t  midnight;

    memset(&midnight, 0, sizeof(ctseg_civil_t));
    midnight.year = c->year;
    midnight.month = c->month;
    midnight.day = c->day;

    return z->to_instant(z, &midnight);
}


void
ctseg_rfc3339(char *out, int64_t ms)
{
    ctseg_day_t  day;

    memset(&day, 0, sizeof(ctseg_day_t));

    ctseg_rfc3339_near(out, ms, &day);
}


void
ctseg_rfc3339_near(char *out, int64_t ms, ctseg_day_t *day)
{
    int64_t        rest;
    uint32_t       n;
    ctseg_civil_t  c;

    ms = ms < 0 ? 0 : ms;
    ms = ms > CTSEG_TIME_MAX_MS ? CTSEG_TIME_MAX_MS : ms;

    rest = ms - day->start_ms;

    if (day->text[0] == '\0' || rest < 0 || rest >= CTSEG_DAY_MS) {
        ctseg_time_split(ms, &c);
        ctseg_date_render(day->text, &c);

        rest = ms % CTSEG_DAY_MS;
        day->start_ms = ms - rest;
    }

    memcpy(out, day->text, CTSEG_DATE_LEN);
    out += CTSEG_DATE_LEN;

    n = (uint32_t) rest / 1000;

    *out++ = 'T';
    out = ctseg_time_put(out, n / 3600);
    *out++ = ':';
    out = ctseg_time_put(out, n / 60 % 60);
    *out++ = ':';
    out = ctseg_time_put(out, n % 60);
    n = (uint32_t) rest % 1000;
    *out++ = '.';
    *out++ = (char) ('0' + n / 100);
    out = ctseg_time_put(out, n % 100);
    *out++ = 'Z';
    *out = '\0';
}


static int64_t
ctseg_time_clock(clockid_t id)
{
    struct timespec  ts;

    if (clock_gettime(id, &ts) != 0) {
        return 0;
    }

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


int64_t
ctseg_now_ms(void)
{
    return ctseg_time_clock(CLOCK_REALTIME) / 1000;
}


int64_t
ctseg_mono_ms(void)
{
    return ctseg_time_clock(CLOCK_MONOTONIC) / 1000;
}


int64_t
ctseg_mono_us(void)
{
    return ctseg_time_clock(CLOCK_MONOTONIC);
}
