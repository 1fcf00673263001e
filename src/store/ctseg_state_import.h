/*
 * Records of imports.
 *
 *   import/<id>              the import, with the cursor of its walk
 *   imported/<id>/<page>     what of a page of the walk the log had already:
 *                            page in 8 hex digits; kept while the walk lasts
 *
 * A page is stored by these steps, so that whoever goes on after a crash can
 * tell: its known ones (a function of the page, and of the log as it was when
 * the walk began), the append (repeated without harm, with the id of the
 * import as producer), the import with its counts and the next cursor.
 * Pool threads.
 */

#ifndef CTSEG_STATE_IMPORT_H
#define CTSEG_STATE_IMPORT_H


#include "ctseg_store.h"
#include "../model/ctseg_import.h"


#define CTSEG_IMPORTS_MAX  100          /* that are not over */

/* id and created_ms are set here.  TOOBIG: so many are not over yet */

ctseg_rc_t ctseg_import_create(ctseg_store_t *s, ctseg_import_t *im,
    int64_t now_ms, ctseg_err_t *err);

/* *im zeroed by the caller, who frees it, whatever the answer is */

ctseg_rc_t ctseg_import_get(ctseg_store_t *s, ctseg_str_t id,
    ctseg_import_t *im, ctseg_err_t *err);

/* compare and set on im->rev: CONFLICT.  INVALID: something of it is longer
   than ctseg_import.h says */

ctseg_rc_t ctseg_import_put(ctseg_store_t *s, ctseg_import_t *im,
    ctseg_err_t *err);

/*
 * PENDING or RUNNING to STOPPED, *im (as for a get) filled with the result,
 * its revision raised; CONFLICT when it is final already (*im filled as it
 * stands).  Its owner sees it within a second.
 */

ctseg_rc_t ctseg_import_stop(ctseg_store_t *s, ctseg_str_t id,
    ctseg_stop_t reason, int64_t now_ms, ctseg_import_t *im,
    ctseg_err_t *err);

typedef bool (*ctseg_import_pt)(void *data, const ctseg_import_t *im);

/*
 * Ascending by id, that is by time of creation; im is valid during the call
 * only; false from cb ends it.
 */

ctseg_rc_t ctseg_import_list(ctseg_store_t *s, ctseg_import_pt cb,
    void *data, ctseg_err_t *err);


/*
 * Known ones of a page: n sequences, at most CTSEG_IMPORT_KNOWN_MAX.  They
 * replace what was put for this page before.
 */

#define CTSEG_IMPORT_KNOWN_MAX  8000

ctseg_rc_t ctseg_imported_put(ctseg_store_t *s, const char *import_id,
    unsigned page, const uint64_t *sequences, unsigned n, ctseg_err_t *err);

/* those of the pages before "page"; cb is called for each sequence */

typedef void (*ctseg_imported_pt)(void *data, uint64_t sequence);

ctseg_rc_t ctseg_imported_list(ctseg_store_t *s, const char *import_id,
    unsigned page, ctseg_imported_pt cb, void *data, ctseg_err_t *err);

/* forget all of them: the walk is over */

ctseg_rc_t ctseg_imported_remove(ctseg_store_t *s, const char *import_id,
    ctseg_err_t *err);


#endif /* CTSEG_STATE_IMPORT_H */
