"""The tables that pages quote, each made of result files; `benchmarks.figures` puts them into their places."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.page.words import millions, table
from benchmarks.surge.figures import middle
from benchmarks.surge.table import duration

AGES = ("p50_ms", "p99_ms", "max_ms")


class Results:
    """Result files by name, each read once. A file that is not there raises FileNotFoundError with its path."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._read: dict[str, dict[str, Any]] = {}

    def __getitem__(self, name: str) -> dict[str, Any]:
        if name not in self._read:
            self._read[name] = json.loads((self.place / f"{name}.json").read_text())
        return self._read[name]


def measured(results: Results, name: str) -> str:
    """When, where and with what a file was measured; for pages in docs/."""
    head = results[name]["machine"]
    versions = results[name].get("peers") or head["versions"]
    note = f" {results[name]['note']}" if results[name].get("note") else ""
    told = dict.fromkeys(text for one, version in versions.items() for text in _version(one, version))
    return (
        f"{head['date']}, commit {head['commit']}, {head['cores']} cores ({head['cpu']}), Python {head['python']}; "
        f"{', '.join(told)}: [{name}.json](../benchmarks/results/{name}.json).{note}"
    )


def _version(name: str, version: str) -> list[str]:
    """`aiohttp 3.14.5`; a contender of peers tells all that it is made of."""
    if name == "tidegate":
        return []
    return version.split(", ") if " " in version else [f"{name} {version}"]


def cost(results: Results, name: str, heading: str) -> str:
    """Every contender of a file, the fastest first: how fast, and for what."""
    rows = [
        [
            contender,
            millions(one["records_per_second"]),
            f"{one['cpu_us_per_record']:.2f}",
            f"{one['peak_rss_mib']:.0f}",
        ]
        for contender, one in sorted(results[name]["medians"].items(), key=lambda item: -item[1]["records_per_second"])
    ]
    return (
        f"{table([heading, 'events/s', 'CPU µs per event', 'peak RSS MiB'], rows)}\nMedians. {measured(results, name)}"
    )


def drain(results: Results) -> str:
    """Reading a backlog."""
    return cost(results, "drain", "read, classify, batch, acknowledge, commit")


def push(results: Results) -> str:
    """Reading a backlog and sending it to an HTTP app."""
    return cost(results, "push", "to an HTTP app, batches of 500")


def peers_drain(results: Results) -> str:
    """Reading a backlog, beside other projects' programs as their benchmark has them."""
    return cost(results, "peers_drain", "a backlog read and counted by type")


def peers_push(results: Results) -> str:
    """Sending a backlog to an HTTP app, beside other projects' programs as their benchmark has them."""
    return cost(results, "peers_push", "a backlog sent to an HTTP app, batches of 500")


def late(row: Mapping[str, Any], kind: str, phase: str = "surge", ages: Sequence[str] = AGES[:2]) -> str:
    """How late a type of event was that was due in a phase; at least that, where not all of them came."""
    found = row["ages"][kind][phase]
    if found is None:
        return "–"
    least = "≥ " if row.get("at_least") or row.get("undelivered") else ""
    return least + " / ".join(duration(found[name]) for name in ages)


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
    told = table([*head, "CPU µs per event delivered", "peak RSS MiB", "caught up after"], rows)
    return f"{told}\nOne turn each. {measured(results, 'surge')}"


def stage_c_turns(results: Results) -> list[dict[str, Any]]:
    """Of each contender of stage C the middle turn, by the p99 of purchases in the burst; tidegate's first."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in results["stage_c"]["rows"]:
        if not row.get("error"):
            by_name.setdefault(row["contender"], []).append(row)
    chosen = []
    for turns in by_name.values():
        turns.sort(key=lambda row: float(row["ages"]["purchase"]["burst"]["p99_ms"]))
        chosen.append(turns[len(turns) // 2])
    return sorted(chosen, key=lambda row: row["contender"] != "tidegate")


def stage_c(results: Results) -> str:
    """A short surge beside other projects' programs."""
    rows = [
        [
            row["contender"],
            late(row, "purchase", "burst", AGES),
            late(row, "cart", "burst", AGES[1:2]),
            late(row, "view", "burst", AGES[:1]),
            f"{row['undelivered']:,}",
            f"{row['cpu_us_per_record']:.1f}",
            f"{row['peak_rss_mib']:.0f}",
            "never" if row["undelivered"] else f"{row['delivered_after_seconds']:.0f} s",
        ]
        for row in stage_c_turns(results)
    ]
    head = ["", "purchases p50 / p99 / max", "carts p99", "page views p50", "undelivered"]
    told = table([*head, "CPU µs per event", "peak RSS MiB", "all delivered after"], rows)
    return f"{told}\n{measured(results, 'stage_c')}"


def readme(results: Results) -> str:
    """What the README shows: one row for each question, one column for each contender."""
    drained, pushed = results["drain"]["medians"], results["push"]["medians"]
    turns = {row["contender"]: row for row in middle(results["surge"]["rows"])}
    surged = [turns[name] for name in ("tidegate", "confluent-kafka pausing")]
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
        ["a backlog sent to an HTTP app in batches of 500, events/s", *speeds(pushed, sent), *none[1:]],
        ["CPU µs per event", *prices(pushed, sent), *none[1:]],
        ["ten times the usual for a minute: purchases p50 / p99", *(late(row, "purchase") for row in surged), *none],
        ["page views p50 / p99", *(late(row, "view") for row in surged), *none],
        ["Kafka's append to the app, p50 / p99", f"{alone['p50_ms']:.1f} / {alone['p99_ms']:.1f} ms", "–", *none],
    ]
    return table(["", "tidegate", "confluent-kafka", "aiokafka", "franz-go", "raw C loop"], rows)


TABLES: Mapping[str, Callable[[Results], str]] = {
    "drain": drain,
    "peers-drain": peers_drain,
    "peers-push": peers_push,
    "push": push,
    "readme": readme,
    "stage-c": stage_c,
    "surge": surge,
}
