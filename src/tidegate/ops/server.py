"""The ops listener: `/livez`, `/readyz` and `/metrics`, GET only. Nothing on it shows or takes an event.

`listen` binds before anything else begins, so that an address in use is a configuration error and not a sidecar
without probes. `OpsServer.start` comes once the reader runs: importing aiohttp.web takes 20 ms beside an HTTP target
and 150 ms to 250 ms without one, and happens in a thread while the group is joined.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import logging
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from tidegate.errors import ConfigError
from tidegate.ops.exposition import CONTENT_TYPE, Exposition
from tidegate.ops.guard import Connections, Guard, Limits

if TYPE_CHECKING:
    from aiohttp import web

    from tidegate.ops.metrics import Snapshot

log = structlog.get_logger("tidegate.ops")

LIVE_SECONDS = 30.0
CACHE_SECONDS = 1.0
PLAIN = "text/plain; charset=utf-8"
_CLOSE_SECONDS = 1.0
_LINGER_SECONDS = 1.0  # for a body nobody looks at, so that closing does not reset the answer away
_HEADERS = {"Server": "tidegate", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def listen(address: tuple[str, int]) -> socket.socket:
    """A listening socket; port 0 takes any free one. Connections wait in its queue until a server is there.

    Raises:
        ConfigError: the address is in use, is not this machine's, may not be taken or cannot be resolved.
    """
    host, port = address
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
        sock = socket.create_server(address, family=family, backlog=64, dualstack_ipv6=both)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        reason = (error.strerror or str(error)).partition(" (")[0]  # create_server adds the address, as a tuple
        why = "is in use by another process" if in_use else f"cannot be listened on: {reason}"
        raise ConfigError(
            f"TIDEGATE_OPS_ADDRESS: {_written(host, port)} {why}.",
            code="ops-address",
            hint="Set it to a free host:port of this machine, such as 0.0.0.0:9402, or to none: no probes, no metrics.",
        ) from None
    sock.setblocking(False)
    return sock


def _written(host: str, port: int) -> str:
    # An IPv6 host goes into its brackets: the text must be findable in the configuration, and work in a URL.
    return f"{f'[{host}]' if ':' in host else host}:{port}"


class OpsServer:
    """Answers on a socket that `listen` made.

    Args:
        sock: owned from here on.
        heartbeat_age: seconds since the reader's thread began its last round.
        snapshot: the figures of now; called on the loop, at most once a second.

    Attributes:
        ready: what /readyz says; True from `start`, set to False when stopping begins.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        heartbeat_age: Callable[[], float],
        snapshot: Callable[[], Snapshot],
        limits: Limits | None = None,
        cache_seconds: float = CACHE_SECONDS,
    ) -> None:
        self.ready = False
        self.address: tuple[str, int] = sock.getsockname()[:2]
        self._sock = sock
        self._heartbeat_age = heartbeat_age
        self._snapshot = snapshot
        self._connections = Connections(limits or Limits())
        self._cache_seconds = cache_seconds
        self._exposition = Exposition()
        self._text = b""
        self._rendered_at = float("-inf")
        self._rendering = asyncio.Lock()
        self._listener: asyncio.Server | None = None
        self._http: web.Server | None = None

    async def start(self) -> None:
        """Begins to answer."""
        await asyncio.to_thread(importlib.import_module, "aiohttp.web")
        from aiohttp import web

        # A client's broken request is the client's; what is ours is logged in _handle.
        silent = logging.getLogger("tidegate.ops.http")
        silent.disabled = True
        self._http = http = web.Server(
            self._handle, logger=silent, access_log=None, lingering_time=_LINGER_SECONDS, auto_decompress=False
        )
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: Guard(http(), self._connections), sock=self._sock
        )
        self.ready = True
        log.info("ops endpoints are there", address=_written(*self.address))

    async def close(self) -> None:
        """Stops listening and ends what is under way. Also without `start`."""
        self.ready = False
        if self._listener is not None:
            self._listener.close()
        self._sock.close()
        if self._http is not None:
            await self._http.shutdown(_CLOSE_SECONDS)
        self._connections.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import web

        status, content_type, body = await self._answer(request)
        headers = _HEADERS | {"Content-Type": content_type} | ({"Allow": "GET"} if status == 405 else {})
        response = web.Response(status=status, body=body, headers=headers)
        response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest) -> tuple[int, str, bytes]:
        if request.path not in ("/livez", "/readyz", "/metrics"):
            return 404, PLAIN, b"here are /livez, /readyz and /metrics\n"
        if request.method != "GET":
            return 405, PLAIN, b"only GET\n"
        if (request.content_length or 0) > self._connections.limits.body_bytes:
            return 413, PLAIN, b"too large\n"
        if request.path == "/livez":
            return self._live()
        if request.path == "/readyz":
            return (200, PLAIN, b"ready\n") if self.ready else (503, PLAIN, b"stopping\n")
        try:
            return 200, CONTENT_TYPE, await self._metrics()
        except Exception:
            log.exception("metrics failed")
            return 500, PLAIN, b"metrics failed; the log says why\n"

    def _live(self) -> tuple[int, str, bytes]:
        # The event loop's own heartbeat is that this runs: a stalled loop answers nobody, and one that has come
        # back must not be killed for having been away.
        age = self._heartbeat_age()
        if age < LIVE_SECONDS:
            return 200, PLAIN, b"live\n"
        return 503, PLAIN, f"the reader has not moved for {age:.0f} s\n".encode()

    async def _metrics(self) -> bytes:
        """The text, at most `cache_seconds` old. The figures are taken here, the text is made in a thread."""
        async with self._rendering:
            now = time.monotonic()
            if now - self._rendered_at >= self._cache_seconds:
                self._text = await asyncio.to_thread(self._exposition.render, self._snapshot())
                self._rendered_at = now
            return self._text
