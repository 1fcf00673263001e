/*
 * One event as one message of Segment's HTTP API ("HTTP API Source"): track,
 * or identify when a profile changed.  A pure function of the event, its
 * sequence and the pinned settings: a retry or a resumed run sends the same
 * bytes.  Any thread; no clock.
 */

#ifndef CTSEG_MESSAGE_H
#define CTSEG_MESSAGE_H


#include "../model/ctseg_run.h"


#define CTSEG_MESSAGE_MAX  32000        /* bytes; "less than 32 KB" each */

/* of one that is kept for people: more than an event of collect can make,
   save by an identifier that is taken out of its properties */

#define CTSEG_MESSAGE_KEPT_MAX  40000


/* how an identify message begins, up to the messageId */

#define CTSEG_MESSAGE_IDENTIFY  "{\"type\":\"identify\",\"messageId\":\""

/* ctseg-<installation>-<key>-, at most */

#define CTSEG_MESSAGE_PREFIX  64


/* one owner at a time */

typedef struct {
    const ctseg_pinned_t  *pinned;      /* borrowed */
    char                   id_prefix[CTSEG_MESSAGE_PREFIX];
    size_t                 id_prefix_len;
    ctseg_day_t            day;         /* of the last message */
} ctseg_encoder_t;


void ctseg_encoder_init(ctseg_encoder_t *enc, const ctseg_pinned_t *pinned,
    const char *installation);

/* does the run want the event: its kind and its time */

bool ctseg_message_wanted(const ctseg_pinned_t *pinned,
    const ctseg_event_t *ev);

/*
 * The event as it is sent, which may be *clamped: at the time of its arrival.
 * NULL: it is too far ahead of that to be sent.
 */

const ctseg_event_t *ctseg_message_clamp(const ctseg_pinned_t *pinned,
    const ctseg_event_t *ev, int64_t arrived_ms, ctseg_event_t *clamped);

/*
 * Append the message to out: OK.  INVALID: it can never be accepted, *why
 * tells, out is as before.  NOMEM.  No sentAt: with a stale one Segment
 * shifts the time of the event ("Spec: Common Fields", timestamps).
 *
 * Dates of CleverTap are written as those of ISO 8601, unless they are so
 * many that the message would be too large by that alone.  A context goes
 * before that, when the message is too large with it.
 */

ctseg_rc_t ctseg_message_encode(ctseg_buf_t *out, ctseg_encoder_t *enc,
    uint64_t sequence, const ctseg_event_t *ev, ctseg_reject_t *why);

/*
 * Append the message of an event that can never be accepted, as far as there
 * is one: a JSON object of at most CTSEG_MESSAGE_KEPT_MAX bytes.  What makes
 * it longer is left out: first both ids, which stand in the properties then,
 * next the properties, at last the name.  The mapping of the export is not
 * applied: properties are as they came, and the time is.
 */

void ctseg_message_keep(ctseg_buf_t *out, ctseg_encoder_t *enc,
    uint64_t sequence, const ctseg_event_t *ev);


#endif /* CTSEG_MESSAGE_H */
