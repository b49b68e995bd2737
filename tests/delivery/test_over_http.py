"""Delivery and the HTTP sink together, on uvloop, in real time, to an app that comes and goes."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from random import Random

import uvloop
from aiohttp import web

from tidegate.delivery import Delivery
from tidegate.sinks.base import SinkOptions, open_sink
from tidegate.sinks.pacing import TargetState

from .doubles import BULK, CRITICAL, FakeDispatcher, MemoryLog


async def app_on(port: int, seen: Counter[bytes]) -> web.AppRunner:
    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if sum(seen.values()) % 50 == 49 and body not in seen:
            seen[b"slow"] += 1
            return web.Response(status=429, headers={"Retry-After": "0"})
        seen[body] += 1
        return web.Response(text="fine")

    app = web.Application()
    app.router.add_post("/in", take)
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    return runner


async def scenario() -> None:
    seen: Counter[bytes] = Counter()
    app = await app_on(0, seen)
    port = app.addresses[0][1]
    sink = open_sink(f"http://127.0.0.1:{port}/in", SinkOptions(concurrency=4))
    await sink.start()
    source, log = FakeDispatcher(time.monotonic), MemoryLog(time.monotonic)
    delivery = Delivery(source, sink, concurrency=4, inflight_bytes=100_000, log=log, rng=Random(1))
    running = asyncio.create_task(delivery.run())

    source.add(BULK, 100)
    source.add(CRITICAL, 10)
    delivery.wake()
    await asyncio.sleep(0.05)
    await app.cleanup()
    source.add(BULK, 100)
    source.add(CRITICAL, 10)
    delivery.wake()
    await asyncio.sleep(0.1)
    assert delivery.stats().target is TargetState.DOWN
    app = await app_on(port, seen)
    assert await delivery.drain(5.0) is True
    await running
    await sink.close()
    await app.cleanup()

    assert set(source.settled) == set(source.put)
    del seen[b"slow"]
    assert set(seen) == {b.body for b in source.put}
    # Twice only what was under way when the app went: at most one per slot.
    assert sum(seen.values()) - len(seen) <= 4
    events = [event for *_, event, _ in log.lines]
    assert "target down" in events
    assert delivery.stats().sending == 0


def test_an_app_that_restarts() -> None:
    uvloop.run(scenario())


def test_a_process_at_rest_uses_no_cpu() -> None:
    async def rest() -> float:
        log = MemoryLog(time.monotonic)
        sink = open_sink("http://127.0.0.1:1/")
        await sink.start()
        delivery = Delivery(FakeDispatcher(time.monotonic), sink, concurrency=8, inflight_bytes=1000, log=log)
        running = asyncio.create_task(delivery.run())
        await asyncio.sleep(0.01)
        before = time.process_time()
        await asyncio.sleep(0.2)
        used = time.process_time() - before
        await delivery.close()
        await running
        await sink.close()
        return used

    assert uvloop.run(rest()) < 0.01
