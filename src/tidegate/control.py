"""The tick: ten times a second, twice where nothing is there; native counters → decisions → orders to the reader.

    rings, ledger, delivery, lanes ──► Signals ──► Holds ──► Reader.order(lane, reason, pause)

Nothing depends on it for correctness. A ring that is full, and a partition with too many unsettled offsets, stop their
lane in the reader's own thread at once; a tick that is late or fails costs comfort (room that is kept free for others,
prefetched bytes that are given back), never a record. What was ordered stands until the next order.

Memory, of which 85 % make a pause possible, is what is *accounted*: chunks of the rings in use, bodies in flight, and
an estimate of what librdkafka has fetched ahead (messages in its queues, their mean size and 340 bytes each). Not RSS,
which cannot steer: docs/adr/0006-memory-is-what-is-accounted.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tidegate.pressure.hold import TICK_SECONDS, Act, Decision, Holds, Lane, Signals
from tidegate.pressure.marks import Level
from tidegate.pressure.rates import Drain
from tidegate.types import CLASSES

if TYPE_CHECKING:
    from tidegate.core.ledger import Ledger
    from tidegate.core.reader import Reader
    from tidegate.core.ring import Rings
    from tidegate.types import LaneState

SHARE_OF_LOOP = 0.05  # with thousands of lanes a tick takes longer: it then comes less often
QUIET_SECONDS = 0.5  # between two looks while nothing is held, buffered or in flight: an idle process costs nothing
DOWN, FLOWING = "down", "flowing"


class ClassFigures(Protocol):
    """What is used of delivery's figures for one class."""

    @property
    def bytes(self) -> int: ...


class DeliveryFigures(Protocol):
    """What is used of delivery's figures."""

    @property
    def classes(self) -> Sequence[ClassFigures]: ...
    @property
    def ahead_bytes(self) -> int: ...
    @property
    def target(self) -> str: ...


class Log(Protocol):
    """The part of a structlog logger that is used."""

    def info(self, event: str, **fields: Any) -> Any: ...
    def exception(self, event: str, **fields: Any) -> Any: ...


class Control:
    """Holds and pauses lanes. Everything happens on the event loop's thread.

    Args:
        memory_bytes: what the budget's shares add up to.
        figures: delivery's, of now.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        reader: Reader,
        rings: Rings,
        ledger: Ledger,
        figures: Callable[[], DeliveryFigures],
        *,
        memory_bytes: int,
        log: Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._rings = rings
        self._ledger = ledger
        self._figures = figures
        self._memory_bytes = memory_bytes
        self._log = log
        self._clock = clock
        self._holds = Holds()
        self._ring_drains = [Drain() for _ in CLASSES]
        self._chunk_drain, self._record_drain = Drain(), Drain()
        self._ordered: dict[int, tuple[str | None, bool]] = {}  # lane → reason, pause: as last ordered
        self._failed = False
        self.accounted_bytes = 0
        self.interval = QUIET_SECONDS  # until the next look

    async def run(self) -> None:
        """Ticks until cancelled."""
        while True:
            began = self._clock()
            self.tick(began)
            await asyncio.sleep(max(self.interval, (self._clock() - began) / SHARE_OF_LOOP))

    def tick(self, now: float) -> None:
        """One look and its consequences. Never raises: a fault lets every lane go, and is said once."""
        try:
            lanes = self._reader.lanes()
            decisions = self._holds.decide(now, self._signals(now, lanes))
            for decision in decisions:
                self._order(decision.lane, self._holds.reason(decision.lane), self._holds.paused(decision.lane))
            for decision in decisions:
                self._say(decision, lanes)
            self._failed = False
        except Exception:
            if not self._failed:
                self._log.exception("holding lanes failed; each is read as far as its rings go")
            self._failed = True
            self._holds = Holds()
            for lane in self._ordered:
                self._order(lane, None, False)

    def _order(self, lane: int, reason: str | None, pause: bool) -> None:
        if self._ordered.get(lane, (None, False)) != (reason, pause):
            self._reader.order(lane, reason, pause)
            self._ordered[lane] = (reason, pause)

    def _signals(self, now: float, states: Sequence[LaneState]) -> Signals:
        chunk_bytes, chunks = self._rings.chunk_bytes, self._rings.chunks
        usage = [self._rings.usage(klass) for klass in CLASSES]
        used = sum(one[0] for one in usage)
        released = sum(one[2] for one in usage)
        figures = self._figures()
        in_flight = sum(one.bytes for one in figures.classes) + figures.ahead_bytes
        self.accounted_bytes = used * chunk_bytes + in_flight + sum(state.queued_bytes for state in states)
        busy = in_flight or figures.target == DOWN or any(self._rings.buffered(klass)[0] for klass in CLASSES)
        busy = busy or any(state.queued or state.reason != FLOWING for state in states)
        self.interval = TICK_SECONDS if busy else QUIET_SECONDS
        chunk_drain = self._chunk_drain.update(now, released)
        return Signals(
            rings=[
                Level(taken, taken + room, drain.update(now, back))
                for (taken, room, back, _), drain in zip(usage, self._ring_drains, strict=True)
            ],
            buffered=Level(used, chunks, chunk_drain),
            memory=Level(self.accounted_bytes, self._memory_bytes, chunk_drain * chunk_bytes),
            # All records together: no partition is settled faster than that.
            span=Level(0, self._ledger.span, self._record_drain.update(now, sum(one[3] for one in usage))),
            app_down=figures.target == DOWN,
            lanes={number: _lane(state) for number, state in enumerate(states)},
        )

    def _say(self, decision: Decision, states: Sequence[LaneState]) -> None:
        """A line for each pause, which are few; holds are in the metrics."""
        if decision.act in (Act.PAUSE, Act.RESUME):
            paused = decision.act is Act.PAUSE
            self._log.info(
                "paused a topic to give memory back; what was fetched ahead comes again"
                if paused
                else "resumed a topic",
                topic=states[decision.lane].topic,
                reason=str(decision.reason or states[decision.lane].reason),
                memory=round(decision.value, 3),
                after_seconds=round(decision.seconds, 1),
            )


def _lane(state: LaneState) -> Lane:
    return Lane(
        klass=state.lane_klass,
        span=state.span,
        own_seconds=state.seconds if state.own else None,
        queued_bytes=state.queued_bytes,
        halted=state.reason == "halted",
    )
