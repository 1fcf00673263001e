/*
 * A block of the log that is not as it was written: header, events, and the
 * reader of a run on top.  What reads keeps its numbers together and is the
 * same when it is written again; what does not is CORRUPT, and a run counts
 * each event of it as damaged, no more and no less.  First "b" and the body
 * of an upload, of which a block is made, or "r" and the bytes of one; then,
 * in the same line, a character that says which checksums are set right
 * afterwards, and edits "offset=byte" in hexadecimal.
 */

#include "base/ctseg_crc32c.h"
#include "clevertap/ctseg_upload.h"
#include "outbox/ctseg_read.h"
#include "fuzz.h"
#include "fuzz_store.h"


#define FIX_HEADER   1
#define FIX_PAYLOAD  2
#define FIX_LENGTH   4


static void
put_u32(char *p, uint32_t v)
{
    unsigned  i;

    for (i = 0; i < 4; i++) {
        p[i] = (char) (v >> (8 * i));
    }
}


/* a block of the events of a body; none: one event that says nothing */

static void
build(ctseg_buf_t *out, ctseg_str_t body)
{
    char                   header[CTSEG_BLOCK_HEADER];
    unsigned               i;
    ctseg_block_t          b;
    ctseg_event_t          none;
    ctseg_upload_t         u;
    ctseg_block_builder_t  bb;

    memset(&u, 0, sizeof(ctseg_upload_t));
    memset(&bb, 0, sizeof(ctseg_block_builder_t));
    memset(&none, 0, sizeof(ctseg_event_t));

    (void) ctseg_upload_parse(&u, body, 1767225600000LL, NULL);

    for (i = 0; i < u.nevents; i++) {
        (void) ctseg_block_add(&bb, &u.events[i]);
    }

    if (bb.count == 0) {
        fuzz_check(ctseg_block_add(&bb, &none));
    }

    fuzz_check(ctseg_block_finish(&bb, &b) == CTSEG_OK);
    b.first = 101;
    b.append_ms = 1767225600000LL;
    ctseg_block_encode_header(header, &b);

    ctseg_buf_add(out, header, sizeof(header));
    ctseg_buf_str(out, b.payload);

    ctseg_block_builder_free(&bb);
    ctseg_upload_free(&u);
}


static void
edit(ctseg_buf_t *out, ctseg_str_t line, unsigned fix)
{
    char         *end;
    char          text[32];
    ctseg_str_t   word;
    unsigned long  at, byte;

    while (line.len != 0) {
        word = fuzz_until(&line, " ");

        if (word.len == 0 || word.len >= sizeof(text)) {
            continue;
        }

        memcpy(text, word.data, word.len);
        text[word.len] = '\0';

        at = strtoul(text, &end, 16);
        byte = *end == '=' ? strtoul(end + 1, NULL, 16) : 0;

        if (*end == '=' && at < out->len) {
            out->data[at] = (char) byte;

        } else if (*end == '!' && at < out->len) {
            out->len = at;              /* cut off */
        }
    }

    if (out->len < CTSEG_BLOCK_HEADER) {
        return;
    }

    if ((fix & FIX_LENGTH) != 0) {
        put_u32(out->data + 48, (uint32_t) (out->len - CTSEG_BLOCK_HEADER));
    }

    if ((fix & FIX_PAYLOAD) != 0) {
        put_u32(out->data + 52, ctseg_crc32c(0,
                                             out->data + CTSEG_BLOCK_HEADER,
                                             out->len - CTSEG_BLOCK_HEADER));
    }

    if ((fix & FIX_HEADER) != 0) {
        put_u32(out->data + 60, ctseg_crc32c(0, out->data, 60));
    }
}


/* every event that decodes is the same after another encoding */

static uint64_t
check_events(const ctseg_block_t *b)
{
    unsigned       i;
    uint64_t       n;
    ctseg_buf_t    out = { NULL, 0, 0, false };
    ctseg_str_t    rest, before, again;
    ctseg_event_t  ev, twin;

    rest = b->payload;

    for (n = 0; n < b->count; n++) {
        before = rest;

        if (ctseg_event_decode(&rest, &ev) != CTSEG_OK) {
            fuzz_check(rest.data == before.data && rest.len == before.len);
            break;
        }

        fuzz_check(ev.kind <= CTSEG_KIND_LAST
                   || ev.kind == CTSEG_KIND_PROFILE);
        fuzz_check(rest.len < before.len);
        fuzz_check(rest.data + rest.len == before.data + before.len);

        ctseg_buf_reset(&out);
        ctseg_event_encode(&out, &ev);
        again = ctseg_buf_slice(&out);
        fuzz_check(again.len <= before.len - rest.len);
        fuzz_check(ctseg_event_decode(&again, &twin) == CTSEG_OK);
        fuzz_check(again.len == 0);
        fuzz_check(twin.kind == ev.kind && twin.time_ms == ev.time_ms);
        fuzz_check(ctseg_str_eq(twin.name, ev.name));
        fuzz_check(ctseg_str_eq(twin.props, ev.props));

        for (i = 0; i < CTSEG_ID_N; i++) {
            fuzz_check(ctseg_str_eq(twin.id[i], ev.id[i]));
        }
    }

    ctseg_buf_free(&out);

    return n;
}


/* a run reads the block: its numbers add up wherever it begins and ends */

static void
check_read(ctseg_block_t *b, uint64_t skip, uint64_t good)
{
    uint64_t         damaged;
    ctseg_err_t      err;
    ctseg_read_t     r;
    ctseg_batch_t    batch;
    fuzz_store_t     fs;
    ctseg_store_t   *s;
    ctseg_pinned_t   pinned;

    s = fuzz_store_make(&fs);
    fs.block = b;

    memset(&pinned, 0, sizeof(ctseg_pinned_t));
    pinned.type = CTSEG_TYPE_EVENT;
    pinned.kinds = UINT64_MAX;
    pinned.from_ms = INT64_MIN;
    pinned.to_ms = INT64_MAX;
    pinned.user_id.field = -1;
    memcpy(pinned.user_id.property, "uid", 4);
    pinned.anonymous_id.field = CTSEG_ID_OBJECT;

    memset(&r, 0, sizeof(ctseg_read_t));
    r.pinned = &pinned;
    r.write_key = "key";
    r.incarnation = 1;
    r.after = b->first - 1 + skip;
    r.hi = ctseg_block_last(b);

    memset(&batch, 0, sizeof(ctseg_batch_t));
    fuzz_check(ctseg_read_batch(s, &r, 0, &batch, &err) == CTSEG_OK);

    fuzz_check(batch.upto > r.after && batch.upto <= r.hi);
    fuzz_check(batch.counts.scanned == batch.upto - r.after);
    fuzz_check(batch.counts.scanned == batch.counts.sent
                                       + batch.counts.filtered
                                       + batch.counts.rejected);
    fuzz_check(batch.events == batch.counts.sent);
    fuzz_check(batch.events <= CTSEG_BATCH_EVENTS);
    fuzz_check(batch.body.len <= CTSEG_BATCH_BYTES);

    /* what does not decode is not sent, and counts as damaged */

    damaged = batch.counts.rejects[CTSEG_REJECT_DAMAGED];

    fuzz_check(batch.counts.sent + batch.counts.rejected - damaged
               <= good);
    fuzz_check((damaged != 0) == (batch.ndamaged != 0));
    fuzz_check(damaged == 0 || batch.damaged[0] == b->first);

    if (batch.upto == r.hi
        && ctseg_block_may_match(b, pinned.kinds, pinned.from_ms,
                                 pinned.to_ms))
    {
        fuzz_check(damaged == b->count - (good > skip ? good : skip));
    }

    ctseg_batch_free(&batch);
}


static void
check_block(ctseg_str_t stored)
{
    char           header[CTSEG_BLOCK_HEADER];
    uint64_t       good;
    ctseg_buf_t    out = { NULL, 0, 0, false };
    ctseg_block_t  b, again;

    if (ctseg_block_decode(stored, &b) != CTSEG_OK) {
        return;
    }

    fuzz_check(b.count >= 1 && b.first >= 1);
    fuzz_check(ctseg_block_last(&b) >= b.first);
    fuzz_check(b.payload.len == stored.len - CTSEG_BLOCK_HEADER);

    ctseg_block_encode_header(header, &b);
    ctseg_buf_add(&out, header, sizeof(header));
    ctseg_buf_str(&out, b.payload);
    fuzz_check(ctseg_block_decode(ctseg_buf_slice(&out), &again)
               == CTSEG_OK);
    again.payload.data = b.payload.data;
    fuzz_check(memcmp(&b, &again, sizeof(ctseg_block_t)) == 0);
    ctseg_buf_free(&out);

    good = ctseg_block_verify(&b) == CTSEG_OK ? check_events(&b) : 0;

    check_read(&b, 0, good);
    check_read(&b, b.count / 2, good);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned     fix;
    ctseg_buf_t  out = { NULL, 0, 0, false };
    ctseg_str_t  in, line;

    in = fuzz_str(data, size);
    line = fuzz_line(&in);

    if (line.len < 2) {
        return 0;
    }

    if (line.data[0] == 'b') {
        build(&out, in);

    } else {
        ctseg_buf_str(&out, in);
    }

    fix = fuzz_choice(line, 1, 8);
    line.data += 2;
    line.len -= 2;
    edit(&out, line, fix);

    fuzz_check(!out.failed);
    check_block(ctseg_buf_slice(&out));
    ctseg_buf_free(&out);

    return 0;
}
