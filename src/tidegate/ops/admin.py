"""The admin listener, on a loopback address only: ``POST /drain``, ``POST /pressure``.

What the ops listener shows may be seen by the whole pod network; what changes the sidecar comes from within the pod. A
browser can reach loopback, too (a port-forward, a developer's machine), so a request has to be one that no page can
send without being asked first: JSON, with a header of its own, to a name that is this machine's, from no other origin.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import structlog

from tidegate.ops.drain import Drain
from tidegate.ops.guard import Limits
from tidegate.ops.http import JSON, Answer, HttpServer, written
from tidegate.ops.pressure import PressureDesk

if TYPE_CHECKING:
    from aiohttp import web

log = structlog.get_logger("tidegate.admin")

HEADER = "X-Tidegate-Admin"
_PATHS = ("/drain", "/pressure")
_HOSTS = ("localhost", "127.0.0.1", "[::1]")  # a page of evil.example that resolves to 127.0.0.1 says evil.example


class AdminServer:
    """Answers on a socket that `listen` made.

    ``POST /drain`` asks for a drain and tells how far it is, as `/drained` does: 202 until it is over, then 200. Asking
    again changes nothing, so whoever waits asks again.

    ``POST /pressure`` tells how the ladder stands; with ``?rung=hold`` or another the operator sets it, and with
    ``?rung=auto`` it is decided again. 400: there is no such rung, 409: nothing can act on it. So with ``?replay=500``,
    and ``?replay=auto``, for how fast parked records come back.
    Sidecars of one host share its loopback, and the default port is the first one's. A request may say whom it means,
    by a header of `probes.who`; any other sidecar refuses it with 409.

    Args:
        sock: owned from here on.
        who: this sidecar's headers of `probes.who`.
        begin: asks for the drain; called each time.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        who: Mapping[str, str],
        begin: Callable[[], None],
        drain: Drain,
        pressure: PressureDesk,
        limits: Limits | None = None,
    ) -> None:
        self._who = who
        self._begin = begin
        self._drain = drain
        self._pressure = pressure
        self._server = HttpServer(sock, self._answer, limits)
        self.address = self._server.address

    async def start(self) -> None:
        """Begins to answer."""
        await self._server.start()
        log.info("admin endpoint is there", address=written(*self.address))

    async def close(self) -> None:
        """Stops listening and ends what is under way. Also without `start`."""
        await self._server.close()

    async def _answer(self, request: web.BaseRequest) -> Answer:
        if (refusal := _refusal(request)) is not None:
            return refusal
        for name, value in self._who.items():
            if request.headers.get(name, value) != value:
                return Answer(409, f"another sidecar is here: {name} {value}\n".encode())
        if request.path == "/pressure":
            return self._pressure.answer(request.query.get("rung"), request.query.get("replay"))
        self._begin()
        return Answer(200 if self._drain.over else 202, self._drain.as_json(), JSON)


def _refusal(request: web.BaseRequest) -> Answer | None:
    headers = request.headers
    host, _, port = headers.get("Host", "").rpartition(":")
    if (host if port.isdigit() else headers.get("Host", "")) not in _HOSTS:
        return Answer(421, b"not a name of this listener\n")
    if request.path not in _PATHS:
        return Answer(404, f"here are {', '.join(_PATHS)}\n".encode())
    if request.method != "POST":
        return Answer(405, b"only POST\n", allow="POST")
    if "Origin" in headers:  # of a page; there is none here that could be its own
        return Answer(403, b"not from a web page\n")
    if HEADER not in headers:
        return Answer(403, f"without the header {HEADER}\n".encode())
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() != JSON:
        return Answer(415, b"only application/json\n")
    return None
