"""The demo on a terminal: a picture of 80 by at most 22 that stands still, with the story scrolling above it.

how much comes, over time
by class: what comes, what goes out, what waits where, how late it is
what tidegate does about it, and why
how long purchases wait, with tidegate and in a plain loop
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Self

from rich.console import Group
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from tidegate.demo.report import WHAT, duration
from tidegate.demo.story import SHED, WIDTH, WORDS
from tidegate.pressure.orders import Rung
from tidegate.types import CLASSES, EventClass

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from tidegate.demo.gauge import Pulse
    from tidegate.demo.history import Moment
    from tidegate.demo.plan import Plan

LINES: Final = 22  # of 24: a terminal's own line, and one of the story
_BAR: Final = 34  # columns
_LEAST_MS, _MOST_MS = 1.0, 100_000.0  # of the bars, in powers of ten
_BLOCKS, _PLAIN_BLOCKS = " ▁▂▃▄▅▆▇█", " ..::--##"
_STYLES = {EventClass.CRITICAL: "bold", EventClass.BULK: "dim"}
_REASONS = {
    "ring": "the buffer of {klass} events is full",
    "span": "too many of its offsets are not settled",
    "parking": "the way to the parking topic is full",
    "halted": "a record that cannot be read",
    "budget": "the memory budget is used up",
    "app-down": "the shop is down",
    "operator": "an operator said so",
}


class Live:
    """What is shown on a terminal. The screen is left as it was found, whatever ends it."""

    def __init__(self, console: Console, plan: Plan, *, beside: bool, capacity: float | None) -> None:
        """``beside``: a plain loop runs beside tidegate; ``capacity``: the shop's in events/s, None: not known."""
        self._plan = plan
        self._beside = beside
        self._capacity = capacity
        self._rates: list[tuple[float, float]] = []  # (seconds, events/s)
        self._blocks = _PLAIN_BLOCKS if console.options.ascii_only else _BLOCKS
        self._live = RichLive(console=console, auto_refresh=False, transient=True, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def tell(self, text: str) -> None:
        """One line of the story, above the picture."""
        self._live.console.print(text, style="bold", highlight=False, markup=False, soft_wrap=True)

    def show(self, moment: Moment, pulse: Pulse | None, *, last: bool = False) -> None:
        """A new picture."""
        del last
        self._rates.append((moment.at, sum(moment.offered)))
        self._live.update(self.picture(moment, pulse), refresh=True)

    def picture(self, moment: Moment, pulse: Pulse | None) -> RenderableType:
        """The picture of a moment; at most 80 columns and ``LINES`` lines."""
        parts: list[RenderableType] = [
            Text(""),
            self._head(moment),
            Text(self._stream(), style="cyan", no_wrap=True, end="\n"),
            Text(""),
            _classes(moment),
            Text(""),
            *_doings(moment, pulse),
        ]
        if self._beside:
            parts += [Text(""), *self._waiting(moment)]
        return Group(*parts)

    def _head(self, moment: Moment) -> Text:
        plan = self._plan
        text = Text(no_wrap=True)
        text.append(f"{min(moment.at, plan.seconds):.0f} s of {plan.seconds:g}", style="bold")
        text.append(f"  {plan.phase(moment.at)}", style="bold red" if "sale" in plan.phase(moment.at) else "green")
        text.append(f"  {sum(moment.offered):,.0f} events/s come")
        if self._capacity is not None:
            text.append(f", the shop works off {self._capacity:,.0f}")
        room = WIDTH - text.cell_len - len("Ctrl-C ends it")
        return text.append(" " * room + "Ctrl-C ends it", style="dim") if room > 1 else text

    def _stream(self) -> str:
        """What came, over the whole time; the part that is still to come is as planned."""
        plan, columns = self._plan, []
        for column in range(WIDTH):
            begin, end = (edge * plan.seconds / WIDTH for edge in (column, column + 1))
            seen = [rate for at, rate in self._rates if begin <= at - 0.25 < end]
            if self._rates and begin > self._rates[-1][0]:
                columns.append(".")
                continue
            rate = sum(seen) / len(seen) if seen else plan.rate_at((begin + end) / 2)
            share = min(1.0, rate / max(plan.peak, 1))
            columns.append(self._blocks[max(1, round(share * (len(self._blocks) - 1)))])
        return "".join(columns)

    def _waiting(self, moment: Moment) -> list[Text]:
        assert moment.plain is not None
        head = "How long the purchases of the last seconds waited, half of them and 99 %"
        return [
            Text(head, style="dim"),
            self._bar("tidegate", moment.p50_ms[EventClass.CRITICAL], moment.p99_ms[EventClass.CRITICAL], "green"),
            self._bar("plain loop", moment.plain.p50_ms, moment.plain.p99_ms, "red"),
            Text(
                f"The same stream, a shop like the other; {moment.plain.waiting:,} events wait for that loop.",
                style="dim",
                no_wrap=True,
            ),
        ]

    def _bar(self, name: str, p50: float | None, p99: float | None, style: str) -> Text:
        text = Text(no_wrap=True)
        text.append(f"{name:<12}{duration(p50):>9}{duration(p99):>9}  ", style="bold")
        full, half = (_columns(ms) for ms in (p99, p50))
        solid, light = ("#", "-") if self._blocks is _PLAIN_BLOCKS else ("█", "░")
        text.append(solid * half, style=style)
        return text.append(light * (full - half), style=style)


def _columns(milliseconds: float | None) -> int:
    """How long a bar is, on a scale of powers of ten."""
    if milliseconds is None or milliseconds <= _LEAST_MS:
        return 0
    return min(_BAR, round(_BAR * math.log(milliseconds / _LEAST_MS) / math.log(_MOST_MS / _LEAST_MS)))


def _classes(moment: Moment) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    for head, width in (("class", 8), ("events", 10)):
        table.add_column(head, width=width, no_wrap=True)
    for head, width in (("in/s", 7), ("out/s", 7), ("buffered", 8), ("in flight", 9), ("p50", 7), ("p99", 7)):
        table.add_column(head, width=width, justify="right", no_wrap=True)
    for klass in CLASSES:
        table.add_row(
            klass.label,
            WHAT[klass],
            f"{moment.offered[klass]:,.0f}",
            f"{moment.delivered[klass]:,.0f}",
            f"{moment.buffered[klass]:,}",
            f"{moment.in_flight[klass]:,}",
            duration(moment.p50_ms[klass]),
            duration(moment.p99_ms[klass]),
            style=_STYLES.get(klass),
        )
    return table


def _doings(moment: Moment, pulse: Pulse | None) -> list[Text]:
    """Three lines: what is done, what is held and why, where the events are."""
    if pulse is None:
        return [Text("tidegate has not said anything yet", style="dim"), Text(""), Text("")]
    rung = Text(no_wrap=True)
    rung.append(f"{pulse.rung.name:<7}", style="bold green" if pulse.rung is Rung.NORMAL else "bold yellow")
    shed = [f"{pulse.keep[klass]:.0%} {WHAT[klass]}" for klass in reversed(CLASSES) if pulse.keep[klass] < SHED]
    if pulse.rung is Rung.NORMAL:
        rung.append("everything is let in" + (", and what was parked comes back" if moment.parked else ""))
    elif pulse.rung is Rung.DEFER and shed:
        rung.append(f"lets in {', '.join(shed)}; the rest is parked")
    elif pulse.rung is Rung.DEFER:
        rung.append("there is room for everything again; if that lasts, the parked come back")
    else:
        rung.append(WORDS[pulse.rung])
    held = Text("held   ", style="bold", no_wrap=True)
    if pulse.held:
        reason, klass = pulse.held[0]
        held.append(f"topics: {len(pulse.held)}; {_REASONS.get(reason, reason).format(klass=klass)}", style="not bold")
    else:
        held.append("no topic", style="not bold dim")
    where = Text("waits  ", style="bold", no_wrap=True)
    buffered = sum(pulse.buffered) + sum(pulse.in_flight)
    others = max(0, moment.waiting - moment.parked - buffered)
    busy = f"; the shop is busy {pulse.busy:.0%}" if pulse.busy is not None else ""
    words = f"{moment.parked:,} parked, {buffered:,} in memory, {others:,} in the topic{busy}"
    return [rung, held, where.append(words, style="not bold")]
