/*
 * The files of the dashboard, inside the module: their text from the time it
 * was built, and packed once for each configuration.
 */

#ifndef NGX_HTTP_CTSEG_ASSETS_H
#define NGX_HTTP_CTSEG_ASSETS_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* index.html is a template: these stand for the URI of the API and for the
   name of the build, see below */

#define NGX_HTTP_CTSEG_ASSET_API    "@API@"
#define NGX_HTTP_CTSEG_ASSET_BUILD  "@BUILD@"


typedef struct {
    ngx_str_t   name;           /* "main.js" */
    ngx_str_t   type;
    ngx_str_t   plain;
    ngx_str_t   gzip;
    ngx_str_t   etag;           /* of the plain one, quoted */
    ngx_str_t   gzip_etag;
} ngx_http_ctseg_asset_t;


typedef struct {
    ngx_str_t                build;     /* a hash of all files */
    ngx_http_ctseg_asset_t  *files;     /* but for index.html */
    ngx_uint_t               nfiles;
} ngx_http_ctseg_assets_t;


/* all of them, out of the pool; NULL: an error, which is logged */

ngx_http_ctseg_assets_t *ngx_http_ctseg_assets_create(ngx_conf_t *cf);

/* index.html for an API; NULL as above */

ngx_http_ctseg_asset_t *ngx_http_ctseg_assets_index(ngx_conf_t *cf,
    ngx_http_ctseg_assets_t *assets, ngx_str_t *api);


#endif /* NGX_HTTP_CTSEG_ASSETS_H */
