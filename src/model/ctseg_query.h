/*
 * The query of a list: which ones, and which page of them.
 * Any thread; no clock.
 */

#ifndef CTSEG_QUERY_H
#define CTSEG_QUERY_H


#include "ctseg_export.h"


#define CTSEG_QUERY_PARTNERS_MAX  64


typedef struct {
    char      partners[CTSEG_QUERY_PARTNERS_MAX][CTSEG_ID_TEXT_MAX];
    unsigned  npartners;                /* 0: all */
    unsigned  types;                    /* bit (1 << value); 0: all */
    unsigned  statuses;
    unsigned  frequencies;
    char      from[CTSEG_DATE_LEN + 1]; /* exported_on, inclusive; empty */
    char      to[CTSEG_DATE_LEN + 1];
    unsigned  page;                     /* from 1 */
    unsigned  per_page;
} ctseg_query_t;


/*
 * Parse the query part of a URL: partner, type, format, status, frequency
 * (each may repeat or hold commas), exported_from, exported_to, page,
 * per_page; percent-encoded.  Every unknown name and wrong value is noted;
 * true when there was none.  An empty query is the first page of all.
 */

bool ctseg_query_parse(ctseg_query_t *q, ctseg_str_t args,
    ctseg_problems_t *problems);

/* the same for a list that has status, page and per_page */

bool ctseg_query_parse_status(ctseg_query_t *q, ctseg_str_t args,
    ctseg_problems_t *problems);

bool ctseg_query_matches_status(const ctseg_query_t *q,
    ctseg_status_t status);

/* the same for a list that has pages only */

bool ctseg_query_parse_page(ctseg_query_t *q, ctseg_str_t args,
    ctseg_problems_t *problems);

bool ctseg_query_matches(const ctseg_query_t *q, const ctseg_export_t *e);


#endif /* CTSEG_QUERY_H */
