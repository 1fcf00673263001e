/*
 * A table by content of what the log has.  Of an event stay its sequence, a
 * part of the hash of its identity, and for each identity a slot of the
 * table: about 60 bytes.  Slots are found by open addressing and in the order
 * of their keys, so that a larger table is filled from the old one in one
 * pass.  The n-th event of a content has a key of its own made of both, and
 * so a thousand equal ones cost no more than a thousand others.
 */

#include <stdlib.h>
#include <string.h>

#include "ctseg_known.h"
#include "../base/ctseg_json.h"
#include "../base/ctseg_str.h"
#include "../store/ctseg_block_iter.h"


#define CTSEG_KNOWN_SLICE_BYTES   (512 * 1024)  /* that match, in a scan */
#define CTSEG_KNOWN_SLICE_BLOCKS  2000          /* looked at in a scan */
#define CTSEG_KNOWN_LOOK_MAX      1000          /* of one content that belong
                                                   to somebody else */
#define CTSEG_KNOWN_SLOTS_MIN     1024
#define CTSEG_KNOWN_EVENTS_MAX    0x7fffffffu

#define CTSEG_KNOWN_TAKEN  (1ULL << 63)         /* of a sequence */
#define CTSEG_KNOWN_SKIP   0x80000000u          /* of an index: it is a number
                                                   of events taken */


typedef struct {
    uint64_t  sequence;                 /* ascending, with its bit */
    uint32_t  identity;                 /* 0: none */
} ctseg_known_event_t;


struct ctseg_known_s {
    ctseg_known_event_t  *event;
    size_t                n;
    size_t                allocated;

    uint64_t             *key;          /* 0: empty */
    uint32_t             *index;        /* of the event, or how many of this
                                           content are passed over */
    size_t                slots;
    size_t                used;
};


typedef struct {
    const ctseg_known_query_t  *q;
    ctseg_known_t               known;
    ctseg_buf_t                 name;   /* as names are compared */
    ctseg_buf_t                 other;
    unsigned                    kind;
    ctseg_hash_t                hash;
    ctseg_block_mem_t           mem;
    uint64_t                    upto;   /* looked at */
    size_t                      bytes;
    unsigned                    blocks;
    ctseg_rc_t                  rc;
} ctseg_known_walk_t;


/* ---- the table ---- */


/* of the n-th event of this content; never 0 */

static uint64_t
ctseg_known_key(uint64_t hash, uint32_t n)
{
    uint64_t  x;

    x = hash;

    if (n != 0) {
        x += n * 0x9e3779b97f4a7c15ULL;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
        x ^= x >> 31;
    }

    return x + (x == 0);
}


/* the slot of a key, or the empty one that it would have */

static size_t
ctseg_known_slot(const ctseg_known_t *known, uint64_t key)
{
    size_t  i;

    i = (size_t) ((unsigned __int128) key * known->slots >> 64);

    while (known->key[i] != 0 && known->key[i] != key) {
        i = i + 1 == known->slots ? 0 : i + 1;
    }

    return i;
}


/* room for so many more keys at 5 slots of 6; false: no memory */

static bool
ctseg_known_room(ctseg_known_t *known, size_t more)
{
    size_t         i, at;
    ctseg_known_t  t;

    if (known->slots != 0 && known->used + more <= known->slots / 6 * 5) {
        return true;
    }

    memset(&t, 0, sizeof(ctseg_known_t));
    t.slots = known->slots == 0 ? CTSEG_KNOWN_SLOTS_MIN
                                : known->slots / 2 * 3;

    t.key = calloc(t.slots, sizeof(uint64_t));
    if (t.key == NULL) {
        return false;
    }

    t.index = calloc(t.slots, sizeof(uint32_t));
    if (t.index == NULL) {
        free(t.key);
        return false;
    }

    for (i = 0; i < known->slots; i++) {
        if (known->key[i] != 0) {
            at = ctseg_known_slot(&t, known->key[i]);
            t.key[at] = known->key[i];
            t.index[at] = known->index[i];
        }
    }

    free(known->key);
    free(known->index);

    known->slots = t.slots;
    known->key = t.key;
    known->index = t.index;

    return true;
}


static void
ctseg_known_clear(ctseg_known_t *known)
{
    free(known->event);
    free(known->key);
    free(known->index);

    memset(known, 0, sizeof(ctseg_known_t));
}


static bool
ctseg_known_has(const ctseg_known_t *known, uint64_t hash, uint32_t n)
{
    return known->key[ctseg_known_slot(known, ctseg_known_key(hash, n))] != 0;
}


/* behind all that have this content: their numbers have no gaps */

static void
ctseg_known_put(ctseg_known_t *known, uint64_t hash, uint32_t index)
{
    size_t    at;
    uint32_t  lo, hi, mid;

    lo = 0;
    hi = 0;

    while (ctseg_known_has(known, hash, hi)) {
        lo = hi + 1;
        hi = hi * 2 + 1;
    }

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;

        if (ctseg_known_has(known, hash, mid)) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    at = ctseg_known_slot(known, ctseg_known_key(hash, lo));
    known->key[at] = ctseg_known_key(hash, lo);
    known->index[at] = index;
    known->used++;
}


static uint32_t
ctseg_known_identity(const ctseg_content_t *c)
{
    uint32_t  part;

    part = (uint32_t) (c->identity >> 32);

    return c->identity == 0 ? 0 : part + (part == 0);
}


/* room for half as many more events; false: no memory */

static bool
ctseg_known_grow(ctseg_known_t *known)
{
    size_t                n;
    ctseg_known_event_t  *event;

    n = known->allocated == 0 ? 256 : known->allocated / 2 * 3;

    event = realloc(known->event, n * sizeof(ctseg_known_event_t));
    if (event == NULL) {
        return false;
    }

    known->event = event;
    known->allocated = n;

    return true;
}


static ctseg_rc_t
ctseg_known_add(ctseg_known_t *known, uint64_t sequence,
    const ctseg_content_t *c)
{
    unsigned  i;

    if (known->n == CTSEG_KNOWN_EVENTS_MAX) {
        return CTSEG_FULL;
    }

    if (known->n == known->allocated && !ctseg_known_grow(known)) {
        return CTSEG_NOMEM;
    }

    if (!ctseg_known_room(known, CTSEG_ID_N)) {
        return CTSEG_NOMEM;
    }

    known->event[known->n].sequence = sequence;
    known->event[known->n].identity = ctseg_known_identity(c);

    for (i = 0; i < CTSEG_ID_N; i++) {
        if (c->ids[i] != 0) {
            ctseg_known_put(known, c->ids[i], (uint32_t) known->n);
        }
    }

    known->n++;

    return CTSEG_OK;
}


/* ---- reading the log ---- */


static bool
ctseg_known_is_named(ctseg_known_walk_t *walk, const ctseg_event_t *ev)
{
    if (walk->kind != CTSEG_KIND_CUSTOM || ev->kind != CTSEG_KIND_CUSTOM) {
        return ev->kind == walk->kind;
    }

    ctseg_buf_reset(&walk->other);

    if (ctseg_content_name(&walk->other, ev->name) != CTSEG_OK) {
        walk->rc = CTSEG_NOMEM;
        return false;
    }

    return ctseg_str_eq(ctseg_buf_slice(&walk->name),
                        ctseg_buf_slice(&walk->other));
}


static void
ctseg_known_event(ctseg_known_walk_t *walk, const ctseg_event_t *ev,
    uint64_t sequence)
{
    ctseg_rc_t                  rc;
    ctseg_known_t              *known;
    ctseg_content_t             c;
    const ctseg_known_query_t  *q;

    q = walk->q;
    known = &walk->known;

    if (ev->time_ms < q->from_ms || ev->time_ms >= q->to_ms
        || !ctseg_known_is_named(walk, ev))
    {
        return;
    }

    if (q->limit != 0 && known->n == q->limit) {
        walk->rc = CTSEG_FULL;
        return;
    }

    rc = ctseg_content(ev, q->zone, &walk->hash, &c);

    if (rc == CTSEG_OK && c.nids != 0) {
        rc = ctseg_known_add(known, sequence, &c);
    }

    walk->rc = rc;
}


/* what is damaged is not known */

static void
ctseg_known_events(ctseg_known_walk_t *walk, const ctseg_block_t *b)
{
    ctseg_rc_t           rc;
    ctseg_event_t        ev;
    ctseg_block_iter_t   it;

    rc = ctseg_block_iter(&it, b, &walk->mem, ctseg_kind_bit(walk->kind), 0,
                          walk->q->upto);

    if (rc != CTSEG_OK) {
        walk->rc = rc == CTSEG_NOMEM ? rc : CTSEG_OK;
        return;
    }

    while (walk->rc == CTSEG_OK) {
        rc = ctseg_block_next(&it, &ev);

        if (rc == CTSEG_NOTFOUND) {
            break;
        }

        if (rc == CTSEG_OK) {
            ctseg_known_event(walk, &ev, it.sequence);
        }
    }

    walk->bytes += ctseg_block_touched(&it);
}


static ctseg_next_t
ctseg_known_block(void *data, const ctseg_block_t *b)
{
    ctseg_known_walk_t  *walk;

    walk = data;

    walk->upto = ctseg_block_last(b);

    if (!b->damaged
        && ctseg_block_may_match(b, ctseg_kind_bit(walk->kind),
                                 walk->q->from_ms, walk->q->to_ms))
    {
        ctseg_known_events(walk, b);
    }

    return walk->rc != CTSEG_OK || walk->upto >= walk->q->upto
           || walk->bytes >= CTSEG_KNOWN_SLICE_BYTES
           || ++walk->blocks >= CTSEG_KNOWN_SLICE_BLOCKS
           ? CTSEG_ENOUGH : CTSEG_GO_ON;
}


static ctseg_rc_t
ctseg_known_scan(ctseg_store_t *s, ctseg_known_walk_t *walk, int64_t deadline)
{
    ctseg_rc_t    rc;
    ctseg_pos_t   after, next;
    ctseg_want_t  want;

    memset(&after, 0, sizeof(ctseg_pos_t));
    after.incarnation = walk->q->incarnation;

    want.kinds = ctseg_kind_bit(walk->kind);
    want.from_ms = walk->q->from_ms;
    want.to_ms = walk->q->to_ms;
    want.mem = &walk->mem;

    while (walk->upto < walk->q->upto) {

        if (walk->q->go_on != NULL && !walk->q->go_on(walk->q->data)) {
            return CTSEG_CONFLICT;
        }

        walk->bytes = 0;
        walk->blocks = 0;

        rc = ctseg_store_scan_for(s, 0, &after, &want, ctseg_known_block,
                                  walk, deadline, &next);

        if (rc != CTSEG_OK && rc != CTSEG_AGAIN && rc != CTSEG_TRIMMED) {
            return rc;
        }

        /* position 0 is before the first event of any log */

        if (next.incarnation != walk->q->incarnation) {
            ctseg_known_clear(&walk->known);
            return CTSEG_OK;
        }

        if (walk->rc != CTSEG_OK || rc == CTSEG_AGAIN) {
            return walk->rc;
        }

        after = next;
    }

    return walk->rc;
}


/* the name in the one spelling, and its number if it has one */

static ctseg_rc_t
ctseg_known_name(ctseg_known_walk_t *walk)
{
    ctseg_rc_t  rc;

    rc = ctseg_content_name(&walk->name, walk->q->name);

    if (rc == CTSEG_OK) {
        walk->kind = ctseg_catalog_find(ctseg_buf_slice(&walk->name));
    }

    return rc;
}


ctseg_rc_t
ctseg_known_load(ctseg_store_t *s, const ctseg_known_query_t *q,
    int64_t deadline, ctseg_known_t **known, ctseg_err_t *err)
{
    ctseg_rc_t          rc;
    ctseg_known_walk_t  walk;

    *known = NULL;
    memset(&walk, 0, sizeof(ctseg_known_walk_t));
    walk.q = q;

    rc = ctseg_known_name(&walk);

    if (rc == CTSEG_OK) {
        rc = ctseg_known_scan(s, &walk, deadline);
    }

    ctseg_buf_free(&walk.name);
    ctseg_buf_free(&walk.other);
    ctseg_hash_free(&walk.hash);
    ctseg_block_mem_free(&walk.mem);

    if (rc == CTSEG_OK) {
        *known = malloc(sizeof(ctseg_known_t));
        rc = *known == NULL ? CTSEG_NOMEM : CTSEG_OK;
    }

    if (rc != CTSEG_OK) {
        ctseg_known_clear(&walk.known);
        return ctseg_err(err, rc, rc == CTSEG_FULL
                         ? "the log has too many events of this name: %s"
                         : "what the log has cannot be read: %s",
                         ctseg_rc_name(rc));
    }

    **known = walk.known;

    return CTSEG_OK;
}


/* ---- taking ---- */


/*
 * The first one of this content that is not taken and may be c's; false:
 * none.  How many are passed over for good is noted in the first slot, whose
 * own event is one of them.
 */

static bool
ctseg_known_find(ctseg_known_t *known, uint64_t hash, uint32_t identity,
    uint32_t *found)
{
    bool      front;
    size_t    at, first;
    uint32_t  n, index, looked;

    if (known->slots == 0) {
        return false;
    }

    first = ctseg_known_slot(known, ctseg_known_key(hash, 0));

    if (known->key[first] == 0) {
        return false;
    }

    front = true;
    n = (known->index[first] & CTSEG_KNOWN_SKIP) != 0
        ? known->index[first] & ~CTSEG_KNOWN_SKIP : 0;

    for (looked = 0; looked < CTSEG_KNOWN_LOOK_MAX; n++) {

        at = ctseg_known_slot(known, ctseg_known_key(hash, n));

        if (known->key[at] == 0) {
            return false;
        }

        index = known->index[at];

        if ((known->event[index].sequence & CTSEG_KNOWN_TAKEN) != 0) {
            if (front) {
                known->index[first] = CTSEG_KNOWN_SKIP | (n + 1);
            }

            continue;
        }

        if (identity == 0 || known->event[index].identity == 0
            || known->event[index].identity == identity)
        {
            *found = index;
            return true;
        }

        front = false;
        looked++;
    }

    return false;
}


uint64_t
ctseg_known_take(ctseg_known_t *known, const ctseg_content_t *c)
{
    bool      any;
    unsigned  i;
    uint32_t  index, least, identity;
    uint64_t  sequence;

    any = false;
    least = 0;
    identity = ctseg_known_identity(c);

    for (i = 0; i < CTSEG_ID_N; i++) {
        if (c->ids[i] != 0
            && ctseg_known_find(known, c->ids[i], identity, &index)
            && (!any || index < least))
        {
            any = true;
            least = index;
        }
    }

    if (!any) {
        return 0;
    }

    sequence = known->event[least].sequence;
    known->event[least].sequence |= CTSEG_KNOWN_TAKEN;

    return sequence;
}


void
ctseg_known_taken(ctseg_known_t *known, uint64_t sequence)
{
    size_t  lo, hi, mid;

    lo = 0;
    hi = known->n;

    while (lo < hi) {
        mid = lo + (hi - lo) / 2;

        if ((known->event[mid].sequence & ~CTSEG_KNOWN_TAKEN) < sequence) {
            lo = mid + 1;

        } else {
            hi = mid;
        }
    }

    if (lo < known->n && known->event[lo].sequence == sequence) {
        known->event[lo].sequence |= CTSEG_KNOWN_TAKEN;
    }
}


void
ctseg_known_free(ctseg_known_t *known)
{
    if (known == NULL) {
        return;
    }

    ctseg_known_clear(known);
    free(known);
}
