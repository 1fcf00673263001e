/*
 * Runs a fuzz target without a fuzzer: over every file of its corpus, and
 * over inputs that are made from those by chance for a second.  A test like
 * any other, in TAP; the same seed gives the same inputs in the same order.
 *
 *   CTSEG_SEED=7 CTSEG_FUZZ_SECONDS=60 build/fuzz/fuzz_json
 *   build/fuzz/fuzz_json FILE ...       nothing but these files
 *
 * The input that breaks an oracle is left in build/fuzz/fuzz_json.input.
 */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"


#define FILES_MAX  1000
#define INPUT_MAX  65536
#define PATIENCE   30                   /* seconds for one input */


typedef struct {
    uint8_t  *data;
    size_t    size;
} input_t;


static input_t      corpus[FILES_MAX];
static size_t       ncorpus;
static uint64_t     chance = 1;
static uint64_t     count;
static char         left[4096];

/* the input at hand, for the handler */

static const uint8_t  *volatile current;
static volatile size_t          current_size;


/* ---- what is left of an input that breaks something ---- */

static void
leave(void)
{
    int      fd;
    ssize_t  n;

    fd = open(left, O_WRONLY|O_CREAT|O_TRUNC, 0644);

    if (fd == -1) {
        return;
    }

    n = write(fd, (const void *) current, current_size);
    (void) n;
    (void) close(fd);

    n = write(STDOUT_FILENO, "not ok - see ", 13);
    n = write(STDOUT_FILENO, left, strlen(left));
    n = write(STDOUT_FILENO, "\n", 1);
}


static void
on_signal(int sig)
{
    if (sig == SIGALRM) {
        static const char  text[] = "an input takes too long\n";
        ssize_t            n;

        n = write(STDERR_FILENO, text, sizeof(text) - 1);
        (void) n;
    }

    leave();
    (void) signal(sig, SIG_DFL);
    (void) raise(sig == SIGALRM ? SIGKILL : sig);
}


/* both runtimes end by SIGABRT, so that there is one way to get here */

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);


const char *
__asan_default_options(void)
{
    return "abort_on_error=1";
}


const char *
__ubsan_default_options(void)
{
    return "abort_on_error=1:print_stacktrace=1";
}


static void
watch(const char *self)
{
    (void) snprintf(left, sizeof(left), "%s.input", self);
    (void) signal(SIGABRT, on_signal);
    (void) signal(SIGALRM, on_signal);
}


/* each input in memory of its own, so that a byte too far is noticed */

static void
run(const uint8_t *data, size_t size)
{
    uint8_t  *copy;

    copy = malloc(size == 0 ? 1 : size);
    fuzz_check(copy != NULL);

    if (size != 0) {
        memcpy(copy, data, size);
    }

    current = copy;
    current_size = size;

    if (count++ % 256 == 0) {
        (void) alarm(PATIENCE);
    }

    (void) LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}


/* ---- the corpus ---- */

static bool
load(const char *path)
{
    int          fd;
    input_t     *in;
    struct stat  sb;

    if (ncorpus == FILES_MAX) {
        return false;
    }

    in = &corpus[ncorpus];
    fd = open(path, O_RDONLY);

    if (fd == -1 || fstat(fd, &sb) != 0 || !S_ISREG(sb.st_mode)) {
        return fd == -1 ? false : (close(fd), false);
    }

    in->size = (size_t) sb.st_size;
    in->data = malloc(in->size + 1);
    fuzz_check(in->data != NULL);
    fuzz_check(read(fd, in->data, in->size) == (ssize_t) in->size);
    (void) close(fd);
    ncorpus++;

    return true;
}


/* in the order of the names, so that a seed means the same everywhere */

static void
load_all(const char *dir)
{
    int              i, n;
    char             path[512];
    struct dirent  **list;

    n = scandir(dir, &list, NULL, alphasort);

    for (i = 0; i < n; i++) {
        (void) snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
        (void) load(path);
        free(list[i]);
    }

    if (n >= 0) {
        free(list);
    }
}


/* one input in each line, in base64: what libFuzzer found */

static size_t
decode(uint8_t *out, const char *line)
{
    size_t       n;
    uint32_t     bits;
    unsigned     have;
    const char  *p;

    static const char  letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    bits = 0;
    have = 0;

    for (n = 0; *line != '\0'; line++) {
        p = strchr(letters, *line);

        if (p == NULL) {
            break;                      /* padding */
        }

        bits = bits << 6 | (uint32_t) (p - letters);
        have += 6;

        if (have >= 8) {
            have -= 8;
            out[n++] = (uint8_t) (bits >> have);
        }
    }

    return n;
}


static void
load_finds(const char *path)
{
    FILE         *f;
    input_t      *in;
    static char   line[INPUT_MAX];

    f = fopen(path, "r");

    if (f == NULL) {
        return;
    }

    while (ncorpus < FILES_MAX && fgets(line, sizeof(line), f) != NULL) {
        in = &corpus[ncorpus++];
        in->data = malloc(strlen(line));
        fuzz_check(in->data != NULL);
        in->size = decode(in->data, line);
    }

    (void) fclose(f);
}


/* ---- chance ---- */

static size_t
below(size_t n)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;

    return n == 0 ? 0 : (size_t) (chance >> 11) % n;
}


/* put n bytes in place of the part of the input at "at" */

static size_t
replace(uint8_t *buf, size_t size, size_t at, size_t part,
    const uint8_t *bytes, size_t n)
{
    if (size - part + n > INPUT_MAX) {
        return size;
    }

    memmove(buf + at + n, buf + at + part, size - at - part);
    memcpy(buf + at, bytes, n);

    return size - part + n;
}


static size_t
mutate(uint8_t *buf, size_t size)
{
    size_t          at, part, n;
    uint8_t         copy[64];
    const input_t  *other;

    static const char  special[] = "\"\\{}[]:,0-9\n \x7f\xff\xc3";

    at = below(size + 1);
    part = below(size - at + 1);
    part = part > sizeof(copy) ? below(sizeof(copy)) : part;
    other = &corpus[below(ncorpus)];

    switch (below(7)) {

    case 0:                             /* a bit */
        if (at < size) {
            buf[at] ^= (uint8_t) (1u << below(8));
        }

        return size;

    case 1:                             /* a byte */
        if (at < size) {
            buf[at] = (uint8_t) special[below(sizeof(special))];
        }

        return size;

    case 2:                             /* a part is taken out */
        return replace(buf, size, at, part, copy, 0);

    case 3:                             /* a part comes twice */
        memcpy(copy, buf + at, part);
        return replace(buf, size, below(size + 1), 0, copy, part);

    case 4:                             /* a digit */
        while (at < size && (buf[at] < '0' || buf[at] > '9')) {
            at++;
        }

        if (at < size) {
            buf[at] = (uint8_t) ('0' + below(10));
        }

        return size;

    case 5:                             /* a part of another file */
        n = below(other->size + 1);
        at = below(other->size - n + 1);
        return replace(buf, size, below(size + 1), 0, other->data + at,
                      n < 512 ? n : 512);

    default:                            /* cut off */
        return at;
    }
}


static int64_t
now_ms(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


static void
play(double seconds)
{
    size_t           i, n, size;
    int64_t          end;
    const input_t   *in;
    static uint8_t   buf[INPUT_MAX];

    end = now_ms() + (int64_t) (seconds * 1000);

    while (now_ms() < end) {
        in = &corpus[below(ncorpus)];
        size = in->size < INPUT_MAX ? in->size : INPUT_MAX;
        memcpy(buf, in->data, size);

        for (i = 0, n = 1 + below(5); i < n; i++) {
            size = mutate(buf, size);
        }

        run(buf, size);
    }
}


static int
replay(int argc, char **argv)
{
    int  i;

    for (i = 1; i < argc; i++) {
        if (!load(argv[i])) {
            (void) fprintf(stderr, "%s: cannot be read\n", argv[i]);
            return 2;
        }

        run(corpus[ncorpus - 1].data, corpus[ncorpus - 1].size);
        (void) printf("%s: all holds\n", argv[i]);
    }

    return 0;
}


int
main(int argc, char **argv)
{
    char         dir[256], finds[300];
    double       seconds;
    size_t       i;
    const char  *name, *text;

    (void) setvbuf(stdout, NULL, _IONBF, 0);
    watch(argv[0]);

    if (argc > 1) {
        return replay(argc, argv);
    }

    name = strrchr(argv[0], '/');
    name = name == NULL ? argv[0] : name + 1;
    name = strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name;

    (void) printf("1..2\n");
    (void) snprintf(dir, sizeof(dir), "t/fuzz/corpus/%s", name);
    load_all(dir);

    (void) snprintf(finds, sizeof(finds), "%s.finds", dir);
    load_finds(finds);

    if (ncorpus == 0) {
        (void) printf("not ok 1 - there are files in %s\n", dir);
        return 1;
    }

    for (i = 0; i < ncorpus; i++) {
        run(corpus[i].data, corpus[i].size);
    }

    (void) printf("ok 1 - %zu inputs of %s\n", ncorpus, dir);

    text = getenv("CTSEG_SEED");
    chance = text != NULL ? strtoull(text, NULL, 10) : 1;
    chance = chance * 0x9e3779b97f4a7c15ULL + 1;
    text = getenv("CTSEG_FUZZ_SECONDS");
    seconds = text != NULL ? strtod(text, NULL) : 1;

    count = 0;
    play(seconds);
    (void) printf("ok 2 - %llu inputs made from them by chance\n",
                  (unsigned long long) count);

    return 0;
}
