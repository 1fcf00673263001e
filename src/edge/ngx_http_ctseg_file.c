/*
 * Export files.  The body is read without a buffer of nginx for the whole of
 * it: what has come goes to a thread, and while that works, nothing more is
 * read, so the client is as fast as the disk and memory stays bounded.
 *
 * The file has parts whose ends depend on its bytes alone.  Each is one
 * commit with a mark that is the hash of all the file has up to there: when a
 * file is sent again, because the connection broke or by mistake, the parts
 * that are stored are known and passed over.
 */

#include "../base/ctseg_gzip.h"
#include "../base/ctseg_str.h"
#include "../clevertap/ctseg_file.h"
#include "../clevertap/ctseg_upload.h"
#include "../store/ctseg_mark.h"
#include "../bridge/ngx_http_ctseg_count.h"
#include "../bridge/ngx_http_ctseg_ctx.h"
#include "../bridge/ngx_http_ctseg_wake.h"
#include "ngx_http_ctseg_collect.h"
#include "ngx_http_ctseg_file.h"
#include "ngx_http_ctseg_reply.h"

#include <sys/random.h>


#define NGX_HTTP_CTSEG_FILE_PIECE      (256 * 1024)
#define NGX_HTTP_CTSEG_FILE_APPEND_MS  10000
#define NGX_HTTP_CTSEG_FILE_TRIES      3


/* one upload; between post and completion it belongs to the thread, but r */

typedef struct {
    ngx_http_ctseg_task_t   task;
    ngx_http_request_t     *r;          /* not for the thread */

    u_char                 *in;         /* the piece at hand */
    size_t                  len;
    ngx_fd_t                fd;         /* or what nginx wrote to a file */
    off_t                   offset;
    off_t                   rest;
    unsigned                last:1;     /* no other comes */
    unsigned                dry_run:1;

    ngx_str_t               account;    /* nginx.conf's, or empty */
    ctseg_file_t            file;
    unsigned                begun:1;    /* its first byte has been seen */
    ctseg_gzip_t           *gzip;       /* NULL: it is plain text */
    char                   *text;       /* what is inflated at a time */
    ctseg_hash_t            hash;
    ctseg_blocks_t          blocks;
    ngx_uint_t              events;     /* of the part at hand */
    char                    producer[CTSEG_PRODUCER_LEN];
    uint64_t                seq;

    ngx_uint_t              status;     /* not 0: this is the answer */
    ctseg_buf_t             answer;
    ctseg_rc_t              rc;         /* of the last append */
    ngx_uint_t              collected;  /* events stored by this request */
    uint64_t                lines;      /* of the parts that are done */

    /* since the thread began this piece, for the metrics */

    ngx_uint_t              stored;
    int64_t                 us;
    ngx_uint_t              commits;
    ngx_uint_t              lost;       /* events that could not be stored */
} ngx_http_ctseg_file_t;


static void ngx_http_ctseg_file_body_handler(ngx_http_request_t *r);
static void ngx_http_ctseg_file_read_handler(ngx_http_request_t *r);
static void ngx_http_ctseg_file_thread(ngx_http_ctseg_task_t *task);
static void ngx_http_ctseg_file_done(ngx_http_ctseg_task_t *task);


static ngx_str_t  ngx_http_ctseg_file_type = ngx_string("application/json");


/* ---- on the loop ---- */


static void
ngx_http_ctseg_file_free(ngx_http_ctseg_file_t *f)
{
    ctseg_blocks_free(&f->blocks);
    ctseg_file_free(&f->file);
    ctseg_hash_free(&f->hash);
    ctseg_buf_free(&f->answer);
    ctseg_gzip_destroy(f->gzip);
    ngx_free(f->text);
    ngx_free(f->in);
    ngx_free(f);
}


/* whatever ends the request; a thread that has it keeps the request alive */

static void
ngx_http_ctseg_file_cleanup(void *data)
{
    ngx_http_ctseg_file_free(data);
}


static ngx_http_ctseg_file_t *
ngx_http_ctseg_file_create(ngx_http_request_t *r,
    ngx_http_ctseg_worker_t *worker)
{
    ngx_str_t               value;
    ngx_pool_cleanup_t     *cln;
    ngx_http_ctseg_file_t  *f;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    f = ngx_http_ctseg_task_create(worker, sizeof(ngx_http_ctseg_file_t),
                                   ngx_http_ctseg_file_thread,
                                   ngx_http_ctseg_file_done);
    if (f == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_ctseg_file_cleanup;
    cln->data = f;

    f->r = r;
    f->fd = NGX_INVALID_FILE;
    f->file.zone = &worker->zone;
    f->file.now_ms = ctseg_now_ms();

    if (ngx_http_arg(r, (u_char *) "dryRun", 6, &value) == NGX_OK
        && value.len == 1 && value.data[0] == '1')
    {
        f->dry_run = 1;
    }

    f->in = ngx_alloc(NGX_HTTP_CTSEG_FILE_PIECE, r->connection->log);

    if (f->in == NULL
        || getrandom(f->producer, CTSEG_PRODUCER_LEN, GRND_NONBLOCK)
           != CTSEG_PRODUCER_LEN)
    {
        return NULL;
    }

    return f;
}


ngx_int_t
ngx_http_ctseg_file_handler(ngx_http_request_t *r,
    ngx_http_ctseg_worker_t *worker)
{
    ngx_int_t               rc;
    ngx_http_ctseg_ctx_t   *ctx;
    ngx_http_ctseg_file_t  *f;

    f = ngx_http_ctseg_file_create(r, worker);
    if (f == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);

    f->account = ctx->account;
    ctx->call = f;

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r,
                                       ngx_http_ctseg_file_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


/* move what has come into the piece at hand, as much as there is room for */

static void
ngx_http_ctseg_file_take(ngx_http_ctseg_file_t *f)
{
    size_t                   n;
    ngx_buf_t               *b;
    ngx_chain_t             *cl;
    ngx_http_request_body_t  *rb;

    rb = f->r->request_body;

    if (rb == NULL) {
        return;
    }

    while (rb->bufs != NULL) {
        cl = rb->bufs;
        b = cl->buf;

        if (b->in_file) {

            /* of a copy by "mirror": a thread reads it, behind the rest */

            if (f->rest == 0) {
                f->fd = b->file->fd;
                f->offset = b->file_pos;
                f->rest = b->file_last - b->file_pos;
                rb->bufs = cl->next;
                continue;
            }

            return;
        }

        n = ngx_min((size_t) (b->last - b->pos),
                    NGX_HTTP_CTSEG_FILE_PIECE - f->len);

        if (n != 0 && f->rest != 0) {
            return;
        }

        ngx_memcpy(f->in + f->len, b->pos, n);
        f->len += n;
        b->pos += n;

        if (b->pos != b->last) {
            return;
        }

        rb->bufs = cl->next;
    }
}


static void
ngx_http_ctseg_file_answer(ngx_http_ctseg_file_t *f)
{
    ngx_int_t                rc;
    ngx_uint_t               n;
    ngx_http_request_t      *r;
    ngx_http_ctseg_ctx_t    *ctx;
    ngx_http_ctseg_header_t  retry;

    r = f->r;
    n = 0;

    if (f->answer.failed) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    if (f->status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        ngx_str_set(&retry.name, "Retry-After");
        ngx_str_set(&retry.value, "1");
        n = 1;
    }

    ctx = ngx_http_ctseg_ctx(r);

    if (!ctx->is_counted) {
        ctx->is_counted = 1;
        ngx_http_ctseg_count_request(f->status);
    }

    rc = ngx_http_ctseg_reply(r, f->status, &ngx_http_ctseg_file_type,
                              ctseg_buf_slice(&f->answer), &retry, n);

    ngx_http_finalize_request(r, rc);
}


/* read on until there is a piece for the thread, or nothing comes now */

static void
ngx_http_ctseg_file_go(ngx_http_ctseg_file_t *f)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = f->r;

    for ( ;; ) {
        ngx_http_ctseg_file_take(f);

        if (!r->reading_body || f->len == NGX_HTTP_CTSEG_FILE_PIECE) {
            break;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            ngx_http_finalize_request(r, rc);
            return;
        }

        if (rc != NGX_AGAIN) {
            continue;
        }

        ngx_http_ctseg_file_take(f);

        if (f->len == 0) {
            return;                     /* the event of the socket goes on */
        }

        break;
    }

    f->last = !r->reading_body
              && (r->request_body == NULL || r->request_body->bufs == NULL);

    /* the client waits for us now, not we for the client */

    if (r->connection->read->timer_set) {
        ngx_del_timer(r->connection->read);
    }

    if (ngx_http_ctseg_task_post(&f->task) == NGX_OK) {
        ngx_http_ctseg_suspend(r);
        return;
    }

    f->status = NGX_HTTP_SERVICE_UNAVAILABLE;
    ctseg_upload_render_fail(&f->answer, f->status,
                             "Too many requests are waiting",
                             "the thread pool's queue is full, send the file "
                             "again");
    ngx_http_ctseg_file_answer(f);
}


static void
ngx_http_ctseg_file_body_handler(ngx_http_request_t *r)
{
    ngx_http_ctseg_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);

    r->read_event_handler = ngx_http_ctseg_file_read_handler;
    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_ctseg_file_go(ctx->call);
}


static void
ngx_http_ctseg_file_read_handler(ngx_http_request_t *r)
{
    ngx_http_ctseg_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);

    ngx_http_ctseg_file_go(ctx->call);
}


/* ---- on a pool thread ---- */


static void
ngx_http_ctseg_file_fail(ngx_http_ctseg_file_t *f, ngx_uint_t status,
    const char *error, const char *detail)
{
    f->status = status;

    ctseg_buf_reset(&f->answer);
    ctseg_upload_render_fail(&f->answer, status, error, detail);
}


static bool
ngx_http_ctseg_file_add(ngx_http_ctseg_file_t *f, const ctseg_event_t *ev)
{
    f->events++;

    return ctseg_blocks_add(&f->blocks, ev);
}


static ctseg_rc_t
ngx_http_ctseg_file_append(ngx_http_ctseg_file_t *f)
{
    bool            dup;
    char            key[CTSEG_MARK_LEN];
    ctseg_rc_t      rc;
    ngx_uint_t      tries;
    ctseg_pos_t     last;
    ctseg_str_t     name;
    ctseg_marks_t   marks;

    rc = ctseg_blocks_finish(&f->blocks);
    if (rc != CTSEG_OK) {
        return rc;
    }

    name.data = f->file.hash;
    name.len = CTSEG_HASH_LEN;

    if (!ctseg_mark_key(&f->hash, CTSEG_MARK_PART,
                        ngx_http_ctseg_slice(&f->account), name, key)) {
        return CTSEG_NOMEM;
    }

    ngx_memzero(&marks, sizeof(ctseg_marks_t));
    marks.keys = key;
    marks.n = 1;

    f->seq++;

    for (tries = 0; /* void */ ; tries++) {
        rc = ctseg_store_append_marked(f->task.worker->store, 0, f->producer,
                                       f->seq, f->blocks.blocks,
                                       f->blocks.nblocks, &marks,
                                       ctseg_mono_ms()
                                       + NGX_HTTP_CTSEG_FILE_APPEND_MS,
                                       &last, &dup);

        if ((rc != CTSEG_RETRY && rc != CTSEG_AMBIGUOUS)
            || tries == NGX_HTTP_CTSEG_FILE_TRIES - 1)
        {
            return rc;
        }
    }
}


/* a part is whole: store it, or see that it is stored */

static void
ngx_http_ctseg_file_commit(ngx_http_ctseg_file_t *f)
{
    char     detail[160];
    int64_t  us;

    f->rc = CTSEG_OK;

    if (f->events != 0 && !f->dry_run) {
        us = ctseg_mono_us();
        f->rc = ngx_http_ctseg_file_append(f);
        us = ctseg_mono_us() - us;

        if (f->rc == CTSEG_OK) {
            f->stored += f->events;
            f->collected += f->events;
            f->us += us;
            f->commits++;

        } else if (f->rc == CTSEG_CONFLICT) {
            f->rc = CTSEG_OK;           /* it came before */
        }
    }

    if (f->rc == CTSEG_OK) {
        f->lines = f->file.lines.number;

    } else {
        f->lost += f->events;

        (void) snprintf(detail, sizeof(detail), "the first %llu lines are "
                        "taken, send the whole file again: what is stored "
                        "is not stored twice", (unsigned long long) f->lines);

        ngx_http_ctseg_file_fail(f, NGX_HTTP_SERVICE_UNAVAILABLE,
                                 f->rc == CTSEG_FULL
                                 ? "Store is full"
                                 : "Store is not available", detail);
    }

    ctseg_blocks_reset(&f->blocks);
    f->events = 0;
}


/* work through the piece at hand */

static void
ngx_http_ctseg_file_parse(ngx_http_ctseg_file_t *f)
{
    ctseg_event_t  ev;

    while (f->status == 0) {

        switch (ctseg_file_next(&f->file, &ev)) {

        case CTSEG_FILE_MORE:
            return;

        case CTSEG_FILE_EVENT:
            if (ngx_http_ctseg_file_add(f, &ev)) {
                break;
            }

            /* fall through */

        case CTSEG_FILE_NOMEM:
            ngx_http_ctseg_file_fail(f, NGX_HTTP_SERVICE_UNAVAILABLE,
                                     "Out of memory", NULL);
            return;

        case CTSEG_FILE_PART:
            ngx_http_ctseg_file_commit(f);
            break;

        case CTSEG_FILE_END:
            f->status = NGX_HTTP_OK;
            ctseg_file_render(&f->answer, &f->file);
            return;
        }
    }
}


static void
ngx_http_ctseg_file_text(ngx_http_ctseg_file_t *f, const char *data,
    size_t len, ngx_uint_t last)
{
    ctseg_str_t  piece;

    piece.data = data;
    piece.len = len;

    ctseg_file_feed(&f->file, piece, last);
    ngx_http_ctseg_file_parse(f);
}


static void
ngx_http_ctseg_file_inflate(ngx_http_ctseg_file_t *f, ctseg_str_t in,
    ngx_uint_t last)
{
    char         detail[320];
    size_t       n;
    ctseg_rc_t   rc;
    ctseg_err_t  err;

    ngx_memzero(&err, sizeof(ctseg_err_t));

    do {
        rc = ctseg_gzip_feed(f->gzip, &in, f->text,
                             NGX_HTTP_CTSEG_FILE_PIECE, &n, &err);

        if (rc != CTSEG_OK) {
            break;
        }

        ngx_http_ctseg_file_text(f, f->text, n, 0);

    } while (f->status == 0
             && (in.len != 0 || n == NGX_HTTP_CTSEG_FILE_PIECE));

    if (f->status != 0) {
        return;
    }

    if (rc == CTSEG_OK && last) {
        rc = ctseg_gzip_finish(f->gzip, &err);
    }

    if (rc == CTSEG_NOMEM) {
        ngx_http_ctseg_file_fail(f, NGX_HTTP_SERVICE_UNAVAILABLE,
                                 "Out of memory", NULL);

    } else if (rc != CTSEG_OK) {
        (void) snprintf(detail, sizeof(detail), "%s at byte %zu, the first "
                        "%llu lines are taken", err.text, err.offset,
                        (unsigned long long) f->lines);
        ngx_http_ctseg_file_fail(f, NGX_HTTP_BAD_REQUEST,
                                 "Malformed request", detail);

    } else if (last) {
        ngx_http_ctseg_file_text(f, f->text, 0, 1);
    }
}


/* files come packed as well, and no text begins like that */

static void
ngx_http_ctseg_file_piece(ngx_http_ctseg_file_t *f, size_t len,
    ngx_uint_t last)
{
    ctseg_str_t  in;

    in.data = (const char *) f->in;
    in.len = len;

    if (!f->begun && len != 0) {
        f->begun = 1;

        if (f->in[0] == 0x1f) {
            f->gzip = ctseg_gzip_create();
            f->text = malloc(NGX_HTTP_CTSEG_FILE_PIECE);

            if (f->gzip == NULL || f->text == NULL) {
                ngx_http_ctseg_file_fail(f, NGX_HTTP_SERVICE_UNAVAILABLE,
                                         "Out of memory", NULL);
                return;
            }
        }
    }

    if (f->gzip != NULL) {
        ngx_http_ctseg_file_inflate(f, in, last);
        return;
    }

    ngx_http_ctseg_file_text(f, in.data, in.len, last);
}


static void
ngx_http_ctseg_file_thread(ngx_http_ctseg_task_t *task)
{
    ssize_t                 n;
    ngx_http_ctseg_file_t  *f;

    f = (ngx_http_ctseg_file_t *) task;

    f->stored = 0;
    f->us = 0;
    f->commits = 0;
    f->lost = 0;

    ngx_http_ctseg_file_piece(f, f->len, f->last && f->rest == 0);

    while (f->rest != 0 && f->status == 0) {
        n = pread(f->fd, f->in,
                  ngx_min(f->rest, (off_t) NGX_HTTP_CTSEG_FILE_PIECE),
                  f->offset);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n <= 0) {
            ngx_http_ctseg_file_fail(f, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                     "Internal error", "the body could not "
                                     "be read back from its temporary file");
            break;
        }

        f->offset += n;
        f->rest -= n;

        ngx_http_ctseg_file_piece(f, n, f->last && f->rest == 0);
    }
}


/* ---- back on the loop ---- */


static void
ngx_http_ctseg_file_figures(ngx_http_ctseg_file_t *f)
{
    ngx_uint_t  i;

    for (i = 0; i < CTSEG_REFUSAL_N; i++) {
        if (!f->dry_run) {
            ngx_http_ctseg_count_refused(i, f->file.refused[i]);
        }

        f->file.refused[i] = 0;
    }

    ngx_http_ctseg_count_refused(f->rc == CTSEG_FULL
                                 ? NGX_HTTP_CTSEG_REFUSED_FULL
                                 : NGX_HTTP_CTSEG_REFUSED_STORE, f->lost);

    for (i = 0; i < f->commits; i++) {
        ngx_http_ctseg_count_commit(f->stored / f->commits
                                    + (i < f->stored % f->commits),
                                    f->us / (int64_t) f->commits);
    }

    if (f->commits != 0) {
        ngx_http_ctseg_wake();
    }
}


static void
ngx_http_ctseg_file_done(ngx_http_ctseg_task_t *task)
{
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_ctseg_ctx_t   *ctx;
    ngx_http_ctseg_file_t  *f;

    f = (ngx_http_ctseg_file_t *) task;
    r = f->r;
    c = r->connection;

    ngx_http_ctseg_resume(r);
    ngx_http_ctseg_file_figures(f);

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);
    ctx->collected = f->collected;

    if (f->lost != 0) {
        ngx_log_error((f->rc == CTSEG_FATAL ? NGX_LOG_INFO : NGX_LOG_ERR),
                      c->log, 0,
                      "ctseg: events of a file were refused, appending to "
                      "the store failed: %s", ctseg_rc_name(f->rc));
    }

    f->len = 0;

    if (c->error) {
        ngx_http_finalize_request(r, NGX_ERROR);

    } else if (f->status != 0) {
        ngx_http_ctseg_file_answer(f);

    } else {
        r->read_event_handler = ngx_http_ctseg_file_read_handler;
        ngx_http_ctseg_file_go(f);
    }

    ngx_http_run_posted_requests(c);
}
