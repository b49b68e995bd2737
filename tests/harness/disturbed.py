"""tidegate with a disturbance in its own process: ``python -m harness.disturbed run`` in place of ``-m tidegate``.

On SIGUSR1 the main thread sleeps for ``STALL_SECONDS`` and keeps the GIL, which is harder than any callback of
Python's. On SIGUSR2 librdkafka's client that parks fails for good, as one does whose sequence Kafka no longer takes.
``LOG_LINES`` is how many lines a second are logged beside tidegate's own, through its logger.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from typing import Any

import structlog

from tidegate.__main__ import main
from tidegate.core import eviction, producer, reader  # noqa: F401 - two have to meet the real class first
from tidegate.core.producer_face import ProducerFace

OUT_OF_ORDER = 45


def stall(*_: object) -> None:
    seconds = float(os.environ["STALL_SECONDS"])
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        ctypes.PyDLL(None).usleep(int(min(left, 0.5) * 1e6))


class Failing(ProducerFace):
    """The sidecar's only one, which is told to fail."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        signal.signal(signal.SIGUSR2, lambda *_: self.test_fail(OUT_OF_ORDER))


def chatter(lines_per_second: int) -> None:
    time.sleep(1)  # until the logger is set up
    log = structlog.get_logger("disturbed")
    while True:
        for _ in range(lines_per_second // 20):
            log.info("a line that nobody reads", why="x" * 100)
        time.sleep(0.05)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, stall)
    assert reader  # which has to meet the real class first
    producer.Producer = Failing  # type: ignore[misc] - before anyone takes it from there
    if "LOG_LINES" in os.environ:
        threading.Thread(target=chatter, args=(int(os.environ["LOG_LINES"]),), daemon=True).start()
    sys.exit(main())
