"""What every sink promises, on each of them: sinks/base.py, "Sink"."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tidegate.errors import SinkError
from tidegate.sinks.base import InstantSink, Kind, Outcome, Sink, SinkOptions, open_sink
from tidegate.sinks.stdout import StdoutSink

from .batches import PlainBatch


@dataclass
class Target:
    """A sink with a real target behind it. `bodies`: what arrived; None where the target keeps nothing.

    While `open` is clear, the target does not take anything.
    """

    sink: Sink
    bodies: list[bytes] | None
    open: threading.Event = field(default_factory=threading.Event)

    async def arrived(self, count: int) -> list[bytes]:
        assert self.bodies is not None
        async with asyncio.timeout(2):
            while len(self.bodies) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        return list(self.bodies)


@asynccontextmanager
async def http_target() -> AsyncIterator[Target]:
    bodies: list[bytes] = []
    target = Target(open_sink("blackhole:"), bodies)

    async def take(request: web.Request) -> web.Response:
        while not target.open.is_set():  # noqa: ASYNC110 (the event is a thread's)
            await asyncio.sleep(0.001)
        bodies.append(await request.read())
        return web.Response()

    app = web.Application(client_max_size=16 << 20)
    app.router.add_post("/events", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    target.sink = open_sink(f"http://127.0.0.1:{port}/events", SinkOptions(concurrency=4, timeout_seconds=2))
    try:
        yield target
    finally:
        target.open.set()
        await runner.cleanup()


@asynccontextmanager
async def stdout_target() -> AsyncIterator[Target]:
    reading, writing = os.pipe()
    bodies: list[bytes] = []
    target = Target(StdoutSink(writing), bodies)
    ended = threading.Event()

    def read() -> None:
        rest = b""
        while True:
            target.open.wait()
            chunk = os.read(reading, 65536)
            if not chunk:
                break
            # Lines here never hold a line feed of their own, so a line is a body.
            *lines, rest = (rest + chunk).split(b"\n")
            bodies.extend(line + b"\n" for line in lines)
        if rest:
            bodies.append(rest)
        os.close(reading)
        ended.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        yield target
    finally:
        target.open.set()
        os.close(writing)
        assert await asyncio.to_thread(ended.wait, 2)


@asynccontextmanager
async def blackhole_target() -> AsyncIterator[Target]:
    yield Target(open_sink("blackhole:"), None)


TARGETS = {"http": http_target, "stdout": stdout_target, "blackhole": blackhole_target}


@pytest.fixture(params=TARGETS)
async def target(request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    async with AsyncExitStack() as stack:
        target = await stack.enter_async_context(TARGETS[request.param]())
        target.open.set()
        yield target
        await target.sink.close()


async def test_a_batch_is_acknowledged_and_arrives_as_it_is(target: Target) -> None:
    await target.sink.start()
    batch = PlainBatch('{"name":"Straße \\u00e9","n":1}\n'.encode())
    before = (batch.body, dict(batch.headers), batch.attempts)
    outcome = await target.sink.send(batch)
    assert outcome == Outcome(Kind.ACK, "ok")
    assert (batch.body, batch.headers, batch.attempts) == before
    if target.bodies is not None:
        assert await target.arrived(1) == [batch.body]


async def test_sends_at_once_all_arrive_once(target: Target) -> None:
    await target.sink.start()
    batches = [PlainBatch(b'{"n":%d}\n' % n) for n in range(20)]
    limit = asyncio.Semaphore(4)

    async def send(batch: PlainBatch) -> Outcome:
        async with limit:
            return await target.sink.send(batch)

    outcomes = await asyncio.gather(*map(send, batches))
    assert {o.kind for o in outcomes} == {Kind.ACK}
    if target.bodies is not None:
        assert sorted(await target.arrived(20)) == sorted(b.body for b in batches)


async def test_sends_one_after_the_other_keep_their_order(target: Target) -> None:
    await target.sink.start()
    batches = [PlainBatch(b'{"n":%d}\n' % n) for n in range(20)]
    for batch in batches:
        await target.sink.send(batch)
    if target.bodies is not None:
        assert await target.arrived(20) == [b.body for b in batches]


async def test_a_large_body_arrives_whole(target: Target) -> None:
    await target.sink.start()
    batch = PlainBatch(b'"' + b"x" * (3 << 20) + b'"\n')
    assert (await target.sink.send(batch)).kind is Kind.ACK
    if target.bodies is not None:
        assert await target.arrived(1) == [batch.body]


async def test_the_loop_goes_on_while_the_target_takes_nothing(target: Target) -> None:
    await target.sink.start()
    if isinstance(target.sink, InstantSink):
        assert (await target.sink.send(PlainBatch())).kind is Kind.ACK
        return
    target.open.clear()
    sending = asyncio.create_task(target.sink.send(PlainBatch(b"x" * (1 << 20) + b"\n")))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not sending.done()
    target.open.set()
    assert (await sending).kind is Kind.ACK


async def test_a_cancelled_send_leaves_the_sink_usable(target: Target) -> None:
    await target.sink.start()
    if not isinstance(target.sink, InstantSink):
        target.open.clear()
        sending = asyncio.create_task(target.sink.send(PlainBatch(b"x" * (1 << 20) + b"\n")))
        await asyncio.sleep(0.02)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        target.open.set()
    assert (await target.sink.send(PlainBatch())).kind is Kind.ACK


async def test_send_nowait_agrees_with_send(target: Target) -> None:
    await target.sink.start()
    if isinstance(target.sink, InstantSink):
        outcome = target.sink.send_nowait(PlainBatch())
        assert outcome == await target.sink.send(PlainBatch())
    else:
        assert not hasattr(target.sink, "send_nowait")


async def test_close_may_come_twice_and_without_start(target: Target) -> None:
    await target.sink.close()
    await target.sink.start()
    await target.sink.send(PlainBatch())
    await target.sink.close()
    await target.sink.close()
    if not isinstance(target.sink, InstantSink):
        with pytest.raises(SinkError):
            await target.sink.send(PlainBatch())


async def test_the_name_says_which_sink_it_is(target: Target) -> None:
    assert target.sink.name.split()[0] in TARGETS
