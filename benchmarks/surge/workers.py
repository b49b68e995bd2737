"""The app's workers as arithmetic: first come, first served, a fixed time per event, half speed for a while.

What a worker will do with a request is known when it arrives, because the times are fixed. So nobody has to sleep once
per event, and a timer that rings late makes the app neither slower nor faster than it says.
"""

from __future__ import annotations

import heapq
import math


class Workers:
    """`count` workers, each `service_seconds` per event; times are seconds of one clock.

    `halved`: from, to: each worker takes twice as long there. Set it before the first request that it touches arrives.
    """

    def __init__(self, count: int, service_seconds: float, halved: tuple[float, float] = (math.inf, math.inf)) -> None:
        self._free = [-math.inf] * count
        self._service_seconds = service_seconds
        self.halved = halved

    def take(self, now: float, events: int) -> tuple[float, list[float]]:
        """A request arrives: (when a worker begins it, when each of its events is done). Its events are worked off
        one after the other by one worker; an empty request is done when it is begun."""
        start = max(now, self._free[0])
        ends = [self._after(start, (n + 1) * self._service_seconds) for n in range(events)]
        heapq.heapreplace(self._free, ends[-1] if ends else start)
        return start, ends

    def _after(self, at: float, work: float) -> float:
        """When `work` seconds at full speed are done, begun at `at`."""
        begin, end = self.halved
        if at < begin:
            if at + work <= begin:
                return at + work
            at, work = begin, work - (begin - at)
        if at < end:
            if at + 2 * work <= end:
                return at + 2 * work
            at, work = end, work - (end - at) / 2
        return at + work
