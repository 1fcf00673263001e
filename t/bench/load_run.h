/*
 * What the load generator does, and what came of it.
 */

#ifndef LOAD_RUN_H
#define LOAD_RUN_H

#include <netinet/in.h>
#include <stdint.h>

#include "load_body.h"
#include "load_hist.h"


#define LOAD_STATUS_MAX  600


typedef struct {
    struct sockaddr_in   addr;
    load_shape_t         shape;
    int                  connections;
    uint32_t             n;             /* events a body */
    int64_t              first;         /* index of the first event */
    int64_t              events;        /* of all, 0: until the time is up */
    double               seconds;       /* 0: until all events are sent */
    double               rate;          /* posts/s, 0: closed loop */
    int64_t              spread;        /* s that the events are spread over */
    int                  keep;          /* going after an error */
    int                  bare;          /* answers have no body to look at */
    int64_t             *acked;         /* when each event was, NULL: none */
    int64_t              acked_max;
} load_plan_t;

typedef struct {
    uint64_t             posts;
    uint64_t             events;
    uint64_t             acks;
    uint64_t             errors;
    uint64_t             bytes;
    uint64_t             status[LOAD_STATUS_MAX];   /* 0: no answer */
    double               seconds;
    load_hist_t          hist;
} load_result_t;


/* -1: it could not begin, and said why */

int load_run(const load_plan_t *plan, load_result_t *result);


#endif
