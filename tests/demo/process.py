"""``tidegate demo`` as a process, and the terminal that it may run on."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyte
import pytest

PROCESSES = 5  # itself, tidegate, the plain loop and a shop for each
MARK = "TEST_DEMO_MARK"  # in the environment of the demo and of everything it starts

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


class Demo:
    """``tidegate demo`` as a process; ``processes`` are its own and all that descend from it, however detached."""

    def __init__(self, *arguments: str, terminal: int | None = None, **environment: str) -> None:
        """``terminal``: a descriptor to run on, as its controlling terminal, in place of pipes."""
        self.mark = os.urandom(8).hex()
        fixed = {"COLUMNS": "80"} if terminal is None else {}
        streams: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        if terminal is not None:
            streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
            streams["preexec_fn"] = lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tidegate", "demo", *arguments],
            env=os.environ | {MARK: self.mark} | fixed | environment,
            start_new_session=True,
            **streams,
        )

    def processes(self) -> set[int]:
        wanted = f"{MARK}={self.mark}".encode()
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        found.add(int(entry.name))
                except OSError:  # ended, or not ours
                    continue
        return found

    def wait_for(self, processes: int, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while len(self.processes()) != processes:
            assert time.monotonic() < deadline, f"{self.processes()}, {processes} expected"
            time.sleep(0.02)

    def line_of_progress(self) -> str:
        """The next one on stderr, with --json."""
        assert self.process.stderr is not None
        while re.match(r" *\d+ s  ", line := self.process.stderr.readline().decode()) is None:
            assert line, "ended by itself"
        return line

    def end(self, seconds: float = 40) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, out.decode(), err.decode()

    def close(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.communicate()


class Terminal:
    """A demo on a terminal of 80 by 24, and what stands on its screen."""

    def __init__(self, demos: list[Demo], *arguments: str, columns: int = 80, lines: int = 24) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=200)
        self._stream = pyte.ByteStream(self.screen)
        self._end, inside = os.openpty()
        termios.tcsetwinsize(inside, (lines, columns))
        self.demo = Demo(*arguments, terminal=inside, TERM="xterm-256color")
        demos.append(self.demo)
        os.close(inside)

    def read(self, until: Callable[[str], bool], seconds: float = 30) -> str:
        deadline = time.monotonic() + seconds
        while not until(self.text()):
            assert time.monotonic() < deadline, self.text()
            if select.select([self._end], [], [], 0.1)[0]:
                try:
                    self._stream.feed(os.read(self._end, 1 << 16))
                except OSError:  # the other end is closed: it is over
                    break
        return self.text()

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def wait(self, seconds: float = 30) -> int:
        """Reads until it has ended; its exit code."""
        self.read(lambda _: self.demo.process.poll() is not None, seconds)
        return self.demo.process.wait(10)

    def type(self, keys: bytes) -> None:
        os.write(self._end, keys)

    def close(self) -> None:
        os.close(self._end)
