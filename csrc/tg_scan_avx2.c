/* The fast scanner for AVX2 with PCLMUL and BMI (x86-64-v3: Haswell, Zen and later). */
#if defined(__x86_64__)

#include <immintrin.h>

#include "tg_scan_fast.h"

#define TG_TARGET __attribute__((target("avx2,bmi,bmi2,popcnt,pclmul")))

TG_TARGET static inline uint64_t both(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

TG_TARGET static inline __m256i classes(__m256i bytes)
{
    const __m256i lows = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)tg_class_low));
    const __m256i highs = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)tg_class_high));
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0F));
    return _mm256_and_si256(_mm256_shuffle_epi8(lows, bytes), _mm256_shuffle_epi8(highs, upper));
}

TG_TARGET static inline __m256i specials(__m256i bytes)
{
    return _mm256_or_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), bytes),
                           _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\')));
}

TG_TARGET static inline tg_masks tg_classify(const uint8_t *p)
{
    const __m256i quote = _mm256_set1_epi8('"'), word = _mm256_set1_epi8(TG_CLASS_WORD);
    const __m256i zero = _mm256_setzero_si256();
    __m256i low = _mm256_loadu_si256((const __m256i *)p), high = _mm256_loadu_si256((const __m256i *)(p + 32));
    __m256i low_class = classes(low), high_class = classes(high);
    __m256i special = _mm256_or_si256(specials(low), specials(high));
    tg_masks m;
    m.quote = both(_mm256_cmpeq_epi8(low, quote), _mm256_cmpeq_epi8(high, quote));
    m.structural = both(_mm256_cmpgt_epi8(low_class, word), _mm256_cmpgt_epi8(high_class, word));
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

TG_TARGET static inline uint64_t tg_prefix_xor(uint64_t bits)
{
    return (uint64_t)_mm_cvtsi128_si64(
        _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)bits), _mm_set1_epi8(-1), 0));
}

#define TG_UTF8_VALID tg_utf8_valid_avx2
#define TG_SCAN_NAME tg_scan_avx2
#include "tg_scan_bitmap.h"
#include "tg_scan_walk.h"

#else
typedef int tg_scan_avx2_not_here;
#endif
