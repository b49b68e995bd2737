"""An HTTP app without work of its own, so that it is the sender who is measured: reads each body, answers 204.

    python app.py PORT [CLASS]     POST anything; GET anything: {"requests", "bytes", "records", "first", "last",
                                   "ages_ms"}

Records are the line feeds of bodies, or X-Tidegate-Records where it is given. `first` and `last` are wall-clock
seconds, of the first request's head and of the last body's end. Ages are of the events of CLASS, in envelope form: from
their timestamp to the last byte of their body; a GET takes them away. A bare asyncio protocol: any framework would cost
more than some contenders do.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time

import uvloop

COUNTS = {"requests": 0, "bytes": 0, "records": 0, "first": 0.0, "last": 0.0}
AGES: list[float] = []
AGED = sys.argv[2].encode() if len(sys.argv) > 2 else None
TIMESTAMP = re.compile(rb'"ts":(\d+)')


class App(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.head, self.left = transport, b"", 0

    def data_received(self, data: bytes) -> None:
        while data:
            if self.left:
                part, data = data[: self.left], data[self.left :]
                self.left -= len(part)
                COUNTS["bytes"] += len(part)
                if self.lines:
                    COUNTS["records"] += part.count(b"\n")
                if self.aged:
                    self.body += part
                if not self.left:
                    COUNTS["last"] = time.time()
                    if self.aged:
                        now = time.time() * 1000
                        AGES.extend(now - int(ts) for ts in TIMESTAMP.findall(self.body))
                    self.transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                continue
            self.head += data
            head, mark, data = self.head.partition(b"\r\n\r\n")
            if not mark:
                return
            self.head = b""
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
            if head.startswith(b"GET"):
                body = json.dumps({**COUNTS, "ages_ms": AGES}).encode()
                AGES.clear()
                self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                continue
            COUNTS["requests"] += 1
            COUNTS["first"] = COUNTS["first"] or time.time()
            told = fields.get(b"x-tidegate-records")
            self.lines = told is None
            self.aged, self.body = AGED is not None and fields.get(b"x-tidegate-class") == AGED, b""
            COUNTS["records"] += int(told) if told else 1  # the last line has no line feed
            self.left = int(fields.get(b"content-length", b"0"))
            if b"expect" in fields:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(App, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


uvloop.run(main())
