/*
 * One line of an export file; see ctseg_file.h.  Private to it.  Any thread;
 * no clock.
 */

#ifndef CTSEG_FILE_LINE_H
#define CTSEG_FILE_LINE_H


#include "../base/ctseg_time.h"
#include "../model/ctseg_event.h"


/* what holds for all lines */

typedef struct {
    const ctseg_zone_t  *zone;
    int64_t              now_ms;        /* of a profile without ts */
    ctseg_str_t          name;          /* of the events: raw, or empty */
    unsigned             kind;
    bool                 is_charged;
} ctseg_file_head_t;


/*
 * 0: *ev is good; its slices point into text, head and props.  Otherwise a
 * code, and its reason in *why, which is the inside of a JSON string.
 * why->failed: no memory, and nothing of it counts.
 */

int ctseg_file_line(const ctseg_file_head_t *head, ctseg_str_t text,
    ctseg_event_t *ev, ctseg_buf_t *props, ctseg_buf_t *why);


#endif /* CTSEG_FILE_LINE_H */
