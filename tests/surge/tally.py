"""What came of a run: counts, ages, and what could have been."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from surge.lanes import CLASSES

if TYPE_CHECKING:
    from surge.brains import Brain


def percentile(ages: list[tuple[float, int]], part: float) -> float:
    """Of (value, weight) pairs; 0 of none."""
    ages = sorted(ages)
    goal, sum_ = part * sum(n for _, n in ages), 0
    for value, n in ages:
        sum_ += n
        if sum_ >= goal:
            return value
    return 0.0


@dataclass
class Tally:
    """Records by class and second; ages of what was delivered and not replayed."""

    arrived: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in range(CLASSES)])
    delivered: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in range(CLASSES)])
    parked: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in range(CLASSES)])
    dropped: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in range(CLASSES)])
    replayed: list[dict[int, int]] = field(default_factory=lambda: [{} for _ in range(CLASSES)])
    ages: list[list[tuple[float, int, float]]] = field(default_factory=lambda: [[] for _ in range(CLASSES)])
    ticks: list[tuple[float, tuple[float, ...], tuple[int, ...], float]] = field(default_factory=list)
    seen: list[tuple[float, float, float]] = field(default_factory=list)  # at, offered, service: as the signals say
    closed: dict[int, float] = field(default_factory=dict)  # seconds in which the target refused everything
    unread_at: dict[int, int] = field(default_factory=dict)  # records that wait in Kafka, each second
    left: int = 0  # in rings, in flight and parked at the end
    unread: int = 0

    @staticmethod
    def _add(table: list[dict[int, int]], now: float, klass: int, n: int) -> None:
        table[klass][int(now)] = table[klass].get(int(now), 0) + n

    def arrive(self, now: float, klass: int, n: int) -> None:
        self._add(self.arrived, now, klass, n)

    def park(self, now: float, klass: int, n: int) -> None:
        self._add(self.parked, now, klass, n)

    def drop(self, now: float, klass: int, n: int) -> None:
        self._add(self.dropped, now, klass, n)

    def deliver(self, now: float, klass: int, age: float, n: int, replayed: bool) -> None:
        self._add(self.replayed if replayed else self.delivered, now, klass, n)
        if not replayed:
            self.ages[klass].append((age, n, now))

    def tick(self, now: float, brain: Brain, queued: list[int], parked: float) -> None:
        if (view := getattr(brain, "view", None)) is not None:
            self.seen.append((now, sum(view.offered(klass) for klass in range(CLASSES)), view.service or 0.0))
        self.ticks.append((now, tuple(shed.keep for shed in brain.sheds), tuple(queued), parked))

    # ── read-outs ───────────────────────────────────────────────────────────────────────────────────────────────

    def total(self, table: list[dict[int, int]], classes: tuple[int, ...], begin: float, end: float) -> int:
        return sum(n for k in classes for at, n in table[k].items() if begin <= at < end)

    def age(self, klass: int, part: float, begin: float = 0.0, end: float = float("inf")) -> float:
        """A percentile in seconds, of what was delivered in the time."""
        return percentile([(age, n) for age, n, at in self.ages[klass] if begin <= at < end], part)

    def parked_at(self, second: float) -> float:
        """Records in the parking topic at a second."""
        return next((parked for at, _, _, parked in self.ticks if at >= second), 0.0)

    def queued_at(self, second: float) -> int:
        """Records in rings at a second."""
        return next((sum(queued) for at, _, queued, _ in self.ticks if at >= second), 0)
