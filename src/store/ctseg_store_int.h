/*
 * What a driver of the store fills in.  Private to src/store: callers see
 * ctseg_store.h.  ctseg_store.c has checked keys, values, blocks and limits
 * before a driver is called; results that may be NULL are not NULL here.
 */

#ifndef CTSEG_STORE_INT_H
#define CTSEG_STORE_INT_H


#include "ctseg_store.h"


typedef struct {
    void (*close)(ctseg_store_t *s);

    ctseg_rc_t (*append)(ctseg_store_t *s, uint32_t shard,
        const char producer[CTSEG_PRODUCER_LEN], uint64_t seq,
        ctseg_block_t *b, unsigned nblocks, ctseg_marks_t *marks,
        int64_t deadline, ctseg_pos_t *last, bool *dup);
    ctseg_rc_t (*marked)(ctseg_store_t *s, const char *keys, unsigned n,
        int64_t deadline, bool *known);
    ctseg_rc_t (*scan)(ctseg_store_t *s, uint32_t shard,
        const ctseg_pos_t *after, const ctseg_want_t *want,
        ctseg_scan_pt cb, void *data, int64_t deadline, ctseg_pos_t *next);
    ctseg_rc_t (*seek)(ctseg_store_t *s, uint32_t shard, int64_t ms,
        int64_t deadline, ctseg_pos_t *pos);
    ctseg_rc_t (*bounds)(ctseg_store_t *s, uint32_t shard, int64_t deadline,
        ctseg_bounds_t *bounds);
    ctseg_rc_t (*trim)(ctseg_store_t *s, uint32_t shard, int64_t ms,
        uint64_t keep_from, unsigned max_blocks, int64_t deadline,
        uint64_t *removed);
    ctseg_rc_t (*sweep)(ctseg_store_t *s);

    ctseg_rc_t (*get)(ctseg_store_t *s, ctseg_str_t key, int64_t deadline,
        ctseg_buf_t *out, uint64_t *rev);
    ctseg_rc_t (*put)(ctseg_store_t *s, ctseg_str_t key, ctseg_str_t value,
        uint64_t expect, int64_t deadline, uint64_t *rev);
    ctseg_rc_t (*room)(ctseg_store_t *s, unsigned percent, int64_t deadline);
    ctseg_rc_t (*list)(ctseg_store_t *s, ctseg_str_t prefix,
        ctseg_str_t after_key, unsigned limit, ctseg_list_pt cb, void *data,
        int64_t deadline, uint64_t *at_rev);
    ctseg_rc_t (*wait)(ctseg_store_t *s, uint64_t since, int64_t deadline,
        uint64_t *rev);

    ctseg_rc_t (*usage)(ctseg_store_t *s, ctseg_usage_t *usage);
    const char *(*installation)(const ctseg_store_t *s);
} ctseg_store_driver_t;


/* the head of every driver's own struct */

struct ctseg_store_s {
    const ctseg_store_driver_t  *driver;
};


/* the driver of a single machine */

ctseg_rc_t ctseg_lmdb_open(ctseg_store_t **s,
    const ctseg_store_options_t *options, ctseg_err_t *err);


#endif /* CTSEG_STORE_INT_H */
