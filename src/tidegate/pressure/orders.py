"""What the ladder is told, what it answers, and who carries that out.

Settings, Parking ─► ladder ─► Orders ─► hold.py's decisions are filtered by them (tidegate.control)
                                  └────► Actuator: shed (the gate), replay (the parking topic)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Protocol

from tidegate.pressure.parking import HEADROOM, Parking
from tidegate.pressure.policy import Policy
from tidegate.pressure.shed import Shed
from tidegate.pressure.signals import View
from tidegate.types import EventClass, LaneState


class Rung(IntEnum):
    """Each includes those before it."""

    NORMAL = 0
    DEFER = 1
    SAMPLE = 2
    HOLD = 3
    PAUSE = 4

    @property
    def label(self) -> str:
        """The name in settings, metrics and on the command line: ``"normal"`` and so on."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Settings:
    """What the operator chose.

    Attributes:
        policies: by class.
        age_budgets: seconds, by class.
        highest: TIDEGATE_LADDER_MAX. Below HOLD nothing is held early; a full ring still stops its lane.
        headroom: TIDEGATE_REPLAY_HEADROOM, a share.
        parking_seconds: TIDEGATE_PARKING_MAX_SECONDS.
    """

    policies: tuple[Policy, ...]
    age_budgets: tuple[float, ...]
    highest: Rung = Rung.PAUSE
    headroom: float = HEADROOM
    parking_seconds: float = 3600.0

    def without_sampling(self) -> Settings:
        """The same, where nothing can sample."""
        return replace(self, policies=tuple(replace(policy, sample=False) for policy in self.policies))


@dataclass(frozen=True, slots=True)
class Change:
    """From one rung to another, and the numbers that caused it."""

    before: Rung
    after: Rung
    numbers: Mapping[str, float | str] = field(hash=False)


@dataclass(frozen=True, slots=True)
class Orders:
    """What is to be done until the next look.

    Attributes:
        sheds: by class.
        replay: records/s that may be read from the parking topic.
        may_hold, may_pause: whether hold.py's decisions are to be carried out.
        hold_all, pause_all: the operator forced HOLD or PAUSE: every lane that can wait is to be held (and paused).
        keep: the law's share by class, whether it acts or not (for metrics).
        change: of the rung; None: it is as before.
    """

    rung: Rung
    sheds: tuple[Shed, ...]
    replay: float
    may_hold: bool
    may_pause: bool
    hold_all: bool
    pause_all: bool
    keep: tuple[float, ...]
    change: Change | None


@dataclass(frozen=True, slots=True)
class ParkingState:
    """Figures of parking, replay and sampling, for metrics.

    Attributes:
        topic: None: nothing is parked.
        failures: records that Kafka did not take, by reason; each try counts.
        returned: of these, those that were delivered instead.
        repeated: tries beyond the first.
        renewed: clients put into the place of one that had failed for good.
        bytes: with the producer.
        fill: how full it is, 0 to 1.
        replay_rate: records/s that may come back now.
        errors: predicted relative error of the counts of classes that are sampled.
        evicted: records that were parked out of a ring.
    """

    topic: str | None = None
    failures: Mapping[str, int] = field(default_factory=dict, hash=False)
    returned: int = 0
    repeated: int = 0
    bytes: int = 0
    fill: float = 0.0
    replay_rate: float = 0.0
    errors: Mapping[EventClass, float] = field(default_factory=dict, hash=False)
    evicted: int = 0
    renewed: int = 0


class Actuator(Protocol):
    """Who carries out what is decided here, once a tick, on the event loop's thread: the gate and the producer.

    Each call replaces what was ordered before; the same again changes nothing. None of them waits, or raises.

    Attributes:
        samples: it can drop what a class's `Shed.rest` says is to be dropped.
    """

    samples: bool

    def parking(self, lanes: Sequence[LaneState]) -> Parking:
        """The parking topic as it is now. Where it is not available, nothing will be ordered to be parked."""
        ...

    def shed(self, sheds: Sequence[Shed]) -> None:
        """By class: which records are let in (`Shed.threshold`), and what becomes of the rest and of overflow."""
        ...

    def relieve(self, lanes: Sequence[LaneState]) -> None:
        """Parks what waits in the rings where it keeps a partition's span full, of classes whose overflow is parked.
        `lanes` are of this look."""
        ...

    def replay(self, records_per_second: float) -> None:
        """How fast the parking topic may be read; 0: not at all."""
        ...

    def settle(self) -> None:
        """Looks after what is being parked."""
        ...

    def state(self) -> ParkingState:
        """Figures for metrics."""
        ...


class NoActuator:
    """Without gate and producer: nothing can be parked or sampled, so the ladder has NORMAL, HOLD and PAUSE."""

    samples = False

    def parking(self, lanes: Sequence[LaneState]) -> Parking:
        """Not there."""
        return Parking()

    def shed(self, sheds: Sequence[Shed]) -> None:
        """Everything is let in."""

    def relieve(self, lanes: Sequence[LaneState]) -> None:
        """Nothing can be parked."""

    def replay(self, records_per_second: float) -> None:
        """Nothing is parked."""

    def settle(self) -> None:
        """Nothing is being parked."""

    def state(self) -> ParkingState:
        """Nothing."""
        return ParkingState()


@dataclass(frozen=True, slots=True)
class Pressure:
    """How things stand, for metrics and for people.

    Attributes:
        forced: the operator's; None: it is decided.
        highest: TIDEGATE_LADDER_MAX.
        keep: the law's share by class, whether it acts or not.
        changes: how often each rung was come to, from below or from above.
        view: of the last look; None: there was none yet.
        parking, state: of the parking topic.
        emptying_seconds: how long its records will take to come back, at the usual load; inf: for ever.
        forced_replay: records/s that the operator set; None: it is decided.
    """

    rung: Rung
    forced: Rung | None
    highest: Rung
    keep: tuple[float, ...]
    changes: Mapping[Rung, int]
    view: View | None
    parking: Parking = field(default_factory=Parking)
    state: ParkingState = field(default_factory=ParkingState)
    emptying_seconds: float = 0.0
    forced_replay: float | None = None
