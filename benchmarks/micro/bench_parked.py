"""What parking costs the reader's thread: the envelope by itself, and a whole park into librdkafka's queue.

Run: pytest benchmarks/micro/bench_parked.py --benchmark-only. `encode_ns`, `decode_ns` and `park_ns`, per record, stand
in each result's extra_info; the last is without a broker, so nothing else runs beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
from benchmarks.e2e.events import events

from tidegate.core import parked
from tidegate.core.ledger_face import LedgerFace
from tidegate.core.parking import Parked
from tidegate.core.producer_face import ProducerFace

RECORDS, ROUNDS = 2000, 200

Benchmark = Callable[..., Any]


def records(headers: int) -> list[Parked]:
    """Shop events of about 266 bytes, with so many headers."""
    named = tuple((b"header-%d" % n, b"value of header %d" % n) for n in range(headers))
    return [
        Parked("shop.events", n % 8, n, 1_700_000_000_000 + n, 1, 3, n, None, named, value)
        for n, (_, value) in enumerate(events(RECORDS))
    ]


@pytest.mark.parametrize("headers", [0, 5])
def test_envelope(benchmark: Benchmark, headers: int) -> None:
    made = records(headers)
    encode_ns, decode_ns = parked.bench(made, ROUNDS)
    benchmark.extra_info |= {"encode_ns": round(encode_ns, 1), "decode_ns": round(decode_ns, 1)}  # type: ignore[attr-defined]
    benchmark.pedantic(parked.bench, (made, 20), rounds=5)  # type: ignore[attr-defined]


def test_park(benchmark: Benchmark) -> None:
    keys, payloads = zip(*events(RECORDS), strict=True)
    found: list[float] = []

    def park() -> None:
        ledger = LedgerFace()
        ledger.add_lane("shop.events")
        slot = ledger.test_open(0, 0, 0)
        producer = ProducerFace(
            {"bootstrap.servers": "127.0.0.1:1", "log_level": "0"}, "parked", ledger, bytes=64 << 20
        )
        begun = time.perf_counter_ns()
        answers = producer.test_park_many(slot, list(keys), list(payloads), 50_000)
        found.append((time.perf_counter_ns() - begun) / 50_000)
        assert answers == (0, 0)
        producer.close(0)

    benchmark.pedantic(park, rounds=10)  # type: ignore[attr-defined]
    benchmark.extra_info["park_ns"] = round(median(found), 1)  # type: ignore[attr-defined]
