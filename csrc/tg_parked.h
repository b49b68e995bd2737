/* tg_parked: the envelope in which a record waits in the parking topic, so that all of it comes back byte for byte.
 *
 * The Kafka message has the record's own key; its value is the envelope. Kafka headers would cost seven times as much.
 * Every number is little endian; version 1 is
 *
 *      0  2  magic, "tP"
 *      2  1  version, 1
 *      3  1  flags: 1 randomness, 2 threshold, 4 null payload, 24 timestamp type (0 none, 8 create, 16 log append)
 *      4  1  class, 0 to 3
 *      5  1  0
 *      6  2  bytes of the topic's name
 *      8  4  partition it came from
 *     12  4  number of headers
 *     16  8  offset it came from
 *     24  8  timestamp in ms, as Kafka had it; -1: none
 *     32  4  bytes of all headers
 *     36  4  bytes of the payload; 0 where it is null
 *     40  8  sampling randomness R below 2^56, only where flagged
 *         8  sampling threshold T below 2^56, only where flagged
 *         .  the topic's name
 *         .  each header: 4 bytes of the name, 4 bytes of the value (2^32 - 1: null), the name, the value
 *         .  the payload, which ends the envelope
 *
 * The headers stand as they do in a ring's record. Unused bits are 0 and checked, so that a later version may use them.
 */
#ifndef TG_PARKED_H
#define TG_PARKED_H

#include "tg_header.h"

#define TG_PARKED_VERSION 1
#define TG_PARKED_RANDOM_END ((uint64_t)1 << 56)

typedef enum {
    TG_PARKED_OK = 0,
    TG_PARKED_EMAGIC,    /* not an envelope: something else was written to the topic */
    TG_PARKED_EVERSION,  /* of a newer tidegate: to be left for it, never dropped */
    TG_PARKED_ETRUNC,    /* ends before what its lengths promise */
    TG_PARKED_ELENGTH,   /* its lengths do not add up, or bytes are left behind the payload */
    TG_PARKED_EFIELD,    /* a field has a value that it cannot have */
    TG_PARKED_ETOOLARGE, /* encoding: a length does not fit its field, or the buffer has no room */
    TG_PARKED_STATUS_COUNT
} tg_parked_status;

typedef enum {
    TG_PARKED_HAS_RANDOMNESS = 1,
    TG_PARKED_HAS_THRESHOLD = 2,
} tg_parked_flags;

/* What an envelope holds. Borrows: from the caller when encoding, from the envelope when decoded. */
typedef struct {
    const char *topic;
    size_t topic_len;
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms;
    uint8_t timestamp_type; /* rd_kafka_timestamp_type_t: 0 none, 1 create time, 2 log append time */
    uint8_t klass;
    uint8_t flags; /* TG_PARKED_HAS_* */
    uint64_t randomness;
    uint64_t threshold;
    uint32_t header_count;
    const uint8_t *headers; /* the block that tg_parked_header reads; NULL where there are none. Encoding: see there */
    size_t headers_len;
    const uint8_t *payload; /* NULL: a null payload */
    size_t payload_len;
} tg_parked;

/* Bytes that tg_parked_encode writes; 0 where a length does not fit its field. Where `headers` is NULL, the block at
 * `record->headers` counts, which holds `header_count` headers as they stand in an envelope or in a ring's record;
 * otherwise that block is not looked at. Any thread. */
size_t tg_parked_size(const tg_parked *record, const tg_header *headers);

/* Writes the envelope into `out`, which the caller owns and which has `room` bytes. `written` is set to what it takes.
 * EFIELD and ETOOLARGE write nothing. Any thread. */
tg_parked_status tg_parked_encode(const tg_parked *record, const tg_header *headers, uint8_t *out, size_t room,
                                  size_t *written);

/* Reads `len` bytes at `data`, of any content; NULL is allowed where `len` is 0. Fills `record` with views that live as
 * long as `data` does; each header has been checked. Leaves `record` all zero unless the status is OK. Any thread. */
tg_parked_status tg_parked_decode(const uint8_t *data, size_t len, tg_parked *record);

/* The header at byte `at` of a decoded record's headers; the first is at 0. Returns where the next one begins, which is
 * `headers_len` behind the last. Only for records that tg_parked_decode filled, with `at` below `headers_len`. */
size_t tg_parked_header(const tg_parked *record, size_t at, tg_header *header);

/* How many headers stand in a block of `len` bytes, which is known to be well formed: a ring's record has one. */
uint32_t tg_parked_count(const uint8_t *headers, size_t len);

/* "ok", "magic" and so on; static. "?" for a number that is none of them. */
const char *tg_parked_status_name(tg_parked_status status);

#endif
