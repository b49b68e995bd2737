"""High and low marks: when a level counts as too high, and until when.

A mark is a share of a capacity. Between two looks the app may empty a buffer by more than the marks are apart; a hold
would then let it run dry. So the low mark rises with the drain: low = max(low, 2 · μ · tick / capacity), μ in units per
second. Where it would reach the high mark nothing is held at all: what is drained that fast needs no help.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Level:
    """How full something is.

    Attributes:
        used, capacity: in one unit; a capacity of 0 is never full.
        drained: units that left it per second, lately.
    """

    used: float
    capacity: float
    drained: float = 0.0

    @property
    def share(self) -> float:
        """0 empty, 1 full."""
        return self.used / self.capacity if self.capacity > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Marks:
    """Shares at which a cause begins and ends.

    Raises:
        ValueError: the low mark is not below the high one.
    """

    high: float
    low: float

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high:
            raise ValueError(f"marks out of order: low {self.low}, high {self.high}")

    def low_for(self, level: Level, tick_seconds: float) -> float:
        """The low mark, raised so far that two ticks of draining do not empty the buffer."""
        if level.capacity <= 0:
            return self.low
        return max(self.low, 2 * level.drained * tick_seconds / level.capacity)

    def stands(self, before: bool, level: Level, tick_seconds: float) -> bool:
        """Whether the level is too high, given whether it was `before`."""
        low = self.low_for(level, tick_seconds)
        if low >= self.high:
            return False
        return level.share > low if before else level.share >= self.high
