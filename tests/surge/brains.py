"""Who decides: one interface for tidegate's own code and for what it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from surge.scenario import Scenario
from tidegate.core.schedule import AGE_BUDGET_SECONDS
from tidegate.pressure.hold import Holds, Lane, Levels
from tidegate.pressure.ladder import Ladder, standing
from tidegate.pressure.marks import Level
from tidegate.pressure.orders import Change, Rung, Settings
from tidegate.pressure.parking import Parking
from tidegate.pressure.policy import DEFAULTS, policies
from tidegate.pressure.shed import Shed
from tidegate.pressure.signals import Counts, Signals, View
from tidegate.types import CLASSES


@dataclass(slots=True)
class Look:
    """What can be seen at a tick."""

    wall: float
    counts: Counts
    parking: Parking
    levels: tuple[Level, ...]  # rings
    buffered: Level
    lanes: dict[int, Lane]
    delays: list[tuple[float, int, int]]  # seconds in the ring, class, records: dispatched since the last look
    read: tuple[int, ...]  # by class, since the last look
    busy_by_records: float  # as service.busy_seconds, without a look at the requests


class Brain(Protocol):
    """Decides at every tick; the world obeys `sheds`, `held` and `replay`."""

    name: str
    fifo: bool  # the oldest first, whatever its class
    sheds: tuple[Shed, ...]
    held: set[int]
    replay: float

    def tick(self, now: float, look: Look) -> None: ...
    def drops(self, now: float, waited: float) -> bool:
        """Whether a record that waited so long is dropped where it would be dispatched."""
        ...


class Tidegate:
    """The real code: signals, ladder, holds."""

    name = "tidegate"
    fifo = False

    def __init__(self, scenario: Scenario) -> None:
        texts = {klass: scenario.on_pressure.get(klass, DEFAULTS[klass]) for klass in CLASSES}
        self.ladder = Ladder(Settings(policies(texts), AGE_BUDGET_SECONDS))
        self.signals = Signals()
        self.holds = Holds()
        self.sheds = (Shed(),) * len(CLASSES)
        self.held: set[int] = set()
        self.replay = 0.0
        self.changes: list[tuple[float, Change]] = []
        self.view: View | None = None
        self._forced = list(scenario.forced)

    def tick(self, now: float, look: Look) -> None:
        while self._forced and self._forced[0][0] <= now:
            rung = self._forced.pop(0)[1]
            self.ladder.force(None if rung is None else Rung(rung))
        self.view = view = self.signals.update(now, look.wall, look.counts)
        held, paused = standing(look.lanes, self.holds)
        orders = self.ladder.decide(now, view, look.parking, held=held, paused=paused)
        self.sheds, self.replay = orders.sheds, orders.replay
        if orders.change is not None:
            self.changes.append((now, orders.change))
        self.holds.decide(
            now,
            Levels(
                rings=look.levels, buffered=look.buffered, memory=Level(look.buffered.share * 0.75, 1.0),
                span=Level(0, 1), app_down=False, lanes=look.lanes,
            ),
        )  # fmt: skip
        self.held = {
            key for key, lane in look.lanes.items()
            if (orders.may_hold and self.holds.reason(key)) or (orders.hold_all and lane.deferrable)
        }  # fmt: skip

    def drops(self, now: float, waited: float) -> bool:
        return False
