"""The app: workers, a time per record, capacity that changes, answers that refuse."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Sequence


class Capacity:
    """A factor over time, piecewise constant: 1 the whole app, 0 it stands still.

    Args:
        steps: ``(from second, factor)``, ascending; before the first it is 1.
    """

    def __init__(self, steps: Sequence[tuple[float, float]] = ()) -> None:
        self._at, self._factor, self._done = [0.0], [1.0], [0.0]
        for at, factor in steps:
            self._done.append(self._done[-1] + (at - self._at[-1]) * self._factor[-1])
            self._at.append(at)
            self._factor.append(factor)

    def factor(self, now: float) -> float:
        return self._factor[bisect_right(self._at, now) - 1]

    def work(self, now: float) -> float:
        """Seconds of a whole worker's work that were possible until now."""
        index = bisect_right(self._at, now) - 1
        return self._done[index] + (now - self._at[index]) * self._factor[index]

    def end(self, start: float, work: float) -> float:
        """When a worker is done that begins so many seconds of work at `start`; it must not stand still for good."""
        goal = self.work(start) + work
        index = bisect_right(self._at, start) - 1
        while index + 1 < len(self._at) and self._done[index + 1] < goal:
            index += 1
        return self._at[index] + (goal - self._done[index]) / self._factor[index]


class App:
    """Workers take batches in the order of arrival.

    Args:
        record_seconds: of one worker, for one record.
        refusals: ``(from, to, Retry-After)``: meanwhile every request is answered 429.
    """

    def __init__(
        self,
        workers: int,
        record_seconds: float,
        capacity: Capacity,
        refusals: Sequence[tuple[float, float, float]] = (),
    ) -> None:
        self._record_seconds = record_seconds
        self.capacity = capacity
        self._refusals = refusals
        self._free = [0.0] * workers

    def send(self, now: float, records: int) -> tuple[float, float | None]:
        """When the answer comes, and the Retry-After that it bears; None: 2xx."""
        for begin, end, after in self._refusals:
            if begin <= now < end:
                return now + 0.005, after
        start = max(now, heapq.heappop(self._free))
        done = self.capacity.end(start, records * self._record_seconds)
        heapq.heappush(self._free, done)
        return done, None
