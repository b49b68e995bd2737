/* The fast scanner for AVX2 with PCLMUL and BMI (x86-64-v3: Haswell, Zen and later). */
#if defined(__x86_64__)

#include <immintrin.h>

#include "tg_scan_fast.h"

#define TG_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt,pclmul")))

TG_TARGET static inline uint64_t both(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

typedef struct {
    __m256i lows, highs, half, word, quote, slash, space;
} tg_constants;

/* Makes a constant unknown to the compiler, which else rebuilds it in every turn of the loop, or rewrites a
 * comparison with it into two instructions. */
TG_TARGET static inline __m256i opaque(char c)
{
    __m256i v = _mm256_set1_epi8(c);
    __asm__("" : "+x"(v));
    return v;
}

TG_TARGET static inline tg_constants tg_constants_make(void)
{
    tg_constants k = {
        .lows = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)tg_class_low)),
        .highs = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)tg_class_high)),
        .half = opaque(0x0F),
        .word = opaque(TG_CLASS_WORD),
        .quote = opaque('"'),
        .slash = opaque('\\'),
        .space = opaque(0x20),
    };
    return k;
}

TG_TARGET static inline __m256i classes(const tg_constants *k, __m256i bytes)
{
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), k->half);
    return _mm256_and_si256(_mm256_shuffle_epi8(k->lows, bytes), _mm256_shuffle_epi8(k->highs, upper));
}

TG_TARGET static inline tg_masks tg_classify(const tg_constants *k, const uint8_t *p)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_loadu_si256((const __m256i *)p), high = _mm256_loadu_si256((const __m256i *)(p + 32));
    __m256i low_class = classes(k, low), high_class = classes(k, high);
    /* as signed numbers, controls and what is not ASCII are all less than ' ' */
    __m256i special = _mm256_cmpgt_epi8(k->space, _mm256_min_epi8(low, high));
    special = _mm256_or_si256(special, _mm256_cmpeq_epi8(low, k->slash));
    special = _mm256_or_si256(special, _mm256_cmpeq_epi8(high, k->slash));
    tg_masks m;
    m.quote = both(_mm256_cmpeq_epi8(low, k->quote), _mm256_cmpeq_epi8(high, k->quote));
    m.structural = both(_mm256_cmpgt_epi8(low_class, k->word), _mm256_cmpgt_epi8(high_class, k->word));
    m.blank = both(low_class, high_class);
    m.invalid = both(_mm256_cmpeq_epi8(low_class, zero), _mm256_cmpeq_epi8(high_class, zero));
    m.special = (unsigned)_mm256_movemask_epi8(special);
    return m;
}

TG_TARGET static inline uint64_t equal(__m256i low, __m256i high, char c)
{
    __m256i wanted = _mm256_set1_epi8(c);
    return both(_mm256_cmpeq_epi8(low, wanted), _mm256_cmpeq_epi8(high, wanted));
}

TG_TARGET static inline tg_extras tg_look_closer(const uint8_t *p)
{
    const __m256i space = _mm256_set1_epi8(0x20);
    __m256i low = _mm256_loadu_si256((const __m256i *)p), high = _mm256_loadu_si256((const __m256i *)(p + 32));
    tg_extras x;
    x.not_ascii = both(low, high);
    x.control = both(_mm256_cmpgt_epi8(space, low), _mm256_cmpgt_epi8(space, high)) & ~x.not_ascii;
    x.slash = equal(low, high, '\\');
    x.newline = equal(low, high, '\n') | equal(low, high, '\r');
    x.blank = x.newline | equal(low, high, '\t');
    return x;
}

TG_TARGET static inline unsigned tg_count(uint64_t bits)
{
    return (unsigned)__builtin_popcountll(bits);
}

TG_TARGET static inline uint64_t tg_prefix_xor(uint64_t bits)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)bits), _mm_set1_epi8(-1), 0));
}

TG_TARGET static inline unsigned tg_trailing_zeros(uint64_t bits)
{
    return (unsigned)_tzcnt_u64(bits); /* 64 where there is none; the builtin leaves that open */
}

typedef __m256i V;
#define V_BYTES 32
#define v_load(p) _mm256_loadu_si256((const __m256i *)(p))
#define v_table(t) _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(t)))
#define v_splat(c) _mm256_set1_epi8((char)(c))
#define v_lookup _mm256_shuffle_epi8
#define v_upper(v) _mm256_and_si256(_mm256_srli_epi16(v, 4), v_splat(0x0F))
#define v_and _mm256_and_si256
#define v_or _mm256_or_si256
#define v_xor _mm256_xor_si256
#define v_subtract _mm256_subs_epu8
#define v_any(v) (_mm256_movemask_epi8(v) != 0)
#define v_nonzero(v) (!_mm256_testz_si256(v, v))
#define TG_UTF8_VALID tg_utf8_valid_avx2
#include "tg_scan_utf8_simd.h"

#define TG_SCAN_NAME tg_scan_avx2
#include "tg_scan_bitmap.h"
#include "tg_scan_walk.h"

#else
typedef int tg_scan_avx2_not_here;
#endif
