"""How many requests the target may have at once, by what it refused: 429, 503, timeouts. Pure; time is passed in.

Without a limit until the first refusal. Each one lowers it to nine tenths of what was there, once in 100 ms; then it
rises by one at a time. A refusal costs a pause for everyone, so where one more was refused again, the next try waits
twice as long.
"""

from __future__ import annotations

CUT = 0.9
CALM_SECONDS = 0.1
FIRST_PAUSE_SECONDS, LAST_PAUSE_SECONDS = 1.0, 8.0
UNLIMITED = 1 << 30


class Refusals:
    """`most`: requests at once, 1 or more."""

    def __init__(self, now: float) -> None:
        self.most = UNLIMITED
        self._calm_from = now  # none counts before
        self._try_from = now
        self._pause = FIRST_PAUSE_SECONDS
        self._tried = False  # one more, since the last refusal

    def clear(self) -> None:
        """Nothing is known any more."""
        self.most = UNLIMITED

    def refused(self, sends: int, now: float) -> bool:
        """A send was refused, one of so many. False: it belongs to an earlier one, and changes nothing."""
        if now < self._calm_from:
            return False
        if self._tried:
            self._pause = min(LAST_PAUSE_SECONDS, self._pause * 2.0)
        self._tried = False
        self._try_from = now + self._pause
        self._calm_from = now + CALM_SECONDS
        # A target that refuses a single one says nothing about how many.
        self.most = max(1, int(CUT * min(sends, self.most))) if sends > 1 else UNLIMITED
        return True

    def window(self, enough: float, now: float) -> None:
        """A window of answers. Beyond `enough`, which nobody reaches, the limit is lifted."""
        if self.most < UNLIMITED and now >= self._try_from:
            self._try_from = now + self._pause
            self._tried = True
            self.most = self.most + 1 if self.most <= enough else UNLIMITED
