"""The demo without a terminal that can be drawn on: a line of figures now and then, in columns that fit 80."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from tidegate.demo.report import duration
from tidegate.types import EventClass

if TYPE_CHECKING:
    from rich.console import Console

    from tidegate.demo.gauge import Pulse
    from tidegate.demo.history import Moment
    from tidegate.demo.plan import Plan

_LINES = 15  # about, over the whole time
_SLOWEST_SECONDS = 15.0


class Lines:
    """What is shown to a file, a pipe or a narrow terminal."""

    def __init__(self, console: Console, plan: Plan, *, beside: bool) -> None:
        """``beside``: a plain loop runs beside tidegate."""
        self._console = console
        self._plan = plan
        self._beside = beside
        self._interval = min(max(plan.seconds / _LINES, 1.0), _SLOWEST_SECONDS)
        self._headed = False
        self._pending: list[Moment] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, text: str) -> None:
        """One line of the story."""
        self._print(text, "bold")

    def show(self, moment: Moment, pulse: Pulse | None, *, last: bool = False) -> None:
        """A moment; shown when it is time for a line, or when it is the last."""
        self._pending.append(moment)
        begun = self._pending[0].at
        if last or moment.at - begun >= self._interval - 1e-9:
            self._line(moment, known=pulse is not None)
            self._pending = [moment]

    def _line(self, now: Moment, *, known: bool) -> None:
        if not self._headed:
            self._headed = True
            plain = "plain loop" if self._beside else ""
            self._print(f"{'':<18}{'events/s':>14}{'events':>16}{'how late now':^22}{plain:>10}", "dim")
            plain = "purchases" if self._beside else ""
            heads = f"{'in':>7}{'out':>7}{'waiting':>8}{'parked':>8}{'purchases':>11}{'page views':>11}{plain:>10}"
            self._print(f"{'time':>6}  {'':<10}{heads}", "dim")
        since = self._pending[1:] or self._pending
        offered = sum(sum(moment.offered) for moment in since) / len(since)
        delivered = sum(sum(moment.delivered) for moment in since) / len(since)
        # Of the middle of what the line tells: it is about the time that has passed.
        phase = self._plan.phase((self._pending[0].at + now.at) / 2)
        purchases, views = now.p50_ms[EventClass.CRITICAL], now.p50_ms[EventClass.BULK]
        parked = f"{now.parked:,}" if known else "-"
        text = f"{now.at:>4.0f} s  {phase:<10}{offered:>7,.0f}{delivered:>7,.0f}{now.waiting:>8,}{parked:>8}"
        text += f"{duration(purchases):>11}{duration(views):>11}"
        text += f"{duration(now.plain.p50_ms):>10}" if now.plain is not None else ""
        self._print(text)

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)
