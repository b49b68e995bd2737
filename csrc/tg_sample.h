/* tg_sample: consistent probability sampling (OpenTelemetry, "TraceState: Probability Sampling").
 *
 * A key gives 56 bits of randomness R, a share p to keep gives the threshold T = (1 - p) * 2^56, and a record is kept
 * iff R >= T. What a lower share keeps is therefore a subset of what a higher one keeps, here and wherever else the
 * same R is used, and stages combine by the greater T. A weight that came without a threshold cannot be combined in
 * that way: it multiplies.
 *
 * Nothing here allocates, knows a clock or keeps a state; all of it may be called from any thread.
 */
#ifndef TG_SAMPLE_H
#define TG_SAMPLE_H

#include "tg_hash.h"
#include "tg_scan.h"

#define TG_SAMPLE_ALL (1ull << 56) /* values that R can have; as a threshold: nothing is kept */
#define TG_SAMPLE_RUNGS 13         /* 1, 3/4, 1/2, 3/8, 1/4, 3/16 … 1/64 */
#define TG_SAMPLE_DIGITS 14        /* of 56 bits in hex */
#define TG_SAMPLE_KEY_BYTES 1024   /* of a key's JSON text whose escapes are decoded */
#define TG_SAMPLE_MAX_RATE INT32_MAX

/* What is known of how one record was sampled. All zero but `factor` 1: nothing yet. */
typedef struct {
    uint64_t randomness; /* R */
    uint64_t threshold;  /* T, the greatest that was applied; 0: none */
    double factor;       /* weight that no threshold says, 1 where there is none */
    uint8_t has_randomness;
    uint8_t has_threshold;
} tg_sample;

/* ---- ladder ---- */

/* Records kept of 2^56 on a rung, 0 to TG_SAMPLE_RUNGS - 1: an even one is a half as much as the one two before, and an
 * odd one three quarters of the one before. */
static inline uint64_t tg_sample_rung_kept(unsigned rung)
{
    return rung & 1 ? 3ull << (54 - rung / 2) : 1ull << (56 - rung / 2);
}

static inline uint64_t tg_sample_rung_threshold(unsigned rung)
{
    return TG_SAMPLE_ALL - tg_sample_rung_kept(rung);
}

/* The first rung that keeps no more than `threshold` does; TG_SAMPLE_RUNGS where all keep more. */
static inline unsigned tg_sample_rung_of(uint64_t threshold)
{
    unsigned rung = 0;
    while (rung < TG_SAMPLE_RUNGS && tg_sample_rung_threshold(rung) < threshold)
        rung++;
    return rung;
}

/* ---- randomness ---- */

/* R of a key: the low 56 bits of XXH64. */
static inline uint64_t tg_sample_randomness(const uint8_t *key, size_t len, uint64_t seed)
{
    return tg_xxh64(key, len, seed) & (TG_SAMPLE_ALL - 1);
}

/* The same of JSON text with escapes: of what it means, so that another spelling gives the same. Longer than
 * TG_SAMPLE_KEY_BYTES, it is taken as it stands. */
static inline uint64_t tg_sample_randomness_escaped(const uint8_t *key, size_t len, uint64_t seed)
{
    uint8_t text[TG_SAMPLE_KEY_BYTES];
    if (len > sizeof text)
        return tg_sample_randomness(key, len, seed);
    return tg_sample_randomness(text, tg_scan_unescape(key, len, text), seed);
}

/* R of a record that has no key: its place, which every replica reads alike. */
static inline uint64_t tg_sample_randomness_place(const char *topic, size_t len, int32_t partition, int64_t offset,
                                                  uint64_t seed)
{
    uint8_t place[12];
    for (int i = 0; i < 4; i++)
        place[i] = (uint8_t)((uint32_t)partition >> 8 * i);
    for (int i = 0; i < 8; i++)
        place[4 + i] = (uint8_t)((uint64_t)offset >> 8 * i);
    return tg_sample_randomness(place, sizeof place, tg_xxh64((const uint8_t *)topic, len, seed));
}

/* ---- stages ---- */

static inline double tg_sample_threshold_weight(uint64_t threshold)
{
    return threshold < TG_SAMPLE_ALL ? (double)TG_SAMPLE_ALL / (double)(TG_SAMPLE_ALL - threshold) : 0.0;
}

/* How many records this one stands for: 2^56 / (2^56 - T), times the factor. */
static inline double tg_sample_weight(const tg_sample *s)
{
    return s->factor * tg_sample_threshold_weight(s->threshold);
}

/* Makes sure of R. `own` is ours, for a record that brought none. A threshold without its R was applied to a number that
 * we do not know: towards ours it is an independent stage, so it becomes a factor. A record that came through although
 * its own R says no has a threshold that is not true, and it is erased (OpenTelemetry, "General requirements"). */
static inline void tg_sample_settle(tg_sample *s, uint64_t own)
{
    if (!s->has_randomness) {
        s->randomness = own;
        s->has_randomness = 1;
        s->factor *= tg_sample_threshold_weight(s->threshold);
        s->threshold = 0;
        s->has_threshold = 0;
    } else if (s->randomness < s->threshold) {
        s->threshold = 0;
        s->has_threshold = 0;
    }
}

/* Applies a threshold to a settled record: 1 kept, with the greater of the two from then on; 0 not kept, unchanged. */
static inline int tg_sample_apply(tg_sample *s, uint64_t threshold)
{
    if (s->randomness < threshold)
        return 0;
    if (threshold > s->threshold)
        s->threshold = threshold;
    s->has_threshold = 1;
    return 1;
}

/* The weight as an integer >= 1 whose expectation is the weight: of the M = 2^56 - T values that R can have, the first
 * (2^56 mod M) get one more than the others. The same record always gets the same. Exact while the factor is an
 * integer; TG_SAMPLE_MAX_RATE (what CloudEvents allows) where it would be more. */
static inline int32_t tg_sample_rate(const tg_sample *s)
{
    if (s->threshold >= TG_SAMPLE_ALL || !(s->factor > 0))
        return 1;
    uint64_t kept = TG_SAMPLE_ALL - s->threshold, at = (s->randomness - s->threshold) & (TG_SAMPLE_ALL - 1), whole,
             more;
    if (s->factor * ((double)TG_SAMPLE_ALL / (double)kept) >= (double)TG_SAMPLE_MAX_RATE)
        return TG_SAMPLE_MAX_RATE;
    uint64_t factor = (uint64_t)s->factor;
    if ((double)factor == s->factor && factor < 128) {
        uint64_t all = TG_SAMPLE_ALL * factor; /* below 2^63 */
        whole = all / kept;
        more = all % kept;
    } else {
        double weight = tg_sample_weight(s);
        whole = (uint64_t)weight;
        more = (uint64_t)((weight - (double)whole) * (double)kept);
    }
    whole += at < more;
    return whole < 1 ? 1 : (int32_t)whole;
}

#endif
