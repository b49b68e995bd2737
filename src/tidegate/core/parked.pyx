"""A small Python face of the envelope (csrc/tg_parked.h), for tests and for tools.

The hot path calls the C functions itself and never comes through here.
"""

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
