"""What carries out the ladder's orders: the gate, the producer of the parking topic, the speed of lanes that can wait.

    Orders.sheds ──► Gate.order / release, Reader.limit, Reader.park_overflow
    Orders.replay ─► Reader.replay
    LaneState.span ► Eviction
    Parking ◄─────── Producer.stats, the parking lane's position and end

Everything happens on the event loop's thread; the reader's thread sees it with its next batch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tidegate.core.gate import DROP, PARK
from tidegate.pressure.orders import ParkingState
from tidegate.pressure.parking import Parking
from tidegate.pressure.sampling import FLOORS, TypeRates, relative_error_by_key
from tidegate.pressure.shed import Rest, Shed
from tidegate.renewal import Log, Renewal
from tidegate.types import CLASSES, EventClass

if TYPE_CHECKING:
    from tidegate.core.eviction import Eviction
    from tidegate.core.gate import Gate
    from tidegate.core.parking import ParkingFailure
    from tidegate.core.producer import Producer
    from tidegate.core.reader import Reader
    from tidegate.types import LaneState

FIND_SECONDS = 4.0  # a stuck producer may have lost sight of every broker: so often they are made known to it again
STUCK_SECONDS = 2.0  # without a word from Kafka on what it was given, and lanes wait for the topic no longer
FAILING_SECONDS = 10.0  # after Kafka did not take a record nothing is ordered to be parked for so long
ERROR_SECONDS = 60.0  # over which the error of samples is predicted
_OF_THE_RECORD = frozenset({"message-too-large", "given-up"})  # reasons that say nothing of the next record


class CoreActuator:
    """The native core as the control's actuator.

    Args:
        producer: None: there is no parking topic.
        ready: whether that topic is known to be there.
        sampled: classes that may be sampled.
        eviction: out of the rings; None: what lies there is delivered, however long that takes.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        reader: Reader,
        gate: Gate,
        producer: Producer | None,
        ready: Callable[[], bool] = lambda: True,
        *,
        sampled: Sequence[EventClass],
        log: Log,
        eviction: Eviction | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._gate = gate
        self._producer, self._ready = producer, ready
        self._eviction = eviction
        self._log = log
        self._clock = clock
        self._renewal = Renewal(producer, log, clock) if producer is not None else None
        self._types = {klass: TypeRates[tuple[int, int]](FLOORS[klass], clock()) for klass in sampled}
        self._ordered: tuple[Shed, ...] = (Shed(),) * len(CLASSES)
        self._rates: dict[EventClass, float | None] = {}
        self._overflow: tuple[int, ...] = ()
        self._replay = 0.0
        self._failed_at = float("-inf")
        self._failing = False
        self._ended, self._ended_at = 0, clock()
        self._stuck = False
        self._closing = False
        self._find_at = float("-inf")
        self._failures: dict[str, int] = {}
        self._moments: dict[EventClass, tuple[float, float, float]] = {}  # class: since, records before, error
        self.samples = bool(sampled)

    # ── what is told ────────────────────────────────────────────────────────────────────────────────────────────

    def parking(self, lanes: Sequence[LaneState]) -> Parking:
        """The parking topic as it is now; `lanes` are of this look."""
        if self._producer is None or self._renewal is None:
            return Parking()
        waiting = sum(max(0, (lane.end or 0) - lane.position) for lane in lanes if lane.parking)
        stuck = self._look_stuck(self._producer)
        available = self._ready() and self._renewal.proved and not stuck
        available = available and self._clock() - self._failed_at > FAILING_SECONDS
        if available and self._failing:
            self._failing = False
            self._log.info("parking is tried again", topic=self._producer.name)
        self._producer.rest(not available)
        return Parking(available, self._producer.fill, float(waiting))

    def _look_stuck(self, producer: Producer) -> bool:
        """Whether Kafka has said nothing for some time on what it was given: a partition without a leader or with too
        few replicas, a topic that was deleted. A record is given up only after a minute, and until then a lane that
        waited for room would keep critical records waiting as well."""
        now, ended, stats = self._clock(), producer.ended, producer.stats()
        # What was given back and has no room in its ring yet fills the producer, too, but is not Kafka's to answer.
        if ended != self._ended or not stats["queued"] + stats["waiting"]:
            self._ended, self._ended_at = ended, now
        stuck = now - self._ended_at > STUCK_SECONDS
        if stuck and not self._stuck:
            self._failing = True
            self._log.warning(
                "the parking topic takes nothing; what cannot be parked is delivered, or waits",
                topic=producer.name,
                for_seconds=round(now - self._ended_at, 1),
                hint=f"Look for a partition of {producer.name} without a leader or with too few replicas in sync, or "
                "whether the topic is there at all.",
            )
        if stuck and now >= self._find_at:
            self._find_at = now + FIND_SECONDS
            producer.find_brokers()
        self._stuck = stuck
        return stuck

    # ── what is ordered ─────────────────────────────────────────────────────────────────────────────────────────

    def shed(self, sheds: Sequence[Shed]) -> None:
        """By class, as Actuator.shed."""
        for klass, shed, before in zip(CLASSES, sheds, self._ordered, strict=True):
            drops = shed.rest is Rest.DROP and shed.keep < 1.0
            if klass in self._types:
                self._plan(klass, shed.keep if drops else 1.0)
            if (shed.threshold, shed.rest) != (before.threshold, before.rest):
                if drops:
                    # Types go by their own shares; what is new among them is whole until the next plan.
                    self._gate.order(klass, 1.0, DROP)
                elif shed.rest is Rest.PARK and shed.keep < 1.0:
                    self._gate.order(klass, shed.keep, PARK)
                else:
                    self._gate.release(klass)
            if self._rates.get(klass) != shed.rate:
                self._rates[klass] = shed.rate
                self._reader.limit(klass, shed.rate)
        overflow = tuple(klass for klass, shed in zip(CLASSES, sheds, strict=True) if shed.overflow)
        if overflow != self._overflow:
            self._overflow = overflow
            self._reader.park_overflow(overflow)
        self._ordered = tuple(sheds)

    def relieve(self, lanes: Sequence[LaneState]) -> None:
        """As Actuator.relieve."""
        if self._eviction is not None and self._producer is not None and not self._closing:
            half = self._producer.ledger.span // 2
            full = any(lane.span > half and not lane.parking for lane in lanes)
            self._eviction.look(self._overflow if full else ())
            self._eviction.go_on()

    def replay(self, records_per_second: float) -> None:
        """As Actuator.replay."""
        if records_per_second != self._replay:
            self._replay = records_per_second
            self._reader.replay(records_per_second)

    def _plan(self, klass: EventClass, keep: float) -> None:
        counts = {one.slot: one.records for one in self._gate.types(klass)}
        plan = self._types[klass].update(self._clock(), counts, keep)
        if plan is not None:
            self._gate.set_rungs(plan.rungs)
            self._gate.retire(plan.gone)

    # ── what Kafka says ─────────────────────────────────────────────────────────────────────────────────────────

    def settle(self) -> None:
        """Settles what was parked, and says what was not. When the producer's descriptor is readable, and each tick."""
        if self._producer is not None and self._renewal is not None and not self._closing:
            self._say(self._producer.drain())
            if self._eviction is not None and self._eviction.under_way:
                self._eviction.go_on()
            self._renewal.look()

    def _say(self, failures: Sequence[ParkingFailure]) -> None:
        """A line for each reason for which records were not parked."""
        for failure in failures:
            self._failures[failure.code] = self._failures.get(failure.code, 0) + failure.records
            if failure.code not in _OF_THE_RECORD:
                self._failed_at, self._failing = self._clock(), True
            self._log.warning(
                "records could not be parked",
                reason=failure.reason,
                records=failure.records,
                tried_again=failure.again,
                delivered_instead=failure.returned,
                left_to_kafka=failure.discarded,
                first=f"{failure.topic}/{failure.partition} offset {failure.offset}",
                hint=failure.hint,
            )

    async def close(self, seconds: float) -> None:
        """Waits so long for what is on its way to the parking topic; the rest is Kafka's to bring again. When the
        reader stands and nothing else is delivered, for the ledger has one writer only."""
        if self._producer is not None and self._renewal is not None and not self._closing:
            self._closing = True
            await self._renewal.ended()
            self._say(await asyncio.to_thread(self._producer.close, seconds))

    def state(self) -> ParkingState:
        """Figures for metrics."""
        stats: Mapping[str, int] = self._producer.stats() if self._producer is not None else {}
        return ParkingState(
            topic=self._producer.name if self._producer is not None else None,
            failures=dict(self._failures),
            returned=stats.get("returned", 0),
            repeated=stats.get("repeated", 0),
            evicted=self._eviction.evicted if self._eviction is not None else 0,
            renewed=stats.get("renewed", 0),
            bytes=stats.get("bytes", 0),
            fill=self._producer.fill if self._producer is not None else 0.0,
            replay_rate=self._replay,
            errors={klass: self._error(klass) for klass in self._types},
        )

    def _error(self, klass: EventClass) -> float:
        """Predicted relative error of the class's count as estimated from its samples, over about a minute."""
        delivered, _, dropped = self._gate.totals()[klass]
        now, total = self._clock(), float(delivered + dropped)
        since, before, error = self._moments.get(klass, (now - ERROR_SECONDS, total, 0.0))
        if now - since >= ERROR_SECONDS:
            error = relative_error_by_key(total - before, self._gate.moments(klass)) if total > before else 0.0
            self._moments[klass] = (now, total, error)
        return error
