"""The tables that a run prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks.surge.payloads import TYPES


def duration(ms: float | None) -> str:
    if ms is None:
        return "–"
    return f"{ms:.0f} ms" if ms < 999.5 else f"{ms / 1e3:.1f} s"


def ages(found: dict[str, float] | None) -> str:
    """p50 / p99 / max."""
    return "–" if found is None else " / ".join(duration(found[name]) for name in ("p50_ms", "p99_ms", "max_ms"))


def share(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.1f} %"


def sized(row: dict[str, Any]) -> str:
    """What the app would take the number of views for, by the weights that it was told, of those produced."""
    return f"{row['weighted']['view'] / max(1, row['produced']['view']) * 100:.1f} %"


def show(title: str, rows: list[dict[str, Any]], width: int = 170) -> None:
    """Prints three tables: how late, what became of the events, and what it cost."""
    console = Console(width=width, highlight=False)
    late = table(
        f"{title}\nage at the app of what was due in the surge, p50 / p99 / max",
        (*(f"{kind}s" for kind in TYPES), "purchases of base", "purchases after"),
    )
    fates = ("deferred", "replayed", "dropped", "carts, purchases", "waiting", "lost", "views by weight")
    counts = table("events", ("produced", "delivered", "twice", *fates))
    prices = ("app busy", "and after", "MiB", "CPU s", "load")
    costs = table("and what it cost", ("ended", "surge done", "caught up", *prices))
    for row in rows:
        name = row["contender"]
        if "error" in row:
            late.add_row(name, row["error"].splitlines()[0])
            continue
        by_type = row["ages"]
        surge = [by_type[kind]["surge"] for kind in TYPES]
        late.add_row(name, *map(ages, (*surge, by_type["purchase"]["base"], by_type["purchase"]["after"])))
        counts.add_row(
            name,
            *(f"{sum(row[column].values()):,}" for column in ("produced", "delivered", "twice")),
            f"{row['deferred']:,}",
            f"{row['replayed']:,}",
            f"{sum(row['dropped'].values()):,}",
            f"{row['dropped']['cart']:,}, {row['dropped']['purchase']:,}",
            f"{row['waiting']:,}",
            f"{row['lost']:,}",
            sized(row),
        )
        costs.add_row(
            name,
            row["ended"],
            f"{row['backlog_seconds']:.0f} s",
            f"{row['calm_seconds']:.0f} s" if row["ended"] == "drained" else "–",
            share(row["utilisation_in_surge"]),
            share(row["utilisation_after"]),
            f"{row['peak_rss_mib']:.0f}",
            f"{row['cpu_seconds']:.1f}",
            f"{row['load_average']:.1f}",
        )
    for one in (late, counts, costs):
        console.print(one)


def table(title: str, columns: Sequence[str]) -> Table:
    made = Table(title=title, box=box.SIMPLE)
    made.add_column("", no_wrap=True)
    for column in columns:
        made.add_column(column, justify="right")
    return made
