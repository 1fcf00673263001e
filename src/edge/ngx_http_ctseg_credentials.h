/*
 * May this request upload?  Loop only.
 */

#ifndef NGX_HTTP_CTSEG_CREDENTIALS_H
#define NGX_HTTP_CTSEG_CREDENTIALS_H


#include "../conf/ngx_http_ctseg_conf.h"


/*
 * The headers of CleverTap's API (developer docs, "Authentication") against
 * the accounts of nginx.conf; where there are none, anybody may.  How long it
 * takes tells nothing of a passcode or of which accounts there are.
 * account_id is that of the one it is, of nginx.conf; empty where there are
 * none.
 */

ngx_uint_t ngx_http_ctseg_may_upload(ngx_http_request_t *r,
    ngx_str_t *account_id);


#endif /* NGX_HTTP_CTSEG_CREDENTIALS_H */
