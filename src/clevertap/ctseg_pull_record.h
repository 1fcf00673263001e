/*
 * One record of a page of Get Events; see ctseg_pull.h.  Private to it.  Any
 * thread; no clock.
 */

#ifndef CTSEG_PULL_RECORD_H
#define CTSEG_PULL_RECORD_H


#include "../base/ctseg_time.h"
#include "../model/ctseg_event.h"


/* what holds for all records of a page; buffers are used again */

typedef struct {
    const ctseg_zone_t  *zone;
    ctseg_str_t          name;          /* of the events: raw, or empty */
    unsigned             kind;
    bool                 is_charged;
    bool                 profiles;      /* also what is known of who did it */

    ctseg_buf_t          items;
    ctseg_buf_t          props;
    ctseg_buf_t          facts;         /* properties of the profile */
} ctseg_pull_head_t;


/*
 * 0: *ev is good, and *profile too if has_profile is set; their slices point
 * into text, head and its buffers.  Otherwise a code.  *why, which is the
 * inside of a JSON string, says what is wrong with the record, or when that
 * is good with its profile; *profile_code is not 0 then.  why->failed: no
 * memory, and nothing of it counts.
 */

int ctseg_pull_record(ctseg_pull_head_t *head, ctseg_str_t text,
    ctseg_event_t *ev, ctseg_event_t *profile, bool *has_profile,
    int *profile_code, ctseg_buf_t *why);

void ctseg_pull_record_free(ctseg_pull_head_t *head);


#endif /* CTSEG_PULL_RECORD_H */
