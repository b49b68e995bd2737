"""What the demo tells while it runs: one line when tidegate changes what it does, whatever else is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.demo.report import WHAT
from tidegate.pressure.orders import Rung
from tidegate.types import CLASSES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidegate.demo.gauge import Pulse

WIDTH = 80
SHED = 0.95  # of a class: where less is let in, it is named
WORDS = {
    Rung.SAMPLE: "of some events only a share is delivered, with its weight",
    Rung.HOLD: "no more can be buffered or parked: the topic waits in Kafka",
    Rung.PAUSE: "memory is short: what was fetched ahead is given back",
}


def rung_line(pulse: Pulse) -> str:
    """What the rung means now, with the numbers that matter; at most 80 columns."""
    head = f"rung {pulse.rung.name}: "
    match pulse.rung:
        case Rung.NORMAL if pulse.parked:
            return f"{head}the rush is over; {pulse.parked:,} parked events come back as there is room"
        case Rung.NORMAL:
            return f"{head}the rush is over, and nothing is parked"
        case Rung.DEFER:
            head += f"{sum(pulse.offered):,.0f}/s come"
            head += f", the shop takes {pulse.service:,.0f}" if pulse.service is not None else ""
            shed = [WHAT[klass] for klass, keep in zip(CLASSES, pulse.keep, strict=True) if keep < SHED]
            whole = f"{head}: {', '.join(reversed(shed)) or 'nothing'} parked"
            return whole if len(whole) <= WIDTH else f"{head}: some are parked"
    return head + WORDS[pulse.rung]


class Story:
    """Turns what the gauge has seen into the lines that are worth one."""

    def __init__(self) -> None:
        self._rung = Rung.NORMAL
        self._most_parked = 0

    def lines(self, pulse: Pulse | None) -> Iterator[str]:
        """What `Gauge.look` has found."""
        if pulse is None:
            return
        self._most_parked = max(self._most_parked, pulse.parked)
        if pulse.rung is not self._rung:
            self._rung = pulse.rung
            yield rung_line(pulse)
        if pulse.parked == 0:
            yield from self.emptied()

    def emptied(self) -> list[str]:
        """Nothing is parked any more. Said once each time."""
        most, self._most_parked = self._most_parked, 0
        return [f"replay: the last of {most:,} parked events has come back"] if most else []
