/*
 * The load generator of the benchmark: posts uploads of CleverTap events to a
 * location, in a closed or an open loop, and prints one line of JSON that says
 * what came of it.  Each event has a running number, so that the other end can
 * tell whether it is there, and only once.
 *
 *   load [options] HOST:PORT/PATH
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load_run.h"


#define LOAD_NAME_MAX    1000
#define LOAD_ACKED_MAX   100000000      /* events of -a without -e */
#define LOAD_DAY         86400


static const char  load_usage[] =
    "usage: load [options] HOST:PORT/PATH\n"
    "  -c N         connections (64)\n"
    "  -n N         events a body (1)\n"
    "  -f N         index of the first event (0); its number is that plus\n"
    "               100000000\n"
    "  -e N         stop after so many events\n"
    "  -d S         stop after so many seconds\n"
    "  -r R         R posts a second (else each connection posts again when\n"
    "               it is answered); latencies count from when one was due\n"
    "  -N NAME      all events have this name\n"
    "  -P PCT,NAME  so many percent of them have this name\n"
    "  -t DAYS      times spread over the last days, oldest first with -e,\n"
    "               else strewn (else now)\n"
    "  -g           GET, without a body; -e counts requests\n"
    "  -a FILE      int64[events]: when each was acknowledged, in ns of\n"
    "               CLOCK_MONOTONIC, or 0\n"
    "  -k           go on after an error, and leave with 0\n"
    "  -y           a 2xx needs no body\n";


static int load_options(load_plan_t *plan, int argc, char **argv,
    const char **acked);
static int load_target(load_plan_t *plan, char *target);
static int load_number(const char *text, double min, double max,
    double *value);
static int load_map(load_plan_t *plan, const char *path);
static void load_unmap(const load_plan_t *plan, const char *path,
    const load_result_t *result);
static void load_print(const load_result_t *r);


int
main(int argc, char **argv)
{
    int                   rc;
    const char           *acked;
    static load_plan_t    plan;
    static load_result_t  result;

    acked = NULL;

    if (load_options(&plan, argc, argv, &acked) == -1) {
        (void) fputs(load_usage, stderr);
        return 2;
    }

    if (acked != NULL && load_map(&plan, acked) == -1) {
        perror(acked);
        return 2;
    }

    /* a request that is due is due now, not within 50 us */

    (void) prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    (void) signal(SIGPIPE, SIG_IGN);

    rc = load_run(&plan, &result);

    if (acked != NULL) {
        load_unmap(&plan, acked, &result);
    }

    if (rc == -1) {
        return 2;
    }

    load_print(&result);

    return result.errors && !plan.keep ? 1 : 0;
}


static int
load_options(load_plan_t *plan, int argc, char **argv, const char **acked)
{
    int      opt, rc;
    char    *comma;
    double   v;

    plan->connections = 64;
    plan->n = 1;
    v = 0;

    for ( ;; ) {
        opt = getopt(argc, argv, "c:n:f:e:d:r:N:P:t:ga:ky");

        if (opt == -1) {
            break;
        }

        rc = 0;

        switch (opt) {

        case 'c':
            rc = load_number(optarg, 1, 60000, &v);
            plan->connections = (int) v;
            break;

        case 'n':
            rc = load_number(optarg, 1, 100000, &v);
            plan->n = (uint32_t) v;
            break;

        case 'f':
            rc = load_number(optarg, 0, LOAD_SEQ_LAST, &v);
            plan->first = (int64_t) v;
            break;

        case 'e':
            rc = load_number(optarg, 1, LOAD_SEQ_LAST, &v);
            plan->events = (int64_t) v;
            break;

        case 'd':
            rc = load_number(optarg, 0.001, 1e6, &plan->seconds);
            break;

        case 'r':
            rc = load_number(optarg, 0.001, 1e9, &plan->rate);
            break;

        case 'P':
            comma = strchr(optarg, ',');

            if (comma == NULL) {
                return -1;
            }

            *comma = '\0';
            rc = load_number(optarg, 0, 100, &plan->shape.percent);
            plan->shape.name = comma + 1;
            break;

        case 'N':
            plan->shape.percent = 100;
            plan->shape.name = optarg;
            break;

        case 't':
            rc = load_number(optarg, 0, 10000, &v);
            plan->spread = (int64_t) (v * LOAD_DAY);
            break;

        case 'g':
            plan->shape.get = 1;
            break;

        case 'a':
            *acked = optarg;
            break;

        case 'k':
            plan->keep = 1;
            break;

        case 'y':
            plan->bare = 1;
            break;

        default:
            return -1;
        }

        if (rc == -1) {
            return -1;
        }
    }

    if (optind != argc - 1
        || (plan->events == 0 && plan->seconds == 0)
        || plan->first + plan->events > LOAD_SEQ_LAST + 1
        || (plan->shape.name != NULL
            && (strlen(plan->shape.name) > LOAD_NAME_MAX
                || strpbrk(plan->shape.name, "\"\\") != NULL)))
    {
        return -1;
    }

    if (plan->shape.get) {
        plan->n = 1;
    }

    return load_target(plan, argv[optind]);
}


/* "127.0.0.1:8080/1/upload" */

static int
load_target(load_plan_t *plan, char *target)
{
    char    *port, *path;
    double   number;

    path = strchr(target, '/');

    if (path == NULL) {
        return -1;
    }

    plan->shape.path = strdup(path);

    if (plan->shape.path == NULL) {
        return -1;
    }

    *path = '\0';
    plan->shape.host = strdup(target);

    if (plan->shape.host == NULL) {
        return -1;
    }

    port = strchr(target, ':');

    if (port == NULL || load_number(port + 1, 1, 65535, &number) == -1) {
        return -1;
    }

    *port = '\0';
    plan->addr.sin_family = AF_INET;
    plan->addr.sin_port = htons((uint16_t) number);

    if (strcmp(target, "localhost") == 0) {
        plan->addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return 0;
    }

    return inet_pton(AF_INET, target, &plan->addr.sin_addr) == 1 ? 0 : -1;
}


static int
load_number(const char *text, double min, double max, double *value)
{
    char  *end;

    *value = strtod(text, &end);

    return end != text && *end == '\0' && *value >= min && *value <= max
           ? 0 : -1;
}


static int
load_map(load_plan_t *plan, const char *path)
{
    int      fd, flags;
    void    *p;
    size_t   size;

    plan->acked_max = plan->events ? plan->events : LOAD_ACKED_MAX;
    size = (size_t) plan->acked_max * sizeof(int64_t);
    p = MAP_FAILED;
    flags = MAP_SHARED | (plan->events ? MAP_POPULATE : 0);

    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd == -1) {
        return -1;
    }

    if (ftruncate(fd, (off_t) size) == 0) {
        p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    }

    (void) close(fd);

    if (p == MAP_FAILED) {
        return -1;
    }

    plan->acked = p;

    return 0;
}


/* the file ends with the last event that was sent */

static void
load_unmap(const load_plan_t *plan, const char *path,
    const load_result_t *result)
{
    int64_t  n;

    n = (int64_t) result->events;
    n = n < plan->acked_max ? n : plan->acked_max;

    (void) munmap(plan->acked, (size_t) plan->acked_max * sizeof(int64_t));

    if (truncate(path, (off_t) ((size_t) n * sizeof(int64_t))) == -1) {
        perror(path);
    }
}


static void
load_print(const load_result_t *r)
{
    int            i;
    double         cpu;
    const char    *comma;
    struct rusage  ru;

    (void) getrusage(RUSAGE_SELF, &ru);

    cpu = (double) (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec)
          + (double) (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;

    printf("{\"posts\":%llu,\"events\":%llu,\"acks\":%llu,\"errors\":%llu,"
           "\"status\":{", (unsigned long long) r->posts,
           (unsigned long long) r->events, (unsigned long long) r->acks,
           (unsigned long long) r->errors);

    comma = "";

    for (i = 0; i < LOAD_STATUS_MAX; i++) {

        if (r->status[i]) {
            printf("%s\"%d\":%llu", comma, i,
                   (unsigned long long) r->status[i]);
            comma = ",";
        }
    }

    printf("},\"bytes\":%llu,\"seconds\":%.6f,\"rate\":%.1f,"
           "\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,"
           "\"p999_us\":%.1f,\"max_us\":%.1f,\"cpu\":%.6f}\n",
           (unsigned long long) r->bytes, r->seconds,
           r->seconds > 0 ? (double) r->acks / r->seconds : 0,
           load_hist_us(&r->hist, 0.5), load_hist_us(&r->hist, 0.9),
           load_hist_us(&r->hist, 0.99), load_hist_us(&r->hist, 0.999),
           (double) r->hist.max / 1000, cpu);
}
