/*
 * The codes and their words in one table, for whoever counts.  The order is
 * that of the codes and is stored nowhere.
 */

#include "ctseg_refusal.h"

#include <stddef.h>


static const struct {
    int          first;         /* codes from this one */
    int          last;          /* to this one */
    const char  *name;
} ctseg_refusals[CTSEG_REFUSAL_N] = {
    { CTSEG_CODE_NO_NAME, CTSEG_CODE_NO_NAME, "no_name" },
    { CTSEG_CODE_STRUCTURE, CTSEG_CODE_STRUCTURE, "structure" },
    { CTSEG_CODE_GENDER, CTSEG_CODE_PHONE, "profile" },
    { CTSEG_CODE_PROPERTIES, CTSEG_CODE_PROPERTIES, "properties" },
    { CTSEG_CODE_NO_IDENTITY, CTSEG_CODE_NO_IDENTITY, "no_identity" },
    { CTSEG_CODE_TYPE, CTSEG_CODE_TYPE, "type" },
    { CTSEG_CODE_TS, CTSEG_CODE_TS, "ts" },
    { CTSEG_CODE_OBJECT_ID, CTSEG_CODE_OBJECT_ID, "object_id" },
    { CTSEG_CODE_OTHER, CTSEG_CODE_OTHER, "other" }
};


unsigned
ctseg_refusal_of(int code)
{
    unsigned  i;

    for (i = 0; i < CTSEG_REFUSAL_N - 1; i++) {
        if (code >= ctseg_refusals[i].first && code <= ctseg_refusals[i].last)
        {
            break;
        }
    }

    return i;
}


const char *
ctseg_refusal_name(unsigned refusal)
{
    return refusal < CTSEG_REFUSAL_N ? ctseg_refusals[refusal].name : NULL;
}
