/*
 * Events on their way to Segment.  However the export is set, a batch keeps
 * the limits, is JSON, holds as many messages as it counts, and gives every
 * event it takes one verdict; where it ends does not depend on the write
 * key; the next one goes on behind it.  In a batch of profiles the updates of
 * one are one message.  A line whose characters choose the
 * export and how often the events come, the name of a property, then the
 * body of an upload.
 */

#include "clevertap/ctseg_upload.h"
#include "segment/ctseg_batch.h"
#include "fuzz.h"


#define INSTALLATION  "fedcba9876543210"
#define OFFERS        4000
#define ARRIVED       (1767225600000LL - CTSEG_FUTURE_MS)


static void
pin(ctseg_pinned_t *pinned, ctseg_str_t line, ctseg_str_t property)
{
    size_t    n;
    unsigned  i;

    memset(pinned, 0, sizeof(ctseg_pinned_t));

    pinned->type = CTSEG_TYPE_EVENT;
    pinned->user_id.field = (int) fuzz_choice(line, 0, CTSEG_ID_N + 1) - 1;
    pinned->anonymous_id.field = (int) fuzz_choice(line, 1, CTSEG_ID_N + 1)
                                 - 1;
    pinned->npriority = fuzz_choice(line, 2, CTSEG_PRIORITY_MAX + 1);

    for (i = 0; i < pinned->npriority; i++) {
        pinned->priority[i] = (uint8_t) ((i + 2) % CTSEG_ID_N);
    }

    pinned->kinds = fuzz_choice(line, 3, 2) == 0
                    ? UINT64_MAX : ctseg_catalog_set(CTSEG_SET_SYSTEM);
    pinned->from_ms = fuzz_choice(line, 4, 2) == 0
                      ? INT64_MIN : 1767225600000LL;
    pinned->to_ms = fuzz_choice(line, 5, 2) == 0
                    ? INT64_MAX : 1767312000000LL;

    pinned->mapping.context = fuzz_choice(line, 7, 2) == 1;
    pinned->mapping.names = (ctseg_names_t) fuzz_choice(line, 8, 2);
    pinned->mapping.future = (ctseg_future_t) fuzz_choice(line, 9, 3);

    if (fuzz_choice(line, 10, 2) == 1) {
        memcpy(pinned->mapping.integrations, "{\"All\":{}}", 11);
    }

    if (fuzz_choice(line, 11, 3) == 2) {
        pinned->type = CTSEG_TYPE_PROFILE;
        pinned->kinds = ctseg_kind_bit(CTSEG_KIND_PROFILE);
    }

    n = property.len < CTSEG_PROPERTY_MAX ? property.len
                                          : CTSEG_PROPERTY_MAX;
    memcpy(pinned->user_id.property, property.data, n);
    memcpy(pinned->anonymous_id.property, property.data, n);
    memcpy(pinned->fingerprint, "0123456789abcdef", 17);
}


/* as many of the events, again and again, as one batch takes */

static void
fill(ctseg_batch_t *b, const ctseg_pinned_t *pinned, const char *write_key,
    uint64_t after, const ctseg_upload_t *u, unsigned offers)
{
    unsigned  i;

    memset(b, 0, sizeof(ctseg_batch_t));
    ctseg_batch_begin(b, pinned, INSTALLATION, write_key, after);
    b->arrived_ms = ARRIVED;

    for (i = 0; i < offers; i++) {
        if (!ctseg_batch_offer(b, &u->events[b->upto % u->nevents])) {
            break;
        }
    }

    ctseg_batch_end(b);
    fuzz_check(b->rc == CTSEG_OK && !b->body.failed);
}


/* the event of a sequence as it is sent; false: it is in no message */

static bool
encode(ctseg_buf_t *out, ctseg_encoder_t *enc, uint64_t sequence,
    const ctseg_upload_t *u)
{
    bool            ahead;
    ctseg_event_t   ev;
    ctseg_reject_t  why;

    ev = u->events[(sequence - 1) % u->nevents];
    ahead = ev.time_ms > ARRIVED + CTSEG_FUTURE_MS;

    if (!ctseg_message_wanted(enc->pinned, &ev)
        || (ahead && enc->pinned->mapping.future == CTSEG_FUTURE_REJECT))
    {
        return false;
    }

    if (ahead && enc->pinned->mapping.future == CTSEG_FUTURE_CLAMP) {
        ev.time_ms = ARRIVED;
    }

    ctseg_buf_reset(out);

    return ctseg_message_encode(out, enc, sequence, &ev, &why) == CTSEG_OK;
}


static void
check_messages(const ctseg_batch_t *b, const ctseg_upload_t *u)
{
    unsigned         i;
    uint64_t         sequence;
    ctseg_buf_t      one = { NULL, 0, 0, false };
    ctseg_str_t      message;
    ctseg_encoder_t  enc;

    ctseg_encoder_init(&enc, b->enc.pinned, INSTALLATION);
    sequence = b->after;

    for (i = 0; i < CTSEG_BATCH_MARKS; i++) {
        message = ctseg_batch_message(b, i);
        fuzz_check((message.len != 0) == (i < b->events));

        if (message.len == 0) {
            break;
        }

        fuzz_check(message.len < CTSEG_MESSAGE_MAX);
        fuzz_check(fuzz_is_json(message, 16));

        if (b->enc.pinned->type == CTSEG_TYPE_PROFILE) {
            continue;                   /* several may be in one */
        }

        /* alone it is the same, so a retry sends what was sent */

        do {
            sequence++;
            fuzz_check(sequence <= b->upto);
        } while (!encode(&one, &enc, sequence, u));

        fuzz_check(ctseg_str_eq(message, ctseg_buf_slice(&one)));
    }

    ctseg_buf_free(&one);
}


typedef struct {
    bool      batch;
    unsigned  n;
} counting_t;


static bool
count_token(void *data, const ctseg_json_token_t *t)
{
    counting_t  *c;

    c = data;

    /* what stands in the array "batch"; "context" holds objects too */

    if (t->depth == 0 && t->type == CTSEG_JSON_KEY) {
        c->batch = ctseg_str_is(t->text, "batch");
    }

    if (c->batch && t->depth == 2 && t->type == CTSEG_JSON_OBJECT) {
        c->n++;
    }

    return true;
}


/* what can never be sent is kept: each event once, and as JSON */

static void
check_rejects(const ctseg_batch_t *b)
{
    unsigned     i;
    ctseg_str_t  message;

    fuzz_check(b->nrejects == b->counts.rejected);
    fuzz_check(b->nrejects <= CTSEG_BATCH_REJECTS);

    for (i = 0; i < b->nrejects; i++) {
        message = ctseg_batch_kept(b, i);

        fuzz_check(b->rejects[i].sequence > (i == 0 ? b->after
                                             : b->rejects[i - 1].sequence));
        fuzz_check(b->rejects[i].sequence <= b->upto);
        fuzz_check(message.len <= CTSEG_MESSAGE_KEPT_MAX);
        fuzz_check(fuzz_is_json(message, 16));

        if (i + 1 < b->nrejects) {
            fuzz_check(b->rejects[i].end < CTSEG_BATCH_REJECT_BYTES);
        }
    }
}


static void
check_batch(const ctseg_batch_t *b, const ctseg_upload_t *u)
{
    unsigned    i;
    uint64_t    rejects;
    counting_t  c = { false, 0 };

    fuzz_check(b->body.len <= CTSEG_BATCH_BYTES);
    fuzz_check(b->events <= CTSEG_BATCH_EVENTS);
    fuzz_check(b->counts.scanned == b->upto - b->after);
    fuzz_check(b->counts.scanned == b->counts.sent + b->counts.filtered
                                    + b->counts.rejected);
    fuzz_check(b->counts.sent == b->events);

    for (i = 0, rejects = 0; i < CTSEG_REJECT_N; i++) {
        rejects += b->counts.rejects[i];
    }

    fuzz_check(rejects == b->counts.rejected);

    fuzz_check(ctseg_json_scan(ctseg_buf_slice(&b->body), 24, count_token,
                               &c, NULL) == CTSEG_OK);
    fuzz_check(c.n == b->events);
    fuzz_check_json(&b->body);

    check_messages(b, u);
    check_rejects(b);
}


static void
check_all(const ctseg_upload_t *u, const ctseg_pinned_t *pinned,
    unsigned offers)
{
    char           key[CTSEG_WRITE_KEY_MAX + 1];
    uint64_t       after;
    ctseg_batch_t  one, two;

    memset(key, '"', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';

    fill(&one, pinned, "k", 41, u, offers);
    fill(&two, pinned, key, 41, u, offers);
    check_batch(&one, u);
    check_batch(&two, u);

    fuzz_check(one.upto == two.upto);
    fuzz_check(memcmp(&one.counts, &two.counts, sizeof(ctseg_counts_t))
               == 0);
    fuzz_check(one.body.len - one.head == two.body.len - two.head);
    fuzz_check(memcmp(one.body.data + one.head, two.body.data + two.head,
                      one.body.len - one.head) == 0);

    after = one.upto;
    ctseg_batch_free(&one);
    ctseg_batch_free(&two);

    /* what did not fit is taken by the next one */

    fill(&one, pinned, "k", after, u, 1);
    fuzz_check(one.upto == after + 1);
    check_batch(&one, u);
    ctseg_batch_free(&one);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned        offers;
    ctseg_str_t     in, line, property;
    ctseg_pinned_t  pinned;
    ctseg_upload_t  u;

    in = fuzz_str(data, size);
    line = fuzz_line(&in);
    property = fuzz_line(&in);

    pin(&pinned, line, property);
    memset(&u, 0, sizeof(ctseg_upload_t));

    if (ctseg_upload_parse(&u, in, 1767225600000LL, NULL) == CTSEG_OK
        && u.nevents != 0)
    {
        offers = fuzz_choice(line, 6, 10) == 9 ? OFFERS : u.nevents;
        check_all(&u, &pinned, offers);
    }

    ctseg_upload_free(&u);

    return 0;
}
