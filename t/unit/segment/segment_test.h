/*
 * What the tests of this room share: settings as a run pins them, and an
 * event made of C strings.
 */

#ifndef SEGMENT_TEST_H
#define SEGMENT_TEST_H


#include <string.h>

#include "base/ctseg_str.h"
#include "segment/ctseg_batch.h"


#define TEST_INSTALLATION  "0123456789abcdef"

/* 2026-01-02T03:04:05.678Z */

#define TEST_TIME_MS  1767323045678LL


static inline void
test_pinned(ctseg_pinned_t *pinned)
{
    memset(pinned, 0, sizeof(ctseg_pinned_t));

    pinned->type = CTSEG_TYPE_EVENT;
    pinned->kinds = ctseg_catalog_set(CTSEG_SET_ALL);
    pinned->from_ms = INT64_MIN;
    pinned->to_ms = INT64_MAX;
    pinned->user_id.field = CTSEG_ID_IDENTITY;
    pinned->anonymous_id.field = CTSEG_ID_OBJECT;
    pinned->priority[0] = CTSEG_ID_IDENTITY;
    pinned->priority[1] = CTSEG_ID_EMAIL;
    pinned->npriority = 2;
    memcpy(pinned->fingerprint, "fedcba9876543210", 17);
}


static inline void
test_event(ctseg_event_t *ev, const char *name, const char *identity,
    const char *props)
{
    memset(ev, 0, sizeof(ctseg_event_t));

    ev->kind = ctseg_catalog_find(ctseg_str(name));
    ev->time_ms = TEST_TIME_MS;
    ev->props = ctseg_str(props);

    if (identity != NULL) {
        ev->id[CTSEG_ID_IDENTITY] = ctseg_str(identity);
    }

    if (ev->kind == CTSEG_KIND_CUSTOM) {
        ev->name = ctseg_str(name);
    }
}


#endif /* SEGMENT_TEST_H */
