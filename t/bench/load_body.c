/*
 * The requests that load.c sends: uploads as CleverTap projects make them,
 * with sixteen kinds of events of different names, users and sizes, 470 bytes
 * on average.  The names are of the catalog and in the set "system", so that
 * an export takes all of them.
 */

#include "load_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>


#define LOAD_KINDS        16
#define LOAD_USERS        9000
#define LOAD_EVENT_BYTES  470
#define LOAD_EVENT_MAX    2048

/* the time of an event stands before its number, with this between them */

#define LOAD_GAP          ",\"evtData\":{\"seq\":"
#define LOAD_TS_DIGITS    10
#define LOAD_SEQ_DIGITS   9


typedef struct {
    const char  *name;
    int          bytes;         /* off the average */
    const char  *data;
} load_kind_t;


#define LOAD_DEVICE                                                           \
    "\"CT App Version\":\"4.17.1\",\"CT OS Version\":\"14\","                 \
    "\"CT SDK Version\":60200,\"CT Latitude\":48.1372,"                       \
    "\"CT Connected To WiFi\":true"

#define LOAD_CAMPAIGN                                                         \
    "\"Campaign id\":\"1690000017_20261121\",\"Campaign type\":\"Push\","     \
    "\"CT Source\":\"Mobile\""


/* the differences sum up to zero */

static const load_kind_t  load_kinds[LOAD_KINDS] = {
    { "App Launched", 20, LOAD_DEVICE ",\"Model\":\"Pixel 8\"" },
    { "Notification Sent", -60, LOAD_CAMPAIGN },
    { "Session Concluded", -100,
      "\"Session Length\":312,\"CT Session Id\":1795440017" },
    { "Notification Viewed", 40, LOAD_CAMPAIGN ",\"wzrk_pivot\":\"A\"" },
    { "App Launched", 90, LOAD_DEVICE ",\"Model\":\"iPhone16,2\"" },
    { "UTM Visited", -20,
      "\"UTM Source\":\"newsletter\",\"UTM Medium\":\"email\","
      "\"UTM Campaign\":\"L\\u2019automne\"" },
    { "Notification Clicked", 10, LOAD_CAMPAIGN ",\"wzrk_pivot\":\"B\"" },
    { "App Launched", 0, LOAD_DEVICE ",\"Model\":\"SM-S921B\"" },
    { "Push Impressions", -40, LOAD_CAMPAIGN },
    { "Notification Delivered", 60, LOAD_CAMPAIGN ",\"Attempt\":1" },
    { "App Version Changed", 130, LOAD_DEVICE ",\"From\":\"4.16.0\"" },
    { "Geocluster Entered", -130,
      "\"cluster_id\":4,\"cluster_name\":\"Old town\"" },
    { "State Transitioned", -10,
      "\"From\":\"Browsing\",\"To\":\"Buying\",\"Price\":1299.5" },
    { "Notification Replied", 100, LOAD_CAMPAIGN
      ",\"Reply\":\"Gr\303\274\303\237e \\\"aus\\\" M\303\274nchen\"" },
    { "App Installed", -90, "\"Install Source\":\"store\",\"First\":true" },
    { "Session Concluded", 0, LOAD_DEVICE ",\"Session Length\":47" },
};

/* fills events up to their size, as texts of messages do */

static const char  load_text[] =
    "Your basket is waiting for you: two of the things that you looked at "
    "this week are back in stock, and until Sunday they come with free "
    "delivery. Have a look before they are gone again, or tell us what you "
    "would like to see next. You can change which of these messages reach "
    "you, and when, in the settings of the app; we will not ask twice. ";


static uint64_t load_mix(uint64_t v);
static int load_named(double percent, uint64_t order);
static int load_event(char *out, const load_shape_t *shape, uint64_t order,
    uint32_t *at);
static void load_digits(char *out, int digits, int64_t v);


int
load_body_create(load_body_t *b, const load_shape_t *shape, uint32_t n,
    uint64_t order)
{
    int       len;
    char     *p, *events;
    size_t    size;
    uint32_t  i;

    memset(b, 0, sizeof(load_body_t));

    size = 512 + strlen(shape->host) + strlen(shape->path);
    events = malloc((size_t) n * LOAD_EVENT_MAX + 16);
    b->at = malloc((size_t) n * sizeof(uint32_t));

    if (events == NULL || b->at == NULL) {
        free(events);
        return -1;
    }

    p = events;

    if (!shape->get) {
        p = stpcpy(p, "{\"d\":[");

        for (i = 0; i < n; i++) {
            len = load_event(p, shape, order + i, &b->at[i]);
            b->at[i] += (uint32_t) (p - events);
            p += len;
            *p++ = ',';
        }

        p = stpcpy(p - 1, "]}");
        b->n = n;
    }

    b->body = (size_t) (p - events);
    b->text = malloc(size + b->body);

    if (b->text == NULL) {
        free(events);
        return -1;
    }

    len = shape->get
        ? snprintf(b->text, size, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
                   shape->path, shape->host)
        : snprintf(b->text, size, "POST %s HTTP/1.1\r\nHost: %s\r\n"
                   "Content-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   shape->path, shape->host, b->body);

    memcpy(b->text + len, events, b->body);
    b->len = (size_t) len + b->body;

    for (i = 0; i < b->n; i++) {
        b->at[i] += (uint32_t) len;
    }

    free(events);

    return 0;
}


void
load_body_free(load_body_t *b)
{
    free(b->text);
    free(b->at);
}


void
load_body_stamp(load_body_t *b, int64_t first, const load_times_t *t)
{
    int       k;
    char      seq[LOAD_SEQ_DIGITS], ts[LOAD_TS_DIGITS], *p;
    int64_t   ago, i;
    uint32_t  n;

    load_digits(seq, LOAD_SEQ_DIGITS, LOAD_SEQ_BASE + first);
    load_digits(ts, LOAD_TS_DIGITS, t->now);

    for (n = 0; n < b->n; n++) {

        if (t->spread) {

            /* oldest first when the end is known, else strewn evenly */

            i = first + n - t->first;
            ago = t->total
                ? (int64_t) ((double) t->spread * (double) (t->total - 1 - i)
                             / (double) t->total)
                : (int64_t) (((uint64_t) (uint32_t) ((uint64_t) i
                                                     * 2654435769u)
                              * (uint64_t) t->spread) >> 32);

            load_digits(ts, LOAD_TS_DIGITS, t->now - ago);
        }

        p = b->text + b->at[n];
        memcpy(p, seq, LOAD_SEQ_DIGITS);
        memcpy(p - (sizeof(LOAD_GAP) - 1) - LOAD_TS_DIGITS, ts,
               LOAD_TS_DIGITS);

        for (k = LOAD_SEQ_DIGITS - 1; k >= 0; k--) {

            if (seq[k] != '9') {
                seq[k]++;
                break;
            }

            seq[k] = '0';
        }
    }
}


/* order of users: the same each time, and no pattern in it */

static uint64_t
load_mix(uint64_t v)
{
    v += 0x9e3779b97f4a7c15;
    v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9;
    v = (v ^ (v >> 27)) * 0x94d049bb133111eb;

    return v ^ (v >> 31);
}


/* whether one more of the first order + 1 events is due to have the name */

static int
load_named(double percent, uint64_t order)
{
    return (uint64_t) ((double) (order + 1) * percent / 100)
           > (uint64_t) ((double) order * percent / 100);
}


static int
load_event(char *out, const load_shape_t *shape, uint64_t order, uint32_t *at)
{
    int                 len, fill, part;
    size_t              from;
    const char         *name;
    const load_kind_t  *kind;

    kind = &load_kinds[order % LOAD_KINDS];
    name = kind->name;

    if (shape->name != NULL && load_named(shape->percent, order)) {
        name = shape->name;
    }

    len = snprintf(out, LOAD_EVENT_MAX,
                   "{\"type\":\"event\",\"identity\":\"user-%04d\","
                   "\"evtName\":\"%s\",\"ts\":0000000000" LOAD_GAP,
                   (int) (1000 + load_mix(order) % LOAD_USERS), name);
    *at = (uint32_t) len;

    len += snprintf(out + len, (size_t) (LOAD_EVENT_MAX - len),
                    "000000000,%s,\"Text\":\"", kind->data);

    /* one byte more is the comma, or the end of the list */

    fill = LOAD_EVENT_BYTES + kind->bytes - len - (int) sizeof("\"}}");
    from = load_mix(order + 1) % (sizeof(load_text) - 1);

    while (fill > 0) {
        part = (int) (sizeof(load_text) - 1 - from);
        part = part < fill ? part : fill;
        memcpy(out + len, load_text + from, (size_t) part);

        len += part;
        fill -= part;
        from = 0;
    }

    memcpy(out + len, "\"}}", sizeof("\"}}"));

    return len + (int) sizeof("\"}}") - 1;
}


static void
load_digits(char *out, int digits, int64_t v)
{
    while (digits > 0) {
        out[--digits] = (char) ('0' + v % 10);
        v /= 10;
    }
}
