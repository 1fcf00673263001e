/*
 * The API's door: which path and method is which call, who may write, and
 * what comes in.  What a call means is in the file of its resource.
 */

#include "../bridge/ngx_http_ctseg_ctx.h"
#include "../bridge/ngx_http_ctseg_wake.h"
#include "ngx_http_ctseg_api.h"


typedef struct {
    ngx_uint_t                 method;
    ngx_str_t                  path;
    ngx_http_ctseg_thread_pt   thread;
    ngx_uint_t                 flags;
} ngx_http_ctseg_route_t;


#define NGX_HTTP_CTSEG_BODY   1         /* takes a body */
#define NGX_HTTP_CTSEG_WRITE  2         /* changes something */
#define NGX_HTTP_CTSEG_DUE    4         /* ... that the scheduler looks at */


static ngx_int_t ngx_http_ctseg_api_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_ctseg_api_refuse(ngx_http_request_t *r,
    ngx_http_ctseg_route_t *route);
static ngx_uint_t ngx_http_ctseg_api_is_foreign(ngx_http_request_t *r);
static ngx_http_ctseg_route_t *ngx_http_ctseg_api_route(
    ngx_http_request_t *r, ngx_str_t *path, ngx_str_t *id, ngx_str_t *number,
    u_char *allow);
static ngx_http_ctseg_call_t *ngx_http_ctseg_api_call(ngx_http_request_t *r,
    ngx_http_ctseg_route_t *route, ngx_str_t *id, ngx_str_t *number);
static ngx_int_t ngx_http_ctseg_api_problem(ngx_http_request_t *r,
    ngx_uint_t status, const char *detail, u_char *allow);
static void ngx_http_ctseg_api_body_handler(ngx_http_request_t *r);
static void ngx_http_ctseg_api_done(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_call_cleanup(void *data);
static void ngx_http_ctseg_call_free(ngx_http_ctseg_call_t *call);


static ngx_http_ctseg_route_t  ngx_http_ctseg_routes[] = {

    { NGX_HTTP_GET, ngx_string("/partners"),
      ngx_http_ctseg_partner_list_thread, 0 },

    { NGX_HTTP_POST, ngx_string("/partners"),
      ngx_http_ctseg_partner_create_thread,
      NGX_HTTP_CTSEG_BODY|NGX_HTTP_CTSEG_WRITE },

    { NGX_HTTP_GET, ngx_string("/partners/{id}"),
      ngx_http_ctseg_partner_get_thread, 0 },

    { NGX_HTTP_PATCH, ngx_string("/partners/{id}"),
      ngx_http_ctseg_partner_patch_thread,
      NGX_HTTP_CTSEG_BODY|NGX_HTTP_CTSEG_WRITE },

    { NGX_HTTP_DELETE, ngx_string("/partners/{id}"),
      ngx_http_ctseg_partner_delete_thread,
      NGX_HTTP_CTSEG_WRITE },

    { NGX_HTTP_POST, ngx_string("/partners/{id}/test"),
      ngx_http_ctseg_partner_test_thread,
      NGX_HTTP_CTSEG_WRITE },

    { NGX_HTTP_GET, ngx_string("/exports"),
      ngx_http_ctseg_export_list_thread, 0 },

    { NGX_HTTP_POST, ngx_string("/exports"),
      ngx_http_ctseg_export_create_thread,
      NGX_HTTP_CTSEG_BODY|NGX_HTTP_CTSEG_WRITE|NGX_HTTP_CTSEG_DUE },

    /* before the pattern that it matches, too */

    { NGX_HTTP_POST, ngx_string("/exports/preview"),
      ngx_http_ctseg_export_preview_thread,
      NGX_HTTP_CTSEG_BODY },

    { NGX_HTTP_GET, ngx_string("/exports/{id}"),
      ngx_http_ctseg_export_get_thread, 0 },

    { NGX_HTTP_PATCH, ngx_string("/exports/{id}"),
      ngx_http_ctseg_export_patch_thread,
      NGX_HTTP_CTSEG_BODY|NGX_HTTP_CTSEG_WRITE|NGX_HTTP_CTSEG_DUE },

    { NGX_HTTP_POST, ngx_string("/exports/{id}/stop"),
      ngx_http_ctseg_export_stop_thread,
      NGX_HTTP_CTSEG_WRITE|NGX_HTTP_CTSEG_DUE },

    { NGX_HTTP_GET, ngx_string("/exports/{id}/runs"),
      ngx_http_ctseg_run_list_thread, 0 },

    { NGX_HTTP_GET, ngx_string("/exports/{id}/runs/{number}"),
      ngx_http_ctseg_run_get_thread, 0 },

    { NGX_HTTP_GET, ngx_string("/exports/{id}/rejected"),
      ngx_http_ctseg_rejected_list_thread, 0 },

    { NGX_HTTP_DELETE, ngx_string("/exports/{id}/rejected"),
      ngx_http_ctseg_rejected_purge_thread,
      NGX_HTTP_CTSEG_WRITE },

    { NGX_HTTP_POST, ngx_string("/exports/{id}/rejected/retry"),
      ngx_http_ctseg_rejected_retry_thread,
      NGX_HTTP_CTSEG_WRITE|NGX_HTTP_CTSEG_DUE },

    { NGX_HTTP_GET, ngx_string("/imports"),
      ngx_http_ctseg_import_list_thread, 0 },

    { NGX_HTTP_POST, ngx_string("/imports"),
      ngx_http_ctseg_import_create_thread,
      NGX_HTTP_CTSEG_BODY|NGX_HTTP_CTSEG_WRITE|NGX_HTTP_CTSEG_DUE },

    { NGX_HTTP_GET, ngx_string("/imports/{id}"),
      ngx_http_ctseg_import_get_thread, 0 },

    { NGX_HTTP_POST, ngx_string("/imports/{id}/stop"),
      ngx_http_ctseg_import_stop_thread,
      NGX_HTTP_CTSEG_WRITE|NGX_HTTP_CTSEG_DUE },

    { NGX_HTTP_GET, ngx_string("/catalog"),
      ngx_http_ctseg_catalog_thread, 0 },

    { NGX_HTTP_GET, ngx_string("/status"),
      ngx_http_ctseg_status_thread, 0 },

    { 0, ngx_null_string, NULL, 0 }
};


static ngx_str_t  ngx_http_ctseg_api_type =
    ngx_string("application/json");
static ngx_str_t  ngx_http_ctseg_problem_type =
    ngx_string("application/problem+json");


char *
ngx_http_ctseg_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ctseg_loc_conf_t  *lcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    if (lcf->api != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (lcf->dashboard != NULL) {
        return "cannot share a location with \"ctseg_dashboard\"";
    }

    if (lcf->collect != NGX_CONF_UNSET) {
        return "cannot share a location with \"ctseg_collect\"";
    }

    if (lcf->metrics != NGX_CONF_UNSET) {
        return "cannot share a location with \"ctseg_metrics\"";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "write=on") == 0) {
            lcf->api_write = 1;

        } else if (ngx_strcmp(value[1].data, "write=off") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", \"write=on\" or "
                               "\"write=off\" is expected", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

#if (NGX_PCRE)
    if (clcf->regex != NULL) {
        return "cannot be used in a location given by regular expression";
    }
#endif

    if (clcf->named || clcf->noname) {
        return "needs a location with a prefix";
    }

    lcf->api = 1;
    clcf->handler = ngx_http_ctseg_api_handler;
    lcf->handler = ngx_http_ctseg_api_handler;

    ngx_http_ctseg_needs_store(cf, &cmd->name);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ctseg_api_handler(ngx_http_request_t *r)
{
    u_char                      allow[64];
    size_t                      prefix;
    ngx_int_t                   rc;
    ngx_str_t                   path, id, number;
    ngx_pool_cleanup_t         *cln;
    ngx_http_ctseg_ctx_t       *ctx;
    ngx_http_ctseg_call_t      *call;
    ngx_http_ctseg_route_t     *route;
    ngx_http_core_loc_conf_t   *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* "/ctseg/api/" and "/ctseg/api" both leave "/partners" */

    prefix = clcf->name.len;

    if (prefix != 0 && clcf->name.data[prefix - 1] == '/') {
        prefix--;
    }

    if (r->uri.len < prefix) {          /* rewritten without a new location */
        return NGX_HTTP_NOT_FOUND;
    }

    path.data = r->uri.data + prefix;
    path.len = r->uri.len - prefix;

    route = ngx_http_ctseg_api_route(r, &path, &id, &number, allow);

    if (route == NULL) {
        return allow[0] == '\0'
               ? ngx_http_ctseg_api_problem(r, NGX_HTTP_NOT_FOUND,
                                            "there is no such resource", NULL)
               : ngx_http_ctseg_api_problem(r, NGX_HTTP_NOT_ALLOWED,
                                            "this resource has no such "
                                            "method", allow);
    }

    rc = ngx_http_ctseg_api_refuse(r, route);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    call = ngx_http_ctseg_api_call(r, route, &id, &number);
    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* until the body is there, the request owns the call */

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        ngx_http_ctseg_call_free(call);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_ctseg_call_cleanup;
    cln->data = call;

    ctx = ngx_http_ctseg_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->call = cln;

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r,
                                           ngx_http_ctseg_api_body_handler);

    return rc >= NGX_HTTP_SPECIAL_RESPONSE ? rc : NGX_DONE;
}


/* what can be refused before the body is read; NGX_DECLINED: nothing */

static ngx_int_t
ngx_http_ctseg_api_refuse(ngx_http_request_t *r,
    ngx_http_ctseg_route_t *route)
{
    ngx_http_ctseg_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ctseg_module);

    if ((route->flags & NGX_HTTP_CTSEG_WRITE) && !lcf->api_write) {
        return ngx_http_ctseg_api_problem(r, NGX_HTTP_FORBIDDEN,
                                          "this API is read-only: writing "
                                          "needs \"ctseg_api write=on\"",
                                          NULL);
    }

    if (route->method != NGX_HTTP_GET && ngx_http_ctseg_api_is_foreign(r)) {
        return ngx_http_ctseg_api_problem(r, NGX_HTTP_FORBIDDEN,
                                          "a page of another site may not "
                                          "write here", NULL);
    }

    if ((route->flags & NGX_HTTP_CTSEG_BODY) && !ngx_http_ctseg_is_json(r)) {
        return ngx_http_ctseg_api_problem(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                          "Content-Type must be "
                                          "application/json", NULL);
    }

    if ((route->flags & NGX_HTTP_CTSEG_BODY) && ngx_http_ctseg_is_encoded(r)) {
        return ngx_http_ctseg_api_problem(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                          "Content-Encoding must be absent",
                                          NULL);
    }

    if (ngx_http_ctseg_worker() == NULL
        || ngx_http_ctseg_worker()->store == NULL)
    {
        return ngx_http_ctseg_api_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                          "the store could not be opened, see "
                                          "the error log", NULL);
    }

    return NGX_DECLINED;
}


/*
 * Does a browser send this for a page of another origin?  It would add the
 * credentials that its user has here.  Sec-Fetch-Site tells (W3C, Fetch
 * Metadata); older ones send Origin only.  Other clients send neither.
 */

static ngx_uint_t
ngx_http_ctseg_api_is_foreign(ngx_http_request_t *r)
{
    u_char      *p;
    ngx_str_t   *value, origin;

    value = ngx_http_ctseg_header_in(r, "sec-fetch-site",
                                     sizeof("sec-fetch-site") - 1);

    if (value != NULL) {
        return !((value->len == 11
                  && ngx_strncmp(value->data, "same-origin", 11) == 0)
                 || (value->len == 4
                     && ngx_strncmp(value->data, "none", 4) == 0));
    }

    value = ngx_http_ctseg_header_in(r, "origin", sizeof("origin") - 1);

    if (value == NULL) {
        return 0;
    }

    p = ngx_strlcasestrn(value->data, value->data + value->len,
                         (u_char *) "://", 3 - 1);

    if (p == NULL || r->headers_in.host == NULL) {
        return 1;
    }

    origin.data = p + 3;
    origin.len = value->data + value->len - origin.data;

    return origin.len != r->headers_in.host->value.len
           || ngx_strncasecmp(origin.data, r->headers_in.host->value.data,
                              origin.len)
              != 0;
}


/* one segment of a pattern against one of the path */

static ngx_uint_t
ngx_http_ctseg_api_match(ngx_str_t *pattern, ngx_str_t *path, ngx_str_t *id,
    ngx_str_t *number)
{
    u_char     *p, *pe, *s, *se;
    ngx_str_t   part;

    p = pattern->data;
    pe = p + pattern->len;
    s = path->data;
    se = s + path->len;

    ngx_str_null(id);
    ngx_str_null(number);

    while (p < pe && s < se) {

        if (*p != '{') {
            if (*p++ != *s++) {
                return 0;
            }

            continue;
        }

        part.data = s;

        while (s < se && *s != '/') {
            s++;
        }

        part.len = s - part.data;

        if (part.len == 0) {
            return 0;
        }

        if (p[1] == 'i') {
            *id = part;

        } else {
            *number = part;
        }

        while (*p++ != '}') { /* void */ }
    }

    return p == pe && s == se;
}


/* NULL: no such path, or (allow is filled) no such method of it */

static ngx_http_ctseg_route_t *
ngx_http_ctseg_api_route(ngx_http_request_t *r, ngx_str_t *path,
    ngx_str_t *id, ngx_str_t *number, u_char *allow)
{
    u_char                  *p;
    ngx_str_t               *found;
    ngx_uint_t               method;
    ngx_http_ctseg_route_t  *route;

    found = NULL;
    p = allow;
    *p = '\0';

    method = r->method == NGX_HTTP_HEAD ? NGX_HTTP_GET : r->method;

    for (route = ngx_http_ctseg_routes; route->thread != NULL; route++) {

        if (!ngx_http_ctseg_api_match(&route->path, path, id, number)) {
            continue;
        }

        /* the first of two patterns is what the path means */

        if (found != NULL
            && (found->len != route->path.len
                || ngx_memcmp(found->data, route->path.data, found->len)
                   != 0))
        {
            continue;
        }

        found = &route->path;

        if (route->method == method) {
            return route;
        }

        p = ngx_sprintf(p, "%s%s", p == allow ? "" : ", ",
                        route->method == NGX_HTTP_GET ? "GET, HEAD"
                        : route->method == NGX_HTTP_POST ? "POST"
                        : route->method == NGX_HTTP_PATCH ? "PATCH"
                        : "DELETE");
        *p = '\0';
    }

    return NULL;
}


static void
ngx_http_ctseg_call_copy(ctseg_str_t *to, ngx_str_t *from, char **p)
{
    to->data = *p;
    to->len = from->len;

    *p = (char *) ngx_cpymem(*p, from->data, from->len);
}


/* a call and its texts in one piece of memory that outlives the request */

static ngx_http_ctseg_call_t *
ngx_http_ctseg_api_call(ngx_http_request_t *r, ngx_http_ctseg_route_t *route,
    ngx_str_t *id, ngx_str_t *number)
{
    char                       *p;
    size_t                      size;
    ngx_str_t                  *if_match, *key, *path, none;
    ngx_http_ctseg_call_t      *call;
    ngx_http_ctseg_loc_conf_t  *lcf;

    ngx_str_null(&none);

    if_match = r->headers_in.if_match != NULL ? &r->headers_in.if_match->value
                                              : &none;
    path = &none;
    key = NULL;

    if (route->method == NGX_HTTP_POST
        && (route->flags & NGX_HTTP_CTSEG_WRITE))
    {
        key = ngx_http_ctseg_header_in(r, "idempotency-key",
                                       sizeof("idempotency-key") - 1);
    }

    if (key != NULL) {
        path = &r->uri;

    } else {
        key = &none;
    }

    size = sizeof(ngx_http_ctseg_call_t) + id->len + number->len + r->args.len
           + if_match->len + path->len + key->len;

    call = ngx_http_ctseg_task_create(ngx_http_ctseg_worker(), size,
                                      key->len != 0
                                      ? ngx_http_ctseg_idempotent_thread
                                      : ngx_http_ctseg_call_thread,
                                      ngx_http_ctseg_api_done);
    if (call == NULL) {
        return NULL;
    }

    p = (char *) call + sizeof(ngx_http_ctseg_call_t);

    ngx_http_ctseg_call_copy(&call->id, id, &p);
    ngx_http_ctseg_call_copy(&call->number, number, &p);
    ngx_http_ctseg_call_copy(&call->args, &r->args, &p);
    ngx_http_ctseg_call_copy(&call->if_match, if_match, &p);
    ngx_http_ctseg_call_copy(&call->path, path, &p);
    ngx_http_ctseg_call_copy(&call->idempotency_key, key, &p);

    call->work = route->thread;
    call->r = r;
    call->status = NGX_HTTP_OK;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ctseg_module);
    call->may_write = lcf->api_write == 1;
    call->due = (route->flags & NGX_HTTP_CTSEG_DUE) != 0;

    if (route->thread == ngx_http_ctseg_status_thread) {
        ngx_http_ctseg_count_activity(&call->activity);
    }

    return call;
}


static ngx_int_t
ngx_http_ctseg_api_problem(ngx_http_request_t *r, ngx_uint_t status,
    const char *detail, u_char *allow)
{
    ngx_int_t                rc;
    ctseg_buf_t              out;
    ngx_http_ctseg_header_t  headers[2];

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_memzero(&out, sizeof(ctseg_buf_t));
    ngx_memzero(headers, sizeof(headers));

    ctseg_problem_render(&out, (int) status, detail, NULL);

    if (allow != NULL) {
        ngx_str_set(&headers[0].name, "Allow");
        headers[0].value.data = allow;
        headers[0].value.len = ngx_strlen(allow);
    }

    if (status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        ngx_str_set(&headers[1].name, "Retry-After");
        ngx_str_set(&headers[1].value, "1");
    }

    rc = out.failed ? NGX_HTTP_INTERNAL_SERVER_ERROR
                    : ngx_http_ctseg_reply(r, status,
                                           &ngx_http_ctseg_problem_type,
                                           ctseg_buf_slice(&out), headers, 2);
    ctseg_buf_free(&out);

    return rc;
}


static void
ngx_http_ctseg_api_body_handler(ngx_http_request_t *r)
{
    ngx_int_t               rc;
    ngx_pool_cleanup_t     *cln;
    ngx_http_ctseg_ctx_t   *ctx;
    ngx_http_ctseg_call_t  *call;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);

    cln = ctx->call;
    call = cln->data;
    cln->data = NULL;

    if (ngx_http_ctseg_body_take(r, &call->body) != NGX_OK) {
        ngx_http_ctseg_call_free(call);
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    if (ngx_http_ctseg_task_post(&call->task) != NGX_OK) {
        ngx_http_ctseg_call_free(call);

        rc = ngx_http_ctseg_api_problem(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                        "the thread pool's queue is full",
                                        NULL);
        ngx_http_finalize_request(r, rc);
        return;
    }

    ngx_http_ctseg_suspend(r);
}


static void
ngx_http_ctseg_api_done(ngx_http_ctseg_task_t *task)
{
    ngx_http_ctseg_call_t   *call;
    ngx_http_ctseg_next_pt   next;

    call = (ngx_http_ctseg_call_t *) task;

    next = call->next;
    call->next = NULL;

    if (next != NULL) {
        next(call);
        return;
    }

    if (call->due && !call->is_problem) {
        ngx_http_ctseg_wake_due();
    }

    ngx_http_ctseg_call_answer(call);
}


void
ngx_http_ctseg_call_again(ngx_http_ctseg_call_t *call,
    ngx_http_ctseg_thread_pt work)
{
    call->work = work;

    if (ngx_http_ctseg_task_post(&call->task) != NGX_OK) {
        ngx_http_ctseg_call_problem(call, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    "the thread pool's queue is full", NULL);
        ngx_http_ctseg_call_answer(call);
    }
}


void
ngx_http_ctseg_call_answer(ngx_http_ctseg_call_t *call)
{
    u_char                    location[NGX_HTTP_CTSEG_LOCATION_MAX];
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_http_ctseg_header_t   headers[3];

    r = call->r;

    ngx_http_ctseg_resume(r);

    if (call->log[0] != '\0') {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "ctseg: %s",
                      call->log);
    }

    ngx_memzero(headers, sizeof(headers));

    ngx_str_set(&headers[0].name, "ETag");
    headers[0].value.data = (u_char *) call->etag;
    headers[0].value.len = ngx_strlen(call->etag);

    if (call->location[0] != '\0'
        && r->uri.len + CTSEG_ID_TEXT_MAX + 1 < sizeof(location))
    {
        ngx_str_set(&headers[1].name, "Location");
        headers[1].value.data = location;
        headers[1].value.len = ngx_sprintf(location, "%V/%s", &r->uri,
                                           call->location) - location;
    }

    if (call->retry_after) {
        ngx_str_set(&headers[2].name, "Retry-After");
        ngx_str_set(&headers[2].value, "1");
    }

    if (r->connection->error) {
        rc = NGX_ERROR;

    } else if (call->out.failed) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        rc = ngx_http_ctseg_reply(r, call->status,
                                  call->is_problem
                                  ? &ngx_http_ctseg_problem_type
                                  : &ngx_http_ctseg_api_type,
                                  ctseg_buf_slice(&call->out), headers, 3);
    }

    ngx_http_ctseg_call_free(call);
    ngx_http_ctseg_finish(r, rc);
}


static void
ngx_http_ctseg_call_cleanup(void *data)
{
    ngx_http_ctseg_call_t  *call = data;

    if (call != NULL) {
        ngx_http_ctseg_call_free(call);
    }
}


static void
ngx_http_ctseg_call_free(ngx_http_ctseg_call_t *call)
{
    if (call->data != NULL) {
        call->data_free(call->data);
    }

    ngx_free(call->body.data);
    ctseg_buf_free(&call->reply.body);
    ctseg_buf_free(&call->out);
    ctseg_arena_destroy(call->arena);
    ngx_free(call);
}
