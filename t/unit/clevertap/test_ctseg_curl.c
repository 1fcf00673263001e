/*
 * Requests to a server of this test's own, which is forked, answers what a
 * case says and tells what it was sent.  Its answers are as wrong as a server
 * can be: cut, swollen, endless, or of somebody else with a certificate of
 * his own.
 * link: -lssl
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <zlib.h>
#include <cmocka.h>

#include "base/ctseg_str.h"
#include "clevertap/ctseg_curl.h"


/* what it was sent goes back behind the answer; NULL: it stays silent */

typedef struct {
    ctseg_str_t  bytes;
    bool         echo;
} answer_t;


static pid_t
start(void (*serve)(int s, void *data), void *data, const char *scheme,
    char *url, size_t size)
{
    int                 s;
    pid_t               pid;
    socklen_t           len;
    struct sockaddr_in  a;

    memset(&a, 0, sizeof(a));
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = sizeof(a);

    s = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *) &a, len), 0);
    assert_int_equal(listen(s, 5), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *) &a, &len), 0);
    (void) snprintf(url, size, "%s://127.0.0.1:%u/p?q", scheme,
                    (unsigned) ntohs(a.sin_port));

    pid = fork();

    if (pid == 0) {
        (void) alarm(60);
        serve(s, data);
        _exit(0);
    }

    (void) close(s);

    return pid;
}


static void
stop(pid_t pid)
{
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
}


static void
serve_answer(int s, void *data)
{
    int        c;
    char       in[4096];
    size_t     sent;
    ssize_t    n, out;
    answer_t  *a = data;

    c = accept(s, NULL, NULL);
    n = recv(c, in, sizeof(in), 0);

    if (a->bytes.data == NULL) {
        (void) pause();
    }

    for (sent = 0; sent < a->bytes.len; sent += (size_t) out) {
        out = send(c, a->bytes.data + sent, a->bytes.len - sent,
                   MSG_NOSIGNAL);

        if (out <= 0) {
            return;
        }
    }

    if (a->echo && n > 0) {
        (void) send(c, in, (size_t) n, MSG_NOSIGNAL);
    }
}


static ctseg_rc_t
perform(ctseg_curl_t *c, ctseg_curl_request_t *r)
{
    ctseg_rc_t  rc;

    r->account = "acc";
    r->passcode = "s3cret";
    rc = ctseg_curl_perform(c, r);
    assert_null(strstr(r->text, "s3cret"));
    assert_int_equal(r->text[0] == '\0', rc == CTSEG_OK);
    assert_int_equal(r->status == 0, rc != CTSEG_OK);
    ctseg_buf_char(&r->answer, '\0');

    return rc;
}


static ctseg_rc_t
ask_bytes(ctseg_curl_request_t *r, ctseg_str_t bytes, bool echo)
{
    char           url[64];
    pid_t          pid;
    answer_t       a = { bytes, echo };
    ctseg_rc_t     rc;
    ctseg_curl_t  *c;

    pid = start(serve_answer, &a, "http", url, sizeof(url));
    r->url = url;
    c = ctseg_curl_new();
    assert_non_null(c);
    rc = perform(c, r);
    ctseg_curl_free(c);
    stop(pid);

    return rc;
}


static ctseg_rc_t
ask(ctseg_curl_request_t *r, const char *answer, bool echo)
{
    ctseg_str_t  silence = { 0, NULL };

    return ask_bytes(r, answer != NULL ? ctseg_str(answer) : silence, echo);
}


static void
test_answers(void **state)
{
    ctseg_curl_request_t  r;

    (void) state;
    (void) setenv("http_proxy", "http://127.0.0.1:1", 1);

    memset(&r, 0, sizeof(r));
    r.body = ctseg_str("{\"a\":1}");
    assert_int_equal(ask(&r, "HTTP/1.1 429 No\r\nRetry-After: 7\r\n"
                         "Connection: close\r\n\r\n", true), CTSEG_OK);
    assert_int_equal(r.status, 429);
    assert_int_equal(r.retry_after_ms, 7000);
    assert_non_null(strstr(r.answer.data, "POST /p?q HTTP/1.1"));
    assert_non_null(strstr(r.answer.data, "X-CleverTap-Account-Id: acc\r\n"));
    assert_non_null(strstr(r.answer.data, "X-CleverTap-Passcode: s3cret\r\n"));
    ctseg_buf_free(&r.answer);

    memset(&r, 0, sizeof(r));
    assert_int_equal(ask(&r, "HTTP/1.1 302 Go\r\nContent-Length: 0\r\n"
                         "Location: /other\r\n\r\n", false), CTSEG_OK);
    assert_int_equal(r.status, 302);
    assert_int_equal(r.retry_after_ms, -1);
    ctseg_buf_free(&r.answer);

    memset(&r, 0, sizeof(r));
    assert_int_equal(ask(&r, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",
                         false), CTSEG_AGAIN);
    assert_int_equal(r.status, 0);
    assert_int_equal(r.answer.len, 1);
    assert_int_not_equal(r.text[0], '\0');
    ctseg_buf_free(&r.answer);
}


static bool
go_on(void *data)
{
    return ++*(unsigned *) data < 3;
}


static void
test_stop(void **state)
{
    unsigned              n = 0;
    ctseg_curl_t         *c;
    ctseg_curl_request_t  r;

    (void) state;

    memset(&r, 0, sizeof(r));
    r.go_on = go_on;
    r.data = &n;
    assert_int_equal(ask(&r, NULL, false), CTSEG_CONFLICT);
    assert_int_equal(n, 3);
    ctseg_buf_free(&r.answer);

    /* never sent: another scheme, another header */

    memset(&r, 0, sizeof(r));
    r.url = "file:///dev/null";
    r.account = "a";
    r.passcode = "b";
    c = ctseg_curl_new();
    assert_int_equal(ctseg_curl_perform(c, &r), CTSEG_INVALID);
    r.url = "http://127.0.0.1:1/";
    r.passcode = "b\r\nX: y";
    assert_int_equal(ctseg_curl_perform(c, &r), CTSEG_INVALID);
    r.passcode = "b";
    assert_int_equal(ctseg_curl_perform(c, &r), CTSEG_AGAIN);
    ctseg_curl_free(c);
    ctseg_buf_free(&r.answer);
}


/* ---- answers that swell ---- */


/* n bytes behind the head, as they are or packed */

static ctseg_str_t
swell(ctseg_buf_t *b, size_t n, bool packed)
{
    char      in[65536], out[65536];
    size_t    step;
    z_stream  z;

    ctseg_buf_free(b);
    ctseg_buf_cstr(b, "HTTP/1.1 200 OK\r\nConnection: close\r\n");
    ctseg_buf_cstr(b, packed ? "Content-Encoding: gzip\r\n\r\n" : "\r\n");
    memset(in, 'x', sizeof(in));
    memset(&z, 0, sizeof(z));
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8,
                                  Z_DEFAULT_STRATEGY), Z_OK);

    for ( /* void */ ; n != 0; n -= step) {
        step = n < sizeof(in) ? n : sizeof(in);

        if (!packed) {
            ctseg_buf_add(b, in, step);
            continue;
        }

        z.next_in = (unsigned char *) in;
        z.avail_in = (unsigned) step;

        do {
            z.next_out = (unsigned char *) out;
            z.avail_out = sizeof(out);
            (void) deflate(&z, n == step ? Z_FINISH : Z_NO_FLUSH);
            ctseg_buf_add(b, out, sizeof(out) - z.avail_out);
        } while (z.avail_out == 0);
    }

    (void) deflateEnd(&z);
    assert_false(b->failed);

    return ctseg_buf_slice(b);
}


static void
test_size(void **state)
{
    size_t                i, j;
    ctseg_rc_t            rc;
    ctseg_buf_t           b;
    ctseg_curl_request_t  r;

    static const size_t  sizes[] = {
        1, 100000, CTSEG_CURL_BODY_MAX, CTSEG_CURL_BODY_MAX + 1,
        CTSEG_CURL_BODY_MAX * 2UL
    };

    (void) state;
    memset(&b, 0, sizeof(b));

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (j = 0; j < 2; j++) {
            memset(&r, 0, sizeof(r));
            rc = ask_bytes(&r, swell(&b, sizes[i], j), false);

            if (sizes[i] <= CTSEG_CURL_BODY_MAX) {
                assert_int_equal(rc, CTSEG_OK);
                assert_int_equal(r.answer.len, sizes[i] + 1);
                assert_int_equal(r.answer.data[sizes[i] - 1], 'x');

            } else {
                assert_int_equal(rc, CTSEG_INVALID);
                assert_string_equal(r.text, "the answer is too large");
                assert_int_equal(r.answer.len, 1);
            }

            ctseg_buf_free(&r.answer);
        }
    }

    /* headers that do not end, and what is not packed as it says */

    ctseg_buf_free(&b);
    ctseg_buf_cstr(&b, "HTTP/1.1 200 OK\r\n");

    for (i = 0; i < 30000; i++) {
        ctseg_buf_cstr(&b, "X-Header: x\r\n");
    }

    memset(&r, 0, sizeof(r));
    assert_int_equal(ask_bytes(&r, ctseg_buf_slice(&b), false),
                     CTSEG_INVALID);
    assert_string_equal(r.text, "the answer is too large");
    ctseg_buf_free(&r.answer);
    ctseg_buf_free(&b);

    memset(&r, 0, sizeof(r));
    assert_int_equal(ask(&r, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                         "Content-Encoding: gzip\r\n\r\n{}", false),
                     CTSEG_AGAIN);
    ctseg_buf_free(&r.answer);
}


/* ---- one connection ---- */


/* each answer says which request of which connection it is for */

static void
serve_numbers(int s, void *data)
{
    int       c;
    char      in[4096], out[200];
    unsigned  i, j;

    (void) data;

    for (i = 1; i < 10; i++) {
        c = accept(s, NULL, NULL);

        for (j = 1; recv(c, in, sizeof(in), 0) > 0; j++) {
            (void) snprintf(out, sizeof(out), "HTTP/1.1 %s\r\n"
                            "Content-Length: 3\r\n\r\n%u/%u",
                            j == 1 ? "503 No\r\nRetry-After: 9" : "200 OK",
                            i, j);
            (void) send(c, out, strlen(out), MSG_NOSIGNAL);
        }

        (void) close(c);
    }
}


static void
test_connection(void **state)
{
    char                   url[64];
    pid_t                  pid;
    unsigned               i;
    ctseg_curl_t          *c;
    ctseg_curl_request_t   r;

    static const char  *const answers[] = { "1/1", "1/2", "1/3" };

    (void) state;
    pid = start(serve_numbers, NULL, "http", url, sizeof(url));
    c = ctseg_curl_new();
    memset(&r, 0, sizeof(r));

    for (i = 0; i < 3; i++) {

        /* nothing is left of the request before: not its body, not a wait */

        r.url = url;
        r.body.data = i == 1 ? "{}" : NULL;
        r.body.len = i == 1 ? 2 : 0;
        assert_int_equal(perform(c, &r), CTSEG_OK);
        assert_string_equal(r.answer.data, answers[i]);
        assert_int_equal(r.status, i == 0 ? 503 : 200);
        assert_int_equal(r.retry_after_ms, i == 0 ? 9000 : -1);
    }

    ctseg_curl_free(c);
    ctseg_buf_free(&r.answer);
    stop(pid);
}


static void
test_retry_after(void **state)
{
    char                  answer[200], date[64];
    size_t                i;
    time_t                t;
    struct tm             tm;
    ctseg_curl_request_t  r;

    static const struct {
        int          date;              /* seconds from now, or 0: a text */
        const char  *text;
        int64_t      lo;
        int64_t      hi;
    } cases[] = {
        { 7200, NULL, 7100000, 7200000 },
        { -7200, NULL, 0, 0 },
        { 200000, NULL, 86400000, 86400000 },
        { 0, "0", 0, 0 },
        { 0, "99999999999999999999", 0, 86400000 },
        { 0, "-5", 0, 0 },
        { 0, "soon", 0, 0 }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        t = time(NULL) + cases[i].date;
        (void) strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT",
                        gmtime_r(&t, &tm));
        (void) snprintf(answer, sizeof(answer), "HTTP/1.1 429 No\r\n"
                        "Retry-After: %s\r\nContent-Length: 0\r\n\r\n",
                        cases[i].text != NULL ? cases[i].text : date);

        memset(&r, 0, sizeof(r));
        assert_int_equal(ask(&r, answer, false), CTSEG_OK);
        assert_in_range(r.retry_after_ms, cases[i].lo, cases[i].hi);
        ctseg_buf_free(&r.answer);
    }
}


/* ---- who it is ---- */


typedef struct {
    EVP_PKEY  *key;
    X509      *cert;
} identity_t;


/* a certificate that nobody but itself vouches for */

static void
make_identity(identity_t *id, const char *names, long until, char *path,
    size_t size)
{
    int              fd;
    FILE            *f;
    const char      *tmp;
    X509_NAME       *name;
    X509V3_CTX       ctx;
    X509_EXTENSION  *ext;

    id->key = EVP_EC_gen("P-256");
    id->cert = X509_new();
    assert_non_null(id->key);
    assert_non_null(id->cert);

    name = X509_get_subject_name(id->cert);
    (void) X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                      (const unsigned char *) "test", -1, -1,
                                      0);
    (void) X509_set_version(id->cert, 2);
    (void) ASN1_INTEGER_set(X509_get_serialNumber(id->cert), 1);
    (void) X509_gmtime_adj(X509_getm_notBefore(id->cert), -7200);
    (void) X509_gmtime_adj(X509_getm_notAfter(id->cert), until);
    (void) X509_set_issuer_name(id->cert, name);
    (void) X509_set_pubkey(id->cert, id->key);

    X509V3_set_ctx(&ctx, id->cert, id->cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, names);
    assert_non_null(ext);
    (void) X509_add_ext(id->cert, ext, -1);
    X509_EXTENSION_free(ext);
    assert_int_not_equal(X509_sign(id->cert, id->key, EVP_sha256()), 0);

    tmp = getenv("TMPDIR");
    (void) snprintf(path, size, "%.200s/ctseg-curl-XXXXXX",
                    tmp == NULL || tmp[0] == '\0' ? "/tmp" : tmp);
    fd = mkstemp(path);
    assert_int_not_equal(fd, -1);
    f = fdopen(fd, "w");
    assert_int_equal(PEM_write_X509(f, id->cert), 1);
    assert_int_equal(fclose(f), 0);
}


static void
serve_tls(int s, void *data)
{
    int          c, i;
    SSL         *ssl;
    char         in[4096];
    SSL_CTX     *ctx;
    identity_t  *id = data;

    static const char  answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
                                  "\r\n{}";

    (void) signal(SIGPIPE, SIG_IGN);
    ctx = SSL_CTX_new(TLS_server_method());
    (void) SSL_CTX_use_certificate(ctx, id->cert);
    (void) SSL_CTX_use_PrivateKey(ctx, id->key);

    for (i = 0; i < 10; i++) {
        c = accept(s, NULL, NULL);
        ssl = SSL_new(ctx);
        (void) SSL_set_fd(ssl, c);

        if (SSL_accept(ssl) == 1 && SSL_read(ssl, in, sizeof(in)) > 0) {
            (void) SSL_write(ssl, answer, sizeof(answer) - 1);
            (void) SSL_shutdown(ssl);
        }

        SSL_free(ssl);
        (void) close(c);
    }
}


static void
test_certificate(void **state)
{
    char                   url[64], path[300];
    pid_t                  pid;
    size_t                 i;
    identity_t             id;
    ctseg_curl_t          *c;
    ctseg_curl_request_t   r;

    static const struct {
        const char  *names;
        long         until;
        bool         trusted;
        ctseg_rc_t   rc;
    } cases[] = {
        { "IP:127.0.0.1", 7200, true, CTSEG_OK },
        { "IP:127.0.0.1", 7200, false, CTSEG_INVALID },
        { "IP:127.0.0.2,DNS:localhost", 7200, true, CTSEG_INVALID },
        { "IP:127.0.0.1", -3600, true, CTSEG_INVALID }
    };

    (void) state;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        make_identity(&id, cases[i].names, cases[i].until, path,
                      sizeof(path));
        pid = start(serve_tls, &id, "https", url, sizeof(url));
        c = ctseg_curl_new();

        memset(&r, 0, sizeof(r));
        r.url = url;
        r.ca_file = cases[i].trusted ? path : NULL;
        assert_int_equal(perform(c, &r), cases[i].rc);

        if (cases[i].rc == CTSEG_OK) {
            assert_string_equal(r.answer.data, "{}");

            /* trusted for that request and not for the next one */

            r.ca_file = NULL;
            assert_int_equal(perform(c, &r), CTSEG_INVALID);
            r.ca_file = "/nowhere/at/all";
            assert_int_equal(perform(c, &r), CTSEG_INVALID);
        }

        ctseg_curl_free(c);
        ctseg_buf_free(&r.answer);
        stop(pid);
        (void) unlink(path);
        X509_free(id.cert);
        EVP_PKEY_free(id.key);
    }
}


int
main(void)
{
    int  failed;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_certificate)
    };

    assert_int_equal(ctseg_curl_init(), CTSEG_OK);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ctseg_curl_exit();

    return failed;
}
