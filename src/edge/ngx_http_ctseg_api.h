/*
 * The management API: one route table, one call structure, one file for each
 * resource.  A call is read on the loop, worked on by a thread and sent by the
 * loop again; its thread function may use only what lies below the line.
 *
 * A call that is not done with one job sets "next": instead of answering, the
 * loop calls that, and the call goes on with ngx_http_ctseg_call_again.
 */

#ifndef NGX_HTTP_CTSEG_API_H
#define NGX_HTTP_CTSEG_API_H


#include "../base/ctseg_json.h"
#include "../base/ctseg_problem.h"
#include "../base/ctseg_str.h"
#include "../model/ctseg_export.h"
#include "../model/ctseg_query.h"
#include "../store/ctseg_state.h"
#include "../bridge/ngx_http_ctseg_count.h"
#include "../bridge/ngx_http_ctseg_task.h"
#include "ngx_http_ctseg_reply.h"


#define NGX_HTTP_CTSEG_JSON_DEPTH  16
#define NGX_HTTP_CTSEG_JSON_NODES  4096

#define NGX_HTTP_CTSEG_LOCATION_MAX  2048


typedef struct ngx_http_ctseg_call_s  ngx_http_ctseg_call_t;

typedef void (*ngx_http_ctseg_next_pt)(ngx_http_ctseg_call_t *call);


struct ngx_http_ctseg_call_s {
    ngx_http_ctseg_task_t    task;
    ngx_http_request_t      *r;         /* not for the thread */

    /* the question */

    ctseg_str_t              id;        /* {id} of the path, or empty */
    ctseg_str_t              number;    /* {number} of the path, or empty */
    ctseg_str_t              args;      /* query, still encoded */
    ctseg_str_t              if_match;
    ctseg_str_t              path;      /* with an Idempotency-Key only */
    ctseg_str_t              idempotency_key;
    ngx_http_ctseg_body_t    body;
    ngx_http_ctseg_activity_t  activity;        /* of the status only */
    unsigned                 may_write:1;
    unsigned                 due:1;     /* if it succeeds, something else may
                                           be due */

    /* the work: on a thread, then perhaps on the loop, then again */

    ngx_http_ctseg_thread_pt  work;     /* of the resource */
    ngx_http_ctseg_next_pt    next;     /* on the loop; NULL: answer */

    ctseg_reply_t            reply;     /* with an Idempotency-Key only */
    unsigned                 claimed:1;

    /* the resource's own, freed with the call on the loop */

    ctseg_arena_t           *arena;
    void                    *data;
    void                   (*data_free)(void *data);

    /* the answer */

    ngx_uint_t               status;
    unsigned                 is_problem:1;
    unsigned                 retry_after:1;
    ctseg_buf_t              out;
    char                     etag[32];
    char                     location[CTSEG_ID_TEXT_MAX];   /* of a new one */
    char                     log[256];  /* for the error log; empty: none */
};


/* setter of "ctseg_api" */

char *ngx_http_ctseg_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


/* ---- for next functions, on the loop ---- */

/* go on with this on a thread; without room in the pool 503 is the answer */

void ngx_http_ctseg_call_again(ngx_http_ctseg_call_t *call,
    ngx_http_ctseg_thread_pt work);

/* answer as it stands, and free the call */

void ngx_http_ctseg_call_answer(ngx_http_ctseg_call_t *call);


/* ---- for thread functions ---- */

/* the whole body in memory, or false with the problem set as the answer */

bool ngx_http_ctseg_call_body(ngx_http_ctseg_call_t *call);

/* the body as a tree, or false with the problem set as the answer */

bool ngx_http_ctseg_call_json(ngx_http_ctseg_call_t *call,
    ctseg_json_t **json);

/* answer with a problem; detail is copied */

void ngx_http_ctseg_call_problem(ngx_http_ctseg_call_t *call,
    ngx_uint_t status, const char *detail, const ctseg_problems_t *problems);

/*
 * Answer for a result of the store: 404, 409, 503 or 500; err->text goes to
 * the error log for what an operator should see, never a secret.
 */

void ngx_http_ctseg_call_store_problem(ngx_http_ctseg_call_t *call,
    ctseg_rc_t rc, const ctseg_err_t *err, const char *noun);

/*
 * A list has passed over damaged records, see ctseg_state.h: say so in the
 * error log.  How many; 0 when there was none.
 */

ngx_uint_t ngx_http_ctseg_call_damage(ngx_http_ctseg_call_t *call,
    const ctseg_err_t *err);

/* does If-Match (when there) allow this revision? else 412 is the answer */

bool ngx_http_ctseg_call_matches(ngx_http_ctseg_call_t *call,
    uint64_t revision);

void ngx_http_ctseg_call_etag(ngx_http_ctseg_call_t *call,
    uint64_t revision);

/*
 * page and per_page of a list; anything else in the query is 400.  False: the
 * problem is set.
 */

bool ngx_http_ctseg_call_page(ngx_http_ctseg_call_t *call, unsigned *page,
    unsigned *per_page);

/*
 * The definition of a new export in the body, and its partner, or false with
 * the problem set as the answer.  Nothing is stored.
 */

bool ngx_http_ctseg_call_export(ngx_http_ctseg_call_t *call,
    ctseg_export_t *e, ctseg_partner_t *p, ctseg_export_env_t *env);

/* add to the answer what the definition asks for and retention lacks */

void ngx_http_ctseg_call_warn(ngx_http_ctseg_call_t *call,
    const ctseg_export_t *e, const ctseg_export_env_t *env);

/* how a partner is, or with partner_id == NULL the worst of all of them */

typedef struct {
    ctseg_health_t   health;
    char             reason[160];       /* health.reason points to it */
} ngx_http_ctseg_health_t;

void ngx_http_ctseg_health(ctseg_store_t *store, const char *partner_id,
    ngx_http_ctseg_health_t *health);

/*
 * What a list walked over, in the order it came: oldest first.  Zeroed but
 * for the size of an item; add copies, and its result is the walk's own:
 * false when memory is out, and then "failed" is set.
 */

typedef struct {
    size_t     size;
    char      *data;
    unsigned   n;
    unsigned   allocated;
    bool       failed;
} ngx_http_ctseg_items_t;

bool ngx_http_ctseg_items_add(ngx_http_ctseg_items_t *items,
    const void *item);

/* counted from the newest, which is 0; NULL past the oldest */

void *ngx_http_ctseg_items_newest(const ngx_http_ctseg_items_t *items,
    unsigned i);

void ngx_http_ctseg_items_free(ngx_http_ctseg_items_t *items);

/* {items:[...], page, per_page, total, pages} around items written between */

void ngx_http_ctseg_list_open(ctseg_json_writer_t *w);
void ngx_http_ctseg_list_close(ctseg_json_writer_t *w, unsigned page,
    unsigned per_page, unsigned total);

/*
 * A list of what belongs to one export: walk adds all of it to the items,
 * oldest first; render writes one of them, or nothing when it is gone.
 */

typedef struct {
    size_t        size;                 /* of an item */
    ctseg_rc_t  (*walk)(ctseg_store_t *s, const char *export_id,
                        ngx_http_ctseg_items_t *items, ctseg_err_t *err);
    ctseg_rc_t  (*render)(ctseg_store_t *s, const char *export_id,
                          const void *item, ctseg_json_writer_t *w,
                          ctseg_err_t *err);
} ngx_http_ctseg_list_of_t;

/* the page that was asked for, or a problem, as the answer */

void ngx_http_ctseg_call_list(ngx_http_ctseg_call_t *call,
    const ngx_http_ctseg_list_of_t *of);


/* the work of a call, for all calls; once for each Idempotency-Key */

void ngx_http_ctseg_call_thread(ngx_http_ctseg_task_t *task);

void ngx_http_ctseg_idempotent_thread(ngx_http_ctseg_task_t *task);


/* ---- the resources: thread functions of the route table ---- */

void ngx_http_ctseg_partner_list_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_partner_create_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_partner_get_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_partner_patch_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_partner_delete_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_partner_test_thread(ngx_http_ctseg_task_t *task);

void ngx_http_ctseg_export_list_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_export_create_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_export_preview_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_export_get_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_export_patch_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_export_stop_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_run_list_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_run_get_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_rejected_list_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_rejected_purge_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_rejected_retry_thread(ngx_http_ctseg_task_t *task);

void ngx_http_ctseg_import_list_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_import_create_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_import_get_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_import_stop_thread(ngx_http_ctseg_task_t *task);

void ngx_http_ctseg_catalog_thread(ngx_http_ctseg_task_t *task);
void ngx_http_ctseg_status_thread(ngx_http_ctseg_task_t *task);


#endif /* NGX_HTTP_CTSEG_API_H */
