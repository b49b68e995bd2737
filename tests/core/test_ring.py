"""Rings against a plain model: deques for the order, chunk numbers for the room."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
import zlib
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tidegate.core.ring import Rings

HEADER = 56  # bytes of a record before its payload
POINTER = 8  # what stands in a chunk for a payload with its own mapping
CHUNK = 4096
CLASSES = range(4)

classes = st.sampled_from(CLASSES)
sizes = st.one_of(
    st.integers(0, 64),
    st.integers(500, 3000),
    st.integers(CHUNK - HEADER - 16, CHUNK - HEADER + 16),  # around what exactly fills a chunk
    st.integers(CHUNK - 8, 4 * CHUNK + 8),  # several chunks
)


@dataclass
class ModelRing:
    """One class: what is in it, and which chunk each record stands in."""

    records: deque[tuple[int, bytes, bytes | None, int, int]] = field(default_factory=deque)  # …, chunk, extra chunks
    write_chunk: int = 0
    write_at: int = CHUNK
    read_chunk: int = 0
    used: int = 0  # chunks taken, extra ones of large records included


class ModelRings:
    """The documented rules, in the plainest form: each class has a reserve, the rest goes to who asks."""

    def __init__(self, chunks: int) -> None:
        self.reserved = max(1, chunks // 12)
        self.shared = chunks - 4 * self.reserved
        self.rings = [ModelRing() for _ in CLASSES]

    def room(self, klass: int) -> int:
        borrowed = sum(max(0, ring.used - self.reserved) for ring in self.rings)
        return max(0, self.reserved - self.rings[klass].used) + self.shared - borrowed

    def push(self, klass: int, offset: int, value: bytes, key: bytes | None) -> bool:
        ring = self.rings[klass]
        payload = len(value) + len(key or b"")
        need, extra = (HEADER + payload + 7) // 8 * 8, 0
        if need > CHUNK:
            need, extra = HEADER + POINTER, -(-payload // CHUNK)
            if self.room(klass) < extra + 1:
                return False
        if ring.write_at + need > CHUNK:
            if self.room(klass) < 1:
                return False
            ring.write_chunk, ring.write_at = ring.write_chunk + 1, 0
            ring.used += 1
        ring.write_at += need
        ring.used += extra
        ring.records.append((offset, value, key, ring.write_chunk, extra))
        return True

    def pop(self, klass: int) -> tuple[int, bytes, bytes | None] | None:
        ring = self.rings[klass]
        if not ring.records:
            return None
        offset, value, key, chunk, extra = ring.records.popleft()
        if chunk != ring.read_chunk:
            ring.used -= chunk - max(1, ring.read_chunk)  # the ones behind it are free again; it stays in its own
            ring.read_chunk = chunk
        ring.used -= extra
        return offset, value, key


def filled(size: int, seed: int) -> bytes:
    """Bytes that tell records of one size apart, from the first to the last."""
    return (seed.to_bytes(4, "little") * (size // 4 + 1))[:size]


class RingsMachine(RuleBasedStateMachine):
    @initialize(chunks=st.integers(8, 64))
    def start(self, chunks: int) -> None:
        self.rings = Rings(chunks * CHUNK + 17, CHUNK)
        self.model = ModelRings(chunks)
        self.offset = 0
        assert (self.rings.chunks, self.rings.reserved) == (chunks, self.model.reserved)

    def _push(self, klass: int, size: int, key: bytes | None) -> bool:
        self.offset += 1
        value = filled(size, self.offset)
        expected = self.model.push(klass, self.offset, value, key)
        assert self.rings.push(klass, value, offset=self.offset, key=key) is expected
        return expected

    @rule(klass=classes, size=sizes, key=st.one_of(st.none(), st.binary(max_size=20)))
    def push(self, klass: int, size: int, key: bytes | None) -> None:
        self._push(klass, size, key)

    @rule(klass=classes, size=sizes, times=st.integers(2, 40))
    def push_many(self, klass: int, size: int, times: int) -> None:
        for _ in range(times):
            self._push(klass, size, None)

    @rule(klass=classes, size=st.integers(0, 3000))
    def fill(self, klass: int, size: int) -> None:
        while self._push(klass, size, None):
            pass
        # Whatever the others do: a class that is full has had at least its reserve.
        assert self.model.rings[klass].used >= self.model.reserved

    @rule(klass=classes, times=st.integers(1, 60))
    def pop(self, klass: int, times: int) -> None:
        for _ in range(times):
            assert self.rings.pop(klass) == self.model.pop(klass)

    @rule(klass=classes)
    def drain(self, klass: int) -> None:
        while (expected := self.model.pop(klass)) is not None:
            assert self.rings.pop(klass) == expected
        assert self.rings.pop(klass) is None

    @rule(klass=classes)
    def look(self, klass: int) -> None:
        assert self.rings.peek_all(klass) == [record[1] for record in self.model.rings[klass].records]

    @rule(klass=classes, sizes=st.lists(st.integers(0, 5000), min_size=1, max_size=5))
    def unpublished_records_are_not_seen(self, klass: int, sizes: list[int]) -> None:
        before = self.rings.buffered(klass)
        for size in sizes:
            self.offset += 1
            value = filled(size, self.offset)
            expected = self.model.push(klass, self.offset, value, None)
            assert self.rings.push(klass, value, offset=self.offset, publish=False) is expected
        assert self.rings.buffered(klass) == before
        self.rings.show()

    @invariant()
    def books_agree(self) -> None:
        if not hasattr(self, "rings"):
            return
        total = 0
        for klass in CLASSES:
            records = self.model.rings[klass].records
            assert self.rings.buffered(klass) == (len(records), sum(len(r[1]) for r in records))
            assert self.rings.room(klass) == self.model.room(klass)
            total += self.model.rings[klass].used
        assert total <= self.rings.chunks

    def teardown(self) -> None:
        if not hasattr(self, "rings"):
            return
        for klass in CLASSES:
            self.drain(klass)
        # Everything came back but the chunk that each class stands in.
        for klass in CLASSES:
            assert self.rings.room(klass) >= self.model.reserved - 1 + self.model.shared
        for klass in CLASSES:
            assert self.rings.push(klass, b"again", offset=1)
            assert self.rings.pop(klass) == (1, b"again", None)


TestRings = RingsMachine.TestCase


# ── edges ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("chunk", [0, 8, 4088, 4100, 4097, (1 << 26) + 8, -4096])
def test_a_chunk_size_out_of_range_is_refused(chunk: int) -> None:
    with pytest.raises(ValueError, match="chunk_bytes must be a multiple of 8 from 4096 to 64 MiB"):
        Rings(1 << 30, chunk)


def test_the_limits_of_the_chunk_size_are_taken() -> None:
    assert Rings(8 * 4096, 4096).chunks == 8
    assert Rings(8 << 26, 1 << 26).chunks == 8  # the mapping is not touched, so it costs nothing


@pytest.mark.parametrize("budget", [0, 1, 8 * 4096 - 1])
def test_a_budget_below_eight_chunks_is_refused(budget: int) -> None:
    with pytest.raises(ValueError, match="too few for rings"):
        Rings(budget, 4096)
    with pytest.raises(ValueError, match="too few for rings"):
        Rings(budget)


@pytest.mark.parametrize(
    ("budget", "chunk", "reserved_bytes"), [(48 << 20, 256 << 10, 4 << 20), (1 << 20, 16 << 10, 80 << 10)]
)
def test_defaults(budget: int, chunk: int, reserved_bytes: int) -> None:
    rings = Rings(budget)
    assert (rings.chunk_bytes, rings.reserved * rings.chunk_bytes) == (chunk, reserved_bytes)


def test_a_refused_mapping_is_a_memory_error() -> None:
    with pytest.raises(MemoryError):
        Rings(1 << 46)


@pytest.mark.parametrize("left", [0, 8, 16])
def test_a_record_may_fill_its_chunk_to_the_last_byte(left: int) -> None:
    """With no room left there is no end mark: the consumer must go on without one."""
    rings = Rings(8 * CHUNK, CHUNK)
    values = [filled(CHUNK - HEADER - left, n) for n in range(3)]
    for n, value in enumerate(values):
        assert rings.push(1, value, offset=n)
    assert rings.room(1) == rings.chunks - 3 - 3  # three of its own, and three reserved for the others
    assert rings.peek_all(1) == values
    assert [rings.pop(1) for _ in values] == [(n, value, None) for n, value in enumerate(values)]
    assert rings.pop(1) is None


def test_one_byte_more_takes_a_mapping_of_its_own() -> None:
    rings = Rings(8 * CHUNK, CHUNK)
    assert rings.room(0) == 5
    assert rings.push(0, filled(CHUNK - HEADER, 1))
    assert rings.room(0) == 4
    assert rings.push(0, filled(CHUNK - HEADER + 1, 2))  # a chunk for its place, one for its bytes
    assert rings.room(0) == 2
    assert [rings.pop(0)[1], rings.pop(0)[1]] == [filled(CHUNK - HEADER, 1), filled(CHUNK - HEADER + 1, 2)]
    assert rings.room(0) == 4


def test_rings_that_end_full_give_back_large_records() -> None:
    """Mappings of their own go with the rings: otherwise this loop takes 600 MiB."""
    before = _resident_kib()
    for _ in range(60):
        rings = Rings(5000 * CHUNK, CHUNK)
        assert rings.push(2, bytes(10 << 20))
        del rings
    assert _resident_kib() - before < 100 << 10


def _resident_kib() -> int:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


# ── two threads ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_producer_and_a_consumer_thread() -> None:
    """Order, content and room with both sides at work; the interpreter is made to switch as often as it can."""
    rings = Rings(40 * CHUNK, CHUNK)
    total = 15_000 if "TIDEGATE_TEST_SANITIZED" not in os.environ else 4_000
    dice = random.Random(7)
    plan = [(dice.choice(CLASSES), dice.choice([0, 10, 200, 1000, 4040, 9000])) for _ in range(total)]
    refused = [0]
    stop = threading.Event()

    def produce() -> None:
        for n, (klass, size) in enumerate(plan):
            body = filled(size, n)
            value = body + zlib.crc32(body + n.to_bytes(8)).to_bytes(4)
            while not rings.push(klass, value, offset=n, key=b"%d" % n):
                refused[0] += 1
                if stop.is_set():
                    return
                time.sleep(0)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    producer = threading.Thread(target=produce)
    producer.start()
    try:
        seen: list[list[int]] = [[] for _ in CLASSES]
        left, deadline = total, time.monotonic() + 60
        while left and time.monotonic() < deadline:
            for klass in CLASSES:
                while (record := rings.pop(klass)) is not None:
                    offset, value, key = record
                    assert int.from_bytes(value[-4:]) == zlib.crc32(value[:-4] + offset.to_bytes(8))
                    assert key == b"%d" % offset
                    seen[klass].append(offset)
                    left -= 1
    finally:
        stop.set()
        producer.join(10)
        sys.setswitchinterval(interval)
    for klass in CLASSES:
        assert seen[klass] == [n for n, (k, _) in enumerate(plan) if k == klass]
    assert refused[0], "the rings were never full: the test shows less than it says"
