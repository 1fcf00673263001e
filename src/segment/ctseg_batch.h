/*
 * A batch for Segment's /v1/batch: messages in one envelope, within its
 * limits ("HTTP API Source", batch: 500 KB, 2,500 events, 32 KB an event).
 * Where a batch ends depends on the log and the pinned settings only.
 * Any thread; no clock.
 */

#ifndef CTSEG_BATCH_H
#define CTSEG_BATCH_H


#include "ctseg_message.h"


#define CTSEG_BATCH_BYTES   475000      /* of the whole body, uncompressed */
#define CTSEG_BATCH_EVENTS  2500

/* memory of a body that is more than a few messages: the largest, with a
   message that does not fit any more */

#define CTSEG_BATCH_MEMORY  (512 * 1024)

/* envelope with the longest write key, without what the export says of
   integrations; counted in full for every key */

#define CTSEG_BATCH_ENVELOPE  512

/* messages of which it is known where they lie in the body */

#define CTSEG_BATCH_MARKS  5

/*
 * Events that can never be accepted are remembered, so that they can be kept
 * with their messages.  A batch ends when it has met so many of them, or so
 * many bytes: all that were met before the last are less.
 */

#define CTSEG_BATCH_REJECTS       256
#define CTSEG_BATCH_REJECT_BYTES  (512 * 1024)


typedef struct {
    uint64_t         sequence;
    ctseg_reject_t   reason;            /* NO_ID, NO_NAME, TOO_LARGE, FUTURE */
    size_t           end;               /* of its message in the buffer */
} ctseg_batch_reject_t;


/* an update of a profile in the body, or several in one message */

typedef struct {
    uint64_t         hash;              /* of whom it is about */
    uint64_t         first;             /* sequence of the oldest */
    size_t           at;                /* its message in the body */
    size_t           len;
} ctseg_batch_profile_t;


/*
 * Asked of each update of a profile that could be sent, with its message: OK
 * appends to out what is to be sent instead, or nothing.  NOTFOUND: a later
 * message includes it.  Else an error, with which the batch ends.
 */

typedef ctseg_rc_t (*ctseg_batch_look_pt)(void *data,
    const ctseg_encoder_t *enc, uint64_t sequence, ctseg_str_t message,
    ctseg_buf_t *out);


typedef struct {
    ctseg_buf_t      body;
    size_t           head;              /* bytes before the messages */
    unsigned         events;            /* messages in the body */
    unsigned         limit;             /* at most so many; 0: Segment's */
    uint64_t         last;              /* sequence of the last of them */
    size_t           room;              /* for messages */
    int64_t          arrived_ms;        /* when what is offered arrived: the
                                           caller's, of its block */
    size_t           ends[CTSEG_BATCH_MARKS];   /* of the first of them */
    uint64_t         after;             /* covers (after, upto] of the log */
    uint64_t         upto;
    ctseg_counts_t   counts;            /* verdicts on that range; "sent" are
                                           the messages, once acknowledged */
    ctseg_batch_reject_t  *rejects;     /* nrejects of them, or NULL */
    unsigned         nrejects;
    ctseg_buf_t      kept;              /* their messages */
    ctseg_batch_profile_t  *profiles;   /* as many as events, or NULL */
    ctseg_batch_look_pt  look;          /* of profiles; NULL: they are put
                                           together here */
    void            *look_data;
    unsigned         ndamaged;          /* blocks that are damaged */
    uint64_t         damaged[CTSEG_BATCH_MARKS];    /* the first of them */
    ctseg_rc_t       rc;                /* sticky: NOMEM, or of look */
    ctseg_encoder_t  enc;
} ctseg_batch_t;


/*
 * b zeroed by the caller, but for memory that he has for the body: b->body is
 * empty then.  The pinned settings are borrowed until the end.
 */

void ctseg_batch_begin(ctseg_batch_t *b, const ctseg_pinned_t *pinned,
    const char *installation, const char *write_key, uint64_t after);

/*
 * Offer the event with the sequence b->upto + 1.  True: it has its verdict
 * (in the batch, filtered, or rejected).  False: the batch is full without
 * it, or there is an error (b->rc).
 *
 * In a batch of profiles the updates of one profile are one message, as long
 * as that is not too large: the older ones are filtered then.  With b->look,
 * set behind begin, somebody else has seen to that.
 */

bool ctseg_batch_offer(ctseg_batch_t *b, const ctseg_event_t *ev);

/* a range up to and including sequence that cannot match: all filtered */

void ctseg_batch_skip(ctseg_batch_t *b, uint64_t sequence);

/* a range up to and including sequence that is not there any more */

void ctseg_batch_expire(ctseg_batch_t *b, uint64_t sequence);

/* a range up to and including sequence that is damaged, of a block at "at" */

void ctseg_batch_damage(ctseg_batch_t *b, uint64_t at, uint64_t sequence);

/* a message that is no event of the log: in the body, without a verdict */

void ctseg_batch_put(ctseg_batch_t *b, ctseg_str_t message);

/*
 * One of the first messages, borrowed from the body, without the envelope
 * and its write key; empty behind the last that is there or was marked
 */

ctseg_str_t ctseg_batch_message(const ctseg_batch_t *b, unsigned i);

/* the message of a reject, borrowed: JSON, see ctseg_message_keep */

ctseg_str_t ctseg_batch_kept(const ctseg_batch_t *b, unsigned i);

/* whoever has stored the rejects needs them no more; the counts stay */

void ctseg_batch_forget(ctseg_batch_t *b);

/* close the envelope; b->rc tells whether the body is whole */

void ctseg_batch_end(ctseg_batch_t *b);

void ctseg_batch_free(ctseg_batch_t *b);


/* the value of the Authorization that goes with a body of this key */

void ctseg_batch_authorization(ctseg_buf_t *out, const char *write_key);


#endif /* CTSEG_BATCH_H */
