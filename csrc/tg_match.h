/* tg_match: which rule of one field does a value match? Runs what core/rule_image.py compiled.
 *
 * Ranks order all rules of a table: the lowest rank that matches wins, TG_RANK_NONE is no match. Values are
 * folded while they are read (ASCII case, blank as underscore) and never cut off: only an exact word has a
 * greatest length. The tables are immutable and borrowed; any number of threads may use them, each with a
 * tg_scratch of its own.
 */
#ifndef TG_MATCH_H
#define TG_MATCH_H

#include <stdlib.h>

#include "tg_scan.h"
#include "tg_words.h"

#define TG_RANK_NONE TG_WORD_NONE
#define TG_ANY_ONE 256 /* one character: a byte and the UTF-8 continuation bytes behind it */
#define TG_ANY_RUN 257 /* any run of bytes */
#define TG_ROW_RANK 0  /* a row of a trie: rank, first glob + 1, next row of the chain of endings, children */
#define TG_ROW_GLOB 1
#define TG_ROW_LINK 2
#define TG_ROW_CHILD 3

typedef struct {
    const uint32_t *cells;  /* NULL: nothing filed here */
    const uint8_t *classes; /* 256: byte → column, 0 for bytes in no pattern */
} tg_trie;

typedef struct {
    uint32_t rank;
    uint32_t next;       /* glob + 1 */
    uint32_t start, len; /* in code */
} tg_glob;

typedef struct {
    tg_words words;
    tg_trie head, tail, inner;
    const tg_glob *globs;
    const uint16_t *code;
    uint32_t bare;  /* first of the globs without literals, + 1 */
    uint32_t empty; /* 1: no rule at all */
} tg_matcher;

/* A value that came before, and its rank. Up to 16 bytes are in `a` and `b` alone. */
typedef struct {
    uint64_t a, b; /* first and last 8 bytes, overlapping where there are fewer than 16 */
    uint32_t rank;
    uint32_t matcher; /* + 1; 0: free */
    uint16_t len, escaped;
    uint8_t middle[36];
} tg_memo;

#define TG_MEMO_ENTRIES 256
#define TG_MEMO_MAX (16 + 36)

typedef struct {
    const uint8_t *ptr; /* NULL: a null header */
    size_t len;
    uint64_t seen; /* epoch in which it was set */
} tg_slot;

/* What one thread needs beside the tables. */
typedef struct {
    tg_memo memo[TG_MEMO_ENTRIES];
    uint64_t epoch;     /* counts events: stamps need no clearing */
    uint64_t glob_turn; /* counts walks through an automaton */
    uint64_t *glob_seen;
    tg_slot *headers;
    uint8_t text[1024];
} tg_scratch;

static inline tg_scratch *tg_scratch_new(size_t headers, size_t globs)
{
    tg_scratch *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->headers = calloc(headers + 1, sizeof *s->headers);
    s->glob_seen = calloc(globs + 1, sizeof *s->glob_seen);
    if (s->headers && s->glob_seen)
        return s;
    free(s->headers);
    free(s->glob_seen);
    free(s);
    return NULL;
}

static inline void tg_scratch_free(tg_scratch *s) /* NULL is fine */
{
    if (!s)
        return;
    free(s->headers);
    free(s->glob_seen);
    free(s);
}

/* ---- patterns ---- */

/* Time is at most the product of the lengths: only the last run is ever taken back. */
static inline int tg_glob_match(const uint16_t *code, size_t n, const uint8_t *v, size_t len)
{
    size_t c = 0, i = 0, retry_code = SIZE_MAX, retry_at = 0;
    for (;;) {
        if (c < n && code[c] == TG_ANY_RUN) {
            if (++c == n)
                return 1;
            retry_code = c;
            retry_at = i;
            continue;
        }
        if (c == n && i == len)
            return 1;
        if (c < n && i < len && (code[c] == TG_ANY_ONE || code[c] == tg_fold(v[i], 1))) {
            i++;
            if (code[c++] == TG_ANY_ONE)
                while (i < len && (v[i] & 0xC0) == 0x80)
                    i++;
            continue;
        }
        if (retry_code == SIZE_MAX || retry_at >= len)
            return 0;
        c = retry_code;
        i = ++retry_at;
    }
}

static inline uint32_t tg_globs_try(const tg_matcher *m, uint32_t glob, uint32_t best, const uint8_t *v, size_t len)
{
    for (; glob; glob = m->globs[glob - 1].next) {
        const tg_glob *g = &m->globs[glob - 1];
        if (g->rank >= best)
            break; /* chains are in the order of ranks */
        if (tg_glob_match(m->code + g->start, g->len, v, len))
            return g->rank;
    }
    return best;
}

/* Walks a trie from the value's start (step 1) or from its end (step -1). */
static inline uint32_t tg_trie_walk(const tg_matcher *m, const tg_trie *t, int step, uint32_t best, const uint8_t *v,
                                    size_t len)
{
    const uint8_t *at = step > 0 ? v : v + len;
    uint32_t row = 0;
    for (size_t left = len;; left--) {
        const uint32_t *cells = t->cells + row;
        if (cells[TG_ROW_RANK] < best)
            best = cells[TG_ROW_RANK];
        if (cells[TG_ROW_GLOB])
            best = tg_globs_try(m, cells[TG_ROW_GLOB], best, v, len);
        if (!left)
            return best;
        uint8_t byte = step > 0 ? *at++ : *--at;
        uint32_t column = t->classes[byte];
        row = column ? cells[TG_ROW_CHILD + column] : 0;
        if (!row)
            return best;
    }
}

static inline uint32_t tg_inner_walk(const tg_matcher *m, tg_scratch *s, uint32_t best, const uint8_t *v, size_t len)
{
    const tg_trie *t = &m->inner;
    uint32_t row = 0;
    uint64_t turn = ++s->glob_turn;
    for (size_t i = 0; i < len; i++) {
        row = t->cells[row + TG_ROW_CHILD + t->classes[v[i]]];
        const uint32_t *cells = t->cells + row;
        if (cells[TG_ROW_RANK] < best)
            best = cells[TG_ROW_RANK];
        /* A glob that failed once fails at every further place: its answer is the whole value's. */
        for (const uint32_t *c = cells; c[TG_ROW_GLOB] || c[TG_ROW_LINK]; c = t->cells + c[TG_ROW_LINK]) {
            uint32_t first = c[TG_ROW_GLOB];
            if (first && s->glob_seen[first - 1] != turn) {
                s->glob_seen[first - 1] = turn;
                best = tg_globs_try(m, first, best, v, len);
            }
            if (!c[TG_ROW_LINK])
                break;
        }
    }
    return best;
}

/* Best rank for a value as it is compared: decoded, not yet folded. `v` may be NULL where len is 0. */
static inline uint32_t tg_match_value(const tg_matcher *m, tg_scratch *s, const uint8_t *v, size_t len)
{
    uint32_t best = m->words.n ? tg_words_find(&m->words, v, len, 1) : TG_RANK_NONE;
    if (best != TG_RANK_NONE)
        return best; /* exact comes before every pattern */
    if (m->head.cells)
        best = tg_trie_walk(m, &m->head, 1, best, v, len);
    if (m->tail.cells)
        best = tg_trie_walk(m, &m->tail, -1, best, v, len);
    if (m->inner.cells)
        best = tg_inner_walk(m, s, best, v, len);
    return m->bare ? tg_globs_try(m, m->bare, best, v, len) : best;
}

/* The same for a value with JSON escapes. Out of memory is no match: such an event is unclassified. */
static inline uint32_t tg_match_escaped(const tg_matcher *m, tg_scratch *s, const uint8_t *v, size_t len)
{
    uint8_t *text = len <= sizeof s->text ? s->text : malloc(len);
    if (!text)
        return TG_RANK_NONE;
    size_t n = tg_scan_unescape(v, len, text);
    uint32_t rank = tg_match_value(m, s, text, n);
    if (text != s->text)
        free(text);
    return rank;
}

/* ---- memo ---- */

static inline void tg_memo_ends(const uint8_t *v, size_t len, uint64_t *a, uint64_t *b)
{
    *a = *b = 0;
    if (len >= 8) {
        *a = tg_load64(v);
        *b = tg_load64(v + len - 8);
    } else if (len >= 4) {
        *a = tg_load32(v);
        *b = tg_load32(v + len - 4);
    } else if (len) {
        *a = v[0] | (uint64_t)v[len / 2] << 8 | (uint64_t)v[len - 1] << 16;
    }
}

/* As tg_match_value or tg_match_escaped, with values that come again and again answered from `s`. */
static inline uint32_t tg_match(const tg_matcher *matchers, uint32_t id, tg_scratch *s, const uint8_t *v, size_t len,
                                int escaped)
{
    const tg_matcher *m = &matchers[id];
    if (m->empty)
        return TG_RANK_NONE;
    if (len > TG_MEMO_MAX)
        return escaped ? tg_match_escaped(m, s, v, len) : tg_match_value(m, s, v, len);
    uint64_t a, b;
    tg_memo_ends(v, len, &a, &b);
    uint64_t hash = (a ^ tg_rotl64(b, 29) ^ len ^ (uint64_t)id << 32) * TG_XXH_P1;
    tg_memo *e = &s->memo[hash >> 56];
    size_t middle = len > 16 ? len - 16 : 0;
    if (e->a == a && e->b == b && e->matcher == id + 1 && e->len == len && e->escaped == escaped &&
        (!middle || memcmp(e->middle, v + 8, middle) == 0))
        return e->rank;
    uint32_t rank = escaped ? tg_match_escaped(m, s, v, len) : tg_match_value(m, s, v, len);
    *e = (tg_memo){.a = a, .b = b, .rank = rank, .matcher = id + 1, .len = (uint16_t)len, .escaped = (uint16_t)escaped};
    if (middle)
        memcpy(e->middle, v + 8, middle);
    return rank;
}

#endif
