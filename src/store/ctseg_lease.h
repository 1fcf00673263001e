/*
 * Leases: who works on what.  A lease is a record whose owner renews it by a
 * put before its time is over; it gives liveness only.  Safety is the
 * compare-and-set on the record: an owner that wakes up late fails its next
 * put.  No clocks of two machines are compared: an observer presumes the
 * owner dead when its own monotonic clock saw the same revision for the
 * whole time to live, or at once when the owner was a process of this
 * machine that is gone.
 */

#ifndef CTSEG_LEASE_H
#define CTSEG_LEASE_H


#include "ctseg_store.h"


#define CTSEG_LEASE_TTL_MS    30000
#define CTSEG_LEASE_RENEW_MS  10000
#define CTSEG_STALL_MS        60000     /* so long nobody may do nothing */
#define CTSEG_OWNER_MAX       96


/*
 * Name of this process as an owner, with NUL: boot id and pid namespace of
 * the machine, pid, start time of the process, so that another process on
 * the same machine can tell whether it still lives.
 */

void ctseg_owner_self(char out[CTSEG_OWNER_MAX]);

/* certainly gone: it was on this machine and does not run any more */

bool ctseg_owner_is_gone(const char *owner);


/* an observer's memory: what it saw, since when.  One owner, no locking. */

typedef struct ctseg_lease_watch_s  ctseg_lease_watch_t;

ctseg_lease_watch_t *ctseg_lease_watch_create(void);
void ctseg_lease_watch_destroy(ctseg_lease_watch_t *w);

/*
 * May the lease on key, seen now with this owner and revision, be taken?
 * True when owner is empty, certainly gone, or the revision did not change
 * for ttl_ms since it was first seen.  Remembers what it saw; forgets keys
 * not seen for 10 ttl.
 */

bool ctseg_lease_may_take(ctseg_lease_watch_t *w, const char *key,
    const char *owner, uint64_t rev, int64_t mono_ms, int64_t ttl_ms);


/*
 * A lease as a record of its own, for work that has no record: acquire when
 * it is free, renew by its revision, release.  CONFLICT: somebody has it.
 */

ctseg_rc_t ctseg_lease_acquire(ctseg_store_t *s, ctseg_lease_watch_t *w,
    const char *key, const char *owner, int64_t mono_ms, int64_t ttl_ms,
    uint64_t *rev);
ctseg_rc_t ctseg_lease_renew(ctseg_store_t *s, const char *key,
    const char *owner, uint64_t *rev);
ctseg_rc_t ctseg_lease_release(ctseg_store_t *s, const char *key,
    uint64_t rev);


#endif /* CTSEG_LEASE_H */
