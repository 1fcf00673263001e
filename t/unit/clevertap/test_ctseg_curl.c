/*
 * Requests to a server of this test's own, which is forked, answers one
 * connection for each case and says what it was sent.
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
#include <unistd.h>
#include <cmocka.h>

#include "base/ctseg_str.h"
#include "clevertap/ctseg_curl.h"


/* what it was sent goes back behind the answer; NULL: it stays silent */

static pid_t
serve(const char *answer, bool echo, char *url, size_t size)
{
    int                 s, c;
    char                in[4096];
    pid_t               pid;
    ssize_t             n;
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
    (void) snprintf(url, size, "http://127.0.0.1:%u/p?q",
                    (unsigned) ntohs(a.sin_port));

    pid = fork();

    if (pid == 0) {
        (void) alarm(30);
        c = accept(s, NULL, NULL);
        n = recv(c, in, sizeof(in), 0);

        if (answer == NULL) {
            (void) pause();
        }

        (void) send(c, answer, strlen(answer), MSG_NOSIGNAL);

        if (echo && n > 0) {
            (void) send(c, in, (size_t) n, MSG_NOSIGNAL);
        }

        _exit(0);
    }

    (void) close(s);

    return pid;
}


static ctseg_rc_t
ask(ctseg_curl_request_t *r, const char *answer, bool echo)
{
    char           url[64];
    pid_t          pid;
    ctseg_rc_t     rc;
    ctseg_curl_t  *c;

    pid = serve(answer, echo, url, sizeof(url));
    r->url = url;
    r->account = "acc";
    r->passcode = "s3cret";

    c = ctseg_curl_new();
    assert_non_null(c);
    rc = ctseg_curl_perform(c, r);
    ctseg_curl_free(c);
    ctseg_buf_char(&r->answer, '\0');

    assert_null(strstr(r->text, "s3cret"));
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);

    return rc;
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


int
main(void)
{
    int  failed;

    const struct CMUnitTest  tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_stop)
    };

    assert_int_equal(ctseg_curl_init(), CTSEG_OK);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    ctseg_curl_exit();

    return failed;
}
