/* Inside of tg_scan, first step of the fast scanners: 64 bytes at a time become bitmaps, the bitmaps become
 * positions of the brackets, colons and commas outside strings.
 *
 * This is a template: the including file has defined TG_TARGET (the function attribute of its instruction set)
 * and
 *     tg_constants, made by tg_constants_make()  what is to stay in vector registers
 *     tg_masks  tg_classify(k, const uint8_t *p) p[0..63]
 *     tg_extras tg_look_closer(const uint8_t *p) the same bytes, where tg_masks.special was set
 *     uint64_t  tg_prefix_xor(uint64_t)          bit i = xor of bits 0..i
 *     unsigned  tg_trailing_zeros(uint64_t)      anything for 0
 *     unsigned  tg_count(uint64_t)               number of set bits
 * with the types below, and includes this file after them.
 *
 * Bit operations also settle what is between two structural characters: that a string begins only after one of
 * them or a blank, that no token follows another, that bare words are made of word characters. What is left to
 * the walk (tg_scan_walk.h) is one token at most, of which it looks at the first and the last byte.
 */

#define TG_FLATTEN_SLACK 64

/* From block to block, in registers. */
typedef struct {
    uint64_t in_string; /* all ones: the block before ended inside a string */
    uint64_t token;     /* 1: its last byte belonged to a token */
    uint64_t errors;
} tg_bitmap_state;

/* From block to block, rarely touched. */
typedef struct {
    uint64_t gap;    /* 1: the block before ended in blanks that follow a token */
    uint64_t escape; /* 1: it ended in a backslash that counts */
    uint64_t errors;
    uint64_t newlines;
    uint64_t not_ascii;
    size_t first_slash, last_slash; /* positions; last_slash is 0 where there is none */
} tg_bitmap_rest;

TG_TARGET static inline uint64_t tg_escaped_bits(uint64_t slashes, uint64_t *carry)
{
    const uint64_t even = 0x5555555555555555ull;
    uint64_t sequence;
    slashes &= ~*carry;
    uint64_t follows = slashes << 1 | *carry;
    uint64_t odd_starts = slashes & ~even & ~follows;
    *carry = __builtin_add_overflow(odd_starts, slashes, &sequence);
    return (even ^ sequence << 1) & follows;
}

/* The bytes after backslashes are what may stand there. */
TG_TARGET static uint64_t tg_escapes_wrong(const uint8_t *doc, size_t len, size_t base, uint64_t escaped)
{
    for (; escaped; escaped &= escaped - 1) {
        size_t at = base + (size_t)__builtin_ctzll(escaped);
        if (!tg_is_escape(doc[at]))
            return 1;
        if (doc[at] == 'u' && (len - at < 5 || !(tg_is_hex(doc[at + 1]) && tg_is_hex(doc[at + 2]) &&
                                                 tg_is_hex(doc[at + 3]) && tg_is_hex(doc[at + 4]))))
            return 1;
    }
    return 0;
}

/* Tokens that follow blanks that follow a token. A run of blanks carries an addition to its end. */
TG_TARGET static inline uint64_t tg_gap_ends(tg_bitmap_rest *r, uint64_t starts, uint64_t blanks)
{
    uint64_t sum;
    uint64_t over = __builtin_add_overflow(blanks, starts, &sum);
    over |= __builtin_add_overflow(sum, r->gap, &sum);
    r->gap = over;
    return sum & ~blanks;
}

#ifndef TG_OWN_FLATTEN
/* Writes the positions of set bits; may write to TG_FLATTEN_SLACK places beyond. */
TG_TARGET static inline uint32_t *tg_flatten(const tg_constants *k, uint64_t bits, size_t base, uint32_t *to)
{
    uint32_t *end = to + tg_count(bits);
#define TG_PUT(i)                                                                        \
    do { /* volatile: or GCC gathers four in a vector register, at more than it saves */ \
        *(volatile uint32_t *)(to + (i)) = (uint32_t)base + tg_trailing_zeros(bits);     \
        bits &= bits - 1;                                                                \
    } while (0)
    TG_PUT(0);
    TG_PUT(1);
    TG_PUT(2);
    TG_PUT(3);
    TG_PUT(4);
    TG_PUT(5);
    if (__builtin_expect(end - to > 6, 0))
        for (to += 6; to < end; to++)
            TG_PUT(0);
#undef TG_PUT
    return end;
}
#endif

/* The rare bytes of a block: backslashes, controls and what is not ASCII. Kept out of line, so that the registers
 * are there for the common path. */
TG_TARGET static __attribute__((noinline)) void tg_bitmap_rare(tg_bitmap_rest *r, uint64_t in_string,
                                                               const uint8_t *doc, size_t len, const uint8_t *bytes,
                                                               size_t base, unsigned skip, tg_masks *m)
{
    const uint64_t lanes = ~0ull >> skip;
    tg_extras x = tg_look_closer(bytes);
    uint64_t slash = x.slash >> skip, control = x.control >> skip;
    if (slash | r->escape) {
        uint64_t escaped = tg_escaped_bits(slash, &r->escape) & lanes;
        m->quote &= ~escaped;
        if (slash) {
            if (!r->last_slash)
                r->first_slash = base + (size_t)__builtin_ctzll(slash);
            r->last_slash = base + 63 - (size_t)__builtin_clzll(slash);
        }
        r->errors |= tg_escapes_wrong(doc, len, base, escaped);
    }
    r->errors |= control & (~(x.blank >> skip) | (tg_prefix_xor(m->quote) ^ in_string));
    r->newlines |= x.newline >> skip;
    r->not_ascii |= x.not_ascii >> skip;
    m->blank |= control;
    m->invalid &= ~control;
}

/* One block: `bytes` are read, `base` is the position in the document of the first that counts. The first `skip`
 * bytes do not count: the last block overlaps the one before. */
TG_TARGET static inline __attribute__((always_inline)) uint32_t *tg_bitmap_step(tg_bitmap_state *s, tg_bitmap_rest *r,
                                                                                const tg_constants *k,
                                                                                const uint8_t *doc, size_t len,
                                                                                const uint8_t *bytes, size_t base,
                                                                                unsigned skip, uint32_t *to)
{
    tg_masks m = tg_classify(k, bytes);
    m.quote >>= skip;
    m.structural >>= skip;
    m.blank >>= skip;
    m.invalid >>= skip;
    if (__builtin_expect(m.special | (unsigned)r->escape, 0)) {
        tg_masks changed = m;
        tg_bitmap_rare(r, s->in_string, doc, len, bytes, base, skip, &changed);
        m = changed;
    }
    const uint64_t lanes = ~0ull >> skip;
    uint64_t in = tg_prefix_xor(m.quote) ^ s->in_string;
    s->in_string = (uint64_t)((int64_t)in >> 63);
    uint64_t structural = m.structural & ~in & lanes;
    uint64_t spaces = m.blank & ~in & lanes;
    uint64_t tokens = ~(structural | spaces) & lanes;
    uint64_t after_token = tokens << 1 | s->token;
    s->token = tokens >> 63;
    s->errors |= (m.quote & in & after_token) | (m.invalid & ~(in | m.quote));
    uint64_t gaps = after_token & spaces;
    if (__builtin_expect((gaps | r->gap) != 0, 0))
        s->errors |= tg_gap_ends(r, gaps, spaces) & tokens;
    return tg_flatten(k, structural, base, to);
}
