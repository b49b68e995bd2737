/* Fuzzing of tg_parked with what anybody may write to the parking topic. The input is decoded as it is, and it drives
 * the making of a record that is encoded, compared, damaged and decoded again. Whatever is accepted is encoded anew and
 * must give the same bytes, so that nothing is accepted in two forms. Envelopes stand at the very end of a malloc block,
 * where AddressSanitizer sees each byte read too many.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tg_parked.h"

#define MAX_HEADERS 8

static const uint8_t *input;
static size_t left;

static uint32_t take(size_t bytes)
{
    uint32_t v = 0;
    for (; bytes && left; bytes--, left--)
        v = v << 8 | *input++;
    return v;
}

static const uint8_t *slice(size_t most, size_t *len)
{
    const uint8_t *at = input;
    *len = most < left ? most : left;
    input += *len;
    left -= *len;
    return at;
}

static void fail(const char *what, const uint8_t *data, size_t len)
{
    fprintf(stderr, "%s, envelope of %zu bytes:", what, len);
    for (size_t i = 0; i < len && i < 400; i++)
        fprintf(stderr, " %02x", data[i]);
    fputc('\n', stderr);
    abort();
}

static void touch(const void *data, size_t len)
{
    static volatile uint8_t sink;
    for (size_t i = 0; i < len; i++)
        sink = sink ^ ((const uint8_t *)data)[i];
}

static void decode(const uint8_t *data, size_t len)
{
    uint8_t *block = malloc(len ? len : 1);
    memcpy(block, data, len);
    tg_parked r, zero;
    memset(&zero, 0, sizeof zero);
    tg_parked_status status = tg_parked_decode(len ? block : NULL, len, &r);
    if (status != TG_PARKED_OK) {
        if (memcmp(&r, &zero, sizeof r) != 0 || status >= TG_PARKED_ETOOLARGE)
            fail("a refused envelope left something", data, len);
        free(block);
        return;
    }
    tg_header *headers = calloc((size_t)r.header_count + 1, sizeof *headers);
    size_t at = 0;
    for (uint32_t i = 0; i < r.header_count; i++) {
        at = tg_parked_header(&r, at, &headers[i]);
        touch(headers[i].name, headers[i].name_len);
        touch(headers[i].value, headers[i].value_len);
    }
    if (at != r.headers_len)
        fail("headers end elsewhere", data, len);
    touch(r.topic, r.topic_len);
    touch(r.payload, r.payload_len);
    size_t size = tg_parked_size(&r, headers), written;
    uint8_t *again = malloc(size ? size : 1);
    if (size != len || tg_parked_encode(&r, headers, again, size, &written) != TG_PARKED_OK || written != len ||
        memcmp(again, block, len) != 0)
        fail("encoded anew it is another one", data, len);
    free(again);
    free(headers);
    free(block);
}

static void made(void)
{
    tg_header headers[MAX_HEADERS];
    tg_parked r = {.partition = (int32_t)(take(4) >> 1),
                   .offset = (int64_t)take(4) << take(1) % 31,
                   .timestamp_ms = (int64_t)take(4) - 1,
                   .timestamp_type = (uint8_t)(take(1) % 3),
                   .klass = (uint8_t)(take(1) % 4),
                   .flags = (uint8_t)(take(1) % 4),
                   .randomness = (uint64_t)take(4) << 24,
                   .threshold = (uint64_t)take(4) << 24,
                   .header_count = take(1) % (MAX_HEADERS + 1)};
    r.topic = (const char *)slice(take(1), &r.topic_len);
    for (uint32_t i = 0; i < r.header_count; i++) {
        headers[i].name = (const char *)slice(take(1) % 20, &headers[i].name_len);
        headers[i].value = slice(take(1) % 40, &headers[i].value_len);
        if (take(1) % 4 == 0)
            headers[i].value = NULL;
    }
    r.payload = take(1) % 5 ? slice(left / 2, &r.payload_len) : NULL;
    size_t size = tg_parked_size(&r, headers), written;
    uint8_t *data = malloc(size);
    if (tg_parked_encode(&r, headers, data, size - 1, &written) != TG_PARKED_ETOOLARGE || written)
        fail("written without room", data, 0);
    if (tg_parked_encode(&r, headers, data, size, &written) != TG_PARKED_OK || written != size)
        fail("not encoded", data, 0);
    tg_parked back;
    if (tg_parked_decode(data, size, &back) != TG_PARKED_OK || back.partition != r.partition ||
        back.offset != r.offset || back.timestamp_ms != r.timestamp_ms || back.timestamp_type != r.timestamp_type ||
        back.klass != r.klass || back.flags != r.flags || back.header_count != r.header_count ||
        (r.flags & TG_PARKED_HAS_RANDOMNESS && back.randomness != r.randomness) ||
        (r.flags & TG_PARKED_HAS_THRESHOLD && back.threshold != r.threshold) || back.topic_len != r.topic_len ||
        memcmp(back.topic, r.topic, r.topic_len) != 0 || !back.payload != !r.payload ||
        (r.payload && (back.payload_len != r.payload_len || memcmp(back.payload, r.payload, r.payload_len) != 0)))
        fail("comes back changed", data, size);
    size_t at = 0;
    for (uint32_t i = 0; i < r.header_count; i++) {
        tg_header h;
        at = tg_parked_header(&back, at, &h);
        if (h.name_len != headers[i].name_len || memcmp(h.name, headers[i].name, h.name_len) != 0 ||
            !h.value != !headers[i].value ||
            (h.value && (h.value_len != headers[i].value_len || memcmp(h.value, headers[i].value, h.value_len) != 0)))
            fail("a header comes back changed", data, size);
    }
    /* Every beginning of it is too short; and some damage, mostly where the lengths stand. */
    for (size_t cut = 0; cut < size && cut < 120; cut++)
        if (tg_parked_decode(data, cut, &back) == TG_PARKED_OK)
            fail("accepted without its end", data, cut);
    for (int i = 0; i < 6; i++) {
        size_t place = take(1) % 3 ? take(1) % (size < 48 ? size : 48) : (take(2) % size);
        data[place] = take(1) % 2 ? (uint8_t)take(1) : (uint8_t)(data[place] ^ 1u << take(1) % 8);
        decode(data, size - take(1) % 2);
    }
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    decode(data, size);
    input = data;
    left = size;
    made();
    return 0;
}
