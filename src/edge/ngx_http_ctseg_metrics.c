/*
 * The metrics location.  The counters are copied on the loop; a thread reads
 * what only the store knows and writes the page.  Where there is no store, or
 * the threads have more to do than they can queue, the counters go alone: that
 * is when somebody wants to see them.
 */

#include "../bridge/ngx_http_ctseg_ctx.h"
#include "ngx_http_ctseg_metrics.h"
#include "ngx_http_ctseg_reply.h"


#define NGX_HTTP_CTSEG_SCRAPE_MS       5000
#define NGX_HTTP_CTSEG_SCRAPE_EXPORTS  1000     /* with series of their own */


typedef struct {
    ngx_http_ctseg_task_t       task;
    ngx_http_request_t         *r;      /* not for the thread */
    ngx_http_ctseg_snapshot_t   counters;

    ctseg_buf_t                 out;
    ctseg_err_t                 err;    /* for the error log; text empty:
                                           none */
} ngx_http_ctseg_scrape_t;


static ngx_int_t ngx_http_ctseg_metrics_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_ctseg_metrics_refuse(ngx_http_request_t *r);
static ngx_int_t ngx_http_ctseg_metrics_log_handler(ngx_http_request_t *r);
static void ngx_http_ctseg_scrape_thread(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_scrape_done(ngx_http_ctseg_task_t *task);
static ngx_int_t ngx_http_ctseg_scrape_answer(ngx_http_ctseg_scrape_t *s);


static ngx_str_t  ngx_http_ctseg_metrics_type =
    ngx_string("text/plain; version=0.0.4; charset=utf-8");
static ngx_str_t  ngx_http_ctseg_metrics_text = ngx_string("text/plain");


char *
ngx_http_ctseg_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ctseg_loc_conf_t  *lcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    if (lcf->metrics != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (lcf->dashboard != NULL) {
        return "cannot share a location with \"ctseg_dashboard\"";
    }

    if (lcf->collect != NGX_CONF_UNSET) {
        return "cannot share a location with \"ctseg_collect\"";
    }

    if (lcf->api != NGX_CONF_UNSET) {
        return "cannot share a location with \"ctseg_api\"";
    }

    lcf->metrics = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_ctseg_metrics_handler;
    lcf->handler = ngx_http_ctseg_metrics_handler;

    ngx_http_ctseg_needs_store(cf, &cmd->name);

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_ctseg_metrics_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_ctseg_metrics_log_handler;

    return NGX_OK;
}


/*
 * What nginx answered in a collect location, or did not: 413, 403, 408.  And
 * that there is anybody else, for whom exports of what is past hold back.
 */

static ngx_int_t
ngx_http_ctseg_metrics_log_handler(ngx_http_request_t *r)
{
    ngx_uint_t                  own;
    ngx_http_ctseg_ctx_t       *ctx;
    ngx_http_ctseg_loc_conf_t  *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ctseg_module);

    own = lcf->api || lcf->metrics || lcf->dashboard != NULL;

    if (r == r->main && !own) {
        ngx_http_ctseg_count_traffic();
    }

    if (!lcf->collect) {
        return NGX_OK;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);

    if (ctx == NULL || !ctx->is_counted) {
        ngx_http_ctseg_count_request(r->err_status != 0
                                     ? r->err_status
                                     : r->headers_out.status);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ctseg_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_ctseg_scrape_t  *s;
    ngx_http_ctseg_worker_t  *worker;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_ctseg_metrics_refuse(r);
    }

    worker = ngx_http_ctseg_worker();

    if (worker == NULL) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    s = ngx_http_ctseg_task_create(worker, sizeof(ngx_http_ctseg_scrape_t),
                                   ngx_http_ctseg_scrape_thread,
                                   ngx_http_ctseg_scrape_done);
    if (s == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* before the job is posted, which is no work that anybody waits for */

    s->r = r;
    ngx_http_ctseg_count_snapshot(&s->counters);

    if (worker->store != NULL
        && ngx_http_ctseg_task_post(&s->task) == NGX_OK)
    {
        r->main->count++;
        ngx_http_ctseg_suspend(r);

        return NGX_DONE;
    }

    ngx_http_ctseg_metrics_counters(&s->out, &s->counters);

    return ngx_http_ctseg_scrape_answer(s);
}


static ngx_int_t
ngx_http_ctseg_metrics_refuse(ngx_http_request_t *r)
{
    ngx_http_ctseg_header_t  allow;

    static ctseg_str_t  text = ctseg_string("metrics are read by GET\n");

    ngx_str_set(&allow.name, "Allow");
    ngx_str_set(&allow.value, "GET, HEAD");

    return ngx_http_ctseg_reply(r, NGX_HTTP_NOT_ALLOWED,
                                &ngx_http_ctseg_metrics_text, text, &allow,
                                1);
}


static void
ngx_http_ctseg_scrape_thread(ngx_http_ctseg_task_t *task)
{
    ctseg_rc_t                rc;
    ctseg_usage_t             usage;
    ctseg_figures_t           figures;
    ngx_http_ctseg_scrape_t  *s;

    s = (ngx_http_ctseg_scrape_t *) task;

    ngx_http_ctseg_metrics_counters(&s->out, &s->counters);

    ngx_memzero(&figures, sizeof(ctseg_figures_t));

    rc = ctseg_store_usage(task->worker->store, &usage);

    if (rc != CTSEG_OK) {
        (void) ctseg_err(&s->err, rc, "the store's size cannot be read: %s",
                         ctseg_rc_name(rc));
        return;
    }

    rc = ctseg_figures_read(task->worker->store,
                            NGX_HTTP_CTSEG_SCRAPE_EXPORTS, ctseg_now_ms(),
                            ctseg_mono_ms() + NGX_HTTP_CTSEG_SCRAPE_MS,
                            &figures, &s->err);

    if (rc == CTSEG_OK) {
        s->err = figures.note;
        ngx_http_ctseg_metrics_store(&s->out, &usage, &figures);
    }

    ctseg_figures_free(&figures);
}


static void
ngx_http_ctseg_scrape_done(ngx_http_ctseg_task_t *task)
{
    ngx_int_t                 rc;
    ngx_http_request_t       *r;
    ngx_http_ctseg_scrape_t  *s;

    s = (ngx_http_ctseg_scrape_t *) task;
    r = s->r;

    ngx_http_ctseg_resume(r);

    if (s->err.text[0] != '\0') {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "ctseg: metrics are not complete: %s", s->err.text);
    }

    rc = ngx_http_ctseg_scrape_answer(s);

    ngx_http_ctseg_finish(r, rc);
}


/* frees the scrape */

static ngx_int_t
ngx_http_ctseg_scrape_answer(ngx_http_ctseg_scrape_t *s)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = s->r;

    if (r->connection->error) {
        rc = NGX_ERROR;

    } else if (s->out.failed) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    } else {
        rc = ngx_http_ctseg_reply(r, NGX_HTTP_OK,
                                  &ngx_http_ctseg_metrics_type,
                                  ctseg_buf_slice(&s->out), NULL, 0);
    }

    ctseg_buf_free(&s->out);
    ngx_free(s);

    return rc;
}
