/*
 * The import of this worker.  It is a loop of steps: a thread asks CleverTap
 * for one page and stores it, or finds that it has to wait.  Meanwhile it
 * takes a step a second: so it sees that it was stopped, and renews its
 * lease.
 *
 * The record is the lease, as that of a run: who lost it finds another
 * revision at its next put, and drops everything.
 */

#include "ngx_http_ctseg_import_int.h"


#define NGX_HTTP_CTSEG_IMPORT_BEAT_MS   1000
#define NGX_HTTP_CTSEG_IMPORT_AGAIN_MS  5000    /* after an error */


typedef struct {
    ngx_http_ctseg_worker_t       *worker;
    ngx_http_ctseg_import_step_t  *step;    /* its one job; NULL: there is no
                                               import here */
    ngx_event_t                    timer;   /* until the next step */
    unsigned                       stepping:1;
    unsigned                       again:1; /* look for another one */
    unsigned                       curl:1;  /* it is initialized */
} ngx_http_ctseg_importer_t;


static ngx_int_t ngx_http_ctseg_import_begin(
    ngx_http_ctseg_import_look_t *look);
static void ngx_http_ctseg_import_go(void);
static void ngx_http_ctseg_import_timer_handler(ngx_event_t *ev);
static void ngx_http_ctseg_import_stepped(ngx_http_ctseg_task_t *task);


static ngx_http_ctseg_importer_t  ngx_http_ctseg_importer;


ngx_int_t
ngx_http_ctseg_import_init(ngx_http_ctseg_worker_t *worker)
{
    ngx_http_ctseg_importer_t  *importer;

    importer = &ngx_http_ctseg_importer;

    ngx_memzero(importer, sizeof(ngx_http_ctseg_importer_t));

    importer->worker = worker;

    /* cancelable: an exiting worker does not wait for it */

    importer->timer.handler = ngx_http_ctseg_import_timer_handler;
    importer->timer.data = &worker->dummy;
    importer->timer.log = worker->log;
    importer->timer.cancelable = 1;

    /* what libcurl brings along is not asked for where nobody pulls */

    if (worker->conf->clevertap == NULL) {
        return NGX_OK;
    }

    if (ctseg_curl_init() != CTSEG_OK) {
        ngx_log_error(NGX_LOG_EMERG, worker->log, 0,
                      "ctseg: libcurl cannot be initialized");
        return NGX_ERROR;
    }

    importer->curl = 1;

    return NGX_OK;
}


/* the threads are gone by now */

void
ngx_http_ctseg_import_exit(void)
{
    ngx_http_ctseg_importer_t  *importer;

    importer = &ngx_http_ctseg_importer;

    if (importer->step != NULL) {
        ngx_http_ctseg_import_step_free(importer->step);
        ngx_free(importer->step);
        importer->step = NULL;
    }

    if (importer->curl) {
        importer->curl = 0;
        ctseg_curl_exit();
    }
}


void
ngx_http_ctseg_import_prepare(ngx_http_ctseg_import_look_t *look)
{
    ngx_http_ctseg_importer_t  *importer;

    importer = &ngx_http_ctseg_importer;

    look->busy = importer->step != NULL;
    look->claimed = 0;

    if (importer->again) {
        importer->again = 0;
        look->again = 1;
    }
}


void
ngx_http_ctseg_import_start(ngx_http_ctseg_worker_t *worker,
    ngx_http_ctseg_import_look_t *look)
{
    if (!look->claimed) {
        return;
    }

    look->claimed = 0;

    if (ngx_http_ctseg_import_begin(look) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, worker->log, 0,
                      "ctseg: import %s: no memory for it", look->claim.id);
        ctseg_import_free(&look->claim);
        look->again = 1;
    }
}


static ngx_int_t
ngx_http_ctseg_import_begin(ngx_http_ctseg_import_look_t *look)
{
    int64_t                        wait;
    ngx_http_ctseg_worker_t       *worker;
    ngx_http_ctseg_importer_t     *importer;
    ngx_http_ctseg_import_step_t  *step;

    importer = &ngx_http_ctseg_importer;
    worker = importer->worker;

    step = ngx_http_ctseg_task_create(worker,
                                      sizeof(ngx_http_ctseg_import_step_t),
                                      ngx_http_ctseg_import_step_thread,
                                      ngx_http_ctseg_import_stepped);
    if (step == NULL) {
        return NGX_ERROR;
    }

    /* what it holds goes along */

    step->im = look->claim;
    ngx_memzero(&look->claim, sizeof(ctseg_import_t));

    ngx_memcpy(step->id, step->im.id, CTSEG_ID_TEXT_MAX);
    step->task.pool = worker->conf->imports_pool;

    step->put_ms = ctseg_mono_ms();
    step->looked_ms = step->put_ms;

    wait = step->im.retry_at_ms - ctseg_now_ms();

    if (step->im.retry_at_ms != 0 && wait > 0) {
        step->due_ms = step->put_ms + ngx_min(wait, 3600000);
    }

    importer->step = step;
    ngx_http_ctseg_hold(worker);

    ngx_log_error(NGX_LOG_NOTICE, worker->log, 0,
                  "ctseg: import %s: pulling from CleverTap, %uL pages so "
                  "far", step->id, step->im.counts.pages);

    ngx_http_ctseg_import_go();

    return NGX_OK;
}


/* ---- steps ---- */


static void
ngx_http_ctseg_import_wait(int64_t ms)
{
    ngx_http_ctseg_importer_t  *importer;

    importer = &ngx_http_ctseg_importer;

    if (importer->timer.timer_set) {
        ngx_del_timer(&importer->timer);
    }

    ngx_add_timer(&importer->timer, (ngx_msec_t) ms);
}


static void
ngx_http_ctseg_import_go(void)
{
    ngx_http_ctseg_importer_t  *importer;

    importer = &ngx_http_ctseg_importer;

    if (ngx_exiting || ngx_quit || ngx_terminate) {
        importer->step->release = 1;
    }

    if (ngx_http_ctseg_task_post(&importer->step->task) != NGX_OK) {
        ngx_http_ctseg_import_wait(NGX_HTTP_CTSEG_IMPORT_BEAT_MS);
        return;
    }

    importer->stepping = 1;
}


static void
ngx_http_ctseg_import_timer_handler(ngx_event_t *ev)
{
    ngx_http_ctseg_import_go();
}


static void
ngx_http_ctseg_import_stepped(ngx_http_ctseg_task_t *task)
{
    ngx_uint_t                     i;
    ngx_log_t                     *log;
    ngx_http_ctseg_importer_t     *importer;
    ngx_http_ctseg_import_step_t  *step;

    importer = &ngx_http_ctseg_importer;
    step = (ngx_http_ctseg_import_step_t *) task;
    log = importer->worker->log;

    importer->stepping = 0;

    for (i = 0; i < step->nnotes; i++) {
        ngx_log_error(step->notes[i].level, log, 0, "ctseg: import %s%s",
                      step->id, step->notes[i].text);
    }

    if (step->over) {
        importer->step = NULL;
        importer->again = 1;
        ngx_http_ctseg_release(importer->worker);
        ngx_free(step);
        return;
    }

    if (step->rc != CTSEG_OK) {

        /* where writing has stopped, one line has said so for all */

        ngx_log_error((step->rc == CTSEG_FATAL ? NGX_LOG_INFO : NGX_LOG_ERR),
                      log, 0, "ctseg: import %s: a step failed, trying "
                      "again: %s (%s)", step->id, step->err.text,
                      ctseg_rc_name(step->rc));
        ngx_http_ctseg_import_wait(NGX_HTTP_CTSEG_IMPORT_AGAIN_MS);
        return;
    }

    if (step->wait_ms <= 0) {
        ngx_http_ctseg_import_go();
        return;
    }

    ngx_http_ctseg_import_wait(ngx_min(step->wait_ms,
                                       NGX_HTTP_CTSEG_IMPORT_BEAT_MS));
}


void
ngx_http_ctseg_import_drain(void)
{
    ngx_http_ctseg_importer_t  *importer;

    importer = &ngx_http_ctseg_importer;

    if (importer->step != NULL && !importer->stepping) {

        if (importer->timer.timer_set) {
            ngx_del_timer(&importer->timer);
        }

        ngx_http_ctseg_import_go();
    }
}
