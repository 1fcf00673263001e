/*
 * CleverTap's export files of events (docs, "Profile and Events (Legacy)",
 * JSON): the first line is the name of the event, each other line an object
 *
 *   {"profile":{"identity":...}, "ts":20260102030405, "eventProps":{...},
 *    "deviceInfo":{...}, "sessionProps":{...}, "controlGroupName":...}
 *
 * Later files name the event in each line ("eventName", docs, "Export
 * Format").  A line may as well be a profile, in a file without a name:
 *
 *   {"type":"profile", "identity":..., "profileData":{...}}, as uploads have
 *   {"profile":{"identity":..., "name":..., "profileData":{...}}, "ts":...}
 *
 * A file of any length is read in pieces as they come.  Any thread; no clock.
 */

#ifndef CTSEG_FILE_H
#define CTSEG_FILE_H


#include "../base/ctseg_hash.h"
#include "../base/ctseg_time.h"
#include "ctseg_intake.h"
#include "ctseg_lines.h"


#define CTSEG_FILE_LINE_MAX    (128 * 1024)     /* bytes */
#define CTSEG_FILE_ERRORS_MAX  100      /* bad lines told one by one */

/* a commit is due behind the line that reaches one of them */

#define CTSEG_FILE_PART_BYTES  (1024 * 1024)
#define CTSEG_FILE_PART_LINES  4096


typedef enum {
    CTSEG_FILE_MORE = 0,                /* the piece is used up */
    CTSEG_FILE_EVENT,
    CTSEG_FILE_PART,                    /* commit what came since the last one:
                                           f->hash tells it from others */
    CTSEG_FILE_END,
    CTSEG_FILE_NOMEM
} ctseg_file_rc_t;


/*
 * Zeroed, with zone and now_ms set, it is ready.  Where a part ends depends on
 * the bytes of the file alone, not on the pieces; f->hash is that of all the
 * file has up to there, so the parts of a file that is sent again have the
 * same ones.
 */

typedef struct {
    const ctseg_zone_t  *zone;          /* ts of 14 digits is its wall time */
    int64_t              now_ms;        /* of a profile without ts */

    uint64_t             good;          /* lines that are records */
    uint64_t             failed;        /* lines that are not */
    unsigned             refused[CTSEG_REFUSAL_N];      /* failed by reason;
                                           the caller may zero them */
    ctseg_buf_t          unprocessed;   /* JSON items, commas between them */
    unsigned             told;          /* how many */
    char                 hash[CTSEG_HASH_LEN];

    ctseg_lines_t        lines;
    bool                 begun;         /* the first line is behind us */
    ctseg_buf_t          name;          /* of that line: raw, or empty */
    unsigned             kind;
    bool                 is_charged;
    ctseg_buf_t          props;         /* of the event at hand, when they are
                                           not a slice of its line */
    ctseg_buf_t          why;           /* the line at hand is wrong */
    size_t               part_bytes;
    unsigned             part_lines;
    bool                 ended;
    ctseg_hash_t         hasher;
} ctseg_file_t;


/* the next piece, when MORE was answered; borrowed until it is again */

void ctseg_file_feed(ctseg_file_t *f, ctseg_str_t piece, bool last);

/*
 * What is next.  EVENT: *ev is good, its slices are valid until the next
 * call.  Lines that are wrong are noted and passed over, empty ones passed
 * over.  The last events are followed by a PART as well, and that by END.
 */

ctseg_file_rc_t ctseg_file_next(ctseg_file_t *f, ctseg_event_t *ev);

void ctseg_file_free(ctseg_file_t *f);

/* the answer, in the form of that to an upload; lines counts all of them */

void ctseg_file_render(ctseg_buf_t *out, const ctseg_file_t *f);


#endif /* CTSEG_FILE_H */
