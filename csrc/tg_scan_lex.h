/* Inside of tg_scan: the tokens of JSON, one at a time. Shared by the scalar scanner and by the walk of the
 * fast ones, so that both mean the same by a number, a word or an escape. */
#ifndef TG_SCAN_LEX_H
#define TG_SCAN_LEX_H

#include <string.h>

#include "tg_scan.h"

static inline int tg_is_blank(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* [-+.0-9A-Za-z] */
static inline int tg_is_word(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' || c == '+' || c == '.';
}

static inline int tg_is_hex(uint8_t c)
{
    return (uint8_t)(c - '0') < 10 || (uint8_t)((c | 0x20) - 'a') < 6;
}

/* May `c` follow a backslash? 'u' too, with four hex digits to come. */
static inline int tg_is_escape(uint8_t c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'u':
        return 1;
    default:
        return 0;
    }
}

/* Length of the UTF-8 sequence at p (2..4), whose first byte is not ASCII; 0 where it is wrong, -1 where it is
 * right so far but cut off by `end`. */
static inline int tg_utf8_step(const uint8_t *p, const uint8_t *end)
{
    uint8_t lead = p[0], low = 0x80, high = 0xBF;
    int len;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    if (lead < 0xE0) {
        len = 2;
    } else if (lead < 0xF0) {
        len = 3;
        if (lead == 0xE0)
            low = 0xA0; /* shorter forms exist */
        if (lead == 0xED)
            high = 0x9F; /* surrogates */
    } else {
        len = 4;
        if (lead == 0xF0)
            low = 0x90;
        if (lead == 0xF4)
            high = 0x8F; /* beyond U+10FFFF */
    }
    for (int i = 1; i < len; i++) {
        if (end - p <= i)
            return -1;
        if (p[i] < low || p[i] > high)
            return 0;
        low = 0x80;
        high = 0xBF;
    }
    return len;
}

/* What a bare word is. Anything that is not a literal counts as a number; whether it is one, tg_is_number knows. */
static inline tg_scan_kind tg_word_kind(const uint8_t *p, uint32_t len)
{
    if (len == 4 && memcmp(p, "true", 4) == 0)
        return TG_SCAN_TRUE;
    if (len == 5 && memcmp(p, "false", 5) == 0)
        return TG_SCAN_FALSE;
    if (len == 4 && memcmp(p, "null", 4) == 0)
        return TG_SCAN_NULL;
    return TG_SCAN_NUMBER;
}

#define TG_ONES 0x0101010101010101ull
#define TG_HIGHS 0x8080808080808080ull

/* The end of the digits at p. Bytes up to `limit` may be read; something else than a digit is known to come. */
static inline const uint8_t *tg_skip_digits(const uint8_t *p, const uint8_t *limit)
{
    while (limit - p >= 8) {
        uint64_t x;
        memcpy(&x, p, 8);
        x ^= '0' * TG_ONES; /* 0..9 are digits now; a carry only spoils what follows the first that is none */
        x = (x | (x + 0x76 * TG_ONES)) & TG_HIGHS;
        if (x) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
            return p + (__builtin_ctzll(x) >> 3);
#else
            break;
#endif
        }
        p += 8;
    }
    while (p < limit && (uint8_t)(*p - '0') < 10)
        p++;
    return p;
}

/* number of RFC 8259, all of it. Bytes up to `limit` (at least p + len) may be read; p[len], if it is within, is no
 * word character. */
static inline int tg_is_number(const uint8_t *p, size_t len, const uint8_t *limit)
{
    const uint8_t *end = p + len, *from;
    p += p < end && *p == '-';
    from = p;
    p = tg_skip_digits(p, limit);
    if (p == from || (*from == '0' && p != from + 1))
        return 0;
    if (p == end)
        return 1;
    if (*p == '.') {
        from = ++p;
        p = tg_skip_digits(p, limit);
        if (p == from)
            return 0;
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        from = p;
        p = tg_skip_digits(p, limit);
        if (p == from)
            return 0;
    }
    return p == end;
}

/* A bare word as RFC 8259 has them; `limit` as for tg_is_number. */
static inline int tg_is_literal(const uint8_t *p, size_t len, const uint8_t *limit)
{
    if (*p <= '9')
        return tg_is_number(p, len, limit);
    return tg_word_kind(p, (uint32_t)len) != TG_SCAN_NUMBER;
}

/* Nonzero, lowest set byte first (on little endian), where one of the eight bytes needs a look: quote, backslash,
 * control or not ASCII. */
static inline uint64_t tg_string_special(uint64_t x)
{
    uint64_t quote = x ^ '"' * TG_ONES, slash = x ^ '\\' * TG_ONES;
    uint64_t hit = (x - 0x20 * TG_ONES) | (quote - TG_ONES) | (slash - TG_ONES);
    return (hit | x) & TG_HIGHS;
}

/* From just after the opening quote to the closing one: *at is that quote, or the offence. */
static inline tg_scan_status tg_lex_string(const uint8_t *p, const uint8_t *end, const uint8_t **at, uint8_t *escaped)
{
    for (;;) {
        while (end - p >= 8) {
            uint64_t x;
            memcpy(&x, p, 8);
            uint64_t hit = tg_string_special(x);
            if (hit) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
                p += __builtin_ctzll(hit) >> 3;
#endif
                break;
            }
            p += 8;
        }
        if (p == end)
            break;
        uint8_t c = *p;
        if (c == '"') {
            *at = p;
            return TG_SCAN_OK;
        }
        if (c == '\\') {
            *escaped = 1;
            *at = p;
            if (end - p < 2)
                break;
            if (!tg_is_escape(p[1]))
                return TG_SCAN_ESTRING;
            if (p[1] == 'u') {
                for (int i = 2; i < 6; i++) {
                    if (end - p <= i)
                        goto truncated;
                    if (!tg_is_hex(p[i]))
                        return TG_SCAN_ESTRING;
                }
                p += 6;
            } else {
                p += 2;
            }
        } else if (c < 0x20) {
            *at = p;
            return TG_SCAN_ESTRING;
        } else if (c >= 0x80) {
            int len = tg_utf8_step(p, end);
            if (len <= 0) {
                *at = len ? end : p;
                return len ? TG_SCAN_ETRUNC : TG_SCAN_EUTF8;
            }
            p += len;
        } else {
            p++;
        }
    }
truncated:
    *at = end;
    return TG_SCAN_ETRUNC;
}

#endif
