/*
 * Copies by "mirror".  A body that nginx has written to a file keeps it open
 * by a descriptor of its own, and there is a bound on those: when threads
 * hang, other connections need descriptors, too.
 */

#include "../bridge/ngx_http_ctseg_count.h"
#include "../bridge/ngx_http_ctseg_ctx.h"
#include "ngx_http_ctseg_copy.h"


#define NGX_HTTP_CTSEG_COPY_FILES  256
#define NGX_HTTP_CTSEG_COPY_EVERY  60   /* s */


typedef struct {
    ngx_uint_t   files;                 /* that waiting copies have */
    ngx_uint_t   lost;                  /* since that was told last */
    time_t       told;
} ngx_http_ctseg_copies_t;


static ngx_http_ctseg_copies_t  ngx_http_ctseg_copies;


ngx_int_t
ngx_http_ctseg_copy_detach(ngx_http_ctseg_item_t *item)
{
    int                    fd;
    ngx_http_request_t    *r;
    ngx_http_ctseg_ctx_t  *ctx;

    r = item->r;

    if (item->body.fd != NGX_INVALID_FILE) {

        if (ngx_http_ctseg_copies.files >= NGX_HTTP_CTSEG_COPY_FILES) {
            return NGX_DECLINED;
        }

        fd = fcntl(item->body.fd, F_DUPFD_CLOEXEC, 0);

        if (fd == -1) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, ngx_errno,
                          "fcntl(F_DUPFD_CLOEXEC) failed");
            return NGX_DECLINED;
        }

        item->body.fd = fd;
        item->owns_file = 1;
        ngx_http_ctseg_copies.files++;
    }

    /* it is counted by its outcome, and logged by what is known now */

    ctx = ngx_http_get_module_ctx(r, ngx_http_ctseg_module);
    ctx->is_counted = 1;

    r->headers_out.status = NGX_HTTP_ACCEPTED;
    item->r = NULL;

    return NGX_OK;
}


void
ngx_http_ctseg_copy_free(ngx_http_ctseg_item_t *item)
{
    if (!item->owns_file) {
        return;
    }

    ngx_http_ctseg_copies.files--;

    /* the thread closes what it has read */

    if (item->body.fd != NGX_INVALID_FILE) {
        (void) close(item->body.fd);
    }
}


void
ngx_http_ctseg_copy_done(ngx_http_ctseg_item_t *item)
{
    ngx_uint_t   status;

    status = item->answer.failed ? NGX_HTTP_INTERNAL_SERVER_ERROR
                                 : item->status;

    ngx_http_ctseg_count_request(status);

    if (status >= NGX_HTTP_INTERNAL_SERVER_ERROR) {
        ngx_http_ctseg_copy_lost(ctseg_buf_slice(&item->answer));
    }
}


void
ngx_http_ctseg_copy_lost(ctseg_str_t why)
{
    time_t                    now;
    ngx_http_ctseg_worker_t  *worker;
    ngx_http_ctseg_copies_t  *copies;

    copies = &ngx_http_ctseg_copies;
    worker = ngx_http_ctseg_worker();

    ngx_http_ctseg_count_lost();
    copies->lost++;

    now = ngx_time();

    if (worker == NULL
        || (copies->told != 0 && now >= copies->told
            && now - copies->told < NGX_HTTP_CTSEG_COPY_EVERY))
    {
        return;
    }

    if (why.len != 0 && why.data[why.len - 1] == '\n') {
        why.len--;
    }

    ngx_log_error(NGX_LOG_ERR, worker->log, 0,
                  "ctseg: copies by \"mirror\" were lost: %ui since the last "
                  "such line, the newest for %*s", copies->lost, why.len,
                  why.data);

    copies->told = now;
    copies->lost = 0;
}
