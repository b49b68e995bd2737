"""The tables that pages quote, each made of result files; `benchmarks.figures` puts them into their places."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.surge.figures import middle
from benchmarks.surge.table import duration


class Results:
    """Result files by name, each read once. A file that is not there raises FileNotFoundError with its path."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._read: dict[str, dict[str, Any]] = {}

    def __getitem__(self, name: str) -> dict[str, Any]:
        if name not in self._read:
            self._read[name] = json.loads((self.place / f"{name}.json").read_text())
        return self._read[name]


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return (
        "\n".join("| " + " | ".join(cells) + " |" for cells in lines).replace("| --- ", "|---").replace("--- |", "---|")
    )


def millions(per_second: float) -> str:
    """Events per second, in millions."""
    return f"{per_second / 1e6:.2f} M"


def measured(results: Results, name: str) -> str:
    """When, where and with what a file was measured; for pages in docs/."""
    head = results[name]["machine"]
    libraries = ", ".join(f"{one} {version}" for one, version in head["versions"].items() if one != "tidegate")
    return (
        f"{head['date']}, commit {head['commit']}, {head['cores']} cores ({head['cpu']}), Python {head['python']}, "
        f"{libraries}: [{name}.json](../benchmarks/results/{name}.json)"
    )


def cost(results: Results, name: str, heading: str) -> str:
    """Every contender of drain.json or push.json: how fast, and for what."""
    rows = [
        [
            contender,
            millions(one["records_per_second"]),
            f"{one['cpu_us_per_record']:.2f}",
            f"{one['peak_rss_mib']:.0f}",
        ]
        for contender, one in results[name]["medians"].items()
    ]
    table = grid([heading, "events/s", "CPU µs per event", "peak RSS MiB"], rows)
    return f"{table}\n\nMedians. {measured(results, name)}."


def drain(results: Results) -> str:
    """Reading a backlog."""
    return cost(results, "drain", "read, classify, batch, acknowledge, commit")


def push(results: Results) -> str:
    """Reading a backlog and sending it to an HTTP app."""
    return cost(results, "push", "to an HTTP app, batches of 500")


def late(row: Mapping[str, Any], kind: str) -> str:
    """p50 and p99 of the age at the app of what was due in the surge; at least that, where the run was cut off."""
    found = row["ages"][kind]["surge"]
    if found is None:
        return "–"
    least = "≥ " if row["at_least"] else ""
    return least + " / ".join(duration(found[name]) for name in ("p50_ms", "p99_ms"))


def surge(results: Results) -> str:
    """A surge of a minute: how late each class was, what was dropped, what it cost."""
    rows = []
    for row in middle(results["surge"]["rows"]):
        delivered = sum(row["delivered"].values())
        dropped = f"{sum(row['dropped'].values()):,}, {row['dropped']['purchase']:,}"
        ages = [late(row, kind) for kind in ("purchase", "cart", "view")]
        spent = f"{row['cpu_seconds'] / delivered * 1e6:.1f}"
        end = f"{row['calm_seconds']:.0f} s" if row["ended"] == "drained" else "cut off"
        rows.append([row["contender"], *ages, dropped, spent, f"{row['peak_rss_mib']:.0f}", end])
    head = ["", "purchases p50 / p99", "carts p50 / p99", "page views p50 / p99", "dropped, of these purchases"]
    table = grid([*head, "CPU µs per event delivered", "peak RSS MiB", "caught up after"], rows)
    return f"{table}\n\nOne turn each. {measured(results, 'surge')}."


def readme(results: Results) -> str:
    """What the README shows: one row for each question, one column for each contender."""
    drained, pushed = results["drain"]["medians"], results["push"]["medians"]
    turns = {row["contender"]: row for row in middle(results["surge"]["rows"])}
    ours, pausing = turns["tidegate"], turns["confluent-kafka pausing"]
    read = ["tidegate", "confluent-kafka + orjson", "aiokafka + orjson", "franz-go + gjson", "raw C loop"]
    sent = ["tidegate ndjson", "confluent-kafka + aiohttp", "aiokafka + aiohttp"]
    alone = results["latency"]["rows"]["alone"]
    none = ["–"] * 3

    def speeds(medians: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        return [millions(medians[name]["records_per_second"]) for name in names]

    def prices(medians: Mapping[str, Any], names: Sequence[str]) -> list[str]:
        return [f"{medians[name]['cpu_us_per_record']:.2f}" for name in names]

    rows = [
        ["a backlog read, classified, acknowledged and committed, events/s", *speeds(drained, read)],
        ["CPU µs per event", *prices(drained, read)],
        ["a backlog sent to an HTTP app in batches of 500, events/s", *speeds(pushed, sent), "–", "–"],
        ["CPU µs per event", *prices(pushed, sent), "–", "–"],
        [
            "ten times the usual for a minute, purchases p50 / p99",
            late(ours, "purchase"),
            late(pausing, "purchase"),
            *none,
        ],
        ["page views p50 / p99", late(ours, "view"), late(pausing, "view"), *none],
        ["Kafka's append to the app, p50 / p99", f"{alone['p50_ms']:.1f} / {alone['p99_ms']:.1f} ms", "–", *none],
    ]
    return grid(["", "tidegate", "confluent-kafka", "aiokafka", "franz-go", "raw C loop"], rows)


TABLES: Mapping[str, Callable[[Results], str]] = {"drain": drain, "push": push, "readme": readme, "surge": surge}
