"""When the shed law is let act, and until when.

It engages when the rates say that something has to give, for three looks on end, *and* something already suffers: a
ring of a class that may be shed is over half full, or the work in it and in those above takes longer than the class's
age budget; the read head is older than the tightest age budget among the classes of its lane; or half of the offsets
that may be unsettled are so. It disengages after three seconds in which
nothing would have been shed and no lane that waits in Kafka was behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tidegate.pressure.shed import Share
from tidegate.pressure.signals import View

KEEP = 0.95
LOOKS = 3
CALM_SECONDS = 3.0
RING = 0.5
SPAN = 0.5


class Cause(StrEnum):
    """What suffers."""

    RING = "ring"
    DELAY = "delay"
    AGE = "age"
    SPAN = "span"


@dataclass(frozen=True, slots=True)
class Strain:
    """Attributes:
    value: the worst of them, of its mark: 1 is the mark itself.
    """

    cause: Cause
    value: float


def strain(view: View, sheddable: Sequence[bool], age_budgets: Sequence[float]) -> Strain:
    """What is nearest to its mark, or furthest over it.

    Args:
        sheddable: by class.
        age_budgets: seconds, by class.
    """
    found = [Strain(Cause.RING, fill / RING) for fill, shed in zip(view.rings, sheddable, strict=True) if shed]
    ahead = 0.0
    for queued, seconds, shed in zip(view.queued, age_budgets, sheddable, strict=True):
        ahead += queued
        if shed and view.service:
            found.append(Strain(Cause.DELAY, ahead / view.service / seconds))
    for lane in view.lanes.values():
        found.append(Strain(Cause.SPAN, lane.span / SPAN))
        tightest = min((age_budgets[k] for k, part in enumerate(lane.classes) if part > 0), default=None)
        if tightest is not None:
            found.append(Strain(Cause.AGE, lane.age / tightest))
    return max(found, key=lambda one: one.value, default=Strain(Cause.RING, 0.0))


class Engagement:
    """Whether the law acts, over time."""

    def __init__(self) -> None:
        self._short_looks = 0
        self._calm_since: float | None = None
        self.engaged = False

    def update(self, now: float, shares: Sequence[Share], strain: Strain) -> None:
        """One look. `shares` are what the law would do now."""
        keep = min((share.keep for share in shares), default=1.0)
        self._short_looks = self._short_looks + 1 if keep < KEEP else 0
        if keep < 1.0 or any(share.behind for share in shares):
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        if not self.engaged and self._short_looks >= LOOKS and strain.value >= 1.0:
            self.engaged = True

    def calm(self, now: float) -> bool:
        """Nothing would have been shed, and nothing was behind, for three seconds."""
        return self._calm_since is not None and now - self._calm_since >= CALM_SECONDS

    def step(self, now: float) -> None:
        """A rung was let go: the next calm begins now."""
        if self._calm_since is not None:
            self._calm_since = now
