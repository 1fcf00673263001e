/*
 * The object of a record that holds its data, evtData or profileData, token
 * by token.  Stricter than JSON: properties are scalars (and Items of
 * Charged), those of a profile also arrays of scalars and CleverTap's
 * operators.  Of CleverTap's own fields of a profile only Gender, Email and
 * Phone have a form here, and a wide one: what its pages say of the others
 * is not enough to refuse anybody's data.
 */

#include "ctseg_intake.h"
#include "../base/ctseg_str.h"

#include <string.h>


#define CTSEG_INTAKE_PHONE_MAX  15      /* digits, E.164 */
#define CTSEG_INTAKE_NAME_SHOW  120     /* of a property in a text */


/* fields of a profile that have a form */

enum {
    CTSEG_INTAKE_OTHER = 0,
    CTSEG_INTAKE_GENDER,
    CTSEG_INTAKE_EMAIL,
    CTSEG_INTAKE_PHONE
};


/* what the property at hand has for a value */

enum {
    CTSEG_INTAKE_SCALAR = 0,
    CTSEG_INTAKE_ITEMS,
    CTSEG_INTAKE_LIST,                  /* of scalars */
    CTSEG_INTAKE_OPERATOR,
    CTSEG_INTAKE_DEEP                   /* any, or wrong already */
};


/* what an operator takes */

enum {
    CTSEG_INTAKE_OP_NONE = 0,
    CTSEG_INTAKE_OP_LIST,
    CTSEG_INTAKE_OP_NUMBER,
    CTSEG_INTAKE_OP_SCALAR
};


static bool
ctseg_intake_is_container(const ctseg_json_token_t *t)
{
    return t->type == CTSEG_JSON_ARRAY || t->type == CTSEG_JSON_OBJECT;
}


static unsigned
ctseg_intake_field(ctseg_str_t key)
{
    return ctseg_intake_is(key, "Gender") ? CTSEG_INTAKE_GENDER
           : ctseg_intake_is(key, "Email") ? CTSEG_INTAKE_EMAIL
           : ctseg_intake_is(key, "Phone") ? CTSEG_INTAKE_PHONE
           : CTSEG_INTAKE_OTHER;
}


static unsigned
ctseg_intake_op(ctseg_str_t key)
{
    return ctseg_str_is(key, "$add") || ctseg_str_is(key, "$remove")
           || ctseg_str_is(key, "$set") ? CTSEG_INTAKE_OP_LIST
           : ctseg_str_is(key, "$incr") || ctseg_str_is(key, "$decr")
             ? CTSEG_INTAKE_OP_NUMBER
           : ctseg_str_is(key, "$delete") ? CTSEG_INTAKE_OP_SCALAR
           : CTSEG_INTAKE_OP_NONE;
}


static bool
ctseg_intake_is_gender(ctseg_str_t s)
{
    size_t  i;

    static const char  *const words[] = {
        "M", "F", "O", "U", "male", "female", "other", "others", "unknown"
    };

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (ctseg_intake_is(s, words[i])) {
            return true;
        }
    }

    return false;
}


/* something, an at sign, something; no white space */

static bool
ctseg_intake_is_email(ctseg_str_t s)
{
    size_t  i, at;

    at = 0;

    for (i = 0; i < s.len; i++) {
        if ((unsigned char) s.data[i] <= ' ') {
            return false;
        }

        if (s.data[i] == '@') {
            at = i;
        }
    }

    return at != 0 && at + 1 < s.len;
}


/* digits with or without the plus of E.164, and what people put in between */

static bool
ctseg_intake_is_phone(ctseg_str_t s)
{
    size_t  i, digits;

    digits = 0;

    for (i = 0; i < s.len; i++) {
        if (s.data[i] >= '0' && s.data[i] <= '9') {
            digits++;

        } else if (s.data[i] == '\0'
                   || (s.data[i] == '+' ? digits != 0
                       : strchr(" -.()/", s.data[i]) == NULL))
        {
            return false;
        }
    }

    return digits != 0 && digits <= CTSEG_INTAKE_PHONE_MAX;
}


/* the value of a profile's own field: 0, or its code; absent is no harm */

static int
ctseg_intake_own_field(unsigned field, const ctseg_json_token_t *t)
{
    bool  is_string;

    if (field == CTSEG_INTAKE_OTHER || t->type == CTSEG_JSON_NULL
        || t->type == CTSEG_JSON_OBJECT)
    {
        return 0;
    }

    is_string = t->type == CTSEG_JSON_STRING;

    if (is_string && ctseg_intake_is_blank(t->text)) {
        return 0;
    }

    switch (field) {

    case CTSEG_INTAKE_GENDER:
        return is_string && ctseg_intake_is_gender(t->text)
               ? 0 : CTSEG_CODE_GENDER;

    case CTSEG_INTAKE_EMAIL:
        return is_string && ctseg_intake_is_email(t->text)
               ? 0 : CTSEG_CODE_EMAIL;

    default:
        return (is_string || t->type == CTSEG_JSON_NUMBER)
               && ctseg_intake_is_phone(t->text) ? 0 : CTSEG_CODE_PHONE;
    }
}


static void
ctseg_intake_nested(ctseg_intake_data_t *d)
{
    if (d->nested.len == 0) {
        d->nested = d->key;
    }

    d->shape = CTSEG_INTAKE_DEEP;
}


/* the value of a property */

static void
ctseg_intake_prop(ctseg_intake_data_t *d, const ctseg_json_token_t *t)
{
    d->nprops++;
    d->nops = 0;
    d->op = CTSEG_INTAKE_OP_NONE;

    if (d->rule == CTSEG_INTAKE_PROFILE && d->code == 0) {
        d->code = ctseg_intake_own_field(d->field, t);
    }

    if (!ctseg_intake_is_container(t)) {
        d->shape = CTSEG_INTAKE_SCALAR;

    } else if (d->rule == CTSEG_INTAKE_ANY) {
        d->shape = CTSEG_INTAKE_DEEP;

    } else if (d->rule == CTSEG_INTAKE_PROFILE) {
        d->shape = t->type == CTSEG_JSON_ARRAY ? CTSEG_INTAKE_LIST
                                               : CTSEG_INTAKE_OPERATOR;

    } else if (t->type == CTSEG_JSON_ARRAY
               && ctseg_str_is(ctseg_intake_inside(d->key), "Items"))
    {
        d->shape = CTSEG_INTAKE_ITEMS;
        d->has_items = true;

    } else {
        ctseg_intake_nested(d);
    }
}


/* a value inside of a property: level 1 is an element or an operand */

static void
ctseg_intake_within(ctseg_intake_data_t *d, unsigned level,
    const ctseg_json_token_t *t)
{
    bool  container;

    container = ctseg_intake_is_container(t);

    switch (d->shape) {

    case CTSEG_INTAKE_ITEMS:
        if (level == 1) {
            d->nitems++;

        } else if (container) {
            ctseg_intake_nested(d);
        }

        return;

    case CTSEG_INTAKE_LIST:
        if (container) {
            ctseg_intake_nested(d);
        }

        return;

    case CTSEG_INTAKE_OPERATOR:
        if (level == 1
            ? d->op == CTSEG_INTAKE_OP_NONE
              || (d->op == CTSEG_INTAKE_OP_LIST
                  && t->type != CTSEG_JSON_ARRAY)
              || (d->op == CTSEG_INTAKE_OP_NUMBER
                  && t->type != CTSEG_JSON_NUMBER)
              || (d->op == CTSEG_INTAKE_OP_SCALAR && container)
            : container)
        {
            ctseg_intake_nested(d);
        }

        return;

    default:
        return;
    }
}


void
ctseg_intake_data_begin(ctseg_intake_data_t *d, ctseg_intake_rule_t rule,
    const char *name)
{
    memset(d, 0, sizeof(ctseg_intake_data_t));

    d->rule = rule;
    d->name = name;
}


static void
ctseg_intake_open(ctseg_intake_data_t *d, const ctseg_json_token_t *t)
{
    if (d->raw.len != 0 || d->bad) {

        /* the field occurs twice */

        ctseg_intake_data_begin(d, d->rule, d->name);
    }

    if (t->type == CTSEG_JSON_OBJECT) {
        d->start = t->raw.data;

    } else {
        d->bad = t->type != CTSEG_JSON_NULL;
    }
}


static inline void
ctseg_intake_key(ctseg_intake_data_t *d, unsigned depth,
    const ctseg_json_token_t *t)
{
    if (t->depth == depth) {
        d->key = t->raw;
        d->field = d->rule == CTSEG_INTAKE_PROFILE
                   ? ctseg_intake_field(t->text) : CTSEG_INTAKE_OTHER;

    } else if (t->depth == depth + 1 && d->shape == CTSEG_INTAKE_OPERATOR) {
        d->op = ctseg_intake_op(t->text);
        d->nops++;
    }
}


static void
ctseg_intake_end(ctseg_intake_data_t *d, unsigned depth,
    const ctseg_json_token_t *t)
{
    if (t->type == CTSEG_JSON_ARRAY_END) {
        return;
    }

    if (t->depth == depth) {
        d->raw.data = d->start;
        d->raw.len = (size_t) (t->raw.data + 1 - d->start);
        d->start = NULL;

    } else if (t->depth == depth + 1 && d->shape == CTSEG_INTAKE_OPERATOR
               && d->nops != 1)
    {
        ctseg_intake_nested(d);
    }
}


void
ctseg_intake_data(ctseg_intake_data_t *d, unsigned depth,
    const ctseg_json_token_t *t)
{
    if (d->start == NULL) {

        /* what lies inside of an array does not matter any more */

        if (t->depth == depth && t->type < CTSEG_JSON_KEY) {
            ctseg_intake_open(d, t);
        }

        return;
    }

    if (t->type == CTSEG_JSON_KEY) {
        ctseg_intake_key(d, depth, t);

    } else if (t->type > CTSEG_JSON_KEY) {
        ctseg_intake_end(d, depth, t);

    } else if (t->depth != depth + 1) {
        ctseg_intake_within(d, t->depth - depth - 1, t);

    } else if (d->rule == CTSEG_INTAKE_EVENT && !ctseg_intake_is_container(t))
    {
        d->nprops++;                    /* nearly all there is */
        d->shape = CTSEG_INTAKE_SCALAR;

    } else {
        ctseg_intake_prop(d, t);
    }
}


static int
ctseg_intake_judge_field(const ctseg_intake_data_t *d, ctseg_buf_t *text)
{
    switch (d->code) {

    case CTSEG_CODE_GENDER:
        ctseg_buf_cstr(text, "Gender must be M, F or O");
        break;

    case CTSEG_CODE_EMAIL:
        ctseg_buf_cstr(text, "Email must be an address such as a@b.example");
        break;

    case CTSEG_CODE_PHONE:
        ctseg_buf_fmt(text, "Phone must be a number of at most %d digits with"
                      " its country code", CTSEG_INTAKE_PHONE_MAX);
        break;

    default:
        break;
    }

    return d->code;
}


static int
ctseg_intake_judge_nested(const ctseg_intake_data_t *d, ctseg_buf_t *text)
{
    ctseg_str_t  key;

    key = ctseg_intake_inside(d->nested);

    ctseg_buf_cstr(text, "Event structure invalid: property ");

    if (key.len <= CTSEG_INTAKE_NAME_SHOW) {
        ctseg_buf_str(text, key);
    }

    ctseg_buf_cstr(text, " must be a string, a number, true, false or null");

    if (d->rule == CTSEG_INTAKE_PROFILE) {
        ctseg_buf_cstr(text, ", an array of these, or one of $add, $remove,"
                       " $set, $delete, $incr and $decr");
    }

    return CTSEG_CODE_STRUCTURE;
}


int
ctseg_intake_judge_data(const ctseg_intake_t *in,
    const ctseg_intake_data_t *d, ctseg_buf_t *text)
{
    const char  *what;

    what = d->rule == CTSEG_INTAKE_PROFILE ? "Profile" : "Event";

    if (d->bad) {
        ctseg_buf_fmt(text, "Event structure invalid: %s must be an object",
                      d->name);
        return CTSEG_CODE_STRUCTURE;
    }

    if (d->nprops > CTSEG_PROPS_N_MAX) {
        ctseg_buf_fmt(text, "%s has %u properties, at most %d are taken",
                      what, d->nprops, CTSEG_PROPS_N_MAX);
        return CTSEG_CODE_PROPERTIES;
    }

    if (d->has_items && d->nested.len == 0 && !in->is_charged) {
        ctseg_buf_cstr(text, "Event structure invalid: Items belongs to the"
                       " event Charged");
        return CTSEG_CODE_STRUCTURE;
    }

    if (d->nitems > CTSEG_INTAKE_ITEMS_MAX) {
        ctseg_buf_fmt(text, "Event has %u Items, at most %d are taken",
                      d->nitems, CTSEG_INTAKE_ITEMS_MAX);
        return CTSEG_CODE_PROPERTIES;
    }

    if (d->nested.len != 0) {
        return ctseg_intake_judge_nested(d, text);
    }

    if (d->raw.len > CTSEG_PROPS_LEN_MAX) {
        ctseg_buf_fmt(text, "Event structure invalid: %s has %zu bytes, at"
                      " most %d are taken", d->name, d->raw.len,
                      CTSEG_PROPS_LEN_MAX);
        return CTSEG_CODE_STRUCTURE;
    }

    return ctseg_intake_judge_field(d, text);
}
