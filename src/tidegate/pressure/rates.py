"""Rates from counters that only grow."""

from __future__ import annotations

from collections import deque
from math import exp


def weight(seconds: float, tau_seconds: float) -> float:
    """What the newest value counts in an exponential mean after so many seconds: 1 - e^(-t/τ), between 0 and 1.

    By time, not by tick, so that a late tick changes no time constant.
    """
    return 1.0 - exp(-max(0.0, seconds) / tau_seconds)


class Growth:
    """A counter's growth since the last look. What goes back (a counter begun anew) did not grow."""

    def __init__(self) -> None:
        self._last: float | None = None

    def update(self, total: float) -> float:
        """Units since the last look; 0 at the first."""
        grown = 0.0 if self._last is None else max(0.0, total - self._last)
        self._last = total
        return grown


class Drain:
    """How fast something was taken out, lately: the highest rate between two of the last looks.

    The highest, not a mean: it says how soon a buffer could be empty, and a look that comes just after a burst must not
    forget the burst.

    Args:
        looks: how many to remember.
    """

    def __init__(self, looks: int = 5) -> None:
        self._rates: deque[float] = deque(maxlen=looks)
        self._growth = Growth()
        self._at: float | None = None

    def update(self, now: float, total: float) -> float:
        """The counter stands at `total` now; units per second. 0 at the first look."""
        grown = self._growth.update(total)
        if self._at is not None and now > self._at:
            self._rates.append(grown / (now - self._at))
        self._at = now
        return max(self._rates, default=0.0)
