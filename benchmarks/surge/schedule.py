"""When which event is due: an open loop, fixed before the run, so that nobody's slowness thins out the stream.

    warm ──► base ──► surge ──────────────► after, until it is told to stop
                        └─ the third quarter: the app's workers at half speed

Events are numbered from 0 in the order in which they are due. Everything else follows from the number: when it was due,
its phase and, by the pool of payloads, its type. Times are seconds since the first event was due.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PHASES = ("warm", "base", "surge", "after")


@dataclass(frozen=True)
class Schedule:
    """Lengths in seconds, rates in events a second."""

    warm: float = 3.0
    base: float = 10.0
    surge: float = 60.0
    base_rate: float = 2_000.0
    surge_rate: float = 20_000.0

    @property
    def surge_from(self) -> float:
        """When the surge begins."""
        return self.warm + self.base

    @property
    def surge_to(self) -> float:
        """When it is over."""
        return self.surge_from + self.surge

    @property
    def halved(self) -> tuple[float, float]:
        """From when until when the app's workers are at half speed."""
        return self.surge_from + self.surge / 2, self.surge_from + self.surge * 3 / 4

    @property
    def before_surge(self) -> int:
        """Events due before the surge: the number of its first one."""
        return math.ceil(self.surge_from * self.base_rate)

    @property
    def before_calm(self) -> int:
        """Events due before the surge is over: the number of the first one after it."""
        return self.before_surge + math.ceil(self.surge * self.surge_rate)

    def due(self, seconds: float) -> int:
        """Events due by then."""
        if seconds < self.surge_from:
            return min(self.before_surge, max(0, math.floor(seconds * self.base_rate) + 1))
        if seconds < self.surge_to:
            due = math.floor((seconds - self.surge_from) * self.surge_rate) + 1
            return min(self.before_calm, self.before_surge + due)
        return self.before_calm + math.floor((seconds - self.surge_to) * self.base_rate) + 1

    def due_at(self, number: int) -> float:
        """When that event is due."""
        if number < self.before_surge:
            return number / self.base_rate
        if number < self.before_calm:
            return self.surge_from + (number - self.before_surge) / self.surge_rate
        return self.surge_to + (number - self.before_calm) / self.base_rate

    def phase(self, number: int) -> str:
        """The phase in which it is due, one of PHASES."""
        if number >= self.before_calm:
            return "after"
        if number >= self.before_surge:
            return "surge"
        return "base" if number >= math.ceil(self.warm * self.base_rate) else "warm"
