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
    from tidegate.demo.plan import Plan

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


@dataclass(frozen=True, slots=True)
class PlainRow:
    """One class as the plain loop's shop saw it; ``waiting`` were not worked off at the end."""

    delivered: int
    waiting: int
    p50_ms: float | None
    p99_ms: float | None
    oldest_ms: float | None


def table(rows: list[Row], plain: list[PlainRow] | None = None) -> Table:
    """The end, 80 columns at most: for each class what tidegate made of it and, beneath, the plain loop."""
    result = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for head in ("events", "through"):
        result.add_column(head, no_wrap=True)
    for head in ("offered", "parked", "delivered", "held", "p50", "p99", "max age"):
        result.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        ages = (row.p50_ms, row.p99_ms, row.oldest_ms)
        counts = (f"{row.offered:,}", f"{row.deferred:,}", f"{row.delivered:,}", f"{row.held:,}")
        style = _STYLES.get(row.klass)
        result.add_row(row.klass.label, "tidegate", *counts, *map(duration, ages), style=style)
        if plain is not None:
            other = plain[row.klass]
            ages = (other.p50_ms, other.p99_ms, other.oldest_ms)
            counts = ("", "-", f"{other.delivered:,}", f"{other.waiting:,}")
            result.add_row(f" {WHAT[row.klass]}", "plain loop", *counts, *map(duration, ages), style=style)
    return result


def print_table(console: Console, rows: list[Row], plain: list[PlainRow] | None = None) -> None:
    """Prints it whole: on a narrower terminal its lines break, but figures are not cut off."""
    if console.width < _TABLE_WIDTH:
        console = Console(file=console.file, width=_TABLE_WIDTH, highlight=False)
    console.print(table(rows, plain))


def explanation(
    rows: list[Row], plan: Plan, capacity: float | None, elapsed: float, plain: list[PlainRow] | None = None
) -> list[str]:
    """A few sentences on what the table means, as far as it really happened.

    ``capacity``: the shop's, in events per second, None: the app is not ours, and nobody looks into it; ``elapsed``:
    seconds of the plan that passed.
    """
    critical, bulk = rows[EventClass.CRITICAL], rows[EventClass.BULK]
    above = plan.seconds_above(capacity, elapsed) if capacity is not None else 0.0
    opened = elapsed > plan.surge_from
    said = []
    if not opened:
        said.append("It ended before the sale began.")
    elif capacity is None:
        said.append(f"At its peak the sale brought {plan.peak:,.0f} events/s.")
    elif above:
        said.append(
            f"For {duration(above * 1e3)} more came than the shop can work off ({capacity:,.0f} events/s), "
            f"{plan.peak:,.0f} events/s at the peak."
        )
    else:
        said.append(f"The shop can work off {capacity:,.0f} events/s and was never offered more: nobody had to wait.")
    if (
        opened
        and critical.p99_ms is not None
        and bulk.p99_ms is not None
        and bulk.p99_ms > 3 * critical.p99_ms
        and bulk.oldest_ms is not None
    ):
        said.append(
            f"The orders went first: 99 % of them were worked off within {duration(critical.p99_ms)}, "
            f"while page views waited up to {duration(bulk.oldest_ms)}."
        )
    if plain is not None and above and critical.p99_ms is not None:
        other = plain[EventClass.CRITICAL]
        if other.p99_ms is not None and other.p99_ms > 2 * critical.p99_ms:
            said.append(
                "In the plain loop, with a shop like it, they waited behind everything else, up to "
                f"{duration(other.oldest_ms)}."
            )
    held, parked = sum(row.held for row in rows), sum(row.parked for row in rows)
    if faults(rows):
        return said  # those are said louder than this
    if any(row.deferred for row in rows):
        said.append(_set_aside(rows, parked))
    if capacity is None:
        left = f"; the other {held:,} are in Kafka, not committed" if held else ""
        said.append(f"The app has acknowledged {sum(row.delivered for row in rows):,} events{left}.")
    elif held:
        where = f"{parked:,} of them parked, " if parked else ""
        said.append(
            f"Nothing was lost: the {held:,} events that the shop has not seen are still in Kafka, {where}"
            "not committed, and come next."
        )
    else:
        late = ": what had to wait was worked off after the rush" if above else ""
        said.append(f"Nothing was dropped and nothing was lost{late}.")
    return said


def _set_aside(rows: list[Row], parked: int) -> str:
    """What was parked, and what became of it."""
    counts = [f"{row.deferred:,} {WHAT[row.klass]}" for row in reversed(rows) if row.deferred]
    what = " and ".join([", ".join(counts[:-1]), counts[-1]] if counts[1:] else counts)
    if not parked:
        fate = "all of them were delivered after the rush"
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


def as_json(summary: dict[str, Any], rows: list[Row], plain: list[PlainRow] | None = None) -> str:
    """tidegate's summary with the generator's and the shop's counts in it: one line.

    ``delivered`` is the shop's own count of distinct events in place of tidegate's. ``plain``: the plain loop's, by
    class, where one ran.
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
    beside = {}
    if plain is not None:
        beside["plain"] = {
            klass.label: {
                "delivered": row.delivered,
                "waiting": row.waiting,
                "p50_ms": _rounded(row.p50_ms),
                "p99_ms": _rounded(row.p99_ms),
            }
            for klass, row in zip(CLASSES, plain, strict=True)
        }
    return orjson.dumps(summary | {"classes": classes} | beside).decode()


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)
