"""stdout: what is its own: line feeds, a reader that leaves, a descriptor that takes little at a time."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
import threading
import time

import pytest

from tidegate.errors import SinkError
from tidegate.sinks.base import Kind
from tidegate.sinks.stdout import StdoutSink

from .batches import PlainBatch


async def test_each_body_ends_with_one_line_feed() -> None:
    reading, writing = os.pipe()
    sink = StdoutSink(writing)
    await sink.start()
    for body in (b"a\nb\n", b"[1]", b"\n", b""):
        assert (await sink.send(PlainBatch(body))).kind is Kind.ACK
    await sink.close()
    os.close(writing)
    assert os.read(reading, 100) == b"a\nb\n[1]\n\n\n"
    os.close(reading)


async def test_a_reader_that_has_gone_ends_it() -> None:
    reading, writing = os.pipe()
    sink = StdoutSink(writing)
    await sink.start()
    os.close(reading)
    for _ in range(2):
        with pytest.raises(SinkError) as caught:
            await sink.send(PlainBatch())
    assert (caught.value.code, caught.value.exit_code) == ("stdout-closed", 1)
    assert "Broken pipe" in str(caught.value)
    await sink.close()
    os.close(writing)


async def test_a_full_disk_ends_it() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    sink = StdoutSink(full)
    await sink.start()
    with pytest.raises(SinkError, match="No space left"):
        await sink.send(PlainBatch())
    await sink.close()
    os.close(full)


async def test_a_non_blocking_small_pipe_gets_every_byte() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    received = bytearray()

    def read() -> None:
        while chunk := os.read(reading, 1000):
            received.extend(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    sink = StdoutSink(writing)
    await sink.start()
    bodies = [bytes([65 + n]) * 50_000 + b"\n" for n in range(5)]
    await asyncio.gather(*(sink.send(PlainBatch(body)) for body in bodies))
    await sink.close()
    os.close(writing)
    reader.join()
    os.close(reading)
    assert received == b"".join(bodies)


def test_a_stopped_reader_does_not_keep_the_process() -> None:
    """The pipe is full and nobody reads: the process still ends, at once after its deadline."""
    program = """
import asyncio, time
from tidegate.sinks.stdout import StdoutSink
class Batch: body = b"x" * (1 << 20)
async def main():
    sink = StdoutSink()
    await sink.start()
    try:
        async with asyncio.timeout(0.1):
            await sink.send(Batch())
    except TimeoutError:
        pass
    await sink.close(0.05)
asyncio.run(main())
"""
    started = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.wait(10) == 0
    assert time.monotonic() - started < 5
