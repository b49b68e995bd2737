/* Inside of tg_scan: what the two SSE scanners share. TG_TARGET is defined before. */

typedef struct {
    __m128i v[4];
} sse_block;

/* 64 bits from the top bits of `expression`, which is evaluated with i = 0..3. */
#define SSE_MASK(expression)                                                      \
    __extension__({                                                               \
        uint64_t mask_ = 0;                                                       \
        for (int i = 0; i < 4; i++)                                               \
            mask_ |= (uint64_t)(unsigned)_mm_movemask_epi8(expression) << 16 * i; \
        mask_;                                                                    \
    })

TG_TARGET static inline sse_block sse_load(const uint8_t *p)
{
    sse_block b;
    for (int i = 0; i < 4; i++)
        b.v[i] = _mm_loadu_si128((const __m128i *)(p + 16 * i));
    return b;
}

TG_TARGET static inline uint64_t sse_equal(const sse_block *b, char c)
{
    const __m128i wanted = _mm_set1_epi8(c);
    return SSE_MASK(_mm_cmpeq_epi8(b->v[i], wanted));
}

/* As signed numbers, controls and what is not ASCII are all less than ' '. */
TG_TARGET static inline unsigned sse_special(const sse_block *b)
{
    const __m128i space = _mm_set1_epi8(0x20), slash = _mm_set1_epi8('\\');
    __m128i hit = _mm_setzero_si128();
    for (int i = 0; i < 4; i++)
        hit = _mm_or_si128(hit, _mm_or_si128(_mm_cmpgt_epi8(space, b->v[i]), _mm_cmpeq_epi8(b->v[i], slash)));
    return (unsigned)_mm_movemask_epi8(hit);
}

TG_TARGET static inline tg_extras tg_look_closer(const uint8_t *p)
{
    const __m128i space = _mm_set1_epi8(0x20);
    sse_block b = sse_load(p);
    tg_extras x;
    x.not_ascii = SSE_MASK(b.v[i]);
    x.control = SSE_MASK(_mm_cmpgt_epi8(space, b.v[i])) & ~x.not_ascii;
    x.slash = sse_equal(&b, '\\');
    x.newline = sse_equal(&b, '\n') | sse_equal(&b, '\r');
    x.blank = x.newline | sse_equal(&b, '\t');
    return x;
}

TG_TARGET static inline unsigned tg_trailing_zeros(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits | 1ull << 63); /* the builtin is undefined for 0 */
}
