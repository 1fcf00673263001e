/*
 * The dashboard location.  Below its prefix lie index.html, as the prefix
 * itself, and the other files under the name of their build:
 *
 *     /ctseg/                      asked for again each time
 *     /ctseg/3f1c.../main.js       kept for ever
 *
 * so a browser never mixes files of two builds.  All addresses in the page
 * are relative: it does not know its prefix, and need not.
 */

#include "../conf/ngx_http_ctseg_conf.h"
#include "ngx_http_ctseg_assets.h"
#include "ngx_http_ctseg_dashboard.h"
#include "ngx_http_ctseg_reply.h"


#define NGX_HTTP_CTSEG_API_URI_LEN  1024


struct ngx_http_ctseg_dashboard_s {
    ngx_http_ctseg_assets_t  *assets;
    ngx_http_ctseg_asset_t   *index;
};


static ngx_int_t ngx_http_ctseg_dashboard_handler(ngx_http_request_t *r);
static ngx_http_ctseg_asset_t *ngx_http_ctseg_dashboard_find(
    ngx_http_ctseg_dashboard_t *dashboard, ngx_str_t *path);
static ngx_int_t ngx_http_ctseg_dashboard_refuse(ngx_http_request_t *r);
static ngx_int_t ngx_http_ctseg_dashboard_slash(ngx_http_request_t *r,
    ngx_http_core_loc_conf_t *clcf);
static ngx_int_t ngx_http_ctseg_dashboard_send(ngx_http_request_t *r,
    ngx_http_ctseg_asset_t *asset, ngx_uint_t index);
static ngx_uint_t ngx_http_ctseg_accepts_gzip(ngx_http_request_t *r);


static ngx_http_ctseg_header_t  ngx_http_ctseg_dashboard_headers[] = {

    { ngx_string("Vary"),
      ngx_string("Accept-Encoding") },

    /* nothing from elsewhere, nothing inline, no text that becomes markup */

    { ngx_string("Content-Security-Policy"),
      ngx_string("default-src 'none'; script-src 'self'; style-src 'self'; "
                 "connect-src 'self'; img-src 'self'; base-uri 'none'; "
                 "form-action 'none'; frame-ancestors 'none'; "
                 "require-trusted-types-for 'script'; "
                 "trusted-types 'none'") },

    { ngx_string("X-Content-Type-Options"),
      ngx_string("nosniff") },

    { ngx_string("Referrer-Policy"),
      ngx_string("same-origin") },

    { ngx_string("Cross-Origin-Opener-Policy"),
      ngx_string("same-origin") },

    { ngx_string("Cross-Origin-Resource-Policy"),
      ngx_string("same-origin") },

    { ngx_null_string, ngx_null_string }
};


static ngx_str_t  ngx_http_ctseg_dashboard_text =
    ngx_string("text/plain");


/* a path on this server: it stands in an attribute of the page, as it is */

static ngx_uint_t
ngx_http_ctseg_is_api_uri(ngx_str_t *uri)
{
    u_char      ch;
    ngx_uint_t  i;

    if (uri->len == 0 || uri->len > NGX_HTTP_CTSEG_API_URI_LEN
        || uri->data[uri->len - 1] != '/'
        || (uri->len > 1 && uri->data[0] == '/' && uri->data[1] == '/'))
    {
        return 0;
    }

    for (i = 0; i < uri->len; i++) {
        ch = uri->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9')
              || ngx_strchr("/-._~%", ch) != NULL))
        {
            return 0;
        }
    }

    return 1;
}


char *
ngx_http_ctseg_dashboard(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_ctseg_loc_conf_t  *lcf = conf;

    ngx_str_t                    *value, api;
    ngx_http_core_loc_conf_t     *clcf;
    ngx_http_ctseg_main_conf_t   *mcf;
    ngx_http_ctseg_dashboard_t   *dashboard;

    if (lcf->dashboard != NULL) {
        return "is duplicate";
    }

    if (lcf->handler != NULL) {
        return lcf->collect == 1
               ? "cannot share a location with \"ctseg_collect\""
               : lcf->api == 1
               ? "cannot share a location with \"ctseg_api\""
               : "cannot share a location with \"ctseg_metrics\"";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

#if (NGX_PCRE)
    if (clcf->regex != NULL) {
        return "cannot be used in a location given by regular expression";
    }
#endif

    if (clcf->named || clcf->noname || clcf->exact_match) {
        return "needs a location with a prefix";
    }

    ngx_str_set(&api, "api/");

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strncmp(value[1].data, "api=", 4) != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", \"api=URI\" is "
                               "expected", &value[1]);
            return NGX_CONF_ERROR;
        }

        api.data = value[1].data + 4;
        api.len = value[1].len - 4;

        if (!ngx_http_ctseg_is_api_uri(&api)) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid \"%V\", the path of an API on the "
                               "same server is expected, with a slash at "
                               "its end", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    dashboard = ngx_palloc(cf->pool, sizeof(ngx_http_ctseg_dashboard_t));
    if (dashboard == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ctseg_module);

    if (mcf->assets == NULL) {
        mcf->assets = ngx_http_ctseg_assets_create(cf);
        if (mcf->assets == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    dashboard->assets = mcf->assets;
    dashboard->index = ngx_http_ctseg_assets_index(cf, mcf->assets, &api);
    if (dashboard->index == NULL) {
        return NGX_CONF_ERROR;
    }

    lcf->dashboard = dashboard;
    lcf->handler = ngx_http_ctseg_dashboard_handler;
    clcf->handler = ngx_http_ctseg_dashboard_handler;

    /* "/ctseg" is sent to "/ctseg/", as nginx does it for proxies */

    if (clcf->name.len > 1 && clcf->name.data[clcf->name.len - 1] == '/') {
        clcf->auto_redirect = 1;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_ctseg_dashboard_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_str_t                    path;
    ngx_http_ctseg_asset_t      *asset;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_ctseg_loc_conf_t   *lcf;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_ctseg_dashboard_refuse(r);
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_ctseg_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->uri.len < clcf->name.len) {  /* rewritten without a new location */
        return NGX_HTTP_NOT_FOUND;
    }

    path.data = r->uri.data + clcf->name.len;
    path.len = r->uri.len - clcf->name.len;

    if (clcf->name.len == 0 || clcf->name.data[clcf->name.len - 1] != '/') {

        if (path.len == 0) {
            return ngx_http_ctseg_dashboard_slash(r, clcf);
        }

        if (path.data[0] != '/') {
            return NGX_HTTP_NOT_FOUND;
        }

        path.data++;
        path.len--;
    }

    asset = ngx_http_ctseg_dashboard_find(lcf->dashboard, &path);

    return asset != NULL
           ? ngx_http_ctseg_dashboard_send(r, asset, path.len == 0)
           : NGX_HTTP_NOT_FOUND;
}


static ngx_http_ctseg_asset_t *
ngx_http_ctseg_dashboard_find(ngx_http_ctseg_dashboard_t *dashboard,
    ngx_str_t *path)
{
    ngx_str_t                name, *build;
    ngx_uint_t               i;
    ngx_http_ctseg_asset_t  *asset;

    if (path->len == 0) {
        return dashboard->index;
    }

    build = &dashboard->assets->build;

    if (path->len <= build->len + 1 || path->data[build->len] != '/'
        || ngx_strncmp(path->data, build->data, build->len) != 0)
    {
        return NULL;
    }

    name.data = path->data + build->len + 1;
    name.len = path->len - build->len - 1;

    for (i = 0; i < dashboard->assets->nfiles; i++) {
        asset = &dashboard->assets->files[i];

        if (asset->name.len == name.len
            && ngx_strncmp(asset->name.data, name.data, name.len) == 0)
        {
            return asset;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_ctseg_dashboard_refuse(ngx_http_request_t *r)
{
    ctseg_str_t              text;
    ngx_http_ctseg_header_t  allow;

    ngx_str_set(&allow.name, "Allow");
    ngx_str_set(&allow.value, "GET, HEAD");

    text.data = "the dashboard is read with GET and HEAD\n";
    text.len = ngx_strlen(text.data);

    return ngx_http_ctseg_reply(r, NGX_HTTP_NOT_ALLOWED,
                                &ngx_http_ctseg_dashboard_text, text, &allow,
                                1);
}


/* from "/ctseg" to "ctseg/", whatever a proxy has put before it */

static ngx_int_t
ngx_http_ctseg_dashboard_slash(ngx_http_request_t *r,
    ngx_http_core_loc_conf_t *clcf)
{
    u_char           *p, *name, *last;
    ngx_table_elt_t  *location;

    last = clcf->name.data + clcf->name.len;
    name = last;

    while (name > clcf->name.data && name[-1] != '/') {
        name--;
    }

    location = ngx_list_push(&r->headers_out.headers);
    if (location == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_pnalloc(r->pool, 3 * (last - name) + sizeof("./?") - 1
                             + r->args.len);
    if (p == NULL) {
        location->hash = 0;
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    location->hash = 1;
    ngx_str_set(&location->key, "Location");
    location->value.data = p;

    p = ngx_cpymem(p, "./", name == last ? 2 : 0);
    p = (u_char *) ngx_escape_uri(p, name, last - name,
                                  NGX_ESCAPE_URI_COMPONENT);
    *p++ = '/';

    if (r->args.len != 0) {
        *p++ = '?';
        p = ngx_cpymem(p, r->args.data, r->args.len);
    }

    location->value.len = p - location->value.data;

    r->headers_out.location = location;

    return NGX_HTTP_MOVED_PERMANENTLY;
}


static ngx_int_t
ngx_http_ctseg_dashboard_send(ngx_http_request_t *r,
    ngx_http_ctseg_asset_t *asset, ngx_uint_t index)
{
    ngx_buf_t                *b;
    ngx_int_t                 rc;
    ngx_str_t                *body;
    ngx_uint_t                gzip;
    ngx_chain_t               out;
    ngx_table_elt_t          *h;
    ngx_http_ctseg_header_t  *header;

    gzip = ngx_http_ctseg_accepts_gzip(r);
    body = gzip ? &asset->gzip : &asset->plain;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = body->len;
    r->headers_out.content_type = asset->type;
    r->headers_out.content_type_len = asset->type.len;
    r->headers_out.content_type_lowcase = NULL;

    for (header = ngx_http_ctseg_dashboard_headers; header->name.len != 0;
         header++)
    {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        h->hash = 1;
        h->key = header->name;
        h->value = header->value;
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "Cache-Control");

    if (index) {
        ngx_str_set(&h->value, "private, no-cache");

    } else {
        ngx_str_set(&h->value, "private, max-age=31536000, immutable");
    }

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->value = gzip ? asset->gzip_etag : asset->etag;
    r->headers_out.etag = h;

    if (gzip) {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        h->hash = 1;
        ngx_str_set(&h->key, "Content-Encoding");
        ngx_str_set(&h->value, "gzip");
        r->headers_out.content_encoding = h;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = body->data;
    b->last = body->data + body->len;
    b->memory = 1;
    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* RFC 9110, 12.5.3: named, or meant by "*", and not with q=0 */

static ngx_uint_t
ngx_http_ctseg_accepts_gzip(ngx_http_request_t *r)
{
    u_char      *p, *last, *end;
    ngx_str_t   *value;
    ngx_uint_t   zero;

    value = ngx_http_ctseg_header_in(r, "accept-encoding",
                                     sizeof("accept-encoding") - 1);

    if (value == NULL) {
        return 0;
    }

    last = value->data + value->len;

    for (p = value->data; p < last; p = end + 1) {

        end = ngx_strlchr(p, last, ',');

        if (end == NULL) {
            end = last;
        }

        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if (p < end && *p == '*') {
            p++;

        } else if (end - p >= 4 && ngx_strncasecmp(p, (u_char *) "gzip", 4)
                                   == 0)
        {
            p += 4;

        } else {
            continue;
        }

        while (p < end && (*p == ' ' || *p == '\t' || *p == ';')) {
            p++;
        }

        if (p == end) {
            return 1;
        }

        if (end - p < 3 || (*p != 'q' && *p != 'Q') || p[1] != '=') {
            continue;                           /* of another name */
        }

        for (zero = 1, p += 2; p < end; p++) {
            if (*p >= '1' && *p <= '9') {
                zero = 0;
            }
        }

        return !zero;
    }

    return 0;
}
