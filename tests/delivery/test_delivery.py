"""Delivery from the outside: what reaches the sink, in which order, how often, and how it ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.delivery import Delivery
from tidegate.errors import SinkError
from tidegate.sinks.base import ACKNOWLEDGED, Kind, Outcome
from tidegate.sinks.blackhole import BlackholeSink
from tidegate.sinks.pacing import TargetState

from .doubles import BULK, CRITICAL, HIGH, NORMAL, FakeBatch, FakeDispatcher, MemoryLog, ScriptedSink
from .rig import rig
from .virtual import in_virtual_time

BAD = Outcome(Kind.RETRY, "http-400")
BROKEN = Outcome(Kind.DOWN, "http-500")
REFUSED = Outcome(Kind.DOWN, "connect-refused", detail="app:8080", unreachable=True)
BUSY = Outcome(Kind.SLOW, "http-503")


class LongestWait(Random):
    """No luck with the jitter."""

    def random(self) -> float:
        return 1.0


# ── the plain way ───────────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time
async def test_everything_is_sent_once_and_settled() -> None:
    async with rig() as r:
        for klass in (BULK, NORMAL, HIGH, CRITICAL):
            r.source.add(klass, 5)
        r.delivery.wake()
        await r.settle()
        assert Counter(r.sink.names()) == Counter(b.name for b in r.source.put)
        assert r.sink.most_at_once == 4
        assert r.now() == pytest.approx(0.05, abs=0.002)  # 20 batches, 4 at once, 10 ms each
        stats = r.delivery.stats()
        assert [(s.sends, s.acks) for s in stats.classes] == [(5, 5)] * 4
        assert stats.retries == {}


@in_virtual_time
async def test_what_arrives_while_idle_is_sent_at_once() -> None:
    async with rig() as r:
        for n in range(5):
            await asyncio.sleep(1.0)
            r.source.add(HIGH)
            r.delivery.wake()
            await asyncio.sleep(0.005)
            assert len(r.sink.sent) == n + 1
            assert r.sink.sent[-1][0] == pytest.approx(r.now() - 0.005)


@in_virtual_time
async def test_idle_sets_no_timer() -> None:
    """The virtual loop refuses to wait without a timer: so this test's own is the only one."""
    async with rig() as r:
        r.source.add(HIGH)
        r.delivery.wake()
        await r.settle()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(1.0)
        assert [t for t in loop._scheduled if not t.cancelled()] == []  # type: ignore[attr-defined]


@in_virtual_time
async def test_a_lingering_batch_goes_when_it_is_due() -> None:
    async with rig() as r:
        r.source.add(NORMAL, linger=0.2)
        r.source.add(BULK, linger=0.5)
        r.delivery.wake()
        await r.settle()
        assert [t for t, _ in r.sink.sent] == pytest.approx([0.2, 0.5], abs=0.002)


@in_virtual_time
async def test_critical_goes_first() -> None:
    async with rig(concurrency=1) as r:
        r.source.add(BULK, 3)
        r.source.add(CRITICAL, 2)
        r.delivery.wake()
        await asyncio.sleep(0.025)
        r.source.add(CRITICAL, 1)  # no wake: the free slot finds it
        await r.settle()
        assert [name[0] for name in r.sink.names()] == ["c", "c", "b", "c", "b", "b"]


# ── failures ────────────────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time
async def test_a_failed_batch_comes_again_unchanged_and_later() -> None:
    script = {1: BAD, 2: BAD, 3: BAD}
    async with rig(ScriptedSink(lambda batch, now: script.get(batch.attempts, ACKNOWLEDGED))) as r:
        r.source.add(NORMAL)
        r.delivery.wake()
        await r.settle()
        assert len(r.sink.sent) == 4
        assert r.source.put[0].attempts == 4
        gaps = [b - a - 0.01 for (a, _), (b, _) in pairwise(r.sink.sent)]
        assert all(0 <= gap <= 0.102 * 2**n for n, gap in enumerate(gaps))
        assert r.delivery.stats().retries == {"http-400": 3}


@in_virtual_time
async def test_due_retries_have_their_place_in_the_order() -> None:
    """Due critical retry, critical from the ring, due retries of the others (oldest due first), the rest."""

    def script(batch: FakeBatch, now: float) -> tuple[float, Outcome]:
        if batch is blocker:
            return 1.0, ACKNOWLEDGED
        return 0.01, BAD if batch in first and batch.attempts == 1 else ACKNOWLEDGED

    async with rig(ScriptedSink(script), concurrency=1, rng=LongestWait()) as r:
        first = [*r.source.add(CRITICAL), *r.source.add(BULK, 2), *r.source.add(NORMAL)]
        [blocker] = r.source.add(BULK)
        r.delivery.wake()
        await asyncio.sleep(0.5)  # each has failed and is due again; the blocker has the only slot
        r.source.add(CRITICAL)
        r.source.add(HIGH)
        assert r.sink.names() == ["c0", "n3", "b1", "b2", "b4"]
        await r.settle()
        assert r.sink.names()[5:] == ["c0", "c5", "n3", "b1", "b2", "h6"]


@in_virtual_time
async def test_others_trickle_beside_critical_without_end() -> None:
    def script(batch: FakeBatch, now: float) -> Outcome:
        return BAD if batch.klass == BULK and batch.attempts == 1 else ACKNOWLEDGED

    async with rig(ScriptedSink(script), concurrency=1) as r:
        [bulk] = r.source.add(BULK)
        r.delivery.wake()
        await asyncio.sleep(0.005)
        r.source.add(CRITICAL, 200)
        await r.settle(201, within=20)
        due = 0.11 + 0.002  # at the latest
        at = next(t for t, b in r.sink.sent if b is bulk and b.attempts == 2 and t > 0.005)
        assert at <= due + 20 * 0.01


@pytest.mark.parametrize("concurrency", [1, 2, 4, 8])
@pytest.mark.parametrize("outcome", [BAD, BROKEN, BUSY], ids=["always 400", "always 500", "always 503"])
@pytest.mark.parametrize("klass", [CRITICAL, BULK], ids=["critical", "bulk"])
def test_a_poisonous_batch_does_not_stop_the_others(concurrency: int, outcome: Outcome, klass: int) -> None:
    @in_virtual_time
    async def test() -> None:
        poison: list[FakeBatch] = []
        sink = ScriptedSink(lambda batch, now: outcome if batch in poison else ACKNOWLEDGED)
        async with rig(sink, concurrency=concurrency) as r:
            poison += r.source.add(klass)
            for _ in range(20):
                for other in (BULK, NORMAL, HIGH, CRITICAL):
                    r.source.add(other)
                r.delivery.wake()
                await asyncio.sleep(0.5)
            await r.settle(80, within=60)
            assert poison[0] not in r.source.settled
            poison.clear()
            await r.settle(within=60)

    test()


@in_virtual_time
async def test_a_few_poisonous_batches_leave_room_for_the_rest() -> None:
    """More of them than slots."""
    sink = ScriptedSink(lambda batch, now: BROKEN if b"poison" in batch.body else ACKNOWLEDGED)
    async with rig(sink, concurrency=2) as r:
        for batch in r.source.add(NORMAL, 6):
            batch.body = b"poison" + batch.body
        r.source.add(NORMAL, 30)
        r.delivery.wake()
        await r.settle(30, within=120)
        assert len(r.source.settled) == 30


@pytest.mark.parametrize("fault", [REFUSED, BROKEN], ids=["refused", "500"])
@pytest.mark.parametrize("seed", range(3))
def test_the_target_is_down_for_five_seconds(fault: Outcome, seed: int) -> None:
    @in_virtual_time
    async def test() -> None:
        sink = ScriptedSink(lambda batch, now: fault if 1.0 <= now < 6.0 else ACKNOWLEDGED)
        async with rig(sink, concurrency=8, inflight_bytes=4000, rng=Random(seed)) as r:

            async def feed() -> None:
                for n in range(700):
                    r.source.add(CRITICAL if n % 10 == 0 else BULK)
                    r.delivery.wake()
                    await asyncio.sleep(0.01)

            feeding = asyncio.create_task(feed())
            await asyncio.sleep(1.5)
            taken, sent = len(r.source.taken), len(sink.sent)
            assert r.delivery.stats().target is TargetState.DOWN
            await asyncio.sleep(4.4)
            stats = r.delivery.stats()
            assert {s.holding for s in stats.classes} == {"target-down"}
            # Held where it is: a refusing target takes nothing more from the rings, one that answers a batch a round.
            assert len(r.source.taken) - taken <= (0 if fault.unreachable else 3)
            assert len(sink.sent) - sent <= 12
            back = r.now()
            await feeding
            await r.settle(within=10)
            assert r.now() - back < 7.5
            recovered = next(t for t, e in [(t, e) for t, _, e, _ in r.log.lines] if e == "target open")
            assert 6.0 <= recovered <= 11.1
            assert sink.most_at_once <= 8
            # What failed comes at once when the target is back, however long its own backoff had become.
            last = max(t for t, b in sink.sent if b.attempts > 1)
            assert last <= recovered + 0.3
            assert len([e for _, _, e, _ in r.log.lines if e.startswith("target ")]) == 2

    test()


@in_virtual_time
async def test_what_was_held_goes_out_as_soon_as_the_target_is_back() -> None:
    """However long its own backoff has become meanwhile."""
    sink = ScriptedSink(lambda batch, now: BROKEN if now < 300 else ACKNOWLEDGED)
    async with rig(sink, concurrency=4, inflight_bytes=1000, rng=LongestWait()) as r:
        r.source.add(BULK, 10)
        r.delivery.wake()
        await r.settle()
        assert max(b.attempts for b in r.source.put) > 8  # 25 s and more
        first = next(t for t, b in sink.sent if t >= 300)
        assert r.now() - first < 0.1


@in_virtual_time
async def test_critical_is_the_first_probe_of_every_outage() -> None:
    healthy = [(1.0, 2.0)]

    def script(batch: FakeBatch, now: float) -> Outcome:
        if not any(start <= now < end for start, end in healthy):
            return BROKEN
        return BAD if batch.klass == CRITICAL else ACKNOWLEDGED

    async with rig(ScriptedSink(script), concurrency=1, rng=LongestWait()) as r:
        r.source.add(CRITICAL)
        r.source.add(BULK)
        r.delivery.wake()
        await asyncio.sleep(1.99)
        assert [b.name for b in r.source.settled] == ["b1"]
        assert r.delivery.stats().target is TargetState.OPEN
        await asyncio.sleep(0.02)
        r.source.add(BULK)
        r.delivery.wake()
        await asyncio.sleep(1.0)
        assert [b.name for t, b in r.sink.sent if t > 2.0][:2] == ["b2", "c0"]
        healthy.append((3.5, 1e9))
        await r.settle(2)


@in_virtual_time
async def test_critical_is_the_probe_even_if_it_came_later() -> None:
    sink = ScriptedSink(lambda batch, now: REFUSED if now < 10 else ACKNOWLEDGED)
    async with rig(sink, concurrency=2) as r:
        r.source.add(BULK, 2)
        r.delivery.wake()
        await asyncio.sleep(3.0)
        [critical] = r.source.add(CRITICAL)
        r.source.add(CRITICAL, 5)
        r.delivery.wake()
        await asyncio.sleep(6.0)
        assert {b for t, b in sink.sent if t > 3.0} == {critical}
        assert len(r.source.taken) == 3  # and no other critical left its ring
        await r.settle(6 + 2)


@in_virtual_time
async def test_slow_is_waited_out_and_nothing_is_sent_meanwhile() -> None:
    asked = Outcome(Kind.SLOW, "http-429", retry_after=5.0)
    sink = ScriptedSink(lambda batch, now: asked if now < 1.0 else ACKNOWLEDGED)
    async with rig(sink, concurrency=4) as r:
        r.source.add(CRITICAL, 2)
        r.source.add(BULK, 40)
        r.delivery.wake()
        await r.settle(within=20)
        times = [t for t, _ in sink.sent]
        assert len([t for t in times if t < 5.0]) == 4
        assert [t for t in times if 0.001 < t < 5.01] == []
        after = [b.klass for t, b in sink.sent if t > 5.0]
        assert after[:2] == [CRITICAL, CRITICAL]
        assert max(sum(t0 == t for t0 in times) for t in times if t > 5.0) >= 2
        # Half the slots at first.
        assert sum(1 for t in times if 5.0 < t < 5.015) == 2


# ── bytes in flight ─────────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time
async def test_held_bulk_leaves_a_fifth_to_critical() -> None:
    sink = ScriptedSink(lambda batch, now: BAD if batch.klass == BULK and now < 100 else ACKNOWLEDGED)
    async with rig(sink, inflight_bytes=10_000) as r:
        r.source.add(BULK, 40, size=1000)
        r.delivery.wake()
        await asyncio.sleep(20.0)
        stats = r.delivery.stats()
        assert (stats.classes[BULK].bytes, stats.classes[BULK].batches) == (8000, 8)
        assert stats.classes[BULK].holding == "inflight-bytes"
        assert stats.classes[CRITICAL].holding is None
        for _ in range(5):
            r.source.add(CRITICAL, 1, size=2000)
            r.delivery.wake()
            await asyncio.sleep(0.05)
        assert len(r.source.settled) == 5
        await r.settle()


@in_virtual_time
async def test_a_batch_larger_than_the_allowance_goes_alone_for_its_class() -> None:
    sink = ScriptedSink(seconds=0.1)
    async with rig(sink, inflight_bytes=1000) as r:
        r.source.add(BULK, 2, size=300)
        [huge, also_huge] = r.source.add(BULK, 2, size=5000)
        r.source.add(BULK, 1, size=100)
        r.delivery.wake()

        def alone() -> None:
            if huge in sink.sending or also_huge in sink.sending:
                assert [b.klass for b in sink.sending].count(BULK) == 1

        sink.check = alone
        await asyncio.sleep(0.15)
        assert sink.sending == [huge]
        r.source.add(CRITICAL, 1, size=150)
        r.delivery.wake()
        await asyncio.sleep(0.01)
        assert len(sink.sending) == 2  # critical does not wait for it
        await r.settle(within=5)


# ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time
async def test_drain_ends_lingering_and_delivers_all() -> None:
    async with rig() as r:
        r.source.add(BULK, 10, linger=3600)
        r.source.add(CRITICAL, 2)
        assert await r.delivery.drain(5.0) is True
        assert r.now() < 0.1
        assert len(r.source.settled) == 12
        await r.running


@in_virtual_time
async def test_drain_waits_for_a_target_that_comes_back() -> None:
    sink = ScriptedSink(lambda batch, now: REFUSED if now < 8 else ACKNOWLEDGED)
    async with rig(sink) as r:
        r.source.add(BULK, 10)
        r.delivery.wake()
        await asyncio.sleep(1.0)
        assert await r.delivery.drain(20.0) is True
        assert len(r.source.settled) == 10


@in_virtual_time
async def test_drain_brings_retries_forward_but_not_before_the_target_asked() -> None:
    """A backoff may be longer than the drain; what the target asked for may be as well, and is kept."""
    asking = Outcome(Kind.RETRY, "http-425", retry_after=15.0)
    well = False

    def script(batch: FakeBatch, now: float) -> Outcome:
        if well:
            return ACKNOWLEDGED
        return asking if batch.klass == HIGH else BAD

    sink = ScriptedSink(script)
    async with rig(sink, rng=LongestWait()) as r:
        (backing,) = r.source.add(BULK)
        r.delivery.wake()
        await asyncio.sleep(60)  # ten tries; the eleventh would be due at 81 s
        assert backing.attempts == 10
        (asked,) = r.source.add(HIGH)
        r.delivery.wake()
        await asyncio.sleep(0.1)
        assert asked.attempts == 1
        well, began = True, r.now()
        assert await r.delivery.drain(20.0) is True
        times = {batch: when for when, batch in sink.sent}
        assert times[backing] == pytest.approx(began, abs=0.05)
        assert times[asked] == pytest.approx(began + 15.0, abs=0.2)


@in_virtual_time
async def test_drain_gives_up_at_its_deadline() -> None:
    def script(batch: FakeBatch, now: float) -> Outcome | tuple[float, Outcome]:
        return {CRITICAL: (0.01, ACKNOWLEDGED), HIGH: (3600.0, ACKNOWLEDGED)}.get(batch.klass, (0.01, BAD))

    sink = ScriptedSink(script)
    async with rig(sink, concurrency=3, inflight_bytes=1000) as r:
        r.source.add(CRITICAL, 2)
        hung = r.source.add(HIGH, 2)
        refused = r.source.add(NORMAL, 20)
        r.delivery.wake()
        assert await r.delivery.drain(5.0) is False
        assert r.now() == pytest.approx(5.0, abs=0.01)
        assert set(sink.cancelled) == set(hung)
        assert set(r.source.discarded) == {*hung, *(b for b in refused if b in r.source.taken)}
        assert r.source.buffered == 20 - len(r.source.discarded) + 2  # the rest stays in its ring
        await r.running
        r.source.add(CRITICAL)
        r.delivery.wake()
        await asyncio.sleep(1)
        assert r.source.buffered == 20 - len(r.source.discarded) + 2 + 1  # nothing is taken any more


@in_virtual_time
async def test_drain_of_nothing_and_drain_twice() -> None:
    async with rig() as r:
        await asyncio.sleep(0)
        assert await r.delivery.drain(0.0) is True
        assert await r.delivery.drain(0.0) is True


@pytest.mark.parametrize("how", ["run", "drain", "close"])
def test_a_sudden_end_discards_once(how: str) -> None:
    @in_virtual_time
    async def test() -> None:
        async with rig(ScriptedSink(seconds=3600)) as r:
            batches = r.source.add(BULK, 10)
            r.delivery.wake()
            await asyncio.sleep(1.0)
            if how == "run":
                r.running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await r.running
                r.running = asyncio.create_task(asyncio.sleep(0))
            elif how == "drain":
                draining = asyncio.create_task(r.delivery.drain(60))
                await asyncio.sleep(1.0)
                draining.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await draining
            else:
                await r.delivery.close()
            assert r.source.discarded == batches[:4]
            assert set(r.sink.cancelled) == set(batches[:4])

    test()


@in_virtual_time
async def test_a_sink_that_is_finished_ends_run() -> None:
    class Broken(ScriptedSink):
        async def send(self, batch: object, /) -> Outcome:
            raise SinkError("gone", code="stdout-closed")

    async with rig(Broken()) as r:
        [batch] = r.source.add(HIGH)
        r.delivery.wake()
        with pytest.raises(SinkError, match="gone"):
            await r.running
        assert r.source.discarded == [batch]
        r.running = asyncio.create_task(asyncio.sleep(0))


@in_virtual_time
async def test_a_faulty_sink_loses_nothing() -> None:
    class Faulty(ScriptedSink):
        async def send(self, batch: FakeBatch, /) -> Outcome:  # type: ignore[override]
            if batch.attempts < 3:
                raise ZeroDivisionError
            return await super().send(batch)

    sink = Faulty()
    async with rig(sink) as r:
        [batch] = r.source.add(HIGH)
        sink.before[batch] = 2
        r.delivery.wake()
        await r.settle()
        assert r.delivery.stats().retries == {"sink-fault": 2}


# ── the log ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time
async def test_the_log_has_a_line_per_change_and_a_reminder() -> None:
    sink = ScriptedSink(lambda batch, now: REFUSED if now < 100 else ACKNOWLEDGED)
    async with rig(sink) as r:
        r.source.add(BULK, 100)
        r.delivery.wake()
        await r.settle()
        await asyncio.sleep(100)
    lines = [(level, event) for _, level, event, _ in r.log.lines]
    assert lines == [("warning", "target down")] + [("warning", "target still down")] * 3 + [("info", "target open")]
    fields = dict(r.log.lines[0][3])
    assert "Start the app" in fields.pop("hint")
    assert fields == {"target": "scripted", "reason": "connect-refused", "detail": "app:8080"}
    assert [fields.get("seconds") for *_, fields in r.log.lines[1:4]] == [30.0, 60.0, 90.0]


@in_virtual_time
async def test_a_flapping_target_does_not_flood_the_log() -> None:
    rng = Random(3)
    sink = ScriptedSink(lambda batch, now: rng.choice([REFUSED, ACKNOWLEDGED, BUSY, BAD]))
    async with rig(sink) as r:
        r.source.add(BULK, 20_000)
        r.delivery.wake()
        await asyncio.sleep(60)
        changes = sum(fields.get("changes", 1) for *_, event, fields in r.log.lines if event.startswith("target"))
    assert len(r.log.lines) <= 5 + 60 + 3  # and three about refused batches
    assert changes > 2 * len(r.log.lines), "the script does not flap: this shows nothing"


@in_virtual_time
async def test_refused_batches_are_told_now_and_then() -> None:
    async with rig(ScriptedSink(lambda batch, now: BAD)) as r:
        r.source.add(BULK, 20)
        r.delivery.wake()
        await asyncio.sleep(100)
    told = [fields["reasons"] for *_, event, fields in r.log.lines if event == "batches refused"]
    assert len(r.log.lines) == len(told) == 4
    assert told[0] == {"http-400": 1}
    assert told[1]["http-400"] > 10


# ── sinks that answer at once ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_blackhole_swallows_all_and_the_loop_lives() -> None:
    """A clock that counts its calls makes 2 ms out of about 20 batches: the loop must get its turn that often."""
    ticks = 0

    def clock() -> float:
        nonlocal ticks
        ticks += 1
        return ticks * 0.0001

    source = FakeDispatcher(lambda: 0.0)
    for klass in (BULK, NORMAL, HIGH, CRITICAL):
        source.add(klass, 250)
    turns: list[int] = []

    def turn() -> None:
        turns.append(len(source.settled))
        if len(source.settled) < 1000:
            asyncio.get_running_loop().call_soon(turn)

    delivery = Delivery(source, BlackholeSink(), concurrency=4, inflight_bytes=1, log=MemoryLog(clock), clock=clock)
    running = asyncio.create_task(delivery.run())
    asyncio.get_running_loop().call_soon(turn)
    await asyncio.sleep(0)
    assert await delivery.drain(10) is True
    await running
    assert source.settled == source.put[750:] + source.put[500:750] + source.put[250:500] + source.put[:250]
    assert {b.attempts for b in source.put} == {1}
    assert max(b - a for a, b in pairwise(turns)) <= 25
    assert [(s.sends, s.acks) for s in delivery.stats().classes] == [(250, 250)] * 4


@in_virtual_time
async def test_a_sink_that_never_waits_does_not_keep_the_loop() -> None:
    class Hasty(ScriptedSink):
        async def send(self, batch: FakeBatch, /) -> Outcome:  # type: ignore[override]
            return ACKNOWLEDGED

    async with rig(Hasty(), concurrency=2) as r:
        r.source.add(BULK, 1000)
        turns: list[int] = []

        async def turn() -> None:
            while len(r.source.settled) < 1000:
                turns.append(len(r.source.settled))
                await asyncio.sleep(0)

        r.delivery.wake()
        await turn()
        assert max(b - a for a, b in pairwise(turns)) <= 64


@in_virtual_time
async def test_an_instant_sink_may_fail_and_may_have_to_wait() -> None:
    class Sometimes(ScriptedSink):
        def send_nowait(self, batch: FakeBatch, /) -> Outcome | None:
            which = int(batch.name[1:]) % 3
            if which == 1:
                return None
            self.before[batch] = 1
            return REFUSED if which == 0 else ACKNOWLEDGED

    sink = Sometimes()
    async with rig(sink, concurrency=3) as r:
        for _ in range(20):  # one after the other: with trouble on hand the instant way is not taken
            r.source.add(BULK, 3)
            r.delivery.wake()
            await r.settle(within=60)
        stats = r.delivery.stats()
        assert stats.retries == {"connect-refused": len(sink.before)} == {"connect-refused": 20}
        assert (stats.classes[BULK].sends, stats.classes[BULK].acks) == (80, 60)


# ── anything at all ─────────────────────────────────────────────────────────────────────────────────────────────────


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, object]:
    return {
        "concurrency": draw(st.integers(1, 9)),
        "inflight_bytes": draw(st.sampled_from([500, 2000, 20_000])),
        "arrivals": draw(
            st.lists(
                st.tuples(
                    st.sampled_from([0.0, 0.0, 0.001, 0.3, 4.0]),  # seconds after the one before
                    st.integers(0, 3),
                    st.sampled_from([10, 100, 450, 3000]),
                    st.sampled_from([0.0, 0.0, 0.05]),  # linger
                ),
                max_size=40,
            )
        ),
        "outcomes": draw(
            st.lists(st.sampled_from([ACKNOWLEDGED, ACKNOWLEDGED, BAD, BROKEN, REFUSED, BUSY]), min_size=1, max_size=12)
        ),
        "seconds": draw(st.lists(st.sampled_from([0.0, 0.001, 0.05, 9.0]), min_size=1, max_size=7)),
        "healed": draw(st.sampled_from([0.0, 1.0, 20.0])),
        "deadline": draw(st.sampled_from([0.0, 2.0, 10_000.0])),
        "seed": draw(st.integers(0, 2**16)),
    }


@given(world=worlds())
@settings(max_examples=200, deadline=None)
def test_every_batch_ends_exactly_once(world: dict[str, object]) -> None:
    """The doubles assert on the way: one send of a batch at a time, an unchanged body, one end. Here: the bounds."""
    in_virtual_time(live)(**world)  # type: ignore[arg-type]


async def live(
    concurrency: int,
    inflight_bytes: int,
    arrivals: list[tuple[float, int, int, float]],
    outcomes: list[Outcome],
    seconds: list[float],
    healed: float,
    deadline: float,
    seed: int,
) -> None:
    sends = 0

    def script(batch: FakeBatch, now: float) -> tuple[float, Outcome]:
        nonlocal sends
        sends += 1
        if now >= healed:
            return seconds[sends % len(seconds)], ACKNOWLEDGED
        return seconds[sends % len(seconds)], outcomes[sends % len(outcomes)]

    sink = ScriptedSink(script)
    async with rig(sink, concurrency=concurrency, inflight_bytes=inflight_bytes, rng=Random(seed)) as r:

        def within_bounds() -> None:
            held = [b for b in r.source.taken if b not in r.source.settled and b not in r.source.discarded]
            # Set aside: taken, not yet sent; one per class at most.
            aside = [b for b in held if b.attempts == 0]
            assert all([b.klass for b in aside].count(k) <= 1 for k in range(4))
            flying = [b for b in held if b.attempts]
            critical = [len(b.body) for b in flying if b.klass == CRITICAL]
            others = {k: [len(b.body) for b in flying if b.klass == k] for k in (HIGH, NORMAL, BULK)}
            assert len(sink.sending) <= concurrency
            # A batch beyond its allowance flies alone for its class; the rest keeps to the allowance.
            share = int(inflight_bytes * 0.8)
            usual = [size for sizes in others.values() for size in sizes if size <= share]
            assert sum(usual) <= share
            for sizes in others.values():
                assert max(sizes, default=0) <= share or len(sizes) == 1
            assert sum(critical) <= inflight_bytes or len(critical) == 1
            if not any(size > inflight_bytes - share for size in critical):
                assert sum(critical) + sum(usual) <= inflight_bytes
            stats = r.delivery.stats()
            assert sum(s.batches for s in stats.classes) == len(flying)
            assert sum(s.bytes for s in stats.classes) == sum(len(b.body) for b in flying)
            assert len(sink.sending) <= stats.sending <= concurrency

        sink.check = within_bounds
        for gap, klass, size, linger in arrivals:
            await asyncio.sleep(gap)
            r.source.add(klass, 1, size, linger)
            r.delivery.wake()
        await asyncio.sleep(0)
        settled = await r.delivery.drain(deadline)
        assert settled == (len(r.source.settled) == len(r.source.put))
        if deadline == 10_000.0:
            assert settled
        if settled:
            assert r.source.discarded == []
        assert r.source.buffered + len(r.source.taken) == len(r.source.put)
