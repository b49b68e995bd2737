"""The surge benchmark's app and loops as processes: what they answer, note and count."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.surge import payloads
from benchmarks.surge.account import usage
from benchmarks.surge.processes import App, patiently

WORKERS, SERVICE_US = 2, 20_000.0


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(WORKERS, SERVICE_US, tmp_path / "notes")
    yield made
    made.close()


def connected(app: App) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", int(app.url.rpartition(":")[2])), 10)
    made.settimeout(10)
    return made


def body(*numbers: int) -> bytes:
    pieces, _ = payloads.pool()
    return b"\n".join(payloads.value(payloads.stamp(time.time()), pieces[n % 100][1], n) for n in numbers)


def request(payload: bytes, *headers: bytes) -> bytes:
    lines = [b"POST /events HTTP/1.1", b"Host: app", b"content-LENGTH: %d" % len(payload), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + payload


def test_a_request_takes_as_long_as_its_events(app: App) -> None:
    begun = time.monotonic()
    with connected(app) as one, connected(app) as two, connected(app) as three:
        for connection, numbers in ((one, (0, 1, 2, 3, 4)), (two, (5, 6, 7, 8, 9)), (three, (10,))):
            connection.sendall(request(body(*numbers)))
        for connection in (one, two, three):
            assert connection.recv(100).startswith(b"HTTP/1.1 204")
    seconds = time.monotonic() - begun
    assert seconds >= 0.12  # two workers: five services, and one more behind them
    notes = app.finish()
    assert sorted(notes.number) == list(range(11))
    assert max(notes.stop) - min(notes.start) == pytest.approx(0.12, abs=0.02)


def test_bodies_come_in_pieces_and_connections_are_used_again(app: App) -> None:
    with connected(app) as connection:
        for number in (0, 1):
            for piece in (whole := request(body(number)))[:30], whole[30:200], whole[200:]:
                connection.sendall(piece)
                time.sleep(0.02)
            assert connection.recv(100).startswith(b"HTTP/1.1 204")
        connection.sendall(request(b"")[:-4] + b"\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
    assert app.stats()["unique"] == 2


def test_it_does_not_guess_at_a_body_without_a_length(app: App) -> None:
    with connected(app) as connection:
        connection.sendall(b"POST /events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 411")
    assert app.stats()["requests"] == 0


def test_it_is_told_when_it_is_slow_and_what_is_the_surge(app: App) -> None:
    now = time.time()
    app.order((now, now + 60), 2)
    with connected(app) as connection:
        begun = time.monotonic()
        connection.sendall(request(body(0, 1, 2, payloads.PROBE)))
        connection.recv(100)
    assert time.monotonic() - begun >= 0.16  # four services at half speed
    stats = app.stats()
    assert (stats["before"], stats["unique"], stats["probes"]) == (2, 3, 1)


def test_weights_and_replays_are_taken_from_the_headers(app: App) -> None:
    with connected(app) as connection:
        for payload, headers in (
            (body(0, 1), [b"X-Tidegate-Weight: 2.5"]),
            (body(2), [b"X-Tidegate-Replayed: true"]),
        ):
            connection.sendall(request(payload, *headers))
            connection.recv(100)
    stats = app.stats()
    assert stats["replayed"] == 1
    assert sum(stats["weighted"].values()) == 6.0


def test_what_nobody_could_read_is_said(app: App) -> None:
    _, middle = payloads.pool()[0][0]
    strange = payloads.value(payloads.stamp(time.time()), middle, 3).replace(b'"event_type":"', b'"event_type":"un')
    with connected(app) as connection:
        for payload in (b'{"event_type":"view"}', strange):
            connection.sendall(request(payload))
            connection.recv(100)
    assert app.stats()["unreadable"] == 2


def test_a_trees_memory_counts(app: App) -> None:
    patiently(lambda: usage(app.process.pid)[1] > 5_000, "no memory", 5)
    assert usage(app.process.pid)[0] >= 0
