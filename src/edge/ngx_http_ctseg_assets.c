/*
 * The files of src/dashboard/ become part of the module here: the list of
 * them is made by "config", the assembler takes in their bytes.  Each is
 * packed when the configuration is read, so that a request costs nothing but
 * its answer.
 */

#include "../base/ctseg_gzip.h"
#include "../base/ctseg_hash.h"
#include "../base/ctseg_str.h"
#include "ngx_http_ctseg_assets.h"


/* ngx_http_ctseg_assets.def has lines CTSEG_ASSET(1, "name", "path") */

#define CTSEG_ASSET(n, name, path)                                            \
    __asm__(".pushsection .rodata\n"                                          \
            ".globl ctseg_asset_" #n "\n"                                     \
            ".hidden ctseg_asset_" #n "\n"                                    \
            "ctseg_asset_" #n ":\n"                                           \
            ".incbin \"" path "\"\n"                                          \
            ".globl ctseg_asset_end_" #n "\n"                                 \
            ".hidden ctseg_asset_end_" #n "\n"                                \
            "ctseg_asset_end_" #n ":\n"                                       \
            ".byte 0\n"                                                       \
            ".popsection\n");                                                 \
    extern u_char  ctseg_asset_##n[]                                          \
        __attribute__((visibility("hidden")));                                \
    extern u_char  ctseg_asset_end_##n[]                                      \
        __attribute__((visibility("hidden")));

#include <ngx_http_ctseg_assets.def>

#undef CTSEG_ASSET


typedef struct {
    ngx_str_t   name;
    u_char     *data;
    u_char     *end;
} ngx_http_ctseg_embedded_t;


#define CTSEG_ASSET(n, name, path)                                            \
    { ngx_string(name), ctseg_asset_##n, ctseg_asset_end_##n },

static ngx_http_ctseg_embedded_t  ngx_http_ctseg_embedded[] = {

#include <ngx_http_ctseg_assets.def>

    { ngx_null_string, NULL, NULL }
};


static struct {
    ngx_str_t   suffix;
    ngx_str_t   type;
} ngx_http_ctseg_asset_types[] = {
    { ngx_string(".html"), ngx_string("text/html; charset=utf-8") },
    { ngx_string(".css"), ngx_string("text/css; charset=utf-8") },
    { ngx_string(".js"), ngx_string("text/javascript; charset=utf-8") },
    { ngx_string(".svg"), ngx_string("image/svg+xml") },
    { ngx_null_string, ngx_null_string }
};


static ngx_int_t ngx_http_ctseg_asset_pack(ngx_conf_t *cf,
    ngx_http_ctseg_asset_t *asset, ctseg_hash_t *hash);
static ngx_int_t ngx_http_ctseg_asset_hash(ngx_conf_t *cf,
    ctseg_hash_t *hash, ctseg_str_t *parts, ngx_uint_t n, ngx_str_t *out);


ngx_http_ctseg_assets_t *
ngx_http_ctseg_assets_create(ngx_conf_t *cf)
{
    ngx_uint_t                  i, n;
    ctseg_str_t                *parts;
    ctseg_hash_t                hash;
    ngx_http_ctseg_asset_t     *asset;
    ngx_http_ctseg_assets_t    *assets;
    ngx_http_ctseg_embedded_t  *e;

    assets = ngx_pcalloc(cf->pool, sizeof(ngx_http_ctseg_assets_t));
    if (assets == NULL) {
        return NULL;
    }

    n = sizeof(ngx_http_ctseg_embedded) / sizeof(ngx_http_ctseg_embedded[0]);

    assets->files = ngx_pcalloc(cf->pool,
                                n * sizeof(ngx_http_ctseg_asset_t));
    if (assets->files == NULL) {
        return NULL;
    }

    parts = ngx_pcalloc(cf->temp_pool, n * sizeof(ctseg_str_t));
    if (parts == NULL) {
        return NULL;
    }

    ngx_memzero(&hash, sizeof(ctseg_hash_t));

    for (i = 0; ngx_http_ctseg_embedded[i].data != NULL; i++) {
        e = &ngx_http_ctseg_embedded[i];

        parts[i].data = (const char *) e->data;
        parts[i].len = e->end - e->data;

        if (e->name.len == sizeof("index.html") - 1
            && ngx_strncmp(e->name.data, "index.html", e->name.len) == 0)
        {
            continue;
        }

        asset = &assets->files[assets->nfiles++];
        asset->name = e->name;
        asset->plain.data = e->data;
        asset->plain.len = e->end - e->data;

        if (ngx_http_ctseg_asset_pack(cf, asset, &hash) != NGX_OK) {
            ctseg_hash_free(&hash);
            return NULL;
        }
    }

    if (ngx_http_ctseg_asset_hash(cf, &hash, parts, i, &assets->build)
        != NGX_OK)
    {
        assets = NULL;
    }

    ctseg_hash_free(&hash);

    return assets;
}


ngx_http_ctseg_asset_t *
ngx_http_ctseg_assets_index(ngx_conf_t *cf, ngx_http_ctseg_assets_t *assets,
    ngx_str_t *api)
{
    size_t                      left, room;
    u_char                     *p, *last, *to;
    ngx_str_t                   value;
    ngx_int_t                   rc;
    ctseg_hash_t                hash;
    ngx_http_ctseg_asset_t     *asset;
    ngx_http_ctseg_embedded_t  *e;

    for (e = ngx_http_ctseg_embedded; e->data != NULL; e++) {
        if (ngx_strcmp(e->name.data, "index.html") == 0) {
            break;
        }
    }

    asset = ngx_pcalloc(cf->pool, sizeof(ngx_http_ctseg_asset_t));
    if (asset == NULL) {
        return NULL;
    }

    /* each value may take the place of every byte */

    room = (e->end - e->data)
           + (e->end - e->data) / (sizeof(NGX_HTTP_CTSEG_ASSET_API) - 1)
             * ngx_max(api->len, assets->build.len);

    to = ngx_pnalloc(cf->pool, room + 1);
    if (to == NULL) {
        return NULL;
    }

    ngx_str_set(&asset->name, "index.html");
    asset->plain.data = to;

    for (p = e->data, last = e->end; p < last; /* void */) {
        left = last - p;

#define is(text)                                                              \
    (left >= sizeof(text) - 1 && ngx_strncmp(p, text, sizeof(text) - 1) == 0)

        if (*p != '@') {
            *to++ = *p++;
            continue;
        }

        if (is(NGX_HTTP_CTSEG_ASSET_API)) {
            value = *api;
            p += sizeof(NGX_HTTP_CTSEG_ASSET_API) - 1;

        } else if (is(NGX_HTTP_CTSEG_ASSET_BUILD)) {
            value = assets->build;
            p += sizeof(NGX_HTTP_CTSEG_ASSET_BUILD) - 1;

        } else {
            *to++ = *p++;
            continue;
        }

#undef is

        to = ngx_cpymem(to, value.data, value.len);
    }

    asset->plain.len = to - asset->plain.data;

    ngx_memzero(&hash, sizeof(ctseg_hash_t));
    rc = ngx_http_ctseg_asset_pack(cf, asset, &hash);
    ctseg_hash_free(&hash);

    return rc == NGX_OK ? asset : NULL;
}


/* type, packed form and names of a file whose name and text are known */

static ngx_int_t
ngx_http_ctseg_asset_pack(ngx_conf_t *cf, ngx_http_ctseg_asset_t *asset,
    ctseg_hash_t *hash)
{
    u_char       *p;
    ngx_str_t     id, suffix;
    ngx_uint_t    i;
    ctseg_rc_t    rc;
    ctseg_buf_t   out;
    ctseg_str_t   text;

    ngx_str_set(&asset->type, "application/octet-stream");

    for (i = 0; ngx_http_ctseg_asset_types[i].suffix.len != 0; i++) {
        suffix = ngx_http_ctseg_asset_types[i].suffix;

        if (asset->name.len > suffix.len
            && ngx_strncmp(asset->name.data + asset->name.len - suffix.len,
                           suffix.data, suffix.len) == 0)
        {
            asset->type = ngx_http_ctseg_asset_types[i].type;
        }
    }

    text.data = (const char *) asset->plain.data;
    text.len = asset->plain.len;

    if (ngx_http_ctseg_asset_hash(cf, hash, &text, 1, &id) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(cf->pool, 2 * id.len + sizeof("\"\"\"-gzip\"") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    asset->etag.data = p;
    p = ngx_sprintf(p, "\"%V\"", &id);
    asset->etag.len = p - asset->etag.data;

    asset->gzip_etag.data = p;
    p = ngx_sprintf(p, "\"%V-gzip\"", &id);
    asset->gzip_etag.len = p - asset->gzip_etag.data;

    ngx_memzero(&out, sizeof(ctseg_buf_t));

    rc = ctseg_gzip_deflate(text, &out);

    if (rc == CTSEG_OK) {
        asset->gzip.len = out.len;
        asset->gzip.data = ngx_pnalloc(cf->pool, out.len);

        if (asset->gzip.data == NULL) {
            rc = CTSEG_NOMEM;

        } else {
            ngx_memcpy(asset->gzip.data, out.data, out.len);
        }
    }

    ctseg_buf_free(&out);

    if (rc != CTSEG_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the dashboard's \"%V\" cannot be packed: %s",
                           &asset->name, ctseg_rc_name(rc));
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* 16 hex digits */

static ngx_int_t
ngx_http_ctseg_asset_hash(ngx_conf_t *cf, ctseg_hash_t *hash,
    ctseg_str_t *parts, ngx_uint_t n, ngx_str_t *out)
{
    char  digest[CTSEG_HASH_LEN];

    out->len = CTSEG_HASH_LEN;
    out->data = ngx_pnalloc(cf->pool, out->len);

    if (out->data == NULL
        || !ctseg_hash(hash, parts, (unsigned) n, digest))
    {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(out->data, (u_char *) digest, CTSEG_HASH_LEN / 2);

    return NGX_OK;
}
