/* The fast scanner for SSE4.2 with PCLMUL (x86-64 from 2010 on). */
#if defined(__x86_64__)

#include <immintrin.h>

#include "tg_scan_fast.h"

#define TG_TARGET __attribute__((target("sse4.2,popcnt,pclmul")))
#include "tg_scan_sse.h"

typedef struct {
    __m128i lows, highs;
} tg_constants;

TG_TARGET static inline tg_constants tg_constants_make(void)
{
    tg_constants k = {_mm_loadu_si128((const __m128i *)tg_class_low), _mm_loadu_si128((const __m128i *)tg_class_high)};
    return k;
}

TG_TARGET static inline tg_masks tg_classify(const tg_constants *k, const uint8_t *p)
{
    const __m128i half = _mm_set1_epi8(0x0F), word = _mm_set1_epi8(TG_CLASS_WORD), zero = _mm_setzero_si128();
    sse_block b = sse_load(p), class;
    for (int i = 0; i < 4; i++) {
        __m128i upper = _mm_and_si128(_mm_srli_epi16(b.v[i], 4), half);
        class.v[i] = _mm_and_si128(_mm_shuffle_epi8(k->lows, b.v[i]), _mm_shuffle_epi8(k->highs, upper));
    }
    tg_masks m;
    m.quote = sse_equal(&b, '"');
    m.structural = SSE_MASK(_mm_cmpgt_epi8(class.v[i], word));
    m.blank = SSE_MASK(class.v[i]);
    m.invalid = SSE_MASK(_mm_cmpeq_epi8(class.v[i], zero));
    m.special = sse_special(&b);
    return m;
}

TG_TARGET static inline unsigned tg_count(uint64_t bits)
{
    return (unsigned)__builtin_popcountll(bits);
}

TG_TARGET static inline uint64_t tg_prefix_xor(uint64_t bits)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)bits), _mm_set1_epi8(-1), 0));
}

typedef __m128i V;
#define V_BYTES 16
#define v_load(p) _mm_loadu_si128((const __m128i *)(p))
#define v_table(t) _mm_loadu_si128((const __m128i *)(t))
#define v_splat(c) _mm_set1_epi8((char)(c))
#define v_lookup _mm_shuffle_epi8
#define v_upper(v) _mm_and_si128(_mm_srli_epi16(v, 4), v_splat(0x0F))
#define v_and _mm_and_si128
#define v_or _mm_or_si128
#define v_xor _mm_xor_si128
#define v_subtract _mm_subs_epu8
#define v_any(v) (_mm_movemask_epi8(v) != 0)
#define v_nonzero(v) (!_mm_testz_si128(v, v))
#define TG_UTF8_VALID tg_utf8_valid_sse42
#include "tg_scan_utf8_simd.h"

#define TG_SCAN_NAME tg_scan_sse42
#include "tg_scan_bitmap.h"
#include "tg_scan_walk.h"

#else
typedef int tg_scan_sse42_not_here;
#endif
