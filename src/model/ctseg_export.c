/*
 * The life of an export: the one table of transitions, and the names of
 * states, frequencies, types and stop reasons as users see them.  The engine
 * asks here before it moves an export, the API before it stops one.  Nothing
 * is moved here: the answer is the next state, and the store commits it.
 */

#include "ctseg_export.h"
#include "../base/ctseg_str.h"

#include <string.h>


#define CTSEG_EXPORT_EVENTS  3

#define ctseg_export_count(list)  (sizeof(list) / sizeof((list)[0]))


/* by state and event; FINISH of a RUNNING one depends on its frequency */

static const uint8_t
    ctseg_export_next[CTSEG_STOPPED + 1][CTSEG_EXPORT_EVENTS] =
{
    /*                   START          FINISH        STOP */
    [CTSEG_PENDING] = { CTSEG_RUNNING, 0,            CTSEG_STOPPED },
    [CTSEG_RUNNING] = { CTSEG_RUNNING, CTSEG_RUNNING, CTSEG_STOPPED },
    [CTSEG_DONE]    = { 0,             0,            0 },
    [CTSEG_STOPPED] = { 0,             0,            0 }
};

static const uint8_t  ctseg_export_finish[CTSEG_FREQ_LIVE + 1] = {
    [CTSEG_FREQ_ONE_TIME] = CTSEG_DONE,
    [CTSEG_FREQ_RECURRING] = CTSEG_PENDING,
    [CTSEG_FREQ_LIVE] = CTSEG_RUNNING
};


static const char  *const ctseg_export_statuses[] = {
    NULL,
    "PENDING",
    "RUNNING",
    "DONE",
    "STOPPED"
};

static const char  *const ctseg_export_freqs[] = {
    NULL,
    "one_time",
    "recurring",
    "live"
};

static const char  *const ctseg_export_types[] = {
    NULL,
    "event",
    "profile"
};

static const char  *const ctseg_export_stops[] = {
    NULL,
    "user",
    "errors"
};


ctseg_status_t
ctseg_export_step(ctseg_freq_t freq, ctseg_status_t from,
    ctseg_export_event_t event)
{
    unsigned  next;

    if ((unsigned) from > CTSEG_STOPPED
        || (unsigned) event >= CTSEG_EXPORT_EVENTS
        || freq < CTSEG_FREQ_ONE_TIME
        || freq > CTSEG_FREQ_LIVE)
    {
        return (ctseg_status_t) 0;
    }

    next = ctseg_export_next[from][event];

    if (event == CTSEG_ON_FINISH && next != 0) {
        next = ctseg_export_finish[freq];
    }

    return (ctseg_status_t) next;
}


bool
ctseg_export_is_final(ctseg_status_t status)
{
    return status == CTSEG_DONE || status == CTSEG_STOPPED;
}


static const char *
ctseg_export_name(const char *const *list, size_t n, unsigned i)
{
    return i < n ? list[i] : NULL;
}


/* position of s in a list whose first entry stands for "unknown" */

static unsigned
ctseg_export_index(const char *const *list, size_t n, ctseg_str_t s)
{
    unsigned  i;

    for (i = 1; i < n; i++) {
        if (ctseg_str_is(s, list[i])) {
            return i;
        }
    }

    return 0;
}


const char *
ctseg_status_name(ctseg_status_t s)
{
    return ctseg_export_name(ctseg_export_statuses,
                             ctseg_export_count(ctseg_export_statuses), s);
}


const char *
ctseg_freq_name(ctseg_freq_t f)
{
    return ctseg_export_name(ctseg_export_freqs,
                             ctseg_export_count(ctseg_export_freqs), f);
}


const char *
ctseg_type_name(ctseg_type_t t)
{
    return ctseg_export_name(ctseg_export_types,
                             ctseg_export_count(ctseg_export_types), t);
}


const char *
ctseg_stop_name(ctseg_stop_t s)
{
    return ctseg_export_name(ctseg_export_stops,
                             ctseg_export_count(ctseg_export_stops), s);
}


ctseg_status_t
ctseg_status_parse(ctseg_str_t s)
{
    return (ctseg_status_t)
           ctseg_export_index(ctseg_export_statuses,
                              ctseg_export_count(ctseg_export_statuses), s);
}


ctseg_freq_t
ctseg_freq_parse(ctseg_str_t s)
{
    return (ctseg_freq_t)
           ctseg_export_index(ctseg_export_freqs,
                              ctseg_export_count(ctseg_export_freqs), s);
}


ctseg_type_t
ctseg_type_parse(ctseg_str_t s)
{
    return (ctseg_type_t)
           ctseg_export_index(ctseg_export_types,
                              ctseg_export_count(ctseg_export_types), s);
}
