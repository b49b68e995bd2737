"""One process: the native parts, the mirrored reader taken apart into steps, and delivery without its tasks."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, cast

from sim.app import App, Send
from sim.checks import Checks, Slot
from sim.client import Client
from sim.handle import Handle
from sim.intake import FLOWING, Intake, Lane
from sim.kafka import ViolationError
from sim.producer import Producer, Topic
from sim.steps import Steps
from tidegate.core.dispatcher import Dispatcher
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.ring import Rings
from tidegate.sinks.base import Kind, Outcome
from tidegate.types import CLASS_LABELS

READING, STANDING, CLOSING, ENDED = range(4)
SWEEP_SECONDS, DRAIN_SECONDS, CLOSE_SECONDS = 0.2, 20.0, 7.0


class Member:
    def __init__(
        self,
        name: str,
        clients: list[Client],
        app: App,
        checks: Checks,
        clock: Callable[[], float],
        rng: Random,
        shape: Any,
        parking: Topic | None = None,
    ) -> None:
        self.name, self.clients, self.app, self.checks, self.clock = name, clients, app, checks, clock
        self.ledger = LedgerFace(shape.span)
        self.rings = Rings(shape.chunks * 4096, 4096)
        self.dispatcher = Dispatcher(self.rings, self.ledger, "ndjson", shape.batch, 1 << 14, 0.005)
        self.intake = Intake(self.rings, self.ledger, clock, shape.carry, shape.mutant, checks)
        self.intake.ttl = shape.ttl
        if parking is not None:
            self.intake.producer = Producer(
                parking, self.ledger, checks, clock, shape.pool, shape.mutant, self.intake.slot_now
            )
        self.handles = [Handle(client, self.intake, checks) for client in clients]
        self.delivery = Steps(self.dispatcher, shape.concurrency, shape.inflight, rng=rng, clock=clock)
        self.mutant = shape.mutant
        self.phase = READING
        self.until = self.swept = 0.0
        self.stalled = 0.0  # until then its event loop does nothing; the reader goes on
        self.given_up = 0
        self._part = 0
        self.ordered: dict[str, tuple[int, bool]] = {}  # by topic: what the control wants

    # ── the reader's thread ─────────────────────────────────────────────────────────────────────────────────────

    def reader_step(self) -> str:
        """The next part of a round (Reader._loop): each handle served, each lane read, the sweep. What it was."""
        parts = len(self.handles) + len(self.intake.lanes) + 1
        self._part = (self._part + 1) % parts
        if self._part < len(self.handles):
            if self.phase == CLOSING and self._end():
                return "ended"
            self.handles[self._part].serve()
            self._pauses()
            return ""
        if self._part < parts - 1:
            if self.phase == READING:
                self.intake.give_back()
            lane = list(self.intake.lanes.values())[self._part - len(self.handles)]
            return self._lane_step(lane) if self.phase == READING else ""
        if self.clock() - self.swept >= SWEEP_SECONDS:
            self.swept = self.clock()
            for handle in self.handles:
                handle.sweep()
        return ""

    def _lane_step(self, lane: Lane) -> str:
        """One lane's part of Reader._round: pause or resume, hold as ordered, or read."""
        if lane.order_pause != lane.paused and self.clock() >= lane.pause_after:
            next(handle for handle in self.handles if handle.client is lane.client).pause(lane, lane.order_pause)
        ordered = self.ordered.get(lane.topic, (FLOWING, False))
        done = 0
        if self.intake.released(lane):
            done = self.intake.read(lane)
        else:
            self.intake.look(lane)
        if done and ordered != (FLOWING, False):
            raise ViolationError(f"I6 hold: {self.name} reads {done} of {lane.topic}, which it was told to hold")
        return f"reads {done} of {lane.topic}" + (f", held {lane.hold}" if lane.hold else "") if done else ""

    def order(self, lane: Lane, reason: int, pause: bool) -> None:
        """What the control does (Reader.order), remembered apart from the lane."""
        lane.order, lane.order_pause = reason, pause
        self.ordered[lane.topic] = reason, pause

    def round(self) -> None:
        for _ in range(len(self.handles) + len(self.intake.lanes) + 1):
            self.reader_step()

    def _end(self) -> bool:
        for lane in self.intake.lanes.values():
            lane.carry.clear()
        for handle in self.handles:
            handle.begin_close()
        if all(client.closed for client in self.clients) or self.clock() >= self.until:
            self.phase = ENDED
        return self.phase == ENDED

    # ── the event loop's thread ─────────────────────────────────────────────────────────────────────────────────

    def pump(self) -> str:
        """Fills the free slots (Delivery._pump), and goes on with the end (Sidecar._finish)."""
        if self.clock() < self.stalled:
            return ""
        self._tick()
        if self.producer is not None:
            self.producer.drain()
        begun = 0
        while (held := self.delivery.begin()) is not None:
            batch = cast(Any, held.batch)
            runs = [(self.intake.slots[n], first, count, gap) for n, first, count, gap in batch.test_runs()]
            if batch.attempts == 1:
                for slot, first, count, _ in runs:
                    for offset in range(first, first + count):
                        self.checks.taken(slot, offset)
            self.app.sends.append(Send(self, held, batch, runs, self.clock()))
            begun += 1
        if self.phase == STANDING and (self.idle or self.clock() >= self.until):
            self.app.abandon(self)
            self.given_up = self.delivery.give_up() + self.dispatcher.discard_buffered()
            if self.producer is not None:
                self.given_up += self.producer.inside
                self.producer.close()
            self.phase, self.until = CLOSING, self.clock() + CLOSE_SECONDS
        self.check()
        return f"sends {begun}" if begun else ""

    def answer(self, send: Send, outcome: Outcome) -> None:
        self._tick()
        if outcome.kind is Kind.ACK:
            for slot, first, count, gap in send.runs:
                if self.mutant == "late-ack":
                    self._late_ack(slot, first, count, gap)
                slot.unsettled.difference_update(range(first, first + count))
        self.delivery.answered(send.held, outcome)
        for slot, *_ in send.runs:
            if self.intake.slots[slot.number] is slot:
                self.checks.frontier(slot, self.ledger.test_slot(slot.number)["frontier"])
        self.check()

    def _late_ack(self, slot: Slot, first: int, count: int, gap: int) -> None:
        """Planted: the acknowledgement finds its partition, whatever assignment it was read under."""
        lane = self.intake.lanes[slot.partition.topic]
        now = lane.slots.get(slot.partition.number)
        if now is not None and now is not slot:
            self.ledger.test_acknowledge(now.number, first, count, gap)

    def shed(self, orders: dict[int, tuple[float, str]], overflow: frozenset[int], resting: bool) -> None:
        """What the control orders at the gate (CoreActuator.shed), and whether nothing is parked for now."""
        self.intake.orders, self.intake.overflow = orders, overflow
        if self.producer is not None:
            self.producer.resting = resting

    @property
    def producer(self) -> Producer | None:
        return self.intake.producer

    @property
    def reported(self) -> bool:
        """There are reports on parked records that the event loop has not seen."""
        return self.producer is not None and bool(self.producer.reports)

    @property
    def idle(self) -> bool:
        """Nothing is buffered, in flight or being parked."""
        return self.delivery.idle and (self.producer is None or self.producer.idle)

    def stop(self) -> None:
        """SIGTERM: no more reading; what is buffered is delivered."""
        self.phase, self.until = STANDING, self.clock() + DRAIN_SECONDS
        self.dispatcher.draining = True

    def _tick(self) -> None:
        self.dispatcher.test_clock(int(self.clock() * 1e9) or 1)

    # ── invariants of one process ───────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        if any(errors := self.dispatcher.conservation()):
            raise ViolationError(f"I3 conservation: {self.name} misses {errors} by class")
        if any(self.rings.room(klass) < 0 for klass in range(4)):
            raise ViolationError(f"I7 rings: {self.name} took more chunks than there are")

    def _pauses(self) -> None:
        """What librdkafka keeps paused is what its lane says, after every assignment too."""
        for lane in self.intake.lanes.values():
            wrong = [s.partition for s in lane.slots.values() if (s.partition in lane.client.paused) != lane.paused]
            if wrong:
                raise ViolationError(f"I6 pause: {self.name} has {wrong} {'flowing' if lane.paused else 'paused'}")

    def books(self) -> None:
        """The slow half of I3: the ledger's counts against those of the mirror."""
        states, totals, parking = self.dispatcher.states(), self.ledger.totals(), self.ledger.parking()
        for klass, label in enumerate(CLASS_LABELS):
            row, (buffered, _, in_flight), parked = totals[label], states[klass], parking[klass]
            ended = sum(n for name, n in row.items() if name != "polled")
            if not row["polled"] == self.intake.polled[klass] == ended + buffered + in_flight + parked:
                raise ViolationError(
                    f"I3 books: {self.name} {label} {row}, {buffered} buffered, {in_flight} in flight, {parked} parking"
                )
            counted = self.intake.counted(klass)
            if counted != (row["deferred"], row["sampled"], row["expired"]):
                raise ViolationError(f"I3 counts: {self.name} {label} {row}, but {counted} were parked and dropped")
        if self.producer is not None and sum(parking) != self.producer.inside:
            raise ViolationError(f"I3 parking: {self.name} {parking}, but {self.producer.inside} are with the producer")

    def at_rest(self) -> None:
        """With nothing buffered, nothing in flight and nothing ordered there is no reason to hold a lane."""
        held = [x.topic for x in self.intake.lanes.values() if x.hold != FLOWING or x.carry or x.paused]
        if held:
            raise ViolationError(f"I8 held: {self.name} holds {held} although everything is settled")
