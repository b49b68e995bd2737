"""The parking topic as the decisions see it: whether it can take more, and how fast it may be emptied."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.pressure.rates import weight
from tidegate.pressure.signals import View

QUEUE_ENGAGE = 0.5  # of the producer's queue
QUEUE_RELEASE = 0.25
RELEASE = 0.8  # of the longest time to empty
HEADROOM = 0.2
BASE_TAU_SECONDS = 60.0
RISE_TAU_SECONDS = 1.0
FIRST_RATE = 100.0  # records/s


@dataclass(frozen=True, slots=True)
class Parking:
    """Attributes:
    available: there is a topic, and it takes records.
    queue: how full the producer's queue is, 0 to 1.
    records: parked and not replayed yet.
    """

    available: bool = False
    queue: float = 0.0
    records: float = 0.0


class Emptying:
    """How long the parked records will take, and how fast they may come back.

    Args:
        headroom: share of the capacity that replaying leaves free.
        longest_seconds: parking more than can be replayed in that time is refused.
    """

    def __init__(self, headroom: float = HEADROOM, longest_seconds: float = 3600.0) -> None:
        self._free = 1.0 - headroom
        self._longest = longest_seconds
        self._base: float | None = None
        self._rate = 0.0
        self.seconds = 0.0

    def update(self, seconds: float, view: View, parking: Parking, calm: bool) -> float:
        """Records/s that may be replayed now, `seconds` after the last look; 0 unless it is calm."""
        offered = sum(view.offered(klass) for klass in range(view.classes))
        capacity = view.capacity if view.capacity is not None else view.service or 0.0
        if calm:
            base = offered if self._base is None else self._base
            self._base = base + weight(seconds, BASE_TAU_SECONDS) * (offered - base)
        spare = self._free * capacity - (self._base or 0.0)
        self.seconds = 0.0 if parking.records <= 0 else parking.records / spare if spare > 0 else float("inf")
        if not calm or parking.records <= 0:
            self._rate = 0.0
        elif view.service is None:  # nothing was delivered yet: what comes back tells what the target can do
            self._rate = max(0.0, FIRST_RATE - sum(view.queued))
        else:
            # What waits in rings comes first, within a second; replayed records wait there, too.
            target = self._free * min(view.service, capacity) - offered - sum(view.queued)
            target = max(0.0, target)
            self._rate = min(target, self._rate + weight(seconds, RISE_TAU_SECONDS) * (target - self._rate))
        return self._rate

    def refused(self, before: bool, parking: Parking) -> bool:
        """Whether dropping is better than parking now, given whether it was `before`."""
        if not parking.available:
            return True
        if before:
            return parking.queue > QUEUE_RELEASE or self.seconds > RELEASE * self._longest
        return parking.queue > QUEUE_ENGAGE or self.seconds > self._longest
