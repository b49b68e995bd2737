"""What the demo tells while it runs: a line of figures now and then, and one when tidegate changes what it does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidegate.demo.report import WHAT, duration
from tidegate.pressure.orders import Rung
from tidegate.types import CLASS_LABELS, CLASSES

if TYPE_CHECKING:
    from rich.console import Console

    from tidegate.demo.gauge import Pulse

WIDTH = 80
_SHED = 0.95  # of a class: less is let in, and the line names it
_WORDS = {
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
            head += f"{pulse.offered:,.0f}/s come"
            head += f", the shop takes {pulse.service:,.0f}" if pulse.service is not None else ""
            shed = [WHAT[klass] for klass, keep in zip(CLASSES, pulse.keep, strict=True) if keep < _SHED]
            whole = f"{head}: {', '.join(reversed(shed)) or 'nothing'} parked"
            return whole if len(whole) <= WIDTH else f"{head}: some are parked"
    return head + _WORDS[pulse.rung]


class Progress:
    """Lines in columns that fit a terminal of 80."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._headed = False
        self._rung = Rung.NORMAL
        self._parked: int | None = None
        self._most_parked = 0

    def line(self, elapsed: float, phase: str, rates: tuple[float, float], waiting: int, stats: dict[str, Any]) -> None:
        """``rates``: events per second offered and worked off since the last line; ``waiting``: those that the shop has
        not worked off, parked ones among them; ``stats``: the shop's."""
        if not self._headed:
            self._headed = True
            heads = "".join(f"{label:>7}" for label in CLASS_LABELS[1:])
            self._print(f"{'':<18}{'events/s':>14}{'events':>16}{'how late they come in now':>30}", "dim")
            self._print(
                f"{'time':>6}  {'':<10}{'in':>7}{'out':>7}{'waiting':>8}{'parked':>8}{'critical':>9}{heads}", "dim"
            )
        first, *others = (duration(stats["classes"][label]["recent_ms"]) for label in CLASS_LABELS)
        late = f"{first:>9}" + "".join(f"{other:>7}" for other in others)
        # The shop's word is newer than the one of /metrics.
        parked = "-" if self._parked is None else f"{min(self._parked, waiting):,}"
        offered, worked = rates
        self._print(f"{elapsed:>4.0f} s  {phase:<10}{offered:>7,.0f}{worked:>7,.0f}{waiting:>8,}{parked:>8}{late}")

    def pulse(self, pulse: Pulse | None) -> None:
        """What `Gauge.look` has found."""
        if pulse is None:
            return
        self._parked = pulse.parked
        self._most_parked = max(self._most_parked, pulse.parked)
        if pulse.rung is not self._rung:
            self._rung = pulse.rung
            self._print(rung_line(pulse), "bold")
        if pulse.parked == 0:
            self.emptied()

    def emptied(self) -> None:
        """Nothing is parked any more. Said once each time."""
        if self._most_parked:
            self._print(f"replay: the last of {self._most_parked:,} parked events has come back", "bold")
        self._parked = None if self._parked is None else 0
        self._most_parked = 0

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
