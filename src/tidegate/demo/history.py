"""What was seen while the demo ran, moment by moment: for the live view now and for the pictures at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tidegate.pressure.orders import Rung
from tidegate.types import CLASSES, EventClass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidegate.demo.gauge import Pulse

STEP_SECONDS: Final = 0.5

Ages = tuple[float | None, ...]  # milliseconds by class


@dataclass(frozen=True, slots=True)
class Plain:
    """The plain loop at one moment: events that wait, and how late the purchases of the last seconds came."""

    waiting: int
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Moment:
    """``at``: seconds since the plan began. Tuples are by class.

    Attributes:
        offered, delivered: events/s since the moment before.
        p50_ms, p99_ms: how old those of the last seconds were when they were worked off.
        buffered, in_flight: events in tidegate's memory, without and with a request.
        waiting: events that the app has not worked off, wherever they are.
        plain: None where no plain loop runs.
    """

    at: float
    offered: tuple[float, ...]
    delivered: tuple[float, ...]
    p50_ms: Ages
    p99_ms: Ages
    buffered: tuple[int, ...]
    in_flight: tuple[int, ...]
    waiting: int
    parked: int
    rung: Rung
    plain: Plain | None


class History:
    """Moments in their order, half a second apart."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self._at = 0.0
        self._offered: Sequence[int] = (0,) * len(CLASSES)
        self._delivered: Sequence[int] = (0,) * len(CLASSES)

    def add(
        self,
        at: float,
        offered: Sequence[int],
        stats: dict[str, Any],
        pulse: Pulse | None,
        plain: dict[str, Any] | None,
    ) -> Moment | None:
        """Looks at the counts; None: it is too early for another moment.

        Args:
            offered: events by class so far.
            stats: the app's, as ``Witness.stats``.
            pulse: tidegate's last word; None: it has said nothing yet.
            plain: the stats of the plain loop's shop.
        """
        passed = at - self._at
        if passed < STEP_SECONDS:
            return None
        rows = [stats["classes"][klass.label] for klass in CLASSES]
        delivered = [row["delivered"] for row in rows]
        none = (0,) * len(CLASSES)
        waiting = max(0, sum(offered) - sum(delivered))
        moment = Moment(
            at=at,
            offered=_rates(offered, self._offered, passed),
            delivered=_rates(delivered, self._delivered, passed),
            p50_ms=tuple(row["recent_ms"] for row in rows),
            p99_ms=tuple(row["recent_p99_ms"] for row in rows),
            buffered=pulse.buffered if pulse is not None else none,
            in_flight=pulse.in_flight if pulse is not None else none,
            waiting=waiting,
            # The shop's word is newer than the one of /metrics.
            parked=min(pulse.parked, waiting) if pulse is not None else 0,
            rung=pulse.rung if pulse is not None else Rung.NORMAL,
            plain=_plain(sum(offered), plain) if plain is not None else None,
        )
        self._at, self._offered, self._delivered = at, tuple(offered), delivered
        self.moments.append(moment)
        return moment


def _rates(now: Sequence[int], before: Sequence[int], passed: float) -> tuple[float, ...]:
    return tuple((new - old) / passed for new, old in zip(now, before, strict=True))


def _plain(offered: int, stats: dict[str, Any]) -> Plain:
    purchases = stats["classes"][EventClass.CRITICAL.label]
    delivered = sum(row["delivered"] for row in stats["classes"].values())
    return Plain(max(0, offered - delivered), purchases["recent_ms"], purchases["recent_p99_ms"])
