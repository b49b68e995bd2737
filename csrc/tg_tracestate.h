/* tg_tracestate: what is said of a record's sampling, as text: th and rv of the `ot` entry of a tracestate header
 * (OpenTelemetry, "TraceState Handling"; W3C Trace Context), read from bytes of strangers and written.
 *
 * Each text is read once from its beginning to its end, none beyond `len`; nothing allocates.
 */
#ifndef TG_TRACESTATE_H
#define TG_TRACESTATE_H

#include "tg_sample.h"

#define TG_TRACESTATE_BYTES 38 /* the longest that tg_tracestate_print writes */

static inline int tg_tracestate_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to 14 hex digits, those that are missing at the end being zeros; 0 where it is anything else. */
static inline int tg_tracestate_hex(const uint8_t *text, size_t len, uint64_t *out)
{
    uint64_t v = 0;
    if (len == 0 || len > TG_SAMPLE_DIGITS)
        return 0;
    for (size_t i = 0; i < len; i++) {
        int digit = tg_tracestate_digit(text[i]);
        if (digit < 0)
            return 0;
        v = v << 4 | (uint64_t)digit;
    }
    *out = v << 4 * (TG_SAMPLE_DIGITS - len);
    return 1;
}

/* Reads th and rv from the value of a tracestate's `ot` entry ("th:c;rv:d29d6a7215ced0"). 1: read, with a value that is
 * none left out by itself. 0: not such a list (an unknown character, a key twice, over 256 bytes), nothing is taken. */
static inline int tg_tracestate_read_ot(const uint8_t *text, size_t len, tg_sample *out)
{
    tg_sample found = *out;
    unsigned seen = 0;
    if (len == 0 || len > 256)
        return 0;
    for (size_t at = 0;; at++) {
        size_t key = at, colon;
        if (at == len || text[at] < 'a' || text[at] > 'z')
            return 0;
        while (at < len && ((text[at] >= 'a' && text[at] <= 'z') || (text[at] >= '0' && text[at] <= '9')))
            at++;
        if (at == len || text[at] != ':')
            return 0;
        colon = at++;
        for (; at < len && text[at] != ';'; at++) {
            uint8_t c = text[at], low = c | 0x20;
            if (!((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
                return 0;
        }
        const uint8_t *value = text + colon + 1;
        size_t size = at - colon - 1;
        unsigned which = 0;
        if (colon - key == 2)
            which = memcmp(text + key, "th", 2) == 0 ? 1 : memcmp(text + key, "rv", 2) == 0 ? 2 : 0;
        if (seen & which)
            return 0;
        seen |= which;
        if (which == 1)
            found.has_threshold = (uint8_t)tg_tracestate_hex(value, size, &found.threshold);
        else if (which == 2 && size == TG_SAMPLE_DIGITS)
            found.has_randomness = (uint8_t)tg_tracestate_hex(value, size, &found.randomness);
        if (at == len)
            break;
    }
    *out = found;
    return 1;
}

/* The same from a whole tracestate header (W3C Trace Context, "tracestate"): entries between commas, blanks around
 * them. Any bytes may come; the first entry called `ot` counts. 1: there was one, and it could be read. */
static inline int tg_tracestate_read(const uint8_t *text, size_t len, tg_sample *out)
{
    for (size_t at = 0; at < len; at++) {
        size_t from = at, end;
        while (at < len && text[at] != ',')
            at++;
        end = at;
        while (from < end && (text[from] == ' ' || text[from] == '\t'))
            from++;
        while (from < end && (text[end - 1] == ' ' || text[end - 1] == '\t'))
            end--;
        if (end - from >= 3 && memcmp(text + from, "ot=", 3) == 0)
            return tg_tracestate_read_ot(text + from + 3, end - from - 3, out);
    }
    return 0;
}

/* R from the trace id of a traceparent header ("00-<32 hex>-<16 hex>-<2 hex>"): its last 56 bits, which is what a
 * threshold without an rv was applied to. 1: taken; 0: it is no such header. */
static inline int tg_tracestate_read_parent(const uint8_t *text, size_t len, tg_sample *out)
{
    if (len < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-' || (len > 55 && text[55] != '-'))
        return 0;
    for (size_t i = 0; i < 55; i++)
        if (i != 2 && i != 35 && i != 52 && tg_tracestate_digit(text[i]) < 0)
            return 0;
    return out->has_randomness =
               (uint8_t)tg_tracestate_hex(text + 35 - TG_SAMPLE_DIGITS, TG_SAMPLE_DIGITS, &out->randomness);
}

/* Writes 56 bits in hex, without the zeros at the end where `trim` says so ("0" where all are). Returns the digits. */
static inline size_t tg_tracestate_print_hex(uint64_t v, int trim, char *to)
{
    size_t n = TG_SAMPLE_DIGITS;
    for (int i = 0; i < TG_SAMPLE_DIGITS; i++)
        to[i] = "0123456789abcdef"[v >> 4 * (TG_SAMPLE_DIGITS - 1 - i) & 15];
    while (trim && n > 1 && to[n - 1] == '0')
        n--;
    return n;
}

/* Writes "ot=th:c;rv:d29d6a7215ced0", or the one of the two that there is. Returns the bytes, at most
 * TG_TRACESTATE_BYTES and no NUL; 0 where there is neither. */
static inline size_t tg_tracestate_print(const tg_sample *s, char *to)
{
    size_t n = 3;
    if (!s->has_threshold && !s->has_randomness)
        return 0;
    memcpy(to, "ot=", 3);
    if (s->has_threshold && s->threshold < TG_SAMPLE_ALL) {
        memcpy(to + n, "th:", 3);
        n += 3 + tg_tracestate_print_hex(s->threshold, 1, to + n + 3);
    }
    if (s->has_randomness) {
        if (n > 3)
            to[n++] = ';';
        memcpy(to + n, "rv:", 3);
        n += 3 + tg_tracestate_print_hex(s->randomness, 0, to + n + 3);
    }
    return n > 3 ? n : 0;
}

#endif
