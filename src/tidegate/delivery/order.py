"""Who gets a free slot.

Usually: a critical retry that is due, critical from the ring, a due retry of the others (oldest due first), and what
the dispatcher finds next, each as far as the limiter admits it; but every 20th slot is the others' while a retry of
theirs is due, so that they trickle, as they do in the dispatcher. While the target is down: the next probe, which the
limiter is not asked about.
"""

from __future__ import annotations

from typing import Protocol

from tidegate.delivery.inflight import ALL_CLASSES, CRITICAL_BIT, Held, InFlight
from tidegate.pressure.limiter import Limiter
from tidegate.sinks.base import SinkBatch
from tidegate.sinks.pacing import Pacing, TargetState

_TRICKLE = 20
_OTHERS = ALL_CLASSES & ~CRITICAL_BIT


class Source(Protocol):
    """What delivery uses of `tidegate.core.Dispatcher`."""

    draining: bool
    batch_records: int

    def take(self, classes: int = ALL_CLASSES, /) -> SinkBatch | None: ...
    def due_in(self) -> float | None: ...
    def settle(self, batch: SinkBatch, /) -> None: ...
    def discard(self, batch: SinkBatch, /) -> int: ...


class Order:
    """Chooses. What it returns is in flight, out of every queue, and must be sent."""

    def __init__(self, source: Source, flight: InFlight, pacing: Pacing, limiter: Limiter) -> None:
        self._source = source
        self._flight = flight
        self._pacing = pacing
        self._limiter = limiter
        self._critical_run = 0  # slots given to critical while others' retries were due
        self._round = 1
        self._took_in_round = False

    def next(self, now: float) -> Held | None:
        """The batch for a free slot. None: no slot is free, or there is nothing to send."""
        if self._pacing.free(now) <= 0:
            return None
        if self._pacing.state is TargetState.DOWN:
            return self._probe()
        flight, limiter = self._flight, self._limiter
        first = flight.first_waiting(critical=True)
        if first is not None and first.due <= now and limiter.admits(True, first.batch.records):
            return flight.pop(first.klass)
        first = flight.first_waiting(critical=False)
        if first is None or first.due > now:
            return self._take(self._admitted())
        if not limiter.admits(False, first.batch.records):
            # No new batch of theirs meanwhile: it may be smaller, and others like it would keep this one for ever.
            return self._take(self._admitted() & CRITICAL_BIT)
        self._critical_run += 1
        if self._critical_run < _TRICKLE and (held := self._take(self._admitted() & CRITICAL_BIT)) is not None:
            return held
        self._critical_run = 0
        return flight.pop(first.klass)

    def has_room(self, now: float) -> bool:
        """Whether a slot is free and the limiter admits something new."""
        return self._pacing.free(now) > 0 and self._admitted() != 0

    def limited(self, now: float) -> bool:
        """Whether what is due of the others, if anything, waits for the end of a send."""
        limiter, first = self._limiter, self._flight.first_waiting(critical=False)
        records = limiter.batch_records if first is None or first.due > now else first.batch.records
        return not limiter.admits(False, records)

    def next_due(self, now: float) -> float | None:
        """When the next retry is due; None: there is none, or it waits for the end of a send."""
        critical, other = self._flight.first_waiting(critical=True), self._flight.first_waiting(critical=False)
        dues = []
        if critical is not None and (critical.due > now or self._limiter.admits(True, critical.batch.records)):
            dues.append(critical.due)
        if other is not None and (other.due > now or self._limiter.admits(False, other.batch.records)):
            dues.append(other.due)
        return min(dues, default=None)

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
        for critical, classes in ((True, CRITICAL_BIT), (False, _OTHERS)):
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

    def _admitted(self) -> int:
        """Bits of the classes of which the limiter admits a new batch."""
        limiter = self._limiter
        records = limiter.batch_records
        bits = CRITICAL_BIT if limiter.admits(True, records) else 0
        return bits | _OTHERS if limiter.admits(False, records) else bits

    def _take(self, classes: int) -> Held | None:
        """From the rings, what fits into the allowance."""
        if not classes:
            return None
        flight, records = self._flight, self._limiter.batch_records
        if self._source.batch_records != records:
            self._source.batch_records = records
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
