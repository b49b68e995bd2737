"""A TCP proxy with faults, in a thread of its own: between tidegate and a broker (map the advertised port through it),
or between tidegate and the app. An order holds for open connections as well as for new ones. It also counts bytes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from harness.ports import free_ports

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Fault:
    """What the proxy does to bytes, in both directions.

    ``latency_ms`` delays each piece, ``slice_bytes`` cuts pieces so small, ``blackhole`` keeps them until it is over
    (connections stay open, as behind a firewall that drops), ``reset`` answers every connection with RST.
    """

    latency_ms: float = 0.0
    slice_bytes: int = 0
    blackhole: bool = False
    reset: bool = False


class TcpProxy:
    """Listens on ``port`` and passes on to ``target`` on 127.0.0.1. Use as a context manager."""

    def __init__(self, target: int = 0, port: int = 0) -> None:
        self.target = target
        self.port = port or free_ports(1)[0]
        self.answered_bytes = 0  # that the target sent
        self._fault = Fault()
        self._open = asyncio.Event()  # bytes may pass
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy")
        self._server: asyncio.Server

    def set(self, fault: Fault | None = None) -> None:
        """Changes the fault; none heals."""
        asyncio.run_coroutine_threadsafe(self._set(fault or Fault()), self._loop).result(10)

    async def _set(self, fault: Fault) -> None:
        self._fault = fault
        if fault.blackhole:
            self._open.clear()
        else:
            self._open.set()
        if fault.reset:
            for writer in list(self._writers):
                _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            if self._fault.reset:
                _reset(writer)
                return
            back, there = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers.add(there)
            ways = [asyncio.ensure_future(way) for way in (self._pass(reader, there), self._pass(back, writer, True))]
            # One end is gone: so is the connection. Half-closed ones neither Kafka nor HTTP clients use.
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the target is away: the client sees the connection end
        finally:
            for end in filter(None, (writer, there)):
                self._writers.discard(end)
                end.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answers: bool = False) -> None:
        with suppress(OSError):
            while piece := await reader.read(_CHUNK):
                self.answered_bytes += len(piece) if answers else 0
                step = self._fault.slice_bytes or len(piece)
                for start in range(0, len(piece), step):
                    await self._open.wait()
                    await asyncio.sleep(self._fault.latency_ms / 1000)
                    writer.write(piece[start : start + step])
                    await writer.drain()

    async def _listen(self) -> None:
        self._open.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def _end(self) -> None:
        self._server.close()
        self._fault = Fault()
        self._open.set()
        for writer in list(self._writers):
            _reset(writer)  # each connection's task then ends by itself
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=5)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
