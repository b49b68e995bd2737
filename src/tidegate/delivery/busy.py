"""How busy the target is kept: the integral of what it has in hand over what it may have.

    in between   the nearer of two to its limit: requests, records. Small batches of high classes can fill every slot at
                 half of the records, and the target would pass for an idle one
    1            while anything is due that may not be sent: no slot, no room for records or bytes, or it refuses

An integral, not a sample: round trips are about as long as a tick, and looking once a tick would see their phase.
"""

from __future__ import annotations

from tidegate.delivery.inflight import InFlight
from tidegate.delivery.order import Order, Source
from tidegate.pressure.limiter import Limiter
from tidegate.sinks.pacing import Pacing


class Busy:
    """Kept by `Delivery`, which says when something changed.

    Args:
        now: seconds, monotonic, of the same clock as all that follow.
    """

    def __init__(self, source: Source, flight: InFlight, pacing: Pacing, limiter: Limiter, order: Order, now: float):
        self._source = source
        self._flight = flight
        self._pacing = pacing
        self._limiter = limiter
        self._order = order
        self._share = 0.0
        self._seconds = 0.0
        self._at = now

    def seconds(self, now: float) -> float:
        """Busy seconds since the start: of ten seconds at a half, five."""
        if now > self._at:
            self._seconds += self._share * (now - self._at)
            self._at = now
        return self._seconds

    def changed(self, now: float, *, stuck: bool) -> None:
        """Something was sent or settled, or was to be. `stuck`: nothing that is due, if anything is, could be sent."""
        self.set(now, self._now(now, stuck))

    def set(self, now: float, share: float) -> None:
        """So busy from now on, 0 to 1: for a sink that answers at once, and has nothing in hand between two calls."""
        self.seconds(now)
        self._share = share

    def _now(self, now: float, stuck: bool) -> float:
        pacing, flight = self._pacing, self._flight
        if pacing.free(now) <= 0:
            # Full, or it refuses and everything waits; else a probe is all there is.
            return 1.0 if flight.waits or self._due(now) or pacing.sending >= pacing.limit else 0.0
        if (stuck or self._order.limited(now)) and self._due(now):
            return 1.0
        return min(1.0, max(pacing.sending / pacing.limit, self._limiter.busy()))

    def _due(self, now: float) -> bool:
        due = self._source.due_in()
        if due is not None and due <= 0.0:
            return True
        first = self._flight.first_due()
        return first is not None and first <= now
