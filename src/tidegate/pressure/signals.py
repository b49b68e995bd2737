"""What the counters say: demand, service and age. Read once a tick; nothing that we do may hide demand.

*Offered* is counted before the gate, so shedding does not lower it. A lane that is held, or behind, shows less than
what comes: there the growth of its end offsets counts, times the classes it had last. *Service* is what the target
would complete with every slot in use, so idling does not lower it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tidegate.pressure.ages import Head, HeadAge
from tidegate.pressure.rates import Growth, weight
from tidegate.pressure.service import Service, ServiceCounts

OFFERED_TAU_SECONDS = 0.45  # 0.2 for a tick of 100 ms
MIX_TAU_SECONDS = 5.0
AT_END_SECONDS = 0.25
STILL = 1e-3  # records/s below which a lane that is at its end brings nothing
COMPLETED_TAU_SECONDS = 3.0  # batches of one class can be a second apart


@dataclass(frozen=True, slots=True)
class LaneCounts:
    """One lane. Counters are since the start; sums are over the partitions that are ours.

    Attributes:
        polled: records read, by class, before the gate.
        position, end: sums of the next offsets to read and of the end offsets; end None: not known yet.
        end_at: monotonic seconds at which the ends were asked for.
        assignment: another number after each change of the set of partitions.
        head_seconds: Unix time of the oldest record read last; None: none was read since the assignment.
        held: by anyone, at any time since the last look.
        waits: every class that it can bring may be deferred, so it can wait in Kafka.
        span: share of the offsets that may be unsettled which are so, of the fullest partition.
    """

    polled: Sequence[int]
    position: int = 0
    end: int | None = None
    end_at: float = 0.0
    assignment: int = 0
    head_seconds: float | None = None
    held: bool = False
    waits: bool = False
    span: float = 0.0


@dataclass(frozen=True, slots=True)
class Counts:
    """One look.

    Attributes:
        queued: records in rings, by class.
        rings: how full each class's ring is, of the room that the class could have: 0 to 1.
        lanes: by a key that stays the lane's own.
        memory: share of the budget that is in use.
        completed: records acknowledged, by class; empty: not counted.
    """

    service: ServiceCounts
    queued: Sequence[int]
    rings: Sequence[float]
    lanes: Mapping[int, LaneCounts] = field(default_factory=dict)
    memory: float = 0.0
    completed: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class LaneView:
    """Attributes:
    offered: records/s by class, before any shedding.
    arrival: records/s that come into Kafka, as far as is known.
    lag: records behind.
    age: seconds since the record at the read head was appended; 0 at the end.
    classes: those that it brought, by share; sums to 1, or to 0 before the first record.
    """

    offered: tuple[float, ...]
    arrival: float
    lag: float
    age: float
    classes: tuple[float, ...]
    waits: bool
    span: float


@dataclass(frozen=True, slots=True)
class View:
    """One look, understood.

    Attributes:
        service: records/s the target can complete now; None: nothing was completed yet.
        capacity: the same over the last seconds in which it was busy; for what must not follow every gust.
        completed: records/s that it completes.
        utilisation: share of what may be in flight that is, 0 to 1.
        queued, rings, memory: as counted.
        completions: records/s that it completes, by class; of more seconds than `completed`, for people.
    """

    service: float | None
    capacity: float | None
    completed: float
    utilisation: float
    queued: tuple[int, ...]
    rings: tuple[float, ...]
    lanes: Mapping[int, LaneView]
    memory: float = 0.0
    completions: tuple[float, ...] = ()

    @property
    def classes(self) -> int:
        """How many there are."""
        return len(self.queued)

    def offered(self, klass: int, *, waits: bool | None = None) -> float:
        """Records/s of one class over all lanes, or over those that can (cannot) wait in Kafka."""
        return sum(lane.offered[klass] for lane in self.lanes.values() if waits is None or lane.waits is waits)


class _Lane:
    """Rates of one lane."""

    def __init__(self, classes: int) -> None:
        self._growth = [Growth() for _ in range(classes)]
        self._rates = [0.0] * classes
        self._recent = [0.0] * classes  # records by class, older ones count less
        self._assignment: int | None = None
        self._ends: tuple[int, float] | None = None
        self._position = 0
        self._density = 1.0  # records per offset: gaps are left by compaction and transactions
        self._arrival = 0.0
        self._age = HeadAge()
        self._still: tuple[LaneCounts, LaneView] | None = None  # the last look, where nothing was going on

    def update(self, now: float, wall: float, seconds: float, counts: LaneCounts) -> LaneView:
        """The view of this look, `seconds` after the last one."""
        if self._still is not None:
            before, view = self._still
            if _same(before, counts):  # most of a thousand topics: each costs the loop microseconds, ten times a second
                self._ends = before.end or 0, counts.end_at
                self._age.rest(now)
                return view
        grown = [growth.update(total) for growth, total in zip(self._growth, counts.polled, strict=True)]
        if counts.assignment != self._assignment:
            self._assignment, self._ends, self._arrival, self._age = counts.assignment, None, 0.0, HeadAge()
        elif counts.position > self._position and sum(grown) > 0:
            part = weight(seconds, MIX_TAU_SECONDS)
            self._density += part * (min(1.0, sum(grown) / (counts.position - self._position)) - self._density)
        self._position = counts.position
        part = weight(seconds, OFFERED_TAU_SECONDS)
        if seconds > 0:
            self._rates = [rate + part * (n / seconds - rate) for rate, n in zip(self._rates, grown, strict=True)]
        if sum(grown) > 0:
            fade = 1.0 - weight(seconds, MIX_TAU_SECONDS)
            self._recent = [fade * before + n for before, n in zip(self._recent, grown, strict=True)]
        self._append(counts)
        lag = max(0.0, counts.end - counts.position) * self._density if counts.end is not None else 0.0
        total = sum(self._recent)
        mix = tuple(n / total if total > 0 else 0.0 for n in self._recent)
        offered = tuple(self._rates)
        if counts.held or lag > 0:
            # What waits in Kafka is no demand of this moment; what has to be read to get at critical records is.
            came = tuple(part * self._arrival for part in mix)
            offered = came if counts.waits else tuple(map(max, self._rates, came))
        # Ends are a second old at times: who has read beyond them since may be behind all the same.
        recent = sum(grown) == 0 or now - counts.end_at <= AT_END_SECONDS
        at_end = counts.end is not None and counts.position >= counts.end and recent
        head = Head(counts.head_seconds, sum(grown) > 0, at_end, lag, self._arrival)
        age = self._age.update(now, wall, head)
        view = LaneView(offered, self._arrival, lag, age, mix, counts.waits, counts.span)
        still = at_end and not counts.held and sum(grown) == 0 and self._arrival == 0 and max(self._rates) < STILL
        self._still = (counts, view) if still else None
        return view

    def _append(self, counts: LaneCounts) -> None:
        if counts.end is None:
            return
        if self._ends is None:
            self._ends = counts.end, counts.end_at
        elif counts.end_at > self._ends[1]:
            grown = max(0, counts.end - self._ends[0])
            self._arrival = grown * self._density / (counts.end_at - self._ends[1])
            self._ends = counts.end, counts.end_at


def _same(before: LaneCounts, now: LaneCounts) -> bool:
    """Nothing was read, appended, held or assigned in between."""
    return (
        before.polled == now.polled
        and before.end == now.end
        and before.position == now.position
        and before.assignment == now.assignment
        and before.span == now.span
        and not now.held
    )


class Signals:
    """Turns each look into a view. Single-threaded; time is what it is told."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._lanes: dict[int, _Lane] = {}
        self._service = Service()
        self._completed: list[Growth] = []
        self._completions: list[float] = []

    def update(self, now: float, wall: float, counts: Counts) -> View:
        """The view of this tick.

        Args:
            now: monotonic seconds.
            wall: Unix seconds, only to be compared with records' timestamps.
        """
        seconds = 0.0 if self._at is None else max(0.0, now - self._at)
        self._at = now
        lanes = {}
        for key, lane in counts.lanes.items():
            known = self._lanes.setdefault(key, _Lane(len(lane.polled)))
            lanes[key] = known.update(now, wall, seconds, lane)
        service = self._service.update(seconds, counts.service)
        return View(
            service=service.now,
            capacity=service.capacity,
            completed=service.completed,
            utilisation=service.utilisation,
            queued=tuple(counts.queued),
            rings=tuple(counts.rings),
            lanes=lanes,
            memory=counts.memory,
            completions=self._complete(seconds, counts.completed),
        )

    def _complete(self, seconds: float, totals: Sequence[int]) -> tuple[float, ...]:
        if len(totals) != len(self._completed):
            self._completed = [Growth() for _ in totals]
            self._completions = [0.0] * len(totals)
        grown = [growth.update(total) for growth, total in zip(self._completed, totals, strict=True)]
        if seconds > 0:
            part = weight(seconds, COMPLETED_TAU_SECONDS)
            self._completions = [
                rate + part * (n / seconds - rate) for rate, n in zip(self._completions, grown, strict=True)
            ]
        return tuple(self._completions)
