/*
 * Leases: names of owners, the observer's memory, and a lease as a record of
 * its own.  Called by schedulers and runners, from pool threads; a watch has
 * one owner.  It compares no clocks of two machines, and it never calls an
 * owner gone on a guess: what cannot be read is "not certain", and then the
 * time to live decides.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctseg_lease.h"
#include "ctseg_record.h"
#include "../base/ctseg_str.h"
#include "../base/ctseg_time.h"


#define CTSEG_LEASE_BUCKETS     64
#define CTSEG_LEASE_FORGET      10      /* times the time to live */
#define CTSEG_LEASE_TIMEOUT_MS  5000
#define CTSEG_LEASE_OWNER       1       /* tag */


/* parts of an owner's name; hashes, "-": not known */

typedef struct {
    char           machine[17];
    char           boot[17];
    unsigned long  ns;
    long           pid;
    unsigned long long  start;
} ctseg_owner_t;


typedef struct ctseg_lease_seen_s  ctseg_lease_seen_t;

struct ctseg_lease_seen_s {
    ctseg_lease_seen_t  *next;
    uint64_t             rev;
    int64_t              since;
    int64_t              last;
    char                 key[];
};


struct ctseg_lease_watch_s {
    ctseg_lease_seen_t  *bucket[CTSEG_LEASE_BUCKETS];
    int64_t              swept;
};


/* ---- owners ---- */

/* a small file of /proc or /etc; its length, 0 on any failure */

static size_t
ctseg_owner_read(const char *path, char *out, size_t size)
{
    int      fd;
    ssize_t  n;

    fd = open(path, O_RDONLY|O_CLOEXEC);

    if (fd == -1) {
        return 0;
    }

    n = read(fd, out, size - 1);
    (void) close(fd);

    if (n <= 0) {
        return 0;
    }

    out[n] = '\0';

    return (size_t) n;
}


static void
ctseg_owner_hash(const char *path, char out[17])
{
    char         text[128];
    ctseg_str_t  s;

    s.len = ctseg_owner_read(path, text, sizeof(text));
    s.data = text;

    if (s.len == 0) {
        (void) snprintf(out, 17, "-");
        return;
    }

    (void) snprintf(out, 17, "%016llx",
                    (unsigned long long) ctseg_hash64(s));
}


/*
 * State and start time out of a stat file of /proc.  The name of the command
 * may hold blanks and brackets, so fields are counted from its last bracket.
 */

static bool
ctseg_owner_stat(const char *path, char *state, unsigned long long *start)
{
    char       *p, text[1024];
    unsigned    field;

    if (ctseg_owner_read(path, text, sizeof(text)) == 0) {
        return false;
    }

    p = strrchr(text, ')');

    if (p == NULL || p[1] != ' ') {
        return false;
    }

    p += 2;
    *state = *p;

    /* p is at field 3; the start time is field 22 */

    for (field = 3; field < 22; field++) {
        p = strchr(p, ' ');

        if (p == NULL) {
            return false;
        }

        p++;
    }

    *start = strtoull(p, NULL, 10);

    return true;
}


static unsigned long
ctseg_owner_ns(void)
{
    char     *p, text[64];
    ssize_t   n;

    n = readlink("/proc/self/ns/pid", text, sizeof(text) - 1);

    if (n <= 0) {
        return 0;
    }

    text[n] = '\0';
    p = strchr(text, '[');

    return p == NULL ? 0 : strtoul(p + 1, NULL, 10);
}


static void
ctseg_owner_fill(ctseg_owner_t *o)
{
    char  state;

    memset(o, 0, sizeof(ctseg_owner_t));

    ctseg_owner_hash("/etc/machine-id", o->machine);
    ctseg_owner_hash("/proc/sys/kernel/random/boot_id", o->boot);
    o->ns = ctseg_owner_ns();
    o->pid = (long) getpid();

    if (!ctseg_owner_stat("/proc/self/stat", &state, &o->start)) {
        o->start = 0;
    }
}


void
ctseg_owner_self(char out[CTSEG_OWNER_MAX])
{
    ctseg_owner_t  o;

    ctseg_owner_fill(&o);

    (void) snprintf(out, CTSEG_OWNER_MAX, "%s:%s:%lu:%ld:%llu", o.machine,
                    o.boot, o.ns, o.pid, o.start);
}


static bool
ctseg_owner_parse(const char *owner, ctseg_owner_t *o)
{
    int  end;

    memset(o, 0, sizeof(ctseg_owner_t));
    end = 0;

    if (sscanf(owner, "%16[-0-9a-f]:%16[-0-9a-f]:%lu:%ld:%llu%n",
               o->machine, o->boot, &o->ns, &o->pid, &o->start, &end) != 5)
    {
        return false;
    }

    return owner[end] == '\0' && o->pid > 0;
}


bool
ctseg_owner_is_gone(const char *owner)
{
    bool                same_machine, same_boot;
    char                state, path[64];
    ctseg_owner_t       self, o;
    unsigned long long  start;

    if (!ctseg_owner_parse(owner, &o)) {
        return false;
    }

    ctseg_owner_fill(&self);

    if (strcmp(self.boot, "-") == 0 || strcmp(o.boot, "-") == 0) {
        return false;
    }

    same_machine = strcmp(self.machine, "-") != 0
                   && strcmp(self.machine, o.machine) == 0;
    same_boot = strcmp(self.boot, o.boot) == 0;

    if (!same_boot) {

        /* the machine was started again since: nothing of then lives */

        return same_machine;
    }

    /* a pid means something within its namespace only */

    if (self.ns == 0 || self.ns != o.ns || self.start == 0 || o.start == 0) {
        return false;
    }

    (void) snprintf(path, sizeof(path), "/proc/%ld/stat", o.pid);

    if (ctseg_owner_stat(path, &state, &start)) {
        return start != o.start || state == 'Z' || state == 'X';
    }

    /* /proc may hide processes of others (hidepid); kill(2) does not */

    return kill((pid_t) o.pid, 0) == -1 && errno == ESRCH;
}


/* ---- the observer's memory ---- */

ctseg_lease_watch_t *
ctseg_lease_watch_create(void)
{
    return calloc(1, sizeof(ctseg_lease_watch_t));
}


void
ctseg_lease_watch_destroy(ctseg_lease_watch_t *w)
{
    unsigned             i;
    ctseg_lease_seen_t  *e, *next;

    if (w == NULL) {
        return;
    }

    for (i = 0; i < CTSEG_LEASE_BUCKETS; i++) {
        for (e = w->bucket[i]; e != NULL; e = next) {
            next = e->next;
            free(e);
        }
    }

    free(w);
}


/* once per time to live: drop what was not asked for any more */

static void
ctseg_lease_sweep(ctseg_lease_watch_t *w, int64_t mono_ms, int64_t ttl_ms)
{
    unsigned              i;
    ctseg_lease_seen_t   *e, **p;

    if (mono_ms - w->swept < ttl_ms) {
        return;
    }

    w->swept = mono_ms;

    for (i = 0; i < CTSEG_LEASE_BUCKETS; i++) {
        p = &w->bucket[i];

        while (*p != NULL) {
            e = *p;

            if (mono_ms - e->last > CTSEG_LEASE_FORGET * ttl_ms) {
                *p = e->next;
                free(e);

            } else {
                p = &e->next;
            }
        }
    }
}


/* NULL: no memory */

static ctseg_lease_seen_t *
ctseg_lease_seen(ctseg_lease_watch_t *w, const char *key, uint64_t rev,
    int64_t mono_ms)
{
    size_t                len;
    ctseg_lease_seen_t   *e, **head;

    head = &w->bucket[ctseg_hash64(ctseg_str(key)) % CTSEG_LEASE_BUCKETS];

    for (e = *head; e != NULL; e = e->next) {
        if (strcmp(e->key, key) == 0) {
            return e;
        }
    }

    len = strlen(key) + 1;
    e = malloc(sizeof(ctseg_lease_seen_t) + len);

    if (e == NULL) {
        return NULL;
    }

    e->rev = rev;
    e->since = mono_ms;
    e->last = mono_ms;
    memcpy(e->key, key, len);
    e->next = *head;
    *head = e;

    return e;
}


bool
ctseg_lease_may_take(ctseg_lease_watch_t *w, const char *key,
    const char *owner, uint64_t rev, int64_t mono_ms, int64_t ttl_ms)
{
    ctseg_lease_seen_t  *e;

    ctseg_lease_sweep(w, mono_ms, ttl_ms);

    if (owner[0] == '\0') {
        return true;
    }

    e = ctseg_lease_seen(w, key, rev, mono_ms);

    if (e != NULL) {

        if (e->rev != rev) {
            e->rev = rev;
            e->since = mono_ms;
        }

        e->last = mono_ms;

        if (mono_ms - e->since >= ttl_ms) {
            return true;
        }
    }

    return ctseg_owner_is_gone(owner);
}


/* ---- a lease as a record ---- */

static ctseg_rc_t
ctseg_lease_put(ctseg_store_t *s, const char *key, const char *owner,
    uint64_t expect, uint64_t *rev)
{
    ctseg_rc_t   rc;
    ctseg_buf_t  out;

    memset(&out, 0, sizeof(ctseg_buf_t));

    ctseg_record_begin(&out, CTSEG_RECORD_LEASE);
    ctseg_record_cstr(&out, CTSEG_LEASE_OWNER, owner);
    ctseg_record_end(&out);

    rc = CTSEG_NOMEM;

    if (!out.failed) {
        rc = ctseg_store_put(s, ctseg_str(key), ctseg_buf_slice(&out),
                             expect,
                             ctseg_mono_ms() + CTSEG_LEASE_TIMEOUT_MS, rev);
    }

    ctseg_buf_free(&out);

    return rc;
}


ctseg_rc_t
ctseg_lease_acquire(ctseg_store_t *s, ctseg_lease_watch_t *w,
    const char *key, const char *owner, int64_t mono_ms, int64_t ttl_ms,
    uint64_t *rev)
{
    char            holder[CTSEG_OWNER_MAX];
    uint64_t        now;
    ctseg_rc_t      rc;
    ctseg_buf_t     buf;
    ctseg_record_t  r;

    memset(&buf, 0, sizeof(ctseg_buf_t));

    rc = ctseg_store_get(s, ctseg_str(key),
                         ctseg_mono_ms() + CTSEG_LEASE_TIMEOUT_MS, &buf,
                         &now);

    if (rc == CTSEG_NOTFOUND) {
        ctseg_buf_free(&buf);
        return ctseg_lease_put(s, key, owner, 0, rev);
    }

    if (rc != CTSEG_OK) {
        ctseg_buf_free(&buf);
        return rc;
    }

    /*
     * A damaged record has an owner that nobody knows: it is free when it
     * did not change for the time to live, and the put then heals it.
     */

    (void) ctseg_record_open(&r, ctseg_buf_slice(&buf), CTSEG_RECORD_LEASE);
    ctseg_record_get_cstr(&r, CTSEG_LEASE_OWNER, holder, sizeof(holder));
    ctseg_buf_free(&buf);

    if (r.rc != CTSEG_OK) {
        (void) snprintf(holder, sizeof(holder), "?");
    }

    if (!ctseg_lease_may_take(w, key, holder, now, mono_ms, ttl_ms)) {
        return CTSEG_CONFLICT;
    }

    return ctseg_lease_put(s, key, owner, now, rev);
}


ctseg_rc_t
ctseg_lease_renew(ctseg_store_t *s, const char *key, const char *owner,
    uint64_t *rev)
{
    return ctseg_lease_put(s, key, owner, *rev, rev);
}


ctseg_rc_t
ctseg_lease_release(ctseg_store_t *s, const char *key, uint64_t rev)
{
    ctseg_str_t  none;

    none.len = 0;
    none.data = NULL;

    return ctseg_store_put(s, ctseg_str(key), none, rev,
                           ctseg_mono_ms() + CTSEG_LEASE_TIMEOUT_MS, NULL);
}
