"""A dispatcher made of deques, a sink that follows a script, and a log that remembers. They check as they go."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.sinks.base import ACKNOWLEDGED, Outcome

CRITICAL, HIGH, NORMAL, BULK = range(4)


@dataclass(eq=False, slots=True)
class FakeBatch:
    name: str
    klass: int
    body: bytes
    records: int = 1
    attempts: int = 0
    content_type: str = "application/x-ndjson"
    headers: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return self.name


class FakeDispatcher:
    """Critical first, then by class. Each batch lingers until its time, unless draining. Keeps every batch's fate."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.draining = False
        self.batch_records = 1
        self.rings: list[deque[tuple[float, FakeBatch]]] = [deque() for _ in range(4)]
        self.put: list[FakeBatch] = []
        self.taken: list[FakeBatch] = []
        self.settled: list[FakeBatch] = []
        self.discarded: list[FakeBatch] = []
        self.news = asyncio.Event()  # something was settled
        self._open: set[FakeBatch] = set()  # taken, without an end
        self._clock = clock

    def add(self, klass: int, count: int = 1, size: int = 100, linger: float = 0.0) -> list[FakeBatch]:
        batches = []
        for _ in range(count):
            name = f"{'chnb'[klass]}{len(self.put)}"
            batch = FakeBatch(name, klass, name.encode().ljust(size, b"."))
            self.rings[klass].append((self._clock() + linger, batch))
            self.put.append(batch)
            batches.append(batch)
        return batches

    def take(self, classes: int = 15, /) -> FakeBatch | None:
        assert 0 < classes <= 15
        for klass, ring in enumerate(self.rings):
            if classes >> klass & 1 and ring and (self.draining or ring[0][0] <= self._clock()):
                batch = ring.popleft()[1]
                self.taken.append(batch)
                self._open.add(batch)
                return batch
        return None

    def due_in(self) -> float | None:
        heads = [0.0 if self.draining else max(0.0, ring[0][0] - self._clock()) for ring in self.rings if ring]
        return min(heads, default=None)

    def settle(self, batch: Any, /) -> None:
        self._ends(batch)
        self.settled.append(batch)
        self.news.set()

    def discard(self, batch: Any, /) -> int:
        self._ends(batch)
        self.discarded.append(batch)
        return int(batch.records)

    def _ends(self, batch: FakeBatch) -> None:
        assert batch in self._open, f"{batch} was never taken, or has ended before"
        self._open.remove(batch)

    @property
    def buffered(self) -> int:
        return sum(map(len, self.rings))


Script = Callable[[FakeBatch, float], Outcome | tuple[float, Outcome]]


class ScriptedSink:
    """Asks the script (batch, time) for the outcome, or (seconds, outcome); `sent` is the log of the sends."""

    name = "scripted"

    def __init__(self, script: Script = lambda batch, now: ACKNOWLEDGED, seconds: float = 0.01) -> None:
        self.script = script
        self.seconds = seconds
        self.sent: list[tuple[float, FakeBatch]] = []
        self.sending: list[FakeBatch] = []
        self.cancelled: list[FakeBatch] = []
        self.most_at_once = 0
        self.violations: list[AssertionError] = []
        self.before: dict[FakeBatch, int] = {}  # sends that did not come this way
        self.check: Callable[[], None] = lambda: None
        self._sends: Counter[FakeBatch] = Counter()
        self._bodies: dict[FakeBatch, bytes] = {}

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def send(self, batch: Any, /) -> Outcome:
        loop = asyncio.get_running_loop()
        self.sent.append((loop.time(), batch))
        self._sends[batch] += 1
        already = batch in self.sending
        self.sending.append(batch)
        self.most_at_once = max(self.most_at_once, len(self.sending))
        try:
            assert not already, f"two sends of {batch} at the same time"
            assert batch.attempts == self._sends[batch] + self.before.get(batch, 0)
            assert self._bodies.setdefault(batch, batch.body) is batch.body, "the body changed between sends"
            self.check()
        except AssertionError as error:  # Delivery would survive it, as it survives any sink's fault
            self.violations.append(error)
            self.sending.remove(batch)
            raise
        try:
            answer = self.script(batch, loop.time())
            seconds, outcome = answer if isinstance(answer, tuple) else (self.seconds, answer)
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(batch)
            raise
        finally:
            self.sending.remove(batch)
        return outcome

    def names(self) -> list[str]:
        return [batch.name for _, batch in self.sent]


class MemoryLog:
    """`lines`: (time, level, event, fields)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.lines: list[tuple[float, str, str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append((self._clock(), "info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append((self._clock(), "warning", event, fields))
