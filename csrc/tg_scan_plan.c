/* Compiles JSON pointers (RFC 6901) into the trie of tg_scan_plan.h. Runs at start-up only. */
#include "tg_scan_plan.h"

#include <stdlib.h>

/* Tokens are kept short enough that an escaped key fits on the stack when it has to be decoded. */
#define MAX_TOKEN TG_SCAN_MAX_TOKEN_BYTES

/* Writes the token at `from` (up to the next '/' or `end`) to dst, decoded and with a quote after it that *len does
 * not count; returns where it stopped, NULL if it is not a token. */
static const char *token_decode(const char *from, const char *end, uint8_t *dst, size_t *len)
{
    uint8_t *to = dst;
    for (; from < end && *from != '/'; from++) {
        char c = *from;
        if (c == '~') {
            if (++from == end || (*from != '0' && *from != '1'))
                return NULL;
            c = *from == '0' ? '~' : '/';
        }
        *to++ = (uint8_t)c;
    }
    *to = '"';
    *len = (size_t)(to - dst);
    return *len > MAX_TOKEN ? NULL : from;
}

static uint32_t token_index(const uint8_t *text, size_t len)
{
    if (len == 0 || len > 9 || (text[0] == '0' && len > 1))
        return TG_INDEX_NONE;
    uint32_t index = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return TG_INDEX_NONE;
        index = index * 10 + (text[i] - '0');
    }
    return index;
}

/* The child of `parent` with this token, made if need be. Nodes are used up from *used on. */
static uint16_t child_get(tg_node *nodes, uint16_t parent, const uint8_t *text, size_t len, uint16_t *used)
{
    uint16_t *link = &nodes[parent].child;
    for (; *link; link = &nodes[*link].sibling)
        if (nodes[*link].len == len && memcmp(nodes[*link].text, text, len) == 0)
            return *link;
    uint16_t made = (*used)++;
    *link = made;
    nodes[made].text = text;
    nodes[made].len = (uint16_t)len;
    nodes[made].index = token_index(text, len);
    if (nodes[made].index != TG_INDEX_NONE) {
        uint16_t *at = &nodes[parent].first_index;
        while (*at && nodes[*at].index < nodes[made].index)
            at = &nodes[*at].next_index;
        nodes[made].next_index = *at;
        *at = made;
    }
    return made;
}

static tg_scan_status slots_build(tg_scan_plan *plan, uint16_t used)
{
    tg_node *nodes = plan->nodes;
    uint32_t total = 0;
    for (uint16_t i = 0; i < used; i++)
        if (nodes[i].child) {
            nodes[i].slots = total;
            total += 64;
        }
    plan->slots = calloc((size_t)total + 1, sizeof *plan->slots);
    if (!plan->slots)
        return TG_SCAN_ENOMEM;
    for (uint16_t i = 0; i < used; i++)
        for (uint16_t c = nodes[i].child; c; c = nodes[c].sibling) {
            unsigned bit = tg_key_bit(nodes[c].text, nodes[c].len);
            uint16_t *slot = &plan->slots[nodes[i].slots + bit];
            nodes[c].chain = *slot;
            *slot = c;
            nodes[i].filter |= 1ull << bit;
        }
    return TG_SCAN_OK;
}

static tg_scan_status pointer_add(tg_scan_plan *plan, const char *from, size_t len, int field, uint8_t **text,
                                  uint16_t *used)
{
    const char *end = from + len;
    uint16_t path[TG_SCAN_MAX_DEPTH + 1] = {TG_NODE_ROOT};
    int depth = 0;
    while (from < end) {
        size_t token;
        if (*from != '/' || depth == TG_SCAN_MAX_DEPTH)
            return TG_SCAN_EPOINTER;
        from = token_decode(from + 1, end, *text, &token);
        if (!from)
            return TG_SCAN_EPOINTER;
        path[depth + 1] = child_get(plan->nodes, path[depth], *text, token, used);
        depth++;
        *text += token + 1;
    }
    plan->nodes[path[depth]].own |= 1ull << field;
    for (int i = 0; i <= depth; i++)
        plan->nodes[path[i]].below |= 1ull << field;
    return TG_SCAN_OK;
}

tg_scan_status tg_scan_plan_new(const char *const *pointers, const size_t *lens, size_t n, tg_scan_plan **out)
{
    *out = NULL;
    if (n > TG_SCAN_MAX_FIELDS)
        return TG_SCAN_EPOINTER;
    /* Bounds by the longest that each pointer can need, checked first so that nothing below can overflow. */
    size_t tokens = 0, bytes = 0;
    for (size_t i = 0; i < n; i++) {
        if (lens[i] > (size_t)TG_SCAN_MAX_DEPTH * (2 * MAX_TOKEN + 1))
            return TG_SCAN_EPOINTER;
        size_t slashes = 0;
        for (size_t j = 0; j < lens[i]; j++)
            slashes += pointers[i][j] == '/';
        if (slashes > TG_SCAN_MAX_DEPTH)
            return TG_SCAN_EPOINTER;
        tokens += slashes;
        bytes += lens[i];
    }
    tg_scan_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return TG_SCAN_ENOMEM;
    plan->fields = n;
    plan->nodes = calloc(tokens + 2, sizeof *plan->nodes);
    plan->text = malloc(bytes + 1);
    uint8_t *text = plan->text;
    uint16_t used = TG_NODE_ROOT + 1;
    tg_scan_status status = plan->nodes && text ? TG_SCAN_OK : TG_SCAN_ENOMEM;
    for (size_t i = 0; i < n && status == TG_SCAN_OK; i++)
        status = pointer_add(plan, pointers[i], lens[i], (int)i, &text, &used);
    if (status == TG_SCAN_OK)
        status = slots_build(plan, used);
    if (status != TG_SCAN_OK) {
        tg_scan_plan_free(plan);
        return status;
    }
    *out = plan;
    return TG_SCAN_OK;
}

void tg_scan_plan_free(tg_scan_plan *plan)
{
    if (!plan)
        return;
    free(plan->nodes);
    free(plan->slots);
    free(plan->text);
    free(plan);
}

size_t tg_scan_plan_fields(const tg_scan_plan *plan)
{
    return plan->fields;
}

uint16_t tg_plan_child_escaped(const tg_scan_plan *plan, uint16_t node, const uint8_t *key, uint32_t len)
{
    /* Nothing shrinks more than \u0041 does: six bytes to one. */
    uint8_t decoded[6 * MAX_TOKEN + 1];
    if (node == TG_NODE_NONE || len > 6 * MAX_TOKEN)
        return TG_NODE_NONE;
    uint32_t n = (uint32_t)tg_scan_unescape(key, len, decoded);
    decoded[n] = '"';
    return tg_plan_child(plan, node, decoded, n);
}
