/*
 * What makes a record an event or a profile, whoever brings it: identities,
 * name, time, and the limits of the data, with CleverTap's codes.  A reader
 * (upload, webhook) hands over the tokens of a record's fields as they
 * come, in any order, and asks for the verdict when the record has ended.
 * Nothing is copied: what is noted are slices of the text.  Any thread; no
 * clock.
 */

#ifndef CTSEG_INTAKE_H
#define CTSEG_INTAKE_H


#include "../base/ctseg_json.h"
#include "../model/ctseg_event.h"
#include "ctseg_refusal.h"


#define CTSEG_INTAKE_DEPTH_MAX   16     /* containers, the root included */
#define CTSEG_INTAKE_ITEMS_MAX   256    /* Charged: Items ("Platform
                                           Considerations") */
#define CTSEG_INTAKE_OWN_ID_MAX  64     /* characters of $id */


/* what the values of an object of data may be */

typedef enum {
    CTSEG_INTAKE_EVENT = 0,             /* scalars, and Items of Charged */
    CTSEG_INTAKE_PROFILE,               /* also arrays of them, operators */
    CTSEG_INTAKE_ANY                    /* anything: from CleverTap itself */
} ctseg_intake_rule_t;


/* notes on one object of data; zero it, set the rule and the name, or begin */

typedef struct {
    ctseg_intake_rule_t  rule;
    const char          *name;          /* "evtData", for texts */
    ctseg_str_t          raw;           /* with its braces, or empty */
    const char          *start;         /* of the one that is open, or NULL */
    bool                 bad;           /* it is there but no object */
    bool                 has_items;     /* Items is there and an array */
    unsigned             nprops;
    unsigned             nitems;
    ctseg_str_t          nested;        /* raw key of the first property whose
                                           value the rule does not allow */
    int                  code;          /* of a profile's own field, or 0 */

    /* the property at hand */

    ctseg_str_t          key;           /* raw, with its quotes */
    unsigned             field;
    unsigned             shape;
    unsigned             op;
    unsigned             nops;
} ctseg_intake_data_t;


/* notes on one record */

typedef struct {
    ctseg_event_t        event;
    int64_t              ts;
    ctseg_json_type_t    ts_type;
    bool                 bad_ts;
    bool                 bad_name;
    bool                 bad_own_id;
    bool                 is_charged;
    bool                 any_id;        /* an email or a phone is enough */
    int                  bad_id;        /* ctseg_id_e, or -1 */
} ctseg_intake_t;


/* a new record */

void ctseg_intake_begin(ctseg_intake_t *in);

/*
 * Values of a record's fields; of containers the opening token is enough.
 * Of a field that occurs twice the last one counts, but an identity that is
 * none stays wrong.
 */

void ctseg_intake_id(ctseg_intake_t *in, ctseg_id_e id,
    const ctseg_json_token_t *t);
void ctseg_intake_own_id(ctseg_intake_t *in, const ctseg_json_token_t *t);
void ctseg_intake_name(ctseg_intake_t *in, const ctseg_json_token_t *t);
void ctseg_intake_ts(ctseg_intake_t *in, const ctseg_json_token_t *t);

void ctseg_intake_data_begin(ctseg_intake_data_t *d, ctseg_intake_rule_t rule,
    const char *name);

/* every token of a field that holds data; depth is that of its value */

void ctseg_intake_data(ctseg_intake_data_t *d, unsigned depth,
    const ctseg_json_token_t *t);

/*
 * Verdicts: 0, or a code with its reason in text, which is the inside of a
 * JSON string.  The whole ones fill the rest of in->event, where a catalogued
 * name is empty.
 */

int ctseg_intake_event(ctseg_intake_t *in, const ctseg_intake_data_t *d,
    int64_t now_ms, ctseg_buf_t *text);
int ctseg_intake_profile(ctseg_intake_t *in, const ctseg_intake_data_t *d,
    int64_t now_ms, ctseg_buf_t *text);

/* their parts, for records that have something else in the place of one */

int ctseg_intake_judge_ids(const ctseg_intake_t *in, ctseg_buf_t *text);
int ctseg_intake_judge_name(const ctseg_intake_t *in, ctseg_buf_t *text);
int ctseg_intake_judge_ts(ctseg_intake_t *in, int64_t now_ms,
    ctseg_buf_t *text);
int ctseg_intake_judge_data(const ctseg_intake_t *in,
    const ctseg_intake_data_t *d, ctseg_buf_t *text);

/* an instant in seconds or milliseconds; false: it is neither */

bool ctseg_intake_epoch(int64_t ts, int64_t *ms);

/* ---- what readers share ---- */

/* nothing but spaces, or nothing at all */

bool ctseg_intake_is_blank(ctseg_str_t s);

/* without regard to the case of ASCII letters */

bool ctseg_intake_is(ctseg_str_t s, const char *word);

/* the inside of a raw string or key */

ctseg_str_t ctseg_intake_inside(ctseg_str_t raw);


#endif /* CTSEG_INTAKE_H */
