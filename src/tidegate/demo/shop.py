"""The slow shop: a real HTTP server that works on events with a few workers, and counts what it gets.

    python -m tidegate.demo.shop --workers 4 --service-ms 5

A request occupies one worker for as long as its events take, one after the other; requests beyond the workers wait in
line. The first line on stdout is ``{"port": N}``. Then, on 127.0.0.1:

    POST /events  events as NDJSON or as a JSON array; answered when all of them are worked off
    GET /stats    counts and latencies by class, as JSON (see Counts.report)
    GET /seen     one byte per event number, 1 where that event was worked off
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import deque
from typing import Any

import orjson
from aiohttp import web

from tidegate.demo.events import CLASS_OF, number_of
from tidegate.types import CLASSES

_RECENT_SECONDS, _RECENT_LEAST = 3.0, 20  # what "now" is: so long, and so many events at least
_MAX_BODY_BYTES = 64 << 20


def percentile(ordered: list[float], share: float) -> float | None:
    """The nearest-rank percentile of sorted numbers: the smallest with at least ``share`` of them at or below it."""
    if not ordered:
        return None
    # In whole numbers: 0.99 * 100 need not be 99.
    rank = -(-round(share * 1_000_000) * len(ordered) // 1_000_000)
    return ordered[max(rank, 1) - 1]


class Counts:
    """What the shop knows by itself: distinct events by class, judged by their name, and how late each came."""

    def __init__(self) -> None:
        self.duplicates = 0
        self.misjudged = 0
        self.unreadable = 0
        self.seen = bytearray()
        self._latencies: list[list[float]] = [[] for _ in CLASSES]  # ms
        self._recent: list[deque[tuple[float, float]]] = [deque() for _ in CLASSES]  # (when, latency)

    def add(self, event: Any, now: float, label: str | None = None) -> None:
        """One event was worked off at ``now`` (seconds since the epoch); ``label``: the class tidegate gave it."""
        try:
            number, klass = number_of(event["event_id"]), CLASS_OF[event["event_name"]]
            latency_ms = max(0.0, now * 1e3 - event["event_timestamp"] / 1e3)
        except (KeyError, TypeError, ValueError, AttributeError):
            self.unreadable += 1
            return
        if number >= len(self.seen):
            self.seen.extend(bytes(number + 1 - len(self.seen)))
        if self.seen[number]:
            self.duplicates += 1
            return
        self.seen[number] = 1
        self.misjudged += label is not None and label != klass.label
        self._latencies[klass].append(latency_ms)
        recent = self._recent[klass]
        recent.append((now, latency_ms))
        while len(recent) > _RECENT_LEAST and recent[0][0] < now - _RECENT_SECONDS:
            recent.popleft()

    def report(self) -> dict[str, Any]:
        """``duplicates``, ``misjudged``, ``unreadable``, and per class ``delivered`` (distinct events), ``p50_ms``,
        ``p99_ms`` and ``max_ms`` (from its sending until it was worked off), ``recent_ms`` and ``recent_p99_ms`` (of
        the last seconds); null where there was none."""
        return {
            "duplicates": self.duplicates,
            "misjudged": self.misjudged,
            "unreadable": self.unreadable,
            "classes": {klass.label: self._report(klass) for klass in CLASSES},
        }

    def _report(self, klass: int) -> dict[str, Any]:
        ordered = self._latencies[klass]
        ordered.sort()  # nearly sorted already, from the last time: cheap
        recent = sorted(latency for _, latency in self._recent[klass])
        return {
            "delivered": len(ordered),
            "p50_ms": percentile(ordered, 0.5),
            "p99_ms": percentile(ordered, 0.99),
            "max_ms": ordered[-1] if ordered else None,
            "recent_ms": percentile(recent, 0.5),
            "recent_p99_ms": percentile(recent, 0.99),
        }


class Shop:
    """``workers`` in parallel, each ``service_seconds`` per event."""

    def __init__(self, workers: int, service_seconds: float) -> None:
        self.counts = Counts()
        self.busy = 0  # requests, in line or being worked on
        self._workers = asyncio.Semaphore(workers)
        self._service_seconds = service_seconds

    def app(self) -> web.Application:
        """The three routes."""
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.add_routes(
            [web.post("/events", self._take), web.get("/stats", self._stats), web.get("/seen", self._seen)],
        )
        return app

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        label = request.headers.get("X-Tidegate-Class")
        try:
            whole = request.content_type == "application/json"
            events = orjson.loads(body) if whole else [orjson.loads(line) for line in body.splitlines()]
        except ValueError:
            self.counts.unreadable += 1
            return web.Response(status=400)
        self.busy += 1
        try:
            async with self._workers:
                await self._work(events, label)
        finally:
            self.busy -= 1
        return web.Response()

    async def _work(self, events: list[Any], label: str | None) -> None:
        loop = asyncio.get_running_loop()
        done_at = loop.time()
        for event in events:
            # From one end to the next, not from now: a late timer must not make the shop slower than it says.
            done_at += self._service_seconds
            if (wait := done_at - loop.time()) > 0:
                await asyncio.sleep(wait)
            self.counts.add(event, time.time(), label)

    async def _stats(self, _: web.Request) -> web.Response:
        report = self.counts.report() | {"busy": self.busy}
        return web.Response(body=orjson.dumps(report), content_type="application/json")

    async def _seen(self, _: web.Request) -> web.Response:
        return web.Response(body=bytes(self.counts.seen), content_type="application/octet-stream")


async def serve(workers: int, service_seconds: float) -> None:
    """Serves until cancelled; prints the port."""
    runner = web.AppRunner(Shop(workers, service_seconds).app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sys.stdout.write(orjson.dumps({"port": runner.addresses[0][1]}).decode() + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tidegate.demo.shop", description="A slow shop over HTTP.")
    parser.add_argument("--workers", type=int, default=4, help="events worked on at the same time")
    parser.add_argument("--service-ms", type=float, default=5.0, help="time that one event takes a worker")
    arguments = parser.parse_args()
    try:
        asyncio.run(serve(arguments.workers, arguments.service_ms / 1e3))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
