/*
 * A store that holds what a target puts into it: a few records and one block
 * of the log, in memory.  Behind the same table as a driver, so that the
 * typed records and the reader of the log run as they do over LMDB, a
 * hundred thousand times a second.
 */

#ifndef FUZZ_STORE_H
#define FUZZ_STORE_H


#include "store/ctseg_state.h"
#include "store/ctseg_store_int.h"
#include "fuzz.h"


#define FUZZ_STORE_N  8


typedef struct {
    ctseg_store_t   head;
    char            key[FUZZ_STORE_N][CTSEG_KEY_MAX + 1];   /* "": free */
    ctseg_buf_t     value[FUZZ_STORE_N];
    uint64_t        rev[FUZZ_STORE_N];
    uint64_t        revision;
    ctseg_block_t  *block;              /* NULL: the log is empty */
} fuzz_store_t;


static inline int
fuzz_store_find(const fuzz_store_t *fs, ctseg_str_t key)
{
    int  i;

    for (i = 0; i < FUZZ_STORE_N; i++) {
        if (fs->key[i][0] != '\0' && ctseg_str_is(key, fs->key[i])) {
            return i;
        }
    }

    return -1;
}


static inline ctseg_rc_t
fuzz_store_get(ctseg_store_t *s, ctseg_str_t key, int64_t deadline,
    ctseg_buf_t *out, uint64_t *rev)
{
    int            i;
    fuzz_store_t  *fs = (fuzz_store_t *) s;

    (void) deadline;

    i = fuzz_store_find(fs, key);

    if (i == -1) {
        return CTSEG_NOTFOUND;
    }

    ctseg_buf_str(out, ctseg_buf_slice(&fs->value[i]));
    *rev = fs->rev[i];

    return CTSEG_OK;
}


static inline ctseg_rc_t
fuzz_store_put(ctseg_store_t *s, ctseg_str_t key, ctseg_str_t value,
    uint64_t expect, int64_t deadline, uint64_t *rev)
{
    int            i;
    fuzz_store_t  *fs = (fuzz_store_t *) s;

    (void) deadline;

    i = fuzz_store_find(fs, key);

    if (expect != (i == -1 ? 0 : fs->rev[i])) {
        return CTSEG_CONFLICT;
    }

    if (value.data == NULL) {
        if (i != -1) {
            fs->key[i][0] = '\0';
        }

        return CTSEG_OK;
    }

    if (i == -1) {
        for (i = 0; i < FUZZ_STORE_N && fs->key[i][0] != '\0'; i++) {
            /* void */
        }

        fuzz_check(i < FUZZ_STORE_N);
        memcpy(fs->key[i], key.data, key.len);
        fs->key[i][key.len] = '\0';
    }

    ctseg_buf_reset(&fs->value[i]);
    ctseg_buf_str(&fs->value[i], value);
    fs->rev[i] = ++fs->revision;
    *rev = fs->rev[i];

    return CTSEG_OK;
}


/* in the order of their keys, of which there are few */

static inline ctseg_rc_t
fuzz_store_list(ctseg_store_t *s, ctseg_str_t prefix, ctseg_str_t after,
    unsigned limit, ctseg_list_pt cb, void *data, int64_t deadline,
    uint64_t *at_rev)
{
    int            i, best;
    char           last[CTSEG_KEY_MAX + 1];
    unsigned       n;
    fuzz_store_t  *fs = (fuzz_store_t *) s;

    (void) deadline;

    (void) snprintf(last, sizeof(last), "%.*s", (int) after.len, after.data);
    *at_rev = fs->revision;

    for (n = 0; limit == 0 || n < limit; n++) {
        best = -1;

        for (i = 0; i < FUZZ_STORE_N; i++) {
            if (strcmp(fs->key[i], last) > 0
                && strncmp(fs->key[i], prefix.data, prefix.len) == 0
                && (best == -1 || strcmp(fs->key[i], fs->key[best]) < 0))
            {
                best = i;
            }
        }

        if (best == -1) {
            break;
        }

        (void) snprintf(last, sizeof(last), "%s", fs->key[best]);

        if (cb(data, ctseg_str(fs->key[best]),
               ctseg_buf_slice(&fs->value[best]), fs->rev[best])
            != CTSEG_GO_ON)
        {
            break;
        }
    }

    return CTSEG_OK;
}


static inline ctseg_rc_t
fuzz_store_scan(ctseg_store_t *s, uint32_t shard, const ctseg_pos_t *after,
    const ctseg_want_t *want, ctseg_scan_pt cb, void *data, int64_t deadline,
    ctseg_pos_t *next)
{
    fuzz_store_t  *fs = (fuzz_store_t *) s;

    (void) shard;
    (void) want;
    (void) deadline;

    *next = *after;

    if (fs->block == NULL || ctseg_block_last(fs->block) <= after->sequence) {
        return CTSEG_AGAIN;
    }

    if (cb(data, fs->block) != CTSEG_UNTAKEN) {
        next->sequence = ctseg_block_last(fs->block);
    }

    return CTSEG_OK;
}


static inline const char *
fuzz_store_installation(const ctseg_store_t *s)
{
    (void) s;

    return "0123456789abcdef";
}


static const ctseg_store_driver_t  fuzz_store_driver = {
    .get = fuzz_store_get,
    .put = fuzz_store_put,
    .list = fuzz_store_list,
    .scan = fuzz_store_scan,
    .installation = fuzz_store_installation
};


static inline ctseg_store_t *
fuzz_store_make(fuzz_store_t *fs)
{
    memset(fs, 0, sizeof(fuzz_store_t));
    fs->head.driver = &fuzz_store_driver;

    return &fs->head;
}


static inline void
fuzz_store_free(fuzz_store_t *fs)
{
    int  i;

    for (i = 0; i < FUZZ_STORE_N; i++) {
        ctseg_buf_free(&fs->value[i]);
    }
}


/* the record as it lies there now */

static inline ctseg_str_t
fuzz_store_bytes(const fuzz_store_t *fs, const char *key)
{
    int  i;

    i = fuzz_store_find(fs, ctseg_str(key));
    fuzz_check(i != -1);

    return ctseg_buf_slice(&fs->value[i]);
}


#endif /* FUZZ_STORE_H */
