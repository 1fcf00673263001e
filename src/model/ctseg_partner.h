/*
 * A partner: one Segment source with its write key, and which CleverTap
 * fields become userId and anonymousId.  Any thread.
 */

#ifndef CTSEG_PARTNER_H
#define CTSEG_PARTNER_H


#include "ctseg_event.h"
#include "../base/ctseg_json.h"


#define CTSEG_ID_TEXT_MAX     40        /* ids, with their NUL */
#define CTSEG_NICKNAME_MAX    64        /* characters */
#define CTSEG_WRITE_KEY_MAX   128       /* bytes; printable ASCII, no colon */
#define CTSEG_PROPERTY_MAX    120       /* bytes of NAME in property:NAME */


typedef enum {
    CTSEG_REGION_US = 0,
    CTSEG_REGION_EU,
    CTSEG_REGION_N
} ctseg_region_t;


/* where an identifier comes from: a field, or a property of the event */

typedef struct {
    int   field;                        /* ctseg_id_e, or -1: property */
    char  property[CTSEG_PROPERTY_MAX + 1];
} ctseg_source_t;


typedef struct {
    char            id[CTSEG_ID_TEXT_MAX];
    char            nickname[CTSEG_NICKNAME_MAX * 4 + 1];   /* UTF-8 */
    char            write_key[CTSEG_WRITE_KEY_MAX + 1];     /* secret */
    ctseg_region_t  region;
    ctseg_source_t  user_id;
    ctseg_source_t  anonymous_id;
    bool            deleting;           /* a DELETE is checking for exports */
    uint64_t        revision;           /* 1 at creation */
    int64_t         created_ms;
    int64_t         updated_ms;

    uint64_t        rev;                /* of the record in the store; not
                                           part of the partner */
} ctseg_partner_t;


/* "us", "eu" */

bool ctseg_region_parse(ctseg_str_t s, ctseg_region_t *region);
const char *ctseg_region_name(ctseg_region_t region);

/* identity, objectId, email, phone, fbid, gpid, property:NAME */

bool ctseg_source_parse(ctseg_str_t s, ctseg_source_t *src);
void ctseg_source_render(ctseg_buf_t *out, const ctseg_source_t *src);

/* "identity" ..., NULL if field is out of range */

const char *ctseg_id_name(int field);

/*
 * Body of POST /partners into p (zeroed by the caller; id, times, revision
 * are the caller's), or of PATCH onto an existing p (patch = true: absent
 * fields stay).  Every wrong, missing, unknown or read-only field is noted in
 * problems; true when there was none.
 */

bool ctseg_partner_parse(ctseg_partner_t *p, const ctseg_json_t *body,
    bool patch, ctseg_problems_t *problems);

/* health: state is "ok", "retrying" or "paused"; reason may be NULL */

typedef struct {
    const char  *state;
    const char  *reason;
    int64_t      since_ms;
    int64_t      retry_at_ms;
} ctseg_health_t;

/* the resource of the API; the write key appears as a hint only */

void ctseg_partner_render(ctseg_json_writer_t *w, const ctseg_partner_t *p,
    const ctseg_health_t *health);

/*
 * 16 hex digits + NUL that stand for a write key in messageIds: the first 64
 * bits of a hash that does not give the key away in practice (FNV-1a over a
 * fixed salt and the key, finalised by a 64-bit mix).
 */

void ctseg_write_key_fingerprint(char out[17], const char *write_key);


#endif /* CTSEG_PARTNER_H */
