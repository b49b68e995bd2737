/* tg_hash: XXH64 as its specification has it (doc/xxhash_spec.md of the xxHash project, "XXH64 Algorithm
 * Description"). The value is part of contracts with other systems (sampling), so it may never change.
 *
 * No alignment is asked of the data; both byte orders give the same value.
 */
#ifndef TG_HASH_H
#define TG_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TG_XXH_P1 0x9E3779B185EBCA87ull
#define TG_XXH_P2 0xC2B2AE3D27D4EB4Full
#define TG_XXH_P3 0x165667B19E3779F9ull
#define TG_XXH_P4 0x85EBCA77C2B2AE63ull
#define TG_XXH_P5 0x27D4EB2F165667C5ull

static inline uint64_t tg_load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline uint32_t tg_load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap32(v);
#endif
    return v;
}

static inline uint64_t tg_rotl64(uint64_t v, int bits)
{
    return v << bits | v >> (64 - bits);
}

static inline uint64_t tg_xxh_round(uint64_t lane, uint64_t input)
{
    return tg_rotl64(lane + input * TG_XXH_P2, 31) * TG_XXH_P1;
}

static inline uint64_t tg_xxh_merge(uint64_t hash, uint64_t lane)
{
    return (hash ^ tg_xxh_round(0, lane)) * TG_XXH_P1 + TG_XXH_P4;
}

/* XXH64 of `len` bytes. `data` may be NULL where len is 0. */
static inline uint64_t tg_xxh64(const uint8_t *data, size_t len, uint64_t seed)
{
    const uint8_t *p = data;
    size_t left = len;
    uint64_t h;
    if (left >= 32) {
        uint64_t a = seed + TG_XXH_P1 + TG_XXH_P2, b = seed + TG_XXH_P2, c = seed, d = seed - TG_XXH_P1;
        for (; left >= 32; p += 32, left -= 32) {
            a = tg_xxh_round(a, tg_load64(p));
            b = tg_xxh_round(b, tg_load64(p + 8));
            c = tg_xxh_round(c, tg_load64(p + 16));
            d = tg_xxh_round(d, tg_load64(p + 24));
        }
        h = tg_rotl64(a, 1) + tg_rotl64(b, 7) + tg_rotl64(c, 12) + tg_rotl64(d, 18);
        h = tg_xxh_merge(tg_xxh_merge(tg_xxh_merge(tg_xxh_merge(h, a), b), c), d);
    } else {
        h = seed + TG_XXH_P5;
    }
    h += (uint64_t)len;
    for (; left >= 8; p += 8, left -= 8)
        h = tg_rotl64(h ^ tg_xxh_round(0, tg_load64(p)), 27) * TG_XXH_P1 + TG_XXH_P4;
    if (left >= 4) {
        h = tg_rotl64(h ^ tg_load32(p) * TG_XXH_P1, 23) * TG_XXH_P2 + TG_XXH_P3;
        p += 4;
        left -= 4;
    }
    for (; left; p++, left--)
        h = tg_rotl64(h ^ *p * TG_XXH_P5, 11) * TG_XXH_P1;
    h = (h ^ h >> 33) * TG_XXH_P2;
    h = (h ^ h >> 29) * TG_XXH_P3;
    return h ^ h >> 32;
}

#endif
