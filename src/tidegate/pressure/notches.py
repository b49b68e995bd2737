"""Sampling probabilities: a fixed ladder of them, so that weights are exact and few.

    1, 3/4, 1/2, 3/8, 1/4, … 3/128, 1/64

The law's share lies between two notches nearly always. The lower one alone would leave up to a third of the class's
share of the app idle, the higher one alone fills the rings; so the two take turns, by the queue: the higher until the
queue is `FULL_SECONDS` of work long, then the lower until it is `EMPTY_SECONDS` long.
"""

from __future__ import annotations

from tidegate.types import EventClass

NOTCHES: tuple[float, ...] = (1.0, *(part / 2**n for n in range(1, 7) for part in (1.5, 1.0)))
FLOORS: dict[EventClass, float] = {EventClass.NORMAL: 1 / 8, EventClass.BULK: 1 / 64}

EMPTY_SECONDS = 0.25
FULL_SECONDS = 1.0
RAISE_SECONDS = 1.0
EPSILON = 1e-9


def below(keep: float, floor: float) -> float:
    """The highest notch that is not over `keep`; `floor` where there is none."""
    return max(floor, next((notch for notch in NOTCHES if notch <= keep + EPSILON), NOTCHES[-1]))


def above(keep: float, floor: float) -> float:
    """The lowest notch that is not under `keep`, and not under `floor`."""
    return max(floor, next(notch for notch in reversed(NOTCHES) if notch >= min(1.0, keep) - EPSILON))


class Notch:
    """One class's sampling probability over time.

    Args:
        floor: the least of them.
    """

    def __init__(self, floor: float) -> None:
        self._floor = floor
        self._draining = False
        self._raised_at = float("-inf")
        self.p = 1.0

    def update(self, now: float, keep: float, queued_seconds: float, room: float = 1.0) -> float:
        """The probability from now on. Lowered at once; raised once a second at most.

        Args:
            keep: the law's share.
            queued_seconds: work that waits in rings, of classes that are shed.
            room: share of their rings that is free; with less than a half of it the queue counts as full.
        """
        if queued_seconds >= FULL_SECONDS or room < 0.5:
            self._draining = True
        elif queued_seconds <= EMPTY_SECONDS:
            self._draining = False
        wanted = below(keep, self._floor) if self._draining else above(keep, self._floor)
        if wanted < self.p:
            self.p = wanted
        elif wanted > self.p and now - self._raised_at >= RAISE_SECONDS:
            self.p, self._raised_at = wanted, now
        return self.p

    def reset(self) -> None:
        """Nothing is sampled any more."""
        self.p, self._draining, self._raised_at = 1.0, False, float("-inf")
