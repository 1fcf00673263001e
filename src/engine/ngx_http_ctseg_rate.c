/*
 * A small table of buckets.  Each worker has its own: runs of one write key
 * on several workers do not know of each other.
 */

#include "ngx_http_ctseg_rate.h"


#define NGX_HTTP_CTSEG_RATES  128


typedef struct {
    char           fingerprint[17];
    ctseg_rate_t   rate;
} ngx_http_ctseg_rate_slot_t;


static ngx_http_ctseg_rate_slot_t
    ngx_http_ctseg_rates[NGX_HTTP_CTSEG_RATES];


void
ngx_http_ctseg_rate_init(void)
{
    ngx_memzero(ngx_http_ctseg_rates, sizeof(ngx_http_ctseg_rates));
}


/*
 * The slot of a write key, or else the one that was idle longest.  There are
 * twice as many slots as there can be runs, so one in use is not given away.
 */

ctseg_rate_t *
ngx_http_ctseg_rate(const char *fingerprint)
{
    ngx_uint_t                   i, oldest;
    ngx_http_ctseg_rate_slot_t  *slot;

    oldest = 0;

    for (i = 0; i < NGX_HTTP_CTSEG_RATES; i++) {
        slot = &ngx_http_ctseg_rates[i];

        if (ngx_strcmp(slot->fingerprint, fingerprint) == 0) {
            return &slot->rate;
        }

        if (slot->rate.at_ms < ngx_http_ctseg_rates[oldest].rate.at_ms) {
            oldest = i;
        }
    }

    slot = &ngx_http_ctseg_rates[oldest];

    ngx_memzero(slot, sizeof(ngx_http_ctseg_rate_slot_t));
    ngx_memcpy(slot->fingerprint, fingerprint, sizeof(slot->fingerprint));

    return &slot->rate;
}
