/* tg_decimal: a double as the shortest decimal that gives the same double again, which is exact for whoever reads it.
 *
 * The text is that of Python's repr, a JSON number, but for whole numbers below 10^16, which stand without ".0", and a few
 * powers of two whose shortest decimal is not the nearest of its length: they get a digit more. Nothing allocates or keeps a state; any thread, with LC_NUMERIC as a process has it unless it asks otherwise.
 */
#ifndef TG_DECIMAL_H
#define TG_DECIMAL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TG_DECIMAL_BYTES 26 /* the longest that tg_decimal_print writes: a sign, "0.000", 17 digits, and to spare */

/* Writes a finite, normal `value` or 0 into `to`, which has room for TG_DECIMAL_BYTES. Returns the bytes; no NUL. */
static inline size_t tg_decimal_print(double value, char *to)
{
    char text[40];
    char digits[20];
    size_t n = 0, count = 0;
    if (value > -1e16 && value < 1e16 && (double)(int64_t)value == value)
        return (size_t)snprintf(to, TG_DECIMAL_BYTES, "%lld", (long long)value);
    /* Every decimal of 15 digits survives a double, so what has no more is found by the first; 17 always suffice. */
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (strtod(text, NULL) == value)
            break;
    }
    const char *at = text;
    if (*at == '-')
        to[n++] = *at++;
    for (; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9')
            digits[count++] = *at;
    int exponent = atoi(at + 1);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (exponent >= -4 && exponent < 0) {
        to[n++] = '0';
        to[n++] = '.';
        for (int i = exponent + 1; i < 0; i++)
            to[n++] = '0';
        memcpy(to + n, digits, count);
        return n + count;
    }
    if (exponent >= 0 && exponent < 16) { /* not whole: digits are left behind the point */
        memcpy(to + n, digits, (size_t)exponent + 1);
        n += (size_t)exponent + 1;
        to[n++] = '.';
        memcpy(to + n, digits + exponent + 1, count - (size_t)exponent - 1);
        return n + count - (size_t)exponent - 1;
    }
    to[n++] = digits[0];
    if (count > 1) {
        to[n++] = '.';
        memcpy(to + n, digits + 1, count - 1);
        n += count - 1;
    }
    return n + (size_t)snprintf(to + n, 8, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

/* Texts of the values printed last, by a hash of the value: weights are few, and printing one that is not whole takes as
 * long as the rest of a batch's line. All zero: empty. One thread. */
#define TG_DECIMAL_MEMO 16
typedef struct {
    double values[TG_DECIMAL_MEMO];
    uint8_t lens[TG_DECIMAL_MEMO];
    char texts[TG_DECIMAL_MEMO][TG_DECIMAL_BYTES];
} tg_decimal_memo;

/* As tg_decimal_print. */
static inline size_t tg_decimal_print_memo(tg_decimal_memo *memo, double value, char *to)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    unsigned at = (unsigned)(bits * 0x9E3779B97F4A7C15ull >> 60);
    if (memo->values[at] != value || memo->lens[at] == 0) {
        memo->lens[at] = (uint8_t)tg_decimal_print(value, memo->texts[at]);
        memo->values[at] = value;
    }
    memcpy(to, memo->texts[at], memo->lens[at]);
    return memo->lens[at];
}

#endif
