"""Who gets a free slot.

Usually: a critical retry that is due, critical from the ring, a due retry of the others (oldest due first), and what
the dispatcher finds next; but every 20th slot is the others' while a retry of theirs is due, so that they trickle, as
they do in the dispatcher. While the target is down: the next probe.
"""

from __future__ import annotations

from typing import Protocol

from tidegate.delivery.inflight import ALL_CLASSES, CRITICAL_BIT, Held, InFlight
from tidegate.sinks.base import SinkBatch
from tidegate.sinks.pacing import Pacing, TargetState

_TRICKLE = 20


class Source(Protocol):
    """What delivery uses of `tidegate.core.Dispatcher`."""

    draining: bool

    def take(self, classes: int = ALL_CLASSES, /) -> SinkBatch | None: ...
    def due_in(self) -> float | None: ...
    def settle(self, batch: SinkBatch, /) -> None: ...
    def discard(self, batch: SinkBatch, /) -> int: ...


class Order:
    """Chooses. What it returns is in flight, out of every queue, and must be sent."""

    def __init__(self, source: Source, flight: InFlight, pacing: Pacing) -> None:
        self._source = source
        self._flight = flight
        self._pacing = pacing
        self._critical_run = 0  # slots given to critical while others' retries were due
        self._round = 1
        self._took_in_round = False

    def next(self, now: float) -> Held | None:
        """The batch for a free slot. None: no slot is free, or there is nothing to send."""
        if self._pacing.free(now) <= 0:
            return None
        if self._pacing.state is TargetState.DOWN:
            return self._probe()
        flight = self._flight
        if (held := flight.pop_due_critical(now)) is not None:
            return held
        if (other := flight.other_due(now)) is None:
            return self._take(ALL_CLASSES)
        self._critical_run += 1
        if self._critical_run < _TRICKLE and (held := self._take(CRITICAL_BIT)) is not None:
            return held
        self._critical_run = 0
        return flight.pop(other)

    def new_round(self) -> None:
        """The target went down: every held batch may be the probe again."""
        self._round += 1
        self._took_in_round = False

    def unseen(self, held: Held) -> None:
        """The target never saw this probe: it counts as not yet tried."""
        held.round = 0

    def _probe(self) -> Held | None:
        """Critical first, held before new, each batch once per round.

        A poisonous batch alone can make a target look down, so the probe goes round, and in each round one batch may
        come from the rings: else a target could stay down because of the very batches that are held. A target that
        cannot be reached at all sees no batch, ends no round, and takes nothing more.
        """
        flight = self._flight
        for critical, classes in ((True, CRITICAL_BIT), (False, ALL_CLASSES & ~CRITICAL_BIT)):
            held = flight.pop_probe(self._round, critical)
            if held is None and not self._took_in_round and (held := self._take(classes)) is not None:
                self._took_in_round = True
            if held is not None:
                held.round = self._round
                return held
        self.new_round()
        held = flight.pop_probe(self._round, critical=True) or flight.pop_probe(self._round, critical=False)
        if held is not None:
            held.round = self._round
        return held

    def _take(self, classes: int) -> Held | None:
        """From the rings, what fits into the allowance."""
        flight = self._flight
        if (held := flight.pop_ahead(classes)) is not None:
            return held
        classes &= flight.takable()
        while classes and (batch := self._source.take(classes)) is not None:
            held = Held(batch)
            if flight.fits(held):
                flight.add(held)
                return held
            flight.set_aside(held)
            classes &= ~(1 << held.klass)
        return None
