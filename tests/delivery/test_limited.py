"""Delivery with a limiter that adapts: what reaches a slow target, and that nothing stands still for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from heapq import heapify, heapreplace
from random import Random

import pytest

from tidegate.pressure.adaptive import Adaptive
from tidegate.sinks.base import ACKNOWLEDGED, Kind, Outcome
from tidegate.sinks.pacing import TargetState

from .doubles import BULK, CRITICAL, HIGH, FakeBatch, FakeDispatcher, ScriptedSink
from .rig import Rig, rig
from .virtual import in_virtual_time

BUSY = Outcome(Kind.SLOW, "http-503")
BROKEN = Outcome(Kind.DOWN, "http-500")
TIMEOUT = Outcome(Kind.DOWN, "timeout")
MOST = 500


class RecordDispatcher(FakeDispatcher):
    """Makes batches of as many waiting records as it may. `arrive` also notes when, for `waits`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.batch_records = MOST
        self.records = [0] * 4
        self.takes = 0
        self.arrived: list[float] = []
        self.waits: list[float] = []
        self._oldest: dict[FakeBatch, float] = {}

    def arrive(self, klass: int, records: int = 1) -> None:
        if klass == CRITICAL:
            self.arrived += [self._clock()] * records
        self.records[klass] += records

    def take(self, classes: int = 15, /) -> FakeBatch | None:
        self.takes += 1
        assert 0 < self.batch_records <= MOST
        for klass in range(4):
            if classes >> klass & 1 and self.records[klass]:
                records = min(self.records[klass], self.batch_records)
                self.records[klass] -= records
                [made] = self.add(klass)
                made.records = records
                if klass == CRITICAL:
                    self._oldest[made] = self.arrived[0]
                    del self.arrived[:records]
                return super().take(1 << klass)
        return None

    def due_in(self) -> float | None:
        return 0.0 if any(self.records) else None

    def settle(self, batch: FakeBatch, /) -> None:
        super().settle(batch)
        if batch in self._oldest:
            self.waits.append(self._clock() - self._oldest[batch])


class Shop:
    """So many workers; a batch takes one of them for so long per record. A script for `ScriptedSink`."""

    def __init__(self, workers: int, per_record: float) -> None:
        self.per_record = per_record
        self.refuses = False
        self._free_at = [0.0] * workers
        heapify(self._free_at)

    def __call__(self, batch: FakeBatch, now: float) -> tuple[float, Outcome]:
        if self.refuses:
            return 0.002, BUSY
        end = max(now, self._free_at[0]) + 0.001 + self.per_record * batch.records
        heapreplace(self._free_at, end)
        return end - now + 0.001, ACKNOWLEDGED


def adaptive(concurrency: int = 8) -> Adaptive:
    return Adaptive(concurrency, MOST, Random(1), asyncio.get_running_loop().time())


def source() -> RecordDispatcher:
    return RecordDispatcher(asyncio.get_running_loop().time)


async def orders(r: Rig, made: RecordDispatcher, seconds: float) -> None:
    """One critical record every 50 ms beside a bulk backlog."""
    for _ in range(int(seconds / 0.05)):
        made.arrive(CRITICAL)
        r.delivery.wake()
        await asyncio.sleep(0.05)


@in_virtual_time
async def test_orders_wait_for_little_beside_a_backlog_and_a_slow_app() -> None:
    waits = {}
    for name in ("adaptive", "fixed"):
        made = source()
        made.arrive(BULK, 60_000)
        limiter = adaptive() if name == "adaptive" else None
        async with rig(
            ScriptedSink(Shop(4, 0.0008)), concurrency=8, inflight_bytes=1 << 20, limiter=limiter, source=made
        ) as r:
            await orders(r, made, 10.0)
            waits[name] = sorted(made.waits)[int(len(made.waits) * 0.99)]
            done = sum(batch.records for batch in made.settled)
            assert done >= (0.9 if name == "adaptive" else 0.8) * 50_000  # 10 s of 4 workers, from the first moment on
    assert waits["adaptive"] <= 0.15, waits
    assert waits["fixed"] >= 0.5, waits


@in_virtual_time
async def test_a_fast_app_gets_all_slots_and_full_batches() -> None:
    made = source()
    made.arrive(BULK, 2_000_000)
    sink = ScriptedSink(lambda batch, now: (0.005, ACKNOWLEDGED))
    async with rig(sink, concurrency=8, inflight_bytes=1 << 20, limiter=adaptive(), source=made) as r:
        r.delivery.wake()
        await asyncio.sleep(2.0)
        assert sink.most_at_once == 8
        assert sink.sent[-1][1].records == MOST
        figures = r.delivery.stats().limiter
        assert figures is not None
        assert figures.limit_records == 8 * MOST


@in_virtual_time
async def test_limited_is_not_busy() -> None:
    """With work that is due and may not be sent, the loop sleeps until a send ends."""
    made = source()
    made.arrive(BULK, 100_000)
    made.arrive(HIGH, 1000)
    async with rig(ScriptedSink(Shop(1, 0.05)), concurrency=8, limiter=adaptive(), source=made) as r:
        r.delivery.wake()
        await asyncio.sleep(20.0)
        before, sends = made.takes, len(r.sink.sent)
        await asyncio.sleep(20.0)
        assert made.takes - before <= 4 * (len(r.sink.sent) - sends) + 4
        assert {stats.holding for stats in r.delivery.stats().classes[1:]} == {"limit"}
        assert r.delivery.stats().classes[CRITICAL].holding is None


@in_virtual_time
async def test_refusals_lower_the_limit_and_only_wait_in_pacing() -> None:
    made, shop = source(), Shop(4, 0.0008)
    made.arrive(BULK, 100_000)
    async with rig(ScriptedSink(shop), concurrency=8, inflight_bytes=1 << 20, limiter=adaptive(), source=made) as r:
        r.delivery.wake()
        await asyncio.sleep(3.0)
        shop.refuses = True
        await asyncio.sleep(1.0)
        stats = r.delivery.stats()
        assert stats.target is TargetState.SLOW
        assert stats.limit == 8
        assert stats.limiter is not None
        assert stats.limiter.congestions["overload"] >= 1
        shop.refuses = False
        made.records = [0] * 4
        await r.settle()
        assert not made.discarded


@in_virtual_time
async def test_a_large_batch_that_failed_is_not_kept_waiting_by_small_ones() -> None:
    """It was made when batches could be large. Now they are small, more of them come all the time, and it is never
    sent beside others of its kind: so these wait for it, and nobody is busy meanwhile."""
    made = source()
    shop = Shop(4, 1e-5)
    failed: list[FakeBatch] = []
    dragging: list[FakeBatch] = []

    def script(batch: FakeBatch, now: float) -> tuple[float, Outcome]:
        if batch.records == MOST and now > 2.0 and not failed:
            failed.append(batch)
            return 0.001, Outcome(Kind.RETRY, "http-400", retry_after=20.0)
        if now > 20.0 and batch.records < MOST and batch.klass == BULK and not dragging:
            dragging.append(batch)
            return 5.0, ACKNOWLEDGED
        return shop(batch, now)

    made.arrive(BULK, 10_000_000)
    async with rig(ScriptedSink(script), concurrency=8, inflight_bytes=1 << 20, limiter=adaptive(), source=made) as r:
        r.delivery.wake()
        await asyncio.sleep(2.5)
        shop.per_record = 0.004
        made.arrive(CRITICAL)
        await asyncio.sleep(20.5)  # its time came, and all but one of the others have ended
        assert failed
        assert failed[0].attempts == 1
        assert len(r.sink.sending) == 1
        before = made.takes
        await asyncio.sleep(1.5)
        assert made.takes - before <= 4
        await asyncio.sleep(6.0)
        assert failed[0] in made.settled
        assert r.sink.sent[-1][1].records < 50


@in_virtual_time
async def test_a_target_that_is_back_is_begun_with_anew() -> None:
    made = source()
    refused = Outcome(Kind.DOWN, "connect-refused", unreachable=True)
    away = False

    def script(batch: FakeBatch, now: float) -> tuple[float, Outcome]:
        return (0.001, refused) if away else (0.01, ACKNOWLEDGED)

    made.arrive(BULK, 10_000_000)
    async with rig(ScriptedSink(script), concurrency=8, inflight_bytes=1 << 20, limiter=adaptive(), source=made) as r:
        r.delivery.wake()
        await asyncio.sleep(2.0)
        away = True
        await asyncio.sleep(2.0)
        away = False
        for _ in range(10_000):
            await asyncio.sleep(0.001)
            if r.delivery.stats().target is TargetState.OPEN:
                break
        figures = r.delivery.stats().limiter
        assert figures is not None
        assert figures.limit_records == figures.batch_records


@in_virtual_time
async def test_sends_that_hang_do_not_hold_a_target_that_is_back() -> None:
    made = source()
    hang = False

    def script(batch: FakeBatch, now: float) -> tuple[float, Outcome]:
        if not hang:
            return 0.01, ACKNOWLEDGED
        return (60.0, TIMEOUT) if batch.name.endswith(("0", "5")) else (0.01, BROKEN)

    made.arrive(BULK, 1_000_000)
    async with rig(ScriptedSink(script), concurrency=4, limiter=adaptive(4), source=made) as r:
        r.delivery.wake()
        await asyncio.sleep(2.0)
        hang = True
        await asyncio.sleep(2.0)
        assert r.delivery.stats().target is TargetState.DOWN
        assert r.sink.sending
        hang = False
        made.records[BULK] = 1000
        await asyncio.sleep(20.0)
        assert r.sink.sending  # still
        assert made.records == [0] * 4


@in_virtual_time
async def test_one_line_says_that_batches_became_small() -> None:
    made = source()
    made.arrive(BULK, 1_000_000)
    async with rig(
        ScriptedSink(Shop(4, 0.0008)), concurrency=8, inflight_bytes=1 << 20, limiter=adaptive(), source=made
    ) as r:
        await orders(r, made, 20.0)
        lines = [fields for _, _, event, fields in r.log.lines if event.startswith("batches follow")]
        assert len(lines) == 1
        assert lines[0]["per_record_ms"] == pytest.approx(0.8, rel=0.4)
        assert lines[0]["records"] < 60
