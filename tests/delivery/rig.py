"""Delivery between its doubles, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from tidegate.delivery import Delivery
from tidegate.pressure.limiter import Limiter

from .doubles import FakeDispatcher, MemoryLog, ScriptedSink


@dataclass
class Rig:
    source: FakeDispatcher
    sink: Any
    delivery: Delivery
    log: MemoryLog
    running: asyncio.Task[None]

    async def settle(self, count: int | None = None, within: float = 600.0) -> None:
        """Waits until so many (default: all) batches are settled."""
        async with asyncio.timeout(within):
            while len(self.source.settled) < (len(self.source.put) if count is None else count):
                self.source.news.clear()
                await self.source.news.wait()

    def now(self) -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def rig(
    sink: Any = None,
    *,
    concurrency: int = 4,
    inflight_bytes: int = 10_000,
    rng: Random | None = None,
    limiter: Limiter | None = None,
    source: FakeDispatcher | None = None,
) -> AsyncIterator[Rig]:
    clock = asyncio.get_running_loop().time
    source, log = source or FakeDispatcher(clock), MemoryLog(clock)
    sink = sink or ScriptedSink()
    delivery = Delivery(
        source,
        sink,
        concurrency=concurrency,
        inflight_bytes=inflight_bytes,
        log=log,
        limiter=limiter,
        rng=rng or Random(1),
        clock=clock,
    )
    made = Rig(source, sink, delivery, log, asyncio.create_task(delivery.run()))
    try:
        yield made
    finally:
        await delivery.close()
        await asyncio.wait([made.running])
        for violation in sink.violations:
            raise violation
        made.running.result()
        # Whatever happened: each batch that was taken has exactly one end.
        assert sorted(map(repr, source.taken)) == sorted(map(repr, source.settled + source.discarded))
        assert all(s.batches == s.bytes == s.records == s.retries_waiting == 0 for s in delivery.stats().classes)
