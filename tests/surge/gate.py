"""The gate before the rings, and the parking topic behind it."""

from __future__ import annotations

from collections import deque

from surge.lanes import CLASSES
from surge.rings import Rings
from surge.tally import Tally
from tidegate.pressure.shed import Rest, Shed

QUEUE_SECONDS = 2.0  # of parking, that the producer's queue holds


class Gate:
    """Args:
    park_rate: records/s that the parking topic takes.
    """

    def __init__(self, rings: Rings, tally: Tally, park_rate: float) -> None:
        self._rings, self._tally, self._park_rate = rings, tally, park_rate
        self._carry = [0.0] * CLASSES  # of a record, kept
        self._queued = 0.0
        self._allowance = 0.0
        self._log: deque[list[float]] = deque()  # [seconds, class, records]
        self.parked = 0
        self.available = True

    @property
    def queue(self) -> float:
        """How full the producer's queue is."""
        return min(1.0, self._queued / (QUEUE_SECONDS * self._park_rate))

    def step(self, seconds: float) -> None:
        self._queued = max(0.0, self._queued - self._park_rate * seconds)

    def wait(self, now: float, klass: int, seconds: float, n: int) -> int:
        """From a lane that can wait in Kafka: as much as there is room for. Returns what was taken."""
        n = min(n, self._rings.room(klass))
        if n:
            self._rings.put(now, klass, seconds, n, False)
        return n

    def admit(self, now: float, klass: int, seconds: float, n: int, shed: Shed) -> int:
        """From any other lane: how many of these records were dealt with; fewer: the lane stands."""
        room, parks = self._rings.room(klass), self.available and self.queue < 1.0
        wish = n * shed.keep + self._carry[klass] if shed.keep < 1 else float(n)
        kept = min(n, int(wish))
        if kept > room and shed.overflow and parks:
            kept, rest = room, Rest.PARK
        else:
            rest = shed.rest
            if kept > room:
                n = int(room / shed.keep)
                wish = n * shed.keep
                kept = min(room, n, int(wish))
        if n <= 0 or (kept < n and rest is Rest.PARK and not parks):
            return 0
        self._carry[klass] = min(1.0, wish - kept) if shed.keep < 1 else 0.0
        if kept < n and rest is Rest.PARK:
            self._log.append([seconds, klass, n - kept])
            self.parked += n - kept
            self._queued += n - kept
            self._tally.park(now, klass, n - kept)
        elif kept < n:
            self._tally.drop(now, klass, n - kept)
        if kept:
            self._rings.put(now, klass, seconds, kept, False)
        return n

    def replay(self, rate: float, seconds: float) -> None:
        """Parked records come back at so many a second, as far as there is room."""
        self._allowance = self._allowance + rate * seconds if rate > 0 else 0.0
        while self._log and self._allowance >= 1:
            head = self._log[0]
            n = min(int(self._allowance), int(head[2]), self._rings.room(int(head[1])))
            if n <= 0:
                return
            self._rings.put(head[0], int(head[1]), head[0], n, True)
            self._allowance -= n
            self.parked -= n
            head[2] -= n
            if head[2] <= 0:
                self._log.popleft()
