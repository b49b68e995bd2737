"""The HTTP sink against servers that behave, that refuse, and that do anything at all (fault rows 11 to 15)."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tidegate import __version__
from tidegate.sinks.base import Kind, Outcome, Sink, SinkOptions, open_sink
from tidegate.sinks.http import MAX_ANSWER_BYTES

from .batches import PlainBatch
from .raw import Answer, Exchange, raw_server, says

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def sink_to(url: str, **options: float) -> AsyncIterator[Sink]:
    settings = {"concurrency": 4, "connect_timeout_seconds": 0.5, "timeout_seconds": 0.15, **options}
    sink = open_sink(url, SinkOptions(**settings))  # type: ignore[arg-type]
    await sink.start()
    try:
        yield sink
    finally:
        await sink.close()


async def outcome_of(answer: Answer, **options: float) -> Outcome:
    async with raw_server(answer) as server, sink_to(server.url, **options) as sink:
        return await sink.send(PlainBatch())


# ── the request ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_request_as_the_target_sees_it() -> None:
    batch = PlainBatch(b'{"n":1}\n{"n":2}\n', records=2)
    async with raw_server(says(OK, close=False)) as server:
        url = f"http://127.0.0.1:{server.port}/a%2fb/%7Euser/%20c//?q=%2B+1&x=a%20b#part"
        sink = open_sink(url, SinkOptions(headers={"Authorization": "Bearer s3cret"}))
        await sink.start()
        assert (await sink.send(batch)).kind is Kind.ACK
        await sink.close()
    [exchange] = server.requests
    line, *rest = exchange.head.decode().removesuffix("\r\n\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in rest)}
    assert line == "POST /a%2fb/%7Euser/%20c//?q=%2B+1&x=a%20b HTTP/1.1"
    assert exchange.body == batch.body
    assert len(headers) == len(rest)
    assert headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": f"tidegate/{__version__}",
        "authorization": "Bearer s3cret",
        "content-length": str(len(batch.body)),
        **{name.lower(): value for name, value in batch.headers.items()},
    }


async def test_connections_are_kept_and_cookies_are_not() -> None:
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 5\r\n\r\nhello"
    async with raw_server(says(answer, close=False)) as server, sink_to(server.url) as sink:
        for _ in range(5):
            assert (await sink.send(PlainBatch())).kind is Kind.ACK
    assert server.connections == 1
    assert len(server.requests) == 5
    assert not any(b"cookie" in exchange.head.lower() for exchange in server.requests)


async def test_no_more_connections_than_sends() -> None:
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.005)
        await exchange.say(OK)

    async with raw_server(slow) as server, sink_to(server.url) as sink:

        async def worker() -> None:
            for _ in range(5):
                assert (await sink.send(PlainBatch())).kind is Kind.ACK

        await asyncio.gather(*(worker() for _ in range(4)))
    assert server.connections == 4


# ── the answer ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ((200, 201, 202, 204, 206, 299), Kind.ACK),
        ((429, 503), Kind.SLOW),
        ((400, 405, 409, 410, 411, 412, 413, 414, 415, 422, 425, 431, 451, 499), Kind.RETRY),
        ((401, 403, 404, 407, 408), Kind.DOWN),
        ((500, 501, 502, 504, 505, 507, 511, 599), Kind.DOWN),
        ((300, 301, 302, 303, 304, 307, 308), Kind.DOWN),
        ((101, 600, 999), Kind.DOWN),
    ],
)
async def test_what_a_status_means(statuses: tuple[int, ...], kind: Kind) -> None:
    left = list(statuses)

    async def answer(exchange: Exchange) -> None:
        head = f"HTTP/1.1 {left[0]} Whatever\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        await exchange.say(head.encode())

    async with raw_server(answer) as server, sink_to(server.url) as sink:
        while left:
            outcome = await sink.send(PlainBatch())
            assert outcome.kind is kind, left[0]
            assert not outcome.unreachable
            if kind is not Kind.ACK:
                assert outcome.reason == f"http-{left[0]}"
            left.pop(0)
    assert len(server.requests) == len(statuses)  # no redirect was followed, nothing sent twice


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("text", "seconds"), [(b"7", 7.0), (b"0", 0.0), (b"9999", 60.0), (b"soon", None)])
async def test_retry_after_reaches_the_outcome(status: int, text: bytes, seconds: float | None) -> None:
    answer = b"HTTP/1.1 %d No\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n" % (status, text)
    assert await outcome_of(says(answer)) == Outcome(Kind.SLOW, f"http-{status}", seconds)


async def trickle(exchange: Exchange) -> None:
    """A byte now and then, for ever."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await exchange.say(b"1\r\nx\r\n")
        await asyncio.sleep(0.01)


async def flood(exchange: Exchange) -> None:
    """A body without an end, as fast as it goes."""
    await exchange.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await exchange.say(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


async def continues(exchange: Exchange) -> None:
    """1xx and nothing else."""
    while True:
        await exchange.say(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(0.01)


async def hang(exchange: Exchange) -> None:
    await asyncio.sleep(60)


async def reset(exchange: Exchange) -> None:
    exchange.reset()


async def reset_in_the_body(exchange: Exchange) -> None:
    await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    await asyncio.sleep(0.01)
    exchange.reset()


HEAD = b"HTTP/1.1 200 OK\r\n"
ODD: dict[str, tuple[Answer, Kind, str]] = {
    "garbage": (says(b"\x00\xff\x13garbage\r\n\r\n"), Kind.DOWN, "bad-answer"),
    "another protocol": (says(b"SSH-2.0-OpenSSH_9.2\r\n"), Kind.DOWN, "bad-answer"),
    "TLS alert": (says(b"\x15\x03\x01\x00\x02\x02\x28"), Kind.DOWN, "bad-answer"),
    "status is no number": (says(b"HTTP/1.1 2x0 OK\r\n\r\n"), Kind.DOWN, "bad-answer"),
    "nothing, closed": (says(b""), Kind.DOWN, "disconnected"),
    "half a head, closed": (says(b"HTTP/1.1 200 OK\r\nContent-"), Kind.DOWN, "disconnected"),
    "reset": (reset, Kind.DOWN, "disconnected"),
    "reset in the body": (reset_in_the_body, Kind.DOWN, "bad-answer"),
    "body ends early": (says(HEAD + b"Content-Length: 100\r\n\r\nhalf"), Kind.DOWN, "bad-answer"),
    "chunk size is garbage": (says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n"), Kind.DOWN, "bad-answer"),
    "chunks end early": (says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab"), Kind.DOWN, "bad-answer"),
    "two lengths": (says(HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab"), Kind.DOWN, "bad-answer"),
    "a head without end": (says(HEAD + b"X: " + b"y" * 200_000, close=False), Kind.DOWN, "bad-answer"),
    "headers without end": (says(HEAD + b"X: y\r\n" * 50_000, close=False), Kind.DOWN, "bad-answer"),
    "hangs": (hang, Kind.DOWN, "timeout"),
    "only 1xx": (continues, Kind.DOWN, "timeout"),
    "100 Continue and closed": (says(b"HTTP/1.1 100 Continue\r\n\r\n"), Kind.DOWN, "disconnected"),
    "100 Continue, then 200": (says(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, close=False), Kind.ACK, "ok"),
    "body to the close of the connection": (says(HEAD + b"\r\nsome text"), Kind.ACK, "ok"),
    "HTTP/1.0": (says(b"HTTP/1.0 200 OK\r\n\r\nfine"), Kind.ACK, "ok"),
    "a trickle": (trickle, Kind.DOWN, "timeout"),
    "a flood": (flood, Kind.ACK, "ok"),
}


@pytest.mark.parametrize("name", ODD)
async def test_odd_answers_are_outcomes(name: str) -> None:
    answer, kind, reason = ODD[name]
    batch = PlainBatch()
    async with raw_server(answer) as server, sink_to(server.url) as sink:
        async with asyncio.timeout(1):
            outcome = await sink.send(batch)
        assert (outcome.kind, outcome.reason) == (kind, reason), outcome
        assert not outcome.unreachable
        # Whatever came: the sink is as good as new, and the broken connection is not used again.
        server.answer = says(OK)
        assert (await sink.send(batch)).kind is Kind.ACK
    assert len(server.requests) == 2


@pytest.mark.parametrize(("extra", "connections"), [(0, 1), (1, 2)], ids=["at the cap", "over it"])
async def test_a_long_answer_costs_its_connection(extra: int, connections: int) -> None:
    size = MAX_ANSWER_BYTES + extra
    answer = HEAD + b"Content-Length: %d\r\n\r\n" % (size + extra * MAX_ANSWER_BYTES * 4) + b"x" * size
    async with raw_server(says(answer, close=False)) as server, sink_to(server.url) as sink:
        for _ in range(2):
            assert (await sink.send(PlainBatch())).kind is Kind.ACK
    assert server.connections == connections


async def test_a_flood_is_not_read_on() -> None:
    sent = 0

    async def count(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.say(HEAD + b"Content-Length: 1000000000\r\n\r\n")
        while True:
            await exchange.say(b"x" * 65536)
            sent += 65536

    assert (await outcome_of(count, timeout_seconds=2)).kind is Kind.ACK
    assert sent < 16 << 20  # what the kernel's buffers took, and no more


async def test_answers_are_not_decompressed() -> None:
    """Nothing unpacks what is not looked at: neither a bomb nor a body that only claims to be compressed."""
    answer = HEAD + b"Content-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip"
    assert (await outcome_of(says(answer))).kind is Kind.ACK


async def test_an_answer_before_the_request_is_read() -> None:
    """413 and close, without reading: the answer counts if it arrives, a reset is an outcome too."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with sink_to(f"http://127.0.0.1:{port}/", timeout_seconds=1) as sink:
        outcome = await sink.send(PlainBatch(b"x" * (8 << 20)))
    server.close()
    assert outcome.reason in {"http-413", "disconnected"}


async def test_details_show_neither_answers_nor_secrets() -> None:
    for data in (
        b"canary\r\n\r\n",
        b"HTTP/1.1 500 canary\r\nX: canary\r\nContent-Length: 6\r\n\r\ncanary",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\ncanary\r\n",
    ):
        outcome = await outcome_of(says(data))
        assert outcome.kind is Kind.DOWN
        assert "canary" not in repr(outcome)


# ── no answer at all ────────────────────────────────────────────────────────────────────────────────────────────────


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_refused() -> None:
    port = closed_port()
    async with sink_to(f"http://127.0.0.1:{port}/") as sink:
        outcome = await sink.send(PlainBatch())
    assert outcome == Outcome(Kind.DOWN, "connect-refused", None, f"127.0.0.1:{port}", unreachable=True)


async def test_refused_on_every_address_of_a_name() -> None:
    async with sink_to(f"http://localhost:{closed_port()}/") as sink:
        outcome = await sink.send(PlainBatch())
    assert (outcome.reason, outcome.unreachable) == ("connect-refused", True)


async def test_a_name_that_does_not_resolve() -> None:
    async with sink_to("http://nobody.invalid/", connect_timeout_seconds=2, timeout_seconds=3) as sink:
        outcome = await sink.send(PlainBatch())
    assert (outcome.kind, outcome.reason, outcome.unreachable) == (Kind.DOWN, "dns", True)
    assert outcome.detail == "nobody.invalid"


async def test_a_connection_that_does_not_come_about() -> None:
    """A listener whose queue is full drops the SYN: nobody answers, nobody refuses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        started = time.monotonic()
        async with sink_to(f"http://127.0.0.1:{address[1]}/", connect_timeout_seconds=0.1, timeout_seconds=5) as sink:
            outcome = await sink.send(PlainBatch())
        elapsed = time.monotonic() - started
        for filler in fillers:
            filler.close()
    assert outcome == Outcome(Kind.DOWN, "connect-timeout", unreachable=True)
    assert elapsed < 1


async def test_tls_to_a_server_without_it() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with sink_to(f"https://127.0.0.1:{port}/", timeout_seconds=1) as sink:
        outcome = await sink.send(PlainBatch())
    server.close()
    assert (outcome.kind, outcome.reason, outcome.unreachable) == (Kind.DOWN, "tls", True)


async def test_the_target_comes_back() -> None:
    port = closed_port()
    async with sink_to(f"http://127.0.0.1:{port}/") as sink:
        assert (await sink.send(PlainBatch())).kind is Kind.DOWN

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)

        server = await asyncio.start_server(serve, "127.0.0.1", port)
        assert (await sink.send(PlainBatch())).kind is Kind.ACK
        server.close()
