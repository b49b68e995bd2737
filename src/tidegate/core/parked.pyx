"""A small Python face of the envelope (csrc/tg_parked.h), for tests and for tools.

The hot path calls the C functions itself and never comes through here.
"""

from time import perf_counter_ns

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc

from tidegate.core.csrc cimport (
    TG_PARKED_HAS_RANDOMNESS,
    TG_PARKED_HAS_THRESHOLD,
    TG_PARKED_OK,
    tg_header,
    tg_parked,
    tg_parked_decode,
    tg_parked_encode,
    tg_parked_header,
    tg_parked_size,
    tg_parked_status,
    tg_parked_status_name,
)

from tidegate.core.parking import Parked


def encode(record) -> bytes:
    """The envelope of a `Parked` record.

    Raises:
        ValueError: a field has a value that it cannot have.
    """
    cdef tg_parked r
    cdef tg_header *headers
    cdef bytes topic = record.topic.encode()
    cdef bytes payload = record.payload
    cdef list kept = list(record.headers)
    cdef bytes name
    cdef bytes value
    cdef bytes made
    cdef size_t i, size, written
    cdef tg_parked_status status
    r.topic, r.topic_len = topic, len(topic)
    r.partition, r.offset = record.partition, record.offset
    r.timestamp_ms, r.timestamp_type, r.klass = record.timestamp_ms, record.timestamp_type, record.klass
    r.flags, r.randomness, r.threshold = 0, 0, 0
    if record.randomness is not None:
        r.flags |= TG_PARKED_HAS_RANDOMNESS
        r.randomness = record.randomness
    if record.threshold is not None:
        r.flags |= TG_PARKED_HAS_THRESHOLD
        r.threshold = record.threshold
    r.payload, r.payload_len = NULL, 0
    if payload is not None:
        r.payload, r.payload_len = <const uint8_t *><const char *>payload, len(payload)
    r.header_count = <uint32_t>len(kept)
    headers = <tg_header *>malloc((len(kept) + 1) * sizeof(tg_header))
    if headers is NULL:
        raise MemoryError
    try:
        for i in range(r.header_count):
            name, value = kept[i]
            headers[i].name, headers[i].name_len = name, len(name)
            headers[i].value, headers[i].value_len = NULL, 0
            if value is not None:
                headers[i].value, headers[i].value_len = <const uint8_t *><const char *>value, len(value)
        size = tg_parked_size(&r, headers)
        made = bytes(size)
        status = tg_parked_encode(&r, headers, <uint8_t *><char *>made, size, &written)
    finally:
        free(headers)
    if status != TG_PARKED_OK:
        raise ValueError(f"cannot be parked ({tg_parked_status_name(status).decode()}): {record!r}")
    return made


cdef object to_python(const tg_parked *r):
    """A decoded record as a `Parked`."""
    cdef tg_header h
    cdef size_t at = 0
    cdef uint32_t _i
    headers = []
    for _i in range(r.header_count):
        at = tg_parked_header(r, at, &h)
        headers.append((h.name[:h.name_len], None if h.value is NULL else (<const char *>h.value)[:h.value_len]))
    return Parked(
        r.topic[:r.topic_len].decode("utf-8", "surrogateescape"),
        r.partition,
        r.offset,
        r.timestamp_ms,
        r.timestamp_type,
        r.klass,
        r.randomness if r.flags & TG_PARKED_HAS_RANDOMNESS else None,
        r.threshold if r.flags & TG_PARKED_HAS_THRESHOLD else None,
        tuple(headers),
        None if r.payload is NULL else (<const char *>r.payload)[:r.payload_len],
    )


def decode(bytes data not None) -> tuple:
    """``(status, record)``: ``"ok"`` and a `Parked`, or why it is none and None. Any bytes may be given."""
    cdef tg_parked r
    cdef tg_parked_status status = tg_parked_decode(<const uint8_t *><const char *>data, len(data), &r)
    return tg_parked_status_name(status).decode(), to_python(&r) if status == TG_PARKED_OK else None


def bench(list records not None, int rounds) -> tuple:
    """Nanoseconds to encode and to decode a record, each the best of some rounds over all of them."""
    cdef list made = [encode(record) for record in records]
    cdef bytes one
    cdef size_t n = len(made), room = max(len(one) for one in made), i, written
    cdef tg_parked *decoded = <tg_parked *>malloc(n * sizeof(tg_parked))
    cdef const uint8_t **data = <const uint8_t **>malloc(n * sizeof(uint8_t *))
    cdef size_t *lens = <size_t *>malloc(n * sizeof(size_t))
    cdef tg_header *headers = <tg_header *>malloc(n * 64 * sizeof(tg_header))
    cdef uint8_t *out = <uint8_t *>malloc(room)
    cdef size_t at
    cdef uint32_t h
    best = [1e9, 1e9]
    try:
        if decoded is NULL or data is NULL or lens is NULL or headers is NULL or out is NULL:
            raise MemoryError
        for i in range(n):
            one = made[i]
            data[i], lens[i], at = <const uint8_t *><const char *>one, len(one), 0
            if tg_parked_decode(data[i], lens[i], &decoded[i]) != TG_PARKED_OK or decoded[i].header_count > 64:
                raise ValueError("not an envelope, or more than 64 headers")
            for h in range(decoded[i].header_count):
                at = tg_parked_header(&decoded[i], at, &headers[64 * i + h])
        for _ in range(rounds):
            begun = perf_counter_ns()
            with nogil:
                for i in range(n):
                    if tg_parked_size(&decoded[i], &headers[64 * i]) <= room:
                        tg_parked_encode(&decoded[i], &headers[64 * i], out, room, &written)
            between = perf_counter_ns()
            with nogil:
                for i in range(n):
                    tg_parked_decode(data[i], lens[i], &decoded[i])
            best = [min(best[0], (between - begun) / n), min(best[1], (perf_counter_ns() - between) / n)]
        return tuple(best)
    finally:
        free(decoded)
        free(data)
        free(lens)
        free(headers)
        free(out)
