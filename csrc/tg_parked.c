#include "tg_parked.h"

#include <string.h>

#include "tg_hash.h" /* tg_load32, tg_load64 */

enum {
    FIXED = 40, /* bytes in front of what varies */
    HEADER_FIXED = 8,
    FLAG_RANDOMNESS = 1,
    FLAG_THRESHOLD = 2,
    FLAG_NULL = 4,
    TIMESTAMP_SHIFT = 3,
    FLAGS_KNOWN = 31,
    TIMESTAMP_TYPES = 3,
    CLASSES = 4,
};
#define NULL_LEN UINT32_MAX

static inline uint8_t *put16(uint8_t *out, uint16_t v)
{
    out[0] = (uint8_t)v;
    out[1] = (uint8_t)(v >> 8);
    return out + 2;
}

static inline uint8_t *put32(uint8_t *out, uint32_t v)
{
    return put16(put16(out, (uint16_t)v), (uint16_t)(v >> 16));
}

static inline uint8_t *put64(uint8_t *out, uint64_t v)
{
    return put32(put32(out, (uint32_t)v), (uint32_t)(v >> 32));
}

static inline uint8_t *put(uint8_t *out, const void *data, size_t len)
{
    if (len) /* memcpy may get no NULL */
        memcpy(out, data, len);
    return out + len;
}

/* Bytes of all headers; SIZE_MAX where a length does not fit. */
static size_t headers_size(const tg_header *headers, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        size_t value_len = headers[i].value ? headers[i].value_len : 0;
        if (headers[i].name_len >= NULL_LEN || value_len >= NULL_LEN)
            return SIZE_MAX;
        bytes += HEADER_FIXED + headers[i].name_len + value_len;
        if (bytes > UINT32_MAX)
            return SIZE_MAX;
    }
    return bytes;
}

/* Bytes of all headers: of those given, or of the block that the record has. */
static size_t block_size(const tg_parked *r, const tg_header *headers)
{
    if (headers || !r->header_count)
        return headers_size(headers, r->header_count);
    return r->headers_len > UINT32_MAX ? SIZE_MAX : r->headers_len;
}

static size_t size_of(const tg_parked *r, size_t headers)
{
    size_t payload = r->payload ? r->payload_len : 0;
    if (headers == SIZE_MAX || r->topic_len > UINT16_MAX || payload > UINT32_MAX)
        return 0;
    return FIXED + (r->flags & TG_PARKED_HAS_RANDOMNESS ? 8 : 0) + (r->flags & TG_PARKED_HAS_THRESHOLD ? 8 : 0) +
           r->topic_len + headers + payload;
}

size_t tg_parked_size(const tg_parked *record, const tg_header *headers)
{
    return size_of(record, block_size(record, headers));
}

tg_parked_status tg_parked_encode(const tg_parked *r, const tg_header *headers, uint8_t *out, size_t room,
                                  size_t *written)
{
    size_t block = block_size(r, headers), size = size_of(r, block);
    uint32_t payload_len = r->payload ? (uint32_t)r->payload_len : 0;
    *written = 0;
    if (size == 0 || size > room)
        return TG_PARKED_ETOOLARGE;
    if (r->klass >= CLASSES || r->timestamp_type >= TIMESTAMP_TYPES ||
        r->flags & ~(TG_PARKED_HAS_RANDOMNESS | TG_PARKED_HAS_THRESHOLD) || r->partition < 0 || r->offset < 0 ||
        (r->flags & TG_PARKED_HAS_RANDOMNESS && r->randomness >= TG_PARKED_RANDOM_END) ||
        (r->flags & TG_PARKED_HAS_THRESHOLD && r->threshold >= TG_PARKED_RANDOM_END))
        return TG_PARKED_EFIELD;
    *out++ = 't';
    *out++ = 'P';
    *out++ = TG_PARKED_VERSION;
    *out++ = (uint8_t)(r->flags | (r->payload ? 0 : FLAG_NULL) | r->timestamp_type << TIMESTAMP_SHIFT);
    *out++ = r->klass;
    *out++ = 0;
    out = put16(out, (uint16_t)r->topic_len);
    out = put32(out, (uint32_t)r->partition);
    out = put32(out, r->header_count);
    out = put64(out, (uint64_t)r->offset);
    out = put64(out, (uint64_t)r->timestamp_ms);
    out = put32(out, (uint32_t)block);
    out = put32(out, payload_len);
    if (r->flags & TG_PARKED_HAS_RANDOMNESS)
        out = put64(out, r->randomness);
    if (r->flags & TG_PARKED_HAS_THRESHOLD)
        out = put64(out, r->threshold);
    out = put(out, r->topic, r->topic_len);
    if (!headers)
        out = put(out, r->headers, block);
    for (size_t i = 0; headers && i < r->header_count; i++) {
        size_t value_len = headers[i].value ? headers[i].value_len : 0;
        out = put32(out, (uint32_t)headers[i].name_len);
        out = put32(out, headers[i].value ? (uint32_t)value_len : NULL_LEN);
        out = put(out, headers[i].name, headers[i].name_len);
        out = put(out, headers[i].value, value_len);
    }
    put(out, r->payload, payload_len);
    *written = size;
    return TG_PARKED_OK;
}

/* Whether `n` headers take exactly the `len` bytes at `at`. */
static int headers_fit(const uint8_t *at, size_t len, uint32_t n)
{
    for (; n; n--) {
        if (len < HEADER_FIXED)
            return 0;
        size_t name_len = tg_load32(at), value_len = tg_load32(at + 4);
        if (value_len == NULL_LEN)
            value_len = 0;
        len -= HEADER_FIXED;
        if (name_len > len || value_len > len - name_len) /* no sum that could wrap */
            return 0;
        len -= name_len + value_len;
        at += HEADER_FIXED + name_len + value_len;
    }
    return len == 0;
}

static tg_parked_status decode(const uint8_t *data, size_t len, tg_parked *r)
{
    if (len < 3)
        return len && (data[0] != 't' || (len > 1 && data[1] != 'P')) ? TG_PARKED_EMAGIC : TG_PARKED_ETRUNC;
    if (data[0] != 't' || data[1] != 'P' || data[2] == 0)
        return TG_PARKED_EMAGIC;
    if (data[2] > TG_PARKED_VERSION)
        return TG_PARKED_EVERSION;
    if (len < FIXED)
        return TG_PARKED_ETRUNC;
    uint8_t flags = data[3];
    r->klass = data[4];
    r->flags = flags & (FLAG_RANDOMNESS | FLAG_THRESHOLD);
    r->timestamp_type = flags >> TIMESTAMP_SHIFT & 3;
    r->topic_len = data[6] | (size_t)data[7] << 8;
    r->partition = (int32_t)tg_load32(data + 8);
    r->header_count = tg_load32(data + 12);
    r->offset = (int64_t)tg_load64(data + 16);
    r->timestamp_ms = (int64_t)tg_load64(data + 24);
    r->headers_len = tg_load32(data + 32);
    r->payload_len = tg_load32(data + 36);
    if (flags & ~FLAGS_KNOWN || r->timestamp_type >= TIMESTAMP_TYPES || r->klass >= CLASSES || data[5] ||
        r->partition < 0 || r->offset < 0 || (flags & FLAG_NULL && r->payload_len))
        return TG_PARKED_EFIELD;
    const uint8_t *at = data + FIXED;
    size_t left = len - FIXED, drawn = (flags & FLAG_RANDOMNESS ? 8 : 0) + (flags & FLAG_THRESHOLD ? 8 : 0);
    if (left < drawn)
        return TG_PARKED_ETRUNC;
    left -= drawn;
    if (flags & FLAG_RANDOMNESS) {
        r->randomness = tg_load64(at);
        at += 8;
    }
    if (flags & FLAG_THRESHOLD) {
        r->threshold = tg_load64(at);
        at += 8;
    }
    if (r->randomness >= TG_PARKED_RANDOM_END || r->threshold >= TG_PARKED_RANDOM_END)
        return TG_PARKED_EFIELD;
    /* Each is at most what is left: no sum that could wrap where size_t has 32 bits. */
    if (r->topic_len > left || r->headers_len > left - r->topic_len ||
        r->payload_len > left - r->topic_len - r->headers_len)
        return TG_PARKED_ETRUNC;
    if (r->topic_len + r->headers_len + r->payload_len != left)
        return TG_PARKED_ELENGTH;
    r->topic = (const char *)at;
    at += r->topic_len;
    if (!headers_fit(at, r->headers_len, r->header_count))
        return TG_PARKED_ELENGTH;
    r->headers = r->headers_len ? at : NULL;
    r->payload = flags & FLAG_NULL ? NULL : at + r->headers_len;
    return TG_PARKED_OK;
}

tg_parked_status tg_parked_decode(const uint8_t *data, size_t len, tg_parked *record)
{
    memset(record, 0, sizeof *record);
    tg_parked_status status = decode(data, len, record);
    if (status != TG_PARKED_OK)
        memset(record, 0, sizeof *record);
    return status;
}

size_t tg_parked_header(const tg_parked *record, size_t at, tg_header *header)
{
    const uint8_t *from = record->headers + at;
    uint32_t value_len = tg_load32(from + 4);
    header->name_len = tg_load32(from);
    header->name = (const char *)from + HEADER_FIXED;
    header->value = value_len == NULL_LEN ? NULL : from + HEADER_FIXED + header->name_len;
    header->value_len = value_len == NULL_LEN ? 0 : value_len;
    return at + HEADER_FIXED + header->name_len + header->value_len;
}

uint32_t tg_parked_count(const uint8_t *headers, size_t len)
{
    tg_parked record = {.headers = headers};
    tg_header header;
    uint32_t n = 0;
    for (size_t at = 0; at < len; n++)
        at = tg_parked_header(&record, at, &header);
    return n;
}

const char *tg_parked_status_name(tg_parked_status status)
{
    static const char *const names[] = {"ok", "magic", "version", "truncated", "length", "field", "too large"};
    return (unsigned)status < TG_PARKED_STATUS_COUNT ? names[status] : "?";
}
