/*
 * A collect location of format=file: export files of any length, read as
 * they come and committed part by part.  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_FILE_H
#define NGX_HTTP_CTSEG_FILE_H


#include "../bridge/ngx_http_ctseg_task.h"


/*
 * A request that may upload, its body not read yet; answers for it in any
 * case, now or later.  What a handler of a location returns.
 */

ngx_int_t ngx_http_ctseg_file_handler(ngx_http_request_t *r,
    ngx_http_ctseg_worker_t *worker);


#endif /* NGX_HTTP_CTSEG_FILE_H */
