/*
 * The life of an export: the one table of transitions with its rules, and the
 * names of states, frequencies, types and stop reasons as users see them.  The
 * engine asks here before it moves an export, the API before it stops or edits
 * one.  Nothing is moved here: the answer is the next state, and the store
 * commits it.
 */

#include "ctseg_export.h"
#include "../base/ctseg_str.h"

#include <string.h>


#define ctseg_export_count(list)  (sizeof(list) / sizeof((list)[0]))

#define CTSEG_EXPORT_NO  ((ctseg_status_t) 0)


typedef struct {
    ctseg_status_t        from;
    ctseg_export_event_t  event;
    ctseg_status_t        one_time;
    ctseg_status_t        recurring;
    ctseg_status_t        live;
    const char           *rule;         /* why it is refused where it is */
} ctseg_export_step_t;


/* what is not here cannot happen; the documentation has the same rows */

static const ctseg_export_step_t  ctseg_export_steps[] = {

    { CTSEG_PENDING, CTSEG_ON_START,
      CTSEG_RUNNING, CTSEG_RUNNING, CTSEG_RUNNING, NULL },

    { CTSEG_PENDING, CTSEG_ON_STOP,
      CTSEG_STOPPED, CTSEG_STOPPED, CTSEG_STOPPED, NULL },

    { CTSEG_PENDING, CTSEG_ON_EDIT,
      CTSEG_EXPORT_NO, CTSEG_PENDING, CTSEG_PENDING,
      "a one time export cannot be edited" },

    { CTSEG_RUNNING, CTSEG_ON_START,
      CTSEG_RUNNING, CTSEG_RUNNING, CTSEG_RUNNING, NULL },

    { CTSEG_RUNNING, CTSEG_ON_FINISH,
      CTSEG_DONE, CTSEG_PENDING, CTSEG_RUNNING, NULL },

    { CTSEG_RUNNING, CTSEG_ON_STOP,
      CTSEG_STOPPED, CTSEG_STOPPED, CTSEG_STOPPED, NULL },

    { CTSEG_RUNNING, CTSEG_ON_EDIT,
      CTSEG_EXPORT_NO, CTSEG_RUNNING, CTSEG_RUNNING,
      "a one time export cannot be edited" },

    { CTSEG_DONE, CTSEG_ON_STOP,
      CTSEG_EXPORT_NO, CTSEG_EXPORT_NO, CTSEG_EXPORT_NO,
      "only a PENDING or RUNNING export can be stopped, this one is DONE" },

    { CTSEG_DONE, CTSEG_ON_EDIT,
      CTSEG_EXPORT_NO, CTSEG_EXPORT_NO, CTSEG_EXPORT_NO,
      "an export that is DONE cannot be edited" },

    { CTSEG_STOPPED, CTSEG_ON_STOP,
      CTSEG_EXPORT_NO, CTSEG_EXPORT_NO, CTSEG_EXPORT_NO,
      "only a PENDING or RUNNING export can be stopped, this one is STOPPED" },

    { CTSEG_STOPPED, CTSEG_ON_EDIT,
      CTSEG_EXPORT_NO, CTSEG_EXPORT_NO, CTSEG_EXPORT_NO,
      "an export that is STOPPED cannot be edited" }
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


/* the row, NULL if there is none */

static const ctseg_export_step_t *
ctseg_export_row(ctseg_status_t from, ctseg_export_event_t event)
{
    size_t  i;

    for (i = 0; i < ctseg_export_count(ctseg_export_steps); i++) {
        if (ctseg_export_steps[i].from == from
            && ctseg_export_steps[i].event == event)
        {
            return &ctseg_export_steps[i];
        }
    }

    return NULL;
}


ctseg_status_t
ctseg_export_step(ctseg_freq_t freq, ctseg_status_t from,
    ctseg_export_event_t event)
{
    const ctseg_export_step_t  *row;

    row = ctseg_export_row(from, event);

    if (row == NULL) {
        return CTSEG_EXPORT_NO;
    }

    switch (freq) {

    case CTSEG_FREQ_ONE_TIME:
        return row->one_time;

    case CTSEG_FREQ_RECURRING:
        return row->recurring;

    case CTSEG_FREQ_LIVE:
        return row->live;
    }

    return CTSEG_EXPORT_NO;
}


const char *
ctseg_export_rule(ctseg_freq_t freq, ctseg_status_t from,
    ctseg_export_event_t event)
{
    const ctseg_export_step_t  *row;

    if (ctseg_export_step(freq, from, event) != CTSEG_EXPORT_NO) {
        return NULL;
    }

    row = ctseg_export_row(from, event);

    return row != NULL && row->rule != NULL
           ? row->rule : "the state of the export does not allow it";
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
