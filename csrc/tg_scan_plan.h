/* Inside of tg_scan: wanted pointers as a trie, and what a walk needs to know about the node it stands on.
 *
 * Node 0 is "nothing wanted from here on": its filters are empty, so a walk may ask it like any other node
 * and needs no branch of its own. Node 1 is the document.
 */
#ifndef TG_SCAN_PLAN_H
#define TG_SCAN_PLAN_H

#include <string.h>

#include "tg_scan.h"

#define TG_NODE_NONE 0
#define TG_NODE_ROOT 1
#define TG_INDEX_NONE UINT32_MAX

typedef struct {
    uint64_t own;                     /* fields whose pointer ends here, as bits */
    uint64_t below;                   /* own, and those of everything under it: forgotten when the key comes again */
    uint64_t filter;                  /* bit tg_key_bit() of each child's token: most unwanted keys end here */
    const uint8_t *text;              /* token, borrowed from the plan */
    uint32_t slots;                   /* children: plan->slots[slots + tg_key_bit] */
    uint32_t index;                   /* token as an array index, TG_INDEX_NONE where it is none */
    uint16_t len;                     /* of the token */
    uint16_t chain;                   /* next sibling in the same slot */
    uint16_t first_index, next_index; /* children that are array indexes, ascending */
    uint16_t child, sibling;          /* only used while the plan is made */
} tg_node;

struct tg_scan_plan {
    tg_node *nodes;  /* owned */
    uint16_t *slots; /* owned */
    uint8_t *text;   /* owned */
    size_t fields;
};

/* First byte and length, mod 64: the filter's bit, and the slot of a child. Cheap, and the keys of one kind of event
 * rarely share it. An empty key reads the quote after it, which is why every key given here must stand between
 * quotes. */
static inline unsigned tg_key_bit(const uint8_t *key, size_t len)
{
    return (unsigned)(key[0] + 8 * len) & 63;
}

static inline int tg_bytes_equal(const uint8_t *a, const uint8_t *b, uint32_t len)
{
    if (len >= 8) {
        uint64_t x, y;
        for (uint32_t i = 0; i + 8 < len; i += 8) {
            memcpy(&x, a + i, 8);
            memcpy(&y, b + i, 8);
            if (x != y)
                return 0;
        }
        memcpy(&x, a + len - 8, 8);
        memcpy(&y, b + len - 8, 8);
        return x == y;
    }
    if (len >= 4) {
        uint32_t x, y, z, w;
        memcpy(&x, a, 4);
        memcpy(&y, b, 4);
        memcpy(&z, a + len - 4, 4);
        memcpy(&w, b + len - 4, 4);
        return ((x ^ y) | (z ^ w)) == 0;
    }
    for (uint32_t i = 0; i < len; i++)
        if (a[i] != b[i])
            return 0;
    return 1;
}

/* The child of `node` that a key without escapes leads to. key[len] is a quote. */
static inline uint16_t tg_plan_child(const tg_scan_plan *plan, uint16_t node, const uint8_t *key, uint32_t len)
{
    const tg_node *n = &plan->nodes[node];
    unsigned bit = tg_key_bit(key, len);
    if (!(n->filter >> bit & 1))
        return TG_NODE_NONE;
    uint16_t child = plan->slots[n->slots + bit];
    while (child) {
        const tg_node *c = &plan->nodes[child];
        if (c->len == len && tg_bytes_equal(c->text, key, len))
            break;
        child = c->chain;
    }
    return child;
}

/* The same for a key with backslashes. */
uint16_t tg_plan_child_escaped(const tg_scan_plan *plan, uint16_t node, const uint8_t *key, uint32_t len);

/* One open container. */
typedef struct {
    uint16_t node;
    uint16_t next_index; /* array: the next wanted element */
    uint32_t count;      /* array: elements so far; only kept while next_index is set */
} tg_frame;

static inline void tg_frame_open(tg_frame *frame, const tg_scan_plan *plan, uint16_t node, int is_array)
{
    frame->node = node;
    frame->next_index = is_array ? plan->nodes[node].first_index : TG_NODE_NONE;
    frame->count = 0;
}

/* The node of the element that begins here in the array `frame`. */
static inline uint16_t tg_frame_element(tg_frame *frame, const tg_scan_plan *plan)
{
    uint16_t node = frame->next_index;
    if (node == TG_NODE_NONE)
        return TG_NODE_NONE;
    if (plan->nodes[node].index != frame->count++)
        return TG_NODE_NONE;
    frame->next_index = plan->nodes[node].next_index;
    return node;
}

/* Writes a value to each field that ends at `node`, and forgets what an equal key before had brought. */
static inline uint64_t tg_plan_take(const tg_scan_plan *plan, uint16_t node, uint64_t found, tg_scan_value *out,
                                    tg_scan_value value)
{
    uint64_t own = plan->nodes[node].own;
    found = (found & ~plan->nodes[node].below) | own;
    for (; own; own &= own - 1)
        out[__builtin_ctzll(own)] = value;
    return found;
}

/* Marks as ABSENT the fields that are not in `found`. */
static inline void tg_plan_finish(const tg_scan_plan *plan, uint64_t found, tg_scan_value *out)
{
    uint64_t all = plan->fields == 64 ? ~0ull : (1ull << plan->fields) - 1;
    for (uint64_t rest = all & ~found; rest; rest &= rest - 1)
        out[__builtin_ctzll(rest)] = (tg_scan_value){0};
}

/* One implementation of tg_scan. `doc` is not NULL, and len is within bounds. A fast one may give up on any
 * document by returning TG_SCAN_STATUS_COUNT; the scalar one then decides. */
typedef tg_scan_status tg_scan_fn(const tg_scan_plan *plan, const uint8_t *doc, uint32_t len, tg_scan_level level,
                                  tg_scan_value *out, tg_scan_info *info);

tg_scan_fn tg_scan_scalar, tg_scan_sse2, tg_scan_sse42, tg_scan_avx2, tg_scan_avx512, tg_scan_neon;

#endif
