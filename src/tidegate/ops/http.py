"""An HTTP server on one listening socket, within the limits of `guard`. What it answers is its owner's.

`listen` binds before anything else begins, so that an address in use is a configuration error and not a sidecar
without probes. `HttpServer.start` comes once the reader runs: importing aiohttp.web takes 20 ms beside an HTTP target
and 150 ms to 250 ms without one, and happens in a thread while the group is joined.
"""

from __future__ import annotations

import asyncio
import errno
import importlib
import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.errors import ConfigError
from tidegate.ops.guard import Connections, Guard, Limits

if TYPE_CHECKING:
    from aiohttp import web

PLAIN = "text/plain; charset=utf-8"
JSON = "application/json"
_CLOSE_SECONDS = 1.0
_LINGER_SECONDS = 1.0  # for a body nobody looks at, so that closing does not reset the answer away
_HEADERS = {"Server": "tidegate", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_LOSS = {"ops": "no probes, no metrics", "admin": "no `tidegate drain`"}


@dataclass(frozen=True, slots=True)
class Answer:
    """To one request. ``allow``: the methods that a 405 names."""

    status: int
    body: bytes
    content_type: str = PLAIN
    allow: str = ""


def listen(address: tuple[str, int], name: str = "ops") -> socket.socket:
    """A listening socket; port 0 takes any free one. Connections wait in its queue until a server is there.

    Args:
        name: of the listener, ``"ops"`` or ``"admin"``; for the words of an error.

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
        who = f"Perhaps another sidecar of this host; see who: ss -ltnp 'sport = :{port}'\n  " if in_use else ""
        example = "0.0.0.0:9402" if name == "ops" else "127.0.0.1:9403"
        raise ConfigError(
            f"TIDEGATE_{name.upper()}_ADDRESS: {written(host, port)} {why}.",
            code=f"{name}-address",
            hint=f"{who}Set it to a free host:port of this machine, such as {example}, or to none: {_LOSS[name]}.",
        ) from None
    sock.setblocking(False)
    return sock


def written(host: str, port: int) -> str:
    """``host:port``, an IPv6 host in brackets: it must be findable in the configuration, and work in a URL."""
    return f"{f'[{host}]' if ':' in host else host}:{port}"


class HttpServer:
    """Answers on a socket that `listen` made, one request per connection.

    Args:
        sock: owned from here on.
        answer: called on the loop for each request; its body is not read.
    """

    def __init__(
        self, sock: socket.socket, answer: Callable[[web.BaseRequest], Awaitable[Answer]], limits: Limits | None = None
    ) -> None:
        self.address: tuple[str, int] = sock.getsockname()[:2]
        self._sock = sock
        self._answer = answer
        self._connections = Connections(limits or Limits())
        self._listener: asyncio.Server | None = None
        self._http: web.Server | None = None

    async def start(self) -> None:
        """Begins to answer."""
        await asyncio.to_thread(importlib.import_module, "aiohttp.web")
        from aiohttp import web

        # A client's broken request is the client's; what is ours is logged by whoever answers.
        silent = logging.getLogger("tidegate.ops.http")
        silent.disabled = True
        self._http = http = web.Server(
            self._handle, logger=silent, access_log=None, lingering_time=_LINGER_SECONDS, auto_decompress=False
        )
        self._listener = await asyncio.get_running_loop().create_server(
            lambda: Guard(http(), self._connections), sock=self._sock
        )

    async def close(self) -> None:
        """Stops listening and ends what is under way. Also without `start`."""
        if self._listener is not None:
            self._listener.close()
        self._sock.close()
        if self._http is not None:
            await self._http.shutdown(_CLOSE_SECONDS)
        self._connections.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import web

        if (request.content_length or 0) > self._connections.limits.body_bytes:
            answer = Answer(413, b"too large\n")
        else:
            answer = await self._answer(request)
        headers = _HEADERS | {"Content-Type": answer.content_type} | ({"Allow": answer.allow} if answer.allow else {})
        response = web.Response(status=answer.status, body=answer.body, headers=headers)
        response.force_close()
        return response
