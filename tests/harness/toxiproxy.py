"""toxiproxy in a process of its own, driven over its HTTP API: a bad network between tidegate and a broker (map the
advertised port through it), or between tidegate and the app. A toxic holds for open connections as for new ones.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from harness import install
from harness.leash import leashed
from harness.ports import free_ports

UPSTREAM, DOWNSTREAM = "upstream", "downstream"  # from tidegate, and to it
_BOTH = (UPSTREAM, DOWNSTREAM)


@dataclass(frozen=True, slots=True)
class Toxic:
    """What happens to the bytes of each connection, by toxiproxy's own names for types and attributes."""

    type: str
    attributes: dict[str, int] = field(default_factory=dict)
    streams: tuple[str, ...] = _BOTH


def latency(ms: int, jitter_ms: int = 0) -> Toxic:
    """Each way takes ``ms`` longer, give or take ``jitter_ms``."""
    return Toxic("latency", {"latency": ms, "jitter": jitter_ms})


def blackhole() -> Toxic:
    """Bytes vanish, connections stay open; healing closes them: a firewall that forgot them."""
    return Toxic("timeout", {"timeout": 0})


def partition() -> Toxic:
    """Bytes are held back until healing and arrive then: what TCP makes of a cable that is pulled and put back.

    toxiproxy has no toxic for that, but none passes at 0 KB/s, and what it holds it writes when it is removed.
    """
    return bandwidth(0)


def reset() -> Toxic:
    """Connections end at their next bytes: new ones by RST, those that were open by FIN (toxiproxy sets SO_LINGER
    only where it accepts).
    """
    return Toxic("reset_peer", {"timeout": 0})


def slicer(average_bytes: int, delay_us: int) -> Toxic:
    """Pieces of ``average_bytes``, ``delay_us`` between two."""
    return Toxic("slicer", {"average_size": average_bytes, "size_variation": average_bytes // 2, "delay": delay_us})


def bandwidth(kb_per_second: int) -> Toxic:
    """So many KB/s, per connection and direction."""
    return Toxic("bandwidth", {"rate": kb_per_second})


def limit_data(count: int, *streams: str) -> Toxic:
    """Connections end after ``count`` bytes, most often within a message."""
    return Toxic("limit_data", {"bytes": count}, streams or _BOTH)


def slow_close(delay_ms: int) -> Toxic:
    """The end of a connection arrives ``delay_ms`` late."""
    return Toxic("slow_close", {"delay": delay_ms})


class Link:
    """One proxied port: ``port`` is where to connect, the target where it leads, both on 127.0.0.1."""

    def __init__(self, server: Toxiproxy, name: str, port: int) -> None:
        self._server = server
        self.name = name
        self.port = port

    def set(self, *toxics: Toxic) -> None:
        """What holds from now on instead of what did; none heals."""
        path = f"/proxies/{self.name}/toxics"
        for toxic in self._server.ask("GET", path):
            self._server.ask("DELETE", f"{path}/{toxic['name']}")
        for toxic in toxics:
            for stream in toxic.streams:
                order = {"type": toxic.type, "stream": stream, "attributes": toxic.attributes}
                self._server.ask("POST", path, order)

    @property
    def answered_bytes(self) -> int:
        """Bytes that the target sent so far, on all connections that have ended or still stand."""
        found = re.findall(
            rf'^toxiproxy_proxy_sent_bytes_total{{([^}}]*proxy="{self.name}"[^}}]*)}} (\S+)$',
            self._server.metrics(),
            re.M,
        )
        return sum(int(float(value)) for labels, value in found if f'direction="{DOWNSTREAM}"' in labels)

    def up(self, enabled: bool) -> None:
        """Down: no connection is accepted, and those that are open end."""
        self._server.ask("POST", f"/proxies/{self.name}", {"enabled": enabled})


class Toxiproxy:
    """The server. Use as a context manager; it dies with the process that started it.

    Raises ToxiproxyUnavailableError without Go, RuntimeError where it does not start or refuses an order.
    """

    def __init__(self) -> None:
        self._command = [str(install.toxiproxy()), "-host", "127.0.0.1", "-proxy-metrics", "-port"]
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    def link(self, name: str, target: int, port: int = 0) -> Link:
        """A new proxied port that leads to ``target``; ``port`` 0: any that is free."""
        port = port or free_ports(1)[0]
        self.ask("POST", "/proxies", {"name": name, "listen": f"127.0.0.1:{port}", "upstream": f"127.0.0.1:{target}"})
        return Link(self, name, port)

    def ask(self, method: str, path: str, order: dict[str, Any] | None = None) -> Any:
        """One question to the API; its answer as JSON."""
        body = None if order is None else json.dumps(order).encode()
        request = urllib.request.Request(self._url + path, body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = answer.read()
        except urllib.error.HTTPError as e:
            raise RuntimeError(f"toxiproxy: {method} {path} {order}: {e.code} {e.read().decode()}") from None
        return json.loads(text) if text else None

    def metrics(self) -> str:
        """Its own figures, as Prometheus reads them."""
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=20) as answer:
            return str(answer.read().decode())

    def __enter__(self) -> Self:
        (port,) = free_ports(1)
        self._url = f"http://127.0.0.1:{port}"
        self._log = tempfile.TemporaryFile()
        environment = os.environ | {"LOG_LEVEL": "error"}
        command = leashed([*self._command, str(port)])
        self._process = subprocess.Popen(command, stdout=self._log, stderr=self._log, env=environment)
        deadline = time.monotonic() + 20
        while True:
            try:
                self.ask("GET", "/proxies")
                return self
            except OSError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.__exit__(None, None, None)
                    raise RuntimeError("toxiproxy does not answer within 20 s") from None
                time.sleep(0.02)

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(10)
            self._log.close()
