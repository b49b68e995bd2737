"""The app double's process: ``python -m harness.app_server LOG``; prints its ports as one JSON line when it serves.

Takes POST on every path of its own port, and orders on the control port: ``POST /mode`` with a Mode as JSON,
``POST /log`` to begin anew in another file, ``GET /stats``. The log is the truth; the statistics are for waiting.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import socket
import struct
import time
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

from aiohttp import web

from harness.applog import Log, Request
from harness.bodies import parse
from harness.ports import free_ports

MODES = ("ok", "refuse", "hang-before", "hang-after", "reset-before", "reset-after", "cut-answer", "garbage", "down")


@dataclass(frozen=True, slots=True)
class Mode:
    """How the app behaves until told otherwise.

    ``ms_per_event`` and ``workers`` make it slow in any mode that answers: so many requests at a time, each for its
    number of events. ``refuse`` answers ``status``, with ``Retry-After`` where ``retry_after`` (seconds) is given, in
    the form ``seconds`` or ``date``. ``before`` and ``after`` mean the reading of the body; ``cut-answer`` ends the
    connection within an answer that begins with 200. ``down`` closes the listener and every connection. ``count``
    returns to ``ok`` after so many requests; ``classes`` names those that are meant, the others being served well;
    ``containing`` likewise chooses bodies.
    """

    name: str = "ok"
    status: int = 503
    retry_after: float | None = None
    form: str = "seconds"
    ms_per_event: float = 0.0
    workers: int = 1
    count: int | None = None
    classes: list[str] = field(default_factory=list)
    containing: str = ""


@dataclass(slots=True)
class Tally:
    """One test's log and counts; requests that outlive the test stay with it."""

    log: Log
    requests: int = 0
    logged: int = 0
    events: int = 0
    busy: int = 0
    max_busy: int = 0
    acknowledged: set[str] = field(default_factory=set)


class Shop:
    """The double's state and its handlers."""

    def __init__(self, log: Log, port: int) -> None:
        self.port = port
        self.changed = asyncio.Event()
        self.site: web.TCPSite | None = None
        self.connections: set[asyncio.Transport] = set()
        self.runner: web.AppRunner
        self.tally = Tally(log)
        self.mode = Mode()
        self.workers = asyncio.Semaphore(1)

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 28)
        app.router.add_post("/{path:.*}", self.receive)
        self.runner = web.AppRunner(app, access_log=None, keepalive_timeout=600)
        await self.runner.setup()
        await self.listen()

    async def listen(self) -> None:
        if self.site is None:
            self.site = web.TCPSite(self.runner, "127.0.0.1", self.port, reuse_address=True, backlog=512)
            await self.site.start()

    async def set_mode(self, request: web.Request) -> web.Response:
        mode = Mode(**json.loads(await request.text()))
        if mode.name not in MODES:
            return web.Response(status=400, text=f"modes: {', '.join(MODES)}")
        await self.enter(mode)
        return web.json_response({})

    async def set_log(self, request: web.Request) -> web.Response:
        """The next test's turn: nobody may still be connected to the last one's."""
        path = Path(json.loads(await request.text())["path"])
        await self.enter(Mode("down"))
        self.tally = Tally(Log(path, self.tally.log.fsync))
        await self.enter(Mode())
        return web.json_response({})

    async def enter(self, mode: Mode) -> None:
        self.mode = mode
        self.workers = asyncio.Semaphore(mode.workers)
        self.changed.set()  # whoever hangs in the old mode is let go
        self.changed = asyncio.Event()
        if mode.name != "down":
            await self.listen()
        elif self.site is not None:
            site, self.site = self.site, None
            await site.stop()
            for transport in list(self.connections):
                transport.abort()
            self.connections.clear()

    async def stats(self, _: web.Request) -> web.Response:
        tally = self.tally
        counts = {name: getattr(tally, name) for name in ("requests", "events", "busy", "max_busy")}
        return web.json_response(counts | {"distinct": len(tally.acknowledged)})

    async def receive(self, request: web.Request) -> web.StreamResponse:
        transport = request.transport
        if transport is not None:
            self.connections.add(transport)
        tally = self.tally
        tally.requests += 1
        tally.busy += 1
        tally.max_busy = max(tally.max_busy, tally.busy)
        try:
            return await self.answer(request, tally)
        finally:
            tally.busy -= 1

    async def answer(self, request: web.Request, tally: Tally) -> web.StreamResponse:
        mode = self.mode
        klass = request.headers.get("X-Tidegate-Class", "")
        if mode.classes and klass not in mode.classes:
            mode = Mode(ms_per_event=mode.ms_per_event, workers=mode.workers)
        if mode.name == "hang-before":
            self.spend(mode)
            return await self.hang(request)
        if mode.name == "reset-before":
            self.spend(mode)
            await request.content.readany()
            return cut(request, b"")
        body = await request.read()
        if mode.containing and mode.containing.encode() not in body:
            mode = Mode(ms_per_event=mode.ms_per_event, workers=mode.workers)
        if mode.name != "ok":
            self.spend(mode)
        now = time.time_ns()
        parsed = parse(request.headers, body)
        if mode.ms_per_event and mode.name != "down":
            async with self.workers:
                await asyncio.sleep(mode.ms_per_event * len(parsed.ids) / 1000)
        status = {"ok": 200, "refuse": mode.status}.get(mode.name)
        tally.logged += 1
        tally.log.append(
            Request(
                number=tally.logged,
                time_ns=now,
                klass=klass,
                content_type=request.headers.get("Content-Type", ""),
                status=status,
                ids=parsed.ids,
                alone=parsed.alone,
                invalid=parsed.invalid,
                errors=parsed.errors,
                envelopes=parsed.envelopes,
                key=request.headers.get("Idempotency-Key", ""),
                offsets=request.headers.get("X-Tidegate-Offsets", ""),
                bytes=len(body),
                done_ns=time.time_ns(),
                weight=request.headers.get("X-Tidegate-Weight", ""),
                replayed=request.headers.get("X-Tidegate-Replayed", "") == "true",
                metadata=parsed.metadata,
            )
        )
        if status == 200:
            tally.acknowledged.update(parsed.ids)
            tally.events += len(parsed.ids)
        if mode.name == "hang-after":
            return await self.hang(request)
        if mode.name == "garbage":
            return cut(request, b"\x16\x03HTTP/9 what?\r\n\r\n\xff\xfe")
        if mode.name == "cut-answer":
            return cut(request, b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\nhalf of")
        if status is None:
            return cut(request, b"")
        return web.Response(status=status, headers=retry_headers(mode) if status != 200 else None)

    def spend(self, mode: Mode) -> None:
        """Counts a request off a mode that is limited to some."""
        if mode.count is not None and self.mode is mode:
            left = mode.count - 1
            changes = {name: getattr(mode, name) for name in Mode.__slots__} | {"count": left}
            self.mode = Mode(**changes) if left > 0 else Mode(ms_per_event=mode.ms_per_event, workers=mode.workers)

    async def hang(self, request: web.Request) -> web.Response:
        await self.changed.wait()
        return cut(request, b"")


def cut(request: web.Request, last_words: bytes) -> web.Response:
    """Ends the connection: after ``last_words`` with FIN, without any by RST."""
    transport = request.transport
    if transport is not None:
        if last_words:
            transport.write(last_words)
            transport.close()
        else:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
    return web.Response(status=500)  # nobody gets it


def retry_headers(mode: Mode) -> dict[str, str]:
    if mode.retry_after is None:
        return {}
    if mode.form == "date":  # whole seconds only: rounded up, so that it never says less than was asked
        return {"Retry-After": formatdate(math.ceil(time.time() + mode.retry_after), usegmt=True)}
    return {"Retry-After": str(math.ceil(mode.retry_after))}


async def serve(log: Path, fsync: bool) -> None:
    port, control = free_ports(2)
    shop = Shop(Log(log, fsync), port)
    await shop.start()
    orders = web.Application()
    orders.router.add_post("/mode", shop.set_mode)
    orders.router.add_post("/log", shop.set_log)
    orders.router.add_get("/stats", shop.stats)
    runner = web.AppRunner(orders, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", control).start()
    print(json.dumps({"port": port, "control": control}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="an HTTP app that logs every event it gets and misbehaves on order")
    parser.add_argument("log", type=Path)
    parser.add_argument("--fsync", action="store_true", help="each request is on the disk before it is answered")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.log, arguments.fsync))


if __name__ == "__main__":
    main()
