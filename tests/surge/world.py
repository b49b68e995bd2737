"""Plays a scenario: arrivals and reading every 10 ms, dispatch and answers by events, decisions every 100 ms."""

from __future__ import annotations

import heapq
import random
from collections import deque

from surge.brains import Brain, Look
from surge.gate import Gate
from surge.lanes import CLASSES, Log, poisson
from surge.rings import Rings
from surge.scenario import Scenario
from surge.tally import Tally
from surge.target import App, Capacity
from tidegate.core.schedule import Schedule
from tidegate.pressure.parking import Parking
from tidegate.pressure.service import ServiceCounts
from tidegate.pressure.signals import Counts

STEP = 0.01
TICK_STEPS = 10
LINE_RATE = 100.0  # reading, of the app's capacity
WALL = 1.7e9


class World:
    """One run. `tally` is what came of it."""

    def __init__(self, scenario: Scenario, brain: Brain) -> None:
        self.scenario, self.brain = scenario, brain
        self.rng = random.Random(f"{scenario.name}/{scenario.seed}")
        self.rings = Rings(int(scenario.ring_seconds * scenario.rate))
        self.logs = {index: Log(topic) for index, topic in enumerate(scenario.topics)}
        self.capacity = Capacity(scenario.steps)
        per_record = scenario.workers / scenario.rate
        self.app = App(scenario.workers, per_record, self.capacity, scenario.refusals)
        self.schedule = Schedule(quantum=scenario.batch)
        self.tally = Tally()
        self.answers: list[tuple[float, int, int, list[tuple[float, int, bool, float]], float | None]] = []
        self.retries: list[deque[list[tuple[float, int, bool, float]]]] = [deque() for _ in range(CLASSES)]
        self.requests = self.sent = 0  # in flight; ever
        self.in_flight = 0  # records, with those that wait for a retry
        self.retrying = 0
        self.closed_until = 0.0
        self.busy_by_records = 0.0
        self.busy, self.busy_at, self.closed = 0.0, 0.0, 0.0
        self.done = self.done_batches = 0
        self.gate = Gate(self.rings, self.tally, scenario.park_rate * scenario.rate)
        self.delays: list[tuple[float, int, int]] = []
        self.read = [0] * CLASSES

    # ── time ────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> Tally:
        scenario, steps = self.scenario, round(self.scenario.seconds / STEP)
        for step in range(-round(scenario.backlog_seconds / STEP), 0):
            self._arrive(step * STEP)
        for step in range(steps):
            now = step * STEP
            if scenario.later is not None and step == round(scenario.later[0] / STEP):
                for index, topic in enumerate(scenario.later[1]):
                    self.logs[index].topic = topic
            self._arrive(now)
            if step % 100 == 0:  # before this second's reads
                for log in self.logs.values():
                    log.ask_end(now)
                self.tally.unread_at[int(now)] = sum(log.end - log.position for log in self.logs.values())
            if step % TICK_STEPS == 0:
                self.brain.tick(now, self._look(now))
                self.tally.tick(now, self.brain, self.rings.used, self.gate.parked)
            self.gate.available = [on for at, on in scenario.parking if at <= now][-1]
            self._read(now)
            self.gate.replay(self.brain.replay, STEP)
            self.gate.step(STEP)
            self._dispatch(now)
            while self.answers and self.answers[0][0] <= now + STEP:
                self._answer()
        self.tally.left = sum(self.rings.used) + self.in_flight + self.gate.parked
        self.tally.unread = sum(log.end - log.position for log in self.logs.values())
        return self.tally

    def _book_busy(self, now: float) -> None:
        limit = self.scenario.slots * self.scenario.batch
        self.busy_by_records += min(1.0, self.in_flight / limit) * (now - self.busy_at)
        share = min(1.0, max(self.in_flight / limit, self.requests / self.scenario.slots))
        if now < self.closed_until and (self.retrying or any(self.rings.used)):
            share = 1.0
            self.closed += now - self.busy_at
            second = int(self.busy_at)
            self.tally.closed[second] = self.tally.closed.get(second, 0.0) + now - self.busy_at
        self.busy += share * (now - self.busy_at)
        self.busy_at = now

    # ── Kafka to rings ──────────────────────────────────────────────────────────────────────────────────────────

    def _arrive(self, now: float) -> None:
        mean = self.scenario.load(now) * self.scenario.rate * STEP
        for log in self.logs.values():
            for klass, part in enumerate(log.topic.mix):
                n = poisson(self.rng, mean * part)
                log.append(now, klass, n)
                self.tally.arrive(now, klass, n)

    def _read(self, now: float) -> None:
        room = int(LINE_RATE * self.scenario.rate * STEP)
        sheds = self.brain.sheds
        for key, log in self.logs.items():
            if key in self.brain.held:
                log.was_held = True
                continue
            most = room
            if log.topic.waits and log.groups:
                rate = sheds[int(log.groups[0][1])].rate
                if rate is not None:
                    peers = sum(1 for one in self.logs.values() if one.topic.waits and one.topic.mix == log.topic.mix)
                    log.allowance = min(log.allowance + rate / peers * STEP, rate * 0.1 + 1)
                    most = int(log.allowance)
            begun = most
            stopped = False
            while most > 0 and log.groups:
                group = log.groups[0]
                n = min(most, int(group[2]))
                klass = int(group[1])
                if log.topic.waits:
                    taken = self.gate.wait(now, klass, group[0], n)
                else:
                    taken = self.gate.admit(now, klass, group[0], n, sheds[klass])
                if taken:
                    self.read[klass] += taken
                    log.taken(group, taken)
                    most -= taken
                if taken < n:
                    stopped = True
                    break
            log.allowance = max(0.0, log.allowance - (begun - most))
            log.own_since = (log.own_since if log.own_since is not None else now) if stopped else None
            log.was_held |= stopped

    # ── rings to app ────────────────────────────────────────────────────────────────────────────────────────────

    def _dispatch(self, now: float) -> None:
        while self.requests < self.scenario.slots and now >= self.closed_until:
            ready = [k for k in range(CLASSES) if self.rings.used[k] or self.retries[k]]
            if not ready:
                return
            if self.brain.fifo:
                klass = min(ready, key=lambda k: -1.0 if self.retries[k] else self.rings.queues[k][0][3])
            else:
                klass = self.schedule.pick(ready, [max(0.0, self.rings.waited(now, k)) for k in range(CLASSES)])
            self._book_busy(now)
            if self.retries[klass]:
                batch = self.retries[klass].popleft()
                self.retrying -= sum(one[1] for one in batch)
            else:
                batch = self.rings.take(klass, self.scenario.batch)
                kept = []
                for one in batch:
                    if self.brain.drops(now, now - one[3]):
                        self.tally.drop(now, klass, one[1])
                    else:
                        kept.append(one)
                    self.delays.append((now - one[3], klass, one[1]))
                batch = kept
                self.in_flight += sum(one[1] for one in batch)
            records = sum(one[1] for one in batch)
            if not records:
                continue
            self.schedule.book(klass, records, 0 in ready and len(ready) > 1)
            done, after = self.app.send(now, records)
            self.requests += 1
            self.sent += 1
            heapq.heappush(self.answers, (done, self.sent, klass, batch, after))

    def _answer(self) -> None:
        now, _, klass, batch, after = heapq.heappop(self.answers)
        self._book_busy(now)
        self.requests -= 1
        records = sum(one[1] for one in batch)
        if after is not None:
            self.closed_until = max(self.closed_until, now + after)
            self.retries[klass].append(batch)
            self.retrying += records
        else:
            self.in_flight -= records
            self.done += records
            self.done_batches += 1
            for seconds, n, replayed, _ in batch:
                self.tally.deliver(now, klass, now - seconds, n, replayed)
        self._dispatch(now)

    # ── what can be seen ────────────────────────────────────────────────────────────────────────────────────────

    def _look(self, now: float) -> Look:
        self._book_busy(now)
        levels = self.rings.levels(now)
        lanes = {key: log.counts(key in self.brain.held, WALL) for key, log in self.logs.items()}
        look = Look(
            wall=WALL + now,
            counts=Counts(
                service=ServiceCounts(self.done, self.done_batches, self.busy),
                queued=tuple(self.rings.used),
                rings=tuple(level.share for level in levels),
                lanes=lanes,
            ),
            parking=Parking(self.gate.available, self.gate.queue, self.gate.parked),
            levels=levels,
            buffered=self.rings.buffered(),
            lanes={key: log.lane(now) for key, log in self.logs.items()},
            delays=self.delays,
            read=tuple(self.read),
            busy_by_records=self.busy_by_records,
        )
        self.delays, self.read = [], [0] * CLASSES
        return look
