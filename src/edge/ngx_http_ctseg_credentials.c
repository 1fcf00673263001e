/*
 * Every account is compared whole, whether an earlier one fits or not, and
 * every byte of it, whether an earlier one differs or not.
 */

#include "ngx_http_ctseg_credentials.h"
#include "ngx_http_ctseg_reply.h"


/* 0: they are the same.  As long for all values of one length of "given" */

static ngx_uint_t
ngx_http_ctseg_differs(ngx_str_t *given, ngx_str_t *ours)
{
    size_t      i;
    ngx_uint_t  diff;

    diff = given->len ^ ours->len;

    for (i = 0; i < given->len; i++) {
        diff |= given->data[i]
                ^ (i < ours->len ? ours->data[i] : ours->data[0]);
    }

    return diff;
}


ngx_uint_t
ngx_http_ctseg_may_upload(ngx_http_request_t *r, ngx_str_t *account_id)
{
    ngx_str_t                   *id, *passcode;
    ngx_uint_t                   i, found, same;
    ngx_http_ctseg_account_t    *account;
    ngx_http_ctseg_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_ctseg_module);

    ngx_str_null(account_id);

    if (mcf->accounts == NULL) {
        return 1;
    }

    id = ngx_http_ctseg_header_in(r, "x-clevertap-account-id",
                                  sizeof("x-clevertap-account-id") - 1);
    passcode = ngx_http_ctseg_header_in(r, "x-clevertap-passcode",
                                        sizeof("x-clevertap-passcode") - 1);

    if (id == NULL || passcode == NULL) {
        return 0;
    }

    account = mcf->accounts->elts;
    found = 0;

    for (i = 0; i < mcf->accounts->nelts; i++) {
        same = (ngx_http_ctseg_differs(id, &account[i].id)
                | ngx_http_ctseg_differs(passcode, &account[i].passcode))
               == 0;

        if (same) {
            *account_id = account[i].id;
        }

        found |= same;
    }

    return found;
}
