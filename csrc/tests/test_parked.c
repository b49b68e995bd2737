/* tg_parked by itself: the layout byte by byte, each status. Prints how many passed; exits 1 if any failed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tg_parked.h"

static void check(int right, const char *what)
{
    check_value(right, what, NULL);
}

/* Of a record with everything: written by hand from the drawing in the header. */
static const uint8_t drawn[] = {
    't',  'P',  1,    0x0B, 3,    0,    6,    0,                 /* magic, version, R T create time, bulk, topic 6 */
    7,    0,    0,    0,    3,    0,    0,    0,                 /* partition, headers */
    8,    7,    6,    5,    4,    3,    2,    1,                 /* offset 0x0102030405060708 */
    0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,              /* timestamp -2 */
    31,   0,    0,    0,    2,    0,    0,    0,                 /* bytes of headers, payload */
    0xEF, 0xCD, 0xAB, 0x89, 0x67, 0x45, 0x23, 0,                 /* R */
    0,    0,    0,    0,    0,    0,    0x80, 0,                 /* T */
    'o',  'r',  'd',  'e',  'r',  's',                           /* topic */
    1,    0,    0,    0,    2,    0,    0,    0,    'a', 0,   1, /* a: 00 01 */
    1,    0,    0,    0,    0xFF, 0xFF, 0xFF, 0xFF, 'a',         /* a again: null */
    3,    0,    0,    0,    0,    0,    0,    0,    'x', 'y', 0, /* a name with a NUL: empty */
    '{',  '}',
};

static const tg_header headers[] = {
    {"a", 1, (const uint8_t *)"\0\1", 2}, {"a", 1, NULL, 5}, {"xy\0", 3, (const uint8_t *)"", 0}};

static tg_parked full(void)
{
    return (tg_parked){.topic = "orders",
                       .topic_len = 6,
                       .partition = 7,
                       .offset = 0x0102030405060708,
                       .timestamp_ms = -2,
                       .timestamp_type = 1,
                       .klass = 3,
                       .flags = TG_PARKED_HAS_RANDOMNESS | TG_PARKED_HAS_THRESHOLD,
                       .randomness = 0x0023456789ABCDEF,
                       .threshold = 0x0080000000000000,
                       .header_count = 3,
                       .payload = (const uint8_t *)"{}",
                       .payload_len = 2};
}

static void test_layout(void)
{
    tg_parked r = full(), back;
    uint8_t out[sizeof drawn];
    size_t written;
    check(tg_parked_size(&r, headers) == sizeof drawn, "size");
    check(tg_parked_encode(&r, headers, out, sizeof out, &written) == TG_PARKED_OK, "encode");
    check(written == sizeof drawn && memcmp(out, drawn, sizeof drawn) == 0, "the bytes of the drawing");
    check(tg_parked_decode(drawn, sizeof drawn, &back) == TG_PARKED_OK, "decode");
    check(back.topic_len == 6 && memcmp(back.topic, "orders", 6) == 0 && back.partition == 7, "origin");
    check(back.offset == r.offset && back.timestamp_ms == -2 && back.timestamp_type == 1, "offset and timestamp");
    check(back.klass == 3 && back.flags == 3 && back.randomness == r.randomness && back.threshold == r.threshold,
          "class, R and T");
    check(back.payload == drawn + sizeof drawn - 2 && back.payload_len == 2, "payload is a view");
    tg_header h[3];
    size_t at = 0;
    for (int i = 0; i < 3; i++)
        at = tg_parked_header(&back, at, &h[i]);
    check(back.header_count == 3 && at == back.headers_len, "headers");
    check(h[0].name_len == 1 && h[0].value_len == 2 && memcmp(h[0].value, "\0\1", 2) == 0, "first header");
    check(h[1].name_len == 1 && h[1].name[0] == 'a' && !h[1].value && h[1].value_len == 0, "null header");
    check(h[2].name_len == 3 && memcmp(h[2].name, "xy", 3) == 0 && h[2].value && h[2].value_len == 0, "empty header");
}

static void test_a_ready_block(void)
{
    tg_parked r, again;
    uint8_t out[sizeof drawn];
    size_t written;
    check(tg_parked_decode(drawn, sizeof drawn, &r) == TG_PARKED_OK, "decode what is encoded again");
    check(tg_parked_size(&r, NULL) == sizeof drawn, "size with a block");
    check(tg_parked_encode(&r, NULL, out, sizeof out, &written) == TG_PARKED_OK, "encode with a block");
    check(written == sizeof drawn && memcmp(out, drawn, sizeof drawn) == 0, "the block as it was");
    check(tg_parked_decode(out, written, &again) == TG_PARKED_OK && again.header_count == 3, "and it can be read");
    check(tg_parked_count(r.headers, r.headers_len) == 3 && tg_parked_count(NULL, 0) == 0, "headers are counted");
    r.headers_len = (size_t)UINT32_MAX + 1;
    check(tg_parked_size(&r, NULL) == 0, "a block that is too large");
}

static void test_null_and_empty(void)
{
    uint8_t out[64];
    size_t written;
    for (int null = 0; null < 2; null++) {
        tg_parked r = {.topic = "t", .topic_len = 1, .payload = null ? NULL : (const uint8_t *)"", .payload_len = null};
        tg_parked back;
        memset(&back, 0xFF, sizeof back); /* what it was before must not matter */
        check(tg_parked_encode(&r, NULL, out, sizeof out, &written) == TG_PARKED_OK && written == 41, "no payload");
        check(tg_parked_decode(out, written, &back) == TG_PARKED_OK && (back.payload == NULL) == null &&
                  !back.payload_len,
              null ? "a null payload" : "an empty payload");
        check(!back.headers && !back.headers_len && !back.flags && !back.randomness && !back.threshold, "nothing else");
    }
}

static tg_parked_status damaged(size_t place, uint8_t value)
{
    uint8_t copy[sizeof drawn];
    tg_parked back;
    memcpy(copy, drawn, sizeof drawn);
    copy[place] = value;
    return tg_parked_decode(copy, sizeof copy, &back);
}

static void test_statuses(void)
{
    tg_parked back, zero;
    memset(&zero, 0, sizeof zero);
    check(tg_parked_decode(NULL, 0, &back) == TG_PARKED_ETRUNC, "nothing");
    for (size_t cut = 1; cut < sizeof drawn; cut++) {
        uint8_t *copy = malloc(cut); /* at the end of a block, so that a byte read too many is seen */
        memcpy(copy, drawn, cut);
        check(tg_parked_decode(copy, cut, &back) == TG_PARKED_ETRUNC, "every beginning is truncated");
        check(memcmp(&back, &zero, sizeof back) == 0, "a refused one leaves nothing");
        free(copy);
    }
    check(tg_parked_decode((const uint8_t *)"{", 1, &back) == TG_PARKED_EMAGIC, "a short other thing");
    check(tg_parked_decode((const uint8_t *)"tp", 2, &back) == TG_PARKED_EMAGIC, "another short other thing");
    check(damaged(0, 'T') == TG_PARKED_EMAGIC, "magic");
    check(damaged(1, 'p') == TG_PARKED_EMAGIC, "magic's second byte");
    check(damaged(2, 0) == TG_PARKED_EMAGIC, "version 0 never was");
    check(damaged(2, 2) == TG_PARKED_EVERSION, "version 2");
    check(tg_parked_decode((const uint8_t *)"tP\2", 3, &back) == TG_PARKED_EVERSION, "a newer one may be shorter");
    check(damaged(3, 0x0F) == TG_PARKED_EFIELD, "a null payload with bytes");
    check(damaged(3, 0x1B) == TG_PARKED_EFIELD, "timestamp type 3");
    check(damaged(3, 0x2B) == TG_PARKED_EFIELD, "an unknown flag");
    check(damaged(4, 4) == TG_PARKED_EFIELD, "class 4");
    check(damaged(5, 1) == TG_PARKED_EFIELD, "the reserved byte");
    check(damaged(11, 0x80) == TG_PARKED_EFIELD, "a negative partition");
    check(damaged(23, 0x80) == TG_PARKED_EFIELD, "a negative offset");
    check(damaged(47, 1) == TG_PARKED_EFIELD, "R of 57 bits");
    check(damaged(55, 1) == TG_PARKED_EFIELD, "T of 57 bits");
    check(damaged(7, 0xFF) == TG_PARKED_ETRUNC, "a topic beyond the end");
    check(damaged(35, 0xFF) == TG_PARKED_ETRUNC, "headers beyond the end");
    check(damaged(39, 0xFF) == TG_PARKED_ETRUNC, "a payload beyond the end");
    check(damaged(36, 1) == TG_PARKED_ELENGTH, "a byte left over");
    check(damaged(12, 2) == TG_PARKED_ELENGTH, "fewer headers than bytes for them");
    check(damaged(12, 4) == TG_PARKED_ELENGTH, "more headers than bytes for them");
    check(damaged(15, 0xFF) == TG_PARKED_ELENGTH, "billions of headers");
    check(damaged(65, 0xFF) == TG_PARKED_ELENGTH, "a header's name beyond its block");
    check(damaged(66, 23) == TG_PARKED_ELENGTH, "a header's value beyond its block by the length of its name");
    check(damaged(69, 0xFF) == TG_PARKED_ELENGTH, "a header's value beyond its block");
}

static void test_encoding(void)
{
    uint8_t out[sizeof drawn];
    size_t written = 1;
    tg_parked r = full();
    check(tg_parked_encode(&r, headers, out, sizeof out - 1, &written) == TG_PARKED_ETOOLARGE && !written, "no room");
#define REFUSED(status, what, ...)                                                                                     \
    do {                                                                                                               \
        r = full();                                                                                                    \
        __VA_ARGS__;                                                                                                   \
        memset(out, 0x55, sizeof out);                                                                                 \
        check(tg_parked_encode(&r, headers, out, sizeof out, &written) == status && !written && out[0] == 0x55, what); \
    } while (0)
    REFUSED(TG_PARKED_EFIELD, "class", r.klass = 4);
    REFUSED(TG_PARKED_EFIELD, "timestamp type", r.timestamp_type = 3);
    REFUSED(TG_PARKED_EFIELD, "flags", r.flags = 4);
    REFUSED(TG_PARKED_EFIELD, "partition", r.partition = -1);
    REFUSED(TG_PARKED_EFIELD, "offset", r.offset = -1);
    REFUSED(TG_PARKED_EFIELD, "R", r.randomness = TG_PARKED_RANDOM_END);
    REFUSED(TG_PARKED_EFIELD, "T", r.threshold = TG_PARKED_RANDOM_END);
    REFUSED(TG_PARKED_ETOOLARGE, "topic", r.topic_len = 1 << 16);
    REFUSED(TG_PARKED_ETOOLARGE, "payload", r.payload_len = (size_t)UINT32_MAX + 1);
    tg_header large = {"a", UINT32_MAX, NULL, 0};
    r = full();
    r.header_count = 1;
    check(tg_parked_size(&r, &large) == 0, "a header's name that does not fit");
    large = (tg_header){"a", 1, (const uint8_t *)"", UINT32_MAX};
    check(tg_parked_size(&r, &large) == 0, "a header's value that does not fit");
    tg_header two[2] = {{"a", 1, (const uint8_t *)"", 1u << 31}, {"a", 1, (const uint8_t *)"", 1u << 31}};
    r.header_count = 2;
    check(tg_parked_size(&r, two) == 0, "headers that do not fit together");
}

static void test_names(void)
{
    static const char *const names[] = {"ok", "magic", "version", "truncated", "length", "field", "too large"};
    for (int i = 0; i < TG_PARKED_STATUS_COUNT; i++)
        check(strcmp(tg_parked_status_name((tg_parked_status)i), names[i]) == 0, names[i]);
    check(strcmp(tg_parked_status_name(TG_PARKED_STATUS_COUNT), "?") == 0, "no status");
}

int main(void)
{
    test_layout();
    test_a_ready_block();
    test_null_and_empty();
    test_statuses();
    test_encoding();
    test_names();
    return check_result();
}
