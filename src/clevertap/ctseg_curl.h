/*
 * HTTP requests to CleverTap, one at a time.  The only file that knows
 * libcurl.  A thread that may block, and one at a time for each handle.
 */

#ifndef CTSEG_CURL_H
#define CTSEG_CURL_H


#include "../base/ctseg_str.h"


#define CTSEG_CURL_BODY_MAX  (64 * 1024 * 1024)


typedef struct ctseg_curl_s  ctseg_curl_t;      /* keeps its connection */


typedef struct {
    const char   *url;                  /* http: or https: */
    const char   *account;              /* X-CleverTap-Account-Id */
    const char   *passcode;             /* X-CleverTap-Passcode; secret */
    const char   *ca_file;              /* NULL: the system's */
    ctseg_str_t   body;                 /* of a POST; data NULL: a GET */

    /*
     * Asked about once a second while the request is under way: false ends
     * it at once.
     */

    bool        (*go_on)(void *data);
    void         *data;

    /* the answer */

    int           status;               /* 0: there is none, see text */
    int64_t       retry_after_ms;       /* Retry-After; -1: none */
    ctseg_buf_t   answer;               /* its body; the caller frees it */
    char          text[160];            /* what went wrong; no secrets */
} ctseg_curl_request_t;


/* once in a process, before other threads run, and at its end */

ctseg_rc_t ctseg_curl_init(void);
void ctseg_curl_exit(void);

ctseg_curl_t *ctseg_curl_new(void);             /* NULL: no memory */
void ctseg_curl_free(ctseg_curl_t *c);          /* NULL is fine */

/*
 * OK: r->status and r->answer are whole.  AGAIN: the network, TLS or a time
 * limit (connect 10 s, silence 60 s, 300 s in all), text says which; a
 * certificate that does not verify is INVALID.  TOO_LARGE style answers are
 * INVALID as well.  ABORTED is told as CONFLICT: go_on said no.  NOMEM.
 * Redirects are not followed: their status is the answer.  No proxy is used,
 * whatever the environment says, since it would be told the passcode.
 */

ctseg_rc_t ctseg_curl_perform(ctseg_curl_t *c, ctseg_curl_request_t *r);


#endif /* CTSEG_CURL_H */
