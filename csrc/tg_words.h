/* tg_words: exact words to numbers, folded (ASCII case, and a blank as an underscore where asked for).
 *
 * Built once from borrowed arrays; afterwards immutable and fit for any number of threads.
 */
#ifndef TG_WORDS_H
#define TG_WORDS_H

#include "tg_hash.h"

#define TG_WORD_NONE UINT32_MAX
#define TG_WORD_MAX 256 /* folded bytes of the longest word; rule texts are shorter */

/* Words to numbers; open addressing, at most half full. */
typedef struct {
    const uint32_t *slots;   /* pairs: upper half of the hash, index + 1 (0: free) */
    const uint32_t *offsets; /* n + 1 places in bytes */
    const uint32_t *values;
    const uint8_t *bytes;
    uint64_t lens;   /* bit min(length, 63) of every word */
    uint64_t firsts; /* bit (first byte mod 64) of every word; an empty word counts as 0 */
    uint32_t mask;   /* number of slots - 1 */
    uint32_t n;
} tg_words;

/* 'A'..'Z' to lower case; a blank to an underscore where `blank` says so. */
static inline uint8_t tg_fold(uint8_t c, int blank)
{
    if (c == ' ' && blank)
        return '_';
    return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
}

static inline uint64_t tg_words_bit_len(size_t len)
{
    return 1ull << (len < 63 ? len : 63);
}

/* Fills `slots` (zeroed, 2 * (mask + 1) numbers) and the filters from the other fields. */
static inline void tg_words_fill(tg_words *w, uint32_t *slots)
{
    w->slots = slots;
    w->lens = w->firsts = 0;
    for (uint32_t i = 0; i < w->n; i++) {
        const uint8_t *word = w->bytes + w->offsets[i];
        size_t len = w->offsets[i + 1] - w->offsets[i];
        uint64_t hash = tg_xxh64(word, len, 0);
        uint32_t at = (uint32_t)hash & w->mask;
        while (slots[2 * at + 1])
            at = (at + 1) & w->mask;
        slots[2 * at] = (uint32_t)(hash >> 32);
        slots[2 * at + 1] = i + 1;
        w->lens |= tg_words_bit_len(len);
        w->firsts |= 1ull << (len ? word[0] & 63 : 0);
    }
}

static inline uint32_t tg_words_find(const tg_words *w, const uint8_t *value, size_t len, int blank)
{
    if (!(w->lens & tg_words_bit_len(len)) || len > TG_WORD_MAX)
        return TG_WORD_NONE;
    if (!(w->firsts >> (len ? tg_fold(value[0], blank) & 63 : 0) & 1))
        return TG_WORD_NONE;
    uint8_t folded[TG_WORD_MAX];
    for (size_t i = 0; i < len; i++)
        folded[i] = tg_fold(value[i], blank);
    uint64_t hash = tg_xxh64(folded, len, 0);
    for (uint32_t at = (uint32_t)hash & w->mask; w->slots[2 * at + 1]; at = (at + 1) & w->mask) {
        uint32_t i = w->slots[2 * at + 1] - 1;
        if (w->slots[2 * at] == (uint32_t)(hash >> 32) && w->offsets[i + 1] - w->offsets[i] == len &&
            memcmp(w->bytes + w->offsets[i], folded, len) == 0)
            return w->values[i];
    }
    return TG_WORD_NONE;
}

#endif
