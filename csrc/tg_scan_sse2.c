/* The fast scanner for plain x86-64: comparisons in place of table look-ups, shifts in place of PCLMUL. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "tg_scan_fast.h"

#define TG_TARGET
#include "tg_scan_sse.h"

typedef int tg_constants;

static inline tg_constants tg_constants_make(void)
{
    return 0;
}

/* Bytes from `from` on, `span` of them. */
static inline __m128i in_range(__m128i bytes, uint8_t from, uint8_t span)
{
    __m128i offset = _mm_sub_epi8(bytes, _mm_set1_epi8((char)from));
    return _mm_cmpeq_epi8(_mm_min_epu8(offset, _mm_set1_epi8((char)(span - 1))), offset);
}

static inline tg_masks tg_classify(const tg_constants *k, const uint8_t *p)
{
    (void)k;
    sse_block b = sse_load(p), structural, valid;
    for (int i = 0; i < 4; i++) {
        __m128i c = b.v[i], small = _mm_or_si128(c, _mm_set1_epi8(0x20)); /* also makes { } of [ ] */
        __m128i brackets =
            _mm_or_si128(_mm_cmpeq_epi8(small, _mm_set1_epi8('{')), _mm_cmpeq_epi8(small, _mm_set1_epi8('}')));
        __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(c, _mm_set1_epi8(',')), _mm_cmpeq_epi8(c, _mm_set1_epi8(':')));
        __m128i signs = in_range(c, '+', 4); /* + , - . */
        structural.v[i] = _mm_or_si128(brackets, marks);
        valid.v[i] = _mm_or_si128(_mm_or_si128(in_range(small, 'a', 26), in_range(c, '0', 10)),
                                  _mm_or_si128(signs, structural.v[i]));
    }
    tg_masks m;
    m.quote = sse_equal(&b, '"');
    m.structural = SSE_MASK(structural.v[i]);
    m.blank = sse_equal(&b, ' ');
    m.invalid = ~(SSE_MASK(valid.v[i]) | m.blank);
    m.special = sse_special(&b);
    return m;
}

/* Without POPCNT the builtin is a call. */
static inline unsigned tg_count(uint64_t bits)
{
    bits -= bits >> 1 & 0x5555555555555555ull;
    bits = (bits & 0x3333333333333333ull) + (bits >> 2 & 0x3333333333333333ull);
    return (unsigned)(((bits + (bits >> 4)) & 0x0F0F0F0F0F0F0F0Full) * TG_ONES >> 56);
}

static inline uint64_t tg_prefix_xor(uint64_t bits)
{
    for (int i = 1; i < 64; i *= 2)
        bits ^= bits << i;
    return bits;
}

#define TG_UTF8_VALID tg_utf8_valid_plain
#define TG_SCAN_NAME tg_scan_sse2
#include "tg_scan_bitmap.h"
#include "tg_scan_walk.h"

#else
typedef int tg_scan_sse2_not_here;
#endif
