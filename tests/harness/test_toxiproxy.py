"""toxiproxy's toxics do what the fault tests take them to do: tried on an echo."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from harness import fixtures, install, toxiproxy
from harness.toxiproxy import Link, Toxiproxy


class Echo(socketserver.BaseRequestHandler):
    """Sends back what it gets."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections end badly here on purpose."""


@pytest.fixture(scope="module")
def link() -> Iterator[Link]:
    fixtures.require_toxiproxy()
    with Server(("127.0.0.1", 0), Echo) as echo, Toxiproxy() as proxy:
        threading.Thread(target=echo.serve_forever, daemon=True).start()
        yield proxy.link("echo", echo.server_address[1])
        echo.shutdown()


@pytest.fixture
def connection(link: Link) -> Iterator[socket.socket]:
    """Through the healed link."""
    link.set()
    with socket.create_connection(("127.0.0.1", link.port), 5) as connected:
        connected.settimeout(0.3)
        assert there_and_back(connected, b"ping") == b"ping"
        yield connected
    link.set()


def there_and_back(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    got = b""
    while len(got) < len(data) and (piece := connection.recv(65536)):
        got += piece
    return got


def test_latency_delays_both_ways(link: Link, connection: socket.socket) -> None:
    connection.settimeout(5)
    link.set(toxiproxy.latency(100))
    begun = time.monotonic()
    assert there_and_back(connection, b"x") == b"x"
    assert time.monotonic() - begun >= 0.19


def test_a_black_hole_swallows_and_healing_ends_the_connection(link: Link, connection: socket.socket) -> None:
    link.set(toxiproxy.blackhole())
    with pytest.raises(TimeoutError):
        there_and_back(connection, b"gone")
    link.set()
    assert connection.recv(10) == b""


def test_a_partition_keeps_what_is_sent_until_it_is_over(link: Link, connection: socket.socket) -> None:
    link.set(toxiproxy.partition())
    with pytest.raises(TimeoutError):
        there_and_back(connection, b"kept")
    link.set()
    connection.settimeout(5)
    assert connection.recv(10) == b"kept"
    assert there_and_back(connection, b"on") == b"on"


def test_reset_ends_connections_by_rst(link: Link, connection: socket.socket) -> None:
    link.set(toxiproxy.reset())
    assert there_and_back(connection, b"x") == b""
    with socket.create_connection(("127.0.0.1", link.port), 5) as another, pytest.raises(ConnectionError):
        there_and_back(another, b"x")


def test_bandwidth_and_slices_let_all_of_it_through(link: Link, connection: socket.socket) -> None:
    connection.settimeout(5)
    link.set(toxiproxy.bandwidth(50))
    begun = time.monotonic()
    assert there_and_back(connection, bytes(20_000)) == bytes(20_000)
    assert time.monotonic() - begun >= 0.3
    link.set(toxiproxy.slicer(50, 100))
    assert there_and_back(connection, bytes(2000)) == bytes(2000)


def test_limits_end_connections_and_slow_close_ends_them_late(link: Link, connection: socket.socket) -> None:
    connection.settimeout(5)
    link.set(toxiproxy.limit_data(1000, toxiproxy.DOWNSTREAM), toxiproxy.slow_close(500))
    begun = time.monotonic()
    assert len(there_and_back(connection, bytes(5000))) == 1000
    assert time.monotonic() - begun >= 0.4


def test_a_link_that_is_down_refuses(link: Link, connection: socket.socket) -> None:
    link.up(False)
    assert connection.recv(10) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", link.port), 5)
    link.up(True)
    with socket.create_connection(("127.0.0.1", link.port), 5) as another:
        assert there_and_back(another, b"x") == b"x"


def test_missing_go_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TIDEGATE_TEST_TOXIPROXY", raising=False)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Go"):
        fixtures.require_toxiproxy()
    with pytest.raises(install.ToxiproxyUnavailableError, match="no Go"):
        install.toxiproxy()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="CI=true, but no Go"):
        fixtures.require_toxiproxy()
