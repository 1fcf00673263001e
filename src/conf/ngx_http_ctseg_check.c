/*
 * What nginx -t says beyond the grammar: mistakes that would show only when
 * the first event or the first export comes.
 */

#include "ngx_http_ctseg_conf.h"

#include <sys/vfs.h>


#define NGX_HTTP_CTSEG_GROUPS  256


/* f_type of file systems on which a shared map is not coherent (statfs(2)) */

static const struct {
    unsigned long   type;
    const char     *name;
} ngx_http_ctseg_remote[] = {
    { 0x6969, "NFS" },
    { 0xff534d42, "CIFS" },
    { 0xfe534d42, "SMB2" },
    { 0x517b, "SMB" },
    { 0x5346414f, "AFS" },
    { 0x00c36400, "Ceph" }
};


static ngx_http_core_loc_conf_t *ngx_http_ctseg_find_location(
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri);
static ngx_int_t ngx_http_ctseg_check_dir(ngx_cycle_t *cycle,
    ngx_http_ctseg_main_conf_t *mcf, ngx_path_t *path);
static ngx_int_t ngx_http_ctseg_check_reach(ngx_cycle_t *cycle,
    ngx_http_ctseg_main_conf_t *mcf, ngx_str_t *path);


ngx_int_t
ngx_http_ctseg_check_conf(ngx_conf_t *cf)
{
    ngx_uint_t                   i;
    ngx_http_ctseg_region_t     *region;
    ngx_http_core_loc_conf_t    *clcf;
    ngx_http_ctseg_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_ctseg_module);

    if (mcf->path == NULL && mcf->needed_by.len != 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%V\" needs a \"ctseg_store\" in the http block",
                      &mcf->needed_by);
        return NGX_ERROR;
    }

    if (mcf->collects && mcf->accounts == NULL) {
        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"ctseg_collect\" asks nobody for a passcode, since "
                      "there is no \"ctseg_account\"");
    }

    for (i = 0; i < CTSEG_REGION_N; i++) {
        region = &mcf->regions[i];

        if (region->uri.len == 0) {
            continue;
        }

        clcf = region->ctx->loc_conf[ngx_http_core_module.ctx_index];
        clcf = ngx_http_ctseg_find_location(clcf, &region->uri);

        if (clcf == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"ctseg_segment\" names no location: no location "
                          "of this server matches \"%V\" in %s:%ui",
                          &region->uri, region->file, region->line);
            return NGX_ERROR;
        }

        if (!clcf->internal) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "location \"%V\", named by \"ctseg_segment\", must "
                          "be \"internal\" in %s:%ui",
                          &clcf->name, region->file, region->line);
            return NGX_ERROR;
        }

        if (clcf->handler == NULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "location \"%V\", named by \"ctseg_segment\", has "
                          "no handler such as \"proxy_pass\" in %s:%ui",
                          &clcf->name, region->file, region->line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* as ngx_http_core_find_static_location(), for a URI without a request */

static ngx_http_core_loc_conf_t *
ngx_http_ctseg_find_static(ngx_http_location_tree_node_t *node,
    ngx_str_t *uri)
{
    u_char                    *p;
    size_t                     len, n;
    ngx_int_t                  rc;
    ngx_http_core_loc_conf_t  *found;

    found = NULL;
    p = uri->data;
    len = uri->len;

    while (node != NULL) {
        n = ngx_min(len, (size_t) node->len);

        rc = ngx_filename_cmp(p, node->name, n);

        if (rc != 0) {
            node = (rc < 0) ? node->left : node->right;
            continue;
        }

        if (len > (size_t) node->len) {

            if (node->inclusive == NULL) {
                node = node->right;
                continue;
            }

            found = node->inclusive;
            node = node->tree;
            p += n;
            len -= n;
            continue;
        }

        if (len == (size_t) node->len) {
            return node->exact != NULL ? node->exact : node->inclusive;
        }

        node = node->left;
    }

    return found;
}


static ngx_http_core_loc_conf_t *
ngx_http_ctseg_find_location(ngx_http_core_loc_conf_t *clcf, ngx_str_t *uri)
{
    ngx_http_core_loc_conf_t  *found, *nested;

    found = ngx_http_ctseg_find_static(clcf->static_locations, uri);

    if (found != NULL && !found->exact_match) {
        nested = ngx_http_ctseg_find_location(found, uri);

        if (nested != NULL) {
            found = nested;
        }
    }

#if (NGX_PCRE)

    if (clcf->regex_locations != NULL
        && (found == NULL || (!found->exact_match && !found->noregex)))
    {
        ngx_http_core_loc_conf_t  **p;

        for (p = clcf->regex_locations; *p != NULL; p++) {
            if (ngx_regex_exec((*p)->regex->regex, uri, NULL, 0) >= 0) {
                return *p;
            }
        }
    }

#endif

    return found;
}


ngx_int_t
ngx_http_ctseg_check_store(ngx_cycle_t *cycle,
    ngx_http_ctseg_main_conf_t *mcf)
{
    off_t          total;
    ngx_uint_t     i;
    struct statfs  fs;

    /* "user" may stand behind the http block, or be nginx's default */

    mcf->core = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx,
                                                 ngx_core_module);

    if (ngx_http_ctseg_check_dir(cycle, mcf, mcf->events_path) != NGX_OK
        || ngx_http_ctseg_check_dir(cycle, mcf, mcf->state_path) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (statfs((char *) mcf->path->name.data, &fs) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "statfs(\"%V\") failed", &mcf->path->name);
        return NGX_ERROR;
    }

    for (i = 0;
         i < sizeof(ngx_http_ctseg_remote) / sizeof(ngx_http_ctseg_remote[0]);
         i++)
    {
        if ((uint32_t) fs.f_type == (uint32_t) ngx_http_ctseg_remote[i].type) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "ctseg_store \"%V\" lies on a remote file system "
                          "(%s), where the store's shared memory map does "
                          "not hold", &mcf->path->name,
                          ngx_http_ctseg_remote[i].name);
            return NGX_ERROR;
        }
    }

    total = (off_t) fs.f_blocks * (off_t) fs.f_bsize;

    if (mcf->events_size + mcf->state_size > total) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "ctseg_store \"%V\" may grow to %O bytes, but its file "
                      "system has %O in all: the disk is full before the "
                      "store is", &mcf->path->name,
                      mcf->events_size + mcf->state_size, total);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_ctseg_check_dir(ngx_cycle_t *cycle, ngx_http_ctseg_main_conf_t *mcf,
    ngx_path_t *path)
{
    u_char           name[NGX_MAX_PATH];
    ngx_file_info_t  fi;

    if (ngx_file_info(path->name.data, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "ctseg_store directory \"%V\" cannot be read",
                      &path->name);
        return NGX_ERROR;
    }

    if (!ngx_is_dir(&fi)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "ctseg_store path \"%V\" is not a directory",
                      &path->name);
        return NGX_ERROR;
    }

    if (access((char *) path->name.data, R_OK|W_OK|X_OK) == -1) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                      "ctseg_store directory \"%V\" is not writable",
                      &path->name);
        return NGX_ERROR;
    }

    if (geteuid() != 0 || mcf->core->user == 0
        || mcf->core->user == (ngx_uid_t) NGX_CONF_UNSET_UINT)
    {
        return NGX_OK;
    }

    if (ngx_http_ctseg_check_reach(cycle, mcf, &path->name) != NGX_OK) {
        return NGX_ERROR;
    }

    /* left by a run as another user? */

    ngx_snprintf(name, NGX_MAX_PATH, "%V/data.mdb%Z", &path->name);
    name[NGX_MAX_PATH - 1] = '\0';

    if (ngx_file_info(name, &fi) != NGX_FILE_ERROR
        && fi.st_uid != mcf->core->user)
    {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                      "ctseg_store file \"%s\" belongs to user %d, but the "
                      "workers run as user %d", name, (int) fi.st_uid,
                      (int) mcf->core->user);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* does the user of the workers belong to the group? */

static ngx_uint_t
ngx_http_ctseg_check_group(ngx_http_ctseg_main_conf_t *mcf, gid_t gid)
{
    int     i, n;
    gid_t   groups[NGX_HTTP_CTSEG_GROUPS];

    if (gid == mcf->core->group) {
        return 1;
    }

    n = NGX_HTTP_CTSEG_GROUPS;

    if (getgrouplist(mcf->core->username, mcf->core->group, groups, &n) == -1)
    {
        return 1;                       /* too many to tell: let it pass */
    }

    for (i = 0; i < n; i++) {
        if (groups[i] == gid) {
            return 1;
        }
    }

    return 0;
}


/* the master may be root, the workers are not: may they get there? */

static ngx_int_t
ngx_http_ctseg_check_reach(ngx_cycle_t *cycle,
    ngx_http_ctseg_main_conf_t *mcf, ngx_str_t *path)
{
    u_char           *p, name[NGX_MAX_PATH];
    mode_t            need;
    ngx_file_info_t   fi;

    if (path->len >= NGX_MAX_PATH) {
        return NGX_OK;
    }

    ngx_memcpy(name, path->data, path->len + 1);

    for (p = name + 1; *p != '\0'; p++) {

        if (*p != '/') {
            continue;
        }

        *p = '\0';

        if (ngx_file_info(name, &fi) == NGX_FILE_ERROR) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, ngx_errno,
                          "ctseg_store directory \"%s\" cannot be read", name);
            return NGX_ERROR;
        }

        need = fi.st_uid == mcf->core->user ? S_IXUSR
               : ngx_http_ctseg_check_group(mcf, fi.st_gid) ? S_IXGRP
               : S_IXOTH;

        if ((fi.st_mode & need) == 0) {
            ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                          "ctseg_store \"%V\" cannot be reached by the "
                          "workers: user %d may not enter \"%s\"",
                          path, (int) mcf->core->user, name);
            return NGX_ERROR;
        }

        *p = '/';
    }

    return NGX_OK;
}
