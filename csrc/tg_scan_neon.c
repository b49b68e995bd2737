/* The fast scanner for AArch64. Every such CPU has NEON; PMULL is an extension, so the prefix is made by shifts. */
#if defined(__aarch64__)

#include <arm_neon.h>

#include "tg_scan_fast.h"

#define TG_TARGET

typedef struct {
    uint8x16_t v[4];
} neon_block;

static inline neon_block neon_load(const uint8_t *p)
{
    neon_block b = {{vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48)}};
    return b;
}

/* 64 bits from four vectors of 0x00 and 0xFF. */
static inline uint64_t neon_mask(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d)
{
    const uint8x16_t bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t low = vpaddq_u8(vandq_u8(a, bit), vandq_u8(b, bit));
    uint8x16_t high = vpaddq_u8(vandq_u8(c, bit), vandq_u8(d, bit));
    low = vpaddq_u8(low, high);
    low = vpaddq_u8(low, low);
    return vgetq_lane_u64(vreinterpretq_u64_u8(low), 0);
}

#define NEON_MASK(f) neon_mask(f(0), f(1), f(2), f(3))

static inline uint64_t neon_equal(const neon_block *b, char c)
{
    const uint8x16_t wanted = vdupq_n_u8((uint8_t)c);
#define EQUAL(i) vceqq_u8(b->v[i], wanted)
    return NEON_MASK(EQUAL);
#undef EQUAL
}

typedef struct {
    uint8x16_t lows, highs;
} tg_constants;

static inline tg_constants tg_constants_make(void)
{
    tg_constants k = {vld1q_u8(tg_class_low), vld1q_u8(tg_class_high)};
    return k;
}

static inline tg_masks tg_classify(const tg_constants *k, const uint8_t *p)
{
    neon_block b = neon_load(p), class;
    uint8x16_t special = vdupq_n_u8(0);
    for (int i = 0; i < 4; i++) {
        uint8x16_t c = b.v[i];
        class.v[i] =
            vandq_u8(vqtbl1q_u8(k->lows, vandq_u8(c, vdupq_n_u8(0x0F))), vqtbl1q_u8(k->highs, vshrq_n_u8(c, 4)));
        /* as signed numbers, controls and what is not ASCII are all less than ' ' */
        special = vorrq_u8(special, vcgtq_s8(vdupq_n_s8(0x20), vreinterpretq_s8_u8(c)));
        special = vorrq_u8(special, vceqq_u8(c, vdupq_n_u8('\\')));
    }
#define STRUCTURAL(i) vcgtq_s8(vreinterpretq_s8_u8(class.v[i]), vdupq_n_s8(TG_CLASS_WORD))
#define BLANK(i) vcltzq_s8(vreinterpretq_s8_u8(class.v[i]))
#define INVALID(i) vceqzq_u8(class.v[i])
    tg_masks m;
    m.quote = neon_equal(&b, '"');
    m.structural = NEON_MASK(STRUCTURAL);
    m.blank = NEON_MASK(BLANK);
    m.invalid = NEON_MASK(INVALID);
    m.special = vmaxvq_u8(special);
    return m;
}

static inline tg_extras tg_look_closer(const uint8_t *p)
{
    neon_block b = neon_load(p);
#define NOT_ASCII(i) vcltzq_s8(vreinterpretq_s8_u8(b.v[i]))
#define CONTROL(i) vcltq_u8(b.v[i], vdupq_n_u8(0x20))
    tg_extras x;
    x.not_ascii = NEON_MASK(NOT_ASCII);
    x.control = NEON_MASK(CONTROL);
    x.slash = neon_equal(&b, '\\');
    x.newline = neon_equal(&b, '\n') | neon_equal(&b, '\r');
    x.blank = x.newline | neon_equal(&b, '\t');
    return x;
}

static inline unsigned tg_count(uint64_t bits)
{
    return (unsigned)__builtin_popcountll(bits);
}

static inline uint64_t tg_prefix_xor(uint64_t bits)
{
    for (int i = 1; i < 64; i *= 2)
        bits ^= bits << i;
    return bits;
}

static inline unsigned tg_trailing_zeros(uint64_t bits)
{
    return (unsigned)__builtin_ctzll(bits | 1ull << 63); /* the builtin is undefined for 0 */
}

typedef uint8x16_t V;
#define V_BYTES 16
#define v_load vld1q_u8
#define v_table vld1q_u8
#define v_splat(c) vdupq_n_u8((uint8_t)(c))
#define v_lookup vqtbl1q_u8
#define v_upper(v) vshrq_n_u8(v, 4)
#define v_and vandq_u8
#define v_or vorrq_u8
#define v_xor veorq_u8
#define v_subtract vqsubq_u8
#define v_any(v) (vmaxvq_u8(v) >= 0x80)
#define v_nonzero(v) (vmaxvq_u8(v) != 0)
#define TG_UTF8_VALID tg_utf8_valid_neon
#include "tg_scan_utf8_simd.h"

#define TG_SCAN_NAME tg_scan_neon
#include "tg_scan_bitmap.h"
#include "tg_scan_walk.h"

#else
typedef int tg_scan_neon_not_here;
#endif
