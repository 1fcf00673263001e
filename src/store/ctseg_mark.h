/*
 * What marks of the store stand for, and their keys.  A key is a hash of what
 * kind of thing it is, whose, and its name, so that kinds and accounts cannot
 * meet, and nobody can make the event of another one seem to be there.
 */

#ifndef CTSEG_MARK_H
#define CTSEG_MARK_H


#include "../base/ctseg_hash.h"
#include "ctseg_store.h"


/* kinds; their texts are part of what is on the disk */

#define CTSEG_MARK_EVENT  "event"       /* an event by its client's own id */
#define CTSEG_MARK_PART   "part"        /* a part of an export file */
#define CTSEG_MARK_PROFILE  "profile"   /* what an import, which stands for
                                           the account, said of a profile */


/*
 * The key of the thing of that kind and name of an account (empty: none is
 * told).  false: no memory.
 */

bool ctseg_mark_key(ctseg_hash_t *h, const char *kind, ctseg_str_t account,
    ctseg_str_t name, char key[CTSEG_MARK_LEN]);

/*
 * The same with a name that is the raw inside of a JSON string: however it is
 * escaped, the same text has the same key.
 */

bool ctseg_mark_raw(ctseg_hash_t *h, const char *kind, ctseg_str_t account,
    ctseg_str_t raw, char key[CTSEG_MARK_LEN]);


#endif /* CTSEG_MARK_H */
