"""The envelope of a parked record in plain Python: what csrc/tg_parked.c must agree with, byte for byte."""

from __future__ import annotations

import struct

from tidegate.core.parking import Parked

FIXED = struct.Struct("<2sBBBBHiIqqII")
NULL = 0xFFFFFFFF
RANDOM_END = 1 << 56


def encode(record: Parked) -> bytes:
    flags = record.timestamp_type << 3
    flags |= (record.randomness is not None) | (record.threshold is not None) << 1 | (record.payload is None) << 2
    headers = b"".join(
        struct.pack("<II", len(name), NULL if value is None else len(value)) + name + (value or b"")
        for name, value in record.headers
    )
    topic, payload = record.topic.encode(), record.payload or b""
    fixed = FIXED.pack(
        b"tP",
        1,
        flags,
        record.klass,
        0,
        len(topic),
        record.partition,
        len(record.headers),
        record.offset,
        record.timestamp_ms,
        len(headers),
        len(payload),
    )
    drawn = b"".join(struct.pack("<Q", n) for n in (record.randomness, record.threshold) if n is not None)
    return fixed + drawn + topic + headers + payload


def decode(data: bytes) -> tuple[str, Parked | None]:
    """Status and record, in the order of checks that the C code has."""
    if not b"tP".startswith(data[:2]) or data[2:3] == b"\0":
        return "magic", None
    if len(data) >= 3 and data[2] > 1:
        return "version", None
    if len(data) < FIXED.size:
        return "truncated", None
    _, _, flags, klass, zero, topic_len, partition, count, offset, ms, headers_len, payload_len = FIXED.unpack(
        data[: FIXED.size]
    )
    kind, null = flags >> 3 & 3, flags & 4
    if flags > 31 or kind == 3 or klass > 3 or zero or partition < 0 or offset < 0 or (null and payload_len):
        return "field", None
    rest = data[FIXED.size :]
    drawn: list[int | None] = []
    if len(rest) < 8 * (flags & 1) + 8 * (flags >> 1 & 1):
        return "truncated", None
    for bit in (1, 2):
        drawn.append(struct.unpack("<Q", rest[:8])[0] if flags & bit else None)
        rest = rest[8:] if flags & bit else rest
    if any(n is not None and n >= RANDOM_END for n in drawn):
        return "field", None
    left = len(rest) - topic_len - headers_len - payload_len
    if left:
        return "truncated" if left < 0 else "length", None
    topic, block, payload = rest[:topic_len], rest[topic_len : topic_len + headers_len], rest[topic_len + headers_len :]
    headers: list[tuple[bytes, bytes | None]] = []
    for _ in range(min(count, len(block) // 8 + 1)):
        if len(block) < 8:
            return "length", None
        name_len, value_len = struct.unpack("<II", block[:8])
        end = 8 + name_len + (0 if value_len == NULL else value_len)
        if end > len(block):
            return "length", None
        headers.append((block[8 : 8 + name_len], None if value_len == NULL else block[8 + name_len : end]))
        block = block[end:]
    if block or len(headers) != count:
        return "length", None
    text = topic.decode("utf-8", "surrogateescape")
    value = None if null else payload
    return "ok", Parked(text, partition, offset, ms, kind, klass, drawn[0], drawn[1], tuple(headers), value)
