/* The fast scanner for AVX-512 with VBMI and VBMI2 (Ice Lake, Zen 4 and later): a comparison gives the bitmap itself,
 * one look-up classifies all of ASCII, and a compression replaces the loop over set bits. */
#if defined(__x86_64__)

#include <immintrin.h>

#include "tg_scan_fast.h"

#define TG_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt,pclmul")))

enum { STRUCTURAL = 1, BLANK = 2, VALID = 4, SPECIAL = 8 };

#define S SPECIAL
#define W VALID
#define M (VALID | STRUCTURAL)
static const uint8_t classes[128] __attribute__((aligned(64))) = {
    S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, VALID | BLANK,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, W, M, W, W, 0,    /* + , - . */
    W, W, W, W, W, W, W, W, W, W, M, 0, 0, 0, 0, 0, /* 0-9 : */
    0, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, M, S, M, 0, 0, 0,
    W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, W, M, 0, M, 0, 0,
};
#undef S
#undef W
#undef M

typedef struct {
    __m512i low, high, positions;
} tg_constants;

TG_TARGET static inline tg_constants tg_constants_make(void)
{
    static const uint8_t counting[64] __attribute__((aligned(64))) = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
    };
    tg_constants k = {_mm512_load_si512(classes), _mm512_load_si512(classes + 64), _mm512_load_si512(counting)};
    return k;
}

TG_TARGET static inline tg_masks tg_classify(const tg_constants *k, const uint8_t *p)
{
    __m512i bytes = _mm512_loadu_si512(p);
    __mmask64 ascii = _mm512_testn_epi8_mask(bytes, _mm512_set1_epi8((char)0x80));
    __m512i class = _mm512_maskz_permutex2var_epi8(ascii, k->low, bytes, k->high);
    tg_masks m;
    m.quote = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('"'));
    m.structural = _mm512_test_epi8_mask(class, _mm512_set1_epi8(STRUCTURAL));
    m.blank = _mm512_test_epi8_mask(class, _mm512_set1_epi8(BLANK));
    m.invalid = _mm512_testn_epi8_mask(class, _mm512_set1_epi8(VALID));
    m.special = (_mm512_test_epi8_mask(class, _mm512_set1_epi8(SPECIAL)) | ~ascii) != 0;
    return m;
}

TG_TARGET static inline tg_extras tg_look_closer(const uint8_t *p)
{
    __m512i bytes = _mm512_loadu_si512(p);
    tg_extras x;
    x.not_ascii = _mm512_movepi8_mask(bytes);
    x.control = _mm512_cmplt_epu8_mask(bytes, _mm512_set1_epi8(0x20));
    x.slash = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\\'));
    x.newline =
        _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\n')) | _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\r'));
    x.blank = x.newline | _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\t'));
    return x;
}

TG_TARGET static inline uint64_t tg_prefix_xor(uint64_t bits)
{
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)bits), _mm_set1_epi8(-1), 0));
}

/* Sixteen positions at once; there are seldom more in a block. */
#define TG_OWN_FLATTEN
TG_TARGET static inline uint32_t *tg_flatten(const tg_constants *k, uint64_t bits, size_t base, uint32_t *to)
{
    uint32_t *end = to + __builtin_popcountll(bits);
    __m512i found = _mm512_maskz_compress_epi8(bits, k->positions), start = _mm512_set1_epi32((int)base);
    _mm512_storeu_si512(to, _mm512_add_epi32(start, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(found))));
    if (__builtin_expect(end - to > 16, 0)) {
        _mm512_storeu_si512(to + 16,
                            _mm512_add_epi32(start, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(found, 1))));
        if (end - to > 32) {
            _mm512_storeu_si512(to + 32,
                                _mm512_add_epi32(start, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(found, 2))));
            _mm512_storeu_si512(to + 48,
                                _mm512_add_epi32(start, _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(found, 3))));
        }
    }
    return end;
}

typedef __m512i V;
#define V_BYTES 64
#define v_load(p) _mm512_loadu_si512(p)
#define v_table(t) _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(t)))
#define v_splat(c) _mm512_set1_epi8((char)(c))
#define v_lookup _mm512_shuffle_epi8
#define v_upper(v) _mm512_and_si512(_mm512_srli_epi16(v, 4), v_splat(0x0F))
#define v_and _mm512_and_si512
#define v_or _mm512_or_si512
#define v_xor _mm512_xor_si512
#define v_subtract _mm512_subs_epu8
#define v_any(v) (_mm512_movepi8_mask(v) != 0)
#define v_nonzero(v) (_mm512_test_epi8_mask(v, v) != 0)
#define TG_UTF8_VALID tg_utf8_valid_avx512
#include "tg_scan_utf8_simd.h"

#define TG_SCAN_NAME tg_scan_avx512
#include "tg_scan_bitmap.h"
#include "tg_scan_walk.h"

#else
typedef int tg_scan_avx512_not_here;
#endif
