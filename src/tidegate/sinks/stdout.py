"""``stdout:`` writes each batch's body to file descriptor 1, ended by a line feed, in the order of the sends.

A pipe's reader may stop for as long as it likes. Writing happens therefore in a thread of its own: a daemon, because
a blocked write cannot be interrupted and must not keep the process from ending (an executor's thread would).
Descriptor 1 is left blocking: O_NONBLOCK belongs to the open file and would reach every process that shares it.
"""

from __future__ import annotations

import asyncio
import os
import select
import threading
from queue import SimpleQueue

from tidegate.errors import SinkError
from tidegate.sinks.base import ACKNOWLEDGED, Outcome, SinkBatch

_CLOSE_WAIT_SECONDS = 1.0


class StdoutSink:
    """See the module. `send` raises SinkError when the reader has gone or the disk is full: waiting will not help."""

    name = "stdout"

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd
        self._jobs: SimpleQueue[tuple[bytes, asyncio.Future[None]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Starts the writing thread."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_jobs, name="tidegate-stdout", daemon=True)
        self._thread.start()

    async def send(self, batch: SinkBatch, /) -> Outcome:
        """Returns when the kernel has taken every byte. A cancelled send may still be written."""
        if self._loop is None or self._thread is None:
            raise SinkError("the stdout sink is not open", code="sink-closed")
        written = self._loop.create_future()
        self._jobs.put((batch.body, written))
        await written
        return ACKNOWLEDGED

    async def close(self, patience_seconds: float = _CLOSE_WAIT_SECONDS) -> None:
        """Waits for what was handed over, but not for ever: a reader that has stopped is left alone."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._jobs.put(None)
        await asyncio.to_thread(thread.join, patience_seconds)

    def _write_jobs(self) -> None:
        assert self._loop is not None
        while (job := self._jobs.get()) is not None:
            body, written = job
            error: SinkError | None = None
            try:
                write_all(self._fd, body)
                if not body.endswith(b"\n"):
                    write_all(self._fd, b"\n")
            except OSError as fault:
                error = SinkError(
                    f"standard output can no longer be written: {os.strerror(fault.errno or 0)}",
                    code="stdout-closed",
                    hint="The reader of the pipe has ended, or the disk is full; nothing unwritten was committed.",
                )
            try:
                self._loop.call_soon_threadsafe(_resolve, written, error)
            except RuntimeError:  # the loop has closed: nobody waits any more
                return


def write_all(fd: int, data: bytes) -> None:
    """Writes every byte, whatever the kernel takes at a time; also where someone made the descriptor non-blocking."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])


def _resolve(written: asyncio.Future[None], error: SinkError | None) -> None:
    if written.done():  # cancelled meanwhile
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)
