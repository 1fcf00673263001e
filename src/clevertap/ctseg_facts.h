/*
 * What the records have in common that CleverTap itself writes, into export
 * files and to its API: who did it, wall times, and facts that lie beside
 * the properties and become some of them.  Private to ctseg_file_line.c and
 * ctseg_pull_record.c.  Any thread; no clock.
 */

#ifndef CTSEG_FACTS_H
#define CTSEG_FACTS_H


#include "../base/ctseg_time.h"
#include "ctseg_intake.h"


#define CTSEG_FACTS_KEYS_MAX  (CTSEG_PROPS_N_MAX + 1)
#define CTSEG_FACTS_MAX       64        /* beside the properties */


typedef struct {
    ctseg_str_t  key;                   /* raw, with its quotes */
    ctseg_str_t  value;                 /* raw */
} ctseg_fact_t;


/* notes on one record; zero all in front of keys, or begin */

typedef struct {
    int           id;                   /* what the key of the profile at hand
                                           names: ctseg_id_e, or -1 */
    bool          all;                  /* it is all_identities */
    ctseg_str_t   first;                /* of all_identities, raw */
    ctseg_str_t   key;                  /* of the fact at hand, raw */
    const char   *start;                /* of its value, a container */
    unsigned      nkeys;
    unsigned      n;

    ctseg_str_t   keys[CTSEG_FACTS_KEYS_MAX];   /* of the properties, raw */
    ctseg_fact_t  item[CTSEG_FACTS_MAX];
} ctseg_facts_t;


void ctseg_facts_begin(ctseg_facts_t *f);

/* every token of a field; depth is that of its value */

void ctseg_facts_profile(ctseg_facts_t *f, ctseg_intake_t *in,
    unsigned depth, const ctseg_json_token_t *t);
void ctseg_facts_props(ctseg_facts_t *f, ctseg_intake_data_t *d,
    unsigned depth, const ctseg_json_token_t *t);

/* of an object whose members are facts; rename (or NULL) has a raw key */

void ctseg_facts_members(ctseg_facts_t *f, unsigned depth,
    ctseg_str_t (*rename)(ctseg_str_t raw), const ctseg_json_token_t *t);

/* past CTSEG_FACTS_MAX they are left out */

void ctseg_facts_add(ctseg_facts_t *f, ctseg_str_t key, const char *start,
    const char *end);

/* when the record has ended: its identity may be in all_identities alone */

void ctseg_facts_identity(const ctseg_facts_t *f, ctseg_intake_t *in);

/*
 * The properties with the facts behind them, in out if there are facts.  One
 * that the properties have already is theirs; any_case: in whatever case.
 */

void ctseg_facts_merge(ctseg_facts_t *f, ctseg_intake_data_t *d,
    bool any_case, ctseg_buf_t *out);

/* 14 digits of wall time, seconds or milliseconds: 0, or a code with text */

int ctseg_facts_judge_ts(const ctseg_zone_t *zone, ctseg_intake_t *in,
    ctseg_buf_t *text);


#endif /* CTSEG_FACTS_H */
