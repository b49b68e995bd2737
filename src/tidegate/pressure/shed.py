"""The shed law: how much of each class is let in, so that what is let in is what the app can take.

    left   = μ̂ (1 + d*/H) - Σ_protected (λ̂ + Q/H)
    then, class by class, the highest first:  left -= Q/H;  keep = min(1, (left + μ̂ (d - d*)/H)/λ̂);  left -= keep λ̂

Rate balance with a correction by the queues (the family of Spark's and Cinnamon's controllers, with DAGOR's cut by
priority): protected classes get what they bring and what they have waiting within `H`; what is left is given to the
classes that may be shed, and their queue is led to `d` of work: `d*`, because an empty one would let the app idle, and
two seconds for high, because it waits better there than for minutes in the parking topic. λ̂ are records/s before any
shedding, μ̂ the target's records/s, Q records that wait in rings. A queue is charged to its own class and those below,
never to those above, which overtake it: docs/adr/0011-the-shed-law-as-measured.md.

Of a class's share, lanes that can wait in Kafka get a *rate* to be read at instead of a share to be parked: Kafka is
their parking place. What nobody asked for goes to their backlogs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tidegate.types import EventClass

H_SECONDS = 1.0
TARGET_DELAY_SECONDS = 0.25  # d*
HIGH_DELAY_SECONDS = 2.0  # d of high: less than half of its age budget
RANDOMNESS_BITS = 56  # of a record's R


class Rest(StrEnum):
    """What happens to records that are not let in."""

    PARK = "park"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Shed:
    """What becomes of one class.

    Attributes:
        keep: the share that is let in, 0 to 1; chosen by the sampling key's hash, so a session stays together.
        rest: what happens to the others; None: the class is protected, there are none.
        overflow: what a full ring turns away is parked; otherwise it holds its lane. Never before the law acts: a ring
            that is full because reading is faster than a fast app is no pressure. Dropping it would bias samples.
        rate: records/s that lanes which can wait in Kafka may bring together; None: as many as they like.
    """

    keep: float = 1.0
    rest: Rest | None = None
    overflow: bool = False
    rate: float | None = None

    @property
    def threshold(self) -> int:
        """T = (1 - keep)·2⁵⁶: a record is let in where its R ≥ T. 0: every one; 2⁵⁶: none."""
        return (1 << RANDOMNESS_BITS) - round(self.keep * (1 << RANDOMNESS_BITS))


@dataclass(frozen=True, slots=True)
class Demand:
    """One class, as the law sees it.

    Attributes:
        offered: records/s at the gate, before it; of lanes that do not wait.
        queued: records in the ring.
        sheddable: may be shed now.
        waiting: records/s offered by lanes that can wait in Kafka.
        lag: records behind in those lanes.
    """

    offered: float
    queued: float
    sheddable: bool
    waiting: float = 0.0
    lag: float = 0.0


@dataclass(frozen=True, slots=True)
class Share:
    """What one class gets.

    Attributes:
        keep: 0 to 1; 1 for a protected class and for one that brings nothing.
        rate: records/s for its lanes that can wait in Kafka.
        behind: that is less than they could bring within `H`.
    """

    keep: float = 1.0
    rate: float = 0.0
    behind: bool = False


def shares(service: float, demands: Sequence[Demand]) -> tuple[Share, ...]:
    """The law. `demands` by class, highest first; `service` in records/s."""
    left = service * (1.0 + TARGET_DELAY_SECONDS / H_SECONDS)
    for demand in demands:
        if not demand.sheddable:
            left -= demand.offered + demand.waiting + demand.queued / H_SECONDS
    keeps, rates = [1.0] * len(demands), [demand.waiting for demand in demands]
    for index, demand in enumerate(demands):
        if demand.sheddable:
            left -= demand.queued / H_SECONDS
            asked = demand.offered + demand.waiting
            more = HIGH_DELAY_SECONDS - TARGET_DELAY_SECONDS if index == EventClass.HIGH else 0.0
            if asked > 0:
                keeps[index] = min(1.0, max(0.0, left + service * more / H_SECONDS) / asked)
                rates[index] = keeps[index] * demand.waiting
                left -= keeps[index] * asked
    behind = []
    for index, demand in enumerate(demands):
        more = min(max(0.0, left), demand.lag / H_SECONDS)
        rates[index] += more
        left -= more
        behind.append(more < demand.lag / H_SECONDS)
    return tuple(map(Share, keeps, rates, behind))
