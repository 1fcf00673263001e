/*
 * The loop of the load generator: keep-alive connections under one epoll, each
 * with requests of its own that are written out beforehand.  A request is one
 * send(), an answer is one recv() of which the status, the length and the
 * start of the body are looked at.
 *
 * In the closed loop each connection sends as soon as it is answered.  In the
 * open one a request is due at a fixed time whether the server keeps up or
 * not: it goes out on the first idle connection, and its latency counts from
 * when it was due, so that a server which stalls cannot hide the requests that
 * would have come meanwhile.
 */

#include "load_run.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define LOAD_EVENTS       256
#define LOAD_ANSWER       4096          /* bytes of an answer looked at */
#define LOAD_VARIANTS     16            /* events of different bodies */
#define LOAD_RETRY_NS     10000000      /* between attempts to connect */
#define LOAD_DRAIN_NS     30000000000   /* for the last answers */
#define LOAD_SECOND_NS    1000000000


enum {
    LOAD_UNKNOWN,
    LOAD_GOOD,
    LOAD_BAD
};


typedef struct {
    int            fd;          /* -1: not connected */
    int            busy;        /* a request is under way */
    int            closing;     /* the server said that it closes */
    int            open;        /* connect() has succeeded */
    int            header;      /* that of the answer is known: */
    int            status;
    int            chunked;
    int            verdict;
    size_t         head;        /* bytes before the body */
    size_t         length;      /* bytes of the body */
    size_t         have;        /* bytes in "answer" */
    size_t         sent;
    load_body_t   *body;
    uint32_t       next;        /* variant */
    int64_t        first;       /* index of the first event */
    int64_t        since;       /* when it was sent, or due */
    int64_t        retry;       /* not to be connected before */
    load_body_t   *bodies;
    char           answer[LOAD_ANSWER];
} load_conn_t;

typedef struct {
    const load_plan_t  *plan;
    load_result_t      *result;
    int                 ep;
    load_conn_t        *conn;
    load_conn_t       **idle;
    int                 idles;
    int                 busy;
    int                 down;       /* connections to be made again */
    uint32_t            variants;
    load_body_t         tail;       /* the last one, if it is shorter */
    load_times_t        times;
    int64_t             now;        /* ns, monotonic */
    int64_t             start;
    int64_t             end;
    int64_t             next;       /* index of the next event */
    uint64_t            due;        /* requests of the open loop so far */
    int                 stop;
} load_t;


static int load_prepare(load_t *l);
static void load_loop(load_t *l);
static void load_fill(load_t *l);
static int64_t load_wait(const load_t *l);
static int64_t load_due(const load_t *l);
static int load_connect(load_t *l, load_conn_t *c);
static void load_drop(load_t *l, load_conn_t *c);
static void load_lost(load_t *l, load_conn_t *c);
static int load_send(load_t *l, load_conn_t *c, int64_t since);
static void load_write(load_conn_t *c);
static void load_read(load_t *l, load_conn_t *c);
static int load_answer(load_t *l, load_conn_t *c);
static int load_header(load_conn_t *c);
static void load_done(load_t *l, load_conn_t *c);
static int64_t load_ns(clockid_t id);


int
load_run(const load_plan_t *plan, load_result_t *result)
{
    int       i, rc;
    load_t    l;
    uint32_t  k;

    memset(&l, 0, sizeof(load_t));
    l.plan = plan;
    l.result = result;
    l.next = plan->first;

    rc = load_prepare(&l);

    if (rc == 0) {
        load_loop(&l);
    }

    for (i = 0; l.conn != NULL && i < plan->connections; i++) {

        if (l.conn[i].fd != -1) {
            (void) close(l.conn[i].fd);
        }

        for (k = 0; l.conn[i].bodies != NULL && k < l.variants; k++) {
            load_body_free(&l.conn[i].bodies[k]);
        }

        free(l.conn[i].bodies);
    }

    load_body_free(&l.tail);
    free(l.conn);
    free(l.idle);

    if (l.ep > 0) {
        (void) close(l.ep);
    }

    return rc;
}


static int
load_prepare(load_t *l)
{
    int                 i;
    uint32_t            k, tail;
    uint64_t            order;
    load_conn_t        *c;
    const load_plan_t  *plan;

    plan = l->plan;

    l->variants = plan->shape.get || plan->n >= LOAD_VARIANTS
                  ? 1 : LOAD_VARIANTS / plan->n;
    l->times.spread = plan->spread;
    l->times.first = plan->first;
    l->times.total = plan->events;

    l->ep = epoll_create1(EPOLL_CLOEXEC);
    l->conn = calloc((size_t) plan->connections, sizeof(load_conn_t));
    l->idle = calloc((size_t) plan->connections, sizeof(load_conn_t *));

    if (l->ep == -1 || l->conn == NULL || l->idle == NULL) {
        perror("load");
        return -1;
    }

    for (i = 0; i < plan->connections; i++) {
        l->conn[i].fd = -1;
    }

    order = 0;

    for (i = 0; i < plan->connections; i++) {
        c = &l->conn[i];
        c->bodies = calloc(l->variants, sizeof(load_body_t));

        if (c->bodies == NULL) {
            perror("load");
            return -1;
        }

        for (k = 0; k < l->variants; k++) {

            if (load_body_create(&c->bodies[k], &plan->shape, plan->n, order)
                == -1)
            {
                perror("load");
                return -1;
            }

            order += plan->n;
        }
    }

    tail = (uint32_t) (plan->events % plan->n);

    if (tail && load_body_create(&l->tail, &plan->shape, tail, order) == -1) {
        perror("load");
        return -1;
    }

    for (i = 0; i < plan->connections; i++) {

        if (load_connect(l, &l->conn[i]) == -1 && !plan->keep) {
            perror("load: connect");
            return -1;
        }
    }

    return 0;
}


static void
load_loop(load_t *l)
{
    int                  i, n;
    int64_t              wait, drain;
    load_conn_t         *c;
    struct timespec      ts;
    struct epoll_event   ev[LOAD_EVENTS];

    l->start = load_ns(CLOCK_MONOTONIC);
    l->now = l->start;
    l->end = l->start;
    l->times.now = load_ns(CLOCK_REALTIME) / LOAD_SECOND_NS;
    drain = 0;

    for ( ;; ) {
        load_fill(l);

        if (l->stop) {

            if (drain == 0) {
                drain = l->now + LOAD_DRAIN_NS;
            }

            if (l->busy == 0 || l->now > drain) {
                break;
            }
        }

        wait = load_wait(l);
        ts.tv_sec = wait / LOAD_SECOND_NS;
        ts.tv_nsec = wait % LOAD_SECOND_NS;

        n = epoll_pwait2(l->ep, ev, LOAD_EVENTS, &ts, NULL);

        l->now = load_ns(CLOCK_MONOTONIC);
        l->times.now = load_ns(CLOCK_REALTIME_COARSE) / LOAD_SECOND_NS;

        for (i = 0; i < n; i++) {
            c = ev[i].data.ptr;

            if (c->fd == -1) {
                continue;
            }

            if (ev[i].events & EPOLLOUT) {

                if (!c->open && !(ev[i].events & (EPOLLERR | EPOLLHUP))) {
                    c->open = 1;
                    l->idle[l->idles++] = c;
                }

                if (c->busy && c->sent < c->body->len) {
                    load_write(c);
                }
            }

            if (c->fd != -1
                && ev[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
            {
                load_read(l, c);
            }
        }
    }

    /* what has not been answered by now will not be */

    for (i = 0; i < l->plan->connections; i++) {

        if (l->conn[i].busy) {
            load_lost(l, &l->conn[i]);
        }
    }

    l->result->seconds = (double) (l->end - l->start) / LOAD_SECOND_NS;
}


/* connects what is down, and sends what may be sent */

static void
load_fill(load_t *l)
{
    int           i;
    int64_t       due;
    load_conn_t  *c;

    if (l->plan->seconds > 0
        && (double) (l->now - l->start) >= l->plan->seconds * LOAD_SECOND_NS)
    {
        l->stop = 1;
    }

    for (i = 0; l->down && !l->stop && i < l->plan->connections; i++) {
        c = &l->conn[i];

        if (c->fd == -1 && c->retry <= l->now) {
            (void) load_connect(l, c);
        }
    }

    while (l->idles && !l->stop) {
        due = load_due(l);

        if (due > l->now) {
            break;
        }

        c = l->idle[l->idles - 1];

        if (load_send(l, c, due) == 0) {
            l->idles--;
            l->due++;
        }
    }
}


static int64_t
load_wait(const load_t *l)
{
    int64_t  wait, due;

    wait = LOAD_SECOND_NS;

    if (l->down && !l->stop) {
        wait = LOAD_RETRY_NS;
    }

    if (l->plan->seconds > 0 && !l->stop) {
        due = l->start + (int64_t) (l->plan->seconds * LOAD_SECOND_NS);
        wait = due - l->now < wait ? due - l->now : wait;
    }

    if (l->plan->rate > 0 && !l->stop && l->idles) {
        due = load_due(l) - l->now;
        wait = due < wait ? due : wait;
    }

    return wait > 0 ? wait : 0;
}


/* when the next request should leave */

static int64_t
load_due(const load_t *l)
{
    if (l->plan->rate > 0) {
        return l->start + (int64_t) ((double) l->due * LOAD_SECOND_NS
                                     / l->plan->rate);
    }

    return l->now;
}


static int
load_connect(load_t *l, load_conn_t *c)
{
    int                 one;
    struct epoll_event  ev;

    if (c->retry) {
        l->down--;
        c->retry = 0;
    }

    c->open = 0;
    c->closing = 0;
    c->have = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (c->fd == -1) {
        load_drop(l, c);
        return -1;
    }

    one = 1;
    (void) setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    if (connect(c->fd, (const struct sockaddr *) &l->plan->addr,
                sizeof(struct sockaddr_in)) == -1
        && errno != EINPROGRESS)
    {
        load_drop(l, c);
        return -1;
    }

    ev.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    ev.data.ptr = c;

    if (epoll_ctl(l->ep, EPOLL_CTL_ADD, c->fd, &ev) == -1) {
        load_drop(l, c);
        return -1;
    }

    return 0;
}


/* the connection is gone; another attempt follows a little later */

static void
load_drop(load_t *l, load_conn_t *c)
{
    int  i;

    for (i = 0; i < l->idles; i++) {

        if (l->idle[i] == c) {
            l->idle[i] = l->idle[--l->idles];
            break;
        }
    }

    if (c->fd != -1) {
        (void) close(c->fd);
        c->fd = -1;
    }

    c->retry = l->now + (c->closing ? 0 : LOAD_RETRY_NS);
    c->closing = 0;
    l->down++;
}


/* a request that no answer came to */

static void
load_lost(load_t *l, load_conn_t *c)
{
    l->now = load_ns(CLOCK_MONOTONIC);
    l->end = l->now;
    l->result->status[0]++;
    l->result->errors++;
    l->busy--;
    c->busy = 0;

    if (!l->plan->keep) {
        l->stop = 1;
    }
}


/* 0: a request is under way, -1: there is none to be sent any more */

static int
load_send(load_t *l, load_conn_t *c, int64_t since)
{
    int64_t             left;
    load_result_t      *r;
    const load_plan_t  *plan;

    plan = l->plan;
    r = l->result;
    left = plan->first + plan->events - l->next;

    if (plan->events == 0) {
        left = LOAD_SEQ_LAST + 1 - l->next;
    }

    if (left <= 0) {
        l->stop = 1;
        return -1;
    }

    if (left < plan->n) {
        c->body = &l->tail;

        if (l->tail.text == NULL) {
            l->stop = 1;
            return -1;
        }

    } else {
        c->body = &c->bodies[c->next];
        c->next = c->next + 1 == l->variants ? 0 : c->next + 1;
    }

    c->first = l->next;
    c->since = since;
    c->sent = 0;
    c->have = 0;
    c->header = 0;
    c->busy = 1;
    l->busy++;

    load_body_stamp(c->body, c->first, &l->times);

    l->next += plan->shape.get ? 1 : c->body->n;
    r->posts++;
    r->events += plan->shape.get ? 1 : c->body->n;
    r->bytes += c->body->body;

    load_write(c);

    return 0;
}


static void
load_write(load_conn_t *c)
{
    ssize_t  n;

    while (c->sent < c->body->len) {
        n = send(c->fd, c->body->text + c->sent, c->body->len - c->sent,
                 MSG_NOSIGNAL);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        /* an error shows when the answer is read, which may be there */

        if (n == -1) {
            return;
        }

        c->sent += (size_t) n;
    }
}


static void
load_read(load_t *l, load_conn_t *c)
{
    int      rc;
    ssize_t  n;

    for ( ;; ) {
        n = recv(c->fd, c->answer + c->have, sizeof(c->answer) - c->have, 0);

        if (n == -1 && errno == EINTR) {
            continue;
        }

        if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        }

        if (n <= 0) {

            if (c->busy) {
                load_lost(l, c);

            } else if (!c->open && !l->plan->keep) {
                l->result->status[0]++;
                l->result->errors++;
                l->stop = 1;
            }

            load_drop(l, c);
            return;
        }

        /* an answer that nobody asked for */

        if (!c->busy) {
            continue;
        }

        c->have += (size_t) n;
        rc = load_answer(l, c);

        if (rc == -1) {
            load_lost(l, c);
            load_drop(l, c);
            return;
        }

        if (rc == 1) {
            load_done(l, c);
            return;
        }
    }
}


/* 1: the answer is complete, 0: not yet, -1: it is none */

static int
load_answer(load_t *l, load_conn_t *c)
{
    int     full, ended;
    char   *body;
    size_t  left;

    if (!c->header) {

        switch (load_header(c)) {

        case 0:
            return c->have < sizeof(c->answer) ? 0 : -1;

        case -1:
            return -1;
        }
    }

    body = c->answer + c->head;
    left = c->have - c->head;
    full = c->have == sizeof(c->answer);

    /* the last chunk is empty; nobody sends us trailers */

    ended = c->chunked ? left >= 5 && memcmp(body + left - 5, "0\r\n\r\n", 5)
                                     == 0
                       : left >= c->length;

    if (!ended && !full) {
        return 0;
    }

    if (c->verdict == LOAD_UNKNOWN) {
        c->verdict = LOAD_BAD;

        if (c->status >= 200 && c->status < 300
            && (l->plan->bare || l->plan->shape.get
                || memmem(body, left, "\"status\":\"success\"", 18) != NULL))
        {
            c->verdict = LOAD_GOOD;
        }
    }

    if (ended) {
        return 1;
    }

    /* of the rest only the end matters */

    c->head = 0;
    c->have = 0;

    if (c->chunked) {
        c->have = 4;
        memmove(c->answer, body + left - 4, 4);

    } else {
        c->length -= left;
    }

    return 0;
}


/* the same for the header */

static int
load_header(load_conn_t *c)
{
    char  *p, *end, *line;

    end = memmem(c->answer, c->have, "\r\n\r\n", 4);

    if (end == NULL) {
        return 0;
    }

    if (end - c->answer < 12 || memcmp(c->answer, "HTTP/1.", 7) != 0) {
        return -1;
    }

    c->status = (int) strtol(c->answer + 9, NULL, 10);

    if (c->status < 200 || c->status >= LOAD_STATUS_MAX) {
        return -1;
    }

    c->header = 1;
    c->head = (size_t) (end + 4 - c->answer);
    c->verdict = LOAD_UNKNOWN;
    c->chunked = 0;
    c->length = 0;

    for (line = c->answer; line < end; line = p + 2) {
        p = memmem(line, (size_t) (end + 2 - line), "\r\n", 2);

        /* few lines matter, and all of those begin so */

        if (line[0] != 'C' && line[0] != 'T') {
            continue;
        }

        if (strncasecmp(line, "Content-Length:", 15) == 0) {
            c->length = strtoul(line + 15, NULL, 10);

        } else if (strncasecmp(line, "Connection: close", 17) == 0) {
            c->closing = 1;

        } else if (strncasecmp(line, "Transfer-Encoding: chunked", 26) == 0) {
            c->chunked = 1;
        }
    }

    return 1;
}


static void
load_done(load_t *l, load_conn_t *c)
{
    int64_t         i;
    load_result_t  *r;

    r = l->result;

    l->now = load_ns(CLOCK_MONOTONIC);
    l->end = l->now;
    l->busy--;
    c->busy = 0;
    c->have = 0;

    r->status[c->status]++;
    load_hist_add(&r->hist, l->now - c->since);

    if (c->verdict == LOAD_GOOD) {
        r->acks += l->plan->shape.get ? 1 : c->body->n;

        for (i = c->first; l->plan->acked != NULL
             && i < c->first + c->body->n
             && i - l->plan->first < l->plan->acked_max; i++)
        {
            l->plan->acked[i - l->plan->first] = l->now;
        }

    } else {
        r->errors++;

        if (!l->plan->keep) {
            l->stop = 1;
        }
    }

    if (c->closing) {
        load_drop(l, c);
        return;
    }

    l->idle[l->idles++] = c;

    /* the closed loop goes on at once, while this body is in the cache */

    if (l->plan->rate == 0 && !l->stop && load_send(l, c, l->now) == 0) {
        l->idles--;
    }
}


static int64_t
load_ns(clockid_t id)
{
    struct timespec  ts;

    (void) clock_gettime(id, &ts);

    return (int64_t) ts.tv_sec * LOAD_SECOND_NS + ts.tv_nsec;
}
