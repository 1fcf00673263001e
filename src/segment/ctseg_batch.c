/*
 * Batches.  The builder gives each event of a stretch of the log its verdict
 * and keeps the wanted ones as messages.  The write key stands in the body
 * as well as in the Authorization header: sources differ in which they read,
 * and both together are right under every reading.
 */

#include <stdlib.h>
#include <string.h>

#include "../base/ctseg_str.h"
#include "ctseg_batch.h"
#include "ctseg_identify.h"


static const char  ctseg_batch_tail[] =
    "],\"context\":{\"channel\":\"server\","
    "\"library\":{\"name\":\"ctseg\",\"version\":\"" CTSEG_VERSION "\"},"
    "\"integration\":{\"name\":\"clevertap\",\"version\":\"1.0.0\"}}";

static const char  ctseg_batch_integrations[] = ",\"integrations\":";

/* memory of a body that begins; the longest message always fits */

#define CTSEG_BATCH_SMALL  (64 * 1024)

_Static_assert(CTSEG_BATCH_BYTES + CTSEG_MESSAGE_MAX + CTSEG_BATCH_ENVELOPE
               <= CTSEG_BATCH_MEMORY, "the memory of a body is too small");

_Static_assert(sizeof(ctseg_batch_tail) + CTSEG_WRITE_KEY_MAX * 2 + 64
               < CTSEG_BATCH_ENVELOPE, "the envelope is counted too small");


void
ctseg_batch_begin(ctseg_batch_t *b, const ctseg_pinned_t *pinned,
    const char *installation, const char *write_key, uint64_t after)
{
    size_t  len;

    ctseg_buf_reserve(&b->body, CTSEG_BATCH_SMALL);

    b->after = after;
    b->upto = after;

    /* without the head: the length of a write key moves no boundary */

    b->room = CTSEG_BATCH_BYTES - CTSEG_BATCH_ENVELOPE;
    len = strlen(pinned->mapping.integrations);

    if (len != 0) {
        b->room -= sizeof(ctseg_batch_integrations) - 1 + len;
    }

    ctseg_encoder_init(&b->enc, pinned, installation);

    ctseg_buf_cstr(&b->body, "{\"writeKey\":");
    ctseg_json_cstring(&b->body, write_key);
    ctseg_buf_cstr(&b->body, ",\"batch\":[");

    b->head = b->body.len;
}


/* once it is no small batch it gets all that it may need: doubling would copy
   it again and again */

static void
ctseg_batch_grow(ctseg_batch_t *b)
{
    if (b->body.cap - b->body.len < CTSEG_MESSAGE_MAX
        && b->body.cap < CTSEG_BATCH_MEMORY)
    {
        ctseg_buf_reserve(&b->body, CTSEG_BATCH_MEMORY - b->body.len);
    }
}


/* the message that ends here is in the body for good */

static void
ctseg_batch_mark(ctseg_batch_t *b)
{
    if (b->events < CTSEG_BATCH_MARKS) {
        b->ends[b->events] = b->body.len;
    }

    b->events++;
}


/* as full as it may be, of messages or of what can be none */

static bool
ctseg_batch_is_full(const ctseg_batch_t *b)
{
    return b->events == CTSEG_BATCH_EVENTS
           || (b->limit != 0 && b->events == b->limit)
           || b->nrejects == CTSEG_BATCH_REJECTS
           || b->kept.len >= CTSEG_BATCH_REJECT_BYTES;
}


/* the next event can never be accepted: its verdict, and what there is of it;
   false: without memory for that it has no verdict */

static bool
ctseg_batch_reject(ctseg_batch_t *b, const ctseg_event_t *ev,
    ctseg_reject_t why)
{
    ctseg_batch_reject_t  *reject;

    if (b->rejects == NULL) {
        b->rejects = malloc(CTSEG_BATCH_REJECTS
                            * sizeof(ctseg_batch_reject_t));
    }

    if (b->rejects != NULL) {
        ctseg_message_keep(&b->kept, &b->enc, b->upto + 1, ev);
    }

    if (b->rejects == NULL || b->kept.failed) {
        b->rc = CTSEG_NOMEM;
        return false;
    }

    reject = &b->rejects[b->nrejects++];

    b->upto++;
    b->counts.scanned++;
    b->counts.rejected++;
    b->counts.rejects[why]++;

    reject->sequence = b->upto;
    reject->reason = why;
    reject->end = b->kept.len;

    return true;
}


/* the newest message in the body about the same profile: its place, or -1 */

static int
ctseg_batch_find(const ctseg_batch_t *b, uint64_t hash, ctseg_str_t who)
{
    int          i;
    ctseg_str_t  message;

    for (i = (int) b->events - 1; i >= 0; i--) {
        if (b->profiles[i].hash != hash) {
            continue;
        }

        message.data = b->body.data + b->profiles[i].at;
        message.len = b->profiles[i].len;

        if (ctseg_str_eq(ctseg_identify_who(&b->enc, message), who)) {
            break;
        }
    }

    return i;
}


/* take a message out of the body, with one of the commas around it */

static void
ctseg_batch_take_out(ctseg_batch_t *b, unsigned i)
{
    size_t                  from, len;
    ctseg_batch_profile_t  *p;

    p = &b->profiles[i];
    len = p->len + (b->events != 1);
    from = i == 0 ? p->at : p->at - 1;

    memmove(b->body.data + from, b->body.data + from + len,
            b->body.len - from - len);
    b->body.len -= len;

    b->events--;
    b->counts.sent--;
    b->counts.filtered++;

    for ( /* void */ ; i < b->events; i++) {
        b->profiles[i] = b->profiles[i + 1];
        b->profiles[i].at -= len;

        if (i < CTSEG_BATCH_MARKS) {
            b->ends[i] = b->profiles[i].at + b->profiles[i].len;
        }
    }
}


/*
 * The update of a profile that was written to the end of the body, which had
 * "mark" bytes before: it stays, with what an older one in this batch says.
 */

static ctseg_rc_t
ctseg_batch_merge(ctseg_batch_t *b, size_t mark)
{
    int                    old;
    ctseg_rc_t             rc;
    ctseg_buf_t            merged;
    ctseg_str_t            older, newer, who;
    ctseg_batch_profile_t  p;

    if (b->profiles == NULL) {
        b->profiles = malloc(CTSEG_BATCH_EVENTS
                             * sizeof(ctseg_batch_profile_t));
        if (b->profiles == NULL) {
            return CTSEG_NOMEM;
        }
    }

    p.at = mark + (b->events != 0);
    p.len = b->body.len - p.at;
    p.first = b->upto + 1;

    newer.data = b->body.data + p.at;
    newer.len = p.len;

    who = ctseg_identify_who(&b->enc, newer);
    p.hash = ctseg_hash64(who);
    old = ctseg_batch_find(b, p.hash, who);

    if (old >= 0) {
        older.data = b->body.data + b->profiles[old].at;
        older.len = b->profiles[old].len;

        memset(&merged, 0, sizeof(ctseg_buf_t));

        rc = ctseg_identify_merge(&merged, &b->enc, older, newer,
                                  b->profiles[old].first);

        if (rc == CTSEG_OK) {
            p.first = b->profiles[old].first;

            b->body.len = mark;
            ctseg_batch_take_out(b, (unsigned) old);

            if (b->events != 0) {
                ctseg_buf_char(&b->body, ',');
            }

            p.at = b->body.len;
            p.len = merged.len;
            ctseg_buf_str(&b->body, ctseg_buf_slice(&merged));
        }

        ctseg_buf_free(&merged);

        if (rc == CTSEG_NOMEM || b->body.failed) {
            return CTSEG_NOMEM;
        }
    }

    b->profiles[b->events] = p;

    return CTSEG_OK;
}


/*
 * What somebody else makes of the update of a profile, whose message was
 * written to the end of the body as above.
 */

static ctseg_rc_t
ctseg_batch_look(ctseg_batch_t *b, size_t mark)
{
    size_t       at;
    ctseg_rc_t   rc;
    ctseg_buf_t  out;
    ctseg_str_t  message;

    at = mark + (b->events != 0);
    message.data = b->body.data + at;
    message.len = b->body.len - at;

    memset(&out, 0, sizeof(ctseg_buf_t));

    rc = b->look(b->look_data, &b->enc, b->upto + 1, message, &out);

    if (rc == CTSEG_OK && out.len != 0) {
        b->body.len = at;
        ctseg_buf_str(&b->body, ctseg_buf_slice(&out));
    }

    if (out.failed || b->body.failed) {
        rc = CTSEG_NOMEM;
    }

    ctseg_buf_free(&out);

    return rc;
}


bool
ctseg_batch_offer(ctseg_batch_t *b, const ctseg_event_t *ev)
{
    size_t                mark;
    ctseg_rc_t            rc;
    ctseg_event_t         clamped;
    ctseg_reject_t        why;
    const ctseg_event_t  *sent;

    if (!ctseg_message_wanted(b->enc.pinned, ev)) {
        ctseg_batch_skip(b, b->upto + 1);
        return true;
    }

    if (ctseg_batch_is_full(b)) {
        return false;
    }

    sent = ctseg_message_clamp(b->enc.pinned, ev, b->arrived_ms, &clamped);

    if (sent == NULL) {
        return ctseg_batch_reject(b, ev, CTSEG_REJECT_FUTURE);
    }

    ctseg_batch_grow(b);

    mark = b->body.len;

    if (b->events != 0) {
        ctseg_buf_char(&b->body, ',');
    }

    rc = ctseg_message_encode(&b->body, &b->enc, b->upto + 1, sent, &why);

    if (rc == CTSEG_INVALID) {
        b->body.len = mark;
        return ctseg_batch_reject(b, ev, why);
    }

    if (rc == CTSEG_OK && b->look != NULL
        && ev->kind == CTSEG_KIND_PROFILE)
    {
        rc = ctseg_batch_look(b, mark);

        if (rc == CTSEG_NOTFOUND) {
            b->body.len = mark;
            ctseg_batch_skip(b, b->upto + 1);
            return true;
        }
    }

    if (rc != CTSEG_OK) {
        b->rc = rc;
        return false;
    }

    if (b->body.len - b->head > b->room) {
        b->body.len = mark;
        return false;
    }

    if (b->look == NULL
        && b->enc.pinned->kinds == ctseg_kind_bit(CTSEG_KIND_PROFILE))
    {
        rc = ctseg_batch_merge(b, mark);

        if (rc != CTSEG_OK) {
            b->rc = rc;
            return false;
        }
    }

    ctseg_batch_mark(b);

    b->upto++;
    b->last = b->upto;
    b->counts.scanned++;
    b->counts.sent++;

    return true;
}


void
ctseg_batch_skip(ctseg_batch_t *b, uint64_t sequence)
{
    uint64_t  n;

    n = sequence - b->upto;

    b->upto = sequence;
    b->counts.scanned += n;
    b->counts.filtered += n;
}


static void
ctseg_batch_lose(ctseg_batch_t *b, uint64_t sequence, ctseg_reject_t why)
{
    uint64_t  n;

    n = sequence - b->upto;

    b->upto = sequence;
    b->counts.scanned += n;
    b->counts.rejected += n;
    b->counts.rejects[why] += n;
}


void
ctseg_batch_expire(ctseg_batch_t *b, uint64_t sequence)
{
    ctseg_batch_lose(b, sequence, CTSEG_REJECT_EXPIRED);
}


void
ctseg_batch_damage(ctseg_batch_t *b, uint64_t at, uint64_t sequence)
{
    if (b->ndamaged < CTSEG_BATCH_MARKS) {
        b->damaged[b->ndamaged] = at;
    }

    b->ndamaged++;

    ctseg_batch_lose(b, sequence, CTSEG_REJECT_DAMAGED);
}


void
ctseg_batch_put(ctseg_batch_t *b, ctseg_str_t message)
{
    if (b->events != 0) {
        ctseg_buf_char(&b->body, ',');
    }

    ctseg_buf_str(&b->body, message);
    ctseg_batch_mark(b);
}


ctseg_str_t
ctseg_batch_message(const ctseg_batch_t *b, unsigned i)
{
    size_t       from;
    ctseg_str_t  message;

    message.len = 0;
    message.data = NULL;

    if (i >= b->events || i >= CTSEG_BATCH_MARKS || b->body.failed) {
        return message;
    }

    from = i == 0 ? b->head : b->ends[i - 1] + 1;

    message.data = b->body.data + from;
    message.len = b->ends[i] - from;

    return message;
}


ctseg_str_t
ctseg_batch_kept(const ctseg_batch_t *b, unsigned i)
{
    size_t       from;
    ctseg_str_t  message;

    from = i == 0 ? 0 : b->rejects[i - 1].end;

    message.data = b->kept.data + from;
    message.len = b->rejects[i].end - from;

    return message;
}


void
ctseg_batch_forget(ctseg_batch_t *b)
{
    free(b->rejects);
    ctseg_buf_free(&b->kept);

    b->rejects = NULL;
    b->nrejects = 0;
}


void
ctseg_batch_end(ctseg_batch_t *b)
{
    const char  *integrations;

    ctseg_buf_add(&b->body, ctseg_batch_tail, sizeof(ctseg_batch_tail) - 1);

    integrations = b->enc.pinned->mapping.integrations;

    if (integrations[0] != '\0') {
        ctseg_buf_cstr(&b->body, ctseg_batch_integrations);
        ctseg_buf_cstr(&b->body, integrations);
    }

    ctseg_buf_char(&b->body, '}');

    if (b->body.failed && b->rc == CTSEG_OK) {
        b->rc = CTSEG_NOMEM;
    }
}


void
ctseg_batch_free(ctseg_batch_t *b)
{
    ctseg_buf_free(&b->body);
    free(b->profiles);
    b->profiles = NULL;
    ctseg_batch_forget(b);
}


void
ctseg_batch_authorization(ctseg_buf_t *out, const char *write_key)
{
    ctseg_buf_t  pair;

    memset(&pair, 0, sizeof(ctseg_buf_t));

    /* HTTP basic: the key is the user, the password is empty */

    ctseg_buf_cstr(&pair, write_key);
    ctseg_buf_char(&pair, ':');

    ctseg_buf_cstr(out, "Basic ");
    ctseg_base64(out, ctseg_buf_slice(&pair));

    if (pair.failed) {
        out->failed = true;
    }

    ctseg_buf_free(&pair);
}
