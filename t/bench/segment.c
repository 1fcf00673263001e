/*
 * Segment for the benchmark: takes batches as fast as the kernel hands them
 * over, and counts.  One thread; a body is looked at once, as it comes, and
 * not kept.  It counts messages ("messageId") and the unique numbers of the
 * load generator among their properties ("seq"): so many different ones, so
 * many twice.  What counts is a batch that was answered with 200; the others
 * are "refused".
 *
 *     segment [-l MS] [-i FIRST,N] [-a FILE] PORT
 *
 *     -l MS       answers a batch after so many ms, many at the same time
 *     -i FIRST,N  the numbers are FIRST and the next ones, N in all
 *     -a FILE     int64[N]: when each arrived, in ns of CLOCK_MONOTONIC
 *
 *     GET /stats                what was counted, as JSON
 *     POST /control?reset       counts from zero
 *     POST /control?answer=503  answers batches so from now on
 *     POST /control?latency=MS  as -l from now on, also for those that wait
 *     POST /control?wait=N      is answered when N different numbers are there
 *     POST anything else        a batch
 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "segment_counts.h"
#include "segment_scan.h"


#define SEGMENT_READ    (1024 * 1024)
#define SEGMENT_HEAD    8192
#define SEGMENT_EVENTS  256                 /* of one epoll_wait() */

/* where in a request a connection is */

enum {
    SEGMENT_AT_HEAD = 0,
    SEGMENT_AT_BODY,
    SEGMENT_AT_SIZE,                        /* the line before a chunk */
    SEGMENT_AT_CRLF,                        /* the one behind it */
    SEGMENT_AT_TRAILER,
    SEGMENT_AT_ANSWER                       /* read, and not answered yet */
};

typedef struct conn_s  conn_t;

struct conn_s {
    int           fd;
    int           at;
    bool          chunked;
    bool          batch;
    bool          queued;                   /* waits for its time */
    int64_t       due;
    uint64_t      awaits;                   /* different numbers, or 0 */
    conn_t       *prev;                     /* of those that wait */
    conn_t       *next;
    uint64_t      left;                     /* of the body or chunk */
    uint64_t      bytes;                    /* of the body so far */
    scan_t        scan;
    size_t        len;
    char          target[256];
    char          head[SEGMENT_HEAD];       /* a head or line so far */
};

static int        poller;
static char       input[SEGMENT_READ];
static conn_t     waiting = { .prev = &waiting, .next = &waiting };
static conn_t     awaiting = { .prev = &awaiting, .next = &awaiting };

static int        answer = 200;
static int64_t    latency;                  /* ns */


static void
unlink_conn(conn_t *c)
{
    if (c->queued) {
        c->prev->next = c->next;
        c->next->prev = c->prev;
        c->queued = false;
    }
}


static void
link_conn(conn_t *after, conn_t *c)
{
    c->prev = after;
    c->next = after->next;
    after->next->prev = c;
    after->next = c;
    c->queued = true;
}


static void
close_conn(conn_t *c)
{
    if (c->at != SEGMENT_AT_HEAD && c->batch) {
        in_flight--;
        counts.broken += c->at != SEGMENT_AT_ANSWER;
    }

    unlink_conn(c);
    scan_free(&c->scan);
    close(c->fd);
    free(c);
}


static bool
reply(conn_t *c, int status, const char *body, size_t len)
{
    int      n;
    size_t   size, sent;
    char    *out;
    ssize_t  rc;

    out = malloc(len + 256);
    if (out == NULL) {
        fail("malloc");
    }

    n = snprintf(out, 256, "HTTP/1.1 %d %s\r\n"
                 "Content-Type: application/json\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 status, status == 200 ? "OK" : "Refused", len);
    memcpy(out + n, body, len);
    size = (size_t) n + len;

    for (sent = 0; sent < size; sent += (size_t) rc) {
        rc = send(c->fd, out + sent, size - sent, MSG_NOSIGNAL);

        /* only the longest answers, to a slow reader, have to wait here */

        if (rc == -1 && errno == EAGAIN) {
            usleep(1000);
            rc = 0;
        }

        if (rc == -1) {
            break;
        }
    }

    free(out);

    return sent == size;
}


static bool
reply_batch(conn_t *c)
{
    static const char  yes[] = "{\"success\":true}";
    static const char  no[] = "{\"success\":false}";

    /* counted now: who does not hear of it may send it again */

    if (answer == 200) {
        count_batch(c->bytes, c->scan.messages, c->scan.seqs, c->scan.nseqs);

    } else {
        counts.refused++;
    }

    in_flight--;
    c->batch = false;

    return answer == 200 ? reply(c, 200, yes, sizeof(yes) - 1)
                         : reply(c, answer, no, sizeof(no) - 1);
}


/* none waits longer than this; they stay in the order of their times */

static void
set_latency(int64_t ns)
{
    conn_t   *c;
    int64_t   due;

    latency = ns;
    due = now_ns() + latency;

    for (c = waiting.next; c != &waiting; c = c->next) {
        c->due = c->due < due ? c->due : due;
    }
}


static bool
reply_control(conn_t *c, const char *query)
{
    if (strcmp(query, "reset") == 0) {
        reset_counts();

    } else if (strncmp(query, "answer=", 7) == 0) {
        answer = (int) strtol(query + 7, NULL, 10);

    } else if (strncmp(query, "latency=", 8) == 0) {
        set_latency((int64_t) (strtod(query + 8, NULL) * 1e6));

    } else if (strncmp(query, "wait=", 5) == 0) {
        c->awaits = strtoul(query + 5, NULL, 10);

        if (counts.distinct < c->awaits) {
            link_conn(awaiting.prev, c);
            return true;
        }

    } else {
        return reply(c, 400, "{}", 2);
    }

    c->at = SEGMENT_AT_HEAD;

    return reply(c, 200, "{}", 2);
}


/* a request is there as a whole: false if the connection is of no more use */

static bool
request(conn_t *c)
{
    size_t       len;
    conn_t      *after;
    const char  *text;

    c->at = SEGMENT_AT_ANSWER;

    if (c->batch) {
        scan_end(&c->scan);

        if (latency == 0) {
            c->at = SEGMENT_AT_HEAD;
            return reply_batch(c);
        }

        /* in the order of their times: nearly always the last place */

        c->due = now_ns() + latency;

        for (after = waiting.prev; after != &waiting; after = after->prev) {
            if (after->due <= c->due) {
                break;
            }
        }

        link_conn(after, c);

        return true;
    }

    if (strncmp(c->target, "/control?", 9) == 0) {
        return reply_control(c, c->target + 9);
    }

    c->at = SEGMENT_AT_HEAD;

    if (strcmp(c->target, "/stats") == 0) {
        text = stats(&len);
        return reply(c, 200, text, len);
    }

    return reply(c, 404, "{}", 2);
}


/* the head of a request, ended by a zero */

static bool
head(conn_t *c)
{
    bool         get;
    char        *p;
    const char  *line;

    get = strncmp(c->head, "GET ", 4) == 0;

    if (!get && strncmp(c->head, "POST ", 5) != 0) {
        return false;
    }

    p = c->head + (get ? 4 : 5);
    snprintf(c->target, sizeof(c->target), "%.*s",
             (int) strcspn(p, " \r"), p);

    c->batch = !get && strncmp(c->target, "/control?", 9) != 0;
    c->chunked = false;
    c->left = 0;
    c->bytes = 0;
    scan_start(&c->scan);

    for (line = strstr(p, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;

        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            c->left = strtoul(line + 15, NULL, 10);

        } else if (strncasecmp(line, "Transfer-Encoding: chunked", 26) == 0) {
            c->chunked = true;

        } else if (strncasecmp(line, "Expect:", 7) == 0
                   && send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25,
                           MSG_NOSIGNAL) != 25)
        {
            return false;
        }
    }

    if (c->batch) {
        in_flight++;

        if (in_flight > counts.in_flight_max) {
            counts.in_flight_max = in_flight;
        }
    }

    c->at = c->chunked ? SEGMENT_AT_SIZE : SEGMENT_AT_BODY;

    return true;
}


/* a line, or a head, is complete in c->head */

static bool
line(conn_t *c)
{
    if (c->at == SEGMENT_AT_HEAD) {
        return head(c) && (c->chunked || c->left != 0 || request(c));
    }

    if (c->at == SEGMENT_AT_SIZE) {
        c->left = strtoul(c->head, NULL, 16);
        c->at = c->left != 0 ? SEGMENT_AT_BODY : SEGMENT_AT_TRAILER;

    } else if (c->at == SEGMENT_AT_CRLF) {
        c->at = SEGMENT_AT_SIZE;

    } else if (strcmp(c->head, "\r\n") == 0) {
        return request(c);
    }

    return true;
}


/* bytes up to the end of the line or head that begins in c->head, or all */

static size_t
gather(conn_t *c, const char *p, size_t len, bool *complete)
{
    size_t       n;
    const char  *nl;

    nl = memchr(p, '\n', len);
    n = nl == NULL ? len : (size_t) (nl - p) + 1;

    if (c->len + n >= SEGMENT_HEAD) {
        return 0;
    }

    memcpy(c->head + c->len, p, n);
    c->len += n;
    c->head[c->len] = '\0';

    *complete = nl != NULL
                && (c->at != SEGMENT_AT_HEAD
                    || (c->len >= 4
                        && memcmp(c->head + c->len - 4, "\r\n\r\n", 4) == 0));

    return n;
}


static bool
take(conn_t *c, const char *p, size_t len)
{
    bool    complete;
    size_t  n;

    while (len != 0) {
        if (c->at == SEGMENT_AT_ANSWER) {
            return false;               /* this Segment needs no pipelining */
        }

        if (c->at == SEGMENT_AT_BODY) {
            n = len < c->left ? len : (size_t) c->left;

            if (c->batch) {
                scan_bytes(&c->scan, p, n);
            }

            c->bytes += n;
            c->left -= n;

            if (c->left == 0) {
                c->at = SEGMENT_AT_CRLF;

                if (!c->chunked && !request(c)) {
                    return false;
                }
            }

        } else {
            n = gather(c, p, len, &complete);

            if (n == 0) {
                return false;
            }

            if (complete) {
                c->len = 0;

                if (!line(c)) {
                    return false;
                }
            }
        }

        p += n;
        len -= n;
    }

    return true;
}


static void
readable(conn_t *c)
{
    ssize_t  n;

    n = recv(c->fd, input, sizeof(input), 0);

    if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }

    if (n <= 0 || !take(c, input, (size_t) n)) {
        close_conn(c);
    }
}


static void
watch(int fd, void *data)
{
    struct epoll_event  ev;

    ev.events = EPOLLIN;
    ev.data.ptr = data;

    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &ev) == -1) {
        fail("epoll_ctl");
    }
}


static void
accept_all(int fd)
{
    int      s, on;
    conn_t  *c;

    on = 1;

    for ( ;; ) {
        s = accept4(fd, NULL, NULL, SOCK_NONBLOCK|SOCK_CLOEXEC);
        if (s == -1) {
            return;
        }

        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

        c = calloc(1, sizeof(conn_t));
        if (c == NULL) {
            fail("calloc");
        }

        c->fd = s;
        watch(s, c);
    }
}


/* those whose time has come; ms until the next one's, or -1 */

static int
answer_due(void)
{
    int64_t  now;
    conn_t  *c;

    now = waiting.next != &waiting ? now_ns() : 0;

    while (waiting.next != &waiting) {
        c = waiting.next;

        if (c->due > now) {
            return (int) ((c->due - now + 999999) / 1000000);
        }

        unlink_conn(c);
        c->at = SEGMENT_AT_HEAD;

        if (!reply_batch(c)) {
            close_conn(c);
        }
    }

    return -1;
}


static void
answer_awaiting(void)
{
    conn_t  *c, *next;

    for (c = awaiting.next; c != &awaiting; c = next) {
        next = c->next;

        if (counts.distinct >= c->awaits) {
            unlink_conn(c);
            c->at = SEGMENT_AT_HEAD;

            if (!reply(c, 200, "{}", 2)) {
                close_conn(c);
            }
        }
    }
}


static int
listen_on(const char *port)
{
    int                 fd, on;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) strtoul(port, NULL, 10));
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    on = 1;
    fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (fd == -1
        || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1
        || bind(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        || listen(fd, 1024) == -1)
    {
        fail(port);
    }

    return fd;
}


static void
options(int argc, char **argv)
{
    int          c;
    char        *end;
    const char  *path;

    path = NULL;

    for ( ;; ) {
        c = getopt(argc, argv, "l:i:a:");

        if (c == -1) {
            break;
        }

        switch (c) {

        case 'l':
            latency = (int64_t) (strtod(optarg, NULL) * 1e6);
            break;

        case 'i':
            first = strtoul(optarg, &end, 10);
            number = *end == ',' ? strtoul(end + 1, NULL, 10) : 0;
            break;

        case 'a':
            path = optarg;
            break;

        default:
            optind = argc;
        }
    }

    if (optind != argc - 1 || (path != NULL && number == 0)) {
        fprintf(stderr, "usage: segment [-l MS] [-i FIRST,N] [-a FILE] "
                "PORT\n");
        exit(2);
    }

    bitmap = calloc((number + 63) / 64 + 1, sizeof(uint64_t));
    if (bitmap == NULL) {
        fail("calloc");
    }

    if (path != NULL) {
        map_arrivals(path);
    }
}


int
main(int argc, char **argv)
{
    int                 fd, i, n, timeout;
    struct epoll_event  evs[SEGMENT_EVENTS];

    options(argc, argv);
    signal(SIGPIPE, SIG_IGN);

    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller == -1) {
        fail("epoll_create1");
    }

    fd = listen_on(argv[optind]);
    watch(fd, NULL);

    for ( ;; ) {
        timeout = answer_due();

        /* what has just been counted may be what somebody waits for */

        answer_awaiting();

        n = epoll_wait(poller, evs, SEGMENT_EVENTS, timeout);

        for (i = 0; i < n; i++) {
            if (evs[i].data.ptr == NULL) {
                accept_all(fd);

            } else {
                readable(evs[i].data.ptr);
            }
        }
    }
}
