"""What the demo shows: a line now and then, a table and a few sentences at the end; or the summary as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from tidegate.types import CLASS_LABELS, CLASSES, EventClass

if TYPE_CHECKING:
    from tidegate.demo.generator import Plan

_WHAT = {
    EventClass.CRITICAL: "purchases",
    EventClass.HIGH: "carts, checkouts",
    EventClass.NORMAL: "items, searches",
    EventClass.BULK: "pages, lists",
}
_TABLE_WIDTH = 80
_STYLES = {EventClass.CRITICAL: "bold", EventClass.BULK: "dim"}


@dataclass(frozen=True, slots=True)
class Row:
    """One class. Counts of events; times in milliseconds, None where there was no event.

    ``offered`` is the generator's count, ``delivered`` the shop's of distinct events; ``held`` and ``lost`` are the
    audit's. ``oldest_ms`` is the greatest age that any of them reached, held ones included.
    """

    klass: EventClass
    offered: int
    delivered: int
    held: int
    lost: int
    p50_ms: float | None
    p99_ms: float | None
    oldest_ms: float | None


def duration(milliseconds: float | None) -> str:
    """``"7 ms"``, ``"1.3 s"``, ``"2m 05s"``; ``"-"`` for None."""
    if milliseconds is None:
        return "-"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1e3
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m {rest:02d}s"


class Progress:
    """Lines while it runs, in columns that fit a terminal of 80."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._headed = False

    def line(self, elapsed: float, phase: str, rates: tuple[float, float], waiting: int, stats: dict[str, Any]) -> None:
        """``rates``: events per second offered and worked off since the last line; ``stats``: the shop's."""
        if not self._headed:
            self._headed = True
            heads = "".join(f"{label:>9}" for label in CLASS_LABELS)
            self._print(f"{'':>6}  {'':<10}{'events/s':>14}  {'events':>7}   how late they come in now", "dim")
            self._print(f"{'time':>6}  {'':<10}{'in':>7}{'out':>7}  {'waiting':>7}{heads}", "dim")
        late = "".join(f"{duration(stats['classes'][label]['recent_ms']):>9}" for label in CLASS_LABELS)
        offered, worked = rates
        self._print(f"{elapsed:>4.0f} s  {phase:<10}{offered:>7,.0f}{worked:>7,.0f}  {waiting:>7,}{late}")

    def _print(self, text: str, style: str | None = None) -> None:
        self._console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def table(rows: list[Row]) -> Table:
    """The end: one row per class, 80 columns at most."""
    result = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    result.add_column("class", no_wrap=True)
    result.add_column("events", no_wrap=True)
    for head in ("offered", "delivered", "held"):
        result.add_column(head, justify="right", no_wrap=True)
    for head in ("p50", "p99", "max age"):
        result.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        result.add_row(
            row.klass.label,
            _WHAT[row.klass],
            f"{row.offered:,}",
            f"{row.delivered:,}",
            f"{row.held:,}",
            duration(row.p50_ms),
            duration(row.p99_ms),
            duration(row.oldest_ms),
            style=_STYLES.get(row.klass),
        )
    return result


def print_table(console: Console, rows: list[Row]) -> None:
    """Prints it whole: on a narrower terminal its lines break, but figures are not cut off."""
    if console.width < _TABLE_WIDTH:
        console = Console(file=console.file, width=_TABLE_WIDTH, highlight=False)
    console.print(table(rows))


def explanation(rows: list[Row], plan: Plan, capacity: float, elapsed: float) -> list[str]:
    """Two or three sentences on what the table means, as far as it really happened.

    ``capacity``: the shop's, in events per second; ``elapsed``: seconds of the plan that passed.
    """
    critical, bulk = rows[EventClass.CRITICAL], rows[EventClass.BULK]
    surge_seconds = min(elapsed, plan.surge_until) - plan.surge_from
    said = []
    if surge_seconds <= 0:
        said.append("It ended before the surge began.")
    elif plan.peak > capacity:
        said.append(
            f"For {duration(surge_seconds * 1e3)} the shop was offered {plan.peak:,.0f} events/s, and it can work off "
            f"{capacity:,.0f}."
        )
    else:
        said.append(f"The shop can work off {capacity:,.0f} events/s and was never offered more: nobody had to wait.")
    if (
        surge_seconds > 0
        and critical.p99_ms is not None
        and bulk.p99_ms is not None
        and bulk.p99_ms > 3 * critical.p99_ms
    ):
        said.append(
            f"The orders went first: 99 % of them were worked off within {duration(critical.p99_ms)}, "
            f"while page views waited up to {duration(bulk.oldest_ms)}."
        )
    held = sum(row.held for row in rows)
    if faults(rows):
        return said  # those are said louder than this
    if held:
        said.append(
            f"Nothing was lost: the {held:,} events that the shop has not seen are still in Kafka, not committed, "
            "and come next."
        )
    else:
        late = ": what had to wait was worked off after the surge" if plan.peak > capacity and surge_seconds > 0 else ""
        said.append(f"Nothing was dropped and nothing was lost{late}.")
    return said


def faults(rows: list[Row], *, misjudged: int = 0, unreadable: int = 0) -> list[str]:
    """What must never be, one sentence each: events lost, counts that do not add up, and what the shop complains of
    (``misjudged``: events whose class was not the shop's; ``unreadable``: ones that it could not read)."""
    found = []
    for row in rows:
        if row.lost:
            found.append(
                f"{row.lost:,} {row.klass.label} events were LOST: the shop never saw them, and Kafka will not give "
                "them again."
            )
        if row.offered != row.delivered + row.held + row.lost:
            found.append(
                f"The {row.klass.label} events do not add up: {row.offered:,} offered, {row.delivered:,} delivered, "
                f"{row.held:,} held."
            )
    if misjudged:
        found.append(f"{misjudged:,} events came in a class that is not the shop's.")
    if unreadable:
        found.append(f"{unreadable:,} events could not be read by the shop.")
    return found


def as_json(summary: dict[str, Any], rows: list[Row]) -> str:
    """tidegate's summary with the generator's and the shop's counts in it: one line.

    ``delivered`` is the shop's own count of distinct events in place of tidegate's.
    """
    classes = {}
    for row in rows:
        label = row.klass.label
        classes[label] = summary["classes"][label] | {
            "offered": row.offered,
            "delivered": row.delivered,
            "held": row.held,
            "p50_ms": _rounded(row.p50_ms),
            "p99_ms": _rounded(row.p99_ms),
        }
    assert len(classes) == len(CLASSES)
    return orjson.dumps(summary | {"classes": classes}).decode()


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)
