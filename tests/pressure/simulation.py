"""A target and its sender as discrete events: virtual time, no asyncio, the real `Pacing` and any `Limiter`.

The target has some workers and one line in front of them; a batch occupies one worker for ``fixed + per_record × n``
seconds and travels for ``network`` seconds. The sender always has bulk; critical arrives one by one at random times and
goes first. What is refused is sent again, later, as it was.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Any

from tidegate.pressure.limiter import Answer, Limiter
from tidegate.sinks.base import ACKNOWLEDGED, Kind, Outcome
from tidegate.sinks.pacing import Pacing, TargetState, retry_delay

BUSY = Outcome(Kind.SLOW, "http-503")


@dataclass
class Target:
    """All times in seconds; the functions are of the time."""

    workers: Callable[[float], int] = lambda now: 4
    per_record: Callable[[float], float] = lambda now: 0.0008
    fixed: Callable[[float], float] = lambda now: 0.001
    network: Callable[[float], float] = lambda now: 0.0005
    refuses: Callable[[float, int], bool] = lambda now, there: False  # by the batches in line or being worked on
    spread: float = 0.0  # of a batch's work: 0 is none, 1 exponential
    line: deque[Batch] = field(default_factory=deque)
    working: int = 0


@dataclass(eq=False)
class Batch:
    critical: bool
    records: int
    arrived: float
    began: float = 0.0
    epoch: int = 0
    generation: int = 0
    attempts: int = 0


class Simulation:
    """`run` it, then look at the counts.

    Attributes:
        waits: (arrival, seconds until it was acknowledged) of each critical record.
        work: (time, worker seconds, records) of each batch that was worked off.
        trace: (time, batches being sent, batch size) at each send.
    """

    def __init__(
        self, limiter: Limiter, target: Target, *, concurrency: int = 8, critical: float = 20.0, bulk: bool = True,
        yields: bool = False, seed: int = 1,
    ) -> None:  # fmt: skip
        self.now = 0.0
        self.limiter, self.target = limiter, target
        self.rng = Random(seed)
        self.pacing = Pacing(concurrency, Random(seed), 0.0, yields=yields)
        self.bulk = bulk
        self.rate = critical
        self.waiting: deque[float] = deque()
        self.retries: list[tuple[float, int, Batch]] = []
        self.waits: list[tuple[float, float]] = []
        self.work: list[tuple[float, float, int]] = []
        self.trace: list[tuple[float, int, int]] = []
        self.taken = self.settled = self.refused = 0
        self.in_hand: set[Batch] = set()
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = count()

    def at(self, time: float, what: Callable[..., None], *args: Any) -> None:
        heappush(self._events, (time, next(self._number), what, args))

    def run(self, seconds: float) -> None:
        if self.rate:
            self.at(self.rng.expovariate(self.rate), self._arrive)
        self._pump()
        while self._events and self._events[0][0] <= seconds:
            self.now, _, what, args = heappop(self._events)
            what(*args)
        self.now = seconds

    # ── sender ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _arrive(self) -> None:
        self.waiting.append(self.now)
        self.at(self.now + self.rng.expovariate(self.rate), self._arrive)
        self._pump()

    def _pump(self) -> None:
        while self.pacing.free(self.now) > 0 and (batch := self._next()) is not None:
            batch.began, batch.epoch = self.now, self.pacing.begin()
            batch.attempts += 1
            self.in_hand.add(batch)
            batch.generation = self.limiter.begin(batch.critical, batch.records, self.now)
            self.trace.append((self.now, self.pacing.sending, batch.records))
            self.at(self.now + self.target.network(self.now) / 2, self._receive, batch)
        if self.now < self.pacing.open_at:
            self.at(self.pacing.open_at + 1e-6, self._pump)

    def _next(self) -> Batch | None:
        size = self.limiter.batch_records
        if self.retries and self.retries[0][0] <= self.now:
            batch = self.retries[0][2]
            if not self.limiter.admits(batch.critical, batch.records):
                return None
            heappop(self.retries)
            return batch
        if self.waiting and self.limiter.admits(True, min(size, len(self.waiting))):
            arrived = [self.waiting.popleft() for _ in range(min(size, len(self.waiting)))]
            self.taken += len(arrived)
            return Batch(True, len(arrived), arrived[0])
        if self.bulk and self.limiter.admits(False, size):
            self.taken += size
            return Batch(False, size, self.now)
        return None

    def _answered(self, batch: Batch, outcome: Outcome) -> None:
        answer = {Kind.ACK: Answer.DONE, Kind.SLOW: Answer.OVERLOAD}.get(outcome.kind, Answer.NOTHING)
        self.in_hand.remove(batch)
        seconds = self.now - batch.began
        self.limiter.end(batch.critical, batch.records, batch.generation, seconds, self.now, answer)
        change = self.pacing.end(batch.epoch, outcome, self.now)
        if outcome.kind is Kind.ACK:
            self.settled += batch.records
            if batch.critical:
                self.waits.append((batch.arrived, self.now - batch.arrived))
        else:
            self.refused += 1
            due = self.now + retry_delay(batch.attempts, outcome, self.rng)
            heappush(self.retries, (due, next(self._number), batch))
            self.at(due + 1e-6, self._pump)
        if change is not None and change.before is TargetState.DOWN:
            self.limiter.restart(self.now)
        self._pump()

    # ── target ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _receive(self, batch: Batch) -> None:
        target = self.target
        if target.refuses(self.now, len(target.line) + target.working):
            self.at(self.now + target.network(self.now) / 2 + 0.0005, self._answered, batch, BUSY)
            return
        target.line.append(batch)
        self._work()

    def _work(self) -> None:
        target = self.target
        while target.line and target.working < target.workers(self.now):
            batch = target.line.popleft()
            target.working += 1
            took = target.fixed(self.now) + target.per_record(self.now) * batch.records
            if target.spread:
                took *= 1 - target.spread + target.spread * self.rng.expovariate(1.0)
            self.at(self.now + took, self._worked, batch, took)

    def _worked(self, batch: Batch, took: float) -> None:
        self.target.working -= 1
        self.work.append((self.now, took, batch.records))
        self.at(self.now + self.target.network(self.now) / 2, self._answered, batch, ACKNOWLEDGED)
        self._work()

    # ── what came of it ─────────────────────────────────────────────────────────────────────────────────────────

    def utilisation(self, begin: float, end: float, workers: int = 4) -> float:
        """Share of the workers' time that was work."""
        return sum(took for at, took, _ in self.work if begin <= at < end) / (workers * (end - begin))

    def rate_of(self, begin: float, end: float) -> float:
        """Records worked off per second."""
        return sum(records for at, _, records in self.work if begin <= at < end) / (end - begin)

    def p99_ms(self, begin: float = 0.0, end: float = float("inf")) -> float:
        """Of the waits of critical records that arrived then."""
        found = [wait for at, wait in self.waits if begin <= at < end]
        return sorted(found)[int(len(found) * 0.99)] * 1000 if found else 0.0

    def sending(self, begin: float, end: float) -> float:
        """Mean batches being sent."""
        return statistics.fmean([n for at, n, _ in self.trace if begin <= at < end] or [0])
