"""The tables that a run prints."""

from __future__ import annotations

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


def show(title: str, rows: list[dict[str, Any]], width: int = 170) -> None:
    """Prints two tables: how late, and what became of the events and what it cost."""
    console = Console(width=width, highlight=False)
    late = Table(title=f"{title}\nage at the app, p50 / p99 / max, of events due in the surge", box=box.SIMPLE)
    late.add_column("", no_wrap=True)
    for name in (*TYPES, "purchases, base", "purchases, after"):
        late.add_column(name if "," in name else f"{name}s", justify="right")
    counts = Table(title="events, and what it cost", box=box.SIMPLE)
    counts.add_column("", no_wrap=True)
    columns = (
        "produced",
        "delivered",
        "twice",
        "dropped",
        "carts, purchases of them",
        "waiting",
        "lost",
        "ended",
        "drained after",
    )
    for name in (*columns, "app busy", "and after", "MiB", "CPU s", "load"):
        counts.add_column(name, justify="right")
    for row in rows:
        if "error" in row:
            late.add_row(row["contender"], row["error"].splitlines()[0])
            continue
        by_type = row["ages"]
        late.add_row(
            row["contender"],
            *(ages(by_type[kind]["surge"]) for kind in TYPES),
            ages(by_type["purchase"]["base"]),
            ages(by_type["purchase"]["after"]),
        )
        counts.add_row(
            row["contender"],
            *(f"{sum(row[name].values()):,}" for name in ("produced", "delivered", "twice", "dropped")),
            f"{row['dropped']['cart']:,}, {row['dropped']['purchase']:,}",
            f"{row['waiting']:,}",
            f"{row['lost']:,}",
            row["ended"],
            f"{row['backlog_seconds']:.0f} s",
            share(row["utilisation_in_surge"]),
            share(row["utilisation_after"]),
            f"{row['peak_rss_mib']:.0f}",
            f"{row['cpu_seconds']:.1f}",
            f"{row['load_average']:.1f}",
        )
    console.print(late)
    console.print(counts)
