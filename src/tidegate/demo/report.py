"""What the demo says at its end: a table and a few sentences, or the summary as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from rich import box
from rich.console import Console
from rich.table import Table

from tidegate.types import CLASSES, EventClass

if TYPE_CHECKING:
    from tidegate.demo.generator import Plan

WHAT = {
    EventClass.CRITICAL: "purchases",
    EventClass.HIGH: "checkouts",  # and carts
    EventClass.NORMAL: "products",  # and searches
    EventClass.BULK: "page views",
}
_TABLE_WIDTH = 80
_STYLES = {EventClass.CRITICAL: "bold", EventClass.BULK: "dim"}


@dataclass(frozen=True, slots=True)
class Row:
    """One class. Counts of events; times in milliseconds, None where there was no event.

    ``offered`` is the generator's count, ``delivered`` the shop's of distinct events; ``held`` and ``lost`` are the
    audit's, as are ``deferred``: parked on their way, and ``parked``: those of the held that still are.
    ``oldest_ms`` is the greatest age that any of them reached, held ones included.
    """

    klass: EventClass
    offered: int
    delivered: int
    held: int
    lost: int
    p50_ms: float | None
    p99_ms: float | None
    oldest_ms: float | None
    deferred: int = 0
    parked: int = 0


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


def table(rows: list[Row]) -> Table:
    """The end: one row per class, 80 columns at most."""
    result = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    result.add_column("class", no_wrap=True)
    result.add_column("events", no_wrap=True)
    for head in ("offered", "deferred", "delivered", "held"):
        result.add_column(head, justify="right", no_wrap=True)
    for head in ("p50", "p99", "max age"):
        result.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        result.add_row(
            row.klass.label,
            WHAT[row.klass],
            f"{row.offered:,}",
            f"{row.deferred:,}",
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
    held, parked = sum(row.held for row in rows), sum(row.parked for row in rows)
    if faults(rows):
        return said  # those are said louder than this
    if any(row.deferred for row in rows):
        said.append(_set_aside(rows, parked))
    if held:
        where = f"{parked:,} of them parked, " if parked else ""
        said.append(
            f"Nothing was lost: the {held:,} events that the shop has not seen are still in Kafka, {where}"
            "not committed, and come next."
        )
    else:
        late = ": what had to wait was worked off after the surge" if plan.peak > capacity and surge_seconds > 0 else ""
        said.append(f"Nothing was dropped and nothing was lost{late}.")
    return said


def _set_aside(rows: list[Row], parked: int) -> str:
    """What was parked, and what became of it."""
    counts = [f"{row.deferred:,} {WHAT[row.klass]}" for row in reversed(rows) if row.deferred]
    what = " and ".join([", ".join(counts[:-1]), counts[-1]] if counts[1:] else counts)
    if not parked:
        fate = "all of them were delivered after the surge"
    else:
        fate = "all" if parked == sum(row.deferred for row in rows) else f"{parked:,}"
        fate += " of them are still there"
    return f"Meanwhile {what} were set aside, parked in a topic of their own; {fate}."


def faults(rows: list[Row], *, misjudged: int = 0, unreadable: int = 0, forgotten: int = 0) -> list[str]:
    """What must never be, one sentence each: events lost, counts that do not add up, orders that had to wait aside,
    what the shop complains of (``misjudged``: events whose class was not the shop's; ``unreadable``: ones that it could
    not read), and a broker that was too small for what was parked (``forgotten``)."""
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
    if rows[EventClass.CRITICAL].deferred:
        found.append(f"{rows[EventClass.CRITICAL].deferred:,} critical events were parked, which must never be.")
    if forgotten:
        found.append(f"The embedded broker has forgotten {forgotten:,} parked records: its partitions were too small.")
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
