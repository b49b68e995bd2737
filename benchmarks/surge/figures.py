"""From the app's notes and the generator's counts to figures: ages by type and phase, what is missing, utilisation.

An age is from an event's own time to the end of its service. An event that was neither delivered nor dropped has the
age that it had when the app stopped, at least: it counts among the ages, because leaving it out would make the slowest
look fast. Where something was dropped nobody knows which of the absent that were; then only what came counts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.e2e.events import DISTINCT
from benchmarks.surge.notes import Notes
from benchmarks.surge.payloads import PROBE, TYPES, pool
from benchmarks.surge.schedule import PHASES, Schedule

SETTLE_SECONDS = 1.0  # of the surge, before utilisation counts: until then nothing waits yet


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of sorted numbers with at least `share` of them at or below it."""
    rank = -(-round(share * 1_000_000) * len(ordered) // 1_000_000)
    return ordered[max(rank, 1) - 1]


def spread(ages: Iterable[float]) -> dict[str, float] | None:
    """{"n", "p50_ms", "p99_ms", "max_ms"} of ages in seconds; None of none."""
    ordered = sorted(ages)
    if not ordered:
        return None
    told = {"p50_ms": quantile(ordered, 0.5), "p99_ms": quantile(ordered, 0.99), "max_ms": ordered[-1]}
    return {"n": len(ordered), **{name: round(seconds * 1e3, 1) for name, seconds in told.items()}}


def busy_share(notes: Notes, workers: int, begin: float, end: float) -> float | None:
    """Share of the workers' time between two moments in which they worked; None where there is no time between."""
    if end <= begin:
        return None
    busy = sum(
        max(0.0, min(stop, end) - max(start, begin)) for start, stop in zip(notes.start, notes.stop, strict=True)
    )
    return busy / (workers * (end - begin))


def of(
    notes: Notes, schedule: Schedule, begin: float, made: dict[str, Any], dropped: dict[str, int], workers: int
) -> dict[str, Any]:
    """One row. `begin`: wall-clock seconds of event 0; `made`: what the generator told; `dropped`: by type."""
    _, pool_types = pool()
    total = made["total"]
    seen = bytearray(total)
    ages: dict[tuple[str, str], list[float]] = {(phase, kind): [] for phase in PHASES for kind in TYPES}
    seconds: dict[int, list[float]] = {}
    delivered, twice, strange = dict.fromkeys(TYPES, 0), dict.fromkeys(TYPES, 0), 0
    backlog_end = stopped = 0.0
    for number, kind, at, end in zip(notes.number, notes.kind, notes.time, notes.end, strict=True):
        stopped = max(stopped, end)
        name = TYPES[kind]
        if number >= total:
            strange += number < PROBE
            continue
        if seen[number]:
            twice[name] += 1
            continue
        seen[number] = 1
        delivered[name] += 1
        ages[schedule.phase(number), name].append(end - at)
        if number < schedule.before_calm:
            backlog_end = max(backlog_end, end)
        if kind == 0:
            seconds.setdefault(math.floor(schedule.due_at(number) - schedule.surge_from), []).append(end - at)
    produced = {kind: sum(made["produced"][phase][kind] for phase in PHASES) for kind in TYPES}
    missing = {kind: produced[kind] - delivered[kind] - dropped[kind] for kind in TYPES}
    waiting = 0
    if not any(dropped.values()):
        for number in range(total):
            if not seen[number]:
                waiting += 1
                kind_name, at = pool_types[number % DISTINCT], begin + schedule.due_at(number)
                ages[schedule.phase(number), kind_name].append(stopped - at)
    surge = begin + schedule.surge_from + SETTLE_SECONDS, begin + schedule.surge_to
    after = begin + schedule.surge_to + SETTLE_SECONDS, backlog_end - SETTLE_SECONDS
    return {
        "produced": produced,
        "delivered": delivered,
        "twice": twice,
        "dropped": dropped,
        "missing": missing,
        "strange": strange,
        "ages": {kind: {phase: spread(ages[phase, kind]) for phase in PHASES[1:]} for kind in TYPES},
        "whole": {kind: spread(age for phase in PHASES[1:] for age in ages[phase, kind]) for kind in TYPES},
        "at_least": waiting,
        "utilisation_in_surge": rounded(busy_share(notes, workers, *surge)),
        "utilisation_after": rounded(busy_share(notes, workers, *after) if after[1] - after[0] >= 1 else None),
        "backlog_seconds": round(max(0.0, backlog_end - begin - schedule.surge_to), 1),
        "requests": len(notes.start),
        "purchases_p99_by_second": [
            [second, round(quantile(sorted(found), 0.99) * 1e3, 1)] for second, found in sorted(seconds.items())
        ],
    }


def middle(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each contender one turn, the median by the p99 of purchases in the surge (of two the worse). A turn as it was,
    because medians of single figures would be of no turn at all. One that failed is taken where all did."""
    by_name: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_name.setdefault(row["contender"], []).append(row)

    def late(row: dict[str, Any]) -> float:
        found = row["ages"]["purchase"]["surge"]
        return math.inf if found is None else float(found["p99_ms"])

    chosen = []
    for turns in by_name.values():
        whole = sorted((row for row in turns if "error" not in row), key=late)
        chosen.append(whole[len(whole) // 2] if whole else turns[0])
    return chosen


def rounded(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
