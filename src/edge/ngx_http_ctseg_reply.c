/*
 * Answers and bodies: what collect and the API have in common.
 */

#include "ngx_http_ctseg_reply.h"


static ngx_int_t ngx_http_ctseg_add_header(ngx_http_request_t *r,
    ngx_http_ctseg_header_t *header);


ngx_int_t
ngx_http_ctseg_reply(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *content_type, ctseg_str_t body,
    ngx_http_ctseg_header_t *headers, ngx_uint_t nheaders)
{
    u_char       *p;
    ngx_buf_t    *b;
    ngx_int_t     rc;
    ngx_uint_t    i;
    ngx_chain_t   out;

    /* preconditions are the API's own: it knows both revisions */

    r->disable_not_modified = 1;

    r->headers_out.status = status;

    if (status == 422) {

        /* newer than nginx's table of reasons */

        ngx_str_set(&r->headers_out.status_line, "422 Unprocessable Content");
    }
    r->headers_out.content_length_n = body.len;

    if (body.len != 0) {
        r->headers_out.content_type = *content_type;
        r->headers_out.content_type_lowcase = NULL;

        /* without parameters: "gzip_types" knows it by that */

        p = ngx_strlchr(content_type->data,
                        content_type->data + content_type->len, ';');
        r->headers_out.content_type_len = p != NULL
                                          ? (size_t) (p - content_type->data)
                                          : content_type->len;
    }

    for (i = 0; i < nheaders; i++) {
        if (headers[i].value.len == 0) {
            continue;
        }

        if (ngx_http_ctseg_add_header(r, &headers[i]) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (body.len == 0) {
        r->header_only = 1;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_create_temp_buf(r->pool, body.len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, body.data, body.len);
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_int_t
ngx_http_ctseg_add_header(ngx_http_request_t *r,
    ngx_http_ctseg_header_t *header)
{
    u_char           *p;
    ngx_table_elt_t  *h;

    p = ngx_pnalloc(r->pool, header->value.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, header->value.data, header->value.len);

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key = header->name;
    h->value.data = p;
    h->value.len = header->value.len;

    if (header->name.len == sizeof("ETag") - 1
        && ngx_strncmp(header->name.data, "ETag", 4) == 0)
    {
        r->headers_out.etag = h;
    }

    return NGX_OK;
}


void
ngx_http_ctseg_suspend(ngx_http_request_t *r)
{
    r->main->blocked++;
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}


ngx_uint_t
ngx_http_ctseg_is_gone(ngx_http_request_t *r)
{
    u_char             byte;
    ssize_t            n;
    ngx_connection_t  *c;

    c = r->connection;

    /* nobody reads events of a suspended request, so look at the socket */

    if (c->error || c->read->pending_eof) {
        c->error = 1;
        return 1;
    }

    n = recv(c->fd, &byte, 1, MSG_PEEK|MSG_DONTWAIT);

    if (n == 0 || (n == -1 && ngx_socket_errno != NGX_EAGAIN
                   && ngx_socket_errno != NGX_EINTR))
    {
        c->error = 1;
        return 1;
    }

    return 0;
}


void
ngx_http_ctseg_resume(ngx_http_request_t *r)
{
    ngx_http_set_log_request(r->connection->log, r);

    r->main->blocked--;
}


void
ngx_http_ctseg_finish(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


size_t
ngx_http_ctseg_body_size(ngx_http_request_t *r)
{
    off_t         size;
    ngx_chain_t  *cl;

    if (r->request_body == NULL) {
        return 0;
    }

    size = 0;

    for (cl = r->request_body->bufs; cl != NULL; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
    }

    return (size_t) size;
}


void
ngx_http_ctseg_body_copy(ngx_http_request_t *r, ngx_http_ctseg_body_t *body,
    char *data, size_t size)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl;

    body->data = data;
    body->len = size;
    body->in_memory = 0;
    body->offset = 0;
    body->fd = NGX_INVALID_FILE;

    if (size == 0) {
        return;
    }

    /* nginx has memory buffers first, then at most one file */

    for (cl = r->request_body->bufs; cl != NULL; cl = cl->next) {
        b = cl->buf;

        if (b->in_file) {
            body->fd = b->file->fd;
            body->offset = b->file_pos;
            break;
        }

        ngx_memcpy(body->data + body->in_memory, b->pos, b->last - b->pos);
        body->in_memory += b->last - b->pos;
    }
}


ngx_int_t
ngx_http_ctseg_body_take(ngx_http_request_t *r, ngx_http_ctseg_body_t *body)
{
    char    *data;
    size_t   size;

    data = NULL;
    size = ngx_http_ctseg_body_size(r);

    if (size != 0) {
        data = ngx_alloc(size, r->connection->log);
        if (data == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_http_ctseg_body_copy(r, body, data, size);

    return NGX_OK;
}


bool
ngx_http_ctseg_body_complete(ngx_http_ctseg_body_t *body)
{
    ssize_t  n;

    while (body->in_memory < body->len) {
        n = pread(body->fd, body->data + body->in_memory,
                  body->len - body->in_memory, body->offset);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n <= 0) {
            return false;
        }

        body->in_memory += n;
        body->offset += n;
    }

    return true;
}


ngx_uint_t
ngx_http_ctseg_is_json(ngx_http_request_t *r)
{
    u_char      *p;
    ngx_str_t    type;

    if (r->headers_in.content_type == NULL) {
        return 1;
    }

    type = r->headers_in.content_type->value;

    p = ngx_strlchr(type.data, type.data + type.len, ';');
    if (p != NULL) {
        type.len = p - type.data;
    }

    while (type.len != 0 && type.data[type.len - 1] == ' ') {
        type.len--;
    }

    if (type.len == sizeof("application/json") - 1
        && ngx_strncasecmp(type.data, (u_char *) "application/json", type.len)
           == 0)
    {
        return 1;
    }

    /* application/merge-patch+json and the like */

    return type.len > sizeof("application/+json") - 1
           && ngx_strncasecmp(type.data, (u_char *) "application/", 12) == 0
           && ngx_strncasecmp(type.data + type.len - 5, (u_char *) "+json", 5)
              == 0;
}


ngx_uint_t
ngx_http_ctseg_is_encoded(ngx_http_request_t *r)
{
    ngx_str_t  *value;

    value = ngx_http_ctseg_header_in(r, "content-encoding",
                                     sizeof("content-encoding") - 1);

    return value != NULL
           && !(value->len == 8
                && ngx_strncasecmp(value->data, (u_char *) "identity", 8)
                   == 0);
}


ngx_uint_t
ngx_http_ctseg_is_gzip(ngx_http_request_t *r)
{
    ngx_str_t  *value;

    value = ngx_http_ctseg_header_in(r, "content-encoding",
                                     sizeof("content-encoding") - 1);

    /* x-gzip: RFC 9110, section 8.4.1.3 */

    return value != NULL
           && ((value->len == 4
                && ngx_strncasecmp(value->data, (u_char *) "gzip", 4) == 0)
               || (value->len == 6
                   && ngx_strncasecmp(value->data, (u_char *) "x-gzip", 6)
                      == 0));
}


ngx_str_t *
ngx_http_ctseg_header_in(ngx_http_request_t *r, const char *name, size_t len)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == len
            && ngx_strncasecmp(header[i].key.data, (u_char *) name, len) == 0)
        {
            return &header[i].value;
        }
    }
}
