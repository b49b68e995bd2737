"""The app: an HTTP server with a queue in front of a few workers, which notes of each event when it came and was done.

    python -m benchmarks.surge.app PORT WORKERS SERVICE_US FILE

    POST …       events in any framing: answered 204 when a worker has worked off all of them
    POST /order  {"halved": [from, to], "before": number}: wall-clock seconds of half speed; see `before` below
    GET …        {"requests", "waiting", "events", "unique", "duplicates", "before", "replayed", "probes", "unreadable",
                  "weighted", "late_ms", "cpu_seconds"}
    SIGTERM      writes what was noted to FILE (notes.py) and ends

`before` counts unique events numbered below the order's, `replayed` those in requests that say X-Tidegate-Replayed,
`waiting` requests not answered; `weighted` is the sum of unique events' weights (X-Tidegate-Weight, or 1) by type, from
which an app would tell how many there were; `late_ms` is the most by which an answer came after its work was done.

The workers are arithmetic (workers.py); this process sleeps in between. A bare asyncio protocol, because a framework
would cost more than some contenders do. Bodies need a Content-Length.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.surge.notes import Notes
from benchmarks.surge.payloads import PROBE, TYPES
from benchmarks.surge.workers import Workers

# Whatever stands around: JSON in a line, in an array, in a string of an envelope.
TYPE = re.compile(rb"event_type\W+(\w+)")
TIME = re.compile(rb"event_time\W+([0-9T:.Z-]+)")
NUMBER = re.compile(rb"user_session\W+[0-9a-f-]{24}([0-9a-f]{12})")
REPLAYED = b"\r\nx-tidegate-replayed: true"
WEIGHT = re.compile(rb"\r\nx-tidegate-weight: *([0-9.e+-]+)")
KNOWN = {name.encode(): index for index, name in enumerate(TYPES)}


@dataclass(frozen=True, slots=True)
class Work:
    """A request: its events (number, type, time), when it came, when each of them will be done, and its headers."""

    events: list[tuple[int, int, float]]
    arrival: float
    ends: list[float]
    replayed: bool = False
    weight: float = 1.0


class Shop:
    """What the connections share."""

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self.notes = Notes()
        self.seen = bytearray()
        self.limit = 0
        self.counts = dict.fromkeys(
            ("requests", "waiting", "events", "unique", "duplicates", "before", "replayed", "probes", "unreadable"), 0
        )
        self.weighted = [0.0] * len(TYPES)
        self.late_ms = 0.0
        self.times: dict[bytes, float] = {}

    def parse(self, body: bytes) -> list[tuple[int, int, float]]:
        """(number, type, time) of each event."""
        types, times, numbers = TYPE.findall(body), TIME.findall(body), NUMBER.findall(body)
        if not len(types) == len(times) == len(numbers) or not KNOWN.keys() >= set(types):
            self.counts["unreadable"] += 1
            return []
        return [(int(n, 16), KNOWN[t], self.seconds(s)) for n, t, s in zip(numbers, types, times, strict=True)]

    def seconds(self, text: bytes) -> float:
        """Seconds since 1970. Many events have the same time."""
        found = self.times.get(text)
        if found is None:
            if len(self.times) > 100_000:
                self.times.clear()
            found = self.times[text] = datetime.fromisoformat(text.decode()).timestamp()
        return found

    def done(self, work: Work) -> None:
        """A worker has worked off a request."""
        counts, seen = self.counts, self.seen
        counts["waiting"] -= 1
        for (number, kind, at), end in zip(work.events, work.ends, strict=True):
            if number >= PROBE:
                counts["probes"] += 1
                continue
            if number >= len(seen):
                seen.extend(bytes(number + 100_000 - len(seen)))
            counts["events"] += 1
            if seen[number]:
                counts["duplicates"] += 1
            else:
                seen[number] = 1
                counts["unique"] += 1
                counts["before"] += number < self.limit
                counts["replayed"] += work.replayed
                self.weighted[kind] += work.weight
            self.notes.event(number, kind, at, work.arrival, end)

    def order(self, order: dict[str, Any]) -> None:
        self.workers.halved = (order["halved"][0], order["halved"][1])
        self.limit = order["before"]

    def stats(self) -> bytes:
        weighted = dict(zip(TYPES, self.weighted, strict=True))
        cost = {"late_ms": round(self.late_ms, 2), "cpu_seconds": round(time.process_time(), 2)}
        return json.dumps({**self.counts, "weighted": weighted, **cost}).encode()


class Connection(asyncio.Protocol):
    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.data = bytearray()
        self.head, self.left = b"", -1  # of the request whose body is awaited; -1: none

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        while True:
            if self.left < 0:
                head, mark, _ = self.data.partition(b"\r\n\r\n")
                if not mark:
                    return
                self.head = bytes(head).lower()
                del self.data[: len(head) + len(mark)]
                length = re.search(rb"\r\ncontent-length: *(\d+)", self.head)
                if length is None and b"\r\ntransfer-encoding:" in self.head:
                    self.transport.write(
                        b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    )
                    self.transport.close()
                    return
                self.left = int(length[1]) if length else 0
                if b"\r\nexpect:" in self.head:
                    self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if len(self.data) < self.left:
                return
            body = bytes(self.data[: self.left])
            del self.data[: self.left]
            self.left = -1
            self.request(body)

    def request(self, body: bytes) -> None:
        shop = self.shop
        if self.head.startswith(b"get"):
            told = shop.stats()
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))
            return
        if self.head.startswith(b"post /order"):
            shop.order(json.loads(body))
            self.answer()
            return
        now = time.time()
        events = shop.parse(body)
        start, ends = shop.workers.take(now, len(events))
        end = ends[-1] if ends else start
        shop.counts["requests"] += 1
        shop.counts["waiting"] += 1
        shop.notes.request(start, end, len(events))
        weight = WEIGHT.search(self.head)
        work = Work(events, now, ends, REPLAYED in self.head, float(weight[1]) if weight else 1.0)
        asyncio.get_running_loop().call_later(max(0.0, end - now), self.finish, work, end)

    def finish(self, work: Work, end: float) -> None:
        self.shop.late_ms = max(self.shop.late_ms, (time.time() - end) * 1e3)
        self.shop.done(work)
        self.answer()

    def answer(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


async def main() -> None:
    port, workers, service_us, file = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    shop = Shop(Workers(workers, service_us / 1e6))
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    server = await loop.create_server(lambda: Connection(shop), "127.0.0.1", port, backlog=512)
    await stopped.wait()
    shop.notes.write(file)
    server.close()


if __name__ == "__main__":
    uvloop.run(main())
