"""The ops listener: `/livez`, `/readyz`, `/drained` and `/metrics`, GET only. Nothing on it shows or takes an event.

What `/livez` covers: that the reader's thread goes its rounds (it serves the consumer queues, so membership depends
on it), and, by answering at all, that the event loop runs. Nothing else can answer for the loop: an answer from another
thread would be one that a stalled loop had no part in, so a stall shows to the prober as a time-out. What is away from
here, Kafka and the app, fails no probe.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from tidegate.ops.drain import Drain
from tidegate.ops.exposition import CONTENT_TYPE, Exposition
from tidegate.ops.guard import Limits
from tidegate.ops.http import JSON, Answer, HttpServer, written

if TYPE_CHECKING:
    from aiohttp import web

    from tidegate.ops.snapshot import Snapshot

log = structlog.get_logger("tidegate.ops")

LIVE_SECONDS = 30.0
CACHE_SECONDS = 1.0
_PATHS = ("/livez", "/readyz", "/drained", "/metrics")


class OpsServer:
    """Answers on a socket that `listen` made.

    Args:
        sock: owned from here on.
        heartbeat_age: seconds since the reader's thread began its last round; 0.0 once it has ended as it should.
        snapshot: the figures of now; called on the loop, at most once a second.
        drain: what `/drained` tells.

    Attributes:
        ready: what /readyz says; True from `start`, set to False when stopping begins.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        heartbeat_age: Callable[[], float],
        snapshot: Callable[[], Snapshot],
        drain: Drain,
        limits: Limits | None = None,
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        self.ready = False
        self._heartbeat_age = heartbeat_age
        self._snapshot = snapshot
        self._drain = drain
        self._cache_seconds = cache_seconds
        self._exposition = Exposition()
        self._text = b""
        self._rendered_at = float("-inf")
        self._rendering = asyncio.Lock()
        self._server = HttpServer(sock, self._answer, limits)
        self.address = self._server.address

    async def start(self) -> None:
        """Begins to answer."""
        await self._server.start()
        self.ready = True
        log.info("ops endpoints are there", address=written(*self.address))

    async def close(self) -> None:
        """Stops listening and ends what is under way. Also without `start`."""
        self.ready = False
        await self._server.close()

    async def _answer(self, request: web.BaseRequest) -> Answer:
        if request.path not in _PATHS:
            return Answer(404, f"here are {', '.join(_PATHS)}\n".encode())
        if request.method != "GET":
            return Answer(405, b"only GET\n", allow="GET")
        match request.path:
            case "/livez":
                return self._live()
            case "/readyz":
                return Answer(200, b"ready\n") if self.ready else Answer(503, b"stopping\n")
            case "/drained":
                return Answer(200 if self._drain.over else 503, self._drain.as_json(), JSON)
        try:
            return Answer(200, await self._metrics(), CONTENT_TYPE)
        except Exception:
            log.exception("metrics failed")
            return Answer(500, b"metrics failed; the log says why\n")

    def _live(self) -> Answer:
        # A stall of the loop that is over is no reason to be killed for, so only the reader's age is looked at.
        age = self._heartbeat_age()
        if age < LIVE_SECONDS:
            return Answer(200, b"live\n")
        return Answer(503, f"the reader has not moved for {age:.0f} s\n".encode())

    async def _metrics(self) -> bytes:
        """The text, at most `cache_seconds` old. The figures are taken here, the text is made in a thread."""
        async with self._rendering:
            now = time.monotonic()
            if now - self._rendered_at >= self._cache_seconds:
                self._text = await asyncio.to_thread(self._exposition.render, self._snapshot())
                self._rendered_at = now
            return self._text
