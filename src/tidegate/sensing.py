"""What the tick looks at: native counters, read once, as signals.py and hold.py want them.

    Reader.lanes() ─┐ position, ends, records by class, holds          ┌─► Counts ─► Signals ─► the ladder
    Rings.usage()  ─┼─ chunks in use, records queued ──► Senses.look ──┤
    Ledger.ended() ─┤ records by disposition                           └─► Levels ─► Holds
    Delivery       ─┘ in flight, busy seconds, the target's state

*Memory* is what is accounted: chunks of the rings in use, bodies in flight, and an estimate of what librdkafka has
fetched ahead (messages in its queues, their mean size and 340 bytes each). Not RSS, which cannot steer:
docs/adr/0006-memory-is-what-is-accounted.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tidegate.pressure.hold import Lane, Levels
from tidegate.pressure.marks import Level
from tidegate.pressure.rates import Drain, Growth, weight
from tidegate.pressure.service import ServiceCounts
from tidegate.pressure.signals import Counts, LaneCounts
from tidegate.types import CLASSES, Disposition, EventClass

if TYPE_CHECKING:
    from tidegate.core.ledger import Ledger
    from tidegate.core.ring import Rings
    from tidegate.pressure.policy import Policy
    from tidegate.types import LaneState

DOWN, FLOWING, HALTED = "down", "flowing", "halted"
OWN = ("ring", "span", "parking")  # reasons of the reader itself
OWN_TAU_SECONDS = 2.0
_DELIVERED = list(Disposition).index(Disposition.DELIVERED)


class ClassFigures(Protocol):
    """What is used of delivery's figures for one class."""

    @property
    def bytes(self) -> int: ...
    @property
    def acks(self) -> int: ...


class DeliveryFigures(Protocol):
    """What is used of delivery's figures."""

    @property
    def classes(self) -> Sequence[ClassFigures]: ...
    @property
    def ahead_bytes(self) -> int: ...
    @property
    def target(self) -> str: ...
    @property
    def busy_seconds(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Look:
    """One moment.

    Attributes:
        accounted_bytes: see the module.
        quiet: nothing is held, buffered or in flight; ends of partitions are nothing.
    """

    counts: Counts
    levels: Levels
    accounted_bytes: int
    quiet: bool


def _only_ends(state: LaneState) -> bool:
    """Whether what is queued are no records: ends of partitions, which wait in the parking topic for as long as it is
    shut, because nobody takes them out."""
    return state.parking and state.end is not None and state.position >= state.end


class _LaneSense:
    """What one lane's looks have to do with each other."""

    def __init__(self) -> None:
        self._holds = Growth()
        self._own = Growth()
        self._own_share = 0.0

    def held(self, state: LaneState) -> bool:
        """Now, or at any time since the last look."""
        return self._holds.update(state.holds) > 0 or state.reason != FLOWING or state.throttled

    def own_share(self, seconds: float, state: LaneState) -> float:
        """Share of the last seconds in which the reader held it for its own safety."""
        # Of lanes that cannot wait nothing else is held for these reasons; of the others nobody asks.
        total = state.ring_seconds + state.span_seconds + state.parking_seconds
        total += state.seconds if state.reason in OWN else 0.0
        grown = self._own.update(total)
        if seconds > 0:
            self._own_share += weight(seconds, OWN_TAU_SECONDS) * (min(1.0, grown / seconds) - self._own_share)
        return self._own_share


class Senses:
    """Looks. On the event loop's thread.

    Args:
        policies: what pressure may do, by class.
        memory_bytes: what the budget's shares add up to.
    """

    def __init__(self, rings: Rings, ledger: Ledger, policies: Sequence[Policy], memory_bytes: int) -> None:
        self._rings = rings
        self._ledger = ledger
        self._policies = policies
        self._memory_bytes = memory_bytes
        self._ring_drains = [Drain() for _ in CLASSES]
        self._chunk_drain, self._record_drain = Drain(), Drain()
        self._lanes: list[_LaneSense] = []
        self._at: float | None = None

    def look(self, now: float, states: Sequence[LaneState], figures: DeliveryFigures) -> Look:
        """What is there at `now`, monotonic seconds."""
        seconds, self._at = 0.0 if self._at is None else now - self._at, now
        usage = [self._rings.usage(klass) for klass in CLASSES]
        used, released = sum(one[0] for one in usage), sum(one[2] for one in usage)
        in_flight = sum(one.bytes for one in figures.classes) + figures.ahead_bytes
        accounted = used * self._rings.chunk_bytes + in_flight + sum(state.queued_bytes for state in states)
        queued = tuple(self._rings.buffered(klass)[0] for klass in CLASSES)
        busy = in_flight or figures.target == DOWN or any(queued)
        busy = busy or any(state.reason != FLOWING or (state.queued and not _only_ends(state)) for state in states)
        chunk_drain = self._chunk_drain.update(now, released)
        rings = [
            Level(taken, taken + room, drain.update(now, back))
            for (taken, room, back, _), drain in zip(usage, self._ring_drains, strict=True)
        ]
        memory = Level(accounted, self._memory_bytes, chunk_drain * self._rings.chunk_bytes)
        while len(self._lanes) < len(states):
            self._lanes.append(_LaneSense())
        levels = Levels(
            rings=rings,
            buffered=Level(used, self._rings.chunks, chunk_drain),
            memory=memory,
            # All records together: no partition is settled faster than that.
            span=Level(0, self._ledger.span, self._record_drain.update(now, sum(one[3] for one in usage))),
            app_down=figures.target == DOWN,
            lanes={
                number: self._lane(state, sense.own_share(seconds, state))
                for number, (state, sense) in enumerate(zip(states, self._lanes, strict=True))
            },
        )
        delivered = tuple(row[_DELIVERED] for row in self._ledger.ended())
        counts = Counts(
            ServiceCounts(sum(delivered), sum(one.acks for one in figures.classes), figures.busy_seconds),
            queued,
            tuple(level.share for level in rings),
            {
                number: self._counts(state, sense.held(state))
                for number, (state, sense) in enumerate(zip(states, self._lanes, strict=True))
                if not state.parking  # what comes back is no demand
            },
            memory.share,
            delivered,
        )
        return Look(counts, levels, accounted, not busy)

    def _lane(self, state: LaneState, own_share: float) -> Lane:
        return Lane(
            klass=EventClass.BULK if state.parking else state.lane_klass,
            span=state.span,
            own_seconds=state.seconds if state.own else None,
            queued_bytes=state.queued_bytes,
            halted=state.reason == HALTED,
            own_share=own_share,
            kept=self._kept(state),
        )

    def _kept(self, state: LaneState) -> bool:
        return state.lane_klass >= EventClass.NORMAL and not self._policies[state.lane_klass].defer

    def _counts(self, state: LaneState, held: bool) -> LaneCounts:
        return LaneCounts(
            polled=state.polled,
            position=state.position,
            end=state.end,
            end_at=state.ends_at,
            assignment=state.assignment,
            head_seconds=state.head_seconds,
            held=held,
            waits=state.lane_klass >= EventClass.NORMAL and not self._kept(state),
            span=state.span / self._ledger.span,
        )
