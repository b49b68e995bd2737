/* Inside of tg_scan, first step of the fast scanners: 64 bytes at a time become bitmaps, the bitmaps become
 * positions of the brackets, colons and commas outside strings.
 *
 * This is a template: the including file has defined TG_TARGET (the function attribute of its instruction set)
 * and
 *     tg_masks  tg_classify(const uint8_t *p)    p[0..63]
 *     tg_extras tg_look_closer(const uint8_t *p) the same bytes, where tg_masks.special was set
 *     uint64_t  tg_prefix_xor(uint64_t)          bit i = xor of bits 0..i
 * with the types below, and includes this file after them.
 *
 * Bit operations also settle everything about neighbours: that strings touch only separators, that no two tokens
 * stand side by side, that bare words are made of word characters. So between two structural characters there
 * is at most one token, and the walk (tg_scan_walk.h) need only look at its first byte.
 */

/* A doubtful bit is always safe as an error: a fast scanner that gives up is followed by the scalar one. */
typedef struct {
    uint64_t in_string;  /* all ones: the block before ended inside a string */
    uint64_t token;      /* 1: its last byte belonged to a token */
    uint64_t closed;     /* 1: its last byte closed a string */
    uint64_t gap;        /* 1: it ended in blanks that follow a token */
    uint64_t escape;     /* 1: it ended in a backslash that counts */
    uint64_t errors;
    uint64_t newlines;
    uint64_t not_ascii;
    uint64_t slashes;
} tg_bitmap_state;

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
TG_TARGET static uint64_t tg_escapes_wrong(const uint8_t *doc, uint32_t len, uint32_t base, uint64_t escaped)
{
    for (; escaped; escaped &= escaped - 1) {
        uint32_t at = base + (uint32_t)__builtin_ctzll(escaped);
        if (!tg_is_escape(doc[at]))
            return 1;
        if (doc[at] == 'u' &&
            (len - at < 5 ||
             !(tg_is_hex(doc[at + 1]) && tg_is_hex(doc[at + 2]) && tg_is_hex(doc[at + 3]) && tg_is_hex(doc[at + 4]))))
            return 1;
    }
    return 0;
}

/* Tokens that follow blanks that follow a token. A run of blanks carries an addition to its end. */
TG_TARGET static inline uint64_t tg_gap_ends(tg_bitmap_state *s, uint64_t starts, uint64_t blanks)
{
    uint64_t sum;
    uint64_t over = __builtin_add_overflow(blanks, starts, &sum);
    over |= __builtin_add_overflow(sum, s->gap, &sum);
    s->gap = over;
    return sum & ~blanks;
}

/* Writes the positions of set bits; may write up to 8 places more than there are bits. */
TG_TARGET static inline uint32_t *tg_flatten(uint64_t bits, uint32_t base, uint32_t *to)
{
    uint32_t count = (uint32_t)__builtin_popcountll(bits);
    for (int i = 0; i < 6; i++) {
        to[i] = base + (uint32_t)__builtin_ctzll(bits);
        bits &= bits - 1;
    }
    if (__builtin_expect(count > 6, 0)) {
        for (uint32_t i = 6; i < count; i++) {
            to[i] = base + (uint32_t)__builtin_ctzll(bits);
            bits &= bits - 1;
        }
    }
    return to + count;
}

/* One block: `bytes` are read, `base` is the position in the document of the first that counts. The first `skip`
 * bytes do not count (the last block overlaps the one before), nor do the last `pad` (short documents). */
TG_TARGET static inline __attribute__((always_inline)) uint32_t *tg_bitmap_step(tg_bitmap_state *s,
                                                                                const uint8_t *doc, uint32_t len,
                                                                                const uint8_t *bytes, uint32_t base,
                                                                                unsigned skip, unsigned pad,
                                                                                uint32_t *to)
{
    tg_masks m = tg_classify(bytes);
    const uint64_t lanes = ~0ull >> (skip + pad);
    uint64_t quote = m.quote >> skip, structural = m.structural >> skip, blank = m.blank >> skip;
    uint64_t invalid = m.invalid >> skip, control = 0;
    if (__builtin_expect(m.special | (int)s->escape, 0)) {
        tg_extras x = tg_look_closer(bytes);
        uint64_t slash = x.slash >> skip & lanes;
        if (slash | s->escape) {
            uint64_t escaped = tg_escaped_bits(slash, &s->escape) & lanes;
            quote &= ~escaped;
            s->slashes |= slash;
            s->errors |= tg_escapes_wrong(doc, len, base, escaped);
        }
        control = x.control >> skip;
        s->errors |= control & ~(x.blank >> skip);
        s->newlines |= x.newline >> skip;
        s->not_ascii |= x.not_ascii >> skip;
        blank |= control;
        structural &= ~control;
        invalid &= ~control;
    }
    uint64_t in = tg_prefix_xor(quote) ^ s->in_string;
    s->in_string = (uint64_t)((int64_t)in >> 63);
    uint64_t closing = quote & ~in;
    structural &= ~in;
    uint64_t spaces = blank & ~in;
    uint64_t tokens = ~(structural | spaces) & lanes;
    uint64_t after_token = tokens << 1 | s->token;
    uint64_t after_close = closing << 1 | s->closed;
    s->token = tokens >> 63;
    s->closed = closing >> 63;
    s->errors |= (quote & in & after_token) | (after_close & tokens) | (invalid & ~(in | quote) & lanes) | (control & in);
    uint64_t gaps = after_token & spaces;
    if (__builtin_expect((gaps | s->gap) != 0, 0))
        s->errors |= tg_gap_ends(s, gaps, spaces) & tokens;
    return tg_flatten(structural & lanes, base, to);
}
