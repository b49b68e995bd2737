"""What the dispatcher costs for each record: from the ring into a batch's body, and its offsets settled.

Run: pytest benchmarks/micro/bench_dispatch.py --benchmark-only. `ns_per_record` in each result's extra_info is the median
of the rounds, `ns_min` their least; filling the ring does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from benchmarks.e2e.events import events

from tidegate.core.dispatcher import Dispatcher
from tidegate.core.ledger import Ledger
from tidegate.core.ring import Rings

BULK = 3
RECORDS, ROUNDS = 10_000, 60

Benchmark = Callable[..., Any]


def measure(benchmark: Benchmark, format: str, **extra: Any) -> None:  # noqa: A002
    """Shop events of about 266 bytes, one behind the other in one partition; `extra` is pushed with each."""
    ledger, rings = Ledger(), Rings(16 << 20)
    ledger.add_lane("shop.events")
    slot = ledger.test_open(0, 0, 0)
    dispatcher = Dispatcher(rings, ledger, format, 500, 1 << 20, 0.0)
    values = [value for _, value in events(RECORDS)]
    taken: list[float] = []
    following = 0

    def fill() -> None:
        nonlocal following
        for value in values:
            ledger.test_read(slot, following, BULK)
            assert rings.push(BULK, value, slot=slot, offset=following, key=b"key", publish=False, **extra)
            following += 1
        rings.show()

    def drain() -> None:
        begun = time.perf_counter_ns()
        while (batch := dispatcher.take()) is not None:
            assert batch.headers
            dispatcher.settle(batch)
        taken.append((time.perf_counter_ns() - begun) / RECORDS)

    benchmark.pedantic(drain, setup=fill, rounds=ROUNDS)  # type: ignore[attr-defined]
    benchmark.extra_info["ns_per_record"] = round(median(taken), 1)  # type: ignore[attr-defined]
    benchmark.extra_info["ns_min"] = round(min(taken), 1)  # type: ignore[attr-defined]


@pytest.mark.parametrize("format", ["ndjson", "json", "envelope"])
def test_plain_records(benchmark: Benchmark, format: str) -> None:  # noqa: A002
    measure(benchmark, format)
