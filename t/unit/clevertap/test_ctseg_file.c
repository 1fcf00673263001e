/*
 * Export files in pieces of every size: however a file is cut on its way, its
 * lines, parts and hashes are the same.  What would fool it is a file without
 * what is hard, so it has long lines, wrong ones, empty ones, both ends of a
 * line, and more than one part.  Then memory that lacks.
 */

#include "../../fault/ctseg_disk.c"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/ctseg_str.h"
#include "clevertap/ctseg_file.h"


static ctseg_disk_t  memory;


/* everything that came of a file, as text */

static ctseg_file_rc_t
read_file(ctseg_buf_t *out, ctseg_str_t text, size_t step)
{
    size_t           at, n;
    unsigned         i;
    ctseg_zone_t     zone;
    ctseg_file_t     f;
    ctseg_event_t    ev;
    ctseg_file_rc_t  rc;

    ctseg_zone_fixed(&zone, "+01:00", 3600);

    memset(&f, 0, sizeof(ctseg_file_t));
    f.zone = &zone;
    at = 0;

    do {
        n = text.len - at < step ? text.len - at : step;
        ctseg_file_feed(&f, (ctseg_str_t) { n, text.data + at },
                        at + n == text.len);
        at += n;

        for ( ;; ) {
            rc = ctseg_file_next(&f, &ev);

            if (rc != CTSEG_FILE_EVENT && rc != CTSEG_FILE_PART) {
                break;
            }

            if (rc == CTSEG_FILE_PART) {
                ctseg_buf_cstr(out, "part ");

                for (i = 0; i < CTSEG_HASH_LEN; i++) {
                    ctseg_buf_fmt(out, "%02x", (unsigned char) f.hash[i]);
                }

                ctseg_buf_char(out, '\n');
                continue;
            }

            ctseg_buf_str(out, ev.kind != 0 ? ctseg_catalog_name(ev.kind)
                                            : ev.name);
            ctseg_buf_fmt(out, " %llu %lld ",
                          (unsigned long long) f.lines.number,
                          (long long) ev.time_ms);
            ctseg_buf_str(out, ev.id[CTSEG_ID_IDENTITY]);
            ctseg_buf_char(out, ' ');
            ctseg_buf_str(out, ev.props);
            ctseg_buf_char(out, '\n');
        }

    } while (rc == CTSEG_FILE_MORE);

    ctseg_file_render(out, &f);
    ctseg_file_free(&f);

    return rc;
}


static ctseg_str_t
sample(ctseg_buf_t *b)
{
    unsigned  i;

    memset(b, 0, sizeof(ctseg_buf_t));
    ctseg_buf_cstr(b, "\xef\xbb\xbf\"Push \\u0049mpression\"\r\n");

    for (i = 0; i < 9000; i++) {
        ctseg_buf_fmt(b, "{\"profile\":{\"all_identities\":[\"u%u\"]},\"ts\":"
                      "20260102030405,\"eventProps\":{\"n\":%u}}%s", i, i,
                      i % 3 == 0 ? "\r\n" : i % 3 == 1 ? "\n" : "\n \t\n");

        if (i % 1000 == 7) {
            ctseg_buf_cstr(b, "{\"profile\":}\n");
        }
    }

    ctseg_buf_cstr(b, "{\"profile\":{\"identity\":\"");

    for (i = 0; i < CTSEG_FILE_LINE_MAX; i++) {
        ctseg_buf_char(b, 'x');
    }

    ctseg_buf_cstr(b, "\"}}\n{\"profile\":{\"phone\":17},\"ts\":1,"
                   "\"eventName\":\"Other\",\"deviceInfo\":{\"make\":\"A\","
                   "\"dpi\":{\"x\":[1,{}]},\"model\":null}}");
    assert_false(b->failed);

    return ctseg_buf_slice(b);
}


static void
test_pieces(void **state)
{
    size_t       i;
    ctseg_buf_t  text, whole, out;
    ctseg_str_t  file;

    static const size_t  steps[] = { 1, 2, 3, 7, 64, 1000, 4096, 100000 };

    (void) state;
    memset(&whole, 0, sizeof(ctseg_buf_t));

    file = sample(&text);
    assert_int_equal(read_file(&whole, file, file.len), CTSEG_FILE_END);
    ctseg_buf_char(&whole, '\0');

    assert_non_null(strstr(whole.data, "Push Impressions 2 1767319445000 u0 "
                           "{\"n\":0}\n"));
    assert_non_null(strstr(whole.data, "{\"n\":8999}\n"));
    assert_non_null(strstr(whole.data, "Other "));
    assert_non_null(strstr(whole.data, " 1000  {\"Make\":\"A\",\"dpi\":"
                           "{\"x\":[1,{}]}}\n"));
    assert_non_null(strstr(whole.data, "\"processed\":9001,\"failed\":10,"));

    for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        memset(&out, 0, sizeof(ctseg_buf_t));

        assert_int_equal(read_file(&out, file, steps[i]), CTSEG_FILE_END);
        ctseg_buf_char(&out, '\0');
        assert_int_equal(out.len, whole.len);
        assert_memory_equal(out.data, whole.data, whole.len);

        ctseg_buf_free(&out);
    }

    ctseg_buf_free(&whole);
    ctseg_buf_free(&text);
}


/* the hash of a part is that of all in front of it, and of nothing behind */

static void
test_hash(void **state)
{
    unsigned     i;
    char        *end;
    ctseg_buf_t  out[4];

    static const char  *files[] = {
        "A\n{\"profile\":{\"identity\":1},\"ts\":1}\n",
        "A\n{\"profile\":{\"identity\":1},\"ts\":1}\n\n",
        "B\n{\"profile\":{\"identity\":1},\"ts\":1}\n",
        "A\n{\"profile\":{\"identity\":1},\"ts\":1}"
    };

    (void) state;

    for (i = 0; i < 4; i++) {
        memset(&out[i], 0, sizeof(ctseg_buf_t));
        assert_int_equal(read_file(&out[i], ctseg_str(files[i]), 5),
                         CTSEG_FILE_END);
        ctseg_buf_char(&out[i], '\0');

        end = strstr(out[i].data, "part ");
        assert_non_null(end);
        memmove(out[i].data, end, 37);
        out[i].data[37] = '\0';
    }

    assert_string_not_equal(out[0].data, out[1].data);
    assert_string_not_equal(out[0].data, out[2].data);
    assert_string_equal(out[0].data, out[3].data);

    for (i = 0; i < 4; i++) {
        ctseg_buf_free(&out[i]);
    }
}


/* an array in the place of facts has none; it is passed over */

static void
test_arrays(void **state)
{
    ctseg_buf_t  out;

    (void) state;
    memset(&out, 0, sizeof(ctseg_buf_t));

    assert_int_equal(read_file(&out, ctseg_str(
        "A\n{\"profile\":{\"identity\":\"x\"},\"ts\":1,"
        "\"deviceInfo\":{\"make\":\"M\",\"n\":null},"
        "\"deviceInfo\":[1,{\"a\":2},[3]],"
        "\"sessionProps\":[\"s\",4,{\"b\":{\"c\":5}}]}\n"
        "{\"profile\":{\"identity\":\"y\"},\"ts\":2,"
        "\"sessionProps\":[6],\"sessionProps\":{\"d\":[7]},"
        "\"deviceInfo\":[[]]}\n"), 1000), CTSEG_FILE_END);
    ctseg_buf_char(&out, '\0');

    assert_non_null(strstr(out.data, "A 2 1000 x {\"Make\":\"M\"}\n"));
    assert_non_null(strstr(out.data, "A 3 2000 y {\"d\":[7]}\n"));
    assert_non_null(strstr(out.data, "\"processed\":2,\"failed\":0,"));
    ctseg_buf_free(&out);
}


/* nothing is left out for lack of memory without a word: all, or NOMEM */

static void
test_nomem(void **state)
{
    int64_t          n;
    ctseg_buf_t      out, whole;
    ctseg_str_t      text;
    ctseg_file_rc_t  rc;

    (void) state;

    text = ctseg_str("\"A\"\n{\"profile\":{\"identity\":\"x\"},\"ts\":1,"
                     "\"deviceInfo\":{\"a\":1}}\nwrong\n"
                     "{\"profile\":{\"identity\":\"y\"},\"ts\":2}\n");

    memset(&whole, 0, sizeof(ctseg_buf_t));
    assert_int_equal(read_file(&whole, text, 11), CTSEG_FILE_END);

    for (n = 1; n < 1000; n++) {
        memset(&out, 0, sizeof(ctseg_buf_t));
        ctseg_buf_reserve(&out, 65536);

        memset(&memory, 0, sizeof(memory));
        memory.rule[0].error = 1;
        memory.rule[0].left = n;
        memory.rule[0].kinds = CTSEG_DISK_ALLOC;

        ctseg_disk = &memory;
        rc = read_file(&out, text, 11);
        ctseg_disk = NULL;

        if (rc == CTSEG_FILE_END) {
            assert_int_equal(out.len, whole.len);
            assert_memory_equal(out.data, whole.data, whole.len);

        } else {
            assert_int_equal(rc, CTSEG_FILE_NOMEM);
        }

        ctseg_buf_free(&out);

        if (memory.rule[0].hits == 0) {
            break;
        }
    }

    assert_int_equal(rc, CTSEG_FILE_END);
#ifdef CTSEG_DISK_MEMORY
    assert_in_range(n, 6, 999);
#endif

    ctseg_buf_free(&whole);
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_nomem)
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
