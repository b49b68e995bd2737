"""Published limiters to compare with, behind the interface of ours; their batches are as large as configured.

Constants and update rules: Netflix's concurrency-limits (VegasLimit, Gradient2Limit), as in its sources of 2025.
"""

from __future__ import annotations

from math import log10
from random import Random

from tidegate.pressure.limiter import Answer


class _Requests:
    """Counts requests; the classes are alike."""

    def __init__(self, batch_records: int, limit: float) -> None:
        self.batch_records = batch_records
        self.limit = limit
        self.sending = 0

    def admits(self, critical: bool, records: int) -> bool:
        return self.sending < max(1, int(self.limit))

    def begin(self, critical: bool, records: int, now: float) -> int:
        self.sending += 1
        return 0

    def end(self, critical: bool, records: int, generation: int, seconds: float, now: float, answer: Answer) -> bool:
        at_once = self.sending
        self.sending -= 1
        if answer is not Answer.NOTHING:
            self.update(seconds, at_once, answer is Answer.OVERLOAD)
        return True

    def restart(self, now: float) -> None: ...

    def figures(self) -> None:
        return None

    def update(self, seconds: float, at_once: int, dropped: bool) -> None:
        raise NotImplementedError


class Vegas(_Requests):
    """By the queue that the round trips show: L (1 - least / this)."""

    def __init__(self, batch_records: int, rng: Random) -> None:
        super().__init__(batch_records, 20.0)
        self._rng = rng
        self._least = 0.0
        self._until_probe = 30 * 20 * rng.uniform(0.5, 1.0)

    def update(self, seconds: float, at_once: int, dropped: bool) -> None:
        self._until_probe -= 1
        if self._until_probe <= 0 or not self._least or seconds < self._least:
            if self._until_probe <= 0:
                self._until_probe = 30 * self.limit * self._rng.uniform(0.5, 1.0)
            self._least = seconds
            return
        step = max(1.0, log10(self.limit))
        queue = -int(-self.limit * (1 - self._least / seconds) // 1)
        if dropped:
            self.limit -= step
        elif at_once * 2 < self.limit:
            return
        elif queue <= step:
            self.limit += 6 * step
        elif queue < 3 * step:
            self.limit += step
        elif queue > 6 * step:
            self.limit -= step
        self.limit = min(1000.0, max(1.0, self.limit))


class Gradient2(_Requests):
    """By the ratio of a long mean of the round trips and this one."""

    def __init__(self, batch_records: int) -> None:
        super().__init__(batch_records, 20.0)
        self._long = 0.0
        self._seen = 0

    def update(self, seconds: float, at_once: int, dropped: bool) -> None:
        self._seen += 1
        self._long += (
            (seconds - self._long) / min(self._seen, 10) if self._seen <= 10 else 2 / 601 * (seconds - self._long)
        )
        if self._long / seconds > 2:
            self._long *= 0.95
        if at_once < self.limit / 2:
            return
        gradient = max(0.5, min(1.0, 1.5 * self._long / seconds))
        self.limit = max(20.0, min(200.0, 0.8 * self.limit + 0.2 * (self.limit * gradient + 4)))
