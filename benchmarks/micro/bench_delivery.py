"""CPU microseconds per batch through Delivery: to the blackhole, and to an HTTP app in a process of its own.

    python benchmarks/micro/bench_delivery.py [--batches 3000] [--rounds 5] [--loop uvloop|asyncio]
                                              [--limiter adaptive|fixed]

Prints one JSON object. CPU is this process's (user + system), so the app does not count; medians over the rounds.
The source hands out ready-made batches: what is measured is delivery and sink, not the native core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any

import structlog

from tidegate.delivery import Delivery
from tidegate.pressure.adaptive import Adaptive
from tidegate.sinks.base import Sink, SinkOptions, open_sink

APP = """
import asyncio, sys, uvloop
from aiohttp import web
async def take(request):
    await request.read()
    return web.Response()
async def main():
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post('/events', take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, '127.0.0.1', 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
uvloop.run(main())
"""


@dataclass(slots=True)
class ReadyBatch:
    klass: int
    records: int
    body: bytes
    headers: dict[str, str]
    content_type: str = "application/x-ndjson"
    attempts: int = 0


class ReadySource:
    """Hands out `total` batches with one body, without waiting."""

    def __init__(self, total: int, records: int, record_bytes: int) -> None:
        self.draining = False
        self.batch_records = records
        self._left = total
        self._line = b'{"e":"' + b"x" * (record_bytes - 9) + b'"}\n'
        self._made, self._body = records, self._line * records
        self._headers = {
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": "0123456789abcdef",
            "X-Tidegate-Class": "bulk",
            "X-Tidegate-Records": str(records),
            "X-Tidegate-Offsets": "events:0=1-500",
            "X-Tidegate-Format": "ndjson",
        }
        self.settled = 0

    def take(self, classes: int = 15, /) -> ReadyBatch | None:
        if not self._left:
            return None
        self._left -= 1
        records = self.batch_records
        if records != self._made:
            self._made, self._body = records, self._line * records
        return ReadyBatch(3, records, self._body, self._headers)

    def due_in(self) -> float | None:
        return 0.0 if self._left else None

    def settle(self, batch: Any, /) -> None:
        self.settled += 1

    def discard(self, batch: Any, /) -> int:
        return int(batch.records)


async def through_delivery(sink: Sink, source: ReadySource, concurrency: int, adapts: bool) -> None:
    delivery = Delivery(
        source,
        sink,
        concurrency=concurrency,
        inflight_bytes=24 << 20,
        log=structlog.get_logger(),
        limiter=Adaptive(concurrency, source.batch_records, Random(1), time.monotonic()) if adapts else None,
        rng=Random(1),
    )
    running = asyncio.create_task(delivery.run())
    await asyncio.sleep(0)
    assert await delivery.drain(600)
    await running


async def measure(url: str, total: int, records: int, concurrency: int, rounds: int, adapts: bool) -> dict[str, float]:
    sink = open_sink(url, SinkOptions(concurrency=concurrency))
    await sink.start()
    await through_delivery(sink, ReadySource(max(50, total // 10), records, 266), concurrency, adapts)  # warm
    cpu, wall = [], []
    for _ in range(rounds):
        source = ReadySource(total, records, 266)
        cpu0, wall0 = time.process_time(), time.perf_counter()
        await through_delivery(sink, source, concurrency, adapts)
        cpu.append((time.process_time() - cpu0) / total * 1e6)
        wall.append((time.perf_counter() - wall0) / total * 1e6)
        assert source.settled == total
    await sink.close()
    return {
        "cpu_us_per_batch": round(statistics.median(cpu), 2),
        "cpu_us_min": round(min(cpu), 2),
        "wall_us_per_batch": round(statistics.median(wall), 2),
        "events_per_second": round(records / statistics.median(wall) * 1e6),
    }


async def source_alone(total: int) -> float:
    source = ReadySource(total, 500, 266)
    start = time.process_time()
    while (batch := source.take()) is not None:
        source.settle(batch)
    return round((time.process_time() - start) / total * 1e6, 2)


async def bench(batches: int, rounds: int, port: str, adapts: bool) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/events"
    results: dict[str, Any] = {"source_alone_cpu_us": await source_alone(batches * 20)}
    results["blackhole"] = await measure("blackhole:", batches * 20, 500, 8, rounds, adapts)
    for records in (1, 500):
        for concurrency in (1, 8):
            name = f"http_{records}_records_{concurrency}_at_once"
            results[name] = await measure(url, batches, records, concurrency, rounds, adapts)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batches", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--limiter", choices=("fixed", "adaptive"), default="adaptive")
    args = parser.parse_args()
    run: Callable[[Coroutine[Any, Any, Any]], Any] = asyncio.run
    if args.loop == "uvloop":
        import uvloop

        run = uvloop.run
    app = subprocess.Popen([sys.executable, "-c", APP], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert app.stdout is not None
        port = app.stdout.readline().strip()
        results = run(bench(args.batches, args.rounds, port, args.limiter == "adaptive"))
    finally:
        app.terminate()
        app.wait()
    import aiohttp

    about = {
        "python": platform.python_version(),
        "aiohttp": aiohttp.__version__,
        "loop": args.loop,
        "limiter": args.limiter,
    }
    print(json.dumps({**about, "machine": platform.machine(), "cores": os.cpu_count(), **results}, indent=2))


if __name__ == "__main__":
    main()
