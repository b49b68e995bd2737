"""What a run came to, moment by moment: the topic, the app's log and Kafka's log of commits laid side by side.

All clocks are this machine's: the app's, the coordinator's, and the test's marks (``time.time_ns``).
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from harness.checker import Report, judge
from harness.commits import Commit
from harness.scene import Scene, event_class
from harness.topics import Partition
from harness.watched import WatchedScene

MARGIN_NS = 200_000_000  # what the app takes to answer, and tidegate to hear it, on a busy machine


@dataclass(slots=True)
class Mark:
    """A fault's time: it begins, is healed, and is over when nothing of it is left to be done."""

    fault: str
    begun_ns: int = field(default_factory=time.time_ns)
    healed_ns: int = 0
    over_ns: int = 0

    def heal(self) -> None:
        self.healed_ns = time.time_ns()

    def over(self) -> None:
        self.over_ns = time.time_ns()
        self.healed_ns = self.healed_ns or self.over_ns


class Arrivals:
    """When each record of a partition first came to the app, by offset."""

    def __init__(self, offsets: list[int], times: list[int]) -> None:
        self._offsets = offsets
        self._times = times
        # The earliest of an offset and all behind it: where that is too late, nothing more need be looked at.
        self._earliest = [*reversed([*accumulate(reversed(times), min)])]

    def count(self, since_offset: int, until_ns: int) -> int:
        """Records from an offset on that had come by then."""
        found = 0
        for at in range(bisect_left(self._offsets, since_offset), len(self._offsets)):
            if self._earliest[at] > until_ns:
                break
            found += self._times[at] <= until_ns
        return found


class Story:
    """Reads everything once; make it when the run has settled.

    Raises AssertionError with what the watchers found, or where a commit went back; ``unheard`` marks are those in
    which the coordinator failed.
    """

    def __init__(self, scene: Scene, unheard: Sequence[Mark] = ()) -> None:
        self._records, self._ends = scene.read()
        self._requests = scene.app.requests()
        self._committed = scene.committed()
        assert isinstance(scene, WatchedScene), "every scene of the fault tests is watched"
        scene.require_watched([(mark.begun_ns, mark.over_ns) for mark in unheard])
        self.commits = [entry for entry in scene.commits() if isinstance(entry, Commit)]
        places = {name: (r.partition, r.offset) for r in self._records for name in (r.line, r.exact)}
        self._first: dict[str, tuple[int, Partition, int]] = {}  # identity: first arrival, place
        self._again: list[int] = []  # when something came another time
        for request in self._requests:
            for name in request.ids if request.processed else ():
                if name in self._first:
                    self._again.append(request.time_ns)
                elif name in places:
                    self._first[name] = (request.time_ns, *places[name])
        self._arrived: dict[Partition, Arrivals] = {}
        for partition in {partition for _, partition, _ in self._first.values()}:
            ordered = sorted((offset, at) for at, where, offset in self._first.values() if where == partition)
            self._arrived[partition] = Arrivals([offset for offset, _ in ordered], [at for _, at in ordered])
        self._steps: dict[Partition, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for commit in self.commits:
            moments, offsets = self._steps[commit.partition]
            moments.append(commit.time_ns)
            offsets.append(commit.offset or 0)

    def exposed_at(self, moment_ns: int) -> int:
        """Records that the app had at that moment, in hand or done, and no commit covered: what had to come again."""
        found = 0
        for partition, arrived in self._arrived.items():
            moments, offsets = self._steps[partition]
            at = bisect_right(moments, moment_ns)
            found += arrived.count(offsets[at - 1] if at else 0, moment_ns)
        return found

    def most_exposed(self, since_ns: int, until_ns: int) -> int:
        """The most that was exposed at any moment: just before one of the commits, or at the end."""
        inside = [c.time_ns - 1 for c in self.commits if since_ns < c.time_ns <= until_ns]
        return max(self.exposed_at(moment) for moment in [since_ns, *inside, until_ns])

    def taken(self, since_ns: int, until_ns: int) -> int:
        """Records that the app took for the first time."""
        return sum(since_ns <= arrived <= until_ns for arrived, _, _ in self._first.values())

    def unsaid(self, since_ns: int, until_ns: int) -> int:
        """Deliveries that the app took without having said so: they come again, nobody can know better."""
        inside = (r for r in self._requests if since_ns <= r.time_ns <= until_ns and r.status is None)
        return sum(len(request.ids) for request in inside)

    def twice(self, since_ns: int, until_ns: int) -> int:
        """Surplus deliveries."""
        return sum(since_ns <= moment <= until_ns for moment in self._again)

    def report(self, since_ns: int, until_ns: int, allowed: int, fault: str) -> Report:
        """One fault's part of the verdict. Raises AssertionError where more came again than ``allowed``."""
        found = self.twice(since_ns, until_ns)
        assert found <= allowed, f"{fault}: {found} came again, and only {allowed} were unsettled"
        taken = self.taken(since_ns, until_ns)
        return Report(records=taken, delivered=taken, duplicates=found)

    def judge(self, allowed: int) -> Report:
        """The verdict on all of it, drained. Raises AssertionError with all violations."""
        found = judge(
            self._records, self._requests, self._committed, self._ends, duplicates=allowed, classes=event_class
        ).require()
        assert found.pending == 0, found.summary()
        return found
