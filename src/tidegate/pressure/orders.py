"""What the ladder is told and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from tidegate.pressure.parking import HEADROOM
from tidegate.pressure.policy import Policy
from tidegate.pressure.shed import Shed


class Rung(IntEnum):
    """Each includes those before it."""

    NORMAL = 0
    DEFER = 1
    SAMPLE = 2
    HOLD = 3
    PAUSE = 4


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
