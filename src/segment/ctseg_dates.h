/*
 * CleverTap's dates, strings "$D_<seconds since 1970>", as dates of ISO 8601.
 * Any thread; no clock.
 */

#ifndef CTSEG_DATES_H
#define CTSEG_DATES_H


#include "../base/ctseg_mem.h"


/*
 * Append a JSON text that is valid, each string in it that is such a date and
 * no name as "2026-01-02T03:04:05.000Z".  What lies outside of the years 1 to
 * 9999 stays.  False: there was none, the text is as it came.
 */

bool ctseg_dates_write(ctseg_buf_t *out, ctseg_str_t json);


#endif /* CTSEG_DATES_H */
