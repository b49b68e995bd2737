"""How many events when: an announced sale, from calm to its peak within seconds, and down again.

    rate(t) = rate0 · (1 + A · s(t))        A = surge - 1

``s`` rises in a straight line, stays at 1 and then falls exponentially, which is how the crowds of announced sales
come and go; there it takes minutes to hours, here all of it is a fixed part of the time that the demo has.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Final

_BEGIN, _ONSET, _PEAK, _DECAY = 1 / 6, 1 / 30, 1 / 9, 1 / 15  # of the whole time; the rest is to make up for it
_OVER: Final = 2.0  # decay times after which the sale counts as over
_STEPS: Final = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """Calm, sale, calm. ``rate`` is the usual stream in events per second, ``surge`` how many times it is the peak."""

    seconds: float
    rate: float
    surge: float

    @property
    def surge_from(self) -> float:
        """Seconds after the beginning at which the sale opens."""
        return self.seconds * _BEGIN

    @property
    def surge_until(self) -> float:
        """Seconds after the beginning at which most of it is over."""
        return self.seconds * (_BEGIN + _ONSET + _PEAK + _OVER * _DECAY)

    @property
    def peak(self) -> float:
        """Events per second at the peak."""
        return self.rate * self.surge

    @property
    def total(self) -> int:
        """Events of the whole time."""
        return self.due(self.seconds)

    def due(self, elapsed: float) -> int:
        """Events that are to be sent by ``elapsed`` seconds after the beginning."""
        elapsed = min(max(elapsed, 0.0), self.seconds)
        return round(self.rate * (elapsed + (self.surge - 1) * self._area(elapsed)))

    def when(self, number: int) -> float:
        """The moment, in steps of a thousandth of the whole, at which that many events are due."""
        step = self.seconds / _STEPS
        return bisect_left(range(_STEPS), number, key=lambda at: self.due(at * step)) * step

    def rate_at(self, elapsed: float) -> float:
        """Events per second at that moment; 0 when it is over."""
        if not 0 <= elapsed < self.seconds:
            return 0.0
        return self.rate * (1 + (self.surge - 1) * self._height(elapsed))

    def sale_share(self, elapsed: float) -> float:
        """Share of that moment's events that the sale has brought, 0 to 1."""
        brought = (self.surge - 1) * self._height(elapsed)
        return brought / (1 + brought)

    def seconds_above(self, rate: float, elapsed: float) -> float:
        """For how long more than ``rate`` events per second have come by then."""
        step = self.seconds / _STEPS
        return sum(
            step for at in range(_STEPS) if (at + 0.5) * step < elapsed and self.rate_at((at + 0.5) * step) > rate
        )

    def phase(self, elapsed: float) -> str:
        """In words, for the progress lines."""
        if elapsed >= self.seconds:
            return "after"
        return f"sale x{self.surge:g}" if self.surge_from <= elapsed < self.surge_until else "calm"

    def _height(self, elapsed: float) -> float:
        """``s``, 0 to 1."""
        since = elapsed / self.seconds - _BEGIN
        if since <= 0:
            return 0.0
        if since < _ONSET:
            return since / _ONSET
        return math.exp(-max(0.0, since - _ONSET - _PEAK) / _DECAY)

    def _area(self, elapsed: float) -> float:
        """The integral of ``s`` up to then, in seconds."""
        since = max(0.0, elapsed / self.seconds - _BEGIN)
        rise = min(since, _ONSET) ** 2 / (2 * _ONSET)
        top = min(max(0.0, since - _ONSET), _PEAK)
        fall = _DECAY * (1 - math.exp(-max(0.0, since - _ONSET - _PEAK) / _DECAY))
        return self.seconds * (rise + top + fall)
