/*
 * Keys of marks.  Called by those who take events in, on pool threads, before
 * they append.  It does not know the store.
 */

#include <string.h>

#include "../base/ctseg_json.h"
#include "../base/ctseg_str.h"
#include "ctseg_mark.h"


_Static_assert(CTSEG_MARK_LEN == CTSEG_HASH_LEN, "a key is a hash");


typedef struct {
    ctseg_hash_t  *hash;
    const char    *kind;
    ctseg_str_t    account;
    char          *key;
    bool           done;
} ctseg_mark_text_t;


bool
ctseg_mark_key(ctseg_hash_t *h, const char *kind, ctseg_str_t account,
    ctseg_str_t name, char key[CTSEG_MARK_LEN])
{
    ctseg_str_t  parts[3];

    parts[0] = ctseg_str(kind);
    parts[1] = account;
    parts[2] = name;

    return ctseg_hash(h, parts, 3, key);
}


/* decoded text lives as long as the call */

static bool
ctseg_mark_token(void *data, const ctseg_json_token_t *t)
{
    ctseg_mark_text_t  *m;

    m = data;
    m->done = ctseg_mark_key(m->hash, m->kind, m->account, t->text, m->key);

    return m->done;
}


bool
ctseg_mark_raw(ctseg_hash_t *h, const char *kind, ctseg_str_t account,
    ctseg_str_t raw, char key[CTSEG_MARK_LEN])
{
    ctseg_buf_t        quoted;
    ctseg_mark_text_t  m;

    if (raw.len == 0 || memchr(raw.data, '\\', raw.len) == NULL) {
        return ctseg_mark_key(h, kind, account, raw, key);
    }

    memset(&quoted, 0, sizeof(ctseg_buf_t));

    ctseg_buf_char(&quoted, '"');
    ctseg_buf_str(&quoted, raw);
    ctseg_buf_char(&quoted, '"');

    m.hash = h;
    m.kind = kind;
    m.account = account;
    m.key = key;
    m.done = false;

    if (!quoted.failed) {
        (void) ctseg_json_scan(ctseg_buf_slice(&quoted), 1, ctseg_mark_token,
                               &m, NULL);
    }

    ctseg_buf_free(&quoted);

    return m.done;
}
