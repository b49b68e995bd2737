/* Inside of tg_scan: UTF-8 validation by table look-ups (Keiser and Lemire, "Validating UTF-8 in less than one
 * instruction per byte", 2021). A template: the including file defines TG_TARGET, TG_UTF8_VALID (the function to
 * define) and the vector V with V_BYTES, v_load, v_table (16 bytes, repeated), v_splat, v_lookup (within 16 bytes,
 * index below 16), v_upper (upper halves of bytes), v_and, v_or, v_xor, v_subtract (unsigned, saturating), v_any
 * (some byte has bit 7 set), v_nonzero.
 *
 * Three look-ups, one for each half of a byte and one for the byte after it, agree on a bit where the two bytes
 * are wrong together. Whether a byte must be the third or fourth of a sequence is seen two and three bytes back.
 * Instead of shifting vectors, those are loaded again: the document is in memory anyway.
 */

enum {
    TG_U8_TOO_SHORT = 1, /* lead, then no continuation */
    TG_U8_TOO_LONG = 2,  /* ASCII, then a continuation */
    TG_U8_OVERLONG_3 = 4,
    TG_U8_TOO_LARGE = 8,
    TG_U8_SURROGATE = 16,
    TG_U8_OVERLONG_2 = 32,
    TG_U8_OVERLONG_4 = 64, /* also F5..FF with 80..8F: too large */
    TG_U8_TWO_CONTS = 128, /* right where a third or fourth byte is due */
    TG_U8_CARRY = TG_U8_TOO_SHORT | TG_U8_TOO_LONG | TG_U8_TWO_CONTS
};

static const uint8_t tg_u8_first_upper[16] = {
    TG_U8_TOO_LONG,
    TG_U8_TOO_LONG,
    TG_U8_TOO_LONG,
    TG_U8_TOO_LONG,
    TG_U8_TOO_LONG,
    TG_U8_TOO_LONG,
    TG_U8_TOO_LONG,
    TG_U8_TOO_LONG,
    TG_U8_TWO_CONTS,
    TG_U8_TWO_CONTS,
    TG_U8_TWO_CONTS,
    TG_U8_TWO_CONTS,
    TG_U8_TOO_SHORT | TG_U8_OVERLONG_2,
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT | TG_U8_OVERLONG_3 | TG_U8_SURROGATE,
    TG_U8_TOO_SHORT | TG_U8_TOO_LARGE | TG_U8_OVERLONG_4,
};
#define TG_U8_LARGE (TG_U8_CARRY | TG_U8_TOO_LARGE | TG_U8_OVERLONG_4)
static const uint8_t tg_u8_first_lower[16] = {
    TG_U8_CARRY | TG_U8_OVERLONG_2 | TG_U8_OVERLONG_3 | TG_U8_OVERLONG_4,
    TG_U8_CARRY | TG_U8_OVERLONG_2,
    TG_U8_CARRY,
    TG_U8_CARRY,
    TG_U8_CARRY | TG_U8_TOO_LARGE,
    TG_U8_LARGE,
    TG_U8_LARGE,
    TG_U8_LARGE,
    TG_U8_LARGE,
    TG_U8_LARGE,
    TG_U8_LARGE,
    TG_U8_LARGE,
    TG_U8_LARGE,
    TG_U8_LARGE | TG_U8_SURROGATE,
    TG_U8_LARGE,
    TG_U8_LARGE,
};
#define TG_U8_CONT (TG_U8_TOO_LONG | TG_U8_OVERLONG_2 | TG_U8_TWO_CONTS)
static const uint8_t tg_u8_second_upper[16] = {
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT,
    TG_U8_CONT | TG_U8_OVERLONG_3 | TG_U8_OVERLONG_4,
    TG_U8_CONT | TG_U8_OVERLONG_3 | TG_U8_TOO_LARGE,
    TG_U8_CONT | TG_U8_SURROGATE | TG_U8_TOO_LARGE,
    TG_U8_CONT | TG_U8_SURROGATE | TG_U8_TOO_LARGE,
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT,
    TG_U8_TOO_SHORT,
};

TG_TARGET static inline V tg_u8_errors(const uint8_t *p)
{
    V here = v_load(p), back1 = v_load(p - 1);
    V pair = v_and(v_and(v_lookup(v_table(tg_u8_first_upper), v_upper(back1)),
                         v_lookup(v_table(tg_u8_first_lower), v_and(back1, v_splat(0x0F)))),
                   v_lookup(v_table(tg_u8_second_upper), v_upper(here)));
    V third = v_subtract(v_load(p - 2), v_splat(0xE0 - 0x80));
    V fourth = v_subtract(v_load(p - 3), v_splat(0xF0 - 0x80));
    return v_xor(v_and(v_or(third, fourth), v_splat(0x80)), pair);
}

/* len >= 64, and the last byte is ASCII, so that nothing can be cut off at the end. */
TG_TARGET static __attribute__((noinline)) int TG_UTF8_VALID(const uint8_t *doc, size_t len)
{
    if (((doc[0] | doc[1] | doc[2]) & 0x80) || len < V_BYTES + 3)
        return tg_utf8_valid_plain(doc, len);
    V errors = v_splat(0);
    for (size_t pos = 3; pos < len; pos += V_BYTES) {
        if (pos > len - V_BYTES)
            pos = len - V_BYTES;
        if (v_any(v_or(v_load(doc + pos), v_load(doc + pos - 3))))
            errors = v_or(errors, tg_u8_errors(doc + pos));
    }
    return !v_nonzero(errors);
}
