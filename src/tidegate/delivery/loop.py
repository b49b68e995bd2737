"""Batches from the dispatcher to the sink: who goes next, how many at once, and what becomes of a failure.

    source.take() ──► held ──► sink.send ──ACK──► source.settle()
                        ▲          │
                        └─ backoff ┘ anything else: the same batch, unchanged, later

Nothing is dropped here. One task, `run`, decides; a task per slot carries a batch and, while there is more, the next.
`Pacing` says how many slots there are, `Limiter` how many records the target may work on and a batch may have, `Order`
who gets a free slot, `InFlight` how many bytes may be held.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from random import Random

from tidegate.delivery.busy import Busy
from tidegate.delivery.inflight import ALL_CLASSES, Held, InFlight
from tidegate.delivery.order import Order, Source
from tidegate.delivery.report import Counters, DeliveryStats, LimitLog, Log, TargetLog
from tidegate.errors import SinkError
from tidegate.pressure.limiter import Answer, Fixed, Limiter
from tidegate.sinks.base import InstantSink, Kind, Outcome, Sink
from tidegate.sinks.pacing import Pacing, TargetState, retry_delay
from tidegate.types import EventClass

SLICE_SECONDS = 0.002  # longest time without giving the loop back: signals, timers and the ops server live on it
_CARRIES_PER_YIELD = 16
_BLOCKED_RECHECK_SECONDS = 0.005
_CANCEL_WAIT_SECONDS = 1.0


class Delivery:
    """Feeds one sink from one source. Everything happens on the event loop's thread.

    The sink is started before `run` and closed after it by whoever made it.

    Args:
        concurrency: ceiling of sends at once.
        inflight_bytes: ceiling of Σ len(body) over batches being sent or waiting for a retry (see `InFlight`).
        limiter: None: as many batches as there are slots, each as large as configured. So it is for a sink that
            answers at once, whatever is given: it cannot be fed too fast.
        clock: seconds, monotonic; must advance with the loop's timers.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        *,
        concurrency: int,
        inflight_bytes: int,
        log: Log,
        limiter: Limiter | None = None,
        rng: Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._sink = sink
        self._instant = sink if isinstance(sink, InstantSink) else None
        self._rng = rng or Random()
        self._clock = clock
        adapts = limiter is not None and self._instant is None
        self._limiter = limiter if limiter is not None and adapts else Fixed(source.batch_records)
        self._pacing = Pacing(concurrency, self._rng, clock(), yields=not adapts)
        self._flight = InFlight(inflight_bytes)
        self._order = Order(source, self._flight, self._pacing, self._limiter)
        self._busy = Busy(source, self._flight, self._pacing, self._limiter, self._order, clock())
        self._log = TargetLog(log, self._pacing, clock, sink.name)
        self._limit_log = LimitLog(log, source.batch_records, clock)
        self._counters = Counters()
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiter: asyncio.Future[None] | None = None
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.Future[None] | None = None
        self._fault: Exception | None = None
        self._closed = False
        self._gave_up = False  # something was discarded

    # ── the task ────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Delivers until `drain` or `close`. Raises SinkError when the sink is finished for good."""
        try:
            while not self._closed:
                more = self._pump()
                if self._fault is not None:
                    raise self._fault
                if more:
                    await asyncio.sleep(0)
                    continue
                if self._idle is not None and self._is_idle() and not self._idle.done():
                    self._idle.set_result(None)
                await self._rest()
        finally:
            await self.close()

    def wake(self) -> None:
        """There may be something to do: records arrived. Cheap, from the loop's thread, at any time."""
        self._woken = True
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def drain(self, deadline_seconds: float) -> bool:
        """Ends lingering, delivers what is buffered and in flight, then stops. For when nothing more is read.

        What waits for a retry is tried at once, unless the target asked for a later time.

        True: everything is settled. False: the deadline passed; sends were cancelled, what was in flight discarded
        (its offsets are not acknowledged), and what was still in the rings is left there.
        """
        self._source.draining = True
        self._flight.hasten(self._clock())
        try:
            if not self._closed and not self._is_idle():
                self._idle = asyncio.get_running_loop().create_future()
                self.wake()
                async with asyncio.timeout(deadline_seconds):
                    await self._idle
        except TimeoutError:
            pass
        finally:
            await self.close()
        return not self._gave_up and self._is_idle()

    async def close(self) -> None:
        """Stops at once: cancels sends and discards what is unsettled. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._log.close()
        if self._timer is not None:
            self._timer.cancel()
        try:
            # close() may be called from run(), never from a carrier.
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=_CANCEL_WAIT_SECONDS)
        finally:
            for held in list(self._flight):
                self._gave_up = True
                self._source.discard(held.batch)
            self._flight.clear()
            if self._idle is not None and not self._idle.done():
                self._idle.set_result(None)
            self.wake()

    def stats(self) -> DeliveryStats:
        """A snapshot of the counters."""
        return self._counters.snapshot(self._flight, self._pacing, self._limiter, self._busy, self._clock())

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _pump(self) -> bool:
        """Fills the free slots. True: the time slice is over and there may be more."""
        now = self._clock()
        end = now + SLICE_SECONDS
        if self._instant is not None and self._pump_instant(self._instant, end):
            return True
        while not self._closed and (held := self._order.next(now)) is not None:
            self._begin(held)
            self._tasks.add(asyncio.create_task(self._carry(held)))
            now = self._clock()
            if now >= end:
                self._busy.changed(now, stuck=False)
                return True
        self._busy.changed(now, stuck=True)
        return False

    def _pump_instant(self, sink: InstantSink, end: float) -> bool:
        """As `_pump`, for a sink that answers at once, while nothing is wrong: no task, no bookkeeping per batch."""
        source, clock = self._source, self._clock
        acks, sends = self._counters.acks, self._counters.sends
        now = clock()
        if self._closed or len(self._flight) or self._pacing.free(now) < self._pacing.ceiling:
            return False
        self._busy.set(now, 1.0)  # until it returns; `_pump` says what then is
        while (batch := source.take(ALL_CLASSES)) is not None:
            batch.attempts += 1
            klass = batch.klass
            sends[klass] += 1
            outcome = sink.send_nowait(batch)
            if outcome is None or outcome.kind is not Kind.ACK:
                held = Held(batch)
                self._flight.add(held)
                self._allow(held)
                if outcome is None:
                    self._tasks.add(asyncio.create_task(self._carry(held)))
                else:
                    self._finish(held, outcome)
                return False
            source.settle(batch)
            acks[klass] += 1
            if (now := clock()) >= end:
                self._busy.set(now, 0.0)  # the rest of the loop has its turn, and the target waits for it
                return True
        return False

    def _begin(self, held: Held) -> None:
        held.batch.attempts += 1
        self._allow(held)
        self._counters.sends[held.klass] += 1

    def _allow(self, held: Held) -> None:
        held.began = self._clock()
        held.epoch = self._pacing.begin()
        held.generation = self._limiter.begin(held.klass == EventClass.CRITICAL, held.batch.records, held.began)

    async def _carry(self, first: Held) -> None:
        """Sends a batch, and the next ones while the slot has work: a task per batch costs more."""
        held: Held | None = first
        carried = 0
        try:
            while held is not None:
                try:
                    outcome = await self._sink.send(held.batch)
                except (asyncio.CancelledError, SinkError):
                    self._pacing.abandon(held.epoch)
                    self._limit(held, Answer.NOTHING, self._clock())
                    raise
                except Exception as error:  # a fault of the sink's own must not lose the batch
                    outcome = Outcome(Kind.DOWN, "sink-fault", detail=type(error).__name__)
                self._finish(held, outcome)
                carried += 1
                if carried % _CARRIES_PER_YIELD == 0:
                    await asyncio.sleep(0)  # a sink that never waits would keep the loop for itself
                now = self._clock()
                held = None if self._closed else self._order.next(now)
                if held is not None:
                    self._begin(held)
                self._busy.changed(now, stuck=held is None)
                if held is None or self._order.has_room(now):
                    self.wake()
        except Exception as error:
            self._fault = error
            self.wake()
        finally:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.discard(task)

    def _finish(self, held: Held, outcome: Outcome) -> None:
        now = self._clock()
        self._limit(held, _answer(outcome), now)
        verdict = self._blame(held, outcome) if outcome.kind is Kind.DOWN else outcome
        change = self._pacing.end(held.epoch, verdict, now)
        if held not in self._flight:  # discarded by close()
            return
        if outcome.kind is Kind.ACK:
            self._flight.remove(held)
            self._source.settle(held.batch)
            self._counters.acks[held.klass] += 1
        else:
            self._counters.retries[outcome.reason] += 1
            if outcome.unreachable:
                self._order.unseen(held)
            held.asked = now + (outcome.retry_after or 0.0)
            self._flight.wait(held, now + retry_delay(held.batch.attempts, outcome, self._rng))
            if verdict.kind is Kind.RETRY:
                self._log.refused(outcome.reason)
        if change is not None:
            if change.before is TargetState.DOWN:
                self._flight.forgive(now)
                self._limiter.restart(now)
            elif change.after is TargetState.DOWN:
                self._order.new_round()
            self._log.changed(change)

    def _limit(self, held: Held, answer: Answer, now: float) -> None:
        critical, seconds = held.klass == EventClass.CRITICAL, now - held.began
        if self._limiter.end(critical, held.batch.records, held.generation, seconds, now, answer):
            self._limit_log.decided(self._limiter)

    def _blame(self, held: Held, outcome: Outcome) -> Outcome:
        """Whose fault a systemic failure is: the target's, unless this batch failed, others went through, and it
        failed again. Then it is the batch's own (RETRY), and must not make a target look down that is well."""
        acks = sum(self._counters.acks)
        own = not outcome.unreachable and held.acks_at_failure is not None and held.acks_at_failure < acks
        held.acks_at_failure = acks
        held.excused = not own
        return Outcome(Kind.RETRY, outcome.reason, detail=outcome.detail) if own else outcome

    # ── resting ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _is_idle(self) -> bool:
        return not len(self._flight) and self._source.due_in() is None

    async def _rest(self) -> None:
        """Until `wake`, or the time at which something becomes due."""
        if self._woken:
            self._woken = False
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        delay = self._next_delay(self._clock())
        if delay is not None:
            # libuv's timers count milliseconds, rounded: one that fires early would find nothing due and spin.
            self._timer = loop.call_later(delay + 0.001, self.wake)
        self._waiter = loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._woken = False
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _next_delay(self, now: float) -> float | None:
        """Seconds until there may be something to send without anyone calling `wake`; None: only then."""
        pacing = self._pacing
        if now < pacing.open_at:
            return pacing.open_at - now
        if pacing.free(now) <= 0:
            return None  # the end of a send wakes
        due = self._order.next_due(now)
        delay = None if due is None else due - now
        # Critical does not linger, so what lingers is of the others; where they are limited, the end of a send wakes.
        linger = None if self._order.limited(now) else self._source.due_in()
        if linger is not None:
            if linger <= 0 and self._flight.takable() != ALL_CLASSES:
                linger = _BLOCKED_RECHECK_SECONDS  # due, but without room: it may hide another class that lingers
            delay = linger if delay is None else min(delay, linger)
        return None if delay is None else max(delay, 0.0)


def _answer(outcome: Outcome) -> Answer:
    """What an outcome says of the target's load. A timeout can be anything; it is taken for load, as TCP does."""
    if outcome.kind is Kind.ACK:
        return Answer.DONE
    return Answer.OVERLOAD if outcome.kind is Kind.SLOW or outcome.reason == "timeout" else Answer.NOTHING
