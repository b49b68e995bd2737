"""The server alone: its answers, and clients that do not keep to the rules. Real sockets on uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import AsyncIterator

import pytest

from tidegate.errors import ConfigError
from tidegate.ops.drain import Drain
from tidegate.ops.guard import Limits
from tidegate.ops.http import listen
from tidegate.ops.server import OpsServer
from tidegate.ops.snapshot import Snapshot

from .conftest import Answer, Ops, parse
from .snapshots import snapshot

LIMITS = Limits(connections=4, head_seconds=0.5, answer_seconds=1.0)


class Server:
    """A started server, what it is told, and a client."""

    def __init__(self) -> None:
        self.age = 0.0
        self.taken = 0
        self.fault: Exception | None = None
        self.states = {0: (0, 0, 0)}
        self.drain = Drain(lambda: self.states)
        self.server = OpsServer(
            listen(("127.0.0.1", 0)),
            heartbeat_age=lambda: self.age,
            snapshot=self._take,
            drain=self.drain,
            limits=LIMITS,
            cache_seconds=0.3,
        )
        self.port = self.server.address[1]

    def _take(self) -> Snapshot:
        self.taken += 1
        if self.fault is not None:
            raise self.fault
        return snapshot()

    async def ask(self, path: str, method: str = "GET", body: bytes | None = None) -> Answer:
        return await asyncio.to_thread(Ops(self.port).ask, path, method, 5.0, body)

    async def raw(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer

    async def exchange(self, data: bytes) -> bytes:
        """Everything the server says to `data` before it closes."""
        reader, writer = await self.raw(data)
        async with asyncio.timeout(5):
            said = await reader.read()
        writer.close()
        return said


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    await made.server.start()
    yield made
    await made.server.close()


async def test_answers(server: Server) -> None:
    assert type(asyncio.get_running_loop()).__module__ == "uvloop"
    assert (await server.ask("/livez")).status == 200
    assert (await server.ask("/livez?verbose=1")).status == 200
    assert (await server.ask("/readyz")).status == 200
    metrics = await server.ask("/metrics")
    assert metrics.status == 200
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert parse(metrics.text)["tidegate_records_polled_total"]
    assert metrics.headers["server"] == "tidegate"
    for path in ("/", "/metrics/", "/config", "/livez/../metrics"):
        assert (await server.ask(path)).status == 404
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        answer = await server.ask("/metrics", method)
        assert answer.status == 405
        assert answer.headers["allow"] == "GET"
    assert server.taken == 1


async def test_livez_follows_the_reader_alone(server: Server) -> None:
    server.age = 29.9
    assert (await server.ask("/livez")).status == 200
    server.age = 31.0
    answer = await server.ask("/livez")
    assert answer.status == 503
    assert "31 s" in answer.text
    assert (await server.ask("/readyz")).status == 200
    server.age = 0.1  # a stall that is over is no reason to be killed
    assert (await server.ask("/livez")).status == 200


async def test_readyz_ends_where_stopping_begins(server: Server) -> None:
    server.server.ready = False
    assert (await server.ask("/readyz")).status == 503
    assert (await server.ask("/livez")).status == 200


async def test_drained_tells_what_is_left(server: Server) -> None:
    async def told() -> tuple[int, dict[str, object]]:
        answer = await server.ask("/drained")
        assert answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(answer.text)

    empty = {"buffered_records": 0, "in_flight_records": 0, "given_up_records": 0}
    assert await told() == (503, {"state": "reading", "seconds": 0.0} | empty)
    server.states = {0: (3, 300, 2), 2: (5, 500, 0)}
    server.drain.begin()
    await asyncio.sleep(0.05)
    status, report = await told()
    assert (status, report["state"]) == (503, "draining")
    assert (report["buffered_records"], report["in_flight_records"]) == (8, 2)
    assert 0.05 <= float(str(report["seconds"])) < 5
    server.states = {0: (0, 0, 0)}
    server.drain.give_up(4)
    server.drain.end()
    first = await told()
    assert (first[0], first[1]["state"], first[1]["given_up_records"]) == (200, "drained", 4)
    await asyncio.sleep(0.02)
    assert await told() == first  # the time it took stands
    server.drain.end(committed=False)
    status, report = await told()
    assert (status, report["state"]) == (200, "uncommitted")  # nothing more will happen: who waits need not
    assert (await server.ask("/drained", "POST")).status == 405


async def test_metrics_are_taken_once_for_many_who_ask_at_once(server: Server) -> None:
    answers = await asyncio.gather(*(server.ask("/metrics") for _ in range(3)))
    assert {answer.status for answer in answers} == {200}
    assert server.taken == 1
    await asyncio.sleep(0.35)
    await server.ask("/metrics")
    assert server.taken == 2


async def test_metrics_that_fail_are_a_500_without_details(server: Server) -> None:
    server.fault = RuntimeError("confidential")
    answer = await server.ask("/metrics")
    assert answer.status == 500
    assert "confidential" not in answer.text
    server.fault = None
    assert (await server.ask("/metrics")).status == 200


async def end_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the server ends the connection, orderly or not."""
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(5):
            return await reader.read()
    return b""


def head(size: int, *, lines: int = 1) -> bytes:
    """A request whose head has exactly `size` bytes, spread over so many headers."""
    start, end = b"GET /livez HTTP/1.1\r\nHost: x\r\n", b"\r\n"
    each = (size - len(start) - len(end)) // lines
    parts = [b"X-%03d: " % n + b"a" * (each - 9) + b"\r\n" for n in range(lines)]
    short = size - len(start) - len(end) - sum(map(len, parts))
    return start + b"".join(parts[:-1]) + parts[-1][:-2] + b"a" * short + b"\r\n" + end


@pytest.mark.parametrize("lines", [2, 40])
async def test_a_head_of_eight_kibibytes_and_no_byte_more(server: Server, lines: int) -> None:
    assert len(head(8192, lines=lines)) == 8192
    assert (await server.exchange(head(8192, lines=lines))).startswith(b"HTTP/1.1 200 ")
    assert (await server.exchange(head(8193, lines=lines))).startswith(b"HTTP/1.1 431 ")


async def test_a_head_that_never_ends_is_refused_before_it_is_stored(server: Server) -> None:
    assert (await server.exchange(b"GET /livez HTTP/1.1\r\nX: " + b"a" * 9000)).startswith(b"HTTP/1.1 431 ")


async def test_a_head_in_single_bytes_is_a_head(server: Server) -> None:
    reader, writer = await server.raw()
    for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n":
        writer.write(bytes([byte]))
        await writer.drain()
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
    writer.close()


async def test_a_body_is_never_looked_at_and_bounded(server: Server) -> None:
    assert (await server.ask("/livez", body=b"x" * 65536)).status == 200
    request = b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n"
    assert (await server.exchange(request)).startswith(b"HTTP/1.1 413 ")
    # Beyond the limit bytes are dropped, whatever was announced; the answer arrives all the same.
    chunked = b"GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"fffff\r\n" + b"y" * 200_000
    assert (await server.exchange(chunked)).startswith(b"HTTP/1.1 200 ")


async def test_one_request_per_connection(server: Server) -> None:
    said = await server.exchange(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    assert said.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in said.lower()


@pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"nonsense\r\n\r\n", b"GET\r\n\r\n"])
async def test_garbage_gets_400_and_no_log(server: Server, garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert (await server.exchange(garbage)).startswith(b"HTTP/1.0 400 ")
    assert not caplog.records


async def test_slow_clients_are_cut_off(server: Server) -> None:
    begun = time.monotonic()
    for start in (b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: x\r\n"):
        reader, writer = await server.raw(start)
        assert await end_of(reader) == b""
        writer.close()
    assert time.monotonic() - begun < 3


async def test_idle_connections_do_not_keep_a_probe_out(server: Server) -> None:
    idle = [await server.raw(b"GET /livez HTTP/1.1\r\n") for _ in range(LIMITS.connections * 3)]
    begun = time.monotonic()
    assert (await server.ask("/livez")).status == 200
    assert time.monotonic() - begun < 0.3  # before any of them has run into its own time limit
    for _, writer in idle:
        writer.close()


def test_the_limits_in_force() -> None:
    """Those of the design; the tests above show with smaller ones that each of them holds."""
    limits = Limits()
    assert (limits.connections, limits.head_bytes, limits.head_seconds, limits.body_bytes) == (32, 8192, 5.0, 65536)


async def test_closing_ends_connections_and_frees_the_port() -> None:
    made = Server()
    await made.server.start()
    reader, writer = await made.raw(b"GET /livez")
    await asyncio.sleep(0.05)
    await made.server.close()
    assert await end_of(reader) == b""
    writer.close()
    listen(("127.0.0.1", made.port)).close()


async def test_closed_without_having_been_started() -> None:
    made = Server()
    await made.server.close()
    listen(("127.0.0.1", made.port)).close()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (("192.0.2.1", 9400), "192.0.2.1:9400 cannot be listened on: Cannot assign requested address."),
        (("2001:db8::1", 9400), "[2001:db8::1]:9400 cannot be listened on"),
        (("no.such.host.invalid", 9400), "no.such.host.invalid:9400 cannot be listened on"),
    ],
)
def test_an_address_that_cannot_be_had(address: tuple[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        listen(address)
    assert caught.value.exit_code == 2
    assert "TIDEGATE_OPS_ADDRESS" in str(caught.value)
    assert caught.value.code == "ops-address"


def test_an_address_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
        with pytest.raises(ConfigError, match=f"127.0.0.1:{address[1]} is in use"):
            listen(address)
