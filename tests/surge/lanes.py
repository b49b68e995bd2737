"""Topics as logs of groups: what was appended at one moment, of one class."""

from __future__ import annotations

import math
import random
from collections import deque

from surge.scenario import Topic
from tidegate.pressure.hold import Lane
from tidegate.pressure.signals import LaneCounts

CLASSES = 4


def poisson(rng: random.Random, mean: float) -> int:
    if mean <= 0:
        return 0
    if mean > 30:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, product, n = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        n += 1
    return n


class Log:
    """One lane: appended, read, and what the reader knows of it."""

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.groups: deque[list[float]] = deque()  # [seconds, class, records]
        self.end = self.position = 0
        self.polled = [0] * CLASSES
        self.seen_end: tuple[int, float] | None = None
        self.head: float | None = None
        self.own_since: float | None = None  # the reader holds it: a ring is full
        self.was_held = False
        self.allowance = 0.0  # records it may be read, where it has a rate

    def append(self, now: float, klass: int, records: int) -> None:
        if records:
            self.groups.append([now, klass, records])
            self.end += records

    def taken(self, group: list[float], records: int) -> None:
        """So many of the first group were read."""
        self.position += records
        self.polled[int(group[1])] += records
        self.head = group[0] + self.topic.clock_error
        group[2] -= records
        if group[2] <= 0:
            self.groups.popleft()

    def ask_end(self, now: float) -> None:
        self.seen_end = (self.end, now)

    def lane(self, now: float) -> Lane:
        """As hold.py sees it."""
        klass = next(k for k, part in enumerate(self.topic.mix) if part) if self.topic.waits else -1
        return Lane(klass, own_seconds=None if self.own_since is None else now - self.own_since)

    def counts(self, held: bool, wall: float) -> LaneCounts:
        end, at = self.seen_end if self.seen_end is not None else (None, 0.0)
        counts = LaneCounts(
            polled=tuple(self.polled), position=self.position, end=end, end_at=at,
            head_seconds=None if self.head is None else wall + self.head,
            held=held or self.was_held, waits=self.topic.waits,
        )  # fmt: skip
        self.was_held = held
        return counts
