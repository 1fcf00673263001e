/*
 * Answers to clients, and the bodies of their requests.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_REPLY_H
#define NGX_HTTP_CTSEG_REPLY_H


#include "../bridge/ngx_http_ctseg_task.h"


/* a header of the answer; an empty value leaves it out */

typedef struct {
    ngx_str_t  name;
    ngx_str_t  value;
} ngx_http_ctseg_header_t;


/*
 * Send a whole answer.  body and values are copied into the request's pool.
 * The result is for ngx_http_finalize_request, or the handler's own.
 */

ngx_int_t ngx_http_ctseg_reply(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *content_type, ctseg_str_t body,
    ngx_http_ctseg_header_t *headers, ngx_uint_t nheaders);

/*
 * Wait for a job: the request may not be freed until it is resumed, whatever
 * its client does.
 */

void ngx_http_ctseg_suspend(ngx_http_request_t *r);

/*
 * Has the client of a suspended request closed its side?  nginx itself takes
 * that for the end of a client.  Then it will not be answered.
 */

ngx_uint_t ngx_http_ctseg_is_gone(ngx_http_request_t *r);

/* undo suspend; answer with what reply said, and let nginx go on */

void ngx_http_ctseg_resume(ngx_http_request_t *r);
void ngx_http_ctseg_finish(ngx_http_request_t *r, ngx_int_t rc);


/* a request's body in memory that is not the request's; the file part, if
   nginx had to write one, is read by the thread */

typedef struct {
    char       *data;               /* room for len bytes, the caller's */
    size_t      len;                /* of the whole body */
    size_t      in_memory;          /* bytes of data already there */
    ngx_fd_t    fd;                 /* of the rest; nginx's, not ours */
    off_t       offset;
} ngx_http_ctseg_body_t;

/* bytes of the whole body; what of it is in memory goes to data, which has
   room for all */

size_t ngx_http_ctseg_body_size(ngx_http_request_t *r);
void ngx_http_ctseg_body_copy(ngx_http_request_t *r,
    ngx_http_ctseg_body_t *body, char *data, size_t size);

/* the same into memory of its own (malloc).  NGX_ERROR: no memory */

ngx_int_t ngx_http_ctseg_body_take(ngx_http_request_t *r,
    ngx_http_ctseg_body_t *body);

/* any thread: read the part that lies in a file; false on a read error */

bool ngx_http_ctseg_body_complete(ngx_http_ctseg_body_t *body);

/* is the Content-Type JSON (or absent)? */

ngx_uint_t ngx_http_ctseg_is_json(ngx_http_request_t *r);

/* is there a Content-Encoding other than identity? */

ngx_uint_t ngx_http_ctseg_is_encoded(ngx_http_request_t *r);
ngx_uint_t ngx_http_ctseg_is_gzip(ngx_http_request_t *r);

/* a request header by its lower-case name, NULL if absent */

ngx_str_t *ngx_http_ctseg_header_in(ngx_http_request_t *r, const char *name,
    size_t len);


#endif /* NGX_HTTP_CTSEG_REPLY_H */
