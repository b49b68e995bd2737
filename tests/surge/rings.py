"""Rings by class in one budget: a reserve each, the rest by demand (as core/ring.pyx divides chunks)."""

from __future__ import annotations

from collections import deque

from surge.lanes import CLASSES
from tidegate.pressure.marks import Level
from tidegate.pressure.rates import Drain


class Rings:
    def __init__(self, capacity: int) -> None:
        self.reserve = capacity // 12
        self.shared = capacity - CLASSES * self.reserve
        self.used = [0] * CLASSES
        self.queues: list[deque[list[float]]] = [deque() for _ in range(CLASSES)]  # [seconds, records, replayed, put]
        self.taken_out = [0] * CLASSES
        self._drains = [Drain() for _ in range(CLASSES)]

    def room(self, klass: int) -> int:
        shared = self.shared - sum(max(0, used - self.reserve) for used in self.used)
        return max(0, self.reserve - self.used[klass]) + max(0, shared)

    def put(self, now: float, klass: int, seconds: float, records: int, replayed: bool) -> None:
        self.used[klass] += records
        self.queues[klass].append([seconds, records, float(replayed), now])

    def take(self, klass: int, most: int) -> list[tuple[float, int, bool, float]]:
        queue, found = self.queues[klass], []
        while queue and most > 0:
            head = queue[0]
            n = min(most, int(head[1]))
            found.append((head[0], n, bool(head[2]), head[3]))
            head[1] -= n
            most -= n
            if head[1] <= 0:
                queue.popleft()
        records = sum(one[1] for one in found)
        self.used[klass] -= records
        self.taken_out[klass] += records
        return found

    def waited(self, now: float, klass: int) -> float:
        return now - self.queues[klass][0][3] if self.queues[klass] else 0.0

    def levels(self, now: float) -> tuple[Level, ...]:
        return tuple(
            Level(self.used[k], self.used[k] + self.room(k), self._drains[k].update(now, self.taken_out[k]))
            for k in range(CLASSES)
        )

    def buffered(self) -> Level:
        return Level(sum(self.used), self.shared + CLASSES * self.reserve)
