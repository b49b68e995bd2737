"""What stands between a socket and the HTTP server: limits in bytes, seconds and connections.

aiohttp bounds a single header line, not all of them together, and nothing keeps a client that sends a byte a minute
from holding a connection. One connection carries one request, so the rules are few: the head within its size and its
time, then the answer within its time. When there are too many connections, the oldest gives way: a probe always gets
in, however many idle clients there are.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

HEAD_END = b"\r\n\r\n"
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the ops listener: bytes, seconds, connections."""

    connections: int = 32
    head_bytes: int = 8 * 1024
    head_seconds: float = 5.0
    body_bytes: int = 64 * 1024
    answer_seconds: float = 10.0


class Connections:
    """The open ones, oldest first."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._open: dict[Guard, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, guard: Guard) -> None:
        """A new one; if that is one too many, the oldest ends."""
        self._open[guard] = None
        if len(self._open) > self.limits.connections:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.abort()

    def leave(self, guard: Guard) -> None:
        """It has ended."""
        self._open.pop(guard, None)

    def abort(self) -> None:
        """Ends them all."""
        for guard in list(self._open):
            guard.abort()


class Guard(asyncio.Protocol):
    """One connection: passes on to `inner`, an aiohttp protocol, what keeps to the limits."""

    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._limits = connections.limits
        self._head: bytearray | None = bytearray()  # None: complete and passed on
        self._body_left = self._limits.body_bytes
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def abort(self) -> None:
        """Ends the connection, whatever is under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio's."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._inner.connection_made(transport)
        self._end_after(self._limits.head_seconds)
        self._connections.enter(self)

    def data_received(self, data: bytes) -> None:
        """asyncio's."""
        if self._head is None:
            self._body(data)
            return
        seen = len(self._head)
        self._head += data
        end = self._head.find(HEAD_END, max(0, seen - len(HEAD_END) + 1))
        size = len(self._head) if end < 0 else end + len(HEAD_END)
        if size > self._limits.head_bytes:
            self._refuse()
        elif end >= 0:
            head, rest = bytes(self._head[:size]), bytes(self._head[size:])
            self._head = None
            self._end_after(self._limits.answer_seconds)
            self._inner.data_received(head)
            if rest:
                self._body(rest)

    def eof_received(self) -> bool | None:
        """asyncio's."""
        return self._inner.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        """asyncio's."""
        if self._timer is not None:
            self._timer.cancel()
        self._connections.leave(self)
        self._inner.connection_lost(exc if exc is None or isinstance(exc, Exception) else None)

    def pause_writing(self) -> None:
        """asyncio's."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """asyncio's."""
        self._inner.resume_writing()

    def _body(self, data: bytes) -> None:
        # What is beyond the limit is read and dropped: closing at once could take the answer with it.
        allowed = data[: self._body_left]
        self._body_left -= len(allowed)
        if allowed:
            self._inner.data_received(allowed)

    def _refuse(self) -> None:
        self._head = bytearray()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_TOO_LARGE)
            self._transport.close()

    def _end_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.abort)
