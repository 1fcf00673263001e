/*
 * Messages are put together as the text that they are.  Their shape is known,
 * and a quote inside of a string has a backslash before it: so what stands
 * between the parts is found by its own text.
 */

#include "ctseg_identify.h"
#include "ctseg_traits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>


#define CTSEG_IDENTIFY_HEAD    (sizeof(CTSEG_MESSAGE_IDENTIFY) - 1)
#define CTSEG_IDENTIFY_TIME    ",\"timestamp\":\""
#define CTSEG_IDENTIFY_TRAITS                                                 \
    (sizeof(CTSEG_IDENTIFY_TIME) - 1 + CTSEG_RFC3339_LEN                      \
     + sizeof("\",\"traits\":") - 1)


/* the numbers at the end of the messageId, between prefix and quote */

static ctseg_str_t
ctseg_identify_number(const ctseg_encoder_t *enc, ctseg_str_t message)
{
    ctseg_str_t  number;

    number.data = message.data + CTSEG_IDENTIFY_HEAD + enc->id_prefix_len;
    number.len = 0;

    while (number.data[number.len] != '"') {
        number.len++;
    }

    return number;
}


ctseg_str_t
ctseg_identify_who(const ctseg_encoder_t *enc, ctseg_str_t message)
{
    size_t       left;
    ctseg_str_t  who;
    const char  *p;

    who = ctseg_identify_number(enc, message);
    who.data += who.len + 1;

    for (p = who.data; ; p++) {
        left = (size_t) (message.data + message.len - p);
        p = memchr(p, ',', left);

        if (memcmp(p, CTSEG_IDENTIFY_TIME, sizeof(CTSEG_IDENTIFY_TIME) - 1)
            == 0)
        {
            break;
        }
    }

    who.len = (size_t) (p - who.data);

    return who;
}


static ctseg_str_t
ctseg_identify_traits(const ctseg_encoder_t *enc, ctseg_str_t message)
{
    ctseg_str_t  who, traits;

    who = ctseg_identify_who(enc, message);

    traits.data = who.data + who.len + CTSEG_IDENTIFY_TRAITS;
    traits.len = (size_t) (message.data + message.len - 1 - traits.data);

    return traits;
}


ctseg_rc_t
ctseg_identify_merge(ctseg_buf_t *out, const ctseg_encoder_t *enc,
    ctseg_str_t older, ctseg_str_t newer, uint64_t first)
{
    char         text[24];
    size_t       mark;
    ctseg_rc_t   rc;
    ctseg_str_t  number, traits;

    mark = out->len;

    number = ctseg_identify_number(enc, newer);
    traits = ctseg_identify_traits(enc, newer);

    ctseg_buf_add(out, newer.data,
                  (size_t) (number.data + number.len - newer.data));

    (void) snprintf(text, sizeof(text), "-%016" PRIx64, first);
    ctseg_buf_cstr(out, text);

    number.data += number.len;
    ctseg_buf_add(out, number.data, (size_t) (traits.data - number.data));

    rc = ctseg_traits_merge(out, ctseg_identify_traits(enc, older), traits);

    ctseg_buf_char(out, '}');

    if (out->failed) {
        rc = CTSEG_NOMEM;
    }

    if (rc == CTSEG_OK && out->len - mark >= CTSEG_MESSAGE_MAX) {
        rc = CTSEG_INVALID;
    }

    if (rc != CTSEG_OK) {
        out->len = mark;
    }

    return rc;
}
