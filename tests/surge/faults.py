"""Faults that are planted to see whether the checks find them."""

from __future__ import annotations

import math
from dataclasses import replace

from surge.brains import Look, Tidegate
from surge.scenario import Scenario
from tidegate.pressure.ladder import Ladder
from tidegate.pressure.notches import NOTCHES
from tidegate.pressure.shed import Rest, Share


class ShedsCritical(Tidegate):
    def tick(self, now: float, look: Look) -> None:
        super().tick(now, look)
        if self.ladder.rung:
            self.sheds = (replace(self.sheds[0], keep=0.9, rest=Rest.PARK), *self.sheds[1:])


class SamplesHigh(Tidegate):
    def tick(self, now: float, look: Look) -> None:
        super().tick(now, look)
        self.sheds = tuple(
            replace(shed, rest=Rest.DROP) if klass == 1 and shed.keep < 1 else shed
            for klass, shed in enumerate(self.sheds)
        )


class Underrates(Tidegate):
    """Service seen a third too low: the app idles."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        inner = self.signals.update
        self.signals.update = lambda *args: replace(  # type: ignore[method-assign]
            seen := inner(*args), service=None if seen.service is None else 0.65 * seen.service
        )


class HidesDemand(Tidegate):
    """Counts behind the gate instead of before it."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._behind: dict[int, list[float]] = {}
        self._before: dict[int, tuple[int, ...]] = {}

    def tick(self, now: float, look: Look) -> None:
        lanes = {}
        for key, lane in look.counts.lanes.items():
            behind = self._behind.setdefault(key, [0.0] * 4)
            before = self._before.get(key, (0,) * 4)
            for klass, polled in enumerate(lane.polled):
                behind[klass] += (polled - before[klass]) * self.sheds[klass].keep
            self._before[key] = tuple(lane.polled)
            lanes[key] = replace(lane, polled=tuple(round(n) for n in behind), end=None)
        super().tick(now, replace(look, counts=replace(look.counts, lanes=lanes)))


class ForgetsTheHeld(Tidegate):
    """Knows nothing of end offsets: what is not read is not wanted."""

    def tick(self, now: float, look: Look) -> None:
        lanes = {key: replace(lane, end=None) for key, lane in look.counts.lanes.items()}
        super().tick(now, replace(look, counts=replace(look.counts, lanes=lanes)))


class QueueForAll(Tidegate):
    """The law as it was first written: the queue of one class is charged to those above it as well."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        law = self.ladder._law

        def charged(view, rests):  # type: ignore[no-untyped-def]
            queued = sum(view.queued[1:])
            return law(replace(view, queued=(view.queued[0], queued, 0, 0)), rests)

        self.ladder._law = charged  # type: ignore[method-assign]


class OneNotch(Tidegate):
    """Only ever the notch below the law's share."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        for notch in self.ladder._notches:
            update = notch.update
            notch.update = lambda now, keep, queued, room=1.0, update=update: update(now, keep, 2.0, room)  # type: ignore[method-assign]


class SlowRelax(Tidegate):
    """A share rises by one notch in three seconds, in DEFER as well."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._keeps, self._since = [1.0] * 4, [-math.inf] * 4

    def tick(self, now: float, look: Look) -> None:
        super().tick(now, look)
        for klass, shed in enumerate(self.sheds):
            keep = self._keeps[klass]
            if shed.keep <= keep:
                self._keeps[klass], self._since[klass] = shed.keep, now
            elif now - self._since[klass] >= 3:
                raised = next((notch for notch in reversed(NOTCHES) if notch > keep), 1.0)
                self._keeps[klass], self._since[klass] = min(shed.keep, raised), now
        self.sheds = tuple(replace(shed, keep=keep) for shed, keep in zip(self.sheds, self._keeps, strict=True))


class BusyByRecords(Tidegate):
    """Utilisation by records only: slots full of small batches pass for an idle app."""

    def tick(self, now: float, look: Look) -> None:
        service = replace(look.counts.service, busy_seconds=look.busy_by_records)
        super().tick(now, replace(look, counts=replace(look.counts, service=service)))


class AlwaysOverflows(Tidegate):
    """A full ring's overflow is parked on every rung."""

    def tick(self, now: float, look: Look) -> None:
        super().tick(now, look)
        self.sheds = tuple(replace(shed, overflow=shed.rest is not None) for shed in self.sheds)


class NoHeadroom(Tidegate):
    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.ladder = Ladder(replace(self.ladder._settings, headroom=0.0))


class NeverEngages(Tidegate):
    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.ladder._law = lambda view, rests: (Share(),) * 4  # type: ignore[method-assign]

    def tick(self, now: float, look: Look) -> None:
        super().tick(now, look)
        self.sheds = tuple(replace(shed, overflow=False) for shed in self.sheds)


# fault → scenario and seed in which it shows, and a word of what is then said
FAULTS: dict[type[Tidegate], tuple[str, int, str]] = {
    ShedsCritical: ("overload", 0, "critical records were shed"),
    SamplesHigh: ("unknown", 1, "high records were dropped"),
    Underrates: ("unknown", 1, "utilisation"),
    HidesDemand: ("halved", 1, "demand"),
    ForgetsTheHeld: ("walled", 0, "demand"),
    QueueForAll: ("halved", 2, "high was parked"),
    OneNotch: ("between", 0, "utilisation"),
    SlowRelax: ("halved", 0, "utilisation"),
    BusyByRecords: ("overload", 7, "service"),
    AlwaysOverflows: ("fast", 0, "parked"),
    NoHeadroom: ("halved", 2, "while replaying"),
    NeverEngages: ("overload", 0, "critical p99"),
}
