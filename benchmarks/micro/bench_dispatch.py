"""What the dispatcher costs for each record: from the ring into a batch's body, and its offsets settled.

Run: pytest benchmarks/micro/bench_dispatch.py --benchmark-only. `ns_per_record` in each result's extra_info is the
median of the rounds, `ns_min` their least; filling the ring does not count.

A body is large enough for glibc to map it anew each time, and then an envelope's figure is mostly page faults: with
MALLOC_MMAP_THRESHOLD_=1000000000 MALLOC_TRIM_THRESHOLD_=4000000000 in the environment it is the code's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from benchmarks.e2e.events import events

from tidegate.core.dispatcher import Dispatcher
from tidegate.core.extra import Extra
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.ring import Rings

BULK = 3
RECORDS, ROUNDS = 10_000, 60

Benchmark = Callable[..., Any]


#: Of the n-th record: the one behind the other at their origin; sampled at one of three rates in turn.
EXTRAS: dict[str, Callable[[int, int], Extra]] = {
    "replayed": lambda origin, n: Extra(origin, n, replayed=True),
    "sampled": lambda _, n: Extra(randomness=2**56 - 1 - n, threshold=(2**54, 2**55, 3 * 2**54)[n % 3]),
}


def measure(benchmark: Benchmark, format: str, extra: Callable[[int, int], Extra] | None = None) -> None:  # noqa: A002
    """Shop events of about 266 bytes, one behind the other in one partition, with an extra where there is one."""
    ledger, rings = LedgerFace(), Rings(16 << 20)
    ledger.add_lane("shop.events")
    slot = ledger.test_open(0, 0, 0)
    origin = ledger.test_origin(b"shop.events", 7)
    dispatcher = Dispatcher(rings, ledger, format, 500, 1 << 20, 0.0)
    values = [value for _, value in events(RECORDS)]
    taken: list[float] = []
    following = 0

    def fill() -> None:
        nonlocal following
        for value in values:
            ledger.test_read(slot, following, BULK)
            more = extra(origin, following) if extra else None
            assert rings.push(BULK, value, slot=slot, offset=following, key=b"key", publish=False, extra=more)
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


@pytest.mark.parametrize(
    ("format", "what"), [("ndjson", "replayed"), ("envelope", "replayed"), ("envelope", "sampled")]
)
def test_records_with_an_extra(benchmark: Benchmark, format: str, what: str) -> None:  # noqa: A002
    measure(benchmark, format, EXTRAS[what])
