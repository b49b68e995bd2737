"""Rings, ledger and dispatcher without a reader: records go in as the intake would put them."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence

from tidegate.core.dispatcher import Dispatcher
from tidegate.core.extra import Extra
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.ring import Rings
from tidegate.core.scan import HAS_BOM, HAS_NEWLINE, Scanner

INVALID, NEWLINE, BOM, EMPTY = 1, 2, 4, 8  # ring.pxd
LIVE, CLOSING, DEAD, ORPHAN = 1, 2, 3, 4  # ledger.pxd
_NULL = 0xFFFFFFFF
_scanner = Scanner([])

Headers = Sequence[tuple[bytes, bytes | None]]


def header_block(headers: Headers) -> bytes:
    """Headers as they stand in a record."""
    block = b""
    for name, value in headers:
        block += struct.pack("=II", len(name), _NULL if value is None else len(value)) + name + (value or b"")
    return block


class Flow:
    """One process's native path from the rings on. Times are now, unless said otherwise."""

    def __init__(
        self,
        format: str = "ndjson",  # noqa: A002 - the dispatcher's name for it
        *,
        max_records: int = 500,
        max_bytes: int = 1 << 20,
        linger: float = 0.0,
        budget: int = 16 << 20,
        topics: Sequence[str] = ("orders",),
    ) -> None:
        self.ledger = LedgerFace(1 << 17)
        self.rings = Rings(budget)
        self.dispatcher = Dispatcher(self.rings, self.ledger, format, max_records, max_bytes, linger)
        self.grammar = format != "ndjson"
        self._lanes = {topic: self.ledger.add_lane(topic) for topic in topics}
        self._slots: dict[tuple[str, int], int] = {}
        self._next: dict[int, int] = {}

    def slot(self, topic: str = "orders", partition: int = 0, start: int = 0) -> int:
        """The partition's slot, opened at the first call."""
        if (topic, partition) not in self._slots:
            number = self.ledger.test_open(self._lanes[topic], partition, start)
            self._slots[topic, partition] = number
            self._next[number] = start
        return self._slots[topic, partition]

    def add(
        self,
        klass: int,
        value: bytes | None,
        *,
        topic: str = "orders",
        partition: int = 0,
        step: int = 0,
        key: bytes | None = None,
        headers: Headers = (),
        timestamp_ms: int = -1,
        waited: float = 0.0,
        extra: Extra | None = None,
    ) -> int | None:
        """Reads one record, ``step`` offsets behind the last one; its offset, or None where the ring is full."""
        number = self.slot(topic, partition)
        offset = self._next[number] + step
        gap = self.ledger.test_read(number, offset, klass)
        assert gap is not None, "the span is full"
        value = value or b""
        status, _, found, _ = _scanner.scan(value, self.grammar)
        flags = {"ok": 0, "empty": EMPTY}.get(status, INVALID)
        if status == "ok":
            flags |= (NEWLINE if found & HAS_NEWLINE else 0) | (BOM if found & HAS_BOM else 0)
        if not self.rings.push(
            klass,
            value,
            slot=number,
            offset=offset,
            gap=gap,
            flags=flags,
            key=key,
            headers=header_block(headers),
            timestamp_ms=timestamp_ms,
            read_ns=time.monotonic_ns() - int(waited * 1e9),
            extra=extra,
        ):
            return None
        self._next[number] = offset + 1
        return offset

    def bodies(self) -> list[bytes]:
        """Takes and settles everything that is due."""
        found = []
        while (batch := self.dispatcher.take()) is not None:
            found.append(batch.body)
            self.dispatcher.settle(batch)
        return found
