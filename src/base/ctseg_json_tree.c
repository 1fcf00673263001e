/*
 * The tree over the scan, for bodies that are small and read by name: the
 * management API and stored records.  A stack of its own instead of
 * recursion, all nodes in the caller's arena.  A name that occurs twice is
 * refused here, since two readers of one body could otherwise see two
 * bodies.  Nothing converts numbers unless it is asked to.
 */

#include "ctseg_json.h"
#include "ctseg_str.h"

#include <stdlib.h>
#include <string.h>


/* up to so many members are compared pairwise, more are sorted */

#define CTSEG_JSON_TREE_FEW   8

#define CTSEG_JSON_TREE_NAME  48        /* bytes of a name in an error */


typedef struct {
    ctseg_json_t  *node;
    ctseg_json_t  *last;                /* newest child */
} ctseg_json_tree_frame_t;


typedef struct {
    ctseg_arena_t            *arena;
    const char               *text;
    ctseg_json_t             *root;
    ctseg_json_tree_frame_t  *stack;
    size_t                    cap;
    size_t                    open;
    ctseg_str_t               key;      /* of the member to come */
    unsigned                  nodes;
    unsigned                  max_nodes;
    ctseg_err_t              *err;
} ctseg_json_tree_t;


static bool
ctseg_json_tree_nomem(ctseg_json_tree_t *b)
{
    (void) ctseg_err(b->err, CTSEG_NOMEM, "out of memory");

    return false;
}


/* the name in the text is cut, and printable whatever it was */

static bool
ctseg_json_tree_twice(ctseg_json_tree_t *b, const ctseg_json_t *member)
{
    char    name[CTSEG_JSON_TREE_NAME + 1];
    size_t  i, n;

    n = member->key.len;
    n = n < CTSEG_JSON_TREE_NAME ? n : CTSEG_JSON_TREE_NAME;

    for (i = 0; i < n; i++) {
        name[i] = member->key.data[i];

        if ((unsigned char) name[i] < 0x20 || name[i] == 0x7f) {
            name[i] = '?';
        }
    }

    name[n] = '\0';

    /* not inside of a character */

    name[ctseg_utf8_check(ctseg_str(name))] = '\0';

    (void) ctseg_err(b->err, CTSEG_INVALID, "name \"%s%s\" occurs twice",
                     name, n < member->key.len ? "..." : "");

    b->err->offset = (size_t) (member->raw.data - b->text);

    return false;
}


static int
ctseg_json_tree_cmp(const void *one, const void *two)
{
    const ctseg_json_t  *a = *(const ctseg_json_t *const *) one;
    const ctseg_json_t  *b = *(const ctseg_json_t *const *) two;

    if (a->key.len != b->key.len) {
        return a->key.len < b->key.len ? -1 : 1;
    }

    return memcmp(a->key.data, b->key.data, a->key.len);
}


static bool
ctseg_json_tree_distinct_sorted(ctseg_json_tree_t *b,
    const ctseg_json_t *object)
{
    bool                  ok;
    size_t                i, n;
    const ctseg_json_t   *m, **all;

    all = malloc(object->n * sizeof(ctseg_json_t *));

    if (all == NULL) {
        return ctseg_json_tree_nomem(b);
    }

    for (n = 0, m = object->child; m != NULL; m = m->next) {
        all[n++] = m;
    }

    qsort(all, n, sizeof(ctseg_json_t *), ctseg_json_tree_cmp);

    ok = true;

    for (i = 1; ok && i < n; i++) {
        if (ctseg_str_eq(all[i - 1]->key, all[i]->key)) {
            ok = ctseg_json_tree_twice(b, all[i]);
        }
    }

    free(all);

    return ok;
}


static bool
ctseg_json_tree_distinct(ctseg_json_tree_t *b, const ctseg_json_t *object)
{
    const ctseg_json_t  *m, *prev;

    if (object->n > CTSEG_JSON_TREE_FEW) {
        return ctseg_json_tree_distinct_sorted(b, object);
    }

    for (m = object->child; m != NULL; m = m->next) {
        for (prev = object->child; prev != m; prev = prev->next) {
            if (ctseg_str_eq(prev->key, m->key)) {
                return ctseg_json_tree_twice(b, m);
            }
        }
    }

    return true;
}


static bool
ctseg_json_tree_push(ctseg_json_tree_t *b, ctseg_json_t *node)
{
    size_t                    cap;
    ctseg_json_tree_frame_t  *stack;

    if (b->open == b->cap) {
        cap = b->cap == 0 ? 16 : b->cap * 2;
        stack = realloc(b->stack, cap * sizeof(ctseg_json_tree_frame_t));

        if (stack == NULL) {
            return ctseg_json_tree_nomem(b);
        }

        b->stack = stack;
        b->cap = cap;
    }

    b->stack[b->open].node = node;
    b->stack[b->open].last = NULL;
    b->open++;

    return true;
}


static bool
ctseg_json_tree_end(ctseg_json_tree_t *b, const ctseg_json_token_t *t)
{
    ctseg_json_t  *node;

    b->open--;
    node = b->stack[b->open].node;

    /* until now the slice was the opening bracket */

    node->raw.len = (size_t) (t->raw.data + t->raw.len - node->raw.data);

    return node->type != CTSEG_JSON_OBJECT
           || ctseg_json_tree_distinct(b, node);
}


/* the new node goes below the innermost open container */

static void
ctseg_json_tree_link(ctseg_json_tree_t *b, ctseg_json_t *node)
{
    ctseg_json_tree_frame_t  *top;

    if (b->open == 0) {
        b->root = node;
        return;
    }

    top = &b->stack[b->open - 1];

    if (top->node->type == CTSEG_JSON_OBJECT) {
        node->key = b->key;
    }

    if (top->last == NULL) {
        top->node->child = node;

    } else {
        top->last->next = node;
    }

    top->last = node;
    top->node->n++;
}


static bool
ctseg_json_tree_token(void *data, const ctseg_json_token_t *t)
{
    ctseg_json_t       *node;
    ctseg_json_tree_t  *b = data;

    if (t->type == CTSEG_JSON_KEY) {
        b->key = ctseg_arena_dup(b->arena, t->text);
        return b->key.data != NULL || ctseg_json_tree_nomem(b);
    }

    if (t->type == CTSEG_JSON_OBJECT_END || t->type == CTSEG_JSON_ARRAY_END) {
        return ctseg_json_tree_end(b, t);
    }

    if (b->nodes == b->max_nodes) {
        (void) ctseg_err(b->err, CTSEG_INVALID, "more than %u values",
                         b->max_nodes);
        return false;
    }

    b->nodes++;

    node = ctseg_arena_zalloc(b->arena, sizeof(ctseg_json_t));

    if (node == NULL) {
        return ctseg_json_tree_nomem(b);
    }

    node->type = t->type;
    node->boolean = t->boolean;
    node->raw = t->raw;

    if (t->type == CTSEG_JSON_STRING || t->type == CTSEG_JSON_NUMBER) {
        node->text = ctseg_arena_dup(b->arena, t->text);

        if (node->text.data == NULL) {
            return ctseg_json_tree_nomem(b);
        }
    }

    ctseg_json_tree_link(b, node);

    if (t->type == CTSEG_JSON_OBJECT || t->type == CTSEG_JSON_ARRAY) {
        return ctseg_json_tree_push(b, node);
    }

    return true;
}


ctseg_rc_t
ctseg_json_parse(ctseg_arena_t *a, ctseg_str_t text, unsigned max_depth,
    unsigned max_nodes, ctseg_json_t **root, ctseg_err_t *err)
{
    ctseg_rc_t         rc;
    ctseg_err_t        local;
    ctseg_json_tree_t  b;

    *root = NULL;

    memset(&b, 0, sizeof(ctseg_json_tree_t));
    b.arena = a;
    b.text = text.data;
    b.max_nodes = max_nodes;
    b.err = err != NULL ? err : &local;

    rc = ctseg_json_scan(text, max_depth, ctseg_json_tree_token, &b, b.err);

    free(b.stack);

    if (rc == CTSEG_OK) {
        *root = b.root;
    }

    return rc;
}


ctseg_json_t *
ctseg_json_get(const ctseg_json_t *obj, const char *name)
{
    ctseg_json_t  *m;

    if (obj == NULL || obj->type != CTSEG_JSON_OBJECT) {
        return NULL;
    }

    for (m = obj->child; m != NULL; m = m->next) {
        if (ctseg_str_is(m->key, name)) {
            return m;
        }
    }

    return NULL;
}


bool
ctseg_json_int64(const ctseg_json_t *v, int64_t *out)
{
    return v != NULL && v->type == CTSEG_JSON_NUMBER
           && ctseg_str_int64(v->text, out);
}
