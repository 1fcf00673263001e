/*
 * A block of the log that is not as it was written: header, events, and the
 * reader of a run on top.  What reads keeps its numbers together and is the
 * same when it is written again; what does not is CORRUPT, and a run counts
 * each event of it as damaged, no more and no less.  First "d" and the body
 * of an upload, of which a block is made, "b" for one of version 1, or "r" and
 * the bytes of one; then, in the same line, a character that says which
 * checksums are set right afterwards, and edits "offset=byte" in hexadecimal.
 */

#include "base/ctseg_crc32c.h"
#include "clevertap/ctseg_upload.h"
#include "outbox/ctseg_read.h"
#include "store/ctseg_block_iter.h"
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


static uint32_t
get_u32(const char *p)
{
    unsigned  i;
    uint32_t  v;

    for (i = 0, v = 0; i < 4; i++) {
        v |= (uint32_t) (unsigned char) p[i] << (8 * i);
    }

    return v;
}


/* a block of the events of a body; none: one event that says nothing */

static void
build(ctseg_buf_t *out, ctseg_str_t body, bool old)
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

    if (old) {
        b.version = 1;
        b.crc = ctseg_crc32c(0, b.payload.data, b.payload.len);
        b.directory.len = 0;
    }

    ctseg_block_encode_header(header, &b);

    ctseg_buf_add(out, header, sizeof(header));
    ctseg_buf_str(out, b.directory);
    ctseg_buf_str(out, b.payload);

    ctseg_block_builder_free(&bb);
    ctseg_upload_free(&u);
}


/* the checksums of what lies behind the header, whatever the version */

static void
fix_payload(ctseg_buf_t *out, size_t directory)
{
    char      *p;
    size_t     i, at, size;

    p = out->data + CTSEG_BLOCK_HEADER;
    size = out->len - CTSEG_BLOCK_HEADER;

    if (out->data[0] == 2 && directory <= size) {
        at = directory;

        for (i = 0; i < directory; i += CTSEG_BLOCK_ENTRY) {
            size = get_u32(p + i) & 0xffffff;

            if (size > out->len - CTSEG_BLOCK_HEADER - at) {
                break;
            }

            put_u32(p + i + 4, ctseg_crc32c(0, p + at, size));
            at += size;
        }

        size = directory;
    }

    put_u32(out->data + 52, ctseg_crc32c(0, p, size));
}


static void
edit(ctseg_buf_t *out, ctseg_str_t line, unsigned fix)
{
    char           *end;
    char            text[32];
    size_t          size, directory;
    ctseg_str_t     word;
    unsigned long   at, byte;

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

    size = out->len - CTSEG_BLOCK_HEADER;
    directory = 0;

    if (out->data[0] == 2) {
        directory = (size_t) get_u32(out->data + 4) * CTSEG_BLOCK_ENTRY;
    }

    if ((fix & FIX_LENGTH) != 0 && directory <= size) {
        put_u32(out->data + 48, (uint32_t) (size - directory));
    }

    if ((fix & FIX_PAYLOAD) != 0) {
        fix_payload(out, directory);
    }

    if ((fix & FIX_HEADER) != 0) {
        put_u32(out->data + 60, ctseg_crc32c(0, out->data, 60));
    }
}


/* an event that decodes is the same after another encoding */

static void
check_event(ctseg_str_t before, ctseg_str_t rest, const ctseg_event_t *ev)
{
    unsigned       i;
    ctseg_buf_t    out = { NULL, 0, 0, false };
    ctseg_str_t    again;
    ctseg_event_t  twin;

    fuzz_check(ev->kind <= CTSEG_KIND_LAST
               || ev->kind == CTSEG_KIND_PROFILE);
    fuzz_check(rest.len < before.len);
    fuzz_check(rest.data + rest.len == before.data + before.len);

    ctseg_event_encode(&out, ev);
    again = ctseg_buf_slice(&out);
    fuzz_check(again.len <= before.len - rest.len);
    fuzz_check(ctseg_event_decode(&again, &twin) == CTSEG_OK);
    fuzz_check(again.len == 0);
    fuzz_check(twin.kind == ev->kind && twin.time_ms == ev->time_ms);
    fuzz_check(ctseg_str_eq(twin.name, ev->name));
    fuzz_check(ctseg_str_eq(twin.props, ev->props));

    for (i = 0; i < CTSEG_ID_N; i++) {
        fuzz_check(ctseg_str_eq(twin.id[i], ev->id[i]));
    }

    ctseg_buf_free(&out);
}


/*
 * Which events read, found without the reader: good[i] for the i-th.  Of
 * version 1 all up to the first that does not decode, of version 2 each whose
 * record is what the directory says.
 */

static void
judge(const ctseg_block_t *b, bool *good)
{
    size_t         at, sum;
    uint32_t       i, entry;
    const char    *p;
    ctseg_str_t    rest, before, whole;
    ctseg_event_t  ev;

    memset(good, 0, b->count * sizeof(bool));
    whole = b->version == 1 ? b->payload : b->directory;

    if (ctseg_crc32c(0, whole.data, whole.len) != b->crc) {
        return;
    }

    p = b->directory.data;

    for (i = 0, sum = 0; b->version != 1 && i < b->count; i++) {
        sum += get_u32(p + 8 * i) & 0xffffff;
    }

    if (b->version != 1 && sum != b->payload.len) {
        return;
    }

    rest = b->payload;
    entry = 0;

    for (i = 0, at = 0; i < b->count; i++) {

        if (b->version != 1) {
            entry = get_u32(p + 8 * i);
            rest.data = b->payload.data + at;
            rest.len = entry & 0xffffff;
            at += rest.len;

            if (ctseg_crc32c(0, rest.data, rest.len) != get_u32(p + 8 * i + 4))
            {
                continue;
            }
        }

        before = rest;

        if (ctseg_event_decode(&rest, &ev) != CTSEG_OK) {
            fuzz_check(rest.data == before.data && rest.len == before.len);

            if (b->version == 1) {
                break;
            }

            continue;
        }

        check_event(before, rest, &ev);
        good[i] = b->version == 1
                  || (rest.len == 0 && ev.kind == entry >> 24);
    }
}


/* a run reads the block: its numbers add up wherever it begins and ends */

static void
check_read(ctseg_block_t *b, uint64_t skip, const bool *good,
    ctseg_kinds_t kinds)
{
    uint32_t         i;
    uint64_t         damaged, bad, places;
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
    pinned.kinds = kinds;
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

    /* what does not read is not sent, and counts as damaged, in as many
       places as it is in */

    damaged = batch.counts.rejects[CTSEG_REJECT_DAMAGED];
    fuzz_check((damaged != 0) == (batch.ndamaged != 0));
    fuzz_check(damaged == 0 || (batch.damaged[0] >= b->first
                                && batch.damaged[0] <= r.hi));

    for (i = (uint32_t) skip, bad = 0, places = 0;
         b->first + i <= batch.upto; i++)
    {
        bad += !good[i];
        places += !good[i] && (i == skip || good[i - 1]);
    }

    fuzz_check(damaged <= bad);

    if (kinds == UINT64_MAX && ctseg_block_may_match(b, kinds, INT64_MIN,
                                                     INT64_MAX))
    {
        fuzz_check(damaged == bad && batch.ndamaged == places);
    }

    ctseg_batch_free(&batch);
}


/* the header and what lies behind it, written again, are the same */

static void
check_again(const ctseg_block_t *b)
{
    char           header[CTSEG_BLOCK_HEADER];
    ctseg_buf_t    out = { NULL, 0, 0, false };
    ctseg_block_t  again;

    ctseg_block_encode_header(header, b);
    ctseg_buf_add(&out, header, sizeof(header));
    ctseg_buf_str(&out, b->directory);
    ctseg_buf_str(&out, b->payload);
    fuzz_check(ctseg_block_decode(ctseg_buf_slice(&out), &again)
               == CTSEG_OK);
    again.directory.data = b->directory.data;
    again.payload.data = b->payload.data;
    fuzz_check(memcmp(b, &again, sizeof(ctseg_block_t)) == 0);
    ctseg_buf_free(&out);
}


static void
check_block(ctseg_str_t stored)
{
    bool           *good, whole;
    uint32_t        i;
    ctseg_block_t   b;

    if (ctseg_block_decode(stored, &b) != CTSEG_OK) {
        return;
    }

    fuzz_check(b.version == 1 || b.version == 2);
    fuzz_check(b.count >= 1 && b.first >= 1);
    fuzz_check(ctseg_block_last(&b) >= b.first);
    fuzz_check(ctseg_block_size(&b) == stored.len);
    check_again(&b);

    good = malloc(b.count * sizeof(bool));

    if (good == NULL) {
        abort();
    }

    judge(&b, good);

    for (i = 0, whole = true; i < b.count; i++) {
        whole = whole && good[i];
    }

    fuzz_check(b.version == 1
               || whole == (ctseg_block_verify(&b) == CTSEG_OK));

    check_read(&b, 0, good, UINT64_MAX);
    check_read(&b, b.count / 2, good, UINT64_MAX);
    check_read(&b, b.count / 3, good, b.kinds & 0x5555555555555555ULL);

    free(good);
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

    if (line.data[0] == 'b' || line.data[0] == 'd') {
        build(&out, in, line.data[0] == 'b');

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
