"""Bodies, written without Python: plain values for NDJSON and JSON arrays, and the envelope.

A value reaches a body only if it is one JSON value (decision 8): what is not stands alone as an opaque body. Line feeds
between tokens become blanks, so a record is one line whatever it holds.
"""

from libc.math cimport isnormal
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tidegate.core.csrc cimport (
    TG_DECIMAL_BYTES,
    TG_TRACESTATE_BYTES,
    tg_decimal_print,
    tg_decimal_print_memo,
    tg_sample_weight,
    tg_tracestate_print,
    tg_utf8_valid,
)
from tidegate.core.ring cimport (
    TG_EXTRA_HAS_RANDOMNESS,
    TG_EXTRA_HAS_THRESHOLD,
    TG_NULL_LEN,
    TG_RECORD_BOM,
    TG_RECORD_EMPTY,
    TG_RECORD_EXTRA,
    TG_RECORD_NEWLINE,
    record_bytes,
)

cdef const char *HEX = "0123456789abcdef"
cdef const char *BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
cdef const char *CLASS_NAMES[4]
CLASS_NAMES[0] = "critical"
CLASS_NAMES[1] = "high"
CLASS_NAMES[2] = "normal"
CLASS_NAMES[3] = "bulk"
cdef size_t CLASS_NAME_LEN[4]
CLASS_NAME_LEN[0], CLASS_NAME_LEN[1], CLASS_NAME_LEN[2], CLASS_NAME_LEN[3] = 8, 4, 6, 4

cdef enum:
    # Fixed text of an envelope line with three numbers at their longest, a comma and a line feed.
    ENVELOPE_FIXED = 192
    # What a weight and `,"ot":"…"` take beside it.
    ENVELOPE_EXTRA = TG_DECIMAL_BYTES + TG_TRACESTATE_BYTES + 16


cdef inline uint8_t *put(uint8_t *out, const void *text, size_t n) noexcept nogil:
    memcpy(out, text, n)
    return out + n


cdef uint8_t *put_int(uint8_t *out, int64_t value) noexcept nogil:
    cdef uint8_t digits[20]
    cdef int n = 0
    cdef uint64_t rest
    if value < 0:
        out[0] = b"-"
        out += 1
        rest = <uint64_t>(-(value + 1)) + 1
    else:
        rest = <uint64_t>value
    while True:
        digits[n] = <uint8_t>(48 + rest % 10)
        rest //= 10
        n += 1
        if rest == 0:
            break
    while n:
        n -= 1
        out[0] = digits[n]
        out += 1
    return out


cdef uint8_t *put_string(uint8_t *out, const uint8_t *text, size_t n) noexcept nogil:
    """A JSON string of UTF-8 text: at most 6 n + 2 bytes."""
    cdef size_t i
    cdef uint8_t c
    out[0] = b'"'
    out += 1
    for i in range(n):
        c = text[i]
        if c == b'"' or c == b"\\":
            out[0] = b"\\"
            out[1] = c
            out += 2
        elif c < 0x20:
            out = put(out, b"\\u00", 4)
            out[0] = HEX[c >> 4]
            out[1] = HEX[c & 15]
            out += 2
        else:
            out[0] = c
            out += 1
    out[0] = b'"'
    return out + 1


cdef uint8_t *put_base64(uint8_t *out, const uint8_t *data, size_t n) noexcept nogil:
    """A JSON string of base64 (RFC 4648, padded): 4 ceil(n / 3) + 2 bytes."""
    cdef size_t i = 0
    cdef uint32_t three
    out[0] = b'"'
    out += 1
    while i + 3 <= n:
        three = <uint32_t>data[i] << 16 | <uint32_t>data[i + 1] << 8 | data[i + 2]
        out[0], out[1] = BASE64[three >> 18], BASE64[three >> 12 & 63]
        out[2], out[3] = BASE64[three >> 6 & 63], BASE64[three & 63]
        out += 4
        i += 3
    if i < n:
        three = <uint32_t>data[i] << 16 | (<uint32_t>data[i + 1] << 8 if i + 1 < n else 0)
        out[0], out[1] = BASE64[three >> 18], BASE64[three >> 12 & 63]
        out[2] = BASE64[three >> 6 & 63] if i + 1 < n else b"="
        out[3] = b"="
        out += 4
    out[0] = b'"'
    return out + 1


cdef size_t plain_bound(const tg_record *record) noexcept nogil:
    """Most bytes that plain_write writes for the record."""
    return record.value_len if record.value_len > 4 else 4


cdef uint8_t *plain_write(tg_record *record, uint8_t *out) noexcept nogil:
    cdef const uint8_t *value = record_bytes(record)
    cdef size_t n = record.value_len
    cdef uint8_t *end
    cdef uint8_t *at
    if record.flags & TG_RECORD_EMPTY:
        return put(out, b"null", 4)
    if record.flags & TG_RECORD_BOM:
        value += 3
        n -= 3
    memcpy(out, value, n)
    end = out + n
    if record.flags & TG_RECORD_NEWLINE:
        # Valid JSON has line feeds and carriage returns only between tokens.
        at = out
        while at < end:
            if at[0] == b"\n" or at[0] == b"\r":
                at[0] = b" "
            at += 1
    return end


cdef size_t envelope_bound(tg_record *record, size_t topic_len) noexcept nogil:
    """Most bytes that envelope_write writes for the record."""
    cdef size_t n = ENVELOPE_FIXED + topic_len + 2 * <size_t>record.value_len
    if record.key_len != TG_NULL_LEN:
        n += 6 * <size_t>record.key_len + 16
    if record.flags & TG_RECORD_EXTRA:
        n += ENVELOPE_EXTRA
    # A header takes at least eight bytes of its block, and at most 24 bytes of punctuation in the envelope.
    return n + 6 * <size_t>record.headers_len


cdef uint8_t *put_text(uint8_t *out, const uint8_t *text, size_t n) noexcept nogil:
    """Text as it is where it is UTF-8, `{"base64":"…"}` where it is not."""
    if tg_utf8_valid(text, n):
        return put_string(out, text, n)
    out = put(out, b'{"base64":', 10)
    out = put_base64(out, text, n)
    out[0] = b"}"
    return out + 1


cdef uint8_t *put_headers(uint8_t *out, const uint8_t *block, size_t n) noexcept nogil:
    """An object with one member for each header, in order; of equal names a reader keeps the last."""
    cdef size_t at = 0
    cdef uint32_t name_len, value_len
    out[0] = b"{"
    out += 1
    while at < n:
        memcpy(&name_len, block + at, 4)
        memcpy(&value_len, block + at + 4, 4)
        if at:
            out[0] = b","
            out += 1
        at += 8
        if tg_utf8_valid(block + at, name_len):
            out = put_string(out, block + at, name_len)
        else:
            out = put_base64(out, block + at, name_len)
        at += name_len
        out[0] = b":"
        out += 1
        if value_len == TG_NULL_LEN:
            out = put(out, b"null", 4)
        else:
            out = put_text(out, block + at, value_len)
            at += value_len
    out[0] = b"}"
    return out + 1


cdef double weight_of(const tg_extra *extra, tg_sample *sample) noexcept nogil:
    """How many records this one stands for, and in `sample` what tracestate says of it. 1 where it would be no weight:
    a factor that is not a positive number, or so large or small that it is none any more."""
    cdef double weight
    sample.has_randomness = extra.flags & TG_EXTRA_HAS_RANDOMNESS != 0
    sample.has_threshold = extra.flags & TG_EXTRA_HAS_THRESHOLD != 0
    sample.randomness = extra.randomness
    sample.threshold = extra.threshold
    sample.factor = extra.factor
    weight = tg_sample_weight(sample)
    return weight if weight > 0 and isnormal(weight) else 1.0


cdef uint8_t *put_sample(uint8_t *out, const tg_extra *extra, tg_decimal_memo *memo) noexcept nogil:
    """`WEIGHT`, and `,"ot":"th:c;rv:d29d6a7215ced0"` behind it where a threshold was applied."""
    cdef tg_sample sample
    cdef char text[TG_TRACESTATE_BYTES]
    cdef size_t n
    out += tg_decimal_print_memo(memo, weight_of(extra, &sample), <char *>out)
    if sample.has_threshold:
        n = tg_tracestate_print(&sample, text)
        if n > 3:  # without the `ot=` of the header
            out = put(out, b',"ot":"', 7)
            out = put(out, text + 3, n - 3)
            out[0] = b'"'
            out += 1
    return out


def decimal(double value) -> str:
    """A finite number as weights are written."""
    cdef char text[TG_DECIMAL_BYTES]
    return text[:tg_decimal_print(value, text)].decode()


cdef uint8_t *envelope_write(tg_record *record, const tg_identity *id, const tg_extra *extra, int klass,
                             tg_decimal_memo *memo, uint8_t *out) noexcept nogil:
    """`{"id":"topic/partition/offset","class":…,"weight":1,"ts":ms|null,"key":…,"headers":{…},"value":…}`, with what
    `extra` says of its sampling; NULL: nothing."""
    cdef uint8_t *data = record_bytes(record)
    cdef uint8_t *key = data + record.value_len
    cdef uint8_t *headers = key + (0 if record.key_len == TG_NULL_LEN else record.key_len)
    out = put(out, b'{"id":"', 7)
    out = put(out, id.topic, id.topic_len)
    out[0] = b"/"
    out = put_int(out + 1, id.partition)
    out[0] = b"/"
    out = put_int(out + 1, id.offset)
    out = put(out, b'","class":"', 11)
    out = put(out, CLASS_NAMES[klass], CLASS_NAME_LEN[klass])
    if extra is NULL:
        out = put(out, b'","weight":1,"ts":', 18)
    else:
        out = put(out, b'","weight":', 11)
        out = put_sample(out, extra, memo)
        out = put(out, b',"ts":', 6)
    if record.timestamp_ms < 0:
        out = put(out, b"null", 4)
    else:
        out = put_int(out, record.timestamp_ms)
    out = put(out, b',"key":', 7)
    if record.key_len == TG_NULL_LEN:
        out = put(out, b"null", 4)
    else:
        out = put_text(out, key, record.key_len)
    out = put(out, b',"headers":', 11)
    out = put_headers(out, headers, record.headers_len)
    out = put(out, b',"value":', 9)
    out = plain_write(record, out)
    out[0] = b"}"
    return out + 1
