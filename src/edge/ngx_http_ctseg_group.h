/*
 * A group: the collect requests that share a commit.  Made and answered on
 * the loop (ngx_http_ctseg_collect.c); between the two it belongs to a thread.
 */

#ifndef NGX_HTTP_CTSEG_GROUP_H
#define NGX_HTTP_CTSEG_GROUP_H


#include "../clevertap/ctseg_upload.h"
#include "../store/ctseg_mark.h"
#include "../bridge/ngx_http_ctseg_task.h"
#include "ngx_http_ctseg_collect.h"
#include "ngx_http_ctseg_reply.h"


typedef struct ngx_http_ctseg_item_s  ngx_http_ctseg_item_t;

/* one request, with its body behind it; the thread reads body and dry_run and
   writes the rest */

struct ngx_http_ctseg_item_s {
    ngx_http_ctseg_item_t  *next;
    ngx_http_request_t     *r;          /* not for the thread; NULL: a copy
                                           by "mirror", which nobody awaits */
    ngx_http_ctseg_body_t   body;
    ngx_uint_t              format;     /* ngx_http_ctseg_format_e */
    ngx_str_t               event;      /* of webhooks; nginx.conf's */
    ngx_str_t               account;    /* nginx.conf's, or empty */
    size_t                  inflate;    /* gzip, of so many bytes at most; 0:
                                           it is no gzip */
    size_t                  weight;     /* what it counts in a group */
    unsigned                dry_run:1;
    unsigned                owns_file:1;        /* that of body */
    unsigned                stores:1;   /* depends on the append */

    ngx_uint_t              status;
    ngx_uint_t              collected;  /* events that are stored */
    ngx_uint_t              twins;      /* stored by another of the group */
    ngx_uint_t              repeated;   /* stored before */

    /* the answer: of the usual kind, or else the other one, in a buffer */

    char                    plain[CTSEG_UPLOAD_PLAIN_MAX];
    size_t                  plain_len;  /* 0: not that */
    ctseg_buf_t             answer;
};


/* an event with an id of its own */

typedef struct {
    char                    key[CTSEG_MARK_LEN];
    ngx_http_ctseg_item_t  *item;
    uint32_t                at;         /* its number in the group's blocks */
    unsigned                dropped:1;
} ngx_http_ctseg_own_t;


/* there are a few; each keeps its memory, and is a producer of its own, since
   they may append at the same time */

typedef struct {
    ngx_http_ctseg_task_t   task;
    ngx_http_ctseg_item_t  *items;
    char                    producer[CTSEG_PRODUCER_LEN];
    uint64_t                seq;
    ngx_uint_t              busy;       /* it is in a thread */
    ctseg_upload_t          upload;
    ctseg_blocks_t          blocks;
    uint32_t                nevents;    /* in the blocks */
    ngx_http_ctseg_own_t   *own;        /* in the order of the events */
    ngx_uint_t              nown;
    ngx_uint_t              own_allocated;
    ctseg_hash_t            hash;
    ctseg_rc_t              rc;         /* of the append */
    int64_t                 us;         /* it took so long */
    ngx_uint_t              stored;     /* events */
    ngx_uint_t              repeated;   /* acknowledged, not stored again */
    ngx_uint_t              forgotten;  /* marks, before their time */
    ngx_uint_t              refused[NGX_HTTP_CTSEG_REFUSED_N];
} ngx_http_ctseg_group_t;


/* the work of the thread */

void ngx_http_ctseg_group_thread(ngx_http_ctseg_task_t *task);


#endif /* NGX_HTTP_CTSEG_GROUP_H */
