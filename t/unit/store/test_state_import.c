/*
 * Records of imports: all of one comes back; who writes an older one is told;
 * the largest one fits, a larger one is refused; a stop is for good; and what
 * of the pages of a walk was known.
 */

#include "state_test.h"

#include "../../../src/store/ctseg_state_import.h"


#define NOW  1767323045678LL


static void
civil(ctseg_civil_t *c, int day)
{
    memset(c, 0, sizeof(ctseg_civil_t));
    c->year = 2026;
    c->month = 2;
    c->day = day;
}


static void
fill(ctseg_import_t *im)
{
    memset(im, 0, sizeof(ctseg_import_t));
    (void) snprintf(im->account, sizeof(im->account), "ONE");
    ctseg_buf_add(&im->names, "one\0two", 8);
    im->nnames = 2;
    civil(&im->from, 1);
    civil(&im->to, 28);
    im->status = CTSEG_PENDING;
    im->revision = 1;
    im->seq = 1;
}


static ctseg_import_t
create(ctseg_store_t *s, int64_t now_ms)
{
    ctseg_import_t  im;

    fill(&im);
    assert_int_equal(ctseg_import_create(s, &im, now_ms, NULL), CTSEG_OK);

    return im;
}


static void
get(ctseg_store_t *s, const char *id, ctseg_import_t *im)
{
    memset(im, 0, sizeof(ctseg_import_t));
    assert_int_equal(ctseg_import_get(s, ctseg_str(id), im, NULL), CTSEG_OK);
}


static void
same_buf(ctseg_buf_t *a, ctseg_buf_t *b)
{
    assert_int_equal(a->len, b->len);

    if (a->len != 0) {
        assert_memory_equal(a->data, b->data, a->len);
    }

    ctseg_buf_free(a);
    ctseg_buf_free(b);
    memset(a, 0, sizeof(ctseg_buf_t));
    memset(b, 0, sizeof(ctseg_buf_t));
}


/* and both are freed */

static void
same(ctseg_import_t *a, ctseg_import_t *b)
{
    same_buf(&a->names, &b->names);
    same_buf(&a->cursor, &b->cursor);
    same_buf(&a->errors, &b->errors);
    assert_memory_equal(a, b, sizeof(ctseg_import_t));
}


static void
fill_rest(ctseg_import_t *im)
{
    im->profiles = true;
    im->status = CTSEG_STOPPED;
    im->stop_reason = CTSEG_STOP_ERRORS;
    im->revision = UINT64_MAX;
    im->started_ms = NOW + 1;
    im->finished_ms = NOW + 2;
    im->name = 2;
    civil(&im->walk_from, 3);
    civil(&im->walk_to, 4);
    im->base = UINT64_MAX - 1;
    im->incarnation = UINT32_MAX;
    im->page = UINT32_MAX - 1;
    im->seq = 5;
    im->cursor_hash = UINT64_MAX - 2;
    im->reopened = 6;
    im->counts.pages = 7;
    im->counts.received = 8;
    im->counts.stored = 9;
    im->counts.known = 10;
    im->counts.refused = 11;
    im->counts.profiles = 12;
    im->counts.retries = 13;
    im->forbidden[0] = 14;
    im->forbidden[1] = 15;
    im->nerrors = CTSEG_IMPORT_ERRORS_MAX;
    im->error_status = 503;
    memset(im->error, 'e', sizeof(im->error) - 1);
    im->error_ms = NOW + 3;
    im->retry_at_ms = NOW + 4;
    im->failures = 16;
    memset(im->owner, 'o', sizeof(im->owner) - 1);
    im->fence = 17;
    memset(im->account, 'a', sizeof(im->account) - 1);
}


static void
fill_buf(ctseg_buf_t *b, size_t len, char end)
{
    ctseg_buf_reset(b);

    while (b->len < len) {
        ctseg_buf_char(b, 'x');
    }

    b->data[len - 1] = end;
}


static void
test_record(void **state)
{
    st_t            *st;
    ctseg_import_t   im, again;

    (void) state;
    st = make();

    im = create(st->store, NOW);
    assert_true(im.created_ms == NOW);
    assert_int_not_equal(im.id[0], '\0');
    get(st->store, im.id, &again);
    assert_int_equal(again.nnames, 2);
    assert_int_equal(again.walk_from.year, 0);
    same(&im, &again);

    /* every field, the long ones as long as they may be */

    fill_rest(&im);
    fill_buf(&im.names, CTSEG_IMPORT_NAMES_BYTES, '\0');
    im.names.data[5] = '\0';
    fill_buf(&im.cursor, CTSEG_IMPORT_CURSOR_MAX, 'y');
    fill_buf(&im.errors, CTSEG_IMPORT_ERRORS_BYTES, 'z');
    assert_int_equal(ctseg_import_put(st->store, &im, NULL), CTSEG_OK);
    get(st->store, im.id, &again);
    same(&im, &again);

    st_free(st);
}


static void
test_refused(void **state)
{
    st_t            *st;
    ctseg_import_t   im, old;

    (void) state;
    st = make();

    /* what was never stored */

    fill(&im);
    assert_int_equal(ctseg_import_put(st->store, &im, NULL), CTSEG_INVALID);
    ctseg_import_free(&im);

    memset(&im, 0, sizeof(im));
    assert_int_equal(ctseg_import_get(st->store,
                                      ctseg_str("0193b4c5d6e7f8091a2b"), &im,
                                      NULL), CTSEG_NOTFOUND);
    assert_int_equal(ctseg_import_get(st->store, ctseg_str("../x"), &im,
                                      NULL), CTSEG_NOTFOUND);

    /* an older one */

    im = create(st->store, NOW);
    get(st->store, im.id, &old);
    im.page = 1;
    assert_int_equal(ctseg_import_put(st->store, &im, NULL), CTSEG_OK);
    assert_int_equal(ctseg_import_put(st->store, &old, NULL), CTSEG_CONFLICT);
    assert_int_equal(ctseg_import_put(st->store, &im, NULL), CTSEG_OK);
    ctseg_import_free(&old);

    /* one byte too many */

    fill_buf(&im.cursor, CTSEG_IMPORT_CURSOR_MAX + 1, 'y');
    assert_int_equal(ctseg_import_put(st->store, &im, NULL), CTSEG_INVALID);
    ctseg_buf_reset(&im.cursor);
    fill_buf(&im.errors, CTSEG_IMPORT_ERRORS_BYTES + 1, 'y');
    assert_int_equal(ctseg_import_put(st->store, &im, NULL), CTSEG_INVALID);
    ctseg_buf_reset(&im.errors);
    fill_buf(&im.names, CTSEG_IMPORT_NAMES_BYTES + 1, '\0');
    assert_int_equal(ctseg_import_put(st->store, &im, NULL), CTSEG_INVALID);

    /* a lack of memory that was not minded before */

    fill_buf(&im.names, 4, '\0');
    im.names.failed = true;
    assert_int_equal(ctseg_import_put(st->store, &im, NULL), CTSEG_NOMEM);
    ctseg_import_free(&im);

    st_free(st);
}


typedef struct {
    char      id[4][CTSEG_ID_TEXT_MAX];
    unsigned  n;
    unsigned  max;
} list_t;


static bool
list_cb(void *data, const ctseg_import_t *im)
{
    list_t  *list = data;

    assert_int_equal(im->nnames, 2);
    memcpy(list->id[list->n++], im->id, sizeof(im->id));

    return list->n < list->max;
}


static void
test_list(void **state)
{
    st_t            *st;
    list_t           list = { .n = 0, .max = 4 };
    unsigned         i;
    ctseg_err_t      err;
    ctseg_import_t   im[3], bad;

    (void) state;
    st = make();

    for (i = 0; i < 3; i++) {
        im[i] = create(st->store, NOW + (int64_t) i * 1000);
        ctseg_import_free(&im[i]);
    }

    assert_int_equal(ctseg_import_list(st->store, list_cb, &list, &err),
                     CTSEG_OK);
    assert_int_equal(list.n, 3);

    for (i = 0; i < 3; i++) {
        assert_string_equal(list.id[i], im[i].id);
    }

    list.n = 0;
    list.max = 2;
    assert_int_equal(ctseg_import_list(st->store, list_cb, &list, &err),
                     CTSEG_OK);
    assert_int_equal(list.n, 2);

    /* one that does not read is passed over and told */

    spoil(st->store, "import", im[1].id);
    list.n = 0;
    list.max = 4;
    assert_int_equal(ctseg_import_list(st->store, list_cb, &list, &err),
                     CTSEG_OK);
    assert_int_equal(err.code, CTSEG_CORRUPT);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.id[1], im[2].id);

    memset(&bad, 0, sizeof(bad));
    assert_int_equal(ctseg_import_get(st->store, ctseg_str(im[1].id), &bad,
                                      &err), CTSEG_CORRUPT);
    ctseg_import_free(&bad);

    st_free(st);
}


static void
test_stop(void **state)
{
    st_t            *st;
    unsigned         i;
    ctseg_err_t      err;
    ctseg_import_t   im, more, again;

    (void) state;
    st = make();

    im = create(st->store, NOW);
    im.status = CTSEG_RUNNING;
    im.retry_at_ms = NOW;
    assert_int_equal(ctseg_import_put(st->store, &im, NULL), CTSEG_OK);

    /* so many, and no more before one is over */

    for (i = 1; i < CTSEG_IMPORTS_MAX; i++) {
        more = create(st->store, NOW);
        ctseg_import_free(&more);
    }

    fill(&more);
    assert_int_equal(ctseg_import_create(st->store, &more, NOW, &err),
                     CTSEG_TOOBIG);

    memset(&again, 0, sizeof(again));
    assert_int_equal(ctseg_import_stop(st->store, ctseg_str(im.id),
                                       CTSEG_STOP_USER, NOW + 5, &again,
                                       NULL), CTSEG_OK);
    assert_int_equal(again.status, CTSEG_STOPPED);
    assert_int_equal(again.stop_reason, CTSEG_STOP_USER);
    assert_int_equal(again.revision, 2);
    assert_true(again.finished_ms == NOW + 5);
    assert_true(again.retry_at_ms == 0);

    /* who worked on it learns so by its next page */

    im.page++;
    assert_int_equal(ctseg_import_put(st->store, &im, NULL), CTSEG_CONFLICT);
    ctseg_import_free(&im);

    get(st->store, again.id, &im);
    same(&im, &again);

    assert_int_equal(ctseg_import_stop(st->store, ctseg_str(im.id),
                                       CTSEG_STOP_ERRORS, NOW + 6, &again,
                                       NULL), CTSEG_CONFLICT);
    assert_int_equal(again.stop_reason, CTSEG_STOP_USER);
    assert_true(again.finished_ms == NOW + 5);
    ctseg_import_free(&again);

    memset(&again, 0, sizeof(again));
    assert_int_equal(ctseg_import_stop(st->store,
                                       ctseg_str("0193b4c5d6e7f8091a2b"),
                                       CTSEG_STOP_USER, NOW, &again, NULL),
                     CTSEG_NOTFOUND);
    ctseg_import_free(&again);

    assert_int_equal(ctseg_import_create(st->store, &more, NOW, &err),
                     CTSEG_OK);
    ctseg_import_free(&more);

    st_free(st);
}


typedef struct {
    uint64_t  sum;
    unsigned  n;
} known_t;


static void
known_cb(void *data, uint64_t sequence)
{
    known_t  *known = data;

    known->sum += sequence;
    known->n++;
}


static void
check_known(ctseg_store_t *s, const char *id, unsigned page, unsigned n,
    uint64_t sum)
{
    known_t  known = { 0, 0 };

    assert_int_equal(ctseg_imported_list(s, id, page, known_cb, &known, NULL),
                     CTSEG_OK);
    assert_int_equal(known.n, n);
    assert_int_equal(known.sum, sum);
}


static void
test_known(void **state)
{
    st_t            *st;
    char             dir[64];
    uint64_t        *many;
    unsigned         i;
    known_t          known = { 0, 0 };
    ctseg_err_t      err;
    ctseg_import_t   im, other;

    static const uint64_t  three[] = { 5, 1ULL << 40, 7 };

    (void) state;
    st = make();
    im = create(st->store, NOW);
    other = create(st->store, NOW + 1);
    ctseg_import_free(&im);
    ctseg_import_free(&other);

    many = calloc(CTSEG_IMPORT_KNOWN_MAX + 1, sizeof(uint64_t));
    assert_non_null(many);

    for (i = 0; i < CTSEG_IMPORT_KNOWN_MAX; i++) {
        many[i] = 1;
    }

    check_known(st->store, im.id, 100, 0, 0);
    assert_int_equal(ctseg_imported_put(st->store, im.id, 0, three, 3, NULL),
                     CTSEG_OK);
    assert_int_equal(ctseg_imported_put(st->store, im.id, 2, NULL, 0, NULL),
                     CTSEG_OK);
    assert_int_equal(ctseg_imported_put(st->store, im.id, 300, many,
                                        CTSEG_IMPORT_KNOWN_MAX, NULL),
                     CTSEG_OK);
    assert_int_equal(ctseg_imported_put(st->store, other.id, 1, three, 1,
                                        NULL), CTSEG_OK);
    assert_int_equal(ctseg_imported_put(st->store, im.id, 4, many,
                                        CTSEG_IMPORT_KNOWN_MAX + 1, NULL),
                     CTSEG_INVALID);

    /* those before a page; numbers of pages sort as numbers */

    check_known(st->store, im.id, 0, 0, 0);
    check_known(st->store, im.id, 1, 3, (1ULL << 40) + 12);
    check_known(st->store, im.id, 300, 3, (1ULL << 40) + 12);
    check_known(st->store, im.id, 301, 8003, (1ULL << 40) + 8012);

    /* again: the same, less, none */

    assert_int_equal(ctseg_imported_put(st->store, im.id, 0, three, 3, NULL),
                     CTSEG_OK);
    check_known(st->store, im.id, 1, 3, (1ULL << 40) + 12);
    assert_int_equal(ctseg_imported_put(st->store, im.id, 0, three, 1, NULL),
                     CTSEG_OK);
    check_known(st->store, im.id, 1, 1, 5);
    assert_int_equal(ctseg_imported_put(st->store, im.id, 0, NULL, 0, NULL),
                     CTSEG_OK);
    check_known(st->store, im.id, 1, 0, 0);

    /* one that does not read is passed over, told, and can be put again */

    assert_int_equal(ctseg_imported_put(st->store, im.id, 0, three, 3, NULL),
                     CTSEG_OK);
    (void) snprintf(dir, sizeof(dir), "imported/%s", im.id);
    spoil(st->store, dir, "00000000");
    memset(&err, 0, sizeof(err));
    assert_int_equal(ctseg_imported_list(st->store, im.id, 1, known_cb,
                                         &known, &err), CTSEG_OK);
    assert_int_equal(known.n, 0);
    assert_int_equal(err.code, CTSEG_CORRUPT);
    assert_int_equal(ctseg_imported_put(st->store, im.id, 0, three, 3, NULL),
                     CTSEG_OK);
    check_known(st->store, im.id, 1, 3, (1ULL << 40) + 12);

    /* the walk is over, that of the other one is not */

    assert_int_equal(ctseg_imported_remove(st->store, im.id, NULL), CTSEG_OK);
    check_known(st->store, im.id, 1000, 0, 0);
    check_known(st->store, other.id, 1000, 1, 5);
    assert_int_equal(count(st->store, "imported/"), 1);
    assert_int_equal(ctseg_imported_remove(st->store, im.id, NULL), CTSEG_OK);

    for (i = 0; i < 3; i++) {
        assert_int_equal(i == 0 ? ctseg_imported_put(st->store, "x", 0, three,
                                                     3, NULL)
                         : i == 1 ? ctseg_imported_list(st->store, "x", 1,
                                                        known_cb, &known,
                                                        NULL)
                         : ctseg_imported_remove(st->store, "x", NULL),
                         CTSEG_NOTFOUND);
    }

    free(many);
    st_free(st);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_known)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
