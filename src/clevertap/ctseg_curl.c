/*
 * libcurl, used so that a pool thread can be told to stop: no signals, no
 * wait for a resolver that hangs, and a look at go_on at least once a second.
 * The passcode goes to the host of the URL and to nobody else: redirections
 * are not followed, and a proxy that the environment names is not asked.
 */

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "ctseg_curl.h"


#define CTSEG_CURL_CONNECT_S    10L
#define CTSEG_CURL_SILENCE_S    60L
#define CTSEG_CURL_TOTAL_S      300L
#define CTSEG_CURL_HEADERS_MAX  (256 * 1024)
#define CTSEG_CURL_RETRY_MAX_S  86400


struct ctseg_curl_s {
    CURL                  *easy;
    struct curl_slist     *headers;

    /* the request at hand */

    ctseg_curl_request_t  *request;
    size_t                 header_bytes;
    bool                   too_large;
    char                   error[CURL_ERROR_SIZE];
};


ctseg_rc_t
ctseg_curl_init(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? CTSEG_OK
                                                             : CTSEG_NOMEM;
}


void
ctseg_curl_exit(void)
{
    curl_global_cleanup();
}


ctseg_curl_t *
ctseg_curl_new(void)
{
    ctseg_curl_t  *c;

    c = calloc(1, sizeof(ctseg_curl_t));
    if (c == NULL) {
        return NULL;
    }

    c->easy = curl_easy_init();

    if (c->easy == NULL) {
        free(c);
        return NULL;
    }

    return c;
}


void
ctseg_curl_free(ctseg_curl_t *c)
{
    if (c == NULL) {
        return;
    }

    curl_easy_cleanup(c->easy);
    free(c);
}


/* ---- while it is under way ---- */


/* answers that swell when they are inflated are bounded here as well */

static size_t
ctseg_curl_on_body(char *data, size_t size, size_t n, void *ctx)
{
    ctseg_curl_t  *c;
    ctseg_buf_t   *out;

    c = ctx;
    out = &c->request->answer;

    if (size * n > CTSEG_CURL_BODY_MAX - out->len) {
        c->too_large = true;
        return 0;
    }

    ctseg_buf_add(out, data, size * n);

    return out->failed ? 0 : size * n;
}


/* curl keeps them, so they are bounded */

static size_t
ctseg_curl_on_header(char *data, size_t size, size_t n, void *ctx)
{
    ctseg_curl_t  *c;

    (void) data;

    c = ctx;
    c->header_bytes += size * n;

    if (c->header_bytes > CTSEG_CURL_HEADERS_MAX) {
        c->too_large = true;
        return 0;
    }

    return size * n;
}


static int
ctseg_curl_on_progress(void *ctx, curl_off_t dltotal, curl_off_t dlnow,
    curl_off_t ultotal, curl_off_t ulnow)
{
    ctseg_curl_t  *c;

    (void) dltotal;
    (void) dlnow;
    (void) ultotal;
    (void) ulnow;

    c = ctx;

    return c->request->go_on != NULL && !c->request->go_on(c->request->data);
}


/* ---- before ---- */


/* false: no memory, or a value that would be another header */

static bool
ctseg_curl_header(ctseg_curl_t *c, const char *name, const char *value,
    ctseg_rc_t *rc)
{
    size_t              i;
    ctseg_buf_t         line;
    struct curl_slist  *list;

    for (i = 0; value[i] != '\0'; i++) {
        if ((unsigned char) value[i] < ' ' || value[i] == 0x7f) {
            *rc = CTSEG_INVALID;
            return false;
        }
    }

    memset(&line, 0, sizeof(ctseg_buf_t));
    ctseg_buf_fmt(&line, "%s%s", name, value);
    ctseg_buf_char(&line, '\0');

    list = line.failed ? NULL : curl_slist_append(c->headers, line.data);

    if (line.data != NULL) {
        explicit_bzero(line.data, line.cap);
    }

    ctseg_buf_free(&line);

    if (list == NULL) {
        *rc = CTSEG_NOMEM;
        return false;
    }

    c->headers = list;

    return true;
}


static void
ctseg_curl_drop_headers(ctseg_curl_t *c)
{
    struct curl_slist  *h;

    for (h = c->headers; h != NULL; h = h->next) {
        explicit_bzero(h->data, strlen(h->data));
    }

    curl_slist_free_all(c->headers);
    c->headers = NULL;
}


static ctseg_rc_t
ctseg_curl_prepare(ctseg_curl_t *c)
{
    bool                   ok;
    CURL                  *e;
    ctseg_rc_t             rc;
    ctseg_curl_request_t  *r;

    e = c->easy;
    r = c->request;
    rc = CTSEG_NOMEM;

    /* it keeps its connections */

    curl_easy_reset(e);

    if (!ctseg_curl_header(c, "X-CleverTap-Account-Id: ", r->account, &rc)
        || !ctseg_curl_header(c, "X-CleverTap-Passcode: ", r->passcode, &rc)
        || !ctseg_curl_header(c, "Content-Type: ",
                              "application/json; charset=utf-8", &rc)
        || !ctseg_curl_header(c, "Expect:", "", &rc))
    {
        return rc;
    }

#define ctseg_curl_set(option, value)                                         \
    (curl_easy_setopt(e, option, value) == CURLE_OK)

    ok = ctseg_curl_set(CURLOPT_URL, r->url)
         && ctseg_curl_set(CURLOPT_PROTOCOLS_STR, "http,https")
         && ctseg_curl_set(CURLOPT_HTTPHEADER, c->headers)
         && ctseg_curl_set(CURLOPT_USERAGENT, "ctseg/" CTSEG_VERSION)
         && ctseg_curl_set(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1)
         && ctseg_curl_set(CURLOPT_ACCEPT_ENCODING, "gzip")
         && ctseg_curl_set(CURLOPT_PROXY, "")
         && ctseg_curl_set(CURLOPT_FOLLOWLOCATION, 0L)
         && ctseg_curl_set(CURLOPT_SSL_VERIFYPEER, 1L)
         && ctseg_curl_set(CURLOPT_SSL_VERIFYHOST, 2L)
         && ctseg_curl_set(CURLOPT_NOSIGNAL, 1L)
         && ctseg_curl_set(CURLOPT_QUICK_EXIT, 1L)
         && ctseg_curl_set(CURLOPT_CONNECTTIMEOUT, CTSEG_CURL_CONNECT_S)
         && ctseg_curl_set(CURLOPT_LOW_SPEED_LIMIT, 1L)
         && ctseg_curl_set(CURLOPT_LOW_SPEED_TIME, CTSEG_CURL_SILENCE_S)
         && ctseg_curl_set(CURLOPT_TIMEOUT, CTSEG_CURL_TOTAL_S)
         && ctseg_curl_set(CURLOPT_ERRORBUFFER, c->error)
         && ctseg_curl_set(CURLOPT_WRITEFUNCTION, ctseg_curl_on_body)
         && ctseg_curl_set(CURLOPT_WRITEDATA, c)
         && ctseg_curl_set(CURLOPT_HEADERFUNCTION, ctseg_curl_on_header)
         && ctseg_curl_set(CURLOPT_HEADERDATA, c)
         && ctseg_curl_set(CURLOPT_XFERINFOFUNCTION, ctseg_curl_on_progress)
         && ctseg_curl_set(CURLOPT_XFERINFODATA, c)
         && ctseg_curl_set(CURLOPT_NOPROGRESS, 0L);

    if (ok && r->ca_file != NULL) {
        ok = ctseg_curl_set(CURLOPT_CAINFO, r->ca_file)
             && ctseg_curl_set(CURLOPT_CAPATH, NULL);
    }

    if (ok && r->body.data != NULL) {
        ok = ctseg_curl_set(CURLOPT_POST, 1L)
             && ctseg_curl_set(CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t) r->body.len)
             && ctseg_curl_set(CURLOPT_POSTFIELDS, r->body.data);
    }

#undef ctseg_curl_set

    return ok ? CTSEG_OK : CTSEG_NOMEM;
}


/* ---- behind ---- */


/* seconds, or a date, of which curl makes seconds from now on */

static int64_t
ctseg_curl_retry_after(ctseg_curl_t *c)
{
    curl_off_t           s;
    struct curl_header  *header;

    if (curl_easy_header(c->easy, "Retry-After", 0, CURLH_HEADER, -1, &header)
        != CURLHE_OK
        || curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &s) != CURLE_OK)
    {
        return -1;
    }

    s = s < 0 ? 0 : s;
    s = s > CTSEG_CURL_RETRY_MAX_S ? CTSEG_CURL_RETRY_MAX_S : s;

    return (int64_t) s * 1000;
}


static void
ctseg_curl_say(ctseg_curl_request_t *r, const char *text)
{
    size_t  i;

    for (i = 0; text[i] != '\0' && i + 1 < sizeof(r->text); i++) {
        r->text[i] = text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    }

    r->text[i] = '\0';
}


static ctseg_rc_t
ctseg_curl_failed(ctseg_curl_t *c, CURLcode code)
{
    ctseg_curl_request_t  *r;

    r = c->request;

    if (r->answer.failed || code == CURLE_OUT_OF_MEMORY) {
        ctseg_curl_say(r, "out of memory");
        return CTSEG_NOMEM;
    }

    if (c->too_large) {
        ctseg_curl_say(r, "the answer is too large");
        return CTSEG_INVALID;
    }

    ctseg_curl_say(r, c->error[0] != '\0' ? c->error
                                          : curl_easy_strerror(code));

    switch (code) {

    case CURLE_ABORTED_BY_CALLBACK:
        ctseg_curl_say(r, "stopped");
        return CTSEG_CONFLICT;

    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return CTSEG_INVALID;

    default:
        return CTSEG_AGAIN;
    }
}


ctseg_rc_t
ctseg_curl_perform(ctseg_curl_t *c, ctseg_curl_request_t *r)
{
    long        status;
    CURLcode    code;
    ctseg_rc_t  rc;

    c->request = r;
    c->header_bytes = 0;
    c->too_large = false;
    c->error[0] = '\0';

    r->status = 0;
    r->retry_after_ms = -1;
    r->text[0] = '\0';
    ctseg_buf_reset(&r->answer);

    rc = ctseg_curl_prepare(c);

    if (rc != CTSEG_OK) {
        ctseg_curl_say(r, rc == CTSEG_NOMEM ? "out of memory"
                       : "account or passcode has a control character");

    } else if (r->go_on != NULL && !r->go_on(r->data)) {
        ctseg_curl_say(r, "stopped");
        rc = CTSEG_CONFLICT;

    } else {
        code = curl_easy_perform(c->easy);

        if (code != CURLE_OK) {
            rc = ctseg_curl_failed(c, code);

        } else {
            (void) curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE,
                                     &status);
            r->status = (int) status;
            r->retry_after_ms = ctseg_curl_retry_after(c);
        }
    }

    if (rc != CTSEG_OK) {
        ctseg_buf_reset(&r->answer);
    }

    (void) curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
    ctseg_curl_drop_headers(c);

    return rc;
}
