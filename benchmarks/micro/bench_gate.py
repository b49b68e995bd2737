"""What the gate costs for each record, and what it costs the scan to look for the sampling key.

Run: pytest benchmarks/micro/bench_gate.py --benchmark-only. `ns_per_event` in each result's extra_info is the median of
the rounds, `ns_min` their least; `key_ns` the difference of the minima of verdicts with and without the sampling key,
taken in turns.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from benchmarks.micro.bench_rules import shop_events

from tidegate.core.gate import DROP, PARK, Gate
from tidegate.core.rules import RuleTable
from tidegate.vocabulary import DEFAULT_SAMPLE_KEY, DEFAULT_TYPE_FIELDS, resolve_rules

BULK = 3
EVENTS = 5000
ROUNDS = 20
REPEATS = 40

Benchmark = Callable[..., Any]


def records(types: int, endless: bool = False) -> tuple[list[bytes], list[bytes]]:
    """Types by Zipf's law, and session ids of 36 bytes."""
    rng = random.Random(1)
    names = [b"event_type_%d" % n for n in range(types)]
    found = rng.choices(names, [1 / (n + 1) for n in range(types)], k=EVENTS)
    if endless:
        found = [b"event_type_%d" % n for n in range(EVENTS)]
    keys = [b"%08x-8bb3-4e00-8c23-%012x" % (rng.randrange(16**8), rng.randrange(16**12)) for _ in range(EVENTS)]
    return found, keys


def measure(benchmark: Benchmark, gate: Gate, types: list[bytes], keys: list[bytes]) -> None:
    taken = [gate.bench(BULK, types, keys, ROUNDS) for _ in range(REPEATS)]
    benchmark.extra_info["ns_per_event"] = round(median(taken), 1)  # type: ignore[attr-defined]
    benchmark.extra_info["ns_min"] = round(min(taken), 1)  # type: ignore[attr-defined]
    benchmark.pedantic(gate.bench, (BULK, types, keys, ROUNDS), rounds=5)  # type: ignore[attr-defined]


def sampling(types: list[bytes], keys: list[bytes]) -> Gate:
    gate = Gate(1)
    gate.bench(BULK, types, keys, 1)
    gate.order(BULK, 1.0, DROP)
    by_count = sorted(gate.types(BULK), key=lambda t: -t.records)
    gate.set_rungs({t.slot: max(0, 8 - n // 4) for n, t in enumerate(by_count)})
    return gate


@pytest.mark.parametrize("sampled", [(), (BULK,)], ids=["never-sampled", "types-counted"])
def test_calm(benchmark: Benchmark, sampled: tuple[int, ...]) -> None:
    measure(benchmark, Gate(1, sampled=sampled), *records(40))


def test_parking(benchmark: Benchmark) -> None:
    gate = Gate(1)
    gate.order(BULK, 0.3, PARK)
    measure(benchmark, gate, *records(40))


@pytest.mark.parametrize("types", [4, 40, 400])
def test_sampling(benchmark: Benchmark, types: int) -> None:
    found, keys = records(types)
    measure(benchmark, sampling(found, keys), found, keys)


def test_sampling_where_no_type_comes_twice(benchmark: Benchmark) -> None:
    """The worst case: the table is full, and each search looks at all that it may."""
    found, keys = records(1, endless=True)
    measure(benchmark, sampling(found, keys), found, keys)


@pytest.mark.parametrize("types", [["view", "cart", "purchase"]])
def test_looking_for_the_key(benchmark: Benchmark, types: list[str]) -> None:
    events = shop_events(types, [94.9, 3.6, 1.5])
    table = RuleTable(resolve_rules({}), DEFAULT_TYPE_FIELDS, DEFAULT_SAMPLE_KEY)
    pairs = [(table.bench(events, 10), table.bench(events, 10, keyed=True)) for _ in range(REPEATS)]
    plain, keyed = zip(*pairs, strict=True)
    benchmark.extra_info["verdict_ns"] = round(median(plain), 1)  # type: ignore[attr-defined]
    benchmark.extra_info["keyed_verdict_ns"] = round(median(keyed), 1)  # type: ignore[attr-defined]
    benchmark.extra_info["key_ns"] = round(min(keyed) - min(plain), 1)  # type: ignore[attr-defined]
    benchmark.pedantic(table.bench, (events, 10), {"keyed": True}, rounds=5)  # type: ignore[attr-defined]
