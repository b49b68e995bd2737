"""How busy the target is kept: against what can be worked out by hand."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from tidegate.pressure.adaptive import Adaptive
from tidegate.sinks.base import ACKNOWLEDGED, InstantSink, Kind, Outcome

from .doubles import BULK, CRITICAL, ScriptedSink
from .rig import Rig, rig
from .test_limited import RecordDispatcher
from .virtual import in_virtual_time


async def share(made: Rig, seconds: float) -> float:
    """Of so many seconds from now on."""
    before = made.delivery.stats().busy_seconds
    await asyncio.sleep(seconds)
    return (made.delivery.stats().busy_seconds - before) / seconds


@in_virtual_time
async def test_slots_in_use_of_those_there_are() -> None:
    async with rig(ScriptedSink(seconds=1.0), concurrency=4) as made:
        assert await share(made, 1.0) == 0.0
        made.source.add(BULK, 1)
        made.delivery.wake()
        assert await share(made, 1.0) == pytest.approx(0.25, abs=0.01)
        made.source.add(BULK, 3)
        made.delivery.wake()
        assert await share(made, 2.0) == pytest.approx(0.375, abs=0.01)  # three slots for one of two seconds
        assert await share(made, 1.0) == 0.0


@in_virtual_time
async def test_what_waits_for_a_slot_makes_it_busy_and_what_lingers_does_not() -> None:
    async with rig(ScriptedSink(seconds=0.5), concurrency=2) as made:
        made.source.add(BULK, 8)
        made.delivery.wake()
        assert await share(made, 2.0) == pytest.approx(1.0, abs=0.01)
        made.source.add(BULK, 1, linger=1.0)
        made.delivery.wake()
        assert await share(made, 1.0) == pytest.approx(0.0, abs=0.01)
        assert await share(made, 0.5) == pytest.approx(0.5, abs=0.01)


@in_virtual_time
async def test_room_for_bytes_counts_as_well() -> None:
    async with rig(ScriptedSink(seconds=0.5), concurrency=100, inflight_bytes=1000) as made:
        made.source.add(BULK, 32, size=100)  # eight at a time
        made.delivery.wake()
        assert await share(made, 1.5) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("outcome", [Outcome(Kind.DOWN, "http-500"), Outcome(Kind.SLOW, "http-503", retry_after=1.0)])
def test_a_target_that_refuses_is_busy_while_anything_waits(outcome: Outcome) -> None:
    @in_virtual_time
    async def play() -> None:
        sink = ScriptedSink(lambda batch, now: outcome if now < 20 else ACKNOWLEDGED)
        async with rig(sink, concurrency=4) as made:
            made.source.add(BULK, 20)
            made.delivery.wake()
            await asyncio.sleep(2.0)
            assert await share(made, 10.0) == pytest.approx(1.0, abs=0.03)
            await made.settle()
            assert await share(made, 1.0) == 0.0

    play()


@in_virtual_time
async def test_a_batch_that_is_refused_for_itself_is_no_load() -> None:
    sink = ScriptedSink(lambda batch, now: Outcome(Kind.RETRY, "http-400") if now < 300 else ACKNOWLEDGED)
    async with rig(sink, concurrency=4) as made:
        made.source.add(BULK, 1)
        made.delivery.wake()
        await asyncio.sleep(60.0)
        assert await share(made, 60.0) < 0.05
        await made.settle()


@in_virtual_time
async def test_with_a_limiter_it_is_the_records_as_well() -> None:
    """One worker at 1 ms per record: saturated all the time, however few of the slots that takes; a fifth of it is
    seen as far less than all."""
    clock = asyncio.get_running_loop().time
    source, free = RecordDispatcher(clock), [0.0]

    def serve(batch: object, now: float) -> tuple[float, Outcome]:
        free[0] = max(now, free[0]) + batch.records * 0.001  # type: ignore[attr-defined]
        return free[0] - now, ACKNOWLEDGED

    async with rig(ScriptedSink(serve), concurrency=16, source=source, limiter=Adaptive(16, 500, Random(1), 0.0),
                   inflight_bytes=1 << 30) as made:  # fmt: skip
        source.arrive(BULK, 60_000)
        made.delivery.wake()
        await asyncio.sleep(10.0)
        assert await share(made, 30.0) > 0.97
        source.records[BULK] = 0
        await asyncio.sleep(2.0)

        async def drip() -> None:
            for _ in range(300):
                source.arrive(CRITICAL, 10)
                made.delivery.wake()
                await asyncio.sleep(0.1)

        dripping = asyncio.create_task(drip())
        assert await share(made, 20.0) < 0.5
        await dripping


class AtOnce(ScriptedSink):
    """Answers at once; each batch takes a millisecond of the loop's time."""

    def send_nowait(self, batch: object, /) -> Outcome | None:
        asyncio.get_running_loop()._jumping.now += 0.001  # type: ignore[attr-defined]
        return ACKNOWLEDGED


@in_virtual_time
async def test_a_sink_that_answers_at_once_is_busy_while_it_is_given_something() -> None:
    sink = AtOnce()
    assert isinstance(sink, InstantSink)
    async with rig(sink) as made:
        made.source.add(BULK, 100)
        made.delivery.wake()
        before = asyncio.get_running_loop().time()
        await made.settle()
        assert asyncio.get_running_loop().time() - before == pytest.approx(0.1, abs=0.01)
        assert made.delivery.stats().busy_seconds == pytest.approx(0.1, abs=0.01)
        assert await share(made, 1.0) == 0.0
